/* SPDX-License-Identifier: MIT */
/*
 * listing.c - see listing.h. Belongs to the thread inside lsio_list().
 *
 * Keys of a page are packed into one growing text, so entries hold offsets (as pointers would move)
 * until the page is handed on. A page's memory is used again for the next one.
 */
#include "driver/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int listing_init(struct listing *listing, lsio_list_fn *on_page, void *data)
{
    memset(listing, 0, sizeof(*listing));
    listing->on_page = on_page;
    listing->data = data;
    listing->entries = calloc(LISTING_PAGE_ENTRIES, sizeof(*listing->entries));
    return listing->entries ? 0 : -ENOMEM;
}

/* Copies `text` behind the page's other text; its offset, or a negative status. */
static int64_t text_keep(struct listing *listing, const char *text)
{
    size_t bytes = strlen(text) + 1;
    size_t offset = listing->text_bytes;

    if (listing->text_capacity - offset < bytes) {
        size_t capacity = (listing->text_capacity + bytes) * 2 + 4096;
        char *grown = realloc(listing->text, capacity);
        if (!grown)
            return -ENOMEM;
        listing->text = grown;
        listing->text_capacity = capacity;
    }
    memcpy(listing->text + offset, text, bytes);
    listing->text_bytes += bytes;
    return (int64_t)offset;
}

int listing_add(struct listing *listing, const struct lsio_list_entry *entry)
{
    struct lsio_list_entry *kept = &listing->entries[listing->count];
    int64_t key = text_keep(listing, entry->key);
    int64_t etag = text_keep(listing, entry->etag ? entry->etag : "");
    int64_t version = text_keep(listing, entry->version ? entry->version : "");

    if (key < 0 || etag < 0 || version < 0)
        return -ENOMEM;
    *kept = *entry;
    kept->key = (const char *)(uintptr_t)key;
    kept->etag = (const char *)(uintptr_t)etag;
    kept->version = (const char *)(uintptr_t)version;
    listing->count++;
    return listing->count == LISTING_PAGE_ENTRIES ? listing_flush(listing) : 0;
}

int listing_flush(struct listing *listing)
{
    size_t count = listing->count;

    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        struct lsio_list_entry *entry = &listing->entries[i];
        entry->key = listing->text + (uintptr_t)entry->key;
        entry->etag = listing->text + (uintptr_t)entry->etag;
        entry->version = listing->text + (uintptr_t)entry->version;
    }
    listing->count = 0;
    listing->text_bytes = 0;
    return listing->on_page(listing->entries, count, listing->data);
}

void listing_finish(struct listing *listing)
{
    free(listing->entries);
    free(listing->text);
}
