/* SPDX-License-Identifier: MIT */
/*
 * Design: the world of objects on an HTTP server of one of the four kinds, reached by the whole
 * HTTP driver over a simulated transport (transport_sim.h). libcurl has no part in it.
 *
 * What a fault may do to a chunk is decided when it strikes, just before the transfer learns of it:
 * the driver's own state then says whether this is a fault that it must get over - attempts, time
 * and tokens are left, no such answer came before - or one whose status the file's chunks may end
 * with. So a chunk fails only if a fault of its own file was one too many.
 *
 * Looking inside the driver is limited to that, and to what it holds when all is done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "driver/http/http.h"
#include "driver/http/transfer.h"
#include "engine/engine.h"
#include "scenario.h"
#include "server/text.h"
#include "sim_loop.h"
#include "transport_sim.h"

#define MS            UINT64_C(1000000)
#define HOME          TRANSPORT_SIM_HOME
#define TRACKS_MAX    1024u
#define SLACK_NS      (1000 * MS) /* the simulation lets things happen late */
#define TOKENS_SAFE   100u        /* with fewer left others may use them up in between */
#define CANCEL_NS_MAX (1000 * MS)
#define VALIDATOR_GAP (1001 * MS) /* Last-Modified counts seconds */

/* ------------------------------------------------------------------------------------- kinds -- */

/* A kind of store, and where on the server its root is. */
static const struct kind {
    const char *name, *url, *root;
    const char *endpoint[2]; /* an option and its value */
    const char *options[3][2];
    enum server_style style;
    bool is_signed;
    bool keeps_encodings; /* Content-Encoding is the writer's metadata */
    bool lists;           /* the fault server can list it: 404 may leave open what is absent */
} kinds[] = {
    {.name = "http", .url = "http://" HOME "/data", .root = "/data", .style = SERVER_PLAIN},
    {.name = "s3",
     .url = "s3://bucket/pre/fix",
     .root = "/bucket/pre/fix",
     .endpoint = {"endpoint", "http://" HOME},
     .options = {{"allow_http", "true"}, {"access_key_id", "id"}, {"secret_access_key", "key"}},
     .style = SERVER_S3,
     .is_signed = true,
     .keeps_encodings = true,
     .lists = true},
    {.name = "gcs",
     .url = "gs://bucket",
     .root = "/bucket",
     .endpoint = {"base_url", "http://" HOME},
     .options = {{"allow_http", "true"}, {"skip_signature", "true"}},
     .style = SERVER_GCS,
     .lists = true},
    {.name = "azure",
     .url = "az://container",
     .root = "/account/container",
     .endpoint = {"endpoint", "http://" HOME "/account"},
     .options = {{"allow_http", "true"}, {"account_name", "account"}, {"account_key", "c2VjcmV0"}},
     .style = SERVER_AZURE,
     .is_signed = true,
     .keeps_encodings = true},
};

/* Bits of scenario_seen: enum transport_sim_fault, and */
#define SEEN_HEDGE SIM_HTTP_FAULTS

enum validator { BY_ETAG, BY_WEAK_ETAG, BY_DATE };

/* What is remembered of a transfer. Its memory is used again for others, which begin later. */
struct track {
    const struct http_transfer *transfer;
    uint64_t began_ns;
    uint32_t wrong_answers;
    uint64_t not_before_ns; /* the server has asked for a pause */
};

static struct {
    const struct kind *kind;
    struct server *server;
    struct http_state *state;
    enum validator validators[FILES_MAX];
    struct track tracks[TRACKS_MAX];
    unsigned track_count;
    uint32_t fault_permille, faults;
    bool hedges;
    uint64_t age_ns_max;    /* of a request */
    uint64_t retries_least; /* that the faults so far come to */
    uint64_t reconnects;    /* likewise; exact without hedges */
} http;

/* ------------------------------------------------------------------------------------- files -- */

