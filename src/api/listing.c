/* SPDX-License-Identifier: Apache-2.0 */
/* Enumerations and change subscriptions of all kinds: one macro a shape, one line a kind. */
#include "fwpmk.h"

#include "api/internal.h"
#include "bfe/bfe.h"
#include "bfe/events.h"
#include "bfe/subscribe.h"

/* ---- enumerations ----------------------------------------------------------------------------- */

static NTSTATUS enum_create(struct bfe_session *s, enum bfe_kind kind, const void *tmpl, HANDLE *handle)
{
    struct bfe_enum *e = NULL;
    NTSTATUS status;

    if (!handle)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enum_create(s, kind, tmpl, &e);
    *handle = e;
    return status;
}

static NTSTATUS enum_destroy(struct bfe_session *s, enum bfe_kind kind, HANDLE handle)
{
    NTSTATUS status = bfe_enum_check(s, kind, handle);

    return status == STATUS_SUCCESS ? bfe_enum_destroy(s, handle) : status;
}

static NTSTATUS enum_next(struct bfe_session *s, enum bfe_kind kind, HANDLE handle, UINT32 requested,
                          void ***entries, UINT32 *returned)
{
    NTSTATUS status = bfe_enum_check(s, kind, handle);

    return status == STATUS_SUCCESS ? bfe_enum_next(s, handle, requested, entries, returned) : status;
}

static NTSTATUS event_next(struct bfe_session *s, unsigned version, HANDLE handle, UINT32 requested,
                           void ***entries, UINT32 *returned)
{
    NTSTATUS status = bfe_enum_check(s, BFE_NET_EVENT, handle);

    return status == STATUS_SUCCESS ? bfe_net_event_next(s, handle, version, requested, entries, returned)
                                    : status;
}

#define ENUM_HANDLES(name, kind, template)                                                                   \
    NTSTATUS api_Fwpm##name##CreateEnumHandle0(enum api_flavour flavour, HANDLE engineHandle,                \
                                               const template *enumTemplate, HANDLE *enumHandle)             \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle, enum_create(c.session, kind, enumTemplate, enumHandle));     \
    }                                                                                                        \
    NTSTATUS api_Fwpm##name##DestroyEnumHandle0(enum api_flavour flavour, HANDLE engineHandle,               \
                                                HANDLE enumHandle)                                           \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle, enum_destroy(c.session, kind, enumHandle));                  \
    }
#define ENUM_NEXT(function, type, call)                                                                      \
    NTSTATUS api_##function(enum api_flavour flavour, HANDLE engineHandle, HANDLE enumHandle,                \
                            UINT32 numEntriesRequested, type ***entries, UINT32 *numEntriesReturned)         \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle, call);                                                       \
    }
