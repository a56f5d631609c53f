/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adding, deleting and reading objects, and their security information: one macro a shape, one line a
 * function. Provider contexts, which come in four versions, are in contexts.c.
 */
#include "fwpmk.h"

#include <stdlib.h>

#include "api/internal.h"
#include "bfe/access.h"
#include "bfe/bfe.h"

/* ---- add -------------------------------------------------------------------------------------- */

/* `call` may use `object`, `sd_` and `sd_size_`. */
#define ADD(handle, object, sd, call)                                                                        \
    do {                                                                                                     \
        void *sd_;                                                                                           \
        size_t sd_size_;                                                                                     \
        struct api_call c;                                                                                   \
        NTSTATUS status = api_enter(flavour, handle, &c);                                                    \
        if (status != STATUS_SUCCESS)                                                                        \
            return status;                                                                                   \
        status = (object) ? api_descriptor(sd, &sd_, &sd_size_) : STATUS_FWP_NULL_POINTER;                   \
        if (status == STATUS_SUCCESS) {                                                                      \
            status = (call);                                                                                 \
            free(sd_);                                                                                       \
        }                                                                                                    \
        api_leave(&c);                                                                                       \
        return status;                                                                                       \
    } while (0)

NTSTATUS api_FwpmProviderAdd0(enum api_flavour flavour, HANDLE engineHandle, const FWPM_PROVIDER0 *provider,
                              PSECURITY_DESCRIPTOR sd)
{
    ADD(engineHandle, provider, sd, bfe_provider_add(c.session, provider, sd_, sd_size_));
}

NTSTATUS api_FwpmSubLayerAdd0(enum api_flavour flavour, HANDLE engineHandle, const FWPM_SUBLAYER0 *subLayer,
                              PSECURITY_DESCRIPTOR sd)
{
    ADD(engineHandle, subLayer, sd, bfe_sublayer_add(c.session, subLayer, sd_, sd_size_));
}

NTSTATUS api_FwpmCalloutAdd0(enum api_flavour flavour, HANDLE engineHandle, const FWPM_CALLOUT0 *callout,
                             PSECURITY_DESCRIPTOR sd, UINT32 *id)
{
    ADD(engineHandle, callout, sd, bfe_callout_add(c.session, callout, sd_, sd_size_, id));
}

NTSTATUS api_FwpmFilterAdd0(enum api_flavour flavour, HANDLE engineHandle, const FWPM_FILTER0 *filter,
                            PSECURITY_DESCRIPTOR sd, UINT64 *id)
{
    ADD(engineHandle, filter, sd, bfe_filter_add(c.session, filter, sd_, sd_size_, id));
}

#define CONTEXT_ADD(version)                                                                                 \
    NTSTATUS api_FwpmProviderContextAdd##version(enum api_flavour flavour, HANDLE engineHandle,              \
                                                 const FWPM_PROVIDER_CONTEXT##version *providerContext,      \
                                                 PSECURITY_DESCRIPTOR sd, UINT64 *id)                        \
    {                                                                                                        \
        ADD(engineHandle, providerContext, sd,                                                               \
            api_context_add(c.session, version, providerContext, sd_, sd_size_, id));                        \
    }
CONTEXT_ADD(0)
CONTEXT_ADD(1)
CONTEXT_ADD(2)
CONTEXT_ADD(3)

/* ---- delete and get --------------------------------------------------------------------------- */

#define DELETE_BY_KEY(function, call)                                                                        \
    NTSTATUS api_##function(enum api_flavour flavour, HANDLE engineHandle, const GUID *key)                  \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle, !key ? STATUS_FWP_NULL_POINTER : (call));                    \
    }
#define DELETE_BY_ID(function, type, call)                                                                   \
    NTSTATUS api_##function(enum api_flavour flavour, HANDLE engineHandle, type id)                          \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle, call);                                                       \
    }
#define GET_BY_KEY(function, type, call)                                                                     \
    NTSTATUS api_##function(enum api_flavour flavour, HANDLE engineHandle, const GUID *key, type **out)      \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle,                                                              \
                         !key || !out ? STATUS_FWP_NULL_POINTER : (*out = NULL, (call)));                    \
    }
#define GET_BY_ID(function, id_type, type, call)                                                             \
    NTSTATUS api_##function(enum api_flavour flavour, HANDLE engineHandle, id_type id, type **out)           \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle, !out ? STATUS_FWP_NULL_POINTER : (*out = NULL, (call)));     \
    }

DELETE_BY_KEY(FwpmProviderDeleteByKey0, bfe_provider_delete(c.session, key))
DELETE_BY_KEY(FwpmSubLayerDeleteByKey0, bfe_sublayer_delete(c.session, key))
DELETE_BY_KEY(FwpmCalloutDeleteByKey0, bfe_callout_delete(c.session, key, 0))
DELETE_BY_KEY(FwpmFilterDeleteByKey0, bfe_filter_delete(c.session, key, 0))
DELETE_BY_KEY(FwpmProviderContextDeleteByKey0, bfe_provider_context_delete(c.session, key, 0))
DELETE_BY_ID(FwpmCalloutDeleteById0, UINT32, bfe_callout_delete(c.session, NULL, id))
DELETE_BY_ID(FwpmFilterDeleteById0, UINT64, bfe_filter_delete(c.session, NULL, id))
DELETE_BY_ID(FwpmProviderContextDeleteById0, UINT64, bfe_provider_context_delete(c.session, NULL, id))

