/* SPDX-License-Identifier: MIT */
/*
 * Files that are not what they should be, or do not stay so. Keys that name a directory, a FIFO
 * with and without a writer, a socket or a device are refused, however they are asked for, and
 * never wait. While a thread truncates and grows a file, or puts other files in its place, each
 * read is of one state of it or says that there was none: bytes of two files, or bytes from beyond
 * the end, are never handed out as good.
 *
 * (ESTALE, and files written in place: tests/unit/test_local_read.c, tests/api.)
 *
 * LSIO_ROWS: L5 L6 L9
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fault_inject.h"
#include "fault_mix.h"

static void path_of(const struct mix *mix, const char *key, char *out, size_t bytes)
{
    snprintf(out, bytes, "%.160s/%s", mix->files.dir, key);
}

/* ------------------------------------------------------------------------------ special keys -- */

static int socket_make(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0 && strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* In one batch with a file, all at once and in several ways that a range can be asked for. (Not a
 * short explicit range of one that is new: the way for small files looks at nothing before it
 * reads, see below.) */
static void read_special(struct mix *mix, const char *key)
{
    static const struct {
        int64_t offset;
        uint64_t length;
    } ranges[] = {{0, LSIO_TO_END}, {-10, LSIO_TO_END}, {5000, 100000}, {0, 200000}};
    struct lsio_object objects[2] = {{.store = mix->local, .key = key, .size = LSIO_SIZE_UNKNOWN},
                                     {.store = mix->local, .key = "a", .size = LSIO_SIZE_UNKNOWN}};
    static uint8_t dst[COUNT(ranges) + 1][200000];
    struct lsio_chunk chunks[COUNT(ranges) + 1];
    struct lsio_result results[COUNT(ranges) + 1];
    struct lsio_request request = api_request(objects, 2, chunks, COUNT(chunks), results);

    for (size_t i = 0; i < COUNT(chunks); i++)
        chunks[i] = (struct lsio_chunk){.dst = dst[i], .dst_bytes = sizeof(dst[i])};
    for (size_t i = 0; i < COUNT(ranges); i++) {
        chunks[i].offset = ranges[i].offset;
        chunks[i].length = ranges[i].length;
    }
    chunks[COUNT(ranges)].object = 1;
    chunks[COUNT(ranges)].length = 1000;
    lsio_read_batch(mix->context, &request);
    for (size_t i = 0; i < COUNT(ranges); i++)
        if (results[i].status != LSIO_E_UNSUPPORTED)
            fail_msg("%s, range %zu: %s", key, i, lsio_status_name(results[i].status));
    assert_int_equal(results[COUNT(ranges)].status, 0);
    api_check(dst[COUNT(ranges)], 0, 0, 1000);
}

/* The way for small files opens and reads in one go, which waits for what is written to a FIFO.
 * That ends by itself. */
static void read_special_at_first(struct mix *mix, const char *key)
{
    uint8_t dst[100];
    uint64_t got;

    assert_int_equal(lsio_read(mix->context, mix->local, key, 0, sizeof(dst), dst, sizeof(dst),
                               &got),
                     LSIO_E_UNSUPPORTED);
}

/* A deadline ends it sooner, and so does a cancel. */
static void read_special_by_deadline(struct mix *mix, const char *key)
{
    struct lsio_object object = {.store = mix->local, .key = key, .size = LSIO_SIZE_UNKNOWN};
    uint8_t dst[100];
    struct lsio_chunk chunk = {.length = sizeof(dst), .dst = dst, .dst_bytes = sizeof(dst)};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_batch *batch;
    int status;

    request.deadline_ms = 20;
    status = lsio_read_batch(mix->context, &request);
    assert_true(status == LSIO_E_UNSUPPORTED || status == -ETIMEDOUT);
    request.deadline_ms = 0;
    assert_int_equal(lsio_submit_batch(mix->context, &request, &batch), 0);
    assert_int_equal(lsio_batch_cancel(batch), 0);
    status = api_wait(batch);
    assert_true(status == LSIO_E_UNSUPPORTED || status == -ECANCELED);
    assert_int_equal(lsio_batch_destroy(batch), 0);
}

static void keys_of_other_kinds(void **state)
{
    static const char *const keys[] = {"dir", "fifo", "fifo-open", "socket", "null", "zero"};
    char path[300];

    (void)state;
    for (const char *const *loop = mix_loops(); *loop; loop++) {
        struct mix mix;
        int open_fifo, socket;
        mix_make(&mix, *loop);
        path_of(&mix, "fifo", path, sizeof(path));
        assert_int_equal(mkfifo(path, 0600), 0);
        path_of(&mix, "fifo-open", path, sizeof(path));
        assert_int_equal(mkfifo(path, 0600), 0);
        open_fifo = open(path, O_RDWR | O_CLOEXEC); /* has a writer, and nothing in it */
        assert_true(open_fifo >= 0);
        path_of(&mix, "socket", path, sizeof(path));
        socket = socket_make(path);
        path_of(&mix, "null", path, sizeof(path));
        assert_int_equal(symlink("/dev/null", path), 0);
        path_of(&mix, "zero", path, sizeof(path));
        assert_int_equal(symlink("/dev/zero", path), 0);
        assert_true(mix_create(&mix));
        assert_int_equal(lsio_store_open(mix.context, mix.files.dir, NULL, 0, &mix.local), 0);
        fault_watch("a FIFO that is read at first sight");
        read_special_at_first(&mix, "fifo-open");
        for (size_t i = 0; i < COUNT(keys); i++) {
            char label[80];
            snprintf(label, sizeof(label), "%s, loop %s", keys[i], *loop);
            fault_watch(label);
            for (int round = 0; round < 3; round++)
                read_special(&mix, keys[i]);
            if (strcmp(keys[i], "null") != 0 && strcmp(keys[i], "zero") != 0)
                read_special_by_deadline(&mix, keys[i]);
        }
        mix_destroy(&mix);
        close(open_fifo);
        close(socket);
        mix_end(&mix);
    }
    fault_watch(NULL);
}

/* ------------------------------------------------------------------- files that do not stay -- */

#define VERSIONS   4u /* patterns 0 .. 3 */
#define FILE_BYTES (600 * KIB)
#define CHUNKS     30u
#define CHUNK      (20 * KIB)
#define ROUNDS     60

struct vandal {
    const char *dir;
    _Atomic bool stop;
    _Atomic uint32_t done;
};

static void version_write(const char *dir, uint32_t version, const void *bytes)
{
    char fresh[300], path[300];
    int fd;

    snprintf(fresh, sizeof(fresh), "%s/fresh", dir);
    snprintf(path, sizeof(path), "%s/file", dir);
    fd = open(fresh, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, (const char *)bytes + version * FILE_BYTES, FILE_BYTES) < 0)
        abort();
    close(fd);
    if (rename(fresh, path) != 0)
        abort();
}

