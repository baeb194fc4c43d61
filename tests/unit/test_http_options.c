/* SPDX-License-Identifier: MIT */
/*
 * options.h: the table is sound; each name, prefix and variable finds its setting; precedence;
 * values and what is said of bad ones; sentences that hold names but no values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "driver/http/options.h"
#include "driver/http/options_value.h"

#define S "https://"
#define H "http://"

static char why[200];
static char noted[200];

/* "NAME=value" lines, NULL-terminated, as environment or profile. */
static const char *look_up(void *data, const char *name)
{
    const char *const *lines = data;
    size_t length = strlen(name);

    for (; *lines; lines++) {
        if (strncmp(*lines, name, length) == 0 && (*lines)[length] == '=')
            return *lines + length + 1;
    }
    return NULL;
}

static void note(void *data, const char *sentence)
{
    (void)data;
    strncpy(noted, sentence, sizeof(noted) - 1);
}

struct given {
    const char *url;
    struct lsio_option options[4]; /* up to the first without a key */
    const char *environment[6];
    const char *profile[4];
};

static int read_given(const struct given *given, struct http_settings *out)
{
    struct http_settings_input input = {.url = given->url,
                                        .options = given->options,
                                        .environment = look_up,
                                        .environment_data = (void *)(uintptr_t)given->environment,
                                        .profile = look_up,
                                        .profile_data = (void *)(uintptr_t)given->profile,
                                        .note = note,
                                        .why = why,
                                        .why_bytes = sizeof(why)};

    while (input.option_count < 4 && given->options[input.option_count].key)
        input.option_count++;
    why[0] = noted[0] = '\0';
    return http_settings_read(out, &input);
}

static struct http_settings settings_of(const struct given *given)
{
    struct http_settings settings;
    int status = read_given(given, &settings);

    if (status < 0)
        print_error("%s: %s\n", given->url, why);
    assert_int_equal(status, 0);
    return settings;
}

/* Each must be refused with a sentence that holds `part`. */
struct refusal {
    struct given given;
    const char *part;
};

static void check_refusals(const struct refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct http_settings settings;
        assert_int_equal(read_given(&refusals[i].given, &settings), -EINVAL);
        if (!strstr(why, refusals[i].part))
            print_error("case %zu: %s\n", i, why);
        assert_non_null(strstr(why, refusals[i].part));
        assert_null(strstr(why, "CANARY"));
    }
}

#define REFUSE(refusals) check_refusals(refusals, sizeof(refusals) / sizeof((refusals)[0]))

/* ------------------------------------------------------------------------------------- table -- */

/* No two options of a store share a name; each is documented and has sane bounds. */
static void table_is_sound(void **state)
{
    (void)state;
    assert_true(http_option_count > 90);
    for (size_t i = 0; i < http_option_count; i++) {
        const struct http_option *option = &http_options[i];
        const char *names = option->names, *name;
        size_t length, name_count = 0;
        assert_true(option->stores != 0 && option->stores <= HTTP_OF_ALL);
        assert_true(option->meaning || option->kind == HTTP_OPTION_IGNORED);
        assert_true(option->least <= option->most);
        if (option->kind >= HTTP_OPTION_COUNT && option->kind <= HTTP_OPTION_DURATION)
            assert_true(option->standard <= option->most && option->most > 0);
        while ((name = option_next_word(&names, &length))) {
            assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), length);
            assert_true(++name_count <= HTTP_OPTION_NAMES_MAX);
            for (size_t k = i + 1; k < http_option_count; k++) {
                const char *others = http_options[k].names, *other;
                size_t other_length;
                while ((http_options[k].stores & option->stores) &&
                       (other = option_next_word(&others, &other_length))) {
                    if (other_length == length)
                        assert_memory_not_equal(name, other, length);
                }
            }
        }
    }
}

