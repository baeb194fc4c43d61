/* SPDX-License-Identifier: MIT */
/*
 * google.c - Google credentials: a token or HMAC keys that are given, the credential files of
 * service accounts and of users, and the metadata server of Google's machines. See provider.h.
 *
 * Sources: Google, "Using OAuth 2.0 for Server to Server Applications" (the signed token of a
 * service account), "Using OAuth 2.0 for Web Server Applications" (refreshing a user's), "How
 * Application Default Credentials works" (the order), Compute Engine, "Authenticate workloads using
 * service accounts" and "About VM metadata" (the metadata server and its header).
 *
 * A file's token_uri gets a signed assertion or a refresh token, so it must be https or this
 * machine. The metadata server is asked by its address: its name would cost a failing look-up on
 * every other machine.
 */
#include "driver/http/credential/provider.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "driver/http/credential/json.h"
#include "driver/http/sign/jwt.h"

#define TOKEN_HOST          "oauth2.googleapis.com"
#define METADATA_HOST       "169.254.169.254"
#define METADATA_TIMEOUT_MS 1000u
#define SCOPE_HOST          "www.googleapis.com"
#define JWT_GRANT           "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
#define JWT_LIFE_S          3600u
#define JWT_BYTES           8192u

/* ------------------------------------------------------------------------------------- files -- */

/* Where a file's credentials are exchanged. */
static int token_uri(struct credential_request *request, struct json_object *root, const char **out)
{
    const char *given = credential_get(request, CREDENTIAL_GOOGLE_TOKEN_URI);

    *out = given ? given : json_text(root, "token_uri");
    if (!*out)
        *out = "https://" TOKEN_HOST "/token";
    if (!credential_url_is_safe(*out))
        return credential_why(request, -EINVAL, "token_uri is not an https address");
    return 0;
}

static int service_account(struct credential_request *request, struct json_object *root,
                           struct http_credential *out)
{
    const char *pem = json_text(root, "private_key");
    struct jwt_claims claims = {.key_id = json_text(root, "private_key_id"),
                                .issuer = json_text(root, "client_email"),
                                .scope = "https://" SCOPE_HOST "/auth/devstorage.read_only",
                                .issued_unix_s = request->world->unix_s(request->world->data),
                                .life_s = JWT_LIFE_S};
    struct secret_text room = {.base = calloc(1, JWT_BYTES), .room = JWT_BYTES};
    struct secret_text form = {0};
    struct http_text text;
    const char *jwt = NULL, *url;
    int status = token_uri(request, root, &url);

    if (status == 0 && (!pem || !claims.issuer))
        status = credential_why(request, -EINVAL, "client_email or private_key is missing");
    if (status == 0 && !room.base)
        status = credential_why(request, -ENOMEM, "out of memory");
    if (status == 0) {
        /* The audience is the real address, even if the request goes to a stand-in. */
        claims.audience = json_text(root, "token_uri");
        if (!claims.audience)
            claims.audience = "https://" TOKEN_HOST "/token";
        http_text_init(&text, room.base, room.room);
        status = jwt_sign_rs256(&claims, pem, &text, &jwt);
        if (status < 0)
            credential_why(request, status, "private_key is no RSA key that can sign");
    }
    if (status == 0) {
        secret_text_add(&form, "grant_type=" JWT_GRANT "&assertion=");
        secret_text_add(&form, jwt);
        status = form.failed ? credential_why(request, -ENOMEM, "out of memory")
                             : credential_oauth(request, url, secret_text_get(&form), out,
                                                "service account");
    }
    secret_text_finish(&form);
    secret_text_finish(&room);
    return status;
}

static int authorized_user(struct credential_request *request, struct json_object *root,
                           struct http_credential *out)
{
    static const char *const members[] = {"client_id", "client_secret", "refresh_token"};
    struct secret_text form = {0};
    const char *url;
    int status = token_uri(request, root, &url);

    secret_text_add(&form, "grant_type=refresh_token");
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]) && status == 0; i++) {
        const char *value = json_text(root, members[i]);

        if (!value) {
            status = credential_why(request, -EINVAL, "%s is missing", members[i]);
            break;
        }
        secret_text_printf(&form, "&%s=", members[i]);
        secret_text_add_encoded(&form, value);
    }
    if (status == 0)
        status = form.failed ? credential_why(request, -ENOMEM, "out of memory")
                             : credential_oauth(request, url, secret_text_get(&form), out,
                                                "authorized user");
    secret_text_finish(&form);
    return status;
}

/* Credentials by the JSON text of a credential file. */
static int by_json(struct credential_request *request, const char *text, size_t bytes,
                   struct http_credential *out)
{
    struct json_object *root = json_parse(text, bytes);
    const char *type = root ? json_text(root, "type") : NULL;
    int status;

    if (!root)
        status = credential_why(request, -EINVAL, "it is no JSON object");
    else if (type && strcmp(type, "service_account") == 0)
        status = service_account(request, root, out);
    else if (type && strcmp(type, "authorized_user") == 0)
        status = authorized_user(request, root, out);
    else if (type && (strcmp(type, "external_account") == 0 ||
                      strcmp(type, "impersonated_service_account") == 0))
        status = credential_why(request, LSIO_E_UNSUPPORTED,
                                "credentials of type %s are not "
                                "supported",
                                type);
    else
        status = credential_why(request, -EINVAL,
                                "its type is neither service_account nor "
                                "authorized_user");
    json_finish(root);
    return status;
}

