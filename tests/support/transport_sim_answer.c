/* SPDX-License-Identifier: MIT */
/*
 * transport_sim_answer.c - see transport_sim_impl.h. The right answer is made by the fault server's
 * own code; a fault then changes it, by that code too where the fault server knows it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport_sim_impl.h"

#define LATER_S_MAX 3u

/* ---------------------------------------------------------------------------------- faults -- */

/* The answers that a fault may change. */
enum fit { FIT_ANY, FIT_PARTIAL, FIT_OBJECT };

static const struct {
    const char *name;
    enum fit fit;
    struct server_fault change; /* what the fault server calls it, if it does it */
} faults[SIM_HTTP_FAULTS] = {
    [SIM_HTTP_FINE] = {.name = "fine"},
    [SIM_HTTP_REFUSED] = {.name = "connection refused"},
    [SIM_HTTP_IDLE_CLOSE] = {.name = "idle connection closed"},
    [SIM_HTTP_RESET] = {.name = "reset before the head"},
    [SIM_HTTP_RESET_BODY] = {.name = "reset in the body"},
    [SIM_HTTP_HANG] = {.name = "no answer"},
    [SIM_HTTP_STALL] = {.name = "stall in the body"},
    [SIM_HTTP_GARBAGE] = {.name = "no HTTP"},
    [SIM_HTTP_BUSY] = {"429", FIT_ANY,
                       {.kind = SERVER_STATUS, .status = 429, .code = "TooManyRequests"}},
    [SIM_HTTP_SLOWDOWN] = {"503", FIT_ANY,
                           {.kind = SERVER_STATUS, .status = 503, .code = "SlowDown"}},
    [SIM_HTTP_LATER] = {"503 with Retry-After", FIT_ANY,
                        {.kind = SERVER_STATUS,
                         .status = 503,
                         .code = "SlowDown",
                         .name = "Retry-After"}},
    [SIM_HTTP_ERROR] = {"500", FIT_ANY,
                        {.kind = SERVER_STATUS, .status = 500, .code = "InternalError"}},
    [SIM_HTTP_EXPIRED] = {"expired credentials", FIT_ANY,
                          {.kind = SERVER_STATUS, .status = 401, .code = "ExpiredToken"}},
    [SIM_HTTP_MOVED] = {"redirect", FIT_OBJECT,
                        {.kind = SERVER_STATUS, .status = 307, .name = "Location"}},
    [SIM_HTTP_MOVED_AWAY] = {"redirect to another host", FIT_OBJECT,
                             {.kind = SERVER_STATUS, .status = 307, .name = "Location"}},
    [SIM_HTTP_OTHER_RANGE] = {.name = "another range", .fit = FIT_PARTIAL},
    [SIM_HTTP_NO_RANGE] = {"no Content-Range", FIT_PARTIAL,
                           {.kind = SERVER_HEADER, .name = "Content-Range"}},
    [SIM_HTTP_WRONG_LENGTH] = {"wrong Content-Length", FIT_PARTIAL,
                               {.kind = SERVER_LONG, .bytes = 1}},
    [SIM_HTTP_MULTIPART] = {"multipart/byteranges", FIT_PARTIAL, {.kind = SERVER_MULTIPART}},
    [SIM_HTTP_ENDLESS] = {"endless body", FIT_PARTIAL, {.kind = SERVER_ENDLESS}},
    [SIM_HTTP_ENCODED] = {"gzip", FIT_PARTIAL,
                          {.kind = SERVER_HEADER, .name = "Content-Encoding", .text = "gzip"}},
    [SIM_HTTP_WHOLE] = {"whole object", FIT_PARTIAL, {.kind = SERVER_WHOLE}},
    [SIM_HTTP_PART] = {.name = "part of the range", .fit = FIT_PARTIAL},
    [SIM_HTTP_UNSIZED] = {"no Content-Length", FIT_PARTIAL, {.kind = SERVER_UNSIZED}},
    [SIM_HTTP_SLOW] = {.name = "late answer"},
};

const char *transport_sim_fault_name(enum transport_sim_fault fault)
{
    return faults[fault].name;
}

void exchange_strike(struct exchange *x)
{
    if (x->fault == SIM_HTTP_FINE || x->struck)
        return;
    x->struck = true;
    x->transport->counts.struck++;
}

void exchange_drop_fault(struct exchange *x)
{
    x->fault = SIM_HTTP_FINE;
    x->transport->counts.unfit++;
}

void exchange_plan_fault(struct exchange *x)
{
    unsigned kind = (unsigned)exchange_draw(x, SIM_HTTP_FAULTS);

    if (!exchange_chance(x, transport_sim_config.fault_permille))
        return;
    while (kind == SIM_HTTP_FINE || !(transport_sim_config.faults >> kind & 1))
        kind = (kind + 1) % SIM_HTTP_FAULTS;
    x->fault = (enum transport_sim_fault)kind;
    x->transport->counts.planned++;
}

/* ---------------------------------------------------------------------------------- answer -- */

bool exchange_is_home(const struct http_request *http)
{
    return strcmp(http->host, TRANSPORT_SIM_HOME) == 0;
}

