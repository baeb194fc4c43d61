/* SPDX-License-Identifier: MIT */
/*
 * Design: the library never prints. A line is formatted on the stack, so logging cannot fail and is
 * safe wherever LSIO runs.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void log_line(const struct log *log, int level, const char *format, ...)
{
    char line[512];
    va_list args;

    if (!log || !log->write || level > log->level)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    log->write(level, line, log->data);
}
