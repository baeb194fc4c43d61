/* SPDX-License-Identifier: MIT */
/*
 * credential_case.h - an outside world for tests of credential providers: a clock that stands
 * still, an environment and files of their own, and a list of requests that must come, with the
 * answers to give.
 *
 *     struct credential_case *c = case_begin(CREDENTIAL_S3);
 *     case_environment(c, "AWS_ACCESS_KEY_ID", "AKID");
 *     case_expect(c, &(struct exchange){.method = "GET", .url = "http://...", .answer = "{}"});
 *     assert_int_equal(case_ask(c, credential_aws_environment), 0);
 *     case_end(c);                                   fails unless every request came
 */
#ifndef LSIO_TESTS_UNIT_CREDENTIAL_CASE_H
#define LSIO_TESTS_UNIT_CREDENTIAL_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/error.h"
#include "driver/http/credential/chain.h"
#include "driver_rig.h"

#define CASE_NOW_S      UINT64_C(1767225600) /* 2026-01-01T00:00:00Z */
#define CASE_EXPIRES    "2026-01-01T01:00:00Z"
#define CASE_EXPIRES_S  (CASE_NOW_S + 3600)
#define EXCHANGES_MAX   24
#define CASE_HEADER_MAX 8
#define CASE_VARIABLES  32

/* One request that must come. All strings are borrowed; NULL url: any. */
struct exchange {
    const char *method, *url;
    const char *headers[CASE_HEADER_MAX]; /* exactly these, in any order; names in any case */
    const char *body;                     /* NULL: none */
    bool proxied;                         /* it may go through a proxy */
    /* the answer */
    int result; /* of fetch: 0, or -ETIMEDOUT and the like */
    int status; /* HTTP; 0: 200 */
    const char *answer;
    const char *header; /* of the header that was wanted */
};

struct credential_case {
    struct credential_settings settings;
    struct credential_world world;
    struct credential_memory memory;
    struct credential_request request;
    struct http_credential out;
    char report[CREDENTIAL_REPORT_BYTES];
    char *directory;
    struct exchange exchanges[EXCHANGES_MAX];
    unsigned expected, came;
    uint64_t now_s, now_ms;
    uint64_t paused_ms;
    const char *variables[CASE_VARIABLES][2];
    unsigned variable_count;
};

static inline uint64_t case_unix_s(void *data)
{
    return ((struct credential_case *)data)->now_s;
}

static inline uint64_t case_now_ms(void *data)
{
    return ((struct credential_case *)data)->now_ms;
}

static inline void case_pause_ms(void *data, uint32_t ms)
{
    struct credential_case *c = data;

    c->paused_ms += ms;
    c->now_ms += ms;
}

/* True if the request has this header line; "Name: value", the name in any case. */
static inline bool case_has_header(const struct fetch_request *request, const char *line)
{
    size_t name = strcspn(line, ":");

    for (unsigned i = 0; i < FETCH_HEADERS_MAX && request->headers[i]; i++)
        if (strncasecmp(request->headers[i], line, name) == 0 &&
            strcmp(request->headers[i] + name, line + name) == 0)
            return true;
    return false;
}

static inline void case_check_headers(const struct fetch_request *request,
                                      const struct exchange *exchange)
{
    unsigned wanted = 0, sent = 0;

    while (sent < FETCH_HEADERS_MAX && request->headers[sent])
        sent++;
    while (wanted < CASE_HEADER_MAX && exchange->headers[wanted]) {
        if (!case_has_header(request, exchange->headers[wanted]))
            fail_msg("%s %s: \"%s\" is missing; first is \"%s\", last is \"%s\"", request->method,
                     request->url, exchange->headers[wanted], sent ? request->headers[0] : "",
                     sent ? request->headers[sent - 1] : "");
        wanted++;
    }
    assert_int_equal(sent, wanted);
}

static inline int case_fetch(void *data, const struct fetch_request *request,
                             struct fetch_response *response)
{
    struct credential_case *c = data;
    const struct exchange *exchange;

    if (c->came == c->expected)
        fail_msg("nobody expected %s %s", request->method, request->url);
    exchange = &c->exchanges[c->came++];
    assert_true(request->timeout_ms > 0);
    assert_true(request->timeout_ms <= 10000);
    if (!exchange->url)
        return exchange->result;
    assert_string_equal(request->method, exchange->method);
    assert_string_equal(request->url, exchange->url);
    assert_int_equal(request->no_proxy, !exchange->proxied);
    case_check_headers(request, exchange);
    if (exchange->body)
        assert_string_equal(request->body, exchange->body);
    else
        assert_null(request->body);
    if (exchange->result == -ETIMEDOUT)
        c->now_ms += request->timeout_ms;
    if (exchange->result < 0)
        return exchange->result;
    response->status = exchange->status ? exchange->status : 200;
    secret_text_add(&response->body, exchange->answer ? exchange->answer : "");
    if (request->want_header && exchange->header)
        snprintf(response->header, sizeof(response->header), "%s", exchange->header);
    return 0;
}

static inline void case_expect(struct credential_case *c, const struct exchange *exchange)
{
    assert_true(c->expected < EXCHANGES_MAX);
    c->exchanges[c->expected++] = *exchange;
}

