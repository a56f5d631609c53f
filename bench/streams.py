#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A whole replay that inspects, and one that edits, the streams of big TCP transfers, beside read-only reassembly by tcpflow and
tshark.

usage: streams.py WEIR MAKE_CAPTURE PERMIT.so WATCH.so EDIT.so [--quick]

All run on the same capture, which is in the page cache, one after the other in each round; times are the processes' CPU time (user and
system), so "per core"; bytes are those that the capture's TCP carries. Nothing is timed before its answer is checked: the drivers
have to see, or change, each of the capture's words, tcpflow's files have to hold all bytes, tshark has to count as many.

permit    `weir replay`, bench/permit.c: a callout that is shown all data and looks at nothing; without a driver, for what it adds
watch     drivers/watch looks for a word in both directions
tcpflow   -r, its files on the same file system; -C: the bytes to /dev/null
tshark    -z follow,tcp of one stream, -z conv,tcp: each dissects all
edit      `weir replay -w`, drivers/edit, the word replaced by a longer one, inline and by its worker; beside -w without a driver
"""
import os
import shutil
import subprocess
import sys
import tempfile

WEIR, MAKE, PERMIT, WATCH, EDIT = sys.argv[1:6]
QUICK = "--quick" in sys.argv
PACKETS, FLOWS, ROUNDS = (90000, 30, 3) if QUICK else (300000, 60, 7)
WORD, LONGER = "HEADER", "HEADER-EDITED"


def run(command, answer=None):
    """CPU seconds; the answer is written to a file where it is asked for."""
    with open(answer or os.devnull, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE)
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit("%s: exit status %d\n%s" % (" ".join(command), process.returncode, errors.decode(errors="replace")[-500:]))
    return usage.ru_utime + usage.ru_stime


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def holds(what, good, text):
    if not good:
        sys.exit("%s: not what was expected: %s" % (what, text))


def carried(path):
    """Bytes and words that the capture's segments carry: read from it, record by record."""
    size = words = 0
    with open(path, "rb") as stream:
        data = stream.read()
    at = 24
    while at < len(data):
        length = int.from_bytes(data[at + 8:at + 12], "little")
        size += length - 66
        words += length > 66
        at += 16 + length
    holds("capture", data.count(WORD.encode()) == words, "words")
    return size, words


def main():
    work = tempfile.mkdtemp(prefix="weir-bench-")
    try:
        big, out, files, answer = (os.path.join(work, n) for n in ("big.pcap", "out.pcapng", "files", "answer"))
        subprocess.run([MAKE, big, str(PACKETS), str(FLOWS), "transfers"], check=True, stdout=subprocess.DEVNULL)
        size, words = carried(big)
        base = [WEIR, "replay", "-q", "--local", "10.0.0.2", big]
        watch = ["--driver", WATCH, "--param", "Pattern=" + WORD]
        edit = ["--driver", EDIT, "--param", "Find=" + WORD, "--param", "Replace=" + LONGER]

        def tcpflow(*how):
            shutil.rmtree(files, ignore_errors=True)
            os.mkdir(files)
            return ["tcpflow", "-q", "-r", big, *how]

        def no_out():
            if os.path.exists(out):
                os.unlink(out)

        ways = {
            "no driver": lambda: run(base),
            "permit": lambda: run(base + ["--driver", PERMIT]),
            "watch": lambda: run(base + watch),
            "no driver, written": lambda: (no_out(), run(base + ["-w", out]))[1],
            "edit inline": lambda: (no_out(), run(base + edit + ["--param", "Mode=inline", "-w", out]))[1],
            "edit by a worker": lambda: (no_out(), run(base + edit + ["--param", "Mode=worker", "-w", out]))[1],
            "tcpflow, files": lambda: run(tcpflow("-o", files)),
            "tcpflow, /dev/null": lambda: run(tcpflow("-C", "-B", "-o", files)),
            "tshark, one stream": lambda: run(["tshark", "-n", "-q", "-r", big, "-z", "follow,tcp,raw,0"]),
            "tshark, conversations": lambda: run(["tshark", "-n", "-q", "-r", big, "-z", "conv,tcp"]),
        }
        found = {}
        if shutil.which("tcpflow") is None:
            ways = {k: v for k, v in ways.items() if not k.startswith("tcpflow")}
        if shutil.which("tshark") is None:
            ways = {k: v for k, v in ways.items() if not k.startswith("tshark")}

        # what each answers
        said = subprocess.run([WEIR, "replay", "--local", "10.0.0.2", big, *watch], capture_output=True, text=True)
        holds("watch", "%d bytes shown to callouts" % size in said.stdout, said.stdout + said.stderr)
        for mode in "inline", "worker":
            no_out()
            run(base + edit + ["--param", "Mode=" + mode, "-w", out])
            with open(out, "rb") as stream:
                data = stream.read()
            # A word may be cut by the end of a segment: most must be whole.
            holds("edit " + mode, data.count(LONGER.encode()) > words * 98 // 100, "%d of %d" % (data.count(LONGER.encode()), words))
        if "tcpflow, files" in ways:
            ways["tcpflow, files"]()
            there = sum(os.path.getsize(os.path.join(files, n)) for n in os.listdir(files) if not n.endswith(".xml"))
            holds("tcpflow", there == size, "%d of %d bytes" % (there, size))

        for turn in range(ROUNDS):
            for name, way in ways.items():
                if name.startswith("tshark") and turn >= 3:
                    continue
                found.setdefault(name, []).append(way())
        print("%d segments, %.0f MB of TCP data; CPU time, %d rounds" % (PACKETS, size / 1e6, ROUNDS))
        for name, times in found.items():
            others = ["no driver, written"] if name.startswith("edit") else ["permit", "watch"] if name.startswith("t") else []
            print("%-22s %6.0f MB/s (best %.0f)%s" % (
                name, size / 1e6 / median(times), size / 1e6 / min(times),
                "".join(", its time / %s's %.2f" % (o, median([a / b for a, b in zip(times, found[o])])) for o in others)), flush=True)
    finally:
        shutil.rmtree(work)


main()
