/* SPDX-License-Identifier: MIT */
/*
 * chain.c: who is asked before whom, that a set comes whole from one place, that a place which is
 * set up and fails ends the search, that nothing set up means anonymous, and what the report says.
 * Also the application's callback.
 */
#define _GNU_SOURCE
#include "credential_case.h"

#define USER                                                                                       \
    "{\"type\":\"authorized_user\",\"client_id\":\"i\",\"client_secret\":\"hush\","                \
    "\"refresh_token\":\"hush\"}"

/* Nobody answers at the metadata service. */
static void nobody(struct credential_case *c)
{
    case_expect(c, &(struct exchange){.result = -ETIMEDOUT});
}

static void gives(struct credential_case *c, const char *source)
{
    int status = case_run(c);

    if (status != 0)
        fail_msg("%d instead of %s: %s", status, source, c->report);
    assert_string_equal(c->out.source, source);
}

static void anonymous(void **state)
{
    static const enum credential_store stores[] = {CREDENTIAL_S3, CREDENTIAL_GCS, CREDENTIAL_AZURE};
    static const char *const last[] = {"instance metadata: 169.254.169.254 does not",
                                       "metadata server: 169.254.169.254 does not",
                                       "managed identity: 169.254.169.254 does not"};
    struct credential_case *c;

    (void)state;
    for (int i = 0; i < 3; i++) {
        c = case_begin(stores[i]);
        nobody(c);
        /* The URL is not compared, so the sentence names the real host. */
        gives(c, "anonymous");
        assert_int_equal(c->out.kind, HTTP_CREDENTIAL_NONE);
        case_says(c->report, "options: no ");
        case_says(c->report, last[i]);
        gives(c, "anonymous"); /* and the service is not asked a second time */
        case_end(c);
    }
    c = case_begin(CREDENTIAL_HTTP);
    gives(c, "anonymous");
    case_end(c);
}

