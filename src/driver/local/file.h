/* SPDX-License-Identifier: MIT */
/*
 * file.h - open files of all local stores of a context: a bounded, counted cache of descriptors.
 *
 * A file is one opened state of one key. Objects of batches keep it (it is their handle) and see
 * one version of the content for the whole batch. A file is kept in one of two ways:
 *
 *   held      the descriptor stays open while any object keeps the file: reads need no lock and no
 *             counting. At most `held_max` files are held.
 *   counted   every read takes and drops a use under the lock, and an unused descriptor may be
 *             closed (the file is then closed but known, and opened again for the next read). So a
 *             batch may read more files than the process may open.
 *
 * Which it is, is decided when the first object takes the file, and stays until the last has left.
 *
 * Descriptors of files that nobody holds stay open for later batches, in order of last use, until
 * there are more than `capacity`.
 *
 * Threads: functions named cache_* that take a `later` need the lock (cache_enter .. cache_leave);
 * what blocks or calls out is collected in the later and done after the lock is given back.
 */
#ifndef LSIO_DRIVER_LOCAL_FILE_H
#define LSIO_DRIVER_LOCAL_FILE_H

#include <pthread.h>
#include <stdatomic.h>

#include "driver/local/local.h"

#define CACHE_BUCKETS         2048u
#define CACHE_CAPACITY_MAX    1024u
#define CACHE_REFUSED_DEVICES 8u
#define CACHE_LATER_FDS        16u

enum file_state {
    FILE_CLOSED = 0,
    FILE_OPENING = 1, /* one read, the opener, has it in hand */
    FILE_READY = 2,
    FILE_DEAD = 3 /* waits for its slots to be detached */
};

enum { FILE_PLAIN = 0, FILE_DIRECT = 1 }; /* which of a file's two descriptors */

/* local_file.direct_fd when it is not a descriptor */
enum { FILE_DIRECT_NONE = -1, FILE_DIRECT_REFUSED = -2 };

/* file_slot.slot when it is not a slot of the ring's table. Only the first is ever an answer. */
enum { FILE_SLOT_REFUSED = -1, FILE_SLOT_NEW = -2, FILE_SLOT_SEEN = -3 };

/* One worker's slots for a file. Owner: that worker; anybody once nothing holds the file. */
struct file_slot {
    struct queue_node node; /* asks the worker to detach */
    struct local_file *file;
    int32_t slot[2];
};

/* What is known of the page cache: one byte per extent of a file. */
struct direct_map {
    size_t count;
    _Atomic uint8_t state[];
};

struct read_list {
    struct driver_read *first, *last;
};

struct local_file {
    /* frozen while a read is using the file */
    int fd;
    bool held;
    uint32_t direct_align;
    struct file_slot *slots; /* one per worker, or NULL: use descriptors */
    struct os_stat stat;     /* when it was opened */
    struct local_cache *cache;
    struct local_store *store;         /* may be gone when the file is dead */
    const struct driver_object *owner; /* remote stores: whose file it is */
    char *key;
    uint64_t hash;
    /* shared */
    _Atomic int direct_fd;
    _Atomic(struct direct_map *) map;
    _Atomic uint32_t probe_round;
    /* under the lock */
    uint8_t state; /* enum file_state */
    bool listed;   /* can be found by its key */
    bool in_lru;
    bool direct_opening;
    bool changed;       /* seen when its descriptor was closed between reads */
    uint32_t objects;   /* that hold it */
    uint32_t uses;      /* reads (counted), openers and lookers that need it as it is now */
    uint32_t detaching; /* workers that have not detached yet */
    struct read_list waiters, direct_waiters;
    struct local_file *hash_next; /* also links the dead */
    struct local_file *lru_next, *lru_prev;
    struct local_file *all_next, *all_prev; /* all_next also links the free */
    char key_room[64];
};

/* Whole-file reads of one worker; see watch.c. */
struct local_watch {
    struct loop_op timer;
    struct driver_env *env;
    struct driver_read *first; /* linked by next and wait; progress: the tick at which it began */
    uint32_t ticks;
    bool armed; /* timer is the loop's */
};

struct local_cache {
    /* frozen */
    const struct loop_os *os;
    uint32_t worker_count;
    uint32_t capacity; /* descriptors to keep */
    uint32_t held_max; /* files */
    uint32_t fds_max;  /* descriptors to have at all */
    uint32_t page_bytes;
    struct local_watch *watches; /* one per worker, its own */
    /* shared */
    _Atomic bool has_dead;
    _Atomic uint64_t refused[CACHE_REFUSED_DEVICES]; /* devices + 1 that refuse O_DIRECT */
    /* under the lock */
    pthread_mutex_t lock;
    struct local_file *lru_first, *lru_last; /* have a descriptor that may be closed */
    struct local_file *all, *dead, *free;
    uint32_t fd_count; /* open or being opened */
    uint32_t held_count;
    uint32_t free_count;
    uint64_t use_count; /* sum of all files' uses */
    uint32_t starved_count;
    struct read_list starved; /* openers that wait for a descriptor */
    struct local_file *buckets[CACHE_BUCKETS];
};

