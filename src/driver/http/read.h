/* SPDX-License-Identifier: MIT */
/* read.h - ranges of objects as transfers; the parts of driver_ops that deal with them. */
#ifndef LSIO_DRIVER_HTTP_READ_H
#define LSIO_DRIVER_HTTP_READ_H

#include "driver/http/transfer.h"

/* What the first answer of a batch said of an object: driver_object.handle. */
struct http_validator {
    uint64_t size;       /* HTTP_SIZE_UNKNOWN */
    uint64_t generation; /* 0: none */
    int64_t modified_s;
    bool etag_strong;
    bool has_modified;
    _Atomic bool no_ranges; /* the server sends the whole object whatever is asked */
    char etag[128];
};

void http_read(struct driver_env *env, struct driver_read *read);
void http_read_cancel(struct driver_env *env, struct driver_read *read);
void http_reads_free(struct http_worker *worker);

int http_object_info(struct driver_object *object, struct lsio_object_info *out);
void http_object_finish(struct driver_object *object);

#endif
