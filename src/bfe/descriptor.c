/* SPDX-License-Identifier: Apache-2.0 */
/* descriptor: see descriptor.h. Layouts are the documented ones; integers are little-endian as on the host.
 */
#include "bfe/descriptor.h"

#include <stdlib.h>
#include <string.h>

/* The self-relative header (MS-DTYP 2.4.6): revision, sbz1, control, then four offsets from its start. */
struct relative {
    UINT8 revision, sbz1;
    UINT16 control;
    UINT32 owner, group, sacl, dacl;
};
_Static_assert(sizeof(struct relative) == 20, "self-relative header");

struct ace { /* what all ACE types begin with */
    UINT8 type, flags;
    UINT16 size;
    UINT32 mask;
};
_Static_assert(sizeof(struct ace) == 8, "ACE header and mask");

void descriptor_split(const struct bfe_sd *sd, struct descriptor_parts *out)
{
    struct relative head;

    *out = (struct descriptor_parts){0};
    if (!sd || sd->size < sizeof(head))
        return;
    memcpy(&head, sd->bytes, sizeof(head));
    if (head.owner)
        out->owner = (const void *)(sd->bytes + head.owner);
    if (head.group)
        out->group = (const void *)(sd->bytes + head.group);
    out->dacl_present = (head.control & SE_DACL_PRESENT) != 0;
    out->dacl_protected = (head.control & SE_DACL_PROTECTED) != 0;
    if (out->dacl_present && head.dacl)
        out->dacl = (const void *)(sd->bytes + head.dacl);
}

static UINT32 round4(size_t size)
{
    return (UINT32)((size + 3) & ~(size_t)3);
}

NTSTATUS descriptor_build(const struct descriptor_parts *parts, struct bfe_sd **out)
{
    struct relative head = {.revision = 1, .control = SE_SELF_RELATIVE};
    UINT32 owner = parts->owner ? round4(security_sid_size(parts->owner)) : 0;
    UINT32 group = parts->group ? round4(security_sid_size(parts->group)) : 0;
    UINT32 dacl = parts->dacl ? round4(parts->dacl->AclSize) : 0;
    UINT32 size = (UINT32)sizeof(head) + owner + group + dacl, at = sizeof(head);
    struct bfe_sd *sd = calloc(1, sizeof(*sd) + size);

    if (!sd)
        return STATUS_NO_MEMORY;
    sd->refs = 1;
    sd->size = size;
    if (parts->dacl_present)
        head.control |= SE_DACL_PRESENT;
    if (parts->dacl_protected)
        head.control |= SE_DACL_PROTECTED;
    if (owner) {
        head.owner = at;
        memcpy(sd->bytes + at, parts->owner, security_sid_size(parts->owner));
        at += owner;
    }
    if (group) {
        head.group = at;
        memcpy(sd->bytes + at, parts->group, security_sid_size(parts->group));
        at += group;
    }
    if (dacl) {
        head.dacl = at;
        memcpy(sd->bytes + at, parts->dacl, parts->dacl->AclSize);
    }
    memcpy(sd->bytes, &head, sizeof(head));
    *out = sd;
    return STATUS_SUCCESS;
}

bool descriptor_acl_valid(const ACL *acl)
{
    size_t at = sizeof(ACL);

    if (acl->AclRevision < ACL_REVISION || acl->AclRevision > ACL_REVISION_DS || acl->AclSize < sizeof(ACL))
        return false;
    for (unsigned i = 0; i < acl->AceCount; i++) {
        struct ace ace;
        if (acl->AclSize - at < sizeof(ace))
            return false;
        memcpy(&ace, (const UINT8 *)acl + at, sizeof(ace));
        if (ace.size < sizeof(ace) || ace.size % 4 || ace.size > acl->AclSize - at)
            return false;
        if (ace.type <= ACCESS_DENIED_ACE_TYPE &&
            !security_sid_valid((const UINT8 *)acl + at + sizeof(ace), ace.size - sizeof(ace)))
            return false;
        at += ace.size;
    }
    return true;
}

