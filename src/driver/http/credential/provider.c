/* SPDX-License-Identifier: MIT */
/*
 * provider.c - see provider.h: sentences, bounded requests and answers that several providers
 * share.
 *
 * What a sentence may hold: names of files, hosts, variables and profiles, HTTP statuses, and error
 * names of a server if they look like names. Never a URL's query, a header, or a body: tokens
 * travel in all three.
 */
#include "driver/http/credential/provider.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mark.h"
#include "driver/http/credential/json.h"

#define ATTEMPTS_MAX     3u
#define PAUSE_MS_FIRST   200u
#define PAUSE_SLICE_MS   20u
#define OAUTH_TIMEOUT_MS 10000u
#define CODE_BYTES_MAX   64u

int credential_why(struct credential_request *request, int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(request->why, sizeof(request->why), format, args);
    va_end(args);
    return status;
}

int credential_why_in(struct credential_request *request, int status, const char *what)
{
    char sentence[sizeof(request->why)];

    memcpy(sentence, request->why, sizeof(sentence));
    return credential_why(request, status, "%.100s: %s", what, sentence);
}

int credential_out(struct credential_request *request, struct http_credential *out,
                   enum http_credential_kind kind, const char *id, const char *secret,
                   const char *token, uint64_t expires_unix_s, const char *source)
{
    const struct http_credential set = {.kind = kind,
                                        .id = (char *)(uintptr_t)id,
                                        .secret = (char *)(uintptr_t)secret,
                                        .token = (char *)(uintptr_t)token,
                                        .expires_unix_s = expires_unix_s,
                                        .source = source};

    if (expires_unix_s && expires_unix_s <= request->world->unix_s(request->world->data)) {
        LSIO_MARK(credential_expired);
        return credential_why(request, -EACCES, "what it gives has expired");
    }
    if (http_credential_set(out, &set) < 0)
        return credential_why(request, -ENOMEM, "out of memory");
    return 0;
}

/* ---------------------------------------------------------------------------------- requests -- */

static const char *transport_text(int status)
{
    switch (status) {
    case -ETIMEDOUT:
        return "does not answer in time";
    case -EHOSTUNREACH:
        return "cannot be reached";
    case LSIO_E_TLS:
        return "could not be authenticated (TLS)";
    case LSIO_E_PROTOCOL:
        return "answers with something else than HTTP, or with more than 64 KiB";
    case -ECANCELED:
        return "was not waited for: the context is closing";
    case -EINVAL:
        return "is part of an address that makes no sense";
    case -ENOMEM:
        return "was not asked: out of memory";
    default:
        return "broke the connection";
    }
}

bool credential_stopping(const struct credential_request *request)
{
    return request->stop && atomic_load(request->stop);
}

/* In slices: a closing store does not wait for the whole of it. */
static void pause_between(const struct credential_request *request, uint32_t ms)
{
    for (; ms > 0 && !credential_stopping(request); ms -= ms < PAUSE_SLICE_MS ? ms : PAUSE_SLICE_MS)
        request->world->pause_ms(request->world->data, ms < PAUSE_SLICE_MS ? ms : PAUSE_SLICE_MS);
}

static int fetch_once(struct credential_request *request, const struct fetch_request *fetch,
                      struct fetch_response *response)
{
    const struct credential_world *world = request->world;
    struct fetch_request bounded = *fetch;
    uint64_t now_ms = world->now_ms(world->data);
    char host[128];
    int status = -ETIMEDOUT;

    if (credential_stopping(request)) {
        status = -ECANCELED;
    } else if (now_ms < request->deadline_ms) {
        bounded.stop = request->stop;
        if (bounded.timeout_ms > request->deadline_ms - now_ms)
            bounded.timeout_ms = (uint32_t)(request->deadline_ms - now_ms);
        status = world->fetch(world->data, &bounded, response);
    }
    if (status == 0)
        return 0;
    credential_url_host(fetch->url, host, sizeof(host));
    return credential_why(request, status, "%s %s", host, transport_text(status));
}

int credential_fetch(struct credential_request *request, const struct fetch_request *fetch,
                     struct fetch_response *response)
{
    const struct credential_world *world = request->world;
    int status;

