/* SPDX-License-Identifier: MIT */
/*
 * check.h - the five invariants of FAULTS, per chunk, batch and context. What is wrong ends the
 * seed by scenario_fail().
 *
 * What a chunk may end with, beyond the oracle's answer for any version of its file that could be
 * seen during the batch, and why:
 *
 *   a fault's status      a fault was injected for the chunk's file
 *   -ECANCELED            its batch was canceled before, or is fail-fast and a chunk failed
 *   -ETIMEDOUT            its batch's deadline has passed
 *   -ENOMEM               an allocation was made to fail
 *   -EAGAIN               likewise, and the driver could not start its helper thread
 *   LSIO_E_BUDGET         it cannot fit the budget (and then it must), or its chain asks for more
 *                         room than scratch memory has
 *   LSIO_E_CHANGED        its file changed, or is not the one that was stated
 *   LSIO_E_TRUNCATED      its file was shortened in place
 *   LSIO_E_CORRUPT        its file was written in place, and the chain has a checksum
 *
 * With status 0 its bytes are exactly those of one version.
 */
#ifndef LSIO_TESTS_SIM_CHECK_H
#define LSIO_TESTS_SIM_CHECK_H

#include "scenario.h"

/* All chunks of a batch that has ended, once. `handle`: NULL if it may not be used any more; then
 * allocated data is gone, too. Afterwards the destinations are full of AFTER. */
void check_batch(struct scenario *s, struct batch *batch, struct lsio_batch *handle);
/* The status of the whole, as lsio_read_batch(), wait and on_done give it. */
void check_status(const struct batch *batch, int status);
/* Progress, errors and counters of a batch that may be running. */
void check_running(struct scenario *s, const struct batch *batch, struct lsio_batch *handle);
/* Memory that is out now. */
void check_budget(const struct scenario *s);
/* All batches have ended and nothing moves: nothing is held anywhere. */
void check_quiet(struct scenario *s);
/* The context is destroyed. */
void check_end(struct scenario *s);

#endif
