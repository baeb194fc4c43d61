/* SPDX-License-Identifier: MIT */
/* Chains: where output goes, what is delivered, what a stage may do, whose status counts. */
#include "stage_case.h"

#include <errno.h>

#define KIB 1024u

static uint8_t input[64 * KIB];

/* -------------------------------------------------------------------------------------- stages --
 */

/* What a test's stage does, and what it has seen. */
struct script {
    uint64_t room;       /* bytes to ask for; 0: as many as come in */
    uint64_t used;       /* bytes to commit; 0: the room */
    uint64_t scratch;    /* bytes of scratch memory to take and fill */
    uint64_t skip, drop; /* bytes a slice leaves out, in front and behind */
    int fail;            /* status to return */
    void *seen_room;
    const void *seen_in;
    void *place;
    uint64_t place_bytes;
};

static int write_run(struct lsio_call *call)
{
    struct script *script = call->user;
    uint64_t room = script->room ? script->room : call->in_bytes;
    uint64_t copied = room < call->in_bytes ? room : call->in_bytes;
    void *out, *scratch;
    int status = 0;

    script->seen_in = call->in;
    if (script->scratch) {
        status = lsio_call_scratch(call, script->scratch, &scratch);
        if (status == 0)
            memset(scratch, 0xee, (size_t)script->scratch);
    }
    if (status == 0)
        status = lsio_call_out(call, room, &out);
    if (status < 0)
        return status;
    script->seen_room = out;
    memset(out, 0x11, (size_t)room);
    for (uint64_t i = 0; i < copied; i++)
        ((uint8_t *)out)[i] = (uint8_t)(((const uint8_t *)call->in)[i] + 1);
    if (script->scratch) {
        status = lsio_call_scratch(call, script->scratch, &scratch);
        if (status < 0)
            return status;
        memset(scratch, 0xdd, (size_t)script->scratch);
    }
    return script->fail ? script->fail : lsio_call_commit(call, script->used ? script->used : room);
}

static int slice_run(struct lsio_call *call)
{
    struct script *script = call->user;

    return lsio_call_pass(call, (const uint8_t *)call->in + script->skip,
                          call->in_bytes - script->skip - script->drop);
}

static int look_run(struct lsio_call *call)
{
    struct script *script = call->user;

    script->seen_in = call->in;
    return script->fail;
}

static void *look_place(const struct lsio_call *call, uint64_t bytes)
{
    struct script *script = call->user;

    return bytes <= script->place_bytes ? script->place : NULL;
}

static struct lsio_stage stage_of(lsio_stage_fn *run, uint32_t flags, void *user)
{
    return (struct lsio_stage){.struct_bytes = sizeof(struct lsio_stage),
                               .name = "t",
                               .run = run,
                               .user = user,
                               .flags = flags};
}

#define WRITE(script) stage_of(write_run, LSIO_STAGE_WRITES, script)
#define SLICE(script) stage_of(slice_run, LSIO_STAGE_PASSES_SLICE, script)
#define LOOK(script)  stage_of(look_run, LSIO_STAGE_READS_ONLY, script)

/* ------------------------------------------------------------------------------------ delivery --
 */

