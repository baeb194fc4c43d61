/* SPDX-License-Identifier: MIT */
/*
 * The fuzzer's bytes become a request: objects that are there, absent, or not what the caller says;
 * chunks with any range, destination, flags and chain; strides. One long-lived context reads it
 * from memory:// stores whose profiles join, split, or do neither. Each chunk must end once, with
 * the bytes or with one of the statuses that the header's rules allow, as judged here without the
 * library's range code; nothing may be written around destinations and results.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lsio/lsio.h"
#include "source.h"

#define COUNT(array)     (sizeof(array) / sizeof((array)[0]))
#define CHUNKS_MAX       32u
#define ARENA_BYTES      (256u * 1024)
#define GUARD_BYTES      16u
#define GUARD            0xc5
#define LENGTH_FITS_MAX  (64u * 1024) /* no object is longer; longer ranges may exceed the budget */
#define STRIDE_EXTRA_MAX 16u
#define STATUS_OF_REFUSE (-77)

/* What a request may name; `size` is the truth. */
static const struct kind {
    const char *key;
    uint64_t size;
    uint64_t said; /* lsio_object.size */
    const char *etag;
    int status; /* why nothing of it can be read */
} kinds[] = {
    {"empty", 0, LSIO_SIZE_UNKNOWN, NULL, 0},
    {"one", 1, LSIO_SIZE_UNKNOWN, NULL, 0},
    {"page", 4099, LSIO_SIZE_UNKNOWN, NULL, 0},
    {"large", 50000, LSIO_SIZE_UNKNOWN, NULL, 0},
    {"large", 50000, 50000, NULL, 0},
    {"page", 4099, 5000, NULL, LSIO_E_CHANGED},
    {"page", 4099, 4000, NULL, LSIO_E_CHANGED},
    {"large", 50000, LSIO_SIZE_UNKNOWN, "another", LSIO_E_CHANGED},
    {"absent", 0, LSIO_SIZE_UNKNOWN, NULL, -ENOENT},
    {"sub/../large", 50000, LSIO_SIZE_UNKNOWN, NULL, -EINVAL},
};

enum { PLAIN, LOOK, SKIP, INVERT, INVERT_LOOK, REFUSE, CHAINS };

static struct lsio_context *context;
static struct lsio_store *stores[3];
static struct lsio_chain *chains[CHAINS]; /* PLAIN: none */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%d: %s\n", __LINE__, #condition);                                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The objects' bytes: told by their place, in all objects alike. */
static uint8_t pattern(uint64_t offset)
{
    return (uint8_t)(offset ^ offset >> 8);
}

/* ---------------------------------------------------------------------------------- stages -- */

static int look(struct lsio_call *call)
{
    const uint8_t *in = call->in;
    uint64_t sum = 0;

    for (uint64_t i = 0; i < call->in_bytes; i++) /* read each, for the sanitizer to see */
        sum += in[i];
    return sum > 255 * call->in_bytes ? -EIO : 0;
}

static int skip(struct lsio_call *call)
{
    if (call->in_bytes == 0)
        return 0;
    return lsio_call_pass(call, (const uint8_t *)call->in + 1, call->in_bytes - 1);
}

static int invert(struct lsio_call *call)
{
    void *out;
    int status = lsio_call_out(call, call->in_bytes, &out);

    if (status)
        return status;
    for (uint64_t i = 0; i < call->in_bytes; i++)
        ((uint8_t *)out)[i] = (uint8_t)~((const uint8_t *)call->in)[i];
    return lsio_call_commit(call, call->in_bytes);
}

static int refuse(struct lsio_call *call)
{
    return lsio_call_fail(call, STATUS_OF_REFUSE, "refused %u bytes", (unsigned)call->in_bytes);
}

static void chain_make(int chain, lsio_stage_fn *first, uint32_t flags, lsio_stage_fn *second)
{
    struct lsio_stage stages[] = {
        {.struct_bytes = sizeof(stages[0]), .name = "first", .run = first, .flags = flags},
        {.struct_bytes = sizeof(stages[0]), .name = "second", .run = second,
         .flags = LSIO_STAGE_READS_ONLY}};

    CHECK(lsio_chain_create(context, stages, second ? 2 : 1, &chains[chain]) == 0);
}

