/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded views of a self-relative security descriptor (MS-DTYP 2.4.6), its ACLs (2.4.5) and ACEs (2.4.4).
 *
 * Opening a descriptor checks all of it once: owner and group are whole SIDs, each ACL lies within the bytes,
 * each ACE within its ACL, each SID within its ACE. What walks it afterwards needs no further checks.
 */
#include "security/internal.h"

#define SD_HEADER  20
#define ACL_HEADER 8
#define ACE_FIXED  8 /* header and mask */

bool sec_ace_open(const uint8_t *p, size_t size, struct sec_ace *out)
{
    *out = (struct sec_ace){0};
    if (size < 4) {
        return false;
    }
    out->type = p[0];
    out->flags = p[1];
    out->size = sec_get16(p + 2);
    if (out->size < 4 || out->size > size) {
        return false;
    }
    switch (out->type) {
    case ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE:
        out->callback = true;
        __attribute__((fallthrough));
    case ACCESS_ALLOWED_OBJECT_ACE_TYPE:
        out->object = true;
        out->kind = SEC_ACE_ALLOW;
        break;
    case ACCESS_DENIED_CALLBACK_OBJECT_ACE_TYPE:
        out->callback = true;
        __attribute__((fallthrough));
    case ACCESS_DENIED_OBJECT_ACE_TYPE:
        out->object = true;
        out->kind = SEC_ACE_DENY;
        break;
    case SYSTEM_AUDIT_CALLBACK_OBJECT_ACE_TYPE:
    case SYSTEM_ALARM_CALLBACK_OBJECT_ACE_TYPE:
        out->callback = true;
        __attribute__((fallthrough));
    case SYSTEM_AUDIT_OBJECT_ACE_TYPE:
    case SYSTEM_ALARM_OBJECT_ACE_TYPE:
        out->object = true;
        out->kind = SEC_ACE_AUDIT;
        break;
    case ACCESS_ALLOWED_CALLBACK_ACE_TYPE:
        out->callback = true;
        __attribute__((fallthrough));
    case ACCESS_ALLOWED_ACE_TYPE:
        out->kind = SEC_ACE_ALLOW;
        break;
    case ACCESS_DENIED_CALLBACK_ACE_TYPE:
        out->callback = true;
        __attribute__((fallthrough));
    case ACCESS_DENIED_ACE_TYPE:
        out->kind = SEC_ACE_DENY;
        break;
    case SYSTEM_AUDIT_CALLBACK_ACE_TYPE:
    case SYSTEM_ALARM_CALLBACK_ACE_TYPE:
        out->callback = true;
        __attribute__((fallthrough));
    case SYSTEM_AUDIT_ACE_TYPE:
    case SYSTEM_ALARM_ACE_TYPE:
        out->kind = SEC_ACE_AUDIT;
        break;
    case SYSTEM_MANDATORY_LABEL_ACE_TYPE:
    case SYSTEM_RESOURCE_ATTRIBUTE_ACE_TYPE:
    case SYSTEM_SCOPED_POLICY_ID_ACE_TYPE:
        break;
    default:
        return true; /* kept, ignored: the body is not ours to judge */
    }
    size_t at = ACE_FIXED;
    if (out->size < at) {
        return false;
    }
    out->mask = sec_get32(p + 4);
    if (out->object) {
        if (out->size < at + 4) {
            return false;
        }
        out->object_flags = sec_get32(p + at);
        at += 4;
        if (out->object_flags & ACE_OBJECT_TYPE_PRESENT) {
            out->object_type = p + at;
            at += 16;
        }
        if (out->object_flags & ACE_INHERITED_OBJECT_TYPE_PRESENT) {
            out->inherited_type = p + at;
            at += 16;
        }
        if (out->size < at) {
            return false;
        }
    }
    size_t sid = sec_sid_at(p + at, out->size - at);
    if (sid == 0) {
        return false;
    }
    out->sid = p + at;
    out->data = p + at + sid;
    out->data_size = out->size - at - sid;
    return true;
}

void sec_acl_start(struct sec_acl_iter *i, const uint8_t *acl)
{
    *i =
        (struct sec_acl_iter){.acl = acl, .offset = ACL_HEADER, .left = acl != NULL ? sec_get16(acl + 4) : 0};
}

bool sec_acl_next(struct sec_acl_iter *i, struct sec_ace *out)
{
    if (i->left == 0) {
        return false;
    }
    if (!sec_ace_open(i->acl + i->offset, sec_get16(i->acl + 2) - i->offset, out)) {
        return false;
    }
    i->left--;
    i->offset += out->size;
    return true;
}

static bool acl_valid(const uint8_t *p, size_t size)
{
    if (size < ACL_HEADER || p[0] < 2 || p[0] > 4) { /* ACL_REVISION, and ACL_REVISION_DS for object ACEs */
        return false;
    }
    size_t acl_size = sec_get16(p + 2);
    if (acl_size < ACL_HEADER || acl_size > size) {
        return false;
    }
    struct sec_acl_iter i;
    struct sec_ace ace;
    sec_acl_start(&i, p);
    while (sec_acl_next(&i, &ace)) {
    }
    return i.left == 0;
}

/* The part at `offset`, or NULL in *out for offset 0. */
static bool sid_part(const uint8_t *sd, size_t size, uint32_t offset, const uint8_t **out)
{
    *out = NULL;
    if (offset == 0) {
        return true;
    }
    if (offset < SD_HEADER || offset > size || sec_sid_at(sd + offset, size - offset) == 0) {
        return false;
    }
    *out = sd + offset;
    return true;
}

static bool acl_part(const uint8_t *sd, size_t size, bool present, uint32_t offset, const uint8_t **out)
{
    *out = NULL;
    if (!present || offset == 0) {
        return true;
    }
    if (offset < SD_HEADER || offset > size || !acl_valid(sd + offset, size - offset)) {
        return false;
    }
    *out = sd + offset;
    return true;
}

bool sec_sd_open(const void *sd, size_t size, struct sec_sd *out)
{
    const uint8_t *p = sd;
    *out = (struct sec_sd){0};
    if (p == NULL || size < SD_HEADER || p[0] != 1) {
        return false;
    }
    out->control = sec_get16(p + 2);
    return (out->control & SE_SELF_RELATIVE) && sid_part(p, size, sec_get32(p + 4), &out->owner) &&
           sid_part(p, size, sec_get32(p + 8), &out->group) &&
           acl_part(p, size, out->control & SE_SACL_PRESENT, sec_get32(p + 12), &out->sacl) &&
           acl_part(p, size, out->control & SE_DACL_PRESENT, sec_get32(p + 16), &out->dacl);
}

bool security_sd_valid(const void *sd, size_t size)
{
    struct sec_sd view;
    return sec_sd_open(sd, size, &view);
}
