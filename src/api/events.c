/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions to net events, the engine's options, the service's state. */
#include "fwpmk.h"

#include "api/internal.h"
#include "ledger/ledger.h"
#include "bfe/events.h"
#include "bfe/subscribe.h"

static NTSTATUS subscribe(struct bfe_session *s, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,
                          unsigned version, bfe_event_callback callback, void *context, HANDLE *handle)
{
    struct bfe_event_subscription *sub = NULL;
    NTSTATUS status;

    if (!handle)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_event_subscribe(s, subscription, version, callback, context, &sub);
    *handle = sub;
    return status;
}

/* FWPM_NET_EVENT_CALLBACK<n> is given a FWPM_NET_EVENT<n + 1>. */
#define NET_EVENT_SUBSCRIBE(n, event)                                                                        \
    NTSTATUS api_FwpmNetEventSubscribe##n(                                                                   \
        enum api_flavour flavour, HANDLE engineHandle, const FWPM_NET_EVENT_SUBSCRIPTION0 *subscription,     \
        FWPM_NET_EVENT_CALLBACK##n callback, void *context, HANDLE *eventsHandle)                            \
    {                                                                                                        \
        API_SESSION_CALL(                                                                                    \
            flavour, engineHandle,                                                                           \
            subscribe(c.session, subscription, event, (bfe_event_callback)callback, context, eventsHandle)); \
    }
NET_EVENT_SUBSCRIBE(0, 1)
NET_EVENT_SUBSCRIBE(1, 2)
NET_EVENT_SUBSCRIBE(2, 3)
NET_EVENT_SUBSCRIBE(3, 4)
NET_EVENT_SUBSCRIBE(4, 5)

NTSTATUS api_FwpmNetEventUnsubscribe0(enum api_flavour flavour, HANDLE engineHandle, HANDLE eventsHandle)
{
    API_SESSION_CALL(flavour, engineHandle, bfe_event_unsubscribe(c.session, eventsHandle));
}

NTSTATUS api_FwpmNetEventSubscriptionsGet0(enum api_flavour flavour, HANDLE engineHandle,
                                           FWPM_NET_EVENT_SUBSCRIPTION0 ***entries, UINT32 *numEntries)
{
    API_SESSION_CALL(flavour, engineHandle,
                     bfe_subscriptions_get(c.session, BFE_NET_EVENT, (void ***)entries, numEntries));
}

NTSTATUS api_FwpmEngineGetOption0(enum api_flavour flavour, HANDLE engineHandle, FWPM_ENGINE_OPTION option,
                                  FWP_VALUE0 **value)
{
    API_SESSION_CALL(flavour, engineHandle, bfe_option_get(c.session, option, value));
}

NTSTATUS api_FwpmEngineSetOption0(enum api_flavour flavour, HANDLE engineHandle, FWPM_ENGINE_OPTION option,
                                  const FWP_VALUE0 *newValue)
{
    API_SESSION_CALL(flavour, engineHandle, bfe_option_set(c.session, option, newValue));
}

FWPM_SERVICE_STATE api_FwpmBfeStateGet0(enum api_flavour flavour)
{
    struct bfe *b = api_current_bfe();

    (void)flavour;
    return b ? bfe_state_get(b) : FWPM_SERVICE_STOPPED;
}

NTSTATUS api_FwpmBfeStateSubscribeChanges0(enum api_flavour flavour, void *deviceObject,
                                           FWPM_SERVICE_STATE_CHANGE_CALLBACK0 callback, void *context,
                                           HANDLE *changeHandle)
{
    struct bfe_state_subscription *sub = NULL;
    struct bfe *b = api_current_bfe();
    NTSTATUS status;

    (void)flavour;
    (void)deviceObject; /* keeps a driver's image loaded on Windows */
    if (!changeHandle)
        return STATUS_FWP_NULL_POINTER;
    *changeHandle = NULL;
    if (!b)
        return STATUS_DEVICE_NOT_READY;
    status = bfe_state_subscribe(b, callback, context, &sub);
    *changeHandle = sub;
    if (status == STATUS_SUCCESS)
        ledger_open(LEDGER_SUBSCRIPTION, (uintptr_t)sub, 0, NULL, rt_carried()->site);
    return status;
}

NTSTATUS api_FwpmBfeStateUnsubscribeChanges0(enum api_flavour flavour, HANDLE changeHandle)
{
    struct bfe *b = api_current_bfe();
    NTSTATUS status = b ? bfe_state_unsubscribe(b, changeHandle) : STATUS_INVALID_HANDLE;

    (void)flavour;
    if (status == STATUS_SUCCESS)
        ledger_close(LEDGER_SUBSCRIPTION, (uintptr_t)changeHandle, rt_carried()->site);
    return status;
}
