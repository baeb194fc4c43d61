/* SPDX-License-Identifier: MIT */
/*
 * Design: the life of a batch around the reading: made whole or not at all, started, added to,
 * canceled, completed by the worker that folds in its last chunk, waited for, freed.
 *
 * Lifetime. A batch is freed by lsio_batch_destroy(), after `record.done`; or, when it was
 * destroyed from a callback, by batch_complete(). Between, any chunk that is not folded in keeps it
 * alive for workers. batch_complete() runs once, on_done in it; after the batch is unlinked from
 * `running` the only further touch is record_done().
 */
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"
#include "engine/engine.h"

#define STORES_SEEN_MAX 16u

/* --------------------------------------------------------------------------------- segment -- */

/* `forked`: in a child, where other threads' locks may be held for ever; memory only. */
static void segment_finish(struct segment *segment, bool forked)
{
    _Atomic(void *) *allocated = atomic_load(&segment->allocated);

    for (size_t i = 0; segment->objects && !forked && i < segment->view.object_count; i++) {
        struct driver_object *object = &segment->objects[i];
        if ((atomic_load_explicit(&object->handle, memory_order_relaxed) || object->plan.extents) &&
            object->store->driver->finish_object)
            object->store->driver->finish_object(object);
    }
    /* only now: with its last user gone a store may be closed */
    for (size_t i = 0; segment->objects && i < segment->view.object_count; i++) {
        struct driver_object *object = &segment->objects[i];
        if (!object->counts_store)
            continue;
        profile_drop(object->store, object->plan.profile);
        if (!forked)
            atomic_fetch_sub_explicit(&object->store->users, 1, memory_order_release);
    }
    free(segment->objects);
    for (uint64_t i = 0; allocated && i < segment->view.chunk_count; i++)
        free(atomic_load_explicit(&allocated[i], memory_order_relaxed));
    free(allocated);
    free(atomic_load(&segment->ended));
    request_view_finish(&segment->view);
}

/* About how many bytes the segment reads, and how many with the gaps that joins would read through:
 * from a sample, for a look at each chunk would delay the first read of a long list. */
struct estimate {
    uint64_t bytes, span;
};

/* Bytes between two chunks that follow one another, if a join would read them; else 0. */
static uint64_t gap_between(const struct lsio_chunk *chunk, const struct lsio_chunk *next,
                            uint64_t gap_max)
{
    uint64_t end = (uint64_t)chunk->offset + chunk->length, gap;

    if (next->object != chunk->object || chunk->offset < 0 || chunk->length == LSIO_TO_END ||
        next->offset < 0 || (uint64_t)next->offset <= end)
        return 0;
    gap = (uint64_t)next->offset - end;
    return gap <= gap_max ? gap : 0;
}

static uint64_t estimate_number(double sum)
{
    return sum < 1e18 ? (uint64_t)sum : UINT64_MAX;
}

/* Gaps count only across a network, where they decide how long reads are (limits_set). */
static struct estimate segment_estimate(const struct segment *segment)
{
    const struct request_view *view = &segment->view;
    const struct plan_profile *profile =
        view->object_count ? segment->objects[0].plan.profile : NULL;
    uint64_t gap_max = profile && profile->remote ? profile->gap_bytes : 0;
    uint64_t step = view->chunk_count / 1024 + 1, count = 0;
    double sum = 0, gaps = 0, scale;

    for (uint64_t i = 0; i < view->chunk_count; i += step, count++) {
        const struct lsio_chunk *chunk = request_chunk(view, i);
        sum += chunk->length == LSIO_TO_END ? 1048576.0 : (double)chunk->length;
        if (gap_max && i + 1 < view->chunk_count)
            gaps += (double)gap_between(chunk, request_chunk(view, i + 1), gap_max);
    }
    scale = count ? (double)view->chunk_count / (double)count : 0;
    return (struct estimate){estimate_number(sum * scale), estimate_number((sum + gaps) * scale)};
}

/* The first objects of a request's stores: what a store is asked for once they share. Of a request
 * of more stores than fit some are asked again. */
struct stores_seen {
    const struct driver_object *first[STORES_SEEN_MAX];
    uint32_t count;
};

