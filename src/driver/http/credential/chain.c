/* SPDX-License-Identifier: MIT */
/*
 * chain.c - see chain.h. Orders: those of the vendors' own tools and of object_store, united; what
 * an option says comes before what the environment says, and what costs a request on a machine that
 * has nothing of the kind comes last.
 */
#include "driver/http/credential/chain.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

struct link {
    const char *name;
    credential_provider_fn *ask;
};

static const struct link s3_links[] = {
    {"callback", credential_callback},
    {"options", credential_aws_options},
    {"profile option", credential_aws_profile_option},
    {"environment", credential_aws_environment},
    {"web identity", credential_aws_web_identity},
    {"profile", credential_aws_profile},
    {"container", credential_aws_container},
    {"instance metadata", credential_aws_imds},
    {NULL, NULL},
};

static const struct link gcs_links[] = {
    {"callback", credential_callback},
    {"options", credential_google_options},
    {"environment", credential_google_environment},
    {"application default", credential_google_default},
    {"metadata server", credential_google_metadata},
    {NULL, NULL},
};

static const struct link azure_links[] = {
    {"callback", credential_callback},
    {"options", credential_azure_options},
    {"environment", credential_azure_environment},
    {"managed identity", credential_azure_managed},
    {NULL, NULL},
};

static const struct link http_links[] = {
    {"callback", credential_callback},
    {NULL, NULL},
};

static const struct {
    const struct link *links;
    enum credential_key anonymous; /* COUNT: there is no such setting */
} stores[] = {
    [CREDENTIAL_S3] = {s3_links, CREDENTIAL_AWS_ANONYMOUS},
    [CREDENTIAL_GCS] = {gcs_links, CREDENTIAL_GOOGLE_ANONYMOUS},
    [CREDENTIAL_AZURE] = {azure_links, CREDENTIAL_AZURE_ANONYMOUS},
    [CREDENTIAL_HTTP] = {http_links, CREDENTIAL_KEY_COUNT},
};

/* Adds "NAME: SENTENCE" to the report. */
static void report_add(char *report, size_t bytes, const char *name, const char *why)
{
    size_t used = strlen(report);

    snprintf(report + used, bytes - used, "%s%s: %s", used ? "; " : "", name, why);
}

static int anonymous(struct http_credential *out)
{
    const struct http_credential none = {.kind = HTTP_CREDENTIAL_NONE, .source = "anonymous"};

    return http_credential_set(out, &none);
}

int credential_chain_run(struct credential_request *request, struct http_credential *out,
                         char *report, size_t bytes)
{
    enum credential_key key = stores[request->store].anonymous;

    report[0] = '\0';
    if (key != CREDENTIAL_KEY_COUNT &&
        credential_settings_bool(request->settings, CREDENTIAL_FROM_ANY, key)) {
        report_add(report, bytes, "anonymous", "asked for");
        return anonymous(out);
    }
    for (const struct link *link = stores[request->store].links; link->name; link++) {
        int status;

        request->why[0] = '\0';
        status = link->ask(request, out);
        if (status == 0)
            return 0;
        if (status < 0 || request->why[0])
            report_add(report, bytes, link->name, request->why);
        if (status < 0) {
            http_credential_wipe(out);
            return status;
        }
    }
    return anonymous(out);
}
