/* SPDX-License-Identifier: MIT */
/* log.h - formats one line and hands it to the user's log callback. No globals, no allocation. */
#ifndef LSIO_BASE_LOG_H
#define LSIO_BASE_LOG_H

#include "lsio/lsio.h"

struct log {
    lsio_log_fn *write; /* NULL: nothing is logged */
    void *data;
    int level; /* most detailed level wanted */
};

/* Lines longer than 512 bytes are cut. `log` may be NULL: nothing is logged. Threads: any. */
void log_line(const struct log *log, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
