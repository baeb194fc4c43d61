/* SPDX-License-Identifier: MIT */
/*
 * profile.c - the built-in profiles and the options that override their fields.
 *
 * The values are starting points, chosen so that a joined read costs less than the two it replaces:
 * gap_bytes is about request cost x stream rate where reads queue behind one another (hdd, cloud),
 * and about CPU per operation x copy rate where they do not (nvme, ssd). A gap above PLAN_COPY_GAP
 * also tells the planner that copying out of a joined buffer is cheaper than one more request. On
 * nvme and ssd a read of 256 KiB or more gains nothing from being joined to the next one, hence the
 * small request_bytes_max; on a disk that seeks and on buckets it is large.
 *
 * Across a network both follow from the other fields (plan_profile_tune). Each request in flight
 * has a stream of its own there, so what one more request costs is what its stream could have
 * brought in the meantime: latency x stream rate; or, where the store limits the rate of requests,
 * what its stream brings until its turn comes, depth / rate x stream rate. Up to that gap joining
 * pays. Of a request ten times as long, a stream is idle for a tenth of the time.
 *
 * Latency and stream rate are guesses until they are given or measured (plan_profile_follow). A
 * measurement counts once it is of FOLLOW_COUNT_MIN requests, and moves the profile only if it is
 * off by more than a quarter: so a profile settles, and does not change from batch to batch with
 * the noise of medians. A limit to the rate of requests cannot be measured without running into it:
 * the built-in one is a guess that counts no more once requests are measured, unless the store has
 * throttled. What the caller has given stays.
 *
 * Tables are constant; any thread.
 */
#include "plan/plan.h"

#include <string.h>

#include "base/error.h"

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)

#define ALIGN_BYTES_MAX MIB(1) /* no device asks for more */

#define SECOND_NS         1e9
#define WAIT_BYTES_MAX    (UINT64_C(1) << 40)
#define REQUEST_WAITS     10u     /* a tuned request is as long as so many waits */
#define REQUEST_BYTES_MAX MIB(64) /* of those that are tuned: memory, and what an error costs */
#define SHARE_WAITS_LEAST 4u      /* shares shorter than such a part of a wait save no time */
#define SHARE_SLACK       32u     /* such a part more, for joins that a slab's end cuts short */
#define SHARE_ROUNDS_MAX  8u      /* with more it matters little how the last one ends */
#define FOLLOW_COUNT_MIN  16u     /* measurements of fewer requests do not count */
#define FOLLOW_PART       4u      /* nor do those that are less than such a part off */

#define TUNED_BYTES (PLAN_TUNED_GAP | PLAN_TUNED_REQUEST | PLAN_TUNED_SPLIT)
#define TUNED_ALL   (TUNED_BYTES | PLAN_TUNED_LATENCY | PLAN_TUNED_STREAM | PLAN_TUNED_RATE)

#define BUILTIN "built-in values"

