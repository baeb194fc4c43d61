/* SPDX-License-Identifier: MIT */
/*
 * sim_world.c - the simulated world without its loop: files, descriptors, faults, clock,
 * loop_os_sim.
 *
 * Everything lives in one static world under one mutex; threads meet there only in threaded mode.
 * Files are found by their full path in a list: tests have few. An inode lives as long as a name or
 * a descriptor or a slot refers to it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "sim_world.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define PATH_BYTES 512
#define FDS_MAX    4096
#define FAULTS_MAX 32
#define EXT4_MAGIC 0xef53
#define PAGE       4096u

struct sim_inode {
    struct sim_inode *next; /* of those that have a name */
    char path[PATH_BYTES];
    uint8_t *bytes;
    uint64_t length;
    uint64_t number;
    int64_t mtime_ns;
    unsigned references;
    bool directory, linked;
};

struct sim_fd {
    struct sim_inode *inode;
    int flags;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    struct sim_config config;
    struct sim_inode *inodes;
    struct sim_fd fds[FDS_MAX];
    struct sim_fault faults[FAULTS_MAX];
    uint32_t matched[FAULTS_MAX];
    unsigned fault_count;
    uint64_t struck, operations, random, now_ns, inode_count;
    void (*hook)(const struct loop_op *op, void *data);
    void *hook_data;
    bool running;
} world;

uint64_t (*sim_next_event_hook)(void);
unsigned (*sim_left_hook)(void);

/* ------------------------------------------------------------------------ clock and chance -- */

void sim_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void sim_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

pthread_mutex_t *sim_mutex(void)
{
    return &mutex;
}

const struct sim_config *sim_settings(void)
{
    return &world.config;
}

uint64_t sim_clock(void)
{
    struct timespec now;

    if (!world.config.threaded)
        return world.now_ns;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* splitmix64 */
uint32_t sim_draw(uint32_t below)
{
    uint64_t z = world.random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (uint32_t)((z >> 32) * below >> 32);
}

bool sim_chance(uint32_t permille)
{
    return permille && sim_draw(1000) < permille;
}

uint64_t sim_now_ns(void)
{
    uint64_t now;

    sim_lock();
    now = sim_clock();
    sim_unlock();
    return now;
}

uint32_t sim_random(uint32_t below)
{
    uint32_t value;

    sim_lock();
    value = sim_draw(below);
    sim_unlock();
    return value;
}

void sim_advance(uint64_t to_ns)
{
    sim_lock();
    assert(!world.config.threaded && to_ns != SIM_NEVER);
    if (to_ns > world.now_ns)
        world.now_ns = to_ns;
    sim_unlock();
}

uint64_t sim_next_event(void)
{
    uint64_t next;

    sim_lock();
    next = sim_next_event_hook ? sim_next_event_hook() : SIM_NEVER;
    sim_unlock();
    return next;
}

/* ---------------------------------------------------------------------------------- faults -- */

void sim_add_fault(struct sim_fault fault)
{
    sim_lock();
    assert(world.fault_count < FAULTS_MAX);
    world.matched[world.fault_count] = 0;
    world.faults[world.fault_count++] = fault;
    sim_unlock();
}

bool sim_strikes(unsigned kind, const char *path, int64_t *result)
{
    for (unsigned i = 0; i < world.fault_count; i++) {
        const struct sim_fault *fault = &world.faults[i];
        uint32_t place;

        if (fault->kind != kind && fault->kind != SIM_ANY)
            continue;
        if (fault->path && !(path && strstr(path, fault->path)))
            continue;
        place = world.matched[i]++;
        if (place < fault->skip || (fault->count && place - fault->skip >= fault->count))
            continue;
        if (fault->permille && !sim_chance(fault->permille))
            continue;
        world.struck++;
        *result = fault->result;
        return true;
    }
    return false;
}

uint64_t sim_faults_struck(void)
{
    return world.struck;
}

uint64_t sim_operations(void)
{
    return world.operations;
}

void sim_on_operation(void (*hook)(const struct loop_op *op, void *data), void *data)
{
    world.hook = hook;
    world.hook_data = data;
}

void sim_call_hook(const struct loop_op *op)
{
    world.operations++;
    if (world.hook) {
        sim_unlock(); /* it will call sim_write() and the like */
        world.hook(op, world.hook_data);
        sim_lock();
    }
}

/* ----------------------------------------------------------------------------------- files -- */

static struct sim_inode *find(const char *path)
{
    for (struct sim_inode *inode = world.inodes; inode; inode = inode->next)
        if (!strcmp(inode->path, path))
            return inode;
    return NULL;
}

struct sim_inode *sim_keep(struct sim_inode *inode)
{
    inode->references++;
    return inode;
}

void sim_drop(struct sim_inode *inode)
{
    if (--inode->references)
        return;
    free(inode->bytes);
    free(inode);
}

const char *sim_inode_path(const struct sim_inode *inode)
{
    return inode->path;
}

static void unlink_inode(struct sim_inode *inode)
{
    struct sim_inode **at = &world.inodes;

    while (*at != inode)
        at = &(*at)->next;
    *at = inode->next;
    sim_drop(inode);
}

static struct sim_inode *make_inode(const char *path, bool directory)
{
    struct sim_inode *inode = calloc(1, sizeof *inode);

    assert(inode && strlen(path) < PATH_BYTES && path[0] == '/');
    strcpy(inode->path, path);
    inode->directory = directory;
    inode->number = ++world.inode_count;
    inode->mtime_ns = (int64_t)sim_clock();
    inode->references = 1;
    inode->next = world.inodes;
    world.inodes = inode;
    return inode;
}

/* The directories on the way to `path`. */
static void make_way(const char *path)
{
    char way[PATH_BYTES];

    assert(strlen(path) < PATH_BYTES);
    for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
        size_t length = slash == path ? 1 : (size_t)(slash - path);

        memcpy(way, path, length);
        way[length] = '\0';
        if (!find(way))
            make_inode(way, true);
    }
}

