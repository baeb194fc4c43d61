/* SPDX-License-Identifier: MIT */
/*
 * What becomes of single reads of local files, with a loop that fails on demand.
 *
 * LSIO_ROWS: L1 L3 L4 L9
 */
#define _GNU_SOURCE

#include "local_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>

static uint8_t buffer[1 << 20];

static int setup(void **state)
{
    memset(buffer, 0, sizeof(buffer));
    *state = local_begin("controlled", &loop_os_linux, NULL);
    return 0;
}

static int setup_beneath(void **state)
{
    *state = local_begin("controlled", &loop_os_linux, "symlinks=beneath");
    return 0;
}

static int setup_unchecked(void **state)
{
    *state = local_begin("controlled", &loop_os_linux, "change_check=off");
    return 0;
}

static int teardown(void **state)
{
    local_end(*state);
    return 0;
}

/* ------------------------------------------------------------------------ the ways to read -- */

/* An object that the batch reads once. */
static void once_init(struct driver_object *object, const struct local_fixture *f, const char *key)
{
    rig_object_init(object, f->store, key);
    object->chunk_count = 1;
}

static void whole_file_needs_no_descriptor(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct lsio_object_info info;

    rig_file_write(f->directory, "a/b", 5000, 1);
    once_init(&object, f, "a/b");
    assert_int_equal(rig_read(f->rig, &object, 1000, 4000, buffer), 0);
    rig_check(buffer, 4000, 1, 1000);
    assert_int_equal(rig_ops_done(f->rig, LOOP_READ_FILE), 1);
    assert_int_equal(rig_ops_done(f->rig, LOOP_OPEN), 0);
    assert_int_equal(f->cache->fd_count, 0);
    assert_null(atomic_load(&object.handle));
    assert_int_equal(driver_local.verify_object(&object), 0);
    assert_int_equal(driver_local.object_info(&object, &info), 0);
    assert_int_equal(info.size, 5000);
    driver_local.finish_object(&object);
}

/* The first opens the file, and the others use that, whoever has the name now. */
static void several_reads_share_a_descriptor(void **state)
{
    struct local_fixture *f = *state;
    static const uint32_t counts[] = {0, 3}; /* not known; known */
    struct driver_object object;

    for (unsigned i = 0; i < 2; i++) {
        rig_file_write(f->directory, "x", 5000, 1);
        rig_file_write(f->directory, "new", 5000, 2);
        rig_object_init(&object, f->store, "x");
        object.chunk_count = counts[i];
        assert_int_equal(rig_read(f->rig, &object, 0, 5000, buffer), 0);
        rig_check(buffer, 5000, 1, 0);
        assert_int_equal(rename(local_path(f, "new"), local_path(f, "x")), 0);
        assert_int_equal(rig_read(f->rig, &object, 17, 100, buffer), 0);
        rig_check(buffer, 100, 1, 17);
        assert_int_equal(rig_ops_done(f->rig, LOOP_READ_FILE), 0);
        assert_int_equal(rig_ops_done(f->rig, LOOP_OPEN), 1 + i);
        assert_int_equal(rig_ops_done(f->rig, LOOP_READ), 2 + 2 * i);
        assert_int_equal(atomic_load(&object.plan.size), 5000);
        /* a ring must not take its reads for ones that never wait */
        int fd = ((struct local_file *)atomic_load(&object.handle))->fd;
        assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        driver_local.finish_object(&object);
    }
}

static void whole_file_only_where_safe(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct rig_read read;

    rig_file_write(f->directory, "x", 100000, 1);
    once_init(&object, f, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 65537, buffer), 0); /* too long */
    driver_local.finish_object(&object);
    once_init(&object, f, "x");
    rig_read_init(&read, &object, 0, 4096, buffer);
    read.read.part = true;
    rig_begin(f->rig, &read);
    rig_wait(&read);
    assert_int_equal(read.read.status, 0);
    driver_local.finish_object(&object);
    once_init(&object, f, "x");
    atomic_store(&object.plan.size, 100000); /* stated by the caller: to be compared */
    assert_int_equal(rig_read(f->rig, &object, 0, 4096, buffer), 0);
    driver_local.finish_object(&object);
    once_init(&object, f, "x");
    atomic_store(&object.plan.size, 99999);
    assert_int_equal(rig_read(f->rig, &object, 0, 4096, buffer), LSIO_E_CHANGED);
    assert_int_equal(rig_ops_done(f->rig, LOOP_READ_FILE), 0);
    driver_local.finish_object(&object);
}

