#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""As drivers.py, of real captures: a whole replay with the inline inspection driver (drivers/statistics) and without.

usage: drivers_real.py WEIR STATISTICS.so CAPTURES [-v]

Each capture in the folder CAPTURES that has at least 100 packets is repeated, one time behind the other, to some 40,000; where weir
finds that half of them or more are not this host's, it is left out. CPU time of the processes, user and system, the least of five
runs, what a capture of one packet takes subtracted. Prints how many captures have which ratio, without over with (target: at least
0.5). -v: each of them. Needs editcap.
"""
import os
import re
import struct
import subprocess
import sys
import tempfile

from replayed import cpu_time

WEIR, DRIVER, CAPTURES = sys.argv[1:4]
VERBOSE = "-v" in sys.argv
LEAST, PACKETS, RUNS = 100, 40000, 5
DAY = 86400 * 10**9


def packets_of(path, work):
    """Link type and (time, bytes) of each packet; none of what editcap cannot read."""
    plain = os.path.join(work, "plain.pcap")
    if subprocess.run(["editcap", "-F", "nsecpcap", path, plain], stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL).returncode != 0:
        return 0, []
    with open(plain, "rb") as f:
        data = f.read()
    packets, at = [], 24
    while at + 16 <= len(data):
        seconds, ns, size, length = struct.unpack_from("<IIII", data, at)
        packets.append((seconds * 10**9 + ns, struct.pack("<II", size, length) + data[at + 16:at + 16 + size]))
        at += 16 + size
    return struct.unpack_from("<I", data, 20)[0], packets


def write(path, link, packets, times):
    first = min(time for time, _ in packets)
    base = 12000 * DAY
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, link))
        for _ in range(times):
            lasts = 0
            for time, record in packets:
                since = min(time - first, DAY)
                lasts = max(lasts, since)
                f.write(struct.pack("<II", *divmod(base + since, 10**9)) + record)
            base += lasts + 10**9


def least(capture, out, *more):
    return min(cpu_time(WEIR, capture, out, *more) for _ in range(RUNS))


def is_ours(capture, out):
    told = subprocess.run([WEIR, "replay", capture, "-w", out], capture_output=True, text=True, check=True).stdout
    packets = re.search(r"^packets: (\d+);(.*)", told, re.M)
    ignored = re.search(r"(\d+) ignored", packets.group(2))
    return ignored is None or int(ignored.group(1)) * 2 < int(packets.group(1))


def main():
    found = []
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as work:
        capture, one, out = (os.path.join(work, n) for n in ("many.pcap", "one.pcap", "out.pcapng"))
        driver = ["--driver", DRIVER]
        for name in sorted(os.listdir(CAPTURES)):
            link, packets = packets_of(os.path.join(CAPTURES, name), work)
            if len(packets) < LEAST:
                continue
            times = PACKETS // len(packets) or 1
            write(capture, link, packets, times)
            if not is_ours(capture, out):
                continue
            write(one, link, packets[:1], 1)
            without = least(capture, out) - least(one, out)
            with_it = least(capture, out, *driver) - least(one, out, *driver)
            count = len(packets) * times
            found.append((without / with_it, without / count * 1e9, with_it / count * 1e9, name))
            if VERBOSE:
                print("%.2f  %4.0f and %4.0f ns a packet  %s" % found[-1], flush=True)
    if not found:
        sys.exit("%s: no capture of %d packets or more" % (CAPTURES, LEAST))
    ratios = sorted(ratio for ratio, *_ in found)
    print("%d real captures: without / with %.2f in the median, %.2f-%.2f in the middle half, %.2f least; %d of them 0.50 or more; "
          "all together %.2f" % (len(found), ratios[len(ratios) // 2], ratios[len(ratios) // 4], ratios[len(ratios) * 3 // 4],
                                 ratios[0], sum(r >= 0.5 for r in ratios),
                                 sum(a for _, a, _, _ in found) / sum(b for _, _, b, _ in found)))


main()
