/* SPDX-License-Identifier: MIT */
/*
 * One suite for every driver over every loop: what the engine relies on, whatever the storage.
 *
 * A case is a driver in one of its ways of working (local: descriptors held, counted, O_DIRECT) on
 * one loop. Each test runs for each case.
 *
 * LSIO_ROWS: L4 L6 L8
 */
#define _GNU_SOURCE

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver/local/file.h"
#include "driver/memory/memory.h"
#include "driver_remote.h"
#include "driver_rig.h"

#define WORKERS 2u

struct way {
    const char *name;
    const struct driver_ops *driver;
    const char *option;
    bool counted, warm;
    const struct remote_way *remote; /* over HTTP */
    bool simulated;                  /* by the simulated transport: without sockets */
};

static const struct way ways[] = {
    {"memory", &driver_memory, NULL, false, false},
    {"local", &driver_local, NULL, false, false},
    {"local warm", &driver_local, NULL, false, true},
    {"local counted", &driver_local, NULL, true, false},
    {"local direct", &driver_local, "direct=on", false, false},
    {"local direct counted", &driver_local, "direct=on", true, false},
#ifdef LSIO_HAVE_HTTP
    {"http", &driver_http, .remote = &remote_http},
    {"s3", &driver_http, .remote = &remote_s3},
    {"gcs", &driver_http, .remote = &remote_gcs},
    {"azure", &driver_http, .remote = &remote_azure},
    {"http simulated", &driver_http, .remote = &remote_http, .simulated = true},
    {"s3 simulated", &driver_http, .remote = &remote_s3, .simulated = true},
    {"gcs simulated", &driver_http, .remote = &remote_gcs, .simulated = true},
    {"azure simulated", &driver_http, .remote = &remote_azure, .simulated = true},
#endif
};

static const struct way *way;
static const char *loop_name;

struct fixture {
    const struct driver_ops *driver;
    struct rig rigs[WORKERS];
    struct rig *rig;
    void *state;
    char *directory;
    struct remote remote;
    struct lsio_store *store;
    uint8_t *memory; /* 8 MiB */
};

static void state_make(struct fixture *f)
{
    char url[4096];

    f->driver = way->driver;
    f->memory = aligned_alloc(4096, 8 << 20);
    f->directory = rig_directory_make(NULL);
    assert_int_equal(f->driver->state_create(NULL, &loop_os_linux, WORKERS, &f->state), 0);
    if (way->counted) {
        ((struct local_cache *)f->state)->held_max = 0;
        ((struct local_cache *)f->state)->capacity = 3;
        ((struct local_cache *)f->state)->fds_max = 6;
    }
    snprintf(url, sizeof(url), "%s", way->driver == &driver_memory ? "memory://m" : f->directory);
    f->rigs[0].env.os = &loop_os_linux;
    f->rigs[0].driver = f->driver;
    if (way->remote) {
        f->remote.simulated = way->simulated;
        remote_open(&f->remote, way->remote, &f->rigs[0], f->state, &f->store);
        return;
    }
    assert_int_equal(rig_store_open(&f->rigs[0], f->state, url, &f->store, way->option, NULL), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    state_make(f);
    rig_init_many(f->rigs, WORKERS, loop_name, &loop_os_linux, f->driver);
    for (uint32_t i = 0; i < WORKERS; i++)
        f->rigs[i].env.warm = way->warm;
    f->rig = &f->rigs[0];
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 0; i < WORKERS; i++)
        rig_leave(&f->rigs[i], f->state);
    f->driver->store_close(f->store, false);
    f->driver->state_destroy(f->state, false);
    for (uint32_t i = 0; i < WORKERS; i++)
        rig_finish(&f->rigs[i]);
    if (way->remote)
        remote_close(&f->remote);
    rig_directory_remove(f->directory);
    free(f->memory);
    free(f);
    return 0;
}