static void warm_names_are_opened_at_once(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;

    rig_file_write(f->directory, "x", 4096, 3);
    f->rig->env.warm = true;
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 4096, buffer), 0); /* now the name is in memory */
    driver_local.finish_object(&object);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_probe(f->rig, &object), 0);
    assert_int_equal(rig_ops_done(f->rig, LOOP_OPEN), 0);
    driver_local.finish_object(&object);
    rig_object_init(&object, f->store, "not/there");
    assert_int_equal(rig_read(f->rig, &object, 0, 10, buffer), -ENOENT);
    driver_local.finish_object(&object);
}

static void probe_finds_size(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;

    rig_file_write(f->directory, "x", 123456, 1);
    rig_file_write(f->directory, "empty", 0, 1);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_probe(f->rig, &object), 0);
    assert_int_equal(atomic_load(&object.plan.size), 123456);
    assert_int_equal(rig_read(f->rig, &object, 123456, 0, NULL), 0);
    driver_local.finish_object(&object);
    rig_object_init(&object, f->store, "empty");
    assert_int_equal(rig_probe(f->rig, &object), 0);
    assert_int_equal(atomic_load(&object.plan.size), 0);
    assert_int_equal(rig_read(f->rig, &object, 0, 1, buffer), LSIO_E_TRUNCATED);
    driver_local.finish_object(&object);
}

static void vectors(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct rig_read read;
    struct iovec iov[3] = {{buffer, 10}, {buffer + 1000, 60000}, {buffer + 100000, 7}};

    rig_file_write(f->directory, "x", 70000, 5);
    rig_object_init(&object, f->store, "x");
    rig_read_init(&read, &object, 33, 60017, NULL);
    read.read.iov = iov;
    read.read.iov_count = 3;
    rig_begin(f->rig, &read);
    rig_wait(&read);
    assert_int_equal(read.read.status, 0);
    rig_check(buffer, 10, 5, 33);
    rig_check(buffer + 1000, 60000, 5, 43);
    rig_check(buffer + 100000, 7, 5, 60043);
    driver_local.finish_object(&object);
}

/* --------------------------------------------------------------------------- short, broken -- */

static int64_t short_reads(const struct loop_op *op, void *data)
{
    unsigned *count = data;

    if (op->kind == LOOP_OPEN || op->kind == LOOP_CLOSE)
        return RIG_REAL;
    ++*count;
    return *count % 4 == 3 ? -EINTR : RIG_SHORT(1 + *count * 97 % 5000);
}

static void short_reads_go_on(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct rig_read read;
    unsigned count = 0;
    struct iovec iov[4] = {
        {buffer, 1}, {buffer + 1, 4095}, {buffer + 4096, 3}, {buffer + 4099, 45901}};

    rig_file_write(f->directory, "x", 300000, 7);
    rig_set_fault(f->rig, short_reads, &count);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 60000, buffer), 0);
    rig_check(buffer, 60000, 7, 0);
    assert_int_equal(rig_read(f->rig, &object, 77, 200000, buffer), 0);
    rig_check(buffer, 200000, 7, 77);
    rig_read_init(&read, &object, 4321, 50000, NULL);
    read.read.iov = iov;
    read.read.iov_count = 4;
    rig_begin(f->rig, &read);
    rig_wait(&read);
    assert_int_equal(read.read.status, 0);
    assert_int_equal(read.read.bytes_done, 50000);
    rig_check(buffer, 50000, 7, 4321);
    assert_true(count > 50);
    driver_local.finish_object(&object);
}

