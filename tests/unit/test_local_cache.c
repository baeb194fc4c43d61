/* SPDX-License-Identifier: MIT */
/*
 * The cache of open files: what stays open, what is closed when, and what happens without
 * descriptors.
 *
 * LSIO_ROWS: L14
 */
#define _GNU_SOURCE

#include "local_fixture.h"

#include <sys/resource.h>

static uint8_t buffer[4 << 20];
static const char *limits;

static int fake_read_text(const char *path, char *out, size_t bytes)
{
    if (limits && strcmp(path, "/proc/self/limits") == 0) {
        snprintf(out, bytes, "%s", limits);
        return (int)strlen(out);
    }
    return loop_os_linux.read_text(path, out, bytes);
}

static struct loop_os os;
static int fds_left = 1 << 30; /* before EMFILE */

static int counted_open(int dirfd, const char *path, int flags, bool beneath)
{
    int fd = fds_left > 0 ? loop_os_linux.open(dirfd, path, flags, beneath) : -EMFILE;

    if (fd >= 0)
        fds_left--;
    return fd;
}

static void counted_close(int fd)
{
    fds_left++;
    loop_os_linux.close(fd);
}

#define LIMITS(n)                                                                                  \
    "Limit                     Soft Limit           Hard Limit           Units     \n"             \
    "Max processes             96186                96186                processes \n"             \
    "Max open files            " #n "                 1048576              files     \n"           \
    "Max locked memory         8388608              8388608              bytes     \n"

static struct local_fixture *begin(const char *text, const char *loop)
{
    os = loop_os_linux;
    os.read_text = fake_read_text;
    os.open = counted_open;
    os.close = counted_close;
    limits = text;
    return local_begin(loop, &os, NULL);
}

static int teardown(void **state)
{
    local_end(*state);
    return 0;
}

static int setup(void **state)
{
    *state = begin(NULL, "controlled");
    return 0;
}

static int setup_128(void **state)
{
    *state = begin(LIMITS(128), "controlled");
    return 0;
}

static int setup_16(void **state)
{
    *state = begin(LIMITS(16), "controlled");
    return 0;
}

static const char *name_of(unsigned i)
{
    static char names[64][16];

    snprintf(names[i], sizeof(names[i]), "f%02u", i);
    return names[i];
}

static void write_files(struct local_fixture *f, unsigned count, uint64_t bytes)
{
    for (unsigned i = 0; i < count; i++)
        rig_file_write(f->directory, name_of(i), bytes, i);
}

static void read_once(struct local_fixture *f, unsigned i)
{
    struct driver_object object;

    rig_object_init(&object, f->store, name_of(i));
    assert_int_equal(rig_read(f->rig, &object, 1, 99999, buffer), 0);
    rig_check(buffer, 99999, i, 1);
    assert_int_equal(driver_local.verify_object(&object), 0);
    driver_local.finish_object(&object);
}

static bool is_open(struct local_fixture *f, unsigned i)
{
    uint64_t hash = cache_hash(local_store_of(f->store), name_of(i));
    struct local_file *file =
        cache_find(f->cache, local_store_of(f->store), name_of(i), hash, NULL);

    return file && file->state == FILE_READY;
}

static void limits_are_read(void **state)
{
    struct local_fixture *f;

    (void)state;
    f = begin(LIMITS(1024), "controlled");
    assert_int_equal(f->cache->capacity, 256);
    assert_true(f->cache->held_max > 0 && f->cache->held_max < 256);
    local_end(f);
    f = begin("Max open files            unlimited            unlimited            files",
              "controlled");
    assert_int_equal(f->cache->capacity, 1024);
    local_end(f);
    f = begin("nonsense", "controlled");
    assert_int_equal(f->cache->capacity, 256);
    local_end(f);
    f = begin(LIMITS(16), "controlled");
    assert_int_equal(f->cache->capacity, 4);
    assert_int_equal(f->cache->held_max, 0);
    local_end(f);
}

static void least_recently_used_goes_first(void **state)
{
    struct local_fixture *f = *state; /* capacity 4 */

    write_files(f, 8, 100000);
    for (unsigned i = 0; i < 4; i++)
        read_once(f, i);
    assert_int_equal(f->cache->fd_count, 4);
    read_once(f, 0);
    read_once(f, 4); /* 1 was not used for longest */
    assert_true(is_open(f, 0) && !is_open(f, 1) && is_open(f, 2) && is_open(f, 3) && is_open(f, 4));
    assert_int_equal(f->cache->fd_count, 4);
    for (unsigned i = 0; i < 8; i++)
        read_once(f, i);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(is_open(f, i), i >= 4);
    assert_int_equal(f->cache->fd_count, 4);
}

