/* SPDX-License-Identifier: MIT */
/*
 * read.c - one read from start to completion.
 *
 *   whole file   the only read of an object, if it is short: open, read, close in one go. Only an
 *                answer of exactly the bytes wanted counts, or the name's absence; whatever else
 *                happens, the read goes the general way.
 *   general      gets the file (file.c), then reads until nothing is missing: a short read goes on
 *                where it stopped; the end of the file before that is LSIO_E_TRUNCATED.
 *
 * What is read the whole-file way is not looked at before (a descriptor of the ring's own cannot
 * be): devices are kept out by not leaving the mount, and what gives nothing for too long goes the
 * general way (watch.c), which refuses what is no regular file before any read. But a FIFO with
 * data in it, or a device node within the store, would be read.
 *
 * An object whose size or etag the caller has stated must be compared with the file, and several
 * reads of one object with one another: they never go the whole-file way. Neither do stores with
 * direct = on.
 *
 * Once a held file is an object's handle, a read costs one acquire load, a few stores into the loop
 * operation, and the submit: no lock, no atomic write.
 *
 * EIO is final: the kernel has retried. ESTALE (a network file system lost the file handle) opens
 * the name once more, for this read alone, and goes on if it is the same file still.
 *
 * Threads: everything on the read's worker.
 */
#include "driver/local/direct.h"

#include "base/mark.h"

#define READ_BYTES_MAX      (UINT64_C(1) << 30) /* of one loop operation */
#define READ_IOV_MAX        1024u
#define READ_ATTEMPTS_MAX   64u

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

static void read_general(struct driver_env *env, struct driver_read *read);

/* ---------------------------------------------------------------------------------- ending -- */

static struct local_file *file_of(const struct driver_read *read)
{
    return atomic_load_explicit(&read->object->handle, memory_order_acquire);
}

static void complete(struct driver_env *env, struct driver_read *read, int status, const char *text)
{
    read->status = status;
    read->code = status < 0 && status > LSIO_E_TRUNCATED ? -status : 0;
    read->bytes_done = read->progress;
    read->text = (char *)(uintptr_t)text;
    env->complete(env, read);
}

void local_read_finish(struct driver_env *env, struct driver_read *read, int status,
                       const char *text)
{
    struct local_file *file = file_of(read);

    if (read->bounce)
        env->bounce_put(env, read->bounce, read->bounce_bytes);
    read->bounce = NULL;
    if (UNLIKELY(read->state & LOCAL_PRIVATE))
        env->os->close((int)(intptr_t)read->wait - 1);
    if (UNLIKELY(file_needs_put(file)))
        file_put(file);
    complete(env, read, status, text);
}

/* --------------------------------------------------------------------------------- reading -- */

/* Moves the vector's begin forward by `bytes`. */
static void iov_advance(struct driver_read *read, uint64_t bytes)
{
    struct iovec *iov = (struct iovec *)(uintptr_t)read->iov;

    while (bytes > 0 && read->iov_count > 0) {
        if (bytes < iov->iov_len) {
            iov->iov_base = (uint8_t *)iov->iov_base + bytes;
            iov->iov_len -= bytes;
            break;
        }
        bytes -= iov->iov_len;
        iov++;
        read->iov_count--;
    }
    read->iov = iov;
}

void local_read_advance(struct driver_read *read, uint64_t bytes)
{
    read->progress += bytes;
    if (read->iov)
        iov_advance(read, bytes);
}

static void read_done(struct loop_op *op)
{
    struct driver_read *read = container_of(op, struct driver_read, op);
    struct driver_env *env = read->env;

    if (UNLIKELY(op->result < 0)) {
        local_read_failed(env, read, op->result);
        return;
    }
    if (LIKELY((uint64_t)op->result == read->bytes - read->progress)) {
        read->progress = read->bytes;
        local_read_finish(env, read, 0, NULL);
        return;
    }
    if (op->result == 0) {
        LSIO_MARK(read_truncated);
        local_read_finish(env, read, LSIO_E_TRUNCATED, NULL);
        return;
    }
    LSIO_MARK(read_short);
    local_read_advance(read, (uint64_t)op->result);
    local_read_cached(env, read, file_of(read));
}

