/* SPDX-License-Identifier: MIT */
/*
 * The cancel matrix: a batch is stopped in each state of its life (fault_hold.h, and gates in its
 * callbacks), and there it is canceled, or destroyed, or its context is - by a thread of the
 * application, from a callback of another batch, or from its own. Whatever is done where: each
 * chunk is reported once and on_done runs once; exactly those chunks succeed whose end was already
 * certain; no memory is used before its read is complete, or given to another read, or written to
 * after destroy has returned; nothing is left.
 *
 * There are two workers. One is inside a stage of the helper batch, which carries out what "another
 * batch's callback" is to do; the other has the victim.
 *
 * LSIO_TEST_LINK: -Wl,@$<TARGET_PROPERTY:SOURCE_DIR>/fault/wrap_alloc.txt
 *
 * LSIO_ROWS: L22 L23
 */
#include <sched.h>

#include "fault_alloc.h"
#include "fault_hold.h"
#include "fault_inject.h"
#include "fault_mix.h"

#define CHUNKS       24u
#define BYTES        (160 * KIB) /* what an arena has no room for takes the pool, at this size */
#define STRIDE       (320 * KIB) /* so far apart that nothing is joined */
#define BUDGET       (4 * MIB)
#define OBJECT_BYTES (CHUNKS * STRIDE)
#define DST_BYTES    (CHUNKS * BYTES)
#define PART_BYTES   (256 * KIB) /* of a chunk that is split */
#define GUARD        0x5a

enum state {
    QUEUED,      /* no worker has looked at it */
    IN_FLIGHT,   /* some reads in flight, some claimed, some planned, none complete */
    KERNEL_LATE, /* the same, and cancels come too late for what is in flight */
    OPENING,     /* the open is in flight, and reads wait for it */
    PROBING,     /* the same for chunks whose place only the size will tell */
    SPLIT,       /* one long chunk: some parts in flight, none complete */
    STARVED,     /* reads in flight have all memory, others wait for it */
    REAPED,      /* one in its stage, others complete and waiting for their turn */
    IN_ON_CHUNK,
    BEFORE_DONE, /* after the last on_chunk, while objects are verified */
    IN_ON_DONE,
    DONE,
    STATES
};

enum action { CANCEL, DESTROY_BATCH, DESTROY_CONTEXT, ACTIONS };

/* Who does it. OWN: in the callback that the state names. */
enum actor { OWNER, OTHER, OWN, ACTORS };

static const char *const state_names[] = {
    "queued",     "in flight", "in flight, kernel late", "opening",     "probing",
    "split",      "starved",   "reaped, in a stage",     "in on_chunk", "verifying",
    "in on_done", "done"};
static const char *const action_names[] = {"cancel", "destroy batch", "destroy context"};
static const char *const actor_names[] = {"a thread", "another's callback", "its own callback"};

struct victim {
    struct lsio_batch *batch;
    _Atomic bool at_gate, open; /* the callback of the state has been reached; may go on */
    _Atomic bool acted;         /* it has done it itself */
    _Atomic uint32_t reported[CHUNKS], reports, done, early;
    _Atomic int done_status;
};

struct helper {
    _Atomic uint32_t entered; /* calls of its stage */
    _Atomic bool act, acted, leave;
    _Atomic int recursive; /* what a call that blocks has returned there */
};

struct matrix {
    enum state state;
    enum action action;
    enum actor actor;
    struct mix *mix; /* its loop and directory */
    struct lsio_context *context;
    struct lsio_store *store;
    struct lsio_chain *copy_chain, *helper_chain;
    struct victim victim;
    struct helper helper;
    uint32_t count; /* chunks of the victim */
    uint64_t bytes; /* of each */
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    uint8_t *dst;
    uint32_t in_flight; /* reads held when it was done */
    int status;         /* what the action returned */
};

/* Everything waited for here comes, or fault_watch() ends the program. */
#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        while (!(condition))                                                                       \
            sched_yield();                                                                         \
    } while (0)

/* ------------------------------------------------------------------------------- callbacks -- */

static int act(struct matrix *m)
{
    switch (m->action) {
    case CANCEL:
        return lsio_batch_cancel(m->victim.batch);
    case DESTROY_BATCH:
        return lsio_batch_destroy(m->victim.batch);
    default:
        return lsio_context_destroy(m->context);
    }
}

