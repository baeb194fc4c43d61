/* SPDX-License-Identifier: MIT */
/*
 * aws_profile.h - one profile of ~/.aws/config and ~/.aws/credentials.
 *
 *     status = aws_profile_load(request, "default", &profile);
 *     value = aws_profile_get(&profile, AWS_PROFILE_REGION);
 *     aws_profile_finish(&profile);
 *
 * Threads: one at a time per profile.
 */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_AWS_PROFILE_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_AWS_PROFILE_H

#include "driver/http/credential/provider.h"

enum aws_profile_key {
    AWS_PROFILE_ACCESS_KEY_ID,
    AWS_PROFILE_SECRET_ACCESS_KEY,
    AWS_PROFILE_SESSION_TOKEN,
    AWS_PROFILE_ROLE_ARN,
    AWS_PROFILE_SOURCE_PROFILE,
    AWS_PROFILE_CREDENTIAL_SOURCE,
    AWS_PROFILE_ROLE_SESSION_NAME,
    AWS_PROFILE_EXTERNAL_ID,
    AWS_PROFILE_DURATION_SECONDS,
    AWS_PROFILE_MFA_SERIAL,
    AWS_PROFILE_WEB_IDENTITY_TOKEN_FILE,
    AWS_PROFILE_CREDENTIAL_PROCESS,
    AWS_PROFILE_SSO_SESSION,
    AWS_PROFILE_SSO_START_URL,
    AWS_PROFILE_SSO_REGION,
    AWS_PROFILE_SSO_ACCOUNT_ID,
    AWS_PROFILE_SSO_ROLE_NAME,
    AWS_PROFILE_REGION,
    AWS_PROFILE_ENDPOINT_URL,
    AWS_PROFILE_CA_BUNDLE,
    AWS_PROFILE_USE_DUALSTACK,
    AWS_PROFILE_S3_USE_DUALSTACK, /* in the block "s3 =" */
    AWS_PROFILE_S3_ADDRESSING_STYLE,
    AWS_PROFILE_S3_ENDPOINT_URL, /* in that block of the section [services NAME] */
    AWS_PROFILE_SERVICES,
    AWS_PROFILE_IGNORE_ENDPOINTS,
    AWS_PROFILE_KEY_COUNT
};

struct aws_profile {
    char *config[AWS_PROFILE_KEY_COUNT];      /* of ~/.aws/config */
    char *credentials[AWS_PROFILE_KEY_COUNT]; /* of ~/.aws/credentials, which counts more */
    bool found;                               /* in either file */
};

/* Reads both files, or those that settings name in their place; a file that is absent is empty. 0,
 * also when there is no such profile, or a status and a sentence. Finish it in either case. */
int aws_profile_load(struct credential_request *request, const char *name,
                     struct aws_profile *profile);
/* The same for a section [KIND NAME], as sso-session and services, which only the config file has.
 */
int aws_profile_load_section(struct credential_request *request, const char *kind, const char *name,
                             struct aws_profile *profile);
const char *aws_profile_get(const struct aws_profile *profile, enum aws_profile_key key);
void aws_profile_finish(struct aws_profile *profile);

/* For who opens a store, as its settings' profile_load: `profile` is the struct. Loads the profile
 * that these settings name, with the S3 endpoint of its services section. `why` (may be NULL) gets
 * the sentence. Finish it, too. */
int aws_profile_load_early(void *profile, const struct credential_settings *settings, char *why,
                           size_t why_bytes);
/* A value by its name in the file ("region", "s3.addressing_style"), as a
 * credential_environment_fn: `profile` is the struct. */
const char *aws_profile_value(void *profile, const char *name);

/* The name of the profile to use: set, or "default". */
const char *aws_profile_name(const struct credential_request *request);

#endif
