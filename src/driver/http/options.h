/* SPDX-License-Identifier: MIT */
/*
 * options.h - the options of http, s3, gs and az stores: one table of names, environment variables
 * and meanings, and what results from a URL, options and environment.
 *
 *     status = http_settings_read(&settings, &input);    -EINVAL: input.why says what and which
 *     ... settings.address, settings.stall_timeout_ms, settings.credential ...
 *     http_settings_finish(&settings);
 *
 * Names are those of object_store, with or without the store's prefix (aws_, azure_storage_,
 * azure_, google_), in any case. Per setting an option counts more than the URL, that more than the
 * environment, that more than the profile. Of several names of one option the one that the table
 * has first counts, wherever it stands; of one name the last. Names that only matter for writing
 * are accepted and noted; unknown ones are errors that suggest what may have been meant.
 *
 * Threads: reading runs on the thread that opens the store; settings are frozen afterwards.
 */
#ifndef LSIO_DRIVER_HTTP_OPTIONS_H
#define LSIO_DRIVER_HTTP_OPTIONS_H

#include "driver/http/credential/settings.h"
#include "driver/http/url.h"
#include "lsio/lsio.h"

enum http_on_change { HTTP_ON_CHANGE_FAIL = 0, HTTP_ON_CHANGE_RESTART };
enum http_path { HTTP_PATH_AUTO = 0, HTTP_PATH_CURL };

/* Owns its strings; NULL: not set. Times and limits have their defaults. */
struct http_settings {
    struct http_address address;
    struct credential_settings credential;
    /* what the address is made from */
    char *bucket, *region, *endpoint;
    uint8_t virtual_host; /* enum http_choice */
    bool dualstack, express, fabric, allow_http, https;
    /* how to reach the server */
    char *proxy_url; /* "": none */
    char *proxy_excludes;
    char *ca_file, *ca_path;
    char *resolve; /* host:port:address[,address] ... as curl's --resolve */
    char *user_agent;
    bool insecure; /* certificates are not checked */
    bool disable_system_certificates;
    bool randomize_addresses;
    bool http1_only, http2_only; /* neither: 1.1 unless the server insists */
    uint8_t path;                /* enum http_path: either is curl, the only one there is */
    uint64_t connect_timeout_ms;
    uint64_t idle_timeout_ms; /* of a connection; 0: the transport's */
    uint64_t connections_max; /* idle ones kept by a worker; 0: the transport's */
    /* when to give up, and when to ask again */
    uint64_t timeout_ms; /* of a whole request; 0: none, stalls count */
    uint64_t stall_timeout_ms;
    uint64_t first_byte_timeout_ms;
    uint64_t retry_attempts_max;
    uint64_t retry_timeout_ms;
    uint64_t retry_sleep_min_ms, retry_sleep_max_ms;
    uint64_t concurrency_start;
    uint64_t concurrency_max; /* 0: the profile's inflight_max */
    bool hedge;
    uint64_t hedge_percent;  /* at most so many of the requests */
    uint64_t hedge_delay_ms; /* 0: the p95 of first bytes */
    /* what answers mean */
    bool missing_on_403;
    uint8_t on_change;            /* enum http_on_change */
    uint64_t full_body_bytes_max; /* of an answer that ignores the range */
    bool verify_checksums;
    /* of the stores */
    bool request_payer, unsigned_payload;
    char *user_project; /* GCS: who pays */
    char *customer_key; /* base64: SSE-C, or Azure's encryption key */
};

struct http_settings_input {
    const char *url;
    const struct lsio_option *options;
    size_t option_count;
    /* The environment, as a function; NULL: none is looked at. */
    credential_environment_fn *environment;
    void *environment_data;
    /* The AWS profile's values by their names in the file (aws_profile_value); NULL: none. For
     * stores of S3, `profile_load` (may be NULL) is called first, once: what was said so far tells
     * which profile it is. */
    credential_environment_fn *profile;
    int (*profile_load)(void *data, const struct credential_settings *said, char *why,
                        size_t why_bytes);
    void *profile_data;
    /* Told of each option that is known but has no effect on reading; may be NULL. */
    void (*note)(void *data, const char *sentence);
    void *note_data;
    char *why; /* NULL, or room for a sentence; it holds names, never values */
    size_t why_bytes;
};

/* 0, -EINVAL, -ENOMEM; a failed read leaves nothing to finish. */
int http_settings_read(struct http_settings *out, const struct http_settings_input *input);
void http_settings_finish(struct http_settings *settings);

/* A driver_option_fn: 1 for every key of the table, because http_settings_read() has taken it. */
int http_option_taken(void *unused, const struct lsio_option *option);

/* ------------------------------------------------------------------------------------ table -- */

enum http_option_store { /* which stores have an option */
                         HTTP_OF_HTTP = 1u << HTTP_DIALECT_HTTP,
                         HTTP_OF_S3 = 1u << HTTP_DIALECT_S3,
                         HTTP_OF_GCS = 1u << HTTP_DIALECT_GCS,
                         HTTP_OF_AZURE = 1u << HTTP_DIALECT_AZURE,
                         HTTP_OF_ALL = 15,
                         HTTP_OF_BUCKETS = 14
};

enum http_option_kind {
    HTTP_OPTION_TEXT,       /* char * */
    HTTP_OPTION_BOOL,       /* bool: true false yes no on off 1 0 */
    HTTP_OPTION_SWITCH,     /* uint8_t, enum http_choice: the same, but unsaid if not set */
    HTTP_OPTION_CHOICE,     /* uint8_t: the index in `words` */
    HTTP_OPTION_COUNT,      /* uint64_t, within bounds */
    HTTP_OPTION_SIZE,       /* uint64_t, with suffix K, M or G (powers of 1024) */
    HTTP_OPTION_DURATION,   /* uint64_t in ms: "30s", "1m 30s", "250ms"; a mere number is seconds */
    HTTP_OPTION_CREDENTIAL, /* goes into settings.credential; `place` is the key */
    HTTP_OPTION_IGNORED,    /* known, but not for reading */
    HTTP_OPTION_REFUSED     /* known, but not supported: ignoring it would do the wrong thing */
};

#define HTTP_OPTION_NAMES_MAX 3 /* of a row */

/* A row. README's table of options is generated from it. */
struct http_option {
    const char *names;     /* "name|other name"; the first is the one to document */
    const char *variables; /* environment variables of its own, "A|B", or NULL; besides these
                              PREFIX_NAME for each prefix of its stores, if `own` is false */
    const char *meaning;
    const char *words; /* CHOICE: "a|b"; BOOL: another word for true, or NULL */
    size_t place;      /* offset in struct http_settings, or enum credential_key */
    uint64_t standard; /* the default */
    uint64_t least, most;
    uint8_t stores;    /* enum http_option_store */
    uint8_t kind;      /* enum http_option_kind */
    bool own;          /* an option of LSIO's alone: no prefix, no variables */
    bool may_be_empty; /* "" is a value; of other options it is an error */
    bool from_address; /* a URL that names its server (for the region: that names a region) decides
                          it, not the environment or the profile */
};

extern const struct http_option http_options[];
extern const size_t http_option_count;

#endif
