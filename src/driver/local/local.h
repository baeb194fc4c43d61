/* SPDX-License-Identifier: MIT */
/*
 * local.h - directories: "/path", "relative/path", "file:///path".
 *
 *   store.c        opens a root, its options; the driver's table
 *   detect.c       which profile the root's storage has
 *   file_cache.c   open files: table, order of use, limits (bookkeeping under one lock)
 *   cache_life.c   that cache from creation to end
 *   file.c         opens files through the loop, wakes those who wait for that
 *   file_slot.c    places of files in the rings' tables
 *   read.c         one read from start to completion
 *   watch.c        whole-file reads that wait for ever
 *   direct.c       O_DIRECT: when, and how a range is cut for it
 *   object.c       validators, information, physical extents
 *   list.c         listing
 *   inline.c       cached reads on the caller's own thread
 */
#ifndef LSIO_DRIVER_LOCAL_LOCAL_H
#define LSIO_DRIVER_LOCAL_LOCAL_H

#include <fcntl.h>

#include "driver/driver.h"

extern const struct driver_ops driver_local;

struct local_cache;

/* O_NONBLOCK: a FIFO must not hang the open; it means nothing to regular files. */
#define LOCAL_OPEN_FLAGS      (O_RDONLY | O_NONBLOCK | O_NOCTTY)
#define LOCAL_WHOLE_BYTES_MAX (64u * 1024) /* of a read that opens and closes its file */
#define LOCAL_ETAG_BYTES      72

struct local_store {
    struct lsio_store base; /* first */
    /* frozen */
    const struct loop_os *os;
    struct local_cache *cache;
    int root_fd;
    bool beneath; /* symlinks = beneath */
    bool change_check;
    bool remote; /* others may change files unseen: descriptors serve one object of one batch */
};

static inline struct local_store *local_store_of(const struct lsio_store *store)
{
    return (struct local_store *)(uintptr_t)store;
}

/* driver_read.state */
enum local_read_state {
    LOCAL_IDLE = 0,
    LOCAL_SUBMITTED = 1, /* read->op is with the loop */
    LOCAL_WAITING = 2,   /* in a list of the cache; read->wait is the file */
    LOCAL_STATE_MASK = 3,
    LOCAL_CANCELED = 4,     /* somebody asked for the end */
    LOCAL_PRIVATE = 8,      /* reads through a descriptor of its own: read->wait is that plus one */
    LOCAL_CACHED_PIECE = 16 /* O_DIRECT: this piece goes through the page cache */
};

/* driver_read.status on its way through the cache: begin again. */
#define LOCAL_RESTART 1

static inline void local_submit(struct driver_env *env, struct driver_read *read,
                                void (*done)(struct loop_op *op))
{
    read->op.done = done;
    read->state = (uint8_t)((read->state & ~LOCAL_STATE_MASK) | LOCAL_SUBMITTED);
    env->loop_ops->submit(env->loop, &read->op);
}

/* What an errno of open() means to the caller. */
int local_open_status(int error);
/* The validator that belongs to a state of a file; `out` has LOCAL_ETAG_BYTES. */
void local_etag_write(const struct os_stat *stat, char *out);
/* The same file with the same content, as far as size and times tell. */
static inline bool local_stat_same(const struct os_stat *a, const struct os_stat *b)
{
    return a->inode == b->inode && a->device == b->device && a->size == b->size &&
           a->mtime_ns == b->mtime_ns;
}
/* Looks at a descriptor that was just opened with LOCAL_OPEN_FLAGS: 0 and its state if it is a
 * regular file, whose reads wait from now on; else LSIO_E_UNSUPPORTED or a negated errno. */
int local_opened(const struct loop_os *os, int fd, struct os_stat *stat);

/* read.c */
void local_read(struct driver_env *env, struct driver_read *read);
void local_cancel(struct driver_env *env, struct driver_read *read);
/* Goes on with a read whose file is ready; read->status < 0 ends it, LOCAL_RESTART begins it again.
 */
void local_read_resume(struct driver_env *env, struct driver_read *read);

/* object.c */
int local_verify_object(struct driver_object *object);
void local_finish_object(struct driver_object *object);
int local_object_info(struct driver_object *object, struct lsio_object_info *out);
void local_describe_object(struct driver_object *object);

/* list.c, inline.c */
int local_list(struct lsio_store *store, const char *prefix, char delimiter, lsio_list_fn *on_page,
               void *data, struct driver_failure *failure);
int local_read_inline(struct lsio_store *store, const char *key, const struct driver_range *ranges,
                      size_t count);

#endif
