/* SPDX-License-Identifier: MIT */
/*
 * Azure credentials: account key, shared access signature, connection strings, client secret,
 * workload identity, managed identities of App Service and of machines.
 *
 * LSIO_ROWS: H26
 */
#define _GNU_SOURCE
#include "credential_case.h"

#include "driver/http/credential/azure_connection.h"

#define LOGIN                                                                                      \
    "https://"                                                                                     \
    "login.microsoftonline.com"
#define MACHINE                                                                                    \
    "http://"                                                                                      \
    "169.254.169.254/metadata/identity/oauth2/token"
#define RESOURCE "&resource=https%3A%2F%2Fstorage.azure.com"
#define TOKEN    "{\"token_type\":\"Bearer\",\"expires_in\":3600,\"access_token\":\"hush9\"}"
#define QUOTED   "{\"access_token\":\"hush9\",\"expires_on\":\"1767229200\",\"resource\":\"x\"}"

static void given(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_AZURE);

    (void)state;
    assert_int_equal(case_ask(c, credential_azure_options), CREDENTIAL_NOT_CONFIGURED);
    assert_int_equal(case_ask(c, credential_azure_environment), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "AZURE_STORAGE_SAS_TOKEN", "?sv=2023&sig=hush%3D");
    assert_int_equal(case_ask(c, credential_azure_environment), 0);
    case_given(c, HTTP_CREDENTIAL_AZURE_SAS, NULL, NULL, "sv=2023&sig=hush%3D", 0);
    case_environment(c, "AZURE_STORAGE_KEY", "aHVzaA==");
    case_fails(c, credential_azure_environment, -EINVAL, "no account");
    case_environment(c, "AZURE_STORAGE_ACCOUNT", "acct");
    assert_int_equal(case_ask(c, credential_azure_environment), 0);
    case_given(c, HTTP_CREDENTIAL_AZURE_KEY, "acct", "aHVzaA==", NULL, 0);
    case_option(c, CREDENTIAL_AZURE_SAS, "sig=hush1");
    assert_int_equal(case_ask(c, credential_azure_options), 0);
    case_given(c, HTTP_CREDENTIAL_AZURE_SAS, NULL, NULL, "sig=hush1", 0);
    case_option(c, CREDENTIAL_AZURE_TOKEN, "hush2");
    assert_int_equal(case_ask(c, credential_azure_options), 0);
    case_given(c, HTTP_CREDENTIAL_BEARER, NULL, NULL, "hush2", 0);
    case_end(c);
    c = case_begin(CREDENTIAL_AZURE);
    case_option(c, CREDENTIAL_AZURE_USE_EMULATOR, "true");
    assert_int_equal(case_ask(c, credential_azure_options), 0);
    case_given(c, HTTP_CREDENTIAL_AZURE_KEY, AZURE_EMULATOR_ACCOUNT, AZURE_EMULATOR_KEY, NULL, 0);
    case_end(c);
}

static void connection_is(const char *text, const char *account, const char *key, const char *sas,
                          const char *endpoint)
{
    struct azure_connection connection;
    const char *const want[] = {account, key, sas, endpoint};

    assert_int_equal(azure_connection_parse(text, &connection), 0);
    {
        const char *const have[] = {connection.account, connection.key, connection.sas,
                                    connection.endpoint};
        for (int i = 0; i < 4; i++) {
            assert_int_equal(want[i] == NULL, have[i] == NULL);
            if (want[i])
                assert_string_equal(have[i], want[i]);
        }
    }
    azure_connection_finish(&connection);
}

