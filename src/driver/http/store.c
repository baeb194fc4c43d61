/* SPDX-License-Identifier: MIT */
/*
 * Design: a store of the HTTP family is what its URL, options and environment say, read once when
 * it is opened; nothing is asked of the server then, so opening cannot wait or fail for the
 * network's sake. From then on it is frozen; what is learned later is the host's (host.h).
 *
 * Threads: open and close on the application's; the rest on any.
 */
#define _GNU_SOURCE
#include "driver/http/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/http/credential/aws_profile.h"
#include "driver/http/curl_setup.h"
#include "driver/http/list.h"
#include "driver/http/read.h"
#include "driver/http/redact.h"
#include "driver/options.h"

#define URL_BYTES_MAX     2048u
#define PROBE_BYTES_FIRST (UINT64_C(1) << 20)
#define PROBE_BYTES_LEAST (UINT64_C(64) << 10)

/* ------------------------------------------------------------------------------------ open -- */

static const char *environment_get(void *data, const char *name)
{
    (void)data;
    return getenv(name);
}

static int url_keep(struct http_store *store, const char *url)
{
    char text[URL_BYTES_MAX];

    http_redact(text, sizeof(text), url, NULL);
    store->base.url = strdup(text);
    return store->base.url ? 0 : -ENOMEM;
}

static int profile_choose(struct http_store *store, const struct driver_open *open)
{
    bool plain = store->settings.address.dialect == HTTP_DIALECT_HTTP;
    struct plan_profile *profile = &store->base.profile;
    int status = plan_profile_builtin(plain ? "http" : "cloud", profile);

    if (status)
        return status;
    snprintf(profile->reason, sizeof(profile->reason), "%s",
             plain ? "an HTTP server" : "a bucket of an object store");
    status = driver_options_apply(open, profile, http_option_taken, store);
    profile->discards = true;
    return status;
}

static int host_find(struct http_store *store)
{
    const struct http_settings *settings = &store->settings;
    const struct http_address *address = &settings->address;
    uint64_t ceiling =
        settings->concurrency_max ? settings->concurrency_max : store->base.profile.inflight_max;
    char name[1024];
    int length = snprintf(name, sizeof(name), "%s://%s/%s", http_address_scheme(address),
                          address->host, address->bucket);

    if (length < 0 || (size_t)length >= sizeof(name))
        return LSIO_E_LIMIT;
    return http_hosts_get(&store->state->hosts, name, (uint32_t)settings->concurrency_start,
                          (uint32_t)ceiling, &store->host);
}

static int credentials_make(struct http_store *store)
{
    static const enum credential_store kinds[] = {[HTTP_DIALECT_S3] = CREDENTIAL_S3,
                                                  [HTTP_DIALECT_GCS] = CREDENTIAL_GCS,
                                                  [HTTP_DIALECT_AZURE] = CREDENTIAL_AZURE,
                                                  [HTTP_DIALECT_HTTP] = CREDENTIAL_HTTP};
    const struct http_settings *settings = &store->settings;
    struct credential_world world;
    struct credential_cache_config config = {.store = kinds[settings->address.dialect],
                                             .settings = &settings->credential,
                                             .world = &world,
                                             .memory = &store->state->memory,
                                             .helper = store->state->helper};

    if (settings->address.signed_query ||
        (settings->address.dialect == HTTP_DIALECT_HTTP && !settings->credential.callback))
        return 0;
    store->fetch_client = (struct fetch_client){
        .ca_file = settings->ca_file,
        .ca_directory = settings->ca_path,
        .own_certificates = settings->disable_system_certificates,
        .resolve = settings->resolve,
        .proxy = settings->proxy_url,
        .proxy_excludes = settings->proxy_excludes,
        .insecure_server =
            settings->insecure && settings->address.tls ? settings->address.host : NULL,
    };
    credential_world_init(&world, &store->fetch_client);
    return credential_cache_create(&config, &store->credentials);
}

