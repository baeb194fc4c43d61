/* SPDX-License-Identifier: MIT */
/*
 * Design: a range of an object as a transfer. Every answer is believed only as far as it proves
 * what it is: status, Content-Range, length, encoding and validator are checked before the first
 * byte is taken, so nothing is delivered that is not exactly the bytes asked for.
 *
 * The first good answer of a batch fixes the object's version (version.h); each later one - another
 * part, another range, the rest after a reset - is compared with it. A read that holds bytes of a
 * version that was replaced throws them away before anybody has seen them.
 *
 * Servers without ranges answer 200 and the whole object: it is accepted if that is what was asked
 * for, and sliced while it arrives up to full_body_bytes_max; the batch then asks no range of that
 * object again.
 *
 * Threads: the worker of the read.
 */
#include "driver/http/read.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mark.h"
#include "driver/http/redact.h"

#define DRAIN_BYTES_MAX   65536u /* of a body nobody wants, for the connection's sake */
#define WRONG_ANSWERS_MAX 1u     /* asked again so often */

struct http_read {
    struct driver_read *read;
    struct http_version *version;     /* that the bytes are of */
    const struct http_version *asked; /* that was asked for */
    uint64_t got;                     /* bytes of the range that lie in place */
    uint64_t resumed_at;              /* `got` when the rest was asked for */
    uint64_t skip;                    /* bytes of the answer before the next wanted one */
    uint64_t drained;                 /* unwanted bytes behind them */
    uint64_t expect;                  /* bytes of this answer that are wanted, still to come */
    uint32_t iov_at;                  /* where the next byte goes */
    uint64_t iov_done;
    uint32_t wrong_answers;
    bool any_version; /* asked without If-Match, once, after the version asked for was gone */
    bool ends;        /* the object ends before the range does */
    bool sliced;      /* the answer is the whole object */
    bool measures;    /* and its size shows only at its end */
    bool sizing;      /* asked without a range, for what the object is and not for its bytes */
    bool tells;       /* read->ready_bytes follows `got` */
    bool refetched;   /* once, because the checksum of what had come was another one */
    struct http_checksum checksum; /* of all of it, if that is what is read; else of no kind */
    struct http_transfer transfer; /* last: transfer_init() is all it needs */
};

static struct http_read *read_of(struct http_transfer *transfer)
{
    return container_of(transfer, struct http_read, transfer);
}

/* --------------------------------------------------------------------------------- version -- */

static void start_over(struct http_read *r)
{
    r->got = 0;
    r->iov_at = 0;
    r->iov_done = 0;
}

static bool may_restart(const struct http_read *r)
{
    return r->transfer.store->settings.on_change == HTTP_ON_CHANGE_RESTART;
}

/* 0 if the answer can go on with the bytes that are there already. */
static int version_take(struct http_read *r, const struct http_head *head)
{
    struct http_version *version = NULL;
    int status = http_version_check(r->read->object, head, may_restart(r), &version);
    bool mixed = r->got && r->version != version;

    if (status) {
        LSIO_MARK(h17_version_changed);
        return status;
    }
    r->version = version;
    if (!mixed)
        return 0;
    start_over(r);
    return TRANSFER_AGAIN;
}

/* The server says that what If-Match asks for is gone. Whether to ask for what there is now. */
static bool read_restart(struct http_transfer *transfer)
{
    struct http_read *r = container_of(transfer, struct http_read, transfer);
    bool replaced = r->asked && r->asked != http_version_of(r->read->object);

    if (!may_restart(r) || r->any_version ||
        (!replaced && !http_version_may_restart(r->read->object)))
        return false;
    r->any_version = !replaced;
    start_over(r);
    return true;
}

/* ---------------------------------------------------------------------------------- asking -- */

static uint64_t next_byte(const struct http_read *r)
{
    return r->read->offset + r->got;
}

/* A probe that wants no bytes asks for one, for there is no shorter range. */
static uint64_t last_byte(const struct http_read *r)
{
    return r->read->offset + (r->read->bytes ? r->read->bytes : 1) - 1;
}

static bool is_probe(const struct http_read *r)
{
    return r->read->kind == DRIVER_PROBE;
}

