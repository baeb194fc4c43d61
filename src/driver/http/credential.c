/* SPDX-License-Identifier: MIT */
/*
 * credential.c - see credential.h. Secrets are overwritten before their memory goes back to the
 * allocator, on failure paths too. Any thread; nothing is shared.
 */
#define _GNU_SOURCE /* explicit_bzero, strdup */

#include "driver/http/credential.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void http_secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

static int copy_string(char **out, const char *from)
{
    if (!from)
        return 0;
    *out = strdup(from);
    return *out ? 0 : -ENOMEM;
}

int http_credential_set(struct http_credential *out, const struct http_credential *from)
{
    struct http_credential copy = {
        .kind = from->kind, .expires_unix_s = from->expires_unix_s, .source = from->source};

    if (copy_string(&copy.id, from->id) < 0 || copy_string(&copy.secret, from->secret) < 0 ||
        copy_string(&copy.token, from->token) < 0) {
        http_credential_wipe(&copy);
        return -ENOMEM;
    }
    http_credential_wipe(out);
    *out = copy;
    return 0;
}

void http_credential_wipe(struct http_credential *credential)
{
    if (!credential)
        return;
    http_secret_free(credential->id);
    http_secret_free(credential->secret);
    http_secret_free(credential->token);
    memset(credential, 0, sizeof(*credential));
}
