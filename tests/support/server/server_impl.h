/* SPDX-License-Identifier: MIT */
/*
 * server_impl.h - what the fault server's files share.
 *
 *     server.c      create, accept, destroy; what a test may wait for
 *     connection.c  one connection: bytes in and out, TLS, pacing, waiting, its loop over requests
 *     request.c     a request's head and body; the log
 *     answer.c      the right answer to a request
 *     object.c      objects, the pattern, body sources       listing.c  ListObjectsV2
 *     route.c       scripted answers                         relay.c    another server's answers
 *     fault.c       what is planned, and which request gets it
 *     misbehave.c   a fault's changes of an answer           send.c     sends it, broken off or not
 *     tls.c         certificates                             dead_port.c  ports without a server
 *
 * One thread accepts and each connection has a thread of its own: blocking code reads as the
 * protocol goes, and 256 threads are no burden. struct connection and all that hangs from it belong
 * to its thread, but for the fields that say otherwise. What is the server's is behind its lock.
 */
#ifndef LSIO_TESTS_SERVER_IMPL_H
#define LSIO_TESTS_SERVER_IMPL_H

#include <pthread.h>

#include "server/fault_server.h"
#include "server/text.h"

enum {
    SERVER_HEAD_BYTES_MAX = 128 << 10, /* of a request or of a relayed answer */
    SERVER_BODY_BYTES_MAX = 16 << 20,  /* of a request */
    SERVER_BUFFER_BYTES = 256 << 10,   /* a body goes out in pieces of at most so much */
    SERVER_QUANTUM_MS = 10,            /* a paced body sleeps at most so long at a time */
};

struct connection;
struct object;

/* Where a body's bytes come from: in order, each once. At most one of the pointers is set. */
struct source {
    struct object *object; /* holds a reference */
    char *block;           /* owned */
    size_t block_bytes;
    struct connection *relay; /* the client's connection, whose upstream has the body */
    uint64_t at;              /* of the object or block */
};

enum framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

struct answer {
    int status;                 /* 0: send nothing but the body, then close (SERVER_RAW) */
    struct server_text headers; /* without the framing's */
    struct source source;
    enum framing framing;
    uint64_t body_bytes; /* UINT64_MAX: until the source ends */
    bool without_body;   /* HEAD, 304 */
    bool endless, trailers, last;
    char *stray; /* bytes behind the answer, owned */
};

struct request {
    char *method, *target, *path, *query, *body; /* path decoded, the others as sent */
    size_t body_bytes;
    struct server_text headers; /* lines */
    uint32_t number;            /* on its connection, from 1 */
    unsigned ordinal;           /* of all the server's, from 1 */
    unsigned index;             /* in the log, or UINT32_MAX */
};

/* A planned fault with its own copies of all strings. */
struct planned {
    struct planned *next;
    struct server_fault fault;
    struct server_match match;
    uint32_t seen, taken;
    bool random; /* not planned, but chosen by a seed: freed by who got it */
};

struct connection {
    struct server *server;
    struct connection *next; /* in the server's list, under its lock */
    pthread_t thread;
    uint32_t number;
    uint32_t request_count;
    int fd;        /* -1 once ended; written under the server's lock: destroy reads it */
    int wake;      /* eventfd: written by release and destroy */
    bool threaded; /* has a thread; an upstream has none */
    bool done;     /* under the server's lock: its thread is about to end */
    void *tls;     /* SSL *, or NULL */
    char *in;      /* received but not used: in[in_at, in_end) */
    size_t in_at, in_end;
    char *buffer;                /* SERVER_BUFFER_BYTES for what goes out */
    uint64_t due_ns;             /* when the next paced byte may go */
    struct connection *upstream; /* relay: our connection to the other server, */
    uint16_t upstream_port;      /* which listens there */
    enum framing upstream_framing;
    uint64_t upstream_left; /* of the body, or of its current chunk */
    bool upstream_last;     /* it ends after this answer */
};

struct log_entry {
    struct server_record record;
    char *owned[6];
};

struct server {
    /* frozen once created */
    struct server_config config;
    char *address, *root, *relay_host, *proxy, *url;
    uint16_t port, relay_port;
    char ca_file[64];
    void *tls[SERVER_IDENTITIES]; /* SSL_CTX * */
    int listener, stop;           /* stop: eventfd, written by destroy */
    pthread_t acceptor;
    bool accepting;
    /* shared, under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    struct connection *connections;
    unsigned connection_count, request_count, ended_count, held_count;
    unsigned open_count, open_peak, request_peak; /* open: connections of clients */
    uint64_t release_count;
    struct object **objects; /* by path, bytewise */
    size_t object_count, object_room;
    uint64_t version; /* counts puts, so that made-up etags differ */
    struct route *routes;
    struct planned *plan, **plan_end;
    uint64_t random_seed;
    uint32_t random_permille, random_kinds; /* kinds: a bit each of the random table */
    unsigned random_count[32];
    struct log_entry *log;
    unsigned log_count;
    size_t log_room;
};

/* ------------------------------------------------------------------------- server.c, tls.c -- */

uint64_t server_now_ns(void);

