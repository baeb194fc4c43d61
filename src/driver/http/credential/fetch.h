/* SPDX-License-Identifier: MIT */
/*
 * fetch.h - one blocking request to a credential endpoint: small, bounded, and shy. Never on a
 * worker.
 *
 *     struct fetch_request request = {.method = "GET", .url = url, .timeout_ms = 1000};
 *     struct fetch_response response = {0};
 *     status = fetch_curl(client, &request, &response);
 *     ... response.status is the HTTP status, response.body its body
 *     fetch_response_finish(&response);
 *
 * A redirect is an answer like any other: credentials go where they were sent, nowhere else.
 */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_FETCH_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_FETCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "driver/http/credential/text.h"

#define FETCH_HEADERS_MAX    12u
#define FETCH_BODY_BYTES_MAX ((size_t)64 * 1024)

struct fetch_request {
    const char *method; /* GET, POST or PUT */
    const char *url;
    const char *headers[FETCH_HEADERS_MAX]; /* "Name: value"; ended by NULL if fewer */
    const char *body;         /* NULL: none (a PUT or POST then says Content-Length: 0) */
    const char *want_header;  /* the name of the response header to keep, or NULL */
    uint32_t timeout_ms;      /* for all of it */
    bool no_proxy;            /* a metadata endpoint: the proxy is not on this machine */
    const _Atomic bool *stop; /* ends it within a second; NULL: never */
};

struct fetch_response {
    int status; /* HTTP status */
    struct secret_text body;
    char header[64]; /* the value of want_header, or "" */
};

/* What all requests of a store have in common; the strings are borrowed. */
struct fetch_client {
    const char *ca_file, *ca_directory; /* NULL: libcurl's own */
    bool own_certificates;              /* none of libcurl's own besides */
    const char *resolve;                /* host:port:address[,address] ..., as curl's --resolve */
    const char *proxy;                  /* NULL: what the environment says; "": none */
    const char *proxy_excludes;  /* hosts that no proxy is used for, as in no_proxy; or NULL */
    const char *insecure_server; /* host[:port]: the one that may have any certificate, or NULL */
};

/* 0 when an answer came, whatever its HTTP status. Otherwise no answer: -ETIMEDOUT, -EHOSTUNREACH
 * (no name, no connection), -EIO (the connection broke), LSIO_E_TLS, LSIO_E_PROTOCOL (no HTTP, or
 * too long), -ECANCELED (stopped), -EINVAL (not a URL to fetch), -ENOMEM. */
int fetch_curl(const struct fetch_client *client, const struct fetch_request *request,
               struct fetch_response *response);

/* Wipes the response; it can be used again. */
void fetch_response_finish(struct fetch_response *response);

#endif
