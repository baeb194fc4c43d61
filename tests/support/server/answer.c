/* SPDX-License-Identifier: MIT */
/*
 * The right answer to a request: scripted, relayed, a listing, an object or a part of it, or the
 * error that the imitated store would give. Nothing here misbehaves.
 *
 * Error bodies follow "Error responses" of the S3 API reference, "Status and error codes" of
 * Azure's Blob service and the XML API of Google Cloud Storage, as far as clients look at them.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void answer_free(struct answer *a)
{
    source_free(&a->source);
    server_text_free(&a->headers);
    free(a->stray);
    *a = (struct answer){0};
}

const char *answer_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {416, "Range Not Satisfiable"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Slow Down"},
        {504, "Gateway Timeout"},
    };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Status";
}

void answer_text(struct answer *a, int status, const char *type, struct server_text *body)
{
    source_free(&a->source);
    a->status = status;
    a->body_bytes = body->used;
    a->source.block_bytes = body->used;
    a->source.block = server_text_take(body);
    server_line_set(&a->headers, "Content-Type", type);
}

void answer_error(struct server *s, struct answer *a, int status, const char *code,
                  const char *message)
{
    struct server_text body = {0};

    if (s->config.style == SERVER_PLAIN || !code) {
        server_text_print(&body, "%s\n", message);
        answer_text(a, status, "text/plain", &body);
        return;
    }
    server_text_print(
        &body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>", code);
    server_text_xml(&body, message);
    server_text_print(&body, "</Message>%s</Error>",
                      s->config.style == SERVER_S3 ? "<RequestId>fault-server</RequestId>" : "");
    answer_text(a, status, "application/xml", &body);
    if (s->config.style == SERVER_AZURE)
        server_line_set(&a->headers, "x-ms-error-code", code);
}

/* ---------------------------------------------------------------------------------- object -- */

enum range { RANGE_NONE, RANGE_SOME, RANGE_UNSATISFIABLE };

/* "bytes=a-b", "a-" or "-n" (RFC 9110, 14.1.2). What is malformed, or more than one range, is as if
 * it were absent, which the RFC allows. */
static enum range range_parse(const char *text, uint64_t size, uint64_t *first, uint64_t *last)
{
    char *end;
    uint64_t from, to = UINT64_MAX;

    if (!text || strncmp(text, "bytes=", 6) != 0 || strchr(text, ','))
        return RANGE_NONE;
    text += 6;
    if (*text == '-') {
        uint64_t suffix = strtoull(text + 1, &end, 10);
        if (!isdigit((unsigned char)text[1]) || *end)
            return RANGE_NONE;
        if (suffix == 0 || size == 0)
            return RANGE_UNSATISFIABLE;
        from = suffix < size ? size - suffix : 0;
    } else {
        from = strtoull(text, &end, 10);
        if (!isdigit((unsigned char)*text) || *end != '-')
            return RANGE_NONE;
        if (end[1]) {
            text = end + 1;
            to = strtoull(text, &end, 10);
            if (!isdigit((unsigned char)*text) || *end || to < from)
                return RANGE_NONE;
        }
    }
    if (from >= size)
        return RANGE_UNSATISFIABLE;
    *first = from;
    *last = to < size ? to : size - 1;
    return RANGE_SOME;
}

/* Whether a list of entity tags holds this one or is "*" (RFC 9110, 8.8.3.2). */
static bool etags_have(const char *list, const char *etag, bool strong)
{
    bool weak = strncmp(etag, "W/", 2) == 0;

    if (strcmp(list, "*") == 0)
        return true;
    if (!*etag || (strong && weak))
        return false;
    for (const char *at = list; (at = strstr(at, weak ? etag + 2 : etag)) != NULL; at++) {
        bool listed_weak = at >= list + 2 && strncmp(at - 2, "W/", 2) == 0;
        if (!strong || !listed_weak)
            return true;
    }
    return false;
}

static void object_answer(struct server *s, const struct request *r, struct object *object,
                          struct answer *a)
{
    char *match = request_header(r, "If-Match"), *none_match = request_header(r, "If-None-Match");
    char *range = request_header(r, "x-ms-range");
    uint64_t size = object_bytes(object), first = 0, last = 0;
    struct server_text text = {0};
    enum range kind;

    if (!range)
        range = request_header(r, "Range");
    kind = range_parse(range, size, &first, &last);
    if (match && !etags_have(match, object_etag(object), true)) {
        answer_error(s, a, 412,
                     s->config.style == SERVER_AZURE ? "ConditionNotMet" : "PreconditionFailed",
                     "the object has another ETag");
    } else if (none_match && etags_have(none_match, object_etag(object), false)) {
        a->status = 304;
        a->without_body = true;
        object_headers(s, object, &a->headers);
    } else if (kind == RANGE_UNSATISFIABLE) {
        answer_error(s, a, 416, "InvalidRange", "the range lies behind the end");
        server_text_print(&text, "bytes */%llu", (unsigned long long)size);
    } else {
        a->status = kind == RANGE_SOME ? 206 : 200;
        a->body_bytes = kind == RANGE_SOME ? last - first + 1 : size;
        object_headers(s, object, &a->headers);
        a->source = (struct source){.object = object, .at = first};
        object = NULL;
        if (kind == RANGE_SOME)
            server_text_print(&text, "bytes %llu-%llu/%llu", (unsigned long long)first,
                              (unsigned long long)last, (unsigned long long)size);
    }
    if (text.used > 0)
        server_line_set(&a->headers, "Content-Range", text.at);
    object_release(object);
    server_text_free(&text);
    free(range);
    free(match);
    free(none_match);
}

/* The code that says what is missing, which decides whether a client may call the key absent. */
static const char *missing_code(struct server *s, const char *path)
{
    bool bucket = bucket_exists(s, path);

    switch (s->config.style) {
    case SERVER_AZURE:
        return bucket ? "BlobNotFound" : "ContainerNotFound";
    case SERVER_S3:
    case SERVER_GCS:
        return bucket ? "NoSuchKey" : "NoSuchBucket";
    default:
        return NULL;
    }
}

/* The headers by which users and support find a request again. */
static void identify(const struct server *s, struct answer *a)
{
    static const char *const names[] = {NULL, "x-amz-request-id", "x-ms-request-id",
                                        "X-GUploader-UploadID"};

    if (names[s->config.style])
        server_line_set(&a->headers, names[s->config.style], "fault-server");
}

void answer_make(struct connection *c, const struct request *r, struct answer *a)
{
    struct server *s = c->server;
    char *wish = request_header(r, "Connection");
    struct object *object;

    if (!proxy_admits(s, r)) {
        answer_error(s, a, 407, NULL, "the proxy wants to know who asks");
        server_line_set(&a->headers, "Proxy-Authenticate", "Basic realm=\"test\"");
    } else if (route_answer(s, r, a)) {
        /* complete */
    } else if (s->relay_host || proxy_wanted(s, r)) {
        relay_answer(c, r, a);
    } else if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0) {
        answer_error(s, a, 405, "MethodNotAllowed", "only GET and HEAD");
    } else if (listing_wanted(s, r)) {
        listing_answer(s, r, a);
    } else {
        object = object_find(s, r->path);
        if (object)
            object_answer(s, r, object, a);
        else
            answer_error(s, a, 404, missing_code(s, r->path), "there is no such object");
        identify(s, a);
    }
    if (wish && strcasecmp(wish, "close") == 0)
        a->last = true;
    free(wish);
}
