/* SPDX-License-Identifier: MIT */
/*
 * fault_hold.h - a real loop whose operations can be held on their way: submitted, as far as the
 * library can tell, and not complete until the test says so. So a test can stop a batch in a given
 * state for as long as it likes, and look what a cancel does there.
 *
 *     hold_begin("uring");
 *     context_create(&config, hold_world(), &context);
 *     hold_operations(1u << LOOP_READ, false);     reads are held from now on
 *     ... submit ...
 *     hold_wait(4);                                4 are held, and their worker sleeps
 *     ... cancel ...
 *     hold_release();                              what is still held goes to the kernel
 *
 * Memory that a held operation will write is filled with HOLD_POISON, so early use shows; if it is
 * given to another operation meanwhile, hold_end() says so. All functions but hold_begin() and
 * hold_end() may be called on any thread. There is one at a time.
 */
#ifndef LSIO_TESTS_FAULT_HOLD_H
#define LSIO_TESTS_FAULT_HOLD_H

#include "engine/engine.h"

#define HOLD_POISON 0xdb

void hold_begin(const char *loop);
const struct context_world *hold_world(void);
/* False if memory was used twice, or operations were left. */
bool hold_end(void);

/* Holds what is submitted of these kinds (bits by enum loop_kind). A held operation that is
 * canceled ends at once, or, if the kernel is `late`, as if nobody had asked. */
void hold_operations(unsigned kinds, bool late);
/* Holds the worker in the next look at an open file. */
void hold_stat(void);
/* Nothing is held any more. Operations that were come back all at once. */
void hold_release(void);

uint32_t hold_count(void); /* operations held now */
/* Waits until at least `count` operations of one loop are held and its worker is asleep. */
void hold_wait(uint32_t count);
/* Waits until a worker is held by hold_stat(). */
void hold_wait_stat(void);
/* Wakes all workers, to have another look at what they can do. */
void hold_poke(void);

#endif
