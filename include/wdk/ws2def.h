/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ws2def.h: socket addresses and control messages as Windows lays them out.
 *
 * The structures carry Windows' tags (struct sockaddr_in ...) in a driver's source alone, because the host's
 * <sys/socket.h> has its own; other sources name them by the typedefs. AF_INET6 is Windows' number, so a source
 * that needs the host's sockets must not include this header.
 */
#ifndef WEIR_WDK_WS2DEF_H
#define WEIR_WDK_WS2DEF_H

#include "ntdef.h"

#ifdef WEIR_WDK_CRT_COMPILER_H
#define WEIR_TAG(tag, other) tag
#else
#define WEIR_TAG(tag, other) other
#endif

typedef struct WEIR_TAG(in_addr, _WEIR_IN_ADDR) {
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

typedef struct WEIR_TAG(in6_addr, _WEIR_IN6_ADDR) {
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

typedef struct WEIR_TAG(sockaddr, _WEIR_SOCKADDR) {
    ADDRESS_FAMILY sa_family;
    CHAR sa_data[14];
} SOCKADDR, *PSOCKADDR, *LPSOCKADDR;

typedef struct WEIR_TAG(sockaddr_in, _WEIR_SOCKADDR_IN) {
    ADDRESS_FAMILY sin_family;
    USHORT sin_port; /* network order */
    IN_ADDR sin_addr;
    CHAR sin_zero[8];
} SOCKADDR_IN, *PSOCKADDR_IN;

typedef struct WEIR_TAG(sockaddr_in6, _WEIR_SOCKADDR_IN6) {
    ADDRESS_FAMILY sin6_family;
    USHORT sin6_port; /* network order */
    ULONG sin6_flowinfo;
    IN6_ADDR sin6_addr;
    union {
        ULONG sin6_scope_id;
        SCOPE_ID sin6_scope_struct;
    };
} SOCKADDR_IN6, *PSOCKADDR_IN6, SOCKADDR_IN6_LH, *PSOCKADDR_IN6_LH;

typedef struct WEIR_TAG(sockaddr_storage, _WEIR_SOCKADDR_STORAGE) {
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

typedef struct WEIR_TAG(wsacmsghdr, _WEIR_WSACMSGHDR) {
    SIZE_T cmsg_len; /* this header and the data */
    INT cmsg_level;
    INT cmsg_type;
} WSACMSGHDR, *PWSACMSGHDR, *LPWSACMSGHDR, CMSGHDR, *PCMSGHDR;

/* Protocols of IP. A driver's source has the enumeration; one that may see the host's <netinet/in.h>, whose
 * names are the same, has only the type. */
#ifdef WEIR_WDK_CRT_COMPILER_H
#define IPPROTO_IP 0
typedef enum _WEIR_IPPROTO {
    IPPROTO_HOPOPTS = 0,
    IPPROTO_ICMP = 1,
    IPPROTO_IGMP = 2,
    IPPROTO_GGP = 3,
    IPPROTO_IPV4 = 4,
    IPPROTO_ST = 5,
    IPPROTO_TCP = 6,
    IPPROTO_CBT = 7,
    IPPROTO_EGP = 8,
    IPPROTO_IGP = 9,
    IPPROTO_PUP = 12,
    IPPROTO_UDP = 17,
    IPPROTO_IDP = 22,
    IPPROTO_RDP = 27,
    IPPROTO_IPV6 = 41,
    IPPROTO_ROUTING = 43,
    IPPROTO_FRAGMENT = 44,
    IPPROTO_ESP = 50,
    IPPROTO_AH = 51,
    IPPROTO_ICMPV6 = 58,
    IPPROTO_NONE = 59,
    IPPROTO_DSTOPTS = 60,
    IPPROTO_ND = 77,
    IPPROTO_ICLFXBM = 78,
    IPPROTO_PIM = 103,
    IPPROTO_PGM = 113,
    IPPROTO_L2TP = 115,
    IPPROTO_SCTP = 132,
    IPPROTO_RAW = 255,
    IPPROTO_MAX = 256
} IPPROTO,
    *PIPPROTO;
#else
typedef INT IPPROTO;
#endif

#ifdef WEIR_WDK_CRT_COMPILER_H
#define s_addr    S_un.S_addr
#define s_net     S_un.S_un_b.s_b1
#define s_host    S_un.S_un_b.s_b2
#define s_lh      S_un.S_un_b.s_b3
#define s_impno   S_un.S_un_b.s_b4
#define s_imp     S_un.S_un_w.s_w2
#define s6_addr   u.Byte
#define s6_bytes  u.Byte
#define s6_words  u.Word
#define in_addr6  in6_addr
#define _S6_un    u
#define _S6_u8    Byte
typedef unsigned char u_char;
typedef unsigned short u_short;
typedef unsigned int u_int, u_long;

#define INADDR_ANY       0x00000000u
#define INADDR_LOOPBACK  0x7f000001u
#define INADDR_BROADCAST 0xffffffffu
#define INADDR_NONE      0xffffffffu

#define IN4_CLASSA(i)    (((i)&0x00000080) == 0)
#define IN4_MULTICAST(i) (((i)&0x000000f0) == 0x000000e0)
#define IN_MULTICAST(i)  (((i)&0xf0000000) == 0xe0000000)
#endif

#undef AF_UNSPEC
#undef AF_INET
#undef AF_INET6
#include "wdk_ws2_constants.h"

#endif
