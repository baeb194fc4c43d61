/* SPDX-License-Identifier: MIT */
/*
 * Sends an answer: its head, then its body piece by piece, paced, and broken off, held or slowed
 * down where a fault says so.
 *
 * What goes before a piece (the head, a chunk's size) waits in `before` and leaves in one system
 * call with the piece, so an undisturbed small answer is one sendmsg. Before anything that the
 * client is to notice (a pause, an end), `before` is flushed: exactly fault->bytes have been sent
 * then.
 *
 * Pacing: a piece is at most what the bandwidth gives in 10 ms, and each has an absolute time, so
 * the average is exact however late a sleep returns. A connection that was idle saves nothing up.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <string.h>
#include <strings.h>
#include <time.h>

struct sending {
    struct connection *c;
    struct answer *a;
    const struct server_fault *fault; /* a harmless one if there is none */
    struct server_text before;
    uint64_t sent; /* of the body */
    uint64_t left; /* of the body; UINT64_MAX: until the source ends */
    bool cut;      /* the fault's break is still to come */
    bool lacks;    /* the source was shorter than promised */
};

static bool flush(struct sending *s)
{
    bool sent = s->before.used == 0 || connection_send(s->c, s->before.at, s->before.used);

    server_text_clear(&s->before);
    return sent;
}

static bool breaks_off(const struct server_fault *fault)
{
    return fault->kind == SERVER_CLOSE || fault->kind == SERVER_TRUNCATE ||
           fault->kind == SERVER_RESET || fault->kind == SERVER_HANG ||
           fault->kind == SERVER_KEY_UPDATE;
}

/* Does what the fault does at its place; false: the connection has ended. */
static bool break_off(struct sending *s)
{
    s->cut = false;
    if (!flush(s))
        return false;
    switch (s->fault->kind) {
    case SERVER_HANG:
        return connection_hold(s->c);
    case SERVER_KEY_UPDATE:
        return tls_key_update(s->c);
    case SERVER_RESET:
        connection_end(s->c, CONNECTION_END_RESET);
        return false;
    case SERVER_TRUNCATE:
        connection_end(s->c, CONNECTION_END_TRUNCATE);
        return false;
    default:
        connection_end(s->c, CONNECTION_END_CLOSE);
        return false;
    }
}

/* ------------------------------------------------------------------------------------ head -- */

static void date_print(struct server_text *to)
{
    time_t now = time(NULL);
    struct tm parts;
    char date[64];

    gmtime_r(&now, &parts);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    server_text_print(to, "Date: %s\r\n", date);
}

static bool has_line(const struct server_text *lines, const char *name)
{
    const char *value;
    size_t bytes;

    return server_line_find(server_text_string(lines), name, &value, &bytes);
}

static void huge_headers_print(const struct server_fault *fault, struct server_text *to)
{
    char x[1024];

    memset(x, 'x', sizeof(x));
    for (uint32_t i = 0; i < fault->count; i++) {
        size_t line = to->used;
        server_text_print(to, "X-Huge-%u: ", i);
        while (to->used - line + 2 < fault->bytes) {
            size_t lack = fault->bytes - 2 - (to->used - line);
            server_text_add(to, x, lack < sizeof(x) ? lack : sizeof(x));
        }
        server_text_print(to, "\r\n");
    }
}

