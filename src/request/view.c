/* SPDX-License-Identifier: MIT */
/*
 * Design: one allocation holds the copy of everything a submitted request names: objects, then
 * chunks, then the keys and etags as one run of strings. Copied elements have the library's own
 * size, whatever the caller's stride, so later code does not care who made them.
 */
#include "request/view.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"

#define REQUEST_FLAGS ((uint32_t)(LSIO_BORROW | LSIO_FAIL_FAST))

int request_refuse(struct lsio_error *error, int status, const char *format, ...)
{
    va_list list;

    memset(error, 0, sizeof(*error));
    error->struct_bytes = sizeof(*error);
    error->index = LSIO_NO_CHUNK;
    error->status = status;
    va_start(list, format);
    vsnprintf(error->text, sizeof(error->text), format, list);
    va_end(list);
    return status;
}

/* Strides and counts make sense, and there are tables where they say so. */
static int tables_check(const struct request_view *view, struct lsio_error *error)
{
    const char *table, *stride;

    if (view->chunk_count > REQUEST_CHUNKS_MAX || view->object_count > UINT32_MAX) {
        LSIO_MARK(request_beyond_limits);
        return request_refuse(error, LSIO_E_LIMIT, "%zu chunks of %zu objects are too many",
                              view->chunk_count, view->object_count);
    }
    table = view->chunk_count && !view->chunks     ? "chunks"
            : view->object_count && !view->objects ? "objects"
                                                   : NULL;
    if (table)
        return request_refuse(error, -EINVAL, "%s is NULL and its count is not 0", table);
    stride = view->object_bytes < sizeof(struct lsio_object) || view->object_bytes % 8
                 ? "object_bytes"
             : view->chunk_bytes < sizeof(struct lsio_chunk) || view->chunk_bytes % 8
                 ? "chunk_bytes"
             : view->result_bytes < sizeof(struct lsio_result) || view->result_bytes % 8
                 ? "result_bytes"
                 : NULL;
    if (stride) {
        LSIO_MARK(request_stride_refused);
        return request_refuse(error, -EINVAL,
                              "%s is less than the element's size, or no multiple of 8", stride);
    }
    return 0;
}

int request_view_init(struct request_view *view, const struct lsio_request *request,
                      struct lsio_error *error)
{
    int status;

    if (!request || request->struct_bytes < offsetof(struct lsio_request, reserved) ||
        request->struct_bytes > 4096)
        return request_refuse(error, -EINVAL, "the request's struct_bytes is not its size");
    if (request->flags & ~REQUEST_FLAGS)
        return request_refuse(error, -EINVAL, "the request has unknown flags 0x%x",
                              request->flags & ~REQUEST_FLAGS);
    *view = (struct request_view){
        .objects = request->objects,
        .object_count = request->object_count,
        .object_bytes = request->object_bytes ? request->object_bytes : sizeof(struct lsio_object),
        .chunks = request->chunks,
        .chunk_count = request->chunk_count,
        .chunk_bytes = request->chunk_bytes ? request->chunk_bytes : sizeof(struct lsio_chunk),
        .results = request->results,
        .result_bytes = request->result_bytes ? request->result_bytes : sizeof(struct lsio_result),
        .chain = request->chain,
    };
    status = tables_check(view, error);
    if (status)
        return status;
    for (size_t i = 0; i < view->object_count; i++) {
        const struct lsio_object *object = request_object(view, i);
        if (!object->store || !object->key)
            return request_refuse(error, -EINVAL, "object %zu of the request has no %s", i,
                                  object->store ? "key" : "store");
    }
    return 0;
}

static size_t string_bytes(const char *string)
{
    return string ? strlen(string) + 1 : 0;
}

static const char *string_copy(char **to, const char *string)
{
    size_t bytes = string_bytes(string);
    char *copy = *to;

    if (!string)
        return NULL;
    memcpy(copy, string, bytes);
    *to += bytes;
    return copy;
}

int request_view_copy(struct request_view *view)
{
    size_t objects_bytes = view->object_count * sizeof(struct lsio_object);
    size_t chunks_bytes = view->chunk_count * sizeof(struct lsio_chunk);
    size_t strings_bytes = 0;
    struct lsio_object *objects;
    char *chunks, *strings;

    for (size_t i = 0; i < view->object_count; i++) {
        const struct lsio_object *object = request_object(view, i);
        strings_bytes += string_bytes(object->key) + string_bytes(object->etag);
    }
    objects = malloc(objects_bytes + chunks_bytes + strings_bytes + 1);
    if (!objects)
        return -ENOMEM;
    chunks = (char *)objects + objects_bytes;
    strings = chunks + chunks_bytes;
    for (size_t i = 0; i < view->object_count; i++) {
        objects[i] = *request_object(view, i);
        objects[i].key = string_copy(&strings, objects[i].key);
        objects[i].etag = string_copy(&strings, objects[i].etag);
    }
    for (size_t i = 0; i < view->chunk_count; i++)
        memcpy(chunks + i * sizeof(struct lsio_chunk), request_chunk(view, i),
               sizeof(struct lsio_chunk));
    view->copy = objects;
    view->objects = objects;
    view->object_bytes = sizeof(struct lsio_object);
    view->chunks = (const struct lsio_chunk *)(const void *)chunks;
    view->chunk_bytes = sizeof(struct lsio_chunk);
    return 0;
}

void request_view_finish(struct request_view *view)
{
    free(view->copy);
    view->copy = NULL;
}
