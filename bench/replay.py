#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A whole replay, reading and writing, with a real machine's policy loaded, beside tcpdump and tshark.

usage: replay.py WEIR MAKE_CAPTURE STATE [--quick] [--only NAME,...]     parts: tcpdump, tshark, memory

Each pair of runs is `weir replay --state STATE ... -w OUT` and its peer, one after the other on the same capture, which
is in the page cache; what is written goes to the same file system. Times are the processes' CPU time (user and system),
so "per core"; loading the policy, measured on a capture of one packet, is told and included. Each timed run follows an
untimed one of its own, and writes a new file. A ratio is the peer's time over ours, the median of the pairs, ranges are of all pairs; "of the
least" is the peer's least time over our least: what disturbs only adds. bench_floor is what reading and writing take by
themselves.
The captures (0.6 and 1 GB) are made in $TMPDIR or /tmp and removed.
"""
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

WEIR, MAKE, STATE = sys.argv[1:4]
BESIDE = os.path.dirname(os.path.abspath(MAKE))  # bench_floor is there
QUICK = "--quick" in sys.argv
ONLY = sys.argv[sys.argv.index("--only") + 1].split(",") if "--only" in sys.argv else ["tcpdump", "tshark", "memory"]
PAIRS = 3 if QUICK else 7
WHO = """tcp * * * * C:\\Windows\\System32\\svchost.exe S-1-5-21-1000000001-2000000002-3000000003-1001
* * * * * C:\\Windows\\System32\\svchost.exe S-1-5-20
"""


def run(command):
    """CPU seconds, wall seconds, peak resident KiB, peak of it that no file backs."""
    private = [0]
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def watch():
        while process.returncode is None:
            try:
                with open("/proc/%d/status" % process.pid, encoding="ascii") as stream:
                    for line in stream:
                        if line.startswith("RssAnon:"):
                            private[0] = max(private[0], int(line.split()[1]))
            except OSError:
                return
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join()
    if process.returncode not in (0, 1, 2):
        sys.exit("%s: exit status %d\n%s" % (" ".join(command), process.returncode, errors.decode()[-500:]))
    return usage.ru_utime + usage.ru_stime, time.monotonic() - start, usage.ru_maxrss, private[0]


def median(values):
    values = sorted(values)
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def spread(values, form="%.2f"):
    return (form + " (" + form + "-" + form + ")") % (median(values), min(values), max(values))


def weir(source, out, *more):
    return [WEIR, "replay", "-q", "--state", STATE, "--local", "10.0.0.2", *more, source] + (["-w", out] if out else [])


def warm(command, out):
    """CPU seconds of a run that writes a new file, right behind an untimed one: a guest gives memory that nobody uses back to
    its host within seconds, and who uses it first pays for its coming back."""
    for _ in range(2):
        if os.path.exists(out):
            os.unlink(out)
        cpu = run(command)[0]
    return cpu


def versus(title, packets, ours, peer, out, target, count=PAIRS):
    pairs = [(warm(ours, out), warm(peer, out)) for _ in range(count)]
    mine, other = [[pair[side] * 1e9 / packets for pair in pairs] for side in (0, 1)]
    print("%-38s %s ns a packet, peer %s, ratio %s, of the least %.2f (target %s)" % (
        title, spread(mine, "%.0f"), spread(other, "%.0f"), spread([b / a for a, b in zip(mine, other)]),
        min(other) / min(mine), target), flush=True)


def make(path, packets, flows, average):
    subprocess.run([MAKE, path, str(packets), str(flows), str(average)], check=True, stdout=subprocess.DEVNULL)
    with open(path, "rb") as stream:  # into the page cache
        while stream.read(1 << 24):
            pass


def main():
    if not os.path.exists(STATE):
        print("%s is not on this machine" % STATE)
        return
    work = tempfile.mkdtemp(prefix="weir-bench-")
    try:
        measure(work)
    finally:
        shutil.rmtree(work)


def tshark(source, out, packets, known):
    """Dissects only; and what a replay does as far as it can: with what comes later known (-2), filtered, written, summed up."""
    for title, more in (("tshark -r", []), ("tshark -2 -Y -w -z conv", ["-2", "-q", "-Y", "tcp or udp", "-w", out,
                                                                    "-z", "conv,tcp", "-z", "conv,udp"])):
        versus(title, packets, weir(source, out, *known), ["tshark", "-n", "-r", source, *more], out, 50, 1 if QUICK else 3)


def measure(work):
    source, out, one = work + "/in.pcap", work + "/out", work + "/one.pcap"
    who = work + "/who"
    with open(who, "w", encoding="ascii") as stream:
        stream.write(WHO)
    known = ["--who", who, "--set", "CURRENT_PROFILE_ID=2", "--set", "ORIGINAL_PROFILE_ID=2"]
    packets = 1000000
    make(one, 1, 1, 650)
    load = [run(weir(one, out, *known))[0] for _ in range(PAIRS)]
    print("%-44s %s ms, part of each run below" % ("loading the policy", spread([t * 1e3 for t in load], "%.0f")), flush=True)
    if "tcpdump" in ONLY or "tshark" in ONLY:
        make(source, packets, 65536, 650)
    if "tcpdump" in ONLY and shutil.which("tcpdump"):
        half = ["tcpdump", "-r", source, "-w", out, "src host 10.0.0.2 and (tcp or udp)"]
        # by the header's checksum: 10 of 16, as many bytes as the policy passes of this capture
        as_much = ["tcpdump", "-r", source, "-w", out, "ip[10:2] & 0xf < 10"]
        everything = ["tcpdump", "-r", source, "-w", out, "tcp or udp"]
        versus("tcpdump, passes all; programs known", packets, weir(source, out, *known), everything, out, 1.5)
        versus("tcpdump, passes as much as ours; known", packets, weir(source, out, *known), as_much, out, 1.5)
        versus("tcpdump, passes half; programs known", packets, weir(source, out, *known), half, out, 1.5)
        versus("tcpdump, passes all; nothing known", packets, weir(source, out), everything, out, 1.5)
    if "tshark" in ONLY and shutil.which("tshark"):
        tshark(source, out, packets, known)
    if "tcpdump" in ONLY or "tshark" in ONLY:
        floor = [BESIDE + "/bench_floor", source, out]
        times = [warm(floor, out) * 1e9 / packets for _ in range(PAIRS)]
        print("%-44s %s ns a packet" % ("the limit: read, three in five written", spread(times, "%.0f")), flush=True)
    if "memory" in ONLY:
        if os.path.exists(source):
            os.unlink(source)
        for packets in (1000000, 10000000):
            make(source, packets, 65536, 66)
            cpu, wall, resident, private = run(weir(source, out, *known))
            print("%-44s %.1f s CPU, %.1f s; at most %d MiB resident, %d MiB of it private" % (
                "memory: %d million small packets" % (packets // 1000000), cpu, wall, resident // 1024, private // 1024),
                flush=True)


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
main()
