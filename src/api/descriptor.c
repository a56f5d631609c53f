/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Security descriptors as callers of the API give them: one pointer, absolute or self-relative, without a
 * size. What the pointer leads to is trusted to be a descriptor in memory, as everywhere on Windows; its
 * parts are checked.
 */
#include "fwpmk.h"

#include <stdlib.h>
#include <string.h>

#include "api/internal.h"
#include "security/security.h"

struct parts {
    const SID *owner, *group;
    const ACL *sacl, *dacl;
};

static const void *at_offset(const void *sd, UINT32 offset)
{
    return offset ? (const UINT8 *)sd + offset : NULL;
}

static size_t size_of_sid(const SID *sid)
{
    return sid ? security_sid_size(sid) : 0;
}

static size_t size_of_acl(const ACL *acl)
{
    return acl ? acl->AclSize : 0;
}

static UINT32 put(UINT8 *base, size_t *at, const void *part, size_t size)
{
    UINT32 offset = part ? (UINT32)*at : 0;

    if (part)
        memcpy(base + *at, part, size);
    *at += (size + 3) & ~(size_t)3;
    return offset;
}

NTSTATUS api_descriptor(PSECURITY_DESCRIPTOR sd, void **out, size_t *size)
{
    SECURITY_DESCRIPTOR_RELATIVE head;
    struct parts p = {0};
    size_t at = sizeof(head), room;
    UINT8 *block;

    *out = NULL;
    *size = 0;
    if (!sd)
        return STATUS_SUCCESS;
    memcpy(&head, sd, offsetof(SECURITY_DESCRIPTOR_RELATIVE, Owner)); /* common to both forms */
    if (head.Control & SE_SELF_RELATIVE) {
        memcpy(&head, sd, sizeof(head));
        p = (struct parts){at_offset(sd, head.Owner), at_offset(sd, head.Group), at_offset(sd, head.Sacl),
                           at_offset(sd, head.Dacl)};
    } else {
        SECURITY_DESCRIPTOR absolute;
        memcpy(&absolute, sd, sizeof(absolute));
        p = (struct parts){absolute.Owner, absolute.Group, absolute.Sacl, absolute.Dacl};
    }
    if ((p.owner && !security_sid_valid(p.owner, SECURITY_MAX_SID_SIZE)) ||
        (p.group && !security_sid_valid(p.group, SECURITY_MAX_SID_SIZE)))
        return STATUS_INVALID_SECURITY_DESCR;
    room = at + size_of_sid(p.owner) + size_of_sid(p.group) + size_of_acl(p.sacl) + size_of_acl(p.dacl) + 16;
    block = calloc(1, room);
    if (!block)
        return STATUS_NO_MEMORY;
    head.Control |= SE_SELF_RELATIVE;
    head.Owner = put(block, &at, p.owner, size_of_sid(p.owner));
    head.Group = put(block, &at, p.group, size_of_sid(p.group));
    head.Sacl = put(block, &at, p.sacl, size_of_acl(p.sacl));
    head.Dacl = put(block, &at, p.dacl, size_of_acl(p.dacl));
    memcpy(block, &head, sizeof(head));
    if (!security_sd_valid(block, at)) {
        free(block);
        return STATUS_INVALID_SECURITY_DESCR;
    }
    *out = block;
    *size = at;
    return STATUS_SUCCESS;
}
