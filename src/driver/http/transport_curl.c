/* SPDX-License-Identifier: MIT */
/*
 * transport_curl.c - the transport on libcurl's multi interface.
 *
 * Purpose: everything HTTP can be: proxies, HTTP/2, TLS, chunked bodies. One multi handle per
 * worker for life, so that connections, TLS sessions and the CA store are kept; easy handles are
 * kept too, with the options of the target they were made for.
 *
 * Invariants
 *   - curl's own retries, redirects, time limits and decoding are off; only connecting has a limit.
 *   - Inside curl's callbacks nothing of curl is called, and no event but head, room and got goes
 *     up. The end of a request is taken from curl_multi_info_read() after curl has acted.
 *   - abort() takes the request out at once, or, from inside an event, when curl returns; its end
 *     comes from the worker's mailbox.
 *   - Connections are never shared between workers (curl's known bug 11.11).
 *
 * Threads: the worker; destroy() when that has ended.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mark.h"
#include "driver/http/curl_global.h"
#include "driver/http/curl_impl.h"
#include "driver/http/curl_setup.h"

#define URL_BYTES_MAX    16384u
#define TEXT_BYTES_MIN   1024u
#define CODE_TOO_LARGE   ((CURLcode)100) /* CURLE_TOO_LARGE: older headers have no name for it */
#define BUFFER_BYTES     (128 * 1024L)
#define CONNECTIONS_FREE 64u

enum { REQUEST_IDLE = 0, REQUEST_ACTIVE, REQUEST_ABORTED, REQUEST_ENDED };

/* An easy handle and what it was last used for. */
struct curl_easy {
    struct curl_easy *next;
    CURL *curl;
    uint64_t target_id; /* of the target whose options are set; 0: none */
    /* What curl was told last: what has not changed is not said again. */
    char *url;
    bool plain_get; /* GET without a body */
    /* The header lines: curl reads the list while the request runs, and copies nothing of it. */
    struct curl_slist *headers; /* the list as curl has it: lines, or NULL */
    struct curl_slist lines[HTTP_HEADERS_MAX];
    char *text; /* of the lines */
    size_t text_bytes;
    struct curl_slist *addresses; /* of target->resolve */
    struct transport_request *request;
    struct transport *transport;
    uint32_t sends;               /* of the request, each over another connection */
    enum transport_error no_socket; /* why there was none; TRANSPORT_OK: there was */
    enum transport_error refused; /* why a callback made curl stop */
    char why[CURL_ERROR_SIZE];    /* curl's own sentence */
};

/* ------------------------------------------------------------------------------- callbacks -- */

static int head_end(struct curl_easy *easy)
{
    struct transport_request *request = easy->request;

    if (request->head.status / 100 == 1)
        LSIO_MARK(h23_interim_answer);
    if (request->head.status / 100 == 1 || request->head_seen)
        return 0; /* an interim answer, or trailers */
    request->head_seen = true;
    if (request->events->head(request, &request->head) != 0) {
        easy->refused = TRANSPORT_STOPPED;
        return -1;
    }
    return 0;
}

/* "HTTP/1.1 206 Partial Content" (RFC 9112 section 4), "HTTP/2 206" */
static int status_line(struct http_head *head, const char *line, size_t length)
{
    const char *space = memchr(line, ' ', length);
    unsigned status = 0;

    if (!space || (size_t)(line + length - space) < 4)
        return LSIO_E_PROTOCOL;
    for (int i = 1; i <= 3; i++) {
        if (space[i] < '0' || space[i] > '9')
            return LSIO_E_PROTOCOL;
        status = status * 10 + (unsigned)(space[i] - '0');
    }
    http_head_reset(head, status);
    return 0;
}

static int field_line(struct http_head *head, const char *line, size_t length)
{
    const char *colon = memchr(line, ':', length), *value;
    size_t name_bytes, left;

    if (!colon)
        return LSIO_E_PROTOCOL;
    name_bytes = (size_t)(colon - line);
    value = colon + 1;
    left = length - name_bytes - 1;
    while (left && (*value == ' ' || *value == '\t')) {
        value++;
        left--;
    }
    while (left && (value[left - 1] == ' ' || value[left - 1] == '\t'))
        left--;
    return http_head_add(head, line, name_bytes, value, left);
}

