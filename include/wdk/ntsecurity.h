/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ntsecurity.h: SIDs, access-control lists, security descriptors and tokens, in their documented binary
 * forms.
 *
 * On Windows these lie scattered over winnt.h and ntifs.h; here one header holds what the engine and drivers
 * at the platform's layers meet. All numbers come from the generated wdk_nt_constants.h.
 */
#ifndef WEIR_WDK_NTSECURITY_H
#define WEIR_WDK_NTSECURITY_H

#include "ntdef.h"
#include "wdk_nt_constants.h"

/* ---- SIDs -------------------------------------------------------------------------------------------- */
typedef struct _SID_IDENTIFIER_AUTHORITY {
    UCHAR Value[6]; /* big-endian */
} SID_IDENTIFIER_AUTHORITY, *PSID_IDENTIFIER_AUTHORITY;

typedef struct _SID {
    UCHAR Revision;
    UCHAR SubAuthorityCount;
    SID_IDENTIFIER_AUTHORITY IdentifierAuthority;
    ULONG SubAuthority[ANYSIZE_ARRAY]; /* SubAuthorityCount of them */
} SID, *PISID;
typedef PVOID PSID;

typedef struct _SID_AND_ATTRIBUTES {
    PSID Sid;
    ULONG Attributes; /* SE_GROUP_* */
} SID_AND_ATTRIBUTES, *PSID_AND_ATTRIBUTES;

typedef ULONG_PTR SID_HASH_ENTRY, *PSID_HASH_ENTRY;
#define SID_HASH_SIZE 32

/* A list of SIDs with an index over it. Whoever builds one without the index leaves Hash zero. */
typedef struct _SID_AND_ATTRIBUTES_HASH {
    ULONG SidCount;
    PSID_AND_ATTRIBUTES SidAttr;
    SID_HASH_ENTRY Hash[SID_HASH_SIZE];
} SID_AND_ATTRIBUTES_HASH, *PSID_AND_ATTRIBUTES_HASH;

/* ---- access-control lists -------------------------------------------------------------------------------
 */
typedef struct _ACL {
    UCHAR AclRevision;
    UCHAR Sbz1;
    USHORT AclSize; /* bytes, this header and all ACEs */
    USHORT AceCount;
    USHORT Sbz2;
} ACL, *PACL;

typedef struct _ACE_HEADER {
    UCHAR AceType; /* *_ACE_TYPE */
    UCHAR AceFlags;
    USHORT AceSize; /* bytes, all of the ACE, a multiple of 4 */
} ACE_HEADER, *PACE_HEADER;

/* The plain form: the SID begins at SidStart; in a callback ACE the application data (a conditional
 * expression begins with "artx") follows the SID. */
#define WEIR_PLAIN_ACE(name)                                                                                 \
    typedef struct _##name {                                                                                 \
        ACE_HEADER Header;                                                                                   \
        ACCESS_MASK Mask;                                                                                    \
        ULONG SidStart;                                                                                      \
    } name, *P##name
WEIR_PLAIN_ACE(ACCESS_ALLOWED_ACE);
WEIR_PLAIN_ACE(ACCESS_DENIED_ACE);
WEIR_PLAIN_ACE(SYSTEM_AUDIT_ACE);
WEIR_PLAIN_ACE(SYSTEM_ALARM_ACE);
WEIR_PLAIN_ACE(SYSTEM_MANDATORY_LABEL_ACE);
WEIR_PLAIN_ACE(SYSTEM_RESOURCE_ATTRIBUTE_ACE);
WEIR_PLAIN_ACE(SYSTEM_SCOPED_POLICY_ID_ACE);
WEIR_PLAIN_ACE(SYSTEM_PROCESS_TRUST_LABEL_ACE);
WEIR_PLAIN_ACE(ACCESS_ALLOWED_CALLBACK_ACE);
WEIR_PLAIN_ACE(ACCESS_DENIED_CALLBACK_ACE);
WEIR_PLAIN_ACE(SYSTEM_AUDIT_CALLBACK_ACE);
WEIR_PLAIN_ACE(SYSTEM_ALARM_CALLBACK_ACE);
#undef WEIR_PLAIN_ACE

/* The object form: each GUID is present only if Flags says so; what follows moves up when one is not. */
#define WEIR_OBJECT_ACE(name)                                                                                \
    typedef struct _##name {                                                                                 \
        ACE_HEADER Header;                                                                                   \
        ACCESS_MASK Mask;                                                                                    \
        ULONG Flags; /* ACE_OBJECT_TYPE_PRESENT, ACE_INHERITED_OBJECT_TYPE_PRESENT */                        \
        GUID ObjectType;                                                                                     \
        GUID InheritedObjectType;                                                                            \
        ULONG SidStart;                                                                                      \
    } name, *P##name
