/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, as a driver asks for it: from the kernel's clock; each question takes 100 ns of virtual time
 * (rt_clock_query), so that who polls gets on. Uptime counts from nt_create().
 */
#include "nt/internal.h"

#define UNIT_NS   100       /* of system and interrupt time */
#define INCREMENT 156250u   /* units of 100 ns between two ticks: 64 a second */
#define FREQUENCY 10000000u /* of the performance counter, a second */

static struct rt_clock *my_clock(void)
{
    struct nt *k = nt_current();

    return k == NULL ? rt_clock_of_thread() : k->clock;
}

static uint64_t uptime_ns(void)
{
    struct nt *k = nt_current();

    return rt_clock_query(my_clock()) - (k == NULL ? 0 : k->boot_ns);
}

VOID KeQuerySystemTime(PLARGE_INTEGER CurrentTime)
{
    struct rt_clock *clock = my_clock();

    rt_clock_query(clock);
    CurrentTime->QuadPart = (LONGLONG)rt_clock_filetime(clock);
}

VOID KeQuerySystemTimePrecise(PLARGE_INTEGER CurrentTime)
{
    struct rt_clock *clock = my_clock();

    rt_clock_query(clock);
    CurrentTime->QuadPart = (LONGLONG)rt_clock_filetime(clock);
}

ULONGLONG KeQueryInterruptTime(VOID)
{
    return uptime_ns() / UNIT_NS;
}

ULONGLONG KeQueryInterruptTimePrecise(PULONG64 QpcTimeStamp)
{
    ULONGLONG now = uptime_ns() / UNIT_NS;

    *QpcTimeStamp = now; /* a unit of either is 100 ns */
    return now;
}

ULONGLONG KeQueryUnbiasedInterruptTime(VOID)
{
    return uptime_ns() / UNIT_NS;
}

VOID KeQueryTickCount(PLARGE_INTEGER CurrentCount)
{
    CurrentCount->QuadPart = (LONGLONG)(uptime_ns() / UNIT_NS / INCREMENT);
}

ULONG KeQueryTimeIncrement(VOID)
{
    return INCREMENT;
}

LARGE_INTEGER KeQueryPerformanceCounter(PLARGE_INTEGER PerformanceFrequency)
{
    LARGE_INTEGER now = {.QuadPart = (LONGLONG)(uptime_ns() / UNIT_NS)};

    if (PerformanceFrequency != NULL)
        PerformanceFrequency->QuadPart = FREQUENCY;
    return now;
}

/* Other processors get on meanwhile, as they would. */
VOID KeStallExecutionProcessor(ULONG MicroSeconds)
{
    struct nt *k = nt_current();
    struct rt_clock *clock = my_clock();
    uint64_t until = rt_clock_now(clock) + MicroSeconds * 1000ull;

    if (k != NULL && rt_sim_current() != NULL) {
        nt_sleep(k, until);
        return;
    }
    while (rt_clock_now(clock) < until)
        rt_yield();
}

ULONG ExSetTimerResolution(ULONG DesiredTime, BOOLEAN SetResolution)
{
    (void)DesiredTime;
    (void)SetResolution;
    NT_IRQL_MAX(APC_LEVEL);
    return INCREMENT;
}

VOID ExQueryTimerResolution(PULONG MaximumTime, PULONG MinimumTime, PULONG CurrentTime)
{
    *MaximumTime = *MinimumTime = *CurrentTime = INCREMENT;
}
