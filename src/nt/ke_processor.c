/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processors and barriers, stacks, what stops the machine, what the debugger shows.
 */
#include <stdarg.h>

#include "nt/fault.h"
#include "nt/format.h"
#include "nt/internal.h"

/* Not asked last by the calling thread, or by nobody's driver. */
static __attribute__((noinline)) ULONG find_processor(void)
{
    struct nt *k = nt_current();

    return k == NULL ? 0 : nt_processor(k);
}

/* Drivers count by it, several times a packet. */
static inline ULONG current_processor(void)
{
    const struct rt_context *context = rt_current();
    const struct rt_carried *me = rt_carried();

    if (__builtin_expect(context == NULL || me->nt_thread == NULL || me->nt_kernel != context->nt_kernel, 0))
        return find_processor();
    return ((const struct nt_thread *)me->nt_thread)->processor;
}

ULONG KeGetCurrentProcessorNumber(VOID)
{
    return current_processor();
}

ULONG KeGetCurrentProcessorIndex(VOID)
{
    return current_processor();
}

ULONG KeGetCurrentProcessorNumberEx(PPROCESSOR_NUMBER ProcNumber)
{
    ULONG index = KeGetCurrentProcessorNumber();

    if (ProcNumber != NULL)
        *ProcNumber = (PROCESSOR_NUMBER){.Number = (UCHAR)index};
    return index;
}

static unsigned count(void)
{
    struct nt *k = nt_current();

    return k == NULL ? 1 : k->processors;
}

ULONG KeGetProcessorIndexFromNumber(PPROCESSOR_NUMBER ProcNumber)
{
    return ProcNumber->Group != 0 || ProcNumber->Number >= count() ? (ULONG)-1 : ProcNumber->Number;
}

NTSTATUS KeGetProcessorNumberFromIndex(ULONG ProcIndex, PPROCESSOR_NUMBER ProcNumber)
{
    if (ProcIndex >= count())
        return STATUS_INVALID_PARAMETER;
    *ProcNumber = (PROCESSOR_NUMBER){.Number = (UCHAR)ProcIndex};
    return STATUS_SUCCESS;
}

KAFFINITY KeQueryActiveProcessors(VOID)
{
    unsigned n = count();

    return n == 64 ? ~(KAFFINITY)0 : ((KAFFINITY)1 << n) - 1;
}

ULONG KeQueryActiveProcessorCount(PKAFFINITY ActiveProcessors)
{
    if (ActiveProcessors != NULL)
        *ActiveProcessors = KeQueryActiveProcessors();
    return count();
}

ULONG KeQueryActiveProcessorCountEx(USHORT GroupNumber)
{
    return GroupNumber == 0 || GroupNumber == ALL_PROCESSOR_GROUPS ? count() : 0;
}

ULONG KeQueryMaximumProcessorCount(VOID)
{
    return count();
}

ULONG KeQueryMaximumProcessorCountEx(USHORT GroupNumber)
{
    return KeQueryActiveProcessorCountEx(GroupNumber);
}

USHORT KeQueryActiveGroupCount(VOID)
{
    return 1;
}

USHORT KeQueryMaximumGroupCount(VOID)
{
    return 1;
}

/* ---- affinities: a thread stays where it is, and says so ------------------------------------------------
 */
KAFFINITY KeSetSystemAffinityThreadEx(KAFFINITY Affinity)
{
    struct nt *k = nt_current();
    struct nt_thread *t = k == NULL ? NULL : nt_thread_current(k);
    KAFFINITY was;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (t == NULL)
        return 0;
    was = t->affinity;
    t->affinity = Affinity;
    Affinity &= KeQueryActiveProcessors();
    if (Affinity != 0 && (Affinity >> t->processor & 1) == 0)
        t->processor = (uint16_t)__builtin_ctzll(Affinity); /* to the first that is allowed */
    return was;
}

VOID KeRevertToUserAffinityThreadEx(KAFFINITY Affinity)
{
    struct nt *k = nt_current();
    struct nt_thread *t = k == NULL ? NULL : nt_thread_current(k);

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (t != NULL)
        t->affinity = Affinity;
}

VOID KeSetSystemAffinityThread(KAFFINITY Affinity)
{
    KeSetSystemAffinityThreadEx(Affinity);
}

VOID KeRevertToUserAffinityThread(VOID)
{
    KeRevertToUserAffinityThreadEx(0);
}

VOID KeSetSystemGroupAffinityThread(PGROUP_AFFINITY Affinity, PGROUP_AFFINITY PreviousAffinity)
{
    KAFFINITY was = KeSetSystemAffinityThreadEx(Affinity->Mask);

    if (PreviousAffinity != NULL)
        *PreviousAffinity = (GROUP_AFFINITY){.Mask = was};
}

VOID KeRevertToUserGroupAffinityThread(PGROUP_AFFINITY PreviousAffinity)
{
    KeRevertToUserAffinityThreadEx(PreviousAffinity->Mask);
}

/* ---- barriers -------------------------------------------------------------------------------------------
 */
VOID KeMemoryBarrier(VOID)
{
    rt_point();
#if defined(__SANITIZE_THREAD__)
    {
        int any = 0;

        __atomic_exchange_n(&any, 1, __ATOMIC_SEQ_CST); /* which the sanitizer knows, unlike a fence */
    }
#else
    __sync_synchronize();
#endif
}

/* Who spins waits for another: in a simulated world the other must run. */
VOID WeirYieldProcessor(VOID)
{
    if (rt_sim_current() != NULL) {
        rt_yield();
        return;
    }
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    rt_yield();
#endif
}

