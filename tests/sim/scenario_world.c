/* SPDX-License-Identifier: MIT */
/*
 * Design: files are made before anything runs. Each keeps every version it had, for a batch may be
 * answered from any version that was to be seen between its begin and its end. A file changes at
 * most once per instant of virtual time, or less often: two changes at one instant have the same
 * mtime, and no reader could tell them apart.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lsio/stages.h"
#include "scenario.h"
#include "sim_loop.h"

#define KIB        1024u
#define NEAR_SIZES 6

struct version *world_version_last(struct file *file)
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

uint64_t world_draw_size(const struct scenario *s, struct dice *dice)
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
struct version *world_version_add(struct scenario *s, struct file *file, uint64_t size)
{
    struct version *version = &file->versions[file->version_count];
    uint64_t id = (uint64_t)(file - s->files) * VERSIONS_MAX + file->version_count + 1;

    *version = (struct version){.size = size, .same = file->version_count};
    version->bytes = alloc_zeroed(size + 1, 1);
    fill(version->bytes, size, id);
    return version;
}

struct file *world_add_file(struct scenario *s, char name[NAME_BYTES])
{
    unsigned index = s->file_count++;
    struct file *file = &s->files[index];
    bool huge = index == 0 && dice_chance(&s->dice, 80);

    (void)world_version_add(s, file,
                            huge ? dice_below(&s->dice, HUGE_BYTES) : world_draw_size(s, &s->dice));
    file->version_count = file->settled = 1;
    file->may_change = !huge && dice_chance(&s->dice, s->large_files ? 50 : 400);
    snprintf(name, NAME_BYTES, "%sfile%02u", dice_chance(&s->dice, 200) ? "sub/" : "",
             index % 100);
    strcpy(file->key, name);
    return file;
}

/* ----------------------------------------------------------------------------------- changes -- */

void world_note_fault(struct file *file, int status)
{
    for (unsigned i = 0; i < file->fault_count; i++)
        if (file->faults[i] == status)
            return;
    assert(file->fault_count < FAULTS_MAX);
    file->faults[file->fault_count++] = status;
}

void world_change(struct scenario *s, struct dice *dice)
{
    struct file *file;

    if (!s->file_count)
        return;
    file = &s->files[dice_below(dice, s->file_count)];
    if (!file->may_change || file->changing || file->version_count == VERSIONS_MAX ||
        sim_now_ns() <= file->changed_ns + file->change_gap_ns)
        return;
    file->changing = true;
    scenario_say("%s changes", file->key);
    s->world->change(s, file, dice);
    file->settled = file->version_count;
    file->changed_ns = sim_now_ns();
    file->changing = false;
}

/* ------------------------------------------------------------------------------------ stores -- */

void world_add_option(struct store *store, struct lsio_option *options, size_t *count,
                      const char *key, const char *value)
{
    size_t used = strlen(store->words);

    options[(*count)++] = (struct lsio_option){key, value};
    snprintf(store->words + used, sizeof(store->words) - used, " %s=%s", key, value);
}

void world_draw_options(struct scenario *s, struct store *store, struct lsio_option *options,
                        size_t *count)
{
    static const char *const splits[] = {"4K", "10000", "16K", "64K"};
    static const char *const gaps[] = {"0", "100", "4K", "64K", "1M"};
    static const char *const requests[] = {"8K", "64K", "1M"};
    static const char *const limits[] = {"1", "2", "3", "8", "64"};

    if (dice_chance(&s->dice, 400))
        world_add_option(store, options, count, "split_bytes", splits[dice_below(&s->dice, 4)]);
    if (dice_chance(&s->dice, 500))
        world_add_option(store, options, count, "gap_bytes", gaps[dice_below(&s->dice, 5)]);
    if (dice_chance(&s->dice, 400))
        world_add_option(store, options, count, "request_bytes_max",
                         requests[dice_below(&s->dice, 3)]);
    if (dice_chance(&s->dice, 400))
        world_add_option(store, options, count, "inflight_max", limits[dice_below(&s->dice, 5)]);
    if (dice_chance(&s->dice, 300))
        world_add_option(store, options, count, "waste_max",
                         dice_chance(&s->dice, 500) ? "0" : "90");
    if (dice_chance(&s->dice, 150)) /* as a bucket is */
        world_add_option(store, options, count, "request_latency_ns", "30000000");
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
    if (s->world->describe)
        s->world->describe(s);
    for (unsigned i = 0; i < s->store_count; i++)
        fprintf(stderr, "  store %u:%s%s\n", i, s->stores[i].memory ? " memory" : "",
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
