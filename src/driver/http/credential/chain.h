/* SPDX-License-Identifier: MIT */
/*
 * chain.h - the order in which a kind of store looks for credentials.
 *
 *     status = credential_chain_run(&request, &credential, report, sizeof(report));
 *
 * Blocks; never on a worker.
 */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_CHAIN_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_CHAIN_H

#include "driver/http/credential/provider.h"

#define CREDENTIAL_REPORT_BYTES 1536u

/*
 * Asks the providers of request->store one after the other. 0: `out` is what the first that is set
 * up gave, or anonymous, if none is or if anonymous was asked for. Negative: the status of the
 * first that is set up and fails; those after it are not asked, for a half-working setup must not
 * turn silently into another identity. `report` then names each provider that was asked and what
 * it said, without secrets; also for anonymous, to be shown when the server refuses.
 */
int credential_chain_run(struct credential_request *request, struct http_credential *out,
                         char *report, size_t bytes);

#endif
