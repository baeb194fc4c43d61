/* SPDX-License-Identifier: MIT */
/*
 * Design: cmocka runs a group once per variant; the variant of the running group is a global of the
 * test program, because cmocka hands groups no argument.
 */
#define _GNU_SOURCE
#include "api_bucket.h"
#include "api_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *loop;
    unsigned kind;
} variant;

/* --------------------------------------------------------------------------------- pattern -- */

static uint64_t word_at(uint32_t object, uint64_t index)
{
    uint64_t x = (index + 1) * UINT64_C(0x9e3779b97f4a7c15) + object * UINT64_C(0xbf58476d1ce4e5b9);

    x ^= x >> 29;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 32;
}

void api_fill(void *into, uint32_t object, uint64_t offset, uint64_t count)
{
    uint8_t *bytes = into;

    while (count) {
        uint64_t word = word_at(object, offset / 8);
        uint64_t skip = offset % 8, part = 8 - skip < count ? 8 - skip : count;
        memcpy(bytes, (const uint8_t *)&word + skip, part);
        bytes += part;
        offset += part;
        count -= part;
    }
}

uint64_t api_mismatch(const void *bytes, uint32_t object, uint64_t offset, uint64_t count)
{
    const uint8_t *at = bytes;
    uint8_t want[512];

    for (uint64_t done = 0; done < count;) {
        uint64_t part = count - done < sizeof(want) ? count - done : sizeof(want);
        api_fill(want, object, offset + done, part);
        for (uint64_t i = 0; memcmp(at + done, want, part) != 0 && i < part; i++)
            if (at[done + i] != want[i])
                return done + i;
        done += part;
    }
    return count;
}

void api_check(const void *bytes, uint32_t object, uint64_t offset, uint64_t count)
{
    uint64_t at = api_mismatch(bytes, object, offset, count);

    if (at != count)
        fail_msg("object %u: the bytes at offset %llu (%llu of %llu) are wrong", object,
                 (unsigned long long)(offset + at), (unsigned long long)at,
                 (unsigned long long)count);
}

bool api_all(const void *bytes, uint8_t value, uint64_t count)
{
    const uint8_t *at = bytes;

    return count == 0 || (at[0] == value && memcmp(at, at + 1, count - 1) == 0);
}

/* --------------------------------------------------------------------------------- objects -- */

static void path_of(const struct api *api, const char *key, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s/%s", api->dir, key);
}

static void folders_make(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0755);
        *slash = '/';
    }
}

/* Directories have it already. */
static void store_put(struct api *api, const char *key, const void *data, uint64_t bytes)
{
    if (api->kind == API_MEMORY)
        assert_int_equal(lsio_memory_put(api->store, key, data, bytes), 0);
    else if (api->kind == API_BUCKET)
        bucket_put(api, key, data, bytes);
}

void api_put(struct api *api, const char *key, uint32_t object, uint64_t bytes)
{
    char path[512];
    void *data = malloc(bytes + 1);
    int fd;

    assert_non_null(data);
    api_fill(data, object, 0, bytes);
    path_of(api, key, path, sizeof(path));
    folders_make(path);
    fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    for (uint64_t done = 0; done < bytes;) {
        ssize_t count = write(fd, (char *)data + done, bytes - done);
        assert_true(count > 0);
        done += (uint64_t)count;
    }
    close(fd);
    if (api->store)
        store_put(api, key, data, bytes);
    free(data);
}

int64_t api_oracle(const struct api *api, const char *key, int64_t offset, uint64_t length,
                   void *into, uint64_t into_bytes)
{
    char path[512];
    struct stat stat;
    uint64_t size, at = (uint64_t)offset, back = offset < 0 ? 0 - (uint64_t)offset : 0;
    int64_t status = 0;
    int fd;

    if (length == 0)
        return 0;
    if (offset < 0 && length != LSIO_TO_END && length > back)
        return -EINVAL;
    path_of(api, key, path, sizeof(path));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &stat) != 0)
        return -errno;
    size = (uint64_t)stat.st_size;
    if (offset < 0 && length == LSIO_TO_END)
        at = back > size ? 0 : size - back;
    else if (offset < 0)
        at = size - back; /* beyond the start it wraps, and is beyond the end then */
    if (at > size || (length != LSIO_TO_END && length > size - at))
        status = LSIO_E_TRUNCATED;
    else if (length == LSIO_TO_END)
        length = size - at;
    if (status == 0 && length > into_bytes)
        status = LSIO_E_NO_SPACE;
    if (status == 0)
        status = pread(fd, into, length, (off_t)at);
    close(fd);
    return status;
}