static const struct driver_object *store_seen(const struct stores_seen *seen,
                                              const struct lsio_store *store)
{
    for (uint32_t i = 0; i < seen->count; i++)
        if (seen->first[i]->store == store)
            return seen->first[i];
    return NULL;
}

static int object_init(struct segment *segment, size_t index, struct stores_seen *seen,
                       struct lsio_error *refusal)
{
    const struct lsio_object *object = request_object(&segment->view, index);
    struct driver_object *state = &segment->objects[index];
    struct lsio_store *store = object->store;
    const struct driver_object *first;

    if (store->context != segment->batch->context)
        return request_refuse(refusal, -EINVAL, "object %zu is of another context's store", index);
    first = index && state[-1].store == store ? &state[-1] : store_seen(seen, store);
    atomic_init(&state->plan.size,
                object->size && !segment->stat_only ? object->size : LSIO_SIZE_UNKNOWN);
    state->plan.store = store->ordinal;
    state->key = object->key;
    state->etag = object->etag;
    state->store = store;
    state->counts_store = !first;
    if (!first) {
        atomic_fetch_add_explicit(&store->users, 1, memory_order_relaxed);
        if (seen->count < STORES_SEEN_MAX)
            seen->first[seen->count++] = state;
    }
    state->plan.profile = first ? first->plan.profile : profile_take(store);
    return 0;
}

/* Joins need a buffer. Locally they stay within the hot window, else within what the pool can give
 * each worker four of. */
static uint64_t join_bytes_max(const struct lsio_context *context,
                               const struct plan_profile *profile)
{
    uint64_t share = context->pool.bytes_max / (4 * context->worker_count);

    if (!profile->physical_order && profile->request_latency_ns < 200000 &&
        context->hot_window_bytes < share)
        return context->hot_window_bytes;
    return share;
}

/* Across a network joins stay within what lets the store have all its reads in flight: with shorter
 * ones memory would lie idle, with longer ones connections would. And within what one can get. */
static uint64_t remote_join_bytes_max(const struct lsio_context *context,
                                      const struct plan_profile *profile)
{
    uint64_t all = context->pool.bytes_max + context->worker_count * context->arena_bytes;
    uint64_t share = pool_fit(all / profile->inflight_max);
    uint64_t pool = pool_fit(context->pool.bytes_max);
    uint64_t bytes = profile->request_bytes_max;

    pool -= pool < 2 * POOL_PAGE ? pool : 2 * POOL_PAGE; /* for alignment */
    bytes = share < bytes ? share : bytes;
    bytes = pool < bytes ? pool : bytes;
    return bytes < POOL_PAGE ? POOL_PAGE : bytes;
}

/* How long reads may be: as the store of the first object likes it. */
static void limits_set(const struct lsio_context *context, struct segment *segment,
                       const struct estimate *estimate)
{
    const struct plan_profile *profile =
        segment->view.object_count ? segment->objects[0].plan.profile : NULL;
    struct plan_input *input = &segment->input;
    uint64_t chunk_bytes;

    if (!profile || segment->view.chunk_count == 0)
        return;
    if (!profile->remote) {
        input->join_bytes_max = join_bytes_max(context, profile);
        return;
    }
    chunk_bytes = estimate->span / segment->view.chunk_count;
    input->request_bytes_max =
        plan_share_bytes(profile, estimate->span, chunk_bytes, profile->request_bytes_max);
    input->join_bytes_max = plan_share_bytes(profile, estimate->span, chunk_bytes,
                                             remote_join_bytes_max(context, profile));
}

/* How often each object is read, for drivers that read what is read once in another way. Not where
 * chunks are many for the objects: a look at each would delay the first read of a long list. */
static void chunks_count(struct segment *segment)
{
    const struct request_view *view = &segment->view;

    if (view->chunk_count / 4 > view->object_count)
        return;
    for (uint64_t i = 0; i < view->chunk_count; i++) {
        const struct lsio_chunk *chunk = request_chunk(view, i);
        if (chunk->object < view->object_count)
            segment->objects[chunk->object].chunk_count++;
    }
}

/* Its view is there. *refusal says why, where the request is to blame. */
static int segment_init(struct segment *segment, struct lsio_batch *batch, bool copy,
                        struct lsio_error *refusal)
{
    struct stores_seen seen = {.count = 0};
    struct estimate estimate;
    int error;