static void world_make(void)
{
    const struct lsio_option options[] = {{"split_bytes", "4K"},
                                          {"request_bytes_max", "8K"},
                                          {"profile", "hpc"},
                                          {"gap_bytes", "2K"}};
    struct lsio_config config = {.struct_bytes = sizeof(config),
                                 .workers = 2,
                                 .memory_bytes_max = 2u << 20,
                                 .loop = "epoll"}; /* no read waits: any loop will do */
    uint8_t *bytes = malloc(LENGTH_FITS_MAX);

    for (size_t i = 0; i < LENGTH_FITS_MAX; i++)
        bytes[i] = pattern(i);
    CHECK(lsio_context_create(&config, &context) == 0);
    CHECK(lsio_store_open(context, "memory://fuzz", NULL, 0, &stores[0]) == 0);
    CHECK(lsio_store_open(context, "memory://fuzz", options, 2, &stores[1]) == 0);
    CHECK(lsio_store_open(context, "memory://fuzz", options + 2, 2, &stores[2]) == 0);
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].status == 0)
            CHECK(lsio_memory_put(stores[0], kinds[i].key, bytes, kinds[i].size) == 0);
    chain_make(LOOK, look, LSIO_STAGE_READS_ONLY, NULL);
    chain_make(SKIP, skip, LSIO_STAGE_PASSES_SLICE, NULL);
    chain_make(INVERT, invert, LSIO_STAGE_WRITES, NULL);
    chain_make(INVERT_LOOK, invert, LSIO_STAGE_WRITES, look);
    chain_make(REFUSE, refuse, LSIO_STAGE_READS_ONLY, NULL);
    free(bytes);
}

/* --------------------------------------------------------------------------------- request -- */

struct fuzz_case {
    struct source source;
    struct lsio_request request;
    struct lsio_object objects[2 * COUNT(kinds)]; /* strides may need more than one's size */
    struct lsio_chunk chunks[2 * CHUNKS_MAX];
    _Alignas(struct lsio_result)
        uint8_t results[CHUNKS_MAX * (sizeof(struct lsio_result) + STRIDE_EXTRA_MAX) + GUARD_BYTES];
    uint8_t arena[ARENA_BYTES];
    size_t used;
    int default_chain;
    bool senseless; /* a stride is no stride */
};

static struct lsio_chunk *chunk_at(struct fuzz_case *c, size_t i)
{
    return (void *)((char *)c->chunks + i * c->request.chunk_bytes);
}

/* Mostly small or about an object's end, sometimes anything. */
static uint64_t draw_number(struct source *source)
{
    uint8_t kind = (uint8_t)source_draw(source, 1);

    if (kind < 64)
        return kind;
    if (kind < 160)
        return source_draw(source, 2);
    if (kind < 240)
        return kinds[kind % COUNT(kinds)].size + kind / 10 - 20u;
    return kind < 248 ? UINT64_MAX - kind % 2 * (UINT64_MAX / 2) : source_draw(source, 8);
}

/* An element's size and some more; rarely one that no array can have. */
static size_t draw_stride(struct fuzz_case *c, size_t bytes)
{
    uint8_t kind = (uint8_t)source_draw(&c->source, 1);

    if (kind >= 250) {
        c->senseless = true;
        return kind % 2 ? bytes - 8 : bytes + 4;
    }
    return bytes + kind % 3 * (STRIDE_EXTRA_MAX / 2);
}

static void chunk_draw(struct fuzz_case *c, struct lsio_chunk *chunk)
{
    uint8_t form = (uint8_t)source_draw(&c->source, 1);
    uint64_t room;

    *chunk = (struct lsio_chunk){.object = (uint32_t)source_draw(&c->source, 1) %
                                           (COUNT(kinds) + 1),
                                 .flags = form & 1 ? LSIO_CHUNK_MISSING_OK : 0,
                                 .chain = chains[source_draw(&c->source, 1) % CHAINS]};
    chunk->offset = (int64_t)(form & 2 ? 0 - draw_number(&c->source) : draw_number(&c->source));
    chunk->length = form & 4 ? LSIO_TO_END : draw_number(&c->source);
    room = form & 8 ? draw_number(&c->source) : chunk->length;
    if ((form & 0x30) == 0x10) {
        if (chunk->length == LSIO_TO_END || chunk->length <= LENGTH_FITS_MAX)
            chunk->flags |= LSIO_CHUNK_ALLOC; /* more is memory that the caller has asked for */
    } else if ((form & 0x30) != 0x20 && room + GUARD_BYTES <= ARENA_BYTES - c->used &&
               room <= LENGTH_FITS_MAX) {
        chunk->dst = c->arena + c->used;
        chunk->dst_bytes = room;
        c->used += room;
        memset(c->arena + c->used, GUARD, GUARD_BYTES);
        c->used += GUARD_BYTES;
    }
}