static const struct plan_profile builtin[] = {
    {
        .name = "nvme",
        .reason = BUILTIN,
        .gap_bytes = KIB(8),
        .gap_bytes_max = KIB(64),
        .request_latency_ns = 80000,
        .stream_bytes_per_second = 3000000000,
        .iops_max = 500000,
        .request_bytes_max = KIB(256),
        .split_bytes = MIB(2),
        .inflight_max = 256,
        .align_bytes = 4096,
        .waste_max = 50,
    },
    {
        .name = "ssd",
        .reason = BUILTIN,
        .gap_bytes = KIB(16),
        .gap_bytes_max = KIB(128),
        .request_latency_ns = 200000,
        .stream_bytes_per_second = 1000000000,
        .iops_max = 80000,
        .request_bytes_max = KIB(512),
        .split_bytes = MIB(2),
        .inflight_max = 64,
        .align_bytes = 4096,
        .waste_max = 50,
    },
    {
        .name = "hdd",
        .reason = BUILTIN,
        .gap_bytes = MIB(1),
        .gap_bytes_max = MIB(4),
        .request_latency_ns = 8000000,
        .stream_bytes_per_second = 150000000,
        .iops_max = 150,
        .request_bytes_max = MIB(8),
        .split_bytes = 0, /* parts would compete for one arm */
        .inflight_max = 4,
        .align_bytes = 4096,
        .waste_max = 50,
        .physical_order = true,
    },
    {
        .name = "hpc",
        .reason = BUILTIN,
        .gap_bytes = KIB(256),
        .gap_bytes_max = MIB(4),
        .request_latency_ns = 500000,
        .stream_bytes_per_second = 1000000000,
        .iops_max = 20000,
        .request_bytes_max = MIB(4),
        .split_bytes = MIB(4),
        .inflight_max = 64,
        .align_bytes = 4096,
        .waste_max = 50,
    },
    {
        .name = "http",
        .reason = BUILTIN,
        .gap_bytes = KIB(256),
        .gap_bytes_max = MIB(4),
        .request_latency_ns = 5000000,
        .stream_bytes_per_second = 100000000,
        .request_bytes_max = MIB(8),
        .split_bytes = MIB(8),
        .inflight_max = 32,
        .align_bytes = 1,
        .waste_max = 50,
        .direct = PLAN_DIRECT_OFF,
        .remote = true,
        .autotune = true,
        .follows = TUNED_ALL,
    },
    {
        .name = "cloud",
        .reason = BUILTIN,
        .gap_bytes_max = MIB(8),
        .request_latency_ns = 30000000,
        .stream_bytes_per_second = 50000000,
        .iops_max = 5000,
        .inflight_max = 128,
        .align_bytes = 1,
        .waste_max = 50,
        .direct = PLAN_DIRECT_OFF,
        .remote = true,
        .autotune = true,
        .tuned = TUNED_BYTES,
        .follows = TUNED_ALL,
    },
    {
        .name = "memory",
        .reason = BUILTIN,
        .gap_bytes = 0,
        .gap_bytes_max = 4096,
        .request_latency_ns = 0,
        .stream_bytes_per_second = 10000000000,
        .request_bytes_max = KIB(64),
        .split_bytes = 0,
        .inflight_max = 64,
        .align_bytes = 1,
        .waste_max = 50,
        .direct = PLAN_DIRECT_OFF,
    },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct plan_profile *builtin_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(builtin); i++) {
        if (strcmp(name, builtin[i].name) == 0) {
            return &builtin[i];
        }
    }
    return NULL;
}

int plan_profile_builtin(const char *name, struct plan_profile *profile)
{
    const struct plan_profile *found = builtin_find(name);

    if (!found) {
        return -EINVAL;
    }
    *profile = *found;
    plan_profile_tune(profile);
    return 0;
}

/* --------------------------------------------------------------- what follows from latency -- */

/* What a stream could bring while it waits for a request's first byte. */
static uint64_t wait_bytes(const struct plan_profile *profile)
{
    double wait_ns = (double)profile->request_latency_ns;
    double bytes;

    if (profile->iops_max != 0) {
        double turn_ns = SECOND_NS * profile->inflight_max / (double)profile->iops_max;

        wait_ns = turn_ns > wait_ns ? turn_ns : wait_ns;
    }
    bytes = wait_ns / SECOND_NS * (double)profile->stream_bytes_per_second;
    return bytes < (double)WAIT_BYTES_MAX ? (uint64_t)bytes : WAIT_BYTES_MAX;
}

void plan_profile_tune(struct plan_profile *profile)
{
    uint64_t wait = wait_bytes(profile);
    uint64_t request = (wait * REQUEST_WAITS + MIB(1) - 1) / MIB(1) * MIB(1);

    request = request < MIB(1) ? MIB(1) : request;
    request = request > REQUEST_BYTES_MAX ? REQUEST_BYTES_MAX : request;
    if (profile->tuned & PLAN_TUNED_GAP) {
        profile->gap_bytes = wait < profile->gap_bytes_max ? wait : profile->gap_bytes_max;
    }
    if (profile->tuned & PLAN_TUNED_REQUEST) {
        profile->request_bytes_max = request;
    }
    if (profile->tuned & PLAN_TUNED_SPLIT) {
        profile->split_bytes = request;
    }
}

