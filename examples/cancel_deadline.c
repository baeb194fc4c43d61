/* SPDX-License-Identifier: MIT */
/*
 * cancel_deadline.c - two ways to end a batch before all of it is read.
 *
 *   Cancel    a search: the first chunk in which the needle is found cancels the rest.
 *   Deadline  the request says how long it may take; what is not done by then fails.
 *
 * Either way each chunk ends exactly once, and its result says how: done, or which status. A chunk
 * whose bytes were there already when the end was asked for keeps its real result.
 *
 * usage: cancel_deadline       (makes a file of 4 MiB in a temporary folder)
 */
#define _GNU_SOURCE
#include "lsio/lsio.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNKS = 1024, CHUNK_BYTES = 4096, NEEDLE_CHUNK = 100 };

static const char needle[] = "the needle in the haystack";

struct search {
    _Atomic int64_t found_at; /* in the file; -1: not found yet */
    int thorough;             /* look at all chunks, and take a millisecond for each */
};

static int make_file(const char *folder)
{
    static char block[CHUNK_BYTES];
    char path[128];
    FILE *file;
    int good = 1;

    snprintf(path, sizeof(path), "%s/haystack", folder);
    file = fopen(path, "wb");
    if (file == NULL)
        return -errno;
    for (int i = 0; i < CHUNKS; i++) {
        memset(block, '.', sizeof(block));
        if (i == NEEDLE_CHUNK)
            memcpy(block + 1000, needle, sizeof(needle) - 1);
        good &= fwrite(block, sizeof(block), 1, file) == 1;
    }
    good &= fclose(file) == 0;
    return good ? 0 : -EIO;
}

static void remove_file(const char *folder)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/haystack", folder);
    unlink(path);
    rmdir(folder);
}

/* Stage: looks for the needle; where it is found, nothing else needs to be read. */
static int look(struct lsio_call *call)
{
    struct search *search = call->user;
    const char *hit = memmem(call->in, call->in_bytes, needle, sizeof(needle) - 1);

    if (search->thorough) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    } else if (hit != NULL) {
        atomic_store(&search->found_at, call->chunk->offset + (hit - (const char *)call->in));
        if (call->batch != NULL)
            return lsio_batch_cancel(call->batch);
    }
    return 0;
}

/* Reads all chunks through `look`; counts how the chunks ended. */
static int read_all(struct lsio_context *context, struct lsio_store *store, struct search *search,
                    uint64_t deadline_ms, int status_wanted, uint64_t *done, uint64_t *ended)
{
    static struct lsio_chunk chunks[CHUNKS];
    struct lsio_stage stage = {.struct_bytes = sizeof(stage), .name = "look", .run = look,
        .user = search, .flags = LSIO_STAGE_READS_ONLY};
    struct lsio_object object = {.store = store, .key = "haystack", .size = LSIO_SIZE_UNKNOWN};
    struct lsio_request request = {.struct_bytes = sizeof(request), .objects = &object,
        .object_count = 1, .chunks = chunks, .chunk_count = CHUNKS, .deadline_ms = deadline_ms};
    struct lsio_batch *batch = NULL;
    struct lsio_chain *chain = NULL;
    int status = lsio_chain_create(context, &stage, 1, &chain);
    int outcome = 0;

    for (int i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.offset = (int64_t)i * CHUNK_BYTES, .length = CHUNK_BYTES};
    request.chain = chain;
    if (status == 0)
        status = lsio_submit_batch(context, &request, &batch);
    if (status == 0)
        status = lsio_batch_wait(batch, LSIO_FOREVER, &outcome);
    if (status == 0) {
        *done = lsio_batch_status_count(batch, 0);
        *ended = lsio_batch_status_count(batch, status_wanted);
        if (outcome != 0 && outcome != status_wanted)
            status = outcome;
        else if (*done + *ended != CHUNKS)
            status = LSIO_E_CALLBACK; /* some chunk ended in a way that we did not ask for */
    }
    lsio_batch_destroy(batch);
    lsio_chain_destroy(chain);
    return status;
}

int main(void)
{
    struct lsio_context *context = NULL;
    struct lsio_store *store = NULL;
    struct search search = {.found_at = -1};
    char folder[] = "/tmp/lsio-cancel-XXXXXX";
    uint64_t done = 0, ended = 0;
    int status;

    if (mkdtemp(folder) == NULL)
        return 1;
    status = make_file(folder);
    if (status == 0)
        status = lsio_context_create(NULL, &context);
    if (status == 0)
        status = lsio_store_open(context, folder, NULL, 0, &store);

    if (status == 0)
        status = read_all(context, store, &search, 0, -ECANCELED, &done, &ended);
    printf("cancel:   needle at %lld; %llu chunks read, %llu canceled: %s\n",
           (long long)atomic_load(&search.found_at), (unsigned long long)done,
           (unsigned long long)ended, lsio_status_text(status));
    if (status == 0 && atomic_load(&search.found_at) != NEEDLE_CHUNK * CHUNK_BYTES + 1000)
        status = LSIO_E_CORRUPT;

    search = (struct search){.found_at = -1, .thorough = 1};
    if (status == 0)
        status = read_all(context, store, &search, 20, -ETIMEDOUT, &done, &ended);
    printf("deadline: 20 ms; %llu chunks read, %llu too late: %s\n", (unsigned long long)done,
           (unsigned long long)ended, lsio_status_text(status));
    lsio_context_destroy(context);
    remove_file(folder);
    return status == 0 ? 0 : 1;
}
