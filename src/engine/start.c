/* SPDX-License-Identifier: MIT */
/*
 * Design: from a planned operation to a read in the driver's hands.
 *
 * A read reserves all the memory it needs before it starts, or does not start: nobody waits for
 * memory while holding some, so the budget cannot deadlock. Memory comes from the worker's arena
 * (registered with its ring) when a few such reads fit it, and then only from there: on a store
 * that answers quickly waiting for a hot registered buffer is cheaper than taking a cold one.
 * Larger reads, and those of slow stores, use the shared pool.
 *
 * A pool buffer that O_DIRECT may fill begins so that its bytes are congruent to the file offset
 * modulo 4096 and has room for whole pages at both ends.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"
#include "engine/engine.h"
#include "plan/parts.h"

#define DIRECT_ALIGN 4096u
#define PREFETCH_CHUNKS 8u
#define QUICK_STORE_NS 1000000u /* a store that answers faster is worth waiting for */

struct operation *operation_get(struct worker *worker)
{
    struct operation *operation = worker->free_operations;

    if (operation) {
        worker->free_operations = operation->free_next;
        operation->slab = NULL;
        operation->buffer = NULL;
        operation->buffer_bytes = 0;
        operation->allocated = NULL;
        operation->iov = NULL;
        operation->cancel_asked = false;
        operation->delivered = 0;
        operation->read.iov = NULL;
        operation->read.iov_count = 0;
        operation->read.buffer = -1;
        operation->read.kind = DRIVER_READ;
        operation->read.padded = false;
        operation->read.part = false;
        operation->read.tell_bytes = 0;
        operation->read.text = NULL;
        operation->read.detail = NULL;
    }
    return operation;
}

void pool_give(struct worker *worker, void *addr, uint64_t bytes)
{
    struct pool *pool = &worker->context->pool;

    pool_put(pool, addr, bytes);
    starved_wake(worker->context);
}

void starved_wake(struct lsio_context *context)
{
    if (atomic_load_explicit(&context->pool.waiters, memory_order_seq_cst)) {
        atomic_store(&context->pool.waiters, 0);
        atomic_fetch_add(&context->starved_epoch, 1);
        context_wake_all(context);
    }
}

static void operation_home(struct driver_env *env, struct queue_node *node)
{
    struct worker *worker = container_of(env, struct worker, env);
    struct operation *operation = container_of(node, struct operation, home_node);

    if (operation->buffer)
        arena_put(&worker->arena, operation->buffer, operation->buffer_bytes);
    if (operation->iov)
        worker->iov_free |=
            UINT64_C(1) << ((operation->iov - worker->iov_stock) / (2 * PLAN_VECTOR_MAX));
    worker->window_bytes -= operation->read.bytes;
    operation->free_next = worker->free_operations;
    worker->free_operations = operation;
}

void operation_release(struct worker *worker, struct operation *operation)
{
    if (operation->slab) {
        slab_put(worker->context, operation->slab);
        operation->slab = NULL;
    }
    if (operation->buffer && !operation->in_arena) {
        pool_give(worker, operation->buffer, operation->buffer_bytes);
        operation->buffer = NULL;
    }
    free(operation->read.detail);
    operation->read.detail = NULL;
    if (operation->home == worker) {
        operation_home(&worker->env, &operation->home_node);
        return;
    }
    operation->home_node.run = operation_home;
    operation->home->env.post(&operation->home->env, &operation->home_node);
}

/* ---------------------------------------------------------------------------------- memory -- */

/* Across a network an answer that begins soon may take long: there, what counts is how many come
 * together. */
static bool store_is_quick(const struct plan_profile *profile)
{
    return !profile->remote && profile->request_latency_ns < QUICK_STORE_NS;
}

/* Registration may have left this worker with a smaller arena than others have. */
static uint64_t arena_bytes(const struct worker *worker)
{
    return (uint64_t)worker->arena.pages * POOL_PAGE;
}