static int read_prepare(struct http_transfer *transfer, struct http_request *request,
                        struct http_text *text)
{
    struct http_read *r = read_of(transfer);
    struct driver_object *object = r->read->object;
    const struct http_version *version = http_version_of(object);
    const char *etag = version && version->etag_strong ? version->etag : object->etag, *value;
    int status = http_object_request(transfer->store, object->key, request, text);

    request->method = "GET";
    r->asked = version;
    if (r->got && r->got != r->resumed_at) {
        LSIO_MARK(h01_resumed);
        r->resumed_at = r->got;
        transfer->worker->env->resumes++;
    }
    if (!status && !r->sizing && !(version && version->no_ranges)) {
        http_text_puts(text, "bytes=");
        http_text_number(text, next_byte(r));
        http_text_puts(text, "-");
        http_text_number(text, last_byte(r));
        status = http_text_end(text, &value);
        if (!status)
            status = http_request_header(request, "range", value);
    }
    if (!status && !r->any_version && etag &&
        etag[0] == '"') /* never a weak one, nor one that is none */
        status = http_request_header(request, "if-match", etag);
    if (!status)
        status = http_customer_key_send(transfer->store, request);
    if (!status) /* Cloud Storage would decompress what is stored compressed */
        status = http_request_header(
            request, "accept-encoding",
            transfer->store->settings.address.dialect == HTTP_DIALECT_GCS ? "gzip" : "identity");
    return status;
}

static int read_ask(struct http_transfer *transfer, struct http_request *request,
                    struct http_text *text)
{
    return http_missing_request(transfer->store, read_of(transfer)->read->object->key, request,
                                text);
}

/* --------------------------------------------------------------------------------- answers -- */

static int refuse(struct http_read *r, const char *what, const struct http_head *head)
{
    struct http_transfer *t = &r->transfer;
    char text[2 * sizeof(t->why)];

    snprintf(text, sizeof(text),
             "%s: asked for bytes %" PRIu64 "-%" PRIu64 ", the server sent %u \"%s\"", what,
             next_byte(r), last_byte(r), head->status, head->content_range);
    http_redact(t->why, sizeof(t->why), text, NULL);
    if (r->wrong_answers++ < WRONG_ANSWERS_MAX)
        return TRANSFER_AGAIN;
    LSIO_MARK(h02_wrong_answer);
    return LSIO_E_PROTOCOL;
}

/* The bytes are those stored, by the rules of the store's kind. */
static bool encoding_is_fine(const struct http_read *r, const struct http_head *head)
{
    switch (r->transfer.store->settings.address.dialect) {
    case HTTP_DIALECT_S3:
    case HTTP_DIALECT_AZURE:
        return true;       /* metadata that the writer stored */
    case HTTP_DIALECT_GCS: /* what is stored compressed must not have been unpacked on the way */
        if (head->stored_encoding[0] && strcmp(head->stored_encoding, "identity") != 0)
            return strcmp(head->content_encoding, head->stored_encoding) == 0;
        return head->encoding == HTTP_ENCODING_IDENTITY;
    default:
        return head->encoding == HTTP_ENCODING_IDENTITY;
    }
}

/* There is nothing in the range, says the server, but not what there is: without a range it must
 * tell. */
static int size_ask(struct http_read *r)
{
    LSIO_MARK(h05_size_asked);
    r->sizing = true;
    return TRANSFER_AGAIN;
}

/* The answer to that. Its body is not wanted. */
static int size_head(struct http_read *r, const struct http_head *head)
{
    if (head->content_length == HTTP_SIZE_UNKNOWN)
        return refuse(r, "no size", head);
    if (is_probe(r))
        return TRANSFER_DONE;
    return head->content_length <= next_byte(r) ? LSIO_E_TRUNCATED : LSIO_E_CHANGED;
}

static int partial_head(struct http_read *r, const struct http_head *head)
{
    uint64_t first = next_byte(r), last = last_byte(r), bytes;

    if (head->range_first != first || head->range_last > last || head->range_last < first)
        return refuse(r, "wrong range", head);
    bytes = head->range_last - first + 1;
    if (head->content_length != HTTP_SIZE_UNKNOWN && head->content_length != bytes)
        return refuse(r, "length and range contradict each other", head);
    if (is_probe(r) && head->range_total == HTTP_SIZE_UNKNOWN)
        return refuse(r, "no total size", head);
    if (r->read->bytes == 0) {
        r->skip = bytes;
        return 0;
    }
    r->expect = bytes;
    r->ends = head->range_last < last && head->range_total == head->range_last + 1;
    return 0;
}

