/* SPDX-License-Identifier: MIT */
/* Built-in profiles, and options that override one field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "between.h"
#include "plan/plan.h"

static const char *const names[] = {"nvme", "ssd", "hdd", "hpc", "http", "cloud", "memory"};

static struct plan_profile profile_of(const char *name)
{
    struct plan_profile profile;

    assert_int_equal(plan_profile_builtin(name, &profile), 0);
    return profile;
}

static void builtin_values_make_sense(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct plan_profile profile = profile_of(names[i]);

        assert_string_equal(profile.name, names[i]);
        assert_true(profile.reason[0] != '\0');
        assert_true(profile.gap_bytes <= profile.gap_bytes_max);
        assert_true(profile.request_bytes_max > profile.gap_bytes);
        assert_true(profile.stream_bytes_per_second > 0);
        assert_true(profile.inflight_max > 0);
        assert_true(profile.waste_max <= 100);
        assert_true(profile.align_bytes > 0);
        assert_int_equal(profile.align_bytes & (profile.align_bytes - 1), 0);
        assert_true(profile.split_bytes == 0 || profile.split_bytes >= profile.request_bytes_max);
        assert_int_equal(profile.physical_order, strcmp(names[i], "hdd") == 0);
    }
}

static void unknown_names_are_refused(void **unused)
{
    struct plan_profile profile = {.gap_bytes = 5};

    (void)unused;
    assert_int_equal(plan_profile_builtin("floppy", &profile), -EINVAL);
    assert_int_equal(plan_profile_builtin("", &profile), -EINVAL);
    assert_int_equal(plan_profile_builtin("NVME", &profile), -EINVAL);
    assert_int_equal(profile.gap_bytes, 5);
}

static void every_field_can_be_set(void **unused)
{
    struct plan_profile profile = profile_of("nvme");

    (void)unused;
    assert_int_equal(plan_profile_set(&profile, "gap_bytes", "64K"), 1);
    assert_int_equal(profile.gap_bytes, 65536);
    assert_int_equal(plan_profile_set(&profile, "gap_bytes", "0"), 1);
    assert_int_equal(profile.gap_bytes, 0);
    assert_int_equal(plan_profile_set(&profile, "gap_bytes_max", "3M"), 1);
    assert_int_equal(profile.gap_bytes_max, 3 << 20);
    assert_int_equal(plan_profile_set(&profile, "request_bytes_max", "1G"), 1);
    assert_int_equal(profile.request_bytes_max, 1 << 30);
    assert_int_equal(plan_profile_set(&profile, "split_bytes", "123"), 1);
    assert_int_equal(profile.split_bytes, 123);
    assert_int_equal(plan_profile_set(&profile, "inflight_max", "4294967295"), 1);
    assert_int_equal(profile.inflight_max, UINT32_MAX);
    assert_int_equal(plan_profile_set(&profile, "align_bytes", "512"), 1);
    assert_int_equal(profile.align_bytes, 512);
    assert_int_equal(plan_profile_set(&profile, "request_latency_ns", "1000"), 1);
    assert_int_equal(profile.request_latency_ns, 1000);
    assert_int_equal(plan_profile_set(&profile, "stream_bytes_per_second", "2G"), 1);
    assert_true(profile.stream_bytes_per_second == UINT64_C(2) << 30);
    assert_int_equal(plan_profile_set(&profile, "iops_max", "0"), 1);
    assert_int_equal(profile.iops_max, 0);
    assert_int_equal(plan_profile_set(&profile, "waste_max", "100"), 1);
    assert_int_equal(profile.waste_max, 100);
    assert_int_equal(plan_profile_set(&profile, "direct", "on"), 1);
    assert_int_equal(profile.direct, PLAN_DIRECT_ON);
    assert_int_equal(plan_profile_set(&profile, "direct", "off"), 1);
    assert_int_equal(profile.direct, PLAN_DIRECT_OFF);
    assert_int_equal(plan_profile_set(&profile, "direct", "auto"), 1);
    assert_int_equal(profile.direct, PLAN_DIRECT_AUTO);
    assert_int_equal(plan_profile_set(&profile, "autotune", "on"), 1);
    assert_true(profile.autotune);
    assert_int_equal(plan_profile_set(&profile, "autotune", "false"), 1);
    assert_false(profile.autotune);
    assert_int_equal(plan_profile_set(&profile, "autotune", "true"), 1);
    assert_true(profile.autotune);
    assert_int_equal(plan_profile_set(&profile, "autotune", "off"), 1);
    assert_false(profile.autotune);
}

static void only_its_own_field_changes(void **unused)
{
    struct plan_profile profile = profile_of("ssd"), expected = profile_of("ssd");

    (void)unused;
    assert_int_equal(plan_profile_set(&profile, "align_bytes", "8K"), 1);
    expected.align_bytes = 8192;
    assert_memory_equal(&profile, &expected, sizeof(profile));
}

static void other_keys_are_left_to_others(void **unused)
{
    struct plan_profile profile = profile_of("ssd"), before = profile_of("ssd");
    static const char *const keys[] = {"",        "gap",     "gap_byte", "gap_bytes_",
                                       "profile", "name",    "reason",   "physical_order",
                                       "Direct",  "symlinks"};

    (void)unused;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_int_equal(plan_profile_set(&profile, keys[i], "1"), 0);
    }
    assert_memory_equal(&profile, &before, sizeof(profile));
}

static void bad_values_are_refused(void **unused)
{
    static const char *const bad[][2] = {
        {"gap_bytes", ""},
        {"gap_bytes", "-1"},
        {"gap_bytes", "+1"},
        {"gap_bytes", " 1"},
        {"gap_bytes", "1 "},
        {"gap_bytes", "1KB"},
        {"gap_bytes", "1T"},
        {"gap_bytes", "K"},
        {"gap_bytes", "0x10"},
        {"gap_bytes", "1.5M"},
        {"gap_bytes", "18446744073709551615"}, /* not a size: LSIO_TO_END */
        {"gap_bytes", "18446744073709551616"},
        {"gap_bytes", "99999999999999999999999"},
        {"gap_bytes", "17179869184G"},
        {"gap_bytes", "9223372036854775808"},
        {"request_bytes_max", "0"},
        {"stream_bytes_per_second", "0"},
        {"inflight_max", "0"},
        {"inflight_max", "4294967296"},
        {"inflight_max", "1K"}, /* a count, not a size */
        {"request_latency_ns", "1M"},
        {"align_bytes", "0"},
        {"align_bytes", "1000"},
        {"align_bytes", "4095"},
        {"align_bytes", "2M"},
        {"waste_max", "101"},
        {"waste_max", "50%"},
        {"iops_max", "many"},
        {"direct", ""},
        {"direct", "yes"},
        {"direct", "AUTO"},
        {"autotune", ""},
        {"autotune", "auto"},
    };
    struct plan_profile profile = profile_of("ssd"), before = profile_of("ssd");

    (void)unused;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (plan_profile_set(&profile, bad[i][0], bad[i][1]) != -EINVAL) {
            fail_msg("%s=%s was taken", bad[i][0], bad[i][1]);
        }
    }
    assert_int_equal(plan_profile_set(&profile, "gap_bytes", NULL), -EINVAL);
    assert_int_equal(plan_profile_set(&profile, "direct", NULL), -EINVAL);
    assert_int_equal(plan_profile_set(&profile, "autotune", NULL), -EINVAL);
    assert_memory_equal(&profile, &before, sizeof(profile));
}

