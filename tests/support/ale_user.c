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
