#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input at the stream layer, through the program. What a callout does against the contract is told with its driver and function,
and has the outcome that doc/streams.md says; what a capture has of overlaps, holes, data after resets and connections of the host
with itself is counted. In all of it the sums hold, memory is bounded, and the checksums of what is written are right.
usage: bad_streams.py SOURCE-DIR WEIR"""
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile

from tcp_talk import Talk, write

root, weir = sys.argv[1:3]
work = tempfile.mkdtemp(prefix="weir-bad-streams-")
count = failed = 0


def check(name, good, text=""):
    global count, failed
    count += 1
    failed += not good
    print("%s %d - %s%s" % ("ok" if good else "not ok", count, name, "" if good else "\n# " + str(text)[:2500].replace("\n", "\n# ")))
    return good


def compile_driver(name, source, *more):
    image = os.path.join(work, name)
    run = subprocess.run([weir, "cc", "-g", "-Wall", "-Wextra", "-Werror", "-o", image, source, "drivers/common/callouts.c",
                          "drivers/common/parameters.c"] + list(more), cwd=root, capture_output=True, text=True)
    check(name + " compiles", run.returncode == 0 and run.stderr == "", run.stderr)
    return image


def sums_hold(s):
    return s["in"] + s["injected"] + s["made"] == (s["out"] + s["dropped"] + s["absorbed"] + s["consequence"] + s["held"] +
                                                   s["rewritten"])


def replay(name, capture, driver, params, local="192.0.2.20"):
    """What it said, the summary, exit status, bytes that peers' segments carry in the output, in order."""
    out, log = os.path.join(work, name + ".pcapng"), os.path.join(work, name + ".jsonl")
    run = subprocess.run([weir, "replay", capture, "-w", out, "--json", log, "--local", local] +
                         (["--driver", driver] if driver else []) + [a for p in params for a in ("--param", p)],
                         capture_output=True, text=True, timeout=300)
    with open(log) as f:
        last = json.loads(f.read().splitlines()[-1])
    check(name + ": sums", sums_hold(last["sums"]), last["sums"])
    return run.stdout + run.stderr, last, run.returncode, out


def segments(path):
    """(address, sequence number, flags, payload) of the TCP segments of a capture."""
    run = subprocess.run(["tshark", "-n", "-r", path, "-o", "tcp.relative_sequence_numbers:FALSE", "-Y", "tcp", "-T", "fields", "-e",
                          "ip.src", "-e", "tcp.seq", "-e", "tcp.flags", "-e", "tcp.payload"], capture_output=True, text=True)
    rows = [line.split("\t") for line in run.stdout.splitlines()]
    return [(a, int(s), int(f, 16), bytes.fromhex(p)) for a, s, f, p in rows]


def stream_of(path, address="192.0.2.30"):
    """What the peer's segments carry, each byte as it came first."""
    first, got = None, {}
    for a, seq, flags, payload in segments(path):
        if a != address:
            continue
        if flags & 2:
            seq += 1
            first = seq
        for i, b in enumerate(payload):
            got.setdefault(seq + i - first, b)
    return bytes(got[i] for i in sorted(got)), sorted(got) == list(range(len(got)))


# ---- callouts -----------------------------------------------------------------------------------------------------------

DATA = [b"one " * 50, b"two " * 50, b"three " * 50]
WHOLE = b"".join(DATA)

# number: (name, what is said, how the peer's stream comes out; None: not looked at)
MODES = {
    0: ("inspects", None, WHOLE),
    1: ("asks for 64 MB", None, WHOLE),
    2: ("asks for 64 MB at the end too", "NEED_MORE_DATA where NO_MORE_DATA was said: taken as PERMIT", WHOLE),
    3: ("asks for nothing", "NEED_MORE_DATA with countBytesRequired 0: taken as one byte more", WHOLE),
    4: ("discards what it never cloned", "a list of the stack's was freed by a driver: called by FwpsDiscardClonedStreamData0", WHOLE),
    5: ("discards twice", "closed twice: again by FwpsDiscardClonedStreamData0", WHOLE),
    6: ("keeps a clone", "left at unload: opened by FwpsCloneStreamData", WHOLE),
    7: ("mixes inline and out of band", "let data pass in line of which it had taken out earlier ones for later", None),
    8: ("injects unasked", "were injected from outside a classifyFn into a stream", None),
    9: ("invents an end", "injected an end that it was not shown", None),
    10: ("injects both ways", "the flags do not name one direction: refused", WHOLE),
    11: ("injects what it is shown", "a list that is not the driver's to give, or not sound: refused", WHOLE),
    12: ("injects more than there is", "dataLength is more than the lists have: refused", WHOLE),
    13: ("turns a clone around", "a clone of data of one direction was injected into the other", WHOLE),
    14: ("gives a clone to the transport", "data of a stream were given to an injection function of packets", WHOLE),
    15: ("continues in a classify", "FwpsStreamContinue0 within a classifyFn", WHOLE),
    16: ("defers what is sent", "DEFER of data that are sent: taken as PERMIT", WHOLE),
    17: ("enforces more than there is", "countBytesEnforced is more than was indicated: taken as all of it", WHOLE),
    18: ("answers nothing", "left actionType as it was: taken as CONTINUE", WHOLE),
    19: ("waits to the end", "a stream filter went while data of a stream waited for its callout: they were handed on", WHOLE),
}


