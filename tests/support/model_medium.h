/* SPDX-License-Identifier: MIT */
/*
 * model_medium.h - how long a medium takes: a bucket or a disk as a queue with latency, bandwidth
 * and a rate of requests, at any scale. Only times, no bytes; no clock of its own.
 *
 * A request takes a free connection (else it waits for one, first come first served), waits for its
 * turn in the rate of requests and then for its first byte, and is transferred at the speed of its
 * connection or, if all together would exceed what the line carries, at an equal share of that. A
 * disk with an arm is a medium with one connection, whose latency depends on how far the arm has to
 * go. There is no elevator: requests are served in the order in which they were begun.
 *
 * The caller holds its own lock around all calls and brings the time, which never goes back.
 */
#ifndef LSIO_TESTS_MODEL_MEDIUM_H
#define LSIO_TESTS_MODEL_MEDIUM_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_CONNECTIONS_MAX 4096u

struct model_config {
    uint64_t latency_ns;              /* from a request to its first byte: the mean, ... */
    uint64_t latency_spread_ns;       /* ... and how much more or less it may be; not of an arm.
                                         Without it what begins together ends together for ever */
    uint64_t stream_bytes_per_second; /* of one connection */
    uint64_t line_bytes_per_second;   /* of all together */
    uint64_t requests_per_second;     /* 0: no limit */
    uint32_t connections;             /* at most MODEL_CONNECTIONS_MAX */
    /* an arm: latency_ns is then that of a move by a third of span_bytes, the mean of random
     * moves, and settle_ns that of the shortest. span_bytes 0: no arm */
    uint64_t settle_ns, span_bytes;
};

enum model_state { MODEL_QUEUED, MODEL_WAITING, MODEL_TRANSFER, MODEL_DONE };

struct model_request {
    /* the caller's, before begin */
    uint64_t place, bytes;
    /* the medium's */
    struct model_request *next; /* in the queue */
    enum model_state state;
    uint64_t start_ns; /* when it got a connection */
    uint64_t first_ns; /* of its first byte, once it has a connection */
    double left;       /* bytes, while it is transferred */
};

struct model_medium {
    struct model_config config;
    uint64_t now_ns;
    uint64_t turn_ns; /* when the rate of requests allows the next */
    uint64_t arm;     /* where it stands */
    uint64_t random;
    struct model_request *busy[MODEL_CONNECTIONS_MAX];
    uint32_t busy_count, transfer_count;
    struct model_request *queue, **queue_end;
    uint64_t requests, bytes; /* begun so far */
    uint32_t busy_max;
    uint64_t ends[MODEL_CONNECTIONS_MAX]; /* working memory of look() */
};

void model_medium_init(struct model_medium *medium, const struct model_config *config,
                       uint64_t now_ns);
void model_medium_begin(struct model_medium *medium, struct model_request *request,
                        uint64_t now_ns);
/* 0: the request is complete; else a time before which it cannot be: look again then. */
uint64_t model_medium_look(struct model_medium *medium, struct model_request *request,
                           uint64_t now_ns);
/* Ends a request early. */
void model_medium_drop(struct model_medium *medium, struct model_request *request,
                       uint64_t now_ns);

#endif