static void connection_strings(void **state)
{
    static const char *const bad[] = {"", "words", "AccountKey=x", "AccountName", ";;"};
    struct azure_connection connection;
    struct credential_case *c = case_begin(CREDENTIAL_AZURE);

    (void)state;
    connection_is("DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=aHVzaA==;"
                  "EndpointSuffix=core.windows.net",
                  "acct", "aHVzaA==", NULL,
                  "https://"
                  "acct.blob.core.windows.net");
    connection_is("accountname=acct ; ACCOUNTKEY=x;;\n", "acct", "x", NULL,
                  "https://"
                  "acct.blob.core.windows.net");
    connection_is("BlobEndpoint=http://127.0.0.1:10000/acct/;AccountName=acct;AccountKey=x", "acct",
                  "x", NULL, "http://127.0.0.1:10000/acct");
    connection_is("BlobEndpoint=https://host.example/;SharedAccessSignature=?sv=1&sig=a%3D%3D;"
                  "TableEndpoint=https://host.example/",
                  NULL, NULL, "sv=1&sig=a%3D%3D", "https://host.example");
    connection_is("UseDevelopmentStorage=true", AZURE_EMULATOR_ACCOUNT, AZURE_EMULATOR_KEY, NULL,
                  "http://127.0.0.1:10000/devstoreaccount1");
    connection_is("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://host.example/",
                  AZURE_EMULATOR_ACCOUNT, AZURE_EMULATOR_KEY, NULL,
                  "http://host.example:10000/devstoreaccount1");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(azure_connection_parse(bad[i], &connection), -EINVAL);

    case_environment(c, "AZURE_STORAGE_CONNECTION_STRING", "AccountName=acct;AccountKey=aHVzaA==");
    assert_int_equal(case_ask(c, credential_azure_environment), 0);
    case_given(c, HTTP_CREDENTIAL_AZURE_KEY, "acct", "aHVzaA==", NULL, 0);
    case_environment(c, "AZURE_STORAGE_CONNECTION_STRING",
                     "BlobEndpoint=https://host.example;SharedAccessSignature=sig=hush");
    assert_int_equal(case_ask(c, credential_azure_environment), 0);
    case_given(c, HTTP_CREDENTIAL_AZURE_SAS, NULL, NULL, "sig=hush", 0);
    case_environment(c, "AZURE_STORAGE_CONNECTION_STRING", "BlobEndpoint=https://host.example");
    assert_int_equal(case_ask(c, credential_azure_environment), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "AZURE_STORAGE_CONNECTION_STRING", "hush");
    case_fails(c, credential_azure_environment, -EINVAL, "not understood");
    case_end(c);
}

/* What the environment holds for one account is not used for another's store. */
static void of_another_account(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_AZURE);

    (void)state;
    case_option(c, CREDENTIAL_AZURE_ACCOUNT, "three"); /* as the store's address has it */
    case_environment(c, "AZURE_STORAGE_CONNECTION_STRING",
                     "BlobEndpoint=https://four.host.example;AccountName=four;"
                     "SharedAccessSignature=sig=hush");
    assert_int_equal(case_ask(c, credential_azure_environment), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "AZURE_STORAGE_CONNECTION_STRING", "AccountName=four;AccountKey=aHVzaA==");
    assert_int_equal(case_ask(c, credential_azure_environment), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "AZURE_STORAGE_CONNECTION_STRING", NULL);
    case_environment(c, "AZURE_STORAGE_ACCOUNT_NAME", "four");
    case_environment(c, "AZURE_STORAGE_ACCOUNT_KEY", "aHVzaA==");
    assert_int_equal(case_ask(c, credential_azure_environment), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "AZURE_STORAGE_ACCOUNT_KEY", NULL);
    case_environment(c, "AZURE_STORAGE_SAS_TOKEN", "sig=hush");
    assert_int_equal(case_ask(c, credential_azure_environment), CREDENTIAL_NOT_CONFIGURED);
    case_environment(c, "AZURE_STORAGE_ACCOUNT_NAME", "THREE");
    assert_int_equal(case_ask(c, credential_azure_environment), 0);
    case_given(c, HTTP_CREDENTIAL_AZURE_SAS, NULL, NULL, "sig=hush", 0);
    case_end(c);
}

