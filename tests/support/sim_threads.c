/* SPDX-License-Identifier: MIT */
/*
 * sim_threads.c - the scheduler: see sim_threads.h.
 *
 * Whatever blocks a thread is a question, `ready(data)`, and a time: the scheduler asks all
 * questions anew at each decision, so nobody has to tell it what became possible. There are a dozen
 * threads at most, and the questions are cheap.
 *
 * Two ways of choosing, one drawn per run. Uniform: at a point a switch happens with a fixed
 * probability, to any thread that can run. Priorities: the thread of highest priority runs; now and
 * then the running one falls below all others. With few such falls this finds orders that uniform
 * choice needs ages for (Burckhardt et al., "A randomized scheduler with probabilistic guarantees
 * of finding bugs", ASPLOS 2010; here falls come at a drawn rate, for the length of a run is not
 * known). A thread that passes SPIN_MAX points in a row falls too, else it would wait in a loop for
 * one that never runs.
 *
 * Everything is on one kernel thread: no locks. Draws come from a generator of their own, so that
 * the world's faults do not shift because a switch was drawn.
 */
#include "sim_threads.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim_fiber.h"
#include "sim_loop.h"
#include "sim_order.h"
#include "sim_points.h"

#define THREADS_MAX        1024u
#define POINTS_MAX         UINT64_C(50000000)
#define SPIN_MAX           2000u
#define PRIORITY_MIDDLE    (UINT32_C(1) << 31) /* threads begin above, the fallen are below */
#define WEAK_FAIL_PERMILLE 10

static struct {
    struct sim_threads_config config;
    bool running;
    /* drawn for the run */
    bool priorities;
    uint32_t switch_permille; /* uniform */
    uint32_t fall_gap;        /* priorities: a fall in so many points */
    uint32_t point_ns;        /* what passing a point takes */
    uint32_t late_ns_max;     /* by how much time may pass beyond the next event */
    /* state */
    struct sim_thread *threads[THREADS_MAX];
    uint32_t count;
    struct sim_thread *able[THREADS_MAX]; /* those that can run, while one is chosen */
    struct sim_thread *current;
    uint64_t random, trace, points, switches;
    uint32_t lowest; /* priority given last */
    uint32_t streak; /* points since the last switch or fall */
    struct sim_thread *reporter; /* each other thread prints its frames and goes back to it */
} order;

/* ---------------------------------------------------------------------------------- chance -- */

/* splitmix64, as in sim_world.c */
uint32_t sim_threads_draw(uint32_t below)
{
    uint64_t z = order.random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (uint32_t)((z >> 32) * below >> 32);
}

static void trace(uint64_t value)
{
    order.trace = (order.trace ^ value) * UINT64_C(0x100000001b3);
}

bool sim_order_chance(uint32_t permille)
{
    bool yes = sim_threads_draw(1000) < permille;

    trace(yes);
    return yes;
}

bool sim_weak_fails(void)
{
    return order.running && sim_order_chance(WEAK_FAIL_PERMILLE);
}

/* ---------------------------------------------------------------------------------- report -- */

static void print_wait(const struct sim_thread *thread)
{
    const struct sim_wait *wait = &thread->wait;

    (void)fprintf(stderr, "waits for %s", wait->what);
    if (wait->object)
        (void)fprintf(stderr, " %p", wait->object);
    if (wait->whom)
        (void)fprintf(stderr, " of thread %u", *wait->whom);
    (void)fprintf(stderr, " since %.6f s", (double)thread->since_ns / 1e9);
    if (wait->until_ns != SIM_NEVER)
        (void)fprintf(stderr, " until %.6f s", (double)wait->until_ns / 1e9);
    (void)fprintf(stderr, "\n");
}

static void print_thread(const struct sim_thread *thread)
{
    (void)fprintf(stderr, "thread %u %s: ", thread->id, thread->name);
    if (thread->ended)
        (void)fprintf(stderr, "ended\n");
    else if (!thread->wait.ready)
        (void)fprintf(stderr, thread == order.current ? "running\n" : "can run\n");
    else
        print_wait(thread);
}

