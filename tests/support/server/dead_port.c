/* SPDX-License-Identifier: MIT */
/*
 * Ports that nobody serves, for tests of refused and hung connects.
 *
 * Refused: a socket that is bound but does not listen keeps the port from others, and connects to
 * it get RST. Hung: a listener that never accepts; once its queue is full the kernel drops every
 * further SYN, so a connect gets no answer at all.
 */
#define _GNU_SOURCE
#include "server/fault_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static int port_bind(struct server_dead_port *out, struct sockaddr_in *address)
{
    socklen_t bytes = sizeof(*address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *out = (struct server_dead_port){0};
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0)
        return -errno;
    out->descriptors[out->count++] = fd;
    if (bind(fd, (struct sockaddr *)address, sizeof(*address)) < 0 ||
        getsockname(fd, (struct sockaddr *)address, &bytes) < 0) {
        int status = -errno;
        server_port_free(out);
        return status;
    }
    out->port = ntohs(address->sin_port);
    return 0;
}

int server_port_refused(struct server_dead_port *out)
{
    struct sockaddr_in address;

    return port_bind(out, &address);
}

int server_port_hung(struct server_dead_port *out)
{
    enum { HANDSHAKE_MS = 200 };
    struct sockaddr_in address;
    int status = port_bind(out, &address);

    if (status < 0)
        return status;
    if (listen(out->descriptors[0], 0) < 0) {
        status = -errno;
        server_port_free(out);
        return status;
    }
    while (out->count < sizeof(out->descriptors) / sizeof(out->descriptors[0])) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        if (fd < 0)
            break;
        out->descriptors[out->count++] = fd;
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS)
            break;
        if (poll(&ready, 1, HANDSHAKE_MS) == 0)
            return 0; /* this one hangs already */
    }
    server_port_free(out);
    return -EAGAIN;
}

void server_port_free(struct server_dead_port *port)
{
    for (unsigned i = 0; i < port->count; i++)
        close(port->descriptors[i]);
    *port = (struct server_dead_port){0};
}
