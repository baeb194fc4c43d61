/* SPDX-License-Identifier: MIT */
/*
 * deque.h and queue.h as the engine uses them: an owner pushes and pops, seven thieves steal, and
 * what was stolen comes home through a queue. It goes on without a pause, so indexes wrap around
 * the slots thousands of times. Each push has a serial number, taken exactly once; a thief sees
 * them ascend.
 *
 * LSIO_TEST_TIMEOUT: 3600
 */
#include "base/deque.h"
#include "base/queue.h"
#include "stress.h"

#define ITEMS   64u /* power of two */
#define THREADS 8u

struct item {
    struct queue_node home; /* first */
    uint64_t serial;
    bool out; /* pushed, and not taken */
};

struct yard {
    struct deque deque;
    _Atomic(void *) slots[ITEMS];
    struct queue home;
    struct item items[ITEMS];
    _Atomic uint64_t taken, taken_sum, stolen;
    uint64_t pushed, pushed_sum; /* the owner's */
    _Atomic bool over;
};

struct tally {
    uint64_t count, sum;
};

/* Scatters the serial, so that two wrong ones do not make a right sum. */
static uint64_t serial_hash(uint64_t serial)
{
    serial *= UINT64_C(0x9e3779b97f4a7c15);
    return serial ^ serial >> 31;
}

static void take(struct tally *tally, struct item *item)
{
    STRESS_CHECK(item->out);
    item->out = false;
    tally->count++;
    tally->sum += serial_hash(item->serial);
}

static void tally_add(struct yard *yard, const struct tally *tally)
{
    atomic_fetch_add(&yard->taken, tally->count);
    atomic_fetch_add(&yard->taken_sum, tally->sum);
}

static void thief_main(struct stress_thread *thread, struct yard *yard)
{
    struct tally tally = {0};
    uint64_t last = 0;

    while (!atomic_load(&yard->over)) {
        /* most leave the owner its last item, as workers do; others fight for it */
        struct item *item = deque_steal(&yard->deque, thread->number % 3 ? 2 : 1);
        if (!item)
            continue;
        STRESS_CHECK(item->serial > last);
        last = item->serial;
        take(&tally, item);
        queue_push(&yard->home, &item->home);
    }
    tally_add(yard, &tally);
    atomic_fetch_add(&yard->stolen, tally.count);
}

static void owner_main(struct stress_thread *thread, struct yard *yard)
{
    struct queue_node *idle = NULL;
    struct tally tally = {0};
    struct item *item;

    for (uint32_t i = 0; i < ITEMS; i++) {
        yard->items[i].home.next = idle;
        idle = &yard->items[i].home;
    }
    while (stress_goes_on(thread->stress)) {
        struct queue_node *came = queue_take_all(&yard->home);
        for (uint32_t count = stress_random(thread, ITEMS); count && idle; count--) {
            item = (struct item *)(void *)idle;
            idle = idle->next;
            item->serial = ++yard->pushed;
            item->out = true;
            yard->pushed_sum += serial_hash(item->serial);
            deque_push(&yard->deque, item);
        }
        for (uint32_t count = stress_random(thread, ITEMS / 4); count; count--) {
            item = deque_pop(&yard->deque);
            if (!item)
                break;
            take(&tally, item);
            item->home.next = idle;
            idle = &item->home;
        }
        while (came) {
            struct queue_node *next = came->next;
            came->next = idle;
            idle = came;
            came = next;
        }
    }
    while ((item = deque_pop(&yard->deque)) != NULL)
        take(&tally, item);
    atomic_store(&yard->over, true);
    tally_add(yard, &tally);
}

static void *thread_main(void *data)
{
    struct stress_thread *thread = data;

    if (thread->number == 0)
        owner_main(thread, thread->data);
    else
        thief_main(thread, thread->data);
    return NULL;
}

static void each_push_is_taken_once(void **state)
{
    struct yard *yard = calloc(1, sizeof(*yard));
    struct stress stress;

    (void)state;
    deque_init(&yard->deque, yard->slots, ITEMS);
    stress_begin(&stress, "deque");
    stress_run(&stress, THREADS, thread_main, yard);
    stress_end(&stress);
    assert_int_equal(deque_count(&yard->deque), 0);
    assert_int_equal(yard->taken, yard->pushed);
    assert_int_equal(yard->taken_sum, yard->pushed_sum);
    assert_true(yard->stolen > 0 && yard->stolen < yard->pushed);
    free(yard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_push_is_taken_once)};

    return cmocka_run_group_tests_name("stress deque", tests, NULL, NULL);
}
