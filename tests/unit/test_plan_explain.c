/* SPDX-License-Identifier: MIT */
/* What explain says: numbers that agree with the plan, JSON that parses, text that names reasons.
 */
#include "plan_fixture.h"

/* ---------------------------------------------------------- a JSON reader that only judges -- */

static const char *json_skip(const char *at)
{
    return at + strspn(at, " \n");
}

static const char *json_string(const char *at)
{
    if (*at++ != '"') {
        return NULL;
    }
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < 0x20) {
            return NULL; /* the end, or a control character that is not escaped */
        }
        if (*at == '\\' && !strchr("\"\\/bfnrtu", *++at)) {
            return NULL;
        }
    }
    return at + 1;
}

static const char *json_value(const char *at);

/* The inside of an object or array. */
static const char *json_members(const char *at, char end)
{
    at = json_skip(at + 1);
    if (*at == end) {
        return at + 1;
    }
    for (;;) {
        if (end == '}') {
            at = json_string(json_skip(at));
            at = at ? json_skip(at) : NULL;
            if (!at || *at++ != ':') {
                return NULL;
            }
        }
        at = json_value(json_skip(at));
        if (!at) {
            return NULL;
        }
        at = json_skip(at);
        if (*at == end) {
            return at + 1;
        }
        if (*at++ != ',') {
            return NULL;
        }
    }
}

static const char *json_value(const char *at)
{
    size_t digits = strspn(at, "0123456789");

    if (*at == '{' || *at == '[') {
        return json_members(at, *at == '{' ? '}' : ']');
    }
    if (*at == '"') {
        return json_string(at);
    }
    if (digits > 0) {
        return at + digits;
    }
    if (strncmp(at, "true", 4) == 0) {
        return at + 4;
    }
    return strncmp(at, "false", 5) == 0 ? at + 5 : NULL;
}

static void expect_json(const char *text)
{
    const char *end = json_value(text);

    assert_non_null(end);
    assert_string_equal(json_skip(end), "");
}

static void expect_says(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("no '%s' in:\n%s", part, text);
    }
}

/* --------------------------------------------------------------------------------------- tests --
 */

static void explain(struct fixture *f, const char *url, int format, char **text)
{
    struct plan_store store = {.url = url, .profile = &f->profile};

    *text = NULL;
    assert_int_equal(plan_explain(&f->input, &store, 1, format, text), 0);
    assert_non_null(*text);
}

/* Two joined with a hole of 1000, a split in 4, a probe for two, two without I/O, one read. */
static void fill(struct fixture *f)
{
    fixture_reset(f, "nvme");
    f->profile.split_bytes = MIB(1);
    add(f, 0, 0, 4096);
    add(f, 0, 5096, 4096);
    add(f, 1, 0, MIB(4));
    add(f, 2, 0, LSIO_TO_END);
    add(f, 2, -10, 10);
    add(f, 3, 0, 0);
    add(f, UINT32_MAX, 0, 10);
    add(f, 4, 0, 100);
}

static void json_has_the_numbers_of_the_plan(void **state)
{
    struct fixture *f = *state;
    char *text;

    fill(f);
    explain(f, "/data", LSIO_EXPLAIN_JSON, &text);
    expect_json(text);
    expect_says(text, "\"url\": \"/data\"");
    expect_says(text, "\"name\": \"nvme\"");
    expect_says(text, "\"reason\": \"built-in values\"");
    expect_says(text, "\"split_bytes\": 1048576");
    expect_says(text, "\"direct\": \"auto\"");
    expect_says(text, "\"operations\": {\"total\": 4, \"read\": 1, \"vector\": 0, \"join\": 1, "
                      "\"split\": 1, \"probe\": 1}");
    expect_says(text, "\"chunks_joined\": 2");
    expect_says(text, "\"chunks_probed\": 2");
    expect_says(text, "\"split_parts\": 4");
    expect_says(text, "\"bytes_asked\": 4202596");
    expect_says(text, "\"bytes_read\": 4203596");
    expect_says(text, "\"bytes_wasted\": 1000");
    expect_says(strstr(text, "\"total\": {\n"), "\"chunks\": 8");
    expect_says(strstr(text, "\"total\": {\n"), "\"chunks_without_io\": 2");
    free(text);
}

static void text_says_why_the_profile_was_chosen(void **state)
{
    struct fixture *f = *state;
    char *text;

    fill(f);
    strcpy(f->profile.reason, "/dev/nvme0n1 does not rotate");
    explain(f, "/data", LSIO_EXPLAIN_TEXT, &text);
    expect_says(text, "/data");
    expect_says(text, "nvme: /dev/nvme0n1 does not rotate");
    expect_says(text, "operations  4, read 1, join 1, split 1, probe 1");
    expect_says(text, "2 chunks into 1 reads");
    expect_says(text, "1 chunks into 4 reads");
    expect_says(text, "4202596 asked, 4203596 read, 1000 wasted (0 %)");
    free(text);
}