/* One SSL_CTX for each identity, and the CA file. */
int tls_create(struct server *s);
void tls_destroy(struct server *s);
/* The server's side of a new connection; false if the handshake failed. */
bool tls_accept(struct connection *c, enum server_identity identity);
size_t tls_receive(struct connection *c, void *to, size_t room);
bool tls_send(struct connection *c, const void *bytes, size_t count);
/* New keys from the next byte on, of both sides (RFC 8446, 4.6.3). */
bool tls_key_update(struct connection *c);
/* Sends close_notify if `politely`, and frees. */
void tls_end(struct connection *c, bool politely);

/* ---------------------------------------------------------------------------- connection.c -- */

/* Around one socket, which it owns from now on, also if it returns NULL: the server stops. */
struct connection *connection_create(struct server *s, int fd);
void connection_destroy(struct connection *c);
/* Serves requests until the connection ends. */
void connection_serve(struct connection *c);

enum connection_end { CONNECTION_END_CLOSE, CONNECTION_END_TRUNCATE, CONNECTION_END_RESET };
void connection_end(struct connection *c, enum connection_end how);

/* false: the connection is broken. */
bool connection_send(struct connection *c, const void *bytes, size_t count);
/* Both blocks in one system call if possible. */
bool connection_send_two(struct connection *c, const void *first, size_t first_count,
                         const void *second, size_t second_count);
/* Receives more behind what is unused; false: it ended, or there is no room. */
bool connection_fill(struct connection *c);
/* Up to `room` of the bytes that come next; 0: it ended. */
size_t connection_take(struct connection *c, void *to, size_t room);
/* Receives up to and with the `end` string; its place, and how many bytes; NULL: it ended first. */
const char *connection_take_until(struct connection *c, const char *end, size_t *bytes);

/* false: the server stops. */
bool connection_sleep(struct connection *c, uint64_t ns);
/* Until server_release(); false: the server stops or the client went away. */
bool connection_hold(struct connection *c);

/* ------------------------------------------------------------------------------- request.c -- */

/* The next request of the connection; false: it ended, or what came was no request. */
bool request_read(struct connection *c, struct request *r);
void request_free(struct request *r);
/* A header's value as a block to free(), or NULL. */
char *request_header(const struct request *r, const char *name);
void request_ended(struct connection *c, struct request *r, int status, uint64_t sent_bytes);

/* ------------------------------------------------------ answer.c, object.c, listing.c, ... -- */

void answer_make(struct connection *c, const struct request *r, struct answer *a);
void answer_free(struct answer *a);
/* An error as the server's style has it. code may be NULL. */
void answer_error(struct server *s, struct answer *a, int status, const char *code,
                  const char *message);
/* A body of its own, taken over. */
void answer_text(struct answer *a, int status, const char *type, struct server_text *body);
const char *answer_reason(int status);

/* The object of that path with a reference, or NULL. */
struct object *object_find(struct server *s, const char *path);
void object_release(struct object *object);
/* The first one behind that path, with a reference, or NULL. */
struct object *object_next(struct server *s, const char *after);
uint64_t object_bytes(const struct object *object);
const char *object_etag(const struct object *object);
const char *object_path(const struct object *object);
/* Etag, Last-Modified, content type and the object's own lines. */
void object_headers(const struct server *s, const struct object *object, struct server_text *to);
void objects_destroy(struct server *s);
bool bucket_exists(struct server *s, const char *path);

/* Up to `room` next bytes, at *out or in `buffer`; 0: the source has ended. */
size_t source_next(struct source *source, char *buffer, size_t room, const char **out);
void source_free(struct source *source);

bool listing_wanted(const struct server *s, const struct request *r);
void listing_answer(struct server *s, const struct request *r, struct answer *a);

/* false: no route is for this path. */
bool route_answer(struct server *s, const struct request *r, struct answer *a);
void routes_destroy(struct server *s);

/* Ends the upstream if its body was not read to the end. */
void relay_done(struct connection *c);
void relay_answer(struct connection *c, const struct request *r, struct answer *a);
size_t relay_body(struct connection *c, void *to, size_t room);
/* Whether the request may use the proxy that the server is; every one may use one that is none. */
bool proxy_admits(const struct server *s, const struct request *r);
/* Whether it is one for another server, by the form of its target. */
bool proxy_wanted(const struct server *s, const struct request *r);
/* CONNECT: bytes in both directions until one side ends. */
void relay_tunnel(struct connection *c, const struct request *r);

/* ------------------------------------------------------------ fault.c, misbehave.c, send.c -- */

/* The fault for a new connection or request, to hand to fault_done(); NULL: none. */
struct planned *fault_of_connection(struct server *s, uint32_t connection);
struct planned *fault_of_request(struct connection *c, const struct request *r);
void fault_done(struct planned *planned);
void faults_destroy(struct server *s);

/* Changes the request before it is answered. */
void fault_prepare(const struct server_fault *fault, struct request *r);
/* Whether the fault takes the place of the right answer, so that this need not be made. */
bool fault_replaces(const struct server_fault *fault);
void fault_replace(struct server *s, const struct server_fault *fault, struct answer *a);
/* Changes the right answer. */
void fault_change(struct connection *c, const struct server_fault *fault, struct answer *a);

/* fault may be NULL; *sent_bytes: of the body; false: the connection has ended or is broken. */
bool answer_send(struct connection *c, struct answer *a, const struct server_fault *fault,
                 uint64_t *sent_bytes, bool *head_sent);

#endif
