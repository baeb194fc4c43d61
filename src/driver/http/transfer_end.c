/* SPDX-License-Identifier: MIT */
/*
 * Design: what comes of an attempt, decided in transfer_attempt_end() alone, when no request of the
 * transfer is in flight any more: its end, another attempt at once or after a pause, or a second
 * look at where the object is.
 *
 * Limits: retry_attempts_max tries within retry_timeout_ms, each retry paid for with the host's
 * tokens. A try over a connection that had been closed by the server before it read anything is no
 * try (RFC 9110 section 9.2.2: GET is idempotent), once per attempt.
 *
 * A 404 that does not say what is absent may be a wrong bucket or a proxy's. The store is then
 * asked once for a listing of nothing but that name: an answer shows that it is only the object
 * that is not there.
 *
 * Threads: the worker.
 */
#include "driver/http/transfer_impl.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mark.h"
#include "driver/http/redact.h"
#include "driver/http/redirect.h"
#include "driver/http/xml.h"

#define HTTP_RETRY_AFTER_MS 60000u
#define HTTP_REDIRECTS_MAX  5u
#define HTTP_UNRESOLVED_MAX 2u

/* ------------------------------------------------------------------------------------- end -- */

void transfer_finish(struct http_transfer *t, int32_t status)
{
    t->state = TRANSFER_IDLE;
    credential_ref_release(t->credential);
    t->credential = NULL;
    t->ops->done(t, status);
}

void transfer_why(struct http_transfer *t, const char *text)
{
    if (!t->why[0])
        http_redact(t->why, sizeof(t->why), text,
                    t->credential ? &t->credential->credential : NULL);
}

/* The sentence about it. */
static void failure_tell(const struct http_transfer *t, int32_t status, char *out, size_t bytes)
{
    char text[2 * sizeof(t->why) + sizeof(t->error_code)];

    if (t->code)
        snprintf(text, sizeof(text), "the server answered %u%s%s%s%s", t->code,
                 t->error_code[0] ? " " : "", t->error_code, t->why[0] ? ": " : "", t->why);
    else
        snprintf(text, sizeof(text), "%s", t->why[0] ? t->why : lsio_status_text(status));
    http_redact(out, bytes, text, NULL);
}

struct driver_detail *transfer_detail(const struct http_transfer *t, int32_t status)
{
    struct driver_detail *detail = calloc(1, sizeof(*detail));

    if (!detail)
        return NULL;
    detail->attempts = t->attempts;
    memcpy(detail->request_id, t->request_id, sizeof(detail->request_id));
    failure_tell(t, status, detail->text, sizeof(detail->text));
    return detail;
}

void transfer_permit_return(struct http_transfer *t, enum http_outcome outcome)
{
    struct http_seen seen = {.first_byte_ns = t->first_byte_ns};
    uint64_t now = transfer_now_ns(t);

    if (!t->has_permit)
        return;
    if (outcome == HTTP_OUTCOME_OK && t->owner) {
        seen.body_bytes = t->progress;
        seen.body_ns = now - t->owner->sent_ns - t->first_byte_ns;
    }
    t->has_permit = false;
    http_host_release(t->store->host, outcome, &seen, now);
}

/* ------------------------------------------------------------------------------- try again -- */

