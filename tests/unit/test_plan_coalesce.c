/* SPDX-License-Identifier: MIT */
/* Which chunks become which operation, rule by rule; chunks come in order here. */
#include "plan_fixture.h"

static void one_chunk_is_one_read(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add(f, 0, 100, 4096);
    expect_only(f, PLAN_READ, 1, 4096);
    assert_int_equal(f->slab.bytes_asked, 4096);
    assert_int_equal(f->slab.bytes_read, 4096);
    assert_false(f->slab.sorted);
}

static void nothing_to_plan(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    build(f);
    assert_int_equal(f->slab.op_count, 0);
}

static void adjacent_direct_chunks_are_a_vector(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->profile.gap_bytes = 0; /* adjacent joins even so */
    add_direct(f, 0, 0, 4096);
    add_direct(f, 0, 4096, 4096);
    add_direct(f, 0, 8192, 100);
    expect_only(f, PLAN_VECTOR, 3, 8292);
    assert_int_equal(f->slab.bytes_read, 8292);
}

static void gap_zero_joins_nothing_else(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->profile.gap_bytes = 0;
    add_direct(f, 0, 0, 4096);
    add_direct(f, 0, 4097, 4096);
    add(f, 0, 10000, 4096);
    add(f, 0, 14097, 4096);
    expect_apart(f);
}

static void vector_takes_gaps_up_to_the_junk_page(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add_direct(f, 0, 0, 8192);
    add_direct(f, 0, 8192 + PLAN_JUNK_BYTES, 8192);
    expect_only(f, PLAN_VECTOR, 2, 16384 + PLAN_JUNK_BYTES);
    assert_int_equal(f->slab.bytes_asked, 16384);
    assert_int_equal(f->slab.bytes_read, 16384 + PLAN_JUNK_BYTES);

    fixture_reset(f, "nvme"); /* gap_bytes is 8 KiB, but copying does not pay here */
    add_direct(f, 0, 0, 8192);
    add_direct(f, 0, 8193 + PLAN_JUNK_BYTES, 8192);
    expect_apart(f);

    fixture_reset(f, "nvme");
    f->profile.gap_bytes = 1000;
    add_direct(f, 0, 0, 8192);
    add_direct(f, 0, 8192 + 1001, 8192);
    expect_apart(f);
}

static void slow_storage_copies_over_large_gaps(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "cloud");
    add_direct(f, 0, 0, MIB(1));
    add_direct(f, 0, MIB(2), MIB(1));
    expect_only(f, PLAN_JOIN, 2, MIB(3));
    assert_int_equal(f->slab.bytes_read - f->slab.bytes_asked, MIB(1));
}

static void what_is_not_wanted_is_skipped_where_that_is_possible(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "cloud");
    f->profile.discards = true;
    add_direct(f, 0, 0, MIB(1));
    add_direct(f, 0, MIB(2), MIB(1));
    expect_only(f, PLAN_VECTOR, 2, MIB(3));

    fixture_reset(f, "cloud"); /* a further request rather than a copy */
    f->profile.discards = true;
    for (uint32_t i = 0; i < PLAN_VECTOR_MAX + 10; i++)
        add_direct(f, 0, 1024 * i, 512);
    build(f);
    assert_int_equal(f->slab.op_count, 2);
    expect_op(&f->slab, 0, PLAN_VECTOR, PLAN_VECTOR_MAX, 1024 * PLAN_VECTOR_MAX - 512);
    expect_op(&f->slab, 1, PLAN_VECTOR, 10, 10 * 1024 - 512);

    fixture_reset(f, "cloud"); /* overlaps need a buffer all the same */
    f->profile.discards = true;
    add_direct(f, 0, 0, MIB(1));
    add_direct(f, 0, MIB(1) / 2, MIB(1));
    expect_only(f, PLAN_JOIN, 2, MIB(1) + MIB(1) / 2);
}

static void vector_has_a_limit_of_members(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    for (uint32_t i = 0; i < PLAN_VECTOR_MAX + 10; i++) {
        add_direct(f, 0, 512 * i, 512);
    }
    build(f);
    assert_int_equal(f->slab.op_count, 2);
    expect_op(&f->slab, 0, PLAN_VECTOR, PLAN_VECTOR_MAX, 512 * PLAN_VECTOR_MAX);
    expect_op(&f->slab, 1, PLAN_VECTOR, 10, 5120);

    f->profile.gap_bytes = MIB(1); /* copying pays: one request, through a buffer */
    expect_only(f, PLAN_JOIN, PLAN_VECTOR_MAX + 10, 512 * (PLAN_VECTOR_MAX + 10));
}

