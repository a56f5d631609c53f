#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir replay with the reference driver that leads connections elsewhere (drivers/redirect), on the demo's capture, at once
and by its worker. tshark reads input and output: each packet of a redirected connection is there with the new remote end,
both ways, everything else of it as it was, its checksums right; every other packet is as it was; conversations are whole.
usage: redirect.py SOURCE-DIR WEIR FOLDER-OF-IMAGES"""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

root, weir, images = sys.argv[1:4]
demo = os.path.join(root, "data/demo/demo.pcap")
HOST = "192.0.2.20"
NEW = ("198.51.100.77", "8443")
DRIVER = next((p for p in (os.path.join(images, "redirect-%s.so" % c) for c in ("gcc", "clang")) if os.path.exists(p)), None)
work = tempfile.mkdtemp(prefix="weir-redirect-")
count = failed = 0


def check(name, good, text=""):
    global count, failed
    count += 1
    if not good:
        failed += 1
    print("%s %d - %s%s" % ("ok" if good else "not ok", count, name, "" if good else "\n# " + str(text)[:1500].replace("\n", "\n# ")))


FIELDS = ["ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "ip.proto", "tcp.seq_raw",
          "tcp.ack_raw", "tcp.flags", "tcp.payload", "udp.payload", "ip.checksum.status", "tcp.checksum.status",
          "udp.checksum.status", "frame.len", "ip.flags.mf", "ip.frag_offset", "icmp.type"]


def tshark(file):
    run = subprocess.run(["tshark", "-r", file, "-n", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o",
                          "udp.check_checksum:TRUE", "-o", "ip.defragment:FALSE", "-T", "fields", "-E", "occurrence=f"] +
                         [a for f in FIELDS for a in ("-e", f)], capture_output=True, text=True)
    return [dict(zip(FIELDS, (line + "\t" * len(FIELDS)).split("\t"))) for line in run.stdout.split("\n") if line]


def conversations(file, kind):
    run = subprocess.run(["tshark", "-r", file, "-n", "-q", "-z", "conv," + kind], capture_output=True, text=True)
    return re.findall(r"^(\d+\.\d+\.\d+\.\d+):(\d+)\s+<->\s+(\d+\.\d+\.\d+\.\d+):(\d+)", run.stdout, re.M)


def replay(name, values):
    out, log = os.path.join(work, name + ".pcapng"), os.path.join(work, name + ".jsonl")
    run = subprocess.run([weir, "replay", demo, "-w", out, "--json", log, "--driver", DRIVER, "--local", HOST, "--local",
                          "2001:db8::20"] + [a for v in values for a in ("--param", v)], capture_output=True, text=True, timeout=120)
    return run, out, [json.loads(line) for line in open(log) if line.strip()]


def ends(p):
    """(protocol, source, port, destination, port) of TCP and UDP that is whole and names both; else None."""
    kind = {"6": "tcp", "17": "udp"}.get(p["ip.proto"])
    if kind is None or p["icmp.type"] or p["ip.flags.mf"] in ("1", "True") or p["ip.frag_offset"] not in ("", "0"):
        return None
    return kind, p["ip.src"], p[kind + ".srcport"], p["ip.dst"], p[kind + ".dstport"]


def outbound(events):
    """Which connections of the host's own were redirected: {(protocol, local port, remote, remote port)}."""
    found = {}
    for e in events:
        if e.get("event") == "flow" and e.get("change") == "redirected":
            found[(e["protocol_name"].lower(), str(e["asked_local_port"]), e["asked_remote_address"],
                   str(e["asked_remote_port"]))] = e
    return found


def rewritten(p, asked):
    """The packet with the ends that it is to have."""
    e = ends(p)
    if e is None:
        return p
    kind, src, sport, dst, dport = e
    p = dict(p)
    if src == HOST and (kind, sport, dst, dport) in asked:
        p["ip.dst"], p[kind + ".dstport"] = NEW
    elif dst == HOST and (kind, dport, src, sport) in asked:
        p["ip.src"], p[kind + ".srcport"] = NEW
    return p


def shown(p):
    return tuple(p[f] for f in FIELDS if not f.endswith(".status"))


def bad_sums(packets):
    return collections.Counter(f for p in packets for f in FIELDS if f.endswith(".status") and p[f] in ("0", "Bad"))


def run(name, values):
    done, out, events = replay(name, ["To4=%s:%s" % NEW] + values)
    check(name + ": exit status", done.returncode == 0, done.stderr + done.stdout[-800:])
    asked = outbound(events)
    check(name + ": some were redirected", len([k for k in asked if k[0] == "tcp"]) >= 3, asked.keys())
    check(name + ": the events say to where", all((e["remote_address"], str(e["remote_port"])) == NEW and e["redirected_by"] > 0
                                                  for e in asked.values()), asked)
    check(name + ": the table says so", "redirected; asked for" in done.stdout, done.stdout[-1500:])
    before, after = tshark(demo), tshark(out)
    want = collections.Counter(shown(rewritten(p, asked)) for p in before)
    have = collections.Counter(shown(p) for p in after)
    check(name + ": nothing else is written", not have - want, list((have - want).items())[:2])
    lost = want - have
    held = 0 if not values else sum(n for s, n in lost.items() if s[FIELDS.index("ip.proto")] == "17")
    check(name + ": nothing is lost", sum(lost.values()) == held, list(lost.items())[:3])
    check(name + ": no checksum is worse", not bad_sums(after) - bad_sums(before), (bad_sums(before), bad_sums(after)))
    for kind in ("tcp", "udp"):
        old = {(a, b, c, d) for a, b, c, d in conversations(out, kind)}
        gone = [k for k in asked if k[0] == kind and ((HOST, k[1], k[2], k[3]) in old or (k[2], k[3], HOST, k[1]) in old)]
        check("%s: no %s conversation with whom it asked for" % (name, kind), not gone, gone)
        new = [k for k in asked if k[0] == kind and (HOST, k[1]) + NEW not in old and NEW + (HOST, k[1]) not in old]
        if kind == "tcp":
            check("%s: each has one with the new end" % name, not new, new)
    return done


if DRIVER is None:
    print("1..0 # SKIP no image of drivers/redirect")
    sys.exit(0)
first = run("at once", [])
second = replay("again", ["To4=%s:%s" % NEW])
check("the same twice", open(os.path.join(work, "at once.pcapng"), "rb").read() == open(second[1], "rb").read())
run("by the worker", ["DelayMs=20"])
print("1..%d" % count)
sys.exit(1 if failed else 0)
