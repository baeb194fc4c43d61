/* SPDX-License-Identifier: MIT */
/*
 * baseline_http.c - ranged GETs as a good programmer writes them with libcurl: per thread one multi
 * handle and as many easy handles as its share of the connections, kept for all runs so that
 * connections stay open.
 *
 * What makes it quick: the large receive buffer that LSIO gives curl, too; a write callback that
 * copies straight to the destination; multi_socket with epoll, where each wake-up handles only the
 * sockets that are ready; the next range is asked for as soon as one has ended, whichever thread
 * has the connection. The way HTTP_POLL is the same with curl_multi_poll, as most programs have it.
 *
 * It knows the length of each range, checks the status and the count of bytes, and nothing else.
 */
#define _GNU_SOURCE 1
#include "baseline.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX 64

struct connection {
    struct loop *loop;
    CURL *easy;
    const struct http_item *item;
    uint64_t got;
};

/* A thread's own. */
struct loop {
    struct http_client *client;
    CURLM *multi;
    struct connection *connections;
    unsigned connection_count;
    int epoll;
    long timeout_ms; /* what curl wants; -1: nothing */
    unsigned running;
};

struct http_client {
    struct bench_pool *pool;
    enum http_way way;
    const struct http_item *items;
    size_t count;
    _Atomic size_t next;
    struct loop loops[BENCH_THREADS_MAX];
};

static void multi_check(CURLMcode code, const char *what)
{
    if (code != CURLM_OK) {
        bench_die("%s: %s", what, curl_multi_strerror(code));
    }
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *user)
{
    struct connection *c = user;
    size_t length = size * count;
    if (c->got + length > c->item->bytes) {
        return 0;
    }
    memcpy(c->item->to + c->got, bytes, length);
    c->got += length;
    return length;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known)
{
    struct loop *loop = user;
    struct epoll_event event = {.data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (epoll_ctl(loop->epoll, known != NULL ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0) {
        bench_die("epoll_ctl: %s", strerror(errno));
    }
    curl_multi_assign(loop->multi, fd, loop); /* from now on it is known */
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *user)
{
    (void)multi;
    ((struct loop *)user)->timeout_ms = timeout_ms;
    return 0;
}

static CURL *easy_make(struct connection *c, const char *url)
{
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, HTTP_BUFFER_BYTES);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, c);
    return easy;
}

static void loop_init(struct loop *loop, struct http_client *client, const char *url,
                      unsigned connections)
{
    *loop = (struct loop){.client = client,
                          .multi = curl_multi_init(),
                          .connections = calloc(connections, sizeof(*loop->connections)),
                          .connection_count = connections,
                          .epoll = epoll_create1(EPOLL_CLOEXEC),
                          .timeout_ms = -1};
    if (loop->multi == NULL || loop->connections == NULL || loop->epoll < 0) {
        bench_die("no memory for a loop of libcurl");
    }
    curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, (long)connections);
    if (client->way == HTTP_SOCKET) {
        curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
        curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
    }
    for (unsigned i = 0; i < connections; i++) {
        loop->connections[i].loop = loop;
        loop->connections[i].easy = easy_make(&loop->connections[i], url);
    }
}

struct http_client *http_client_create(struct bench_pool *pool, const char *url,
                                       unsigned connections, enum http_way way)
{
    struct http_client *client = calloc(1, sizeof(*client));
    unsigned threads = bench_pool_threads(pool);
    if (client == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        bench_die("libcurl cannot be used");
    }
    client->pool = pool;
    client->way = way;
    for (unsigned i = 0; i < threads; i++) {
        loop_init(&client->loops[i], client, url, (connections + threads - 1 - i) / threads);
    }
    return client;
}

void http_client_destroy(struct http_client *client)
{
    for (unsigned i = 0; i < bench_pool_threads(client->pool); i++) {
        struct loop *loop = &client->loops[i];
        for (unsigned k = 0; k < loop->connection_count; k++) {
            curl_easy_cleanup(loop->connections[k].easy);
        }
        curl_multi_cleanup(loop->multi);
        close(loop->epoll);
        free(loop->connections);
    }
    free(client);
}

/* The next range, if there is one. */
static void connection_start(struct connection *c)
{
    struct http_client *client = c->loop->client;
    size_t next = atomic_fetch_add_explicit(&client->next, 1, memory_order_relaxed);
    char range[64];
    if (next >= client->count) {
        return;
    }
    c->item = &client->items[next];
    c->got = 0;
    snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)c->item->offset,
             (unsigned long long)(c->item->offset + c->item->bytes - 1));
    curl_easy_setopt(c->easy, CURLOPT_RANGE, range);
    multi_check(curl_multi_add_handle(c->loop->multi, c->easy), "curl_multi_add_handle");
    c->loop->running++;
}

static void ended_take(struct loop *loop)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(loop->multi, &left)) != NULL) {
        struct connection *c = NULL;
        long status = 0;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
        if (code != CURLE_OK || status != 206 || c->got != c->item->bytes) {
            bench_die("libcurl: %s, status %ld, %llu bytes", curl_easy_strerror(code), status,
                      (unsigned long long)c->got);
        }
        multi_check(curl_multi_remove_handle(loop->multi, c->easy), "curl_multi_remove_handle");
        loop->running--;
        connection_start(c);
    }
}

static void step_socket(struct loop *loop)
{
    struct epoll_event events[EVENTS_MAX];
    int running, wait = loop->timeout_ms < 0 ? -1 : (int)loop->timeout_ms;
    int count = wait == 0 ? 0 : epoll_wait(loop->epoll, events, EVENTS_MAX, wait);
    if (count <= 0) {
        loop->timeout_ms = -1;
        multi_check(curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0, &running),
                    "curl_multi_socket_action");
    }
    for (int i = 0; i < count; i++) {
        int what = (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? CURL_CSELECT_IN : 0) |
                   (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0);
        multi_check(curl_multi_socket_action(loop->multi, events[i].data.fd, what, &running),
                    "curl_multi_socket_action");
    }
}

static void step_poll(struct loop *loop)
{
    int running;
    multi_check(curl_multi_perform(loop->multi, &running), "curl_multi_perform");
    if (running > 0) {
        multi_check(curl_multi_poll(loop->multi, NULL, 0, 1000, NULL), "curl_multi_poll");
    }
}

static void loop_run(void *data, unsigned thread)
{
    struct http_client *client = data;
    struct loop *loop = &client->loops[thread];
    for (unsigned i = 0; i < loop->connection_count; i++) {
        connection_start(&loop->connections[i]);
    }
    while (loop->running > 0) {
        if (client->way == HTTP_SOCKET) {
            step_socket(loop);
        } else {
            step_poll(loop);
        }
        ended_take(loop);
    }
}

void http_client_run(struct http_client *client, const struct http_item *items, size_t count)
{
    client->items = items;
    client->count = count;
    atomic_store(&client->next, 0);
    bench_pool_run(client->pool, loop_run, client);
}
