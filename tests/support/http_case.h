/* SPDX-License-Identifier: MIT */
/*
 * http_case.h - what tests of the HTTP family through the public API stand on: a context of two
 * workers on each loop, the fault server, a store on it that tries again quickly, and short words
 * for reading and for looking at what the server saw.
 *
 *     static void resumes(void **state)
 *     {
 *         struct http_case *c = *state;
 *         http_case_open(c, "%s/data", NULL);
 *         http_case_put(c, "/data/k", 7, 100000);
 *         ... server_plan(c->server, ...) ...
 *         http_case_expect(c, "k", 7, 0, 100000);
 *         assert_string_equal(http_case_header(c, 1, "range"), "bytes=1000-99999");
 *     }
 *
 * A test fails if a planned fault did not happen, or if a descriptor stays open.
 */
#ifndef LSIO_TESTS_HTTP_CASE_H
#define LSIO_TESTS_HTTP_CASE_H

#include "api_fixture.h"
#include "server/fault_server.h"

#define HTTP_CASE_BYTES (4 * MIB)
#define HTTP_CASE_LOG   (256 * KIB)

struct http_case {
    const char *loop;
    struct server *server;
    struct lsio_context *context;
    struct lsio_store *store;
    uint8_t *memory;         /* HTTP_CASE_BYTES: where reads go */
    uint64_t bytes;          /* of the last read */
    struct lsio_error error; /* of the last read that failed */
    int descriptors;         /* open when the test began */
    char value[2048];        /* of the last header looked at */
    /* every line that was logged, at level debug */
    pthread_mutex_t log_lock;
    char *log;
    size_t log_bytes;
};

/* Runs the tests on each loop that runs here; cmocka's result. */
int http_case_run(const char *group, const struct CMUnitTest *tests, size_t count);

/* The test's server, by default a plain one: call before http_case_open() for another. */
void http_case_serve(struct http_case *c, const struct server_config *config);

/* Opens c->store, in place of the one before. "%s" in the URL and in options ("key=value", NULL
 * ends) stands for the server's URL. Unless said otherwise no proxy is used, and pauses between
 * attempts are a millisecond or two. */
void http_case_open(struct http_case *c, const char *url, ...) __attribute__((sentinel));
/* The same; gives lsio_store_open()'s status. */
int http_case_try_open(struct http_case *c, const char *url, ...) __attribute__((sentinel));

/* Stores of "bucket" whose server is c->server, made with that style, with keys "id" and "secret"
 * for S3, none for GCS, account "account" for Azure. One more option, or NULL. */
void http_case_open_s3(struct http_case *c, const char *option);
void http_case_open_gcs(struct http_case *c, const char *option);
void http_case_open_azure(struct http_case *c, const char *option);

/* An object of the server's pattern. */
void http_case_put(struct http_case *c, const char *path, uint32_t id, uint64_t size);

/* Reads into c->memory; the status. */
int http_case_read(struct http_case *c, const char *key, int64_t offset, uint64_t length);
/* The same of a read that must give these bytes of the pattern. */
void http_case_expect(struct http_case *c, const char *key, uint32_t id, int64_t offset,
                      uint64_t length);

/* The index-th request. */
struct server_record http_case_request(struct http_case *c, unsigned index);
/* Its header; "" if it has none. */
const char *http_case_header(struct http_case *c, unsigned index, const char *name);
#define http_case_requests(c) server_request_count((c)->server)

/* Plans a fault for the nth request (from 1) of a path, NULL: of any. */
void http_case_plan(struct http_case *c, const char *path, uint32_t nth,
                    const struct server_fault *fault);

#endif
