/* SPDX-License-Identifier: MIT */
/*
 * options_table.c - the table of options; see options.h for what a row says.
 *
 * Names: object_store's AmazonS3ConfigKey, AzureConfigKey, GoogleConfigKey and ClientConfigKey;
 * variables also GDAL's ("Network based file systems") and those of the vendors' tools. Variables
 * of credentials are listed in credential/settings.c. Numbers are those of the network rules: a
 * stall ends a request, its length does not.
 *
 * Constant; any thread.
 */
#include "driver/http/options.h"

#define IN(field) .place = offsetof(struct http_settings, field)

#define TEXT(where, name, field, ...)                                                              \
    {                                                                                              \
        .stores = where, .names = name, .kind = HTTP_OPTION_TEXT, IN(field), __VA_ARGS__           \
    }
#define BOOL(where, name, field, ...)                                                              \
    {                                                                                              \
        .stores = where, .names = name, .kind = HTTP_OPTION_BOOL, IN(field), __VA_ARGS__           \
    }
#define SWITCH(where, name, field, ...)                                                            \
    {                                                                                              \
        .stores = where, .names = name, .kind = HTTP_OPTION_SWITCH, IN(field), __VA_ARGS__         \
    }
#define CHOICE(where, name, field, all, ...)                                                       \
    {                                                                                              \
        .stores = where, .names = name, .kind = HTTP_OPTION_CHOICE, IN(field), .words = all,       \
        __VA_ARGS__                                                                                \
    }
#define COUNT(where, name, field, from, to, ...)                                                   \
    {                                                                                              \
        .stores = where, .names = name, .kind = HTTP_OPTION_COUNT, IN(field), .least = from,       \
        .most = to, __VA_ARGS__                                                                    \
    }
#define SIZE(where, name, field, ...)                                                              \
    {                                                                                              \
        .stores = where, .names = name, .kind = HTTP_OPTION_SIZE, IN(field), .most = INT64_MAX,    \
        __VA_ARGS__                                                                                \
    }
#define DURATION(where, name, field, from, ...)                                                    \
    {                                                                                              \
        .stores = where, .names = name, .kind = HTTP_OPTION_DURATION, IN(field), .least = from,    \
        .most = DAY_MS, __VA_ARGS__                                                                \
    }
#define CREDENTIAL(where, name, key, ...)                                                          \
    {                                                                                              \
        .stores = where, .names = name, .kind = HTTP_OPTION_CREDENTIAL, .place = key, __VA_ARGS__  \
    }
#define IGNORED(where, name, ...)                                                                  \
    {                                                                                              \
        .stores = where, .names = name, .kind = HTTP_OPTION_IGNORED, __VA_ARGS__                   \
    }
#define REFUSED(where, name, ...)                                                                  \
    {                                                                                              \
        .stores = where, .names = name, .kind = HTTP_OPTION_REFUSED, __VA_ARGS__                   \
    }

#define DAY_MS (UINT64_C(24) * 3600 * 1000)
#define OWN    .own = true
#define ALL    HTTP_OF_ALL
#define S3     HTTP_OF_S3
#define GCS    HTTP_OF_GCS
#define AZURE  HTTP_OF_AZURE

#define MEANS .meaning =
#define ENV   .variables =

