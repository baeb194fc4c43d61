/* SPDX-License-Identifier: MIT */
/*
 * lsio.h - read many chunks in one call.
 *
 * A program opens a context (worker threads and one memory budget), opens stores (a directory, a
 * bucket), and hands over requests. A request is a list of chunks - byte ranges of objects - and,
 * for each chunk, a chain of functions to run over its bytes (check, decompress, copy into an
 * array). LSIO plans the reads for the storage it meets and runs each chain on the core on which
 * the bytes arrived, while they are in cache. This header lists things in the order one uses them:
 *
 *     context -> store -> object, chunk, chain -> request -> batch -> results, errors, statistics
 *
 * Conventions
 *   Return values  int functions return 0 or a negative status: a negated errno value where one
 *                  fits (-ENOENT: proven absent), else one of enum lsio_status. lsio_status_text()
 *                  explains each. Output parameters come last and are untouched on failure.
 *   Ownership      "borrowed": stays yours and must stay valid for the time named; "copied": yours
 *                  at return; "taken": LSIO's from then on.
 *   Sizes          bytes and counts are uint64_t; names carry units (_bytes, _ms, _ns, _count).
 *   Growth         structs begin with struct_bytes and arrays have an element stride, so that later
 *                  versions can add fields. Zero the struct, then set struct_bytes with sizeof;
 *                  a zero field means its default.
 *   Threads        "any": any thread at any time. "any, serialized": any thread, but not two at
 *                  once on the same object. "worker": called by LSIO, on one of its worker threads.
 *   Fork           a context does not survive fork(): in the child each call on it returns
 *                  LSIO_E_FORKED; lsio_context_destroy() there frees its memory. The parent is not
 *                  disturbed, and the child may create a context of its own.
 */
#ifndef LSIO_LSIO_H
#define LSIO_LSIO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LSIO_VERSION_MAJOR 0
#define LSIO_VERSION_MINOR 1
#define LSIO_VERSION_PATCH 0

#if defined(__GNUC__)
#define LSIO_API __attribute__((visibility("default")))
#else
#define LSIO_API
#endif

struct lsio_context;
struct lsio_store;
struct lsio_chain;
struct lsio_batch;
struct lsio_call;

/* The version of the library that runs, as "major.minor.patch". Threads: any. */
LSIO_API const char *lsio_version(void);

/* ---------------------------------------------------------------------------------- status -- */

/* Statuses that no errno value fits. Absence is -ENOENT, a refused permission -EACCES, a canceled
 * chunk -ECANCELED, a passed deadline -ETIMEDOUT, a failed device -EIO, bad arguments -EINVAL. */
enum lsio_status {
    LSIO_OK = 0,
    LSIO_E_TRUNCATED = -4097,   /* the range reaches beyond the end of the object */
    LSIO_E_CHANGED = -4098,     /* the object changed while it was read, or is not the one named by
                                   its etag */
    LSIO_E_CORRUPT = -4099,     /* a checksum or the encoding of the data is wrong */
    LSIO_E_NO_SPACE = -4100,    /* more bytes than the destination holds */
    LSIO_E_BUDGET = -4101,      /* the chunk can never fit the memory budget */
    LSIO_E_RECURSIVE = -4102,   /* a blocking call from a callback; it had no effect */
    LSIO_E_FORKED = -4103,      /* the context was created by another process */
    LSIO_E_CALLBACK = -4104,    /* a stage of yours failed; the detail holds its code */
    LSIO_E_UNSUPPORTED = -4105, /* not a regular file, or a feature this build lacks */
    LSIO_E_LIMIT = -4106,       /* a documented limit is exceeded */
    LSIO_E_HTTP = -4107,        /* an HTTP status that means nothing more precise */
    LSIO_E_PROTOCOL = -4108,    /* the server broke the protocol */
    LSIO_E_THROTTLED = -4109,   /* the server asked to slow down until the attempts ran out */
    LSIO_E_TLS = -4110          /* the server could not be authenticated */
};

/* A constant's name, such as "LSIO_E_TRUNCATED" or "ENOENT"; never NULL, static. Threads: any. */
LSIO_API const char *lsio_status_name(int status);
/* One English sentence for a status; never NULL, static. Threads: any. */
LSIO_API const char *lsio_status_text(int status);

/* --------------------------------------------------------------------------------- context -- */

enum lsio_log_level {
    LSIO_LOG_ERROR = 1,
    LSIO_LOG_WARN = 2,
    LSIO_LOG_INFO = 3,
    LSIO_LOG_DEBUG = 4
};

