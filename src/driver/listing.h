/* SPDX-License-Identifier: MIT */
/*
 * listing.h - hands listing entries to the caller's lsio_list_fn in pages.
 *
 * The driver adds entries in bytewise order; listing copies what it is given, so that an entry need
 * not outlive the call. A full page is handed on from inside listing_add().
 */
#ifndef LSIO_DRIVER_LISTING_H
#define LSIO_DRIVER_LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "lsio/lsio.h"

#define LISTING_PAGE_ENTRIES 1000u

struct listing {
    lsio_list_fn *on_page;
    void *data;
    struct lsio_list_entry *entries; /* their strings are offsets into text until the page goes */
    size_t count;
    char *text;
    size_t text_bytes;
    size_t text_capacity;
};

int listing_init(struct listing *listing, lsio_list_fn *on_page, void *data); /* -ENOMEM */
/* Adds a copy. Returns 0, -ENOMEM, or what the callback returned to end the listing. */
int listing_add(struct listing *listing, const struct lsio_list_entry *entry);
/* Hands on what is left, if anything. */
int listing_flush(struct listing *listing);
void listing_finish(struct listing *listing);

#endif