/* ------------------------------------------------------------- what follows from measuring -- */

static bool is_off(uint64_t measured, uint64_t said)
{
    return (measured > said ? measured - said : said - measured) > said / FOLLOW_PART;
}

/* The profile with all that can be taken from the measurements. */
static struct plan_profile measured_take(const struct plan_profile *profile,
                                         const struct plan_measured *measured)
{
    const struct plan_profile *guess = builtin_find(profile->name);
    struct plan_profile next = *profile;
    uint32_t fields = 0;

    if (measured->latency_count >= FOLLOW_COUNT_MIN) {
        fields |= profile->follows & (PLAN_TUNED_LATENCY | PLAN_TUNED_RATE);
    }
    if (measured->stream_count >= FOLLOW_COUNT_MIN) {
        fields |= profile->follows & PLAN_TUNED_STREAM;
    }
    if (fields & PLAN_TUNED_LATENCY) {
        next.request_latency_ns = measured->latency_ns;
    }
    if (fields & PLAN_TUNED_STREAM) {
        next.stream_bytes_per_second = measured->stream_bytes_per_second;
    }
    if (fields & PLAN_TUNED_RATE) {
        next.iops_max = measured->throttled && guess ? guess->iops_max : 0;
    }
    next.tuned |= profile->follows & TUNED_BYTES;
    next.followed |= fields | next.tuned;
    plan_profile_tune(&next);
    return next;
}

bool plan_profile_follow(struct plan_profile *profile, const struct plan_measured *measured)
{
    struct plan_profile next = measured_take(profile, measured);

    if (!profile->autotune ||
        !(is_off(next.request_latency_ns, profile->request_latency_ns) ||
          is_off(next.stream_bytes_per_second, profile->stream_bytes_per_second) ||
          next.iops_max != profile->iops_max)) {
        return false;
    }
    *profile = next;
    return true;
}

/* ----------------------------------------------------------------- shares of a short batch -- */

/* Of a join of `bytes` bytes, what may be missing for want of a chunk that fits. */
static uint64_t share_slack(uint64_t bytes, uint64_t chunk_bytes)
{
    uint64_t slack = bytes / SHARE_SLACK + chunk_bytes;

    return slack < bytes / 2 ? slack : bytes / 2;
}

/* Reads of like length end together, so their number should be a multiple of how many are in flight
 * together, or somewhat less: of one more most streams would be idle while it ends. */
uint64_t plan_share_bytes(const struct plan_profile *profile, uint64_t batch_bytes,
                          uint64_t chunk_bytes, uint64_t most)
{
    uint64_t least = wait_bytes(profile) / SHARE_WAITS_LEAST;
    uint64_t each = batch_bytes / profile->inflight_max; /* bytes per stream */
    uint64_t rounds = each / (most - share_slack(most, chunk_bytes)) + 1;
    uint64_t share = each / rounds;

    if (rounds > SHARE_ROUNDS_MAX) {
        return most;
    }
    share += share_slack(share, chunk_bytes);
    share = share < least ? least : share;
    return share < most ? share : most;
}

/* ----------------------------------------------------------------------------- the options -- */

/* How a field's text is read. */
struct profile_field {
    const char *key;
    size_t place;
    bool wide;    /* uint64_t, else uint32_t */
    bool size;    /* may have a suffix */
    bool aligned; /* a power of two */
    uint32_t tuned; /* its bit of enum plan_tuned: once given it stays as it is */
    uint64_t least, most;
};

/* LSIO_SIZE_UNKNOWN and LSIO_TO_END are not sizes; what is left fits off_t. */
#define NAMED(field) .key = #field, .place = offsetof(struct plan_profile, field)
#define SIZE         .wide = true, .size = true, .most = INT64_MAX
#define NUMBER       .wide = true, .most = INT64_MAX

