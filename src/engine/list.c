/* SPDX-License-Identifier: MIT */
/*
 * Design: a listing runs in the driver, on the caller's thread. What is added here is the detail of
 * a failure. What the application's own callback returns to end the listing is no failure, whatever
 * its sign: it is handed through.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

struct pages {
    lsio_list_fn *on_page;
    void *data;
    bool ended; /* by on_page */
};

static int page_hand_on(const struct lsio_list_entry *entries, size_t count, void *data)
{
    struct pages *pages = data;
    int status = pages->on_page(entries, count, pages->data);

    pages->ended = status != 0;
    return status;
}

static void failure_describe(const struct lsio_store *store, const char *prefix, int status,
                             const struct driver_failure *failure, struct lsio_error *error)
{
    const struct driver_detail *detail = failure->detail;
    const char *text = detail && detail->text[0] ? detail->text : lsio_status_text(status);

    memset(error, 0, sizeof(*error));
    error->struct_bytes = sizeof(*error);
    error->index = LSIO_NO_CHUNK;
    error->status = status;
    error->code = failure->code ? failure->code : status_errno(status);
    error->attempts = detail ? detail->attempts : 1;
    if (detail)
        memcpy(error->request_id, detail->request_id, sizeof(error->request_id));
    snprintf(error->url, sizeof(error->url), "%s/%s", store->url, prefix);
    snprintf(error->text, sizeof(error->text), "%s: the listing of \"%s\"", text, prefix);
}

int store_list(struct lsio_store *store, const char *prefix, char delimiter, lsio_list_fn *on_page,
               void *data, struct lsio_error *error)
{
    struct pages pages = {.on_page = on_page, .data = data};
    struct driver_failure failure = {0};
    int status = -EOPNOTSUPP;

    if (store->driver->list)
        status = store->driver->list(store, prefix, delimiter, page_hand_on, &pages, &failure);
    if (status < 0 && !pages.ended)
        failure_describe(store, prefix, status, &failure, error);
    free(failure.detail);
    return status;
}
