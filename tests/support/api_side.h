/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The management API as a driver sees it and as a user program sees it: one source (api_side.inc), compiled
 * once with fwpmk.h and once with fwpmu.h, into one table each. Codes are NTSTATUS there and Win32 here.
 */
#ifndef WEIR_TESTS_API_SIDE_H
#define WEIR_TESTS_API_SIDE_H

#include "fwpmtypes.h"

struct api_side {
    const char *name;
    UINT32 (*open)(const FWPM_SESSION0 *session, HANDLE *h);
    UINT32 (*open_with)(const WCHAR *server, UINT32 service, HANDLE *h);
    UINT32 (*close)(HANDLE h);
    UINT32 (*begin)(HANDLE h, UINT32 flags);
    UINT32 (*commit)(HANDLE h);
    UINT32 (*abort)(HANDLE h);
    UINT32 (*provider_add)(HANDLE h, const FWPM_PROVIDER0 *p, PSECURITY_DESCRIPTOR sd);
    UINT32 (*provider_delete)(HANDLE h, const GUID *key);
    UINT32 (*provider_get)(HANDLE h, const GUID *key, FWPM_PROVIDER0 **p);
    UINT32 (*sublayer_add)(HANDLE h, const FWPM_SUBLAYER0 *l, PSECURITY_DESCRIPTOR sd);
    UINT32 (*sublayer_get)(HANDLE h, const GUID *key, FWPM_SUBLAYER0 **l);
    UINT32 (*callout_add)(HANDLE h, const FWPM_CALLOUT0 *c, PSECURITY_DESCRIPTOR sd, UINT32 *id);
    UINT32 (*callout_delete_by_id)(HANDLE h, UINT32 id);
    UINT32 (*callout_get_by_id)(HANDLE h, UINT32 id, FWPM_CALLOUT0 **c);
    UINT32 (*filter_add)(HANDLE h, const FWPM_FILTER0 *f, PSECURITY_DESCRIPTOR sd, UINT64 *id);
    UINT32 (*filter_delete_by_id)(HANDLE h, UINT64 id);
    UINT32 (*filter_delete_by_key)(HANDLE h, const GUID *key);
    UINT32 (*filter_get_by_id)(HANDLE h, UINT64 id, FWPM_FILTER0 **f);
    UINT32 (*filter_get_by_key)(HANDLE h, const GUID *key, FWPM_FILTER0 **f);
    UINT32 (*layer_get_by_id)(HANDLE h, UINT16 id, FWPM_LAYER0 **l);
    UINT32 (*context_add0)(HANDLE h, const FWPM_PROVIDER_CONTEXT0 *c, PSECURITY_DESCRIPTOR sd, UINT64 *id);
    UINT32 (*context_add3)(HANDLE h, const FWPM_PROVIDER_CONTEXT3 *c, PSECURITY_DESCRIPTOR sd, UINT64 *id);
    UINT32 (*context_get0)(HANDLE h, UINT64 id, FWPM_PROVIDER_CONTEXT0 **c);
    UINT32 (*context_get3)(HANDLE h, UINT64 id, FWPM_PROVIDER_CONTEXT3 **c);
    UINT32 (*filter_enum_create)(HANDLE h, const FWPM_FILTER_ENUM_TEMPLATE0 *t, HANDLE *e);
    UINT32 (*filter_enum)(HANDLE h, HANDLE e, UINT32 wanted, FWPM_FILTER0 ***entries, UINT32 *count);
    UINT32 (*filter_enum_destroy)(HANDLE h, HANDLE e);
    UINT32 (*callout_enum)(HANDLE h, HANDLE e, UINT32 wanted, FWPM_CALLOUT0 ***entries, UINT32 *count);
    UINT32 (*session_enum_create)(HANDLE h, const FWPM_SESSION_ENUM_TEMPLATE0 *t, HANDLE *e);
    UINT32 (*session_enum)(HANDLE h, HANDLE e, UINT32 wanted, FWPM_SESSION0 ***entries, UINT32 *count);
    UINT32 (*session_enum_destroy)(HANDLE h, HANDLE e);
    UINT32 (*event_enum_create)(HANDLE h, const FWPM_NET_EVENT_ENUM_TEMPLATE0 *t, HANDLE *e);
    UINT32 (*event_enum0)(HANDLE h, HANDLE e, UINT32 wanted, FWPM_NET_EVENT0 ***entries, UINT32 *count);
    UINT32 (*event_enum_destroy)(HANDLE h, HANDLE e);
    UINT32(*filter_security_get)
    (HANDLE h, const GUID *key, SECURITY_INFORMATION info, PSID *owner, PSID *group, PACL *dacl, PACL *sacl,
     PSECURITY_DESCRIPTOR *sd);
    UINT32(*filter_security_set)
    (HANDLE h, const GUID *key, SECURITY_INFORMATION info, const SID *owner, const SID *group,
     const ACL *dacl, const ACL *sacl);
    UINT32 (*option_get)(HANDLE h, FWPM_ENGINE_OPTION option, FWP_VALUE0 **value);
    UINT32 (*option_set)(HANDLE h, FWPM_ENGINE_OPTION option, const FWP_VALUE0 *value);
    UINT32 (*tunnel_delete)(HANDLE h, const GUID *key); /* not supported */
    void (*free_memory)(void **p);
};

extern const struct api_side api_kernel_side, api_user_side;

/* What only user programs have. */
struct api_user_only {
    UINT32(*filter_subscribe)
    (HANDLE h, const FWPM_FILTER_SUBSCRIPTION0 *s, FWPM_FILTER_CHANGE_CALLBACK0 callback, void *context,
     HANDLE *change);
    UINT32 (*filter_unsubscribe)(HANDLE h, HANDLE change);
    UINT32(*event_subscribe0)
    (HANDLE h, const FWPM_NET_EVENT_SUBSCRIPTION0 *s, FWPM_NET_EVENT_CALLBACK0 callback, void *context,
     HANDLE *events);
    UINT32 (*event_unsubscribe)(HANDLE h, HANDLE events);
    UINT32 (*app_id)(const WCHAR *name, FWP_BYTE_BLOB **id);
    UINT32 (*system_ports)(HANDLE h, FWPM_SYSTEM_PORTS0 **ports);
};
extern const struct api_user_only api_user_only;

#endif
