/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIDs as bytes, as text and by name (MS-DTYP 2.4.2).
 *
 * A SID is read from untrusted bytes, so every function that gets a size checks it; those that get only a
 * SID * trust its count of sub-authorities. Text is what SDDL takes: S-1-<authority>-<sub>..., an
 * authority of 2^32 or more in hexadecimal, or one of the two-letter aliases.
 */
#include "security/internal.h"

#include <errno.h>
#include <stdio.h>

bool security_sid_valid(const void *sid, size_t size)
{
    return sid != NULL && sec_sid_at(sid, size) != 0;
}

size_t security_sid_size(const SID *sid)
{
    return sec_sid_size((const uint8_t *)sid);
}

bool security_sid_equal(const SID *a, const SID *b)
{
    return sec_sid_equal((const uint8_t *)a, (const uint8_t *)b);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A decimal number of at most `limit`, without leading zeros. */
static bool read_decimal(const char *text, size_t size, size_t *pos, uint64_t limit, uint64_t *out)
{
    size_t at = *pos;
    uint64_t v = 0;
    if (at >= size || !is_digit(text[at])) {
        return false;
    }
    for (; at < size && is_digit(text[at]); at++) {
        v = v * 10 + (uint64_t)(text[at] - '0');
        if (v > limit) {
            return false;
        }
    }
    if (text[*pos] == '0' && at - *pos > 1) {
        return false;
    }
    *pos = at;
    *out = v;
    return true;
}

static int hex_digit(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    c = (char)sec_upcase((uint8_t)c);
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_authority(const char *text, size_t size, size_t *pos, uint64_t *out)
{
    if (size - *pos < 3 || text[*pos] != '0' || (text[*pos + 1] != 'x' && text[*pos + 1] != 'X')) {
        return read_decimal(text, size, pos, UINT32_MAX, out);
    }
    size_t at = *pos + 2;
    uint64_t v = 0;
    unsigned digits = 0;
    for (; at < size && hex_digit(text[at]) >= 0; at++) {
        if (++digits > 12) {
            *pos = at;
            return false;
        }
        v = v << 4 | (uint64_t)hex_digit(text[at]);
    }
    *pos = at;
    *out = v;
    return digits != 0;
}

static size_t read_numeric(const char *text, size_t size, size_t *pos, uint8_t out[SECURITY_MAX_SID_SIZE])
{
    uint64_t v;
    *pos += 4; /* "S-1-" */
    if (!read_authority(text, size, pos, &v)) {
        return 0;
    }
    out[0] = 1;
    for (unsigned i = 0; i < 6; i++) {
        out[2 + i] = (uint8_t)(v >> (40 - 8 * i));
    }
    unsigned count = 0;
    while (*pos < size && text[*pos] == '-') {
        ++*pos;
        if (count == 15 || !read_decimal(text, size, pos, UINT32_MAX, &v)) {
            return 0;
        }
        uint32_t sub = (uint32_t)v;
        memcpy(out + 8 + 4 * count++, &sub, sizeof(sub));
    }
    out[1] = (uint8_t)count;
    return count == 0 ? 0 : 8 + 4 * (size_t)count;
}

size_t sec_sid_read(const char *text, size_t size, size_t *pos, uint8_t out[SECURITY_MAX_SID_SIZE])
{
    if (size - *pos >= 4 && sec_word_equal(text + *pos, 4, "S-1-")) {
        return read_numeric(text, size, pos, out);
    }
    if (size - *pos < 2) {
        return 0;
    }
    for (size_t i = 0; i < sec_known_sid_count; i++) {
        const struct sec_known_sid *k = &sec_known_sids[i];
        if (k->alias != NULL && sec_word_equal(text + *pos, 2, k->alias)) {
            size_t at = 0;
            *pos += 2;
            return read_numeric(k->sid, strlen(k->sid), &at, out);
        }
    }
    return 0;
}

int security_sid_parse(const char *text, SID *out, size_t out_size)
{
    uint8_t sid[SECURITY_MAX_SID_SIZE];
    size_t pos = 0, length = strlen(text);
    size_t size = sec_sid_read(text, length, &pos, sid);
    if (size == 0 || pos != length) {
        return -EINVAL;
    }
    if (size > out_size) {
        return -ENOSPC;
    }
    memcpy(out, sid, size);
    return 0;
}

/* The longest: S-1-0x112233445566 and 15 times -4294967295. */
#define SID_TEXT 192

static int format_sid(const uint8_t *sid, char out[SID_TEXT])
{
    uint64_t authority = 0;
    for (unsigned i = 0; i < 6; i++) {
        authority = authority << 8 | sid[2 + i];
    }
    int n = authority >> 32 != 0 ? snprintf(out, SID_TEXT, "S-1-0x%012llx", (unsigned long long)authority)
                                 : snprintf(out, SID_TEXT, "S-1-%llu", (unsigned long long)authority);
    for (unsigned i = 0; i < sid[1]; i++) {
        n += snprintf(out + n, SID_TEXT - (size_t)n, "-%u", sec_get32(sid + 8 + 4 * i));
    }
    return n;
}

int security_sid_format(const SID *sid, char *out, size_t out_size)
{
    char text[SID_TEXT];
    if (sec_sid_at((const uint8_t *)sid, SIZE_MAX) == 0) {
        return -EINVAL;
    }
    int n = format_sid((const uint8_t *)sid, text);
    if ((size_t)n >= out_size) {
        return -ENOSPC;
    }
    memcpy(out, text, (size_t)n + 1);
    return n;
}

static const struct sec_known_sid *find_known(const uint8_t *sid)
{
    char text[SID_TEXT];
    format_sid(sid, text);
    for (size_t i = 0; i < sec_known_sid_count; i++) {
        if (strcmp(sec_known_sids[i].sid, text) == 0) {
            return &sec_known_sids[i];
        }
    }
    return NULL;
}

void sec_sid_write(struct sec_buf *b, const uint8_t *sid)
{
    const struct sec_known_sid *k = find_known(sid);
    if (k != NULL && k->alias != NULL) {
        sec_buf_text(b, k->alias);
        return;
    }
    char text[SID_TEXT];
    format_sid(sid, text);
    sec_buf_text(b, text);
}

const char *security_sid_name(const SID *sid)
{
    if (sec_sid_at((const uint8_t *)sid, SIZE_MAX) == 0) {
        return NULL;
    }
    const struct sec_known_sid *k = find_known((const uint8_t *)sid);
    return k != NULL ? k->name : security_service_name(sid);
}

int security_sid_resolve(const char *name, SID *out, size_t out_size)
{
    static const char service[] = "NT SERVICE\\";
    size_t length = strlen(name), prefix = sizeof(service) - 1;
    if (security_sid_parse(name, out, out_size) == 0) {
        return 0;
    }
    for (size_t i = 0; i < sec_known_sid_count; i++) {
        const char *known = sec_known_sids[i].name, *bare = strrchr(known, '\\');
        if (sec_word_equal(name, length, known) || (bare != NULL && sec_word_equal(name, length, bare + 1))) {
            return security_sid_parse(sec_known_sids[i].sid, out, out_size);
        }
    }
    if (length > prefix && sec_word_equal(name, prefix, service)) {
        return security_service_sid(name + prefix, out, out_size);
    }
    return -EINVAL;
}

static const uint32_t package_base = 2, capability_base = 3, service_base = 80;

enum security_sid_kind security_sid_kind(const SID *sid)
{
    const uint8_t *p = (const uint8_t *)sid;
    static const uint8_t nt[6] = {0, 0, 0, 0, 0, 5}, world[6] = {0, 0, 0, 0, 0, 1};
    static const uint8_t package[6] = {0, 0, 0, 0, 0, 15}, label[6] = {0, 0, 0, 0, 0, 16};
    if (sec_sid_at(p, SIZE_MAX) == 0 || p[1] == 0) {
        return SECURITY_SID_OTHER;
    }
    uint32_t first = sec_get32(p + 8);
    if (memcmp(p + 2, world, 6) == 0) {
        return p[1] == 1 && first == 0 ? SECURITY_SID_EVERYONE : SECURITY_SID_OTHER;
    }
    if (memcmp(p + 2, label, 6) == 0) {
        return SECURITY_SID_LABEL;
    }
    if (memcmp(p + 2, package, 6) == 0) {
        if (first == package_base && p[1] >= 2) {
            return p[1] == 2 ? SECURITY_SID_ALL_PACKAGES : SECURITY_SID_PACKAGE;
        }
        return first == capability_base ? SECURITY_SID_CAPABILITY : SECURITY_SID_OTHER;
    }
    if (memcmp(p + 2, nt, 6) != 0) {
        return SECURITY_SID_GROUP;
    }
    if (first == service_base && p[1] > 2) {
        return SECURITY_SID_SERVICE;
    }
    if (p[1] == 1 && (first == 18 || first == 19 || first == 20 || first == 7 || first == 17)) {
        return SECURITY_SID_ACCOUNT;
    }
    if (first == 21 && p[1] == 5) {
        /* RIDs below 1000 that are users: Administrator, Guest, krbtgt ...; the rest are a domain's groups.
         */
        uint32_t rid = sec_get32(p + 8 + 4 * 4);
        return rid >= 1000 || (rid >= 500 && rid <= 504) ? SECURITY_SID_ACCOUNT : SECURITY_SID_GROUP;
    }
    return SECURITY_SID_GROUP;
}