/* CURLOPT_HEADERFUNCTION: one line, as it came. */
static size_t header_line(char *line, size_t size, size_t count, void *user)
{
    struct curl_easy *easy = user;
    struct transport_request *request = easy->request;
    size_t bytes = size * count, length = bytes;
    int error;

    while (length && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    if (length == 0)
        return head_end(easy) ? 0 : bytes;
    if (request->head_seen)
        return bytes; /* a trailer */
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0)
        error = status_line(&request->head, line, length);
    else
        error = field_line(&request->head, line, length);
    if (error) {
        LSIO_MARK(h20_head_refused);
        easy->refused = TRANSPORT_PROTOCOL;
        return 0;
    }
    return bytes;
}

/* CURLOPT_WRITEFUNCTION */
static size_t body_bytes(char *from, size_t size, size_t count, void *user)
{
    struct curl_easy *easy = user;
    struct transport_request *request = easy->request;
    size_t bytes = size * count, left = bytes;

    while (left) {
        uint64_t room = 0;
        void *to = request->events->room(request, &room);

        if (room == 0) {
            easy->refused =
                request->state == REQUEST_ABORTED ? TRANSPORT_ABORTED : TRANSPORT_OVERLONG;
            return bytes ? 0 : 1;
        }
        if (room > left)
            room = left;
        if (to)
            memcpy(to, from, (size_t)room);
        request->events->got(request, room);
        from += room;
        left -= (size_t)room;
    }
    return bytes;
}

/* ----------------------------------------------------------------------------- easy handles -- */

/* CURLOPT_OPENSOCKETFUNCTION */
static curl_socket_t socket_open(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct curl_easy *easy = user;
    curl_socket_t fd = curl_socket_open(easy->transport, address);

    (void)purpose;
    easy->no_socket = fd != CURL_SOCKET_BAD                  ? TRANSPORT_OK
                      : errno == ENOMEM || errno == ENOBUFS ? TRANSPORT_MEMORY
                                                            : TRANSPORT_SOCKETS;
    return fd;
}

/* A worker keeps as many idle connections as the store that wants most of them. */
static void connections_apply(struct transport *transport, const struct transport_target *target)
{
    uint32_t wanted = target->connections_max ? target->connections_max : CONNECTIONS_FREE;

    if (wanted <= transport->connections_max)
        return;
    transport->connections_max = wanted;
    (void)curl_multi_setopt(transport->multi, CURLMOPT_MAXCONNECTS, (long)wanted);
}

/* curl sends a request anew where an idle connection proves to be closed before any answer. */
static int before_sending(void *data, char *peer, char *local, int peer_port, int local_port)
{
    struct curl_easy *easy = data;

    (void)peer;
    (void)local;
    (void)peer_port;
    (void)local_port;
    easy->sends++;
    return CURL_PREREQFUNC_OK;
}

