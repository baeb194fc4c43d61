/* SPDX-License-Identifier: MIT */
/*
 * Design: the world of local files, in /data for all local stores, and of objects in the one memory
 * store. Files change by replacement, in place, and by removal; faults are those of the simulated
 * loop and os (sim_loop.h), and strike or not.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include "sim_loop.h"

#define CANCEL_NS_MAX UINT64_C(6000000000) /* a read takes up to 1.5 s */

static void make_files(struct scenario *s)
{
    unsigned local = dice_below(&s->dice, 9), memory = dice_below(&s->dice, 4);

    for (unsigned i = 0; i < local + memory; i++) {
        char name[NAME_BYTES];
        struct file *file = world_add_file(s, name);
        struct version *version = &file->versions[0];
        bool in_memory = i >= local;
        if (!in_memory)
            snprintf(file->path, sizeof(file->path), "/data/%s", name);
        version->absent = dice_chance(&s->dice, 120);
        file->directory = !in_memory && !version->absent && dice_chance(&s->dice, 60);
        file->bad_key = dice_chance(&s->dice, 40);
        if (file->directory || file->bad_key)
            file->may_change = false;
        if (file->bad_key)
            snprintf(file->key, sizeof(file->key), "%s", i % 2 ? "../data/up" : "/absolute");
        else if (file->directory)
            sim_make_dir(file->path);
        else if (!version->absent && !in_memory)
            sim_put(file->path, version->bytes, version->size);
    }
    sim_make_dir("/data/sub");
}

/* ------------------------------------------------------------------------------------ faults -- */

static void make_faults(struct scenario *s)
{
    static const unsigned kinds[] = {LOOP_READ,   LOOP_READV,  LOOP_READ_FILE, LOOP_OPEN,
                                     SIM_OS_OPEN, SIM_OS_STAT, SIM_OS_READ,    LOOP_READ};
    static const int errors[] = {-EIO, -EIO, -ENOMEM, -ESTALE, -EACCES, -EMFILE};
    unsigned count = 1 + dice_below(&s->dice, 4);

    /* what loops and drivers must get over by themselves */
    if (dice_chance(&s->dice, 200))
        sim_add_fault((struct sim_fault){.kind = SIM_ATTACH_BUFFER,
                                         .count = dice_below(&s->dice, 5),
                                         .result = -ENOMEM});
    if (dice_chance(&s->dice, 200))
        sim_add_fault((struct sim_fault){.kind = SIM_ATTACH_FILE,
                                         .permille = 300,
                                         .result = -ENFILE});
    if (dice_chance(&s->dice, 500))
        sim_add_fault((struct sim_fault){.kind = LOOP_READ,
                                         .count = 30,
                                         .permille = 200,
                                         .result = dice_chance(&s->dice, 500) ? -EINTR : -EAGAIN});
    for (unsigned i = 0; i < count && s->file_count; i++) {
        struct file *file = &s->files[dice_below(&s->dice, s->file_count)];
        struct sim_fault fault = {.kind = kinds[dice_below(&s->dice, 8)],
                                  .path = file->path,
                                  .skip = dice_below(&s->dice, 4),
                                  .count = dice_below(&s->dice, 4),
                                  .permille = dice_chance(&s->dice, 500) ? 0 : 300};
        bool opens = fault.kind == LOOP_OPEN || fault.kind == SIM_OS_OPEN;
        fault.result = errors[dice_below(&s->dice, opens ? 6 : 4)];
        if (!file->path[0] || file->fault_count == FAULTS_MAX)
            continue;
        /* who cannot look at a file cannot know that it changed */
        file->may_change = file->may_change && fault.kind != SIM_OS_STAT;
        world_note_fault(file, fault.result);
        sim_add_fault(fault);
    }
}

/* ----------------------------------------------------------------------------------- changes -- */