static void buffered_chunks_join(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add(f, 0, 0, 8192);
    add(f, 0, 16384, 8192);
    add_direct(f, 0, 24576, 8192)->chain = decodes();
    add_direct(f, 0, 32768, 8192)->flags = LSIO_CHUNK_ALLOC;
    expect_only(f, PLAN_JOIN, 4, 40960);
    assert_int_equal(f->slab.bytes_asked, 32768);
}

static void the_default_chain_counts(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->input.chain = decodes();
    add_direct(f, 0, 0, 8192);
    add_direct(f, 0, 8192, 8192);
    expect_only(f, PLAN_JOIN, 2, 16384);
}

static void mixed_chunks_join_over_small_gaps_only(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add_direct(f, 0, 0, 8192);
    add(f, 0, 8192 + 4096, 8192);
    add_direct(f, 0, 20480, 8192);
    expect_only(f, PLAN_JOIN, 3, 28672);

    fixture_reset(f, "nvme");
    add(f, 0, 0, 8192);
    add_direct(f, 0, 8192 + 4097, 8192);
    expect_apart(f);
}

static void overlaps_are_read_once(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->profile.gap_bytes = 0;
    f->profile.waste_max = 0;
    add_direct(f, 0, 0, 8192);
    add_direct(f, 0, 0, 8192);
    add_direct(f, 0, 4096, 1000);
    add_direct(f, 0, 5000, 8192);
    expect_only(f, PLAN_JOIN, 4, 13192);
    assert_int_equal(f->slab.bytes_asked, 8192 + 8192 + 1000 + 8192);
    assert_int_equal(f->slab.bytes_read, 13192);
}

static void waste_is_bounded_and_overlap_counted_once(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "hdd");
    add(f, 0, 0, 1000);
    add(f, 0, 3000, 1000); /* 2000 of 4000 wanted: exactly 50 % */
    expect_only(f, PLAN_JOIN, 2, 4000);

    fixture_reset(f, "hdd");
    add(f, 0, 0, 1000);
    add(f, 0, 3001, 1000);
    expect_apart(f);

    fixture_reset(f, "hdd");
    add(f, 0, 0, 1000);
    add(f, 0, 0, 1000); /* the same bytes twice are not twice as useful */
    add(f, 0, 3001, 1000);
    build(f);
    assert_int_equal(f->slab.op_count, 2);
    expect_op(&f->slab, 0, PLAN_JOIN, 2, 1000);

    fixture_reset(f, "hdd");
    f->profile.waste_max = 100;
    add(f, 0, 0, 1);
    add(f, 0, MIB(1), 1);
    expect_only(f, PLAN_JOIN, 2, MIB(1) + 1);
}

static void waste_bounds_vectors_too(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add_direct(f, 0, 0, 100);
    add_direct(f, 0, 400, 100);
    expect_apart(f);
}

static void request_size_is_bounded(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->profile.request_bytes_max = KIB(256);
    for (uint32_t i = 0; i < 5; i++) {
        add_direct(f, 0, (int64_t)KIB(128) * i, KIB(128));
    }
    build(f);
    assert_int_equal(f->slab.op_count, 3);
    expect_op(&f->slab, 0, PLAN_VECTOR, 2, KIB(256));
    expect_op(&f->slab, 2, PLAN_READ, 1, KIB(128));
}

static void joins_are_clamped_by_memory_but_vectors_are_not(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->input.join_bytes_max = KIB(16);
    for (uint32_t i = 0; i < 8; i++) {
        add(f, 0, (int64_t)KIB(8) * i, KIB(8));
    }
    build(f);
    assert_int_equal(f->slab.op_count, 4);

    fixture_reset(f, "nvme");
    f->input.join_bytes_max = KIB(16);
    for (uint32_t i = 0; i < 8; i++) {
        add_direct(f, 0, (int64_t)KIB(8) * i, KIB(8));
    }
    expect_only(f, PLAN_VECTOR, 8, KIB(64));
}

