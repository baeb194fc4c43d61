/* SPDX-License-Identifier: MIT */
/*
 * curl_global.c - see curl_global.h.
 *
 * curl_global_init() must run before the first use and, in libcurl without the `threadsafe`
 * feature, while no other thread uses libcurl (libcurl(3), GLOBAL CONSTANTS). A pthread_once gives
 * the best an embedded library can: one call, whoever comes first. There is no cleanup: the
 * application or another library in the process may be using libcurl too, and cleanup is not
 * reference-counted in every build.
 *
 * The two variables are the only state of the process that the HTTP family has; they are listed in
 * tests/tidy/allowed_globals.txt.
 */
#include "driver/http/curl_global.h"

#include <curl/curl.h>
#include <pthread.h>

#include "base/error.h"

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static int global_status;

static void global_start(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        global_status = LSIO_E_UNSUPPORTED;
}

int curl_global_once(void)
{
    pthread_once(&global_once, global_start);
    return global_status;
}
