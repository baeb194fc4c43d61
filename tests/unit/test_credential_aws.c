/* SPDX-License-Identifier: MIT */
/*
 * AWS credentials of options, the environment, web identity (STS), containers (ECS, EKS) and the
 * instance metadata service: the requests as the vendor documents them, and every way not to get
 * any.
 *
 * LSIO_ROWS: H26
 */
#define _GNU_SOURCE
#include "credential_case.h"

#define STS                                                                                        \
    "https://"                                                                                     \
    "sts."
#define ECS                                                                                        \
    "http://"                                                                                      \
    "169.254.170.2"
#define IMDS                                                                                       \
    "http://"                                                                                      \
    "169.254.169.254/latest/"
#define ROLES   IMDS "meta-data/iam/security-credentials/"
#define TOKEN   "X-aws-ec2-metadata-token: hush0=="
#define TTL     "X-aws-ec2-metadata-token-ttl-seconds: 600"
#define KEYS    "\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"hush1\",\"Token\":\"hush2\","
#define ANSWER  "{" KEYS "\"Expiration\":\"" CASE_EXPIRES "\"}"
#define EXPIRED "{" KEYS "\"Expiration\":\"2025-12-31T23:59:59Z\"}"

static void keys(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_S3);

    (void)state;
    assert_int_equal(case_ask(c, credential_aws_options), CREDENTIAL_NOT_CONFIGURED);
    assert_int_equal(case_ask(c, credential_aws_environment), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "AWS_SECRET_ACCESS_KEY", "hush1");
    case_fails(c, credential_aws_environment, -EINVAL, "the access key id is missing");
    case_environment(c, "AWS_ACCESS_KEY_ID", "AKID");
    assert_int_equal(case_ask(c, credential_aws_environment), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "AKID", "hush1", NULL, 0);
    case_environment(c, "AWS_SESSION_TOKEN", "hush2");
    assert_int_equal(case_ask(c, credential_aws_environment), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "AKID", "hush1", "hush2", 0);
    assert_string_equal(c->out.source, "environment");

    /* A key by option is not completed by the environment. */
    case_option(c, CREDENTIAL_ACCESS_KEY_ID, "OTHER");
    assert_int_equal(case_ask(c, credential_aws_options), -EINVAL);
    case_option(c, CREDENTIAL_SECRET_ACCESS_KEY, "hush3");
    assert_int_equal(case_ask(c, credential_aws_options), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "OTHER", "hush3", NULL, 0);
    case_end(c);
}

/* ------------------------------------------------------------------------------ web identity -- */

#define STS_ANSWER(expires)                                                                        \
    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"            \
    "<AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>hush&amp;1</SecretAccessKey>"                \
    "<SessionToken>hush2</SessionToken><Expiration>" expires "</Expiration></Credentials>"         \
    "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
#define STS_REFUSAL                                                                                \
    "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code>"                   \
    "<Message>hush</Message></Error></ErrorResponse>"

static struct credential_case *web_begin(void)
{
    struct credential_case *c = case_begin(CREDENTIAL_S3);

    assert_int_equal(case_ask(c, credential_aws_web_identity), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "AWS_WEB_IDENTITY_TOKEN_FILE", case_file(c, "token", "hush+0/=\n"));
    return c;
}

static void web_expect(struct credential_case *c, const char *url, int status, const char *answer)
{
    case_expect(c,
                &(struct exchange){.method = "POST",
                                   .url = url,
                                   .proxied = true,
                                   .headers = {"Content-Type: application/x-www-form-urlencoded; "
                                               "charset=utf-8"},
                                   .body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
                                           "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Freader"
                                           "&RoleSessionName=lsio-1767225600"
                                           "&WebIdentityToken=hush%2B0%2F%3D",
                                   .status = status,
                                   .answer = answer});
}

