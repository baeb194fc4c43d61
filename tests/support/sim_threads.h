/* SPDX-License-Identifier: MIT */
/*
 * sim_threads.h - threads whose order a seed decides: the whole library, unchanged, on one kernel
 * thread.
 *
 * Every thread of the program (the application's and the library's workers) is a fiber. A program
 * of tests/sim is linked with its pthread and clock calls taken over (the linker's --wrap, see
 * sim_wraps.c) and compiled, with the library, under sim_points.h, so a switch to another fiber can
 * happen
 *
 *   - at every operation on an atomic, before it takes effect,
 *   - at every lock, unlock, wait and signal,
 *   - at every call of the simulated loop and os (sim_loop.h),
 *   - where a test calls sim_point() itself, in the middle of a stage say,
 *
 * and whether it does, and to whom, is drawn from the seed. Nothing else decides anything: the same
 * seed gives the same run, on any machine, if the test itself does: it must name the number of
 * workers, and use memory of which the alignment does not vary. Memory orders weaker than seq_cst
 * are not simulated.
 *
 * Threads and time: pthread_create, _join, _detach, _self, _setname_np; mutexes (lock, trylock),
 * conditions (also timed), nanosleep, sched_yield and clock_gettime work as ever, in virtual time
 * (sim_now_ns()). They work as real ones outside of sim_threads_begin() .. _end(); objects must not
 * be taken across it, but for unlocked mutexes. Thread-local variables are each fiber's own, and
 * begin as zeros. What is not named here is real and would block everybody.
 *
 * Time passes when every fiber waits: to the earliest of their timeouts and their loops' events.
 * Then at most those run together that one event wakes; so unless switch_permille is given, work
 * takes time too and waits end late, by amounts that the seed picks for the run: events come while
 * others are still at work.
 *
 * When all wait for something that cannot come, that is a hang; when the run passes steps_max
 * points, a livelock: each fiber's state and the seed are printed and the program ends with
 * SIM_STATUS. A misuse (unlocking another's mutex, destroying what is in use, joining twice, ...)
 * is printed likewise and aborts.
 *
 * cmocka's assertions jump to the first fiber's frames: use them there only; elsewhere assert().
 */
#ifndef LSIO_TESTS_SIM_THREADS_H
#define LSIO_TESTS_SIM_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_STATUS 70

struct sim_threads_config {
    uint64_t seed;
    uint32_t switch_permille; /* of points at which a switch is made; 0: the seed picks manners */
    uint64_t steps_max;       /* points until the run counts as a livelock; 0: 50 million */
    const char *replay;       /* how to run this again; printed when the run fails; may be NULL */
};

/* The calling thread becomes the first fiber. Comes after sim_begin() of sim_loop.h. */
void sim_threads_begin(const struct sim_threads_config *config);
/* By the first fiber. All others must have ended: returns how many have not (and abandons them). */
unsigned sim_threads_end(void);
bool sim_threads_running(void); /* between begin and end */

/* Perhaps another fiber runs now. Outside of begin and end nothing happens. */
void sim_point(void);
/* A hash of all decisions so far: equal for two runs of one seed. */
uint64_t sim_threads_trace(void);
/* Points passed so far, and switches made. */
uint64_t sim_threads_points(void);
uint64_t sim_threads_switches(void);
/* A number below `below`, drawn from the seed of the order: for whatever else decides about it. */
uint32_t sim_threads_draw(uint32_t below);
/* Prints `why`, the seed and what every fiber waits for; the program ends with SIM_STATUS. */
_Noreturn void sim_threads_fail(const char *why);

/* ------------------------------------------------------------- for the simulated loop and os -- */

/* Blocks the calling fiber until `ready(data)`, or until virtual time is `until_ns` (SIM_NEVER: no
 * limit). `ready` is asked at each scheduling decision, on any fiber, and must not block. */
void sim_threads_wait(bool (*ready)(void *data), void *data, uint64_t until_ns);

#endif