static void sleep_done(struct loop_op *op)
{
    struct http_transfer *t = container_of(op, struct http_transfer, timer);

    t->worker->env->background--;
    if (t->canceled)
        transfer_finish(t, -ECANCELED);
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

/* Of a server that is down one line tells enough. */
static void retry_log(const struct http_transfer *t, int32_t status, uint64_t pause_ns)
{
    const struct log *log = t->worker->env->log;
    int level = t->attempts > 1 ? LSIO_LOG_DEBUG : LSIO_LOG_INFO;
    char why[192], where[192], text[256];

    if (!log || !log->write || level > log->level)
        return;
    snprintf(text, sizeof(text), "%s%s", t->request.host, t->request.path);
    http_redact(where, sizeof(where), text, NULL);
    failure_tell(t, status, why, sizeof(why));
    log_line(log, level, "%s: attempt %" PRIu32 " failed, the next one is in %" PRIu64 " ms: %s",
             where, t->attempts, pause_ns / NS_PER_MS, why);
}

/* Tries again after a pause, if that is still allowed; else ends with `status`. */
static void retry(struct http_transfer *t, int32_t status, uint64_t wait_ms)
{
    const struct http_settings *settings = &t->store->settings;
    uint64_t now = transfer_now_ns(t), pause;

    if (t->attempts >= settings->retry_attempts_max ||
        now - t->began_ns >= settings->retry_timeout_ms * NS_PER_MS ||
        !http_host_retry(t->store->host)) {
        LSIO_MARK(h09_retries_used_up);
        transfer_finish(t, status);
        return;
    }
    pause = http_backoff_ns(settings->retry_sleep_min_ms * NS_PER_MS,
                            settings->retry_sleep_max_ms * NS_PER_MS, t->sleep_ns,
                            http_random(t->worker));
    t->sleep_ns = pause;
    if (wait_ms)
        pause = (wait_ms < HTTP_RETRY_AFTER_MS ? wait_ms : HTTP_RETRY_AFTER_MS) * NS_PER_MS;
    t->worker->env->retries++;
    retry_log(t, status, pause);
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
        transfer_why(t, wrong);
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
    int64_t date_s;

    if (!http_head_date(head, &date_s))
        return;
    pthread_mutex_lock(&host->lock);
    host->clock_offset_s = date_s - (int64_t)time(NULL);
    pthread_mutex_unlock(&host->lock);
}

/* Goes on if that is the first time, else ends with the status. */
static void once(struct http_transfer *t, bool *done, int32_t status)
{
    if (*done) {
        transfer_finish(t, status);
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
        transfer_finish(t, verdict->status);
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
        transfer_finish(t, verdict->status);
    }
}

/* False for a listing: where it is absent or refused, nothing is proven of any object. */
static bool is_of_object(const struct http_transfer *t)
{
    return t->ops->ask && !t->asking;
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
            transfer_finish(t, verdict->status);
        return;
    case HTTP_ASK_MISSING:
        if (!t->ops->ask || t->foreign || t->asking) {
            transfer_finish(t, verdict->status);
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
    transfer_finish(t, !is_of_object(t) && verdict->status == -ENOENT ? LSIO_E_HTTP
                                                                      : verdict->status);
}

/* A proxy that refuses is named: the server knows nothing of it. */
static void proxy_why(struct http_transfer *t)
{
    const char *url = t->store->target.proxy_url;
    char text[sizeof(t->why)];

    LSIO_MARK(h25_proxy_refused);
    snprintf(text, sizeof(text), "said by the proxy %s",
             url && *url ? url : "that the environment names");
    transfer_why(t, text);
}

/* The answer was an error: what now? */
static void error_judge(struct http_transfer *t)
{
    const struct http_head *head = &t->owner->base.head;
    struct http_judge judge = {.dialect = t->store->settings.address.dialect,
                               .missing_on_403 =
                                   t->store->settings.missing_on_403 && is_of_object(t)};
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
    t->os_error = 0;
    snprintf(t->error_code, sizeof(t->error_code), "%s",
             head->error_code[0] ? head->error_code : xml.code);
    snprintf(t->request_id, sizeof(t->request_id), "%s",
             head->request_id[0] ? head->request_id : xml.request_id);
    t->why[0] = '\0';
    if (head->status == 407)
        proxy_why(t);
    if ((head->status == 401 || head->status == 403) && t->credential &&
        t->credential->credential.kind == HTTP_CREDENTIAL_NONE)
        transfer_why(t, "asked without credentials");
    transfer_why(t, xml.message);
    if (head->status / 100 == 3 && !head->location[0])
        transfer_why(t, "a redirect that leads nowhere: is the region wrong?");
    http_judge(&judge, head, t->error_code, xml.region, &verdict);
    transfer_permit_return(t, verdict.action == HTTP_THROTTLE ? HTTP_OUTCOME_THROTTLED
                                                              : HTTP_OUTCOME_OTHER);
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
    t->os_error = t->end.os_error;
    t->why[0] = '\0';
    if (t->code)
        proxy_why(t);
    transfer_why(t, t->cause ? causes[t->cause] : t->end.text);
    transfer_permit_return(t, HTTP_OUTCOME_OTHER);
    if (t->end.error == TRANSPORT_RESET && t->end.reused && !t->end.any_bytes && !t->silent) {
        LSIO_MARK(h22_idle_connection_was_closed);
        t->worker->env->reconnects++;
        t->silent = true;
        t->attempts--;
        transfer_go(t);
    } else if (transport_passes(t)) {
        t->silent = false;
        retry(t, status, 0);
    } else {
        transfer_finish(t, status);
    }
}

void transfer_attempt_end(struct http_transfer *t)
{
    int next;

    if (t->canceled) {
        transfer_permit_return(t, HTTP_OUTCOME_OTHER);
        transfer_finish(t, -ECANCELED);
        return;
    }
    if (t->is_error && t->owner) {
        error_judge(t);
        return;
    }
    if (t->enough) /* however the rest has ended */
        t->end.error = TRANSPORT_OK;
    if (!t->decided && t->end.error != TRANSPORT_OK) {
        transport_failed(t);
        return;
    }
    transfer_permit_return(t, HTTP_OUTCOME_OK);
    next = t->decided ? t->decided : t->ops->complete(t);
    if (next == TRANSFER_AGAIN)
        transfer_go(t);
    else
        transfer_finish(t, next == TRANSFER_DONE ? 0 : next);
}
