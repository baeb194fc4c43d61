/* SPDX-License-Identifier: MIT */
/*
 * ListObjectsV2 of the S3 API for the fault server's own objects (Google's XML API has the same
 * form): prefix, delimiter, max-keys, start-after, continuation-token and encoding-type=url. A
 * token is the last key or common prefix of the page, in hexadecimal, so that clients treat it as
 * opaque.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <stdlib.h>
#include <string.h>

struct listing {
    struct server_text prefix, delimiter, after, body;
    char *bucket; /* "/bucket/" */
    bool encoded, truncated;
    unsigned count, count_max;
    struct server_text last; /* key or common prefix listed last */
};

/* Adds the decoded value of a query's parameter; false if it is absent. Here '+' is a space, as in
 * HTML forms, for S3's clients may send it so. */
static bool parameter(const char *query, const char *name, struct server_text *to)
{
    size_t name_bytes = strlen(name);

    for (const char *at = query; *at; at = strchrnul(at, '&'), at += *at ? 1 : 0) {
        size_t bytes = strcspn(at, "&");
        char *value;
        if (bytes <= name_bytes || strncmp(at, name, name_bytes) != 0 || at[name_bytes] != '=')
            continue;
        value = strndup(at + name_bytes + 1, bytes - name_bytes - 1);
        for (char *plus = value; plus && (plus = strchr(plus, '+')) != NULL;)
            *plus = ' ';
        if (value)
            server_text_decode(to, value, strlen(value));
        free(value);
        return true;
    }
    return false;
}

static unsigned parameter_number(const char *query, const char *name, unsigned otherwise)
{
    struct server_text text = {0};
    unsigned number = otherwise;

    if (parameter(query, name, &text))
        number = (unsigned)strtoul(server_text_string(&text), NULL, 10);
    server_text_free(&text);
    return number;
}

bool listing_wanted(const struct server *s, const struct request *r)
{
    return (s->config.style == SERVER_S3 || s->config.style == SERVER_GCS) &&
           parameter_number(r->query, "list-type", 0) == 2;
}

static void token_read(struct listing *l, const char *token)
{
    for (; token[0] && token[1]; token += 2) {
        const char hex[3] = {token[0], token[1], 0};
        char byte = (char)strtoul(hex, NULL, 16);
        server_text_add(&l->after, &byte, 1);
    }
}

static void key_print(struct listing *l, const char *element, const char *key, size_t bytes)
{
    struct server_text text = {0};

    if (l->encoded)
        server_text_encode(&text, key, bytes);
    else
        server_text_add(&text, key, bytes);
    server_text_print(&l->body, "<%s>", element);
    server_text_xml(&l->body, text.at);
    server_text_print(&l->body, "</%s>", element);
    server_text_free(&text);
}

/* One key, or the common prefix that stands for it; false: the page is full. */
static bool key_list(struct listing *l, const char *key, const struct object *object)
{
    const char *end = NULL;
    size_t listed_bytes = strlen(key);
    const char *after = server_text_string(&l->after);

    if (strncmp(key, server_text_string(&l->prefix), l->prefix.used) != 0)
        return true;
    if (l->delimiter.used > 0)
        end = strstr(key + l->prefix.used, l->delimiter.at);
    if (end)
        listed_bytes = (size_t)(end - key) + l->delimiter.used;
    if (l->after.used > 0 && (strcmp(key, after) <= 0 || (end && listed_bytes == l->after.used &&
                                                          memcmp(key, after, listed_bytes) == 0)))
        return true;
    if (end && l->last.used == listed_bytes && memcmp(l->last.at, key, listed_bytes) == 0)
        return true; /* the same prefix again */
    if (l->count == l->count_max) {
        l->truncated = true;
        return false;
    }
    l->count++;
    server_text_clear(&l->last);
    server_text_add(&l->last, key, listed_bytes);
    if (end) {
        server_text_print(&l->body, "<CommonPrefixes>");
        key_print(l, "Prefix", key, listed_bytes);
        server_text_print(&l->body, "</CommonPrefixes>");
        return true;
    }
    server_text_print(&l->body, "<Contents>");
    key_print(l, "Key", key, listed_bytes);
    server_text_print(&l->body, "<LastModified>2024-01-02T03:04:05.000Z</LastModified><ETag>");
    server_text_xml(&l->body, object_etag(object));
    server_text_print(&l->body, "</ETag><Size>%llu</Size></Contents>",
                      (unsigned long long)object_bytes(object));
    return true;
}

static void keys_list(struct server *s, struct listing *l)
{
    size_t bucket_bytes = strlen(l->bucket);
    struct object *object = object_next(s, l->bucket);

    while (object) {
        const char *path = object_path(object);
        struct object *next;
        if (strncmp(path, l->bucket, bucket_bytes) != 0 ||
            !key_list(l, path + bucket_bytes, object)) {
            object_release(object);
            return;
        }
        next = object_next(s, path);
        object_release(object);
        object = next;
    }
}

void listing_answer(struct server *s, const struct request *r, struct answer *a)
{
    struct listing l = {.count_max = parameter_number(r->query, "max-keys", 1000)};
    struct server_text text = {0};

    server_text_add(&text, r->path, strcspn(r->path + 1, "/") + 1);
    server_text_add(&text, "/", 1);
    l.bucket = server_text_take(&text);
    parameter(r->query, "prefix", &l.prefix);
    parameter(r->query, "delimiter", &l.delimiter);
    if (parameter(r->query, "continuation-token", &text))
        token_read(&l, text.at);
    else
        parameter(r->query, "start-after", &l.after);
    server_text_clear(&text);
    l.encoded = parameter(r->query, "encoding-type", &text);
    server_text_clear(&text);
    if (!bucket_exists(s, l.bucket)) {
        answer_error(s, a, 404, "NoSuchBucket", "there is no such bucket");
    } else {
        keys_list(s, &l);
        server_text_print(&text,
                          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult>"
                          "<IsTruncated>%s</IsTruncated><KeyCount>%u</KeyCount>",
                          l.truncated ? "true" : "false", l.count);
        if (l.truncated) {
            server_text_print(&text, "<NextContinuationToken>");
            for (size_t i = 0; i < l.last.used; i++)
                server_text_print(&text, "%02x", (unsigned char)l.last.at[i]);
            server_text_print(&text, "</NextContinuationToken>");
        }
        server_text_print(&text, "%s%s</ListBucketResult>",
                          l.encoded ? "<EncodingType>url</EncodingType>" : "",
                          server_text_string(&l.body));
        answer_text(a, 200, "application/xml", &text);
    }
    server_text_free(&text);
    server_text_free(&l.prefix);
    server_text_free(&l.delimiter);
    server_text_free(&l.after);
    server_text_free(&l.body);
    server_text_free(&l.last);
    free(l.bucket);
}
