/* SPDX-License-Identifier: MIT */
/*
 * test_loop_faults.c - what the io_uring loop does when the kernel refuses: older kernels, filters,
 * no memory, submissions cut short, completions to be retried. The functions of liburing that
 * matter are defined here, so the loop calls them; the real ones come next in the dynamic linker's
 * order.
 *
 * LSIO_ROWS: L2 L11 L15
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "loop_fixture.h"

#ifndef LSIO_HAVE_URING

int main(void)
{
    return 77;
}

#else

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <liburing.h>

/* What the wrapped calls do; all zero: what the real ones do. */
static struct {
    unsigned setup_known; /* flags that the kernel knows, if setup_limited */
    bool setup_limited;
    int setup_error;  /* of every ring */
    int submit_error; /* of the next submit_failures submissions */
    unsigned submit_failures;
    unsigned cut; /* submissions take at most so many SQEs */
    int result;   /* of the next result_count completions of reads */
    unsigned result_count;
    unsigned files_max; /* RLIMIT_NOFILE for the table, if not 0 */
    int table_error;
    unsigned submits;
} fault;

static void *real_function(const char *name)
{
    void *address = dlsym(RTLD_NEXT, name);

    if (!address)
        fail_msg("%s is not in a shared library", name);
    return address;
}

/* A pointer to the real function of that name. */
#define REAL(name) ((__typeof__(&name))(uintptr_t)real_function(#name))

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring,
                               struct io_uring_params *params)
{
    if (fault.setup_error)
        return fault.setup_error;
    if (fault.setup_limited && (params->flags & ~fault.setup_known))
        return -EINVAL;
    return REAL(io_uring_queue_init_params)(entries, ring, params);
}

static bool fails(void)
{
    fault.submits++;
    if (!fault.submit_failures)
        return false;
    fault.submit_failures--;
    return true;
}

/* Changes results that the kernel has posted; the reads did happen. Tag 0 and 2 are reads. */
static void change_results(struct io_uring *ring)
{
    unsigned tail = io_uring_smp_load_acquire(ring->cq.ktail);

    for (unsigned at = *ring->cq.khead; at != tail && fault.result_count; at++) {
        struct io_uring_cqe *cqe = &ring->cq.cqes[at & ring->cq.ring_mask];

        if (((cqe->user_data & 7) == 0 || (cqe->user_data & 7) == 2) && cqe->res >= 0) {
            cqe->res = fault.result;
            fault.result_count--;
        }
    }
}

static int submit_part(struct io_uring *ring, int (*submit)(struct io_uring *ring))
{
    unsigned tail = ring->sq.sqe_tail, ready = io_uring_sq_ready(ring);
    int ret;

    if (fails())
        return fault.submit_error;
    if (!fault.cut || ready <= fault.cut) {
        ret = submit(ring);
    } else {
        ring->sq.sqe_tail = tail - ready + fault.cut;
        ret = submit(ring);
        ring->sq.sqe_tail = tail;
    }
    change_results(ring);
    return ret;
}

int io_uring_submit(struct io_uring *ring)
{
    return submit_part(ring, REAL(io_uring_submit));
}

int io_uring_get_events(struct io_uring *ring)
{
    int ret = REAL(io_uring_get_events)(ring);

    change_results(ring);
    return ret;
}

int io_uring_submit_and_get_events(struct io_uring *ring)
{
    return submit_part(ring, REAL(io_uring_submit_and_get_events));
}

int io_uring_submit_and_wait_timeout(struct io_uring *ring, struct io_uring_cqe **cqe,
                                     unsigned count, struct __kernel_timespec *timeout,
                                     sigset_t *mask)
{
    int ret;

    if (fails())
        return fault.submit_error;
    ret = REAL(io_uring_submit_and_wait_timeout)(ring, cqe, count, timeout, mask);
    change_results(ring);
    return ret;
}

int io_uring_register_files_sparse(struct io_uring *ring, unsigned count)
{
    if (fault.table_error)
        return fault.table_error;
    return fault.files_max && count > fault.files_max
               ? -EMFILE
               : REAL(io_uring_register_files_sparse)(ring, count);
}

int io_uring_register_buffers_sparse(struct io_uring *ring, unsigned count)
{
    return fault.table_error ? fault.table_error
                             : REAL(io_uring_register_buffers_sparse)(ring, count);
}

/* ----------------------------------------------------------------------------------- tests -- */

enum { COUNT = 300 };

static void no_fault(void)
{
    memset(&fault, 0, sizeof fault);
}

static bool is_uring(struct loop_fixture *f)
{
    return strcmp(f->ops->name, "uring") == 0;
}

/* Whole files and reads in turn; all must succeed. */
static void reads_work(struct loop_fixture *f)
{
    struct loop_op *ops = calloc(COUNT, sizeof *ops);
    char *bytes = malloc(COUNT * 64);
    int fd;

    loop_put(f, "a", 1, 10000);
    fd = loop_open_file(f, "a", 0);
    for (unsigned i = 0; i < COUNT; i++) {
        ops[i] = i % 2 ? loop_file_op(f, "a", bytes + i * 64, 64, i)
                       : loop_read_op(fd, bytes + i * 64, 64, i);
        f->ops->submit(f->loop, &ops[i]);
    }
    loop_collect(f, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        if (ops[i].result != 64)
            fail_msg("operation %u: %lld, step %d", i, (long long)ops[i].result, ops[i].step);
        loop_check_bytes(bytes + i * 64, 1, i, 64);
    }
    f->os->close(fd);
    free(ops);
    free(bytes);
}

