/* SPDX-License-Identifier: MIT */
/*
 * os_linux.c - the synchronous calls of os.h, made to Linux.
 *
 * Stateless: each function is a thin, thread-safe wrapper that turns errno into a negated return
 * value and retries EINTR. Newer calls (statx with DIOALIGN 6.1, openat2 5.6, RESOLVE_CACHED 5.12,
 * cachestat 6.5) are made by number with our own structures: a library built against old headers
 * still uses them on a new kernel, and on an old kernel each has an answer that its caller knows
 * ("unknown", -ENOSYS, -EAGAIN).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "loop/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <linux/fiemap.h>
#include <linux/fs.h>

#include "loop/open_how.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

#define OPEN_ATTEMPTS_MAX 128 /* RESOLVE_BENEATH fails with EAGAIN while a rename is going on */
#define EXTENTS_PER_CALL  32

/* ----------------------------------------------------------------------------------- clock -- */

static uint64_t linux_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ------------------------------------------------------------------------------------ open -- */

static int open_resolved(int dirfd, const char *path, int flags, uint64_t resolve)
{
    struct open_how_v0 how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC, .resolve = resolve};
    long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof how);

    return fd < 0 ? -errno : (int)fd;
}

static int linux_open(int dirfd, const char *path, int flags, bool beneath)
{
    for (int attempt = 0;; attempt++) {
        int fd;

        if (beneath) {
            fd = open_resolved(dirfd, path, flags, OPEN_RESOLVE_BENEATH);
        } else {
            fd = openat(dirfd, path, flags | O_CLOEXEC, 0); /* the mode is for O_TMPFILE */
            fd = fd < 0 ? -errno : fd;
        }
        if ((fd != -EINTR && !(beneath && fd == -EAGAIN)) || attempt == OPEN_ATTEMPTS_MAX)
            return fd;
    }
}

/* A kernel, a filter or valgrind that does not know openat2(), or RESOLVE_CACHED, says so in one of
 * these ways. */
static bool is_unknown_call(int status)
{
    return status == -ENOSYS || status == -EINVAL || status == -EPERM;
}

static int linux_open_nowait(int dirfd, const char *path, int flags, bool beneath)
{
    uint64_t resolve =
        OPEN_RESOLVE_CACHED | OPEN_RESOLVE_NO_XDEV | (beneath ? OPEN_RESOLVE_BENEATH : 0);
    int fd = open_resolved(dirfd, path, flags, resolve);

    return is_unknown_call(fd) || fd == -EINTR || fd == -EXDEV ? -EAGAIN : fd;
}

/* The same where it could only fail. */
static int linux_open_never(int dirfd, const char *path, int flags, bool beneath)
{
    (void)dirfd;
    (void)path;
    (void)flags;
    (void)beneath;
    return -EAGAIN;
}

static void linux_close(int fd)
{
    (void)close(fd); /* also after EINTR the descriptor is gone */
}

