/* SPDX-License-Identifier: MIT */
/*
 * http_script_transport.h - a transport (driver/http/transport.h) without a network: the test says
 * what becomes of each request.
 *
 *     http_state_create(&transport_script, 1, &state);
 *     ... a read begins ...
 *     assert_string_equal(script_header(0, "range"), "bytes=0-99");
 *     script_head(0, 206, "Content-Range: bytes 0-99/100\r\nETag: \"a\"\r\n");
 *     script_body(0, bytes, 100);
 *     script_end(0, TRANSPORT_OK, false);
 *
 * Requests are numbered as they are started, from 0. One transport at a time; one thread.
 */
#ifndef LSIO_TESTS_HTTP_SCRIPT_TRANSPORT_H
#define LSIO_TESTS_HTTP_SCRIPT_TRANSPORT_H

#include "driver/http/transport.h"

extern const struct transport_ops transport_script;

/* Forgets all requests: at the beginning of a test. */
void script_begin(void);

unsigned script_count(void); /* requests started so far */
bool script_runs(unsigned index);
bool script_aborted(unsigned index); /* abort() was called */
/* As it was when the request was started; "" if there is none. */
const char *script_header(unsigned index, const char *name);
const char *script_target(unsigned index); /* path, and query behind '?' */

/* The answer's head; what the event returned. Lines end in \r\n. */
int script_head(unsigned index, unsigned status, const char *lines);
/* Body bytes, as far as there is room for them; how many were taken, thrown away ones too. */
uint64_t script_body(unsigned index, const void *bytes, uint64_t count);
void script_end(unsigned index, enum transport_error error, bool reused);

#endif
