/* SPDX-License-Identifier: MIT */
/*
 * Credentials that have to be fetched, expire, or cannot be had; and that no secret is ever shown.
 *
 * LSIO_ROWS: H7 H19 H26
 */
#define _GNU_SOURCE
#include "http_case.h"

#include <ctype.h>

enum { ID = 51, SIZE = 20000 };

/* --------------------------------------------------------------- H7, H26: from an endpoint -- */

#define SET_OF(id)                                                                                 \
    "{\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"word\",\"Token\":\"token-" id "\","         \
    "\"Expiration\":\"2099-01-01T00:00:00Z\"}"

static void environment_set(struct http_case *c)
{
    static const char *const unset[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_PROFILE",
                                        "AWS_WEB_IDENTITY_TOKEN_FILE",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"};
    char url[128];

    for (size_t i = 0; i < COUNT(unset); i++)
        assert_int_equal(unsetenv(unset[i]), 0);
    snprintf(url, sizeof(url), "%s/credentials", server_url(c->server));
    assert_int_equal(setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1), 0);
    assert_int_equal(setenv("AWS_EC2_METADATA_DISABLED", "true", 1), 0);
    assert_int_equal(setenv("AWS_CONFIG_FILE", "/nowhere/config", 1), 0);
    assert_int_equal(setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials", 1), 0);
}

static void begin(struct http_case *c)
{
    http_case_serve(c, &(struct server_config){.style = SERVER_S3});
    environment_set(c);
    http_case_put(c, "/bucket/k", ID, SIZE);
    assert_int_equal(
        server_route(c->server, &(struct server_route){.path = "/credentials",
                                                       .headers = "Content-Type: "
                                                                  "application/json\r\n",
                                                       .body = SET_OF("first")}),
        0);
    http_case_open(c, "s3://bucket", "endpoint=%s", NULL);
}

static unsigned asked(struct http_case *c, const char *path)
{
    unsigned count = 0;
    struct server_record record;

    for (unsigned i = 0; server_request(c->server, i, &record); i++)
        count += strcmp(record.path, path) == 0;
    return count;
}

static void fetched_once(void **state)
{
    struct http_case *c = *state;

    begin(c);
    assert_int_equal(http_case_requests(c), 0); /* opening asks nobody */
    for (int i = 0; i < 5; i++)
        http_case_expect(c, "k", ID, i, 1000);
    assert_int_equal(asked(c, "/credentials"), 1);
    assert_string_equal(http_case_header(c, 5, "x-amz-security-token"), "token-first");
    assert_non_null(strstr(http_case_header(c, 5, "authorization"), "Credential=first/"));
}

static void renewed_when_they_expire(void **state)
{
    static const int codes[] = {403, 400, 401};
    struct http_case *c = *state;

    begin(c);
    http_case_expect(c, "k", ID, 0, 1000);
    for (size_t i = 0; i < COUNT(codes); i++) {
        unsigned before = asked(c, "/credentials"), last;
        http_case_plan(c, "/bucket/k", 0,
                       &(struct server_fault){
                           .kind = SERVER_STATUS, .status = codes[i], .code = "ExpiredToken"});
        http_case_plan(c, "/credentials", 0,
                       &(struct server_fault){.kind = SERVER_BODY, .text = SET_OF("second")});
        http_case_expect(c, "k", ID, 0, 1000);
        assert_int_equal(asked(c, "/credentials"), before + 1);
        last = http_case_requests(c) - 1;
        assert_string_equal(http_case_header(c, last, "x-amz-security-token"), "token-second");
    }
}

/* What is set up and fails is the error; who was asked is told, and the bucket is not. */
static void not_to_be_had(void **state)
{
    static const struct server_fault faults[] = {
        {.kind = SERVER_STATUS, .status = 404},
        {.kind = SERVER_STATUS, .status = 403},
        {.kind = SERVER_BODY, .text = "{\"AccessKeyId\":"},
        {.kind = SERVER_BODY, .text = "{\"AccessKeyId\":\"only\"}"},
    };
    struct http_case *c = *state;

    begin(c);
    for (size_t i = 0; i < COUNT(faults); i++) {
        int status;
        http_case_open(c, "s3://bucket", "endpoint=%s", NULL);
        http_case_plan(c, "/credentials", 0, &faults[i]);
        status = http_case_read(c, "k", 0, 10);
        if (status != -EACCES && status != LSIO_E_PROTOCOL)
            fail_msg("%zu: %s: %s", i, lsio_status_name(status), c->error.text);
        assert_non_null(strstr(c->error.text, "container"));
        assert_int_equal(c->error.attempts, 0);
    }
    assert_int_equal(asked(c, "/bucket/k"), 0);
}

/* A chunk that waits for credentials is canceled at once. */
static void cancel_while_they_are_awaited(void **state)
{
    struct http_case *c = *state;
    struct lsio_chunk chunk = {.length = 10, .dst = c->memory, .dst_bytes = 10};
    struct lsio_object object;
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);
    struct lsio_batch *batch;

    begin(c);
    object = (struct lsio_object){.store = c->store, .key = "k"};
    http_case_plan(c, "/credentials", 0,
                   &(struct server_fault){.kind = SERVER_HANG, .place = SERVER_BEFORE_HEAD});
    assert_int_equal(lsio_submit_batch(c->context, &request, &batch), 0);
    assert_true(server_wait_held(c->server, 1, 20000));
    assert_int_equal(lsio_batch_cancel(batch), 0);
    assert_int_equal(api_wait(batch), -ECANCELED);
    assert_int_equal(lsio_batch_destroy(batch), 0);
    server_release(c->server);
    http_case_expect(c, "k", ID, 0, 1000);
}

