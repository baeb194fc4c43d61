/* SPDX-License-Identifier: MIT */
/*
 * test_loop_files.c - the contract of loop.h, for every loop: open, close, whole files, and the
 * tables of registered files and buffers. That no descriptor is left open is checked after every
 * test.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "loop_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define KB 1024u

static struct loop_op open_op(struct loop_fixture *f, const char *name, uint32_t flags)
{
    struct loop_op op = loop_read_op(f->dirfd, NULL, 0, 0);

    op.kind = LOOP_OPEN;
    op.path = name;
    op.open_flags = flags;
    return op;
}

static int64_t run_close(struct loop_fixture *f, int64_t fd)
{
    struct loop_op op = loop_read_op((int)fd, NULL, 0, 0);

    op.kind = LOOP_CLOSE;
    return loop_run(f, &op);
}

/* -------------------------------------------------------------------------- open and close -- */

static void open_gives_a_real_descriptor(void **state)
{
    struct loop_fixture *f = *state;
    char buffer[100];
    struct loop_op op, read;

    loop_put(f, "a", 1, 100);
    for (unsigned i = 0; i < 2; i++) {
        op = open_op(f, "a", O_RDONLY | O_NONBLOCK | (i ? O_CLOEXEC : 0));
        assert_true(loop_run(f, &op) >= 0);
        if (!f->variant->simulated)
            assert_true(fcntl((int)op.result, F_GETFD) & FD_CLOEXEC);
        read = loop_read_op((int)op.result, buffer, 100, 0);
        assert_int_equal(loop_run(f, &read), 100);
        loop_check_bytes(buffer, 1, 0, 100);
        assert_int_equal(run_close(f, op.result), 0);
        assert_int_equal(run_close(f, op.result), -EBADF);
    }
}

static void open_errors_are_results(void **state)
{
    struct loop_fixture *f = *state;
    char name[400];
    struct loop_op op = open_op(f, "absent", O_RDONLY);

    assert_int_equal(loop_run(f, &op), -ENOENT);
    loop_put(f, "a", 1, 10);
    op = open_op(f, "a/b", O_RDONLY | O_NONBLOCK);
    assert_int_equal(loop_run(f, &op), -ENOTDIR);
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    op = open_op(f, name, O_RDONLY | O_NONBLOCK);
    assert_int_equal(loop_run(f, &op), -ENAMETOOLONG);
    op = open_op(f, "", O_RDONLY | O_NONBLOCK);
    assert_int_equal(loop_run(f, &op), -ENOENT);
    op = open_op(f, "a", O_RDONLY | O_NONBLOCK);
    op.fd = -1;
    assert_int_equal(loop_run(f, &op), -EBADF);
}

static void beneath_stays_beneath(void **state)
{
    struct loop_fixture *f = *state;
    char byte;
    struct loop_op op;
    const char *out_there[] = {"..", "../x", "/etc/passwd", "up", "d/../../x"};

    if (f->variant->simulated)
        skip();
    loop_put(f, "a", 2, 10);
    assert_int_equal(symlinkat("/etc/hostname", f->dirfd, "up"), 0);
    assert_int_equal(symlinkat("a", f->dirfd, "same"), 0);
    assert_int_equal(mkdirat(f->dirfd, "d", 0755), 0);
    for (size_t i = 0; i < sizeof out_there / sizeof *out_there; i++) {
        op = open_op(f, out_there[i], O_RDONLY | O_NONBLOCK);
        op.beneath = 1;
        assert_int_equal(loop_run(f, &op), -EXDEV);
        op = loop_file_op(f, out_there[i], &byte, 1, 0);
        op.beneath = 1;
        assert_int_equal(loop_run(f, &op), -EXDEV);
        assert_int_equal(op.step, LOOP_STEP_OPEN);
    }
    op = loop_file_op(f, "same", &byte, 1, 0);
    op.beneath = 1;
    assert_int_equal(loop_run(f, &op), 1);
    op = open_op(f, "same", O_RDONLY | O_NONBLOCK);
    op.beneath = 1;
    assert_true(loop_run(f, &op) >= 0);
    assert_int_equal(run_close(f, op.result), 0);
}

/* ----------------------------------------------------------------------------- whole files -- */