#define FORM                                                                                       \
    "grant_type=client_credentials&scope=https%3A%2F%2Fstorage.azure.com%2F.default"               \
    "&client_id=client"

static void client_secret(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_AZURE);
    const char *url = LOGIN "/tenant/oauth2/v2.0/token";
    const char *body = FORM "&client_secret=hush%2B~%25";

    (void)state;
    case_environment(c, "AZURE_CLIENT_SECRET", "hush+~%");
    case_fails(c, credential_azure_environment, -EINVAL, "the tenant id is missing");
    case_environment(c, "AZURE_TENANT_ID", "tenant");
    case_fails(c, credential_azure_environment, -EINVAL, "the client id is missing");
    case_environment(c, "AZURE_CLIENT_ID", "client");
    case_expect_form(c, url, body, 200, TOKEN);
    assert_int_equal(case_ask(c, credential_azure_environment), 0);
    case_given(c, HTTP_CREDENTIAL_BEARER, NULL, NULL, "hush9", CASE_EXPIRES_S);
    assert_string_equal(c->out.source, "client secret");

    case_expect_form(c, url, body, 401,
                     "{\"error\":\"invalid_client\",\"error_description\":\"hush\"}");
    case_fails(c, credential_azure_environment, -EACCES, "answered 401 invalid_client");
    case_expect_form(c, url, body, 400, "{\"error\":\"hush hush: quite a sentence\"}");
    case_fails(c, credential_azure_environment, -EACCES, "answered 400");
    case_expect_form(c, url, body, 200, "{\"access_token\":\"\"}");
    assert_int_equal(case_ask(c, credential_azure_environment), LSIO_E_PROTOCOL);
    case_expect_form(c, url, body, 200, "{\"access_token\":\"hush\"}"); /* for how long? */
    assert_int_equal(case_ask(c, credential_azure_environment), LSIO_E_PROTOCOL);
    case_expect_form(c, url, body, 200, "<html>");
    assert_int_equal(case_ask(c, credential_azure_environment), LSIO_E_PROTOCOL);
    for (int i = 0; i < 3; i++)
        case_expect(c, &(struct exchange){.result = -ETIMEDOUT});
    assert_int_equal(case_ask(c, credential_azure_environment), -ETIMEDOUT);

    case_environment(c, "AZURE_AUTHORITY_HOST", "http://host.example/");
    case_fails(c, credential_azure_environment, -EINVAL, "https");
    case_environment(c, "AZURE_AUTHORITY_HOST", "http://127.0.0.1:99/");
    case_expect_form(c, "http://127.0.0.1:99/tenant/oauth2/v2.0/token", body, 200, TOKEN);
    assert_int_equal(case_ask(c, credential_azure_environment), 0);
    case_end(c);
}

static void workload_identity(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_AZURE);

    (void)state;
    case_environment(c, "AZURE_TENANT_ID", "tenant");
    case_environment(c, "AZURE_CLIENT_ID", "client");
    case_environment(c, "AZURE_FEDERATED_TOKEN_FILE", case_path(c, "jwt"));
    assert_int_equal(case_ask(c, credential_azure_environment), -ENOENT);
    case_file(c, "jwt", "hush.a_b-c.d\n");
    case_expect_form(c, LOGIN "/tenant/oauth2/v2.0/token",
                     FORM "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A"
                          "client-assertion-type%3Ajwt-bearer&client_assertion=hush.a_b-c.d",
                     200, TOKEN);
    assert_int_equal(case_ask(c, credential_azure_environment), 0);
    case_given(c, HTTP_CREDENTIAL_BEARER, NULL, NULL, "hush9", CASE_EXPIRES_S);
    assert_string_equal(c->out.source, "workload identity");
    case_end(c);
}

