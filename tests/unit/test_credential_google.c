/* SPDX-License-Identifier: MIT */
/*
 * Google credentials: tokens and HMAC keys that are given, service accounts (the signed assertion),
 * users' refresh tokens, the default file, the metadata server.
 *
 * LSIO_ROWS: H26
 */
#define _GNU_SOURCE
#include "credential_case.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "driver/http/sign/jwt.h"

#define TOKEN_URI                                                                                  \
    "https://"                                                                                     \
    "oauth2.googleapis.com/token"
#define METADATA "/computeMetadata/v1/instance/service-accounts/default/token"
#define SCOPE                                                                                      \
    "https://"                                                                                     \
    "www.googleapis.com/auth/devstorage.read_only"
#define TOKEN "{\"access_token\":\"hush9\",\"expires_in\":3600,\"token_type\":\"Bearer\"}"
#define USER                                                                                       \
    "{\"type\":\"authorized_user\",\"client_id\":\"id/1\",\"client_secret\":\"hush1\","            \
    "\"refresh_token\":\"1//hush2\",\"quota_project_id\":\"p\"}"
#define USER_FORM                                                                                  \
    "grant_type=refresh_token&client_id=id%2F1&client_secret=hush1&refresh_token=1%2F%2Fhush2"

static char pem[4096]; /* a key of this run */

static int key_make(void **state)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    int count;

    (void)state;
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    count = BIO_read(bio, pem, sizeof(pem) - 1);
    assert_true(count > 0);
    pem[count] = '\0';
    BIO_free(bio);
    EVP_PKEY_free(key);
    return 0;
}

/* The key as a JSON string holds it. */
static const char *pem_escaped(void)
{
    static char escaped[2 * sizeof(pem)];
    size_t used = 0;

    for (const char *at = pem; *at; at++) {
        if (*at == '\n') {
            escaped[used++] = '\\';
            escaped[used++] = 'n';
        } else {
            escaped[used++] = *at;
        }
    }
    escaped[used] = '\0';
    return escaped;
}

static const char *account_json(const char *token_uri)
{
    static char text[16384];

    snprintf(text, sizeof(text),
             "{\"type\":\"service_account\",\"project_id\":\"p\",\"private_key_id\":\"kid1\","
             "\"private_key\":\"%s\",\"client_email\":\"reader@example.com\"%s%s%s}",
             pem_escaped(), token_uri ? ",\"token_uri\":\"" : "", token_uri ? token_uri : "",
             token_uri ? "\"" : "");
    return text;
}

/* The form that must be sent: RS256 gives the same signature for the same claims. */
static const char *account_form(const char *audience)
{
    static char memory[8192], form[8192];
    const struct jwt_claims claims = {.key_id = "kid1",
                                      .issuer = "reader@example.com",
                                      .scope = SCOPE,
                                      .audience = audience,
                                      .issued_unix_s = CASE_NOW_S,
                                      .life_s = 3600};
    struct http_text text;
    const char *jwt;

    http_text_init(&text, memory, sizeof(memory));
    assert_int_equal(jwt_sign_rs256(&claims, pem, &text, &jwt), 0);
    snprintf(form, sizeof(form),
             "grant_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Agrant-type%%3Ajwt-bearer&assertion=%s",
             jwt);
    return form;
}

static void given(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_GCS);

    (void)state;
    assert_int_equal(case_ask(c, credential_google_options), CREDENTIAL_NOT_CONFIGURED);
    assert_int_equal(case_ask(c, credential_google_environment), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "GS_ACCESS_KEY_ID", "GOOG1");
    case_fails(c, credential_google_environment, -EINVAL, "one half");
    case_environment(c, "GS_SECRET_ACCESS_KEY", "hush1");
    assert_int_equal(case_ask(c, credential_google_environment), 0);
    case_given(c, HTTP_CREDENTIAL_GS_HMAC, "GOOG1", "hush1", NULL, 0);
    case_option(c, CREDENTIAL_GOOGLE_TOKEN, "hush2");
    assert_int_equal(case_ask(c, credential_google_options), 0);
    case_given(c, HTTP_CREDENTIAL_BEARER, NULL, NULL, "hush2", 0);
    case_end(c);
}

static void service_account(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_GCS);
    const char *url = "https://host.example/t";

    (void)state;
    case_environment(c, "GOOGLE_APPLICATION_CREDENTIALS",
                     case_file(c, "sa.json", account_json(url)));
    case_expect_form(c, url, account_form(url), 200, TOKEN);
    assert_int_equal(case_ask(c, credential_google_environment), 0);
    case_given(c, HTTP_CREDENTIAL_BEARER, NULL, NULL, "hush9", CASE_EXPIRES_S);
    assert_string_equal(c->out.source, "service account");

    case_expect_form(c, url, account_form(url), 400,
                     "{\"error\":\"invalid_grant\",\"error_description\":\"hush\"}");
    case_fails(c, credential_google_environment, -EACCES,
               "host.example answered 400 invalid_grant");
    case_expect_form(c, url, account_form(url), 403,
                     "{\"error\":{\"code\":403,\"status\":\"PERMISSION_DENIED\"}}");
    case_fails(c, credential_google_environment, -EACCES, "PERMISSION_DENIED");
    case_expect_form(c, url, account_form(url), 200, "{\"id_token\":\"hush\"}");
    assert_int_equal(case_ask(c, credential_google_environment), LSIO_E_PROTOCOL);
    case_expect(c, &(struct exchange){.result = LSIO_E_TLS}); /* asking again would not help */
    assert_int_equal(case_ask(c, credential_google_environment), LSIO_E_TLS);

    /* Inline, and without a token_uri; the request can be sent elsewhere, its audience stays. */
    case_option(c, CREDENTIAL_GOOGLE_SERVICE_ACCOUNT_KEY, account_json(NULL));
    case_expect_form(c, TOKEN_URI, account_form(TOKEN_URI), 200, TOKEN);
    assert_int_equal(case_ask(c, credential_google_options), 0);
    case_option(c, CREDENTIAL_GOOGLE_TOKEN_URI, "http://127.0.0.1:99/t");
    case_expect_form(c, "http://127.0.0.1:99/t", account_form(TOKEN_URI), 200, TOKEN);
    assert_int_equal(case_ask(c, credential_google_options), 0);
    case_end(c);
}

