/* SPDX-License-Identifier: MIT */
/*
 * view.h - what was asked for: a request's tables with their strides resolved. Frozen after submit
 * and read by all workers without locks.
 */
#ifndef LSIO_REQUEST_VIEW_H
#define LSIO_REQUEST_VIEW_H

#include "lsio/lsio.h"

struct request_view {
    const struct lsio_object *objects;
    size_t object_count;
    size_t object_bytes;
    const struct lsio_chunk *chunks;
    size_t chunk_count;
    size_t chunk_bytes;
    struct lsio_result *results;
    size_t result_bytes;
    const struct lsio_chain *chain;
    void *copy; /* owned memory behind objects, keys and chunks; NULL if they are borrowed */
};

#define REQUEST_CHUNKS_MAX (UINT32_MAX - 1u)

/* Writes why a request is refused as a whole into *error, and returns `status`. */
int request_refuse(struct lsio_error *error, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Checks a request's shape and resolves it: -EINVAL, LSIO_E_LIMIT, then *error is written. Chunks
 * are not looked at. */
int request_view_init(struct request_view *view, const struct lsio_request *request,
                      struct lsio_error *error);
/* Replaces borrowed tables and keys by a copy of them; -ENOMEM. */
int request_view_copy(struct request_view *view);
void request_view_finish(struct request_view *view);

static inline const struct lsio_chunk *request_chunk(const struct request_view *view,
                                                     uint64_t index)
{
    return (const struct lsio_chunk *)(const void *)((const char *)view->chunks +
                                                     index * view->chunk_bytes);
}

static inline const struct lsio_object *request_object(const struct request_view *view,
                                                       uint64_t index)
{
    return (const struct lsio_object *)(const void *)((const char *)view->objects +
                                                      index * view->object_bytes);
}

static inline struct lsio_result *request_result(const struct request_view *view, uint64_t index)
{
    return (struct lsio_result *)(void *)((char *)view->results + index * view->result_bytes);
}

#endif
