/* SPDX-License-Identifier: MIT */
/*
 * Design: a wave is drawn in the order objects, chunks, destinations. A batch has its own dice, so
 * what it asks for depends on its number and on the files as they are, not on who runs when.
 *
 * Destinations lie in one region full of CANARY with room between them, so a byte that is written
 * where nobody asked for it shows, whoever wrote it. They are placed at drawn addresses: congruent
 * to the offset modulo 4096, as O_DIRECT likes it, or anywhere.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"
#include "sim_loop.h"

#define OBJECTS_MAX 8
#define CHUNKS_MAX  300
#define GAP_BYTES   64 /* of canary, at least, before each destination */

enum style { STYLE_WILD, STYLE_RUN, STYLE_WHOLE, STYLE_RANDOM, STYLE_BLOCKS, STYLE_COUNT };

/* One object of a wave, as it was drawn. */
struct pick {
    const struct file *file;
    const struct store *store;
    uint64_t size; /* of the file, about now */
    uint64_t stated;
    int etag;
};

/* What chunks of a wave are drawn from. */
struct drawing {
    struct scenario *s;
    struct batch *batch;
    struct wave *wave;
    struct pick picks[OBJECTS_MAX];
    enum style style;
    uint64_t asked, asked_max; /* bytes */
    uint32_t object;           /* of the run of chunks that goes on */
    uint64_t at;
};

/* ----------------------------------------------------------------------------------- objects -- */

static bool pick_draw(struct drawing *drawing, struct pick *pick)
{
    struct scenario *s = drawing->s;
    struct dice *dice = &drawing->batch->dice;
    struct file *file;
    unsigned store;

    if (!s->file_count)
        return false;
    file = &s->files[dice_below(dice, s->file_count)];
    if (!file->path[0] && s->store_count < 2)
        return false;
    do
        store = file->path[0] ? dice_below(dice, s->store_count) : 1;
    while (file->path[0] && (s->stores[store].memory || s->stores[store].closing));
    pick->file = file;
    pick->store = &s->stores[store];
    pick->size = file->versions[file->version_count - 1].size;
    if (dice_chance(dice, 200))
        pick->stated = pick->size;
    else if (dice_chance(dice, 40))
        pick->stated = pick->size + 1 + dice_below(dice, 5000);
    if (file->etag[0] && dice_chance(dice, 150))
        pick->etag = 1;
    else if (dice_chance(dice, 30))
        pick->etag = 2;
    return true;
}

static void objects_make(struct drawing *drawing)
{
    struct wave *wave = drawing->wave;
    struct dice *dice = &drawing->batch->dice;
    unsigned count = dice_chance(dice, 300) ? 1 : 1 + dice_below(dice, OBJECTS_MAX);

    wave->objects = alloc_zeroed(OBJECTS_MAX, sizeof(*wave->objects));
    for (unsigned i = 0; i < count; i++) {
        struct pick *pick = &drawing->picks[wave->object_count];
        if (!pick_draw(drawing, pick))
            continue;
        wave->objects[wave->object_count++] = (struct lsio_object){
            .store = pick->store->handle,
            .key = pick->file->key,
            .size = pick->stated              ? pick->stated
                    : dice_chance(dice, 500) ? LSIO_SIZE_UNKNOWN
                                              : 0,
            .etag = pick->etag == 1   ? pick->file->etag
                    : pick->etag == 2 ? "no such version"
                                      : NULL};
    }
}

/* ------------------------------------------------------------------------------------ ranges -- */

static void range_wild(struct dice *dice, uint64_t size, struct lsio_chunk *chunk)
{
    uint64_t length = dice_below(dice, (uint32_t)size + 2);

    switch (dice_below(dice, 10)) {
    case 0: /* the whole, or the rest */
        chunk->offset = dice_chance(dice, 500) ? 0 : (int64_t)dice_below(dice, (uint32_t)size + 1);
        chunk->length = LSIO_TO_END;
        break;
    case 1: /* the rest from the end on, or from beyond */
        chunk->offset = (int64_t)(size + dice_below(dice, 2));
        chunk->length = LSIO_TO_END;
        break;
    case 2: /* the last bytes */
        chunk->offset = -(int64_t)dice_below(dice, (uint32_t)size + 100) - 1;
        chunk->length = LSIO_TO_END;
        break;
    case 3: /* counted from the end, or longer than what is left there */
        chunk->offset = -(int64_t)length - (int64_t)dice_below(dice, 50);
        chunk->length = length + (dice_chance(dice, 100) ? 60 : 0);
        break;
    case 4:
        chunk->offset = (int64_t)dice_below(dice, (uint32_t)size + 10);
        chunk->length = 0;
        break;
    case 5: /* around the end */
        chunk->offset = (int64_t)(size > 10 ? size - dice_below(dice, 10) : size);
        chunk->length = dice_below(dice, 20);
        break;
    case 6:
        chunk->offset = dice_chance(dice, 500) ? INT64_MAX - 5 : INT64_MIN;
        chunk->length = dice_chance(dice, 500) ? 100 : LSIO_TO_END - 1;
        break;
    default:
        chunk->offset = (int64_t)dice_below(dice, (uint32_t)size + 1);
        chunk->length = dice_size(dice, 8192);
        break;
    }
}

