/* SPDX-License-Identifier: MIT */
/* api_bucket.c - see api_bucket.h. */
#include "api_bucket.h"

#ifdef LSIO_HAVE_HTTP

#include "server/fault_server.h"

void bucket_begin(struct api *api)
{
    const struct server_config config = {.style = SERVER_S3};
    const struct server_object other = {.path = "/bucket/other", .size = 1};

    assert_int_equal(server_create(&config, &api->server), 0);
    assert_int_equal(server_put(api->server, &other), 0); /* an empty bucket would be absent */
    api->port = server_port(api->server);
}

void bucket_end(struct api *api)
{
    server_destroy(api->server);
}

void bucket_put(struct api *api, const char *key, const void *data, uint64_t bytes)
{
    char path[512];
    const struct server_object object = {.path = path, .bytes = data, .size = bytes};

    snprintf(path, sizeof(path), "/bucket/data/%s", key);
    assert_int_equal(server_put(api->server, &object), 0);
}

int bucket_open(struct api *api, struct lsio_context *context, const struct lsio_option *options,
                size_t count, struct lsio_store **out)
{
    struct lsio_option all[16] = {{"endpoint", server_url(api->server)},
                                  {"allow_http", "true"},
                                  {"access_key_id", "id"},
                                  {"secret_access_key", "secret"}};

    assert_true(count <= COUNT(all) - 4);
    if (count)
        memcpy(all + 4, options, count * sizeof(*options));
    return lsio_store_open(context, api->url, all, count + 4, out);
}

#else

void bucket_begin(struct api *api)
{
    (void)api;
    fail();
}

void bucket_end(struct api *api)
{
    (void)api;
}

void bucket_put(struct api *api, const char *key, const void *data, uint64_t bytes)
{
    (void)api;
    (void)key;
    (void)data;
    (void)bytes;
    fail();
}

int bucket_open(struct api *api, struct lsio_context *context, const struct lsio_option *options,
                size_t count, struct lsio_store **out)
{
    (void)api;
    (void)context;
    (void)options;
    (void)count;
    (void)out;
    return LSIO_E_UNSUPPORTED;
}

#endif