/* The server sends all of the object, and not only what was asked for. */
static int slice(struct http_read *r, uint64_t size)
{
    uint64_t most = r->transfer.store->settings.full_body_bytes_max;

    if ((size == HTTP_SIZE_UNKNOWN ? last_byte(r) + 1 : size) > most) {
        LSIO_MARK(h03_too_large_to_slice);
        snprintf(r->transfer.why, sizeof(r->transfer.why),
                 "the server ignores ranges, and the object is larger than full_body_bytes_max");
        return LSIO_E_UNSUPPORTED;
    }
    LSIO_MARK(h03_sliced);
    atomic_store(&r->version->no_ranges, true);
    if (!atomic_exchange(&r->transfer.store->no_ranges_said, true))
        log_line(r->transfer.worker->env->log, LSIO_LOG_INFO,
                 "%s: the server ignores ranges: each read brings its whole object",
                 r->transfer.store->base.url);
    return 0;
}

static int whole_head(struct http_read *r, const struct http_head *head)
{
    uint64_t size = head->content_length, first = next_byte(r), end = last_byte(r) + 1;
    int status = 0;

    if (r->sizing)
        return size_head(r, head);
    r->measures = is_probe(r) && size == HTTP_SIZE_UNKNOWN;
    if (r->read->bytes == 0 && !r->measures)
        return TRANSFER_DONE;
    if (first != 0 || size == HTTP_SIZE_UNKNOWN || size > end)
        status = slice(r, size);
    if (status)
        return status;
    r->sliced = true;
    r->skip = first;
    r->expect = r->read->bytes ? end - first : 0;
    if (size != HTTP_SIZE_UNKNOWN && size < end) {
        r->expect = size > first ? size - first : 0;
        r->skip = size > first ? first : size;
        r->ends = true;
    }
    return 0;
}

/* The range begins behind the end. */
static int unsatisfiable_head(struct http_read *r, const struct http_head *head)
{
    if (is_probe(r) && !r->sizing &&
        (head->range_total == HTTP_SIZE_UNKNOWN || r->read->bytes == 0))
        return size_ask(r); /* also the validator of an empty object */
    if (is_probe(r) && head->range_total == HTTP_SIZE_UNKNOWN)
        return refuse(r, "no size", head);
    if (head->range_total != HTTP_SIZE_UNKNOWN && head->range_total > next_byte(r))
        return refuse(r, "the range begins before the end", head);
    LSIO_MARK(h05_beyond_the_end);
    r->ends = true;
    return 0;
}

/* The one to compare with at the end, if this answer, or with what it lacks the next ones, brings
 * the whole object into one piece of memory. */
static void checksum_keep(struct http_read *r, const struct http_head *head)
{
    if (!r->transfer.store->settings.verify_checksums || r->got)
        return;
    r->checksum.kind = HTTP_CHECKSUM_NONE;
    if (!r->read->iov && http_checksum_covers(&head->checksum, head, r->read->offset, r->expect))
        r->checksum = head->checksum;
}

static int read_head(struct http_transfer *transfer, const struct http_head *head)
{
    struct http_read *r = read_of(transfer);
    int status;

    r->skip = r->drained = r->expect = 0;
    r->sliced = r->ends = r->measures = false;
    if (head->status != 416 && !encoding_is_fine(r, head)) {
        LSIO_MARK(h16_encoded_answer);
        snprintf(transfer->why, sizeof(transfer->why), "the answer is encoded: %s",
                 head->content_encoding[0] ? head->content_encoding : "unpacked by the server");
        return LSIO_E_PROTOCOL;
    }
    if (head->status != 200 && head->status != 206 && head->status != 416)
        return refuse(r, "unexpected status", head);
    if (head->status == 206 && head->content_length == 0 && !r->sizing)
        return size_ask(r); /* Azurite, for a range that begins at the end */
    if (head->status == 206 && head->multipart) { /* one range was asked for */
        LSIO_MARK(h04_multipart);
        return refuse(r, "several ranges", head);
    }
    if (head->status == 206 && head->range != HTTP_RANGE_BYTES)
        return refuse(r, "wrong range", head);
    status = head->status == 416 ? http_version_size(r->read->object, head->range_total)
                                 : version_take(r, head);
    if (status)
        return status;
    if (head->status == 416)
        return unsatisfiable_head(r, head);
    status = head->status == 206 ? partial_head(r, head) : whole_head(r, head);
    if (!status)
        checksum_keep(r, head);
    return status;
}

