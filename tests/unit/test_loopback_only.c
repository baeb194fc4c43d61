/* SPDX-License-Identifier: MIT */
/*
 * No test program can reach anything outside this machine (support/loopback_only.c): neither by its
 * own calls nor by libcurl's. No packet leaves even if that fails: the sockets used are none, or of
 * another family than the address.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef LSIO_HAVE_CURL
#include <curl/curl.h>
#endif

/* Whether a child that calls this dies of abort(); its message goes to `text`. */
static bool aborts(void (*call)(const char *), const char *argument, char *text, size_t room)
{
    int pipes[2], status = 0;
    const struct rlimit none = {0};
    ssize_t got;
    pid_t child;

    assert_int_equal(pipe(pipes), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        dup2(pipes[1], STDERR_FILENO);
        call(argument);
        _exit(0);
    }
    close(pipes[1]);
    got = read(pipes[0], text, room - 1);
    text[got > 0 ? got : 0] = 0;
    close(pipes[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static int connect_to(const char *address)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(80)};

    if (inet_pton(AF_INET, address, &four.sin_addr) == 1)
        return connect(-1, (struct sockaddr *)&four, sizeof(four));
    assert_int_equal(inet_pton(AF_INET6, address, &six.sin6_addr), 1);
    return connect(-1, (struct sockaddr *)&six, sizeof(six));
}

static void connect_call(const char *address)
{
    connect_to(address);
}

static void look_up_call(const char *name)
{
    struct addrinfo *result = NULL;

    if (getaddrinfo(name, "80", NULL, &result) == 0)
        freeaddrinfo(result);
}

static void connects(void **unused)
{
    static const char *const outside[] = {"192.0.2.1", "10.0.0.1", "128.0.0.1", "2001:db8::1",
                                          "::ffff:192.0.2.1"};
    static const char *const inside[] = {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"};
    char text[256];

    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        assert_true(aborts(connect_call, outside[i], text, sizeof(text)));
        assert_non_null(strstr(text, "loopback only: connect of "));
        assert_non_null(strstr(text, outside[i]));
    }
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        assert_int_equal(connect_to(inside[i]), -1); /* the kernel was asked */
        assert_int_equal(errno, EBADF);
    }
}

static void names(void **unused)
{
    static const char *const local[] = {"localhost", "bucket.store.localhost", "127.0.0.3"};
    char text[256];
    struct addrinfo *result = NULL;

    assert_true(aborts(look_up_call, "somewhere.example", text, sizeof(text)));
    assert_non_null(strstr(text, "loopback only: look-up of somewhere.example"));
    assert_int_equal(getaddrinfo("nosuch.invalid", "80", NULL, &result), EAI_NONAME);
    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        const struct sockaddr_in *address;
        assert_int_equal(getaddrinfo(local[i], "80", NULL, &result), 0);
        assert_int_equal(result->ai_family, AF_INET);
        address = (const void *)result->ai_addr;
        assert_int_equal(ntohl(address->sin_addr.s_addr) >> 24, 127);
        freeaddrinfo(result);
    }
}

#ifdef LSIO_HAVE_CURL

/* A socket that no IP address can be reached with. */
static curl_socket_t socket_open(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void curl_call(const char *url)
{
    CURL *curl = curl_easy_init();

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, socket_open);
    curl_easy_perform(curl);
    curl_easy_cleanup(curl);
}

static void curls_calls_are_seen(void **unused)
{
    char text[256];

    assert_true(aborts(curl_call,
                       "http:"
                       "//192.0.2.1/",
                       text, sizeof(text))); /* RFC 5737 */
    assert_non_null(strstr(text, "loopback only: connect of 192.0.2.1"));
    assert_true(aborts(curl_call, "http://host.example/", text, sizeof(text)));
    assert_non_null(strstr(text, "loopback only: look-up of host.example"));
    assert_false(aborts(curl_call, "http://127.0.0.1:1/", text, sizeof(text)));
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects),
        cmocka_unit_test(names),
#ifdef LSIO_HAVE_CURL
        cmocka_unit_test(curls_calls_are_seen),
#endif
    };

    return cmocka_run_group_tests_name("loopback only", tests, NULL, NULL);
}
