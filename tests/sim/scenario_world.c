/* SPDX-License-Identifier: MIT */
/*
 * Design: files are made before anything runs, in /data for all local stores and in the one memory
 * store. Each keeps every version it had, for a batch may be answered from any version that was to
 * be seen between its begin and its end. A file changes at most once per instant of virtual time:
 * two changes at one instant have the same mtime, and no reader could tell them apart.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lsio/stages.h"
#include "scenario.h"
#include "sim_loop.h"

#define KIB 1024u
#define HUGE_BYTES (1500 * KIB)
#define NEAR_SIZES 6

static struct version *version_last(struct file *file)
{
    return &file->versions[file->version_count - 1];
}

/* ----------------------------------------------------------------------------------- content -- */

/* Each 8 bytes tell file, version and place; each block ends in its checksum. */
static void fill(uint8_t *bytes, uint64_t size, uint64_t id)
{
    for (uint64_t at = 0; at < size; at += 8) {
        uint64_t word = (id << 32 | at) * UINT64_C(0x9e3779b97f4a7c15);
        memcpy(bytes + at, &word, size - at < 8 ? size - at : 8);
    }
    for (uint64_t at = 0; at + ORACLE_CRC_BLOCK <= size; at += 16 * ORACLE_CRC_BLOCK) {
        uint32_t crc = oracle_crc32c(bytes + at, ORACLE_CRC_BLOCK - 4);
        for (unsigned i = 0; i < 4; i++)
            bytes[at + ORACLE_CRC_BLOCK - 4 + i] = (uint8_t)(crc >> 8 * i);
    }
}

static uint64_t draw_size(const struct scenario *s, struct dice *dice)
{
    static const uint32_t near[NEAR_SIZES] = {0, 512, 4096, 8192, 65536, 131072};

    if (s->large_files)
        return 40 * KIB + dice_below(dice, 260 * KIB);
    switch (dice_below(dice, 8)) {
    case 0:
        return near[dice_below(dice, NEAR_SIZES)] + dice_below(dice, 2);
    case 1:
        return dice_below(dice, 300 * KIB);
    case 2:
    case 3:
        return dice_below(dice, 64 * KIB);
    default:
        return dice_size(dice, 16 * KIB);
    }
}

/* A further version with content of its own, not yet to be seen by anybody. */
static struct version *version_add(struct scenario *s, struct file *file, uint64_t size)
{
    struct version *version = &file->versions[file->version_count];
    uint64_t id = (uint64_t)(file - s->files) * VERSIONS_MAX + file->version_count + 1;

    *version = (struct version){.size = size, .same = file->version_count};
    version->bytes = alloc_zeroed(size + 1, 1);
    fill(version->bytes, size, id);
    return version;
}

