/* SPDX-License-Identifier: MIT */
/*
 * Design: how workers come by operations.
 *
 * The context keeps a ring of batches that have something unclaimed. A worker takes the next batch
 * of the ring, and from it a slab of planned operations; from the slab it claims short runs with
 * one fetch_add, without the lock, until the slab is used up. Whoever finds fewer than two planned
 * slabs of a batch plans the next one (outside the lock, one planner per batch), so that planning
 * keeps ahead of reading and reading begins before planning ends. Runs get shorter towards a slab's
 * end and with larger operations, so that workers end together.
 *
 * A slab is kept alive by references: the batch's list, each worker that claims from it, each
 * operation that reads its member order. Its memory belongs to the context and is used again; it
 * may outlive its batch, and then nothing but the slab itself is touched.
 */
#include <stdlib.h>

#include "base/mark.h"
#include "engine/engine.h"

#define PROBES_RUN_MAX 4u

/* ----------------------------------------------------------------------------- slab memory -- */

static struct slab *slab_create(uint32_t chunks)
{
    size_t ops_bytes = chunks * sizeof(struct plan_op);
    struct slab *slab = malloc(sizeof(*slab) + ops_bytes + chunks * sizeof(uint32_t));

    if (!slab)
        return NULL;
    slab->capacity = chunks;
    slab->plan.ops = (struct plan_op *)(void *)(slab + 1);
    slab->plan.order = (uint32_t *)(void *)((char *)(slab + 1) + ops_bytes);
    return slab;
}

struct slab *slab_get(struct lsio_context *context, uint32_t chunks)
{
    bool small = chunks <= ENGINE_SLAB_CHUNKS_SMALL;
    struct slab **list = small ? &context->free_slabs_small : &context->free_slabs_large;
    struct slab *slab;

    pthread_mutex_lock(&context->lock);
    slab = *list;
    if (slab)
        *list = slab->link;
    pthread_mutex_unlock(&context->lock);
    if (!slab)
        slab = slab_create(small ? ENGINE_SLAB_CHUNKS_SMALL : ENGINE_SLAB_CHUNKS_MAX);
    if (!slab)
        return NULL;
    slab->is_split = false;
    slab->urgent = false;
    slab->listed = false;
    slab->holder = 0;
    slab->link = NULL;
    slab->run_max = ENGINE_RUN_MAX;
    slab->plan.op_count = 0;
    atomic_store_explicit(&slab->next, 0, memory_order_relaxed);
    atomic_store_explicit(&slab->refs, 1, memory_order_relaxed);
    return slab;
}

void slab_put(struct lsio_context *context, struct slab *slab)
{
    struct slab **list;

    if (atomic_fetch_sub_explicit(&slab->refs, 1, memory_order_acq_rel) != 1)
        return;
    list = slab->capacity <= ENGINE_SLAB_CHUNKS_SMALL ? &context->free_slabs_small
                                                      : &context->free_slabs_large;
    pthread_mutex_lock(&context->lock);
    slab->link = *list;
    *list = slab;
    pthread_mutex_unlock(&context->lock);
}

void slabs_free(struct lsio_context *context)
{
    struct slab **lists[] = {&context->free_slabs_small, &context->free_slabs_large};

    for (size_t i = 0; i < 2; i++) {
        while (*lists[i]) {
            struct slab *slab = *lists[i];
            *lists[i] = slab->link;
            free(slab);
        }
    }
}

struct planner *worker_planner(struct worker *worker)
{
    if (!worker->planner && planner_create(ENGINE_SLAB_CHUNKS_MAX, &worker->planner) != 0)
        return NULL;
    return worker->planner;
}

/* --------------------------------------------------------------------- the ring of batches -- */

void batch_work_add(struct lsio_batch *batch, bool front)
{
    struct lsio_context *context = batch->context;

    if (!batch->working) {
        batch->working = true;
        if (!context->work) {
            batch->work_next = batch->work_prev = batch;
            context->work = batch;
        } else {
            batch->work_next = context->work;
            batch->work_prev = context->work->work_prev;
            batch->work_prev->work_next = batch;
            context->work->work_prev = batch;
        }
        atomic_fetch_add(&context->work_count, 1);
    }
    if (front)
        context->work = batch;
}

