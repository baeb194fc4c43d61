/* SPDX-License-Identifier: MIT */
/* when.h - the time stamps of credential answers. */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_WHEN_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_WHEN_H

#include <stdint.h>

/* Seconds since 1970 of "2026-01-31T12:00:00Z": RFC 3339 with an optional fraction and an offset in
 * place of Z; also "UTC" in its place, which old caches of the AWS CLI hold. 0 if it is none. */
uint64_t when_parse(const char *text);

#endif
