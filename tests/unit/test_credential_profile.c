/* SPDX-License-Identifier: MIT */
/*
 * AWS profiles: both files and how they combine, roles assumed in chains (their signatures checked
 * against botocore's), single sign-on by a cached token, credential_process.
 */
#define _GNU_SOURCE
#include "credential_case.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "driver/http/credential/aws_profile.h"

#define FORM_TYPE "Content-Type: application/x-www-form-urlencoded; charset=utf-8"
#define STS_HOST  "amazonaws.com"

static struct credential_case *profile_begin(const char *config, const char *credentials)
{
    struct credential_case *c = case_begin(CREDENTIAL_S3);

    if (config)
        case_file(c, ".aws/config", config);
    if (credentials)
        case_file(c, ".aws/credentials", credentials);
    return c;
}

static int ask_as(struct credential_case *c, const char *name)
{
    case_environment(c, "AWS_PROFILE", name);
    return case_ask(c, credential_aws_profile);
}

/* Fails, with such a status and words in its sentence. */
static void fails(struct credential_case *c, const char *name, int status, const char *words)
{
    int got = ask_as(c, name);

    if (got != status)
        fail_msg("%s: %d, not %d: %s", name, got, status, c->request.why);
    case_says(c->request.why, words);
    case_says(c->request.why, name);
    assert_int_equal(c->out.kind, HTTP_CREDENTIAL_NONE);
}

static void keys(void **state)
{
    struct credential_case *c = profile_begin(
        "[default]\nregion = eu-west-1\n"
        "[profile conf]\naws_access_key_id = CONF\naws_secret_access_key = hush1 # words\n"
        "[profile both]\naws_access_key_id = CONF\naws_secret_access_key = hush1\n"
        "aws_session_token = hush2\n"
        "[conf]\naws_access_key_id = WRONG\naws_secret_access_key = hush0\n"
        "[profile \"in quotes\"]\nAWS_ACCESS_KEY_ID=Q\naws_secret_access_key=hush3\n"
        "s3 =\n  aws_access_key_id = NESTED\n"
        "[profile half]\naws_access_key_id = HALF\n"
        "[profile empty]\n",
        "[both]\naws_access_key_id = CRED\naws_secret_access_key = hush4\n"
        "[cred]\naws_access_key_id = CRED1\naws_secret_access_key = hush5\n"
        "aws_session_token = hush6\n"
        "[cred]\naws_access_key_id = CRED2\n");

    (void)state;
    assert_int_equal(case_ask(c, credential_aws_profile), CREDENTIAL_NOT_CONFIGURED);
    assert_int_equal(case_ask(c, credential_aws_profile_option), CREDENTIAL_NOT_CONFIGURED);
    assert_int_equal(ask_as(c, "conf"), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "CONF", "hush1", NULL, 0);
    assert_int_equal(ask_as(c, "both"), 0); /* whole from one file: without the token */
    case_given(c, HTTP_CREDENTIAL_AWS, "CRED", "hush4", NULL, 0);
    assert_int_equal(ask_as(c, "cred"), 0); /* two sections are one */
    case_given(c, HTTP_CREDENTIAL_AWS, "CRED2", "hush5", "hush6", 0);
    assert_int_equal(ask_as(c, "in quotes"), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "Q", "hush3", NULL, 0);
    assert_string_equal(c->out.source, "profile");
    fails(c, "half", -EINVAL, "aws_secret_access_key is missing");
    fails(c, "absent", -ENOENT, "no such profile");
    assert_int_equal(ask_as(c, "empty"), CREDENTIAL_NOT_CONFIGURED);

    /* An option's profile comes with no way out. */
    case_option(c, CREDENTIAL_PROFILE, "empty");
    assert_int_equal(case_ask(c, credential_aws_profile_option), -EACCES);
    case_option(c, CREDENTIAL_PROFILE, "cred");
    assert_int_equal(case_ask(c, credential_aws_profile_option), 0);
    assert_string_equal(c->out.id, "CRED2");
    case_end(c);
}

