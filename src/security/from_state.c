/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SeAccessCheckFromState(): a driver asks what a token that it was shown in a callout may do. The token is a
 * TOKEN_ACCESS_INFORMATION as Weir indicates it (security_token_blob()): what it points to lies behind it.
 */
#include <stdlib.h>
#include <string.h>

#include "ntddk.h"
#include "security/security.h"

/* A self-relative copy of the DACL and owner, which is what a check looks at; NULL: no memory, or not
 * well-formed. */
static void *relative(PSECURITY_DESCRIPTOR descriptor, size_t *size)
{
    const SECURITY_DESCRIPTOR *sd = descriptor;
    const SECURITY_DESCRIPTOR_RELATIVE *from = descriptor;
    BOOLEAN present = FALSE, defaulted;
    PACL dacl = NULL;

    if (!RtlValidSecurityDescriptor(descriptor) ||
        !NT_SUCCESS(RtlGetDaclSecurityDescriptor(descriptor, &present, &dacl, &defaulted)))
        return NULL;
    PSID owner = sd->Control & SE_SELF_RELATIVE ? from->Owner == 0 ? NULL : (char *)descriptor + from->Owner
                                                : sd->Owner;
    size_t owner_size = owner == NULL ? 0 : RtlLengthSid(owner),
           dacl_size = present && dacl != NULL ? dacl->AclSize : 0;
    SECURITY_DESCRIPTOR_RELATIVE *to = calloc(1, sizeof *to + owner_size + dacl_size);
    if (to == NULL)
        return NULL;
    to->Revision = sd->Revision;
    to->Control = (USHORT)(SE_SELF_RELATIVE | (present ? SE_DACL_PRESENT : 0));
    if (owner != NULL) {
        to->Owner = sizeof *to;
        memcpy(to + 1, owner, owner_size);
    }
    if (dacl_size > 0) {
        to->Dacl = (ULONG)(sizeof *to + owner_size);
        memcpy((char *)(to + 1) + owner_size, dacl, dacl_size);
    }
    *size = sizeof *to + owner_size + dacl_size;
    return to;
}

BOOLEAN SeAccessCheckFromState(PSECURITY_DESCRIPTOR SecurityDescriptor,
                               PTOKEN_ACCESS_INFORMATION PrimaryTokenInformation,
                               PTOKEN_ACCESS_INFORMATION ClientTokenInformation, ACCESS_MASK DesiredAccess,
                               ACCESS_MASK PreviouslyGrantedAccess, PPRIVILEGE_SET *Privileges,
                               PGENERIC_MAPPING GenericMapping, KPROCESSOR_MODE AccessMode,
                               PACCESS_MASK GrantedAccess, PNTSTATUS AccessStatus)
{
    PTOKEN_ACCESS_INFORMATION token =
        ClientTokenInformation != NULL ? ClientTokenInformation : PrimaryTokenInformation;
    /* Its end is not known: what it points to is trusted to lie behind it. */
    const FWP_BYTE_BLOB blob = {.size = 0xffffffff, .data = (UINT8 *)token};
    ACCESS_MASK wanted = DesiredAccess, granted = 0;
    size_t size = 0;

    if (Privileges != NULL)
        *Privileges = NULL;
    *GrantedAccess = 0;
    *AccessStatus = STATUS_ACCESS_DENIED;
    RtlMapGenericMask(&wanted, GenericMapping);
    if (AccessMode == KernelMode) {
        *GrantedAccess = (wanted & MAXIMUM_ALLOWED ? wanted | GenericMapping->GenericAll : wanted) |
                         PreviouslyGrantedAccess;
        *GrantedAccess &= ~(ACCESS_MASK)MAXIMUM_ALLOWED;
        *AccessStatus = STATUS_SUCCESS;
        return TRUE;
    }
    if (token == NULL || SecurityDescriptor == NULL) {
        *AccessStatus = STATUS_NO_IMPERSONATION_TOKEN;
        return FALSE;
    }
    void *sd = relative(SecurityDescriptor, &size);
    if (sd == NULL) {
        *AccessStatus = STATUS_INVALID_SECURITY_DESCR;
        return FALSE;
    }
    bool maximum = wanted & MAXIMUM_ALLOWED;
    wanted &= ~(ACCESS_MASK)(MAXIMUM_ALLOWED | PreviouslyGrantedAccess);
    bool good = wanted == 0 || security_access_check_mapped(sd, size, &blob, wanted, GenericMapping);
    granted = good ? wanted : 0;
    for (unsigned bit = 0; good && maximum && bit <= 20; bit++) /* specific and standard rights, one by one */
        if (security_access_check_mapped(sd, size, &blob, 1u << bit, GenericMapping))
            granted |= 1u << bit;
    free(sd);
    granted |= PreviouslyGrantedAccess;
    good = good && granted != 0;
    if (good) {
        *GrantedAccess = granted;
        *AccessStatus = STATUS_SUCCESS;
    }
    return good;
}

VOID SeFreePrivileges(PPRIVILEGE_SET Privileges)
{
    (void)Privileges; /* none are ever handed out */
}
