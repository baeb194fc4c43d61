/* SPDX-License-Identifier: MIT */
/*
 * Design: a transfer is a small state machine on one worker. Each function below is one arrow of
 * the picture in transfer.h; what happens next is decided in attempt_end() alone, when no request
 * of the transfer is in flight any more. So nothing of it is touched by the network while it
 * sleeps, waits or ends, and no destination is handed back while somebody may still write to it.
 *
 * Limits: retry_attempts_max tries within retry_timeout_ms, each retry paid for with the host's
 * tokens. A try over a connection that had been closed by the server before it read anything is no
 * try (RFC 9110 section 9.2.2: GET is idempotent), once per attempt.
 *
 * Clocks. A transfer stands still when its answers do not grow for stall_timeout_ms, or none begins
 * within first_byte_timeout_ms; that is looked at by ticks of a quarter of it, in the worker's
 * loop, so time that the worker spends in chains does not count as the server's: what had arrived
 * is taken first.
 *
 * A hedge is a second request after the host's usual first-byte time. It races for the head only:
 * the first good head owns the destination, the other request is ended unread.
 *
 * Threads: the worker.
 */
#include "driver/http/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mark.h"
#include "driver/http/encode.h"
#include "driver/http/redact.h"
#include "driver/http/xml.h"

#define HTTP_RETRY_AFTER_MS    60000u
#define HTTP_REDIRECTS_MAX     5u
#define HTTP_ERROR_DISCARD_MAX 65536u
#define NS_PER_MS              UINT64_C(1000000)

static void transfer_go(struct http_transfer *t);

static uint64_t now_ns(const struct http_transfer *t)
{
    return t->worker->env->os->now_ns();
}

/* ------------------------------------------------------------------------------------- end -- */

static void finish(struct http_transfer *t, int32_t status)
{
    t->state = TRANSFER_IDLE;
    credential_ref_release(t->credential);
    t->credential = NULL;
    t->ops->done(t, status);
}

/* Keeps the first sentence about what went wrong. */
static void why(struct http_transfer *t, const char *text)
{
    if (!t->why[0])
        http_redact(t->why, sizeof(t->why), text, NULL);
}

struct driver_detail *transfer_detail(const struct http_transfer *t, int32_t status)
{
    struct driver_detail *detail = calloc(1, sizeof(*detail));
    char text[sizeof(detail->text) * 2];

    if (!detail)
        return NULL;
    detail->attempts = t->attempts;
    memcpy(detail->request_id, t->request_id, sizeof(detail->request_id));
    if (t->code)
        snprintf(text, sizeof(text), "the server answered %u%s%s%s%s", t->code,
                 t->error_code[0] ? " " : "", t->error_code, t->why[0] ? ": " : "", t->why);
    else
        snprintf(text, sizeof(text), "%s", t->why[0] ? t->why : lsio_status_text(status));
    http_redact(detail->text, sizeof(detail->text), text, NULL);
    return detail;
}

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

static void permit_return(struct http_transfer *t, enum http_outcome outcome)
{
    if (!t->has_permit)
        return;
    t->has_permit = false;
    http_host_release(t->store->host, outcome, t->first_byte_ns, now_ns(t));
}

static void wires_abort(struct http_transfer *t)
{
    struct transport *transport = t->worker->transport;

    for (int i = 0; i < 2; i++)
        if (t->wires[i].running)
            t->worker->state->transport_ops->abort(transport, &t->wires[i].base);
}

/* ------------------------------------------------------------------------------- try again -- */

static void sleep_done(struct loop_op *op)
{
    struct http_transfer *t = container_of(op, struct http_transfer, timer);

    t->worker->env->background--;
    if (t->canceled)
        finish(t, -ECANCELED);
    else
        transfer_go(t);
}

static void sleep_until(struct http_transfer *t, uint64_t until_ns)
{
    struct driver_env *env = t->worker->env;

    t->state = TRANSFER_SLEEPING;
    t->timer = (struct loop_op){.kind = LOOP_TIMER,
                                .done = sleep_done,
                                .offset = until_ns,
                                .fd = -1,
                                .file = -1,
                                .buffer = -1};
    env->background++;
    env->loop_ops->submit(env->loop, &t->timer);
}

/* Tries again after a pause, if that is still allowed; else ends with `status`. */
static void retry(struct http_transfer *t, int32_t status, uint64_t wait_ms)
{
    const struct http_settings *settings = &t->store->settings;
    uint64_t now = now_ns(t), pause;

    if (t->attempts >= settings->retry_attempts_max ||
        now - t->began_ns >= settings->retry_timeout_ms * NS_PER_MS ||
        !http_host_retry(t->store->host)) {
        LSIO_MARK(http_retries_used_up);
        finish(t, status);
        return;
    }
    pause = http_backoff_ns(settings->retry_sleep_min_ms * NS_PER_MS,
                            settings->retry_sleep_max_ms * NS_PER_MS, t->sleep_ns,
                            http_random(t->worker));
    t->sleep_ns = pause;
    if (wait_ms)
        pause = (wait_ms < HTTP_RETRY_AFTER_MS ? wait_ms : HTTP_RETRY_AFTER_MS) * NS_PER_MS;
    t->worker->env->retries++;
    sleep_until(t, now + pause);
}

