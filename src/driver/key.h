/* SPDX-License-Identifier: MIT */
/*
 * key.h - the rules that keys and listing prefixes obey on every store. They are textual: no store
 * is asked, so a key from a file or the net cannot reach anything by being looked at.
 */
#ifndef LSIO_DRIVER_KEY_H
#define LSIO_DRIVER_KEY_H

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/mark.h"

/* True if one of the segments between slashes is "..". */
static inline bool driver_key_climbs(const char *key)
{
    const char *at = key;

    while ((at = strstr(at, "..")) != NULL) {
        if ((at == key || at[-1] == '/') && (at[2] == '/' || at[2] == '\0'))
            return true;
        at++;
    }
    return false;
}

/* -EINVAL for a key that is NULL, empty, absolute, or has a `..` segment. */
static inline int driver_key_check(const char *key)
{
    if (!key || key[0] == '\0' || key[0] == '/' || driver_key_climbs(key)) {
        LSIO_MARK(key_refused);
        return -EINVAL;
    }
    return 0;
}

/* A prefix is "", or a key that ends in '/'. */
static inline int driver_prefix_check(const char *prefix)
{
    if (!prefix)
        return -EINVAL;
    if (prefix[0] == '\0')
        return 0;
    if (driver_key_check(prefix) < 0 || prefix[strlen(prefix) - 1] != '/')
        return -EINVAL;
    return 0;
}

#endif
