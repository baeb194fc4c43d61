/* SPDX-License-Identifier: MIT */
/*
 * The fault server's objects: a table sorted by path, so that listings come in order, and the
 * sources that a body's bytes come from.
 *
 * An object never changes. To put one in the place of another makes a new one; answers under way go
 * on with the old one, which lives as long as somebody refers to it.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct object {
    atomic_uint references;
    char *path, *etag, *last_modified, *content_type, *headers;
    unsigned char *bytes; /* NULL: the pattern's, or the file's */
    uint64_t size, version;
    uint32_t pattern_id;
    int file; /* > 0 if set */
};

/* --------------------------------------------------------------------------------- pattern -- */

/* Odd, so that multiplying by it is a bijection of 64 bits: any word tells its id (20 bits of it)
 * and its offset. */
static const uint64_t PATTERN_STEP = 0x9e3779b97f4a7c15u;

static uint64_t pattern_word(uint32_t id, uint64_t index)
{
    return (((uint64_t)id << 44) + index) * PATTERN_STEP;
}

void server_pattern(uint32_t id, uint64_t offset, void *to, size_t bytes)
{
    unsigned char *at = to;
    uint64_t index = offset / 8;
    size_t lead = (size_t)(offset % 8);

    while (bytes > 0) {
        size_t words = lead == 0 ? bytes / 8 : 0, count;
        uint64_t word = pattern_word(id, index);
        for (size_t i = 0; i < words; i++) { /* nearly all of it, and so without a product */
            memcpy(at + 8 * i, &word, 8);
            word += PATTERN_STEP;
        }
        index += words + 1;
        at += 8 * words;
        bytes -= 8 * words;
        count = 8 - lead < bytes ? 8 - lead : bytes;
        memcpy(at, (unsigned char *)&word + lead, count);
        at += count;
        bytes -= count;
        lead = 0;
    }
}

int64_t server_pattern_check(uint32_t id, uint64_t offset, const void *bytes, size_t count)
{
    const unsigned char *at = bytes;
    unsigned char expected[4096];

    for (size_t done = 0; done < count;) {
        size_t piece = count - done < sizeof(expected) ? count - done : sizeof(expected);
        server_pattern(id, offset + done, expected, piece);
        for (size_t i = 0; i < piece && memcmp(at + done, expected, piece) != 0; i++) {
            if (at[done + i] != expected[i])
                return (int64_t)(done + i);
        }
        done += piece;
    }
    return -1;
}

/* ---------------------------------------------------------------------------------- object -- */

void object_release(struct object *object)
{
    if (!object || atomic_fetch_sub(&object->references, 1) > 1)
        return;
    free(object->path);
    free(object->etag);
    free(object->last_modified);
    free(object->content_type);
    free(object->headers);
    free(object->bytes);
    if (object->file > 0)
        close(object->file);
    free(object);
}

uint64_t object_bytes(const struct object *object)
{
    return object->size;
}

const char *object_etag(const struct object *object)
{
    return object->etag;
}

const char *object_path(const struct object *object)
{
    return object->path;
}

void object_headers(const struct server *s, const struct object *object, struct server_text *to)
{
    if (*object->etag)
        server_text_print(to, "ETag: %s\r\n", object->etag);
    if (*object->last_modified)
        server_text_print(to, "Last-Modified: %s\r\n", object->last_modified);
    server_text_print(to, "Content-Type: %s\r\nAccept-Ranges: bytes\r\n", object->content_type);
    if (s->config.style == SERVER_GCS)
        server_text_print(to, "x-goog-generation: %llu\r\n", (unsigned long long)object->version);
    if (object->headers)
        server_text_print(to, "%s", object->headers);
}

/* ----------------------------------------------------------------------------------- table -- */

