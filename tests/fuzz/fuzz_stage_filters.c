/* SPDX-License-Identifier: MIT */
/* Arbitrary bytes through a checksum, which is not compared, an unshuffle and a byteswap. */
#include "stage_target.h"

static size_t make(uint8_t choice, struct lsio_stage *stages)
{
    struct lsio_crc32c_options crc = {sizeof(crc), choice & 1u, 1, 0};
    struct lsio_shuffle_options shuffle = {sizeof(shuffle), 1u + choice / 2u % 20u, 0};
    struct lsio_byteswap_options swap = {sizeof(swap), 1u << choice % 5u, 0};

    return lsio_stage_crc32c(&crc, &stages[0]) == 0 &&
                   lsio_stage_shuffle(&shuffle, &stages[1]) == 0 &&
                   lsio_stage_byteswap(&swap, &stages[2]) == 0
               ? 3
               : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    return target_one(bytes, count, make, 120);
}
