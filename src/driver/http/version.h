/* SPDX-License-Identifier: MIT */
/*
 * version.h - which version of an object a batch reads, shared by all its reads of that object.
 *
 *     status = http_version_check(object, head, restart, &version);   each good answer
 *     ... bytes of that version arrive ...
 *     if (!http_version_deliver(version))  another read has restarted the object: begin anew
 *
 * The first answer fixes the version; later ones are compared with it by the strongest validator
 * that both have. With `restart` an object may be restarted once: as long as nothing of the version
 * was delivered, another one of the same size takes its place, and reads that hold bytes of the
 * old one find out before they deliver them.
 *
 * Threads: any worker. Versions live until the object is finished.
 */
#ifndef LSIO_DRIVER_HTTP_VERSION_H
#define LSIO_DRIVER_HTTP_VERSION_H

#include "driver/driver.h"
#include "driver/http/head.h"

enum http_version_state { HTTP_VERSION_OPEN = 0, HTTP_VERSION_DELIVERED, HTTP_VERSION_REPLACED };

struct http_version {
    /* frozen */
    struct http_version *older; /* the one that it replaced, or NULL */
    uint64_t size;              /* HTTP_SIZE_UNKNOWN */
    uint64_t generation;        /* 0: none */
    int64_t modified_s;
    bool etag_strong;
    bool has_modified;
    char etag[128];
    /* shared */
    _Atomic bool no_ranges; /* the server sends the whole object whatever is asked */
    _Atomic uint8_t state;  /* enum http_version_state */
};

/* What the object is known to be; NULL: nothing yet. */
static inline struct http_version *http_version_of(struct driver_object *object)
{
    return atomic_load_explicit(&object->handle, memory_order_acquire);
}

/* 0 and the version that the answer is of, LSIO_E_CHANGED, or -ENOMEM. `head`: of a 2xx. */
int http_version_check(struct driver_object *object, const struct http_head *head, bool restart,
                       struct http_version **out);

/* 0 if the object had no other size before. */
int http_version_size(struct driver_object *object, uint64_t size);

/* Whether the object may still be restarted. */
bool http_version_may_restart(struct driver_object *object);

/* From now on the version stays. False: it has been replaced. */
bool http_version_deliver(struct http_version *version);

void http_version_finish(struct driver_object *object);

#endif
