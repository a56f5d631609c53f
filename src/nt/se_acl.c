/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIDs, access-control lists and security descriptors as drivers build them: in memory of their own, of the
 * documented binary forms (ntsecurity.h). What reads them, the access check, is in room `security`.
 */
#include <stdio.h>

#include "nt/fault.h"
#include "nt/internal.h"
#include "nt/text.h"

enum { SUB_AUTHORITIES_MAX = 15, SID_HEAD = 8 };

/* ---- SIDs
 * -----------------------------------------------------------------------------------------------------------
 */
BOOLEAN RtlValidSid(PSID Sid)
{
    const SID *s = Sid;

    return s != NULL && s->Revision == SID_REVISION && s->SubAuthorityCount <= SUB_AUTHORITIES_MAX;
}

ULONG RtlLengthRequiredSid(ULONG SubAuthorityCount)
{
    return SID_HEAD + 4 * SubAuthorityCount;
}

ULONG RtlLengthSid(PSID Sid)
{
    NT_IRQL_MAX(APC_LEVEL);
    return RtlLengthRequiredSid(((const SID *)Sid)->SubAuthorityCount);
}

NTSTATUS RtlInitializeSid(PSID Sid, PSID_IDENTIFIER_AUTHORITY IdentifierAuthority, UCHAR SubAuthorityCount)
{
    SID *s = Sid;

    if (SubAuthorityCount > SUB_AUTHORITIES_MAX)
        return STATUS_INVALID_PARAMETER;
    s->Revision = SID_REVISION;
    s->SubAuthorityCount = SubAuthorityCount;
    s->IdentifierAuthority = *IdentifierAuthority;
    return STATUS_SUCCESS;
}

PULONG RtlSubAuthoritySid(PSID Sid, ULONG SubAuthority)
{
    return (PULONG)((PUCHAR)Sid + SID_HEAD) + SubAuthority;
}

PUCHAR RtlSubAuthorityCountSid(PSID Sid)
{
    return &((SID *)Sid)->SubAuthorityCount;
}

NTSTATUS RtlCopySid(ULONG DestinationSidLength, PSID DestinationSid, PSID SourceSid)
{
    ULONG length = RtlLengthRequiredSid(((const SID *)SourceSid)->SubAuthorityCount);

    NT_IRQL_MAX(APC_LEVEL);
    if (length > DestinationSidLength)
        return STATUS_BUFFER_TOO_SMALL;
    memmove(DestinationSid, SourceSid, length);
    return STATUS_SUCCESS;
}

BOOLEAN RtlEqualSid(PSID Sid1, PSID Sid2)
{
    const SID *a = Sid1, *b = Sid2;

    return a->Revision == b->Revision && a->SubAuthorityCount == b->SubAuthorityCount &&
           memcmp(a, b, RtlLengthRequiredSid(a->SubAuthorityCount)) == 0;
}

NTSTATUS RtlConvertSidToUnicodeString(PUNICODE_STRING UnicodeString, PSID Sid,
                                      BOOLEAN AllocateDestinationString)
{
    NT_FAIL_STATUS(RtlConvertSidToUnicodeString);
    const SID *s = Sid;
    const UCHAR *a = s->IdentifierAuthority.Value;
    char text[32 + 11 * SUB_AUTHORITIES_MAX];

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (!RtlValidSid(Sid))
        return STATUS_INVALID_SID;
    int n = a[0] == 0 && a[1] == 0
                ? snprintf(text, sizeof text, "S-%u-%u", s->Revision,
                           (unsigned)a[2] << 24 | (unsigned)a[3] << 16 | (unsigned)a[4] << 8 | a[5])
                : snprintf(text, sizeof text, "S-%u-0x%02x%02x%02x%02x%02x%02x", s->Revision, a[0], a[1],
                           a[2], a[3], a[4], a[5]);
    for (unsigned i = 0; i < s->SubAuthorityCount; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "-%u", *RtlSubAuthoritySid(Sid, i));
    size_t bytes = ((size_t)n + 1) * sizeof(WCHAR);
    if (AllocateDestinationString) {
        UnicodeString->Buffer = nt_pool_alloc(bytes, RTL_TAG, NT_SITE);
        if (UnicodeString->Buffer == NULL)
            return STATUS_NO_MEMORY;
        UnicodeString->MaximumLength = (USHORT)bytes;
    } else if (bytes > UnicodeString->MaximumLength) {
        return STATUS_BUFFER_OVERFLOW;
    }
    for (int i = 0; i <= n; i++)
        UnicodeString->Buffer[i] = (WCHAR)text[i];
    UnicodeString->Length = (USHORT)(bytes - sizeof(WCHAR));
    return STATUS_SUCCESS;
}

