/* SPDX-License-Identifier: MIT */
/*
 * direct.c - O_DIRECT: when it pays, and how a range is cut to its alignment.
 *
 * direct = on reads past the page cache whatever it can. direct = auto does so only for data that
 * is not cached, in a batch that reads more of the store than the page cache can be counted on to
 * keep: for less, the first reading would not warm the cache, and each later one would run at the
 * speed of the disk again. What is cached is judged per extent of 16 MiB and remembered for the
 * batch in the file's map (0 unknown, 1 cold, 2 warm). A race of two workers judges twice, with
 * equal results.
 *
 * Where cachestat() cannot tell, four single bytes of the extent are read with "do not wait". Such
 * a look starts the read of its page, so the next batch, which would find exactly those pages
 * cached, looks at others: each round of looking moves on.
 *
 * A read in place needs file offset, length and address aligned. A pool buffer (`padded`) is made
 * for that. A caller's destination is used in place if it is aligned like the offset, with odd ends
 * read through the page cache if the middle is long; else the range goes through a bounce buffer,
 * in pieces of at most 1 MiB, one after the other. No bounce buffer at hand: the page cache after
 * all.
 *
 * A file system that refuses (EINVAL, EOPNOTSUPP) is remembered in the cache by its device. It
 * never fails a read.
 *
 * Threads: on the read's worker, but for the map (atomic bytes).
 */
#include "driver/local/direct.h"

#include <stdlib.h>
#include <string.h>

#include "base/mark.h"

#define ALIGN_DOWN(value, align) ((value) & ~((uint64_t)(align)-1))
#define ALIGN_UP(value, align)   ALIGN_DOWN((value) + (align)-1, align)

#define LOOKS_PER_EXTENT 4u

enum { MAP_UNKNOWN = 0, MAP_COLD = 1, MAP_WARM = 2 };

/* --------------------------------------------------------------------------------- cutting -- */

uint32_t direct_alignment(const struct os_stat *stat, const struct plan_profile *profile)
{
    uint32_t align = 4096;

    if (stat->direct_memory_align > 0 && stat->direct_offset_align > 0)
        align = stat->direct_memory_align > stat->direct_offset_align ? stat->direct_memory_align
                                                                      : stat->direct_offset_align;
    if (align < profile->align_bytes)
        align = profile->align_bytes;
    return align & (align - 1) ? 4096 : align;
}

static void cut_bounce(uint64_t offset, uint64_t bytes, uint32_t align, struct direct_piece *out)
{
    out->way = DIRECT_BOUNCE;
    out->begin = ALIGN_DOWN(offset, align);
    out->end = ALIGN_UP(offset + bytes, align);
    out->addr = NULL;
}

void direct_cut(uint64_t offset, uint64_t bytes, uint8_t *addr, bool padded, bool begun,
                uint32_t align, struct direct_piece *out)
{
    uint64_t over = offset & (align - 1);
    uint64_t head = over ? align - over : 0;
    bool congruent = (((uintptr_t)addr - over) & (align - 1)) == 0;
    uint64_t middle;

    if (padded && congruent && align <= 4096) {
        out->way = DIRECT_IN_PLACE;
        out->begin = offset - over;
        out->end = ALIGN_UP(offset + bytes, align);
        out->addr = addr - over;
        return;
    }
    middle = bytes > head ? ALIGN_DOWN(bytes - head, align) : 0;
    if (!congruent || (middle < DIRECT_MIDDLE_BYTES_MIN && middle < bytes && !begun)) {
        cut_bounce(offset, bytes, align, out);
        return;
    }
    out->addr = addr;
    out->begin = offset;
    if (head == 0 && middle > 0) {
        out->way = DIRECT_IN_PLACE;
        out->end = offset + middle;
    } else {
        out->way = DIRECT_CACHED;
        out->end = offset + (head > 0 && head < bytes ? head : bytes);
    }
}

/* --------------------------------------------------------------------------------- judging -- */

/* How much is cached, by looking at a few places. */
static bool looks_cold(const struct loop_os *os, struct local_file *file, uint64_t begin,
                       uint64_t bytes, uint32_t round)
{
    uint64_t pages = (bytes + file->cache->page_bytes - 1) / file->cache->page_bytes;
    uint64_t stride = pages / LOOKS_PER_EXTENT;
    unsigned looks = stride > 0 ? LOOKS_PER_EXTENT : (unsigned)pages;
    unsigned cached = 0;
    uint8_t byte;

    if (stride == 0)
        stride = 1;
    for (unsigned i = 0; i < looks; i++) {
        uint64_t page = i * stride + (uint64_t)round * 37 % stride;
        if (os->read_nowait(file->fd, &byte, 1, begin + page * file->cache->page_bytes) > 0)
            cached++;
    }
    return cached * 2 < looks;
}

