/* SPDX-License-Identifier: MIT */
/*
 * queue.h - intrusive multi-producer, single-consumer stack of messages: how one thread asks
 * another worker to do something. push() from any thread; take_all() by the owner, oldest first.
 */
#ifndef LSIO_BASE_QUEUE_H
#define LSIO_BASE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct driver_env;

struct queue_node {
    struct queue_node *next;
    void (*run)(struct driver_env *env, struct queue_node *node);
};

struct queue {
    _Atomic(struct queue_node *) head;
};

/* Returns true if the queue was empty: the owner may need a wake. */
static inline bool queue_push(struct queue *queue, struct queue_node *node)
{
    struct queue_node *head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    do {
        node->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&queue->head, &head, node, memory_order_seq_cst,
                                                    memory_order_relaxed));
    return head == NULL;
}

static inline bool queue_is_empty(const struct queue *queue)
{
    return atomic_load_explicit(&queue->head, memory_order_seq_cst) == NULL;
}

/* All messages, oldest first; the queue is empty afterwards. */
static inline struct queue_node *queue_take_all(struct queue *queue)
{
    struct queue_node *node = atomic_exchange_explicit(&queue->head, NULL, memory_order_acquire);
    struct queue_node *oldest = NULL;

    while (node) {
        struct queue_node *next = node->next;
        node->next = oldest;
        oldest = node;
        node = next;
    }
    return oldest;
}

#endif
