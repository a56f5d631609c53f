#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each header of include/wdk/ compiles by itself, as Weir compiles it and as drivers are compiled, without a warning.

usage: facts_headers.py <source root> <folder of the generated headers>

Every header stands alone in a source, under gcc and clang (those of them that are installed), with and without the
options under which drivers are built; the layout assertions are compiled the same ways, because those options change
layouts.
"""

import os
import shutil
import subprocess
import sys
import tempfile

WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wvla", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror"]
WAYS = {
    "as Weir": [],
    "as a driver": ["-fshort-wchar", "-fms-extensions", "-mms-bitfields"],
    "for Windows 7": ["-fshort-wchar", "-fms-extensions", "-mms-bitfields", "-DNTDDI_VERSION=NTDDI_WIN7"],
    "for Vista": ["-DNTDDI_VERSION=NTDDI_VISTA"],
    "with INITGUID": ["-DINITGUID"],
}


# Set the packing of structures until poppack.h, which makes no sense alone.
PACKING = {"pshpack1.h", "pshpack2.h", "pshpack4.h", "pshpack8.h", "pshpck16.h"}
# Included by others with macros set.
PARTS = {"intsafe_parts.h", "poppack.h"}
QUIET = ["-Wno-pragma-pack"]  # clang's word on headers that are there to change the packing


def main():
    root, generated = sys.argv[1:3]
    wdk = os.path.join(root, "include", "wdk")
    headers = sorted(h for h in os.listdir(wdk) if h.endswith(".h") and h not in PARTS)
    compilers = [c for c in ("gcc", "clang") if shutil.which(c)]
    if not compilers or "fwpsk.h" not in headers:
        print("1..0 # SKIP neither gcc nor clang is installed")
        sys.exit(77)

    number = failures = 0
    with tempfile.TemporaryDirectory() as folder:
        sources = {}
        for header in headers:
            sources[header] = os.path.join(folder, header[:-2] + ".c")
            with open(sources[header], "w", encoding="utf-8") as f:
                # Twice: the second inclusion must be harmless. A translation unit may not be empty.
                after = "#include <poppack.h>\n" if header in PACKING else ""
                f.write((f"#include <{header}>\n" + after) * 2 + "extern int not_empty;\n")
        sources["layout_asserts.c"] = os.path.join(generated, "layout_asserts.c")
        for compiler in compilers:
            for way, options in WAYS.items():
                for name, source in sources.items():
                    number += 1
                    quiet = QUIET if name in PACKING and compiler == "clang" else []
                    command = [compiler, "-std=gnu17", "-fsyntax-only", "-I", wdk, "-I", generated]
                    done = subprocess.run(command + WARNINGS + quiet + options + [source], capture_output=True, text=True)
                    print(f"{'ok' if done.returncode == 0 else 'not ok'} {number} - {name} under {compiler} {way}")
                    if done.returncode != 0:
                        failures += 1
                        print("".join(f"# {line}\n" for line in done.stderr.splitlines()[:8]), end="")
    print(f"1..{number}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
