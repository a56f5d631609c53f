/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of wdm.h: SIDs, access-control lists, security descriptors, access checks from the kernel
 * (src/nt/se_*.c; SeAccessCheckFromState is in src/security). < DISPATCH_LEVEL.
 */
#ifndef WEIR_WDK_NT_SE_H
#define WEIR_WDK_NT_SE_H

typedef struct _PRIVILEGE_SET {
    ULONG PrivilegeCount;
    ULONG Control;
    LUID_AND_ATTRIBUTES Privilege[ANYSIZE_ARRAY];
} PRIVILEGE_SET, *PPRIVILEGE_SET;

BOOLEAN RtlValidSid(PSID Sid);
ULONG RtlLengthSid(PSID Sid);
ULONG RtlLengthRequiredSid(ULONG SubAuthorityCount);
NTSTATUS RtlInitializeSid(PSID Sid, PSID_IDENTIFIER_AUTHORITY IdentifierAuthority, UCHAR SubAuthorityCount);
PULONG RtlSubAuthoritySid(PSID Sid, ULONG SubAuthority);
PUCHAR RtlSubAuthorityCountSid(PSID Sid);
NTSTATUS RtlCopySid(ULONG DestinationSidLength, PSID DestinationSid, PSID SourceSid);
BOOLEAN RtlEqualSid(PSID Sid1, PSID Sid2);
NTSTATUS RtlConvertSidToUnicodeString(PUNICODE_STRING UnicodeString, PSID Sid,
                                      BOOLEAN AllocateDestinationString);

NTSTATUS RtlCreateAcl(PACL Acl, ULONG AclLength, ULONG AclRevision);
BOOLEAN RtlValidAcl(PACL Acl);
NTSTATUS RtlAddAccessAllowedAce(PACL Acl, ULONG AceRevision, ACCESS_MASK AccessMask, PSID Sid);
NTSTATUS RtlAddAccessAllowedAceEx(PACL Acl, ULONG AceRevision, ULONG AceFlags, ACCESS_MASK AccessMask,
                                  PSID Sid);
NTSTATUS RtlAddAccessDeniedAce(PACL Acl, ULONG AceRevision, ACCESS_MASK AccessMask, PSID Sid);
NTSTATUS RtlGetAce(PACL Acl, ULONG AceIndex, PVOID *Ace);

NTSTATUS RtlCreateSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor, ULONG Revision);
NTSTATUS RtlSetDaclSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor, BOOLEAN DaclPresent, PACL Dacl,
                                      BOOLEAN DaclDefaulted);
NTSTATUS RtlGetDaclSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor, PBOOLEAN DaclPresent,
                                      PACL *Dacl, PBOOLEAN DaclDefaulted);
NTSTATUS RtlSetOwnerSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor, PSID Owner,
                                       BOOLEAN OwnerDefaulted);
NTSTATUS RtlSetGroupSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor, PSID Group,
                                       BOOLEAN GroupDefaulted);
BOOLEAN RtlValidSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor);
ULONG RtlLengthSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor);
VOID RtlMapGenericMask(PACCESS_MASK AccessMask, const GENERIC_MAPPING *GenericMapping);

/* ClientTokenInformation, where it is not NULL, is whom the check is for. Generic rights are mapped;
 * MAXIMUM_ALLOWED is answered with all that would be granted. */
BOOLEAN SeAccessCheckFromState(PSECURITY_DESCRIPTOR SecurityDescriptor,
                               PTOKEN_ACCESS_INFORMATION PrimaryTokenInformation,
                               PTOKEN_ACCESS_INFORMATION ClientTokenInformation, ACCESS_MASK DesiredAccess,
                               ACCESS_MASK PreviouslyGrantedAccess, PPRIVILEGE_SET *Privileges,
                               PGENERIC_MAPPING GenericMapping, KPROCESSOR_MODE AccessMode,
                               PACCESS_MASK GrantedAccess, PNTSTATUS AccessStatus);
VOID SeFreePrivileges(PPRIVILEGE_SET Privileges);

#endif