static void files_that_do_not_do(void **state)
{
    static const struct {
        const char *text, *words;
        int status;
    } bad[] = {
        {"", "no JSON", -EINVAL},
        {"[\"hush\"]", "no JSON", -EINVAL},
        {"{}", "its type", -EINVAL},
        {"{\"type\":\"external_account\"}", "external_account", LSIO_E_UNSUPPORTED},
        {"{\"type\":\"service_account\"}", "client_email or private_key", -EINVAL},
        {"{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"hush\"}",
         "no RSA key", -EINVAL},
        {"{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"hush\","
         "\"token_uri\":\"http://host.example/\"}",
         "https", -EINVAL},
        {"{\"type\":\"authorized_user\",\"client_id\":\"hush\"}", "client_secret is missing",
         -EINVAL},
    };
    struct credential_case *c = case_begin(CREDENTIAL_GCS);

    (void)state;
    case_environment(c, "GOOGLE_SERVICE_ACCOUNT", case_path(c, "file.json"));
    assert_int_equal(case_ask(c, credential_google_environment), -ENOENT);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        case_file(c, "file.json", bad[i].text);
        case_fails(c, credential_google_environment, bad[i].status, bad[i].words);
        case_says(c->request.why, "file.json");
    }
    case_end(c);
}

static void user(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_GCS);

    (void)state;
    assert_int_equal(case_ask(c, credential_google_default), CREDENTIAL_NOT_CONFIGURED);
    case_file(c, ".config/gcloud/application_default_credentials.json", USER);
    case_expect_form(c, TOKEN_URI, USER_FORM, 200, TOKEN);
    assert_int_equal(case_ask(c, credential_google_default), 0);
    case_given(c, HTTP_CREDENTIAL_BEARER, NULL, NULL, "hush9", CASE_EXPIRES_S);
    assert_string_equal(c->out.source, "authorized user");
    case_environment(c, "CLOUDSDK_CONFIG", case_path(c, "sdk"));
    assert_int_equal(case_ask(c, credential_google_default), CREDENTIAL_NOT_CONFIGURED);
    case_file(c, "sdk/application_default_credentials.json", USER);
    case_expect_form(c, TOKEN_URI, USER_FORM, 400, "{\"error\":\"invalid_grant\"}");
    case_fails(c, credential_google_default, -EACCES, "invalid_grant");
    case_file(c, "sdk/application_default_credentials.json", "{");
    assert_int_equal(case_ask(c, credential_google_default), -EINVAL);
    case_end(c);
}

static void metadata_expect(struct credential_case *c, const char *host, const char *flavor,
                            int status, const char *answer)
{
    static char urls[EXCHANGES_MAX][256];
    char *url = urls[c->expected];

    snprintf(url, sizeof(urls[0]), "http://%s" METADATA, host);
    case_expect(c, &(struct exchange){.method = "GET",
                                      .url = url,
                                      .headers = {"Metadata-Flavor: Google"},
                                      .header = flavor,
                                      .status = status,
                                      .answer = answer});
}

static void metadata(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_GCS);

    (void)state;
    metadata_expect(c, "169.254.169.254", "Google", 200, TOKEN);
    assert_int_equal(case_ask(c, credential_google_metadata), 0);
    case_given(c, HTTP_CREDENTIAL_BEARER, NULL, NULL, "hush9", CASE_EXPIRES_S);
    assert_string_equal(c->out.source, "metadata server");
    case_forget(c);
    /* Another cloud's service at the same address, or a captive portal. */
    metadata_expect(c, "169.254.169.254", NULL, 200, TOKEN);
    assert_int_equal(case_ask(c, credential_google_metadata), CREDENTIAL_NOT_CONFIGURED);
    metadata_expect(c, "169.254.169.254", "Google", 404, "");
    assert_int_equal(case_ask(c, credential_google_metadata), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "GCE_METADATA_HOST", "127.0.0.1:99");
    metadata_expect(c, "127.0.0.1:99", "Google", 503, "");
    metadata_expect(c, "127.0.0.1:99", "Google", 200, TOKEN);
    assert_int_equal(case_ask(c, credential_google_metadata), 0);
    metadata_expect(c, "127.0.0.1:99", "Google", 404, "");
    assert_int_equal(case_ask(c, credential_google_metadata), -EACCES); /* it had one before */
    metadata_expect(c, "127.0.0.1:99", "Google", 200, "{}");
    assert_int_equal(case_ask(c, credential_google_metadata), LSIO_E_PROTOCOL);
    case_environment(c, "NO_GCE_CHECK", "true");
    assert_int_equal(case_ask(c, credential_google_metadata), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "NO_GCE_CHECK", "");
    case_forget(c);
    metadata_expect(c, "127.0.0.1:99", NULL, 0, NULL);
    case_unanswered(c, credential_google_metadata);
    case_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given),
        cmocka_unit_test(service_account),
        cmocka_unit_test(files_that_do_not_do),
        cmocka_unit_test(user),
        cmocka_unit_test(metadata),
    };

    return cmocka_run_group_tests(tests, key_make, NULL);
}