/* Neighbours: adjacent, a little apart, overlapping, or the same again. */
static void range_run(struct drawing *drawing, struct lsio_chunk *chunk)
{
    struct dice *dice = &drawing->batch->dice;
    uint64_t size = drawing->picks[drawing->object].size;
    uint64_t length = dice_size(dice, 6000);

    switch (dice_below(dice, 6)) {
    case 0:
        drawing->at += dice_below(dice, 5000);
        break;
    case 1:
        drawing->at -= dice_below(dice, 1000) % (drawing->at + 1);
        break;
    case 2:
        drawing->at += dice_below(dice, 100);
        break;
    }
    if (drawing->at + length > size) {
        drawing->at = 0;
        drawing->object = dice_below(dice, (uint32_t)drawing->wave->object_count);
        size = drawing->picks[drawing->object].size;
    }
    chunk->object = drawing->object;
    chunk->offset = (int64_t)drawing->at;
    chunk->length = length < size || dice_chance(dice, 100) ? length : size;
    drawing->at += chunk->length;
}

static void range_draw(struct drawing *drawing, struct lsio_chunk *chunk)
{
    struct dice *dice = &drawing->batch->dice;
    uint64_t size = drawing->picks[chunk->object].size;

    switch (drawing->style) {
    case STYLE_RUN:
        range_run(drawing, chunk);
        break;
    case STYLE_WHOLE:
        chunk->length = dice_chance(dice, 500) ? LSIO_TO_END : size;
        break;
    case STYLE_RANDOM:
        chunk->length = dice_size(dice, 20000);
        chunk->offset = chunk->length < size
                            ? (int64_t)dice_below(dice, (uint32_t)(size - chunk->length))
                            : 0;
        break;
    case STYLE_BLOCKS:
        chunk->offset = (int64_t)dice_below(dice, (uint32_t)(size / (16 * ORACLE_CRC_BLOCK)) + 1) *
                        16 * ORACLE_CRC_BLOCK;
        chunk->length = ORACLE_CRC_BLOCK;
        break;
    default:
        range_wild(dice, size, chunk);
        break;
    }
}

/* ------------------------------------------------------------------------------ destinations -- */

static uint8_t *dst_take(struct drawing *drawing, const struct lsio_chunk *chunk, uint64_t bytes)
{
    struct scenario *s = drawing->s;
    struct dice *dice = &drawing->batch->dice;
    uint64_t at = s->dst_used + GAP_BYTES + dice_below(dice, 200);

    if (dice_chance(dice, 300))
        at = (at + 4095) / 4096 * 4096 + ((uint64_t)chunk->offset & 4095);
    if (at + bytes + GAP_BYTES > s->dst_bytes)
        return NULL;
    s->dst_used = at + bytes;
    return s->dst + at;
}

/* How many bytes the chunk will deliver, about. */
static uint64_t bytes_about(const struct pick *pick, unsigned chain, const struct lsio_chunk *chunk)
{
    uint64_t bytes = chunk->length > pick->size ? pick->size : chunk->length;

    for (const uint8_t *stage = oracle_chains[chain]; *stage; stage++)
        bytes *= *stage == STAGE_DOUBLE ? 2 : 1;
    return bytes;
}

static void dst_draw(struct drawing *drawing, struct note *note, const struct pick *pick)
{
    struct dice *dice = &drawing->batch->dice;
    struct lsio_chunk *chunk = &note->chunk;
    uint64_t bytes = bytes_about(pick, note->chain, chunk);

    if (dice_chance(dice, 150)) {
        chunk->flags |= LSIO_CHUNK_ALLOC;
        return;
    }
    if (dice_chance(dice, 120))
        return;
    if (dice_chance(dice, 200))
        bytes += dice_below(dice, 300);
    else if (dice_chance(dice, 40))
        bytes -= dice_below(dice, 10) % (bytes + 1);
    chunk->dst = dst_take(drawing, chunk, bytes);
    chunk->dst_bytes = chunk->dst ? bytes : 0;
}

