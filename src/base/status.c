/* SPDX-License-Identifier: MIT */
/*
 * Design: names and sentences of every status. LSIO's own are in one table; errno values use the C
 * library's names (strerrorname_np needs glibc 2.32, so the few that LSIO returns are listed).
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
    {-ECANCELED, "ECANCELED", "canceled"},
    {-ETIMEDOUT, "ETIMEDOUT", "the deadline passed"},
    {-EMFILE, "EMFILE", "the process has no free file descriptors"},
    {-ENFILE, "ENFILE", "the system has no free file descriptors"},
    {-ENOTDIR, "ENOTDIR", "not a directory"},
    {-EISDIR, "EISDIR", "is a directory"},
    {-ELOOP, "ELOOP", "too many symbolic links"},
    {-EXDEV, "EXDEV", "the key leaves the store's root"},
    {-ENAMETOOLONG, "ENAMETOOLONG", "the key is too long"},
    {-ENOSYS, "ENOSYS", "this system cannot do that"},
    {-EOPNOTSUPP, "EOPNOTSUPP", "this store cannot do that"},
    {-ESTALE, "ESTALE", "stale file handle"},
    {-EOVERFLOW, "EOVERFLOW", "a number is too large"},
    {-EREMOTEIO, "EREMOTEIO", "remote input/output error"},
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
