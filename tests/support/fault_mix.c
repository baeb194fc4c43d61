/* SPDX-License-Identifier: MIT */
/*
 * Design: tables first. Every chunk is one line of make_chunks(), with the answer beside the
 * question. The program allocates nothing between mix_create() and mix_destroy(), so that what a
 * ledger finds there is the library's.
 *
 * Chunks that must not be joined with others lie far apart or have a chain; what is joined, split,
 * probed or read in one go is said at each line.
 */
#define _GNU_SOURCE
#include "fault_mix.h"

#include <ftw.h>
#include <unistd.h>

#include "lsio/stages.h"

#define BIG_BYTES      (700 * KIB)
#define ROOM_BYTES     (2 * MIB)
#define PACKED_PATTERN 5u
#define PACKED_BYTES   6000u /* before packing */
#define UNTOUCHED      77

enum { A, SMALL, BIG, PACKED, BROKEN, LOST, MEMORY, MEMORY_PACKED, MEMORY_LOST };

static const char *const keys[MIX_OBJECTS] = {"a",    "dir/small", "big",      "packed", "broken",
                                              "lost", "m/a",       "m/packed", "m/lost"};

/* ----------------------------------------------------------------------------------- chain -- */

static void write_le32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

#define FRAME_HEAD 12u

/* A Zstandard frame of one segment with one raw block (RFC 8878, section 3.1.1), and its CRC-32C.
 */
static size_t pack(uint8_t *out)
{
    write_le32(out, 0xfd2fb528u);
    out[4] = 0xa0; /* frame content size in 4 bytes, single segment */
    write_le32(out + 5, PACKED_BYTES);
    write_le32(out + 9, 1u | PACKED_BYTES << 3); /* last block, raw; 3 bytes */
    api_fill(out + FRAME_HEAD, PACKED_PATTERN, 0, PACKED_BYTES);
    write_le32(out + FRAME_HEAD + PACKED_BYTES, lsio_crc32c(0, out, FRAME_HEAD + PACKED_BYTES));
    return FRAME_HEAD + PACKED_BYTES + 4;
}

/* What stands in for zstd in a build without it. */
static int unframe(struct lsio_call *call)
{
    void *out;
    int error;

    if (call->in_bytes != FRAME_HEAD + PACKED_BYTES)
        return LSIO_E_CORRUPT;
    error = lsio_call_out(call, PACKED_BYTES, &out);
    if (error)
        return error;
    memcpy(out, (const uint8_t *)call->in + FRAME_HEAD, PACKED_BYTES);
    return lsio_call_commit(call, PACKED_BYTES);
}

static int chain_create(struct mix *mix)
{
    struct lsio_stage stages[2];
    int error = lsio_stage_crc32c(NULL, &stages[0]);

    if (error)
        return error;
    error = lsio_stage_zstd(NULL, &stages[1]);
    if (error == LSIO_E_UNSUPPORTED) {
        stages[1] = api_stage(unframe, LSIO_STAGE_WRITES, NULL);
        error = 0;
    }
    if (error) {
        if (stages[0].destroy)
            stages[0].destroy(stages[0].user);
        return error;
    }
    return lsio_chain_create(mix->context, stages, 2, &mix->chain);
}

/* ---------------------------------------------------------------------------------- tables -- */

static uint8_t *room_take(struct mix *mix, uint64_t *used, uint64_t bytes)
{
    uint8_t *at = mix->room + *used;

    *used += (bytes + 63) / 64 * 64;
    assert_true(*used <= ROOM_BYTES);
    return at;
}

