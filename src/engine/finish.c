/* SPDX-License-Identifier: MIT */
/*
 * Design: from a completed read to results. Runs on whichever worker took the operation off a
 * deque: its owner or a thief. Each chunk of the operation is reported exactly once, by
 * chunk_deliver() or chunk_fail(), or is handed on to new operations: a join that failed is read
 * again un-joined, so that one bad range cannot spoil its neighbours, and a probe's chunks are
 * planned again with the size.
 *
 * Completions are counted in the worker's fold and given to the batch in runs. Until then the batch
 * cannot be done, so whatever this file touches is alive; after fold_flush() nothing of the batch
 * may be touched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"
#include "engine/engine.h"
#include "plan/parts.h"

_Thread_local struct callback_frame *callback_current;

/* -------------------------------------------------------------------------------- counting -- */

void fold_flush(struct worker *worker)
{
    struct lsio_batch *batch = worker->fold.batch;
    struct fold fold = worker->fold;

    if (!batch)
        return;
    worker->fold = (struct fold){0};
    worker_publish_stats(worker);
    stat_add(&worker->stats.chunks_done, fold.done);
    stat_add(&worker->stats.chunks_failed, fold.failed);
    atomic_fetch_add_explicit(&batch->record.bytes, fold.bytes, memory_order_relaxed);
    if (fold.failed)
        atomic_fetch_add_explicit(&batch->record.failed, fold.failed, memory_order_relaxed);
    if (atomic_fetch_sub_explicit(&batch->record.remaining, fold.done, memory_order_acq_rel) ==
        fold.done)
        batch_complete(batch);
}

static void fold_add(struct worker *worker, struct lsio_batch *batch, bool failed, uint64_t bytes)
{
    if (worker->fold.batch != batch) {
        fold_flush(worker);
        worker->fold.batch = batch;
    }
    worker->fold.done++;
    worker->fold.failed += failed;
    worker->fold.bytes += bytes;
}

/* A table with a slot per chunk, made now if this is its first use; NULL: no memory. */
static void *table_get(_Atomic(void *) *place, const struct segment *segment, size_t slot_bytes)
{
    void *table = atomic_load_explicit(place, memory_order_acquire), *fresh;

    if (table)
        return table;
    fresh = calloc(segment->view.chunk_count, slot_bytes);
    if (!fresh || atomic_compare_exchange_strong(place, &table, fresh))
        return fresh;
    free(fresh);
    return table;
}

/* The slot is the batch's until taken; without memory for the table the data is freed with the
 * chunk failing, so it cannot leak. */
static bool allocated_keep(struct segment *segment, uint64_t chunk, void *data)
{
    _Atomic(void *) *table = table_get(&segment->allocated, segment, sizeof(*table));

    if (table)
        atomic_store_explicit(&table[chunk], data, memory_order_relaxed);
    return table != NULL;
}

/* Remembers that nothing was delivered of the chunk. */
static void ended_keep(struct segment *segment, uint64_t chunk)
{
    bool *table;

    if (segment->view.results)
        return;
    table = table_get(&segment->ended, segment, sizeof(*table));
    if (table)
        table[chunk] = true;
}

static bool chunk_has_ended(const struct segment *segment, uint64_t chunk)
{
    const bool *table = atomic_load(&segment->ended);
    const struct lsio_result *result;

    if (!segment->view.results)
        return table && table[chunk];
    result = request_result(&segment->view, chunk);
    return result->status < 0 || (result->flags & LSIO_RESULT_MISSING);
}

/* Result, callback, count: the one place where a chunk ends. */
static void chunk_report(struct worker *worker, struct segment *segment, uint64_t chunk,
                         const struct lsio_result *result, bool failed)
{
    struct lsio_batch *batch = segment->batch;

    if (segment->view.results)
        *request_result(&segment->view, chunk) = *result;
    if (batch->on_chunk) {
        struct callback_frame frame = {batch->context, batch};
        struct callback_frame *outer = callback_current;
        callback_current = &frame;
        batch->on_chunk(batch, segment->first_index + chunk, result, batch->data);
        callback_current = outer;
    }
    fold_add(worker, batch, failed, result->bytes);
    if (failed && (batch->flags & LSIO_FAIL_FAST))
        batch_cancel(batch, -ECANCELED);
    if (worker->fold.done >= ENGINE_RUN_MAX)
        fold_flush(worker);
}

