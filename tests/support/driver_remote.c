/* SPDX-License-Identifier: MIT */
/* driver_remote.c - see driver_remote.h. Without HTTP there are no ways, and nothing is called. */
#include "driver_remote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#ifdef LSIO_HAVE_HTTP

#include "driver/http/http.h"
#include "server/fault_server.h"
#include "transport_sim.h"

const struct remote_way remote_http = {.url = "%s/data", .root = "/data", .style = SERVER_PLAIN};

const struct remote_way remote_s3 = {
    .url = "s3://bucket/pre/fix",
    .root = "/bucket/pre/fix",
    .endpoint = "endpoint",
    .options = {"allow_http=true", "access_key_id=id", "secret_access_key=secret"},
    .style = SERVER_S3,
    .is_bucket = true,
    .lists = true};

const struct remote_way remote_gcs = {.url = "gs://bucket",
                                      .root = "/bucket",
                                      .endpoint = "base_url",
                                      .options = {"allow_http=true", "skip_signature=true"},
                                      .style = SERVER_GCS,
                                      .is_bucket = true,
                                      .lists = true};

const struct remote_way remote_azure = {
    .url = "az://container",
    .root = "/account/container",
    .endpoint = "endpoint",
    .options = {"allow_http=true", "account_name=account", "account_key=c2VjcmV0"},
    .style = SERVER_AZURE,
    .is_bucket = true};

/* Answers in pieces, some of them in unusual but right ways; what fails is tested elsewhere. */
static void simulate(struct remote *remote, struct http_state *state)
{
    struct transport_sim_config config = {
        .seed = 1,
        .server = transport_sim_server((enum server_style)remote->way->style),
        .latency_ns = {0, 200000},
        .slow_ns = 2000000,
        .bytes_per_s = {UINT64_C(1000000000), UINT64_C(4000000000)},
        .fault_permille = 200,
        .faults = 1u << SIM_HTTP_PART | 1u << SIM_HTTP_UNSIZED | 1u << SIM_HTTP_SLOW |
                  1u << SIM_HTTP_IDLE_CLOSE};

    transport_sim_begin(&config);
    remote->server = config.server;
    state->transport_ops = &transport_sim;
}

void remote_open(struct remote *remote, const struct remote_way *way, struct rig *rig, void *state,
                 struct lsio_store **out)
{
    struct server_config config = {.style = (enum server_style)way->style};
    char url[256], endpoint[256] = "";

    remote->way = way;
    if (remote->simulated)
        simulate(remote, state);
    else
        assert_int_equal(server_create(&config, &remote->server), 0);
    snprintf(url, sizeof(url), way->url, server_url(remote->server));
    if (way->endpoint)
        snprintf(endpoint, sizeof(endpoint), "%s=%s%s", way->endpoint, server_url(remote->server),
                 way->style == SERVER_AZURE ? "/account" : "");
    assert_int_equal(rig_store_open(rig, state, url, out, way->endpoint ? endpoint : NULL,
                                    way->options[0], way->options[1], way->options[2], NULL),
                     0);
}

void remote_put(struct remote *remote, const char *key, const void *bytes, uint64_t size)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", remote->way->root, key);
    assert_int_equal(
        server_put(remote->server,
                   &(struct server_object){.path = path, .bytes = bytes, .size = size}),
        0);
}

void remote_close(struct remote *remote)
{
    if (remote->simulated) {
        transport_sim_end();
        transport_sim_server_free(remote->server);
    } else {
        server_destroy(remote->server);
    }
}

#else

void remote_open(struct remote *remote, const struct remote_way *way, struct rig *rig, void *state,
                 struct lsio_store **out)
{
    (void)remote;
    (void)way;
    (void)rig;
    (void)state;
    (void)out;
    fail();
}

void remote_put(struct remote *remote, const char *key, const void *bytes, uint64_t size)
{
    (void)remote;
    (void)key;
    (void)bytes;
    (void)size;
    fail();
}

void remote_close(struct remote *remote)
{
    (void)remote;
}

#endif