static void truncated(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct rig_read read;

    rig_file_write(f->directory, "x", 1000, 1);
    rig_object_init(&object, f->store, "x");
    rig_read_init(&read, &object, 900, 200, buffer);
    rig_begin(f->rig, &read);
    rig_wait(&read);
    assert_int_equal(read.read.status, LSIO_E_TRUNCATED);
    assert_int_equal(read.read.bytes_done, 100);
    assert_int_equal(rig_read(f->rig, &object, 1000, 1, buffer), LSIO_E_TRUNCATED);
    assert_int_equal(rig_read(f->rig, &object, 5000, 100000, buffer), LSIO_E_TRUNCATED);
    assert_int_equal(rig_read(f->rig, &object, 0, 1000, buffer), 0);
    driver_local.finish_object(&object);
}

struct failing {
    int kind;
    int64_t result;
    unsigned times, seen;
};

static int64_t fail_some(const struct loop_op *op, void *data)
{
    struct failing *failing = data;

    if (op->kind != failing->kind || failing->seen >= failing->times)
        return RIG_REAL;
    failing->seen++;
    return failing->result;
}

static void device_errors_are_final(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct failing eio = {LOOP_READ, -EIO, 100, 0};
    struct rig_read read;

    rig_file_write(f->directory, "x", 1 << 20, 1);
    rig_set_fault(f->rig, fail_some, &eio);
    rig_object_init(&object, f->store, "x");
    rig_read_init(&read, &object, 0, 1 << 20, buffer);
    rig_begin(f->rig, &read);
    rig_wait(&read);
    assert_int_equal(read.read.status, -EIO);
    assert_int_equal(read.read.code, EIO);
    assert_int_equal(eio.seen, 1);
    assert_int_equal(read.read.bytes_done, 0);
    driver_local.finish_object(&object);
}

static void passing_errors_pass(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct failing again = {LOOP_READ, -EAGAIN, 20, 0};

    rig_file_write(f->directory, "x", 100000, 1);
    rig_set_fault(f->rig, fail_some, &again);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 5, 99995, buffer), 0);
    rig_check(buffer, 99995, 1, 5);
    assert_int_equal(again.seen, 20);
    again.seen = 0;
    again.times = 1000000; /* for ever */
    assert_int_equal(rig_read(f->rig, &object, 5, 99995, buffer), -EAGAIN);
    driver_local.finish_object(&object);
}

static void whole_file_trouble_goes_the_general_way(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    static const int64_t results[] = {-EIO, -EINVAL, -ECANCELED, -EMFILE, 0, 7, RIG_SHORT(100)};

    rig_file_write(f->directory, "x", 5000, 1);
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        struct failing failing = {LOOP_READ_FILE, results[i], 1, 0};
        rig_set_fault(f->rig, fail_some, &failing);
        once_init(&object, f, "x");
        memset(buffer, 0, 5000);
        assert_int_equal(rig_read(f->rig, &object, 0, 5000, buffer), 0);
        rig_check(buffer, 5000, 1, 0);
        assert_int_equal(failing.seen, 1);
        driver_local.finish_object(&object);
    }
}

static uint64_t clock_ns;

static uint64_t fake_now(void)
{
    return clock_ns;
}

static int setup_clocked(void **state)
{
    static struct loop_os os;

    os = loop_os_linux;
    os.now_ns = fake_now;
    clock_ns = 1;
    *state = local_begin("controlled", &os, NULL);
    return 0;
}

static int64_t hold_whole_files(const struct loop_op *op, void *data)
{
    (void)data;
    return op->kind == LOOP_READ_FILE ? RIG_LATER : RIG_REAL;
}

static void turn_for_seconds(struct rig *rig, unsigned seconds)
{
    clock_ns += seconds * UINT64_C(1000000000);
    for (int i = 0; i < 4; i++)
        rig_turn(rig);
}

