/* SPDX-License-Identifier: MIT */
/*
 * head.c - see head.h.
 *
 * Everything here comes from the network. Numbers are read with overflow checks and must be nothing
 * but digits; sizes stay below INT64_MAX, so that sums of two of them cannot wrap. What is too long
 * for its field is dropped whole where half of it would be wrong (ETag, version, Location) and cut
 * where it is only shown.
 *
 * Each header of interest is a row of the table at the end. The owner's thread only.
 */
#include "driver/http/head.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "driver/http/date.h"

/* A header's value: not NUL-terminated, trimmed. */
struct field {
    const char *at;
    size_t count;
};

static bool field_is(struct field field, const char *text)
{
    return strlen(text) == field.count && strncasecmp(field.at, text, field.count) == 0;
}

static bool field_begins(struct field field, const char *text)
{
    return strlen(text) <= field.count && strncasecmp(field.at, text, strlen(text)) == 0;
}

/* As much as fits, for messages. */
static void field_show(struct field field, char *out, size_t room)
{
    size_t count = field.count < room ? field.count : room - 1;

    memcpy(out, field.at, count);
    out[count] = '\0';
}

/* All of it or nothing. */
static void field_copy(struct field field, char *out, size_t room)
{
    if (field.count >= room)
        field.count = 0;
    field_show(field, out, room);
}

/* Digits at the field's begin, which moves behind them; false if there are none or too many. */
static bool take_number(struct field *field, uint64_t *out)
{
    uint64_t number = 0;
    size_t used = 0;

    for (; used < field->count && field->at[used] >= '0' && field->at[used] <= '9'; used++) {
        if (number > (uint64_t)INT64_MAX / 10 - 1)
            return false;
        number = number * 10 + (uint64_t)(field->at[used] - '0');
    }
    field->at += used;
    field->count -= used;
    *out = number;
    return used > 0;
}

static bool take_letter(struct field *field, char letter)
{
    if (field->count == 0 || field->at[0] != letter)
        return false;
    field->at++;
    field->count--;
    return true;
}

static bool whole_number(struct field field, uint64_t *out)
{
    return take_number(&field, out) && field.count == 0;
}

/* ---------------------------------------------------------------------------------- headers -- */

typedef int header_fn(struct http_head *head, struct field value);

static int add_content_length(struct http_head *head, struct field value)
{
    uint64_t length;

    if (!whole_number(value, &length) ||
        (head->content_length != HTTP_SIZE_UNKNOWN && head->content_length != length))
        return LSIO_E_PROTOCOL; /* RFC 9112 section 6.3 */
    head->content_length = length;
    return 0;
}

static enum http_range_form parse_range(struct http_head *head, struct field value)
{
    uint64_t first, last, total = HTTP_SIZE_UNKNOWN;

    if (!field_begins(value, "bytes "))
        return HTTP_RANGE_BAD;
    value.at += 6;
    value.count -= 6;
    if (take_letter(&value, '*')) {
        if (!take_letter(&value, '/') || !whole_number(value, &total))
            return HTTP_RANGE_BAD;
        head->range_total = total;
        return HTTP_RANGE_UNSATISFIABLE;
    }
    if (!take_number(&value, &first) || !take_letter(&value, '-') || !take_number(&value, &last) ||
        !take_letter(&value, '/'))
        return HTTP_RANGE_BAD;
    if (!field_is(value, "*") && !whole_number(value, &total))
        return HTTP_RANGE_BAD;
    if (first > last || last >= total)
        return HTTP_RANGE_BAD;
    head->range_first = first;
    head->range_last = last;
    head->range_total = total;
    return HTTP_RANGE_BYTES;
}

static int add_content_range(struct http_head *head, struct field value)
{
    if (head->range != HTTP_RANGE_NONE)
        return field_is(value, head->content_range) ? 0 : LSIO_E_PROTOCOL;
    head->range = (uint8_t)parse_range(head, value);
    field_show(value, head->content_range, sizeof(head->content_range));
    return 0;
}

static int add_transfer_encoding(struct http_head *head, struct field value)
{
    head->chunked = value.count >= 7 && strncasecmp(value.at + value.count - 7, "chunked", 7) == 0;
    return 0;
}

/* S3 hands on the encoding that the uploader named: aws-chunked was undone by S3 itself. */
static int add_content_encoding(struct http_head *head, struct field value)
{
    if (value.count > 0 && !field_is(value, "identity") && !field_is(value, "aws-chunked")) {
        head->encoding = HTTP_ENCODING_OTHER;
        field_show(value, head->content_encoding, sizeof(head->content_encoding));
    }
    return 0;
}

static int add_stored_encoding(struct http_head *head, struct field value)
{
    field_show(value, head->stored_encoding, sizeof(head->stored_encoding));
    return 0;
}

static int add_content_type(struct http_head *head, struct field value)
{
    head->multipart = field_begins(value, "multipart/byteranges");
    head->xml = field_begins(value, "application/xml") || field_begins(value, "text/xml");
    return 0;
}

static int add_accept_ranges(struct http_head *head, struct field value)
{
    head->ranges_refused = field_is(value, "none");
    return 0;
}

/* RFC 9110 section 8.8.3 */
static int add_etag(struct http_head *head, struct field value)
{
    field_copy(value, head->etag, sizeof(head->etag));
    head->etag_strong = head->etag[0] == '"' && value.count > 2 &&
                        head->etag[value.count - 1] == '"' &&
                        !memchr(head->etag + 1, '"', value.count - 2);
    return 0;
}

