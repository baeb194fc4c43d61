/* SPDX-License-Identifier: MIT */
/*
 * xml_list.c - listings; see xml.h.
 *
 * Sources: S3 API reference, ListObjectsV2; Cloud Storage XML API, "List objects"; Azure Blob
 * service REST API, List Blobs. GCS answers in S3's form with <Generation> besides.
 *
 * Texts of a page lie in one block that grows, entries hold offsets into it. Both are kept from
 * page to page, and bounded by the size of a body. With encoding-type=url S3 encodes keys as forms
 * do ('+' is a space), but only if the answer says so: servers that do not know the parameter
 * ignore it.
 *
 * One thread at a time.
 */
#define _GNU_SOURCE /* strdup */

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/date.h"
#include "driver/http/encode.h"
#include "driver/http/xml.h"
#include "driver/http/xml_walk.h"

#define ENTRIES_MIN 64u
#define TEXT_MIN    4096u

struct record {
    const char *key;                    /* set when the page is complete */
    size_t key_at, etag_at, version_at; /* in the text; 0: "" */
    uint64_t size;
    int64_t mtime_ns;
    bool has_key, has_size, encoded, is_prefix, is_directory;
};

struct xml_list {
    struct xml_walk walk; /* first */
    enum http_dialect dialect;
    struct record *records;
    size_t count, capacity;
    char *text; /* begins with "" */
    size_t text_bytes, text_capacity;
    struct record now; /* the entry that is being read */
    bool truncated, url_encoded, is_listing, is_error;
    size_t token_at;
    char *token; /* of the page before */
    struct xml_error error;
};

/* ---------------------------------------------------------------------------------- storage -- */

static int grow(void **memory, size_t *capacity, size_t wanted, size_t least, size_t item_bytes)
{
    size_t room = *capacity < least ? least : *capacity;
    void *grown;

    if (wanted <= *capacity)
        return 0;
    while (room < wanted)
        room *= 2;
    grown = realloc(*memory, room * item_bytes);
    if (!grown)
        return -ENOMEM;
    *memory = grown;
    *capacity = room;
    return 0;
}

static int keep_text(struct xml_list *list, const char *text, size_t length, size_t *at)
{
    void *memory = list->text;
    int status = grow(&memory, &list->text_capacity, list->text_bytes + length + 1, TEXT_MIN, 1);

    list->text = memory;
    if (status < 0)
        return status;
    *at = list->text_bytes;
    memcpy(list->text + list->text_bytes, text, length);
    list->text[list->text_bytes + length] = '\0';
    list->text_bytes += length + 1;
    return 0;
}

static int keep_record(struct xml_list *list)
{
    void *memory = list->records;
    int status =
        grow(&memory, &list->capacity, list->count + 1, ENTRIES_MIN, sizeof(*list->records));

    list->records = memory;
    if (status < 0)
        return status;
    if (!list->now.has_key || (!list->now.has_size && !list->now.is_prefix))
        return LSIO_E_PROTOCOL;
    list->records[list->count++] = list->now;
    memset(&list->now, 0, sizeof(list->now));
    return 0;
}

/* ----------------------------------------------------------------------------------- leaves -- */

typedef int leaf_fn(struct xml_list *list, const char *text, size_t length);

static int take_key(struct xml_list *list, const char *text, size_t length)
{
    list->now.has_key = length > 0;
    list->now.encoded = list->walk.encoded;
    return keep_text(list, text, length, &list->now.key_at);
}

static int take_size(struct xml_list *list, const char *text, size_t length)
{
    uint64_t size = 0;

    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || size > (uint64_t)INT64_MAX / 10 - 1)
            return LSIO_E_PROTOCOL;
        size = size * 10 + (uint64_t)(text[i] - '0');
    }
    list->now.size = size;
    list->now.has_size = length > 0;
    return 0;
}

/* S3 and GCS write RFC 3339, Azure an HTTP-date. A time that cannot be read is left 0: it is not
 * needed to read the object. */