static void both_are_clamped_by_the_input(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->input.request_bytes_max = KIB(16);
    for (uint32_t i = 0; i < 8; i++) {
        add(f, i < 4 ? 0 : 1, (int64_t)KIB(8) * i, KIB(8));
    }
    for (uint32_t i = 4; i < 8; i++) {
        add_direct(f, 2, (int64_t)KIB(8) * i, KIB(8));
    }
    build(f);
    assert_int_equal(f->slab.op_count, 6);
    expect_op(&f->slab, 0, PLAN_JOIN, 2, KIB(16));
    expect_op(&f->slab, 5, PLAN_VECTOR, 2, KIB(16));
}

static void objects_are_never_mixed(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "cloud");
    add(f, 0, 0, 4096);
    add(f, 1, 4096, 4096);
    add(f, 1, 8192, 4096);
    add(f, 2, 12288, 4096);
    build(f);
    assert_int_equal(f->slab.op_count, 3);
    expect_op(&f->slab, 1, PLAN_JOIN, 2, 8192);
}

static void a_chunk_too_large_for_its_dst_stands_alone(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add_direct(f, 0, 0, 4096);
    add_direct(f, 0, 4096, 4096)->dst_bytes = 4095;
    add_direct(f, 0, 8192, 4096);
    expect_apart(f);

    fixture_reset(f, "nvme"); /* with a chain that decodes, dst holds something else */
    add_direct(f, 0, 0, 4096)->chain = decodes();
    add_direct(f, 0, 4096, 4096)->chain = decodes();
    f->chunks[1].dst_bytes = 1;
    expect_only(f, PLAN_JOIN, 2, 8192);
}

static void long_chunks_are_split(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->profile.split_bytes = MIB(2);
    add_direct(f, 0, 0, MIB(2));
    add_direct(f, 0, MIB(2), MIB(2) + 1);
    add(f, 0, MIB(10), MIB(7));
    build(f);
    assert_int_equal(f->slab.op_count, 3);
    expect_op(&f->slab, 0, PLAN_READ, 1, MIB(2));
    expect_op(&f->slab, 1, PLAN_SPLIT, 1, 0);
    assert_int_equal(f->slab.ops[1].parts, 2);
    assert_int_equal(f->slab.ops[2].parts, 4);
    assert_int_equal(f->slab.bytes_read, MIB(11) + 1);
}

static void one_read_has_at_most_1_gib(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "hdd");
    f->profile.split_bytes = 0;
    add(f, 0, 0, MIB(1024));
    add(f, 0, MIB(1024), MIB(1024) + 1);
    build(f);
    expect_op(&f->slab, 0, PLAN_READ, 1, MIB(1024));
    expect_op(&f->slab, 1, PLAN_SPLIT, 1, 0);
    assert_int_equal(f->slab.ops[1].parts, 2);

    f->profile.split_bytes = UINT64_MAX;
    build(f);
    expect_op(&f->slab, 1, PLAN_SPLIT, 1, 0);
}

static void parts_grow_rather_than_overflow(void **state)
{
    struct fixture *f = *state;
    uint64_t part;

    fixture_reset(f, "cloud");
    f->profile.split_bytes = 4096;
    add(f, 0, 0, UINT64_C(4096) * 65535);
    add(f, 1, 0, UINT64_C(4096) * 65536);
    add(f, 2, 0, INT64_MAX);
    build(f);
    for (uint32_t i = 0; i < 3; i++) {
        part = plan_part_bytes(&f->profile, f->chunks[i].length);
        expect_op(&f->slab, i, PLAN_SPLIT, 1, 0);
        assert_int_equal(part % 4096, 0);
        assert_int_equal(f->slab.ops[i].parts, (f->chunks[i].length - 1) / part + 1);
    }
}

static void huge_joins_stay_below_1_gib(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "cloud");
    f->profile.request_bytes_max = UINT64_MAX;
    f->profile.gap_bytes = UINT64_MAX;
    f->profile.split_bytes = 0;
    for (uint32_t i = 0; i < 5; i++) {
        add(f, 0, (int64_t)MIB(512) * i, MIB(512));
    }
    build(f);
    assert_int_equal(f->slab.op_count, 3);
    expect_op(&f->slab, 0, PLAN_JOIN, 2, MIB(1024));
}

static void empty_and_wrong_chunks_need_no_read(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->objects[0].size = 100;
    add(f, 0, 0, 0);
    add(f, 0, 50, 51);
    add(f, FIXTURE_OBJECTS, 0, 10); /* no such object */
    add(f, UINT32_MAX, 0, 10);
    add(f, 1, -5, 6);
    add(f, 0, 0, 10);
    build(f);
    assert_int_equal(f->slab.op_count, 2);
    expect_op(&f->slab, 0, PLAN_NONE, 5, 0);
    expect_op(&f->slab, 1, PLAN_READ, 1, 10);
    assert_int_equal(f->slab.bytes_asked, 10);
}

