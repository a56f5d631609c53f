/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of intsafe.h, which includes this with WEIR_INTSAFE_* saying how they are called
 * and what they return. No guard. On overflow the result has all bits set, as documented.
 */
#define WEIR_INTSAFE_DO(name, type, operation)                                                               \
    WEIR_INLINE WEIR_INTSAFE_STATUS WEIR_INTSAFE_NAME(name)(type x, type y, type *result)                    \
    {                                                                                                        \
        if (!operation(x, y, result))                                                                        \
            return WEIR_INTSAFE_OK;                                                                          \
        *result = (type)-1;                                                                                  \
        return WEIR_INTSAFE_OVERFLOW;                                                                        \
    }
#define WEIR_INTSAFE_COUNT(name, type)                                                                       \
    WEIR_INTSAFE_DO(name##Add, type, __builtin_add_overflow)                                                 \
    WEIR_INTSAFE_DO(name##Sub, type, __builtin_sub_overflow)                                                 \
    WEIR_INTSAFE_DO(name##Mult, type, __builtin_mul_overflow)
#define WEIR_INTSAFE_CONVERT(from, from_type, to, to_type)                                                   \
    WEIR_INLINE WEIR_INTSAFE_STATUS WEIR_INTSAFE_NAME(from##To##to)(from_type x, to_type * result)           \
    {                                                                                                        \
        if (!__builtin_add_overflow(x, 0, result))                                                           \
            return WEIR_INTSAFE_OK;                                                                          \
        *result = (to_type)-1;                                                                               \
        return WEIR_INTSAFE_OVERFLOW;                                                                        \
    }
#define WEIR_INTSAFE_ALL(to, type)                                                                           \
    WEIR_INTSAFE_CONVERT(UInt8, UINT8, to, type)                                                             \
    WEIR_INTSAFE_CONVERT(Short, SHORT, to, type)                                                             \
    WEIR_INTSAFE_CONVERT(UShort, USHORT, to, type)                                                           \
    WEIR_INTSAFE_CONVERT(Int, INT, to, type)                                                                 \
    WEIR_INTSAFE_CONVERT(UInt, UINT, to, type)                                                               \
    WEIR_INTSAFE_CONVERT(Long, LONG, to, type)                                                               \
    WEIR_INTSAFE_CONVERT(ULong, ULONG, to, type)                                                             \
    WEIR_INTSAFE_CONVERT(LongLong, LONGLONG, to, type)                                                       \
    WEIR_INTSAFE_CONVERT(ULongLong, ULONGLONG, to, type)                                                     \
    WEIR_INTSAFE_CONVERT(IntPtr, INT_PTR, to, type)                                                          \
    WEIR_INTSAFE_CONVERT(UIntPtr, UINT_PTR, to, type)                                                        \
    WEIR_INTSAFE_CONVERT(LongPtr, LONG_PTR, to, type)                                                        \
    WEIR_INTSAFE_CONVERT(ULongPtr, ULONG_PTR, to, type)                                                      \
    WEIR_INTSAFE_CONVERT(SizeT, SIZE_T, to, type)

WEIR_INTSAFE_COUNT(UInt8, UINT8)
WEIR_INTSAFE_COUNT(Short, SHORT)
WEIR_INTSAFE_COUNT(UShort, USHORT)
WEIR_INTSAFE_COUNT(Int, INT)
WEIR_INTSAFE_COUNT(UInt, UINT)
WEIR_INTSAFE_COUNT(Long, LONG)
WEIR_INTSAFE_COUNT(ULong, ULONG)
WEIR_INTSAFE_COUNT(LongLong, LONGLONG)
WEIR_INTSAFE_COUNT(ULongLong, ULONGLONG)
WEIR_INTSAFE_COUNT(IntPtr, INT_PTR)
WEIR_INTSAFE_COUNT(UIntPtr, UINT_PTR)
WEIR_INTSAFE_COUNT(LongPtr, LONG_PTR)
WEIR_INTSAFE_COUNT(ULongPtr, ULONG_PTR)
WEIR_INTSAFE_COUNT(SizeT, SIZE_T)

WEIR_INTSAFE_ALL(UInt8, UINT8)
WEIR_INTSAFE_ALL(UChar, UCHAR)
WEIR_INTSAFE_ALL(Short, SHORT)
WEIR_INTSAFE_ALL(UShort, USHORT)
WEIR_INTSAFE_ALL(Int, INT)
WEIR_INTSAFE_ALL(UInt, UINT)
WEIR_INTSAFE_ALL(Long, LONG)
WEIR_INTSAFE_ALL(ULong, ULONG)
WEIR_INTSAFE_ALL(LongLong, LONGLONG)
WEIR_INTSAFE_ALL(ULongLong, ULONGLONG)
WEIR_INTSAFE_ALL(IntPtr, INT_PTR)
WEIR_INTSAFE_ALL(UIntPtr, UINT_PTR)
WEIR_INTSAFE_ALL(LongPtr, LONG_PTR)
WEIR_INTSAFE_ALL(ULongPtr, ULONG_PTR)
WEIR_INTSAFE_ALL(SizeT, SIZE_T)

#undef WEIR_INTSAFE_DO
#undef WEIR_INTSAFE_COUNT
#undef WEIR_INTSAFE_CONVERT
#undef WEIR_INTSAFE_ALL
#undef WEIR_INTSAFE_NAME
#undef WEIR_INTSAFE_STATUS
#undef WEIR_INTSAFE_OK
#undef WEIR_INTSAFE_OVERFLOW