static void case_make(struct fuzz_case *c, const uint8_t *bytes, size_t count)
{
    struct lsio_request *request = &c->request;
    uint8_t header;

    c->source = (struct source){bytes, count};
    c->senseless = false;
    c->used = GUARD_BYTES;
    memset(c->arena, GUARD, GUARD_BYTES);
    memset(c->results, GUARD, sizeof(c->results));
    *request = (struct lsio_request){.struct_bytes = sizeof(*request),
                                     .objects = c->objects,
                                     .object_count = COUNT(kinds),
                                     .chunks = c->chunks,
                                     .results = (struct lsio_result *)(void *)c->results};
    header = (uint8_t)source_draw(&c->source, 1);
    c->default_chain = header % CHAINS;
    request->chain = chains[c->default_chain];
    request->flags = header & 0x80 ? LSIO_FAIL_FAST : 0;
    request->object_bytes = draw_stride(c, sizeof(struct lsio_object));
    request->chunk_bytes = draw_stride(c, sizeof(struct lsio_chunk));
    request->result_bytes = draw_stride(c, sizeof(struct lsio_result));
    for (size_t i = 0; i < COUNT(kinds); i++)
        *(struct lsio_object *)(void *)((char *)c->objects + i * request->object_bytes) =
            (struct lsio_object){stores[(header >> 4) % COUNT(stores)], kinds[i].key,
                                 kinds[i].said, kinds[i].etag};
    while (!c->senseless && c->source.count && request->chunk_count < CHUNKS_MAX)
        chunk_draw(c, chunk_at(c, request->chunk_count++));
}

/* ---------------------------------------------------------------------------------- oracle -- */

/* How a chunk may end: with these bytes, or, if `refused`, with one of these statuses. */
struct verdict {
    int statuses[6];
    size_t refused;
    uint64_t from, bytes;
};

static void forbid(struct verdict *verdict, bool is_so, int status)
{
    if (is_so)
        verdict->statuses[verdict->refused++] = status;
}

static struct verdict judge(const struct lsio_chunk *chunk, int chain)
{
    const struct kind *kind = &kinds[chunk->object % COUNT(kinds)];
    uint64_t back = 0 - (uint64_t)chunk->offset, from = (uint64_t)chunk->offset, out;
    uint64_t size = kind->status ? INT64_MAX : kind->size; /* as far as anybody can know */
    bool to_end = chunk->length == LSIO_TO_END;
    struct verdict verdict = {0};

    if (kind->said != LSIO_SIZE_UNKNOWN)
        size = kind->said;
    forbid(&verdict, chunk->object >= COUNT(kinds), -EINVAL);
    if (chunk->length == 0 || verdict.refused)
        return verdict;
    if (chunk->offset < 0) {
        forbid(&verdict, !to_end && chunk->length > back, -EINVAL);
        forbid(&verdict, !to_end && back > size, LSIO_E_TRUNCATED);
        from = back < size ? size - back : 0;
    } else {
        forbid(&verdict, from > size || (!to_end && chunk->length > size - from),
               LSIO_E_TRUNCATED);
    }
    verdict.from = from;
    verdict.bytes = to_end ? from < size ? size - from : 0 : chunk->length;
    forbid(&verdict, kind->status != 0, kind->status);
    out = verdict.bytes - (chain == SKIP && verdict.bytes);
    forbid(&verdict, chunk->dst && out > chunk->dst_bytes, LSIO_E_NO_SPACE);
    forbid(&verdict, chain == REFUSE, LSIO_E_CALLBACK);
    forbid(&verdict, verdict.bytes > LENGTH_FITS_MAX, LSIO_E_BUDGET);
    return verdict;
}

