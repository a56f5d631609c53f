/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the security room: descriptors from text, SIDs by name, one check in one line. */
#ifndef WEIR_TESTS_SDDL_LAB_H
#define WEIR_TESTS_SDDL_LAB_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "security/security.h"

struct lab_sid {
    uint8_t bytes[SECURITY_MAX_SID_SIZE] __attribute__((aligned(8)));
};

static inline const SID *lab_sid(struct lab_sid *s, const char *name)
{
    if (security_sid_resolve(name, (SID *)s->bytes, sizeof(s->bytes)) != 0) {
        fprintf(stderr, "# no SID: %s\n", name);
        abort();
    }
    return (const SID *)s->bytes;
}

struct lab_sd {
    void *data;
    size_t size;
};

static inline struct lab_sd lab_sd(const char *sddl)
{
    struct lab_sd sd;
    size_t at;
    if (security_sddl_parse(sddl, &sd.data, &sd.size, &at) != 0) {
        fprintf(stderr, "# not read at %zu: %s\n", at, sddl);
        abort();
    }
    return sd;
}

/* A token from JSON, with ' for ". */
static inline struct security_token *lab_token(const char *json)
{
    struct security_token *t;
    char *error, *text = strdup(json);
    for (char *p = text; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }
    if (security_token_from_json(text, strlen(text), &t, &error) != 0) {
        fprintf(stderr, "# %s: %s\n", error, text);
        abort();
    }
    free(text);
    return t;
}

static inline bool lab_check(const char *sddl, const char *token_json, uint32_t desired)
{
    struct lab_sd sd = lab_sd(sddl);
    struct security_token *t = lab_token(token_json);
    bool granted = security_access_check(sd.data, sd.size, security_token_blob(t), desired);
    security_token_destroy(t);
    free(sd.data);
    return granted;
}

#endif
