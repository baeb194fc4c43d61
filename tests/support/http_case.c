/* SPDX-License-Identifier: MIT */
/*
 * Design: see http_case.h. The loop of the running group is a global, because cmocka hands groups
 * no argument.
 */
#define _GNU_SOURCE
#include "http_case.h"

#include "driver_rig.h"

#define OPTIONS_MAX 16u

static const char *loop_name;

/* ------------------------------------------------------------------------------- the group -- */

static void log_keep(int level, const char *text, void *data)
{
    struct http_case *c = data;
    size_t bytes = strlen(text) + 1;

    (void)level;
    pthread_mutex_lock(&c->log_lock);
    if (c->log_bytes + bytes < HTTP_CASE_LOG) {
        memcpy(c->log + c->log_bytes, text, bytes);
        c->log_bytes += bytes;
        c->log[c->log_bytes - 1] = '\n';
        c->log[c->log_bytes] = '\0';
    }
    pthread_mutex_unlock(&c->log_lock);
}

static int setup(void **state)
{
    struct http_case *c = calloc(1, sizeof(*c));
    struct lsio_config config = {.struct_bytes = sizeof(config),
                                 .workers = 2,
                                 .memory_bytes_max = 32 * MIB,
                                 .loop = loop_name,
                                 .log_level = LSIO_LOG_DEBUG,
                                 .log = log_keep,
                                 .log_data = c};

    if (!c)
        return -1;
    c->loop = loop_name;
    c->descriptors = api_descriptors();
    pthread_mutex_init(&c->log_lock, NULL);
    c->log = calloc(1, HTTP_CASE_LOG + 1);
    c->memory = malloc(HTTP_CASE_BYTES);
    *state = c;
    return c->log && c->memory ? lsio_context_create(&config, &c->context) : -1;
}

static int teardown(void **state)
{
    struct http_case *c = *state;
    char left[1024] = "";
    int wrong = lsio_context_destroy(c->context), descriptors;

    if (wrong)
        print_error("lsio_context_destroy: %d\n", wrong);
    if (c->server && server_finish(c->server, left, sizeof(left)) > 0) {
        print_error("planned faults did not happen: %s\n", left);
        wrong = -1;
    }
    server_destroy(c->server);
    descriptors = api_descriptors();
    if (descriptors != c->descriptors) {
        print_error("%d descriptors are open, %d were before\n", descriptors, c->descriptors);
        wrong = -1;
    }
    pthread_mutex_destroy(&c->log_lock);
    free(c->log);
    free(c->memory);
    free(c);
    return wrong;
}

int http_case_run(const char *group, const struct CMUnitTest *tests, size_t count)
{
    struct CMUnitTest *with_setup = calloc(count, sizeof(*with_setup));
    int failures = 0;

    for (size_t i = 0; i < count; i++) {
        with_setup[i] = tests[i];
        with_setup[i].setup_func = setup;
        with_setup[i].teardown_func = teardown;
    }
    for (const char *const *loop = rig_loops(); *loop; loop++) {
        char name[128];
        loop_name = *loop;
        if (strcmp(loop_name, "controlled") == 0)
            continue; /* it has no sockets */
        snprintf(name, sizeof(name), "%s: %s", group, loop_name);
        failures += _cmocka_run_group_tests(name, with_setup, count, NULL, NULL);
    }
    free(with_setup);
    return failures;
}

/* ------------------------------------------------------------------------ server and store -- */

void http_case_serve(struct http_case *c, const struct server_config *config)
{
    assert_null(c->server);
    assert_int_equal(server_create(config, &c->server), 0);
}

/* "%s" in `text` becomes the server's URL; malloc'ed. */
static char *filled(struct http_case *c, const char *text)
{
    const char *mark = strstr(text, "%s");
    char *out = NULL;

    assert_true(asprintf(&out, "%.*s%s%s", mark ? (int)(mark - text) : (int)strlen(text), text,
                         mark ? server_url(c->server) : "", mark ? mark + 2 : "") >= 0);
    return out;
}

static bool is_named(const struct lsio_option *options, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(options[i].key, key) == 0)
            return true;
    return false;
}

