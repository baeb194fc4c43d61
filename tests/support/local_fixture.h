/* SPDX-License-Identifier: MIT */
/* local_fixture.h - a directory, a store on it, and a worker, for tests of the local driver. */
#ifndef LSIO_TEST_LOCAL_FIXTURE_H
#define LSIO_TEST_LOCAL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "driver/local/file.h"
#include "driver_rig.h"

#define LOCAL_WORKERS 2u

struct local_fixture {
    struct rig rigs[LOCAL_WORKERS];
    struct rig *rig; /* the first */
    void *state;
    struct local_cache *cache;
    char *outside;        /* a directory of our own */
    char directory[4096]; /* the store's root, in it */
    struct lsio_store *store;
};

static inline int fds_open(void)
{
    int count = 0;

    for (int fd = 0; fd < 4096; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static inline struct local_fixture *local_begin(const char *loop, const struct loop_os *os,
                                                const char *option)
{
    struct local_fixture *f = calloc(1, sizeof(*f));

    f->outside = rig_directory_make(NULL);
    snprintf(f->directory, sizeof(f->directory), "%s/root", f->outside);
    assert_int_equal(mkdir(f->directory, 0777), 0);
    f->rig = &f->rigs[0];
    rig_init_many(f->rigs, LOCAL_WORKERS, loop, os, &driver_local);
    assert_int_equal(driver_local.state_create(NULL, os, LOCAL_WORKERS, &f->state), 0);
    f->cache = f->state;
    assert_int_equal(rig_store_open(f->rig, f->state, f->directory, &f->store, option, NULL), 0);
    return f;
}

static inline void local_end(struct local_fixture *f)
{
    assert_int_equal(f->cache->use_count, 0);
    assert_int_equal(f->cache->starved_count, 0);
    assert_int_equal(f->cache->held_count, 0);
    for (uint32_t i = 0; i < LOCAL_WORKERS; i++)
        rig_leave(&f->rigs[i], f->state);
    driver_local.store_close(f->store, false);
    assert_int_equal(f->cache->fd_count, 0);
    driver_local.state_destroy(f->state, false);
    for (uint32_t i = 0; i < LOCAL_WORKERS; i++)
        rig_finish(&f->rigs[i]);
    rig_directory_remove(f->outside);
    free(f);
}

/* The path of a name in the root; valid until the fourth call from then. */
static inline const char *local_path(const struct local_fixture *f, const char *name)
{
    static char paths[4][8192];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", f->directory, name);
    return path;
}

#endif
