/* SPDX-License-Identifier: MIT */
/* Design: the child runs a group of one test, for an assertion jumps to the runner that is nearest.
 */
#define _GNU_SOURCE
#include "fault_child.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CALLS_MAX 8u

void child_wait(const char *label, pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s: the child %s %d", label, WIFEXITED(status) ? "exited with" : "died of signal",
                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

void child_run(const char *label, CMUnitTestFunction body, void *data)
{
    pid_t pid;

    fflush(NULL); /* or the child would print it, too */
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct CMUnitTest tests[] = {{label, body, NULL, NULL, data}};
        int failures;
        fault_watch(label);
        failures = _cmocka_run_group_tests(label, tests, 1, NULL, NULL);
        fflush(NULL);
        _exit(failures ? 1 : 0);
    }
    child_wait(label, pid);
}

bool child_refuse(const int *calls, size_t count, int error)
{
    struct sock_filter code[CALLS_MAX + 3];
    struct sock_fprog program = {.filter = code};
    size_t used = 0;

    assert_true(count <= CALLS_MAX);
    code[used++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < count; i++) /* to the refusal, behind the comparisons and the pass */
        code[used++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)calls[i],
                                                    (uint8_t)(count - i), 0);
    code[used++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[used++] = (struct sock_filter)BPF_STMT(
        BPF_RET | BPF_K, error ? SECCOMP_RET_ERRNO | (uint32_t)error : SECCOMP_RET_KILL_PROCESS);
    program.len = (unsigned short)used;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}
