/* SPDX-License-Identifier: MIT */
/* Design: builds that are slower by LSIO_TEST_SCALE try every so many-th n only. */
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
        if (!torture->is_broken || !torture->is_broken())
            mix_clean(mix);
        fault_resume();
        mix_destroy(mix);
    }
    fault_pause();
    assert_int_equal(ledger_end(), 0);
    assert_int_equal(api_descriptors(), descriptors);
}

static void run_mode(const struct fault_torture *torture, struct mix *mix, bool forever)
{
    const char *loop = mix->config.loop ? mix->config.loop : "by default";
    uint64_t runs = 0;

    for (uint64_t nth = 1; runs == 0 || fault_struck() > 0; nth += api_scale(), runs++) {
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
    if (runs < torture->runs_min / api_scale())
        fail_msg("few calls are seen: are they taken over?");
}

static void run_loop(const struct fault_torture *torture, const char *loop)
{
    struct mix mix;

    mix_make(&mix, loop);
    mix.tolerates = torture->tolerates;
    run_mode(torture, &mix, false);
    run_mode(torture, &mix, true);
    mix_end(&mix);
}

void fault_torture_run(const struct fault_torture *torture)
{
    const char *const *loop = mix_loops();

    if (loop[0] && loop[1])
        run_loop(torture, NULL); /* falls back, perhaps, in the middle of it */
    for (; *loop; loop++)
        run_loop(torture, *loop);
}