/* The usual reason for a refusal. */
static void anonymous_is_said(void **state)
{
    struct http_case *c = *state;

    http_case_serve(c, &(struct server_config){.style = SERVER_S3});
    http_case_open(c, "s3://bucket", "endpoint=%s", "skip_signature=true", NULL);
    http_case_plan(
        c, NULL, 0,
        &(struct server_fault){.kind = SERVER_STATUS, .status = 403, .code = "AccessDenied"});
    assert_int_equal(http_case_read(c, "k", 0, 10), -EACCES);
    assert_non_null(strstr(c->error.text, "403 AccessDenied: asked without credentials"));
    assert_string_equal(http_case_header(c, 0, "authorization"), "");
}

/* ------------------------------------------------------------------------- H19: no secrets -- */

/* Everything that LSIO says, in one text. */
struct said {
    char *text;
    size_t bytes;
    FILE *to;
};

static void said_begin(struct said *said)
{
    memset(said, 0, sizeof(*said));
    said->to = open_memstream(&said->text, &said->bytes);
    assert_non_null(said->to);
}

static void said_error(struct said *said, const struct lsio_error *error)
{
    fprintf(said->to, "%s\n%s\n%s\n", error->text, error->url, error->request_id);
}

static void said_plan(struct said *said, struct http_case *c)
{
    struct lsio_chunk chunk = {.length = 10, .dst = c->memory, .dst_bytes = 10};
    struct lsio_object object = {.store = c->store, .key = "k"};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, NULL);

    for (int format = LSIO_EXPLAIN_TEXT; format <= LSIO_EXPLAIN_JSON; format++) {
        char *text;
        assert_int_equal(lsio_explain_batch(c->context, &request, format, &text), 0);
        fprintf(said->to, "%s\n", text);
        lsio_result_free(text);
    }
}

static bool holds(const struct said *said, const char *secret)
{
    return strstr(said->text, secret) != NULL;
}

static void percent_encode(const char *text, bool upper, char *out)
{
    for (; *text; text++) {
        if (isalnum((unsigned char)*text) || strchr("-._~", *text))
            *out++ = *text;
        else
            out += sprintf(out, upper ? "%%%02X" : "%%%02x", (unsigned char)*text);
    }
    *out = '\0';
}

/* The secret in no form; a part of it neither. */
static void silent(const struct said *said, const char *secret)
{
    char encoded[1024], part[16];

    snprintf(part, sizeof(part), "%.12s", secret);
    for (int upper = 0; upper < 2; upper++) {
        percent_encode(secret, upper, encoded);
        if (holds(said, encoded))
            fail_msg("%s is shown", encoded);
    }
    if (holds(said, secret) || holds(said, part))
        fail_msg("%s is shown in:\n%s", secret, said->text);
}

/* Copies what follows `mark` in a text that the server received. */
static void derived(const char *text, const char *mark, char *out, size_t room)
{
    const char *at = strstr(text, mark);

    assert_non_null(at);
    at += strlen(mark);
    snprintf(out, room, "%.*s", (int)strcspn(at, ", &\r\n"), at);
    assert_true(strlen(out) >= 12);
}

/* Reads that succeed, fail in several ways, and that the server answers by repeating what it was
 * sent: `bare` as it is, `secret` by name; then everything that was said. */
static void provoke(struct http_case *c, struct said *said, const char *bare, const char *secret)
{
    static const int codes[] = {404, 403, 400, 500, 307};
    char echo[4096];

    said_begin(said);
    (void)http_case_read(c, "k", 0, 100);
    said_plan(said, c);
    for (size_t i = 0; i < COUNT(codes); i++) {
        snprintf(echo, sizeof(echo),
                 "HTTP/1.1 %d No\r\nConnection: close\r\nContent-Type: application/xml\r\n"
                 "x-amz-request-id: id\r\nLocation: ftp://u:%s@h/?sig=%s\r\n\r\n"
                 "<Error><Code>Strange</Code><Message>you sent %s, Authorization: Bearer %s, "
                 "?X-Amz-Signature=%s&amp;sig=%s</Message></Error>",
                 codes[i], secret, secret, bare, secret, secret, secret);
        http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_RAW, .text = echo});
        assert_int_not_equal(http_case_read(c, "k", 0, 100), 0);
        said_error(said, &c->error);
    }
    http_case_plan(c, NULL, 0, &(struct server_fault){.kind = SERVER_RESET});
    assert_int_not_equal(http_case_read(c, "k", 0, 100), 0);
    said_error(said, &c->error);
    (void)http_case_try_open(c, "nonsense://user:word@host", NULL);
    pthread_mutex_lock(&c->log_lock);
    fprintf(said->to, "%s", c->log);
    pthread_mutex_unlock(&c->log_lock);
    assert_int_equal(fclose(said->to), 0);
    assert_non_null(strstr(said->text, "Strange")); /* much was said */
}

