/* SPDX-License-Identifier: MIT */
/*
 * Design: explains a request by preparing it exactly as submit would and asking the planner;
 * nothing is started. Stores are numbered anew, so that only those that are read from are shown.
 * Sizes that the request does not give stay unknown, and are shown as probes.
 */
#include <stdlib.h>

#include "engine/engine.h"

int explain_request(struct lsio_context *context, const struct lsio_request *request, int format,
                    char **out)
{
    const struct plan_profile **profiles = NULL;
    const char **urls = NULL;
    struct lsio_batch *batch = NULL;
    uint32_t *numbers =
        NULL; /* by a store's ordinal: its number among those that are read from, + 1 */
    uint32_t stores, used = 0;
    int error = batch_create(context, request, false, &batch);

    if (error)
        return error;
    pthread_mutex_lock(&context->lock);
    stores = context->store_count;
    pthread_mutex_unlock(&context->lock);
    urls = calloc(stores + 1, sizeof(*urls));
    profiles = calloc(stores + 1, sizeof(*profiles));
    numbers = calloc(stores + 1, sizeof(*numbers));
    if (!urls || !profiles || !numbers) {
        error = -ENOMEM;
        goto out;
    }
    for (size_t i = 0; i < batch->first.view.object_count; i++) {
        const struct lsio_store *store = batch->first.objects[i].store;
        uint32_t *number = &numbers[store->ordinal];
        if (*number == 0) {
            urls[used] = store->url;
            profiles[used] = &store->profile;
            *number = ++used;
        }
        batch->first.objects[i].plan.store = *number - 1;
    }
    error = plan_explain(&batch->first.input, urls, profiles, used, format, out);
out:
    free(urls);
    free(profiles);
    free(numbers);
    batch_free(batch, false);
    return error;
}