static void work_remove(struct lsio_batch *batch)
{
    struct lsio_context *context = batch->context;

    batch->working = false;
    atomic_fetch_sub(&context->work_count, 1);
    if (batch->work_next == batch) {
        context->work = NULL;
        return;
    }
    batch->work_next->work_prev = batch->work_prev;
    batch->work_prev->work_next = batch->work_next;
    if (context->work == batch)
        context->work = batch->work_next;
}

/* The list's reference to the slab becomes the batch's; under the lock. */
static void ready_add(struct lsio_batch *batch, struct slab *slab)
{
    struct slab **link = &batch->ready;

    if (!slab->urgent)
        while (*link)
            link = &(*link)->link;
    slab->link = *link;
    *link = slab;
    slab->listed = true;
    batch->ready_count++;
}

static void ready_remove(struct lsio_batch *batch, struct slab *slab)
{
    for (struct slab **link = &batch->ready; *link; link = &(*link)->link) {
        if (*link != slab)
            continue;
        *link = slab->link;
        slab->link = NULL;
        slab->listed = false;
        batch->ready_count--;
        return;
    }
}

/* Of the store of its first chunk: a slab of several stores is driven at the pace of that one. */
static const struct plan_profile *slab_profile(const struct slab *slab)
{
    uint64_t index = slab->is_split ? slab->split.chunk : plan_chunk_of(&slab->plan, 0);
    const struct lsio_chunk *chunk = request_chunk(&slab->segment->view, index);
    const struct segment *segment = slab->segment;

    return chunk->object < segment->view.object_count ? segment->objects[chunk->object].plan.profile
                                                      : NULL;
}

static void publish(struct lsio_batch *batch, struct slab *slab, bool planned)
{
    struct lsio_context *context = batch->context;
    bool canceled;

    slab->profile = slab_profile(slab);
    if (!slab->is_split && slab->plan.op_count) {
        uint64_t average = slab->plan.bytes_read / slab->plan.op_count + 1;
        uint64_t run = (UINT64_C(1) << 20) / average;
        if (slab->plan.bytes_read == 0)
            run = PROBES_RUN_MAX; /* nobody knows how much will follow */
        slab->run_max = run < 1 ? 1 : run > ENGINE_RUN_MAX ? ENGINE_RUN_MAX : (uint32_t)run;
    }
    pthread_mutex_lock(&context->lock);
    if (planned)
        batch->planning = false;
    ready_add(batch, slab);
    batch_work_add(batch, slab->urgent);
    atomic_fetch_add(&context->work_epoch, 1);
    canceled = atomic_load(&batch->record.cancel_status) != 0;
    pthread_mutex_unlock(&context->lock);
    /* from here on the batch may be complete and gone */
    if (canceled)
        context_cancel_scan(context); /* the slab was not there when workers looked */
    else
        context_wake_one(context);
}

void batch_publish(struct lsio_batch *batch, struct slab *slab)
{
    publish(batch, slab, false);
}

void batch_work_drop(struct lsio_batch *batch)
{
    if (batch->working)
        work_remove(batch);
}

struct slab *batch_ready_take(struct lsio_batch *batch)
{
    struct slab *slab = batch->ready;

    if (slab)
        ready_remove(batch, slab);
    return slab;
}

/* -------------------------------------------------------------------------------- planning -- */

/* Large slabs pay only where sorting finds joins that are worth a wait. Where a read takes as long
 * as planning thousands of chunks does, the first is large, too. */
static uint32_t slab_chunks_wanted(const struct lsio_batch *batch, const struct segment *segment)
{
    const struct plan_profile *profile =
        segment->view.object_count ? segment->objects[0].plan.profile : NULL;
    uint32_t max;

    if (profile && (profile->remote || profile->physical_order))
        return ENGINE_SLAB_CHUNKS_MAX;
    max = profile && profile->gap_bytes >= 64 * 1024 ? ENGINE_SLAB_CHUNKS_MAX : 8192;
    return batch->slab_chunks < max ? batch->slab_chunks : max;
}

/* Where the bytes lie, for disks that seek: asked for on a worker, for submit must not block, and
 * only where that costs less than it can save. */
