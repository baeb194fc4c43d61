/* SPDX-License-Identifier: MIT */
/* When a slab is sorted, into which order, and planning again after a probe. */
#include "plan_fixture.h"

/* Adds `count` chunks at multiples of `spacing`, in an order that is far from ascending. */
static void add_shuffled(struct fixture *f, uint32_t object, uint32_t count, uint64_t length,
                         uint64_t spacing)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t j = (uint32_t)((uint64_t)i * 1597 % count); /* a permutation: 1597 is a prime */

        add(f, object, (int64_t)(spacing * j), length);
    }
}

static void expect_ascending(const struct fixture *f)
{
    uint32_t object = 0;
    int64_t offset = 0;

    for (uint32_t i = 0; i < f->slab.chunk_count; i++) {
        const struct lsio_chunk *chunk = &f->chunks[plan_chunk_of(&f->slab, i)];

        assert_true(chunk->object > object || (chunk->object == object && chunk->offset >= offset));
        object = chunk->object;
        offset = chunk->offset;
    }
}

static void in_order_is_left_alone(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "hdd");
    for (uint32_t i = 0; i < 1000; i++) {
        add(f, i / 300, (int64_t)4096 * (i % 300), 4096);
    }
    build(f);
    assert_false(f->slab.sorted);
    assert_int_equal(f->slab.op_count, 4);
}

static void dense_chunks_are_sorted(void **state)
{
    static const char *const names[] = {"nvme", "ssd", "hpc", "cloud", "memory"};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        fixture_reset(f, names[i]);
        add_shuffled(f, 0, 4000, 1000, 1000);
        build(f);
        assert_true(f->slab.sorted);
        expect_ascending(f);
        assert_int_equal(f->slab.bytes_read, 4000000);
        assert_true(f->slab.op_count <= 4000000 / 65000 + 1);
    }
}

static void sparse_chunks_keep_the_callers_order(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add_shuffled(f, 0, 4000, 4096, 100000);
    build(f);
    assert_false(f->slab.sorted);
    assert_int_equal(f->slab.op_count, 4000);
}

/* The first pass gives up on so random an order; what is planned then must be as complete. */
static void random_order_that_stays_is_planned_whole(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add_shuffled(f, 0, 3000, 4096, 100000);
    for (uint32_t i = 0; i < 10; i++) {
        add(f, 0, 5, 0);
        add(f, 1, -10, 10);
        add(f, 2, 0, MIB(1024) + 1);
        add_direct(f, 3, (int64_t)MIB(i), 4096);
        add_direct(f, 3, (int64_t)MIB(i) + 4096, 4096);
    }
    build(f);
    assert_false(f->slab.sorted);
    assert_int_equal(f->slab.op_count, 3040);
    for (uint32_t i = 0; i < 3000; i++) {
        expect_op(&f->slab, i, PLAN_READ, 1, 4096);
        assert_int_equal(f->slab.ops[i].first, i);
    }
    for (uint32_t i = 3000; i < 3040; i += 4) {
        expect_op(&f->slab, i, PLAN_NONE, 1, 0);
        expect_op(&f->slab, i + 1, PLAN_PROBE, 1, 0);
        expect_op(&f->slab, i + 2, PLAN_SPLIT, 1, 0);
        assert_int_equal(f->slab.ops[i + 2].parts, 513);
        expect_op(&f->slab, i + 3, PLAN_VECTOR, 2, 8192);
    }
}

static void gap_zero_sorts_only_what_touches(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->profile.gap_bytes = 0;
    add_shuffled(f, 0, 4000, 4096, 4097);
    build(f);
    assert_false(f->slab.sorted);
}

static void chunks_too_long_to_join_are_not_sorted(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add_shuffled(f, 0, 4000, KIB(256), KIB(256));
    build(f);
    assert_false(f->slab.sorted);
}

static void wasteful_joins_are_no_reason_to_sort(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "cloud"); /* within gap_bytes, but nine tenths would be waste */
    add_shuffled(f, 0, 4000, 4096, 40960);
    build(f);
    assert_false(f->slab.sorted);
}

static void clusters_far_apart_are_found(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    for (uint32_t i = 0; i < 4000; i++) {
        uint32_t j = (uint32_t)((uint64_t)i * 1597 % 4000);
        add(f, 0, (int64_t)(j / 10) * (INT64_C(1) << 40) + (int64_t)(j % 10) * 4096, 4096);
    }
    build(f);
    assert_true(f->slab.sorted);
    assert_int_equal(f->slab.op_count, 400);
}

