#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A driver at the MAC layers (tests/idioms/frames.c) on a capture with ARP, UDP, TCP and ICMP, read by tshark: what the host
sends has a VLAN tag and is otherwise what it was, what it receives is given back as it came, frames that are not IP too;
nothing is lost, doubled or left behind. usage: frames.py SOURCE-DIR WEIR"""
import os
import shutil
import struct
import subprocess
import sys
import tempfile

root, weir = sys.argv[1:3]
work = tempfile.mkdtemp(prefix="weir-frames-")
count = failed = 0
HOST, PEER = bytes([192, 0, 2, 20]), bytes([192, 0, 2, 53])
HOST_MAC, PEER_MAC = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])


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


def ip(number, sent, protocol, body):
    ends = HOST + PEER if sent else PEER + HOST
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), number, 0, 64, protocol, 0) + ends
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + body


def sums(sent, protocol, body, at):
    """The checksum of UDP and TCP, at its place."""
    ends = HOST + PEER if sent else PEER + HOST
    total = checksum(ends + struct.pack(">BBH", 0, protocol, len(body)) + body)
    return body[:at] + struct.pack(">H", total or 0xffff) + body[at + 2:]


def udp(number, sent):
    ports = (40000, 53) if sent else (53, 40000)
    payload = b"%s %d" % (b"question" if sent else b"answer", number)
    return ip(number, sent, 17, sums(sent, 17, struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload, 6))


def tcp(number, sent, flags, seq, ack, payload=b""):
    ports = (50000, 80) if sent else (80, 50000)
    return ip(number, sent, 6, sums(sent, 6, struct.pack(">HHIIBBHHH", *ports, seq, ack, 0x50, flags, 65535, 0, 0) + payload, 16))


def icmp(number, sent):
    body = struct.pack(">BBHHH", 8 if sent else 0, 0, 0, 77, number) + b"echo"
    return ip(number, sent, 1, body[:2] + struct.pack(">H", checksum(body)) + body[4:])


def ethernet(sent, kind, body):
    return (PEER_MAC + HOST_MAC if sent else HOST_MAC + PEER_MAC) + struct.pack(">H", kind) + body


def arp(sent):
    who, whom = ((HOST_MAC, HOST), (PEER_MAC, PEER)) if sent else ((PEER_MAC, PEER), (HOST_MAC, HOST))
    return struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1 if sent else 2) + who[0] + who[1] + whom[0] + whom[1]


def frames():
    """(sent by the host, the frame) in order."""
    out = [(True, ethernet(True, 0x0806, arp(True))), (False, ethernet(False, 0x0806, arp(False)))]
    ips = [(True, udp(1, True)), (False, udp(2, False)), (True, udp(3, True)), (False, udp(4, False)), (True, icmp(5, True)),
           (False, icmp(6, False)), (True, tcp(7, True, 0x02, 100, 0)), (False, tcp(8, False, 0x12, 900, 101)),
           (True, tcp(9, True, 0x10, 101, 901)), (True, tcp(10, True, 0x18, 101, 901, b"GET / HTTP/1.0\r\n\r\n")),
           (False, tcp(11, False, 0x18, 901, 119, b"HTTP/1.0 200 OK\r\n\r\nhello")), (True, tcp(12, True, 0x11, 119, 925)),
           (False, tcp(13, False, 0x11, 925, 120)), (True, tcp(14, True, 0x10, 120, 926))]
    return out + [(sent, ethernet(sent, 0x0800, p)) for sent, p in ips] + [(False, ethernet(False, 0x88cc, b"\x02\x07lldp"))]


def write(path, packets):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for n, data in enumerate(packets):
            f.write(struct.pack("<IIII", 1000, n * 20000, len(data), len(data)) + data)


FIELDS = ["eth.src", "eth.dst", "vlan.id", "vlan.etype", "eth.type", "ip.src", "ip.id", "_ws.col.Protocol", "frame.len",
          "ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "tcp.payload", "udp.payload", "arp.opcode",
          "_ws.expert.message"]


def tshark(path):
    run = subprocess.run(["tshark", "-r", path, "-n", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o",
                          "tcp.check_checksum:TRUE", "-T", "fields"] + [a for f in FIELDS for a in ("-e", f)],
                         capture_output=True, text=True)
    return [dict(zip(FIELDS, (line + "\t" * len(FIELDS)).split("\t"))) for line in run.stdout.split("\n") if line.strip("\t")]


def replay(name, image, *more):
    out = os.path.join(work, name + ".pcapng")
    run = subprocess.run([weir, "replay", os.path.join(work, "in.pcap"), "-w", out, "--local", "192.0.2.20", "--driver", image] +
                         list(more), capture_output=True, text=True, env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    return out, run


def without_tag(p):
    """What a packet is, but for its tag and for where tshark says the type behind one."""
    q = {k: v for k, v in p.items() if k not in ("vlan.id", "vlan.etype", "eth.type", "frame.len")}
    q["type"] = p["vlan.etype"] or p["eth.type"]
    q["size"] = int(p["frame.len"]) - (4 if p["vlan.id"] else 0)
    return q


def one(compiler):
    image = os.path.join(work, "frames-%s.so" % compiler)
    r = subprocess.run([weir, "cc", "--cc=" + compiler, "-Wall", "-Wextra", "-Werror", "-o", image] +
                       [os.path.join(root, f) for f in ("tests/idioms/frames.c", "drivers/common/callouts.c",
                                                        "drivers/common/parameters.c")], capture_output=True, text=True)
    check(compiler + ": it compiles", r.returncode == 0, r.stderr)
    if r.returncode != 0:
        return
    before = tshark(os.path.join(work, "in.pcap"))
    out, run = replay(compiler, image, "--param", "Vlan=42")
    check(compiler + ": it runs and leaves nothing behind", run.returncode == 0, run.stdout + run.stderr)
    after = tshark(out)
    check(compiler + ": as many frames", len(after) == len(before) == len(frames()), "%d, %d" % (len(before), len(after)))
    for n, ((sent, frame), was, now) in enumerate(zip(frames(), before, after), 1):
        title = "%s: frame %d" % (compiler, n)
        check(title + (" is tagged" if sent else " is as it was"),
              now["vlan.id"] == ("42" if sent else "") and (sent or now == was), "%s\n%s" % (was, now))
        check(title + " is otherwise the same", without_tag(now) == without_tag(was), "%s\n%s" % (was, now))
        check(title + ": sums are right", all(now[k] in ("", "1") for k in FIELDS if k.endswith("checksum.status")), now)
    with open(os.path.join(work, "in.pcap"), "rb") as f:
        was = f.read()
    received = [frame for sent, frame in frames() if not sent]
    with open(out, "rb") as f:
        now = f.read()
    check(compiler + ": what was received stands there to the byte", all(frame in now and frame in was for frame in received))
    again, run = replay(compiler + "-again", image, "--param", "Vlan=42")
    check(compiler + ": twice the same", open(again, "rb").read() == now)
    # Absorbed and let go of: what is received is gone, and what follows from it is not sent.
    out, run = replay(compiler + "-drop", image, "--param", "Drop=1")
    check(compiler + ": dropping runs, and says that packets are gone", run.returncode == 1, run.stdout + run.stderr)
    after = tshark(out)
    check(compiler + ": nothing that was dropped is written", len(after) > 0 and all(p["vlan.id"] == "42" for p in after), after)
    check(compiler + ": the host's own questions are", sum(p["arp.opcode"] == "1" for p in after) == 1 and
          sum("question" in bytes.fromhex(p["udp.payload"] or "").decode("latin1") for p in after) == 2, after)


def main():
    if shutil.which("tshark") is None:
        print("1..0 # SKIP tshark is not installed")
        return 0
    write(os.path.join(work, "in.pcap"), [frame for _, frame in frames()])
    for compiler in ("gcc", "clang"):
        if shutil.which(compiler):
            one(compiler)
    print("1..%d" % count)
    shutil.rmtree(work, ignore_errors=True)
    return 1 if failed else 0


sys.exit(main())
