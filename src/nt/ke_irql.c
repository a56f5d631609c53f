/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IRQL: a number that each thread carries. There are no processors to interrupt, so raising it stops nobody;
 * it is what functions check themselves against, and what a driver may ask.
 */
#include "nt/internal.h"

void nt_irql_found(KIRQL limit, bool above, const char *function, const void *site)
{
    nt_note(site, "%s is called at IRQL %u, %s %u", function, rt_carried()->irql, above ? "above" : "below",
            limit);
}

KIRQL KeGetCurrentIrql(VOID)
{
    return rt_carried()->irql;
}

KIRQL KfRaiseIrql(KIRQL NewIrql)
{
    struct rt_carried *carried = rt_carried();
    KIRQL was = carried->irql;

    if (NewIrql < was)
        nt_bug(IRQL_NOT_GREATER_OR_EQUAL, NULL, NT_SITE, "KeRaiseIrql: from %u to %u, which is lower", was,
               NewIrql);
    carried->irql = NewIrql;
    rt_point();
    return was;
}

KIRQL KeRaiseIrqlToDpcLevel(VOID)
{
    struct rt_carried *carried = rt_carried();
    KIRQL was = carried->irql;

    NT_IRQL_MAX(DISPATCH_LEVEL);
    if (was < DISPATCH_LEVEL)
        carried->irql = DISPATCH_LEVEL;
    rt_point();
    return was;
}

VOID KeLowerIrql(KIRQL NewIrql)
{
    struct rt_carried *carried = rt_carried();

    if (NewIrql > carried->irql)
        nt_bug(IRQL_NOT_LESS_OR_EQUAL, NULL, NT_SITE, "KeLowerIrql: from %u to %u, which is higher",
               carried->irql, NewIrql);
    carried->irql = NewIrql;
    rt_point();
}

VOID WeirPagedCode(PCSTR Function)
{
    if (rt_carried()->irql > APC_LEVEL)
        nt_note(NT_SITE, "%s is paged code and runs at IRQL %u", Function, rt_carried()->irql);
}
