/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records to the bfe: providers, provider contexts, sublayers, callouts, then filters, in one write
 * transaction of a kernel session. Whatever the file names and does not list is found out here, and so is
 * what the bfe will not take; both are noted. Nothing is visible to a classify before the commit; any failure
 * aborts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "ntstatus.h"

/* Weights of sublayers that the file names without saying what they weigh: above Windows' own firewall
 * sublayers (all below 16), below its IPsec and universal ones (from 8192 on). */
#define ASSUMED_WEIGHT 4096u

#define EACH(r, im, kind)                                                                                    \
    struct record *r = (im)->in->records[kind].first;                                                        \
    r != NULL;                                                                                               \
    r = r->next

/* ---- names for notes --------------------------------------------------------------------------------- */

static const GUID no_key;

static bool is_zero(const GUID *key)
{
    return memcmp(key, &no_key, sizeof(*key)) == 0;
}

#define NAME_TEXT 128
/* A key as people know it: its documented name, or {...}. */
static const char *key_name(enum engine_guid_kind kind, const GUID *key, char out[NAME_TEXT])
{
    const char *name = kind == ENGINE_GUID_KINDS ? NULL : engine_guid_name(kind, key);
    if (name != NULL) {
        snprintf(out, NAME_TEXT, "%s", name);
        return out;
    }
    return engine_guid_format(key, out);
}

/* "filter 123 "Name" {key}" */
static void object_name(const struct record *r, enum record_kind kind, struct buffer *b)
{
    const void *object = r->object;
    const GUID *key = object; /* the first member of every FWPM object */
    const WCHAR *name = NULL;
    char text[ENGINE_GUID_TEXT];
    buffer_text(b, record_types[kind].what);
    if (kind == R_FILTER) {
        const FWPM_FILTER0 *f = object;
        buffer_printf(b, " %llu", f->filterId);
        name = f->displayData.name;
    } else if (kind == R_CALLOUT) {
        name = ((const FWPM_CALLOUT0 *)object)->displayData.name;
    } else if (kind == R_SUBLAYER) {
        name = ((const FWPM_SUBLAYER0 *)object)->displayData.name;
    } else if (kind == R_PROVIDER) {
        name = ((const FWPM_PROVIDER0 *)object)->displayData.name;
    }
    if (name != NULL && name[0] != 0) {
        buffer_text(b, " \"");
        text_narrow(b, name);
        buffer_text(b, "\"");
    }
    buffer_printf(b, " %s", engine_guid_format(key, text));
}

static void note_object(struct import *im, enum policy_note_kind note, const struct record *r,
                        enum record_kind kind, const char *what, const char *why)
{
    struct buffer b = {0};
    object_name(r, kind, &b);
    if (b.failed)
        import_no_memory(im);
    else
        note_add(im, note, r->at, NULL, "%.*s %s: %s", (int)(b.size < 400 ? b.size : 400), b.data, what, why);
    free(b.data);
}

/* ---- restoring -------------------------------------------------------------------------------------- */

struct loader {
    struct import *im;
    struct bfe_session *session;
    struct key_set providers, contexts, sublayers, callouts; /* that the file lists */
    struct key_set assumed_sublayers, missing_callouts;      /* that it only names */
    bool lists_state; /* a whole state, not only filters: what it does not list was not there */
};

/* The bfe's answer about one object: taken, refused (noted, kept), or the end of the import. */
static void judge(struct loader *l, struct record *r, enum record_kind kind, NTSTATUS status)
{
    if (NT_SUCCESS(status))
        return;
    if (status == STATUS_NO_MEMORY || status == STATUS_INSUFFICIENT_RESOURCES) {
        import_no_memory(l->im);
        return;
    }
    char why[96];
    const char *name = engine_status_name((UINT32)status);
    if (name != NULL)
        snprintf(why, sizeof(why), "%s", name);
    else
        snprintf(why, sizeof(why), "status 0x%08x", (unsigned)status);
    r->unplaced = true;
    l->im->policy->counts.unplaced++;
    note_object(l->im, POLICY_NOTE_NOT_APPLIED, r, kind, "is kept outside the policy", why);
}

