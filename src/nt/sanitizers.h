/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sanitizer must be told where it cannot see: a driver may be built with one that this library was
 * built without. The functions are a sanitizer run-time's, where there is one in the process.
 */
#ifndef WEIR_NT_SANITIZERS_H
#define WEIR_NT_SANITIZERS_H

#include <stdbool.h>
#include <stddef.h>

void __tsan_acquire(void *address) __attribute__((weak));
void __tsan_release(void *address) __attribute__((weak));
void __asan_poison_memory_region(void const volatile *address, size_t size) __attribute__((weak));
void __asan_unpoison_memory_region(void const volatile *address, size_t size) __attribute__((weak));

/* What was done before a release of `address` is seen after an acquire of it. */
static inline void nt_tsan_acquire(const volatile void *address)
{
    if (__tsan_acquire != NULL)
        __tsan_acquire((void *)(size_t)address);
}
static inline void nt_tsan_release(const volatile void *address)
{
    if (__tsan_release != NULL)
        __tsan_release((void *)(size_t)address);
}
static inline bool nt_asan_here(void)
{
    return __asan_poison_memory_region != NULL;
}
static inline void nt_asan_poison(const void *address, size_t size)
{
    if (__asan_poison_memory_region != NULL)
        __asan_poison_memory_region(address, size);
}
static inline void nt_asan_unpoison(const void *address, size_t size)
{
    if (__asan_unpoison_memory_region != NULL)
        __asan_unpoison_memory_region(address, size);
}

#endif
