/* SPDX-License-Identifier: MIT */
/*
 * transport_sim.c - see transport_sim.h.
 *
 * A request is an exchange: a small state machine that goes on whenever its timer comes, delivers
 * one event or several in a row, as the draw has it, and sets the timer again. A hung one has no
 * timer. An abort cancels the timer, or lets it come, or, where there is none, ends the request by
 * the worker's mailbox; so between abort() and end() other things may happen, as with curl: even a
 * head may come.
 *
 * A fault is planned when a request begins and strikes when its effect is certain. One that does
 * not fit the right answer (a wrong range, of a 404) is dropped. So planned faults are those that
 * struck, were unfit or unmet, and those of running requests.
 *
 * Answers are made at the moment when their head goes out, and hold a reference to their object:
 * what is put in its place later is another version.
 *
 * The memory that room() offers belongs to the transport until got(): bytes of it behind those that
 * got() names are spoiled, so that nobody relies on them.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "transport_sim_impl.h"

#define SECOND_NS   UINT64_C(1000000000)
#define CONNECT_NS  UINT64_C(200000) /* at most */
#define STEP_NS     UINT64_C(20000)  /* between events that need no time, at most */
#define ABORT_NS    UINT64_C(200000) /* an abort may wait for a timer that comes within that time */
#define SPOILED     64u              /* bytes */
#define SPOIL       0xdb
#define ENCODED     0x1f

struct transport_sim_config transport_sim_config;