/* Every name in the table is taken by each store that has it, with and without its prefix. */
static void every_name_is_taken(void **state)
{
    static const char *const urls[] = {S "host/", "s3://bucket", "gs://bucket",
                                       "abfs://c@acc.blob.core.windows.net"};
    static const char *const prefixes[] = {"", "aws_", "google_", "azure_storage_"};

    (void)state;
    for (size_t i = 0; i < http_option_count * 8; i++) {
        const struct http_option *option = &http_options[i / 8];
        unsigned dialect = i & 3;
        const char *names = option->names, *name;
        size_t length;
        while ((option->stores >> dialect & 1) && (name = option_next_word(&names, &length))) {
            char key[96];
            struct given given = {.url = urls[dialect], .options = {{key, "1"}}};
            struct http_settings settings;
            int status;
            snprintf(key, sizeof(key), "%s%.*s", i & 4 && !option->own ? prefixes[dialect] : "",
                     (int)length, name);
            status = read_given(&given, &settings);
            assert_null(strstr(why, "unknown"));
            assert_int_equal(http_option_taken(NULL, &given.options[0]), 1);
            if (status == 0)
                http_settings_finish(&settings);
        }
    }
}

/* ------------------------------------------------------------------------------------ values -- */

static void defaults(void **state)
{
    struct given given = {.url = "s3://bucket"};
    struct http_settings settings = settings_of(&given);

    (void)state;
    assert_int_equal(settings.connect_timeout_ms, 10000);
    assert_int_equal(settings.stall_timeout_ms, 30000);
    assert_int_equal(settings.timeout_ms, 0);
    assert_int_equal(settings.retry_attempts_max, 10);
    assert_int_equal(settings.full_body_bytes_max, 64 << 20);
    assert_false(settings.insecure);
    assert_false(settings.hedge);
    assert_true(settings.randomize_addresses);
    assert_null(settings.proxy_url);
    assert_string_equal(settings.address.host, "bucket.s3.us-east-1.amazonaws.com");
    http_settings_finish(&settings);
}

static void values(void **state)
{
    struct given given = {.url = "s3://bucket",
                          .options = {{"AWS_Timeout", "1m 30s"},
                                      {"full_body_bytes_max", "2k"},
                                      {"request_payer", "requester"},
                                      {"on_change", "restart"}}};
    struct given proxy = {.url = S "host/", .options = {{"proxy_url", ""}, {"insecure", "YES"}}};
    struct http_settings settings = settings_of(&given);

    (void)state;
    assert_int_equal(settings.timeout_ms, 90000);
    assert_int_equal(settings.full_body_bytes_max, 2048);
    assert_true(settings.request_payer);
    assert_int_equal(settings.on_change, HTTP_ON_CHANGE_RESTART);
    http_settings_finish(&settings);
    settings = settings_of(&proxy);
    assert_string_equal(settings.proxy_url, ""); /* none, which is not the same as not said */
    assert_true(settings.insecure);
    http_settings_finish(&settings);
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"0", 0},           {"5", 5000},         {"250ms", 250}, {"5 minutes", 300000},
                {"1h 2m", 3720000}, {"1h2m3s", 3723000}, {"2 sec", 2000}};
    static const char *const bad[] = {"",
                                      "s",
                                      "-1s",
                                      "1.5s",
                                      "5x",
                                      "5s 3",
                                      "1h,2m",
                                      "1S",
                                      " 1s",
                                      "99999999999999999999",
                                      "18446744073709551615s"};
    uint64_t number = 7;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(option_duration(good[i].text, &number), 0);
        assert_int_equal(number, good[i].ms);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(option_duration(bad[i], &number), -EINVAL);
    assert_int_equal(option_count("64M", true, &number), 0);
    assert_int_equal(number, 64 << 20);
    assert_int_equal(option_count("64M", false, &number), -EINVAL);
    assert_int_equal(option_count("17179869184G", true, &number), -EINVAL);
    assert_int_equal(option_count("18446744073709551616", true, &number), -EINVAL);
    assert_int_equal(option_count("1KB", true, &number), -EINVAL);
    assert_int_equal(option_distance("regoin", 6, "region", 6), 2);
    assert_int_equal(option_distance("", 0, "abc", 3), 3);
    assert_int_equal(option_distance("tokn", 4, "token", 5), 1);
}

