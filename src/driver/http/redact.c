/* SPDX-License-Identifier: MIT */
/*
 * redact.c - see redact.h.
 *
 * The text is read in units: a character, or an escape %XX taken for the character it stands for
 * (%253D, encoded twice, is '=' as well). Wherever a name can begin it is read, and if it is the
 * name of a secret and something that gives it a value follows, the value is replaced. It is better
 * to hide too much than too little, so names are compared without '-', '_' and case, and by their
 * endings: `aws_secret_access_key`, `SecretAccessKey` and `X-Secret-Access-Key` are one. A ':'
 * counts only behind a quoted name (JSON) or a header's, so that sentences stay readable.
 *
 * Pure; any thread; no allocation.
 */
#include "driver/http/redact.h"

#include <stdbool.h>
#include <string.h>

#include "base/mark.h"
#include "driver/http/encode.h"

#define NAME_BYTES   64u /* longer names are not names of secrets */
#define KNOWN_LENGTH 8u  /* see redact.h */

struct writer {
    char *out;
    size_t room; /* without the NUL */
    size_t used;
};

static void write_bytes(struct writer *writer, const char *bytes, size_t count)
{
    size_t left = writer->room - writer->used;

    if (count > left)
        count = left;
    memcpy(writer->out + writer->used, bytes, count);
    writer->used += count;
}

/* In place of a secret. */
static void write_hidden(struct writer *writer)
{
    LSIO_MARK(h19_secret_hidden);
    write_bytes(writer, "***", 3);
}

/* The character at `at` and how many bytes stand for it. */
static char unit_at(const char *at, size_t *length)
{
    const char *digits = at + 1;
    int byte;

    *length = 1;
    if (at[0] != '%')
        return at[0];
    while (digits[0] == '2' && digits[1] == '5' && http_hex_pair(digits + 2) >= 0)
        digits += 2;
    byte = http_hex_pair(digits);
    if (byte <= 0)
        return '%';
    *length = (size_t)(digits + 2 - at);
    return (char)byte;
}

static const char *skip_units(const char *at, const char *set)
{
    for (;;) {
        size_t length;
        char unit = unit_at(at, &length);
        if (unit == '\0' || !strchr(set, unit))
            return at;
        at += length;
    }
}

static bool in_name(char unit)
{
    return (unit >= 'a' && unit <= 'z') || (unit >= 'A' && unit <= 'Z') ||
           (unit >= '0' && unit <= '9') || unit == '-' || unit == '_';
}

/* ----------------------------------------------------------------------------------- names -- */

struct name {
    char letters[NAME_BYTES]; /* lower case, without '-' and '_'; "" if it is too long */
    char before;              /* the unit in front of it, '\0' at the text's begin */
    const char *end;
};

static void name_read(struct name *name, const char *at)
{
    size_t used = 0;
    size_t length;

    for (;;) {
        char unit = unit_at(at, &length);
        if (!in_name(unit))
            break;
        if (unit != '-' && unit != '_' && used < NAME_BYTES)
            name->letters[used++] = unit >= 'A' && unit <= 'Z' ? (char)(unit | 0x20) : unit;
        at += length;
    }
    name->letters[used < NAME_BYTES ? used : 0] = '\0';
    name->end = at;
}

static bool listed(const char *const *list, const char *letters)
{
    while (*list && strcmp(*list, letters) != 0)
        list++;
    return *list != NULL;
}

static bool name_is_header(const struct name *name)
{
    static const char *const headers[] = {"authorization", "proxyauthorization", "cookie",
                                          "setcookie", NULL};

    return listed(headers, name->letters) || strncmp(name->letters, "xamz", 4) == 0 ||
           strncmp(name->letters, "xms", 3) == 0 || strncmp(name->letters, "xaws", 4) == 0 ||
           strncmp(name->letters, "xgoog", 5) == 0 || strncmp(name->letters, "xidentity", 9) == 0;
}