    segment->batch = batch;
    if (!chain_is_of(segment->view.chain, batch->context)) {
        LSIO_MARK(request_chain_refused);
        return request_refuse(refusal, -EINVAL, "the request's chain is of another context");
    }
    if (copy && (error = request_view_copy(&segment->view)) != 0)
        return error;
    if (segment->view.object_count) {
        segment->objects = calloc(segment->view.object_count, sizeof(*segment->objects));
        if (!segment->objects)
            return -ENOMEM;
    }
    for (size_t i = 0; i < segment->view.object_count; i++) {
        error = object_init(segment, i, &seen, refusal);
        if (error)
            return error;
    }
    chunks_count(segment);
    estimate = segment_estimate(segment);
    for (size_t i = 0; i < segment->view.object_count; i++)
        segment->objects[i].batch_bytes = estimate.bytes;
    segment->input = (struct plan_input){
        .chunks = segment->view.chunks,
        .chunk_bytes = segment->view.chunk_bytes,
        .chunk_count = segment->view.chunk_count,
        .objects = segment->objects ? &segment->objects->plan : NULL,
        .object_bytes = sizeof(struct driver_object),
        .object_count = segment->view.object_count,
        .chain = segment->view.chain,
        .reads_into_dst = chain_reads_into_dst,
    };
    limits_set(batch->context, segment, &estimate);
    return 0;
}

/* ----------------------------------------------------------------------------------- start -- */

/* Completes a batch without chunks, on a worker as all callbacks are. */
static void batch_empty_run(struct driver_env *env, struct queue_node *node)
{
    (void)env;
    batch_complete(container_of(node, struct lsio_batch, empty_node));
}

static void refusal_log(const struct lsio_context *context, const struct lsio_error *refusal)
{
    if (refusal->status)
        log_line(&context->log, LSIO_LOG_ERROR, "a request was refused: %s (%s)", refusal->text,
                 lsio_status_name(refusal->status));
}

static int batch_make(struct lsio_context *context, const struct lsio_request *request, bool copy,
                      bool stat_only, struct lsio_error *refusal, struct lsio_batch **out)
{
    struct lsio_batch *batch = NULL;
    struct request_view view;
    int error;

    refusal->status = 0;
    error = request_view_init(&view, request, refusal);
    if (error)
        goto fail;
    batch = calloc(1, sizeof(*batch));
    if (!batch)
        return -ENOMEM;
    error = record_init(&batch->record, view.chunk_count);
    if (error) {
        free(batch);
        return error;
    }
    batch->context = context;
    batch->on_chunk = request->on_chunk;
    batch->on_done = request->on_done;
    batch->data = request->data;
    batch->flags = request->flags;
    batch->deadline_ns = UINT64_MAX;
    batch->slab_chunks = ENGINE_SLAB_CHUNKS_SMALL;
    batch->segments = batch->segments_last = &batch->first;
    batch->empty_node.run = batch_empty_run;
    batch->first.view = view;
    batch->first.stat_only = stat_only;
    error = segment_init(&batch->first, batch, copy, refusal);
    if (error)
        goto fail;
    if (request->deadline_ms)
        batch->deadline_ns = context->os->now_ns() + (request->deadline_ms < UINT64_MAX / 2000000
                                                          ? request->deadline_ms * 1000000
                                                          : UINT64_MAX / 2);
    *out = batch;
    return 0;
fail:
    refusal_log(context, refusal);
    if (batch) {
        LSIO_MARK(batch_not_made);
        batch_free(batch, false);
    }
    return error;
}

int batch_create(struct lsio_context *context, const struct lsio_request *request, bool copy,
                 struct lsio_error *refusal, struct lsio_batch **out)
{
    return batch_make(context, request, copy, false, refusal, out);
}

static void batch_link(struct lsio_batch *batch)
{
    struct lsio_context *context = batch->context;

    batch->running = true;
    context->running_count++;
    batch->list_prev = NULL;
    batch->list_next = context->batches;
    if (context->batches)
        context->batches->list_prev = batch;
    context->batches = batch;
}

static void batch_unlink(struct lsio_batch *batch)
{
    struct lsio_context *context = batch->context;

    if (batch->list_prev)
        batch->list_prev->list_next = batch->list_next;
    else if (context->batches == batch)
        context->batches = batch->list_next;
    if (batch->list_next)
        batch->list_next->list_prev = batch->list_prev;
    batch->list_next = batch->list_prev = NULL;
}