static void without_a_chain(void **state)
{
    struct chain_env env = {0};
    struct chain_outcome outcome;
    uint8_t dst[16];
    struct lsio_chunk chunk = {.dst = dst, .dst_bytes = 16};
    struct chain_job job = {.chunk = &chunk, .in = input, .in_bytes = 16};

    (void)state;
    chain_run(&env, NULL, &job, &outcome);
    assert_int_equal(outcome.status, 0);
    assert_int_equal(outcome.bytes, 16);
    assert_ptr_equal(outcome.data, dst);
    assert_memory_equal(dst, input, 16);
    chunk.dst_bytes = 15;
    chain_run(&env, NULL, &job, &outcome);
    assert_int_equal(outcome.status, LSIO_E_NO_SPACE);
    assert_non_null(strstr(outcome.text, "16 bytes"));
    chunk.dst = NULL;
    chain_run(&env, NULL, &job, &outcome);
    assert_int_equal(outcome.status, 0);
    assert_int_equal(outcome.bytes, 16);
    assert_null(outcome.data);
    chunk.flags = LSIO_CHUNK_ALLOC;
    chain_run(&env, NULL, &job, &outcome);
    assert_int_equal(outcome.flags, LSIO_RESULT_ALLOCATED);
    assert_memory_equal(outcome.data, input, 16);
    free(outcome.data);
    job.in_bytes = 0;
    chain_run(&env, NULL, &job, &outcome);
    assert_int_equal(outcome.status, 0);
    assert_non_null(outcome.data);
    free(outcome.data);
    assert_true(chain_reads_into_dst(NULL));
}

static void bytes_already_in_dst_stay(void **state)
{
    struct script look = {0};
    struct lsio_stage stage = LOOK(&look);
    struct stage_case c;
    uint8_t dst[32];
    struct lsio_chunk chunk = {.dst = dst, .dst_bytes = sizeof(dst)};

    (void)state;
    case_begin(&c, &stage, 1, 0);
    assert_true(chain_reads_into_dst(c.chain));
    memset(dst, 7, sizeof(dst));
    assert_int_equal(case_run(&c, dst, 20, &chunk), 0);
    assert_ptr_equal(look.seen_in, dst);
    assert_int_equal(c.outcome.bytes, 20);
    case_end(&c);
}

static void last_writer_gets_dst(void **state)
{
    struct script first = {0}, second = {.used = 90}, look = {0};
    struct lsio_stage stages[] = {WRITE(&first), LOOK(&look), WRITE(&second), LOOK(&look)};
    struct stage_case c;
    uint8_t dst[100], expected[100];
    struct lsio_chunk chunk = {.dst = dst, .dst_bytes = sizeof(dst)};

    (void)state;
    case_begin(&c, stages, 4, 4 * KIB);
    assert_false(chain_reads_into_dst(c.chain));
    assert_int_equal(case_run(&c, input, 100, &chunk), 0);
    assert_ptr_equal(second.seen_room, dst);
    assert_ptr_equal(first.seen_room, c.env.scratch);
    assert_ptr_equal(look.seen_in, dst);
    assert_int_equal(c.outcome.bytes, 90);
    for (int i = 0; i < 100; i++)
        expected[i] = (uint8_t)(input[i] + 2);
    assert_memory_equal(dst, expected, 90);
    assert_int_equal(case_run(&c, input, 101, &chunk), LSIO_E_NO_SPACE);
    case_expect_text(&c, "dst holds 100");
    case_end(&c);
}

static void slice_behind_the_writer(void **state)
{
    struct script write = {0}, slice = {.skip = 4, .drop = 6};
    struct lsio_stage stages[] = {WRITE(&write), SLICE(&slice)};
    struct stage_case c;
    uint8_t dst[100], expected[100];
    struct lsio_chunk chunk = {.dst = dst, .dst_bytes = sizeof(dst)};

    (void)state;
    for (int i = 0; i < 100; i++)
        expected[i] = (uint8_t)(input[i + 4] + 1);
    case_begin(&c, stages, 2, 4 * KIB);
    assert_int_equal(case_run(&c, input, 100, &chunk),
                     0); /* written to dst, then moved to its front */
    assert_ptr_equal(write.seen_room, dst);
    assert_int_equal(c.outcome.bytes, 90);
    assert_memory_equal(dst, expected, 90);
    assert_int_equal(case_run(&c, input, 110, &chunk),
                     0); /* the whole would not fit, the slice does */
    assert_int_equal(c.outcome.bytes, 100);
    assert_memory_equal(dst, expected, 100);
    assert_int_equal(case_run(&c, input, 111, &chunk), LSIO_E_NO_SPACE);
    case_end(&c);
}