static int open_with(struct http_case *c, const char *url, va_list list)
{
    static const struct lsio_option usual[] = {
        {"retry_sleep_min", "1ms"}, {"retry_sleep_max", "2ms"}, {"proxy_url", ""}};
    struct lsio_option options[OPTIONS_MAX + COUNT(usual)];
    char *texts[OPTIONS_MAX], *whole;
    size_t given = 0, count;
    int status;

    if (!c->server)
        http_case_serve(c, &(struct server_config){0});
    for (const char *one; (one = va_arg(list, const char *)) != NULL; given++) {
        assert_true(given < OPTIONS_MAX);
        texts[given] = filled(c, one);
        options[given].key = texts[given];
        options[given].value = strchr(texts[given], '=') + 1;
        *strchr(texts[given], '=') = '\0';
    }
    count = given;
    for (size_t i = 0; i < COUNT(usual); i++)
        if (!is_named(options, given, usual[i].key))
            options[count++] = usual[i];
    if (c->store)
        assert_int_equal(lsio_store_close(c->store), 0);
    c->store = NULL;
    whole = filled(c, url);
    status = lsio_store_open(c->context, whole, options, count, &c->store);
    free(whole);
    while (given)
        free(texts[--given]);
    return status;
}

int http_case_try_open(struct http_case *c, const char *url, ...)
{
    va_list list;
    int status;

    va_start(list, url);
    status = open_with(c, url, list);
    va_end(list);
    return status;
}

void http_case_open(struct http_case *c, const char *url, ...)
{
    va_list list;
    int status;

    va_start(list, url);
    status = open_with(c, url, list);
    va_end(list);
    if (status)
        fail_msg("opening %s: %s\n%s", url, lsio_status_name(status), c->log);
}

static void serve_as(struct http_case *c, enum server_style style)
{
    if (!c->server)
        http_case_serve(c, &(struct server_config){.style = style});
}

void http_case_open_s3(struct http_case *c, const char *option)
{
    serve_as(c, SERVER_S3);
    http_case_open(c, "s3://bucket", "endpoint=%s", "access_key_id=id", "secret_access_key=secret",
                   option, NULL);
}

void http_case_open_gcs(struct http_case *c, const char *option)
{
    serve_as(c, SERVER_GCS);
    http_case_open(c, "gs://bucket", "base_url=%s", "skip_signature=true", option, NULL);
}

void http_case_open_azure(struct http_case *c, const char *option)
{
    serve_as(c, SERVER_AZURE);
    http_case_open(c, "az://bucket", "endpoint=%s/account", "account_name=account",
                   "account_key=c2VjcmV0", option, NULL);
}

void http_case_put(struct http_case *c, const char *path, uint32_t id, uint64_t size)
{
    assert_int_equal(
        server_put(c->server,
                   &(struct server_object){.path = path, .pattern_id = id, .size = size}),
        0);
}

/* --------------------------------------------------------------------------------- reading -- */

int http_case_read(struct http_case *c, const char *key, int64_t offset, uint64_t length)
{
    int status;

    memset(c->memory, 0xEE, HTTP_CASE_BYTES);
    memset(&c->error, 0, sizeof(c->error));
    c->error.struct_bytes = sizeof(c->error);
    c->bytes = 0;
    status =
        lsio_read(c->context, c->store, key, offset, length, c->memory, HTTP_CASE_BYTES, &c->bytes);
    if (status)
        assert_int_equal(lsio_last_error(c->context, &c->error), 0);
    return status;
}

void http_case_expect(struct http_case *c, const char *key, uint32_t id, int64_t offset,
                      uint64_t length)
{
    int status = http_case_read(c, key, offset, length);
    int64_t wrong;

    if (status)
        fail_msg("%s: %s, code %d: %s", key, lsio_status_name(status), c->error.code,
                 c->error.text);
    if (length != LSIO_TO_END)
        assert_int_equal(c->bytes, length);
    wrong = server_pattern_check(id, (uint64_t)offset, c->memory, c->bytes);
    if (wrong >= 0)
        fail_msg("%s: byte %lld is wrong", key, (long long)wrong);
}

/* --------------------------------------------------------------------- what the server saw -- */

struct server_record http_case_request(struct http_case *c, unsigned index)
{
    struct server_record record;

    if (!server_request(c->server, index, &record))
        fail_msg("there is no request %u: there were %u", index, server_request_count(c->server));
    return record;
}

const char *http_case_header(struct http_case *c, unsigned index, const char *name)
{
    struct server_record record = http_case_request(c, index);

    return server_header(&record, name, c->value, sizeof(c->value)) ? c->value : "";
}

void http_case_plan(struct http_case *c, const char *path, uint32_t nth,
                    const struct server_fault *fault)
{
    assert_int_equal(
        server_plan(c->server, &(struct server_match){.path = path, .nth = nth}, fault), 0);
}
