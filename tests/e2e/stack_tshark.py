#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What two stacks sent each other over a bad wire (stack_capture.c), as tshark reads it: no packet is malformed, no checksum
wrong, nothing an error to it; each conversation carried what was sent, each datagram is put together."""
import os
import shutil
import subprocess
import sys
import tempfile

if shutil.which("tshark") is None:
    print("# skipped: no tshark (scripts/install-deps test)")
    sys.exit(77)
failed = number = 0


def say(good, name, why=""):
    global failed, number
    number += 1
    failed += not good
    print("%sok %d - %s" % ("" if good else "not ", number, name))
    for line in ("" if good else why).splitlines()[:20]:
        print("# " + line)


def tshark(capture, *words):
    checks = []
    for protocol in ("ip", "tcp", "udp"):
        checks += ["-o", protocol + ".check_checksum:TRUE"]
    return subprocess.run(["tshark", "-n", "-r", capture, *checks, *words], capture_output=True, text=True, check=True,
                          timeout=100).stdout


with tempfile.TemporaryDirectory() as folder:
    capture, streams = os.path.join(folder, "capture"), os.path.join(folder, "streams")
    subprocess.run([sys.argv[1], capture, streams], check=True, timeout=100)
    with open(streams, encoding="ascii") as lines:
        sent = lines.read().split("\n")[:-1]
    wrong = tshark(capture, "-Y", "_ws.malformed || _ws.expert.severity == error || " + " || ".join(
        p + ".checksum.status == bad" for p in ("ip", "tcp", "udp", "icmp", "icmpv6")))
    say(wrong == "", "nothing is malformed, no checksum wrong", wrong)
    judged = tshark(capture, "-Y", "tcp.checksum.status == good || udp.checksum.status == good", "-T", "fields", "-e", "frame.number")
    say(len(judged.split()) > 1000, "checksums were looked at", str(len(judged.split())))
    wanted = tshark(capture, "-Y", "tcp.analysis.retransmission", "-T", "fields", "-e", "frame.number")
    say(wanted != "", "there are retransmissions")
    follow = []
    for i in range(len(sent) // 2):
        follow += ["-z", "follow,tcp,raw,%d" % i]
    ways, at = [[] for _ in sent], 0
    for line in tshark(capture, "-q", *follow).split("\n"):
        if line.startswith("Filter: tcp.stream"):
            at = 2 * int(line.split()[-1])
        elif line.strip() and all(c in "0123456789abcdef" for c in line.strip()):
            ways[at + line.startswith("\t")].append(line.strip())
    ways = ["".join(way) for way in ways]
    say(ways == sent, "%d conversations carried what was sent" % (len(sent) // 2),
        "\n".join("stream %d way %d: %d of %d bytes" % (i // 2, i % 2, len(way) // 2, len(sent[i]) // 2)
                  for i, way in enumerate(ways) if way != sent[i]))
    sizes = tshark(capture, "-Y", "udp.dstport == 46000 && !icmp && !icmpv6", "-T", "fields", "-e", "udp.length").split()
    expected, size = [], 1
    while size <= 9000:
        expected.append(str(size + 8))
        size = size * 3 + 1
    say(sizes == expected * 2, "datagrams are put together", " ".join(sizes))
print("1..%d" % number)
sys.exit(1 if failed else 0)
