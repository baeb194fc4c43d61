/* SPDX-License-Identifier: MIT */
/*
 * The fault server as a relay: what no route answers is asked of another server, and its answer is
 * sent on, faults and all. The request goes out as it came, Host included, since signatures cover
 * it; only hop-by-hop framing of the answer is made anew (chunks may get other borders).
 *
 * Each client connection has at most one upstream connection, kept open between requests. If it
 * breaks before the head of an answer, the client gets 502.
 *
 * As a proxy (RFC 9110, 7.7; RFC 9112, 3.2.2) it asks the server that the target names, which is
 * always one of 127.0.0.1, and keeps to itself what the client says to the proxy. CONNECT becomes a
 * tunnel to there.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROXIED "http://" /* how the target of a proxied request begins */

/* ----------------------------------------------------------------------------------- proxy -- */

bool proxy_wanted(const struct server *s, const struct request *r)
{
    return s->proxy && strncmp(r->target, PROXIED, strlen(PROXIED)) == 0;
}

static uint16_t proxied_port(const struct request *r)
{
    const char *host = r->target + strlen(PROXIED);
    const char *colon = memchr(host, ':', strcspn(host, "/?"));

    return colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 80;
}

/* RFC 7617 */
bool proxy_admits(const struct server *s, const struct request *r)
{
    char *given, *wanted;
    bool same;

    if (!s->proxy || !*s->proxy)
        return true;
    wanted = server_alloc(2 * strlen(s->proxy) + 5);
    EVP_EncodeBlock((unsigned char *)wanted, (const unsigned char *)s->proxy,
                    (int)strlen(s->proxy));
    given = request_header(r, "Proxy-Authorization");
    same = given && strncmp(given, "Basic ", 6) == 0 && strcmp(given + 6, wanted) == 0;
    free(given);
    free(wanted);
    return same;
}

/* -------------------------------------------------------------------------------- upstream -- */

static struct connection *upstream_open(struct server *s, const char *host, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return NULL;
    inet_pton(AF_INET, host, &address.sin_addr);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return NULL;
    }
    return connection_create(s, fd);
}

static bool request_forward(struct connection *upstream, const struct request *r, bool proxied)
{
    struct server_text head = {0}, lines = {0};
    const char *target = r->target, *slash = "";
    bool sent;

    server_text_add(&lines, server_text_string(&r->headers), r->headers.used);
    if (proxied) {
        target += strlen(PROXIED);
        target += strcspn(target, "/?");
        slash = *target == '/' ? "" : "/";
        server_line_set(&lines, "Proxy-Authorization", NULL);
        server_line_set(&lines, "Proxy-Connection", NULL);
    }
    server_text_print(&head, "%s %s%s HTTP/1.1\r\n%s\r\n", r->method, slash, target,
                      server_text_string(&lines));
    sent = connection_send_two(upstream, head.at, head.used, r->body, r->body_bytes);
    server_text_free(&head);
    server_text_free(&lines);
    return sent;
}

/* The head of the final answer; its lines go to the answer. false: none came. */
static bool head_read(struct connection *upstream, struct answer *a)
{
    do {
        size_t bytes;
        const char *head = connection_take_until(upstream, "\r\n\r\n", &bytes), *lines;
        if (!head || bytes < 13 || strncmp(head, "HTTP/1.", 7) != 0)
            return false;
        a->status = (int)strtoul(head + 9, NULL, 10);
        lines = (const char *)memchr(head, '\n', bytes) + 1;
        server_text_clear(&a->headers);
        server_text_add(&a->headers, lines, bytes - (size_t)(lines - head) - 2);
    } while (a->status >= 100 && a->status < 200);
    return true;
}

static bool line_says(const struct server_text *lines, const char *name, const char *word)
{
    const char *value;
    size_t bytes;

    return server_line_find(server_text_string(lines), name, &value, &bytes) &&
           bytes == strlen(word) && strncasecmp(value, word, bytes) == 0;
}

/* How the upstream frames the body (RFC 9112, 6.3), and how we shall. */
static void framing_take(struct connection *c, const struct request *r, struct answer *a)
{
    bool no_body = strcmp(r->method, "HEAD") == 0 || a->status == 204 || a->status == 304;
    const char *lines = server_text_string(&a->headers);

    c->upstream_last = line_says(&a->headers, "Connection", "close");
    c->upstream_left = server_line_number(lines, "Content-Length", UINT64_MAX);
    c->upstream_framing = FRAMING_LENGTH;
    if (line_says(&a->headers, "Transfer-Encoding", "chunked")) {
        c->upstream_framing = a->framing = FRAMING_CHUNKED;
        c->upstream_left = 0; /* of a chunk that has not begun */
        a->body_bytes = UINT64_MAX;
    } else if (c->upstream_left == UINT64_MAX) {
        c->upstream_framing = a->framing = FRAMING_CLOSE;
        a->body_bytes = UINT64_MAX;
    } else {
        a->body_bytes = c->upstream_left;
    }
    if (no_body) {
        a->without_body = true;
        a->framing = FRAMING_LENGTH;
        c->upstream_framing = FRAMING_LENGTH;
        c->upstream_left = 0;
    }
    server_line_set(&a->headers, "Content-Length", NULL);
    server_line_set(&a->headers, "Transfer-Encoding", NULL);
    server_line_set(&a->headers, "Connection", NULL);
    server_line_set(&a->headers, "Keep-Alive", NULL);
}

