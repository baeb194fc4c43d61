/* SPDX-License-Identifier: MIT */
/*
 * url.h - from what a user writes to where a request goes.
 *
 *     http_url_parse(text, &url, why, sizeof(why))       what the text says (url.c)
 *     http_address_make(&url, &endpoint, &address, ...)  with what options and environment add
 *     http_address_object(&address, key, &text, &place)  host, path and query for a key (address.c)
 *
 * The forms of URLs:
 *     http[s]://host[:port]/path[?query]                 path and query verbatim: signed URLs
 *     s3:// s3a://bucket/prefix
 *     gs:// gcs://bucket/prefix
 *     az:// azure:// adl:// abfs[s]://container/prefix   account by option or environment
 *     abfs[s]://container@account.dfs.core.windows.net/prefix
 *     https:// addresses of S3, R2, GCS and Azure, path or virtual-host style; where the query is
 *         signed by S3 or GCS, or the host is another service's, they are plain https
 *     /vsicurl/URL  /vsis3/  /vsigs/  /vsiaz/ as GDAL writes them
 *
 * Paths of s3, gs and az URLs are keys: raw bytes, nothing is decoded. Those of https addresses are
 * URLs: escapes are decoded where they name a bucket's key, and left alone on plain http.
 *
 * Pure; an address is frozen once made.
 */
#ifndef LSIO_DRIVER_HTTP_URL_H
#define LSIO_DRIVER_HTTP_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver/http/request.h"

enum http_dialect { HTTP_DIALECT_HTTP, HTTP_DIALECT_S3, HTTP_DIALECT_GCS, HTTP_DIALECT_AZURE };

/* Whether something was said, and what. */
enum http_choice { HTTP_UNSAID = 0, HTTP_NO, HTTP_YES };

/* What a URL says; NULL where it says nothing. Owns its strings. */
struct http_url {
    enum http_dialect dialect;
    enum http_choice virtual_host; /* of an S3 address: is the bucket in the host name? */
    bool dualstack;                /* an S3 address with IPv6 */
    bool names_server;             /* http[s]://: a server of the environment does not replace it */
    bool signed_query;             /* the query authenticates: no other signature is made */
    char *endpoint;                /* http[s]://host[:port]: where requests go; NULL: by rule */
    char *bucket;                  /* or container */
    char *account;                 /* Azure's */
    char *region;
    char *path;  /* plain http: as sent, begins with '/'; else the raw key prefix, "" for none */
    char *query; /* as sent, without '?' */
};

/* 0, or -EINVAL and a sentence in `why` (without secrets), or -ENOMEM. A URL with control
 * characters or a user name is refused. */
int http_url_parse(const char *text, struct http_url *out, char *why, size_t why_bytes);
void http_url_finish(struct http_url *url);

/* What options, environment and profiles add. What is set here wins over the URL, but for the
 * bucket, so the caller leaves out what the URL may decide. Zero it; NULL: not said. */
struct http_endpoint {
    const char *endpoint; /* custom server: URL, or host[:port] */
    const char *bucket;
    const char *account;
    const char *region;
    const char *connection_string; /* Azure: BlobEndpoint, AccountName, EndpointSuffix */
    enum http_choice virtual_host;
    bool dualstack;
    bool express;        /* S3 Express even though the bucket's name does not say so */
    bool emulator;       /* Azure: the local emulator */
    bool fabric;         /* Azure: the account is one of Microsoft Fabric */
    bool endpoint_plain; /* an endpoint without a scheme is http, not https */
    bool https_only;     /* http is an error */
};

/* Where a store's requests go. Owns its strings. */
struct http_address {
    enum http_dialect dialect;
    bool tls;
    bool virtual_host;   /* the bucket is in the host name */
    bool endpoint_given; /* a server of the user's choice: its host does not follow the region */
    bool express;        /* S3 Express: sessions, service "s3express" */
    bool dualstack;
    bool signed_query;
    uint16_t port;
    char *host;      /* as in the Host header: name[:port], port only if not the scheme's */
    char *bucket;    /* or container; "" on plain http */
    char *account;   /* Azure; else "" */
    char *region;    /* S3 and its like; else "" */
    char *base_path; /* as sent: "", "/bucket", "/account/container"; plain http: the whole path */
    char *prefix;    /* the URL's own key, raw; "" on plain http */
    char *query;     /* or NULL */
};

int http_address_make(const struct http_url *url, const struct http_endpoint *endpoint,
                      struct http_address *out, char *why, size_t why_bytes);
void http_address_finish(struct http_address *address);

/* The address of the same bucket in another region, for a server that said so. -EINVAL if the host
 * does not depend on the region or the name cannot be one. */
int http_address_in_region(const struct http_address *address, const char *region,
                           struct http_address *out);

static inline const char *http_address_scheme(const struct http_address *address)
{
    return address->tls ? "https" : "http";
}

struct http_place {
    const char *host;
    const char *path;
    const char *query; /* or NULL */
};

/* 0, or -EINVAL: on plain http a key with a `.` or `..` segment or a leading slash, which would
 * name something else. On buckets every key is literal. "" is the URL itself. */
int http_key_check(const struct http_address *address, const char *key);

/* Where the object `key` is; strings live in `text` and in the address. */
int http_address_object(const struct http_address *address, const char *key, struct http_text *text,
                        struct http_place *out);

/* The path that bucket-wide requests (listings) go to. */
const char *http_address_bucket_path(const struct http_address *address);

/* Adds the raw name of `key` in the bucket to the text's current string: prefix, '/', key. Also for
 * prefixes of listings; with key "" the prefix and its '/'. */
void http_address_name(const struct http_address *address, const char *key, struct http_text *text);

#endif
