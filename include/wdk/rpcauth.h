/* SPDX-License-Identifier: Apache-2.0 */
/* rpcauth.h: the identity that FwpmEngineOpen0 takes. On Windows rpcdce.h has it. */
#ifndef WEIR_WDK_RPCAUTH_H
#define WEIR_WDK_RPCAUTH_H

#include "ntdef.h"
#include "wdk_nt_constants.h"

typedef struct _SEC_WINNT_AUTH_IDENTITY_W {
    unsigned short *User;
    ULONG UserLength;
    unsigned short *Domain;
    ULONG DomainLength;
    unsigned short *Password;
    ULONG PasswordLength;
    ULONG Flags;
} SEC_WINNT_AUTH_IDENTITY_W, *PSEC_WINNT_AUTH_IDENTITY_W;

#endif
