/* SPDX-License-Identifier: MIT */
/*
 * config.c: what the machine and its container say - CPU quotas of both cgroup versions rounded up,
 * memory as the smaller of machine and group, a part of the level-2 cache - and what is taken where
 * they say nothing.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

#define KIB UINT64_C(1024)
#define GIB (UINT64_C(1) << 30)

struct text_file {
    const char *path, *text;
};
static const struct text_file *files; /* of the running case; ended by a NULL path */

static int read_text(const char *path, char *out, size_t bytes)
{
    for (const struct text_file *file = files; file->path; file++) {
        size_t length = strlen(file->text);
        if (strcmp(file->path, path) != 0)
            continue;
        if (length >= bytes)
            length = bytes - 1;
        memcpy(out, file->text, length);
        out[length] = '\0';
        return (int)length;
    }
    return -ENOENT;
}

static const struct loop_os os = {.read_text = read_text};

static uint32_t allowed(void)
{
    cpu_set_t set;

    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    return (uint32_t)CPU_COUNT(&set);
}

static uint32_t cpus_with(const char *cgroup, const char *path, const char *text)
{
    const struct text_file case_files[] = {
        {"/proc/self/cgroup", cgroup}, {path, text}, {NULL, NULL}};

    files = case_files;
    return config_cpu_count(&os);
}

static void cpus(void **state)
{
    static const struct text_file v1[] = {{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000"},
                                          {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"},
                                          {NULL, NULL}};
    static const struct text_file v1_none[] = {{"/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1"},
                                               {"/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"},
                                               {NULL, NULL}};
    uint32_t all = allowed(), two = all < 2 ? all : 2;
    const char *root = "/sys/fs/cgroup/cpu.max", *deep = "/sys/fs/cgroup/a/b/cpu.max";

    (void)state;
    assert_int_equal(cpus_with("0::/", "/none", ""), all);
    assert_int_equal(cpus_with("0::/", root, "max 100000"), all);
    assert_int_equal(cpus_with("0::/", root, "100000 100000"), 1);
    assert_int_equal(cpus_with("0::/", root, "1000 100000"), 1);
    assert_int_equal(cpus_with("0::/", root, "100001 100000"), two);
    assert_int_equal(cpus_with("0::/", root, "150000 100000"), two);
    assert_int_equal(cpus_with("0::/", root, "999999999 1"), all);
    assert_int_equal(cpus_with("0::/", root, "nonsense"), all);
    assert_int_equal(cpus_with("0::/", root, "100000 0"), all);
    assert_int_equal(cpus_with("1:cpu:/x\n0::/a/b\n", deep, "100000 100000"), 1);
    assert_int_equal(cpus_with("0::/a/b", root, "100000 100000"), 1); /* seen from inside */
    files = v1;
    assert_int_equal(config_cpu_count(&os), 1);
    files = v1_none;
    assert_int_equal(config_cpu_count(&os), all);
}

static void memory(void **state)
{
    static const struct text_file machine[] = {
        {"/proc/meminfo",
         "MemTotal:        8388608 kB\nMemFree: 1 kB\nMemAvailable:    4194304 kB\n"},
        {NULL, NULL}};
    static const struct text_file group[] = {
        {"/proc/meminfo", "MemTotal:        8388608 kB\nMemAvailable:    4194304 kB\n"},
        {"/sys/fs/cgroup/memory.max", "1073741824"},
        {"/sys/fs/cgroup/memory.current", "268435456"},
        {NULL, NULL}};
    static const struct text_file no_limit[] = {
        {"/proc/meminfo", "MemTotal:        8388608 kB\nMemAvailable:    4194304 kB\n"},
        {"/sys/fs/cgroup/memory.max", "max"},
        {"/sys/fs/cgroup/memory.current", "268435456"},
        {NULL, NULL}};
    static const struct text_file version_1[] = {
        {"/proc/meminfo", "MemTotal:        8388608 kB\nMemAvailable:    4194304 kB\n"},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712"},
        {NULL, NULL}};
    static const struct text_file nothing[] = {{NULL, NULL}};

    (void)state;
    files = machine;
    assert_int_equal(config_memory_bytes(&os), 8 * GIB);
    assert_int_equal(config_available_bytes(&os), 4 * GIB);
    files = group;
    assert_int_equal(config_memory_bytes(&os), GIB);
    assert_int_equal(config_available_bytes(&os), GIB * 3 / 4);
    files = no_limit;
    assert_int_equal(config_memory_bytes(&os), 8 * GIB);
    assert_int_equal(config_available_bytes(&os), 4 * GIB);
    files = version_1;
    assert_int_equal(config_memory_bytes(&os), 8 * GIB);
    files = nothing;
    assert_true(config_memory_bytes(&os) >= GIB / 4);
}

static void hot_window(void **state)
{
    static const struct text_file usual[] = {
        {"/sys/devices/system/cpu/cpu0/cache/index0/level", "1"},
        {"/sys/devices/system/cpu/cpu0/cache/index0/size", "32K"},
        {"/sys/devices/system/cpu/cpu0/cache/index1/level", "1"},
        {"/sys/devices/system/cpu/cpu0/cache/index2/level", "2"},
        {"/sys/devices/system/cpu/cpu0/cache/index2/size", "2048K"},
        {NULL, NULL}};
    static const struct text_file nothing[] = {{NULL, NULL}};
    static const struct text_file odd[] = {
        {"/sys/devices/system/cpu/cpu0/cache/index0/level", "2"},
        {"/sys/devices/system/cpu/cpu0/cache/index0/size", "big"},
        {NULL, NULL}};

    (void)state;
    files = usual;
    assert_int_equal(config_hot_window_bytes(&os), 512 * KIB);
    files = nothing;
    assert_int_equal(config_hot_window_bytes(&os), 512 * KIB);
    files = odd;
    assert_int_equal(config_hot_window_bytes(&os), 512 * KIB);
}

static void loop_name(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("LSIO_LOOP"), 0);
    assert_null(config_loop_name());
    assert_int_equal(setenv("LSIO_LOOP", "", 1), 0);
    assert_null(config_loop_name());
    assert_int_equal(setenv("LSIO_LOOP", "epoll", 1), 0);
    assert_string_equal(config_loop_name(), "epoll");
}

static void valgrind(void **state)
{
    (void)state;
    assert_int_equal(unsetenv("LD_PRELOAD"), 0);
    assert_false(config_valgrind());
    assert_int_equal(setenv("LD_PRELOAD", "/usr/lib/libjemalloc.so", 1), 0);
    assert_false(config_valgrind());
    assert_int_equal(setenv("LD_PRELOAD",
                            "/usr/libexec/valgrind/vgpreload_core-amd64-linux.so:"
                            "/usr/libexec/valgrind/vgpreload_memcheck-amd64-linux.so",
                            1),
                     0);
    assert_true(config_valgrind());
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cpus), cmocka_unit_test(memory),
                                       cmocka_unit_test(hot_window), cmocka_unit_test(loop_name),
                                       cmocka_unit_test(valgrind)};

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