/* Every object has a name, if only an empty one. */
static void named(FWPM_DISPLAY_DATA0 *d)
{
    static const WCHAR empty[1] = {0};
    if (d->name == NULL)
        d->name = (WCHAR *)(uintptr_t)empty;
}

static bool list_key(struct loader *l, struct key_set *set, struct record *r, enum record_kind kind)
{
    bool fresh;
    struct key_slot *slot = key_add(set, (const GUID *)r->object, &fresh);
    if (slot == NULL) {
        import_no_memory(l->im);
        return false;
    }
    if (fresh)
        slot->value = r;
    if (is_zero((const GUID *)r->object))
        note_object(l->im, POLICY_NOTE_DIFFERS, r, kind, "has no key", "it cannot be kept in the policy");
    else if (!fresh)
        note_object(l->im, POLICY_NOTE_DIFFERS, r, kind, "is listed twice", "the first one counts");
    return true;
}

static void restore_containers(struct loader *l)
{
    struct import *im = l->im;
    for (EACH(r, im, R_PROVIDER)) {
        FWPM_PROVIDER0 *p = (void *)r->object;
        named(&p->displayData);
        if (im->status == 0 && list_key(l, &l->providers, r, R_PROVIDER))
            judge(l, r, R_PROVIDER, bfe_restore_provider(l->session, p));
    }
    for (EACH(r, im, R_PROVIDER_CONTEXT)) {
        FWPM_PROVIDER_CONTEXT3 *c = (void *)r->object;
        named(&c->displayData);
        if (im->status == 0 && list_key(l, &l->contexts, r, R_PROVIDER_CONTEXT))
            judge(l, r, R_PROVIDER_CONTEXT, bfe_restore_provider_context(l->session, c));
    }
    for (EACH(r, im, R_SUBLAYER)) {
        FWPM_SUBLAYER0 *s = (void *)r->object;
        named(&s->displayData);
        if (im->status == 0 && list_key(l, &l->sublayers, r, R_SUBLAYER))
            judge(l, r, R_SUBLAYER, bfe_restore_sublayer(l->session, s));
    }
    for (EACH(r, im, R_CALLOUT)) {
        FWPM_CALLOUT0 *c = (void *)r->object;
        named(&c->displayData);
        if (im->status == 0 && list_key(l, &l->callouts, r, R_CALLOUT))
            judge(l, r, R_CALLOUT, bfe_restore_callout(l->session, c));
    }
}

/* ---- what filters name and the file does not list ------------------------------------------------------ */

static bool builtin_sublayer(const GUID *key)
{
    const struct engine_builtin_sublayer *s;
    size_t n = engine_builtin_sublayers(&s);
    for (size_t i = 0; i < n; i++) {
        if (memcmp(s[i].key, key, sizeof(*key)) == 0)
            return true;
    }
    return false;
}