/* Also on a worker that has left its loop, which was refused, and got another. */
static void whole_file_that_waits_goes_the_general_way(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct rig_read read;

    rig_file_write(f->directory, "x", 5000, 1);
    rig_set_fault(f->rig, hold_whole_files, NULL);
    for (int left = 0; left < 2; left++) {
        once_init(&object, f, "x");
        rig_read_init(&read, &object, 0, 5000, buffer);
        rig_begin(f->rig, &read);
        turn_for_seconds(f->rig, 1);
        assert_int_equal(read.completions, 0);
        assert_int_equal(f->rig->env.background, 1);
        turn_for_seconds(f->rig, 1);
        assert_int_equal(read.completions, 1);
        assert_int_equal(read.read.status, 0);
        rig_check(buffer, 5000, 1, 0);
        driver_local.finish_object(&object);
        rig_leave(f->rig, f->state);
        assert_int_equal(f->rig->env.background, 0);
    }
}

/* ---------------------------------------------------------------------------------- ESTALE -- */

static void stale_handle_is_reopened(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct failing stale = {LOOP_READ, -ESTALE, 1, 0};
    unsigned opens;

    rig_file_write(f->directory, "x", 100000, 1);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), 0);
    rig_set_fault(f->rig, fail_some, &stale);
    opens = rig_ops_done(f->rig, LOOP_OPEN);
    assert_int_equal(rig_read(f->rig, &object, 10, 99990, buffer), 0);
    rig_check(buffer, 99990, 1, 10);
    assert_int_equal(rig_ops_done(f->rig, LOOP_OPEN), opens + 1);
    assert_int_equal(f->rig->env.retries, 1);
    /* for ever: one attempt only */
    stale = (struct failing){LOOP_READ, -ESTALE, 1000, 0};
    assert_int_equal(rig_read(f->rig, &object, 10, 99990, buffer), -ESTALE);
    assert_int_equal(stale.seen, 2);
    /* another file has the name */
    stale = (struct failing){LOOP_READ, -ESTALE, 1, 0};
    rig_file_write(f->directory, "y", 100000, 2);
    assert_int_equal(rename(local_path(f, "y"), local_path(f, "x")), 0);
    assert_int_equal(rig_read(f->rig, &object, 10, 99990, buffer), LSIO_E_CHANGED);
    driver_local.finish_object(&object);
}

static void stale_name_is_opened_again(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct failing stale = {LOOP_OPEN, -ESTALE, 1, 0};

    rig_file_write(f->directory, "x", 100000, 1);
    rig_set_fault(f->rig, fail_some, &stale);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), 0);
    driver_local.finish_object(&object);
    stale = (struct failing){LOOP_OPEN, -ESTALE, 1000, 0};
    rig_file_write(f->directory, "x", 100001, 1);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), -ESTALE);
    assert_int_equal(stale.seen, 2);
    driver_local.finish_object(&object);
}

/* ---------------------------------------------------------------------- absent, odd, links -- */

static void expect_status(struct local_fixture *f, const char *key, int status)
{
    static const uint64_t sizes[] = {1, 100000}; /* both ways */

    for (int i = 0; i < 2; i++) {
        struct driver_object object;
        int got;
        once_init(&object, f, key);
        got = rig_read(f->rig, &object, 0, sizes[i], buffer);
        if (got != status)
            fail_msg("%s, %llu bytes: %d instead of %d", key, (unsigned long long)sizes[i], got,
                     status);
        if (status != LSIO_E_TRUNCATED)
            assert_int_equal(rig_probe(f->rig, &object), status);
        driver_local.finish_object(&object);
    }
    assert_int_equal(f->cache->fd_count, 0);
}

static void absent(void **state)
{
    struct local_fixture *f = *state;
    char long_key[400];

    rig_file_write(f->directory, "file", 10, 1);
    expect_status(f, "absent", -ENOENT);
    expect_status(f, "a/b/c", -ENOENT);
    expect_status(f, "file/x", -ENOENT);
    expect_status(f, "file/", -ENOENT);
    memset(long_key, 'k', sizeof(long_key) - 1);
    long_key[sizeof(long_key) - 1] = '\0';
    expect_status(f, long_key, -ENAMETOOLONG);
}