static int take_time(struct xml_list *list, const char *text, size_t length)
{
    int64_t unix_s;

    if (list->dialect != HTTP_DIALECT_AZURE)
        (void)http_date_parse_rfc3339(text, length, &list->now.mtime_ns);
    else if (http_date_parse(text, length, &unix_s) == 0 && unix_s > 0 &&
             unix_s < INT64_MAX / 1000000000)
        list->now.mtime_ns = unix_s * 1000000000;
    return 0;
}

/* Azure leaves the quotes out that its ETag header has. */
static int take_etag(struct xml_list *list, const char *text, size_t length)
{
    char quoted[130];

    if (length == 0 || text[0] == '"' || length + 2 >= sizeof(quoted))
        return keep_text(list, text, length, &list->now.etag_at);
    quoted[0] = '"';
    memcpy(quoted + 1, text, length);
    quoted[length + 1] = '"';
    return keep_text(list, quoted, length + 2, &list->now.etag_at);
}

static int take_version(struct xml_list *list, const char *text, size_t length)
{
    return keep_text(list, text, length, &list->now.version_at);
}

static int take_resource_type(struct xml_list *list, const char *text, size_t length)
{
    (void)length;
    list->now.is_directory = strcmp(text, "directory") == 0;
    return 0;
}

static int take_truncated(struct xml_list *list, const char *text, size_t length)
{
    (void)length;
    list->truncated = strcmp(text, "true") == 0;
    return 0;
}

static int take_encoding(struct xml_list *list, const char *text, size_t length)
{
    (void)length;
    list->url_encoded = strcmp(text, "url") == 0;
    return 0;
}

static int take_token(struct xml_list *list, const char *text, size_t length)
{
    if (length == 0)
        return 0;
    if (list->dialect == HTTP_DIALECT_AZURE)
        list->truncated = true;
    return keep_text(list, text, length, &list->token_at);
}

static int end_object(struct xml_list *list, const char *text, size_t length)
{
    (void)text;
    (void)length;
    return keep_record(list);
}

static int end_prefix(struct xml_list *list, const char *text, size_t length)
{
    (void)text;
    (void)length;
    list->now.is_prefix = true;
    return keep_record(list);
}

static int end_listing(struct xml_list *list, const char *text, size_t length)
{
    (void)text;
    (void)length;
    list->is_listing = true;
    return 0;
}

struct leaf {
    const char *path;
    leaf_fn *take;
};

#define S3    "/ListBucketResult"
#define AZURE "/EnumerationResults"

static const struct leaf s3_leaves[] = {
    {S3 "/Contents/Key", take_key},
    {S3 "/Contents/Size", take_size},
    {S3 "/Contents/LastModified", take_time},
    {S3 "/Contents/ETag", take_etag},
    {S3 "/Contents/Generation", take_version},
    {S3 "/Contents/VersionId", take_version},
    {S3 "/Contents", end_object},
    {S3 "/CommonPrefixes/Prefix", take_key},
    {S3 "/CommonPrefixes", end_prefix},
    {S3 "/IsTruncated", take_truncated},
    {S3 "/EncodingType", take_encoding},
    {S3 "/NextContinuationToken", take_token},
    {S3, end_listing},
    {NULL, NULL},
};

static const struct leaf azure_leaves[] = {
    {AZURE "/Blobs/Blob/Name", take_key},
    {AZURE "/Blobs/Blob/VersionId", take_version},
    {AZURE "/Blobs/Blob/Properties/Content-Length", take_size},
    {AZURE "/Blobs/Blob/Properties/Last-Modified", take_time},
    {AZURE "/Blobs/Blob/Properties/Etag", take_etag},
    {AZURE "/Blobs/Blob/Properties/ResourceType", take_resource_type},
    {AZURE "/Blobs/Blob", end_object},
    {AZURE "/Blobs/BlobPrefix/Name", take_key},
    {AZURE "/Blobs/BlobPrefix", end_prefix},
    {AZURE "/NextMarker", take_token},
    {AZURE, end_listing},
    {NULL, NULL},
};

static int list_leaf(struct xml_walk *walk, const char *path, const char *text, size_t length)
{
    struct xml_list *list = (struct xml_list *)walk;
    const struct leaf *leaf = list->dialect == HTTP_DIALECT_AZURE ? azure_leaves : s3_leaves;

    for (; leaf->path; leaf++) {
        if (strcmp(leaf->path, path) == 0)
            return leaf->take(list, text, length);
    }
    if (xml_error_take(&list->error, path, text) || strcmp(path, "/Error") == 0)
        list->is_error = true;
    return 0;
}

