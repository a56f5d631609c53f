#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Our constants, GUIDs and layouts against an independent source: mingw-w64's public headers, compiled for Windows.

usage: facts_mingw.py <source root> <folder of the generated headers>

clang compiles mingw-w64's headers for Windows together with one static assertion for each of our numbers whose name
they know. A failed assertion is a disagreement; only those in KNOWN are expected, with the value stated there.
Exit code 77, a skip, where clang or the headers (Debian: mingw-w64-common) are missing.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

INCLUDE = "/usr/share/mingw-w64/include"
HEADERS = ("fwptypes.h", "fwpmtypes.h", "fwpmu.h", "iketypes.h", "ipsectypes.h")
STATUS_HEADERS = ("winerror.h", "ntstatus.h")
OTHERS = ("winnt.h", "ntdef.h", "ifdef.h", "nldef.h", "ipifcons.h", "rpcdce.h", "minwindef.h", "winsock2.h", "ws2def.h",
          "ws2ipdef.h", "netioapi.h", "winternl.h")

# What (some releases of) the headers say otherwise, with their value: sentinels that have grown since.
KNOWN = {
    "FWP_MATCH_TYPE_MAX": 11,
    "MaximumWaitReason": 27,
    "FWPM_ENGINE_OPTION_MAX": 3,
    "FWPM_NET_EVENT_TYPE_MAX": 6,
    "FWPM_PROVIDER_CONTEXT_TYPE_MAX": 12,
    "IKEEXT_CIPHER_TYPE_MAX": 5,
    "IPSEC_PFS_MAX": 7,
}

PROLOGUE = """
#define NTDDI_VERSION 0x0A00000B
#define _WIN32_WINNT 0x0A00
#define WIN32_NO_STATUS
#include <winsock2.h>
#include <ws2ipdef.h>
#include <windows.h>
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <rpc.h>
#include <iphlpapi.h>
#include <winternl.h>
#include <fwptypes.h>
#include <fwpmtypes.h>
#include <iketypes.h>
#include <ipsectypes.h>
#include <fwpmu.h>
#include <stddef.h>
"""


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(77)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def rows(root, name):
    lines = read(os.path.join(root, "data", name + ".tsv")).rstrip("\n").split("\n")
    columns = lines[0].split("\t")
    return [dict(zip(columns, line.split("\t"))) for line in lines[1:]]


DEFINE = r"^#define (\w+) (?:\(\(\w+\))?(0x[0-9a-f]+|\d+)(?:ull)?\)?$"
ENUMERATOR = r"^    (\w+) = (-?\d+),$"


def our_constants(root, generated):
    """Name -> value as the generated headers have it; without the names that were read out of mingw's headers."""
    theirs = {r["name"] for table in ("winnt", "ddk", "ntstatus", "win32_errors") for r in rows(root, table)}
    out = {}
    for header in ("wdk_fwp_constants.h", "wdk_nt_constants.h", "wdk_ws2_constants.h", "wdk_fwps_fields.h",
                   "wdk_ntstatus.h", "wdk_winerror.h"):
        text = read(os.path.join(generated, header))
        for m in re.finditer(DEFINE + "|" + ENUMERATOR, text, re.M):
            name = m.group(1) or m.group(3)
            if name not in theirs:
                out[name] = int(m.group(2) or m.group(4), 0)
    return out


def identifiers(files):
    words = set()
    for name in files:
        path = os.path.join(INCLUDE, name)
        if os.path.exists(path):
            words |= set(re.findall(r"[A-Za-z_]\w+", read(path)))
    return words


def guid(match):
    numbers = [int(x.strip().rstrip("lLuU"), 16) for x in match.group(2).split(",")]
    return "{%08x-%04x-%04x-%02x%02x-%s}" % (*numbers[:5], "".join("%02x" % n for n in numbers[5:]))


