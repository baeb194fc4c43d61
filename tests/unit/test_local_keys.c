/* SPDX-License-Identifier: MIT */
/*
 * Keys, prefixes, store options and root paths: what is refused without asking the file system.
 *
 * LSIO_ROWS: D9
 */
#define _GNU_SOURCE

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver/key.h"
#include "driver/local/local.h"
#include "driver_rig.h"

static void keys(void **state)
{
    static const char *const bad[] = {"",       "/",      "/a",      "..",      "../a",   "a/..",
                                      "a/../b", "a/b/..", "../../x", "a//../b", "./../a", "a/../"};
    static const char *const good[] = {"a",     "a/b",    "...", "a..",   "..a",  "a/..b",
                                       "a../b", "a/...",  ".a",  "./a",   "a//b", "c/0/0/0",
                                       "a\nb",  "%2e%2e", "a b", "..../x"};

    (void)state;
    assert_int_equal(driver_key_check(NULL), -EINVAL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (driver_key_check(bad[i]) != -EINVAL)
            fail_msg("\"%s\" is accepted", bad[i]);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (driver_key_check(good[i]) != 0)
            fail_msg("\"%s\" is refused", good[i]);
}

static void prefixes(void **state)
{
    (void)state;
    assert_int_equal(driver_prefix_check(""), 0);
    assert_int_equal(driver_prefix_check("a/"), 0);
    assert_int_equal(driver_prefix_check("a/b/"), 0);
    assert_int_equal(driver_prefix_check(NULL), -EINVAL);
    assert_int_equal(driver_prefix_check("a"), -EINVAL);
    assert_int_equal(driver_prefix_check("/"), -EINVAL);
    assert_int_equal(driver_prefix_check("../"), -EINVAL);
    assert_int_equal(driver_prefix_check("a/../"), -EINVAL);
}

struct fixture {
    struct rig rig;
    void *state;
    char *directory;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->directory = rig_directory_make(NULL);
    rig_init(&f->rig, "controlled", &loop_os_linux, &driver_local);
    assert_int_equal(driver_local.state_create(NULL, &loop_os_linux, 1, &f->state), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    driver_local.state_destroy(f->state, false);
    rig_finish(&f->rig);
    rig_directory_remove(f->directory);
    free(f);
    return 0;
}

static void options(void **state)
{
    struct fixture *f = *state;
    struct lsio_store *store;
    static const char *const bad[] = {"nonsense=1",     "symlinks=maybe", "change_check=yes",
                                      "gap_bytes=many", "profile=floppy", "direct=perhaps",
                                      "inflight_max=0", "gap_bytes=-1"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (rig_store_open(&f->rig, f->state, f->directory, &store, bad[i], NULL) != -EINVAL)
            fail_msg("%s is accepted", bad[i]);
    /* whatever the order, profile comes first */
    assert_int_equal(rig_store_open(&f->rig, f->state, f->directory, &store, "gap_bytes=77K",
                                    "profile=hdd", "symlinks=beneath", "change_check=off", NULL),
                     0);
    assert_string_equal(store->profile.name, "hdd");
    assert_true(store->profile.physical_order);
    assert_int_equal(store->profile.gap_bytes, 77 * 1024);
    assert_string_equal(store->profile.reason, "asked for by option");
    assert_true(local_store_of(store)->beneath);
    assert_false(local_store_of(store)->change_check);
    driver_local.store_close(store, false);
    assert_int_equal(rig_store_open(&f->rig, f->state, f->directory, &store, NULL), 0);
    assert_false(local_store_of(store)->beneath);
    assert_true(local_store_of(store)->change_check);
    assert_true(store->profile.reason[0] != '\0');
    assert_string_equal(store->url, f->directory);
    driver_local.store_close(store, false);
}

static int open_status(struct fixture *f, const char *format, const char *tail)
{
    struct lsio_store *store;
    char url[4096];
    int status;

    snprintf(url, sizeof(url), format, f->directory, tail);
    status = rig_store_open(&f->rig, f->state, url, &store, NULL);
    if (status == 0)
        driver_local.store_close(store, false);
    return status;
}

static void roots(void **state)
{
    struct fixture *f = *state;
    char path[4096];
    char *before = getcwd(NULL, 0);

    snprintf(path, sizeof(path), "%s/with %% and space", f->directory);
    assert_int_equal(mkdir(path, 0777), 0);
    rig_file_write(f->directory, "file", 1, 1);
    assert_int_equal(open_status(f, "%s%s", ""), 0);
    assert_int_equal(open_status(f, "%s%s", "/"), 0);
    assert_int_equal(open_status(f, "file://%s%s", ""), 0);
    assert_int_equal(open_status(f, "file://localhost%s%s", ""), 0);
    assert_int_equal(open_status(f, "file://elsewhere%s%s", ""), -EINVAL);
    assert_int_equal(open_status(f, "%s%s", "/with % and space"), 0);
    assert_int_equal(open_status(f, "file://%s%s", "/with%20%25%20and%20space"), 0);
    assert_int_equal(open_status(f, "file://%s%s", "/with%2"), -EINVAL);
    assert_int_equal(open_status(f, "file://%s%s", "/a%00b"), -EINVAL);
    assert_int_equal(open_status(f, "%s%s", "/absent"), -ENOENT);
    assert_int_equal(open_status(f, "%s%s", "/file"), -ENOTDIR);
    assert_int_equal(open_status(f, "%s%s", "/file/x"), -ENOTDIR);
    assert_int_equal(open_status(f, "%.0s%s", ""), -EINVAL);
    assert_int_equal(chdir(f->directory), 0);
    assert_int_equal(open_status(f, "%.0s%s", "."), 0);
    assert_int_equal(open_status(f, "%.0s%s", "with % and space"), 0);
    assert_int_equal(chdir(before), 0);
    free(before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(prefixes),
        cmocka_unit_test_setup_teardown(options, setup, teardown),
        cmocka_unit_test_setup_teardown(roots, setup, teardown),
    };

    return cmocka_run_group_tests_name("local keys", tests, NULL, NULL);
}
