/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that several threads change: references, what is in flight. A locked instruction waits for all that was
 * stored before it, and a packet that is cloned and injected took six of them; where nobody could come between, it is
 * a plain one:
 *
 *   a process of one thread       the C library says so, and that it is over before the second begins
 *   a thread in a simulated world of its threads one runs at a time and leaves it at points alone (rt_point()); nobody
 *                                 outside of a world is at what belongs to it (rt.h: what is said of mutexes there)
 *
 * Elsewhere it is the atomic operation of the order that is given.
 */
#ifndef WEIR_RT_ALONE_H
#define WEIR_RT_ALONE_H

#include "rt/rt.h"

#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define RT_ONE_THREAD __libc_single_threaded
#endif
#endif
#ifndef RT_ONE_THREAD
#define RT_ONE_THREAD false
#endif

/* Until the next point nobody else is at what this thread may change. */
static inline bool rt_alone(void)
{
    return RT_ONE_THREAD || rt_points > 0;
}

/* *at and n more, or less: what it is then. Others may read it at any time. */
#define RT_CHANGE(at, n, sign, atomic, order)                                                                \
    __extension__({                                                                                          \
        const __auto_type at_ = (at);                                                                        \
        __typeof__(*at_) now_;                                                                               \
                                                                                                             \
        if (__builtin_expect(rt_alone(), 1)) {                                                               \
            now_ = *at_ sign(__typeof__(now_))(n);                                                           \
            __atomic_store_n(at_, now_, __ATOMIC_RELAXED);                                                   \
        } else {                                                                                             \
            now_ = atomic(at_, n, order);                                                                    \
        }                                                                                                    \
        now_;                                                                                                \
    })
#define rt_add(at, n, order) RT_CHANGE(at, n, +, __atomic_add_fetch, order)
#define rt_sub(at, n, order) RT_CHANGE(at, n, -, __atomic_sub_fetch, order)

#endif
