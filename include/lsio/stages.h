/* SPDX-License-Identifier: MIT */
/*
 * stages.h - ready-made stages: checksums, codecs, filters, and the copy into an array.
 *
 * Each is made by one constructor, put into an array in the order in which the bytes pass through
 * them, and handed to lsio_chain_create():
 *
 *     struct lsio_stage stages[3];
 *     struct lsio_crc32c_options crc = {.struct_bytes = sizeof(crc)};
 *     struct lsio_blosc_options blosc = {.struct_bytes = sizeof(blosc), .expected_bytes = 1 << 20};
 *     if (lsio_stage_crc32c(&crc, &stages[0]) == 0 && lsio_stage_blosc(&blosc, &stages[1]) == 0 &&
 *         lsio_stage_scatter(&scatter, &stages[2]) == 0)
 *         status = lsio_chain_create(context, stages, 3, &chain);
 *
 * What all constructors have in common
 *   Options   begin with struct_bytes, which is to be sizeof the struct; a zero field means its
 *             default; copied, with all that they point to. NULL means all defaults where the
 *             stage has defaults for everything.
 *   *out      is written whole; what it held does not matter. It holds memory (out->user) that
 *             lsio_chain_create() takes. A stage that is given to no chain is to be ended with
 *             out->destroy(out->user). A stage goes into one chain only.
 *   Returns   0; -EINVAL for options that make no sense; -ENOMEM; LSIO_E_UNSUPPORTED for a codec
 *             that this build of the library lacks. *out is untouched on failure.
 *   Threads   any.
 *
 * What all stages have in common
 *   Data      nothing that is read is trusted. Input that is not what the format asks for, or that
 *             does not give the size that was expected, ends the chunk with LSIO_E_CORRUPT, and
 *             lsio_batch_error() names the codec, its message and the sizes. dst may then hold
 *             anything.
 *   Memory    a worker's first chunk makes a decoder; after that nothing is allocated per chunk.
 *             Output never grows while decoding: its room is fixed before the first byte.
 *   Threads   run on workers, many at once; they share nothing that is written.
 *
 * How large the output of a codec may be
 *   expected_bytes  the exact size. Set it whenever it is known, as for the chunks of an array:
 *                   other sizes are LSIO_E_CORRUPT, found before decoding where the format
 *                   declares a size.
 *   otherwise       the size that the data declares; if it declares none, what dst holds, or else
 *                   max_bytes. With none of these, LSIO_E_UNSUPPORTED.
 *   max_bytes       more than that is LSIO_E_NO_SPACE. 0: no limit but dst_bytes where the chunk
 *                   has a dst, else 1 GiB. Unused if expected_bytes is set.
 */
#ifndef LSIO_STAGES_H
#define LSIO_STAGES_H

#include "lsio/lsio.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------- checksums -- */

/* The CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected, RFC 3720 appendix B.4) of what `crc`
 * covers followed by `bytes`; crc is 0 to begin with. "123456789" gives 0xe3069283.
 * Threads: any. */
LSIO_API uint32_t lsio_crc32c(uint32_t crc, const void *bytes, size_t count);

enum lsio_crc32c_where {
    LSIO_CRC32C_TRAILING = 0, /* the chunk's last 4 bytes, little-endian (Zarr codec `crc32c`) */
    LSIO_CRC32C_LEADING = 1,  /* the chunk's first 4 bytes, little-endian */
    LSIO_CRC32C_DATA = 2      /* a uint32_t of yours, at lsio_chunk.data + data_offset */
};

struct lsio_crc32c_options {
    size_t struct_bytes;
    uint32_t where;       /* enum lsio_crc32c_where: the expected checksum */
    uint32_t skip_check;  /* not 0: strip the checksum without looking at it */
    uint64_t data_offset; /* for LSIO_CRC32C_DATA */
};

/* Compares the chunk's CRC-32C with the expected one, which is stripped from what goes on if it
 * lies in the chunk. Nothing is copied. NULL: trailing. */
LSIO_API int lsio_stage_crc32c(const struct lsio_crc32c_options *options, struct lsio_stage *out);

/* ---------------------------------------------------------------------------------- codecs -- */

struct lsio_zstd_options {
    size_t struct_bytes;
    uint64_t expected_bytes; /* see "How large" above */
    uint64_t max_bytes;
};

/* Zstandard (RFC 8878), by libzstd: one or more frames, with or without content size, and skippable
 * frames. Dictionaries are not supported. Window sizes cost no memory: frames are decoded in one
 * piece. NULL: all defaults. */
LSIO_API int lsio_stage_zstd(const struct lsio_zstd_options *options, struct lsio_stage *out);

enum lsio_lz4_framing {
    LSIO_LZ4_NUMCODECS = 0, /* 4 bytes little-endian: size of the output; then one block */
    LSIO_LZ4_FRAME = 1,     /* the LZ4 frame format (magic 0x184D2204), one or more frames */
    LSIO_LZ4_BLOCK = 2      /* one bare block; declares no size */
};

struct lsio_lz4_options {
    size_t struct_bytes;
    uint64_t expected_bytes; /* see "How large" above */
    uint64_t max_bytes;
    uint32_t framing;        /* enum lsio_lz4_framing */
    uint32_t reserved;
};

/* LZ4, by liblz4. Checksums of frames are verified. NULL: all defaults. */
LSIO_API int lsio_stage_lz4(const struct lsio_lz4_options *options, struct lsio_stage *out);

