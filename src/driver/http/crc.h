/* SPDX-License-Identifier: MIT */
/*
 * crc.h - the cyclic redundancy checks that stores send, besides CRC-32C, which is lsio_crc32c().
 * Pure; any thread.
 */
#ifndef LSIO_DRIVER_HTTP_CRC_H
#define LSIO_DRIVER_HTTP_CRC_H

#include <stddef.h>
#include <stdint.h>

/* CRC-64/NVME: "123456789" gives 0xae8b14860a799888. */
uint64_t http_crc64nvme(const void *bytes, size_t count);

/* CRC-32/ISO-HDLC, that of zlib: "123456789" gives 0xcbf43926. */
uint32_t http_crc32(const void *bytes, size_t count);

#endif
