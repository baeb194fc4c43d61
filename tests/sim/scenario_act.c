/* SPDX-License-Identifier: MIT */
/*
 * Design: who may use a batch's handle. `gone` is set by whoever destroys it, before it does, and
 * only while nobody else is inside a call with it (`users`, `submitting`); everybody looks at both
 * first. As threads switch only inside the library, looking and setting need no lock. A batch's own
 * callbacks may use it until on_done has returned, also after it is gone.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "engine/engine.h"
#include "sim_loop.h"
#include "sim_threads.h"

#define WAIT_SLACK_NS     UINT64_C(1000000000) /* the simulation lets waits end late */
#define DEADLINE_SLACK_NS UINT64_C(300000000)

static void nap(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000),
                            .tv_nsec = (long)(ns % 1000000000)};

    nanosleep(&time, NULL);
}

void act_mark_canceled(struct batch *batch)
{
    if (batch->canceled || batch->finished)
        return;
    batch->canceled = true;
    batch->canceled_ns = sim_now_ns();
    scenario_say("batch %u is canceled", batch->number);
}

static bool usable(const struct batch *batch)
{
    return batch->started && !batch->blocking && !batch->submitting && !batch->gone &&
           batch->handle;
}

/* A batch whose handle may be used now, or NULL. */
static struct batch *pick(struct scenario *s, struct dice *dice)
{
    uint32_t first = s->batch_count ? dice_below(dice, s->batch_count) : 0;

    for (uint32_t i = 0; i < s->batch_count; i++) {
        struct batch *batch = s->batches[(first + i) % s->batch_count];
        if (usable(batch))
            return batch;
    }
    return NULL;
}

static struct batch *pick_unused(struct scenario *s, struct dice *dice)
{
    struct batch *batch = pick(s, dice);

    return batch && batch->users == 0 ? batch : NULL;
}

/* ------------------------------------------------------------------------------------- begin -- */

static void begin(struct scenario *s, struct batch *batch)
{
    for (unsigned i = 0; i < s->file_count; i++)
        batch->settled[i] = s->files[i].settled;
    if (batch->deadline_ns != UINT64_MAX)
        batch->deadline_ns += sim_now_ns();
    batch->started = true;
    batch->late = s->ending;
    if (batch->late)
        act_mark_canceled(batch);
}

/* Nothing came of it. */
static void not_begun(struct batch *batch, int status)
{
    if (status != -ENOMEM || !alloc_failed())
        scenario_fail("batch %u could not begin: %s", batch->number, lsio_status_name(status));
    for (unsigned i = 0; i < 3; i++)
        if (batch->calls[i])
            scenario_fail("batch %u did not begin, but called back", batch->number);
    batch->started = false;
}

/* Memory that is the caller's for the call alone: tables and strings, to be spoiled afterwards. */
struct lent {
    struct lsio_object *objects;
    uint8_t *chunks;
    char *strings;
    size_t strings_bytes;
};

static char *lend_string(struct lent *lent, const char *text)
{
    char *copy = lent->strings + lent->strings_bytes;

    if (!text)
        return NULL;
    strcpy(copy, text);
    lent->strings_bytes += strlen(text) + 1;
    return copy;
}

static void lend(struct lent *lent, const struct wave *wave, struct lsio_request *request)
{
    *lent = (struct lent){.objects = alloc_zeroed(wave->object_count + 1, sizeof(*wave->objects)),
                          .chunks = alloc_zeroed(wave->count + 1, wave->chunk_stride),
                          .strings = alloc_zeroed(wave->object_count + 1, 256)};
    for (size_t i = 0; i < wave->object_count; i++) {
        lent->objects[i] = wave->objects[i];
        lent->objects[i].key = lend_string(lent, wave->objects[i].key);
        lent->objects[i].etag = lend_string(lent, wave->objects[i].etag);
    }
    memcpy(lent->chunks, wave->chunks, wave->count * wave->chunk_stride);
    request->objects = lent->objects;
    request->chunks = (const struct lsio_chunk *)(const void *)lent->chunks;
}

