#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two drivers in one engine, each of which absorbs what the other injects (tests/idioms/ball.c, twice): a packet of one is
absorbed, injected and seen again by the other; loops are bounded, reported with both names, and every packet is
accounted for (INJ-17). usage: pairs.py SOURCE-DIR WEIR"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

root, weir = sys.argv[1:3]
work = tempfile.mkdtemp(prefix="weir-pairs-")
count = failed = 0
CAP = 64
PACKETS = 100


def check(name, good, text=""):
    global count, failed
    count += 1
    failed += not good
    print("%s %d - %s%s" % ("ok" if good else "not ok", count, name, "" if good else "\n# " + str(text)[:1500].replace("\n", "\n# ")))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def datagram(number, answer=False, port=40000):
    """Ethernet, IPv4, UDP from the host to a server, or back; each with bytes of its own."""
    ends = bytes([192, 0, 2, 53, 192, 0, 2, 20] if answer else [192, 0, 2, 20, 192, 0, 2, 53])
    payload = (b"answer %d" if answer else b"question %d") % number
    udp = struct.pack(">HHHH", *((53, port) if answer else (port, 53)), 8 + len(payload), 0) + payload
    udp = udp[:6] + struct.pack(">H", checksum(ends + struct.pack(">BBH", 0, 17, len(udp)) + udp) or 0xffff) + udp[8:]
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), number, 0, 64, 17, 0) + ends
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return bytes(12) + b"\x08\x00" + ip + udp