static void target_make(struct http_store *store)
{
    const struct http_settings *settings = &store->settings;

    store->target = (struct transport_target){
        .id = atomic_fetch_add(&store->state->target_count, 1) + 1,
        .proxy_url = settings->proxy_url,
        .proxy_excludes = settings->proxy_excludes,
        .ca_file = settings->ca_file,
        .ca_path = settings->ca_path,
        .resolve = settings->resolve,
        .user_agent = settings->user_agent ? settings->user_agent : "lsio",
        .connect_timeout_ms = (uint32_t)settings->connect_timeout_ms,
        .idle_timeout_ms = (uint32_t)settings->idle_timeout_ms,
        .connections_max = (uint32_t)settings->connections_max,
        .insecure = settings->insecure,
        .own_certificates = settings->disable_system_certificates,
        .randomize_addresses = settings->randomize_addresses,
        .http2 = settings->http2_only && !settings->http1_only,
    };
}

static void http_show_url(const char *url, char *out, size_t bytes)
{
    http_redact(out, bytes, url, NULL);
}

static void http_store_close(struct lsio_store *base, bool forked)
{
    struct http_store *store = http_store_of(base);

    if (!store)
        return;
    credential_cache_destroy(store->credentials, forked);
    http_settings_finish(&store->settings);
    free(store->base.url);
    free(store);
}

static void option_note(void *data, const char *sentence)
{
    const struct driver_open *open = data;

    log_line(open->env->log, LSIO_LOG_INFO, "%s", sentence);
}

static int refuse(const struct driver_open *open, int status, const char *what, const char *value)
{
    if (open->why && open->why_bytes > 0)
        snprintf(open->why, open->why_bytes, "%s%s", what, value);
    return status;
}

/* What libcurl would say no to when a server is asked, where it looks like the server's failure. */
static int settings_check(const struct http_settings *settings, const struct driver_open *open)
{
    char byte[2];
    int status;

    if (!curl_resolve_is_valid(settings->resolve))
        return refuse(open, -EINVAL, "\"resolve\" must be host:port:address[,address] ...", "");
    if (!curl_proxy_is_valid(settings->proxy_url)) /* it may hold a password */
        return refuse(open, -EINVAL,
                      "\"proxy_url\" must be host:port, or a URL of http, https, socks4, "
                      "socks4a, socks5 or socks5h",
                      "");
    if (!settings->ca_file || !settings->address.tls || settings->insecure)
        return 0;
    status = open->os->read_text(settings->ca_file, byte, sizeof(byte));
    return status < 0 ? refuse(open, status, "no certificates can be read from ca_bundle, ",
                               settings->ca_file)
                      : 0;
}

/* What the URL, options, the environment and, for S3, the AWS profile say together. */
static int settings_read(struct http_store *store, const struct driver_open *open)
{
    struct aws_profile profile = {.found = false};
    struct http_settings_input input = {.url = open->url,
                                        .options = open->options,
                                        .option_count = open->option_count,
                                        .environment = environment_get,
                                        .profile = aws_profile_value,
                                        .profile_load = aws_profile_load_early,
                                        .profile_data = &profile,
                                        .note = option_note,
                                        .note_data = (void *)(uintptr_t)open,
                                        .why = open->why,
                                        .why_bytes = open->why_bytes};
    int status = http_settings_read(&store->settings, &input);

    aws_profile_finish(&profile);
    if (status)
        return status;
    status = settings_check(&store->settings, open);
    if (status)
        http_settings_finish(&store->settings);
    return status;
}

