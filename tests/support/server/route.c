/* SPDX-License-Identifier: MIT */
/*
 * Scripted answers of the fault server: credential endpoints and whatever else is no object. A
 * request that names a route's path but lacks what the route wants gets an answer that says so; a
 * test that sees it knows at once what its client left out.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct route {
    struct route *next;
    struct server_route is;
};

int server_route(struct server *s, const struct server_route *route)
{
    struct route *made, **end;

    if (!route->path || *route->path != '/')
        return -EINVAL;
    made = server_alloc(sizeof(*made));
    made->is = (struct server_route){
        .method = server_copy(route->method),
        .path = server_copy(route->path),
        .wants = server_copy(route->wants),
        .wants_query = server_copy(route->wants_query),
        .wants_body = server_copy(route->wants_body),
        .status = route->status ? route->status : 200,
        .headers = server_copy(route->headers),
        .body = server_copy(route->body ? route->body : ""),
    };
    pthread_mutex_lock(&s->lock);
    for (end = &s->routes; *end; end = &(*end)->next) {
    }
    *end = made;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

void routes_destroy(struct server *s)
{
    while (s->routes) {
        struct route *route = s->routes;
        s->routes = route->next;
        free((void *)route->is.method);
        free((void *)route->is.path);
        free((void *)route->is.wants);
        free((void *)route->is.wants_query);
        free((void *)route->is.wants_body);
        free((void *)route->is.headers);
        free((void *)route->is.body);
        free(route);
    }
}

/* The first of the wanted lines that the request lacks, or NULL. */
static const char *line_lacking(const struct request *r, const char *wants)
{
    for (const char *line = wants; line && *line;
         line = strchrnul(line, '\n'), line += *line ? 1 : 0) {
        size_t name_bytes = strcspn(line, ":\n"), bytes = strcspn(line, "\n");
        char *name = strndup(line, name_bytes), *value = name ? request_header(r, name) : NULL;
        const char *wanted = line + name_bytes + (line[name_bytes] == ':');
        size_t wanted_bytes;
        bool there;
        while (*wanted == ' ')
            wanted++;
        wanted_bytes = (size_t)(line + bytes - wanted);
        there = value && strlen(value) == wanted_bytes && memcmp(value, wanted, wanted_bytes) == 0;
        free(value);
        free(name);
        if (!there)
            return line;
    }
    return NULL;
}

/* What of the route's wishes the request lacks, or NULL. */
static const char *lacking(const struct request *r, const struct server_route *route)
{
    const char *line = line_lacking(r, route->wants);

    if (route->method && strcmp(route->method, r->method) != 0)
        return route->method;
    if (line)
        return line;
    if (route->wants_query && !strstr(r->query, route->wants_query))
        return route->wants_query;
    if (route->wants_body && !strstr(r->body, route->wants_body))
        return route->wants_body;
    return NULL;
}

bool route_answer(struct server *s, const struct request *r, struct answer *a)
{
    const char *lacks = NULL;
    struct server_text body = {0};
    bool here = false;

    pthread_mutex_lock(&s->lock);
    for (struct route *route = s->routes; route; route = route->next) {
        if (strcmp(route->is.path, r->path) != 0)
            continue;
        here = true;
        lacks = lacking(r, &route->is);
        if (lacks)
            continue;
        server_text_print(&body, "%s", route->is.body);
        answer_text(a, route->is.status, "application/json", &body);
        if (route->is.headers)
            server_text_print(&a->headers, "%s", route->is.headers);
        break;
    }
    if (here && lacks) {
        server_text_print(&body, "the request lacks: %.*s\n", (int)strcspn(lacks, "\n"), lacks);
        answer_text(a, 400, "text/plain", &body);
    }
    pthread_mutex_unlock(&s->lock);
    return here;
}
