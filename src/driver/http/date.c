/* SPDX-License-Identifier: MIT */
/*
 * date.c - see date.h.
 *
 * strptime() and strftime() use the names of months in the process's locale, so dates are taken
 * apart here against a pattern: a digit field by its letter, all else literally. A field that is
 * out of range is refused rather than carried over. Pure; any thread.
 */
#define _GNU_SOURCE /* gmtime_r */

#include "driver/http/date.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"

#define NS_PER_S 1000000000

struct date {
    int year, month, day; /* month from 1 */
    int hour, minute, second;
};

/* Days since 1970-01-01 of the proleptic Gregorian calendar. */
static int64_t days_of(const struct date *date)
{
    static const int before_month[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    bool leap = (date->year % 4 == 0 && date->year % 100 != 0) || date->year % 400 == 0;
    int past = date->year - 1; /* whole years since the year 0001 */

    return (int64_t)past * 365 + past / 4 - past / 100 + past / 400 - 719162 +
           before_month[date->month - 1] + (leap && date->month > 2) + date->day - 1;
}

static bool is_valid(const struct date *date)
{
    static const int length[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (date->year % 4 == 0 && date->year % 100 != 0) || date->year % 400 == 0;

    return date->year >= 1 && date->month >= 1 && date->month <= 12 && date->day >= 1 &&
           date->day <= length[date->month - 1] + (leap && date->month == 2) && date->hour <= 23 &&
           date->minute <= 59 && date->second <= 60; /* a leap second */
}

static int64_t seconds_of(const struct date *date)
{
    return days_of(date) * 86400 + date->hour * 3600 + date->minute * 60 + date->second;
}

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static int read_month(const char *text)
{
    for (int i = 0; i < 12; i++) {
        if (memcmp(text, month_names + 3 * i, 3) == 0)
            return i + 1;
    }
    return 0;
}

static int *field_of(struct date *date, char letter)
{
    switch (letter) {
    case 'y':
        return &date->year;
    case 'n':
        return &date->month;
    case 'd':
        return &date->day;
    case 'h':
        return &date->hour;
    case 'm':
        return &date->minute;
    case 's':
        return &date->second;
    default:
        return NULL;
    }
}

/* Each letter of y, n (month), d, h, m and s in the pattern takes one digit of its field, "bbb" a
 * month's name, '_' a digit of the day or a space; anything else stands for itself. False if the
 * text does not fit. */
static bool take(struct date *date, const char *pattern, const char *text, size_t count)
{
    size_t length = strlen(pattern);

    memset(date, 0, sizeof(*date));
    if (count < length)
        return false;
    for (size_t i = 0; i < length; i++) {
        int *field = field_of(date, pattern[i]);
        if (pattern[i] == 'b') {
            date->month = read_month(text + i);
            i += 2;
        } else if (pattern[i] == '_' && text[i] == ' ') {
            continue;
        } else if (field || pattern[i] == '_') {
            field = field ? field : &date->day;
            if (text[i] < '0' || text[i] > '9')
                return false;
            *field = *field * 10 + (text[i] - '0');
        } else if (text[i] != pattern[i]) {
            return false;
        }
    }
    return true;
}

int http_date_parse(const char *text, size_t count, int64_t *unix_s)
{
    const char *comma = memchr(text, ',', count);
    struct date date;
    bool taken;

    if (comma) { /* the name of the day is not looked at: it adds nothing */
        size_t left = count - (size_t)(comma + 1 - text);
        taken = left == 25 && take(&date, " dd bbb yyyy hh:mm:ss GMT", comma + 1, left);
        if (!taken) { /* RFC 850, with two digits of the year, read as POSIX reads %y */
            taken = left == 23 && take(&date, " dd-bbb-yy hh:mm:ss GMT", comma + 1, left);
            date.year += date.year < 69 ? 2000 : 1900;
        }
    } else { /* asctime(): "Sun Nov  6 08:49:37 1994" */
        taken = count == 24 && take(&date, "bbb _d hh:mm:ss yyyy", text + 4, count - 4);
    }
    if (!taken || !is_valid(&date))
        return -EINVAL;
    *unix_s = seconds_of(&date);
    return 0;
}

int http_date_parse_rfc3339(const char *text, size_t count, int64_t *unix_ns)
{
    static const char pattern[] = "yyyy-nn-ddThh:mm:ss";
    size_t at = sizeof(pattern) - 1;
    int64_t fraction_ns = 0;
    struct date date;

    if (!take(&date, pattern, text, count) || !is_valid(&date) || date.year < 1678 ||
        date.year > 2261) /* what int64_t nanoseconds can hold */
        return -EINVAL;
    if (at < count && text[at] == '.') {
        int64_t unit_ns = NS_PER_S / 10;
        for (at++; at < count && text[at] >= '0' && text[at] <= '9'; at++, unit_ns /= 10)
            fraction_ns += (text[at] - '0') * unit_ns;
    }
    if (count - at != 1 || text[at] != 'Z')
        return -EINVAL;
    *unix_ns = seconds_of(&date) * NS_PER_S + fraction_ns;
    return 0;
}

int http_date_format(char out[HTTP_DATE_BYTES], int64_t unix_s)
{
    static const char day_names[] = "SunMonTueWedThuFriSat";
    time_t seconds = (time_t)unix_s;
    struct tm now;
    int length;

    if (!gmtime_r(&seconds, &now) || now.tm_year < -1900 || now.tm_year > 9999 - 1900)
        return -EINVAL;
    length = snprintf(out, HTTP_DATE_BYTES, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                      day_names + 3 * now.tm_wday, now.tm_mday, month_names + 3 * now.tm_mon,
                      now.tm_year + 1900, now.tm_hour, now.tm_min, now.tm_sec);
    return length == HTTP_DATE_BYTES - 1 ? 0 : -EINVAL;
}
