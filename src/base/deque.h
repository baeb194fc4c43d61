/* SPDX-License-Identifier: MIT */
/*
 * deque.h - bounded work-stealing deque: the owner pushes and pops at the bottom, thieves take from
 * the top. Algorithm: Chase and Lev, "Dynamic circular work-stealing deque" (SPAA 2005), with the
 * memory orders of Le, Pop, Cohen and Zappa Nardelli, "Correct and efficient work-stealing for weak
 * memory models" (PPoPP 2013), but without growth: the capacity is that of the owner's operations.
 *
 * ThreadSanitizer does not model fences, so the fences are spelled as seq_cst accesses of `bottom`
 * and `top`, which cost the same on x86-64 (one locked instruction per pop).
 */
#ifndef LSIO_BASE_DEQUE_H
#define LSIO_BASE_DEQUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct deque {
    _Atomic int64_t bottom; /* owner writes */
    char pad[56];
    _Atomic int64_t top; /* everybody advances by compare-and-swap */
    char pad2[56];
    int64_t mask;
    _Atomic(void *) *slots; /* borrowed; mask + 1 of them */
};

static inline void deque_init(struct deque *deque, _Atomic(void *) *slots, size_t power_of_two)
{
    atomic_init(&deque->bottom, 0);
    atomic_init(&deque->top, 0);
    deque->mask = (int64_t)power_of_two - 1;
    deque->slots = slots;
}

/* Owner. The caller never pushes more than fit. */
static inline void deque_push(struct deque *deque, void *item)
{
    int64_t bottom = atomic_load_explicit(&deque->bottom, memory_order_relaxed);
    atomic_store_explicit(&deque->slots[bottom & deque->mask], item, memory_order_relaxed);
    atomic_store_explicit(&deque->bottom, bottom + 1, memory_order_release);
}

/* Owner: the newest item, or NULL. */
static inline void *deque_pop(struct deque *deque)
{
    int64_t bottom = atomic_load_explicit(&deque->bottom, memory_order_relaxed);
    int64_t top = atomic_load_explicit(&deque->top, memory_order_relaxed);
    void *item;

    if (bottom <= top) /* only thieves move top, and only up: empty it is */
        return NULL;
    bottom--;
    atomic_store_explicit(&deque->bottom, bottom, memory_order_seq_cst);
    top = atomic_load_explicit(&deque->top, memory_order_seq_cst);
    if (top > bottom) {
        atomic_store_explicit(&deque->bottom, bottom + 1, memory_order_relaxed);
        return NULL;
    }
    item = atomic_load_explicit(&deque->slots[bottom & deque->mask], memory_order_relaxed);
    if (top == bottom) { /* the last one: a thief may want it too */
        if (!atomic_compare_exchange_strong_explicit(&deque->top, &top, top + 1,
                                                     memory_order_seq_cst, memory_order_relaxed))
            item = NULL;
        atomic_store_explicit(&deque->bottom, bottom + 1, memory_order_relaxed);
    }
    return item;
}

/* Anybody, owner included: roughly how many items there are. */
static inline int64_t deque_count(const struct deque *deque)
{
    int64_t top = atomic_load_explicit(&deque->top, memory_order_relaxed);
    int64_t bottom = atomic_load_explicit(&deque->bottom, memory_order_relaxed);
    return bottom > top ? bottom - top : 0;
}

/* A thief: the oldest item, if the owner has at least `at_least`; NULL if not, or on a lost
 * race. */
static inline void *deque_steal(struct deque *deque, int64_t at_least)
{
    int64_t top = atomic_load_explicit(&deque->top, memory_order_seq_cst);
    int64_t bottom = atomic_load_explicit(&deque->bottom, memory_order_seq_cst);
    void *item;

    if (bottom - top < at_least)
        return NULL;
    item = atomic_load_explicit(&deque->slots[top & deque->mask], memory_order_relaxed);
    if (!atomic_compare_exchange_strong_explicit(&deque->top, &top, top + 1, memory_order_seq_cst,
                                                 memory_order_relaxed))
        return NULL;
    return item;
}

#endif
