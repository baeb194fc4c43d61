/* SPDX-License-Identifier: MIT */
/*
 * One connection of the fault server: its bytes, with or without TLS, its waits and its loop over
 * requests. An upstream of the relay is a connection too, without a thread and without TLS.
 *
 * The socket is non-blocking and each wait is a poll of our own where that is simple; OpenSSL gets
 * it blocking, since SSL calls then just wait. Only connection_end() gives the descriptor back, so
 * that server_destroy(), which shuts down all open ones under the lock, never meets a reused
 * number.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { DELIVERED_WAIT_MS = 1000 };

struct connection *connection_create(struct server *s, int fd)
{
    struct connection *c = server_alloc(sizeof(*c));
    int on = 1;
    bool stopping;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    c->server = s;
    c->fd = fd;
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->in = server_alloc(SERVER_HEAD_BYTES_MAX);
    c->buffer = server_alloc(SERVER_BUFFER_BYTES);
    pthread_mutex_lock(&s->lock);
    stopping = s->stopping;
    c->next = s->connections;
    s->connections = c;
    pthread_mutex_unlock(&s->lock);
    if (stopping || c->wake < 0) {
        connection_destroy(c);
        return NULL;
    }
    return c;
}

void connection_destroy(struct connection *c)
{
    struct server *s;
    struct connection **link;

    if (!c)
        return;
    s = c->server;
    connection_destroy(c->upstream);
    connection_end(c, CONNECTION_END_CLOSE);
    pthread_mutex_lock(&s->lock);
    for (link = &s->connections; *link && *link != c; link = &(*link)->next) {
    }
    if (*link)
        *link = c->next;
    pthread_mutex_unlock(&s->lock);
    if (c->wake >= 0)
        close(c->wake);
    free(c->in);
    free(c->buffer);
    free(c);
}

static void delivered_wait(const struct connection *c)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int unsent = 0;

    for (int i = 0; i < DELIVERED_WAIT_MS; i++) {
        if (ioctl(c->fd, SIOCOUTQ, &unsent) < 0 || unsent == 0)
            return;
        nanosleep(&pause, NULL);
    }
}

void connection_end(struct connection *c, enum connection_end how)
{
    const struct linger at_once = {.l_onoff = 1};
    int fd = c->fd;

    if (fd < 0)
        return;
    if (how == CONNECTION_END_RESET) {
        /* A reset discards what is unsent, and tests count on the bytes before it. */
        delivered_wait(c);
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    tls_end(c, how == CONNECTION_END_CLOSE);
    pthread_mutex_lock(&c->server->lock);
    c->fd = -1;
    pthread_mutex_unlock(&c->server->lock);
    if (how != CONNECTION_END_RESET)
        shutdown(fd, SHUT_WR);
    close(fd);
}

/* ----------------------------------------------------------------------------------- bytes -- */

bool connection_send(struct connection *c, const void *bytes, size_t count)
{
    return connection_send_two(c, bytes, count, NULL, 0);
}

bool connection_send_two(struct connection *c, const void *first, size_t first_count,
                         const void *second, size_t second_count)
{
    struct iovec parts[2] = {{(void *)first, first_count}, {(void *)second, second_count}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    if (c->fd < 0)
        return false;
    if (c->tls)
        return tls_send(c, first, first_count) && tls_send(c, second, second_count);
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t sent = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return false;
        for (int i = 0; i < 2; i++) {
            size_t of_part = (size_t)sent < parts[i].iov_len ? (size_t)sent : parts[i].iov_len;
            parts[i].iov_base = (char *)parts[i].iov_base + of_part;
            parts[i].iov_len -= of_part;
            sent -= (ssize_t)of_part;
        }
    }
    return true;
}

static size_t receive(struct connection *c, void *to, size_t room)
{
    ssize_t got;

    if (c->fd < 0)
        return 0;
    if (c->tls)
        return tls_receive(c, to, room);
    do
        got = recv(c->fd, to, room, 0);
    while (got < 0 && errno == EINTR);
    return got < 0 ? 0 : (size_t)got;
}

bool connection_fill(struct connection *c)
{
    size_t got;

    if (c->in_at > 0) {
        memmove(c->in, c->in + c->in_at, c->in_end - c->in_at);
        c->in_end -= c->in_at;
        c->in_at = 0;
    }
    if (c->in_end == SERVER_HEAD_BYTES_MAX)
        return false;
    got = receive(c, c->in + c->in_end, SERVER_HEAD_BYTES_MAX - c->in_end);
    c->in_end += got;
    return got > 0;
}

size_t connection_take(struct connection *c, void *to, size_t room)
{
    size_t count = c->in_end - c->in_at;

    if (room == 0)
        return 0;
    if (count == 0)
        return receive(c, to, room);
    if (count > room)
        count = room;
    memcpy(to, c->in + c->in_at, count);
    c->in_at += count;
    return count;
}

