/* SPDX-License-Identifier: MIT */
/*
 * plan.h - turns chunks into operations for the storage they lie on. PURE: no I/O, no clock, no
 * threads, no allocation after planner_create(). What it needs from the world is in its input.
 *
 * Planning streams in slabs of at most `slab_chunks` chunks, so that workers start before planning
 * ends and memory does not grow with the request. A slab is a permutation of its chunks (none if
 * they are in order) and a list of operations over consecutive positions of it.
 */
#ifndef LSIO_PLAN_PLAN_H
#define LSIO_PLAN_PLAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lsio/lsio.h"

enum plan_direct { PLAN_DIRECT_AUTO = 0, PLAN_DIRECT_ON = 1, PLAN_DIRECT_OFF = 2 };

/* Fields of a profile that may follow from others, or from what was measured, until they are
 * given. */
enum plan_tuned {
    PLAN_TUNED_GAP = 1 << 0,
    PLAN_TUNED_REQUEST = 1 << 1,
    PLAN_TUNED_SPLIT = 1 << 2,
    PLAN_TUNED_LATENCY = 1 << 3,
    PLAN_TUNED_STREAM = 1 << 4,
    PLAN_TUNED_RATE = 1 << 5
};
#define PLAN_TUNED_COUNT 6u

/* How a kind of storage likes to be read. Every field can be overridden per store. */
struct plan_profile {
    char name[16];                    /* nvme ssd hdd hpc http cloud memory */
    char reason[112];                 /* why it was chosen: one clause for explain */
    uint64_t gap_bytes;               /* reads at most this far apart are joined; authoritative */
    uint64_t gap_bytes_max;           /* auto-tune's upper bound for it */
    uint64_t request_latency_ns;      /* of one read */
    uint64_t stream_bytes_per_second; /* of one read in progress */
    uint64_t iops_max;                /* requests per second of the whole store; 0: no limit */
    uint64_t request_bytes_max;       /* of a joined read */
    uint64_t split_bytes;             /* longer reads are cut into parts of this size; 0: never */
    uint32_t inflight_max;            /* reads in flight, per store and context */
    uint32_t align_bytes;             /* of offsets for O_DIRECT; power of two */
    uint32_t waste_max;               /* percent of a joined read that may be unwanted, 0 .. 100 */
    uint32_t direct;                  /* enum plan_direct */
    bool physical_order; /* sort by where the bytes lie on the medium (disks that seek) */
    bool discards;       /* the driver can skip bytes: vectored reads may have any gap */
    bool remote;         /* across a network: no read is there at once, and each waits by itself */
    bool autotune;       /* whether it may follow measurements at all */
    uint32_t tuned;      /* enum plan_tuned: fields that plan_profile_tune() derives from others */
    uint32_t follows;    /* enum plan_tuned: fields that may change once there are measurements */
    uint32_t followed;   /* enum plan_tuned: those of them that have */
};

/* What requests to a store have shown. */
struct plan_measured {
    uint64_t latency_ns;              /* from a request to its first byte: the median */
    uint64_t stream_bytes_per_second; /* from there to the last byte: the median */
    uint32_t latency_count, stream_count; /* of how many requests */
    bool throttled;                       /* the store has refused requests for being too many */
};

/* Fills `profile` with the built-in values for `name`; -EINVAL for an unknown name. */
int plan_profile_builtin(const char *name, struct plan_profile *profile);
/* Sets one field from a store option ("gap_bytes" = "64K"): 1 if `key` is a field and was set, 0 if
 * it is none, -EINVAL for a bad value. */
int plan_profile_set(struct plan_profile *profile, const char *key, const char *value);
/* Derives the fields in `tuned` again: call it after the last plan_profile_set(). */
void plan_profile_tune(struct plan_profile *profile);
/* Has the fields that nobody gave follow what was measured, if that is of enough requests and far
 * enough from what the profile says: whether anything changed. */
bool plan_profile_follow(struct plan_profile *profile, const struct plan_measured *measured);
/* The name of the i-th bit of enum plan_tuned, i < PLAN_TUNED_COUNT: that of its option. */
const char *plan_tuned_name(uint32_t i);
/* The longest joined read, up to `most`, that is good for a batch on a remote store which reads
 * about `batch_bytes` bytes, in chunks of `chunk_bytes` on average: a batch of few reads gets
 * shorter ones, so that all that may be in flight together have a like share. */
uint64_t plan_share_bytes(const struct plan_profile *profile, uint64_t batch_bytes,
                          uint64_t chunk_bytes, uint64_t most);

/* A run of an object's bytes that lies in one piece on the medium. Sorted by logical offset. */
struct plan_extent {
    uint64_t logical, physical, bytes;
};

/* What the planner knows of an object. The engine's per-object state begins with it. */
struct plan_object {
    _Atomic uint64_t size;              /* LSIO_SIZE_UNKNOWN until found */
    const struct plan_profile *profile; /* of its store; never NULL */
    const struct plan_extent *extents;  /* with physical_order; may be NULL */
    uint32_t extent_count;
    uint32_t store; /* ordinal of its store in the batch: groups objects of one store */
};

