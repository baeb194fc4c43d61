/* SPDX-License-Identifier: MIT */
/*
 * Linked into every test program, as an object: no test may talk to anything outside this machine.
 *
 * A program's own connect() and getaddrinfo() come before those of libc for every library in it
 * (ELF symbol interposition), so libcurl's calls arrive here too. connect() to anything but
 * loopback and AF_UNIX aborts with a message. Names never reach a resolver: localhost and names
 * below it are 127.0.0.1 (RFC 6761, 6.3), names below "invalid" do not exist (RFC 6761, 6.4),
 * numbers are themselves, all others abort.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define INTERPOSES __attribute__((visibility("default")))

typedef int connect_call(int, const struct sockaddr *, socklen_t);
typedef int getaddrinfo_call(const char *, const char *, const struct addrinfo *,
                             struct addrinfo **);

INTERPOSES int connect(int fd, const struct sockaddr *address, socklen_t bytes);
INTERPOSES int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                           struct addrinfo **result);

static bool address_is_local(const struct sockaddr *address)
{
    const struct sockaddr_in6 *six = (const void *)address;

    switch (address->sa_family) {
    case AF_INET:
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 ==
               127;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) && six->sin6_addr.s6_addr[12] == 127);
    default: /* AF_UNIX, and AF_UNSPEC, which takes a connection away */
        return address->sa_family == AF_UNIX || address->sa_family == AF_UNSPEC;
    }
}

static void refuse(const char *what, const char *where)
{
    fprintf(stderr, "loopback only: %s of %s\n", what, where);
    abort();
}

int connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
    connect_call *next = (connect_call *)dlsym(RTLD_NEXT, "connect");
    char text[INET6_ADDRSTRLEN] = "an unknown address";

    if (address && !address_is_local(address)) {
        if (address->sa_family == AF_INET)
            inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text,
                      sizeof(text));
        else if (address->sa_family == AF_INET6)
            inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
                      text, sizeof(text));
        refuse("connect", text);
    }
    return next(fd, address, bytes);
}

static bool name_is_below(const char *name, const char *domain)
{
    size_t name_bytes = strlen(name), domain_bytes = strlen(domain);

    return name_bytes >= domain_bytes &&
           strcasecmp(name + name_bytes - domain_bytes, domain) == 0 &&
           (name_bytes == domain_bytes || name[name_bytes - domain_bytes - 1] == '.');
}

static bool name_is_number(const char *name)
{
    struct in_addr four;
    struct in6_addr six;

    return inet_pton(AF_INET, name, &four) == 1 || inet_pton(AF_INET6, name, &six) == 1;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **result)
{
    getaddrinfo_call *next = (getaddrinfo_call *)dlsym(RTLD_NEXT, "getaddrinfo");

    if (name && name_is_below(name, "invalid"))
        return EAI_NONAME;
    if (name && name_is_below(name, "localhost"))
        name = hints && hints->ai_family == AF_INET6 ? "::1" : "127.0.0.1";
    else if (name && !name_is_number(name) && !(hints && hints->ai_flags & AI_NUMERICHOST))
        refuse("look-up", name);
    return next(name, service, hints, result);
}
