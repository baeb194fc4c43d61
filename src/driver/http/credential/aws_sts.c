/* SPDX-License-Identifier: MIT */
/*
 * aws_sts.c - the Security Token Service: AssumeRole, and AssumeRoleWithWebIdentity, by which pods
 * and CI jobs get credentials for the token in a file. See aws.h.
 *
 * Source: AWS STS API reference, "AssumeRole", "AssumeRoleWithWebIdentity", "Common Errors". The
 * query protocol: a form is posted, XML comes back. Endpoints: the region's, for they work without
 * the global one; without a region the global one, which is signed for us-east-1.
 */
#include "driver/http/credential/aws.h"

#include <expat.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/credential/when.h"
#include "driver/http/sign/sigv4.h"

#define STS_VERSION    "2011-06-15"
#define STS_TIMEOUT_MS 10000u
#define SIGN_BYTES     16384u

/* ------------------------------------------------------------------------------------ answer -- */

enum { STS_ID, STS_SECRET, STS_TOKEN, STS_EXPIRES, STS_CODE, STS_FIELDS };

static const char *const sts_elements[STS_FIELDS] = {"AccessKeyId", "SecretAccessKey",
                                                     "SessionToken", "Expiration", "Code"};

struct sts_answer {
    struct secret_text fields[STS_FIELDS];
    int field; /* the element that is open, or -1 */
    XML_Parser parser;
};

static void XMLCALL on_start(void *data, const XML_Char *name, const XML_Char **attributes)
{
    struct sts_answer *answer = data;

    answer->field = -1;
    for (int i = 0; i < STS_FIELDS; i++)
        if (strcmp(name, sts_elements[i]) == 0)
            answer->field = i;
}

static void XMLCALL on_end(void *data, const XML_Char *name)
{
    struct sts_answer *answer = data;

    answer->field = -1;
}

static void XMLCALL on_text(void *data, const XML_Char *text, int count)
{
    struct sts_answer *answer = data;

    if (answer->field >= 0)
        secret_text_add_bytes(&answer->fields[answer->field], text, (size_t)count);
}

/* No answer of the service has a document type; one that has wants to expand entities. */
static void XMLCALL on_doctype(void *data, const XML_Char *name, const XML_Char *system_id,
                               const XML_Char *public_id, int internal)
{
    struct sts_answer *answer = data;

    XML_StopParser(answer->parser, XML_FALSE);
}

/* False if the body is no XML; fields that it lacks are empty. */
static bool sts_parse(struct sts_answer *answer, const struct secret_text *body)
{
    bool good;

    answer->field = -1;
    answer->parser = XML_ParserCreate(NULL);
    if (!answer->parser)
        return false;
    XML_SetUserData(answer->parser, answer);
    XML_SetElementHandler(answer->parser, on_start, on_end);
    XML_SetCharacterDataHandler(answer->parser, on_text);
    XML_SetStartDoctypeDeclHandler(answer->parser, on_doctype);
    good = XML_Parse(answer->parser, secret_text_get(body), (int)body->used, 1) == XML_STATUS_OK;
    XML_ParserFree(answer->parser);
    return good;
}

static const char *sts_field(const struct sts_answer *answer, int field)
{
    return secret_text_get(&answer->fields[field]);
}

static int sts_take(struct credential_request *request, const char *url,
                    const struct fetch_response *response, struct http_credential *out,
                    const char *source)
{
    struct sts_answer answer = {0};
    bool parsed = sts_parse(&answer, &response->body);
    int status;

    if (response->status != 200)
        status = credential_refused(request, url, response->status,
                                    parsed ? sts_field(&answer, STS_CODE) : NULL);
    else if (!parsed || !*sts_field(&answer, STS_ID) || !*sts_field(&answer, STS_SECRET) ||
             !*sts_field(&answer, STS_TOKEN) || when_parse(sts_field(&answer, STS_EXPIRES)) == 0)
        status = credential_why(request, LSIO_E_PROTOCOL,
                                "the answer of the token service is not understood");
    else
        status = credential_out(request, out, HTTP_CREDENTIAL_AWS, sts_field(&answer, STS_ID),
                                sts_field(&answer, STS_SECRET), sts_field(&answer, STS_TOKEN),
                                when_parse(sts_field(&answer, STS_EXPIRES)), source);
    for (int i = 0; i < STS_FIELDS; i++)
        secret_text_finish(&answer.fields[i]);
    return status;
}

/* ----------------------------------------------------------------------------------- request -- */

/* Scheme and host to ask; -EINVAL for a region that is no name. */
static int sts_host(struct credential_request *request, const char *region, char *host,
                    size_t bytes, const char **scheme)
{
    const char *endpoint = credential_get(request, CREDENTIAL_STS_ENDPOINT);

    *scheme = "https";
    if (endpoint) {
        if (strncmp(endpoint, "http://", 7) == 0)
            *scheme = "http";
        else if (strncmp(endpoint, "https://", 8) != 0)
            return credential_why(request, -EINVAL, "the STS endpoint is no http(s) address");
        endpoint += strlen(*scheme) + 3;
        snprintf(host, bytes, "%.*s", (int)strcspn(endpoint, "/?#"), endpoint);
        return 0;
    }
    if (region && !aws_region_is_name(region))
        return credential_why(request, -EINVAL, "the region is no region's name");
    snprintf(host, bytes, "sts.%s%s%s", region ? region : "", region ? "." : "",
             aws_region_domain(region));
    return 0;
}

