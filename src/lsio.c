/* SPDX-License-Identifier: MIT */
/*
 * Design: the public functions. Each checks its arguments and where it was called from - in a
 * forked child, inside a callback - and forwards. Nothing is decided here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"
#include "engine/engine.h"

#define STRINGIFY_(x) #x
#define STRINGIFY(x) STRINGIFY_(x)

static _Thread_local struct lsio_error last_error;
static _Thread_local struct lsio_context *last_error_context;

const char *lsio_version(void)
{
    return STRINGIFY(LSIO_VERSION_MAJOR) "." STRINGIFY(LSIO_VERSION_MINOR) "." STRINGIFY(
        LSIO_VERSION_PATCH);
}

static bool in_callback(const struct lsio_context *context)
{
    return callback_current && callback_current->context == context;
}

/* What every call that may block checks. */
static int check_blocking(const struct lsio_context *context)
{
    if (!context)
        return -EINVAL;
    if (!context_is_alive(context)) {
        LSIO_MARK(call_after_fork);
        return LSIO_E_FORKED;
    }
    if (in_callback(context)) {
        LSIO_MARK(call_from_callback);
        return LSIO_E_RECURSIVE;
    }
    return 0;
}

static int check_alive(const struct lsio_context *context)
{
    if (!context)
        return -EINVAL;
    return context_is_alive(context) ? 0 : LSIO_E_FORKED;
}

/* Keeps what a call that has ended met, for lsio_last_error(); nothing if *error is of another
 * status. Only now, for the call's callbacks may have made calls of their own. */
static int last_error_keep(struct lsio_context *context, int status, const struct lsio_error *error)
{
    last_error_context = NULL;
    if (status < 0 && error->status == status) {
        last_error = *error;
        last_error_context = context;
        log_line(&context->log, LSIO_LOG_DEBUG, "%s (%s)", error->text, lsio_status_name(status));
    }
    return status;
}

/* --------------------------------------------------------------------------------- context -- */

int lsio_context_create(const struct lsio_config *config, struct lsio_context **out)
{
    return out ? context_create(config, NULL, out) : -EINVAL;
}

int lsio_context_destroy(struct lsio_context *context)
{
    if (!context)
        return 0;
    if (in_callback(context) && context_is_alive(context))
        return LSIO_E_RECURSIVE;
    if (last_error_context == context)
        last_error_context = NULL;
    return context_destroy(context);
}

uint32_t lsio_context_workers(const struct lsio_context *context)
{
    return context ? context->worker_count : 0;
}

int lsio_memory_register(struct lsio_context *context, void *addr, uint64_t bytes)
{
    int error = check_blocking(context);

    if (error)
        return error;
    return addr && bytes ? context_memory_register(context, addr, bytes) : -EINVAL;
}

int lsio_memory_unregister(struct lsio_context *context, void *addr)
{
    int error = check_blocking(context);

    if (error)
        return error;
    return addr ? context_memory_unregister(context, addr) : -EINVAL;
}

int lsio_context_stats(struct lsio_context *context, struct lsio_stats *out)
{
    int error = check_alive(context);

    if (error)
        return error;
    return out ? context_stats(context, out) : -EINVAL;
}

/* ----------------------------------------------------------------------------------- store -- */

