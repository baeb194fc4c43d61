/* SPDX-License-Identifier: MIT */
/*
 * O_DIRECT: how ranges are cut, when it is used, what happens where it is refused.
 *
 * LSIO_ROWS: L16
 */
#define _GNU_SOURCE

#include "local_fixture.h"

#include "driver/local/direct.h"

#define FILE_BYTES ((UINT64_C(40) << 20) + 12345)

static struct loop_os os;
static uint8_t *memory; /* 64 MiB, 4096-aligned */

/* --------------------------------------------------------------------------------- cutting -- */

static uint64_t random_next(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 24;
}

/* Follows the pieces of a range to its end and checks each. */
static void cut_all(uint64_t offset, uint64_t bytes, uint8_t *addr, bool padded, uint32_t align)
{
    uint64_t done = 0;
    unsigned pieces = 0;

    while (done < bytes) {
        struct direct_piece piece;
        uint64_t at = offset + done, left = bytes - done, end;
        direct_cut(at, left, addr + done, padded, done > 0, align, &piece);
        assert_true(piece.begin <= at && piece.end > at);
        end = piece.end < at + left ? piece.end : at + left;
        switch (piece.way) {
        case DIRECT_IN_PLACE:
            assert_int_equal((piece.begin | piece.end | (uintptr_t)piece.addr) % align, 0);
            assert_ptr_equal(piece.addr + (at - piece.begin), addr + done);
            if (!padded)
                assert_true(piece.begin == at && piece.end <= at + left);
            break;
        case DIRECT_BOUNCE:
            assert_int_equal((piece.begin | piece.end) % align, 0);
            assert_true(at - piece.begin < align && piece.end >= at + left);
            assert_true(piece.end - (at + left) < align);
            break;
        case DIRECT_CACHED:
            assert_int_equal(piece.begin, at);
            assert_ptr_equal(piece.addr, addr + done);
            assert_true(piece.end <= at + left);
            assert_true(piece.end - piece.begin < align);
            break;
        }
        done += end - at;
        pieces++;
        assert_true(pieces <= 3);
    }
    assert_int_equal(done, bytes);
}

static void random_cuts(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        uint32_t align = 512u << random_next(&seed) % 4;
        uint64_t offset = random_next(&seed) % 100000;
        uint64_t bytes = 1 + random_next(&seed) % (random_next(&seed) % 2 ? 2000000 : 9000);
        uintptr_t addr = 0x10000000 + random_next(&seed) % 8192;
        unsigned how = (unsigned)random_next(&seed) % 4;
        if (how == 1) /* congruent */
            addr = 0x10000000 + offset % 4096;
        if (how == 2) /* aligned */
            addr = 0x10000000, offset -= offset % 4096, bytes += 4096 - bytes % 4096;
        cut_all(offset, bytes, (uint8_t *)addr, false, align);
        cut_all(offset, bytes, (uint8_t *)(0x10000000 + offset % 4096), true, align);
    }
}

static void known_cuts(void **state)
{
    struct direct_piece piece;
    uint8_t *base = (uint8_t *)(uintptr_t)0x10000000;

    (void)state;
    /* a pool buffer: the blocks around it, in place */
    direct_cut(5000, 100, base + 5000 % 4096, true, false, 4096, &piece);
    assert_int_equal(piece.way, DIRECT_IN_PLACE);
    assert_true(piece.begin == 4096 && piece.end == 8192 && piece.addr == base);
    /* a short range of a caller's: through a buffer */
    direct_cut(5000, 100, base + 5000 % 4096, false, false, 4096, &piece);
    assert_int_equal(piece.way, DIRECT_BOUNCE);
    /* a long one that is aligned like the file: head, middle, tail */
    direct_cut(5000, 1 << 20, base + 5000 % 4096, false, false, 4096, &piece);
    assert_int_equal(piece.way, DIRECT_CACHED);
    assert_true(piece.begin == 5000 && piece.end == 8192);
    direct_cut(8192, (1 << 20) - 3192, base + 4096, false, true, 4096, &piece);
    assert_int_equal(piece.way, DIRECT_IN_PLACE);
    assert_true(piece.end % 4096 == 0);
    direct_cut(piece.end, 904, piece.addr + (piece.end - piece.begin), false, true, 4096, &piece);
    assert_int_equal(piece.way, DIRECT_CACHED);
    /* one that is not: through a buffer */
    direct_cut(5000, 1 << 20, base + 1, false, false, 4096, &piece);
    assert_int_equal(piece.way, DIRECT_BOUNCE);
}