void local_read_cached(struct driver_env *env, struct driver_read *read, struct local_file *file)
{
    struct loop_op *op = &read->op;
    uint64_t left = read->bytes - read->progress;

    if (UNLIKELY(read->state & LOCAL_CANCELED)) { /* it was too late for the part before */
        local_read_finish(env, read, -ECANCELED, NULL);
        return;
    }
    op->offset = read->offset + read->progress;
    op->bytes = left < READ_BYTES_MAX ? left : READ_BYTES_MAX;
    if (LIKELY(!read->iov)) {
        op->kind = LOOP_READ;
        op->addr = read->addr + read->progress;
        op->buffer = read->buffer;
    } else {
        op->kind = LOOP_READV;
        op->iov = read->iov;
        op->iov_count = read->iov_count < READ_IOV_MAX ? read->iov_count : READ_IOV_MAX;
        op->addr = NULL;
        op->buffer = -1;
    }
    if (UNLIKELY(read->state & LOCAL_PRIVATE)) {
        op->fd = (int)(intptr_t)read->wait - 1;
        op->file = -1;
    } else {
        op->fd = file->fd;
        op->file = file_slot(env, file, FILE_PLAIN);
    }
    local_submit(env, read, read_done);
}

/* The file is ready, and in use if it is counted. */
static inline void read_begin(struct driver_env *env, struct driver_read *read,
                              struct local_file *file)
{
    if (UNLIKELY(direct_wanted(env, read, file)))
        direct_read(env, read, file);
    else
        local_read_cached(env, read, file);
}

/* --------------------------------------------------------------------------------- trouble -- */

/* The name was opened once more, after ESTALE. */
static void reopen_done(struct loop_op *op)
{
    struct driver_read *read = container_of(op, struct driver_read, op);
    struct driver_env *env = read->env;
    struct local_file *file = file_of(read);
    struct os_stat stat;
    int fd = (int)op->result;
    int status = fd < 0 ? local_open_status(-fd) : local_opened(env->os, fd, &stat);

    if (status == 0 && file->store->change_check && !local_stat_same(&stat, &file->stat)) {
        LSIO_MARK(reopened_file_changed);
        status = LSIO_E_CHANGED;
    }
    if (status < 0) {
        LSIO_MARK(reopen_failed);
        if (fd >= 0)
            env->os->close(fd);
        local_read_finish(env, read, status, NULL);
        return;
    }
    read->state |= LOCAL_PRIVATE;
    read->wait = (void *)(intptr_t)(fd + 1);
    local_read_cached(env, read, file);
}

static void reopen(struct driver_env *env, struct driver_read *read)
{
    struct local_file *file = file_of(read);

    env->retries++;
    read->op.kind = LOOP_OPEN;
    read->op.fd = file->store->root_fd;
    read->op.path = file->key;
    read->op.open_flags = LOCAL_OPEN_FLAGS;
    read->op.beneath = file->store->beneath;
    read->op.buffer = -1;
    read->op.file = -1;
    local_submit(env, read, reopen_done);
}

void local_read_failed(struct driver_env *env, struct driver_read *read, int64_t result)
{
    bool canceled = (read->state & LOCAL_CANCELED) != 0;
    const char *text = result == -EIO ? "the device or file system failed to read" : NULL;

    if (result == -EINTR || result == -EAGAIN) {
        if (!canceled && read->attempts++ < READ_ATTEMPTS_MAX) {
            LSIO_MARK(read_tried_again);
            local_read_cached(env, read, file_of(read));
            return;
        }
        if (canceled)
            result = -ECANCELED; /* "once more" is no answer */
    }
    if (result == -ESTALE && !canceled && !(read->state & LOCAL_PRIVATE)) {
        LSIO_MARK(read_stale);
        reopen(env, read);
        return;
    }
    LSIO_MARK(read_failed);
    local_read_finish(env, read, (int)result, text);
}

/* ----------------------------------------------------------------------------- whole files -- */

/* The read's answer, if what open and read gave can be trusted as one. */
static bool whole_answer(struct driver_env *env, struct driver_read *read, int64_t result,
                         bool opening)
{
    if (result >= 0 && (uint64_t)result == read->bytes) {
        read->progress = read->bytes;
        complete(env, read, 0, NULL);
        return true;
    }
    if (opening && (result == -ENOENT || result == -ENOTDIR)) {
        complete(env, read, -ENOENT, NULL);
        return true;
    }
    return false;
}

