#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A whole replay with the inline inspection driver (drivers/statistics) and without, pair by pair on the same capture: under no
policy, and under that of a real machine, whose filters stand beside the driver's.

usage: drivers.py WEIR MAKE_CAPTURE STATISTICS.so [--state FILE] [--quick]

CPU time of the processes, user and system, what a capture of one packet takes subtracted; the ratio is that without the driver over
that with it: of the least times, and the median of the pairs. Each timed run follows an untimed one of its own and writes a new file
(README.md, "A whole replay"). Target: at least 0.5. Runs in the simulated world all the same: the driver's is.
"""
import os
import shutil
import subprocess
import sys
import tempfile

from replayed import cpu_time

WEIR, MAKE, DRIVER = sys.argv[1:4]
PACKETS, PAIRS = (200000, 3) if "--quick" in sys.argv else (1000000, 7)


def run(capture, out, *more):
    cpu_time(WEIR, capture, out, "--local", "10.0.0.0/8", *more)
    return cpu_time(WEIR, capture, out, "--local", "10.0.0.0/8", *more)


def measure(what, big, one, out, *policy):
    driver = ["--driver", DRIVER]
    start = min(run(one, out, *policy) for _ in range(3)), min(run(one, out, *policy, *driver) for _ in range(3))
    pairs = [(run(big, out, *policy) - start[0], run(big, out, *policy, *driver) - start[1]) for _ in range(PAIRS)]
    ratios = sorted(a / b for a, b in pairs)
    least = min(a for a, _ in pairs) / min(b for _, b in pairs)
    print("replay of %d packets, %s: %.0f-%.0f ns a packet without a driver, %.0f-%.0f with statistics; without / with %.2f, median "
          "%.2f (%.2f-%.2f; target 0.50)" % (
              PACKETS, what, min(a for a, _ in pairs) / PACKETS * 1e9, max(a for a, _ in pairs) / PACKETS * 1e9,
              min(b for _, b in pairs) / PACKETS * 1e9, max(b for _, b in pairs) / PACKETS * 1e9,
              least, ratios[len(ratios) // 2], ratios[0], ratios[-1]))


def main():
    work = tempfile.mkdtemp(prefix="weir-bench-")
    try:
        big, one, out = (os.path.join(work, n) for n in ("big.pcap", "one.pcap", "out.pcapng"))
        subprocess.run([MAKE, big, str(PACKETS), "64000", "658"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([MAKE, one, "1", "1", "658"], check=True, stdout=subprocess.DEVNULL)
        measure("no policy", big, one, out)
        if "--state" in sys.argv:
            state = sys.argv[sys.argv.index("--state") + 1]
            measure("under " + os.path.basename(state), big, one, out, "--state", state)
    finally:
        shutil.rmtree(work)


main()
