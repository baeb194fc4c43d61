/* SPDX-License-Identifier: MIT */
/*
 * azure_connection.c - see azure_connection.h.
 *
 * Source: Microsoft, "Configure Azure Storage connection strings": parts `Name=value` between
 * semicolons, where a value may hold `=` (keys are base64, signatures are queries). The Blob
 * endpoint is BlobEndpoint, or made of the protocol, the account and the suffix. The short form
 * UseDevelopmentStorage=true means the emulator on this machine, or on the host that
 * DevelopmentStorageProxyUri names.
 */
#define _GNU_SOURCE /* asprintf, strndup */
#include "driver/http/credential/azure_connection.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "driver/http/credential/provider.h"

#define EMULATOR_PORT 10000

enum {
    PART_ACCOUNT,
    PART_KEY,
    PART_SAS,
    PART_ENDPOINT,
    PART_PROTOCOL,
    PART_SUFFIX,
    PART_DEVELOPMENT,
    PART_PROXY,
    PART_COUNT
};

static const char *const part_names[PART_COUNT] = {"AccountName",
                                                   "AccountKey",
                                                   "SharedAccessSignature",
                                                   "BlobEndpoint",
                                                   "DefaultEndpointsProtocol",
                                                   "EndpointSuffix",
                                                   "UseDevelopmentStorage",
                                                   "DevelopmentStorageProxyUri"};

/* One part, which ends at `end`. */
static int part_take(const char *part, const char *end, char **parts)
{
    const char *equals;

    while (part < end && (*part == ' ' || *part == '\n' || *part == '\r'))
        part++;
    if (part == end)
        return 0;
    equals = memchr(part, '=', (size_t)(end - part));
    if (!equals)
        return -EINVAL;
    while (end > equals + 1 && (end[-1] == ' ' || end[-1] == '\n' || end[-1] == '\r'))
        end--;
    for (int i = 0; i < PART_COUNT; i++) {
        if (strlen(part_names[i]) != (size_t)(equals - part) ||
            strncasecmp(part, part_names[i], (size_t)(equals - part)) != 0)
            continue;
        http_secret_free(parts[i]);
        parts[i] = strndup(equals + 1, (size_t)(end - equals - 1));
        return parts[i] ? 0 : -ENOMEM;
    }
    return 0;
}

static int parts_split(const char *text, char **parts)
{
    int status = 0;

    while (*text && status == 0) {
        const char *end = text + strcspn(text, ";");
        status = part_take(text, end, parts);
        text = *end ? end + 1 : end;
    }
    return status;
}

static char *endpoint_made(char *const *parts)
{
    char *endpoint;

    if (asprintf(&endpoint, "%s://%s.blob.%s",
                 parts[PART_PROTOCOL] ? parts[PART_PROTOCOL] : "https", parts[PART_ACCOUNT],
                 parts[PART_SUFFIX] ? parts[PART_SUFFIX] : "core.windows.net") < 0)
        return NULL;
    return endpoint;
}

static int emulator_set(const char *proxy, struct azure_connection *out)
{
    const char *base = proxy && *proxy ? proxy : "http://127.0.0.1";

    if (asprintf(&out->endpoint, "%.*s:%d/" AZURE_EMULATOR_ACCOUNT, credential_base_length(base),
                 base, EMULATOR_PORT) < 0)
        out->endpoint = NULL;
    out->account = strdup(AZURE_EMULATOR_ACCOUNT);
    out->key = strdup(AZURE_EMULATOR_KEY);
    return out->endpoint && out->account && out->key ? 0 : -ENOMEM;
}

/* Moves a part to where it belongs, without the characters that tools put around it. */
static char *part_move(char **part, char lead, char trail)
{
    char *value = *part;
    size_t length = value ? strlen(value) : 0;

    *part = NULL;
    if (length > 0 && lead && value[0] == lead)
        memmove(value, value + 1, length--);
    while (length > 0 && trail && value[length - 1] == trail)
        value[--length] = '\0';
    return value;
}

int azure_connection_parse(const char *text, struct azure_connection *out)
{
    char *parts[PART_COUNT] = {NULL};
    int status = parts_split(text, parts);

    memset(out, 0, sizeof(*out));
    if (status == 0 && parts[PART_DEVELOPMENT] &&
        strcasecmp(parts[PART_DEVELOPMENT], "true") == 0) {
        status = emulator_set(parts[PART_PROXY], out);
    } else if (status == 0 && !parts[PART_ACCOUNT] && !parts[PART_ENDPOINT]) {
        status = -EINVAL;
    } else if (status == 0) {
        out->endpoint = parts[PART_ENDPOINT] ? part_move(&parts[PART_ENDPOINT], '\0', '/')
                                             : endpoint_made(parts);
        out->account = part_move(&parts[PART_ACCOUNT], '\0', '\0');
        out->key = part_move(&parts[PART_KEY], '\0', '\0');
        out->sas = part_move(&parts[PART_SAS], '?', '\0');
        status = out->endpoint ? 0 : -ENOMEM;
    }
    for (int i = 0; i < PART_COUNT; i++)
        http_secret_free(parts[i]);
    if (status < 0)
        azure_connection_finish(out);
    return status;
}

void azure_connection_finish(struct azure_connection *connection)
{
    http_secret_free(connection->account);
    http_secret_free(connection->key);
    http_secret_free(connection->sas);
    http_secret_free(connection->endpoint);
    memset(connection, 0, sizeof(*connection));
}
