/* SPDX-License-Identifier: MIT */
/* options_value.h - the values of options as numbers. Pure; any thread. All return 0 or -EINVAL. */
#ifndef LSIO_DRIVER_HTTP_OPTIONS_VALUE_H
#define LSIO_DRIVER_HTTP_OPTIONS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* true yes on 1, false no off 0, in any case; `also` (may be NULL) is another word for true. */
int option_bool(const char *text, const char *also, bool *out);

/* The index of the word in "a|b|c". */
int option_word(const char *text, const char *words, uint8_t *out);

/* Digits; with `size` a suffix K, M or G (powers of 1024) may follow. */
int option_count(const char *text, bool size, uint64_t *out);

/* "30s", "250ms", "1m 30s", "2 hours"; a mere number is seconds. In milliseconds. */
int option_duration(const char *text, uint64_t *out);

/* Calls in turn for the words of "a|b|c": the next one behind `*at`, its length in *length; NULL at
 * the end. Begin with *at = the list. */
const char *option_next_word(const char **at, size_t *length);

/* How many letters must be changed, added or left out to make `b` of `a` (Levenshtein); UINT32_MAX
 * for words of more than 63 letters. */
uint32_t option_distance(const char *a, size_t a_length, const char *b, size_t b_length);

#endif
