/* SPDX-License-Identifier: MIT */
/*
 * between.h - an assertion for numbers that are only nearly known. cmocka 2 deprecates its own,
 * assert_in_range(), and cmocka 1 does not have what takes its place.
 *
 *     assert_between(server_connection_count(server), 1, 6);
 */
#ifndef LSIO_TESTS_BETWEEN_H
#define LSIO_TESTS_BETWEEN_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Unsigned; `least` and `most` are fine. */
#define assert_between(value, least, most)                                                         \
    do {                                                                                           \
        const uint64_t value_ = (value), least_ = (least), most_ = (most);                         \
        if (value_ < least_ || value_ > most_)                                                     \
            fail_msg("%s is %" PRIu64 ", not %" PRIu64 " to %" PRIu64, #value, value_, least_,     \
                     most_);                                                                       \
    } while (0)

#endif