static bool name_is_secret(const struct name *name)
{
    static const char *const endings[] = {"signature",      "credential",  "securitytoken",
                                          "sessiontoken",   "accesstoken", "refreshtoken",
                                          "idtoken",        "bearertoken", "authtoken",
                                          "metadatatoken",  "secret",      "accesskey",
                                          "accountkey",     "masterkey",   "privatekey",
                                          "customerkey",    "password",    "assertion",
                                          "authorization",  "cookie",      "accesskeyid",
                                          "sastoken",       "saskey",      "encryptionkey",
                                          "identityheader", NULL};
    static const char *const whole[] = {
        "token",          "sig", "passwd", "pwd", "apikey", "stringtosign", "signatureprovided",
        "s3sessiontoken", NULL};
    /* What a shared access signature says of itself; elsewhere these letters are words. */
    static const char *const sas[] = {"sv",    "se",  "sp",  "sr",  "st",  "spr", "sip", "skoid",
                                      "sktid", "skt", "ske", "sks", "skv", "ss",  "srt", NULL};
    size_t length = strlen(name->letters);

    for (const char *const *ending = endings; *ending; ending++) {
        size_t count = strlen(*ending);
        if (length >= count && strcmp(name->letters + length - count, *ending) == 0)
            return true;
    }
    if (listed(whole, name->letters))
        return true;
    return (name->before == '\0' || strchr("?&", name->before)) && listed(sas, name->letters);
}

/* ---------------------------------------------------------------------------------- values -- */

struct value {
    const char *begin;
    const char *stop; /* units that end it */
    bool encoded;     /* they may be encoded */
    bool quoted;      /* a backslash hides the next unit */
};

static const char *value_end(const struct value *value)
{
    const char *at = value->begin;

    while (*at) {
        size_t length;
        char unit = unit_at(at, &length);
        if (unit == '\\' && value->quoted && at[length])
            length++;
        else if (strchr(value->stop, unit) && (length == 1 || value->encoded))
            break;
        at += length;
    }
    return at;
}

/* Does something that gives the name a value follow it? */
static bool value_find(const struct name *name, struct value *value)
{
    const char *at = skip_units(name->end, "\\\"'");
    bool quoted = at != name->end;
    bool header = name_is_header(name);
    size_t length;
    char unit;

    memset(value, 0, sizeof(*value));
    if (name->before == '<') {
        value->stop = "<";
        value->begin = name->end + 1;
        return name->end[0] == '>';
    }
    at = skip_units(at, " \t");
    unit = unit_at(at, &length);
    if (unit != '=' && !(unit == ':' && (quoted || header)))
        return false;
    value->encoded = length > 1;
    at = skip_units(at + length, " \t");
    if (unit == ':' && header && !quoted) {
        value->stop = "\r\n";
        value->begin = at;
        return true;
    }
    unit = unit_at(at, &length);
    if (unit == '"' || unit == '\'' || unit == '\\') {
        value->begin = skip_units(at, "\\\"'");
        value->stop = "\"'";
        value->encoded = length > 1;
        value->quoted = unit != '\\';
        return true;
    }
    value->begin = at;
    value->stop = " \t\r\n&;,\"'<>";
    return true;
}

/* "Bearer TOKEN" and "SharedKey ACCOUNT:SIGNATURE" outside of a header line. */
static bool scheme_find(const struct name *name, struct value *value)
{
    static const char *const schemes[] = {"bearer", "sharedkey", NULL};

    memset(value, 0, sizeof(*value));
    value->begin = skip_units(name->end, " ");
    value->stop = " \t\r\n\"'<>,";
    return value->begin != name->end && listed(schemes, name->letters) &&
           value_end(value) - value->begin >= (ptrdiff_t)KNOWN_LENGTH;
}

/* ----------------------------------------------------------------------------------- other -- */

typedef char reader_fn(const char *at, size_t *length);

