/* SPDX-License-Identifier: MIT */
/*
 * Design: a transfer is a small state machine on one worker. Each function here is one arrow of the
 * picture in transfer.h; what happens after an attempt is decided in transfer_end.c, when no
 * request of the transfer is in flight any more. So nothing of it is touched by the network while
 * it sleeps, waits or ends, and no destination is handed back while somebody may still write to it.
 *
 * Clocks. A transfer stands still when its answer grows by less than STALL_BYTES_PER_S for
 * stall_timeout_ms, or none begins within first_byte_timeout_ms; that is looked at by ticks of a
 * quarter of it, in the worker's loop, so time that the worker spends in chains does not count as
 * the server's: what had arrived is taken first. What has come is kept, so ending a slow request
 * loses nothing but the connection.
 *
 * A hedge is a second request after the host's usual first-byte time, with a permit of its own. It
 * races for the head only: the first good head owns the destination, the other request is ended
 * unread.
 *
 * Threads: the worker.
 */
#include "driver/http/transfer_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/mark.h"
#include "driver/http/redirect.h"

#define HTTP_ERROR_DISCARD_MAX 65536u
#define STALL_BYTES_PER_S      1024u

/* --------------------------------------------------------------------------------- running -- */

static void running_add(struct http_transfer *t)
{
    struct http_worker *worker = t->worker;

    t->prev = NULL;
    t->next = worker->running;
    if (worker->running)
        worker->running->prev = t;
    worker->running = t;
}

static void running_remove(struct http_transfer *t)
{
    if (t->prev)
        t->prev->next = t->next;
    else
        t->worker->running = t->next;
    if (t->next)
        t->next->prev = t->prev;
    t->next = t->prev = NULL;
}

static void wires_abort(struct http_transfer *t)
{
    struct transport *transport = t->worker->transport;

    for (int i = 0; i < 2; i++)
        if (t->wires[i].running)
            t->worker->state->transport_ops->abort(transport, &t->wires[i].base);
}

/* ---------------------------------------------------------------------------------- events -- */

static struct http_wire *wire_of(struct transport_request *base)
{
    return container_of(base, struct http_wire, base);
}

/* Whether the other request, if there is one, may still bring what this answer does not. One that
 * was let go runs until its end is told, which may be later than this answer. */
static bool other_may_win(const struct http_transfer *t, const struct http_wire *wire)
{
    const struct http_wire *other = &t->wires[wire == &t->wires[0]];

    return other->running && !other->let_go;
}

/* The other request is the better one. */
static int let_go(struct http_wire *wire)
{
    wire->let_go = true;
    return -1;
}

static int wire_head(struct transport_request *base, const struct http_head *head)
{
    struct http_wire *wire = wire_of(base);
    struct http_transfer *t = wire->transfer;
    bool good = (head->status >= 200 && head->status < 300) || head->status == 416;

    if (t->owner || (!good && other_may_win(t, wire)))
        return let_go(wire);
    t->owner = wire;
    t->progress_seen = ++t->progress;
    t->quiet_ns = 0;
    t->silent = false;
    if (t->first_byte_ns == 0)
        t->first_byte_ns = transfer_now_ns(t) - wire->sent_ns;
    for (int i = 0; i < 2; i++)
        if (&t->wires[i] != wire && t->wires[i].running)
            t->worker->state->transport_ops->abort(t->worker->transport, &t->wires[i].base);
    memcpy(t->request_id, head->request_id, sizeof(t->request_id));
    if (good) {
        if (!t->asking) { /* what went wrong before has been got over */
            t->code = 0;
            t->os_error = 0;
            t->error_code[0] = t->why[0] = '\0';
        }
        /* that the store answers at all is what was asked */
        t->decided = t->asking ? -ENOENT : t->ops->head(t, head);
        return t->decided ? -1 : 0;
    }
    t->is_error = true;
    t->error_bytes = 0;
    return 0;
}

