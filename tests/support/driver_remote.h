/* SPDX-License-Identifier: MIT */
/*
 * driver_remote.h - stores over HTTP for tests of drivers: one of each kind, on a fault server of
 * their own; or over the simulated transport, with a server in memory (transport_sim.h).
 */
#ifndef LSIO_TESTS_DRIVER_REMOTE_H
#define LSIO_TESTS_DRIVER_REMOTE_H

#include "driver_rig.h"

struct server;

struct remote_way {
    const char *url;  /* the store's; "%s" stands for the server's */
    const char *root; /* path of the store's root on the server */
    const char *endpoint; /* option that names the server; NULL: the URL does */
    const char *options[3];
    int style; /* enum server_style */
    bool is_bucket;
    bool lists; /* the server can list it as the real one does */
};

struct remote {
    const struct remote_way *way;
    struct server *server;
    bool simulated; /* set before remote_open() */
};

#ifdef LSIO_HAVE_HTTP

extern const struct driver_ops driver_http;
extern const struct remote_way remote_http, remote_s3, remote_gcs, remote_azure;

#endif

void remote_open(struct remote *remote, const struct remote_way *way, struct rig *rig, void *state,
                 struct lsio_store **out);
void remote_put(struct remote *remote, const char *key, const void *bytes, uint64_t size);
void remote_close(struct remote *remote); /* after the store and its driver's state */

#endif
