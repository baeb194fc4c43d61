/* SPDX-License-Identifier: MIT */
/* date.h - points in time as HTTP headers and listings write them. Pure; any thread. */
#ifndef LSIO_DRIVER_HTTP_DATE_H
#define LSIO_DRIVER_HTTP_DATE_H

#include <stddef.h>
#include <stdint.h>

/* An HTTP-date in one of the three forms of RFC 9110 section 5.6.7: 0 and seconds since 1970, or
 * -EINVAL. */
int http_date_parse(const char *text, size_t count, int64_t *unix_s);

/* An RFC 3339 time in UTC ("2026-01-02T03:04:05.678Z", fraction optional), as S3 and GCS list it:
 * 0 and nanoseconds since 1970, or -EINVAL. */
int http_date_parse_rfc3339(const char *text, size_t count, int64_t *unix_ns);

#define HTTP_DATE_BYTES 30u

/* The preferred form of an HTTP-date, "Sun, 06 Nov 1994 08:49:37 GMT", NUL-terminated; -EINVAL for
 * a time that has none. */
int http_date_format(char out[HTTP_DATE_BYTES], int64_t unix_s);

#endif
