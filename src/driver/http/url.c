/* SPDX-License-Identifier: MIT */
/*
 * url.c - see url.h: takes URLs apart.
 *
 * Sources: RFC 3986; S3, "Virtual hosting of buckets", "Dual-stack endpoints" and "AWS PrivateLink
 * for Amazon S3" (user guide), "Amazon S3 endpoints and quotas" (AWS general reference: FIPS);
 * Cloudflare R2, "S3 API compatibility"; Cloud Storage, "Request endpoints"; Azure Storage,
 * "Storage account endpoints" and "Use the Azure Data Lake Storage URI"; GDAL, "Virtual file
 * systems".
 *
 * Pure; any thread. Strings are owned by the struct http_url, which url_finish() takes in any
 * state.
 */
#define _GNU_SOURCE /* strndup, strchrnul, memrchr */

#include "driver/http/url.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "driver/http/encode.h"
#include "driver/http/url_parts.h"

int url_refuse(struct url_why *why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (why->bytes > 0)
        vsnprintf(why->text, why->bytes, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

int url_take(char **out, const char *begin, size_t count)
{
    char *copy = strndup(begin, count);

    if (!copy)
        return -ENOMEM;
    free(*out);
    *out = copy;
    return 0;
}

bool url_has_suffix(const char *text, size_t count, const char *suffix)
{
    size_t length = strlen(suffix);

    return count > length && strncasecmp(text + count - length, suffix, length) == 0;
}

/* ------------------------------------------------------------------------- buckets by scheme -- */

/* abfs's container@account.dfs.core.windows.net; `at` points to the '@'. */
static int take_azure_host(struct http_url *url, const char *begin, const char *at, const char *end,
                           struct url_why *why)
{
    const char *host = at + 1;
    const char *dot = memchr(host, '.', (size_t)(end - host));
    char *endpoint;
    int status;

    if (!dot || dot == host)
        return url_refuse(why, "the URL names no storage account behind '@'");
    if (!url_host_is_valid(host, (size_t)(end - host)))
        return url_refuse(why, "the URL's host is no valid name");
    status = url_take(&url->bucket, begin, (size_t)(at - begin));
    if (status == 0)
        status = url_take(&url->account, host, (size_t)(dot - host));
    if (status < 0)
        return status;
    /* The blob service answers under the same name with another label. */
    if (strncasecmp(dot, ".dfs.", 5) == 0)
        status = asprintf(&endpoint, "https://%.*s.blob%.*s", (int)(dot - host), host,
                          (int)(end - dot - 4), dot + 4);
    else
        status = asprintf(&endpoint, "https://%.*s", (int)(end - host), host);
    if (status < 0)
        return -ENOMEM;
    url->endpoint = endpoint;
    url->names_server = true;
    return 0;
}

/* bucket/prefix, both raw. */
static int take_bucket(struct http_url *url, const char *rest, struct url_why *why)
{
    const char *slash = strchrnul(rest, '/');
    const char *at = memchr(rest, '@', (size_t)(slash - rest));
    int status;

    if (url->dialect == HTTP_DIALECT_AZURE && at) {
        status = take_azure_host(url, rest, at, slash, why);
    } else {
        if (at)
            return url_refuse(why, "a URL must not hold a user name");
        status = slash == rest ? 0 : url_take(&url->bucket, rest, (size_t)(slash - rest));
    }
    if (status < 0)
        return status;
    if (*slash == '/')
        slash++;
    return url_take(&url->path, slash, strlen(slash));
}

/* ------------------------------------------------------------------------- known https hosts -- */

/* An https address of a service: its host without port, and the decoded path. */
struct service {
    const char *host; /* lower case */
    size_t host_bytes;
    char *path; /* raw; without the first slash; may be changed */
};

/* The first segment of the path is the bucket, the rest the prefix. */
static int bucket_of_path(struct http_url *url, struct service *service)
{
    char *slash = strchrnul(service->path, '/');
    int status = 0;

    if (slash > service->path)
        status = url_take(&url->bucket, service->path, (size_t)(slash - service->path));
    if (status < 0)
        return status;
    slash += *slash == '/';
    return url_take(&url->path, slash, strlen(slash));
}

/* `count` letters of the host are the bucket, or 0: it is in the path. */
static int take_place(struct http_url *url, struct service *service, size_t count)
{
    int status;

    url->virtual_host = count > 0 ? HTTP_YES : HTTP_NO;
    if (count == 0)
        return bucket_of_path(url, service);
    status = url_take(&url->bucket, service->host, count);
    return status < 0 ? status : url_take(&url->path, service->path, strlen(service->path));
}

/* What the name of a server of S3 says. */
struct s3_host {
    size_t bucket_bytes; /* its first letters are the bucket; 0: the path names it */
    const char *region;  /* or NULL */
    size_t region_bytes;
    bool dualstack;
    bool own; /* the server does not follow from bucket and region: it is asked as it is */
};

/* The labels of a name from the right. */
struct labels {
    const char *begin, *end; /* what is left */
    const char *label;       /* the last one taken */
    size_t count;            /* its letters */
};

static bool label_next(struct labels *labels)
{
    const char *dot = memrchr(labels->begin, '.', (size_t)(labels->end - labels->begin));

    labels->label = dot ? dot + 1 : labels->begin;
    labels->count = (size_t)(labels->end - labels->label);
    labels->end = dot ? dot : labels->begin;
    return labels->count > 0;
}

static bool label_is(const struct labels *labels, const char *text)
{
    return labels->count == strlen(text) && strncmp(labels->label, text, labels->count) == 0;
}

static bool label_begins(const struct labels *labels, const char *text)
{
    size_t length = strlen(text);

    return labels->count > length && strncmp(labels->label, text, length) == 0;
}

/* Takes the letters behind the label's first `skip` for a region: us-east-1, us-gov-west-1. China's
 * are the ones that the domain ending in .cn has. */
static bool region_take(struct s3_host *out, const struct labels *labels, size_t skip, bool china)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz", digits[] = "0123456789";
    const char *region = labels->label + skip, *end = labels->label + labels->count;
    const char *at = region;
    size_t words = 0;

    while (at < end && strspn(at, letters) >= 2 && at[strspn(at, letters)] == '-') {
        at += strspn(at, letters) + 1;
        words++;
    }
    if (words < 2 || region[2] != '-' || at == end || at + strspn(at, digits) != end ||
        china != (strncmp(region, "cn-", 3) == 0))
        return false;
    out->region = region;
    out->region_bytes = (size_t)(end - region);
    return true;
}

/* [bucket.]bucket.vpce-id.s3.region.vpce: of a private network ("AWS PrivateLink for S3"). */
static bool s3_of_network(struct labels *labels, bool china, struct s3_host *out)
{
    out->own = true;
    return label_next(labels) && region_take(out, labels, 0, china) && label_next(labels) &&
           label_is(labels, "s3") && label_next(labels) && label_begins(labels, "vpce-") &&
           label_next(labels) && label_is(labels, "bucket");
}

/* bucket.s3-accelerate[.dualstack]: one server for all regions. */
static bool s3_of_all_regions(struct labels *labels, struct s3_host *out)
{
    out->own = true;
    return (!label_is(labels, "dualstack") || label_next(labels)) &&
           label_is(labels, "s3-accelerate") && labels->end > labels->begin;
}

/* Is the label "s3express-ZONE", and behind a bucket of that zone: name--ZONE--x-s3? */
static bool s3_of_zone(const struct labels *labels)
{
    static const char service[] = "s3express-", before[] = "--", after[] = "--x-s3";
    size_t room = (size_t)(labels->end - labels->begin), zone_bytes, bytes;
    const char *zone = labels->label + sizeof(service) - 1, *tail;

    if (!label_begins(labels, service))
        return false;
    zone_bytes = labels->count - (sizeof(service) - 1);
    bytes = sizeof(before) - 1 + zone_bytes + sizeof(after) - 1;
    if (room <= bytes)
        return false;
    tail = labels->end - bytes;
    return strncmp(tail, before, 2) == 0 && strncmp(tail + 2, zone, zone_bytes) == 0 &&
           strncmp(tail + 2 + zone_bytes, after, sizeof(after) - 1) == 0;
}

/* Reads the name without the domain. False: a server of something else, and there are many whose
 * names begin with "s3-" (access points, Object Lambda, web sites, Outposts). The forms:
 *     [bucket.]s3[.dualstack][.region]      [bucket.]s3-region
 *     bucket.s3express-zone[.dualstack].region
 *     [bucket.]s3-fips[.dualstack].region   [bucket.]s3-fips-region
 * and those of the functions above. */
static bool s3_host_read(const char *host, size_t count, bool china, struct s3_host *out)
{
    static const char fips[] = "s3-fips-", old[] = "s3-";
    struct labels labels = {.begin = host, .end = host + count};
    bool good = label_next(&labels);

    memset(out, 0, sizeof(*out));
    if (good && label_is(&labels, "vpce")) {
        good = s3_of_network(&labels, china, out);
    } else if (good && (label_is(&labels, "s3-accelerate") || label_is(&labels, "dualstack"))) {
        good = s3_of_all_regions(&labels, out);
    } else if (good && region_take(out, &labels, 0, china)) {
        good = label_next(&labels);
        if (good && label_is(&labels, "dualstack")) {
            out->dualstack = true;
            good = label_next(&labels);
        }
        out->own = label_is(&labels, "s3-fips");
        good = good && (out->own || label_is(&labels, "s3") || s3_of_zone(&labels));
    } else if (good && label_begins(&labels, fips)) {
        out->own = true;
        good = region_take(out, &labels, sizeof(fips) - 1, china);
    } else if (good && label_begins(&labels, old)) {
        good = region_take(out, &labels, sizeof(old) - 1, china);
    } else {
        good = good && !china && label_is(&labels, "s3");
    }
    out->bucket_bytes = (size_t)(labels.end - host);
    return good;
}

static int match_s3(struct http_url *url, struct service *service)
{
    bool china = url_has_suffix(service->host, service->host_bytes, ".amazonaws.com.cn");
    const char *domain = china ? ".amazonaws.com.cn" : ".amazonaws.com";
    struct s3_host host;
    int status = 0;

    if (!url_has_suffix(service->host, service->host_bytes, domain) ||
        !s3_host_read(service->host, service->host_bytes - strlen(domain), china, &host))
        return 0;
    url->dialect = HTTP_DIALECT_S3;
    url->dualstack = host.dualstack;
    if (!host.own) {
        free(url->endpoint);
        url->endpoint = NULL;
    }
    if (host.region)
        status = url_take(&url->region, host.region, host.region_bytes);
    if (status == 0)
        status = take_place(url, service, host.bucket_bytes);
    return status < 0 ? status : 1;
}

static int match_r2(struct http_url *url, struct service *service)
{
    int status;

    if (!url_has_suffix(service->host, service->host_bytes, ".r2.cloudflarestorage.com"))
        return 0;
    url->dialect = HTTP_DIALECT_S3;
    status = url_take(&url->region, "auto", 4);
    if (status == 0)
        status = take_place(url, service, 0);
    return status < 0 ? status : 1;
}

static int match_gcs(struct http_url *url, struct service *service)
{
    static const char host[] = "storage.googleapis.com";
    size_t length = sizeof(host) - 1;
    int status;

    if (!url_has_suffix(service->host, service->host_bytes, ".storage.googleapis.com") &&
        (service->host_bytes != length || strncasecmp(service->host, host, length) != 0))
        return 0;
    url->dialect = HTTP_DIALECT_GCS;
    free(url->endpoint);
    url->endpoint = NULL;
    status = take_place(url, service,
                        service->host_bytes > length ? service->host_bytes - length - 1 : 0);
    return status < 0 ? status : 1;
}

static int match_azure(struct http_url *url, struct service *service)
{
    static const char *const suffixes[] = {".core.windows.net", ".core.chinacloudapi.cn",
                                           ".core.usgovcloudapi.net", ".fabric.microsoft.com",
                                           NULL};
    const char *dot = memchr(service->host, '.', service->host_bytes);
    size_t count = dot ? (size_t)(dot - service->host) : 0;
    bool lake = dot && strncasecmp(dot, ".dfs.", 5) == 0;
    const char *const *suffix = suffixes;
    int status;

    while (*suffix && !url_has_suffix(service->host, service->host_bytes, *suffix))
        suffix++;
    if (!*suffix || count == 0 || (!lake && strncasecmp(dot, ".blob.", 6) != 0))
        return 0;
    url->dialect = HTTP_DIALECT_AZURE;
    status = url_take(&url->account, service->host, count);
    if (status == 0 && lake) {
        char *in_endpoint = strcasestr(url->endpoint, ".dfs.");
        char *endpoint;
        if (asprintf(&endpoint, "%.*s.blob.%s", (int)(in_endpoint - url->endpoint), url->endpoint,
                     in_endpoint + 5) < 0)
            return -ENOMEM;
        free(url->endpoint);
        url->endpoint = endpoint;
    }
    if (status == 0)
        status = bucket_of_path(url, service);
    return status < 0 ? status : 1;
}

/* ------------------------------------------------------------------------------- http, https -- */

/* Does the query hold a parameter of that name? */
static bool query_has(const char *query, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = query; *at; at = strchrnul(at, '&'), at += *at == '&') {
        if (strncasecmp(at, name, length) == 0 && at[length] == '=')
            return true;
    }
    return false;
}

