/* SPDX-License-Identifier: MIT */
/*
 * sim_os.c - loop_os_sim: the contract of os.h on the world of sim_world.c. Each call begins with a
 * point (sim_threads.h) and then holds the world's lock, but where it calls the caller's function.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sim_threads.h"
#include "sim_world.h"

#define EXT4_MAGIC 0xef53
#define PAGE       4096u

static uint64_t os_now_ns(void)
{
    sim_point();
    return sim_now_ns();
}

static int os_open(int dirfd, const char *path, int flags, bool beneath)
{
    char full[SIM_PATH_BYTES];
    int64_t result;

    sim_point();
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

    sim_point();
    sim_lock();
    cached = sim_chance(sim_settings()->cached_permille);
    sim_unlock();
    return cached ? os_open(dirfd, path, flags, beneath) : -EAGAIN;
}

static void os_close(int fd)
{
    int error;

    sim_point();
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
        .direct_memory_align = sim_settings()->direct_align,
        .direct_offset_align = sim_settings()->direct_align,
    };
}

static int os_stat_fd(int fd, struct os_stat *out)
{
    struct sim_inode *inode;
    int64_t result = 0;

    sim_point();
    sim_lock();
    inode = sim_fd_inode(fd, NULL);
    if (!inode)
        result = -EBADF;
    else if (!sim_strikes(SIM_OS_STAT, inode->path, &result))
        fill_stat(inode, out);
    sim_unlock();
    return (int)result;
}

static int os_stat_path(int dirfd, const char *path, struct os_stat *out)
{
    char full[SIM_PATH_BYTES];
    struct sim_inode *inode;
    int64_t result;

    sim_point();
    sim_lock();
    result = sim_resolve(dirfd, path, false, full, sizeof full);
    if (!result && !sim_strikes(SIM_OS_STAT, full, &result)) {
        inode = sim_find(full);
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

    sim_point();
    sim_lock();
    inode = sim_fd_inode(fd, &flags);
    if (inode && !sim_strikes(SIM_OS_READ, inode->path, &result))
        result = sim_chance(sim_settings()->cached_permille)
                     ? sim_read_inode(inode, flags, &iov, 1, offset)
                     : -EAGAIN;
    sim_unlock();
    return result;
}

static int64_t os_cached_pages(int fd, uint64_t offset, uint64_t bytes)
{
    uint64_t pages = bytes ? (offset + bytes + PAGE - 1) / PAGE - offset / PAGE : 0;
    bool open;

    sim_point();
    sim_lock();
    open = sim_fd_inode(fd, NULL) != NULL;
    pages = pages * sim_settings()->cached_permille / 1000;
    sim_unlock();
    return open ? (int64_t)pages : -EBADF;
}

static int os_fs_type(int fd, uint64_t *magic)
{
    (void)fd;
    *magic = sim_settings()->fs_magic ? sim_settings()->fs_magic : EXT4_MAGIC;
    return 0;
}

static int os_extents(int fd, struct os_extent *out, unsigned max)
{
    (void)fd;
    (void)out;
    (void)max;
    return -EOPNOTSUPP;
}

/* `each` may change directories, or let others do it: it sees them as they were. */
static int os_read_dir(int fd, int (*each)(const struct os_dir_entry *entry, void *data),
                       void *data)
{
    struct sim_inode *dir, **list = NULL;
    int64_t result = -EBADF;
    size_t count = 0;

    sim_point();
    sim_lock();
    dir = sim_fd_inode(fd, NULL);
    if (dir && !sim_strikes(SIM_OS_DIR, dir->path, &result))
        result = dir->directory ? 0 : -ENOTDIR;
    if (!result)
        list = sim_list_dir(dir, &count);
    for (size_t i = 0; i < count; i++) {
        struct os_dir_entry entry = {.name = strrchr(list[i]->path, '/') + 1,
                                     .is_directory = list[i]->directory,
                                     .is_regular = !list[i]->directory};

        fill_stat(list[i], &entry.stat);
        sim_unlock();
        if (!result)
            result = each(&entry, data);
        sim_lock();
        sim_drop(list[i]);
    }
    sim_unlock();
    free(list);
    return (int)result;
}

static int os_read_text(const char *path, char *out, size_t bytes)
{
    const struct sim_inode *inode;
    size_t length = 0;

    sim_point();
    sim_lock();
    inode = sim_find(path);
    if (inode && !inode->directory) {
        length = inode->length < bytes - 1 ? (size_t)inode->length : bytes - 1;
        memcpy(out, inode->bytes, length);
        length -= length && out[length - 1] == '\n';
        out[length] = '\0';
    }
    sim_unlock();
    return inode ? (int)length : -ENOENT;
}

static int os_read_link(const char *path, char *out, size_t bytes)
{
    (void)path;
    (void)out;
    (void)bytes;
    return -ENOENT;
}

const struct loop_os loop_os_sim = {
    .now_ns = os_now_ns,
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
    .read_link = os_read_link,
};
