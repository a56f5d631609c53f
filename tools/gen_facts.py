#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generates the tables behind src/engine/facts.h (see src/engine/facts_tables.h for their order).

usage: gen_facts.py <data folder> <output file>
"""

import sys

from facts_tables import Tables, c_string, guid_bytes, guid_initializer
from gen_wdk import ENUMS

KINDS = [  # as enum engine_guid_kind; the table's word, the prefix of names
    ("layer", "FWPM_LAYER_"),
    ("condition", "FWPM_CONDITION_"),
    ("sublayer", "FWPM_SUBLAYER_"),
    ("provider", "FWPM_PROVIDER_"),
    ("callout", "FWPM_CALLOUT_"),
    ("keying", "FWPM_KEYING_MODULE_"),
]
MAX_FIELDS = 64  # ENGINE_MAX_FIELDS
LAYERS = 99  # ENGINE_LAYER_COUNT

# Where several names have one value, the one that a reader expects (otherwise the first of the table).
PREFERRED = {"STATUS_SUCCESS", "STATUS_ABANDONED", "PASSIVE_LEVEL", "FWPM_CALLOUT_TEREDO_ALE_LISTEN_V6"}

# Below 0x10000 NTSTATUS and Win32 codes overlap; a Win32 name is meant except for these.
SMALL_NTSTATUS = {"STATUS_SUCCESS", "STATUS_TIMEOUT", "STATUS_PENDING"}


def fold(name):
    """As compare_names() in src/engine/facts.c orders names."""
    return name.lower()


class Guids:
    """facts_guids and the way from a name or GUID to its entry."""

    def __init__(self, tables):
        kinds = [k for k, _ in KINDS]
        entries = []
        for order, row in enumerate(tables.rows("guids")):
            # An alias names the row it is an alias of; a mingw-only name never made it into Windows.
            entries.append((kinds.index(row["kind"]), guid_bytes(row["guid"]), "alias_of=" in row["note"], order, row))
        entries.sort(key=lambda e: e[:4])
        self.entries = []
        previous, rank = None, 0
        for kind, raw, _, _, row in entries:
            rank = rank + 1 if (kind, raw) == previous else 0
            previous = (kind, raw)
            self.entries.append((kind, rank, row["name"], row["guid"]))
        self.index = {}
        self.by_name = {}
        for i, (kind, rank, name, guid) in enumerate(self.entries):
            if rank == 0:
                self.index[kind, guid_bytes(guid)] = i
            self.by_name[kind, name] = i

    def reference(self, kind, guid):
        return f"&facts_guids[{self.index[[k for k, _ in KINDS].index(kind), guid_bytes(guid)]}].guid"

    def emit(self):
        out = ["const struct facts_guid facts_guids[] = {"]
        for kind, rank, name, guid in self.entries:
            out.append(f"    {{ {guid_initializer(guid)}, {c_string(name)}, {kind}, {rank} }},")
        out += ["};", ""]
        first = [sum(1 for e in self.entries if e[0] < k) for k in range(len(KINDS) + 1)]
        out += ["const unsigned facts_guid_first[ENGINE_GUID_KINDS + 1] = { %s };" % ", ".join(map(str, first)), ""]
        def bare(i):
            kind, _, name, _ = self.entries[i]
            return kind, fold(name).removeprefix(fold(KINDS[kind][1]))

        order = sorted(range(len(self.entries)), key=bare)
        out += ["const unsigned short facts_guids_by_name[] = { %s };" % ", ".join(map(str, order)), ""]
        out += ["const char *const facts_guid_prefix[ENGINE_GUID_KINDS] = { %s };" % ", ".join(
            c_string(p) for _, p in KINDS), ""]
        return out


# Layers that the documentation still calls by a name that is gone.
RENAMED_LAYERS = {"FWPS_LAYER_INBOUND_MAC_FRAME_802_3": "FWPS_LAYER_INBOUND_MAC_FRAME_ETHERNET"}


def metadata(tables):
    """Layer name -> [currentMetadataValues, currentL2MetadataValues] that it can have (metadata_at_layer.tsv)."""
    bits = {r["name"]: (r["bitmask_member"] == "currentL2MetadataValues", int(r["value"], 0))
            for r in tables.rows("metadata_fields")}
    known = {r["fwps_name"] for r in tables.layers()}
    out = {}
    for row in tables.rows("metadata_at_layer"):
        name = RENAMED_LAYERS.get(row["fwps_layer"], row["fwps_layer"])
        if name not in known or row["metadata_field"] not in bits:
            raise SystemExit(f"metadata_at_layer.tsv: {row['fwps_layer']}, {row['metadata_field']}: unknown")
        l2, bit = bits[row["metadata_field"]]
        out.setdefault(name, [0, 0])[l2] |= bit
    return out


def layers(tables, guids):
    has = metadata(tables)
    rows, fields = tables.layers(), tables.fields()
    if [int(r["layerId"]) for r in rows] != list(range(LAYERS)):
        raise SystemExit(f"layers.tsv: expected the layers 0..{LAYERS - 1}")
    by_name = {r["name"]: r["guid"] for r in tables.rows("guids")}
    flags = dict(tables.constants()["FWPM_LAYER_FLAG"])
    out, counts = [], []
    for row in rows:
        layer = int(row["layerId"])
        # Enumerators without a field in any export are room that Windows reserves, not fields.
        here = [f for f in fields.get(layer, []) if f["fwpm_condition"]]
        if [int(f["field_index"]) for f in here] != list(range(len(here))) or len(here) > MAX_FIELDS:
            raise SystemExit(f"fields.tsv: layer {layer}: fields with gaps, or more than {MAX_FIELDS}")
        counts.append(len(here))
        if not here:
            continue
        out.append(f"static const struct engine_field fields_{layer}[] = {{")
        for f in here:
            guid = f["condition_guid"] or by_name[f["fwpm_condition"]]
            if guid != by_name.get(f["fwpm_condition"], guid):
                raise SystemExit(f"fields.tsv: layer {layer}: {f['fwpm_condition']} has two GUIDs")
            out.append("    {{ {}, {}, {}, {}, {} }},".format(
                guids.reference("condition", guid), c_string(f["fwpm_condition"]), f["field_index"], f["field_type"],
                f["data_type"]))
        out += ["};", ""]
    out.append("const struct engine_layer facts_layers[ENGINE_LAYER_COUNT] = {")
    for row, count in zip(rows, counts):
        layer = int(row["layerId"])
        bits = 0
        for word in row["flags"].split("|"):
            bits |= flags["FWPM_LAYER_FLAG_" + word]
        fwpm = row["fwpm_name"] if row["fwpm_name"].startswith("FWPM_") else row["fwps_name"]
        family = {"v4": "'4'", "v6": "'6'"}.get(row["address_family"], "0")
        direction = {"in": "'i'", "out": "'o'", "forward": "'f'"}.get(row["direction"], "0")
        out += [f"    {{ .id = {layer}, .key = {guids.reference('layer', row['layer_guid'])},",
                f"      .name = {c_string(fwpm)}, .fwps_name = {c_string(row['fwps_name'])},",
                f"      .display_name = {c_string(row['display_name'].strip())}, .flags = 0x{bits:x},",
                f"      .user_mode = {'true' if row['mode'] == 'user' else 'false'}, "
                f".discard = {'true' if row['is_discard'] == '1' else 'false'}, .family = {family}, "
                f".direction = {direction},",
                f"      .default_sublayer = {guids.reference('sublayer', by_name[row['default_sublayer']])},",
                "      .metadata = 0x%08xu, .l2_metadata = 0x%08xu," % tuple(has.get(row["fwps_name"], (0, 0))),
                f"      .field_count = {count}, .fields = {f'fields_{layer}' if count else 'NULL'} }},"]
    out += ["};", ""]
    keys = sorted(range(LAYERS), key=lambda i: guid_bytes(rows[i]["layer_guid"]))
    out += ["const unsigned char facts_layers_by_key[ENGINE_LAYER_COUNT] = { %s };" % ", ".join(map(str, keys)), ""]
    names = sorted(range(LAYERS), key=lambda i: fold(rows[i]["fwps_name"][len("FWPS_LAYER_"):]))
    out += ["const unsigned char facts_layers_by_name[ENGINE_LAYER_COUNT] = { %s };" % ", ".join(map(str, names)), ""]
    for row in rows:
        if row["fwpm_name"].startswith("FWPM_") and row["fwpm_name"][5:] != row["fwps_name"][5:]:
            raise SystemExit(f"layers.tsv: {row['fwpm_name']} is not {row['fwps_name']}: the search by name needs both")
    return out


def constants(tables):
    groups = dict(tables.constants())
    groups["FWPS_BUILTIN_LAYERS"] = [(r["fwps_name"], int(r["layerId"])) for r in tables.layers()]
    for row in tables.rows("status"):
        groups.setdefault(row["group"], []).append((row["name"], int(row["value"], 0)))
    known = {n for n, _ in groups["NTSTATUS"]} | {n for n, _ in groups["STATUS_FWP"]}
    groups["NTSTATUS"] += [(r["name"], int(r["value"], 0)) for r in tables.rows("ntstatus") if r["name"] not in known]
    groups["WIN32"] = [(r["name"], int(r["value"], 0)) for r in tables.rows("win32_errors")]

    order = sorted(groups)
    names, values, seen = [], [], {}
    for g, group in enumerate(order):
        primary = {}
        for name, value in groups[group]:
            if seen.setdefault(fold(name), value) != value:
                raise SystemExit(f"{name} has two values")
            values.append((fold(name), name, value, g))
            if group in ENUMS and name.endswith("_MAX"):
                continue  # a sentinel names no value
            if value not in primary or name in PREFERRED:
                primary[value] = name
        names += [(g, value, name) for value, name in sorted(primary.items())]
    values = sorted({v[0]: v for v in values}.values())

    out = ["const char *const facts_groups[] = { %s };" % ", ".join(c_string(g) for g in order),
           f"const unsigned facts_group_count = {len(order)};", "",
           "const struct facts_constant facts_names[] = {"]
    out += [f"    {{ 0x{value:x}ull, {c_string(name)}, {g} }}," for g, value, name in names]
    out += ["};", f"const unsigned facts_name_count = {len(names)};", ""]
    out += ["const struct facts_constant facts_values[] = {"]
    out += [f"    {{ 0x{value:x}ull, {c_string(name)}, {g} }}," for _, name, value, g in values]
    return out + ["};", f"const unsigned facts_value_count = {len(values)};", ""]


def statuses(tables):
    best = {}
    small = []
    for row in tables.rows("status") + tables.rows("ntstatus"):
        code, name = int(row["value"], 0), row["name"]
        if code < 0x10000 and name not in SMALL_NTSTATUS:
            small.append((code, name))
        elif code not in best or name in PREFERRED:
            best[code] = name
    for row in tables.rows("win32_errors"):
        best.setdefault(int(row["value"], 0), row["name"])
    for code, name in small:
        best.setdefault(code, name)
    out = ["const struct facts_status facts_statuses[] = {"]
    out += [f"    {{ 0x{code:08x}, {c_string(name)} }}," for code, name in sorted(best.items())]
    return out + ["};", f"const unsigned facts_status_count = {len(best)};", ""]


def builtins(tables, guids):
    by_name = {r["name"]: r["guid"] for r in tables.rows("guids")}
    out, count = ["const struct engine_builtin_sublayer facts_sublayers[] = {"], 0
    rows = [r for r in tables.rows("sublayers") if r["builtin"] == "1" and int(r["num_dumps"] or 0) > 0]
    for row in sorted(rows, key=lambda r: int(r["weights_seen"])):
        provider = guids.reference("provider", by_name[row["provider"]]) if row["provider"] else "NULL"
        out.append(f"    {{ {guids.reference('sublayer', row['guid'])}, {c_string(row['sublayer_key'])}, "
                   f"{c_string(row['display_name'])}, {row['weights_seen']}, {provider} }},")
        count += 1
    out += ["};", f"const unsigned facts_sublayer_count = {count};", "",
            "const struct engine_builtin_provider facts_providers[] = {"]
    count = 0
    for row in tables.rows("providers"):
        # A name that no export has is a header's, not an object of the machine.
        if row["builtin"] != "1" or int(row["num_dumps"] or 0) == 0:
            continue
        service = c_string(row["service_name"]) if row["service_name"] else "NULL"
        out.append(f"    {{ {guids.reference('provider', row['guid'])}, {c_string(row['provider_key'])}, "
                   f"{c_string(row['display_name'])}, {service} }},")
        count += 1
    return out + ["};", f"const unsigned facts_provider_count = {count};", ""]


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    tables = Tables(sys.argv[1])
    guids = Guids(tables)
    out = ["/* SPDX-License-Identifier: Apache-2.0 */",
           "/* Generated by tools/gen_facts.py from the tables in data/; do not edit. */",
           '#include "engine/facts_tables.h"', "", f"_Static_assert(ENGINE_LAYER_COUNT == {LAYERS}, \"gen_facts.py\");",
           f"_Static_assert(ENGINE_MAX_FIELDS == {MAX_FIELDS}, \"gen_facts.py\");",
           f"_Static_assert(ENGINE_GUID_KINDS == {len(KINDS)}, \"gen_facts.py\");", ""]
    out += guids.emit() + layers(tables, guids) + constants(tables) + statuses(tables) + builtins(tables, guids)
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        f.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
