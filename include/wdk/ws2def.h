/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ws2def.h: socket addresses and control messages as Windows lays them out.
 *
 * The structures carry Windows' tags (struct sockaddr_in ...) only under other names, because the host's
 * <sys/socket.h> has its own; sources name them by the typedefs. AF_INET6 is Windows' number, so a source
 * that needs the host's sockets must not include this header.
 */
#ifndef WEIR_WDK_WS2DEF_H
#define WEIR_WDK_WS2DEF_H

#include "ntdef.h"

typedef struct _WEIR_IN_ADDR {
    union {
        struct {
            UCHAR s_b1, s_b2, s_b3, s_b4;
        } S_un_b;
        struct {
            USHORT s_w1, s_w2;
        } S_un_w;
        ULONG S_addr; /* network order */
    } S_un;
} IN_ADDR, *PIN_ADDR;

typedef struct _WEIR_IN6_ADDR {
    union {
        UCHAR Byte[16];
        USHORT Word[8];
    } u;
} IN6_ADDR, *PIN6_ADDR;

typedef struct _WEIR_SCOPE_ID {
    union {
        struct {
            ULONG Zone : 28;
            ULONG Level : 4;
        };
        ULONG Value;
    };
} SCOPE_ID, *PSCOPE_ID;

typedef struct _WEIR_SOCKADDR {
    ADDRESS_FAMILY sa_family;
    CHAR sa_data[14];
} SOCKADDR, *PSOCKADDR, *LPSOCKADDR;

typedef struct _WEIR_SOCKADDR_IN {
    ADDRESS_FAMILY sin_family;
    USHORT sin_port; /* network order */
    IN_ADDR sin_addr;
    CHAR sin_zero[8];
} SOCKADDR_IN, *PSOCKADDR_IN;

typedef struct _WEIR_SOCKADDR_IN6 {
    ADDRESS_FAMILY sin6_family;
    USHORT sin6_port; /* network order */
    ULONG sin6_flowinfo;
    IN6_ADDR sin6_addr;
    union {
        ULONG sin6_scope_id;
        SCOPE_ID sin6_scope_struct;
    };
} SOCKADDR_IN6, *PSOCKADDR_IN6, SOCKADDR_IN6_LH, *PSOCKADDR_IN6_LH;

typedef struct _WEIR_SOCKADDR_STORAGE {
    ADDRESS_FAMILY ss_family;
    CHAR __ss_pad1[6];
    long long __ss_align;
    CHAR __ss_pad2[112];
} SOCKADDR_STORAGE, *PSOCKADDR_STORAGE, SOCKADDR_STORAGE_LH, *PSOCKADDR_STORAGE_LH;

typedef union _SOCKADDR_INET {
    SOCKADDR_IN Ipv4;
    SOCKADDR_IN6 Ipv6;
    ADDRESS_FAMILY si_family;
} SOCKADDR_INET, *PSOCKADDR_INET;

typedef struct _IP_ADDRESS_PREFIX {
    SOCKADDR_INET Prefix;
    UINT8 PrefixLength;
} IP_ADDRESS_PREFIX, *PIP_ADDRESS_PREFIX;

typedef struct _WEIR_WSACMSGHDR {
    SIZE_T cmsg_len; /* this header and the data */
    INT cmsg_level;
    INT cmsg_type;
} WSACMSGHDR, *PWSACMSGHDR, *LPWSACMSGHDR, CMSGHDR, *PCMSGHDR;

typedef INT IPPROTO; /* IPPROTO_*; a type of its own on Windows, the same size */

#undef AF_UNSPEC
#undef AF_INET
#undef AF_INET6
#include "wdk_ws2_constants.h"

#endif
