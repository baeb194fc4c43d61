/* SPDX-License-Identifier: MIT */
/*
 * aws_profile.c - see aws_profile.h.
 *
 * Source: AWS SDKs and Tools reference guide, "Shared config and credentials files". In the config
 * file a profile is [profile NAME], the default one [default] or [profile default], of which the
 * longer form counts; in the credentials file it is [NAME]. A section that appears twice is one;
 * of a key that appears twice the last counts. Keys of nested blocks are written BLOCK.KEY here.
 */
#define _GNU_SOURCE /* strdup */
#include "driver/http/credential/aws_profile.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/ini.h"

static const char *const key_names[AWS_PROFILE_KEY_COUNT] = {
    [AWS_PROFILE_ACCESS_KEY_ID] = "aws_access_key_id",
    [AWS_PROFILE_SECRET_ACCESS_KEY] = "aws_secret_access_key",
    [AWS_PROFILE_SESSION_TOKEN] = "aws_session_token",
    [AWS_PROFILE_ROLE_ARN] = "role_arn",
    [AWS_PROFILE_SOURCE_PROFILE] = "source_profile",
    [AWS_PROFILE_CREDENTIAL_SOURCE] = "credential_source",
    [AWS_PROFILE_ROLE_SESSION_NAME] = "role_session_name",
    [AWS_PROFILE_EXTERNAL_ID] = "external_id",
    [AWS_PROFILE_DURATION_SECONDS] = "duration_seconds",
    [AWS_PROFILE_MFA_SERIAL] = "mfa_serial",
    [AWS_PROFILE_WEB_IDENTITY_TOKEN_FILE] = "web_identity_token_file",
    [AWS_PROFILE_CREDENTIAL_PROCESS] = "credential_process",
    [AWS_PROFILE_SSO_SESSION] = "sso_session",
    [AWS_PROFILE_SSO_START_URL] = "sso_start_url",
    [AWS_PROFILE_SSO_REGION] = "sso_region",
    [AWS_PROFILE_SSO_ACCOUNT_ID] = "sso_account_id",
    [AWS_PROFILE_SSO_ROLE_NAME] = "sso_role_name",
    [AWS_PROFILE_REGION] = "region",
    [AWS_PROFILE_ENDPOINT_URL] = "endpoint_url",
    [AWS_PROFILE_CA_BUNDLE] = "ca_bundle",
    [AWS_PROFILE_USE_DUALSTACK] = "use_dualstack_endpoint",
    [AWS_PROFILE_S3_USE_DUALSTACK] = "s3.use_dualstack_endpoint",
    [AWS_PROFILE_S3_ADDRESSING_STYLE] = "s3.addressing_style",
    [AWS_PROFILE_S3_ENDPOINT_URL] = "s3.endpoint_url",
    [AWS_PROFILE_SERVICES] = "services",
    [AWS_PROFILE_IGNORE_ENDPOINTS] = "ignore_configured_endpoint_urls",
};

/* One pass over one file. */
struct profile_reader {
    const char *prefix; /* of the section's name: "profile", "services" or NULL for none */
    const char *name;
    char **values;
    bool found;
    bool plain;  /* [default] without "profile": overruled by the longer form */
    bool longer; /* the longer form was seen */
};

/* True if the section is the one that is looked for. */
static bool section_matches(struct profile_reader *reader, const char *section)
{
    size_t length = reader->prefix ? strlen(reader->prefix) : 0;
    const char *name = section;

    reader->plain = false;
    if (!reader->prefix)
        return strcmp(section, reader->name) == 0;
    if (strncmp(section, reader->prefix, length) == 0 &&
        (section[length] == ' ' || section[length] == '\t')) {
        size_t count = strlen(reader->name);

        name += length + strspn(section + length, " \t");
        /* The name may stand in quotes. */
        if (name[0] == '"' && strncmp(name + 1, reader->name, count) == 0)
            return strcmp(name + 1 + count, "\"") == 0;
        return strcmp(name, reader->name) == 0;
    }
    reader->plain = strcmp(section, "default") == 0 && strcmp(reader->name, "default") == 0 &&
                    strcmp(reader->prefix, "profile") == 0;
    return reader->plain;
}

static void values_wipe(char **values)
{
    for (int key = 0; key < AWS_PROFILE_KEY_COUNT; key++) {
        http_secret_free(values[key]);
        values[key] = NULL;
    }
}

static bool key_is(const char *name, const char *block, const char *key)
{
    size_t count = block ? strlen(block) : 0;

    if (!block)
        return strcmp(name, key) == 0;
    return strncmp(name, block, count) == 0 && name[count] == '.' &&
           strcmp(name + count + 1, key) == 0;
}

