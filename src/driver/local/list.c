/* SPDX-License-Identifier: MIT */
/*
 * list.c - lists the regular files below a directory, in bytewise order of their keys.
 *
 * Each directory is read to its end and closed before its entries are visited, so one descriptor is
 * open at a time, however deep the tree. Entries are sorted with a '/' behind the names of
 * directories: then visiting them in turn gives whole keys in order ("a-b" < "a.c" < "a/d" < "a0").
 * Nothing is hidden: names with dots are keys like others. What is neither file nor directory is
 * left out, and so is a link that leads nowhere, or out of the root with symlinks = beneath.
 *
 * Links to directories are followed; one that leads to a directory being visited is left out, else
 * the tree would have no end.
 *
 * A prefix that does not exist lists nothing, as on a bucket. A directory that cannot be read fails
 * the listing: leaving out keys silently would make data look absent.
 *
 * Threads: the caller's, inside lsio_list().
 */
#define _GNU_SOURCE /* O_PATH */

#include <stdlib.h>
#include <string.h>

#include "base/mark.h"
#include "driver/key.h"
#include "driver/listing.h"
#include "driver/local/local.h"

#define KEY_BYTES_MAX 4096u

struct name {
    size_t at; /* in directory.text */
    bool is_directory;
    struct os_stat stat;
};

struct directory {
    struct name *names;
    size_t count, room;
    char *text;
    size_t text_bytes, text_room;
};

/* A directory that is being visited. */
struct visit {
    const struct visit *above;
    uint64_t device, inode;
};

struct walk {
    struct local_store *store;
    struct listing listing;
    bool recursive;
    char key[KEY_BYTES_MAX]; /* of what is being visited */
};

/* --------------------------------------------------------------------------- one directory -- */

static void *grown(void *memory, size_t *room, size_t needed, size_t item_bytes)
{
    size_t wanted = *room;
    void *more;

    if (needed <= wanted)
        return memory;
    while (wanted < needed)
        wanted = wanted * 2 + 64;
    more = realloc(memory, wanted * item_bytes);
    if (more)
        *room = wanted;
    return more;
}

static int name_add(const struct os_dir_entry *entry, void *data)
{
    struct directory *directory = data;
    size_t bytes = strlen(entry->name);
    struct name *names;
    char *text;

    if (!entry->is_directory && !entry->is_regular)
        return 0;
    text = grown(directory->text, &directory->text_room, directory->text_bytes + bytes + 2, 1);
    if (!text)
        return -ENOMEM;
    directory->text = text;
    names = grown(directory->names, &directory->room, directory->count + 1, sizeof(*names));
    if (!names)
        return -ENOMEM;
    directory->names = names;
    names[directory->count++] = (struct name){
        .at = directory->text_bytes, .is_directory = entry->is_directory, .stat = entry->stat};
    memcpy(text + directory->text_bytes, entry->name, bytes);
    directory->text_bytes += bytes;
    if (entry->is_directory)
        text[directory->text_bytes++] = '/';
    text[directory->text_bytes++] = '\0';
    return 0;
}

static int name_compare(const void *left, const void *right, void *text)
{
    return strcmp((const char *)text + ((const struct name *)left)->at,
                  (const char *)text + ((const struct name *)right)->at);
}

static void directory_free(struct directory *directory)
{
    free(directory->names);
    free(directory->text);
}

/* Reads the directory whose key is walk->key ("" is the root). */
static int directory_read(struct walk *walk, struct directory *directory, struct visit *visit)
{
    const struct local_store *store = walk->store;
    const char *path = walk->key[0] ? walk->key : ".";
    struct os_stat stat;
    int status;
    int fd =
        store->os->open(store->root_fd, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, store->beneath);

    if (fd < 0)
        return fd;
    status = store->os->stat_fd(fd, &stat);
    if (status == 0) {
        visit->device = stat.device;
        visit->inode = stat.inode;
        status = store->os->read_dir(fd, name_add, directory);
    }
    store->os->close(fd);
    if (status == 0 && directory->count > 1)
        qsort_r(directory->names, directory->count, sizeof(*directory->names), name_compare,
                directory->text);
    return status;
}

