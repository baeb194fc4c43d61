/* SPDX-License-Identifier: MIT */
/*
 * Error bodies and listings. The first byte chooses the dialect and how the page is cut; a page
 * that is fed whole and one that is fed in pieces must give the same entries, sorted, or the same
 * failure.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "driver/http/xml.h"
#include "lsio/lsio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct digest {
    uint64_t sum;
    size_t count;
    char last[256];
};

static void mix(struct digest *digest, const char *text)
{
    for (; *text; text++)
        digest->sum = (digest->sum ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
}

static int on_entry(const struct http_list_entry *entry, void *data)
{
    struct digest *digest = data;

    assert(entry->key[0]);
    assert(entry->size < INT64_MAX);
    assert(strncmp(digest->last, entry->key, sizeof(digest->last) - 1) <= 0);
    strncpy(digest->last, entry->key, sizeof(digest->last) - 1);
    mix(digest, entry->key);
    mix(digest, entry->etag);
    mix(digest, entry->version);
    digest->sum += entry->size + (uint64_t)entry->mtime_ns + entry->is_prefix;
    digest->count++;
    return 0;
}

static int read_page(struct xml_list *list, const uint8_t *data, size_t size, size_t piece,
                     struct digest *digest)
{
    int status = xml_list_begin(list);

    memset(digest, 0, sizeof(*digest));
    for (size_t at = 0; status == 0 && at < size; at += piece)
        status = xml_list_feed(list, data + at, size - at < piece ? size - at : piece);
    return status < 0 ? status : xml_list_end(list, on_entry, digest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xml_list *whole, *cut;
    struct digest first, second;
    struct xml_error error;
    enum http_dialect dialect;
    int status;

    if (size < 1)
        return 0;
    dialect = data[0] & 1 ? HTTP_DIALECT_AZURE : data[0] & 2 ? HTTP_DIALECT_GCS : HTTP_DIALECT_S3;
    status = xml_error_parse(data + 1, size - 1, &error);
    assert(status == 0 || status == LSIO_E_PROTOCOL);
    assert(memchr(error.message, '\0', sizeof(error.message)));
    if (xml_list_create(dialect, &whole) < 0 || xml_list_create(dialect, &cut) < 0)
        return 0;
    status = read_page(whole, data + 1, size - 1, size, &first);
    assert(status == 0 || status == LSIO_E_PROTOCOL || status == LSIO_E_HTTP);
    assert(read_page(cut, data + 1, size - 1, 1u + (data[0] >> 2), &second) == status);
    assert(first.sum == second.sum && first.count == second.count);
    if (status == 0 && xml_list_token(whole)) /* the same page again would never end */
        assert(read_page(whole, data + 1, size - 1, size, &first) == LSIO_E_PROTOCOL);
    xml_list_destroy(whole);
    xml_list_destroy(cut);
    return 0;
}
