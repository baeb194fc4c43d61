/* SPDX-License-Identifier: MIT */
/* curl_global.h - initialises libcurl for the process. */
#ifndef LSIO_DRIVER_HTTP_CURL_GLOBAL_H
#define LSIO_DRIVER_HTTP_CURL_GLOBAL_H

/* 0, or LSIO_E_UNSUPPORTED if libcurl cannot be used; the same at every call. To be called before
 * anything else of libcurl. Threads: any. */
int curl_global_once(void);

#endif