/* ---- lists
 * ----------------------------------------------------------------------------------------------------------
 */
NTSTATUS RtlCreateAcl(PACL Acl, ULONG AclLength, ULONG AclRevision)
{
    NT_IRQL_MAX(APC_LEVEL);
    if (AclLength < sizeof(ACL))
        return STATUS_BUFFER_TOO_SMALL;
    if (AclRevision < MIN_ACL_REVISION || AclRevision > MAX_ACL_REVISION || AclLength > 0xffff)
        return STATUS_INVALID_PARAMETER;
    *Acl = (ACL){.AclRevision = (UCHAR)AclRevision, .AclSize = (USHORT)(AclLength & ~3u)};
    return STATUS_SUCCESS;
}

/* Where the ACEs end; false: they are not well-formed. */
static bool end_of(const ACL *acl, size_t *end)
{
    size_t at = sizeof *acl;

    if (acl->AclRevision < MIN_ACL_REVISION || acl->AclRevision > MAX_ACL_REVISION ||
        acl->AclSize < sizeof *acl)
        return false;
    for (unsigned i = 0; i < acl->AceCount; i++) {
        if (at + sizeof(ACE_HEADER) > acl->AclSize)
            return false;
        const ACE_HEADER *ace = (const ACE_HEADER *)((const char *)acl + at);
        if (ace->AceSize < sizeof *ace || ace->AceSize > acl->AclSize - at)
            return false;
        at += ace->AceSize;
    }
    *end = at;
    return true;
}

BOOLEAN RtlValidAcl(PACL Acl)
{
    size_t end;

    return Acl != NULL && end_of(Acl, &end);
}

static NTSTATUS add_ace(PACL acl, ULONG revision, UCHAR type, ULONG flags, ACCESS_MASK mask, PSID sid)
{
    size_t end;

    if (!RtlValidSid(sid))
        return STATUS_INVALID_SID;
    if (revision > MAX_ACL_REVISION || acl->AclRevision > MAX_ACL_REVISION)
        return STATUS_REVISION_MISMATCH;
    if (!end_of(acl, &end))
        return STATUS_INVALID_ACL;
    size_t size =
        offsetof(ACCESS_ALLOWED_ACE, SidStart) + RtlLengthRequiredSid(((const SID *)sid)->SubAuthorityCount);
    if (size > acl->AclSize - end)
        return STATUS_ALLOTTED_SPACE_EXCEEDED;
    ACCESS_ALLOWED_ACE *ace = (ACCESS_ALLOWED_ACE *)((char *)acl + end);
    ace->Header = (ACE_HEADER){type, (UCHAR)flags, (USHORT)size};
    ace->Mask = mask;
    memcpy(&ace->SidStart, sid, size - offsetof(ACCESS_ALLOWED_ACE, SidStart));
    acl->AceCount++;
    if (revision > acl->AclRevision)
        acl->AclRevision = (UCHAR)revision;
    return STATUS_SUCCESS;
}

NTSTATUS RtlAddAccessAllowedAce(PACL Acl, ULONG AceRevision, ACCESS_MASK AccessMask, PSID Sid)
{
    NT_IRQL_MAX(APC_LEVEL);
    return add_ace(Acl, AceRevision, ACCESS_ALLOWED_ACE_TYPE, 0, AccessMask, Sid);
}

