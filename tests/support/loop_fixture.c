/* SPDX-License-Identifier: MIT */
/*
 * loop_fixture.c - see loop_fixture.h. Tests run one after the other, so the running variant is a
 * plain global. Each operation submitted in tests has `done` set to a function that fails the test:
 * a loop must never call it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "loop_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/epoll.h"
#include "loop/uring.h"
#include "lsio/lsio.h"
#include "sim_loop.h"

#define COLLECT_NS_MAX UINT64_C(20000000000)

static const struct loop_variant variants[] = {
#ifdef LSIO_HAVE_URING
    {.name = "uring", .ops = &loop_uring, .os = &loop_os_linux},
    {.name = "uring-defer_taskrun",
     .ops = &loop_uring,
     .os = &loop_os_linux,
     .gates_off = LSIO_GATE_DEFER_TASKRUN},
    {.name = "uring-single_issuer",
     .ops = &loop_uring,
     .os = &loop_os_linux,
     .gates_off = LSIO_GATE_SINGLE_ISSUER},
    {.name = "uring-coop_taskrun",
     .ops = &loop_uring,
     .os = &loop_os_linux,
     .gates_off = LSIO_GATE_DEFER_TASKRUN | LSIO_GATE_COOP_TASKRUN},
    {.name = "uring-direct_descriptors",
     .ops = &loop_uring,
     .os = &loop_os_linux,
     .gates_off = LSIO_GATE_DIRECT_DESCRIPTORS},
    {.name = "uring-registered_files",
     .ops = &loop_uring,
     .os = &loop_os_linux,
     .gates_off = LSIO_GATE_REGISTERED_FILES},
    {.name = "uring-registered_buffers",
     .ops = &loop_uring,
     .os = &loop_os_linux,
     .gates_off = LSIO_GATE_REGISTERED_BUFFERS},
    {.name = "uring-bare", .ops = &loop_uring, .os = &loop_os_linux, .gates_off = ~0u},
#endif
    {.name = "epoll", .ops = &loop_epoll, .os = &loop_os_linux},
    {.name = "sim", .ops = &loop_sim, .os = &loop_os_sim, .simulated = true, .virtual_time = true},
    {.name = "sim-threaded", .ops = &loop_sim, .os = &loop_os_sim, .simulated = true},
    {.name = NULL},
};

static const struct loop_variant *running;
void (*loop_test_ended)(void);

const struct loop_variant *loop_variants(void)
{
    return variants;
}

unsigned loop_scale(void)
{
    const char *text = getenv("LSIO_TEST_SCALE");
    int value = text ? atoi(text) : 1;

    return value < 1 ? 1 : (unsigned)value;
}

static int count_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    if (!dir)
        return -1;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* ---------------------------------------------------------------------------------- set up -- */

static void make_loop(struct loop_fixture *f, uint32_t inflight_max, uint32_t files_max)
{
    struct loop_config config = {.inflight_max = inflight_max,
                                 .files_max = files_max,
                                 .gates_off = f->variant->gates_off,
                                 .os = f->os,
                                 .shared = f->shared};
    char why[256] = "";
    int error = f->ops->create(&config, &f->loop, why, sizeof why);

    if (error)
        fail_msg("%s: create: %d: %s", f->variant->name, error, why);
}

void loop_remake(struct loop_fixture *f, uint32_t inflight_max, uint32_t files_max)
{
    f->ops->destroy(f->loop);
    f->loop = NULL;
    make_loop(f, inflight_max, files_max);
}

/* The world is made anew for each test; LSIO_TEST_SEED changes what happens in it. */
static void begin_simulation(struct loop_fixture *f)
{
    const char *seed = getenv("LSIO_TEST_SEED");

    sim_begin(&(struct sim_config){.seed = seed ? strtoull(seed, NULL, 0) : 1,
                                   .threaded = !f->variant->virtual_time,
                                   .cached_permille = 500,
                                   .direct_align = 512});
    sim_make_dir("/t");
    f->dirfd = f->os->open(AT_FDCWD, "/t", O_RDONLY | O_DIRECTORY, false);
}

static int make_directory(struct loop_fixture *f)
{
    const char *tmp = getenv("TMPDIR");

    (void)snprintf(f->dir, sizeof f->dir, "%s/lsio-loop-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(f->dir))
        return -1;
    f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return f->dirfd < 0 ? -1 : 0;
}

static int set_up(void **state)
{
    struct loop_fixture *f = calloc(1, sizeof *f);

    if (!f)
        return -1;
    *state = f;
    f->variant = running;
    f->ops = running->ops;
    f->os = running->os;
    f->descriptors = count_descriptors();
    if (f->variant->simulated)
        begin_simulation(f);
    else if (make_directory(f))
        return -1;
    if (f->ops->shared_create && f->ops->shared_create(f->os, &f->shared))
        return -1;
    make_loop(f, 64, 32);
    return 0;
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char child[512];

    while (dir && (entry = readdir(dir)) != NULL) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        (void)snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        if (unlink(child) != 0)
            remove_tree(child);
    }
    if (dir)
        closedir(dir);
    (void)rmdir(path);
}

static int tear_down(void **state)
{
    struct loop_fixture *f = *state;
    int left;

    if (loop_test_ended)
        loop_test_ended();
    f->ops->destroy(f->loop);
    if (f->ops->shared_destroy)
        f->ops->shared_destroy(f->shared);
    f->os->close(f->dirfd);
    if (!f->variant->simulated)
        remove_tree(f->dir);
    left = count_descriptors() - f->descriptors;
    if (f->variant->simulated)
        left += (int)sim_end();
    if (left)
        print_error("%s: %d descriptors or more were left\n", f->variant->name, left);
    free(f);
    return left ? -1 : 0;
}

