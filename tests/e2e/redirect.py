#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir replay with the reference driver that leads connections elsewhere (drivers/redirect), on the demo's capture, at once
and by its worker. tshark reads input and output: each packet of a redirected connection is there with the new remote end,
both ways, everything else of it as it was, its checksums right, and so are those that ICMP errors quote; every other packet is
as it was; conversations are whole. Then on a capture of datagrams in fragments, IPv4 and IPv6, in and out of order, and of ICMP
errors about them: put together by tshark they are what they were, between the new ends, and it complains of nothing.
usage: redirect.py SOURCE-DIR WEIR FOLDER-OF-IMAGES"""
import collections
import ipaddress
import json
import os
import re
import struct
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
          "udp.checksum.status", "icmp.checksum.status", "frame.len", "ip.flags.mf", "ip.frag_offset", "icmp.type"]


def tshark(file):
    run = subprocess.run(["tshark", "-r", file, "-n", "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o",
                          "udp.check_checksum:TRUE", "-o", "ip.defragment:FALSE", "-T", "fields"] +
                         [a for f in FIELDS for a in ("-e", f)], capture_output=True, text=True)
    rows = [[v.split(",") for v in (line + "\t" * len(FIELDS)).split("\t")] for line in run.stdout.split("\n") if line]
    return [dict(zip(FIELDS, [v[0] for v in row]), quoted=tuple(v[-1] for v in row[:2])) for row in rows]


def conversations(file, kind):
    run = subprocess.run(["tshark", "-r", file, "-n", "-q", "-z", "conv," + kind], capture_output=True, text=True)
    return re.findall(r"^(\d+\.\d+\.\d+\.\d+):(\d+)\s+<->\s+(\d+\.\d+\.\d+\.\d+):(\d+)", run.stdout, re.M)


def replay(name, values, demo=demo):
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


def quoting(p, asked):
    """An ICMP error: first its own ends, the ports are those that it quotes."""
    (src, dst), p = p["quoted"], dict(p)
    for kind in ("tcp", "udp"):
        ports = p[kind + ".srcport"], p[kind + ".dstport"]
        for sent in (True, False):
            remote, there, here, field = (dst, ports[1], ports[0], ".dstport") if sent else (src, ports[0], ports[1], ".srcport")
            if (kind, here, remote, there) in asked and HOST in (src, dst):
                p[kind + field] = NEW[1]
                for end in ("ip.src", "ip.dst"):
                    p[end] = NEW[0] if p[end] == remote else p[end]
                return p
    return p


def rewritten(p, asked):
    """The packet with the ends that it is to have."""
    e = ends(p)
    if p["icmp.type"] in ("3", "4", "5", "11", "12"):
        return quoting(p, asked)
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


# ---- fragments, and errors about them

def total(data):
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return s


def address(text):
    return ipaddress.ip_address(text).packed


def summed(src, dst, protocol, body, at):
    """With its checksum, which stands there."""
    pseudo = b"" if protocol == 1 else src + dst + struct.pack(">LL", len(body), protocol)
    body = body[:at] + b"\0\0" + body[at + 2:]
    return body[:at] + struct.pack(">H", ~total(pseudo + body) & 0xffff or 0xffff) + body[at + 2:]


def packets(src, dst, protocol, body, identification, most):
    """The IP packets that carry body, in pieces of at most so many bytes."""
    made = []
    for at in range(0, len(body), most):
        piece, more = body[at:at + most], at + most < len(body)
        if len(src) == 4:
            head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(piece), identification, more << 13 | at // 8, 64, protocol, 0) + src + dst
            made.append(head[:10] + struct.pack(">H", ~total(head) & 0xffff) + head[12:] + piece)
        else:
            split = struct.pack(">BBHL", protocol, 0, at | more, identification) if len(body) > most else b""
            made.append(struct.pack(">LHBB", 6 << 28, len(split + piece), 44 if split else protocol, 64) + src + dst + split + piece)
    return made


def made_capture(file):
    """For each version: a datagram out in pieces, two answers, in and out of order; errors that quote a first fragment, from a
    router and from the other end, and this host's own about an answer."""
    frames = []
    for host, remote, router in (("192.0.2.20", "192.0.2.99", "192.0.2.1"), ("2001:db8::20", "2001:db8::99", "2001:db8::1")):
        here, there, between = address(host), address(remote), address(router)
        six = len(here) == 16
        icmp, kinds = (58, (2, 1, 1)) if six else (1, (3, 3, 3))
        codes = (0, 4, 4) if six else (4, 3, 3)

        def datagram(src, dst, sport, dport, n):
            body = bytes((n * 7 + i * 13) & 255 for i in range(3000))
            return summed(src, dst, 17, struct.pack(">HHHH", sport, dport, 8 + len(body), 0) + body, 6)

        def error(src, dst, which, quoted):
            body = struct.pack(">BBHL", kinds[which], codes[which], 0, 1280 if which == 0 else 0) + quoted[:8 + (120 if six else 68)]
            return packets(src, dst, icmp, summed(src, dst, icmp, body, 2), 900 + which, 4000)[0]

        out = packets(here, there, 17, datagram(here, there, 40000, 47003, 1), 100, 1480 - 40)
        first, second = (packets(there, here, 17, datagram(there, here, 47003, 40000, n), 200 + n, 1480 - 40) for n in (2, 3))
        frames += out + first + [second[2], second[0], second[1]]
        frames += [error(between, here, 0, out[0]), error(there, here, 1, out[0]), error(here, there, 2, first[0])]
    with open(file, "wb") as f:
        f.write(struct.pack("<LHHLLLL", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
        for i, frame in enumerate(frames):
            f.write(struct.pack("<LLLL", 1700000000 + i // 100, i % 100 * 10000, len(frame), len(frame)) + frame)
    return len(frames)


def lines(file, *fields):
    run = subprocess.run(["tshark", "-r", file, "-n", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o",
                          "ip.defragment:TRUE", "-o", "ipv6.defragment:TRUE", "-T", "fields"] + [a for f in fields for a in ("-e", f)],
                         capture_output=True, text=True)
    return run.stdout.split("\n")[:-1] if run.returncode == 0 else [run.stderr]


def pieces(name, values):
    """Decided later, frames come in another order, at other times: they are compared as a heap then."""
    source, in_order = os.path.join(work, "pieces.pcap"), (lambda x: x) if not values else sorted
    n = made_capture(source)
    done, out, events = replay(name, ["To4=%s:%s" % NEW, "To6=[2001:db8::77]:8443", "Ports=string:47003"] + values, source)
    check(name + ": exit status", done.returncode == 0, done.stderr)
    fields = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport")
    was, now = lines(source, *fields), lines(out, *fields)
    check(name + ": each is written", len(was) == len(now) == n, (n, len(was), len(now)))
    now = in_order(now)
    wanted = in_order([re.sub(r"\b47003\b", "8443", line.replace("192.0.2.99", NEW[0]).replace("2001:db8::99", "2001:db8::77")) for line in was])
    check(name + ": between the new ends, quoted ones too", wanted == now and was != now, [p for p in zip(wanted, now) if p[0] != p[1]])
    other = ("udp.length", "udp.payload", "icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code", "ip.ttl", "ip.id", "ipv6.fraghdr.offset",
             "frame.len") + (() if values else ("frame.time_epoch",))
    was, now = in_order(lines(source, *other)), in_order(lines(out, *other))
    check(name + ": all else as it was", was == now and sum(len(x) > 5000 for x in now) == 6, [p for p in zip(was, now) if p[0] != p[1]])
    sums = ("ip.checksum.status", "udp.checksum.status", "icmp.checksum.status", "icmpv6.checksum.status")
    was, now = in_order(lines(source, *sums)), in_order(lines(out, *sums))
    check(name + ": no checksum is wrong", was == now, (was, now))
    check(name + ": they are looked at", sum("1" in line.split("\t")[1] for line in now) >= 6, now)
    expert = ("_ws.expert.severity", "_ws.expert.message")
    was, now = in_order(lines(source, *expert)), in_order(lines(out, *expert))
    check(name + ": tshark complains of nothing else", was == now, now)


if DRIVER is None:
    print("1..0 # SKIP no image of drivers/redirect")
    sys.exit(0)
first = run("at once", [])
second = replay("again", ["To4=%s:%s" % NEW])
check("the same twice", open(os.path.join(work, "at once.pcapng"), "rb").read() == open(second[1], "rb").read())
run("by the worker", ["DelayMs=20"])
pieces("fragments at once", [])
pieces("fragments by the worker", ["DelayMs=20"])
print("1..%d" % count)
sys.exit(1 if failed else 0)