/* Sublayers: those that Windows brings have their built-in weight, others get one by order of appearance. */
static void assume_sublayers(struct loader *l)
{
    struct import *im = l->im;
    struct record **order = calloc(im->in->records[R_FILTER].count + 1, sizeof(struct record *));
    size_t n = 0;
    bool builtin_used = false;
    if (order == NULL) {
        import_no_memory(im);
        return;
    }
    for (EACH(r, im, R_FILTER)) {
        const FWPM_FILTER0 *f = (const void *)r->object;
        bool fresh;
        if (is_zero(&f->subLayerKey) || key_has(&l->sublayers, &f->subLayerKey))
            continue;
        if (builtin_sublayer(&f->subLayerKey)) {
            builtin_used = true;
            continue;
        }
        struct key_slot *slot = key_add(&l->assumed_sublayers, &f->subLayerKey, &fresh);
        if (slot == NULL) {
            import_no_memory(im);
            goto out;
        }
        if (fresh)
            order[n++] = r;
    }
    if (builtin_used)
        note_add(im, POLICY_NOTE_ASSUMED, SIZE_MAX, NULL,
                 "filters name Windows' own sublayers, which the file does not list: their usual weights are "
                 "assumed");
    for (size_t i = 0; i < n && im->status == 0; i++) {
        const FWPM_FILTER0 *f = (const void *)order[i]->object;
        char name[NAME_TEXT];
        WCHAR display[] = u"(sublayer named by a filter only)";
        FWPM_SUBLAYER0 s = {.subLayerKey = f->subLayerKey, .displayData = {.name = display}};
        s.weight = (UINT16)(ASSUMED_WEIGHT + (n - i < 4096 ? n - i - 1 : 4095));
        NTSTATUS status = bfe_restore_sublayer(l->session, &s);
        if (status == STATUS_NO_MEMORY || status == STATUS_INSUFFICIENT_RESOURCES) {
            import_no_memory(im);
            break;
        }
        if (NT_SUCCESS(status))
            im->policy->counts.assumed_sublayers++;
        note_add(im, POLICY_NOTE_ASSUMED, order[i]->at, NULL,
                 "the file does not list the sublayer %s: weight %u is assumed (above Windows' firewall "
                 "sublayers, below "
                 "the universal one; of %zu such sublayers the one named first is asked first)",
                 key_name(ENGINE_GUID_SUBLAYER, &f->subLayerKey, name), s.weight, n);
    }
out:
    free(order);
}

static bool is_callout_action(FWP_ACTION_TYPE type)
{
    return (type & FWP_ACTION_FLAG_CALLOUT) != 0;
}

/*
 * Callouts. `show filters` lists none, so each that a filter names is taken to be there, registered. A whole
 * state lists all there are: one that is missing there was not registered, and its filters' substitute action
 * holds (OBJ-22).
 */
static void assume_callouts(struct loader *l)
{
    struct import *im = l->im;
    for (EACH(r, im, R_FILTER)) {
        const FWPM_FILTER0 *f = (const void *)r->object;
        char name[NAME_TEXT];
        bool fresh;
        if (im->status != 0)
            return;
        if (!is_callout_action(f->action.type))
            continue;
        const struct record *listed = key_get(&l->callouts, &f->action.calloutKey);
        if (listed != NULL) {
            const FWPM_CALLOUT0 *c = (const void *)listed->object;
            if ((c->flags & FWPM_CALLOUT_FLAG_REGISTERED) == 0)
                note_add(im, POLICY_NOTE_DIFFERS, listed->at, NULL,
                         "the callout %s, which filters name, was listed but not registered on that machine",
                         key_name(ENGINE_GUID_CALLOUT, &f->action.calloutKey, name));
            continue;
        }
        struct key_slot *slot = key_add(&l->missing_callouts, &f->action.calloutKey, &fresh);
        if (slot == NULL) {
            import_no_memory(im);
            return;
        }
        if (!fresh)
            continue;
        key_name(ENGINE_GUID_CALLOUT, &f->action.calloutKey, name);
        if (l->lists_state) {
            note_add(im, POLICY_NOTE_DIFFERS, r->at, NULL,
                     "the callout %s is named by a filter and not listed: taken as not registered", name);
            continue;
        }
        const struct policy_builtin_callout *builtin = policy_builtin_callout(&f->action.calloutKey);
        const char *display = builtin == NULL ? "(callout named by a filter only)" : builtin->name;
        WCHAR *wide = text_wide(&im->in->arena, display, strlen(display));
        if (wide == NULL) {
            import_no_memory(im);
            return;
        }
        FWPM_CALLOUT0 c = {.calloutKey = f->action.calloutKey,
                           .displayData = {.name = wide},
                           .flags = FWPM_CALLOUT_FLAG_REGISTERED,
                           .applicableLayer = f->layerKey};
        NTSTATUS status = bfe_restore_callout(l->session, &c);
        if (status == STATUS_NO_MEMORY || status == STATUS_INSUFFICIENT_RESOURCES) {
            import_no_memory(im);
            return;
        }
        if (NT_SUCCESS(status))
            im->policy->counts.assumed_callouts++;
        note_add(im, POLICY_NOTE_ASSUMED, r->at, NULL,
                 "the file lists no callouts: %s, which a filter names, is taken as registered", name);
    }
}