/* A signature that S3 or GCS made covers host and path as they are written. */
static bool query_is_presigned(const char *query)
{
    return query_has(query, "X-Amz-Signature") || query_has(query, "X-Goog-Signature") ||
           (query_has(query, "Signature") &&
            (query_has(query, "AWSAccessKeyId") || query_has(query, "GoogleAccessId")));
}

/* Turns an address of a known service into a bucket and a raw prefix. */
static int recognise(struct http_url *url, const char *host, size_t host_bytes)
{
    static int (*const matches[])(struct http_url *, struct service *) = {match_s3, match_r2,
                                                                          match_gcs, match_azure};
    struct service service = {host, host_bytes, NULL};
    int64_t length;
    int found = 0;

    if (url->query && query_is_presigned(url->query)) {
        url->signed_query = true;
        return 0;
    }
    service.path = strdup(url->path + 1);
    if (!service.path)
        return -ENOMEM;
    length = http_decode(service.path, service.path, strlen(service.path));
    if (length >= 0 && !memchr(service.path, '\0', (size_t)length)) { /* else no key: plain https */
        service.path[length] = '\0';
        for (size_t i = 0; found == 0 && i < sizeof(matches) / sizeof(matches[0]); i++)
            found = matches[i](url, &service);
    }
    free(service.path);
    if (found > 0 && url->dialect == HTTP_DIALECT_AZURE && url->query)
        url->signed_query = query_has(url->query, "sig");
    return found < 0 ? found : 0;
}

