/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of obligations are called in messages for people. */
#include "ledger/ledger.h"

static const char *const names[LEDGER_KINDS] = {
    [LEDGER_PENDED_OPERATION] = "pended operation",
    [LEDGER_PENDED_CLASSIFY] = "pended classify",
    [LEDGER_CLASSIFY_HANDLE] = "classify handle",
    [LEDGER_NBL_REFERENCE] = "NET_BUFFER_LIST reference",
    [LEDGER_NBL_CLONE] = "NET_BUFFER_LIST clone",
    [LEDGER_NBL] = "NET_BUFFER_LIST",
    [LEDGER_NET_BUFFER] = "NET_BUFFER",
    [LEDGER_NBL_POOL] = "NET_BUFFER_LIST pool",
    [LEDGER_STREAM_CLONE] = "stream data clone",
    [LEDGER_MDL] = "MDL",
    [LEDGER_INJECTION] = "injection",
    [LEDGER_INJECTION_HANDLE] = "injection handle",
    [LEDGER_REDIRECT_HANDLE] = "redirect handle",
    [LEDGER_FLOW_CONTEXT] = "flow context",
    [LEDGER_CALLOUT] = "callout",
    [LEDGER_ENGINE_HANDLE] = "engine handle",
    [LEDGER_SUBSCRIPTION] = "subscription",
    [LEDGER_POOL] = "pool block",
    [LEDGER_LOOKASIDE] = "lookaside list",
    [LEDGER_LOCK] = "lock",
    [LEDGER_THREAD] = "thread",
    [LEDGER_WORK_ITEM] = "work item",
    [LEDGER_QUEUED] = "queued work item",
    [LEDGER_TIMER] = "timer",
    [LEDGER_DPC] = "DPC",
    [LEDGER_DEVICE] = "device",
    [LEDGER_SYMBOLIC_LINK] = "symbolic link",
    [LEDGER_HANDLE] = "handle",
    [LEDGER_OBJECT_REFERENCE] = "object reference",
    [LEDGER_IRP] = "IRP",
    [LEDGER_CALLBACK] = "callback registration",
    [LEDGER_WDF_OBJECT] = "WDF object",
    [LEDGER_DEFERRED_STREAM] = "deferred stream",
};

const char *ledger_kind_name(enum ledger_kind k)
{
    return (unsigned)k < LEDGER_KINDS ? names[k] : "obligation";
}
