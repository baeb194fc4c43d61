/* SPDX-License-Identifier: MIT */
/*
 * azure.c - Azure credentials that are given: token, account key, shared access signature,
 * connection string; and those of an application registration: client secret, workload identity.
 * See provider.h; managed identities are in azure_managed.c.
 *
 * Sources: Microsoft identity platform, "OAuth 2.0 client credentials flow" (a shared secret; a
 * federated credential), "Authorize access to blobs using Microsoft Entra ID" (the scope); Azure
 * Workload Identity's variables. The order is object_store's.
 *
 * The account's name and the authority are addresses and no secrets: they may come from anywhere.
 */
#include "driver/http/credential/azure.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "driver/http/credential/azure_connection.h"

#define AUTHORITY_HOST "login.microsoftonline.com"
#define ASSERTION_TYPE "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"

/* One place that is looked at: options or the environment. */
struct azure_place {
    struct credential_request *request;
    enum credential_from from;
    const char *source;
};

static const char *place_get(const struct azure_place *place, enum credential_key key)
{
    return credential_settings_get(place->request->settings, place->from, key);
}

/* A key or a signature belongs to the account that is named beside it, if one is: for another's
 * store nothing is signed with the one, and the other is not sent there. */
static bool of_another(const struct azure_place *place, const char *account)
{
    const char *store = credential_get(place->request, CREDENTIAL_AZURE_ACCOUNT);

    return account && store && strcasecmp(account, store) != 0;
}

static int out_key(const struct azure_place *place, const char *key, struct http_credential *out)
{
    const char *account = credential_get(place->request, CREDENTIAL_AZURE_ACCOUNT);

    if (!account)
        return credential_why(place->request, -EINVAL, "an account key is set, but no account");
    return credential_out(place->request, out, HTTP_CREDENTIAL_AZURE_KEY, account, key, NULL, 0,
                          place->source);
}

static int out_sas(const struct azure_place *place, const char *sas, struct http_credential *out)
{
    return credential_out(place->request, out, HTTP_CREDENTIAL_AZURE_SAS, NULL, NULL,
                          sas[0] == '?' ? sas + 1 : sas, 0, place->source);
}

/* Posts to the tenant's token endpoint: with the client's secret, or else with the token that the
 * cluster has put into a file. */
static int client_token(const struct azure_place *place, const char *secret, const char *assertion,
                        struct http_credential *out)
{
    struct credential_request *request = place->request;
    const char *tenant = place_get(place, CREDENTIAL_AZURE_TENANT_ID);
    const char *client = place_get(place, CREDENTIAL_AZURE_CLIENT_ID);
    const char *authority = credential_get(request, CREDENTIAL_AZURE_AUTHORITY_HOST);
    struct secret_text url = {0}, form = {0};
    int status;

    if (!tenant || !client)
        return credential_why(request, -EINVAL, "%s is missing",
                              tenant ? "the client id" : "the tenant id");
    if (authority)
        secret_text_printf(&url, "%.*s/", credential_base_length(authority), authority);
    else
        secret_text_add(&url, "https://" AUTHORITY_HOST "/");
    secret_text_add_encoded(&url, tenant);
    secret_text_add(&url, "/oauth2/v2.0/token");
    secret_text_add(&form, "grant_type=client_credentials&scope=" AZURE_RESOURCE "%2F.default"
                           "&client_id=");
    secret_text_add_encoded(&form, client);
    if (secret) {
        secret_text_add(&form, "&client_secret=");
        secret_text_add_encoded(&form, secret);
    } else {
        secret_text_add(&form, "&client_assertion_type=" ASSERTION_TYPE "&client_assertion=");
        secret_text_add_encoded(&form, assertion);
    }
    if (url.failed || form.failed)
        status = credential_why(request, -ENOMEM, "out of memory");
    else if (!credential_url_is_safe(secret_text_get(&url)))
        status = credential_why(request, -EINVAL, "the authority host must be an https address");
    else
        status = credential_oauth(request, secret_text_get(&url), secret_text_get(&form), out,
                                  secret ? "client secret" : "workload identity");
    secret_text_finish(&form);
    secret_text_finish(&url);
    return status;
}

static int workload_token(const struct azure_place *place, const char *file,
                          struct http_credential *out)
{
    struct secret_text assertion = {0};
    int status = credential_token_file(place->request, file, &assertion);

    if (status == 0)
        status = client_token(place, NULL, secret_text_get(&assertion), out);
    secret_text_finish(&assertion);
    return status;
}

static int connection_string(const struct azure_place *place, const char *text,
                             struct http_credential *out)
{
    struct azure_connection connection;
    int status = azure_connection_parse(text, &connection);

    if (status < 0)
        return credential_why(place->request, status, "the connection string is not understood");
    if (of_another(place, connection.account))
        status = credential_why(place->request, CREDENTIAL_NOT_CONFIGURED,
                                "the connection string is for another storage account");
    else if (connection.key && connection.account)
        status = credential_out(place->request, out, HTTP_CREDENTIAL_AZURE_KEY, connection.account,
                                connection.key, NULL, 0, place->source);
    else if (connection.sas)
        status = out_sas(place, connection.sas, out);
    else
        status = credential_why(place->request, CREDENTIAL_NOT_CONFIGURED,
                                "the connection string holds no key and no signature");
    azure_connection_finish(&connection);
    return status;
}

static int place_ask(const struct azure_place *place, struct http_credential *out)
{
    struct credential_request *request = place->request;
    bool other = of_another(place, place_get(place, CREDENTIAL_AZURE_ACCOUNT));
    const char *value;

    if ((value = place_get(place, CREDENTIAL_AZURE_TOKEN)))
        return credential_out(request, out, HTTP_CREDENTIAL_BEARER, NULL, NULL, value, 0,
                              place->source);
    if (!other && (value = place_get(place, CREDENTIAL_AZURE_KEY)))
        return out_key(place, value, out);
    if ((value = place_get(place, CREDENTIAL_AZURE_FEDERATED_TOKEN_FILE)))
        return workload_token(place, value, out);
    if ((value = place_get(place, CREDENTIAL_AZURE_CLIENT_SECRET)))
        return client_token(place, value, NULL, out);
    if (!other && (value = place_get(place, CREDENTIAL_AZURE_SAS)))
        return out_sas(place, value, out);
    if ((value = place_get(place, CREDENTIAL_AZURE_CONNECTION_STRING)))
        return connection_string(place, value, out);
    if (credential_settings_bool(request->settings, place->from, CREDENTIAL_AZURE_USE_EMULATOR))
        return credential_out(request, out, HTTP_CREDENTIAL_AZURE_KEY, AZURE_EMULATOR_ACCOUNT,
                              AZURE_EMULATOR_KEY, NULL, 0, "emulator");
    return credential_why(request, CREDENTIAL_NOT_CONFIGURED, "no key, signature, token or client");
}

int credential_azure_options(struct credential_request *request, struct http_credential *out)
{
    const struct azure_place place = {request, CREDENTIAL_FROM_OPTIONS, "options"};

    return place_ask(&place, out);
}

int credential_azure_environment(struct credential_request *request, struct http_credential *out)
{
    const struct azure_place place = {request, CREDENTIAL_FROM_ENVIRONMENT, "environment"};

    return place_ask(&place, out);
}
