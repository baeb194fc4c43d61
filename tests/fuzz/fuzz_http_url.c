/* SPDX-License-Identifier: MIT */
/*
 * URLs, options and keys of http, s3, gs and az stores. The input is lines: a URL, a key, then
 * options as NAME=VALUE. Whatever they are, the result is a refusal with a sentence that does not
 * show an option's value, or an address whose host, path and query are fit to be sent, and from
 * whose path a bucket's key is found again.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver/http/encode.h"
#include "driver/http/options.h"
#include "driver/http/redact.h"

#define OPTIONS_MAX 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What may stand in a request line: printable, no space. */
static void check_sendable(const char *text)
{
    for (; *text; text++)
        assert(*text > ' ' && *text < 0x7f);
}

static void check_key(const struct http_address *address, const char *key)
{
    size_t room = 3 * (strlen(address->base_path) + strlen(address->prefix) + strlen(key)) + 8;
    char *memory = malloc(room), *decoded = malloc(room);
    struct http_place place;
    struct http_text text;
    int64_t length;
    int status;

    http_text_init(&text, memory, room);
    status = http_address_object(address, key, &text, &place);
    assert(status == http_key_check(address, key));
    if (status == 0) {
        assert(place.path[0] == '/');
        check_sendable(place.path);
        length = http_decode(decoded, place.path, strlen(place.path));
        if (address->dialect != HTTP_DIALECT_HTTP && key[0]) {
            assert(length >= (int64_t)strlen(key));
            assert(memcmp(decoded + length - strlen(key), key, strlen(key)) == 0);
        }
        http_text_init(&text, memory, 5); /* little room is a status, too */
        assert(http_address_object(address, key, &text, &place) ==
               (strlen(place.path) < 5 ? 0 : -ENOBUFS));
    }
    free(memory);
    free(decoded);
}

static void check_address(const struct http_settings *settings, const char *key)
{
    const struct http_address *address = &settings->address;
    struct http_address moved;

    assert(address->host[0] && address->port > 0);
    assert(address->host[0] == '[' || strcspn(address->host, ":") <= 253);
    check_sendable(address->host);
    assert(!strpbrk(address->host, "/?#@\\"));
    if (address->query)
        check_sendable(address->query);
    assert((address->bucket[0] != '\0') == (address->dialect != HTTP_DIALECT_HTTP));
    check_key(address, key);
    if (http_address_in_region(address, "eu-west-1", &moved) == 0) {
        assert(strcmp(moved.prefix, address->prefix) == 0);
        http_address_finish(&moved);
    }
}

static void check_redaction(const char *text)
{
    struct http_credential known = {.secret = (char *)(uintptr_t) "canary-canary"};
    size_t room = strlen(text) + 64;
    char *joined = malloc(room), *out = malloc(4 * room);

    snprintf(joined, room, "%s canary-canary", text);
    http_redact(out, 4 * room, joined, &known);
    assert(!strstr(out, "canary-canary"));
    http_redact(out, 7, joined, &known);
    assert(strlen(out) <= 6);
    free(joined);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    const char *lines[2 + OPTIONS_MAX] = {"", ""};
    struct lsio_option options[OPTIONS_MAX];
    char why[120] = "";
    struct http_settings_input input = {.options = options, .why = why, .why_bytes = sizeof(why)};
    struct http_settings settings;
    size_t count = 0;
    int status;

    memcpy(text, data, size);
    text[size] = '\0';
    for (char *at = text; at && count < 2 + OPTIONS_MAX; count++) {
        char *end = strchr(at, '\n');
        lines[count] = at;
        if (end)
            *end = '\0';
        at = end ? end + 1 : NULL;
    }
    for (size_t i = 2; i < count; i++) {
        char *equals = strchr(lines[i], '=');
        options[input.option_count].key = lines[i];
        options[input.option_count++].value = equals ? equals + 1 : "";
        if (equals)
            *equals = '\0';
    }
    input.url = lines[0];
    status = http_settings_read(&settings, &input);
    assert(status == 0 || status == -EINVAL);
    assert(status == 0 || (why[0] && memchr(why, '\0', sizeof(why))));
    if (status == 0) {
        check_address(&settings, lines[1]);
        http_settings_finish(&settings);
    }
    check_redaction(lines[0]);
    free(text);
    return 0;
}