static void later_batches_use_open_files(void **state)
{
    struct local_fixture *f = *state;
    unsigned opens;

    write_files(f, 2, 100000);
    read_once(f, 0);
    opens = rig_ops_done(f->rig, LOOP_OPEN);
    read_once(f, 0);
    assert_int_equal(rig_ops_done(f->rig, LOOP_OPEN), opens);
    /* not if anything about the file is different */
    assert_int_equal(chmod(local_path(f, name_of(0)), 0600), 0);
    read_once(f, 0);
    assert_int_equal(rig_ops_done(f->rig, LOOP_OPEN), opens + 1);
    /* and never on remote file systems */
    local_store_of(f->store)->remote = true;
    opens = rig_ops_done(f->rig, LOOP_OPEN);
    read_once(f, 1);
    read_once(f, 1);
    assert_int_equal(rig_ops_done(f->rig, LOOP_OPEN), opens + 2);
    assert_false(is_open(f, 1));
}

static void one_opening_for_all_who_wait(void **state)
{
    struct local_fixture *f = *state;

    for (int remote = 0; remote < 2; remote++) {
        struct driver_object object;
        struct rig_read reads[8];
        unsigned opens =
            rig_ops_done(&f->rigs[0], LOOP_OPEN) + rig_ops_done(&f->rigs[1], LOOP_OPEN);
        rig_file_write(f->directory, "x", 400000 + (uint64_t)remote, 9);
        local_store_of(f->store)->remote = remote;
        rig_object_init(&object, f->store, "x");
        for (int i = 0; i < 8; i++) {
            rig_read_init(&reads[i], &object, (uint64_t)i * 50000, 50000, buffer + i * 50000);
            reads[i].read.part = true;
            rig_begin(&f->rigs[i % 2], &reads[i]);
        }
        for (int i = 0; i < 8; i++) {
            rig_wait(&reads[i]);
            assert_int_equal(reads[i].read.status, 0);
        }
        rig_check(buffer, 400000, 9, 0);
        assert_int_equal(
            rig_ops_done(&f->rigs[0], LOOP_OPEN) + rig_ops_done(&f->rigs[1], LOOP_OPEN), opens + 1);
        driver_local.finish_object(&object);
    }
}

static void ring_slots(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;

    write_files(f, 40, 100000);
    rig_object_init(&object, f->store, name_of(0));
    assert_int_equal(rig_read(&f->rigs[0], &object, 0, 100000, buffer), 0);
    assert_int_equal(rig_slots(&f->rigs[0]), 0); /* not for one read */
    assert_int_equal(rig_read(&f->rigs[0], &object, 0, 100000, buffer), 0);
    assert_int_equal(rig_slots(&f->rigs[0]), 1);
    assert_int_equal(rig_slots(&f->rigs[1]), 0); /* each ring for itself */
    for (int i = 0; i < 3; i++)
        assert_int_equal(rig_read(&f->rigs[1], &object, 0, 100000, buffer), 0);
    assert_int_equal(rig_slots(&f->rigs[1]), 1);
    driver_local.finish_object(&object);
    /* it goes on with the same slot in the next batch */
    rig_object_init(&object, f->store, name_of(0));
    assert_int_equal(rig_read(&f->rigs[0], &object, 0, 100000, buffer), 0);
    assert_int_equal(rig_slots(&f->rigs[0]), 1);
    driver_local.finish_object(&object);
    /* evicted: each worker is asked to detach */
    for (unsigned i = 1; i < 40; i++)
        read_once(f, i);
    assert_false(is_open(f, 0));
    rig_turn(&f->rigs[0]);
    rig_turn(&f->rigs[1]);
    assert_int_equal(rig_slots(&f->rigs[0]), 0);
    assert_int_equal(rig_slots(&f->rigs[1]), 0);
    assert_null(f->cache->dead);
}