/* Options that are the same for all requests to a target. */
static int target_apply(struct transport *transport, struct curl_easy *easy,
                        const struct transport_target *target)
{
    const struct curl_trust trust = {
        target->ca_file, target->ca_path, target->own_certificates, target->insecure};
    CURL *curl = easy->curl;
    CURLcode code = CURLE_OK;

    connections_apply(transport, target);
#define SET(option, value) code = code ? code : curl_easy_setopt(curl, option, value)
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_ERRORBUFFER, easy->why);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_HTTP_VERSION,
        target->http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PIPEWAIT, target->http2 ? 1L : 0L);
    SET(CURLOPT_BUFFERSIZE, BUFFER_BYTES);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)target->connect_timeout_ms);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    if (target->idle_timeout_ms) /* curl counts seconds */
        SET(CURLOPT_MAXAGE_CONN, (long)(target->idle_timeout_ms + 999) / 1000);
    SET(CURLOPT_DNS_SHUFFLE_ADDRESSES, target->randomize_addresses ? 1L : 0L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    code = code ? code : curl_trust_set(curl, &trust);
    if (target->proxy_url)
        SET(CURLOPT_PROXY, target->proxy_url);
    if (target->proxy_excludes)
        SET(CURLOPT_NOPROXY, target->proxy_excludes);
    if (target->user_agent)
        SET(CURLOPT_USERAGENT, target->user_agent);
    SET(CURLOPT_PRIVATE, easy);
    SET(CURLOPT_PREREQFUNCTION, before_sending);
    SET(CURLOPT_PREREQDATA, easy);
    SET(CURLOPT_HEADERFUNCTION, header_line);
    SET(CURLOPT_HEADERDATA, easy);
    SET(CURLOPT_WRITEFUNCTION, body_bytes);
    SET(CURLOPT_WRITEDATA, easy);
    SET(CURLOPT_OPENSOCKETFUNCTION, socket_open);
    SET(CURLOPT_OPENSOCKETDATA, easy);
    SET(CURLOPT_CLOSESOCKETFUNCTION, curl_socket_close);
    SET(CURLOPT_CLOSESOCKETDATA, transport);
#undef SET
    return code ? -ENOMEM : curl_resolve_set(curl, target->resolve, &easy->addresses);
}

/* A new handle, of which curl knows nothing yet. */
static CURL *handle_renew(struct curl_easy *easy)
{
    /* Not curl_easy_reset(): a handle whose transfer was ended early keeps its buffer, and then
     * CURLOPT_BUFFERSIZE is refused. */
    curl_easy_cleanup(easy->curl);
    easy->curl = curl_easy_init();
    free(easy->url);
    easy->url = NULL;
    easy->plain_get = false;
    easy->headers = NULL;
    return easy->curl;
}

static void easy_free(struct curl_easy *easy)
{
    curl_easy_cleanup(easy->curl);
    curl_slist_free_all(easy->addresses);
    free(easy->url);
    free(easy->text);
    free(easy);
}

/* One that knows the target if there is one. */
static struct curl_easy *easy_get(struct transport *transport,
                                  const struct transport_target *target)
{
    struct curl_easy **link = &transport->free_easies, *easy;

    while (*link && (*link)->target_id != target->id && (*link)->next)
        link = &(*link)->next;
    easy = *link;
    if (easy) {
        *link = easy->next;
    } else {
        easy = calloc(1, sizeof(*easy));
        if (!easy)
            return NULL;
        easy->transport = transport;
    }
    if (easy->target_id != target->id &&
        (!handle_renew(easy) || target_apply(transport, easy, target) != 0)) {
        easy_free(easy);
        return NULL;
    }
    easy->target_id = target->id;
    return easy;
}

static void easy_put(struct transport *transport, struct curl_easy *easy)
{
    easy->request = NULL;
    easy->next = transport->free_easies;
    transport->free_easies = easy;
}

static int text_reserve(struct curl_easy *easy, size_t bytes)
{
    char *text;

    if (bytes <= easy->text_bytes)
        return 0;
    bytes = bytes < TEXT_BYTES_MIN ? TEXT_BYTES_MIN : bytes;
    text = realloc(easy->text, bytes);
    if (!text)
        return -ENOMEM;
    easy->text = text;
    easy->text_bytes = bytes;
    return 0;
}

static int headers_apply(struct curl_easy *easy, const struct http_request *request)
{
    struct curl_slist *list = request->header_count ? easy->lines : NULL;
    size_t bytes = 0;
    char *at;

    for (uint32_t i = 0; i < request->header_count; i++)
        bytes +=
            strlen(request->headers[i].name) + strlen(request->headers[i].value) + sizeof(": ");
    if (text_reserve(easy, bytes) != 0)
        return -ENOMEM;
    at = easy->text;
    for (uint32_t i = 0; i < request->header_count; i++) {
        const char *value = request->headers[i].value;
        bool last = i + 1 == request->header_count;
        easy->lines[i] = (struct curl_slist){.data = at, .next = last ? NULL : &easy->lines[i + 1]};
        at = stpcpy(at, request->headers[i].name);
        /* curl sends a header without value only when it is written with a semicolon */
        at = *value ? stpcpy(stpcpy(at, ": "), value) : stpcpy(at, ";");
        at++; /* the NUL */
    }
    if (list == easy->headers)
        return 0;
    easy->headers = list;
    return curl_easy_setopt(easy->curl, CURLOPT_HTTPHEADER, list) ? -ENOMEM : 0;
}

