/* SPDX-License-Identifier: MIT */
/*
 * os.h - the synchronous half of the outside world: calls that are answered from memory of the
 * kernel (clock, fstat of an open file, page-cache queries) or that run where blocking is allowed
 * (opening a store, listing). Everything else goes through a loop. One table for the real system,
 * one for the simulation; all functions are thread-safe and return 0 or a negated errno unless they
 * say otherwise.
 */
#ifndef LSIO_LOOP_OS_H
#define LSIO_LOOP_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct os_stat {
    uint64_t size;
    int64_t mtime_ns;
    int64_t ctime_ns;
    uint64_t inode;
    uint64_t device; /* major << 32 | minor */
    uint32_t mode;   /* S_IF* and permissions */
    uint32_t direct_memory_align; /* STATX_DIOALIGN: 0 unknown; direct_offset_align likewise */
    uint32_t direct_offset_align;
};

struct os_dir_entry {
    const char *name;
    bool is_directory; /* links are followed */
    bool is_regular;
    struct os_stat stat;
};

struct os_extent {
    uint64_t logical, physical, bytes;
};

struct loop_os {
    uint64_t (*now_ns)(void); /* monotonic */
    int (*open)(int dirfd, const char *path, int flags,
                bool beneath); /* a descriptor; O_CLOEXEC added */
    /* The same if it needs no waiting: -EAGAIN where names are not in memory, where the path leaves
     * the directory's mount (a link to a device does), or where one cannot tell. */
    int (*open_nowait)(int dirfd, const char *path, int flags, bool beneath);
    void (*close)(int fd);
    /* Takes O_NONBLOCK from a regular file that was opened with it. NULL: it means nothing here. */
    void (*set_blocking)(int fd);
    int (*stat_fd)(int fd, struct os_stat *out);
    int (*stat_path)(int dirfd, const char *path, struct os_stat *out); /* follows links */
    /* Bytes read without waiting for the medium; -EAGAIN if it would wait. */
    int64_t (*read_nowait)(int fd, void *addr, uint64_t bytes, uint64_t offset);
    /* Pages of [offset, offset + bytes) in the page cache; -errno (-ENOSYS before 6.5). */
    int64_t (*cached_pages)(int fd, uint64_t offset, uint64_t bytes);
    int (*fs_type)(int fd, uint64_t *magic); /* statfs f_type */
    /* Up to `max` extents of a file (FIEMAP) that lie somewhere on the medium; count or -errno. */
    int (*extents)(int fd, struct os_extent *out, unsigned max);
    /* Each entry of a directory but . and ..; a nonzero return of `each` ends it and is
     * returned. */
    int (*read_dir)(int fd, int (*each)(const struct os_dir_entry *entry, void *data), void *data);
    /* A small text file (/proc, /sys), NUL-terminated, trailing newline removed; bytes or
     * -errno. */
    int (*read_text)(const char *path, char *out, size_t bytes);
    int (*read_link)(const char *path, char *out, size_t bytes);
};

extern const struct loop_os loop_os_linux;
/* The same, without what this kernel was found not to have: it would be asked for at each open. */
const struct loop_os *loop_os_here(void);

#endif
