/* SPDX-License-Identifier: MIT */
/*
 * options.c - see options.h.
 *
 * Settings are filled from the weakest source to the strongest: defaults, AWS profile, environment,
 * options; what the URL says is left out of the first three. Options of credentials come before all
 * that, for they are kept apart from the other sources and say which profile it is. The profile's
 * and the environment's values are checked like options: a mistyped AWS_TIMEOUT is an error that
 * names it.
 *
 * Runs on the thread that opens the store; the result is frozen.
 */
#define _GNU_SOURCE /* strdup */

#include "driver/http/options.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "driver/http/credential.h"
#include "driver/http/encode.h"
#include "driver/http/options_value.h"
#include "plan/plan.h"

#define KEY_BYTES 96u /* longer keys are unknown ones */

struct reading {
    struct http_settings *settings;
    const struct http_settings_input *input;
    struct http_url url;
    uint8_t store; /* enum http_option_store: of this URL */
};

static int refuse(const struct http_settings_input *input, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static int refuse(const struct http_settings_input *input, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (input->why && input->why_bytes > 0)
        vsnprintf(input->why, input->why_bytes, format, arguments);
    va_end(arguments);
    return -EINVAL;
}

/* ------------------------------------------------------------------------------------- names -- */

static const struct {
    const char *text;
    uint8_t store;
} prefixes[] = {
    {"aws_", HTTP_OF_S3},
    {"google_", HTTP_OF_GCS},
    {"azure_storage_", HTTP_OF_AZURE},
    {"azure_", HTTP_OF_AZURE},
};

#define PREFIX_COUNT (sizeof(prefixes) / sizeof(prefixes[0]))

/* Is `key` the word, or the word behind a prefix of one of the option's stores? */
static bool key_is(const char *key, const char *word, size_t length,
                   const struct http_option *option)
{
    if (strlen(key) == length && strncasecmp(key, word, length) == 0)
        return true;
    for (size_t i = 0; !option->own && i < PREFIX_COUNT; i++) {
        size_t before = strlen(prefixes[i].text);
        if ((option->stores & prefixes[i].store) && strlen(key) == before + length &&
            strncasecmp(key, prefixes[i].text, before) == 0 &&
            strncasecmp(key + before, word, length) == 0)
            return true;
    }
    return false;
}

/* The option of that name; in *rank (may be NULL) which of its names that is. */
static const struct http_option *find_option(uint8_t stores, const char *key, size_t *rank)
{
    for (size_t i = 0; i < http_option_count; i++) {
        const struct http_option *option = &http_options[i];
        const char *names = option->names, *name;
        size_t length, at = 0;
        for (; (option->stores & stores) && (name = option_next_word(&names, &length)); at++) {
            if (!key_is(key, name, length, option))
                continue;
            if (rank)
                *rank = at;
            return option;
        }
    }
    return NULL;
}

int http_option_taken(void *unused, const struct lsio_option *option)
{
    (void)unused;
    return option->key && find_option(HTTP_OF_ALL, option->key, NULL) ? 1 : 0;
}

/* The profile of the planner has options, too; they are applied elsewhere. */
static bool is_plan_option(const struct lsio_option *option)
{
    struct plan_profile scratch;

    memset(&scratch, 0, sizeof(scratch));
    return strcmp(option->key, "profile") == 0 ||
           plan_profile_set(&scratch, option->key, option->value) != 0;
}

/* The name most like `key`, or NULL. */
static const char *find_similar(uint8_t store, const char *key, size_t *length)
{
    const char *best = NULL;
    uint32_t best_distance = strlen(key) < 6 ? 2 : 3; /* more than that is another word */
    char lower[KEY_BYTES];
    size_t count = strlen(key);

    if (count >= sizeof(lower))
        return NULL;
    for (size_t i = 0; i <= count; i++)
        lower[i] = key[i] >= 'A' && key[i] <= 'Z' ? (char)(key[i] | 0x20) : key[i];
    for (size_t p = 0; p <= PREFIX_COUNT; p++) { /* without each prefix, then as it is */
        size_t before = p < PREFIX_COUNT ? strlen(prefixes[p].text) : 0;
        if (p < PREFIX_COUNT && strncmp(lower, prefixes[p].text, before) != 0)
            continue;
        for (size_t i = 0; i < http_option_count; i++) {
            const char *names = http_options[i].names, *name;
            size_t letters;
            while ((http_options[i].stores & store) &&
                   (name = option_next_word(&names, &letters))) {
                uint32_t distance = option_distance(lower + before, count - before, name, letters);
                if (distance < best_distance) {
                    best_distance = distance;
                    best = name;
                    *length = letters;
                }
            }
        }
    }
    return best;
}

static int refuse_unknown(const struct reading *reading, const char *key)
{
    const char *shown = http_text_is_clean(key) ? key : "(unprintable)";
    size_t length = 0;
    const char *similar = find_similar(reading->store, key, &length);

    if (find_option(HTTP_OF_ALL, key, NULL))
        return refuse(reading->input, "store option \"%.96s\" is for other kinds of stores", shown);
    if (similar)
        return refuse(reading->input, "unknown store option \"%.96s\": did you mean \"%.*s\"?",
                      shown, (int)length, similar);
    return refuse(reading->input, "unknown store option \"%.96s\"", shown);
}

/* ------------------------------------------------------------------------------------ values -- */

static int take_text(char **out, const char *value)
{
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    http_secret_free(*out); /* customer keys are among them */
    *out = copy;
    return 0;
}

static int take_number(const struct http_option *option, const char *value, uint64_t *out)
{
    uint64_t number;
    int status = option->kind == HTTP_OPTION_DURATION
                     ? option_duration(value, &number)
                     : option_count(value, option->kind == HTTP_OPTION_SIZE, &number);

    if (status < 0 || number < option->least || number > option->most)
        return -EINVAL;
    *out = number;
    return 0;
}

static int take_switch(const char *value, uint8_t *out)
{
    bool on;
    int status = option_bool(value, NULL, &on);

    if (status == 0)
        *out = on ? HTTP_YES : HTTP_NO;
    return status;
}

static int take_credential(struct http_settings *settings, const struct http_option *option,
                           const char *value)
{
    if (option->place != CREDENTIAL_GOOGLE_SERVICE_ACCOUNT_KEY && !http_text_is_clean(value))
        return -EINVAL;
    return credential_settings_set(&settings->credential, (enum credential_key)option->place,
                                   value);
}

/* Stores a value; -EINVAL if it is none of the option's. */
static int take_value(struct http_settings *settings, const struct http_option *option,
                      const char *value)
{
    void *field = (char *)settings + option->place;

    switch ((enum http_option_kind)option->kind) {
    case HTTP_OPTION_TEXT:
        return http_text_is_clean(value) ? take_text(field, value) : -EINVAL;
    case HTTP_OPTION_BOOL:
        return option_bool(value, option->words, field);
    case HTTP_OPTION_SWITCH:
        return take_switch(value, field);
    case HTTP_OPTION_CHOICE:
        return option_word(value, option->words, field);
    case HTTP_OPTION_COUNT:
    case HTTP_OPTION_SIZE:
    case HTTP_OPTION_DURATION:
        return take_number(option, value, field);
    case HTTP_OPTION_CREDENTIAL:
        return take_credential(settings, option, value);
    case HTTP_OPTION_IGNORED:
    case HTTP_OPTION_REFUSED:
        break;
    }
    return 0;
}

/* Says what would have been a value. `where`: "store option" or "environment variable". */
static int refuse_value(const struct http_settings_input *input, const struct http_option *option,
                        const char *where, const char *name)
{
    switch ((enum http_option_kind)option->kind) {
    case HTTP_OPTION_BOOL:
    case HTTP_OPTION_SWITCH:
        return refuse(input, "%s \"%.96s\" must be true or false", where, name);
    case HTTP_OPTION_CHOICE:
        return refuse(input, "%s \"%.96s\" must be one of %s", where, name, option->words);
    case HTTP_OPTION_COUNT:
        return refuse(input, "%s \"%.96s\" must be a number from %" PRIu64 " to %" PRIu64, where,
                      name, option->least, option->most);
    case HTTP_OPTION_SIZE:
        return refuse(input, "%s \"%.96s\" must be a size such as 64M", where, name);
    case HTTP_OPTION_DURATION:
        return refuse(input, "%s \"%.96s\" must be a time such as 30s, of %" PRIu64 " ms to a day",
                      where, name, option->least);
    case HTTP_OPTION_TEXT:
    case HTTP_OPTION_CREDENTIAL:
    case HTTP_OPTION_IGNORED:
    case HTTP_OPTION_REFUSED:
        break;
    }
    return refuse(input, "%s \"%.96s\" must not hold control characters", where, name);
}

static int take_checked(struct reading *reading, const struct http_option *option,
                        const char *where, const char *name, const char *value)
{
    int status = take_value(reading->settings, option, value);

    return status == -EINVAL ? refuse_value(reading->input, option, where, name) : status;
}

/* ----------------------------------------------------------------------------------- sources -- */

static void take_defaults(struct http_settings *settings)
{
    for (size_t i = 0; i < http_option_count; i++) {
        const struct http_option *option = &http_options[i];
        void *field = (char *)settings + option->place;
        if (option->kind == HTTP_OPTION_BOOL)
            *(bool *)field = option->standard != 0;
        else if (option->kind == HTTP_OPTION_COUNT || option->kind == HTTP_OPTION_SIZE ||
                 option->kind == HTTP_OPTION_DURATION)
            *(uint64_t *)field = option->standard;
    }
}

static bool is_region(const struct http_option *option)
{
    return option->kind == HTTP_OPTION_TEXT &&
           option->place == offsetof(struct http_settings, region);
}

/* What the URL has decided is no business of the environment and the profile. */
static bool is_decided(const struct reading *reading, const struct http_option *option)
{
    return option->from_address &&
           (is_region(option) ? reading->url.region != NULL : reading->url.names_server);
}

static const char *read_variable(const struct reading *reading, const char *name)
{
    const char *value = reading->input->environment(reading->input->environment_data, name);

    return value && value[0] ? value : NULL; /* empty counts as unset, as for the vendors' tools */
}

/* The first variable of an option that is set: its own ones, then PREFIX_NAME for each name. Leaves
 * the variable's name in `name`. */
static const char *find_variable(const struct reading *reading, const struct http_option *option,
                                 char name[KEY_BYTES])
{
    const char *words = option->variables, *word, *value = NULL;
    size_t length;

    while (!value && (word = option_next_word(&words, &length))) {
        snprintf(name, KEY_BYTES, "%.*s", (int)length, word);
        value = read_variable(reading, name);
    }
    words = option->own ? NULL : option->names;
    while (!value && (word = option_next_word(&words, &length))) {
        for (size_t i = 0; !value && i < PREFIX_COUNT; i++) {
            if (!(prefixes[i].store & reading->store))
                continue;
            snprintf(name, KEY_BYTES, "%s%.*s", prefixes[i].text, (int)length, word);
            for (char *at = name; *at; at++)
                *at = *at >= 'a' && *at <= 'z' ? (char)(*at & ~0x20) : *at;
            value = read_variable(reading, name);
        }
    }
    return value;
}

static int take_environment(struct reading *reading)
{
    int status = 0;

    for (size_t i = 0; status == 0 && i < http_option_count; i++) {
        const struct http_option *option = &http_options[i];
        char name[KEY_BYTES];
        const char *value;
        if (!(option->stores & reading->store) || option->kind >= HTTP_OPTION_CREDENTIAL ||
            is_decided(reading, option))
            continue;
        value = find_variable(reading, option, name);
        if (value)
            status = take_checked(reading, option, "environment variable", name, value);
    }
    return status;
}

static const char *profile_value(const struct reading *reading, const char *setting)
{
    const struct http_settings_input *input = reading->input;
    const char *value = input->profile ? input->profile(input->profile_data, setting) : NULL;

    return value && value[0] ? value : NULL;
}

static int take_addressing_style(struct reading *reading)
{
    static const char setting[] = "s3.addressing_style";
    const char *value = profile_value(reading, setting);
    enum { AUTO, PATH, VIRTUAL };
    uint8_t style = AUTO;

    if (value && option_word(value, "auto|path|virtual", &style) < 0)
        return refuse(reading->input, "profile setting \"%s\" must be auto, path or virtual",
                      setting);
    if (style != AUTO && !reading->url.names_server)
        reading->settings->virtual_host = style == VIRTUAL ? HTTP_YES : HTTP_NO;
    return 0;
}

static int take_profile(struct reading *reading)
{
    /* Where two are for one option, the second counts. */
    static const char *const names[][2] = {
        {"region", "region"},
        {"endpoint_url", "endpoint_url"},
        {"s3.endpoint_url", "endpoint_url"},
        {"use_dualstack_endpoint", "use_dualstack_endpoint"},
        {"s3.use_dualstack_endpoint", "use_dualstack_endpoint"},
        {"ca_bundle", "ca_bundle"},
    };
    const struct http_settings_input *input = reading->input;
    int status = 0;

    if (input->profile_load)
        status = input->profile_load(input->profile_data, &reading->settings->credential,
                                     input->why, input->why_bytes);
    for (size_t i = 0; status == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        const struct http_option *option = find_option(HTTP_OF_S3, names[i][1], NULL);
        const char *value = profile_value(reading, names[i][0]);
        if (value && !is_decided(reading, option))
            status = take_checked(reading, option, "profile setting", names[i][0], value);
    }
    return status < 0 ? status : take_addressing_style(reading);
}

/* AWS, "Service-specific endpoints" (SDKs and Tools reference guide): one setting makes those of
 * environment and profile count for nothing. Options are not said yet. */
static int ignore_endpoints(struct reading *reading)
{
    static const char variable[] = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";
    const char *value = reading->input->environment ? read_variable(reading, variable) : NULL;
    bool ignored = false;

    if (!value)
        value = profile_value(reading, "ignore_configured_endpoint_urls");
    if (value && option_bool(value, NULL, &ignored) < 0)
        return refuse(reading->input, "\"%s\" must be true or false", variable);
    if (ignored) {
        free(reading->settings->endpoint);
        reading->settings->endpoint = NULL;
        credential_settings_forget_servers(&reading->settings->credential);
    }
    return 0;
}

static void note_ignored(const struct http_settings_input *input, const char *key)
{
    char sentence[KEY_BYTES + 64];

    if (!input->note)
        return;
    snprintf(sentence, sizeof(sentence), "store option \"%.96s\" has no effect on reading", key);
    input->note(input->note_data, sentence);
}

/* Takes an option, if it is one of credentials or none, as asked for, and called by the name that
 * has this rank. */
static int take_option(struct reading *reading, const struct lsio_option *given, bool credentials,
                       size_t rank)
{
    const struct http_option *option;
    size_t its_rank = 0;
    int status;

    if (!given->key || !given->value)
        return refuse(reading->input, "no value for store option \"%.96s\"",
                      given->key ? given->key : "(null)");
    option = find_option(reading->store, given->key, &its_rank);
    if (its_rank != rank || (option && option->kind == HTTP_OPTION_CREDENTIAL) != credentials)
        return 0;
    if (!option)
        return is_plan_option(given) ? 0 : refuse_unknown(reading, given->key);
    if (option->kind == HTTP_OPTION_REFUSED)
        return refuse(reading->input, "store option \"%.96s\" is not supported; use %s", given->key,
                      option->meaning);
    if (!*given->value && !option->may_be_empty) /* as of a shell's variable that is not set */
        return refuse(reading->input, "store option \"%.96s\" is empty", given->key);
    if (option->kind == HTTP_OPTION_IGNORED)
        note_ignored(reading->input, given->key);
    status = take_checked(reading, option, "store option", given->key, given->value);
    if (status == 0 && is_region(option)) /* STS is asked in the same region */
        status = credential_settings_set(&reading->settings->credential, CREDENTIAL_REGION,
                                         given->value);
    return status;
}

/* Takes the options of credentials, or the others: the weakest names first. */
static int take_options(struct reading *reading, bool credentials)
{
    const struct http_settings_input *input = reading->input;
    int status = 0;

    for (size_t rank = HTTP_OPTION_NAMES_MAX; status == 0 && rank-- > 0;) {
        for (size_t i = 0; status == 0 && i < input->option_count; i++)
            status = take_option(reading, &input->options[i], credentials, rank);
    }
    return status;
}

/* ------------------------------------------------------------------------------------- whole -- */

static int make_address(struct reading *reading)
{
    struct http_settings *settings = reading->settings;
    const struct credential_settings *credential = &settings->credential;
    bool azure = reading->store == HTTP_OF_AZURE;
    /* What the environment says of the account counts if nobody else names one. */
    bool account_said =
        reading->url.account ||
        credential_settings_get(credential, CREDENTIAL_FROM_OPTIONS, CREDENTIAL_AZURE_ACCOUNT) ||
        credential_settings_get(credential, CREDENTIAL_FROM_OPTIONS,
                                CREDENTIAL_AZURE_CONNECTION_STRING);
    enum credential_from from = account_said ? CREDENTIAL_FROM_OPTIONS : CREDENTIAL_FROM_ANY;
    enum credential_from emulator_from =
        reading->url.account ? CREDENTIAL_FROM_OPTIONS : CREDENTIAL_FROM_ANY;
    struct http_endpoint endpoint = {
        .endpoint = settings->endpoint,
        .bucket = settings->bucket,
        .region = settings->region,
        .virtual_host = (enum http_choice)settings->virtual_host,
        .dualstack = settings->dualstack,
        .express = settings->express,
        .fabric = settings->fabric,
        .endpoint_plain = reading->store == HTTP_OF_GCS || !settings->https,
        .https_only = !settings->allow_http,
    };
    int status;

    if (azure) {
        endpoint.account = credential_settings_get(credential, from, CREDENTIAL_AZURE_ACCOUNT);
        endpoint.connection_string =
            credential_settings_get(credential, from, CREDENTIAL_AZURE_CONNECTION_STRING);
        endpoint.emulator =
            credential_settings_bool(credential, emulator_from, CREDENTIAL_AZURE_USE_EMULATOR);
    }
    status = http_address_make(&reading->url, &endpoint, &settings->address, reading->input->why,
                               reading->input->why_bytes);
    if (status == 0 && azure) /* whose key or token is looked for */
        status = credential_settings_set(&settings->credential, CREDENTIAL_AZURE_ACCOUNT,
                                         settings->address.account);
    return status;
}

int http_settings_read(struct http_settings *out, const struct http_settings_input *input)
{
    struct reading reading = {.settings = out, .input = input};
    int status;

    memset(out, 0, sizeof(*out));
    take_defaults(out);
    status = http_url_parse(input->url, &reading.url, input->why, input->why_bytes);
    if (status < 0)
        return status;
    reading.store = (uint8_t)(1u << reading.url.dialect);
    status = take_options(&reading, true);
    if (status == 0 && input->environment)
        status = credential_settings_environment(&out->credential, input->environment,
                                                 input->environment_data);
    if (status == 0 && reading.store == HTTP_OF_S3)
        status = take_profile(&reading);
    if (status == 0 && input->environment)
        status = take_environment(&reading);
    if (status == 0 && reading.store == HTTP_OF_S3)
        status = ignore_endpoints(&reading);
    if (status == 0)
        status = take_options(&reading, false);
    if (status == 0 && out->retry_sleep_min_ms > out->retry_sleep_max_ms)
        status = refuse(input, "store option \"retry_sleep_min\" is above \"retry_sleep_max\"");
    if (status == 0 && out->http1_only && out->http2_only)
        status =
            refuse(input, "store options \"http1_only\" and \"http2_only\" exclude each other");
    if (status == 0)
        status = make_address(&reading);
    http_url_finish(&reading.url);
    if (status < 0)
        http_settings_finish(out);
    return status;
}

void http_settings_finish(struct http_settings *settings)
{
    http_address_finish(&settings->address);
    credential_settings_finish(&settings->credential);
    for (size_t i = 0; i < http_option_count; i++) {
        if (http_options[i].kind == HTTP_OPTION_TEXT) {
            char **text = (char **)(void *)((char *)settings + http_options[i].place);
            http_secret_free(*text);
            *text = NULL;
        }
    }
    memset(settings, 0, sizeof(*settings));
}
