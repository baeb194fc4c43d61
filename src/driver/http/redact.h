/* SPDX-License-Identifier: MIT */
/*
 * redact.h - the one function that takes secrets out of text. Every text of the HTTP family that
 * goes to a log, an error or a store's public URL goes through it.
 */
#ifndef LSIO_DRIVER_HTTP_REDACT_H
#define LSIO_DRIVER_HTTP_REDACT_H

#include <stddef.h>

#include "driver/http/credential.h"

/*
 * Copies a message, a URL or a header line to `out` (room for `room` >= 1 bytes; cut to fit, always
 * NUL-terminated) with each secret replaced by "***":
 *   - userinfo of URLs;
 *   - the values of Authorization headers, cookies, and of parameters, headers, JSON members, XML
 *     elements and parts of connection strings whose name says that they hold a signature, key,
 *     token or password; in percent-encoded text as well;
 *   - with `known` (may be NULL) each occurrence of that credential's secret and token, raw or
 *     percent-encoded. Those shorter than 8 characters are left out: they are found in words.
 */
void http_redact(char *out, size_t room, const char *text, const struct http_credential *known);

#endif
