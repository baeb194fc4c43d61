/* SPDX-License-Identifier: MIT */
/*
 * transport_sim_impl.h - what the files of the simulated transport share:
 *
 *     transport_sim.c           exchanges: their events and times
 *     transport_sim_answer.c    what the server answers, and what a fault makes of it
 */
#ifndef LSIO_TESTS_TRANSPORT_SIM_IMPL_H
#define LSIO_TESTS_TRANSPORT_SIM_IMPL_H

#include "server/server_impl.h"
#include "transport_sim.h"

#define EXCHANGE_NEVER UINT64_MAX

enum step { STEP_CONNECT = 0, STEP_HEAD, STEP_BODY, STEP_END };

struct exchange {
    struct exchange *next, *prev; /* the transport's running ones */
    struct transport *transport;
    struct transport_request *request;
    struct loop_op timer;
    bool armed;
    bool inside; /* an event is being delivered */
    bool aborted;
    bool reused;
    enum step step;
    enum transport_sim_fault fault;
    bool struck;
    uint64_t began_ns;
    uint64_t bytes_per_s;
    uint64_t sent;     /* of the body */
    uint64_t break_at; /* where the body breaks off; EXCHANGE_NEVER: it does not */
    struct answer answer;
    enum transport_error error;
    bool any_bytes;
    bool encoded; /* the body's bytes are others than the object's */
};

struct transport {
    struct transport *next; /* all of the world; under its lock */
    struct driver_env *env;
    struct exchange *running;
    uint32_t idle; /* connections to the home host that may be used again */
    uint64_t random;
    struct transport_sim_counts counts;
    char buffer[SERVER_BUFFER_BYTES];
};

extern struct transport_sim_config transport_sim_config; /* frozen while there are transports */

/* transport_sim.c */
/* A number below `below`, drawn from the transport's seed; true so often of a thousand. */
uint64_t exchange_draw(struct exchange *x, uint64_t below);
bool exchange_chance(struct exchange *x, uint32_t permille);

/* transport_sim_answer.c */
bool exchange_is_home(const struct http_request *http);
/* Perhaps gives it a fault, ... */
void exchange_plan_fault(struct exchange *x);
/* ... which has its effect now, ... */
void exchange_strike(struct exchange *x);
/* ... or cannot. */
void exchange_drop_fault(struct exchange *x);
/* Makes the answer, with the fault if it fits, else without one. */
void exchange_answer(struct exchange *x);

#endif
