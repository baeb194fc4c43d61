/* SPDX-License-Identifier: MIT */
/*
 * judge.h - what an answer that is not the bytes asked for means: fail, and with which status, or
 * try again, and how. Pure.
 */
#ifndef LSIO_DRIVER_HTTP_JUDGE_H
#define LSIO_DRIVER_HTTP_JUDGE_H

#include "driver/http/head.h"
#include "driver/http/url.h"

enum http_action {
    HTTP_FAIL = 0,
    HTTP_RETRY,       /* after a back-off */
    HTTP_THROTTLE,    /* the same, and fewer requests at a time */
    HTTP_REDIRECT,    /* to head->location */
    HTTP_REGION,      /* once: sign for the region in `region` */
    HTTP_CREDENTIALS, /* once: with fresh credentials */
    HTTP_CLOCK,       /* once: sign with the server's time */
    HTTP_ASK_MISSING  /* absent, or is the bucket? one look tells */
};

struct http_verdict {
    enum http_action action;
    int32_t status; /* with HTTP_FAIL, and with the others when they have been tried enough */
    char region[64];
};

struct http_judge {
    enum http_dialect dialect;
    bool missing_on_403;
    bool answered;      /* the store has given 2xx answers */
    const char *region; /* that the request was signed for; NULL: none */
};

/* `code`: the error code of the body or of a header ("NoSuchKey"), "" if none; `region` likewise
 * what the body says. The rules are those of S3's "Error responses", Azure's "Common REST API error
 * codes" and Cloud Storage's "HTTP status and error codes". */
void http_judge(const struct http_judge *judge, const struct http_head *head, const char *code,
                const char *region, struct http_verdict *out);

#endif