void relay_answer(struct connection *c, const struct request *r, struct answer *a)
{
    struct server *s = c->server;
    bool proxied = proxy_wanted(s, r);
    const char *host = proxied ? "127.0.0.1" : s->relay_host;
    uint16_t port = proxied ? proxied_port(r) : s->relay_port;

    if (c->upstream && c->upstream_port != port) {
        connection_destroy(c->upstream);
        c->upstream = NULL;
    }
    c->upstream_port = port;
    for (int attempt = 0; attempt < 2; attempt++) {
        bool reused = c->upstream != NULL;
        if (!c->upstream)
            c->upstream = upstream_open(s, host, port);
        if (c->upstream && request_forward(c->upstream, r, proxied) && head_read(c->upstream, a)) {
            a->source.relay = c;
            framing_take(c, r, a);
            return;
        }
        connection_destroy(c->upstream);
        c->upstream = NULL;
        if (!reused) /* an idle one may have been closed by the other side */
            break;
    }
    server_text_clear(&a->headers);
    answer_error(s, a, 502, NULL, "the relay's upstream gave no answer");
}

/* The size line of the next chunk; after the last one all is read and upstream_left is UINT64_MAX.
 */
static bool chunk_begin(struct connection *c)
{
    size_t bytes;
    const char *line = connection_take_until(c->upstream, "\r\n", &bytes);
    char *end;

    if (line && bytes == 2) /* the end of the chunk before */
        line = connection_take_until(c->upstream, "\r\n", &bytes);
    if (!line || !isxdigit((unsigned char)*line))
        return false;
    c->upstream_left = strtoull(line, &end, 16);
    if (c->upstream_left > 0)
        return true;
    do
        line = connection_take_until(c->upstream, "\r\n", &bytes); /* trailers */
    while (line && bytes > 2);
    c->upstream_left = UINT64_MAX;
    return false;
}

size_t relay_body(struct connection *c, void *to, size_t room)
{
    size_t got;

    if (!c->upstream || (c->upstream_framing == FRAMING_CHUNKED && c->upstream_left == UINT64_MAX))
        return 0;
    if (c->upstream_framing == FRAMING_CHUNKED && c->upstream_left == 0 && !chunk_begin(c))
        return 0;
    if (room > c->upstream_left)
        room = (size_t)c->upstream_left;
    got = connection_take(c->upstream, to, room);
    if (c->upstream_framing != FRAMING_CLOSE)
        c->upstream_left -= got;
    return got;
}

void relay_done(struct connection *c)
{
    uint64_t end = c->upstream_framing == FRAMING_CHUNKED ? UINT64_MAX : 0;

    if (c->upstream && (c->upstream_last || c->upstream_left != end)) {
        connection_destroy(c->upstream);
        c->upstream = NULL;
    }
}

/* Passes on what one side sent; false: it has ended. */
static bool pass(struct connection *from, struct connection *to)
{
    size_t got = connection_take(from, from->buffer, SERVER_BUFFER_BYTES);

    return got > 0 && connection_send(to, from->buffer, got);
}

void relay_tunnel(struct connection *c, const struct request *r)
{
    static const char ready[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    static const char failed[] = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
    const char *colon = strrchr(r->target, ':');
    struct connection *other = NULL;

    if (colon)
        other = upstream_open(c->server, "127.0.0.1", (uint16_t)strtoul(colon + 1, NULL, 10));
    if (!other) {
        connection_send(c, failed, sizeof(failed) - 1);
        return;
    }
    connection_destroy(c->upstream);
    c->upstream = other;
    if (!connection_send(c, ready, sizeof(ready) - 1))
        return;
    /* What came right behind the request is already here, where poll does not see it. */
    if (c->in_end > c->in_at && !pass(c, other))
        return;
    for (;;) {
        struct pollfd sides[2] = {{.fd = c->fd, .events = POLLIN},
                                  {.fd = other->fd, .events = POLLIN}};
        if (poll(sides, 2, -1) < 0 && errno != EINTR)
            return;
        if ((sides[0].revents && !pass(c, other)) || (sides[1].revents && !pass(other, c)))
            return;
    }
}
