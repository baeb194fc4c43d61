/* SPDX-License-Identifier: MIT */
/*
 * xml_walk.h - a document as a sequence of texts with paths, on expat. Internal to xml*.c.
 *
 * For each element that ends, `leaf` gets its path ("/Error/Code") and the text directly in it.
 * Threads: one at a time.
 */
#ifndef LSIO_DRIVER_HTTP_XML_WALK_H
#define LSIO_DRIVER_HTTP_XML_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XML_PATH_BYTES 256u
#define XML_TEXT_BYTES (16u * 1024) /* longest text of an element: keys have 1 KiB */

struct XML_ParserStruct;

struct xml_walk {
    struct XML_ParserStruct *parser;
    /* 0, or a negative status, which ends the walk. `text` has no NUL inside. */
    int (*leaf)(struct xml_walk *walk, const char *path, const char *text, size_t length);
    int status;
    uint64_t bytes; /* fed */
    bool encoded;   /* the element that ends had the attribute Encoded="true" */
    size_t path_length;
    size_t text_length;
    char path[XML_PATH_BYTES];
    char text[XML_TEXT_BYTES];
};

/* Begins a document; a walk may be begun again. -ENOMEM. Zero it first. */
int xml_walk_begin(struct xml_walk *walk,
                   int (*leaf)(struct xml_walk *, const char *, const char *, size_t));
int xml_walk_feed(struct xml_walk *walk, const void *bytes, size_t count, bool last);
void xml_walk_finish(struct xml_walk *walk);

struct xml_error;

/* Takes a leaf of an error body; false if it is none. */
bool xml_error_take(struct xml_error *error, const char *path, const char *text);

#endif