static void make_chunks(struct mix *mix)
{
    const uint32_t ok = LSIO_CHUNK_MISSING_OK, alloc = LSIO_CHUNK_ALLOC;
    const uint64_t to_end = LSIO_TO_END;
    const struct {
        uint32_t object, flags;
        int64_t offset;
        uint64_t length, dst_bytes;
        bool packed; /* goes through the chain */
        struct mix_want want;
    } lines[] = {
        {A, 0, 0, 4096, 4096, false, {0, 0, 0, 0, 4096}}, /* three neighbours: one vector */
        {A, 0, 4096, 4096, 4096, false, {0, 0, 0, 4096, 4096}},
        {A, 0, 8192, 100, 100, false, {0, 0, 0, 8192, 100}},
        {A, 0, 50000, 8000, 8000, false, {0, 0, 0, 50000, 8000}}, /* overlaps: read once */
        {A, 0, 53000, 8000, 8000, false, {0, 0, 0, 53000, 8000}},
        {A, 0, 150000, 300, 300, false, {0, 0, 0, 150000, 300}}, /* near ones: joined */
        {A, 0, 150900, 300, 300, false, {0, 0, 0, 150900, 300}},
        {A, 0, -500, 500, 500, false, {0, 0, 0, 299500, 500}}, /* probes */
        {A, alloc, -700, to_end, 0, false, {0, 0, 0, 299300, 700}},
        {A, 0, 299999, to_end, 16, false, {0, 0, 0, 299999, 1}},
        {A, 0, 300000, to_end, 16, false, {0, 0, 0, 300000, 0}},
        {A, alloc, 200000, 20000, 0, false, {0, 0, 0, 200000, 20000}},
        {SMALL, 0, 0, 3000, 3000, false, {0, 0, 1, 0, 3000}}, /* whole files */
        {SMALL, alloc, 0, to_end, 0, false, {0, 0, 1, 0, 3000}},
        {BIG, 0, 0, BIG_BYTES, BIG_BYTES, false, {0, 0, 2, 0, BIG_BYTES}}, /* splits */
        {BIG, alloc, 1, to_end, 0, false, {0, 0, 2, 1, BIG_BYTES - 1}},
        {PACKED, 0, 0, to_end, PACKED_BYTES, true, {0, 0, PACKED_PATTERN, 0, PACKED_BYTES}},
        {PACKED,
         alloc,
         0,
         FRAME_HEAD + PACKED_BYTES + 4,
         0,
         true,
         {0, 0, PACKED_PATTERN, 0, PACKED_BYTES}},
        {PACKED, 0, 0, to_end, PACKED_BYTES - 1, true, {LSIO_E_NO_SPACE, 0, 0, 0, 0}},
        {BROKEN, 0, 0, to_end, PACKED_BYTES, true, {LSIO_E_CORRUPT, 0, 0, 0, 0}},
        {LOST, 0, 0, 10, 10, false, {-ENOENT, 0, 0, 0, 0}},
        {LOST, ok, 5, to_end, 10, false, {0, LSIO_RESULT_MISSING, 0, 0, 0}},
        {A, 0, 299000, 2000, 2000, false, {LSIO_E_TRUNCATED, 0, 0, 0, 0}},
        {A, 0, -10, 20, 20, false, {-EINVAL, 0, 0, 0, 0}},
        {MIX_OBJECTS, 0, 0, 10, 10, false, {-EINVAL, 0, 0, 0, 0}},
        {SMALL, 0, 100, 1000, 999, false, {LSIO_E_NO_SPACE, 0, 0, 0, 0}},
        {A, 0, 7, 0, 0, false, {0, 0, 0, 7, 0}},
        {MEMORY, 0, 1000, 5000, 5000, false, {0, 0, 3, 1000, 5000}},
        {MEMORY, alloc, 0, to_end, 0, false, {0, 0, 3, 0, 40000}},
        {MEMORY, 0, 39999, 2, 2, false, {LSIO_E_TRUNCATED, 0, 0, 0, 0}},
        {MEMORY_PACKED, 0, 0, to_end, PACKED_BYTES, true, {0, 0, PACKED_PATTERN, 0, PACKED_BYTES}},
        {MEMORY_PACKED, alloc, 0, to_end, 0, true, {0, 0, PACKED_PATTERN, 0, PACKED_BYTES}},
        {MEMORY_LOST, ok, 0, 10, 10, false, {0, LSIO_RESULT_MISSING, 0, 0, 0}},
        {MEMORY_LOST, 0, 0, 10, 10, false, {-ENOENT, 0, 0, 0, 0}},
        {A, 0, 250000, 900, 900, false, {0, 0, 0, 250000, 900}}, /* these two are added later */
        {SMALL, alloc, 10, 10, 0, false, {0, 0, 1, 10, 10}},
    };
    uint64_t used = 0;

    _Static_assert(COUNT(lines) == MIX_CHUNKS + MIX_ADDED, "MIX_CHUNKS counts the lines");
    for (size_t i = 0; i < COUNT(lines); i++) {
        mix->chunks[i] = (struct lsio_chunk){.object = lines[i].object,
                                             .flags = lines[i].flags,
                                             .offset = lines[i].offset,
                                             .length = lines[i].length,
                                             .dst_bytes = lines[i].dst_bytes,
                                             .data = lines[i].packed ? mix : NULL};
        mix->wants[i] = lines[i].want;
        if (lines[i].dst_bytes)
            mix->chunks[i].dst = room_take(mix, &used, lines[i].dst_bytes);
    }
}