static void not_regular(void **state)
{
    struct local_fixture *f = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(mkfifo(local_path(f, "fifo"), 0666), 0);
    assert_int_equal(mkdir(local_path(f, "directory"), 0777), 0);
    assert_int_equal(symlink("/dev/full", local_path(f, "full")), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", local_path(f, "socket"));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    expect_status(f, "fifo", LSIO_E_UNSUPPORTED);
    expect_status(f, "directory", LSIO_E_UNSUPPORTED);
    expect_status(f, "socket", LSIO_E_UNSUPPORTED);
    close(fd);
    /* A device is refused on the general way. */
    struct driver_object object;
    rig_object_init(&object, f->store, "full");
    assert_int_equal(rig_probe(f->rig, &object), LSIO_E_UNSUPPORTED);
    assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), LSIO_E_UNSUPPORTED);
    driver_local.finish_object(&object);
}

static void make_links(struct local_fixture *f)
{
    rig_file_write(f->directory, "real/file", 100, 1);
    rig_file_write(f->directory, "../outside", 100, 2);
    assert_int_equal(symlink("real/file", local_path(f, "inside")), 0);
    assert_int_equal(symlink("../outside", local_path(f, "up")), 0);
    assert_int_equal(symlink(local_path(f, "real/file"), local_path(f, "absolute")), 0);
    assert_int_equal(symlink("..", local_path(f, "real/deep")), 0);
    assert_int_equal(symlink("loop", local_path(f, "loop")), 0);
}

static void links_followed(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    static const char *const keys[] = {"inside", "up", "absolute", "real/deep/real/file"};
    static const uint64_t seeds[] = {1, 2, 1, 1};

    make_links(f);
    for (int i = 0; i < 8; i++) {
        rig_object_init(&object, f->store, keys[i / 2]);
        object.chunk_count = i % 2; /* both ways */
        assert_int_equal(rig_read(f->rig, &object, 50, 50, buffer), 0);
        rig_check(buffer, 50, seeds[i / 2], 50);
        driver_local.finish_object(&object);
    }
    cache_forget_store(f->cache, local_store_of(f->store));
    expect_status(f, "loop", -ELOOP);
}

static void links_beneath(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;

    make_links(f);
    once_init(&object, f, "inside");
    assert_int_equal(rig_read(f->rig, &object, 0, 100, buffer), 0);
    rig_check(buffer, 100, 1, 0);
    driver_local.finish_object(&object);
    once_init(&object, f, "real/deep/real/file");
    assert_int_equal(rig_read(f->rig, &object, 0, 100, buffer), 0);
    driver_local.finish_object(&object);
    expect_status(f, "up", -EACCES);
    expect_status(f, "absolute", -EACCES);
}

/* ------------------------------------------------------------------------------ validators -- */

static void etags(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct lsio_object_info info, again;

    rig_file_write(f->directory, "x", 1000, 1);
    once_init(&object, f, "x");
    assert_int_equal(driver_local.object_info(&object, &info), 0);
    object.etag = info.etag;
    assert_int_equal(rig_read(f->rig, &object, 0, 1000, buffer), 0);
    assert_int_equal(driver_local.object_info(&object, &again), 0);
    assert_string_equal(info.etag, again.etag);
    assert_int_equal(info.mtime_ns, again.mtime_ns);
    assert_int_equal(rig_ops_done(f->rig, LOOP_READ_FILE), 0);
    driver_local.finish_object(&object);
    rig_object_init(&object, f->store, "x");
    object.etag = "something else";
    assert_int_equal(rig_read(f->rig, &object, 0, 1000, buffer), LSIO_E_CHANGED);
    assert_int_equal(rig_read(f->rig, &object, 0, 1000, buffer), LSIO_E_CHANGED);
    assert_int_equal(rig_probe(f->rig, &object), LSIO_E_CHANGED);
    assert_int_equal(atomic_load(&object.changed), LSIO_E_CHANGED);
    driver_local.finish_object(&object);
    rig_object_init(&object, f->store, "x");
    again.etag[strlen(again.etag) - 1] ^= 1; /* all but the last character */
    object.etag = again.etag;
    assert_int_equal(rig_read(f->rig, &object, 0, 1000, buffer), LSIO_E_CHANGED);
    driver_local.finish_object(&object);
    rig_object_init(&object, f->store, "absent");
    assert_int_equal(driver_local.object_info(&object, &info), -ENOENT);
}