/* False where the machine refuses the loop: those tests cannot run. */
static bool can_run(const struct loop_variant *variant)
{
    struct loop_config config = {
        .inflight_max = 4, .gates_off = variant->gates_off, .os = variant->os};
    struct loop *loop = NULL;
    char why[256] = "";
    int error = 0;

    if (variant->simulated)
        return true;
    if (variant->ops->shared_create && variant->ops->shared_create(variant->os, &config.shared))
        return false;
    error = variant->ops->create(&config, &loop, why, sizeof why);
    if (error)
        print_message("%s cannot run here: %s\n", variant->name, why);
    variant->ops->destroy(loop);
    if (variant->ops->shared_destroy)
        variant->ops->shared_destroy(config.shared);
    return !error;
}

int loop_run_tests(const char *group, const struct CMUnitTest *tests, size_t count)
{
    const char *only = getenv("LSIO_TEST_LOOP");
    struct CMUnitTest *own = calloc(count, sizeof *own);
    int failed = 0;

    if (!own)
        return 1;
    for (running = variants; running->name; running++) {
        char name[128];

        if ((only && strcmp(only, running->name) != 0) || !can_run(running))
            continue;
        (void)snprintf(name, sizeof name, "%s: %s", group, running->name);
        for (size_t i = 0; i < count; i++) {
            own[i] = tests[i];
            own[i].setup_func = set_up;
            own[i].teardown_func = tear_down;
        }
        failed += _cmocka_run_group_tests(name, own, count, NULL, NULL);
    }
    free(own);
    return failed;
}

/* ----------------------------------------------------------------------------------- files -- */

uint8_t loop_pattern(uint32_t seed, uint64_t offset)
{
    uint64_t word =
        (offset / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ seed * UINT64_C(0xbf58476d1ce4e5b9);

    word ^= word >> 29;
    return (uint8_t)(word >> (offset % 8 * 8));
}

void loop_put(struct loop_fixture *f, const char *name, uint32_t seed, uint64_t bytes)
{
    uint8_t *content = malloc(bytes ? (size_t)bytes : 1);
    char path[128];
    int fd;

    assert_non_null(content);
    for (uint64_t i = 0; i < bytes; i++)
        content[i] = loop_pattern(seed, i);
    if (f->variant->simulated) {
        (void)snprintf(path, sizeof path, "/t/%s", name);
        sim_put(path, content, bytes);
    } else {
        fd = openat(f->dirfd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, content, bytes), bytes);
        close(fd);
    }
    free(content);
}

int loop_open_file(struct loop_fixture *f, const char *name, int flags)
{
    int fd = f->os->open(f->dirfd, name, O_RDONLY | flags, false);

    assert_true(fd >= 0);
    return fd;
}

void loop_make_cold(struct loop_fixture *f, const char *name)
{
    int fd = f->variant->simulated ? -1 : openat(f->dirfd, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)fdatasync(fd);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

void loop_check_bytes(const void *bytes, uint32_t seed, uint64_t offset, uint64_t count)
{
    const uint8_t *byte = bytes;

    for (uint64_t i = 0; i < count; i++)
        if (byte[i] != loop_pattern(seed, offset + i))
            fail_msg("wrong byte at %llu of file %u", (unsigned long long)(offset + i), seed);
}

/* ------------------------------------------------------------------------------ operations -- */

static void must_not_run(struct loop_op *op)
{
    (void)op;
    fail_msg("a loop must not call op->done");
}

struct loop_op loop_read_op(int fd, void *addr, uint64_t bytes, uint64_t offset)
{
    return (struct loop_op){.done = must_not_run,
                            .result = INT64_MIN,
                            .kind = LOOP_READ,
                            .buffer = -1,
                            .fd = fd,
                            .file = -1,
                            .offset = offset,
                            .addr = addr,
                            .bytes = bytes};
}

struct loop_op loop_file_op(struct loop_fixture *f, const char *name, void *addr, uint64_t bytes,
                            uint64_t offset)
{
    struct loop_op op = loop_read_op(f->dirfd, addr, bytes, offset);

    op.kind = LOOP_READ_FILE;
    op.path = name;
    op.open_flags = O_RDONLY | O_NONBLOCK;
    return op;
}

struct loop_op *loop_reap_until(struct loop_fixture *f, uint64_t until_ns)
{
    f->ops->flush(f->loop);
    for (;;) {
        struct loop_op *op = f->ops->reap(f->loop, 1);

        if (op || f->os->now_ns() >= until_ns)
            return op;
        f->ops->wait(f->loop, until_ns);
    }
}

struct loop_op *loop_collect(struct loop_fixture *f, unsigned count)
{
    uint64_t until = f->os->now_ns() + COLLECT_NS_MAX;
    struct loop_op *first = NULL, **end = &first;

    f->ops->flush(f->loop);
    while (count) {
        struct loop_op *op = f->ops->reap(f->loop, 16);

        if (!op) {
            if (f->os->now_ns() >= until)
                fail_msg("%s: %u operations did not complete", f->variant->name, count);
            f->ops->wait(f->loop, until);
            continue;
        }
        *end = op;
        for (; op; op = op->next) {
            assert_true(count > 0);
            count--;
            end = &op->next;
        }
    }
    return first;
}

int64_t loop_run(struct loop_fixture *f, struct loop_op *op)
{
    f->ops->submit(f->loop, op);
    assert_ptr_equal(loop_collect(f, 1), op);
    return op->result;
}
