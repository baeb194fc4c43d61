/* SPDX-License-Identifier: MIT */
/*
 * Design: what S3, Cloud Storage, Azure and plain HTTP ask of a request, and nothing else: where an
 * object is, which headers must be there, how it is signed. Requests are built in the transfer's
 * own memory; what a host has taught us (region, clock) is read under its lock.
 *
 * Threads: the worker; signers are its own.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "driver/http/encode.h"
#include "driver/http/http.h"
#include "driver/http/sign/hash.h"
#include "driver/http/sign/sharedkey.h"

#define AZURE_VERSION "2023-11-03"

/* What the host has said of itself. */
struct taught {
    char region[HTTP_REGION_BYTES];
    int64_t clock_offset_s;
};

static void taught_get(const struct http_store *store, struct taught *out)
{
    struct http_host *host = store->host;

    pthread_mutex_lock(&host->lock);
    memcpy(out->region, host->region, sizeof(out->region));
    out->clock_offset_s = host->clock_offset_s;
    pthread_mutex_unlock(&host->lock);
}

/* ----------------------------------------------------------------------------------- places -- */

/* Points the request to the bucket's host in the region that the server named, if it named one. */
static int region_apply(const struct http_store *store, struct http_request *request,
                        struct http_text *text)
{
    struct http_address moved;
    struct taught taught;
    int status;

    taught_get(store, &taught);
    if (!taught.region[0] || store->settings.address.endpoint_given)
        return 0;
    if (http_address_in_region(&store->settings.address, taught.region, &moved) != 0)
        return 0; /* its host does not depend on the region */
    http_text_puts(text, moved.host);
    status = http_text_end(text, &request->host);
    http_address_finish(&moved);
    return status;
}

/* S3 sends checksums to those only who ask ("GetObject"); the others send what they have. */
static int checksum_ask(const struct http_store *store, struct http_request *request)
{
    const struct http_address *address = &store->settings.address;

    if (!store->settings.verify_checksums || address->dialect != HTTP_DIALECT_S3 ||
        address->signed_query)
        return 0;
    return http_request_header(request, "x-amz-checksum-mode", "ENABLED");
}

int http_object_request(const struct http_store *store, const char *key,
                        struct http_request *request, struct http_text *text)
{
    struct http_place place;
    int status = http_address_object(&store->settings.address, key, text, &place);

    if (status)
        return status;
    request->scheme = http_address_scheme(&store->settings.address);
    request->host = place.host;
    request->path = place.path;
    request->query = place.query;
    status = region_apply(store, request, text);
    return status ? status : checksum_ask(store, request);
}

int http_bucket_request(const struct http_store *store, struct http_request *request,
                        struct http_text *text)
{
    request->scheme = http_address_scheme(&store->settings.address);
    request->host = store->settings.address.host;
    request->path = http_address_bucket_path(&store->settings.address);
    request->query = NULL;
    return region_apply(store, request, text);
}

/* Parameters stand in the order in which S3 signs them. */
int http_missing_request(const struct http_store *store, const char *key,
                         struct http_request *request, struct http_text *text)
{
    bool azure = store->settings.address.dialect == HTTP_DIALECT_AZURE;
    int status = http_bucket_request(store, request, text);
    const char *name = NULL;

    request->method = "GET";
    http_address_name(&store->settings.address, key, text);
    if (!status)
        status = http_text_end(text, &name);
    if (status)
        return status;
    http_text_query(text, azure ? "comp" : "list-type", azure ? "list" : "2");
    http_text_query(text, azure ? "maxresults" : "max-keys", "1");
    http_text_query(text, "prefix", name);
    if (azure)
        http_text_query(text, "restype", "container");
    return http_text_end(text, &request->query);
}

/* -------------------------------------------------------------------------------- signatures -- */

void http_region_in_use(const struct http_store *store, char out[HTTP_REGION_BYTES])
{
    const struct http_address *address = &store->settings.address;
    struct taught taught;

    taught_get(store, &taught);
    if (taught.region[0])
        snprintf(out, HTTP_REGION_BYTES, "%s", taught.region);
    else if (address->region[0])
        snprintf(out, HTTP_REGION_BYTES, "%s", address->region);
    else
        snprintf(out, HTTP_REGION_BYTES, "%s",
                 address->dialect == HTTP_DIALECT_GCS ? "auto" : "us-east-1");
}

