/* SPDX-License-Identifier: MIT */
/*
 * Answers of credential endpoints. The first byte chooses a provider, the second the HTTP status,
 * the rest is the body of every answer (or, for some, the setting itself). Whatever comes, a
 * provider ends with a whole set, or with none and a sentence.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/credential/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

struct answer {
    int status;
    const uint8_t *body;
    size_t bytes;
    uint64_t now_ms;
};

static uint64_t unix_s(void *data)
{
    return UINT64_C(1767225600);
}

static uint64_t now_ms(void *data)
{
    return ((struct answer *)data)->now_ms;
}

static void pause_ms(void *data, uint32_t ms)
{
    ((struct answer *)data)->now_ms += ms;
}

static int fetch(void *data, const struct fetch_request *request, struct fetch_response *response)
{
    const struct answer *answer = data;

    response->status = answer->status;
    secret_text_add_bytes(&response->body, answer->body, answer->bytes);
    if (request->want_header)
        memcpy(response->header, "Google", sizeof("Google"));
    return 0;
}

/* What makes a provider ask; `itself` is the setting that the input stands for, if it does. */
static const struct {
    credential_provider_fn *ask;
    enum credential_store store;
    struct {
        enum credential_key key;
        const char *value;
    } options[4];
    enum credential_key itself;
} targets[] = {
    {credential_aws_container,
     CREDENTIAL_S3,
     {{CREDENTIAL_CONTAINER_FULL_URI, "http://127.0.0.1/"}},
     CREDENTIAL_KEY_COUNT},
    {credential_aws_imds, CREDENTIAL_S3, {{0, NULL}}, CREDENTIAL_KEY_COUNT},
    {credential_aws_imds,
     CREDENTIAL_S3,
     {{CREDENTIAL_IMDS_V1_FALLBACK, "1"}},
     CREDENTIAL_KEY_COUNT},
    {credential_aws_web_identity, /* the token is of no interest: a file that everybody has */
     CREDENTIAL_S3,
     {{CREDENTIAL_WEB_IDENTITY_TOKEN_FILE, "/etc/hostname"}, {CREDENTIAL_ROLE_ARN, "arn"}},
     CREDENTIAL_KEY_COUNT},
    {credential_azure_options,
     CREDENTIAL_AZURE,
     {{CREDENTIAL_AZURE_TENANT_ID, "t"},
      {CREDENTIAL_AZURE_CLIENT_ID, "c"},
      {CREDENTIAL_AZURE_CLIENT_SECRET, "s"}},
     CREDENTIAL_KEY_COUNT},
    {credential_azure_managed, CREDENTIAL_AZURE, {{0, NULL}}, CREDENTIAL_KEY_COUNT},
    {credential_azure_options, CREDENTIAL_AZURE, {{0, NULL}}, CREDENTIAL_AZURE_CONNECTION_STRING},
    {credential_google_metadata, CREDENTIAL_GCS, {{0, NULL}}, CREDENTIAL_KEY_COUNT},
    {credential_google_options, CREDENTIAL_GCS, {{0, NULL}}, CREDENTIAL_GOOGLE_SERVICE_ACCOUNT_KEY},
};

static void check(const struct credential_request *request, const struct http_credential *out,
                  int status)
{
    assert(memchr(request->why, '\0', sizeof(request->why)));
    if (status != 0) {
        assert(status < 0 || status == CREDENTIAL_NOT_CONFIGURED);
        assert(request->why[0] != '\0');
        assert(!out->id && !out->secret && !out->token);
        return;
    }
    assert(out->source);
    switch (out->kind) {
    case HTTP_CREDENTIAL_AWS:
    case HTTP_CREDENTIAL_GS_HMAC:
    case HTTP_CREDENTIAL_AZURE_KEY:
        assert(out->id && out->secret);
        break;
    case HTTP_CREDENTIAL_AZURE_SAS:
    case HTTP_CREDENTIAL_BEARER:
        assert(out->token);
        break;
    case HTTP_CREDENTIAL_NONE:
        assert(!"a provider never gives this");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const int statuses[] = {200, 200, 200, 200, 400, 401, 403, 404, 429, 500};
    struct credential_settings settings = {.callback = NULL};
    struct answer answer = {.status = 200};
    const struct credential_world world = {
        .unix_s = unix_s, .now_ms = now_ms, .pause_ms = pause_ms, .fetch = fetch, .data = &answer};
    struct credential_memory memory = {METADATA_UNKNOWN};
    struct credential_request request = {
        .settings = &settings, .world = &world, .memory = &memory, .deadline_ms = 60000};
    struct http_credential out = {.kind = HTTP_CREDENTIAL_NONE};
    size_t target;

    if (count < 2)
        return 0;
    target = bytes[0] % (sizeof(targets) / sizeof(targets[0]));
    request.store = targets[target].store;
    answer.status = statuses[bytes[1] % (sizeof(statuses) / sizeof(statuses[0]))];
    answer.body = bytes + 2;
    answer.bytes = count - 2;
    for (int i = 0; i < 4 && targets[target].options[i].value; i++)
        (void)credential_settings_set(&settings, targets[target].options[i].key,
                                      targets[target].options[i].value);
    if (targets[target].itself != CREDENTIAL_KEY_COUNT) {
        char *text = calloc(1, count);
        if (text)
            memcpy(text, bytes + 2, count - 2);
        (void)credential_settings_set(&settings, targets[target].itself, text);
        free(text);
    }
    check(&request, &out, targets[target].ask(&request, &out));
    http_credential_wipe(&out);
    credential_settings_finish(&settings);
    return 0;
}
