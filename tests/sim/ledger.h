/* SPDX-License-Identifier: MIT */
/*
 * ledger.h - the alloc_ functions of scenario.h: included once, by the program that is linked with
 * --wrap for the allocator. Its own objects come before all archives, in which others wrap the
 * allocator in their own way.
 *
 * Every allocation of the library and of the tests comes through here. Counting blocks finds leaks;
 * failing some of them shows that each is answered by a status. What the tests and the simulated
 * world allocate for themselves must not fail: they say so by alloc_steady(), which may be nested.
 *
 * Threads: all fibers run on one kernel thread, and none switches in here.
 */
#ifndef LSIO_TESTS_SIM_LEDGER_H
#define LSIO_TESTS_SIM_LEDGER_H

#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t most);
int __real_vasprintf(char **out, const char *format, va_list arguments);
int __wrap_vasprintf(char **out, const char *format, va_list arguments);
int __wrap_asprintf(char **out, const char *format, ...);
int __wrap___vasprintf_chk(char **out, int checks, const char *format, va_list arguments);
int __wrap___asprintf_chk(char **out, int checks, const char *format, ...);
void __wrap_free(void *memory);

static struct {
    int64_t live;
    uint64_t failed;
    uint32_t permille;
    uint32_t steady;
    struct dice dice;
} ledger;

void alloc_begin(void)
{
    memset(&ledger, 0, sizeof(ledger));
}

int64_t alloc_live(void)
{
    return ledger.live;
}

void alloc_fail(uint32_t permille, uint64_t seed)
{
    ledger.permille = permille;
    ledger.dice.state = seed;
}

uint64_t alloc_failed(void)
{
    return ledger.failed;
}

void alloc_steady(void)
{
    ledger.steady++;
}

void alloc_unsteady(void)
{
    ledger.steady--;
}

static bool fails(void)
{
    if (ledger.steady || !ledger.permille || !dice_chance(&ledger.dice, ledger.permille))
        return false;
    ledger.failed++;
    return true;
}

static void *counted(void *memory)
{
    ledger.live += memory != NULL;
    return memory;
}

void *alloc_zeroed(size_t count, size_t bytes)
{
    void *memory = counted(__real_calloc(count ? count : 1, bytes ? bytes : 1));

    if (!memory)
        abort();
    return memory;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : counted(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *old, size_t bytes)
{
    void *memory = fails() ? NULL : __real_realloc(old, bytes);

    ledger.live += memory && !old;
    return memory;
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
    return fails() ? NULL : counted(__real_aligned_alloc(align, bytes));
}

char *__wrap_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = __wrap_malloc(bytes);

    return copy ? memcpy(copy, text, bytes) : NULL;
}

char *__wrap_strndup(const char *text, size_t most)
{
    size_t bytes = strnlen(text, most);
    char *copy = __wrap_malloc(bytes + 1);

    if (copy) {
        memcpy(copy, text, bytes);
        copy[bytes] = '\0';
    }
    return copy;
}

int __wrap_vasprintf(char **out, const char *format, va_list arguments)
{
    int length = fails() ? -1 : __real_vasprintf(out, format, arguments);

    if (length >= 0)
        counted(*out);
    return length;
}

int __wrap_asprintf(char **out, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = __wrap_vasprintf(out, format, arguments);
    va_end(arguments);
    return length;
}

/* What fortified programs call in their place (Linux Standard Base, "libc: __vasprintf_chk"). */
int __wrap___vasprintf_chk(char **out, int checks, const char *format, va_list arguments)
{
    (void)checks;
    return __wrap_vasprintf(out, format, arguments);
}

int __wrap___asprintf_chk(char **out, int checks, const char *format, ...)
{
    va_list arguments;
    int length;

    (void)checks;
    va_start(arguments, format);
    length = __wrap_vasprintf(out, format, arguments);
    va_end(arguments);
    return length;
}

void __wrap_free(void *memory)
{
    if (memory) { /* whoever still uses it is to notice */
        size_t bytes = malloc_usable_size(memory);
        memset(memory, 0xdd, bytes < 4096 ? bytes : 4096);
        ledger.live--;
    }
    __real_free(memory);
}

#endif
