#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reference drivers that read, edit and redirect TCP (drivers/watch, drivers/edit, drivers/redirect), on the demo's capture: each stream of the
output, as tshark follows it, is that of the input with the text replaced, to the byte and in both directions, with right
checksums and without a complaint of tshark's that the input did not earn. Runs are made twice and must be the same.
usage: driver_streams.py SOURCE-DIR WEIR FOLDER-OF-IMAGES"""
import os
import struct
import subprocess
import sys
import tempfile

root, weir, images = sys.argv[1:4]
HOST = ("192.0.2.20", "2001:db8::20")
LOCAL = ["--local", HOST[0], "--local", HOST[1]]
demo = os.path.join(root, "data/demo/demo.pcap")
work = tempfile.mkdtemp(prefix="weir-streams-")
problems = []
passed = 0


def check(name, good, text=""):
    global passed
    if good:
        passed += 1
    else:
        problems.append("%s: %s" % (name, text))


def path(name):
    return os.path.join(work, "".join(c if c.isalnum() or c in "-." else "-" for c in name))


def compilers():
    return [c for c in ("gcc", "clang") if os.path.exists(os.path.join(images, "edit-%s.so" % c))]


def replay(name, driver, compiler, values, more=(), statuses=(0,)):
    """(the output, standard output). Twice, the same."""
    runs = []
    for turn in range(2):
        out = path("%s-%d.pcapng" % (name, turn))
        run = subprocess.run([weir, "replay", demo, "-w", out, "--driver", os.path.join(images, "%s-%s.so" % (driver, compiler))] +
                             [a for n, v in values.items() for a in ("--param", "%s=%s" % (n, v))] + LOCAL + list(more),
                             capture_output=True, text=True)
        check(name + ": exit status", run.returncode in statuses, "%d\n%s%s" % (run.returncode, run.stdout[-600:], run.stderr[-1500:]))
        runs.append((open(out, "rb").read() if os.path.exists(out) else b"", run.stdout.replace(out, "OUT"), run.stderr))
    check(name + ": the same twice", runs[0] == runs[1], "two runs differ")
    return path("%s-0.pcapng" % name), runs[0][1] + runs[0][2]


def tshark(file, *more):
    run = subprocess.run(["tshark", "-r", file, "-n", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"] + list(more),
                         capture_output=True, text=True)
    return run.stdout.split("\n")


def streams(file):
    """{(address, port, address, port): (bytes of the first end, bytes of the second)}, as tshark follows them."""
    numbers = sorted({int(n) for n in tshark(file, "-Y", "tcp", "-T", "fields", "-e", "tcp.stream") if n.isdigit()})
    lines = tshark(file, "-q", *[a for n in numbers for a in ("-z", "follow,tcp,raw,%d" % n)])
    found, ends, ways = {}, [], []
    for line in lines:
        if line.startswith("Node "):
            ends = [] if line.startswith("Node 0") else ends
            ends += line.split(": ", 1)[1].replace("[", "").replace("]", "").rsplit(":", 1)
            ways = [b"", b""]
        elif line.startswith("====") and len(ends) == 4:
            found[tuple(ends)] = tuple(ways)
            ends = []
        elif len(ends) == 4 and line.strip():
            try:
                ways[line.startswith("\t")] += bytes.fromhex(line.strip())
            except ValueError:
                pass
    return found


def complaints(file):
    """What tshark's analysis of TCP says, by connection; and how many sums are wrong in segments with data."""
    said, wrong = set(), 0
    for line in tshark(file, "-Y", "tcp", "-T", "fields", "-e", "tcp.stream", "-e", "tcp.analysis.flags", "-e",
                       "_ws.expert.message", "-e", "tcp.checksum.status", "-e", "tcp.len", "-e", "tcp.analysis.ack_lost_segment"):
        values = (line + "\t" * 6).split("\t")
        if values[1]:
            said.add((values[0], values[2].split(",Bad")[0]))
        wrong += values[3] == "0"
    return said, wrong


