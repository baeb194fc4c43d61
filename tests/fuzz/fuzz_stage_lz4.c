/* SPDX-License-Identifier: MIT */
/* Arbitrary bytes through the lz4 stage, in its three framings. */
#include "stage_target.h"

static size_t make(uint8_t choice, struct lsio_stage *stages)
{
    struct lsio_lz4_options options = {sizeof(options), choice >= 3 ? 10000 : 0, 1 << 20,
                                       choice % 3u, 0};

    return lsio_stage_lz4(&options, stages) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    return target_one(bytes, count, make, 6);
}
