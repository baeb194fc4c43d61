/* SPDX-License-Identifier: MIT */
/*
 * file_slot.c - places of held files in the rings' tables of registered files.
 *
 * A ring belongs to its worker, so does what is known of its slots: one file_slot per worker and
 * file. A file gets a slot with the second read on that ring, for one read does not pay for it, and
 * keeps it until it is evicted; a ring without room is not asked again for that file.
 *
 * An evicted file with slots is dead: its descriptors are closed at once, but its memory stays
 * until each worker that has a slot has given it up. They are asked by message, by whichever worker
 * next gets a file: finish_object() and the like may run on any thread, which has no env to send
 * from.
 *
 * Threads: on the worker of `env`; slots of others are read only once nobody holds the file.
 */
#include "driver/local/file.h"

int32_t file_slot_learn(struct driver_env *env, struct local_file *file, int which)
{
    int32_t *slot = &file->slots[env->worker].slot[which];
    int fd = which == FILE_PLAIN ? file->fd
                                 : atomic_load_explicit(&file->direct_fd, memory_order_relaxed);
    int got;

    if (*slot == FILE_SLOT_NEW) { /* one read does not pay for a place in the table */
        *slot = FILE_SLOT_SEEN;
        return -1;
    }
    got = env->loop_ops->file_attach(env->loop, fd);
    *slot = got >= 0 ? got : FILE_SLOT_REFUSED;
    return *slot;
}

static void slot_detach(struct driver_env *env, struct file_slot *slot)
{
    struct local_file *file = slot->file;
    struct local_cache *cache = file->cache;
    struct cache_later later = {0};

    for (int which = FILE_PLAIN; which <= FILE_DIRECT; which++) {
        if (slot->slot[which] >= 0)
            env->loop_ops->file_detach(env->loop, slot->slot[which]);
        slot->slot[which] = FILE_SLOT_NEW;
    }
    cache_enter(cache);
    if (--file->detaching == 0)
        cache_free_file(cache, file);
    cache_leave(cache, &later);
}

static void slot_detach_run(struct driver_env *env, struct queue_node *node)
{
    slot_detach(env, container_of(node, struct file_slot, node));
}

static bool slot_in_use(const struct file_slot *slot)
{
    return slot->slot[FILE_PLAIN] >= 0 || slot->slot[FILE_DIRECT] >= 0;
}

/* Asks each worker to detach its slots of a file that nobody has any more. The count is complete
 * before the first message goes, for the last one to answer frees the file. */
static void file_bury(struct driver_env *env, struct local_file *file)
{
    struct file_slot *slots = file->slots;
    uint32_t worker_count = file->cache->worker_count;
    uint32_t last = 0, count = 0;

    for (uint32_t i = 0; i < worker_count; i++) {
        if (slot_in_use(&slots[i])) {
            last = i;
            count++;
        }
    }
    file->detaching = count;
    for (uint32_t i = 0; i <= last; i++) {
        struct driver_env *peer;
        if (!slot_in_use(&slots[i]))
            continue;
        peer = i == env->worker ? env : env->peer(env, i);
        slots[i].node.run = slot_detach_run;
        if (peer == env)
            slot_detach(env, &slots[i]);
        else
            peer->post(peer, &slots[i].node);
    }
}

void file_bury_dead(struct driver_env *env, struct local_cache *cache)
{
    struct cache_later later = {0};
    struct local_file *file;

    if (!atomic_load_explicit(&cache->has_dead, memory_order_relaxed))
        return;
    cache_enter(cache);
    file = cache->dead;
    cache->dead = NULL;
    atomic_store_explicit(&cache->has_dead, false, memory_order_relaxed);
    cache_leave(cache, &later);
    while (file) {
        struct local_file *next = file->hash_next;
        file_bury(env, file);
        file = next;
    }
}
