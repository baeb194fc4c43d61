/* SPDX-License-Identifier: MIT */
/* helper_thread.c: jobs run once, in order, on one thread that starts with the first of them. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "driver/http/helper_thread.h"

struct test_job {
    struct helper_job job;
    sem_t *gate; /* waits for it; NULL: goes on */
    sem_t *began, *ended;
    int *clock; /* counts runs */
    int ran;    /* when, from 1; 0: not yet */
    bool stopping;
    pthread_t thread;
};

static void on_run(struct http_helper *helper, struct helper_job *job)
{
    struct test_job *test = container_of(job, struct test_job, job);
    sem_t *ended = test->ended;

    if (test->began)
        sem_post(test->began);
    if (test->gate)
        sem_wait(test->gate);
    assert_int_equal(test->ran, 0);
    test->ran = ++*test->clock;
    test->stopping = helper_stopping(helper);
    test->thread = pthread_self();
    if (ended)
        sem_post(ended);
}

static void jobs_init(struct test_job *jobs, unsigned count, int *clock)
{
    *clock = 0;
    for (unsigned i = 0; i < count; i++)
        jobs[i] = (struct test_job){.job = {.run = on_run}, .clock = clock};
}

static void runs_in_order(void **state)
{
    struct http_helper *helper;
    struct test_job jobs[3];
    sem_t ended;
    int clock;

    (void)state;
    sem_init(&ended, 0, 0);
    jobs_init(jobs, 3, &clock);
    assert_int_equal(helper_create(&helper), 0);
    for (int i = 0; i < 3; i++) {
        jobs[i].ended = &ended;
        assert_int_equal(helper_post(helper, &jobs[i].job), 0);
    }
    for (int i = 0; i < 3; i++)
        sem_wait(&ended);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jobs[i].ran, i + 1);
        assert_false(jobs[i].stopping);
        assert_false(pthread_equal(jobs[i].thread, pthread_self()));
        assert_true(pthread_equal(jobs[i].thread, jobs[0].thread));
    }
    helper_destroy(helper, false);
    sem_destroy(&ended);
}

static void *destroy(void *helper)
{
    helper_destroy(helper, false);
    return NULL;
}

/* Fills the queue behind a job that waits; then closes. */
static void bounds_and_end(void **state)
{
    struct test_job *jobs = calloc(HELPER_JOBS_MAX + 2, sizeof(*jobs));
    struct http_helper *helper;
    pthread_t thread;
    sem_t began, gate;
    int clock;

    (void)state;
    sem_init(&began, 0, 0);
    sem_init(&gate, 0, 0);
    jobs_init(jobs, HELPER_JOBS_MAX + 2, &clock);
    assert_int_equal(helper_create(&helper), 0);
    jobs[0].began = &began;
    jobs[0].gate = &gate;
    assert_int_equal(helper_post(helper, &jobs[0].job), 0);
    sem_wait(&began);
    assert_false(helper_withdraw(helper, &jobs[0].job));
    for (unsigned i = 1; i <= HELPER_JOBS_MAX; i++)
        assert_int_equal(helper_post(helper, &jobs[i].job), 0);
    assert_int_equal(helper_post(helper, &jobs[HELPER_JOBS_MAX + 1].job), -EAGAIN);
    /* From the middle and from the end, behind which another one is put. */
    assert_true(helper_withdraw(helper, &jobs[7].job));
    assert_true(helper_withdraw(helper, &jobs[HELPER_JOBS_MAX].job));
    assert_false(helper_withdraw(helper, &jobs[7].job));
    assert_int_equal(helper_post(helper, &jobs[HELPER_JOBS_MAX + 1].job), 0);
    assert_int_equal(pthread_create(&thread, NULL, destroy, helper), 0);
    while (!helper_stopping(helper))
        sched_yield();
    assert_int_equal(helper_post(helper, &jobs[7].job), -ECANCELED);
    sem_post(&gate);
    pthread_join(thread, NULL);
    assert_int_equal(clock, HELPER_JOBS_MAX);
    assert_int_equal(jobs[7].ran, 0);
    assert_int_equal(jobs[HELPER_JOBS_MAX].ran, 0);
    assert_int_equal(jobs[HELPER_JOBS_MAX + 1].ran, HELPER_JOBS_MAX);
    assert_true(jobs[1].stopping);
    sem_destroy(&began);
    sem_destroy(&gate);
    free(jobs);
}

/* A child has no helper thread, but must be able to let go of the memory. */
static void forked(void **state)
{
    struct http_helper *helper;
    struct test_job job;
    sem_t began, gate;
    int clock, status;
    pid_t child;

    (void)state;
    sem_init(&began, 0, 0);
    sem_init(&gate, 0, 0);
    jobs_init(&job, 1, &clock);
    job.began = &began;
    job.gate = &gate;
    assert_int_equal(helper_create(&helper), 0);
    assert_int_equal(helper_post(helper, &job.job), 0);
    sem_wait(&began);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        helper_destroy(helper, true);
        _exit(job.ran);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    sem_post(&gate);
    helper_destroy(helper, false);
    assert_int_equal(job.ran, 1);
    sem_destroy(&began);
    sem_destroy(&gate);
}

static void unused(void **state)
{
    struct http_helper *helper;

    (void)state;
    assert_int_equal(helper_create(&helper), 0);
    helper_destroy(helper, false);
    helper_destroy(NULL, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_in_order),
        cmocka_unit_test(bounds_and_end),
        cmocka_unit_test(forked),
        cmocka_unit_test(unused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
