/* SPDX-License-Identifier: MIT */
/*
 * The fuzzer's bytes become strings, cut at NULs: a store's URL, its options, and a key. Opening a
 * store must end with a status, and a store that was opened closes; nothing may be created or
 * changed by it. The key is read below roots that must not be left: one without links, and one
 * whose links lead out, opened with symlinks=beneath. Beside both lies a canary, whose bytes must
 * never come back. In a memory:// store a key holds what was put under it.
 *
 * Schemes other than file:// and memory:// are other targets' business.
 *
 * LSIO_ROWS: D9
 */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lsio/lsio.h"

#define OPTIONS_MAX  4u
#define STRINGS_MAX  (2 + 2 * OPTIONS_MAX)
#define TEXT_MAX     (2u * PATH_MAX)
#define ENTRIES      3
#define CANARY       "the canary sings outside"
#define INSIDE       "inside"

/* All lies in a directory of this process:
 *     canary, plain/{file,sub/file}, linked/{file,out -> ../canary,up -> ..,sub/file} */
static struct lsio_context *context;
static struct lsio_store *plain, *linked, *memory;
static char place[] = "/tmp/lsio-fuzz-url-XXXXXX";
static int place_fd;
static const char *const entries[ENTRIES] = {"canary", "plain", "linked"};
static struct stat before[ENTRIES], place_before;

