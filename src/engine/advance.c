/* SPDX-License-Identifier: MIT */
/*
 * Design: the members of a joined read that comes over a network, one after another as their bytes
 * arrive. A long answer takes a while; chains that run meanwhile find their bytes in cache, and
 * results are there sooner. Only the driver knows what is final, so it is asked to tell, for one
 * member at a time; where none tells, nothing happens here.
 *
 * The last member is never taken early: it ends with the read, so batch, slab and buffer outlive
 * whatever runs here. What fails or is canceled later fails the members that are left, as
 * operation_finish() does; those that have ended keep their ends.
 *
 * Threads: the worker that owns the read. Until it completes nobody else sees the operation.
 */
#include "base/mark.h"
#include "engine/engine.h"

/* Its next member, and how many bytes of the read that needs; 0: it is the last one. */
static uint64_t next_member(const struct operation *operation, uint64_t read_offset,
                            uint64_t *index, uint64_t *offset, uint64_t *length)
{
    if (operation->delivered + 1 >= operation->plan->count)
        return 0;
    operation_member(operation, operation->delivered, index, offset, length);
    return *offset + *length - read_offset;
}

void operation_advance_begin(struct operation *operation, uint64_t offset)
{
    uint64_t index, member_offset, length;

    operation->read.ready_bytes = 0;
    operation->read.tell_bytes = next_member(operation, offset, &index, &member_offset, &length);
}

void worker_advanced(struct driver_env *env, struct driver_read *read)
{
    struct worker *worker = container_of(env, struct worker, env);
    struct operation *operation = container_of(read, struct operation, read);

    operation->advancing = true;
    operation->advancing_next = worker->advancing;
    worker->advancing = operation;
}

void operation_advance_end(struct worker *worker, struct operation *operation)
{
    struct operation **link = &worker->advancing;

    if (!operation->advancing)
        return;
    while (*link != operation)
        link = &(*link)->advancing_next;
    *link = operation->advancing_next;
    operation->advancing = false;
}

/* True if the next member has come: it is delivered. False: the driver is asked to tell. */
static bool member_deliver(struct worker *worker, struct operation *operation)
{
    struct driver_read *read = &operation->read;
    uint64_t index, offset, length;
    uint64_t need = next_member(operation, read->offset, &index, &offset, &length);

    if (need == 0 || need > read->ready_bytes) {
        read->tell_bytes = need;
        return false;
    }
    LSIO_MARK(join_member_early);
    operation->delivered++;
    chunk_deliver(worker, operation->segment, index, read->addr + (offset - read->offset), length,
                  NULL);
    return true;
}

bool worker_advance(struct worker *worker)
{
    struct operation *operation = worker->advancing;
    uint64_t begin_ns;

    if (!operation)
        return false;
    begin_ns = worker->env.os->now_ns();
    do {
        if (!member_deliver(worker, operation)) {
            worker->advancing = operation->advancing_next;
            operation->advancing = false;
            operation = worker->advancing;
        }
    } while (operation && worker->env.os->now_ns() - begin_ns < ENGINE_SLICE_NS);
    return true;
}
