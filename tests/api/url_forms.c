/* SPDX-License-Identifier: MIT */
/*
 * lsio_store_open() knows a URL by its scheme, in any case, and GDAL's names for buckets and
 * servers; everything else without a scheme is a directory. Each form is read from.
 */
#define _GNU_SOURCE /* strcasestr */
#include "api_fixture.h"

#define OBJECT_BYTES 100

static void check_read(struct api *api, struct lsio_store *store)
{
    uint8_t bytes[OBJECT_BYTES];

    assert_int_equal(
        lsio_read(api->context, store, "file", 0, OBJECT_BYTES, bytes, sizeof(bytes), NULL), 0);
    api_check(bytes, 1, 0, OBJECT_BYTES);
    assert_int_equal(lsio_store_close(store), 0);
}

static void directories(void **state)
{
    static const char *const forms[] = {"%s",        "file://%s",          "FILE://%s",
                                        "File://%s", "file://localhost%s", "%s/no://scheme"};
    struct api *api = *state;
    struct lsio_store *store = NULL;
    char url[256];

    if (!api->local)
        return;
    api_put(api, "file", 1, OBJECT_BYTES);
    for (size_t i = 0; i < COUNT(forms) - 1; i++) {
        snprintf(url, sizeof(url), forms[i], api->dir);
        assert_int_equal(lsio_store_open(api->context, url, NULL, 0, &store), 0);
        check_read(api, store);
    }
    snprintf(url, sizeof(url), forms[COUNT(forms) - 1], api->dir);
    assert_int_equal(lsio_store_open(api->context, url, NULL, 0, &store), -ENOENT);
    snprintf(url, sizeof(url), "fil://%s", api->dir);
    assert_int_equal(lsio_store_open(api->context, url, NULL, 0, &store), LSIO_E_UNSUPPORTED);
}

static void memory(void **state)
{
    struct api *api = *state;
    uint8_t bytes[OBJECT_BYTES];
    struct lsio_store *store;

    if (api->kind != API_MEMORY)
        return;
    api_fill(bytes, 1, 0, OBJECT_BYTES);
    assert_int_equal(lsio_store_open(api->context, "Memory://forms", NULL, 0, &store), 0);
    assert_int_equal(lsio_memory_put(store, "file", bytes, OBJECT_BYTES), 0);
    check_read(api, store);
}

/* A bucket's object is at the same path for all dialects: SERVER stands for the test's server. */
static void servers_and_buckets(void **state)
{
    static const char *const forms[] = {"HTTP://SERVER/bucket/data",
                                        "/vsicurl/http://SERVER/bucket/data",
                                        "/vsicurl/HTTP://SERVER/bucket/data",
                                        "S3://bucket/data",
                                        "/vsis3/bucket/data",
                                        "Gs://bucket/data",
                                        "/vsigs/bucket/data",
                                        "AZ://bucket/data",
                                        "/vsiaz/bucket/data"};
    struct api *api = *state;

    if (api->kind != API_BUCKET)
        return;
    api_put(api, "file", 1, OBJECT_BYTES);
    for (size_t i = 0; i < COUNT(forms); i++) {
        struct lsio_option options[] = {
            {"no_sign_request", "true"}, {"endpoint", NULL}, {"account_name", "account"}};
        const char *server = strstr(forms[i], "SERVER");
        bool azure = strcasestr(forms[i], "az") != NULL;
        char url[128], endpoint[64];
        struct lsio_store *store;
        snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%u", api->port);
        options[1].value = endpoint;
        if (server)
            snprintf(url, sizeof(url), "%.*s%s%s", (int)(server - forms[i]), forms[i],
                     endpoint + strlen("http://"), server + strlen("SERVER"));
        else
            snprintf(url, sizeof(url), "%s", forms[i]);
        assert_int_equal(lsio_store_open(api->context, url, options,
                                         server  ? 0
                                         : azure ? 3
                                                 : 2,
                                         &store),
                         0);
        check_read(api, store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directories),
        cmocka_unit_test(memory),
        cmocka_unit_test(servers_and_buckets),
    };

    return api_run_tests("url_forms", tests, COUNT(tests), API_ALL);
}
