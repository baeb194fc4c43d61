/* SPDX-License-Identifier: MIT */
/*
 * baseline_fio.c - fio as the yardstick for uncached reads.
 *
 * fio does nothing but I/O, so what it reaches is what the device gives. It runs with io_uring,
 * registered files and buffers, O_DIRECT, random offsets over all files of the set, at the best of
 * several depths and one or two jobs, each tried at three times (fio_tune). Its own figure is taken
 * (bytes over run time), so its start and its end do not count against it.
 *
 * fio 3.33 cannot ask for huge pages itself, and on virtual disks a 256 KiB buffer of 64 scattered
 * pages is read at half the speed of one in a huge page. So glibc is told to give it huge pages.
 */
#define _GNU_SOURCE 1
#include "baseline.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char *fio_output(const char *const *argv, const char *dir)
{
    posix_spawn_file_actions_t actions;
    int pipes[2], status;
    pid_t pid;
    size_t room = (size_t)1 << 20, used = 0;
    char *text = malloc(room);
    if (text == NULL || pipe(pipes) != 0) {
        bench_die("pipe: %s", strerror(errno));
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions,
                                         dir); /* fio's paths cannot hold every character */
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
    posix_spawn_file_actions_addclose(&actions, pipes[0]);
    status = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    if (status != 0) {
        bench_die("cannot run fio: %s (apt-get install fio)", strerror(status));
    }
    for (ssize_t n; used < room - 1 && (n = read(pipes[0], text + used, room - 1 - used)) > 0;) {
        used += (size_t)n;
    }
    text[used] = '\0';
    close(pipes[0]);
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        bench_die("fio failed: %.400s", text);
    }
    return text;
}

/* The number after "key" : in text; dies if there is none. */
static double fio_number(const char *text, const char *key)
{
    char quoted[64];
    snprintf(quoted, sizeof(quoted), "\"%s\" :", key);
    const char *at = strstr(text, quoted);
    if (at == NULL) {
        bench_die("fio's output has no %s", key);
    }
    return strtod(at + strlen(quoted), NULL);
}

double fio_run(const struct fio_config *config, double seconds, double *cpu_s_per_gib)
{
    char names[8192] = "--filename=", depth[32], jobs[32], runtime[32], block[32];
    size_t used = strlen(names);
    for (unsigned i = 0; i < config->files->count; i++) {
        int n = snprintf(names + used, sizeof(names) - used, "%s%s", i == 0 ? "" : ":",
                         config->files->keys[i]);
        used += (size_t)n;
        if (used >= sizeof(names)) {
            bench_die("too many files for fio");
        }
    }
    snprintf(depth, sizeof(depth), "--iodepth=%u", config->depth);
    snprintf(jobs, sizeof(jobs), "--numjobs=%u", config->jobs);
    snprintf(runtime, sizeof(runtime), "--runtime=%.0fms", seconds * 1000);
    snprintf(block, sizeof(block), "--bs=%u", config->block_bytes);
    const char *const argv[] = {"fio",
                                "--name=lsio",
                                names,
                                depth,
                                jobs,
                                runtime,
                                block,
                                "--thread",
                                "--ioengine=io_uring",
                                "--fixedbufs=1",
                                "--registerfiles=1",
                                "--direct=1",
                                "--rw=randread",
                                "--norandommap",
                                "--randrepeat=0",
                                "--time_based",
                                "--file_service_type=random",
                                "--allow_file_create=0",
                                "--group_reporting",
                                "--output-format=json",
                                NULL};
    setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 0);
    char *text = fio_output(argv, config->files->dir);
    const char *read = strstr(text, "\"read\" :");
    if (read == NULL) {
        bench_die("fio's output has no figures: %.200s", text);
    }
    double rate = fio_number(read, "bw_bytes");
    if (cpu_s_per_gib != NULL) {
        double cpu = fio_number(read, "usr_cpu") + fio_number(read, "sys_cpu");
        *cpu_s_per_gib = cpu / 100 * config->jobs / (rate / BENCH_GIB);
    }
    free(text);
    return rate;
}

void fio_tune(struct fio_config *config)
{
    static const unsigned tried[][2] = {{8, 1}, {16, 1}, {32, 1}, {64, 1}, {16, 2}, {32, 2}};
    enum { TRIED = sizeof(tried) / sizeof(*tried) };
    double sums[TRIED] = {0};
    unsigned best = 0;
    for (unsigned turn = 0; turn < 3;
         turn++) { /* in turn: the device's speed changes by the second */
        for (unsigned i = 0; i < TRIED; i++) {
            config->depth = tried[i][0];
            config->jobs = tried[i][1];
            sums[i] += fio_run(config, 1.2, NULL);
        }
    }
    for (unsigned i = 1; i < TRIED; i++) {
        best = sums[i] > sums[best] ? i : best;
    }
    config->depth = tried[best][0];
    config->jobs = tried[best][1];
    bench_note("fio: best of %u settings is depth %u, %u job(s): %.3f GiB/s", TRIED, config->depth,
               config->jobs, sums[best] / 3 / BENCH_GIB);
}