static void shuffled_overlaps_are_found(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->profile.gap_bytes = 0;
    add_shuffled(f, 0, 4000, 10000, 2500);
    build(f);
    assert_true(f->slab.sorted);
    assert_int_equal(f->slab.bytes_asked, 40000000);
    assert_true(f->slab.bytes_read < 11000000);
}

static void interleaved_objects_are_sorted(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    for (uint32_t i = 0; i < 4000; i++) {
        add_direct(f, i % FIXTURE_OBJECTS, (int64_t)(i / FIXTURE_OBJECTS) * 4096, 4096);
    }
    build(f);
    assert_true(f->slab.sorted);
    expect_ascending(f);
    assert_int_equal(f->slab.op_count, FIXTURE_OBJECTS * 8);
}

/* Joined as well as can be already: only the objects are the other way round. */
static void descending_objects_are_left_alone(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    for (uint32_t i = 0; i < 4000; i++) {
        add(f, FIXTURE_OBJECTS - 1 - i / 500, (int64_t)(i % 500) * 4096, 4096);
    }
    build(f);
    assert_false(f->slab.sorted);
}

static void wide_keys_are_sorted_in_rounds(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "hdd");
    add(f, 0, 0, 1);
    for (uint32_t i = 0; i < 4000; i++) {
        uint64_t mixed = (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
        add(f, (uint32_t)(mixed >> 61), (int64_t)(mixed * mixed >> 2), 1);
    }
    add(f, FIXTURE_OBJECTS - 1, INT64_MAX - 1, 1);
    build(f);
    assert_true(f->slab.sorted);
    expect_ascending(f);
}

static void few_chunks_are_sorted_too(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add(f, 0, 8192, 4096);
    add(f, 0, 0, 4096);
    add(f, 0, 4096, 4096);
    expect_only(f, PLAN_JOIN, 3, 12288);
    assert_true(f->slab.sorted);
    assert_int_equal(f->slab.order[0], 1);
    assert_int_equal(f->slab.order[1], 2);
    assert_int_equal(f->slab.order[2], 0);
}

static void stores_are_grouped(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "hdd");
    f->objects[0].store = f->objects[2].store = 7;
    f->objects[1].store = f->objects[3].store = 3;
    for (uint32_t i = 0; i < 8; i++) {
        add(f, i % 4, 1 << 20, 10);
    }
    build(f);
    assert_true(f->slab.sorted);
    for (uint32_t i = 0; i < 8; i++) {
        static const uint32_t objects[] = {1, 1, 3, 3, 0, 0, 2, 2};
        assert_int_equal(f->chunks[f->slab.order[i]].object, objects[i]);
    }
}

static void seeking_storage_is_read_in_physical_order(void **state)
{
    static const struct plan_extent first[] = {{0, 5000000, 1000000}, {1000000, 1000000, 1000000}};
    static const struct plan_extent second[] = {{0, 3000000, 1000000}};
    struct fixture *f = *state;

    fixture_reset(f, "hdd");
    f->objects[0].extents = first;
    f->objects[0].extent_count = 2;
    f->objects[1].extents = second;
    f->objects[1].extent_count = 1;
    add(f, 0, 0, 1000);       /* 5.0 MB on the medium */
    add(f, 0, 1500000, 1000); /* 1.5 */
    add(f, 1, 0, 1000);       /* 3.0 */
    add(f, 2, 0, 1000);       /* unknown: after those that are known */
    build(f);
    assert_true(f->slab.sorted);
    assert_int_equal(f->slab.order[0], 1);
    assert_int_equal(f->slab.order[1], 2);
    assert_int_equal(f->slab.order[2], 0);
    assert_int_equal(f->slab.order[3], 3);

    f->profile.physical_order = false;
    build(f);
    assert_false(f->slab.sorted);
}

static void equal_chunks_keep_their_order(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "hdd");
    for (uint32_t i = 0; i < 200; i++) {
        add(f, 0, 4096 * (int64_t)(9 - i % 10), 10);
    }
    build(f);
    assert_true(f->slab.sorted);
    for (uint32_t i = 1; i < 200; i++) {
        uint32_t before = f->slab.order[i - 1], here = f->slab.order[i];
        assert_true(f->chunks[before].offset < f->chunks[here].offset || before < here);
    }
}

static void idle_chunks_come_first_when_sorted(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "hdd");
    add(f, 0, 4096, 4096);
    add(f, UINT32_MAX, 0, 4096);
    add(f, 0, -10, LSIO_TO_END);
    add(f, 0, 0, 4096);
    add(f, 0, 9, 0);
    build(f);
    assert_int_equal(f->slab.op_count, 3);
    expect_op(&f->slab, 0, PLAN_NONE, 2, 0);
    expect_op(&f->slab, 1, PLAN_PROBE, 1, 0);
    expect_op(&f->slab, 2, PLAN_JOIN, 2, 8192);
}

