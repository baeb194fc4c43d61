/* SPDX-License-Identifier: MIT */
/*
 * sim_frames.c - prints the calls on a fiber's stack. backtrace_symbols() knows neither static
 * functions nor lines, so addr2line of binutils is asked; it is installed where a compiler is. Used
 * once, before the program ends: it may take its time.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <execinfo.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sim_order.h"

#define FRAMES_MAX 32
#define OWN_FRAMES 2 /* at least so many are the scheduler's */

/* The linker's: where this program's code is. */
extern const char __executable_start[], etext[];

/* The program comes first: by how much its addresses were moved. */
static int find_bias(struct dl_phdr_info *info, size_t bytes, void *data)
{
    (void)bytes;
    *(uintptr_t *)data = (uintptr_t)info->dlpi_addr;
    return 1;
}

void sim_print_frames(void)
{
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);
    char program[512] = "", command[1536];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    uintptr_t bias = 0;
    int used;

    (void)dl_iterate_phdr(find_bias, &bias);
    used = snprintf(command, sizeof command, "addr2line -Cfpsi -e '%s'", program);
    for (int i = OWN_FRAMES; i < count; i++) {
        uintptr_t frame = (uintptr_t)frames[i] - 1; /* in the call, not after it */

        if (frame >= (uintptr_t)__executable_start && frame < (uintptr_t)etext)
            used += snprintf(command + used, sizeof command - (size_t)used, " 0x%lx",
                             (unsigned long)(frame - bias));
    }
    (void)snprintf(command + used, sizeof command - (size_t)used, " 1>&2");
    if (length < 0 || system(command) != 0)
        backtrace_symbols_fd(frames, count, STDERR_FILENO);
}
