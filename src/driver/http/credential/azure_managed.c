/* SPDX-License-Identifier: MIT */
/*
 * azure_managed.c - managed identities: of App Service, Functions and Container Apps (an endpoint
 * and a secret header in the environment), and of virtual machines (the instance metadata service).
 *
 * Sources: Microsoft, "How to use managed identities for App Service and Azure Functions", REST
 * endpoint reference (2019-08-01); "How to use managed identities for Azure resources on an Azure
 * VM to acquire an access token" (2018-02-01).
 *
 * Whether a machine has the metadata service is found out by one request of at most a second, once
 * per context. A 400 from it means that the machine has no identity, unless one was named.
 */
#include "driver/http/credential/azure.h"

#include <string.h>

#include "base/error.h"

#define IMDS_HOST              "169.254.169.254"
#define IMDS_TIMEOUT_MS        1000u
#define APP_SERVICE_TIMEOUT_MS 5000u

/* Adds which identity is meant; true if one is named. */
static bool identity_add(const struct credential_request *request, struct secret_text *url,
                         const char *resource_parameter)
{
    const struct {
        enum credential_key key;
        const char *parameter;
    } ways[] = {{CREDENTIAL_AZURE_OBJECT_ID, "object_id"},
                {CREDENTIAL_AZURE_MSI_RESOURCE_ID, resource_parameter},
                {CREDENTIAL_AZURE_CLIENT_ID, "client_id"}};

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const char *value = credential_get(request, ways[i].key);

        if (!value)
            continue;
        secret_text_printf(url, "&%s=", ways[i].parameter);
        secret_text_add_encoded(url, value);
        return true;
    }
    return false;
}

static int app_service(struct credential_request *request, const char *endpoint, const char *secret,
                       struct http_credential *out)
{
    struct secret_text url = {0}, header = {0};
    struct fetch_response response = {0};
    struct fetch_request fetch = {
        .method = "GET", .timeout_ms = APP_SERVICE_TIMEOUT_MS, .no_proxy = true};
    int status;

    secret_text_printf(&url, "%s%c", endpoint, strchr(endpoint, '?') ? '&' : '?');
    secret_text_add(&url, "api-version=2019-08-01&resource=" AZURE_RESOURCE);
    identity_add(request, &url, "mi_res_id");
    secret_text_printf(&header, "X-IDENTITY-HEADER: %s", secret);
    fetch.url = secret_text_get(&url);
    fetch.headers[0] = secret_text_get(&header);
    if (url.failed || header.failed)
        status = credential_why(request, -ENOMEM, "out of memory");
    else if (strpbrk(secret, "\r\n"))
        status = credential_why(request, -EINVAL, "%s holds a line break",
                                credential_key_variable(CREDENTIAL_AZURE_IDENTITY_HEADER));
    else
        status = credential_fetch(request, &fetch, &response);
    if (status == 0)
        status = credential_oauth_answer(request, fetch.url, &response, out, "managed identity");
    fetch_response_finish(&response);
    secret_text_finish(&header);
    secret_text_finish(&url);
    return status;
}

/* The machine's answer; what no metadata service of this cloud says is `not configured`. */
static int machine_take(struct credential_request *request, const char *url, bool named,
                        const struct fetch_response *response, struct http_credential *out)
{
    int status = credential_oauth_answer(request, url, response, out, "managed identity");

    if (status < 0 && response->status != 200 && !(named && response->status == 400))
        return CREDENTIAL_NOT_CONFIGURED;
    return status;
}

static int machine(struct credential_request *request, struct http_credential *out)
{
    const char *endpoint = credential_get(request, CREDENTIAL_AZURE_MSI_ENDPOINT);
    struct secret_text url = {0};
    struct fetch_response response = {0};
    struct fetch_request fetch = {.method = "GET",
                                  .headers = {"Metadata: true"},
                                  .timeout_ms = IMDS_TIMEOUT_MS,
                                  .no_proxy = true};
    bool named;
    int status;

    secret_text_add(&url,
                    endpoint ? endpoint : "http://" IMDS_HOST "/metadata/identity/oauth2/token");
    secret_text_add(&url, "?api-version=2018-02-01&resource=" AZURE_RESOURCE);
    named = identity_add(request, &url, "msi_res_id");
    fetch.url = secret_text_get(&url);
    if (url.failed)
        status = credential_why(request, -ENOMEM, "out of memory");
    else
        status = credential_probe(request, &fetch, &request->memory->azure, &response);
    if (status == 0 && (response.status == 429 || response.status >= 500)) {
        fetch_response_finish(&response); /* somebody is there and busy: ask again */
        status = credential_fetch(request, &fetch, &response);
    }
    if (status == 0)
        status = machine_take(request, fetch.url, named, &response, out);
    fetch_response_finish(&response);
    secret_text_finish(&url);
    return status;
}

int credential_azure_managed(struct credential_request *request, struct http_credential *out)
{
    const char *endpoint = credential_get(request, CREDENTIAL_AZURE_IDENTITY_ENDPOINT);
    const char *secret = credential_get(request, CREDENTIAL_AZURE_IDENTITY_HEADER);

    if (endpoint && secret)
        return app_service(request, endpoint, secret, out);
    return credential_metadata(request, &request->memory->azure, machine, out);
}