static uint8_t *versions_make(void)
{
    uint8_t *bytes = malloc(VERSIONS * FILE_BYTES);

    assert_non_null(bytes);
    for (uint32_t i = 0; i < VERSIONS; i++)
        api_fill(bytes + i * FILE_BYTES, i, 0, FILE_BYTES);
    return bytes;
}

static void *replacer(void *data)
{
    struct vandal *vandal = data;
    uint8_t *bytes = versions_make();

    while (!atomic_load(&vandal->stop))
        version_write(vandal->dir, atomic_fetch_add(&vandal->done, 1) % VERSIONS, bytes);
    free(bytes);
    return NULL;
}

/* The same bytes always, but now and then fewer of them. */
static void *truncater(void *data)
{
    struct vandal *vandal = data;
    uint8_t *bytes = malloc(FILE_BYTES);
    char path[300];
    int fd;

    snprintf(path, sizeof(path), "%s/file", vandal->dir);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || !bytes)
        abort();
    api_fill(bytes, 0, 0, FILE_BYTES);
    while (!atomic_load(&vandal->stop)) {
        off_t length = atomic_fetch_add(&vandal->done, 1) * 4099 % FILE_BYTES;
        if (ftruncate(fd, length) != 0 ||
            pwrite(fd, bytes + length, FILE_BYTES - (size_t)length, length) < 0)
            abort();
    }
    close(fd);
    free(bytes);
    return NULL;
}

