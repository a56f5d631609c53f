/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times of a capture as people write them: "+12.5" seconds from its beginning; "14:03:05.25", the next such
 * time of day (UTC) from its beginning on; "2026-11-22T14:03:05Z", with Z, an offset, or neither (UTC).
 */
#include "cli/replay.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
#define DAY    (86400 * SECOND)

/* Digits, `count` of them or, if 0, as many as there are (at most 12). */
static bool digits(const char **text, unsigned count, UINT64 *out)
{
    unsigned n = 0;

    for (*out = 0; isdigit((unsigned char)**text) && n < (count != 0 ? count : 12); n++)
        *out = *out * 10 + (UINT64)(*(*text)++ - '0');
    return count != 0 ? n == count : n != 0 && !isdigit((unsigned char)**text);
}

/* Perhaps a point and up to nine digits; more are read and dropped. */
static bool fraction(const char **text, UINT64 *ns)
{
    UINT64 unit = SECOND / 10;

    *ns = 0;
    if (**text != '.')
        return true;
    if (!isdigit((unsigned char)*++*text))
        return false;
    for (; isdigit((unsigned char)**text); unit /= 10)
        *ns += (UINT64)(*(*text)++ - '0') * unit;
    return true;
}

static bool clock_time(const char **text, UINT64 *ns)
{
    UINT64 h, m, s, rest;

    if (!digits(text, 2, &h) || *(*text)++ != ':' || !digits(text, 2, &m) || *(*text)++ != ':' ||
        !digits(text, 2, &s) || !fraction(text, &rest) || h > 23 || m > 59 || s > 60)
        return false;
    *ns = (h * 3600 + m * 60 + s) * SECOND + rest;
    return true;
}

/* Days since 1970 of the proleptic Gregorian calendar. */
static int64_t days_of(int64_t y, unsigned m, unsigned d)
{
    int64_t era;
    unsigned yoe, doy;

    y -= m <= 2;
    era = y / 400;
    yoe = (unsigned)(y - era * 400);
    doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static bool iso_time(const char **text, UINT64 *ns)
{
    UINT64 y, m, d, of_day, h, min;
    bool west;

    if (!digits(text, 4, &y) || *(*text)++ != '-' || !digits(text, 2, &m) || *(*text)++ != '-' ||
        !digits(text, 2, &d) || y < 1970 || y > 2500 || m < 1 || m > 12 || d < 1 || d > 31 ||
        (**text != 'T' && **text != ' '))
        return false;
    ++*text;
    if (!clock_time(text, &of_day))
        return false;
    *ns = (UINT64)days_of((int64_t)y, (unsigned)m, (unsigned)d) * DAY + of_day;
    if (**text == 'Z') {
        ++*text;
    } else if (**text == '+' || **text == '-') {
        west = *(*text)++ == '-';
        if (!digits(text, 2, &h) || *(*text)++ != ':' || !digits(text, 2, &min) || h > 14 || min > 59)
            return false;
        h = (h * 60 + min) * 60 * SECOND;
        if (!west && *ns < h)
            return false;
        *ns = west ? *ns + h : *ns - h;
    }
    return true;
}

bool replay_time(const char *text, UINT64 start_ns, UINT64 *out)
{
    UINT64 n, rest;

    if (*text == '+') {
        text++;
        if (!digits(&text, 0, &n) || !fraction(&text, &rest) || n > UINT32_MAX)
            return false;
        *out = start_ns + n * SECOND + rest;
    } else if (strchr(text, '-') != NULL && text[4] == '-') {
        if (!iso_time(&text, out))
            return false;
    } else {
        if (!clock_time(&text, &n))
            return false;
        *out = start_ns / DAY * DAY + n;
        if (*out < start_ns)
            *out += DAY;
    }
    return *text == '\0';
}