/* Receives one line, without newline. `text` is borrowed for the call. Must not call LSIO.
 * Threads: any thread that calls LSIO, and workers; LSIO does not serialize the calls. */
typedef void lsio_log_fn(int level, const char *text, void *data);

enum lsio_context_flags {
    LSIO_CONTEXT_PIN = 1u << 0 /* pin worker i to the i-th CPU that the process may use */
};

/* Kernel features that can be forced off, to test or to work around a kernel. */
enum lsio_gate {
    LSIO_GATE_DEFER_TASKRUN = 1u << 0,      /* 6.1 */
    LSIO_GATE_SINGLE_ISSUER = 1u << 1,      /* 6.0 */
    LSIO_GATE_COOP_TASKRUN = 1u << 2,       /* 5.19 */
    LSIO_GATE_DIRECT_DESCRIPTORS = 1u << 3, /* 5.18: open -> read -> close as one linked chain */
    LSIO_GATE_REGISTERED_FILES = 1u << 4,   /* 5.19: sparse file table */
    LSIO_GATE_REGISTERED_BUFFERS = 1u << 5, /* 5.19: sparse buffer table */
    LSIO_GATE_CACHESTAT = 1u << 6           /* 6.5 */
};

struct lsio_config {
    size_t struct_bytes;
    uint32_t workers;            /* threads, 1024 at most; 0: one per CPU allowed by affinity and
                                    cgroup quota */
    uint32_t flags;              /* enum lsio_context_flags */
    uint64_t memory_bytes_max;   /* hard budget for data in flight, 1 MiB at least; 0: min(256 MiB,
                                    1/8 of memory) */
    uint64_t scratch_bytes_max;  /* per worker, for chains; 0: 8 MiB, less in a small budget */
    uint64_t cache_bytes;        /* page cache a batch may count on before `direct=auto` reads cold
                                    files past the cache; 0: a quarter of the available memory */
    const char *loop;            /* "uring", "epoll", or NULL: uring where it works, else epoll */
    uint32_t gates_off;          /* enum lsio_gate: features not to use */
    uint32_t log_level;          /* most detailed level wanted; 0: LSIO_LOG_WARN */
    lsio_log_fn *log;            /* NULL: nothing is logged */
    void *log_data;
    uint64_t oversize_bytes_max; /* set aside for chains that need more than scratch_bytes_max: one
                                    chunk at a time may have so much. 0: 1/8 of the budget. At most
                                    1/4 is taken; a page is enough if no stage writes */
};

/*
 * Creates a context: its worker threads, their rings and their registered memory. Creating one
 * costs milliseconds; a process should hold one for long. `config` is copied; NULL means all
 * defaults. Returns -EINVAL for a config that makes no sense (the log names the field), -ENOMEM,
 * -EAGAIN if no thread could be created. A loop that was named but cannot run is -ENOSYS, or
 * -ENOMEM, -EMFILE, -ENFILE where only a limit stands in its way (see RLIMIT_MEMLOCK); one chosen
 * by default falls back, says why in the log and in the statistics, as it does under valgrind,
 * which cannot run the uring loop. The environment variable LSIO_LOOP names a loop when `loop` is
 * NULL. Threads: any.
 */
LSIO_API int lsio_context_create(const struct lsio_config *config, struct lsio_context **out);

/*
 * Cancels what is in flight, waits until the kernel has let go of all memory, joins the threads and
 * frees the context with its batches, stores and chains. Callbacks still run: what is unfinished
 * ends as -ECANCELED, and so does what they submit then. NULL is allowed. If the kernel does not
 * give buffers back within 30 s, returns -ETIMEDOUT and leaks them, for it may still write to them.
 * LSIO_E_RECURSIVE from a callback. Threads: any; no other call on the context may be running or
 * follow.
 */
LSIO_API int lsio_context_destroy(struct lsio_context *context);

/* The number of workers W. A stage sees worker indexes 0 .. W: the last stands for a thread inside
 * lsio_read_batch() that runs a tiny request itself. Threads: any. */
LSIO_API uint32_t lsio_context_workers(const struct lsio_context *context);

