#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the wire sees when a callout edits TCP streams (replay_edits.c): tshark's reading of the output is held against the
input's streams, edited here by the same rule. Of each output: every conversation carries the edited bytes; no checksum is
wrong, nothing is malformed; tshark's analysis finds no kind of fault that it did not find in the input; time goes on; what
came in came out somewhere.

Captures: made here, segment by segment (loss before and behind the capture, reordering, repetition, wrap-around, zero windows,
keep-alives, urgent data; IPv4, IPv6, VLAN, raw IP), of two real stacks over a bad wire (STACK_CAPTURE), and, with an editor
that takes all bytes out and puts them back, those of SHARED/pcaps.
usage: replay_edits.py SOURCE-DIR WEIR STACK_CAPTURE [all]    without `all` (or $WEIR_CASES, as --full sets it): one way of
editing for each capture, in turn, and every 32nd of the real captures"""
import collections
import functools
import json
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile

import tshark_follow
from tcp_talk import Talk, write

root, weir, stack_capture = sys.argv[1:4]
whole_run = "all" in sys.argv[4:] or "WEIR_CASES" in os.environ
every = 1 if whole_run else 32
if shutil.which("tshark") is None:
    print("# skipped: no tshark (scripts/install-deps test)")
    sys.exit(77)
work = tempfile.mkdtemp(prefix="weir-edits-")
count = failed = 0
KINDS = ["retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "lost_segment", "ack_lost_segment",
         "duplicate_ack", "zero_window", "zero_window_probe", "zero_window_probe_ack", "window_full", "window_update", "keep_alive",
         "keep_alive_ack", "reused_ports"]
REPEATS = {"retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order"}
CHECKS = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "--disable-protocol", "http"]


def check(name, good, text=""):
    global count, failed
    count += 1
    failed += not good
    print("%s %d - %s%s" % ("ok" if good else "not ok", count, name, "" if good else "\n# " + str(text)[:1500].replace("\n", "\n# ")))
    return good


# ---- captures ----------------------------------------------------------------------------------------------------------

REQUEST = b"GET /there/were/trees HTTP/1.1\r\nHost: example.test\r\nAccept: */*\r\n\r\n"


def text(size, seed=1):
    r = random.Random(seed)
    return bytes(r.choice(b"abcde fghe\r\n") for _ in range(size))


def plain(port=1, **how):
    t = Talk(port, **how)
    t.stream(0, REQUEST)
    t.stream(1, b"HTTP/1.1 200 Okee\r\n\r\n" + text(20000))
    t.stream(0, REQUEST)
    t.stream(1, text(700, 2))
    t.bye()
    return t


def lossy(port=2):
    t = Talk(port, stamps=True)
    t.stream(0, REQUEST)
    pieces = [text(1000, n) for n in range(12)]
    for n, p in enumerate(pieces[:4]):
        t.say(1, p)
    lost = t.say(1, pieces[4], seen=False, arrives=False)  # before the capture
    for p in pieces[5:8]:
        t.say(1, p, arrives=False)
        t.put(0, t.sent[0], options=b"\1\1\5\12" + struct.pack(">II", t.isn[1] + lost[0] + 1000, t.isn[1] + t.sent[1]))
    t.again(1, lost)
    t.put(0, t.sent[0])
    lost = t.say(1, pieces[8], arrives=False)  # behind it
    for p in pieces[9:]:
        t.say(1, p, arrives=False)
        t.put(0, t.sent[0], options=b"\1\1\5\12" + struct.pack(">II", t.isn[1] + lost[0] + 1000, t.isn[1] + t.sent[1]))
    t.again(1, lost)
    t.put(0, t.sent[0])
    t.bye(1)
    return t


def reordered(port=3):
    t = Talk(port)
    t.stream(0, REQUEST)
    r, data = random.Random(3), text(16000, 5)
    for i in range(0, len(data), 4000):
        at, parts = t.sent[1], [data[i + k:i + k + 500] for k in range(0, 4000, 500)]
        order = list(range(8))
        r.shuffle(order)
        got = set()
        for k in order:
            t.put(1, at + 500 * k, parts[k], flags=0x18)
            got.add(k)
            upto = next(n for n in range(9) if n not in got)
            t.ack[0] = at + 500 * upto
            t.put(0, t.sent[0])
        t.sent[1] = at + 4000
    t.bye()
    return t


def odd(port=4):
    """Keep-alives, a window that closes, urgent data, a half that stays open, everything twice."""
    t = Talk(port, scale=0)
    t.window = [3000, 8000]
    t.stream(0, REQUEST)
    t.put(0, t.sent[0] - 1)  # keep-alive and its answer
    t.put(1, t.sent[1])
    t.say(1, text(1000, 7))
    t.say(1, text(1000, 8))
    t.put(0, t.sent[0], window=1000)
    t.say(1, text(1000, 9))
    t.put(0, t.sent[0], window=0)
    t.put(1, t.sent[1] - 1)  # probes the closed window
    t.put(0, t.sent[0], window=0)
    t.put(0, t.sent[0], window=3000)
    t.say(1, text(900, 10), urgent=5)
    t.put(0, t.sent[0])
    piece = t.say(0, b"the end of what there is to be said here")
    t.put(1, t.sent[1])
    t.again(0, piece)
    t.put(1, t.sent[1])
    t.put(0, t.sent[0], flags=0x11)
    t.sent[0] += 1
    t.ack[1] += 1
    t.put(1, t.sent[1])
    for n in range(5):  # the other half goes on
        t.say(1, text(800, 20 + n))
        t.put(0, t.sent[0])
    t.put(1, t.sent[1], flags=0x11)
    t.sent[1] += 1
    t.ack[0] += 1
    t.put(0, t.sent[0])
    return t


def reset(port=5):
    t = Talk(port)
    t.stream(0, REQUEST)
    t.stream(1, text(5000, 12))
    t.put(0, t.sent[0], flags=0x14)
    return t


def answer_first(port, back=14):
    """Begun in the middle; what is acknowledged comes behind its acknowledgement (two taps, merged)."""
    t = Talk(port, opens=False, isn=(2 ** 32 - 5, 5000))
    t.put(1, 0, text(40, 30), flags=0x18, ack=back)
    t.put(0, 0, text(back, 31), flags=0x18, ack=0)
    t.sent, t.ack = [back, 40], [40, back]
    t.stream(1, text(3000, 32))
    t.stream(0, text(500, 33))
    t.bye()
    return t


def one_side(port=21):
    """Begun in the middle; of one end's segments none was seen."""
    t = Talk(port, opens=False)
    for n in range(8):
        t.put(1, 700 * n, text(700, 40 + n), flags=0x18, ack=100 * n)
    t.put(1, 5600, flags=0x11, ack=800)
    return t


