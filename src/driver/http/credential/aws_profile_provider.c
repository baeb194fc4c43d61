/* SPDX-License-Identifier: MIT */
/*
 * aws_profile_provider.c - credentials by a profile, whichever way the profile gives them. See
 * provider.h and aws_profile.h.
 *
 * The order within a profile is botocore's: a role to assume, a role by a token file, single
 * sign-on, keys of the credentials file, credential_process, keys of the config file. A role's
 * source may be a profile with a role again; the chain is followed from its far end, at most
 * ROLES_MAX long, and a circle is an error. A profile may name itself as its source: then its own
 * keys are meant.
 *
 * Keys come whole from one of the two files.
 */
#include "driver/http/credential/aws.h"
#include "driver/http/credential/aws_profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define ROLES_MAX 8

/* The profiles of the chain, from the one that was named to the one with keys. */
struct profile_chain {
    struct aws_profile profiles[ROLES_MAX];
    char names[ROLES_MAX][128];
    int count;
};

static const char *link_get(const struct profile_chain *chain, int link, enum aws_profile_key key)
{
    return aws_profile_get(&chain->profiles[link], key);
}

/* Keys of one file: 0, not configured, or half a pair. */
static int file_keys(struct credential_request *request, char *const *values,
                     struct http_credential *out)
{
    const char *id = values[AWS_PROFILE_ACCESS_KEY_ID];
    const char *secret = values[AWS_PROFILE_SECRET_ACCESS_KEY];

    if (!id && !secret)
        return credential_why(request, CREDENTIAL_NOT_CONFIGURED, "no keys");
    if (!id || !secret)
        return credential_why(request, -EINVAL, "%s is missing",
                              id ? "aws_secret_access_key" : "aws_access_key_id");
    return credential_out(request, out, HTTP_CREDENTIAL_AWS, id, secret,
                          values[AWS_PROFILE_SESSION_TOKEN], 0, "profile");
}

static int keys_or_process(struct credential_request *request, const struct aws_profile *profile,
                           struct http_credential *out)
{
    const char *command = aws_profile_get(profile, AWS_PROFILE_CREDENTIAL_PROCESS);
    int status = file_keys(request, profile->credentials, out);

    if (status == CREDENTIAL_NOT_CONFIGURED && command)
        return aws_process(request, command, out);
    if (status == CREDENTIAL_NOT_CONFIGURED)
        status = file_keys(request, profile->config, out);
    return status;
}

static int sso_keys(struct credential_request *request, const struct aws_profile *profile,
                    struct http_credential *out)
{
    struct aws_profile session = {.found = false};
    struct aws_sso sso = {.session = aws_profile_get(profile, AWS_PROFILE_SSO_SESSION),
                          .start_url = aws_profile_get(profile, AWS_PROFILE_SSO_START_URL),
                          .region = aws_profile_get(profile, AWS_PROFILE_SSO_REGION),
                          .account_id = aws_profile_get(profile, AWS_PROFILE_SSO_ACCOUNT_ID),
                          .role_name = aws_profile_get(profile, AWS_PROFILE_SSO_ROLE_NAME)};
    int status = 0;

    if (sso.session) {
        status = aws_profile_load_section(request, "sso-session", sso.session, &session);
        sso.start_url = aws_profile_get(&session, AWS_PROFILE_SSO_START_URL);
        sso.region = aws_profile_get(&session, AWS_PROFILE_SSO_REGION);
    }
    if (status == 0)
        status = aws_sso(request, &sso, out);
    aws_profile_finish(&session);
    return status;
}

static const char *region_of(const struct credential_request *request,
                             const struct aws_profile *profile)
{
    const char *region = credential_get(request, CREDENTIAL_REGION);

    return region ? region : aws_profile_get(profile, AWS_PROFILE_REGION);
}

static int role_init(struct credential_request *request, const struct aws_profile *profile,
                     struct aws_role *role, char *session_name, size_t bytes)
{
    const char *duration = aws_profile_get(profile, AWS_PROFILE_DURATION_SECONDS);

    *role = (struct aws_role){.arn = aws_profile_get(profile, AWS_PROFILE_ROLE_ARN),
                              .session_name = session_name,
                              .external_id = aws_profile_get(profile, AWS_PROFILE_EXTERNAL_ID),
                              .duration_s = duration ? strtoull(duration, NULL, 10) : 0,
                              .region = region_of(request, profile)};
    aws_session_name(request, aws_profile_get(profile, AWS_PROFILE_ROLE_SESSION_NAME), session_name,
                     bytes);
    if (aws_profile_get(profile, AWS_PROFILE_MFA_SERIAL))
        return credential_why(request, -EINVAL,
                              "mfa_serial asks for a code, and nobody can be "
                              "asked here; use credential_process");
    return 0;
}