def talk(ends=True):
    t = Talk(1)
    t.say(0, b"please")
    t.put(1, t.sent[1])
    for data in DATA:
        t.say(1, data)
        t.put(0, t.sent[0])
    if ends:
        t.bye(1)
    return t


def callouts():
    driver = compile_driver("bad_streams.so", "tests/e2e/bad_streams.c")
    closed, still = write(os.path.join(work, "closed.pcap"), [talk()]), write(os.path.join(work, "open.pcap"), [talk(False)])
    for mode, (name, wanted, stream) in MODES.items():
        said, last, status, out = replay("mode-%d" % mode, still if mode == 19 else closed, driver, ["Mode=%d" % mode])
        found = [line for line in said.splitlines() if wanted and any(w in line for w in wanted.split("|"))]
        if wanted is None:
            check(name + ": nothing to tell", status == 0 and "note:" not in said, said)
        else:
            check(name + ": told once a direction, with its driver",
                  len(found) == (2 if mode == 18 else 1) and "bad_streams.so: " in found[0], said)
            if mode != 19:  # there its callout is gone
                check(name + ": with the place", found and re.search(r"bad_streams\.c:\d+ \(\w+\)$", found[0]), found)
        if stream is not None:
            check(name + ": the stream", stream_of(out) == (stream, True), stream_of(out))
        if mode == 1:
            check(name + ": nothing was lost", last["streams"]["lost"] == 0 and last["streams"]["waiting"] == 0, last["streams"])


def much():
    """20 connections with a callout that wants 64 MB of 600 kB: what is kept is what came, not what was asked for, and comes out."""
    driver = os.path.join(work, "bad_streams.so")
    talks = []
    for n in range(20):
        t = Talk(100 + n)
        for i in range(400):
            t.say(1, b"%06d" % i * 240)
            if i % 2:
                t.put(0, t.sent[0])
        talks.append(t)
    path = write(os.path.join(work, "much.pcap"), talks)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    said, last, status, out = replay("much", path, driver, ["Mode=1"])
    check("much is asked for: all came out", last["streams"]["lost"] == 0 and last["streams"]["waiting"] == 0, last["streams"])
    print("# %d KiB resident at most, %d before" % (resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, before))


# ---- captures -----------------------------------------------------------------------------------------------------------