static void *wire_room(struct transport_request *base, uint64_t *bytes)
{
    struct http_transfer *t = wire_of(base)->transfer;

    if (t->canceled) {
        *bytes = 0;
        return NULL;
    }
    if (!t->is_error)
        return t->ops->room(t, bytes);
    if (t->error_bytes < HTTP_ERROR_BYTES) {
        *bytes = HTTP_ERROR_BYTES - t->error_bytes;
        return t->error_body + t->error_bytes;
    }
    *bytes = t->progress < HTTP_ERROR_DISCARD_MAX ? HTTP_ERROR_DISCARD_MAX : 0;
    return NULL;
}

static void wire_got(struct transport_request *base, uint64_t bytes)
{
    struct http_transfer *t = wire_of(base)->transfer;

    t->progress += bytes;
    if (!t->is_error)
        t->ops->got(t, bytes);
    else if (t->error_bytes < HTTP_ERROR_BYTES)
        t->error_bytes += (uint32_t)bytes;
}

static void wire_end(struct transport_request *base, const struct transport_end *end)
{
    struct http_wire *wire = wire_of(base);
    struct http_transfer *t = wire->transfer;

    wire->running = false;
    t->worker->env->requests += end->resends;
    t->worker->env->reconnects += end->resends;
    if (wire == &t->wires[1])
        http_host_release(t->store->host, HTTP_OUTCOME_OTHER, NULL, transfer_now_ns(t));
    if (t->owner == wire || (!t->owner && !wire->let_go))
        t->end = *end; /* one of two is never let go */
    if (!t->wires[0].running && !t->wires[1].running) {
        running_remove(t);
        transfer_attempt_end(t);
    }
}

static const struct transport_events wire_events = {
    .head = wire_head, .room = wire_room, .got = wire_got, .end = wire_end};

/* ------------------------------------------------------------------------------------ send -- */

static void wire_start(struct http_transfer *t, struct http_wire *wire)
{
    wire->transfer = t;
    wire->running = true;
    wire->let_go = false;
    wire->sent_ns = transfer_now_ns(t);
    t->worker->env->requests++;
    wire->base.target = &t->store->target;
    wire->base.request = &t->request;
    wire->base.events = &wire_events;
    t->worker->state->transport_ops->start(t->worker->transport, &wire->base);
}

static int request_build(struct http_transfer *t)
{
    static const struct http_credential anonymous;
    const struct http_credential *credential =
        t->credential ? &t->credential->credential : &anonymous;
    int status;

    memset(&t->request, 0, offsetof(struct http_request, headers));
    http_text_init(&t->text, t->memory, sizeof(t->memory));
    status = (t->asking ? t->ops->ask : t->ops->prepare)(t, &t->request, &t->text);
    if (!status && t->location[0] && !t->asking)
        status = http_redirect_apply(&t->request, t->location, t->foreign, &t->text);
    if (status || t->foreign)
        return status;
    status = http_authorize(t->worker, t->store, credential, &t->request, &t->text);
    if (status != -EINVAL)
        return status;
    LSIO_MARK(h26_credentials_do_not_sign);
    transfer_why(t, "the key or token that was found cannot sign a request: is it cut off?");
    return -EACCES;
}

/* With credentials and a permit. */
static void transfer_send(struct http_transfer *t)
{
    int status = request_build(t);

    if (status) {
        transfer_permit_return(t, HTTP_OUTCOME_OTHER);
        if (status == -ENOBUFS)
            transfer_why(t, "the request's URL or headers are too long");
        transfer_finish(t, status == -ENOBUFS ? LSIO_E_LIMIT : status);
        return;
    }
    t->attempts++;
    t->owner = NULL;
    t->is_error = false;
    t->decided = 0;
    t->cause = TRANSFER_BY_SERVER;
    t->first_byte_ns = 0;
    t->progress = t->progress_seen = 0;
    t->quiet_ns = 0;
    t->enough = false;
    t->state = TRANSFER_RUNNING;
    running_add(t);
    http_worker_clock(t->worker, t->store);
    wire_start(t, &t->wires[0]);
}

