/* SPDX-License-Identifier: MIT */
/*
 * api_fixture.h - what tests of the public API stand on: a context and a store for each combination
 * of loop and kind of store, objects of known bytes, and an oracle that reads them with pread().
 *
 * Each 8 bytes of an object are a function of (object number, offset), so a misplaced byte shows at
 * once and says where it came from. Whatever the kind of store, api_put() writes a file too: the
 * oracle's.
 *
 * cmocka's assertions jump, so they are for the test's own thread; callbacks and stages count
 * instead.
 */
#ifndef LSIO_TESTS_API_FIXTURE_H
#define LSIO_TESTS_API_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "between.h"
#include "lsio/lsio.h"

#define KIB          (UINT64_C(1) << 10)
#define MIB          (UINT64_C(1) << 20)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Kinds of store: memory://, a directory, a bucket of the fault server (if the build has HTTP). */
enum { API_MEMORY = 1, API_LOCAL = 2, API_BUCKET = 4, API_BOTH = 3, API_ALL = 7 };

struct server;

struct api {
    const char *loop;      /* "uring" or "epoll" */
    unsigned kind;         /* of the store: API_MEMORY, API_LOCAL or API_BUCKET */
    bool local;            /* kind == API_LOCAL */
    int bad_key;           /* the status of a key like "../k": buckets have such keys */
    struct server *server; /* of API_BUCKET, in this process */
    uint16_t port;         /* its port */
    const char *url;       /* what the store is opened with */
    struct lsio_context *context;
    struct lsio_store *store;
    char dir[160];
    int descriptors; /* open when the test began */
};

/* Runs the tests for each loop this machine has and each kind of `stores`, every test with a fresh
 * struct api as its state; cmocka's result. A test whose descriptors or context leak fails. */
int api_run_tests(const char *group, const struct CMUnitTest *tests, size_t count, unsigned stores);

/* Whether a context can be made with that loop on this machine. */
bool api_loop_is_there(const char *name);

/* The config of contexts in tests: 3 workers, 32 MiB, the variant's loop; without the kernel
 * features that LSIO_TEST_GATES_OFF names (a number or a name of enum lsio_gate: a suite is run
 * with each of them off by setting it). */
struct lsio_config api_config(const struct api *api);
/* Replaces the test's context and store by ones made with other settings (objects stay). */
void api_remake(struct api *api, const struct lsio_config *config,
                const struct lsio_option *options, size_t option_count);
/* lsio_store_open() of the variant's store. */
int api_try_open(struct api *api, struct lsio_context *context, const struct lsio_option *options,
                 size_t option_count, struct lsio_store **out);
/* Opens the variant's store in another context, or once more with options. */
struct lsio_store *api_open(struct api *api, struct lsio_context *context,
                            const struct lsio_option *options, size_t option_count);

/* Makes an object of `bytes` bytes of pattern number `object`. */
void api_put(struct api *api, const char *key, uint32_t object, uint64_t bytes);
void api_fill(void *into, uint32_t object, uint64_t offset, uint64_t count);
/* Where the bytes first differ from the pattern; `count` if nowhere. Any thread. */
uint64_t api_mismatch(const void *bytes, uint32_t object, uint64_t offset, uint64_t count);
/* Fails the test at the first wrong byte. */
void api_check(const void *bytes, uint32_t object, uint64_t offset, uint64_t count);
/* True if all bytes have this value. */
bool api_all(const void *bytes, uint8_t value, uint64_t count);

/* What the header says a range means, read with pread: the count of bytes, or a negative status. */
int64_t api_oracle(const struct api *api, const char *key, int64_t offset, uint64_t length,
                   void *into, uint64_t into_bytes);

struct lsio_object api_object(const struct api *api, const char *key);
/* The tables may be filled later. */
struct lsio_request api_request(struct lsio_object *objects, size_t object_count,
                                struct lsio_chunk *chunks, size_t chunk_count,
                                struct lsio_result *results);
struct lsio_stage api_stage(lsio_stage_fn *run, uint32_t flags, void *user);
struct lsio_stats api_stats(struct lsio_context *context);
struct lsio_progress api_progress(struct lsio_batch *batch);
/* Waits for the end, for a minute at most, and returns the batch's status. */
int api_wait(struct lsio_batch *batch);

/* Callbacks that count; `data` of the request. */
struct api_seen {
    uint64_t count;
    pthread_t caller;
    _Atomic uint32_t *chunk; /* how often each was reported */
    _Atomic uint32_t done, failed, canceled;
    _Atomic uint32_t wrong; /* reports after on_done, on the caller's thread, of no chunk */
    _Atomic int32_t status; /* on_done's */
};
void api_seen_init(struct api_seen *seen, uint64_t count);
void api_seen_on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                       void *data);
void api_seen_on_done(struct lsio_batch *batch, int status, void *data);
/* Each chunk once, on_done once, nothing wrong; frees what _init made. The batch must be waited
 * for. */
void api_seen_check(struct api_seen *seen);

/* A stage that runs until the gate opens, and counts how many are inside. */
struct api_gate {
    _Atomic int entered;
    _Atomic bool open;
};
int api_gate_stage(struct lsio_call *call); /* call->user: struct api_gate */
/* Waits until `count` calls have entered. */
void api_gate_wait(struct api_gate *gate, int count);
void api_gate_open(struct api_gate *gate);

uint64_t api_now_ms(void);
void api_sleep_ms(unsigned ms);
/* How many times slower this build may be: LSIO_TEST_SCALE. */
unsigned api_scale(void);
int api_descriptors(void);
/* Open connections to the bucket's server. */
int api_connections(const struct api *api);

#endif
