/* SPDX-License-Identifier: MIT */
/*
 * aws_process.c - `credential_process`: a program of the user's that prints credentials as JSON.
 * See aws.h.
 *
 * Source: AWS SDKs and Tools reference guide, "Process credential provider". The command line is
 * the user's own file's, and goes to /bin/sh as it does in AWS's Go, Java and C++ SDKs.
 *
 * The program gets a process group of its own, so that a time-out ends its children too, an empty
 * signal mask, no input, and the application's standard error: what it says there is for the user,
 * and may be a secret, so it is not repeated in our messages. posix_spawn() and not fork(): this
 * process may have many threads.
 *
 * An application that ignores SIGCHLD has its children reaped by the kernel: waitpid() then says
 * ECHILD, and whole JSON counts as success.
 */
#define _GNU_SOURCE /* pipe2, syscall */
#include "driver/http/credential/aws.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mark.h"
#include "driver/http/credential/json.h"

#define PROCESS_TIMEOUT_MS 30000u
#define POLL_MS            50
#define WAIT_MS            5u
#define OUTPUT_BYTES_MAX   ((size_t)64 * 1024)

extern char **environ;

/* Starts the command with its output in `fd`; 0 or -errno. */
static int process_start(const char *command, int fd, pid_t *pid)
{
    char shell[] = "sh", option[] = "-c";
    char *const arguments[] = {shell, option, (char *)(uintptr_t)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    int failed;

    if ((failed = posix_spawn_file_actions_init(&actions)))
        return -failed;
    if ((failed = posix_spawnattr_init(&attributes))) {
        posix_spawn_file_actions_destroy(&actions);
        return -failed;
    }
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
    if (!failed)
        failed = posix_spawn(pid, "/bin/sh", &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -failed;
}

/* True once the time is over or the context closes. */
static bool is_over(const struct credential_request *request, uint64_t end_ms)
{
    return request->world->now_ms(request->world->data) >= end_ms || credential_stopping(request);
}

/* Reads until the program closes its output: 0, -ETIMEDOUT, -EFBIG, -errno. */
static int output_read(const struct credential_request *request, int fd, uint64_t end_ms,
                       struct secret_text *out)
{
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        char block[4096];
        ssize_t got;

        if (is_over(request, end_ms))
            return -ETIMEDOUT;
        if (poll(&poll_fd, 1, POLL_MS) <= 0)
            continue;
        got = read(fd, block, sizeof(block));
        if (got > 0)
            secret_text_add_bytes(out, block, (size_t)got);
        explicit_bzero(block, sizeof(block));
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (out->failed || out->used > OUTPUT_BYTES_MAX)
            return -EFBIG;
    }
}

/* Waits for the end of the program, which it may put off after closing its output: its wait status,
 * 0 if somebody else has reaped it, -ETIMEDOUT. */
static int process_wait(const struct credential_request *request, pid_t pid, uint64_t end_ms)
{
    int wait_status;

    for (;;) {
        pid_t ended = waitpid(pid, &wait_status, WNOHANG);

        if (ended == pid)
            return wait_status;
        if (ended < 0 && errno != EINTR)
            return 0;
        if (is_over(request, end_ms))
            return -ETIMEDOUT;
        request->world->pause_ms(request->world->data, WAIT_MS);
    }
}

/* Ends the program and whatever it has started, and reaps it. */
static void process_kill(pid_t pid)
{
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL); /* if it is not in its own group yet */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* Runs the command; `out` gets what it printed. */
static int process_run(struct credential_request *request, const char *command,
                       struct secret_text *out)
{
    uint64_t end_ms = request->world->now_ms(request->world->data) + PROCESS_TIMEOUT_MS;
    int fds[2], status, wait_status = 0;
    pid_t pid;

    if (end_ms > request->deadline_ms)
        end_ms = request->deadline_ms;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return credential_why(request, -errno, "no pipe could be made");
    status = process_start(command, fds[1], &pid);
    close(fds[1]);
    if (status < 0) {
        close(fds[0]);
        return credential_why(request, status, "credential_process could not be started");
    }
    status = output_read(request, fds[0], end_ms, out);
    close(fds[0]);
    if (status == 0)
        wait_status = process_wait(request, pid, end_ms);
    if (status < 0 || wait_status < 0)
        process_kill(pid);
    if (status == -ETIMEDOUT || wait_status < 0) {
        LSIO_MARK(credential_process_late);
        return credential_why(request, -ETIMEDOUT, "credential_process did not end in time");
    }
    if (status < 0)
        return credential_why(request, status,
                              "credential_process printed too much, or its "
                              "output could not be read");
    if (WIFSIGNALED(wait_status))
        return credential_why(request, -EACCES, "credential_process was ended by signal %d",
                              WTERMSIG(wait_status));
    if (WEXITSTATUS(wait_status) != 0)
        return credential_why(request, -EACCES, "credential_process ended with status %d",
                              WEXITSTATUS(wait_status));
    return 0;
}

int aws_process(struct credential_request *request, const char *command,
                struct http_credential *out)
{
    static const struct aws_answer_names names = {
        .id = "AccessKeyId",
        .secret = "SecretAccessKey",
        .token = "SessionToken",
        .expires = "Expiration",
        .expires_optional = true,
    };
    struct secret_text output = {0};
    struct json_object *root = NULL;
    int status = process_run(request, command, &output);

    if (status == 0) {
        root = json_parse(secret_text_get(&output), output.used);
        if (!root)
            status = credential_why(request, LSIO_E_PROTOCOL,
                                    "credential_process printed no JSON object");
        else if (json_number(root, "Version") != 1)
            status = credential_why(request, LSIO_E_PROTOCOL,
                                    "credential_process printed another version than 1");
        else
            status = aws_answer(request, root, &names, "the output of credential_process", out,
                                "credential_process");
    }
    json_finish(root);
    secret_text_finish(&output);
    return status;
}