static void permit_run(struct driver_env *env, struct queue_node *node)
{
    struct http_transfer *t = container_of(node, struct http_transfer, permit.node);

    (void)env;
    t->has_permit = true;
    if (t->canceled) {
        transfer_permit_return(t, HTTP_OUTCOME_OTHER);
        transfer_finish(t, -ECANCELED);
        return;
    }
    transfer_send(t);
}

static void permit_ask(struct http_transfer *t)
{
    t->state = TRANSFER_PERMIT;
    t->permit.env = t->worker->env;
    t->permit.node.run = permit_run;
    if (http_host_acquire(t->store->host, &t->permit)) {
        t->has_permit = true;
        transfer_send(t);
    }
}

static void credential_run(struct driver_env *env, struct queue_node *node)
{
    struct http_transfer *t = container_of(node, struct http_transfer, credential_wait.node);

    (void)env;
    t->worker->env->background--;
    if (t->canceled)
        transfer_finish(t, -ECANCELED);
    else
        transfer_go(t);
}

/* What ends a transfer that has nothing to sign with. A provider's status speaks of its own files
 * and servers. As a chunk's it would lie: -ENOENT would prove that the object is absent, LSIO_E_TLS
 * accuse the store's server. What stands is what has the same meaning for both: time, memory,
 * descriptors or threads ran out, or nobody waits any more. */
static int credential_status(int status)
{
    switch (status) {
    case -ETIMEDOUT:
    case -ECANCELED:
    case -ENOMEM:
    case -EMFILE:
    case -ENFILE:
    case -EAGAIN:
        return status;
    default:
        return -EACCES;
    }
}

/* The report is "PROVIDER: SENTENCE; PROVIDER: SENTENCE; ...", and the last one is who failed: that
 * sentence comes first, then the names of those who had nothing to say. */
static void credential_failed(struct http_transfer *t, int status)
{
    char report[CREDENTIAL_REPORT_BYTES], text[CREDENTIAL_REPORT_BYTES + 64];
    char *part = report, *next, *last;
    size_t used;

    LSIO_MARK(h26_no_credentials);
    credential_cache_report(t->store->credentials, report, sizeof(report));
    for (last = report; (next = strstr(last, "; ")) != NULL; last = next + 2)
        ;
    used =
        (size_t)snprintf(text, sizeof(text), "%s%s", last, last == report ? "" : "; nothing from");
    for (; part != last; part = next + 2) {
        next = strstr(part, "; ");
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s %.*s",
                                 part == report ? "" : ",", (int)strcspn(part, ":;"), part);
    }
    if (!t->credentials_renewed)
        t->code = 0; /* what an attempt before met is not the reason */
    t->os_error = status_errno(status);
    t->why[0] = '\0';
    transfer_why(t, text);
    transfer_finish(t, credential_status(status));
}

void transfer_go(struct http_transfer *t)
{
    int status = 0;

    credential_ref_release(t->credential);
    t->credential = NULL;
    if (t->store->credentials) {
        t->credential_wait.env = t->worker->env;
        t->credential_wait.node.run = credential_run;
        status = credential_cache_get(t->store->credentials, &t->credential_wait, &t->credential);
    }
    if (status == CREDENTIAL_WAIT) {
        t->state = TRANSFER_CREDENTIAL;
        t->worker->env->background++;
    } else if (status < 0) {
        credential_failed(t, status);
    } else {
        permit_ask(t);
    }
}

void transfer_init(struct http_transfer *t, const struct http_transfer_ops *ops,
                   struct http_store *store)
{
    memset(t, 0, offsetof(struct http_transfer, wires));
    for (int i = 0; i < 2; i++)
        memset(&t->wires[i], 0, offsetof(struct http_wire, base.head));
    t->location[0] = '\0';
    t->ops = ops;
    t->store = store;
}

