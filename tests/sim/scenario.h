/* SPDX-License-Identifier: MIT */
/*
 * scenario.h - what one seed of the engine's simulation is made of: a world of files that change
 * and fail, stores, chains, batches, and the application's threads that use them. Everything is
 * drawn from the seed; scenario_run() plays it once and checks it (check.h).
 *
 *   scenario.c         the whole: draws the settings, plays, ends
 *   scenario_world.c   what all worlds have: files and their versions, stores, chains
 *   scenario_local.c   the world of local files and of objects in memory
 *   scenario_http.c    the world of objects on an HTTP server
 *   scenario_batch.c   makes a batch: objects, chunks, destinations
 *   scenario_act.c     what stages and callbacks do, and the application's threads
 *
 * All threads are fibers that switch only inside the library and the simulated world, so this code
 * needs no locks: between two calls it is alone.
 */
#ifndef LSIO_TESTS_SIM_SCENARIO_H
#define LSIO_TESTS_SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lsio/lsio.h"
#include "oracle.h"

#define FILES_MAX    14
#define NAME_BYTES   16 /* of a file */
#define HUGE_BYTES   (1500u * 1024) /* a file of up to so many goes beyond the budget's pool */
#define VERSIONS_MAX 6
#define FAULTS_MAX   12 /* kinds per file */
#define STORES_MAX   5
#define BATCHES_MAX  48
#define WAVES_MAX    4
#define PLANS_MAX    4
#define THREADS_MAX  3
#define CANARY       0xc5 /* what the destinations are full of before */
#define AFTER        0x77 /* and after their batch was checked */
#define NO_STATUS    12345

/* ------------------------------------------------------------------------------------ chance -- */

struct dice {
    uint64_t state;
};
uint64_t dice_draw(struct dice *dice);
uint32_t dice_below(struct dice *dice, uint32_t below);
bool dice_chance(struct dice *dice, uint32_t permille);
/* 1 .. max, small numbers more often. */
uint32_t dice_size(struct dice *dice, uint32_t max);

/* ------------------------------------------------------------------------------------- world -- */

struct version {
    uint8_t *bytes;
    uint64_t size;
    bool absent;
    bool in_place; /* it came about in the file that held the version before */
    unsigned same; /* as which version it is: itself, but for a change that came to nothing */
};

/* An object, in all versions it ever had. All but those of the memory store are seen through every
 * store that is not it. */
struct file {
    char key[32];
    char path[48]; /* in the simulated file system or on the server; "": in the memory store */
    bool directory, bad_key;
    bool may_change;
    struct version versions[VERSIONS_MAX];
    unsigned version_count; /* that may be seen */
    unsigned settled;       /* those before this one may not be seen by a batch begun now */
    bool changing;
    uint64_t changed_ns;
    uint64_t change_gap_ns; /* two changes within that time could not be told apart */
    int faults[FAULTS_MAX]; /* statuses that injected faults can give it */
    unsigned fault_count;
    char etag[128]; /* of version 0; "": not known */
};

struct store {
    struct lsio_store *handle;
    bool memory;
    bool closing; /* nothing begins to use it any more */
    char words[480]; /* its options, for the report */
};

/* ----------------------------------------------------------------------------------- batches -- */

enum place { IN_STAGE, IN_CHUNK, IN_DONE };

enum action {
    ACT_CANCEL,        /* its own batch */
    ACT_CANCEL_OTHER,
    ACT_SUBMIT,
    ACT_ADD,           /* a second wave; not IN_DONE */
    ACT_DESTROY,       /* its own batch */
    ACT_DESTROY_OTHER,
    ACT_RECURSE,       /* calls that must be refused */
    ACT_ASK,           /* progress, errors, statistics */
    ACT_SLEEP,
    ACT_YIELD,
    ACT_COUNT
};

/* Something that a callback of the batch does at its so-manieth call. */
struct plan {
    enum place place;
    enum action action;
    uint32_t at;
    bool taken;
};

struct batch;

