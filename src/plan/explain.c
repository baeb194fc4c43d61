/* SPDX-License-Identifier: MIT */
/*
 * explain.c - says what the planner would do, as text or JSON.
 *
 * Plans the whole input slab by slab, as the engine would, and adds up the operations per store.
 * This is the one place in src/plan that allocates as it goes: it serves a person who wonders, not
 * a batch. Text is collected in a buffer that remembers a failed allocation, so that only the end
 * checks it. Strings that come from outside are escaped; numbers are integers, so no locale
 * matters. Pure but for memory; any thread.
 */
#include "plan/plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "plan/piece.h"

#define EXPLAIN_SLAB_CHUNKS 65536u
#define KIND_COUNT          6

static const char *const kind_names[KIND_COUNT] = {
    [PLAN_NONE] = "none", [PLAN_READ] = "read",   [PLAN_VECTOR] = "vector",
    [PLAN_JOIN] = "join", [PLAN_SPLIT] = "split", [PLAN_PROBE] = "probe",
};

static const char *const direct_names[] = {"auto", "on", "off"};

/* What the plan does on one store; or, in the totals, on all. */
struct tally {
    uint64_t chunks;
    uint64_t operations[KIND_COUNT];
    uint64_t members[KIND_COUNT]; /* chunks in operations of the kind */
    uint64_t parts;
    uint64_t asked, read, wasted;
};

struct text {
    char *data;
    size_t used, capacity;
    bool failed;
};

/* ------------------------------------------------------------------------------------ text -- */