/* Of which version all of the bytes are; VERSIONS: of none. */
static uint32_t version_of(const uint8_t *bytes, uint64_t offset)
{
    for (uint32_t i = 0; i < VERSIONS; i++)
        if (api_mismatch(bytes, i, offset, CHUNK) == CHUNK)
            return i;
    return VERSIONS;
}

static bool file_did_not_stay(int status)
{
    return status == LSIO_E_CHANGED || status == LSIO_E_TRUNCATED;
}

/* All chunks that are good are of one version: one object, one file. Returns how many are. */
static uint32_t read_and_judge(struct mix *mix, uint8_t *dst)
{
    struct lsio_object object = {.store = mix->local, .key = "file", .size = LSIO_SIZE_UNKNOWN};
    struct lsio_chunk chunks[CHUNKS];
    struct lsio_result results[CHUNKS];
    struct lsio_request request = api_request(&object, 1, chunks, CHUNKS, results);
    uint32_t good = 0, version = VERSIONS;

    for (uint32_t i = 0; i < CHUNKS; i++)
        chunks[i] = (struct lsio_chunk){.offset = (int64_t)(i * CHUNK),
                                        .length = CHUNK,
                                        .dst = dst + i * CHUNK,
                                        .dst_bytes = CHUNK};
    lsio_read_batch(mix->context, &request);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        uint32_t of;
        if (results[i].status != 0) {
            assert_true(file_did_not_stay(results[i].status));
            continue;
        }
        of = version_of(dst + i * CHUNK, i * CHUNK);
        assert_true(of < VERSIONS);
        assert_true(version == VERSIONS || version == of);
        version = of;
        good++;
    }
    return good;
}

/* Reads until the file has been changed often. Then it stays as it is, and all is well. */
static void against(void *(*vandalize)(void *data), const char *what)
{
    uint8_t *dst = malloc(CHUNKS * CHUNK), *versions = versions_make();

    for (const char *const *loop = mix_loops(); *loop; loop++) {
        struct vandal vandal = {0};
        struct mix mix;
        pthread_t thread;
        uint32_t good = 0;
        char label[80];
        mix_make(&mix, *loop);
        vandal.dir = mix.files.dir;
        version_write(vandal.dir, 0, versions);
        assert_true(mix_create(&mix));
        assert_int_equal(lsio_store_open(mix.context, mix.files.dir, NULL, 0, &mix.local), 0);
        assert_int_equal(read_and_judge(&mix, dst), CHUNKS);
        assert_int_equal(pthread_create(&thread, NULL, vandalize, &vandal), 0);
        snprintf(label, sizeof(label), "a file is %s, loop %s", what, *loop);
        fault_watch(label);
        for (int i = 0; i < ROUNDS || atomic_load(&vandal.done) < ROUNDS; i++)
            good += read_and_judge(&mix, dst);
        atomic_store(&vandal.stop, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        print_message("%s: %u good chunks, %u changes\n", label, good, atomic_load(&vandal.done));
        assert_int_equal(read_and_judge(&mix, dst), CHUNKS); /* it stays now */
        mix_destroy(&mix);
        mix_end(&mix);
    }
    fault_watch(NULL);
    free(versions);
    free(dst);
}

static void a_file_that_is_replaced(void **state)
{
    (void)state;
    against(replacer, "replaced");
}

static void a_file_that_is_truncated(void **state)
{
    (void)state;
    against(truncater, "truncated");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_of_other_kinds),
                                       cmocka_unit_test(a_file_that_is_replaced),
                                       cmocka_unit_test(a_file_that_is_truncated)};

    return cmocka_run_group_tests_name("process_files", tests, NULL, NULL);
}
