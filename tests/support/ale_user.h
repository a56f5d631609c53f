/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints' enumeration as user programs call it (fwpmu.h), for tests that include the kernel's headers. */
#ifndef WEIR_TESTS_ALE_USER_H
#define WEIR_TESTS_ALE_USER_H

#include "fwpstypes.h"

UINT32 ale_user_create(HANDLE engine, const FWPS_ALE_ENDPOINT_ENUM_TEMPLATE0 *t, HANDLE *e);
UINT32 ale_user_enum(HANDLE engine, HANDLE e, UINT32 wanted, FWPS_ALE_ENDPOINT_PROPERTIES0 ***entries,
                     UINT32 *count);
UINT32 ale_user_destroy(HANDLE engine, HANDLE e);
UINT32 ale_user_get(HANDLE engine, UINT64 id, FWPS_ALE_ENDPOINT_PROPERTIES0 **p);
/* The DACL of all endpoints, and the descriptor that it is in. */
UINT32 ale_user_security(HANDLE engine, ACL **dacl, void **descriptor);
UINT32 ale_user_secure(HANDLE engine, const ACL *dacl);

#endif