/* -------------------------------------------------------------------------------- failures -- */

void chunk_describe(const struct segment *segment, uint64_t chunk_index, const char *text,
                    struct lsio_error *error)
{
    const struct lsio_chunk *chunk = request_chunk(&segment->view, chunk_index);
    const struct driver_object *object =
        chunk->object < segment->view.object_count ? &segment->objects[chunk->object] : NULL;
    uint64_t offset, length;

    error->struct_bytes = sizeof(*error);
    error->index = segment->first_index + chunk_index;
    error->offset = (uint64_t)chunk->offset;
    error->length = chunk->length;
    if (object && !plan_chunk_range(chunk, atomic_load(&object->plan.size), &offset, &length)) {
        error->offset = offset;
        error->length = length;
    }
    if (object)
        snprintf(error->url, sizeof(error->url), "%s/%s", object->store->url, object->key);
    if (!text || !*text)
        text = lsio_status_text(error->status);
    if (object && segment->stat_only)
        snprintf(error->text, sizeof(error->text), "%s: object %llu, \"%s\"", text,
                 (unsigned long long)error->index, object->key);
    else if (object)
        snprintf(error->text, sizeof(error->text), "%s: chunk %llu, offset %lld of \"%s\"", text,
                 (unsigned long long)error->index, (long long)chunk->offset, object->key);
    else
        snprintf(error->text, sizeof(error->text), "%s: chunk %llu names object %u of %zu", text,
                 (unsigned long long)error->index, chunk->object, segment->view.object_count);
}

static void fail_in_detail(struct worker *worker, struct segment *segment, uint64_t chunk_index,
                           int32_t status, int32_t code, const char *text,
                           const struct driver_detail *detail)
{
    const struct lsio_chunk *chunk = request_chunk(&segment->view, chunk_index);
    struct lsio_result result = {.status = status};
    struct lsio_error error;

    ended_keep(segment, chunk_index);
    if (status == -ENOENT && (chunk->flags & LSIO_CHUNK_MISSING_OK)) {
        result.status = 0;
        LSIO_MARK(missing_accepted);
        result.flags = LSIO_RESULT_MISSING;
        chunk_report(worker, segment, chunk_index, &result, false);
        return;
    }
    memset(&error, 0, sizeof(error));
    error.status = status;
    error.code = code ? code : status_errno(status);
    error.attempts = detail ? detail->attempts : 1;
    if (detail)
        memcpy(error.request_id, detail->request_id, sizeof(error.request_id));
    chunk_describe(segment, chunk_index, detail && detail->text[0] ? detail->text : text, &error);
    record_failure(&segment->batch->record, &error, true);
    chunk_report(worker, segment, chunk_index, &result, true);
}

void chunk_fail(struct worker *worker, struct segment *segment, uint64_t chunk_index,
                int32_t status, int32_t code, const char *text)
{
    fail_in_detail(worker, segment, chunk_index, status, code, text, NULL);
}

/* The chunk fails as its read did. */
static void chunk_fail_read(struct worker *worker, struct segment *segment, uint64_t chunk_index,
                            const struct driver_read *read)
{
    fail_in_detail(worker, segment, chunk_index, read->status, read->code, read->text,
                   read->detail);
}

void chunk_revoke(struct segment *segment, uint64_t chunk_index, int32_t status, const char *text)
{
    struct record *record = &segment->batch->record;
    struct lsio_error error;

    if (chunk_has_ended(segment, chunk_index))
        return; /* it was counted */
    LSIO_MARK(chunk_revoked);
    memset(&error, 0, sizeof(error));
    error.status = status;
    error.attempts = 1;
    chunk_describe(segment, chunk_index, text, &error);
    record_failure(record, &error, true);
    atomic_fetch_add(&record->failed, 1);
    if (segment->view.results) /* allocated data is freed with the batch */
        *request_result(&segment->view, chunk_index) = (struct lsio_result){.status = status};
}

/* ------------------------------------------------------------------------------ deliveries -- */

/* 0, or the status with which a chunk ends instead of its chain being run. A batch may have been
 * canceled, or its time be over: chains may be slow, and many may be waiting for their turn. A
 * chunk's chain is looked at only here: a walk through all chunks would delay the first read. */
