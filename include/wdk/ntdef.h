/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ntdef.h: the base types of Windows sources on an LP64 host, in the sizes that x64 Windows gives them.
 *
 * LONG and ULONG are 32 bits although the host's long has 64; UINT64 is unsigned long long. WCHAR is 16 bits:
 * wchar_t itself where the source is built with -fshort-wchar (drivers), char16_t elsewhere (Weir's own code,
 * which writes u"" literals). Both have the same layout, so objects of either may be linked.
 */
#ifndef WEIR_WDK_NTDEF_H
#define WEIR_WDK_NTDEF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "guiddef.h"
#include "sal.h"

/* ---- calling conventions and declarators: nothing to say on this host -----------------------------------
 */
#define NTAPI
#define WINAPI
#define APIENTRY
#define CALLBACK
#define FASTCALL
#define NTSYSAPI
#define NTSYSCALLAPI
#define NTKERNELAPI
#define NTHALAPI
#define WINBASEAPI
#define DECLSPEC_IMPORT
#define DECLSPEC_NORETURN   __attribute__((noreturn))
#define DECLSPEC_NOINLINE   __attribute__((noinline))
#define DECLSPEC_ALIGN(n)   __attribute__((aligned(n)))
#define DECLSPEC_CACHEALIGN DECLSPEC_ALIGN(64)
#define DECLSPEC_DEPRECATED_DDK
#define FORCEINLINE  inline __attribute__((always_inline)) /* a driver's; it may say `static` beside it */
#define CFORCEINLINE FORCEINLINE
#define WEIR_INLINE  static inline __attribute__((always_inline)) /* of these headers */
#ifndef __clang__ /* clang has these as keywords under -fms-extensions, and as macros we could not test for  \
                   */
#define __forceinline inline __attribute__((always_inline))
#endif
#define UNALIGNED
#define RESTRICTED_POINTER
#define POINTER_32
#define POINTER_64
#define FAR
#define NEAR
#define IN
#define OUT
#define OPTIONAL
#define CONST const

#define MEMORY_ALLOCATION_ALIGNMENT 16

#define UNREFERENCED_PARAMETER(p)          ((void)(p))
#define DBG_UNREFERENCED_PARAMETER(p)      ((void)(p))
#define DBG_UNREFERENCED_LOCAL_VARIABLE(v) ((void)(v))

#define C_ASSERT(e)                             _Static_assert(e, #e)
#define FIELD_OFFSET(type, field)               ((LONG)offsetof(type, field))
#define UFIELD_OFFSET(type, field)              ((ULONG)offsetof(type, field))
#define RTL_FIELD_SIZE(type, field)             (sizeof(((type *)0)->field))
#define RTL_SIZEOF_THROUGH_FIELD(type, field)   (offsetof(type, field) + RTL_FIELD_SIZE(type, field))
#define CONTAINING_RECORD(address, type, field) ((type *)((PCHAR)(address)-offsetof(type, field)))
#define ARRAYSIZE(a)                            (sizeof(a) / sizeof((a)[0]))
#define RTL_NUMBER_OF(a)                        ARRAYSIZE(a)
#define ANYSIZE_ARRAY                           1

/* Since C11 unnamed members need no help. */
#define DUMMYUNIONNAME
#define DUMMYUNIONNAME2
#define DUMMYUNIONNAME3
#define DUMMYSTRUCTNAME
#define DUMMYSTRUCTNAME2
#define _ANONYMOUS_UNION
#define _ANONYMOUS_STRUCT

/* ---- scalars ----------------------------------------------------------------------------------------- */
#define VOID void
typedef void *PVOID, *LPVOID;
typedef const void *PCVOID, *LPCVOID;

typedef char CHAR, CCHAR, *PCHAR, *PCH, *LPSTR, *PSTR, *PCCHAR;
typedef const char *PCCH;
typedef const char *LPCSTR, *PCSTR, *PCSZ;
typedef short SHORT, CSHORT, *PSHORT;
typedef int LONG, INT, BOOL, *PLONG, *PINT, *LPINT, *PBOOL, *LPBOOL, *LPLONG;
typedef unsigned char UCHAR, BYTE, BOOLEAN, *PUCHAR, *PBYTE, *LPBYTE, *PBOOLEAN;
typedef unsigned short USHORT, WORD, *PUSHORT, *PWORD, *LPWORD;
typedef unsigned int ULONG, UINT, DWORD, *PULONG, *PUINT, *PDWORD, *LPDWORD, *LPUINT;
typedef long long LONGLONG, LONG64, *PLONGLONG, *PLONG64;
typedef unsigned long long ULONGLONG, DWORDLONG, DWORD64, ULONG64, *PULONGLONG, *PDWORDLONG, *PDWORD64,
    *PULONG64;
typedef float FLOAT;

typedef signed char INT8, *PINT8;
typedef short INT16, *PINT16;
typedef int INT32, LONG32, *PINT32, *PLONG32;
typedef long long INT64, *PINT64;
typedef unsigned char UINT8, *PUINT8;
typedef unsigned short UINT16, *PUINT16;
typedef unsigned int UINT32, ULONG32, DWORD32, *PUINT32, *PULONG32, *PDWORD32;
typedef unsigned long long UINT64, *PUINT64;