static int method_apply(struct curl_easy *easy, const struct http_request *request)
{
    CURL *curl = easy->curl;
    bool is_head = strcmp(request->method, "HEAD") == 0, plain_get = !is_head && !request->body;
    CURLcode code;

    if (plain_get && easy->plain_get)
        return 0;
    easy->plain_get = plain_get;
    if (is_head)
        return curl_easy_setopt(curl, CURLOPT_NOBODY, 1L) ? -ENOMEM : 0;
    if (plain_get)
        return curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L) ? -ENOMEM : 0;
    code = curl_easy_setopt(curl, CURLOPT_POST, 1L);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_bytes);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    return code ? -ENOMEM : 0;
}

static int url_apply(struct curl_easy *easy, const struct http_request *request)
{
    const char *parts[] = {request->scheme,
                           "://",
                           request->host,
                           request->path,
                           request->query ? "?" : "",
                           request->query ? request->query : ""};
    char url[URL_BYTES_MAX];
    size_t used = 0;

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t bytes = strlen(parts[i]);
        if (bytes >= sizeof(url) - used)
            return -ENOBUFS;
        memcpy(url + used, parts[i], bytes + 1);
        used += bytes;
    }
    if (easy->url && strcmp(easy->url, url) == 0)
        return 0;
    free(easy->url);
    easy->url = curl_easy_setopt(easy->curl, CURLOPT_URL, url) ? NULL : strdup(url);
    return easy->url ? 0 : -ENOMEM;
}

static int request_apply(struct curl_easy *easy, struct transport_request *request)
{
    const struct http_request *http = request->request;
    int error = url_apply(easy, http);

    if (!error)
        error = method_apply(easy, http);
    if (!error)
        error = headers_apply(easy, http);
    if (error)
        return error;
    easy->request = request;
    easy->refused = TRANSPORT_OK;
    easy->sends = 0;
    easy->no_socket = TRANSPORT_OK;
    easy->why[0] = '\0';
    return 0;
}

/* ------------------------------------------------------------------------------------- end -- */

/* A handshake that ends early is the network's doing; only what OpenSSL says of certificates and
 * versions is a refusal. Errors of the system have a number; a close has this sentence of curl's.
 */
static bool handshake_broke_off(const struct curl_easy *easy)
{
    long error = 0;

    (void)curl_easy_getinfo(easy->curl, CURLINFO_OS_ERRNO, &error);
    return error != 0 || strstr(easy->why, "SSL_ERROR_SYSCALL") ||
           strstr(easy->why, "unexpected eof");
}

/* A line of the head is longer than anything curl keeps: since 8.6 it says so; before that, in the
 * middle of a head, that it had no memory. */
static bool line_too_long(const struct curl_easy *easy, CURLcode code)
{
    const struct transport_request *request = easy->request;

    return code == CODE_TOO_LARGE ||
           (code == CURLE_OUT_OF_MEMORY && request->head.status && !request->head_seen);
}

static enum transport_error error_of(const struct curl_easy *easy, CURLcode code)
{
    if (line_too_long(easy, code))
        return TRANSPORT_PROTOCOL;
    switch (code) {
    case CURLE_OK:
        return TRANSPORT_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return TRANSPORT_RESOLVE;
    case CURLE_COULDNT_CONNECT:
        return easy->no_socket ? easy->no_socket : TRANSPORT_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: /* only connecting has a limit */
        return TRANSPORT_SLOW;
    case CURLE_SSL_CONNECT_ERROR:
        return handshake_broke_off(easy) ? TRANSPORT_CONNECT : TRANSPORT_TLS;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_ENGINE_INITFAILED:
        return TRANSPORT_TLS;
    case CURLE_OUT_OF_MEMORY:
        return TRANSPORT_MEMORY;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9 */
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_URL_MALFORMAT:
    case CURLE_PROXY:
        return TRANSPORT_PROTOCOL;
    case CURLE_RECV_ERROR: /* also says that a chunk's size is none, in these words */
        return strstr(easy->why, "chunk") ? TRANSPORT_PROTOCOL : TRANSPORT_RESET;
    default: /* receiving, sending, too little body, broken framing */
        return TRANSPORT_RESET;
    }
}

