/* SPDX-License-Identifier: MIT */
/*
 * canonical.c - see canonical.h.
 *
 * Parameters are decoded and encoded again rather than taken as they are: what was sent may have
 * escapes in lower case or encode too much, and the server starts from the decoded values. Lists
 * are short, so insertion sort it is; it is stable, which keeps the values of a repeated header in
 * their order. Pure; any thread.
 */
#include "driver/http/sign/canonical.h"

#include <string.h>

#include "base/error.h"
#include "driver/http/encode.h"

static bool is_space(char character)
{
    return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

static char to_lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter | 0x20) : letter;
}

static int pair_order(const struct canonical_pair *a, const struct canonical_pair *b, bool by_value)
{
    int order = strcmp(a->name, b->name);

    return order == 0 && by_value ? strcmp(a->value, b->value) : order;
}

static int list_insert(struct canonical_list *list, struct canonical_pair pair, bool by_value)
{
    size_t at = list->count;

    if (at == CANONICAL_PAIRS_MAX)
        return -ENOBUFS;
    for (; at > 0 && pair_order(&pair, &list->pairs[at - 1], by_value) < 0; at--)
        list->pairs[at] = list->pairs[at - 1];
    list->pairs[at] = pair;
    list->count++;
    return 0;
}

/* --------------------------------------------------------------------------------- headers -- */

static int lower_name(const char *name, struct http_text *text, const char **out)
{
    for (; *name; name++) {
        char letter = to_lower(*name);
        http_text_append(text, &letter, 1);
    }
    return http_text_end(text, out);
}

static void append_value(struct http_text *text, const char *value, bool collapse)
{
    size_t count;

    while (is_space(*value))
        value++;
    for (count = strlen(value); count > 0 && is_space(value[count - 1]);)
        count--;
    for (size_t i = 0; i < count; i++) {
        if (!collapse || !is_space(value[i]))
            http_text_append(text, value + i, 1);
        else if (!is_space(value[i - 1]))
            http_text_append(text, " ", 1);
    }
}

static int add_header(struct canonical_list *list, const struct http_header *header,
                      canonical_filter *take, bool collapse, struct http_text *text)
{
    size_t used = text->used;
    struct canonical_pair pair;
    int status = lower_name(header->name, text, &pair.name);

    if (status < 0)
        return status;
    if (!take(pair.name)) {
        http_text_rewind(text, used);
        return 0;
    }
    append_value(text, header->value, collapse);
    status = http_text_end(text, &pair.value);
    return status < 0 ? status : list_insert(list, pair, false);
}

/* Joins the values of names that occur more than once. */
static int join_repeated(struct canonical_list *list, struct http_text *text)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count;) {
        struct canonical_pair pair = list->pairs[i];
        size_t next = i + 1;
        while (next < list->count && strcmp(list->pairs[next].name, pair.name) == 0)
            next++;
        if (next - i > 1) {
            int status;
            for (size_t k = i; k < next; k++) {
                http_text_puts(text, k > i ? "," : "");
                http_text_puts(text, list->pairs[k].value);
            }
            status = http_text_end(text, &pair.value);
            if (status < 0)
                return status;
        }
        list->pairs[kept++] = pair;
        i = next;
    }
    list->count = kept;
    return 0;
}

int canonical_headers(struct canonical_list *list, const struct http_request *request,
                      canonical_filter *take, bool collapse, struct http_text *text)
{
    struct http_header host = {"host", request->host};
    int status;

    list->count = 0;
    status = add_header(list, &host, take, collapse, text);
    for (uint32_t i = 0; status == 0 && i < request->header_count; i++)
        status = add_header(list, &request->headers[i], take, collapse, text);
    return status < 0 ? status : join_repeated(list, text);
}

/* ------------------------------------------------------------------------------------ query -- */

/* One name or value, decoded into the text, then in the form asked for. */
static int convert(const char *from, size_t count, bool encode, bool lower, struct http_text *text,
                   const char **out)
{
    char *decoded = text->base + text->used;
    int64_t length;

    if (count > text->room - text->used)
        return -ENOBUFS;
    length = http_decode(decoded, from, count);
    if (length < 0 || memchr(decoded, '\0', (size_t)length))
        return -EINVAL;
    for (int64_t i = 0; lower && i < length; i++)
        decoded[i] = to_lower(decoded[i]);
    text->used += (size_t)length;
    if (encode) {
        text->start = text->used; /* what was decoded is dropped with the whole text */
        http_text_encode(text, decoded, (size_t)length, HTTP_ENCODE_ALL);
    }
    return http_text_end(text, out);
}

int canonical_query(struct canonical_list *list, const char *query, enum canonical_query_form form,
                    struct http_text *text)
{
    bool encode = form == CANONICAL_ENCODED;

    list->count = 0;
    for (const char *at = query ? query : ""; *at;) {
        size_t length = strcspn(at, "&");
        const char *equals = memchr(at, '=', length);
        size_t name_length = equals ? (size_t)(equals - at) : length;
        size_t value_length = equals ? length - name_length - 1 : 0;
        struct canonical_pair pair;
        if (length > 0) {
            int status = convert(at, name_length, encode, !encode, text, &pair.name);
            if (status == 0)
                status = convert(equals ? equals + 1 : at, value_length, encode, false, text,
                                 &pair.value);
            if (status == 0)
                status = list_insert(list, pair, true);
            if (status < 0)
                return status;
        }
        at += length + (at[length] == '&');
    }
    return 0;
}
