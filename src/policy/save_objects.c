/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How netsh writes one object: its elements, values, flags and keys. Tabs for depth, CRLF, an empty element
 * where there is nothing. Order of elements is that of the documented structs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "save.h"
#include "security/security.h"

static const GUID no_key;

/* ---- lines ------------------------------------------------------------------------------------------ */

static void indent(struct saver *s)
{
    for (unsigned i = 0; i < s->depth; i++)
        buffer_add(&s->out, "\t", 1);
}

static void line_end(struct saver *s)
{
    buffer_add(&s->out, "\r\n", 2);
}

void save_open(struct saver *s, const char *name)
{
    indent(s);
    buffer_printf(&s->out, "<%s>\r\n", name);
    s->depth++;
}

void save_close(struct saver *s, const char *name)
{
    s->depth--;
    indent(s);
    buffer_printf(&s->out, "</%s>\r\n", name);
}

/* A list's start tag; false (and the list is written) when it has no items. */
bool save_open_list(struct saver *s, const char *name, UINT32 count)
{
    indent(s);
    if (count == 0) {
        buffer_printf(&s->out, "<%s/>\r\n", name);
        return false;
    }
    buffer_printf(&s->out, "<%s numItems=\"%u\">\r\n", name, count);
    s->depth++;
    return true;
}

/* <name>text</name>, or <name/>; line ends in the text are the file's. */
static void leaf(struct saver *s, const char *name, const char *text, size_t size)
{
    indent(s);
    if (size == 0) {
        buffer_printf(&s->out, "<%s/>\r\n", name);
        return;
    }
    buffer_printf(&s->out, "<%s>", name);
    buffer_escaped(&s->out, text, size, false);
    buffer_printf(&s->out, "</%s>\r\n", name);
}