/* The callback that the state names; in all others nothing is done. */
static void gate(struct matrix *m, enum state here)
{
    struct victim *victim = &m->victim;

    if (m->state != here || atomic_exchange(&victim->at_gate, true))
        return;
    if (m->actor == OWN) {
        m->status = act(m);
        atomic_store(&victim->acted, true);
    } else {
        WAIT_UNTIL(atomic_load(&victim->open));
    }
}

static int copy_stage(struct lsio_call *call)
{
    struct matrix *m = call->user;
    void *out;
    int error;

    if (api_mismatch(call->in, 0, call->index * STRIDE, m->bytes) != m->bytes)
        atomic_fetch_add(&m->victim.early, 1);
    gate(m, REAPED);
    error = lsio_call_out(call, call->in_bytes, &out);
    if (error)
        return error;
    memcpy(out, call->in, call->in_bytes);
    return lsio_call_commit(call, call->in_bytes);
}

static void on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                     void *data)
{
    struct matrix *m = data;

    (void)batch;
    (void)result;
    atomic_fetch_add(&m->victim.reported[index], 1);
    if (atomic_fetch_add(&m->victim.reports, 1) + 1 == m->count && m->state == BEFORE_DONE)
        hold_stat();
    gate(m, IN_ON_CHUNK);
}

static void on_done(struct lsio_batch *batch, int status, void *data)
{
    struct matrix *m = data;

    (void)batch;
    gate(m, IN_ON_DONE);
    atomic_store(&m->victim.done_status, status);
    atomic_fetch_add(&m->victim.done, 1);
}

static int helper_stage(struct lsio_call *call)
{
    struct matrix *m = call->user;
    struct helper *helper = &m->helper;

    atomic_fetch_add(&helper->entered, 1);
    WAIT_UNTIL(atomic_load(&helper->act) || atomic_load(&helper->leave));
    if (atomic_exchange(&helper->act, false)) {
        atomic_store(&helper->recursive, lsio_batch_wait(m->victim.batch, LSIO_FOREVER, NULL));
        m->status = act(m);
        atomic_store(&helper->acted, true);
    }
    WAIT_UNTIL(atomic_load(&helper->leave));
    return 0;
}

/* --------------------------------------------------------------------------------- set-up -- */

static struct lsio_chain *chain_of(struct matrix *m, lsio_stage_fn *run, uint32_t flags)
{
    struct lsio_stage stage = api_stage(run, flags, m);
    struct lsio_chain *chain;

    assert_int_equal(lsio_chain_create(m->context, &stage, 1, &chain), 0);
    return chain;
}

/* The victim's worker, and the other one, unless the victim is to find none. */
static void helper_submit(struct matrix *m)
{
    uint32_t count = m->state == QUEUED ? 2 : 1;
    struct lsio_object object = {.store = m->store, .key = "helper", .size = LSIO_SIZE_UNKNOWN};
    struct lsio_chunk chunks[2] = {{.length = 8}, {.offset = 100, .length = 8}};
    struct lsio_request request = api_request(&object, 1, chunks, 1, NULL);
    struct lsio_batch *batch; /* ends with the context */

    request.chain = m->helper_chain;
    for (uint32_t i = 0; i < count; i++) {
        request.chunks = chunks + i;
        assert_int_equal(lsio_submit_batch(m->context, &request, &batch), 0);
        WAIT_UNTIL(atomic_load(&m->helper.entered) == i + 1);
    }
}

static void victim_submit(struct matrix *m)
{
    struct lsio_object object = {.store = m->store, .key = "victim", .size = LSIO_SIZE_UNKNOWN};
    struct lsio_request request = api_request(&object, 1, m->chunks, m->count, m->results);
    bool raw = m->state == KERNEL_LATE || m->state == SPLIT;

    for (uint32_t i = 0; i < m->count; i++) {
        int64_t offset = (int64_t)(i * STRIDE);
        m->results[i].status = 77;
        m->chunks[i] = (struct lsio_chunk){
            .offset = m->state == PROBING ? offset - (int64_t)OBJECT_BYTES : offset,
            .length = m->bytes,
            .dst = m->dst + i * m->bytes,
            .dst_bytes = m->bytes};
    }
    request.chain = raw ? NULL : m->copy_chain;
    request.on_chunk = on_chunk;
    request.on_done = on_done;
    request.data = m;
    if (m->state == OPENING || m->state == PROBING)
        hold_operations(1u << LOOP_OPEN, false);
    else if (m->state <= REAPED && m->state != QUEUED)
        hold_operations(1u << LOOP_READ, m->state == KERNEL_LATE);
    assert_int_equal(lsio_submit_batch(m->context, &request, &m->victim.batch), 0);
}

