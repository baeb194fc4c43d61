/* SPDX-License-Identifier: MIT */
/*
 * fault-server OPTION...: the fault server as a program, for benchmarks and for clients that are
 * not LSIO. It prints its URL on a line of its own, then its CA file if it speaks TLS, and serves
 * until SIGTERM or SIGINT; then it prints what happened as JSON.
 *
 * Objects: files of --root, and patterns given by --pattern PATH=BYTES (any number of times), whose
 * id is their place among the options, from 1.
 */
#define _GNU_SOURCE
#include "server/fault_server.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: fault-server [--address 127.0.0.N] [--port N] [--tls] [--style plain|s3|azure|gcs]\n"
    "                    [--root DIR] [--pattern PATH=BYTES]... [--relay 127.0.0.1:PORT]\n"
    "                    [--latency-ms N] [--bandwidth BYTES_PER_S]\n"
    "                    [--faults SEED:PERMILLE[:KIND,KIND...]]\n";

enum { PATTERNS_MAX = 64 };

struct options {
    struct server_config config;
    char *patterns[PATTERNS_MAX];
    unsigned pattern_count;
    const char *faults;
};

static bool number_parse(const char *text, unsigned long long max, unsigned long long *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && errno == 0 && *out <= max;
}

static bool style_parse(const char *text, enum server_style *out)
{
    static const char *const names[] = {"plain", "s3", "azure", "gcs"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum server_style)i;
            return true;
        }
    }
    return false;
}

static bool option_take(struct options *o, int option)
{
    unsigned long long number = 0;

    switch (option) {
    case 'a':
        o->config.address = optarg;
        return true;
    case 'p':
        if (!number_parse(optarg, UINT16_MAX, &number))
            return false;
        o->config.port = (uint16_t)number;
        return true;
    case 't':
        o->config.identity = SERVER_TLS;
        return true;
    case 's':
        return style_parse(optarg, &o->config.style);
    case 'r':
        o->config.root = optarg;
        return true;
    case 'y':
        o->config.relay = optarg;
        return true;
    case 'o':
        if (o->pattern_count == PATTERNS_MAX)
            return false;
        o->patterns[o->pattern_count++] = optarg;
        return true;
    case 'l':
        if (!number_parse(optarg, UINT32_MAX, &number))
            return false;
        o->config.latency_ms = (uint32_t)number;
        return true;
    case 'b':
        if (!number_parse(optarg, UINT64_MAX, &number))
            return false;
        o->config.bytes_per_s = number;
        return true;
    case 'f':
        o->faults = optarg;
        return true;
    default:
        return false;
    }
}

static bool options_parse(int argc, char **argv, struct options *o)
{
    static const struct option table[] = {
        {"address", required_argument, NULL, 'a'},
        {"port", required_argument, NULL, 'p'},
        {"tls", no_argument, NULL, 't'},
        {"style", required_argument, NULL, 's'},
        {"root", required_argument, NULL, 'r'},
        {"relay", required_argument, NULL, 'y'},
        {"pattern", required_argument, NULL, 'o'},
        {"latency-ms", required_argument, NULL, 'l'},
        {"bandwidth", required_argument, NULL, 'b'},
        {"faults", required_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (!option_take(o, option))
            return false;
    }
    return optind == argc;
}

/* PATH=BYTES */
static bool pattern_put(struct server *s, char *pattern, uint32_t id)
{
    char *equals = strrchr(pattern, '=');
    unsigned long long bytes;

    if (!equals || !number_parse(equals + 1, UINT64_MAX >> 1, &bytes))
        return false;
    *equals = 0;
    return server_put(
               s, &(struct server_object){.path = pattern, .pattern_id = id, .size = bytes}) == 0;
}

/* SEED:PERMILLE[:KINDS] */
static bool faults_begin(struct server *s, const char *text)
{
    char *end;
    unsigned long long seed = strtoull(text, &end, 10), permille;

    if (*end != ':')
        return false;
    permille = strtoull(end + 1, &end, 10);
    if ((*end && *end != ':') || permille > 1000)
        return false;
    return server_random(s, seed, (uint32_t)permille, *end ? end + 1 : NULL) == 0;
}

int main(int argc, char **argv)
{
    struct options o = {.config.without_log = true};
    struct server *server = NULL;
    sigset_t signals;
    int status, signal_number;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    if (!options_parse(argc, argv, &o)) {
        fputs(usage, stderr);
        return 2;
    }
    status = server_create(&o.config, &server);
    if (status < 0) {
        fprintf(stderr, "fault-server: %s\n", strerror(-status));
        return 1;
    }
    for (unsigned i = 0; i < o.pattern_count; i++) {
        if (!pattern_put(server, o.patterns[i], i + 1)) {
            fputs(usage, stderr);
            server_destroy(server);
            return 2;
        }
    }
    if (o.faults && !faults_begin(server, o.faults)) {
        fprintf(stderr, "%sdefault kinds: %s\n", usage, server_random_kinds());
        server_destroy(server);
        return 2;
    }
    printf("%s\n", server_url(server));
    if (*server_ca_file(server))
        printf("%s\n", server_ca_file(server));
    fflush(stdout);
    sigwait(&signals, &signal_number);
    server_report(server, stdout);
    server_destroy(server);
    return 0;
}