NTSTATUS RtlAddAccessAllowedAceEx(PACL Acl, ULONG AceRevision, ULONG AceFlags, ACCESS_MASK AccessMask,
                                  PSID Sid)
{
    NT_IRQL_MAX(APC_LEVEL);
    return add_ace(Acl, AceRevision, ACCESS_ALLOWED_ACE_TYPE, AceFlags, AccessMask, Sid);
}

NTSTATUS RtlAddAccessDeniedAce(PACL Acl, ULONG AceRevision, ACCESS_MASK AccessMask, PSID Sid)
{
    NT_IRQL_MAX(APC_LEVEL);
    return add_ace(Acl, AceRevision, ACCESS_DENIED_ACE_TYPE, 0, AccessMask, Sid);
}

NTSTATUS RtlGetAce(PACL Acl, ULONG AceIndex, PVOID *Ace)
{
    size_t at = sizeof *Acl, end;

    if (!end_of(Acl, &end) || AceIndex >= Acl->AceCount)
        return STATUS_INVALID_PARAMETER;
    while (AceIndex-- > 0)
        at += ((ACE_HEADER *)((char *)Acl + at))->AceSize;
    *Ace = (char *)Acl + at;
    return STATUS_SUCCESS;
}

/* ---- descriptors
 * ---------------------------------------------------------------------------------------------------- */
NTSTATUS RtlCreateSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor, ULONG Revision)
{
    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (Revision != SECURITY_DESCRIPTOR_REVISION)
        return STATUS_UNKNOWN_REVISION;
    *(SECURITY_DESCRIPTOR *)SecurityDescriptor = (SECURITY_DESCRIPTOR){.Revision = (UCHAR)Revision};
    return STATUS_SUCCESS;
}

/* An absolute one; STATUS_SUCCESS, or why not. */
static NTSTATUS absolute(const SECURITY_DESCRIPTOR *sd)
{
    if (sd->Revision != SECURITY_DESCRIPTOR_REVISION)
        return STATUS_UNKNOWN_REVISION;
    return sd->Control & SE_SELF_RELATIVE ? STATUS_INVALID_SECURITY_DESCR : STATUS_SUCCESS;
}

static void control(SECURITY_DESCRIPTOR *sd, USHORT bit, BOOLEAN on)
{
    sd->Control = (USHORT)(on ? sd->Control | bit : sd->Control & ~bit);
}

NTSTATUS RtlSetDaclSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor, BOOLEAN DaclPresent, PACL Dacl,
                                      BOOLEAN DaclDefaulted)
{
    SECURITY_DESCRIPTOR *sd = SecurityDescriptor;
    NTSTATUS status = absolute(sd);

    NT_IRQL_MAX(PASSIVE_LEVEL);
    if (!NT_SUCCESS(status))
        return status;
    control(sd, SE_DACL_PRESENT, DaclPresent);
    control(sd, SE_DACL_DEFAULTED, DaclPresent && DaclDefaulted);
    sd->Dacl = DaclPresent ? Dacl : NULL;
    return STATUS_SUCCESS;
}

NTSTATUS RtlSetOwnerSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor, PSID Owner,
                                       BOOLEAN OwnerDefaulted)
{
    SECURITY_DESCRIPTOR *sd = SecurityDescriptor;
    NTSTATUS status = absolute(sd);

    if (!NT_SUCCESS(status))
        return status;
    sd->Owner = Owner;
    control(sd, SE_OWNER_DEFAULTED, OwnerDefaulted);
    return STATUS_SUCCESS;
}

NTSTATUS RtlSetGroupSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor, PSID Group,
                                       BOOLEAN GroupDefaulted)
{
    SECURITY_DESCRIPTOR *sd = SecurityDescriptor;
    NTSTATUS status = absolute(sd);

    if (!NT_SUCCESS(status))
        return status;
    sd->Group = Group;
    control(sd, SE_GROUP_DEFAULTED, GroupDefaulted);
    return STATUS_SUCCESS;
}

/* A part of either form; NULL: it has none. */
static void *part(const SECURITY_DESCRIPTOR *sd, void *pointer, ULONG offset)
{
    if (!(sd->Control & SE_SELF_RELATIVE))
        return pointer;
    return offset == 0 ? NULL : (char *)(uintptr_t)sd + offset;
}

