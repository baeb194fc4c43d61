/* SPDX-License-Identifier: MIT */
/*
 * Small limits of the process: open files, locked memory, address space. From nothing to plenty, a
 * context is refused with the limit's errno or works; with few descriptors more files are read than
 * can be open at once; nothing hangs and nothing is left.
 *
 * LSIO_ROWS: L13 L14 L24
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault_child.h"

#define FILES      60u
#define FILE_BYTES 5000u
#define NOBODY     64322 /* a user without a name: root has no limit on locked memory */

/* Sanitizers reserve address space by the terabyte. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ADDRESS_SPACE_CAN_BE_LIMITED false
#else
#define ADDRESS_SPACE_CAN_BE_LIMITED true
#endif

struct job {
    struct mix *mix; /* the parent's: files and tables */
    uint64_t limit;
    _Atomic bool *works; /* shared with the child: says whether all was right */
};

static void limit_set(int what, uint64_t value)
{
    struct rlimit limit = {value, value};

    assert_int_equal(setrlimit(what, &limit), 0);
}

/* ------------------------------------------------------------------------------ open files -- */

static bool no_descriptor(int status)
{
    return status == -EMFILE || status == -ENOSYS; /* a loop by name says so, and logs the errno */
}

/* Reads a part of each of many files in one batch, again and again. */
static uint32_t read_files(struct mix *mix)
{
    struct lsio_object objects[FILES];
    struct lsio_chunk chunks[FILES * 2];
    struct lsio_result results[FILES * 2];
    struct lsio_request request = api_request(objects, FILES, chunks, FILES * 2, results);
    static uint8_t dst[FILES * 2][FILE_BYTES];
    static char keys[FILES][16];
    uint32_t failed = 0;

    for (uint32_t i = 0; i < FILES; i++) {
        snprintf(keys[i], sizeof(keys[i]), "f%u", i);
        objects[i] =
            (struct lsio_object){.store = mix->local, .key = keys[i], .size = LSIO_SIZE_UNKNOWN};
    }
    for (uint32_t i = 0; i < FILES * 2; i++)
        chunks[i] = (struct lsio_chunk){.object = i % FILES,
                                        .offset = i < FILES ? 0 : 1000,
                                        .length = i % 3 ? 700 : LSIO_TO_END,
                                        .dst = dst[i],
                                        .dst_bytes = FILE_BYTES};
    lsio_read_batch(mix->context, &request);
    for (uint32_t i = 0; i < FILES * 2; i++) {
        uint64_t offset = (uint64_t)chunks[i].offset;
        uint64_t bytes = chunks[i].length == LSIO_TO_END ? FILE_BYTES - offset : chunks[i].length;
        failed += results[i].status != 0;
        if (results[i].status != 0) {
            assert_int_equal(results[i].status, -EMFILE);
            continue;
        }
        assert_int_equal(results[i].bytes, bytes);
        api_check(dst[i], 100 + i % FILES, offset, bytes);
    }
    return failed;
}

/* `limit` descriptors more than the program has now. */
static void with_few_descriptors(void **state)
{
    const struct job *job = *state;
    struct mix *mix = job->mix;
    uint32_t failed = 1;

    mix->tolerates = no_descriptor;
    limit_set(RLIMIT_NOFILE, (uint64_t)api_descriptors() + job->limit);
    if (mix_create(mix)) {
        int status = lsio_store_open(mix->context, mix->files.dir, NULL, 0, &mix->local);
        if (status == 0)
            failed = read_files(mix) + read_files(mix);
        else
            assert_int_equal(status, -EMFILE);
        mix_destroy(mix);
    }
    atomic_store(job->works, failed == 0);
}