static void a_slab_may_begin_anywhere(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    for (uint32_t i = 0; i < 100; i++) {
        add(f, 0, 4096 * (int64_t)(99 - i), 4096);
    }
    plan_slab_build(f->planner, &f->input, 90, 10, &f->slab);
    assert_int_equal(f->slab.chunk_count, 10);
    assert_true(f->slab.sorted);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(plan_chunk_of(&f->slab, i), 99 - i);
    }
}

static void resume_plans_the_probed_members(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add(f, 1, 0, 4096);
    add(f, 0, -8192, 4096);
    add(f, 0, -4096, LSIO_TO_END);
    add(f, 0, -200000, LSIO_TO_END);
    add(f, 0, -200000, 10);
    build(f);
    expect_op(&f->slab, 1, PLAN_PROBE, 4, 0);
    f->objects[0].size = 100000;
    plan_resume(f->planner, &f->input, &f->slab, &f->slab.ops[1], &f->resumed);
    assert_int_equal(f->resumed.chunk_count, 4);
    assert_int_equal(f->resumed.bytes_asked, 108192);
    for (uint32_t i = 0; i < f->resumed.op_count; i++) {
        assert_int_not_equal(f->resumed.ops[i].kind, PLAN_PROBE);
    }
}

static void resume_of_a_sorted_slab(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "hdd");
    add(f, 1, 0, LSIO_TO_END);
    add(f, 0, 50, LSIO_TO_END);
    add(f, 1, 5, LSIO_TO_END);
    build(f);
    assert_true(f->slab.sorted);
    expect_op(&f->slab, 1, PLAN_PROBE, 2, 0);
    f->objects[1].size = 1000;
    plan_resume(f->planner, &f->input, &f->slab, &f->slab.ops[1], &f->resumed);
    assert_int_equal(f->resumed.op_count, 1);
    expect_op(&f->resumed, 0, PLAN_JOIN, 2, 1000);
    assert_int_equal(plan_chunk_of(&f->resumed, 0), 0);
    assert_int_equal(plan_chunk_of(&f->resumed, 1), 2);
}

static void an_object_may_turn_out_empty(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add(f, 0, 0, LSIO_TO_END);
    expect_only(f, PLAN_PROBE, 1, 0);
    f->objects[0].size = 0;
    plan_resume(f->planner, &f->input, &f->slab, &f->slab.ops[0], &f->resumed);
    expect_op(&f->resumed, 0, PLAN_NONE, 1, 0);
}

static void bookkeeping_is_small(void **state)
{
    struct planner *planner;

    (void)state;
    assert_int_equal(sizeof(struct plan_op), 16);
    assert_true(plan_slab_bytes(65536) <= 65536 * 20 + 256);
    assert_int_equal(planner_create(65536, &planner), 0);
    assert_true(planner_bytes(planner) <= 65536 * 32 + 256);
    planner_destroy(planner);
    planner_destroy(NULL);
    assert_true(planner_create(0, &planner) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_is_left_alone),
        cmocka_unit_test(dense_chunks_are_sorted),
        cmocka_unit_test(sparse_chunks_keep_the_callers_order),
        cmocka_unit_test(random_order_that_stays_is_planned_whole),
        cmocka_unit_test(gap_zero_sorts_only_what_touches),
        cmocka_unit_test(chunks_too_long_to_join_are_not_sorted),
        cmocka_unit_test(wasteful_joins_are_no_reason_to_sort),
        cmocka_unit_test(clusters_far_apart_are_found),
        cmocka_unit_test(shuffled_overlaps_are_found),
        cmocka_unit_test(interleaved_objects_are_sorted),
        cmocka_unit_test(descending_objects_are_left_alone),
        cmocka_unit_test(wide_keys_are_sorted_in_rounds),
        cmocka_unit_test(few_chunks_are_sorted_too),
        cmocka_unit_test(stores_are_grouped),
        cmocka_unit_test(seeking_storage_is_read_in_physical_order),
        cmocka_unit_test(equal_chunks_keep_their_order),
        cmocka_unit_test(idle_chunks_come_first_when_sorted),
        cmocka_unit_test(a_slab_may_begin_anywhere),
        cmocka_unit_test(resume_plans_the_probed_members),
        cmocka_unit_test(resume_of_a_sorted_slab),
        cmocka_unit_test(an_object_may_turn_out_empty),
        cmocka_unit_test(bookkeeping_is_small),
    };

    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
