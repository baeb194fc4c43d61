/* SPDX-License-Identifier: MIT */
/*
 * Design: one list of errors per call, from its man page without those that only a wrong argument
 * gives, and without those that would be a lie about the file system (ENOENT). A stand-in asks
 * strike(), which counts the call and answers 0 or the errno. Whatever the answer, what a call
 * releases is released: close() closes.
 *
 * A read may instead be cut in half (FAULT_SHORT). liburing's calls are in fault_uring.c.
 */
#define _GNU_SOURCE
#include "fault_calls.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "fault_inject.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define ERRNOS_MAX  134
#define ERRORS(...) ((const int[]){__VA_ARGS__, 0})

static _Atomic bool gave[ERRNOS_MAX];
static _Atomic unsigned passing;

void fault_calls_begin(void)
{
    for (int i = 0; i < ERRNOS_MAX; i++)
        atomic_store(&gave[i], false);
    fault_uring_begin();
}

bool fault_calls_gave(int error)
{
    return error > 0 && error < ERRNOS_MAX && atomic_load(&gave[error]);
}

int fault_call_strikes(const int *errors)
{
    size_t count = 0;
    int error;

    if (!fault_strikes(FAULT_CALL))
        return 0;
    while (errors[count])
        count++;
    error = errors[(fault_nth() * 7 + fault_struck()) % count];
    if ((error == EINTR || error == EAGAIN || error == EBUSY) && fault_is_forever() &&
        atomic_fetch_add(&passing, 1) % 2)
        return 0;
    if (error < ERRNOS_MAX)
        atomic_store(&gave[error], true);
    return error;
}

/* The same as a C library's call has it: true, with errno set. */
static bool strikes(const int *errors)
{
    int error = fault_call_strikes(errors);

    if (error)
        errno = error;
    return error != 0;
}

/* ----------------------------------------------------------------------------------- files -- */

int __real_openat(int dirfd, const char *path, int flags, mode_t mode);
int __wrap_openat(int dirfd, const char *path, int flags, mode_t mode);
int __real_close(int fd);
int __wrap_close(int fd);
int __real_fstat(int fd, struct stat *out);
int __wrap_fstat(int fd, struct stat *out);
int __real_fstatat(int dirfd, const char *path, struct stat *out, int flags);
int __wrap_fstatat(int dirfd, const char *path, struct stat *out, int flags);
int __real_fstatfs(int fd, struct statfs *out);
int __wrap_fstatfs(int fd, struct statfs *out);
DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);
ssize_t __real_readlink(const char *path, char *out, size_t bytes);
ssize_t __wrap_readlink(const char *path, char *out, size_t bytes);
ssize_t __real_read(int fd, void *out, size_t bytes);
ssize_t __wrap_read(int fd, void *out, size_t bytes);
ssize_t __real_write(int fd, const void *bytes, size_t count);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
ssize_t __real_preadv(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __wrap_preadv(int fd, const struct iovec *iov, int count, off_t offset);
ssize_t __real_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t __wrap_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

static const int open_errors[] = {EINTR, EMFILE, ENFILE, ENOMEM, EIO, EACCES, ESTALE, 0};
static const int openat2_errors[] = {EAGAIN, ENOSYS, EINTR, EMFILE, ENFILE, ENOMEM, EIO, 0};
static const int read_errors[] = {EIO, FAULT_SHORT, EINTR, EAGAIN, ESTALE, ENOMEM, EOPNOTSUPP, 0};

int __wrap_openat(int dirfd, const char *path, int flags, mode_t mode)
{
    return strikes(open_errors) ? -1 : __real_openat(dirfd, path, flags, mode);
}

int __wrap_close(int fd)
{
    int result = __real_close(fd);

    return strikes(ERRORS(EINTR, EIO)) ? -1 : result;
}

int __wrap_fstat(int fd, struct stat *out)
{
    return strikes(ERRORS(EIO, ENOMEM, ESTALE)) ? -1 : __real_fstat(fd, out);
}

int __wrap_fstatat(int dirfd, const char *path, struct stat *out, int flags)
{
    return strikes(ERRORS(EIO, ENOMEM, ESTALE)) ? -1 : __real_fstatat(dirfd, path, out, flags);
}

int __wrap_fstatfs(int fd, struct statfs *out)
{
    return strikes(ERRORS(EIO, ENOSYS, ENOMEM)) ? -1 : __real_fstatfs(fd, out);
}

DIR *__wrap_fdopendir(int fd)
{
    return strikes(ERRORS(ENOMEM)) ? NULL : __real_fdopendir(fd);
}

struct dirent *__wrap_readdir(DIR *dir)
{
    return strikes(ERRORS(EIO, ENOMEM)) ? NULL : __real_readdir(dir);
}

ssize_t __wrap_readlink(const char *path, char *out, size_t bytes)
{
    return strikes(ERRORS(EACCES, EIO, ENOMEM)) ? -1 : __real_readlink(path, out, bytes);
}

/* Text of /proc and /sys, and eventfds. */
ssize_t __wrap_read(int fd, void *out, size_t bytes)
{
    return strikes(ERRORS(EINTR, EAGAIN, EIO)) ? -1 : __real_read(fd, out, bytes);
}

/* Eventfds only. */
ssize_t __wrap_write(int fd, const void *bytes, size_t count)
{
    return strikes(ERRORS(EINTR)) ? -1 : __real_write(fd, bytes, count);
}

/* Half of the first vector, for a read that is to be short. */
static struct iovec half_of(const struct iovec *iov)
{
    return (struct iovec){iov->iov_base, iov->iov_len > 1 ? iov->iov_len / 2 : iov->iov_len};
}

ssize_t __wrap_preadv(int fd, const struct iovec *iov, int count, off_t offset)
{
    int error = fault_call_strikes(read_errors);
    struct iovec half = half_of(iov);

    if (error == FAULT_SHORT)
        return __real_preadv(fd, &half, 1, offset);
    errno = error;
    return error ? -1 : __real_preadv(fd, iov, count, offset);
}

ssize_t __wrap_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    int error = fault_call_strikes(read_errors);
    struct iovec half = half_of(iov);

    if (error == FAULT_SHORT)
        return __real_preadv2(fd, &half, 1, offset, flags);
    errno = error;
    return error ? -1 : __real_preadv2(fd, iov, count, offset, flags);
}

