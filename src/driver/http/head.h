/* SPDX-License-Identifier: MIT */
/*
 * head.h - what the HTTP family keeps of an answer's head, filled header by header.
 *
 *     http_head_reset(&head, 206)                      at each status line: 1xx leave nothing
 *     http_head_add(&head, "etag", 4, "\"a\"", 3)      each header
 *
 * Only what the policy needs is kept, in fixed room: the head of an answer allocates nothing.
 * Threads: the owner's.
 */
#ifndef LSIO_DRIVER_HTTP_HEAD_H
#define LSIO_DRIVER_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver/http/checksum.h"

#define HTTP_HEAD_BYTES_MAX (64u * 1024)
#define HTTP_SIZE_UNKNOWN   UINT64_MAX

/* RFC 9110 section 14.4 */
enum http_range_form {
    HTTP_RANGE_NONE = 0,      /* no Content-Range */
    HTTP_RANGE_BYTES,         /* bytes first-last/total, or first-last/ * (total unknown) */
    HTTP_RANGE_UNSATISFIABLE, /* bytes * /total */
    HTTP_RANGE_BAD            /* anything else: content_range holds it, for the message */
};

enum http_encoding {
    HTTP_ENCODING_IDENTITY = 0, /* or none, or aws-chunked: the bytes are those stored */
    HTTP_ENCODING_OTHER         /* content_encoding holds it */
};

struct http_head {
    uint16_t status;
    uint8_t range;       /* enum http_range_form */
    uint8_t encoding;    /* enum http_encoding */
    bool etag_strong;    /* may be sent in If-Match: quoted, not empty, not weak */
    bool chunked;        /* Transfer-Encoding: chunked */
    bool ranges_refused; /* Accept-Ranges: none */
    bool multipart;      /* Content-Type: multipart/byteranges */
    bool xml;            /* Content-Type: application/xml or text/xml */
    bool location_cut;   /* Location was longer than there is room for */
    bool has_last_modified, has_generation;
    bool has_retry_after_s, has_retry_after_date;
    uint32_t bytes;          /* of all headers so far */
    uint64_t content_length; /* HTTP_SIZE_UNKNOWN if absent */
    uint64_t range_first;    /* HTTP_RANGE_BYTES: both ends are inclusive */
    uint64_t range_last;
    uint64_t range_total; /* HTTP_SIZE_UNKNOWN if the server does not say */
    uint64_t generation;  /* x-goog-generation */
    uint64_t retry_after_s;
    int64_t retry_after_date_s; /* dates are seconds since 1970 */
    int64_t last_modified_s;
    char date[40];                 /* Date as sent: few answers are asked for it */
    char etag[128];                /* as sent, with quotes and W/; "" if absent or longer */
    char version[64];              /* x-amz-version-id, x-ms-version-id */
    char region[32];               /* x-amz-bucket-region */
    char error_code[64];           /* x-ms-error-code */
    char request_id[64];           /* x-amz-request-id, x-ms-request-id, x-guploader-uploadid */
    char content_range[80];        /* as sent, cut */
    char content_encoding[24];     /* of HTTP_ENCODING_OTHER */
    char stored_encoding[24];      /* x-goog-stored-content-encoding */
    struct http_checksum checksum; /* of the object */
    char location[2048];           /* last: a reset empties it and leaves the rest */
};

/* Begins a new head. */
void http_head_reset(struct http_head *head, unsigned status);

/* Takes one header; the strings need no NUL. LSIO_E_PROTOCOL if headers take more than
 * HTTP_HEAD_BYTES_MAX, or framing cannot be trusted: a Content-Length that is none, or two headers
 * that contradict each other. A Content-Range that makes no sense is left to the caller, who knows
 * what was asked (HTTP_RANGE_BAD). */
int http_head_add(struct http_head *head, const char *name, size_t name_bytes, const char *value,
                  size_t value_bytes);

/* When the answer was made, by the server's clock; false if it does not say. */
bool http_head_date(const struct http_head *head, int64_t *unix_s);

/* How long the server wants us to wait: true and milliseconds from now. A date is taken relative to
 * the answer's own Date, so that clocks need not agree; without one, to now_s. */
bool http_head_retry_after(const struct http_head *head, int64_t now_s, uint64_t *wait_ms);

/* The size of the object as far as the head tells: of a 206 or 416 the total, of a 200 the length.
 * HTTP_SIZE_UNKNOWN if it does not. */
uint64_t http_head_object_size(const struct http_head *head);

#endif
