/* SPDX-License-Identifier: MIT */
/*
 * Whatever keeps a provider from giving credentials, no object is absent for its sake: reads fail,
 * also those that take absence for an answer, and so do stat and list; the sentence tells the
 * cause. Nothing is asked of the bucket.
 *
 * LSIO_ROWS: H26
 */
#define _GNU_SOURCE
#include "http_case.h"

#include <unistd.h>

#include "driver_rig.h"

/* ------------------------------------------------------------------------ the environment -- */

/* Nothing of the machine that the tests run on; and no metadata service. */
static void environment_clear(void)
{
    static const char *const families[] = {"AWS_",   "AZURE_",    "GOOGLE_", "GS_",
                                           "GCE_",   "CLOUDSDK_", "MSI_",    "IDENTITY_",
                                           "SERVICE_ACCOUNT"};
    char name[128];

    for (char **at = environ; *at;) {
        bool ours = false;
        for (size_t i = 0; i < COUNT(families); i++)
            ours |= strncmp(*at, families[i], strlen(families[i])) == 0;
        if (!ours) {
            at++;
            continue;
        }
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(*at, "="), *at);
        assert_int_equal(unsetenv(name), 0);
        at = environ;
    }
    assert_int_equal(setenv("HOME", "/nowhere", 1), 0);
    assert_int_equal(setenv("AWS_EC2_METADATA_DISABLED", "true", 1), 0);
    assert_int_equal(setenv("NO_GCE_CHECK", "true", 1), 0);
}

/* Writes a file that `variable` names from then on. */
static void file_of(const char *variable, const char *directory, const char *text)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, variable);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(setenv(variable, path, 1), 0);
}

/* ------------------------------------------------------------------------------- the calls -- */

static int read_absence_allowed(struct http_case *c, struct lsio_result *result)
{
    struct lsio_chunk chunk = {
        .flags = LSIO_CHUNK_MISSING_OK, .length = 10, .dst = c->memory, .dst_bytes = 10};
    struct lsio_object object = {.store = c->store, .key = "k"};
    struct lsio_request request = api_request(&object, 1, &chunk, 1, result);

    return lsio_read_batch(c->context, &request);
}

static int no_page(const struct lsio_list_entry *entries, size_t count, void *data)
{
    (void)entries;
    (void)data;
    fail_msg("%zu entries were listed", count);
    return 0;
}

/* `what` was asked for, and `cause` kept it from being had. */
static void last_error_tells(struct http_case *c, const char *what, int status, const char *cause)
{
    struct lsio_error error = {.struct_bytes = sizeof(error)};

    assert_int_equal(lsio_last_error(c->context, &error), 0);
    if (error.status != status || !strstr(error.text, cause) || !strstr(error.text, what))
        fail_msg("not %s, \"%s: ... %s\", but %s: %s", lsio_status_name(status), cause, what,
                 lsio_status_name(error.status), error.text);
    assert_int_equal(error.attempts, 0);
}

/* Each call on the store that is open fails with `status`, and tells the cause. */
static void every_call_fails(struct http_case *c, const char *name, int status, const char *cause)
{
    struct lsio_object object = {.store = c->store, .key = "k"};
    struct lsio_object_info info = {.struct_bytes = sizeof(info)};
    struct lsio_result result = {0};
    int got = read_absence_allowed(c, &result), one;

    if (got != status || result.status != status || result.flags)
        fail_msg("%s: %s, the chunk's %s%s", name, lsio_status_name(got),
                 lsio_status_name(result.status),
                 result.flags & LSIO_RESULT_MISSING ? ", as a missing object" : "");
    last_error_tells(c, "chunk 0, offset 0 of \"k\"", status, cause);
    assert_int_equal(lsio_stat_batch(c->context, &object, 1, &info, 0, &one), status);
    assert_int_equal(one, status);
    last_error_tells(c, "object 0, \"k\"", status, cause);
    assert_int_equal(lsio_list(c->store, "a/", 0, no_page, NULL), status);
    last_error_tells(c, "the listing of \"a/\"", status, cause);
    assert_int_equal(http_case_requests(c), 0);
}