/*
 * Makes a long-lived destination known to the kernel, so that reads into it need no page pinning.
 * Best effort: memory that cannot be registered is simply read into the ordinary way. Up to 15
 * ranges are kept; one more is LSIO_E_LIMIT. `addr` is borrowed until _unregister or the context's
 * end; _unregister gives -ENOENT for what is not registered, and -ENOMEM if it could not be done:
 * `addr` stays borrowed then. Never use it for a destination that serves one request: pinning costs
 * what it saves. Neither call may be made while a batch reads into the range. Threads: any, not
 * callbacks.
 */
LSIO_API int lsio_memory_register(struct lsio_context *context, void *addr, uint64_t bytes);
LSIO_API int lsio_memory_unregister(struct lsio_context *context, void *addr);

/* ----------------------------------------------------------------------------------- store -- */

struct lsio_option {
    const char *key;
    const char *value;
};

/*
 * Opens a store: a root below which objects are named by keys. The reason of a failure is in the
 * log only: set config.log.
 *   "/path", "relative/path", "file:///path"   a directory
 *   "memory://name"                            a store in this context's memory (lsio_memory_put)
 *   "http[s]://host/path[?query]"              a server; a query (signed URL) is kept as it is
 *   "s3://bucket/prefix"  "gs://bucket/prefix"  "az://container/prefix"
 *   "abfs[s]://container@account.dfs.core.windows.net/prefix", the https addresses of buckets, and
 *   GDAL's "/vsicurl/URL"  "/vsis3/bucket"  "/vsigs/bucket"  "/vsiaz/container"
 * (these need a build with libcurl, OpenSSL, expat and json-c: LSIO_E_UNSUPPORTED otherwise).
 * Nothing is asked of a server when its store is opened. Credentials are found as the vendors'
 * tools find them - options, environment, profiles, workload identities, metadata services, else
 * anonymous - when the first object is read.
 * Options (copied; of one key the last counts; an unknown key and a value that is empty or makes no
 * sense are -EINVAL, with the key named in the log):
 *   profile            nvme | ssd | hdd | hpc | http | cloud | memory: instead of what is detected
 *   gap_bytes gap_bytes_max request_bytes_max split_bytes inflight_max align_bytes
 *   request_latency_ns stream_bytes_per_second iops_max
 *                      one field of the profile; sizes take the suffixes K M G (powers of 1024).
 *                      cloud's gap, request and split sizes follow from its latency, rates and
 *                      inflight_max until they are given
 *   autotune           on | off: on (the default), gap, request and split sizes of profiles http
 *                      and cloud, as far as they are not given, follow the latency and the rate of
 *                      a stream that were measured; a request keeps what it began with
 *   waste_max          0 .. 100: percent of a joined read that nobody asked for
 *   direct             auto | on | off: O_DIRECT (auto: only for cold data that would not fit the
 *                      page cache)
 *   symlinks           follow | beneath: beneath refuses to leave the root through a link or `..`;
 *                      for keys that come from files
 *   change_check       on | off: compare a file's size and mtime before and after a batch's reads;
 *                      on is the default. Of an object that one short read brings nothing is
 *                      compared
 *   endpoint region access_key_id account_name missing_on_403 hedge ...
 *                      of servers and buckets: the names that object_store uses, with or without
 *                      the vendor's prefix; README has the table
 * A directory must exist, and a file of certificates (ca_bundle): -ENOENT, -ENOTDIR, -EACCES.
 * Threads: any.
 */
LSIO_API int lsio_store_open(struct lsio_context *context, const char *url,
                             const struct lsio_option *options, size_t option_count,
                             struct lsio_store **out);

/* Closes a store; NULL is allowed. -EBUSY while a batch uses it. Threads: any, serialized. */
LSIO_API int lsio_store_close(struct lsio_store *store);

/* Puts an object into a memory:// store, replacing one of the same key. `bytes` are copied.
 * A batch that is reading the old object goes on with the old bytes. Threads: any. */
LSIO_API int lsio_memory_put(struct lsio_store *store, const char *key, const void *bytes,
                             uint64_t length);
/* Removes an object from a memory:// store; -ENOENT if there is none. Threads: any. */
LSIO_API int lsio_memory_remove(struct lsio_store *store, const char *key);

/* Credentials as an application's function gives them. The strings are the application's, and are
 * copied when the function returns. */