static void files(void **state)
{
    struct credential_case *c = profile_begin(NULL, NULL);
    struct aws_profile profile = {.found = false};

    (void)state;
    assert_int_equal(case_ask(c, credential_aws_profile), CREDENTIAL_NOT_CONFIGURED);
    /* [profile default] counts more than [default], whichever comes first. */
    case_environment(c, "AWS_CONFIG_FILE",
                     case_file(c, "elsewhere",
                               "[profile default]\nregion = long\n"
                               "[default]\nregion = short\n"));
    assert_int_equal(aws_profile_load(&c->request, "default", &profile), 0);
    assert_string_equal(aws_profile_get(&profile, AWS_PROFILE_REGION), "long");
    aws_profile_finish(&profile);
    case_file(c, "elsewhere",
              "[default]\nregion = short\nrole_arn = r\n"
              "[profile default]\nregion = long\n");
    assert_int_equal(aws_profile_load(&c->request, "default", &profile), 0);
    assert_string_equal(aws_profile_get(&profile, AWS_PROFILE_REGION), "long");
    assert_null(aws_profile_get(&profile, AWS_PROFILE_ROLE_ARN));
    aws_profile_finish(&profile);
    case_file(c, "creds", "[default]\naws_access_key_id=A\naws_secret_access_key=hush\n");
    case_environment(c, "AWS_SHARED_CREDENTIALS_FILE", "~/creds");
    assert_int_equal(case_ask(c, credential_aws_profile), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "A", "hush", NULL, 0);
    case_environment(c, "AWS_CONFIG_FILE", "/dev/null"); /* none, and no error */
    assert_int_equal(case_ask(c, credential_aws_profile), 0);
    case_environment(c, "AWS_CONFIG_FILE", c->directory);
    case_fails(c, credential_aws_profile, -EISDIR, "cannot read");
    case_end(c);
}

/* What a store asks for while it reads its settings. */
static void early(void **state)
{
    struct credential_case *c =
        profile_begin("[default]\nregion = one\ns3 =\n  endpoint_url = https://server/not-here\n"
                      "[profile x]\nregion = two\nca_bundle = /ca.pem\nservices = own\n"
                      "s3 =\n  addressing_style = path\n  use_dualstack_endpoint = true\n"
                      "[services own]\nendpoint_url = https://server/nor-here\n"
                      "sts =\n  endpoint_url = https://server/sts\n"
                      "s3 =\n  endpoint_url = https://server/s3\n"
                      "[profile y]\nservices = absent\n",
                      NULL);
    struct aws_profile profile = {.found = false};
    char why[128] = "";

    (void)state;
    assert_int_equal(aws_profile_load_early(&profile, &c->settings, NULL, 0), 0);
    assert_string_equal(aws_profile_value(&profile, "region"), "one");
    assert_null(aws_profile_value(&profile, "ca_bundle"));
    assert_null(aws_profile_value(&profile, "s3.endpoint_url")); /* only a services section's */
    assert_null(aws_profile_value(&profile, "no such name"));
    aws_profile_finish(&profile);
    case_environment(c, "AWS_PROFILE", "default");
    case_option(c, CREDENTIAL_PROFILE, "x"); /* counts more */
    assert_int_equal(aws_profile_load_early(&profile, &c->settings, NULL, 0), 0);
    assert_string_equal(aws_profile_value(&profile, "region"), "two");
    assert_string_equal(aws_profile_value(&profile, "ca_bundle"), "/ca.pem");
    assert_string_equal(aws_profile_value(&profile, "s3.endpoint_url"), "https://server/s3");
    assert_string_equal(aws_profile_value(&profile, "s3.addressing_style"), "path");
    assert_string_equal(aws_profile_value(&profile, "s3.use_dualstack_endpoint"), "true");
    assert_null(aws_profile_value(&profile, "use_dualstack_endpoint"));
    assert_null(aws_profile_value(&profile, "endpoint_url"));
    aws_profile_finish(&profile);
    case_option(c, CREDENTIAL_PROFILE, "y");
    assert_int_equal(aws_profile_load_early(&profile, &c->settings, NULL, 0), 0);
    assert_null(aws_profile_value(&profile, "s3.endpoint_url"));
    aws_profile_finish(&profile);
    case_option(c, CREDENTIAL_CONFIG_FILE, c->directory);
    assert_int_equal(aws_profile_load_early(&profile, &c->settings, why, sizeof(why)), -EISDIR);
    case_says(why, "cannot read");
    aws_profile_finish(&profile);
    case_end(c);
}

