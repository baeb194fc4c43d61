/* SPDX-License-Identifier: MIT */
/*
 * Design: a table of ways to reach what upload.py has put on each server, so that one suite runs
 * for all of them. Expected bytes come from the manifest's object numbers alone, never from a store
 * that is being tested.
 */
#define _GNU_SOURCE
#include "servers.h"

#include <ctype.h>

#include "server/fault_server.h"

const struct servers_way servers_ways[] = {
    {.name = "memory", .server = "NGINX", .url = "memory://servers", .lists = true},
    {.name = "local", .server = "NGINX", .url = "$ROOT", .upload = "nginx", .lists = true},
    {.name = "http", .server = "NGINX", .url = "$HTTP", .upload = "nginx"},
    {.name = "https",
     .server = "NGINX",
     .url = "$HTTPS",
     .options = {{"ca_bundle", "$CA_FILE"}},
     .upload = "nginx"},
    {.name = "http2",
     .server = "NGINX",
     .url = "$HTTP2",
     .options = {{"ca_bundle", "$CA_FILE"}, {"http2_only", "true"}},
     .upload = "nginx"},
    {.name = "s3 (versitygw)",
     .server = "VERSITYGW",
     .url = "s3://$BUCKET",
     .options = {{"endpoint", "$ENDPOINT"},
                 {"region", "$REGION"},
                 {"access_key_id", "$ACCESS_KEY"},
                 {"secret_access_key", "$SECRET_KEY"}},
     .upload = "versitygw",
     .wrong = "secret_access_key",
     .lists = true,
     .keeps_paths = true,
     .buckets = true},
    {.name = "s3 (moto)",
     .server = "MOTO",
     .url = "s3://$BUCKET",
     .options = {{"endpoint", "$ENDPOINT"},
                 {"region", "$REGION"},
                 {"access_key_id", "$ACCESS_KEY"},
                 {"secret_access_key", "$SECRET_KEY"}},
     .upload = "moto",
     .wrong = "secret_access_key",
     .lists = true,
     .buckets = true},
    {.name = "azure (azurite, key)",
     .server = "AZURITE",
     .url = "az://$CONTAINER",
     .options = {{"endpoint", "$ENDPOINT"}, {"account_name", "$ACCOUNT"}, {"account_key", "$KEY"}},
     .upload = "azurite",
     .turns_backslashes = true,
     .wrong = "account_key",
     .lists = true,
     .buckets = true},
    {.name = "azure (azurite, shared access signature)",
     .server = "AZURITE",
     .url = "az://$CONTAINER",
     .options = {{"endpoint", "$ENDPOINT"}, {"account_name", "$ACCOUNT"}, {"sas_token", "$SAS"}},
     .upload = "azurite",
     .turns_backslashes = true,
     .wrong = "sas_token",
     .lists = true},
    {.name = "gcs (fake-gcs-server)",
     .server = "FAKE_GCS",
     .url = "gs://$BUCKET",
     .options = {{"base_url", "$ENDPOINT"}, {"skip_signature", "true"}},
     .upload = "fake-gcs",
     .lists = true,
     .buckets = true},
};
const size_t servers_way_count = COUNT(servers_ways);

/* ----------------------------------------------------------------------------- environment -- */

void servers_need(void)
{
    if (getenv("LSIO_SERVERS_PUT"))
        return;
    printf("skipped: no servers run (tests/run.sh --servers)\n");
    exit(77);
}

const char *servers_value(const char *server, const char *name)
{
    char variable[128];
    const char *value;

    snprintf(variable, sizeof(variable), "LSIO_SERVERS_%s_%s", server, name);
    value = getenv(variable);
    if (!value) {
        fprintf(stderr, "%s is not set\n", variable);
        exit(1);
    }
    return value;
}

/* ------------------------------------------------------------------------------- manifests -- */