/* --------------------------------------------------------------------------------- walking -- */

static bool is_being_visited(const struct visit *visit, const struct os_stat *stat)
{
    for (; visit; visit = visit->above)
        if (visit->inode == stat->inode && visit->device == stat->device)
            return true;
    return false;
}

/* With symlinks = beneath: whether the key can be opened at all. 1, 0, or a status. */
static int is_reachable(const struct walk *walk)
{
    const struct local_store *store = walk->store;
    int fd;

    if (!store->beneath)
        return 1;
    fd = store->os->open(store->root_fd, walk->key, O_PATH, true);
    if (fd >= 0)
        store->os->close(fd);
    else if (fd != -EXDEV && fd != -ENOENT && fd != -ELOOP && fd != -ENOTDIR)
        return fd;
    return fd >= 0;
}

static int file_add(struct walk *walk, const struct os_stat *stat)
{
    char etag[LOCAL_ETAG_BYTES];
    struct lsio_list_entry entry = {
        .key = walk->key, .size = stat->size, .mtime_ns = stat->mtime_ns, .etag = etag};

    local_etag_write(stat, etag);
    return listing_add(&walk->listing, &entry);
}

static int prefix_add(struct walk *walk)
{
    struct lsio_list_entry entry = {.key = walk->key, .etag = "", .is_prefix = 1};

    return listing_add(&walk->listing, &entry);
}

static int directory_walk(struct walk *walk, const struct visit *above);

/* walk->key is the entry's. */
static int name_visit(struct walk *walk, const struct name *name, const struct visit *visit)
{
    int status = is_reachable(walk);

    if (status <= 0)
        return status;
    if (!name->is_directory)
        return file_add(walk, &name->stat);
    if (!walk->recursive)
        return prefix_add(walk);
    if (is_being_visited(visit, &name->stat)) {
        LSIO_MARK(list_loop_of_links);
        return 0;
    }
    status = directory_walk(walk, visit);
    return status == -ENOENT || status == -ENOTDIR ? 0 : status; /* removed meanwhile */
}

static int directory_walk(struct walk *walk, const struct visit *above)
{
    struct directory directory = {0};
    struct visit visit = {.above = above};
    size_t base = strlen(walk->key);
    int status = directory_read(walk, &directory, &visit);

    for (size_t i = 0; i < directory.count && status == 0; i++) {
        const char *text = directory.text + directory.names[i].at;
        size_t bytes = strlen(text);
        if (base + bytes >= sizeof(walk->key)) {
            LSIO_MARK(list_name_too_long);
            status = -ENAMETOOLONG;
            break;
        }
        memcpy(walk->key + base, text, bytes + 1);
        status = name_visit(walk, &directory.names[i], &visit);
        walk->key[base] = '\0';
    }
    directory_free(&directory);
    return status;
}

int local_list(struct lsio_store *base, const char *prefix, char delimiter, lsio_list_fn *on_page,
               void *data, struct driver_failure *failure)
{
    struct local_store *store = local_store_of(base);
    struct walk *walk;
    int status;

    (void)failure; /* the status says all */
    if (driver_prefix_check(prefix) < 0 || (delimiter != 0 && delimiter != '/') || !on_page)
        return -EINVAL;
    if (strlen(prefix) >= KEY_BYTES_MAX)
        return -ENAMETOOLONG;
    walk = calloc(1, sizeof(*walk));
    if (!walk)
        return -ENOMEM;
    walk->store = store;
    walk->recursive = delimiter == 0;
    strcpy(walk->key, prefix);
    status = listing_init(&walk->listing, on_page, data);
    if (status == 0) {
        status = directory_walk(walk, NULL);
        if (status == -ENOENT || status == -ENOTDIR)
            status = 0;
        else if (status == -EXDEV)
            status = -EACCES;
        if (status == 0)
            status = listing_flush(&walk->listing);
    }
    listing_finish(&walk->listing);
    free(walk);
    return status;
}
