/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Provider contexts. Held are those whose content is bytes and values: general data, classify options,
 * connection policies. The IPsec and IKE policies are refused with STATUS_NOT_SUPPORTED (Weir negotiates no
 * keys), except that an import may list them without their content.
 */
#include "bfe/check.h"

static void check_classify_options(struct bfe_adding *a, const FWPM_CLASSIFY_OPTIONS0 *o)
{
    if (a->status != STATUS_SUCCESS)
        return;
    if (o == NULL)
        a->status = STATUS_FWP_NULL_POINTER;
    else if (o->numOptions == 0)
        a->status = STATUS_FWP_ZERO_LENGTH_ARRAY;
    else if (o->options == NULL)
        a->status = STATUS_FWP_NULL_POINTER;
    for (UINT32 i = 0; a->status == STATUS_SUCCESS && i < o->numOptions; i++) {
        if ((UINT32)o->options[i].type >= FWP_CLASSIFY_OPTION_MAX)
            a->status = STATUS_FWP_INVALID_ENUMERATOR;
        bfe_check_value(a, &o->options[i].value);
    }
}

static void check_connection_policy(struct bfe_adding *a, const FWPM_NETWORK_CONNECTION_POLICY_SETTINGS0 *p)
{
    if (a->status != STATUS_SUCCESS)
        return;
    if (p == NULL)
        a->status = STATUS_FWP_NULL_POINTER;
    else if (p->numSettings == 0)
        a->status = STATUS_FWP_ZERO_LENGTH_ARRAY;
    else if (p->settings == NULL)
        a->status = STATUS_FWP_NULL_POINTER;
    for (UINT32 i = 0; a->status == STATUS_SUCCESS && i < p->numSettings; i++) {
        if ((UINT32)p->settings[i].type >= FWP_NETWORK_CONNECTION_POLICY_MAX)
            a->status = STATUS_FWP_INVALID_ENUMERATOR;
        bfe_check_value(a, &p->settings[i].value);
    }
}

static void check_content(struct bfe_adding *a, const FWPM_PROVIDER_CONTEXT3 *c)
{
    if (a->status != STATUS_SUCCESS)
        return;
    if ((UINT32)c->type >= FWPM_PROVIDER_CONTEXT_TYPE_MAX) {
        a->status = STATUS_FWP_INVALID_ENUMERATOR;
        return;
    }
    switch (c->type) {
    case FWPM_GENERAL_CONTEXT:
        bfe_check_blob(a, c->dataBuffer);
        break;
    case FWPM_CLASSIFY_OPTIONS_CONTEXT:
        check_classify_options(a, c->classifyOptions);
        break;
    case FWPM_NETWORK_CONNECTION_POLICY_CONTEXT:
        check_connection_policy(a, c->networkConnectionPolicy);
        break;
    default:
        a->status = STATUS_NOT_SUPPORTED;
        break;
    }
}

NTSTATUS bfe_provider_context_add(struct bfe_session *s, const FWPM_PROVIDER_CONTEXT3 *c, const void *sd,
                                  size_t sd_size, UINT64 *id)
{
    struct bfe_adding a;
    FWPM_PROVIDER_CONTEXT3 own;
    NTSTATUS status;
    size_t mark;

    if (s == NULL || c == NULL)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enter_write(s, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    own = *c;
    bfe_adding_begin(&a, s, BFE_PROVIDER_CONTEXT, (c->flags & FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT) != 0);
    bfe_check_flags(&a, c->flags,
                    FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT); /* DOWNLEVEL is only ever reported */
    bfe_check_display(&a, &c->displayData);
    bfe_check_blob(&a, &c->providerData);
    bfe_check_sd(&a, sd, sd_size);
    check_content(&a, c);
    bfe_check_provider(&a, c->providerKey);
    bfe_check_key(&a, &own.providerContextKey);
    own.providerContextId = a.status == STATUS_SUCCESS ? s->bfe->next_context_id++ : 0;
    status = bfe_leave_write(
        s, mark, bfe_add(&a, &own, &own.providerContextKey, own.providerContextId, sd, sd_size, NULL));
    if (status == STATUS_SUCCESS && id != NULL)
        *id = own.providerContextId;
    return status;
}

NTSTATUS bfe_provider_context_delete(struct bfe_session *s, const GUID *key, UINT64 id)
{
    return bfe_delete(s, BFE_PROVIDER_CONTEXT, key, id);
}

NTSTATUS bfe_provider_context_get(struct bfe_session *s, const GUID *key, UINT64 id,
                                  FWPM_PROVIDER_CONTEXT3 **out)
{
    return bfe_get(s, BFE_PROVIDER_CONTEXT, key, id, (void **)out);
}