static void bad_values(void **state)
{
    static const struct refusal refusals[] = {
        {{S "host/", {{"timeout", "CANARY"}}}, "\"timeout\" must be a time"},
        {{S "host/", {{"connect_timeout", "0"}}}, "\"connect_timeout\" must be a time"},
        {{S "host/", {{"timeout", "25h"}}}, "\"timeout\" must be a time"},
        {{S "host/", {{"insecure", "CANARY"}}}, "\"insecure\" must be true or false"},
        {{S "host/", {{"hedge_percent", "101"}}},
         "\"hedge_percent\" must be a number from 1 to 100"},
        {{S "host/", {{"on_change", "CANARY"}}}, "must be one of fail|restart"},
        {{S "host/", {{"full_body_bytes_max", "CANARY"}}}, "must be a size"},
        {{S "host/", {{"user_agent", "CANARY\r\nX: y"}}}, "must not hold control characters"},
        {{"s3://b", {{"token", "CANARY\n"}}}, "must not hold control characters"},
        {{"s3://b", {{"region", NULL}}}, "no value for store option \"region\""},
        {{"s3://b", {{NULL, NULL}}, {"AWS_TIMEOUT=CANARY"}}, "variable \"AWS_TIMEOUT\" must be"},
        {{"s3://b", {{NULL, NULL}}, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=CANARY"}},
         "must be true or false"},
        {{"s3://b", {{NULL, NULL}}, {NULL}, {"s3.addressing_style=CANARY"}},
         "must be auto, path or virtual"},
        {{"s3://b", {{NULL, NULL}}, {NULL}, {"s3.use_dualstack_endpoint=CANARY"}},
         "\"s3.use_dualstack_endpoint\" must be true or false"},
        {{S "host/", {{"http_path", "wire"}}}, "must be one of auto|curl"},
        {{"s3://b", {{"retry_sleep_min", "1h"}}}, "above"},
        {{"s3://b", {{"http1_only", "1"}, {"http2_only", "1"}}}, "exclude"},
        {{"s3://b", {{"endpoint", H "server"}, {"allow_http", "false"}}}, "allow_http is false"},
        {{"az://c", {{"use_azure_cli", "true"}}}, "not supported; use bearer_token"},
        {{"az://c"}, "account_name"},
        {{"abfs://c@a.dfs.core.windows.net", {{"account_name", "b"}}}, "two storage accounts"},
        {{"s3://b", {{"endpoint", H "127.0.0.1"}, {"virtual_hosting", "1"}}}, "IP address"},
        {{"az://c", {{"connection_string", "CANARY"}}}, "connection string"},
        {{"s3://user:CANARY@b"}, "user name"},
    };

    (void)state;
    REFUSE(refusals);
}

static void unknown_names(void **state)
{
    static const struct refusal refusals[] = {
        {{"s3://b", {{"regoin", "CANARY"}}},
         "unknown store option \"regoin\": did you mean \"region\""},
        {{"s3://b", {{"aws_acces_key_id", "CANARY"}}}, "did you mean \"access_key_id\""},
        {{"gs://b", {{"AWS_REGION", "CANARY"}}}, "is for other kinds of stores"},
        {{"s3://b", {{"account_key", "CANARY"}}}, "is for other kinds of stores"},
        {{S "host", {{"aws_hedge", "true"}}}, "unknown store option \"aws_hedge\""},
        {{S "host", {{"", "CANARY"}}}, "unknown store option \"\""},
        {{S "host", {{"a\nb", "CANARY"}}}, "(unprintable)"},
        {{S "host", {{"something_else_altogether", "1"}}}, "altogether\""},
    };

    (void)state;
    REFUSE(refusals);
    assert_null(strstr(why, "did you mean"));
}

static void other_tables(void **state)
{
    struct given plan = {
        .url = S "host/",
        .options = {{"profile", "cloud"}, {"gap_bytes", "1M"}, {"split_bytes", "x"}}};
    struct given write_only = {.url = "s3://b", .options = {{"aws_conditional_put", "etag"}}};
    struct http_settings settings = settings_of(&plan); /* checked where they are applied */

    (void)state;
    assert_int_equal(http_option_taken(NULL, &plan.options[1]), 0);
    http_settings_finish(&settings);
    settings = settings_of(&write_only);
    assert_non_null(strstr(noted, "\"aws_conditional_put\" has no effect"));
    http_settings_finish(&settings);
}

/* -------------------------------------------------------------------------------- precedence -- */

struct precedence {
    struct given given;
    const char *host;
    const char *region;
};

static void check_precedence(const struct precedence *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct http_settings settings = settings_of(&cases[i].given);
        assert_string_equal(settings.address.host, cases[i].host);
        assert_string_equal(settings.address.region, cases[i].region);
        http_settings_finish(&settings);
    }
}

