/* SPDX-License-Identifier: MIT */
/*
 * checksum.h - the checksums that servers send of what they store: which of an answer's covers its
 * body, and whether it does. Pure; any thread.
 *
 *     http_checksum_take(&head->checksum, name, name_bytes, value, value_bytes)   each header
 *     if (http_checksum_covers(&head->checksum, head, first, count))                bytes to come
 *         status = http_checksum_check(&head->checksum, bytes, count, why, sizeof(why));
 */
#ifndef LSIO_DRIVER_HTTP_CHECKSUM_H
#define LSIO_DRIVER_HTTP_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_CHECKSUM_BYTES_MAX 32u

/* In the order of what they cost: of several the first one is kept, for each finds an accident. */
enum http_checksum_kind {
    HTTP_CHECKSUM_NONE = 0,
    HTTP_CHECKSUM_CRC32C,
    HTTP_CHECKSUM_CRC64NVME,
    HTTP_CHECKSUM_CRC32,
    HTTP_CHECKSUM_SHA1,
    HTTP_CHECKSUM_SHA256,
    HTTP_CHECKSUM_MD5,
    HTTP_CHECKSUM_KINDS
};

struct http_head;

/* Zeroed: none. */
struct http_checksum {
    uint8_t kind;   /* enum http_checksum_kind */
    bool composite; /* S3's is one of checksums of parts */
    uint8_t value[HTTP_CHECKSUM_BYTES_MAX];
};

/* Keeps what a header says, if it is one of a checksum; what cannot be understood is no checksum.
 */
void http_checksum_take(struct http_checksum *checksum, const char *name, size_t name_bytes,
                        const char *value, size_t value_bytes);

/* Whether there is one of `count` bytes from `first` on, which are the ones that the answer brings:
 * they must be all of the object. `head`: of a 200 or 206 whose body is as it is stored. */
bool http_checksum_covers(const struct http_checksum *checksum, const struct http_head *head,
                          uint64_t first, uint64_t count);

/* 0, or LSIO_E_CORRUPT and a sentence. Where this machine's OpenSSL refuses to compute it, nothing
 * is known to be wrong: 0. */
int http_checksum_check(const struct http_checksum *checksum, const void *bytes, size_t count,
                        char *why, size_t why_bytes);

#endif