static void web_identity(void **state)
{
    struct credential_case *c = web_begin();

    (void)state;
    case_fails(c, credential_aws_web_identity, -EINVAL, "AWS_ROLE_ARN");
    case_environment(c, "AWS_ROLE_ARN", "arn:aws:iam::1:role/reader");
    web_expect(c, STS "amazonaws.com/", 200, STS_ANSWER(CASE_EXPIRES));
    assert_int_equal(case_ask(c, credential_aws_web_identity), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "ASIA1", "hush&1", "hush2", CASE_EXPIRES_S);

    case_environment(c, "AWS_REGION", "cn-north-1");
    web_expect(c, STS "cn-north-1.amazonaws.com.cn/", 200, STS_ANSWER(CASE_EXPIRES));
    assert_int_equal(case_ask(c, credential_aws_web_identity), 0);
    case_environment(c, "AWS_REGION", "evil.example/");
    assert_int_equal(case_ask(c, credential_aws_web_identity), -EINVAL);
    case_environment(c, "AWS_ENDPOINT_URL_STS", "http://127.0.0.1:5000/");
    web_expect(c, "http://127.0.0.1:5000/", 200, STS_ANSWER(CASE_EXPIRES));
    assert_int_equal(case_ask(c, credential_aws_web_identity), 0);
    case_environment(c, "AWS_ENDPOINT_URL_STS", "ftp://127.0.0.1/");
    assert_int_equal(case_ask(c, credential_aws_web_identity), -EINVAL);
    case_end(c);
}

static void web_identity_fails(void **state)
{
    static const char *const broken[] = {
        "",
        "{}",
        "<a>",
        "<Credentials><AccessKeyId>A</AccessKeyId></Credentials>",
        STS_ANSWER("soon"),
        "<!DOCTYPE x [<!ENTITY e \"hush\">]>" STS_ANSWER(CASE_EXPIRES)};
    struct credential_case *c = web_begin();
    const char *url = "https://127.0.0.1/";

    (void)state;
    case_environment(c, "AWS_ROLE_ARN", "arn:aws:iam::1:role/reader");
    case_environment(c, "AWS_ENDPOINT_URL_STS", url);
    web_expect(c, url, 400, STS_REFUSAL);
    case_fails(c, credential_aws_web_identity, -EACCES,
               "127.0.0.1 answered 400 InvalidIdentityToken");
    web_expect(c, url, 403, "<html>");
    assert_int_equal(case_ask(c, credential_aws_web_identity), -EACCES);
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        web_expect(c, url, 200, broken[i]);
        case_fails(c, credential_aws_web_identity, LSIO_E_PROTOCOL, "not understood");
    }
    web_expect(c, url, 200, STS_ANSWER("2025-12-31T23:00:00Z"));
    case_fails(c, credential_aws_web_identity, -EACCES, "expired");
    for (int i = 0; i < 3; i++)
        case_expect(c, &(struct exchange){.result = -ETIMEDOUT});
    assert_int_equal(case_ask(c, credential_aws_web_identity), -ETIMEDOUT);
    case_environment(c, "AWS_WEB_IDENTITY_TOKEN_FILE", case_path(c, "absent"));
    assert_int_equal(case_ask(c, credential_aws_web_identity), -ENOENT);
    case_end(c);
}

/* --------------------------------------------------------------------------------- container -- */

static void container_expect(struct credential_case *c, const char *url, const char *header,
                             int status, const char *answer)
{
    case_expect(c, &(struct exchange){.method = "GET",
                                      .url = url,
                                      .headers = {"Accept: application/json", header},
                                      .status = status,
                                      .answer = answer});
}

