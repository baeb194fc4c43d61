/* SPDX-License-Identifier: MIT */
/*
 * curl_setup.c - see curl_setup.h. Sources: CURLOPT_CAINFO(3), CURLOPT_CAPATH(3),
 * CURLOPT_RESOLVE(3), CURLOPT_PROXY(3). Threads: whoever owns the handle; nothing is shared.
 */
#include "driver/http/curl_setup.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

#define ENTRY_BYTES 512u

/* curl looks in its own file and folder besides what is given, unless told not to. */
CURLcode curl_trust_set(CURL *curl, const struct curl_trust *trust)
{
    CURLcode code = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, trust->insecure ? 0L : 1L);

    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, trust->insecure ? 0L : 2L);
    if (!code && (trust->ca_file || trust->own_only))
        code = curl_easy_setopt(curl, CURLOPT_CAINFO, trust->ca_file);
    if (!code && (trust->ca_path || trust->own_only))
        code = curl_easy_setopt(curl, CURLOPT_CAPATH, trust->ca_path);
    return code;
}

/* Copies the entry at *at, which moves behind it: 1, 0 if there is none, -EINVAL if it is too long.
 */
static int entry_take(const char **at, char one[ENTRY_BYTES])
{
    const char *entry = *at ? *at + strspn(*at, " \t") : "";
    size_t length = strcspn(entry, " \t");

    if (length >= ENTRY_BYTES)
        return -EINVAL;
    memcpy(one, entry, length);
    one[length] = '\0';
    *at = entry + length;
    return length > 0;
}

int curl_resolve_set(CURL *curl, const char *resolve, struct curl_slist **list)
{
    char one[ENTRY_BYTES];
    int more;

    curl_slist_free_all(*list);
    *list = NULL;
    while ((more = entry_take(&resolve, one)) > 0) {
        struct curl_slist *longer = curl_slist_append(*list, one);
        if (!longer)
            return -ENOMEM;
        *list = longer;
    }
    if (more < 0)
        return more;
    return curl_easy_setopt(curl, CURLOPT_RESOLVE, *list) ? -ENOMEM : 0;
}

/* An address of IPv4 or IPv6, the latter with or without brackets; it is written to. */
static bool address_is_valid(char *text)
{
    unsigned char address[sizeof(struct in6_addr)];
    size_t length = strlen(text);

    if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
        text[length - 1] = '\0';
        return inet_pton(AF_INET6, text + 1, address) == 1;
    }
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* host:port:address[,address]; it is written to. */
static bool entry_is_valid(char *entry)
{
    char *port = strchr(entry, ':'), *end, *address;
    unsigned long number;

    if (!port || port == entry || port[1] < '0' || port[1] > '9')
        return false;
    number = strtoul(port + 1, &end, 10);
    if (*end != ':' || number < 1 || number > 65535)
        return false;
    address = end + 1;
    for (bool more = true; more; address = end + 1) {
        end = address + strcspn(address, ",");
        more = *end != '\0';
        *end = '\0';
        if (!address_is_valid(address))
            return false;
    }
    return true;
}

bool curl_resolve_is_valid(const char *resolve)
{
    char one[ENTRY_BYTES];
    int more;

    while ((more = entry_take(&resolve, one)) > 0)
        if (!entry_is_valid(one))
            return false;
    return more == 0;
}

bool curl_proxy_is_valid(const char *url)
{
    static const char *const schemes[] = {"http",    "https",  "socks",  "socks4",
                                          "socks4a", "socks5", "socks5h"};
    const char *colon = url ? strstr(url, "://") : NULL;
    bool known = !colon;
    CURLU *parts;
    CURLUcode code;

    if (!url || !*url)
        return true;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        known |= colon && strlen(schemes[i]) == (size_t)(colon - url) &&
                 strncasecmp(url, schemes[i], (size_t)(colon - url)) == 0;
    parts = known ? curl_url() : NULL;
    if (!parts)
        return known; /* there is no memory: curl will say so again */
    code = curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME);
    curl_url_cleanup(parts);
    return code == CURLUE_OK || code == CURLUE_OUT_OF_MEMORY;
}