static void a_file_is_read_in_one(void **state)
{
    struct loop_fixture *f = *state;
    char buffer[8 * KB];
    struct loop_op op;

    loop_put(f, "a", 3, 5000);
    op = loop_file_op(f, "a", buffer, 5000, 0);
    assert_int_equal(loop_run(f, &op), 5000);
    loop_check_bytes(buffer, 3, 0, 5000);
    op = loop_file_op(f, "a", buffer, 70, 900);
    assert_int_equal(loop_run(f, &op), 70);
    loop_check_bytes(buffer, 3, 900, 70);
    op = loop_file_op(f, "a", buffer, sizeof buffer, 4000); /* shorter than asked */
    assert_int_equal(loop_run(f, &op), 1000);
    loop_check_bytes(buffer, 3, 4000, 1000);
    op = loop_file_op(f, "a", buffer, 10, 6000);
    assert_int_equal(loop_run(f, &op), 0);
    op = loop_file_op(f, "a", buffer, 100, 0);
    op.open_flags |= O_CLOEXEC;
    assert_int_equal(loop_run(f, &op), 100);
    loop_make_cold(f, "a");
    op = loop_file_op(f, "a", buffer, 5000, 0);
    op.open_flags = O_RDONLY;
    assert_true(loop_run(f, &op) >= 4096); /* one page may come alone */
    loop_check_bytes(buffer, 3, 0, (uint64_t)op.result);
}

static void the_failing_step_is_named(void **state)
{
    struct loop_fixture *f = *state;
    char buffer[100];
    struct loop_op op = loop_file_op(f, "absent", buffer, 100, 0);

    op.step = LOOP_STEP_READ;
    assert_int_equal(loop_run(f, &op), -ENOENT);
    assert_int_equal(op.step, LOOP_STEP_OPEN);
    op = loop_file_op(f, ".", buffer, 100, 0);
    assert_int_equal(loop_run(f, &op), -EISDIR);
    assert_int_equal(op.step, LOOP_STEP_READ);
    op = loop_file_op(f, "a", buffer, 100, 0);
    op.fd = -1;
    assert_int_equal(loop_run(f, &op), -EBADF);
    assert_int_equal(op.step, LOOP_STEP_OPEN);
    op = loop_file_op(f, "", buffer, 100, 0);
    assert_int_equal(loop_run(f, &op), -ENOENT);
    assert_int_equal(op.step, LOOP_STEP_OPEN);
}

struct file_job {
    struct loop_op op;
    char name[16];
    char bytes[600];
};

static void run_file_jobs(struct loop_fixture *f, struct file_job *jobs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t offset = i % 50;

        memset(jobs[i].bytes, 0, sizeof jobs[i].bytes);
        (void)snprintf(jobs[i].name, sizeof jobs[i].name, i % 7 == 6 ? "no%u" : "f%u", i % 100);
        jobs[i].op = loop_file_op(f, jobs[i].name, jobs[i].bytes, sizeof jobs[i].bytes, offset);
        f->ops->submit(f->loop, &jobs[i].op);
    }
    loop_collect(f, count);
    for (unsigned i = 0; i < count; i++) {
        const struct loop_op *op = &jobs[i].op;
        uint64_t size = 300 + 5 * (i % 100);
        uint64_t want = size - op->offset < 600 ? size - op->offset : 600;

        if (i % 7 == 6) {
            assert_int_equal(op->result, -ENOENT);
            assert_int_equal(op->step, LOOP_STEP_OPEN);
        } else {
            assert_int_equal(op->result, want);
            loop_check_bytes(jobs[i].bytes, i % 100, op->offset, want);
        }
    }
}

static void many_files_with_few_slots(void **state)
{
    struct loop_fixture *f = *state;
    struct file_job *jobs = calloc(3000, sizeof *jobs);
    const uint32_t inflights[] = {1, 3, 64, 1000};

    for (uint32_t i = 0; i < 100; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "f%u", i);
        loop_put(f, name, i, 300 + 5 * i);
    }
    for (size_t i = 0; i < sizeof inflights / sizeof *inflights; i++) {
        loop_remake(f, inflights[i], i % 2 ? 100 : 0);
        for (uint32_t j = 0; i == 1 && j < 100; j++) {
            char name[16];

            (void)snprintf(name, sizeof name, "f%u", j);
            loop_make_cold(f, name);
        }
        run_file_jobs(f, jobs, 3000);
    }
    free(jobs);
}

static void files_and_reads_mix(void **state)
{
    struct loop_fixture *f = *state;
    enum { COUNT = 2000 };
    struct file_job *jobs = calloc(COUNT, sizeof *jobs);
    int fd;

    loop_put(f, "f", 9, 4000);
    fd = loop_open_file(f, "f", 0);
    for (unsigned i = 0; i < COUNT; i++) {
        jobs[i].op = i % 3 ? loop_file_op(f, "f", jobs[i].bytes, 100 + i % 500, i)
                           : loop_read_op(fd, jobs[i].bytes, 600, i);
        f->ops->submit(f->loop, &jobs[i].op);
        if (i % 700 == 0)
            f->ops->flush(f->loop);
    }
    loop_collect(f, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(jobs[i].op.result, jobs[i].op.bytes);
        loop_check_bytes(jobs[i].bytes, 9, i, jobs[i].op.bytes);
    }
    f->os->close(fd);
    free(jobs);
}

