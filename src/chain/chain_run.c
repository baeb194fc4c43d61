/* SPDX-License-Identifier: MIT */
/*
 * chain_run.c - runs one chunk's bytes through the stages of its chain and delivers what comes out.
 *
 * Design: a chunk's run lives on the stack of the worker. Nothing in it is cleared that is not
 * read, and the outcome's text is touched on failure only: for small chunks this function is the
 * cost of a chain.
 *
 * Delivery copies only what does not lie at its goal already. The last writer's output usually
 * does; if a later stage passed a slice of it on, the slice is moved to the front of dst, and if
 * dst was too small for the whole output, it comes from scratch memory.
 *
 * Threads: any number of workers at once on one chain, each with its own chain_env.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"
#include "chain/chain_impl.h"

static bool status_is_ours(int status)
{
    return status <= LSIO_E_TRUNCATED && status >= LSIO_E_TLS;
}

static void fail(struct run *run, int status, int code)
{
    struct chain_outcome *outcome = run->outcome;

    if (!run->text_set)
        outcome->text[0] = 0;
    outcome->status = status;
    outcome->code = code;
    outcome->flags = 0;
    outcome->bytes = 0;
    outcome->data = NULL;
}

/* What a stage's nonzero return value means. */
static void fail_stage(struct run *run, int status)
{
    const char *name = run->chain->stages[run->stage].name;

    if (status == run->library_status || status_is_ours(status)) {
        if (!run->text_set)
            lsio_call_fail(&run->call, status, "stage %s failed", name);
        fail(run, status, 0);
        return;
    }
    if (!run->text_set)
        lsio_call_fail(&run->call, status, "stage %s failed with code %d", name, status);
    LSIO_MARK(stage_failed);
    fail(run, LSIO_E_CALLBACK, status);
}

/* Makes what the stage has done the next stage's input. */
static void stage_finish(struct run *run)
{
    if (run->result == RUN_COMMITTED) {
        run->in = run->room_block;
    } else if (run->room && run->allocated) { /* the last writer took room and did not use it */
        free(run->allocated);
        run->allocated = NULL;
    }
    if (run->result != RUN_UNCHANGED) {
        run->call.in = run->next;
        run->call.in_bytes = run->next_bytes;
    }
    room_keep(run, run->in);
}

static int stages_run(struct run *run)
{
    const struct lsio_chain *chain = run->chain;

    for (uint32_t i = 0; i < chain->count; i++) {
        const struct lsio_stage *stage = &chain->stages[i];
        int status;

        run->stage = i;
        run->result = RUN_UNCHANGED;
        run->room = NULL;
        run->library_status = 0;
        run->text_set = false;
        run->call.user = stage->user;
        run->call.state = NULL;
        if (stage->init) {
            status = chain_state(chain, i, run->env->worker, &run->call.state);
            if (status < 0) {
                LSIO_MARK(stage_not_set_up);
                lsio_call_fail(&run->call, status, "stage %s could not be set up on worker %u",
                               stage->name, run->env->worker);
                fail(run, status, 0);
                return status;
            }
        }
        status = stage->run(&run->call);
        if (status != 0) {
            fail_stage(run, status);
            return status;
        }
        if (run->result != RUN_UNCHANGED || run->region[0].used[0] || run->region[0].used[1] ||
            run->oversize || run->allocated)
            stage_finish(run);
    }
    return 0;
}

/* Into memory that the result owns: the last writer's room, if the bytes lie in it, else new
 * memory. */
static void deliver_allocated(struct run *run, const uint8_t *bytes, uint64_t count)
{
    struct chain_outcome *outcome = run->outcome;
    void *into = run->allocated;

    if (into) {
        if (bytes != into)
            memmove(into, bytes, (size_t)count);
        if (count < run->allocated_bytes / 2) {
            void *smaller = realloc(into, count ? (size_t)count : 1);
            into = smaller ? smaller : into;
        }
        run->allocated = NULL;
    } else {
        into = count <= SIZE_MAX / 2 ? malloc(count ? (size_t)count : 1) : NULL;
        if (!into) {
            LSIO_MARK(result_no_memory);
            lsio_call_fail(&run->call, -ENOMEM, "no memory for %llu bytes",
                           (unsigned long long)count);
            fail(run, -ENOMEM, 0);
            return;
        }
        if (count)
            memcpy(into, bytes, (size_t)count);
    }
    outcome->status = 0;
    outcome->code = 0;
    outcome->flags = LSIO_RESULT_ALLOCATED;
    outcome->bytes = count;
    outcome->data = into;
}

static void deliver(struct run *run)
{
    const struct lsio_chunk *chunk = run->call.chunk;
    struct chain_outcome *outcome = run->outcome;
    const uint8_t *bytes = run->call.in;
    uint64_t count = run->call.in_bytes;

    if (!chunk->dst && (chunk->flags & LSIO_CHUNK_ALLOC)) {
        deliver_allocated(run, bytes, count);
        return;
    }
    if (chunk->dst && count > chunk->dst_bytes) {
        LSIO_MARK(chain_result_beyond_dst);
        lsio_call_fail(&run->call, LSIO_E_NO_SPACE,
                       "%llu bytes are to be delivered; dst holds %llu", (unsigned long long)count,
                       (unsigned long long)chunk->dst_bytes);
        fail(run, LSIO_E_NO_SPACE, 0);
        return;
    }
    if (chunk->dst && bytes != chunk->dst && count)
        memmove(chunk->dst, bytes, (size_t)count); /* a slice may lie further back in dst */
    outcome->status = 0;
    outcome->code = 0;
    outcome->flags = 0;
    outcome->bytes = count;
    outcome->data = chunk->dst;
}

void chain_run(struct chain_env *env, const struct lsio_chain *chain, const struct chain_job *job,
               struct chain_outcome *outcome)
{
    const struct block outside = {CHAIN_REGION_NONE, 0, 0};
    struct run run; /* not cleared: see the design note */

    run.call.in = job->in;
    run.call.in_bytes = job->in_bytes;
    run.call.data = job->chunk->data;
    run.call.chunk = job->chunk;
    run.call.index = job->index;
    run.call.worker = env->worker;
    run.call.reserved = 0;
    run.call.batch = job->batch;
    run.env = env;
    run.chain = chain;
    run.outcome = outcome;
    run.in = outside;
    run.region[0].base = env->scratch;
    run.region[0].bytes = env->scratch_bytes & ~(uint64_t)(CHAIN_ALIGN_BYTES - 1);
    run.region[0].used[0] = run.region[0].used[1] = 0;
    run.region[1] = (struct region){0};
    run.oversize = NULL;
    run.allocated = NULL;
    run.allocated_bytes = 0;
    run.text_set = false;
    if (!chain || stages_run(&run) == 0)
        deliver(&run);
    if (run.oversize)
        room_keep(&run, outside);
    free(run.allocated);
}