static void lend_end(struct lent *lent, const struct wave *wave)
{
    memset(lent->objects, 0xee, wave->object_count * sizeof(*wave->objects));
    memset(lent->chunks, 0xee, wave->count * wave->chunk_stride);
    memset(lent->strings, 0xee, lent->strings_bytes);
    free(lent->objects);
    free(lent->chunks);
    free(lent->strings);
}

/* A batch to begin with; NULL: there are enough. */
static struct batch *submit(struct scenario *s)
{
    struct batch *batch = batch_new(s, false);
    struct lsio_request request;
    struct wave *wave;
    struct lent lent;
    int status;

    if (!batch)
        return NULL;
    wave = &batch->waves[0];
    wave_request(s, batch, wave, &request);
    if (!(wave->flags & LSIO_BORROW))
        lend(&lent, wave, &request);
    begin(s, batch);
    scenario_say("batch %u: submit %llu chunks", batch->number, (unsigned long long)wave->count);
    batch->submitting = true;
    status = lsio_submit_batch(s->context, &request, &batch->handle);
    batch->submitting = false;
    if (!(wave->flags & LSIO_BORROW))
        lend_end(&lent, wave);
    if (status)
        not_begun(batch, status);
    return batch;
}

static void read_finish(struct scenario *s, struct batch *batch, int status)
{
    struct lsio_error error = {.struct_bytes = sizeof(error)};
    struct wave *wave = &batch->waves[0];

    batch->finished = true;
    check_batch(s, batch, NULL);
    check_status(batch, status);
    if (status < 0 && !alloc_failed() &&
        (lsio_last_error(s->context, &error) || error.status != status || !error.text[0]))
        scenario_fail("batch %u: lsio_last_error is not of this call", batch->number);
    for (unsigned w = 0; w < batch->wave_count; w++) {
        wave = &batch->waves[w];
        for (uint64_t i = 0; wave->results && i < wave->count; i++)
            if (wave->notes[i].final.flags & LSIO_RESULT_ALLOCATED)
                lsio_result_free(wave->notes[i].final.data);
    }
}

static void explain(struct scenario *s, const struct lsio_request *request)
{
    char *text = NULL;
    int status = lsio_explain_batch(s->context, request, LSIO_EXPLAIN_JSON, &text);

    if (status && (status != -ENOMEM || !alloc_failed()))
        scenario_fail("lsio_explain_batch gave %d", status);
    lsio_result_free(text);
}

static void read_batch(struct scenario *s)
{
    struct batch *batch = batch_new(s, true);
    struct lsio_request request;
    const struct lsio_result *first;
    struct wave *wave;
    int status;

    if (!batch)
        return;
    wave = &batch->waves[0];
    wave_request(s, batch, wave, &request);
    if (batch->number % 16 == 0)
        explain(s, &request);
    begin(s, batch);
    scenario_say("batch %u: read %llu chunks", batch->number, (unsigned long long)wave->count);
    status = lsio_read_batch(s->context, &request);
    scenario_say("batch %u: read gave %s", batch->number, lsio_status_name(status));
    first = (const struct lsio_result *)(const void *)wave->results;
    if (status == -ENOMEM &&
        (!wave->count || (first ? first->status == NO_STATUS : !batch->calls[IN_CHUNK]))) {
        not_begun(batch, status);
        return;
    }
    if (batch->done_calls != (batch->on_done ? 1 : 0))
        scenario_fail("batch %u: on_done was called %u times", batch->number, batch->done_calls);
    read_finish(s, batch, status);
}

static void add_wave(struct scenario *s, struct batch *batch, struct lsio_batch *handle,
                     bool allowed)
{
    struct lsio_request request;
    struct wave *wave;
    struct lent lent;
    uint64_t first = UINT64_MAX;
    int status;

    if (batch->adding || !wave_new(s, batch))
        return;
    wave = &batch->waves[batch->wave_count - 1];
    wave_request(s, batch, wave, &request);
    if (!(wave->flags & LSIO_BORROW))
        lend(&lent, wave, &request);
    scenario_say("batch %u: %llu chunks are added", batch->number, (unsigned long long)wave->count);
    batch->adding = true;
    status = lsio_batch_add(handle, &request, &first);
    batch->adding = false;
    if (!(wave->flags & LSIO_BORROW))
        lend_end(&lent, wave);
    if (status == 0 && allowed && first == wave->first_index)
        return;
    if (allowed ? status != -ENOMEM || !alloc_failed() : status != -EINVAL)
        scenario_fail("batch %u: lsio_batch_add gave %d, first index %llu", batch->number, status,
                      (unsigned long long)first);
    batch->wave_count--;
    wave_drop(wave);
}