void sim_make_dir(const char *path)
{
    sim_lock();
    make_way(path);
    if (!find(path))
        make_inode(path, true);
    sim_unlock();
}

static void resize(struct sim_inode *inode, uint64_t length)
{
    uint8_t *bytes = realloc(inode->bytes, length ? (size_t)length : 1);

    assert(bytes);
    if (length > inode->length)
        memset(bytes + inode->length, 0, (size_t)(length - inode->length));
    inode->bytes = bytes;
    inode->length = length;
    inode->mtime_ns = (int64_t)sim_clock() + 1;
}

void sim_put(const char *path, const void *bytes, uint64_t length)
{
    struct sim_inode *inode;

    sim_lock();
    inode = find(path);
    if (inode)
        unlink_inode(inode);
    make_way(path);
    inode = make_inode(path, false);
    resize(inode, length);
    if (length)
        memcpy(inode->bytes, bytes, (size_t)length);
    sim_unlock();
}

void sim_remove(const char *path)
{
    struct sim_inode *inode;

    sim_lock();
    inode = find(path);
    if (inode)
        unlink_inode(inode);
    sim_unlock();
}

void sim_resize(const char *path, uint64_t length)
{
    struct sim_inode *inode;

    sim_lock();
    inode = find(path);
    assert(inode && !inode->directory);
    resize(inode, length);
    sim_unlock();
}

void sim_write(const char *path, uint64_t offset, const void *bytes, uint64_t length)
{
    struct sim_inode *inode;

    sim_lock();
    inode = find(path);
    assert(inode && !inode->directory);
    resize(inode, inode->length > offset + length ? inode->length : offset + length);
    memcpy(inode->bytes + offset, bytes, (size_t)length);
    sim_unlock();
}

/* ----------------------------------------------------------------------------- descriptors -- */

static struct sim_fd *get_fd(int fd)
{
    int index = fd - SIM_FD_FIRST;

    return index >= 0 && index < FDS_MAX && world.fds[index].inode ? &world.fds[index] : NULL;
}

struct sim_inode *sim_fd_inode(int fd, int *flags, const char **path)
{
    struct sim_fd *open = get_fd(fd);

    if (!open)
        return NULL;
    if (flags)
        *flags = open->flags;
    if (path)
        *path = open->inode->path;
    return open->inode;
}

static void go_up(char *path)
{
    char *slash = strrchr(path, '/');

    *(slash == path ? slash + 1 : slash) = '\0';
}

int sim_resolve(int dirfd, const char *path, bool beneath, char *out, size_t bytes)
{
    const char *name = path;
    size_t depth = 0, used;

    if (!*path)
        return -ENOENT;
    if (*path == '/') {
        if (beneath)
            return -EXDEV;
        strcpy(out, "/");
    } else if (dirfd == AT_FDCWD) {
        strcpy(out, "/");
    } else {
        struct sim_fd *dir = get_fd(dirfd);

        if (!dir)
            return -EBADF;
        if (!dir->inode->directory)
            return -ENOTDIR;
        strcpy(out, dir->inode->path);
    }
    while (*name) {
        size_t length = strcspn(name, "/");
        struct sim_inode *here = find(out);

        if (length > 255)
            return -ENAMETOOLONG;
        if (length && here && !here->directory)
            return -ENOTDIR;
        if (length == 2 && !memcmp(name, "..", 2)) {
            if (beneath && depth == 0)
                return -EXDEV;
            depth -= depth > 0;
            go_up(out);
        } else if (length && !(length == 1 && *name == '.')) {
            used = strlen(out);
            if (used + length + 2 > bytes)
                return -ENAMETOOLONG;
            if (out[used - 1] != '/')
                out[used++] = '/';
            memcpy(out + used, name, length);
            out[used + length] = '\0';
            depth++;
        }
        name += length + (name[length] == '/');
    }
    return 0;
}

