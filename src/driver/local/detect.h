/* SPDX-License-Identifier: MIT */
/*
 * detect.h - which profile the storage under a directory has.
 */
#ifndef LSIO_DRIVER_LOCAL_DETECT_H
#define LSIO_DRIVER_LOCAL_DETECT_H

#include "loop/os.h"
#include "plan/plan.h"

/*
 * Sets `profile` to the built-in values for what the directory `fd` lies on, with the reason in
 * profile->reason. What cannot be found out counts as ssd. *remote: other machines may change files
 * without this kernel noticing. Asks `os` only; may block.
 */
int local_detect(const struct loop_os *os, int fd, struct plan_profile *profile, bool *remote);

#endif