#define MB    UINT64_C(1000000)
#define MIB   (UINT64_C(1) << 20)
#define TUNED (PLAN_TUNED_GAP | PLAN_TUNED_REQUEST | PLAN_TUNED_SPLIT)

/* 100 ms and 50 MB/s per stream: a stream brings 5 MB while it waits. */
static struct plan_profile far_away(void)
{
    struct plan_profile profile = profile_of("cloud");

    assert_int_equal(plan_profile_set(&profile, "request_latency_ns", "100000000"), 1);
    assert_int_equal(plan_profile_set(&profile, "stream_bytes_per_second", "50000000"), 1);
    assert_int_equal(plan_profile_set(&profile, "inflight_max", "256"), 1);
    assert_int_equal(plan_profile_set(&profile, "iops_max", "0"), 1);
    plan_profile_tune(&profile);
    return profile;
}

static void only_cloud_is_tuned(void **unused)
{
    struct plan_profile profile = profile_of("cloud");

    (void)unused;
    assert_int_equal(profile.tuned, TUNED);
    assert_int_equal(profile.gap_bytes, 1500000); /* 30 ms x 50 MB/s */
    assert_int_equal(profile.request_bytes_max, 15 * MIB);
    assert_int_equal(profile.split_bytes, 15 * MIB);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct plan_profile before = profile = profile_of(names[i]);

        plan_profile_tune(&profile);
        assert_memory_equal(&profile, &before, sizeof(profile));
        assert_int_equal(profile.tuned, strcmp(names[i], "cloud") == 0 ? TUNED : 0);
        assert_int_equal(profile.remote,
                         strcmp(names[i], "cloud") == 0 || strcmp(names[i], "http") == 0);
    }
}

