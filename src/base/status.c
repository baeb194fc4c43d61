/* SPDX-License-Identifier: MIT */
/*
 * Design: names and sentences of every status, in one table. LSIO's own come first; then errno
 * values (strerrorname_np() would need glibc 2.32): those that src/ names, which tests/tidy checks,
 * and those that the kernel may give for what LSIO does with files, sockets, threads and io_uring
 * (open(2), read(2), connect(2), recv(2), pthread_create(3), io_uring_enter(2)).
 */
#include <errno.h>
#include <stddef.h>

#include "lsio/lsio.h"

struct status_entry {
    int status;
    const char *name;
    const char *text;
};

static const struct status_entry status_table[] = {
    {0, "LSIO_OK", "success"},
    {LSIO_E_TRUNCATED, "LSIO_E_TRUNCATED", "the range reaches beyond the end of the object"},
    {LSIO_E_CHANGED, "LSIO_E_CHANGED", "the object changed while it was read, or is another one"},
    {LSIO_E_CORRUPT, "LSIO_E_CORRUPT", "the data is damaged: checksum or encoding is wrong"},
    {LSIO_E_NO_SPACE, "LSIO_E_NO_SPACE", "more bytes than the destination holds"},
    {LSIO_E_BUDGET, "LSIO_E_BUDGET", "the chunk can never fit the memory budget"},
    {LSIO_E_RECURSIVE, "LSIO_E_RECURSIVE", "a blocking call was made from a callback"},
    {LSIO_E_FORKED, "LSIO_E_FORKED", "the context belongs to the parent process"},
    {LSIO_E_CALLBACK, "LSIO_E_CALLBACK", "a stage of the caller failed"},
    {LSIO_E_UNSUPPORTED, "LSIO_E_UNSUPPORTED",
     "not a regular file, or not built into this library"},
    {LSIO_E_LIMIT, "LSIO_E_LIMIT", "a documented limit is exceeded"},
    {LSIO_E_HTTP, "LSIO_E_HTTP", "the server answered with an error status"},
    {LSIO_E_PROTOCOL, "LSIO_E_PROTOCOL", "the server broke the protocol"},
    {LSIO_E_THROTTLED, "LSIO_E_THROTTLED", "the server kept asking to slow down"},
    {LSIO_E_TLS, "LSIO_E_TLS", "the server could not be authenticated"},
    {-ENOENT, "ENOENT", "the object does not exist"},
    {-EACCES, "EACCES", "permission denied"},
    {-EPERM, "EPERM", "operation not permitted"},
    {-EINVAL, "EINVAL", "an argument makes no sense"},
    {-ENOMEM, "ENOMEM", "out of memory"},
    {-EIO, "EIO", "input/output error"},
    {-EAGAIN, "EAGAIN", "a resource is used up for now"},
    {-EBUSY, "EBUSY", "still in use"},
    {-EINTR, "EINTR", "a signal came in between"},
    {-ECANCELED, "ECANCELED", "canceled"},
    {-ETIME, "ETIME", "a timer ran out"},
    {-ETIMEDOUT, "ETIMEDOUT", "the deadline passed"},
    {-EMFILE, "EMFILE", "the process has no free file descriptors"},
    {-ENFILE, "ENFILE", "the system has no free file descriptors"},
    {-ENOTDIR, "ENOTDIR", "not a directory"},
    {-EISDIR, "EISDIR", "is a directory"},
    {-ELOOP, "ELOOP", "too many symbolic links"},
    {-EXDEV, "EXDEV", "the key leaves the store's root"},
    {-ENAMETOOLONG, "ENAMETOOLONG", "the key is too long"},
    {-EBADF, "EBADF", "not an open file"},
    {-EFBIG, "EFBIG", "the file is too large"},
    {-ETXTBSY, "ETXTBSY", "the file is being executed"},
    {-EROFS, "EROFS", "the file system is read-only"},
    {-ENOSPC, "ENOSPC", "no space is left"},
    {-EDQUOT, "EDQUOT", "the quota is used up"},
    {-ENXIO, "ENXIO", "there is no such device"},
    {-ENODEV, "ENODEV", "there is no such device, or it cannot do that"},
    {-ENODATA, "ENODATA", "there are no data"},
    {-ENOKEY, "ENOKEY", "the key that the file is encrypted with is not there"},
    {-EBADMSG, "EBADMSG", "the file system's checksum is wrong"},
    {-EUCLEAN, "EUCLEAN", "the file system is damaged"},
    {-ESPIPE, "ESPIPE", "not a file that can be read from anywhere"},
    {-EFAULT, "EFAULT", "an address lies outside of the process's memory"},
    {-ENOSYS, "ENOSYS", "this system cannot do that"},
    {-EOPNOTSUPP, "EOPNOTSUPP", "this store cannot do that"},
    {-ESTALE, "ESTALE", "stale file handle"},
    {-EOVERFLOW, "EOVERFLOW", "a number is too large"},
    {-EREMOTEIO, "EREMOTEIO", "remote input/output error"},
    {-ECONNREFUSED, "ECONNREFUSED", "the server cannot be connected to"},
    {-ECONNRESET, "ECONNRESET", "the connection ended before the answer did"},
    {-ECONNABORTED, "ECONNABORTED", "the connection was given up"},
    {-EHOSTUNREACH, "EHOSTUNREACH", "the server has no address, or no way leads to it"},
    {-EHOSTDOWN, "EHOSTDOWN", "the server is down"},
    {-ENETUNREACH, "ENETUNREACH", "no way leads to the network"},
    {-ENETDOWN, "ENETDOWN", "the network is down"},
    {-ENETRESET, "ENETRESET", "the network was reset"},
    {-EPIPE, "EPIPE", "the connection was closed by the server"},
    {-ENOTCONN, "ENOTCONN", "there is no connection"},
    {-ESHUTDOWN, "ESHUTDOWN", "the connection was shut down"},
    {-EADDRNOTAVAIL, "EADDRNOTAVAIL", "no local address or port is free"},
    {-EADDRINUSE, "EADDRINUSE", "the local address is in use"},
    {-EAFNOSUPPORT, "EAFNOSUPPORT", "this system has no such kind of address"},
    {-EPROTONOSUPPORT, "EPROTONOSUPPORT", "this system has no such protocol"},
    {-EPROTO, "EPROTO", "the network protocol was broken"},
    {-ENOBUFS, "ENOBUFS", "no buffer space is left"},
};

static const struct status_entry *status_find(int status)
{
    for (size_t i = 0; i < sizeof(status_table) / sizeof(status_table[0]); i++)
        if (status_table[i].status == status)
            return &status_table[i];
    return NULL;
}

const char *lsio_status_name(int status)
{
    const struct status_entry *entry = status_find(status);
    return entry ? entry->name : "unknown";
}

const char *lsio_status_text(int status)
{
    const struct status_entry *entry = status_find(status);
    return entry ? entry->text : "an error that LSIO has no name for; see the detail's code";
}