/* ----------------------------------------------------------------------------- the fixture -- */

/* LSIO_TEST_GATES_OFF: a number, or a name of enum lsio_gate without LSIO_GATE_. */
static uint32_t gates_off(void)
{
    static const char *const names[] = {
        "DEFER_TASKRUN",    "SINGLE_ISSUER",      "COOP_TASKRUN", "DIRECT_DESCRIPTORS",
        "REGISTERED_FILES", "REGISTERED_BUFFERS", "CACHESTAT"};
    const char *text = getenv("LSIO_TEST_GATES_OFF");
    char *end = NULL;
    unsigned long gates;

    if (!text || !*text)
        return 0;
    for (uint32_t i = 0; i < COUNT(names); i++)
        if (strcmp(text, names[i]) == 0)
            return 1u << i;
    gates = strtoul(text, &end, 0);
    if (*end) {
        fprintf(stderr, "LSIO_TEST_GATES_OFF=%s names no gate\n", text);
        abort();
    }
    return (uint32_t)gates;
}

struct lsio_config api_config(const struct api *api)
{
    return (struct lsio_config){.struct_bytes = sizeof(struct lsio_config),
                                .workers = 3,
                                .memory_bytes_max = 32 * MIB,
                                .loop = api->loop,
                                .gates_off = gates_off()};
}

int api_try_open(struct api *api, struct lsio_context *context, const struct lsio_option *options,
                 size_t option_count, struct lsio_store **out)
{
    if (api->kind == API_BUCKET)
        return bucket_open(api, context, options, option_count, out);
    return lsio_store_open(context, api->url, options, option_count, out);
}

struct lsio_store *api_open(struct api *api, struct lsio_context *context,
                            const struct lsio_option *options, size_t option_count)
{
    struct lsio_store *store = NULL;

    assert_int_equal(api_try_open(api, context, options, option_count, &store), 0);
    return store;
}

static void store_refill(struct api *api, const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir)) != NULL) {
        char path[1024];
        struct stat stat;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        assert_int_equal(lstat(path, &stat), 0);
        if (S_ISDIR(stat.st_mode)) {
            store_refill(api, path);
        } else if (S_ISREG(stat.st_mode)) {
            void *data = malloc((size_t)stat.st_size + 1);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            assert_int_equal(pread(fd, data, (size_t)stat.st_size, 0), stat.st_size);
            close(fd);
            store_put(api, path + strlen(api->dir) + 1, data, (uint64_t)stat.st_size);
            free(data);
        }
    }
    if (dir)
        closedir(dir);
}

/* The kernel gives back what rings have locked a while after they were closed, here or by a program
 * that has ended: a user who may lock little (RLIMIT_MEMLOCK) has to wait for it. */
static int context_create(const struct lsio_config *config, struct lsio_context **out)
{
    int status = lsio_context_create(config, out);

    for (int tries = 0; status == -ENOMEM && tries < 250; tries++) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        status = lsio_context_create(config, out);
    }
    return status;
}

void api_remake(struct api *api, const struct lsio_config *config,
                const struct lsio_option *options, size_t option_count)
{
    struct lsio_config usual = api_config(api);

    if (api->context)
        assert_int_equal(lsio_context_destroy(api->context), 0);
    api->context = NULL;
    assert_int_equal(context_create(config ? config : &usual, &api->context), 0);
    api->store = api_open(api, api->context, options, option_count);
    if (api->kind == API_MEMORY) /* it went with its context */
        store_refill(api, api->dir);
}