static int32_t chain_forbidden(const struct worker *worker, const struct lsio_batch *batch,
                               const struct lsio_chain *chain, const char **why)
{
    if (!chain_is_of(chain, worker->context)) {
        LSIO_MARK(chunk_chain_refused);
        *why = "the chunk's chain is of another context";
        return -EINVAL;
    }
    if (atomic_load_explicit(&worker->context->next_deadline_ns, memory_order_relaxed) !=
        UINT64_MAX)
        context_check_deadlines(worker->context, worker->env.os->now_ns());
    return atomic_load_explicit(&batch->record.cancel_status, memory_order_relaxed);
}

void chunk_deliver(struct worker *worker, struct segment *segment, uint64_t chunk_index,
                   void *bytes, uint64_t length, void *allocated)
{
    const struct lsio_chunk *chunk = request_chunk(&segment->view, chunk_index);
    const struct lsio_chain *chain = length || chunk->length ? chunk_chain(segment, chunk) : NULL;
    struct lsio_result result;
    struct chain_outcome outcome;
    struct lsio_chunk into;
    const char *why = NULL;
    int32_t status;

    stat_add(&worker->stats.bytes_asked, length);
    if (chain && (status = chain_forbidden(worker, segment->batch, chain, &why)) != 0) {
        LSIO_MARK(chain_not_run);
        free(allocated);
        chunk_fail(worker, segment, chunk_index, status, 0, why);
        return;
    }
    if (!chain && (bytes == chunk->dst || !chunk->dst) && !(chunk->flags & LSIO_CHUNK_ALLOC)) {
        result = (struct lsio_result){.bytes = length, .data = chunk->dst};
        chunk_report(worker, segment, chunk_index, &result, false);
        return;
    }
    if (allocated) { /* read straight into memory of the library: from here on it is the dst */
        into = *chunk;
        into.flags &= ~(uint32_t)LSIO_CHUNK_ALLOC;
        into.dst = allocated;
        into.dst_bytes = length;
        chunk = &into;
    }
    {
        struct chain_job job = {.chunk = chunk,
                                .index = segment->first_index + chunk_index,
                                .batch = segment->batch,
                                .in = bytes,
                                .in_bytes = length};
        struct callback_frame frame = {worker->context, segment->batch};
        struct callback_frame *outer = callback_current;
        if (worker->fold.batch && worker->fold.batch != segment->batch)
            fold_flush(worker); /* another batch's end does not wait for this chain */
        callback_current = &frame;
        chain_run(&worker->chain, chain, &job, &outcome);
        callback_current = outer;
    }
    if (outcome.status < 0) {
        LSIO_MARK(chain_failed);
        free(allocated);
        chunk_fail(worker, segment, chunk_index, outcome.status, outcome.code, outcome.text);
        return;
    }
    result.status = 0;
    result.flags = outcome.flags | (allocated ? LSIO_RESULT_ALLOCATED : 0);
    result.bytes = outcome.bytes;
    result.data = outcome.data;
    if ((result.flags & LSIO_RESULT_ALLOCATED) &&
        !allocated_keep(segment, chunk_index, result.data)) {
        LSIO_MARK(result_not_kept);
        free(result.data);
        chunk_fail(worker, segment, chunk_index, -ENOMEM, 0, NULL);
        return;
    }
    chunk_report(worker, segment, chunk_index, &result, false);
}

/* ---------------------------------------------------------------------------------- groups -- */

/* What the read met may be one member's only, and nobody will find out whose. */
static void read_end_as(struct driver_read *read, int32_t status)
{
    free(read->detail);
    read->detail = NULL;
    read->status = status;
    read->code = 0;
    read->text = NULL;
}

static void members_fail(struct worker *worker, struct operation *operation)
{
    const struct driver_read *read = &operation->read;

    for (uint32_t i = operation->delivered; i < operation->plan->count; i++)
        chunk_fail_read(worker, operation->segment,
                        plan_chunk_of(&operation->slab->plan, operation->plan->first + i), read);
}

/* Reads the members that are left again, each by itself. The operation's buffer is given back
 * first. */