static UINT32 map_generic(UINT32 mask)
{
    static const struct {
        UINT32 generic, rights;
    } map[] = {
        {GENERIC_READ, FWPM_GENERIC_READ},
        {GENERIC_WRITE, FWPM_GENERIC_WRITE},
        {GENERIC_EXECUTE, FWPM_GENERIC_EXECUTE},
        {GENERIC_ALL, FWPM_GENERIC_ALL},
    };

    for (size_t i = 0; i < ARRAYSIZE(map); i++)
        if (mask & map[i].generic)
            mask = (mask & ~map[i].generic) | map[i].rights;
    return mask;
}

/* The flags with which a child gets an ACE, or -1 when it gets none of it. */
static int inherited_flags(UINT8 flags, bool container)
{
    if (!container)
        return flags & OBJECT_INHERIT_ACE ? INHERITED_ACE : -1;
    if (flags & CONTAINER_INHERIT_ACE) {
        UINT8 on =
            flags & NO_PROPAGATE_INHERIT_ACE ? 0 : flags & (OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE);
        return on | INHERITED_ACE;
    }
    if ((flags & OBJECT_INHERIT_ACE) && !(flags & NO_PROPAGATE_INHERIT_ACE)) /* for the children only */
        return OBJECT_INHERIT_ACE | INHERIT_ONLY_ACE | INHERITED_ACE;
    return -1;
}

/* Appends ACEs of `from` to `to`; inherit: those that a child gets, else those that are a node's own. */
static void append_aces(ACL *to, const ACL *from, bool inherit, bool container)
{
    size_t at = sizeof(ACL);

    for (unsigned i = 0; from && i < from->AceCount; i++) {
        struct ace ace;
        memcpy(&ace, (const UINT8 *)from + at, sizeof(ace));
        int flags = inherit                     ? inherited_flags(ace.flags, container)
                    : ace.flags & INHERITED_ACE ? -1
                                                : ace.flags;
        if (flags >= 0) {
            UINT8 *copy = (UINT8 *)to + to->AclSize;
            memcpy(copy, (const UINT8 *)from + at, ace.size);
            ace.flags = (UINT8)flags;
            ace.mask = map_generic(ace.mask);
            memcpy(copy, &ace, sizeof(ace));
            to->AclSize += ace.size;
            to->AceCount++;
        }
        at += ace.size;
    }
}

NTSTATUS descriptor_effective(const struct bfe_sd *own, const struct bfe_sd *parent, bool container,
                              struct bfe_sd **out)
{
    struct descriptor_parts mine, above, result;
    ACL *acl = NULL;
    NTSTATUS status;

    descriptor_split(own, &mine);
    descriptor_split(parent, &above);
    result = (struct descriptor_parts){
        .owner = mine.owner ? mine.owner : above.owner,
        .group = mine.group ? mine.group : above.group,
        .dacl_present = mine.dacl_present || above.dacl_present,
        .dacl_protected = mine.dacl_protected,
    };
    bool inherit = !mine.dacl_protected;
    bool null_dacl = mine.dacl_present ? !mine.dacl : inherit && above.dacl_present && !above.dacl;
    if (!null_dacl && result.dacl_present) {
        size_t size =
            sizeof(ACL) + (mine.dacl ? mine.dacl->AclSize : 0) + (above.dacl ? above.dacl->AclSize : 0);
        if (size > MAXUSHORT) /* an ACL cannot be larger; nobody is let in by what does not fit */
            return STATUS_INVALID_ACL;
        acl = calloc(1, size);
        if (!acl)
            return STATUS_NO_MEMORY;
        acl->AclRevision = ACL_REVISION_DS;
        acl->AclSize = sizeof(ACL);
        append_aces(acl, mine.dacl, false, container);
        if (inherit)
            append_aces(acl, above.dacl, true, container);
        result.dacl = acl;
    }
    status = descriptor_build(&result, out);
    free(acl);
    return status;
}