/* Puts an object of the pattern with that seed, as one would into this store. */
static void put(struct fixture *f, const char *key, uint64_t bytes, uint64_t seed)
{
    char from[4096], to[4096];

    if (f->driver->put || way->remote) {
        uint8_t *data = malloc(bytes + 1);
        for (uint64_t i = 0; i < bytes; i++)
            data[i] = rig_pattern(seed, i);
        if (way->remote)
            remote_put(&f->remote, key, data, bytes);
        else
            assert_int_equal(f->driver->put(f->store, key, data, bytes), 0);
        free(data);
        return;
    }
    snprintf(from, sizeof(from), "%s/.new", f->directory);
    snprintf(to, sizeof(to), "%s/%s", f->directory, key);
    if (access(to, F_OK) != 0)
        rig_file_write(f->directory, key, 0, 0); /* makes the directories */
    rig_file_write(f->directory, ".new", bytes, seed);
    assert_int_equal(rename(from, to), 0);
}

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 24;
}

static int verify(struct fixture *f, struct driver_object *object)
{
    return f->driver->verify_object ? f->driver->verify_object(object) : 0;
}

/* ----------------------------------------------------------------------------------- tests -- */

static void exact_ranges(void **state)
{
    struct fixture *f = *state;
    const uint64_t size = 3000001;
    struct driver_object object;
    uint64_t seed = 5;

    put(f, "a/b/c", size, 11);
    for (int i = 0; i < 100; i++) {
        uint64_t bytes = 1 + next(&seed) % (i % 2 ? 2000000 : 5000);
        uint64_t offset = i % 5 ? next(&seed) % (size - bytes) : size - bytes;
        uint8_t *addr = f->memory + 4096 + next(&seed) % 4096;
        addr[-1] = addr[bytes] = 0xab;
        if (i % 10 == 0)
            rig_object_init(&object, f->store, "a/b/c");
        assert_int_equal(rig_read(f->rig, &object, offset, bytes, addr), 0);
        rig_check(addr, bytes, 11, offset);
        assert_true(addr[-1] == 0xab && addr[bytes] == 0xab);
        if (i % 10 == 9)
            f->driver->finish_object(&object);
    }
}

/* Drivers may read such an object in another way. */
static void objects_read_once(void **state)
{
    struct fixture *f = *state;
    struct driver_object object;

    put(f, "x", 50000, 6);
    for (uint64_t bytes = 1; bytes <= 50000; bytes += 2631) {
        rig_object_init(&object, f->store, "x");
        object.chunk_count = 1;
        assert_int_equal(rig_read(f->rig, &object, 50000 - bytes, bytes, f->memory), 0);
        rig_check(f->memory, bytes, 6, 50000 - bytes);
        f->driver->finish_object(&object);
    }
    rig_object_init(&object, f->store, "absent");
    object.chunk_count = 1;
    assert_int_equal(rig_read(f->rig, &object, 0, 10, f->memory), -ENOENT);
    f->driver->finish_object(&object);
}

static void results_are_filled_in(void **state)
{
    struct fixture *f = *state;
    struct driver_object object;
    struct rig_read read;

    put(f, "x", 200000, 1);
    rig_object_init(&object, f->store, "x");
    for (int i = 0; i < 3; i++) {
        rig_read_init(&read, &object, 100, 150000, f->memory);
        read.read.status = read.read.code = 77;
        read.read.bytes_done = 77;
        read.read.text = (char *)1;
        rig_begin(f->rig, &read);
        rig_wait(&read);
        assert_int_equal(read.read.status, 0);
        assert_int_equal(read.read.code, 0);
        assert_int_equal(read.read.bytes_done, 150000);
        assert_null(read.read.text);
    }
    f->driver->finish_object(&object);
}