static void known_sizes_resolve_at_once(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    f->objects[0].size = 100000;
    add(f, 0, 80000, 10000);
    add(f, 0, -10000, LSIO_TO_END);
    expect_only(f, PLAN_JOIN, 2, 20000);
}

static void unknown_sizes_are_probed_per_object(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "nvme");
    add(f, 0, 0, LSIO_TO_END);
    add(f, 0, -10, 5);
    add(f, 1, 0, LSIO_TO_END);
    add(f, 1, 0, 10);
    build(f);
    assert_int_equal(f->slab.op_count, 3);
    expect_op(&f->slab, 0, PLAN_PROBE, 2, 0);
    expect_op(&f->slab, 1, PLAN_PROBE, 1, 0);
    expect_op(&f->slab, 2, PLAN_READ, 1, 10);
    assert_int_equal(f->slab.bytes_asked, 10);
}

static void hostile_numbers_do_not_overflow(void **state)
{
    struct fixture *f = *state;

    fixture_reset(f, "cloud");
    f->profile.gap_bytes = UINT64_MAX;
    f->profile.waste_max = UINT32_MAX;
    add(f, 0, 0, 1);
    add(f, 0, INT64_MAX - 1, 1);
    add(f, 0, INT64_MAX, 1);
    add(f, 0, INT64_MAX, UINT64_MAX - 1);
    add(f, 0, 0, INT64_MAX);
    add(f, 0, 0, INT64_MAX);
    add(f, 0, 0, INT64_MAX);
    build(f);
    assert_int_equal(f->slab.op_count, 6);
    expect_op(&f->slab, 2, PLAN_NONE, 2, 0);
    assert_true(f->slab.bytes_asked == UINT64_MAX);
}

static void strides_may_be_larger(void **state)
{
    struct fixture *f = *state;
    struct {
        struct lsio_chunk chunk;
        uint64_t more[3];
    } wide[2];

    fixture_reset(f, "nvme");
    memset(wide, 0xee, sizeof(wide));
    wide[0].chunk = (struct lsio_chunk){.offset = 0, .length = 8};
    wide[1].chunk = (struct lsio_chunk){.offset = 8, .length = 8};
    f->input.chunks = &wide[0].chunk;
    f->input.chunk_bytes = sizeof(wide[0]);
    f->input.chunk_count = 2;
    expect_only(f, PLAN_JOIN, 2, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_chunk_is_one_read),
        cmocka_unit_test(nothing_to_plan),
        cmocka_unit_test(adjacent_direct_chunks_are_a_vector),
        cmocka_unit_test(gap_zero_joins_nothing_else),
        cmocka_unit_test(vector_takes_gaps_up_to_the_junk_page),
        cmocka_unit_test(slow_storage_copies_over_large_gaps),
        cmocka_unit_test(what_is_not_wanted_is_skipped_where_that_is_possible),
        cmocka_unit_test(vector_has_a_limit_of_members),
        cmocka_unit_test(buffered_chunks_join),
        cmocka_unit_test(the_default_chain_counts),
        cmocka_unit_test(mixed_chunks_join_over_small_gaps_only),
        cmocka_unit_test(overlaps_are_read_once),
        cmocka_unit_test(waste_is_bounded_and_overlap_counted_once),
        cmocka_unit_test(waste_bounds_vectors_too),
        cmocka_unit_test(request_size_is_bounded),
        cmocka_unit_test(joins_are_clamped_by_memory_but_vectors_are_not),
        cmocka_unit_test(both_are_clamped_by_the_input),
        cmocka_unit_test(objects_are_never_mixed),
        cmocka_unit_test(a_chunk_too_large_for_its_dst_stands_alone),
        cmocka_unit_test(long_chunks_are_split),
        cmocka_unit_test(one_read_has_at_most_1_gib),
        cmocka_unit_test(parts_grow_rather_than_overflow),
        cmocka_unit_test(huge_joins_stay_below_1_gib),
        cmocka_unit_test(empty_and_wrong_chunks_need_no_read),
        cmocka_unit_test(known_sizes_resolve_at_once),
        cmocka_unit_test(unknown_sizes_are_probed_per_object),
        cmocka_unit_test(hostile_numbers_do_not_overflow),
        cmocka_unit_test(strides_may_be_larger),
    };

    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