static void ring_without_room(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object objects[64];

    for (unsigned i = 0; i < 64; i++) { /* the ring holds fewer */
        struct driver_object *filler = &objects[i];
        char *key = NULL;
        assert_true(asprintf(&key, "g%02u", i) > 0);
        rig_file_write(f->directory, key, 1000, i);
        rig_object_init(filler, f->store, key);
        for (int k = 0; k < 4; k++)
            assert_int_equal(rig_read(f->rig, filler, 0, 1000, buffer), 0);
    }
    write_files(f, 2, 100000);
    read_once(f, 0);
    struct driver_object object;
    rig_object_init(&object, f->store, name_of(1));
    for (int k = 0; k < 4; k++) {
        assert_int_equal(rig_read(f->rig, &object, 0, 100000, buffer), 0);
        rig_check(buffer, 100000, 1, 0);
    }
    assert_int_equal(rig_slots(f->rig), 64);
    driver_local.finish_object(&object);
    for (unsigned i = 0; i < 64; i++) {
        driver_local.finish_object(&objects[i]);
        free((void *)(uintptr_t)objects[i].key);
    }
}

/* ------------------------------------------------------------------------- few descriptors -- */

static void more_objects_than_descriptors(void **state)
{
    struct local_fixture *f = *state; /* capacity 4, 8 at most */
    struct driver_object objects[32];

    write_files(f, 32, 100000);
    for (unsigned i = 0; i < 32; i++)
        rig_object_init(&objects[i], f->store, name_of(i));
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 32; i++) {
            assert_int_equal(rig_read(&f->rigs[i % 2], &objects[i], (uint64_t)round, 99990, buffer),
                             0);
            rig_check(buffer, 99990, i, (uint64_t)round);
            assert_true(f->cache->fd_count <= 8);
        }
    }
    for (unsigned i = 0; i < 32; i++) {
        assert_int_equal(driver_local.verify_object(&objects[i]), 0);
        driver_local.finish_object(&objects[i]);
    }
    assert_true(f->cache->fd_count <= 4);
}

static void more_reads_than_descriptors(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object objects[32];
    struct rig_read reads[32];
    int before = fds_open();

    write_files(f, 32, 100000);
    for (unsigned i = 0; i < 32; i++) {
        rig_object_init(&objects[i], f->store, name_of(i));
        rig_read_init(&reads[i], &objects[i], 0, 100000, buffer + i * 100000);
        rig_begin(&f->rigs[i % 2], &reads[i]);
        assert_true(f->cache->fd_count <= 8);
    }
    assert_true(f->cache->starved_count > 0);
    for (unsigned i = 0; i < 32; i++) {
        rig_wait(&reads[i]);
        assert_int_equal(reads[i].read.status, 0);
        rig_check(buffer + i * 100000, 100000, i, 0);
        assert_true(fds_open() <= before + 8);
    }
    for (unsigned i = 0; i < 32; i++)
        driver_local.finish_object(&objects[i]);
}

static void cancel_while_starving(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object objects[16];
    struct rig_read reads[16], late;

    write_files(f, 16, 100000);
    for (unsigned i = 0; i < 16; i++) {
        rig_object_init(&objects[i], f->store, name_of(i));
        rig_read_init(&reads[i], &objects[i], 0, 100000, buffer + i * 100000);
        rig_begin(f->rig, &reads[i]);
    }
    /* another one waits for the file of one that starves */
    rig_read_init(&late, &objects[12], 10, 99990, buffer + 16 * 100000);
    rig_begin(&f->rigs[1], &late);
    rig_cancel(&reads[12]);
    assert_int_equal(reads[12].completions, 1);
    assert_int_equal(reads[12].read.status, -ECANCELED);
    for (unsigned i = 0; i < 16; i++) {
        rig_wait(&reads[i]);
        assert_int_equal(reads[i].read.status, i == 12 ? -ECANCELED : 0);
    }
    rig_wait(&late);
    assert_int_equal(late.read.status, 0);
    rig_check(buffer + 16 * 100000, 99990, 12, 10);
    for (unsigned i = 0; i < 16; i++)
        driver_local.finish_object(&objects[i]);
}