void batch_start(struct lsio_batch *batch)
{
    struct lsio_context *context = batch->context;
    uint64_t deadline;
    bool empty = batch->first.view.chunk_count == 0, sooner;

    pthread_mutex_lock(&context->lock);
    batch_link(batch);
    deadline = atomic_load(&context->next_deadline_ns);
    sooner = batch->deadline_ns < deadline;
    if (sooner)
        atomic_store(&context->next_deadline_ns, batch->deadline_ns);
    if (!empty) {
        batch->plan_next = &batch->first;
        batch_work_add(batch, callback_current && callback_current->context == context);
        atomic_fetch_add(&context->work_epoch, 1);
    }
    if (context->ending) {
        LSIO_MARK(submitted_at_the_end);
        batch_cancel(batch, -ECANCELED);
    }
    pthread_mutex_unlock(&context->lock);
    if (empty)
        context->workers[0].env.post(&context->workers[0].env, &batch->empty_node);
    else if (sooner)
        context_wake_all(context); /* whoever sleeps does so until a later deadline */
    else
        context_wake_one(context);
}

int batch_add(struct lsio_batch *batch, const struct lsio_request *more, uint64_t *first_index)
{
    struct lsio_context *context = batch->context;
    struct lsio_error refusal;
    struct segment *segment;
    uint64_t first;
    bool canceled;
    int error;

    if (!callback_current || callback_current->batch != batch || !more)
        return -EINVAL;
    segment = calloc(1, sizeof(*segment));
    if (!segment)
        return -ENOMEM;
    refusal.status = 0;
    error = request_view_init(&segment->view, more, &refusal);
    if (!error)
        error = segment_init(segment, batch, !(more->flags & LSIO_BORROW), &refusal);
    if (error) {
        LSIO_MARK(batch_add_refused);
        refusal_log(context, &refusal);
        segment_finish(segment, false);
        free(segment);
        return error;
    }
    pthread_mutex_lock(&context->lock);
    first = atomic_load(&batch->record.chunk_count);
    segment->first_index = first;
    batch->segments_last->next = segment;
    batch->segments_last = segment;
    atomic_fetch_add(&batch->record.chunk_count, segment->view.chunk_count);
    atomic_fetch_add(&batch->record.remaining, segment->view.chunk_count);
    if (segment->view.chunk_count) {
        segment->plan_link = batch->plan_next;
        batch->plan_next = segment;
        batch_work_add(batch, true);
        atomic_fetch_add(&context->work_epoch, 1);
    }
    canceled = atomic_load(&batch->record.cancel_status) != 0;
    pthread_mutex_unlock(&context->lock);
    if (canceled)
        context_cancel_scan(context); /* those before it may have looked already */
    else
        context_wake_one(context);
    if (first_index)
        *first_index = first;
    return 0;
}

/* ------------------------------------------------------------------------------------- end -- */

void context_cancel_scan(struct lsio_context *context)
{
    for (uint32_t i = 0; i < context->worker_count; i++) {
        atomic_store(&context->workers[i].cancel_scan, true);
        worker_wake(&context->workers[i]);
    }
}

void batch_cancel(struct lsio_batch *batch, int32_t status)
{
    int32_t none = 0;

    if (atomic_compare_exchange_strong(&batch->record.cancel_status, &none, status))
        context_cancel_scan(batch->context);
}

void context_check_deadlines(struct lsio_context *context, uint64_t now_ns)
{
    uint64_t next = UINT64_MAX;

    if (now_ns < atomic_load(&context->next_deadline_ns))
        return;
    pthread_mutex_lock(&context->lock);
    for (struct lsio_batch *batch = context->batches; batch; batch = batch->list_next) {
        if (!batch->running || atomic_load(&batch->record.cancel_status))
            continue;
        if (batch->deadline_ns <= now_ns) {
            LSIO_MARK(deadline_passed);
            batch_cancel(batch, -ETIMEDOUT);
        } else if (batch->deadline_ns < next) {
            next = batch->deadline_ns;
        }
    }
    atomic_store(&context->next_deadline_ns, next);
    pthread_mutex_unlock(&context->lock);
}