static void file_write(const char *path, const char *text)
{
    int fd = openat(place_fd, path, O_WRONLY | O_CREAT | O_EXCL, 0600);

    assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static void directory_make(const char *path)
{
    assert(mkdirat(place_fd, path, 0700) == 0);
}

static void place_remove(void)
{
    static const char *const files[] = {"canary", "plain/file", "plain/sub/file", "linked/file",
                                        "linked/out", "linked/up", "linked/sub/file"};
    static const char *const directories[] = {"plain/sub", "linked/sub", "plain", "linked"};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        unlinkat(place_fd, files[i], 0);
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
        unlinkat(place_fd, directories[i], AT_REMOVEDIR);
    rmdir(place);
}

static void place_make(void)
{
    assert(mkdtemp(place));
    place_fd = open(place, O_RDONLY | O_DIRECTORY);
    assert(place_fd >= 0);
    atexit(place_remove);
    directory_make("plain");
    directory_make("plain/sub");
    directory_make("linked");
    directory_make("linked/sub");
    file_write("canary", CANARY);
    file_write("plain/file", INSIDE);
    file_write("plain/sub/file", INSIDE);
    file_write("linked/file", INSIDE);
    file_write("linked/sub/file", INSIDE);
    assert(symlinkat("../canary", place_fd, "linked/out") == 0 &&
           symlinkat("..", place_fd, "linked/up") == 0);
    for (int i = 0; i < ENTRIES; i++)
        assert(fstatat(place_fd, entries[i], &before[i], 0) == 0);
    assert(fstat(place_fd, &place_before) == 0);
}

static struct lsio_store *root_open(const char *name, const struct lsio_option *options,
                                    size_t count)
{
    char path[sizeof(place) + 16];
    struct lsio_store *store;

    snprintf(path, sizeof(path), "%s/%s", place, name);
    assert(lsio_store_open(context, path, options, count, &store) == 0);
    return store;
}

/* A line is one line, and ends. */
static void log_check(int level, const char *text, void *data)
{
    (void)data;
    assert(level >= LSIO_LOG_ERROR && level <= LSIO_LOG_DEBUG);
    assert(strlen(text) <= 512);
}

static void world_make(void)
{
    const struct lsio_option beneath = {"symlinks", "beneath"};
    struct lsio_config config = {.struct_bytes = sizeof(config),
                                 .workers = 1,
                                 .memory_bytes_max = 2u << 20,
                                 .log_level = LSIO_LOG_DEBUG,
                                 .log = log_check};

    place_make();
    assert(lsio_context_create(&config, &context) == 0);
    plain = root_open("plain", NULL, 0);
    linked = root_open("linked", &beneath, 1);
    assert(lsio_store_open(context, "memory://keys", NULL, 0, &memory) == 0);
}

/* Nothing was made, removed, or written to. */
static void place_check(void)
{
    struct stat now;

    for (int i = 0; i < ENTRIES; i++) {
        assert(fstatat(place_fd, entries[i], &now, 0) == 0);
        assert(now.st_ino == before[i].st_ino && now.st_nlink == before[i].st_nlink &&
               now.st_mtim.tv_nsec == before[i].st_mtim.tv_nsec &&
               now.st_mtim.tv_sec == before[i].st_mtim.tv_sec &&
               now.st_ctim.tv_nsec == before[i].st_ctim.tv_nsec);
    }
    assert(fstat(place_fd, &now) == 0);
    assert(now.st_mtim.tv_nsec == place_before.st_mtim.tv_nsec &&
           now.st_mtim.tv_sec == place_before.st_mtim.tv_sec);
}

static void url_check(const char *text, const struct lsio_option *options, size_t count)
{
    struct lsio_store *store = NULL;
    char path[sizeof(place) + TEXT_MAX + 1];
    const char *url = text;
    int status;

    if (!strstr(text, "://")) { /* a bare path: below the place */
        snprintf(path, sizeof(path), "%s/%s", place, text);
        url = path;
    } else if (strncmp(text, "file://", 7) != 0 && strncmp(text, "memory://", 9) != 0) {
        return;
    }
    status = lsio_store_open(context, url, options, count, &store);
    assert(status <= 0 && !store == (status < 0));
    assert(lsio_status_name(status)[0]);
    assert(lsio_store_close(store) == 0);
    place_check();
}

/* True if one of the segments is `..`. */
static int key_climbs(const char *key)
{
    const char *segment = key, *slash;

    do {
        if (strncmp(segment, "..", 2) == 0 && (segment[2] == '/' || segment[2] == '\0'))
            return 1;
        slash = strchr(segment, '/');
        segment = slash ? slash + 1 : NULL;
    } while (segment);
    return 0;
}

static void key_check_file(struct lsio_store *store, const char *key)
{
    char bytes[64] = "";
    uint64_t count = 0;
    int status = lsio_read(context, store, key, 0, LSIO_TO_END, bytes, sizeof(bytes), &count);

    assert(status <= 0);
    assert(!memmem(bytes, sizeof(bytes), CANARY, 8));
    if (status == 0) /* there is one content below the roots */
        assert(count == strlen(INSIDE) && memcmp(bytes, INSIDE, count) == 0);
    if (key[0] == '\0' || key[0] == '/' || key_climbs(key))
        assert(status == -EINVAL);
}

static void key_check_memory(const char *key)
{
    char bytes[8] = "";
    uint64_t count = 0;
    int refused = key[0] == '\0' || key[0] == '/' || key_climbs(key);
    int status = lsio_memory_put(memory, key, "value", 5);

    assert(status == (refused ? -EINVAL : 0));
    status = lsio_read(context, memory, key, 1, LSIO_TO_END, bytes, sizeof(bytes), &count);
    assert(status == (refused ? -EINVAL : 0));
    if (!refused)
        assert(count == 4 && memcmp(bytes, "alue", 4) == 0 &&
               lsio_memory_remove(memory, key) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const char *strings[STRINGS_MAX];
    struct lsio_option options[OPTIONS_MAX];
    size_t string_count = 0, option_count = 0;
    char *text;

    if (!context)
        world_make();
    if (count > TEXT_MAX)
        return 0;
    text = calloc(1, count + 1); /* the last string ends where the block does */
    memcpy(text, bytes, count);
    for (size_t at = 0; at <= count && string_count < STRINGS_MAX; at += strlen(text + at) + 1)
        strings[string_count++] = text + at;
    for (; 2 * option_count + 3 < string_count; option_count++)
        options[option_count] = (struct lsio_option){strings[2 + 2 * option_count],
                                                     strings[3 + 2 * option_count]};
    url_check(strings[0], options, option_count);
    if (string_count > 1) {
        key_check_file(plain, strings[1]);
        key_check_file(linked, strings[1]);
        key_check_memory(strings[1]);
    }
    free(text);
    return 0;
}