/* --------------------------------------------------------------------------------------- end -- */

/* Some of the allocated results are taken over. */
static void take_some(struct batch *batch, struct dice *dice)
{
    for (unsigned w = 0; w < batch->wave_count; w++) {
        struct wave *wave = &batch->waves[w];
        for (uint64_t i = 0; wave->results && i < wave->count; i++) {
            struct lsio_result *result = (void *)(wave->results + i * wave->result_stride);
            void *data;
            if (!(result->flags & LSIO_RESULT_ALLOCATED) || !dice_chance(dice, 300))
                continue;
            data = lsio_result_take(batch->handle, result);
            if (data != result->data || lsio_result_take(batch->handle, result))
                scenario_fail("batch %u: a result cannot be taken once", batch->number);
            lsio_result_free(data);
        }
    }
}

/* After a wait that has ended; the handle is in use. */
static void ended(struct scenario *s, struct batch *batch, int status)
{
    struct dice dice = {.state = batch->number};
    struct pollfd notify = {.events = POLLIN};
    bool first = !batch->checked;

    if (batch->done_calls != (batch->on_done ? 1 : 0))
        scenario_fail("batch %u: done, with %u calls of on_done", batch->number,
                      batch->done_calls);
    batch->finished = true;
    check_batch(s, batch, batch->handle);
    check_status(batch, status);
    if (first)
        take_some(batch, &dice);
    if (batch->number % 8 == 0 &&
        (lsio_batch_notify(batch->handle, &notify.fd) || poll(&notify, 1, 0) != 1))
        scenario_fail("batch %u: done, but its eventfd is not readable", batch->number);
}

/* Long after its deadline a batch that is not done has at least been canceled. */
static void wait_deadline(struct batch *batch)
{
    uint64_t now = sim_now_ns(), until = batch->deadline_ns + DEADLINE_SLACK_NS;

    if (lsio_batch_wait(batch->handle, now < until ? (until - now) / 1000000 + 1 : 0, NULL) != 0 &&
        atomic_load(&batch->handle->record.cancel_status) == 0)
        scenario_fail("batch %u: its deadline went by unnoticed", batch->number);
}

static void wait_for(struct scenario *s, struct batch *batch, uint64_t timeout_ms)
{
    uint64_t begin_ns = sim_now_ns();
    int result, status = NO_STATUS;

    batch->users++;
    if (timeout_ms == LSIO_FOREVER && batch->deadline_ns != UINT64_MAX)
        wait_deadline(batch);
    result = lsio_batch_wait(batch->handle, timeout_ms, &status);
    if (result == 0)
        ended(s, batch, status);
    else if (result != -ETIMEDOUT || timeout_ms == LSIO_FOREVER ||
             sim_now_ns() < begin_ns + timeout_ms * 1000000 ||
             sim_now_ns() > begin_ns + timeout_ms * 1000000 + WAIT_SLACK_NS)
        scenario_fail("batch %u: a wait of %llu ms gave %d after %llu us", batch->number,
                      (unsigned long long)timeout_ms, result,
                      (unsigned long long)(sim_now_ns() - begin_ns) / 1000);
    batch->users--;
}

/* Of a batch that nobody uses, outside of callbacks. */
static void destroy(struct scenario *s, struct batch *batch)
{
    int status;

    act_mark_canceled(batch);
    batch->gone = true;
    scenario_say("batch %u: destroy", batch->number);
    status = lsio_batch_destroy(batch->handle);
    if (status)
        scenario_fail("batch %u: destroy gave %d", batch->number, status);
    batch->finished = true;
    if (batch->done_calls != (batch->on_done ? 1 : 0))
        scenario_fail("batch %u: destroyed, with %u calls of on_done", batch->number,
                      batch->done_calls);
    check_batch(s, batch, NULL);
}