static void container(void **state)
{
    static const char *const senseless[] = {
        "[]",
        "{\"AccessKeyId\":\"A\"}",
        "{" KEYS "\"Expiration\":\"soon\"}",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"hush\"}",
    };
    const char *uri = "http://"
                      "169.254.170.23/v1/c"; /* of EKS */
    struct credential_case *c = case_begin(CREDENTIAL_S3);

    (void)state;
    assert_int_equal(case_ask(c, credential_aws_container), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/id");
    container_expect(c, ECS "/v2/credentials/id", NULL, 200, ANSWER);
    assert_int_equal(case_ask(c, credential_aws_container), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "ASIA1", "hush1", "hush2", CASE_EXPIRES_S);
    assert_string_equal(c->out.source, "container");
    case_option(c, CREDENTIAL_CONTAINER_ENDPOINT, "http://127.0.0.1:99/");
    container_expect(c, "http://127.0.0.1:99/v2/credentials/id", NULL, 404, "{}");
    case_fails(c, credential_aws_container, -EACCES, "127.0.0.1 answered 404");
    case_environment(c, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "");

    /* EKS: a whole URI and a token, of which the file counts */
    case_environment(c, "AWS_CONTAINER_CREDENTIALS_FULL_URI", uri);
    case_environment(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush3");
    container_expect(c, uri, "Authorization: hush3", 200, ANSWER);
    assert_int_equal(case_ask(c, credential_aws_container), 0);
    case_environment(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", case_file(c, "t", "hush4\n"));
    container_expect(c, uri, "Authorization: hush4", 200, EXPIRED);
    case_fails(c, credential_aws_container, -EACCES, "expired");
    for (size_t i = 0; i < sizeof(senseless) / sizeof(senseless[0]); i++) {
        container_expect(c, uri, "Authorization: hush4", 200, senseless[i]);
        assert_int_equal(case_ask(c, credential_aws_container), LSIO_E_PROTOCOL);
    }
    case_says(c->request.why, "when it expires"); /* the last of them */
    for (int i = 0; i < 3; i++)
        case_expect(c, &(struct exchange){.result = -EHOSTUNREACH});
    assert_int_equal(case_ask(c, credential_aws_container), -EHOSTUNREACH);
    case_file(c, "t", "hush\nhush: x");
    assert_int_equal(case_ask(c, credential_aws_container), -EINVAL);
    case_environment(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "");
    case_environment(c, "AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush\r\nX: y");
    assert_int_equal(case_ask(c, credential_aws_container), -EINVAL);
    case_end(c);
}

/* A token must not go in clear to any host that a variable names. */
static void container_hosts(void **state)
{
    static const char *const refused[] = {"http://host.example/",
                                          "http://"
                                          "169.254.170.3/",
                                          "http://"
                                          "169.254.170.2@host.example/",
                                          "words"};
    static const char *const asked[] = {"https://host.example/",
                                        "http://127.0.0.1:1/",
                                        "http://localhost/",
                                        "http://"
                                        "[::1]/",
                                        "http://"
                                        "[fd00:ec2::23]/",
                                        ECS "/x"};
    struct credential_case *c = case_begin(CREDENTIAL_S3);

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        case_option(c, CREDENTIAL_CONTAINER_FULL_URI, refused[i]);
        assert_int_equal(case_ask(c, credential_aws_container), -EINVAL);
    }
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        case_option(c, CREDENTIAL_CONTAINER_FULL_URI, asked[i]);
        container_expect(c, asked[i], NULL, 200, ANSWER);
        assert_int_equal(case_ask(c, credential_aws_container), 0);
    }
    case_end(c);
}

/* -------------------------------------------------------------------------------------- imds -- */

static void imds_token(struct credential_case *c, int status, const char *answer)
{
    case_expect(c, &(struct exchange){.method = "PUT",
                                      .url = IMDS "api/token",
                                      .headers = {TTL},
                                      .status = status,
                                      .answer = answer});
}

static void imds_get(struct credential_case *c, const char *url, const char *header, int status,
                     const char *answer)
{
    case_expect(
        c,
        &(struct exchange){
            .method = "GET", .url = url, .headers = {header}, .status = status, .answer = answer});
}

/* The list of roles is asked for, with a token, and answered so. */
static void imds_roles(struct credential_case *c, int status, const char *answer)
{
    imds_token(c, 200, "hush0==");
    imds_get(c, ROLES, TOKEN, status, answer);
}

/* The one role's keys are, too. */
static void imds_reader(struct credential_case *c, const char *answer)
{
    imds_roles(c, 200, "reader\nother\n");
    imds_get(c, ROLES "reader", TOKEN, 200, answer);
}

static void imds(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_S3);

    (void)state;
    imds_reader(c, "{\"Code\":\"Success\"," KEYS "\"Expiration\":\"" CASE_EXPIRES "\"}");
    assert_int_equal(case_ask(c, credential_aws_imds), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "ASIA1", "hush1", "hush2", CASE_EXPIRES_S);

    /* A service that gave credentials once may not be gone: it is asked again, and then fails. */
    for (int i = 0; i < 3; i++)
        case_expect(c, &(struct exchange){.result = -ETIMEDOUT});
    assert_int_equal(case_ask(c, credential_aws_imds), -ETIMEDOUT);
    imds_roles(c, 404, "");
    case_fails(c, credential_aws_imds, -EACCES, "no role");
    case_forget(c);

    imds_roles(c, 404, "");
    case_fails(c, credential_aws_imds, CREDENTIAL_NOT_CONFIGURED, "no role");

    imds_reader(c, "{\"Code\":\"AssumeRoleUnauthorizedAccess\"}");
    case_fails(c, credential_aws_imds, -EACCES, "AssumeRoleUnauthorizedAccess");

    imds_roles(c, 200, "reader"); /* no line end */
    imds_get(c, ROLES "reader", TOKEN, 200, EXPIRED);
    assert_int_equal(case_ask(c, credential_aws_imds), -EACCES);

    imds_roles(c, 200, "<html> no role");
    assert_int_equal(case_ask(c, credential_aws_imds), LSIO_E_PROTOCOL);

    imds_roles(c, 401, "");
    assert_int_equal(case_ask(c, credential_aws_imds), -EACCES);

    imds_token(c, 200, "hush\r\nX: y");
    assert_int_equal(case_ask(c, credential_aws_imds), LSIO_E_PROTOCOL);
    case_end(c);
}