static void change_is_seen_across_closing(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object first, second, object;

    write_files(f, 32, 100000);
    rig_object_init(&first, f->store, name_of(0));
    rig_object_init(&second, f->store, name_of(1));
    assert_int_equal(rig_read(f->rig, &first, 0, 99990, buffer), 0);
    assert_int_equal(rig_read(f->rig, &second, 0, 99990, buffer), 0);
    assert_int_equal(truncate(local_path(f, name_of(0)), 99995), 0);
    for (unsigned i = 2; i < 32; i++)
        read_once(f, i); /* closes both */
    assert_int_equal(((struct local_file *)atomic_load(&first.handle))->state, FILE_CLOSED);
    assert_int_equal(((struct local_file *)atomic_load(&second.handle))->state, FILE_CLOSED);
    /* changed before it was closed: seen without opening it again */
    assert_int_equal(driver_local.verify_object(&first), LSIO_E_CHANGED);
    assert_int_equal(driver_local.verify_object(&second), 0);
    assert_int_equal(rig_read(f->rig, &first, 0, 99990, buffer), LSIO_E_CHANGED);
    /* changed while it was closed: seen when it is opened again */
    assert_int_equal(truncate(local_path(f, name_of(1)), 99995), 0);
    assert_int_equal(rig_read(f->rig, &second, 0, 99990, buffer), LSIO_E_CHANGED);
    assert_int_equal(driver_local.verify_object(&second), LSIO_E_CHANGED);
    rig_object_init(&object, f->store, name_of(1));
    assert_int_equal(rig_read(f->rig, &object, 0, 99990, buffer), 0);
    driver_local.finish_object(&first);
    driver_local.finish_object(&second);
    driver_local.finish_object(&object);
}

struct scarce {
    unsigned left; /* opens that still succeed */
};

static int64_t scarce_opens(const struct loop_op *op, void *data)
{
    struct scarce *scarce = data;

    if (op->kind != LOOP_OPEN)
        return RIG_REAL;
    if (scarce->left == 0)
        return -EMFILE;
    scarce->left--;
    return RIG_REAL;
}

static void kernel_has_no_descriptor(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object objects[4];
    struct scarce scarce = {2};
    struct rig_read read;

    write_files(f, 4, 100000);
    rig_set_fault(f->rig, scarce_opens, &scarce);
    read_once(f, 0);
    read_once(f, 1);
    assert_int_equal(f->cache->fd_count, 2);
    /* both idle ones are given up, then it fails, with a hint */
    rig_object_init(&objects[0], f->store, name_of(2));
    rig_read_init(&read, &objects[0], 0, 100000, buffer);
    rig_begin(f->rig, &read);
    rig_wait(&read);
    assert_int_equal(read.read.status, -EMFILE);
    assert_non_null(strstr(read.read.text, "RLIMIT_NOFILE"));
    assert_int_equal(f->cache->fd_count, 0);
    scarce.left = 1;
    assert_int_equal(rig_read(f->rig, &objects[0], 0, 100000, buffer), 0);
    driver_local.finish_object(&objects[0]);
}

static int64_t slow_reads(const struct loop_op *op, void *data)
{
    unsigned *tries = data;

    return op->kind != LOOP_OPEN && ++*tries % 3 ? RIG_LATER : RIG_REAL;
}

static void others_end_and_it_goes_on(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object objects[32];
    struct rig_read reads[32];
    unsigned tries = 0;

    write_files(f, 32, 100000);
    rig_set_fault(&f->rigs[0], slow_reads, &tries);
    rig_set_fault(&f->rigs[1], slow_reads, &tries);
    fds_left = 2;
    for (unsigned i = 0; i < 32; i++) {
        rig_object_init(&objects[i], f->store, name_of(i));
        rig_read_init(&reads[i], &objects[i], 0, 100000, buffer + i * 100000);
        rig_begin(&f->rigs[i % 2], &reads[i]);
    }
    for (unsigned i = 0; i < 32; i++) {
        rig_wait(&reads[i]);
        assert_int_equal(reads[i].read.status, 0);
        rig_check(buffer + i * 100000, 100000, i, 0);
    }
    for (unsigned i = 0; i < 32; i++)
        driver_local.finish_object(&objects[i]);
    fds_left = 1 << 30;
}

