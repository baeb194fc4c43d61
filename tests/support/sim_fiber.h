/* SPDX-License-Identifier: MIT */
/*
 * sim_fiber.h - fibers: stacks that take turns on one kernel thread. Whoever decides whose turn it
 * is (sim_threads.c) calls sim_fiber_switch(). errno and the thread-locals (sim_points.h) change
 * with the fiber.
 */
#ifndef LSIO_TESTS_SIM_FIBER_H
#define LSIO_TESTS_SIM_FIBER_H

#include <stdbool.h>

struct sim_fiber;

/* A fiber that will begin with `run(argument)`, which must never return. NULL, NULL: one for the
 * stack that the caller runs on. */
struct sim_fiber *sim_fiber_create(void (*run)(void *argument), void *argument);
/* Not the running one. Its stack is kept for the next fiber. */
void sim_fiber_destroy(struct sim_fiber *fiber);
/* Leaves `from`, the running one, for `to`; `last`: `from` will not run again. */
void sim_fiber_switch(struct sim_fiber *from, struct sim_fiber *to, bool last);

#endif
