/* SPDX-License-Identifier: MIT */
/*
 * request.h - one HTTP request as the HTTP family builds it, and the text buffer that holds it.
 *
 * All strings of a request are borrowed: they are literals, live in a store's settings, or were
 * built in an http_text, a bump allocator over memory that the caller keeps from request to
 * request. So building and signing a request allocates nothing.
 *
 *     http_text_init(&text, memory, sizeof(memory));
 *     http_text_puts(&text, "bytes=");
 *     http_text_number(&text, first);
 *     status = http_text_end(&text, &value);                  -ENOBUFS: did not fit
 *     status = http_request_header(&request, "range", value);
 *
 * Threads: none is shared; the caller's.
 */
#ifndef LSIO_DRIVER_HTTP_REQUEST_H
#define LSIO_DRIVER_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEADERS_MAX 24u

struct http_header {
    const char *name;
    const char *value;
};

struct http_request {
    const char *method;
    const char *scheme; /* "http" or "https" */
    const char *host;   /* as in the Host header: name[:port], brackets around IPv6 */
    const char *path;   /* percent-encoded as sent; begins with '/' */
    const char *query;  /* encoded as sent, without '?'; NULL: none */
    const void *body;
    uint64_t body_bytes;
    uint32_t header_count;
    struct http_header headers[HTTP_HEADERS_MAX]; /* without Host */
};

/* Appends a header; the strings are borrowed. -ENOBUFS when there are HTTP_HEADERS_MAX; -EINVAL for
 * a name that is no token or a value with a control character (RFC 9110 section 5). */
int http_request_header(struct http_request *request, const char *name, const char *value);

/* The first header of that name (any case), or NULL. */
const char *http_request_find(const struct http_request *request, const char *name);

/* The caller may rewind to an older `used` to give back what was built since. */
struct http_text {
    char *base;
    size_t used;
    size_t room;
    size_t start; /* where the string that is being built begins */
    bool full;    /* it did not fit; http_text_end() tells */
};

void http_text_init(struct http_text *text, char *base, size_t room);

/* These add to the string that is being built. */
void http_text_append(struct http_text *text, const void *bytes, size_t count);
void http_text_puts(struct http_text *text, const char *string);
void http_text_number(struct http_text *text, uint64_t number); /* in decimal */
void http_text_printf(struct http_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Ends the string: 0 and the string, which is NUL-terminated, or -ENOBUFS, and the room it took is
 * free again. The next string begins behind it. */
int http_text_end(struct http_text *text, const char **out);

/* Bytes of the string that is being built, so far. */
static inline size_t http_text_length(const struct http_text *text)
{
    return text->used - text->start;
}

/* Back to `used`, a value that text->used had between two strings. */
static inline void http_text_rewind(struct http_text *text, size_t used)
{
    text->used = used;
    text->start = used;
    text->full = false;
}

#endif