static void unjoin(struct worker *worker, struct operation *operation)
{
    uint32_t first = operation->delivered, count = operation->plan->count - first;
    struct slab *slab = slab_get(worker->context, count);

    if (!slab) {
        LSIO_MARK(unjoin_no_memory);
        read_end_as(&operation->read, -ENOMEM);
        members_fail(worker, operation);
        operation_release(worker, operation);
        return;
    }
    slab->segment = operation->segment;
    slab->urgent = true;
    slab->plan.sorted = true;
    slab->plan.chunk_count = slab->plan.op_count = count;
    slab->plan.bytes_read = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t index, offset, length;
        operation_member(operation, first + i, &index, &offset, &length);
        slab->plan.order[i] = (uint32_t)index;
        slab->plan.ops[i] = (struct plan_op){.first = i,
                                             .count = 1,
                                             .span_bytes = (uint32_t)length,
                                             .kind = PLAN_READ};
        slab->plan.bytes_read += length;
    }
    worker->env.retries++;
    operation_release(worker, operation);
    batch_publish(slab->segment->batch, slab);
}

static void group_finish(struct worker *worker, struct operation *operation)
{
    const struct driver_read *read = &operation->read;
    uint64_t useful = 0, end = read->offset;
    int32_t status = read->status;
    int32_t canceled = atomic_load(&operation->segment->batch->record.cancel_status);

    if (status < 0 && status != -ENOENT && status != -EACCES && canceled)
        read_end_as(&operation->read, canceled);
    if (status == -ENOENT || status == -EACCES || (status < 0 && canceled)) {
        LSIO_MARK(group_fails_as_one);
        members_fail(worker, operation);
        operation_release(worker, operation);
        return;
    }
    if (status < 0) {
        LSIO_MARK(group_read_one_by_one);
        unjoin(worker, operation);
        return;
    }
    for (uint32_t i = 0; i < operation->plan->count; i++) {
        uint64_t index, offset, length;
        const struct lsio_chunk *chunk = operation_member(operation, i, &index, &offset, &length);
        uint8_t *bytes = operation->kind == PLAN_VECTOR ? chunk->dst
                                                        : read->addr + (offset - read->offset);
        if (offset + length > end) {
            useful += offset + length - (offset > end ? offset : end);
            end = offset + length;
        }
        if (i + 1 == operation->plan->count) /* before the batch can end */
            stat_add(&worker->stats.bytes_wasted, read->bytes > useful ? read->bytes - useful : 0);
        if (i >= operation->delivered)
            chunk_deliver(worker, operation->segment, index, bytes, length, NULL);
    }
    operation_release(worker, operation);
}

/* ----------------------------------------------------------------------------------- probe -- */

/* A probe for one chunk goes on with that chunk, in the same operation, as soon as the worker's
 * target allows: the common case of whole files. False: plan it in a slab. */
static bool probe_continue(struct worker *worker, struct operation *operation)
{
    struct segment *segment = operation->segment;
    const struct lsio_chunk *chunk;
    uint64_t index, offset, length;

    if (operation->plan->count != 1 || segment->batch->record.cancel_status)
        return false;
    chunk = operation_member(operation, 0, &index, &offset, &length);
    if (plan_chunk_range(chunk, atomic_load(&operation->read.object->plan.size), &offset,
                         &length) ||
        length == 0 || length > plan_read_bytes_max(operation->read.object->plan.profile) ||
        operation->home != worker ||
        store_is_counted(worker->context, operation->read.object->store))
        return false;
    if (chunk_starts_read(worker, segment, chunk, length))
        return false;
    slab_put(worker->context, operation->slab);
    operation->slab = NULL;
    operation->kind = PLAN_READ;
    operation->read.kind = DRIVER_READ;
    operation->chunk = index;
    operation->free_next = NULL;
    *(worker->resumed ? &worker->resumed_last->free_next : &worker->resumed) = operation;
    worker->resumed_last = operation;
    return true;
}

/* True if the probe has brought all of its chunk, which is delivered then. */
static bool probe_deliver(struct worker *worker, struct operation *operation)
{
    struct driver_read *read = &operation->read;
    uint64_t index, offset, length;
    const struct lsio_chunk *chunk = operation_member(operation, 0, &index, &offset, &length);

    if (read->bytes == 0)
        return false;
    if (plan_chunk_range(chunk, atomic_load(&read->object->plan.size), &offset, &length) ||
        length > read->bytes_done) {
        stat_add(&worker->stats.bytes_wasted, read->bytes_done);
        return false;
    }
    chunk_deliver(worker, operation->segment, index, read->addr, length, NULL);
    operation_release(worker, operation);
    return true;
}

