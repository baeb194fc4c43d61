/* SPDX-License-Identifier: MIT */
/*
 * aws_container.c - credentials of a container: ECS task roles (a path on a fixed address), EKS pod
 * identity and others (a whole URI, with a token).
 *
 * Source: AWS SDKs and Tools reference guide, "Container credential provider". Its rule for whole
 * URIs is kept: https, or this machine, or the addresses of ECS and EKS; anything else would send
 * the token, in clear, to whoever set a variable. The token file is read each time, for it changes.
 */
#include "driver/http/credential/aws.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/credential/json.h"

#define CONTAINER_TIMEOUT_MS 2000u
#define ECS_HOST             "169.254.170.2"

/* Where to ask; CREDENTIAL_NOT_CONFIGURED if nothing says so. */
static int container_url(struct credential_request *request, struct secret_text *url)
{
    static const char *const hosts[] = {ECS_HOST, "169.254.170.23", "fd00:ec2::23"};
    const char *path = credential_get(request, CREDENTIAL_CONTAINER_RELATIVE_URI);
    const char *uri = credential_get(request, CREDENTIAL_CONTAINER_FULL_URI);
    const char *endpoint = credential_get(request, CREDENTIAL_CONTAINER_ENDPOINT);
    char host[128];

    if (path) {
        if (endpoint)
            secret_text_printf(url, "%.*s", credential_base_length(endpoint), endpoint);
        else
            secret_text_add(url, "http://" ECS_HOST);
        secret_text_printf(url, "%s%s", path[0] == '/' ? "" : "/", path);
        return 0;
    }
    if (!uri)
        return credential_why(request, CREDENTIAL_NOT_CONFIGURED, "no URI is named");
    secret_text_add(url, uri);
    if (credential_url_is_safe(uri))
        return 0;
    credential_url_host(uri, host, sizeof(host));
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        if (strcmp(host, hosts[i]) == 0)
            return 0;
    return credential_why(request, -EINVAL,
                          "%s names neither https nor an address of this "
                          "machine, ECS or EKS",
                          credential_key_variable(CREDENTIAL_CONTAINER_FULL_URI));
}

/* The Authorization header, or "". */
static int container_header(struct credential_request *request, struct secret_text *header)
{
    const char *file = credential_get(request, CREDENTIAL_CONTAINER_TOKEN_FILE);
    const char *token = credential_get(request, CREDENTIAL_CONTAINER_TOKEN);
    struct secret_text content = {0};
    int status = 0;

    if (file) {
        status = credential_token_file(request, file, &content);
        token = secret_text_get(&content);
    } else if (token && strpbrk(token, "\r\n")) {
        status = credential_why(request, -EINVAL, "%s holds a line break",
                                credential_key_variable(CREDENTIAL_CONTAINER_TOKEN));
    }
    if (status == 0 && token)
        secret_text_printf(header, "Authorization: %s", token);
    secret_text_finish(&content);
    return status;
}

static int container_fetch(struct credential_request *request, const char *url, const char *header,
                           struct http_credential *out)
{
    static const struct aws_answer_names names = {
        .id = "AccessKeyId",
        .secret = "SecretAccessKey",
        .token = "Token",
        .expires = "Expiration",
    };
    const struct fetch_request fetch = {
        .method = "GET",
        .url = url,
        .headers = {"Accept: application/json", *header ? header : NULL},
        .timeout_ms = CONTAINER_TIMEOUT_MS,
        .no_proxy = true};
    struct fetch_response response = {0};
    struct json_object *root = NULL;
    int status = credential_fetch(request, &fetch, &response);

    if (status == 0 && response.status == 200)
        status = credential_json(request, url, &response, &root);
    if (status == 0 && root)
        status = aws_answer(request, root, &names, "the answer of the container's endpoint", out,
                            "container");
    else if (status == 0)
        status = credential_refused(request, url, response.status, NULL);
    json_finish(root);
    fetch_response_finish(&response);
    return status;
}

int credential_aws_container(struct credential_request *request, struct http_credential *out)
{
    struct secret_text url = {0}, header = {0};
    int status = container_url(request, &url);

    if (status == 0)
        status = container_header(request, &header);
    if (status == 0 && (url.failed || header.failed))
        status = credential_why(request, -ENOMEM, "out of memory");
    if (status == 0)
        status = container_fetch(request, secret_text_get(&url), secret_text_get(&header), out);
    secret_text_finish(&header);
    secret_text_finish(&url);
    return status;
}