const struct http_option http_options[] = {
    /* addresses */
    TEXT(S3 | GCS, "bucket|bucket_name", bucket, MEANS "the bucket, if the URL names none"),
    TEXT(AZURE, "container_name", bucket, MEANS "the container, if the URL names none"),
    TEXT(S3, "region|default_region", region, .from_address = true,
         MEANS "the bucket's region (default us-east-1; another one is found and remembered)"),
    TEXT(S3, "endpoint_url_s3|endpoint_url|endpoint", endpoint, .from_address = true,
         ENV "AWS_ENDPOINT_URL_S3|AWS_ENDPOINT_URL|AWS_S3_ENDPOINT",
         MEANS "a server that speaks S3: URL, or host[:port]"),
    TEXT(GCS, "base_url|endpoint", endpoint, .from_address = true, ENV "STORAGE_EMULATOR_HOST",
         MEANS "another server: URL, or host[:port] for http"),
    TEXT(AZURE, "endpoint|endpoint_url", endpoint, .from_address = true,
         MEANS "another server: URL, or host[:port]"),
    SWITCH(S3, "virtual_hosted_style_request|virtual_hosting", virtual_host, .from_address = true,
           MEANS "true: bucket.server/key; false: server/bucket/key (default: true on AWS unless "
                 "the bucket's name has a dot, false with an endpoint)"),
    BOOL(S3, "https", https, .standard = 1,
         MEANS "false: an endpoint without a scheme is http (default true)"),
    BOOL(S3, "use_dualstack_endpoint", dualstack, .from_address = true,
         MEANS "the endpoints with IPv6"),
    BOOL(S3, "s3_express", express,
         MEANS "insist on an S3 Express bucket; give it a session's keys and token"),
    BOOL(AZURE, "use_fabric_endpoint", fabric, MEANS "the account is one of Microsoft Fabric"),
    BOOL(ALL, "allow_http", allow_http, .standard = 1,
         MEANS "false: an address that is http, not https, is an error (default true)"),

    /* credentials of S3 */
    CREDENTIAL(S3, "access_key_id", CREDENTIAL_ACCESS_KEY_ID, MEANS "access key"),
    CREDENTIAL(S3, "secret_access_key", CREDENTIAL_SECRET_ACCESS_KEY, MEANS "its secret"),
    CREDENTIAL(S3, "session_token|token", CREDENTIAL_SESSION_TOKEN,
               MEANS "the token of a temporary access key"),
    CREDENTIAL(S3, "aws_profile", CREDENTIAL_PROFILE, OWN,
               MEANS "the profile in the AWS configuration files"),
    CREDENTIAL(S3, "config_file", CREDENTIAL_CONFIG_FILE, MEANS "instead of ~/.aws/config"),
    CREDENTIAL(S3, "shared_credentials_file", CREDENTIAL_SHARED_CREDENTIALS_FILE,
               MEANS "instead of ~/.aws/credentials"),
    CREDENTIAL(S3, "skip_signature|no_sign_request", CREDENTIAL_AWS_ANONYMOUS,
               MEANS "true: anonymous, nothing is signed"),
    CREDENTIAL(S3, "role_arn", CREDENTIAL_ROLE_ARN, MEANS "the role to assume"),
    CREDENTIAL(S3, "role_session_name", CREDENTIAL_ROLE_SESSION_NAME, MEANS "the session's name"),
    CREDENTIAL(S3, "web_identity_token_file", CREDENTIAL_WEB_IDENTITY_TOKEN_FILE,
               MEANS "the file of the token that the role is given for"),
    CREDENTIAL(S3, "endpoint_url_sts", CREDENTIAL_STS_ENDPOINT, MEANS "another server for STS"),
    CREDENTIAL(S3, "container_credentials_relative_uri", CREDENTIAL_CONTAINER_RELATIVE_URI,
               MEANS "the container's credential endpoint (ECS)"),
    CREDENTIAL(S3, "container_credentials_full_uri", CREDENTIAL_CONTAINER_FULL_URI,
               MEANS "the container's credential endpoint (EKS)"),
    CREDENTIAL(S3, "container_authorization_token_file", CREDENTIAL_CONTAINER_TOKEN_FILE,
               MEANS "the file of the token for it"),
    CREDENTIAL(S3, "metadata_endpoint", CREDENTIAL_IMDS_ENDPOINT,
               MEANS "another address of the instance metadata service"),
    CREDENTIAL(S3, "imdsv1_fallback", CREDENTIAL_IMDS_V1_FALLBACK,
               MEANS "true: ask version 1 of it where version 2 is refused"),

    /* credentials of GCS */
    CREDENTIAL(GCS, "service_account_path|service_account", CREDENTIAL_GOOGLE_SERVICE_ACCOUNT_PATH,
               MEANS "the key file of a service account"),
    CREDENTIAL(GCS, "service_account_key", CREDENTIAL_GOOGLE_SERVICE_ACCOUNT_KEY,
               MEANS "its content"),
    CREDENTIAL(GCS, "application_credentials", CREDENTIAL_GOOGLE_APPLICATION_CREDENTIALS,
               MEANS "a credential file of gcloud or of a service account"),
    CREDENTIAL(GCS, "bearer_token", CREDENTIAL_GOOGLE_TOKEN, MEANS "an access token"),
    CREDENTIAL(GCS, "access_key_id", CREDENTIAL_GOOGLE_HMAC_ID, MEANS "an HMAC key"),
    CREDENTIAL(GCS, "secret_access_key", CREDENTIAL_GOOGLE_HMAC_SECRET, MEANS "its secret"),
    CREDENTIAL(GCS, "token_uri", CREDENTIAL_GOOGLE_TOKEN_URI, MEANS "another token server"),
    CREDENTIAL(GCS, "skip_signature|no_sign_request", CREDENTIAL_GOOGLE_ANONYMOUS,
               MEANS "true: anonymous"),

    /* credentials of Azure */
    CREDENTIAL(AZURE, "account_name", CREDENTIAL_AZURE_ACCOUNT, MEANS "the storage account"),
    CREDENTIAL(AZURE, "account_key|access_key|master_key", CREDENTIAL_AZURE_KEY, MEANS "its key"),
    CREDENTIAL(AZURE, "sas_token|sas_key", CREDENTIAL_AZURE_SAS,
               MEANS "a shared access signature: the query string"),
    CREDENTIAL(AZURE, "bearer_token|token", CREDENTIAL_AZURE_TOKEN, MEANS "an access token"),
    CREDENTIAL(AZURE, "connection_string", CREDENTIAL_AZURE_CONNECTION_STRING,
               MEANS "account, key or signature, and server in one"),
    CREDENTIAL(AZURE, "tenant_id|authority_id", CREDENTIAL_AZURE_TENANT_ID, MEANS "tenant"),
    CREDENTIAL(AZURE, "client_id", CREDENTIAL_AZURE_CLIENT_ID, MEANS "application (client) id"),
    CREDENTIAL(AZURE, "client_secret", CREDENTIAL_AZURE_CLIENT_SECRET, MEANS "its secret"),
    CREDENTIAL(AZURE, "federated_token_file", CREDENTIAL_AZURE_FEDERATED_TOKEN_FILE,
               MEANS "the file of a workload identity's token"),
    CREDENTIAL(AZURE, "authority_host", CREDENTIAL_AZURE_AUTHORITY_HOST,
               MEANS "another server for tokens"),
    CREDENTIAL(AZURE, "msi_endpoint|identity_endpoint", CREDENTIAL_AZURE_MSI_ENDPOINT,
               MEANS "another address of the managed identity service"),
    CREDENTIAL(AZURE, "object_id", CREDENTIAL_AZURE_OBJECT_ID, MEANS "of a managed identity"),
    CREDENTIAL(AZURE, "msi_resource_id", CREDENTIAL_AZURE_MSI_RESOURCE_ID,
               MEANS "of a managed identity"),
    CREDENTIAL(AZURE, "use_emulator", CREDENTIAL_AZURE_USE_EMULATOR,
               MEANS "true: Azurite, on port 10000 of this machine unless endpoint says otherwise"),
    CREDENTIAL(AZURE, "skip_signature|no_sign_request", CREDENTIAL_AZURE_ANONYMOUS,
               MEANS "true: anonymous"),

    /* requests of the stores */
    BOOL(S3, "request_payer", request_payer, .words = "requester",
         MEANS "true: the requester pays"),
    BOOL(S3, "unsigned_payload", unsigned_payload,
         MEANS "true: what is signed does not hold the body's checksum"),
    TEXT(GCS, "user_project", user_project, ENV "GS_USER_PROJECT", MEANS "the project that pays"),
    TEXT(S3, "sse_customer_key_base64", customer_key,
         MEANS "the key of objects encrypted with one of the customer's"),
    TEXT(AZURE, "encryption_key", customer_key,
         MEANS "the key of blobs encrypted with one of the customer's, in base64"),

    /* connections */
    TEXT(ALL, "ca_bundle", ca_file, ENV "AWS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_CERT_FILE",
         MEANS "a file of certificates to trust"),
    TEXT(ALL, "ca_path", ca_path, OWN, ENV "SSL_CERT_DIR",
         MEANS "a directory of certificates to trust"),
    BOOL(ALL, "disable_system_certificates", disable_system_certificates,
         MEANS "true: trust those of ca_bundle and ca_path only"),
    BOOL(ALL, "allow_invalid_certificates|insecure", insecure,
         MEANS "true: do not check who the store's server is; servers that give credentials are "
               "checked unless they are the same"),
    TEXT(ALL, "proxy_url", proxy_url, .may_be_empty = true,
         MEANS "the proxy; empty: none (default: as the environment says)"),
    TEXT(ALL, "proxy_excludes", proxy_excludes, .may_be_empty = true,
         MEANS "hosts not to ask the proxy for; empty: none (default: as the environment says)"),
    TEXT(ALL, "resolve", resolve, OWN,
         MEANS "addresses instead of those of DNS: host:port:address[,address]"),
    TEXT(ALL, "user_agent", user_agent, MEANS "the User-Agent header"),
    BOOL(ALL, "randomize_addresses", randomize_addresses, .standard = 1,
         MEANS "spread connections over a name's addresses (default true)"),
    BOOL(ALL, "http1_only", http1_only, MEANS "true: never HTTP/2"),
    BOOL(ALL, "http2_only", http2_only, MEANS "true: HTTP/2"),
    CHOICE(ALL, "http_path", path, "auto|curl", OWN,
           MEANS "auto | curl: which transport carries requests (this version has one)"),
    DURATION(ALL, "connect_timeout", connect_timeout_ms, 1, .standard = 10000,
             MEANS "to make a connection, TLS included (default 10s)"),
    DURATION(ALL, "pool_idle_timeout", idle_timeout_ms, 0,
             MEANS "use no connection again that idled longer"),
    COUNT(ALL, "pool_max_idle_per_host", connections_max, 0, 10000,
          MEANS "idle connections kept by a worker"),

    /* time and repetition */
    DURATION(ALL, "timeout", timeout_ms, 0,
             MEANS "for a whole request (default none: a slow answer is no failure, a stall is)"),
    DURATION(ALL, "read_timeout|stall_timeout", stall_timeout_ms, 1, .standard = 30000,
             MEANS "with less than 1 KiB/s in the middle of an answer (default 30s)"),
    DURATION(ALL, "first_byte_timeout", first_byte_timeout_ms, 1, OWN, .standard = 30000,
             MEANS "until an answer begins (default 30s)"),
    COUNT(ALL, "retry_attempts_max", retry_attempts_max, 1, 1000, OWN, .standard = 10,
          MEANS "attempts, the first included (default 10; fewer while many requests to a server "
                "fail: it has 500 retry tokens, a retry costs 5, a success gives one back)"),
    DURATION(ALL, "retry_timeout", retry_timeout_ms, 0, OWN, .standard = 180000,
             MEANS "no new attempt after that time (default 180s)"),
    DURATION(ALL, "retry_sleep_min", retry_sleep_min_ms, 0, OWN, .standard = 100,
             MEANS "shortest wait before the next attempt (default 100ms)"),
    DURATION(ALL, "retry_sleep_max", retry_sleep_max_ms, 0, OWN, .standard = 20000,
             MEANS "longest wait, but for Retry-After (default 20s)"),
    COUNT(ALL, "concurrency_start", concurrency_start, 1, 100000, OWN, .standard = 8,
          MEANS "requests in flight to a server at first (default 8)"),
    COUNT(ALL, "concurrency_max", concurrency_max, 0, 100000, OWN,
          MEANS "at most (default: the profile's inflight_max)"),
    BOOL(ALL, "hedge", hedge, OWN, MEANS "true: ask a second time where an answer is late"),
    COUNT(ALL, "hedge_percent", hedge_percent, 1, 100, OWN, .standard = 5,
          MEANS "of the requests at most (default 5)"),
    DURATION(ALL, "hedge_delay", hedge_delay_ms, 0, OWN,
             MEANS "how late (default: later than 95 % of the answers)"),

    /* answers */
    BOOL(ALL, "missing_on_403", missing_on_403, OWN,
         MEANS "true: 403 means that the object is missing (S3 without the right to list)"),
    CHOICE(ALL, "on_change", on_change, "fail|restart", OWN,
           MEANS "fail | restart: when an object changes before any of it was delivered, read "
                 "it anew, once, if its size is the same"),
    SIZE(ALL, "full_body_bytes_max", full_body_bytes_max, OWN, .standard = UINT64_C(64) << 20,
         MEANS "longest whole object to take from a server that ignores ranges (default 64M)"),
    BOOL(ALL, "verify_checksums", verify_checksums, OWN,
         MEANS "true: compare objects that one request brings whole with the checksum that the "
               "server sends, if it sends one"),

    /* known, and without effect on reading; then those for which there is something else */
    IGNORED(S3, "checksum_algorithm"),
    IGNORED(S3, "copy_if_not_exists"),
    IGNORED(S3, "conditional_put"),
    IGNORED(S3 | AZURE, "disable_tagging"),
    IGNORED(S3, "disable_bulk_delete"),
    IGNORED(S3, "server_side_encryption"),
    IGNORED(S3, "sse_kms_key_id"),
    IGNORED(S3, "sse_bucket_key_enabled"),
    IGNORED(ALL, "default_content_type"),
    IGNORED(ALL, "http2_keep_alive_interval"),
    IGNORED(ALL, "http2_keep_alive_timeout"),
    IGNORED(ALL, "http2_keep_alive_while_idle"),
    IGNORED(ALL, "http2_max_frame_size"),
    REFUSED(ALL, "proxy_ca_certificate", MEANS "ca_bundle"),
    REFUSED(AZURE, "use_azure_cli", MEANS "bearer_token"),
    REFUSED(AZURE, "credential_type", MEANS "the options of one credential only"),
    REFUSED(AZURE, "fabric_token_service_url", MEANS "bearer_token"),
    REFUSED(AZURE, "fabric_workload_host", MEANS "bearer_token"),
    REFUSED(AZURE, "fabric_session_token", MEANS "bearer_token"),
    REFUSED(AZURE, "fabric_cluster_identifier", MEANS "bearer_token"),
};

const size_t http_option_count = sizeof(http_options) / sizeof(http_options[0]);
