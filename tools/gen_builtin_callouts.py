#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Generates the table behind policy_builtin_callout() from data/builtin_callouts.tsv.

usage: gen_builtin_callouts.py <data folder> <output file>
"""

import sys

from facts_tables import Tables, c_string, guid_bytes, guid_initializer

ANSWERS = {"permit": "PERMIT", "block": "BLOCK", "continue": "CONTINUE", "depends": "DEPENDS"}


def main():
    tables = Tables(sys.argv[1])
    callouts = {r["name"]: r["guid"] for r in tables.rows("guids") if r["kind"] == "callout"}
    entries = []
    for number, row in enumerate(tables.rows("builtin_callouts"), 2):
        where = f"builtin_callouts.tsv:{number}"
        if row["answer"] not in ANSWERS:
            raise SystemExit(f"{where}: expected one of {', '.join(ANSWERS)}, found {row['answer']!r}")
        if not row["why"].endswith("."):
            raise SystemExit(f"{where}: expected a sentence in `why`, found {row['why']!r}")
        if row["name"].startswith("FWPM_") and callouts.get(row["name"], "").lower() != row["key"].lower():
            raise SystemExit(f"{where}: expected the key of {row['name']} as in guids.tsv, found {row['key']}")
        entries.append((guid_bytes(row["key"]), row))
    entries.sort(key=lambda e: e[0])
    for a, b in zip(entries, entries[1:]):
        if a[0] == b[0]:
            raise SystemExit(f"builtin_callouts.tsv: expected each key once, found {a[1]['key']} twice")
    missing = set(g.lower() for g in callouts.values()) - set(r["key"].lower() for _, r in entries)
    if missing:
        raise SystemExit(f"builtin_callouts.tsv: expected every callout of guids.tsv, found none for {sorted(missing)}")

    out = ["/* Generated from data/builtin_callouts.tsv by tools/gen_builtin_callouts.py. */",
           '#include "policy/builtin.h"', "", "static const GUID keys[] = {"]
    out += [f"    {guid_initializer(row['key'])}," for _, row in entries]
    out += ["};", "", "const struct policy_builtin_callout policy_builtin_table[] = {"]
    for i, (_, row) in enumerate(entries):
        out.append(f"    {{&keys[{i}], {c_string(row['name'])}, POLICY_BUILTIN_{ANSWERS[row['answer']]},")
        out.append(f"     {c_string(row['why'])}}},")
    out += ["};", f"const size_t policy_builtin_count = {len(entries)};", ""]
    with open(sys.argv[2], "w", encoding="utf-8") as f:
        f.write("\n".join(out))


main()
