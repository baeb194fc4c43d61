/* SPDX-License-Identifier: MIT */
/*
 * credential.h - one set of credentials, as the signers take it. It comes whole from one source.
 *
 *   kind        id                secret                  token
 *   NONE        -                 -                       -                 anonymous
 *   AWS         access key id     secret access key       session token or NULL
 *   GS_HMAC     access key id     secret                  -                 signed as AWS
 *   AZURE_KEY   account name      account key, base64     -
 *   AZURE_SAS   -                 -                       the query string, without '?'
 *   BEARER      -                 -                       access token
 *
 * Zero the struct before its first use. It owns its strings; wiping overwrites them.
 */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_H

#include <stdint.h>

enum http_credential_kind {
    HTTP_CREDENTIAL_NONE = 0,
    HTTP_CREDENTIAL_AWS,
    HTTP_CREDENTIAL_GS_HMAC,
    HTTP_CREDENTIAL_AZURE_KEY,
    HTTP_CREDENTIAL_AZURE_SAS,
    HTTP_CREDENTIAL_BEARER
};

struct http_credential {
    enum http_credential_kind kind;
    char *id;                /* owned, or NULL */
    char *secret;            /* owned, or NULL */
    char *token;             /* owned, or NULL */
    uint64_t expires_unix_s; /* 0: never */
    const char *source;      /* the provider's name, for messages; static */
};

/* Replaces what `out` holds by copies; NULL strings stay NULL. -ENOMEM leaves `out` as it was. */
int http_credential_set(struct http_credential *out, const struct http_credential *from);

/* Overwrites and frees the strings; the result is anonymous. NULL is allowed. */
void http_credential_wipe(struct http_credential *credential);

/* Overwrites a string and frees it. NULL is allowed. */
void http_secret_free(char *secret);

#endif