static void alignments(void **state)
{
    struct plan_profile profile = {.align_bytes = 1};
    struct os_stat stat = {0};

    (void)state;
    assert_int_equal(direct_alignment(&stat, &profile), 4096);
    stat.direct_memory_align = 4;
    stat.direct_offset_align = 512;
    assert_int_equal(direct_alignment(&stat, &profile), 512);
    profile.align_bytes = 4096;
    assert_int_equal(direct_alignment(&stat, &profile), 4096);
    stat.direct_offset_align = 16384;
    assert_int_equal(direct_alignment(&stat, &profile), 16384);
}

/* --------------------------------------------------------------------------------- reading -- */

static struct local_fixture *begin(const char *option)
{
    struct local_fixture *f;

    os = loop_os_linux;
    if (!memory)
        memory = aligned_alloc(4096, 64 << 20);
    f = local_begin("controlled", &os, option);
    rig_file_write(f->directory, "x", FILE_BYTES, 1);
    return f;
}

static int setup_on(void **state)
{
    *state = begin("direct=on");
    return 0;
}

static int setup_auto(void **state)
{
    struct local_fixture *f = begin("direct=auto");

    f->rigs[0].env.cache_bytes = f->rigs[1].env.cache_bytes = 1 << 20;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    local_end(*state);
    return 0;
}

/* False: this file system has no O_DIRECT, so there is nothing to test. */
static bool supported(struct local_fixture *f)
{
    int fd = open(local_path(f, "x"), O_RDONLY | O_DIRECT);

    if (fd < 0)
        return false;
    close(fd);
    return true;
}

static void read_at(struct local_fixture *f, struct driver_object *object, uint64_t offset,
                    uint64_t bytes, uint64_t skew, bool padded)
{
    struct rig_read read;
    uint8_t *addr = memory + 8192 + (padded ? offset % 4096 : skew);

    memset(memory, 0xcc, 8192 + 4096 + bytes + 8192);
    rig_read_init(&read, object, offset, bytes, addr);
    read.read.padded = padded;
    rig_begin(f->rig, &read);
    rig_wait(&read);
    assert_int_equal(read.read.status, 0);
    assert_int_equal(read.read.bytes_done, bytes);
    rig_check(addr, bytes, 1, offset);
    if (!padded) { /* nothing beside it is touched */
        for (int i = 1; i <= 4096; i++)
            assert_true(addr[-i] == 0xcc && addr[bytes - 1 + (unsigned)i] == 0xcc);
    } else {
        assert_true(memory[8191] == 0xcc);
        assert_true(memory[(8192 + offset % 4096 + bytes + 4095) / 4096 * 4096] == 0xcc);
    }
}

static void everything_arrives(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    uint64_t seed = 7;

    rig_object_init(&object, f->store, "x");
    for (int refuse = 0; refuse < 2; refuse++) {
        f->rig->refuse_bounce = refuse;
        for (int i = 0; i < 150; i++) {
            uint64_t bytes = 1 + random_next(&seed) % (i % 2 ? 5000000 : 20000);
            uint64_t offset = random_next(&seed) % (FILE_BYTES - bytes);
            uint64_t skew = i % 3 == 0 ? offset % 4096 : random_next(&seed) % 4096;
            if (i % 7 == 0)
                bytes = FILE_BYTES - offset < 6000000 ? FILE_BYTES - offset : bytes;
            read_at(f, &object, offset, bytes, skew, i % 4 == 1);
        }
        read_at(f, &object, FILE_BYTES - 1, 1, 0, true);
        read_at(f, &object, FILE_BYTES - 100000, 100000, 3, false);
        read_at(f, &object, 0, FILE_BYTES, 0, false);
        read_at(f, &object, 0, FILE_BYTES, 0, true);
    }
    if (supported(f))
        assert_true(f->rig->env.operations_direct > 100);
    driver_local.finish_object(&object);
}