int sim_open_path(const char *path, int flags)
{
    struct sim_inode *inode = find(path);

    if (!inode)
        return -ENOENT;
    if ((flags & O_DIRECTORY) && !inode->directory)
        return -ENOTDIR;
    if ((flags & O_ACCMODE) != O_RDONLY)
        return inode->directory ? -EISDIR : -EROFS;
    if ((flags & O_DIRECT) && !world.config.direct_align)
        return -EINVAL;
    for (int i = 0; i < FDS_MAX; i++) {
        if (world.fds[i].inode)
            continue;
        world.fds[i] = (struct sim_fd){.inode = sim_keep(inode), .flags = flags};
        return SIM_FD_FIRST + i;
    }
    return -EMFILE;
}

int sim_close_fd(int fd)
{
    struct sim_fd *open = get_fd(fd);

    if (!open)
        return -EBADF;
    sim_drop(open->inode);
    open->inode = NULL;
    return 0;
}

int64_t sim_read_inode(struct sim_inode *inode, int flags, const struct iovec *iov, unsigned count,
                       uint64_t offset)
{
    uint64_t left = offset < inode->length ? inode->length - offset : 0, wanted = 0;
    int64_t got = 0;

    if (inode->directory)
        return -EISDIR;
    for (unsigned i = 0; i < count; i++) {
        wanted += iov[i].iov_len;
        if ((flags & O_DIRECT) &&
            ((uintptr_t)iov[i].iov_base | iov[i].iov_len | offset) % world.config.direct_align)
            return -EINVAL;
    }
    if (left > wanted)
        left = wanted;
    if (left > 1 && sim_chance(world.config.short_permille))
        left = 1 + sim_draw((uint32_t)(left - 1 > UINT32_MAX ? UINT32_MAX : left - 1));
    for (unsigned i = 0; i < count && left; i++) {
        size_t part = iov[i].iov_len < left ? iov[i].iov_len : (size_t)left;

        if (part)
            memcpy(iov[i].iov_base, inode->bytes + offset + (uint64_t)got, part);
        got += (int64_t)part;
        left -= part;
    }
    return got;
}

/* ------------------------------------------------------------------------------ begin, end -- */

void sim_begin(const struct sim_config *config)
{
    assert(!world.running);
    memset(&world, 0, sizeof world);
    world.config = *config;
    if (!world.config.latency_min_ns && !world.config.latency_max_ns) {
        world.config.latency_min_ns = 10000;
        world.config.latency_max_ns = 2000000;
    }
    world.random = config->seed;
    world.now_ns = UINT64_C(1000000000);
    world.running = true;
    make_inode("/", true);
}

unsigned sim_end(void)
{
    unsigned left = sim_left_hook ? sim_left_hook() : 0;

    for (int i = 0; i < FDS_MAX; i++) {
        if (!world.fds[i].inode)
            continue;
        (void)fprintf(stderr, "sim: %s was not closed\n", world.fds[i].inode->path);
        (void)sim_close_fd(SIM_FD_FIRST + i);
        left++;
    }
    while (world.inodes)
        unlink_inode(world.inodes);
    world.running = false;
    return left;
}

/* ----------------------------------------------------------------------------- loop_os_sim -- */

static int os_open(int dirfd, const char *path, int flags, bool beneath)
{
    char full[PATH_BYTES];
    int64_t result;

    sim_lock();
    result = sim_resolve(dirfd, path, beneath, full, sizeof full);
    if (!result && !sim_strikes(SIM_OS_OPEN, full, &result))
        result = sim_open_path(full, flags);
    sim_unlock();
    return (int)result;
}

static int os_open_nowait(int dirfd, const char *path, int flags, bool beneath)
{
    bool cached;

    sim_lock();
    cached = sim_chance(world.config.cached_permille);
    sim_unlock();
    return cached ? os_open(dirfd, path, flags, beneath) : -EAGAIN;
}

static void os_close(int fd)
{
    int error;

    sim_lock();
    error = sim_close_fd(fd);
    sim_unlock();
    if (error) {
        (void)fprintf(stderr, "sim: close of a descriptor that is not open\n");
        abort();
    }
}

