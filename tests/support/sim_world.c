/* SPDX-License-Identifier: MIT */
/*
 * sim_world.c - the simulated world that sim_os.c and sim_loop.c touch: files, descriptors, faults,
 * clock.
 *
 * Everything lives in one static world under one mutex; threads meet there only in threaded mode.
 * Fibers (sim_threads.h) need none: they change only at points, and none is passed in here.
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

#include "sim_threads.h"

#define FDS_MAX    4096
#define FAULTS_MAX 32

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
    bool locked; /* by a fiber: none may leave while it is */
} world;

uint64_t (*sim_next_event_hook)(void);
unsigned (*sim_left_hook)(void);

/* ------------------------------------------------------------------------ clock and chance -- */

void sim_lock(void)
{
    if (sim_threads_running()) {
        assert(!world.locked);
        world.locked = true;
    } else {
        pthread_mutex_lock(&mutex);
    }
}

void sim_unlock(void)
{
    if (sim_threads_running())
        world.locked = false;
    else
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

struct sim_inode *sim_find(const char *path)
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

    assert(inode && strlen(path) < SIM_PATH_BYTES && path[0] == '/');
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
    char way[SIM_PATH_BYTES];

    assert(strlen(path) < SIM_PATH_BYTES);
    for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
        size_t length = slash == path ? 1 : (size_t)(slash - path);

        memcpy(way, path, length);
        way[length] = '\0';
        if (!sim_find(way))
            make_inode(way, true);
    }
}

void sim_make_dir(const char *path)
{
    sim_lock();
    make_way(path);
    if (!sim_find(path))
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
    inode = sim_find(path);
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
    inode = sim_find(path);
    if (inode)
        unlink_inode(inode);
    sim_unlock();
}

void sim_resize(const char *path, uint64_t length)
{
    struct sim_inode *inode;

    sim_lock();
    inode = sim_find(path);
    assert(inode && !inode->directory);
    resize(inode, length);
    sim_unlock();
}

void sim_write(const char *path, uint64_t offset, const void *bytes, uint64_t length)
{
    struct sim_inode *inode;

    sim_lock();
    inode = sim_find(path);
    assert(inode && !inode->directory);
    resize(inode, inode->length > offset + length ? inode->length : offset + length);
    memcpy(inode->bytes + offset, bytes, (size_t)length);
    sim_unlock();
}

/* The part of an inode's path below a directory, if that is one name, or NULL. */
static const char *name_in(const struct sim_inode *inode, const struct sim_inode *dir)
{
    size_t length = strlen(dir->path);
    const char *name;

    length -= length == 1; /* "/" */
    if (strncmp(inode->path, dir->path, length) != 0 || inode->path[length] != '/')
        return NULL;
    name = inode->path + length + 1;
    return *name && !strchr(name, '/') ? name : NULL;
}

struct sim_inode **sim_list_dir(const struct sim_inode *dir, size_t *count)
{
    struct sim_inode **list = calloc(world.inode_count, sizeof *list);

    assert(list);
    *count = 0;
    for (struct sim_inode *at = world.inodes; at; at = at->next)
        if (name_in(at, dir))
            list[(*count)++] = sim_keep(at);
    return list;
}

/* ----------------------------------------------------------------------------- descriptors -- */

static struct sim_fd *get_fd(int fd)
{
    int index = fd - SIM_FD_FIRST;

    return index >= 0 && index < FDS_MAX && world.fds[index].inode ? &world.fds[index] : NULL;
}

struct sim_inode *sim_fd_inode(int fd, int *flags)
{
    struct sim_fd *open = get_fd(fd);

    if (!open)
        return NULL;
    if (flags)
        *flags = open->flags;
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
        struct sim_inode *here = sim_find(out);

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
    struct sim_inode *inode = sim_find(path);

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
