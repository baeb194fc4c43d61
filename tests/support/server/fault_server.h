/* SPDX-License-Identifier: MIT */
/*
 * fault_server.h - an HTTP/1.1 server for tests that misbehaves on demand.
 *
 *     struct server *s;
 *     server_create(&(struct server_config){.style = SERVER_S3}, &s);
 *     server_put(s, &(struct server_object){.path = "/bucket/key", .pattern_id = 7, .size = 9999});
 *     server_plan(s, &(struct server_match){.path = "/bucket/key", .nth = 2},
 *                 &(struct server_fault){.kind = SERVER_RESET, .bytes = 1000});
 *     ... read server_url(s) "/bucket/key" ...
 *     server_assert_finished(s);     fails the test unless the fault happened
 *     server_destroy(s);
 *
 * It listens on loopback only, and takes request bodies with a Content-Length only. Functions may
 * be called from any thread, except that destroy must be the last call. Those that return int give
 * 0 or a negative errno.
 */
#ifndef LSIO_TESTS_FAULT_SERVER_H
#define LSIO_TESTS_FAULT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct server;

/* ------------------------------------------------------------------------------ the server -- */

/* Whose error bodies and extra headers the server imitates. */
enum server_style { SERVER_PLAIN, SERVER_S3, SERVER_AZURE, SERVER_GCS };

/* What a TLS client meets. All but the self-signed one are issued by the CA of server_ca_file(). */
enum server_identity {
    SERVER_CLEAR, /* no TLS */
    SERVER_TLS,   /* valid for localhost, *.store.localhost, 127.0.0.1 to 127.0.0.8 */
    SERVER_TLS_WRONG_HOST,
    SERVER_TLS_EXPIRED,
    SERVER_TLS_SELF_SIGNED,
    SERVER_TLS_1_1, /* valid, but speaks nothing newer than TLS 1.1 */
    SERVER_IDENTITIES
};

struct server_config {
    const char *address; /* an address of 127.0.0.0/8; NULL: 127.0.0.1 */
    uint16_t port;       /* 0: any free one */
    enum server_style style;
    enum server_identity identity;
    uint32_t latency_ms;  /* from the whole request to the first byte of its answer */
    uint64_t bytes_per_s; /* of each connection; 0: as fast as it goes */
    const char *root;     /* files below it are objects too; not listed */
    const char *relay;    /* "127.0.0.1:PORT": what no route answers is asked of this server */
    /* A proxy: absolute URLs are asked of that port of 127.0.0.1, whatever the host's name is, and
     * CONNECT leads there, as it does without. "NAME:PASSWORD": for who says that; "": for all. */
    const char *proxy;
    bool without_log; /* requests are counted but not recorded (benchmarks) */
};

int server_create(const struct server_config *config, struct server **out);
/* Ends all connections. NULL is allowed. */
void server_destroy(struct server *s);

uint16_t server_port(const struct server *s);
/* "http://127.0.0.1:PORT", or https. */
const char *server_url(const struct server *s);
/* A PEM file with the CA that issued the server's certificates; "" without TLS. */
const char *server_ca_file(const struct server *s);

/* ----------------------------------------------------------------------------- its objects -- */

/* Strings and bytes are copied. Paths are decoded ("/a b", not "/a%20b"). */
struct server_object {
    const char *path;
    const void *bytes; /* NULL: server_pattern() of pattern_id */
    uint64_t size;
    uint32_t pattern_id;
    const char *etag; /* as sent, with quotes; NULL: made up, changes with each put; "": none */
    const char *last_modified; /* HTTP-date; NULL: a fixed one; "": none */
    const char *content_type;  /* NULL: application/octet-stream */
    const char *headers;       /* more header lines, each ended by \r\n; or NULL */
};

/* Adds an object or puts it in the place of the one of that path. */
int server_put(struct server *s, const struct server_object *object);
/* -ENOENT if there is none. */
int server_remove(struct server *s, const char *path);

