/* SPDX-License-Identifier: MIT */
/*
 * driver_rig.h - a worker for driver tests: an env over a real loop or over a loop that the test
 * controls, with reads that check the contract (each completes exactly once, on its own worker).
 *
 * All rigs of a test live on the test's thread unless it says otherwise. rig_wait() turns the loops
 * and mailboxes of a rig and its peers until a read has completed.
 */
#ifndef LSIO_TEST_DRIVER_RIG_H
#define LSIO_TEST_DRIVER_RIG_H

#include "driver/driver.h"

#define RIG_PEERS_MAX 8u

/* What the controlled loop asks before it runs an operation: RIG_REAL runs it, RIG_SHORT(n) runs a
 * read of at most n bytes, RIG_LATER leaves it for a later turn; else a result. */
#define RIG_REAL     INT64_MIN
#define RIG_LATER    (INT64_MIN + 1)
#define RIG_SHORT(n) (INT64_MIN + 1000 + (n))
typedef int64_t rig_fault_fn(const struct loop_op *op, void *data);

struct rig {
    struct driver_env env; /* first */
    const struct driver_ops *driver;
    struct queue mailbox;
    void *loop_shared;
    struct rig *peers[RIG_PEERS_MAX]; /* by worker index; a rig alone is its own peer */
    uint32_t pending;                 /* reads begun and not complete */
    bool refuse_bounce;
    uint32_t bounces; /* handed out and not given back */
};

struct rig_read {
    struct driver_read read; /* first */
    struct rig *rig;
    int completions;
};

/* The loops that run here: "controlled", "epoll" and, if the kernel allows it, "uring"; NULL ends.
 */
const char *const *rig_loops(void);

void rig_init(struct rig *rig, const char *loop, const struct loop_os *os,
              const struct driver_ops *driver);
/* Makes a worker per rig, which know each other. */
void rig_init_many(struct rig *rigs, uint32_t count, const char *loop, const struct loop_os *os,
                   const struct driver_ops *driver);
void rig_finish(
    struct rig *rig); /* fails the test if a read is pending or a bounce buffer is out */

/* The worker ends: what the driver has in the loop goes. On the rig's thread, before
 * rig_finish(). */
void rig_leave(struct rig *rig, void *state);

/* The controlled loop's. */
void rig_set_fault(struct rig *rig, rig_fault_fn *fault, void *data);
unsigned rig_ops_done(const struct rig *rig,
                      int kind);           /* operations of a loop_kind that were run */
unsigned rig_slots(const struct rig *rig); /* attached now */

void rig_begin(struct rig *rig, struct rig_read *read);
void rig_wait(struct rig_read *read); /* fails the test after 20 s */
void rig_turn(struct rig *rig);       /* once: mailbox, flush, reap */
void rig_cancel(struct rig_read *read);

/* Sets up a plain read of an object. */
void rig_read_init(struct rig_read *read, struct driver_object *object, uint64_t offset,
                   uint64_t bytes, void *addr);
/* Begins it, waits, and returns its status. */
int rig_read(struct rig *rig, struct driver_object *object, uint64_t offset, uint64_t bytes,
             void *addr);
int rig_probe(struct rig *rig, struct driver_object *object);

/* A store opened with up to 4 "key=value" options; NULL ends. Returns store_open()'s status. */
int rig_store_open(struct rig *rig, void *state, const char *url, struct lsio_store **out, ...);
void rig_object_init(struct driver_object *object, struct lsio_store *store, const char *key);
/* The status of a listing; what else is known of a failure goes. */
int rig_list(struct lsio_store *store, const char *prefix, char delimiter, lsio_list_fn *on_page,
             void *data);

/* A fresh directory below $TMPDIR or /tmp (or `below`), and its removal with all in it. */
char *rig_directory_make(const char *below);
void rig_directory_remove(char *path);
/* Writes `bytes` bytes of rig_pattern() into directory/name, making directories. */
void rig_file_write(const char *directory, const char *name, uint64_t bytes, uint64_t seed);
uint8_t rig_pattern(uint64_t seed, uint64_t offset);
/* Fails the test unless memory holds the pattern from `offset` on. */
void rig_check(const void *memory, uint64_t bytes, uint64_t seed, uint64_t offset);

#endif