static void vectors(void **state)
{
    struct fixture *f = *state;
    struct driver_object object;

    put(f, "x", 1000000, 2);
    rig_object_init(&object, f->store, "x");
    for (uint64_t part = 1; part < 40000; part = part * 3 + 1) {
        struct iovec iov[20];
        struct rig_read read;
        for (int i = 0; i < 20; i++)
            iov[i] = (struct iovec){f->memory + i * 50000, part};
        rig_read_init(&read, &object, 1234, 20 * part, NULL);
        read.read.iov = iov;
        read.read.iov_count = 20;
        rig_begin(f->rig, &read);
        rig_wait(&read);
        assert_int_equal(read.read.status, 0);
        assert_int_equal(read.read.bytes_done, 20 * part);
        for (unsigned i = 0; i < 20; i++)
            rig_check(f->memory + i * 50000, part, 2, 1234 + i * part);
    }
    f->driver->finish_object(&object);
}

/* Where gaps may be skipped, a vector says so with memory that is none. */
static void gaps_are_skipped(void **state)
{
    struct fixture *f = *state;
    struct driver_object object;
    struct iovec iov[19];
    struct rig_read read;

    if (!f->store->profile.discards)
        skip();
    put(f, "x", 1000000, 2);
    rig_object_init(&object, f->store, "x");
    for (unsigned i = 0; i < 19; i++)
        iov[i] = (struct iovec){i % 2 ? NULL : f->memory + i * 40000, 20000 + i};
    rig_read_init(&read, &object, 5, 19 * 20000 + 9 * 19, NULL);
    read.read.iov = iov;
    read.read.iov_count = 19;
    rig_begin(f->rig, &read);
    rig_wait(&read);
    assert_int_equal(read.read.status, 0);
    for (unsigned i = 0, at = 5; i < 19; at += 20000 + i, i++)
        if (i % 2 == 0)
            rig_check(f->memory + i * 40000, 20000 + i, 2, at);
    f->driver->finish_object(&object);
}

static void padded_buffers(void **state)
{
    struct fixture *f = *state;
    struct driver_object object;
    uint64_t seed = 3;

    put(f, "x", 300000, 2);
    rig_object_init(&object, f->store, "x");
    for (int i = 0; i < 60; i++) {
        uint64_t bytes = 1 + next(&seed) % 100000, offset = next(&seed) % (300000 - bytes);
        uint64_t end = offset % 4096 + bytes;
        struct rig_read read;
        if (i % 7 == 0)
            offset = 300000 - bytes;
        end = offset % 4096 + bytes;
        memset(f->memory, 0xee, 300000);
        rig_read_init(&read, &object, offset, bytes, f->memory + 4096 + offset % 4096);
        read.read.padded = true;
        rig_begin(f->rig, &read);
        rig_wait(&read);
        assert_int_equal(read.read.status, 0);
        rig_check(f->memory + 4096 + offset % 4096, bytes, 2, offset);
        assert_int_equal(f->memory[4095], 0xee);
        assert_int_equal(f->memory[4096 + (end + 4095) / 4096 * 4096], 0xee);
    }
    f->driver->finish_object(&object);
}

static void absent(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = {"absent", "a/absent", "x/below"};

    put(f, "x", 10, 1);
    for (int i = 0; i < 3; i++) {
        struct driver_object object;
        struct lsio_object_info info;
        rig_object_init(&object, f->store, keys[i]);
        assert_int_equal(rig_read(f->rig, &object, 0, 10, f->memory), -ENOENT);
        assert_int_equal(rig_read(f->rig, &object, 0, 100000, f->memory), -ENOENT);
        assert_int_equal(rig_probe(f->rig, &object), -ENOENT);
        assert_int_equal(f->driver->object_info(&object, &info), -ENOENT);
        assert_int_equal(atomic_load(&object.plan.size), LSIO_SIZE_UNKNOWN);
        assert_int_equal(verify(f, &object), 0);
        f->driver->finish_object(&object);
    }
}