static void destroy_inside(struct batch *batch, struct lsio_batch *handle)
{
    act_mark_canceled(batch);
    batch->gone = true;
    scenario_say("batch %u: destroy from a callback", batch->number);
    if (lsio_batch_destroy(handle))
        scenario_fail("batch %u: destroy from a callback failed", batch->number);
}

/* ----------------------------------------------------------------------------------- actions -- */

static void recurse(struct scenario *s, struct lsio_batch *handle)
{
    struct lsio_request request = {.struct_bytes = sizeof(request)};
    int status = 0;

    if (lsio_read_batch(s->context, &request) != LSIO_E_RECURSIVE ||
        (handle && lsio_batch_wait(handle, 0, &status) != LSIO_E_RECURSIVE) ||
        lsio_memory_register(s->context, s->dst, 4096) != LSIO_E_RECURSIVE ||
        lsio_context_destroy(s->context) != LSIO_E_RECURSIVE)
        scenario_fail("a blocking call from a callback was not refused");
}

static void act(struct scenario *s, struct batch *batch, struct lsio_batch *handle,
                const struct plan *plan)
{
    struct batch *other;

    scenario_say("batch %u: action %d at %u", batch->number, plan->action, plan->place);
    switch (plan->action) {
    case ACT_CANCEL:
        if (handle) {
            act_mark_canceled(batch);
            (void)lsio_batch_cancel(handle);
        }
        break;
    case ACT_CANCEL_OTHER:
        if ((other = pick(s, &batch->dice)) != NULL) {
            other->users++;
            act_mark_canceled(other);
            (void)lsio_batch_cancel(other->handle);
            other->users--;
        }
        break;
    case ACT_SUBMIT:
        (void)submit(s);
        break;
    case ACT_ADD:
        if (handle)
            add_wave(s, batch, handle, plan->place != IN_DONE);
        break;
    case ACT_DESTROY:
        if (handle && !batch->blocking && !batch->gone && batch->users == 0)
            destroy_inside(batch, handle);
        break;
    case ACT_DESTROY_OTHER:
        if ((other = pick_unused(s, &batch->dice)) != NULL && other != batch)
            destroy_inside(other, other->handle);
        break;
    case ACT_RECURSE:
        recurse(s, handle);
        break;
    case ACT_ASK:
        if (handle)
            check_running(s, batch, handle);
        break;
    case ACT_SLEEP:
        nap(dice_below(&batch->dice, 3000000));
        break;
    default:
        for (int i = 0; i < 20; i++)
            sim_point();
        break;
    }
}

static void act_in(struct scenario *s, struct batch *batch, struct lsio_batch *handle,
                   enum place place)
{
    uint32_t call = batch->calls[place]++;

    for (unsigned i = 0; i < batch->plan_count; i++) {
        struct plan *plan = &batch->plans[i];
        if (plan->taken || plan->place != place || call < plan->at)
            continue;
        plan->taken = true;
        act(s, batch, handle, plan);
    }
}

/* --------------------------------------------------------------------------------- callbacks -- */

static int write_out(struct lsio_call *call, uint32_t times)
{
    const uint8_t *in = call->in;
    uint8_t *out;
    void *room;
    int status = lsio_call_out(call, call->in_bytes * times, &room);

    if (status)
        return status;
    out = room;
    for (uint64_t i = 0; i < call->in_bytes; i++) {
        if (i == call->in_bytes / 2)
            sim_point();
        if (times == 1)
            out[i] = in[i] ^ 0x5a;
        else
            out[2 * i] = out[2 * i + 1] = in[i];
    }
    return lsio_call_commit(call, call->in_bytes * times);
}

/* Asks for room and fills it; the first third of it, or nothing, is the output. */
static int write_less(struct lsio_call *call, bool third)
{
    void *room;
    int status = lsio_call_out(call, call->in_bytes, &room);

    if (status)
        return status;
    if (call->in_bytes && third)
        memcpy(room, call->in, call->in_bytes);
    return third ? lsio_call_commit(call, call->in_bytes / 3) : 0;
}

