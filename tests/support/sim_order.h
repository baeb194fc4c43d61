/* SPDX-License-Identifier: MIT */
/*
 * sim_order.h - what the scheduler (sim_threads.c) gives to the functions that stand in for
 * pthread's (sim_wraps.c). All of it between sim_threads_begin() and _end() only.
 */
#ifndef LSIO_TESTS_SIM_ORDER_H
#define LSIO_TESTS_SIM_ORDER_H

#include <stdbool.h>
#include <stdint.h>

struct sim_fiber;

struct sim_wait {
    bool (*ready)(void *data); /* as for sim_threads_wait() */
    void *data;
    uint64_t until_ns;
    /* for reports */
    const char *what;
    const void *object;   /* may be NULL */
    const uint32_t *whom; /* the thread that it waits for, if known */
};

struct sim_thread {
    uint32_t id; /* from 1 */
    char name[16];
    struct sim_fiber *fiber;
    void *(*run)(void *argument);
    void *argument, *result;
    bool begun, ended, joined, detached;
    uint32_t priority;
    struct sim_wait wait; /* ready NULL: it can run */
    uint64_t since_ns;
    /* sim_wraps.c: the condition it waits on; NULL once signaled */
    const void *condition;
};

struct sim_thread *sim_order_self(void);
/* The thread with that id, ended or not; NULL: there was none. */
struct sim_thread *sim_order_thread(uint64_t id);
/* May run before the caller does again. NULL: no memory. */
struct sim_thread *sim_order_create(void *(*run)(void *argument), void *argument);
/* Its stack can be used again: it has ended, and nobody will ask for it. */
void sim_order_release(struct sim_thread *thread);
/* Blocks until wait->ready(): true; or until that time: false. */
bool sim_order_block(const struct sim_wait *wait);
/* Draws and enters into the trace. */
bool sim_order_chance(uint32_t permille);
/* As sim_threads_fail(), but for a mistake in the use of `object`: aborts. */
_Noreturn void sim_order_misuse(const char *why, const void *object);

/* sim_frames.c: the calls that led here; with names and lines where addr2line is installed. */
void sim_print_frames(void);

#endif
