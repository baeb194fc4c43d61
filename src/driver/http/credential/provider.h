/* SPDX-License-Identifier: MIT */
/*
 * provider.h - what a credential provider is, and what all of them share.
 *
 * A provider is one function that looks in one place. It runs on the context's helper thread and
 * may block, within the request's deadline. It answers
 *
 *     0                            `out` holds a whole set from this place
 *     CREDENTIAL_NOT_CONFIGURED    nobody has set this place up; the next one is asked
 *     negative                     it is set up but gives nothing: that is the chain's error
 *
 * and in the last two cases leaves a sentence, without secrets, in request->why.
 *
 * Everything it knows of the outside world comes through the request, so a test gives it files, an
 * environment, a clock and answers of its own.
 */
#ifndef LSIO_DRIVER_HTTP_CREDENTIAL_PROVIDER_H
#define LSIO_DRIVER_HTTP_CREDENTIAL_PROVIDER_H

#include <stdatomic.h>

#include "driver/http/credential.h"
#include "driver/http/credential/fetch.h"
#include "driver/http/credential/settings.h"

#define CREDENTIAL_NOT_CONFIGURED 1

struct json_object;

/* The functions that touch the outside world. Files are opened directly: tests make real ones. */
struct credential_world {
    uint64_t (*unix_s)(void *data); /* wall clock */
    uint64_t (*now_ms)(void *data); /* monotonic */
    void (*pause_ms)(void *data, uint32_t ms);
    int (*fetch)(void *data, const struct fetch_request *request,
                 struct fetch_response *response); /* as fetch_curl() */
    void *data;
};

/* The real one; `client` is borrowed. */
void credential_world_init(struct credential_world *world, const struct fetch_client *client);

/* What is known of the metadata services of three clouds, shared by the stores of a context; zero
 * it. One that did not answer the first time is not asked again: only a machine of that cloud has
 * one, and a machine does not change clouds. One that has given credentials is set up from then
 * on: when it fails later, that is an error, and no reason to go on without credentials. */
enum credential_metadata_state { METADATA_UNKNOWN = 0, METADATA_ABSENT, METADATA_PRESENT };
struct credential_memory {
    _Atomic uint8_t aws, azure, google; /* enum credential_metadata_state */
};

enum credential_store { CREDENTIAL_S3, CREDENTIAL_GCS, CREDENTIAL_AZURE, CREDENTIAL_HTTP };

struct credential_request {
    enum credential_store store; /* what the credentials are for */
    const struct credential_settings *settings;
    const struct credential_world *world;
    struct credential_memory *memory;
    const _Atomic bool *stop; /* NULL: never */
    uint64_t deadline_ms;     /* of the whole chain, by world->now_ms */
    char why[256];            /* the last sentence */
};

typedef int credential_provider_fn(struct credential_request *request, struct http_credential *out);

/* True once the chain should end itself. */
bool credential_stopping(const struct credential_request *request);

/* Writes the sentence and returns `status`. */
int credential_why(struct credential_request *request, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "WHAT: " before the sentence. Returns `status`. */
int credential_why_in(struct credential_request *request, int status, const char *what);

static inline const char *credential_get(const struct credential_request *request,
                                         enum credential_key key)
{
    return credential_settings_get(request->settings, CREDENTIAL_FROM_ANY, key);
}

/* Copies a set into `out`. A token that has expired already is -EACCES; expiry 0 is never. */
int credential_out(struct credential_request *request, struct http_credential *out,
                   enum http_credential_kind kind, const char *id, const char *secret,
                   const char *token, uint64_t expires_unix_s, const char *source);

/*
 * Fetches, with up to two more attempts when the answer is 429 or 5xx or the connection fails, all
 * within the deadline; request.timeout_ms is for each. Returns 0 for any answer below 500 but 429;
 * otherwise a status and a sentence that names the host. Finish the response in either case.
 */
int credential_fetch(struct credential_request *request, const struct fetch_request *fetch,
                     struct fetch_response *response);
/* Asks a metadata service for the first time in a search: one attempt, whose failure means that
 * there is none (CREDENTIAL_NOT_CONFIGURED, from now on), unless it is known to be there. */
int credential_probe(struct credential_request *request, const struct fetch_request *fetch,
                     _Atomic uint8_t *state, struct fetch_response *response);
/* Runs `ask`, which is to use credential_probe(), by what is known of the service. */
int credential_metadata(struct credential_request *request, _Atomic uint8_t *state,
                        credential_provider_fn *ask, struct http_credential *out);

/* -EACCES (4xx) or LSIO_E_HTTP, with the sentence "HOST answered 403 CODE". `code` may be NULL;
 * it is shown only if it looks like an error's name. */
int credential_refused(struct credential_request *request, const char *url, int http_status,
                       const char *code);

/* The JSON object of a response; LSIO_E_PROTOCOL and a sentence if it is none. json_finish() it. */
int credential_json(struct credential_request *request, const char *url,
                    const struct fetch_response *response, struct json_object **out);

/* Sends an OAuth 2.0 token request (RFC 6749, section 4 and 5) and takes its answer: access_token,
 * expires_in, or an error's name. The form is encoded already. */
int credential_oauth(struct credential_request *request, const char *url, const char *form,
                     struct http_credential *out, const char *source);
/* The token in an OAuth-like answer: access_token, with expires_in or expires_on. */
int credential_oauth_answer(struct credential_request *request, const char *url,
                            const struct fetch_response *response, struct http_credential *out,
                            const char *source);

/* The sentence of a status that a file gave: lsio_status_text() speaks of objects. */
const char *credential_file_text(int status);
/* Reads a file that holds a token, without the white space around it. 0, or a status and a
 * sentence that names the file; an empty or forged one (control characters) is -EINVAL. */
int credential_token_file(struct credential_request *request, const char *path,
                          struct secret_text *out);

/* Length of a base address without slashes at its end, to put a path behind it. */
int credential_base_length(const char *base);

/* True for addresses and the name of this machine. `url` may be anything. */
bool credential_url_is_loopback(const char *url);
/* The host of a URL for messages and rules, lower-cased, without brackets and port; "" if it is
 * none. */
void credential_url_host(const char *url, char *out, size_t bytes);
/* True if that is where `server` is: host[:port] of https, as in a Host header. */
bool credential_url_is_at(const char *url, const char *server);
/* True if secrets may be sent there: https, or this machine. */
bool credential_url_is_safe(const char *url);

/* The providers, in alphabetical order. */
credential_provider_fn credential_aws_container;
credential_provider_fn credential_aws_environment;
credential_provider_fn credential_aws_imds;
credential_provider_fn credential_aws_options;
credential_provider_fn credential_aws_profile;
credential_provider_fn credential_aws_profile_option; /* one named by an option */
credential_provider_fn credential_aws_web_identity;
credential_provider_fn credential_azure_environment;
credential_provider_fn credential_azure_managed;
credential_provider_fn credential_azure_options;
credential_provider_fn credential_callback;
credential_provider_fn credential_google_default; /* the application default credentials file */
credential_provider_fn credential_google_environment;
credential_provider_fn credential_google_metadata;
credential_provider_fn credential_google_options;

#endif