static const struct profile_field fields[] = {
    {NAMED(gap_bytes), SIZE, .tuned = PLAN_TUNED_GAP},
    {NAMED(gap_bytes_max), SIZE},
    {NAMED(request_bytes_max), SIZE, .tuned = PLAN_TUNED_REQUEST, .least = 1},
    {NAMED(split_bytes), SIZE, .tuned = PLAN_TUNED_SPLIT},
    {NAMED(request_latency_ns), NUMBER, .tuned = PLAN_TUNED_LATENCY},
    {NAMED(stream_bytes_per_second), SIZE, .tuned = PLAN_TUNED_STREAM, .least = 1},
    {NAMED(iops_max), NUMBER, .tuned = PLAN_TUNED_RATE},
    {NAMED(inflight_max), .least = 1, .most = UINT32_MAX},
    {NAMED(align_bytes), .size = true, .aligned = true, .least = 1, .most = ALIGN_BYTES_MAX},
    {NAMED(waste_max), .most = 100},
};

/* Bits that a suffix shifts by; -1 for what is none. */
static int suffix_shift(char suffix)
{
    switch (suffix) {
    case 'K':
    case 'k':
        return 10;
    case 'M':
    case 'm':
        return 20;
    case 'G':
    case 'g':
        return 30;
    default:
        return -1;
    }
}

/* Digits, then at most one suffix; no sign, no space, nothing after it. */
static int number_parse(const char *text, bool size, uint64_t *out)
{
    uint64_t number = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');

        if (number > (UINT64_MAX - digit) / 10) {
            return -EINVAL;
        }
        number = number * 10 + digit;
    }
    if (at == text) {
        return -EINVAL;
    }
    if (*at != '\0') {
        int shift = size ? suffix_shift(*at) : -1;

        if (shift < 0 || at[1] != '\0' || number > UINT64_MAX >> shift) {
            return -EINVAL;
        }
        number <<= shift;
    }
    *out = number;
    return 0;
}

/* The place of a word in a list that NULL ends, or -1. */
static int word_find(const char *const *words, const char *value)
{
    for (int i = 0; words[i]; i++) {
        if (strcmp(value, words[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static int direct_set(struct plan_profile *profile, const char *value)
{
    static const char *const words[] = {
        [PLAN_DIRECT_AUTO] = "auto",
        [PLAN_DIRECT_ON] = "on",
        [PLAN_DIRECT_OFF] = "off",
        NULL,
    };
    int found = word_find(words, value);

    if (found < 0) {
        return -EINVAL;
    }
    profile->direct = (uint32_t)found;
    return 1;
}

static int autotune_set(struct plan_profile *profile, const char *value)
{
    static const char *const words[] = {"off", "on", "false", "true", NULL};
    int found = word_find(words, value);

    if (found < 0) {
        return -EINVAL;
    }
    profile->autotune = found % 2 == 1;
    return 1;
}

static int field_set(struct plan_profile *profile, const struct profile_field *field,
                     const char *value)
{
    char *place = (char *)profile + field->place;
    uint64_t number;

    if (number_parse(value, field->size, &number) < 0 || number < field->least ||
        number > field->most || (field->aligned && (number & (number - 1)) != 0)) {
        return -EINVAL;
    }
    if (field->wide) {
        memcpy(place, &number, sizeof(number));
    } else {
        uint32_t narrow = (uint32_t)number;
        memcpy(place, &narrow, sizeof(narrow));
    }
    profile->tuned &= ~field->tuned;
    profile->follows &= ~field->tuned;
    return 1;
}

const char *plan_tuned_name(uint32_t i)
{
    for (size_t k = 0; k < COUNT_OF(fields); k++) {
        if (fields[k].tuned == 1u << i) {
            return fields[k].key;
        }
    }
    return "";
}

int plan_profile_set(struct plan_profile *profile, const char *key, const char *value)
{
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (strcmp(key, fields[i].key) == 0) {
            return value ? field_set(profile, &fields[i], value) : -EINVAL;
        }
    }
    if (strcmp(key, "direct") == 0) {
        return value ? direct_set(profile, value) : -EINVAL;
    }
    if (strcmp(key, "autotune") == 0) {
        return value ? autotune_set(profile, value) : -EINVAL;
    }
    return 0;
}