/* Pool memory for `bytes` bytes that will be read from `offset`; the operation's addr is set. */
static enum start_result buffer_reserve(struct worker *worker, struct operation *operation,
                                        uint64_t offset, uint64_t bytes)
{
    const struct plan_profile *profile = operation->read.object->plan.profile;
    uint64_t head = profile->direct == PLAN_DIRECT_OFF ? 0 : offset % DIRECT_ALIGN;
    uint64_t room = (head + bytes + DIRECT_ALIGN - 1) / DIRECT_ALIGN * DIRECT_ALIGN;
    void *buffer = arena_get(&worker->arena, room);
    bool hopeless;

    operation->in_arena = buffer != NULL;
    if (!buffer) {
        if (room * 4 <= arena_bytes(worker) && store_is_quick(profile))
            return START_NO_MEMORY;
        buffer = pool_get(&worker->context->pool, room, &hopeless);
        if (!buffer)
            return hopeless ? START_FAILED : START_NO_MEMORY;
    }
    operation->buffer = buffer;
    operation->buffer_bytes = room;
    operation->read.addr = (uint8_t *)buffer + head;
    operation->read.padded = profile->direct != PLAN_DIRECT_OFF;
    operation->read.buffer = operation->in_arena && worker->arena_registered ? 0 : -1;
    return START_OK;
}

static bool can_ever_fit(const struct worker *worker, uint64_t bytes)
{
    uint64_t room = bytes + 2 * DIRECT_ALIGN;

    return room <= arena_bytes(worker) || pool_charge(room) <= worker->context->pool.bytes_max;
}

static int16_t user_buffer_index(const struct worker *worker, const void *addr, uint64_t bytes)
{
    for (uint32_t i = 1; i < worker->user_buffer_count; i++) {
        const struct user_buffer *buffer = &worker->user_buffers[i];
        uintptr_t begin = (uintptr_t)addr - (uintptr_t)buffer->addr;
        if (begin < buffer->bytes && bytes <= buffer->bytes - begin)
            return (int16_t)i;
    }
    return -1;
}

/* ---------------------------------------------------------------------------------- submit -- */

static void operation_submit(struct worker *worker, struct operation *operation, uint64_t offset,
                             uint64_t bytes)
{
    struct driver_read *read = &operation->read;

    read->offset = offset;
    read->bytes = bytes;
    read->env = &worker->env;
    operation->active = true;
    operation->flush_sequence = worker->flush_sequence;
    worker->inflight++;
    worker->unflushed++;
    worker->window_bytes += bytes;
    operation->started_ns = (++worker->reads_started & 15) == 0 ? worker->env.os->now_ns() : 0;
    if (operation->kind == PLAN_SPLIT) { /* other operations looked before they took memory */
        int status = atomic_load_explicit(&operation->segment->batch->record.cancel_status,
                                          memory_order_relaxed);
        if (status) {
            LSIO_MARK(split_part_canceled);
            read->status = status;
            read->code = 0;
            read->bytes_done = 0;
            worker_complete(&worker->env, read);
            return;
        }
    }
    stat_add(&worker->stats.operations, 1);
    read->object->store->driver->read(&worker->env, read);
}

static void operation_drop(struct worker *worker, struct operation *operation)
{
    struct lsio_store *store = operation->read.object->store;

    if (store_is_counted(worker->context, store))
        atomic_fetch_sub(&store->inflight, 1);
    operation->read.bytes = 0;
    operation_release(worker, operation);
}

/* Where the store's limit cannot be shared out evenly among the workers it is counted instead. */
static bool store_admits(struct worker *worker, struct lsio_store *store)
{
    uint32_t now = atomic_load(&store->inflight);

    if (!store_is_counted(worker->context, store))
        return true;
    while (now < store->profile.inflight_max)
        if (atomic_compare_exchange_weak(&store->inflight, &now, now + 1))
            return true;
    LSIO_MARK(store_limit_reached);
    return false;
}

