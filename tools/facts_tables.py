# SPDX-License-Identifier: Apache-2.0
"""Reading data/*.tsv: one place that knows the columns. Used by the generators beside it."""

import os
import re


def unsigned(text):
    """A table's number as the 64-bit pattern that C sees."""
    return int(text, 0) & 0xFFFFFFFFFFFFFFFF


class Tables:
    def __init__(self, folder):
        self.folder = folder

    def rows(self, name):
        """The rows of data/<name>.tsv as dictionaries by column."""
        path = os.path.join(self.folder, name + ".tsv")
        with open(path, encoding="utf-8") as f:
            lines = f.read().split("\n")
        columns = lines[0].split("\t")
        out = []
        for number, line in enumerate(lines[1:], 2):
            if not line:
                continue
            cells = line.split("\t")
            if len(cells) > len(columns):
                raise SystemExit(f"{path}:{number}: expected at most {len(columns)} columns, found {len(cells)}")
            cells += [""] * (len(columns) - len(cells))
            out.append(dict(zip(columns, cells)))
        return out

    def constants(self):
        """Groups of (name, value) in the order of the tables: constants.tsv, winnt.tsv, ddk.tsv, metadata_fields.tsv."""
        groups = {}
        for row in self.rows("constants") + self.rows("winnt") + self.rows("ddk"):
            groups.setdefault(row["group"], []).append((row["name"], unsigned(row["value"])))
        groups["FWPS_METADATA_FIELD"] = [(r["name"], unsigned(r["value"])) for r in self.rows("metadata_fields")]
        return groups

    def layers(self):
        return sorted(self.rows("layers"), key=lambda r: int(r["layerId"]))

    def fields(self):
        """Layer id -> rows of fields.tsv in index order."""
        out = {}
        for row in self.rows("fields"):
            out.setdefault(int(row["layerId"]), []).append(row)
        for layer, rows in out.items():
            rows.sort(key=lambda r: int(r["field_index"]))
            if [int(r["field_index"]) for r in rows] != list(range(len(rows))):
                raise SystemExit(f"fields.tsv: layer {layer}: indexes are not 0..{len(rows) - 1}")
        return out


def guid_parts(text):
    m = re.fullmatch(r"\{([0-9a-fA-F]{8})-([0-9a-fA-F]{4})-([0-9a-fA-F]{4})-([0-9a-fA-F]{4})-([0-9a-fA-F]{12})\}", text)
    if not m:
        raise SystemExit(f"not a GUID: {text}")
    tail = bytes.fromhex(m.group(4) + m.group(5))
    return int(m.group(1), 16), int(m.group(2), 16), int(m.group(3), 16), tail


def guid_bytes(text):
    """The GUID as it lies in memory, the order in which lookups compare."""
    a, b, c, tail = guid_parts(text)
    return a.to_bytes(4, "little") + b.to_bytes(2, "little") + c.to_bytes(2, "little") + tail


def guid_initializer(text):
    a, b, c, tail = guid_parts(text)
    return "{ 0x%08x, 0x%04x, 0x%04x, { %s } }" % (a, b, c, ", ".join("0x%02x" % x for x in tail))


def c_string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
