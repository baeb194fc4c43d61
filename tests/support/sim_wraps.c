/* SPDX-License-Identifier: MIT */
/*
 * sim_wraps.c - the functions that the linker puts in the place of pthread's and the clock's
 * (-Wl,--wrap, tests/CMakeLists.txt) in programs of tests/sim. Outside of sim_threads_begin() and
 * _end() they call the real ones.
 *
 * A mutex and a condition keep their simulated state in their own memory, where all zeros mean
 * free: that is what static initializers and real unlocked ones hold too. What POSIX leaves
 * undefined is a misuse here, which ends the program with the reason.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "sim_loop.h"
#include "sim_order.h"
#include "sim_threads.h"

#define DESTROYED         UINT32_C(0xdeadbeef)
#define SPURIOUS_PERMILLE 10
#define SECOND_NS         UINT64_C(1000000000)
#define WALL_CLOCK_NS     (UINT64_C(1700000000) * SECOND_NS) /* CLOCK_REALTIME begins there */
#define MEMLOCK_BYTES     (8u << 20)                         /* the kernel's default */

struct mutex {
    uint32_t owner; /* a thread's id; 0: free */
    uint32_t state; /* 0 or DESTROYED */
} __attribute__((may_alias));

struct condition {
    uint32_t clock; /* clockid_t */
    uint32_t state;
} __attribute__((may_alias));

_Static_assert(sizeof(struct mutex) <= sizeof(pthread_mutex_t), "a mutex is kept in its memory");
_Static_assert(sizeof(struct condition) <= sizeof(pthread_cond_t), "and a condition");

/* Calls of `name` come to __wrap_name(); __real_name() is what they would have called. */
#define WRAP(type, name, ...)         \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)

WRAP(int, pthread_create, pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *),
     void *argument);
WRAP(int, pthread_join, pthread_t thread, void **result);
WRAP(int, pthread_detach, pthread_t thread);
WRAP(pthread_t, pthread_self, void);
WRAP(int, pthread_setname_np, pthread_t thread, const char *name);
WRAP(int, pthread_mutex_init, pthread_mutex_t *mutex, const pthread_mutexattr_t *attr);
WRAP(int, pthread_mutex_destroy, pthread_mutex_t *mutex);
WRAP(int, pthread_mutex_lock, pthread_mutex_t *mutex);
WRAP(int, pthread_mutex_trylock, pthread_mutex_t *mutex);
WRAP(int, pthread_mutex_unlock, pthread_mutex_t *mutex);
WRAP(int, pthread_cond_init, pthread_cond_t *cond, const pthread_condattr_t *attr);
WRAP(int, pthread_cond_destroy, pthread_cond_t *cond);
WRAP(int, pthread_cond_wait, pthread_cond_t *cond, pthread_mutex_t *mutex);
WRAP(int, pthread_cond_timedwait, pthread_cond_t *cond, pthread_mutex_t *mutex,
     const struct timespec *until);
WRAP(int, pthread_cond_clockwait, pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
     const struct timespec *until);
WRAP(int, pthread_cond_signal, pthread_cond_t *cond);
WRAP(int, pthread_cond_broadcast, pthread_cond_t *cond);
WRAP(int, nanosleep, const struct timespec *time, struct timespec *left);
WRAP(int, sched_yield, void);
WRAP(int, clock_gettime, clockid_t clock, struct timespec *out);
WRAP(time_t, time, time_t *out);
WRAP(int, getrlimit, int resource, struct rlimit *out);

/* --------------------------------------------------------------------------------- threads -- */

static struct sim_thread *thread_of(pthread_t thread)
{
    struct sim_thread *found = sim_order_thread((uint64_t)thread);

    if (!found || found->joined || found->detached)
        sim_order_misuse("there is no such thread, or it was joined or detached", NULL);
    return found;
}

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *),
                          void *argument)
{
    struct sim_thread *thread;

    if (!sim_threads_running())
        return __real_pthread_create(out, attr, run, argument);
    thread = sim_order_create(run, argument);
    if (!thread)
        return EAGAIN;
    *out = (pthread_t)thread->id;
    sim_point();
    return 0;
}

static bool thread_ended(void *thread)
{
    return ((const struct sim_thread *)thread)->ended;
}

int __wrap_pthread_join(pthread_t id, void **result)
{
    struct sim_thread *thread;

    if (!sim_threads_running())
        return __real_pthread_join(id, result);
    thread = thread_of(id);
    if (thread == sim_order_self())
        sim_order_misuse("a thread joins itself", NULL);
    thread->joined = true;
    (void)sim_order_block(&(struct sim_wait){.ready = thread_ended,
                                             .data = thread,
                                             .until_ns = SIM_NEVER,
                                             .what = "the end",
                                             .whom = &thread->id});
    if (result)
        *result = thread->result;
    sim_order_release(thread);
    return 0;
}

