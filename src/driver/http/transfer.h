/* SPDX-License-Identifier: MIT */
/*
 * transfer.h - one thing wanted of a server, through all it takes: credentials, a permit, requests,
 * redirects, retries, resumption, time limits. What is wanted - a range of an object, a page of a
 * listing - is behind http_transfer_ops.
 *
 *   transfer_start -> credential? -> permit? -> prepare, sign, send -> answer -> done
 *                          ^                                             |
 *                          +------------ back-off, redirect -------------+
 *
 * Everything is the worker's on which it was started. done() runs exactly once; it may be from
 * inside transfer_start() or transfer_cancel().
 */
#ifndef LSIO_DRIVER_HTTP_TRANSFER_H
#define LSIO_DRIVER_HTTP_TRANSFER_H

#include "driver/http/host.h"
#include "driver/http/http.h"
#include "driver/http/judge.h"
#include "driver/http/transport.h"

#define HTTP_TEXT_BYTES  6144u /* path, query and headers of one request, encoded and signed */
#define HTTP_ERROR_BYTES 2048u /* of the body of an error that are looked at */

struct http_transfer;

struct http_transfer_ops {
    /* Method, path, query and headers of the next request, but for what signs it. 0 or a status,
     * which ends the transfer. */
    int (*prepare)(struct http_transfer *transfer, struct http_request *request,
                   struct http_text *text);
    /* The same of a request that any store which holds the bucket answers, and that costs little:
     * asked after a 404 that does not say what is absent. NULL: it is no object that is wanted,
     * and nothing is ever absent. */
    int (*ask)(struct http_transfer *transfer, struct http_request *request,
               struct http_text *text);
    /* An answer of status 2xx or 416: 0 if its body is to come, else a status, which ends the
     * transfer; TRANSFER_AGAIN asks anew at once, TRANSFER_DONE is a good end. */
    int (*head)(struct http_transfer *transfer, const struct http_head *head);
    /* As transport_events. */
    void *(*room)(struct http_transfer *transfer, uint64_t *bytes);
    void (*got)(struct http_transfer *transfer, uint64_t bytes);
    /* The answer has ended well. 0, a status, or TRANSFER_AGAIN to go on with what is missing. */
    int (*complete)(struct http_transfer *transfer);
    /* An answer said LSIO_E_CHANGED: true to ask anew for what there is now. NULL: false. */
    bool (*restart)(struct http_transfer *transfer);
    void (*done)(struct http_transfer *transfer, int32_t status);
};

#define TRANSFER_AGAIN 1
#define TRANSFER_DONE  2 /* all is known that was wanted: the rest of the answer is not */

enum transfer_state {
    TRANSFER_IDLE = 0,
    TRANSFER_CREDENTIAL, /* waits for credentials */
    TRANSFER_PERMIT,     /* waits for a permit */
    TRANSFER_RUNNING,
    TRANSFER_SLEEPING /* until it is tried again */
};

/* Who ended a request, and by which clock. */
enum transfer_cause { TRANSFER_BY_SERVER = 0, TRANSFER_LATE, TRANSFER_STALLED, TRANSFER_TOO_LONG };

/* One request in flight; the second is a hedge. */
struct http_wire {
    struct http_transfer *transfer;
    uint64_t sent_ns;
    bool running;
    bool let_go;                   /* its answer is refused, for the other request's sake */
    struct transport_request base; /* last, for its head is */
};

struct http_transfer {
    const struct http_transfer_ops *ops;
    struct http_store *store;
    struct http_worker *worker;
    struct http_transfer *next, *prev; /* the worker's running ones; the free list */
    enum transfer_state state;
    bool canceled;
    bool has_permit;
    /* all attempts */
    uint32_t attempts;
    uint32_t redirects;
    uint32_t unresolved; /* attempts for which the host's name had no address */
    uint64_t began_ns;
    uint64_t sleep_ns; /* the last back-off */
    bool credentials_renewed, region_changed, clock_changed;
    bool asking;  /* whether it is the object or the bucket that is absent */
    bool garbled; /* one answer was no HTTP */
    bool foreign; /* redirected to another host: nothing secret goes there */
    /* this attempt */
    struct http_wire *owner; /* whose answer it is */
    uint64_t first_byte_ns;
    uint64_t progress, progress_seen; /* bytes of answers, for the clock */
    uint64_t quiet_ns;                /* so long they have not grown */
    enum transfer_cause cause;
    int32_t decided; /* by head(): a status, TRANSFER_AGAIN; 0: nothing */
    bool is_error;   /* the answer is no 2xx: its body goes to error_body */
    bool enough;     /* all that is wanted has come: what follows is of no interest */
    bool silent;     /* tried again without counting: the connection had been closed before */
    uint32_t error_bytes;
    struct credential_wait credential_wait;
    struct credential_ref *credential; /* of this attempt, or NULL */
    struct http_permit permit;
    /* of the failure */
    uint16_t code;    /* the HTTP status; 0: no answer says it */
    int32_t os_error; /* errno behind it, where that is not the status; or 0 */
    char error_code[64];
    char request_id[64];
    char why[160];
    /* Large, and written before they are read: from here on transfer_init() empties only what must
     * be empty, for what it touches has left the cache since the last transfer. */
    struct http_wire wires[2];
    struct transport_end end;
    struct loop_op timer; /* back-off */
    struct http_request request;
    struct http_text text;
    char location[2048]; /* where a redirect leads; "" */
    char memory[HTTP_TEXT_BYTES];
    char error_body[HTTP_ERROR_BYTES];
};

/* Whatever the memory held before; `worker` is still to be set, before the start. */
void transfer_init(struct http_transfer *transfer, const struct http_transfer_ops *ops,
                   struct http_store *store);
void transfer_start(struct http_transfer *transfer);
void transfer_cancel(struct http_transfer *transfer);

/* What is known of a failure, malloc'ed, or NULL. */
struct driver_detail *transfer_detail(const struct http_transfer *transfer, int32_t status);
/* The HTTP status or the errno value that is behind it; 0: neither is known. */
static inline int32_t transfer_code(const struct http_transfer *transfer)
{
    return transfer->code ? transfer->code : transfer->os_error;
}

/* Looks at all running transfers of the worker; called every quarter of the time that one may stand
 * still. */
void transfer_tick(struct http_worker *worker, uint64_t tick_ns);

#endif
