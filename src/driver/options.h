/* SPDX-License-Identifier: MIT */
/*
 * options.h - store options that every driver takes: `profile` and the profile's fields.
 */
#ifndef LSIO_DRIVER_OPTIONS_H
#define LSIO_DRIVER_OPTIONS_H

#include "driver/driver.h"

/* A driver's own options: 1 if `option` is one and was taken, 0 if it is none, -EINVAL for a bad
 * value. */
typedef int driver_option_fn(void *store, const struct lsio_option *option);

/*
 * Applies all options: first `profile`, which replaces what was detected, then the others, each
 * offered to `own` (may be NULL) and then to the profile. The last one of a name counts. -EINVAL
 * for what nobody knows or nobody understands, with a sentence in open->why.
 */
int driver_options_apply(const struct driver_open *open, struct plan_profile *profile,
                         driver_option_fn *own, void *store);

#endif