/* Providers and provider contexts never decide: a word is enough. */
static void dangling(struct loader *l, const struct record *r, const FWPM_FILTER0 *f)
{
    char name[NAME_TEXT];
    if (l->providers.used > 0 && f->providerKey != NULL && !key_has(&l->providers, f->providerKey))
        note_add(l->im, POLICY_NOTE_DIFFERS, r->at, NULL,
                 "filters name the provider %s, which the file does not list",
                 key_name(ENGINE_GUID_PROVIDER, f->providerKey, name));
    if ((f->flags & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT) != 0 && !is_zero(&f->providerContextKey)) {
        if (l->contexts.used == 0)
            note_add(l->im, POLICY_NOTE_DIFFERS, r->at, NULL,
                     "filters name provider contexts, of which the file lists none");
        else if (!key_has(&l->contexts, &f->providerContextKey))
            note_add(l->im, POLICY_NOTE_DIFFERS, r->at, NULL,
                     "filters name the provider context %s, which the file does not list",
                     key_name(ENGINE_GUID_PROVIDER, &f->providerContextKey, name));
    }
}

/* ---- filters ---------------------------------------------------------------------------------------- */

static void effective_weight(struct loader *l, struct record *r, FWPM_FILTER0 *f)
{
    if (f->effectiveWeight.type == FWP_UINT64)
        return;
    UINT64 *weight = arena_alloc(&l->im->in->arena, sizeof(*weight));
    if (weight == NULL) {
        import_no_memory(l->im);
        return;
    }
    const struct engine_layer *layer = engine_layer_by_key(&f->layerKey);
    if (f->weight.type == FWP_UINT64 && f->weight.uint64 != NULL)
        *weight = *f->weight.uint64;
    else if (layer != NULL && r->unusable == NULL)
        *weight = bfe_weight_auto(layer, f->filterCondition, f->numFilterConditions);
    if (f->weight.type == FWP_UINT8)
        *weight |= (UINT64)(f->weight.uint8 & 15) << 60;
    f->effectiveWeight = (FWP_VALUE0){.type = FWP_UINT64, .uint64 = weight};
    note_add(l->im, POLICY_NOTE_ASSUMED, r->at, NULL,
             "filters without an effective weight: Weir computed it from <weight>");
}

/* Why this filter cannot run here, or NULL. */
static const char *unusable_reason(struct import *im, const struct record *r, const FWPM_FILTER0 *f)
{
    char text[NAME_TEXT + 160], name[NAME_TEXT];
    if (r->unusable != NULL)
        return r->unusable;
    const struct engine_layer *layer = engine_layer_by_key(&f->layerKey);
    if (layer == NULL) {
        snprintf(text, sizeof(text), "Weir does not know its layer %s",
                 key_name(ENGINE_GUID_LAYER, &f->layerKey, name));
        return arena_copy(&im->in->arena, text, strlen(text));
    }
    for (UINT32 i = 0; i < f->numFilterConditions; i++) {
        const FWPM_FILTER_CONDITION0 *c = &f->filterCondition[i];
        int field = engine_layer_field(layer, &c->fieldKey);
        if (field < 0) {
            snprintf(text, sizeof(text), "its layer has no field %s that Weir knows of",
                     key_name(ENGINE_GUID_CONDITION, &c->fieldKey, name));
            return arena_copy(&im->in->arena, text, strlen(text));
        }
        NTSTATUS status = engine_condition_check(&layer->fields[field], c->matchType, &c->conditionValue);
        if (!NT_SUCCESS(status)) {
            const char *why = engine_status_name((UINT32)status);
            snprintf(text, sizeof(text), "condition %u on %s is none that can be asked there (%s)", i + 1,
                     key_name(ENGINE_GUID_CONDITION, &c->fieldKey, name), why == NULL ? "?" : why);
            return arena_copy(&im->in->arena, text, strlen(text));
        }
    }
    return NULL;
}

