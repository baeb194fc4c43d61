/* SPDX-License-Identifier: MIT */
/*
 * object.c - what is known of a file beside its bytes: validator, size, times, place on the medium.
 *
 * The validator (etag) is device, inode, size and mtime in hex. An object's reads all come from the
 * file that its first one opened, and that file's state at that moment is what the object is; when
 * the batch is done with the object the state is looked at once more. Inode and device cannot have
 * changed (it is the same descriptor), so size and mtime tell of writing in place; a rename over
 * the name is no change, for the batch goes on with the old file. ctime is left out on purpose:
 * chmod, rename and unlink move it, and do not touch the bytes.
 *
 * Threads: any thread, but finish and describe one at a time per object.
 */
#include "driver/local/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mark.h"
#include "driver/key.h"

#define EXTENTS_FIRST 256u
#define EXTENTS_MAX   65536u

int local_open_status(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return -ENOENT;
    case EXDEV: /* left the root, with symlinks = beneath */
    case EPERM:
        LSIO_MARK(open_leaves_root);
        return -EACCES;
    case ENXIO: /* a socket, or a device that is not there */
    case ENODEV:
    case EISDIR:
        return LSIO_E_UNSUPPORTED;
    default:
        return -error;
    }
}

/*
 * O_NONBLOCK must go once the file is known to be regular: a ring takes it as a promise that reads
 * do not wait, tries them on the worker itself, and on file systems that ignore it (several network
 * and user-space ones) each read would hold up all others.
 */
int local_opened(const struct loop_os *os, int fd, struct os_stat *stat)
{
    int status = os->stat_fd(fd, stat);

    if (status < 0)
        return status;
    if (!S_ISREG(stat->mode)) {
        LSIO_MARK(file_not_regular);
        return LSIO_E_UNSUPPORTED;
    }
    if (os->set_blocking)
        os->set_blocking(fd);
    return 0;
}

static char *hex_write(uint64_t value, char *out)
{
    unsigned digits = 1;

    while (digits < 16 && value >> (digits * 4))
        digits++;
    for (unsigned i = digits; i > 0; i--, value >>= 4)
        out[i - 1] = "0123456789abcdef"[value & 15];
    return out + digits;
}

void local_etag_write(const struct os_stat *stat, char *out)
{
    out = hex_write(stat->device, out);
    *out++ = '-';
    out = hex_write(stat->inode, out);
    *out++ = '-';
    out = hex_write(stat->size, out);
    *out++ = '-';
    out = hex_write((uint64_t)stat->mtime_ns, out);
    *out = '\0';
}

/* Compares the open file with what it was; counted files under a use, for they may be closed. */
static bool file_changed(struct local_file *file)
{
    struct local_cache *cache = file->cache;
    struct cache_later later = {0};
    struct os_stat now;
    bool changed = false, open;

    if (file->held)
        return cache->os->stat_fd(file->fd, &now) == 0 && !local_stat_same(&now, &file->stat);
    cache_enter(cache);
    open = file->state == FILE_READY;
    if (open)
        cache_use(cache, file);
    cache_leave(cache, &later);
    if (open)
        changed = cache->os->stat_fd(file->fd, &now) == 0 && !local_stat_same(&now, &file->stat);
    cache_enter(cache);
    changed = changed || file->changed;
    if (open)
        cache_unuse(cache, file, &later);
    cache_leave(cache, &later);
    return changed;
}

int local_verify_object(struct driver_object *object)
{
    struct local_file *file = atomic_load_explicit(&object->handle, memory_order_acquire);

    if (!local_store_of(object->store)->change_check)
        return 0;
    if (atomic_load_explicit(&object->changed, memory_order_relaxed) != 0)
        return LSIO_E_CHANGED;
    if (!file || !file_changed(file))
        return 0;
    LSIO_MARK(file_changed_while_read);
    atomic_store_explicit(&object->changed, LSIO_E_CHANGED, memory_order_relaxed);
    return LSIO_E_CHANGED;
}

void local_finish_object(struct driver_object *object)
{
    struct local_cache *cache = local_store_of(object->store)->cache;
    struct cache_later later = {0};

    if (atomic_load_explicit(&object->handle, memory_order_acquire)) {
        cache_enter(cache);
        cache_release(cache, object, &later);
        cache_leave(cache, &later);
    }
    free((void *)(uintptr_t)object->plan.extents);
    object->plan.extents = NULL;
    object->plan.extent_count = 0;
}

/* Opens the object where blocking is allowed; a descriptor of a regular file or a status. */
static int object_open(struct driver_object *object, struct os_stat *stat)
{
    struct local_store *store = local_store_of(object->store);
    int fd, status;

    if (driver_key_check(object->key) < 0)
        return -EINVAL;
    fd = store->os->open(store->root_fd, object->key, LOCAL_OPEN_FLAGS, store->beneath);
    if (fd < 0)
        return local_open_status(-fd);
    status = local_opened(store->os, fd, stat);
    if (status == 0)
        return fd;
    store->os->close(fd);
    return status;
}

int local_object_info(struct driver_object *object, struct lsio_object_info *out)
{
    struct local_store *store = local_store_of(object->store);
    struct local_file *file = atomic_load_explicit(&object->handle, memory_order_acquire);
    struct os_stat stat;
    int fd;

    if (file) {
        stat = file->stat;
    } else {
        fd = object_open(object, &stat);
        if (fd < 0)
            return fd;
        store->os->close(fd);
    }
    out->size = stat.size;
    out->mtime_ns = stat.mtime_ns;
    local_etag_write(&stat, out->etag);
    return 0;
}

void local_describe_object(struct driver_object *object)
{
    struct local_store *store = local_store_of(object->store);
    struct os_extent *extents = NULL;
    struct os_stat stat;
    int fd, count = 0;

    _Static_assert(sizeof(struct os_extent) == sizeof(struct plan_extent) &&
                       offsetof(struct os_extent, bytes) == offsetof(struct plan_extent, bytes),
                   "extents are handed to the planner as they come");
    if (!object->store->profile.physical_order || object->plan.extents)
        return;
    fd = object_open(object, &stat);
    if (fd < 0)
        return;
    for (unsigned room = EXTENTS_FIRST; room <= EXTENTS_MAX; room *= 16) {
        free(extents);
        extents = calloc(room, sizeof(*extents));
        count = extents ? store->os->extents(fd, extents, room) : 0;
        if (count < (int)room)
            break;
    }
    store->os->close(fd);
    if (count <= 0) {
        free(extents);
        return;
    }
    object->plan.extents = (const struct plan_extent *)(const void *)extents;
    object->plan.extent_count = (uint32_t)count;
}
