/* SPDX-License-Identifier: MIT */
/*
 * Design: a chunk's verdict is the oracle's answer for each version of its file in the batch's
 * window, widened by what check.h lists, each only where its cause is known to have been there. So
 * a chunk whose file had no fault and did not change has exactly one right end, whatever happens to
 * its neighbours.
 *
 * Looking inside the engine is limited to check_budget() and check_quiet(): what memory is out.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "sim_loop.h"

#define ERRORS_KEPT 64

/* ----------------------------------------------------------------------------------- verdict -- */

/* A chunk's right ends. */
struct verdict {
    struct oracle_answer answers[VERSIONS_MAX + 1];
    unsigned count;
    int also[16 + FAULTS_MAX]; /* statuses that circumstances allow */
    unsigned also_count;
    bool must_exceed; /* the budget */
};

static void also(struct verdict *verdict, int status)
{
    verdict->also[verdict->also_count++] = status;
}

static bool may_end(const struct verdict *verdict, int status)
{
    for (unsigned i = 0; i < verdict->also_count; i++)
        if (verdict->also[i] == status)
            return true;
    for (unsigned i = 0; i < verdict->count && !verdict->must_exceed; i++)
        if (oracle_allows(&verdict->answers[i], status))
            return true;
    return false;
}

/* Keeps what is found wrong without the object's validator, which is looked at when the object is
 * opened; what becomes of the open file `in_place` is met by chains before it is noticed. Of a
 * remote object the server may say that there is nothing in the range, and no more. */
static void etag_refuses(const struct scenario *s, struct oracle_answer *answer,
                         const struct note *note, bool in_place)
{
    struct oracle_answer all = *answer;

    if (note->chunk.length == 0)
        return;
    answer->status_count = 0;
    oracle_allow(answer, LSIO_E_CHANGED);
    for (unsigned i = 0; i < all.status_count; i++)
        if (all.statuses[i] == -EINVAL || all.statuses[i] == -ENOENT ||
            all.statuses[i] == LSIO_E_UNSUPPORTED || all.statuses[i] == LSIO_E_NO_SPACE ||
            (in_place && all.statuses[i] < 0) ||
            (s->world->is_remote && (all.statuses[i] == LSIO_E_TRUNCATED || all.length == 0)))
            oracle_allow(answer, all.statuses[i]);
    if (note->chunk.offset > INT64_MAX - 1000)
        oracle_allow(answer, LSIO_E_TRUNCATED); /* such an object cannot be */
}

/* What the stated size says is taken for true until the object is looked at. The range's length. */
static uint64_t stated_allows(struct verdict *verdict, const struct note *note, uint8_t *room)
{
    struct oracle_answer *answer = &verdict->answers[verdict->count];
    struct oracle_object object = {.bytes = alloc_zeroed(note->stated, 1), .size = note->stated};

    oracle_read(&object, &note->chunk, note->chain, note->code, room, answer);
    free((void *)(uintptr_t)object.bytes);
    if (answer->length == 0 && oracle_allows(answer, 0)) {
        verdict->count++; /* nothing to read: the object is not looked at */
        return 0;
    }
    for (unsigned i = 0; i < answer->status_count; i++)
        if (answer->statuses[i] == LSIO_E_TRUNCATED || answer->statuses[i] == LSIO_E_NO_SPACE ||
            (answer->length == 0 && answer->statuses[i] < 0))
            also(verdict, answer->statuses[i]);
    return answer->length;
}

static bool chain_has(unsigned chain, uint8_t kind)
{
    for (const uint8_t *stage = oracle_chains[chain]; *stage; stage++)
        if (*stage == kind)
            return true;
    return false;
}

/* What faults and changes of its file may give it; `first`: the oldest version it may see. */
static void file_allows(const struct scenario *s, const struct note *note, unsigned first,
                        struct verdict *verdict)
{
    const struct file *file = note->file;
    bool faults_struck = s->world->faults_are_certain || sim_faults_struck();