GET_BY_KEY(FwpmProviderGetByKey0, FWPM_PROVIDER0, bfe_provider_get(c.session, key, out))
GET_BY_KEY(FwpmSubLayerGetByKey0, FWPM_SUBLAYER0, bfe_sublayer_get(c.session, key, out))
GET_BY_KEY(FwpmCalloutGetByKey0, FWPM_CALLOUT0, bfe_callout_get(c.session, key, 0, out))
GET_BY_KEY(FwpmFilterGetByKey0, FWPM_FILTER0, bfe_filter_get(c.session, key, 0, out))
GET_BY_KEY(FwpmLayerGetByKey0, FWPM_LAYER0, bfe_layer_get(c.session, key, 0, out))
GET_BY_ID(FwpmCalloutGetById0, UINT32, FWPM_CALLOUT0, bfe_callout_get(c.session, NULL, id, out))
GET_BY_ID(FwpmFilterGetById0, UINT64, FWPM_FILTER0, bfe_filter_get(c.session, NULL, id, out))
GET_BY_ID(FwpmLayerGetById0, UINT16, FWPM_LAYER0, bfe_layer_get(c.session, NULL, id, out))

#define CONTEXT_GET(version)                                                                                 \
    GET_BY_KEY(FwpmProviderContextGetByKey##version, FWPM_PROVIDER_CONTEXT##version,                         \
               api_context_get(c.session, version, key, 0, (void **)out))                                    \
    GET_BY_ID(FwpmProviderContextGetById##version, UINT64, FWPM_PROVIDER_CONTEXT##version,                   \
              api_context_get(c.session, version, NULL, id, (void **)out))
CONTEXT_GET(0)
CONTEXT_GET(1)
CONTEXT_GET(2)
CONTEXT_GET(3)

/* ---- security information --------------------------------------------------------------------- */

#define SECURITY_PARTS_OUT                                                                                   \
    SECURITY_INFORMATION securityInfo, PSID *sidOwner, PSID *sidGroup, PACL *dacl, PACL *sacl,               \
        PSECURITY_DESCRIPTOR *securityDescriptor
#define SECURITY_PARTS_IN                                                                                    \
    SECURITY_INFORMATION securityInfo, const SID *sidOwner, const SID *sidGroup, const ACL *dacl,            \
        const ACL *sacl
#define SECURITY_GET(secured, key)                                                                           \
    bfe_security_get(c.session, secured, key, securityInfo, (SID **)sidOwner, (SID **)sidGroup, dacl, sacl,  \
                     securityDescriptor)
#define SECURITY_SET(secured, key)                                                                           \
    ((void)sacl, bfe_security_set(c.session, secured, key, securityInfo, sidOwner, sidGroup, dacl))

#define OBJECT_SECURITY(name, secured)                                                                       \
    NTSTATUS api_Fwpm##name##GetSecurityInfoByKey0(enum api_flavour flavour, HANDLE engineHandle,            \
                                                   const GUID *key, SECURITY_PARTS_OUT)                      \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle, SECURITY_GET(secured, key));                                 \
    }                                                                                                        \
    NTSTATUS api_Fwpm##name##SetSecurityInfoByKey0(enum api_flavour flavour, HANDLE engineHandle,            \
                                                   const GUID *key, SECURITY_PARTS_IN)                       \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle, SECURITY_SET(secured, key));                                 \
    }
#define CONTAINER_SECURITY(name, secured)                                                                    \
    NTSTATUS api_##name##GetSecurityInfo0(enum api_flavour flavour, HANDLE engineHandle, SECURITY_PARTS_OUT) \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle, SECURITY_GET(secured, NULL));                                \
    }                                                                                                        \
    NTSTATUS api_##name##SetSecurityInfo0(enum api_flavour flavour, HANDLE engineHandle, SECURITY_PARTS_IN)  \
    {                                                                                                        \
        API_SESSION_CALL(flavour, engineHandle, SECURITY_SET(secured, NULL));                                \
    }

OBJECT_SECURITY(Provider, BFE_PROVIDER)
OBJECT_SECURITY(ProviderContext, BFE_PROVIDER_CONTEXT)
OBJECT_SECURITY(SubLayer, BFE_SUBLAYER)
OBJECT_SECURITY(Layer, BFE_LAYER)
OBJECT_SECURITY(Callout, BFE_CALLOUT)
OBJECT_SECURITY(Filter, BFE_FILTER)
CONTAINER_SECURITY(FwpmEngine, BFE_SECURED_ENGINE)
CONTAINER_SECURITY(FwpmNetEvents, BFE_NET_EVENT)
CONTAINER_SECURITY(FwpmConnection, BFE_SECURED_CONNECTION)
CONTAINER_SECURITY(FwpmvSwitchEvents, BFE_SECURED_VSWITCH_EVENT)
CONTAINER_SECURITY(FwpsAleEndpoint, BFE_SECURED_ENDPOINT)