/* What was measured, and what follows from it. */
static void measurements_are_shown(void **state)
{
    struct fixture *f = *state;
    struct plan_measured measured = {.latency_ns = 100000000,
                                     .stream_bytes_per_second = 70000000,
                                     .latency_count = 64,
                                     .stream_count = 3};
    struct plan_store store = {.url = "s3://b", .profile = &f->profile, .measured = &measured};
    char *text = NULL;

    fixture_reset(f, "cloud");
    assert_int_equal(plan_profile_set(&f->profile, "split_bytes", "5M"), 1);
    assert_int_equal(plan_explain(&f->input, &store, 1, LSIO_EXPLAIN_JSON, &text), 0);
    expect_json(text);
    expect_says(text, "\"remote\": true");
    expect_says(text, "\"autotune\": true");
    expect_says(text, "\"tuned\": [\"gap_bytes\", \"request_bytes_max\"]");
    expect_says(text, "\"latency_ns\": 100000000,");
    expect_says(text, "\"latency_count\": 64,");
    expect_says(text, "\"stream_bytes_per_second\": 70000000,");
    expect_says(text, "\"stream_count\": 3,");
    expect_says(text, "\"throttled\": false,");
    expect_says(text, "\"followed_by\": []");
    free(text);
    assert_true(plan_profile_follow(&f->profile, &measured));
    measured.throttled = true;
    assert_int_equal(plan_explain(&f->input, &store, 1, LSIO_EXPLAIN_JSON, &text), 0);
    expect_json(text);
    expect_says(text, "\"throttled\": true,");
    expect_says(text, "\"followed_by\": [\"gap_bytes\", \"request_bytes_max\", "
                      "\"request_latency_ns\", \"iops_max\"]");
    free(text);
    assert_int_equal(plan_explain(&f->input, &store, 1, LSIO_EXPLAIN_TEXT, &text), 0);
    expect_says(text, "direct off, remote\n");
    expect_says(text, " tuned gap_bytes request_bytes_max\n");
    expect_says(text, "first byte after 100000000 ns (median of 64 requests), then 70000000 "
                      "bytes/s (of 3), throttled\n");
    expect_says(text, " followed by gap_bytes request_bytes_max request_latency_ns iops_max\n");
    free(text);
}

static void overlaps_are_not_waste(void **state)
{
    struct fixture *f = *state;
    char *text;

    fixture_reset(f, "nvme");
    add(f, 0, 0, 4096);
    add(f, 0, 0, 4096);
    add(f, 0, 1000, 100);
    explain(f, "/data", LSIO_EXPLAIN_JSON, &text);
    expect_says(text, "\"bytes_asked\": 8292");
    expect_says(text, "\"bytes_read\": 4096");
    expect_says(text, "\"bytes_wasted\": 0");
    free(text);
}

static void strings_are_escaped(void **state)
{
    struct fixture *f = *state;
    char *text;

    fixture_reset(f, "ssd");
    strcpy(f->profile.reason, "a \"quoted\"\treason\x01");
    explain(f, "/back\\slash\n\"x\"/\xc3\xa9", LSIO_EXPLAIN_JSON, &text);
    expect_json(text);
    expect_says(text, "/back\\\\slash\\u000a\\\"x\\\"/\xc3\xa9");
    expect_says(text, "a \\\"quoted\\\"\\u0009reason\\u0001");
    free(text);
}

static void nothing_at_all(void **state)
{
    struct fixture *f = *state;
    char *text = NULL;

    fixture_reset(f, "ssd");
    assert_int_equal(plan_explain(&f->input, NULL, 0, LSIO_EXPLAIN_JSON, &text), 0);
    expect_json(text);
    expect_says(text, "\"stores\": []");
    free(text);
    assert_int_equal(plan_explain(&f->input, NULL, 0, LSIO_EXPLAIN_TEXT, &text), 0);
    expect_says(text, "chunks      0");
    free(text);
}

static void stores_are_told_apart(void **state)
{
    struct fixture *f = *state;
    struct plan_profile cloud;
    const struct plan_store stores[] = {{.url = "/near", .profile = &f->profile},
                                        {.url = "s3://far", .profile = &cloud}};
    char *text = NULL, *second, *total;

    fixture_reset(f, "nvme");
    plan_profile_builtin("cloud", &cloud);
    f->objects[1].store = 1;
    f->objects[1].profile = &cloud;
    for (uint32_t object = 0; object < 2; object++) {
        add_direct(f, object, 0, 4096 * 10);
        add_direct(f, object, 4096 * 15, 4096 * 10);
    }
    assert_int_equal(plan_explain(&f->input, stores, 2, LSIO_EXPLAIN_JSON, &text), 0);
    expect_json(text);
    second = strstr(text, "s3://far");
    assert_non_null(second);
    total = strstr(second, "\"total\": {\n");
    assert_non_null(total);
    expect_says(text, "\"read\": 2, \"vector\": 0, \"join\": 0");
    expect_says(second, "\"read\": 0, \"vector\": 0, \"join\": 1");
    expect_says(total, "\"read\": 2, \"vector\": 0, \"join\": 1");
    free(text);
}

/* More than one slab, and out of order. */
static void all_slabs_are_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t count = 150000;
    struct lsio_chunk *chunks = calloc(count, sizeof(*chunks));
    char *text;

    assert_non_null(chunks);
    fixture_reset(f, "nvme");
    for (uint64_t i = 0; i < count; i++) {
        chunks[i] = (struct lsio_chunk){.offset = (int64_t)((i ^ 7) * 1000), .length = 1000};
    }
    f->input.chunks = chunks;
    f->input.chunk_count = count;
    explain(f, "/data", LSIO_EXPLAIN_JSON, &text);
    expect_says(text, "\"chunks\": 150000");
    expect_says(text, "\"chunks_joined\": 150000");
    expect_says(text, "\"bytes_asked\": 150000000");
    expect_says(text, "\"bytes_read\": 150000000");
    free(text);
    free(chunks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_has_the_numbers_of_the_plan),
        cmocka_unit_test(text_says_why_the_profile_was_chosen),
        cmocka_unit_test(measurements_are_shown),
        cmocka_unit_test(overlaps_are_not_waste),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(stores_are_told_apart),
        cmocka_unit_test(all_slabs_are_counted),
    };

    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