static void restore_filters(struct loader *l)
{
    struct import *im = l->im;
    struct policy_counts *counts = &im->policy->counts;
    struct key_set seen = {0};
    for (EACH(r, im, R_FILTER)) {
        FWPM_FILTER0 *f = (void *)r->object;
        if (im->status != 0)
            break;
        named(&f->displayData);
        list_key(l, &seen, r, R_FILTER);
        dangling(l, r, f);
        effective_weight(l, r, f);
        const char *why = unusable_reason(im, r, f);
        FWPM_FILTER0 as = *f;
        if (f->flags & FWPM_FILTER_FLAG_BOOTTIME) {
            counts->filters_boottime++;
            note_add(im, POLICY_NOTE_NOT_APPLIED, r->at, NULL,
                     "boot-time filters: kept, not applied (they act only while a machine starts)");
        } else if (f->flags & FWPM_FILTER_FLAG_DISABLED) {
            counts->filters_disabled++;
            note_add(im, POLICY_NOTE_NOT_APPLIED, r->at, NULL,
                     "disabled filters: kept, not applied, as on the machine");
        } else if (why != NULL) {
            counts->filters_unusable++;
            as.flags |= FWPM_FILTER_FLAG_DISABLED; /* kept where people look for it, without effect */
            note_object(im, POLICY_NOTE_NOT_APPLIED, r, R_FILTER, "is not applied", why);
        }
        bool idle = (as.flags & (FWPM_FILTER_FLAG_BOOTTIME | FWPM_FILTER_FLAG_DISABLED)) != 0;
        NTSTATUS status = bfe_restore_filter(l->session, &as);
        judge(l, r, R_FILTER, status);
        if (NT_SUCCESS(status))
            counts->filters_applied += !idle;
        else if (!idle)
            counts->filters_unusable++;
    }
    key_free(&seen);
}

/* ---- what was there before ------------------------------------------------------------------------------
 */

static NTSTATUS take_out(struct bfe_session *s, enum bfe_kind kind, const void *object)
{
    switch (kind) {
    case BFE_FILTER:
        return bfe_filter_delete(s, NULL, ((const FWPM_FILTER0 *)object)->filterId);
    case BFE_CALLOUT:
        return bfe_callout_delete(s, &((const FWPM_CALLOUT0 *)object)->calloutKey, 0);
    case BFE_PROVIDER_CONTEXT:
        return bfe_provider_context_delete(s, &((const FWPM_PROVIDER_CONTEXT3 *)object)->providerContextKey,
                                           0);
    case BFE_SUBLAYER:
        return bfe_sublayer_delete(s, &((const FWPM_SUBLAYER0 *)object)->subLayerKey);
    default:
        return bfe_provider_delete(s, &((const FWPM_PROVIDER0 *)object)->providerKey);
    }
}

/* Everything, users before what they use; built-in objects are what they were at first. */
static NTSTATUS clear(struct bfe_session *s)
{
    static const enum bfe_kind kinds[] = {BFE_FILTER, BFE_CALLOUT, BFE_PROVIDER_CONTEXT, BFE_SUBLAYER,
                                          BFE_PROVIDER};
    NTSTATUS status = STATUS_SUCCESS;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]) && NT_SUCCESS(status); k++) {
        struct bfe_enum *e;
        void **all = NULL;
        UINT32 count = 0;
        status = bfe_enum_create(s, kinds[k], NULL, &e);
        if (!NT_SUCCESS(status))
            break;
        status = bfe_enum_next(s, e, UINT32_MAX, &all, &count);
        bfe_enum_destroy(s, e);
        for (UINT32 i = 0; i < count && NT_SUCCESS(status); i++) {
            status = take_out(s, kinds[k], all[i]);
            if (status == STATUS_FWP_BUILTIN_OBJECT)
                status = STATUS_SUCCESS;
        }
        bfe_free(all);
    }
    return NT_SUCCESS(status) ? bfe_restore_builtins(s) : status;
}

