/* SPDX-License-Identifier: MIT */
/*
 * address.c - which hosts secrets may be sent to (see provider.h). libcurl's URL parser decides
 * what the host is, for libcurl is who connects: a rule that read `http://127.0.0.1@host/` in
 * another way would be a hole.
 */
#include "driver/http/credential/provider.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* One part of a URL, or NULL; curl_free() it. */
static char *url_part(const char *url, CURLUPart part)
{
    CURLU *parsed = curl_url();
    char *text = NULL;

    if (parsed && (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
                   curl_url_get(parsed, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK))
        text = NULL;
    curl_url_cleanup(parsed);
    return text;
}

int credential_base_length(const char *base)
{
    size_t length = strlen(base);

    while (length > 0 && base[length - 1] == '/')
        length--;
    return (int)length;
}

void credential_url_host(const char *url, char *out, size_t bytes)
{
    char *host = url_part(url, CURLUPART_HOST);
    size_t length;

    if (host && host[0] == '[')
        snprintf(out, bytes, "%s", host + 1);
    else
        snprintf(out, bytes, "%s", host ? host : "");
    curl_free(host);
    length = strlen(out);
    if (length > 0 && out[length - 1] == ']')
        out[length - 1] = '\0';
    for (; *out; out++)
        if (*out >= 'A' && *out <= 'Z')
            *out = (char)(*out - 'A' + 'a');
}

bool credential_url_is_loopback(const char *url)
{
    struct in6_addr loopback6 = IN6ADDR_LOOPBACK_INIT, address6;
    struct in_addr address;
    char host[128];

    credential_url_host(url, host, sizeof(host));
    if (inet_pton(AF_INET, host, &address) == 1)
        return ntohl(address.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &address6) == 1)
        return memcmp(&address6, &loopback6, sizeof(address6)) == 0;
    return strcmp(host, "localhost") == 0;
}

bool credential_url_is_at(const char *url, const char *server)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    char whole[512];
    bool same = snprintf(whole, sizeof(whole), "https://%s/", server) < (int)sizeof(whole);

    for (size_t i = 0; same && i < sizeof(parts) / sizeof(parts[0]); i++) {
        char *one = url_part(url, parts[i]), *other = url_part(whole, parts[i]);
        same = one && other && strcasecmp(one, other) == 0;
        curl_free(one);
        curl_free(other);
    }
    return same;
}

bool credential_url_is_safe(const char *url)
{
    char *scheme = url_part(url, CURLUPART_SCHEME);
    bool secure = scheme && strcmp(scheme, "https") == 0;

    curl_free(scheme);
    return secure || credential_url_is_loopback(url);
}