/* ------------------------------------------------------------------------------------- roles -- */

#define STS_ANSWER(id, secret, token)                                                              \
    "<AssumeRoleResponse xmlns=\"urn:sts\"><AssumeRoleResult><Credentials><AccessKeyId>" id        \
    "</AccessKeyId><SecretAccessKey>" secret "</SecretAccessKey><SessionToken>" token              \
    "</SessionToken><Expiration>" CASE_EXPIRES "</Expiration></Credentials><AssumedRoleUser>"      \
    "<Arn>a</Arn></AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"

static const char roles[] =
    "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = secret/base+key\n"
    "[profile near]\nrole_arn = arn:aws:iam::1:role/reader\nsource_profile = base\n"
    "region = eu-west-1\n"
    "[profile far]\nrole_arn = arn:aws:iam::1:role/far\nsource_profile = near\n"
    "role_session_name = s@x\nexternal_id = ex id\nduration_seconds = 900\n"
    "[profile self]\nrole_arn = arn:aws:iam::1:role/reader\nsource_profile = self\n"
    "region = eu-west-1\n"
    "aws_access_key_id = AKIDBASE\naws_secret_access_key = secret/base+key\n"
    "[profile by env]\nrole_arn = arn:aws:iam::1:role/reader\ncredential_source = Environment\n"
    "region = eu-west-1\n"
    "[profile by web]\nrole_arn = arn:aws:iam::1:role/web\nweb_identity_token_file = /absent\n"
    "[profile circle]\nrole_arn = r\nsource_profile = circle2\n"
    "[profile circle2]\nrole_arn = r\nsource_profile = circle\n"
    "[profile lost]\nrole_arn = r\nsource_profile = nobody\n"
    "[profile bare]\nrole_arn = r\n"
    "[profile mfa]\nrole_arn = r\nsource_profile = base\nmfa_serial = 1\n"
    "[profile odd]\nrole_arn = r\ncredential_source = Moon\n";

/* The signature is botocore's for the same request at the same time. */
static void expect_near(struct credential_case *c)
{
    case_expect(
        c, &(struct exchange){
               .method = "POST",
               .url = "https://"
                      "sts.eu-west-1." STS_HOST "/",
               .proxied = true,
               .headers = {FORM_TYPE, "X-Amz-Date: 20260101T000000Z",
                           "Authorization: AWS4-HMAC-SHA256 "
                           "Credential=AKIDBASE/20260101/eu-west-1/sts/aws4_request, "
                           "SignedHeaders=content-type;host;x-amz-date, "
                           "Signature=bad9cf4bc84b37b779b4cca38cd0576361c454bb23ccd9bb954e3628b7655"
                           "63e"},
               .body = "Action=AssumeRole&Version=2011-06-15"
                       "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Freader"
                       "&RoleSessionName=lsio-1767225600",
               .answer = STS_ANSWER("ASIA1", "S1", "T1")});
}

static void role(void **state)
{
    static const char *const names[] = {"near", "self", "by env"};
    struct credential_case *c = profile_begin(roles, NULL);

    (void)state;
    case_environment(c, "AWS_ACCESS_KEY_ID", "AKIDBASE");
    case_environment(c, "AWS_SECRET_ACCESS_KEY", "secret/base+key");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        expect_near(c);
        assert_int_equal(ask_as(c, names[i]), 0);
        case_given(c, HTTP_CREDENTIAL_AWS, "ASIA1", "S1", "T1", CASE_EXPIRES_S);
    }
    case_end(c);
}

