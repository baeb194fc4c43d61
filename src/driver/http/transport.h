/* SPDX-License-Identifier: MIT */
/*
 * transport.h - the seam below the policy of the HTTP family: one request out, its answer in, once.
 *
 * A transport belongs to one worker and sends what it is given over connections that it keeps. It
 * retries nothing, follows nothing, decides nothing: retry, resume, redirects, time limits,
 * validators and concurrency sit above, on the loop's clock, so that one policy serves every
 * transport. Implementations: transport_curl.c; tests bring a simulated one.
 *
 * For each started request the events come in this order, on the worker, none of them from inside
 * start() or abort():
 *
 *   head     once per answer that is not 1xx: status and fields. A nonzero return ends the request.
 *   room     where do the next body bytes go? Memory that stays valid until got() or end(), and its
 *            size; NULL memory with a size: so many bytes are not wanted. Size 0: no byte is
 *            expected any more, and if one comes, the request ends with TRANSPORT_OVERLONG.
 *   got      so many bytes lie there (or were thrown away); at most what room() offered.
 *   end      exactly once, last. The request is the caller's again, and may be started anew.
 */
#ifndef LSIO_DRIVER_HTTP_TRANSPORT_H
#define LSIO_DRIVER_HTTP_TRANSPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/queue.h"
#include "driver/driver.h"
#include "driver/http/head.h"
#include "driver/http/request.h"

enum transport_error {
    TRANSPORT_OK = 0,   /* the answer came whole */
    TRANSPORT_RESOLVE,  /* the host's name has no address */
    TRANSPORT_CONNECT,  /* refused or unreachable: nothing was sent */
    TRANSPORT_SOCKETS,  /* the process has no descriptor left for a connection */
    TRANSPORT_SLOW,     /* not connected within connect_timeout_ms: nothing was sent */
    TRANSPORT_PROXY,    /* the proxy refuses to connect: proxy_status */
    TRANSPORT_TLS,      /* the certificate or the handshake is not acceptable: do not try again */
    TRANSPORT_RESET,    /* the connection ended before the answer did */
    TRANSPORT_PROTOCOL, /* the answer is not HTTP */
    TRANSPORT_OVERLONG, /* more body than room() had room for */
    TRANSPORT_STOPPED,  /* head() said so */
    TRANSPORT_ABORTED,  /* abort() was called */
    TRANSPORT_MEMORY
};

struct transport_end {
    enum transport_error error;
    uint16_t proxy_status; /* what the proxy answered, with TRANSPORT_PROXY */
    int32_t os_error;      /* errno of what failed; 0: not known */
    bool reused;           /* the connection had carried a request before */
    bool any_bytes;        /* something of an answer had come */
    uint32_t resends;      /* so often it was sent anew, because an idle connection was closed */
    char text[160];        /* what the transport says of the error; without secrets */
};

struct transport_request;

struct transport_events {
    int (*head)(struct transport_request *request, const struct http_head *head);
    void *(*room)(struct transport_request *request, uint64_t *bytes);
    void (*got)(struct transport_request *request, uint64_t bytes);
    void (*end)(struct transport_request *request, const struct transport_end *end);
};

/* How to reach a server; one per store, frozen, outlives its requests. */
struct transport_target {
    uint64_t id; /* never that of another target of the context: addresses may come again */
    const char *proxy_url;      /* NULL: as the environment says; "": none */
    const char *proxy_excludes; /* NULL: as the environment says */
    const char *ca_file;        /* NULL: the system's */
    const char *ca_path;
    const char *resolve; /* "host:port:address[,address]" list as curl's, or NULL */
    const char *user_agent;
    uint32_t connect_timeout_ms;
    uint32_t idle_timeout_ms; /* a connection that idled longer is not used again; 0: any */
    uint32_t connections_max; /* idle ones kept by a worker; 0: the transport's own number */
    bool insecure;            /* accept any certificate */
    bool own_certificates;    /* trust those of ca_file and ca_path only */
    bool randomize_addresses; /* of several, which one is tried first */
    bool http2;               /* ask for HTTP/2 */
};

struct transport_request {
    /* the caller's, frozen from start to end */
    const struct transport_target *target;
    const struct http_request *request;
    const struct transport_events *events;
    /* the transport's */
    void *handle;
    struct transport_request *next, *prev;
    struct queue_node node;
    uint8_t state;
    bool head_seen;
    struct http_head head; /* last; nobody looks at it before start() has reset it */
};

struct transport;

struct transport_ops {
    const char *name;
    /* Threads: the worker of `env`. */
    int (*create)(struct driver_env *env, struct transport **out);
    void (*start)(struct transport *transport, struct transport_request *request);
    void (*abort)(struct transport *transport, struct transport_request *request);
    /* Cancels what it has in the loop; env->background says when all of it has ended. Nothing is
     * started. */
    void (*leave)(struct transport *transport);
    /* After the loop is gone, any thread. `forked`: in a child; closes sockets without a word to
     * the peer, and abandons the rest. */
    void (*destroy)(struct transport *transport, bool forked);
};

extern const struct transport_ops transport_curl;

#endif
