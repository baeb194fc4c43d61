/* SPDX-License-Identifier: MIT */
/*
 * transport_sim.h - a transport (driver/http/transport.h) without a network: requests are answered
 * by the fault server's objects (server/fault_server.h) in memory, at times that the timers of the
 * worker's loop tell, and everything that may vary is drawn from one seed: how late an answer
 * begins, in which pieces it comes, what goes wrong with it, whose turn it is.
 *
 *     struct server *server = transport_sim_server(SERVER_S3);
 *     server_put(server, &(struct server_object){.path = "/bucket/key", ...});
 *     transport_sim_begin(&(struct transport_sim_config){.seed = 1, .server = server, ...});
 *     ... driver_http->state_create(...), state->transport_ops = &transport_sim ...
 *     transport_sim_end();
 *     transport_sim_server_free(server);
 *
 * On the simulated loop (sim_loop.h) a seed is one run; on a real one the times are real. One world
 * at a time. Threads: a transport is its worker's; the functions below are called while no worker
 * runs, or on its kernel thread, as fibers are.
 */
#ifndef LSIO_TESTS_TRANSPORT_SIM_H
#define LSIO_TESTS_TRANSPORT_SIM_H

#include "driver/http/transport.h"
#include "server/fault_server.h"

/* What may happen to a request. */
enum transport_sim_fault {
    SIM_HTTP_FINE = 0,
    /* no answer, or not the whole of it */
    SIM_HTTP_REFUSED,    /* no connection is made */
    SIM_HTTP_IDLE_CLOSE, /* a connection that was used before ends before any byte */
    SIM_HTTP_RESET,      /* before the head */
    SIM_HTTP_RESET_BODY,
    SIM_HTTP_HANG,  /* nothing comes, for ever */
    SIM_HTTP_STALL, /* nothing more comes, in the middle of the body */
    SIM_HTTP_GARBAGE,
    /* an error, or another place */
    SIM_HTTP_BUSY,     /* 429 */
    SIM_HTTP_SLOWDOWN, /* 503 */
    SIM_HTTP_LATER,    /* 503 with Retry-After */
    SIM_HTTP_ERROR,    /* 500 */
    SIM_HTTP_EXPIRED,  /* 403 ExpiredToken on S3, else 401 */
    SIM_HTTP_MOVED,    /* 307 to the same host */
    SIM_HTTP_MOVED_AWAY, /* 307 to another */
    /* an answer that does not fit; instead of a 206 only */
    SIM_HTTP_OTHER_RANGE,
    SIM_HTTP_NO_RANGE,     /* 206 without Content-Range */
    SIM_HTTP_WRONG_LENGTH, /* Content-Length and Content-Range contradict each other */
    SIM_HTTP_MULTIPART,
    SIM_HTTP_ENDLESS, /* the body goes on behind its range, without a length */
    SIM_HTTP_ENCODED, /* Content-Encoding: gzip */
    /* a right answer all the same */
    SIM_HTTP_WHOLE,   /* 200 and the whole object for a range */
    SIM_HTTP_PART,    /* 206 of the range's beginning */
    SIM_HTTP_UNSIZED, /* no Content-Length: the connection's end is the body's */
    SIM_HTTP_SLOW,    /* the answer begins late */
    SIM_HTTP_FAULTS
};

#define TRANSPORT_SIM_HOME "home.test" /* the server's host; connections to others are not kept */

struct transport_sim_config {
    uint64_t seed;
    struct server *server;
    uint64_t latency_ns[2]; /* to the first byte: from, to */
    uint64_t slow_ns;       /* SIM_HTTP_SLOW: at most so late */
    uint64_t bytes_per_s[2]; /* of each connection */
    uint32_t fault_permille; /* of the requests have a fault, of kinds whose bit is set */
    uint32_t faults;
    bool bare_404; /* 404 does not say what is absent */
    /* The next three may be NULL. A request begins; one has ended, with `fault` if that has had an
     * effect, and its end() is called next. */
    void (*started)(const struct transport_request *request, void *data);
    void (*ending)(const struct transport_request *request, enum transport_sim_fault fault,
                   const struct transport_end *end, void *data);
    /* Around what the server does, whose allocations are not to fail. */
    void (*apart)(bool begins);
    void *data;
};

struct transport_sim_counts {
    uint64_t started, ended;
    uint64_t planned; /* faults, of which these ... */
    uint64_t struck;  /* had their effect, ... */
    uint64_t unfit;   /* did not fit the request, ... */
    uint64_t unmet;   /* or came too late: the request had been aborted or refused */
    uint64_t oldest_ns; /* when the oldest running request was started; UINT64_MAX: none runs */
};

extern const struct transport_ops transport_sim;

/* The fault server without its sockets and threads: for server_put() and its kin, and
 * server_url(). */
struct server *transport_sim_server(enum server_style style);
void transport_sim_server_free(struct server *server);

void transport_sim_begin(const struct transport_sim_config *config);
void transport_sim_end(void); /* after the last transport's destroy */
void transport_sim_counts(struct transport_sim_counts *out);
const char *transport_sim_fault_name(enum transport_sim_fault fault);

#endif