static void active_remove(struct transport *transport, struct transport_request *request)
{
    if (request->prev)
        request->prev->next = request->next;
    else
        transport->active = request->next;
    if (request->next)
        request->next->prev = request->prev;
    request->next = request->prev = NULL;
}

/* The request is out of curl; what is left is to say so. */
static void request_end(struct transport *transport, struct transport_request *request,
                        const struct transport_end *end)
{
    active_remove(transport, request);
    request->state = REQUEST_IDLE;
    request->events->end(request, end);
}

/* What curl says of the failure, or what that means. */
static void end_tell(struct transport_end *end, const struct curl_easy *easy, CURLcode code)
{
    const char *text = easy->why[0] ? easy->why : curl_easy_strerror(code);
    /* OpenSSL's words for a record that is none */
    const char *hint =
        strstr(text, "wrong version number") ? " (does the server speak plain http?)" : "";

    if (line_too_long(easy, code))
        text = "a line of the answer's head is too long";
    snprintf(end->text, sizeof(end->text), "%.*s%s", (int)(sizeof(end->text) - 1 - strlen(hint)),
             text, hint);
}

static void easy_done(struct transport *transport, struct curl_easy *easy, CURLcode code)
{
    struct transport_request *request = easy->request;
    struct transport_end end = {.error = error_of(easy, code)};
    long connects = 1, proxy_status = 0, os_error = 0;

    if (easy->refused)
        end.error = easy->refused;
    if (request->state == REQUEST_ABORTED)
        end.error = TRANSPORT_ABORTED;
    (void)curl_easy_getinfo(easy->curl, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if ((end.error == TRANSPORT_RESET || end.error == TRANSPORT_CONNECT) && proxy_status >= 300) {
        end.error = TRANSPORT_PROXY;
        end.proxy_status = (uint16_t)proxy_status;
    }
    if (end.error == TRANSPORT_OK && !request->head_seen)
        end.error = TRANSPORT_RESET;
    (void)curl_easy_getinfo(easy->curl, CURLINFO_NUM_CONNECTS, &connects);
    end.reused = connects == 0;
    end.any_bytes = request->head.status != 0;
    end.resends = easy->sends ? easy->sends - 1 : 0;
    if (end.error != TRANSPORT_OK) {
        (void)curl_easy_getinfo(easy->curl, CURLINFO_OS_ERRNO, &os_error);
        end.os_error = (int32_t)os_error;
        end_tell(&end, easy, code);
    }
    (void)curl_multi_remove_handle(transport->multi, easy->curl);
    easy_put(transport, easy);
    request_end(transport, request, &end);
}

/* What was aborted from outside, or could not be started. */
static void ended_run(struct driver_env *env, struct queue_node *node)
{
    struct transport *transport = container_of(node, struct transport, ended_node);
    struct transport_request *request = transport->ended;

    (void)env;
    transport->ended = NULL;
    transport->ended_posted = false;
    transport->env->background--;
    while (request) {
        struct transport_request *next = request->next;
        struct transport_end end = {.error = (enum transport_error)(uintptr_t)request->handle};
        request->next = NULL;
        request->state = REQUEST_IDLE;
        request->events->end(request, &end);
        request = next;
    }
}

static void end_later(struct transport *transport, struct transport_request *request,
                      enum transport_error error)
{
    request->handle = (void *)(uintptr_t)error;
    request->state = REQUEST_ENDED;
    request->next = NULL;
    if (transport->ended)
        transport->ended_last->next = request;
    else
        transport->ended = request;
    transport->ended_last = request;
    if (!transport->ended_posted) {
        transport->ended_posted = true;
        transport->env->background++;
        transport->ended_node.run = ended_run;
        transport->env->post(transport->env, &transport->ended_node);
    }
}

static void request_remove(struct transport *transport, struct transport_request *request)
{
    struct curl_easy *easy = request->handle;

    /* As HTTP/1.1's, an HTTP/2 connection that may be dead is not used again, once nobody is left
     * on it. */
    (void)curl_easy_setopt(easy->curl, CURLOPT_FORBID_REUSE, 1L);
    (void)curl_multi_remove_handle(transport->multi, easy->curl);
    (void)curl_easy_setopt(easy->curl, CURLOPT_FORBID_REUSE, 0L);
    easy_put(transport, easy);
    active_remove(transport, request);
    end_later(transport, request, TRANSPORT_ABORTED);
}

void curl_acted(struct transport *transport)
{
    struct transport_request *request = transport->active;
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(transport->multi, &left)) != NULL) {
        struct curl_easy *easy = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&easy);
        easy_done(transport, easy, code); /* invalidates the message */
        request = transport->active;
    }
    while (request) { /* aborted from inside an event */
        struct transport_request *next = request->next;
        if (request->state == REQUEST_ABORTED)
            request_remove(transport, request);
        request = next;
    }
}