static int on_property(void *data, const char *section, const char *block, const char *key,
                       const char *value)
{
    struct profile_reader *reader = data;

    if (!section_matches(reader, section) || (reader->plain && reader->longer))
        return 0;
    if (!reader->plain && reader->prefix && !reader->longer) {
        values_wipe(reader->values); /* of the plain form, which came first */
        reader->longer = true;
    }
    reader->found = true;
    for (int i = 0; key && i < AWS_PROFILE_KEY_COUNT; i++) {
        if (!key_is(key_names[i], block, key))
            continue;
        http_secret_free(reader->values[i]);
        reader->values[i] = NULL;
        if (*value && !(reader->values[i] = strdup(value)))
            return -ENOMEM;
    }
    return 0;
}

/* Reads one file, found by a setting or below the home directory. */
static int file_read(struct credential_request *request, enum credential_key setting,
                     const char *name, struct profile_reader *reader)
{
    const char *path = credential_get(request, setting);
    const char *home = credential_get(request, CREDENTIAL_HOME);
    struct secret_text text = {0};
    char below_home[1024];
    int status;

    if (!path && !home)
        return 0;
    if (path && strcmp(path, "/dev/null") == 0)
        return 0; /* how one says that there is none */
    if (!path || strncmp(path, "~/", 2) == 0) {
        snprintf(below_home, sizeof(below_home), "%s/%s", home ? home : "", path ? path + 2 : name);
        path = below_home;
    }
    status = secret_text_add_file(&text, path);
    if (status == -ENOENT || status == -ENOTDIR)
        status = 0; /* most users have neither */
    else if (status < 0)
        credential_why(request, status, "cannot read %.150s: %s", path, lsio_status_text(status));
    else if (text.base && (status = ini_parse(text.base, on_property, reader)) < 0)
        credential_why(request, status, "out of memory");
    secret_text_finish(&text);
    return status;
}

int aws_profile_load(struct credential_request *request, const char *name,
                     struct aws_profile *profile)
{
    struct profile_reader config = {"profile", name, profile->config};
    struct profile_reader credentials = {NULL, name, profile->credentials};
    int status = file_read(request, CREDENTIAL_CONFIG_FILE, ".aws/config", &config);

    if (status == 0)
        status = file_read(request, CREDENTIAL_SHARED_CREDENTIALS_FILE, ".aws/credentials",
                           &credentials);
    profile->found = config.found || credentials.found;
    return status;
}

int aws_profile_load_section(struct credential_request *request, const char *kind, const char *name,
                             struct aws_profile *profile)
{
    struct profile_reader config = {kind, name, profile->config};
    int status = file_read(request, CREDENTIAL_CONFIG_FILE, ".aws/config", &config);

    profile->found = config.found;
    return status;
}

const char *aws_profile_get(const struct aws_profile *profile, enum aws_profile_key key)
{
    return profile->credentials[key] ? profile->credentials[key] : profile->config[key];
}

const char *aws_profile_value(void *profile, const char *name)
{
    for (int key = 0; key < AWS_PROFILE_KEY_COUNT; key++)
        if (strcmp(key_names[key], name) == 0)
            return aws_profile_get(profile, (enum aws_profile_key)key);
    return NULL;
}

/* Endpoints of one service stand in a section that the profile names, not in the profile's own
 * block for it. */
static int services_load(struct credential_request *request, struct aws_profile *profile)
{
    const char *name = aws_profile_get(profile, AWS_PROFILE_SERVICES);
    struct aws_profile section = {.found = false};
    int status = name ? aws_profile_load_section(request, "services", name, &section) : 0;
    char **endpoint = &section.config[AWS_PROFILE_S3_ENDPOINT_URL];

    http_secret_free(profile->credentials[AWS_PROFILE_S3_ENDPOINT_URL]);
    http_secret_free(profile->config[AWS_PROFILE_S3_ENDPOINT_URL]);
    profile->credentials[AWS_PROFILE_S3_ENDPOINT_URL] = NULL;
    profile->config[AWS_PROFILE_S3_ENDPOINT_URL] = *endpoint;
    *endpoint = NULL;
    aws_profile_finish(&section);
    return status;
}

int aws_profile_load_early(void *profile, const struct credential_settings *settings, char *why,
                           size_t why_bytes)
{
    struct credential_request request = {.settings = settings};
    int status = aws_profile_load(&request, aws_profile_name(&request), profile);

    if (status == 0)
        status = services_load(&request, profile);
    if (status < 0 && why)
        snprintf(why, why_bytes, "%s", request.why);
    return status;
}

void aws_profile_finish(struct aws_profile *profile)
{
    values_wipe(profile->config);
    values_wipe(profile->credentials);
    memset(profile, 0, sizeof(*profile));
}

const char *aws_profile_name(const struct credential_request *request)
{
    const char *name = credential_get(request, CREDENTIAL_PROFILE);

    return name ? name : "default";
}