int lsio_store_open(struct lsio_context *context, const char *url,
                    const struct lsio_option *options, size_t option_count, struct lsio_store **out)
{
    const struct driver_ops *driver;
    struct driver_open open = {.context = context,
                               .url = url,
                               .options = options,
                               .option_count = option_count};
    struct lsio_store *store = NULL;
    char why[256] = "", shown[192];
    uint32_t index;
    int error = check_alive(context);

    if (error)
        return error;
    if (!url || !out || (option_count && !options))
        return -EINVAL;
    for (size_t i = 0; i < option_count; i++) {
        if (options[i].key && options[i].value)
            continue;
        log_line(&context->log, LSIO_LOG_ERROR, "store option %zu, \"%s\", has no %s", i,
                 options[i].key ? options[i].key : "", options[i].key ? "value" : "key");
        return -EINVAL;
    }
    driver = context_driver_for(context, url, &open.rest, &index);
    if (!driver) { /* what follows the scheme may hold secrets */
        log_line(&context->log, LSIO_LOG_ERROR, "no driver for a URL of the scheme \"%.*s\"",
                 (int)strcspn(url, ":"), url);
        return LSIO_E_UNSUPPORTED;
    }
    open.driver = driver;
    open.env = &context->workers[0].env;
    open.os = context->os;
    open.worker_count = context->worker_count;
    open.state = context->driver_states[index];
    open.why = why;
    open.why_bytes = sizeof(why);
    error = driver->store_open(&open, &store);
    if (error) {
        if (driver->show_url)
            driver->show_url(url, shown, sizeof(shown));
        else
            snprintf(shown, sizeof(shown), "%s", url);
        log_line(&context->log, LSIO_LOG_ERROR, "the store \"%s\" cannot be opened: %s (%s)", shown,
                 why[0] ? why : lsio_status_text(error), lsio_status_name(error));
        return error;
    }
    pthread_mutex_lock(&context->lock);
    store->ordinal = context->store_count++;
    store->next = context->stores;
    context->stores = store;
    pthread_mutex_unlock(&context->lock);
    *out = store;
    return 0;
}

int lsio_store_close(struct lsio_store *store)
{
    struct lsio_context *context;
    int error;

    if (!store)
        return 0;
    context = store->context;
    error = check_alive(context);
    if (error)
        return error;
    if (atomic_load(&store->users)) {
        LSIO_MARK(store_in_use);
        return -EBUSY;
    }
    pthread_mutex_lock(&context->lock);
    for (struct lsio_store **link = &context->stores; *link; link = &(*link)->next) {
        if (*link == store) {
            *link = store->next;
            break;
        }
    }
    pthread_mutex_unlock(&context->lock);
    store_end(store, false);
    return 0;
}

int lsio_store_credentials(struct lsio_store *store, lsio_credential_fn *ask, void *data)
{
    int error = store && ask ? check_alive(store->context) : -EINVAL;

    if (error)
        return error;
    if (!store->driver->set_credentials)
        return -EOPNOTSUPP;
    if (atomic_load(&store->users))
        return -EBUSY;
    return store->driver->set_credentials(store, ask, data);
}

int lsio_memory_put(struct lsio_store *store, const char *key, const void *bytes, uint64_t length)
{
    int error = store ? check_alive(store->context) : -EINVAL;

    if (error)
        return error;
    if (!key || (length && !bytes))
        return -EINVAL;
    return store->driver->put ? store->driver->put(store, key, bytes, length) : -EOPNOTSUPP;
}

int lsio_memory_remove(struct lsio_store *store, const char *key)
{
    int error = store ? check_alive(store->context) : -EINVAL;

    if (error)
        return error;
    if (!key)
        return -EINVAL;
    return store->driver->remove ? store->driver->remove(store, key) : -EOPNOTSUPP;
}

int lsio_list(struct lsio_store *store, const char *prefix, char delimiter, lsio_list_fn *on_page,
              void *data)
{
    size_t length = prefix ? strlen(prefix) : 0;
    struct lsio_error error = {0};
    int status = store ? check_blocking(store->context) : -EINVAL;

    if (status)
        return status;
    if (!prefix || !on_page || (delimiter && delimiter != '/') ||
        (length && prefix[length - 1] != '/'))
        status = -EINVAL;
    else
        status = store_list(store, prefix, delimiter, on_page, data, &error);
    return last_error_keep(store->context, status, &error);
}

/* ----------------------------------------------------------------------------------- chain -- */

int lsio_chain_create(struct lsio_context *context, const struct lsio_stage *stages, size_t count,
                      struct lsio_chain **out)
{
    struct lsio_chain *chain = NULL;
    int error = out ? check_alive(context) : -EINVAL;

