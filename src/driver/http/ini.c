/* SPDX-License-Identifier: MIT */
/*
 * ini.c - see ini.h. One pass over the text, in place: no memory is taken, so no copy of a secret
 * is made.
 *
 * Format: "Configuration and credential file settings" of the AWS SDKs and Tools reference guide
 * and of the AWS CLI user guide. What matters here and what common ini readers get wrong: an
 * indented line belongs to the line before it (to a nested block, if that has no value, else it
 * goes on with the value, and no value that matters here does) and is never a property of the
 * section; a comment behind a value needs a blank before its sign, for `#` and `;`
 * may be part of a value; a property before any section belongs to none and is dropped.
 */
#include "driver/http/ini.h"

#include <stdbool.h>
#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts the blanks off both ends. */
static char *trim(char *text)
{
    size_t length;

    while (is_blank(*text))
        text++;
    length = strlen(text);
    while (length > 0 && is_blank(text[length - 1]))
        text[--length] = '\0';
    return text;
}

static void cut_comment(char *value)
{
    for (char *at = value; *at; at++) {
        if ((*at == '#' || *at == ';') && is_blank(at[-1])) {
            *at = '\0';
            return;
        }
    }
}

static void lower(char *key)
{
    for (; *key; key++)
        if (*key >= 'A' && *key <= 'Z')
            *key = (char)(*key - 'A' + 'a');
}

/* "[name]" or "[name] # comment"; NULL if the bracket is not closed. */
static char *section_of(char *line)
{
    char *end = strchr(line, ']');

    if (!end)
        return NULL;
    *end = '\0';
    return trim(line + 1);
}

/* "key = value" into its parts, where they stand: the value, or NULL. */
static char *property_of(char *line)
{
    char *equals = strchr(line, '=');

    if (!equals)
        return NULL;
    *equals = '\0';
    cut_comment(equals + 1);
    lower(line);
    return trim(equals + 1);
}

int ini_parse(char *text, ini_fn *each, void *data)
{
    const char *section = NULL, *block = NULL;
    int status = 0;

    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) /* a byte-order mark */
        text += 3;
    while (text && status == 0) {
        char *line = text;
        char *next = strchr(line, '\n');
        bool indented = is_blank(*line);
        char *value;

        if (next)
            *next++ = '\0';
        text = next;
        line = trim(line);
        if (*line == '\0' || *line == '#' || *line == ';')
            continue;
        if (!indented && *line == '[') {
            section = section_of(line);
            block = NULL;
            if (section)
                status = each(data, section, NULL, NULL, NULL);
            continue;
        }
        value = section && (!indented || block) ? property_of(line) : NULL;
        if (!indented)
            block = value && !*value ? trim(line) : NULL;
        if (value)
            status = each(data, section, indented ? block : NULL, trim(line), value);
    }
    return status;
}
