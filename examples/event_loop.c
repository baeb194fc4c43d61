/* SPDX-License-Identifier: MIT */
/*
 * event_loop.c - reads in the background of a program that lives in epoll.
 *
 * The program answers a timer all the while. It submits a batch, asks for a descriptor that becomes
 * readable when the batch is done, and adds that to the descriptors it waits for. Nothing here
 * blocks on LSIO: lsio_batch_wait() with timeout 0 only fetches the status.
 *
 * usage: event_loop            (makes a file of 64 MiB in a temporary folder and reads it)
 */
#define _POSIX_C_SOURCE 200809L
#include "lsio/lsio.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { CHUNKS = 256, CHUNK_BYTES = 256 * 1024 };

struct program {
    struct lsio_context *context;
    struct lsio_store *store;
    struct lsio_batch *batch;
    struct lsio_chunk *chunks;
    uint8_t *memory;
    int epoll_fd;
    int timer_fd;
    int batch_fd;
    uint64_t ticks;
};

static int make_file(const char *folder)
{
    char path[128];
    uint32_t block[CHUNK_BYTES / 4];
    FILE *file;
    int good = 1;

    snprintf(path, sizeof(path), "%s/numbers", folder);
    file = fopen(path, "wb");
    if (file == NULL)
        return -errno;
    for (uint32_t i = 0; i < CHUNKS; i++) {
        for (uint32_t j = 0; j < CHUNK_BYTES / 4; j++)
            block[j] = i;
        good &= fwrite(block, sizeof(block), 1, file) == 1;
    }
    good &= fclose(file) == 0;
    return good ? 0 : -EIO;
}

static void remove_file(const char *folder)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/numbers", folder);
    unlink(path);
    rmdir(folder);
}

static int watch(struct program *program, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(program->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int start_timer(struct program *program)
{
    struct itimerspec every_millisecond = {{0, 1000000}, {0, 1000000}};

    program->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    program->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (program->epoll_fd < 0 || program->timer_fd < 0 ||
        timerfd_settime(program->timer_fd, 0, &every_millisecond, NULL) != 0)
        return -errno;
    return watch(program, program->timer_fd);
}

/* Copies the descriptors, so only the memory that is read into must stay. */
static int start_reading(struct program *program)
{
    struct lsio_object object = {.store = program->store, .key = "numbers",
        .size = LSIO_SIZE_UNKNOWN};
    struct lsio_request request = {.struct_bytes = sizeof(request), .objects = &object,
        .object_count = 1, .chunks = program->chunks, .chunk_count = CHUNKS};
    int status;

    for (uint64_t i = 0; i < CHUNKS; i++) {
        program->chunks[i] = (struct lsio_chunk){.offset = (int64_t)(i * CHUNK_BYTES),
            .length = CHUNK_BYTES, .dst = program->memory + i * CHUNK_BYTES,
            .dst_bytes = CHUNK_BYTES};
    }
    status = lsio_submit_batch(program->context, &request, &program->batch);
    if (status == 0)
        status = lsio_batch_notify(program->batch, &program->batch_fd);
    return status == 0 ? watch(program, program->batch_fd) : status;
}

static int run(struct program *program)
{
    int status;

    for (;;) {
        struct epoll_event events[8];
        int count = epoll_wait(program->epoll_fd, events, 8, 10000);

        if (count == 0)
            return -ETIMEDOUT;
        if (count < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < count; i++) {
            uint64_t times = 0;

            if (read(events[i].data.fd, &times, sizeof(times)) != (ssize_t)sizeof(times))
                continue;
            if (events[i].data.fd == program->timer_fd) {
                program->ticks += times; /* the program's other duties */
            } else if (lsio_batch_wait(program->batch, 0, &status) == 0) {
                return status;
            }
        }
    }
}

static int check(const struct program *program)
{
    for (uint64_t i = 0; i < CHUNKS * (uint64_t)CHUNK_BYTES / 4; i++) {
        if (((const uint32_t *)(const void *)program->memory)[i] != i / (CHUNK_BYTES / 4))
            return LSIO_E_CORRUPT;
    }
    return 0;
}

int main(void)
{
    struct program program = {.epoll_fd = -1, .timer_fd = -1, .batch_fd = -1};
    char folder[] = "/tmp/lsio-event-loop-XXXXXX";
    int status;

    if (mkdtemp(folder) == NULL)
        return 1;
    program.memory = malloc((size_t)CHUNKS * CHUNK_BYTES);
    program.chunks = calloc(CHUNKS, sizeof(program.chunks[0]));
    status = program.memory != NULL && program.chunks != NULL ? make_file(folder) : -ENOMEM;
    if (status == 0)
        status = lsio_context_create(NULL, &program.context);
    if (status == 0)
        status = lsio_store_open(program.context, folder, NULL, 0, &program.store);
    if (status == 0)
        status = start_timer(&program);
    if (status == 0)
        status = start_reading(&program);
    if (status == 0)
        status = run(&program);
    if (status == 0)
        status = check(&program);
    printf("%d MiB read, %llu timer ticks answered meanwhile: %s\n",
           CHUNKS * (CHUNK_BYTES / 1024) / 1024, (unsigned long long)program.ticks,
           lsio_status_text(status));
    lsio_batch_destroy(program.batch); /* closes batch_fd */
    lsio_context_destroy(program.context);
    close(program.epoll_fd);
    close(program.timer_fd);
    free(program.chunks);
    free(program.memory);
    remove_file(folder);
    return status == 0 ? 0 : 1;
}