VOID KeFlushIoBuffers(PMDL Mdl, BOOLEAN ReadOperation, BOOLEAN DmaOperation)
{
    (void)Mdl;
    (void)ReadOperation;
    (void)DmaOperation;
}

/* ---- stacks ---------------------------------------------------------------------------------------------
 */
/* The stacks of threads and fibers are larger than what may be asked for: the routine is called as it is. */
NTSTATUS KeExpandKernelStackAndCalloutEx(PEXPAND_STACK_CALLOUT Callout, PVOID Parameter, SIZE_T Size,
                                         BOOLEAN Wait, PVOID Context)
{
    NT_FAIL_STATUS(KeExpandKernelStackAndCalloutEx);
    (void)Context;
    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (Size > MAXIMUM_EXPANSION_SIZE)
        return STATUS_INVALID_PARAMETER_3;
    if (Wait && rt_carried()->irql >= DISPATCH_LEVEL)
        return STATUS_INVALID_PARAMETER_4;
    Callout(Parameter);
    return STATUS_SUCCESS;
}

NTSTATUS KeExpandKernelStackAndCallout(PEXPAND_STACK_CALLOUT Callout, PVOID Parameter, SIZE_T Size)
{
    NT_FAIL_STATUS(KeExpandKernelStackAndCallout);
    NT_IRQL_MAX(APC_LEVEL);
    if (Size > MAXIMUM_EXPANSION_SIZE)
        return STATUS_INVALID_PARAMETER_3;
    Callout(Parameter);
    return STATUS_SUCCESS;
}

/* ---- what stops the machine -----------------------------------------------------------------------------
 */
VOID KeBugCheckEx(ULONG BugCheckCode, ULONG_PTR BugCheckParameter1, ULONG_PTR BugCheckParameter2,
                  ULONG_PTR BugCheckParameter3, ULONG_PTR BugCheckParameter4)
{
    const uint64_t p[4] = {BugCheckParameter1, BugCheckParameter2, BugCheckParameter3, BugCheckParameter4};

    nt_stop(BugCheckCode, p, NT_SITE, "KeBugCheckEx: code 0x%x", BugCheckCode);
}

VOID KeBugCheck(ULONG BugCheckCode)
{
    nt_stop(BugCheckCode, NULL, NT_SITE, "KeBugCheck: code 0x%x", BugCheckCode);
}

VOID WeirListCorrupt(PVOID Entry, PCSTR Function)
{
    (void)Entry;
    nt_stop(KERNEL_SECURITY_CHECK_FAILURE, NULL, NT_SITE, "%s: the links of a list do not agree", Function);
}

VOID ExRaiseStatus(NTSTATUS Status)
{
    nt_stop(KMODE_EXCEPTION_NOT_HANDLED, NULL, NT_SITE, "ExRaiseStatus: 0x%08x", (unsigned)Status);
}

VOID ExRaiseAccessViolation(VOID)
{
    nt_stop(KMODE_EXCEPTION_NOT_HANDLED, NULL, NT_SITE, "ExRaiseAccessViolation");
}

VOID ExRaiseDatatypeMisalignment(VOID)
{
    nt_stop(KMODE_EXCEPTION_NOT_HANDLED, NULL, NT_SITE, "ExRaiseDatatypeMisalignment");
}

VOID RtlAssert(PVOID FailedAssertion, PVOID FileName, ULONG LineNumber, PCHAR Message)
{
    nt_bug(KMODE_EXCEPTION_NOT_HANDLED, NULL, NT_SITE, "assertion '%s' failed at %s:%u%s%s",
           (const char *)FailedAssertion, (const char *)FileName, LineNumber, Message == NULL ? "" : ": ",
           Message == NULL ? "" : Message);
}

VOID DbgBreakPoint(VOID)
{
    nt_bug(KMODE_EXCEPTION_NOT_HANDLED, NULL, NT_SITE, "DbgBreakPoint, and there is no debugger");
}

/* ---- what the debugger shows ----------------------------------------------------------------------------
 */
#define LINE 512 /* what DbgPrint sends at most */

static ULONG print(const char *prefix, ULONG component, ULONG level, const char *format, va_list args)
{
    struct nt_driver *d = nt_driver_current();
    char text[LINE];
    size_t at = 0;

    if (d == NULL || d->k->config.print == NULL)
        return STATUS_SUCCESS;
    for (; prefix[at] != '\0' && at < sizeof(text) - 1; at++)
        text[at] = prefix[at];
    rtl_format(text + at, sizeof(text) - at, format, args);
    d->k->config.print(d->k->config.ctx, d->name, component, level, text);
    return STATUS_SUCCESS;
}

ULONG DbgPrint(PCSTR Format, ...)
{
    va_list args;
    ULONG status;

    va_start(args, Format);
    status = print("", DPFLTR_DEFAULT_ID, DPFLTR_INFO_LEVEL, Format, args);
    va_end(args);
    return status;
}

ULONG DbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, ...)
{
    va_list args;
    ULONG status;

    va_start(args, Format);
    status = print("", ComponentId, Level, Format, args);
    va_end(args);
    return status;
}

ULONG vDbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, va_list arglist)
{
    return print("", ComponentId, Level, Format, arglist);
}

ULONG vDbgPrintExWithPrefix(PCSTR Prefix, ULONG ComponentId, ULONG Level, PCSTR Format, va_list arglist)
{
    return print(Prefix, ComponentId, Level, Format, arglist);
}