static int maybe_run(struct lsio_call *call)
{
    void *out;

    return *(int *)call->user ? lsio_call_out(call, 5, &out) : 0; /* room, but no commit */
}

static void writer_that_does_not_write(void **state)
{
    int takes_room = 0;
    struct lsio_stage stage = stage_of(maybe_run, LSIO_STAGE_WRITES, &takes_room);
    struct stage_case c;

    (void)state;
    case_begin(&c, &stage, 1, 4 * KIB);
    for (takes_room = 0; takes_room < 2; takes_room++) {
        assert_int_equal(case_decode(&c, input, 50, 50, NULL), 0);
        case_expect(&c, input, 50);
        assert_int_equal(case_decode_alloc(&c, input, 50), 0);
        case_expect(&c, input, 50);
    }
    case_end(&c);
}

static void allocated_results(void **state)
{
    struct script write = {0}, slice = {.skip = 1000, .drop = 3000};
    struct lsio_stage stages[] = {WRITE(&write), SLICE(&slice)};
    struct stage_case c;

    (void)state;
    case_begin(&c, stages, 2, 0);
    assert_int_equal(case_decode_alloc(&c, input, 5000), 0);
    assert_int_equal(c.out_bytes, 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(c.out[i], (uint8_t)(input[i + 1000] + 1));
    write.fail = LSIO_E_CORRUPT; /* what was allocated is freed */
    assert_int_equal(case_decode_alloc(&c, input, 5000), LSIO_E_CORRUPT);
    write.fail = 0;
    write.room = UINT64_MAX - 5;
    assert_int_equal(case_decode_alloc(&c, input, 5000), -ENOMEM);
    case_end(&c);
}

static void place_of_the_last_stage(void **state)
{
    uint8_t array[100];
    struct script write = {0}, look = {.place = array, .place_bytes = sizeof(array)}, slice = {0};
    struct lsio_stage stages[] = {WRITE(&write), LOOK(&look), LOOK(&look)};
    struct lsio_chunk chunk = {0};
    struct stage_case c;

    (void)state;
    stages[2].place = look_place;
    case_begin(&c, stages, 3, 4 * KIB);
    assert_int_equal(case_run(&c, input, 100, &chunk), 0);
    assert_ptr_equal(write.seen_room, array);
    assert_ptr_equal(look.seen_in, array);
    assert_null(c.outcome.data);
    assert_int_equal(case_run(&c, input, 101, &chunk), 0); /* the hook does not want it */
    assert_ptr_equal(write.seen_room, c.env.scratch);
    case_end(&c);

    stages[1] = SLICE(&slice); /* what is written is not what would be copied */
    case_begin(&c, stages, 3, 4 * KIB);
    assert_int_equal(case_run(&c, input, 100, &chunk), 0);
    assert_ptr_equal(write.seen_room, c.env.scratch);
    case_end(&c);
}

/* ------------------------------------------------------------------------------ scratch memory --
 */

struct lane {
    uint64_t bytes_max;
    int held, acquired;
};

static int lane_acquire(void *context, uint64_t bytes, void **out)
{
    struct lane *lane = context;

    assert_int_equal(lane->held, 0);
    if (bytes > lane->bytes_max)
        return LSIO_E_BUDGET;
    *out = malloc((size_t)bytes);
    lane->held++;
    lane->acquired++;
    return 0;
}

static void lane_release(void *context, void *memory, uint64_t bytes)
{
    struct lane *lane = context;

    assert_true(bytes <= lane->bytes_max);
    lane->held--;
    free(memory);
}

static void oversize_lane(void **state)
{
    struct script first = {0}, second = {0}, third = {0};
    struct lsio_stage stages[] = {WRITE(&first), WRITE(&second), WRITE(&third)};
    struct lane lane = {.bytes_max = 3 * 8 * KIB};
    struct stage_case c;

    (void)state;
    case_begin(&c, stages, 3, 4 * KIB);
    assert_int_equal(case_decode(&c, input, 8 * KIB, 8 * KIB, NULL), LSIO_E_BUDGET); /* no lane */
    case_expect_text(&c, "8192 bytes of room");
    c.env.oversize = (struct chain_oversize){lane_acquire, lane_release, &lane};
    assert_int_equal(case_decode(&c, input, 8 * KIB, 8 * KIB, NULL), 0); /* one grant for both */
    assert_int_equal(lane.acquired, 1);
    assert_int_equal(lane.held, 0);
    assert_int_equal(c.out[5], (uint8_t)(input[5] + 3));
    lane.bytes_max = 12 * KIB; /* room for one only: no second grant while holding one */
    assert_int_equal(case_decode(&c, input, 8 * KIB, 8 * KIB, NULL), LSIO_E_BUDGET);
    assert_int_equal(lane.held, 0);
    second.used = 100; /* small things go to the region; a lane no longer in use is given back */
    first.used = 100;
    second.room = third.room = 100;
    assert_int_equal(case_decode(&c, input, 8 * KIB, 8 * KIB, NULL), 0);
    assert_int_equal(lane.held, 0);
    first.room = UINT64_MAX;
    assert_int_equal(case_decode(&c, input, 8 * KIB, 8 * KIB, NULL), LSIO_E_BUDGET);
    assert_int_equal(lane.held, 0);
    case_end(&c);
}

/* Inputs, outputs and scratch of random sizes never overlap: each stage adds 1 to each byte and
 * fills its scratch memory with junk before and after. Every other chain has less scratch memory
 * than it may need: there the one grant of the oversize lane may turn out too small. */
static void random_chains(void **state)
{
    uint64_t seed = 1;
    int complete = 0;

    (void)state;
    for (int round = 0; round < 300; round++) {
        struct script script[16];
        struct lsio_stage stages[16];
        struct lane lane = {.bytes_max = UINT64_MAX};
        struct stage_case c;
        size_t count = 1 + case_random(&seed) % 16;
        uint64_t bytes = 1 + case_random(&seed) % 3000, at = 0;
        uint8_t add = 0;

        memset(script, 0, sizeof(script));
        for (size_t i = 0; i < count; i++) {
            uint64_t kind = case_random(&seed) % 4;
            script[i].scratch = case_random(&seed) % 3 ? 0 : case_random(&seed) % 2000;
            if (kind == 0) {
                stages[i] = LOOK(&script[i]);
            } else if (kind == 1 && bytes > 50) {
                script[i].skip = case_random(&seed) % 20;
                script[i].drop = case_random(&seed) % 20;
                at += script[i].skip;
                bytes -= script[i].skip + script[i].drop;
                stages[i] = SLICE(&script[i]);
            } else {
                add++;
                stages[i] = WRITE(&script[i]);
            }
        }
        case_begin(&c, stages, count, round % 2 ? 12 * KIB : case_random(&seed) % 8192);
        c.env.oversize = (struct chain_oversize){lane_acquire, lane_release, &lane};
        for (int alloc = 0; alloc < 2; alloc++) {
            uint64_t first = 0;
            for (size_t i = 0; i < count; i++)
                first += script[i].skip + script[i].drop;
            if (alloc)
                case_decode_alloc(&c, input, bytes + first);
            else
                case_decode(&c, input, bytes + first, bytes, NULL);
            assert_int_equal(lane.held, 0);
            if (c.outcome.status == LSIO_E_BUDGET && round % 2 == 0)
                continue;
            assert_int_equal(c.outcome.status, 0);
            assert_int_equal(c.out_bytes, bytes);
            complete++;
            for (uint64_t i = 0; i < bytes; i++)
                assert_int_equal(c.out[i], (uint8_t)(input[at + i] + add));
        }
        case_end(&c);
    }
    assert_true(complete > 400);
}

/* ------------------------------------------------------------------------------------ statuses --
 */

static int explain_run(struct lsio_call *call)
{
    return lsio_call_fail(call, *(int *)call->user, "number %d", 42);
}

static void statuses(void **state)
{
    struct script look = {0};
    int code = -5;
    struct lsio_stage stages[] = {LOOK(&look), stage_of(explain_run, LSIO_STAGE_READS_ONLY, &code)};
    struct stage_case c;

    (void)state;
    case_begin(&c, stages, 2, 0);
    assert_int_equal(case_decode(&c, input, 9, 9, NULL), LSIO_E_CALLBACK);
    assert_int_equal(c.outcome.code, -5);
    assert_string_equal(c.outcome.text, "number 42");
    code = LSIO_E_CORRUPT;
    assert_int_equal(case_decode(&c, input, 9, 9, NULL), LSIO_E_CORRUPT);
    assert_int_equal(c.outcome.code, 0);
    code = 17;
    assert_int_equal(case_decode(&c, input, 9, 9, NULL), LSIO_E_CALLBACK);
    assert_int_equal(c.outcome.code, 17);
    look.fail = -1; /* says nothing, and stops the chain */
    assert_int_equal(case_decode(&c, input, 9, 9, NULL), LSIO_E_CALLBACK);
    case_expect_text(&c, "code -1");
    look.fail = LSIO_E_TLS;
    assert_int_equal(case_decode(&c, input, 9, 9, NULL), LSIO_E_TLS);
    case_expect_text(&c, "stage t failed");
    case_end(&c);
}

static int misuse_run(struct lsio_call *call)
{
    int kind = *(int *)call->user;
    const uint8_t *in = call->in;
    void *out;

    switch (kind) {
    case 0:
        return lsio_call_commit(call, 0);
    case 1:
        return lsio_call_pass(call, in + 1, call->in_bytes);
    case 2:
        return lsio_call_pass(call, in - 1, 1);
    case 3:
        return lsio_call_pass(call, in, UINT64_MAX);
    case 4:
        return lsio_call_pass(call, &kind, sizeof(kind));
    case 5:
        lsio_call_out(call, 3, &out);
        return lsio_call_commit(call, 4);
    default:
        lsio_call_out(call, 3, &out);
        return lsio_call_out(call, 3, &out);
    }
}

static int pass_run(struct lsio_call *call)
{
    return lsio_call_pass(call, call->in, 1);
}

static void misuse(void **state)
{
    int kind;
    struct script write = {0};
    struct lsio_stage stages[] = {stage_of(misuse_run, LSIO_STAGE_WRITES, &kind),
                                  stage_of(write_run, LSIO_STAGE_PASSES_SLICE, &write),
                                  stage_of(pass_run, LSIO_STAGE_READS_ONLY, NULL)};
    struct stage_case c;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        case_begin(&c, &stages[i], 1, 4 * KIB);
        for (kind = 0; kind <= (i ? 0 : 6); kind++) {
            assert_int_equal(case_decode(&c, input, 30, 30, NULL), -EINVAL);
            case_expect_text(&c, "lsio_call_");
        }
        case_end(&c);
    }
}

