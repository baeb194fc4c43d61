/* SPDX-License-Identifier: MIT */
/*
 * canonical.h - headers and query parameters of a request as the signing schemes want them: as
 * sorted pairs. Strings of the pairs live in the text that is given. Pure.
 */
#ifndef LSIO_DRIVER_HTTP_SIGN_CANONICAL_H
#define LSIO_DRIVER_HTTP_SIGN_CANONICAL_H

#include "driver/http/request.h"

#define CANONICAL_PAIRS_MAX 64u

struct canonical_pair {
    const char *name;
    const char *value;
};

struct canonical_list {
    struct canonical_pair pairs[CANONICAL_PAIRS_MAX];
    size_t count;
};

/* Is a header, its name in lower case, part of what is signed? */
typedef bool canonical_filter(const char *name);

/*
 * The headers that `take` wants, Host among them: names in lower case and sorted, white space
 * around values removed, values of one name joined by ','. `collapse`: runs of white space inside
 * values become one space. -ENOBUFS.
 */
int canonical_headers(struct canonical_list *list, const struct http_request *request,
                      canonical_filter *take, bool collapse, struct http_text *text);

enum canonical_query_form {
    CANONICAL_ENCODED,      /* names and values percent-encoded, all but unreserved characters */
    CANONICAL_DECODED_LOWER /* decoded, names in lower case */
};

/* The parameters of a query (may be NULL), sorted by name, then value; one without '=' has an empty
 * value. -EINVAL for bad escapes, -ENOBUFS. */
int canonical_query(struct canonical_list *list, const char *query, enum canonical_query_form form,
                    struct http_text *text);

#endif
