/* SPDX-License-Identifier: MIT */
/*
 * curl_impl.h - what transport_curl.c (requests) and curl_socket.c (curl's sockets and clock on the
 * worker's loop) share.
 */
#ifndef LSIO_DRIVER_HTTP_CURL_IMPL_H
#define LSIO_DRIVER_HTTP_CURL_IMPL_H

#include <curl/curl.h>

#include "driver/http/transport.h"

#define CURL_SOCKETS_MAX 1024u /* open at a time and worker; above that connecting fails */

/* A socket that curl wants to be told about. */
struct curl_socket {
    struct loop_op op; /* first: a LOOP_POLL */
    struct transport *transport;
    struct curl_socket *next; /* free list */
    uint32_t wanted;          /* POLLIN, POLLOUT; 0: nothing now */
    bool polling;             /* op is the loop's */
    bool canceling;
    bool acting; /* its event is being handled: no changes until that is over */
    bool curls;  /* curl opened it by itself */
    bool gone;   /* closed or, if it is curl's, forgotten: free it when its poll has ended */
};

/* Everything is the worker's own. */
struct transport {
    struct driver_env *env;
    CURLM *multi;
    struct loop_op timer; /* a LOOP_TIMER */
    uint64_t timer_ns;    /* when curl wants to act; UINT64_MAX: not */
    bool timer_armed;     /* `timer` is the loop's */
    bool timer_canceling;
    bool kicked;            /* `kick` is posted: curl wants to act at once */
    struct queue_node kick;
    bool leaving;
    bool inside; /* curl is on the stack: its functions must not be called */
    struct curl_socket *free_sockets;
    struct transport_request *active, *ended, *ended_last;
    bool ended_posted;
    struct queue_node ended_node;
    struct curl_easy *free_easies;
    uint32_t connections_max; /* idle ones that curl keeps */
    int *fds;                 /* open sockets, for a forked child to close */
    struct curl_socket **sockets; /* sockets[i] is of fds[i] */
    uint32_t fd_count;
};

/* curl_socket.c */
int curl_socket_attach(struct transport *transport); /* to the multi handle */
void curl_socket_leave(struct transport *transport);
void curl_socket_free(struct transport *transport);
/* CURL_SOCKET_BAD: errno says why; EMFILE also if the worker has too many. */
curl_socket_t curl_socket_open(struct transport *transport, const struct curl_sockaddr *address);
/* CURLOPT_CLOSESOCKETFUNCTION */
int curl_socket_close(void *transport, curl_socket_t fd);

/* transport_curl.c: after curl has acted; takes what it has finished. */
void curl_acted(struct transport *transport);

#endif