static void head_print(struct sending *s)
{
    struct answer *a = s->a;
    struct server_text *to = &s->before;
    bool overruled = s->fault->kind == SERVER_HEADER && s->fault->name &&
                     strcasecmp(s->fault->name, "Content-Length") == 0;

    if (a->status == 0)
        return;
    if (s->fault->kind == SERVER_INTERIM)
        server_text_print(to, "HTTP/1.1 100 Continue\r\n\r\n"
                              "HTTP/1.1 103 Early Hints\r\nETag: \"early\"\r\n"
                              "Content-Length: 5\r\n\r\n");
    server_text_print(to, "HTTP/1.1 %d %s\r\n%s", a->status, answer_reason(a->status),
                      server_text_string(&a->headers));
    if (!has_line(&a->headers, "Date"))
        date_print(to);
    if (s->fault->kind == SERVER_HUGE_HEADERS)
        huge_headers_print(s->fault, to);
    if (a->framing == FRAMING_CHUNKED)
        server_text_print(to, "Transfer-Encoding: chunked\r\n%s",
                          a->trailers ? "Trailer: X-Trailer\r\n" : "");
    else if (a->framing == FRAMING_LENGTH && a->body_bytes != UINT64_MAX && a->status != 304 &&
             !overruled)
        server_text_print(to, "Content-Length: %llu\r\n", (unsigned long long)a->body_bytes);
    if (a->framing == FRAMING_CLOSE)
        a->last = true;
    if (a->last)
        server_text_print(to, "Connection: close\r\n");
    server_text_print(to, "\r\n");
}

/* Sends count bytes of what waits, at most each_bytes at a time if that is not 0. */
static bool head_part(struct sending *s, size_t at, size_t count, uint32_t each_bytes)
{
    while (count > 0) {
        size_t piece = each_bytes && each_bytes < count ? each_bytes : count;
        if (each_bytes && !connection_sleep(s->c, (uint64_t)s->fault->each_ms * 1000000u))
            return false;
        if (!connection_send(s->c, s->before.at + at, piece))
            return false;
        at += piece;
        count -= piece;
    }
    return true;
}

/* A head that is broken off, held or trickles after fault->bytes of it. */
static bool head_disturbed(struct sending *s)
{
    size_t whole = s->before.used, part = whole;
    bool trickles = s->fault->kind == SERVER_TRICKLE;
    struct server_text head;
    bool goes_on;

    if (s->fault->place == SERVER_BEFORE_HEAD)
        part = 0;
    else if (s->fault->bytes < whole)
        part = (size_t)s->fault->bytes;
    if (!head_part(s, 0, part, 0))
        return false;
    /* break_off() flushes, and the rest of the head is not to go yet. */
    head = s->before;
    s->before = (struct server_text){0};
    goes_on = trickles || break_off(s);
    server_text_free(&s->before);
    s->before = head;
    goes_on = goes_on && head_part(s, part, whole - part, trickles ? s->fault->bytes_each : 0);
    server_text_clear(&s->before);
    return goes_on;
}

/* ------------------------------------------------------------------------------------ body -- */

/* How much may go in the next piece. */
static size_t piece_room(const struct sending *s)
{
    uint64_t room = SERVER_BUFFER_BYTES, rate = s->c->server->config.bytes_per_s;
    const struct server_fault *fault = s->fault;

    if (s->left < room)
        room = s->left;
    if (rate > 0 && rate / (1000 / SERVER_QUANTUM_MS) < room)
        room = rate >= 1000 / SERVER_QUANTUM_MS ? rate / (1000 / SERVER_QUANTUM_MS) : 1;
    if (fault->kind == SERVER_TRICKLE && fault->place == SERVER_IN_BODY) {
        uint64_t until = fault->bytes > s->sent ? fault->bytes - s->sent : fault->bytes_each;
        room = until < room ? until : room;
    }
    if ((s->cut || fault->kind == SERVER_CHUNK_BROKEN) && fault->bytes > s->sent &&
        fault->bytes - s->sent < room)
        room = fault->bytes - s->sent;
    return (size_t)room;
}

/* Waits until the next `count` bytes may go. */
static bool piece_wait(struct sending *s, size_t count)
{
    struct connection *c = s->c;
    uint64_t rate = c->server->config.bytes_per_s, now_ns;
    const struct server_fault *fault = s->fault;

    if (fault->kind == SERVER_TRICKLE && fault->place == SERVER_IN_BODY && s->sent >= fault->bytes)
        return flush(s) && connection_sleep(c, (uint64_t)fault->each_ms * 1000000u);
    if (rate == 0)
        return true;
    now_ns = server_now_ns();
    if (c->due_ns > now_ns) {
        if (!flush(s) || !connection_sleep(c, c->due_ns - now_ns))
            return false;
    } else {
        c->due_ns = now_ns;
    }
    c->due_ns += (uint64_t)((__uint128_t)count * 1000000000u / rate);
    return true;
}

