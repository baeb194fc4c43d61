/* SPDX-License-Identifier: MIT */
/*
 * refuse-uring [--errno EPERM|ENOSYS] CMD ARG...
 * refuse-uring --check
 *
 * Runs CMD under a seccomp filter that refuses io_uring, as containers do, so that everything has
 * to run on the epoll loop. The filter is inherited by all children. --check installs it and says
 * by its exit status whether io_uring_setup is refused from then on.
 *
 * The three system calls have the same numbers on every architecture, and the filter answers an
 * errno only, so the architecture need not be looked at.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { URING_SETUP = 425, URING_REGISTER = 427 };

static int refuse(unsigned error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, URING_SETUP, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, URING_REGISTER, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        perror("refuse-uring: PR_SET_NO_NEW_PRIVS");
        return -1;
    }
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("refuse-uring: PR_SET_SECCOMP");
        return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    unsigned error = EPERM;
    int i = 1;

    if (argc > 2 && strcmp(argv[1], "--errno") == 0) {
        error = strcmp(argv[2], "ENOSYS") == 0 ? ENOSYS : EPERM;
        i = 3;
    }
    if (i >= argc) {
        fprintf(stderr, "usage: refuse-uring [--errno EPERM|ENOSYS] CMD ARG... | --check\n");
        return 2;
    }
    if (refuse(error) != 0)
        return 2;
    if (strcmp(argv[i], "--check") == 0) {
        long fd = syscall(URING_SETUP, 1, NULL);
        return fd == -1 && errno == (int)error ? 0 : 1;
    }
    execvp(argv[i], argv + i);
    perror(argv[i]);
    return 127;
}
