/* SPDX-License-Identifier: MIT */
/*
 * encode.c - see encode.h.
 *
 * Keys are bytes, not text: they are encoded byte for byte and nothing is normalised, so that what
 * was put is what is asked for. Digits of escapes are upper case, as the signing schemes demand.
 * Pure; any thread.
 */
#include "driver/http/encode.h"

#include <string.h>

#include "base/error.h"

/* RFC 3986 section 2.3 */
static bool is_unreserved(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

void http_text_encode(struct http_text *text, const void *bytes, size_t count,
                      enum http_encode_mode mode)
{
    static const char digits[] = "0123456789ABCDEF";
    const unsigned char *at = bytes;
    size_t plain = 0;

    for (size_t i = 0; i < count; i++) {
        if (is_unreserved(at[i]) || (at[i] == '/' && mode == HTTP_ENCODE_KEEP_SLASH)) {
            plain++;
            continue;
        }
        http_text_append(text, at + i - plain, plain);
        plain = 0;
        http_text_append(text, (char[3]){'%', digits[at[i] >> 4], digits[at[i] & 15]}, 3);
    }
    if (plain > 0)
        http_text_append(text, at + count - plain, plain);
}

void http_text_query(struct http_text *text, const char *name, const char *value)
{
    if (http_text_length(text) > 0)
        http_text_puts(text, "&");
    http_text_puts(text, name);
    if (!value)
        return;
    http_text_puts(text, "=");
    http_text_encode(text, value, strlen(value), HTTP_ENCODE_ALL);
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int http_hex_pair(const char *digits)
{
    int high = hex_digit(digits[0]);
    int low = high < 0 ? -1 : hex_digit(digits[1]);

    return low < 0 ? -1 : high << 4 | low;
}

int64_t http_decode(char *out, const char *in, size_t count)
{
    int64_t length = 0;

    for (size_t i = 0; i < count; i++) {
        int byte = (unsigned char)in[i];
        if (byte == '%') {
            byte = count - i < 3 ? -1 : http_hex_pair(in + i + 1);
            if (byte < 0)
                return -EINVAL;
            i += 2;
        }
        out[length++] = (char)byte;
    }
    return length;
}

bool http_text_is_clean(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at < ' ' || *at == 0x7f)
            return false;
    }
    return true;
}
