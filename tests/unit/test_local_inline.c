/* SPDX-License-Identifier: MIT */
/* Reads on the caller's own thread. */
#define _GNU_SOURCE

#include "local_fixture.h"

static uint8_t buffer[1 << 20];
static unsigned opens, stats, fd_stats, reads;
static void (*between)(struct local_fixture *f); /* runs after the first read */
static struct local_fixture *between_of;

static int count_open(int dirfd, const char *path, int flags, bool beneath)
{
    opens++;
    return loop_os_linux.open_nowait(dirfd, path, flags, beneath);
}

static int count_stat(int dirfd, const char *path, struct os_stat *out)
{
    stats++;
    return loop_os_linux.stat_path(dirfd, path, out);
}

static int count_stat_fd(int fd, struct os_stat *out)
{
    fd_stats++;
    return loop_os_linux.stat_fd(fd, out);
}

static int64_t count_read(int fd, void *addr, uint64_t bytes, uint64_t offset)
{
    int64_t got = loop_os_linux.read_nowait(fd, addr, bytes, offset);

    if (reads++ == 0 && between)
        between(between_of);
    return got;
}

static struct loop_os os;

static int setup(void **state)
{
    os = loop_os_linux;
    os.open_nowait = count_open;
    os.stat_path = count_stat;
    os.stat_fd = count_stat_fd;
    os.read_nowait = count_read;
    opens = stats = fd_stats = reads = 0;
    between = NULL;
    *state = between_of = local_begin("controlled", &os, NULL);
    return 0;
}

static int teardown(void **state)
{
    local_end(*state);
    return 0;
}

static int read_at(struct local_fixture *f, const char *key, uint64_t offset, uint64_t bytes)
{
    struct driver_range range = {offset, bytes, buffer};

    return driver_local.read_inline(f->store, key, &range, 1);
}

/* [0, 1000) and [5000, 6000) */
static int read_two(struct local_fixture *f, const char *key)
{
    struct driver_range ranges[] = {{0, 1000, buffer}, {5000, 1000, buffer + 1000}};

    opens = stats = fd_stats = reads = 0;
    return driver_local.read_inline(f->store, key, ranges, 2);
}

/* Brings a name and its bytes into memory. */
static void warm(struct local_fixture *f, const char *key, uint64_t bytes)
{
    struct driver_object object;

    rig_object_init(&object, f->store, key);
    assert_int_equal(rig_read(f->rig, &object, 0, bytes, buffer), 0);
    driver_local.finish_object(&object);
}

static void two_calls(void **state)
{
    struct local_fixture *f = *state;

    rig_file_write(f->directory, "a/x", 10000, 1);
    warm(f, "a/x", 10000);
    if (read_at(f, "a/x", 100, 5000) == -EAGAIN)
        skip(); /* a file system that cannot tell */
    rig_check(buffer, 5000, 1, 100);
    opens = stats = fd_stats = reads = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(read_at(f, "a/x", 7, 3000), 0);
        rig_check(buffer, 3000, 1, 7);
    }
    assert_int_equal(opens, 0);
    assert_int_equal(stats, 10);
    assert_int_equal(fd_stats, 0);
    assert_int_equal(reads, 10);
    assert_int_equal(f->cache->fd_count, 1);
}

static void anything_unusual_is_eagain(void **state)
{
    struct local_fixture *f = *state;

    rig_file_write(f->directory, "x", 1000, 1);
    assert_int_equal(mkdir(local_path(f, "directory"), 0777), 0);
    assert_int_equal(mkfifo(local_path(f, "fifo"), 0666), 0);
    warm(f, "x", 1000);
    assert_int_equal(read_at(f, "absent", 0, 10), -EAGAIN);
    assert_int_equal(read_at(f, "directory", 0, 10), -EAGAIN);
    assert_int_equal(read_at(f, "fifo", 0, 10), -EAGAIN);
    assert_int_equal(read_at(f, "../root/x", 0, 10), -EAGAIN);
    assert_int_equal(read_at(f, "/etc/passwd", 0, 10), -EAGAIN);
    assert_int_equal(read_at(f, "x", 999, 2), -EAGAIN);
    assert_int_equal(read_at(f, "x", 5000, 2), -EAGAIN);
    f->store->profile.direct = PLAN_DIRECT_ON;
    assert_int_equal(read_at(f, "x", 0, 10), -EAGAIN);
    f->store->profile.direct = PLAN_DIRECT_AUTO;
    local_store_of(f->store)->remote = true;
    assert_int_equal(read_at(f, "x", 0, 10), -EAGAIN);
    assert_int_equal(f->cache->use_count, 0);
}

