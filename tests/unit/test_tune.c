/* SPDX-License-Identifier: MIT */
/*
 * tune.c: a store whose requests are measured gets profiles that follow, each of which lives as
 * long as anybody plans with it; any other store keeps the one it was opened with.
 *
 * LSIO_TEST_LINK: -Wl,--wrap=free
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

#define MS UINT64_C(1000000)

struct measured_store {
    struct lsio_store base; /* first */
    uint64_t latency_ms;
    unsigned closed;
};

static void store_measure(const struct lsio_store *store, struct plan_measured *out)
{
    const struct measured_store *measured = (const void *)store;

    *out = (struct plan_measured){.latency_ns = measured->latency_ms * MS, .latency_count = 64};
}

static void store_closed(struct lsio_store *store, bool forked)
{
    (void)forked;
    ((struct measured_store *)(void *)store)->closed++;
}

static const struct driver_ops measuring = {.measure = store_measure, .store_close = store_closed};
static const struct driver_ops silent = {.store_close = store_closed};

static const struct lsio_store *watched;
static unsigned dangling; /* how often what a store names was freed */

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
    dangling += memory && watched && memory == (void *)watched->tuned;
    __real_free(memory);
}

struct fixture {
    struct lsio_context context;
    struct measured_store store;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (!f)
        return -1;
    pthread_mutex_init(&f->context.lock, NULL);
    f->store.base.driver = &measuring;
    f->store.base.context = &f->context;
    f->store.latency_ms = 30; /* as the profile says */
    *state = f;
    return plan_profile_builtin("cloud", &f->store.base.profile);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    pthread_mutex_destroy(&f->context.lock);
    free(f);
    return 0;
}

static void the_built_in_profile_stays_while_it_is_right(void **state)
{
    struct fixture *f = *state;
    struct lsio_store *store = &f->store.base;
    const struct plan_profile *profile;

    store->profile.iops_max = 0;
    profile = profile_take(store);
    assert_ptr_equal(profile, &store->profile);
    profile_drop(store, profile);
    f->store.latency_ms = 300;
    store->driver = &silent;
    profile = profile_take(store);
    assert_ptr_equal(profile, &store->profile);
    profile_drop(store, profile);
    store_end(store, false);
    assert_int_equal(f->store.closed, 1);
}

static void requests_share_a_profile_until_it_moves(void **state)
{
    struct fixture *f = *state;
    struct lsio_store *store = &f->store.base;
    const struct plan_profile *first, *same, *second;

    f->store.latency_ms = 100;
    first = profile_take(store);
    f->store.latency_ms = 110;
    same = profile_take(store);
    assert_ptr_equal(first, same);
    f->store.latency_ms = 200;
    second = profile_take(store);
    assert_ptr_not_equal(second, first);
    /* what is in use stays as it is */
    assert_int_equal(first->request_latency_ns, 100 * MS);
    assert_int_equal(second->request_latency_ns, 200 * MS);
    assert_int_equal(store->profile.request_latency_ns, 30 * MS);
    assert_true(second->gap_bytes > first->gap_bytes);
    profile_drop(store, first);
    assert_int_equal(same->request_latency_ns, 100 * MS);
    profile_drop(store, same);
    store_end(store, false);
    /* a child of fork() frees its batches in any order */
    assert_int_equal(second->request_latency_ns, 200 * MS);
    profile_drop(store, second);
    assert_int_equal(f->store.closed, 1);
}

/* A fork() may come at any moment, and the child frees what its stores name. */
static void a_store_never_names_a_freed_profile(void **state)
{
    struct fixture *f = *state;
    struct lsio_store *store = &f->store.base;

    dangling = 0;
    watched = store;
    for (uint64_t ms = 100; ms < 1000; ms *= 2) {
        f->store.latency_ms = ms;
        profile_drop(store, profile_take(store));
    }
    watched = NULL;
    assert_int_equal(dangling, 0);
    store_end(store, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_built_in_profile_stays_while_it_is_right, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(requests_share_a_profile_until_it_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_never_names_a_freed_profile, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("tune", tests, NULL, NULL);
}