/* ----------------------------------------------------------------------------------- bytes -- */

static void *wanted_room(struct http_read *r, uint64_t *bytes)
{
    const struct driver_read *read = r->read;
    uint8_t *to;

    if (read->iov) {
        const struct iovec *iov = &read->iov[r->iov_at];
        to = iov->iov_base ? (uint8_t *)iov->iov_base + r->iov_done : NULL;
        *bytes = iov->iov_len - r->iov_done;
    } else {
        to = read->addr + r->got;
        *bytes = read->bytes - r->got;
    }
    if (*bytes > r->expect)
        *bytes = r->expect;
    return to;
}

static void *read_room(struct http_transfer *transfer, uint64_t *bytes)
{
    struct http_read *r = read_of(transfer);

    if (r->skip) {
        *bytes = r->skip;
        return NULL;
    }
    if (r->expect)
        return wanted_room(r, bytes);
    /* what nobody asked for: the rest of a slice, the text of an error */
    if (r->measures) {
        uint64_t most = transfer->store->settings.full_body_bytes_max;
        *bytes = most - r->drained;
    } else if (r->sliced || transfer->owner->base.head.status == 416) {
        *bytes = DRAIN_BYTES_MAX > r->drained ? DRAIN_BYTES_MAX - r->drained : 0;
        transfer->enough = true;
    } else {
        *bytes = 0;
        transfer->enough = false; /* a byte more than the head said: it is not to be believed */
    }
    return NULL;
}

/* The first so many bytes stay what they are, whatever becomes of the rest: nothing can show that
 * they are damaged, no other version of the object will take their place. */
static void tell(struct http_read *r)
{
    struct driver_read *read = r->read;

    read->tell_bytes = 0;
    if (r->checksum.kind || may_restart(r) || !http_version_deliver(r->version))
        return;
    r->tells = true;
    read->ready_bytes = r->got;
    read->env->advanced(read->env, read);
}

static void read_got(struct http_transfer *transfer, uint64_t bytes)
{
    struct http_read *r = read_of(transfer);

    if (r->skip) {
        r->skip -= bytes;
    } else if (r->expect) {
        r->expect -= bytes;
        r->got += bytes;
        r->iov_done += bytes;
        while (r->read->iov && r->iov_at < r->read->iov_count &&
               r->iov_done == r->read->iov[r->iov_at].iov_len) {
            r->iov_at++;
            r->iov_done = 0;
        }
        if (r->tells)
            r->read->ready_bytes = r->got;
        if (r->read->tell_bytes && r->got >= r->read->tell_bytes)
            tell(r);
    } else {
        r->drained += bytes;
    }
    /* what may still be missing is the end of the framing, which proves nothing */
    transfer->enough = !r->skip && !r->expect && !r->measures;
}

/* A body without a length has ended where its framing says that it ends. */
static int body_measured(struct http_read *r)
{
    uint64_t size = r->read->offset + r->got + r->drained;

    LSIO_MARK(h14_measured);
    if (r->skip) /* it ended before the range begins: an object of a size that a probe does not tell
                  */
        return LSIO_E_PROTOCOL;
    r->expect = 0;
    return http_version_size(r->read->object, size);
}

static int body_ended(struct http_read *r)
{
    uint64_t size;

    if (r->measures)
        return body_measured(r);
    if (r->got == r->read->bytes)
        return 0;
    if (r->expect == 0 && r->ends)
        return is_probe(r) ? 0 : LSIO_E_TRUNCATED;
    if (r->expect == 0) /* a part of the range, as a server may: go on */
        return TRANSFER_AGAIN;
    /* a body without length that ended early */
    size = atomic_load(&r->read->object->plan.size);
    if (r->sliced && (size == LSIO_SIZE_UNKNOWN || size < last_byte(r) + 1))
        return LSIO_E_TRUNCATED;
    LSIO_MARK(h14_ended_early);
    return r->wrong_answers++ < WRONG_ANSWERS_MAX ? TRANSFER_AGAIN : LSIO_E_PROTOCOL;
}