static void segment_describe(struct segment *segment)
{
    if (segment->view.object_count > ENGINE_DESCRIBE_MAX)
        return;
    for (size_t i = 0; i < segment->view.object_count; i++) {
        struct driver_object *object = &segment->objects[i];
        if (object->plan.profile->physical_order && object->store->driver->describe_object &&
            object_status(object) == 0)
            object->store->driver->describe_object(object);
    }
}

/* No memory to plan with: those chunks end here. Called and returns without the lock. */
static void plan_fail(struct worker *worker, struct segment *segment, uint64_t first,
                      uint32_t count)
{
    struct lsio_context *context = worker->context;

    LSIO_MARK(plan_no_memory);
    pthread_mutex_lock(&context->lock);
    segment->batch->planning = false;
    pthread_mutex_unlock(&context->lock);
    for (uint32_t i = 0; i < count; i++)
        chunk_fail(worker, segment, first + i, -ENOMEM, 0, "no memory to plan with");
    fold_flush(worker);
}

/* Plans one more slab of the batch; called and returns with the lock held, but gives it up between:
 * afterwards the batch may be complete and gone. */
static void plan_one(struct worker *worker, struct lsio_batch *batch)
{
    struct lsio_context *context = batch->context;
    struct segment *segment = batch->plan_next;
    uint64_t first = segment->planned;
    uint64_t left = segment->view.chunk_count - first;
    uint32_t count = slab_chunks_wanted(batch, segment);
    struct planner *planner;
    struct slab *slab;

    if (count > left)
        count = (uint32_t)left;
    segment->planned += count;
    if (segment->planned == segment->view.chunk_count)
        batch->plan_next = segment->plan_link;
    if (batch->slab_chunks < ENGINE_SLAB_CHUNKS_MAX)
        batch->slab_chunks *= 4;
    batch->planning = true;
    pthread_mutex_unlock(&context->lock);

    if (first == 0)
        segment_describe(segment);
    planner = worker_planner(worker);
    slab = planner ? slab_get(context, count) : NULL;
    if (slab) {
        slab->segment = segment;
        slab->urgent = segment != &batch->first;
        plan_slab_build(planner, &segment->input, first, count, &slab->plan);
        publish(batch, slab, true);
    } else {
        plan_fail(worker, segment, first, count);
    }
    pthread_mutex_lock(&context->lock);
}

/* -------------------------------------------------------------------------------- claiming -- */

static bool claim_run(struct worker *worker, struct slab *slab)
{
    uint32_t count = slab->plan.op_count;
    uint32_t next = atomic_load_explicit(&slab->next, memory_order_relaxed);
    uint32_t run;

    if (next >= count)
        return false;
    run = (count - next) / (2 * worker->context->worker_count);
    run = run < 1 ? 1 : run > slab->run_max ? slab->run_max : run;
    next = atomic_fetch_add_explicit(&slab->next, run, memory_order_relaxed);
    if (next >= count)
        return false;
    worker->claim.slab = slab;
    worker->claim.next = next;
    worker->claim.end = count - next < run ? count : next + run;
    return true;
}

void claim_drop(struct worker *worker)
{
    if (worker->claim.slab)
        slab_put(worker->context, worker->claim.slab);
    worker->claim.slab = NULL;
    worker->claim.next = worker->claim.end = 0;
}

/* A disk that seeks is read by one worker at a time, in physical order; others run its chains. */
static bool slab_is_free(const struct worker *worker, const struct slab *slab)
{
    return !slab->profile || !slab->profile->physical_order || slab->holder == 0 ||
           slab->holder == worker->index + 1;
}

static bool slab_is_used_up(const struct slab *slab)
{
    return atomic_load_explicit(&slab->next, memory_order_relaxed) >= slab->plan.op_count;
}

/* The first of a batch's slabs that is used up or that this worker may read; NULL: others hold them
 * all. It need not be the first of all: nobody else reads what this worker holds, so it must find
 * that behind slabs which others hold. */
static struct slab *slab_find(const struct worker *worker, const struct lsio_batch *batch)
{
    struct slab *slab = batch->ready;

    while (slab && !slab_is_used_up(slab) && !slab_is_free(worker, slab))
        slab = slab->link;
    return slab;
}

/* The next slab with unclaimed operations, referenced; NULL: there is none now. Under the lock,
 * which planning gives up for a while. */
