/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of ke.h: interlocked operations. Inline, so that a sanitizer that a driver is built with sees them;
 * each is a full barrier, as on Windows, and first a place where a simulated world may let another thread in.
 * Of a world's threads one runs at a time and leaves it at such places alone, and nobody else is in its drivers'
 * memory: there the operation is a plain one, with nobody to be a barrier for. A locked instruction would wait for
 * all that was stored before. What a program shares with a driver and writes from threads outside of the world is
 * not exempt from this: it belongs on the real back end.
 * The forms without an underscore are the functions; the intrinsics' names are macros for them, since some
 * compilers own those names.
 */
#ifndef WEIR_WDK_NT_INTERLOCKED_H
#define WEIR_WDK_NT_INTERLOCKED_H

#ifndef __cplusplus
#define WEIR_BOOL _Bool
#else
#define WEIR_BOOL bool
#endif
/* The runtime's: points left until it has to be asked; 0 on the real back end, where it says false and does nothing else. */
extern __thread long long rt_points __attribute__((tls_model("initial-exec")));
WEIR_BOOL rt_points_over(void);
WEIR_INLINE WEIR_BOOL WeirPoint(void)
{
    return __builtin_expect(--rt_points > 0, 1) || rt_points_over();
}
#undef WEIR_BOOL

/* Nobody comes between until the next point. A thread sanitizer that a driver is built with is to see atomic operations. */
#if defined(__SANITIZE_THREAD__)
#define WEIR_ALONE(at) ((void)(at), WeirPoint(), 0)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIR_ALONE(at) ((void)(at), WeirPoint(), 0)
#endif
#endif
#ifndef WEIR_ALONE
/* The address is counted out once, for either way. */
#define WEIR_ALONE(at)                                                                                       \
    __extension__({                                                                                          \
        __asm__("" : "+r"(at));                                                                              \
        __builtin_expect(WeirPoint(), 1);                                                                    \
    })
#endif

/* name(*at, value) returns what was there (fetched) or what is then; `now` is made of `was`, in unsigned numbers, which wrap. */
#define WEIR_INTERLOCKED_CHANGE(name, type, utype, now, returned, atomic)                                    \
    WEIR_INLINE type name(type volatile *at, type value)                                                     \
    {                                                                                                        \
        if (WEIR_ALONE(at)) {                                                                                \
            const utype was = (utype)*at, changed = (utype)(now);                                            \
                                                                                                             \
            *at = (type)changed;                                                                             \
            return (type)returned;                                                                           \
        }                                                                                                    \
        return atomic(at, value, __ATOMIC_SEQ_CST);                                                          \
    }
