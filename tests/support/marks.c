/* SPDX-License-Identifier: MIT */
/*
 * Marks (base/mark.h) that this program reaches are appended to $LSIO_MARKS_DIR/reached, a line
 * "MARK PROGRAM" each, at the moment they are reached: so those of forked children and of programs
 * that are killed count too. The file is opened before main(), while there are descriptors; one
 * write() with O_APPEND is one line, whoever else writes. Without the variable nothing is kept.
 *
 * Linked to every test program of a build with LSIO_MARKS (tests/CMakeLists.txt), and empty
 * otherwise.
 */
#ifdef LSIO_MARKS

#define _GNU_SOURCE /* O_CLOEXEC, program_invocation_short_name */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mark.h"

static int marks_fd = -1;

__attribute__((constructor)) static void marks_open(void)
{
    const char *dir = getenv("LSIO_MARKS_DIR");
    char path[4096];

    if (!dir || (size_t)snprintf(path, sizeof(path), "%s/reached", dir) >= sizeof(path))
        return;
    marks_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (marks_fd < 0)
        fprintf(stderr, "marks are lost: %s: %s\n", path, strerror(errno));
}

void mark_reached(const char *name)
{
    char line[256];
    int saved = errno;
    int bytes = snprintf(line, sizeof(line), "%s %s\n", name, program_invocation_short_name);

    if (marks_fd >= 0 && write(marks_fd, line, (size_t)bytes) != bytes)
        fprintf(stderr, "mark %s is lost: %s\n", name, strerror(errno));
    errno = saved;
}

#else

typedef int marks_are_off; /* a source must not be empty */

#endif
