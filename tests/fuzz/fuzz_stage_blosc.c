/* SPDX-License-Identifier: MIT */
/*
 * Arbitrary bytes through the blosc stage.
 *
 * LSIO_ROWS: D3
 */
#include "stage_target.h"

static size_t make(uint8_t choice, struct lsio_stage *stages)
{
    struct lsio_blosc_options options = {sizeof(options), choice == 1 ? 10000 : 0, 1 << 20};

    return lsio_stage_blosc(&options, stages) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    return target_one(bytes, count, make, 2);
}