struct cache_later {
    unsigned fd_count;
    int fds[CACHE_LATER_FDS]; /* to close */
    bool freed;              /* a descriptor came free, or can be had by eviction */
};

/* cache_life.c */
int cache_create(const struct loop_os *os, uint32_t worker_count, struct local_cache **out);
void cache_destroy(struct local_cache *cache, bool forked);
/* Closes what is kept of a store; nothing may be reading from it. */
void cache_forget_store(struct local_cache *cache, const struct local_store *store);

/* O_DIRECT was refused: remembered for the file's device. Any thread, no lock. */
void cache_refuse_direct(struct local_cache *cache, uint64_t device);
bool cache_refuses_direct(const struct local_cache *cache, uint64_t device);

/* file_cache.c */
void cache_enter(struct local_cache *cache);
void cache_leave(struct local_cache *cache, struct cache_later *later);

uint64_t cache_hash(const struct local_store *store, const char *key);
/* The file of that key, or NULL. `object`: who asks (remote stores), may be NULL. */
struct local_file *cache_find(struct local_cache *cache, const struct local_store *store,
                              const char *key, uint64_t hash, const struct driver_object *object);
/* A new, closed, listed file; NULL: no memory. */
struct local_file *cache_add(struct local_cache *cache, struct local_store *store, const char *key,
                             uint64_t hash, const struct driver_object *object);
void cache_unlist(struct local_cache *cache, struct local_file *file);
void cache_use(struct local_cache *cache, struct local_file *file);
/* Drops a use; the file may be gone afterwards. */
void cache_unuse(struct local_cache *cache, struct local_file *file, struct cache_later *later);
/* Makes a file that was opened the object's, if it is what the object's caller expects: 0,
 * LSIO_E_CHANGED, or LOCAL_RESTART: the object has another file already. */
int cache_install(struct local_cache *cache, struct driver_object *object, struct local_file *file);
/* The object lets go of its file. */
void cache_release(struct local_cache *cache, struct driver_object *object,
                   struct cache_later *later);
/* Reserves one descriptor. False: there is none now, but one will come free. */
bool cache_admit(struct local_cache *cache, struct cache_later *later);
/* Closes the descriptors of the file that was not used for longest. False: there is none. */
bool cache_evict(struct local_cache *cache, struct cache_later *later);
/* True if uses will end besides the caller's own. */
bool cache_is_busy(const struct local_cache *cache);
void cache_close_fd(struct local_cache *cache, int fd, struct cache_later *later);
/* Puts the file where its counts say it belongs; it may be gone afterwards. */
void cache_settle(struct local_cache *cache, struct local_file *file, struct cache_later *later);
void cache_free_file(struct local_cache *cache, struct local_file *file); /* for another use */
void cache_destroy_file(struct local_file *file);

void read_list_append(struct read_list *list, struct driver_read *read);
bool read_list_remove(struct read_list *list, struct driver_read *read);

/* watch.c: on the worker of `env` */
void watch_add(struct local_cache *cache, struct driver_env *env, struct driver_read *read);
void watch_remove(struct local_cache *cache, struct driver_env *env, struct driver_read *read);
void local_worker_leave(void *state, struct driver_env *env);

/* file.c: on the worker of `env` */
/* The read's file, ready, in use if it is counted. NULL: the read was dealt with: it waits for its
 * file and will be resumed, or has completed. */
struct local_file *file_get(struct driver_env *env, struct driver_read *read);
/* The read has ended, or does not need its file any more. */
static inline bool file_needs_put(const struct local_file *file)
{
    return !file->held;
}
void file_put(struct local_file *file);
/* True if the name still leads to the file that was opened, unchanged. Any thread; makes a system
 * call. */
bool file_is_current(const struct local_file *file);
/* Opens the O_DIRECT descriptor; true: the read waits for it and will be resumed. */
bool file_open_direct(struct driver_env *env, struct driver_read *read, struct local_file *file);
/* Marks the read canceled; ends its wait and the read itself if it is in a list. False: its
 * operation is with the loop. */
bool file_cancel_wait(struct driver_env *env, struct driver_read *read);

/* file_slot.c: on the worker of `env` */
/* Asks workers to detach their slots of files that are gone. */
void file_bury_dead(struct driver_env *env, struct local_cache *cache);
int32_t file_slot_learn(struct driver_env *env, struct local_file *file, int which);

/* The slot of a held file in the worker's ring, or -1. */
static inline int32_t file_slot(struct driver_env *env, struct local_file *file, int which)
{
    int32_t slot;

    if (!file->held || !file->slots)
        return -1;
    slot = file->slots[env->worker].slot[which];
    return slot >= FILE_SLOT_REFUSED ? slot : file_slot_learn(env, file, which);
}

#endif
