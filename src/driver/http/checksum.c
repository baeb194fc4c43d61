/* SPDX-License-Identifier: MIT */
/*
 * Design: a table of headers, and one of kinds. Each header is of the object as it is stored, or of
 * the answer's content; where an answer brings the whole object, unchanged, these are the same
 * bytes (RFC 9530 sections 2 and 3), and no other answer is checked. So it need not be known what a
 * server takes for the checksum of a part: S3 sends for a range that is one part of an upload the
 * one of that part, for others the object's.
 *
 *   x-amz-checksum-*             Amazon S3, "Checking object integrity": base64, big-endian. Of an
 *                                upload in parts either of all bytes, or COMPOSITE, "VALUE-PARTS",
 *                                which is none of the bytes that we see and is not kept
 *   x-goog-hash                  Cloud Storage, "HTTP headers": "crc32c=VALUE,md5=VALUE", or one
 *                                header each; of what is stored, also where that is compressed
 *   Content-MD5                  RFC 1864; Azure's "Get Blob" sends the blob's in
 *   x-ms-blob-content-md5        where a range was asked for
 *   Repr-Digest, Content-Digest  RFC 9530: "sha-256=:VALUE:", in a list; others of it are not kept
 *
 * Values of the wrong length prove nothing of the body and are as if they were absent.
 *
 * It is the worker's time that is spent: a CRC takes about as long as reading the memory, a digest
 * a nanosecond or two a byte. So it is only done for who asks.
 *
 * Threads: any; no state.
 */
#include "driver/http/checksum.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/mark.h"
#include "driver/http/crc.h"
#include "driver/http/head.h"
#include "driver/http/sign/hash.h"
#include "lsio/stages.h"

static const struct {
    const char *name;
    size_t bytes;
    const EVP_MD *(*digest)(void); /* NULL: a CRC */
} kinds[HTTP_CHECKSUM_KINDS] = {
    [HTTP_CHECKSUM_NONE] = {"", 0, NULL},
    [HTTP_CHECKSUM_CRC32C] = {"crc32c", 4, NULL},
    [HTTP_CHECKSUM_CRC64NVME] = {"crc64nvme", 8, NULL},
    [HTTP_CHECKSUM_CRC32] = {"crc32", 4, NULL},
    [HTTP_CHECKSUM_SHA1] = {"sha1", 20, EVP_sha1},
    [HTTP_CHECKSUM_SHA256] = {"sha256", 32, EVP_sha256},
    [HTTP_CHECKSUM_MD5] = {"md5", 16, EVP_md5},
};

/* ----------------------------------------------------------------------------------- headers -- */

enum form {
    FORM_VALUE,  /* VALUE, of `kind` */
    FORM_GOOGLE, /* crc32c=VALUE,md5=VALUE */
    FORM_DIGEST, /* sha-256=:VALUE:, ... */
    FORM_TYPE    /* COMPOSITE or FULL_OBJECT */
};

static const struct {
    const char *name;
    size_t bytes;
    enum form form;
    enum http_checksum_kind kind;
} headers[] = {
#define HEADER(name, form, kind)                                                                   \
    {                                                                                              \
        name, sizeof(name) - 1, form, kind                                                         \
    }
    HEADER("x-amz-checksum-crc32c", FORM_VALUE, HTTP_CHECKSUM_CRC32C),
    HEADER("x-amz-checksum-crc64nvme", FORM_VALUE, HTTP_CHECKSUM_CRC64NVME),
    HEADER("x-amz-checksum-crc32", FORM_VALUE, HTTP_CHECKSUM_CRC32),
    HEADER("x-amz-checksum-sha1", FORM_VALUE, HTTP_CHECKSUM_SHA1),
    HEADER("x-amz-checksum-sha256", FORM_VALUE, HTTP_CHECKSUM_SHA256),
    HEADER("x-amz-checksum-type", FORM_TYPE, HTTP_CHECKSUM_NONE),
    HEADER("x-goog-hash", FORM_GOOGLE, HTTP_CHECKSUM_NONE),
    HEADER("content-md5", FORM_VALUE, HTTP_CHECKSUM_MD5),
    HEADER("x-ms-blob-content-md5", FORM_VALUE, HTTP_CHECKSUM_MD5),
    HEADER("repr-digest", FORM_DIGEST, HTTP_CHECKSUM_NONE),
    HEADER("content-digest", FORM_DIGEST, HTTP_CHECKSUM_NONE),
#undef HEADER
};

/* Members of the lists, with what stands before and behind the value. */
static const struct {
    enum form form;
    const char *before, *behind;
    enum http_checksum_kind kind;
} members[] = {
    {FORM_GOOGLE, "crc32c=", "", HTTP_CHECKSUM_CRC32C},
    {FORM_GOOGLE, "md5=", "", HTTP_CHECKSUM_MD5},
    {FORM_DIGEST, "sha-256=:", ":", HTTP_CHECKSUM_SHA256},
};

