/* SPDX-License-Identifier: MIT */
/*
 * The rest of the fork matrix (children that call, or destroy, what they inherit:
 * tests/api/fork.c): a child that exits at once with all that exit() does, many at a time while
 * batches run; one that forks again, so that a grandchild inherits two contexts of which neither is
 * its own; one that is forked inside a callback. The parent's reads go on undisturbed.
 *
 * LSIO_ROWS: L17
 */
#define _GNU_SOURCE
#include <unistd.h>

#include "fault_child.h"

#define CHILDREN 8

/* A child of many threads may make none under ThreadSanitizer. */
#if defined(__SANITIZE_THREAD__)
#define CHILDREN_MAY_WORK false
#else
#define CHILDREN_MAY_WORK true
#endif

static void read_is_refused(struct lsio_context *context, struct lsio_store *store)
{
    uint8_t bytes[10];

    assert_int_equal(lsio_read(context, store, "a", 0, 10, bytes, 10, NULL), LSIO_E_FORKED);
}

/* ------------------------------------------------------------------------------ exit at once -- */

static struct lsio_context *parents_context;

/* What an application does when it ends may still call the library. */
static void at_exit(void)
{
    struct lsio_stats stats = {.struct_bytes = sizeof(stats)};

    if (lsio_context_stats(parents_context, &stats) != LSIO_E_FORKED)
        _exit(2);
}

static pid_t fork_and_exit(void)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        fault_watch("a child that exits at once");
        if (atexit(at_exit) != 0)
            _exit(3);
        exit(0);
    }
    return pid;
}

static void children_that_exit(void **state)
{
    (void)state;
    for (const char *const *loop = mix_loops(); *loop; loop++) {
        pid_t pids[CHILDREN];
        struct mix mix;
        mix_make(&mix, *loop);
        assert_true(mix_create(&mix));
        parents_context = mix.context;
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < CHILDREN; i++)
                pids[i] = fork_and_exit();
            mix_round(&mix);
            for (int i = 0; i < CHILDREN; i++)
                child_wait("exit", pids[i]);
        }
        mix_round(&mix);
        mix_destroy(&mix);
        mix_end(&mix);
    }
}

/* -------------------------------------------------------------------------------- grandchild -- */

/* The work of a process that inherited `inherited` contexts: all are dead, one of its own works. */
static void grandchild(void **state)
{
    struct mix **inherited = *state;
    struct mix own;

    for (; *inherited; inherited++) {
        read_is_refused((*inherited)->context, (*inherited)->local);
        assert_int_equal(lsio_context_destroy((*inherited)->context), 0);
    }
    if (!CHILDREN_MAY_WORK)
        return;
    mix_make(&own, (*--inherited)->config.loop);
    assert_true(mix_create(&own));
    mix_round(&own);
    mix_destroy(&own);
    mix_end(&own);
}

static void child(void **state)
{
    struct mix *parents = *state, own;
    struct mix *both[] = {parents, &own, NULL};

    read_is_refused(parents->context, parents->local);
    mix_make(&own, parents->config.loop);
    if (CHILDREN_MAY_WORK) {
        assert_true(mix_create(&own));
        mix_round(&own);
    } else {
        both[1] = NULL;
    }
    child_run("a grandchild", grandchild, both);
    if (CHILDREN_MAY_WORK) { /* it is not disturbed either */
        mix_round(&own);
        mix_destroy(&own);
    }
    mix_end(&own);
    assert_int_equal(lsio_context_destroy(parents->context), 0);
}

static void children_of_children(void **state)
{
    (void)state;
    for (const char *const *loop = mix_loops(); *loop; loop++) {
        struct mix mix;
        mix_make(&mix, *loop);
        assert_true(mix_create(&mix));
        mix_round(&mix);
        child_run("a child", child, &mix);
        mix_round(&mix);
        mix_destroy(&mix);
        mix_end(&mix);
    }
}

/* ---------------------------------------------------------------------------- in a callback -- */

struct forking {
    struct mix *mix;
    pid_t pid;
};

/* In the child: it is still inside the callback of a context that is dead there. */
static int in_the_child(struct mix *mix)
{
    uint8_t bytes[10];

    fault_watch("forked in a stage");
    if (lsio_read(mix->context, mix->local, "a", 0, 10, bytes, 10, NULL) != LSIO_E_FORKED)
        return 1;
    return lsio_context_destroy(mix->context) == 0 ? 0 : 2;
}

static int forking_stage(struct lsio_call *call)
{
    struct forking *forking = call->user;

    forking->pid = fork();
    if (forking->pid == 0)
        _exit(in_the_child(forking->mix));
    return 0;
}

static void in_a_stage(void **state)
{
    (void)state;
    for (const char *const *loop = mix_loops(); *loop; loop++) {
        struct mix mix;
        struct forking forking = {.mix = &mix, .pid = -1};
        struct lsio_stage stage = api_stage(forking_stage, LSIO_STAGE_READS_ONLY, &forking);
        struct lsio_object object = {.key = "a", .size = LSIO_SIZE_UNKNOWN};
        struct lsio_chunk chunk = {.length = 100};
        struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
        struct lsio_chain *chain;
        struct lsio_batch *batch;
        mix_make(&mix, *loop);
        assert_true(mix_create(&mix));
        mix_round(&mix);
        object.store = mix.local;
        assert_int_equal(lsio_chain_create(mix.context, &stage, 1, &chain), 0);
        request.chain = chain;
        assert_int_equal(lsio_submit_batch(mix.context, &request, &batch), 0);
        assert_int_equal(api_wait(batch), 0);
        assert_true(forking.pid > 0);
        child_wait("forked in a stage", forking.pid);
        assert_int_equal(lsio_batch_destroy(batch), 0);
        mix_round(&mix);
        mix_destroy(&mix);
        mix_end(&mix);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(children_that_exit),
                                       cmocka_unit_test(children_of_children),
                                       cmocka_unit_test(in_a_stage)};

    return cmocka_run_group_tests_name("process_fork", tests, NULL, NULL);
}
