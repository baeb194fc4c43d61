/* SPDX-License-Identifier: MIT */
/*
 * Design: what the machine and the environment say, asked once when a context is created.
 * Containers are the rule: CPUs are those of the affinity mask limited by the cgroup's quota
 * (rounded up), memory is the smaller of the machine's and the cgroup's. The only file of src/ that
 * reads the environment for the engine.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/engine.h"

/* The cgroup v2 directory of this process, as "/sys/fs/cgroup" + path of the "0::" line. */
static void cgroup_path(const struct loop_os *os, const char *file, char *out, size_t bytes)
{
    char text[1024];
    const char *path = "";
    char *line;

    if (os->read_text("/proc/self/cgroup", text, sizeof(text)) >= 0) {
        line = strstr(text, "0::");
        if (line) {
            path = line + 3;
            line[3 + strcspn(path, "\n")] = '\0';
        }
    }
    snprintf(out, bytes, "/sys/fs/cgroup%s/%s", strcmp(path, "/") ? path : "", file);
}

static int cgroup_text(const struct loop_os *os, const char *file, char *out, size_t bytes)
{
    char path[1200];

    cgroup_path(os, file, path, sizeof(path));
    if (os->read_text(path, out, bytes) > 0)
        return 0;
    snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", file);
    return os->read_text(path, out, bytes) > 0 ? 0 : -ENOENT;
}

static uint32_t quota_cpus(const struct loop_os *os)
{
    char text[128], period_text[64];
    long long quota = 0, period = 0;

    if (cgroup_text(os, "cpu.max", text, sizeof(text)) == 0) {
        if (sscanf(text, "%lld %lld", &quota, &period) != 2)
            return 0;
    } else if (cgroup_text(os, "cpu/cpu.cfs_quota_us", text, sizeof(text)) == 0 &&
               cgroup_text(os, "cpu/cpu.cfs_period_us", period_text, sizeof(period_text)) == 0) {
        quota = atoll(text);
        period = atoll(period_text);
    }
    if (quota <= 0 || period <= 0)
        return 0;
    return (uint32_t)((quota + period - 1) / period);
}

uint32_t config_cpu_count(const struct loop_os *os)
{
    cpu_set_t set;
    uint32_t allowed = 1, quota = quota_cpus(os);

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        allowed = (uint32_t)CPU_COUNT(&set);
    else if (sysconf(_SC_NPROCESSORS_ONLN) > 0)
        allowed = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    if (quota && quota < allowed)
        allowed = quota;
    return allowed ? allowed : 1;
}

static uint64_t cgroup_bytes(const struct loop_os *os, const char *v2, const char *v1)
{
    char text[64];

    if (cgroup_text(os, v2, text, sizeof(text)) != 0 &&
        cgroup_text(os, v1, text, sizeof(text)) != 0)
        return UINT64_MAX;
    if (text[0] < '0' || text[0] > '9')
        return UINT64_MAX; /* "max" */
    return strtoull(text, NULL, 10);
}

static uint64_t meminfo_bytes(const struct loop_os *os, const char *field)
{
    char text[2048];
    const char *line;

    if (os->read_text("/proc/meminfo", text, sizeof(text)) < 0)
        return 0;
    line = strstr(text, field);
    return line ? strtoull(line + strlen(field), NULL, 10) * 1024 : 0;
}

uint64_t config_memory_bytes(const struct loop_os *os)
{
    uint64_t total = meminfo_bytes(os, "MemTotal:");
    uint64_t limit = cgroup_bytes(os, "memory.max", "memory/memory.limit_in_bytes");

    if (total == 0)
        total = UINT64_C(1) << 30;
    return limit < total ? limit : total;
}

uint64_t config_available_bytes(const struct loop_os *os)
{
    uint64_t available = meminfo_bytes(os, "MemAvailable:");
    uint64_t limit = cgroup_bytes(os, "memory.max", "memory/memory.limit_in_bytes");
    uint64_t used = cgroup_bytes(os, "memory.current", "memory/memory.usage_in_bytes");

    if (limit != UINT64_MAX && used != UINT64_MAX && limit > used && limit - used < available)
        available = limit - used;
    return available;
}

/* A quarter of the level-2 cache: what is in flight then fits it together with a chain's output. */
uint64_t config_hot_window_bytes(const struct loop_os *os)
{
    char path[96], text[32];

    for (int i = 0; i < 8; i++) {
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
        if (os->read_text(path, text, sizeof(text)) <= 0)
            break;
        if (strcmp(text, "2") != 0)
            continue;
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        if (os->read_text(path, text, sizeof(text)) > 0 && strtoull(text, NULL, 10) > 0)
            return strtoull(text, NULL, 10) * 1024 / 4;
    }
    return 512 * 1024;
}

/* CAP_IPC_LOCK: the kernel charges such a process nothing. */
static bool lock_is_free(const struct loop_os *os)
{
    char text[4096];
    const char *line;

    if (os->read_text("/proc/self/status", text, sizeof(text)) <= 0)
        return false;
    line = strstr(text, "CapEff:");
    return line && (strtoull(line + 7, NULL, 16) >> 14 & 1);
}

uint64_t config_memlock_bytes(const struct loop_os *os)
{
    struct rlimit limit;

    if (lock_is_free(os))
        return UINT64_MAX;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}

const char *config_loop_name(void)
{
    const char *name = getenv("LSIO_LOOP");

    return name && *name ? name : NULL;
}

/* Valgrind preloads a library of its own. Its io_uring_enter keeps the lock that lets one thread
 * run at a time: a waiting worker stops the whole program (seen with 3.19; liburing issue 657). */
bool config_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return preload && strstr(preload, "/vgpreload_");
}

void config_pin(uint32_t worker)
{
    cpu_set_t allowed, one;

    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0 || CPU_COUNT(&allowed) == 0)
        return;
    worker %= (uint32_t)CPU_COUNT(&allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || worker-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
        return;
    }
}
