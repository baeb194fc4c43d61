/* SPDX-License-Identifier: MIT */
/*
 * file.c - gets a file for a read: from the cache, or by opening it through the worker's loop.
 *
 * The first read that needs a file opens it (the opener, whose loop operation is used for that);
 * reads that come meanwhile, on any worker, wait in the file's list. When the open has ended the
 * opener's worker makes the file each object's, and sends every waiter home by message: a read is
 * only ever touched by its own worker, except while it is in a list, under the cache's lock.
 *
 * Only a stat of the open descriptor is trusted: directories, FIFOs and devices are refused before
 * a byte is read. A file that another object has opened, or is opening, is used if its name still
 * leads to the same inode with the same size and times: it may have been replaced before this
 * object's batch began.
 *
 * Without a descriptor (EMFILE, or our own share used up) first unused ones are closed; if there
 * are none but reads are under way, the opener starves: it waits for one of those to end. Only when
 * nothing can come free the read fails.
 *
 * A starved or waiting read that is canceled leaves its list; a canceled opener lets those who wait
 * for it begin again, so that a canceled batch never fails another.
 */
#define _GNU_SOURCE /* O_DIRECT */

#include "base/mark.h"
#include "driver/local/direct.h"

#define ERROR_LIMIT                                                                                \
    "no file descriptors left: raise the limit on open files (RLIMIT_NOFILE, ulimit -n)"

static void open_start(struct driver_env *env, struct driver_read *read, struct local_file *file);

static struct local_cache *cache_of(const struct driver_read *read)
{
    return local_store_of(read->object->store)->cache;
}

static void read_fail(struct driver_env *env, struct driver_read *read, int status,
                      const char *text)
{
    read->status = status;
    read->code = status < 0 && status > LSIO_E_TRUNCATED ? -status : 0;
    read->text = (char *)(uintptr_t)text;
    read->bytes_done = 0;
    env->complete(env, read);
}

/* ------------------------------------------------------------------------- waiting, waking -- */

/* Under the lock. */
static void wait_in(struct read_list *list, struct driver_read *read, struct local_file *file)
{
    read->wait = file;
    read->state = (uint8_t)((read->state & ~LOCAL_STATE_MASK) | LOCAL_WAITING);
    read_list_append(list, read);
}

/* All reads of a list leave it; under the lock. */
static struct driver_read *take_waiters(struct read_list *list)
{
    struct driver_read *first = list->first;

    for (struct driver_read *read = first; read; read = read->next)
        read->state = (uint8_t)(read->state & ~LOCAL_STATE_MASK);
    list->first = list->last = NULL;
    return first;
}

static void resume_run(struct driver_env *env, struct queue_node *node)
{
    local_read_resume(env, container_of(node, struct driver_read, node));
}

/* Each goes on where it belongs. */
static void resume_all(struct driver_env *env, struct driver_read *first)
{
    while (first) {
        struct driver_read *read = first;
        first = read->next;
        read->node.run = resume_run;
        if (read->env == env)
            local_read_resume(env, read);
        else
            read->env->post(read->env, &read->node);
    }
}

/* --------------------------------------------------------------------------------- opening -- */

static void starved_run(struct driver_env *env, struct queue_node *node)
{
    struct driver_read *read = container_of(node, struct driver_read, node);

    open_start(env, read, read->wait);
}

/* Under the lock, which is given back. */
static void starve(struct local_cache *cache, struct driver_read *read, struct local_file *file,
                   struct cache_later *later)
{
    read->node.run = starved_run;
    wait_in(&cache->starved, read, file);
    cache->starved_count++;
    cache_leave(cache, later);
}

/* What the open has found, for one of the reads that want the file; under the lock. */
static void open_deal(struct local_cache *cache, struct local_file *file, struct driver_read *read,
                      int status, const char *text)
{
    read->wait = file;
    read->text = (char *)(uintptr_t)text;
    read->status = status ? status : cache_install(cache, read->object, file);
    if (read->status == LSIO_E_CHANGED)
        atomic_store_explicit(&read->object->changed, LSIO_E_CHANGED, memory_order_relaxed);
    if (read->status == 0 && !file->held)
        cache_use(cache, file);
}

