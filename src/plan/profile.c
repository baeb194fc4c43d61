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
 * Tables are constant; any thread.
 */
#include "plan/plan.h"

#include <string.h>

#include "base/error.h"

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)

#define ALIGN_BYTES_MAX MIB(1) /* no device asks for more */

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
    },
    {
        .name = "cloud",
        .reason = BUILTIN,
        .gap_bytes = MIB(1),
        .gap_bytes_max = MIB(8),
        .request_latency_ns = 30000000,
        .stream_bytes_per_second = 50000000,
        .iops_max = 5000,
        .request_bytes_max = MIB(16),
        .split_bytes = MIB(16),
        .inflight_max = 128,
        .align_bytes = 1,
        .waste_max = 50,
        .direct = PLAN_DIRECT_OFF,
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

int plan_profile_builtin(const char *name, struct plan_profile *profile)
{
    for (size_t i = 0; i < COUNT_OF(builtin); i++) {
        if (strcmp(name, builtin[i].name) == 0) {
            *profile = builtin[i];
            return 0;
        }
    }
    return -EINVAL;
}

/* How a field's text is read. */
struct profile_field {
    const char *key;
    size_t place;
    bool wide;    /* uint64_t, else uint32_t */
    bool size;    /* may have a suffix */
    bool aligned; /* a power of two */
    uint64_t least, most;
};

/* LSIO_SIZE_UNKNOWN and LSIO_TO_END are not sizes; what is left fits off_t. */
#define NAMED(field) .key = #field, .place = offsetof(struct plan_profile, field)
#define SIZE         .wide = true, .size = true, .most = INT64_MAX
#define NUMBER       .wide = true, .most = INT64_MAX

static const struct profile_field fields[] = {
    {NAMED(gap_bytes), SIZE},
    {NAMED(gap_bytes_max), SIZE},
    {NAMED(request_bytes_max), SIZE, .least = 1},
    {NAMED(split_bytes), SIZE},
    {NAMED(request_latency_ns), NUMBER},
    {NAMED(stream_bytes_per_second), SIZE, .least = 1},
    {NAMED(iops_max), NUMBER},
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

static int direct_set(struct plan_profile *profile, const char *value)
{
    static const char *const names[] = {
        [PLAN_DIRECT_AUTO] = "auto",
        [PLAN_DIRECT_ON] = "on",
        [PLAN_DIRECT_OFF] = "off",
    };

    for (uint32_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            profile->direct = i;
            return 1;
        }
    }
    return -EINVAL;
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
    return 1;
}

int plan_profile_set(struct plan_profile *profile, const char *key, const char *value)
{
    bool is_direct = strcmp(key, "direct") == 0;

    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (strcmp(key, fields[i].key) == 0) {
            return value ? field_set(profile, &fields[i], value) : -EINVAL;
        }
    }
    if (!is_direct) {
        return 0;
    }
    return value ? direct_set(profile, value) : -EINVAL;
}
