/* SPDX-License-Identifier: MIT */
/*
 * Which loop runs: the one named in the config, else the one LSIO_LOOP names, else the default,
 * which falls back where the kernel refuses it and says why. A loop that is named and cannot run,
 * or is none, is -ENOSYS. Whichever runs, and with every gate forced off, the results are the same.
 *
 * LSIO_ROWS: L12
 */
#define _GNU_SOURCE
#include "api_fixture.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNKS 400u

static struct lsio_chunk chunk_make(uint32_t i, uint8_t *dst)
{
    struct lsio_chunk chunk = {.object = i % 4,
                               .offset = i * 997,
                               .length = i % 10 == 9 ? 100000 : 500 + i,
                               .dst = dst + i * 100000,
                               .dst_bytes = 100000};

    if (i % 25 == 3) {
        chunk.offset = -1000;
        chunk.length = LSIO_TO_END;
    }
    return chunk;
}

/* Reads much and checks all of it; twice, so that files are found known. */
static void read_and_check(struct api *api, struct lsio_context *context, struct lsio_store *store)
{
    static const char *const keys[] = {"a", "b", "c", "absent"};
    struct lsio_object objects[4];
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    struct lsio_request request = api_request(objects, 4, chunks, CHUNKS, results);
    uint8_t *dst = malloc(CHUNKS * 100000), *want = malloc(100000);

    for (uint32_t i = 0; i < 4; i++)
        objects[i] = (struct lsio_object){store, keys[i], LSIO_SIZE_UNKNOWN, NULL};
    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = chunk_make(i, dst);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(lsio_read_batch(context, &request), -ENOENT);
        for (uint32_t i = 0; i < CHUNKS; i++) {
            int64_t count =
                api_oracle(api, keys[i % 4], chunks[i].offset, chunks[i].length, want, 100000);
            assert_int_equal(results[i].status, count < 0 ? count : 0);
            if (count < 0)
                continue;
            assert_int_equal(results[i].bytes, count);
            assert_memory_equal(chunks[i].dst, want, (size_t)count);
        }
    }
    free(dst);
    free(want);
}

static void objects_put(struct api *api)
{
    api_put(api, "a", 0, MIB);
    api_put(api, "b", 1, MIB / 2);
    api_put(api, "c", 2, 450000);
}

static void each_gate_off(void **state)
{
    struct api *api = *state;

    objects_put(api);
    for (uint32_t gate = 0; gate <= 8; gate++) {
        struct lsio_config config = api_config(api);
        struct lsio_stats stats;
        config.gates_off = gate == 7 ? UINT32_MAX : gate == 8 ? 0 : 1u << gate;
        api_remake(api, &config, NULL, 0);
        read_and_check(api, api->context, api->store);
        stats = api_stats(api->context);
        assert_string_equal(stats.loop, api->loop);
        if (config.gates_off & LSIO_GATE_REGISTERED_BUFFERS)
            assert_int_equal(stats.registered_bytes, 0);
    }
}

static void log_keep(int level, const char *text, void *data)
{
    (void)level;
    snprintf(data, 512, "%s", text);
}

/* No context comes of it, and the log says why. */
static void refused(struct lsio_config config, int status, const char *what)
{
    struct lsio_context *context = (void *)&config;
    char log[512] = "";

    config.log = log_keep;
    config.log_data = log;
    assert_int_equal(lsio_context_create(&config, &context), status);
    assert_ptr_equal(context, &config);
    if (!strstr(log, what))
        fail_msg("the log says \"%s\", not \"%s\"", log, what);
}