static void vectors_arrive(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    static const uint64_t steps[] = {4096, 100};

    rig_object_init(&object, f->store, "x");
    for (int i = 0; i < 2; i++) {
        struct iovec iov[16];
        struct rig_read read;
        for (int k = 0; k < 16; k++)
            iov[k] = (struct iovec){memory + k * 65536, steps[i] * 5};
        rig_read_init(&read, &object, 8192, 16 * 5 * steps[i], NULL);
        read.read.iov = iov;
        read.read.iov_count = 16;
        rig_begin(f->rig, &read);
        rig_wait(&read);
        assert_int_equal(read.read.status, 0);
        for (unsigned k = 0; k < 16; k++)
            rig_check(memory + k * 65536, steps[i] * 5, 1, 8192 + k * steps[i] * 5);
    }
    driver_local.finish_object(&object);
}

static void truncated(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;

    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, FILE_BYTES - 10, 11, memory), LSIO_E_TRUNCATED);
    assert_int_equal(rig_read(f->rig, &object, 0, 4096, memory), 0);
    assert_int_equal(truncate(local_path(f, "x"), 1 << 20), 0);
    assert_int_equal(rig_read(f->rig, &object, 0, 2 << 20, memory), LSIO_E_TRUNCATED);
    assert_int_equal(rig_read(f->rig, &object, 0, 1 << 20, memory), 0);
    rig_check(memory, 1 << 20, 1, 0);
    driver_local.finish_object(&object);
}

struct refusing {
    int64_t result;
    bool at_open;
    unsigned seen;
};

static int64_t refuse_direct(const struct loop_op *op, void *data)
{
    struct refusing *refusing = data;

    unsigned flags = op->kind == LOOP_OPEN ? op->open_flags : (unsigned)fcntl(op->fd, F_GETFL);

    if (!(flags & O_DIRECT) || (op->kind == LOOP_OPEN) != refusing->at_open)
        return RIG_REAL;
    refusing->seen++;
    return refusing->result;
}

static void refused(void **state)
{
    struct local_fixture *f = *state;
    static const struct refusing ways[] = {
        {-EINVAL, true, 0}, {-EOPNOTSUPP, true, 0}, {-EINVAL, false, 0}, {-EOPNOTSUPP, false, 0}};

    if (!supported(f))
        skip();
    for (int i = 0; i < 4; i++) {
        struct refusing refusing = ways[i];
        struct driver_object object;
        rig_set_fault(f->rig, refuse_direct, &refusing);
        atomic_store(&f->cache->refused[0], 0);
        cache_forget_store(f->cache, local_store_of(f->store));
        for (int k = 0; k < 3; k++) { /* asked once for the file system */
            rig_object_init(&object, f->store, "x");
            read_at(f, &object, 4096, 100000, 0, false);
            read_at(f, &object, 4096, 100000, 0, true);
            driver_local.finish_object(&object);
        }
        assert_int_equal(refusing.seen, 1);
    }
}

/* A shortage lasts for a batch at most. */
static void no_descriptor_for_once(void **state)
{
    struct local_fixture *f = *state;
    struct refusing emfile = {-EMFILE, true, 0};
    struct driver_object object;
    uint32_t fds_max = f->cache->fds_max;

    rig_set_fault(f->rig, refuse_direct, &emfile);
    for (unsigned i = 1; i <= 3; i++) {
        rig_object_init(&object, f->store, "x");
        read_at(f, &object, 4096, 100000, 0, false);
        read_at(f, &object, 8192, 100000, 0, false);
        assert_int_equal(emfile.seen, i);
        driver_local.finish_object(&object);
    }
    f->cache->fds_max = 1; /* our own limit */
    rig_object_init(&object, f->store, "x");
    read_at(f, &object, 4096, 100000, 0, false);
    assert_int_equal(emfile.seen, 3);
    driver_local.finish_object(&object);
    assert_int_equal(f->rig->env.operations_direct, 0);
    f->cache->fds_max = fds_max;
    rig_object_init(&object, f->store, "x");
    read_at(f, &object, 4096, 100000, 0, false);
    assert_int_equal(emfile.seen, 4);
    driver_local.finish_object(&object);
}

