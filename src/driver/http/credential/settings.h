/* SPDX-License-Identifier: MIT */
/*
 * settings.h - what a store was told about its credentials: by options, and by the environment as
 * it was when the store was opened.
 *
 *     credential_settings_set(&settings, CREDENTIAL_ACCESS_KEY_ID, value);    an option's value
 *     credential_settings_environment(&settings, read, data);                 a snapshot
 *
 * The two are kept apart because a set of credentials must come whole from one of them: a key of
 * the options with a session token of the environment would be signed, and refused. Frozen once
 * the store's cache has it.
 */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_SETTINGS_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lsio/lsio.h"

/* The variables that each stands for are listed in settings.c. */
enum credential_key {
    /* AWS */
    CREDENTIAL_ACCESS_KEY_ID,
    CREDENTIAL_SECRET_ACCESS_KEY,
    CREDENTIAL_SESSION_TOKEN,
    CREDENTIAL_PROFILE,
    CREDENTIAL_CONFIG_FILE,
    CREDENTIAL_SHARED_CREDENTIALS_FILE,
    CREDENTIAL_REGION,
    CREDENTIAL_ROLE_ARN,
    CREDENTIAL_ROLE_SESSION_NAME,
    CREDENTIAL_WEB_IDENTITY_TOKEN_FILE,
    CREDENTIAL_STS_ENDPOINT,
    CREDENTIAL_SSO_ENDPOINT,
    CREDENTIAL_CONTAINER_RELATIVE_URI,
    CREDENTIAL_CONTAINER_FULL_URI,
    CREDENTIAL_CONTAINER_ENDPOINT, /* in place of the address that relative URIs go to */
    CREDENTIAL_CONTAINER_TOKEN,
    CREDENTIAL_CONTAINER_TOKEN_FILE,
    CREDENTIAL_IMDS_ENDPOINT,
    CREDENTIAL_IMDS_ENDPOINT_MODE, /* IPv4 or IPv6 */
    CREDENTIAL_IMDS_DISABLED,
    CREDENTIAL_IMDS_V1_FALLBACK,
    CREDENTIAL_AWS_ANONYMOUS,
    /* Azure */
    CREDENTIAL_AZURE_ACCOUNT,
    CREDENTIAL_AZURE_KEY,
    CREDENTIAL_AZURE_SAS,
    CREDENTIAL_AZURE_TOKEN,
    CREDENTIAL_AZURE_CONNECTION_STRING,
    CREDENTIAL_AZURE_TENANT_ID,
    CREDENTIAL_AZURE_CLIENT_ID,
    CREDENTIAL_AZURE_CLIENT_SECRET,
    CREDENTIAL_AZURE_FEDERATED_TOKEN_FILE,
    CREDENTIAL_AZURE_AUTHORITY_HOST,
    CREDENTIAL_AZURE_IDENTITY_ENDPOINT, /* App Service, with the header below */
    CREDENTIAL_AZURE_IDENTITY_HEADER,
    CREDENTIAL_AZURE_MSI_ENDPOINT, /* in place of the virtual machine's */
    CREDENTIAL_AZURE_OBJECT_ID,
    CREDENTIAL_AZURE_MSI_RESOURCE_ID,
    CREDENTIAL_AZURE_USE_EMULATOR,
    CREDENTIAL_AZURE_ANONYMOUS,
    /* Google */
    CREDENTIAL_GOOGLE_TOKEN,
    CREDENTIAL_GOOGLE_HMAC_ID,
    CREDENTIAL_GOOGLE_HMAC_SECRET,
    CREDENTIAL_GOOGLE_SERVICE_ACCOUNT_PATH,
    CREDENTIAL_GOOGLE_SERVICE_ACCOUNT_KEY, /* the JSON text itself */
    CREDENTIAL_GOOGLE_APPLICATION_CREDENTIALS,
    CREDENTIAL_GOOGLE_TOKEN_URI, /* in place of the one in a credential file */
    CREDENTIAL_GOOGLE_METADATA_HOST,
    CREDENTIAL_GOOGLE_NO_METADATA,
    CREDENTIAL_GOOGLE_CONFIG_DIRECTORY,
    CREDENTIAL_GOOGLE_ANONYMOUS,
    /* all */
    CREDENTIAL_HOME,
    CREDENTIAL_KEY_COUNT
};

/* Where a value may come from. */
enum credential_from {
    CREDENTIAL_FROM_OPTIONS,
    CREDENTIAL_FROM_ENVIRONMENT,
    CREDENTIAL_FROM_ANY /* options first */
};

struct credential_settings {
    char *options[CREDENTIAL_KEY_COUNT];
    char *environment[CREDENTIAL_KEY_COUNT];
    lsio_credential_fn *callback; /* the application's; NULL: none */
    void *callback_data;
};

/* Sets an option's value, which is copied; "" and NULL unset it. 0 or -ENOMEM. */
int credential_settings_set(struct credential_settings *settings, enum credential_key key,
                            const char *value);

/* Reads the environment by `read`, which returns a variable's value or NULL. 0 or -ENOMEM. */
typedef const char *credential_environment_fn(void *data, const char *name);
int credential_settings_environment(struct credential_settings *settings,
                                    credential_environment_fn *read, void *data);

/* Unsets the servers of AWS's token services that the environment names. */
void credential_settings_forget_servers(struct credential_settings *settings);

int credential_settings_copy(struct credential_settings *out,
                             const struct credential_settings *from);

/* Wipes and frees the values. */
void credential_settings_finish(struct credential_settings *settings);

/* The value, or NULL; never "". */
const char *credential_settings_get(const struct credential_settings *settings,
                                    enum credential_from from, enum credential_key key);

/* True for true, yes, on and 1, in any case. */
bool credential_settings_bool(const struct credential_settings *settings, enum credential_from from,
                              enum credential_key key);

/* The first variable that a key stands for, for messages; NULL if there is none. */
const char *credential_key_variable(enum credential_key key);

#endif
