/* SPDX-License-Identifier: MIT */
/*
 * oracle.h - what must become of a chunk, by the words of lsio.h alone: a reader of one object in
 * memory, without planner, threads or storage. It knows no faults; what those may change is
 * check.c's business.
 */
#ifndef LSIO_TESTS_SIM_ORACLE_H
#define LSIO_TESTS_SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lsio/lsio.h"

/* What the test's chains are made of. */
enum oracle_stage {
    STAGE_END = 0,
    STAGE_CRC,     /* lsio_stage_crc32c: checks the trailing four bytes and strips them */
    STAGE_SWAP,    /* lsio_stage_byteswap of four bytes */
    STAGE_LOOK,    /* reads only */
    STAGE_ACT,     /* reads only, and does what its batch has planned for it */
    STAGE_SCRATCH, /* reads only, and uses as much scratch memory as its input is long */
    STAGE_SLICE,   /* passes on all but the first and the last seventh */
    STAGE_COPY,    /* writes the input XOR 0x5a */
    STAGE_DOUBLE,  /* writes each byte twice */
    STAGE_THIRD,   /* asks for room for its input, and writes the first third of it */
    STAGE_VAIN,    /* asks for room for its input, and does not use it */
    STAGE_FAIL     /* returns the chunk's code, if it has one */
};

#define ORACLE_STAGES_MAX 3
#define ORACLE_CHAINS     20 /* the first is no chain */
#define ORACLE_CRC_BLOCK  512 /* test files hold blocks of this size that end in their checksum */

extern const uint8_t oracle_chains[ORACLE_CHAINS][ORACLE_STAGES_MAX + 1];

struct oracle_object {
    const uint8_t *bytes;
    uint64_t size;
    bool absent, directory, bad_key;
};

/* All statuses that are right: several if several things are wrong with the chunk at once. */
struct oracle_answer {
    int statuses[6];
    unsigned status_count;
    uint8_t *bytes; /* if the status may be 0: what is delivered */
    uint64_t count;
    uint64_t length; /* what the range means; 0 if it means nothing */
};

/* `out` is room for the answer's bytes: oracle_room() of them. An index out of range is no business
 * of the oracle's. */
void oracle_read(const struct oracle_object *object, const struct lsio_chunk *chunk, unsigned chain,
                 int code, uint8_t *out, struct oracle_answer *answer);
static inline uint64_t oracle_room(uint64_t object_bytes)
{
    return 2 * object_bytes + 1;
}

bool oracle_allows(const struct oracle_answer *answer, int status);
void oracle_allow(struct oracle_answer *answer, int status);
/* The CRC-32C of RFC 3720, appendix B.4. */
uint32_t oracle_crc32c(const uint8_t *bytes, uint64_t count);
/* True if a chunk with dst and this chain has nothing between the read and dst. */
bool oracle_chain_is_raw(unsigned chain);

#endif
