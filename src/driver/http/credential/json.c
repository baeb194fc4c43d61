/* SPDX-License-Identifier: MIT */
/*
 * json.c - see json.h. json-c frees strings without overwriting them, so json_finish() walks the
 * document first. What its tokener used for the token in work is out of reach; it is reused and
 * freed within json_parse().
 */
#define _GNU_SOURCE /* explicit_bzero */
#include "driver/http/credential/json.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16

struct json_object *json_parse(const char *text, size_t bytes)
{
    struct json_tokener *tokener;
    struct json_object *root = NULL;

    if (bytes > INT32_MAX)
        return NULL;
    tokener = json_tokener_new_ex(DEPTH_MAX);
    if (!tokener)
        return NULL;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    root = json_tokener_parse_ex(tokener, text, (int)bytes);
    /* Strict mode refuses trailing characters, but stops at a NUL without a word. */
    if (root && json_tokener_get_parse_end(tokener) != bytes) {
        json_finish(root);
        root = NULL;
    }
    json_tokener_free(tokener);
    if (root && !json_object_is_type(root, json_type_object)) {
        json_finish(root);
        root = NULL;
    }
    return root;
}

static void wipe(struct json_object *value)
{
    if (json_object_is_type(value, json_type_string)) {
        explicit_bzero((char *)(uintptr_t)json_object_get_string(value),
                       (size_t)json_object_get_string_len(value));
    } else if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value); i++)
            wipe(json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member)
        {
            (void)name;
            wipe(member);
        }
    }
}

void json_finish(struct json_object *root)
{
    wipe(root);
    json_object_put(root);
}

struct json_object *json_member(struct json_object *object, const char *name)
{
    struct json_object *member;

    if (!json_object_object_get_ex(object, name, &member) ||
        !json_object_is_type(member, json_type_object))
        return NULL;
    return member;
}

const char *json_text(struct json_object *object, const char *name)
{
    struct json_object *member;
    const char *text;

    if (!json_object_object_get_ex(object, name, &member) ||
        !json_object_is_type(member, json_type_string))
        return NULL;
    text = json_object_get_string(member);
    if (*text == '\0' || strlen(text) != (size_t)json_object_get_string_len(member))
        return NULL;
    return text;
}

uint64_t json_number(struct json_object *object, const char *name)
{
    struct json_object *member;
    const char *text = json_text(object, name);
    uint64_t number;
    char *end;

    if (!text) {
        if (!json_object_object_get_ex(object, name, &member) ||
            !json_object_is_type(member, json_type_int))
            return 0;
        return json_object_get_int64(member) > 0 ? (uint64_t)json_object_get_int64(member) : 0;
    }
    if (*text < '0' || *text > '9')
        return 0;
    errno = 0;
    number = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? number : 0;
}
