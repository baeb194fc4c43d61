/* SPDX-License-Identifier: MIT */
/*
 * The ini dialect of AWS's files: whatever the text, sections, keys and values are strings inside
 * it, without line breaks or blanks at their ends.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "driver/http/ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

struct bounds {
    const char *begin, *end;
};

static void check(const struct bounds *bounds, const char *text)
{
    size_t length = strlen(text);

    assert(text >= bounds->begin && text + length <= bounds->end);
    assert(!strchr(text, '\n'));
    assert(length == 0 || (!strchr(" \t\r", text[0]) && !strchr(" \t\r", text[length - 1])));
}

static int on_property(void *data, const char *section, const char *block, const char *key,
                       const char *value)
{
    assert(!key == !value);
    assert(key || !block);
    check(data, section);
    if (block)
        check(data, block);
    if (key) {
        check(data, key);
        check(data, value);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char *text = malloc(count + 1);
    struct bounds bounds = {text, text + count};

    if (!text)
        return 0;
    memcpy(text, bytes, count);
    text[count] = '\0';
    assert(ini_parse(text, on_property, &bounds) == 0);
    free(text);
    return 0;
}
