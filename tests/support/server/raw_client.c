/* SPDX-License-Identifier: MIT */
/*
 * The raw client. It is blocking and has one bound, on silence, which no right run reaches: a test
 * that would hang fails instead.
 */
#define _GNU_SOURCE
#include "server/raw_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { SILENCE_S = 20, PIECE_BYTES = 16 << 10 };

bool raw_open(struct raw_client *client, const char *address, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    const struct timeval silence = {.tv_sec = SILENCE_S};

    *client = (struct raw_client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    inet_pton(AF_INET, address, &to.sin_addr);
    setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
    if (connect(client->fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return true;
    raw_close(client);
    return false;
}

const char *raw_open_tls(struct raw_client *client, uint16_t port, const char *ca_file,
                         const char *host)
{
    const char *wrong;
    SSL *tls;

    if (!raw_open(client, "127.0.0.1", port))
        return "refused";
    client->tls_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(client->tls_context, TLS1_2_VERSION);
    SSL_CTX_set_verify(client->tls_context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_load_verify_locations(client->tls_context, ca_file, NULL);
    client->tls = tls = SSL_new(client->tls_context);
    SSL_set_fd(tls, client->fd);
    SSL_set1_host(tls, host);
    SSL_set_tlsext_host_name(tls, host);
    if (SSL_connect(tls) == 1)
        return NULL;
    wrong = SSL_get_verify_result(tls) == X509_V_OK
                ? ERR_reason_error_string(ERR_peek_last_error())
                : X509_verify_cert_error_string(SSL_get_verify_result(tls));
    ERR_clear_error();
    raw_close(client);
    return wrong ? wrong : "handshake broken off";
}

void raw_close(struct raw_client *client)
{
    SSL_free(client->tls);
    SSL_CTX_free(client->tls_context);
    if (client->fd >= 0)
        close(client->fd);
    server_text_free(&client->in);
    *client = (struct raw_client){.fd = -1};
}

void raw_send(struct raw_client *client, const char *text)
{
    size_t bytes = strlen(text), sent = 0;

    /* What the server did not want is seen when the answer is received. */
    if (client->tls)
        SSL_write_ex(client->tls, text, bytes, &sent);
    else if (send(client->fd, text, bytes, MSG_NOSIGNAL) < 0)
        client->reset = errno == ECONNRESET || errno == EPIPE;
}

void raw_get(struct raw_client *client, const char *path, const char *headers)
{
    struct server_text request = {0};

    server_text_print(&request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", path, headers);
    raw_send(client, request.at);
    server_text_free(&request);
}

/* Receives some more behind what is there. */
static enum raw_end receive_more(struct raw_client *client)
{
    char piece[PIECE_BYTES];
    ssize_t got;

    if (client->tls) {
        int count = SSL_read(client->tls, piece, sizeof(piece));
        int error = SSL_get_error(client->tls, count);
        ERR_clear_error();
        if (count <= 0)
            return error == SSL_ERROR_ZERO_RETURN ? RAW_FIN : RAW_CUT;
        got = count;
    } else {
        got = recv(client->fd, piece, sizeof(piece), 0);
        if (got < 0)
            return errno == ECONNRESET || errno == EPIPE ? RAW_RESET : RAW_SILENT;
        if (got == 0)
            return client->reset ? RAW_RESET : RAW_FIN;
    }
    server_text_add(&client->in, piece, (size_t)got);
    return RAW_OPEN;
}

static void in_take(struct raw_client *client, size_t bytes, struct server_text *to)
{
    server_text_add(to, server_text_string(&client->in), bytes);
    client->in.used -= bytes;
    if (client->in.at)
        memmove(client->in.at, client->in.at + bytes, client->in.used + 1);
}

enum raw_end raw_receive_bytes(struct raw_client *client, size_t bytes, struct server_text *to)
{
    enum raw_end end = RAW_OPEN;

    for (;;) {
        size_t lacking = bytes - to->used;
        in_take(client, client->in.used < lacking ? client->in.used : lacking, to);
        if (to->used == bytes || end != RAW_OPEN)
            return to->used == bytes ? RAW_OPEN : end;
        end = receive_more(client);
    }
}

void raw_receive_head(struct raw_client *client, struct raw_answer *answer)
{
    const char *end;

    *answer = (struct raw_answer){0};
    while (!(end = strstr(server_text_string(&client->in), "\r\n\r\n"))) {
        answer->end = receive_more(client);
        if (answer->end != RAW_OPEN) {
            in_take(client, client->in.used, &answer->head);
            return;
        }
    }
    in_take(client, (size_t)(end + 4 - client->in.at), &answer->head);
    if (strncmp(answer->head.at, "HTTP/1.1 ", 9) == 0)
        answer->status = (int)strtoul(answer->head.at + 9, NULL, 10);
}

void raw_receive(struct raw_client *client, size_t body_max, struct raw_answer *answer)
{
    unsigned long long length;

    raw_receive_head(client, answer);
    if (answer->end != RAW_OPEN)
        return;
    length = server_line_number(answer->head.at, "Content-Length", body_max);
    answer->end =
        raw_receive_bytes(client, length < body_max ? (size_t)length : body_max, &answer->body);
}

void raw_answer_free(struct raw_answer *answer)
{
    server_text_free(&answer->head);
    server_text_free(&answer->body);
}

bool raw_has(const struct raw_answer *answer, const char *name, const char *value)
{
    const char *found;
    size_t bytes;

    if (!server_line_find(server_text_string(&answer->head), name, &found, &bytes))
        return value == NULL;
    return value && strlen(value) == bytes && memcmp(found, value, bytes) == 0;
}
