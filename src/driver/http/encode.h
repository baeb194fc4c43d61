/* SPDX-License-Identifier: MIT */
/*
 * encode.h - percent-encoding (RFC 3986 section 2) and query strings.
 */
#ifndef LSIO_DRIVER_HTTP_ENCODE_H
#define LSIO_DRIVER_HTTP_ENCODE_H

#include "driver/http/request.h"

enum http_encode_mode {
    HTTP_ENCODE_ALL,       /* all but unreserved characters: query values, GCS JSON names */
    HTTP_ENCODE_KEEP_SLASH /* '/' stays: paths */
};

/* Adds the bytes to the text's current string, encoded. */
void http_text_encode(struct http_text *text, const void *bytes, size_t count,
                      enum http_encode_mode mode);

/* Adds "&name=value" to the current string, or "name=value" if it is empty; the value (NULL: no
 * '=') is encoded, the name is taken as it is. */
void http_text_query(struct http_text *text, const char *name, const char *value);

/* The value of two hexadecimal digits, or -1. */
int http_hex_pair(const char *digits);

/* Decodes %XX of `count` characters into `out`, which has room for as many (it may be `in`); all
 * else is copied, '+' too. Returns the bytes, or -EINVAL for a '%' without two digits. */
int64_t http_decode(char *out, const char *in, size_t count);

/* True if the text holds no control character: CR or LF in a URL, a key or an option would let it
 * write headers of its own. */
bool http_text_is_clean(const char *text);

#endif
