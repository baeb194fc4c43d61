/* SPDX-License-Identifier: MIT */
/*
 * curl_setup.h - what requests for objects (transport_curl.c) and for credentials
 * (credential/fetch.c) tell libcurl in the same way.
 *
 *     code = curl_trust_set(curl, &trust);
 *     status = curl_resolve_set(curl, "host:443:127.0.0.1", &list);    list: NULL at first
 *     ... the request ...
 *     curl_slist_free_all(list);                                       after curl_easy_cleanup()
 */
#ifndef LSIO_DRIVER_HTTP_CURL_SETUP_H
#define LSIO_DRIVER_HTTP_CURL_SETUP_H

#include <curl/curl.h>
#include <stdbool.h>

struct curl_trust {
    const char *ca_file, *ca_path; /* NULL: libcurl's own */
    bool own_only;                 /* none of libcurl's own besides */
    bool insecure;                 /* certificates are not checked */
};
CURLcode curl_trust_set(CURL *curl, const struct curl_trust *trust);

/* Addresses in place of DNS, as host:port:address[,address] separated by white space; NULL: none.
 * *list is replaced; the handle uses it. 0, -ENOMEM, or -EINVAL for an entry that is too long. */
int curl_resolve_set(CURL *curl, const char *resolve, struct curl_slist **list);

/* Whether libcurl will take what is given, which it would say only when a server is asked; NULL is
 * fine. Of a proxy's URL: its form, and a scheme that libcurl knows; "" is none. */
bool curl_resolve_is_valid(const char *resolve);
bool curl_proxy_is_valid(const char *url);

#endif
