/* SPDX-License-Identifier: MIT */
/*
 * epoll.h - the loop for kernels and sandboxes without io_uring: what is cached is read by the
 * worker itself, what would block by a pool of threads that all loops of a context share.
 */
#ifndef LSIO_LOOP_EPOLL_H
#define LSIO_LOOP_EPOLL_H

#include "loop/loop.h"

extern const struct loop_ops loop_epoll;

#endif
