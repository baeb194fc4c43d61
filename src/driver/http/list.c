/* SPDX-License-Identifier: MIT */
/*
 * Design: a listing is a row of pages, each a transfer on one worker, with all that transfers
 * survive; the caller's thread waits for each page and hands its entries out itself, for the
 * application's callback runs there. A page that broke off is asked for anew, from its start.
 *
 * Sources: S3 "ListObjectsV2"; Cloud Storage XML API "List objects"; Azure "List Blobs".
 *
 * Threads: `page` belongs to the worker from start until `ended` is set under the lock; then it is
 * the caller's again.
 */
#include "driver/http/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"
#include "driver/http/encode.h"
#include "driver/http/transfer.h"
#include "driver/http/xml.h"
#include "driver/listing.h"

#define CHUNK_BYTES 16384u

struct page {
    struct http_transfer transfer; /* first */
    struct queue_node node;        /* starts it on the worker */
    struct xml_list *list;
    const char *prefix; /* as the application said it */
    char delimiter;
    int feed_status;
    struct listing *listing;
    size_t root_bytes; /* of each name, the store's own prefix */
    pthread_mutex_t lock;
    pthread_cond_t ended_cond;
    bool ended;
    int32_t status;
    char chunk[CHUNK_BYTES];
};

static struct page *page_of(struct http_transfer *transfer)
{
    return container_of(transfer, struct page, transfer);
}

/* ---------------------------------------------------------------------------- the transfer -- */

static void query_add(struct http_text *query, const char *name, const char *value)
{
    if (value && *value)
        http_text_query(query, name, value);
}

/* The names of the parameters differ; what they mean does not. */
static int query_make(struct page *page, const char *prefix, struct http_text *text,
                      const char **out)
{
    const char *delimiter = page->delimiter ? "/" : NULL, *token = xml_list_token(page->list);

    if (page->transfer.store->settings.address.dialect == HTTP_DIALECT_AZURE) {
        http_text_query(text, "restype", "container");
        http_text_query(text, "comp", "list");
        query_add(text, "delimiter", delimiter);
        query_add(text, "marker", token);
    } else {
        query_add(text, "continuation-token", token);
        query_add(text, "delimiter", delimiter);
        http_text_query(text, "encoding-type", "url");
        http_text_query(text, "list-type", "2");
    }
    query_add(text, "prefix", prefix);
    return http_text_end(text, out);
}

static int page_prepare(struct http_transfer *transfer, struct http_request *request,
                        struct http_text *text)
{
    struct page *page = page_of(transfer);
    const char *prefix;
    int status = http_bucket_request(transfer->store, request, text);

    request->method = "GET";
    if (status)
        return status;
    http_address_name(&transfer->store->settings.address, page->prefix, text);
    status = http_text_end(text, &prefix);
    if (!status)
        status = query_make(page, prefix, text, &request->query);
    if (!status)
        status = xml_list_begin(page->list);
    page->feed_status = 0;
    return status;
}

static int page_head(struct http_transfer *transfer, const struct http_head *head)
{
    (void)transfer;
    return head->status == 200 ? 0 : LSIO_E_PROTOCOL;
}

static void *page_room(struct http_transfer *transfer, uint64_t *bytes)
{
    struct page *page = page_of(transfer);

    *bytes = page->feed_status ? 0 : CHUNK_BYTES;
    return page->chunk;
}

static void page_got(struct http_transfer *transfer, uint64_t bytes)
{
    struct page *page = page_of(transfer);

    page->feed_status = xml_list_feed(page->list, page->chunk, (size_t)bytes);
    transfer->enough = page->feed_status != 0;
}

static int page_complete(struct http_transfer *transfer)
{
    return page_of(transfer)->feed_status;
}

static void page_done(struct http_transfer *transfer, int32_t status)
{
    struct page *page = page_of(transfer);

    pthread_mutex_lock(&page->lock);
    page->status = status;
    page->ended = true;
    pthread_cond_signal(&page->ended_cond);
    pthread_mutex_unlock(&page->lock);
}

static const struct http_transfer_ops page_ops = {
    .prepare = page_prepare,
    .head = page_head,
    .room = page_room,
    .got = page_got,
    .complete = page_complete,
    .done = page_done,
};

