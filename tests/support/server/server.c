/* SPDX-License-Identifier: MIT */
/*
 * The fault server's life: the listening socket, its accepting thread, the list of connections, and
 * what tests can wait for.
 *
 * The acceptor makes a thread for each connection and joins those that have ended. Destroy stops
 * the acceptor first, so that no thread is added any more, then shuts every socket down, which ends
 * all blocked calls, and wakes every sleep by the connection's eventfd.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { THREAD_STACK_BYTES = 1 << 20, ACCEPT_BACKLOG = 1024 };

uint64_t server_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---------------------------------------------------------------------------- the acceptor -- */

static void *connection_thread(void *data)
{
    struct connection *c = data;

    connection_serve(c);
    pthread_mutex_lock(&c->server->lock);
    c->done = true;
    c->server->open_count--;
    pthread_mutex_unlock(&c->server->lock);
    return NULL;
}

/* Joins and frees connections whose threads have ended; all: waits for those that have not. */
static void connections_reap(struct server *s, bool all)
{
    struct connection *ended = NULL, **link;

    pthread_mutex_lock(&s->lock);
    for (link = &s->connections; *link;) {
        struct connection *c = *link;
        if (!c->threaded || !(all || c->done)) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        c->next = ended;
        ended = c;
    }
    pthread_mutex_unlock(&s->lock);
    while (ended) {
        struct connection *c = ended;
        ended = c->next;
        pthread_join(c->thread, NULL);
        connection_destroy(c);
    }
}

static void connection_begin(struct server *s, int fd, const pthread_attr_t *attributes)
{
    struct connection *c = connection_create(s, fd);
    int status;

    if (!c)
        return;
    pthread_mutex_lock(&s->lock);
    c->number = ++s->connection_count;
    /* Under the lock: the thread must be known before anybody may join it. */
    status = pthread_create(&c->thread, attributes, connection_thread, c);
    c->threaded = status == 0;
    s->open_count += c->threaded;
    if (s->open_count > s->open_peak)
        s->open_peak = s->open_count;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (status != 0)
        connection_destroy(c);
}

static void *acceptor_thread(void *data)
{
    struct server *s = data;
    struct pollfd ready[2] = {{.fd = s->listener, .events = POLLIN},
                              {.fd = s->stop, .events = POLLIN}};
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    for (;;) {
        int fd;
        if (poll(ready, 2, -1) < 0 && errno != EINTR)
            break;
        if (ready[1].revents)
            break;
        fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            connection_begin(s, fd, &attributes);
        else if (errno == EMFILE || errno == ENFILE)
            poll(&ready[1], 1, SERVER_QUANTUM_MS); /* until somebody closes one */
        connections_reap(s, false);
    }
    pthread_attr_destroy(&attributes);
    return NULL;
}

/* The server's threads take no signal of the test program, and no SIGPIPE from OpenSSL's writes. */
static int acceptor_start(struct server *s)
{
    sigset_t all, before;
    int status;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = pthread_create(&s->acceptor, NULL, acceptor_thread, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    s->accepting = status == 0;
    return -status;
}

/* ------------------------------------------------------------------------- create, destroy -- */

static int address_parse(const char *text, uint16_t port, struct sockaddr_in *out)
{
    *out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, text, &out->sin_addr) != 1 || ntohl(out->sin_addr.s_addr) >> 24 != 127)
        return -EINVAL;
    return 0;
}

static int listen_at(struct server *s)
{
    struct sockaddr_in address;
    socklen_t bytes = sizeof(address);
    int status = address_parse(s->address, s->config.port, &address), on = 1;

    if (status < 0)
        return status;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listener < 0)
        return -errno;
    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(s->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(s->listener, ACCEPT_BACKLOG) < 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &bytes) < 0)
        return -errno;
    s->port = ntohs(address.sin_port);
    return 0;
}

/* "127.0.0.1:PORT" */
static int relay_parse(struct server *s)
{
    struct sockaddr_in address;
    char *colon, *end;
    unsigned long port;

    if (!s->config.relay)
        return 0;
    s->relay_host = server_copy(s->config.relay);
    colon = strchr(s->relay_host, ':');
    if (!colon)
        return -EINVAL;
    *colon = 0;
    port = strtoul(colon + 1, &end, 10);
    if (*end || port == 0 || port > 65535)
        return -EINVAL;
    s->relay_port = (uint16_t)port;
    return address_parse(s->relay_host, s->relay_port, &address);
}

