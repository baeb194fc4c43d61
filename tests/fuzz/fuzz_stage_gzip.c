/* SPDX-License-Identifier: MIT */
/* Arbitrary bytes through the gzip stage, in its framings. */
#include "stage_target.h"

static size_t make(uint8_t choice, struct lsio_stage *stages)
{
    struct lsio_gzip_options options = {sizeof(options), choice >= 4 ? 10000 : 0, 1 << 20,
                                        choice % 4u, 0};

    return lsio_stage_gzip(&options, stages) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    return target_one(bytes, count, make, 8);
}
