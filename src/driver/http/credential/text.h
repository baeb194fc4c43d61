/* SPDX-License-Identifier: MIT */
/*
 * text.h - a growing string that may hold a secret: every byte it ever held is wiped before its
 * memory goes back.
 *
 *     struct secret_text body = {0};
 *     secret_text_add(&body, "grant_type=refresh_token&refresh_token=");
 *     secret_text_add_encoded(&body, token);
 *     if (body.failed) ...            checked once, at the end
 *     secret_text_finish(&body);
 *
 * Threads: one at a time.
 */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_TEXT_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define SECRET_TEXT_BYTES_MAX ((size_t)1 << 20)

struct secret_text {
    char *base; /* NUL-terminated, or NULL while empty */
    size_t used, room;
    bool failed; /* no memory, or longer than SECRET_TEXT_BYTES_MAX; what follows is ignored */
};

void secret_text_add_bytes(struct secret_text *text, const void *bytes, size_t count);
void secret_text_add(struct secret_text *text, const char *string);
/* The string percent-encoded, for a query or a form: all but unreserved characters (RFC 3986,
 * 2.3). */
void secret_text_add_encoded(struct secret_text *text, const char *string);
void secret_text_printf(struct secret_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends the content of a regular file. 0, -errno, -EINVAL for another kind of file, or -EFBIG for
 * more than SECRET_TEXT_BYTES_MAX bytes. */
int secret_text_add_file(struct secret_text *text, const char *path);

/* The string; "" while empty. */
const char *secret_text_get(const struct secret_text *text);

/* Wipes and frees; the text is empty again. */
void secret_text_finish(struct secret_text *text);

#endif
