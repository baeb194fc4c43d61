/* SPDX-License-Identifier: MIT */
/*
 * Design: explains a request by preparing it exactly as submit would and asking the planner; nothing is
 * started. Sizes that the request does not give stay unknown, and are shown as probes.
 */
#include <stdlib.h>

#include "engine/engine.h"

int explain_request(struct lsio_context *context, const struct lsio_request *request, int format,
                    char **out)
{
    const struct plan_profile **profiles = NULL;
    const char **urls = NULL;
    struct lsio_batch *batch = NULL;
    uint32_t stores;
    int error = batch_create(context, request, false, &batch);

    if (error)
        return error;
    pthread_mutex_lock(&context->lock);
    stores = context->store_count;
    pthread_mutex_unlock(&context->lock);
    urls = calloc(stores + 1, sizeof(*urls));
    profiles = calloc(stores + 1, sizeof(*profiles));
    if (!urls || !profiles) {
        error = -ENOMEM;
        goto out;
    }
    for (size_t i = 0; i < batch->first.view.object_count; i++) {
        const struct lsio_store *store = batch->first.objects[i].store;
        if (store->ordinal < stores) {
            urls[store->ordinal] = store->url;
            profiles[store->ordinal] = &store->profile;
        }
    }
    error = plan_explain(&batch->first.input, urls, profiles, stores, format, out);
out:
    free(urls);
    free(profiles);
    batch_free(batch);
    return error;
}