/* ---- layers, and what only the policy keeps ------------------------------------------------------------ */

/* A field's place at our layer, where it mostly has the same one; -1: it has none. */
static int field_index(const struct engine_layer *layer, UINT32 at, const GUID *key)
{
    if (at < layer->field_count && memcmp(layer->fields[at].key, key, sizeof(*key)) == 0)
        return (int)at;
    return engine_layer_field(layer, key);
}

static const char *field_name(const FWPM_FIELD0 *f, char *buf)
{
    return f->fieldKey == NULL ? "(none)" : key_name(ENGINE_GUID_CONDITION, f->fieldKey, buf);
}

/* The file's list of a layer's fields against ours: another Windows build lists more, or fewer, or other
 * types. */
static void compare_layer(struct import *im, const struct record *r)
{
    const FWPM_LAYER0 *given = (const void *)r->object;
    const struct engine_layer *layer = engine_layer_by_key(&given->layerKey);
    char name[NAME_TEXT], field[NAME_TEXT];
    key_name(ENGINE_GUID_LAYER, &given->layerKey, name);
    if (layer == NULL) {
        note_add(im, POLICY_NOTE_UNKNOWN, r->at, NULL, "the layer %s: unknown to Weir", name);
        return;
    }
    if (given->layerId != layer->id)
        note_add(im, POLICY_NOTE_DIFFERS, r->at, NULL, "layer %s: number %u on that machine, %u here", name,
                 given->layerId, layer->id);
    bool there[UINT8_MAX + 1] = {false};
    for (UINT32 i = 0; i < given->numFields; i++) {
        const FWPM_FIELD0 *f = &given->field[i];
        int index = f->fieldKey == NULL ? -1 : field_index(layer, i, f->fieldKey);
        if (index >= 0 && index < (int)sizeof(there))
            there[index] = true;
        if (index < 0)
            note_add(im, POLICY_NOTE_DIFFERS, r->at, NULL, "layer %s: field %s of that machine is none here",
                     name, field_name(f, field));
        else if (f->dataType != layer->fields[index].data_type || f->type != layer->fields[index].type)
            note_add(im, POLICY_NOTE_DIFFERS, r->at, NULL,
                     "layer %s: field %s has another type on that machine (%s)", name, field_name(f, field),
                     engine_constant_name("FWP_DATA_TYPE", f->dataType));
    }
    for (UINT16 i = 0; i < layer->field_count && i < sizeof(there); i++) {
        /* reserved slots say nothing; the same field is missing at many layers */
        if (!there[i] && strstr(layer->fields[i].name, "_RESERVED") == NULL)
            note_add(im, POLICY_NOTE_DIFFERS, r->at, NULL,
                     "the machine's Windows has no field %s at layers that have it here",
                     layer->fields[i].name);
    }
}

static char *join(struct arena *a, const struct part_list *parts)
{
    size_t size = 0;
    for (const struct part *p = parts->first; p != NULL; p = p->next)
        size += strlen(p->text);
    char *text = arena_alloc(a, size + 1);
    size = 0;
    for (const struct part *p = parts->first; p != NULL && text != NULL; p = p->next) {
        size_t n = strlen(p->text);
        memcpy(text + size, p->text, n);
        size += n;
    }
    return text;
}