static void fill_stat(const struct sim_inode *inode, struct os_stat *out)
{
    *out = (struct os_stat){
        .size = inode->directory ? PAGE : inode->length,
        .mtime_ns = inode->mtime_ns,
        .ctime_ns = inode->mtime_ns,
        .inode = inode->number,
        .device = UINT64_C(7) << 32,
        .mode = inode->directory ? S_IFDIR | 0755 : S_IFREG | 0644,
        .direct_memory_align = world.config.direct_align,
        .direct_offset_align = world.config.direct_align,
    };
}

static int os_stat_fd(int fd, struct os_stat *out)
{
    struct sim_inode *inode;
    int64_t result = 0;

    sim_lock();
    inode = sim_fd_inode(fd, NULL, NULL);
    if (!inode)
        result = -EBADF;
    else if (!sim_strikes(SIM_OS_STAT, inode->path, &result))
        fill_stat(inode, out);
    sim_unlock();
    return (int)result;
}

static int os_stat_path(int dirfd, const char *path, struct os_stat *out)
{
    char full[PATH_BYTES];
    struct sim_inode *inode;
    int64_t result;

    sim_lock();
    result = sim_resolve(dirfd, path, false, full, sizeof full);
    if (!result && !sim_strikes(SIM_OS_STAT, full, &result)) {
        inode = find(full);
        if (inode)
            fill_stat(inode, out);
        else
            result = -ENOENT;
    }
    sim_unlock();
    return (int)result;
}

static int64_t os_read_nowait(int fd, void *addr, uint64_t bytes, uint64_t offset)
{
    struct iovec iov = {.iov_base = addr, .iov_len = (size_t)bytes};
    struct sim_inode *inode;
    int64_t result = -EBADF;
    int flags = 0;

    sim_lock();
    inode = sim_fd_inode(fd, &flags, NULL);
    if (inode && !sim_strikes(SIM_OS_READ, inode->path, &result))
        result = sim_chance(world.config.cached_permille)
                     ? sim_read_inode(inode, flags, &iov, 1, offset)
                     : -EAGAIN;
    sim_unlock();
    return result;
}

static int64_t os_cached_pages(int fd, uint64_t offset, uint64_t bytes)
{
    uint64_t pages = bytes ? (offset + bytes + PAGE - 1) / PAGE - offset / PAGE : 0;
    bool open;

    sim_lock();
    open = sim_fd_inode(fd, NULL, NULL) != NULL;
    pages = pages * world.config.cached_permille / 1000;
    sim_unlock();
    return open ? (int64_t)pages : -EBADF;
}

static int os_fs_type(int fd, uint64_t *magic)
{
    (void)fd;
    *magic = world.config.fs_magic ? world.config.fs_magic : EXT4_MAGIC;
    return 0;
}

static int os_extents(int fd, struct os_extent *out, unsigned max)
{
    (void)fd;
    (void)out;
    (void)max;
    return -EOPNOTSUPP;
}

static int os_read_dir(int fd, int (*each)(const struct os_dir_entry *entry, void *data),
                       void *data)
{
    struct sim_inode *dir, *at;
    struct os_dir_entry entry;
    int64_t result = -EBADF;
    size_t length;

    sim_lock();
    dir = sim_fd_inode(fd, NULL, NULL);
    if (dir && !sim_strikes(SIM_OS_DIR, dir->path, &result))
        result = dir->directory ? 0 : -ENOTDIR;
    length = dir ? strlen(dir->path) : 0;
    length -= length == 1;
    for (at = world.inodes; !result && at; at = at->next) {
        const char *name = at->path + length + 1;

        if (strncmp(at->path, dir->path, length) != 0 || at->path[length] != '/' || !*name ||
            strchr(name, '/'))
            continue;
        entry.name = name;
        entry.is_directory = at->directory;
        entry.is_regular = !at->directory;
        fill_stat(at, &entry.stat);
        sim_keep(at);
        sim_unlock();
        result = each(&entry, data);
        sim_lock();
        at->references--; /* it keeps its name: tests do not change directories while listing */
    }
    sim_unlock();
    return (int)result;
}

static int os_read_text(const char *path, char *out, size_t bytes)
{
    (void)path;
    (void)out;
    (void)bytes;
    return -ENOENT;
}

const struct loop_os loop_os_sim = {
    .now_ns = sim_now_ns,
    .open = os_open,
    .open_nowait = os_open_nowait,
    .close = os_close,
    .stat_fd = os_stat_fd,
    .stat_path = os_stat_path,
    .read_nowait = os_read_nowait,
    .cached_pages = os_cached_pages,
    .fs_type = os_fs_type,
    .extents = os_extents,
    .read_dir = os_read_dir,
    .read_text = os_read_text,
    .read_link = os_read_text,
};
