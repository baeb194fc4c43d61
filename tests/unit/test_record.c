/* SPDX-License-Identifier: MIT */
/*
 * record.h: the first 64 failures are kept in full and the one of lowest index whenever it comes,
 * statuses are counted, waiting heeds its timeout, the eventfd becomes readable once.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "request/record.h"

static void fail_at(struct record *record, uint64_t index, int32_t status)
{
    struct lsio_error error = {
        .struct_bytes = sizeof(error), .index = index, .status = status, .code = 7};

    atomic_fetch_add(&record->failed, 1);
    record_failure(record, &error, true);
}

static void failures(void **state)
{
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct record record;

    (void)state;
    assert_int_equal(record_init(&record, 1000), 0);
    assert_int_equal(record_error(&record, 5, &error), -ENOENT);
    for (uint64_t i = 999; i >= 100; i--)
        fail_at(&record, i, i % 2 ? -EIO : -ENOENT);
    assert_int_equal(record.status, -ENOENT);
    assert_int_equal(record.status_index, 100);
    for (uint64_t i = 999; i > 999 - RECORD_ERRORS_MAX; i--) {
        assert_int_equal(record_error(&record, i, &error), 0);
        assert_int_equal(error.index, i);
        assert_int_equal(error.status, i % 2 ? -EIO : -ENOENT);
        assert_int_equal(error.code, 7);
    }
    assert_int_equal(record_error(&record, 500, &error), -ENOENT);
    assert_int_equal(record_error(&record, 100, &error), 0);
    assert_int_equal(error.index, 100);
    assert_int_equal(record_status_count(&record, -EIO), 450);
    assert_int_equal(record_status_count(&record, -ENOENT), 450);
    atomic_store(&record.remaining, 0);
    assert_int_equal(record_status_count(&record, 0), 100);
    fail_at(&record, 200, -EACCES); /* not the lowest */
    assert_int_equal(record.status, -ENOENT);
    record_finish(&record, false);
}

static void sizes_of_callers(void **state)
{
    struct {
        struct lsio_error error;
        uint64_t guard;
    } later = {.guard = 77};
    struct record record;

    (void)state;
    assert_int_equal(record_init(&record, 10), 0);
    fail_at(&record, 3, -EIO);
    later.error.struct_bytes = sizeof(later);
    assert_int_equal(record_error(&record, 3, &later.error), 0);
    assert_int_equal(later.error.struct_bytes, sizeof(later));
    assert_int_equal(later.error.status, -EIO);
    later.error.struct_bytes = 4;
    assert_int_equal(record_error(&record, 3, &later.error), -EINVAL);
    later.error = (struct lsio_error){.struct_bytes = offsetof(struct lsio_error, text)};
    later.error.text[0] = 'x';
    assert_int_equal(record_error(&record, 3, &later.error), 0); /* an older caller's */
    assert_int_equal(later.error.text[0], 'x');
    assert_int_equal(later.guard, 77);
    record_finish(&record, false);
}

static int readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, 0);
}

static void the_end(void **state)
{
    struct timespec before, after;
    struct record record;
    int fd = -1, again = -1;

    (void)state;
    assert_int_equal(record_init(&record, 1), 0);
    assert_int_equal(record_wait(&record, 0), -ETIMEDOUT);
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_int_equal(record_wait(&record, 30), -ETIMEDOUT);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(
        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000 >= 29);
    assert_int_equal(record_notify(&record, &fd), 0);
    assert_int_equal(record_notify(&record, &again), 0);
    assert_int_equal(fd, again);
    assert_int_equal(readable(fd), 0);
    record_done(&record);
    assert_int_equal(readable(fd), 1);
    assert_int_equal(record_wait(&record, 0), 0);
    assert_int_equal(record_wait(&record, LSIO_FOREVER), 0);
    assert_int_equal(record_wait(&record, LSIO_FOREVER - 1), 0);
    record_finish(&record, false);
    assert_int_equal(record_init(&record, 1), 0);
    record_done(&record);
    assert_int_equal(record_notify(&record, &fd), 0); /* asked for afterwards */
    assert_int_equal(readable(fd), 1);
    record_finish(&record, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failures), cmocka_unit_test(sizes_of_callers), cmocka_unit_test(the_end)};

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
