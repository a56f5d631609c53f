/* SPDX-License-Identifier: Apache-2.0 */
/*
 * security: SIDs, security descriptors (SDDL and self-relative binary), tokens, and the access check.
 *
 * Everything works on the documented binary forms: a SID is a SID, a security descriptor is the self-relative
 * blob that FWP_SECURITY_DESCRIPTOR_TYPE carries, a token is what FWP_TOKEN_ACCESS_INFORMATION_TYPE carries
 * (an FWP_BYTE_BLOB whose data is a TOKEN_ACCESS_INFORMATION). All input is untrusted: bounded, never abort.
 *
 * The room holds no state. Every function may be called from any thread; only those that return something
 * malloc'd (and security_token_create and what builds on it) allocate: the access checks do not.
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
/* "S-1-5-32-544" or an SDDL alias ("BA", "WD", "SY" ...). 0, -EINVAL, or -ENOSPC. An alias of a domain's
 * account
 * ("DA", "LA" ...) is that of the domain S-1-5-21-0-0-0, which is nobody's: a descriptor does not say whose.
 */
int security_sid_parse(const char *text, SID *out, size_t out_size);
/* The same, and names: "BUILTIN\\Users", "Users", "internetClient", "NT SERVICE\\dhcp"; in any case. */
int security_sid_resolve(const char *name, SID *out, size_t out_size);
/* Writes the S-1-... form; returns its length, -ENOSPC, or -EINVAL when it is no SID. */
int security_sid_format(const SID *sid, char *out, size_t out_size);
/* A name for people ("BUILTIN\\Administrators", "NT SERVICE\\Dhcp" where known), or NULL. Not for a fast
 * path: a service's name is found by hashing those we know. */
const char *security_sid_name(const SID *sid);

/* The SID of the service `name` ("dhcp", UTF-8): S-1-5-80- and the SHA-1 of the upper-case name; 32 bytes. */
int security_service_sid(const char *name, SID *out, size_t out_size);
/* Back, among Windows' own services, or among `names` (each bare or with "NT SERVICE\\" before): as the list
 * spells it, or NULL. */
const char *security_service_name(const SID *sid);
const char *security_service_name_among(const SID *sid, const char *const *names, size_t count);

/* What a SID in a descriptor stands for, as far as its number tells. */
enum security_sid_kind {
    SECURITY_SID_OTHER,
    SECURITY_SID_EVERYONE,     /* S-1-1-0 */
    SECURITY_SID_ACCOUNT,      /* who runs a program: a user, SYSTEM, LOCAL SERVICE, ANONYMOUS LOGON ... */
    SECURITY_SID_GROUP,        /* BUILTIN\\..., INTERACTIVE, a domain's group ... */
    SECURITY_SID_SERVICE,      /* S-1-5-80-... */
    SECURITY_SID_ALL_PACKAGES, /* S-1-15-2-1 and S-1-15-2-2 */
    SECURITY_SID_PACKAGE,      /* S-1-15-2-... */
    SECURITY_SID_CAPABILITY,   /* S-1-15-3-... */
    SECURITY_SID_LABEL,        /* S-1-16-... */
};
enum security_sid_kind security_sid_kind(const SID *sid);

/* ---- security descriptors -------------------------------------------------------------------------- */
/* SDDL text (UTF-8) to a self-relative descriptor; *out is malloc'd, the caller frees. On error -EINVAL, and
 * *error_at (may be NULL) is the offset of the first character that could not be read; or -ENOMEM. */
int security_sddl_parse(const char *sddl, void **out, size_t *out_size, size_t *error_at);
/* Back to SDDL; malloc'd. -EINVAL for what is no descriptor or what SDDL cannot say (unknown ACE types and
 * flags, control bits of the owner, a quote in a string). What security_sddl_parse made comes back as the
 * same bytes. */
int security_sddl_format(const void *sd, size_t sd_size, char **out);
bool security_sd_valid(const void *sd, size_t size);

/* ---- tokens ---------------------------------------------------------------------------------------- */
struct security_attribute { /* a token security attribute, e.g. WIN://SYSAPPID with string values */
    const char *name;       /* UTF-8; "@User.x" and "@Device.x" are the claims that expressions call so */
    const char *const *values;
    size_t value_count;
    const int64_t *integers; /* instead of strings, if value_count is 0 */
    size_t integer_count;
};
struct security_token_spec {
    const SID *user;
    /* Attributes are SE_GROUP_*: a group counts with SE_GROUP_ENABLED; with SE_GROUP_USE_FOR_DENY_ONLY only
     * against the token. A restricted SID always counts; a capability as a group does. */
    const SID_AND_ATTRIBUTES *groups;
    size_t group_count;
    const SID_AND_ATTRIBUTES *restricted;
    size_t restricted_count;
    bool write_restricted; /* the restricted SIDs are asked only about rights to write */
    const SID *package;    /* NULL: no AppContainer */
    const SID_AND_ATTRIBUTES *capabilities;
    size_t capability_count;
    const struct security_attribute *attributes;
    size_t attribute_count;
};
/*
 * A token is immutable; token->blob is the value to indicate as FWP_TOKEN_ACCESS_INFORMATION_TYPE. One
 * allocation holds all of it. The TOKEN_ACCESS_INFORMATION in it points into the blob itself, so a copy of
 * the bytes is no token: share the token, or create it again. Privileges and the SID hashes are empty;
 * TokenType is primary; Flags is TOKEN_IS_RESTRICTED / TOKEN_WRITE_RESTRICTED. 0, -EINVAL (a bad SID or
 * text), -ENOMEM.
 */