static struct operation *operation_for(struct worker *worker, struct slab *slab, uint8_t kind,
                                       const struct lsio_chunk *chunk)
{
    struct driver_object *object = &slab->segment->objects[chunk->object];
    struct operation *operation;

    if (!store_admits(worker, object->store))
        return NULL;
    operation = operation_get(worker);
    if (!operation) {
        if (store_is_counted(worker->context, object->store))
            atomic_fetch_sub(&object->store->inflight, 1);
        return NULL;
    }
    operation->segment = slab->segment;
    operation->kind = kind;
    operation->read.object = object;
    return operation;
}

static void operation_keep_slab(struct operation *operation, struct slab *slab,
                                const struct plan_op *plan)
{
    atomic_fetch_add_explicit(&slab->refs, 1, memory_order_relaxed);
    operation->slab = slab;
    operation->plan = plan;
}

enum start_result operation_read_chunk(struct worker *worker, struct operation *operation,
                                       const struct lsio_chunk *chunk, uint64_t offset,
                                       uint64_t length)
{
    struct segment *segment = operation->segment;
    bool raw = chain_reads_into_dst(chunk_chain(segment, chunk));
    enum start_result result = START_OK;

    if (raw && chunk->dst) {
        operation->read.addr = chunk->dst;
        if (worker->user_buffer_count)
            operation->read.buffer = user_buffer_index(worker, chunk->dst, length);
    } else if (raw && (chunk->flags & LSIO_CHUNK_ALLOC)) {
        size_t room = (size_t)((length + DIRECT_ALIGN - 1) / DIRECT_ALIGN * DIRECT_ALIGN);
        operation->allocated = aligned_alloc(DIRECT_ALIGN, room);
        if (!operation->allocated)
            return START_FAILED;
        operation->read.addr = operation->allocated;
    } else {
        result = buffer_reserve(worker, operation, offset, length);
    }
    if (result == START_OK)
        operation_submit(worker, operation, offset, length);
    return result;
}

/* ---------------------------------------------------------------------------- one per kind -- */

int object_status(struct driver_object *object)
{
    int status = atomic_load_explicit(&object->changed, memory_order_relaxed);
    const struct lsio_store *store = object->store;

    if (status || atomic_load_explicit(&object->key_checked, memory_order_relaxed))
        return status;
    if (store->driver->check_key && store->driver->check_key(store, object->key) != 0) {
        atomic_store(&object->changed, -EINVAL);
        return -EINVAL;
    }
    atomic_store_explicit(&object->key_checked, true, memory_order_relaxed);
    return 0;
}

/* 0, or the status with which the chunk ends before any read. */
static int chunk_check(const struct worker *worker, const struct segment *segment,
                       const struct lsio_chunk *chunk, uint64_t length, const char **text)
{
    bool raw = chain_reads_into_dst(chunk_chain(segment, chunk));
    int status =
        object_status(&segment->objects[chunk->object]);

    if (status) {
        LSIO_MARK(object_cannot_be_read);
        *text = status == -EINVAL ? "the key is not one that this store can hold"
                                  : "the object was seen to change";
        return status;
    }
    if (raw && chunk->dst && length > chunk->dst_bytes) {
        LSIO_MARK(range_beyond_dst);
        *text = "the range is longer than the destination";
        return LSIO_E_NO_SPACE;
    }
    if (!(raw && (chunk->dst || (chunk->flags & LSIO_CHUNK_ALLOC))) &&
        !can_ever_fit(worker, length)) {
        LSIO_MARK(range_beyond_budget);
        *text = "the range is larger than the memory budget";
        return LSIO_E_BUDGET;
    }
    return 0;
}

int chunk_starts_read(const struct worker *worker, const struct segment *segment,
                      const struct lsio_chunk *chunk, uint64_t length)
{
    const char *text;

    return chunk_check(worker, segment, chunk, length, &text);
}

/* A table of millions of chunks comes from memory, and each read in between pushes it out of the
 * nearest cache: ask early for what will be read and, when the chunk ends, written. */
static void chunk_prefetch(const struct segment *segment, uint64_t index)
{
    const struct lsio_chunk *chunk = request_chunk(&segment->view, index);

    __builtin_prefetch(chunk);
    __builtin_prefetch(&chunk->data);
    if (segment->view.results)
        __builtin_prefetch(request_result(&segment->view, index), 1);
}

