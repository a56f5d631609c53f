# SPDX-License-Identifier: Apache-2.0
"""tshark's own reading of TCP conversations (-z follow,tcp,raw), for tests that hold theirs against it."""
import re
import subprocess

# Stands in a stream where bytes are missing and data comes behind them.
MISSING = re.compile(rb"\[(\d+) bytes missing in capture file\]\0")
HEAD = re.compile(r"Follow: tcp,raw\nFilter: tcp.stream eq (\d+)\nNode 0: \[?([^]\n]*?)\]?:(\d+)\nNode 1: \[?([^]\n]*?)\]?:(\d+)\n")


def follow(path, streams):
    """[(stream, (address, port), (address, port), [bytes of the first end, bytes of the second])], by stream; those of
    the numbers asked for that there are."""
    command = ["tshark", "-n", "-r", path, "-q"]
    for number in streams:
        command += ["-z", "follow,tcp,raw,%d" % number]
    if len(command) == 5:
        return []
    run = subprocess.run(command, capture_output=True, timeout=300)
    found = []
    for block in re.split(r"={20,}\n", run.stdout.decode("latin-1")):
        head = HEAD.match(block)
        if not head or (head[2] == "" and head[3] == "0"):
            continue
        data = [bytearray(), bytearray()]
        for line in block[head.end():].splitlines():
            if re.fullmatch(r"([0-9a-f]{2})+", line.strip()):
                data[line.startswith("\t")] += bytes.fromhex(line.strip())
        found.append((int(head[1]), (head[2], head[3]), (head[4], head[5]), [bytes(d) for d in data]))
    return sorted(found)