#define PRECEDENCE(cases) check_precedence(cases, sizeof(cases) / sizeof((cases)[0]))

static void option_url_environment_profile(void **state)
{
    static const struct precedence cases[] = {
        {{"s3://bucket", {{NULL, NULL}}, {NULL}, {"region=r-profile"}},
         "bucket.s3.r-profile.amazonaws.com",
         "r-profile"},
        {{"s3://bucket", {{NULL, NULL}}, {"AWS_DEFAULT_REGION=r-default"}, {"region=r-profile"}},
         "bucket.s3.r-default.amazonaws.com",
         "r-default"},
        {{"s3://bucket", {{NULL, NULL}}, {"AWS_DEFAULT_REGION=a", "AWS_REGION=b"}},
         "bucket.s3.b.amazonaws.com",
         "b"},
        {{"s3://bucket", {{NULL, NULL}}, {"AWS_REGION="}, {"region=r-profile"}},
         "bucket.s3.r-profile.amazonaws.com",
         "r-profile"},
        {{S "bucket.s3.eu-south-2.amazonaws.com/",
          {{NULL, NULL}},
          {"AWS_REGION=b", "AWS_ENDPOINT_URL=" H "server"}},
         "bucket.s3.eu-south-2.amazonaws.com",
         "eu-south-2"},
        {{S "bucket.s3.amazonaws.com/", {{NULL, NULL}}, {"AWS_REGION=b"}, {"region=a"}},
         "bucket.s3.b.amazonaws.com",
         "b"},
        {{S "bucket.s3-accelerate.amazonaws.com/", {{NULL, NULL}}, {"AWS_REGION=b"}},
         "bucket.s3-accelerate.amazonaws.com",
         "b"},
        {{S "bucket.s3.eu-south-2.amazonaws.com/",
          {{NULL, NULL}},
          {"AWS_USE_DUALSTACK_ENDPOINT=true", "AWS_VIRTUAL_HOSTING=NO"}},
         "bucket.s3.eu-south-2.amazonaws.com",
         "eu-south-2"},
        {{S "account.r2.cloudflarestorage.com/bucket", {{NULL, NULL}}, {"AWS_REGION=b"}},
         "account.r2.cloudflarestorage.com",
         "auto"},
        {{"s3://bucket",
          {{NULL, NULL}},
          {"AWS_ENDPOINT_URL=" H "one", "AWS_ENDPOINT_URL_S3=" H "two"},
          {"endpoint_url=" H "three"}},
         "two",
         "us-east-1"},
        {{"s3://bucket", {{NULL, NULL}}, {NULL}, {"endpoint_url=" H "three"}},
         "three",
         "us-east-1"},
        {{"s3://bucket",
          {{NULL, NULL}},
          {"AWS_S3_ENDPOINT=gdal:9000", "AWS_HTTPS=NO", "AWS_VIRTUAL_HOSTING=YES"}},
         "bucket.gdal:9000",
         "us-east-1"},
        {{"gs://bucket", {{NULL, NULL}}, {"STORAGE_EMULATOR_HOST=localhost:4443"}},
         "localhost:4443",
         "auto"},
    };

    (void)state;
    PRECEDENCE(cases);
}

/* The first name of the table counts; of one name, the last that is given. */
static void names_of_one_option(void **state)
{
    static const struct precedence cases[] = {
        {{S "bucket.s3.eu-south-2.amazonaws.com/", {{"region", "r-option"}}, {"AWS_REGION=b"}},
         "bucket.s3.r-option.amazonaws.com",
         "r-option"},
        {{"s3://bucket", {{"region", "a"}, {"aws_region", "b"}}}, "bucket.s3.b.amazonaws.com", "b"},
        {{"s3://bucket", {{"region", "a"}, {"default_region", "b"}}},
         "bucket.s3.a.amazonaws.com",
         "a"},
        {{"s3://bucket",
          {{"endpoint_url_s3", "one"}, {"endpoint", "two"}, {"aws_endpoint_url", "three"}}},
         "one",
         "us-east-1"},
    };

    (void)state;
    PRECEDENCE(cases);
}

