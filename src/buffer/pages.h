/* SPDX-License-Identifier: MIT */
/*
 * pages.h - anonymous memory for data: private, not inherited by a forked child, and in huge pages
 * where it is large enough. A read of 256 KiB into 64 scattered small pages makes 64 segments for
 * the device to work through, into a huge page it makes one: half the CPU and up to twice the speed
 * on virtio.
 */
#ifndef LSIO_BUFFER_PAGES_H
#define LSIO_BUFFER_PAGES_H

#include <stdint.h>

#define PAGES_HUGE_BYTES (UINT64_C(2) << 20)

/* `bytes` is a multiple of 4096; NULL if there is no memory. Aligned to a huge page if it holds
 * one. */
void *pages_map(uint64_t bytes);
void pages_unmap(void *addr, uint64_t bytes);

#endif
