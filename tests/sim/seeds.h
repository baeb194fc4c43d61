/* SPDX-License-Identifier: MIT */
/*
 * seeds.h - how a program of scenarios runs its seeds.
 *
 *   test-sim-X                  LSIO_SIM_SEEDS seeds from LSIO_SIM_SEED on
 *   test-sim-X --seed N [-v]    one seed, in this process; -v: with a trace
 *
 * Seeds are independent: two processes with ranges of their own use two cores.
 */
#ifndef LSIO_TESTS_SIM_SEEDS_H
#define LSIO_TESTS_SIM_SEEDS_H

#include <stdbool.h>
#include <stdint.h>

struct scenario_world;

/* First in main(); `usual`: how many seeds, if nobody says. True: one seed was asked for, and has
 * passed. */
bool seeds_begin(const struct scenario_world *world, uint64_t usual, int count, char **arguments);

/* Tests for cmocka. */
void seeds_pass(void **state);
void seeds_replay(void **state);

/* scenario_seen of all seeds so far; at least the usual number is to be played. */
uint64_t seeds_seen(void);
bool seeds_are_usual(void);

#endif