static void file_show(struct file *file, unsigned index, const struct version *version)
{
    struct server_object object = {.path = file->path, .bytes = version->bytes,
                                   .size = version->size};
    char etag[32], date[40];
    time_t now_s = time(NULL);
    struct tm tm;

    gmtime_r(&now_s, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    snprintf(etag, sizeof(etag), "W/\"%u-%u\"", index, file->version_count);
    if (http.validators[index] != BY_ETAG) {
        object.last_modified = date;
        object.etag = http.validators[index] == BY_WEAK_ETAG ? etag : "";
    }
    alloc_steady(); /* the server's memory is no matter of the library */
    if (version->absent)
        (void)server_remove(http.server, file->path);
    else
        (void)server_put(http.server, &object);
    alloc_unsteady();
}

static void file_make(struct scenario *s, unsigned index)
{
    struct dice *dice = &s->dice;
    char name[NAME_BYTES];
    struct file *file = world_add_file(s, name);

    snprintf(file->path, sizeof(file->path), "%s/%s", http.kind->root, name);
    file->versions[0].absent = dice_chance(dice, 120);
    http.validators[index] = dice_chance(dice, 700)   ? BY_ETAG
                             : dice_chance(dice, 500) ? BY_WEAK_ETAG
                                                      : BY_DATE;
    file->change_gap_ns = http.validators[index] == BY_ETAG ? 0 : VALIDATOR_GAP;
    file_show(file, index, &file->versions[0]);
}

static void make_files(struct scenario *s)
{
    unsigned count = 1 + dice_below(&s->dice, 8);
    char path[64];

    memset(&http, 0, sizeof(http));
    http.kind = &kinds[dice_below(&s->dice, sizeof(kinds) / sizeof(kinds[0]))];
    http.server = transport_sim_server(http.kind->style);
    for (unsigned i = 0; i < count; i++)
        file_make(s, i);
    snprintf(path, sizeof(path), "%s/always", http.kind->root);
    (void)server_put(http.server, &(struct server_object){.path = path}); /* so the bucket is */
}

static void change(struct scenario *s, struct file *file, struct dice *dice)
{
    const struct version *before = world_version_last(file);
    uint64_t size = dice_chance(dice, 500) ? before->size : world_draw_size(s, dice);
    struct version *version = world_version_add(s, file, size);

    version->absent = !before->absent && dice_chance(dice, 200);
    file->version_count++;
    file_show(file, (unsigned)(file - s->files), version);
}

static void free_server(struct scenario *s)
{
    (void)s;
    transport_sim_server_free(http.server);
}

/* ---------------------------------------------------------------------------------- requests -- */

static struct http_wire *wire_of(const struct transport_request *request)
{
    return container_of((struct transport_request *)(uintptr_t)request, struct http_wire, base);
}

static struct track *track_of(const struct http_transfer *t)
{
    struct track *track = http.tracks;

    while (track < http.tracks + http.track_count && track->transfer != t)
        track++;
    if (track == http.tracks + TRACKS_MAX)
        scenario_fail("there are more than %u transfers", TRACKS_MAX);
    if (track == http.tracks + http.track_count)
        http.track_count++;
    if (track->transfer != t || track->began_ns != t->began_ns)
        *track = (struct track){.transfer = t, .began_ns = t->began_ns};
    return track;
}

static bool is_secret(const struct http_header *header)
{
    static const char *const open[] = {"range", "if-match", "accept-encoding"};

    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        if (strcmp(header->name, open[i]) == 0)
            return false;
    return true;
}

/* What identifies the caller goes to the store's own host, and nowhere else. */
static void started(const struct transport_request *request, void *data)
{
    const struct http_request *asked = request->request;
    const struct http_transfer *t = wire_of(request)->transfer;
    bool home = strcmp(asked->host, HOME) == 0;

    (void)data;
    scenario_say("%p asks %s%s, attempt %u", (const void *)t, asked->host, asked->path,
                 t->attempts);
    if (home && http.kind->is_signed && !http_request_find(asked, "authorization"))
        scenario_fail("a request is not signed");
    for (uint32_t i = 0; !home && i < asked->header_count; i++)
        if (is_secret(&asked->headers[i]))
            scenario_fail("%s is sent to %s", asked->headers[i].name, asked->host);
    if (!home && asked->query)
        scenario_fail("a query is sent to %s", asked->host);
    if (sim_now_ns() < track_of(t)->not_before_ns)
        scenario_fail("a request does not wait as long as the server asked");
}

/* ------------------------------------------------------------------------------------ faults -- */

/* When a fault is one too many. */
enum rule {
    RULE_NEVER,
    RULE_RETRIES,      /* no attempt is left */
    RULE_ONCE_GARBLED, /* or there was one before */
    RULE_ONCE_WRONG,   /* there was one before */
    RULE_MOVED,        /* it is the sixth */
    RULE_CREDENTIALS,  /* there are none to renew, or they have been */
    RULE_WHOLE,        /* the object is too large */
    RULE_ENCODED,      /* but where that says nothing */
    RULE_FINAL         /* always */
};

static const struct {
    int status;
    enum rule rule;
} consequences[SIM_HTTP_FAULTS] = {
    [SIM_HTTP_REFUSED] = {-ECONNREFUSED, RULE_RETRIES},
    [SIM_HTTP_IDLE_CLOSE] = {-ECONNRESET, RULE_RETRIES},
    [SIM_HTTP_RESET] = {-ECONNRESET, RULE_RETRIES},
    [SIM_HTTP_RESET_BODY] = {-ECONNRESET, RULE_RETRIES},
    [SIM_HTTP_HANG] = {-ETIMEDOUT, RULE_RETRIES},
    [SIM_HTTP_STALL] = {-ETIMEDOUT, RULE_RETRIES},
    [SIM_HTTP_GARBAGE] = {LSIO_E_PROTOCOL, RULE_ONCE_GARBLED},
    [SIM_HTTP_BUSY] = {LSIO_E_THROTTLED, RULE_RETRIES},
    [SIM_HTTP_SLOWDOWN] = {LSIO_E_THROTTLED, RULE_RETRIES},
    [SIM_HTTP_LATER] = {LSIO_E_THROTTLED, RULE_RETRIES},
    [SIM_HTTP_ERROR] = {LSIO_E_HTTP, RULE_RETRIES},
    [SIM_HTTP_EXPIRED] = {-EACCES, RULE_CREDENTIALS},
    [SIM_HTTP_MOVED] = {LSIO_E_HTTP, RULE_MOVED},
    [SIM_HTTP_MOVED_AWAY] = {LSIO_E_HTTP, RULE_MOVED},
    [SIM_HTTP_OTHER_RANGE] = {LSIO_E_PROTOCOL, RULE_ONCE_WRONG},
    [SIM_HTTP_NO_RANGE] = {LSIO_E_PROTOCOL, RULE_ONCE_WRONG},
    [SIM_HTTP_WRONG_LENGTH] = {LSIO_E_PROTOCOL, RULE_ONCE_WRONG},
    [SIM_HTTP_MULTIPART] = {LSIO_E_PROTOCOL, RULE_ONCE_WRONG},
    [SIM_HTTP_ENDLESS] = {LSIO_E_PROTOCOL, RULE_FINAL},
    [SIM_HTTP_ENCODED] = {LSIO_E_PROTOCOL, RULE_ENCODED},
    [SIM_HTTP_WHOLE] = {LSIO_E_UNSUPPORTED, RULE_WHOLE},
};

/* The driver may give up if this attempt fails. */
static bool may_give_up(const struct http_transfer *t)
{
    const struct http_settings *settings = &t->store->settings;
    uint64_t took_ns = sim_now_ns() - t->began_ns;

    return t->attempts >= settings->retry_attempts_max ||
           took_ns + SLACK_NS >= settings->retry_timeout_ms * MS ||
           t->store->host->retry_tokens < TOKENS_SAFE;
}

static bool is_too_many(const struct http_transfer *t, enum transport_sim_fault fault,
                        uint64_t length)
{
    switch (consequences[fault].rule) {
    case RULE_NEVER:
        return false;
    case RULE_ONCE_GARBLED:
        return t->garbled || may_give_up(t);
    case RULE_ONCE_WRONG:
        return track_of(t)->wrong_answers > 1;
    case RULE_MOVED:
        return t->redirects >= 5;
    case RULE_CREDENTIALS:
        return !t->credential || t->credentials_renewed || t->foreign;
    case RULE_WHOLE:
        return length > t->store->settings.full_body_bytes_max;
    case RULE_ENCODED:
        return !http.kind->keeps_encodings;
    case RULE_FINAL:
        return true;
    default:
        return may_give_up(t);
    }
}

/* What becomes of the requests for this path may become of its chunks; a listing is asked on behalf
 * of some file. */
static void note_fault(struct scenario *s, const struct http_request *asked, int status)
{
    struct server_text path = {0};

    alloc_steady();
    server_text_decode(&path, asked->path, strlen(asked->path));
    alloc_unsteady();
    for (unsigned i = 0; i < s->file_count; i++)
        if (asked->query || strcmp(s->files[i].path, path.at) == 0)
            world_note_fault(&s->files[i], status);
    server_text_free(&path);
}

/* Whether another attempt follows, if there may be one. A body that breaks off is that of an error
 * as well: then the error counts. */
static bool asks_again(const struct http_transfer *t, enum transport_sim_fault fault,
                       unsigned status)
{
    if (consequences[fault].rule == RULE_ONCE_GARBLED)
        return !t->garbled;
    return consequences[fault].rule == RULE_RETRIES && (!t->is_error || status >= 429);
}

static void count_retry(const struct http_transfer *t, const struct transport_end *end)
{
    bool silent = end->error == TRANSPORT_RESET && end->reused && !end->any_bytes && !t->silent;

    if (silent)
        http.reconnects++;
    else if (!http.hedges && !may_give_up(t))
        http.retries_least++;
}

/* No request is given up before its time; the clock ticks four times in it. */
static void check_patience(const struct http_transfer *t)
{
    const struct http_settings *settings = &t->store->settings;
    uint64_t took_ns = sim_now_ns() - t->wires[0].sent_ns, limit_ms = 0;

    if (t->cause == TRANSFER_LATE)
        limit_ms = settings->first_byte_timeout_ms;
    else if (t->cause == TRANSFER_STALLED)
        limit_ms = settings->stall_timeout_ms;
    if (took_ns < limit_ms * MS * 3 / 4)
        scenario_fail("a request was given up after %llu of %llu ms",
                      (unsigned long long)(took_ns / MS), (unsigned long long)limit_ms);
}

static void ending(const struct transport_request *request, enum transport_sim_fault fault,
                   const struct transport_end *end, void *data)
{
    struct http_wire *wire = wire_of(request);
    struct http_transfer *t = wire->transfer;

    scenario_say("%p: %s%s, %s", (const void *)t, transport_sim_fault_name(fault),
                 t->canceled ? ", canceled" : "", end->error ? end->text : "ok");
    check_patience(t);
    scenario_seen |= UINT64_C(1) << (wire == &t->wires[1] ? SEEN_HEDGE : (unsigned)fault);
    if (fault == SIM_HTTP_FINE || t->canceled || (request->head_seen && t->owner != wire))
        return;
    if (t->enough) /* what it struck is missed by nobody */
        return;
    if (asks_again(t, fault, request->head.status))
        count_retry(t, end);
    if (consequences[fault].rule == RULE_ONCE_WRONG)
        track_of(t)->wrong_answers++;
    if (fault == SIM_HTTP_LATER)
        track_of(t)->not_before_ns = sim_now_ns() + request->head.retry_after_s * 1000 * MS;
    if (is_too_many(t, fault, request->head.content_length))
        note_fault(data, request->request, consequences[fault].status);
}

uint64_t world_http_all(void)
{
    return (UINT64_C(1) << (SEEN_HEDGE + 1)) - 1;
}

static void apart(bool begins)
{
    if (begins)
        alloc_steady();
    else
        alloc_unsteady();
}

/* ----------------------------------------------------------------------------------- context -- */

static uint32_t draw_faults(struct dice *dice)
{
    uint32_t all = (1u << SIM_HTTP_FAULTS) - 2, some = 0;

    if (dice_chance(dice, 500))
        return all;
    for (int i = 0; i < 4; i++)
        some |= 1u << (1 + dice_below(dice, SIM_HTTP_FAULTS - 1));
    return some;
}

/* The driver's transport is the simulated one from now on: no worker has made its own yet. */
static void connect_http(struct scenario *s)
{
    static const uint32_t permilles[] = {0, 10, 50, 150, 150, 400};
    static const uint64_t latencies_ns[] = {MS / 10, MS, 5 * MS, 30 * MS};
    struct dice *dice = &s->dice;
    uint64_t latency_ns = latencies_ns[dice_below(dice, 4)];
    uint64_t bytes_per_s = 300000u << dice_below(dice, 12);
    struct transport_sim_config config = {.seed = s->seed,
                                          .server = http.server,
                                          .latency_ns = {latency_ns / 4, latency_ns},
                                          .slow_ns = 400 * MS,
                                          .bytes_per_s = {bytes_per_s, bytes_per_s * 4},
                                          .fault_permille = permilles[dice_below(dice, 6)],
                                          .faults = draw_faults(dice),
                                          .bare_404 = http.kind->lists && dice_chance(dice, 300),
                                          .started = started,
                                          .ending = ending,
                                          .apart = apart,
                                          .data = s};

    for (uint32_t i = 0; i < s->context->driver_count; i++)
        if (s->context->drivers[i] == &driver_http)
            http.state = s->context->driver_states[i];
    http.state->transport_ops = &transport_sim;
    http.fault_permille = config.fault_permille;
    http.faults = config.faults;
    http.age_ns_max = UINT64_C(1000) * MS * HUGE_BYTES / bytes_per_s;
    transport_sim_begin(&config);
}

static void store_open(struct scenario *s, struct store *store)
{
    /* Meanwhile workers that want memory look for it fifty times a second: with longer ones some
     * seeds would pass for livelocks. */
    static const char *const stalls[] = {"1s", "1s", "2s", "5s"};
    static const char *const attempts[] = {"1", "2", "3", "10", "10", "10"};
    static const char *const sleeps[] = {"1ms", "10ms", "100ms"};
    static const char *const starts[] = {"1", "3", "8", "64"};
    static const char *const delays[] = {"1ms", "5ms", "20ms"};
    struct lsio_option options[24];
    struct dice *dice = &s->dice;
    const struct http_settings *settings;
    size_t count = 0;
    int status;

    if (http.kind->endpoint[0])
        world_add_option(store, options, &count, http.kind->endpoint[0], http.kind->endpoint[1]);
    for (size_t i = 0; i < 3 && http.kind->options[i][0]; i++)
        world_add_option(store, options, &count, http.kind->options[i][0],
                         http.kind->options[i][1]);
    world_draw_options(s, store, options, &count);
    world_add_option(store, options, &count, "stall_timeout", stalls[dice_below(dice, 4)]);
    world_add_option(store, options, &count, "first_byte_timeout", stalls[dice_below(dice, 4)]);
    world_add_option(store, options, &count, "retry_attempts_max", attempts[dice_below(dice, 6)]);
    world_add_option(store, options, &count, "retry_sleep_min", sleeps[dice_below(dice, 3)]);
    world_add_option(store, options, &count, "retry_timeout",
                     dice_chance(dice, 900) ? "1h" : "10s");
    world_add_option(store, options, &count, "concurrency_start", starts[dice_below(dice, 4)]);
    if (dice_chance(dice, 400)) {
        http.hedges = true;
        world_add_option(store, options, &count, "hedge", "true");
        world_add_option(store, options, &count, "hedge_percent",
                         dice_chance(dice, 700) ? "100" : "5");
        if (dice_chance(dice, 700))
            world_add_option(store, options, &count, "hedge_delay", delays[dice_below(dice, 3)]);
    }
    if (dice_chance(dice, 300))
        world_add_option(store, options, &count, "on_change", "restart");
    if (dice_chance(dice, 200))
        world_add_option(store, options, &count, "full_body_bytes_max", "20000");
    status = lsio_store_open(s->context, http.kind->url, options, count, &store->handle);
    if (status)
        scenario_fail("a store could not be opened: %d", status);
    settings = &((struct http_store *)(void *)store->handle)->settings;
    http.age_ns_max += (settings->stall_timeout_ms + settings->first_byte_timeout_ms) * 2 * MS;
}

static void open_stores(struct scenario *s)
{
    s->store_count = 1 + dice_below(&s->dice, STORES_MAX - 1);
    for (unsigned i = 0; i < s->store_count; i++)
        store_open(s, &s->stores[i]);
}

/* -------------------------------------------------------------------------------------- look -- */

/* Every request comes to its end, whatever the server does. */
static void look(struct scenario *s)
{
    struct transport_sim_counts counts;

    (void)s;
    transport_sim_counts(&counts);
    if (counts.oldest_ns != UINT64_MAX && sim_now_ns() > counts.oldest_ns + http.age_ns_max)
        scenario_fail("a request has been running for %llu ms",
                      (unsigned long long)((sim_now_ns() - counts.oldest_ns) / MS));
}

static void check_counts(void)
{
    struct transport_sim_counts counts;

    transport_sim_counts(&counts);
    if (counts.started != counts.ended ||
        counts.planned != counts.struck + counts.unfit + counts.unmet)
        scenario_fail("%llu requests, %llu ended; %llu faults, %llu struck, %llu unfit, %llu unmet",
                      (unsigned long long)counts.started, (unsigned long long)counts.ended,
                      (unsigned long long)counts.planned, (unsigned long long)counts.struck,
                      (unsigned long long)counts.unfit, (unsigned long long)counts.unmet);
}

static void check_host(const struct http_host *host)
{
    if (host->used || host->first || host->limit < 1 || host->limit > host->ceiling ||
        host->retry_tokens > HTTP_RETRY_TOKENS)
        scenario_fail("host %s: %u of %u permits are out (at most %u)%s, %u tokens", host->name,
                      host->used, host->limit, host->ceiling, host->first ? ", and waited for" : "",
                      host->retry_tokens);
}

static void quiet(struct scenario *s)
{
    struct lsio_stats stats = {.struct_bytes = sizeof(stats)};
    struct transport_sim_counts counts;

    check_counts();
    transport_sim_counts(&counts);
    for (const struct http_host *host = http.state->hosts.first; host; host = host->next)
        check_host(host);
    for (uint32_t i = 0; i < s->workers; i++) {
        const struct http_worker *worker = http.state->workers[i];
        if (worker && (worker->running || worker->env->background != worker->clock_armed))
            scenario_fail("worker %u has transfers when all is done, or %u operations", i,
                          worker->env->background);
    }
    if (lsio_context_stats(s->context, &stats) || stats.requests != counts.started ||
        stats.retries < http.retries_least || (!http.hedges && stats.hedges) ||
        (!http.hedges && stats.reconnects != http.reconnects))
        scenario_fail("of %llu requests %llu are counted; %llu retries, of %llu at least; %llu new "
                      "connections, of %llu; %llu hedges",
                      (unsigned long long)counts.started, (unsigned long long)stats.requests,
                      (unsigned long long)stats.retries, (unsigned long long)http.retries_least,
                      (unsigned long long)stats.reconnects, (unsigned long long)http.reconnects,
                      (unsigned long long)stats.hedges);
}

static void finish(struct scenario *s)
{
    (void)s;
    check_counts();
    transport_sim_end();
}

static void describe(const struct scenario *s)
{
    (void)s;
    fprintf(stderr, "  %s on an HTTP server; %u of 1000 requests fail:", http.kind->name,
            http.fault_permille);
    for (unsigned i = 1; http.fault_permille && i < SIM_HTTP_FAULTS; i++)
        if (http.faults >> i & 1)
            fprintf(stderr, " %s,", transport_sim_fault_name((enum transport_sim_fault)i));
    fprintf(stderr, "\n");
}

const struct scenario_world world_http = {.make_files = make_files,
                                          .open_stores = open_stores,
                                          .change = change,
                                          .faults_are_certain = true,
                                          .is_remote = true,
                                          .cancel_ns_max = CANCEL_NS_MAX,
                                          .connect = connect_http,
                                          .look = look,
                                          .quiet = quiet,
                                          .finish = finish,
                                          .free = free_server,
                                          .describe = describe};