/* ------------------------------------------------------------------------------------ chunks -- */

static unsigned chain_draw(struct drawing *drawing)
{
    struct dice *dice = &drawing->batch->dice;

    if (drawing->style == STYLE_BLOCKS && dice_chance(dice, 700)) {
        static const unsigned checked[] = {1, 9};
        return checked[dice_below(dice, 2)];
    }
    if (drawing->s->large_files) /* what is copied needs a buffer first */
        return 4 + dice_below(dice, 2);
    return dice_chance(dice, 400) ? dice_below(dice, ORACLE_CHAINS) : 0;
}

static void chunk_draw(struct drawing *drawing, uint64_t index)
{
    static const struct pick nothing;
    struct wave *wave = drawing->wave;
    struct dice *dice = &drawing->batch->dice;
    struct note *note = &wave->notes[index];
    struct lsio_chunk *chunk = &note->chunk;
    const struct pick *pick = &nothing;

    note->batch = drawing->batch;
    note->seen.status = note->final.status = NO_STATUS;
    if (wave->object_count == 0 || dice_chance(dice, 10)) {
        chunk->object = (uint32_t)wave->object_count + dice_below(dice, 3);
        chunk->length = dice_below(dice, 3);
    } else {
        chunk->object = dice_below(dice, (uint32_t)wave->object_count);
        range_draw(drawing, chunk);
        pick = &drawing->picks[chunk->object];
    }
    note->file = pick->file;
    note->store = pick->store;
    note->stated = pick->stated;
    note->etag = pick->etag;
    note->chain = chain_draw(drawing);
    if (dice_chance(dice, 300))
        note->code = dice_chance(dice, 500) ? -77 : LSIO_E_CORRUPT;
    if (dice_chance(dice, 200))
        chunk->flags |= LSIO_CHUNK_MISSING_OK;
    chunk->chain = drawing->s->chains[note->chain];
    if (!note->chain)
        note->chain = wave->chain; /* the request's */
    chunk->data = note;
    dst_draw(drawing, note, pick);
    drawing->asked += bytes_about(pick, note->chain, chunk);
    memcpy(wave->chunks + index * wave->chunk_stride, chunk, sizeof(*chunk));
}

static uint64_t count_draw(struct dice *dice)
{
    switch (dice_below(dice, 10)) {
    case 0:
        return dice_below(dice, CHUNKS_MAX);
    case 1:
    case 2:
        return dice_below(dice, 5);
    default:
        return dice_size(dice, 40);
    }
}

bool wave_new(struct scenario *s, struct batch *batch)
{
    struct drawing drawing = {.s = s, .batch = batch};
    struct dice *dice = &batch->dice;
    struct wave *wave;
    uint64_t most;

    if (batch->wave_count == WAVES_MAX)
        return false;
    wave = &batch->waves[batch->wave_count];
    *wave = (struct wave){0};
    if (batch->wave_count)
        wave->first_index = wave[-1].first_index + wave[-1].count;
    drawing.wave = wave;
    most = count_draw(dice);
    if (dice_chance(dice, 150))
        wave->chain = 1 + dice_below(dice, ORACLE_CHAINS - 1);
    drawing.style = (enum style)dice_below(dice, STYLE_COUNT);
    drawing.asked_max = 4096u << dice_below(dice, 10);
    if (s->large_files && dice_chance(dice, 700)) {
        drawing.style = STYLE_WHOLE;
        drawing.asked_max = UINT64_C(2) << 20;
    }
    objects_make(&drawing);
    wave->chunk_stride = sizeof(struct lsio_chunk) + (dice_chance(dice, 200) ? 16 : 0);
    wave->result_stride = sizeof(struct lsio_result) + (dice_chance(dice, 200) ? 8 : 0);
    wave->chunks = alloc_zeroed(most + 1, wave->chunk_stride);
    wave->notes = alloc_zeroed(most + 1, sizeof(*wave->notes));
    while (wave->count < most && drawing.asked < drawing.asked_max)
        chunk_draw(&drawing, wave->count++);
    if (dice_chance(dice, 850)) {
        wave->results = alloc_zeroed(most + 1, wave->result_stride);
        for (uint64_t i = 0; i < wave->count; i++)
            *(struct lsio_result *)(void *)(wave->results + i * wave->result_stride) =
                (struct lsio_result){.status = NO_STATUS};
    }
    if (dice_chance(dice, 400))
        wave->flags |= LSIO_BORROW;
    batch->wave_count++;
    return true;
}

