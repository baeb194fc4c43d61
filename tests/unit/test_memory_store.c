/* SPDX-License-Identifier: MIT */
/* What is special to memory:// stores: names, sharing, snapshots, many keys. */
#define _GNU_SOURCE

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "driver/memory/memory.h"
#include "driver_rig.h"

struct fixture {
    struct rig rig;
    void *state;
    struct lsio_store *store;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    rig_init(&f->rig, "controlled", &loop_os_linux, &driver_memory);
    assert_int_equal(driver_memory.state_create(NULL, &loop_os_linux, 1, &f->state), 0);
    assert_int_equal(rig_store_open(&f->rig, f->state, "memory://one", &f->store, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    driver_memory.store_close(f->store, false);
    driver_memory.state_destroy(f->state, false);
    rig_finish(&f->rig);
    free(f);
    return 0;
}

static int read_text(struct fixture *f, struct lsio_store *store, const char *key, char *out,
                     uint64_t bytes)
{
    struct driver_object object;
    int status;

    rig_object_init(&object, store, key);
    status = rig_read(&f->rig, &object, 0, bytes, out);
    driver_memory.finish_object(&object);
    return status;
}

static void names_share(void **state)
{
    struct fixture *f = *state;
    struct lsio_store *same, *other, *elsewhere;
    void *context;
    char text[8] = "";

    assert_int_equal(rig_store_open(&f->rig, f->state, "memory://one", &same, NULL), 0);
    assert_int_equal(rig_store_open(&f->rig, f->state, "memory://two", &other, NULL), 0);
    assert_int_equal(driver_memory.state_create(NULL, &loop_os_linux, 1, &context), 0);
    assert_int_equal(rig_store_open(&f->rig, context, "memory://one", &elsewhere, NULL), 0);
    assert_int_equal(driver_memory.put(f->store, "k", "value", 5), 0);
    assert_int_equal(read_text(f, same, "k", text, 5), 0);
    assert_string_equal(text, "value");
    assert_int_equal(read_text(f, other, "k", text, 5), -ENOENT);
    assert_int_equal(read_text(f, elsewhere, "k", text, 5), -ENOENT);
    assert_int_equal(driver_memory.remove(same, "k"), 0);
    assert_int_equal(driver_memory.remove(same, "k"), -ENOENT);
    assert_int_equal(read_text(f, f->store, "k", text, 5), -ENOENT);
    /* objects outlive the store that put them */
    assert_int_equal(driver_memory.put(other, "k", "later", 5), 0);
    driver_memory.store_close(other, false);
    assert_int_equal(rig_store_open(&f->rig, f->state, "memory://two", &other, NULL), 0);
    assert_int_equal(read_text(f, other, "k", text, 5), 0);
    assert_string_equal(text, "later");
    driver_memory.store_close(same, false);
    driver_memory.store_close(other, false);
    driver_memory.store_close(elsewhere, false);
    driver_memory.state_destroy(context, false);
}

static void options(void **state)
{
    struct fixture *f = *state;
    struct lsio_store *store;

    assert_string_equal(f->store->profile.name, "memory");
    assert_string_equal(f->store->url, "memory://one");
    assert_int_equal(rig_store_open(&f->rig, f->state, "memory://x", &store, "nonsense=1", NULL),
                     -EINVAL);
    assert_int_equal(
        rig_store_open(&f->rig, f->state, "memory://x", &store, "symlinks=follow", NULL), -EINVAL);
    assert_int_equal(rig_store_open(&f->rig, f->state, "memory://x", &store, "gap_bytes=1M",
                                    "profile=hdd", NULL),
                     0);
    assert_string_equal(store->profile.name, "hdd");
    assert_int_equal(store->profile.gap_bytes, 1 << 20);
    driver_memory.store_close(store, false);
}

static void bad_puts(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(driver_memory.put(f->store, "", "x", 1), -EINVAL);
    assert_int_equal(driver_memory.put(f->store, "/a", "x", 1), -EINVAL);
    assert_int_equal(driver_memory.put(f->store, "a/../b", "x", 1), -EINVAL);
    assert_int_equal(driver_memory.put(f->store, "a", NULL, 1), -EINVAL);
    assert_int_equal(driver_memory.put(f->store, "a", "x", UINT64_MAX), -ENOMEM);
    assert_int_equal(driver_memory.put(f->store, "a", NULL, 0), 0);
    assert_int_equal(driver_memory.remove(f->store, "../a"), -EINVAL);
}

static void a_batch_keeps_what_it_saw(void **state)
{
    struct fixture *f = *state;
    struct driver_object object, later;
    struct lsio_object_info before, after;
    char text[8] = "";

    assert_int_equal(driver_memory.put(f->store, "k", "first", 5), 0);
    rig_object_init(&object, f->store, "k");
    assert_int_equal(rig_read(&f->rig, &object, 0, 2, text), 0);
    assert_int_equal(driver_memory.put(f->store, "k", "second", 6), 0);
    assert_int_equal(rig_read(&f->rig, &object, 0, 5, text), 0);
    assert_string_equal(text, "first");
    assert_int_equal(driver_memory.remove(f->store, "k"), 0);
    assert_int_equal(rig_read(&f->rig, &object, 0, 5, text), 0);
    assert_int_equal(driver_memory.verify_object(&object), 0);
    assert_int_equal(driver_memory.object_info(&object, &before), 0);
    rig_object_init(&later, f->store, "k");
    assert_int_equal(rig_read(&f->rig, &later, 0, 5, text), -ENOENT);
    assert_int_equal(driver_memory.put(f->store, "k", "third", 5), 0);
    assert_int_equal(rig_read(&f->rig, &later, 0, 5, text), 0);
    assert_string_equal(text, "third");
    assert_int_equal(driver_memory.object_info(&later, &after), 0);
    assert_string_not_equal(before.etag, after.etag);
    driver_memory.finish_object(&object);
    driver_memory.finish_object(&later);
}

static int count_entries(const struct lsio_list_entry *entries, size_t count, void *data)
{
    size_t *total = data;

    for (size_t i = 1; i < count; i++)
        assert_true(strcmp(entries[i - 1].key, entries[i].key) < 0);
    *total += count;
    return 0;
}

static void many_keys(void **state)
{
    struct fixture *f = *state;
    size_t total = 0;
    char key[32], text[32];

    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "c/%d/%d", i % 71, i);
        assert_int_equal(driver_memory.put(f->store, key, key, strlen(key) + 1), 0);
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "c/%d/%d", i % 71, i);
        assert_int_equal(read_text(f, f->store, key, text, strlen(key) + 1), 0);
        assert_string_equal(key, text);
    }
    assert_int_equal(rig_list(f->store, "", 0, count_entries, &total), 0);
    assert_int_equal(total, 5000);
    total = 0;
    assert_int_equal(rig_list(f->store, "c/", '/', count_entries, &total), 0);
    assert_int_equal(total, 71);
}