def edited(compiler, mode, find, put, direction, before, complained):
    name = "edit %s %s to %s %s, %s" % (mode, find, put, direction, compiler)
    out, said = replay(name, "edit", compiler, {"Find": find, "Replace": put, "Mode": mode, "Direction": direction})
    after = streams(out)
    check(name + ": connections", set(after) == set(before), "%s" % (set(after) ^ set(before)))
    changes = 0
    for key, ways in before.items():
        for way in range(2):
            sent = key[2 * way] in HOST
            wanted = ways[way]
            if direction == "both" or (direction == "out") == sent:
                wanted = wanted.replace(find.encode(), put.encode())
            changes += wanted != ways[way]
            got = after.get(key, (b"", b""))[way]
            check("%s: %s, way %d" % (name, key, way), got == wanted, "%d bytes, expected %d" % (len(got), len(wanted)))
    check(name + ": there is something to edit", changes != 0, "nothing")
    more, wrong = complaints(out)
    check(name + ": tshark finds nothing", {m for _, m in more} <= {m for _, m in complained}, "%s" % (more - complained))
    # Those that were left alone have the capture's own sums, which an adapter was to add.
    check(name + ": sums", wrong <= sums_wrong, "%d wrong" % wrong)
    check(name + ": accounts", "rewritten" in said, said[-400:])


def watched(compiler, before):
    name = "watch, " + compiler
    out, said = replay(name, "watch", compiler, {"Pattern": "northwind"},
                       ["--control", "open \\\\.\\Watch", "--control", "wait end", "--control", "control 126004 - 4096"])
    answer = [line for line in said.split("\n") if line.startswith("control 126004")]
    data = bytes.fromhex(answer[0].split()[-1]) if answer else b""
    check(name + ": answers", len(data) > 64, said[:300])
    if len(data) <= 64:
        return
    connections, still_open, received, sent, found, dropped, lost = struct.unpack_from("<7Q", data)
    there = sum(way.count(b"northwind") for ways in before.values() for way in ways)
    size = sum(len(way) for ways in before.values() for way in ways)
    check(name + ": found", found == there and there >= 3, "%d, tshark has %d" % (found, there))
    check(name + ": bytes", received + sent == size, "%d, tshark has %d" % (received + sent, size))
    check(name + ": nothing lost", (dropped, lost) == (0, 0), "%d, %d" % (dropped, lost))
    check(name + ": nothing changed", streams(out) == before, "the streams differ")
    name = "watch drops, " + compiler
    out, said = replay(name, "watch", compiler, {"Pattern": "northwind", "Action": "drop"}, statuses=(0, 1))
    after = streams(out)
    left = sum(way.count(b"northwind") for ways in after.values() for way in ways)
    check(name + ": none gets through", left == 0, "%d do" % left)
    for key, ways in before.items():
        if not any(b"northwind" in way for way in ways):
            check("%s: %s is left alone" % (name, key), after.get(key) == ways, "it differs")


def redirected(compiler, before, delay):
    """What goes to port 80 goes to another address and port, and what comes back comes from there."""
    name = "redirect %s, %s" % (delay, compiler)
    out, said = replay(name, "redirect", compiler, {"To4": "192.0.2.77:8080", "To6": "[2001:db8::77]:8080", "Ports": "string:80",
                                                    "DelayMs": delay})
    wanted = {}
    for key, ways in before.items():
        if key[0] in HOST and key[3] == "80":
            key = key[:2] + ("2001:db8::77" if ":" in key[0] else "192.0.2.77", "8080")
        wanted[key] = ways
    check(name + ": connections and their bytes", streams(out) == wanted, "%s" % (set(wanted) ^ set(streams(out))))
    check(name + ": there is something to redirect", sum(key[3] == "8080" for key in wanted) >= 3, "nothing")


before = streams(demo)
complained, sums_wrong = complaints(demo)
for compiler in compilers():
    watched(compiler, before)
    redirected(compiler, before, 0)
    redirected(compiler, before, 50)
    for mode in ("inline", "worker"):
        edited(compiler, mode, "Server: demo", "Server: Contoso/1.0", "both", before, complained)
        edited(compiler, mode, "northwind", "n", "out", before, complained)
        edited(compiler, mode, "Content-", "X-Rather-Long-Content-", "in", before, complained)
        edited(compiler, mode, "User-Agent: ", "", "both", before, complained)
if problems:
    sys.exit("%d problems, %d checks right\n%s" % (len(problems), passed, "\n".join(problems)))
print("%d checks" % passed)
