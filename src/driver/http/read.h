/* SPDX-License-Identifier: MIT */
/* read.h - ranges of objects as transfers; the parts of driver_ops that deal with them. */
#ifndef LSIO_DRIVER_HTTP_READ_H
#define LSIO_DRIVER_HTTP_READ_H

#include "driver/http/transfer.h"
#include "driver/http/version.h"

void http_read(struct driver_env *env, struct driver_read *read);
void http_read_cancel(struct driver_env *env, struct driver_read *read);
void http_reads_free(struct http_worker *worker);

int http_object_info(struct driver_object *object, struct lsio_object_info *out);
void http_object_finish(struct driver_object *object);

#endif