static void linux_set_blocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0)
        (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/* ------------------------------------------------------------------------------------ stat -- */

struct statx_time {
    int64_t seconds;
    uint32_t nanoseconds;
    int32_t reserved;
};

/* The kernel's struct statx: 256 bytes. */
struct statx_v0 {
    uint32_t mask, block_bytes;
    uint64_t attributes;
    uint32_t links, uid, gid;
    uint16_t mode, spare0;
    uint64_t inode, size, blocks, attributes_mask;
    struct statx_time atime, btime, ctime, mtime;
    uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
    uint64_t mount_id;
    uint32_t dio_mem_align, dio_offset_align;
    uint64_t spare[12];
};
_Static_assert(sizeof(struct statx_v0) == 256, "struct statx as the kernel has it");

#define STATX_BASIC 0x000007ffu
#define STATX_DIO   0x00002000u

static int64_t time_ns(int64_t seconds, int64_t nanoseconds)
{
    return (int64_t)((uint64_t)seconds * 1000000000u + (uint64_t)nanoseconds);
}

/* Where statx is unknown or filtered. */
static int stat_old(int dirfd, const char *path, int flags, struct os_stat *out)
{
    struct stat st;

    if (*path ? fstatat(dirfd, path, &st, flags & ~AT_EMPTY_PATH) : fstat(dirfd, &st))
        return -errno;
    *out = (struct os_stat){
        .size = (uint64_t)st.st_size,
        .mtime_ns = time_ns(st.st_mtim.tv_sec, st.st_mtim.tv_nsec),
        .ctime_ns = time_ns(st.st_ctim.tv_sec, st.st_ctim.tv_nsec),
        .inode = st.st_ino,
        .device = (uint64_t)major(st.st_dev) << 32 | minor(st.st_dev),
        .mode = st.st_mode,
    };
    return 0;
}

static int stat_at(int dirfd, const char *path, int flags, struct os_stat *out)
{
    struct statx_v0 sx;

    if (syscall(SYS_statx, dirfd, path, flags, STATX_BASIC | STATX_DIO, &sx) != 0)
        return errno == ENOSYS || errno == EPERM ? stat_old(dirfd, path, flags, out) : -errno;
    *out = (struct os_stat){
        .size = sx.size,
        .mtime_ns = time_ns(sx.mtime.seconds, sx.mtime.nanoseconds),
        .ctime_ns = time_ns(sx.ctime.seconds, sx.ctime.nanoseconds),
        .inode = sx.inode,
        .device = (uint64_t)sx.dev_major << 32 | sx.dev_minor,
        .mode = sx.mode,
    };
    if (sx.mask & STATX_DIO) {
        out->direct_memory_align = sx.dio_mem_align;
        out->direct_offset_align = sx.dio_offset_align;
    }
    return 0;
}

static int linux_stat_fd(int fd, struct os_stat *out)
{
    return stat_at(fd, "", AT_EMPTY_PATH, out);
}

static int linux_stat_path(int dirfd, const char *path, struct os_stat *out)
{
    if (!*path)
        return -ENOENT;
    return stat_at(dirfd, path, 0, out);
}

static int linux_fs_type(int fd, uint64_t *magic)
{
    struct statfs fs;

    if (fstatfs(fd, &fs))
        return -errno;
    *magic = (uint64_t)(unsigned long)fs.f_type & 0xffffffffu;
    return 0;
}

/* ------------------------------------------------------------------------------ page cache -- */

static int64_t linux_read_nowait(int fd, void *addr, uint64_t bytes, uint64_t offset)
{
    struct iovec iov = {.iov_base = addr, .iov_len = (size_t)bytes};
    long got;

    /* Not preadv2(): that is a cancellation point, and this may be the application's thread. */
    do {
        got = syscall(SYS_preadv2, fd, &iov, 1, (unsigned long)offset,
                      (unsigned long)(offset >> (sizeof(long) * 4) >> (sizeof(long) * 4)),
                      RWF_NOWAIT);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static int64_t linux_cached_pages(int fd, uint64_t offset, uint64_t bytes)
{
    struct {
        uint64_t offset, bytes;
    } range = {offset, bytes};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } found;

    if (bytes == 0)
        return 0; /* to the kernel, 0 means: to the end */
    if (syscall(SYS_cachestat, fd, &range, &found, 0))
        return -errno;
    return (int64_t)found.cached;
}

static int linux_extents(int fd, struct os_extent *out, unsigned max)
{
    const uint32_t unplaced = FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC |
                              FIEMAP_EXTENT_DATA_INLINE | FIEMAP_EXTENT_ENCODED;
    union {
        struct fiemap map;
        char room[sizeof(struct fiemap) + EXTENTS_PER_CALL * sizeof(struct fiemap_extent)];
    } u;
    uint64_t start = 0;
    unsigned count = 0;

    while (count < max) {
        unsigned wanted = max - count < EXTENTS_PER_CALL ? max - count : EXTENTS_PER_CALL;

        memset(&u, 0, sizeof u);
        u.map.fm_start = start;
        u.map.fm_length = FIEMAP_MAX_OFFSET - start;
        u.map.fm_extent_count = wanted;
        if (ioctl(fd, FS_IOC_FIEMAP, &u.map))
            return -errno;
        for (unsigned i = 0; i < u.map.fm_mapped_extents; i++) {
            const struct fiemap_extent *extent = &u.map.fm_extents[i];

            start = extent->fe_logical + extent->fe_length;
            if (!(extent->fe_flags & unplaced))
                out[count++] = (struct os_extent){.logical = extent->fe_logical,
                                                  .physical = extent->fe_physical,
                                                  .bytes = extent->fe_length};
            if (extent->fe_flags & FIEMAP_EXTENT_LAST)
                return (int)count;
        }
        if (u.map.fm_mapped_extents == 0)
            break;
    }
    return (int)count;
}

/* ----------------------------------------------------------------------- directories, text -- */

static bool is_dot(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static int linux_read_dir(int fd, int (*each)(const struct os_dir_entry *entry, void *data),
                          void *data)
{
    int own = linux_open(fd, ".", O_RDONLY | O_DIRECTORY, false); /* with a position of its own */
    int status = 0;
    DIR *dir;

    if (own < 0)
        return own;
    dir = fdopendir(own);
    if (!dir) {
        status = -errno;
        linux_close(own);
        return status;
    }
    while (!status) {
        struct os_dir_entry entry;
        struct dirent *found;

        errno = 0;
        found = readdir(dir);
        if (!found) {
            status = -errno;
            break;
        }
        if (is_dot(found->d_name))
            continue;
        entry.name = found->d_name;
        status = stat_at(own, found->d_name, 0, &entry.stat);
        if (status == -ENOENT || status == -ELOOP) { /* removed meanwhile, or a link to nothing */
            status = 0;
            continue;
        }
        entry.is_directory = !status && S_ISDIR(entry.stat.mode);
        entry.is_regular = !status && S_ISREG(entry.stat.mode);
        if (!status)
            status = each(&entry, data);
    }
    closedir(dir);
    return status;
}

static int linux_read_text(const char *path, char *out, size_t bytes)
{
    size_t used = 0;
    int fd, status = 0;

    if (bytes == 0)
        return -EINVAL;
    fd = linux_open(AT_FDCWD, path, O_RDONLY, false);
    if (fd < 0)
        return fd;
    while (used < bytes - 1) {
        ssize_t got = read(fd, out + used, bytes - 1 - used);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            status = got < 0 ? -errno : 0;
            break;
        }
        used += (size_t)got;
    }
    linux_close(fd);
    if (status)
        return status;
    if (used && out[used - 1] == '\n')
        used--;
    out[used] = '\0';
    return (int)used;
}

static int linux_read_link(const char *path, char *out, size_t bytes)
{
    ssize_t got = readlink(path, out, bytes);

    if (got < 0)
        return -errno;
    if ((size_t)got == bytes)
        return -ENAMETOOLONG;
    out[got] = '\0';
    return (int)got;
}

#define LINUX_OS(open_nowait_)                                                                     \
    {                                                                                              \
        .now_ns = linux_now_ns, .open = linux_open, .open_nowait = open_nowait_,                   \
        .close = linux_close, .set_blocking = linux_set_blocking, .stat_fd = linux_stat_fd,        \
        .stat_path = linux_stat_path, .read_nowait = linux_read_nowait,                            \
        .cached_pages = linux_cached_pages, .fs_type = linux_fs_type, .extents = linux_extents,    \
        .read_dir = linux_read_dir, .read_text = linux_read_text, .read_link = linux_read_link,    \
    }

const struct loop_os loop_os_linux = LINUX_OS(linux_open_nowait);
static const struct loop_os linux_without_nowait = LINUX_OS(linux_open_never);

const struct loop_os *loop_os_here(void)
{
    int fd = open_resolved(AT_FDCWD, "/", O_PATH, OPEN_RESOLVE_CACHED);

    if (fd >= 0)
        (void)close(fd);
    return is_unknown_call(fd) ? &linux_without_nowait : &loop_os_linux;
}