struct security_token;
int security_token_create(const struct security_token_spec *spec, struct security_token **out);
void security_token_destroy(struct security_token *t);
const FWP_BYTE_BLOB *security_token_blob(const struct security_token *t);

/* A token described in JSON (weir explain --token): documented in doc/json.md. error: malloc'd line or NULL.
 */
int security_token_from_json(const char *text, size_t size, struct security_token **out, char **error);
/* An ordinary interactive user's token (user SID + Everyone, Users, Authenticated Users, INTERACTIVE ...).
 * For the SID of SYSTEM, LOCAL SERVICE or NETWORK SERVICE, a service's token without a service. */
int security_token_plain_user(const SID *user, struct security_token **out);
/* The token of a process that hosts `services` under an account (SYSTEM, LOCAL SERVICE, NETWORK SERVICE or a
 * user): the account's groups and the services' SIDs; write_restricted as SERVICE_SID_TYPE_RESTRICTED makes
 * it. */
int security_token_service(const SID *account, const SID *const *services, size_t service_count,
                           bool write_restricted, struct security_token **out);
/* An AppContainer's token of that user: an ordinary user's, with a package and capabilities (all enabled). */
int security_token_app_container(const SID *user, const SID *package, const SID *const *capabilities,
                                 size_t capability_count, struct security_token **out);

/* ---- the access check ------------------------------------------------------------------------------ */
/*
 * Does the token get all `desired` rights from the descriptor's DACL (MS-DTYP 2.5.3.2)? ACEs in their order,
 * deny and allow; restricted SIDs in a second pass; conditional ACEs against the token's attributes; an
 * AppContainer needs both the user part and the package/capability part (MATCH-17, MATCH-28). A NULL DACL
 * grants all, an empty one nothing. Malformed input, desired 0, MAXIMUM_ALLOWED: false. Privileges and
 * integrity levels play no part.
 *
 * Generic rights, wanted or granted, are mapped: GENERIC_READ and GENERIC_EXECUTE to READ_CONTROL and
 * FWP_ACTRL_MATCH_FILTER, GENERIC_WRITE to READ_CONTROL, GENERIC_ALL to all the standard rights and
 * FWP_ACTRL_MATCH_FILTER (not documented; chosen after the CCRC of stock filters). Object ACEs with an object
 * type are ignored. Cost: linear in the descriptor's ACEs times the token's SIDs; no allocation, no lock.
 */
bool security_access_check(const void *sd, size_t sd_size, const FWP_BYTE_BLOB *token, uint32_t desired);
/* The same for a SID and its groups given as FWP_TOKEN_INFORMATION (FWP_TOKEN_INFORMATION_TYPE fields): the
 * first SID is the user. The pointers in it are trusted. */
bool security_access_check_sids(const void *sd, size_t sd_size, const FWP_TOKEN_INFORMATION *token,
                                uint32_t desired);
/* The same for other objects, whose generic rights map otherwise (FWPM_GENERIC_ALL ...). */
bool security_access_check_mapped(const void *sd, size_t sd_size, const FWP_BYTE_BLOB *token,
                                  uint32_t desired, const GENERIC_MAPPING *mapping);

/* Every SID and every attribute test that a descriptor's DACL names, for explain's candidates. Also SIDs in
 * Member_of and in the owner, when an OWNER RIGHTS ACE makes him matter. `value` is UTF-8 text, or NULL for a
 * test of existence or truth; integers and SIDs come as SDDL writes them. Either function may be NULL. */
struct security_sd_visitor {
    void *ctx;
    void (*sid)(void *ctx, const SID *sid, bool allow);
    void (*condition)(void *ctx, const char *attribute, const char *value); /* from conditional ACEs */
};
void security_sd_visit(const void *sd, size_t sd_size, const struct security_sd_visitor *v);

/*
 * Candidates: from the descriptors of a policy, the tokens worth trying so that each outcome its access
 * checks can have for a real program shows up. Fill one with all descriptors of a field, then ask for tokens.
 */
struct security_candidates;
int security_candidates_create(struct security_candidates **out);
void security_candidates_destroy(struct security_candidates *c);
int security_candidates_add(struct security_candidates *c, const void *sd, size_t sd_size);
/* The distinct SIDs that the descriptors name, in order of appearance; valid until the next add. */
size_t security_candidates_sids(const struct security_candidates *c, const SID *const **sids);
/*
 * Calls fn with one candidate after the other; it returns false to stop. The spec and the description ("an
 * ordinary user", "the service NT SERVICE\\Dhcp as NETWORK SERVICE", "an AppContainer with internetClient")
 * live during the call only; security_token_create makes a token of the spec. First the ordinary user; then
 * one each for the accounts, services and groups named; then, of the ordinary user and of each user named,
 * AppContainers: with no capability, with each one named, with all, and each package named; and programs with
 * each attribute value named: in no AppContainer, and in one with no capability and with all. Combinations of
 * two services, two groups or two attribute values are not tried. 0 or -ENOMEM.
 */
int security_candidates_tokens(const struct security_candidates *c,
                               bool (*fn)(void *ctx, const struct security_token_spec *spec,
                                          const char *description),
                               void *ctx);

#endif
