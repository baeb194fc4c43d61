/* SPDX-License-Identifier: MIT */
/* sim_world.h - what sim_world.c (files, clock), sim_os.c and sim_loop.c share. */
#ifndef LSIO_TESTS_SIM_WORLD_H
#define LSIO_TESTS_SIM_WORLD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "sim_loop.h"

#define SIM_PATH_BYTES 512
#define SIM_FD_FIRST   1000000 /* no real descriptor, so a real call on it is -EBADF */

struct sim_inode {
    struct sim_inode *next; /* of those that have a name */
    char path[SIM_PATH_BYTES];
    uint8_t *bytes;
    uint64_t length;
    uint64_t number;
    int64_t mtime_ns;
    unsigned references;
    bool directory;
};

/* All of these are called with sim_lock() held. */
void sim_lock(void);
void sim_unlock(void);
pthread_mutex_t *sim_mutex(void);
const struct sim_config *sim_settings(void);
uint64_t sim_clock(void);
uint32_t sim_draw(uint32_t below);
bool sim_chance(uint32_t permille);
/* True if a rule strikes: *result is what happens instead. */
bool sim_strikes(unsigned kind, const char *path, int64_t *result);
void sim_call_hook(const struct loop_op *op);

/* The path of `path` seen from `dirfd`, into `out`; 0 or a negated errno. */
int sim_resolve(int dirfd, const char *path, bool beneath, char *out, size_t bytes);
int sim_open_path(const char *path, int flags);
int sim_close_fd(int fd);
/* The open file, or NULL; *flags (may be NULL) of its opening. */
struct sim_inode *sim_fd_inode(int fd, int *flags);
struct sim_inode *sim_find(const char *path); /* or NULL */
/* What lies in a directory now, each kept; the list is malloc'ed. */
struct sim_inode **sim_list_dir(const struct sim_inode *dir, size_t *count);
struct sim_inode *sim_keep(struct sim_inode *inode);
void sim_drop(struct sim_inode *inode);
int64_t sim_read_inode(struct sim_inode *inode, int flags, const struct iovec *iov, unsigned count,
                       uint64_t offset);

/* Loops in this world, for sim_next_event() and sim_end(). */
extern uint64_t (*sim_next_event_hook)(void);
extern unsigned (*sim_left_hook)(void);

#endif
