/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included before everything else by weir cc: names that Microsoft's compiler has built in.
 */
#ifndef WEIR_WDK_CRT_COMPILER_H
#define WEIR_WDK_CRT_COMPILER_H

#define __int8  char
#define __int16 short
#define __int32 int
#define __int64 long long
#define _int64  long long

#define __cdecl
#define _cdecl
#define __stdcall
#define _stdcall
#define __fastcall
#define _fastcall
#define __vectorcall
#define __thiscall
#define __clrcall
#define __w64
#define __ptr32
#define __ptr64
#define __sptr
#define __uptr
#define __unaligned
#define _UNALIGNED

#define __debugbreak()     __builtin_trap()
#define __fastfail(code)   __builtin_trap()
#define __assume(e)        ((e) ? (void)0 : __builtin_unreachable())
#define __noop(...)        ((void)0)
#define _alloca            __builtin_alloca
#define alloca             __builtin_alloca
#ifndef __clang__
#define __identifier(name) name
#define __alignof          __alignof__
#endif
#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* What is left of __try (weir cc rewrites it): no exception reaches a driver. */
#include "../excpt.h"

#endif