static int add_last_modified(struct http_head *head, struct field value)
{
    head->has_last_modified = http_date_parse(value.at, value.count, &head->last_modified_s) == 0;
    return 0;
}

static int add_date(struct http_head *head, struct field value)
{
    field_copy(value, head->date, sizeof(head->date));
    return 0;
}

/* RFC 9110 section 10.2.3 */
static int add_retry_after(struct http_head *head, struct field value)
{
    head->has_retry_after_s = whole_number(value, &head->retry_after_s);
    head->has_retry_after_date =
        !head->has_retry_after_s &&
        http_date_parse(value.at, value.count, &head->retry_after_date_s) == 0;
    return 0;
}

static int add_generation(struct http_head *head, struct field value)
{
    head->has_generation = whole_number(value, &head->generation);
    return 0;
}

static int add_version(struct http_head *head, struct field value)
{
    field_copy(value, head->version, sizeof(head->version));
    return 0;
}

static int add_region(struct http_head *head, struct field value)
{
    field_copy(value, head->region, sizeof(head->region));
    return 0;
}

static int add_error_code(struct http_head *head, struct field value)
{
    field_show(value, head->error_code, sizeof(head->error_code));
    return 0;
}

static int add_request_id(struct http_head *head, struct field value)
{
    field_show(value, head->request_id, sizeof(head->request_id));
    return 0;
}

static int add_location(struct http_head *head, struct field value)
{
    head->location_cut = value.count >= sizeof(head->location);
    field_copy(value, head->location, sizeof(head->location));
    return 0;
}

/* ------------------------------------------------------------------------------------- head -- */

#define NAMED(text, function)                                                                      \
    {                                                                                              \
        text, sizeof(text) - 1, function                                                           \
    }

static const struct {
    const char *name;
    size_t name_bytes;
    header_fn *add;
} headers[] = {
    NAMED("content-length", add_content_length),
    NAMED("content-range", add_content_range),
    NAMED("transfer-encoding", add_transfer_encoding),
    NAMED("content-encoding", add_content_encoding),
    NAMED("x-goog-stored-content-encoding", add_stored_encoding),
    NAMED("content-type", add_content_type),
    NAMED("accept-ranges", add_accept_ranges),
    NAMED("etag", add_etag),
    NAMED("last-modified", add_last_modified),
    NAMED("date", add_date),
    NAMED("retry-after", add_retry_after),
    NAMED("x-goog-generation", add_generation),
    NAMED("x-amz-version-id", add_version),
    NAMED("x-ms-version-id", add_version),
    NAMED("x-amz-bucket-region", add_region),
    NAMED("x-ms-error-code", add_error_code),
    NAMED("x-amz-request-id", add_request_id),
    NAMED("x-ms-request-id", add_request_id),
    NAMED("x-guploader-uploadid", add_request_id),
    NAMED("location", add_location),
};

#undef NAMED

void http_head_reset(struct http_head *head, unsigned status)
{
    memset(head, 0, offsetof(struct http_head, location));
    head->location[0] = '\0';
    head->status = (uint16_t)status;
    head->content_length = HTTP_SIZE_UNKNOWN;
    head->range_total = HTTP_SIZE_UNKNOWN;
}

int http_head_add(struct http_head *head, const char *name, size_t name_bytes, const char *value,
                  size_t value_bytes)
{
    struct field field = {value, value_bytes};

    if (name_bytes + value_bytes > HTTP_HEAD_BYTES_MAX - head->bytes)
        return LSIO_E_PROTOCOL;
    head->bytes += (uint32_t)(name_bytes + value_bytes);
    if (memchr(value, '\0', value_bytes))
        return LSIO_E_PROTOCOL;
    while (field.count > 0 && (field.at[0] == ' ' || field.at[0] == '\t')) {
        field.at++;
        field.count--;
    }
    while (field.count > 0 && strchr(" \t\r\n", field.at[field.count - 1]))
        field.count--;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        if (headers[i].name_bytes == name_bytes && headers[i].name[0] == (name[0] | 0x20) &&
            strncasecmp(headers[i].name, name, name_bytes) == 0)
            return headers[i].add(head, field);
    }
    http_checksum_take(&head->checksum, name, name_bytes, field.at, field.count);
    return 0;
}

bool http_head_date(const struct http_head *head, int64_t *unix_s)
{
    return http_date_parse(head->date, strlen(head->date), unix_s) == 0;
}

bool http_head_retry_after(const struct http_head *head, int64_t now_s, uint64_t *wait_ms)
{
    uint64_t wait_s = head->retry_after_s;
    int64_t then_s;

    if (!http_head_date(head, &then_s))
        then_s = now_s;
    if (!head->has_retry_after_s) {
        if (!head->has_retry_after_date)
            return false;
        wait_s =
            head->retry_after_date_s > then_s ? (uint64_t)(head->retry_after_date_s - then_s) : 0;
    }
    *wait_ms = wait_s < UINT64_MAX / 1000 ? wait_s * 1000 : UINT64_MAX;
    return true;
}

uint64_t http_head_object_size(const struct http_head *head)
{
    return head->status == 200 ? head->content_length : head->range_total;
}
