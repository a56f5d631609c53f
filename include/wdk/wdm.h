/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wdm.h: the driver model: names of kernel objects and memory descriptor lists here, the rest by subject in
 * nt/.
 */
#ifndef WEIR_WDK_WDM_H
#define WEIR_WDK_WDM_H

#ifdef WEIR_WDK_CRT_COMPILER_H
#include <stdlib.h> /* drivers take min() and max() for granted */
#endif

#include "ntdef.h"
#include "ntsecurity.h"
#include "ntstatus.h"
#include "wdk_nt_constants.h"

typedef ULONG_PTR KSPIN_LOCK, *PKSPIN_LOCK;

typedef struct _DEVICE_OBJECT DEVICE_OBJECT, *PDEVICE_OBJECT;
typedef struct _DRIVER_OBJECT DRIVER_OBJECT, *PDRIVER_OBJECT;
typedef struct _FILE_OBJECT FILE_OBJECT, *PFILE_OBJECT;
typedef struct _IRP IRP, *PIRP;
typedef struct _EPROCESS *PEPROCESS;
typedef struct _ETHREAD *PETHREAD;
typedef struct _KPROCESS *PKPROCESS;
typedef struct _KTHREAD *PKTHREAD;

typedef struct _MDL {
    struct _MDL *Next;
    CSHORT Size;
    CSHORT MdlFlags;
    struct _EPROCESS *Process;
    PVOID MappedSystemVa;
    PVOID StartVa;
    ULONG ByteCount;
    ULONG ByteOffset;
} MDL, *PMDL;

typedef struct _SCATTER_GATHER_LIST SCATTER_GATHER_LIST, *PSCATTER_GATHER_LIST;

#ifdef __cplusplus
extern "C" {
#endif
#include "nt/ke.h"
#include "nt/ex.h"
#include "nt/mm.h"
#include "nt/rtl.h"
#include "nt/ob.h"
#include "nt/ps.h"
#include "nt/se.h"
#include "nt/io.h"
#include "nt/remove_lock.h"
#include "nt/zw.h"
#ifdef __cplusplus
}
#endif

#endif