static void role_chain(void **state)
{
    struct credential_case *c = profile_begin(roles, NULL);

    (void)state;
    expect_near(c);
    case_expect(
        c, &(struct exchange){
               .method = "POST",
               .url = "https://"
                      "sts." STS_HOST "/",
               .proxied = true,
               .headers = {FORM_TYPE, "X-Amz-Date: 20260101T000000Z", "X-Amz-Security-Token: T1",
                           "Authorization: AWS4-HMAC-SHA256 "
                           "Credential=ASIA1/20260101/us-east-1/sts/aws4_request, "
                           "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, "
                           "Signature=01b8ee156d555ee4fc58db329e19aaf26c8978f50263e186f7373e438fd50"
                           "cfb"},
               .body = "Action=AssumeRole&Version=2011-06-15"
                       "&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Ffar&RoleSessionName=s%40x"
                       "&ExternalId=ex%20id&DurationSeconds=900",
               .answer = STS_ANSWER("ASIA2", "hush1", "hush2")});
    assert_int_equal(ask_as(c, "far"), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "ASIA2", "hush1", "hush2", CASE_EXPIRES_S);
    case_end(c);
}

static void role_fails(void **state)
{
    struct credential_case *c = profile_begin(roles, NULL);

    (void)state;
    fails(c, "by web", -ENOENT, "/absent");
    fails(c, "circle", -ELOOP, "leads back");
    fails(c, "lost", -ENOENT, "nobody");
    fails(c, "bare", -EINVAL, "source_profile");
    fails(c, "mfa", -EINVAL, "mfa_serial");
    fails(c, "odd", -EINVAL, "credential_source");
    fails(c, "by env", -EACCES, "no access key"); /* the role is set up, its source is not */
    expect_near(c);
    c->exchanges[0].status = 403;
    c->exchanges[0].answer = "<ErrorResponse><Error><Code>AccessDenied</Code>"
                             "<Message>hush</Message></Error></ErrorResponse>";
    fails(c, "near", -EACCES, "answered 403 AccessDenied");
    case_end(c);
}

/* ------------------------------------------------------------------------------ single sign-on --
 */

static const char sso[] = "[profile old]\nsso_start_url = https://host.example/start\n"
                          "sso_region = eu-west-1\nsso_account_id = 123\nsso_role_name = Reader X\n"
                          "[profile new]\nsso_session = work\nsso_account_id = 123\n"
                          "sso_role_name = Reader X\n"
                          "[sso-session work]\nsso_region = eu-west-1\n"
                          "sso_start_url = https://host.example/start\n"
                          "[profile part]\nsso_start_url = https://host.example/start\n";
/* SHA-1 of "https://host.example/start" and of "work" */
#define CACHE_OLD ".aws/sso/cache/d5d5a98214ff713a9acb08b078deedd2e35bc14d.json"
#define CACHE_NEW ".aws/sso/cache/e274eeff768c6396088ec6eb091f4bf4d47ab1e0.json"
#define TOKEN     "{\"accessToken\":\"hush0\",\"expiresAt\":\"2026-01-01T08:00:00UTC\"}"

static void sso_expect(struct credential_case *c, int status, const char *answer)
{
    case_expect(c, &(struct exchange){.method = "GET",
                                      .url = "https://"
                                             "portal.sso.eu-west-1." STS_HOST
                                             "/federation/credentials?role_name=Reader%20X"
                                             "&account_id=123",
                                      .proxied = true,
                                      .headers = {"x-amz-sso_bearer_token: hush0"},
                                      .status = status,
                                      .answer = answer});
}