/* Shared, under lock. */
static struct {
    pthread_mutex_t lock;
    struct transport *transports;
    struct transport_sim_counts counts; /* of those that are gone */
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---------------------------------------------------------------------------------- chance -- */

uint64_t exchange_draw(struct exchange *x, uint64_t below) /* splitmix64, as in sim_world.c */
{
    uint64_t z = x->transport->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return below ? z % below : 0;
}

bool exchange_chance(struct exchange *x, uint32_t permille)
{
    return exchange_draw(x, 1000) < permille;
}

static uint64_t between(struct exchange *x, const uint64_t range[2])
{
    return range[0] + exchange_draw(x, range[1] - range[0] + 1);
}

static void apart(bool begins)
{
    if (transport_sim_config.apart)
        transport_sim_config.apart(begins);
}

/* --------------------------------------------------------------------------------- the end -- */

static void list_add(struct exchange *x)
{
    x->next = x->transport->running;
    if (x->next)
        x->next->prev = x;
    x->transport->running = x;
}

static void list_remove(struct exchange *x)
{
    if (x->prev)
        x->prev->next = x->next;
    else
        x->transport->running = x->next;
    if (x->next)
        x->next->prev = x->prev;
}

static void exchange_end(struct exchange *x)
{
    struct transport_request *request = x->request;
    struct transport_end end = {.error = x->aborted ? TRANSPORT_ABORTED : x->error,
                                .reused = x->reused,
                                .any_bytes = x->any_bytes || request->head.status != 0};

    if (end.error)
        snprintf(end.text, sizeof(end.text), "simulated: %s", transport_sim_fault_name(x->fault));
    if (!end.error && x->answer.framing != FRAMING_CLOSE && exchange_is_home(request->request))
        x->transport->idle++;
    if (x->fault && !x->struck)
        x->transport->counts.unmet++;
    x->transport->counts.ended++;
    list_remove(x);
    answer_free(&x->answer);
    if (transport_sim_config.ending)
        transport_sim_config.ending(request, x->struck ? x->fault : SIM_HTTP_FINE, &end,
                                    transport_sim_config.data);
    request->handle = NULL;
    free(x);
    request->events->end(request, &end);
}

/* ----------------------------------------------------------------------------------- steps -- */

/* Each gives how long it is to the next one, or EXCHANGE_NEVER. */

static uint64_t fail(struct exchange *x, enum transport_error error)
{
    exchange_strike(x);
    x->error = error;
    x->step = STEP_END;
    return exchange_chance(x, 500) ? 0 : exchange_draw(x, STEP_NS);
}

static uint64_t step_connect(struct exchange *x)
{
    if (x->fault == SIM_HTTP_REFUSED)
        return fail(x, TRANSPORT_CONNECT);
    x->step = STEP_HEAD;
    if (x->fault == SIM_HTTP_SLOW) {
        exchange_strike(x);
        return exchange_draw(x, transport_sim_config.slow_ns);
    }
    return between(x, transport_sim_config.latency_ns);
}

/* Fills the head from the answer's lines. */
static bool head_fill(struct exchange *x)
{
    struct http_head *head = &x->request->head;
    const struct answer *a = &x->answer;
    const char *line = server_text_string(&a->headers), *end;
    char length[24];
    int status = 0;

    http_head_reset(head, (unsigned)a->status);
    for (; !status && (end = strstr(line, "\r\n")) != NULL; line = end + 2) {
        const char *value = strchr(line, ':') + 2;
        status = http_head_add(head, line, (size_t)(value - line - 2), value,
                               (size_t)(end - value));
    }
    if (!status && a->framing == FRAMING_LENGTH) {
        snprintf(length, sizeof(length), "%llu", (unsigned long long)a->body_bytes);
        status = http_head_add(head, "content-length", 14, length, strlen(length));
    }
    return status == 0;
}

static uint64_t step_head(struct exchange *x)
{
    struct transport_request *request = x->request;

    switch (x->fault) {
    case SIM_HTTP_HANG:
        exchange_strike(x);
        return EXCHANGE_NEVER;
    case SIM_HTTP_IDLE_CLOSE:
        return fail(x, TRANSPORT_RESET);
    case SIM_HTTP_RESET:
        x->any_bytes = exchange_chance(x, 500);
        return fail(x, TRANSPORT_RESET);
    case SIM_HTTP_GARBAGE:
        x->any_bytes = true;
        return fail(x, TRANSPORT_PROTOCOL);
    default:
        break;
    }
    apart(true);
    exchange_answer(x);
    apart(false);
    if (x->break_at == EXCHANGE_NEVER)
        exchange_strike(x);
    if (!head_fill(x))
        return fail(x, TRANSPORT_PROTOCOL);
    request->head_seen = true;
    if (request->events->head(request, &request->head)) {
        x->error = TRANSPORT_STOPPED;
        x->step = STEP_END;
    } else {
        bool empty = x->answer.without_body || (!x->answer.body_bytes && !x->answer.endless);
        x->step = empty ? STEP_END : STEP_BODY;
    }
    return exchange_chance(x, 500) ? 0 : exchange_draw(x, STEP_NS);
}

/* So many bytes of the answer's body to `to`, or to nowhere. */
static void body_take(struct exchange *x, uint8_t *to, uint64_t count)
{
    char *buffer = x->transport->buffer;
    uint64_t done = 0;

    while (done < count) {
        size_t room = count - done < SERVER_BUFFER_BYTES ? (size_t)(count - done)
                                                         : SERVER_BUFFER_BYTES;
        const char *piece;
        size_t got = source_next(&x->answer.source, buffer, room, &piece);
        if (!got) { /* an endless body */
            memset(buffer, 0, room);
            piece = buffer;
            got = room;
        }
        for (size_t i = 0; to && i < got; i++)
            to[done + i] = (uint8_t)piece[i] ^ (x->encoded ? ENCODED : 0);
        done += got;
    }
}

/* Hands on so many bytes, as far as there is room for them; false: there is none. */
static bool body_deliver(struct exchange *x, uint64_t count)
{
    struct transport_request *request = x->request;

    while (count > 0 && !x->aborted) {
        uint64_t room = 0, some;
        uint8_t *to = request->events->room(request, &room);
        if (x->aborted)
            return true;
        if (room == 0)
            return false;
        some = room < count ? room : count;
        if (some > 1 && exchange_chance(x, 100))
            some = 1 + exchange_draw(x, some);
        body_take(x, to, some);
        if (to && room > some)
            memset(to + some, SPOIL, room - some < SPOILED ? (size_t)(room - some) : SPOILED);
        x->sent += some;
        count -= some;
        request->events->got(request, some);
    }
    return true;
}

static uint64_t piece_draw(struct exchange *x, uint64_t left)
{
    static const uint64_t most[] = {16, 1000, 5000, 16384, 70000, 300000};
    uint64_t piece = 1 + exchange_draw(x, most[exchange_draw(x, 6)]);

    return piece < left ? piece : left;
}

static uint64_t step_body(struct exchange *x)
{
    const struct answer *a = &x->answer;
    uint64_t end = a->endless                    ? EXCHANGE_NEVER
                   : x->break_at < a->body_bytes ? x->break_at
                                                 : a->body_bytes;
    uint64_t piece = piece_draw(x, end - x->sent);

    if (!body_deliver(x, piece)) {
        x->error = TRANSPORT_OVERLONG;
        x->step = STEP_END;
        return 0;
    }
    if (x->sent == x->break_at) {
        exchange_strike(x);
        return x->fault == SIM_HTTP_STALL ? EXCHANGE_NEVER : fail(x, TRANSPORT_RESET);
    }
    if (x->sent == end)
        x->step = STEP_END;
    return exchange_chance(x, 200) ? 0 : 1 + piece * SECOND_NS / x->bytes_per_s;
}

static void timer_done(struct loop_op *op);

static void timer_arm(struct exchange *x, uint64_t wait_ns)
{
    struct driver_env *env = x->transport->env;

    x->timer = (struct loop_op){.kind = LOOP_TIMER,
                                .done = timer_done,
                                .fd = -1,
                                .file = -1,
                                .buffer = -1,
                                .offset = env->os->now_ns() + wait_ns};
    x->armed = true;
    env->background++;
    env->loop_ops->submit(env->loop, &x->timer);
}

static void go_on(struct exchange *x)
{
    uint64_t wait_ns = 0;

    x->inside = true;
    if (x->aborted && x->step == STEP_HEAD && exchange_chance(x, 300))
        (void)step_head(x); /* as curl may: it was on its way */
    while (!x->aborted && x->step != STEP_END && wait_ns == 0) {
        if (x->step == STEP_CONNECT)
            wait_ns = step_connect(x);
        else
            wait_ns = x->step == STEP_HEAD ? step_head(x) : step_body(x);
    }
    x->inside = false;
    if (x->aborted || (x->step == STEP_END && wait_ns == 0))
        exchange_end(x);
    else if (wait_ns != EXCHANGE_NEVER)
        timer_arm(x, wait_ns);
}

static void timer_done(struct loop_op *op)
{
    struct exchange *x = container_of(op, struct exchange, timer);

    x->transport->env->background--;
    x->armed = false;
    go_on(x);
}

/* ------------------------------------------------------------------------------- transport -- */

static int sim_create(struct driver_env *env, struct transport **out)
{
    struct transport *transport = calloc(1, sizeof(*transport));

    if (!transport)
        return -ENOMEM;
    transport->env = env;
    transport->random = transport_sim_config.seed * 1000003 + env->worker;
    pthread_mutex_lock(&world.lock);
    transport->next = world.transports;
    world.transports = transport;
    pthread_mutex_unlock(&world.lock);
    *out = transport;
    return 0;
}

static void no_memory_run(struct driver_env *env, struct queue_node *node)
{
    struct transport_request *request = container_of(node, struct transport_request, node);

    env->background--;
    request->events->end(request, &(struct transport_end){.error = TRANSPORT_MEMORY});
}

static void aborted_run(struct driver_env *env, struct queue_node *node)
{
    struct transport_request *request = container_of(node, struct transport_request, node);

    env->background--;
    exchange_end(request->handle);
}

static void end_later(struct transport *transport, struct transport_request *request,
                      void (*run)(struct driver_env *, struct queue_node *))
{
    request->node.run = run;
    transport->env->background++;
    transport->env->post(transport->env, &request->node);
}

static void connection_choose(struct exchange *x)
{
    struct transport *transport = x->transport;

    if (x->fault != SIM_HTTP_REFUSED && transport->idle && exchange_is_home(x->request->request)) {
        transport->idle--;
        x->reused = true;
    } else if (x->fault == SIM_HTTP_IDLE_CLOSE) {
        exchange_drop_fault(x);
    }
}

static void sim_start(struct transport *transport, struct transport_request *request)
{
    struct exchange *x = calloc(1, sizeof(*x));

    request->head_seen = false;
    http_head_reset(&request->head, 0);
    request->handle = x;
    transport->counts.started++;
    if (!x) {
        transport->counts.ended++;
        end_later(transport, request, no_memory_run);
        return;
    }
    x->transport = transport;
    x->request = request;
    x->break_at = EXCHANGE_NEVER;
    x->began_ns = transport->env->os->now_ns();
    x->bytes_per_s = between(x, transport_sim_config.bytes_per_s);
    list_add(x);
    if (transport_sim_config.started)
        transport_sim_config.started(request, transport_sim_config.data);
    exchange_plan_fault(x);
    connection_choose(x);
    timer_arm(x, x->reused ? 0 : exchange_draw(x, CONNECT_NS));
}

static void sim_abort(struct transport *transport, struct transport_request *request)
{
    struct exchange *x = request->handle;
    struct driver_env *env = transport->env;

    if (!x || x->aborted)
        return;
    x->aborted = true;
    if (x->inside)
        return; /* go_on() sees it */
    if (!x->armed)
        end_later(transport, request, aborted_run);
    else if (x->timer.offset > env->os->now_ns() + ABORT_NS || exchange_chance(x, 500))
        env->loop_ops->cancel(env->loop, &x->timer);
}

static void sim_leave(struct transport *transport)
{
    assert(!transport->running);
}

static void counts_add(struct transport_sim_counts *to, const struct transport *transport)
{
    const struct transport_sim_counts *from = &transport->counts;

    to->started += from->started;
    to->ended += from->ended;
    to->planned += from->planned;
    to->struck += from->struck;
    to->unfit += from->unfit;
    to->unmet += from->unmet;
    for (const struct exchange *x = transport->running; x; x = x->next)
        if (x->began_ns < to->oldest_ns)
            to->oldest_ns = x->began_ns;
}

static void sim_destroy(struct transport *transport, bool forked)
{
    struct transport **at = &world.transports;

    if (!transport)
        return;
    assert(!forked && !transport->running);
    pthread_mutex_lock(&world.lock);
    while (*at != transport)
        at = &(*at)->next;
    *at = transport->next;
    counts_add(&world.counts, transport);
    pthread_mutex_unlock(&world.lock);
    free(transport);
}

const struct transport_ops transport_sim = {
    .name = "sim",
    .create = sim_create,
    .start = sim_start,
    .abort = sim_abort,
    .leave = sim_leave,
    .destroy = sim_destroy,
};

/* ------------------------------------------------------------------------------- the world -- */

void transport_sim_begin(const struct transport_sim_config *config)
{
    assert(!world.transports && (!config->fault_permille || config->faults > 1));
    transport_sim_config = *config;
    world.counts = (struct transport_sim_counts){.oldest_ns = UINT64_MAX};
}

void transport_sim_end(void)
{
    assert(!world.transports);
    transport_sim_config = (struct transport_sim_config){0};
}

void transport_sim_counts(struct transport_sim_counts *out)
{
    *out = world.counts;
    for (const struct transport *transport = world.transports; transport;
         transport = transport->next)
        counts_add(out, transport);
}
