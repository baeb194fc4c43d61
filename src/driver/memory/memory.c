/* SPDX-License-Identifier: MIT */
/*
 * memory.c - the driver of memory:// stores: no waiting, so each read completes from inside read().
 *
 * An object of a batch keeps the blob it found first: that is its handle, with one reference, so a
 * batch sees one version of an object however often it is replaced meanwhile. Two workers that find
 * it at the same time race to set the handle; the loser uses the winner's blob. Nothing here
 * changes while it is read, hence there is nothing to verify.
 *
 * Threads: read() on the worker of its env; the rest on any thread.
 */
#define _GNU_SOURCE /* strdup */

#include "driver/memory/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"
#include "driver/key.h"
#include "driver/listing.h"
#include "driver/memory/space.h"
#include "driver/options.h"

struct memory_store {
    struct lsio_store base;
    struct memory_space *space;
};

static struct memory_space *space_of(const struct lsio_store *store)
{
    return ((const struct memory_store *)(const void *)store)->space;
}

/* ---------------------------------------------------------------------------- state, store -- */

static int memory_state_create(struct lsio_context *context, const struct loop_os *os,
                               uint32_t worker_count, void **out)
{
    struct memory_spaces *spaces;
    int status = memory_spaces_create(&spaces);

    (void)context;
    (void)os;
    (void)worker_count;
    if (status == 0)
        *out = spaces;
    return status;
}

static void memory_state_destroy(void *state, bool forked)
{
    memory_spaces_destroy(state, forked);
}

static void memory_store_close(struct lsio_store *store, bool forked)
{
    (void)forked;
    if (!store)
        return;
    free(store->url);
    free(store);
}

static int memory_store_open(const struct driver_open *open, struct lsio_store **out)
{
    struct memory_store *store = calloc(1, sizeof(*store));
    int status = -ENOMEM;

    if (!store)
        return -ENOMEM;
    store->base.driver = &driver_memory;
    store->base.context = open->context;
    store->base.url = strdup(open->url);
    if (!store->base.url)
        goto fail;
    status = plan_profile_builtin("memory", &store->base.profile);
    if (status < 0)
        goto fail;
    snprintf(store->base.profile.reason, sizeof(store->base.profile.reason), "memory:// store");
    status = driver_options_apply(open, &store->base.profile, NULL, store);
    if (status < 0)
        goto fail;
    status = memory_space_open(open->state, open->rest, &store->space);
    if (status < 0)
        goto fail;
    *out = &store->base;
    return 0;
fail:
    memory_store_close(&store->base, false);
    return status;
}

static int memory_check_key(const struct lsio_store *store, const char *key)
{
    (void)store;
    return driver_key_check(key);
}

/* --------------------------------------------------------------------------------- objects -- */

static void etag_write(uint64_t generation, char *out, size_t bytes)
{
    snprintf(out, bytes, "%016" PRIx64, generation);
}

/* 0 if this is the blob that the object's caller expects. */
static int blob_check(const struct memory_blob *blob, struct driver_object *object)
{
    uint64_t size = LSIO_SIZE_UNKNOWN;
    char etag[32];

    if (object->etag) {
        etag_write(blob->generation, etag, sizeof(etag));
        if (strcmp(etag, object->etag) != 0) {
            LSIO_MARK(memory_object_has_other_etag);
            return LSIO_E_CHANGED;
        }
    }
    if (!atomic_compare_exchange_strong(&object->plan.size, &size, blob->bytes) &&
        size != blob->bytes) {
        LSIO_MARK(memory_object_has_other_size);
        return LSIO_E_CHANGED;
    }
    return 0;
}

/* The blob that the object keeps for its batch; found now if this is the first look. */
static int object_blob(struct driver_object *object, struct memory_blob **out)
{
    struct memory_blob *blob = atomic_load_explicit(&object->handle, memory_order_acquire);
    void *kept = NULL;
    int status;

    if (!blob) {
        if (driver_key_check(object->key) < 0)
            return -EINVAL;
        blob = memory_space_find(space_of(object->store), object->key);
        if (!blob)
            return -ENOENT;
        status = blob_check(blob, object);
        if (status < 0) {
            memory_blob_release(blob);
            return status;
        }
        if (!atomic_compare_exchange_strong(&object->handle, &kept, blob)) {
            memory_blob_release(blob);
            blob = kept;
        }
    }
    *out = blob;
    return 0;
}

static void memory_finish_object(struct driver_object *object)
{
    memory_blob_release(atomic_exchange(&object->handle, NULL));
}

static int memory_verify_object(struct driver_object *object)
{
    (void)object;
    return 0;
}

static int memory_object_info(struct driver_object *object, struct lsio_object_info *out)
{
    struct memory_blob *blob;
    int status = object_blob(object, &blob);

    if (status < 0)
        return status;
    out->size = blob->bytes;
    out->mtime_ns = blob->mtime_ns;
    etag_write(blob->generation, out->etag, sizeof(out->etag));
    return 0;
}

/* ----------------------------------------------------------------------------------- reads -- */