void transfer_start(struct http_transfer *t)
{
    t->began_ns = transfer_now_ns(t);
    transfer_go(t);
}

void transfer_cancel(struct http_transfer *t)
{
    struct driver_env *env = t->worker->env;

    if (t->canceled || t->state == TRANSFER_IDLE)
        return;
    t->canceled = true;
    switch (t->state) {
    case TRANSFER_RUNNING:
        wires_abort(t);
        break;
    case TRANSFER_SLEEPING:
        env->loop_ops->cancel(env->loop, &t->timer);
        break;
    case TRANSFER_PERMIT:
        if (http_host_withdraw(t->store->host, &t->permit))
            transfer_finish(t, -ECANCELED);
        break; /* else the permit is on its way, and permit_run() ends it */
    case TRANSFER_CREDENTIAL:
        if (credential_cache_cancel(t->store->credentials, &t->credential_wait)) {
            env->background--;
            transfer_finish(t, -ECANCELED);
        }
        break;
    default:
        break;
    }
}

/* ----------------------------------------------------------------------------------- clock -- */

/* A second request for the same bytes, when the first byte is later than is usual here. */
static void hedge(struct http_transfer *t, uint64_t now)
{
    const struct http_settings *settings = &t->store->settings;
    struct http_host *host = t->store->host;
    uint64_t usual_ns;

    if (!settings->hedge || t->owner || t->wires[1].running || !t->wires[0].running)
        return;
    usual_ns = settings->hedge_delay_ms ? settings->hedge_delay_ms * NS_PER_MS
                                        : http_host_first_byte(host, 95);
    if (!usual_ns || now - t->wires[0].sent_ns < usual_ns || !http_host_try(host))
        return;
    if (!http_host_hedge(host, (uint32_t)settings->hedge_percent)) {
        http_host_release(host, HTTP_OUTCOME_OTHER, NULL, now);
        return;
    }
    LSIO_MARK(h12_hedged);
    t->worker->env->hedges++;
    wire_start(t, &t->wires[1]);
}

/* What keeps a running transfer from going on, by the clock; 0: nothing. */
static enum transfer_cause overdue(struct http_transfer *t, uint64_t now, uint64_t tick_ns)
{
    const struct http_settings *settings = &t->store->settings;
    uint64_t least = t->owner ? settings->stall_timeout_ms * STALL_BYTES_PER_S / 1000 : 0;

    if (settings->timeout_ms && now - t->wires[0].sent_ns >= settings->timeout_ms * NS_PER_MS)
        return TRANSFER_TOO_LONG;
    if (t->progress - t->progress_seen > least) {
        t->progress_seen = t->progress;
        t->quiet_ns = 0;
        return TRANSFER_BY_SERVER;
    }
    t->quiet_ns += tick_ns;
    if (t->quiet_ns > now - t->wires[0].sent_ns)
        t->quiet_ns = now - t->wires[0].sent_ns; /* it has begun since the last tick */
    if (!t->owner)
        return t->quiet_ns >= settings->first_byte_timeout_ms * NS_PER_MS ? TRANSFER_LATE
                                                                          : TRANSFER_BY_SERVER;
    return t->quiet_ns >= settings->stall_timeout_ms * NS_PER_MS ? TRANSFER_STALLED
                                                                 : TRANSFER_BY_SERVER;
}

void transfer_tick(struct http_worker *worker, uint64_t tick_ns)
{
    struct http_transfer *t = worker->running, *next;
    uint64_t now = worker->env->os->now_ns();

    for (; t; t = next) {
        next = t->next;
        if (t->canceled || t->cause)
            continue;
        hedge(t, now);
        t->cause = overdue(t, now, tick_ns);
        if (t->cause) {
            LSIO_MARK(h12_stalled);
            wires_abort(t);
        }
    }
}
