/* SPDX-License-Identifier: MIT */
/*
 * aws_keys.c - AWS credentials that are given as they are: by options, by the environment; and the
 * JSON answers of the endpoints that give them. See provider.h and aws.h.
 */
#include "driver/http/credential/aws.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/credential/json.h"
#include "driver/http/credential/when.h"

static int keys_from(struct credential_request *request, enum credential_from from,
                     const char *source, struct http_credential *out)
{
    const struct credential_settings *settings = request->settings;
    const char *id = credential_settings_get(settings, from, CREDENTIAL_ACCESS_KEY_ID);
    const char *secret = credential_settings_get(settings, from, CREDENTIAL_SECRET_ACCESS_KEY);
    const char *token = credential_settings_get(settings, from, CREDENTIAL_SESSION_TOKEN);

    if (!id && !secret)
        return credential_why(request, CREDENTIAL_NOT_CONFIGURED, "no access key");
    if (!id || !secret)
        return credential_why(request, -EINVAL, "%s is missing beside %s",
                              id ? "the secret access key" : "the access key id",
                              id ? "the access key id" : "the secret access key");
    return credential_out(request, out, HTTP_CREDENTIAL_AWS, id, secret, token, 0, source);
}

int credential_aws_options(struct credential_request *request, struct http_credential *out)
{
    return keys_from(request, CREDENTIAL_FROM_OPTIONS, "options", out);
}

int credential_aws_environment(struct credential_request *request, struct http_credential *out)
{
    return keys_from(request, CREDENTIAL_FROM_ENVIRONMENT, "environment", out);
}

int aws_answer(struct credential_request *request, struct json_object *object,
               const struct aws_answer_names *names, const char *what, struct http_credential *out,
               const char *source)
{
    const char *id = json_text(object, names->id);
    const char *secret = json_text(object, names->secret);
    const char *token = json_text(object, names->token);
    const char *expires = json_text(object, names->expires);
    uint64_t expires_s = 0;

    if (!id || !secret)
        return credential_why(request, LSIO_E_PROTOCOL, "%.150s holds no access key", what);
    if (names->expires_ms)
        expires_s = json_number(object, names->expires) / 1000;
    else if (expires)
        expires_s = when_parse(expires);
    if (expires_s == 0 && (expires || !names->expires_optional))
        return credential_why(request, LSIO_E_PROTOCOL, "%.150s does not say when it expires",
                              what);
    return credential_out(request, out, HTTP_CREDENTIAL_AWS, id, secret, token, expires_s, source);
}

bool aws_region_is_name(const char *region)
{
    return region[strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

const char *aws_region_domain(const char *region)
{
    return region && strncmp(region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
}

void aws_session_name(const struct credential_request *request, const char *given, char *out,
                      size_t bytes)
{
    if (given)
        snprintf(out, bytes, "%s", given);
    else
        snprintf(out, bytes, "lsio-%" PRIu64, request->world->unix_s(request->world->data));
}