static void a_real_limit(void **state)
{
    struct rlimit before, few;
    struct local_fixture *f;
    struct driver_object objects[48];
    struct rig_read reads[48];

    (void)state;
    f = begin(LIMITS(1024), "epoll"); /* it believes that it may have many */
    write_files(f, 48, 60000);
    f->cache->held_max = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)fds_open() + 5;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    for (unsigned i = 0; i < 48; i++) {
        rig_object_init(&objects[i], f->store, name_of(i));
        rig_read_init(&reads[i], &objects[i], 0, 60000, buffer + i * 60000);
        reads[i].read.part = true;
        rig_begin(&f->rigs[i % 2], &reads[i]);
    }
    for (unsigned i = 0; i < 48; i++) {
        rig_wait(&reads[i]);
        assert_int_equal(reads[i].read.status, 0);
        rig_check(buffer + i * 60000, 60000, i, 0);
    }
    for (unsigned i = 0; i < 48; i++)
        driver_local.finish_object(&objects[i]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    local_end(f);
}

static void forked_child_closes_quietly(void **state)
{
    struct local_fixture *f = *state;
    int before = fds_open();

    write_files(f, 4, 100000);
    read_once(f, 0);
    read_once(f, 1);
    assert_int_equal(fds_open(), before + 2);
    for (uint32_t i = 0; i < LOCAL_WORKERS; i++)
        rig_leave(&f->rigs[i], f->state);
    /* as in a child: no store_close that would lock, then the state */
    pthread_mutex_lock(&f->cache->lock);
    struct lsio_store *store = f->store;
    int root = local_store_of(store)->root_fd;
    local_store_of(store)->root_fd = -1;
    driver_local.store_close(store, true);
    pthread_mutex_unlock(&f->cache->lock);
    driver_local.state_destroy(f->state, true);
    assert_int_equal(fds_open(), before);
    close(root);
    for (uint32_t i = 0; i < LOCAL_WORKERS; i++)
        rig_finish(&f->rigs[i]);
    rig_directory_remove(f->outside);
    free(f);
}

static void random_traffic(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object objects[48];
    struct rig_read reads[24];
    bool used[48] = {false}, busy[24] = {false};
    unsigned at[24], users[48] = {0};
    uint64_t seed = 12345;

    write_files(f, 48, 70000);
    for (int step = 0; step < 20000; step++) {
        unsigned slot, which;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        slot = (unsigned)(seed >> 33) % 24;
        which = (unsigned)(seed >> 40) % 48;
        if (busy[slot]) {
            if (seed >> 60 == 0)
                rig_cancel(&reads[slot]);
            if (seed >> 60 < 9)
                rig_wait(&reads[slot]);
            if (reads[slot].completions) {
                busy[slot] = false;
                if (reads[slot].read.status != -ECANCELED) {
                    assert_int_equal(reads[slot].read.status, 0);
                    rig_check(reads[slot].read.addr, 64, at[slot], reads[slot].read.offset);
                }
                if (--users[at[slot]] == 0 && seed >> 61 & 1) {
                    driver_local.finish_object(&objects[at[slot]]);
                    used[at[slot]] = false;
                }
            }
            continue;
        }
        if (!used[which])
            rig_object_init(&objects[which], f->store, name_of(which));
        used[which] = true;
        users[which]++;
        at[slot] = which;
        rig_read_init(&reads[slot], &objects[which], (seed >> 20) % 4000, 66000,
                      buffer + slot * 70000);
        busy[slot] = true;
        rig_begin(&f->rigs[seed >> 50 & 1], &reads[slot]);
    }
    for (unsigned i = 0; i < 24; i++)
        if (busy[i])
            rig_wait(&reads[i]);
    for (unsigned i = 0; i < 48; i++)
        if (used[i])
            driver_local.finish_object(&objects[i]);
}

#define TEST(name, begin) cmocka_unit_test_setup_teardown(name, begin, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_read),
        TEST(least_recently_used_goes_first, setup_16),
        TEST(later_batches_use_open_files, setup),
        TEST(one_opening_for_all_who_wait, setup),
        TEST(ring_slots, setup_128),
        TEST(ring_without_room, setup),
        TEST(more_objects_than_descriptors, setup_16),
        TEST(more_reads_than_descriptors, setup_16),
        TEST(cancel_while_starving, setup_16),
        TEST(change_is_seen_across_closing, setup_16),
        TEST(kernel_has_no_descriptor, setup),
        TEST(others_end_and_it_goes_on, setup_16),
        cmocka_unit_test(a_real_limit),
        cmocka_unit_test_setup(forked_child_closes_quietly, setup),
        TEST(random_traffic, setup_16),
        TEST(random_traffic, setup_128),
    };

    return cmocka_run_group_tests_name("local cache", tests, NULL, NULL);
}