static void copy_out(const struct driver_read *read, const uint8_t *from, uint64_t bytes)
{
    if (!read->iov) {
        if (bytes > 0)
            memcpy(read->addr, from, bytes);
        return;
    }
    for (uint32_t i = 0; i < read->iov_count && bytes > 0; i++) {
        uint64_t part = read->iov[i].iov_len < bytes ? read->iov[i].iov_len : bytes;
        memcpy(read->iov[i].iov_base, from, part);
        from += part;
        bytes -= part;
    }
}

static uint64_t bytes_there(const struct memory_blob *blob, uint64_t offset, uint64_t bytes)
{
    uint64_t there = offset < blob->bytes ? blob->bytes - offset : 0;

    return there < bytes ? there : bytes;
}

static void memory_read(struct driver_env *env, struct driver_read *read)
{
    struct memory_blob *blob;

    read->env = env;
    read->code = 0;
    read->text = NULL;
    read->bytes_done = 0;
    read->status = object_blob(read->object, &blob);
    if (read->status == 0 && read->kind == DRIVER_READ) {
        read->bytes_done = bytes_there(blob, read->offset, read->bytes);
        if (read->bytes_done > 0)
            copy_out(read, blob->data + read->offset, read->bytes_done);
        if (read->bytes_done < read->bytes) {
            LSIO_MARK(memory_object_too_short);
            read->status = LSIO_E_TRUNCATED;
        }
    }
    env->complete(env, read);
}

static void memory_cancel(struct driver_env *env, struct driver_read *read)
{
    (void)env;
    (void)read;
}

static int memory_read_inline(struct lsio_store *store, const char *key,
                              const struct driver_range *ranges, size_t count)
{
    struct memory_blob *blob = memory_space_find(space_of(store), key);
    int status = blob ? 0 : -EAGAIN; /* absent or too short: the ordinary way says so */

    for (size_t i = 0; status == 0 && i < count; i++) {
        if (bytes_there(blob, ranges[i].offset, ranges[i].bytes) != ranges[i].bytes)
            status = -EAGAIN;
        else if (ranges[i].bytes > 0)
            memcpy(ranges[i].addr, blob->data + ranges[i].offset, ranges[i].bytes);
    }
    memory_blob_release(blob);
    return status;
}

/* ----------------------------------------------------------------------- list, put, remove -- */

/* The length of the common prefix that folds `key`, or 0: it is listed itself. */
static size_t fold_bytes(const char *key, size_t prefix_bytes, char delimiter)
{
    const char *slash = delimiter ? strchr(key + prefix_bytes, delimiter) : NULL;

    return slash ? (size_t)(slash - key) + 1 : 0;
}

static int entries_list(const struct memory_entry *entries, size_t count, size_t prefix_bytes,
                        char delimiter, struct listing *listing)
{
    int status = 0;

    for (size_t i = 0; i < count && status == 0; i++) {
        size_t fold = fold_bytes(entries[i].key, prefix_bytes, delimiter);
        char etag[32];
        struct lsio_list_entry entry = {.key = entries[i].key,
                                        .size = entries[i].size,
                                        .mtime_ns = entries[i].mtime_ns,
                                        .etag = etag};
        etag_write(entries[i].generation, etag, sizeof(etag));
        if (fold > 0) {
            if (i > 0 && strncmp(entries[i - 1].key, entries[i].key, fold) == 0)
                continue;
            entries[i].key[fold] = '\0';
            entry = (struct lsio_list_entry){.key = entries[i].key, .etag = "", .is_prefix = 1};
        }
        status = listing_add(listing, &entry);
    }
    return status ? status : listing_flush(listing);
}

static int memory_list(struct lsio_store *store, const char *prefix, char delimiter,
                       lsio_list_fn *on_page, void *data, struct driver_failure *failure)
{
    struct memory_entry *entries = NULL;
    struct listing listing;
    size_t count = 0;
    int status;

    (void)failure; /* the status says all */
    if (driver_prefix_check(prefix) < 0 || (delimiter != 0 && delimiter != '/') || !on_page)
        return -EINVAL;
    status = listing_init(&listing, on_page, data);
    if (status < 0)
        return status;
    status = memory_space_collect(space_of(store), prefix, &entries, &count);
    if (status == 0) {
        status = entries_list(entries, count, strlen(prefix), delimiter, &listing);
        memory_entries_free(entries, count);
    }
    listing_finish(&listing);
    return status;
}

static int memory_put(struct lsio_store *store, const char *key, const void *bytes, uint64_t length)
{
    if (driver_key_check(key) < 0 || (!bytes && length > 0))
        return -EINVAL;
    return memory_space_put(space_of(store), key, bytes, length);
}

static int memory_remove(struct lsio_store *store, const char *key)
{
    if (driver_key_check(key) < 0)
        return -EINVAL;
    return memory_space_remove(space_of(store), key);
}

static const char *const memory_schemes[] = {"memory", NULL};

const struct driver_ops driver_memory = {
    .name = "memory",
    .schemes = memory_schemes,
    .state_create = memory_state_create,
    .state_destroy = memory_state_destroy,
    .store_open = memory_store_open,
    .store_close = memory_store_close,
    .read = memory_read,
    .cancel = memory_cancel,
    .check_key = memory_check_key,
    .verify_object = memory_verify_object,
    .finish_object = memory_finish_object,
    .object_info = memory_object_info,
    .describe_object = NULL,
    .read_inline = memory_read_inline,
    .list = memory_list,
    .put = memory_put,
    .remove = memory_remove,
};