static void older_kernels_do(void **state)
{
    struct loop_fixture *f = *state;
    const unsigned any = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    const unsigned known[] = {any, any | IORING_SETUP_SUBMIT_ALL,
                              any | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
                                  IORING_SETUP_TASKRUN_FLAG,
                              any | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
                                  IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SINGLE_ISSUER};

    if (!is_uring(f))
        return;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        fault.setup_limited = true;
        fault.setup_known = known[i];
        fault.table_error = i < 2 ? -EINVAL : 0;
        loop_remake(f, 16, 16);
        reads_work(f);
        assert_int_equal(f->ops->can_read_file(f->loop), i >= 2 && !(f->variant->gates_off & 8));
    }
}

static void the_file_table_shrinks_to_its_limit(void **state)
{
    struct loop_fixture *f = *state;

    if (!is_uring(f))
        return;
    fault.files_max = 20;
    loop_remake(f, 16, 200);
    reads_work(f);
    fault.files_max = 1;
    loop_remake(f, 16, 200);
    reads_work(f);
}

static void a_refusal_is_explained(void **state)
{
    struct loop_fixture *f = *state;
    const struct {
        int error;
        const char *word;
    } cases[] = {{-EPERM, "EPERM"}, {-ENOSYS, "gVisor"}, {-ENOMEM, "MEMLOCK"}, {-EINVAL, "22"}};
    struct loop_config config = {.inflight_max = 4, .os = f->os};

    if (!is_uring(f))
        return;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct loop *loop = NULL;
        char why[200] = "";

        fault.setup_error = cases[i].error;
        assert_int_equal(f->ops->create(&config, &loop, why, sizeof why), cases[i].error);
        assert_null(loop);
        assert_non_null(strstr(why, cases[i].word));
        assert_int_equal(f->ops->create(&config, &loop, why, 5), cases[i].error);
        assert_true(strlen(why) < 5);
    }
}

static void submissions_that_fail_are_repeated(void **state)
{
    struct loop_fixture *f = *state;
    const int errors[] = {-EAGAIN, -EBUSY, -ENOMEM, -EINTR};

    if (!is_uring(f))
        return;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        fault.submit_error = errors[i];
        fault.submit_failures = 7;
        reads_work(f);
        assert_int_equal(fault.submit_failures, 0);
    }
}

static void submissions_may_be_cut(void **state)
{
    struct loop_fixture *f = *state;

    if (!is_uring(f))
        return;
    for (unsigned cut = 1; cut < 8; cut++) {
        fault.cut = cut; /* also inside chains */
        if (cut % 2)
            loop_make_cold(f, "a");
        reads_work(f);
    }
}

static void passing_results_are_retried(void **state)
{
    struct loop_fixture *f = *state;
    const int results[] = {-EAGAIN, -EINTR, -ECANCELED};

    if (!is_uring(f))
        return;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        fault.result = results[i];
        fault.result_count = 50;
        reads_work(f);
        assert_int_equal(fault.result_count, 0);
    }
}

static void retries_end(void **state)
{
    struct loop_fixture *f = *state;
    struct loop_op op;
    char byte;
    int fd;

    if (!is_uring(f))
        return;
    loop_put(f, "a", 1, 10);
    fd = loop_open_file(f, "a", 0);
    for (unsigned i = 0; i < 2; i++) {
        fault.result = -EAGAIN;
        fault.result_count = 100000;
        op = i && f->ops->can_read_file(f->loop) ? loop_file_op(f, "a", &byte, 1, 0)
                                                 : loop_read_op(fd, &byte, 1, 0);
        assert_int_equal(loop_run(f, &op), -EAGAIN);
    }
    fault.result_count = 0;
    reads_work(f);
    f->os->close(fd);
}

/* An error that cannot pass: everything ends with it, nothing hangs. */
static void a_broken_ring_ends_everything(void **state)
{
    struct loop_fixture *f = *state;
    struct loop_op *ops = calloc(COUNT, sizeof *ops), *op;
    char *bytes = malloc(COUNT * 64);
    unsigned failed = 0;
    int fd;

    if (is_uring(f)) {
        loop_put(f, "a", 1, 10000);
        fd = loop_open_file(f, "a", 0);
        for (unsigned i = 0; i < COUNT; i++) {
            ops[i] = i % 2 ? loop_file_op(f, "a", bytes + i * 64, 64, i)
                           : loop_read_op(fd, bytes + i * 64, 64, i);
            f->ops->submit(f->loop, &ops[i]);
            if (i == 100) {
                fault.submit_error = -EPERM;
                fault.submit_failures = 100000;
            }
        }
        for (op = loop_collect(f, COUNT); op; op = op->next) {
            assert_true(op->result == 64 || op->result == -EPERM);
            failed += op->result == -EPERM;
        }
        assert_true(failed >= COUNT - 101);
        f->os->close(fd);
    }
    free(ops);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_kernels_do),
        cmocka_unit_test(the_file_table_shrinks_to_its_limit),
        cmocka_unit_test(a_refusal_is_explained),
        cmocka_unit_test(submissions_that_fail_are_repeated),
        cmocka_unit_test(submissions_may_be_cut),
        cmocka_unit_test(passing_results_are_retried),
        cmocka_unit_test(retries_end),
        cmocka_unit_test(a_broken_ring_ends_everything),
    };

    loop_test_ended = no_fault;
    return loop_run_tests("loop faults", tests, sizeof tests / sizeof *tests);
}

#endif
