/* SPDX-License-Identifier: MIT */
/*
 * Arbitrary bytes through the zstd stage.
 *
 * LSIO_ROWS: D1 D2
 */
#include "stage_target.h"

static size_t make(uint8_t choice, struct lsio_stage *stages)
{
    struct lsio_zstd_options options = {sizeof(options), choice == 1 ? 10000 : 0,
                                        choice == 2 ? TARGET_DST_BYTES : 1 << 20};

    return lsio_stage_zstd(&options, stages) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    return target_one(bytes, count, make, 3);
}
