/* SPDX-License-Identifier: MIT */
/*
 * Design: a tiny request of cached data is done by the thread that asks. Handing it to a worker
 * costs two context switches (measured: about 8 µs), a cached read well under one. All or nothing:
 * every read must succeed without waiting before any chain runs, else the request takes the
 * ordinary way as if nothing had been tried. What is unusual (callbacks, deadlines, allocated
 * results, ranges that need a size, a validator) takes the ordinary way too.
 *
 * One thread at a time holds the caller's scratch and read buffer (caller_lock, tried, never waited
 * for); plain reads into a destination need neither.
 */
#include <stdio.h>
#include <string.h>

#include "base/mark.h"
#include "engine/engine.h"

static bool chunk_is_simple(const struct request_view *view, const struct lsio_chunk *chunk)
{
    const struct lsio_object *object;

    if (chunk->object >= view->object_count || chunk->offset < 0 || chunk->length == LSIO_TO_END ||
        chunk->length == 0 || (chunk->flags & ~(uint32_t)LSIO_CHUNK_MISSING_OK))
        return false;
    object = request_object(view, chunk->object);
    return !object->etag && (object->size == 0 || object->size == LSIO_SIZE_UNKNOWN) &&
           object->store->driver->read_inline;
}

/* True if all chunks may be tried; *buffered: some need the read buffer or run a chain. */
static bool request_is_tiny(const struct lsio_context *context, const struct lsio_request *request,
                            const struct request_view *view, bool *buffered)
{
    uint64_t bytes = 0;

    if (request->on_chunk || request->on_done || request->deadline_ms || view->chunk_count == 0)
        return false;
    *buffered = false;
    for (size_t i = 0; i < view->chunk_count; i++) {
        const struct lsio_chunk *chunk = request_chunk(view, i);
        const struct lsio_chain *chain = chunk->chain ? chunk->chain : view->chain;
        if (!chunk_is_simple(view, chunk) || !chain_is_of(chain, context) ||
            request_object(view, chunk->object)->store->context != context)
            return false;
        if (chunk->length > context->hot_window_bytes - bytes) /* their sum may not fit 64 bits */
            return false;
        bytes += chunk->length;
        if (chain || !chunk->dst)
            *buffered = true;
        else if (chunk->length > chunk->dst_bytes)
            return false;
    }
    return true;
}

/* Where the chunks' bytes go: dst, or the caller's memory. */
static void places_choose(const struct lsio_context *context, const struct request_view *view,
                          uint8_t **at)
{
    uint8_t *memory = context->caller_memory;

    for (size_t i = 0; i < view->chunk_count; i++) {
        const struct lsio_chunk *chunk = request_chunk(view, i);
        const struct lsio_chain *chain = chunk->chain ? chunk->chain : view->chain;

        at[i] = chunk->dst;
        if (!chunk->dst || !chain_reads_into_dst(chain) || chunk->length > chunk->dst_bytes) {
            at[i] = memory;
            memory += chunk->length;
        }
    }
}

/* An object's chunks are read together, for they must be of one state of it. */
static bool read_all(const struct request_view *view, uint8_t **at)
{
    uint64_t done = 0; /* chunks, by bits */

    _Static_assert(ENGINE_INLINE_CHUNKS_MAX <= 64, "a bit for each chunk");
    for (size_t i = 0; i < view->chunk_count; i++) {
        uint32_t index = request_chunk(view, i)->object;
        const struct lsio_object *object = request_object(view, index);
        struct driver_range ranges[ENGINE_INLINE_CHUNKS_MAX];
        size_t count = 0;

        for (size_t j = i; j < view->chunk_count; j++) {
            const struct lsio_chunk *chunk = request_chunk(view, j);
            if (chunk->object != index || (done >> j & 1))
                continue;
            done |= UINT64_C(1) << j;
            ranges[count++] = (struct driver_range){(uint64_t)chunk->offset, chunk->length, at[j]};
        }
        if (count && object->store->driver->read_inline(object->store, object->key, ranges, count))
            return false;
    }
    return true;
}

static void error_keep(struct lsio_error *error, const struct request_view *view, size_t index,
                       const struct chain_outcome *outcome)
{
    const struct lsio_chunk *chunk = request_chunk(view, index);
    const struct lsio_object *object = request_object(view, chunk->object);

    memset(error, 0, sizeof(*error));
    error->struct_bytes = sizeof(*error);
    error->index = index;
    error->status = outcome->status;
    error->code = outcome->code;
    error->attempts = 1;
    error->offset = (uint64_t)chunk->offset;
    error->length = chunk->length;
    snprintf(error->url, sizeof(error->url), "%s/%s", object->store->url, object->key);
    snprintf(error->text, sizeof(error->text), "%s: chunk %zu, offset %lld of \"%s\"",
             outcome->text[0] ? outcome->text : lsio_status_text(outcome->status), index,
             (long long)chunk->offset, object->key);
}

static int run_chains(struct lsio_context *context, const struct request_view *view, uint8_t **at,
                      struct lsio_error *error)
{
    int first = 0;

    for (size_t i = 0; i < view->chunk_count; i++) {
        const struct lsio_chunk *chunk = request_chunk(view, i);
        const struct lsio_chain *chain = chunk->chain ? chunk->chain : view->chain;
        struct chain_job job = {.chunk = chunk, .index = i, .in = at[i], .in_bytes = chunk->length};
        struct callback_frame frame = {context, NULL};
        struct callback_frame *outer = callback_current; /* of another context */
        struct chain_outcome outcome;

        outcome.status = 0;
        outcome.flags = 0;
        outcome.bytes = chunk->length;
        outcome.data = chunk->dst;
        if (chain || at[i] != chunk->dst) {
            callback_current = &frame;
            chain_run(&context->caller_chain, chain, &job, &outcome);
            callback_current = outer;
        }
        if (view->results)
            *request_result(view, i) = (struct lsio_result){.status = outcome.status,
                                                            .flags = outcome.flags,
                                                            .bytes = outcome.bytes,
                                                            .data = outcome.data};
        if (outcome.status < 0)
            atomic_fetch_add_explicit(&context->caller_stats.chunks_failed, 1,
                                      memory_order_relaxed);
        if (outcome.status < 0 && !first) {
            LSIO_MARK(inline_chain_failed);
            first = outcome.status;
            error_keep(error, view, i, &outcome);
        }
    }
    return first;
}

static void count(struct worker_stats *stats, const struct request_view *view)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < view->chunk_count; i++)
        bytes += request_chunk(view, i)->length;
    /* several callers may be here at once */
    atomic_fetch_add_explicit(&stats->operations_inline, view->chunk_count, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->operations, view->chunk_count, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->chunks_done, view->chunk_count, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->bytes_asked, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->bytes_read, bytes, memory_order_relaxed);
}

int read_inline(struct lsio_context *context, const struct lsio_request *request,
                struct lsio_error *error)
{
    uint8_t *at[ENGINE_INLINE_CHUNKS_MAX];
    struct request_view view;
    bool buffered;
    int status = -EAGAIN;

    if (request->chunk_count > ENGINE_INLINE_CHUNKS_MAX ||
        request_view_init(&view, request, error) != 0 ||
        !request_is_tiny(context, request, &view, &buffered))
        return -EAGAIN;
    if (buffered && pthread_mutex_trylock(&context->caller_lock) != 0)
        return -EAGAIN;
    places_choose(context, &view, at);
    if (read_all(&view, at)) {
        status = run_chains(context, &view, at, error);
        count(&context->caller_stats, &view);
    }
    if (buffered)
        pthread_mutex_unlock(&context->caller_lock);
    return status;
}
