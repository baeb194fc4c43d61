/* SPDX-License-Identifier: MIT */
/* error.h - container_of and the small things that every folder needs. */
#ifndef LSIO_BASE_ERROR_H
#define LSIO_BASE_ERROR_H

#include <errno.h>
#include <stddef.h>

#include "lsio/lsio.h"

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* The errno value that a status is, for an error's code; 0: it is one of enum lsio_status. */
static inline int status_errno(int status)
{
    return status < 0 && status > LSIO_E_TRUNCATED ? -status : 0;
}

#endif