WEIR_OBJECT_ACE(ACCESS_ALLOWED_OBJECT_ACE);
WEIR_OBJECT_ACE(ACCESS_DENIED_OBJECT_ACE);
WEIR_OBJECT_ACE(SYSTEM_AUDIT_OBJECT_ACE);
WEIR_OBJECT_ACE(SYSTEM_ALARM_OBJECT_ACE);
WEIR_OBJECT_ACE(ACCESS_ALLOWED_CALLBACK_OBJECT_ACE);
WEIR_OBJECT_ACE(ACCESS_DENIED_CALLBACK_OBJECT_ACE);
WEIR_OBJECT_ACE(SYSTEM_AUDIT_CALLBACK_OBJECT_ACE);
WEIR_OBJECT_ACE(SYSTEM_ALARM_CALLBACK_OBJECT_ACE);
#undef WEIR_OBJECT_ACE

/* ---- security descriptors -------------------------------------------------------------------------------
 */
typedef USHORT SECURITY_DESCRIPTOR_CONTROL, *PSECURITY_DESCRIPTOR_CONTROL; /* SE_DACL_PRESENT ... */
typedef ULONG SECURITY_INFORMATION, *PSECURITY_INFORMATION;

typedef struct _SECURITY_DESCRIPTOR { /* absolute: pointers */
    UCHAR Revision;
    UCHAR Sbz1;
    SECURITY_DESCRIPTOR_CONTROL Control;
    PSID Owner;
    PSID Group;
    PACL Sacl;
    PACL Dacl;
} SECURITY_DESCRIPTOR, *PISECURITY_DESCRIPTOR;
typedef PVOID PSECURITY_DESCRIPTOR;

typedef struct _SECURITY_DESCRIPTOR_RELATIVE { /* self-relative: offsets from its start, 0 for none */
    UCHAR Revision;
    UCHAR Sbz1;
    SECURITY_DESCRIPTOR_CONTROL Control; /* SE_SELF_RELATIVE is set */
    ULONG Owner;
    ULONG Group;
    ULONG Sacl;
    ULONG Dacl;
} SECURITY_DESCRIPTOR_RELATIVE, *PISECURITY_DESCRIPTOR_RELATIVE;

typedef struct _GENERIC_MAPPING {
    ACCESS_MASK GenericRead;
    ACCESS_MASK GenericWrite;
    ACCESS_MASK GenericExecute;
    ACCESS_MASK GenericAll;
} GENERIC_MAPPING, *PGENERIC_MAPPING;

/* ---- tokens ------------------------------------------------------------------------------------------- */
typedef struct _LUID_AND_ATTRIBUTES {
    LUID Luid;
    ULONG Attributes;
} LUID_AND_ATTRIBUTES, *PLUID_AND_ATTRIBUTES;

typedef struct _TOKEN_PRIVILEGES {
    ULONG PrivilegeCount;
    LUID_AND_ATTRIBUTES Privileges[ANYSIZE_ARRAY];
} TOKEN_PRIVILEGES, *PTOKEN_PRIVILEGES;

typedef struct _TOKEN_USER {
    SID_AND_ATTRIBUTES User;
} TOKEN_USER, *PTOKEN_USER;

typedef struct _TOKEN_GROUPS {
    ULONG GroupCount;
    SID_AND_ATTRIBUTES Groups[ANYSIZE_ARRAY];
} TOKEN_GROUPS, *PTOKEN_GROUPS;

typedef struct _TOKEN_MANDATORY_POLICY {
    ULONG Policy; /* TOKEN_MANDATORY_POLICY_* */
} TOKEN_MANDATORY_POLICY, *PTOKEN_MANDATORY_POLICY;

typedef PVOID PSECURITY_ATTRIBUTES_OPAQUE;

/* All that an access check asks of a token; the data of an FWP_TOKEN_ACCESS_INFORMATION_TYPE value. */
typedef struct _TOKEN_ACCESS_INFORMATION {
    PSID_AND_ATTRIBUTES_HASH SidHash;           /* the user first, then the groups */
    PSID_AND_ATTRIBUTES_HASH RestrictedSidHash; /* may be NULL */
    PTOKEN_PRIVILEGES Privileges;
    LUID AuthenticationId;
    TOKEN_TYPE TokenType;
    SECURITY_IMPERSONATION_LEVEL ImpersonationLevel;
    TOKEN_MANDATORY_POLICY MandatoryPolicy;
    ULONG Flags;
    ULONG AppContainerNumber;
    PSID PackageSid; /* NULL: no AppContainer */
    PSID_AND_ATTRIBUTES_HASH CapabilitiesHash;
    PSID TrustLevelSid;
    PSECURITY_ATTRIBUTES_OPAQUE
        SecurityAttributes; /* Weir: a TOKEN_SECURITY_ATTRIBUTES_INFORMATION, or NULL */
} TOKEN_ACCESS_INFORMATION, *PTOKEN_ACCESS_INFORMATION;

/* ---- security attributes: of tokens (kernel form, UNICODE_STRINGs) and of claims (user form)
 * ---------------- */
typedef struct _TOKEN_SECURITY_ATTRIBUTE_FQBN_VALUE {
    ULONG64 Version;
    UNICODE_STRING Name;
} TOKEN_SECURITY_ATTRIBUTE_FQBN_VALUE, *PTOKEN_SECURITY_ATTRIBUTE_FQBN_VALUE;