/* A path or query as it is sent: what no URL may hold is encoded, the rest stays. */
static int take_sendable(char **out, const char *begin, size_t count)
{
    size_t room = 3 * count + 1;
    char *memory = malloc(room);
    struct http_text text;
    const char *end;

    if (!memory)
        return -ENOMEM;
    http_text_init(&text, memory, room);
    for (size_t i = 0; i < count; i++) {
        if (url_may_hold(begin[i]))
            http_text_append(&text, begin + i, 1);
        else
            http_text_encode(&text, begin + i, 1, HTTP_ENCODE_ALL);
    }
    (void)http_text_end(&text, &end); /* the room is the longest that it can be */
    *out = memory;
    return 0;
}

static int take_http(struct http_url *url, bool tls, const char *rest, struct url_why *why)
{
    size_t host_bytes = strcspn(rest, "/?#");
    const char *path = rest + host_bytes;
    size_t path_bytes = strcspn(path, "?#");
    const char *query = path + path_bytes;
    struct url_server server;
    int status;

    if (memchr(rest, '@', host_bytes))
        return url_refuse(why, "a URL must not hold a user name");
    status = url_server_parse(rest, host_bytes, tls, &server, why);
    if (status < 0)
        return status;
    url->names_server = true;
    if (asprintf(&url->endpoint, "%s://%s", tls ? "https" : "http", server.host) < 0) {
        url->endpoint = NULL;
        return -ENOMEM;
    }
    if (*query == '?')
        status = take_sendable(&url->query, query + 1, strcspn(query + 1, "#"));
    if (status == 0)
        status =
            take_sendable(&url->path, path_bytes > 0 ? path : "/", path_bytes > 0 ? path_bytes : 1);
    if (status == 0 && server.host[server.name_bytes] == '\0') /* services have no other ports */
        status = recognise(url, server.host, server.name_bytes);
    if (status == 0 && url->dialect == HTTP_DIALECT_HTTP && url_has_dot_segment(url->path))
        return url_refuse(why, "a URL's path must not hold . or .. segments");
    return status;
}

