/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access check (MS-DTYP 2.5.3.2): which rights of a descriptor's DACL a token gets.
 *
 * One pass over the DACL serves one subject. An ordinary token has one: its user and groups. A restricted
 * token has a second, its restricted SIDs; an AppContainer a further one, its package and capabilities
 * (MATCH-17). Each subject must be granted all of what is wanted. Everything is validated before the first
 * pass; nothing is allocated.
 */
#include "security/internal.h"

#include "fwpmu.h" /* FWP_ACTRL_MATCH_FILTER */

enum subject_kind { SUBJECT_USER, SUBJECT_RESTRICTED, SUBJECT_PACKAGE };
struct subject {
    enum subject_kind kind;
    const struct sec_sid_list *sids;
    const struct sec_token *token; /* of SUBJECT_PACKAGE */
    bool restricted_packages_only; /* a less privileged AppContainer */
};

#define SID1(authority, a)                                                                                   \
    {                                                                                                        \
        1, 1, 0, 0, 0, 0, 0, authority, a, 0, 0, 0                                                           \
    }
#define SID2(authority, a, b)                                                                                \
    {                                                                                                        \
        1, 2, 0, 0, 0, 0, 0, authority, a, 0, 0, 0, b, 0, 0, 0                                               \
    }
static const uint8_t owner_rights[] = SID1(3, 4);
static const uint8_t all_packages[] = SID2(15, 2, 1);
static const uint8_t all_restricted_packages[] = SID2(15, 2, 2);

bool sec_sid_in_list(const struct sec_sid_list *l, const uint8_t *sid, bool first_is_user, bool deny)
{
    for (uint32_t i = 0; i < l->count; i++) {
        SID_AND_ATTRIBUTES item = sec_sid_item(l, i);
        if (!sec_sid_equal(item.Sid, sid)) {
            continue;
        }
        bool deny_only = item.Attributes & SE_GROUP_USE_FOR_DENY_ONLY;
        bool enabled = (first_is_user && i == 0) || (item.Attributes & SE_GROUP_ENABLED);
        if (deny ? enabled || deny_only : enabled && !deny_only) {
            return true;
        }
    }
    return false;
}

static bool in_restricted(const struct sec_sid_list *l, const uint8_t *sid)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (sec_sid_equal(sec_sid_item(l, i).Sid, sid)) {
            return true;
        }
    }
    return false;
}

static bool subject_is(const struct subject *s, const uint8_t *sid, bool deny)
{
    switch (s->kind) {
    case SUBJECT_USER:
        return sec_sid_in_list(s->sids, sid, true, deny);
    case SUBJECT_RESTRICTED:
        return in_restricted(s->sids, sid);
    default:
        return sec_sid_equal(sid, s->token->package) || sec_sid_equal(sid, all_restricted_packages) ||
               (!s->restricted_packages_only && sec_sid_equal(sid, all_packages)) ||
               sec_sid_in_list(s->sids, sid, false, deny);
    }
}

static uint32_t map_rights(uint32_t mask, const GENERIC_MAPPING *m)
{
    uint32_t out = mask & ~(uint32_t)(GENERIC_READ | GENERIC_WRITE | GENERIC_EXECUTE | GENERIC_ALL);
    out |= mask & GENERIC_READ ? m->GenericRead : 0;
    out |= mask & GENERIC_WRITE ? m->GenericWrite : 0;
    out |= mask & GENERIC_EXECUTE ? m->GenericExecute : 0;
    out |= mask & GENERIC_ALL ? m->GenericAll : 0;
    return out;
}

static bool has_owner_rights(const struct sec_sd *sd)
{
    struct sec_acl_iter i;
    struct sec_ace ace;
    sec_acl_start(&i, sd->dacl);
    while (sec_acl_next(&i, &ace)) {
        if (ace.sid != NULL && !(ace.flags & INHERIT_ONLY_ACE) && sec_sid_equal(ace.sid, owner_rights)) {
            return true;
        }
    }
    return false;
}

/* Does the ACE apply, as far as SID and condition go? */
static bool ace_applies(const struct sec_ace *ace, const struct sec_sd *sd, const struct subject *s,
                        bool is_owner, const struct sec_token *token, const struct sec_sid_list *user_sids)
{
    bool deny = ace->kind == SEC_ACE_DENY;
    if (!subject_is(s, ace->sid, deny) && !(is_owner && sec_sid_equal(ace->sid, owner_rights))) {
        return false;
    }
    if (!ace->callback) {
        return true;
    }
    struct sec_cond_env env = {.token = token, .sids = user_sids, .sacl = sd->sacl, .deny = deny};
    enum sec_tri holds = sec_cond_evaluate(ace->data, ace->data_size, &env);
    return holds == SEC_TRUE || (deny && holds == SEC_UNKNOWN);
}

