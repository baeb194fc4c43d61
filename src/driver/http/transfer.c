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
 * A 404 that does not say what is absent may be a wrong bucket or a proxy's. The store is then
 * asked once for a listing of nothing but that name: an answer shows that it is only the object
 * that is not there.
 *
 * Threads: the worker.
 */
#include "driver/http/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mark.h"
#include "driver/http/redact.h"
#include "driver/http/redirect.h"
#include "driver/http/xml.h"

#define HTTP_RETRY_AFTER_MS    60000u
#define HTTP_REDIRECTS_MAX     5u
#define HTTP_ERROR_DISCARD_MAX 65536u
#define HTTP_UNRESOLVED_MAX    2u
#define STALL_BYTES_PER_S      1024u
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
        http_redact(t->why, sizeof(t->why), text,
                    t->credential ? &t->credential->credential : NULL);
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
        LSIO_MARK(h09_retries_used_up);
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

/* ---------------------------------------------------------------------------------- errors -- */

/* Where the answer leads, to t->location. False: not to be followed. */
static bool redirect_take(struct http_transfer *t, const char *location)
{
    char url[sizeof(t->location)];
    const char *wrong = NULL;

    if (++t->redirects > HTTP_REDIRECTS_MAX) {
        LSIO_MARK(h11_too_many_redirects);
        wrong = "too many redirects";
    } else if (!http_redirect_resolve(&t->request, location, url, sizeof(url))) {
        LSIO_MARK(h11_redirect_refused);
        wrong = "a redirect leads to where it must not be followed";
    }
    if (wrong) {
        t->why[0] = '\0'; /* counts more than what the server says */
        why(t, wrong);
        return false;
    }
    if (!http_redirect_is_at_home(&t->request, url)) {
        LSIO_MARK(h11_redirect_to_another_host);
        t->foreign = true;
    }
    memcpy(t->location, url, sizeof(url));
    return true;
}

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

/* Goes on if that is the first time, else ends with the status. */
static void once(struct http_transfer *t, bool *done, int32_t status)
{
    if (*done) {
        finish(t, status);
        return;
    }
    *done = true;
    transfer_go(t);
}

/* What the server teaches - region, clock, that credentials are stale - is learned once, and from
 * the store's own server only. */
static void error_learn(struct http_transfer *t, const struct http_head *head,
                        const struct http_verdict *verdict)
{
    if (t->foreign) {
        finish(t, verdict->status);
    } else if (verdict->action == HTTP_REGION) {
        LSIO_MARK(h11_region_found);
        if (!t->region_changed)
            region_take(t, verdict->region);
        once(t, &t->region_changed, verdict->status);
    } else if (verdict->action == HTTP_CLOCK) {
        LSIO_MARK(h27_clock_skewed);
        if (!t->clock_changed)
            clock_take(t, head);
        once(t, &t->clock_changed, verdict->status);
    } else if (t->credential) {
        LSIO_MARK(h07_credentials_refused);
        if (!t->credentials_renewed)
            credential_cache_refused(t->store->credentials, t->credential);
        once(t, &t->credentials_renewed, verdict->status);
    } else {
        finish(t, verdict->status);
    }
}

static void error_act(struct http_transfer *t, const struct http_head *head,
                      const struct http_verdict *verdict)
{
    uint64_t wait_ms = 0;

    switch (verdict->action) {
    case HTTP_RETRY:
    case HTTP_THROTTLE:
        LSIO_MARK(h09_server_said_later);
        t->worker->env->throttles += verdict->action == HTTP_THROTTLE;
        (void)http_head_retry_after(head, (int64_t)time(NULL), &wait_ms);
        retry(t, verdict->status, wait_ms);
        return;
    case HTTP_REDIRECT:
        if (redirect_take(t, head->location))
            transfer_go(t);
        else
            finish(t, verdict->status);
        return;
    case HTTP_ASK_MISSING:
        if (!t->ops->ask || t->foreign || t->asking) {
            finish(t, verdict->status);
            return;
        }
        LSIO_MARK(h06_asks_whether_missing);
        t->asking = true;
        transfer_go(t);
        return;
    case HTTP_REGION:
    case HTTP_CLOCK:
    case HTTP_CREDENTIALS:
        error_learn(t, head, verdict);
        return;
    case HTTP_FAIL:
        if (verdict->status == LSIO_E_CHANGED && t->ops->restart && t->ops->restart(t)) {
            transfer_go(t);
            return;
        }
        LSIO_MARK(h08_final);
        break;
    }
    /* a listing that is absent proves nothing of the object */
    finish(t, t->asking && verdict->status == -ENOENT ? LSIO_E_HTTP : verdict->status);
}

/* A proxy that refuses is named: the server knows nothing of it. */
static void proxy_why(struct http_transfer *t)
{
    const char *url = t->store->target.proxy_url;
    char text[sizeof(t->why)];

    LSIO_MARK(h25_proxy_refused);
    snprintf(text, sizeof(text), "said by the proxy %s",
             url && *url ? url : "that the environment names");
    why(t, text);
}

