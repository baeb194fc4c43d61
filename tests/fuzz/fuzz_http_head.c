/* SPDX-License-Identifier: MIT */
/*
 * Heads of answers: the input is lines "name: value". What is taken from them must be consistent:
 * ranges in order and below their total, sizes that fit a signed offset, strings that end.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "driver/http/date.h"
#include "driver/http/head.h"
#include "lsio/lsio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_head(const struct http_head *head)
{
    uint64_t wait_ms;

    if (head->range == HTTP_RANGE_BYTES)
        assert(head->range_first <= head->range_last && head->range_last < head->range_total);
    if (head->range == HTTP_RANGE_UNSATISFIABLE || head->range_total != HTTP_SIZE_UNKNOWN)
        assert(head->range_total < INT64_MAX);
    assert(head->content_length == HTTP_SIZE_UNKNOWN || head->content_length < INT64_MAX);
    assert(!head->etag_strong || head->etag[0] == '"');
    assert(memchr(head->etag, '\0', sizeof(head->etag)));
    assert(memchr(head->location, '\0', sizeof(head->location)));
    assert(memchr(head->content_range, '\0', sizeof(head->content_range)));
    assert(memchr(head->request_id, '\0', sizeof(head->request_id)));
    (void)http_head_retry_after(head, 1700000000, &wait_ms);
    (void)http_head_object_size(head);
}

/* A date that is read, written and read again is the same. */
static void check_date(const char *text, size_t count)
{
    char formatted[HTTP_DATE_BYTES];
    int64_t first, second, ns;

    if (http_date_parse(text, count, &first) == 0 && http_date_format(formatted, first) == 0) {
        assert(http_date_parse(formatted, strlen(formatted), &second) == 0);
        assert(first == second);
    }
    (void)http_date_parse_rfc3339(text, count, &ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_head head;
    const char *at = (const char *)data, *end = at + size;

    http_head_reset(&head, size > 0 && (data[0] & 1) ? 206 : 200);
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        const char *colon;
        if (!line_end)
            line_end = end;
        colon = memchr(at, ':', (size_t)(line_end - at));
        if (colon) {
            size_t value_bytes = (size_t)(line_end - colon - 1);
            int status = http_head_add(&head, at, (size_t)(colon - at), colon + 1, value_bytes);
            assert(status == 0 || status == LSIO_E_PROTOCOL);
            check_head(&head);
            check_date(colon + 1, value_bytes);
        }
        at = line_end + (line_end < end);
    }
    return 0;
}
