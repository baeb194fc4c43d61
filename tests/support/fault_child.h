/* SPDX-License-Identifier: MIT */
/*
 * fault_child.h - test bodies that run in a process of their own: what they do to it (limits,
 * filters, timers) is gone with it.
 */
#ifndef LSIO_TESTS_FAULT_CHILD_H
#define LSIO_TESTS_FAULT_CHILD_H

#include "fault_inject.h"
#include "fault_mix.h"

/* Runs `body`, with `data` as its state, in a forked child, where cmocka's assertions work as ever;
 * fails the test if it fails there, is killed, or takes longer than a minute. The caller must hold
 * no context unless the test is about that. */
void child_run(const char *label, CMUnitTestFunction body, void *data);

/* Waits for a child and fails the test unless it exits with 0. */
void child_wait(const char *label, pid_t pid);

/* The filter that refuses some system calls with an errno, or with 0 ends the process that makes
 * one, for all threads of the process; false: there are no filters here. At most 8 calls. */
bool child_refuse(const int *calls, size_t count, int error);

#endif