/* What the library calls by number. */
static bool syscall_strikes(long number)
{
    switch (number) {
    case SYS_openat2:
        return strikes(openat2_errors);
    case SYS_statx:
        return strikes(ERRORS(ENOSYS, EIO, ENOMEM, ESTALE));
    case SYS_preadv2:
        return strikes(ERRORS(EAGAIN, EINTR, EIO, EOPNOTSUPP, ESTALE));
    case SYS_cachestat:
        return strikes(ERRORS(ENOSYS, EPERM, EOPNOTSUPP));
    case SYS_epoll_pwait2:
        return strikes(ERRORS(EINTR, ENOSYS));
    default:
        return false;
    }
}

long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    return syscall_strikes(number) ? -1
                                   : __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---------------------------------------------------------------- memory, events, threads -- */

int __real_madvise(void *addr, size_t bytes, int advice);
int __wrap_madvise(void *addr, size_t bytes, int advice);
int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);
int __real_epoll_create1(int flags);
int __wrap_epoll_create1(int flags);
int __real_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event);
int __real_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms);
int __real_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *),
                          void *data);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *),
                          void *data);

int __wrap_madvise(void *addr, size_t bytes, int advice)
{
    return strikes(ERRORS(EINVAL, ENOMEM)) ? -1 : __real_madvise(addr, bytes, advice);
}

int __wrap_eventfd(unsigned value, int flags)
{
    return strikes(ERRORS(EMFILE, ENFILE, ENODEV, ENOMEM)) ? -1 : __real_eventfd(value, flags);
}

int __wrap_epoll_create1(int flags)
{
    return strikes(ERRORS(EMFILE, ENFILE, ENOMEM)) ? -1 : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    return strikes(ERRORS(ENOMEM, ENOSPC)) ? -1 : __real_epoll_ctl(epoll, what, fd, event);
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout_ms)
{
    return strikes(ERRORS(EINTR)) ? -1 : __real_epoll_wait(epoll, events, count, timeout_ms);
}

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *),
                          void *data)
{
    return fault_strikes(FAULT_THREAD) ? EAGAIN : __real_pthread_create(out, attr, run, data);
}