#define PAGE enumHandle, numEntriesRequested, (void ***)entries, numEntriesReturned
#define ENUM_ALL(name, kind, type, template)                                                                 \
    ENUM_HANDLES(name, kind, template)                                                                       \
    ENUM_NEXT(Fwpm##name##Enum0, type, enum_next(c.session, kind, PAGE))

ENUM_ALL(Provider, BFE_PROVIDER, FWPM_PROVIDER0, FWPM_PROVIDER_ENUM_TEMPLATE0)
ENUM_ALL(SubLayer, BFE_SUBLAYER, FWPM_SUBLAYER0, FWPM_SUBLAYER_ENUM_TEMPLATE0)
ENUM_ALL(Layer, BFE_LAYER, FWPM_LAYER0, FWPM_LAYER_ENUM_TEMPLATE0)
ENUM_ALL(Callout, BFE_CALLOUT, FWPM_CALLOUT0, FWPM_CALLOUT_ENUM_TEMPLATE0)
ENUM_ALL(Filter, BFE_FILTER, FWPM_FILTER0, FWPM_FILTER_ENUM_TEMPLATE0)
ENUM_ALL(Session, BFE_SESSION, FWPM_SESSION0, FWPM_SESSION_ENUM_TEMPLATE0)

ENUM_HANDLES(ProviderContext, BFE_PROVIDER_CONTEXT, FWPM_PROVIDER_CONTEXT_ENUM_TEMPLATE0)
ENUM_NEXT(FwpmProviderContextEnum0, FWPM_PROVIDER_CONTEXT0, api_context_enum(c.session, 0, PAGE))
ENUM_NEXT(FwpmProviderContextEnum1, FWPM_PROVIDER_CONTEXT1, api_context_enum(c.session, 1, PAGE))
ENUM_NEXT(FwpmProviderContextEnum2, FWPM_PROVIDER_CONTEXT2, api_context_enum(c.session, 2, PAGE))
ENUM_NEXT(FwpmProviderContextEnum3, FWPM_PROVIDER_CONTEXT3, api_context_enum(c.session, 3, PAGE))

ENUM_HANDLES(NetEvent, BFE_NET_EVENT, FWPM_NET_EVENT_ENUM_TEMPLATE0)
ENUM_NEXT(FwpmNetEventEnum0, FWPM_NET_EVENT0, event_next(c.session, 0, PAGE))
ENUM_NEXT(FwpmNetEventEnum1, FWPM_NET_EVENT1, event_next(c.session, 1, PAGE))
ENUM_NEXT(FwpmNetEventEnum2, FWPM_NET_EVENT2, event_next(c.session, 2, PAGE))
ENUM_NEXT(FwpmNetEventEnum3, FWPM_NET_EVENT3, event_next(c.session, 3, PAGE))
ENUM_NEXT(FwpmNetEventEnum4, FWPM_NET_EVENT4, event_next(c.session, 4, PAGE))
ENUM_NEXT(FwpmNetEventEnum5, FWPM_NET_EVENT5, event_next(c.session, 5, PAGE))

/* ---- change subscriptions --------------------------------------------------------------------- */

static NTSTATUS subscribe(struct bfe_session *s, enum bfe_kind kind, const void *subscription,
                          bfe_change_callback callback, void *context, HANDLE *handle)
{
    struct bfe_subscription *sub = NULL;
    NTSTATUS status;

    if (!handle)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_subscribe(s, kind, subscription, callback, context, &sub);
    *handle = sub;
    return status;
}

#define SUBSCRIPTIONS(name, kind, type)                                                                      \
    NTSTATUS api_Fwpm##name##SubscribeChanges0(                                                              \
        enum api_flavour flavour, HANDLE engineHandle, const FWPM_##type##_SUBSCRIPTION0 *subscription,      \
        FWPM_##type##_CHANGE_CALLBACK0 callback, void *context, HANDLE *changeHandle)                        \
    {                                                                                                        \
        API_SESSION_CALL(                                                                                    \
            flavour, engineHandle,                                                                           \
            subscribe(c.session, kind, subscription, (bfe_change_callback)callback, context, changeHandle)); \
    }                                                                                                        \
    NTSTATUS api_Fwpm##name##UnsubscribeChanges0(enum api_flavour flavour, HANDLE engineHandle,              \
                                                 HANDLE changeHandle)                                        \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle, bfe_unsubscribe(c.session, kind, changeHandle));             \
    }                                                                                                        \
    NTSTATUS api_Fwpm##name##SubscriptionsGet0(enum api_flavour flavour, HANDLE engineHandle,                \
                                               FWPM_##type##_SUBSCRIPTION0 ***entries, UINT32 *numEntries)   \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle,                                                              \
                         bfe_subscriptions_get(c.session, kind, (void ***)entries, numEntries));             \
    }

SUBSCRIPTIONS(Provider, BFE_PROVIDER, PROVIDER)
SUBSCRIPTIONS(ProviderContext, BFE_PROVIDER_CONTEXT, PROVIDER_CONTEXT)
SUBSCRIPTIONS(SubLayer, BFE_SUBLAYER, SUBLAYER)
SUBSCRIPTIONS(Callout, BFE_CALLOUT, CALLOUT)
SUBSCRIPTIONS(Filter, BFE_FILTER, FILTER)
