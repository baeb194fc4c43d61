/* SPDX-License-Identifier: MIT */
/* The shuffle and byteswap stages against their definitions: all element sizes, odd lengths, any
 * alignment. */
#include "stage_case.h"

#include <errno.h>

static uint8_t input[40000];

static void unshuffle_all_sizes(void **state)
{
    static const uint32_t typesizes[] = {1,  2,  3,  4,  5,  6,  7,  8,   12,
                                         15, 16, 17, 24, 63, 64, 65, 255, 1000};
    static const uint32_t lengths[] = {0,   1,   2,   7,   15,  16,  31,   32,   33,    63,   64,
                                       127, 128, 129, 511, 512, 513, 1000, 4096, 20001, 39999};
    uint8_t *expected = malloc(sizeof(input));

    (void)state;
    for (size_t t = 0; t < sizeof(typesizes) / sizeof(typesizes[0]); t++) {
        struct lsio_shuffle_options options = {sizeof(options), typesizes[t], 0};
        struct lsio_stage stage;
        struct stage_case c;
        assert_int_equal(lsio_stage_shuffle(&options, &stage), 0);
        case_begin(&c, &stage, 1, 0);
        for (size_t l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
            uint32_t bytes = lengths[l], size = typesizes[t], elements = bytes / size;
            memcpy(expected, input, bytes);
            for (uint32_t i = 0; i < elements; i++)
                for (uint32_t j = 0; j < size; j++)
                    expected[i * size + j] = input[j * elements + i];
            assert_int_equal(case_decode(&c, input, bytes, bytes, NULL), 0);
            case_expect(&c, expected, bytes);
        }
        assert_int_equal(case_decode(&c, input, 40000, 39999, NULL), LSIO_E_NO_SPACE);
        case_end(&c);
    }
    free(expected);
}

static void byteswap_all_sizes(void **state)
{
    uint8_t *expected = malloc(sizeof(input));

    (void)state;
    for (uint32_t size = 1; size <= 16; size *= 2) {
        struct lsio_byteswap_options options = {sizeof(options), size, 0};
        struct lsio_stage stage;
        struct stage_case c;
        assert_int_equal(lsio_stage_byteswap(&options, &stage), 0);
        case_begin(&c, &stage, 1, 0);
        for (uint32_t bytes = 0; bytes < 1000; bytes += size) {
            for (uint32_t i = 0; i < bytes; i++)
                expected[i] = input[i / size * size + size - 1 - i % size];
            assert_int_equal(case_decode(&c, input, bytes, bytes, NULL), 0);
            case_expect(&c, expected, bytes);
        }
        if (size > 1) {
            assert_int_equal(case_decode(&c, input, 10 * size + 1, 1000, NULL), LSIO_E_CORRUPT);
            case_expect_text(&c, "whole elements");
        }
        case_end(&c);
    }
    free(expected);
}

static void options(void **state)
{
    struct lsio_byteswap_options swap = {sizeof(swap), 3, 0};
    struct lsio_shuffle_options shuffle = {sizeof(shuffle), 0, 0};
    struct lsio_stage stage;

    (void)state;
    assert_int_equal(lsio_stage_byteswap(&swap, &stage), -EINVAL);
    assert_int_equal(lsio_stage_byteswap(NULL, &stage), -EINVAL);
    assert_int_equal(lsio_stage_shuffle(&shuffle, &stage), -EINVAL);
    assert_int_equal(lsio_stage_shuffle(NULL, &stage), -EINVAL);
    shuffle.typesize = 65537;
    assert_int_equal(lsio_stage_shuffle(&shuffle, &stage), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unshuffle_all_sizes),
        cmocka_unit_test(byteswap_all_sizes),
        cmocka_unit_test(options),
    };
    uint64_t seed = 2;

    for (size_t i = 0; i < sizeof(input); i++)
        input[i] = (uint8_t)case_random(&seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