static void parts(const SECURITY_DESCRIPTOR *sd, PSID *owner, PSID *group, PACL *sacl, PACL *dacl)
{
    const SECURITY_DESCRIPTOR_RELATIVE *r = (const SECURITY_DESCRIPTOR_RELATIVE *)sd;
    bool relative = sd->Control & SE_SELF_RELATIVE;

    *owner = part(sd, relative ? NULL : sd->Owner, relative ? r->Owner : 0);
    *group = part(sd, relative ? NULL : sd->Group, relative ? r->Group : 0);
    *sacl =
        sd->Control & SE_SACL_PRESENT ? part(sd, relative ? NULL : sd->Sacl, relative ? r->Sacl : 0) : NULL;
    *dacl =
        sd->Control & SE_DACL_PRESENT ? part(sd, relative ? NULL : sd->Dacl, relative ? r->Dacl : 0) : NULL;
}

NTSTATUS RtlGetDaclSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor, PBOOLEAN DaclPresent,
                                      PACL *Dacl, PBOOLEAN DaclDefaulted)
{
    const SECURITY_DESCRIPTOR *sd = SecurityDescriptor;
    PSID owner, group;
    PACL sacl;

    if (sd->Revision != SECURITY_DESCRIPTOR_REVISION)
        return STATUS_UNKNOWN_REVISION;
    *DaclPresent = (sd->Control & SE_DACL_PRESENT) != 0;
    if (*DaclPresent) {
        parts(sd, &owner, &group, &sacl, Dacl);
        *DaclDefaulted = (sd->Control & SE_DACL_DEFAULTED) != 0;
    }
    return STATUS_SUCCESS;
}

BOOLEAN RtlValidSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor)
{
    const SECURITY_DESCRIPTOR *sd = SecurityDescriptor;
    PSID owner, group;
    PACL sacl, dacl;

    if (sd == NULL || sd->Revision != SECURITY_DESCRIPTOR_REVISION)
        return FALSE;
    parts(sd, &owner, &group, &sacl, &dacl);
    return (owner == NULL || RtlValidSid(owner)) && (group == NULL || RtlValidSid(group)) &&
           (sacl == NULL || RtlValidAcl(sacl)) && (dacl == NULL || RtlValidAcl(dacl));
}

ULONG RtlLengthSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor)
{
    const SECURITY_DESCRIPTOR *sd = SecurityDescriptor;
    ULONG length = sd->Control & SE_SELF_RELATIVE ? sizeof(SECURITY_DESCRIPTOR_RELATIVE) : sizeof *sd;
    PSID owner, group;
    PACL sacl, dacl;

    parts(sd, &owner, &group, &sacl, &dacl);
    length += owner == NULL ? 0 : RtlLengthRequiredSid(((const SID *)owner)->SubAuthorityCount);
    length += group == NULL ? 0 : RtlLengthRequiredSid(((const SID *)group)->SubAuthorityCount);
    length += sacl == NULL ? 0 : (sacl->AclSize + 3u) & ~3u;
    return length + (dacl == NULL ? 0 : (dacl->AclSize + 3u) & ~3u);
}

VOID RtlMapGenericMask(PACCESS_MASK AccessMask, const GENERIC_MAPPING *GenericMapping)
{
    ACCESS_MASK mask = *AccessMask;

    NT_IRQL_MAX(APC_LEVEL);
    if (mask & GENERIC_READ)
        mask |= GenericMapping->GenericRead;
    if (mask & GENERIC_WRITE)
        mask |= GenericMapping->GenericWrite;
    if (mask & GENERIC_EXECUTE)
        mask |= GenericMapping->GenericExecute;
    if (mask & GENERIC_ALL)
        mask |= GenericMapping->GenericAll;
    *AccessMask = mask & ~(ACCESS_MASK)(GENERIC_READ | GENERIC_WRITE | GENERIC_EXECUTE | GENERIC_ALL);
}