static void imds_absent(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_S3);

    (void)state;
    case_environment(c, "AWS_EC2_METADATA_DISABLED", "True");
    case_fails(c, credential_aws_imds, CREDENTIAL_NOT_CONFIGURED, "AWS_EC2_METADATA_DISABLED");
    case_environment(c, "AWS_EC2_METADATA_DISABLED", "");
    /* Who answers in another way is no metadata service. */
    imds_token(c, 404, "not found");
    assert_int_equal(case_ask(c, credential_aws_imds), CREDENTIAL_NOT_CONFIGURED);
    imds_token(c, 403, "");
    assert_int_equal(case_ask(c, credential_aws_imds), CREDENTIAL_NOT_CONFIGURED);
    /* Nobody there: that costs a second, once. */
    imds_token(c, 0, NULL);
    case_unanswered(c, credential_aws_imds);
    case_end(c);
}

static void imds_addresses(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_S3);

    (void)state;
    case_environment(c, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6");
    case_expect(c, &(struct exchange){.method = "PUT",
                                      .url = "http://"
                                             "[fd00:ec2::254]/latest/api/token",
                                      .headers = {TTL},
                                      .status = 400});
    assert_int_equal(case_ask(c, credential_aws_imds), CREDENTIAL_NOT_CONFIGURED);
    /* version 1: only where asked for */
    case_environment(c, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:99/");
    case_option(c, CREDENTIAL_IMDS_V1_FALLBACK, "true");
    case_expect(c, &(struct exchange){.method = "PUT",
                                      .url = "http://127.0.0.1:99/latest/api/token",
                                      .headers = {TTL},
                                      .status = 404});
    imds_get(c, "http://127.0.0.1:99/latest/meta-data/iam/security-credentials/", NULL, 200, "r");
    imds_get(c, "http://127.0.0.1:99/latest/meta-data/iam/security-credentials/r", NULL, 200,
             ANSWER);
    assert_int_equal(case_ask(c, credential_aws_imds), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "ASIA1", "hush1", "hush2", CASE_EXPIRES_S);
    case_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),
        cmocka_unit_test(web_identity),
        cmocka_unit_test(web_identity_fails),
        cmocka_unit_test(container),
        cmocka_unit_test(container_hosts),
        cmocka_unit_test(imds),
        cmocka_unit_test(imds_absent),
        cmocka_unit_test(imds_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
