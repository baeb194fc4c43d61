/* SPDX-License-Identifier: MIT */
/*
 * aws_imds.c - the instance metadata service of EC2, version 2: a session token is fetched first,
 * which a request that a server was tricked into making cannot do.
 *
 * Source: AWS EC2 user guide, "Use the Instance Metadata Service" and "Retrieve security
 * credentials from instance metadata"; SDKs and Tools reference guide, "IMDS client".
 *
 * Being there is found out by one request of at most a second, once per context: most machines
 * that ask are not in that cloud. No answer, and an answer that no metadata service gives, mean
 * `not configured`. Version 1 is used only if asked for.
 */
#include "driver/http/credential/aws.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "driver/http/credential/json.h"

#define IMDS_HOST_IPV4  "169.254.169.254"
#define IMDS_HOST_IPV6  "[fd00:ec2::254]"
#define IMDS_TIMEOUT_MS 1000u
#define IMDS_ROLES      "latest/meta-data/iam/security-credentials/"

struct imds {
    char endpoint[256];       /* ends in '/' */
    struct secret_text token; /* the header; empty with version 1 */
};

static void imds_endpoint(const struct credential_request *request, struct imds *imds)
{
    const char *given = credential_get(request, CREDENTIAL_IMDS_ENDPOINT);
    const char *mode = credential_get(request, CREDENTIAL_IMDS_ENDPOINT_MODE);

    if (given)
        snprintf(imds->endpoint, sizeof(imds->endpoint), "%.*s/", credential_base_length(given),
                 given);
    else
        snprintf(imds->endpoint, sizeof(imds->endpoint), "http://%s/",
                 mode && strcasecmp(mode, "IPv6") == 0 ? IMDS_HOST_IPV6 : IMDS_HOST_IPV4);
}

/* Finds out whether the service is there and gets the token. */
static int imds_begin(struct credential_request *request, struct imds *imds)
{
    struct fetch_response response = {0};
    char url[300];
    const struct fetch_request fetch = {.method = "PUT",
                                        .url = url,
                                        .headers = {"X-aws-ec2-metadata-token-ttl-seconds: 600"},
                                        .timeout_ms = IMDS_TIMEOUT_MS,
                                        .no_proxy = true};
    int status;

    snprintf(url, sizeof(url), "%slatest/api/token", imds->endpoint);
    status = credential_probe(request, &fetch, &request->memory->aws, &response);
    if (status == 0 && response.status == 200 && response.body.used > 0) {
        secret_text_printf(&imds->token, "X-aws-ec2-metadata-token: %s",
                           secret_text_get(&response.body));
        if (imds->token.failed || strpbrk(secret_text_get(&imds->token), "\r\n"))
            status = credential_why(request, LSIO_E_PROTOCOL, "the token is no header's value");
    } else if (status == 0 &&
               !(credential_settings_bool(request->settings, CREDENTIAL_FROM_ANY,
                                          CREDENTIAL_IMDS_V1_FALLBACK) &&
                 (response.status == 403 || response.status == 404 || response.status == 405))) {
        credential_refused(request, url, response.status, NULL);
        status = CREDENTIAL_NOT_CONFIGURED; /* another service, or switched off */
    }
    fetch_response_finish(&response);
    return status;
}

/* GETs below the roles' path; the response is to be finished in either case. */
static int imds_get(struct credential_request *request, const struct imds *imds, const char *role,
                    char *url, size_t url_bytes, struct fetch_response *response)
{
    const struct fetch_request fetch = {
        .method = "GET",
        .url = url,
        .headers = {imds->token.used ? secret_text_get(&imds->token) : NULL},
        .timeout_ms = IMDS_TIMEOUT_MS,
        .no_proxy = true};

    snprintf(url, url_bytes, "%s" IMDS_ROLES "%s", imds->endpoint, role);
    return credential_fetch(request, &fetch, response);
}

/* The name of the instance's role: the first line of the answer. */
static int imds_role(struct credential_request *request, const struct imds *imds, char *role,
                     size_t bytes)
{
    struct fetch_response response = {0};
    char url[512];
    size_t length;
    int status = imds_get(request, imds, "", url, sizeof(url), &response);

    length = strcspn(secret_text_get(&response.body), "\r\n");
    if (status == 0 && response.status == 404)
        status = credential_why(request, CREDENTIAL_NOT_CONFIGURED, "the instance has no role");
    else if (status == 0 && response.status != 200)
        status = credential_refused(request, url, response.status, NULL);
    else if (status == 0 && (length == 0 || length >= bytes ||
                             strcspn(secret_text_get(&response.body), "/?# \t") < length))
        status = credential_why(request, LSIO_E_PROTOCOL, "the role's name is not understood");
    else if (status == 0)
        snprintf(role, bytes, "%.*s", (int)length, secret_text_get(&response.body));
    fetch_response_finish(&response);
    return status;
}

static int imds_take(struct credential_request *request, const struct imds *imds, const char *role,
                     struct http_credential *out)
{
    static const struct aws_answer_names names = {
        .id = "AccessKeyId",
        .secret = "SecretAccessKey",
        .token = "Token",
        .expires = "Expiration",
    };
    struct fetch_response response = {0};
    struct json_object *root = NULL;
    const char *code;
    char url[512];
    int status = imds_get(request, imds, role, url, sizeof(url), &response);

    if (status == 0 && response.status != 200)
        status = credential_refused(request, url, response.status, NULL);
    if (status == 0)
        status = credential_json(request, url, &response, &root);
    if (status == 0) {
        code = json_text(root, "Code");
        if (code && strcmp(code, "Success") != 0) {
            credential_refused(request, url, response.status, code);
            status = -EACCES;
        } else {
            status = aws_answer(request, root, &names, "the answer of the metadata service", out,
                                "imds");
        }
    }
    json_finish(root);
    fetch_response_finish(&response);
    return status;
}

static int imds_ask(struct credential_request *request, struct http_credential *out)
{
    struct imds imds = {.token = {0}};
    char role[128];
    int status;

    imds_endpoint(request, &imds);
    status = imds_begin(request, &imds);
    if (status == 0)
        status = imds_role(request, &imds, role, sizeof(role));
    if (status == 0)
        status = imds_take(request, &imds, role, out);
    secret_text_finish(&imds.token);
    return status;
}

int credential_aws_imds(struct credential_request *request, struct http_credential *out)
{
    if (credential_settings_bool(request->settings, CREDENTIAL_FROM_ANY, CREDENTIAL_IMDS_DISABLED))
        return credential_why(request, CREDENTIAL_NOT_CONFIGURED, "switched off by %s",
                              credential_key_variable(CREDENTIAL_IMDS_DISABLED));
    return credential_metadata(request, &request->memory->aws, imds_ask, out);
}