int act_stage_init(void *user, uint32_t worker, void **state)
{
    uint32_t *mine = malloc(sizeof(*mine));

    (void)user;
    if (!mine)
        return -ENOMEM;
    *mine = worker;
    *state = mine;
    return 0;
}

void act_stage_finish(void *user, uint32_t worker, void *state)
{
    (void)user;
    if (*(uint32_t *)state != worker)
        scenario_fail("a stage's state ended as another worker's");
    free(state);
}

static int use_scratch(struct lsio_call *call)
{
    uint8_t *bytes;
    void *room;
    int status = lsio_call_scratch(call, call->in_bytes, &room);

    if (status)
        return status;
    bytes = room;
    if (call->in_bytes) {
        memset(bytes, 0x33, call->in_bytes);
        sim_point();
        if (bytes[0] != 0x33 || bytes[call->in_bytes - 1] != 0x33)
            scenario_fail("scratch memory was used by two");
    }
    return 0;
}

int act_stage(struct lsio_call *call)
{
    struct scenario *s = scenario_now;
    struct note *note = call->data;
    unsigned kind = (unsigned)(uintptr_t)call->user & 0xff, place = (uintptr_t)call->user >> 8;
    struct lsio_result *result;

    if (batch_note(note->batch, call->index, &result) != note || call->worker > s->workers ||
        call->chunk->object != note->chunk.object || call->chunk->offset != note->chunk.offset ||
        note->batch->finished)
        scenario_fail("batch %u: a stage was called for chunk %llu as it should not be",
                      note->batch->number, (unsigned long long)call->index);
    note->stage_runs += place == 0;
    check_budget(s);
    sim_point();
    if (dice_chance(&s->dice, s->slow_permille))
        nap(dice_below(&s->dice, 300000));
    switch (kind) {
    case STAGE_LOOK:
        if (*(uint32_t *)call->state != call->worker)
            scenario_fail("a stage has another worker's state");
        return 0;
    case STAGE_THIRD:
    case STAGE_VAIN:
        return write_less(call, kind == STAGE_THIRD);
    case STAGE_COPY:
        return write_out(call, 1);
    case STAGE_DOUBLE:
        return write_out(call, 2);
    case STAGE_SLICE:
        return lsio_call_pass(call, (const uint8_t *)call->in + call->in_bytes / 7,
                              call->in_bytes - call->in_bytes / 7 * 2);
    case STAGE_SCRATCH:
        return use_scratch(call);
    case STAGE_FAIL:
        return note->code;
    case STAGE_ACT:
        act_in(s, note->batch, call->batch, IN_STAGE);
        return 0;
    default:
        return 0;
    }
}

/* The chunk is done, so its destination is the application's again. */
static void take_early(struct note *note)
{
    const struct lsio_chunk *chunk = &note->chunk;

    note->taken = alloc_zeroed(chunk->dst_bytes + 1, 1);
    memcpy(note->taken, chunk->dst, chunk->dst_bytes);
    memset(chunk->dst, AFTER, chunk->dst_bytes);
}

void act_on_chunk(struct lsio_batch *handle, uint64_t index, const struct lsio_result *result,
                  void *data)
{
    struct batch *batch = data;
    struct lsio_result *place = NULL;
    struct note *note = batch_note(batch, index, &place);

    if (!note || batch->finished || note->reports++)
        scenario_fail("batch %u: on_chunk for chunk %llu, which is not to be", batch->number,
                      (unsigned long long)index);
    if (place && memcmp(place, result, sizeof(*result)) != 0)
        scenario_fail("batch %u chunk %llu: on_chunk before the result is there", batch->number,
                      (unsigned long long)index);
    note->seen = *result;
    note->reported_ns = batch->last_ns = sim_now_ns();
    if (batch->takes_early && note->chunk.dst)
        take_early(note);
    act_in(scenario_now, batch, handle, IN_CHUNK);
}