static void truncated(void **state)
{
    struct fixture *f = *state;
    static const uint64_t cases[][3] = {/* offset, bytes, there */
                                        {0, 100001, 100000},
                                        {99999, 2, 1},
                                        {100000, 1, 0},
                                        {5000000, 10, 0},
                                        {50000, 1000000, 50000}};

    put(f, "x", 100000, 1);
    for (int i = 0; i < 5; i++) {
        struct driver_object object;
        for (int round = 0; round < 2; round++) {
            struct rig_read read;
            if (round == 0)
                rig_object_init(&object, f->store, "x");
            rig_read_init(&read, &object, cases[i][0], cases[i][1], f->memory);
            rig_begin(f->rig, &read);
            rig_wait(&read);
            assert_int_equal(read.read.status, LSIO_E_TRUNCATED);
            assert_int_equal(read.read.bytes_done, cases[i][2]);
        }
        assert_int_equal(rig_read(f->rig, &object, 0, 100000, f->memory), 0);
        f->driver->finish_object(&object);
    }
}

static void sizes(void **state)
{
    struct fixture *f = *state;
    struct driver_object object;

    put(f, "x", 4321, 1);
    put(f, "empty", 0, 1);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_probe(f->rig, &object), 0);
    assert_int_equal(atomic_load(&object.plan.size), 4321);
    f->driver->finish_object(&object);
    rig_object_init(&object, f->store, "empty");
    assert_int_equal(rig_probe(f->rig, &object), 0);
    assert_int_equal(atomic_load(&object.plan.size), 0);
    f->driver->finish_object(&object);
    /* a size that the caller states must be the object's */
    rig_object_init(&object, f->store, "x");
    atomic_store(&object.plan.size, 4321);
    assert_int_equal(rig_read(f->rig, &object, 0, 4321, f->memory), 0);
    f->driver->finish_object(&object);
    rig_object_init(&object, f->store, "x");
    atomic_store(&object.plan.size, 4000);
    assert_int_equal(rig_read(f->rig, &object, 0, 4000, f->memory), LSIO_E_CHANGED);
    f->driver->finish_object(&object);
}

static void validators(void **state)
{
    struct fixture *f = *state;
    struct driver_object object;
    struct lsio_object_info first, second;

    put(f, "x", 1000, 1);
    rig_object_init(&object, f->store, "x");
    if (way->remote) /* there it costs a request */
        assert_int_equal(rig_probe(f->rig, &object), 0);
    assert_int_equal(f->driver->object_info(&object, &first), 0); /* also before any read */
    assert_int_equal(first.size, 1000);
    assert_true(first.mtime_ns > 1500000000000000000);
    f->driver->finish_object(&object);
    rig_object_init(&object, f->store, "x");
    object.etag = first.etag;
    assert_int_equal(rig_read(f->rig, &object, 0, 1000, f->memory), 0);
    assert_int_equal(f->driver->object_info(&object, &second), 0);
    assert_string_equal(first.etag, second.etag);
    assert_int_equal(verify(f, &object), 0);
    f->driver->finish_object(&object);
    usleep(20000); /* past the coarse clock that file times come from */
    put(f, "x", 1000, 2);
    rig_object_init(&object, f->store, "x");
    object.etag = first.etag;
    assert_int_equal(rig_read(f->rig, &object, 0, 1000, f->memory), LSIO_E_CHANGED);
    assert_int_equal(rig_probe(f->rig, &object), LSIO_E_CHANGED);
    f->driver->finish_object(&object);
}

static void one_version_per_batch(void **state)
{
    struct fixture *f = *state;
    struct driver_object object;

    put(f, "x", 500000, 1);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_probe(f->rig, &object), 0);
    for (int i = 0; i < 10; i++) {
        put(f, "x", 500000, 2 + (uint64_t)i);
        if (way->counted && i == 5) /* its descriptor may be gone; then so is the old version */
            break;
        if (way->remote) { /* the old version is gone: never a mixture */
            assert_int_equal(rig_read(f->rig, &object, 100, 400000, f->memory), LSIO_E_CHANGED);
            continue;
        }
        assert_int_equal(rig_read(f->rig, &object, 100, 400000, f->memory), 0);
        rig_check(f->memory, 400000, 1, 100);
    }
    assert_int_equal(verify(f, &object), 0);
    f->driver->finish_object(&object);
    put(f, "x", 500000, 99);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 100, 400000, f->memory), 0);
    rig_check(f->memory, 400000, 99, 100);
    f->driver->finish_object(&object);
}