static struct slab *slab_choose(struct worker *worker)
{
    struct lsio_context *context = worker->context;
    uint32_t idle_batches = 0;

    while (context->work && idle_batches < atomic_load(&context->work_count)) {
        struct lsio_batch *batch = context->work;
        struct slab *slab;

        if (batch->ready_count < 2 && batch->plan_next && !batch->planning) {
            plan_one(worker, batch);
            idle_batches = 0;
            continue;
        }
        slab = slab_find(worker, batch);
        if (slab && slab_is_used_up(slab)) {
            ready_remove(batch, slab);
            pthread_mutex_unlock(&context->lock);
            slab_put(context, slab);
            pthread_mutex_lock(&context->lock);
            continue;
        }
        if (slab) {
            slab->holder = worker->index + 1;
            atomic_fetch_add_explicit(&slab->refs, 1, memory_order_relaxed);
            context->work = batch->work_next;
            return slab;
        }
        if (!batch->ready && !batch->plan_next && !batch->planning) {
            work_remove(batch);
            continue;
        }
        context->work = batch->work_next;
        idle_batches++;
    }
    return NULL;
}

/* A slab of parts that are not claimed, referenced; NULL: there is none. */
static struct slab *parts_find(struct lsio_context *context)
{
    struct lsio_batch *batch;
    struct slab *slab = NULL;

    pthread_mutex_lock(&context->lock);
    batch = context->work;
    for (uint32_t i = atomic_load(&context->work_count); batch && i && !slab; i--) {
        for (slab = batch->ready; slab; slab = slab->link)
            if (slab->is_split &&
                atomic_load_explicit(&slab->next, memory_order_relaxed) < slab->plan.op_count)
                break;
        batch = batch->work_next;
    }
    if (slab)
        atomic_fetch_add_explicit(&slab->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&context->lock);
    return slab;
}

/* Memory comes back when splits are read to their end: were all workers to wait for memory with
 * parts unclaimed, none ever would. Only a claim with something left is put aside. There is room
 * for one; until it is taken up again only parts are claimed, and those never wait for memory. */
bool claim_parts(struct worker *worker)
{
    struct claim claim = worker->claim;
    bool ended = claim.next == claim.end;
    struct slab *slab;

    if (worker->waiting.slab && !ended)
        return false;
    while ((slab = parts_find(worker->context)) != NULL) {
        if (claim_run(worker, slab)) {
            if (!ended) {
                LSIO_MARK(claim_put_aside);
                worker->waiting = claim;
            } else if (claim.slab) {
                slab_put(worker->context, claim.slab);
            }
            return true;
        }
        slab_put(worker->context, slab);
    }
    return false;
}

bool claim_resume(struct worker *worker)
{
    if (!worker->waiting.slab)
        return false;
    LSIO_MARK(claim_taken_up_again);
    claim_drop(worker);
    worker->claim = worker->waiting;
    worker->waiting = (struct claim){0};
    return true;
}

bool claim_next(struct worker *worker)
{
    struct lsio_context *context = worker->context;
    struct slab *slab = worker->claim.slab;

    /* batches take turns by the run, so that a short one need not wait for a long one's slab */
    if (slab && atomic_load_explicit(&context->work_count, memory_order_relaxed) <= 1 &&
        claim_run(worker, slab))
        return true;
    claim_drop(worker);
    if (atomic_load_explicit(&context->work_count, memory_order_relaxed) == 0) {
        worker->seen_epoch = atomic_load(&context->work_epoch);
        if (atomic_load(&context->work_count) == 0)
            return false;
    }
    pthread_mutex_lock(&context->lock);
    worker->seen_epoch = atomic_load(&context->work_epoch);
    while ((slab = slab_choose(worker)) != NULL) {
        pthread_mutex_unlock(&context->lock);
        if (claim_run(worker, slab)) {
            if (atomic_load_explicit(&context->hungry_count, memory_order_relaxed) &&
                atomic_load_explicit(&slab->next, memory_order_relaxed) < slab->plan.op_count)
                context_wake_one(context);
            return true;
        }
        slab_put(context, slab);
        pthread_mutex_lock(&context->lock);
    }
    pthread_mutex_unlock(&context->lock);
    return false;
}