    for (unsigned i = 0; faults_struck && i < file->fault_count; i++)
        also(verdict, file->faults[i]);
    if (file->version_count - first < 2)
        return;
    also(verdict, LSIO_E_CHANGED);
    for (unsigned i = first + 1; i < file->version_count; i++) {
        const struct version *version = &file->versions[i];
        if (version->in_place && version->size < version[-1].size)
            also(verdict, LSIO_E_TRUNCATED);
        if (version->in_place && chain_has(note->chain, STAGE_CRC))
            also(verdict, LSIO_E_CORRUPT);
    }
}

/* The budget's part in it, for a range of `length` bytes. */
static void budget_allows(const struct scenario *s, const struct note *note, uint64_t length,
                          struct verdict *verdict)
{
    const struct lsio_chunk *chunk = &note->chunk;
    uint64_t room = length + 2 * POOL_PAGE, out = length, scratch = 0;
    bool direct = oracle_chain_is_raw(note->chain) &&
                  (chunk->dst || (chunk->flags & LSIO_CHUNK_ALLOC));

    for (const uint8_t *stage = oracle_chains[note->chain]; *stage; stage++) {
        out *= *stage == STAGE_DOUBLE ? 2 : 1;
        if (*stage != STAGE_CRC && *stage != STAGE_SLICE)
            scratch += out + 64;
    }
    if (scratch > s->scratch_bytes)
        also(verdict, LSIO_E_BUDGET);
    if (!direct && length && room > s->arena_least && pool_charge(room) > s->pool_bytes) {
        also(verdict, LSIO_E_BUDGET);
        verdict->must_exceed = verdict->count == 1 && room > s->arena_most &&
                               oracle_allows(&verdict->answers[0], 0);
    }
}

static void batch_allows(const struct scenario *s, const struct batch *batch,
                         const struct note *note, bool real_failure, struct verdict *verdict)
{
    uint64_t now = note->reports ? note->reported_ns : sim_now_ns();

    if ((batch->canceled && now >= batch->canceled_ns) || (batch->fail_fast && real_failure))
        also(verdict, -ECANCELED);
    if (now >= batch->deadline_ns)
        also(verdict, -ETIMEDOUT);
    if (alloc_failed())
        also(verdict, -ENOMEM);
    if (alloc_failed() && s->world->is_remote)
        also(verdict, -EAGAIN);
}

/* The oldest version that the batch may see. */
static unsigned version_first(const struct scenario *s, const struct batch *batch,
                              const struct file *file)
{
    return file ? batch->settled[file - s->files] - 1 : 0;
}

/* `room` is for the answers' bytes: oracle_room() of each version. */
static void verdict_make(const struct scenario *s, const struct batch *batch,
                         const struct note *note, bool real_failure, uint8_t *room,
                         struct verdict *verdict)
{
    const struct file *file = note->file;
    unsigned first = version_first(s, batch, file);
    uint64_t length = 0, stated = 0;

    verdict->count = verdict->also_count = 0;
    verdict->must_exceed = false;
    batch_allows(s, batch, note, real_failure, verdict);
    if (!file) {
        also(verdict, -EINVAL);
        return;
    }
    for (unsigned i = first; i < file->version_count; i++) {
        const struct version *version = &file->versions[i];
        struct oracle_answer *answer = &verdict->answers[verdict->count++];
        struct oracle_object object = {version->bytes, version->size, version->absent,
                                       file->directory, file->bad_key};
        oracle_read(&object, &note->chunk, note->chain, note->code, room, answer);
        room += oracle_room(version->size);
        if (note->etag == 2 || (note->etag == 1 && version->same > 0) ||
            (note->stated && note->stated != version->size))
            etag_refuses(s, answer, note, version->in_place);
        length = answer->length > length ? answer->length : length;
    }
    file_allows(s, note, first, verdict);
    if (note->chunk.length != LSIO_TO_END && note->chunk.length > length)
        length = note->chunk.length; /* known before the object is */
    if (note->stated)
        stated = stated_allows(verdict, note, room);
    budget_allows(s, note, length > stated ? length : stated, verdict);
}