static void change_in_place(void **state)
{
    struct local_fixture *f = *state;
    bool checked = local_store_of(f->store)->change_check;
    struct driver_object object;

    rig_file_write(f->directory, "x", 100000, 1);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), 0);
    assert_int_equal(driver_local.verify_object(&object), 0);
    assert_int_equal(truncate(local_path(f, "x"), 100001), 0);
    assert_int_equal(driver_local.verify_object(&object), checked ? LSIO_E_CHANGED : 0);
    driver_local.finish_object(&object);
}

static void replaced_file(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;

    rig_file_write(f->directory, "x", 100000, 1);
    rig_file_write(f->directory, "new", 100000, 2);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), 0);
    assert_int_equal(rename(local_path(f, "new"), local_path(f, "x")), 0);
    /* this batch goes on with the old file, and that is no change */
    assert_int_equal(rig_read(f->rig, &object, 5, 99995, buffer), 0);
    rig_check(buffer, 99995, 1, 5);
    assert_int_equal(driver_local.verify_object(&object), 0);
    driver_local.finish_object(&object);
    /* the next one sees the new file */
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), 0);
    rig_check(buffer, 100000, 2, 0);
    driver_local.finish_object(&object);
    assert_int_equal(unlink(local_path(f, "x")), 0);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), -ENOENT);
    driver_local.finish_object(&object);
}

/* ------------------------------------------------------------------------------- canceling -- */

static int64_t hold_back(const struct loop_op *op, void *data)
{
    const bool *hold = data;

    (void)op;
    return *hold ? RIG_LATER : RIG_REAL;
}

static void cancel_everywhere(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object, other;
    struct rig_read opener, waiter, stranger, remote;
    bool hold = true;

    rig_file_write(f->directory, "x", 100000, 1);
    rig_set_fault(f->rig, hold_back, &hold);
    rig_set_fault(&f->rigs[1], hold_back, &hold);
    /* a whole-file chain */
    once_init(&object, f, "x");
    rig_read_init(&opener, &object, 0, 10, buffer);
    rig_begin(f->rig, &opener);
    rig_cancel(&opener);
    rig_wait(&opener);
    assert_int_equal(opener.read.status, -ECANCELED);
    driver_local.finish_object(&object);
    /* an opener with waiters of its own batch, another batch, and another worker */
    rig_object_init(&object, f->store, "x");
    rig_object_init(&other, f->store, "x");
    rig_read_init(&opener, &object, 0, 100000, buffer);
    rig_read_init(&waiter, &object, 1, 99999, buffer + 100000);
    rig_read_init(&stranger, &other, 2, 99998, buffer + 200000);
    rig_read_init(&remote, &other, 3, 99997, buffer + 300000);
    rig_begin(f->rig, &opener);
    rig_begin(f->rig, &waiter);
    rig_begin(f->rig, &stranger);
    rig_begin(&f->rigs[1], &remote);
    rig_turn(f->rig);
    rig_cancel(&waiter);
    assert_int_equal(waiter.completions, 1);
    assert_int_equal(waiter.read.status, -ECANCELED);
    rig_cancel(&opener);
    rig_wait(&opener);
    assert_int_equal(opener.read.status, -ECANCELED);
    hold = false;
    rig_wait(&stranger);
    rig_wait(&remote);
    assert_int_equal(stranger.read.status, 0);
    assert_int_equal(remote.read.status, 0);
    rig_check(buffer + 200000, 99998, 1, 2);
    rig_check(buffer + 300000, 99997, 1, 3);
    /* a read */
    hold = true;
    rig_read_init(&opener, &other, 0, 100000, buffer);
    rig_begin(f->rig, &opener);
    rig_turn(f->rig);
    rig_cancel(&opener);
    rig_wait(&opener);
    assert_int_equal(opener.read.status, -ECANCELED);
    driver_local.finish_object(&object);
    driver_local.finish_object(&other);
}

