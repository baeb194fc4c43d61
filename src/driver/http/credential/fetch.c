/* SPDX-License-Identifier: MIT */
/*
 * fetch.c - see fetch.h. One easy handle per request: there are a few requests per hour, and a
 * handle of its own shares no connection, cookie or cache with anything.
 *
 * What libcurl would do on its own and must not: follow redirects, other protocols than HTTP and
 * HTTPS, .netrc, signals (NOSIGNAL), proxies for metadata endpoints. libcurl's message buffer is
 * not used, for it may quote what was sent; the caller names the host.
 *
 * A store's `insecure` is said of that store's server. What token servers get, long-lived secrets,
 * is worth more than what the store's server gets, so their certificates are checked all the same,
 * unless such a server is the store's own.
 */
#define _GNU_SOURCE /* explicit_bzero */
#include "driver/http/credential/fetch.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "driver/http/credential/provider.h"
#include "driver/http/curl_global.h"
#include "driver/http/curl_setup.h"

struct fetch {
    const struct fetch_client *client;
    const struct fetch_request *request;
    struct fetch_response *response;
};

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
    struct fetch *fetch = data;

    if (size * count > FETCH_BODY_BYTES_MAX - fetch->response->body.used)
        return 0;
    secret_text_add_bytes(&fetch->response->body, bytes, size * count);
    return fetch->response->body.failed ? 0 : size * count;
}

/* One header line. A new status line, after 100 or from a proxy, begins a new head. */
static size_t on_header(char *line, size_t size, size_t count, void *data)
{
    struct fetch *fetch = data;
    const char *name = fetch->request->want_header;
    size_t left = size * count, length;

    if (left > 5 && memcmp(line, "HTTP/", 5) == 0)
        fetch->response->header[0] = '\0';
    length = name ? strlen(name) : 0;
    if (!name || left <= length || line[length] != ':' || strncasecmp(line, name, length) != 0)
        return size * count;
    line += length + 1;
    left -= length + 1;
    while (left > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        left--;
    }
    while (left > 0 && (line[left - 1] == '\r' || line[left - 1] == '\n' || line[left - 1] == ' '))
        left--;
    snprintf(fetch->response->header, sizeof(fetch->response->header), "%.*s", (int)left, line);
    return size * count;
}

static int on_progress(void *data, curl_off_t down, curl_off_t down_now, curl_off_t up,
                       curl_off_t up_now)
{
    const struct fetch *fetch = data;

    return fetch->request->stop && atomic_load(fetch->request->stop) ? 1 : 0;
}

static int status_of(CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return -EHOSTUNREACH;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return LSIO_E_TLS;
    case CURLE_WRITE_ERROR: /* longer than FETCH_BODY_BYTES_MAX */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_HTTP2:
        return LSIO_E_PROTOCOL;
    case CURLE_ABORTED_BY_CALLBACK:
        return -ECANCELED;
    case CURLE_URL_MALFORMAT:
        return -EINVAL;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -EIO;
    }
}

static CURLcode set_client(CURL *curl, const struct fetch *fetch)
{
    const struct fetch_client *client = fetch->client;
    const struct curl_trust trust = {
        client->ca_file, client->ca_directory, client->own_certificates,
        client->insecure_server &&
            credential_url_is_at(fetch->request->url, client->insecure_server)};
    CURLcode code = curl_trust_set(curl, &trust);

    if (code == CURLE_OK && fetch->request->no_proxy)
        code = curl_easy_setopt(curl, CURLOPT_PROXY, "");
    else if (code == CURLE_OK && client->proxy)
        code = curl_easy_setopt(curl, CURLOPT_PROXY, client->proxy);
    if (code == CURLE_OK && client->proxy_excludes)
        code = curl_easy_setopt(curl, CURLOPT_NOPROXY, client->proxy_excludes);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)(uintptr_t)fetch);
    return code;
}

static CURLcode set_request(CURL *curl, const struct fetch *fetch)
{
    const struct fetch_request *request = fetch->request;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, request->url);

    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (code == CURLE_OK && (request->body || strcmp(request->method, "GET") != 0)) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body ? request->body : "");
        code = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    }
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, (void *)(uintptr_t)fetch);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, (void *)(uintptr_t)fetch);
    return code;
}

/* The request's headers as libcurl wants them, wiped by headers_free(); NULL: no memory. */
static struct curl_slist *headers_make(const struct fetch_request *request)
{
    /* Without this libcurl waits up to a second for a 100 before a body. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");

    for (uint32_t i = 0; list && i < FETCH_HEADERS_MAX && request->headers[i]; i++) {
        struct curl_slist *longer = curl_slist_append(list, request->headers[i]);
        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

static void headers_free(struct curl_slist *list)
{
    for (struct curl_slist *header = list; header; header = header->next)
        explicit_bzero(header->data, strlen(header->data));
    curl_slist_free_all(list);
}

int fetch_curl(const struct fetch_client *client, const struct fetch_request *request,
               struct fetch_response *response)
{
    struct fetch fetch = {client, request, response};
    struct curl_slist *headers, *addresses = NULL;
    CURLcode code = CURLE_OUT_OF_MEMORY;
    CURL *curl;
    long status = 0;
    int failed = curl_global_once();

    if (failed)
        return failed;
    headers = headers_make(request);
    curl = headers ? curl_easy_init() : NULL;
    if (curl) {
        code = set_request(curl, &fetch);
        if (code == CURLE_OK)
            code = set_client(curl, &fetch);
        if (code == CURLE_OK)
            code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
        if (code == CURLE_OK)
            failed = curl_resolve_set(curl, client->resolve, &addresses);
        if (code == CURLE_OK && failed)
            code = failed == -ENOMEM ? CURLE_OUT_OF_MEMORY : CURLE_URL_MALFORMAT;
        if (code == CURLE_OK)
            code = curl_easy_perform(curl);
        if (code == CURLE_OK)
            curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_cleanup(curl);
    }
    curl_slist_free_all(addresses);
    headers_free(headers);
    response->status = (int)status;
    return status_of(code);
}

void fetch_response_finish(struct fetch_response *response)
{
    secret_text_finish(&response->body);
    memset(response, 0, sizeof(*response));
}
