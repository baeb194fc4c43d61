/* SPDX-License-Identifier: MIT */
/*
 * What faults change of an answer, before it is sent. Faults that break an answer off, hold it or
 * slow it down are not here but in send.c; the answer itself is right then.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <string.h>

enum { MULTIPART_BYTES_MAX = 1 << 20 };

void fault_prepare(const struct server_fault *fault, struct request *r)
{
    if (fault->kind == SERVER_WHOLE) {
        server_line_set(&r->headers, "Range", NULL);
        server_line_set(&r->headers, "x-ms-range", NULL);
    }
}

bool fault_replaces(const struct server_fault *fault)
{
    return fault->kind == SERVER_STATUS || fault->kind == SERVER_RAW || fault->kind == SERVER_BODY;
}

void fault_replace(struct server *s, const struct server_fault *fault, struct answer *a)
{
    struct server_text body = {0};

    if (fault->kind == SERVER_STATUS) {
        answer_error(s, a, fault->status, fault->code, "planned by the test");
        if (fault->name)
            server_line_set(&a->headers, fault->name, fault->text);
        return;
    }
    server_text_add(&body, fault->text, fault->text_bytes);
    answer_text(a, 200, "application/xml", &body);
    if (fault->kind == SERVER_RAW) {
        a->status = 0;
        a->last = true;
    }
}

/* The body as the one part of a multipart/byteranges message (RFC 9110, 14.6). */
static void body_to_multipart(struct connection *c, struct answer *a)
{
    struct server_text body = {0};
    const char *range = "bytes 0-0/1", *piece;
    size_t range_bytes = strlen(range), count;

    server_line_find(server_text_string(&a->headers), "Content-Range", &range, &range_bytes);
    server_text_print(&body,
                      "--part\r\nContent-Type: application/octet-stream\r\n"
                      "Content-Range: %.*s\r\n\r\n",
                      (int)range_bytes, range);
    while (a->body_bytes > 0 && body.used < MULTIPART_BYTES_MAX) {
        size_t room = SERVER_BUFFER_BYTES;
        if (a->body_bytes < room)
            room = (size_t)a->body_bytes;
        count = source_next(&a->source, c->buffer, room, &piece);
        if (count == 0)
            break;
        server_text_add(&body, piece, count);
        a->body_bytes -= count;
    }
    server_text_print(&body, "\r\n--part--\r\n");
    server_line_set(&a->headers, "Content-Range", NULL);
    answer_text(a, 206, "multipart/byteranges; boundary=part", &body);
}

void fault_change(struct connection *c, const struct server_fault *fault, struct answer *a)
{
    bool sized = a->body_bytes != UINT64_MAX;

    switch (fault->kind) {
    case SERVER_HEADER:
        server_line_set(&a->headers, fault->name, fault->text);
        break;
    case SERVER_MULTIPART:
        body_to_multipart(c, a);
        break;
    case SERVER_SHORT:
        if (sized)
            a->body_bytes -= fault->bytes < a->body_bytes ? fault->bytes : a->body_bytes;
        break;
    case SERVER_LONG:
        if (sized)
            a->body_bytes += fault->bytes;
        break;
    case SERVER_STRAY:
        a->stray = server_copy(fault->text);
        break;
    case SERVER_ENDLESS:
    case SERVER_UNSIZED:
        a->framing = FRAMING_CLOSE;
        a->endless = fault->kind == SERVER_ENDLESS;
        break;
    case SERVER_ENDLESS_CHUNKS:
    case SERVER_CHUNKED:
    case SERVER_CHUNK_BROKEN:
        a->framing = FRAMING_CHUNKED;
        a->endless = fault->kind == SERVER_ENDLESS_CHUNKS;
        a->trailers = fault->kind == SERVER_CHUNKED;
        break;
    default:
        break;
    }
}
