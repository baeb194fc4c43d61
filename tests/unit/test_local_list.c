/* SPDX-License-Identifier: MIT */
/* Listing of directories: order, paging, folding, links. */
#define _GNU_SOURCE

#include "local_fixture.h"

static int setup(void **state)
{
    *state = local_begin("controlled", &loop_os_linux, NULL);
    return 0;
}

static int setup_beneath(void **state)
{
    *state = local_begin("controlled", &loop_os_linux, "symlinks=beneath");
    return 0;
}

static int teardown(void **state)
{
    local_end(*state);
    return 0;
}

struct result {
    char *text; /* keys, each with a newline */
    size_t count, pages, largest;
    int stop_with;
};

static int collect(const struct lsio_list_entry *entries, size_t count, void *data)
{
    struct result *result = data;

    result->pages++;
    if (count > result->largest)
        result->largest = count;
    for (size_t i = 0; i < count; i++) {
        char *longer = NULL;
        if (entries[i].is_prefix)
            assert_int_equal(entries[i].key[strlen(entries[i].key) - 1], '/');
        else
            assert_true(entries[i].etag[0] && entries[i].mtime_ns != 0);
        if (result->count < 100)
            assert_true(asprintf(&longer, "%s%s:%d\n", result->text ? result->text : "",
                                 entries[i].key, (int)entries[i].size) > 0);
        if (longer) {
            free(result->text);
            result->text = longer;
        }
        result->count++;
    }
    return result->stop_with;
}

static void expect(struct local_fixture *f, const char *prefix, char delimiter, int status,
                   const char *text)
{
    struct result result = {0};

    assert_int_equal(rig_list(f->store, prefix, delimiter, collect, &result), status);
    assert_string_equal(result.text ? result.text : "", text);
    free(result.text);
}

static void ordered(void **state)
{
    struct local_fixture *f = *state;

    rig_file_write(f->directory, "a/d", 1, 1);
    rig_file_write(f->directory, "a/c/e", 2, 1);
    rig_file_write(f->directory, "a-b", 3, 1);
    rig_file_write(f->directory, "a.c", 4, 1);
    rig_file_write(f->directory, "a0", 5, 1);
    rig_file_write(f->directory, ".hidden/..x", 6, 1);
    rig_file_write(f->directory, "\xc3\xa9", 7, 1);
    rig_file_write(f->directory, "Z", 8, 1);
    assert_int_equal(mkdir(local_path(f, "empty"), 0777), 0);
    expect(f, "", 0, 0, ".hidden/..x:6\nZ:8\na-b:3\na.c:4\na/c/e:2\na/d:1\na0:5\n\xc3\xa9:7\n");
    expect(f, "", '/', 0, ".hidden/:0\nZ:8\na-b:3\na.c:4\na/:0\na0:5\nempty/:0\n\xc3\xa9:7\n");
    expect(f, "a/", 0, 0, "a/c/e:2\na/d:1\n");
    expect(f, "a/", '/', 0, "a/c/:0\na/d:1\n");
    expect(f, "a/c/", '/', 0, "a/c/e:2\n");
    expect(f, "empty/", 0, 0, "");
    expect(f, "absent/", 0, 0, "");
    expect(f, "Z/", 0, 0, "");
    expect(f, "absent/below/", '/', 0, "");
}

static void refused(void **state)
{
    struct local_fixture *f = *state;
    struct result result = {0};

    expect(f, "a", 0, -EINVAL, "");
    expect(f, "../", 0, -EINVAL, "");
    expect(f, "/", 0, -EINVAL, "");
    expect(f, "", '.', -EINVAL, "");
    assert_int_equal(rig_list(f->store, NULL, 0, collect, &result), -EINVAL);
    assert_int_equal(rig_list(f->store, "", 0, NULL, NULL), -EINVAL);
}

static void paged(void **state)
{
    struct local_fixture *f = *state;
    struct result result = {0};

    for (int i = 0; i < 2500; i++) {
        char name[32];
        snprintf(name, sizeof(name), "c/%d/%d", i % 50, i);
        rig_file_write(f->directory, name, 1, 1);
    }
    assert_int_equal(rig_list(f->store, "", 0, collect, &result), 0);
    assert_int_equal(result.count, 2500);
    assert_int_equal(result.pages, 3);
    assert_int_equal(result.largest, 1000);
    free(result.text);
    result = (struct result){.stop_with = 42};
    assert_int_equal(rig_list(f->store, "", 0, collect, &result), 42);
    assert_int_equal(result.pages, 1);
    free(result.text);
}

static void make_links(struct local_fixture *f)
{
    rig_file_write(f->directory, "real/file", 3, 1);
    rig_file_write(f->directory, "../other/file", 4, 1);
    assert_int_equal(symlink("real", local_path(f, "link")), 0);
    assert_int_equal(symlink("real/file", local_path(f, "one")), 0);
    assert_int_equal(symlink("../other", local_path(f, "out")), 0);
    assert_int_equal(symlink("../other/file", local_path(f, "outfile")), 0);
    assert_int_equal(symlink("nowhere", local_path(f, "dangling")), 0);
    assert_int_equal(symlink("..", local_path(f, "real/up")), 0);
    assert_int_equal(symlink("self", local_path(f, "self")), 0);
    assert_int_equal(mkfifo(local_path(f, "fifo"), 0666), 0);
}

static void links_followed(void **state)
{
    struct local_fixture *f = *state;

    make_links(f);
    expect(f, "", '/', 0, "link/:0\none:3\nout/:0\noutfile:4\nreal/:0\n");
    /* "real/up" and "link/up" lead to a directory that is being visited */
    expect(f, "", 0, 0, "link/file:3\none:3\nout/file:4\noutfile:4\nreal/file:3\n");
    expect(f, "real/up/real/", 0, 0, /* begins below a link: that is not visited yet */
           "real/up/real/file:3\n"
           "real/up/real/up/one:3\nreal/up/real/up/out/file:4\n"
           "real/up/real/up/outfile:4\n");
}

static void links_beneath(void **state)
{
    struct local_fixture *f = *state;

    make_links(f);
    expect(f, "", '/', 0, "link/:0\none:3\nreal/:0\n");
    expect(f, "", 0, 0, "link/file:3\none:3\nreal/file:3\n");
    expect(f, "out/", 0, -EACCES, "");
}

static void unreadable(void **state)
{
    struct local_fixture *f = *state;

    if (geteuid() == 0)
        skip();
    rig_file_write(f->directory, "a/b", 1, 1);
    assert_int_equal(chmod(local_path(f, "a"), 0), 0);
    expect(f, "", 0, -EACCES, "");
    assert_int_equal(chmod(local_path(f, "a"), 0700), 0);
}

static void deep(void **state)
{
    struct local_fixture *f = *state;
    char name[2048] = "";

    for (int i = 0; i < 300; i++)
        strcat(name, "d/");
    strcat(name, "x");
    rig_file_write(f->directory, name, 9, 1);
    strcat(name, ":9\n");
    expect(f, "", 0, 0, name);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ordered),
        TEST(refused),
        TEST(paged),
        TEST(links_followed),
        cmocka_unit_test_setup_teardown(links_beneath, setup_beneath, teardown),
        TEST(unreadable),
        TEST(deep),
    };

    return cmocka_run_group_tests_name("local list", tests, NULL, NULL);
}
