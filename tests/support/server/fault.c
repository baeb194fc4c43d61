/* SPDX-License-Identifier: MIT */
/*
 * What is planned to go wrong, and who gets it. A connection or request takes the first planned
 * fault that fits it, so three faults planned alike happen to three requests, in their order.
 * Faults that do not happen are the test's failure: server_finish() names them.
 *
 * The plan is behind the server's lock. Whoever takes a fault may use it without the lock: a
 * planned fault never changes but for its counts, and lives as long as the server.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool of_connection;
} kinds[SERVER_FAULT_KINDS] = {
    [SERVER_ACCEPT_CLOSE] = {"accept_close", true},
    [SERVER_ACCEPT_RESET] = {"accept_reset", true},
    [SERVER_ACCEPT_HANG] = {"accept_hang", true},
    [SERVER_IDENTITY] = {"identity", true},
    [SERVER_DELAY] = {"delay", false},
    [SERVER_CLOSE] = {"close", false},
    [SERVER_TRUNCATE] = {"truncate", false},
    [SERVER_RESET] = {"reset", false},
    [SERVER_HANG] = {"hang", false},
    [SERVER_KEY_UPDATE] = {"key_update", false},
    [SERVER_TRICKLE] = {"trickle", false},
    [SERVER_STATUS] = {"status", false},
    [SERVER_HEADER] = {"header", false},
    [SERVER_HUGE_HEADERS] = {"huge_headers", false},
    [SERVER_RAW] = {"raw", false},
    [SERVER_BODY] = {"body", false},
    [SERVER_WHOLE] = {"whole", false},
    [SERVER_MULTIPART] = {"multipart", false},
    [SERVER_INTERIM] = {"interim", false},
    [SERVER_SHORT] = {"short", false},
    [SERVER_LONG] = {"long", false},
    [SERVER_STRAY] = {"stray", false},
    [SERVER_ENDLESS] = {"endless", false},
    [SERVER_ENDLESS_CHUNKS] = {"endless_chunks", false},
    [SERVER_UNSIZED] = {"unsized", false},
    [SERVER_CHUNKED] = {"chunked", false},
    [SERVER_CHUNK_BROKEN] = {"chunk_broken", false},
    [SERVER_FLIP] = {"flip", false},
};

/* ------------------------------------------------------------------------------- by chance -- */

/* Faults for server_random(). The first ones are such that a client that retries survives them. */
enum { RANDOM_BYTES_MAX = 64 << 10, RANDOM_SURVIVABLE = 8 };

static const struct {
    const char *name;
    struct server_fault fault; /* bytes: at most so many, by chance */
} random_faults[] = {
    {"reset", {.kind = SERVER_RESET, .bytes = RANDOM_BYTES_MAX}},
    {"close", {.kind = SERVER_CLOSE, .bytes = RANDOM_BYTES_MAX}},
    {"truncate", {.kind = SERVER_TRUNCATE, .bytes = RANDOM_BYTES_MAX}},
    {"silence", {.kind = SERVER_CLOSE, .place = SERVER_BEFORE_HEAD}},
    {"delay", {.kind = SERVER_DELAY, .delay_ms = 50}},
    {"slowdown", {.kind = SERVER_STATUS, .status = 503, .code = "SlowDown"}},
    {"throttle", {.kind = SERVER_STATUS, .status = 429, .code = "TooManyRequests"}},
    {"error", {.kind = SERVER_STATUS, .status = 500, .code = "InternalError"}},
    {"forbidden", {.kind = SERVER_STATUS, .status = 403, .code = "AccessDenied"}},
    {"range", {.kind = SERVER_HEADER, .name = "Content-Range", .text = "bytes 1-2/3"}},
    {"whole", {.kind = SERVER_WHOLE}},
    {"short", {.kind = SERVER_SHORT, .bytes = 1}},
    {"flip", {.kind = SERVER_FLIP, .bytes = RANDOM_BYTES_MAX}},
    {"late", {.kind = SERVER_DELAY, .delay_ms = 1000}},
};

enum { RANDOM_FAULTS = sizeof(random_faults) / sizeof(random_faults[0]) };