static void a_descriptor_counts_while_it_is_opened(void **state)
{
    struct local_fixture *f = *state;
    static const int64_t ends[] = {-EMFILE, RIG_LATER, RIG_REAL}; /* the second is canceled */
    struct refusing held = {0, true, 0};
    struct driver_object object;
    struct rig_read read;
    bool there = supported(f);

    rig_set_fault(f->rig, refuse_direct, &held);
    for (int i = 0; i < 3; i++) {
        rig_object_init(&object, f->store, "x");
        assert_int_equal(rig_probe(f->rig, &object), 0);
        assert_int_equal(f->cache->fd_count, 1);
        rig_read_init(&read, &object, 4096, 100000, memory);
        held.result = RIG_LATER;
        rig_begin(f->rig, &read);
        rig_turn(f->rig);
        assert_int_equal(f->cache->fd_count, 2);
        held.result = ends[i];
        if (ends[i] == RIG_LATER)
            rig_cancel(&read);
        rig_wait(&read);
        assert_int_equal(read.read.status, ends[i] == RIG_LATER ? -ECANCELED : 0);
        assert_int_equal(f->cache->fd_count, ends[i] == RIG_REAL && there ? 2 : 1);
        driver_local.finish_object(&object);
    }
}

static void other_errors_end_the_read(void **state)
{
    struct local_fixture *f = *state;
    struct refusing eio = {-EIO, false, 0};
    struct driver_object object;

    if (!supported(f))
        skip();
    rig_set_fault(f->rig, refuse_direct, &eio);
    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_read(f->rig, &object, 3, 100000, memory), -EIO);
    assert_int_equal(eio.seen, 1);
    driver_local.finish_object(&object);
}

static void replaced_before_direct_open(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;

    rig_object_init(&object, f->store, "x");
    assert_int_equal(rig_probe(f->rig, &object), 0);
    rig_file_write(f->directory, "y", FILE_BYTES, 2);
    assert_int_equal(rename(local_path(f, "y"), local_path(f, "x")), 0);
    /* the O_DIRECT descriptor would be another file's */
    read_at(f, &object, 0, 1 << 20, 0, false);
    assert_int_equal(f->rig->env.operations_direct, 0);
    driver_local.finish_object(&object);
}

static void many_at_once(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    struct rig_read reads[16];

    f->cache->held_max = 0; /* counted */
    rig_object_init(&object, f->store, "x");
    for (unsigned i = 0; i < 16; i++) {
        rig_read_init(&reads[i], &object, i * 1000000, 1000000, memory + i * 1000000);
        rig_begin(&f->rigs[i % 2], &reads[i]);
    }
    rig_turn(&f->rigs[0]);
    rig_cancel(&reads[2]);
    rig_cancel(&reads[5]);
    for (unsigned i = 0; i < 16; i++) {
        rig_wait(&reads[i]);
        if (i == 2 || i == 5) {
            assert_true(reads[i].read.status == 0 || reads[i].read.status == -ECANCELED);
            continue;
        }
        assert_int_equal(reads[i].read.status, 0);
        rig_check(memory + i * 1000000, 1000000, 1, i * 1000000);
    }
    driver_local.finish_object(&object);
}

/* --------------------------------------------------------------------------------- judging -- */

static uint64_t cached_up_to; /* bytes of the file's begin that are cached */
static unsigned cachestats, looks;
static uint64_t looked_at[4096];
static bool cachestat_works;

static int64_t fake_cached_pages(int fd, uint64_t offset, uint64_t bytes)
{
    (void)fd;
    cachestats++;
    if (!cachestat_works)
        return -ENOSYS;
    if (offset >= cached_up_to)
        return 0;
    return (int64_t)((cached_up_to - offset < bytes ? cached_up_to - offset : bytes) / 4096);
}

static int64_t fake_read_nowait(int fd, void *addr, uint64_t bytes, uint64_t offset)
{
    (void)fd;
    (void)addr;
    assert_int_equal(bytes, 1);
    for (unsigned i = 0; i < looks; i++)
        assert_true(looked_at[i] / 4096 != offset / 4096); /* never the same page twice */
    looked_at[looks++] = offset;
    return offset < cached_up_to ? 1 : -EAGAIN;
}

