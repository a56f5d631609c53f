/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value: the notations in which people and JSON write a field's value, and back. doc/json.md, "Values", is
 * the reference; what is written here is read back as the same value.
 *
 *   numbers          443, 0x1bb; names where there are any: tcp, in, public, multicast,
 * IS_LOOPBACK|IS_REAUTHORIZE addresses        10.0.0.1, fe80::1 programs \device\harddiskvolume3\dir\file.exe
 * (any case), System other blobs      hex:5c0064..., or text, taken as zero-terminated UTF-16 SIDs S-1-5-18,
 * SY, "NT SERVICE\Dhcp" tokens           a SID (an ordinary token of that account), or an object {"user":
 * ...} keys             {xxxxxxxx-....} nothing          empty (JSON: null)
 */
#ifndef WEIR_EXPLAIN_VALUE_H
#define WEIR_EXPLAIN_VALUE_H

#include <jansson.h>

#include "explain/fields.h"
#include "explain/memory.h"
#include "security/security.h"

struct explain_value {
    FWP_VALUE0 value;
    const char
        *label; /* what it is, for people, where the value does not show it: "an ordinary user"; or NULL */
    const char *token; /* a token's JSON text; NULL for other types */
};

/* 0; -EINVAL: *error says what was expected (in the arena); -ENOMEM. What the value points to lies in the
 * arena. */
int explain_value_parse(struct explain_arena *a, const struct engine_field *field, const char *text,
                        struct explain_value *out, const char **error);
int explain_value_from_json(struct explain_arena *a, const struct engine_field *field, const json_t *json,
                            struct explain_value *out, const char **error);

/* A token as a value of this field. Takes the token: it lives as long as the arena. */
int explain_value_token(struct explain_arena *a, const struct security_token_spec *spec, const char *label,
                        struct explain_value *out);

/* Turns a token into what RPC's fields take of it, its SIDs. */
int explain_token_information(struct explain_arena *a, struct explain_value *v);

/* As explain_value_parse() reads it. NULL: no memory. */
const char *explain_value_text(struct explain_arena *a, const struct engine_field *field,
                               const struct explain_value *v);
/* As explain_value_from_json() reads it; a new reference. */
json_t *explain_value_to_json(struct explain_arena *a, const struct engine_field *field,
                              const struct explain_value *v);
/* For people: "443", "svchost.exe", "public (1)". */
const char *explain_value_words(struct explain_arena *a, const struct engine_field *field,
                                const struct explain_value *v);

/* Pieces that conditions share. value may be a condition's (both types agree on what they share). */
const char *explain_number_text(struct explain_arena *a, const struct engine_field *field, UINT64 n);
const char *explain_v4_text(struct explain_arena *a, UINT32 address);
const char *explain_v6_text(struct explain_arena *a, const UINT8 address[16]);
const char *explain_blob_text(struct explain_arena *a, const struct engine_field *field,
                              const FWP_BYTE_BLOB *b);
const char *explain_sid_text(struct explain_arena *a, const SID *sid);
const char *explain_sid_words(struct explain_arena *a, const SID *sid); /* its name, or the same */

bool explain_parse_address(const char *text, size_t size, char *family, FWP_VALUE0 *out,
                           struct explain_arena *a);
bool explain_parse_number(const char *text, UINT64 max, UINT64 *out);
bool explain_parse_protocol(const char *text, UINT8 *out);
bool explain_is_number(FWP_DATA_TYPE t, UINT64 *max);

#endif
