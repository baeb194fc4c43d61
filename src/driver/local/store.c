/* SPDX-License-Identifier: MIT */
/*
 * store.c - opens and closes roots; the driver's table.
 *
 * The root is opened once, as a place only (O_PATH), and every key is looked up below that
 * descriptor: a relative path keeps its meaning when the process changes directory, and a root that
 * is moved goes on working. A root that is not there fails here, so that absence found later is
 * absence of a key.
 *
 * Threads: open and close on the caller's; a store is frozen once it was handed out.
 */
#define _GNU_SOURCE /* strdup, O_PATH */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mark.h"
#include "driver/key.h"
#include "driver/local/detect.h"
#include "driver/local/file.h"
#include "driver/options.h"

static const char file_scheme[] = "file://";

/* ----------------------------------------------------------------------------------- paths -- */

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* Undoes %XX in place; -EINVAL for what is no such escape, or a NUL. */
static int percent_decode(char *text)
{
    char *out = text;

    for (const char *at = text; *at; at++) {
        if (*at == '%') {
            int high = hex_value(at[1]);
            int low = high < 0 ? -1 : hex_value(at[2]);
            if (low < 0 || (high == 0 && low == 0)) {
                LSIO_MARK(url_escape_refused);
                return -EINVAL;
            }
            *out++ = (char)(high << 4 | low);
            at += 2;
        } else {
            *out++ = *at;
        }
    }
    *out = '\0';
    return 0;
}

/* The directory that a URL names: allocated. "file://" may name this host, and is percent-encoded.
 */
static int path_of(const char *url, char **out)
{
    bool is_url = strncasecmp(url, file_scheme, sizeof(file_scheme) - 1) == 0;
    char *path;

    if (is_url) {
        url += sizeof(file_scheme) - 1;
        if (strncmp(url, "localhost/", 10) == 0)
            url += 9;
        if (url[0] != '/')
            return -EINVAL;
    }
    if (url[0] == '\0')
        return -EINVAL;
    path = strdup(url);
    if (!path)
        return -ENOMEM;
    if (is_url && percent_decode(path) < 0) {
        free(path);
        return -EINVAL;
    }
    *out = path;
    return 0;
}

/* --------------------------------------------------------------------------------- options -- */

static int own_option(void *data, const struct lsio_option *option)
{
    struct local_store *store = data;
    bool *place;
    const char *yes, *no;

    if (strcmp(option->key, "symlinks") == 0) {
        place = &store->beneath;
        yes = "beneath";
        no = "follow";
    } else if (strcmp(option->key, "change_check") == 0) {
        place = &store->change_check;
        yes = "on";
        no = "off";
    } else {
        return 0;
    }
    if (strcmp(option->value, yes) != 0 && strcmp(option->value, no) != 0)
        return -EINVAL;
    *place = strcmp(option->value, yes) == 0;
    return 1;
}

/* ----------------------------------------------------------------------------- open, close -- */

static void local_store_close(struct lsio_store *base, bool forked)
{
    struct local_store *store = local_store_of(base);

    if (!store)
        return;
    if (!forked && store->cache)
        cache_forget_store(store->cache, store);
    if (store->root_fd >= 0)
        store->os->close(store->root_fd);
    free(store->base.url);
    free(store);
}

static void say_why(const struct driver_open *open, const char *what)
{
    if (open->why && open->why_bytes > 0)
        snprintf(open->why, open->why_bytes, "%s", what);
}

static int root_open(struct local_store *store, const struct driver_open *open)
{
    char *path = NULL;
    int status = path_of(open->url, &path);

    if (status < 0) {
        say_why(open, "not a directory's path or file:// URL");
        return status;
    }
    store->root_fd = store->os->open(AT_FDCWD, path, O_PATH | O_DIRECTORY, false);
    free(path);
    if (store->root_fd >= 0)
        return 0;
    status = store->root_fd;
    LSIO_MARK(root_not_there);
    say_why(open, status == -ENOENT    ? "there is no such directory"
                  : status == -ENOTDIR ? "it is no directory"
                                       : "the directory cannot be opened");
    return status;
}

static int local_store_open(const struct driver_open *open, struct lsio_store **out)
{
    struct local_store *store = calloc(1, sizeof(*store));
    int status = -ENOMEM;

    if (!store)
        return -ENOMEM;
    store->base.driver = &driver_local;
    store->base.context = open->context;
    store->os = open->os;
    store->root_fd = -1;
    store->change_check = true;
    store->base.url = strdup(open->url);
    if (!store->base.url)
        goto fail;
    status = root_open(store, open);
    if (status < 0)
        goto fail;
    status = local_detect(store->os, store->root_fd, &store->base.profile, &store->remote);
    if (status < 0)
        goto fail;
    status = driver_options_apply(open, &store->base.profile, own_option, store);
    if (status < 0)
        goto fail;
    store->cache = open->state;
    *out = &store->base;
    return 0;
fail:
    local_store_close(&store->base, false);
    return status;
}

static int local_state_create(struct lsio_context *context, const struct loop_os *os,
                              uint32_t worker_count, void **out)
{
    struct local_cache *cache;
    int status = cache_create(os, worker_count, &cache);

    (void)context;
    if (status == 0)
        *out = cache;
    return status;
}

static void local_state_destroy(void *state, bool forked)
{
    cache_destroy(state, forked);
}

static int local_check_key(const struct lsio_store *store, const char *key)
{
    (void)store;
    return driver_key_check(key);
}

static const char *const local_schemes[] = {"file", NULL};

const struct driver_ops driver_local = {
    .name = "local",
    .schemes = local_schemes,
    .state_create = local_state_create,
    .state_destroy = local_state_destroy,
    .worker_leave = local_worker_leave,
    .store_open = local_store_open,
    .store_close = local_store_close,
    .read = local_read,
    .cancel = local_cancel,
    .check_key = local_check_key,
    .verify_object = local_verify_object,
    .finish_object = local_finish_object,
    .object_info = local_object_info,
    .describe_object = local_describe_object,
    .read_inline = local_read_inline,
    .list = local_list,
    .put = NULL,
    .remove = NULL,
};
