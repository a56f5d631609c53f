#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every `weir` command that README.md prints, run as printed: it must answer (exit status 0, 1 or 2) and say nothing
on standard error. usage: readme.py SOURCE-DIR WEIR"""
import re
import subprocess
import sys

root, weir = sys.argv[1:3]
text = open(root + "/README.md", encoding="utf-8").read()
blocks = re.findall(r"(?:^    .*\n)+", text, re.M)
ran = 0
for block in blocks:
    script = re.sub(r"^    ", "", block, flags=re.M)
    if "build/src/weir" not in script:
        continue
    script = script.replace("build/src/weir", weir)
    run = subprocess.run(["sh", "-c", script], cwd=root, capture_output=True, text=True)
    if run.returncode > 2 or run.stderr or not run.stdout:
        sys.exit("README.md prints\n%sexit status %d\n%s%s" % (block, run.returncode, run.stdout[-500:], run.stderr))
    ran += 1
if ran < 5:
    sys.exit("README.md has only %d blocks of commands; expected at least 5" % ran)
print("%d blocks of README.md answer" % ran)