    if (!stages)
        return -EINVAL;
    if (error) {
        chain_destroy_users(stages, count); /* they were taken all the same */
        return error;
    }
    error = chain_create(context, context->worker_count + 1, stages, count, &chain);
    if (error)
        return error;
    pthread_mutex_lock(&context->lock);
    if (context->chain_count == context->chain_room) {
        uint32_t room = context->chain_room ? 2 * context->chain_room : 16;
        struct lsio_chain **grown = realloc(context->chains, room * sizeof(*grown));
        if (grown) {
            context->chains = grown;
            context->chain_room = room;
        } else {
            error = -ENOMEM;
        }
    }
    if (!error)
        context->chains[context->chain_count++] = chain;
    pthread_mutex_unlock(&context->lock);
    if (error) {
        chain_destroy(chain);
        return error;
    }
    *out = chain;
    return 0;
}

void lsio_chain_destroy(struct lsio_chain *chain)
{
    struct lsio_context *context;

    if (!chain)
        return;
    context = chain_context(chain);
    if (!context_is_alive(context))
        return; /* lsio_context_destroy() frees it */
    pthread_mutex_lock(&context->lock);
    for (uint32_t i = 0; i < context->chain_count; i++) {
        if (context->chains[i] == chain) {
            context->chains[i] = context->chains[--context->chain_count];
            break;
        }
    }
    pthread_mutex_unlock(&context->lock);
    chain_destroy(chain);
}

/* ----------------------------------------------------------------------------------- batch -- */

int lsio_read_batch(struct lsio_context *context, const struct lsio_request *request)
{
    int status = check_blocking(context);

    if (status)
        return status;
    if (!request)
        return -EINVAL;
    last_error_context = NULL;
    last_error.status = 0;
    status = read_inline(context, request, &last_error);
    if (status == -EAGAIN)
        status = batch_read(context, request, &last_error);
    if (status < 0 && last_error.status == status)
        last_error_context = context;
    return status;
}

int lsio_read(struct lsio_context *context, struct lsio_store *store, const char *key,
              int64_t offset, uint64_t length, void *dst, uint64_t dst_bytes, uint64_t *bytes)
{
    struct lsio_object object = {.store = store, .key = key, .size = LSIO_SIZE_UNKNOWN};
    struct lsio_chunk chunk = {
        .offset = offset, .length = length, .dst = dst, .dst_bytes = dst_bytes};
    struct lsio_result result = {0};
    struct lsio_request request = {.struct_bytes = sizeof(request),
                                   .objects = &object,
                                   .object_count = 1,
                                   .chunks = &chunk,
                                   .chunk_count = 1,
                                   .results = &result};
    int status = lsio_read_batch(context, &request);

    if (status == 0 && bytes)
        *bytes = result.bytes;
    return status;
}

int lsio_last_error(struct lsio_context *context, struct lsio_error *out)
{
    size_t bytes = out ? out->struct_bytes : 0;
    int error = check_alive(context);

    if (error)
        return error;
    if (bytes < offsetof(struct lsio_error, text) || bytes > 65536)
        return -EINVAL;
    if (last_error_context != context)
        return -ENOENT;
    memcpy(out, &last_error, bytes < sizeof(*out) ? bytes : sizeof(*out));
    out->struct_bytes = bytes;
    return 0;
}

int lsio_submit_batch(struct lsio_context *context, const struct lsio_request *request,
                      struct lsio_batch **out)
{
    struct lsio_error refusal;
    struct lsio_batch *batch;
    int error = check_alive(context);

    if (error)
        return error;
    if (!request || !out)
        return -EINVAL;
    error = batch_create(context, request, !(request->flags & LSIO_BORROW), &refusal, &batch);
    if (error)
        return error;
    *out = batch; /* before the start: callbacks may read it */
    batch_start(batch);
    return 0;
}

int lsio_batch_add(struct lsio_batch *batch, const struct lsio_request *more, uint64_t *first_index)
{
    int error = batch ? check_alive(batch->context) : -EINVAL;

    return error ? error : batch_add(batch, more, first_index);
}

int lsio_batch_wait(struct lsio_batch *batch, uint64_t timeout_ms, int *status)
{
    int error = batch ? check_blocking(batch->context) : -EINVAL;

    if (!error)
        error = record_wait(&batch->record, timeout_ms);
    if (!error && status)
        *status = batch->record.status;
    return error;
}