/* All bytes are there. What was damaged on the way comes whole the second time. */
static int body_verify(struct http_read *r)
{
    int status = http_checksum_check(&r->checksum, r->read->addr, r->got, r->transfer.why,
                                     sizeof(r->transfer.why));

    if (!status || r->refetched)
        return status;
    LSIO_MARK(h29_refetched);
    r->refetched = true;
    start_over(r);
    return TRANSFER_AGAIN;
}

static int read_complete(struct http_transfer *transfer)
{
    struct http_read *r = read_of(transfer);
    int status = body_ended(r);

    if (!status && r->checksum.kind)
        status = body_verify(r);
    if (status || !r->version || http_version_deliver(r->version))
        return status;
    start_over(r); /* another read of the object has met a newer version */
    return TRANSFER_AGAIN;
}

static void read_done(struct http_transfer *transfer, int32_t status)
{
    struct http_read *r = read_of(transfer);
    struct http_worker *worker = transfer->worker;
    struct driver_read *read = r->read;

    if (!status && read->kind == DRIVER_PROBE)
        http_store_saw_size(transfer->store, read->object);
    read->status = status;
    read->bytes_done = r->got;
    read->code = transfer_code(transfer);
    read->wait = NULL;
    if (status < 0 && (status != -ECANCELED || !transfer->canceled))
        read->detail = transfer_detail(transfer, status);
    transfer->next = worker->free_reads;
    worker->free_reads = transfer;
    worker->env->complete(worker->env, read);
}

static const struct http_transfer_ops read_ops = {
    .prepare = read_prepare,
    .ask = read_ask,
    .head = read_head,
    .room = read_room,
    .got = read_got,
    .complete = read_complete,
    .restart = read_restart,
    .done = read_done,
};

/* ------------------------------------------------------------------------- from the engine -- */

static struct http_read *read_get(struct http_worker *worker)
{
    struct http_transfer *transfer = worker->free_reads;
    struct http_read *r;

    if (transfer)
        worker->free_reads = transfer->next;
    r = transfer ? read_of(transfer) : malloc(sizeof(*r));
    if (r)
        memset(r, 0, offsetof(struct http_read, transfer));
    return r;
}

void http_read(struct driver_env *env, struct driver_read *read)
{
    struct http_store *store = http_store_of(read->object->store);
    struct http_worker *worker = http_worker_get(store->state, env);
    struct http_read *r = worker ? read_get(worker) : NULL;

    read->env = env;
    read->code = 0;
    read->text = NULL;
    read->bytes_done = 0;
    read->wait = r;
    if (!r) {
        read->status = -ENOMEM;
        env->complete(env, read);
        return;
    }
    r->read = read;
    transfer_init(&r->transfer, &read_ops, store);
    r->transfer.worker = worker;
    transfer_start(&r->transfer);
}

void http_read_cancel(struct driver_env *env, struct driver_read *read)
{
    struct http_read *r = read->wait;

    (void)env;
    if (r)
        transfer_cancel(&r->transfer);
}

void http_reads_free(struct http_worker *worker)
{
    while (worker->free_reads) {
        struct http_transfer *transfer = worker->free_reads;
        worker->free_reads = transfer->next;
        free(read_of(transfer));
    }
}

/* --------------------------------------------------------------------------------- objects -- */

int http_object_info(struct driver_object *object, struct lsio_object_info *out)
{
    const struct http_version *version = http_version_of(object);
    static const struct http_version none = {.size = HTTP_SIZE_UNKNOWN};
    uint64_t size = atomic_load(&object->plan.size);

    if (!version) { /* an empty object was read: 416 has no validator */
        if (size != 0)
            return -ENOENT;
        version = &none;
    }
    out->size = version->size != HTTP_SIZE_UNKNOWN ? version->size : size;
    out->mtime_ns = version->has_modified ? version->modified_s * 1000000000 : 0;
    if (version->etag[0])
        snprintf(out->etag, sizeof(out->etag), "%s", version->etag);
    else if (version->generation)
        snprintf(out->etag, sizeof(out->etag), "%" PRIu64, version->generation);
    else
        out->etag[0] = '\0';
    return 0;
}

void http_object_finish(struct driver_object *object)
{
    http_version_finish(object);
}
