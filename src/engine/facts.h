/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The facts as tables: layers, their fields, and the names of GUIDs and constants. Generated from the tables
 * in data/ by tools/ (see data/meson.build); nobody types a number twice. All of it is constant data and pure
 * functions: any thread, any IRQL, no allocation; what is returned lives for ever.
 */
#ifndef WEIR_ENGINE_FACTS_H
#define WEIR_ENGINE_FACTS_H

#include <stdbool.h>
#include <stddef.h>

#include "fwpmtypes.h"

#define ENGINE_LAYER_COUNT 99
#define ENGINE_MAX_FIELDS  64 /* no layer has more; asserted by the generator */

struct engine_field {
    const GUID *key;  /* the FWPM_CONDITION_* GUID */
    const char *name; /* "FWPM_CONDITION_IP_LOCAL_ADDRESS" */
    UINT16 index;
    FWPM_FIELD_TYPE type;
    FWP_DATA_TYPE data_type;
};

struct engine_layer {
    UINT16 id;
    const GUID *key;
    const char *name;      /* "FWPM_LAYER_ALE_AUTH_CONNECT_V4" (FWPS name where no FWPM name exists) */
    const char *fwps_name; /* "FWPS_LAYER_ALE_AUTH_CONNECT_V4" */
    const char *display_name;
    UINT32 flags; /* FWPM_LAYER_FLAG_* */
    bool user_mode;
    bool discard;
    char family;    /* '4', '6' or 0 */
    char direction; /* 'i', 'o', 'f' (forward) or 0 (both, or neither) */
    const GUID *default_sublayer;
    UINT32 metadata;    /* FWPS_METADATA_FIELD_*: what an indication here can come with, as documented */
    UINT32 l2_metadata; /* FWPS_L2_METADATA_FIELD_* */
    UINT16 field_count;
    const struct engine_field *fields;
};

/* NULL: no such layer. A name is the FWPM_LAYER_ or FWPS_LAYER_ one, or stands without its prefix, in any
 * case. */
const struct engine_layer *engine_layer_by_id(UINT16 id);
const struct engine_layer *engine_layer_by_key(const GUID *key);
const struct engine_layer *engine_layer_by_name(const char *name);
/* The index of the field with this condition key, or -1. Aliases such as FWPM_CONDITION_ICMP_TYPE, which has
 * the GUID of FWPM_CONDITION_IP_LOCAL_PORT, find the field of what they are an alias of. */
int engine_layer_field(const struct engine_layer *layer, const GUID *condition_key);

enum engine_guid_kind {
    ENGINE_GUID_LAYER,
    ENGINE_GUID_CONDITION,
    ENGINE_GUID_SUBLAYER,
    ENGINE_GUID_PROVIDER,
    ENGINE_GUID_CALLOUT,
    ENGINE_GUID_KEYING,
    ENGINE_GUID_KINDS
};

/* The documented name of a GUID, or NULL; the primary one where several names share it. */
const char *engine_guid_name(enum engine_guid_kind kind, const GUID *guid);
/* By documented name, with or without its prefix (FWPM_CONDITION_ ...; FWPS_LAYER_ too), in any case; or as
 * "{xxxxxxxx-....}" (braces optional). 0; -ENOENT: no such name; -EINVAL: a brace, but no GUID. */
int engine_guid_by_name(enum engine_guid_kind kind, const char *name, GUID *out);
/* The 36 characters of a GUID, in braces or not, and nothing else: 0 or -EINVAL. */
int engine_guid_parse(const char *text, GUID *out);
#define ENGINE_GUID_TEXT 39
const char *engine_guid_format(const GUID *guid, char out[ENGINE_GUID_TEXT]); /* "{...}", lower case */

/*
 * Named constants by their group in data/constants.tsv, e.g. ("FWP_MATCH_TYPE", 0) -> "FWP_MATCH_EQUAL": the
 * primary name, never a *_MAX sentinel; NULL if the value has none. Further groups: FWPS_BUILTIN_LAYERS,
 * FWPS_METADATA_FIELD, STATUS_FWP, FWP_E, NTSTATUS, WIN32. engine_constant_value() knows them all, in any
 * case.
 */
const char *engine_constant_name(const char *group, UINT64 value);
bool engine_constant_value(const char *name, UINT64 *out);
/* Names of FWP_E_*, STATUS_FWP_*, NTSTATUS and Win32 codes; NULL if unknown. Below 0x10000, where NTSTATUS
 * and Win32 overlap, a code is Win32's, but for STATUS_SUCCESS, STATUS_TIMEOUT and STATUS_PENDING. */
const char *engine_status_name(UINT32 code);

/* Built-in objects that every engine starts with (data/sublayers.tsv, data/providers.tsv; builtin=1 rows). */
struct engine_builtin_sublayer {
    const GUID *key;
    const char *name;
    const char *display_name;
    UINT16 weight;
    const GUID *provider;
};
struct engine_builtin_provider {
    const GUID *key;
    const char *name;
    const char *display_name;
    const char *service;
};
size_t engine_builtin_sublayers(const struct engine_builtin_sublayer **out);
size_t engine_builtin_providers(const struct engine_builtin_provider **out);

#endif
