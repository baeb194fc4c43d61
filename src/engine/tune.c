/* SPDX-License-Identifier: MIT */
/*
 * Design: which profile a request is planned with. The one that a store was opened with never
 * changes. Where the driver measures requests, a profile that follows them is made from it when
 * measurements have gone far enough from it (plan_profile_follow): a new one each time, so that
 * whoever plans with the old one is not disturbed. A request keeps the profile it began with.
 *
 * Lifetime: a profile that follows is freed with its last reference. One is the store's, for the
 * newest; the others are those of requests, whose first object in the store holds it.
 *
 * Threads: any; store->tuned is under the context's lock, references are atomic.
 */
#include <stdlib.h>

#include "engine/engine.h"

/* A profile that follows; frozen but for who refers to it. */
struct store_tuned {
    struct plan_profile profile;
    _Atomic uint32_t refs;
};

static void tuned_drop(struct store_tuned *tuned)
{
    if (tuned && atomic_fetch_sub(&tuned->refs, 1) == 1)
        free(tuned);
}

/* The newest, with what has been measured since; NULL: none. Without memory it stays as it is. */
static struct store_tuned *tuned_renew(struct lsio_store *store,
                                       const struct plan_measured *measured)
{
    struct store_tuned *old = store->tuned, *fresh;
    struct plan_profile next = old ? old->profile : store->profile;

    if (!plan_profile_follow(&next, measured) || !(fresh = malloc(sizeof(*fresh))))
        return old;
    fresh->profile = next;
    atomic_init(&fresh->refs, 1);
    store->tuned = fresh;
    tuned_drop(old); /* only now: a child of fork() frees what the store names */
    return fresh;
}

const struct plan_profile *profile_take(struct lsio_store *store)
{
    struct plan_measured measured;
    struct store_tuned *tuned;

    if (!store->driver->measure)
        return &store->profile;
    store->driver->measure(store, &measured);
    pthread_mutex_lock(&store->context->lock);
    tuned = tuned_renew(store, &measured);
    if (tuned)
        atomic_fetch_add(&tuned->refs, 1);
    pthread_mutex_unlock(&store->context->lock);
    return tuned ? &tuned->profile : &store->profile;
}

void profile_drop(struct lsio_store *store, const struct plan_profile *profile)
{
    if (profile != &store->profile)
        tuned_drop(container_of(profile, struct store_tuned, profile));
}

void store_end(struct lsio_store *store, bool forked)
{
    tuned_drop(store->tuned);
    store->driver->store_close(store, forked);
}
