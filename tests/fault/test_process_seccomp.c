/* SPDX-License-Identifier: MIT */
/*
 * Where a filter refuses system calls - a container, a sandbox, an old kernel - with EPERM or with
 * ENOSYS. What the library does not depend on is done without, and every answer is right; a context
 * whose loop was not named falls back. A filter that comes when the context is at work may fail
 * reads, but nothing hangs, and all of it can be destroyed.
 *
 * (That a loop that was named and is refused is -ENOSYS, and the reason given: tests/api.)
 *
 * LSIO_ROWS: L12
 */
#define _GNU_SOURCE
#include <sys/syscall.h>

#include "fault_child.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

enum { URING_SETUP = 425, URING_ENTER = 426, URING_REGISTER = 427 };

struct filter {
    const char *name;
    int calls[6];
    size_t count;
    const char *loop; /* NULL: none is named */
    bool late;        /* comes when the context exists */
};

struct job {
    const struct filter *filter;
    int error;
};

static bool refused(int status)
{
    return status == -EPERM || status == -EACCES || status == -ENOSYS;
}

static void under_a_filter(void **state)
{
    const struct job *job = *state;
    const struct filter *filter = job->filter;
    struct mix mix;
    bool filtered = true;

    mix_make(&mix, filter->loop);
    if (!filter->late)
        filtered = child_refuse(filter->calls, filter->count, job->error);
    assert_true(mix_create(&mix));
    mix_round(&mix);
    if (filter->late) {
        filtered = child_refuse(filter->calls, filter->count, job->error);
        mix.tolerates = refused;
        mix_round(&mix);
    }
    mix_destroy(&mix);
    mix_end(&mix);
    if (!filtered)
        print_message("no filters here\n");
}

static bool loop_is_here(const char *name)
{
    for (const char *const *loop = mix_loops(); *loop; loop++)
        if (!name || strcmp(*loop, name) == 0)
            return true;
    return false;
}

static void every_filter(void **state)
{
    static const struct filter filters[] = {
        {"io_uring", {URING_SETUP, URING_ENTER, URING_REGISTER}, 3, NULL, false},
        {"io_uring_setup", {URING_SETUP}, 1, NULL, false},
        {"io_uring_enter", {URING_ENTER}, 1, NULL, false},
        {"io_uring_register", {URING_REGISTER}, 1, NULL, false},
        {"openat2", {SYS_openat2}, 1, "epoll", false},
        {"statx", {SYS_statx}, 1, "epoll", false},
        {"preadv2", {SYS_preadv2}, 1, "epoll", false},
        {"new calls", {SYS_openat2, SYS_statx, SYS_cachestat, SYS_epoll_pwait2}, 4, "epoll", false},
        {"new calls", {SYS_openat2, SYS_statx, SYS_cachestat}, 3, "uring", false},
        {"preadv2", {SYS_preadv2}, 1, "uring", false},
        {"new calls", {SYS_openat2, SYS_statx, SYS_cachestat}, 3, "uring", true},
        {"new calls", {SYS_openat2, SYS_statx, SYS_cachestat, SYS_epoll_pwait2}, 4, "epoll", true},
        {"io_uring", {URING_SETUP, URING_ENTER, URING_REGISTER}, 3, "uring", true},
    };
    static const int errors[] = {EPERM, ENOSYS};

    (void)state;
    for (size_t i = 0; i < COUNT(filters) * COUNT(errors); i++) {
        struct job job = {&filters[i / COUNT(errors)], errors[i % COUNT(errors)]};
        char label[120];
        snprintf(label, sizeof(label), "%s gives %s%s, loop %s", job.filter->name,
                 lsio_status_name(-job.error), job.filter->late ? " from some time on" : "",
                 job.filter->loop ? job.filter->loop : "by default");
        if (loop_is_here(job.filter->loop))
            child_run(label, under_a_filter, &job);
    }
}

/* A process that makes the call once more is ended. */
static void open_is_not_asked_for_again(void **state)
{
    static const int calls[] = {SYS_openat2};
    struct mix mix;

    (void)state;
    mix_make(&mix, "epoll"); /* io_uring's own opens are no system calls of their own */
    if (!child_refuse(calls, 1, ENOSYS)) {
        print_message("no filters here\n");
        return;
    }
    assert_true(mix_create(&mix));
    assert_true(child_refuse(calls, 1, 0));
    mix_round(&mix);
    mix_round(&mix);
    mix_destroy(&mix);
    mix_end(&mix);
}

static void openat2_is_tried_once(void **state)
{
    (void)state;
    child_run("openat2 on epoll", open_is_not_asked_for_again, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_filter),
                                       cmocka_unit_test(openat2_is_tried_once)};

    return cmocka_run_group_tests_name("process_seccomp", tests, NULL, NULL);
}
