/* SPDX-License-Identifier: MIT */
/*
 * Design: redirects are followed by hand, because what curl would do with our headers is not what
 * must happen to them: a signature or a token is for one server only. So a server that differs in
 * scheme, name or port gets none of our headers but a short list.
 *
 * Sources: RFC 9110 section 10.2.2 (Location) and 15.4; RFC 3986 section 5.2 (relative references;
 * dot segments are left as they are, for in keys of buckets they are literal).
 *
 * Threads: any; no state.
 */
#include "driver/http/redirect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "driver/http/encode.h"

/* Bytes of "https://" or "http://" at the start of `url`, any case; 0: neither. */
static size_t scheme_bytes(const char *url)
{
    if (strncasecmp(url, "https://", 8) == 0)
        return 8;
    return strncasecmp(url, "http://", 7) == 0 ? 7 : 0;
}

bool http_redirect_resolve(const struct http_request *request, const char *location, char *url,
                           size_t room)
{
    const char *slash = strrchr(request->path, '/');
    int folder = slash ? (int)(slash - request->path) : 0, length;
    size_t scheme;

    if (location[0] == '/' && location[1] == '/')
        length = snprintf(url, room, "%s:%s", request->scheme, location);
    else if (location[0] == '/')
        length = snprintf(url, room, "%s://%s%s", request->scheme, request->host, location);
    else if (location[0] == '?')
        length = snprintf(url, room, "%s://%s%s%s", request->scheme, request->host, request->path,
                          location);
    else if (location[strcspn(location, ":/?#")] == ':') /* it has a scheme */
        length = snprintf(url, room, "%s", location);
    else
        length = snprintf(url, room, "%s://%s%.*s/%s", request->scheme, request->host, folder,
                          request->path, location);
    if (length < 0 || (size_t)length >= room || !http_text_is_clean(url))
        return false;
    scheme = scheme_bytes(url);
    if (scheme == 0 || (scheme == 7 && strcmp(request->scheme, "https") == 0))
        return false;
    length = (int)strcspn(url + scheme, "/?#");
    return length > 0 && !memchr(url + scheme, '@', (size_t)length);
}

bool http_redirect_is_at_home(const struct http_request *request, const char *url)
{
    size_t scheme = scheme_bytes(url), host = strlen(request->host);

    return scheme == strlen(request->scheme) + 3 && strcspn(url + scheme, "/?#") == host &&
           strncasecmp(url + scheme, request->host, host) == 0;
}

static void headers_keep(struct http_request *request)
{
    static const char *const kept[] = {"range", "if-match", "accept-encoding"};
    uint32_t count = 0;

    for (uint32_t i = 0; i < request->header_count; i++)
        for (size_t k = 0; k < sizeof(kept) / sizeof(kept[0]); k++)
            if (strcmp(request->headers[i].name, kept[k]) == 0)
                request->headers[count++] = request->headers[i];
    request->header_count = count;
}

int http_redirect_apply(struct http_request *request, const char *url, bool foreign,
                        struct http_text *text)
{
    size_t scheme = scheme_bytes(url);
    const char *at = url + scheme, *path = at + strcspn(at, "/?#");
    const char *query = path + strcspn(path, "?#");

    request->scheme = scheme == 8 ? "https" : "http";
    http_text_append(text, at, (size_t)(path - at));
    if (http_text_end(text, &request->host))
        return -ENOBUFS;
    if (*path != '/')
        http_text_puts(text, "/");
    http_text_append(text, path, (size_t)(query - path));
    if (http_text_end(text, &request->path))
        return -ENOBUFS;
    request->query = NULL;
    if (*query == '?') {
        http_text_append(text, query + 1, strcspn(query + 1, "#"));
        if (http_text_end(text, &request->query))
            return -ENOBUFS;
    }
    if (foreign)
        headers_keep(request);
    return 0;
}
