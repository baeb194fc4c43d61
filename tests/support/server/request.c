/* SPDX-License-Identifier: MIT */
/*
 * Requests of the fault server: reading one (RFC 9112) and writing it down.
 *
 * A request's strings belong to its connection. The log has copies, because a record stays when the
 * request is long over and because a fault may change the request before it is answered.
 */
#define _GNU_SOURCE
#include "server/server_impl.h"

#include <stdlib.h>
#include <string.h>

static char *copy_of(const char *from, size_t bytes)
{
    struct server_text text = {0};

    server_text_add(&text, from, bytes);
    return server_text_take(&text);
}

/* Takes "path?query" apart; of a proxy's "scheme://host/path" the path counts. */
static void target_split(struct request *r)
{
    const char *path = r->target, *scheme = strstr(r->target, "://");
    struct server_text decoded = {0};
    size_t path_bytes;

    if (*path != '/' && scheme)
        path = strchrnul(scheme + 3, '/');
    path_bytes = strcspn(path, "?");
    server_text_decode(&decoded, path, path_bytes);
    r->path = server_text_take(&decoded);
    r->query = server_copy(path[path_bytes] ? path + path_bytes + 1 : "");
}

/* "GET /path HTTP/1.1\r\n"; false if it is something else. */
static bool line_parse(struct request *r, const char *line, size_t bytes)
{
    const char *end = line + bytes;
    const char *method_end = memchr(line, ' ', bytes);
    const char *target_end;

    if (!method_end || method_end == line)
        return false;
    target_end = memchr(method_end + 1, ' ', (size_t)(end - method_end - 1));
    if (!target_end || end - target_end < 6 || memcmp(target_end + 1, "HTTP/", 5) != 0)
        return false;
    r->method = copy_of(line, (size_t)(method_end - line));
    r->target = copy_of(method_end + 1, (size_t)(target_end - method_end - 1));
    target_split(r);
    return true;
}

/* An answer to what is not taken; the connection ends with it. */
static bool refuse(struct connection *c, const char *status)
{
    struct server_text answer = {0};

    server_text_print(&answer, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                      status);
    connection_send(c, answer.at, answer.used);
    server_text_free(&answer);
    return false;
}

static bool body_read(struct connection *c, struct request *r)
{
    size_t have = 0;
    const char *value;
    size_t bytes;

    if (server_line_find(server_text_string(&r->headers), "Transfer-Encoding", &value, &bytes))
        return refuse(c, "411 Length Required");
    r->body_bytes = server_line_number(server_text_string(&r->headers), "Content-Length", 0);
    if (r->body_bytes > SERVER_BODY_BYTES_MAX)
        return refuse(c, "413 Content Too Large");
    r->body = server_alloc(r->body_bytes + 1);
    if (r->body_bytes > 0 &&
        server_line_find(server_text_string(&r->headers), "Expect", &value, &bytes)) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        if (!connection_send(c, go_on, sizeof(go_on) - 1))
            return false;
    }
    while (have < r->body_bytes) {
        size_t got = connection_take(c, r->body + have, r->body_bytes - have);
        if (got == 0)
            return false;
        have += got;
    }
    return true;
}

static void log_add(struct connection *c, struct request *r)
{
    struct server *s = c->server;
    struct log_entry *entry;

    pthread_mutex_lock(&s->lock);
    r->ordinal = ++s->request_count;
    if (s->request_count - s->ended_count > s->request_peak)
        s->request_peak = s->request_count - s->ended_count;
    r->index = UINT32_MAX;
    if (!s->config.without_log) {
        s->log = server_grow(s->log, s->log_count, &s->log_room, sizeof(*s->log));
        r->index = s->log_count++;
        entry = &s->log[r->index];
        entry->record = (struct server_record){
            .method = entry->owned[0] = server_copy(r->method),
            .path = entry->owned[1] = server_copy(r->path),
            .query = entry->owned[2] = server_copy(r->query),
            .target = entry->owned[3] = server_copy(r->target),
            .headers = entry->owned[4] = server_copy(server_text_string(&r->headers)),
            .body = entry->owned[5] = copy_of(r->body, r->body_bytes),
            .body_bytes = r->body_bytes,
            .connection = c->number,
            .number = r->number,
        };
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

bool request_read(struct connection *c, struct request *r)
{
    const char *head, *line_end;
    size_t bytes;

    *r = (struct request){0};
    head = connection_take_until(c, "\r\n\r\n", &bytes);
    if (!head)
        return false;
    line_end = memmem(head, bytes, "\r\n", 2);
    if (!line_parse(r, head, (size_t)(line_end - head)))
        return refuse(c, "400 Bad Request");
    /* Without the empty line that ends them. */
    server_text_add(&r->headers, line_end + 2, bytes - (size_t)(line_end + 2 - head) - 2);
    if (!body_read(c, r))
        return false;
    r->number = ++c->request_count;
    log_add(c, r);
    return true;
}

void request_free(struct request *r)
{
    free(r->method);
    free(r->target);
    free(r->path);
    free(r->query);
    free(r->body);
    server_text_free(&r->headers);
    *r = (struct request){0};
}

char *request_header(const struct request *r, const char *name)
{
    const char *value;
    size_t bytes;

    if (!server_line_find(server_text_string(&r->headers), name, &value, &bytes))
        return NULL;
    return copy_of(value, bytes);
}

void request_ended(struct connection *c, struct request *r, int status, uint64_t sent_bytes)
{
    struct server *s = c->server;

    pthread_mutex_lock(&s->lock);
    s->ended_count++;
    if (r->index != UINT32_MAX) {
        struct server_record *record = &s->log[r->index].record;
        record->ended = true;
        record->status = status;
        record->sent_bytes = sent_bytes;
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

bool server_request(struct server *s, unsigned index, struct server_record *out)
{
    bool there;

    pthread_mutex_lock(&s->lock);
    there = index < s->log_count;
    if (there)
        *out = s->log[index].record;
    pthread_mutex_unlock(&s->lock);
    return there;
}

bool server_has_seen(struct server *s, const char *text)
{
    bool seen = false;

    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->log_count && !seen; i++) {
        const struct server_record *record = &s->log[i].record;
        seen = strstr(record->target, text) || strstr(record->headers, text) ||
               memmem(record->body, record->body_bytes, text, strlen(text));
    }
    pthread_mutex_unlock(&s->lock);
    return seen;
}

const char *server_header(const struct server_record *record, const char *name, char *to,
                          size_t room)
{
    const char *value;
    size_t bytes;

    if (!server_line_find(record->headers, name, &value, &bytes) || bytes >= room)
        return NULL;
    memcpy(to, value, bytes);
    to[bytes] = 0;
    return to;
}