/* The request as the fault server reads one. */
static void request_make(const struct http_request *http, struct request *r)
{
    struct server_text path = {0};

    *r = (struct request){.method = server_copy(http->method),
                          .query = server_copy(http->query ? http->query : ""),
                          .body = server_copy("")};
    server_text_decode(&path, http->path, strlen(http->path));
    r->path = server_text_take(&path);
    for (uint32_t i = 0; i < http->header_count; i++)
        server_text_print(&r->headers, "%s: %s\r\n", http->headers[i].name,
                          http->headers[i].value);
}

static bool range_get(const struct answer *a, unsigned long long *first, unsigned long long *last,
                      unsigned long long *total)
{
    const char *value;
    size_t bytes;

    return server_line_find(server_text_string(&a->headers), "Content-Range", &value, &bytes) &&
           sscanf(value, "bytes %llu-%llu/%llu", first, last, total) == 3;
}

/* Whether the fault can be one of this right answer. */
static bool fits(const struct exchange *x)
{
    const struct answer *a = &x->answer;

    if ((x->fault == SIM_HTTP_OTHER_RANGE || x->fault == SIM_HTTP_PART) && a->body_bytes < 2)
        return false;
    switch (faults[x->fault].fit) {
    case FIT_PARTIAL:
        return a->status == 206;
    case FIT_OBJECT:
        return a->source.object && !x->request->request->query;
    default:
        return true;
    }
}

/* The part of the range behind its first byte, or before its last one. */
static void range_change(struct exchange *x)
{
    struct answer *a = &x->answer;
    unsigned long long first = 0, last = 0, total = 0;
    unsigned long long cut = 1 + exchange_draw(x, a->body_bytes - 1);
    char text[80];

    if (!range_get(a, &first, &last, &total))
        return;
    if (x->fault == SIM_HTTP_PART) {
        last -= cut;
    } else {
        first += cut;
        a->source.at += cut;
    }
    a->body_bytes -= cut;
    snprintf(text, sizeof(text), "bytes %llu-%llu/%llu", first, last, total);
    server_line_set(&a->headers, "Content-Range", text);
}

static void location_make(const struct exchange *x, char *text, size_t room)
{
    const struct http_request *http = x->request->request;

    if (x->fault == SIM_HTTP_MOVED_AWAY)
        snprintf(text, room, "http://%s.test%s", exchange_is_home(http) ? "away" : "farther",
                 http->path);
    else
        snprintf(text, room, "%s", http->path);
}

static void fault_apply(struct exchange *x, struct connection *c, struct request *r)
{
    struct server_fault change = faults[x->fault].change;
    struct answer *a = &x->answer;
    char text[1024];

    change.text = change.text ? change.text : change.kind == SERVER_STATUS ? text : NULL;
    switch (x->fault) {
    case SIM_HTTP_OTHER_RANGE:
    case SIM_HTTP_PART:
        range_change(x);
        return;
    case SIM_HTTP_WHOLE:
        fault_prepare(&change, r);
        answer_free(a);
        answer_make(c, r, a);
        return;
    case SIM_HTTP_LATER:
        snprintf(text, sizeof(text), "%u", 1 + (unsigned)exchange_draw(x, LATER_S_MAX));
        break;
    case SIM_HTTP_MOVED:
    case SIM_HTTP_MOVED_AWAY:
        location_make(x, text, sizeof(text));
        break;
    case SIM_HTTP_ENCODED: /* to S3 and Azure the header is metadata that the writer stored */
        x->encoded =
            c->server->config.style == SERVER_PLAIN || c->server->config.style == SERVER_GCS;
        break;
    case SIM_HTTP_EXPIRED:
        change.status = c->server->config.style == SERVER_S3 ? 403 : 401;
        break;
    default:
        break;
    }
    if (change.kind == SERVER_STATUS) {
        answer_free(a);
        fault_replace(c->server, &change, a);
    } else {
        fault_change(c, &change, a);
    }
}

void exchange_answer(struct exchange *x)
{
    struct connection c = {.server = transport_sim_config.server, .buffer = x->transport->buffer};
    struct answer *a = &x->answer;
    struct request r;

    request_make(x->request->request, &r);
    answer_make(&c, &r, a);
    if (a->status == 404 && transport_sim_config.bare_404) {
        struct server_text nothing = {0};
        answer_text(a, 404, "text/plain", &nothing);
    }
    if (!fits(x))
        exchange_drop_fault(x);
    else
        fault_apply(x, &c, &r);
    if ((x->fault == SIM_HTTP_RESET_BODY || x->fault == SIM_HTTP_STALL) && a->body_bytes > 0)
        x->break_at = exchange_draw(x, a->body_bytes);
    else if (x->fault == SIM_HTTP_RESET_BODY || x->fault == SIM_HTTP_STALL)
        exchange_drop_fault(x);
    request_free(&r);
}

/* ---------------------------------------------------------------------------------- server -- */

struct server *transport_sim_server(enum server_style style)
{
    struct server *s = server_alloc(sizeof(*s));

    s->config.style = style;
    s->url = server_copy("http://" TRANSPORT_SIM_HOME);
    s->listener = s->stop = -1;
    s->plan_end = &s->plan;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void transport_sim_server_free(struct server *s)
{
    if (!s)
        return;
    objects_destroy(s);
    free(s->url);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