static bool text_reserve(struct text *text, size_t bytes)
{
    size_t capacity = text->capacity ? text->capacity : 1024;
    char *data;

    if (text->failed) {
        return false;
    }
    while (capacity - text->used < bytes) {
        capacity *= 2;
    }
    if (capacity == text->capacity) {
        return true;
    }
    data = realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

__attribute__((format(printf, 2, 3))) static void text_add(struct text *text, const char *format,
                                                           ...)
{
    va_list arguments;
    int bytes;

    va_start(arguments, format);
    bytes = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (bytes < 0 || !text_reserve(text, (size_t)bytes + 1)) {
        text->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(text->data + text->used, (size_t)bytes + 1, format, arguments);
    va_end(arguments);
    text->used += (size_t)bytes;
}

/* A JSON string. Bytes that are not ASCII go through as they are: URLs and reasons are UTF-8. */
static void text_add_string(struct text *text, const char *string)
{
    text_add(text, "\"");
    for (; string && *string; string++) {
        unsigned char c = (unsigned char)*string;

        if (c == '"' || c == '\\') {
            text_add(text, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            text_add(text, "\\u%04x", c);
        } else {
            text_add(text, "%c", c);
        }
    }
    text_add(text, "\"");
}

/* ----------------------------------------------------------------------------------- tally -- */

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static const struct plan_object *chunk_object(const struct plan_input *input, uint64_t index)
{
    uint32_t object = input_chunk(input, index)->object;

    return object < input->object_count ? input_object(input, object) : NULL;
}

/* The bytes of one chunk, 0 if they are not known; *start gets where they begin. */
static uint64_t chunk_asked(const struct plan_input *input, uint64_t index, uint64_t *start)
{
    const struct plan_object *object = chunk_object(input, index);
    uint64_t offset = 0, length = 0;

    if (!object || plan_chunk_range(input_chunk(input, index), atomic_load(&object->size), &offset,
                                    &length) != 0) {
        return 0;
    }
    *start = offset;
    return length;
}

static void tally_op(struct tally *tally, const struct plan_input *input,
                     const struct plan_slab *slab, const struct plan_op *op)
{
    uint64_t asked = 0, useful = 0, top = 0, read = op->span_bytes;

    if (op->kind == PLAN_NONE) { /* members of many objects: counted one by one */
        tally->members[PLAN_NONE]++;
        tally->chunks++;
        return;
    }
    for (uint32_t i = 0; i < op->count; i++) {
        uint64_t start = 0;
        uint64_t bytes = chunk_asked(input, plan_chunk_of(slab, op->first + i), &start);
        uint64_t from = max_u64(start, top);

        asked = add_saturated(asked, bytes);
        if (start + bytes > from) {
            useful += start + bytes - from;
            top = start + bytes;
        }
    }
    if (op->kind == PLAN_SPLIT) {
        read = useful;
    } else if (op->kind == PLAN_PROBE) {
        read = useful = 0;
    }
    tally->chunks += op->count;
    tally->operations[op->kind]++;
    tally->members[op->kind] += op->count;
    tally->parts += op->parts;
    tally->asked = add_saturated(tally->asked, asked);
    tally->read = add_saturated(tally->read, read);
    tally->wasted = add_saturated(tally->wasted, read - min_u64(read, useful));
}

static struct tally *tally_of(struct tally *tallies, uint32_t store_count,
                              const struct plan_object *object)
{
    return &tallies[object && object->store < store_count ? object->store : store_count];
}

/* The last tally is for chunks whose object does not exist. */
static void tally_slab(struct tally *tallies, uint32_t store_count, const struct plan_input *input,
                       const struct plan_slab *slab)
{
    for (uint32_t i = 0; i < slab->op_count; i++) {
        const struct plan_op *op = &slab->ops[i];
        uint32_t rounds = op->kind == PLAN_NONE ? op->count : 1;

        for (uint32_t k = 0; k < rounds; k++) {
            uint64_t index = plan_chunk_of(slab, op->first + k);
            const struct plan_object *object = chunk_object(input, index);

            tally_op(tally_of(tallies, store_count, object), input, slab, op);
        }
    }
}

static void tally_sum(struct tally *total, const struct tally *tallies, uint32_t count)
{
    *total = (struct tally){0};
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t kind = 0; kind < KIND_COUNT; kind++) {
            total->operations[kind] += tallies[i].operations[kind];
            total->members[kind] += tallies[i].members[kind];
        }
        total->chunks += tallies[i].chunks;
        total->parts += tallies[i].parts;
        total->asked = add_saturated(total->asked, tallies[i].asked);
        total->read = add_saturated(total->read, tallies[i].read);
        total->wasted = add_saturated(total->wasted, tallies[i].wasted);
    }
}

static uint64_t tally_operations(const struct tally *tally)
{
    uint64_t sum = 0;

    for (uint32_t kind = 0; kind < KIND_COUNT; kind++) {
        sum += tally->operations[kind];
    }
    return sum;
}

/* ------------------------------------------------------------------------------------ JSON -- */

static void json_tally(struct text *text, const struct tally *tally, const char *indent)
{
    text_add(text, "%s\"chunks\": %" PRIu64 ",\n", indent, tally->chunks);
    text_add(text, "%s\"chunks_without_io\": %" PRIu64 ",\n", indent, tally->members[PLAN_NONE]);
    text_add(text, "%s\"operations\": {\"total\": %" PRIu64, indent, tally_operations(tally));
    for (uint32_t kind = PLAN_READ; kind < KIND_COUNT; kind++) {
        text_add(text, ", \"%s\": %" PRIu64, kind_names[kind], tally->operations[kind]);
    }
    text_add(text, "},\n%s\"chunks_joined\": %" PRIu64 ",\n", indent,
             tally->members[PLAN_VECTOR] + tally->members[PLAN_JOIN]);
    text_add(text, "%s\"chunks_probed\": %" PRIu64 ",\n", indent, tally->members[PLAN_PROBE]);
    text_add(text, "%s\"split_parts\": %" PRIu64 ",\n", indent, tally->parts);
    text_add(text, "%s\"bytes_asked\": %" PRIu64 ",\n", indent, tally->asked);
    text_add(text, "%s\"bytes_read\": %" PRIu64 ",\n", indent, tally->read);
    text_add(text, "%s\"bytes_wasted\": %" PRIu64, indent, tally->wasted);
}

static void json_number(struct text *text, const char *key, uint64_t number)
{
    text_add(text, "        \"%s\": %" PRIu64 ",\n", key, number);
}

static void json_fields(struct text *text, const char *key, uint32_t tuned)
{
    const char *comma = "";

    text_add(text, "        \"%s\": [", key);
    for (uint32_t i = 0; i < PLAN_TUNED_COUNT; i++) {
        if (tuned & 1u << i) {
            text_add(text, "%s\"%s\"", comma, plan_tuned_name(i));
            comma = ", ";
        }
    }
    text_add(text, "]");
}

static void json_flag(struct text *text, const char *key, bool flag)
{
    text_add(text, "        \"%s\": %s,\n", key, flag ? "true" : "false");
}

static void json_measured(struct text *text, const struct plan_store *store)
{
    text_add(text, ",\n      \"measured\": {\n");
    json_number(text, "latency_ns", store->measured->latency_ns);
    json_number(text, "latency_count", store->measured->latency_count);
    json_number(text, "stream_bytes_per_second", store->measured->stream_bytes_per_second);
    json_number(text, "stream_count", store->measured->stream_count);
    json_flag(text, "throttled", store->measured->throttled);
    json_fields(text, "followed_by", store->profile->followed);
    text_add(text, "\n      }");
}

static void json_profile(struct text *text, const struct plan_profile *profile)
{
    text_add(text, "      \"profile\": {\n        \"name\": ");
    text_add_string(text, profile->name);
    text_add(text, ",\n        \"reason\": ");
    text_add_string(text, profile->reason);
    text_add(text, ",\n");
    json_number(text, "gap_bytes", profile->gap_bytes);
    json_number(text, "gap_bytes_max", profile->gap_bytes_max);
    json_number(text, "request_latency_ns", profile->request_latency_ns);
    json_number(text, "stream_bytes_per_second", profile->stream_bytes_per_second);
    json_number(text, "iops_max", profile->iops_max);
    json_number(text, "request_bytes_max", profile->request_bytes_max);
    json_number(text, "split_bytes", profile->split_bytes);
    json_number(text, "inflight_max", profile->inflight_max);
    json_number(text, "align_bytes", profile->align_bytes);
    json_number(text, "waste_max", profile->waste_max);
    text_add(text, "        \"direct\": \"%s\",\n",
             direct_names[profile->direct <= PLAN_DIRECT_OFF ? profile->direct : 0]);
    json_flag(text, "physical_order", profile->physical_order);
    json_flag(text, "remote", profile->remote);
    json_flag(text, "autotune", profile->autotune);
    json_fields(text, "tuned", profile->tuned);
    text_add(text, "\n      }");
}

static void json_write(struct text *text, const struct tally *total, const struct tally *tallies,
                       const struct plan_store *stores, uint32_t store_count)
{
    text_add(text, "{\n  \"stores\": [");
    for (uint32_t i = 0; i < store_count; i++) {
        text_add(text, "%s\n    {\n      \"url\": ", i ? "," : "");
        text_add_string(text, stores[i].url);
        text_add(text, ",\n");
        json_profile(text, stores[i].profile);
        if (stores[i].measured) {
            json_measured(text, &stores[i]);
        }
        text_add(text, ",\n");
        json_tally(text, &tallies[i], "      ");
        text_add(text, "\n    }");
    }
    text_add(text, "%s],\n  \"total\": {\n", store_count ? "\n  " : "");
    json_tally(text, total, "    ");
    text_add(text, "\n  }\n}\n");
}

/* ------------------------------------------------------------------------------------ text -- */

static void plain_tally(struct text *text, const struct tally *tally)
{
    uint64_t percent = tally->read >= 100 ? tally->wasted / (tally->read / 100) : 0;

    text_add(text, "  chunks      %" PRIu64, tally->chunks);
    if (tally->members[PLAN_NONE]) {
        text_add(text, ", %" PRIu64 " without I/O (empty or wrong)", tally->members[PLAN_NONE]);
    }
    text_add(text, "\n  operations  %" PRIu64, tally_operations(tally));
    for (uint32_t kind = PLAN_READ; kind < KIND_COUNT; kind++) {
        if (tally->operations[kind]) {
            text_add(text, ", %s %" PRIu64, kind_names[kind], tally->operations[kind]);
        }
    }
    text_add(text, "\n  joined      %" PRIu64 " chunks into %" PRIu64 " reads\n",
             tally->members[PLAN_VECTOR] + tally->members[PLAN_JOIN],
             tally->operations[PLAN_VECTOR] + tally->operations[PLAN_JOIN]);
    text_add(text, "  split       %" PRIu64 " chunks into %" PRIu64 " reads\n",
             tally->members[PLAN_SPLIT], tally->parts);
    text_add(text, "  probes      %" PRIu64 " for %" PRIu64 " chunks of unknown size\n",
             tally->operations[PLAN_PROBE], tally->members[PLAN_PROBE]);
    text_add(text,
             "  bytes       %" PRIu64 " asked, %" PRIu64 " read, %" PRIu64 " wasted (%" PRIu64
             " %%)\n",
             tally->asked, tally->read, tally->wasted, min_u64(percent, 100));
}

static void plain_fields(struct text *text, const char *what, uint32_t tuned)
{
    if (!tuned) {
        return;
    }
    text_add(text, "              %s", what);
    for (uint32_t i = 0; i < PLAN_TUNED_COUNT; i++) {
        if (tuned & 1u << i) {
            text_add(text, " %s", plan_tuned_name(i));
        }
    }
    text_add(text, "\n");
}

static void plain_measured(struct text *text, const struct plan_store *store)
{
    const struct plan_measured *measured = store->measured;

    text_add(text,
             "  measured    first byte after %" PRIu64 " ns (median of %" PRIu32
             " requests), then %" PRIu64 " bytes/s (of %" PRIu32 ")%s\n",
             measured->latency_ns, measured->latency_count, measured->stream_bytes_per_second,
             measured->stream_count, measured->throttled ? ", throttled" : "");
    plain_fields(text, "followed by", store->profile->followed);
}

static void plain_write(struct text *text, const struct tally *total, const struct tally *tallies,
                        const struct plan_store *stores, uint32_t store_count)
{
    for (uint32_t i = 0; i < store_count; i++) {
        const struct plan_profile *profile = stores[i].profile;

        text_add(text, "store %" PRIu32 "  %s\n", i, stores[i].url ? stores[i].url : "");
        text_add(text, "  profile     %s: %s\n", profile->name, profile->reason);
        text_add(text,
                 "              gap %" PRIu64 ", request at most %" PRIu64 ", split at %" PRIu64
                 ", %" PRIu32 " in flight, waste at most %" PRIu32 " %%, direct %s%s\n",
                 profile->gap_bytes, profile->request_bytes_max, profile->split_bytes,
                 profile->inflight_max, profile->waste_max,
                 direct_names[profile->direct <= PLAN_DIRECT_OFF ? profile->direct : 0],
                 profile->remote ? ", remote" : "");
        plain_fields(text, "tuned", profile->tuned);
        if (stores[i].measured) {
            plain_measured(text, &stores[i]);
        }
        plain_tally(text, &tallies[i]);
    }
    if (store_count != 1 || tallies[store_count].chunks) {
        text_add(text, "total\n");
        plain_tally(text, total);
    }
}

/* --------------------------------------------------------------------------------- explain -- */

static int explain_plan(const struct plan_input *input, struct tally *tallies, uint32_t store_count)
{
    uint32_t capacity = (uint32_t)min_u64(max_u64(input->chunk_count, 1), EXPLAIN_SLAB_CHUNKS);
    struct plan_slab slab = {.order = malloc(capacity * sizeof(*slab.order)),
                             .ops = malloc(capacity * sizeof(*slab.ops))};
    struct planner *planner = NULL;
    int status = slab.order && slab.ops ? planner_create(capacity, &planner) : -ENOMEM;

    if (status == 0) {
        for (uint64_t first = 0; first < input->chunk_count; first += capacity) {
            uint32_t count = (uint32_t)min_u64(capacity, input->chunk_count - first);

            plan_slab_build(planner, input, first, count, &slab);
            tally_slab(tallies, store_count, input, &slab);
        }
    }
    planner_destroy(planner);
    free(slab.order);
    free(slab.ops);
    return status;
}

int plan_explain(const struct plan_input *input, const struct plan_store *stores,
                 uint32_t store_count, int format, char **out)
{
    struct tally *tallies = calloc((size_t)store_count + 1, sizeof(*tallies));
    struct text text = {0};
    struct tally total;
    int status = tallies ? explain_plan(input, tallies, store_count) : -ENOMEM;

    if (status < 0) {
        free(tallies);
        return status;
    }
    tally_sum(&total, tallies, store_count + 1);
    (format == LSIO_EXPLAIN_JSON ? json_write : plain_write)(&text, &total, tallies, stores,
                                                             store_count);
    free(tallies);
    if (text.failed) {
        free(text.data);
        return -ENOMEM;
    }
    *out = text.data;
    return 0;
}