static void by_name(void **state)
{
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    struct lsio_context *context;

    config.loop = "kqueue";
    refused(config, -ENOSYS, "config.loop names no loop of this build: \"kqueue\"");
    config.loop = "";
    refused(config, -ENOSYS, "config.loop");
    config.loop = NULL;
    assert_int_equal(setenv("LSIO_LOOP", "nonsense", 1), 0);
    refused(config, -ENOSYS, "LSIO_LOOP names no loop of this build: \"nonsense\"");
    config.loop = api->loop; /* goes before the environment */
    assert_int_equal(lsio_context_create(&config, &context), 0);
    assert_string_equal(api_stats(context).loop, api->loop);
    assert_int_equal(lsio_context_destroy(context), 0);
    config.loop = NULL;
    assert_int_equal(setenv("LSIO_LOOP", api->loop, 1), 0);
    assert_int_equal(lsio_context_create(&config, &context), 0);
    assert_string_equal(api_stats(context).loop, api->loop);
    assert_int_equal(lsio_context_destroy(context), 0);
    assert_int_equal(unsetenv("LSIO_LOOP"), 0);
}

static int uring_forbid(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 425 /* io_uring_setup */, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {COUNT(code), code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* In a child without threads; the line that went wrong, or 0. */
static int where_refused(struct api *api, int error)
{
    struct lsio_config config = api_config(api);
    struct lsio_stats stats = {.struct_bytes = sizeof(stats)};
    struct lsio_context *context;
    struct lsio_store *store;
    char dst[100];
    int status;

    if (uring_forbid(error) != 0)
        return 0;
    config.loop = "uring";
    status = lsio_context_create(&config, &context);
    if (status != -ENOSYS && !(error == ENOMEM && status == -ENOMEM))
        return __LINE__;
    config.loop = NULL;
    if (lsio_context_create(&config, &context) != 0)
        return __LINE__;
    if (lsio_context_stats(context, &stats) != 0 || strcmp(stats.loop, "epoll") != 0 ||
        !strstr(stats.loop_reason, "uring"))
        return __LINE__;
    if (lsio_store_open(context, api->dir, NULL, 0, &store) != 0 ||
        lsio_read(context, store, "a", 5, 100, dst, 100, NULL) != 0 ||
        api_mismatch(dst, 0, 5, 100) != 100)
        return __LINE__;
    return lsio_context_destroy(context) == 0 ? 0 : __LINE__;
}

static void refused_by_the_kernel(void **state)
{
    static const int errors[] = {EPERM, ENOSYS, EINVAL, ENOMEM};
    struct api *api = *state;

    if (strcmp(api->loop, "uring") != 0 || !api->local)
        return;
    objects_put(api);
    assert_int_equal(lsio_context_destroy(api->context),
                     0); /* a child of many threads may not make any */
    api->context = NULL;
    for (size_t i = 0; i < COUNT(errors); i++) {
        int status = -1;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            int line = where_refused(api, errors[i]);
            if (line)
                fprintf(stderr, "%s:%d: failed where io_uring_setup gives errno %d\n", __FILE__,
                        line, errors[i]);
            _exit(line ? 1 : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void configs_that_make_no_sense(void **state)
{
    struct api *api = *state;
    struct lsio_config config = api_config(api);
    struct lsio_context *context = (void *)api;

    config.struct_bytes = 0;
    assert_int_equal(lsio_context_create(&config, &context), -EINVAL);
    config = api_config(api);
    config.workers = 1025;
    refused(config, -EINVAL, "config.workers is 1025");
    config = api_config(api);
    config.memory_bytes_max = MIB - 1;
    refused(config, -EINVAL, "config.memory_bytes_max is 1048575");
    assert_int_equal(lsio_context_create(NULL, NULL), -EINVAL);
    assert_ptr_equal(context, api);
    assert_int_equal(lsio_context_create(NULL, &context), 0); /* all defaults */
    assert_true(lsio_context_workers(context) >= 1);
    assert_int_equal(lsio_context_destroy(context), 0);
    config = api_config(api);
    config.flags = LSIO_CONTEXT_PIN;
    assert_int_equal(lsio_context_create(&config, &context), 0);
    assert_int_equal(lsio_context_destroy(context), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_gate_off), cmocka_unit_test(by_name),
                                       cmocka_unit_test(refused_by_the_kernel),
                                       cmocka_unit_test(configs_that_make_no_sense)};

    return api_run_tests("loop_choice", tests, COUNT(tests), API_ALL);
}