/* --------------------------------------------------------------------------- the providers -- */

struct row {
    const char *url;
    const char *options[3]; /* "key=value" */
    const char *variables[3];
    const char *cause;
};

static const char profiles[] = "[profile lost]\n"
                               "role_arn = arn:aws:iam::1:role/r\n"
                               "source_profile = nosuch\n"
                               "[profile sso]\n"
                               "sso_start_url = https://start.example\n"
                               "sso_region = eu-west-1\n"
                               "sso_account_id = 1\n"
                               "sso_role_name = r\n"
                               "[profile process]\n"
                               "credential_process = exit 7\n";

static const struct row rows[] = {
    {"s3://bucket",
     {0},
     {"AWS_PROFILE=nosuch"},
     "profile: profile \"nosuch\": there is no such profile"},
    {"s3://bucket", {"aws_profile=nosuch"}, {0}, "there is no such profile"},
    {"s3://bucket", {0}, {"AWS_PROFILE=lost"}, "there is no profile \"nosuch\""},
    {"s3://bucket", {0}, {"AWS_PROFILE=sso"}, "no SSO token is cached"},
    {"s3://bucket", {0}, {"AWS_PROFILE=process"}, "credential_process ended with status 7"},
    {"s3://bucket",
     {0},
     {"AWS_WEB_IDENTITY_TOKEN_FILE=/nowhere/token", "AWS_ROLE_ARN=arn:aws:iam::1:role/r"},
     "web identity: cannot read /nowhere/token: there is no such file"},
    {"s3://bucket",
     {0},
     {"AWS_WEB_IDENTITY_TOKEN_FILE=/dev/null/token", "AWS_ROLE_ARN=arn:aws:iam::1:role/r"},
     "web identity: cannot read /dev/null/token"},
    {"s3://bucket",
     {0},
     {"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/c",
      "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/nowhere/token"},
     "container: cannot read /nowhere/token"},
    {"s3://bucket",
     {0},
     {"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/c"},
     "container: 127.0.0.1 cannot be reached"},
    {"s3://bucket", {0}, {"AWS_ACCESS_KEY_ID=id"}, "the secret access key is missing"},
    {"gs://bucket",
     {0},
     {"GOOGLE_APPLICATION_CREDENTIALS=/nowhere/credentials"},
     "/nowhere/credentials: cannot be read: there is no such file"},
    {"gs://bucket", {"service_account_path=/nowhere/key"}, {0}, "/nowhere/key: cannot be read"},
    {"gs://bucket", {"application_credentials=/nowhere/c"}, {0}, "/nowhere/c: cannot be read"},
    {"az://bucket",
     {"account_name=account"},
     {"AZURE_FEDERATED_TOKEN_FILE=/nowhere/token", "AZURE_CLIENT_ID=id", "AZURE_TENANT_ID=id"},
     "cannot read /nowhere/token"},
    {"az://bucket",
     {"account_name=account", "federated_token_file=/nowhere/token"},
     {"AZURE_CLIENT_ID=id", "AZURE_TENANT_ID=id"},
     "cannot read /nowhere/token"},
    /* what was found cannot sign: */
    {"az://bucket",
     {"account_name=account", "account_key=no base64!"},
     {0},
     "cannot sign a request"},
};

static void row_open(struct http_case *c, const struct row *row)
{
    const char *endpoint = strncmp(row->url, "gs:", 3) == 0   ? "base_url=%s"
                           : strncmp(row->url, "az:", 3) == 0 ? "endpoint=%s/account"
                                                              : "endpoint=%s";

    for (size_t i = 0; i < COUNT(row->variables) && row->variables[i]; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(row->variables[i], "="),
                 row->variables[i]);
        assert_int_equal(setenv(name, strchr(row->variables[i], '=') + 1, 1), 0);
    }
    http_case_open(c, row->url, endpoint, row->options[0], row->options[1], NULL);
}