static bool extent_judge(struct driver_env *env, struct local_file *file, uint64_t extent)
{
    uint64_t begin = extent * DIRECT_EXTENT_BYTES;
    uint64_t left = file->stat.size - begin;
    uint64_t bytes = left < DIRECT_EXTENT_BYTES ? left : DIRECT_EXTENT_BYTES;
    int64_t pages = -ENOSYS;

    if (!(env->gates_off & LSIO_GATE_CACHESTAT))
        pages = env->os->cached_pages(file->fd, begin, bytes);
    if (pages >= 0)
        return (uint64_t)pages * file->cache->page_bytes * 4 < bytes;
    LSIO_MARK(cachestat_refused);
    return looks_cold(env->os, file, begin, bytes,
                      atomic_fetch_add_explicit(&file->probe_round, 1, memory_order_relaxed));
}

static struct direct_map *map_of(struct local_file *file)
{
    struct direct_map *map = atomic_load_explicit(&file->map, memory_order_acquire);
    struct direct_map *other = NULL;
    size_t count;

    if (map)
        return map;
    count = (size_t)(file->stat.size / DIRECT_EXTENT_BYTES) + 1;
    map = calloc(1, sizeof(*map) + count);
    if (!map)
        return NULL;
    map->count = count;
    if (atomic_compare_exchange_strong(&file->map, &other, map))
        return map;
    free(map);
    return other;
}

static bool extent_is_cold(struct driver_env *env, struct local_file *file, struct direct_map *map,
                           uint64_t extent)
{
    uint8_t known = atomic_load_explicit(&map->state[extent], memory_order_relaxed);

    if (known == MAP_UNKNOWN) {
        known = extent_judge(env, file, extent) ? MAP_COLD : MAP_WARM;
        atomic_store_explicit(&map->state[extent], known, memory_order_relaxed);
    }
    return known == MAP_COLD;
}

bool direct_decide(struct driver_env *env, const struct driver_read *read, struct local_file *file)
{
    uint64_t end = read->offset + read->bytes;
    struct direct_map *map;

    if (atomic_load_explicit(&file->direct_fd, memory_order_relaxed) == FILE_DIRECT_REFUSED ||
        end > file->stat.size || end < read->offset ||
        cache_refuses_direct(file->cache, file->stat.device))
        return false;
    if (read->object->store->profile.direct == PLAN_DIRECT_ON)
        return true;
    map = map_of(file);
    if (!map)
        return false;
    for (uint64_t at = read->offset / DIRECT_EXTENT_BYTES; at <= (end - 1) / DIRECT_EXTENT_BYTES;
         at++)
        if (!extent_is_cold(env, file, map, at))
            return false;
    return true;
}

/* --------------------------------------------------------------------------------- reading -- */

static void go_cached(struct driver_env *env, struct driver_read *read, struct local_file *file)
{
    read->direct = false;
    local_read_cached(env, read, file);
}

/* Copies to where the read's next bytes go. */
static void copy_out(const struct driver_read *read, const uint8_t *from, uint64_t bytes)
{
    if (!read->iov) {
        memcpy(read->addr + read->progress, from, bytes);
        return;
    }
    for (uint32_t i = 0; i < read->iov_count && bytes > 0; i++) {
        uint64_t part = read->iov[i].iov_len < bytes ? read->iov[i].iov_len : bytes;
        memcpy(read->iov[i].iov_base, from, part);
        from += part;
        bytes -= part;
    }
}

static void direct_failed(struct driver_env *env, struct driver_read *read, struct local_file *file,
                          int64_t result)
{
    if (result == -EINVAL || result == -EOPNOTSUPP) {
        LSIO_MARK(direct_read_refused);
        if (!(read->state & LOCAL_CACHED_PIECE))
            cache_refuse_direct(file->cache, file->stat.device);
        go_cached(env, read, file);
        return;
    }
    read->direct = false;
    local_read_failed(env, read, result);
}