static void single_sign_on(void **state)
{
    static const char answer[] =
        "{\"roleCredentials\":{\"accessKeyId\":\"ASIA1\",\"secretAccessKey\":\"hush1\","
        "\"sessionToken\":\"hush2\",\"expiration\":1767229200000}}";
    struct credential_case *c = profile_begin(sso, NULL);

    (void)state;
    fails(c, "old", -ENOENT, "aws sso login");
    case_file(c, CACHE_OLD, TOKEN);
    sso_expect(c, 200, answer);
    assert_int_equal(ask_as(c, "old"), 0);
    case_given(c, HTTP_CREDENTIAL_AWS, "ASIA1", "hush1", "hush2", CASE_EXPIRES_S);
    assert_string_equal(c->out.source, "sso");
    fails(c, "new", -ENOENT, "aws sso login");
    case_file(c, CACHE_NEW, TOKEN);
    sso_expect(c, 200, answer);
    assert_int_equal(ask_as(c, "new"), 0);

    sso_expect(c, 401, "{\"message\":\"hush\"}");
    fails(c, "new", -EACCES, "aws sso login");
    sso_expect(c, 403, "{}");
    fails(c, "new", -EACCES, "answered 403");
    sso_expect(c, 200, "{}");
    fails(c, "new", LSIO_E_PROTOCOL, "no credentials");
    sso_expect(c, 200, "hush");
    fails(c, "new", LSIO_E_PROTOCOL, "not understood");
    case_file(c, CACHE_NEW, "{\"accessToken\":\"hush0\",\"expiresAt\":\"2025-12-31T00:00:00Z\"}");
    fails(c, "new", -EACCES, "has expired");
    case_file(c, CACHE_NEW, "{\"startUrl\":\"hush\"}");
    fails(c, "new", -EINVAL, "holds no SSO token");
    fails(c, "part", -EINVAL, "must all be set");
    case_file(c, CACHE_NEW, TOKEN);
    case_environment(c, "AWS_ENDPOINT_URL_SSO", "http://host.example");
    fails(c, "new", -EINVAL, "https");
    case_environment(c, "AWS_ENDPOINT_URL_SSO", "http://127.0.0.1:99/");
    sso_expect(c, 200, answer);
    c->exchanges[c->expected - 1].url = "http://127.0.0.1:99/federation/credentials"
                                        "?role_name=Reader%20X&account_id=123";
    assert_int_equal(ask_as(c, "new"), 0);
    case_end(c);
}

/* -------------------------------------------------------------------------- credential_process --
 */

#define OUTPUT                                                                                     \
    "{\"Version\":1,\"AccessKeyId\":\"PROC\",\"SecretAccessKey\":\"hush1\","                       \
    "\"SessionToken\":\"hush2\",\"Expiration\":\"2026-01-01T02:00:00+01:00\"}"

/* Processes take real time. */
static struct credential_case *process_begin(void)
{
    struct credential_case *c = profile_begin(NULL, NULL);
    struct credential_world real;

    credential_world_init(&real, NULL);
    c->world.now_ms = real.now_ms;
    c->world.pause_ms = real.pause_ms;
    c->request.deadline_ms = UINT64_MAX;
    return c;
}

/* A profile "p" whose process is this command, with the script's path in place of %s. */
static int ask_process(struct credential_case *c, const char *script)
{
    char config[4096];

    snprintf(config, sizeof(config), "[profile p]\ncredential_process = sh %s \"a b\" c=d\n",
             case_file(c, "script", script));
    case_file(c, ".aws/config", config);
    return ask_as(c, "p");
}