def reason(port, seen=True):
    """A reset that says why."""
    t = Talk(port)
    t.stream(0, REQUEST)
    t.say(1, text(800, 34))
    t.say(1, text(40, 35), seen=seen, arrives=seen)
    t.say(1, text(40, 36))
    t.put(0, t.sent[0], b"the end of this", flags=0x14)
    return t


# ---- tshark ------------------------------------------------------------------------------------------------------------

def tshark(path, *words):
    return subprocess.run(["tshark", "-n", "-r", path, *CHECKS, *words], capture_output=True, text=True, errors="replace",
                          timeout=300).stdout


Reading = collections.namedtuple("Reading", "streams kinds wrong times sums cut")
BAD = {"0", "Bad"}  # a checksum's status


def reading(path):
    """What tshark says of a capture in one go: which streams there are, which kinds of faults its analysis finds, the frames
    that are malformed or have a wrong checksum, the times, the segments with wrong checksums, the packets that are cut off."""
    fields = ["frame.number", "frame.time_epoch", "tcp.stream", "icmp.type", "icmpv6.type", "_ws.malformed", "frame.len",
              "frame.cap_len", "tcp.seq_raw", "tcp.checksum", "ip.checksum.status", "tcp.checksum.status",
              *("tcp.analysis." + k for k in KINDS)]
    found = Reading(set(), set(), [], [], set(), set())
    for line in tshark(path, "-T", "fields", "-E", "separator=|", *(a for f in fields for a in ("-e", f))).splitlines():
        number, time, stream, icmp, icmp6, malformed, size, there, seq, tcp_sum, *status = line.split("|")
        found.times.append(float(time) if time else found.times[-1] if found.times else 0.0)  # some formats have packets without
        if stream and not icmp and not icmp6:
            found.streams.update(int(x) for x in stream.split(","))
        if malformed or any(BAD & set(x.split(",")) for x in status[:2]):
            found.wrong.append("frame " + number)
        if BAD & set(status[1].split(",")):
            found.sums.add((seq, tcp_sum))
        if size != there:
            found.cut.add(number)
        found.kinds.update(k for k, v in zip(KINDS, status[2:]) if v)
    return found


