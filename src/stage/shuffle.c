/* SPDX-License-Identifier: MIT */
/*
 * shuffle.c - the stage that undoes a byte shuffle.
 *
 * Design: unshuffle.c does the work; the way that suits the typesize and the processor is chosen
 * when the stage is made. Bytes behind the last whole element are copied as they are, as HDF5 and
 * Blosc do.
 *
 * Threads: the stage is frozen; nothing else is shared.
 */
#include "stage/unshuffle.h"

#include <errno.h>

#include "stage/stage.h"

#define TYPESIZE_MAX 65536

struct shuffle_stage { /* frozen */
    uint32_t typesize;
    unshuffle_fn *unshuffle;
};

static int shuffle_run(struct lsio_call *call)
{
    const struct shuffle_stage *stage = call->user;
    void *out;
    int status;

    if (stage->typesize == 1 || call->in_bytes < stage->typesize)
        return 0; /* the same bytes go on */
    status = lsio_call_out(call, call->in_bytes, &out);
    if (status < 0)
        return status;
    unshuffle_block(stage->unshuffle, call->in, stage->typesize, (size_t)call->in_bytes, out);
    return lsio_call_commit(call, call->in_bytes);
}

int lsio_stage_shuffle(const struct lsio_shuffle_options *options, struct lsio_stage *out)
{
    struct lsio_shuffle_options known;
    struct shuffle_stage stage;
    int status = stage_options_read(&known, sizeof(known), options);

    if (status < 0 || !out || known.typesize < 1 || known.typesize > TYPESIZE_MAX)
        return -EINVAL;
    stage.typesize = known.typesize;
    stage.unshuffle = unshuffle_find(known.typesize);
    return stage_make(out, "shuffle", shuffle_run, LSIO_STAGE_WRITES, &stage, sizeof(stage));
}