static bool memory_is_out(struct lsio_context *context)
{
    struct pool *pool = &context->pool;
    bool out;

    pthread_mutex_lock(&pool->lock);
    out = pool->bytes_used + pool_charge(BYTES + 2 * POOL_PAGE) > pool->bytes_max;
    pthread_mutex_unlock(&pool->lock);
    return out;
}

/* The worker that is asleep has claimed more than it has started, and left some for others. The
 * helper's claim is at its end. */
static void check_in_flight(const struct matrix *m)
{
    uint32_t claimed = 0;

    for (uint32_t i = 0; i < m->context->worker_count; i++)
        claimed += m->context->workers[i].claim.end - m->context->workers[i].claim.next;
    assert_true(claimed > 0);
    assert_true(hold_count() + claimed < CHUNKS);
}

/* The worker is asleep over one or two reads, as many as are good while they are thought to be
 * cached; woken, it sees that they are not, and asks for more. */
static void look_again(void)
{
    hold_poke();
    sched_yield();
}

/* Waits until the victim is in its state. */
static void reach(struct matrix *m)
{
    struct victim *victim = &m->victim;

    switch (m->state) {
    case QUEUED:
        break;
    case IN_FLIGHT:
    case KERNEL_LATE:
        hold_wait(1);
        check_in_flight(m);
        break;
    case OPENING:
    case PROBING:
        hold_wait(1);
        break;
    case SPLIT:
        while (hold_count() < 2)
            look_again();
        assert_true(hold_count() < DST_BYTES / PART_BYTES);
        break;
    case STARVED:
        while (!memory_is_out(m->context))
            look_again();
        hold_wait(2);
        assert_true(hold_count() < CHUNKS);
        break;
    case REAPED:
        hold_wait(2);
        hold_release();
        WAIT_UNTIL(atomic_load(&victim->at_gate));
        break;
    case BEFORE_DONE:
        hold_wait_stat();
        break;
    case DONE:
        assert_int_equal(api_wait(victim->batch), 0);
        break;
    default:
        WAIT_UNTIL(atomic_load(&victim->at_gate));
        break;
    }
    m->in_flight = hold_count();
}

/* ---------------------------------------------------------------------------------- action -- */

static void *owner_main(void *data)
{
    struct matrix *m = data;

    m->status = act(m);
    return NULL;
}

static bool has_effect(const struct matrix *m)
{
    return m->action != DESTROY_CONTEXT || m->actor == OWNER;
}

/* States in which a cancel needs nobody to let go of anything. */
static bool ends_by_itself(enum state state)
{
    return state == IN_FLIGHT || state == OPENING || state == PROBING || state == SPLIT ||
           state == STARVED;
}

/* Does it, and lets everything go on. A destroy may return only afterwards. */
static void act_and_release(struct matrix *m)
{
    struct victim *victim = &m->victim;
    pthread_t owner;

    if (m->actor == OWNER) {
        assert_int_equal(pthread_create(&owner, NULL, owner_main, m), 0);
        if (ends_by_itself(m->state)) /* and is gone, perhaps */
            WAIT_UNTIL(atomic_load(&victim->done));
        else if (m->state != DONE) /* held, it has been asked at least */
            WAIT_UNTIL(atomic_load(&victim->batch->record.cancel_status));
    } else if (m->actor == OTHER) {
        atomic_store(&m->helper.act, true);
        WAIT_UNTIL(atomic_load(&m->helper.acted));
        assert_int_equal(atomic_load(&m->helper.recursive), LSIO_E_RECURSIVE);
    } else {
        WAIT_UNTIL(atomic_load(&victim->acted)); /* before a thief can run other chains */
    }
    atomic_store(&victim->open, true);
    hold_release();
    atomic_store(&m->helper.leave, true);
    if (m->actor == OWNER)
        assert_int_equal(pthread_join(owner, NULL), 0);
    WAIT_UNTIL(atomic_load(&victim->done));
    if (m->action == DESTROY_CONTEXT && m->actor == OWNER)
        m->context = NULL;
}

/* How many chunks must have succeeded: those that no cancel could reach any more. */
static uint32_t proper_successes(const struct matrix *m)
{
    if (!has_effect(m) || m->state >= BEFORE_DONE)
        return m->count;
    switch (m->state) {
    case KERNEL_LATE:
        return m->in_flight;
    case REAPED:
    case IN_ON_CHUNK:
        return 1;
    default:
        return 0;
    }
}