/* A form that is posted to a token server, which is to answer in JSON. */
static inline void case_expect_form(struct credential_case *c, const char *url, const char *body,
                                    int status, const char *answer)
{
    case_expect(c, &(struct exchange){.method = "POST",
                                      .url = url,
                                      .proxied = true,
                                      .headers = {"Accept: application/json",
                                                  "Content-Type: "
                                                  "application/x-www-form-urlencoded"},
                                      .body = body,
                                      .status = status,
                                      .answer = answer});
}

static inline const char *case_variable(void *data, const char *name)
{
    struct credential_case *c = data;

    for (unsigned i = c->variable_count; i-- > 0;)
        if (strcmp(c->variables[i][0], name) == 0)
            return c->variables[i][1];
    return NULL;
}

/* Sets a variable; the strings are borrowed. */
static inline void case_environment(struct credential_case *c, const char *name, const char *value)
{
    assert_true(c->variable_count < CASE_VARIABLES);
    c->variables[c->variable_count][0] = name;
    c->variables[c->variable_count++][1] = value;
    assert_int_equal(credential_settings_environment(&c->settings, case_variable, c), 0);
}

static inline void case_option(struct credential_case *c, enum credential_key key,
                               const char *value)
{
    assert_int_equal(credential_settings_set(&c->settings, key, value), 0);
}

static inline struct credential_case *case_begin(enum credential_store store)
{
    struct credential_case *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    c->directory = rig_directory_make(NULL);
    c->now_s = CASE_NOW_S;
    c->now_ms = 1000;
    c->world = (struct credential_world){.unix_s = case_unix_s,
                                         .now_ms = case_now_ms,
                                         .pause_ms = case_pause_ms,
                                         .fetch = case_fetch,
                                         .data = c};
    c->request = (struct credential_request){.store = store,
                                             .settings = &c->settings,
                                             .world = &c->world,
                                             .memory = &c->memory,
                                             .deadline_ms = c->now_ms + 60000};
    case_environment(c, "HOME", c->directory);
    return c;
}

static inline void case_end(struct credential_case *c)
{
    assert_int_equal(c->came, c->expected);
    http_credential_wipe(&c->out);
    credential_settings_finish(&c->settings);
    rig_directory_remove(c->directory);
    free(c);
}

/* What was learnt of metadata services is forgotten. */
static inline void case_forget(struct credential_case *c)
{
    c->memory.aws = c->memory.azure = c->memory.google = METADATA_UNKNOWN;
}

/* Asks one provider; what it gave is in c->out, what it said in c->request.why. */
static inline int case_ask(struct credential_case *c, credential_provider_fn *ask)
{
    http_credential_wipe(&c->out);
    c->request.why[0] = '\0';
    return ask(&c->request, &c->out);
}

static inline int case_run(struct credential_case *c)
{
    http_credential_wipe(&c->out);
    return credential_chain_run(&c->request, &c->out, c->report, sizeof(c->report));
}

/* The path of a file in the case's directory; valid until the fourth call from then. */
static inline const char *case_path(const struct credential_case *c, const char *name)
{
    static char paths[4][4096];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", c->directory, name);
    return path;
}

/* Writes a file, and the folders above it. */
static inline const char *case_file(const struct credential_case *c, const char *name,
                                    const char *text)
{
    const char *path = case_path(c, name);
    char folder[4096];
    FILE *file;

    for (const char *slash = path + strlen(c->directory) + 1; (slash = strchr(slash, '/'));
         slash++) {
        snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path);
        mkdir(folder, 0777);
    }
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return path;
}

/* What was given must be this; NULL: nothing of the kind. */
static inline void case_given(const struct credential_case *c, enum http_credential_kind kind,
                              const char *id, const char *secret, const char *token,
                              uint64_t expires_unix_s)
{
    const char *const want[] = {id, secret, token};
    const char *const have[] = {c->out.id, c->out.secret, c->out.token};

    assert_int_equal(c->out.kind, kind);
    assert_int_equal(c->out.expires_unix_s, expires_unix_s);
    for (unsigned i = 0; i < 3; i++) {
        if (want[i])
            assert_non_null(have[i]);
        if (want[i])
            assert_string_equal(have[i], want[i]);
        else
            assert_null(have[i]);
    }
}

/* The sentence must hold `part`, and no secret of the tests: they all hold "hush". */
static inline void case_says(const char *sentence, const char *part)
{
    if (!strstr(sentence, part))
        fail_msg("\"%s\" is not in \"%s\"", part, sentence);
    if (strstr(sentence, "hush"))
        fail_msg("a secret is in \"%s\"", sentence);
}

/* The provider must end with this status, and its sentence hold `part`. */
#define case_fails(c, ask, status, part)                                                           \
    do {                                                                                           \
        assert_int_equal(case_ask(c, ask), status);                                                \
        case_says((c)->request.why, part);                                                         \
    } while (0)

/* A metadata service that does not answer the request that was expected last: that costs a second,
 * once. */
static inline void case_unanswered(struct credential_case *c, credential_provider_fn *ask)
{
    uint64_t before_ms = c->now_ms;

    c->exchanges[c->expected - 1].result = -ETIMEDOUT;
    case_fails(c, ask, CREDENTIAL_NOT_CONFIGURED, "does not answer in time");
    assert_true(c->now_ms - before_ms <= 1000);
    case_fails(c, ask, CREDENTIAL_NOT_CONFIGURED, "did not answer before");
}

#endif
