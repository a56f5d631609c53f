/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generated tables behind facts.h (tools/gen_facts.py makes facts_tables.c). Only facts.c reads them.
 *
 * Every table is constant and sorted for binary search by the key that its comment names; names compare
 * without regard to case, GUIDs as 16 bytes in memory order.
 */
#ifndef WEIR_ENGINE_FACTS_TABLES_H
#define WEIR_ENGINE_FACTS_TABLES_H

#include "engine/facts.h"

/* By (kind, guid, rank): rank 0 is the documented name that lookups return, the rest are further names. */
struct facts_guid {
    GUID guid;
    const char *name;
    unsigned char kind; /* enum engine_guid_kind */
    unsigned char rank;
};
extern const struct facts_guid facts_guids[];
extern const unsigned facts_guid_first[ENGINE_GUID_KINDS + 1]; /* kind k is [first[k], first[k + 1]) */
extern const unsigned short
    facts_guids_by_name[]; /* indexes into facts_guids, by (kind, name without prefix) */
extern const char *const facts_guid_prefix[ENGINE_GUID_KINDS]; /* "FWPM_LAYER_" ... */

extern const struct engine_layer facts_layers[ENGINE_LAYER_COUNT]; /* by id */
extern const unsigned char facts_layers_by_key[ENGINE_LAYER_COUNT];
extern const unsigned char facts_layers_by_name[ENGINE_LAYER_COUNT]; /* by FWPS name without its prefix */

struct facts_constant {
    UINT64 value;
    const char *name;
    unsigned short group; /* index into facts_groups */
};
extern const char *const facts_groups[]; /* by name */
extern const unsigned facts_group_count;
extern const struct facts_constant facts_names[]; /* by (group, value): one primary name each, no sentinels */
extern const unsigned facts_name_count;
extern const struct facts_constant facts_values[]; /* by name: all of them */
extern const unsigned facts_value_count;

struct facts_status {
    UINT32 code;
    const char *name;
};
extern const struct facts_status facts_statuses[]; /* by code */
extern const unsigned facts_status_count;

extern const struct engine_builtin_sublayer facts_sublayers[]; /* by weight */
extern const unsigned facts_sublayer_count;
extern const struct engine_builtin_provider facts_providers[];
extern const unsigned facts_provider_count;

#endif