#define WEIR_INTERLOCKED(suffix, type, utype)                                                                \
    WEIR_INTERLOCKED_CHANGE(InterlockedExchange##suffix, type, utype, (utype)value, was,                     \
                            __atomic_exchange_n)                                                             \
    WEIR_INTERLOCKED_CHANGE(InterlockedExchangeAdd##suffix, type, utype, was + (utype)value, was,            \
                            __atomic_fetch_add)                                                              \
    WEIR_INTERLOCKED_CHANGE(InterlockedAdd##suffix, type, utype, was + (utype)value, changed,                \
                            __atomic_add_fetch)                                                              \
    WEIR_INTERLOCKED_CHANGE(InterlockedAnd##suffix, type, utype, was &(utype)value, was, __atomic_fetch_and) \
    WEIR_INTERLOCKED_CHANGE(InterlockedOr##suffix, type, utype, was | (utype)value, was, __atomic_fetch_or)  \
    WEIR_INTERLOCKED_CHANGE(InterlockedXor##suffix, type, utype, was ^ (utype)value, was,                    \
                            __atomic_fetch_xor)                                                              \
    WEIR_INLINE type InterlockedIncrement##suffix(type volatile *Addend)                                     \
    {                                                                                                        \
        return InterlockedAdd##suffix(Addend, (type)1);                                                      \
    }                                                                                                        \
    WEIR_INLINE type InterlockedDecrement##suffix(type volatile *Addend)                                     \
    {                                                                                                        \
        return InterlockedAdd##suffix(Addend, (type)-1);                                                     \
    }                                                                                                        \
    WEIR_INLINE type InterlockedCompareExchange##suffix(type volatile *Destination, type Exchange,           \
                                                        type Comperand)                                      \
    {                                                                                                        \
        if (WEIR_ALONE(Destination)) {                                                                       \
            const type was = *Destination;                                                                   \
                                                                                                             \
            if (was == Comperand)                                                                            \
                *Destination = Exchange;                                                                     \
            return was;                                                                                      \
        }                                                                                                    \
        __atomic_compare_exchange_n(Destination, &Comperand, Exchange, 0, __ATOMIC_SEQ_CST,                  \
                                    __ATOMIC_SEQ_CST);                                                       \
        return Comperand;                                                                                    \
    }
WEIR_INTERLOCKED(, LONG, ULONG)
WEIR_INTERLOCKED(8, CHAR, UCHAR)
WEIR_INTERLOCKED(16, SHORT, USHORT)
WEIR_INTERLOCKED(64, LONG64, ULONG64)
#undef WEIR_INTERLOCKED
#undef WEIR_INTERLOCKED_CHANGE

WEIR_INLINE PVOID WeirInterlockedExchangePointer(PVOID volatile *Target, PVOID Value)
{
    if (WEIR_ALONE(Target)) {
        const PVOID was = *Target;

        *Target = Value;
        return was;
    }
    return __atomic_exchange_n(Target, Value, __ATOMIC_SEQ_CST);
}
WEIR_INLINE PVOID WeirInterlockedCompareExchangePointer(PVOID volatile *Destination, PVOID Exchange,
                                                        PVOID Comperand)
{
    if (WEIR_ALONE(Destination)) {
        const PVOID was = *Destination;

        if (was == Comperand)
            *Destination = Exchange;
        return was;
    }
    __atomic_compare_exchange_n(Destination, &Comperand, Exchange, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return Comperand;
}
/* Any pointer's address is taken, as Windows' own macro does in C. */
#define InterlockedExchangePointer(Target, Value)                                                            \
    WeirInterlockedExchangePointer((PVOID volatile *)(Target), (PVOID)(Value))
#define InterlockedCompareExchangePointer(Destination, Exchange, Comperand)                                  \
    WeirInterlockedCompareExchangePointer((PVOID volatile *)(Destination), (PVOID)(Exchange),                \
                                          (PVOID)(Comperand))

/* Sets or clears a bit; was it set? Bit counts from *Base's lowest; may lie in a later word. */
#define WEIR_INTERLOCKED_BIT(suffix, type, word, bits)                                                       \
    WEIR_INLINE UCHAR InterlockedBitTestAndSet##suffix(type volatile *Base, type Bit)                        \
    {                                                                                                        \
        const type mask = (type)((U##type)1 << (Bit & (bits - 1)));                                          \
                                                                                                             \
        return (UCHAR)((InterlockedOr##word(Base + Bit / bits, mask) & mask) != 0);                          \
    }                                                                                                        \
    WEIR_INLINE UCHAR InterlockedBitTestAndReset##suffix(type volatile *Base, type Bit)                      \
    {                                                                                                        \
        const type mask = (type)((U##type)1 << (Bit & (bits - 1)));                                          \
                                                                                                             \
        return (UCHAR)((InterlockedAnd##word(Base + Bit / bits, ~mask) & mask) != 0);                        \
    }
WEIR_INTERLOCKED_BIT(, LONG, , 32)
WEIR_INTERLOCKED_BIT(64, LONG64, 64, 64)
#undef WEIR_INTERLOCKED_BIT

#define _InterlockedIncrement              InterlockedIncrement
#define _InterlockedIncrement8             InterlockedIncrement8
#define _InterlockedIncrement16            InterlockedIncrement16
#define _InterlockedIncrement64            InterlockedIncrement64
#define _InterlockedDecrement              InterlockedDecrement
#define _InterlockedDecrement8             InterlockedDecrement8
#define _InterlockedDecrement16            InterlockedDecrement16
#define _InterlockedDecrement64            InterlockedDecrement64
#define _InterlockedExchange               InterlockedExchange
#define _InterlockedExchange8              InterlockedExchange8
#define _InterlockedExchange16             InterlockedExchange16
#define _InterlockedExchange64             InterlockedExchange64
#define _InterlockedExchangeAdd            InterlockedExchangeAdd
#define _InterlockedExchangeAdd8           InterlockedExchangeAdd8
#define _InterlockedExchangeAdd16          InterlockedExchangeAdd16
#define _InterlockedExchangeAdd64          InterlockedExchangeAdd64
#define _InterlockedAdd                    InterlockedAdd
#define _InterlockedAdd64                  InterlockedAdd64
#define _InlineInterlockedAdd              InterlockedAdd
#define _InlineInterlockedAdd64            InterlockedAdd64
#define _InterlockedCompareExchange        InterlockedCompareExchange
#define _InterlockedCompareExchange8       InterlockedCompareExchange8
#define _InterlockedCompareExchange16      InterlockedCompareExchange16
#define _InterlockedCompareExchange64      InterlockedCompareExchange64
#define _InterlockedAnd                    InterlockedAnd
#define _InterlockedAnd8                   InterlockedAnd8
#define _InterlockedAnd16                  InterlockedAnd16
#define _InterlockedAnd64                  InterlockedAnd64
#define _InterlockedOr                     InterlockedOr
#define _InterlockedOr8                    InterlockedOr8
#define _InterlockedOr16                   InterlockedOr16
#define _InterlockedOr64                   InterlockedOr64
#define _InterlockedXor                    InterlockedXor
#define _InterlockedXor8                   InterlockedXor8
#define _InterlockedXor16                  InterlockedXor16
#define _InterlockedXor64                  InterlockedXor64
#define _InterlockedExchangePointer        InterlockedExchangePointer
#define _InterlockedCompareExchangePointer InterlockedCompareExchangePointer
#define _interlockedbittestandset          InterlockedBitTestAndSet
#define _interlockedbittestandreset        InterlockedBitTestAndReset
#define _interlockedbittestandset64        InterlockedBitTestAndSet64
#define _interlockedbittestandreset64      InterlockedBitTestAndReset64

#define InterlockedIncrementAcquire              InterlockedIncrement
#define InterlockedIncrementRelease              InterlockedIncrement
#define InterlockedIncrementNoFence              InterlockedIncrement
#define InterlockedDecrementAcquire              InterlockedDecrement
#define InterlockedDecrementRelease              InterlockedDecrement
#define InterlockedDecrementNoFence              InterlockedDecrement
#define InterlockedIncrementNoFence64            InterlockedIncrement64
#define InterlockedDecrementNoFence64            InterlockedDecrement64
#define InterlockedExchangeNoFence               InterlockedExchange
#define InterlockedExchangeAcquire               InterlockedExchange
#define InterlockedExchangeAddNoFence            InterlockedExchangeAdd
#define InterlockedExchangeAddNoFence64          InterlockedExchangeAdd64
#define InterlockedAddNoFence                    InterlockedAdd
#define InterlockedAddNoFence64                  InterlockedAdd64
#define InterlockedCompareExchangeAcquire        InterlockedCompareExchange
#define InterlockedCompareExchangeRelease        InterlockedCompareExchange
#define InterlockedCompareExchangeNoFence        InterlockedCompareExchange
#define InterlockedCompareExchangeAcquire64      InterlockedCompareExchange64
#define InterlockedCompareExchangeRelease64      InterlockedCompareExchange64
#define InterlockedCompareExchangeNoFence64      InterlockedCompareExchange64
#define InterlockedExchangePointerNoFence        InterlockedExchangePointer
#define InterlockedCompareExchangePointerNoFence InterlockedCompareExchangePointer
#define InterlockedCompareExchangePointerAcquire InterlockedCompareExchangePointer
#define InterlockedCompareExchangePointerRelease InterlockedCompareExchangePointer
#define InterlockedOrNoFence                     InterlockedOr
#define InterlockedAndNoFence                    InterlockedAnd

/* Plain accesses that no compiler may split or move. */
#define WEIR_BARRIERED(name, size, type)                                                                     \
    WEIR_INLINE type Read##name##Acquire##size(type const volatile *Source)                                  \
    {                                                                                                        \
        WeirPoint();                                                                                         \
        return __atomic_load_n(Source, __ATOMIC_ACQUIRE);                                                    \
    }                                                                                                        \
    WEIR_INLINE type Read##name##NoFence##size(type const volatile *Source)                                  \
    {                                                                                                        \
        WeirPoint();                                                                                         \
        return __atomic_load_n(Source, __ATOMIC_RELAXED);                                                    \
    }                                                                                                        \
    WEIR_INLINE VOID Write##name##Release##size(type volatile *Destination, type Value)                      \
    {                                                                                                        \
        WeirPoint();                                                                                         \
        __atomic_store_n(Destination, Value, __ATOMIC_RELEASE);                                              \
    }                                                                                                        \
    WEIR_INLINE VOID Write##name##NoFence##size(type volatile *Destination, type Value)                      \
    {                                                                                                        \
        WeirPoint();                                                                                         \
        __atomic_store_n(Destination, Value, __ATOMIC_RELAXED);                                              \
    }
WEIR_BARRIERED(, 8, CHAR)
WEIR_BARRIERED(, 16, SHORT)
WEIR_BARRIERED(, , LONG)
WEIR_BARRIERED(, 64, LONG64)
WEIR_BARRIERED(UChar, , UCHAR)
WEIR_BARRIERED(UShort, , USHORT)
WEIR_BARRIERED(ULong, , ULONG)
WEIR_BARRIERED(ULong64, , ULONG64)
WEIR_BARRIERED(Boolean, , BOOLEAN)
#undef WEIR_BARRIERED
WEIR_INLINE PVOID ReadPointerAcquire(PVOID const volatile *Source)
{
    WeirPoint();
    return __atomic_load_n(Source, __ATOMIC_ACQUIRE);
}
WEIR_INLINE PVOID ReadPointerNoFence(PVOID const volatile *Source)
{
    WeirPoint();
    return __atomic_load_n(Source, __ATOMIC_RELAXED);
}
WEIR_INLINE VOID WritePointerRelease(PVOID volatile *Destination, PVOID Value)
{
    WeirPoint();
    __atomic_store_n(Destination, Value, __ATOMIC_RELEASE);
}
WEIR_INLINE VOID WritePointerNoFence(PVOID volatile *Destination, PVOID Value)
{
    WeirPoint();
    __atomic_store_n(Destination, Value, __ATOMIC_RELAXED);
}

#endif