static void app_service(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_AZURE);
    struct exchange exchange = {.method = "GET",
                                .url =
                                    "http://127.0.0.1:41/msi/token?api-version=2019-08-01" RESOURCE,
                                .headers = {"X-IDENTITY-HEADER: hush1"},
                                .answer = QUOTED};

    (void)state;
    case_environment(c, "IDENTITY_ENDPOINT", "http://127.0.0.1:41/msi/token");
    case_environment(c, "IDENTITY_HEADER", "hush1");
    case_expect(c, &exchange);
    assert_int_equal(case_ask(c, credential_azure_managed), 0);
    case_given(c, HTTP_CREDENTIAL_BEARER, NULL, NULL, "hush9", CASE_EXPIRES_S);
    case_option(c, CREDENTIAL_AZURE_CLIENT_ID, "a/b");
    exchange.url =
        "http://127.0.0.1:41/msi/token?api-version=2019-08-01" RESOURCE "&client_id=a%2Fb";
    exchange.status = 403;
    case_expect(c, &exchange);
    assert_int_equal(case_ask(c, credential_azure_managed), -EACCES);
    case_environment(c, "IDENTITY_HEADER", "hush\nX: y");
    assert_int_equal(case_ask(c, credential_azure_managed), -EINVAL);
    case_end(c);
}

static void machine_expect(struct credential_case *c, const char *url, int status,
                           const char *answer)
{
    case_expect(c, &(struct exchange){.method = "GET",
                                      .url = url,
                                      .headers = {"Metadata: true"},
                                      .status = status,
                                      .answer = answer});
}

static void machine(void **state)
{
    struct credential_case *c = case_begin(CREDENTIAL_AZURE);
    const char *url = MACHINE "?api-version=2018-02-01" RESOURCE;
    const char *named = MACHINE "?api-version=2018-02-01" RESOURCE "&object_id=me";

    (void)state;
    machine_expect(c, url, 200, QUOTED);
    assert_int_equal(case_ask(c, credential_azure_managed), 0);
    case_given(c, HTTP_CREDENTIAL_BEARER, NULL, NULL, "hush9", CASE_EXPIRES_S);
    assert_string_equal(c->out.source, "managed identity");
    machine_expect(c, url, 400, "{\"error\":\"invalid_request\"}");
    assert_int_equal(case_ask(c, credential_azure_managed), -EACCES); /* it had one before */
    case_forget(c);
    machine_expect(c, url, 400, "{\"error\":\"invalid_request\"}");
    assert_int_equal(case_ask(c, credential_azure_managed), CREDENTIAL_NOT_CONFIGURED);
    machine_expect(c, url, 404, "not here");
    assert_int_equal(case_ask(c, credential_azure_managed), CREDENTIAL_NOT_CONFIGURED);
    /* Busy is there. */
    machine_expect(c, url, 429, "");
    machine_expect(c, url, 500, "");
    machine_expect(c, url, 200, QUOTED);
    assert_int_equal(case_ask(c, credential_azure_managed), 0);
    /* One that was named must be given. */
    case_option(c, CREDENTIAL_AZURE_OBJECT_ID, "me");
    machine_expect(c, named, 400, "{\"error\":\"invalid_request\"}");
    assert_int_equal(case_ask(c, credential_azure_managed), -EACCES);
    case_option(c, CREDENTIAL_AZURE_OBJECT_ID, NULL);
    machine_expect(c, url, 200, "{\"access_token\":\"hush9\",\"expires_on\":\"7\"}");
    case_fails(c, credential_azure_managed, -EACCES, "expired");

    case_forget(c);
    case_option(c, CREDENTIAL_AZURE_MSI_ENDPOINT, "http://127.0.0.1:99/token");
    machine_expect(c, "http://127.0.0.1:99/token?api-version=2018-02-01" RESOURCE, 0, NULL);
    case_unanswered(c, credential_azure_managed);
    case_end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_another_account),
        cmocka_unit_test(given),         cmocka_unit_test(connection_strings),
        cmocka_unit_test(client_secret), cmocka_unit_test(workload_identity),
        cmocka_unit_test(app_service),   cmocka_unit_test(machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