static void piece_done(struct loop_op *op)
{
    struct driver_read *read = container_of(op, struct driver_read, op);
    struct driver_env *env = read->env;
    struct local_file *file = atomic_load_explicit(&read->object->handle, memory_order_relaxed);
    uint64_t want = read->offset + read->progress;
    uint64_t left = read->bytes - read->progress;
    uint64_t got;

    if (op->result < 0) {
        direct_failed(env, read, file, op->result);
        return;
    }
    got = op->offset + (uint64_t)op->result > want ? op->offset + (uint64_t)op->result - want : 0;
    got = got < left ? got : left;
    if (read->bounce && op->addr == read->bounce && got > 0)
        copy_out(read, (const uint8_t *)read->bounce + (want - op->offset), got);
    local_read_advance(read, got);
    if (got == left)
        local_read_finish(env, read, 0, NULL);
    else if ((uint64_t)op->result == op->bytes)
        direct_read(env, read, file);
    else { /* the end of the file, or something odd: let that say */
        LSIO_MARK(direct_read_short);
        go_cached(env, read, file);
    }
}

static bool iov_aligned(const struct driver_read *read, uint32_t align)
{
    uint64_t bits = (read->offset + read->progress) | (read->bytes - read->progress);

    for (uint32_t i = 0; i < read->iov_count; i++)
        bits |= (uintptr_t)read->iov[i].iov_base | read->iov[i].iov_len;
    return (bits & (align - 1)) == 0 && read->iov_count <= 1024;
}

static void cut_read(const struct driver_read *read, uint32_t align, struct direct_piece *piece)
{
    uint64_t offset = read->offset + read->progress;
    uint64_t left = read->bytes - read->progress;

    if (!read->iov) {
        direct_cut(offset, left, read->addr + read->progress, read->padded, read->progress > 0,
                   align, piece);
    } else if (iov_aligned(read, align)) {
        *piece = (struct direct_piece){DIRECT_IN_PLACE, offset, offset + left, NULL};
    } else {
        cut_bounce(offset, left, align, piece);
    }
}

/* False: there is no buffer now. */
static bool bounce_take(struct driver_env *env, struct driver_read *read,
                        struct direct_piece *piece)
{
    uint64_t bytes = piece->end - piece->begin;

    if (!read->bounce) {
        read->bounce_bytes = bytes < DIRECT_BOUNCE_BYTES_MAX ? bytes : DIRECT_BOUNCE_BYTES_MAX;
        read->bounce = env->bounce_get(env, read->bounce_bytes);
        if (!read->bounce)
            return false;
    }
    if (bytes > read->bounce_bytes)
        piece->end = piece->begin + read->bounce_bytes;
    piece->addr = read->bounce;
    return true;
}

static void piece_submit(struct driver_env *env, struct driver_read *read, struct local_file *file,
                         const struct direct_piece *piece)
{
    struct loop_op *op = &read->op;
    bool cached = piece->way == DIRECT_CACHED;
    uint64_t bytes = piece->end - piece->begin;

    op->kind = LOOP_READ;
    op->offset = piece->begin;
    op->bytes = bytes < (UINT64_C(1) << 30) ? bytes : UINT64_C(1) << 30;
    op->addr = piece->addr;
    op->buffer = piece->way == DIRECT_BOUNCE ? -1 : read->buffer;
    if (read->iov && piece->way == DIRECT_IN_PLACE) {
        op->kind = LOOP_READV;
        op->iov = read->iov;
        op->iov_count = read->iov_count;
        op->buffer = -1;
    }
    read->state =
        (uint8_t)((read->state & ~LOCAL_CACHED_PIECE) | (cached ? LOCAL_CACHED_PIECE : 0));
    op->fd = cached ? file->fd : atomic_load_explicit(&file->direct_fd, memory_order_acquire);
    op->file = file_slot(env, file, cached ? FILE_PLAIN : FILE_DIRECT);
    if (!read->direct)
        env->operations_direct++;
    read->direct = true;
    local_submit(env, read, piece_done);
}

void direct_read(struct driver_env *env, struct driver_read *read, struct local_file *file)
{
    struct direct_piece piece;
    int fd = atomic_load_explicit(&file->direct_fd, memory_order_acquire);

    if (read->state & LOCAL_CANCELED) { /* it was too late for the piece before */
        local_read_finish(env, read, -ECANCELED, NULL);
        return;
    }
    if (fd == FILE_DIRECT_NONE) {
        if (file_open_direct(env, read, file))
            return;
        fd = atomic_load_explicit(&file->direct_fd, memory_order_acquire);
    }
    if (fd < 0) {
        go_cached(env, read, file);
        return;
    }
    cut_read(read, file->direct_align, &piece);
    if (piece.way == DIRECT_BOUNCE && !bounce_take(env, read, &piece)) {
        LSIO_MARK(direct_no_bounce_buffer);
        go_cached(env, read, file);
        return;
    }
    piece_submit(env, read, file, &piece);
}