const char *connection_take_until(struct connection *c, const char *end, size_t *bytes)
{
    size_t end_bytes = strlen(end), searched = 0;

    for (;;) {
        const char *begin = c->in + c->in_at;
        size_t count = c->in_end - c->in_at;
        const char *found = memmem(begin + searched, count - searched, end, end_bytes);
        if (found) {
            *bytes = (size_t)(found - begin) + end_bytes;
            c->in_at += *bytes;
            return begin;
        }
        /* The end may have come in part. */
        searched = count < end_bytes ? 0 : count - end_bytes + 1;
        if (!connection_fill(c))
            return NULL;
    }
}

/* ----------------------------------------------------------------------------------- waits -- */

static bool stopping(struct server *s, uint64_t *release_count)
{
    bool value;

    pthread_mutex_lock(&s->lock);
    value = s->stopping;
    if (release_count)
        *release_count = s->release_count;
    pthread_mutex_unlock(&s->lock);
    return value;
}

bool connection_sleep(struct connection *c, uint64_t ns)
{
    uint64_t until_ns = server_now_ns() + ns, now_ns;
    eventfd_t ignored;

    while ((now_ns = server_now_ns()) < until_ns) {
        struct pollfd wake = {.fd = c->wake, .events = POLLIN};
        struct timespec left = {.tv_sec = (time_t)((until_ns - now_ns) / 1000000000u),
                                .tv_nsec = (long)((until_ns - now_ns) % 1000000000u)};
        if (ppoll(&wake, 1, &left, NULL) > 0)
            eventfd_read(c->wake, &ignored);
        if (stopping(c->server, NULL))
            return false;
    }
    return true;
}

bool connection_hold(struct connection *c)
{
    struct server *s = c->server;
    uint64_t began, now;
    eventfd_t ignored;

    pthread_mutex_lock(&s->lock);
    began = s->release_count;
    s->held_count++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    for (;;) {
        struct pollfd ready[2] = {{.fd = c->wake, .events = POLLIN},
                                  {.fd = c->fd, .events = POLLRDHUP}};
        if (stopping(s, &now))
            return false;
        if (now != began)
            return true;
        if (poll(ready, 2, -1) < 0 && errno != EINTR)
            return false;
        if (ready[0].revents)
            eventfd_read(c->wake, &ignored);
        if (ready[1].revents)
            return false;
    }
}

/* -------------------------------------------------------------------------------- its loop -- */

/* Applies what is planned for the connection; false: it has ended. */
static bool connection_greet(struct connection *c, enum server_identity *identity)
{
    struct planned *planned = fault_of_connection(c->server, c->number);
    bool goes_on = true;

    if (!planned)
        return true;
    if (!connection_sleep(c, (uint64_t)planned->fault.delay_ms * 1000000u)) {
        goes_on = false;
    } else if (planned->fault.kind == SERVER_IDENTITY) {
        *identity = planned->fault.identity;
    } else if (planned->fault.kind == SERVER_ACCEPT_HANG) {
        goes_on = connection_hold(c);
    } else {
        bool reset = planned->fault.kind == SERVER_ACCEPT_RESET;
        connection_end(c, reset ? CONNECTION_END_RESET : CONNECTION_END_TRUNCATE);
        goes_on = false;
    }
    fault_done(planned);
    return goes_on;
}

/* Answers one request; false: it was the connection's last. */
static bool request_serve(struct connection *c, struct request *r)
{
    struct planned *planned = fault_of_request(c, r);
    const struct server_fault *fault = planned ? &planned->fault : NULL;
    uint64_t wait_ms = c->server->config.latency_ms + (fault ? fault->delay_ms : 0u);
    struct answer a = {0};
    uint64_t sent_bytes = 0;
    bool goes_on = connection_sleep(c, wait_ms * 1000000u), head_sent = false;

    if (goes_on && strcmp(r->method, "CONNECT") == 0 && !fault && proxy_admits(c->server, r)) {
        relay_tunnel(c, r);
        goes_on = false;
    } else if (goes_on) {
        if (fault && fault_replaces(fault)) {
            fault_replace(c->server, fault, &a);
        } else {
            if (fault)
                fault_prepare(fault, r);
            answer_make(c, r, &a);
            if (fault)
                fault_change(c, fault, &a);
        }
        if (strcmp(r->method, "HEAD") == 0)
            a.without_body = true;
        goes_on = answer_send(c, &a, fault, &sent_bytes, &head_sent) && !a.last;
    }
    request_ended(c, r, head_sent ? a.status : 0, sent_bytes);
    answer_free(&a);
    fault_done(planned);
    return goes_on;
}

void connection_serve(struct connection *c)
{
    enum server_identity identity = c->server->config.identity;
    struct request r = {0};

    if (!connection_greet(c, &identity) || (identity != SERVER_CLEAR && !tls_accept(c, identity))) {
        connection_end(c, CONNECTION_END_TRUNCATE);
        return;
    }
    while (request_read(c, &r)) {
        bool goes_on = request_serve(c, &r);
        request_free(&r);
        if (!goes_on)
            break;
    }
    request_free(&r);
    connection_end(c, CONNECTION_END_CLOSE);
    connection_destroy(c->upstream);
    c->upstream = NULL;
}