static void keys(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->driver->check_key(f->store, "a/b"), 0);
    assert_int_equal(f->driver->check_key(f->store, "..."), 0);
    if (way->remote) /* "" is the URL itself */
        assert_int_equal(f->driver->check_key(f->store, ""), 0);
    if (way->remote && way->remote->is_bucket) { /* a bucket's keys are literal */
        assert_int_equal(f->driver->check_key(f->store, "a/../b"), 0);
        assert_int_equal(f->driver->check_key(f->store, "/a"), 0);
        return;
    }
    if (!way->remote)
        assert_int_equal(f->driver->check_key(f->store, ""), -EINVAL);
    assert_int_equal(f->driver->check_key(f->store, "/a"), -EINVAL);
    assert_int_equal(f->driver->check_key(f->store, "a/../b"), -EINVAL);
    assert_int_equal(f->driver->check_key(f->store, ".."), -EINVAL);
}

static int collect(const struct lsio_list_entry *entries, size_t count, void *data)
{
    char **text = data;

    for (size_t i = 0; i < count; i++) {
        char *longer;
        assert_true(asprintf(&longer, "%s%s%s ", *text ? *text : "", entries[i].key,
                             entries[i].is_prefix ? "*" : "") > 0);
        free(*text);
        *text = longer;
    }
    return 0;
}

struct listing_job {
    struct fixture *f;
    const char *prefix;
    char delimiter;
    char *text;
    int status;
    _Atomic bool ended;
};

static void *listing_run(void *data)
{
    struct listing_job *job = data;
    struct fixture *f = job->f;

    job->status = rig_list(f->store, job->prefix, job->delimiter, collect, &job->text);
    atomic_store(&job->ended, true);
    return NULL;
}

/* Lists on a thread of its own, while the workers' loops turn. */
static void expect_list(struct fixture *f, const char *prefix, char delimiter, const char *expected)
{
    struct listing_job job = {.f = f, .prefix = prefix, .delimiter = delimiter};
    pthread_t id;

    assert_int_equal(pthread_create(&id, NULL, listing_run, &job), 0);
    while (!atomic_load(&job.ended)) {
        rig_turn(f->rig);
        f->rig->env.loop_ops->wait(f->rig->env.loop, loop_os_linux.now_ns() + 1000000);
    }
    pthread_join(id, NULL);
    assert_int_equal(job.status, 0);
    assert_string_equal(job.text ? job.text : "", expected);
    free(job.text);
}

static void lists(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"b/2", "b/10/x", "b.c", "b-c", "a", "c/.zattrs", "b0"};
    char *text = NULL;

    if (way->remote && !way->remote->is_bucket) {
        assert_int_equal(rig_list(f->store, "", 0, collect, &text), -EOPNOTSUPP);
        return;
    }
    if (way->remote && !way->remote->lists)
        skip(); /* the server of the tests does not list as Azure does; a real one does */
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        put(f, names[i], i, i);
    expect_list(f, "", 0, "a b-c b.c b/10/x b/2 b0 c/.zattrs ");
    expect_list(f, "", '/', "a b-c b.c b/* b0 c/* ");
    expect_list(f, "b/", 0, "b/10/x b/2 ");
    expect_list(f, "b/", '/', "b/10/* b/2 ");
    expect_list(f, "nothing/", 0, "");
    assert_int_equal(rig_list(f->store, "b", 0, collect, &text), -EINVAL);
    if (!way->remote)
        assert_int_equal(rig_list(f->store, "../", 0, collect, &text), -EINVAL);
    assert_int_equal(rig_list(f->store, "", 'b', collect, &text), -EINVAL);
}

