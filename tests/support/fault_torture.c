/* SPDX-License-Identifier: MIT */
/* Design: builds that are slower by LSIO_TEST_SCALE try fewer n. */
#include "fault_torture.h"

#include "fault_alloc.h"
#include "fault_calls.h"

#define RUNS_MAX 20000u /* more than any mix can need: a count that does not end */

static void run_once(const struct fault_torture *torture, struct mix *mix, uint64_t nth,
                     bool forever)
{
    int descriptors = api_descriptors();

    fault_calls_begin();
    ledger_begin();
    fault_begin(torture->kinds, nth, forever);
    if (mix_create(mix)) {
        mix_round(mix);
        fault_pause();
        if (torture->settle)
            torture->settle(mix);
        if (!torture->is_broken || !torture->is_broken())
            mix_clean(mix);
        fault_resume();
        mix_destroy(mix);
    }
    fault_pause();
    assert_int_equal(ledger_end(), 0);
    assert_int_equal(api_descriptors(), descriptors);
}

static void run_mode(const struct fault_torture *torture, struct mix *mix, uint64_t first,
                     bool forever)
{
    const char *loop = mix->config.loop ? mix->config.loop : "by default";
    uint64_t step = (torture->step ? torture->step : 1) * api_scale(), runs = 0;

    for (uint64_t nth = first; runs == 0 || fault_struck() > 0; nth += step, runs++) {
        char label[160];
        snprintf(label, sizeof(label), "%s, %s: call %llu fails%s", torture->what, loop,
                 (unsigned long long)nth, forever ? ", and all later ones" : "");
        fault_watch(label);
        mix->label = label;
        run_once(torture, mix, nth, forever);
        if (runs > RUNS_MAX)
            fail_msg("%s: the calls have no end", label);
    }
    fault_watch(NULL);
    print_message("%s, %s, %s: %llu runs\n", torture->what, loop, forever ? "for ever" : "once",
                  (unsigned long long)runs);
    if (runs < torture->runs_min / step)
        fail_msg("few calls are seen: are they taken over?");
}

/* `turn`: of the loops; with a step, each tries other n than the one before. */
static void run_loop(const struct fault_torture *torture, const char *loop, uint64_t turn)
{
    uint64_t first = 1 + (torture->step ? turn % torture->step : 0);
    struct mix mix;

    mix_make(&mix, loop);
    mix.tolerates = torture->tolerates;
    if (torture->prepare)
        torture->prepare(&mix);
    run_mode(torture, &mix, first, false);
    run_mode(torture, &mix, first, true);
    mix_end(&mix);
}

void fault_torture_run(const struct fault_torture *torture)
{
    const char *const *loop = mix_loops();
    uint64_t turn = 0;

    if (loop[0] && loop[1])
        run_loop(torture, NULL, turn++); /* falls back, perhaps, in the middle of it */
    for (; *loop; loop++)
        run_loop(torture, *loop, turn++);
}
