/* SPDX-License-Identifier: MIT */
/*
 * settings.c - see settings.h. The environment is read once, on the thread that opens the store:
 * reading it later from another thread would race with an application that calls setenv().
 *
 * An empty variable counts as unset, as it does for the vendors' tools.
 */
#define _GNU_SOURCE /* strdup */
#include "driver/http/credential/settings.h"

#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "driver/http/credential.h"

#define NAMES_MAX 4

/* The first name that is set counts. Sources: the SDKs' and gcloud's reference pages; GDAL's
 * network file systems (AWS_NO_SIGN_REQUEST, GS_*); object_store's names. */
static const char *const variables[CREDENTIAL_KEY_COUNT][NAMES_MAX] = {
    [CREDENTIAL_ACCESS_KEY_ID] = {"AWS_ACCESS_KEY_ID"},
    [CREDENTIAL_SECRET_ACCESS_KEY] = {"AWS_SECRET_ACCESS_KEY"},
    [CREDENTIAL_SESSION_TOKEN] = {"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_TOKEN"},
    [CREDENTIAL_PROFILE] = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE"},
    [CREDENTIAL_CONFIG_FILE] = {"AWS_CONFIG_FILE"},
    [CREDENTIAL_SHARED_CREDENTIALS_FILE] = {"AWS_SHARED_CREDENTIALS_FILE"},
    [CREDENTIAL_REGION] = {"AWS_REGION", "AWS_DEFAULT_REGION"},
    [CREDENTIAL_ROLE_ARN] = {"AWS_ROLE_ARN"},
    [CREDENTIAL_ROLE_SESSION_NAME] = {"AWS_ROLE_SESSION_NAME"},
    [CREDENTIAL_WEB_IDENTITY_TOKEN_FILE] = {"AWS_WEB_IDENTITY_TOKEN_FILE"},
    [CREDENTIAL_STS_ENDPOINT] = {"AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"},
    [CREDENTIAL_SSO_ENDPOINT] = {"AWS_ENDPOINT_URL_SSO"},
    [CREDENTIAL_CONTAINER_RELATIVE_URI] = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"},
    [CREDENTIAL_CONTAINER_FULL_URI] = {"AWS_CONTAINER_CREDENTIALS_FULL_URI"},
    [CREDENTIAL_CONTAINER_TOKEN] = {"AWS_CONTAINER_AUTHORIZATION_TOKEN"},
    [CREDENTIAL_CONTAINER_TOKEN_FILE] = {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"},
    [CREDENTIAL_IMDS_ENDPOINT] = {"AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_METADATA_ENDPOINT"},
    [CREDENTIAL_IMDS_ENDPOINT_MODE] = {"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"},
    [CREDENTIAL_IMDS_DISABLED] = {"AWS_EC2_METADATA_DISABLED"},
    [CREDENTIAL_IMDS_V1_FALLBACK] = {"AWS_IMDSV1_FALLBACK"},
    [CREDENTIAL_AWS_ANONYMOUS] = {"AWS_NO_SIGN_REQUEST", "AWS_SKIP_SIGNATURE"},
    [CREDENTIAL_AZURE_ACCOUNT] = {"AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"},
    [CREDENTIAL_AZURE_KEY] = {"AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY",
                              "AZURE_STORAGE_KEY", "AZURE_STORAGE_MASTER_KEY"},
    [CREDENTIAL_AZURE_SAS] = {"AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY"},
    [CREDENTIAL_AZURE_TOKEN] = {"AZURE_STORAGE_TOKEN", "AZURE_STORAGE_ACCESS_TOKEN"},
    [CREDENTIAL_AZURE_CONNECTION_STRING] = {"AZURE_STORAGE_CONNECTION_STRING"},
    [CREDENTIAL_AZURE_TENANT_ID] = {"AZURE_TENANT_ID", "AZURE_STORAGE_TENANT_ID",
                                    "AZURE_AUTHORITY_ID", "AZURE_STORAGE_AUTHORITY_ID"},
    [CREDENTIAL_AZURE_CLIENT_ID] = {"AZURE_CLIENT_ID", "AZURE_STORAGE_CLIENT_ID"},
    [CREDENTIAL_AZURE_CLIENT_SECRET] = {"AZURE_CLIENT_SECRET", "AZURE_STORAGE_CLIENT_SECRET"},
    [CREDENTIAL_AZURE_FEDERATED_TOKEN_FILE] = {"AZURE_FEDERATED_TOKEN_FILE"},
    [CREDENTIAL_AZURE_AUTHORITY_HOST] = {"AZURE_AUTHORITY_HOST", "AZURE_STORAGE_AUTHORITY_HOST"},
    [CREDENTIAL_AZURE_IDENTITY_ENDPOINT] = {"IDENTITY_ENDPOINT"},
    [CREDENTIAL_AZURE_IDENTITY_HEADER] = {"IDENTITY_HEADER"},
    [CREDENTIAL_AZURE_MSI_ENDPOINT] = {"AZURE_MSI_ENDPOINT", "AZURE_IDENTITY_ENDPOINT"},
    [CREDENTIAL_AZURE_OBJECT_ID] = {"AZURE_OBJECT_ID"},
    [CREDENTIAL_AZURE_MSI_RESOURCE_ID] = {"AZURE_MSI_RESOURCE_ID"},
    [CREDENTIAL_AZURE_USE_EMULATOR] = {"AZURE_STORAGE_USE_EMULATOR"},
    [CREDENTIAL_AZURE_ANONYMOUS] = {"AZURE_NO_SIGN_REQUEST", "AZURE_SKIP_SIGNATURE"},
    [CREDENTIAL_GOOGLE_TOKEN] = {"GOOGLE_BEARER_TOKEN"},
    [CREDENTIAL_GOOGLE_HMAC_ID] = {"GS_ACCESS_KEY_ID"},
    [CREDENTIAL_GOOGLE_HMAC_SECRET] = {"GS_SECRET_ACCESS_KEY"},
    [CREDENTIAL_GOOGLE_SERVICE_ACCOUNT_PATH] = {"GOOGLE_SERVICE_ACCOUNT_PATH",
                                                "GOOGLE_SERVICE_ACCOUNT", "SERVICE_ACCOUNT"},
    [CREDENTIAL_GOOGLE_SERVICE_ACCOUNT_KEY] = {"GOOGLE_SERVICE_ACCOUNT_KEY"},
    [CREDENTIAL_GOOGLE_APPLICATION_CREDENTIALS] = {"GOOGLE_APPLICATION_CREDENTIALS"},
    [CREDENTIAL_GOOGLE_METADATA_HOST] = {"GCE_METADATA_HOST", "GCE_METADATA_ROOT",
                                         "GCE_METADATA_IP"},
    [CREDENTIAL_GOOGLE_NO_METADATA] = {"NO_GCE_CHECK"},
    [CREDENTIAL_GOOGLE_CONFIG_DIRECTORY] = {"CLOUDSDK_CONFIG"},
    [CREDENTIAL_GOOGLE_ANONYMOUS] = {"GS_NO_SIGN_REQUEST", "GOOGLE_SKIP_SIGNATURE"},
    [CREDENTIAL_HOME] = {"HOME"},
};

static int value_replace(char **slot, const char *value)
{
    char *copy = NULL;

    if (value && *value) {
        copy = strdup(value);
        if (!copy)
            return -ENOMEM;
    }
    http_secret_free(*slot);
    *slot = copy;
    return 0;
}

int credential_settings_set(struct credential_settings *settings, enum credential_key key,
                            const char *value)
{
    return value_replace(&settings->options[key], value);
}

int credential_settings_environment(struct credential_settings *settings,
                                    credential_environment_fn *read, void *data)
{
    for (int key = 0; key < CREDENTIAL_KEY_COUNT; key++) {
        const char *value = NULL;

        for (int i = 0; i < NAMES_MAX && variables[key][i] && !(value && *value); i++)
            value = read(data, variables[key][i]);
        if (value_replace(&settings->environment[key], value) < 0)
            return -ENOMEM;
    }
    return 0;
}

void credential_settings_forget_servers(struct credential_settings *settings)
{
    (void)value_replace(&settings->environment[CREDENTIAL_STS_ENDPOINT], NULL);
    (void)value_replace(&settings->environment[CREDENTIAL_SSO_ENDPOINT], NULL);
}

int credential_settings_copy(struct credential_settings *out,
                             const struct credential_settings *from)
{
    memset(out, 0, sizeof(*out));
    out->callback = from->callback;
    out->callback_data = from->callback_data;
    for (int key = 0; key < CREDENTIAL_KEY_COUNT; key++) {
        if (value_replace(&out->options[key], from->options[key]) < 0 ||
            value_replace(&out->environment[key], from->environment[key]) < 0) {
            credential_settings_finish(out);
            return -ENOMEM;
        }
    }
    return 0;
}

void credential_settings_finish(struct credential_settings *settings)
{
    for (int key = 0; key < CREDENTIAL_KEY_COUNT; key++) {
        http_secret_free(settings->options[key]);
        http_secret_free(settings->environment[key]);
    }
    memset(settings, 0, sizeof(*settings));
}

const char *credential_settings_get(const struct credential_settings *settings,
                                    enum credential_from from, enum credential_key key)
{
    if (from != CREDENTIAL_FROM_ENVIRONMENT && settings->options[key])
        return settings->options[key];
    return from == CREDENTIAL_FROM_OPTIONS ? NULL : settings->environment[key];
}

bool credential_settings_bool(const struct credential_settings *settings, enum credential_from from,
                              enum credential_key key)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    const char *value = credential_settings_get(settings, from, key);

    for (size_t i = 0; value && i < sizeof(yes) / sizeof(yes[0]); i++)
        if (strcasecmp(value, yes[i]) == 0)
            return true;
    return false;
}

const char *credential_key_variable(enum credential_key key)
{
    return variables[key][0];
}
