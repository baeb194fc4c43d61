/* SPDX-License-Identifier: MIT */
/*
 * redirect.h - where a redirect leads, and what of a request may go there.
 *
 *     if (!http_redirect_resolve(&request, head->location, url, sizeof(url)))  not to be followed
 *     foreign |= !http_redirect_is_at_home(&request, url);
 *     ... the request is built anew, then ...
 *     status = http_redirect_apply(&request, url, foreign, &text);
 *
 * Pure.
 */
#ifndef LSIO_DRIVER_HTTP_REDIRECT_H
#define LSIO_DRIVER_HTTP_REDIRECT_H

#include <stdbool.h>
#include <stddef.h>

#include "driver/http/request.h"

/* The absolute URL that `location` is in an answer to `request`. False: it must not be followed,
 * because it is neither http nor https, gives up TLS, names a user, holds control characters or is
 * too long. */
bool http_redirect_resolve(const struct http_request *request, const char *location, char *url,
                           size_t room);

/* Whether scheme, host and port of `url` are the request's. */
bool http_redirect_is_at_home(const struct http_request *request, const char *url);

/* Points the request to `url`. `foreign`: to another server; nothing of ours goes there but range,
 * validator and encoding. 0 or -ENOBUFS. */
int http_redirect_apply(struct http_request *request, const char *url, bool foreign,
                        struct http_text *text);

#endif
