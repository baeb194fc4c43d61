/* SPDX-License-Identifier: MIT */
/*
 * sim_fiber.c - see sim_fiber.h.
 *
 * makecontext() gives a fiber its stack; from then on switches are _setjmp and _longjmp, for
 * swapcontext() makes two system calls each time. (glibc's checked longjmp takes such a jump for an
 * error, so this file is compiled without _FORTIFY_SOURCE: tests/CMakeLists.txt.)
 *
 * A stack has an inaccessible page below it. Stacks are kept in a list and used again: a run makes
 * several threads and takes a few milliseconds.
 *
 * AddressSanitizer must be told of each switch: <sanitizer/common_interface_defs.h>.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "sim_fiber.h"

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#ifdef __SANITIZE_ADDRESS__
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifdef UNDER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_BYTES (1u << 20) /* touched pages count only */
#define GUARD_BYTES 4096u
#define LOCALS_MAX  2048u

struct sim_fiber {
    struct sim_fiber *next; /* of those with a stack to use again */
    uint8_t *stack;         /* NULL: the thread's own */
    const void *bottom;     /* for the sanitizer */
    size_t bytes;
    ucontext_t context;
    jmp_buf where;
    void *fake_stack; /* the sanitizer's, while another fiber runs */
    bool started;
    void (*run)(void *argument);
    void *argument;
    int error;
    uint8_t locals[LOCALS_MAX];
};

/* The section of sim_points.h, by the linker; absent where nothing was compiled under it. */
extern uint8_t __start_sim_locals[] __attribute__((weak));
extern uint8_t __stop_sim_locals[] __attribute__((weak));

static struct sim_fiber *unused;
static struct sim_fiber *leaving, *starting; /* during a switch */

/* ------------------------------------------------------------------------------- sanitizer -- */

#ifdef UNDER_ASAN

static void switch_begin(struct sim_fiber *from, const struct sim_fiber *to, bool last)
{
    __sanitizer_start_switch_fiber(last ? NULL : &from->fake_stack, to->bottom, to->bytes);
}

/* The bounds of the thread's own stack are known once it was left. */
static void switch_end(const struct sim_fiber *to)
{
    const void *bottom;
    size_t bytes;

    __sanitizer_finish_switch_fiber(to->fake_stack, &bottom, &bytes);
    leaving->bottom = bottom;
    leaving->bytes = bytes;
}

static void stack_clean(struct sim_fiber *fiber)
{
    __asan_unpoison_memory_region(fiber->stack, STACK_BYTES);
}

#else

static void switch_begin(struct sim_fiber *from, const struct sim_fiber *to, bool last)
{
    (void)from;
    (void)to;
    (void)last;
}

static void switch_end(const struct sim_fiber *to)
{
    (void)to;
}

static void stack_clean(struct sim_fiber *fiber)
{
    (void)fiber;
}

#endif

/* ---------------------------------------------------------------------------------- switch -- */

static size_t locals_bytes(void)
{
    size_t bytes = (size_t)((uintptr_t)__stop_sim_locals - (uintptr_t)__start_sim_locals);

    assert(bytes <= LOCALS_MAX);
    return bytes;
}

static void arrive(const struct sim_fiber *fiber)
{
    size_t bytes = locals_bytes();

    switch_end(fiber);
    if (bytes)
        memcpy(__start_sim_locals, fiber->locals, bytes);
    errno = fiber->error;
}

static void fiber_main(void)
{
    struct sim_fiber *self = starting;

    arrive(self);
    self->run(self->argument);
    abort();
}

void sim_fiber_switch(struct sim_fiber *from, struct sim_fiber *to, bool last)
{
    size_t bytes = locals_bytes();

    from->error = errno;
    if (bytes)
        memcpy(from->locals, __start_sim_locals, bytes);
    leaving = from;
    if (_setjmp(from->where) == 0) {
        switch_begin(from, to, last);
        if (to->started)
            _longjmp(to->where, 1);
        to->started = true;
        starting = to;
        setcontext(&to->context);
        abort();
    }
    arrive(from);
}

/* -------------------------------------------------------------------------------- lifetime -- */

static struct sim_fiber *fiber_with_stack(void)
{
    struct sim_fiber *fiber = unused;
    uint8_t *memory;
    int error;

    if (fiber) {
        unused = fiber->next;
        stack_clean(fiber);
        return fiber;
    }
    fiber = calloc(1, sizeof *fiber);
    memory = mmap(NULL, STACK_BYTES + GUARD_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    assert(fiber && memory != MAP_FAILED);
    error = mprotect(memory, GUARD_BYTES, PROT_NONE);
    assert(!error);
    fiber->stack = memory + GUARD_BYTES;
    return fiber;
}

static void context_make(struct sim_fiber *fiber)
{
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = STACK_BYTES;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, fiber_main, 0);
}

struct sim_fiber *sim_fiber_create(void (*run)(void *argument), void *argument)
{
    struct sim_fiber *fiber;

    if (!run) {
        fiber = calloc(1, sizeof *fiber);
        assert(fiber);
        fiber->started = true;
        return fiber;
    }
    fiber = fiber_with_stack();
    fiber->run = run;
    fiber->argument = argument;
    fiber->started = false;
    fiber->fake_stack = NULL;
    fiber->error = 0;
    fiber->bottom = fiber->stack;
    fiber->bytes = STACK_BYTES;
    memset(fiber->locals, 0, locals_bytes());
    context_make(fiber);
    return fiber;
}

void sim_fiber_destroy(struct sim_fiber *fiber)
{
    if (!fiber->stack) {
        free(fiber);
        return;
    }
    fiber->next = unused;
    unused = fiber;
}