void wave_drop(struct wave *wave)
{
    free(wave->objects);
    free(wave->chunks);
    free(wave->results);
    for (uint64_t i = 0; i < wave->count; i++)
        free(wave->notes[i].taken);
    free(wave->notes);
    *wave = (struct wave){0};
}

void wave_request(const struct scenario *s, const struct batch *batch, const struct wave *wave,
                  struct lsio_request *out)
{
    *out = (struct lsio_request){
        .struct_bytes = sizeof(*out),
        .objects = wave->objects,
        .object_count = wave->object_count,
        .chunks = (const struct lsio_chunk *)(const void *)wave->chunks,
        .chunk_count = wave->count,
        .chunk_bytes = wave->chunk_stride,
        .results = (struct lsio_result *)(void *)wave->results,
        .result_bytes = wave->result_stride,
        .chain = s->chains[wave->chain],
        .on_chunk = batch->on_chunk ? act_on_chunk : NULL,
        .on_done = batch->on_done ? act_on_done : NULL,
        .data = (void *)(uintptr_t)batch,
        .deadline_ms = batch->deadline_ns == UINT64_MAX ? 0 : batch->deadline_ns / 1000000,
        .flags = wave->flags | (batch->fail_fast ? LSIO_FAIL_FAST : 0)};
}

/* ------------------------------------------------------------------------------------- batch -- */

static void plans_draw(struct batch *batch)
{
    struct dice *dice = &batch->dice;

    if (dice_chance(dice, 500))
        return;
    batch->plan_count = 1 + dice_below(dice, PLANS_MAX);
    for (unsigned i = 0; i < batch->plan_count; i++)
        batch->plans[i] = (struct plan){.place = (enum place)dice_below(dice, 3),
                                        .action = (enum action)dice_below(dice, ACT_COUNT),
                                        .at = dice_size(dice, 20) - 1};
}

struct batch *batch_new(struct scenario *s, bool blocking)
{
    struct batch *batch;
    struct dice *dice;

    if (s->batch_count == BATCHES_MAX)
        return NULL;
    batch = alloc_zeroed(1, sizeof(*batch));
    dice = &batch->dice;
    dice->state = s->seed * 1000003 + s->batch_count;
    batch->number = s->batch_count;
    batch->blocking = blocking;
    batch->on_chunk = dice_chance(dice, blocking ? 300 : 700);
    batch->on_done = dice_chance(dice, blocking ? 200 : 600);
    batch->fail_fast = dice_chance(dice, 100);
    batch->takes_early = dice_chance(dice, 250);
    batch->deadline_ns = UINT64_MAX; /* until it begins, how long it has */
    if (dice_chance(dice, s->slow_device ? 400 : 150))
        batch->deadline_ns = (uint64_t)dice_size(dice, 30) * 1000000;
    plans_draw(batch);
    s->batches[s->batch_count++] = batch;
    (void)wave_new(s, batch);
    if (blocking && !batch->waves[0].results)
        batch->on_chunk = true; /* else nobody could tell whether it was begun */
    return batch;
}

struct note *batch_note(struct batch *batch, uint64_t index, struct lsio_result **result)
{
    for (unsigned w = 0; w < batch->wave_count; w++) {
        struct wave *wave = &batch->waves[w];
        uint64_t i = index - wave->first_index;
        if (i >= wave->count)
            continue;
        *result = wave->results ? (void *)(wave->results + i * wave->result_stride) : NULL;
        return &wave->notes[i];
    }
    return NULL;
}

void batch_describe(const struct batch *batch)
{
    fprintf(stderr, "  batch %u:%s%s%s%s%s%s", batch->number, batch->blocking ? " read" : " submit",
            batch->on_chunk ? " on_chunk" : "", batch->on_done ? " on_done" : "",
            batch->fail_fast ? " fail-fast" : "", batch->canceled ? " canceled" : "",
            batch->deadline_ns != UINT64_MAX ? " deadline" : "");
    for (unsigned w = 0; w < batch->wave_count; w++)
        fprintf(stderr, "%s %llu chunks of %zu objects", w ? "," : "",
                (unsigned long long)batch->waves[w].count, batch->waves[w].object_count);
    fprintf(stderr, "%s%s\n", batch->finished ? " finished" : "", batch->gone ? " gone" : "");
}

void batch_drop(struct batch *batch)
{
    for (unsigned w = 0; w < batch->wave_count; w++)
        wave_drop(&batch->waves[w]);
    free(batch);
}
