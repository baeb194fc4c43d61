/* SPDX-License-Identifier: MIT */
/*
 * text.c - see text.h. realloc() is not used: it may leave a copy of the old bytes behind in memory
 * that it has freed.
 */
#define _GNU_SOURCE
#include "driver/http/credential/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/http/encode.h"

#define ROOM_BYTES_FIRST ((size_t)512)

/* Room for `more` bytes and the NUL behind them. */
static bool room_make(struct secret_text *text, size_t more)
{
    size_t room = text->room ? text->room : ROOM_BYTES_FIRST;
    char *base;

    if (text->failed || more > SECRET_TEXT_BYTES_MAX - text->used) {
        text->failed = true;
        return false;
    }
    if (text->used + more < text->room)
        return true;
    while (room <= text->used + more)
        room *= 2;
    base = malloc(room);
    if (!base) {
        text->failed = true;
        return false;
    }
    if (text->base) {
        memcpy(base, text->base, text->used + 1);
        explicit_bzero(text->base, text->room);
        free(text->base);
    } else {
        base[0] = '\0';
    }
    text->base = base;
    text->room = room;
    return true;
}

void secret_text_add_bytes(struct secret_text *text, const void *bytes, size_t count)
{
    if (count == 0 || !room_make(text, count))
        return;
    memcpy(text->base + text->used, bytes, count);
    text->used += count;
    text->base[text->used] = '\0';
}

void secret_text_add(struct secret_text *text, const char *string)
{
    secret_text_add_bytes(text, string, strlen(string));
}

void secret_text_add_encoded(struct secret_text *text, const char *string)
{
    size_t count = strlen(string);
    struct http_text out;

    if (count > SECRET_TEXT_BYTES_MAX / 3 || !room_make(text, 3 * count)) {
        text->failed = true;
        return;
    }
    http_text_init(&out, text->base + text->used, 3 * count + 1);
    http_text_encode(&out, string, count, HTTP_ENCODE_ALL);
    text->used += http_text_length(&out);
    text->base[text->used] = '\0';
}

void secret_text_printf(struct secret_text *text, const char *format, ...)
{
    va_list args;
    int count;

    va_start(args, format);
    count = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (count < 0 || !room_make(text, (size_t)count)) {
        text->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(text->base + text->used, (size_t)count + 1, format, args);
    va_end(args);
    text->used += (size_t)count;
}

int secret_text_add_file(struct secret_text *text, const char *path)
{
    struct stat stat;
    int status = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */

    if (fd < 0)
        return -errno;
    if (fstat(fd, &stat) != 0)
        status = -errno;
    else if (!S_ISREG(stat.st_mode))
        status = S_ISDIR(stat.st_mode) ? -EISDIR : -EINVAL;
    while (status == 0) {
        char block[4096];
        ssize_t got = read(fd, block, sizeof(block));

        if (got > 0)
            secret_text_add_bytes(text, block, (size_t)got);
        explicit_bzero(block, sizeof(block));
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            status = -errno;
        if (text->failed)
            status = -EFBIG;
    }
    close(fd);
    return status;
}

const char *secret_text_get(const struct secret_text *text)
{
    return text->base ? text->base : "";
}

void secret_text_finish(struct secret_text *text)
{
    if (text->base) {
        explicit_bzero(text->base, text->room);
        free(text->base);
    }
    memset(text, 0, sizeof(*text));
}
