/* SPDX-License-Identifier: MIT */
/*
 * address.c - see url.h: from a URL and its settings to a host and paths.
 *
 * S3 buckets are named in the host, as AWS asks for, unless the name has a dot (no certificate
 * covers it) or cannot be a host name; on a server of the user's choice they are in the path,
 * because such servers rarely have names for their buckets. A prefix and a key are joined by one
 * '/'; the prefix alone, which the empty key names, stays as it was written.
 *
 * Pure; any thread. An address is frozen once made.
 */
#define _GNU_SOURCE /* asprintf, strndup */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "driver/http/credential/azure_connection.h"
#include "driver/http/encode.h"
#include "driver/http/url.h"
#include "driver/http/url_parts.h"

#define REGION_DEFAULT "us-east-1"
#define EMULATOR_URL   "http://127.0.0.1:10000"
#define EXPRESS_SUFFIX "--x-s3"

#define HOST_NAME_BYTES_MAX 253u /* without the port */

/* ------------------------------------------------------------------------------------- parts -- */

/* Lengths: RFC 1035 section 2.3.4. */
bool url_host_is_valid(const char *host, size_t count)
{
    size_t label = 0;

    if (count == 0 || count > HOST_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        char letter = host[i];
        label = letter == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
        if (!((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
              (letter >= '0' && letter <= '9') || letter == '.' || letter == '-' || letter == '_'))
            return false;
    }
    return true;
}

bool url_has_dot_segment(const char *path)
{
    const char *at = path;

    while (*at) {
        size_t dots = 0;
        bool only_dots = true;
        for (; *at && *at != '/'; at++) {
            if (strncasecmp(at, "%2e", 3) == 0)
                at += 2;
            else if (*at != '.')
                only_dots = false;
            dots++;
        }
        if (only_dots && (dots == 1 || dots == 2))
            return true;
        at += *at == '/';
    }
    return false;
}

static bool is_ipv6(const char *text, size_t count)
{
    return count > 4 && count < 64 && text[0] == '[' && text[count - 1] == ']' &&
           strspn(text + 1, "0123456789abcdefABCDEF:.") == count - 2;
}

/* 1 .. 65535, or 0. */
static uint16_t parse_port(const char *text, size_t count)
{
    uint32_t port = 0;

    if (count == 0 || count > 5)
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

int url_server_parse(const char *text, size_t count, bool tls, struct url_server *out,
                     struct url_why *why)
{
    const char *bracket = count > 0 && text[0] == '[' ? memchr(text, ']', count) : NULL;
    const char *colon =
        memchr(bracket ? bracket : text, ':', count - (bracket ? (size_t)(bracket - text) : 0));
    size_t name_bytes = colon ? (size_t)(colon - text) : count;
    uint16_t standard = tls ? 443 : 80;

    memset(out, 0, sizeof(*out));
    out->port = standard;
    if (!is_ipv6(text, name_bytes) && !url_host_is_valid(text, name_bytes))
        return url_refuse(why, "\"%.*s\" is no valid host", (int)count, text);
    if (colon && colon + 1 < text + count) {
        out->port = parse_port(colon + 1, (size_t)(text + count - colon - 1));
        if (out->port == 0)
            return url_refuse(why, "\"%.*s\" has no valid port", (int)count, text);
    }
    for (size_t i = 0; i < name_bytes; i++)
        out->host[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
    out->name_bytes = name_bytes;
    if (out->port != standard)
        snprintf(out->host + name_bytes, sizeof(out->host) - name_bytes, ":%u", out->port);
    return 0;
}

/* ------------------------------------------------------------------------------------ making -- */

struct making {
    const struct http_url *url;
    const struct http_endpoint *endpoint;
    struct http_address *out;
    struct url_why *why;
};

static int take_text(char **out, const char *text)
{
    return url_take(out, text, strlen(text));
}

/* Takes a server's base address: URL or host[:port], and the path behind it. */
static int take_server(struct making *making, const char *text, const char **path)
{
    struct url_server server;
    size_t count;
    int status;

    making->out->tls = !making->endpoint->endpoint_plain;
    if (strncasecmp(text, "https://", 8) == 0 || strncasecmp(text, "http://", 7) == 0) {
        making->out->tls = text[4] == 's' || text[4] == 'S';
        text += making->out->tls ? 8 : 7;
    }
    for (const char *at = text; *at; at++) {
        if (!url_may_hold(*at) || strchr("@?#", *at))
            return url_refuse(making->why, "the endpoint is no URL of a server");
    }
    count = strcspn(text, "/");
    status = url_server_parse(text, count, making->out->tls, &server, making->why);
    if (status < 0)
        return status;
    making->out->port = server.port;
    making->out->endpoint_given = true;
    *path = text + count;
    return take_text(&making->out->host, server.host);
}

/* base_path = `path` without slashes at its end, then "/" and each part that is not "". */
static int take_base_path(struct making *making, const char *path, const char *first,
                          const char *second)
{
    size_t count = strlen(path);
    size_t room = count + 3 * (strlen(first) + strlen(second)) + 3;
    char *memory = malloc(room);
    struct http_text text;
    const char *out;

    if (!memory)
        return -ENOMEM;
    if (http_decode(memory, path, count) < 0) { /* only to see whether it can be */
        free(memory);
        return url_refuse(making->why, "the endpoint's path has a '%%' that is no escape");
    }
    while (count > 0 && path[count - 1] == '/')
        count--;
    http_text_init(&text, memory, room);
    http_text_append(&text, path, count);
    if (first[0]) {
        http_text_puts(&text, "/");
        http_text_encode(&text, first, strlen(first), HTTP_ENCODE_ALL);
    }
    if (second[0]) {
        http_text_puts(&text, "/");
        http_text_encode(&text, second, strlen(second), HTTP_ENCODE_ALL);
    }
    (void)http_text_end(&text, &out); /* the room is the longest that it can be */
    free(making->out->base_path);
    making->out->base_path = memory;
    return 0;
}

/* Takes a name that was put together, so it may be longer than its parts were allowed to be. */
static int take_host(struct making *making, char *host)
{
    if (!host)
        return -ENOMEM;
    if (strcspn(host, ":") > HOST_NAME_BYTES_MAX) {
        free(host);
        return url_refuse(making->why, "the server's name would be longer than names can be");
    }
    free(making->out->host);
    making->out->host = host;
    return 0;
}

static char *format_host(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *format_host(const char *format, ...)
{
    va_list arguments;
    char *host;
    int length;

    va_start(arguments, format);
    length = vasprintf(&host, format, arguments);
    va_end(arguments);
    return length < 0 ? NULL : host;
}

/* ---------------------------------------------------------------------------------------- s3 -- */

/* May the bucket be a part of a host name that a certificate for *.s3... covers? */
static bool bucket_is_label(const char *bucket)
{
    size_t length = strlen(bucket);

    return length >= 3 && length <= 63 && bucket[0] != '-' && bucket[length - 1] != '-' &&
           strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* Of a Host header. */
static bool host_is_ip(const char *host)
{
    size_t length = strcspn(host, ":");

    return host[0] == '[' || strspn(host, "0123456789.") == length;
}

static bool region_is_valid(const char *region)
{
    size_t length = strlen(region);

    return length > 0 && length < 64 &&
           strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* Of "name--zone--x-s3" the zone; 0 if the bucket is none of S3 Express. */
static size_t express_zone(const char *bucket, const char **zone)
{
    size_t length = strlen(bucket);
    const char *end = bucket + length - (sizeof(EXPRESS_SUFFIX) - 1);
    const char *begin = end;

    if (!url_has_suffix(bucket, length, EXPRESS_SUFFIX))
        return 0;
    while (begin - bucket > 2 && !(begin[-1] == '-' && begin[-2] == '-'))
        begin--;
    *zone = begin;
    return (size_t)(end - begin);
}

static int make_amazon(struct making *making)
{
    struct http_address *out = making->out;
    const char *domain = strncmp(out->region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
    const char *stack = out->dualstack ? "dualstack." : "";
    const char *zone = NULL;
    size_t zone_bytes = express_zone(out->bucket, &zone);
    char *host;

    out->express = zone_bytes > 0;
    if (making->endpoint->express && !out->express)
        return url_refuse(making->why,
                          "\"%s\" is no S3 Express bucket: its name would end in "
                          "--ZONE" EXPRESS_SUFFIX,
                          out->bucket);
    if (out->express) {
        host = format_host("%s.s3express-%.*s.%s%s.%s", out->bucket, (int)zone_bytes, zone, stack,
                           out->region, domain);
    } else if (out->virtual_host) {
        host = format_host("%s.s3.%s%s.%s", out->bucket, stack, out->region, domain);
    } else {
        host = format_host("s3.%s%s.%s", stack, out->region, domain);
    }
    return take_host(making, host);
}

static int make_s3(struct making *making)
{
    const struct http_endpoint *endpoint = making->endpoint;
    const struct http_url *url = making->url;
    struct http_address *out = making->out;
    const char *server = endpoint->endpoint ? endpoint->endpoint : url->endpoint;
    /* How the URL names the bucket holds for the server that the URL names. */
    enum http_choice by_url = endpoint->endpoint ? HTTP_UNSAID : url->virtual_host;
    enum http_choice choice = endpoint->virtual_host ? endpoint->virtual_host : by_url;
    const char *path = "", *zone;
    int status;

    if (!region_is_valid(out->region))
        return url_refuse(making->why, "\"%s\" is no region", out->region);
    out->dualstack = endpoint->dualstack || url->dualstack;
    out->virtual_host = choice ? choice == HTTP_YES : !server && bucket_is_label(out->bucket);
    if (!server && express_zone(out->bucket, &zone) > 0)
        out->virtual_host = true; /* there is no other way */
    if (out->virtual_host && !url_host_is_valid(out->bucket, strlen(out->bucket)))
        return url_refuse(making->why, "the bucket's name cannot be part of a host name");
    if (server) {
        status = take_server(making, server, &path);
        out->express = endpoint->express;
        if (status == 0 && out->virtual_host && host_is_ip(out->host))
            return url_refuse(making->why, "an IP address has no names for buckets: set "
                                           "virtual_hosted_style_request to false");
        /* Some name the server with the bucket, some without. */
        if (status == 0 && out->virtual_host &&
            !(strncasecmp(out->host, out->bucket, strlen(out->bucket)) == 0 &&
              out->host[strlen(out->bucket)] == '.'))
            status = take_host(making, format_host("%s.%s", out->bucket, out->host));
    } else {
        status = make_amazon(making);
    }
    return status < 0 ? status
                      : take_base_path(making, path, out->virtual_host ? "" : out->bucket, "");
}

/* -------------------------------------------------------------------------------- gcs, azure -- */

static int make_gcs(struct making *making)
{
    const char *server = making->endpoint->endpoint;
    const char *path = "";
    int status;

    if (server)
        status = take_server(making, server, &path);
    else
        status = take_text(&making->out->host, "storage.googleapis.com");
    return status < 0 ? status : take_base_path(making, path, making->out->bucket, "");
}

static int make_emulator(struct making *making, const char *server)
{
    struct http_address *out = making->out;
    const char *path = "";
    int status = take_server(making, server ? server : EMULATOR_URL, &path);

    if (status == 0 && !out->account[0])
        status = take_text(&out->account, AZURE_EMULATOR_ACCOUNT);
    if (status < 0)
        return status;
    /* An address that ends in the account's name has it already. */
    return strlen(path) > 1 ? take_base_path(making, path, out->bucket, "")
                            : take_base_path(making, path, out->account, out->bucket);
}

static int make_azure_host(struct making *making, const struct azure_connection *connection)
{
    const struct http_endpoint *endpoint = making->endpoint;
    struct http_address *out = making->out;
    const char *server = endpoint->endpoint     ? endpoint->endpoint
                         : connection->endpoint ? connection->endpoint
                                                : making->url->endpoint;
    const char *path = "";
    int status = 0;

    if (out->account[0] && connection->account &&
        strcasecmp(out->account, connection->account) != 0)
        return url_refuse(making->why, "the connection string is for another storage account");
    if (!out->account[0] && connection->account)
        status = take_text(&out->account, connection->account);
    if (status == 0 && endpoint->emulator)
        return make_emulator(making, server);
    if (status == 0 && server) {
        status = take_server(making, server, &path);
    } else if (status == 0) {
        if (!url_host_is_valid(out->account, strlen(out->account)))
            return url_refuse(making->why, out->account[0]
                                               ? "the storage account's name is not valid"
                                               : "no storage account is named: set account_name");
        status = take_host(
            making, format_host("%s.blob.%s", out->account,
                                endpoint->fabric ? "fabric.microsoft.com" : "core.windows.net"));
    }
    return status < 0 ? status : take_base_path(making, path, out->bucket, "");
}

static int make_azure(struct making *making)
{
    const char *string = making->endpoint->connection_string;
    struct azure_connection connection = {0};
    int status = string ? azure_connection_parse(string, &connection) : 0;

    if (status == -EINVAL)
        return url_refuse(making->why, "the connection string is none");
    if (status == 0)
        status = make_azure_host(making, &connection);
    azure_connection_finish(&connection);
    return status;
}

static int make_http(struct making *making)
{
    const char *path = "";
    int status = take_server(making, making->url->endpoint, &path);

    return status < 0 ? status : take_text(&making->out->base_path, making->url->path);
}

/* ------------------------------------------------------------------------------------- whole -- */

/* The first that is said. */
static const char *either(const char *a, const char *b, const char *otherwise)
{
    return a && a[0] ? a : b && b[0] ? b : otherwise;
}

static int make_names(struct making *making)
{
    const struct http_endpoint *endpoint = making->endpoint;
    const struct http_url *url = making->url;
    struct http_address *out = making->out;
    bool bucket = url->dialect != HTTP_DIALECT_HTTP;
    bool s3 = url->dialect == HTTP_DIALECT_S3;
    int status = take_text(&out->bucket, bucket ? either(url->bucket, endpoint->bucket, "") : "");

    if (status == 0)
        status = take_text(&out->prefix, bucket ? url->path : "");
    if (status == 0)
        status = take_text(&out->account, url->dialect == HTTP_DIALECT_AZURE
                                              ? either(endpoint->account, url->account, "")
                                              : "");
    if (status == 0)
        status = take_text(&out->region, s3 ? either(endpoint->region, url->region, REGION_DEFAULT)
                                         : url->dialect == HTTP_DIALECT_GCS ? "auto"
                                                                            : "");
    if (status == 0 && url->query)
        status = take_text(&out->query, url->query);
    if (status < 0)
        return status;
    /* The host is one account's, so requests signed for the other would be refused. */
    if (url->account && endpoint->account && strcasecmp(url->account, endpoint->account) != 0)
        return url_refuse(making->why, "the URL and account_name are of two storage accounts");
    if (bucket && (!out->bucket[0] || strchr(out->bucket, '/') || strcmp(out->bucket, ".") == 0 ||
                   strcmp(out->bucket, "..") == 0 || !http_text_is_clean(out->bucket)))
        return url_refuse(making->why, "the URL names no bucket");
    return 0;
}

int http_address_make(const struct http_url *url, const struct http_endpoint *endpoint,
                      struct http_address *out, char *why_text, size_t why_bytes)
{
    static int (*const makers[])(struct making *) = {
        [HTTP_DIALECT_HTTP] = make_http,
        [HTTP_DIALECT_S3] = make_s3,
        [HTTP_DIALECT_GCS] = make_gcs,
        [HTTP_DIALECT_AZURE] = make_azure,
    };
    struct url_why why = {why_text, why_bytes};
    struct http_address address = {
        .dialect = url->dialect, .tls = true, .port = 443, .signed_query = url->signed_query};
    struct making making = {url, endpoint, &address, &why};
    int status = make_names(&making);

    if (status == 0)
        status = makers[url->dialect](&making);
    if (status == 0 && endpoint->https_only && !address.tls)
        status = url_refuse(&why, "the address is http, and allow_http is false");
    if (status < 0) {
        http_address_finish(&address);
        return status;
    }
    *out = address;
    return 0;
}

void http_address_finish(struct http_address *address)
{
    free(address->host);
    free(address->bucket);
    free(address->account);
    free(address->region);
    free(address->base_path);
    free(address->prefix);
    free(address->query);
    memset(address, 0, sizeof(*address));
}

int http_address_in_region(const struct http_address *address, const char *region,
                           struct http_address *out)
{
    const struct http_url url = {.dialect = address->dialect,
                                 .dualstack = address->dualstack,
                                 .signed_query = address->signed_query,
                                 .virtual_host = address->virtual_host ? HTTP_YES : HTTP_NO,
                                 .bucket = address->bucket,
                                 .path = address->prefix,
                                 .query = address->query};
    const struct http_endpoint endpoint = {.region = region, .express = address->express};

    if (address->dialect != HTTP_DIALECT_S3 || address->endpoint_given || address->signed_query)
        return -EINVAL;
    return http_address_make(&url, &endpoint, out, NULL, 0);
}

/* ----------------------------------------------------------------------------------- objects -- */

int http_key_check(const struct http_address *address, const char *key)
{
    if (!key)
        return -EINVAL;
    if (address->dialect != HTTP_DIALECT_HTTP)
        return 0;
    return key[0] == '/' || url_has_dot_segment(key) ? -EINVAL : 0;
}

void http_address_name(const struct http_address *address, const char *key, struct http_text *text)
{
    size_t length = strlen(address->prefix);

    http_text_puts(text, address->prefix);
    if (length > 0 && address->prefix[length - 1] != '/')
        http_text_puts(text, "/");
    http_text_puts(text, key);
}

int http_address_object(const struct http_address *address, const char *key, struct http_text *text,
                        struct http_place *out)
{
    const char *base = address->base_path;
    const char *prefix = address->prefix;
    bool plain = address->dialect == HTTP_DIALECT_HTTP;
    int status = http_key_check(address, key);

    if (status < 0)
        return status;
    http_text_puts(text, base);
    if (!plain) {
        http_text_puts(text, "/");
        http_text_encode(text, prefix, strlen(prefix), HTTP_ENCODE_KEEP_SLASH);
    }
    if (key[0]) {
        const char *left = plain ? base : prefix;
        size_t length = strlen(left);
        if ((plain || length > 0) && left[length - 1] != '/')
            http_text_puts(text, "/");
        http_text_encode(text, key, strlen(key), HTTP_ENCODE_KEEP_SLASH);
    }
    status = http_text_end(text, &out->path);
    if (status < 0)
        return status;
    out->host = address->host;
    out->query = address->query;
    return 0;
}

const char *http_address_bucket_path(const struct http_address *address)
{
    return address->base_path[0] ? address->base_path : "/";
}