/* Sends one piece of the body, framed. */
static bool piece_send(struct sending *s, const char *piece, size_t count)
{
    const struct server_fault *fault = s->fault;
    bool chunked = s->a->framing == FRAMING_CHUNKED, sent;

    if (fault->kind == SERVER_FLIP && fault->bytes >= s->sent && fault->bytes < s->sent + count) {
        if (piece != s->c->buffer)
            memcpy(s->c->buffer, piece, count);
        s->c->buffer[fault->bytes - s->sent] ^= 1;
        piece = s->c->buffer;
    }
    if (!piece_wait(s, count))
        return false;
    if (chunked)
        server_text_print(&s->before, "%zx\r\n", count);
    sent = connection_send_two(s->c, s->before.at, s->before.used, piece, count);
    server_text_clear(&s->before);
    if (chunked)
        server_text_add(&s->before, "\r\n", 2);
    if (!sent)
        return false;
    s->sent += count;
    if (s->left != UINT64_MAX)
        s->left -= count;
    return true;
}

static bool body_send(struct sending *s)
{
    const struct server_fault *fault = s->fault;

    while (s->left > 0 || s->a->endless) {
        const char *piece = s->c->buffer;
        size_t count = 0;
        if (s->cut && s->sent >= fault->bytes && !break_off(s))
            return false;
        if (fault->kind == SERVER_CHUNK_BROKEN && s->sent >= fault->bytes)
            break;
        if (s->left > 0)
            count = source_next(&s->a->source, s->c->buffer, piece_room(s), &piece);
        if (count == 0 && s->a->endless) {
            count = SERVER_BUFFER_BYTES;
            piece = s->c->buffer;
            memset(s->c->buffer, 0, count);
            s->left = UINT64_MAX;
        } else if (count == 0) {
            s->lacks = s->left != UINT64_MAX;
            break;
        }
        if (!piece_send(s, piece, count))
            return false;
    }
    /* A fault behind the body's end happens at its end. */
    return !s->cut || break_off(s);
}

static bool end_send(struct sending *s)
{
    if (s->lacks) {
        s->a->last = true;
    } else if (s->fault->kind == SERVER_CHUNK_BROKEN) {
        server_text_print(&s->before, "no number\r\n");
        s->a->last = true;
    } else if (s->a->framing == FRAMING_CHUNKED) {
        server_text_print(&s->before, "0\r\n%s\r\n", s->a->trailers ? "X-Trailer: here\r\n" : "");
    }
    if (s->a->stray)
        server_text_print(&s->before, "%s", s->a->stray);
    return flush(s);
}

bool answer_send(struct connection *c, struct answer *a, const struct server_fault *fault,
                 uint64_t *sent_bytes, bool *head_sent)
{
    static const struct server_fault none = {.kind = SERVER_DELAY};
    struct sending s = {.c = c, .a = a, .fault = fault ? fault : &none, .left = a->body_bytes};
    bool disturbed_head, goes_on = true;

    s.cut = breaks_off(s.fault);
    disturbed_head = s.fault->place != SERVER_IN_BODY && (s.cut || s.fault->kind == SERVER_TRICKLE);
    head_print(&s);
    if (disturbed_head)
        goes_on = head_disturbed(&s);
    *head_sent = a->status != 0 && (goes_on || s.fault->place == SERVER_IN_BODY);
    if (goes_on && !a->without_body)
        goes_on = body_send(&s) && end_send(&s);
    else if (goes_on)
        goes_on = (!s.cut || break_off(&s)) && flush(&s);
    *sent_bytes = s.sent;
    server_text_free(&s.before);
    return goes_on;
}