static void keep(struct http_checksum *checksum, enum http_checksum_kind kind, const char *value,
                 size_t value_bytes)
{
    uint8_t decoded[HTTP_CHECKSUM_BYTES_MAX];
    char text[HTTP_CHECKSUM_BYTES_MAX * 3 / 2];

    if (value_bytes >= sizeof(text) || (checksum->kind && checksum->kind <= kind))
        return;
    memcpy(text, value, value_bytes);
    text[value_bytes] = '\0';
    if (http_base64_decode(text, decoded, sizeof(decoded)) != (int64_t)kinds[kind].bytes)
        return;
    checksum->kind = (uint8_t)kind;
    memcpy(checksum->value, decoded, kinds[kind].bytes);
}

static void keep_member(struct http_checksum *checksum, enum form form, const char *at,
                        size_t bytes)
{
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        size_t before = strlen(members[i].before), behind = strlen(members[i].behind);
        if (members[i].form == form && bytes > before + behind &&
            strncasecmp(at, members[i].before, before) == 0 &&
            memcmp(at + bytes - behind, members[i].behind, behind) == 0)
            keep(checksum, members[i].kind, at + before, bytes - before - behind);
    }
}

static void keep_list(struct http_checksum *checksum, enum form form, const char *at, size_t bytes)
{
    const char *end = at + bytes, *next, *stop;

    for (; at < end; at = next) {
        stop = memchr(at, ',', (size_t)(end - at));
        next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        while (at < stop && (*at == ' ' || *at == '\t'))
            at++;
        while (stop > at && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        keep_member(checksum, form, at, (size_t)(stop - at));
    }
}

/* No other header comes with that one whose value would be of all bytes. */
static void keep_type(struct http_checksum *checksum, const char *value, size_t value_bytes)
{
    checksum->composite = value_bytes == 9 && strncasecmp(value, "COMPOSITE", 9) == 0;
}

void http_checksum_take(struct http_checksum *checksum, const char *name, size_t name_bytes,
                        const char *value, size_t value_bytes)
{
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        if (headers[i].bytes != name_bytes || strncasecmp(headers[i].name, name, name_bytes) != 0)
            continue;
        if (headers[i].form == FORM_VALUE)
            keep(checksum, headers[i].kind, value, value_bytes);
        else if (headers[i].form == FORM_TYPE)
            keep_type(checksum, value, value_bytes);
        else
            keep_list(checksum, headers[i].form, value, value_bytes);
        return;
    }
}

/* ------------------------------------------------------------------------------------- bytes -- */

bool http_checksum_covers(const struct http_checksum *checksum, const struct http_head *head,
                          uint64_t first, uint64_t count)
{
    return checksum->kind && !checksum->composite && first == 0 &&
           count == http_head_object_size(head);
}

static void store_big_endian(uint64_t value, uint8_t *out, size_t bytes)
{
    while (bytes--) {
        out[bytes] = (uint8_t)value;
        value >>= 8;
    }
}

/* False: it cannot be told. */
static bool compute(enum http_checksum_kind kind, const void *bytes, size_t count,
                    uint8_t out[HTTP_CHECKSUM_BYTES_MAX])
{
    switch (kind) {
    case HTTP_CHECKSUM_CRC32C:
        store_big_endian(lsio_crc32c(0, bytes, count), out, 4);
        return true;
    case HTTP_CHECKSUM_CRC64NVME:
        store_big_endian(http_crc64nvme(bytes, count), out, 8);
        return true;
    case HTTP_CHECKSUM_CRC32:
        store_big_endian(http_crc32(bytes, count), out, 4);
        return true;
    default:
        return EVP_Digest(bytes, count, out, NULL, kinds[kind].digest(), NULL) == 1;
    }
}

/* In base64, as in the header. */
static void show(const uint8_t *value, size_t bytes, char *out, size_t room)
{
    struct http_text text;
    const char *end;

    http_text_init(&text, out, room);
    http_text_base64(&text, value, bytes, false);
    (void)http_text_end(&text, &end);
}

int http_checksum_check(const struct http_checksum *checksum, const void *bytes, size_t count,
                        char *why, size_t why_bytes)
{
    size_t value_bytes = kinds[checksum->kind].bytes;
    char found_text[HTTP_CHECKSUM_BYTES_MAX * 3 / 2], wanted_text[HTTP_CHECKSUM_BYTES_MAX * 3 / 2];
    uint8_t found[HTTP_CHECKSUM_BYTES_MAX];

    if (!compute(checksum->kind, count ? bytes : "", count, found) ||
        memcmp(found, checksum->value, value_bytes) == 0)
        return 0;
    LSIO_MARK(h29_checksum_differs);
    show(found, value_bytes, found_text, sizeof(found_text));
    show(checksum->value, value_bytes, wanted_text, sizeof(wanted_text));
    snprintf(why, why_bytes, "the body's %s is %s, the server's header says %s",
             kinds[checksum->kind].name, found_text, wanted_text);
    return LSIO_E_CORRUPT;
}