static void secrets_of_s3(void **state)
{
    static const char secret[] = "canarySecret/of+S3==", token[] = "canaryToken/of+S3==";
    struct http_case *c = *state;
    struct said said;
    char signature[128];

    http_case_serve(c, &(struct server_config){.style = SERVER_S3});
    http_case_put(c, "/bucket/k", ID, SIZE);
    http_case_open(c, "s3://bucket", "endpoint=%s", "access_key_id=AKIDcanary",
                   "secret_access_key=canarySecret/of+S3==", "session_token=canaryToken/of+S3==",
                   "sse_customer_key_base64=Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5MTI=",
                   "retry_attempts_max=1", NULL);
    provoke(c, &said, token, token);
    silent(&said, secret);
    silent(&said, token);
    silent(&said, "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5");
    assert_true(server_has_seen(c->server, token));
    assert_true(server_has_seen(c->server, "Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"));
    assert_false(server_has_seen(c->server, secret)); /* only what is derived from it */
    derived(http_case_header(c, 0, "authorization"), "Signature=", signature, sizeof(signature));
    silent(&said, signature);
    free(said.text);
}

static void secrets_of_an_azure_key(void **state)
{
    static const char key[] = "Y2FuYXJ5L2tleStvZi9henVyZQ==";
    struct http_case *c = *state;
    struct said said;
    char signature[128];

    http_case_serve(c, &(struct server_config){.style = SERVER_AZURE});
    http_case_put(c, "/account/bucket/k", ID, SIZE);
    http_case_open(c, "az://bucket", "endpoint=%s/account", "account_name=account",
                   "account_key=Y2FuYXJ5L2tleStvZi9henVyZQ==", "retry_attempts_max=1", NULL);
    provoke(c, &said, key, key);
    silent(&said, key);
    assert_false(server_has_seen(c->server, key));
    derived(http_case_header(c, 0, "authorization"), "SharedKey account:", signature,
            sizeof(signature));
    silent(&said, signature);
    free(said.text);
}

static void secrets_of_a_shared_access_signature(void **state)
{
    static const char sig[] = "canarySas%2Fsig%3D";
    struct http_case *c = *state;
    struct said said;

    http_case_serve(c, &(struct server_config){.style = SERVER_AZURE});
    http_case_put(c, "/account/bucket/k", ID, SIZE);
    http_case_open(c, "az://bucket", "endpoint=%s/account", "account_name=account",
                   "sas_token=sv=2020-01-01&sig=canarySas%2Fsig%3D", "retry_attempts_max=1", NULL);
    provoke(c, &said, "sv=2020-01-01&amp;sig=canarySas%2Fsig%3D", sig);
    silent(&said, sig);
    silent(&said, "canarySas/sig=");
    assert_true(server_has_seen(c->server, sig));
    free(said.text);
}

static void secrets_of_a_bearer(void **state)
{
    static const char token[] = "canaryBearer.of+gcs/x";
    struct http_case *c = *state;
    struct said said;

    http_case_serve(c, &(struct server_config){.style = SERVER_GCS});
    http_case_put(c, "/bucket/k", ID, SIZE);
    http_case_open(c, "gs://bucket", "base_url=%s", "bearer_token=canaryBearer.of+gcs/x",
                   "retry_attempts_max=1", NULL);
    provoke(c, &said, token, token);
    silent(&said, token);
    assert_true(server_has_seen(c->server, token));
    free(said.text);
}

static void secrets_of_a_signed_url(void **state)
{
    static const char sig[] = "canarySignatureOfUrl";
    struct http_case *c = *state;
    struct said said;

    http_case_open(c, "%s/data?X-Amz-Credential=AKID&X-Amz-Signature=canarySignatureOfUrl",
                   "retry_attempts_max=1", NULL);
    http_case_put(c, "/data/k", ID, SIZE);
    provoke(c, &said, "a query", sig);
    silent(&said, sig);
    assert_true(server_has_seen(c->server, sig));
    free(said.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fetched_once),
        cmocka_unit_test(renewed_when_they_expire),
        cmocka_unit_test(not_to_be_had),
        cmocka_unit_test(cancel_while_they_are_awaited),
        cmocka_unit_test(anonymous_is_said),
        cmocka_unit_test(secrets_of_s3),
        cmocka_unit_test(secrets_of_an_azure_key),
        cmocka_unit_test(secrets_of_a_shared_access_signature),
        cmocka_unit_test(secrets_of_a_bearer),
        cmocka_unit_test(secrets_of_a_signed_url),
    };

    return http_case_run("credentials", tests, COUNT(tests));
}