def captures():
    edits = compile_driver("edits.so", "tests/e2e/replay_edits.c", "drivers/common/stream.c")
    inline, apart = ["Mode=1", "Rule=1"], ["Mode=3", "Rule=1"]

    def edited(data):
        return data.replace(b"e", b"[e]")

    # a segment that comes out of order, and one over it and what is missing, with other bytes
    def overlap(number, name, lacking):
        """lacking: so many bytes before are nowhere; the receiver has acknowledged them, and to it the later one is in order."""
        t = Talk(number)
        base = t.sent[1] + lacking
        t.put(1, base + 10, b"B" * 10, flags=0x18)
        if lacking:
            t.put(0, t.sent[0], ack=base)
        t.put(1, base, b"eeeee" + b"A" * 15, flags=0x18)
        t.sent[1], t.ack[0] = base + 20, base + 20
        t.put(0, t.sent[0])
        t.say(1, b"end")
        t.put(0, t.sent[0])
        t.bye(1)
        path = write(os.path.join(work, "overlap-%d.pcap" % lacking), [t])
        for how, params in (("inspected", ["Mode=0"]), ("edited", inline), ("out of band", apart)):
            said, last, status, out = replay("overlap-%d-%s" % (lacking, how), path, edits, params)
            check("%s, %s: counted" % (name, how), last["host"]["bytes_differ"] == 10 and
                  "10 bytes came twice, and not the same" in said, said + str(last["host"]))
            if how != "inspected":
                got, want = stream_of(out), edited(b"eeeee" + b"A" * 15 + b"end")
                check("%s, %s: the later one is in order, and counts" % (name, how),
                      got[0].endswith(want) if lacking else got == (want, True), got)

    overlap(2, "overlap", 0)
    overlap(12, "overlap behind what nobody saw", 20)

    # a hole that nobody fills and nobody acknowledges
    t = Talk(3)
    t.say(1, b"before the hole. ")
    t.put(0, t.sent[0])
    hole = t.sent[1]
    t.sent[1] += 100
    for n in range(3):
        t.put(1, t.sent[1], b"behind the hole %d" % n, flags=0x18)
        t.sent[1] += 17
        t.put(0, t.sent[0], ack=hole)
    path = write(os.path.join(work, "hole.pcap"), [t])
    for how, params in (("inspected", ["Mode=0"]), ("edited", inline), ("out of band", apart)):
        said, last, status, out = replay("hole-" + how, path, edits, params)
        check("a hole, %s: what is behind it is counted" % how,
              last["host"]["bytes_unreached"] == 51 and "51 bytes stood behind a hole" in said, said + str(last["host"]))
        carried = b"".join(p for a, _, _, p in segments(out) if a == "192.0.2.30")
        check("a hole, %s: what is in front of it" % how,
              carried.startswith(b"before the hole. " if how == "inspected" else edited(b"before the hole. ")), carried)

    # data behind a reset
    t = Talk(4)
    t.say(1, b"eels ")
    t.put(0, t.sent[0])
    t.put(1, t.sent[1], flags=0x14)
    for n in range(3):
        t.put(1, t.sent[1], b"late %d" % n, flags=0x18)
        t.sent[1] += 6
    path = write(os.path.join(work, "reset.pcap"), [t])
    for how, params in (("inspected", ["Mode=0"]), ("edited", inline), ("out of band", apart)):
        said, last, status, out = replay("reset-" + how, path, edits, params)
        check("behind a reset, %s: told" % how, ("InetDiscardEndpointNotFound" if how == "inspected" else
              "18 bytes came behind the end of their stream: dropped") in said, said)
        carried = b"".join(p for a, _, _, p in segments(out) if a == "192.0.2.30")
        check("behind a reset, %s: written only where nothing was edited" % how, (b"late" in carried) == (how == "inspected"), carried)

    # an answer to what a callout keeps: it waits for 1,000 bytes, and the end comes first
    path = write(os.path.join(work, "early.pcap"), [talk()])
    said, last, status, out = replay("early", path, edits, ["Mode=4", "Rule=1"])
    check("early: answers to what is kept are counted", last["streams"]["early"] == 4 and
          "4 segments answer bytes that a callout still kept" in said, said + str(last["streams"]))

    # data on a SYN and on its answer, taken by both ends
    t = Talk(6, opens=False)
    options = struct.pack(">BBHBBBB", 2, 4, 1460, 1, 3, 3, 7) + b"\4\2\1\1"
    t.put(0, 0, b"the request, ", flags=2, ack=0, options=options, window=65000)
    t.sent[0] = t.ack[1] = 14
    t.put(1, 0, b"heard: ", flags=0x12, options=options, window=65000)
    t.sent[1] = t.ack[0] = 8
    t.put(0, 14)
    t.say(0, b"and more to be seen")
    t.put(1, t.sent[1])
    t.say(1, b"the answer")
    t.put(0, t.sent[0])
    t.bye()
    path = write(os.path.join(work, "syn.pcap"), [t])
    for how, params in (("inspected", ["Mode=0"]), ("edited", inline), ("piece by piece", ["Mode=2", "Rule=1"]), ("out of band", apart)):
        said, last, status, out = replay("syn-" + how.replace(" ", "-"), path, edits, params)
        for address, data in (("192.0.2.20", b"the request, and more to be seen"), ("192.0.2.30", b"heard: the answer")):
            data = data if how == "inspected" else edited(data)
            check("data on a SYN, %s: %s" % (how, address), stream_of(out, address) == (data, True), (stream_of(out, address), data))
        check("data on a SYN, %s: where they are" % how,
              all(bool(p) == (how == "inspected") for _, _, f, p in segments(out) if f & 2), segments(out))
        wrong = subprocess.run(["tshark", "-n", "-r", out, "-o", "tcp.check_checksum:TRUE", "-Y", "tcp.checksum.status == bad || "
                                "_ws.malformed || tcp.analysis.ack_lost_segment || tcp.analysis.lost_segment"],
                               capture_output=True, text=True).stdout
        check("data on a SYN, %s: tshark has nothing to say" % how, wrong == "", wrong)

    # a connection of the host with itself
    t = Talk(5, ends=(bytes([127, 0, 0, 1]), bytes([127, 0, 0, 2])))
    t.say(0, b"the request")
    t.put(1, t.sent[1])
    t.bye()
    path = write(os.path.join(work, "loopback.pcap"), [t])
    said, last, status, out = replay("loopback", path, edits, inline)
    check("loopback: counted, not carried out", last["streams"]["unchanged"] != 0 and "edits were not carried out" in said, said)
    check("loopback: as it was", [s[1:] for s in segments(out)] == [s[1:] for s in segments(path)], segments(out))


if shutil.which("tshark") is None:
    print("1..0 # SKIP no tshark (scripts/install-deps test)")
    sys.exit(77)
callouts()
much()
captures()
shutil.rmtree(work)
print("1..%d" % count)
sys.exit(1 if failed else 0)
