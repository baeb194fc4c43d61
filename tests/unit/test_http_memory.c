/* SPDX-License-Identifier: MIT */
/*
 * The pure modules of the HTTP family when memory runs out: each allocation fails in turn, and what
 * was asked for is -ENOMEM and leaves nothing behind (the address sanitizer sees leaks).
 *
 * LSIO_TEST_LINK: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "driver/http/options.h"
#include "driver/http/sign/sigv4.h"
#include "driver/http/xml.h"

static int countdown; /* the call that fails; 0: none */

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : __real_malloc(bytes);
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : __real_calloc(count, bytes);
}

void *__real_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes)
{
    return fails() ? NULL : __real_realloc(memory, bytes);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__real_strndup(const char *text, size_t count);
char *__wrap_strndup(const char *text, size_t count);
char *__wrap_strndup(const char *text, size_t count)
{
    return fails() ? NULL : __real_strndup(text, count);
}

/* Runs `job` with each of its allocations failing, and at last with none. */
static void fail_each(int (*job)(void))
{
    int nth = 0;
    int status;

    do {
        countdown = ++nth;
        status = job();
        assert_true(status == 0 || status == -ENOMEM);
        assert_true(nth < 1000);
        if (countdown == 0)
            assert_int_equal(status, -ENOMEM);
    } while (countdown == 0);
    countdown = 0;
    assert_int_equal(status, 0);
    assert_true(nth > 1);
}

static const char *no_variable(void *data, const char *name)
{
    (void)data;
    return strcmp(name, "AWS_REGION") == 0 ? "eu-west-1" : NULL;
}

static int read_settings(const char *url, const struct lsio_option *options, size_t count)
{
    struct http_settings_input input = {
        .url = url, .options = options, .option_count = count, .environment = no_variable};
    struct http_settings settings;
    int status = http_settings_read(&settings, &input);

    if (status == 0)
        http_settings_finish(&settings);
    return status;
}

static int settings_s3(void)
{
    static const struct lsio_option options[] = {{"endpoint", "localhost:9000"},
                                                 {"virtual_hosted_style_request", "true"},
                                                 {"secret_access_key", "secret"},
                                                 {"user_agent", "a"},
                                                 {"user_agent", "b"}};

    return read_settings("s3://bucket/prefix", options, 5);
}

static int settings_azure(void)
{
    static const struct lsio_option options[] = {
        {"connection_string", "AccountName=acc;AccountKey=a2V5;EndpointSuffix=example.com"}};

    return read_settings("az://container/prefix", options, 1);
}

static int settings_http(void)
{
    return read_settings("https://"
                         "acc.dfs.core.windows.net/c/a%20b?x=y",
                         NULL, 0);
}

static void settings(void **state)
{
    (void)state;
    fail_each(settings_s3);
    fail_each(settings_azure);
    fail_each(settings_http);
}

static int count_entry(const struct http_list_entry *entry, void *data)
{
    (void)entry;
    ++*(int *)data;
    return 0;
}

/* More entries than there is room for at first. */
static int list_page(void)
{
    static const char begin[] = "<ListBucketResult><IsTruncated>true</IsTruncated>"
                                "<NextContinuationToken>t</NextContinuationToken>";
    static const char entry[] =
        "<Contents><Key>a-rather-long-key-for-an-object/in/some/folder</Key>"
        "<Size>1</Size></Contents>";
    static const char end[] = "</ListBucketResult>";
    struct xml_list *list = NULL;
    int count = 0;
    int status = xml_list_create(HTTP_DIALECT_S3, &list);

    if (status == 0)
        status = xml_list_begin(list);
    if (status == 0)
        status = xml_list_feed(list, begin, sizeof(begin) - 1);
    for (int i = 0; status == 0 && i < 200; i++)
        status = xml_list_feed(list, entry, sizeof(entry) - 1);
    if (status == 0)
        status = xml_list_feed(list, end, sizeof(end) - 1);
    if (status == 0)
        status = xml_list_end(list, count_entry, &count);
    assert_true(status < 0 || count == 200);
    xml_list_destroy(list);
    return status;
}

static int signer(void)
{
    struct sigv4 *made = NULL;
    int status = sigv4_create(&made);

    sigv4_destroy(made);
    return status;
}

static int credential(void)
{
    static const struct http_credential from = {.id = (char *)(uintptr_t) "a",
                                                .secret = (char *)(uintptr_t) "b",
                                                .token = (char *)(uintptr_t) "c"};
    struct http_credential copy = {0};
    int status = http_credential_set(&copy, &from);

    assert_int_equal(copy.id != NULL, status == 0);
    http_credential_wipe(&copy);
    return status;
}

static void others(void **state)
{
    (void)state;
    fail_each(list_page);
    fail_each(signer);
    fail_each(credential);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings),
        cmocka_unit_test(others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