/* Takes the file's descriptor in; under the lock. A status. */
static int open_take(struct local_cache *cache, struct local_file *file, int fd,
                     const struct os_stat *stat)
{
    /* Objects that hold it have seen it before its descriptor was closed between two reads. */
    if (file->objects > 0 && file->store->change_check && !local_stat_same(stat, &file->stat)) {
        LSIO_MARK(file_changed_while_closed);
        return LSIO_E_CHANGED;
    }
    file->fd = fd;
    file->state = FILE_READY;
    if (file->objects == 0) {
        file->stat = *stat;
        file->direct_align = direct_alignment(stat, &file->store->base.profile);
    }
    if (file->owner)
        cache_unlist(cache, file);
    return 0;
}

/* No descriptor. True: the opener tries again, now or later; the lock is given back. */
static bool open_again(struct driver_env *env, struct local_cache *cache, struct driver_read *read,
                       struct local_file *file, struct cache_later *later)
{
    if (cache_evict(cache, later)) {
        LSIO_MARK(open_closes_unused_files);
        cache_leave(cache, later);
        env->retries++;
        read->attempts = 1;
        open_start(env, read, file);
        return true;
    }
    if (cache_is_busy(cache)) {
        LSIO_MARK(open_waits_for_descriptor);
        starve(cache, read, file, later);
        return true;
    }
    return false;
}

/* A network file system had an old idea of the name: it is asked once more. */
static void open_stale(struct driver_env *env, struct driver_read *read, struct local_file *file,
                       int fd)
{
    struct cache_later later = {0};

    cache_enter(file->cache);
    if (fd >= 0)
        cache_close_fd(file->cache, fd, &later);
    file->cache->fd_count--;
    cache_leave(file->cache, &later);
    env->retries++;
    read->attempts = 1;
    open_start(env, read, file);
}

/* The opener's open has ended: `fd` is a descriptor or a negated errno. */
static void open_finish(struct driver_env *env, struct driver_read *read, struct local_file *file,
                        int fd)
{
    struct local_cache *cache = file->cache;
    struct cache_later later = {0};
    struct os_stat stat;
    struct driver_read *waiters;
    const char *text = NULL;
    int status = fd < 0 ? local_open_status(-fd) : local_opened(cache->os, fd, &stat);

    if (status == -ESTALE && read->attempts == 0) {
        LSIO_MARK(open_stale);
        open_stale(env, read, file, fd);
        return;
    }
    cache_enter(cache);
    if (fd == -EMFILE || fd == -ENFILE) {
        cache->fd_count--; /* it was admitted */
        if (open_again(env, cache, read, file, &later))
            return;
        cache->fd_count++;
        LSIO_MARK(open_no_descriptor);
        text = ERROR_LIMIT;
    }
    if (status == 0)
        status = open_take(cache, file, fd, &stat);
    if (status < 0) {
        if (fd >= 0)
            cache_close_fd(cache, fd, &later);
        cache->fd_count--;
        later.freed = true;
        file->state = FILE_CLOSED;
        cache_unlist(cache, file);
    }
    waiters = take_waiters(&file->waiters);
    open_deal(cache, file, read, status, text);
    /* For another object's reads the opening may have begun too early: they look at the name. */
    for (struct driver_read *waiter = waiters; waiter; waiter = waiter->next)
        open_deal(cache, file, waiter,
                  status == -ECANCELED || waiter->object != read->object ? LOCAL_RESTART : status,
                  text);
    cache_unuse(cache, file, &later);
    cache_leave(cache, &later);
    local_read_resume(env, read);
    resume_all(env, waiters);
}

static void open_done(struct loop_op *op)
{
    struct driver_read *read = container_of(op, struct driver_read, op);

    open_finish(read->env, read, read->wait, (int)op->result);
}

