/* SPDX-License-Identifier: MIT */
/*
 * curl_socket.c - curl's sockets and clock on a worker's loop (curl_multi_socket_action).
 *
 * Purpose: curl says which sockets it wants to hear of and when it wants to act; this file turns
 * that into LOOP_POLL and LOOP_TIMER operations.
 *
 * Invariants
 *   - A poll is one-shot and armed again after each action: readiness that curl did not use up is
 *     reported again. (A multishot poll reports changes only, and hangs.)
 *   - A socket's poll is canceled when curl forgets the socket, before curl closes the descriptor;
 *     the struct lives until the loop has given the operation back, so an event of an old socket
 *     never reaches a new one that got its number.
 *   - A socket has its struct from being opened until it is closed, also while curl forgets it (an
 *     idle connection): so there is nothing to allocate when curl wants to hear of it. That may not
 *     fail: curl gives the whole multi handle up then, for ever (multi->dead, curl 7.88). Only for
 *     what curl opens by itself, the pair on which its resolver's thread reports, a struct is made
 *     then; without one curl looks there by its own clock.
 *   - curl is never called from inside its own callbacks; a timeout of 0 is acted upon from the
 *     loop.
 *   - Each operation is counted in env->background while it is the loop's.
 *
 * Threads: the worker.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mark.h"
#include "driver/http/curl_impl.h"

/* ----------------------------------------------------------------------------------- polls -- */

static void socket_release(struct curl_socket *socket)
{
    socket->next = socket->transport->free_sockets;
    socket->transport->free_sockets = socket;
}

static void poll_done(struct loop_op *op);

/* Makes the poll in the loop the one that is wanted. */
static void socket_update(struct curl_socket *socket)
{
    struct driver_env *env = socket->transport->env;

    if (socket->acting)
        return;
    if (socket->polling) {
        if (!socket->canceling && socket->op.poll_events != socket->wanted) {
            socket->canceling = true;
            env->loop_ops->cancel(env->loop, &socket->op);
        }
        return;
    }
    if (socket->gone) {
        socket_release(socket);
        return;
    }
    if (!socket->wanted)
        return;
    socket->op.kind = LOOP_POLL;
    socket->op.done = poll_done;
    socket->op.poll_events = socket->wanted;
    socket->polling = true;
    env->background++;
    env->loop_ops->submit(env->loop, &socket->op);
}

static int action_of(int64_t events)
{
    int action = 0;

    if (events & (POLLIN | POLLHUP))
        action |= CURL_CSELECT_IN;
    if (events & POLLOUT)
        action |= CURL_CSELECT_OUT;
    if (events & POLLERR)
        action |= CURL_CSELECT_ERR;
    return action;
}

static void act(struct transport *transport, curl_socket_t fd, int action)
{
    int running;

    transport->inside = true;
    (void)curl_multi_socket_action(transport->multi, fd, action, &running);
    transport->inside = false;
    curl_acted(transport);
}

static void poll_done(struct loop_op *op)
{
    struct curl_socket *socket = (struct curl_socket *)(void *)op;
    struct transport *transport = socket->transport;

    transport->env->background--;
    socket->polling = socket->canceling = false;
    if (socket->wanted && op->result != -ECANCELED) {
        socket->acting = true; /* curl may change its mind, or forget the socket, meanwhile */
        act(transport, op->fd, op->result < 0 ? CURL_CSELECT_ERR : action_of(op->result));
        socket->acting = false;
    }
    socket_update(socket);
}

static struct curl_socket *socket_make(struct transport *transport)
{
    struct curl_socket *socket = transport->free_sockets;

    if (socket)
        transport->free_sockets = socket->next;
    else
        socket = malloc(sizeof(*socket));
    if (!socket)
        return NULL;
    memset(socket, 0, sizeof(*socket));
    socket->transport = transport;
    socket->op.file = -1;
    socket->op.buffer = -1;
    return socket;
}

/* Of a descriptor that curl wants to hear of for the first time, or again; NULL: see above. */
static struct curl_socket *socket_get(struct transport *transport, curl_socket_t fd)
{
    struct curl_socket *socket;

    for (uint32_t i = 0; i < transport->fd_count; i++)
        if (transport->fds[i] == fd)
            return transport->sockets[i];
    socket = socket_make(transport);
    if (socket) {
        socket->op.fd = fd;
        socket->curls = true;
    }
    return socket;
}

/* CURLMOPT_SOCKETFUNCTION */
static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *user, void *assigned)
{
    struct transport *transport = user;
    struct curl_socket *socket = assigned;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (socket) {
            (void)curl_multi_assign(transport->multi, fd, NULL);
            socket->gone = socket->curls;
            socket->wanted = 0;
            socket_update(socket);
        }
        return 0;
    }
    if (!socket) {
        socket = socket_get(transport, fd);
        if (!socket)
            return 0;
        (void)curl_multi_assign(transport->multi, fd, socket);
    }
    socket->wanted = (what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0);
    socket_update(socket);
    return 0;
}

/* ----------------------------------------------------------------------------------- clock -- */

static void timer_done(struct loop_op *op);

