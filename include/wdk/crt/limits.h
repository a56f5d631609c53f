/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h: as Windows has it: long is 32 bits. */
#ifndef WEIR_WDK_CRT_LIMITS_H
#define WEIR_WDK_CRT_LIMITS_H

#define CHAR_BIT   8
#define SCHAR_MIN  (-128)
#define SCHAR_MAX  127
#define UCHAR_MAX  0xff
#define CHAR_MIN   SCHAR_MIN
#define CHAR_MAX   SCHAR_MAX
#define MB_LEN_MAX 5
#define SHRT_MIN   (-32768)
#define SHRT_MAX   32767
#define USHRT_MAX  0xffff
#define INT_MIN    (-2147483647 - 1)
#define INT_MAX    2147483647
#define UINT_MAX   0xffffffffu
#define LONG_MIN   (-2147483647 - 1)
#define LONG_MAX   2147483647
#define ULONG_MAX  0xffffffffu
#define LLONG_MIN  (-9223372036854775807ll - 1)
#define LLONG_MAX  9223372036854775807ll
#define ULLONG_MAX 0xffffffffffffffffull
#define _I8_MIN    SCHAR_MIN
#define _I8_MAX    SCHAR_MAX
#define _UI8_MAX   UCHAR_MAX
#define _I16_MIN   SHRT_MIN
#define _I16_MAX   SHRT_MAX
#define _UI16_MAX  USHRT_MAX
#define _I32_MIN   INT_MIN
#define _I32_MAX   INT_MAX
#define _UI32_MAX  UINT_MAX
#define _I64_MIN   LLONG_MIN
#define _I64_MAX   LLONG_MAX
#define _UI64_MAX  ULLONG_MAX
#ifndef SIZE_MAX
#define SIZE_MAX 0xffffffffffffffffull
#endif

#endif
