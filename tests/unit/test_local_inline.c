/* SPDX-License-Identifier: MIT */
/* Reads on the caller's own thread. */
#define _GNU_SOURCE

#include "local_fixture.h"

static uint8_t buffer[1 << 20];
static unsigned opens, stats, reads;

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

static int64_t count_read(int fd, void *addr, uint64_t bytes, uint64_t offset)
{
    reads++;
    return loop_os_linux.read_nowait(fd, addr, bytes, offset);
}

static struct loop_os os;

static int setup(void **state)
{
    os = loop_os_linux;
    os.open_nowait = count_open;
    os.stat_path = count_stat;
    os.read_nowait = count_read;
    opens = stats = reads = 0;
    *state = local_begin("controlled", &os, NULL);
    return 0;
}

static int teardown(void **state)
{
    local_end(*state);
    return 0;
}

static int64_t read_at(struct local_fixture *f, const char *key, uint64_t offset, uint64_t bytes)
{
    return driver_local.read_inline(f->store, key, offset, bytes, buffer);
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
    opens = stats = reads = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(read_at(f, "a/x", 7, 3000), 3000);
        rig_check(buffer, 3000, 1, 7);
    }
    assert_int_equal(opens, 0);
    assert_int_equal(stats, 10);
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
    if (read_at(f, "x", 0, 1000) == 1000)
        rig_check(buffer, 1000, 2, 0);
    assert_int_equal(unlink(local_path(f, "x")), 0);
    assert_int_equal(read_at(f, "x", 0, 1000), -EAGAIN);
}

static void beside_batches(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;

    rig_file_write(f->directory, "x", 100000, 1);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(read_at(f, "x", 5, 1000), 1000); /* shares the open file */
    assert_int_equal(f->cache->fd_count, 1);
    driver_local.finish_object(&object);
    assert_int_equal(read_at(f, "x", 5, 1000), 1000);
    /* a batch uses what an inline read has opened */
    rig_file_write(f->directory, "y", 100000, 2);
    warm(f, "y", 4096);
    if (read_at(f, "y", 0, 4096) == 4096) {
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
        TEST(beside_batches),
    };

    return cmocka_run_group_tests_name("local inline", tests, NULL, NULL);
}
