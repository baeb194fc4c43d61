/* SPDX-License-Identifier: MIT */
/*
 * transfer_impl.h - what transfer.c (an attempt: its requests and its clock) and transfer_end.c
 * (what comes of it) share.
 */
#ifndef LSIO_DRIVER_HTTP_TRANSFER_IMPL_H
#define LSIO_DRIVER_HTTP_TRANSFER_IMPL_H

#include "driver/http/transfer.h"

#define NS_PER_MS UINT64_C(1000000)

static inline uint64_t transfer_now_ns(const struct http_transfer *t)
{
    return t->worker->env->os->now_ns();
}

/* transfer.c: the next attempt. */
void transfer_go(struct http_transfer *t);

/* transfer_end.c */
/* No request of this attempt is in flight any more: what came of it? */
void transfer_attempt_end(struct http_transfer *t);
/* Gives the permit back, if there is one. */
void transfer_permit_return(struct http_transfer *t, enum http_outcome outcome);
/* Keeps the first sentence about what went wrong. */
void transfer_why(struct http_transfer *t, const char *text);
/* The transfer is its owner's again. */
void transfer_finish(struct http_transfer *t, int32_t status);

#endif