static void a_gap_costs_what_a_request_waits(void **unused)
{
    struct plan_profile profile = far_away();

    (void)unused;
    assert_int_equal(profile.gap_bytes, 5 * MB);
    assert_int_equal(profile.request_bytes_max, 48 * MIB); /* 50 MB */
    /* a turn each 256 / 1000 s: 12.8 MB, beyond gap_bytes_max and what is sane for a request */
    assert_int_equal(plan_profile_set(&profile, "iops_max", "1000"), 1);
    plan_profile_tune(&profile);
    assert_int_equal(profile.gap_bytes, profile.gap_bytes_max);
    assert_int_equal(profile.request_bytes_max, 64 * MIB);
    /* turns that come sooner than the first byte cost nothing */
    assert_int_equal(plan_profile_set(&profile, "iops_max", "5500"), 1);
    plan_profile_tune(&profile);
    assert_int_equal(profile.gap_bytes, 5 * MB);
}

static void tuning_copes_with_any_numbers(void **unused)
{
    struct plan_profile profile = far_away();

    (void)unused;
    assert_int_equal(plan_profile_set(&profile, "request_latency_ns", "0"), 1);
    plan_profile_tune(&profile);
    assert_int_equal(profile.gap_bytes, 0);
    assert_int_equal(profile.request_bytes_max, MIB);
    assert_int_equal(plan_profile_set(&profile, "request_latency_ns", "9223372036854775807"), 1);
    assert_int_equal(plan_profile_set(&profile, "stream_bytes_per_second", "8589934591G"), 1);
    assert_int_equal(plan_profile_set(&profile, "gap_bytes_max", "9223372036854775807"), 1);
    plan_profile_tune(&profile);
    assert_true(profile.gap_bytes == UINT64_C(1) << 40);
    assert_int_equal(profile.request_bytes_max, 64 * MIB);
}

static void what_is_given_is_not_tuned(void **unused)
{
    static const char *const keys[] = {"gap_bytes", "request_bytes_max", "split_bytes"};

    (void)unused;
    for (uint32_t i = 0; i < 3; i++) {
        struct plan_profile profile = profile_of("cloud"), tuned = profile;

        assert_int_equal(plan_profile_set(&profile, keys[i], "12345"), 1);
        plan_profile_tune(&profile);
        assert_int_equal(profile.gap_bytes, i == 0 ? 12345 : tuned.gap_bytes);
        assert_int_equal(profile.request_bytes_max, i == 1 ? 12345 : tuned.request_bytes_max);
        assert_int_equal(profile.split_bytes, i == 2 ? 12345 : tuned.split_bytes);
    }
}

/* ------------------------------------------------------------------------------- following -- */

static struct plan_measured seen(uint64_t latency_ms, uint64_t stream_bytes_per_second)
{
    return (struct plan_measured){.latency_ns = latency_ms * 1000000,
                                  .stream_bytes_per_second = stream_bytes_per_second,
                                  .latency_count = 64,
                                  .stream_count = 64};
}

/* The same numbers make the same profile, whether given or measured. */
static void measured_numbers_count_like_given_ones(void **unused)
{
    static const char *const followers[] = {"cloud", "http"};
    struct plan_measured measured = seen(100, 50 * MB);
    struct plan_profile given = far_away();

    (void)unused;
    for (size_t i = 0; i < 2; i++) {
        struct plan_profile profile = profile_of(followers[i]);

        assert_true(plan_profile_follow(&profile, &measured));
        assert_int_equal(profile.request_latency_ns, given.request_latency_ns);
        assert_int_equal(profile.stream_bytes_per_second, given.stream_bytes_per_second);
        assert_int_equal(profile.request_bytes_max, given.request_bytes_max);
        assert_int_equal(profile.split_bytes, given.split_bytes);
        assert_int_equal(profile.gap_bytes, i == 0 ? given.gap_bytes : profile.gap_bytes_max);
        assert_int_equal(profile.tuned, TUNED);
        assert_false(plan_profile_follow(&profile, &measured));
    }
}