static void anonymous_by_wish(void **state)
{
    static const struct {
        enum credential_store store;
        const char *variable;
        enum credential_key key;
    } wishes[] = {
        {CREDENTIAL_S3, "AWS_NO_SIGN_REQUEST", CREDENTIAL_AWS_ANONYMOUS},
        {CREDENTIAL_S3, "AWS_SKIP_SIGNATURE", CREDENTIAL_AWS_ANONYMOUS},
        {CREDENTIAL_GCS, "GS_NO_SIGN_REQUEST", CREDENTIAL_GOOGLE_ANONYMOUS},
        {CREDENTIAL_AZURE, "AZURE_NO_SIGN_REQUEST", CREDENTIAL_AZURE_ANONYMOUS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        struct credential_case *c = case_begin(wishes[i].store);

        case_environment(c, "AWS_ACCESS_KEY_ID", "AKID");
        case_environment(c, "AWS_SECRET_ACCESS_KEY", "hush");
        case_environment(c, wishes[i].variable, "YES");
        gives(c, "anonymous");
        case_says(c->report, "asked for");
        case_end(c);
        c = case_begin(wishes[i].store);
        case_option(c, wishes[i].key, "true");
        gives(c, "anonymous");
        case_end(c);
    }
}

static void sts_expect(struct credential_case *c)
{
    case_expect(c, &(struct exchange){.result = -EIO});
    case_expect(c, &(struct exchange){.result = -EIO});
    case_expect(c, &(struct exchange){.result = -EIO});
}

/* From the last place to the first: each that is set up hides those behind it. */
static void order_s3(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_S3);

    (void)state;
    case_environment(c, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/");
    case_expect(c, &(struct exchange){.method = "GET",
                                      .url = "http://127.0.0.1:1/",
                                      .headers = {"Accept: application/json"},
                                      .answer = "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"h\","
                                                "\"Expiration\":\"" CASE_EXPIRES "\"}"});
    gives(c, "container");
    case_file(c, ".aws/credentials",
              "[default]\naws_access_key_id=A\naws_secret_access_key=hush\n"
              "[other]\naws_access_key_id=O\naws_secret_access_key=hush\n");
    gives(c, "profile");
    case_environment(c, "AWS_WEB_IDENTITY_TOKEN_FILE", case_file(c, "t", "hush"));
    case_environment(c, "AWS_ROLE_ARN", "arn");
    sts_expect(c);
    assert_int_equal(case_run(c), -EIO);
    case_says(c->report, "environment: no access key; web identity: sts.");
    assert_null(strstr(c->report, "profile:"));
    case_environment(c, "AWS_ACCESS_KEY_ID", "E");
    case_environment(c, "AWS_SECRET_ACCESS_KEY", "hush");
    gives(c, "environment");
    case_option(c, CREDENTIAL_PROFILE, "other");
    gives(c, "profile");
    assert_string_equal(c->out.id, "O");
    case_option(c, CREDENTIAL_ACCESS_KEY_ID, "X");
    case_option(c, CREDENTIAL_SECRET_ACCESS_KEY, "hush");
    gives(c, "options");
    case_end(c);
}

static void order_azure(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_AZURE);

    (void)state;
    case_environment(c, "AZURE_STORAGE_ACCOUNT", "acct");
    case_environment(c, "AZURE_STORAGE_CONNECTION_STRING", "AccountName=acct;AccountKey=aGVu");
    gives(c, "environment");
    assert_int_equal(c->out.kind, HTTP_CREDENTIAL_AZURE_KEY);
    assert_string_equal(c->out.id, "acct");
    case_environment(c, "AZURE_STORAGE_SAS_TOKEN", "sig=hush");
    gives(c, "environment");
    assert_int_equal(c->out.kind, HTTP_CREDENTIAL_AZURE_SAS);
    case_environment(c, "AZURE_STORAGE_KEY", "aHVzaA==");
    gives(c, "environment");
    assert_string_equal(c->out.id, "acct");
    case_option(c, CREDENTIAL_AZURE_SAS, "sig=hush");
    gives(c, "options");
    assert_int_equal(c->out.kind, HTTP_CREDENTIAL_AZURE_SAS);
    case_end(c);
}

static void order_gcs(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_GCS);

    (void)state;
    case_file(c, ".config/gcloud/application_default_credentials.json", USER);
    case_expect(c, &(struct exchange){.result = LSIO_E_TLS});
    assert_int_equal(case_run(c), LSIO_E_TLS);
    case_says(c->report, "application default: ");
    case_environment(c, "GOOGLE_APPLICATION_CREDENTIALS", case_path(c, "absent"));
    assert_int_equal(case_run(c), -ENOENT);
    case_says(c->report, "environment: ");
    case_environment(c, "GS_ACCESS_KEY_ID", "GOOG1");
    case_environment(c, "GS_SECRET_ACCESS_KEY", "hush");
    gives(c, "environment");
    case_option(c, CREDENTIAL_GOOGLE_TOKEN, "hush");
    gives(c, "options");
    case_end(c);
}

/* The whole search ends by its deadline, whatever hangs. */
static void deadline(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_S3);

    (void)state;
    case_environment(c, "AWS_WEB_IDENTITY_TOKEN_FILE", case_file(c, "t", "hush"));
    case_environment(c, "AWS_ROLE_ARN", "arn");
    case_environment(c, "AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1");
    c->request.deadline_ms = c->now_ms + 15000;
    for (int i = 0; i < 2; i++)
        case_expect(
            c, &(struct exchange){.method = "POST",
                                  .url = "http://127.0.0.1:1/",
                                  .proxied = true,
                                  .headers = {"Content-Type: application/x-www-form-urlencoded; "
                                              "charset=utf-8"},
                                  .body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
                                          "&RoleArn=arn&RoleSessionName=lsio-1767225600"
                                          "&WebIdentityToken=hush",
                                  .result = -ETIMEDOUT});
    assert_int_equal(case_run(c), -ETIMEDOUT);
    assert_int_equal(c->now_ms, c->request.deadline_ms);
    case_end(c);
}