/* As unit_at(), but what is encoded twice is decoded once: secrets may hold a '%' themselves. */
static char once_at(const char *at, size_t *length)
{
    int byte = at[0] == '%' ? http_hex_pair(at + 1) : -1;

    *length = byte > 0 ? 3 : 1;
    return byte > 0 ? (char)byte : at[0];
}

/* Bytes of the text that spell `secret` as `read` sees it; 0 if it does not begin here. */
static size_t spelled_length(const char *at, const char *secret, reader_fn *read)
{
    const char *begin = at;

    for (; *secret; secret++) {
        size_t length;
        if (*at == '\0' || read(at, &length) != *secret)
            return 0;
        at += length;
    }
    return (size_t)(at - begin);
}

static size_t known_length(const char *at, const char *secret)
{
    size_t count = secret ? strlen(secret) : 0;
    size_t length;

    if (count < KNOWN_LENGTH)
        return 0;
    if (strncmp(at, secret, count) == 0)
        return count;
    length = spelled_length(at, secret, once_at);
    return length > 0 ? length : spelled_length(at, secret, unit_at);
}

/* Behind "://": the bytes of "user:password" in front of '@', or 0. `slash_bytes`: of the slashes
 * before it; one that is encoded once more than those is the password's. */
static size_t userinfo_length(const char *at, size_t slash_bytes)
{
    const char *begin = at;
    size_t found = 0;

    while (*at) {
        size_t length;
        char unit = unit_at(at, &length);
        if (strchr("/?# \t\r\n\"'<>", unit) && length <= slash_bytes)
            break;
        if (unit == '@')
            found = (size_t)(at - begin);
        at += length;
    }
    return found;
}

/* Bytes of the credential's secret or token that begins here, or 0. */
static size_t known_here(const char *at, const struct http_credential *known)
{
    size_t length = known ? known_length(at, known->secret) : 0;

    return length == 0 && known ? known_length(at, known->token) : length;
}

/* Writes the text up to `end` but for known secrets: one may begin within a name or an escape.
 * Returns where it stopped: behind `end` if the last secret goes on there. */
static const char *write_unknown(struct writer *writer, const char *at, const char *end,
                                 const struct http_credential *known)
{
    while (at < end) {
        size_t length = known_here(at, known);
        if (length > 0) {
            write_hidden(writer);
            at += length;
        } else {
            write_bytes(writer, at++, 1);
        }
    }
    return at;
}

/* If a secret begins at `at`, writes it redacted and returns where it ends; else NULL. */
static const char *redact_here(struct writer *writer, const char *at, char before,
                               const struct http_credential *known)
{
    struct name name = {.before = before};
    size_t length = spelled_length(at, "://", unit_at);
    struct value value;
    const char *end;

    if (length > 0) {
        size_t secret = userinfo_length(at + length, (length + 2) / 3);
        write_bytes(writer, at, length);
        if (secret > 0)
            write_hidden(writer);
        return at + length + secret;
    }
    if (in_name(before))
        return NULL;
    name_read(&name, at);
    if (name.end == at ||
        !((name_is_secret(&name) && value_find(&name, &value)) || scheme_find(&name, &value)))
        return NULL;
    at = write_unknown(writer, at, value.begin, known);
    end = value_end(&value);
    if (end <= at)
        return at;
    write_hidden(writer);
    return end;
}

void http_redact(char *out, size_t room, const char *text, const struct http_credential *known)
{
    struct writer writer = {.out = out, .room = room - 1};
    char before = '\0';

    while (*text) {
        const char *next = redact_here(&writer, text, before, known);
        if (next) {
            before = ' ';
        } else {
            size_t length;
            before = unit_at(text, &length);
            next = write_unknown(&writer, text, text + length, known);
            if (next != text + length)
                before = ' ';
        }
        text = next;
    }
    out[writer.used] = '\0';
}
