/* SPDX-License-Identifier: MIT */
/*
 * Design: one table of rules in code, by status, then by the error code of the dialect. What costs
 * a chunk its data is decided narrowly: only a proven absence is -ENOENT, for a reader turns that
 * into fill values. A status that says "again" is left to the policy above, with what to report
 * when the attempts are used up.
 *
 * Threads: any; no state.
 */
#include "driver/http/judge.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

static bool is_one_of(const char *code, const char *const *codes)
{
    for (; *codes; codes++)
        if (strcmp(code, *codes) == 0)
            return true;
    return false;
}

/* The object is absent. */
static const char *const absent_codes[] = {"NoSuchKey", "BlobNotFound", "NoSuchVersion", NULL};
/* The credentials were good once. */
static const char *const stale_codes[] = {"ExpiredToken", "ExpiredTokenException", "InvalidToken",
                                          "TokenRefreshRequired", NULL};
static const char *const skew_codes[] = {"RequestTimeTooSkewed", "RequestExpired", NULL};
/* A 400 that is the server's own trouble. */
static const char *const passing_codes[] = {"RequestTimeout", "InternalError", NULL};
static const char *const region_codes[] = {"AuthorizationHeaderMalformed", "PermanentRedirect",
                                           "TemporaryRedirect",
                                           "IllegalLocationConstraintException", NULL};

static void set(struct http_verdict *out, enum http_action action, int32_t status)
{
    out->action = action;
    out->status = status;
}

static void judge_redirect(const struct http_judge *judge, const struct http_head *head,
                           struct http_verdict *out)
{
    if (judge->dialect == HTTP_DIALECT_S3 && out->region[0])
        set(out, HTTP_REGION, LSIO_E_HTTP);
    else if (head->location[0] && !head->location_cut)
        set(out, HTTP_REDIRECT, LSIO_E_HTTP);
}

static void judge_forbidden(const struct http_judge *judge, const struct http_head *head,
                            const char *code, struct http_verdict *out)
{
    int64_t date_s;

    set(out, HTTP_FAIL, -EACCES);
    if (is_one_of(code, skew_codes) && http_head_date(head, &date_s))
        set(out, HTTP_CLOCK, -EACCES);
    else if (is_one_of(code, stale_codes))
        set(out, HTTP_CREDENTIALS, -EACCES);
    else if (judge->dialect == HTTP_DIALECT_S3 && out->region[0])
        set(out, HTTP_REGION, -EACCES);
    else if (judge->missing_on_403 && (!*code || strcmp(code, "AccessDenied") == 0))
        set(out, HTTP_FAIL, -ENOENT);
}

/* Any other code names what would hold the object - NoSuchBucket, ContainerNotFound - or something
 * that nobody here knows: that proves nothing, whatever the store has answered before. */
static void judge_absent(const struct http_judge *judge, const char *code, struct http_verdict *out)
{
    if (is_one_of(code, absent_codes) || judge->dialect == HTTP_DIALECT_HTTP)
        set(out, HTTP_FAIL, -ENOENT);
    else if (*code)
        set(out, HTTP_FAIL, LSIO_E_HTTP);
    else if (judge->answered) /* the bucket is there, so it is the key that is not */
        set(out, HTTP_FAIL, -ENOENT);
    else
        set(out, HTTP_ASK_MISSING, LSIO_E_HTTP);
}

void http_judge(const struct http_judge *judge, const struct http_head *head, const char *code,
                const char *region, struct http_verdict *out)
{
    set(out, HTTP_FAIL, LSIO_E_HTTP);
    snprintf(out->region, sizeof(out->region), "%s", head->region[0] ? head->region : region);
    if (judge->region && strcmp(out->region, judge->region) == 0)
        out->region[0] = '\0'; /* S3 may name it in any refusal: that is no news */
    switch (head->status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        judge_redirect(judge, head, out);
        break;
    case 400:
        if (is_one_of(code, passing_codes))
            set(out, HTTP_RETRY, LSIO_E_HTTP);
        else if (is_one_of(code, stale_codes))
            set(out, HTTP_CREDENTIALS, -EACCES);
        else if (judge->dialect == HTTP_DIALECT_S3 && is_one_of(code, region_codes) &&
                 out->region[0])
            set(out, HTTP_REGION, LSIO_E_HTTP);
        break;
    case 401:
        set(out, HTTP_CREDENTIALS, -EACCES);
        break;
    case 403:
        judge_forbidden(judge, head, code, out);
        break;
    case 404:
        judge_absent(judge, code, out);
        break;
    case 410:
        if (judge->dialect == HTTP_DIALECT_HTTP)
            set(out, HTTP_FAIL, -ENOENT);
        break;
    case 412:
        set(out, HTTP_FAIL, LSIO_E_CHANGED);
        break;
    case 429:
    case 503:
        set(out, HTTP_THROTTLE, LSIO_E_THROTTLED);
        break;
    case 408:
    case 500:
    case 502:
    case 504:
        set(out, HTTP_RETRY, LSIO_E_HTTP);
        break;
    default:
        if (head->status < 300)
            set(out, HTTP_FAIL, LSIO_E_PROTOCOL);
        break;
    }
}