static void no_provider_makes_an_absence(void **state)
{
    struct http_case *c = *state;
    char *directory = rig_directory_make(NULL);

    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        const char *name = row->variables[0] ? row->variables[0] : row->options[1];
        environment_clear();
        file_of("AWS_CONFIG_FILE", directory, profiles);
        row_open(c, row);
        every_call_fails(c, name ? name : row->options[0], -EACCES, row->cause);
    }
    rig_directory_remove(directory);
}

/* ---------------------------------------------------------------------------- the callback -- */

static int ask(void *data, struct lsio_credential *out)
{
    snprintf(out->error, sizeof(out->error), "the vault is locked");
    return *(const int *)data;
}

/* Only what is no answer at all stands: time, memory, descriptors or threads ran out, or nobody
 * waits any more. */
static void what_a_callback_returns(void **state)
{
    static const struct {
        int returned, status;
    } table[] = {
        {-ENOENT, -EACCES},          {-ENOTDIR, -EACCES},
        {-EISDIR, -EACCES},          {-EINVAL, -EACCES},
        {-EIO, -EACCES},             {-EPERM, -EACCES},
        {-EACCES, -EACCES},          {-12345, -EACCES},
        {-EHOSTUNREACH, -EACCES},    {LSIO_E_HTTP, -EACCES},
        {LSIO_E_TLS, -EACCES},       {LSIO_E_CHANGED, -EACCES},
        {LSIO_E_TRUNCATED, -EACCES}, {LSIO_E_PROTOCOL, -EACCES},
        {-ETIMEDOUT, -ETIMEDOUT},    {-ENOMEM, -ENOMEM},
        {-EMFILE, -EMFILE},          {-ENFILE, -ENFILE},
        {-EAGAIN, -EAGAIN},          {-ECANCELED, -ECANCELED},
    };
    struct http_case *c = *state;
    int returned;

    for (size_t i = 0; i < COUNT(table); i++) {
        returned = table[i].returned;
        http_case_open_s3(c, NULL); /* anew: a failure is held for seconds */
        assert_int_equal(lsio_store_credentials(c->store, ask, &returned), 0);
        every_call_fails(c, lsio_status_name(returned), table[i].status, "the vault is locked");
    }
}

/* What the server refused cannot be renewed: both are told, and the status is that of a refusal. */
static void not_to_be_renewed(void **state)
{
    struct http_case *c = *state;
    char *directory = rig_directory_make(NULL);

    environment_clear();
    file_of("AWS_SHARED_CREDENTIALS_FILE", directory,
            "[default]\naws_access_key_id = id\naws_secret_access_key = word\n");
    assert_int_equal(setenv("AWS_PROFILE", "default", 1), 0);
    http_case_serve(c, &(struct server_config){.style = SERVER_S3});
    http_case_open(c, "s3://bucket", "endpoint=%s", NULL);
    http_case_put(c, "/bucket/k", 1, 100);
    http_case_expect(c, "k", 1, 0, 100);
    http_case_plan(
        c, NULL, 0,
        &(struct server_fault){.kind = SERVER_STATUS, .status = 403, .code = "ExpiredToken"});
    assert_int_equal(unlink(getenv("AWS_SHARED_CREDENTIALS_FILE")), 0);
    assert_int_equal(http_case_read(c, "k", 0, 10), -EACCES);
    assert_non_null(strstr(c->error.text, "403 ExpiredToken: profile"));
    assert_int_equal(c->error.code, 403);
    rig_directory_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_provider_makes_an_absence),
        cmocka_unit_test(what_a_callback_returns),
        cmocka_unit_test(not_to_be_renewed),
    };

    return http_case_run("no credentials", tests, COUNT(tests));
}