/* An object was seen to change while it was read. */
static void object_changed(struct segment *segment, size_t object)
{
    for (uint64_t i = 0; i < segment->view.chunk_count; i++) {
        const struct lsio_chunk *chunk = request_chunk(&segment->view, i);
        if (chunk->object == object && chunk->length != 0)
            chunk_revoke(segment, i, LSIO_E_CHANGED,
                         "the object changed between the first and the last read of the batch");
    }
}

static void batch_verify(struct lsio_batch *batch)
{
    for (struct segment *segment = batch->segments; segment; segment = segment->next) {
        for (size_t i = 0; i < segment->view.object_count; i++) {
            struct driver_object *object = &segment->objects[i];
            if (atomic_load_explicit(&object->handle, memory_order_relaxed) &&
                object->store->driver->verify_object &&
                object->store->driver->verify_object(object) == LSIO_E_CHANGED)
                object_changed(segment, i);
        }
    }
}

void batch_complete(struct lsio_batch *batch)
{
    struct lsio_context *context = batch->context;
    struct slab *slab;
    bool detached;

    batch_verify(batch);
    if (batch->on_done) {
        struct callback_frame frame = {context, NULL}; /* too late for lsio_batch_add */
        struct callback_frame *outer = callback_current;
        callback_current = &frame;
        batch->on_done(batch, batch->record.status, batch->data);
        callback_current = outer;
    }
    pthread_mutex_lock(&context->lock);
    batch_work_drop(batch);
    while ((slab = batch_ready_take(batch)) != NULL) {
        pthread_mutex_unlock(&context->lock);
        slab_put(context, slab);
        pthread_mutex_lock(&context->lock);
    }
    batch->running = false;
    detached = batch->detached;
    if (detached)
        batch_unlink(batch);
    pthread_mutex_unlock(&context->lock);
    if (detached)
        batch_free(batch, false);
    else
        record_done(&batch->record);
    pthread_mutex_lock(&context->lock);
    if (--context->running_count == 0)
        pthread_cond_broadcast(&context->idle_cond);
    pthread_mutex_unlock(&context->lock);
}

void batch_free(struct lsio_batch *batch, bool forked)
{
    struct segment *segment = batch->first.next;

    segment_finish(&batch->first, forked);
    while (segment) {
        struct segment *next = segment->next;
        segment_finish(segment, forked);
        free(segment);
        segment = next;
    }
    record_finish(&batch->record, forked);
    free(batch);
}

int batch_destroy(struct lsio_batch *batch)
{
    struct lsio_context *context = batch->context;

    pthread_mutex_lock(&context->lock);
    if (batch->running && callback_current && callback_current->context == context) {
        LSIO_MARK(batch_detached);
        batch->detached = true;
        batch_cancel(batch, -ECANCELED); /* under the lock: without it the batch may be gone */
        pthread_mutex_unlock(&context->lock);
        return 0;
    }
    pthread_mutex_unlock(&context->lock);
    if (record_wait(&batch->record, 0) != 0)
        batch_cancel(batch, -ECANCELED);
    if (record_wait(&batch->record, ENGINE_DESTROY_TIMEOUT_MS) != 0) {
        log_line(&context->log, LSIO_LOG_ERROR,
                 "a batch did not end within %u s of being canceled: its memory is leaked, for the "
                 "kernel may still write to it",
                 ENGINE_DESTROY_TIMEOUT_MS / 1000);
        return -ETIMEDOUT;
    }
    pthread_mutex_lock(&context->lock);
    batch_unlink(batch);
    pthread_mutex_unlock(&context->lock);
    batch_free(batch, false);
    return 0;
}

/* ------------------------------------------------------------------------------ read, take -- */

/* What the caller can find in its results is no longer the segment's. */
static void allocated_hand_over(struct segment *segment)
{
    _Atomic(void *) *table = atomic_load(&segment->allocated);

    for (uint64_t i = 0; table && segment->view.results && i < segment->view.chunk_count; i++)
        if (request_result(&segment->view, i)->status == 0)
            atomic_store_explicit(&table[i], NULL, memory_order_relaxed);
}