static void print_all(const char *why, const void *object)
{
    struct sim_thread *self = order.current;

    (void)fprintf(stderr, "sim: %s", why);
    if (object)
        (void)fprintf(stderr, " (%p)", object);
    (void)fprintf(stderr, "\nsim: seed %llu, %.6f s, %llu points, %llu switches%s%s\n",
                  (unsigned long long)order.config.seed, (double)sim_now_ns() / 1e9,
                  (unsigned long long)order.points, (unsigned long long)order.switches,
                  order.config.replay ? "\nsim: again: " : "",
                  order.config.replay ? order.config.replay : "");
    for (uint32_t i = 0; i < order.count; i++) {
        struct sim_thread *thread = order.threads[i];

        print_thread(thread);
        if (thread->ended || !thread->begun)
            continue;
        if (thread == self) {
            sim_print_frames();
            continue;
        }
        order.reporter = self;
        sim_fiber_switch(self->fiber, thread->fiber, false);
        order.reporter = NULL;
    }
}

void sim_threads_fail(const char *why)
{
    print_all(why, NULL);
    _exit(SIM_STATUS);
}

void sim_order_misuse(const char *why, const void *object)
{
    print_all(why, object);
    abort();
}

/* ---------------------------------------------------------------------------------- choose -- */

static bool can_run(const struct sim_thread *thread, uint64_t now_ns)
{
    const struct sim_wait *wait = &thread->wait;

    if (thread->ended)
        return false;
    return !wait->ready || now_ns >= wait->until_ns || wait->ready(wait->data);
}

/* One that can run, or NULL. */
static struct sim_thread *choose(void)
{
    struct sim_thread *best = NULL;
    uint64_t now_ns = sim_now_ns();
    uint32_t count = 0;

    for (uint32_t i = 0; i < order.count; i++) {
        struct sim_thread *thread = order.threads[i];

        if (!can_run(thread, now_ns))
            continue;
        order.able[count++] = thread;
        if (!best || thread->priority > best->priority)
            best = thread;
    }
    if (!count || order.priorities)
        return best;
    return order.able[count == 1 ? 0 : sim_threads_draw(count)];
}

/* Nobody can run: to the time when somebody's wait ends. */
static void pass_time(void)
{
    uint64_t next_ns = SIM_NEVER;

    for (uint32_t i = 0; i < order.count; i++) {
        const struct sim_thread *thread = order.threads[i];

        if (!thread->ended && thread->wait.until_ns < next_ns)
            next_ns = thread->wait.until_ns;
    }
    if (next_ns == SIM_NEVER)
        sim_threads_fail("a hang: every thread waits for what nothing will bring");
    if (order.late_ns_max && sim_order_chance(500))
        next_ns += sim_threads_draw(order.late_ns_max);
    sim_advance(next_ns);
    trace(next_ns);
}

static void switch_to(struct sim_thread *next, bool last)
{
    struct sim_thread *self = order.current;

    if (next == self)
        return;
    order.streak = 0;
    order.switches++;
    trace(order.points << 16 ^ next->id);
    order.current = next;
    sim_fiber_switch(self->fiber, next->fiber, last);
    while (order.reporter) {
        sim_print_frames();
        sim_fiber_switch(self->fiber, order.reporter->fiber, false);
    }
}

static void run_next(bool last)
{
    struct sim_thread *next;

    while ((next = choose()) == NULL)
        pass_time();
    switch_to(next, last);
}

static void count_point(void)
{
    if (++order.points > order.config.steps_max)
        sim_threads_fail("a livelock: too many points");
    if (order.point_ns)
        sim_advance(sim_now_ns() + order.point_ns);
}

void sim_point(void)
{
    if (!order.running)
        return;
    count_point();
    if (order.priorities) {
        if (++order.streak > SPIN_MAX || sim_threads_draw(order.fall_gap) == 0) {
            order.current->priority = --order.lowest;
            order.streak = 0;
        }
    } else if (sim_threads_draw(1000) >= order.switch_permille) {
        return;
    }
    run_next(false);
}