/* ------------------------------------------------------------------------------- redirects -- */

static bool same_host(const struct http_transfer *t, const char *location)
{
    char prefix[512];
    int length = snprintf(prefix, sizeof(prefix), "%s://%s", t->request.scheme, t->request.host);

    return length > 0 && (size_t)length < sizeof(prefix) &&
           strncmp(location, prefix, (size_t)length) == 0 &&
           (location[length] == '/' || location[length] == '?' || location[length] == '\0');
}

/* Where the answer leads, as an absolute URL in t->location. False: not to be followed. */
static bool redirect_take(struct http_transfer *t, const char *location)
{
    bool secure = strcmp(t->request.scheme, "https") == 0;
    char whole[sizeof(t->location)];
    int length;

    if (++t->redirects > HTTP_REDIRECTS_MAX) {
        why(t, "too many redirects");
        return false;
    }
    if (location[0] == '/' && location[1] == '/')
        length = snprintf(whole, sizeof(whole), "%s:%s", t->request.scheme, location);
    else if (location[0] == '/')
        length = snprintf(whole, sizeof(whole), "%s://%s%s", t->request.scheme, t->request.host,
                          location);
    else
        length = snprintf(whole, sizeof(whole), "%s", location);
    if (length < 0 || (size_t)length >= sizeof(whole) || !http_text_is_clean(whole) ||
        (strncmp(whole, "https://", 8) != 0 && (secure || strncmp(whole, "http://", 7) != 0))) {
        LSIO_MARK(http_redirect_refused);
        why(t, "a redirect leads to where it must not be followed");
        return false;
    }
    if (!same_host(t, whole)) {
        LSIO_MARK(http_redirect_to_another_host);
        t->foreign = true;
    }
    memcpy(t->location, whole, sizeof(whole));
    return true;
}

/* Points the request to t->location; with another host nothing of ours but range and validator goes
 * there. */
static int redirect_apply(struct http_transfer *t)
{
    struct http_request *request = &t->request;
    char *at = strstr(t->location, "://") + 3, *path = at + strcspn(at, "/?#"), *query;
    const char *text;
    uint32_t kept = 0;

    http_text_append(&t->text, at, (size_t)(path - at));
    if (http_text_end(&t->text, &request->host))
        return -ENOBUFS;
    request->scheme = t->location[4] == 's' ? "https" : "http";
    query = path + strcspn(path, "?#");
    if (*path != '/')
        http_text_puts(&t->text, "/");
    http_text_append(&t->text, path, (size_t)(query - path));
    if (http_text_end(&t->text, &request->path))
        return -ENOBUFS;
    request->query = NULL;
    if (*query == '?') {
        http_text_append(&t->text, query + 1, strcspn(query + 1, "#"));
        if (http_text_end(&t->text, &text))
            return -ENOBUFS;
        request->query = text;
    }
    if (!t->foreign)
        return 0;
    for (uint32_t i = 0; i < request->header_count; i++) {
        const char *name = request->headers[i].name;
        if (strcmp(name, "range") == 0 || strcmp(name, "if-match") == 0 ||
            strcmp(name, "accept-encoding") == 0)
            request->headers[kept++] = request->headers[i];
    }
    request->header_count = kept;
    return 0;
}

/* ----------------------------------------------------------------------------------- errors -- */

static void region_take(struct http_transfer *t, const char *region)
{
    struct http_host *host = t->store->host;

    pthread_mutex_lock(&host->lock);
    snprintf(host->region, sizeof(host->region), "%s", region);
    pthread_mutex_unlock(&host->lock);
}

static void clock_take(struct http_transfer *t, const struct http_head *head)
{
    struct http_host *host = t->store->host;

    pthread_mutex_lock(&host->lock);
    host->clock_offset_s = head->date_s - (int64_t)time(NULL);
    pthread_mutex_unlock(&host->lock);
}

/* Does `action` for the first time, or ends with the status. */
static void once(struct http_transfer *t, bool *done, int32_t status)
{
    if (*done) {
        finish(t, status);
        return;
    }
    *done = true;
    transfer_go(t);
}