/* The detail of the failing chunk of lowest index. */
static void first_failure_take(struct lsio_batch *batch, struct lsio_error *error)
{
    struct record *record = &batch->record;

    error->struct_bytes = sizeof(*error);
    if (record_error(record, record->status_index, error) != 0)
        *error = (struct lsio_error){.struct_bytes = sizeof(*error),
                                     .index = record->status_index,
                                     .status = record->status};
}

int batch_read(struct lsio_context *context, const struct lsio_request *request,
               struct lsio_error *error)
{
    struct lsio_batch *batch = NULL;
    int status = batch_create(context, request, false, error, &batch);

    if (status)
        return status;
    batch_start(batch);
    record_wait(&batch->record, LSIO_FOREVER);
    status = batch->record.status;
    if (status < 0)
        first_failure_take(batch, error);
    /* there is no batch to keep allocated results: they are the caller's, if it can get at them */
    for (struct segment *segment = batch->segments; segment; segment = segment->next)
        allocated_hand_over(segment);
    batch_destroy(batch);
    return status;
}

/* The table slot of a result: by its place in the request's results, else by its data. */
static _Atomic(void *) *allocated_slot(struct segment *segment, const struct lsio_result *result)
{
    _Atomic(void *) *table = atomic_load(&segment->allocated);
    const char *base = (const char *)segment->view.results;
    size_t at =
        base ? (size_t)((const char *)result - base) / segment->view.result_bytes : SIZE_MAX;

    if (!table)
        return NULL;
    if (at < segment->view.chunk_count && atomic_load(&table[at]) == result->data)
        return &table[at];
    for (size_t i = 0; i < segment->view.chunk_count; i++)
        if (atomic_load_explicit(&table[i], memory_order_relaxed) == result->data)
            return &table[i];
    return NULL;
}

void *batch_result_take(struct lsio_batch *batch, struct lsio_result *result)
{
    if (!result->data || !(result->flags & LSIO_RESULT_ALLOCATED))
        return NULL;
    for (struct segment *segment = batch->segments; segment; segment = segment->next) {
        _Atomic(void *) *slot = allocated_slot(segment, result);
        if (slot)
            return atomic_exchange(slot, NULL);
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------ stat -- */

/* Puts down what was found of each object; the first failure in *error. */
static int objects_tell(struct lsio_batch *batch, const struct lsio_result *results,
                        struct lsio_object_info *infos, size_t info_bytes, int *statuses,
                        struct lsio_error *error)
{
    int first = 0;

    for (size_t i = 0; i < batch->first.view.object_count; i++) {
        struct driver_object *object = &batch->first.objects[i];
        struct lsio_object_info *info = (void *)((char *)infos + i * info_bytes);
        int status = results[i].status;
        bool read = status == 0;

        if (read)
            status = object->store->driver->object_info(object, info);
        if (statuses)
            statuses[i] = status;
        if (status == 0 || first)
            continue;
        first = status;
        if (read) {
            *error = (struct lsio_error){
                .status = status, .code = status_errno(status), .attempts = 1};
            chunk_describe(&batch->first, i, NULL, error);
        } else {
            first_failure_take(batch, error);
        }
    }
    return first;
}

int batch_stat(struct lsio_context *context, const struct lsio_object *objects, size_t count,
               struct lsio_object_info *infos, size_t info_bytes, int *statuses,
               struct lsio_error *error)
{
    struct lsio_chunk *chunks = calloc(count ? count : 1, sizeof(*chunks));
    struct lsio_result *results = calloc(count ? count : 1, sizeof(*results));
    struct lsio_request request = {.struct_bytes = sizeof(request),
                                   .objects = objects,
                                   .object_count = count,
                                   .chunks = chunks,
                                   .chunk_count = count,
                                   .results = results};
    struct lsio_batch *batch = NULL;
    int status = chunks && results ? 0 : -ENOMEM;

    for (size_t i = 0; !status && i < count; i++)
        chunks[i] = (struct lsio_chunk){.object = (uint32_t)i, .length = LSIO_TO_END};
    if (!status)
        status = batch_make(context, &request, false, true, error, &batch);
    if (!status) {
        batch_start(batch);
        record_wait(&batch->record, LSIO_FOREVER);
        status = objects_tell(batch, results, infos, info_bytes, statuses, error);
        batch_destroy(batch);
    }
    free(chunks);
    free(results);
    return status;
}