static void process(void **state)
{
    struct credential_case *c = process_begin();

    (void)state;
    /* Arguments arrive as the shell cuts them; there is no input to wait for. */
    assert_int_equal(ask_process(c, "[ \"$1|$2\" = 'a b|c=d' ] || exit 9\ncat\n"
                                    "echo '" OUTPUT "'\n"),
                     0);
    case_given(c, HTTP_CREDENTIAL_AWS, "PROC", "hush1", "hush2", CASE_EXPIRES_S);
    assert_string_equal(c->out.source, "credential_process");
    assert_int_equal(ask_process(c, "echo '{\"Version\":1,\"AccessKeyId\":\"P\","
                                    "\"SecretAccessKey\":\"hush\"}'"),
                     0);
    case_given(c, HTTP_CREDENTIAL_AWS, "P", "hush", NULL, 0);

    assert_int_equal(ask_process(c, "echo '" OUTPUT "'; exit 3"), -EACCES);
    case_says(c->request.why, "status 3");
    case_file(c, ".aws/config", "[profile p]\ncredential_process = kill -9 $$\n");
    assert_int_equal(ask_as(c, "p"), -EACCES);
    case_says(c->request.why, "signal 9");
    assert_int_equal(ask_process(c, "echo hush"), LSIO_E_PROTOCOL);
    case_says(c->request.why, "no JSON");
    assert_int_equal(ask_process(c, "echo '{\"Version\":2}'"), LSIO_E_PROTOCOL);
    case_says(c->request.why, "version");
    assert_int_equal(ask_process(c, "echo '{\"Version\":1}'"), LSIO_E_PROTOCOL);
    case_says(c->request.why, "no access key");
    assert_int_equal(ask_process(c, "exec cat /dev/zero"), -EFBIG);
    assert_int_equal(ask_process(c, "exec no-such-program 2>/dev/null"), -EACCES);
    case_says(c->request.why, "status 127");
    case_end(c);
}

/* Time flies: the process is over time after some reads of the clock. */
static uint64_t clock_flies(void *data)
{
    struct credential_case *c = data;

    return c->now_ms += 5000;
}

static void process_hangs(void **state)
{
    struct credential_case *c = process_begin();
    const char *pipe = case_path(c, "pipe");
    struct pollfd end = {.events = POLLIN};
    char script[5000];
    int writer;

    (void)state;
    /* It has a child, and both hold the pipe: it ends when both are gone. */
    assert_int_equal(mkfifo(pipe, 0600), 0);
    end.fd = open(pipe, O_RDONLY | O_NONBLOCK);
    writer = open(pipe, O_WRONLY | O_CLOEXEC);
    assert_true(end.fd >= 0 && writer >= 0);
    snprintf(script, sizeof(script), "exec 3>'%s'; sleep 600 & sleep 600", pipe);
    c->world.now_ms = clock_flies;
    assert_int_equal(ask_process(c, script), -ETIMEDOUT);
    case_says(c->request.why, "did not end in time");
    close(writer);
    assert_int_equal(poll(&end, 1, 30000), 1);
    assert_true(end.revents & POLLHUP);
    close(end.fd);
    case_end(c);
}

static void process_when_children_are_ignored(void **state)
{
    struct credential_case *c = process_begin();
    void (*before)(int) = signal(SIGCHLD, SIG_IGN);

    (void)state;
    assert_int_equal(ask_process(c, "echo '" OUTPUT "'"), 0);
    assert_string_equal(c->out.id, "PROC");
    signal(SIGCHLD, before);
    case_end(c);
}

static void precedence(void **state)
{
    struct credential_case *c = process_begin();

    (void)state;
    case_file(c, ".aws/config",
              "[profile p]\naws_access_key_id = CONF\naws_secret_access_key = hush\n"
              "credential_process = echo '{\"Version\":1,\"AccessKeyId\":\"PROC\","
              "\"SecretAccessKey\":\"hush\"}'\n");
    assert_int_equal(ask_as(c, "p"), 0);
    assert_string_equal(c->out.id, "PROC");
    case_file(c, ".aws/credentials",
              "[p]\naws_access_key_id = CRED\naws_secret_access_key = hush\n");
    assert_int_equal(ask_as(c, "p"), 0);
    assert_string_equal(c->out.id, "CRED");
    case_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),           cmocka_unit_test(files),
        cmocka_unit_test(early),          cmocka_unit_test(role),
        cmocka_unit_test(role_chain),     cmocka_unit_test(role_fails),
        cmocka_unit_test(single_sign_on), cmocka_unit_test(process),
        cmocka_unit_test(process_hangs),  cmocka_unit_test(process_when_children_are_ignored),
        cmocka_unit_test(precedence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