static void check_victim(struct matrix *m)
{
    struct victim *victim = &m->victim;
    uint32_t successes = 0;

    assert_int_equal(m->status, has_effect(m) ? 0 : LSIO_E_RECURSIVE);
    for (uint32_t i = 0; i < m->count; i++) {
        assert_int_equal(atomic_load(&victim->reported[i]), 1);
        if (m->results[i].status == 0)
            api_check(m->dst + i * m->bytes, 0, i * STRIDE, m->bytes);
        else
            assert_int_equal(m->results[i].status, -ECANCELED);
        successes += m->results[i].status == 0;
    }
    assert_int_equal(successes, proper_successes(m));
    assert_int_equal(atomic_load(&victim->done), 1);
    assert_int_equal(atomic_load(&victim->done_status), successes == m->count ? 0 : -ECANCELED);
    assert_int_equal(atomic_load(&victim->early), 0);
}

/* The context must still work, and then end. */
static void check_context(struct matrix *m)
{
    uint8_t bytes[100];

    if (!m->context)
        return;
    if (m->action != DESTROY_BATCH) {
        api_wait(m->victim.batch);
        assert_int_equal(lsio_batch_destroy(m->victim.batch), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lsio_read(m->context, m->store, "victim", 77, 100, bytes, 100, NULL), 0);
        api_check(bytes, 0, 77, 100);
    }
    assert_int_equal(lsio_context_destroy(m->context), 0);
}

static void one_case(struct matrix *m)
{
    struct lsio_config config = {
        .struct_bytes = sizeof(config), .workers = 2, .memory_bytes_max = BUDGET};
    const struct lsio_option options[] = {
        {"direct", "off"},
        {"inflight_max", m->state == STARVED ? "64" : "8"},
        {"split_bytes", "256K"},
    };
    int descriptors = api_descriptors();

    hold_begin(m->mix->config.loop);
    ledger_begin();
    assert_int_equal(context_create(&config, hold_world(), &m->context), 0);
    assert_int_equal(lsio_store_open(m->context, m->mix->files.dir, options, 3, &m->store), 0);
    m->copy_chain = chain_of(m, copy_stage, LSIO_STAGE_WRITES);
    m->helper_chain = chain_of(m, helper_stage, LSIO_STAGE_READS_ONLY);
    helper_submit(m);
    victim_submit(m);
    reach(m);
    act_and_release(m);
    check_victim(m);
    memset(m->dst, GUARD, DST_BYTES);
    check_context(m);
    assert_true(api_all(m->dst, GUARD, DST_BYTES));
    assert_int_equal(ledger_end(), 0);
    assert_int_equal(api_descriptors(), descriptors);
    assert_true(hold_end());
}

static bool case_exists(enum state state, enum actor actor)
{
    return actor != OWN || state == REAPED || state == IN_ON_CHUNK || state == IN_ON_DONE;
}

static void one_state(struct mix *mix, enum state state, uint8_t *dst)
{
    for (int action = 0; action < ACTIONS; action++) {
        for (int actor = 0; actor < ACTORS; actor++) {
            struct matrix *m;
            char label[160];
            if (!case_exists(state, (enum actor)actor))
                continue;
            snprintf(label, sizeof(label), "%s: %s, %s by %s", mix->config.loop, state_names[state],
                     action_names[action], actor_names[actor]);
            print_message("%s\n", label);
            fault_watch(label);
            m = calloc(1, sizeof(*m));
            assert_non_null(m);
            *m = (struct matrix){.state = state,
                                 .action = (enum action)action,
                                 .actor = (enum actor)actor,
                                 .mix = mix,
                                 .count = state == SPLIT ? 1 : CHUNKS,
                                 .bytes = state == SPLIT ? DST_BYTES : BYTES,
                                 .dst = dst};
            one_case(m);
            free(m);
        }
    }
}

static void every_state_action_and_actor(void **state)
{
    uint8_t *dst = malloc(DST_BYTES);

    (void)state;
    for (const char *const *loop = mix_loops(); *loop; loop++) {
        struct mix mix;
        mix_make(&mix, *loop);
        api_put(&mix.files, "victim", 0, OBJECT_BYTES);
        api_put(&mix.files, "helper", 1, 200);
        for (int i = 0; i < STATES; i++)
            one_state(&mix, (enum state)i, dst);
        mix_end(&mix);
    }
    fault_watch(NULL);
    free(dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_state_action_and_actor)};

    return cmocka_run_group_tests_name("cancel_matrix", tests, NULL, NULL);
}
