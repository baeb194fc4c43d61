/* SPDX-License-Identifier: MIT */
/*
 * files.c - data files of the benchmarks: made once, then warmed or dropped before each timed half.
 *
 * Whether a file is in the page cache is asked of the kernel (cachestat, else mincore), never
 * assumed: idle page cache can vanish between two runs, and fadvise drops only pages that are clean
 * and unused.
 */
#define _GNU_SOURCE 1
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)1 << 20)
#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif

/* ---------------------------------------------------------------------------- making files -- */

void bench_mkdirs(const char *path)
{
    char copy[1024];
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *p = copy + 1; *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
                bench_die("mkdir %s: %s", copy, strerror(errno));
            }
            *p = '/';
        }
    }
    if (mkdir(copy, 0777) != 0 && errno != EEXIST) {
        bench_die("mkdir %s: %s", copy, strerror(errno));
    }
}

/* Written under another name first: a file of the right name is complete. */
void bench_file_write(const char *path, const void *bytes, uint64_t length)
{
    char part[1024];
    snprintf(part, sizeof(part), "%s.part", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        bench_die("create %s: %s", part, strerror(errno));
    }
    for (uint64_t done = 0; done < length;) {
        ssize_t n = write(fd, (const uint8_t *)bytes + done, length - done);
        if (n <= 0) {
            bench_die("write %s: %s", part, strerror(errno));
        }
        done += (uint64_t)n;
    }
    if (fsync(fd) != 0 || close(fd) != 0 || rename(part, path) != 0) {
        bench_die("finish %s: %s", path, strerror(errno));
    }
}

static void random_fill(uint8_t *bytes, uint64_t length, unsigned file)
{
    uint64_t state = 0x1510u + file, word;
    uint64_t i = 0;
    for (; i + 8 <= length; i += 8) {
        word = bench_random(&state);
        memcpy(bytes + i, &word, 8);
    }
    for (; i < length; i++) {
        bytes[i] = (uint8_t)bench_random(&state);
    }
}

static void files_reserve(struct bench_files *files, const char *dir, unsigned count)
{
    memset(files, 0, sizeof(*files));
    snprintf(files->dir, sizeof(files->dir), "%s", dir);
    files->count = count;
    files->fds = calloc(count, sizeof(*files->fds));
    files->sizes = calloc(count, sizeof(*files->sizes));
    files->keys = calloc(count, sizeof(*files->keys));
    if (files->fds == NULL || files->sizes == NULL || files->keys == NULL) {
        bench_die("no memory for %u files", count);
    }
    for (unsigned i = 0; i < count; i++) {
        files->fds[i] = -1;
    }
}

static bool files_open_one(struct bench_files *files, unsigned i, const char *set)
{
    char path[1024], key[128];
    struct stat st;
    snprintf(key, sizeof(key), "%s/%03u.bin", set, i);
    snprintf(path, sizeof(path), "%s/%s", files->dir, key);
    if (files->keys[i] == NULL) {
        files->keys[i] = strdup(key);
    }
    files->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
    if (files->fds[i] < 0) {
        return false;
    }
    if (fstat(files->fds[i], &st) != 0) {
        bench_die("stat %s: %s", path, strerror(errno));
    }
    files->sizes[i] = (uint64_t)st.st_size;
    if (files->sizes[i] > files->file_bytes) {
        files->file_bytes = files->sizes[i];
    }
    return true;
}

bool bench_files_exist(struct bench_files *files, const char *dir, const char *set, unsigned count)
{
    files_reserve(files, dir, count);
    for (unsigned i = 0; i < count; i++) {
        if (!files_open_one(files, i, set)) {
            bench_files_close(files);
            return false;
        }
    }
    return true;
}