struct lsio_credential {
    size_t struct_bytes;
    const char *id;     /* access key id, or Azure account name; else NULL */
    const char *secret; /* secret key or account key; NULL with an access token */
    const char *token;  /* session token; without id and secret an access token, or for Azure a
                           shared access signature */
    uint64_t expires_unix_s; /* 0: never; else the function is asked again in time */
    char error[128];         /* on failure: a sentence for messages, without secrets */
};
/* Fills in *out, which is zero but for struct_bytes: 0, or a negative status if there are none now.
 * What needed them then fails with -EACCES, the detail holding `error`: never as an absent object.
 * -ETIMEDOUT, -ECANCELED, -ENOMEM, -EMFILE, -ENFILE and -EAGAIN stand as they are. So it is with
 * credentials that are found elsewhere. May block for seconds. Threads: one of the context's own,
 * one call at a time. */
typedef int lsio_credential_fn(void *data, struct lsio_credential *out);
/*
 * Makes a store on a bucket, or on a plain HTTP server (an access token), ask `ask` for its
 * credentials, whatever options and environment say. `data` is borrowed until the store is closed.
 * -EBUSY while a batch uses the store, -EOPNOTSUPP for stores that take none. Threads: any; no
 * other call on the store may run.
 */
LSIO_API int lsio_store_credentials(struct lsio_store *store, lsio_credential_fn *ask, void *data);

/* ---------------------------------------------------------------------- objects and chunks -- */

#define LSIO_SIZE_UNKNOWN UINT64_MAX

/* What is read from. Chunks refer to objects by index, so a key is written once. */
struct lsio_object {
    struct lsio_store *store;
    const char *key;  /* below the store's root; NUL-terminated. An absolute key, an empty one, or
                         one with a `..` segment is -EINVAL for its chunks; but keys of buckets are
                         any bytes, and on servers and buckets an empty key is the URL itself */
    uint64_t size;    /* if known (it saves a request on buckets), else LSIO_SIZE_UNKNOWN. A size of
                         0 is taken as "not set". A wrong size makes TRUNCATED or CHANGED */
    const char *etag; /* expected validator, or NULL; a mismatch is LSIO_E_CHANGED */
};

#define LSIO_TO_END UINT64_MAX

enum lsio_chunk_flags {
    LSIO_CHUNK_MISSING_OK = 1u << 0, /* absence is reported in the result, and is no failure */
    LSIO_CHUNK_ALLOC = 1u << 1       /* the library allocates the destination: lsio_result.data */
};

/*
 * One byte range of one object.
 *
 *   offset >= 0, length     the bytes [offset, offset + length)
 *   offset >= 0, TO_END     from offset to the end; exactly at the end: 0 bytes
 *   offset <  0, length     begins -offset bytes before the end; -EINVAL if length > -offset
 *   offset <  0, TO_END     the last -offset bytes; the whole object if it is shorter
 *   0, TO_END               the whole object
 *   length 0                an empty read: succeeds, touches nothing
 * A range beyond the object's ends is LSIO_E_TRUNCATED: nothing is ever shortened silently. An
 * index of no object and an unknown flag are -EINVAL, for this chunk alone.
 *
 * Where the bytes go, after the chain:
 *   dst set        into dst, at most dst_bytes of them, else LSIO_E_NO_SPACE
 *   ALLOC          into memory of the library; in lsio_result.data until the batch is destroyed, or
 *                  for good with lsio_result_take(). lsio_read_batch() leaves no batch behind: what
 *                  its results name is yours, to free with lsio_result_free()
 *   neither        nowhere: the chain has consumed them
 * A failed chunk's dst holds nothing valid.
 */
struct lsio_chunk {
    uint32_t object; /* index into the request's objects */
    uint32_t flags;  /* enum lsio_chunk_flags */
    int64_t offset;
    uint64_t length;
    void *dst;
    uint64_t dst_bytes;
    const struct lsio_chain *chain; /* NULL: the request's default, if any */
    void *data;                     /* yours; stages see it */
};

enum lsio_result_flags {
    LSIO_RESULT_MISSING = 1u << 0,  /* absent, and MISSING_OK was set: status is 0, bytes 0 */
    LSIO_RESULT_ALLOCATED = 1u << 1 /* data was allocated by the library */
};

/* What became of a chunk. Written once, before its on_chunk runs - with one exception: when an
 * object is seen, at the batch's end, to have changed while it was read, what was delivered from it
 * is not valid, and its chunks' statuses become LSIO_E_CHANGED before on_done runs. */
struct lsio_result {
    int32_t status; /* 0 or negative */
    uint32_t flags; /* enum lsio_result_flags */
    uint64_t bytes; /* delivered: what the chain's last stage put out */
    void *data;     /* where they are: dst or allocated memory; NULL if the chain consumed them */
};

/* ----------------------------------------------------------------------------------- chain -- */