/* ------------------------------------------------------------------------------------ chunks -- */

static bool all_are(const uint8_t *bytes, uint64_t count, uint8_t value)
{
    return count == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, count - 1) == 0);
}

static void chunk_wrong(const struct batch *batch, const struct wave *wave, uint64_t i,
                        const struct verdict *verdict, const char *what)
{
    const struct note *note = &wave->notes[i];
    char allowed[400] = "";

    for (unsigned v = 0; verdict && v < verdict->count + verdict->also_count; v++) {
        size_t used = strlen(allowed);
        int status = v < verdict->also_count
                         ? verdict->also[v]
                         : verdict->answers[v - verdict->also_count].statuses[0];
        snprintf(allowed + used, sizeof(allowed) - used, " %s", lsio_status_name(status));
    }
    scenario_fail("batch %u chunk %llu: %s\n"
                  "  object %u %s offset %lld length %lld chain %u flags %u dst %d of %llu "
                  "stated %llu etag %d\n"
                  "  ended with %s (%d) flags %u bytes %llu; on_chunk saw %s %u times; right:%s",
                  batch->number, (unsigned long long)(wave->first_index + i), what,
                  note->chunk.object, note->file ? note->file->key : "(none)",
                  (long long)note->chunk.offset, (long long)note->chunk.length, note->chain,
                  note->chunk.flags, note->chunk.dst != NULL,
                  (unsigned long long)note->chunk.dst_bytes, (unsigned long long)note->stated,
                  note->etag, lsio_status_name(note->final.status), note->final.status,
                  note->final.flags, (unsigned long long)note->final.bytes,
                  lsio_status_name(note->seen.status), note->reports, allowed);
}

/* What is wrong with where the result says the bytes are, or NULL. */
static const char *data_wrong(const struct note *note)
{
    const struct lsio_result *final = &note->final;
    bool allocated = !note->chunk.dst && (note->chunk.flags & LSIO_CHUNK_ALLOC);

    if (allocated != !!(final->flags & LSIO_RESULT_ALLOCATED))
        return "wrong flags";
    if (allocated ? !final->data : final->data != note->chunk.dst)
        return "wrong data pointer";
    return NULL;
}

/* Compares what was delivered with what the oracle says of each version; the first answer is that
 * of version `first`. */
static const char *bytes_wrong(struct note *note, const struct verdict *verdict, unsigned first,
                               bool readable)
{
    const struct lsio_result *final = &note->final;
    const uint8_t *data = note->taken ? note->taken : final->data;
    bool right_count = false, right = false;

    if ((final->flags & LSIO_RESULT_ALLOCATED) && !readable)
        return NULL;
    for (unsigned i = 0; i < verdict->count; i++) {
        const struct oracle_answer *answer = &verdict->answers[i];
        if (!oracle_allows(answer, 0) || answer->count != final->bytes)
            continue;
        right_count = true;
        if (!data || !answer->count)
            return NULL;
        if (memcmp(data, answer->bytes, answer->count) != 0)
            continue;
        right = true;
        note->versions |= 1u << (first + i);
    }
    if (right)
        return NULL;
    return right_count ? "wrong bytes" : "wrong number of bytes";
}

/* With no chain nothing may be written behind the bytes. */
static const char *rest_wrong(const struct note *note)
{
    const uint8_t *rest = note->taken ? note->taken : note->chunk.dst;

    for (uint64_t i = note->final.bytes; rest && !note->chain && i < note->chunk.dst_bytes; i++)
        if (rest[i] != CANARY)
            return "bytes behind the delivered ones were written";
    return NULL;
}