/* Where the path is, or would be; the caller holds the lock. */
static size_t table_find(const struct server *s, const char *path, bool *found)
{
    size_t low = 0, high = s->object_count;

    *found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(s->objects[middle]->path, path);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void table_insert(struct server *s, size_t at, struct object *object)
{
    s->objects = server_grow(s->objects, s->object_count, &s->object_room, sizeof(*s->objects));
    memmove(s->objects + at + 1, s->objects + at, (s->object_count - at) * sizeof(*s->objects));
    s->objects[at] = object;
    s->object_count++;
}

int server_put(struct server *s, const struct server_object *object)
{
    struct object *made;
    struct server_text etag = {0};
    bool found;
    size_t at;

    if (!object->path || *object->path != '/')
        return -EINVAL;
    made = server_alloc(sizeof(*made));
    atomic_init(&made->references, 1);
    made->path = server_copy(object->path);
    made->size = object->size;
    made->pattern_id = object->pattern_id;
    made->last_modified = server_copy(object->last_modified ? object->last_modified
                                                            : "Tue, 02 Jan 2024 03:04:05 GMT");
    made->content_type =
        server_copy(object->content_type ? object->content_type : "application/octet-stream");
    made->headers = server_copy(object->headers);
    if (object->bytes) {
        made->bytes = server_alloc(object->size);
        memcpy(made->bytes, object->bytes, object->size);
    }
    pthread_mutex_lock(&s->lock);
    made->version = ++s->version;
    if (object->etag)
        server_text_print(&etag, "%s", object->etag);
    else
        server_text_print(&etag, "\"v%llu-%llu\"", (unsigned long long)made->version,
                          (unsigned long long)made->size);
    made->etag = server_text_take(&etag);
    at = table_find(s, object->path, &found);
    if (found) {
        object_release(s->objects[at]);
        s->objects[at] = made;
    } else {
        table_insert(s, at, made);
    }
    pthread_mutex_unlock(&s->lock);
    return 0;
}

int server_remove(struct server *s, const char *path)
{
    bool found;
    size_t at;

    pthread_mutex_lock(&s->lock);
    at = table_find(s, path, &found);
    if (found) {
        object_release(s->objects[at]);
        s->object_count--;
        memmove(s->objects + at, s->objects + at + 1, (s->object_count - at) * sizeof(*s->objects));
    }
    pthread_mutex_unlock(&s->lock);
    return found ? 0 : -ENOENT;
}

void objects_destroy(struct server *s)
{
    for (size_t i = 0; i < s->object_count; i++)
        object_release(s->objects[i]);
    free(s->objects);
}

bool bucket_exists(struct server *s, const char *path)
{
    size_t bytes = strcspn(path + 1, "/") + 1, at;
    struct server_text bucket = {0};
    bool found;

    server_text_add(&bucket, path, bytes);
    server_text_add(&bucket, "/", 1);
    pthread_mutex_lock(&s->lock);
    at = table_find(s, bucket.at, &found);
    if (!found)
        found = at < s->object_count && strncmp(s->objects[at]->path, bucket.at, bucket.used) == 0;
    pthread_mutex_unlock(&s->lock);
    server_text_free(&bucket);
    return found;
}

struct object *object_next(struct server *s, const char *after)
{
    struct object *object = NULL;
    bool found;
    size_t at;

    pthread_mutex_lock(&s->lock);
    at = table_find(s, after, &found);
    if (found)
        at++;
    if (at < s->object_count) {
        object = s->objects[at];
        atomic_fetch_add(&object->references, 1);
    }
    pthread_mutex_unlock(&s->lock);
    return object;
}

/* A file below the root, opened for this one answer. */
static struct object *object_of_file(const struct server *s, const char *path)
{
    struct server_text name = {0};
    struct object *object = NULL;
    struct stat status;
    struct tm modified;
    char date[64];
    int fd;

    if (strstr(path, "/../") || strchr(path, '\n'))
        return NULL;
    server_text_print(&name, "%s%s", s->root, path);
    fd = open(name.at, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd > 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        object = server_alloc(sizeof(*object));
        atomic_init(&object->references, 1);
        object->path = server_copy(path);
        object->file = fd;
        object->size = (uint64_t)status.st_size;
        object->version = (uint64_t)status.st_mtim.tv_sec;
        gmtime_r(&status.st_mtim.tv_sec, &modified);
        strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &modified);
        object->last_modified = server_copy(date);
        object->content_type = server_copy("application/octet-stream");
        server_text_clear(&name);
        server_text_print(&name, "\"%llx-%lx-%llx\"", (unsigned long long)status.st_mtim.tv_sec,
                          status.st_mtim.tv_nsec, (unsigned long long)status.st_size);
        object->etag = server_copy(name.at);
    } else if (fd >= 0) {
        close(fd);
    }
    server_text_free(&name);
    return object;
}

struct object *object_find(struct server *s, const char *path)
{
    struct object *object = NULL;
    bool found;
    size_t at;

    pthread_mutex_lock(&s->lock);
    at = table_find(s, path, &found);
    if (found) {
        object = s->objects[at];
        atomic_fetch_add(&object->references, 1);
    }
    pthread_mutex_unlock(&s->lock);
    return object || !s->root ? object : object_of_file(s, path);
}

/* ---------------------------------------------------------------------------------- source -- */

static size_t source_of_object(struct source *source, char *buffer, size_t room, const char **out)
{
    const struct object *object = source->object;
    uint64_t left = object->size > source->at ? object->size - source->at : 0;
    size_t count = left < room ? (size_t)left : room;

    *out = buffer;
    if (object->file > 0) {
        ssize_t got = pread(object->file, buffer, count, (off_t)source->at);
        count = got > 0 ? (size_t)got : 0;
    } else if (object->bytes) {
        *out = (const char *)object->bytes + source->at;
    } else {
        server_pattern(object->pattern_id, source->at, buffer, count);
    }
    source->at += count;
    return count;
}

size_t source_next(struct source *source, char *buffer, size_t room, const char **out)
{
    size_t count = 0;

    *out = buffer;
    if (source->object)
        return source_of_object(source, buffer, room, out);
    if (source->relay)
        return relay_body(source->relay, buffer, room);
    if (source->block) {
        count = source->block_bytes - source->at < room ? (size_t)(source->block_bytes - source->at)
                                                        : room;
        *out = source->block + source->at;
        source->at += count;
    }
    return count;
}

void source_free(struct source *source)
{
    object_release(source->object);
    free(source->block);
    if (source->relay)
        relay_done(source->relay);
    *source = (struct source){0};
}