    for (uint32_t attempt = 1;; attempt++) {
        uint64_t now_ms;

        status = fetch_once(request, fetch, response);
        if (status == 0 && (response->status == 429 || response->status >= 500))
            status = credential_refused(request, fetch->url, response->status, NULL);
        if (status != LSIO_E_HTTP && status != -ETIMEDOUT && status != -EHOSTUNREACH &&
            status != -EIO)
            return status;
        now_ms = world->now_ms(world->data);
        if (attempt == ATTEMPTS_MAX || now_ms >= request->deadline_ms ||
            credential_stopping(request))
            return status;
        LSIO_MARK(credential_endpoint_asked_again);
        fetch_response_finish(response);
        /* Doubled, with some of the clock in it: many processes may have begun at once. */
        pause_between(request, (PAUSE_MS_FIRST << (attempt - 1)) + (uint32_t)(now_ms % 100));
    }
}

int credential_probe(struct credential_request *request, const struct fetch_request *fetch,
                     _Atomic uint8_t *state, struct fetch_response *response)
{
    uint64_t now_ms = request->world->now_ms(request->world->data);
    int status;

    if (atomic_load(state) == METADATA_PRESENT)
        return credential_fetch(request, fetch, response);
    status = fetch_once(request, fetch, response);
    /* Nothing is learnt from a request that was cut short. */
    if (status == 0 || status == -ECANCELED || status == -ENOMEM ||
        now_ms + fetch->timeout_ms > request->deadline_ms)
        return status;
    LSIO_MARK(credential_metadata_absent);
    atomic_store(state, METADATA_ABSENT);
    return CREDENTIAL_NOT_CONFIGURED;
}

int credential_metadata(struct credential_request *request, _Atomic uint8_t *state,
                        credential_provider_fn *ask, struct http_credential *out)
{
    bool known = atomic_load(state) == METADATA_PRESENT;
    int status;

    if (atomic_load(state) == METADATA_ABSENT)
        return credential_why(request, CREDENTIAL_NOT_CONFIGURED, "did not answer before");
    status = ask(request, out);
    if (status == 0)
        atomic_store(state, METADATA_PRESENT);
    else if (status == CREDENTIAL_NOT_CONFIGURED && known)
        status = -EACCES; /* it was: the sentence says what has changed */
    return status;
}

int credential_refused(struct credential_request *request, const char *url, int http_status,
                       const char *code)
{
    static const char name_characters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    int status =
        http_status >= 400 && http_status < 500 && http_status != 429 ? -EACCES : LSIO_E_HTTP;
    char host[128];

    LSIO_MARK(credential_endpoint_refused);
    if (!code || strlen(code) > CODE_BYTES_MAX || code[strspn(code, name_characters)] != '\0')
        code = "";
    credential_url_host(url, host, sizeof(host));
    return credential_why(request, status, "%s answered %d%s%s", host, http_status,
                          *code ? " " : "", code);
}

/* ----------------------------------------------------------------------------------- answers -- */

static int not_understood(struct credential_request *request, const char *url)
{
    char host[128];

    credential_url_host(url, host, sizeof(host));
    return credential_why(request, LSIO_E_PROTOCOL, "the answer of %s is not understood", host);
}

int credential_json(struct credential_request *request, const char *url,
                    const struct fetch_response *response, struct json_object **out)
{
    *out = json_parse(secret_text_get(&response->body), response->body.used);
    return *out ? 0 : not_understood(request, url);
}

/* The error's name: a string (RFC 6749, 5.2), or Google's and Azure's object with a `status` or
 * `code` in it. */
static const char *oauth_error(struct json_object *root)
{
    struct json_object *error = json_member(root, "error");
    const char *code = json_text(root, "error");

    if (!error)
        return code;
    code = json_text(error, "status");
    return code ? code : json_text(error, "code");
}

