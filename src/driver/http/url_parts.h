/* SPDX-License-Identifier: MIT */
/* url_parts.h - what url.c and address.c share. Pure; any thread. */
#ifndef LSIO_DRIVER_HTTP_URL_PARTS_H
#define LSIO_DRIVER_HTTP_URL_PARTS_H

#include <string.h>

#include "driver/http/url.h"

#define URL_HOST_BYTES 280u /* a name of 253 letters, brackets, a port */

/* Room for a sentence. */
struct url_why {
    char *text;
    size_t bytes;
};

/* Writes the sentence; -EINVAL. */
int url_refuse(struct url_why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Replaces *out by a copy of `count` characters; -ENOMEM. */
int url_take(char **out, const char *begin, size_t count);

/* Does the text end in `suffix` (any case), with something before it? */
bool url_has_suffix(const char *text, size_t count, const char *suffix);

/* A host name of letters, digits, '.', '-' and '_'. */
bool url_host_is_valid(const char *host, size_t count);

/* May the character stand in a URL (RFC 3986, appendix A)? */
static inline bool url_may_hold(char character)
{
    return character > ' ' && character < 0x7f && !strchr("\"<>\\^`{|}", character);
}

/* Is one of the segments between slashes `.` or `..`, escaped or not? */
bool url_has_dot_segment(const char *path);

/* host[:port], or [address]:port. */
struct url_server {
    char host[URL_HOST_BYTES]; /* lower case, as in a Host header: without the scheme's own port */
    size_t name_bytes;         /* of `host` without port */
    uint16_t port;
};
int url_server_parse(const char *text, size_t count, bool tls, struct url_server *out,
                     struct url_why *why);

#endif