void act_on_done(struct lsio_batch *handle, int status, void *data)
{
    struct scenario *s = scenario_now;
    struct batch *batch = data;

    scenario_say("batch %u: done with %s", batch->number, lsio_status_name(status));
    if (batch->done_calls++)
        scenario_fail("batch %u: on_done was called twice", batch->number);
    batch->finished = true;
    batch->last_ns = sim_now_ns();
    if (!batch->blocking) {
        check_batch(s, batch, handle);
        check_status(batch, status);
    }
    act_in(s, batch, handle, IN_DONE);
}

/* ----------------------------------------------------------------------------------- threads -- */

static void use_one(struct scenario *s, struct dice *dice)
{
    struct batch *batch = pick(s, dice);

    if (!batch)
        return;
    switch (dice_below(dice, 4)) {
    case 0:
        batch->users++;
        act_mark_canceled(batch);
        (void)lsio_batch_cancel(batch->handle);
        batch->users--;
        break;
    case 1:
        batch->users++;
        check_running(s, batch, batch->handle);
        batch->users--;
        break;
    default:
        wait_for(s, batch, dice_below(dice, 5));
        break;
    }
}

/* Some call that is to begin a batch is on its way, perhaps with any store. */
static bool something_begins(const struct scenario *s)
{
    for (unsigned i = 0; i < s->batch_count; i++) {
        const struct batch *batch = s->batches[i];
        if (batch->submitting || batch->adding || (batch->blocking && !batch->finished))
            return true;
    }
    return false;
}

/* Closes a store that nobody begins to use any more as soon as that is possible: while the last
 * batch that used it comes to its end, maybe. */
static void close_early(struct scenario *s)
{
    struct store *store = &s->stores[s->store_count - 1];
    int status = -EBUSY;

    if (s->store_count < 3 || store->closing)
        return;
    store->closing = true;
    for (int i = 0; i < 100 && status == -EBUSY; i++) {
        if (!something_begins(s))
            status = lsio_store_close(store->handle);
        for (int k = 0; k < 5 && status == -EBUSY; k++)
            sim_point();
    }
    if (status != -EBUSY && status != 0)
        scenario_fail("closing a store gave %d", status);
    if (status == 0)
        store->handle = NULL;
}

/* A store that a batch uses cannot be closed. */
static void close_used(struct scenario *s, struct dice *dice)
{
    struct batch *batch = pick(s, dice);
    int status;

    if (dice_chance(dice, 500)) {
        close_early(s);
        return;
    }
    if (!batch || !batch->waves[0].object_count)
        return;
    batch->users++;
    status = lsio_store_close(batch->waves[0].objects[0].store);
    if (status != -EBUSY) /* it is counted until the batch is destroyed */
        scenario_fail("closing a store in use gave %d", status);
    batch->users--;
}

void *act_thread(void *argument)
{
    struct scenario *s = scenario_now;
    struct dice *dice = argument;
    struct batch *batch;

    for (uint32_t rounds = 2 + dice_below(dice, 8); rounds; rounds--) {
        switch (dice_below(dice, 12)) {
        case 0:
        case 1:
            read_batch(s);
            break;
        case 2:
        case 3:
            use_one(s, dice);
            break;
        case 4:
            if ((batch = pick_unused(s, dice)) != NULL)
                destroy(s, batch);
            break;
        case 5:
            nap(dice_below(dice, 4000000));
            break;
        case 6:
            if (s->change_permille)
                world_change(s, dice);
            break;
        case 7:
            close_used(s, dice);
            break;
        default:
            batch = submit(s);
            if (batch && s->slow_device && dice_chance(dice, 500) && usable(batch))
                wait_for(s, batch, LSIO_FOREVER);
            break;
        }
    }
    return NULL;
}

void act_leftovers(struct scenario *s)
{
    for (unsigned i = 0; i < s->batch_count; i++) { /* it grows meanwhile */
        struct batch *batch = s->batches[i];
        if (!usable(batch))
            continue;
        if (dice_chance(&s->dice, 800))
            wait_for(s, batch, LSIO_FOREVER);
        if (!batch->gone && dice_chance(&s->dice, 700))
            destroy(s, batch);
    }
}