/* The pattern: each 8 bytes tell (id, offset), so a misplaced byte is localised at once. */
void server_pattern(uint32_t id, uint64_t offset, void *to, size_t bytes);
/* The index of the first byte that is not the pattern's, or -1. */
int64_t server_pattern_check(uint32_t id, uint64_t offset, const void *bytes, size_t count);

/* A scripted answer, for credential endpoints and the like; the first route that fits answers. A
 * request for a route's path that fits none gets 400 with a sentence. Strings are copied. */
struct server_route {
    const char *method; /* NULL: any */
    const char *path;
    const char *wants; /* header lines, each ended by \n, all of which the request must have */
    const char *wants_query; /* must occur in the query as sent; NULL: anything */
    const char *wants_body;  /* must occur in the body; NULL: anything */
    int status;              /* 0: 200 */
    const char *headers;     /* lines, each ended by \r\n; or NULL */
    const char *body;        /* NULL: empty */
};
int server_route(struct server *s, const struct server_route *route);

/* ------------------------------------------------------------------------------ its faults -- */

enum server_fault_kind {
    /* Of a connection, when it is accepted. */
    SERVER_ACCEPT_CLOSE,
    SERVER_ACCEPT_RESET,
    SERVER_ACCEPT_HANG, /* held, before TLS, until server_release() */
    SERVER_IDENTITY,    /* .identity for this connection of a TLS server */
    /* Of a request; where the answer breaks off is told by .place and .bytes. */
    SERVER_DELAY,    /* .delay_ms alone */
    SERVER_CLOSE,    /* FIN, after close_notify if it is TLS */
    SERVER_TRUNCATE, /* FIN without close_notify */
    SERVER_RESET,
    SERVER_HANG,       /* held until server_release(), then goes on */
    SERVER_KEY_UPDATE, /* TLS 1.3: new keys, asked of the client too; then goes on */
    SERVER_TRICKLE,    /* from there on .bytes_each at a time, each after .each_ms */
    /* Of a request: its answer differs from the right one. */
    SERVER_STATUS, /* .status, error code .code, and header .name: .text (Retry-After, Location) */
    SERVER_HEADER, /* header .name is .text, or absent if .text is NULL */
    SERVER_HUGE_HEADERS, /* .count more header lines of .bytes each */
    SERVER_RAW,          /* nothing but .text, then FIN */
    SERVER_BODY,         /* 200 with .text as body */
    SERVER_WHOLE,        /* 200 with all of the object for a range */
    SERVER_MULTIPART,    /* 206 multipart/byteranges */
    SERVER_INTERIM,      /* interim answers (100, 103) before the real one */
    SERVER_SHORT,        /* body and Content-Length lack the last .bytes; Content-Range is right */
    SERVER_LONG,         /* both have .bytes more of the object; Content-Range is right */
    SERVER_STRAY,        /* .text follows a complete answer on the open connection */
    SERVER_ENDLESS,      /* a body with no length and no end */
    SERVER_ENDLESS_CHUNKS, /* the same, chunked */
    SERVER_UNSIZED,        /* no Content-Length: the body ends with the connection */
    SERVER_CHUNKED,        /* chunked, with trailers */
    SERVER_CHUNK_BROKEN,   /* chunked; a chunk size after .bytes is no number */
    SERVER_FLIP,           /* bit 0 of body byte .bytes is wrong */
    SERVER_FAULT_KINDS
};

enum server_place { SERVER_IN_BODY, SERVER_IN_HEAD, SERVER_BEFORE_HEAD };

struct server_fault {
    enum server_fault_kind kind;
    uint32_t times;    /* as if planned so often; 0 is once */
    uint32_t delay_ms; /* before the answer, whatever the kind */
    enum server_place place;
    uint64_t bytes; /* of the body, or of the head if place says so */
    uint32_t bytes_each, each_ms;
    uint32_t count;
    int status;
    const char *code;
    const char *name, *text;
    size_t text_bytes; /* of a text that holds NULs (SERVER_RAW, SERVER_BODY); 0: strlen */
    enum server_identity identity;
};

