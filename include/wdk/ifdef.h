/* SPDX-License-Identifier: Apache-2.0 */
/* ifdef.h: how Windows names network interfaces and compartments. */
#ifndef WEIR_WDK_IFDEF_H
#define WEIR_WDK_IFDEF_H

#include "ntdef.h"
#include "wdk_nt_constants.h"

typedef ULONG NET_IFINDEX, IF_INDEX, *PNET_IFINDEX;
typedef USHORT NET_IFTYPE, IFTYPE;
typedef ULONG NET_IF_COMPARTMENT_ID, COMPARTMENT_ID, *PNET_IF_COMPARTMENT_ID, *PCOMPARTMENT_ID;
typedef GUID NET_IF_NETWORK_GUID;

typedef union _NET_LUID_LH {
    ULONG64 Value;
    struct {
        ULONG64 Reserved : 24;
        ULONG64 NetLuidIndex : 24;
        ULONG64 IfType : 16;
    } Info;
} NET_LUID_LH, *PNET_LUID_LH, NET_LUID, *PNET_LUID, IF_LUID, *PIF_LUID;

#define UNSPECIFIED_COMPARTMENT_ID NET_IF_COMPARTMENT_ID_UNSPECIFIED
#define DEFAULT_COMPARTMENT_ID     NET_IF_COMPARTMENT_ID_PRIMARY

#endif