/* The answer was an error: what now? */
static void error_judge(struct http_transfer *t)
{
    const struct http_head *head = &t->owner->base.head;
    struct http_judge judge = {.dialect = t->store->settings.address.dialect,
                               .missing_on_403 = t->store->settings.missing_on_403};
    char region[HTTP_REGION_BYTES];
    struct xml_error xml;
    struct http_verdict verdict;

    pthread_mutex_lock(&t->store->host->lock);
    judge.answered = t->store->host->answered;
    pthread_mutex_unlock(&t->store->host->lock);
    http_region_in_use(t->store, region);
    judge.region = region;
    (void)xml_error_parse(t->error_body, t->error_bytes, &xml);
    t->code = head->status;
    snprintf(t->error_code, sizeof(t->error_code), "%s",
             head->error_code[0] ? head->error_code : xml.code);
    snprintf(t->request_id, sizeof(t->request_id), "%s",
             head->request_id[0] ? head->request_id : xml.request_id);
    t->why[0] = '\0';
    if (head->status == 407)
        proxy_why(t);
    if ((head->status == 401 || head->status == 403) && t->credential &&
        t->credential->credential.kind == HTTP_CREDENTIAL_NONE)
        why(t, "asked without credentials");
    why(t, xml.message);
    if (head->status / 100 == 3 && !head->location[0])
        why(t, "a redirect that leads nowhere: is the region wrong?");
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
    case TRANSPORT_SOCKETS:
        return -EMFILE;
    case TRANSPORT_TLS:
        return LSIO_E_TLS;
    case TRANSPORT_RESET:
        return -ECONNRESET;
    case TRANSPORT_MEMORY:
        return -ENOMEM;
    case TRANSPORT_PROXY:
        return LSIO_E_HTTP;
    case TRANSPORT_SLOW:
    case TRANSPORT_ABORTED:
        return -ETIMEDOUT;
    default:
        return LSIO_E_PROTOCOL;
    }
}

/* Whether asking again may help. */
static bool transport_passes(struct http_transfer *t)
{
    switch (t->end.error) {
    case TRANSPORT_TLS:
        LSIO_MARK(h18_tls_refused);
        return false;
    case TRANSPORT_MEMORY:
        return false;
    case TRANSPORT_OVERLONG:
        LSIO_MARK(h13_body_too_long);
        return false;
    case TRANSPORT_PROXY:
        return t->end.proxy_status != 407;
    case TRANSPORT_RESOLVE: /* once more, for a name server that was busy */
        LSIO_MARK(h21_no_address);
        return ++t->unresolved < HTTP_UNRESOLVED_MAX;
    case TRANSPORT_PROTOCOL: /* once more: stray bytes of the answer before spoil a connection */
        LSIO_MARK(h15_not_http);
        return !t->garbled && (t->garbled = true);
    default:
        return true;
    }
}

/* No whole answer came. */
static void transport_failed(struct http_transfer *t)
{
    static const char *const causes[] = {
        [TRANSFER_LATE] = "no answer began within first_byte_timeout",
        [TRANSFER_STALLED] = "the answer stood still for stall_timeout",
        [TRANSFER_TOO_LONG] = "the answer was not complete within timeout"};
    int32_t status = transport_status(t->end.error);

    t->code = t->end.proxy_status;
    t->why[0] = '\0';
    if (t->code)
        proxy_why(t);
    why(t, t->cause ? causes[t->cause] : t->end.text);
    permit_return(t, HTTP_OUTCOME_OTHER);
    if (t->end.error == TRANSPORT_RESET && t->end.reused && !t->end.any_bytes && !t->silent) {
        LSIO_MARK(h22_idle_connection_was_closed);
        t->silent = true;
        t->attempts--;
        transfer_go(t);
    } else if (transport_passes(t)) {
        t->silent = false;
        retry(t, status, 0);
    } else {
        finish(t, status);
    }
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

/* Whether the other request, if there is one, may still bring what this answer does not. */
static bool other_may_win(const struct http_transfer *t, const struct http_wire *wire)
{
    return t->wires[wire == &t->wires[0]].running;
}

static int wire_head(struct transport_request *base, const struct http_head *head)
{
    struct http_wire *wire = wire_of(base);
    struct http_transfer *t = wire->transfer;
    bool good = (head->status >= 200 && head->status < 300) || head->status == 416;

    if (t->owner || (!good && other_may_win(t, wire)))
        return -1; /* the other request is the better one */
    t->owner = wire;
    t->progress_seen = ++t->progress;
    t->quiet_ns = 0;
    t->silent = false;
    if (t->first_byte_ns == 0)
        t->first_byte_ns = now_ns(t) - wire->sent_ns;
    for (int i = 0; i < 2; i++)
        if (&t->wires[i] != wire && t->wires[i].running)
            t->worker->state->transport_ops->abort(t->worker->transport, &t->wires[i].base);
    memcpy(t->request_id, head->request_id, sizeof(t->request_id));
    if (good) {
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
    if (wire == &t->wires[1])
        http_host_release(t->store->host, HTTP_OUTCOME_OTHER, 0, now_ns(t));
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
    status = (t->asking ? t->ops->ask : t->ops->prepare)(t, &t->request, &t->text);
    if (!status && t->location[0] && !t->asking)
        status = http_redirect_apply(&t->request, t->location, t->foreign, &t->text);
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
    why(t, text);
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
    struct http_host *host = t->store->host;
    uint64_t usual_ns;

    if (!settings->hedge || t->owner || t->wires[1].running || !t->wires[0].running)
        return;
    usual_ns = settings->hedge_delay_ms ? settings->hedge_delay_ms * NS_PER_MS
                                        : http_host_first_byte(host, 95);
    if (!usual_ns || now - t->wires[0].sent_ns < usual_ns || !http_host_try(host))
        return;
    if (!http_host_hedge(host, (uint32_t)settings->hedge_percent)) {
        http_host_release(host, HTTP_OUTCOME_OTHER, 0, now);
        return;
    }
    LSIO_MARK(h12_hedged);
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
