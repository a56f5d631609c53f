/* SPDX-License-Identifier: Apache-2.0 */
/* netioddk.h: the network module registrar. Its functions are not here; see doc/coverage.md. */
#ifndef WEIR_WDK_NETIODDK_H
#define WEIR_WDK_NETIODDK_H

#include "wdm.h"
#include "netiodef.h"
#include "ws2def.h"

typedef GUID NPIID, *PNPIID;
typedef const GUID *PCNPIID;
typedef enum _WEIR_NPI_MODULE_TYPE { MIT_GUID = 1, MIT_IF_LUID } NPI_MODULEID_TYPE;
typedef struct _NPI_MODULEID {
    USHORT Length;
    NPI_MODULEID_TYPE Type;
    union {
        GUID Guid;
        LUID IfLuid;
    };
} NPI_MODULEID, *PNPI_MODULEID;
typedef const NPI_MODULEID *PCNPI_MODULEID;

#endif
