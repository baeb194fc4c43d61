/* SPDX-License-Identifier: MIT */
/*
 * xml.c - expat behind xml_walk.h, and error bodies.
 *
 * Stores send no document type declaration, so any is refused at once: without entities there is
 * nothing to blow up, whatever expat's own guard against that does. Text is collected per element
 * and forgotten where a child begins: what is of interest has no children.
 *
 * One thread at a time per walk; expat has no state besides the parser.
 */
#include "driver/http/xml.h"

#include <expat.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/xml_walk.h"

/* ------------------------------------------------------------------------------------- walk -- */

static void walk_stop(struct xml_walk *walk, int status)
{
    if (walk->status == 0)
        walk->status = status;
    XML_StopParser(walk->parser, XML_FALSE);
}

static void on_start(void *data, const char *name, const char **attributes)
{
    struct xml_walk *walk = data;
    const char *colon = strchr(name, ':'); /* a prefix of some name space */
    const char *local = colon ? colon + 1 : name;
    size_t length = strlen(local);

    if (length + 2 > sizeof(walk->path) - walk->path_length) {
        walk_stop(walk, LSIO_E_PROTOCOL);
        return;
    }
    walk->path[walk->path_length++] = '/';
    memcpy(walk->path + walk->path_length, local, length + 1);
    walk->path_length += length;
    walk->text_length = 0;
    walk->encoded = false;
    for (; attributes[0]; attributes += 2) {
        if (strcmp(attributes[0], "Encoded") == 0)
            walk->encoded = strcmp(attributes[1], "true") == 0;
    }
}

static void on_text(void *data, const char *text, int length)
{
    struct xml_walk *walk = data;

    if ((size_t)length >= sizeof(walk->text) - walk->text_length) {
        walk_stop(walk, LSIO_E_PROTOCOL);
        return;
    }
    memcpy(walk->text + walk->text_length, text, (size_t)length);
    walk->text_length += (size_t)length;
}

static void on_end(void *data, const char *name)
{
    struct xml_walk *walk = data;
    int status;

    (void)name;
    if (walk->status < 0)
        return;
    walk->text[walk->text_length] = '\0';
    status = walk->leaf(walk, walk->path, walk->text, walk->text_length);
    if (status < 0)
        walk_stop(walk, status);
    walk->text_length = 0;
    walk->encoded = false;
    while (walk->path[--walk->path_length] != '/')
        continue;
    walk->path[walk->path_length] = '\0';
}

static void on_doctype(void *data, const char *name, const char *system, const char *public,
                       int internal)
{
    (void)name;
    (void)system;
    (void)public;
    (void)internal;
    walk_stop(data, LSIO_E_PROTOCOL);
}

int xml_walk_begin(struct xml_walk *walk,
                   int (*leaf)(struct xml_walk *, const char *, const char *, size_t))
{
    walk->leaf = leaf;
    walk->status = 0;
    walk->bytes = 0;
    walk->path_length = 0;
    walk->text_length = 0;
    walk->path[0] = '\0';
    if (walk->parser)
        XML_ParserReset(walk->parser, NULL);
    else
        walk->parser = XML_ParserCreate(NULL);
    if (!walk->parser)
        return -ENOMEM;
    XML_SetUserData(walk->parser, walk);
    XML_SetElementHandler(walk->parser, on_start, on_end);
    XML_SetCharacterDataHandler(walk->parser, on_text);
    XML_SetStartDoctypeDeclHandler(walk->parser, on_doctype);
    return 0;
}

int xml_walk_feed(struct xml_walk *walk, const void *bytes, size_t count, bool last)
{
    if (walk->status < 0)
        return walk->status;
    if (count > XML_BYTES_MAX - walk->bytes) {
        walk->status = LSIO_E_PROTOCOL;
        return walk->status;
    }
    walk->bytes += count;
    if (XML_Parse(walk->parser, bytes, (int)count, last) != XML_STATUS_OK && walk->status == 0)
        walk->status =
            XML_GetErrorCode(walk->parser) == XML_ERROR_NO_MEMORY ? -ENOMEM : LSIO_E_PROTOCOL;
    return walk->status;
}

void xml_walk_finish(struct xml_walk *walk)
{
    if (walk->parser)
        XML_ParserFree(walk->parser);
    walk->parser = NULL;
}

/* ------------------------------------------------------------------------------------ errors -- */

static void take_text(char *out, size_t room, const char *text)
{
    size_t used = 0;

    for (; *text && used + 1 < room; text++)
        out[used++] = (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
    out[used] = '\0';
}

bool xml_error_take(struct xml_error *error, const char *path, const char *text)
{
    static const char root[] = "/Error/";
    static const char nested[] = "/ErrorResponse/Error/"; /* STS */
    const struct {
        const char *name;
        char *out;
        size_t room;
    } fields[] = {{"Code", error->code, sizeof(error->code)},
                  {"Message", error->message, sizeof(error->message)},
                  {"Region", error->region, sizeof(error->region)},
                  {"Endpoint", error->endpoint, sizeof(error->endpoint)},
                  {"RequestId", error->request_id, sizeof(error->request_id)}};
    const char *name;

    if (strncmp(path, root, sizeof(root) - 1) == 0)
        name = path + sizeof(root) - 1;
    else if (strncmp(path, nested, sizeof(nested) - 1) == 0)
        name = path + sizeof(nested) - 1;
    else
        return false;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(name, fields[i].name) == 0)
            take_text(fields[i].out, fields[i].room, text);
    }
    return true;
}

struct error_walk {
    struct xml_walk walk; /* first */
    struct xml_error *out;
};

static int error_leaf(struct xml_walk *walk, const char *path, const char *text, size_t length)
{
    (void)length;
    (void)xml_error_take(((struct error_walk *)walk)->out, path, text);
    return 0;
}

int xml_error_parse(const void *bytes, size_t count, struct xml_error *out)
{
    struct error_walk error = {.out = out};
    int status;

    memset(out, 0, sizeof(*out));
    status = xml_walk_begin(&error.walk, error_leaf);
    if (status == 0)
        status = xml_walk_feed(&error.walk, bytes, count, true);
    xml_walk_finish(&error.walk);
    return status;
}