static void settings_of_a_profile(void **state)
{
    static const struct precedence cases[] = {
        {{"s3://bucket",
          {{NULL, NULL}},
          {NULL},
          {"s3.endpoint_url=" H "four", "endpoint_url=" H "three", "s3.addressing_style=virtual"}},
         "bucket.four",
         "us-east-1"},
        {{"s3://bucket", {{NULL, NULL}}, {NULL}, {"s3.addressing_style=path"}},
         "s3.us-east-1.amazonaws.com",
         "us-east-1"},
        {{"s3://bucket",
          {{NULL, NULL}},
          {"AWS_VIRTUAL_HOSTING=YES"},
          {"s3.addressing_style=path", "use_dualstack_endpoint=true"}},
         "bucket.s3.dualstack.us-east-1.amazonaws.com",
         "us-east-1"},
        {{"s3://bucket",
          {{NULL, NULL}},
          {NULL},
          {"s3.use_dualstack_endpoint=false", "use_dualstack_endpoint=true",
           "s3.addressing_style=auto"}},
         "bucket.s3.us-east-1.amazonaws.com",
         "us-east-1"},
        {{S "bucket.s3.eu-south-2.amazonaws.com/",
          {{NULL, NULL}},
          {NULL},
          {"s3.use_dualstack_endpoint=true", "s3.addressing_style=path", "s3.endpoint_url=" H "x"}},
         "bucket.s3.eu-south-2.amazonaws.com",
         "eu-south-2"},
        {{"s3://bucket",
          {{NULL, NULL}},
          {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "AWS_ENDPOINT_URL_S3=" H "two"},
          {"s3.endpoint_url=" H "four"}},
         "bucket.s3.us-east-1.amazonaws.com",
         "us-east-1"},
        {{"s3://bucket",
          {{"endpoint", "one"}},
          {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true", "AWS_ENDPOINT_URL_S3=" H "two"}},
         "one",
         "us-east-1"},
        {{"s3://bucket",
          {{NULL, NULL}},
          {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false"},
          {"endpoint_url=three", "ignore_configured_endpoint_urls=true"}},
         "three",
         "us-east-1"},
        {{"s3://bucket",
          {{NULL, NULL}},
          {NULL},
          {"endpoint_url=three", "ignore_configured_endpoint_urls=true"}},
         "bucket.s3.us-east-1.amazonaws.com",
         "us-east-1"},
    };

    (void)state;
    PRECEDENCE(cases);
}

static void azure_accounts(void **state)
{
    static const struct precedence cases[] = {
        {{"abfs://c@one.dfs.core.windows.net/",
          {{NULL, NULL}},
          {"AZURE_STORAGE_ACCOUNT_NAME=two", "AZURE_STORAGE_USE_EMULATOR=true"}},
         "one.blob.core.windows.net",
         ""},
        {{"az://c/", {{NULL, NULL}}, {"AZURE_STORAGE_ACCOUNT=two"}},
         "two.blob.core.windows.net",
         ""},
        {{"az://c/", {{"azure_storage_account_name", "three"}}, {"AZURE_STORAGE_ACCOUNT=two"}},
         "three.blob.core.windows.net",
         ""},
        {{"az://c/",
          {{NULL, NULL}},
          {"AZURE_STORAGE_CONNECTION_STRING=AccountName=four;AccountKey=a"}},
         "four.blob.core.windows.net",
         ""},
        {{"az://c/",
          {{"account_name", "three"}},
          {"AZURE_STORAGE_CONNECTION_STRING=AccountName=four;AccountKey=a"}},
         "three.blob.core.windows.net",
         ""},
        {{"az://c/",
          {{"connection_string", "AccountName=four;AccountKey=a"}},
          {"AZURE_STORAGE_ACCOUNT_NAME=three"}},
         "four.blob.core.windows.net",
         ""},
        {{"az://c/", {{"use_emulator", "true"}}}, "127.0.0.1:10000", ""},
    };

    (void)state;
    PRECEDENCE(cases);
}

/* What was said until then is handed on: it names the profile. */
static int profile_load(void *data, const struct credential_settings *said, char *sentence,
                        size_t bytes)
{
    const char *name = credential_settings_get(said, CREDENTIAL_FROM_ANY, CREDENTIAL_PROFILE);

    assert_ptr_equal(data, noted);
    snprintf(noted, sizeof(noted), "%s", name ? name : "");
    snprintf(sentence, bytes, "no file");
    return name && strcmp(name, "bad") == 0 ? -EACCES : 0;
}

static void profile_is_chosen_first(void **state)
{
    const struct lsio_option option = {"AWS_Profile", "work"};
    const char *environment[] = {"AWS_PROFILE=bad", NULL};
    struct http_settings_input input = {.url = "s3://bucket",
                                        .environment = look_up,
                                        .environment_data = environment,
                                        .profile_load = profile_load,
                                        .profile_data = noted,
                                        .why = why,
                                        .why_bytes = sizeof(why)};
    struct http_settings settings;

    (void)state;
    assert_int_equal(http_settings_read(&settings, &input), -EACCES);
    assert_string_equal(why, "no file");
    input.options = &option;
    input.option_count = 1;
    assert_int_equal(http_settings_read(&settings, &input), 0);
    assert_string_equal(noted, "work");
    http_settings_finish(&settings);
    noted[0] = '\0';
    input.url = S "host/"; /* no business of other servers */
    input.option_count = 0;
    assert_int_equal(http_settings_read(&settings, &input), 0);
    assert_string_equal(noted, "");
    http_settings_finish(&settings);
}

static void credentials_are_handed_on(void **state)
{
    struct given aws = {
        .url = "s3://bucket",
        .options = {{"access_key_id", "a"}, {"secret_access_key", "b"}, {"region", "r-1"}},
        .environment = {"AWS_SESSION_TOKEN=c", "AWS_CA_BUNDLE=/a", "AWS_TIMEOUT=3",
                        "CURL_CA_BUNDLE=/b", "SSL_CERT_DIR=/c"}};
    struct given hmac = {.url = "gs://bucket", .options = {{"google_access_key_id", "a"}}};
    struct given azure = {.url = "abfs://c@acc.dfs.core.windows.net"};
    struct given others = {.url = "s3://bucket",
                           .environment = {"AWS_TOKEN=a", "AZURE_STORAGE_AUTHORITY_ID=b",
                                           "AZURE_STORAGE_AUTHORITY_HOST=c",
                                           "AWS_ENDPOINT_URL_STS=d",
                                           "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"}};
    struct http_settings settings = settings_of(&aws);
    const struct credential_settings *credential = &settings.credential;

    (void)state;
    assert_string_equal(credential->options[CREDENTIAL_ACCESS_KEY_ID], "a");
    assert_string_equal(credential->options[CREDENTIAL_SECRET_ACCESS_KEY], "b");
    assert_string_equal(credential->options[CREDENTIAL_REGION], "r-1");
    assert_string_equal(credential->environment[CREDENTIAL_SESSION_TOKEN], "c");
    assert_string_equal(settings.ca_file, "/a");
    assert_string_equal(settings.ca_path, "/c");
    assert_int_equal(settings.timeout_ms, 3000);
    http_settings_finish(&settings);
    settings = settings_of(&others);
    assert_string_equal(credential->environment[CREDENTIAL_SESSION_TOKEN], "a");
    assert_string_equal(credential->environment[CREDENTIAL_AZURE_TENANT_ID], "b");
    assert_string_equal(credential->environment[CREDENTIAL_AZURE_AUTHORITY_HOST], "c");
    assert_null(credential->environment[CREDENTIAL_STS_ENDPOINT]);
    http_settings_finish(&settings);
    settings = settings_of(&hmac);
    assert_string_equal(settings.credential.options[CREDENTIAL_GOOGLE_HMAC_ID], "a");
    http_settings_finish(&settings);
    settings = settings_of(&azure);
    assert_string_equal(settings.credential.options[CREDENTIAL_AZURE_ACCOUNT], "acc");
    http_settings_finish(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(every_name_is_taken),
        cmocka_unit_test(defaults),
        cmocka_unit_test(values),
        cmocka_unit_test(numbers),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(unknown_names),
        cmocka_unit_test(other_tables),
        cmocka_unit_test(option_url_environment_profile),
        cmocka_unit_test(names_of_one_option),
        cmocka_unit_test(settings_of_a_profile),
        cmocka_unit_test(azure_accounts),
        cmocka_unit_test(profile_is_chosen_first),
        cmocka_unit_test(credentials_are_handed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
