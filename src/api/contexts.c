/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provider contexts in their four versions. The structs have one layout and differ in what their `type` may
 * be: an older caller that reads a newer kind sees it without its content, marked
 * FWPM_PROVIDER_CONTEXT_FLAG_DOWNLEVEL.
 */
#include "fwpmk.h"

#include "api/internal.h"
#include "bfe/bfe.h"
#include "bfe/events.h"

#define ONE_LAYOUT(version)                                                                                  \
    _Static_assert(sizeof(FWPM_PROVIDER_CONTEXT##version) == sizeof(FWPM_PROVIDER_CONTEXT3) &&               \
                       offsetof(FWPM_PROVIDER_CONTEXT##version, dataBuffer) ==                               \
                           offsetof(FWPM_PROVIDER_CONTEXT3, dataBuffer) &&                                   \
                       offsetof(FWPM_PROVIDER_CONTEXT##version, providerContextId) ==                        \
                           offsetof(FWPM_PROVIDER_CONTEXT3, providerContextId),                              \
                   "one layout")
ONE_LAYOUT(0);
ONE_LAYOUT(1);
ONE_LAYOUT(2);

/* The first type that each version does not know. */
static const UINT32 first_unknown[] = {
    FWPM_GENERAL_CONTEXT + 1,
    FWPM_IPSEC_DOSP_CONTEXT + 1,
    FWPM_IPSEC_IKEV2_QM_TRANSPORT_CONTEXT + 1,
    FWPM_PROVIDER_CONTEXT_TYPE_MAX,
};

NTSTATUS api_context_add(struct bfe_session *s, unsigned version, const void *context, const void *sd,
                         size_t sd_size, UINT64 *id)
{
    const FWPM_PROVIDER_CONTEXT3 *c = context;

    if ((UINT32)c->type >= first_unknown[version])
        return STATUS_FWP_INVALID_ENUMERATOR;
    return bfe_provider_context_add(s, c, sd, sd_size, id);
}

static void show_as(unsigned version, FWPM_PROVIDER_CONTEXT3 *c)
{
    if ((UINT32)c->type < first_unknown[version])
        return;
    c->flags |= FWPM_PROVIDER_CONTEXT_FLAG_DOWNLEVEL;
    c->dataBuffer = NULL; /* whatever pointer the union holds */
}

NTSTATUS api_context_get(struct bfe_session *s, unsigned version, const GUID *key, UINT64 id, void **out)
{
    NTSTATUS status = bfe_provider_context_get(s, key, id, (FWPM_PROVIDER_CONTEXT3 **)out);

    if (status == STATUS_SUCCESS)
        show_as(version, *out);
    return status;
}

NTSTATUS api_context_enum(struct bfe_session *s, unsigned version, HANDLE enumHandle, UINT32 requested,
                          void ***entries, UINT32 *returned)
{
    NTSTATUS status = bfe_enum_check(s, BFE_PROVIDER_CONTEXT, enumHandle);

    if (status == STATUS_SUCCESS)
        status = bfe_enum_next(s, enumHandle, requested, entries, returned);
    for (UINT32 i = 0; status == STATUS_SUCCESS && i < *returned; i++)
        show_as(version, (*entries)[i]);
    return status;
}
