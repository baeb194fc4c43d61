/* SPDX-License-Identifier: MIT */
/*
 * server_http.c - the HTTP server of the comparisons: the program fault-server of the tests, in a
 * process of its own, so that the CPU time measured is the client's alone.
 *
 * It ends with this process, however that ends (PR_SET_PDEATHSIG).
 */
#define _GNU_SOURCE 1
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Beside this program, or where the build tree has it. */
static const char *server_program(const struct bench_options *options)
{
    static char path[PATH_MAX];
    static const char *const places[] = {"fault-server", "tests/fault-server"};
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 32);
    if (options->server != NULL) {
        return options->server;
    }
    for (size_t i = 0; length > 0 && i < sizeof(places) / sizeof(*places); i++) {
        path[length] = '\0';
        strcpy(strrchr(path, '/') + 1, places[i]);
        if (access(path, X_OK) == 0) {
            return path;
        }
    }
    bench_die("no fault-server beside this program; say --server PATH");
}

void bench_server_start(struct bench_server *server, const struct bench_options *options,
                        const char *const *arguments)
{
    const char *argv[32] = {server_program(options)};
    int out[2];
    for (size_t i = 1; *arguments != NULL && i + 1 < sizeof(argv) / sizeof(*argv); i++) {
        argv[i] = *arguments++;
    }
    if (pipe2(out, O_CLOEXEC) != 0) {
        bench_die("pipe: %s", strerror(errno));
    }
    pid_t parent = getpid();
    server->pid = fork();
    if (server->pid < 0) {
        bench_die("fork: %s", strerror(errno));
    }
    if (server->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() == parent && dup2(out[1], STDOUT_FILENO) >= 0) {
            execv(argv[0], (char *const *)argv);
        }
        fprintf(stderr, "lsio-bench: %s: %s\n", argv[0], strerror(errno));
        _exit(127);
    }
    close(out[1]);
    server->out = fdopen(out[0], "r");
    if (server->out == NULL || fgets(server->url, sizeof(server->url), server->out) == NULL) {
        bench_die("%s does not start", argv[0]);
    }
    server->url[strcspn(server->url, "\n")] = '\0';
}

void bench_server_stop(struct bench_server *server)
{
    char report[4096];
    kill(server->pid, SIGTERM);
    server->connections = 0;
    while (fgets(report, sizeof(report), server->out) != NULL) {
        sscanf(report, "{\"connections\": %u, \"requests\": %u", &server->connections,
               &server->requests);
    }
    fclose(server->out);
    waitpid(server->pid, NULL, 0);
}