struct plan_input {
    const struct lsio_chunk *chunks; /* chunk i is at chunks + i * chunk_bytes (in bytes) */
    size_t chunk_bytes;
    uint64_t chunk_count;
    const struct plan_object *objects; /* stride object_bytes */
    size_t object_bytes;
    uint64_t object_count;
    const struct lsio_chain *chain; /* default for chunks without one */
    /* True if a chunk with dst and this chain is read straight into its dst. */
    bool (*reads_into_dst)(const struct lsio_chain *chain);
    uint64_t request_bytes_max; /* clamp on the profiles' request_bytes_max; 0: none */
    uint64_t join_bytes_max;    /* and a further one on joins that need a buffer; 0: none */
};

enum plan_kind {
    PLAN_NONE = 0,   /* no I/O: empty, or it is refused (plan_chunk_range says how) */
    PLAN_READ = 1,   /* one chunk, one read */
    PLAN_VECTOR = 2, /* several chunks, ascending, each read straight into its dst; gaps between
                        them are at most PLAN_JUNK_BYTES and go to a junk page, or, where the
                        profile discards, are skipped */
    PLAN_JOIN = 3, /* several chunks, one read of span_bytes into one buffer; members may overlap */
    PLAN_SPLIT = 4, /* one chunk, `parts` reads of split_bytes (the last shorter) */
    PLAN_PROBE = 5  /* chunks of one object that need its size: find it, then plan_resume() */
};

#define PLAN_JUNK_BYTES 4096u
#define PLAN_VECTOR_MAX 256u /* members of a PLAN_VECTOR */

/* 16 bytes. Members are the positions [first, first + count) of the slab's order; all of one
 * object, by ascending offset. */
struct plan_op {
    uint32_t first;
    uint32_t count;
    uint32_t span_bytes; /* READ, VECTOR, JOIN: from the first member's start to the last's end */
    uint16_t parts;      /* SPLIT: number of parts; more than 65535 are never made (parts grow) */
    uint8_t kind;        /* enum plan_kind */
    uint8_t reserved;
};

/* One planned piece. `chunk_of(slab, p)` is the chunk index at position p. */
struct plan_slab {
    uint64_t first;       /* in order: position p is chunk first + p */
    uint32_t chunk_count;
    uint32_t op_count;
    uint32_t *order;      /* capacity slab_chunks; used (as chunk indexes) only if sorted */
    bool sorted;          /* the order differs from the caller's */
    struct plan_op *ops;  /* capacity slab_chunks */
    /* totals of this slab, for stats and explain */
    uint64_t bytes_asked, bytes_read;
};

static inline uint64_t plan_chunk_of(const struct plan_slab *slab, uint32_t position)
{
    return slab->sorted ? slab->order[position] : slab->first + position;
}

/* Working memory of one planning thread: sort keys and the like. */
struct planner;
int planner_create(uint32_t slab_chunks, struct planner **out); /* -ENOMEM */
void planner_destroy(struct planner *planner);
/* Bytes of working memory held by a planner, and by a slab of `slab_chunks` chunks. */
size_t planner_bytes(const struct planner *planner);
size_t plan_slab_bytes(uint32_t slab_chunks);

/*
 * Plans chunks [first, first + count) of the input, count <= slab_chunks, into `slab`, whose order
 * and ops arrays the caller provides. Chunks are sorted only if they are out of order and dense
 * enough for joins to be likely (or physical_order asks for it). Every chunk is a member of exactly
 * one operation.
 */
void plan_slab_build(struct planner *planner, const struct plan_input *input, uint64_t first,
                     uint32_t count, struct plan_slab *slab);

/*
 * Plans the members of a PLAN_PROBE operation again, now that the object's size is known (set in
 * input->objects before the call). Reads the members from `probe` of `from`, writes a new slab.
 */
void plan_resume(struct planner *planner, const struct plan_input *input,
                 const struct plan_slab *from, const struct plan_op *probe, struct plan_slab *slab);

#define PLAN_CHUNK_FLAGS ((uint32_t)(LSIO_CHUNK_MISSING_OK | LSIO_CHUNK_ALLOC)) /* all there are */

enum { PLAN_NEEDS_SIZE = 1 };
/*
 * The bytes that a chunk means in an object of `size` bytes (or LSIO_SIZE_UNKNOWN): 0 and
 * [*offset, *offset + *length); PLAN_NEEDS_SIZE; -EINVAL (also for flags that have no meaning) or
 * LSIO_E_TRUNCATED. The one table of range forms for all stores.
 */
int plan_chunk_range(const struct lsio_chunk *chunk, uint64_t size, uint64_t *offset,
                     uint64_t *length);

/* A store, as plan_explain() tells of it. */
struct plan_store {
    const char *url;
    const struct plan_profile *profile;
    const struct plan_measured *measured; /* NULL: its requests are not measured */
};

/* Says what the planner would do with the input, as text or JSON. `stores` are in the order of
 * their ordinals. Returns 0 or -ENOMEM; *out is malloc'ed. */
int plan_explain(const struct plan_input *input, const struct plan_store *stores,
                 uint32_t store_count, int format, char **out);

#endif
