/* SPDX-License-Identifier: Apache-2.0 */
#include "fwpmu.h"

#include "ale_user.h"

UINT32 ale_user_create(HANDLE engine, const FWPS_ALE_ENDPOINT_ENUM_TEMPLATE0 *t, HANDLE *e)
{
    return FwpsAleEndpointCreateEnumHandle0(engine, t, e);
}

UINT32 ale_user_enum(HANDLE engine, HANDLE e, UINT32 wanted, FWPS_ALE_ENDPOINT_PROPERTIES0 ***entries,
                     UINT32 *count)
{
    return FwpsAleEndpointEnum0(engine, e, wanted, entries, count);
}

UINT32 ale_user_destroy(HANDLE engine, HANDLE e)
{
    return FwpsAleEndpointDestroyEnumHandle0(engine, e);
}

UINT32 ale_user_get(HANDLE engine, UINT64 id, FWPS_ALE_ENDPOINT_PROPERTIES0 **p)
{
    return FwpsAleEndpointGetById0(engine, id, p);
}

UINT32 ale_user_security(HANDLE engine, ACL **dacl, void **descriptor)
{
    PSID owner, group;
    ACL *sacl;

    return FwpsAleEndpointGetSecurityInfo0(engine, DACL_SECURITY_INFORMATION, &owner, &group, dacl, &sacl,
                                           descriptor);
}

UINT32 ale_user_secure(HANDLE engine, const ACL *dacl)
{
    return FwpsAleEndpointSetSecurityInfo0(
        engine, DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION, NULL, NULL, dacl, NULL);
}