static void error_act(struct http_transfer *t, const struct http_head *head,
                      const struct http_verdict *verdict)
{
    uint64_t wait_ms = 0;

    switch (verdict->action) {
    case HTTP_RETRY:
    case HTTP_THROTTLE:
        LSIO_MARK(http_server_said_later);
        (void)http_head_retry_after(head, (int64_t)time(NULL), &wait_ms);
        retry(t, verdict->status, wait_ms);
        return;
    case HTTP_REDIRECT:
        if (redirect_take(t, head->location))
            transfer_go(t);
        else
            finish(t, verdict->status);
        return;
    case HTTP_REGION:
        LSIO_MARK(http_region_found);
        if (!t->region_changed)
            region_take(t, verdict->region);
        once(t, &t->region_changed, verdict->status);
        return;
    case HTTP_CLOCK:
        LSIO_MARK(http_clock_skewed);
        if (!t->clock_changed)
            clock_take(t, head);
        once(t, &t->clock_changed, verdict->status);
        return;
    case HTTP_CREDENTIALS:
        LSIO_MARK(http_credentials_refused);
        if (t->credential && !t->credentials_renewed) {
            credential_cache_refused(t->store->credentials, t->credential);
            once(t, &t->credentials_renewed, verdict->status);
            return;
        }
        break;
    default:
        break;
    }
    finish(t, verdict->status);
}

/* The answer was an error: what now? */
static void error_judge(struct http_transfer *t)
{
    const struct http_head *head = &t->owner->base.head;
    struct http_judge judge = {.dialect = t->store->settings.address.dialect,
                               .missing_on_403 = t->store->settings.missing_on_403};
    struct xml_error xml;
    struct http_verdict verdict;

    pthread_mutex_lock(&t->store->host->lock);
    judge.answered = t->store->host->answered;
    pthread_mutex_unlock(&t->store->host->lock);
    (void)xml_error_parse(t->error_body, t->error_bytes, &xml);
    t->code = head->status;
    snprintf(t->error_code, sizeof(t->error_code), "%s",
             head->error_code[0] ? head->error_code : xml.code);
    snprintf(t->request_id, sizeof(t->request_id), "%s",
             head->request_id[0] ? head->request_id : xml.request_id);
    t->why[0] = '\0';
    why(t, xml.message);
    http_judge(&judge, head, t->error_code, xml.region, &verdict);
    permit_return(t, verdict.action == HTTP_THROTTLE ? HTTP_OUTCOME_THROTTLED : HTTP_OUTCOME_OTHER);
    error_act(t, head, &verdict);
}

static int32_t transport_status(enum transport_error error)
{
    switch (error) {
    case TRANSPORT_RESOLVE:
        return -EHOSTUNREACH;
    case TRANSPORT_CONNECT:
        return -ECONNREFUSED;
    case TRANSPORT_TLS:
        return LSIO_E_TLS;
    case TRANSPORT_RESET:
        return -ECONNRESET;
    case TRANSPORT_MEMORY:
        return -ENOMEM;
    case TRANSPORT_ABORTED:
        return -ETIMEDOUT;
    default:
        return LSIO_E_PROTOCOL;
    }
}

/* No whole answer came. */
static void transport_failed(struct http_transfer *t)
{
    enum transport_error error = t->end.error;
    int32_t status = transport_status(error);

    t->code = 0;
    t->why[0] = '\0';
    why(t, t->cause == TRANSFER_STALLED ? "the server sent nothing for too long" : t->end.text);
    permit_return(t, HTTP_OUTCOME_OTHER);
    if (error == TRANSPORT_RESET && t->end.reused && !t->end.any_bytes && !t->silent) {
        LSIO_MARK(http_idle_connection_was_closed);
        t->silent = true;
        t->attempts--;
        transfer_go(t);
        return;
    }
    if (error == TRANSPORT_TLS || error == TRANSPORT_MEMORY || error == TRANSPORT_OVERLONG ||
        (error == TRANSPORT_PROTOCOL && !t->end.reused)) {
        LSIO_MARK(http_not_tried_again);
        finish(t, status);
        return;
    }
    t->silent = false;
    retry(t, status, 0);
}

/* No request of this attempt is in flight any more: what came of it? */
static void attempt_end(struct http_transfer *t)
{
    int next;

    running_remove(t);
    if (t->canceled) {
        permit_return(t, HTTP_OUTCOME_OTHER);
        finish(t, -ECANCELED);
        return;
    }
    if (t->is_error && t->owner) {
        error_judge(t);
        return;
    }
    if (t->end.error == TRANSPORT_OVERLONG && t->enough)
        t->end.error = TRANSPORT_OK;
    if (!t->decided && t->end.error != TRANSPORT_OK) {
        transport_failed(t);
        return;
    }
    permit_return(t, HTTP_OUTCOME_OK);
    next = t->decided ? t->decided : t->ops->complete(t);
    if (next == TRANSFER_AGAIN)
        transfer_go(t);
    else
        finish(t, next == TRANSFER_DONE ? 0 : next);
}

/* ---------------------------------------------------------------------------------- events -- */

