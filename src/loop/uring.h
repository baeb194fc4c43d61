/* SPDX-License-Identifier: MIT */
/* uring.h - the loop on io_uring (Linux 5.11 or newer). Exists with LSIO_HAVE_URING. */
#ifndef LSIO_LOOP_URING_H
#define LSIO_LOOP_URING_H

#include "loop/loop.h"

extern const struct loop_ops loop_uring;

#endif
