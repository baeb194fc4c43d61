/* SPDX-License-Identifier: MIT */
/*
 * json.h - JSON objects that hold credentials: a thin, strict layer over json-c that overwrites the
 * strings it parsed.
 *
 * Threads: one at a time per document.
 */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_JSON_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_JSON_H

#include <stddef.h>
#include <stdint.h>

struct json_object;

/* Parses one whole object. NULL for anything else: another type, trailing bytes, invalid UTF-8,
 * nested too deep. */
struct json_object *json_parse(const char *text, size_t bytes);
void json_finish(struct json_object *root); /* NULL is allowed */

/* A member that is an object, or NULL. Lives with its parent. */
struct json_object *json_member(struct json_object *object, const char *name);
/* A member that is a string, not empty and without a NUL inside; else NULL. */
const char *json_text(struct json_object *object, const char *name);
/* A member that is a whole number >= 0, or a string of digits (some services quote their numbers);
 * else 0. */
uint64_t json_number(struct json_object *object, const char *name);

#endif