void world_make_files(struct scenario *s)
{
    unsigned local = dice_below(&s->dice, 9), memory = dice_below(&s->dice, 4);

    for (unsigned i = 0; i < local + memory; i++) {
        struct file *file = &s->files[s->file_count++];
        bool huge = i == 0 && dice_chance(&s->dice, 80); /* beyond the budget's pool */
        struct version *version = version_add(
            s, file, huge ? dice_below(&s->dice, HUGE_BYTES) : draw_size(s, &s->dice));
        bool in_memory = i >= local;
        char name[16];
        file->version_count = file->settled = 1;
        file->may_change = !huge && dice_chance(&s->dice, s->large_files ? 50 : 400);
        snprintf(name, sizeof(name), "%sfile%02u", dice_chance(&s->dice, 200) ? "sub/" : "",
                 i % 100);
        strcpy(file->key, name);
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

void world_make_faults(struct scenario *s)
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
        file->faults[file->fault_count++] = fault.result;
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
    if (!store || (remove && version_last(file)->absent))
        return;
    version = version_add(s, file, size);
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
    const struct version *before = version_last(file);
    bool resize = dice_chance(dice, 500) || before->size == 0;
    uint64_t size = resize ? draw_size(s, dice) : before->size;
    uint64_t kept = before->size < size ? before->size : size;
    struct version *after = version_add(s, file, size);

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

static void change_local(struct scenario *s, struct file *file, struct dice *dice)
{
    struct version *version;
    bool absent = version_last(file)->absent;

    if (!absent && dice_chance(dice, 600)) {
        change_in_place(s, file, dice);
        return;
    }
    version = version_add(s, file, draw_size(s, dice));
    version->absent = !absent && dice_chance(dice, 300);
    file->version_count++;
    if (version->absent)
        sim_remove(file->path);
    else
        sim_put(file->path, version->bytes, version->size);
}

void world_change(struct scenario *s, struct dice *dice)
{
    struct file *file;

    if (!s->file_count)
        return;
    file = &s->files[dice_below(dice, s->file_count)];
    if (!file->may_change || file->changing || file->version_count == VERSIONS_MAX ||
        sim_now_ns() <= file->changed_ns)
        return;
    file->changing = true;
    scenario_say("%s changes", file->key);
    if (file->path[0]) {
        alloc_steady(); /* the simulated file system's memory is no matter of the library */
        change_local(s, file, dice);
        alloc_unsteady();
    } else {
        change_memory(s, file, dice_chance(dice, 200), draw_size(s, dice));
    }
    file->settled = file->version_count;
    file->changed_ns = sim_now_ns();
    file->changing = false;
}

/* ------------------------------------------------------------------------------------ stores -- */

static void option_add(struct store *store, struct lsio_option *options, size_t *count,
                       const char *key, const char *value)
{
    size_t used = strlen(store->words);

    options[(*count)++] = (struct lsio_option){key, value};
    snprintf(store->words + used, sizeof(store->words) - used, " %s=%s", key, value);
}

static void store_open(struct scenario *s, struct store *store)
{
    static const char *const profiles[] = {"nvme", "ssd", "hdd", "hpc"};
    static const char *const splits[] = {"4K", "10000", "16K", "64K"};
    static const char *const gaps[] = {"0", "100", "4K", "64K", "1M"};
    static const char *const requests[] = {"8K", "64K", "1M"};
    static const char *const limits[] = {"1", "2", "3", "8", "64"};
    static const char *const direct[] = {"auto", "on", "off"};
    struct lsio_option options[10];
    size_t count = 0;
    int status;

    if (!store->memory && dice_chance(&s->dice, 800))
        option_add(store, options, &count, "profile",
                   profiles[dice_below(&s->dice, 4)]);
    if (dice_chance(&s->dice, 400))
        option_add(store, options, &count, "split_bytes", splits[dice_below(&s->dice, 4)]);
    if (dice_chance(&s->dice, 500))
        option_add(store, options, &count, "gap_bytes", gaps[dice_below(&s->dice, 5)]);
    if (dice_chance(&s->dice, 400))
        option_add(store, options, &count, "request_bytes_max",
                   requests[dice_below(&s->dice, 3)]);
    if (dice_chance(&s->dice, 400))
        option_add(store, options, &count, "inflight_max", limits[dice_below(&s->dice, 5)]);
    if (dice_chance(&s->dice, 300))
        option_add(store, options, &count, "waste_max", dice_chance(&s->dice, 500) ? "0" : "90");
    if (dice_chance(&s->dice, 150)) /* as a bucket is */
        option_add(store, options, &count, "request_latency_ns", "30000000");
    if (!store->memory)
        option_add(store, options, &count, "direct", direct[dice_below(&s->dice, 3)]);
    if (!store->memory && dice_chance(&s->dice, 300))
        option_add(store, options, &count, "symlinks", "beneath");
    status = lsio_store_open(s->context, store->memory ? "memory://sim" : "/data", options, count,
                             &store->handle);
    if (status)
        scenario_fail("a store could not be opened: %d", status);
}

void world_open_stores(struct scenario *s)
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

void world_ask_etags(struct scenario *s)
{
    for (unsigned i = 0; i < s->file_count; i++) {
        struct file *file = &s->files[i];
        unsigned store = file->path[0] ? 0 : 1;
        struct lsio_object object = {.key = file->key, .size = LSIO_SIZE_UNKNOWN};
        struct lsio_object_info info = {.struct_bytes = sizeof(info)};
        int status = 1;
        if (store >= s->store_count || dice_chance(&s->dice, 600))
            continue;
        object.store = s->stores[store].handle;
        (void)lsio_stat_batch(s->context, &object, 1, &info, 0, &status);
        s->stat_chunks++;
        s->stat_failed += status < 0;
        if (status == 0 && file->version_count == 1) {
            if (info.size != file->versions[0].size || file->versions[0].absent || file->directory)
                scenario_fail("lsio_stat_batch: %s has %llu bytes", file->key,
                              (unsigned long long)info.size);
            memcpy(file->etag, info.etag, sizeof(file->etag));
        }
    }
}

/* ------------------------------------------------------------------------------------ chains -- */


void world_make_chains(struct scenario *s)
{
    for (unsigned i = 1; i < ORACLE_CHAINS; i++) {
        struct lsio_stage stages[ORACLE_STAGES_MAX];
        unsigned count = 0;
        int status = 0;
        for (const uint8_t *kind = oracle_chains[i]; *kind; kind++, count++) {
            struct lsio_stage *stage = &stages[count];
            struct lsio_byteswap_options swap = {.struct_bytes = sizeof(swap), .typesize = 4};
            *stage = (struct lsio_stage){.struct_bytes = sizeof(*stage),
                                         .name = "test",
                                         .run = act_stage,
                                         .user = (void *)(uintptr_t)(*kind | count << 8),
                                         .flags = LSIO_STAGE_READS_ONLY};
            if (*kind == STAGE_CRC)
                status = lsio_stage_crc32c(NULL, stage);
            else if (*kind == STAGE_SWAP)
                status = lsio_stage_byteswap(&swap, stage);
            else if (*kind == STAGE_SLICE)
                stage->flags = LSIO_STAGE_PASSES_SLICE;
            else if (*kind == STAGE_COPY || *kind == STAGE_DOUBLE || *kind == STAGE_THIRD ||
                     *kind == STAGE_VAIN)
                stage->flags = LSIO_STAGE_WRITES;
            if (*kind == STAGE_LOOK) {
                stage->init = act_stage_init;
                stage->finish = act_stage_finish;
            }
            assert(status == 0);
        }
        if (lsio_chain_create(s->context, stages, count, &s->chains[i]))
            scenario_fail("a chain could not be made");
    }
}

/* --------------------------------------------------------------------------------------- end -- */

void world_free(struct scenario *s)
{
    for (unsigned i = 0; i < s->file_count; i++)
        for (unsigned v = 0; v < s->files[i].version_count; v++)
            free(s->files[i].versions[v].bytes);
}

void world_describe(const struct scenario *s)
{
    for (unsigned i = 0; i < s->store_count; i++)
        fprintf(stderr, "  store %u: %s%s\n", i, s->stores[i].memory ? "memory" : "local",
                s->stores[i].words);
    for (unsigned i = 0; i < s->file_count; i++) {
        const struct file *file = &s->files[i];
        fprintf(stderr, "  file %u: %s%s%s%s", i, file->key, file->path[0] ? "" : " in memory",
                file->directory ? " directory" : "", file->may_change ? " may change" : "");
        for (unsigned v = 0; v < file->version_count; v++)
            fprintf(stderr, "%s %llu%s%s", v ? "," : ":",
                    (unsigned long long)file->versions[v].size,
                    file->versions[v].absent ? " absent" : "",
                    file->versions[v].in_place ? " in place" : "");
        for (unsigned f = 0; f < file->fault_count; f++)
            fprintf(stderr, ", fault %s", lsio_status_name(file->faults[f]));
        fprintf(stderr, "\n");
    }
}
