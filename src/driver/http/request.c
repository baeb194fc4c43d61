/* SPDX-License-Identifier: MIT */
/*
 * request.c - see request.h.
 *
 * Overflow is remembered in the text rather than returned by each append, so that a string of ten
 * pieces has one place that can fail: its end. `used` never passes `room`, and a failed string
 * leaves no trace.
 */
#include "driver/http/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

/* ----------------------------------------------------------------------------------- text -- */

void http_text_init(struct http_text *text, char *base, size_t room)
{
    memset(text, 0, sizeof(*text));
    text->base = base;
    text->room = room;
}

void http_text_append(struct http_text *text, const void *bytes, size_t count)
{
    if (text->full || count > text->room - text->used) {
        text->full = true;
        return;
    }
    if (count > 0)
        memcpy(text->base + text->used, bytes, count);
    text->used += count;
}

void http_text_puts(struct http_text *text, const char *string)
{
    http_text_append(text, string, strlen(string));
}

void http_text_printf(struct http_text *text, const char *format, ...)
{
    size_t left = text->room - text->used;
    va_list arguments;
    int length;

    if (text->full)
        return;
    va_start(arguments, format);
    length = vsnprintf(text->base + text->used, left, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= left) /* vsnprintf wants room for a NUL, too */
        text->full = true;
    else
        text->used += (size_t)length;
}

void http_text_number(struct http_text *text, uint64_t number)
{
    char digits[20]; /* of UINT64_MAX */
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    http_text_append(text, digits + at, sizeof(digits) - at);
}

int http_text_end(struct http_text *text, const char **out)
{
    http_text_append(text, "", 1);
    if (text->full) {
        http_text_rewind(text, text->start);
        return -ENOBUFS;
    }
    *out = text->base + text->start;
    text->start = text->used;
    return 0;
}

/* -------------------------------------------------------------------------------- request -- */

/* RFC 9110 section 5.6.2 */
static bool is_token(const char *name)
{
    const char *at = name;

    while ((*at >= 'a' && *at <= 'z') || *at == '-' || (*at >= 'A' && *at <= 'Z') ||
           (*at >= '0' && *at <= '9') || (*at && strchr("!#$%&'*+.^_`|~", *at)))
        at++;
    return at != name && *at == '\0';
}

/* Section 5.5; folded lines are obsolete and refused. */
static bool is_value(const char *value)
{
    for (const unsigned char *at = (const unsigned char *)value; *at; at++) {
        if ((*at < ' ' && *at != '\t') || *at == 0x7f)
            return false;
    }
    return true;
}

int http_request_header(struct http_request *request, const char *name, const char *value)
{
    if (!is_token(name) || !is_value(value))
        return -EINVAL;
    if (request->header_count == HTTP_HEADERS_MAX)
        return -ENOBUFS;
    request->headers[request->header_count].name = name;
    request->headers[request->header_count].value = value;
    request->header_count++;
    return 0;
}

const char *http_request_find(const struct http_request *request, const char *name)
{
    for (uint32_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    }
    return NULL;
}