static int bearer(const struct http_credential *credential, struct http_request *request,
                  struct http_text *text)
{
    const char *value;
    int status;

    http_text_printf(text, "Bearer %s", credential->token);
    status = http_text_end(text, &value);
    return status ? status : http_request_header(request, "authorization", value);
}

static int sigv4(struct http_worker *worker, const struct http_store *store,
                 const struct http_credential *credential, struct http_request *request,
                 struct http_text *text)
{
    const struct http_address *address = &store->settings.address;
    struct sigv4_input input = {.credential = credential, .flags = SIGV4_FOR_S3};
    struct taught taught;
    char region[HTTP_REGION_BYTES];

    taught_get(store, &taught);
    http_region_in_use(store, region);
    input.region = region;
    input.service = address->express ? "s3express" : "s3";
    if (address->express)
        input.token_header = "x-amz-s3session-token";
    if (store->settings.unsigned_payload)
        input.payload_hash = SIGV4_UNSIGNED_PAYLOAD;
    input.unix_s = (uint64_t)((int64_t)time(NULL) + taught.clock_offset_s);
    return sigv4_sign_header(worker->signer, &input, request, text, NULL);
}

static int s3_authorize(struct http_worker *worker, const struct http_store *store,
                        const struct http_credential *credential, struct http_request *request,
                        struct http_text *text)
{
    int status = 0;

    if (store->settings.request_payer)
        status = http_request_header(request, "x-amz-request-payer", "requester");
    if (status || credential->kind != HTTP_CREDENTIAL_AWS)
        return status;
    return sigv4(worker, store, credential, request, text);
}

static int gcs_authorize(struct http_worker *worker, const struct http_store *store,
                         const struct http_credential *credential, struct http_request *request,
                         struct http_text *text)
{
    int status = 0;

    if (store->settings.user_project)
        status = http_request_header(request, "x-goog-user-project", store->settings.user_project);
    if (status)
        return status;
    if (credential->kind == HTTP_CREDENTIAL_BEARER)
        return bearer(credential, request, text);
    if (credential->kind == HTTP_CREDENTIAL_GS_HMAC)
        return sigv4(worker, store, credential, request, text);
    return 0;
}

static int azure_authorize(struct http_worker *worker, const struct http_store *store,
                           const struct http_credential *credential, struct http_request *request,
                           struct http_text *text)
{
    int status = http_request_header(request, "x-ms-version", AZURE_VERSION);
    struct taught taught;
    const char *query;

    if (status)
        return status;
    switch (credential->kind) {
    case HTTP_CREDENTIAL_AZURE_KEY:
        taught_get(store, &taught);
        return sharedkey_sign(worker->hash, credential,
                              (uint64_t)((int64_t)time(NULL) + taught.clock_offset_s), request,
                              text, NULL);
    case HTTP_CREDENTIAL_AZURE_SAS:
        http_text_printf(text, "%s%s%s", request->query ? request->query : "",
                         request->query ? "&" : "", credential->token);
        status = http_text_end(text, &query);
        request->query = query;
        return status;
    case HTTP_CREDENTIAL_BEARER:
        return bearer(credential, request, text);
    default:
        return 0;
    }
}

int http_authorize(struct http_worker *worker, const struct http_store *store,
                   const struct http_credential *credential, struct http_request *request,
                   struct http_text *text)
{
    if (store->settings.address.signed_query)
        return 0;
    switch (store->settings.address.dialect) {
    case HTTP_DIALECT_S3:
        return s3_authorize(worker, store, credential, request, text);
    case HTTP_DIALECT_GCS:
        return gcs_authorize(worker, store, credential, request, text);
    case HTTP_DIALECT_AZURE:
        return azure_authorize(worker, store, credential, request, text);
    default:
        return credential->kind == HTTP_CREDENTIAL_BEARER ? bearer(credential, request, text) : 0;
    }
}
