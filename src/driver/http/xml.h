/* SPDX-License-Identifier: MIT */
/*
 * xml.h - the XML that stores answer with: errors and listings.
 *
 * It comes from the network: bodies above XML_BYTES_MAX, document type declarations (entities),
 * deep nesting and what is not well-formed are LSIO_E_PROTOCOL.
 */
#ifndef LSIO_DRIVER_HTTP_XML_H
#define LSIO_DRIVER_HTTP_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "driver/http/url.h"

#define XML_BYTES_MAX (UINT64_C(16) << 20)

/* ----------------------------------------------------------------------------------- errors -- */

/* What an error body says; "" where it says nothing. Texts are cut to fit, without control
 * characters. They are the server's: redact them before they are shown. */
struct xml_error {
    char code[64];
    char message[200];
    char region[64];    /* S3: where the bucket is */
    char endpoint[128]; /* S3: the host that it should be asked for */
    char request_id[64];
};

/* An error body of S3, STS, GCS or Azure. 0, LSIO_E_PROTOCOL or -ENOMEM; `out` holds what was
 * understood in any case. Threads: any. */
int xml_error_parse(const void *bytes, size_t count, struct xml_error *out);

/* ---------------------------------------------------------------------------------- listings -- */

struct http_list_entry {
    const char *key; /* the whole name in the bucket, raw; a common prefix ends in '/' */
    uint64_t size;
    int64_t mtime_ns;
    const char *etag;    /* with quotes, as a read's ETag header has it; "" if not said */
    const char *version; /* S3 version, GCS generation, Azure version id; "" if not said */
    bool is_prefix;
};

/* Borrowed for the call. Nonzero ends the page and is returned. */
typedef int http_list_entry_fn(const struct http_list_entry *entry, void *data);

/*
 * A listing, page by page: S3's ListObjectsV2, GCS's XML listing, Azure's List Blobs.
 *
 *     xml_list_create(dialect, &list);
 *     do {
 *         xml_list_begin(list);
 *         while (more) status = xml_list_feed(list, bytes, count);
 *         status = xml_list_end(list, on_entry, data);
 *     } while (status == 0 && xml_list_token(list));
 *
 * A page is held until it has come whole, for servers say at its end how its keys are encoded; then
 * its entries are handed out in bytewise order. Directory markers (empty objects whose key ends in
 * '/', directories of Azure's) are left out. Threads: one at a time.
 */
struct xml_list;

int xml_list_create(enum http_dialect dialect, struct xml_list **out); /* -ENOMEM */
void xml_list_destroy(struct xml_list *list);

int xml_list_begin(struct xml_list *list);
/* 0, LSIO_E_PROTOCOL, -ENOMEM; after a failure the page is of no use. */
int xml_list_feed(struct xml_list *list, const void *bytes, size_t count);
/* The callback's status, LSIO_E_PROTOCOL also for a page that is cut off, lacks what it must have,
 * or leads to itself; LSIO_E_HTTP if the body is an error: see xml_list_error(). */
int xml_list_end(struct xml_list *list, http_list_entry_fn *on_entry, void *data);

/* Raw, where the next page begins; NULL after the last one. Valid until the next _end. */
const char *xml_list_token(const struct xml_list *list);
const struct xml_error *xml_list_error(const struct xml_list *list);

#endif
