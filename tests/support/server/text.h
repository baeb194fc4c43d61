/* SPDX-License-Identifier: MIT */
/*
 * text.h - text that grows, and header lines ("Name: value\r\n" each) in it. Zero the struct to
 * begin; server_text_free() at the end. A failed allocation aborts: this is test code.
 */
#ifndef LSIO_TESTS_SERVER_TEXT_H
#define LSIO_TESTS_SERVER_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct server_text {
    char *at; /* ended by a NUL, or NULL while nothing was added */
    size_t used, room;
};

void server_text_add(struct server_text *text, const void *bytes, size_t count);
void server_text_print(struct server_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void server_text_clear(struct server_text *text); /* keeps its memory */
void server_text_free(struct server_text *text);
/* Never NULL. */
const char *server_text_string(const struct server_text *text);
/* The text as a block of its own, to free(); the text is empty afterwards. */
char *server_text_take(struct server_text *text);

/* calloc and strdup that abort; the copy of NULL is NULL. */
void *server_alloc(size_t bytes);
char *server_copy(const char *string);
/* An array with room for one more than `count` entries; the old one must not be used any more. */
void *server_grow(void *array, size_t count, size_t *room, size_t entry_bytes);

/* The value of the first such line; false if there is none. Names are compared without case. */
bool server_line_find(const char *lines, const char *name, const char **value, size_t *value_bytes);
/* The same, as a number; `otherwise` if it is absent or no number. */
unsigned long long server_line_number(const char *lines, const char *name,
                                      unsigned long long otherwise);
/* Removes all lines of that name and adds one, unless value is NULL. */
void server_line_set(struct server_text *lines, const char *name, const char *value);

/* Percent-decodes (RFC 3986, 2.1); what is no valid triplet stays. '+' stays too. */
void server_text_decode(struct server_text *to, const char *from, size_t bytes);
/* Encodes all but RFC 3986's unreserved characters and '/'. */
void server_text_encode(struct server_text *to, const char *from, size_t bytes);
/* Adds text with the five characters replaced that XML reserves. */
void server_text_xml(struct server_text *to, const char *from);

#endif
