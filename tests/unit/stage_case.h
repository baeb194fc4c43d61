/* SPDX-License-Identifier: MIT */
/*
 * stage_case.h - what the tests of the chain and of the ready-made stages share: a chain with its
 * scratch memory, run over bytes that lie in blocks of exactly their size, so that a sanitizer sees
 * each byte that is touched outside.
 */
#ifndef LSIO_TESTS_UNIT_STAGE_CASE_H
#define LSIO_TESTS_UNIT_STAGE_CASE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "chain/chain.h"
#include "lsio/stages.h"

struct stage_case {
    struct lsio_chain *chain;
    struct chain_env env;
    struct chain_outcome outcome;
    uint8_t *out; /* what the last case_decode() gave; out_bytes of it */
    uint64_t out_bytes;
};

static inline uint64_t case_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* A chain of `count` stages with `scratch_bytes` of scratch memory. */
static inline void case_begin(struct stage_case *c, const struct lsio_stage *stages, size_t count,
                              uint64_t scratch_bytes)
{
    memset(c, 0, sizeof(*c));
    assert_int_equal(chain_create(NULL, 2, stages, count, &c->chain), 0);
    c->env.worker = 1;
    c->env.scratch_bytes = scratch_bytes;
    c->env.scratch =
        scratch_bytes ? aligned_alloc(4096, (scratch_bytes + 4095) & ~(size_t)4095) : NULL;
}

static inline void case_end(struct stage_case *c)
{
    chain_destroy(c->chain);
    free(c->env.scratch);
    free(c->out);
}

/* One chunk through the chain; c->outcome says what became of it. */
static inline int case_run(struct stage_case *c, const void *in, uint64_t in_bytes,
                           const struct lsio_chunk *chunk)
{
    struct chain_job job = {.chunk = chunk, .in = in, .in_bytes = in_bytes};

    memset(&c->outcome, 0xa5, sizeof(c->outcome));
    chain_run(&c->env, c->chain, &job, &c->outcome);
    if (c->outcome.status < 0) {
        assert_true(memchr(c->outcome.text, 0, sizeof(c->outcome.text)) != NULL);
        assert_int_equal(c->outcome.bytes, 0);
        assert_null(c->outcome.data);
    } else {
        assert_int_equal(c->outcome.code, 0);
    }
    return c->outcome.status;
}

/* `in` through the chain into a dst of exactly dst_bytes; in and dst are blocks of their own, in at
 * an odd address. */
static inline int case_decode(struct stage_case *c, const void *in, uint64_t in_bytes,
                              uint64_t dst_bytes, void *data)
{
    uint8_t *block = malloc((size_t)in_bytes + 1);
    struct lsio_chunk chunk = {.dst_bytes = dst_bytes, .data = data};
    int status;

    free(c->out);
    c->out = malloc((size_t)dst_bytes + 1); /* with NULL there would be no dst */
    chunk.dst = c->out + 1;
    if (in_bytes)
        memcpy(block + 1, in, (size_t)in_bytes);
    status = case_run(c, block + 1, in_bytes, &chunk);
    memmove(c->out, c->out + 1, (size_t)dst_bytes);
    c->out_bytes = status < 0 ? 0 : c->outcome.bytes;
    free(block);
    return status;
}

/* The same into memory of the library. */
static inline int case_decode_alloc(struct stage_case *c, const void *in, uint64_t in_bytes)
{
    struct lsio_chunk chunk = {.flags = LSIO_CHUNK_ALLOC};
    int status = case_run(c, in, in_bytes, &chunk);

    free(c->out);
    c->out = NULL;
    c->out_bytes = 0;
    if (status == 0) {
        assert_int_equal(c->outcome.flags, LSIO_RESULT_ALLOCATED);
        c->out = c->outcome.data;
        c->out_bytes = c->outcome.bytes;
    }
    return status;
}

#define case_expect(c, expected, bytes)                                                            \
    do {                                                                                           \
        assert_int_equal((c)->out_bytes, bytes);                                                   \
        assert_memory_equal((c)->out, expected, bytes);                                            \
    } while (0)

#define case_expect_text(c, part)                                                                  \
    do {                                                                                           \
        if (!strstr((c)->outcome.text, part))                                                      \
            fail_msg("\"%s\" is not in \"%s\"", part, (c)->outcome.text);                          \
    } while (0)

/* Each prefix of `in`, and `in` with single bits flipped, through the chain: whatever comes of it,
 * it must end, and stay inside its memory. */
static inline void case_damage(struct stage_case *c, const uint8_t *in, uint64_t in_bytes,
                               uint64_t dst_bytes, uint64_t seed)
{
    uint8_t *copy = malloc((size_t)in_bytes + 1);

    for (uint64_t i = 0; i < in_bytes; i += 1 + i / 64)
        case_decode(c, in, i, dst_bytes, NULL);
    for (int i = 0; i < 600; i++) {
        memcpy(copy, in, (size_t)in_bytes);
        for (uint64_t flips = 1 + case_random(&seed) % 3; flips; flips--) {
            uint64_t at = case_random(&seed) % (i % 2 ? in_bytes : (in_bytes < 40 ? in_bytes : 40));
            copy[at] ^= (uint8_t)(1u << case_random(&seed) % 8);
        }
        case_decode(c, copy, in_bytes, dst_bytes, NULL);
    }
    free(copy);
}

#endif