/* Opens a file whose opener the read is; one descriptor is reserved for it here. */
static void open_start(struct driver_env *env, struct driver_read *read, struct local_file *file)
{
    struct local_cache *cache = file->cache;
    struct local_store *store = file->store;
    struct cache_later later = {0};
    int fd = -EAGAIN;

    cache_enter(cache);
    if (read->state & LOCAL_CANCELED) {
        cache->fd_count++;
        cache_leave(cache, &later);
        open_finish(env, read, file, -ECANCELED);
        return;
    }
    if (!cache_admit(cache, &later)) {
        LSIO_MARK(open_waits_for_share);
        starve(cache, read, file, &later);
        return;
    }
    cache_leave(cache, &later);
    read->wait = file;
    if (env->warm &&
        read->attempts ==
            0) /* the name is in memory, most likely: cheaper than a turn of the ring */
        fd = env->os->open_nowait(store->root_fd, file->key, LOCAL_OPEN_FLAGS, store->beneath);
    if (fd != -EAGAIN) {
        open_finish(env, read, file, fd);
        return;
    }
    read->op.kind = LOOP_OPEN;
    read->op.fd = store->root_fd;
    read->op.path = file->key;
    read->op.open_flags = LOCAL_OPEN_FLAGS;
    read->op.beneath = store->beneath;
    read->op.buffer = -1;
    read->op.file = -1;
    local_submit(env, read, open_done);
}

/* --------------------------------------------------------------------------------- getting -- */

bool file_is_current(const struct local_file *file)
{
    const struct local_store *store = file->store;
    struct os_stat now;

    return store->os->stat_path(store->root_fd, file->key, &now) == 0 &&
           local_stat_same(&now, &file->stat) && now.ctime_ns == file->stat.ctime_ns;
}

/* A ready file, in use, that the object does not have yet. NULL: look again, or the read has
 * failed. */
static struct local_file *get_idle(struct driver_env *env, struct driver_read *read,
                                   struct local_file *file, bool *again)
{
    struct local_cache *cache = file->cache;
    struct cache_later later = {0};
    bool current = file_is_current(file);
    int status = LOCAL_RESTART;

    cache_enter(cache);
    if (current) {
        status = cache_install(cache, read->object, file);
    } else {
        LSIO_MARK(cached_file_outdated);
        cache_unlist(cache, file);
    }
    if (status != 0 || file->held)
        cache_unuse(cache, file, &later);
    cache_leave(cache, &later);
    if (status == 0)
        return file;
    *again = status == LOCAL_RESTART;
    if (status < 0) {
        atomic_store_explicit(&read->object->changed, LSIO_E_CHANGED, memory_order_relaxed);
        read_fail(env, read, status, NULL);
    }
    return NULL;
}

struct local_file *file_get(struct driver_env *env, struct driver_read *read)
{
    struct driver_object *object = read->object;
    struct local_cache *cache = cache_of(read);
    struct local_store *store = local_store_of(object->store);
    uint64_t hash = cache_hash(store, object->key);
    bool again = true;

    file_bury_dead(env, cache);
    while (again) {
        struct cache_later later = {0};
        struct local_file *file;
        bool opener, known;

        cache_enter(cache);
        file = atomic_load_explicit(&object->handle, memory_order_relaxed);
        known = file != NULL;
        if (!file)
            file = cache_find(cache, store, object->key, hash, object);
        if (!file)
            file = cache_add(cache, store, object->key, hash, object);
        if (file && file->state == FILE_OPENING) {
            wait_in(&file->waiters, read, file);
            cache_leave(cache, &later);
            return NULL;
        }
        opener = file && file->state == FILE_CLOSED;
        if (opener)
            file->state = FILE_OPENING;
        if (file && !(known && file->held))
            cache_use(cache, file);
        cache_leave(cache, &later);
        if (!file) {
            LSIO_MARK(file_no_memory);
            read_fail(env, read, -ENOMEM, NULL);
            return NULL;
        }
        if (opener) {
            open_start(env, read, file);
            return NULL;
        }
        if (known)
            return file;
        file = get_idle(env, read, file, &again);
        if (file)
            return file;
    }
    return NULL;
}

void file_put(struct local_file *file)
{
    struct local_cache *cache = file->cache;
    struct cache_later later = {0};

    cache_enter(cache);
    cache_unuse(cache, file, &later);
    cache_leave(cache, &later);
}

/* -------------------------------------------------------------------------------- O_DIRECT -- */