/* ------------------------------------------------------------------ create, state, destroy -- */

static int state_count, destroyed, refuse_init;

static int counted_init(void *user, uint32_t worker, void **state)
{
    (void)user;
    if (refuse_init)
        return -ENOMEM;
    state_count++;
    *state = (void *)(uintptr_t)(worker + 100);
    return 0;
}

static void counted_finish(void *user, uint32_t worker, void *state)
{
    (void)user;
    assert_int_equal((uintptr_t)state, worker + 100);
    state_count--;
}

static void counted_destroy(void *user)
{
    (void)user;
    destroyed++;
}

static int counted_run(struct lsio_call *call)
{
    assert_int_equal((uintptr_t)call->state, call->worker + 100);
    assert_ptr_equal(call->data, input);
    return 0;
}

static void state_per_worker(void **state)
{
    struct lsio_stage stage = stage_of(counted_run, LSIO_STAGE_READS_ONLY, NULL);
    struct stage_case c;

    (void)state;
    stage.init = counted_init;
    stage.finish = counted_finish;
    stage.destroy = counted_destroy;
    destroyed = 0;
    case_begin(&c, &stage, 1, 0);
    assert_int_equal(state_count, 0);
    refuse_init = 1;
    assert_int_equal(case_decode(&c, input, 1, 1, input), -ENOMEM);
    case_expect_text(&c, "worker 1");
    refuse_init = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(case_decode(&c, input, 1, 1, input), 0);
    assert_int_equal(state_count, 1);
    c.env.worker = 0;
    assert_int_equal(case_decode(&c, input, 1, 1, input), 0);
    assert_int_equal(state_count, 2);
    case_end(&c);
    assert_int_equal(state_count, 0);
    assert_int_equal(destroyed, 1);
}

