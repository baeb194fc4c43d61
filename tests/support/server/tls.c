/* SPDX-License-Identifier: MIT */
/*
 * TLS for the fault server. Keys and certificates are made when the server is created, so that
 * nothing in the tree expires and no private key lies in it. One SSL_CTX for each identity; an SSL
 * belongs to its connection's thread.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DAY_S = 24 * 60 * 60 };

struct issue {
    EVP_PKEY *key; /* of the subject */
    X509 *issuer;  /* NULL: the subject itself */
    EVP_PKEY *issuer_key;
    const char *name, *alternatives;
    long from_s, to_s; /* from now */
    bool is_ca;
};

static bool extension_add(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    bool done;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    done = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return done;
}

/* A version 3 certificate (RFC 5280); NULL if OpenSSL refuses. */
static X509 *certificate_issue(const struct issue *issue)
{
    X509 *certificate = X509_new();
    X509 *issuer = issue->issuer ? issue->issuer : certificate;
    static _Atomic long serial = 1;
    X509_NAME *name;

    if (!certificate)
        return NULL;
    name = X509_get_subject_name(certificate);
    if (X509_set_version(certificate, 2) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++) != 1 ||
        !X509_gmtime_adj(X509_getm_notBefore(certificate), issue->from_s) ||
        !X509_gmtime_adj(X509_getm_notAfter(certificate), issue->to_s) ||
        X509_set_pubkey(certificate, issue->key) != 1 ||
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)issue->name, -1,
                                   -1, 0) != 1 ||
        X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1 ||
        !extension_add(certificate, issuer, NID_basic_constraints,
                       issue->is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE") ||
        !extension_add(certificate, issuer, NID_subject_key_identifier, "hash") ||
        /* RFC 5280, section 4.2.1.1: all but self-signed ones must have it */
        (issue->issuer &&
         !extension_add(certificate, issuer, NID_authority_key_identifier, "keyid")) ||
        (issue->is_ca &&
         !extension_add(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign")) ||
        (issue->alternatives &&
         !extension_add(certificate, issuer, NID_subject_alt_name, issue->alternatives)) ||
        X509_sign(certificate, issue->issuer_key, EVP_sha256()) <= 0) {
        X509_free(certificate);
        return NULL;
    }
    return certificate;
}

static SSL_CTX *context_create(X509 *certificate, EVP_PKEY *key, enum server_identity identity)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (!context)
        return NULL;
    if (identity == SERVER_TLS_1_1) {
        /* OpenSSL 3 offers TLS 1.1 (SHA-1) at security level 0 only. */
        SSL_CTX_set_security_level(context, 0);
        SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
        SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION);
    }
    SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"lsio", 4);
    if (SSL_CTX_use_certificate(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

static int ca_write(struct server *s, X509 *ca)
{
    const char *directory = getenv("TMPDIR");
    FILE *file;
    int fd, written;

    snprintf(s->ca_file, sizeof(s->ca_file), "%s/lsio-ca-XXXXXX",
             directory && strlen(directory) < 40 ? directory : "/tmp");
    fd = mkostemp(s->ca_file, O_CLOEXEC);
    if (fd < 0) {
        s->ca_file[0] = 0;
        return -errno;
    }
    file = fdopen(fd, "w");
    if (!file) {
        close(fd);
        return -ENOMEM;
    }
    written = PEM_write_X509(file, ca);
    return fclose(file) == 0 && written == 1 ? 0 : -EIO;
}

/* A wildcard needs two more labels: clients take none for a top-level domain. */
#define LOOPBACK_NAMES                                                                             \
    "DNS:localhost,DNS:*.store.localhost,IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3,IP:127.0.0.4,"     \
    "IP:127.0.0.5,IP:127.0.0.6,IP:127.0.0.7,IP:127.0.0.8"

static int contexts_create(struct server *s, X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *key)
{
    for (int i = SERVER_TLS; i < SERVER_IDENTITIES; i++) {
        bool by_itself = i == SERVER_TLS_SELF_SIGNED;
        X509 *certificate = certificate_issue(&(struct issue){
            .key = key,
            .issuer = by_itself ? NULL : ca,
            .issuer_key = by_itself ? key : ca_key,
            .name = "fault server",
            .alternatives = i == SERVER_TLS_WRONG_HOST ? "DNS:elsewhere.example" : LOOPBACK_NAMES,
            .from_s = -2 * DAY_S,
            .to_s = i == SERVER_TLS_EXPIRED ? -DAY_S : 2 * DAY_S,
        });
        if (certificate)
            s->tls[i] = context_create(certificate, key, (enum server_identity)i);
        X509_free(certificate);
        if (!s->tls[i])
            return -EIO;
    }
    return 0;
}

int tls_create(struct server *s)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = NULL;
    int status = -EIO;

    if (ca_key && key)
        ca = certificate_issue(&(struct issue){.key = ca_key,
                                               .issuer_key = ca_key,
                                               .name = "fault server CA",
                                               .is_ca = true,
                                               .from_s = -2 * DAY_S,
                                               .to_s = 2 * DAY_S});
    if (ca)
        status = contexts_create(s, ca, ca_key, key);
    if (status == 0)
        status = ca_write(s, ca);
    X509_free(ca);
    EVP_PKEY_free(key);
    EVP_PKEY_free(ca_key);
    return status;
}

void tls_destroy(struct server *s)
{
    for (int i = 0; i < SERVER_IDENTITIES; i++)
        SSL_CTX_free(s->tls[i]);
    if (s->ca_file[0])
        unlink(s->ca_file);
}

bool tls_accept(struct connection *c, enum server_identity identity)
{
    SSL *ssl = SSL_new(c->server->tls[identity]);

    if (!ssl)
        return false;
    if (SSL_set_fd(ssl, c->fd) != 1 || SSL_accept(ssl) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return false;
    }
    c->tls = ssl;
    return true;
}

size_t tls_receive(struct connection *c, void *to, size_t room)
{
    size_t got = 0;

    if (SSL_read_ex(c->tls, to, room, &got) != 1) {
        ERR_clear_error();
        return 0;
    }
    return got;
}

bool tls_send(struct connection *c, const void *bytes, size_t count)
{
    size_t sent = 0;

    /* Without partial writes, SSL_write_ex on a blocking socket sends all or fails. */
    if (count > 0 && SSL_write_ex(c->tls, bytes, count, &sent) != 1) {
        ERR_clear_error();
        return false;
    }
    return true;
}

bool tls_key_update(struct connection *c)
{
    return SSL_key_update(c->tls, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(c->tls) == 1;
}

void tls_end(struct connection *c, bool politely)
{
    if (!c->tls)
        return;
    if (politely && SSL_is_init_finished(c->tls))
        SSL_shutdown(c->tls);
    SSL_free(c->tls);
    c->tls = NULL;
    ERR_clear_error();
}
