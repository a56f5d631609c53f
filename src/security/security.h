/* SPDX-License-Identifier: Apache-2.0 */
/*
 * security: SIDs, security descriptors (SDDL and self-relative binary), tokens, and the access check.
 *
 * Everything works on the documented binary forms: a SID is a SID, a security descriptor is the self-relative
 * blob that FWP_SECURITY_DESCRIPTOR_TYPE carries, a token is what FWP_TOKEN_ACCESS_INFORMATION_TYPE carries
 * (an FWP_BYTE_BLOB whose data is a TOKEN_ACCESS_INFORMATION). All input is untrusted: bounded, never abort.
 */
#ifndef WEIR_SECURITY_SECURITY_H
#define WEIR_SECURITY_SECURITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fwptypes.h"
#include "ntsecurity.h" /* SID, ACL, SECURITY_DESCRIPTOR, TOKEN_ACCESS_INFORMATION, ACE types, in include/wdk */

/* ---- SIDs ------------------------------------------------------------------------------------------ */
#define SECURITY_MAX_SID_SIZE 68 /* 15 sub-authorities */
bool security_sid_valid(const void *sid, size_t size);
size_t security_sid_size(const SID *sid);
bool security_sid_equal(const SID *a, const SID *b);
/* "S-1-5-32-544" or an SDDL alias ("BA", "WD", "SY" ...). 0 or -EINVAL. */
int security_sid_parse(const char *text, SID *out, size_t out_size);
/* Writes the S-1-... form; returns its length, or -ENOSPC. */
int security_sid_format(const SID *sid, char *out, size_t out_size);
/* A name for people ("BUILTIN\\Administrators", "NT SERVICE\\dhcp" where known), or NULL. */
const char *security_sid_name(const SID *sid);

/* ---- security descriptors -------------------------------------------------------------------------- */
/* SDDL text to a self-relative descriptor; *out is malloc'd, the caller frees. On error -EINVAL, and
 * *error_at (may be NULL) is the offset of the first character that could not be read. */
int security_sddl_parse(const char *sddl, void **out, size_t *out_size, size_t *error_at);
/* Back to SDDL; malloc'd. */
int security_sddl_format(const void *sd, size_t sd_size, char **out);
bool security_sd_valid(const void *sd, size_t size);

/* ---- tokens ---------------------------------------------------------------------------------------- */
struct security_attribute { /* a token security attribute, e.g. WIN://SYSAPPID with string values */
    const char *name;
    const char *const *values;
    size_t value_count;
};
struct security_token_spec {
    const SID *user;
    const SID_AND_ATTRIBUTES *groups;
    size_t group_count;
    const SID_AND_ATTRIBUTES *restricted;
    size_t restricted_count;
    const SID *package; /* NULL: no AppContainer */
    const SID_AND_ATTRIBUTES *capabilities;
    size_t capability_count;
    const struct security_attribute *attributes;
    size_t attribute_count;
};
/* A token is immutable; token->blob is the value to indicate as FWP_TOKEN_ACCESS_INFORMATION_TYPE. */
struct security_token;
int security_token_create(const struct security_token_spec *spec, struct security_token **out);
void security_token_destroy(struct security_token *t);
const FWP_BYTE_BLOB *security_token_blob(const struct security_token *t);

/* A token described in JSON (weir explain --token): documented in doc/json.md. error: malloc'd line or NULL. */
int security_token_from_json(const char *text, size_t size, struct security_token **out, char **error);
/* An ordinary interactive user's token (user SID + Everyone, Users, Authenticated Users, INTERACTIVE ...). */
int security_token_plain_user(const SID *user, struct security_token **out);

/* ---- the access check ------------------------------------------------------------------------------ */
/*
 * Does the token get all `desired` rights from the descriptor's DACL? Ordered ACEs, deny and allow, restricted
 * SIDs checked as a second pass, conditional ACEs against the token's attributes, AppContainer
 * tokens needing both the user part and the package/capability part (MATCH-17, MATCH-28). A NULL DACL
 * grants all. Malformed input: false.
 */
bool security_access_check(const void *sd, size_t sd_size, const FWP_BYTE_BLOB *token, uint32_t desired);
/* The same for a SID and its groups given as FWP_TOKEN_INFORMATION (FWP_TOKEN_INFORMATION_TYPE fields). */
bool security_access_check_sids(const void *sd, size_t sd_size, const FWP_TOKEN_INFORMATION *token, uint32_t desired);

/* Every SID and every attribute test that a descriptor's DACL names, for explain's candidates. */
struct security_sd_visitor {
    void *ctx;
    void (*sid)(void *ctx, const SID *sid, bool allow);
    void (*condition)(void *ctx, const char *attribute, const char *value); /* from conditional ACEs */
};
void security_sd_visit(const void *sd, size_t sd_size, const struct security_sd_visitor *v);

#endif