static void timer_update(struct transport *transport)
{
    struct driver_env *env = transport->env;

    if (transport->timer_armed) { /* one that ends too early does no harm */
        bool late = transport->timer_ns < transport->timer.offset || transport->leaving;
        if (late && !transport->timer_canceling) {
            transport->timer_canceling = true;
            env->loop_ops->cancel(env->loop, &transport->timer);
        }
        return;
    }
    if (transport->timer_ns == UINT64_MAX || transport->leaving)
        return;
    transport->timer.kind = LOOP_TIMER;
    transport->timer.done = timer_done;
    transport->timer.offset = transport->timer_ns;
    transport->timer.fd = transport->timer.file = -1;
    transport->timer.buffer = -1;
    transport->timer_armed = true;
    env->background++;
    env->loop_ops->submit(env->loop, &transport->timer);
}

static void timer_expired(struct transport *transport)
{
    transport->env->background--;
    if (!transport->leaving && transport->timer_ns <= transport->env->os->now_ns()) {
        transport->timer_ns = UINT64_MAX;
        act(transport, CURL_SOCKET_TIMEOUT, 0);
    }
    timer_update(transport);
}

static void timer_done(struct loop_op *op)
{
    struct transport *transport = container_of(op, struct transport, timer);

    transport->timer_armed = transport->timer_canceling = false;
    timer_expired(transport);
}

static void kick_run(struct driver_env *env, struct queue_node *node)
{
    struct transport *transport = container_of(node, struct transport, kick);

    (void)env;
    transport->kicked = false;
    timer_expired(transport);
}

/* "At once", which curl wants for each request, costs no timer of the loop's. */
static void timer_kick(struct transport *transport)
{
    if (transport->kicked)
        return;
    transport->kicked = true;
    transport->env->background++;
    transport->kick.run = kick_run;
    transport->env->post(transport->env, &transport->kick);
}

/* CURLMOPT_TIMERFUNCTION */
static int timer_changed(CURLM *multi, long timeout_ms, void *user)
{
    struct transport *transport = user;

    (void)multi;
    transport->timer_ns =
        timeout_ms < 0 ? UINT64_MAX : transport->env->os->now_ns() + (uint64_t)timeout_ms * 1000000;
    if (timeout_ms == 0 && !transport->leaving)
        timer_kick(transport);
    else
        timer_update(transport);
    return 0;
}

/* ----------------------------------------------------------------------------- descriptors -- */

/* Recorded, because a forked child must close them without a word to the peer. */
curl_socket_t curl_socket_open(struct transport *transport, const struct curl_sockaddr *address)
{
    struct curl_socket *made = NULL;
    curl_socket_t fd = -1;

    if (transport->fd_count == CURL_SOCKETS_MAX)
        errno = EMFILE;
    else if (!(made = socket_make(transport)))
        errno = ENOMEM;
    else
        fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0) {
        LSIO_MARK(h24_no_socket);
        if (made)
            socket_release(made);
        return CURL_SOCKET_BAD;
    }
    made->op.fd = fd;
    transport->sockets[transport->fd_count] = made;
    transport->fds[transport->fd_count] = fd;
    atomic_signal_fence(memory_order_release); /* a child sees no count without its descriptor */
    transport->fd_count++;
    return fd;
}

int curl_socket_close(void *user, curl_socket_t fd)
{
    struct transport *transport = user;

    for (uint32_t i = 0; i < transport->fd_count; i++) {
        if (transport->fds[i] == fd) {
            struct curl_socket *socket = transport->sockets[i];
            transport->fds[i] = transport->fds[--transport->fd_count];
            transport->sockets[i] = transport->sockets[transport->fd_count];
            socket->gone = true;
            socket->wanted = 0;
            socket_update(socket);
            break;
        }
    }
    return close(fd);
}

/* -------------------------------------------------------------------------------- lifetime -- */

int curl_socket_attach(struct transport *transport)
{
    transport->timer_ns = UINT64_MAX;
    transport->fds = malloc(CURL_SOCKETS_MAX * sizeof(*transport->fds));
    transport->sockets = malloc(CURL_SOCKETS_MAX * sizeof(*transport->sockets));
    if (!transport->fds || !transport->sockets)
        return -ENOMEM;
    if (curl_multi_setopt(transport->multi, CURLMOPT_SOCKETFUNCTION, socket_changed) ||
        curl_multi_setopt(transport->multi, CURLMOPT_SOCKETDATA, transport) ||
        curl_multi_setopt(transport->multi, CURLMOPT_TIMERFUNCTION, timer_changed) ||
        curl_multi_setopt(transport->multi, CURLMOPT_TIMERDATA, transport))
        return -ENOMEM;
    return 0;
}

void curl_socket_leave(struct transport *transport)
{
    transport->leaving = true;
    timer_update(transport);
}

void curl_socket_free(struct transport *transport)
{
    for (uint32_t i = 0; i < transport->fd_count; i++) /* in a forked child */
        free(transport->sockets[i]);
    while (transport->free_sockets) {
        struct curl_socket *socket = transport->free_sockets;
        transport->free_sockets = socket->next;
        free(socket);
    }
    free(transport->sockets);
    free(transport->fds);
}