static void report_is_cut(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_S3);
    char small[24];

    (void)state;
    case_environment(c, "AWS_EC2_METADATA_DISABLED", "true");
    assert_int_equal(credential_chain_run(&c->request, &c->out, small, sizeof(small)), 0);
    assert_int_equal(strlen(small), sizeof(small) - 1);
    case_end(c);
}

/* ------------------------------------------------------------------------------- application -- */

static struct lsio_credential application;
static int application_status;

static int ask_application(void *data, struct lsio_credential *answer)
{
    assert_ptr_equal(data, &application);
    *answer = application;
    return application_status;
}

static void callback_kind(enum credential_store store, const struct lsio_credential *answer,
                          int status, enum http_credential_kind kind)
{
    struct credential_case *c = case_begin(store);

    c->settings.callback = ask_application;
    c->settings.callback_data = &application;
    application = *answer;
    assert_int_equal(case_run(c), status);
    assert_int_equal(c->out.kind, kind);
    if (status == 0)
        case_given(c, kind, answer->id, answer->secret, answer->token, answer->expires_unix_s);
    else
        case_says(c->report, "callback: ");
    case_end(c);
}

static void callback(void **state)
{
    const struct lsio_credential keys = {.id = "I", .secret = "hush1"};
    const struct lsio_credential session = {
        .id = "I", .secret = "hush1", .token = "hush2", .expires_unix_s = CASE_EXPIRES_S};
    const struct lsio_credential token = {.token = "hush", .expires_unix_s = CASE_EXPIRES_S};
    const struct lsio_credential signature = {.token = "sv=1&sig=hush"};
    const struct lsio_credential half = {.id = "I"};
    const struct lsio_credential nothing = {0};
    const struct lsio_credential old = {.token = "hush", .expires_unix_s = CASE_NOW_S};

    (void)state;
    application_status = 0;
    callback_kind(CREDENTIAL_S3, &session, 0, HTTP_CREDENTIAL_AWS);
    callback_kind(CREDENTIAL_GCS, &keys, 0, HTTP_CREDENTIAL_GS_HMAC);
    callback_kind(CREDENTIAL_AZURE, &keys, 0, HTTP_CREDENTIAL_AZURE_KEY);
    callback_kind(CREDENTIAL_GCS, &token, 0, HTTP_CREDENTIAL_BEARER);
    callback_kind(CREDENTIAL_AZURE, &token, 0, HTTP_CREDENTIAL_BEARER);
    callback_kind(CREDENTIAL_HTTP, &token, 0, HTTP_CREDENTIAL_BEARER);
    callback_kind(CREDENTIAL_AZURE, &signature, 0, HTTP_CREDENTIAL_AZURE_SAS);
    callback_kind(CREDENTIAL_S3, &token, -EINVAL, HTTP_CREDENTIAL_NONE);
    callback_kind(CREDENTIAL_HTTP, &keys, -EINVAL, HTTP_CREDENTIAL_NONE);
    callback_kind(CREDENTIAL_S3, &half, -EINVAL, HTTP_CREDENTIAL_NONE);
    callback_kind(CREDENTIAL_GCS, &nothing, -EINVAL, HTTP_CREDENTIAL_NONE);
    callback_kind(CREDENTIAL_GCS, &old, -EACCES, HTTP_CREDENTIAL_NONE);
    application_status = -EPERM;
    callback_kind(CREDENTIAL_S3, &keys, -EPERM, HTTP_CREDENTIAL_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anonymous),     cmocka_unit_test(anonymous_by_wish),
        cmocka_unit_test(order_s3),      cmocka_unit_test(order_azure),
        cmocka_unit_test(order_gcs),     cmocka_unit_test(deadline),
        cmocka_unit_test(report_is_cut), cmocka_unit_test(callback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