static void *put_and_remove(void *data)
{
    struct lsio_store *store = data;
    char text[64];

    for (int i = 0; i < 20000; i++) {
        memset(text, 'a' + i % 26, sizeof(text));
        if (i % 100 == 99)
            driver_memory.remove(store, "k");
        else
            driver_memory.put(store, "k", text, sizeof(text));
    }
    return NULL;
}

static void readers_see_whole_values(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_and_remove, f->store), 0);
    for (int i = 0; i < 20000; i++) {
        char text[64];
        struct driver_range halves[] = {{0, 32, text}, {32, 32, text + 32}};
        int status = read_text(f, f->store, "k", text, sizeof(text));
        assert_true(status == 0 || status == -ENOENT);
        for (size_t k = 1; status == 0 && k < sizeof(text); k++)
            assert_int_equal(text[k], text[0]);
        if (driver_memory.read_inline(f->store, "k", halves, 2) == 0)
            assert_int_equal(text[63], text[0]);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void forked_child_frees(void **state)
{
    void *context;
    struct fixture *f = *state;
    struct lsio_store *store;

    assert_int_equal(driver_memory.state_create(NULL, &loop_os_linux, 1, &context), 0);
    assert_int_equal(rig_store_open(&f->rig, context, "memory://one", &store, NULL), 0);
    assert_int_equal(driver_memory.put(store, "k", "value", 5), 0);
    driver_memory.store_close(store, true);
    driver_memory.state_destroy(context, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_share),        TEST(options),
        TEST(bad_puts),           TEST(a_batch_keeps_what_it_saw),
        TEST(many_keys),          TEST(readers_see_whole_values),
        TEST(forked_child_frees),
    };

    return cmocka_run_group_tests_name("memory store", tests, NULL, NULL);
}