/* By a file that must be there. */
static int by_file(struct credential_request *request, const char *path,
                   struct http_credential *out)
{
    struct secret_text text = {0};
    char what[120];
    int status = secret_text_add_file(&text, path);

    if (status < 0)
        credential_why(request, status, "cannot be read: %s", credential_file_text(status));
    else
        status = by_json(request, secret_text_get(&text), text.used, out);
    if (status < 0) {
        snprintf(what, sizeof(what), "%.110s", path);
        credential_why_in(request, status, what);
    }
    secret_text_finish(&text);
    return status;
}

/* --------------------------------------------------------------------------------- providers -- */

static int place_ask(struct credential_request *request, enum credential_from from,
                     const char *source, struct http_credential *out)
{
    const struct credential_settings *settings = request->settings;
    const char *secret = credential_settings_get(settings, from, CREDENTIAL_GOOGLE_HMAC_SECRET);
    const char *value;

    if ((value = credential_settings_get(settings, from, CREDENTIAL_GOOGLE_TOKEN)))
        return credential_out(request, out, HTTP_CREDENTIAL_BEARER, NULL, NULL, value, 0, source);
    value = credential_settings_get(settings, from, CREDENTIAL_GOOGLE_HMAC_ID);
    if (value && secret)
        return credential_out(request, out, HTTP_CREDENTIAL_GS_HMAC, value, secret, NULL, 0,
                              source);
    if (value || secret)
        return credential_why(request, -EINVAL, "only one half of an HMAC key is set");
    if ((value = credential_settings_get(settings, from, CREDENTIAL_GOOGLE_SERVICE_ACCOUNT_KEY)))
        return by_json(request, value, strlen(value), out);
    if ((value = credential_settings_get(settings, from, CREDENTIAL_GOOGLE_SERVICE_ACCOUNT_PATH)))
        return by_file(request, value, out);
    if ((value =
             credential_settings_get(settings, from, CREDENTIAL_GOOGLE_APPLICATION_CREDENTIALS)))
        return by_file(request, value, out);
    return credential_why(request, CREDENTIAL_NOT_CONFIGURED, "no token, HMAC key or file");
}

int credential_google_options(struct credential_request *request, struct http_credential *out)
{
    return place_ask(request, CREDENTIAL_FROM_OPTIONS, "options", out);
}

int credential_google_environment(struct credential_request *request, struct http_credential *out)
{
    return place_ask(request, CREDENTIAL_FROM_ENVIRONMENT, "environment", out);
}

int credential_google_default(struct credential_request *request, struct http_credential *out)
{
    const char *directory = credential_get(request, CREDENTIAL_GOOGLE_CONFIG_DIRECTORY);
    const char *home = credential_get(request, CREDENTIAL_HOME);
    char path[1024];
    int status;

    if (!directory && !home)
        return credential_why(request, CREDENTIAL_NOT_CONFIGURED, "HOME is not set");
    snprintf(path, sizeof(path), "%s%s/application_default_credentials.json",
             directory ? directory : home, directory ? "" : "/.config/gcloud");
    status = by_file(request, path, out);
    return status == -ENOENT || status == -ENOTDIR ? CREDENTIAL_NOT_CONFIGURED : status;
}

static int metadata_fetch(struct credential_request *request, const char *url,
                          struct http_credential *out)
{
    const struct fetch_request fetch = {.method = "GET",
                                        .url = url,
                                        .headers = {"Metadata-Flavor: Google"},
                                        .want_header = "Metadata-Flavor",
                                        .timeout_ms = METADATA_TIMEOUT_MS,
                                        .no_proxy = true};
    struct fetch_response response = {0};
    int status = credential_probe(request, &fetch, &request->memory->google, &response);

    if (status == 0 && strcasecmp(response.header, "Google") != 0) {
        status = credential_why(request, CREDENTIAL_NOT_CONFIGURED,
                                "who answers is not Google's metadata server");
    } else if (status == 0 && response.status == 404) {
        status = credential_why(request, CREDENTIAL_NOT_CONFIGURED,
                                "the machine has no service account");
    } else if (status == 0) {
        if (response.status == 429 || response.status >= 500) {
            fetch_response_finish(&response); /* it is there and busy: ask again */
            status = credential_fetch(request, &fetch, &response);
        }
        if (status == 0)
            status = credential_oauth_answer(request, url, &response, out, "metadata server");
    }
    fetch_response_finish(&response);
    return status;
}

static int metadata_ask(struct credential_request *request, struct http_credential *out)
{
    const char *host = credential_get(request, CREDENTIAL_GOOGLE_METADATA_HOST);
    char url[400];

    if (host && strncmp(host, "http://", 7) == 0)
        host += 7;
    snprintf(url, sizeof(url),
             "http://%.*s/computeMetadata/v1/instance/service-accounts/default/token",
             host ? credential_base_length(host) : (int)strlen(METADATA_HOST),
             host ? host : METADATA_HOST);
    return metadata_fetch(request, url, out);
}

int credential_google_metadata(struct credential_request *request, struct http_credential *out)
{
    if (credential_settings_bool(request->settings, CREDENTIAL_FROM_ANY,
                                 CREDENTIAL_GOOGLE_NO_METADATA))
        return credential_why(request, CREDENTIAL_NOT_CONFIGURED, "switched off by %s",
                              credential_key_variable(CREDENTIAL_GOOGLE_NO_METADATA));
    return credential_metadata(request, &request->memory->google, metadata_ask, out);
}