static int sts_sign(struct credential_request *request, const struct aws_role *role,
                    const struct http_credential *base, struct http_request *http,
                    struct http_text *text)
{
    const struct sigv4_input input = {.credential = base,
                                      .region = role->region ? role->region : "us-east-1",
                                      .service = "sts",
                                      .unix_s = request->world->unix_s(request->world->data),
                                      .flags = SIGV4_FOR_STS};
    struct sigv4 *signer = NULL;
    int status = sigv4_create(&signer);

    if (status == 0)
        status = sigv4_sign_header(signer, &input, http, text, NULL);
    sigv4_destroy(signer);
    if (status < 0)
        return credential_why(request, status, "the request could not be signed");
    return 0;
}

/* Posts the form, signed with `base` if it is not NULL. `text` holds the signed headers. */
static int sts_post(struct credential_request *request, const struct aws_role *role,
                    const struct secret_text *form, const struct http_credential *base,
                    struct secret_text *text, struct http_credential *out, const char *source)
{
    struct http_request http = {
        .method = "POST", .path = "/", .body = secret_text_get(form), .body_bytes = form->used};
    struct fetch_request fetch = {
        .method = "POST", .body = secret_text_get(form), .timeout_ms = STS_TIMEOUT_MS};
    struct fetch_response response = {0};
    struct http_text room;
    char host[256], url[300];
    const char *line;
    int status = sts_host(request, role->region, host, sizeof(host), &http.scheme);

    if (status < 0)
        return status;
    snprintf(url, sizeof(url), "%s://%s/", http.scheme, host);
    http.host = host;
    fetch.url = url;
    http_text_init(&room, text->base, text->room);
    http_request_header(&http, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    if (base && (status = sts_sign(request, role, base, &http, &room)) < 0)
        return status;
    for (uint32_t i = 0; i < http.header_count && i < FETCH_HEADERS_MAX; i++) {
        http_text_printf(&room, "%s: %s", http.headers[i].name, http.headers[i].value);
        if (http_text_end(&room, &line) < 0)
            return credential_why(request, -ENOBUFS, "the session token is too long");
        fetch.headers[i] = line;
    }
    status = credential_fetch(request, &fetch, &response);
    if (status == 0)
        status = sts_take(request, url, &response, out, source);
    fetch_response_finish(&response);
    return status;
}

static void form_add(struct secret_text *form, const char *name, const char *value)
{
    secret_text_printf(form, "%s%s=", form->used ? "&" : "", name);
    secret_text_add_encoded(form, value);
}

static void form_role(struct secret_text *form, const char *action, const struct aws_role *role)
{
    form_add(form, "Action", action);
    form_add(form, "Version", STS_VERSION);
    form_add(form, "RoleArn", role->arn);
    form_add(form, "RoleSessionName", role->session_name);
    if (role->external_id)
        form_add(form, "ExternalId", role->external_id);
    if (role->duration_s)
        secret_text_printf(form, "&DurationSeconds=%" PRIu64, role->duration_s);
}

static int sts_run(struct credential_request *request, const struct aws_role *role,
                   struct secret_text *form, const struct http_credential *base,
                   struct http_credential *out, const char *source)
{
    struct secret_text headers = {.base = calloc(1, SIGN_BYTES), .room = SIGN_BYTES};
    int status;

    if (form->failed || !headers.base)
        status = credential_why(request, -ENOMEM, "out of memory");
    else
        status = sts_post(request, role, form, base, &headers, out, source);
    secret_text_finish(&headers);
    secret_text_finish(form);
    return status;
}

int aws_assume_role(struct credential_request *request, const struct aws_role *role,
                    const struct http_credential *base, struct http_credential *out,
                    const char *source)
{
    struct secret_text form = {0};

    form_role(&form, "AssumeRole", role);
    return sts_run(request, role, &form, base, out, source);
}

int aws_assume_role_by_token(struct credential_request *request, const struct aws_role *role,
                             const char *token_file, struct http_credential *out,
                             const char *source)
{
    struct secret_text form = {0}, token = {0};
    int status = credential_token_file(request, token_file, &token);

    if (status == 0) {
        form_role(&form, "AssumeRoleWithWebIdentity", role);
        form_add(&form, "WebIdentityToken", secret_text_get(&token));
        status = sts_run(request, role, &form, NULL, out, source);
    }
    secret_text_finish(&token);
    return status;
}

int credential_aws_web_identity(struct credential_request *request, struct http_credential *out)
{
    const char *file = credential_get(request, CREDENTIAL_WEB_IDENTITY_TOKEN_FILE);
    const char *arn = credential_get(request, CREDENTIAL_ROLE_ARN);
    char session_name[128];
    struct aws_role role = {.arn = arn,
                            .session_name = session_name,
                            .region = credential_get(request, CREDENTIAL_REGION)};

    if (!file)
        return credential_why(request, CREDENTIAL_NOT_CONFIGURED, "no token file is named");
    if (!arn)
        return credential_why(request, -EINVAL, "a token file is named, but no role (%s)",
                              credential_key_variable(CREDENTIAL_ROLE_ARN));
    aws_session_name(request, credential_get(request, CREDENTIAL_ROLE_SESSION_NAME), session_name,
                     sizeof(session_name));
    return aws_assume_role_by_token(request, &role, file, out, "web identity");
}
