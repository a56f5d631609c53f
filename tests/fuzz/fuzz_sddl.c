/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the security room. The first byte chooses:
 *   even  the rest is SDDL text: what parses must format, and parse again to the same bytes; then it is
 * checked against tokens, as text's descriptor odd   the rest is a descriptor's bytes: valid or not, every
 * function must only answer; what formats must parse and format to the same text And: a check by SIDs must
 * agree with a check by the same token's blob, where no attribute is asked for.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "security/security.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(what)                                                                                        \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            fprintf(stderr, "fuzz_sddl: not so: %s (line %d)\n", #what, __LINE__);                           \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static const char *const token_json[] = {
    "{\"user\": \"S-1-5-21-1-2-3-1001\", \"attributes\": {\"a\": [1, 2], \"WIN://SYSAPPID\": [\"name\"], "
    "\"@User.b\": \"x\"}}",
    "{\"user\": \"LS\", \"services\": [\"dhcp\"], \"restricted\": [\"WD\"], \"groups\": [{\"sid\": \"BA\", "
    "\"deny_only\": true}, \"WD\", \"BU\"]}",
    "{\"user\": \"BA\", \"package\": \"S-1-15-2-1-2-3-4-5-6-7\", \"capabilities\": [\"internetClient\"]}",
};
#define TOKENS 3

static struct security_token *tokens[TOKENS];

static void make_tokens(void)
{
    for (unsigned i = 0; i < TOKENS && tokens[i] == NULL; i++) {
        char *error;
        REQUIRE(security_token_from_json(token_json[i], strlen(token_json[i]), &tokens[i], &error) == 0);
    }
}

static void count_sid(void *ctx, const SID *sid, bool allow)
{
    char text[200];
    (void)allow;
    ++*(unsigned *)ctx;
    REQUIRE(security_sid_format(sid, text, sizeof(text)) > 0);
    security_sid_kind(sid);
}

static bool has_conditions;
static void count_condition(void *ctx, const char *attribute, const char *value)
{
    *(unsigned *)ctx += (unsigned)strlen(attribute) + (value != NULL ? (unsigned)strlen(value) : 0);
    has_conditions = true;
}

static void check(const void *sd, size_t size)
{
    unsigned seen = 0;
    const struct security_sd_visitor v = {.ctx = &seen, .sid = count_sid, .condition = count_condition};
    has_conditions = false;
    security_sd_visit(sd, size, &v);
    for (unsigned i = 0; i < TOKENS; i++) {
        const FWP_BYTE_BLOB *blob = security_token_blob(tokens[i]);
        bool granted = security_access_check(sd, size, blob, 1);
        REQUIRE(!granted || security_sd_valid(sd, size));
        REQUIRE(security_access_check(sd, size, blob, 3) <= granted);
        const TOKEN_ACCESS_INFORMATION *t = (const TOKEN_ACCESS_INFORMATION *)blob->data;
        FWP_TOKEN_INFORMATION sids = {.sidCount = t->SidHash->SidCount, .sids = t->SidHash->SidAttr};
        if (t->RestrictedSidHash != NULL) {
            sids.restrictedSidCount = t->RestrictedSidHash->SidCount;
            sids.restrictedSids = t->RestrictedSidHash->SidAttr;
        }
        bool by_sids = security_access_check_sids(sd, size, &sids, 1);
        if (t->SecurityAttributes == NULL) {
            /* a package can only take away */
            REQUIRE(t->PackageSid != NULL ? granted <= by_sids : granted == by_sids);
        }
    }
}

static void from_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *again;
    void *sd, *sd2;
    size_t sd_size, sd2_size, at = 0;
    REQUIRE(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    int status = security_sddl_parse(text, &sd, &sd_size, &at);
    if (status != 0) {
        REQUIRE(sd == NULL && at <= strlen(text));
        free(text);
        return;
    }
    REQUIRE(security_sd_valid(sd, sd_size));
    REQUIRE(security_sddl_format(sd, sd_size, &again) == 0);
    REQUIRE(security_sddl_parse(again, &sd2, &sd2_size, NULL) == 0);
    REQUIRE(sd2_size == sd_size && memcmp(sd, sd2, sd_size) == 0);
    check(sd, sd_size);
    free(sd2);
    free(sd);
    free(again);
    free(text);
}

/* Equal, but for an OA without GUIDs, which is documented to be read as an A. */
static bool same_text(const char *a, const char *b)
{
    for (; *a != '\0' || *b != '\0'; a++, b++) {
        if (a[0] == 'O' && a[1] == 'A' && a[2] == ';' && b[0] == 'A') {
            a++;
        }
        if (*a != *b) {
            return false;
        }
    }
    return true;
}

static void from_bytes(const uint8_t *data, size_t size)
{
    char *text, *again;
    void *sd;
    size_t sd_size;
    uint8_t *exact = malloc(size != 0 ? size : 1); /* so that a byte too far is seen */
    REQUIRE(exact != NULL);
    memcpy(exact, data, size);
    check(exact, size);
    if (security_sddl_format(exact, size, &text) == 0) {
        REQUIRE(security_sd_valid(exact, size));
        if (security_sddl_parse(text, &sd, &sd_size, NULL) == 0) {
            REQUIRE(security_sddl_format(sd, sd_size, &again) == 0);
            REQUIRE(same_text(text, again));
            free(again);
            free(sd);
        }
        free(text);
    }
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_tokens();
    if (size == 0) {
        return 0;
    }
    (data[0] % 2 == 0 ? from_text : from_bytes)(data + 1, size - 1);
    return 0;
}