/* A chunk, and what was seen of it. */
struct note {
    struct batch *batch;
    const struct file *file; /* NULL: it names no object */
    const struct store *store;
    uint64_t stated;         /* size; 0: not stated */
    int etag;                /* 0 none, 1 that of version 0, 2 wrong */
    unsigned chain;
    int code;                /* of STAGE_FAIL */
    uint32_t versions;       /* a bit for each that its bytes may be of; 0: any */
    struct lsio_chunk chunk; /* as asked */
    uint32_t stage_runs;     /* of its first stage */
    uint32_t reports;
    struct lsio_result seen; /* by on_chunk */
    uint8_t *taken;          /* what dst held then, if dst was used for something else at once */
    struct lsio_result final;
    uint64_t reported_ns;
};

/* One request of a batch: the first, or one that was added. */
struct wave {
    uint64_t first_index, count;
    size_t object_count;
    struct lsio_object *objects;
    uint8_t *chunks;
    uint8_t *results; /* or NULL */
    size_t chunk_stride, result_stride;
    struct note *notes;
    unsigned chain; /* for chunks that name none */
    uint32_t flags;
};

struct batch {
    unsigned number;
    struct dice dice;
    struct lsio_batch *handle; /* NULL: never started, or read_batch */
    bool blocking;             /* by lsio_read_batch */
    bool started;
    bool late; /* begun while the context was being destroyed: it may or may not be canceled */
    bool submitting;
    bool gone;      /* somebody destroys it: the handle is theirs */
    unsigned users; /* calls that use the handle now */
    bool on_chunk, on_done;
    bool fail_fast;
    bool takes_early; /* on_chunk uses dst for something else */
    bool canceled; /* asked for, by whatever */
    uint64_t canceled_ns;
    uint64_t last_ns; /* the last callback */
    uint64_t deadline_ns; /* UINT64_MAX: none */
    struct wave waves[WAVES_MAX];
    unsigned wave_count;
    bool adding;
    struct plan plans[PLANS_MAX];
    unsigned plan_count;
    uint32_t calls[3]; /* by enum place */
    unsigned settled[FILES_MAX]; /* versions of the files when it began */
    uint32_t done_calls;
    bool finished; /* on_done has been called, or it was waited for */
    bool checked;
};

/* ---------------------------------------------------------------------------------- scenario -- */

struct scenario;

/* What differs between worlds. Members may be NULL, but for the first ones. */
struct scenario_world {
    void (*make_files)(struct scenario *s);
    void (*make_faults)(struct scenario *s);
    void (*open_stores)(struct scenario *s);
    /* Gives a file a further version, and lets the library see it. */
    void (*change)(struct scenario *s, struct file *file, struct dice *dice);
    bool faults_are_certain; /* a file's faults are those that struck, and not those that may */
    bool is_remote; /* all of an object's bytes in a batch are of one version */
    uint64_t cancel_ns_max; /* from a cancel to the end */
    void (*connect)(struct scenario *s); /* the context is there, and no store yet */
    void (*look)(struct scenario *s);    /* before each operation of a loop */
    void (*quiet)(struct scenario *s);   /* all batches have ended, and nothing moves */
    void (*finish)(struct scenario *s);  /* the context is gone */
    void (*free)(struct scenario *s);    /* the simulation, too */
    void (*describe)(const struct scenario *s);
};

extern const struct scenario_world world_local, world_http;
uint64_t world_http_all(void); /* all bits of scenario_seen that world_http may set */

struct scenario {
    const struct scenario_world *world;
    uint64_t seed;
    bool verbose;
    struct dice dice;
    struct lsio_context *context;
    uint32_t workers;
    uint64_t memory_bytes;
    uint64_t scratch_bytes, arena_least, arena_most, pool_bytes; /* what becomes of that */
    uint32_t slow_permille; /* stages that take time */
    uint64_t latency_max_ns;
    uint32_t alloc_permille; /* of the library's allocations fail; 0: none */
    uint32_t change_permille; /* operations of the loop before which a file changes */
    bool remote;
    bool large_files; /* for which memory is short */
    bool slow_device; /* so slow that a deadline may pass while nothing happens */
    struct file files[FILES_MAX];
    unsigned file_count;
    struct store stores[STORES_MAX];
    unsigned store_count;
    struct lsio_chain *chains[ORACLE_CHAINS];
    struct batch *batches[BATCHES_MAX];
    unsigned batch_count;
    uint8_t *dst; /* all destinations */
    uint64_t dst_used, dst_bytes;
    bool ending; /* the context is being destroyed: what callbacks begin now may be canceled */
    uint64_t stat_chunks, stat_failed; /* of lsio_stat_batch */
};