typedef struct _TOKEN_SECURITY_ATTRIBUTE_OCTET_STRING_VALUE {
    PVOID pValue;
    ULONG ValueLength;
} TOKEN_SECURITY_ATTRIBUTE_OCTET_STRING_VALUE, *PTOKEN_SECURITY_ATTRIBUTE_OCTET_STRING_VALUE;

typedef struct _TOKEN_SECURITY_ATTRIBUTE_V1 {
    UNICODE_STRING Name;
    USHORT ValueType; /* as CLAIM_SECURITY_ATTRIBUTE_TYPE_* */
    USHORT Reserved;
    ULONG Flags;
    ULONG ValueCount;
    union {
        PLONG64 pInt64;
        PULONG64 pUint64; /* booleans too */
        PUNICODE_STRING pString;
        PTOKEN_SECURITY_ATTRIBUTE_FQBN_VALUE pFqbn;
        PTOKEN_SECURITY_ATTRIBUTE_OCTET_STRING_VALUE pOctetString; /* SIDs too */
    } Values;
} TOKEN_SECURITY_ATTRIBUTE_V1, *PTOKEN_SECURITY_ATTRIBUTE_V1;

typedef struct _TOKEN_SECURITY_ATTRIBUTES_INFORMATION {
    USHORT Version; /* 1 */
    USHORT Reserved;
    ULONG AttributeCount;
    union {
        PTOKEN_SECURITY_ATTRIBUTE_V1 pAttributeV1;
    } Attribute;
} TOKEN_SECURITY_ATTRIBUTES_INFORMATION, *PTOKEN_SECURITY_ATTRIBUTES_INFORMATION;

typedef struct _CLAIM_SECURITY_ATTRIBUTE_FQBN_VALUE {
    DWORD64 Version;
    PWSTR Name;
} CLAIM_SECURITY_ATTRIBUTE_FQBN_VALUE, *PCLAIM_SECURITY_ATTRIBUTE_FQBN_VALUE;

typedef struct _CLAIM_SECURITY_ATTRIBUTE_OCTET_STRING_VALUE {
    PVOID pValue;
    ULONG ValueLength;
} CLAIM_SECURITY_ATTRIBUTE_OCTET_STRING_VALUE, *PCLAIM_SECURITY_ATTRIBUTE_OCTET_STRING_VALUE;

typedef struct _CLAIM_SECURITY_ATTRIBUTE_V1 {
    PWSTR Name;
    USHORT ValueType; /* CLAIM_SECURITY_ATTRIBUTE_TYPE_* */
    USHORT Reserved;
    ULONG Flags;
    ULONG ValueCount;
    union {
        PLONG64 pInt64;
        PDWORD64 pUint64;
        PWSTR *ppString;
        PCLAIM_SECURITY_ATTRIBUTE_FQBN_VALUE pFqbn;
        PCLAIM_SECURITY_ATTRIBUTE_OCTET_STRING_VALUE pOctetString;
    } Values;
} CLAIM_SECURITY_ATTRIBUTE_V1, *PCLAIM_SECURITY_ATTRIBUTE_V1;

/* The form inside a SYSTEM_RESOURCE_ATTRIBUTE_ACE: all offsets from its start. */
typedef struct _CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1 {
    ULONG Name;
    USHORT ValueType;
    USHORT Reserved;
    ULONG Flags;
    ULONG ValueCount;
    union {
        ULONG pInt64[ANYSIZE_ARRAY];
        ULONG pUint64[ANYSIZE_ARRAY];
        ULONG ppString[ANYSIZE_ARRAY];
        ULONG pFqbn[ANYSIZE_ARRAY];
        ULONG pOctetString[ANYSIZE_ARRAY];
    } Values;
} CLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1, *PCLAIM_SECURITY_ATTRIBUTE_RELATIVE_V1;

typedef struct _CLAIM_SECURITY_ATTRIBUTES_INFORMATION {
    USHORT Version;
    USHORT Reserved;
    ULONG AttributeCount;
    union {
        PCLAIM_SECURITY_ATTRIBUTE_V1 pAttributeV1;
    } Attribute;
} CLAIM_SECURITY_ATTRIBUTES_INFORMATION, *PCLAIM_SECURITY_ATTRIBUTES_INFORMATION;

/* Who gave out a SID, as an initialiser (MS-DTYP 2.4.1.1). */
#define SECURITY_NULL_SID_AUTHORITY        {0, 0, 0, 0, 0, 0}
#define SECURITY_WORLD_SID_AUTHORITY       {0, 0, 0, 0, 0, 1}
#define SECURITY_LOCAL_SID_AUTHORITY       {0, 0, 0, 0, 0, 2}
#define SECURITY_CREATOR_SID_AUTHORITY     {0, 0, 0, 0, 0, 3}
#define SECURITY_NT_AUTHORITY              {0, 0, 0, 0, 0, 5}
#define SECURITY_APP_PACKAGE_AUTHORITY     {0, 0, 0, 0, 0, 15}
#define SECURITY_MANDATORY_LABEL_AUTHORITY {0, 0, 0, 0, 0, 16}

#endif