static void page_start(struct driver_env *env, struct queue_node *node)
{
    struct page *page = container_of(node, struct page, node);
    struct http_worker *worker = http_worker_get(page->transfer.store->state, env);

    if (!worker) {
        page_done(&page->transfer, -ENOMEM);
        return;
    }
    page->transfer.worker = worker;
    transfer_start(&page->transfer);
}

/* ------------------------------------------------------------------------- caller's thread -- */

static int page_read(struct page *page, struct http_store *store)
{
    transfer_init(&page->transfer, &page_ops, store);
    page->ended = false;
    page->node.run = page_start;
    store->env->post(store->env, &page->node);
    pthread_mutex_lock(&page->lock);
    while (!page->ended)
        pthread_cond_wait(&page->ended_cond, &page->lock);
    pthread_mutex_unlock(&page->lock);
    return page->status;
}

static int entry_add(const struct http_list_entry *entry, void *data)
{
    struct page *page = data;
    struct lsio_list_entry out = {.size = entry->size,
                                  .mtime_ns = entry->mtime_ns,
                                  .etag = entry->etag,
                                  .version = entry->version,
                                  .is_prefix = entry->is_prefix};

    if (strlen(entry->key) <= page->root_bytes)
        return 0; /* the root itself */
    out.key = entry->key + page->root_bytes;
    return listing_add(page->listing, &out);
}

/* Takes what the page lists; 200 may also stand above an error, or above nonsense. */
static int page_take(struct page *page)
{
    int status = xml_list_end(page->list, entry_add, page);

    if (status == LSIO_E_HTTP)
        LSIO_MARK(h10_error_in_a_listing);
    else if (status == LSIO_E_PROTOCOL)
        LSIO_MARK(h28_listing_refused);
    return status;
}

static int pages_read(struct page *page, struct http_store *store)
{
    int status;

    do {
        status = page_read(page, store);
        if (!status)
            status = page_take(page);
    } while (!status && xml_list_token(page->list));
    return status ? status : listing_flush(page->listing);
}

/* What is known of the failure, of the last page. Nobody writes to the transfer any more. */
static void failure_keep(struct page *page, int status, struct driver_failure *failure)
{
    struct http_transfer *transfer = &page->transfer;
    const struct xml_error *error = xml_list_error(page->list);

    if (!transfer->code && status == LSIO_E_HTTP) { /* only the body says that it is an error */
        transfer->code = 200;
        snprintf(transfer->error_code, sizeof(transfer->error_code), "%s", error->code);
    } else if (!transfer->why[0] && status == LSIO_E_PROTOCOL) {
        snprintf(transfer->why, sizeof(transfer->why), "the answer is no listing, or part of one");
    }
    failure->code = transfer_code(transfer);
    failure->detail = transfer_detail(transfer, status);
}

/* Bytes of the store's own prefix and the slash behind it. */
static size_t root_bytes(const struct http_store *store)
{
    char memory[HTTP_TEXT_BYTES];
    struct http_text text;
    size_t bytes;

    http_text_init(&text, memory, sizeof(memory));
    http_address_name(&store->settings.address, "", &text);
    bytes = http_text_length(&text);
    return bytes;
}

int http_list(struct lsio_store *base, const char *prefix, char delimiter, lsio_list_fn *on_page,
              void *data, struct driver_failure *failure)
{
    struct http_store *store = http_store_of(base);
    struct listing listing;
    struct page *page;
    int status;

    if (store->settings.address.dialect == HTTP_DIALECT_HTTP)
        return -EOPNOTSUPP;
    if ((*prefix && prefix[strlen(prefix) - 1] != '/') || (delimiter && delimiter != '/'))
        return -EINVAL;
    status = listing_init(&listing, on_page, data);
    if (status)
        return status;
    page = calloc(1, sizeof(*page));
    status = page ? xml_list_create(store->settings.address.dialect, &page->list) : -ENOMEM;
    if (!status) {
        page->listing = &listing;
        page->prefix = prefix;
        page->delimiter = delimiter;
        page->root_bytes = root_bytes(store);
        pthread_mutex_init(&page->lock, NULL);
        pthread_cond_init(&page->ended_cond, NULL);
        status = pages_read(page, store);
        if (status < 0)
            failure_keep(page, status, failure);
        pthread_cond_destroy(&page->ended_cond);
        pthread_mutex_destroy(&page->lock);
        xml_list_destroy(page->list);
    }
    free(page);
    listing_finish(&listing);
    return status;
}
