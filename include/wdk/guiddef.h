/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guiddef.h: GUID and how one is defined.
 *
 * DEFINE_GUID declares; in a source that defines INITGUID first (or includes initguid.h) it defines. The
 * definition is weak, as DECLSPEC_SELECTANY makes it on Windows, so that several sources may hold it. The
 * GUIDs of the platform itself (layers, conditions, ...) are always only declared: the library holds them.
 */
#ifndef GUID_DEFINED
#define GUID_DEFINED
typedef struct _GUID {
    unsigned int Data1; /* 32 bits, where MSVC writes unsigned long */
    unsigned short Data2;
    unsigned short Data3;
    unsigned char Data4[8];
} GUID;
typedef GUID *LPGUID, *PGUID;
typedef const GUID *LPCGUID;
typedef GUID IID, CLSID, FMTID;
#endif

#ifndef WEIR_WDK_GUIDDEF_H
#define WEIR_WDK_GUIDDEF_H

#include <string.h>

#ifndef EXTERN_C
#ifdef __cplusplus
#define EXTERN_C extern "C"
#else
#define EXTERN_C extern
#endif
#endif

#ifndef DECLSPEC_SELECTANY
#define DECLSPEC_SELECTANY __attribute__((weak))
#endif

#ifdef __cplusplus
#define REFGUID const GUID &
#else
#define REFGUID const GUID *
#endif
#define REFIID   REFGUID
#define REFCLSID REFGUID

#ifdef __cplusplus
static inline int IsEqualGUID(REFGUID a, REFGUID b)
{
    return memcmp(&a, &b, sizeof(GUID)) == 0;
}
static inline bool operator==(REFGUID a, REFGUID b)
{
    return memcmp(&a, &b, sizeof(GUID)) == 0;
}
static inline bool operator!=(REFGUID a, REFGUID b)
{
    return memcmp(&a, &b, sizeof(GUID)) != 0;
}
#else
#define IsEqualGUID(a, b) (memcmp((a), (b), sizeof(GUID)) == 0)
#endif
#define InlineIsEqualGUID(a, b) IsEqualGUID(a, b)
#define IsEqualIID(a, b)        IsEqualGUID(a, b)
#define IsEqualCLSID(a, b)      IsEqualGUID(a, b)

#endif

/* Outside the guard: a source may include this twice, the second time with INITGUID. */
#undef DEFINE_GUID
#ifdef INITGUID
#define DEFINE_GUID(name, l, w1, w2, b1, b2, b3, b4, b5, b6, b7, b8)                                         \
    EXTERN_C const GUID name;                                                                                \
    DECLSPEC_SELECTANY const GUID name = {l, w1, w2, {b1, b2, b3, b4, b5, b6, b7, b8}}
#else
#define DEFINE_GUID(name, l, w1, w2, b1, b2, b3, b4, b5, b6, b7, b8) EXTERN_C const GUID name
#endif