struct opening {
    bool hold;
    int fd; /* what the held opening has found */
};

static int64_t open_early(const struct loop_op *op, void *data)
{
    struct opening *opening = data;
    int fd = opening->fd;

    if (opening->hold)
        return RIG_LATER;
    if (op->kind != LOOP_OPEN || fd < 0)
        return RIG_REAL;
    opening->fd = -1;
    return fd;
}

/* A batch that begins while another's opening is on its way does not get what that has found: the
 * name may have got another file in between. */
static void an_opening_may_have_begun_too_early(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object, late;
    struct rig_read opener, waiter;
    struct opening opening = {.hold = true};
    char path[4200], other[4200];

    snprintf(path, sizeof(path), "%s/x", f->directory);
    snprintf(other, sizeof(other), "%s/y", f->directory);
    rig_file_write(f->directory, "x", 100000, 1);
    opening.fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(opening.fd >= 0);
    rig_set_fault(f->rig, open_early, &opening);
    rig_object_init(&object, f->store, "x");
    rig_object_init(&late, f->store, "x");
    rig_read_init(&opener, &object, 0, 100000, buffer);
    rig_read_init(&waiter, &late, 0, 100000, buffer + 100000);
    rig_begin(f->rig, &opener);
    rig_file_write(f->directory, "y", 100000, 2);
    assert_int_equal(rename(other, path), 0);
    rig_begin(f->rig, &waiter);
    rig_turn(f->rig);
    opening.hold = false;
    rig_wait(&opener);
    rig_wait(&waiter);
    assert_int_equal(opener.read.status, 0);
    assert_int_equal(waiter.read.status, 0);
    rig_check(buffer, 100000, 1, 0);
    rig_check(buffer + 100000, 100000, 2, 0);
    driver_local.finish_object(&object);
    driver_local.finish_object(&late);
}

static void physical_extents(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;

    rig_file_write(f->directory, "x", 1 << 20, 1);
    rig_object_init(&object, f->store, "x");
    driver_local.describe_object(&object);
    assert_null(object.plan.extents);
    f->store->profile.physical_order = true;
    driver_local.describe_object(&object);
    for (uint32_t i = 1; i < object.plan.extent_count; i++)
        assert_true(object.plan.extents[i].logical >=
                    object.plan.extents[i - 1].logical + object.plan.extents[i - 1].bytes);
    driver_local.finish_object(&object);
    assert_null(object.plan.extents);
    rig_object_init(&object, f->store, "absent");
    driver_local.describe_object(&object);
    assert_null(object.plan.extents);
    driver_local.finish_object(&object);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whole_file_needs_no_descriptor),
        TEST(several_reads_share_a_descriptor),
        TEST(whole_file_only_where_safe),
        TEST(warm_names_are_opened_at_once),
        TEST(probe_finds_size),
        TEST(vectors),
        TEST(short_reads_go_on),
        TEST(truncated),
        TEST(device_errors_are_final),
        TEST(passing_errors_pass),
        TEST(whole_file_trouble_goes_the_general_way),
        cmocka_unit_test_setup_teardown(whole_file_that_waits_goes_the_general_way, setup_clocked,
                                        teardown),
        TEST(stale_handle_is_reopened),
        TEST(stale_name_is_opened_again),
        TEST(absent),
        TEST(not_regular),
        TEST(links_followed),
        cmocka_unit_test_setup_teardown(links_beneath, setup_beneath, teardown),
        TEST(etags),
        TEST(change_in_place),
        cmocka_unit_test_setup_teardown(change_in_place, setup_unchecked, teardown),
        TEST(replaced_file),
        TEST(cancel_everywhere),
        TEST(an_opening_may_have_begun_too_early),
        TEST(physical_extents),
    };

    return cmocka_run_group_tests_name("local read", tests, NULL, NULL);
}