void bench_files_open(struct bench_files *files, const char *dir, const char *set, unsigned count,
                      uint64_t file_bytes, bench_fill_fn *fill, void *data)
{
    char path[1024];
    uint8_t *content = NULL;
    snprintf(path, sizeof(path), "%s/%s", dir, set);
    bench_mkdirs(path);
    files_reserve(files, dir, count);
    for (unsigned i = 0; i < count; i++) {
        if (files_open_one(files, i, set) && files->sizes[i] == file_bytes) {
            continue;
        }
        if (content == NULL) {
            content = bench_alloc(file_bytes);
            bench_note("making %u files of %llu bytes in %s", count, (unsigned long long)file_bytes,
                       path);
        }
        if (files->fds[i] >= 0) {
            close(files->fds[i]);
        }
        if (fill != NULL) {
            fill(content, file_bytes, i, data);
        } else {
            random_fill(content, file_bytes, i);
        }
        char name[1200];
        snprintf(name, sizeof(name), "%s/%s", dir, files->keys[i]);
        bench_file_write(name, content, file_bytes);
        if (!files_open_one(files, i, set)) {
            bench_die("open %s: %s", name, strerror(errno));
        }
    }
    files->file_bytes = file_bytes;
    bench_free(content, file_bytes);
}

void bench_files_close(struct bench_files *files)
{
    for (unsigned i = 0; i < files->count; i++) {
        if (files->fds[i] >= 0) {
            close(files->fds[i]);
        }
        free(files->keys[i]);
    }
    free(files->fds);
    free(files->sizes);
    free(files->keys);
    memset(files, 0, sizeof(*files));
}

void bench_grid_open(struct bench_files *files, const struct bench_options *options)
{
    bench_files_open(files, options->dir, "grid", BENCH_GRID_FILES, BENCH_GRID_BYTES, NULL, NULL);
}

/* --------------------------------------------------------------------------------- caching -- */

static uint64_t mincore_pages(int fd, uint64_t bytes)
{
    uint64_t pages = (bytes + BENCH_PAGE - 1) / BENCH_PAGE, cached = 0;
    unsigned char *map = malloc(pages);
    void *memory = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (map == NULL || memory == MAP_FAILED || mincore(memory, bytes, map) != 0) {
        bench_die("mincore: %s", strerror(errno));
    }
    for (uint64_t i = 0; i < pages; i++) {
        cached += map[i] & 1;
    }
    munmap(memory, bytes);
    free(map);
    return cached;
}

uint64_t bench_cached_pages(int fd, uint64_t bytes)
{
    struct {
        uint64_t offset, length;
    } range = {0, bytes};
    struct {
        uint64_t cached, dirty, writeback, evicted, recently_evicted;
    } found = {0};
    if (bytes == 0) {
        return 0;
    }
    if (syscall(__NR_cachestat, fd, &range, &found, 0) == 0) {
        return found.cached;
    }
    return mincore_pages(fd, bytes);
}

static void file_read_all(int fd, uint64_t bytes, uint8_t *piece)
{
    for (uint64_t at = 0; at < bytes;) {
        ssize_t n = pread(fd, piece, PIECE_BYTES, (off_t)at);
        if (n <= 0) {
            bench_die("read: %s", n < 0 ? strerror(errno) : "the file became shorter");
        }
        at += (uint64_t)n;
    }
}

void bench_files_warm(const struct bench_files *files)
{
    static uint8_t piece[PIECE_BYTES];
    for (unsigned i = 0; i < files->count; i++) {
        uint64_t bytes = files->sizes[i], pages = (bytes + BENCH_PAGE - 1) / BENCH_PAGE;
        for (unsigned attempt = 0; bench_cached_pages(files->fds[i], bytes) < pages; attempt++) {
            if (attempt == 5) {
                bench_die("%s does not stay in the page cache: too little free memory?",
                          files->keys[i]);
            }
            file_read_all(files->fds[i], bytes, piece);
        }
    }
}

void bench_files_drop(const struct bench_files *files)
{
    for (unsigned i = 0; i < files->count; i++) {
        for (unsigned attempt = 0; bench_cached_pages(files->fds[i], files->sizes[i]) > 0;
             attempt++) {
            if (attempt == 50) {
                bench_die("%s cannot be dropped from the page cache", files->keys[i]);
            }
            if (attempt > 0) {
                usleep(20000);
            }
            fsync(files->fds[i]);
            posix_fadvise(files->fds[i], 0, 0, POSIX_FADV_DONTNEED);
        }
    }
}