/* Which connection or request a fault is for. Each takes the first planned fault that fits it. */
struct server_match {
    const char *path;    /* decoded; NULL: any */
    const char *method;  /* NULL: any */
    const char *range;   /* the Range header's value; NULL: any */
    uint32_t nth;        /* the nth that fits since planned; 0 is the first */
    uint32_t connection; /* by number, from 1; 0: any */
    bool reused;         /* only what is not the first request of its connection */
};

/* Strings are copied; NULL match: the next one. */
int server_plan(struct server *s, const struct server_match *match,
                const struct server_fault *fault);

/* Beside what is planned, `permille` of the requests get a fault of the kinds named in `kinds`
 * ("reset,close,..."; NULL: all of server_random_kinds()), by `seed` and the request's number. */
int server_random(struct server *s, uint64_t seed, uint32_t permille, const char *kinds);
const char *server_random_kinds(void);

/* How many planned faults did not happen; they are named in `text`. */
unsigned server_finish(struct server *s, char *text, size_t room);
/* Lets go on what is held by SERVER_HANG and SERVER_ACCEPT_HANG. */
void server_release(struct server *s);
/* Prints what happened as a JSON object. */
void server_report(struct server *s, FILE *to);

#define server_assert_finished(s)                                                                  \
    do {                                                                                           \
        char server_left_[1024];                                                                   \
        if (server_finish(s, server_left_, sizeof(server_left_)) > 0)                              \
            fail_msg("planned faults did not happen: %s", server_left_);                           \
    } while (0)

/* ------------------------------------------------------------------------ what it has seen -- */

struct server_record {
    const char *method, *path, *query; /* path decoded, query as sent without '?' */
    const char *target;                /* the request target as sent */
    const char *headers;               /* lines as sent, each ended by \r\n */
    const char *body;                  /* ended by a NUL that body_bytes does not count */
    size_t body_bytes;
    uint32_t connection; /* from 1 */
    uint32_t number;     /* on its connection, from 1 */
    const char *fault;   /* name of the fault it got, or NULL */
    /* Once the answer has ended, however it did: */
    bool ended;
    int status;          /* 0: no head was sent */
    uint64_t sent_bytes; /* of the body */
};

unsigned server_request_count(struct server *s);
unsigned server_connection_count(struct server *s);
/* The most that were open, or not yet answered, at the same time. */
unsigned server_connection_peak(struct server *s);
unsigned server_request_peak(struct server *s);
/* The index-th request; its strings live as long as the server. false if there is none. */
bool server_request(struct server *s, unsigned index, struct server_record *out);
/* The value of a request's header; NULL if it has none or it does not fit. */
const char *server_header(const struct server_record *record, const char *name, char *to,
                          size_t room);
/* Whether a text occurs in the target, headers or body of any request: that a secret did arrive is
 * what makes its absence elsewhere a proof. */
bool server_has_seen(struct server *s, const char *text);
/* Until so many requests have come, answers ended, connections and requests are held by a fault;
 * false after timeout_ms. */
bool server_wait_requests(struct server *s, unsigned count, unsigned timeout_ms);
bool server_wait_ended(struct server *s, unsigned count, unsigned timeout_ms);
bool server_wait_held(struct server *s, unsigned count, unsigned timeout_ms);

/* ----------------------------------------------------------------------- unreachable ports -- */

/* A port of 127.0.0.1 where nobody answers: connects are refused, or hang. */
struct server_dead_port {
    uint16_t port;
    int descriptors[8];
    unsigned count;
};
int server_port_refused(struct server_dead_port *out);
int server_port_hung(struct server_dead_port *out);
void server_port_free(struct server_dead_port *port);

#endif
