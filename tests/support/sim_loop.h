/* SPDX-License-Identifier: MIT */
/*
 * sim_loop.h - a simulated outside world: files in memory, a clock, and a loop and an os that
 * follow the contracts of loop.h and os.h, with everything that may vary drawn from one seed.
 *
 * Virtual time (the default): one thread; time passes only in wait(), or by sim_advance(). A
 * scheduler that steps workers runs them until all are idle, then calls sim_advance(the earliest of
 * sim_next_event() and what they wait for). A wait() that nothing can end aborts the program: a
 * hang found. With `threaded` time is real, waits block, any number of threads may work; the seed
 * then decides what happens, but not the order of threads. Between sim_threads_begin() and _end()
 * (sim_threads.h) threads are fibers in virtual time, and a seed decides about their order too.
 *
 * What it checks by itself: memory is filled with SIM_POISON from submission to completion, so
 * early use shows; O_DIRECT reads must be aligned; a loop is used by the thread that made it;
 * sim_end() returns what is still open.
 *
 * There is one world at a time, for struct loop_os has no place for another.
 */
#ifndef LSIO_TESTS_SIM_LOOP_H
#define LSIO_TESTS_SIM_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop/loop.h"

#define SIM_POISON 0xdb
#define SIM_NEVER  UINT64_MAX

struct sim_config {
    uint64_t seed;
    bool threaded;
    uint32_t cached_permille; /* operations that are complete straight after flush() */
    uint64_t latency_min_ns, latency_max_ns; /* of the others, < 4 s; 0, 0: 10 us .. 2 ms */
    uint32_t short_permille;                 /* reads that give only a part of what is there */
    uint32_t direct_align; /* of offset, memory and length; 0: O_DIRECT is refused with -EINVAL */
    bool no_tables;        /* attach fails with -EOPNOTSUPP */
    bool no_read_file;     /* can_read_file() is false */
    uint64_t fs_magic;     /* statfs type; 0: ext4 */
};

extern const struct loop_ops loop_sim;
extern const struct loop_os loop_os_sim;

/* Begins a world. sim_end() ends it: 0, or how many descriptors and loops were left. */
void sim_begin(const struct sim_config *config);
unsigned sim_end(void);

/* ----------------------------------------------------------------------------------- files -- */

/* Makes or replaces a file (a new inode: who has the old one open keeps it), with the directories
 * on its way. Paths are absolute. What os->read_text() reads of the machine (/proc, /sys) are files
 * like others: there are none unless a test makes them. */
void sim_put(const char *path, const void *bytes, uint64_t length);
void sim_make_dir(const char *path);
void sim_remove(const char *path);
/* In place, seen by who has it open; mtime changes. Growing adds zeros. */
void sim_resize(const char *path, uint64_t length);
void sim_write(const char *path, uint64_t offset, const void *bytes, uint64_t length);

/* ---------------------------------------------------------------------------------- faults -- */

/* Besides enum loop_kind: calls of the os, and other calls of a loop. */
enum sim_call {
    SIM_OS_OPEN = 8,
    SIM_OS_STAT = 9,
    SIM_OS_READ = 10,
    SIM_OS_DIR = 11,
    SIM_ATTACH_FILE = 12, /* to a loop's table: it then uses the descriptor */
    SIM_ATTACH_BUFFER = 13,
    SIM_LOOP_CREATE = 14, /* these two have no path */
    SIM_ANY = 31          /* all of these */
};

struct sim_fault {
    unsigned kind;     /* enum loop_kind or sim_call */
    const char *path;  /* a part of the path, borrowed; NULL: any */
    uint32_t skip;     /* so many matching operations pass first */
    uint32_t count;    /* then so many fail; 0: all */
    uint32_t permille; /* of these, drawn; 0: all */
    int result;        /* a negated errno, or a number of bytes for reads */
};

/* Adds a rule; the first that matches and strikes decides. At most 32. */
void sim_add_fault(struct sim_fault fault);
/* How often rules have struck. */
uint64_t sim_faults_struck(void);
/* Called for each operation of a loop just before it takes effect: the place to change files. */
void sim_on_operation(void (*hook)(const struct loop_op *op, void *data), void *data);

/* ------------------------------------------------------------------------------------ time -- */

uint64_t sim_now_ns(void);
/* When the next operation in flight completes; SIM_NEVER: none. */
uint64_t sim_next_event(void);
void sim_advance(uint64_t to_ns);
/* A number below `below`, drawn from the world's seed. */
uint32_t sim_random(uint32_t below);
/* Operations that took effect, all kinds. */
uint64_t sim_operations(void);

#endif