/* ------------------------------------------------------------------------------------- whole -- */

static const struct {
    const char *begin; /* of the URL, in any case */
    enum http_dialect dialect;
    bool bucket; /* what follows is a bucket */
    bool tls;
} forms[] = {
    {"https://", HTTP_DIALECT_HTTP, false, true}, {"http://", HTTP_DIALECT_HTTP, false, false},
    {"s3://", HTTP_DIALECT_S3, true, true},       {"s3a://", HTTP_DIALECT_S3, true, true},
    {"/vsis3/", HTTP_DIALECT_S3, true, true},     {"gs://", HTTP_DIALECT_GCS, true, true},
    {"gcs://", HTTP_DIALECT_GCS, true, true},     {"/vsigs/", HTTP_DIALECT_GCS, true, true},
    {"az://", HTTP_DIALECT_AZURE, true, true},    {"azure://", HTTP_DIALECT_AZURE, true, true},
    {"adl://", HTTP_DIALECT_AZURE, true, true},   {"abfs://", HTTP_DIALECT_AZURE, true, true},
    {"abfss://", HTTP_DIALECT_AZURE, true, true}, {"/vsiaz/", HTTP_DIALECT_AZURE, true, true},
};

int http_url_parse(const char *text, struct http_url *out, char *why_text, size_t why_bytes)
{
    static const char vsicurl[] = "/vsicurl/";
    struct url_why why = {why_text, why_bytes};
    int status;

    memset(out, 0, sizeof(*out));
    if (!http_text_is_clean(text))
        return url_refuse(&why, "the URL holds a control character");
    if (strncmp(text, vsicurl, sizeof(vsicurl) - 1) == 0)
        text += sizeof(vsicurl) - 1;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        size_t length = strlen(forms[i].begin);
        if (strncasecmp(text, forms[i].begin, length) != 0)
            continue;
        out->dialect = forms[i].dialect;
        status = forms[i].bucket ? take_bucket(out, text + length, &why)
                                 : take_http(out, forms[i].tls, text + length, &why);
        if (status < 0)
            http_url_finish(out);
        return status;
    }
    return url_refuse(&why, "the URL's scheme is none of http, https, s3, gs, az and their kin");
}

void http_url_finish(struct http_url *url)
{
    free(url->endpoint);
    free(url->bucket);
    free(url->account);
    free(url->region);
    free(url->path);
    free(url->query);
    memset(url, 0, sizeof(*url));
}
