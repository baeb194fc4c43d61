/* SPDX-License-Identifier: MIT */
/*
 * status.c: each status that a call may return has its constant's name and a sentence of its own.
 * That none is left out which src/ names is looked at by tests/tidy.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lsio/lsio.h"

struct row {
    int status;
    const char *name;
};

#define OF_LSIO(name)  {name, #name}
#define OF_ERRNO(name) {-name, #name}

/* All of enum lsio_status; and what the kernel says of files, sockets, threads and memory. */
static const struct row rows[] = {
    OF_LSIO(LSIO_OK),           OF_LSIO(LSIO_E_TRUNCATED), OF_LSIO(LSIO_E_CHANGED),
    OF_LSIO(LSIO_E_CORRUPT),    OF_LSIO(LSIO_E_NO_SPACE),  OF_LSIO(LSIO_E_BUDGET),
    OF_LSIO(LSIO_E_RECURSIVE),  OF_LSIO(LSIO_E_FORKED),    OF_LSIO(LSIO_E_CALLBACK),
    OF_LSIO(LSIO_E_UNSUPPORTED), OF_LSIO(LSIO_E_LIMIT),    OF_LSIO(LSIO_E_HTTP),
    OF_LSIO(LSIO_E_PROTOCOL),   OF_LSIO(LSIO_E_THROTTLED), OF_LSIO(LSIO_E_TLS),
    OF_ERRNO(ENOENT),           OF_ERRNO(EACCES),          OF_ERRNO(EPERM),
    OF_ERRNO(EINVAL),           OF_ERRNO(ENOMEM),          OF_ERRNO(EIO),
    OF_ERRNO(EAGAIN),           OF_ERRNO(EBUSY),           OF_ERRNO(EINTR),
    OF_ERRNO(ECANCELED),        OF_ERRNO(ETIMEDOUT),       OF_ERRNO(EMFILE),
    OF_ERRNO(ENFILE),           OF_ERRNO(ENOTDIR),         OF_ERRNO(EISDIR),
    OF_ERRNO(ELOOP),            OF_ERRNO(EXDEV),           OF_ERRNO(ENAMETOOLONG),
    OF_ERRNO(EBADF),            OF_ERRNO(EFBIG),           OF_ERRNO(ENOSPC),
    OF_ERRNO(ENXIO),            OF_ERRNO(ENODEV),          OF_ERRNO(ENOSYS),
    OF_ERRNO(EOPNOTSUPP),       OF_ERRNO(ESTALE),          OF_ERRNO(EOVERFLOW),
    OF_ERRNO(EREMOTEIO),        OF_ERRNO(EBADMSG),         OF_ERRNO(EUCLEAN),
    OF_ERRNO(ECONNREFUSED),     OF_ERRNO(ECONNRESET),      OF_ERRNO(ECONNABORTED),
    OF_ERRNO(EHOSTUNREACH),     OF_ERRNO(EHOSTDOWN),       OF_ERRNO(ENETUNREACH),
    OF_ERRNO(ENETDOWN),         OF_ERRNO(ENETRESET),       OF_ERRNO(EPIPE),
    OF_ERRNO(ENOTCONN),         OF_ERRNO(ESHUTDOWN),       OF_ERRNO(EADDRNOTAVAIL),
    OF_ERRNO(EADDRINUSE),       OF_ERRNO(EAFNOSUPPORT),    OF_ERRNO(EPROTO),
    OF_ERRNO(ENOBUFS),
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void each_has_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++)
        assert_string_equal(lsio_status_name(rows[i].status), rows[i].name);
}

static void each_has_its_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        const char *text = lsio_status_text(rows[i].status);
        assert_true(strlen(text) > 4);
        for (size_t j = 0; j < i; j++)
            if (strcmp(text, lsio_status_text(rows[j].status)) == 0)
                fail_msg("%s and %s: %s", rows[i].name, rows[j].name, text);
    }
}

static void others_have_a_sentence_too(void **state)
{
    static const int others[] = {1, -100000, INT32_MIN};

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_string_equal(lsio_status_name(others[i]), "unknown");
        assert_non_null(strstr(lsio_status_text(others[i]), "no name"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_its_name),
        cmocka_unit_test(each_has_its_sentence),
        cmocka_unit_test(others_have_a_sentence_too),
    };

    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