/* ------------------------------------------------------------------------------------- pages -- */

int xml_list_create(enum http_dialect dialect, struct xml_list **out)
{
    struct xml_list *list = calloc(1, sizeof(*list));

    if (!list)
        return -ENOMEM;
    list->dialect = dialect;
    *out = list;
    return 0;
}

void xml_list_destroy(struct xml_list *list)
{
    if (!list)
        return;
    xml_walk_finish(&list->walk);
    free(list->records);
    free(list->text);
    free(list->token);
    free(list);
}

int xml_list_begin(struct xml_list *list)
{
    size_t empty;

    list->count = 0;
    list->text_bytes = 0;
    list->token_at = 0;
    list->truncated = list->url_encoded = list->is_listing = list->is_error = false;
    memset(&list->now, 0, sizeof(list->now));
    memset(&list->error, 0, sizeof(list->error));
    if (keep_text(list, "", 0, &empty) < 0)
        return -ENOMEM;
    return xml_walk_begin(&list->walk, list_leaf);
}

int xml_list_feed(struct xml_list *list, const void *bytes, size_t count)
{
    return xml_walk_feed(&list->walk, bytes, count, false);
}

/* Undoes the key's encoding in place. */
static int decode_key(struct xml_list *list, const struct record *record)
{
    char *key = list->text + record->key_at;
    int64_t length;

    if (!list->url_encoded && !record->encoded)
        return 0;
    for (char *at = key; list->url_encoded && *at; at++)
        *at = *at == '+' ? ' ' : *at;
    length = http_decode(key, key, strlen(key));
    if (length < 0 || memchr(key, '\0', (size_t)length))
        return LSIO_E_PROTOCOL;
    key[length] = '\0';
    return 0;
}

static int record_order(const void *a, const void *b)
{
    return strcmp(((const struct record *)a)->key, ((const struct record *)b)->key);
}

static bool is_marker(const struct record *record)
{
    return !record->is_prefix &&
           (record->is_directory ||
            (record->size == 0 && record->key[strlen(record->key) - 1] == '/'));
}

/* Checks the page and readies its records. */
static int complete_page(struct xml_list *list)
{
    int status = xml_walk_feed(&list->walk, "", 0, true); /* may call leaves: expat defers some */
    const char *token = list->text + list->token_at;

    if (status == 0 && list->is_error)
        return LSIO_E_HTTP;
    if (status == 0 && !list->is_listing)
        status = LSIO_E_PROTOCOL;
    if (status == 0 && list->truncated &&
        (!token[0] || (list->token && strcmp(token, list->token) == 0)))
        status = LSIO_E_PROTOCOL; /* it would never end */
    for (size_t i = 0; status == 0 && i < list->count; i++) {
        status = decode_key(list, &list->records[i]);
        list->records[i].key = list->text + list->records[i].key_at;
    }
    if (status < 0)
        return status;
    free(list->token);
    list->token = NULL;
    if (list->truncated) {
        list->token = strdup(token);
        if (!list->token)
            return -ENOMEM;
    }
    if (list->count > 1)
        qsort(list->records, list->count, sizeof(*list->records), record_order);
    return 0;
}

int xml_list_end(struct xml_list *list, http_list_entry_fn *on_entry, void *data)
{
    int status = complete_page(list);

    for (size_t i = 0; status == 0 && i < list->count; i++) {
        const struct record *record = &list->records[i];
        struct http_list_entry entry = {.key = record->key,
                                        .size = record->size,
                                        .mtime_ns = record->mtime_ns,
                                        .etag = list->text + record->etag_at,
                                        .version = list->text + record->version_at,
                                        .is_prefix = record->is_prefix};
        if (!is_marker(record))
            status = on_entry(&entry, data);
    }
    return status;
}

const char *xml_list_token(const struct xml_list *list)
{
    return list->token;
}

const struct xml_error *xml_list_error(const struct xml_list *list)
{
    return &list->error;
}