static void change_memory(struct scenario *s, struct file *file, bool remove, uint64_t size)
{
    struct lsio_store *store = NULL;
    struct version *version;
    int status;

    for (unsigned i = 0; i < s->store_count; i++)
        if (s->stores[i].memory)
            store = s->stores[i].handle;
    if (!store || (remove && world_version_last(file)->absent))
        return;
    version = world_version_add(s, file, size);
    version->absent = remove;
    file->version_count++;
    status = remove ? lsio_memory_remove(store, file->key)
                    : lsio_memory_put(store, file->key, version->bytes, size);
    if (status == -ENOMEM && alloc_failed()) {
        free(version->bytes); /* nothing came of it */
        *version = version[-1];
        version->bytes = alloc_zeroed(version->size + 1, 1);
        memcpy(version->bytes, version[-1].bytes, version->size);
    } else if (status) {
        scenario_fail("changing %s in memory gave %d", file->key, status);
    }
}

/* In the file that is there: those who have it open see it. */
static void change_in_place(struct scenario *s, struct file *file, struct dice *dice)
{
    const struct version *before = world_version_last(file);
    bool resize = dice_chance(dice, 500) || before->size == 0;
    uint64_t size = resize ? world_draw_size(s, dice) : before->size;
    uint64_t kept = before->size < size ? before->size : size;
    struct version *after = world_version_add(s, file, size);

    after->in_place = true;
    if (resize) {
        memset(after->bytes, 0, size);
        memcpy(after->bytes, before->bytes, kept);
        file->version_count++;
        sim_resize(file->path, size);
    } else {
        uint64_t at = dice_below(dice, (uint32_t)size), bytes = dice_size(dice, 4096);
        if (bytes > size - at)
            bytes = size - at;
        memcpy(after->bytes, before->bytes, at);
        memcpy(after->bytes + at + bytes, before->bytes + at + bytes, size - at - bytes);
        file->version_count++;
        sim_write(file->path, at, after->bytes + at, bytes);
    }
}

static void change_file(struct scenario *s, struct file *file, struct dice *dice)
{
    struct version *version;
    bool absent = world_version_last(file)->absent;

    if (!absent && dice_chance(dice, 600)) {
        change_in_place(s, file, dice);
        return;
    }
    version = world_version_add(s, file, world_draw_size(s, dice));
    version->absent = !absent && dice_chance(dice, 300);
    file->version_count++;
    if (version->absent)
        sim_remove(file->path);
    else
        sim_put(file->path, version->bytes, version->size);
}

static void change(struct scenario *s, struct file *file, struct dice *dice)
{
    if (file->path[0]) {
        alloc_steady(); /* the simulated file system's memory is no matter of the library */
        change_file(s, file, dice);
        alloc_unsteady();
    } else {
        change_memory(s, file, dice_chance(dice, 200), world_draw_size(s, dice));
    }
}

/* ------------------------------------------------------------------------------------ stores -- */

static void store_open(struct scenario *s, struct store *store)
{
    static const char *const profiles[] = {"nvme", "ssd", "hdd", "hpc"};
    static const char *const direct[] = {"auto", "on", "off"};
    struct lsio_option options[10];
    size_t count = 0;
    int status;

    if (!store->memory && dice_chance(&s->dice, 800))
        world_add_option(store, options, &count, "profile", profiles[dice_below(&s->dice, 4)]);
    world_draw_options(s, store, options, &count);
    if (!store->memory)
        world_add_option(store, options, &count, "direct", direct[dice_below(&s->dice, 3)]);
    if (!store->memory && dice_chance(&s->dice, 300))
        world_add_option(store, options, &count, "symlinks", "beneath");
    status = lsio_store_open(s->context, store->memory ? "memory://sim" : "/data", options, count,
                             &store->handle);
    if (status)
        scenario_fail("a store could not be opened: %d", status);
}

static void open_stores(struct scenario *s)
{
    s->store_count = 1 + dice_below(&s->dice, STORES_MAX - 1);
    for (unsigned i = 0; i < s->store_count; i++) {
        s->stores[i].memory = i == 1;
        store_open(s, &s->stores[i]);
    }
    for (unsigned i = 0; i < s->file_count && s->store_count > 1; i++) {
        const struct file *file = &s->files[i];
        const struct version *version = &file->versions[0];
        if (!file->path[0] && !version->absent && !file->bad_key &&
            lsio_memory_put(s->stores[1].handle, file->key, version->bytes, version->size))
            scenario_fail("lsio_memory_put failed");
    }
}

const struct scenario_world world_local = {.make_files = make_files,
                                           .make_faults = make_faults,
                                           .open_stores = open_stores,
                                           .change = change,
                                           .cancel_ns_max = CANCEL_NS_MAX};