/* `length` is bounded by 1 GiB here: longer chunks are split. */
static enum start_result read_start(struct worker *worker, struct slab *slab,
                                    const struct plan_op *plan)
{
    struct segment *segment = slab->segment;
    uint64_t index = plan_chunk_of(&slab->plan, plan->first);
    const struct lsio_chunk *chunk = request_chunk(&segment->view, index);
    struct operation *operation;
    uint64_t offset = (uint64_t)chunk->offset, length = chunk->length;
    const char *text = NULL;
    enum start_result result;
    int status;

    if (plan->first + PREFETCH_CHUNKS < slab->plan.chunk_count)
        chunk_prefetch(segment, plan_chunk_of(&slab->plan, plan->first + PREFETCH_CHUNKS));
    if (chunk->offset < 0 || length == LSIO_TO_END)
        plan_chunk_range(chunk, atomic_load(&segment->objects[chunk->object].plan.size), &offset,
                         &length);
    status = chunk_check(worker, segment, chunk, length, &text);
    if (status) {
        chunk_fail(worker, segment, index, status, 0, text);
        return START_OK;
    }
    operation = operation_for(worker, slab, PLAN_READ, chunk);
    if (!operation)
        return START_NO_SLOT;
    operation->chunk = index;
    result = operation_read_chunk(worker, operation, chunk, offset, length);
    if (result != START_OK)
        operation_drop(worker, operation);
    return result;
}

static enum start_result none_start(struct worker *worker, struct slab *slab,
                                    const struct plan_op *plan)
{
    struct segment *segment = slab->segment;

    for (uint32_t i = 0; i < plan->count; i++) {
        uint64_t index = plan_chunk_of(&slab->plan, plan->first + i), offset, length;
        const struct lsio_chunk *chunk = request_chunk(&segment->view, index);
        int status = -EINVAL;

        if (chunk->object < segment->view.object_count)
            status = plan_chunk_range(
                chunk, atomic_load(&segment->objects[chunk->object].plan.size), &offset, &length);
        if (status == 0)
            chunk_deliver(worker, segment, index, chunk->dst, 0, NULL);
        else
            chunk_fail(worker, segment, index, status, 0,
                       status == -EINVAL ? "the chunk's object, flags or range are wrong" : NULL);
    }
    return START_OK;
}

const struct lsio_chunk *operation_member(const struct operation *operation, uint32_t i,
                                          uint64_t *index, uint64_t *offset, uint64_t *length)
{
    const struct lsio_chunk *chunk;

    *index = plan_chunk_of(&operation->slab->plan, operation->plan->first + i);
    chunk = request_chunk(&operation->segment->view, *index);
    if (chunk->offset >= 0 && chunk->length != LSIO_TO_END) {
        /* whatever the size: it may have become known since, and be too small for this member */
        *offset = (uint64_t)chunk->offset;
        *length = chunk->length;
    } else if (plan_chunk_range(chunk, atomic_load(&operation->read.object->plan.size), offset,
                                length)) {
        *offset = *length = 0; /* cannot be: the planner resolved it with the same size */
    }
    return chunk;
}

/* Fills iov with the members' destinations and what is between them: junk, or nothing. */
static void vector_build(struct worker *worker, struct operation *operation)
{
    void *between = operation->read.object->plan.profile->discards ? NULL : worker->junk;
    uint64_t index, offset, length, at = 0;
    uint32_t used = 0;

    for (uint32_t i = 0; i < operation->plan->count; i++) {
        const struct lsio_chunk *chunk = operation_member(operation, i, &index, &offset, &length);
        if (i && offset != at)
            operation->iov[used++] = (struct iovec){between, offset - at};
        operation->iov[used++] = (struct iovec){chunk->dst, length};
        at = offset + length;
    }
    operation->read.iov = operation->iov;
    operation->read.iov_count = used;
    operation->read.addr = NULL;
}

static void members_fail(struct worker *worker, struct slab *slab, const struct plan_op *plan,
                         int32_t status)
{
    for (uint32_t i = 0; i < plan->count; i++)
        chunk_fail(worker, slab->segment, plan_chunk_of(&slab->plan, plan->first + i), status, 0,
                   NULL);
}