/* In place. */
static void percent_decode(char *text)
{
    char *to = text;
    unsigned byte;

    for (; *text; text++) {
        if (*text == '%' && sscanf(text + 1, "%2x", &byte) == 1) {
            *to++ = (char)byte;
            text += 2;
        } else {
            *to++ = *text;
        }
    }
    *to = '\0';
}

void servers_manifest_read(const char *server, struct servers_manifest *out)
{
    FILE *file = fopen(servers_value(server, "MANIFEST"), "re");
    char line[8192], key[4096];
    unsigned id;
    unsigned long long size;

    assert_non_null(file);
    *out = (struct servers_manifest){.objects = calloc(1000, sizeof(*out->objects))};
    while (fgets(line, sizeof(line), file)) {
        assert_int_equal(sscanf(line, "%u %llu %*s %4095s", &id, &size, key), 3);
        assert_true(out->count < 1000);
        percent_decode(key);
        out->objects[out->count++] = (struct servers_object){id, size, strdup(key)};
    }
    fclose(file);
    assert_true(out->count > 0);
}

void servers_manifest_free(struct servers_manifest *manifest)
{
    for (size_t i = 0; i < manifest->count; i++)
        free(manifest->objects[i].key);
    free(manifest->objects);
    *manifest = (struct servers_manifest){.objects = NULL};
}

const struct servers_object *servers_manifest_find(const struct servers_manifest *manifest,
                                                   const char *key)
{
    for (size_t i = 0; i < manifest->count; i++)
        if (strcmp(manifest->objects[i].key, key) == 0)
            return &manifest->objects[i];
    return NULL;
}

/* --------------------------------------------------------------------------------- secrets -- */

static char *secrets[16]; /* each in the forms in which it could be printed */
static unsigned secret_count;
static _Atomic unsigned secrets_logged;

static void secret_add(const char *value)
{
    char *encoded = calloc(strlen(value) * 3 + 1, 1), *to = encoded;

    for (const char *at = value; *at; at++)
        to += sprintf(to, isalnum((unsigned char)*at) ? "%c" : "%%%02X", (unsigned char)*at);
    assert_true(secret_count + 2 <= COUNT(secrets));
    secrets[secret_count++] = strdup(value);
    secrets[secret_count++] = encoded;
}

static void secrets_load(void)
{
    if (secret_count)
        return;
    secret_add(servers_value("VERSITYGW", "SECRET_KEY"));
    secret_add(servers_value("MOTO", "SECRET_KEY"));
    secret_add(servers_value("AZURITE", "KEY"));
    secret_add(strstr(servers_value("AZURITE", "SAS"), "sig=") + strlen("sig="));
}

static bool has_secret(const char *text)
{
    for (unsigned i = 0; i < secret_count; i++)
        if (strstr(text, secrets[i]))
            return true;
    return false;
}

void servers_secrets_check(const char *text)
{
    assert_true(secret_count > 0);
    assert_false(has_secret(text));
}

unsigned servers_secrets_logged(void)
{
    return atomic_load(&secrets_logged);
}

static void on_log(int level, const char *text, void *data)
{
    (void)level;
    (void)data;
    if (has_secret(text))
        atomic_fetch_add(&secrets_logged, 1);
}

/* ---------------------------------------------------------------------- contexts and stores -- */

struct lsio_context *servers_context(const char *loop, uint64_t memory_bytes_max)
{
    struct lsio_config config = {.struct_bytes = sizeof(config),
                                 .workers = 3,
                                 .memory_bytes_max = memory_bytes_max,
                                 .loop = loop,
                                 .log_level = LSIO_LOG_DEBUG,
                                 .log = on_log};
    struct lsio_context *context;

    secrets_load();
    assert_int_equal(lsio_context_create(&config, &context), 0);
    return context;
}

static void memory_fill(struct lsio_store *store, const struct servers_manifest *manifest)
{
    for (size_t i = 0; i < manifest->count; i++)
        servers_put(&servers_ways[0], store, manifest->objects[i].key, manifest->objects[i].id,
                    manifest->objects[i].size);
}

