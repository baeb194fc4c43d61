/* SPDX-License-Identifier: MIT */
/*
 * Options that show in what is sent, or in who is asked: by requests for objects and by those for
 * credentials.
 */
#define _GNU_SOURCE
#include "http_case.h"

#include <unistd.h>

enum { ID = 61, SIZE = 1000 };

static char file_path[] = "/tmp/lsio-test-file-XXXXXX";

static void file_write(const char *text)
{
    FILE *file = fopen(file_path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void unsigned_payload(void **state)
{
    struct http_case *c = *state;

    http_case_serve(c, &(struct server_config){.style = SERVER_S3});
    http_case_put(c, "/bucket/k", ID, SIZE);
    http_case_open_s3(c, NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_string_equal(http_case_header(c, 0, "x-amz-content-sha256"), EMPTY_SHA256);
    http_case_open_s3(c, "unsigned_payload=true");
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_string_equal(http_case_header(c, 1, "x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
    assert_non_null(strstr(http_case_header(c, 1, "authorization"), "x-amz-content-sha256"));
}

/* The profile is the one that options name, in whatever case, of the file that they name. */
static void profile_of_the_options(void **state)
{
    struct http_case *c = *state;
    char text[256], file[64];

    http_case_serve(c, &(struct server_config){.style = SERVER_S3});
    http_case_put(c, "/bucket/k", ID, SIZE);
    snprintf(text, sizeof(text),
             "[default]\nendpoint_url = http://127.0.0.1:1\n"
             "[profile x]\nservices = local\nendpoint_url = http://127.0.0.1:2\n"
             "[services local]\ns3 =\n  endpoint_url = %s\n",
             server_url(c->server));
    file_write(text);
    snprintf(file, sizeof(file), "AWS_Config_File=%s", file_path);
    http_case_open(c, "s3://bucket", "no_sign_request=true", "AWS_PROFILE=x", file, NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
    http_case_open(c, "/vsis3/bucket", "no_sign_request=true", "aws_profile=x", file, NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
}

/* ---------------------------------------------------------------- the servers of credentials -- */

#define STS_ANSWER                                                                                 \
    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"            \
    "<AccessKeyId>first</AccessKeyId><SecretAccessKey>word</SecretAccessKey>"                      \
    "<SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"              \
    "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"

/* Opens a store of the test's server, whose credentials come from `sts`; two more options. */
static void open_with_sts(struct http_case *c, const char *sts, const char *option,
                          const char *other)
{
    char file[64], server[96];

    file_write("word");
    snprintf(file, sizeof(file), "web_identity_token_file=%s", file_path);
    snprintf(server, sizeof(server), "endpoint_url_sts=%s", sts);
    http_case_open(c, "s3://bucket", "endpoint=%s", "role_arn=arn", file, server, option, other,
                   NULL);
}

static void serve_both(struct http_case *c, const struct server_config *config)
{
    const struct server_route sts = {.method = "POST", .path = "/", .body = STS_ANSWER};

    http_case_serve(c, config);
    http_case_put(c, "/bucket/k", ID, SIZE);
    assert_int_equal(server_route(c->server, &sts), 0);
}

static void resolve_is_for_token_servers_too(void **state)
{
    struct http_case *c = *state;
    char url[64], resolve[64];

    serve_both(c, &(struct server_config){.style = SERVER_S3});
    snprintf(url, sizeof(url), "http://sts.example:%u", server_port(c->server));
    snprintf(resolve, sizeof(resolve), "resolve=sts.example:%u:127.0.0.1", server_port(c->server));
    open_with_sts(c, url, resolve, NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_string_equal(http_case_header(c, 1, "x-amz-security-token"), "token");
}

/* The store's own server may be anybody, if the user says so; who gives out keys may not. */
static void insecure_is_for_the_stores_server(void **state)
{
    const struct server_config config = {.style = SERVER_S3, .identity = SERVER_TLS_SELF_SIGNED};
    const struct server_route sts = {.method = "POST", .path = "/", .body = STS_ANSWER};
    struct http_case *c = *state;
    struct server *other;

    serve_both(c, &config);
    assert_int_equal(server_create(&config, &other), 0);
    assert_int_equal(server_route(other, &sts), 0);
    open_with_sts(c, server_url(c->server), "insecure=true", NULL);
    http_case_expect(c, "k", ID, 0, SIZE);
    assert_int_equal(http_case_requests(c), 2);
    open_with_sts(c, server_url(other), "insecure=true", NULL);
    assert_true(http_case_read(c, "k", 0, 10) < 0);
    assert_non_null(strstr(c->error.text, "could not be authenticated (TLS)"));
    assert_int_equal(server_request_count(other), 0);
    assert_int_equal(http_case_requests(c), 2);
    server_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsigned_payload),
        cmocka_unit_test(profile_of_the_options),
        cmocka_unit_test(resolve_is_for_token_servers_too),
        cmocka_unit_test(insecure_is_for_the_stores_server),
    };
    int fd = mkstemp(file_path), failed;

    if (fd < 0 || close(fd) < 0)
        return 1;
    failed = http_case_run("http_settings", tests, COUNT(tests));
    return unlink(file_path) < 0 ? 1 : failed;
}