static void put_bytes(const struct mix *mix, const char *key, const void *bytes, size_t count)
{
    char path[300];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", mix->files.dir, key);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    assert_int_equal(fclose(file), 0);
}

void mix_make(struct mix *mix, const char *loop)
{
    static const struct lsio_option split = {"split_bytes", "256K"};
    const char *root = getenv("TMPDIR");

    memset(mix, 0, sizeof(*mix));
    mix->files.local = true;
    mix->config = (struct lsio_config){.struct_bytes = sizeof(struct lsio_config),
                                       .workers = MIX_WORKERS,
                                       .memory_bytes_max = 16 * MIB,
                                       .loop = loop};
    snprintf(mix->files.dir, sizeof(mix->files.dir), "%.100s/lsio-fault-XXXXXX",
             root && *root ? root : "/tmp");
    assert_non_null(mkdtemp(mix->files.dir));
    mix->url = mix->files.dir;
    mix->options = &split;
    mix->option_count = 1;
    mix->room = malloc(ROOM_BYTES);
    mix->packed = malloc(2 * PACKED_BYTES);
    assert_true(mix->room && mix->packed);
    mix->packed_bytes = pack(mix->packed);
    api_put(&mix->files, "a", 0, 300000);
    api_put(&mix->files, "dir/small", 1, 3000);
    api_put(&mix->files, "big", 2, BIG_BYTES);
    put_bytes(mix, "packed", mix->packed, mix->packed_bytes);
    mix->packed[1000] ^= 1;
    put_bytes(mix, "broken", mix->packed, mix->packed_bytes);
    mix->packed[1000] ^= 1;
    make_chunks(mix);
}