static void inline_reads(void **state)
{
    struct fixture *f = *state;
    struct driver_range both[] = {{77, 5000, f->memory}, {6000, 4000, f->memory + 5000}};
    struct driver_range beyond[] = {{77, 5000, f->memory}, {9000, 5000, f->memory + 5000}};
    struct driver_object object;
    int status;

    if (!f->driver->read_inline)
        skip();
    put(f, "x", 10000, 4);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 0, 10000, f->memory), 0);
    f->driver->finish_object(&object);
    for (int i = 0; i < 3; i++) {
        memset(f->memory, 0, 9000);
        status = f->driver->read_inline(f->store, "x", both, 2);
        assert_true(status == 0 || status == -EAGAIN);
        if (status == 0) {
            rig_check(f->memory, 5000, 4, 77);
            rig_check(f->memory + 5000, 4000, 4, 6000);
        }
    }
    assert_int_equal(f->driver->read_inline(f->store, "x", beyond, 2), -EAGAIN);
    assert_int_equal(f->driver->read_inline(f->store, "absent", both, 1), -EAGAIN);
}

static void many_at_once(void **state)
{
    struct fixture *f = *state;
    struct driver_object objects[12];
    struct rig_read reads[48];
    char names[12][16];
    uint64_t seed = 1;

    for (unsigned i = 0; i < 12; i++) {
        snprintf(names[i], sizeof(names[i]), "d%u/o", i);
        if (i != 7)
            put(f, names[i], 200000, i);
    }
    for (int round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 12; i++)
            rig_object_init(&objects[i], f->store, names[i]);
        for (unsigned i = 0; i < 48; i++) {
            uint64_t bytes = 1 + next(&seed) % 150000;
            rig_read_init(&reads[i], &objects[i % 12], next(&seed) % 50000, bytes,
                          f->memory + i * 160000);
            reads[i].read.part = i % 5 == 0;
            rig_begin(&f->rigs[i % WORKERS], &reads[i]);
            if (i % 9 == 0)
                rig_turn(&f->rigs[i % WORKERS]);
            if (round % 2 && i % 4 == 0 && reads[i / 2].completions == 0)
                rig_cancel(&reads[i / 2]);
        }
        for (unsigned i = 0; i < 48; i++) {
            struct driver_read *read = &reads[i].read;
            rig_wait(&reads[i]);
            if (round % 2 && read->status == -ECANCELED)
                continue;
            assert_int_equal(read->status, i % 12 == 7 ? -ENOENT : 0);
            if (read->status == 0)
                rig_check(read->addr, read->bytes, i % 12, read->offset);
        }
        for (unsigned i = 0; i < 12; i++) {
            assert_int_equal(verify(f, &objects[i]), 0);
            f->driver->finish_object(&objects[i]);
        }
    }
}

/* --------------------------------------------------------------------------------- threads -- */

#define THREADS        WORKERS
#define SHARED_OBJECTS 8

struct team {
    struct fixture *f;
    pthread_barrier_t barrier;
    struct driver_object shared[SHARED_OBJECTS];
    char names[SHARED_OBJECTS][16];
    _Atomic uint32_t working;
    int rounds;
};

struct member {
    struct team *team;
    uint32_t index;
};

static void member_round(struct team *team, struct rig *rig, uint64_t *seed, uint8_t *memory)
{
    struct fixture *f = team->f;
    struct driver_range range = {5, 100, memory};
    struct driver_object own[4];
    struct rig_read reads[16];

    for (unsigned i = 0; i < 4; i++)
        rig_object_init(&own[i], f->store, team->names[next(seed) % SHARED_OBJECTS]);
    for (unsigned i = 0; i < 16; i++) {
        unsigned which = (unsigned)(next(seed) % SHARED_OBJECTS);
        struct driver_object *object = i % 2 ? &own[i % 4] : &team->shared[which];
        uint64_t bytes = 1 + next(seed) % 70000;
        rig_read_init(&reads[i], object, next(seed) % 30000, bytes, memory + i * 80000);
        rig_begin(rig, &reads[i]);
        if (next(seed) % 16 == 0 && reads[i].completions == 0)
            rig_cancel(&reads[i]);
    }
    for (unsigned i = 0; i < 16; i++) {
        struct driver_read *read = &reads[i].read;
        while (reads[i].completions == 0) {
            rig_turn(rig);
            if (reads[i].completions == 0)
                rig->env.loop_ops->wait(rig->env.loop, loop_os_linux.now_ns() + 1000000);
        }
        if (read->status == -ECANCELED)
            continue;
        assert_int_equal(read->status, 0);
        rig_check(read->addr, read->bytes, (uint64_t)(read->object->key[1] - '0'), read->offset);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(verify(f, &own[i]), 0);
        f->driver->finish_object(&own[i]);
    }
    if (f->driver->read_inline && f->driver->read_inline(f->store, team->names[3], &range, 1) == 0)
        rig_check(memory, 100, 3, 5);
}

