/* SPDX-License-Identifier: MIT */
/*
 * Design: explains a request by preparing it exactly as submit would and asking the planner;
 * nothing is started. Stores are numbered anew, so that only those that are read from are shown.
 * Sizes that the request does not give stay unknown, and are shown as probes. Profiles are those
 * that the request would be planned with now; what was measured is shown as it is now.
 */
#include <stdlib.h>

#include "engine/engine.h"

int explain_request(struct lsio_context *context, const struct lsio_request *request, int format,
                    char **out)
{
    struct plan_store *stores = NULL;
    struct plan_measured *measured = NULL;
    struct lsio_batch *batch = NULL;
    uint32_t *numbers =
        NULL; /* by a store's ordinal: its number among those that are read from, + 1 */
    uint32_t count, used = 0;
    struct lsio_error refusal;
    int error = batch_create(context, request, false, &refusal, &batch);

    if (error)
        return error;
    pthread_mutex_lock(&context->lock);
    count = context->store_count;
    pthread_mutex_unlock(&context->lock);
    stores = calloc(count + 1, sizeof(*stores));
    measured = calloc(count + 1, sizeof(*measured));
    numbers = calloc(count + 1, sizeof(*numbers));
    if (!stores || !measured || !numbers) {
        error = -ENOMEM;
        goto out;
    }
    for (size_t i = 0; i < batch->first.view.object_count; i++) {
        struct driver_object *object = &batch->first.objects[i];
        const struct lsio_store *store = object->store;
        uint32_t *number = &numbers[store->ordinal];
        if (*number == 0) {
            stores[used] = (struct plan_store){.url = store->url, .profile = object->plan.profile};
            if (store->driver->measure) {
                store->driver->measure(store, &measured[used]);
                stores[used].measured = &measured[used];
            }
            *number = ++used;
        }
        object->plan.store = *number - 1;
    }
    error = plan_explain(&batch->first.input, stores, used, format, out);
out:
    free(stores);
    free(measured);
    free(numbers);
    batch_free(batch, false);
    return error;
}
