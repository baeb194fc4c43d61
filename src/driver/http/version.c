/* SPDX-License-Identifier: MIT */
/*
 * Design: object->handle points to the version that counts. It is set by compare-and-swap, so that
 * one answer is the first; all others are compared with it, whether or not If-Match was sent, for
 * some servers ignore it.
 *
 * A restart must not mix versions across the chunks of a batch. So whoever delivers bytes first
 * moves the version from OPEN to DELIVERED, and whoever replaces it moves it from OPEN to REPLACED:
 * only one of both happens. Replaced versions stay in the list `older`, because reads still point
 * to them. The planner has used the size, so one of another size cannot take the place.
 *
 * Threads: any worker.
 */
#include "driver/http/version.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"

static bool is_expected(const struct http_version *version, const char *etag)
{
    char generation[24];

    snprintf(generation, sizeof(generation), "%" PRIu64, version->generation);
    return strcmp(version->etag, etag) == 0 ||
           (version->generation && strcmp(generation, etag) == 0);
}

/* Whether both may be the same version, by the strongest validator that both have. */
static bool matches(const struct http_version *a, const struct http_version *b)
{
    if (a->size != HTTP_SIZE_UNKNOWN && b->size != HTTP_SIZE_UNKNOWN && a->size != b->size)
        return false;
    if (a->etag_strong && b->etag_strong)
        return strcmp(a->etag, b->etag) == 0;
    if (a->generation && b->generation)
        return a->generation == b->generation;
    if (a->has_modified && b->has_modified)
        return a->modified_s == b->modified_s;
    return true;
}

int http_version_size(struct driver_object *object, uint64_t size)
{
    uint64_t known = LSIO_SIZE_UNKNOWN;

    if (size != HTTP_SIZE_UNKNOWN &&
        !atomic_compare_exchange_strong(&object->plan.size, &known, size) && known != size)
        return LSIO_E_CHANGED;
    return 0;
}

static void version_read(struct http_version *version, const struct http_head *head)
{
    memset(version, 0, sizeof(*version));
    version->size = http_head_object_size(head);
    version->etag_strong = head->etag_strong;
    version->generation = head->has_generation ? head->generation : 0;
    version->has_modified = head->has_last_modified;
    version->modified_s = head->last_modified_s;
    memcpy(version->etag, head->etag, sizeof(version->etag));
}

bool http_version_may_restart(struct driver_object *object)
{
    const struct http_version *known = http_version_of(object);

    return known && !known->older && !object->etag &&
           atomic_load(&known->state) == HTTP_VERSION_OPEN;
}

/* Puts `seen` in the place of `known`; false: `known` has been delivered, or is being replaced. */
static bool version_replace(struct driver_object *object, struct http_version *known,
                            struct http_version *seen)
{
    uint8_t open = HTTP_VERSION_OPEN;

    if (!http_version_may_restart(object) || known != http_version_of(object) ||
        http_version_size(object, seen->size) != 0 ||
        !atomic_compare_exchange_strong(&known->state, &open, HTTP_VERSION_REPLACED))
        return false;
    LSIO_MARK(h17_restarted);
    seen->older = known;
    atomic_store_explicit(&object->handle, seen, memory_order_release);
    return true;
}

/* The answer is not of the version that is known, or the first one; `seen` is what it is of, and is
 * taken. */
static int version_settle(struct driver_object *object, struct http_version *seen, bool restart,
                          struct http_version **out)
{
    struct http_version *known = http_version_of(object);
    void *none = NULL;
    int status = 0;

    if (!known && object->etag && !is_expected(seen, object->etag))
        status = LSIO_E_CHANGED;
    else if (!known && atomic_compare_exchange_strong(&object->handle, &none, seen))
        known = seen;
    else if (!known)
        known = none;
    if (!status && known != seen && !matches(known, seen)) {
        if (restart && version_replace(object, known, seen))
            known = seen;
        else
            status = LSIO_E_CHANGED;
    }
    if (known != seen)
        free(seen);
    *out = known;
    return status;
}

int http_version_check(struct driver_object *object, const struct http_head *head, bool restart,
                       struct http_version **out)
{
    struct http_version seen, *fresh;
    int status = 0;

    *out = http_version_of(object);
    version_read(&seen, head);
    if (!*out || !matches(*out, &seen)) { /* else nothing is allocated */
        fresh = malloc(sizeof(*fresh));
        if (!fresh)
            return -ENOMEM;
        version_read(fresh, head);
        status = version_settle(object, fresh, restart, out);
    }
    return status ? status : http_version_size(object, seen.size);
}

bool http_version_deliver(struct http_version *version)
{
    uint8_t state = HTTP_VERSION_OPEN;

    return atomic_compare_exchange_strong(&version->state, &state, HTTP_VERSION_DELIVERED) ||
           state == HTTP_VERSION_DELIVERED;
}

void http_version_finish(struct driver_object *object)
{
    struct http_version *version = atomic_exchange(&object->handle, NULL);

    while (version) {
        struct http_version *older = version->older;
        free(version);
        version = older;
    }
}