static void *member_run(void *data)
{
    struct member *member = data;
    struct team *team = member->team;
    struct fixture *f = team->f;
    struct rig *rig = &f->rigs[member->index];
    uint8_t *memory = aligned_alloc(4096, 16 * 80000 / 4096 * 4096 + 8192);
    uint64_t seed = member->index;

    rig_init(rig, loop_name, &loop_os_linux, f->driver);
    rig->env.worker = member->index;
    rig->env.warm = way->warm;
    pthread_barrier_wait(&team->barrier);
    for (uint32_t i = 0; i < THREADS; i++)
        rig->peers[i] = &f->rigs[i];
    pthread_barrier_wait(&team->barrier);
    for (int round = 0; round < team->rounds; round++)
        member_round(team, rig, &seed, memory);
    atomic_fetch_sub(&team->working, 1);
    while (atomic_load(&team->working) > 0) { /* others may wait for a message's effect */
        rig_turn(rig);
        rig->env.loop_ops->wait(rig->env.loop, loop_os_linux.now_ns() + 1000000);
    }
    pthread_barrier_wait(&team->barrier);
    rig_leave(rig, f->state);
    rig_finish(rig);
    free(memory);
    return NULL;
}

static void threads(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct team team = {.f = f, .rounds = way->remote ? 20 : 150};
    struct member members[THREADS];
    pthread_t ids[THREADS];

    (void)state;
    state_make(f);
    atomic_store(&team.working, THREADS);
    pthread_barrier_init(&team.barrier, NULL, THREADS);
    for (unsigned i = 0; i < SHARED_OBJECTS; i++) {
        snprintf(team.names[i], sizeof(team.names[i]), "o%u", i);
        put(f, team.names[i], 100000, i);
        rig_object_init(&team.shared[i], f->store, team.names[i]);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        members[i] = (struct member){&team, i};
        assert_int_equal(pthread_create(&ids[i], NULL, member_run, &members[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    for (unsigned i = 0; i < SHARED_OBJECTS; i++)
        f->driver->finish_object(&team.shared[i]);
    pthread_barrier_destroy(&team.barrier);
    f->driver->store_close(f->store, false);
    f->driver->state_destroy(f->state, false);
    if (way->remote)
        remote_close(&f->remote);
    rig_directory_remove(f->directory);
    free(f->memory);
    free(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exact_ranges),
        TEST(objects_read_once),
        TEST(results_are_filled_in),
        TEST(vectors),
        TEST(gaps_are_skipped),
        TEST(padded_buffers),
        TEST(absent),
        TEST(truncated),
        TEST(sizes),
        TEST(validators),
        TEST(one_version_per_batch),
        TEST(keys),
        TEST(lists),
        TEST(inline_reads),
        TEST(many_at_once),
        cmocka_unit_test(threads),
    };
    int failed = 0;

    for (const char *const *loop = rig_loops(); *loop; loop++) {
        for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
            char name[64];
            loop_name = *loop;
            way = &ways[i];
            if (way->remote && !way->simulated && strcmp(loop_name, "controlled") == 0)
                continue; /* it has no sockets */
            snprintf(name, sizeof(name), "%s on %s", way->name, loop_name);
            failed += cmocka_run_group_tests_name(name, tests, NULL, NULL);
        }
    }
    return failed;
}