int server_create(const struct server_config *config, struct server **out)
{
    struct server *s = server_alloc(sizeof(*s));
    struct server_text url = {0};
    pthread_condattr_t clock;
    int status;

    *out = NULL;
    s->config = *config;
    s->listener = s->stop = -1;
    s->plan_end = &s->plan;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &clock);
    pthread_condattr_destroy(&clock);
    s->address = server_copy(config->address ? config->address : "127.0.0.1");
    s->root = server_copy(config->root);
    s->proxy = server_copy(config->proxy);
    s->stop = eventfd(0, EFD_CLOEXEC);
    status = s->stop < 0 ? -errno : relay_parse(s);
    if (status == 0)
        status = listen_at(s);
    if (status == 0 && config->identity != SERVER_CLEAR)
        status = tls_create(s);
    if (status == 0) {
        server_text_print(&url, "%s://%s:%u", config->identity == SERVER_CLEAR ? "http" : "https",
                          s->address, s->port);
        s->url = server_text_take(&url);
        status = acceptor_start(s);
    }
    if (status < 0) {
        server_destroy(s);
        return status;
    }
    *out = s;
    return 0;
}

static void log_destroy(struct server *s)
{
    for (unsigned i = 0; i < s->log_count; i++) {
        for (size_t j = 0; j < sizeof(s->log[i].owned) / sizeof(s->log[i].owned[0]); j++)
            free(s->log[i].owned[j]);
    }
    free(s->log);
}

void server_destroy(struct server *s)
{
    if (!s)
        return;
    if (s->accepting) {
        eventfd_write(s->stop, 1);
        pthread_join(s->acceptor, NULL);
    }
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    for (struct connection *c = s->connections; c; c = c->next) {
        if (c->fd >= 0)
            shutdown(c->fd, SHUT_RDWR);
        eventfd_write(c->wake, 1);
    }
    pthread_mutex_unlock(&s->lock);
    connections_reap(s, true);
    if (s->listener >= 0)
        close(s->listener);
    if (s->stop >= 0)
        close(s->stop);
    tls_destroy(s);
    faults_destroy(s);
    routes_destroy(s);
    objects_destroy(s);
    log_destroy(s);
    free(s->address);
    free(s->root);
    free(s->relay_host);
    free(s->proxy);
    free(s->url);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

uint16_t server_port(const struct server *s)
{
    return s->port;
}

const char *server_url(const struct server *s)
{
    return s->url;
}

const char *server_ca_file(const struct server *s)
{
    return s->ca_file;
}

/* ----------------------------------------------------------------------------- for waiting -- */

void server_release(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    s->release_count++;
    for (struct connection *c = s->connections; c; c = c->next)
        eventfd_write(c->wake, 1);
    pthread_mutex_unlock(&s->lock);
}

static unsigned count_read(struct server *s, const unsigned *count)
{
    unsigned value;

    pthread_mutex_lock(&s->lock);
    value = *count;
    pthread_mutex_unlock(&s->lock);
    return value;
}

static bool count_wait(struct server *s, const unsigned *count, unsigned wanted,
                       unsigned timeout_ms)
{
    uint64_t until_ns = server_now_ns() + (uint64_t)timeout_ms * 1000000u;
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                             .tv_nsec = (long)(until_ns % 1000000000u)};
    bool reached;

    pthread_mutex_lock(&s->lock);
    while (*count < wanted) {
        if (pthread_cond_timedwait(&s->changed, &s->lock, &until) == ETIMEDOUT)
            break;
    }
    reached = *count >= wanted;
    pthread_mutex_unlock(&s->lock);
    return reached;
}

unsigned server_request_count(struct server *s)
{
    return count_read(s, &s->request_count);
}

unsigned server_connection_count(struct server *s)
{
    return count_read(s, &s->connection_count);
}

unsigned server_connection_peak(struct server *s)
{
    return count_read(s, &s->open_peak);
}

unsigned server_request_peak(struct server *s)
{
    return count_read(s, &s->request_peak);
}

bool server_wait_requests(struct server *s, unsigned count, unsigned timeout_ms)
{
    return count_wait(s, &s->request_count, count, timeout_ms);
}

bool server_wait_ended(struct server *s, unsigned count, unsigned timeout_ms)
{
    return count_wait(s, &s->ended_count, count, timeout_ms);
}

bool server_wait_held(struct server *s, unsigned count, unsigned timeout_ms)
{
    return count_wait(s, &s->held_count, count, timeout_ms);
}
