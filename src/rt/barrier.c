/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A memory barrier for all threads of the process, asked for by one of them: what lets a reader that pins
 * often store without a barrier of its own, and a writer that seldom comes pay for both (Linux membarrier,
 * private expedited).
 */
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rt/rt.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

static long membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0);
}

bool rt_barrier_offered(void)
{
#ifdef UNDER_TSAN
    return false; /* it could not see such a barrier: everybody pays for his own */
#else
    return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
#endif
}

bool rt_barrier(void)
{
    return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
}
