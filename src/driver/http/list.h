/* SPDX-License-Identifier: MIT */
/* list.h - listing a bucket (driver_ops.list). */
#ifndef LSIO_DRIVER_HTTP_LIST_H
#define LSIO_DRIVER_HTTP_LIST_H

#include "driver/http/http.h"

/* As lsio_list(). -EOPNOTSUPP for plain HTTP, which has no listings. */
int http_list(struct lsio_store *store, const char *prefix, char delimiter, lsio_list_fn *on_page,
              void *data, struct driver_failure *failure);

#endif