static struct http_wire *wire_of(struct transport_request *base)
{
    return container_of(base, struct http_wire, base);
}

static int wire_head(struct transport_request *base, const struct http_head *head)
{
    struct http_wire *wire = wire_of(base);
    struct http_transfer *t = wire->transfer;

    if (t->owner)
        return -1; /* the other request was faster */
    t->owner = wire;
    t->progress++;
    if (t->first_byte_ns == 0)
        t->first_byte_ns = now_ns(t) - wire->sent_ns;
    for (int i = 0; i < 2; i++)
        if (&t->wires[i] != wire && t->wires[i].running)
            t->worker->state->transport_ops->abort(t->worker->transport, &t->wires[i].base);
    memcpy(t->request_id, head->request_id, sizeof(t->request_id));
    if ((head->status >= 200 && head->status < 300) || head->status == 416) {
        t->decided = t->ops->head(t, head);
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
    if (t->owner == wire || !t->owner)
        t->end = *end;
    if (!t->wires[0].running && !t->wires[1].running)
        attempt_end(t);
}

static const struct transport_events wire_events = {
    .head = wire_head, .room = wire_room, .got = wire_got, .end = wire_end};

/* ------------------------------------------------------------------------------------ send -- */

static void wire_start(struct http_transfer *t, struct http_wire *wire)
{
    wire->transfer = t;
    wire->running = true;
    wire->sent_ns = now_ns(t);
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

    memset(&t->request, 0, sizeof(t->request));
    http_text_init(&t->text, t->memory, sizeof(t->memory));
    status = t->ops->prepare(t, &t->request, &t->text);
    if (!status && t->location[0])
        status = redirect_apply(t);
    if (!status && !t->foreign)
        status = http_authorize(t->worker, t->store, credential, &t->request, &t->text);
    return status;
}

/* With credentials and a permit. */
static void transfer_send(struct http_transfer *t)
{
    int status = request_build(t);

    if (status) {
        permit_return(t, HTTP_OUTCOME_OTHER);
        if (status == -ENOBUFS)
            why(t, "the request's URL or headers are too long");
        finish(t, status == -ENOBUFS ? LSIO_E_LIMIT : status);
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
    http_worker_clock(t->worker);
    wire_start(t, &t->wires[0]);
}

static void permit_run(struct driver_env *env, struct queue_node *node)
{
    struct http_transfer *t = container_of(node, struct http_transfer, permit.node);

    (void)env;
    t->has_permit = true;
    if (t->canceled) {
        permit_return(t, HTTP_OUTCOME_OTHER);
        finish(t, -ECANCELED);
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
        finish(t, -ECANCELED);
    else
        transfer_go(t);
}

static void credential_failed(struct http_transfer *t, int status)
{
    char report[CREDENTIAL_REPORT_BYTES];

    LSIO_MARK(http_no_credentials);
    credential_cache_report(t->store->credentials, report, sizeof(report));
    why(t, report);
    finish(t, status);
}

/* The next attempt. */
static void transfer_go(struct http_transfer *t)
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

void transfer_start(struct http_transfer *t)
{
    t->began_ns = now_ns(t);
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
            finish(t, -ECANCELED);
        break; /* else the permit is on its way, and permit_run() ends it */
    case TRANSFER_CREDENTIAL:
        if (credential_cache_cancel(t->store->credentials, &t->credential_wait)) {
            env->background--;
            finish(t, -ECANCELED);
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
    uint64_t usual_ns;

    if (!settings->hedge || t->owner || t->wires[1].running || !t->wires[0].running)
        return;
    usual_ns = settings->hedge_delay_ms ? settings->hedge_delay_ms * NS_PER_MS
                                        : http_host_first_byte(t->store->host, 95);
    if (!usual_ns || now - t->wires[0].sent_ns < usual_ns ||
        !http_host_hedge(t->store->host, (uint32_t)settings->hedge_percent))
        return;
    LSIO_MARK(http_hedged);
    wire_start(t, &t->wires[1]);
}

void transfer_tick(struct http_worker *worker, uint64_t tick_ns)
{
    struct http_transfer *t = worker->running, *next;
    uint64_t now = worker->env->os->now_ns();

    for (; t; t = next) {
        const struct http_settings *settings = &t->store->settings;
        next = t->next;
        if (t->canceled)
            continue;
        hedge(t, now);
        if (t->progress != t->progress_seen) {
            t->progress_seen = t->progress;
            t->quiet_ns = 0;
            continue;
        }
        t->quiet_ns += tick_ns;
        if (t->quiet_ns >=
            NS_PER_MS * (t->owner ? settings->stall_timeout_ms : settings->first_byte_timeout_ms)) {
            LSIO_MARK(http_stalled);
            t->cause = TRANSFER_STALLED;
            wires_abort(t);
        }
    }
}
