/* SPDX-License-Identifier: MIT */
/* plan_fixture.h - a planner, a slab and a few objects and chunks to fill in, for test_plan_*.c. */
#ifndef LSIO_TESTS_PLAN_FIXTURE_H
#define LSIO_TESTS_PLAN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plan/parts.h"
#include "plan/plan.h"

#define FIXTURE_CHUNKS  4096u
#define FIXTURE_OBJECTS 8u
#define KIB(n)          ((uint64_t)(n) << 10)
#define MIB(n)          ((uint64_t)(n) << 20)

struct fixture {
    struct plan_profile profile;
    struct plan_object objects[FIXTURE_OBJECTS];
    struct lsio_chunk chunks[FIXTURE_CHUNKS];
    struct plan_input input;
    struct planner *planner;
    struct plan_slab slab, resumed;
};

static char fixture_decodes, fixture_memory;

/* A chain that writes, so that its chunks need a buffer. */
static inline const struct lsio_chain *decodes(void)
{
    return (const struct lsio_chain *)(const void *)&fixture_decodes;
}

static bool fixture_reads_into_dst(const struct lsio_chain *chain)
{
    return chain != decodes();
}

static inline void fixture_reset(struct fixture *f, const char *profile)
{
    assert_int_equal(plan_profile_builtin(profile, &f->profile), 0);
    for (uint32_t i = 0; i < FIXTURE_OBJECTS; i++) {
        f->objects[i] = (struct plan_object){.profile = &f->profile};
        atomic_init(&f->objects[i].size, LSIO_SIZE_UNKNOWN);
    }
    f->input = (struct plan_input){
        .chunks = f->chunks,
        .chunk_bytes = sizeof(f->chunks[0]),
        .objects = f->objects,
        .object_bytes = sizeof(f->objects[0]),
        .object_count = FIXTURE_OBJECTS,
        .reads_into_dst = fixture_reads_into_dst,
    };
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f || planner_create(FIXTURE_CHUNKS, &f->planner) != 0) {
        return -1;
    }
    f->slab.order = calloc(FIXTURE_CHUNKS, sizeof(*f->slab.order));
    f->slab.ops = calloc(FIXTURE_CHUNKS, sizeof(*f->slab.ops));
    f->resumed.order = calloc(FIXTURE_CHUNKS, sizeof(*f->slab.order));
    f->resumed.ops = calloc(FIXTURE_CHUNKS, sizeof(*f->slab.ops));
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    planner_destroy(f->planner);
    free(f->slab.order);
    free(f->slab.ops);
    free(f->resumed.order);
    free(f->resumed.ops);
    free(f);
    return 0;
}

/* Appends a chunk that needs a buffer. */
static inline struct lsio_chunk *add(struct fixture *f, uint32_t object, int64_t offset,
                                     uint64_t length)
{
    struct lsio_chunk *chunk = &f->chunks[f->input.chunk_count++];

    *chunk = (struct lsio_chunk){.object = object, .offset = offset, .length = length};
    return chunk;
}

/* Appends a chunk that is read straight into its dst. */
static inline struct lsio_chunk *add_direct(struct fixture *f, uint32_t object, int64_t offset,
                                            uint64_t length)
{
    struct lsio_chunk *chunk = add(f, object, offset, length);

    chunk->dst = &fixture_memory;
    chunk->dst_bytes = length;
    return chunk;
}

static inline void build(struct fixture *f)
{
    plan_slab_build(f->planner, &f->input, 0, (uint32_t)f->input.chunk_count, &f->slab);
}

static inline void expect_op(const struct plan_slab *slab, uint32_t index, int kind, uint32_t count,
                             uint64_t span)
{
    assert_true(index < slab->op_count);
    assert_int_equal(slab->ops[index].kind, kind);
    assert_int_equal(slab->ops[index].count, count);
    assert_int_equal(slab->ops[index].span_bytes, span);
}

/* One operation that holds everything. */
static inline void expect_only(struct fixture *f, int kind, uint32_t count, uint64_t span)
{
    build(f);
    assert_int_equal(f->slab.op_count, 1);
    expect_op(&f->slab, 0, kind, count, span);
}

/* Every chunk by itself. */
static inline void expect_apart(struct fixture *f)
{
    build(f);
    assert_int_equal(f->slab.op_count, f->input.chunk_count);
}

#endif
