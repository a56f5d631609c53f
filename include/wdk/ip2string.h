/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip2string.h: IP and Ethernet addresses as text, and back (src/nt/rtl_ip.c). Addresses and ports are in
 * network order. XxxToString returns where its terminating NUL is; a buffer holds 16, 46 or 18 characters.
 */
#ifndef WEIR_WDK_IP2STRING_H
#define WEIR_WDK_IP2STRING_H

#include "ntdef.h"
#include "ntstatus.h"
#include "ws2def.h"

typedef struct _WEIR_DL_EUI48 {
    UCHAR Byte[6];
} DL_EUI48, *PDL_EUI48;

#ifdef __cplusplus
extern "C" {
#endif
PSTR RtlIpv4AddressToStringA(const IN_ADDR *Addr, PSTR S);
PWSTR RtlIpv4AddressToStringW(const IN_ADDR *Addr, PWSTR S);
NTSTATUS RtlIpv4AddressToStringExA(const IN_ADDR *Address, USHORT Port, PSTR AddressString,
                                   PULONG AddressStringLength);
NTSTATUS RtlIpv4AddressToStringExW(const IN_ADDR *Address, USHORT Port, PWSTR AddressString,
                                   PULONG AddressStringLength);
NTSTATUS RtlIpv4StringToAddressA(PCSTR S, BOOLEAN Strict, PCSTR *Terminator, IN_ADDR *Addr);
NTSTATUS RtlIpv4StringToAddressW(PCWSTR S, BOOLEAN Strict, LPCWSTR *Terminator, IN_ADDR *Addr);
NTSTATUS RtlIpv4StringToAddressExA(PCSTR AddressString, BOOLEAN Strict, IN_ADDR *Address, PUSHORT Port);
NTSTATUS RtlIpv4StringToAddressExW(PCWSTR AddressString, BOOLEAN Strict, IN_ADDR *Address, PUSHORT Port);

PSTR RtlIpv6AddressToStringA(const IN6_ADDR *Addr, PSTR S);
PWSTR RtlIpv6AddressToStringW(const IN6_ADDR *Addr, PWSTR S);
NTSTATUS RtlIpv6AddressToStringExA(const IN6_ADDR *Address, ULONG ScopeId, USHORT Port, PSTR AddressString,
                                   PULONG AddressStringLength);
NTSTATUS RtlIpv6AddressToStringExW(const IN6_ADDR *Address, ULONG ScopeId, USHORT Port, PWSTR AddressString,
                                   PULONG AddressStringLength);
NTSTATUS RtlIpv6StringToAddressA(PCSTR S, PCSTR *Terminator, IN6_ADDR *Addr);
NTSTATUS RtlIpv6StringToAddressW(PCWSTR S, PCWSTR *Terminator, IN6_ADDR *Addr);
NTSTATUS RtlIpv6StringToAddressExA(PCSTR AddressString, IN6_ADDR *Address, PULONG ScopeId, PUSHORT Port);
NTSTATUS RtlIpv6StringToAddressExW(PCWSTR AddressString, IN6_ADDR *Address, PULONG ScopeId, PUSHORT Port);

PSTR RtlEthernetAddressToStringA(const DL_EUI48 *Addr, PSTR S);
PWSTR RtlEthernetAddressToStringW(const DL_EUI48 *Addr, PWSTR S);
NTSTATUS RtlEthernetStringToAddressA(PCSTR S, PCSTR *Terminator, DL_EUI48 *Addr);
NTSTATUS RtlEthernetStringToAddressW(PCWSTR S, LPCWSTR *Terminator, DL_EUI48 *Addr);
#ifdef __cplusplus
}
#endif

#ifdef UNICODE
#define RtlIpv4AddressToString     RtlIpv4AddressToStringW
#define RtlIpv4AddressToStringEx   RtlIpv4AddressToStringExW
#define RtlIpv4StringToAddress     RtlIpv4StringToAddressW
#define RtlIpv4StringToAddressEx   RtlIpv4StringToAddressExW
#define RtlIpv6AddressToString     RtlIpv6AddressToStringW
#define RtlIpv6AddressToStringEx   RtlIpv6AddressToStringExW
#define RtlIpv6StringToAddress     RtlIpv6StringToAddressW
#define RtlIpv6StringToAddressEx   RtlIpv6StringToAddressExW
#define RtlEthernetAddressToString RtlEthernetAddressToStringW
#define RtlEthernetStringToAddress RtlEthernetStringToAddressW
#else
#define RtlIpv4AddressToString     RtlIpv4AddressToStringA
#define RtlIpv4AddressToStringEx   RtlIpv4AddressToStringExA
#define RtlIpv4StringToAddress     RtlIpv4StringToAddressA
#define RtlIpv4StringToAddressEx   RtlIpv4StringToAddressExA
#define RtlIpv6AddressToString     RtlIpv6AddressToStringA
#define RtlIpv6AddressToStringEx   RtlIpv6AddressToStringExA
#define RtlIpv6StringToAddress     RtlIpv6StringToAddressA
#define RtlIpv6StringToAddressEx   RtlIpv6StringToAddressExA
#define RtlEthernetAddressToString RtlEthernetAddressToStringA
#define RtlEthernetStringToAddress RtlEthernetStringToAddressA
#endif

#endif
