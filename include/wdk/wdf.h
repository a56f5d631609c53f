/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wdf.h: the kernel-mode driver framework as far as drivers without hardware use it: driver, control devices,
 * queues, requests, files, memory, locks, work items, timers, DPCs, strings, collections, the registry
 * (src/nt/wdf_*.c). One part a subject in wdf/.
 *
 * An object is deleted with its parent, children first: EvtCleanupCallback from the deepest up when deleting
 * begins, EvtDestroyCallback when the last reference is gone, a child's before its parent's.
 */
#ifndef WEIR_WDK_WDF_H
#define WEIR_WDK_WDF_H

#include "ntddk.h"
#include "wdmsec.h"
#include "wdk_wdf_constants.h"

#define WDF_KMDF_VERSION_MAJOR 1
#define WDF_KMDF_VERSION_MINOR 33
#ifndef KMDF_VERSION_MAJOR
#define KMDF_VERSION_MAJOR WDF_KMDF_VERSION_MAJOR
#define KMDF_VERSION_MINOR WDF_KMDF_VERSION_MINOR
#endif
#define WDF_NO_OBJECT_ATTRIBUTES ((PWDF_OBJECT_ATTRIBUTES)NULL)
#define WDF_NO_EVENT_CALLBACK    NULL
#define WDF_NO_HANDLE            NULL
#define WDF_NO_CONTEXT           NULL
#define WDF_NO_SEND_OPTIONS      NULL

#ifdef __cplusplus
extern "C" {
#endif
#include "wdf/types.h"
#include "wdf/object.h"
#include "wdf/driver.h"
#include "wdf/device.h"
#include "wdf/request.h"
#include "wdf/queue.h"
#include "wdf/memory.h"
#include "wdf/sync.h"
#include "wdf/work.h"
#include "wdf/registry.h"
#ifdef __cplusplus
}
#endif

#endif