const char *server_random_kinds(void)
{
    return "reset,close,truncate,silence,delay,slowdown,throttle,error";
}

int server_random(struct server *s, uint64_t seed, uint32_t permille, const char *names)
{
    uint32_t chosen = names ? 0 : (1u << RANDOM_SURVIVABLE) - 1;

    if (permille > 1000)
        return -EINVAL;
    for (const char *at = names; at && *at;) {
        size_t bytes = strcspn(at, ",");
        int i = 0;
        while (i < RANDOM_FAULTS && !(strlen(random_faults[i].name) == bytes &&
                                      memcmp(random_faults[i].name, at, bytes) == 0))
            i++;
        if (i == RANDOM_FAULTS)
            return -EINVAL;
        chosen |= 1u << i;
        at += bytes + (at[bytes] == ',');
    }
    pthread_mutex_lock(&s->lock);
    s->random_seed = seed;
    s->random_permille = chosen ? permille : 0;
    s->random_kinds = chosen;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* The finalizer of SplitMix64 (Steele, Lea and Flood 2014): a number from a number. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

/* By the request's number, so a seed means the same faults again. The caller holds the lock. */
static struct planned *fault_by_chance(struct server *s, uint64_t ordinal)
{
    uint64_t chance = mix(s->random_seed + ordinal * 0x9e3779b97f4a7c15u);
    unsigned skip, i = 0;
    struct planned *planned;

    if (s->random_permille == 0 || chance % 1000 >= s->random_permille)
        return NULL;
    chance = mix(chance);
    skip = (unsigned)(chance % (unsigned)__builtin_popcount(s->random_kinds));
    while (!(s->random_kinds >> i & 1) || skip-- > 0)
        i++;
    s->random_count[i]++;
    planned = server_alloc(sizeof(*planned));
    planned->random = true;
    planned->fault = random_faults[i].fault;
    if (planned->fault.bytes > 1)
        planned->fault.bytes = mix(chance) % planned->fault.bytes;
    return planned;
}

/* ------------------------------------------------------------------------------------ plan -- */

/* With its length, whether that was given or is strlen. */
static void text_copy(struct server_fault *fault)
{
    struct server_text text = {0};

    if (!fault->text)
        return;
    if (fault->text_bytes == 0)
        fault->text_bytes = strlen(fault->text);
    server_text_add(&text, fault->text, fault->text_bytes);
    fault->text = server_text_take(&text);
}

int server_plan(struct server *s, const struct server_match *match,
                const struct server_fault *fault)
{
    struct planned *made;

    if (fault->kind >= SERVER_FAULT_KINDS || fault->identity >= SERVER_IDENTITIES ||
        (s->config.identity == SERVER_CLEAR &&
         (fault->kind == SERVER_IDENTITY || fault->kind == SERVER_KEY_UPDATE)) ||
        (fault->kind == SERVER_TRICKLE && fault->bytes_each == 0) ||
        (fault->kind == SERVER_STATUS && fault->status == 0))
        return -EINVAL;
    made = server_alloc(sizeof(*made));
    made->fault = *fault;
    made->fault.code = server_copy(fault->code);
    made->fault.name = server_copy(fault->name);
    text_copy(&made->fault);
    if (match)
        made->match = *match;
    made->match.path = server_copy(made->match.path);
    made->match.method = server_copy(made->match.method);
    made->match.range = server_copy(made->match.range);
    if (made->fault.times == 0)
        made->fault.times = 1;
    pthread_mutex_lock(&s->lock);
    *s->plan_end = made;
    s->plan_end = &made->next;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

void faults_destroy(struct server *s)
{
    while (s->plan) {
        struct planned *planned = s->plan;
        s->plan = planned->next;
        free((void *)planned->fault.code);
        free((void *)planned->fault.name);
        free((void *)planned->fault.text);
        free((void *)planned->match.path);
        free((void *)planned->match.method);
        free((void *)planned->match.range);
        free(planned);
    }
}

static bool fits(const struct server_match *match, uint32_t connection, const struct request *r)
{
    bool fitting;
    char *range;

    if (match->connection != 0 && match->connection != connection)
        return false;
    if (!r)
        return true;
    if ((match->path && strcmp(match->path, r->path) != 0) ||
        (match->method && strcmp(match->method, r->method) != 0) ||
        (match->reused && r->number == 1))
        return false;
    if (!match->range)
        return true;
    range = request_header(r, "Range");
    fitting = range && strcmp(range, match->range) == 0;
    free(range);
    return fitting;
}

/* r: NULL for a connection. All faults that fit count it; the first whose turn it is gets taken. */
static struct planned *plan_take(struct server *s, uint32_t connection, const struct request *r)
{
    struct planned *taken = NULL;

    for (struct planned *p = s->plan; p; p = p->next) {
        if (p->taken == p->fault.times || kinds[p->fault.kind].of_connection != !r ||
            !fits(&p->match, connection, r))
            continue;
        p->seen++;
        if (!taken && p->seen >= p->match.nth) {
            p->taken++;
            taken = p;
        }
    }
    return taken;
}

struct planned *fault_of_connection(struct server *s, uint32_t connection)
{
    struct planned *planned;

    pthread_mutex_lock(&s->lock);
    planned = plan_take(s, connection, NULL);
    pthread_mutex_unlock(&s->lock);
    return planned;
}

struct planned *fault_of_request(struct connection *c, const struct request *r)
{
    struct server *s = c->server;
    struct planned *planned;

    pthread_mutex_lock(&s->lock);
    planned = plan_take(s, c->number, r);
    if (!planned)
        planned = fault_by_chance(s, r->ordinal);
    if (planned && r->index != UINT32_MAX)
        s->log[r->index].record.fault = kinds[planned->fault.kind].name;
    pthread_mutex_unlock(&s->lock);
    return planned;
}

void fault_done(struct planned *planned)
{
    if (planned && planned->random)
        free(planned);
}

/* --------------------------------------------------------------------------------- reports -- */

static void planned_print(const struct planned *p, struct server_text *to)
{
    server_text_print(to, "%s%s of %s %s (%u of %u", to->used > 0 ? ", " : "",
                      kinds[p->fault.kind].name, p->match.method ? p->match.method : "any",
                      p->match.path ? p->match.path : "any path", p->taken, p->fault.times);
    if (p->match.nth > 0)
        server_text_print(to, ", from the %u. that fits, %u came", p->match.nth, p->seen);
    server_text_add(to, ")", 1);
}

unsigned server_finish(struct server *s, char *text, size_t room)
{
    struct server_text left = {0};
    unsigned count = 0;

    pthread_mutex_lock(&s->lock);
    for (struct planned *p = s->plan; p; p = p->next) {
        if (p->taken == p->fault.times)
            continue;
        count += p->fault.times - p->taken;
        planned_print(p, &left);
    }
    pthread_mutex_unlock(&s->lock);
    if (text && room > 0)
        snprintf(text, room, "%s", server_text_string(&left));
    server_text_free(&left);
    return count;
}

void server_report(struct server *s, FILE *to)
{
    unsigned taken[SERVER_FAULT_KINDS] = {0};
    const char *comma = "";

    pthread_mutex_lock(&s->lock);
    fprintf(to, "{\"connections\": %u, \"requests\": %u, \"answers\": %u, \"planned\": {",
            s->connection_count, s->request_count, s->ended_count);
    for (const struct planned *p = s->plan; p; p = p->next)
        taken[p->fault.kind] += p->taken;
    for (int i = 0; i < SERVER_FAULT_KINDS; i++) {
        if (taken[i] > 0) {
            fprintf(to, "%s\"%s\": %u", comma, kinds[i].name, taken[i]);
            comma = ", ";
        }
    }
    fputs("}, \"random\": {", to);
    comma = "";
    for (int i = 0; i < RANDOM_FAULTS; i++) {
        if (s->random_count[i] > 0) {
            fprintf(to, "%s\"%s\": %u", comma, random_faults[i].name, s->random_count[i]);
            comma = ", ";
        }
    }
    fputs("}}\n", to);
    pthread_mutex_unlock(&s->lock);
}
