/* SPDX-License-Identifier: MIT */
/*
 * servers.h - what tests/servers/run.sh has started, as stores of the public API, and what lies
 * there. Everything comes from the environment (tests/servers/servers.sh says which variables).
 *
 *     for (i = 0; i < servers_way_count; i++) { ... servers_open(&servers_ways[i], ...) ... }
 *
 * Without servers servers_need() ends the program with 77, skipped.
 */
#ifndef LSIO_TESTS_SERVERS_H
#define LSIO_TESTS_SERVERS_H

#include "api_fixture.h"

/* Ends the program, as skipped, unless servers run. */
void servers_need(void);
/* The value of LSIO_SERVERS_<server>_<name>; ends the program if it is not set. */
const char *servers_value(const char *server, const char *name);

/* An object that was uploaded: server_pattern(id), by a client that is not LSIO. */
struct servers_object {
    uint32_t id;
    uint64_t size;
    char *key;
};
struct servers_manifest {
    struct servers_object *objects;
    size_t count;
};
/* In the order of their ids. */
void servers_manifest_read(const char *server, struct servers_manifest *out);
void servers_manifest_free(struct servers_manifest *manifest);
/* NULL: it is not there. */
const struct servers_object *servers_manifest_find(const struct servers_manifest *manifest,
                                                   const char *key);

#define SERVERS_OPTIONS_MAX 8u

/* A way to a store that the same suite must pass on. A value that begins with '$' is that of
 * servers_value(); so is the URL's part behind a '$'. */
struct servers_way {
    const char *name;
    const char *server; /* whose manifest: "NGINX", "VERSITYGW", ... */
    const char *url;
    struct lsio_option options[SERVERS_OPTIONS_MAX]; /* until key is NULL */
    const char *upload;                              /* what upload.py calls the server */
    const char *wrong; /* option whose wrong value is a wrong credential; NULL: none is checked */
    bool lists;
    bool keeps_paths;       /* stores keys as paths of files: "a//b" is listed as "a/b" */
    bool turns_backslashes; /* lists them as slashes, as Azure does */
    bool buckets;           /* the URL names a bucket, and another one may be absent */
};
extern const struct servers_way servers_ways[];
extern const size_t servers_way_count;

/* Runs the tests on each loop that runs here, named in *loop meanwhile; how many failed. */
int servers_run(const char *name, const char **loop, const struct CMUnitTest *tests, size_t count);

/* With `more` (until key is NULL; may be NULL) before the way's own options; `bucket` instead of
 * the way's own if not NULL. lsio_store_open()'s status. */
int servers_open(const struct servers_way *way, struct lsio_context *context, const char *bucket,
                 const struct lsio_option *more, struct lsio_store **out);

/* Puts an object of that pattern into the way's store, replacing the one that is there. */
void servers_put(const struct servers_way *way, struct lsio_store *store, const char *key,
                 uint32_t id, uint64_t size);

/* A context whose log is searched for the secrets of all ways, at the most detailed level. */
struct lsio_context *servers_context(const char *loop, uint64_t memory_bytes_max);
/* Fails the test if a secret is in the text; the log is watched by itself. */
void servers_secrets_check(const char *text);
/* Lines logged until now that had a secret in them. */
unsigned servers_secrets_logged(void);

/* What the header says a range of an object of `size` bytes means: its status, or 0 and where it
 * begins and how long it is. */
int servers_range(uint64_t size, int64_t offset, uint64_t length, uint64_t dst_bytes,
                  uint64_t *first, uint64_t *bytes);
/* Fails the test at the first byte that is not the pattern's. */
void servers_check(const char *key, uint32_t id, uint64_t offset, const void *bytes,
                   uint64_t count);

#endif