/*
 * A stage is one function that sees a chunk's bytes. It reads call->in and does one of:
 *   nothing                              the same bytes go on to the next stage
 *   lsio_call_pass(call, ptr, n)         a slice of the input goes on (strip a checksum)
 *   lsio_call_out + lsio_call_commit     new bytes go on (decompress)
 * and returns 0, or a negative status, which ends the chain. A status of enum lsio_status stands as
 * it is; any other code becomes LSIO_E_CALLBACK, with the code in the error's detail. Input is
 * shared and must not be written. Stages run on workers, many at once, and may submit and cancel
 * batches, but never block on LSIO.
 */
typedef int lsio_stage_fn(struct lsio_call *call);

enum lsio_stage_flags {
    LSIO_STAGE_READS_ONLY = 1u << 0,   /* never calls pass or out */
    LSIO_STAGE_PASSES_SLICE = 1u << 1, /* may call pass, never out */
    LSIO_STAGE_WRITES = 1u << 2        /* may call out; the last such stage writes into dst */
};

struct lsio_stage {
    size_t struct_bytes;
    const char *name; /* for messages; borrowed for the chain's life */
    lsio_stage_fn *run;
    void *user;     /* call->user; borrowed, or taken if destroy is set */
    uint32_t flags; /* exactly one of enum lsio_stage_flags */
    uint32_t reserved;
    /* Makes state for one worker, before its first call there; NULL: none. */
    int (*init)(void *user, uint32_t worker, void **state);
    /* Ends that state; runs when the chain is destroyed. To look at states before, keep them in an
     * array of lsio_context_workers() + 1, by call->worker: what stages wrote is visible once
     * lsio_read_batch() or lsio_batch_wait() has returned. */
    void (*finish)(void *user, uint32_t worker, void *state);
    /* For a last stage that copies its input somewhere (scatter): where `bytes` bytes of input
     * would be copied to unchanged and in one piece, or NULL. The stage before writes there
     * directly, and run() finds call->in there. */
    void *(*place)(const struct lsio_call *call, uint64_t bytes);
    /* Frees user when the chain ends; NULL: nothing to free. */
    void (*destroy)(void *user);
};

/* What a stage is given. Fields are to be read only. */
struct lsio_call {
    const void *in;
    uint64_t in_bytes;
    void *user;  /* lsio_stage.user */
    void *state; /* what lsio_stage.init made for this worker */
    void *data;  /* lsio_chunk.data */
    const struct lsio_chunk *chunk; /* borrowed for the call */
    uint64_t index;                 /* of the chunk, as in results and callbacks */
    uint32_t worker;                /* 0 .. lsio_context_workers(), see there */
    uint32_t reserved;
    struct lsio_batch *batch; /* for lsio_batch_add and _cancel; NULL in a tiny inline read */
};

/* Room for `bytes` bytes of output. The last WRITES stage of a chain gets the chunk's dst. Content
 * is undefined. Returns LSIO_E_NO_SPACE, LSIO_E_BUDGET or -ENOMEM; the stage should return that at
 * once. At most one call per stage and chunk. Without a commit it counts for nothing: the input
 * goes on. Threads: inside a stage. */
LSIO_API int lsio_call_out(struct lsio_call *call, uint64_t bytes, void **out);
/* The first `used` bytes of the room are the output. */
LSIO_API int lsio_call_commit(struct lsio_call *call, uint64_t used);
/* A slice of call->in is the output; -EINVAL if [ptr, ptr + bytes) is not inside. */
LSIO_API int lsio_call_pass(struct lsio_call *call, const void *ptr, uint64_t bytes);
/* Temporary memory for this call, 64-byte aligned, gone when the stage returns; -ENOMEM,
 * LSIO_E_BUDGET. */