int credential_oauth_answer(struct credential_request *request, const char *url,
                            const struct fetch_response *response, struct http_credential *out,
                            const char *source)
{
    struct json_object *root = json_parse(secret_text_get(&response->body), response->body.used);
    uint64_t expires_s, life_s;
    const char *token;
    int status;

    if (response->status != 200) {
        status =
            credential_refused(request, url, response->status, root ? oauth_error(root) : NULL);
        json_finish(root);
        return status;
    }
    token = root ? json_text(root, "access_token") : NULL;
    life_s = root ? json_number(root, "expires_in") : 0;
    expires_s = root ? json_number(root, "expires_on") : 0;
    if (expires_s == 0 && life_s > 0 && life_s <= UINT32_MAX)
        expires_s = request->world->unix_s(request->world->data) + life_s;
    if (token && expires_s > 0) {
        status = credential_out(request, out, HTTP_CREDENTIAL_BEARER, NULL, NULL, token, expires_s,
                                source);
    } else {
        status = not_understood(request, url);
    }
    json_finish(root);
    return status;
}

int credential_oauth(struct credential_request *request, const char *url, const char *form,
                     struct http_credential *out, const char *source)
{
    const struct fetch_request fetch = {
        .method = "POST",
        .url = url,
        .headers = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json"},
        .body = form,
        .timeout_ms = OAUTH_TIMEOUT_MS};
    struct fetch_response response = {0};
    int status = credential_fetch(request, &fetch, &response);

    if (status == 0)
        status = credential_oauth_answer(request, url, &response, out, source);
    fetch_response_finish(&response);
    return status;
}

/* ------------------------------------------------------------------------------------- files -- */

const char *credential_file_text(int status)
{
    return status == -ENOENT ? "there is no such file" : lsio_status_text(status);
}

int credential_token_file(struct credential_request *request, const char *path,
                          struct secret_text *out)
{
    int status = secret_text_add_file(out, path);
    size_t lead;

    if (status < 0)
        return credential_why(request, status, "cannot read %.150s: %s", path,
                              credential_file_text(status));
    while (out->used > 0 && strchr(" \t\r\n", out->base[out->used - 1]))
        out->base[--out->used] = '\0';
    lead = strspn(secret_text_get(out), " \t\r\n");
    if (lead > 0) {
        out->used -= lead;
        memmove(out->base, out->base + lead, out->used + 1);
    }
    if (out->used == 0)
        return credential_why(request, -EINVAL, "%.150s is empty", path);
    for (size_t i = 0; i < out->used; i++)
        if ((unsigned char)out->base[i] < ' ' || out->base[i] == 127)
            return credential_why(request, -EINVAL, "%.150s holds no token", path);
    return 0;
}

/* ------------------------------------------------------------------------------ application -- */

/* What the application gave; NONE if it is no whole set for this kind of store. */
static enum http_credential_kind answer_kind(enum credential_store store,
                                             const struct lsio_credential *answer)
{
    if (answer->id && answer->secret) {
        switch (store) {
        case CREDENTIAL_S3:
            return HTTP_CREDENTIAL_AWS;
        case CREDENTIAL_GCS:
            return HTTP_CREDENTIAL_GS_HMAC;
        case CREDENTIAL_AZURE:
            return HTTP_CREDENTIAL_AZURE_KEY;
        case CREDENTIAL_HTTP:
            return HTTP_CREDENTIAL_NONE;
        }
    }
    if (answer->id || answer->secret || !answer->token || store == CREDENTIAL_S3)
        return HTTP_CREDENTIAL_NONE;
    if (store == CREDENTIAL_AZURE && strstr(answer->token, "sig="))
        return HTTP_CREDENTIAL_AZURE_SAS;
    return HTTP_CREDENTIAL_BEARER;
}

int credential_callback(struct credential_request *request, struct http_credential *out)
{
    struct lsio_credential answer = {.struct_bytes = sizeof(answer)};
    enum http_credential_kind kind;
    int status;

    if (!request->settings->callback) /* nobody who has given none wants to read of it */
        return CREDENTIAL_NOT_CONFIGURED;
    status = request->settings->callback(request->settings->callback_data, &answer);
    answer.error[sizeof(answer.error) - 1] = '\0';
    if (status < 0)
        return answer.error[0]
                   ? credential_why(request, status, "%s", answer.error)
                   : credential_why(request, status, "it returned %s", lsio_status_name(status));
    kind = answer_kind(request->store, &answer);
    if (kind == HTTP_CREDENTIAL_NONE)
        return credential_why(request, -EINVAL, "it gave no whole set for this kind of store");
    return credential_out(request, out, kind, answer.id, answer.secret, answer.token,
                          answer.expires_unix_s, "callback");
}