static bool granted(const struct sec_sd *sd, const struct subject *s, uint32_t desired,
                    const GENERIC_MAPPING *mapping, const struct sec_token *token,
                    const struct sec_sid_list *user_sids)
{
    uint32_t remaining = desired;
    bool is_owner = s->kind != SUBJECT_PACKAGE && sd->owner != NULL && subject_is(s, sd->owner, false);
    if (is_owner && !has_owner_rights(sd)) {
        remaining &= ~(uint32_t)(READ_CONTROL | WRITE_DAC);
    }
    struct sec_acl_iter i;
    struct sec_ace ace;
    sec_acl_start(&i, sd->dacl);
    while (remaining != 0 && sec_acl_next(&i, &ace)) {
        if ((ace.flags & INHERIT_ONLY_ACE) || ace.object_type != NULL ||
            (ace.kind != SEC_ACE_ALLOW && ace.kind != SEC_ACE_DENY)) {
            continue;
        }
        uint32_t mask = map_rights(ace.mask, mapping) & remaining;
        if (mask == 0 || !ace_applies(&ace, sd, s, is_owner, token, user_sids)) {
            continue;
        }
        if (ace.kind == SEC_ACE_DENY) {
            return false;
        }
        remaining &= ~mask;
    }
    return remaining == 0;
}

static bool check(const void *bytes, size_t size, const struct sec_token *token, uint32_t desired,
                  const GENERIC_MAPPING *mapping)
{
    struct sec_sd sd;
    desired = map_rights(desired, mapping);
    if (!sec_sd_open(bytes, size, &sd) || desired == 0 || (desired & MAXIMUM_ALLOWED)) {
        return false;
    }
    if (sd.dacl == NULL) {
        return true;
    }
    const struct sec_token *attributes = token->blob != NULL ? token : NULL;
    struct subject user = {.kind = SUBJECT_USER, .sids = &token->sids};
    if (!granted(&sd, &user, desired, mapping, attributes, &token->sids)) {
        return false;
    }
    if (token->restricted.count != 0) {
        struct subject restricted = {.kind = SUBJECT_RESTRICTED, .sids = &token->restricted};
        uint32_t asked =
            token->write_restricted ? desired & mapping->GenericWrite & ~mapping->GenericRead : desired;
        if (asked != 0 && !granted(&sd, &restricted, asked, mapping, attributes, &token->sids)) {
            return false;
        }
    }
    if (token->package == NULL) {
        return true;
    }
    static const uint8_t no_all_packages[] = {'W', 0, 'I', 0, 'N', 0, ':', 0, '/', 0, '/', 0,
                                              'N', 0, 'O', 0, 'A', 0, 'L', 0, 'L', 0, 'A', 0,
                                              'P', 0, 'P', 0, 'P', 0, 'K', 0, 'G', 0};
    struct sec_claim claim;
    struct subject package = {
        .kind = SUBJECT_PACKAGE,
        .sids = &token->capabilities,
        .token = token,
        .restricted_packages_only =
            sec_token_attribute(token, NULL, no_all_packages, sizeof(no_all_packages), &claim),
    };
    return granted(&sd, &package, desired, mapping, attributes, &token->sids);
}

static const GENERIC_MAPPING filter_mapping = {
    .GenericRead = READ_CONTROL | FWP_ACTRL_MATCH_FILTER,
    .GenericWrite = READ_CONTROL,
    .GenericExecute = READ_CONTROL | FWP_ACTRL_MATCH_FILTER,
    .GenericAll = DELETE | READ_CONTROL | WRITE_DAC | WRITE_OWNER | FWP_ACTRL_MATCH_FILTER,
};

bool security_access_check_mapped(const void *sd, size_t sd_size, const FWP_BYTE_BLOB *token,
                                  uint32_t desired, const GENERIC_MAPPING *mapping)
{
    struct sec_token view;
    return sec_token_open(token, &view) && check(sd, sd_size, &view, desired, mapping);
}

bool security_access_check(const void *sd, size_t sd_size, const FWP_BYTE_BLOB *token, uint32_t desired)
{
    return security_access_check_mapped(sd, sd_size, token, desired, &filter_mapping);
}

static bool list_of(const SID_AND_ATTRIBUTES *sids, uint32_t count, struct sec_sid_list *out)
{
    *out = (struct sec_sid_list){.items = (const uint8_t *)sids, .count = count};
    if (sids == NULL) {
        return count == 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *sid = sids[i].Sid;
        if (sid == NULL || sec_sid_at(sid, SIZE_MAX) == 0) {
            return false;
        }
    }
    return true;
}

bool security_access_check_sids(const void *sd, size_t sd_size, const FWP_TOKEN_INFORMATION *token,
                                uint32_t desired)
{
    struct sec_token view = {0};
    return token != NULL && list_of(token->sids, token->sidCount, &view.sids) &&
           list_of(token->restrictedSids, token->restrictedSidCount, &view.restricted) &&
           check(sd, sd_size, &view, desired, &filter_mapping);
}
