/* SPDX-License-Identifier: MIT */
/* options_value.c - see options_value.h. Pure; any thread. */
#include "driver/http/options_value.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"

#define WORD_LETTERS_MAX 63u

const char *option_next_word(const char **at, size_t *length)
{
    const char *word = *at;

    if (!word || !*word)
        return NULL;
    *length = strcspn(word, "|");
    *at = word + *length + (word[*length] == '|');
    return word;
}

static bool word_is(const char *text, const char *word, size_t length)
{
    return strlen(text) == length && strncasecmp(text, word, length) == 0;
}

int option_word(const char *text, const char *words, uint8_t *out)
{
    const char *word;
    uint8_t index = 0;
    size_t length;

    for (; (word = option_next_word(&words, &length)); index++) {
        if (word_is(text, word, length)) {
            *out = index;
            return 0;
        }
    }
    return -EINVAL;
}

int option_bool(const char *text, const char *also, bool *out)
{
    uint8_t index;

    if (also && strcasecmp(text, also) == 0) {
        *out = true;
        return 0;
    }
    if (option_word(text, "false|no|off|0|true|yes|on|1", &index) < 0)
        return -EINVAL;
    *out = index >= 4;
    return 0;
}

/* Digits at *text, which moves behind them. */
static int take_digits(const char **text, uint64_t *out)
{
    const char *begin = *text;
    uint64_t number = 0;

    for (; **text >= '0' && **text <= '9'; ++*text) {
        if (number > (UINT64_MAX - 9) / 10)
            return -EINVAL;
        number = number * 10 + (uint64_t)(**text - '0');
    }
    *out = number;
    return *text > begin ? 0 : -EINVAL;
}

int option_count(const char *text, bool size, uint64_t *out)
{
    static const char suffixes[] = "KMG";
    const char *suffix;
    uint64_t number;
    unsigned shift = 0;

    if (take_digits(&text, &number) < 0)
        return -EINVAL;
    suffix = size && *text ? strchr(suffixes, *text & ~0x20) : NULL;
    if (suffix) {
        shift = 10 * (unsigned)(suffix - suffixes + 1);
        text++;
    }
    if (*text || number > UINT64_MAX >> shift)
        return -EINVAL;
    *out = number << shift;
    return 0;
}

/* Milliseconds of the unit at *text, which moves behind it; 0 if it is none. */
static uint64_t take_unit(const char **text)
{
    static const struct {
        const char *names;
        uint64_t ms;
    } units[] = {{"ms|msec|millis|millisecond|milliseconds", 1},
                 {"s|sec|secs|second|seconds", 1000},
                 {"m|min|mins|minute|minutes", 60000},
                 {"h|hr|hrs|hour|hours", 3600000}};
    size_t letters = strspn(*text, "abcdefghijklmnopqrstuvwxyz");

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        const char *names = units[i].names, *name;
        size_t length;
        while ((name = option_next_word(&names, &length))) {
            if (length == letters && strncmp(*text, name, length) == 0) {
                *text += letters;
                return units[i].ms;
            }
        }
    }
    return 0;
}

int option_duration(const char *text, uint64_t *out)
{
    uint64_t total_ms = 0;
    uint64_t number, unit_ms;

    if (take_digits(&text, &number) < 0)
        return -EINVAL;
    if (!*text) {
        unit_ms = 1000;
    } else {
        text += strspn(text, " ");
        unit_ms = take_unit(&text);
    }
    for (;;) {
        if (unit_ms == 0 || number > (UINT64_MAX - total_ms) / unit_ms)
            return -EINVAL;
        total_ms += number * unit_ms;
        text += strspn(text, " ");
        if (!*text)
            break;
        if (take_digits(&text, &number) < 0)
            return -EINVAL;
        text += strspn(text, " ");
        unit_ms = take_unit(&text);
    }
    *out = total_ms;
    return 0;
}

uint32_t option_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    uint32_t row[WORD_LETTERS_MAX + 1];

    if (a_length > WORD_LETTERS_MAX || b_length > WORD_LETTERS_MAX)
        return UINT32_MAX;
    for (uint32_t k = 0; k <= b_length; k++)
        row[k] = k;
    for (uint32_t i = 1; i <= a_length; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t k = 1; k <= b_length; k++) {
            uint32_t replaced = diagonal + (a[i - 1] != b[k - 1]);
            uint32_t other = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;
            diagonal = row[k];
            row[k] = replaced < other ? replaced : other;
        }
    }
    return row[b_length];
}