int __wrap_pthread_detach(pthread_t id)
{
    if (!sim_threads_running())
        return __real_pthread_detach(id);
    thread_of(id)->detached = true;
    return 0;
}

pthread_t __wrap_pthread_self(void)
{
    return sim_threads_running() ? (pthread_t)sim_order_self()->id : __real_pthread_self();
}

int __wrap_pthread_setname_np(pthread_t id, const char *name)
{
    struct sim_thread *thread;

    if (!sim_threads_running())
        return __real_pthread_setname_np(id, name);
    thread = thread_of(id);
    (void)snprintf(thread->name, sizeof thread->name, "%s", name);
    return 0;
}

int __wrap_sched_yield(void)
{
    if (!sim_threads_running())
        return __real_sched_yield();
    sim_point();
    return 0;
}

/* --------------------------------------------------------------------------------- mutexes -- */

static struct mutex *mutex_of(pthread_mutex_t *mutex)
{
    struct mutex *own = (struct mutex *)mutex;

    if (own->state == DESTROYED)
        sim_order_misuse("use of a destroyed mutex", mutex);
    return own;
}

static bool mutex_is_free(void *mutex)
{
    return ((const struct mutex *)mutex)->owner == 0;
}

static void mutex_take(struct mutex *mutex)
{
    uint32_t self = sim_order_self()->id;

    if (mutex->owner == self)
        sim_order_misuse("a thread locks a mutex that it holds", mutex);
    if (mutex->owner)
        (void)sim_order_block(&(struct sim_wait){.ready = mutex_is_free,
                                                 .data = mutex,
                                                 .until_ns = SIM_NEVER,
                                                 .what = "the mutex",
                                                 .object = mutex,
                                                 .whom = &mutex->owner});
    mutex->owner = self;
}

static void mutex_give(struct mutex *mutex)
{
    if (mutex->owner != sim_order_self()->id)
        sim_order_misuse("a thread unlocks a mutex that it does not hold", mutex);
    mutex->owner = 0;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
    if (!sim_threads_running())
        return __real_pthread_mutex_init(mutex, attr);
    memset(mutex, 0, sizeof *mutex);
    return 0;
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    struct mutex *own;

    if (!sim_threads_running())
        return __real_pthread_mutex_destroy(mutex);
    own = mutex_of(mutex);
    if (own->owner)
        sim_order_misuse("a locked mutex is destroyed", mutex);
    own->state = DESTROYED;
    return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (!sim_threads_running())
        return __real_pthread_mutex_lock(mutex);
    sim_point();
    mutex_take(mutex_of(mutex));
    return 0;
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex)
{
    struct mutex *own;

    if (!sim_threads_running())
        return __real_pthread_mutex_trylock(mutex);
    sim_point();
    own = mutex_of(mutex);
    if (own->owner)
        return EBUSY;
    own->owner = sim_order_self()->id;
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    if (!sim_threads_running())
        return __real_pthread_mutex_unlock(mutex);
    mutex_give(mutex_of(mutex));
    sim_point(); /* the mutex may be gone when we run again */
    return 0;
}

/* ------------------------------------------------------------------------------ conditions -- */

static struct condition *condition_of(pthread_cond_t *cond)
{
    struct condition *own = (struct condition *)cond;

    if (own->state == DESTROYED)
        sim_order_misuse("use of a destroyed condition", cond);
    return own;
}

/* The first waiting thread with an id above `id`, or NULL. */
static struct sim_thread *next_waiter(const pthread_cond_t *cond, uint32_t id)
{
    struct sim_thread *thread;

    while ((thread = sim_order_thread(++id)) != NULL)
        if (thread->condition == cond)
            return thread;
    return NULL;
}

static uint32_t count_waiters(const pthread_cond_t *cond)
{
    struct sim_thread *thread = NULL;
    uint32_t count = 0;

    while ((thread = next_waiter(cond, thread ? thread->id : 0)) != NULL)
        count++;
    return count;
}

static bool was_signaled(void *thread)
{
    return ((const struct sim_thread *)thread)->condition == NULL;
}

static int condition_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t until_ns)
{
    struct sim_thread *self = sim_order_self();
    struct mutex *lock = mutex_of(mutex);
    bool signaled = true;

    sim_point();
    mutex_give(lock);
    if (sim_order_chance(SPURIOUS_PERMILLE)) {
        sim_point();
    } else {
        self->condition = cond;
        signaled = sim_order_block(&(struct sim_wait){.ready = was_signaled,
                                                      .data = self,
                                                      .until_ns = until_ns,
                                                      .what = "the condition",
                                                      .object = cond});
        self->condition = NULL;
    }
    mutex_take(lock); /* the condition may be destroyed by now */
    return signaled ? 0 : ETIMEDOUT;
}