static void few_measurements_do_not_count(void **unused)
{
    struct plan_profile profile = profile_of("cloud"), before = profile;
    struct plan_measured measured = seen(1000, 500 * MB);

    (void)unused;
    measured.latency_count = measured.stream_count = 15;
    assert_false(plan_profile_follow(&profile, &measured));
    assert_memory_equal(&profile, &before, sizeof(profile));
    measured.stream_count = 16; /* each by itself */
    assert_true(plan_profile_follow(&profile, &measured));
    assert_int_equal(profile.stream_bytes_per_second, 500 * MB);
    assert_int_equal(profile.request_latency_ns, before.request_latency_ns);
    assert_int_equal(profile.followed, TUNED | PLAN_TUNED_STREAM);
    measured.latency_count = 16;
    assert_true(plan_profile_follow(&profile, &measured));
    assert_int_equal(profile.request_latency_ns, UINT64_C(1000000000));
}

/* Noise of less than a quarter does not move it, in either direction; a drift does at last. */
static void a_profile_does_not_flap(void **unused)
{
    struct plan_profile profile = profile_of("cloud");
    struct plan_measured measured = seen(100, 40 * MB);
    unsigned moves = 0;

    (void)unused;
    assert_true(plan_profile_follow(&profile, &measured));
    for (unsigned i = 0; i < 100; i++) {
        measured = seen(i % 2 ? 124 : 76, i % 3 ? 50 * MB : 30 * MB);
        assert_false(plan_profile_follow(&profile, &measured));
        assert_int_equal(profile.request_latency_ns, 100000000);
    }
    for (uint64_t ms = 100; ms <= 200; ms++) {
        measured = seen(ms, 40 * MB);
        moves += plan_profile_follow(&profile, &measured);
    }
    assert_int_equal(moves, 3); /* 126, 158, 198 */
    assert_int_equal(profile.request_latency_ns, 198000000);
}

static void what_is_given_does_not_follow(void **unused)
{
    static const char *const keys[] = {
        "gap_bytes",          "request_bytes_max",       "split_bytes",
        "request_latency_ns", "stream_bytes_per_second", "iops_max"};
    struct plan_measured measured = seen(100, 200 * MB);

    (void)unused;
    for (uint32_t i = 0; i < 6; i++) {
        struct plan_profile profile = profile_of("cloud"), all = profile;

        assert_int_equal(plan_profile_set(&profile, keys[i], "2345678"), 1);
        plan_profile_tune(&profile);
        assert_true(plan_profile_follow(&profile, &measured));
        assert_true(plan_profile_follow(&all, &measured));
        assert_int_equal(profile.followed, all.followed & ~(1u << i));
        assert_int_equal(profile.gap_bytes == 2345678, i == 0);
        assert_int_equal(profile.request_bytes_max == 2345678, i == 1);
        assert_int_equal(profile.split_bytes == 2345678, i == 2);
        assert_int_equal(profile.request_latency_ns == 2345678, i == 3);
        assert_int_equal(profile.stream_bytes_per_second == 2345678, i == 4);
        assert_int_equal(profile.iops_max == 2345678, i == 5);
    }
}

static void only_network_profiles_follow_and_only_if_allowed(void **unused)
{
    struct plan_measured measured = seen(100, 200 * MB);

    (void)unused;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct plan_profile profile = profile_of(names[i]), before;

        assert_int_equal(plan_profile_set(&profile, "autotune", "off"), 1);
        before = profile;
        assert_false(plan_profile_follow(&profile, &measured));
        assert_memory_equal(&profile, &before, sizeof(profile));
        assert_int_equal(plan_profile_set(&profile, "autotune", "on"), 1);
        assert_int_equal(plan_profile_follow(&profile, &measured), profile.remote);
    }
}

/* A server that answers soon, quickly and without limits is not held to a bucket's request rate. */
static void a_guessed_rate_counts_only_where_requests_are_throttled(void **unused)
{
    struct plan_profile profile = profile_of("cloud");
    struct plan_measured measured = seen(1, 1000 * MB);

    (void)unused;
    assert_true(plan_profile_follow(&profile, &measured));
    assert_int_equal(profile.iops_max, 0);
    assert_int_equal(profile.gap_bytes, MB);
    measured.throttled = true;
    assert_true(plan_profile_follow(&profile, &measured));
    assert_int_equal(profile.iops_max, 5000);
    assert_int_equal(profile.gap_bytes, profile.gap_bytes_max);
    assert_false(plan_profile_follow(&profile, &measured));
}

