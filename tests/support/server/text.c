/* SPDX-License-Identifier: MIT */
/*
 * Text that grows, header lines and the two encodings, for the fault server. Everything here is
 * plain data without locks: a text belongs to whoever made it. Running out of memory ends the test
 * program, which keeps error paths out of code that exists to test those of others.
 */
#define _GNU_SOURCE
#include "server/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void *checked(void *block)
{
    if (!block) {
        fputs("fault server: out of memory\n", stderr);
        abort();
    }
    return block;
}

void *server_alloc(size_t bytes)
{
    return checked(calloc(1, bytes ? bytes : 1));
}

char *server_copy(const char *string)
{
    return string ? checked(strdup(string)) : NULL;
}

void *server_grow(void *array, size_t count, size_t *room, size_t entry_bytes)
{
    if (count < *room)
        return array;
    *room = *room ? 2 * *room : 64;
    return checked(realloc(array, *room * entry_bytes));
}

static void reserve(struct server_text *text, size_t more)
{
    size_t want = text->used + more + 1;

    if (want <= text->room)
        return;
    text->room = want < 256 ? 256 : want + want / 2;
    text->at = checked(realloc(text->at, text->room));
}

void server_text_add(struct server_text *text, const void *bytes, size_t count)
{
    reserve(text, count);
    if (count > 0)
        memcpy(text->at + text->used, bytes, count);
    text->used += count;
    text->at[text->used] = 0;
}

void server_text_print(struct server_text *text, const char *format, ...)
{
    va_list arguments, again;
    int count;

    va_start(arguments, format);
    va_copy(again, arguments);
    count = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    reserve(text, (size_t)count);
    vsnprintf(text->at + text->used, (size_t)count + 1, format, again);
    va_end(again);
    text->used += (size_t)count;
}

void server_text_clear(struct server_text *text)
{
    text->used = 0;
    if (text->at)
        text->at[0] = 0;
}

void server_text_free(struct server_text *text)
{
    free(text->at);
    *text = (struct server_text){0};
}

const char *server_text_string(const struct server_text *text)
{
    return text->at ? text->at : "";
}

char *server_text_take(struct server_text *text)
{
    char *block;

    reserve(text, 0);
    block = text->at;
    block[text->used] = 0;
    *text = (struct server_text){0};
    return block;
}

/* ---------------------------------------------------------------------------- header lines -- */

static const char *line_after(const char *line)
{
    const char *end = strchr(line, '\n');

    return end ? end + 1 : line + strlen(line);
}

static bool line_is(const char *line, const char *name, size_t name_bytes)
{
    return strncasecmp(line, name, name_bytes) == 0 && line[name_bytes] == ':';
}

bool server_line_find(const char *lines, const char *name, const char **value, size_t *value_bytes)
{
    size_t name_bytes = strlen(name);

    for (const char *line = lines; *line; line = line_after(line)) {
        const char *begin, *end;
        if (!line_is(line, name, name_bytes))
            continue;
        begin = line + name_bytes + 1;
        end = begin + strcspn(begin, "\r\n");
        while (begin < end && (*begin == ' ' || *begin == '\t'))
            begin++;
        while (end > begin && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        *value = begin;
        *value_bytes = (size_t)(end - begin);
        return true;
    }
    return false;
}

unsigned long long server_line_number(const char *lines, const char *name,
                                      unsigned long long otherwise)
{
    const char *value;
    size_t bytes;
    char *end;
    unsigned long long number;

    if (!server_line_find(lines, name, &value, &bytes) || !isdigit((unsigned char)*value))
        return otherwise;
    number = strtoull(value, &end, 10);
    return end == value + bytes ? number : otherwise;
}

void server_line_set(struct server_text *lines, const char *name, const char *value)
{
    size_t name_bytes = strlen(name), at = 0;

    while (at < lines->used) {
        size_t next = (size_t)(line_after(lines->at + at) - lines->at);
        if (line_is(lines->at + at, name, name_bytes)) {
            memmove(lines->at + at, lines->at + next, lines->used - next + 1);
            lines->used -= next - at;
        } else {
            at = next;
        }
    }
    if (value)
        server_text_print(lines, "%s: %s\r\n", name, value);
}

/* ------------------------------------------------------------------------------- encodings -- */

static int hex_value(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

void server_text_decode(struct server_text *to, const char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char c = from[i];
        if (c == '%' && i + 2 < bytes && isxdigit((unsigned char)from[i + 1]) &&
            isxdigit((unsigned char)from[i + 2])) {
            c = (char)(hex_value(from[i + 1]) * 16 + hex_value(from[i + 2]));
            i += 2;
        }
        server_text_add(to, &c, 1);
    }
}

void server_text_encode(struct server_text *to, const char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)from[i];
        bool plain = (c < 128 && isalnum(c)) || (c && strchr("-._~/", c));
        if (plain)
            server_text_add(to, from + i, 1);
        else
            server_text_print(to, "%%%02X", c);
    }
}

void server_text_xml(struct server_text *to, const char *from)
{
    static const char reserved[] = "&<>\"'";
    static const char *const instead[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};

    for (; *from; from++) {
        const char *found = strchr(reserved, *from);
        if (found)
            server_text_print(to, "%s", instead[found - reserved]);
        else
            server_text_add(to, from, 1);
    }
}
