#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a program that loads drivers exports to them: names that the library defines and that a header which drivers
include declares.

  gen_exports.py LIBRARY OUTPUT-DIRECTORY HEADERS...

exports.list  for ld --dynamic-list; exports.map: for ld --version-script, with the names of weir.h too;
imports.s     the same names with nothing in them, to link against once. The host's functions that drivers may use
(strings of bytes, as string.h declares them) are in imports.s alone: the C library has them.
"""
import os
import re
import subprocess
import sys

# declared by include/wdk/crt without a label of Weir's; and what compilers call on their own
HOST = ["memcpy", "memmove", "memset", "memcmp", "memchr", "strlen", "strcpy", "strncpy", "strcat", "strncat", "strcmp",
        "strncmp", "strchr", "strrchr", "strstr", "strpbrk", "strspn", "strcspn", "strnlen", "abs", "llabs", "isalpha",
        "isdigit", "isxdigit", "isspace", "isupper", "islower", "isalnum", "isprint", "ispunct", "iscntrl", "isgraph",
        "tolower", "toupper", "bcmp", "stpcpy", "__cxa_finalize", "_ITM_registerTMCloneTable",
        "_ITM_deregisterTMCloneTable", "__gmon_start__"]


def words(folder, threads):
    """Names in the headers; those of thread-local variables go to `threads` too."""
    found = set()
    for root, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".h"):
                with open(os.path.join(root, name), encoding="utf-8") as f:
                    text = f.read()
                found.update(re.findall(r"\b[A-Za-z_]\w*\b", text))
                threads.update(re.findall(r"\bextern __thread [a-z ]*\b(\w+) __attribute__", text))
                found.update("weir_crt_" + n for n in re.findall(r"\bWEIR_CRT\((\w+)\)", text))
    return found


def main():
    library, out, headers = sys.argv[1], sys.argv[2], sys.argv[3:]
    run = subprocess.run(["nm", "-g", "--defined-only", library], capture_output=True, text=True, check=True)
    defined = {}
    for kind, name in re.findall(r"^[0-9a-f]+ ([A-Z]) (\S+)$", run.stdout, re.M):
        defined[name] = kind
    threads = set()
    wdk, embed = words(os.path.join(headers[0], "wdk"), threads), words(headers[0], threads)
    for folder in headers[1:]:
        wdk |= words(folder, threads)
    kernel = sorted(n for n in defined if n in wdk and not n.startswith("weir_user_"))
    everything = sorted(n for n in defined if n in wdk | embed or n.startswith("weir_user_"))
    with open(os.path.join(out, "exports.list"), "w", encoding="utf-8") as f:
        f.write("{\n" + "".join("  %s;\n" % n for n in everything) + "};\n")
    with open(os.path.join(out, "exports.map"), "w", encoding="utf-8") as f:
        f.write("{\nglobal:\n" + "".join("  %s;\n" % n for n in everything) + "local:\n  *;\n};\n")
    with open(os.path.join(out, "imports.s"), "w", encoding="utf-8") as f:
        f.write('.section .note.GNU-stack,"",@progbits\n.text\n')
        for name in kernel + HOST:
            kind = "object" if defined.get(name) in ("D", "B", "R", "V") else "function"
            if name in threads:
                f.write('.section .tdata,"awT",@progbits\n')
                kind = "tls_object"
            f.write(".globl %s\n.type %s, @%s\n%s:\n.byte 0\n" % (name, name, kind, name))
            if name in threads:
                f.write(".text\n")


main()
