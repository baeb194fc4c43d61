/* SPDX-License-Identifier: MIT */
/*
 * raw_client.h - an HTTP client without any policy, for tests of the fault server itself and for
 * measuring it: it sends what it is given and tells byte for byte what came back and how it ended.
 */
#ifndef LSIO_TESTS_RAW_CLIENT_H
#define LSIO_TESTS_RAW_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/text.h"

struct raw_client {
    int fd;
    void *tls, *tls_context;
    struct server_text in; /* received behind the last answer's head */
    bool reset;            /* a send found it out, and the kernel tells it only once */
};

enum raw_end {
    RAW_OPEN, /* all that was asked for came, the connection goes on */
    RAW_FIN,
    RAW_RESET,
    RAW_CUT,   /* TLS: FIN without close_notify */
    RAW_SILENT /* nothing came for so long that the test should fail */
};

struct raw_answer {
    int status;              /* 0: no whole head came */
    struct server_text head; /* its lines, or what came of it */
    struct server_text body;
    enum raw_end end;
};

/* false: refused. */
bool raw_open(struct raw_client *client, const char *address, uint16_t port);
/* Over TLS, checking the server's certificate against ca_file and `host`. NULL if all is well, else
 * OpenSSL's words for what is wrong; the connection is closed then. */
const char *raw_open_tls(struct raw_client *client, uint16_t port, const char *ca_file,
                         const char *host);
void raw_close(struct raw_client *client);

void raw_send(struct raw_client *client, const char *text);
/* GET of a path with more header lines (each ended by \r\n), or "". */
void raw_get(struct raw_client *client, const char *path, const char *headers);
/* Receives one answer: its head, and a body as long as its Content-Length or until the connection
 * ends, but no more than body_max; chunks stay as they come. Free it with raw_answer_free(). */
void raw_receive(struct raw_client *client, size_t body_max, struct raw_answer *answer);
/* The same, without a body though a length is given (HEAD, 304, interim answers). */
void raw_receive_head(struct raw_client *client, struct raw_answer *answer);
/* All that comes until the connection ends or `bytes` have come. */
enum raw_end raw_receive_bytes(struct raw_client *client, size_t bytes, struct server_text *to);
void raw_answer_free(struct raw_answer *answer);
/* A header's value is exactly this; NULL: it is absent. */
bool raw_has(const struct raw_answer *answer, const char *name, const char *value);

#endif