/* --------------------------------------------------------------------------- start, abort -- */

static void curl_start(struct transport *transport, struct transport_request *request)
{
    struct curl_easy *easy = easy_get(transport, request->target);
    int error = easy ? request_apply(easy, request) : -ENOMEM;

    request->head_seen = false;
    http_head_reset(&request->head, 0);
    if (!error) {
        bool outer = transport->inside;
        transport->inside = true;
        if (curl_multi_add_handle(transport->multi, easy->curl))
            error = -ENOMEM;
        transport->inside = outer;
    }
    if (error) {
        if (easy)
            easy_put(transport, easy);
        end_later(transport, request, error == -ENOMEM ? TRANSPORT_MEMORY : TRANSPORT_PROTOCOL);
        return;
    }
    request->handle = easy;
    request->state = REQUEST_ACTIVE;
    request->prev = NULL;
    request->next = transport->active;
    if (transport->active)
        transport->active->prev = request;
    transport->active = request;
}

static void curl_abort(struct transport *transport, struct transport_request *request)
{
    if (request->state != REQUEST_ACTIVE)
        return;
    request->state = REQUEST_ABORTED;
    if (!transport->inside)
        request_remove(transport, request);
}

/* -------------------------------------------------------------------------------- lifetime -- */

static void curl_destroy(struct transport *transport, bool forked)
{
    if (!transport)
        return;
    if (forked) { /* closing notices on the parent's connections would end them */
        for (uint32_t i = 0; i < transport->fd_count; i++)
            (void)close(transport->fds[i]);
        curl_socket_free(transport);
        free(transport);
        return;
    }
    if (transport->multi) {
        (void)curl_multi_setopt(transport->multi, CURLMOPT_SOCKETFUNCTION, NULL);
        (void)curl_multi_setopt(transport->multi, CURLMOPT_TIMERFUNCTION, NULL);
    }
    while (transport->free_easies) {
        struct curl_easy *easy = transport->free_easies;
        transport->free_easies = easy->next;
        easy_free(easy);
    }
    if (transport->multi)
        (void)curl_multi_cleanup(transport->multi);
    curl_socket_free(transport);
    free(transport);
}

static int curl_create(struct driver_env *env, struct transport **out)
{
    struct transport *transport;
    int error = curl_global_once();

    if (error)
        return error;
    transport = calloc(1, sizeof(*transport));
    if (!transport)
        return -ENOMEM;
    transport->env = env;
    transport->multi = curl_multi_init();
    error = transport->multi ? curl_socket_attach(transport) : -ENOMEM;
    if (error) {
        curl_destroy(transport, false);
        return error;
    }
    *out = transport;
    return 0;
}

static void curl_leave(struct transport *transport)
{
    curl_socket_leave(transport);
}

const struct transport_ops transport_curl = {
    .name = "curl",
    .create = curl_create,
    .start = curl_start,
    .abort = curl_abort,
    .leave = curl_leave,
    .destroy = curl_destroy,
};
