/* SPDX-License-Identifier: MIT */
/*
 * sharedkey.c - see sharedkey.h.
 *
 * The string to sign is the method, eleven headers of which most are empty, the x-ms- headers and
 * the resource. Two rules are easily missed: a Content-Length of 0 is an empty line since version
 * 2015-02-21, and Date is empty because x-ms-date is sent. The canonical resource begins with the
 * account's name and goes on with the path; as the emulator's paths begin with the account, too,
 * it is there twice, as the emulator wants it.
 */
#define _GNU_SOURCE /* explicit_bzero */

#include "driver/http/sign/sharedkey.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "driver/http/date.h"
#include "driver/http/sign/canonical.h"

#define KEY_BYTES_MAX 256u /* keys have 64 */

static bool is_ms_header(const char *name)
{
    return strncmp(name, "x-ms-", 5) == 0;
}

static void put_header(struct http_text *text, const struct http_request *request, const char *name)
{
    const char *value = http_request_find(request, name);

    http_text_puts(text, value ? value : "");
    http_text_puts(text, "\n");
}

static void put_standard_headers(struct http_text *text, const struct http_request *request)
{
    static const char *const before_length[] = {"content-encoding", "content-language", NULL};
    static const char *const after_length[] = {
        "content-md5",         "content-type", "date",
        "if-modified-since",   "if-match",     "if-none-match",
        "if-unmodified-since", "range",        NULL};

    http_text_puts(text, request->method);
    http_text_puts(text, "\n");
    for (const char *const *name = before_length; *name; name++)
        put_header(text, request, *name);
    if (request->body_bytes > 0)
        http_text_printf(text, "%" PRIu64, request->body_bytes);
    http_text_puts(text, "\n");
    for (const char *const *name = after_length; *name; name++)
        put_header(text, request, *name);
}

/* "\nname:value,value" for each name. */
static void put_query(struct http_text *text, const struct canonical_list *query)
{
    for (size_t i = 0; i < query->count; i++) {
        if (i > 0 && strcmp(query->pairs[i].name, query->pairs[i - 1].name) == 0) {
            http_text_puts(text, ",");
        } else {
            http_text_puts(text, "\n");
            http_text_puts(text, query->pairs[i].name);
            http_text_puts(text, ":");
        }
        http_text_puts(text, query->pairs[i].value);
    }
}

static int make_string(const struct http_request *request, const char *account,
                       struct http_text *text, const char **out)
{
    struct canonical_list headers, query;
    int status = canonical_headers(&headers, request, is_ms_header, false, text);

    if (status == 0)
        status = canonical_query(&query, request->query, CANONICAL_DECODED_LOWER, text);
    if (status < 0)
        return status;
    put_standard_headers(text, request);
    for (size_t i = 0; i < headers.count; i++) {
        http_text_puts(text, headers.pairs[i].name);
        http_text_puts(text, ":");
        http_text_puts(text, headers.pairs[i].value);
        http_text_puts(text, "\n");
    }
    http_text_puts(text, "/");
    http_text_puts(text, account);
    http_text_puts(text, request->path);
    put_query(text, &query);
    return http_text_end(text, out);
}

static int make_signature(struct hash *hash, const char *key, const char *string,
                          uint8_t out[HASH_BYTES])
{
    uint8_t bytes[KEY_BYTES_MAX];
    int64_t length = http_base64_decode(key, bytes, sizeof(bytes));
    int status = -EINVAL;

    if (length > 0)
        status = hash_hmac(hash, bytes, (size_t)length, string, strlen(string), out);
    explicit_bzero(bytes, sizeof(bytes));
    return status;
}

int sharedkey_sign(struct hash *hash, const struct http_credential *credential, uint64_t unix_s,
                   struct http_request *request, struct http_text *text,
                   const char **string_to_sign)
{
    uint8_t signature[HASH_BYTES];
    char date[HTTP_DATE_BYTES];
    const char *date_value, *string, *authorization;
    size_t used;
    int status;

    if (credential->kind != HTTP_CREDENTIAL_AZURE_KEY || !credential->id || !credential->secret ||
        http_date_format(date, (int64_t)unix_s) < 0)
        return -EINVAL;
    http_text_puts(text, date);
    status = http_text_end(text, &date_value);
    if (status == 0)
        status = http_request_header(request, "x-ms-date", date_value);
    used = text->used;
    if (status == 0)
        status = make_string(request, credential->id, text, &string);
    if (status == 0)
        status = make_signature(hash, credential->secret, string, signature);
    if (status < 0)
        return status;
    if (string_to_sign)
        *string_to_sign = string;
    else
        http_text_rewind(text, used);
    http_text_printf(text, "SharedKey %s:", credential->id);
    http_text_base64(text, signature, sizeof(signature), false);
    status = http_text_end(text, &authorization);
    return status < 0 ? status : http_request_header(request, "Authorization", authorization);
}