void save_text(struct saver *s, const char *name, const char *text)
{
    leaf(s, name, text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
}

static void leaf_wide(struct saver *s, const char *name, const WCHAR *text)
{
    struct buffer b = {0};
    if (text != NULL)
        text_narrow(&b, text);
    s->out.failed |= b.failed;
    leaf(s, name, b.data, b.size);
    free(b.data);
}

static void leaf_number(struct saver *s, const char *name, UINT64 value)
{
    char text[24];
    leaf(s, name, text, (size_t)snprintf(text, sizeof(text), "%llu", value));
}

/* Kept XML, as it stood; its lines end in LF since they were read. */
void save_kept(struct saver *s, const char *xml)
{
    indent(s);
    for (const char *end; (end = strchr(xml, '\n')) != NULL; xml = end + 1) {
        buffer_add(&s->out, xml, (size_t)(end - xml));
        line_end(s);
    }
    buffer_text(&s->out, xml);
    line_end(s);
}

static void kept_parts(struct saver *s, const struct record *r)
{
    for (const struct part *p = r == NULL ? NULL : r->raw.first; p != NULL; p = p->next)
        save_kept(s, p->text);
}

/* ---- keys, flags, blobs ----------------------------------------------------------------------------- */

static void leaf_key(struct saver *s, const char *name, enum engine_guid_kind kind, const GUID *key)
{
    char text[ENGINE_GUID_TEXT];
    const char *known;
    if (key == NULL || memcmp(key, &no_key, sizeof(*key)) == 0) {
        leaf(s, name, "", 0);
        return;
    }
    known = kind == ENGINE_GUID_KINDS ? NULL : engine_guid_name(kind, key);
    if (known == NULL || strncmp(known, "FWPM_", 5) != 0) /* netsh names nothing by a run-time name */
        known = engine_guid_format(key, text);
    save_text(s, name, known);
}

/* A key that the file named by a name of which Weir only made a key. */
static const char *kept_name(const struct saver *s, const GUID *key)
{
    for (const struct made_name *m = s->in == NULL ? NULL : s->in->made_names; m != NULL; m = m->next) {
        if (memcmp(&m->key, key, sizeof(*key)) == 0)
            return m->name;
    }
    return NULL;
}

static void leaf_object_key(struct saver *s, const char *name, enum engine_guid_kind kind, const GUID *key)
{
    const char *made = key == NULL ? NULL : kept_name(s, key);
    if (made != NULL)
        save_text(s, name, made);
    else
        leaf_key(s, name, kind, key);
}

struct flag_name {
    UINT32 flag;
    const char *name;
};
#define FLAG(name)                                                                                           \
    {                                                                                                        \
        name, #name                                                                                          \
    }

static const struct flag_name filter_flags[] = {
    FLAG(FWPM_FILTER_FLAG_PERSISTENT),
    FLAG(FWPM_FILTER_FLAG_BOOTTIME),
    FLAG(FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT),
    FLAG(FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT),
    FLAG(FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED),
    FLAG(FWPM_FILTER_FLAG_DISABLED),
    FLAG(FWPM_FILTER_FLAG_INDEXED),
    {0, NULL},
};
/* netsh names these two of the run-time half and leaves the others in hex */
static const struct flag_name callout_flags[] = {
    FLAG(FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW), FLAG(FWP_CALLOUT_FLAG_ALLOW_OFFLOAD),
    FLAG(FWPM_CALLOUT_FLAG_PERSISTENT),         FLAG(FWPM_CALLOUT_FLAG_USES_PROVIDER_CONTEXT),
    FLAG(FWPM_CALLOUT_FLAG_REGISTERED),         {0, NULL},
};
static const struct flag_name layer_flags[] = {
    FLAG(FWPM_LAYER_FLAG_KERNEL),
    FLAG(FWPM_LAYER_FLAG_BUILTIN),
    FLAG(FWPM_LAYER_FLAG_CLASSIFY_MOSTLY),
    FLAG(FWPM_LAYER_FLAG_BUFFERED),
    {0, NULL},
};
static const struct flag_name provider_flags[] = {
    FLAG(FWPM_PROVIDER_FLAG_PERSISTENT),
    FLAG(FWPM_PROVIDER_FLAG_DISABLED),
    {0, NULL},
};
static const struct flag_name context_flags[] = {
    FLAG(FWPM_PROVIDER_CONTEXT_FLAG_PERSISTENT),
    FLAG(FWPM_PROVIDER_CONTEXT_FLAG_DOWNLEVEL),
    {0, NULL},
};
static const struct flag_name sublayer_flags[] = {FLAG(FWPM_SUBLAYER_FLAG_PERSISTENT), {0, NULL}};
static const struct flag_name session_flags[] = {
    FLAG(FWPM_SESSION_FLAG_DYNAMIC),
    FLAG(FWPM_SESSION_FLAG_RESERVED),
    {0, NULL},
};
static const struct flag_name no_flags[] = {{0, NULL}};

static void flags(struct saver *s, UINT32 value, const struct flag_name *names, const struct record *r)
{
    UINT32 count = 0, rest = value;
    const struct part *unknown = r == NULL ? NULL : r->flags.first;
    for (const struct flag_name *n = names; n->name != NULL; n++) {
        count += (value & n->flag) != 0;
        rest &= ~n->flag;
    }
    count += rest != 0;
    for (const struct part *p = unknown; p != NULL; p = p->next)
        count++;
    if (!save_open_list(s, "flags", count))
        return;
    for (const struct flag_name *n = names; n->name != NULL; n++) {
        if (value & n->flag)
            save_text(s, "item", n->name);
    }
    for (const struct part *p = unknown; p != NULL; p = p->next)
        save_text(s, "item", p->text);
    if (rest != 0) {
        char hex[9];
        snprintf(hex, sizeof(hex), "%08X", rest);
        save_text(s, "item", hex);
    }
    save_close(s, "flags");
}

/* A blob: its bytes in hex, and as text for people. `wide`: an application id, UTF-16 with its NUL. */
static void blob(struct saver *s, const char *name, const FWP_BYTE_BLOB *b, bool wide)
{
    static const char digits[] = "0123456789abcdef";
    struct buffer text = {0};
    if (b == NULL || b->size == 0) {
        indent(s);
        buffer_printf(&s->out, "<%s/>\r\n", name);
        return;
    }
    save_open(s, name);
    indent(s);
    buffer_text(&s->out, "<data>");
    for (UINT32 i = 0; i < b->size; i++) {
        char hex[2] = {digits[b->data[i] >> 4], digits[b->data[i] & 15]};
        buffer_add(&s->out, hex, 2);
    }
    buffer_text(&s->out, "</data>\r\n");
    wide = wide && b->size >= 2 && b->size % 2 == 0 && b->data[b->size - 1] == 0 && b->data[b->size - 2] == 0;
    if (wide) {
        WCHAR *copy = malloc(b->size);
        s->out.failed |= copy == NULL;
        if (copy != NULL) {
            memcpy(copy, b->data, b->size);
            text_narrow(&text, copy);
        }
        free(copy);
    } else {
        for (UINT32 i = 0; i < b->size; i++) {
            char c = (char)b->data[i];
            bool plain = c >= ' ' && c <= '~' && c != '<' && c != '>' && c != '&';
            buffer_add(&text, plain ? &c : ".", 1);
        }
    }
    s->out.failed |= text.failed;
    leaf(s, "asString", text.data, text.size);
    free(text.data);
    save_close(s, name);
}

static void display(struct saver *s, const FWPM_DISPLAY_DATA0 *d)
{
    save_open(s, "displayData");
    leaf_wide(s, "name", d->name);
    leaf_wide(s, "description", d->description);
    save_close(s, "displayData");
}

/* ---- values ----------------------------------------------------------------------------------------- */

static void leaf_sid(struct saver *s, const char *name, const SID *sid)
{
    char text[256];
    int n = sid == NULL ? 0 : security_sid_format(sid, text, sizeof(text));
    leaf(s, name, text, n < 0 ? 0 : (size_t)n);
}

static void leaf_v4(struct saver *s, const char *name, UINT32 address)
{
    char text[INET_TEXT];
    save_text(s, name, inet_v4_format(address, text));
}

static void leaf_v6(struct saver *s, const char *name, const UINT8 *address)
{
    char text[INET_TEXT];
    save_text(s, name, inet_v6_format(address, text));
}

static void leaf_double(struct saver *s, const char *name, double value)
{
    char text[64];
    leaf(s, name, text, (size_t)snprintf(text, sizeof(text), "%.17g", value));
}

static void leaf_signed(struct saver *s, const char *name, INT64 value)
{
    char text[24];
    leaf(s, name, text, (size_t)snprintf(text, sizeof(text), "%lld", value));
}

/* Single values and, for conditions, masks and ranges. `address`: a UINT32 is an IPv4 address. */
static void value(struct saver *s, const char *name, const FWP_CONDITION_VALUE0 *v, bool address)
{
    char *sddl = NULL;
    const char *type = engine_constant_name("FWP_DATA_TYPE", v->type);
    save_open(s, name);
    save_text(s, "type", type);
    switch (v->type) {
    case FWP_UINT8:
        leaf_number(s, "uint8", v->uint8);
        break;
    case FWP_UINT16:
        leaf_number(s, "uint16", v->uint16);
        break;
    case FWP_UINT32:
        if (address)
            leaf_v4(s, "uint32", v->uint32);
        else
            leaf_number(s, "uint32", v->uint32);
        break;
    case FWP_UINT64:
        leaf_number(s, "uint64", v->uint64 == NULL ? 0 : *v->uint64);
        break;
    case FWP_INT8:
        leaf_signed(s, "int8", v->int8);
        break;
    case FWP_INT16:
        leaf_signed(s, "int16", v->int16);
        break;
    case FWP_INT32:
        leaf_signed(s, "int32", v->int32);
        break;
    case FWP_INT64:
        leaf_signed(s, "int64", *v->int64);
        break;
    case FWP_FLOAT:
        leaf_double(s, "float32", (double)v->float32);
        break;
    case FWP_DOUBLE:
        leaf_double(s, "double64", *v->double64);
        break;
    case FWP_BYTE_ARRAY16_TYPE:
        leaf_v6(s, "byteArray16", v->byteArray16->byteArray16);
        break;
    case FWP_BYTE_ARRAY6_TYPE: {
        const UINT8 *b = v->byteArray6->byteArray6;
        char text[18];
        snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
        save_text(s, "byteArray6", text);
        break;
    }
    case FWP_BYTE_BLOB_TYPE:
        blob(s, "byteBlob", v->byteBlob, true);
        break;
    case FWP_TOKEN_ACCESS_INFORMATION_TYPE:
        blob(s, "tokenAccessInformation", v->tokenAccessInformation, false);
        break;
    case FWP_SID:
        leaf_sid(s, "sid", v->sid);
        break;
    case FWP_SECURITY_DESCRIPTOR_TYPE:
        if (v->sd == NULL || security_sddl_format(v->sd->data, v->sd->size, &sddl) != 0)
            s->status = s->status == 0 ? -EINVAL : s->status;
        save_text(s, "sd", sddl);
        free(sddl);
        break;
    case FWP_UNICODE_STRING_TYPE:
        leaf_wide(s, "unicodeString", v->unicodeString);
        break;
    case FWP_V4_ADDR_MASK:
        save_open(s, "v4AddrMask");
        leaf_v4(s, "addr", v->v4AddrMask->addr);
        leaf_v4(s, "mask", v->v4AddrMask->mask);
        save_close(s, "v4AddrMask");
        break;
    case FWP_V6_ADDR_MASK:
        save_open(s, "v6AddrMask");
        leaf_v6(s, "addr", v->v6AddrMask->addr);
        leaf_number(s, "prefixLength", v->v6AddrMask->prefixLength);
        save_close(s, "v6AddrMask");
        break;
    case FWP_RANGE_TYPE: {
        /* the two unions agree on all single values */
        const FWP_VALUE0 *ends[2] = {&v->rangeValue->valueLow, &v->rangeValue->valueHigh};
        static const char *const names[2] = {"valueLow", "valueHigh"};
        save_open(s, "rangeValue");
        for (int i = 0; i < 2; i++) {
            FWP_CONDITION_VALUE0 end = {.type = ends[i]->type};
            memcpy(&end.uint64, &ends[i]->uint64, sizeof(end.uint64));
            value(s, names[i], &end, address);
        }
        save_close(s, "rangeValue");
        break;
    }
    default: /* FWP_EMPTY */
        break;
    }
    save_close(s, name);
}

static void single_value(struct saver *s, const char *name, const FWP_VALUE0 *v)
{
    FWP_CONDITION_VALUE0 as = {.type = v->type};
    memcpy(&as.uint64, &v->uint64, sizeof(as.uint64));
    value(s, name, &as, false);
}

/* ---- objects ---------------------------------------------------------------------------------------- */

static void leaf_constant(struct saver *s, const char *name, const char *group, UINT64 number)
{
    const char *known = engine_constant_name(group, number);
    if (known != NULL)
        save_text(s, name, known);
    else
        leaf_number(s, name, number);
}

void save_filter(struct saver *s, const void *object, const struct record *r)
{
    const FWPM_FILTER0 *f = object;
    const struct engine_layer *layer = engine_layer_by_key(&f->layerKey);
    if (r != NULL && r->source != NULL) { /* holds what Weir could not read: as it stood */
        save_kept(s, r->source);
        return;
    }
    UINT32 as = r == NULL ? f->flags : ((const FWPM_FILTER0 *)(const void *)r->object)->flags;
    save_open(s, "item");
    leaf_key(s, "filterKey", ENGINE_GUID_KINDS, &f->filterKey);
    display(s, &f->displayData);
    flags(s, as, filter_flags, r);
    leaf_object_key(s, "providerKey", ENGINE_GUID_PROVIDER, f->providerKey);
    blob(s, "providerData", &f->providerData, false);
    leaf_object_key(s, "layerKey", ENGINE_GUID_LAYER, &f->layerKey);
    leaf_object_key(s, "subLayerKey", ENGINE_GUID_SUBLAYER, &f->subLayerKey);
    single_value(s, "weight", &f->weight);
    if (save_open_list(s, "filterCondition", f->numFilterConditions)) {
        for (UINT32 i = 0; i < f->numFilterConditions; i++) {
            const FWPM_FILTER_CONDITION0 *c = &f->filterCondition[i];
            int field = layer == NULL ? -1 : engine_layer_field(layer, &c->fieldKey);
            save_open(s, "item");
            leaf_object_key(s, "fieldKey", ENGINE_GUID_CONDITION, &c->fieldKey);
            leaf_constant(s, "matchType", "FWP_MATCH_TYPE", c->matchType);
            value(s, "conditionValue", &c->conditionValue,
                  field >= 0 && layer->fields[field].type == FWPM_FIELD_IP_ADDRESS);
            save_close(s, "item");
        }
        save_close(s, "filterCondition");
    }
    save_open(s, "action");
    leaf_constant(s, "type", "FWP_ACTION", f->action.type);
    leaf_object_key(s, "filterType", ENGINE_GUID_CALLOUT, &f->action.filterType);
    save_close(s, "action");
    if (f->flags & FWPM_FILTER_FLAG_HAS_PROVIDER_CONTEXT)
        leaf_object_key(s, "providerContextKey", ENGINE_GUID_PROVIDER, &f->providerContextKey);
    else
        leaf_number(s, "rawContext", f->rawContext);
    leaf_key(s, "reserved", ENGINE_GUID_KINDS, f->reserved);
    kept_parts(s, r);
    leaf_number(s, "filterId", f->filterId);
    single_value(s, "effectiveWeight", &f->effectiveWeight);
    save_close(s, "item");
}

void save_callout(struct saver *s, const void *object, const struct record *r)
{
    const FWPM_CALLOUT0 *c = object;
    save_open(s, "item");
    leaf_object_key(s, "calloutKey", ENGINE_GUID_CALLOUT, &c->calloutKey);
    display(s, &c->displayData);
    flags(s, c->flags, callout_flags, r);
    leaf_object_key(s, "providerKey", ENGINE_GUID_PROVIDER, c->providerKey);
    blob(s, "providerData", &c->providerData, false);
    leaf_object_key(s, "applicableLayer", ENGINE_GUID_LAYER, &c->applicableLayer);
    kept_parts(s, r);
    leaf_number(s, "calloutId", c->calloutId);
    save_close(s, "item");
}

void save_layer(struct saver *s, const void *object, const struct record *r)
{
    const FWPM_LAYER0 *l = object;
    save_open(s, "layer");
    leaf_object_key(s, "layerKey", ENGINE_GUID_LAYER, &l->layerKey);
    display(s, &l->displayData);
    flags(s, l->flags, layer_flags, r);
    if (save_open_list(s, "field", l->numFields)) {
        for (UINT32 i = 0; i < l->numFields; i++) {
            save_open(s, "item");
            leaf_object_key(s, "fieldKey", ENGINE_GUID_CONDITION, l->field[i].fieldKey);
            leaf_constant(s, "type", "FWPM_FIELD_TYPE", l->field[i].type);
            leaf_constant(s, "dataType", "FWP_DATA_TYPE", l->field[i].dataType);
            save_close(s, "item");
        }
        save_close(s, "field");
    }
    leaf_object_key(s, "defaultSubLayerKey", ENGINE_GUID_SUBLAYER, &l->defaultSubLayerKey);
    kept_parts(s, r);
    leaf_number(s, "layerId", l->layerId);
    save_close(s, "layer");
}

void save_provider(struct saver *s, const void *object, const struct record *r)
{
    const FWPM_PROVIDER0 *p = object;
    save_open(s, "item");
    leaf_object_key(s, "providerKey", ENGINE_GUID_PROVIDER, &p->providerKey);
    display(s, &p->displayData);
    flags(s, p->flags, provider_flags, r);
    blob(s, "providerData", &p->providerData, false);
    kept_parts(s, r);
    leaf_wide(s, "serviceName", p->serviceName);
    save_close(s, "item");
}

void save_context(struct saver *s, const void *object, const struct record *r)
{
    const FWPM_PROVIDER_CONTEXT3 *c = object;
    save_open(s, "item");
    leaf_object_key(s, "providerContextKey", ENGINE_GUID_PROVIDER, &c->providerContextKey);
    display(s, &c->displayData);
    flags(s, c->flags, context_flags, r);
    leaf_object_key(s, "providerKey", ENGINE_GUID_PROVIDER, c->providerKey);
    blob(s, "providerData", &c->providerData, false);
    leaf_constant(s, "type", "FWPM_PROVIDER_CONTEXT_TYPE", c->type);
    kept_parts(s, r);
    if (c->type == FWPM_GENERAL_CONTEXT) {
        blob(s, "dataBuffer", c->dataBuffer, false);
    } else if (c->type == FWPM_CLASSIFY_OPTIONS_CONTEXT && c->classifyOptions != NULL) {
        save_open(s, "classifyOptions");
        if (save_open_list(s, "options", c->classifyOptions->numOptions)) {
            for (UINT32 i = 0; i < c->classifyOptions->numOptions; i++) {
                save_open(s, "item");
                leaf_constant(s, "type", "FWP_CLASSIFY_OPTION_TYPE", c->classifyOptions->options[i].type);
                single_value(s, "value", &c->classifyOptions->options[i].value);
                save_close(s, "item");
            }
            save_close(s, "options");
        }
        save_close(s, "classifyOptions");
    }
    leaf_number(s, "providerContextId", c->providerContextId);
    save_close(s, "item");
}

void save_sublayer(struct saver *s, const void *object, const struct record *r)
{
    const FWPM_SUBLAYER0 *l = object;
    save_open(s, "item");
    leaf_object_key(s, "subLayerKey", ENGINE_GUID_SUBLAYER, &l->subLayerKey);
    display(s, &l->displayData);
    flags(s, l->flags, sublayer_flags, r);
    leaf_object_key(s, "providerKey", ENGINE_GUID_PROVIDER, l->providerKey);
    blob(s, "providerData", &l->providerData, false);
    kept_parts(s, r);
    leaf_number(s, "weight", l->weight);
    save_close(s, "item");
}

void save_session(struct saver *s, const void *object, const struct record *r)
{
    const FWPM_SESSION0 *d = object;
    save_open(s, "item");
    leaf_key(s, "sessionKey", ENGINE_GUID_KINDS, &d->sessionKey);
    display(s, &d->displayData);
    flags(s, d->flags, session_flags, r);
    leaf_number(s, "txnWaitTimeoutInMSec", d->txnWaitTimeoutInMSec);
    leaf_number(s, "processId", d->processId);
    leaf_sid(s, "sid", d->sid);
    leaf_wide(s, "username", d->username);
    kept_parts(s, r);
    save_text(s, "kernelMode", d->kernelMode ? "true" : "false");
    save_close(s, "item");
}

static void save_address(struct saver *s, const char *v4, const char *v6, const FWP_VALUE0 *v)
{
    if (v->type == FWP_UINT32)
        leaf_v4(s, v4, v->uint32);
    else if (v->type == FWP_BYTE_ARRAY16_TYPE)
        leaf_v6(s, v6, v->byteArray16->byteArray16);
}

void save_endpoint(struct saver *s, const void *object, const struct record *r)
{
    const struct policy_endpoint *e = object;
    save_open(s, "item");
    leaf_number(s, "endpointId", e->id);
    leaf_constant(s, "ipVersion", "FWP_IP_VERSION", e->ip_version);
    save_address(s, "localV4Address", "localV6Address", &e->local_address);
    save_address(s, "remoteV4Address", "remoteV6Address", &e->remote_address);
    leaf_number(s, "ipProtocol", e->protocol);
    leaf_number(s, "localPort", e->local_port);
    leaf_number(s, "remotePort", e->remote_port);
    leaf_number(s, "localTokenModifiedId", e->token_modified_id);
    leaf_number(s, "mmSaId", e->mm_sa_id);
    leaf_number(s, "qmSaId", e->qm_sa_id);
    save_text(s, "ipsecStatus", e->ipsec_status);
    flags(s, e->flags, no_flags, r);
    kept_parts(s, r);
    blob(s, "appId", &e->app_id, false);
    save_close(s, "item");
}
