/* SPDX-License-Identifier: MIT */
/*
 * lsio_store_open() takes the options that the header names and refuses others with -EINVAL, naming
 * the key in the log; so it does with values that make no sense, and with roots that are not there.
 */
#include "api_fixture.h"

struct lines {
    char text[4096];
};

static void log_keep(int level, const char *text, void *data)
{
    struct lines *lines = data;

    (void)level;
    if (strlen(lines->text) + strlen(text) + 2 < sizeof(lines->text)) {
        strcat(lines->text, text);
        strcat(lines->text, "\n");
    }
}

static int try_option(struct api *api, const char *key, const char *value)
{
    const struct lsio_option option = {key, value};
    struct lsio_store *store = NULL;
    int status = api_try_open(api, api->context, &option, 1, &store);

    assert_true((status == 0) == (store != NULL));
    if (store)
        assert_int_equal(lsio_store_close(store), 0);
    return status;
}

static void logging(struct api *api, struct lines *lines)
{
    struct lsio_config config = api_config(api);

    config.log = log_keep;
    config.log_data = lines;
    api_remake(api, &config, NULL, 0);
}

static void known_and_unknown(void **state)
{
    static const struct lsio_option good[] = {{"profile", "nvme"},
                                              {"profile", "ssd"},
                                              {"profile", "hdd"},
                                              {"profile", "hpc"},
                                              {"profile", "memory"},
                                              {"gap_bytes", "0"},
                                              {"gap_bytes", "64K"},
                                              {"gap_bytes_max", "1M"},
                                              {"request_bytes_max", "16M"},
                                              {"split_bytes", "1G"},
                                              {"inflight_max", "32"},
                                              {"align_bytes", "4K"},
                                              {"request_latency_ns", "100000"},
                                              {"stream_bytes_per_second", "1G"},
                                              {"iops_max", "1000"},
                                              {"waste_max", "0"},
                                              {"waste_max", "100"},
                                              {"direct", "auto"},
                                              {"direct", "on"},
                                              {"direct", "off"}};
    static const struct lsio_option bad[] = {
        {"profil", "ssd"},       {"", "1"},
        {"GAP_BYTES", "1"},      {"gap-bytes", "1"},
        {"etag", "1"},           {"profile", "floppy"},
        {"profile", ""},         {"gap_bytes", "many"},
        {"gap_bytes", "-1"},     {"gap_bytes", ""},
        {"gap_bytes", "1X"},     {"gap_bytes", "99999999999999999999"},
        {"waste_max", "101"},    {"direct", "maybe"},
        {"inflight_max", "0x10"}};
    struct api *api = *state;
    struct lines lines = {""};

    logging(api, &lines);
    for (size_t i = 0; i < COUNT(good); i++)
        if (try_option(api, good[i].key, good[i].value) != 0)
            fail_msg("%s=%s is refused", good[i].key, good[i].value);
    assert_string_equal(lines.text, "");
    for (size_t i = 0; i < COUNT(bad); i++) {
        lines.text[0] = '\0';
        if (try_option(api, bad[i].key, bad[i].value) != -EINVAL)
            fail_msg("%s=%s is taken", bad[i].key, bad[i].value);
        assert_non_null(strstr(lines.text, bad[i].key));
    }
    if (api->local) {
        assert_int_equal(try_option(api, "symlinks", "beneath"), 0);
        assert_int_equal(try_option(api, "symlinks", "follow"), 0);
        assert_int_equal(try_option(api, "change_check", "off"), 0);
        assert_int_equal(try_option(api, "symlinks", "never"), -EINVAL);
        assert_int_equal(try_option(api, "change_check", "1"), -EINVAL);
    }
}

/* The store cannot be opened, and the log says which and why. */
static void refused(struct api *api, struct lines *lines, const char *url, int status,
                    const char *which, const char *why)
{
    struct lsio_store *store = NULL;

    lines->text[0] = '\0';
    assert_int_equal(lsio_store_open(api->context, url, NULL, 0, &store), status);
    assert_null(store);
    if (!strstr(lines->text, which) || !strstr(lines->text, why))
        fail_msg("of \"%s\" the log says \"%s\"", url, lines->text);
}

static void roots(void **state)
{
    static const struct lsio_option half[] = {{"profile", "ssd"}, {"gap_bytes", NULL}};
    struct api *api = *state;
    struct lines lines = {""};
    struct lsio_store *store = (void *)state;
    char path[256];

    logging(api, &lines);
    api_put(api, "file", 0, 10);
    snprintf(path, sizeof(path), "%s/nowhere", api->dir);
    refused(api, &lines, path, -ENOENT, path, "there is no such directory (ENOENT)");
    snprintf(path, sizeof(path), "%s/file", api->dir);
    refused(api, &lines, path, -ENOTDIR, path, "it is no directory (ENOTDIR)");
    snprintf(path, sizeof(path), "file://%s/nowhere", api->dir);
    refused(api, &lines, path, -ENOENT, path, "there is no such directory");
    refused(api, &lines, "gopher://canary:canary@x.example", LSIO_E_UNSUPPORTED, "\"gopher\"",
            "no driver");
    assert_null(strstr(lines.text, "canary"));
    assert_int_equal(lsio_store_open(api->context, api->dir, half, 2, &store), -EINVAL);
    assert_non_null(strstr(lines.text, "store option 1, \"gap_bytes\", has no value"));
    assert_true(lsio_store_open(api->context, "", NULL, 0, &store) < 0);
    assert_int_equal(lsio_store_open(api->context, NULL, NULL, 0, &store), -EINVAL);
    assert_int_equal(lsio_store_open(NULL, api->dir, NULL, 0, &store), -EINVAL);
    assert_int_equal(lsio_store_open(api->context, api->dir, NULL, 1, &store), -EINVAL);
    assert_int_equal(lsio_store_open(api->context, api->dir, NULL, 0, NULL), -EINVAL);
    assert_ptr_equal(store, state);
    snprintf(path, sizeof(path), "file://%s", api->dir);
    assert_int_equal(lsio_store_open(api->context, path, NULL, 0, &store), 0);
    assert_int_equal(lsio_read(api->context, store, "file", 0, 10, path, 10, NULL), 0);
    api_check(path, 0, 0, 10);
    assert_int_equal(lsio_store_close(store), 0);
}

static void what_only_memory_stores_can(void **state)
{
    struct api *api = *state;
    int want = api->kind == API_MEMORY ? 0 : -EOPNOTSUPP;

    assert_int_equal(lsio_memory_put(api->store, "x", "abc", 3), want);
    assert_int_equal(lsio_memory_remove(api->store, "x"), want);
    if (api->kind == API_MEMORY)
        assert_int_equal(lsio_memory_remove(api->store, "x"), -ENOENT);
    if (api->kind == API_MEMORY)
        assert_int_equal(lsio_memory_put(api->store, "../x", "abc", 3), -EINVAL);
    assert_int_equal(lsio_memory_put(api->store, NULL, "abc", 3), -EINVAL);
    assert_int_equal(lsio_memory_put(api->store, "x", NULL, 3), -EINVAL);
    assert_int_equal(lsio_memory_put(NULL, "x", "abc", 3), -EINVAL);
    assert_int_equal(lsio_memory_remove(NULL, "x"), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_and_unknown), cmocka_unit_test(roots),
                                       cmocka_unit_test(what_only_memory_stores_can)};

    return api_run_tests("options_unknown_are_errors", tests, COUNT(tests), API_ALL);
}