int lsio_batch_notify(struct lsio_batch *batch, int *fd)
{
    int error = batch && fd ? check_alive(batch->context) : -EINVAL;

    return error ? error : record_notify(&batch->record, fd);
}

int lsio_batch_cancel(struct lsio_batch *batch)
{
    int error = batch ? check_alive(batch->context) : -EINVAL;

    if (!error)
        batch_cancel(batch, -ECANCELED);
    return error;
}

int lsio_batch_progress(struct lsio_batch *batch, struct lsio_progress *out)
{
    struct lsio_progress progress;
    uint64_t remaining;
    int error = batch && out ? check_alive(batch->context) : -EINVAL;

    if (error)
        return error;
    if (out->struct_bytes < 2 * sizeof(uint64_t) || out->struct_bytes > 65536)
        return -EINVAL;
    progress.chunks_failed = atomic_load(&batch->record.failed);
    /* failed before done: both only grow */
    pthread_mutex_lock(&batch->context->lock); /* lsio_batch_add changes both */
    remaining = atomic_load(&batch->record.remaining);
    progress.chunk_count = atomic_load(&batch->record.chunk_count);
    pthread_mutex_unlock(&batch->context->lock);
    progress.struct_bytes = out->struct_bytes;
    progress.chunks_done = progress.chunk_count - remaining;
    progress.bytes_done = atomic_load(&batch->record.bytes);
    memcpy(out, &progress,
           out->struct_bytes < sizeof(progress) ? out->struct_bytes : sizeof(progress));
    return 0;
}

int lsio_batch_error(struct lsio_batch *batch, uint64_t index, struct lsio_error *out)
{
    int error = batch && out ? check_alive(batch->context) : -EINVAL;

    return error ? error : record_error(&batch->record, index, out);
}

uint64_t lsio_batch_status_count(struct lsio_batch *batch, int status)
{
    return batch && context_is_alive(batch->context) ? record_status_count(&batch->record, status)
                                                     : 0;
}

int lsio_batch_object(struct lsio_batch *batch, size_t index, struct lsio_object_info *out)
{
    struct lsio_object_info info = {.struct_bytes = sizeof(info)};
    struct driver_object *object;
    int error = batch && out ? check_alive(batch->context) : -EINVAL;

    if (error)
        return error;
    if (index >= batch->first.view.object_count ||
        out->struct_bytes < offsetof(struct lsio_object_info, mtime_ns) ||
        out->struct_bytes > 65536)
        return -EINVAL;
    object = &batch->first.objects[index];
    error = object->store->driver->object_info(object, &info);
    if (error)
        return error;
    info.struct_bytes = out->struct_bytes;
    memcpy(out, &info, out->struct_bytes < sizeof(info) ? out->struct_bytes : sizeof(info));
    return 0;
}

int lsio_batch_destroy(struct lsio_batch *batch)
{
    int error = batch ? check_alive(batch->context) : 0;

    return !batch || error ? error : batch_destroy(batch);
}

void *lsio_result_take(struct lsio_batch *batch, struct lsio_result *result)
{
    return batch && result ? batch_result_take(batch, result) : NULL;
}

void lsio_result_free(void *data)
{
    free(data);
}

/* --------------------------------------------------------------------------- stat, explain -- */

int lsio_stat_batch(struct lsio_context *context, const struct lsio_object *objects, size_t count,
                    struct lsio_object_info *infos, size_t info_bytes, int *statuses)
{
    struct lsio_error error = {0};
    int status = check_blocking(context);

    if (status)
        return status;
    if (info_bytes == 0)
        info_bytes = sizeof(*infos);
    if (count && (!objects || !infos || info_bytes < sizeof(*infos)))
        status = -EINVAL;
    else
        status = batch_stat(context, objects, count, infos, info_bytes, statuses, &error);
    return last_error_keep(context, status, &error);
}

int lsio_explain_batch(struct lsio_context *context, const struct lsio_request *request, int format,
                       char **out)
{
    int error = check_alive(context);

    if (error)
        return error;
    if (!request || !out || (format != LSIO_EXPLAIN_TEXT && format != LSIO_EXPLAIN_JSON))
        return -EINVAL;
    return explain_request(context, request, format, out);
}
