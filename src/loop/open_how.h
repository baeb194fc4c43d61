/* SPDX-License-Identifier: MIT */
/* open_how.h - the kernel's struct open_how (openat2, 5.6) for headers that lack it. */
#ifndef LSIO_LOOP_OPEN_HOW_H
#define LSIO_LOOP_OPEN_HOW_H

#include <stdint.h>
#include <sys/syscall.h>

struct open_how_v0 {
    uint64_t flags, mode, resolve;
};

/* RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS: nothing above the directory, by no way. */
#define OPEN_RESOLVE_BENEATH UINT64_C(0x0a)
/* RESOLVE_NO_XDEV: -EXDEV where the path leaves the mount, as a link to a device does. */
#define OPEN_RESOLVE_NO_XDEV UINT64_C(0x01)
/* RESOLVE_CACHED (5.12): -EAGAIN where the lookup would wait. */
#define OPEN_RESOLVE_CACHED  UINT64_C(0x20)

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

#endif