static void following_copes_with_any_numbers(void **unused)
{
    static const uint64_t numbers[] = {0, 1, 1000, INT64_MAX, UINT64_MAX};

    (void)unused;
    for (size_t i = 0; i < 25; i++) {
        struct plan_profile profile = profile_of("cloud");
        struct plan_measured measured = seen(0, numbers[i % 5]);

        measured.latency_ns = numbers[i / 5];
        assert_true(plan_profile_follow(&profile, &measured));
        assert_true(profile.gap_bytes <= profile.gap_bytes_max);
        assert_between(profile.request_bytes_max, MIB, 64 * MIB);
        assert_int_equal(profile.split_bytes, profile.request_bytes_max);
    }
}

static void tuned_fields_have_the_names_of_options(void **unused)
{
    (void)unused;
    for (uint32_t i = 0; i < PLAN_TUNED_COUNT; i++) {
        struct plan_profile profile = {.tuned = UINT32_MAX};

        assert_int_equal(plan_profile_set(&profile, plan_tuned_name(i), "1"), 1);
        assert_int_equal(profile.tuned, UINT32_MAX & ~(1u << i));
    }
}

/* ---------------------------------------------------------------------------------- shares -- */

/* Requests of a batch of one-byte chunks without gaps. */
static uint64_t request_count(const struct plan_profile *profile, uint64_t batch_bytes)
{
    uint64_t share = plan_share_bytes(profile, batch_bytes, 1, profile->request_bytes_max);

    assert_true(share > 0 && share <= profile->request_bytes_max);
    return (batch_bytes + share - 1) / share;
}

static void shares_fill_whole_rounds(void **unused)
{
    struct plan_profile profile = far_away();

    (void)unused;
    /* from a share that is worth a request to eight rounds */
    for (uint64_t bytes = 512 * MB; bytes < UINT64_C(90000) * MB; bytes += bytes / 17) {
        uint64_t count = request_count(&profile, bytes), rounds = (count + 255) / 256;

        assert_true(count <= rounds * 256);
        if (rounds <= 8 && bytes < UINT64_C(80000) * MB) {
            assert_true(count >= rounds * 256 * 15 / 16);
        }
    }
}

static void shares_leave_short_and_long_batches_alone(void **unused)
{
    struct plan_profile profile = far_away();
    const uint64_t least = 5 * MB / 4, most = profile.request_bytes_max;

    (void)unused;
    assert_int_equal(plan_share_bytes(&profile, 0, 1, most), least);
    assert_int_equal(plan_share_bytes(&profile, 10 * MB, 1, most), least);
    assert_int_equal(plan_share_bytes(&profile, 10 * MB, 1, 4096), 4096);
    assert_int_equal(plan_share_bytes(&profile, UINT64_MAX, 1, most), most);
    assert_int_equal(plan_share_bytes(&profile, UINT64_MAX, 1, 1), 1);
}

/* 900 chunks of 1 MiB on 256 connections: three and a half each, so it must be four. */
static void shares_have_room_for_a_whole_chunk(void **unused)
{
    struct plan_profile profile = far_away();
    uint64_t share = plan_share_bytes(&profile, 900 * MIB, MIB, profile.request_bytes_max);

    (void)unused;
    assert_int_equal(share / MIB, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(builtin_values_make_sense),
        cmocka_unit_test(unknown_names_are_refused),
        cmocka_unit_test(every_field_can_be_set),
        cmocka_unit_test(only_its_own_field_changes),
        cmocka_unit_test(other_keys_are_left_to_others),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(only_cloud_is_tuned),
        cmocka_unit_test(a_gap_costs_what_a_request_waits),
        cmocka_unit_test(tuning_copes_with_any_numbers),
        cmocka_unit_test(what_is_given_is_not_tuned),
        cmocka_unit_test(measured_numbers_count_like_given_ones),
        cmocka_unit_test(few_measurements_do_not_count),
        cmocka_unit_test(a_profile_does_not_flap),
        cmocka_unit_test(what_is_given_does_not_follow),
        cmocka_unit_test(only_network_profiles_follow_and_only_if_allowed),
        cmocka_unit_test(a_guessed_rate_counts_only_where_requests_are_throttled),
        cmocka_unit_test(following_copes_with_any_numbers),
        cmocka_unit_test(tuned_fields_have_the_names_of_options),
        cmocka_unit_test(shares_fill_whole_rounds),
        cmocka_unit_test(shares_leave_short_and_long_batches_alone),
        cmocka_unit_test(shares_have_room_for_a_whole_chunk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