/* Where finding out the size is a request of its own, a probe for one chunk asks for the chunk's
 * first bytes as well: of a small object that is all. It gets the chunk's dst or a buffer. */
static enum start_result probe_reserve(struct worker *worker, struct operation *operation,
                                       const struct lsio_chunk *chunk, uint64_t *bytes)
{
    const struct segment *segment = operation->segment;
    struct lsio_store *store = operation->read.object->store;
    const struct driver_ops *driver = store->driver;
    bool raw = chain_reads_into_dst(chunk_chain(segment, chunk));
    uint64_t want;
    enum start_result result;

    operation->read.kind = DRIVER_PROBE;
    operation->read.addr = NULL;
    *bytes = 0;
    if (!driver->probe_bytes || operation->plan->count != 1 || segment->stat_only ||
        chunk->offset < 0)
        return START_OK;
    want = driver->probe_bytes(store);
    if (want > segment->input.join_bytes_max)
        want = segment->input.join_bytes_max;
    if (raw && chunk->dst) {
        operation->read.addr = chunk->dst;
        *bytes = want < chunk->dst_bytes ? want : chunk->dst_bytes;
        return START_OK;
    }
    result = want ? buffer_reserve(worker, operation, (uint64_t)chunk->offset, want) : START_OK;
    if (result == START_OK)
        *bytes = want;
    return result == START_FAILED ? START_OK : result;
}

/* VECTOR, JOIN and PROBE: operations over several chunks. */
static enum start_result group_start(struct worker *worker, struct slab *slab,
                                     const struct plan_op *plan)
{
    uint64_t index = plan_chunk_of(&slab->plan, plan->first);
    const struct lsio_chunk *chunk = request_chunk(&slab->segment->view, index);
    struct operation *operation;
    enum start_result result = START_OK;
    uint64_t offset = 0, bytes = plan->span_bytes, length;
    int status = object_status(&slab->segment->objects[chunk->object]);

    if (status) {
        members_fail(worker, slab, plan, status);
        return START_OK;
    }
    if (plan->kind == PLAN_VECTOR && worker->iov_free == 0)
        return START_NO_SLOT;
    operation = operation_for(worker, slab, plan->kind, chunk);
    if (!operation)
        return START_NO_SLOT;
    operation_keep_slab(operation, slab, plan);
    operation->chunk = index;
    if (plan->kind != PLAN_PROBE)
        operation_member(operation, 0, &index, &offset, &length);
    if (plan->kind == PLAN_VECTOR) {
        uint32_t block = (uint32_t)__builtin_ctzll(worker->iov_free);
        worker->iov_free &= worker->iov_free - 1;
        operation->iov = worker->iov_stock + (size_t)block * 2 * PLAN_VECTOR_MAX;
        vector_build(worker, operation);
    } else if (plan->kind == PLAN_JOIN) {
        result = buffer_reserve(worker, operation, offset, bytes);
    } else {
        result = probe_reserve(worker, operation, chunk, &bytes);
        offset = bytes ? (uint64_t)chunk->offset : 0;
    }
    if (result != START_OK) {
        operation_drop(worker, operation);
        return result;
    }
    if (plan->count > 1 && plan->kind != PLAN_PROBE)
        stat_add(&worker->stats.operations_joined, 1);
    if (plan->count > 1 && plan->kind == PLAN_JOIN)
        operation_advance_begin(operation, offset);
    operation_submit(worker, operation, offset, bytes);
    return START_OK;
}

/* ----------------------------------------------------------------------------------- split -- */

/* May the rest of the pages at a part's ends be overwritten? Not where it shares them with another
 * part, which may be there already: a read that fails or ends early leaves anything behind. */
static bool part_is_padded(const struct split *split, uint64_t begin, uint64_t bytes)
{
    uint64_t end = begin + bytes;

    return split->padded && (begin == 0 || (split->offset + begin) % DIRECT_ALIGN == 0) &&
           (end == split->bytes || (split->offset + end) % DIRECT_ALIGN == 0);
}