def compile_asserts(clang, checks):
    """Runs the checks (key -> C expression); returns (agreed, disagreed, unknown) keys."""
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "check.c")
        keys, start = list(checks), PROLOGUE.count("\n") + 1
        with open(source, "w", encoding="utf-8") as f:
            f.write(PROLOGUE)
            for key in keys:
                f.write(f'_Static_assert({checks[key]}, "{key}");\n')
        command = [clang, "--target=x86_64-w64-windows-gnu", "-isystem", INCLUDE, "-fsyntax-only", "-w",
                   "-ferror-limit=0", "-fno-spell-checking", "-fno-caret-diagnostics", source]
        done = subprocess.run(command, capture_output=True, text=True)
    failed, unknown = set(), set()
    for line in done.stderr.splitlines():
        m = re.match(r"[^:]*check\.c:(\d+):\d+: error: (.*)", line)
        if m is None:
            if "error:" in line:
                raise SystemExit(f"mingw-w64's headers do not compile: {line}")
            continue
        key = keys[int(m.group(1)) - start]
        (failed if re.match("static.assert(ion)? failed", m.group(2)) else unknown).add(key)
    return [k for k in keys if k not in failed and k not in unknown], failed, unknown


def main():
    root, generated = sys.argv[1:3]
    clang = shutil.which("clang") or shutil.which("clang-14")
    if clang is None:
        skip("clang is not installed")
    if not os.path.exists(os.path.join(INCLUDE, "fwpmtypes.h")):
        skip("mingw-w64-common is not installed")

    failures = []

    # Constants and statuses.
    words = identifiers(HEADERS + STATUS_HEADERS + OTHERS)
    constants = our_constants(root, generated)
    checks = {}
    for name, value in constants.items():
        if name in words:
            kind, suffix = ("unsigned", "u") if value <= 0xFFFFFFFF else ("unsigned long long", "ull")
            checks[name] = f"({kind})({name}) == {value & 0xFFFFFFFFFFFFFFFF}{suffix}"
            if name in KNOWN:
                checks[name] += f" || ({name}) == {KNOWN[name]}"
    agreed, disagreed, unknown = compile_asserts(clang, checks)
    fwp = [n for n in agreed if n.startswith(("FWP", "STATUS_FWP", "IKEEXT", "IPSEC"))]
    print(f"# constants: {len(agreed)} agree, {len(fwp)} of them the platform's own; "
          f"{len(unknown)} are in headers of theirs that are not asked")
    failures += [f"constant {n}: ours is {constants[n]:#x}" for n in sorted(disagreed)]
    failures += [f"known difference {n} was not compared" for n in KNOWN if n not in agreed and n not in disagreed]
    if len(fwp) < 250:
        failures.append(f"only {len(fwp)} of the platform's constants were compared: the comparison is broken")

    # Layouts: sizes and every member that mingw has under the same path.
    checks, path = {}, []
    known_structs = identifiers(HEADERS + ("winnt.h",))
    families = ("FWP", "SID", "ACL", "SECURITY_", "GUID", "LUID")
    for row in rows(root, "structs"):
        if row["struct"] not in known_structs or not row["struct"].startswith(families):
            continue
        depth = int(row["depth"])
        if depth < 0 or row["member"] == "(whole)":
            checks[row["struct"]] = f"sizeof({row['struct']}) == {row['size']}"
            continue
        del path[depth:]
        path.append(row["member"])
        if row["member"] and row["offset"].isdigit():
            member = ".".join(p for p in path if p)
            checks[f"{row['struct']}.{member}"] = f"offsetof({row['struct']}, {member}) == {row['offset']}"
    agreed, disagreed, unknown = compile_asserts(clang, checks)
    sizes = [k for k in agreed if "." not in k]
    print(f"# layouts: {len(sizes)} sizes and {len(agreed) - len(sizes)} offsets agree; "
          f"{len(unknown)} are newer than those headers")
    failures += [f"layout of {n}" for n in sorted(disagreed)]
    if len(sizes) < 50:
        failures.append(f"only {len(sizes)} sizes were compared: the comparison is broken")

    # GUIDs: those that fwpmu.h defines.
    ours = {r["name"]: r["guid"] for r in rows(root, "guids")}
    compared = 0
    for name in HEADERS:
        for m in re.finditer(r"DEFINE_GUID\s*\(\s*(FWPM_\w+)\s*,([^)]*)\)", read(os.path.join(INCLUDE, name))):
            if m.group(1) in ours:
                compared += 1
                if guid(m) != ours[m.group(1)]:
                    failures.append(f"GUID {m.group(1)}: ours is {ours[m.group(1)]}, mingw has {guid(m)}")
    print(f"# GUIDs: {compared} compared")

    print("1..1")
    for line in failures:
        print(f"# {line}")
    print(f"{'not ok' if failures else 'ok'} 1 - our numbers are mingw-w64's, but for {len(KNOWN)} known differences")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
