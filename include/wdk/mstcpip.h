/* SPDX-License-Identifier: Apache-2.0 */
/* mstcpip.h: tests of addresses. An IPv4 address is in network order. */
#ifndef WEIR_WDK_MSTCPIP_H
#define WEIR_WDK_MSTCPIP_H

#include "ws2def.h"
#include "ws2ipdef.h"
#include "ip2string.h"

#define IN4ADDR_ANY_INIT       {{{0, 0, 0, 0}}}
#define IN4ADDR_LOOPBACK_INIT  {{{127, 0, 0, 1}}}
#define IN4ADDR_BROADCAST_INIT {{{255, 255, 255, 255}}}

WEIR_INLINE BOOLEAN IN4_ADDR_EQUAL(const IN_ADDR *x, const IN_ADDR *y)
{
    return x->S_un.S_addr == y->S_un.S_addr;
}
WEIR_INLINE BOOLEAN IN4_UNALIGNED_ADDR_EQUAL(const IN_ADDR *x, const IN_ADDR *y)
{
    return __builtin_memcmp(x, y, sizeof(IN_ADDR)) == 0;
}
WEIR_INLINE BOOLEAN IN4_IS_ADDR_UNSPECIFIED(const IN_ADDR *a)
{
    return a->S_un.S_addr == 0;
}
WEIR_INLINE BOOLEAN IN4_IS_ADDR_LOOPBACK(const IN_ADDR *a)
{
    return a->S_un.S_un_b.s_b1 == 127;
}
WEIR_INLINE BOOLEAN IN4_IS_ADDR_BROADCAST(const IN_ADDR *a)
{
    return a->S_un.S_addr == 0xffffffffu;
}
WEIR_INLINE BOOLEAN IN4_IS_ADDR_MULTICAST(const IN_ADDR *a)
{
    return (a->S_un.S_un_b.s_b1 & 0xf0) == 0xe0;
}
WEIR_INLINE BOOLEAN IN4_IS_ADDR_LINKLOCAL(const IN_ADDR *a)
{
    return a->S_un.S_un_b.s_b1 == 169 && a->S_un.S_un_b.s_b2 == 254;
}
WEIR_INLINE BOOLEAN IN4_IS_ADDR_RFC1918(const IN_ADDR *a)
{
    UCHAR first = a->S_un.S_un_b.s_b1, second = a->S_un.S_un_b.s_b2;

    return first == 10 || (first == 172 && (second & 0xf0) == 16) || (first == 192 && second == 168);
}
WEIR_INLINE BOOLEAN IN4_IS_ADDR_MC_LINKLOCAL(const IN_ADDR *a)
{
    return a->S_un.S_un_b.s_b1 == 224 && a->S_un.S_un_b.s_b2 == 0 && a->S_un.S_un_b.s_b3 == 0;
}

WEIR_INLINE BOOLEAN INETADDR_ISANY(const SOCKADDR *a)
{
    if (a->sa_family == AF_INET)
        return IN4_IS_ADDR_UNSPECIFIED(&((const SOCKADDR_IN *)(const void *)a)->sin_addr);
    return a->sa_family == AF_INET6 && IN6ADDR_ISANY((const SOCKADDR_IN6 *)(const void *)a);
}
WEIR_INLINE BOOLEAN INETADDR_ISLOOPBACK(const SOCKADDR *a)
{
    if (a->sa_family == AF_INET)
        return IN4_IS_ADDR_LOOPBACK(&((const SOCKADDR_IN *)(const void *)a)->sin_addr);
    return a->sa_family == AF_INET6 && IN6ADDR_ISLOOPBACK((const SOCKADDR_IN6 *)(const void *)a);
}

WEIR_INLINE void IN4ADDR_SETLOOPBACK(PSOCKADDR_IN a)
{
    const IN_ADDR loopback = IN4ADDR_LOOPBACK_INIT;

    __builtin_memset(a, 0, sizeof *a);
    a->sin_family = AF_INET;
    a->sin_addr = loopback;
}
/* The port is 0 afterwards. */
WEIR_INLINE void INETADDR_SETLOOPBACK(PSOCKADDR a)
{
    if (a->sa_family == AF_INET6)
        IN6ADDR_SETLOOPBACK((PSOCKADDR_IN6)(void *)a);
    else
        IN4ADDR_SETLOOPBACK((PSOCKADDR_IN)(void *)a);
}

WEIR_INLINE void INETADDR_SET_ADDRESS(PSOCKADDR a, const UCHAR *address)
{
    if (a->sa_family == AF_INET6)
        __builtin_memcpy(&((SOCKADDR_IN6 *)(void *)a)->sin6_addr, address, sizeof(IN6_ADDR));
    else
        __builtin_memcpy(&((SOCKADDR_IN *)(void *)a)->sin_addr, address, sizeof(IN_ADDR));
}
WEIR_INLINE void INETADDR_SET_PORT(PSOCKADDR a, USHORT port)
{
    if (a->sa_family == AF_INET6)
        ((SOCKADDR_IN6 *)(void *)a)->sin6_port = port;
    else
        ((SOCKADDR_IN *)(void *)a)->sin_port = port;
}
WEIR_INLINE USHORT INETADDR_PORT(const SOCKADDR *a)
{
    return a->sa_family == AF_INET6 ? ((const SOCKADDR_IN6 *)(const void *)a)->sin6_port
                                    : ((const SOCKADDR_IN *)(const void *)a)->sin_port;
}
WEIR_INLINE PUCHAR INETADDR_ADDRESS(const SOCKADDR *a)
{
    return a->sa_family == AF_INET6 ? (PUCHAR) & ((SOCKADDR_IN6 *)(void *)a)->sin6_addr
                                    : (PUCHAR) & ((SOCKADDR_IN *)(void *)a)->sin_addr;
}

#endif
