/* SPDX-License-Identifier: MIT */
/*
 * options.c - see options.h. Runs on the thread inside lsio_store_open(), before the store is known
 * to anybody else.
 *
 * `profile` is applied in a pass of its own: it sets every field, and the caller who writes
 * {gap_bytes=64K, profile=hdd} wants a disk with that gap, whatever the order.
 */
#include "driver/options.h"

#include <stdio.h>
#include <string.h>

#include "base/mark.h"

static int option_refuse(const struct driver_open *open, const char *what,
                         const struct lsio_option *option)
{
    LSIO_MARK(option_refused);
    if (open->why && open->why_bytes > 0)
        snprintf(open->why, open->why_bytes, "%s store option \"%s\"", what,
                 option->key ? option->key : "(null)");
    return -EINVAL;
}

static int profile_replace(struct plan_profile *profile, const char *name)
{
    struct plan_profile chosen;
    int status;

    memset(&chosen, 0, sizeof(chosen));
    status = plan_profile_builtin(name, &chosen);
    if (status < 0)
        return status;
    snprintf(chosen.reason, sizeof(chosen.reason), "asked for by option");
    *profile = chosen;
    return 0;
}

int driver_options_apply(const struct driver_open *open, struct plan_profile *profile,
                         driver_option_fn *own, void *store)
{
    for (size_t i = 0; i < open->option_count; i++) {
        const struct lsio_option *option = &open->options[i];
        if (!option->key || !option->value)
            return option_refuse(open, "no value for", option);
        if (strcmp(option->key, "profile") == 0 && profile_replace(profile, option->value) < 0)
            return option_refuse(open, "bad value of", option);
    }
    for (size_t i = 0; i < open->option_count; i++) {
        const struct lsio_option *option = &open->options[i];
        int taken = strcmp(option->key, "profile") == 0 ? 1 : 0;
        if (taken == 0 && own)
            taken = own(store, option);
        if (taken == 0)
            taken = plan_profile_set(profile, option->key, option->value);
        if (taken < 0)
            return option_refuse(open, "bad value of", option);
        if (taken == 0)
            return option_refuse(open, "unknown", option);
    }
    plan_profile_tune(profile);
    return 0;
}