/* In virtual time. */
static uint64_t until_of(clockid_t clock, const struct timespec *until)
{
    uint64_t ns = (uint64_t)until->tv_sec * SECOND_NS + (uint64_t)until->tv_nsec;

    if (until->tv_sec < 0)
        return 0;
    if (clock == CLOCK_REALTIME)
        return ns > WALL_CLOCK_NS ? ns - WALL_CLOCK_NS : 0;
    return ns;
}

int __wrap_pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attr)
{
    clockid_t clock = CLOCK_REALTIME;

    if (!sim_threads_running())
        return __real_pthread_cond_init(cond, attr);
    memset(cond, 0, sizeof *cond);
    if (attr)
        (void)pthread_condattr_getclock(attr, &clock);
    ((struct condition *)cond)->clock = (uint32_t)clock;
    return 0;
}

int __wrap_pthread_cond_destroy(pthread_cond_t *cond)
{
    if (!sim_threads_running())
        return __real_pthread_cond_destroy(cond);
    if (count_waiters(cond))
        sim_order_misuse("a condition is destroyed with threads waiting on it", cond);
    condition_of(cond)->state = DESTROYED;
    return 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    if (!sim_threads_running())
        return __real_pthread_cond_wait(cond, mutex);
    (void)condition_of(cond);
    return condition_wait(cond, mutex, SIM_NEVER);
}

int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                  const struct timespec *until)
{
    if (!sim_threads_running())
        return __real_pthread_cond_timedwait(cond, mutex, until);
    return condition_wait(cond, mutex, until_of((clockid_t)condition_of(cond)->clock, until));
}

int __wrap_pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                                  const struct timespec *until)
{
    if (!sim_threads_running())
        return __real_pthread_cond_clockwait(cond, mutex, clock, until);
    (void)condition_of(cond);
    return condition_wait(cond, mutex, until_of(clock, until));
}

static void wake(pthread_cond_t *cond, uint32_t which)
{
    struct sim_thread *thread = next_waiter(cond, 0);

    while (which-- && thread)
        thread = next_waiter(cond, thread->id);
    if (thread)
        thread->condition = NULL;
}

/* POSIX: at least one. */
int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    uint32_t count;

    if (!sim_threads_running())
        return __real_pthread_cond_signal(cond);
    (void)condition_of(cond);
    sim_point();
    do {
        count = count_waiters(cond);
        if (count)
            wake(cond, sim_threads_draw(count));
    } while (count > 1 && sim_order_chance(SPURIOUS_PERMILLE));
    sim_point();
    return 0;
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
    if (!sim_threads_running())
        return __real_pthread_cond_broadcast(cond);
    (void)condition_of(cond);
    sim_point();
    while (count_waiters(cond))
        wake(cond, 0);
    sim_point();
    return 0;
}

/* ------------------------------------------------------------------------------------ time -- */

static bool never(void *data)
{
    (void)data;
    return false;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    uint64_t ns = (uint64_t)time->tv_sec * SECOND_NS + (uint64_t)time->tv_nsec;

    if (!sim_threads_running())
        return __real_nanosleep(time, left);
    (void)sim_order_block(&(struct sim_wait){
        .ready = never, .until_ns = sim_now_ns() + ns, .what = "the end of its sleep"});
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    uint64_t ns;

    if (!sim_threads_running())
        return __real_clock_gettime(clock, out);
    ns = sim_now_ns() + (clock == CLOCK_REALTIME ? WALL_CLOCK_NS : 0);
    *out = (struct timespec){.tv_sec = (time_t)(ns / SECOND_NS), .tv_nsec = (long)(ns % SECOND_NS)};
    return 0;
}

time_t __wrap_time(time_t *out)
{
    time_t now_s = (time_t)((sim_now_ns() + WALL_CLOCK_NS) / SECOND_NS);

    if (!sim_threads_running())
        return __real_time(out);
    if (out)
        *out = now_s;
    return now_s;
}

/* ----------------------------------------------------------------------------- the machine -- */

/* The share of the budget that is registered depends on it. */
int __wrap_getrlimit(int resource, struct rlimit *out)
{
    if (!sim_threads_running() || resource != RLIMIT_MEMLOCK)
        return __real_getrlimit(resource, out);
    *out = (struct rlimit){.rlim_cur = MEMLOCK_BYTES, .rlim_max = MEMLOCK_BYTES};
    return 0;
}
