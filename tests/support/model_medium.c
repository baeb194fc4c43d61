/* SPDX-License-Identifier: MIT */
/*
 * model_medium.c - see model_medium.h.
 *
 * Time goes from event to event: a first byte, an end. Between two events the number of transfers
 * is constant, and so is the speed of each (processor sharing). An end falls on the first whole
 * nanosecond at which nothing is left. look() answers with a bound from below: from then on other
 * requests may only slow this one down, hence its caller, who looks again at that time, is never
 * late by more than one nanosecond.
 */
#include "model_medium.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#define SECOND_NS 1e9

/* Nanoseconds for `bytes` at that speed, rounded up. */
static uint64_t transfer_ns(double bytes, double bytes_per_second)
{
    return bytes > 0 ? (uint64_t)ceil(bytes * SECOND_NS / bytes_per_second) : 0;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static double stream_speed(const struct model_medium *medium)
{
    double share = (double)medium->config.line_bytes_per_second / medium->transfer_count;
    double stream = (double)medium->config.stream_bytes_per_second;

    return share < stream ? share : stream;
}

/* The time of a move grows with the root of its distance, as the arm speeds up half of the way and
 * slows down the other half (Ruemmler and Wilkes, "An introduction to disk drive modeling", IEEE
 * Computer 27(3), 1994). A short way ahead it is as fast to let the platter pass. */
static uint64_t arm_move(const struct model_medium *medium, uint64_t place)
{
    const struct model_config *config = &medium->config;
    uint64_t far = place > medium->arm ? place - medium->arm : medium->arm - place;
    double root = sqrt(3.0 * (double)far / (double)config->span_bytes);
    uint64_t seek_ns =
        config->settle_ns + (uint64_t)((double)(config->latency_ns - config->settle_ns) * root);
    uint64_t pass_ns = transfer_ns((double)far, (double)config->stream_bytes_per_second);

    return place >= medium->arm && pass_ns < seek_ns ? pass_ns : seek_ns;
}

/* Even over latency +- spread. The generator: Knuth, "The Art of Computer Programming", volume 2,
 * 3.3.4 (MMIX); its high bits are the good ones. */
static uint64_t latency_draw(struct model_medium *medium)
{
    const struct model_config *config = &medium->config;
    double part;

    medium->random = medium->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    part = (double)(medium->random >> 32) / 4294967296.0;
    return config->latency_ns - config->latency_spread_ns +
           (uint64_t)(2.0 * part * (double)config->latency_spread_ns);
}

static void request_start(struct model_medium *medium, struct model_request *request)
{
    const struct model_config *config = &medium->config;
    uint64_t turn_ns = later(medium->now_ns, medium->turn_ns);
    uint64_t latency_ns;

    if (config->requests_per_second)
        medium->turn_ns = turn_ns + (uint64_t)(SECOND_NS / (double)config->requests_per_second);
    if (config->span_bytes) {
        latency_ns = arm_move(medium, request->place);
        medium->arm = request->place + request->bytes;
    } else {
        latency_ns = latency_draw(medium);
    }
    request->state = MODEL_WAITING;
    request->start_ns = medium->now_ns;
    request->first_ns = turn_ns + latency_ns;
    request->left = (double)request->bytes;
    medium->busy[medium->busy_count++] = request;
    if (medium->busy_count > medium->busy_max)
        medium->busy_max = medium->busy_count;
}

static void queue_start(struct model_medium *medium)
{
    while (medium->queue && medium->busy_count < medium->config.connections) {
        struct model_request *request = medium->queue;

        medium->queue = request->next;
        if (!medium->queue)
            medium->queue_end = &medium->queue;
        request_start(medium, request);
    }
}

/* Time passes in which nothing begins or ends. */
static void transfers_go_on(struct model_medium *medium, uint64_t to_ns)
{
    double bytes = (double)(to_ns - medium->now_ns) / SECOND_NS;

    if (medium->transfer_count) {
        bytes *= stream_speed(medium);
        for (uint32_t i = 0; i < medium->busy_count; i++)
            if (medium->busy[i]->state == MODEL_TRANSFER)
                medium->busy[i]->left -= bytes;
    }
    medium->now_ns = to_ns;
}

static uint64_t event_ns(const struct model_medium *medium, const struct model_request *request)
{
    return request->state == MODEL_WAITING
               ? request->first_ns
               : medium->now_ns + transfer_ns(request->left, stream_speed(medium));
}

static uint64_t event_next(const struct model_medium *medium)
{
    uint64_t next = UINT64_MAX;

    for (uint32_t i = 0; i < medium->busy_count; i++) {
        uint64_t event = event_ns(medium, medium->busy[i]);
        next = event < next ? event : next;
    }
    return next;
}

static void busy_remove(struct model_medium *medium, uint32_t i)
{
    medium->transfer_count -= medium->busy[i]->state == MODEL_TRANSFER;
    medium->busy[i]->state = MODEL_DONE;
    medium->busy[i] = medium->busy[--medium->busy_count];
}

static void medium_advance(struct model_medium *medium, uint64_t to_ns)
{
    uint64_t event;

    while ((event = event_next(medium)) <= to_ns) {
        transfers_go_on(medium, event);
        for (uint32_t i = medium->busy_count; i-- > 0;) {
            struct model_request *request = medium->busy[i];

            if (request->state == MODEL_WAITING && request->first_ns <= event) {
                request->state = MODEL_TRANSFER;
                medium->transfer_count++;
            } else if (request->state == MODEL_TRANSFER && event_ns(medium, request) <= event) {
                busy_remove(medium, i);
            }
        }
        queue_start(medium);
    }
    transfers_go_on(medium, to_ns);
}

/* Of a request with a connection to itself, from its first byte on. */
static uint64_t alone_ns(const struct model_medium *medium, double bytes)
{
    return transfer_ns(bytes, (double)medium->config.stream_bytes_per_second);
}

/* When a request that is being transferred ends at the earliest: the others' bytes that the line
 * carries until then are as many as its own, or all that they have left. */
static uint64_t transfer_end(const struct model_medium *medium, const struct model_request *request)
{
    uint64_t own_ns = alone_ns(medium, request->left);
    double bytes = 0;

    for (uint32_t i = 0; i < medium->busy_count; i++) {
        const struct model_request *other = medium->busy[i];

        if (other->state == MODEL_TRANSFER)
            bytes += other->left < request->left ? other->left : request->left;
    }
    return medium->now_ns +
           later(own_ns, transfer_ns(bytes, (double)medium->config.line_bytes_per_second));
}

static int end_compare(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

    return (one > other) - (one < other);
}

/* When a queued request ends at the earliest. With p others before it, it begins at the p + 1st end
 * of all that are busy now or come after them; and as each of those takes a shortest latency at
 * least, so does a whole round of ends. */
static uint64_t queued_end(struct model_medium *medium, const struct model_request *request)
{
    uint64_t least_ns = medium->config.span_bytes
                            ? 0
                            : medium->config.latency_ns - medium->config.latency_spread_ns;
    uint32_t before = 0;

    for (const struct model_request *other = medium->queue; other != request; other = other->next)
        before++;
    for (uint32_t i = 0; i < medium->busy_count; i++) {
        const struct model_request *busy = medium->busy[i];
        uint64_t first_ns = busy->state == MODEL_WAITING ? busy->first_ns : medium->now_ns;

        medium->ends[i] = first_ns + alone_ns(medium, busy->left);
    }
    qsort(medium->ends, medium->busy_count, sizeof(medium->ends[0]), end_compare);
    return medium->ends[before % medium->busy_count] +
           (before / medium->busy_count + 1) * least_ns + alone_ns(medium, (double)request->bytes);
}

void model_medium_init(struct model_medium *medium, const struct model_config *config,
                       uint64_t now_ns)
{
    assert(config->connections && config->connections <= MODEL_CONNECTIONS_MAX &&
           config->latency_spread_ns <= config->latency_ns);
    *medium = (struct model_medium){.config = *config, .now_ns = now_ns};
    medium->queue_end = &medium->queue;
}

void model_medium_begin(struct model_medium *medium, struct model_request *request, uint64_t now_ns)
{
    medium_advance(medium, now_ns);
    medium->requests++;
    medium->bytes += request->bytes;
    request->state = MODEL_QUEUED;
    request->next = NULL;
    *medium->queue_end = request;
    medium->queue_end = &request->next;
    queue_start(medium);
}

uint64_t model_medium_look(struct model_medium *medium, struct model_request *request,
                           uint64_t now_ns)
{
    uint64_t end;

    medium_advance(medium, now_ns);
    switch (request->state) {
    case MODEL_QUEUED:
        end = queued_end(medium, request);
        break;
    case MODEL_WAITING:
        end = request->first_ns + alone_ns(medium, request->left);
        break;
    case MODEL_TRANSFER:
        end = transfer_end(medium, request);
        break;
    default:
        return 0;
    }
    return later(end, now_ns + 1);
}

void model_medium_drop(struct model_medium *medium, struct model_request *request, uint64_t now_ns)
{
    medium_advance(medium, now_ns);
    if (request->state == MODEL_QUEUED) {
        struct model_request **link = &medium->queue;

        while (*link != request)
            link = &(*link)->next;
        *link = request->next;
        if (!*link)
            medium->queue_end = link;
    }
    for (uint32_t i = 0; request->state != MODEL_QUEUED && i < medium->busy_count; i++)
        if (medium->busy[i] == request) {
            busy_remove(medium, i);
            break;
        }
    request->state = MODEL_DONE;
    queue_start(medium);
}