typedef long long INT_PTR, LONG_PTR, *PINT_PTR, *PLONG_PTR;
typedef unsigned long long UINT_PTR, ULONG_PTR, DWORD_PTR, *PUINT_PTR, *PULONG_PTR, *PDWORD_PTR;
typedef size_t SIZE_T,
    *PSIZE_T; /* the host's size_t, so that sources may mix the two as they do on Windows */
typedef ptrdiff_t SSIZE_T, *PSSIZE_T;
typedef ULONG_PTR KAFFINITY, *PKAFFINITY;

#if __SIZEOF_WCHAR_T__ == 2
typedef wchar_t WCHAR;
#else
typedef __CHAR16_TYPE__ WCHAR;
#endif
typedef WCHAR *PWCHAR, *PWCH, *LPWCH, *LPWSTR, *PWSTR, *NWPSTR;
typedef const WCHAR *LPCWSTR, *PCWSTR, *PCWCH, *LPCWCH, *PCNZWCH;

typedef PVOID HANDLE;
typedef HANDLE *PHANDLE;
typedef LONG NTSTATUS, HRESULT;
typedef NTSTATUS *PNTSTATUS;
typedef UCHAR KIRQL, *PKIRQL;
typedef CCHAR KPROCESSOR_MODE;
typedef LONG KPRIORITY;
typedef ULONG LCID;
typedef ULONG ACCESS_MASK, *PACCESS_MASK;
typedef USHORT ADDRESS_FAMILY;

#define TRUE         1
#define FALSE        0
#define MAXUCHAR     0xff
#define MAXUSHORT    0xffff
#define MAXULONG     0xffffffffu
#define MAXLONG      0x7fffffff
#define MAXUINT8     ((UINT8)~0)
#define MAXUINT16    ((UINT16)~0)
#define MAXUINT32    0xffffffffu
#define MAXUINT64    0xffffffffffffffffull
#define MAXULONGLONG 0xffffffffffffffffull

#define NT_SUCCESS(status)     ((NTSTATUS)(status) >= 0)
#define NT_INFORMATION(status) ((((ULONG)(status)) >> 30) == 1)
#define NT_WARNING(status)     ((((ULONG)(status)) >> 30) == 2)
#define NT_ERROR(status)       ((((ULONG)(status)) >> 30) == 3)

/* ---- small structures -------------------------------------------------------------------------------- */
typedef union _LARGE_INTEGER {
    struct {
        ULONG LowPart;
        LONG HighPart;
    };
    struct {
        ULONG LowPart;
        LONG HighPart;
    } u;
    LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

typedef union _ULARGE_INTEGER {
    struct {
        ULONG LowPart;
        ULONG HighPart;
    };
    struct {
        ULONG LowPart;
        ULONG HighPart;
    } u;
    ULONGLONG QuadPart;
} ULARGE_INTEGER, *PULARGE_INTEGER;

typedef LARGE_INTEGER PHYSICAL_ADDRESS, *PPHYSICAL_ADDRESS;

typedef struct _LUID {
    ULONG LowPart;
    LONG HighPart;
} LUID, *PLUID;

typedef struct _FILETIME {
    DWORD dwLowDateTime;
    DWORD dwHighDateTime;
} FILETIME, *PFILETIME, *LPFILETIME;

typedef struct _UNICODE_STRING {
    USHORT Length;        /* bytes, without a terminator */
    USHORT MaximumLength; /* bytes */
    PWCH Buffer;
} UNICODE_STRING, *PUNICODE_STRING;
typedef const UNICODE_STRING *PCUNICODE_STRING;

typedef struct _STRING {
    USHORT Length;
    USHORT MaximumLength;
    PCHAR Buffer;
} STRING, ANSI_STRING, OEM_STRING, *PSTRING, *PANSI_STRING, *POEM_STRING;
typedef const STRING *PCSTRING, *PCANSI_STRING;

typedef struct _LIST_ENTRY {
    struct _LIST_ENTRY *Flink;
    struct _LIST_ENTRY *Blink;
} LIST_ENTRY, *PLIST_ENTRY;

typedef struct _SINGLE_LIST_ENTRY {
    struct _SINGLE_LIST_ENTRY *Next;
} SINGLE_LIST_ENTRY, *PSINGLE_LIST_ENTRY;

typedef struct DECLSPEC_ALIGN(16) _SLIST_ENTRY {
    struct _SLIST_ENTRY *Next;
} SLIST_ENTRY, *PSLIST_ENTRY;

typedef union DECLSPEC_ALIGN(16) _SLIST_HEADER {
    struct {
        ULONGLONG Alignment;
        ULONGLONG Region;
    };
    struct {
        ULONGLONG Depth : 16;
        ULONGLONG Sequence : 48;
        ULONGLONG Reserved : 4;
        ULONGLONG NextEntry : 60;
    } HeaderX64;
} SLIST_HEADER, *PSLIST_HEADER;

typedef struct _OBJECT_ATTRIBUTES {
    ULONG Length;
    HANDLE RootDirectory;
    PUNICODE_STRING ObjectName;
    ULONG Attributes;
    PVOID SecurityDescriptor;
    PVOID SecurityQualityOfService;
} OBJECT_ATTRIBUTES, *POBJECT_ATTRIBUTES;

typedef struct _CLIENT_ID {
    HANDLE UniqueProcess;
    HANDLE UniqueThread;
} CLIENT_ID, *PCLIENT_ID;

#endif