def make_capture(path, step, answered=0):
    """A question each `step` microseconds; with answers so many microseconds later each has a port of its own."""
    frames = []
    for n in range(PACKETS):
        port = 40000 + n if answered else 40000
        frames.append((n * step, datagram(n, port=port)))
        if answered:
            frames.append((n * step + answered, datagram(n, True, port)))
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for us, data in sorted(frames):
            f.write(struct.pack("<IIII", 1000 + us // 1000000, us % 1000000, len(data), len(data)) + data)


def compile_player(compiler, side):
    os.makedirs(os.path.join(work, compiler), exist_ok=True)
    out = os.path.join(work, compiler, side + ".so")
    sources = ["tests/idioms/ball.c", "drivers/common/callouts.c", "drivers/common/parameters.c"]
    r = subprocess.run([weir, "cc", "--cc=" + compiler, "-Wall", "-Wextra", "-Werror", "-o", out] +
                       (["-DRIGHT"] if side == "right" else []) + sources, cwd=root, capture_output=True, text=True)
    check("%s: the %s one compiles" % (compiler, side), r.returncode == 0 and r.stderr == "", r.stderr)
    return out


def play(left, right, of_left, of_right, step=1000):
    capture, out = os.path.join(work, "in.pcap"), os.path.join(work, "out.pcapng")
    make_capture(capture, step)
    args = [weir, "replay", capture, "--local", "192.0.2.20", "-w", out]
    for image, values in ((left, of_left), (right, of_right)):
        args += ["--driver", image]
        for v in values:
            args += ["--param", v]
    r = subprocess.run(args, capture_output=True, text=True, timeout=120, env=dict(os.environ, LC_ALL="C"))
    sums = re.search(r"^(\d+) in \+ (\d+) injected = (\d+) out \+ (\d+) dropped \+ (\d+) absorbed \+ (\d+) consequence \+ (\d+) held$",
                     r.stdout, re.M)
    names = ("in", "injected", "out", "dropped", "absorbed", "consequence", "held")
    return r, dict(zip(names, map(int, sums.groups()))) if sums else {}, out


def accounted(s):
    return s and s["in"] + s["injected"] == s["out"] + s["dropped"] + s["absorbed"] + s["consequence"] + s["held"]


def payloads(file):
    r = subprocess.run(["tshark", "-r", file, "-n", "-o", "udp.check_checksum:TRUE", "-T", "fields", "-e", "udp.payload", "-e",
                        "udp.checksum.status"], capture_output=True, text=True)
    return [tuple(line.split("\t")) for line in r.stdout.split("\n") if line]


EACH_ONCE = sorted((b"question %d" % n).hex() for n in range(PACKETS))
NOTE = re.compile(r"^note: (\S+): a packet was injected (\d+) times, last by (\w+), before by (\w+): dropped: called by "
                  r"FwpsInjectNetworkSendAsync0 at ball\.c:\d+ \(player_throw\)$", re.M)


def polite(name, left, right):
    """Clones say whose they are: each takes each packet once."""
    r, s, out = play(left, right, [], [])
    check(name + ": exit status", r.returncode == 0, "%d %s" % (r.returncode, r.stderr))
    check(name + ": each packet once, as it was", sorted(p for p, _ in payloads(out)) == EACH_ONCE and
          all(status == "1" for _, status in payloads(out)), payloads(out)[:3])
    check(name + ": sums", accounted(s) and s["out"] == PACKETS and s["held"] == 0, r.stdout)
    check(name + ": both had them", "%d were kept and injected again" % PACKETS in r.stdout, r.stdout)
    check(name + ": no loop", "dropped:" not in r.stderr, r.stderr)


def loop(name, left, right, values, both):
    r, s, out = play(left, right, values, values)
    check(name + ": exit status", r.returncode == 1, "%d %s" % (r.returncode, r.stderr[-800:]))
    notes = NOTE.findall(r.stderr)
    check(name + ": each is reported once, with the names", len(notes) == PACKETS and all(
        int(n) == CAP and ({last, before} == {"left", "right"} if both else last == before) and image == last + ".so"
        for image, n, last, before in notes), r.stderr[:800])
    check(name + ": sums", accounted(s) and s["out"] == 0 and s["held"] == 0, r.stdout)
    # Of the frame one more is injected than may come again; a clone stands for the frame, a copy for itself.
    check(name + ": as often as may be", s and PACKETS * CAP <= s["injected"] <= PACKETS * (CAP + 1), s)


def wide(name, left, right):
    """Each takes what the other has taken: two of each at every turn."""
    values = ["Blind=1", "Greedy=1"]
    r, s, _ = play(left, right, values, values)
    check(name + ": comes to an end", r.returncode in (0, 1) and accounted(s), "%d %s" % (r.returncode, r.stderr[-800:]))
    check(name + ": is reported", "a packet was injected" in r.stderr and ": dropped" in r.stderr, r.stderr[:500])


def silent(name, left, right):
    """The second drops what the first makes: no loop, however long it goes on."""
    r, s, _ = play(left, right, ["Copies=1"], ["Silent=1"])
    check(name + ": no loop", r.returncode == 1 and "dropped:" not in r.stderr, "%d %s" % (r.returncode, r.stderr))
    check(name + ": sums", accounted(s) and s["injected"] == s["dropped"] == s["absorbed"] == PACKETS, r.stdout)


def late(name, left, right):
    """A millisecond a turn, one packet a second: the loop takes virtual time."""
    r, s, _ = play(left, right, ["Copies=1", "LateMs=1"], ["Copies=1", "LateMs=1"], step=1000000)
    check(name + ": all but the last are capped", r.returncode == 1 and len(NOTE.findall(r.stderr)) >= PACKETS - 1,
          "%d %s" % (len(NOTE.findall(r.stderr)), r.stderr[-300:]))
    check(name + ": sums", accounted(s), r.stdout)


def twice(name, left, right):
    args = (left, right, ["Blind=1", "Copies=1"], ["Blind=1", "Copies=1"])
    one, two = play(*args), play(*args)
    check(name + ": the same twice", (one[0].stdout, one[0].stderr) == (two[0].stdout, two[0].stderr))


def answers(name, image, values, late_ms, questions, answers_pass):
    """A driver that keeps nothing but its own copy: the answers follow from the copy, and come as late as that was."""
    capture, out = os.path.join(work, "answers.pcap"), os.path.join(work, "answers.pcapng")
    make_capture(capture, 5000, 20000)
    args = [weir, "replay", capture, "--local", "192.0.2.20", "-w", out, "--driver", image]
    for v in values:
        args += ["--param", v]
    r = subprocess.run(args, capture_output=True, text=True, timeout=120)
    read = subprocess.run(["tshark", "-r", out, "-n", "-T", "fields", "-e", "frame.time_epoch", "-e", "udp.srcport", "-e", "udp.dstport"],
                          capture_output=True, text=True).stdout.split("\n")
    at = {}
    for line in read:
        if line:
            time, source, destination = line.split("\t")
            at[int(source), int(destination)] = float(time) - 1000
    asked = [at.get((40000 + n, 53)) for n in range(PACKETS)]
    came = [at.get((53, 40000 + n)) for n in range(PACKETS)]

    def late(n, us):
        return abs(us - (n * 0.005 + late_ms / 1000)) < 0.0005
    check(name + ": questions", all((t is not None and late(n, t)) if questions else t is None for n, t in enumerate(asked)),
          "%s %s" % (asked[:5], r.stderr))
    check(name + ": answers", all((t is not None and late(n, t - 0.02)) if answers_pass else t is None for n, t in enumerate(came)),
          "%s\n%s" % (came[:5], r.stdout))
    sums = re.search(r"^(\d+) in .* (\d+) absorbed \+ (\d+) consequence \+ (\d+) held$", r.stdout, re.M)
    check(name + ": sums", sums and sums.groups() == ("%d" % (2 * PACKETS), "0" if questions and late_ms == 0 else "%d" % PACKETS,
                                                     "0" if answers_pass else "%d" % PACKETS, "0"), r.stdout)


compilers = [c for c in ("gcc", "clang") if shutil.which(c) is not None]
for c in compilers:
    pair = (compile_player(c, "left"), compile_player(c, "right"))
    if failed:
        break
    polite("clones, " + c, *pair)
    loop("copies, " + c, *pair, ["Copies=1"], True)
    if c != compilers[0]:
        continue
    loop("blind clones", *pair, ["Blind=1"], False)
    loop("blind copies", *pair, ["Blind=1", "Copies=1"], False)
    wide("greedy clones", *pair)
    silent("silent", *pair)
    late("late copies", *pair)
    twice("copies", *pair)
    answers("a copy at once", pair[0], ["Copies=1"], 0, True, True)
    answers("a copy later", pair[0], ["Copies=1", "LateMs=100"], 100, True, True)
    answers("a copy after all patience", pair[0], ["Copies=1", "LateMs=8000"], 8000, True, False)
    answers("no copy", pair[0], ["Drop=1"], 0, False, False)
print("1..%d" % count)
shutil.rmtree(work)
sys.exit(failed != 0)
