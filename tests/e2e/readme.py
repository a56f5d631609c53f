#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every `weir` command that README.md prints, run as printed: it must answer (exit status 0, 1 or 2) and say nothing
on standard error. After a command that stands behind `$ ` comes what it answers: each line of that must be in the answer, in
this order and with nothing between them but where README has `...`. usage: readme.py SOURCE-DIR WEIR"""
import re
import subprocess
import sys
import tempfile

root, weir = sys.argv[1:3]
text = open(root + "/README.md", encoding="utf-8").read()
blocks = re.findall(r"(?:^    .*\n)(?:(?:^    .*\n|\n)*^    .*\n)?", text, re.M)
ran = shown = 0


def compare(block, answer, expected):
    at, free = 0, False
    for line in expected:
        if line.strip() == "...":
            free = True
            continue
        if free:
            while at < len(answer) and answer[at] != line:
                at += 1
        if at == len(answer) or answer[at] != line:
            sys.exit("README.md has under\n%sthe line\n%s\nwhere the answer is\n%s" % (
                block[0], line, "\n".join(answer[max(0, at - 2):at + 3])))
        at, free = at + 1, False
    if at < len(answer) and not free:
        sys.exit("README.md ends before the answer does, which goes on:\n%s" % "\n".join(answer[at:at + 3]))


with tempfile.TemporaryDirectory() as work:
    for block in blocks:
        script, expected = re.sub(r"^    ", "", block, flags=re.M), None
        if "build/src/weir" not in script:
            continue
        if script.startswith("$ "):
            lines = script[2:].split("\n")
            last = next(i for i, line in enumerate(lines) if not line.endswith("\\"))
            script, expected = "\n".join(lines[:last + 1]) + "\n", lines[last + 1:]
            while expected and not expected[-1]:
                expected.pop()
        command = re.sub(r"(?<=\s)build/(?!src/weir)", work + "/", script).replace("build/src/weir", weir)
        run = subprocess.run(["sh", "-c", command], cwd=root, capture_output=True, text=True)
        if run.returncode > 2 or run.stderr or not run.stdout:
            sys.exit("README.md prints\n%sexit status %d\n%s%s" % (block, run.returncode, run.stdout[-500:], run.stderr))
        if expected is not None:
            answer = run.stdout.replace(work + "/", "build/").rstrip("\n").split("\n")
            compare((script, block), answer, expected)
            shown += 1
        ran += 1
if ran < 5 or shown < 2:
    sys.exit("README.md has only %d blocks of commands, %d with answers; expected at least 5 and 2" % (ran, shown))
print("%d blocks of README.md answer, %d as it shows" % (ran, shown))
