/* SPDX-License-Identifier: MIT */
/*
 * Design: the end of what has not begun of a canceled batch. Its operations would end by themselves
 * when a worker comes to start them, but a worker whose reads in flight are as many as they may be
 * starts none, and those may be other batches', on a slow disk. So each worker that is told of a
 * cancel looks through what it has claimed, what waits for memory, and what nobody has claimed or
 * planned, and reports it at once. Reads in flight are the drivers' to end.
 *
 * While something of a batch is not reported the batch is alive; the last report may free it, and
 * then only the slab is touched, which is the context's.
 */
#include "base/mark.h"
#include "engine/engine.h"

static int32_t canceled(const struct lsio_batch *batch)
{
    return atomic_load_explicit(&batch->record.cancel_status, memory_order_relaxed);
}

static void claim_sweep(struct worker *worker, struct claim *claim)
{
    struct slab *slab = claim->slab;
    int32_t status;

    if (!slab || claim->next == claim->end)
        return;
    status = canceled(slab->segment->batch);
    if (!status)
        return;
    LSIO_MARK(canceled_claim);
    while (claim->next != claim->end)
        operation_cancel(worker, slab, claim->next++, status);
    slab_put(worker->context, slab);
    *claim = (struct claim){0}; /* one that is put aside has something left */
}

/* Ends the operations of a slab that nobody has claimed. Called and returns with the lock held. */
static void slab_sweep(struct worker *worker, struct slab *slab, int32_t status)
{
    struct lsio_context *context = worker->context;
    uint32_t count = slab->plan.op_count;
    uint32_t next = atomic_fetch_add_explicit(&slab->next, count, memory_order_relaxed);

    atomic_fetch_add_explicit(&slab->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&context->lock);
    LSIO_MARK(canceled_slab);
    while (next < count)
        operation_cancel(worker, slab, next++, status);
    slab_put(context, slab);
    fold_flush(worker);
    pthread_mutex_lock(&context->lock);
}

/* The same for chunks that are not planned. */
static void segment_sweep(struct worker *worker, struct segment *segment, int32_t status)
{
    struct lsio_context *context = worker->context;
    uint64_t next = segment->planned, count = segment->view.chunk_count;

    segment->planned = count;
    segment->batch->plan_next = segment->plan_link;
    pthread_mutex_unlock(&context->lock);
    LSIO_MARK(canceled_unplanned);
    while (next < count)
        chunk_fail(worker, segment, next++, status, 0, NULL);
    fold_flush(worker);
    pthread_mutex_lock(&context->lock);
}

static struct slab *slab_unclaimed(const struct lsio_batch *batch)
{
    struct slab *slab = batch->ready;

    while (slab &&
           atomic_load_explicit(&slab->next, memory_order_relaxed) >= slab->plan.op_count)
        slab = slab->link;
    return slab;
}

/* Something was ended: the ring may be another one now. Under the lock. */
static bool ring_sweep(struct worker *worker)
{
    struct lsio_batch *batch = worker->context->work;

    for (uint32_t i = atomic_load(&worker->context->work_count); batch && i; i--) {
        int32_t status = canceled(batch);
        struct slab *slab = status ? slab_unclaimed(batch) : NULL;
        if (slab) {
            slab_sweep(worker, slab, status);
            return true;
        }
        if (status && batch->plan_next && !batch->planning) {
            segment_sweep(worker, batch->plan_next, status);
            return true;
        }
        batch = batch->work_next;
    }
    return false;
}

void worker_sweep(struct worker *worker)
{
    struct lsio_context *context = worker->context;

    claim_sweep(worker, &worker->claim);
    claim_sweep(worker, &worker->waiting);
    operation_resumed_cancel(worker);
    pthread_mutex_lock(&context->lock);
    while (ring_sweep(worker))
        ;
    pthread_mutex_unlock(&context->lock);
}