/* Plays one seed. Anything wrong ends the process by scenario_fail(). The hash of all decisions. */
uint64_t scenario_run(const struct scenario_world *world, uint64_t seed, bool verbose);
/* The scenario that runs, for what has no other way to it. */
extern struct scenario *scenario_now;
/* Bits of what has happened in this process, so that a program can tell whether all that should
 * has; their meaning is the world's. */
extern uint64_t scenario_seen;

/* Prints what, the scenario in words, and how to run it again; exits with status 1. */
void scenario_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* A line of the trace. */
void scenario_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* scenario_world.c */
/* A size as worlds have them. */
uint64_t world_draw_size(const struct scenario *s, struct dice *dice);
struct version *world_version_last(struct file *file);
/* A further version with content of its own, not yet to be seen by anybody. */
struct version *world_version_add(struct scenario *s, struct file *file, uint64_t size);
/* A further file with one version, and a name that is its key. */
struct file *world_add_file(struct scenario *s, char name[NAME_BYTES]);
/* Notes that a fault can give the file that status. */
void world_note_fault(struct file *file, int status);
/* Draws the options that every kind of store has. */
void world_draw_options(struct scenario *s, struct store *store, struct lsio_option *options,
                        size_t *count);
/* Adds one; `value` must live until the store is open. */
void world_add_option(struct store *store, struct lsio_option *options, size_t *count,
                      const char *key, const char *value);
void world_make_chains(struct scenario *s);
void world_ask_etags(struct scenario *s);
/* Perhaps changes a file. */
void world_change(struct scenario *s, struct dice *dice);
void world_free(struct scenario *s);
void world_describe(const struct scenario *s);

/* scenario_batch.c; NULL: there are enough */
struct batch *batch_new(struct scenario *s, bool blocking);
/* One more wave, not yet begun: its chunks are numbered from first_index. False: no room. */
bool wave_new(struct scenario *s, struct batch *batch);
void wave_drop(struct wave *wave);
/* The public request for a wave. */
void wave_request(const struct scenario *s, const struct batch *batch, const struct wave *wave,
                  struct lsio_request *out);
struct note *batch_note(struct batch *batch, uint64_t index, struct lsio_result **result);
void batch_describe(const struct batch *batch);
void batch_drop(struct batch *batch);

/* scenario_act.c */
int act_stage(struct lsio_call *call);
int act_stage_init(void *user, uint32_t worker, void **state);
void act_stage_finish(void *user, uint32_t worker, void *state);
void act_on_chunk(struct lsio_batch *handle, uint64_t index, const struct lsio_result *result,
                  void *data);
void act_on_done(struct lsio_batch *handle, int status, void *data);
/* Somebody is about to cancel the batch. */
void act_mark_canceled(struct batch *batch);
/* One of the application's threads; its argument is a struct dice. */
void *act_thread(void *dice);
/* What the main thread does about batches that nobody has waited for. */
void act_leftovers(struct scenario *s);

/* ledger.h: the library's allocations. */
void alloc_begin(void);
/* Blocks allocated since alloc_begin() and not freed. */
int64_t alloc_live(void);
/* So many of a thousand fail from now on. */
void alloc_fail(uint32_t permille, uint64_t seed);
uint64_t alloc_failed(void); /* how many have */
/* Between the two nothing fails: for what the test allocates itself. */
void alloc_steady(void);
void alloc_unsteady(void);
void *alloc_zeroed(size_t count, size_t bytes); /* never NULL */

#endif
