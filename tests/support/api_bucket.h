/* SPDX-License-Identifier: MIT */
/*
 * api_bucket.h - the store of API_BUCKET (api_fixture.h): an S3 bucket of a fault server in this
 * process, with nothing planned to go wrong. Builds without HTTP have none.
 */
#ifndef LSIO_TESTS_API_BUCKET_H
#define LSIO_TESTS_API_BUCKET_H

#include "api_fixture.h"

#ifdef LSIO_HAVE_HTTP
#define BUCKET_IS_THERE true
#else
#define BUCKET_IS_THERE false
#endif

void bucket_begin(struct api *api);
/* Does nothing where none has begun. */
void bucket_end(struct api *api);
void bucket_put(struct api *api, const char *key, const void *data, uint64_t bytes);
int bucket_open(struct api *api, struct lsio_context *context, const struct lsio_option *options,
                size_t count, struct lsio_store **out);

#endif