static void check_chunk(struct scenario *s, struct batch *batch, struct wave *wave, uint64_t i,
                        bool real_failure, bool readable, uint8_t *room)
{
    struct note *note = &wave->notes[i];
    const struct lsio_result *final = &note->final;
    bool missing = (final->flags & LSIO_RESULT_MISSING) != 0;
    struct verdict verdict;
    const char *wrong = NULL;
    bool revoked;

    if (batch->on_chunk && note->reports != 1)
        chunk_wrong(batch, wave, i, NULL, "was not reported exactly once");
    if (note->stage_runs > 1)
        chunk_wrong(batch, wave, i, NULL, "ran its chain more than once");
    if (!wave->results && !batch->on_chunk)
        return;
    verdict_make(s, batch, note, real_failure, room, &verdict);
    /* what on_chunk saw may have been revoked since, without results to say so */
    revoked = final->status == 0 && !missing && !wave->results && verdict.count > 1;
    if (!revoked && !may_end(&verdict, missing ? -ENOENT : final->status))
        chunk_wrong(batch, wave, i, &verdict, "wrong status");
    if (batch->on_chunk && memcmp(&note->seen, final, sizeof(*final)) != 0 &&
        !(final->status == LSIO_E_CHANGED && note->seen.status == 0))
        chunk_wrong(batch, wave, i, &verdict, "on_chunk and results differ");
    if ((final->status < 0 || missing) && (final->bytes || final->data))
        wrong = "a failed chunk delivers";
    else if (missing != (missing && (note->chunk.flags & LSIO_CHUNK_MISSING_OK)) ||
             (final->status == -ENOENT && (note->chunk.flags & LSIO_CHUNK_MISSING_OK)))
        wrong = "MISSING_OK was not heeded";
    if (!wrong && final->status == 0 && !missing)
        wrong = data_wrong(note);
    if (!wrong && final->status == 0 && !missing && !revoked)
        wrong = bytes_wrong(note, &verdict, version_first(s, batch, note->file), readable);
    if (!wrong && final->status == 0 && !missing)
        wrong = rest_wrong(note);
    if (!wrong && note->taken && !all_are(note->chunk.dst, note->chunk.dst_bytes, AFTER))
        wrong = "dst was written after on_chunk";
    if (wrong)
        chunk_wrong(batch, wave, i, &verdict, wrong);
}

/* All of an object's bytes are of one version, whatever happened meanwhile. */
static void check_mixture(const struct batch *batch, const struct wave *wave)
{
    for (size_t object = 0; object < wave->object_count; object++) {
        uint32_t versions = UINT32_MAX;
        for (uint64_t i = 0; i < wave->count; i++) {
            const struct note *note = &wave->notes[i];
            if (note->chunk.object != object || !note->versions)
                continue;
            versions &= note->versions;
            if (!versions)
                chunk_wrong(batch, wave, i, NULL, "is of another version than those before it");
        }
    }
}

/* ------------------------------------------------------------------------------------ errors -- */

static void check_error(const struct batch *batch, const struct wave *wave, uint64_t i,
                        struct lsio_batch *handle, bool kept)
{
    const struct note *note = &wave->notes[i];
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    int status = lsio_batch_error(handle, wave->first_index + i, &error);

    if (status == -ENOENT && (!kept || alloc_failed()))
        return;
    if (status)
        chunk_wrong(batch, wave, i, NULL, "no error detail");
    if (error.index != wave->first_index + i ||
        (wave->results && error.status != note->final.status) || !error.text[0])
        chunk_wrong(batch, wave, i, NULL, "the error detail is of something else");
    if (note->file && (!strstr(error.text, note->file->key) ||
                       (error.url[0] && !strstr(error.url, note->file->key))))
        chunk_wrong(batch, wave, i, NULL, "the error detail does not name the object");
    if (note->chunk.offset >= 0 && note->chunk.length != LSIO_TO_END &&
        (error.offset != (uint64_t)note->chunk.offset || error.length != note->chunk.length) &&
        error.status != LSIO_E_CHANGED)
        chunk_wrong(batch, wave, i, NULL, "the error detail has another range");
}

/* ------------------------------------------------------------------------------------- batch -- */

/* What the batch's chunks come to. */
struct sum {
    uint64_t chunks, failed, changed, bytes;
    bool known; /* every chunk's end is */
    bool real_failure;
    int status;
};