static enum start_result part_start(struct worker *worker, struct slab *slab, uint32_t part)
{
    struct split *split = &slab->split;
    uint64_t begin = part * split->part_bytes;
    uint64_t bytes = split->bytes - begin < split->part_bytes ? split->bytes - begin
                                                              : split->part_bytes;
    const struct lsio_chunk *chunk = request_chunk(&split->segment->view, split->chunk);
    struct operation *operation = operation_for(worker, slab, PLAN_SPLIT, chunk);

    if (!operation)
        return START_NO_SLOT;
    operation_keep_slab(operation, slab, NULL);
    operation->split = split;
    operation->chunk = split->chunk;
    operation->read.addr = split->addr + begin;
    operation->read.padded = part_is_padded(split, begin, bytes);
    operation->read.part = true;
    if (worker->user_buffer_count)
        operation->read.buffer = user_buffer_index(worker, operation->read.addr, bytes);
    operation_submit(worker, operation, split->offset + begin, bytes);
    return START_OK;
}

/* Where a split chunk's bytes go, all of them reserved before the first part starts. */
static enum start_result split_reserve(struct worker *worker, struct split *split,
                                       const struct lsio_chunk *chunk)
{
    const struct plan_profile *profile = split->segment->objects[chunk->object].plan.profile;
    bool raw = chain_reads_into_dst(chunk_chain(split->segment, chunk));
    uint64_t head = profile->direct == PLAN_DIRECT_OFF ? 0 : split->offset % DIRECT_ALIGN;
    uint64_t room = (head + split->bytes + DIRECT_ALIGN - 1) / DIRECT_ALIGN * DIRECT_ALIGN;
    bool hopeless;

    split->buffer = split->allocated = NULL;
    split->padded = false;
    if (raw && chunk->dst) {
        split->addr = chunk->dst;
    } else if (raw && (chunk->flags & LSIO_CHUNK_ALLOC)) {
        split->addr = split->allocated = aligned_alloc(DIRECT_ALIGN, (size_t)room);
        if (!split->addr)
            return START_FAILED;
    } else {
        split->buffer = pool_get(&worker->context->pool, room, &hopeless);
        if (!split->buffer)
            return hopeless ? START_FAILED : START_NO_MEMORY;
        split->buffer_bytes = room;
        split->addr = (uint8_t *)split->buffer + head;
        split->padded = profile->direct != PLAN_DIRECT_OFF;
    }
    return START_OK;
}

enum start_result split_start(struct worker *worker, struct segment *segment, uint64_t chunk_index,
                              uint64_t offset, uint64_t length, uint64_t part_bytes)
{
    const struct lsio_chunk *chunk = request_chunk(&segment->view, chunk_index);
    uint64_t parts = (length + part_bytes - 1) / part_bytes;
    struct slab *slab = slab_get(worker->context, 1);
    enum start_result result;

    if (!slab)
        return START_FAILED;
    slab->segment = segment;
    slab->is_split = true;
    slab->urgent = true;
    slab->plan.op_count = (uint32_t)parts;
    slab->split.segment = segment;
    slab->split.chunk = chunk_index;
    slab->split.offset = offset;
    slab->split.bytes = length;
    slab->split.part_bytes = part_bytes;
    slab->split.detail = NULL;
    atomic_store_explicit(&slab->split.remaining, (uint32_t)parts, memory_order_relaxed);
    atomic_store_explicit(&slab->split.status, 0, memory_order_relaxed);
    atomic_store_explicit(&slab->split.code, 0, memory_order_relaxed);
    result = split_reserve(worker, &slab->split, chunk);
    if (result != START_OK) {
        LSIO_MARK(split_put_off);
        slab_put(worker->context, slab);
        return result;
    }
    slab->run_max = 2;
    batch_publish(segment->batch, slab);
    return START_OK;
}