/* True if `body` says that it worked, under that limit. */
static bool child_works(const char *what, struct mix *mix, uint64_t limit, CMUnitTestFunction body)
{
    static _Atomic bool *works;
    struct job job = {.mix = mix, .limit = limit};
    char label[100];

    if (!works)
        works =
            mmap(NULL, sizeof(*works), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(works, MAP_FAILED);
    job.works = works;
    atomic_store(works, false);
    snprintf(label, sizeof(label), "%s, loop %s: %llu", what,
             mix->config.loop ? mix->config.loop : "by default", (unsigned long long)limit);
    child_run(label, body, &job);
    return atomic_load(works);
}

static void few_descriptors(void **state)
{
    (void)state;
    for (const char *const *loop = mix_loops(); *loop; loop++) {
        struct mix mix;
        bool worked = false;
        mix_make(&mix, *loop);
        for (uint32_t i = 0; i < FILES; i++) {
            char key[16];
            snprintf(key, sizeof(key), "f%u", i);
            api_put(&mix.files, key, 100 + i, FILE_BYTES);
        }
        /* 2 workers have 2 each; then there are the store's root and, for a moment, a directory */
        for (uint64_t limit = 0; limit <= 16; limit++)
            worked = child_works("descriptors left", &mix, limit, with_few_descriptors);
        assert_true(worked);
        mix_end(&mix);
    }
}

/* --------------------------------------------------------------------------- locked memory -- */

static bool no_memory(int status)
{
    return status == -ENOMEM || status == -EAGAIN; /* the latter for want of a thread's stack */
}

/* Kernels before 5.12, and some since 6.14, count rings against the limit: a loop that is chosen by
 * default falls back then. Registered memory is done without in any case. */
static void with_little_locked_memory(void **state)
{
    const struct job *job = *state;
    struct mix *mix = job->mix;

    limit_set(RLIMIT_MEMLOCK, job->limit);
    if (geteuid() == 0 &&
        (chmod(mix->files.dir, 0755) != 0 || setresuid(NOBODY, NOBODY, NOBODY) != 0))
        skip();
    mix->tolerates = mix->config.loop ? no_memory : NULL;
    if (mix_create(mix)) {
        mix_clean(mix);
        mix_clean(mix);
        mix_destroy(mix);
        atomic_store(job->works, true);
    }
}

static void little_locked_memory(void **state)
{
    static const uint64_t limits[] = {0, 4 * KIB, 64 * KIB, 512 * KIB};
    struct mix mix;

    (void)state;
    mix_make(&mix, NULL);
    for (size_t i = 0; i < COUNT(limits); i++) {
        mix.config.loop = NULL;
        assert_true(child_works("locked memory", &mix, limits[i], with_little_locked_memory));
        for (const char *const *loop = mix_loops(); *loop; loop++) {
            mix.config.loop = *loop;
            child_works("locked memory", &mix, limits[i], with_little_locked_memory);
        }
    }
    mix_end(&mix);
}

/* --------------------------------------------------------------------------- address space -- */

static uint64_t address_space_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu", &pages), 1);
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void with_little_address_space(void **state)
{
    const struct job *job = *state;
    struct mix *mix = job->mix;

    limit_set(RLIMIT_AS, address_space_bytes() + job->limit);
    mix->tolerates = no_memory;
    if (mix_create(mix)) {
        mix_round(mix);
        mix_destroy(mix);
        atomic_store(job->works, true);
    }
}

static void little_address_space(void **state)
{
    (void)state;
    if (!ADDRESS_SPACE_CAN_BE_LIMITED)
        skip();
    for (const char *const *loop = mix_loops(); *loop; loop++) {
        struct mix mix;
        bool worked = false;
        mix_make(&mix, *loop);
        for (uint64_t limit = 256 * KIB; limit <= 512 * MIB; limit = limit * 3 / 2)
            worked = child_works("address space", &mix, limit, with_little_address_space);
        assert_true(worked);
        mix_end(&mix);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(few_descriptors),
                                       cmocka_unit_test(little_locked_memory),
                                       cmocka_unit_test(little_address_space)};

    return cmocka_run_group_tests_name("process_limits", tests, NULL, NULL);
}
