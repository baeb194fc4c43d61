/* SPDX-License-Identifier: MIT */
/*
 * when.c - see when.h. The part up to the zone is http_date_parse_rfc3339()'s; here the zones that
 * servers do not use but files and programs do.
 */
#include "driver/http/credential/when.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "driver/http/date.h"

#define LOCAL_BYTES (sizeof("2026-01-31T12:00:00") - 1)
#define SECOND_NS   INT64_C(1000000000)

/* Seconds that the zone `text` is ahead of UTC; false if it is no zone. */
static bool zone_parse(const char *text, int64_t *ahead_s)
{
    unsigned hours, minutes;
    int end = 0;

    *ahead_s = 0;
    if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0 || strcmp(text, "UTC") == 0)
        return true;
    if ((*text != '+' && *text != '-') || strspn(text + 1, "0123456789:") != 5 ||
        sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &end) != 2 || end != 5 || text[6] != '\0' ||
        hours > 23 || minutes > 59)
        return false;
    *ahead_s = ((int64_t)hours * 60 + minutes) * 60;
    if (*text == '-')
        *ahead_s = -*ahead_s;
    return true;
}

uint64_t when_parse(const char *text)
{
    char utc[LOCAL_BYTES + sizeof("Z")];
    int64_t ns, ahead_s;

    if (strlen(text) < LOCAL_BYTES)
        return 0;
    snprintf(utc, sizeof(utc), "%.*sZ", (int)LOCAL_BYTES, text);
    if (http_date_parse_rfc3339(utc, strlen(utc), &ns) < 0)
        return 0;
    text += LOCAL_BYTES;
    if (*text == '.')
        text += 1 + strspn(text + 1, "0123456789");
    if (!zone_parse(text, &ahead_s) || ns / SECOND_NS <= ahead_s)
        return 0;
    return (uint64_t)(ns / SECOND_NS - ahead_s);
}