def streams(path, limit=200, ids=None):
    ids = sorted(as_it_came(path, reading).streams if ids is None else ids)
    found = {}
    for _, one, other, data in tshark_follow.follow(path, ids[:limit]):
        ends = sorted(((one, data[0]), (other, data[1])))
        found.setdefault((ends[0][0], ends[1][0]), []).append((ends[0][1], ends[1][1]))
    return found


@functools.lru_cache(None)
def as_it_came(path, what):
    return what(path)


def without_holes(found):
    return {k: [tuple(tshark_follow.MISSING.sub(b"", d) for d in pair) for pair in v] for k, v in found.items()}


def edited(data, rule):
    return b"".join(p if i % 2 else p.replace(b"e", (b"e", b"[e]", b"", b"[e")[rule])
                    for i, p in enumerate(re.split(rb"(\[\d+ bytes missing in capture file\]\0)", data)))


def sums_hold(s):
    return s["in"] + s["injected"] + s["made"] == (s["out"] + s["dropped"] + s["absorbed"] + s["consequence"] + s["held"] +
                                                   s["rewritten"])


driver = os.path.join(work, "edits.so")


def replay(name, capture, params, more=("--local", "192.0.2.20", "--local", "2001:db8::14")):
    out, log = os.path.join(work, name + ".pcapng"), os.path.join(work, name + ".jsonl")
    run = subprocess.run([weir, "replay", "-q", capture, "-w", out, "--json", log, "--driver", driver] +
                         [a for p in params for a in ("--param", p)] + list(more), capture_output=True, text=True, timeout=300)
    last = {}
    if os.path.exists(log):
        with open(log) as f:
            for line in f:
                if '"summary"' in line[:30]:
                    last = json.loads(line)
    return run, out, last


def judge(name, capture, rule, params, whole=True, allowed=(), local=("192.0.2.20", "2001:db8::14")):
    run, out, last = replay(re.sub(r"\W+", "-", name), capture, params, [a for x in local for a in ("--local", x)])
    if not check(name + ": runs", run.returncode in (0, 1, 2) and last, "%d %s" % (run.returncode, run.stderr)):
        return None
    check(name + ": sums", sums_hold(last["sums"]), last["sums"])
    if rule != 0:
        check(name + ": rewritten", last["sums"]["rewritten"] > 5, last["sums"])
    now = reading(out)
    before, after = as_it_came(capture, streams), streams(out, ids=now.streams)
    wanted = {k: [tuple(edited(d, rule) for d in pair) for pair in v] for k, v in before.items()}
    if whole:
        check(name + ": the edited bytes", wanted == after, [
            (k, i, side, len(wanted[k][i][side]), len(after.get(k, [(b"", b"")] * 99)[i][side]))
            for k in wanted for i in range(len(wanted[k])) for side in (0, 1)
            if i >= len(after.get(k, [])) or wanted[k][i][side] != after[k][i][side]])
    check(name + ": checksums", not now.wrong, now.wrong)
    was = set(as_it_came(capture, reading).kinds)
    if was & REPEATS:
        was |= REPEATS
    check(name + ": no new kind of fault", now.kinds <= was | set(allowed), "%s beyond %s" % (sorted(now.kinds - was), sorted(was)))
    check(name + ": in the order of time", now.times == sorted(now.times))
    return last


def compiles():
    r = subprocess.run([weir, "cc", "-Wall", "-Wextra", "-Werror", "-o", driver, "tests/e2e/replay_edits.c", "drivers/common/callouts.c",
                        "drivers/common/parameters.c", "drivers/common/stream.c"], cwd=root, capture_output=True, text=True)
    return check("the driver compiles", r.returncode == 0 and r.stderr == "", r.stderr)


