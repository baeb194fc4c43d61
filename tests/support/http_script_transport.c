/* SPDX-License-Identifier: MIT */
/*
 * Design: requests are recorded by value, because their memory is the transfer's and is used again.
 * An abort ends its request from the worker's mailbox, as the curl transport does, so that between
 * abort() and the end there is time for other things to happen.
 */
#include "http_script_transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "base/error.h"

#define WIRES_MAX   512u
#define HEADERS_MAX 2048u

struct transport {
    struct driver_env *env;
};

struct wire {
    struct transport_request *request; /* NULL: it has ended */
    bool aborted;
    char target[512];
    char headers[HEADERS_MAX]; /* "name: value\n" each */
};

static struct {
    struct wire wires[WIRES_MAX];
    unsigned count;
    char value[512];
} script;

void script_begin(void)
{
    memset(&script, 0, sizeof(script));
}

/* ------------------------------------------------------------------------------- transport -- */

static int create(struct driver_env *env, struct transport **out)
{
    *out = malloc(sizeof(**out));
    if (!*out)
        return -ENOMEM;
    (*out)->env = env;
    return 0;
}

static void start(struct transport *transport, struct transport_request *request)
{
    const struct http_request *http = request->request;
    struct wire *wire = &script.wires[script.count];
    size_t used = 0;

    (void)transport;
    assert_true(script.count < WIRES_MAX);
    request->handle = wire;
    request->head_seen = false;
    http_head_reset(&request->head, 0);
    wire->request = request;
    snprintf(wire->target, sizeof(wire->target), "%s%s%s", http->path, http->query ? "?" : "",
             http->query ? http->query : "");
    for (uint32_t i = 0; i < http->header_count; i++)
        used += (size_t)snprintf(wire->headers + used, HEADERS_MAX - used, "%s: %s\n",
                                 http->headers[i].name, http->headers[i].value);
    assert_true(used < HEADERS_MAX);
    script.count++;
}

static void end(struct wire *wire, const struct transport_end *how)
{
    struct transport_request *request = wire->request;

    wire->request = NULL;
    request->events->end(request, how);
}

static void abort_run(struct driver_env *env, struct queue_node *node)
{
    struct transport_request *request = container_of(node, struct transport_request, node);

    env->background--;
    end(request->handle, &(struct transport_end){.error = TRANSPORT_ABORTED});
}

static void abort_request(struct transport *transport, struct transport_request *request)
{
    struct wire *wire = request->handle;

    if (wire->aborted || !wire->request)
        return;
    wire->aborted = true;
    request->node.run = abort_run;
    transport->env->background++;
    transport->env->post(transport->env, &request->node);
}

static void leave(struct transport *transport)
{
    (void)transport;
}

static void destroy(struct transport *transport, bool forked)
{
    (void)forked;
    free(transport);
}

/* -------------------------------------------------------------------------------- the test -- */

static struct wire *wire_at(unsigned index)
{
    if (index >= script.count)
        fail_msg("request %u was not made: there were %u", index, script.count);
    return &script.wires[index];
}

static struct transport_request *running(unsigned index)
{
    struct wire *wire = wire_at(index);

    if (!wire->request)
        fail_msg("request %u has ended", index);
    return wire->request;
}

unsigned script_count(void)
{
    return script.count;
}

bool script_runs(unsigned index)
{
    return wire_at(index)->request != NULL;
}

bool script_aborted(unsigned index)
{
    return wire_at(index)->aborted;
}

const char *script_header(unsigned index, const char *name)
{
    size_t bytes = strlen(name);

    for (const char *at = wire_at(index)->headers; *at; at = strchr(at, '\n') + 1) {
        if (strncasecmp(at, name, bytes) != 0 || at[bytes] != ':')
            continue;
        snprintf(script.value, sizeof(script.value), "%.*s", (int)strcspn(at + bytes + 2, "\n"),
                 at + bytes + 2);
        return script.value;
    }
    return "";
}

const char *script_target(unsigned index)
{
    return wire_at(index)->target;
}

int script_head(unsigned index, unsigned status, const char *lines)
{
    struct transport_request *request = running(index);

    http_head_reset(&request->head, status);
    for (const char *at = lines; *at; at = strstr(at, "\r\n") + 2) {
        size_t name = strcspn(at, ":"), line = strcspn(at, "\r");
        assert_int_equal(http_head_add(&request->head, at, name, at + name + 2, line - name - 2),
                         0);
    }
    request->head_seen = true;
    return request->events->head(request, &request->head);
}

uint64_t script_body(unsigned index, const void *bytes, uint64_t count)
{
    struct transport_request *request = running(index);
    uint64_t done = 0;

    while (done < count) {
        uint64_t room = 0;
        void *to = request->events->room(request, &room);
        if (room == 0)
            break;
        if (room > count - done)
            room = count - done;
        if (to)
            memcpy(to, (const char *)bytes + done, room);
        request->events->got(request, room);
        done += room;
    }
    return done;
}

void script_end(unsigned index, enum transport_error error, bool reused)
{
    struct transport_request *request = running(index);

    end(wire_at(index), &(struct transport_end){.error = error,
                                                .reused = reused,
                                                .any_bytes = request->head.status != 0});
}

const struct transport_ops transport_script = {
    .name = "script",
    .create = create,
    .start = start,
    .abort = abort_request,
    .leave = leave,
    .destroy = destroy,
};
