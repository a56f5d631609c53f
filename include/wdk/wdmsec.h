/* SPDX-License-Identifier: Apache-2.0 */
/* wdmsec.h: devices with a security descriptor from the start (src/nt/io_device.c). */
#ifndef WEIR_WDK_WDMSEC_H
#define WEIR_WDK_WDMSEC_H

#include "wdm.h"

#ifdef __cplusplus
extern "C" {
#endif
/* Who may open a device, as documented: S system, A administrators, E everyone, R restricted code. */
extern const UNICODE_STRING SDDL_DEVOBJ_KERNEL_ONLY, SDDL_DEVOBJ_SYS_ALL, SDDL_DEVOBJ_SYS_ALL_ADM_ALL,
    SDDL_DEVOBJ_SYS_ALL_ADM_RX, SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_R,
    SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_R_RES_R, SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_RW_RES_R,
    SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_RWX_RES_RWX;
#define SDDL_DEVOBJ_INF_SUPPLIED SDDL_DEVOBJ_SYS_ALL_ADM_ALL

NTSTATUS IoCreateDeviceSecure(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize,
                              PUNICODE_STRING DeviceName, DEVICE_TYPE DeviceType, ULONG DeviceCharacteristics,
                              BOOLEAN Exclusive, PCUNICODE_STRING DefaultSDDLString,
                              const GUID *DeviceClassGuid, PDEVICE_OBJECT *DeviceObject); /* PASSIVE_LEVEL */
#define WdmlibIoCreateDeviceSecure IoCreateDeviceSecure
#ifdef __cplusplus
}
#endif

#endif
