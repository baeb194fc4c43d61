/* SPDX-License-Identifier: MIT */
/*
 * chain_call.c - what a stage may do with its chunk: lsio_call_out, _commit, _pass, _scratch,
 * _fail.
 *
 * Design: the functions only note what the stage wants; chain_run.c acts on it when the stage
 * returns. The one decision made here is where output goes: the last writer's to the chunk's dst,
 * to memory that the result will own, or to where the last stage would copy it; all other output to
 * scratch memory. A failure reported to the stage is remembered, so that a stage which returns it
 * is not taken for one with an error code of its own.
 *
 * Threads: the worker that runs the stage.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mark.h"
#include "chain/chain_impl.h"

static const struct block block_none = {CHAIN_REGION_NONE, 0, 0};

/* The status that a function reports to the stage, remembered if it is a failure. */
static int report(struct run *run, int status)
{
    if (status < 0)
        run->library_status = status;
    return status;
}

static int refuse(struct run *run, const char *what)
{
    return report(run, lsio_call_fail(&run->call, -EINVAL, "stage %s: %s",
                                      run->chain->stages[run->stage].name, what));
}

/* Where the last stage would copy the chunk to, or NULL. */
static void *place_find(struct run *run, uint64_t bytes)
{
    const struct lsio_chain *chain = run->chain;
    uint32_t last = chain->count - 1;
    struct lsio_call call = run->call;

    call.in = NULL;
    call.in_bytes = 0;
    call.user = chain->stages[last].user;
    call.state = NULL;
    if (chain->stages[last].init && chain_state(chain, last, run->env->worker, &call.state) < 0)
        return NULL; /* the stage's own turn will report it */
    return chain->stages[last].place(&call, bytes);
}

/* Room for the last writer, if it has a place of its own. 1: it does not. */
static int final_room(struct run *run, uint64_t bytes, void **out)
{
    const struct lsio_chunk *chunk = run->call.chunk;

    if (chunk->dst) {
        if (bytes <= chunk->dst_bytes) {
            *out = chunk->dst;
            return 0;
        }
        if (run->chain->slices_after) /* what is left in the end may still fit */
            return 1;
        LSIO_MARK(stage_output_beyond_dst);
        return lsio_call_fail(&run->call, LSIO_E_NO_SPACE,
                              "stage %s puts out %llu bytes; dst holds %llu",
                              run->chain->stages[run->stage].name, (unsigned long long)bytes,
                              (unsigned long long)chunk->dst_bytes);
    }
    if (chunk->flags & LSIO_CHUNK_ALLOC) {
        free(run->allocated);
        run->allocated = bytes <= SIZE_MAX / 2 ? malloc(bytes ? (size_t)bytes : 1) : NULL;
        if (!run->allocated)
            return lsio_call_fail(&run->call, -ENOMEM,
                                  "stage %s: no memory for %llu bytes of output",
                                  run->chain->stages[run->stage].name, (unsigned long long)bytes);
        run->allocated_bytes = bytes;
        *out = run->allocated;
        return 0;
    }
    if (run->chain->places) {
        *out = place_find(run, bytes);
        if (*out)
            return 0;
    }
    return 1;
}

int lsio_call_out(struct lsio_call *call, uint64_t bytes, void **out)
{
    struct run *run = run_of(call);
    void *room = NULL;
    int status = 1;

    if (run->chain->stages[run->stage].flags != LSIO_STAGE_WRITES)
        return refuse(run, "lsio_call_out without LSIO_STAGE_WRITES");
    if (run->room)
        return refuse(run, "lsio_call_out was called twice");
    run->room_block = block_none;
    if (run->stage == run->chain->last_writer)
        status = final_room(run, bytes, &room);
    if (status == 1)
        status = room_take(run, bytes, true, &room, &run->room_block);
    if (status < 0)
        return report(run, status);
    run->room = room;
    run->room_bytes = bytes;
    *out = room;
    return 0;
}

int lsio_call_commit(struct lsio_call *call, uint64_t used)
{
    struct run *run = run_of(call);

    if (!run->room)
        return refuse(run, "lsio_call_commit without lsio_call_out");
    if (used > run->room_bytes)
        return refuse(run, "lsio_call_commit of more bytes than there is room");
    run->result = RUN_COMMITTED;
    run->next = run->room;
    run->next_bytes = used;
    return 0;
}

int lsio_call_pass(struct lsio_call *call, const void *ptr, uint64_t bytes)
{
    struct run *run = run_of(call);
    uintptr_t begin = (uintptr_t)call->in;
    uintptr_t at = (uintptr_t)ptr;

    if (run->chain->stages[run->stage].flags == LSIO_STAGE_READS_ONLY)
        return refuse(run, "lsio_call_pass with LSIO_STAGE_READS_ONLY");
    if (at < begin || at - begin > call->in_bytes || bytes > call->in_bytes - (at - begin))
        return refuse(run, "lsio_call_pass of bytes outside the input");
    run->result = RUN_PASSED;
    run->next = ptr;
    run->next_bytes = bytes;
    return 0;
}

int lsio_call_scratch(struct lsio_call *call, uint64_t bytes, void **out)
{
    struct block block;

    return report(run_of(call), room_take(run_of(call), bytes, false, out, &block));
}

int lsio_call_fail(struct lsio_call *call, int status, const char *format, ...)
{
    struct run *run = run_of(call);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(run->outcome->text, sizeof(run->outcome->text), format, arguments);
    va_end(arguments);
    run->text_set = true;
    return status;
}
