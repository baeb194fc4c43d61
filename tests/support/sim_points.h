/* SPDX-License-Identifier: MIT */
/*
 * sim_points.h - included before everything else (-include) in all that runs in a simulation.
 *
 * Each operation on an atomic becomes a point at which the seed may switch to another fiber, and a
 * weak compare-and-swap may fail for no reason. Thread-local variables become ordinary ones in a
 * section of their own, which is saved and restored with the fiber (sim_fiber.c).
 *
 * _GNU_SOURCE is defined here, for the files that define it come too late now; empty, as they do.
 */
#ifndef LSIO_TESTS_SIM_POINTS_H
#define LSIO_TESTS_SIM_POINTS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdatomic.h>
#include <stdbool.h>

void sim_point(void);
bool sim_weak_fails(void);

#undef _Thread_local
#define _Thread_local __attribute__((section("sim_locals")))

/* Both compilers have the operations as built-ins, under names of their own. */
#ifdef __clang__
#define SIM_LOAD(at, order) __c11_atomic_load(at, order)
#define SIM_STORE(at, value, order) __c11_atomic_store(at, value, order)
#define SIM_EXCHANGE(at, value, order) __c11_atomic_exchange(at, value, order)
#define SIM_SWAP(at, expected, value, order, failed) \
    __c11_atomic_compare_exchange_strong(at, expected, value, order, failed)
#define SIM_FETCH(what, at, value, order) __c11_atomic_fetch_##what(at, value, order)
#else
#define SIM_LOAD(at, order) __atomic_load_n(at, order)
#define SIM_STORE(at, value, order) __atomic_store_n(at, value, order)
#define SIM_EXCHANGE(at, value, order) __atomic_exchange_n(at, value, order)
#define SIM_SWAP(at, expected, value, order, failed) \
    __atomic_compare_exchange_n(at, expected, value, false, order, failed)
#define SIM_FETCH(what, at, value, order) __atomic_fetch_##what(at, value, order)
#endif

#undef atomic_load
#undef atomic_store
#undef atomic_exchange
#undef atomic_compare_exchange_strong
#undef atomic_compare_exchange_weak
#undef atomic_fetch_add
#undef atomic_fetch_sub
#undef atomic_fetch_or
#undef atomic_fetch_xor
#undef atomic_fetch_and
#undef atomic_thread_fence
#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_exchange_explicit
#undef atomic_compare_exchange_strong_explicit
#undef atomic_compare_exchange_weak_explicit
#undef atomic_fetch_add_explicit
#undef atomic_fetch_sub_explicit
#undef atomic_fetch_or_explicit
#undef atomic_fetch_xor_explicit
#undef atomic_fetch_and_explicit

/* The operand is computed before the point: between it and the operation others may run. */
#define SIM_POINT(value)                  \
    __extension__({                       \
        __auto_type sim_operand = (value); \
        sim_point();                      \
        sim_operand;                      \
    })

#define atomic_load_explicit(at, order) (sim_point(), SIM_LOAD(at, order))
#define atomic_store_explicit(at, value, order) SIM_STORE(at, SIM_POINT(value), order)
#define atomic_exchange_explicit(at, value, order) SIM_EXCHANGE(at, SIM_POINT(value), order)
#define atomic_compare_exchange_strong_explicit(at, expected, value, order, failed) \
    SIM_SWAP(at, expected, SIM_POINT(value), order, failed)
#define atomic_compare_exchange_weak_explicit(at, expected, value, order, failed) \
    (sim_weak_fails() ? (*(expected) = SIM_LOAD(at, failed), false) \
                      : SIM_SWAP(at, expected, SIM_POINT(value), order, failed))
#define atomic_fetch_add_explicit(at, value, order) SIM_FETCH(add, at, SIM_POINT(value), order)
#define atomic_fetch_sub_explicit(at, value, order) SIM_FETCH(sub, at, SIM_POINT(value), order)
#define atomic_fetch_or_explicit(at, value, order) SIM_FETCH(or, at, SIM_POINT(value), order)
#define atomic_fetch_xor_explicit(at, value, order) SIM_FETCH(xor, at, SIM_POINT(value), order)
#define atomic_fetch_and_explicit(at, value, order) SIM_FETCH(and, at, SIM_POINT(value), order)
#define atomic_thread_fence(order) (sim_point(), __atomic_thread_fence(order))

#define atomic_load(at) atomic_load_explicit(at, __ATOMIC_SEQ_CST)
#define atomic_store(at, value) atomic_store_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_exchange(at, value) atomic_exchange_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_compare_exchange_strong(at, expected, value) \
    atomic_compare_exchange_strong_explicit(at, expected, value, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define atomic_compare_exchange_weak(at, expected, value) \
    atomic_compare_exchange_weak_explicit(at, expected, value, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define atomic_fetch_add(at, value) atomic_fetch_add_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_sub(at, value) atomic_fetch_sub_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_or(at, value) atomic_fetch_or_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_xor(at, value) atomic_fetch_xor_explicit(at, value, __ATOMIC_SEQ_CST)
#define atomic_fetch_and(at, value) atomic_fetch_and_explicit(at, value, __ATOMIC_SEQ_CST)

#endif