static void direct_open_done(struct loop_op *op)
{
    struct driver_read *read = container_of(op, struct driver_read, op);
    struct driver_env *env = read->env;
    struct local_file *file = read->wait;
    struct local_cache *cache = file->cache;
    struct cache_later later = {0};
    struct driver_read *waiters;
    struct os_stat stat;
    int fd = (int)op->result;
    int keep = fd;

    if (fd == -EINVAL || fd == -EOPNOTSUPP) {
        LSIO_MARK(direct_open_refused);
        cache_refuse_direct(cache, file->stat.device);
    }
    if (fd < 0)
        keep = fd == -ECANCELED ? FILE_DIRECT_NONE : FILE_DIRECT_REFUSED;
    else if (local_opened(cache->os, fd, &stat) != 0 || stat.inode != file->stat.inode ||
             stat.device != file->stat.device) {
        LSIO_MARK(direct_name_has_other_file);
        keep = FILE_DIRECT_REFUSED;
    }
    cache_enter(cache);
    file->direct_opening = false;
    if (keep < 0) {
        cache->fd_count--; /* it was admitted */
        later.freed = true;
        if (fd >= 0)
            cache_close_fd(cache, fd, &later);
    }
    atomic_store_explicit(&file->direct_fd, keep, memory_order_release);
    waiters = take_waiters(&file->direct_waiters);
    for (struct driver_read *waiter = waiters; waiter; waiter = waiter->next)
        waiter->status = 0;
    read->status = fd == -ECANCELED ? -ECANCELED : 0;
    cache_leave(cache, &later);
    if (read->status == -ECANCELED && file_needs_put(file))
        file_put(file);
    local_read_resume(env, read);
    resume_all(env, waiters);
}

bool file_open_direct(struct driver_env *env, struct driver_read *read, struct local_file *file)
{
    struct local_cache *cache = file->cache;
    struct cache_later later = {0};
    bool wait = true, open = false;

    cache_enter(cache);
    if (atomic_load_explicit(&file->direct_fd, memory_order_relaxed) != FILE_DIRECT_NONE) {
        wait = false;
    } else if (file->direct_opening) {
        wait_in(&file->direct_waiters, read, file);
    } else if (cache->fd_count >= cache->fds_max && !cache_evict(cache, &later)) {
        LSIO_MARK(direct_no_descriptor);
        wait = false; /* no descriptor to spare: through the page cache */
        atomic_store_explicit(&file->direct_fd, FILE_DIRECT_REFUSED, memory_order_relaxed);
    } else {
        cache->fd_count++;
        file->direct_opening = open = true;
    }
    cache_leave(cache, &later);
    if (!open)
        return wait;
    read->wait = file;
    read->op.kind = LOOP_OPEN;
    read->op.fd = file->store->root_fd;
    read->op.path = file->key;
    read->op.open_flags = LOCAL_OPEN_FLAGS | O_DIRECT;
    read->op.beneath = file->store->beneath;
    read->op.buffer = -1;
    read->op.file = -1;
    local_submit(env, read, direct_open_done);
    return true;
}

/* ------------------------------------------------------------------------------- canceling -- */

bool file_cancel_wait(struct driver_env *env, struct driver_read *read)
{
    struct local_cache *cache = cache_of(read);
    struct cache_later later = {0};
    struct local_file *file = NULL;
    bool opener = false, waited = false, direct = false, submitted;

    cache_enter(cache);
    submitted = (read->state & LOCAL_STATE_MASK) == LOCAL_SUBMITTED;
    if ((read->state & LOCAL_STATE_MASK) == LOCAL_WAITING) {
        file = read->wait;
        waited = read_list_remove(&file->waiters, read);
        direct = !waited && read_list_remove(&file->direct_waiters, read);
        opener = !waited && !direct && read_list_remove(&cache->starved, read);
        if (opener) {
            cache->starved_count--;
            cache->fd_count++; /* as if it had been admitted */
        }
        read->state = (uint8_t)(read->state & ~LOCAL_STATE_MASK);
    }
    read->state |= LOCAL_CANCELED;
    cache_leave(cache, &later);
    if (opener) {
        LSIO_MARK(starved_open_canceled);
        open_finish(env, read, file, -ECANCELED);
    }
    if (direct && file_needs_put(file))
        file_put(file);
    if (waited || direct) {
        LSIO_MARK(waiting_read_canceled);
        read_fail(env, read, -ECANCELED, NULL);
    }
    return !submitted;
}