static void sum_batch(const struct batch *batch, struct sum *sum)
{
    *sum = (struct sum){.known = true};
    for (unsigned w = 0; w < batch->wave_count; w++) {
        const struct wave *wave = &batch->waves[w];
        sum->known = sum->known && wave->results;
        sum->chunks += wave->count;
        for (uint64_t i = 0; i < wave->count; i++) {
            int status = wave->notes[i].final.status;
            sum->bytes += status == 0 ? wave->notes[i].final.bytes : 0;
            sum->failed += status < 0;
            sum->changed += status == LSIO_E_CHANGED;
            sum->real_failure |= status < 0 && status != -ECANCELED;
            sum->status = sum->status ? sum->status : status < 0 ? status : 0;
        }
    }
    sum->real_failure |= !sum->known;
}

static void take_finals(struct batch *batch)
{
    for (unsigned w = 0; w < batch->wave_count; w++) {
        struct wave *wave = &batch->waves[w];
        for (uint64_t i = 0; i < wave->count; i++)
            wave->notes[i].final =
                wave->results ? *(struct lsio_result *)(void *)(wave->results +
                                                                i * wave->result_stride)
                              : wave->notes[i].seen;
    }
}

static void check_counts(const struct batch *batch, struct lsio_batch *handle,
                         const struct sum *sum)
{
    struct lsio_progress progress = {.struct_bytes = sizeof(progress)};

    if (lsio_batch_progress(handle, &progress))
        scenario_fail("batch %u: no progress", batch->number);
    if (progress.chunk_count != sum->chunks || progress.chunks_done != sum->chunks ||
        (progress.chunks_failed > sum->chunks && !alloc_failed()) ||
        (sum->known && progress.chunks_failed != sum->failed) ||
        (sum->known && !sum->changed && progress.bytes_done != sum->bytes))
        scenario_fail("batch %u ended with progress %llu of %llu, %llu failed, %llu bytes; it has "
                      "%llu chunks, %llu failed, %llu bytes",
                      batch->number, (unsigned long long)progress.chunks_done,
                      (unsigned long long)progress.chunk_count,
                      (unsigned long long)progress.chunks_failed,
                      (unsigned long long)progress.bytes_done, (unsigned long long)sum->chunks,
                      (unsigned long long)sum->failed, (unsigned long long)sum->bytes);
    if (sum->known &&
        (lsio_batch_status_count(handle, LSIO_E_CHANGED) != sum->changed ||
         lsio_batch_status_count(handle, 0) != sum->chunks - sum->failed))
        scenario_fail("batch %u: the counts per status are wrong", batch->number);
}

/* The destinations are the application's again: who still writes there is found out. */
static void destinations_fill(const struct batch *batch)
{
    for (unsigned w = 0; w < batch->wave_count; w++)
        for (uint64_t i = 0; i < batch->waves[w].count; i++)
            if (batch->waves[w].notes[i].chunk.dst)
                memset(batch->waves[w].notes[i].chunk.dst, AFTER,
                       batch->waves[w].notes[i].chunk.dst_bytes);
}

void check_status(const struct batch *batch, int status)
{
    struct sum sum;

    sum_batch(batch, &sum);
    if (sum.known && status != sum.status)
        scenario_fail("batch %u: status %s, but its first failing chunk's is %s", batch->number,
                      lsio_status_name(status), lsio_status_name(sum.status));
}

static uint64_t room_bytes(const struct scenario *s)
{
    uint64_t most = 0;

    for (unsigned i = 0; i < s->file_count; i++) {
        const struct file *file = &s->files[i];
        uint64_t bytes = 0;
        for (unsigned v = 0; v < VERSIONS_MAX; v++)
            bytes += oracle_room(file->versions[v].size);
        most = bytes > most ? bytes : most;
    }
    return 2 * most + 65536; /* and once more for what is stated */
}

