/* SPDX-License-Identifier: MIT */
/* world.c - the real outside world of the providers (see provider.h): system clocks and libcurl. */
#define _GNU_SOURCE /* clock_gettime, nanosleep */
#include "driver/http/credential/provider.h"

#include <time.h>

static uint64_t unix_s(void *data)
{
    time_t now = time(NULL);

    return now > 0 ? (uint64_t)now : 0;
}

static uint64_t now_ms(void *data)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_ms(void *data, uint32_t ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL); /* a signal may shorten it */
}

static int fetch(void *data, const struct fetch_request *request, struct fetch_response *response)
{
    return fetch_curl(data, request, response);
}

void credential_world_init(struct credential_world *world, const struct fetch_client *client)
{
    *world = (struct credential_world){.unix_s = unix_s,
                                       .now_ms = now_ms,
                                       .pause_ms = pause_ms,
                                       .fetch = fetch,
                                       .data = (void *)(uintptr_t)client};
}