LSIO_API int lsio_call_scratch(struct lsio_call *call, uint64_t bytes, void **out);
/* Returns `status`, and keeps the printf-style sentence for lsio_batch_error(). */
LSIO_API int lsio_call_fail(struct lsio_call *call, int status, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/*
 * Makes a chain of `count` stages (1 .. 16), run in order. `stages` is copied, with stride
 * stages[0].struct_bytes; each stage's `user` is taken if it has `destroy` (also when this call
 * fails). A chain is immutable and may be shared by any number of chunks of its context's batches;
 * it must outlive them. In another context it is -EINVAL: as a request's for the whole request, as
 * a chunk's for that chunk alone. Threads: any.
 */
LSIO_API int lsio_chain_create(struct lsio_context *context, const struct lsio_stage *stages,
                               size_t count, struct lsio_chain **out);
/* Runs finish and destroy of each stage. NULL is allowed. Threads: any, with no batch using it. */
LSIO_API void lsio_chain_destroy(struct lsio_chain *chain);

/* -------------------------------------------------------------------------- request, batch -- */

/* An object without store or key, or an unknown flag, makes the whole request -EINVAL. */
enum lsio_request_flags {
    LSIO_BORROW = 1u << 0,   /* submit: objects, keys and chunks stay valid until on_done returned,
                                or until wait returned 0, and are not copied */
    LSIO_FAIL_FAST = 1u << 1 /* the first failing chunk cancels the rest */
};

/* A chunk is complete. `result` is borrowed for the call. Threads: worker, many at once. */
typedef void lsio_chunk_fn(struct lsio_batch *batch, uint64_t index,
                           const struct lsio_result *result, void *data);
/* All chunks are complete; `status` is 0 or that of the failing chunk of lowest index known.
 * Threads: worker. The batch may be destroyed here. */
typedef void lsio_done_fn(struct lsio_batch *batch, int status, void *data);

struct lsio_request {
    size_t struct_bytes;
    const struct lsio_object *objects;
    size_t object_count;
    size_t object_bytes; /* stride: sizeof(struct lsio_object); 0 means that */
    const struct lsio_chunk *chunks;
    size_t chunk_count;  /* at most 2^32 - 2 */
    size_t chunk_bytes;  /* stride; 0: sizeof(struct lsio_chunk) */
    struct lsio_result *results; /* one per chunk, written as chunks complete; NULL: not wanted.
                                    Borrowed until the batch is done */
    size_t result_bytes; /* stride; 0: sizeof(struct lsio_result) */
    const struct lsio_chain *chain; /* for chunks that name none; may be NULL */
    lsio_chunk_fn *on_chunk;        /* may be NULL */
    lsio_done_fn *on_done;          /* may be NULL */
    void *data;                     /* handed to both */
    uint64_t deadline_ms;           /* from submit; then what is left fails -ETIMEDOUT; 0: none */
    uint32_t flags;                 /* enum lsio_request_flags */
    uint32_t reserved;
};

/*
 * Reads all chunks and returns when all are complete: 0, or the status of the failing chunk of the
 * lowest index known. A request that is refused as a whole - it makes no sense (-EINVAL,
 * LSIO_E_LIMIT), there is no memory for it (-ENOMEM), LSIO_E_RECURSIVE, LSIO_E_FORKED - reads
 * nothing and writes no result. A chunk may fail with -EINVAL or -ENOMEM too, while the others are
 * read: its result says so, and lsio_last_error() tells the two apart. It keeps the detail of one
 * failing chunk; for that of each: submit, wait, lsio_batch_error(). Everything is borrowed for the
 * call. Threads: any, many at once; not from callbacks.
 */
LSIO_API int lsio_read_batch(struct lsio_context *context, const struct lsio_request *request);

/* One range of one object: as a request of one chunk. `bytes`, if not NULL, gets the count. */
LSIO_API int lsio_read(struct lsio_context *context, struct lsio_store *store, const char *key,
                       int64_t offset, uint64_t length, void *dst, uint64_t dst_bytes,
                       uint64_t *bytes);

/*
 * The same without waiting. All or nothing: on failure nothing was started, and the log says what
 * makes no sense; after 0, each failure is per chunk and each chunk completes exactly once.
 * Objects, keys and chunks are copied unless LSIO_BORROW is set. The batch is the caller's, to
 * destroy. Never blocks. Threads: any, callbacks too.
 */
LSIO_API int lsio_submit_batch(struct lsio_context *context, const struct lsio_request *request,
                               struct lsio_batch **out);

/*
 * Adds chunks to a running batch, from one of its own stages or on_chunk callbacks (anywhere else:
 * -EINVAL): a shard's index has been read, now its chunks are known. They share the batch's cancel,
 * progress, wait and on_done. Of `more`, the fields objects, chunks, results, chain and the BORROW
 * flag count. Added chunks are numbered on from *first_index. They are read before those of the
 * batch that are not planned yet; up to two times 65,536 are. Threads: inside a callback of that
 * batch.
 */
LSIO_API int lsio_batch_add(struct lsio_batch *batch, const struct lsio_request *more,
                            uint64_t *first_index);

#define LSIO_FOREVER UINT64_MAX

/* Waits until the batch is done: its status as lsio_read_batch would return it in *status (may be
 * NULL), and 0; -ETIMEDOUT if it is not done after timeout_ms (0: poll); LSIO_E_RECURSIVE from
 * callbacks. on_done has returned by then. Threads: any. */
LSIO_API int lsio_batch_wait(struct lsio_batch *batch, uint64_t timeout_ms, int *status);

/* An eventfd that becomes readable when the batch is done; made by the first call, closed by
 * _destroy; borrowed: read it or poll it, do not close it. Threads: any, serialized. */
LSIO_API int lsio_batch_notify(struct lsio_batch *batch, int *fd);

/* Asks for the end: chunks not yet complete end with -ECANCELED or, if their bytes were there
 * already, with their real result. Does not wait. Threads: any, callbacks too. */
LSIO_API int lsio_batch_cancel(struct lsio_batch *batch);

struct lsio_progress {
    size_t struct_bytes;
    uint64_t chunk_count;  /* submitted, with those added */
    uint64_t chunks_done;  /* complete, with failed ones; may lag by a few dozen */
    uint64_t chunks_failed;
    uint64_t bytes_done;   /* delivered */
};
LSIO_API int lsio_batch_progress(struct lsio_batch *batch, struct lsio_progress *out);

#define LSIO_NO_CHUNK UINT64_MAX

/* What went wrong with one chunk, as a person wants to know it. */
struct lsio_error {
    size_t struct_bytes;
    uint64_t index;     /* the chunk, or LSIO_NO_CHUNK: the request was refused as a whole, or it
                           is a listing that failed */
    int32_t status;
    int32_t code;       /* errno, HTTP status, or the stage's own code; 0 where there is none */
    uint32_t attempts;
    uint32_t reserved;
    uint64_t offset;    /* the range that was being read. Where that is not known - the object's
                           size is not, or the chunk's range makes no sense - the chunk's own, a
                           negative offset as (uint64_t)offset */
    uint64_t length;
    char text[256];     /* one sentence: what, where */
    char url[256];      /* without secrets */
    char request_id[64];
};
/* The detail of a failing chunk. Kept for the first 64 failing chunks; -ENOENT for others, whose
 * status is in their result. Threads: any. */
LSIO_API int lsio_batch_error(struct lsio_batch *batch, uint64_t index, struct lsio_error *out);

/* The detail of the error that this thread's last lsio_read_batch(), lsio_read(), lsio_stat_batch()
 * or lsio_list() met: of the failing chunk, or object (its index is the chunk's), or listing
 * (LSIO_NO_CHUNK); or why the request makes no sense. -ENOENT if it did not fail, was on another
 * context, or failed before any chunk did for another reason (-ENOMEM). Threads: any. */
LSIO_API int lsio_last_error(struct lsio_context *context, struct lsio_error *out);

/* How many chunks ended with `status`. Threads: any. */
LSIO_API uint64_t lsio_batch_status_count(struct lsio_batch *batch, int status);

struct lsio_object_info {
    size_t struct_bytes;
    uint64_t size;
    int64_t mtime_ns;
    char etag[128]; /* as lsio_object.etag wants it */
};
/* What was found of the i-th object of the submitted request (lsio_batch_add's are not counted);
 * -ENOENT if nothing is known of it (yet). Of a local file that the batch did not keep open - its
 * only read was a short one - it is what is there now, and may block. Threads: any. */
LSIO_API int lsio_batch_object(struct lsio_batch *batch, size_t object,
                               struct lsio_object_info *out);

/* Cancels, waits for the kernel and for callbacks, frees the batch and what it allocated. on_chunk
 * of what had not ended, as _cancel ends it, and on_done run before it returns. If that takes more
 * than 30 s, returns -ETIMEDOUT and leaves the batch to the context's end. From a callback:
 * cancels, and frees after on_done. NULL is allowed. Threads: any; the last call. */
LSIO_API int lsio_batch_destroy(struct lsio_batch *batch);

/* Takes over what a chunk with LSIO_CHUNK_ALLOC got: from then on free it with lsio_result_free().
 * result->data keeps its value; a second take of it gives NULL. Threads: any, serialized per batch.
 */
LSIO_API void *lsio_result_take(struct lsio_batch *batch, struct lsio_result *result);
LSIO_API void lsio_result_free(void *data);

/* --------------------------------------------------------------------- stat, list, explain -- */

/* Sizes, times and validators of many objects. infos[i] and statuses[i] belong to objects[i];
 * `infos` has stride info_bytes (0: its size). Returns 0 or the first failing object's status;
 * lsio_last_error() has its detail. Blocks. Threads: any; not from callbacks. */
LSIO_API int lsio_stat_batch(struct lsio_context *context, const struct lsio_object *objects,
                             size_t count, struct lsio_object_info *infos, size_t info_bytes,
                             int *statuses);

/* The library makes them, as arrays; so their size stays: what later versions add takes the place
 * of what is reserved. Strings are never NULL. */
struct lsio_list_entry {
    const char *key; /* below the root; a common prefix ends in '/' */
    uint64_t size;
    int64_t mtime_ns;
    const char *etag; /* as lsio_object.etag wants it; "" if the store does not say */
    int is_prefix;
    int reserved;
    const char *version; /* S3's or Azure's version id, or Cloud Storage's generation; "" if the
                            store does not say (S3's own listing of a bucket does not) */
    uint64_t reserved_more[4];
};
/* One page of entries, borrowed for the call. Nonzero ends the listing and is returned. */
typedef int lsio_list_fn(const struct lsio_list_entry *entries, size_t count, void *data);

/* Lists the objects whose key begins with `prefix` ("" for all; else it ends in '/'), in bytewise
 * order. With delimiter '/', names below further slashes are folded into prefixes; with 0 the
 * listing is recursive. -EOPNOTSUPP on a plain HTTP server, which has no listing. The detail of a
 * failure is lsio_last_error()'s. Blocks. Threads: any; the callback runs on the calling thread. */
LSIO_API int lsio_list(struct lsio_store *store, const char *prefix, char delimiter,
                       lsio_list_fn *on_page, void *data);

enum lsio_explain_format { LSIO_EXPLAIN_TEXT = 0, LSIO_EXPLAIN_JSON = 1 };

/* What the planner would do with a request, without reading data: per store its profile, why it was
 * chosen and what measurements it follows, then operations, joins, splits, bytes wasted. The text
 * is *out, to free with lsio_result_free(). Threads: any. */
LSIO_API int lsio_explain_batch(struct lsio_context *context, const struct lsio_request *request,
                                int format, char **out);

/* ------------------------------------------------------------------------------ statistics -- */

struct lsio_stats {
    size_t struct_bytes;
    char loop[16];         /* which loop runs */
    char loop_reason[160]; /* and why */
    uint64_t workers;
    uint64_t memory_bytes_max;      /* the budget */
    uint64_t memory_bytes_peak;     /* most ever reserved of it */
    uint64_t registered_bytes;      /* pool memory registered with the kernel */
    uint64_t chunks_done;
    uint64_t chunks_failed;
    uint64_t bytes_asked;           /* sum of the ranges */
    uint64_t bytes_read;            /* from storage */
    uint64_t bytes_wasted;          /* read, but asked for by nobody */
    uint64_t operations;            /* reads submitted, after joining and splitting */
    uint64_t operations_direct;     /* of these with O_DIRECT */
    uint64_t operations_joined;     /* of these with more than one chunk */
    uint64_t operations_inline;     /* done by the calling thread */
    uint64_t retries;
    uint64_t throttles;
    uint64_t steals;                /* completions run by another worker */
    uint64_t loop_enters;           /* system calls that submitted or waited */
    uint64_t latency_ns[3];         /* p50, p90, p99 of reads that were not there at once */
    uint64_t inflight_target;       /* highest adaptive depth of a worker now */
    /* of HTTP servers and buckets; 0: none were asked, or for too little */
    uint64_t first_byte_ns;           /* from a request to its answer, and ... */
    uint64_t stream_bytes_per_second; /* ... the rate of one answer: medians of the last few dozen
                                         requests to the server that was asked most */
    uint64_t requests_limit;          /* how many all servers may have in flight now, ... */
    uint64_t requests_inflight;       /* ... and have */
    /* HTTP requests, but for credentials: those sent, and why more than one for a read */
    uint64_t requests;
    uint64_t resumes;    /* ask for the rest of a body that broke off */
    uint64_t reconnects; /* sent anew at once, for the idle connection was closed: no retry */
    uint64_t hedges;     /* asked for a second time, because the answer was late */
};
/* Sums over workers; each number is exact, all together are not one instant. Threads: any. */
LSIO_API int lsio_context_stats(struct lsio_context *context, struct lsio_stats *out);

#ifdef __cplusplus
}
#endif
#endif
