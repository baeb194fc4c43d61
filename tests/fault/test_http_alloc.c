/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out while a bucket is read: as test_nth_alloc.c has it for files, each allocation of
 * the library in turn fails. Each call returns, each chunk ends once and never with wrong bytes or
 * as absent, the same context works when there is memory again, and nothing is left.
 *
 * libcurl's own allocations are not among those that fail: given failing ones through
 * curl_global_init_mem(), libcurl 7.88 divides by zero in curl_multi_socket_action(). The server is
 * a process of its own, for its memory must not fail.
 *
 * LSIO_TEST_LINK: -Wl,@$<TARGET_PROPERTY:SOURCE_DIR>/fault/wrap_all.txt
 * LSIO_TEST_TIMEOUT: 300
 *
 * LSIO_ROWS: L24
 */
#define _GNU_SOURCE /* pipe2 */
#include <fcntl.h>
#include <unistd.h>

#include "fault_child.h"
#include "fault_torture.h"
#include "server/fault_server.h"

static struct {
    char url[100];
    int lives; /* the server ends when this is closed */
    pid_t pid;
} bucket;

static bool out_of_memory(int status)
{
    return status == -ENOMEM;
}

static void put(const char *key, const void *bytes, size_t count, void *data)
{
    char path[100];
    struct server_object object = {.path = path, .bytes = bytes, .size = count};

    snprintf(path, sizeof(path), "/bucket/%s", key);
    if (server_put(data, &object) != 0)
        _exit(1);
}

static void serve(const struct mix *mix, int tell, int lives)
{
    const struct server_config config = {.style = SERVER_S3};
    struct server *server;
    char byte;

    if (server_create(&config, &server) != 0)
        _exit(1);
    mix_each_file(mix, put, server);
    if (write(tell, server_url(server), strlen(server_url(server))) < 0)
        _exit(1);
    close(tell);
    while (read(lives, &byte, 1) > 0) {
    }
    server_destroy(server);
    _exit(0);
}

/* The files of all mixes are the same: one server does for them all. */
static void server_begin(const struct mix *mix)
{
    int url[2], lives[2];

    assert_int_equal(pipe2(url, O_CLOEXEC), 0);
    assert_int_equal(pipe2(lives, O_CLOEXEC), 0);
    fflush(NULL);
    bucket.pid = fork();
    assert_true(bucket.pid >= 0);
    if (bucket.pid == 0) {
        close(lives[1]);
        serve(mix, url[1], lives[0]);
    }
    close(url[1]);
    close(lives[0]);
    assert_true(read(url[0], bucket.url, sizeof(bucket.url) - 1) > 0);
    close(url[0]);
    bucket.lives = lives[1];
}

static void on_the_bucket(struct mix *mix)
{
    static struct lsio_option options[] = {
        {"endpoint", bucket.url},     {"access_key_id", "id"}, {"secret_access_key", "secret"},
        {"retry_sleep_min", "1ms"},   {"retry_sleep_max", "2ms"}, {"proxy_url", ""},
        {"split_bytes", "256K"},
    };

    if (!bucket.pid)
        server_begin(mix);
    mix->url = "s3://bucket";
    mix->options = options;
    mix->option_count = COUNT(options);
}

/* A search for credentials that had no memory is not repeated for a moment. */
static void settle(struct mix *mix)
{
    uint64_t end_ms = api_now_ms() + 10000;
    char byte;

    while (mix->local && api_now_ms() < end_ms &&
           lsio_read(mix->context, mix->local, "a", 0, 1, &byte, 1, NULL) == -ENOMEM)
        api_sleep_ms(5);
}

static void every_allocation_fails(void **state)
{
    const struct fault_torture torture = {.what = "allocations",
                                          .kinds = FAULT_ALLOC,
                                          .tolerates = out_of_memory,
                                          .prepare = on_the_bucket,
                                          .settle = settle,
                                          .step = 3,
                                          .runs_min = 150};

    (void)state;
    fault_torture_run(&torture);
    close(bucket.lives);
    child_wait("the server", bucket.pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails)};

    return cmocka_run_group_tests_name("http_alloc", tests, NULL, NULL);
}