bool sim_order_block(const struct sim_wait *wait)
{
    struct sim_thread *self = order.current;
    bool is_ready;

    count_point();
    self->wait = *wait;
    self->since_ns = sim_now_ns();
    run_next(false);
    is_ready = wait->ready(wait->data);
    assert(is_ready || sim_now_ns() >= wait->until_ns);
    self->wait.ready = NULL;
    return is_ready;
}

void sim_threads_wait(bool (*ready)(void *data), void *data, uint64_t until_ns)
{
    (void)sim_order_block(&(struct sim_wait){.ready = ready,
                                             .data = data,
                                             .until_ns = until_ns,
                                             .what = "the world (a loop or the os)",
                                             .object = data});
}

/* --------------------------------------------------------------------------------- threads -- */

struct sim_thread *sim_order_self(void)
{
    return order.current;
}

struct sim_thread *sim_order_thread(uint64_t id)
{
    return id && id <= order.count ? order.threads[id - 1] : NULL;
}

static void thread_main(void *argument)
{
    struct sim_thread *self = argument;

    self->begun = true;
    self->result = self->run(self->argument);
    self->ended = true;
    run_next(true);
}

static struct sim_thread *thread_add(void)
{
    struct sim_thread *thread = calloc(1, sizeof *thread);

    assert(order.count < THREADS_MAX);
    if (!thread)
        return NULL;
    order.threads[order.count++] = thread;
    thread->id = order.count;
    thread->priority = PRIORITY_MIDDLE + sim_threads_draw(PRIORITY_MIDDLE - 1);
    return thread;
}

struct sim_thread *sim_order_create(void *(*run)(void *argument), void *argument)
{
    struct sim_thread *thread = thread_add();

    if (!thread)
        return NULL;
    thread->run = run;
    thread->argument = argument;
    thread->fiber = sim_fiber_create(thread_main, thread);
    return thread;
}

void sim_order_release(struct sim_thread *thread)
{
    assert(thread->ended && thread->fiber);
    sim_fiber_destroy(thread->fiber);
    thread->fiber = NULL;
}

/* -------------------------------------------------------------------------------- lifetime -- */

static void draw_manners(void)
{
    static const uint32_t permilles[] = {5, 30, 100, 300}, gaps[] = {20, 100, 500, 3000};
    static const uint32_t point_ns[] = {0, 20, 200, 2000}, late_ns[] = {0, 1000, 50000, 1000000};

    order.switch_permille = order.config.switch_permille;
    if (order.switch_permille)
        return;
    order.priorities = sim_threads_draw(2);
    order.switch_permille = permilles[sim_threads_draw(4)];
    order.fall_gap = gaps[sim_threads_draw(4)];
    order.point_ns = point_ns[sim_threads_draw(4)];
    order.late_ns_max = late_ns[sim_threads_draw(4)];
}

void sim_threads_begin(const struct sim_threads_config *config)
{
    assert(!order.running);
    memset(&order, 0, sizeof order);
    order.config = *config;
    if (!order.config.steps_max)
        order.config.steps_max = POINTS_MAX;
    order.random = ~config->seed;
    order.lowest = PRIORITY_MIDDLE;
    draw_manners();
    order.current = thread_add();
    assert(order.current);
    order.current->begun = true;
    order.current->fiber = sim_fiber_create(NULL, NULL);
    (void)strcpy(order.current->name, "first");
    order.running = true;
}

unsigned sim_threads_end(void)
{
    unsigned left = 0;

    assert(order.running && order.current == order.threads[0]);
    order.running = false;
    for (uint32_t i = 0; i < order.count; i++) {
        struct sim_thread *thread = order.threads[i];

        if (i > 0 && !thread->ended) {
            (void)fprintf(stderr, "sim: a thread did not end: ");
            print_thread(thread);
            left++;
        }
        if (thread->fiber)
            sim_fiber_destroy(thread->fiber);
        free(thread);
    }
    order.count = 0;
    return left;
}

bool sim_threads_running(void)
{
    return order.running;
}

uint64_t sim_threads_trace(void)
{
    return order.trace;
}

uint64_t sim_threads_points(void)
{
    return order.points;
}

uint64_t sim_threads_switches(void)
{
    return order.switches;
}