int servers_run(const char *name, const char **loop, const struct CMUnitTest *tests, size_t count)
{
    static const char *const loops[] = {"uring", "epoll"};
    int failed = 0;

    for (size_t i = 0; i < COUNT(loops); i++) {
        char title[96];
        if (!api_loop_is_there(loops[i]))
            continue;
        *loop = loops[i];
        snprintf(title, sizeof(title), "%s on %s", name, *loop);
        print_message("%s\n", title);
        failed += _cmocka_run_group_tests(title, tests, count, NULL, NULL);
    }
    return failed;
}

int servers_open(const struct servers_way *way, struct lsio_context *context, const char *bucket,
                 const struct lsio_option *more, struct lsio_store **out)
{
    struct lsio_option options[2 * SERVERS_OPTIONS_MAX];
    const char *dollar = strchr(way->url, '$');
    char url[512];
    size_t count = 0;
    int status;

    snprintf(url, sizeof(url), "%s", way->url);
    if (dollar)
        snprintf(url, sizeof(url), "%.*s%s", (int)(dollar - way->url), way->url,
                 bucket ? bucket : servers_value(way->server, dollar + 1));
    for (; more && more->key; more++)
        options[count++] = *more;
    for (size_t i = 0; i < SERVERS_OPTIONS_MAX && way->options[i].key; i++) {
        const struct lsio_option *own = &way->options[i];
        bool given = false;
        for (size_t k = 0; k < count; k++)
            given = given || strcmp(options[k].key, own->key) == 0;
        if (given)
            continue;
        options[count] = *own;
        if (own->value[0] == '$')
            options[count].value = servers_value(way->server, own->value + 1);
        count++;
    }
    status = lsio_store_open(context, url, options, count, out);
    if (status == 0 && strncmp(url, "memory:", 7) == 0) {
        struct servers_manifest manifest;
        servers_manifest_read(way->server, &manifest);
        memory_fill(*out, &manifest);
        servers_manifest_free(&manifest);
    }
    return status;
}

void servers_put(const struct servers_way *way, struct lsio_store *store, const char *key,
                 uint32_t id, uint64_t size)
{
    char command[2048];

    if (way->upload) {
        snprintf(command, sizeof(command), "%s %s %s %u %llu", getenv("LSIO_SERVERS_PUT"),
                 way->upload, key, id, (unsigned long long)size);
        assert_int_equal(system(command), 0);
    } else {
        void *bytes = malloc(size + 1);
        server_pattern(id, 0, bytes, size);
        assert_int_equal(lsio_memory_put(store, key, bytes, size), 0);
        free(bytes);
    }
}

/* -------------------------------------------------------------------------------- expected -- */

int servers_range(uint64_t size, int64_t offset, uint64_t length, uint64_t dst_bytes,
                  uint64_t *first, uint64_t *bytes)
{
    uint64_t back = offset < 0 ? 0 - (uint64_t)offset : 0;

    *first = (uint64_t)offset;
    *bytes = length;
    if (length == 0)
        return 0;
    if (offset < 0 && length != LSIO_TO_END && length > back)
        return -EINVAL;
    if (offset < 0 && back > size) {
        if (length != LSIO_TO_END)
            return LSIO_E_TRUNCATED;
        back = size;
    }
    if (offset < 0)
        *first = size - back;
    if (*first > size || (length != LSIO_TO_END && length > size - *first))
        return LSIO_E_TRUNCATED;
    if (length == LSIO_TO_END)
        *bytes = size - *first;
    return *bytes > dst_bytes ? LSIO_E_NO_SPACE : 0;
}

void servers_check(const char *key, uint32_t id, uint64_t offset, const void *bytes, uint64_t count)
{
    int64_t at = server_pattern_check(id, offset, bytes, count);

    if (at >= 0)
        fail_msg("%s: the byte at offset %llu is wrong (%lld of a range of %llu)", key,
                 (unsigned long long)offset + (unsigned long long)at, (long long)at,
                 (unsigned long long)count);
}