static void probe_finish(struct worker *worker, struct operation *operation)
{
    struct segment *segment = operation->segment;
    struct planner *planner;
    struct slab *slab;

    if (operation->read.status < 0) {
        members_fail(worker, operation);
        operation_release(worker, operation);
        return;
    }
    if (segment->stat_only) {
        for (uint32_t i = 0; i < operation->plan->count; i++) {
            struct lsio_result result = {0};
            chunk_report(worker, segment,
                         plan_chunk_of(&operation->slab->plan, operation->plan->first + i), &result,
                         false);
        }
        operation_release(worker, operation);
        return;
    }
    if (probe_deliver(worker, operation) ||
        (operation->read.bytes == 0 && probe_continue(worker, operation)))
        return;
    planner = worker_planner(worker);
    slab = planner ? slab_get(worker->context, operation->plan->count) : NULL;
    if (!slab) {
        LSIO_MARK(probe_no_memory);
        operation->read.status = -ENOMEM;
        members_fail(worker, operation);
        operation_release(worker, operation);
        return;
    }
    slab->segment = segment;
    slab->urgent = true;
    plan_resume(planner, &segment->input, &operation->slab->plan, operation->plan, &slab->plan);
    operation_release(worker, operation);
    batch_publish(segment->batch, slab);
}

/* ---------------------------------------------------------------------------- single reads -- */

static void read_finish(struct worker *worker, struct operation *operation)
{
    const struct driver_read *read = &operation->read;

    if (read->status < 0) {
        free(operation->allocated);
        chunk_fail_read(worker, operation->segment, operation->chunk, read);
    } else {
        chunk_deliver(worker, operation->segment, operation->chunk, read->addr, read->bytes,
                      operation->allocated);
    }
    operation_release(worker, operation);
}

/* One part less to come; after the last one the chain runs over the whole chunk. */
static void part_count(struct worker *worker, struct split *split)
{
    const struct lsio_chunk *chunk = request_chunk(&split->segment->view, split->chunk);
    struct driver_object *object = &split->segment->objects[chunk->object];
    int32_t status;

    if (atomic_fetch_sub_explicit(&split->remaining, 1, memory_order_acq_rel) != 1)
        return;
    status = atomic_load(&split->status);
    if (status == 0 && object->store->driver->verify_object)
        status = object->store->driver->verify_object(object);
    if (status < 0) {
        LSIO_MARK(split_failed);
        free(split->allocated);
        fail_in_detail(worker, split->segment, split->chunk, status, atomic_load(&split->code),
                       NULL, split->detail);
    } else {
        chunk_deliver(worker, split->segment, split->chunk, split->addr, split->bytes,
                      split->allocated);
    }
    free(split->detail);
    if (split->buffer)
        pool_give(worker, split->buffer, split->buffer_bytes);
}

static void part_finish(struct worker *worker, struct operation *operation)
{
    struct split *split = operation->split;
    struct driver_read *read = &operation->read;
    int32_t none = 0;

    if (read->status < 0 && atomic_compare_exchange_strong(&split->status, &none, read->status)) {
        atomic_store(&split->code, read->code);
        split->detail = read->detail; /* before the count: whoever ends the chunk sees it */
        read->detail = NULL;
    }
    part_count(worker, split);
    operation_release(worker, operation);
}

void split_part_cancel(struct worker *worker, struct split *split, int32_t status)
{
    int32_t none = 0;

    atomic_compare_exchange_strong(&split->status, &none, status);
    part_count(worker, split);
}

void operation_finish(struct worker *worker, struct operation *operation)
{
    int32_t canceled = atomic_load_explicit(&operation->segment->batch->record.cancel_status,
                                            memory_order_relaxed);

    if (canceled && operation->read.status == -ECANCELED)
        operation->read.status = canceled; /* a deadline cancels, too */
    stat_add(&worker->stats.bytes_read, operation->read.bytes_done);
    switch (operation->kind) {
    case PLAN_READ:
        read_finish(worker, operation);
        break;
    case PLAN_SPLIT:
        part_finish(worker, operation);
        break;
    case PLAN_PROBE:
        probe_finish(worker, operation);
        break;
    default:
        group_finish(worker, operation);
        break;
    }
}