void mix_each_file(const struct mix *mix,
                   void (*take)(const char *key, const void *bytes, size_t count, void *data),
                   void *data)
{
    void *bytes = malloc(BIG_BYTES);

    assert_non_null(bytes);
    for (int i = A; i < LOST; i++) {
        int64_t count = api_oracle(&mix->files, keys[i], 0, LSIO_TO_END, bytes, BIG_BYTES);
        assert_true(count > 0);
        take(keys[i], bytes, (size_t)count, data);
    }
    free(bytes);
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void mix_end(struct mix *mix)
{
    nftw(mix->files.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(mix->room);
    free(mix->packed);
}

/* -------------------------------------------------------------------------------- judgment -- */

/* True if `status` is the proper one; else it must be tolerated. */
static bool is_proper(const struct mix *mix, const char *what, int status, int proper)
{
    if (status == proper)
        return true;
    if (!mix->tolerates || !mix->tolerates(status))
        fail_msg("%s: %s: %s (%d), not %s", mix->label ? mix->label : "mix", what,
                 lsio_status_name(status), status, lsio_status_name(proper));
    return false;
}

static void check_chunk(struct mix *mix, const char *what, uint32_t i)
{
    const struct lsio_result *result = &mix->results[i];
    const struct mix_want *want = &mix->wants[i];
    char name[64];

    snprintf(name, sizeof(name), "%s, chunk %u", what, i);
    if (!is_proper(mix, name, result->status, want->status) || result->status < 0)
        return;
    assert_int_equal(result->flags & LSIO_RESULT_MISSING, want->flags);
    assert_int_equal(result->bytes, want->bytes);
    if (want->bytes) {
        assert_non_null(result->data);
        assert_int_equal(api_mismatch(result->data, want->pattern, want->offset, want->bytes),
                         want->bytes);
    }
}

static void check_chunks(struct mix *mix, const char *what, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (atomic_load(&mix->seen[i]) != 1)
            fail_msg("%s: chunk %u was reported %u times", what, i, atomic_load(&mix->seen[i]));
        check_chunk(mix, what, i);
    }
    assert_int_equal(atomic_load(&mix->done), 1);
}

/* The batch's: that of the failing chunk of lowest index. */
static int proper_status(const struct mix *mix)
{
    for (uint32_t i = 0; i < MIX_CHUNKS; i++)
        if (mix->wants[i].status < 0)
            return mix->wants[i].status;
    return 0;
}

/* True if the call did nothing at all; a call that did something has written each result. */
static bool nothing_began(const struct mix *mix)
{
    return mix->results[0].status == UNTOUCHED && atomic_load(&mix->seen[0]) == 0;
}

/* ---------------------------------------------------------------------------------- phases -- */

static void on_chunk(struct lsio_batch *batch, uint64_t index, const struct lsio_result *result,
                     void *data)
{
    struct mix *mix = data;
    struct lsio_request more = api_request(mix->objects, MIX_OBJECTS, mix->chunks + MIX_CHUNKS,
                                           MIX_ADDED, mix->results + MIX_CHUNKS);
    uint64_t first;

    (void)result;
    if (index < MIX_CHUNKS + MIX_ADDED)
        atomic_fetch_add(&mix->seen[index], 1);
    if (index != 0)
        return;
    atomic_store(&mix->add_error, lsio_batch_add(batch, &more, &first));
    if (atomic_load(&mix->add_error) == 0)
        atomic_store(&mix->added, MIX_ADDED);
}

static void on_done(struct lsio_batch *batch, int status, void *data)
{
    struct mix *mix = data;

    (void)batch;
    (void)status;
    atomic_fetch_add(&mix->done, 1);
}

/* A request of everything, with all that earlier ones left wiped out. */
static struct lsio_request mix_request(struct mix *mix)
{
    struct lsio_request request =
        api_request(mix->objects, MIX_OBJECTS, mix->chunks, MIX_CHUNKS, mix->results);

    for (uint32_t i = 0; i < MIX_OBJECTS; i++)
        mix->objects[i] = (struct lsio_object){.store = i < MEMORY ? mix->local : mix->memory,
                                               .key = keys[i],
                                               .size = LSIO_SIZE_UNKNOWN};
    for (uint32_t i = 0; i < MIX_CHUNKS + MIX_ADDED; i++) {
        mix->results[i] = (struct lsio_result){.status = UNTOUCHED};
        mix->chunks[i].chain = mix->chunks[i].data ? mix->chain : NULL;
        atomic_store(&mix->seen[i], 0);
    }
    atomic_store(&mix->done, 0);
    atomic_store(&mix->added, 0);
    atomic_store(&mix->add_error, 0);
    memset(mix->room, 0xa5, ROOM_BYTES);
    request.on_chunk = on_chunk;
    request.on_done = on_done;
    request.data = mix;
    return request;
}

static void read_all(struct mix *mix)
{
    struct lsio_request request = mix_request(mix);
    int status = lsio_read_batch(mix->context, &request);

    if (!is_proper(mix, "lsio_read_batch", status, proper_status(mix)) && nothing_began(mix))
        return;
    is_proper(mix, "lsio_batch_add", atomic_load(&mix->add_error), 0);
    check_chunks(mix, "read", MIX_CHUNKS + atomic_load(&mix->added));
    for (uint32_t i = 0; i < MIX_CHUNKS + MIX_ADDED; i++)
        if (mix->results[i].status == 0 && (mix->results[i].flags & LSIO_RESULT_ALLOCATED))
            lsio_result_free(mix->results[i].data);
}

static void submit_all(struct mix *mix)
{
    struct lsio_request request = mix_request(mix);
    struct lsio_batch *batch = NULL;
    struct lsio_result *taken = &mix->results[11]; /* one with LSIO_CHUNK_ALLOC */
    int fd;

    if (!is_proper(mix, "lsio_submit_batch", lsio_submit_batch(mix->context, &request, &batch),
                   0)) {
        assert_true(nothing_began(mix));
        return;
    }
    is_proper(mix, "lsio_batch_notify", lsio_batch_notify(batch, &fd), 0);
    api_wait(batch);
    is_proper(mix, "lsio_batch_add", atomic_load(&mix->add_error), 0);
    check_chunks(mix, "submit", MIX_CHUNKS + atomic_load(&mix->added));
    if (taken->status == 0)
        lsio_result_free(lsio_result_take(batch, taken));
    assert_int_equal(lsio_batch_destroy(batch), 0);
}

static void read_one(struct mix *mix)
{
    uint8_t bytes[700];

    for (int i = 0; i < 3; i++) {
        int status = lsio_read(mix->context, mix->local, "a", 1000, sizeof(bytes), bytes,
                               sizeof(bytes), NULL);
        if (is_proper(mix, "lsio_read", status, 0))
            assert_int_equal(api_mismatch(bytes, 0, 1000, sizeof(bytes)), sizeof(bytes));
    }
}

struct names {
    size_t count;
    bool wrong;
};

static int on_page(const struct lsio_list_entry *entries, size_t count, void *data)
{
    static const char *const expected[] = {"a", "big", "broken", "dir/small", "packed"};
    struct names *names = data;

    for (size_t i = 0; i < count; i++, names->count++)
        if (names->count >= COUNT(expected) || strcmp(entries[i].key, expected[names->count]) != 0)
            names->wrong = true;
    return 0;
}

/* Listing and looking; what a listing that failed had found by then counts for nothing. */
static void list_stat_explain(struct mix *mix)
{
    struct lsio_request request = mix_request(mix);
    struct lsio_object_info infos[LOST + 1];
    int statuses[LOST + 1];
    struct names names = {0};
    char *text = NULL;
    int status = lsio_list(mix->local, "", 0, on_page, &names);

    if (is_proper(mix, "lsio_list", status, 0))
        assert_true(names.count == 5 && !names.wrong);
    for (int i = 0; i <= LOST; i++) {
        infos[i].struct_bytes = sizeof(infos[i]);
        statuses[i] = UNTOUCHED;
    }
    status = lsio_stat_batch(mix->context, mix->objects, LOST + 1, infos, 0, statuses);
    is_proper(mix, "lsio_stat_batch", status, -ENOENT);
    for (int i = 0; i <= LOST && statuses[0] != UNTOUCHED; i++)
        is_proper(mix, "stat", statuses[i], i == LOST ? -ENOENT : 0);
    if (statuses[BIG] == 0)
        assert_int_equal(infos[BIG].size, BIG_BYTES);
    status = lsio_explain_batch(mix->context, &request, LSIO_EXPLAIN_JSON, &text);
    if (is_proper(mix, "lsio_explain_batch", status, 0))
        assert_non_null(strstr(text, "{"));
    lsio_result_free(text);
}

/* Best effort: without faults, too, memory may not be there to be registered. What could not be
 * unregistered still is registered, and can be later. */
static void registering(struct mix *mix)
{
    if (!mix->registered)
        mix->registered = lsio_memory_register(mix->context, mix->room, ROOM_BYTES) == 0;
    if (mix->registered && is_proper(mix, "lsio_memory_unregister",
                                     lsio_memory_unregister(mix->context, mix->room), 0))
        mix->registered = false;
}

/* Opens what is not open yet; true if all is there now. */
static bool open_all(struct mix *mix)
{
    int status = 0;

    if (!mix->local)
        status = lsio_store_open(mix->context, mix->url, mix->options, mix->option_count,
                                 &mix->local);
    if (!is_proper(mix, "lsio_store_open", status, 0))
        return false;
    if (!mix->memory)
        status = lsio_store_open(mix->context, "memory://mix", NULL, 0, &mix->memory);
    if (!is_proper(mix, "lsio_store_open, memory", status, 0))
        return false;
    api_fill(mix->room, 3, 0, 40000);
    status = lsio_memory_put(mix->memory, keys[MEMORY], mix->room, 40000);
    if (status == 0)
        status = lsio_memory_put(mix->memory, keys[MEMORY_PACKED], mix->packed, mix->packed_bytes);
    if (!is_proper(mix, "lsio_memory_put", status, 0))
        return false;
    if (!mix->chain)
        status = chain_create(mix);
    return is_proper(mix, "the chain", status, 0);
}

bool mix_create(struct mix *mix)
{
    int status;

    mix->context = NULL;
    mix->local = mix->memory = NULL;
    mix->chain = NULL;
    mix->registered = false;
    status = lsio_context_create(&mix->config, &mix->context);
    return is_proper(mix, "lsio_context_create", status, 0);
}

void mix_round(struct mix *mix)
{
    if (!open_all(mix))
        return;
    registering(mix);
    read_all(mix);
    submit_all(mix);
    read_one(mix);
    list_stat_explain(mix);
}

void mix_clean(struct mix *mix)
{
    bool (*tolerates)(int status) = mix->tolerates;

    mix->tolerates = NULL;
    mix_round(mix);
    mix->tolerates = tolerates;
}

void mix_destroy(struct mix *mix)
{
    assert_int_equal(lsio_context_destroy(mix->context), 0);
    mix->context = NULL;
}

const char *const *mix_loops(void)
{
    static const char *here[3];
    static const char *const loops[] = {"uring", "epoll"};
    size_t count = 0;

    for (size_t i = 0; i < COUNT(loops); i++) {
        struct lsio_config config = {
            .struct_bytes = sizeof(config), .workers = 1, .loop = loops[i]};
        struct lsio_context *context;
        if (lsio_context_create(&config, &context) != 0)
            continue;
        assert_int_equal(lsio_context_destroy(context), 0);
        here[count++] = loops[i];
    }
    here[count] = NULL;
    return here;
}