enum lsio_gzip_framing {
    LSIO_GZIP_AUTO = 0, /* gzip or zlib, as the first bytes say */
    LSIO_GZIP_GZIP = 1, /* RFC 1952, one or more members; zero bytes behind the last are ignored */
    LSIO_GZIP_ZLIB = 2, /* RFC 1950 */
    LSIO_GZIP_RAW = 3   /* RFC 1951: bare deflate */
};

struct lsio_gzip_options {
    size_t struct_bytes;
    uint64_t expected_bytes; /* see "How large" above; the size in a gzip file's trailer, which */
    uint64_t max_bytes;      /* knows its last member only, is used where nothing else is known */
    uint32_t framing;        /* enum lsio_gzip_framing */
    uint32_t reserved;
};

/* Deflate in its three framings, by libdeflate, or by zlib in a build without it. Checksums are
 * verified. NULL: all defaults. */
LSIO_API int lsio_stage_gzip(const struct lsio_gzip_options *options, struct lsio_stage *out);

struct lsio_blosc_options {
    size_t struct_bytes;
    uint64_t expected_bytes; /* see "How large" above; a Blosc header always declares a size */
    uint64_t max_bytes;
};

/* Blosc 1 containers (the Zarr codec `blosc`), of all its compressors and shuffles. LZ4, Zstandard
 * and zlib with or without byte shuffle are decoded by LSIO itself over those libraries, with
 * scratch memory of one Blosc block; what else there is, by libblosc with one thread, which
 * allocates per chunk. NULL: all defaults. */
LSIO_API int lsio_stage_blosc(const struct lsio_blosc_options *options, struct lsio_stage *out);

/* --------------------------------------------------------------------------------- filters -- */

struct lsio_shuffle_options {
    size_t struct_bytes;
    uint32_t typesize; /* bytes per element: 1 .. 65536 */
    uint32_t reserved;
};

/* Undoes a byte shuffle (HDF5's, Blosc's, numcodecs' `shuffle`): input is the first byte of each
 * element, then the second of each, and so on; bytes behind the last whole element stay as they
 * are. Fast for typesize 2, 4, 8 and 16. */
LSIO_API int lsio_stage_shuffle(const struct lsio_shuffle_options *options, struct lsio_stage *out);

struct lsio_byteswap_options {
    size_t struct_bytes;
    uint32_t typesize; /* 1 (does nothing), 2, 4, 8 or 16; of complex numbers, that of a part */
    uint32_t reserved;
};

/* Reverses the bytes of each element. A chunk that is not whole elements is LSIO_E_CORRUPT. */
LSIO_API int lsio_stage_byteswap(const struct lsio_byteswap_options *options,
                                 struct lsio_stage *out);

/* --------------------------------------------------------------------------------- scatter -- */

#define LSIO_SCATTER_RANK_MAX 32

/* Streaming stores go past the cache. They are faster for an array that does not fit it (up to
 * twice, where rows are short), and slower for one that is read again soon. */
enum lsio_scatter_streaming {
    LSIO_SCATTER_AUTO = 0, /* on for arrays above 8 MiB */
    LSIO_SCATTER_ON = 1,
    LSIO_SCATTER_OFF = 2
};

struct lsio_scatter_options {
    size_t struct_bytes;
    uint32_t typesize;           /* bytes per element, at least 1 */
    uint32_t rank;               /* 0 (one element) .. LSIO_SCATTER_RANK_MAX */
    const uint64_t *chunk_shape; /* rank elements, the slowest dimension first; copied */
    const int64_t *strides;      /* rank elements: bytes from one index to the next in the array, in
                                    the order of chunk_shape; may be negative, or in any order of
                                    size (a transposition); copied */
    void *array;                 /* the memory that may be written ... */
    uint64_t array_bytes;        /* ... is this long. If array is set, a box reaching out of it
                                    fails its chunk; if it is NULL, boxes are trusted. array_bytes
                                    alone helps AUTO, which else goes by what one chunk spans */
    uint32_t streaming;          /* enum lsio_scatter_streaming */
    uint32_t reserved;
    uint64_t data_offset;        /* the chunk's box lies at lsio_chunk.data + data_offset,
                                    aligned for its type */
};

/* Which part of a chunk is wanted, and where it goes. Borrowed until the chunk is complete; may be
 * shared by chunks, also with its arrays. */
struct lsio_scatter_box {
    void *dst;              /* where the element at `start` goes; needs no alignment */
    const uint64_t *start;  /* rank elements: the first index within the chunk; NULL: all 0 */
    const uint64_t *extent; /* rank elements: how many; NULL: from start to the chunk's end */
};

/*
 * Copies a box of the chunk, which is chunk_shape elements in C order, into a strided array.
 * Usually the last stage of chunks without dst. The input must be exactly a chunk's size, else
 * LSIO_E_CORRUPT; a box that reaches out of the chunk or of the array is LSIO_E_CALLBACK with code
 * -EINVAL, and nothing is written. Where the whole chunk goes to one contiguous piece of memory,
 * the codec before this stage decodes directly there, and nothing is copied. The caller sees to it
 * that boxes of different chunks do not overlap in the array. typesize, chunk_shape and strides are
 * needed (the last two if rank is not 0), so NULL options are -EINVAL.
 */
LSIO_API int lsio_stage_scatter(const struct lsio_scatter_options *options, struct lsio_stage *out);

#ifdef __cplusplus
}
#endif
#endif
