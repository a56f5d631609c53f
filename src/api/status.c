/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statuses as Win32 codes (OBJ-38). STATUS_FWP_x and FWP_E_x differ in their facility only: 0xC022nnnn and
 * 0x8032nnnn; data/status.tsv's relations say the same, and a test compares all of them.
 */
#include "fwpmk.h"

#include "winerror.h"

#include "api/internal.h"

#define STATUS_FWP_BASE 0xC0220000u
#define FWP_E_BASE      0x80320000u
#define FWP_CODES       0xffu /* STATUS_FWP_01xx have no FWP_E_ but for one */

UINT32 api_win32(NTSTATUS status)
{
    static const struct {
        NTSTATUS status;
        UINT32 win32;
    } others[] = {
        {STATUS_SUCCESS, ERROR_SUCCESS},
        {STATUS_ACCESS_DENIED, ERROR_ACCESS_DENIED},
        {STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE},
        {STATUS_INVALID_PARAMETER, ERROR_INVALID_PARAMETER},
        {STATUS_NO_MEMORY, ERROR_NOT_ENOUGH_MEMORY},
        {STATUS_INSUFFICIENT_RESOURCES, ERROR_NO_SYSTEM_RESOURCES},
        {STATUS_NOT_SUPPORTED, ERROR_NOT_SUPPORTED},
        {STATUS_DEVICE_NOT_READY, ERROR_NOT_READY},
        {STATUS_INVALID_SID, ERROR_INVALID_SID},
        {STATUS_INVALID_ACL, ERROR_INVALID_ACL},
        {STATUS_INVALID_SECURITY_DESCR, ERROR_INVALID_SECURITY_DESCR},
        {STATUS_INVALID_OWNER, ERROR_INVALID_OWNER},
        {STATUS_OBJECT_NAME_NOT_FOUND, ERROR_FILE_NOT_FOUND},
        {STATUS_OBJECT_PATH_NOT_FOUND, ERROR_PATH_NOT_FOUND},
        {STATUS_OBJECT_NAME_INVALID, ERROR_INVALID_NAME},
        {STATUS_FWP_DROP_NOICMP, FWP_E_DROP_NOICMP},
    };
    UINT32 code = (UINT32)status;

    if ((code & 0xffff0000u) == STATUS_FWP_BASE && (code & 0xffff) <= FWP_CODES)
        return FWP_E_BASE | (code & 0xffff);
    for (size_t i = 0; i < ARRAYSIZE(others); i++)
        if (others[i].status == status)
            return others[i].win32;
    return ERROR_MR_MID_NOT_FOUND;
}