static int test_setup(void **state)
{
    struct api *api = calloc(1, sizeof(*api));
    const char *root = getenv("TMPDIR");

    if (!api)
        return -1;
    api->loop = variant.loop;
    api->kind = variant.kind;
    api->local = api->kind == API_LOCAL;
    api->url = api->local                ? api->dir
               : api->kind == API_MEMORY ? "memory://test"
                                         : "s3://bucket/data";
    api->bad_key = api->kind == API_BUCKET ? -ENOENT : -EINVAL;
    api->descriptors = api_descriptors();
    if (api->kind == API_BUCKET)
        bucket_begin(api);
    snprintf(api->dir, sizeof(api->dir), "%.100s/lsio-api-XXXXXX", root && *root ? root : "/tmp");
    if (!mkdtemp(api->dir))
        return -1;
    *state = api;
    api_remake(api, NULL, NULL, 0);
    return 0;
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int test_teardown(void **state)
{
    struct api *api = *state;
    int status = api->context ? lsio_context_destroy(api->context) : 0;
    int descriptors;

    bucket_end(api);
    descriptors = api_descriptors();
    nftw(api->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (status)
        print_error("lsio_context_destroy: %d\n", status);
    if (descriptors != api->descriptors) {
        print_error("%d descriptors are open, %d were before\n", descriptors, api->descriptors);
        status = -1;
    }
    free(api);
    return status;
}

bool api_loop_is_there(const char *name)
{
    struct lsio_config config = {.struct_bytes = sizeof(config), .workers = 1, .loop = name};
    struct lsio_context *context;

    return context_create(&config, &context) == 0 && lsio_context_destroy(context) == 0;
}

int api_run_tests(const char *group, const struct CMUnitTest *tests, size_t count, unsigned stores)
{
    static const char *const loops[] = {"uring", "epoll"};
    static const char *const kinds[] = {"memory", "local", "bucket"};
    struct CMUnitTest *with_setup = calloc(count, sizeof(*with_setup));
    int failures = 0;

    for (size_t i = 0; i < count; i++) {
        with_setup[i] = tests[i];
        with_setup[i].setup_func = test_setup;
        with_setup[i].teardown_func = test_teardown;
    }
    for (size_t i = 0; i < COUNT(kinds) * COUNT(loops); i++) {
        char name[128];
        variant.loop = loops[i / COUNT(kinds)];
        variant.kind = 1u << i % COUNT(kinds);
        if (!(stores & variant.kind) || (variant.kind == API_BUCKET && !BUCKET_IS_THERE))
            continue;
        if (!api_loop_is_there(variant.loop)) {
            print_message("loop %s cannot run here: left out\n", variant.loop);
            continue;
        }
        snprintf(name, sizeof(name), "%s: %s, %s", group, variant.loop, kinds[i % COUNT(kinds)]);
        failures += _cmocka_run_group_tests(name, with_setup, count, NULL, NULL);
    }
    free(with_setup);
    return failures;
}

/* ----------------------------------------------------------------------------- short words -- */

struct lsio_object api_object(const struct api *api, const char *key)
{
    return (struct lsio_object){.store = api->store, .key = key, .size = LSIO_SIZE_UNKNOWN};
}

struct lsio_request api_request(struct lsio_object *objects, size_t object_count,
                                struct lsio_chunk *chunks, size_t chunk_count,
                                struct lsio_result *results)
{
    return (struct lsio_request){.struct_bytes = sizeof(struct lsio_request),
                                 .objects = objects,
                                 .object_count = object_count,
                                 .chunks = chunks,
                                 .chunk_count = chunk_count,
                                 .results = results};
}

struct lsio_stage api_stage(lsio_stage_fn *run, uint32_t flags, void *user)
{
    return (struct lsio_stage){.struct_bytes = sizeof(struct lsio_stage),
                               .name = "test",
                               .run = run,
                               .user = user,
                               .flags = flags};
}

struct lsio_stats api_stats(struct lsio_context *context)
{
    struct lsio_stats stats = {.struct_bytes = sizeof(stats)};

    assert_int_equal(lsio_context_stats(context, &stats), 0);
    return stats;
}

struct lsio_progress api_progress(struct lsio_batch *batch)
{
    struct lsio_progress progress = {.struct_bytes = sizeof(progress)};

    assert_int_equal(lsio_batch_progress(batch, &progress), 0);
    return progress;
}

int api_wait(struct lsio_batch *batch)
{
    int status = 1;
    int error = lsio_batch_wait(batch, 60000, &status);

    if (error) { /* a hung batch cannot be torn down either */
        fprintf(stderr, "the batch did not end within a minute: %s\n", lsio_status_name(error));
        abort();
    }
    return status;
}

unsigned api_scale(void)
{
    const char *text = getenv("LSIO_TEST_SCALE");
    int scale = text ? atoi(text) : 1;

    return scale > 0 ? (unsigned)scale : 1;
}

int api_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = -1; /* the directory's own */

    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

int api_connections(const struct api *api)
{
    int count = 0;

    for (int fd = 0; fd < 1024 && api->kind == API_BUCKET; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t bytes = sizeof(peer);

        count += getpeername(fd, (struct sockaddr *)&peer, &bytes) == 0 &&
                 ntohs(peer.sin_port) == api->port;
    }
    return count;
}