void check_batch(struct scenario *s, struct batch *batch, struct lsio_batch *handle)
{
    struct sum sum;
    uint8_t *room;

    if (batch->checked)
        return;
    batch->checked = true;
    take_finals(batch);
    sum_batch(batch, &sum);
    if (handle && batch->canceled && !batch->late &&
        batch->last_ns > batch->canceled_ns + s->world->cancel_ns_max)
        scenario_fail("batch %u ended %llu ms after it was canceled", batch->number,
                      (unsigned long long)(batch->last_ns - batch->canceled_ns) / 1000000);
    room = alloc_zeroed(room_bytes(s), 1);
    for (unsigned w = 0; w < batch->wave_count; w++)
        for (uint64_t i = 0; i < batch->waves[w].count; i++)
            check_chunk(s, batch, &batch->waves[w], i, sum.real_failure,
                        handle || (batch->blocking && batch->waves[w].results), room);
    for (unsigned w = 0; s->world->is_remote && w < batch->wave_count; w++)
        check_mixture(batch, &batch->waves[w]);
    free(room);
    destinations_fill(batch);
    if (!handle)
        return;
    for (unsigned w = 0; w < batch->wave_count; w++)
        for (uint64_t i = 0; i < batch->waves[w].count; i++)
            if (batch->waves[w].notes[i].final.status < 0)
                check_error(batch, &batch->waves[w], i, handle,
                            sum.known && sum.failed <= ERRORS_KEPT);
    check_counts(batch, handle, &sum);
}

void check_running(struct scenario *s, const struct batch *batch, struct lsio_batch *handle)
{
    struct lsio_progress progress = {.struct_bytes = sizeof(progress)}, later = progress;
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct lsio_object_info info = {.struct_bytes = sizeof(info)};
    struct lsio_stats stats = {.struct_bytes = sizeof(stats)};
    int status;

    /* numbers of one call are not of one instant: chunks may be added and fail meanwhile */
    if (lsio_batch_progress(handle, &progress) || lsio_batch_progress(handle, &later) ||
        progress.chunks_done > progress.chunk_count ||
        (progress.chunks_failed > later.chunk_count && !alloc_failed()) ||
        later.chunk_count < progress.chunk_count || later.bytes_done < progress.bytes_done ||
        later.chunks_failed < progress.chunks_failed)
        scenario_fail("batch %u: progress %llu of %llu, %llu failed", batch->number,
                      (unsigned long long)progress.chunks_done,
                      (unsigned long long)progress.chunk_count,
                      (unsigned long long)progress.chunks_failed);
    status = lsio_batch_error(handle, batch->calls[IN_CHUNK] / 2, &error);
    if (status != -ENOENT && (status || error.status >= 0 || !error.text[0]))
        scenario_fail("batch %u: lsio_batch_error gave %d", batch->number, status);
    if (batch->waves[0].object_count)
        (void)lsio_batch_object(handle, 0, &info);
    if (lsio_context_stats(s->context, &stats) || stats.memory_bytes_peak > stats.memory_bytes_max)
        scenario_fail("memory: %llu of %llu", (unsigned long long)stats.memory_bytes_peak,
                      (unsigned long long)stats.memory_bytes_max);
}

/* ----------------------------------------------------------------------------------- context -- */

static void pool_check(const struct pool *pool, const char *name)
{
    if (pool->bytes_used > pool->bytes_mapped || pool->bytes_mapped > pool->bytes_max ||
        pool->bytes_peak > pool->bytes_max)
        scenario_fail("%s: %llu used, %llu mapped, at most %llu", name,
                      (unsigned long long)pool->bytes_used,
                      (unsigned long long)pool->bytes_mapped, (unsigned long long)pool->bytes_max);
}

void check_budget(const struct scenario *s)
{
    pool_check(&s->context->pool, "pool");
    pool_check(&s->context->lane_pool, "oversize lane");
}