static void whole_done(struct loop_op *op)
{
    struct driver_read *read = container_of(op, struct driver_read, op);
    struct driver_env *env = read->env;

    watch_remove(local_store_of(read->object->store)->cache, env, read);
    if (whole_answer(env, read, op->result, op->result < 0 && op->step == LOOP_STEP_OPEN))
        return;
    if (op->result == -ECANCELED && (read->state & LOCAL_CANCELED)) {
        LSIO_MARK(whole_file_canceled);
        complete(env, read, -ECANCELED, NULL);
    } else {
        LSIO_MARK(whole_file_read_in_parts);
        read_general(env, read);
    }
}

static bool whole_fits(struct driver_env *env, struct driver_read *read)
{
    struct driver_object *object = read->object;
    uint32_t policy = object->store->profile.direct;

    return read->kind == DRIVER_READ && read->bytes <= LOCAL_WHOLE_BYTES_MAX && !read->iov &&
           object->chunk_count == 1 && !read->part && !object->etag &&
           atomic_load_explicit(&object->plan.size, memory_order_relaxed) == LSIO_SIZE_UNKNOWN &&
           (policy == PLAN_DIRECT_OFF ||
            (policy == PLAN_DIRECT_AUTO && object->batch_bytes <= env->cache_bytes));
}

/* True if the read was dealt with. */
static bool whole_try(struct driver_env *env, struct driver_read *read)
{
    struct local_store *store = local_store_of(read->object->store);

    if (!whole_fits(env, read))
        return false;
    if (!env->loop_ops->can_read_file(env->loop))
        return false;
    read->op.kind = LOOP_READ_FILE;
    read->op.fd = store->root_fd;
    read->op.path = read->object->key;
    read->op.open_flags = LOCAL_OPEN_FLAGS;
    read->op.beneath = store->beneath;
    read->op.file = -1;
    read->op.buffer = read->buffer;
    read->op.offset = read->offset;
    read->op.addr = read->addr;
    read->op.bytes = read->bytes;
    watch_add(store->cache, env, read);
    local_submit(env, read, whole_done);
    return true;
}

/* ------------------------------------------------------------------------- the general way -- */

/* The read's file is ready, and in use if it is counted. */
static void read_file(struct driver_env *env, struct driver_read *read, struct local_file *file)
{
    /* A probe's answer, the size, was set when the file became the object's. */
    if (read->kind == DRIVER_PROBE || read->bytes == 0)
        local_read_finish(env, read, 0, NULL);
    else
        read_begin(env, read, file);
}

static void read_general(struct driver_env *env, struct driver_read *read)
{
    struct local_file *file;

    read->attempts = 0;
    file = file_get(env, read);
    if (file)
        read_file(env, read, file);
}

void local_read_resume(struct driver_env *env, struct driver_read *read)
{
    if (read->status == LOCAL_RESTART)
        read_general(env, read);
    else if (read->status < 0)
        complete(env, read, read->status, read->text);
    else
        read_file(env, read, file_of(read));
}

void local_read(struct driver_env *env, struct driver_read *read)
{
    struct driver_object *object = read->object;
    struct local_file *file = atomic_load_explicit(&object->handle, memory_order_acquire);

    read->env = env;
    read->text = NULL;
    read->bounce = NULL;
    read->progress = 0;
    read->state = LOCAL_IDLE;
    read->attempts = 0;
    read->direct = false;
    if (LIKELY(file && file->held && read->kind == DRIVER_READ && read->bytes > 0)) {
        read_begin(env, read, file);
        return;
    }
    if (atomic_load_explicit(&object->changed, memory_order_relaxed) != 0) {
        LSIO_MARK(read_of_changed_file);
        complete(env, read, LSIO_E_CHANGED, NULL);
        return;
    }
    if (file || !whole_try(env, read))
        read_general(env, read);
}

void local_cancel(struct driver_env *env, struct driver_read *read)
{
    if (!file_cancel_wait(env, read))
        env->loop_ops->cancel(env->loop, &read->op);
}