/* ---------------------------------------------------------------------------------- tables -- */

static void attached_files_are_read(void **state)
{
    struct loop_fixture *f = *state;
    int slots[200], fd, count;
    char buffer[100];

    for (uint32_t i = 0; i < 3; i++) {
        loop_put(f, i == 0 ? "a" : i == 1 ? "b" : "c", 20 + i, 1000);
    }
    loop_remake(f, 16, 8);
    for (unsigned round = 0; round < 3; round++) {
        for (count = 0; count < 200; count++) {
            fd = loop_open_file(f, count % 3 == 0 ? "a" : count % 3 == 1 ? "b" : "c", 0);
            slots[count] = f->ops->file_attach(f->loop, fd);
            f->os->close(fd); /* the slot keeps the file */
            if (slots[count] < 0)
                break;
        }
        assert_true(count == 8 || (round == 0 && count == 0));
        if (count == 0) {
            assert_int_equal(slots[0], -EOPNOTSUPP);
            return;
        }
        for (int i = 0; i < count; i++) {
            struct loop_op op = loop_read_op(-1, buffer, 100, 500);

            op.file = slots[i];
            assert_int_equal(loop_run(f, &op), 100);
            loop_check_bytes(buffer, 20 + (uint32_t)i % 3, 500, 100);
        }
        while (count)
            f->ops->file_detach(f->loop, slots[--count]);
    }
}

static void a_slot_names_its_new_file(void **state)
{
    struct loop_fixture *f = *state;
    char buffer[100];

    loop_put(f, "a", 30, 1000);
    loop_put(f, "b", 31, 1000);
    for (uint32_t i = 0; i < 50; i++) {
        int fd = loop_open_file(f, i % 2 ? "b" : "a", 0);
        int slot = f->ops->file_attach(f->loop, fd);
        struct loop_op op = loop_read_op(fd, buffer, 100, i);

        op.file = slot >= 0 ? slot : -1;
        assert_int_equal(loop_run(f, &op), 100);
        loop_check_bytes(buffer, 30 + i % 2, i, 100);
        if (slot >= 0)
            f->ops->file_detach(f->loop, slot);
        f->os->close(fd);
    }
}

static void attached_buffers_are_read_into(void **state)
{
    struct loop_fixture *f = *state;
    size_t bytes = 256 * KB;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd, error = 0;

    assert_true(memory != MAP_FAILED);
    loop_put(f, "a", 40, 300 * KB);
    fd = loop_open_file(f, "a", 0);
    for (unsigned index = 0; index < 16; index++) {
        struct loop_op op = loop_read_op(fd, memory + 1000 * index, 50 * KB, 777 * index);

        error = f->ops->buffer_attach(f->loop, index, memory, bytes);
        if (error)
            break;
        op.buffer = (int16_t)index;
        assert_int_equal(loop_run(f, &op), op.bytes);
        loop_check_bytes(op.addr, 40, op.offset, op.bytes);
        op = loop_file_op(f, "a", memory + 17, 30 * KB, 99);
        op.buffer = (int16_t)index;
        assert_int_equal(loop_run(f, &op), op.bytes);
        loop_check_bytes(op.addr, 40, op.offset, op.bytes);
        if (index % 2)
            f->ops->buffer_detach(f->loop, index);
    }
    assert_true(error == 0 || error == -EOPNOTSUPP || error == -ENOMEM);
    if (!error) {
        struct loop_op op = loop_read_op(fd, memory, 10, 0);

        assert_int_equal(f->ops->buffer_attach(f->loop, 16, memory, bytes), -EINVAL);
        assert_int_equal(f->ops->buffer_attach(f->loop, 0, memory, 0), -EINVAL);
        assert_int_equal(f->ops->buffer_attach(f->loop, 0, memory, bytes), 0); /* in place */
        op.buffer = 1;                                                         /* detached */
        assert_int_equal(loop_run(f, &op), -EFAULT);
    }
    f->os->close(fd);
    munmap(memory, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_gives_a_real_descriptor),
        cmocka_unit_test(open_errors_are_results),
        cmocka_unit_test(beneath_stays_beneath),
        cmocka_unit_test(a_file_is_read_in_one),
        cmocka_unit_test(the_failing_step_is_named),
        cmocka_unit_test(many_files_with_few_slots),
        cmocka_unit_test(files_and_reads_mix),
        cmocka_unit_test(attached_files_are_read),
        cmocka_unit_test(a_slot_names_its_new_file),
        cmocka_unit_test(attached_buffers_are_read_into),
    };

    return loop_run_tests("loop files", tests, sizeof tests / sizeof *tests);
}