static void follows_the_name(void **state)
{
    struct local_fixture *f = *state;

    rig_file_write(f->directory, "x", 1000, 1);
    rig_file_write(f->directory, "y", 1000, 2);
    warm(f, "y", 1000);
    warm(f, "x", 1000);
    if (read_at(f, "x", 0, 1000) == -EAGAIN)
        skip();
    assert_int_equal(rename(local_path(f, "y"), local_path(f, "x")), 0);
    if (read_at(f, "x", 0, 1000) == 0)
        rig_check(buffer, 1000, 2, 0);
    assert_int_equal(unlink(local_path(f, "x")), 0);
    assert_int_equal(read_at(f, "x", 0, 1000), -EAGAIN);
}

static void rename_over(struct local_fixture *f)
{
    assert_int_equal(rename(local_path(f, "new"), local_path(f, "x")), 0);
}

static void append(struct local_fixture *f)
{
    assert_int_equal(truncate(local_path(f, "x"), 10001), 0);
}

/* Two files of 10000 bytes, `x` open and in memory; false: this file system cannot tell. */
static bool make_two(struct local_fixture *f)
{
    rig_file_write(f->directory, "x", 10000, 1);
    rig_file_write(f->directory, "new", 10000, 2);
    warm(f, "new", 10000);
    warm(f, "x", 10000);
    return read_two(f, "x") == 0;
}

static void several_ranges_are_one_look(void **state)
{
    struct local_fixture *f = *state;

    if (!make_two(f))
        skip();
    assert_int_equal(read_two(f, "x"), 0);
    rig_check(buffer, 1000, 1, 0);
    rig_check(buffer + 1000, 1000, 1, 5000);
    assert_int_equal(stats, 1);
    assert_int_equal(reads, 2);
    assert_int_equal(fd_stats, 1);
    local_store_of(f->store)->change_check = false;
    assert_int_equal(read_two(f, "x"), 0);
    assert_int_equal(fd_stats, 0);
}

static void several_ranges_are_of_one_file(void **state)
{
    struct local_fixture *f = *state;

    if (!make_two(f))
        skip();
    between = rename_over;
    assert_int_equal(read_two(f, "x"), 0);
    rig_check(buffer, 1000, 1, 0);
    rig_check(buffer + 1000, 1000, 1, 5000);
    between = NULL;
    if (read_two(f, "x") == 0)
        rig_check(buffer + 1000, 1000, 2, 5000);
}

static void a_file_written_between_ranges_is_eagain(void **state)
{
    struct local_fixture *f = *state;

    if (!make_two(f))
        skip();
    between = append;
    assert_int_equal(read_two(f, "x"), -EAGAIN);
    assert_int_equal(reads, 2);
    assert_int_equal(f->cache->use_count, 0);
    assert_int_equal(truncate(local_path(f, "x"), 10000), 0);
    local_store_of(f->store)->change_check = false; /* nobody looks */
    warm(f, "x", 10000);
    assert_int_equal(read_two(f, "x"), 0);
}

static void beside_batches(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;

    rig_file_write(f->directory, "x", 100000, 1);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(read_at(f, "x", 5, 1000), 0); /* shares the open file */
    assert_int_equal(f->cache->fd_count, 1);
    driver_local.finish_object(&object);
    assert_int_equal(read_at(f, "x", 5, 1000), 0);
    /* a batch uses what an inline read has opened */
    rig_file_write(f->directory, "y", 100000, 2);
    warm(f, "y", 4096);
    if (read_at(f, "y", 0, 4096) == 0) {
        unsigned before = rig_ops_done(f->rig, LOOP_OPEN);
        rig_object_init(&object, f->store, "y");
        assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), 0);
        assert_int_equal(rig_ops_done(f->rig, LOOP_OPEN), before);
        driver_local.finish_object(&object);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_calls),
        TEST(anything_unusual_is_eagain),
        TEST(follows_the_name),
        TEST(several_ranges_are_one_look),
        TEST(several_ranges_are_of_one_file),
        TEST(a_file_written_between_ranges_is_eagain),
        TEST(beside_batches),
    };

    return cmocka_run_group_tests_name("local inline", tests, NULL, NULL);
}
