/* SPDX-License-Identifier: MIT */
/*
 * Planner: the fuzzer's bytes become objects, profiles and chunks; the oracle of plan_case.h checks
 * that every byte asked for is read by one operation, within the bounds of the profile. Inputs
 * whose first byte is odd are option text instead: "key=value" for plan_profile_set().
 */
#include <stddef.h>

#include "../unit/plan_case.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bytes {
    const uint8_t *at;
    size_t left;
};

/* Up to four bytes; zeros when there are no more. */
static uint64_t draw(void *state)
{
    struct bytes *bytes = state;
    size_t count = bytes->left < 4 ? bytes->left : 4;
    uint32_t number = 0;

    memcpy(&number, bytes->at, count);
    bytes->at += count;
    bytes->left -= count;
    return number;
}

static void fuzz_case(const uint8_t *data, size_t size)
{
    static struct plan_case c;
    struct bytes bytes = {data, size};
    struct plan_store stores[] = {{.url = "/a \"quoted\" path"}, {.url = "memory://\n"}};
    char *text = NULL;

    c.draw = draw;
    c.state = &bytes;
    case_make(&c);
    if (!case_run(&c)) {
        fprintf(stderr, "%s\n", c.what);
        abort();
    }
    stores[0].profile = &c.profiles[0];
    stores[1].profile = &c.profiles[1];
    if (plan_explain(&c.input, stores, 2, (int)(size & 1), &text) == 0) {
        free(text);
    }
}

static void fuzz_option(const uint8_t *data, size_t size)
{
    struct plan_profile profile;
    char text[128];
    char *equals;

    if (size >= sizeof(text)) {
        return;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    equals = strchr(text, '=');
    if (!equals) {
        return;
    }
    *equals = '\0';
    plan_profile_builtin("nvme", &profile);
    if (plan_profile_set(&profile, text, equals + 1) == 1 &&
        (profile.request_bytes_max == 0 || profile.inflight_max == 0 || profile.waste_max > 100 ||
         profile.stream_bytes_per_second == 0 || profile.align_bytes == 0 ||
         (profile.align_bytes & (profile.align_bytes - 1)) != 0 || profile.direct > 2)) {
        fprintf(stderr, "senseless value taken for %s\n", text);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && (data[0] & 1)) {
        fuzz_option(data + 1, size - 1);
    } else if (size > 0) {
        fuzz_case(data + 1, size - 1);
    }
    return 0;
}