static bool status_allowed(const struct verdict *verdict, int status)
{
    for (size_t i = 0; i < verdict->refused; i++)
        if (verdict->statuses[i] == status)
            return true;
    return false;
}

/* From the stated end on there is nothing to read: nobody looks whether the object is another. */
static bool end_was_stated(const struct lsio_chunk *chunk, const struct lsio_result *result,
                           const struct verdict *verdict)
{
    const struct kind *kind = &kinds[chunk->object % COUNT(kinds)];

    return verdict->refused == 1 && verdict->statuses[0] == LSIO_E_CHANGED &&
           kind->said != LSIO_SIZE_UNKNOWN && chunk->length == LSIO_TO_END &&
           chunk->offset >= 0 && (uint64_t)chunk->offset == kind->said && result->bytes == 0;
}

static void bytes_check(const struct lsio_chunk *chunk, const struct lsio_result *result, int chain,
                        const struct verdict *verdict)
{
    uint64_t head = chain == SKIP && verdict->bytes;
    uint8_t flip = chain == INVERT || chain == INVERT_LOOK ? 0xff : 0;
    const uint8_t *bytes = result->data;

    CHECK(result->bytes == verdict->bytes - head);
    CHECK(!chunk->dst || bytes == chunk->dst);
    CHECK(!(result->flags & LSIO_RESULT_ALLOCATED) == !(bytes && !chunk->dst));
    CHECK(bytes || chunk->length == 0 || !(chunk->flags & LSIO_CHUNK_ALLOC));
    for (uint64_t i = 0; bytes && i < result->bytes; i++)
        CHECK(bytes[i] == (pattern(verdict->from + head + i) ^ flip));
}

static void chunk_check(struct fuzz_case *c, size_t i, const struct lsio_result *result,
                        bool *failed)
{
    const struct lsio_chunk *chunk = chunk_at(c, i);
    bool missing = result->flags & LSIO_RESULT_MISSING;
    int chain = c->default_chain;
    struct verdict verdict;

    for (int k = LOOK; k < CHAINS; k++)
        if (chunk->chain == chains[k])
            chain = k;
    verdict = judge(chunk, chain);
    *failed |= result->status < 0;
    if (missing)
        CHECK(result->status == 0 && (chunk->flags & LSIO_CHUNK_MISSING_OK) &&
              result->bytes == 0 && status_allowed(&verdict, -ENOENT));
    else if (result->status == 0)
        CHECK(verdict.refused == 0 || end_was_stated(chunk, result, &verdict));
    else
        CHECK(status_allowed(&verdict, result->status) ||
              ((c->request.flags & LSIO_FAIL_FAST) && result->status == -ECANCELED));
    if (result->status == 0 && !missing)
        bytes_check(chunk, result, chain, &verdict);
    if (result->flags & LSIO_RESULT_ALLOCATED)
        lsio_result_free(result->data);
}

static void guards_check(struct fuzz_case *c)
{
    size_t stride = c->request.result_bytes;

    for (size_t i = 0; i < GUARD_BYTES; i++)
        CHECK(c->arena[i] == GUARD);
    for (size_t i = 0; i < c->request.chunk_count; i++) {
        const struct lsio_chunk *chunk = chunk_at(c, i);
        for (size_t k = 0; chunk->dst && k < GUARD_BYTES; k++)
            CHECK(((const uint8_t *)chunk->dst)[chunk->dst_bytes + k] == GUARD);
    }
    for (size_t i = 0; i < sizeof(c->results); i++)
        if (i >= c->request.chunk_count * stride || i % stride >= sizeof(struct lsio_result))
            CHECK(c->results[i] == GUARD);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static struct fuzz_case c;
    bool failed = false;
    int status;

    if (!context)
        world_make();
    case_make(&c, bytes, count);
    status = lsio_read_batch(context, &c.request);
    if (c.senseless) {
        c.request.chunk_count = 0; /* no result was written */
        CHECK(status == -EINVAL);
    }
    for (size_t i = 0; i < c.request.chunk_count; i++)
        chunk_check(&c, i, (void *)(c.results + i * c.request.result_bytes), &failed);
    CHECK(c.senseless || !failed == !status);
    guards_check(&c);
    return 0;
}
