/* SPDX-License-Identifier: Apache-2.0 */
/* Providers, sublayers, callouts and layers: what each demands of its caller (OBJ-12..19, 25, 38). Filters
 * and provider contexts have files of their own. */
#include "bfe/callouts.h"
#include "bfe/check.h"

/* ---- providers --------------------------------------------------------------------------------------- */

NTSTATUS bfe_provider_add(struct bfe_session *s, const FWPM_PROVIDER0 *p, const void *sd, size_t sd_size)
{
    struct bfe_adding a;
    FWPM_PROVIDER0 own;
    NTSTATUS status;
    size_t mark;

    if (s == NULL || p == NULL)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enter_write(s, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    own = *p;
    bfe_adding_begin(&a, s, BFE_PROVIDER, (p->flags & FWPM_PROVIDER_FLAG_PERSISTENT) != 0);
    bfe_check_flags(&a, p->flags, FWPM_PROVIDER_FLAG_PERSISTENT); /* DISABLED is only ever reported */
    bfe_check_display(&a, &p->displayData);
    bfe_check_blob(&a, &p->providerData);
    bfe_check_sd(&a, sd, sd_size);
    bfe_check_key(&a, &own.providerKey);
    return bfe_leave_write(s, mark, bfe_add(&a, &own, &own.providerKey, 0, sd, sd_size, NULL));
}

NTSTATUS bfe_provider_delete(struct bfe_session *s, const GUID *key)
{
    return key == NULL ? STATUS_FWP_NULL_POINTER : bfe_delete(s, BFE_PROVIDER, key, 0);
}

NTSTATUS bfe_provider_get(struct bfe_session *s, const GUID *key, FWPM_PROVIDER0 **out)
{
    return key == NULL ? STATUS_FWP_NULL_POINTER : bfe_get(s, BFE_PROVIDER, key, 0, (void **)out);
}

/* ---- sublayers --------------------------------------------------------------------------------------- */

NTSTATUS bfe_sublayer_add(struct bfe_session *s, const FWPM_SUBLAYER0 *l, const void *sd, size_t sd_size)
{
    struct bfe_adding a;
    FWPM_SUBLAYER0 own;
    NTSTATUS status;
    size_t mark;

    if (s == NULL || l == NULL)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enter_write(s, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    own = *l;
    bfe_adding_begin(&a, s, BFE_SUBLAYER, (l->flags & FWPM_SUBLAYER_FLAG_PERSISTENT) != 0);
    bfe_check_flags(&a, l->flags, FWPM_SUBLAYER_FLAG_PERSISTENT);
    bfe_check_display(&a, &l->displayData);
    bfe_check_blob(&a, &l->providerData);
    bfe_check_sd(&a, sd, sd_size);
    bfe_check_provider(&a, l->providerKey);
    bfe_check_key(&a, &own.subLayerKey);
    if (a.status == STATUS_SUCCESS && s->bfe->tables[BFE_SUBLAYER].count >= BFE_SUBLAYER_LIMIT)
        a.status = STATUS_FWP_TOO_MANY_SUBLAYERS; /* OBJ-19 */
    return bfe_leave_write(s, mark, bfe_add(&a, &own, &own.subLayerKey, 0, sd, sd_size, NULL));
}

NTSTATUS bfe_sublayer_delete(struct bfe_session *s, const GUID *key)
{
    return key == NULL ? STATUS_FWP_NULL_POINTER : bfe_delete(s, BFE_SUBLAYER, key, 0);
}

NTSTATUS bfe_sublayer_get(struct bfe_session *s, const GUID *key, FWPM_SUBLAYER0 **out)
{
    return key == NULL ? STATUS_FWP_NULL_POINTER : bfe_get(s, BFE_SUBLAYER, key, 0, (void **)out);
}

/* ---- callouts ---------------------------------------------------------------------------------------- */

NTSTATUS bfe_callout_add(struct bfe_session *s, const FWPM_CALLOUT0 *c, const void *sd, size_t sd_size,
                         UINT32 *id)
{
    const struct engine_layer *layer;
    struct bfe_adding a;
    FWPM_CALLOUT0 own;
    NTSTATUS status;
    struct bfe *b;
    size_t mark;

    if (s == NULL || c == NULL)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enter_write(s, &mark);
    if (status != STATUS_SUCCESS)
        return status;
    b = s->bfe;
    own = *c;
    bfe_adding_begin(&a, s, BFE_CALLOUT, (c->flags & FWPM_CALLOUT_FLAG_PERSISTENT) != 0);
    bfe_check_flags(&a, c->flags, FWPM_CALLOUT_FLAG_PERSISTENT | FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT);
    bfe_check_display(&a, &c->displayData);
    bfe_check_blob(&a, &c->providerData);
    bfe_check_sd(&a, sd, sd_size);
    layer = engine_layer_by_key(&c->applicableLayer);
    if (a.status == STATUS_SUCCESS && layer == NULL)
        a.status = STATUS_FWP_LAYER_NOT_FOUND;
    else if (a.status == STATUS_SUCCESS && layer->user_mode)
        a.status = STATUS_FWP_INCOMPATIBLE_LAYER; /* OTH-03 */
    bfe_check_layer_link(&a, layer);
    bfe_check_provider(&a, c->providerKey);
    bfe_check_key(&a, &own.calloutKey);
    if (a.status == STATUS_SUCCESS && b->tables[BFE_CALLOUT].count >= BFE_CALLOUT_LIMIT)
        a.status = STATUS_FWP_TOO_MANY_CALLOUTS; /* OBJ-38 */
    if (a.status == STATUS_SUCCESS)
        own.calloutId = bfe_callout_new_id(b, &own.calloutKey);
    status = bfe_leave_write(s, mark, bfe_add(&a, &own, &own.calloutKey, own.calloutId, sd, sd_size, NULL));
    if (status == STATUS_SUCCESS && id != NULL)
        *id = own.calloutId;
    return status;
}

NTSTATUS bfe_callout_delete(struct bfe_session *s, const GUID *key, UINT32 id)
{
    return bfe_delete(s, BFE_CALLOUT, key, id);
}

NTSTATUS bfe_callout_get(struct bfe_session *s, const GUID *key, UINT32 id, FWPM_CALLOUT0 **out)
{
    return bfe_get(s, BFE_CALLOUT, key, id, (void **)out);
}

/* ---- layers ------------------------------------------------------------------------------------------ */

void bfe_layer_describe(const struct engine_layer *layer, FWPM_LAYER0 *shell, FWPM_FIELD0 *fields)
{
    static WCHAR unnamed[] = u"";

    *shell = (FWPM_LAYER0){
        .layerKey = *layer->key,
        .displayData = {.name = unnamed},
        .flags = layer->flags,
        .numFields = layer->field_count,
        .field = fields,
        .defaultSubLayerKey = *layer->default_sublayer,
        .layerId = layer->id,
    };
    for (UINT16 i = 0; i < layer->field_count; i++) {
        fields[i] = (FWPM_FIELD0){
            .fieldKey = (GUID *)layer->fields[i].key,
            .type = layer->fields[i].type,
            .dataType = layer->fields[i].data_type,
        };
    }
}

NTSTATUS bfe_layer_get(struct bfe_session *s, const GUID *key, UINT16 id, FWPM_LAYER0 **out)
{
    const struct engine_layer *layer;
    FWPM_FIELD0 fields[ENGINE_MAX_FIELDS];
    FWPM_LAYER0 shell;
    NTSTATUS status;

    if (s == NULL || out == NULL)
        return STATUS_FWP_NULL_POINTER;
    status = bfe_enter_read(s);
    if (status != STATUS_SUCCESS)
        return status;
    layer = key != NULL ? engine_layer_by_key(key) : engine_layer_by_id(id);
    status = layer == NULL ? STATUS_FWP_LAYER_NOT_FOUND : bfe_may_layer(s, layer, FWPM_ACTRL_READ);
    if (status == STATUS_SUCCESS) {
        bfe_layer_describe(layer, &shell, fields);
        *out = bfe_copy(BFE_LAYER, &shell);
        if (*out == NULL)
            status = STATUS_NO_MEMORY;
    }
    bfe_leave_read(s);
    return status;
}