static void keep(struct import *im)
{
    struct policy *p = im->policy;
    struct arena *a = &im->in->arena;
    const struct record_list *lists = im->in->records;
    p->sessions = arena_alloc(a, (lists[R_SESSION].count + 1) * sizeof(struct policy_session));
    p->endpoints = arena_alloc(a, (lists[R_ENDPOINT].count + 1) * sizeof(struct policy_endpoint));
    p->net_events = arena_alloc(a, (lists[R_EVENT].count + 1) * sizeof(struct policy_net_event));
    if (p->sessions == NULL || p->endpoints == NULL || p->net_events == NULL) {
        import_no_memory(im);
        return;
    }
    /* `line` holds the offset until note_finish() has counted */
    struct policy_counts *c = &p->counts;
    for (EACH(r, im, R_SESSION)) {
        memcpy(&p->sessions[c->sessions].session, r->object, sizeof(FWPM_SESSION0));
        p->sessions[c->sessions++].line = r->at;
    }
    for (EACH(r, im, R_ENDPOINT)) {
        memcpy(&p->endpoints[c->endpoints], r->object, sizeof(struct policy_endpoint));
        p->endpoints[c->endpoints++].line = r->at;
    }
    for (EACH(r, im, R_EVENT)) {
        struct policy_net_event *e = &p->net_events[c->net_events++];
        memcpy(e, r->object, sizeof(*e));
        e->line = r->at;
        if (r->raw.first != NULL && (e->raw = join(a, &r->raw)) == NULL)
            import_no_memory(im);
    }
    c->layers = lists[R_LAYER].count;
    c->sublayers = lists[R_SUBLAYER].count;
    c->providers = lists[R_PROVIDER].count;
    c->provider_contexts = lists[R_PROVIDER_CONTEXT].count;
    c->callouts = lists[R_CALLOUT].count;
    c->filters = lists[R_FILTER].count;
}

int load_records(struct import *im, struct bfe *b)
{
    struct loader l = {.im = im,
                       .lists_state = im->in->records[R_LAYER].count + im->in->records[R_CALLOUT].count > 0};
    struct bfe_caller caller = {.kernel = true};
    FWPM_SESSION0 desc = {0};
    bool open = false, writing = false;
    WCHAR name[] = u"Weir policy import";
    desc.displayData.name = name;

    NTSTATUS status = bfe_session_open(b, &caller, &desc, &l.session);
    if (!NT_SUCCESS(status))
        goto refused;
    open = true;
    status = bfe_txn_begin(l.session, 0);
    if (!NT_SUCCESS(status))
        goto refused;
    writing = true;
    if (im->replace)
        status = clear(l.session);
    if (!NT_SUCCESS(status))
        goto refused;
    restore_containers(&l);
    if (im->status == 0)
        assume_sublayers(&l);
    if (im->status == 0)
        assume_callouts(&l);
    if (im->status == 0)
        restore_filters(&l);
    for (EACH(r, im, R_LAYER)) {
        if (im->status == 0)
            compare_layer(im, r);
    }
    if (im->status == 0)
        keep(im);
    if (im->status == 0 && note_finish(im) != 0)
        import_no_memory(im);
    if (im->status != 0)
        goto out;
    status = bfe_txn_commit(l.session); /* last: nothing can fail behind it */
    writing = !NT_SUCCESS(status);
    if (!writing)
        goto out;
refused:
    if (status == STATUS_NO_MEMORY || status == STATUS_INSUFFICIENT_RESOURCES) {
        import_no_memory(im);
    } else {
        const char *text = engine_status_name((UINT32)status);
        import_fail(im, SIZE_MAX, "expected an engine that takes a policy, found %s",
                    text == NULL ? "an error" : text);
    }
out:
    if (writing)
        (void)bfe_txn_abort(l.session);
    if (open)
        (void)bfe_session_close(l.session);
    key_free(&l.providers);
    key_free(&l.contexts);
    key_free(&l.sublayers);
    key_free(&l.callouts);
    key_free(&l.assumed_sublayers);
    key_free(&l.missing_callouts);
    return im->status;
}
