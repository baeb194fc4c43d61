/* SPDX-License-Identifier: MIT */
/*
 * aws_sso.c - IAM Identity Center ("single sign-on"): the access token that `aws sso login` has
 * filed is exchanged for credentials of a role. See aws.h.
 *
 * Source: AWS SDKs and Tools reference guide, "IAM Identity Center credential provider"; AWS SSO
 * portal API reference, "GetRoleCredentials". The token's file is ~/.aws/sso/cache/SHA1.json, SHA-1
 * being that of the session's name, or of the start URL in the older form.
 *
 * An expired token is an error that says how to get a new one. It is not renewed here: renewal
 * gives a new refresh token, which would have to be written into the user's cache.
 */
#include "driver/http/credential/aws.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/credential/json.h"
#include "driver/http/credential/when.h"

#define PORTAL         "portal.sso"
#define SSO_TIMEOUT_MS 10000u
#define SHA1_BYTES     20u

static int token_path(struct credential_request *request, const char *name, char *path,
                      size_t bytes)
{
    const char *home = credential_get(request, CREDENTIAL_HOME);
    unsigned char digest[SHA1_BYTES];
    char hex[2 * SHA1_BYTES + 1];

    if (!home)
        return credential_why(request, -ENOENT, "HOME is not set, so there is no SSO cache");
    if (!EVP_Digest(name, strlen(name), digest, NULL, EVP_sha1(), NULL))
        return credential_why(request, -EIO, "SHA-1 is not available");
    for (unsigned i = 0; i < SHA1_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    snprintf(path, bytes, "%s/.aws/sso/cache/%s.json", home, hex);
    return 0;
}

/* The JSON object with the token, or a sentence. */
static int token_read(struct credential_request *request, const struct aws_sso *sso,
                      struct json_object **out)
{
    struct secret_text text = {0};
    char path[1024];
    int status =
        token_path(request, sso->session ? sso->session : sso->start_url, path, sizeof(path));

    if (status < 0)
        return status;
    status = secret_text_add_file(&text, path);
    if (status == 0) {
        *out = json_parse(secret_text_get(&text), text.used);
        if (!*out || !json_text(*out, "accessToken") || !json_text(*out, "expiresAt")) {
            json_finish(*out);
            *out = NULL;
            status = credential_why(request, -EINVAL, "%.150s holds no SSO token", path);
        }
    } else {
        status = credential_why(request, status, "no SSO token is cached: run \"aws sso login\"");
    }
    secret_text_finish(&text);
    return status;
}

static int role_take(struct credential_request *request, const char *url,
                     const struct fetch_response *response, struct http_credential *out)
{
    static const struct aws_answer_names names = {
        .id = "accessKeyId",
        .secret = "secretAccessKey",
        .token = "sessionToken",
        .expires = "expiration",
        .expires_ms = true,
    };
    struct json_object *root = NULL, *role;
    int status;

    if (response->status == 401)
        return credential_why(request, -EACCES,
                              "the cached SSO token was refused: run \"aws sso login\"");
    if (response->status != 200)
        return credential_refused(request, url, response->status, NULL);
    status = credential_json(request, url, response, &root);
    if (status < 0)
        return status;
    role = json_member(root, "roleCredentials");
    if (role)
        status = aws_answer(request, role, &names, "the answer of the SSO portal", out, "sso");
    else
        status = credential_why(request, LSIO_E_PROTOCOL, "the SSO portal gave no credentials");
    json_finish(root);
    return status;
}

static int role_fetch(struct credential_request *request, const struct aws_sso *sso,
                      const char *token, struct http_credential *out)
{
    const char *endpoint = credential_get(request, CREDENTIAL_SSO_ENDPOINT);
    struct secret_text url = {0}, header = {0};
    struct fetch_response response = {0};
    struct fetch_request fetch = {.method = "GET", .timeout_ms = SSO_TIMEOUT_MS};
    int status;

    if (endpoint)
        secret_text_printf(&url, "%.*s", credential_base_length(endpoint), endpoint);
    else
        secret_text_printf(&url, "https://" PORTAL ".%s.%s", sso->region,
                           aws_region_domain(sso->region));
    secret_text_add(&url, "/federation/credentials?role_name=");
    secret_text_add_encoded(&url, sso->role_name);
    secret_text_add(&url, "&account_id=");
    secret_text_add_encoded(&url, sso->account_id);
    secret_text_printf(&header, "x-amz-sso_bearer_token: %s", token);
    fetch.url = secret_text_get(&url);
    fetch.headers[0] = secret_text_get(&header);
    if (url.failed || header.failed)
        status = credential_why(request, -ENOMEM, "out of memory");
    else if (!credential_url_is_safe(fetch.url))
        status = credential_why(request, -EINVAL, "the SSO endpoint is no https address");
    else
        status = credential_fetch(request, &fetch, &response);
    if (status == 0)
        status = role_take(request, fetch.url, &response, out);
    fetch_response_finish(&response);
    secret_text_finish(&header);
    secret_text_finish(&url);
    return status;
}

int aws_sso(struct credential_request *request, const struct aws_sso *sso,
            struct http_credential *out)
{
    struct json_object *token = NULL;
    uint64_t expires_s;
    int status;

    if (!sso->start_url || !sso->region || !sso->account_id || !sso->role_name)
        return credential_why(request, -EINVAL,
                              "sso_start_url, sso_region, sso_account_id and "
                              "sso_role_name must all be set");
    if (!aws_region_is_name(sso->region))
        return credential_why(request, -EINVAL, "sso_region is no region's name");
    status = token_read(request, sso, &token);
    if (status < 0)
        return status;
    expires_s = when_parse(json_text(token, "expiresAt"));
    if (expires_s <= request->world->unix_s(request->world->data))
        status = credential_why(request, -EACCES,
                                "the cached SSO token has expired: run \"aws sso login\"");
    else
        status = role_fetch(request, sso, json_text(token, "accessToken"), out);
    json_finish(token);
    return status;
}