static int http_store_open(const struct driver_open *open, struct lsio_store **out)
{
    struct http_store *store = calloc(1, sizeof(*store));
    int status;

    if (!store)
        return -ENOMEM;
    store->base.driver = open->driver;
    store->base.context = open->context;
    store->state = open->state;
    store->env = open->env;
    atomic_init(&store->probe_bytes, PROBE_BYTES_FIRST);
    status = settings_read(store, open);
    if (status) {
        free(store);
        return status;
    }
    status = url_keep(store, open->url);
    if (!status)
        status = profile_choose(store, open);
    if (!status)
        status = host_find(store);
    if (!status)
        status = credentials_make(store);
    if (!status)
        status = http_customer_key_make(store, open->why, open->why_bytes);
    if (status) {
        http_store_close(&store->base, false);
        return status;
    }
    target_make(store);
    *out = &store->base;
    return 0;
}

/* Credentials come from the application from now on. */
static int http_set_credentials(struct lsio_store *base, lsio_credential_fn *ask, void *data)
{
    struct http_store *store = http_store_of(base);
    struct credential_cache *old = store->credentials;
    int status;

    store->settings.credential.callback = ask;
    store->settings.credential.callback_data = data;
    store->credentials = NULL;
    status = credentials_make(store);
    if (status)
        store->credentials = old;
    else
        credential_cache_destroy(old, false);
    return status;
}

/* ---------------------------------------------------------------------------------- probes -- */

/* Objects of a store are often of like size: ask for as much as the last ones had. */
void http_store_saw_size(struct http_store *store, const struct driver_object *object)
{
    uint64_t size = atomic_load(&object->plan.size);
    uint64_t bytes = PROBE_BYTES_LEAST;
    uint64_t most = object->plan.profile->split_bytes;

    if (most && size > most)
        size = PROBE_BYTES_LEAST; /* read in parts: the probe is only for the size */
    while (bytes < size)
        bytes *= 2;
    atomic_store_explicit(&store->probe_bytes, bytes, memory_order_relaxed);
}

static uint64_t http_probe_bytes(const struct lsio_store *base)
{
    return atomic_load_explicit(&http_store_of(base)->probe_bytes, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------- measuring -- */

static void http_measure(const struct lsio_store *base, struct plan_measured *out)
{
    http_host_measured(http_store_of(base)->host, out);
}

static void http_usage(void *state, struct driver_usage *out)
{
    http_hosts_usage(&((struct http_state *)state)->hosts, out);
}

/* ----------------------------------------------------------------------------------- table -- */

static int http_curl_state_create(struct lsio_context *context, const struct loop_os *os,
                                  uint32_t worker_count, void **out)
{
    struct http_state *state;
    int status = http_state_create(&transport_curl, worker_count, &state);

    (void)context;
    (void)os;
    if (!status)
        *out = state;
    return status;
}

static void http_driver_state_destroy(void *state, bool forked)
{
    http_state_destroy(state, forked);
}

static int http_driver_check_key(const struct lsio_store *store, const char *key)
{
    return http_key_check(&http_store_of(store)->settings.address, key);
}

static const char *const http_schemes[] = {"http", "https", "s3",  "s3a",  "gs",    "gcs",
                                           "az",   "azure", "adl", "abfs", "abfss", NULL};

/* As GDAL writes them ("Virtual file systems"): they hide local directories of these names. */
static const char *const http_prefixes[] = {"/vsicurl/", "/vsis3/", "/vsigs/", "/vsiaz/", NULL};

const struct driver_ops driver_http = {
    .name = "http",
    .schemes = http_schemes,
    .prefixes = http_prefixes,
    .state_create = http_curl_state_create,
    .state_destroy = http_driver_state_destroy,
    .worker_leave = http_worker_leave,
    .store_open = http_store_open,
    .store_close = http_store_close,
    .show_url = http_show_url,
    .read = http_read,
    .probe_bytes = http_probe_bytes,
    .measure = http_measure,
    .usage = http_usage,
    .cancel = http_read_cancel,
    .check_key = http_driver_check_key,
    .finish_object = http_object_finish,
    .object_info = http_object_info,
    .list = http_list,
    .set_credentials = http_set_credentials,
};