MODES = {"whole indications": 1, "piece by piece": 2, "out of band": 3, "out of band, late": 3, "1,000 bytes at a time": 4}


# What an inspection can do to a stream, whose connection has nothing ready for that: it is not to be edited.
INSPECTING = {"deferred": (0, ["Mode=6", "LateMs=5"]), "1,000 bytes at a time": (0, ["Mode=7"]),
              "bytes put in": (3, ["Mode=2", "Rule=3"])}


def in_turn(turn, how, rule):
    """Is this way of editing the capture's own? All are, in a whole run."""
    return whole_run or (list(MODES)[turn % len(MODES)] == how and rule == 1 + turn // 2 % 2)


def made():
    wrap = (2 ** 32 - 3000, 2 ** 32 - 9000)
    captures = {
        "plain": write(os.path.join(work, "plain.pcap"), [plain()]),
        "lossy": write(os.path.join(work, "lossy.pcap"), [lossy()]),
        "reordered": write(os.path.join(work, "reordered.pcap"), [reordered()]),
        "odd": write(os.path.join(work, "odd.pcap"), [odd()]),
        "wrap": write(os.path.join(work, "wrap.pcap"), [plain(6, isn=wrap, stamps=True), plain(7, six=True, mss=(900, 1220))]),
        "vlan": write(os.path.join(work, "vlan.pcap"), [plain(8, link="vlan")]),
        "raw": write(os.path.join(work, "raw.pcap"), [plain(9, link="raw"), plain(10, link="raw", six=True)], 101),
        "reset": write(os.path.join(work, "reset.pcap"), [reset()]),
    }
    for turn, (name, path) in enumerate(captures.items()):
        last = judge(name + ", inspected", path, 0, ["Mode=0"])
        if last:
            check(name + ", inspected: as it was", last["sums"]["rewritten"] == last["sums"]["made"] == 0, last["sums"])
        for how, mode in MODES.items():
            late = ["LateMs=40"] if how.endswith("late") else []
            for rule in (0, 1, 2):
                if (mode == 2 and rule == 0) or not in_turn(turn, how, rule):
                    continue
                label = "%s, %s, %s" % (name, how, ("the same", "longer", "shorter")[rule])
                judge(label, path, rule, ["Mode=%d" % mode, "Rule=%d" % rule] + late, whole=not (name == "reset" and late))
        for how, (rule, params) in INSPECTING.items():
            judge("%s, %s by an inspection" % (name, how), path, rule, params + ["Inspects=1"], whole=name != "reset")
        if not whole_run and turn % 4 != 0:
            continue
        judge(name + ", deferred", path, 0, ["Mode=6", "LateMs=5"], whole=name != "reset")


def dropped():
    path = write(os.path.join(work, "drop.pcap"), [plain(11)])
    run, out, last = replay("drop", path, ["Mode=5"])
    check("drop: sums", last and sums_hold(last["sums"]), last)
    resets = tshark(out, "-Y", "tcp.flags.reset == 1", "-T", "fields", "-e", "ip.src").split()
    check("drop: both ends are reset", sorted(resets) == ["192.0.2.20", "192.0.2.30"], resets)
    check("drop: what comes later is a consequence", last["sums"]["consequence"] > 10, last["sums"])
    check("drop: checksums", tshark(out, "-Y", "tcp.checksum.status == bad") == "")


def stacks():
    capture, lines = os.path.join(work, "stacks.pcap"), os.path.join(work, "stacks.txt")
    subprocess.run([stack_capture, capture, lines], check=True, timeout=200)
    for how, mode in MODES.items():
        for rule in (0, 1, 2):
            if (rule == 0 and mode == 2) or not in_turn(3, how, rule):
                continue
            judge("two stacks, %s, %s" % (how, ("the same", "longer", "shorter")[rule]), capture, rule,
                  ["Mode=%d" % mode, "Rule=%d" % rule] + (["LateMs=40"] if how.endswith("late") else []), local=("10.0.0.1", "fd00::1"))


# Captures whose streams differ though nothing was edited, and why (doc/streams.md).
EXPLAINED = {
    "tcpdump__tfo-5c1fa7f9ae91.pcap": "data on a SYN that nobody answers are not sent on",
    "zeek__tls_tls13draft16-ff52.a01.pcap": "data behind a reset are not sent on",
    "zeek__tunnels_tunnel-direct-bypass.pcap": "half of it comes through a tunnel, which is payload to the host: holes that nobody fills",
}


def put_back(name, path, out, known=None):
    """What each end sent stays what it was, and no segment has a wrong checksum that had none."""
    cut = as_it_came(path, reading).cut
    before, now = as_it_came(path, streams), reading(out)
    after = streams(out, ids=now.streams)
    if cut:  # what was not captured is a hole in what is made; tshark passes over it in packets that are cut off
        before, after = without_holes(before), without_holes(after)
    differ = [(k, [tuple(map(len, p)) for p in v], [tuple(map(len, p)) for p in after.get(k, [])])
              for k, v in before.items() if v != after.get(k)]
    wrong = now.sums - as_it_came(path, reading).sums
    if known:
        check("%s: %s" % (name, known), differ, "no difference")
    else:
        check(name + ": the same streams", not differ, differ[:3])
    check(name + ": checksums", not wrong, sorted(wrong)[:5])
    return not differ


def put_back_made():
    """Of captures that TCP alone does not make: an editor that takes all bytes out and puts the same ones back."""
    cut = plain(22, stamps=True)
    cut.frames = [(now, data[:150] if n > 3 else data, len(data)) for n, (now, data) in enumerate(cut.frames)]
    captures = {"the answer first": [answer_first(20)], "much of it": [answer_first(20, 900)], "one side": [one_side()],
                "a reason": [reason(23)], "a reason behind a hole": [reason(24, seen=False)], "cut off": [cut]}
    for name, talks in captures.items():
        path = write(os.path.join(work, name.replace(" ", "-") + ".pcap"), talks)
        for late in ([], ["LateMs=20"])[:1 if name.startswith("a reason") else 2]:  # a reset waits for nothing
            run, out, last = replay("put-back", path, ["Mode=3" if late else "Mode=1", "Rule=0"] + late)
            label = "put back%s, %s" % (" late" if late else "", name)
            if check(label + ": rewritten", last and sums_hold(last["sums"]) and last["sums"]["rewritten"] > 2, last):
                put_back(label, path, out)
    judge("the answer first, longer", os.path.join(work, "the-answer-first.pcap"), 1, ["Mode=1", "Rule=1"])
    run, out, last = replay("put-back", os.path.join(work, "one-side.pcap"), ["Mode=1", "Rule=0"])
    fields = ["-T", "fields", "-e", "tcp.seq_raw", "-e", "tcp.ack_raw"]
    check("one side: what it acknowledges", tshark(out, *fields) == tshark(os.path.join(work, "one-side.pcap"), *fields),
          tshark(out, *fields))


def real():
    """An editor that takes all bytes out and puts the same ones back: what each end sent stays what it was."""
    folder = os.path.join(root, "../shared/data/pcaps")
    if not os.path.isdir(folder):
        print("# skipped: no %s" % folder)
        return
    names = sorted(n for n in os.listdir(folder) if re.search(r"\.(pcap|pcapng|cap)$", n))
    rewritten = same = 0
    for name in names[::every]:
        path = os.path.join(folder, name)
        run, out, last = replay("real", path, ["Mode=1", "Rule=0"], ())
        if run.returncode not in (0, 1, 2, 65) or not last or not sums_hold(last["sums"]):  # 65: broken from some packet on
            check(name + ": runs", False, "%d %s %s" % (run.returncode, run.stderr, last.get("sums")))
        elif last["sums"]["rewritten"] != 0:
            rewritten += 1
            same += put_back(name, path, out, EXPLAINED.get(name))
    check("real captures: some were rewritten, and are the same", same > 3, "%d of %d" % (same, rewritten))
    print("# of %d captures %d were rewritten, %d of those carry what they carried" % (len(names[::every]), rewritten, same))


if compiles():
    made()
    dropped()
    stacks()
    put_back_made()
    real()
print("1..%d" % count)
sys.exit(1 if failed else 0)
