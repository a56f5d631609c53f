/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking things up in the generated tables: layers, GUIDs, named constants, statuses.
 *
 * Everything here is constant data and pure functions: any thread, any IRQL, no allocation. All searches are
 * binary over tables that tools/gen_facts.py sorted; tests/unit/facts_lookup.c finds every row again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/facts_tables.h"

static int guid_compare(const GUID *a, const GUID *b)
{
    return memcmp(a, b, sizeof(*a));
}

/* Names are ASCII and compare in lower case; not strcasecmp(), which asks the user's locale. */
static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : (unsigned char)c;
}

static int compare_names(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return lower(*a) - lower(*b);
}

/* What stands after the prefix, or the whole name if it does not begin so. */
static const char *without_prefix(const char *name, const char *prefix)
{
    const char *rest = name;
    for (; *prefix != '\0'; prefix++, rest++) {
        if (lower(*rest) != lower(*prefix))
            return name;
    }
    return rest;
}

/* ---- layers ---------------------------------------------------------------------------------------- */

const struct engine_layer *engine_layer_by_id(UINT16 id)
{
    return id < ENGINE_LAYER_COUNT ? &facts_layers[id] : NULL;
}

const struct engine_layer *engine_layer_by_key(const GUID *key)
{
    unsigned low = 0, high = ENGINE_LAYER_COUNT;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct engine_layer *layer = &facts_layers[facts_layers_by_key[middle]];
        int order = guid_compare(key, layer->key);
        if (order == 0)
            return layer;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

#define FWPM_LAYER_PREFIX "FWPM_LAYER_"
#define FWPS_LAYER_PREFIX "FWPS_LAYER_"

const struct engine_layer *engine_layer_by_name(const char *name)
{
    const char *bare = without_prefix(name, FWPM_LAYER_PREFIX);
    if (bare == name)
        bare = without_prefix(name, FWPS_LAYER_PREFIX);

    unsigned low = 0, high = ENGINE_LAYER_COUNT;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct engine_layer *layer = &facts_layers[facts_layers_by_name[middle]];
        int order = compare_names(bare, layer->fwps_name + strlen(FWPS_LAYER_PREFIX));
        if (order == 0)
            return layer;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int engine_layer_field(const struct engine_layer *layer, const GUID *condition_key)
{
    /* Aliases such as FWPM_CONDITION_ICMP_TYPE are further names of one GUID, so comparing GUIDs resolves
     * them. */
    for (unsigned i = 0; i < layer->field_count; i++) {
        if (guid_compare(layer->fields[i].key, condition_key) == 0)
            return (int)i;
    }
    return -1;
}

/* ---- GUIDs ------------------------------------------------------------------------------------------- */

const char *engine_guid_name(enum engine_guid_kind kind, const GUID *guid)
{
    if ((unsigned)kind >= ENGINE_GUID_KINDS)
        return NULL;
    unsigned low = facts_guid_first[kind], high = facts_guid_first[kind + 1];
    while (low < high) { /* the first entry that is not less: rank 0 of its GUID */
        unsigned middle = (low + high) / 2;
        if (guid_compare(&facts_guids[middle].guid, guid) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < facts_guid_first[kind + 1] && guid_compare(&facts_guids[low].guid, guid) == 0)
        return facts_guids[low].name;
    return NULL;
}

int engine_guid_by_name(enum engine_guid_kind kind, const char *name, GUID *out)
{
    if ((unsigned)kind >= ENGINE_GUID_KINDS)
        return -EINVAL;
    if (engine_guid_parse(name, out) == 0)
        return 0;

    if (kind == ENGINE_GUID_LAYER) { /* which have run-time names too */
        const struct engine_layer *layer = engine_layer_by_name(name);
        if (layer != NULL) {
            *out = *layer->key;
            return 0;
        }
    }

    const char *prefix = facts_guid_prefix[kind];
    const char *bare = without_prefix(name, prefix);
    unsigned low = facts_guid_first[kind], high = facts_guid_first[kind + 1];
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct facts_guid *entry = &facts_guids[facts_guids_by_name[middle]];
        int order = compare_names(bare, without_prefix(entry->name, prefix));
        if (order == 0) {
            *out = entry->guid;
            return 0;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return name[0] == '{' ? -EINVAL : -ENOENT;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int engine_guid_parse(const char *text, GUID *out)
{
    /* The 36 characters 8-4-4-4-12; their 16 bytes come in this order, big-endian. */
    UINT8 bytes[16];
    unsigned count = 0;
    bool braces = text[0] == '{';
    const char *p = text + braces;

    for (unsigned i = 0; i < 36;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (p[i++] != '-')
                return -EINVAL;
            continue;
        }
        int high = hex_digit(p[i]);
        int low = high < 0 ? -1 : hex_digit(p[i + 1]);
        if (low < 0)
            return -EINVAL;
        bytes[count++] = (UINT8)(high << 4 | low);
        i += 2;
    }
    p += 36;
    if (braces && *p++ != '}')
        return -EINVAL;
    if (*p != '\0')
        return -EINVAL;

    out->Data1 = (UINT32)bytes[0] << 24 | (UINT32)bytes[1] << 16 | (UINT32)bytes[2] << 8 | bytes[3];
    out->Data2 = (UINT16)(bytes[4] << 8 | bytes[5]);
    out->Data3 = (UINT16)(bytes[6] << 8 | bytes[7]);
    memcpy(out->Data4, bytes + 8, sizeof(out->Data4));
    return 0;
}

const char *engine_guid_format(const GUID *guid, char out[ENGINE_GUID_TEXT])
{
    const unsigned char *d = guid->Data4;
    snprintf(out, ENGINE_GUID_TEXT, "{%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x}", guid->Data1,
             guid->Data2, guid->Data3, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7]);
    return out;
}

/* ---- constants --------------------------------------------------------------------------------------- */

static int group_index(const char *group)
{
    unsigned low = 0, high = facts_group_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = strcmp(group, facts_groups[middle]);
        if (order == 0)
            return (int)middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

const char *engine_constant_name(const char *group, UINT64 value)
{
    int index = group_index(group);
    if (index < 0)
        return NULL;
    unsigned low = 0, high = facts_name_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const struct facts_constant *c = &facts_names[middle];
        if (c->group == index && c->value == value)
            return c->name;
        if (index < c->group || (index == c->group && value < c->value))
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool engine_constant_value(const char *name, UINT64 *out)
{
    unsigned low = 0, high = facts_value_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        int order = compare_names(name, facts_values[middle].name);
        if (order == 0) {
            *out = facts_values[middle].value;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

const char *engine_status_name(UINT32 code)
{
    unsigned low = 0, high = facts_status_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (facts_statuses[middle].code == code)
            return facts_statuses[middle].name;
        if (code < facts_statuses[middle].code)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* ---- built-in objects ---------------------------------------------------------------------------------- */

size_t engine_builtin_sublayers(const struct engine_builtin_sublayer **out)
{
    *out = facts_sublayers;
    return facts_sublayer_count;
}

size_t engine_builtin_providers(const struct engine_builtin_provider **out)
{
    *out = facts_providers;
    return facts_provider_count;
}