static bool went_direct(struct local_fixture *f, struct driver_object *object, uint64_t offset)
{
    uint64_t before = f->rig->env.operations_direct;

    assert_int_equal(rig_read(f->rig, object, offset, 100000, memory), 0);
    rig_check(memory, 100000, 1, offset);
    return f->rig->env.operations_direct > before;
}

static void judge(struct local_fixture *f, unsigned *calls)
{
    struct driver_object object;
    unsigned before;

    rig_object_init(&object, f->store, "x");
    object.batch_bytes = 1 << 20; /* fits */
    before = *calls;
    assert_false(went_direct(f, &object, 0));
    assert_false(went_direct(f, &object, UINT64_C(20) << 20));
    assert_int_equal(*calls, before);
    driver_local.finish_object(&object);
    rig_object_init(&object, f->store, "x");
    object.batch_bytes = (1 << 20) + 1;       /* does not */
    assert_false(went_direct(f, &object, 0)); /* cached */
    assert_true(went_direct(f, &object, UINT64_C(20) << 20));
    before = *calls;
    assert_false(went_direct(f, &object, 100)); /* remembered */
    assert_true(went_direct(f, &object, UINT64_C(21) << 20));
    assert_false(went_direct(f, &object, (UINT64_C(16) << 20) - 100)); /* partly cached */
    assert_int_equal(*calls, before);
    driver_local.finish_object(&object);
    /* the next batch looks again */
    cached_up_to = FILE_BYTES;
    rig_object_init(&object, f->store, "x");
    object.batch_bytes = UINT64_C(1) << 40;
    assert_false(went_direct(f, &object, UINT64_C(20) << 20));
    assert_true(*calls > before);
    driver_local.finish_object(&object);
}

static void judged_by_cachestat(void **state)
{
    struct local_fixture *f = *state;

    if (!supported(f))
        skip();
    os.cached_pages = fake_cached_pages;
    cachestat_works = true;
    cached_up_to = UINT64_C(16) << 20;
    cachestats = 0;
    judge(f, &cachestats);
}

static void judged_by_looking(void **state)
{
    struct local_fixture *f = *state;

    if (!supported(f))
        skip();
    os.cached_pages = fake_cached_pages;
    os.read_nowait = fake_read_nowait;
    cachestat_works = false;
    cached_up_to = UINT64_C(16) << 20;
    looks = 0;
    judge(f, &looks);
    assert_true(looks <= 4 * 3);
    /* the gate: cachestat is not even asked */
    cachestats = 0;
    f->rig->env.gates_off = LSIO_GATE_CACHESTAT;
    cachestat_works = true;
    cached_up_to = UINT64_C(16) << 20;
    judge(f, &looks);
    assert_int_equal(cachestats, 0);
}

static void really_cold(void **state)
{
    struct local_fixture *f = *state;
    struct driver_object object;
    int fd = open(local_path(f, "x"), O_RDONLY);
    int64_t pages;

    assert_true(fd >= 0);
    fsync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    pages = loop_os_linux.cached_pages(fd, 0, FILE_BYTES);
    close(fd);
    if (!supported(f) || pages != 0)
        skip();
    rig_object_init(&object, f->store, "x");
    object.batch_bytes = UINT64_C(1) << 40;
    assert_true(went_direct(f, &object, 12345));
    assert_true(went_direct(f, &object, UINT64_C(30) << 20));
    driver_local.finish_object(&object);
}

#define ON(name)   cmocka_unit_test_setup_teardown(name, setup_on, teardown)
#define AUTO(name) cmocka_unit_test_setup_teardown(name, setup_auto, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_cuts),
        cmocka_unit_test(known_cuts),
        cmocka_unit_test(alignments),
        ON(everything_arrives),
        ON(vectors_arrive),
        ON(truncated),
        ON(refused),
        ON(no_descriptor_for_once),
        ON(a_descriptor_counts_while_it_is_opened),
        ON(other_errors_end_the_read),
        ON(replaced_before_direct_open),
        ON(many_at_once),
        AUTO(judged_by_cachestat),
        AUTO(judged_by_looking),
        AUTO(really_cold),
    };
    int status = cmocka_run_group_tests_name("local direct", tests, NULL, NULL);

    free(memory);
    return status;
}