/* The far end of a chain: the profile whose credentials do not depend on another profile. */
static int end_keys(struct credential_request *request, const struct aws_profile *profile,
                    bool own_keys, struct http_credential *out)
{
    const char *source = aws_profile_get(profile, AWS_PROFILE_CREDENTIAL_SOURCE);
    const char *file = aws_profile_get(profile, AWS_PROFILE_WEB_IDENTITY_TOKEN_FILE);
    struct aws_role role;
    char session_name[128];
    int status;

    if (own_keys)
        return keys_or_process(request, profile, out);
    if (aws_profile_get(profile, AWS_PROFILE_ROLE_ARN) && file && !source) {
        status = role_init(request, profile, &role, session_name, sizeof(session_name));
        return status < 0 ? status : aws_assume_role_by_token(request, &role, file, out, "profile");
    }
    if (source && strcmp(source, "Environment") == 0)
        return credential_aws_environment(request, out);
    if (source && strcmp(source, "Ec2InstanceMetadata") == 0)
        return credential_aws_imds(request, out);
    if (source && strcmp(source, "EcsContainer") == 0)
        return credential_aws_container(request, out);
    if (source)
        return credential_why(request, -EINVAL,
                              "credential_source must be Environment, "
                              "Ec2InstanceMetadata or EcsContainer");
    if (aws_profile_get(profile, AWS_PROFILE_ROLE_ARN))
        return credential_why(request, -EINVAL,
                              "role_arn needs source_profile, credential_source "
                              "or web_identity_token_file");
    if (aws_profile_get(profile, AWS_PROFILE_SSO_SESSION) ||
        aws_profile_get(profile, AWS_PROFILE_SSO_START_URL))
        return sso_keys(request, profile, out);
    return keys_or_process(request, profile, out);
}

/* Loads the profiles from `name` on; `own_keys` is set when the last one is its own source. */
static int chain_load(struct credential_request *request, struct profile_chain *chain,
                      const char *name, bool *own_keys)
{
    int status = 0;

    *own_keys = false;
    while (status == 0 && name) {
        int link = chain->count;

        if (link == ROLES_MAX)
            return credential_why(request, -ELOOP, "more than %d profiles lead to each other",
                                  ROLES_MAX);
        for (int i = 0; i < link; i++)
            if (strcmp(chain->names[i], name) == 0)
                return credential_why(request, -ELOOP, "source_profile leads back to \"%.100s\"",
                                      name);
        snprintf(chain->names[link], sizeof(chain->names[link]), "%s", name);
        chain->count++;
        status = aws_profile_load(request, name, &chain->profiles[link]);
        if (status == 0 && link > 0 && !chain->profiles[link].found)
            return credential_why(request, -ENOENT, "there is no profile \"%.100s\"", name);
        name = link_get(chain, link, AWS_PROFILE_ROLE_ARN)
                   ? link_get(chain, link, AWS_PROFILE_SOURCE_PROFILE)
                   : NULL;
        if (name && strcmp(name, chain->names[link]) == 0) {
            *own_keys = true;
            name = NULL;
        }
    }
    return status;
}

/* True if a role is to be assumed with what the far end gives: with a token file it has given the
 * role's credentials already. */
static bool link_assumes(const struct profile_chain *chain, int link, bool own_keys)
{
    if (!link_get(chain, link, AWS_PROFILE_ROLE_ARN))
        return false;
    return link < chain->count - 1 || own_keys ||
           link_get(chain, link, AWS_PROFILE_CREDENTIAL_SOURCE);
}

static int chain_walk(struct credential_request *request, const struct profile_chain *chain,
                      bool own_keys, struct http_credential *out)
{
    int status = end_keys(request, &chain->profiles[chain->count - 1], own_keys, out);

    for (int link = chain->count - 1; link >= 0 && status == 0; link--) {
        struct http_credential next = {.kind = HTTP_CREDENTIAL_NONE};
        struct aws_role role;
        char session_name[128];

        if (!link_assumes(chain, link, own_keys))
            continue;
        status =
            role_init(request, &chain->profiles[link], &role, session_name, sizeof(session_name));
        if (status == 0)
            status = aws_assume_role(request, &role, out, &next, "profile");
        http_credential_wipe(out);
        *out = next;
    }
    return status;
}

static int profile_keys(struct credential_request *request, const char *name, bool named,
                        struct http_credential *out)
{
    struct profile_chain *chain = calloc(1, sizeof(*chain));
    bool own_keys = false;
    char what[120];
    int status;

    if (!chain)
        return credential_why(request, -ENOMEM, "out of memory");
    status = chain_load(request, chain, name, &own_keys);
    if (status == 0 && !chain->profiles[0].found)
        status = credential_why(request, named ? -ENOENT : CREDENTIAL_NOT_CONFIGURED,
                                "there is no such profile");
    else if (status == 0)
        status = chain_walk(request, chain, own_keys, out);
    /* What is behind a role must give something: else the role is what fails. */
    if (status == CREDENTIAL_NOT_CONFIGURED && link_get(chain, 0, AWS_PROFILE_ROLE_ARN))
        status = -EACCES;
    if (status != 0) {
        snprintf(what, sizeof(what), "profile \"%.80s\"", name);
        credential_why_in(request, status, what);
    }
    for (int link = 0; link < chain->count; link++)
        aws_profile_finish(&chain->profiles[link]);
    free(chain);
    return status;
}

int credential_aws_profile(struct credential_request *request, struct http_credential *out)
{
    return profile_keys(request, aws_profile_name(request),
                        credential_get(request, CREDENTIAL_PROFILE) != NULL, out);
}

int credential_aws_profile_option(struct credential_request *request, struct http_credential *out)
{
    const char *name =
        credential_settings_get(request->settings, CREDENTIAL_FROM_OPTIONS, CREDENTIAL_PROFILE);
    int status;

    if (!name)
        return credential_why(request, CREDENTIAL_NOT_CONFIGURED, "no profile is named");
    status = profile_keys(request, name, true, out);
    /* The caller wants this profile, not whatever the environment holds. */
    return status == CREDENTIAL_NOT_CONFIGURED ? -EACCES : status;
}