static void check_worker(const struct worker *worker)
{
    uint32_t free_count = 0;

    for (const struct operation *at = worker->free_operations; at; at = at->free_next)
        free_count++;
    if (free_count != ENGINE_OPERATIONS_MAX || worker->inflight || worker->window_bytes ||
        worker->arena.pages_free != worker->arena.pages || ~worker->iov_free || worker->resumed ||
        worker->waiting.slab || worker->claim.next != worker->claim.end)
        scenario_fail("worker %u holds something when all is done: %u of %u operations free, %u in "
                      "flight, %llu bytes in the window, %u of %u pages free, vectors %llx",
                      worker->index, free_count, ENGINE_OPERATIONS_MAX, worker->inflight,
                      (unsigned long long)worker->window_bytes, worker->arena.pages_free,
                      worker->arena.pages, (unsigned long long)~worker->iov_free);
}

static void check_stats(const struct scenario *s)
{
    struct lsio_stats stats = {.struct_bytes = sizeof(stats)};
    uint64_t chunks = s->stat_chunks, failed = s->stat_failed, changed = 0;
    bool known = true;

    if (lsio_context_stats(s->context, &stats))
        scenario_fail("no statistics");
    for (unsigned i = 0; i < s->batch_count; i++) {
        struct sum sum;
        if (!s->batches[i]->started)
            continue;
        sum_batch(s->batches[i], &sum);
        chunks += sum.chunks;
        failed += sum.failed;
        changed += sum.changed;
        known = known && sum.known;
    }
    if (stats.chunks_done != chunks ||
        (known && (stats.chunks_failed > failed || stats.chunks_failed + changed < failed)) ||
        stats.bytes_wasted > stats.bytes_read || stats.memory_bytes_peak > stats.memory_bytes_max)
        scenario_fail("statistics: %llu chunks done, %llu failed; there were %llu and %llu",
                      (unsigned long long)stats.chunks_done,
                      (unsigned long long)stats.chunks_failed, (unsigned long long)chunks,
                      (unsigned long long)failed);
}

void check_quiet(struct scenario *s)
{
    struct lsio_context *context = s->context;

    check_budget(s);
    if (context->pool.bytes_used || context->lane_pool.bytes_used || context->lane_owner)
        scenario_fail("memory is out when all is done: %llu bytes of the pool, %llu of the lane",
                      (unsigned long long)context->pool.bytes_used,
                      (unsigned long long)context->lane_pool.bytes_used);
    if (context->running_count)
        scenario_fail("%u batches run when all is done", context->running_count);
    for (uint32_t i = 0; i < context->worker_count; i++)
        check_worker(&context->workers[i]);
    for (unsigned i = 0; i < s->store_count; i++)
        if (s->stores[i].handle && atomic_load(&s->stores[i].handle->inflight))
            scenario_fail("store %u counts reads in flight when all is done", i);
    check_stats(s);
    if (s->world->quiet)
        s->world->quiet(s);
}

static void check_destinations(struct scenario *s)
{
    uint64_t used = s->dst_used + 4096 < s->dst_bytes ? s->dst_used + 4096 : s->dst_bytes;

    for (unsigned b = 0; b < s->batch_count; b++) {
        struct batch *batch = s->batches[b];
        for (unsigned w = 0; w < batch->wave_count; w++) {
            for (uint64_t i = 0; i < batch->waves[w].count; i++) {
                const struct lsio_chunk *chunk = &batch->waves[w].notes[i].chunk;
                if (!chunk->dst)
                    continue;
                if (batch->started && !all_are(chunk->dst, chunk->dst_bytes, AFTER))
                    scenario_fail("batch %u chunk %llu: dst was written after the end", b,
                                  (unsigned long long)i);
                memset(chunk->dst, CANARY, chunk->dst_bytes);
            }
        }
    }
    if (!all_are(s->dst, used, CANARY))
        scenario_fail("a byte that is no destination was written");
}

void check_end(struct scenario *s)
{
    for (unsigned i = 0; i < s->batch_count; i++) {
        struct batch *batch = s->batches[i];
        if (!batch->started)
            continue;
        if (batch->done_calls != batch->on_done)
            scenario_fail("batch %u: on_done was called %u times", i, batch->done_calls);
        check_batch(s, batch, NULL);
    }
    check_destinations(s);
}