static enum start_result split_plan_start(struct worker *worker, struct slab *slab,
                                          const struct plan_op *plan)
{
    struct segment *segment = slab->segment;
    uint64_t index = plan_chunk_of(&slab->plan, plan->first);
    const struct lsio_chunk *chunk = request_chunk(&segment->view, index);
    const struct plan_object *object = &segment->objects[chunk->object].plan;
    uint64_t offset, length;
    const char *text = NULL;
    int status = plan_chunk_range(chunk, atomic_load(&object->size), &offset, &length);

    if (!status)
        status = chunk_check(worker, segment, chunk, length, &text);
    if (status) {
        chunk_fail(worker, segment, index, status, 0, text);
        return START_OK;
    }
    return split_start(worker, segment, index, offset, length,
                       plan_part_bytes(object->profile, length));
}

/* -------------------------------------------------------------------------------- dispatch -- */

static enum start_result planned_start(struct worker *worker, struct slab *slab,
                                       const struct plan_op *plan)
{
    switch (plan->kind) {
    case PLAN_READ:
        return read_start(worker, slab, plan);
    case PLAN_VECTOR:
    case PLAN_JOIN:
    case PLAN_PROBE:
        return group_start(worker, slab, plan);
    case PLAN_SPLIT:
        return split_plan_start(worker, slab, plan);
    default:
        return none_start(worker, slab, plan);
    }
}

enum start_result operation_start(struct worker *worker, struct slab *slab, uint32_t op_index)
{
    const struct plan_op *plan;
    enum start_result result;
    int status;

    if (slab->is_split)
        return part_start(worker, slab, op_index);
    plan = &slab->plan.ops[op_index];
    __builtin_prefetch(plan + PREFETCH_CHUNKS); /* another worker may have written it */
    status =
        atomic_load_explicit(&slab->segment->batch->record.cancel_status, memory_order_relaxed);
    if (status) {
        LSIO_MARK(operation_canceled_before_start);
        members_fail(worker, slab, plan, status);
        return START_OK;
    }
    result = planned_start(worker, slab, plan);
    if (result == START_FAILED) {
        LSIO_MARK(operation_no_memory);
        members_fail(worker, slab, plan, -ENOMEM);
        result = START_OK;
    }
    return result;
}

void operation_cancel(struct worker *worker, struct slab *slab, uint32_t op_index, int32_t status)
{
    if (slab->is_split)
        split_part_cancel(worker, &slab->split, status);
    else
        members_fail(worker, slab, &slab->plan.ops[op_index], status);
}

/* A probed operation ends without its read. */
static void resumed_drop(struct worker *worker, struct operation *operation, int32_t status)
{
    struct segment *segment = operation->segment;
    uint64_t chunk = operation->chunk;

    LSIO_MARK(probed_chunk_dropped);
    operation_drop(worker, operation); /* looks at its object: with the report the batch may end */
    chunk_fail(worker, segment, chunk, status, 0, NULL);
}

void operation_resumed_cancel(struct worker *worker)
{
    struct operation **link = &worker->resumed, *last = NULL, *operation;

    while ((operation = *link) != NULL) {
        int status = atomic_load_explicit(&operation->segment->batch->record.cancel_status,
                                          memory_order_relaxed);
        if (status) {
            *link = operation->free_next;
            resumed_drop(worker, operation, status);
        } else {
            last = operation;
            link = &operation->free_next;
        }
    }
    worker->resumed_last = last;
}

bool operation_resume(struct worker *worker)
{
    struct operation *operation = worker->resumed;
    struct segment *segment = operation->segment;
    const struct lsio_chunk *chunk = request_chunk(&segment->view, operation->chunk);
    struct operation *next = operation->free_next;
    int status = atomic_load_explicit(&segment->batch->record.cancel_status, memory_order_relaxed);
    enum start_result result = START_OK;
    uint64_t offset, length;

    plan_chunk_range(chunk, atomic_load(&operation->read.object->plan.size), &offset, &length);
    if (!status)
        result = operation_read_chunk(worker, operation, chunk, offset, length);
    if (result == START_NO_MEMORY)
        return false;
    worker->resumed = next;
    if (status || result == START_FAILED)
        resumed_drop(worker, operation, status ? status : -ENOMEM);
    return true;
}