static void create_checks(void **state)
{
    struct lsio_stage stages[17];
    struct lsio_chain *chain = (struct lsio_chain *)(uintptr_t)1;
    struct {
        struct lsio_stage stage;
        uint64_t of_a_later_version;
    } longer[2];

    (void)state;
    for (int i = 0; i < 17; i++) {
        stages[i] = stage_of(counted_run, LSIO_STAGE_READS_ONLY, NULL);
        stages[i].destroy = counted_destroy;
    }
    destroyed = 0;
    assert_int_equal(chain_create(NULL, 1, NULL, 1, &chain), -EINVAL);
    assert_int_equal(chain_create(NULL, 1, stages, 0, &chain), -EINVAL);
    assert_int_equal(destroyed, 0);
    assert_int_equal(chain_create(NULL, 1, stages, 17, &chain), -EINVAL);
    assert_int_equal(destroyed, 17); /* taken also on failure */
    stages[1].flags = LSIO_STAGE_WRITES | LSIO_STAGE_PASSES_SLICE;
    assert_int_equal(chain_create(NULL, 1, stages, 2, &chain), -EINVAL);
    stages[1].flags = 0;
    assert_int_equal(chain_create(NULL, 1, stages, 2, &chain), -EINVAL);
    stages[1].flags = LSIO_STAGE_WRITES;
    stages[1].run = NULL;
    assert_int_equal(chain_create(NULL, 1, stages, 2, &chain), -EINVAL);
    stages[0].struct_bytes = sizeof(struct lsio_stage) - 8;
    assert_int_equal(chain_create(NULL, 1, stages, 1, &chain), -EINVAL);
    assert_ptr_equal(chain, (void *)(uintptr_t)1);
    memset(longer, 0, sizeof(longer));
    longer[0].stage = longer[1].stage =
        stage_of(look_run, LSIO_STAGE_READS_ONLY, &(struct script){0});
    longer[0].stage.struct_bytes = longer[1].stage.struct_bytes = sizeof(longer[0]);
    longer[1].stage.flags = LSIO_STAGE_WRITES;
    assert_int_equal(
        chain_create((struct lsio_context *)(void *)input, 3, &longer[0].stage, 2, &chain), 0);
    assert_ptr_equal(chain_context(chain), input);
    assert_false(chain_reads_into_dst(chain));
    chain_destroy(chain);
    chain_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_chain),
        cmocka_unit_test(bytes_already_in_dst_stay),
        cmocka_unit_test(last_writer_gets_dst),
        cmocka_unit_test(slice_behind_the_writer),
        cmocka_unit_test(writer_that_does_not_write),
        cmocka_unit_test(allocated_results),
        cmocka_unit_test(place_of_the_last_stage),
        cmocka_unit_test(oversize_lane),
        cmocka_unit_test(random_chains),
        cmocka_unit_test(statuses),
        cmocka_unit_test(misuse),
        cmocka_unit_test(state_per_worker),
        cmocka_unit_test(create_checks),
    };

    for (size_t i = 0; i < sizeof(input); i++)
        input[i] = (uint8_t)(i * 7 + i / 256);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
