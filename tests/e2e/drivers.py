#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The reference drivers (drivers/) on the demo's capture: what they count, hold, refuse and change is held against tshark's
reading of input and output. Each run is made twice and must be the same to the byte; no driver may leave anything behind.
usage: drivers.py SOURCE-DIR WEIR FOLDER-OF-IMAGES"""
import collections
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile

root, weir, images = sys.argv[1:4]
HOST = ("192.0.2.20", "2001:db8::20")
LOCAL = ["--local", HOST[0], "--local", HOST[1]]
work = tempfile.mkdtemp(prefix="weir-drivers-")
# Without the datagrams that came or went in pieces, so that packets can be compared one by one: in_pieces() has those.
demo = os.path.join(work, "demo.pcap")
subprocess.run(["tshark", "-r", os.path.join(root, "data/demo/demo.pcap"), "-o", "ip.defragment:FALSE", "-Y",
                "!(ip.flags.mf == 1 || ip.frag_offset > 0)", "-F", "pcap", "-w", demo], check=True, capture_output=True)
problems = []
passed = 0


def check(name, good, text=""):
    global passed
    if good:
        passed += 1
    else:
        problems.append("%s: %s" % (name, text))


def path(name):
    return os.path.join(work, name)


def image(name, compiler):
    return os.path.join(images, "%s-%s.so" % (name, compiler))


def compilers():
    return [c for c in ("gcc", "clang") if os.path.exists(image("inquire", c))]


def parameters(values):
    return [a for name, value in values.items() for a in ("--param", "%s=%s" % (name, value))]


def replay(name, driver, values, more=(), status=0, twice=True, capture=None):
    """(packets of the output by tshark, events, standard output). Twice, the same."""
    runs = []
    for turn in range(2 if twice else 1):
        out, log = path("%s-%d.pcapng" % (name, turn)), path("%s-%d.jsonl" % (name, turn))
        run = subprocess.run([weir, "replay", capture or demo, "-w", out, "--json", log, "--driver", driver] + parameters(values) + LOCAL +
                             list(more), capture_output=True, text=True)
        check(name + ": exit status", run.returncode == status,
              "%d, expected %d\n%s%s" % (run.returncode, status, run.stdout[-600:], run.stderr[-1500:]))
        said = run.stdout.replace(out, "OUT"), run.stderr
        runs.append((open(out, "rb").read() if os.path.exists(out) else b"", open(log).read() if os.path.exists(log) else "",
                     *said))
    if twice:
        check(name + ": the same twice", runs[0] == runs[1], "two runs differ")
    events = []
    for line in runs[0][1].split("\n"):
        if line:
            events.append(json.loads(line))
    return path("%s-0.pcapng" % name), events, runs[0][2] + runs[0][3]


FIELDS = ["frame.number", "frame.time_epoch", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "ip.proto",
          "ipv6.nxt", "udp.srcport", "udp.dstport", "tcp.srcport", "tcp.dstport", "udp.payload", "udp.checksum.status",
          "ip.checksum.status", "ip.dsfield.dscp", "ipv6.tclass.dscp", "ip.len", "frame.len", "tcp.flags.syn", "tcp.flags.ack",
          "tcp.payload", "icmp.type", "icmpv6.type"]


def tshark(file):
    """One dictionary a packet; of a header that is quoted within an ICMP error only the outer values."""
    run = subprocess.run(["tshark", "-r", file, "-n", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-o",
                          "ip.defragment:FALSE", "-T", "fields"] + [a for f in FIELDS for a in ("-e", f)],
                         capture_output=True, text=True)
    packets = []
    for line in run.stdout.split("\n"):
        if line:
            values = (line + "\t" * len(FIELDS)).split("\t")
            packets.append({f: values[i].split(",")[0] for i, f in enumerate(FIELDS)})
    return packets


def source(p):
    return p["ip.src"] or p["ipv6.src"]


def is_ip(p):
    return source(p) != ""


def protocol(p):
    names = p["frame.protocols"].split(":")
    for n in names[names.index("ip") + 1 if "ip" in names else names.index("ipv6") + 1:] if is_ip(p) else []:
        if n in ("tcp", "udp", "icmp", "icmpv6"):
            return n
    return ""


def summary(events):
    return next(e for e in events if e.get("event") == "summary")


def plain():
    """Without a driver."""
    out = path("plain.pcapng")
    subprocess.run([weir, "replay", "-q", demo, "-w", out] + LOCAL, check=True)
    return out


# ---- statistics: counts, and changes nothing

LAYERS = {"INBOUND_IPPACKET_V4": 0, "INBOUND_IPPACKET_V6": 2, "OUTBOUND_IPPACKET_V4": 4, "OUTBOUND_IPPACKET_V6": 6,
          "INBOUND_TRANSPORT_V4": 12, "INBOUND_TRANSPORT_V6": 14, "OUTBOUND_TRANSPORT_V4": 16, "OUTBOUND_TRANSPORT_V6": 18,
          "STREAM_V4": 20, "STREAM_V6": 22, "DATAGRAM_DATA_V4": 24, "DATAGRAM_DATA_V6": 26,
          "ALE_AUTH_RECV_ACCEPT_V4": 44, "ALE_AUTH_RECV_ACCEPT_V6": 46, "ALE_AUTH_CONNECT_V4": 48, "ALE_AUTH_CONNECT_V6": 50}
NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}


def statistics(compiler, plain_output, capture):
    name = "statistics, " + compiler
    out, events, said = replay(name, image("statistics", compiler), {},
                               ["--control", "open \\\\.\\Statistics", "--control", "wait end", "--control", "control 126000 - 20000", "--control", "close"])
    check(name + ": output", open(out, "rb").read() == open(plain_output, "rb").read(), "differs from that without the driver")
    answers = [line for line in said.split("\n") if line.startswith("control 126000")]
    data = bytes.fromhex(answers[0].split()[-1]) if answers and answers[0].split()[-1] not in ("0",) else b""
    check(name + ": answer", data and len(data) % 24 == 0, said[:400])
    counts = {}
    for layer, number, _, indications, size in struct.iter_unpack("<HHIQQ", data[:len(data) // 24 * 24]):
        counts[layer, number] = (indications, size)

    def expect(layer, number, wanted, what):
        check("%s: %s" % (name, what), counts.get((LAYERS[layer], number), (0, 0))[0] == wanted,
              "%s at %s, tshark has %d" % (counts.get((LAYERS[layer], number)), layer, wanted))

    whole = [p for p in capture if is_ip(p)]
    for version, tag in (("ip", "V4"), ("ipv6", "V6")):
        for proto in ("tcp", "udp"):
            sent = sum(1 for p in whole if protocol(p) == proto and p[version + ".src"] == HOST[tag == "V6"])
            came = sum(1 for p in whole if protocol(p) == proto and p[version + ".src"] not in ("", HOST[tag == "V6"]))
            expect("OUTBOUND_IPPACKET_" + tag, NUMBERS[proto], sent, "sent %s by %s" % (proto, version))
            expect("INBOUND_IPPACKET_" + tag, NUMBERS[proto], came, "received %s by %s" % (proto, version))
            expect("OUTBOUND_TRANSPORT_" + tag, NUMBERS[proto], sent, "sent %s at transport" % proto)
    closed = sum(1 for p in whole if p["icmp.type"] == "3" and source(p) == HOST[0])
    dns = sum(1 for p in whole if p["ip.src"] and protocol(p) == "udp")
    expect("DATAGRAM_DATA_V4", 17, dns - closed, "datagrams")
    classified = collections.Counter(e["layer"] for e in events if e.get("event") == "classify")
    for layer in LAYERS:
        told = sum(n for (i, _), (n, _) in counts.items() if i == LAYERS[layer])
        check("%s: %s by events" % (name, layer), told == classified["FWPM_LAYER_" + layer],
              "the driver counted %d, the events %d" % (told, classified["FWPM_LAYER_" + layer]))
    payload = sum(len(p["tcp.payload"]) // 2 for p in whole if p["ip.src"])
    told = counts.get((LAYERS["STREAM_V4"], 6), (0, 0))[1]
    check(name + ": bytes of streams", 0 < told <= payload, "%d, tshark has %d with what was sent again" % (told, payload))


# ---- inquire: answers come late

def connections(packets):
    """First packet of each TCP connection and UDP conversation of the host's, by what tshark reads: key -> packet."""
    first = {}
    for p in packets:
        proto = protocol(p)
        if proto not in ("tcp", "udp") or p["frame.protocols"].count("ip") + p["frame.protocols"].count("ipv6") > 2:
            continue
        ends = [(source(p), p[proto + ".srcport"]), (p["ip.dst"] or p["ipv6.dst"], p[proto + ".dstport"])]
        first.setdefault((proto, frozenset(ends)), p)
    return first


def inquire_late(compiler, capture):
    """All are permitted, a fifth of a second late: the same packets, each flow's first later by that."""
    name = "inquire, " + compiler
    out, events, said = replay(name, image("inquire", compiler), {"DelayMs": 200})
    after = tshark(out)
    s = summary(events)
    check(name + ": nothing refused", s["fates"]["blocked"] == 0 and s["fates"]["held"] == 0, str(s["fates"]))
    was, now = connections(capture), connections(after)
    check(name + ": no connection is lost", set(was) == set(now), "lost %s, new %s" % (set(was) - set(now), set(now) - set(was)))
    check(name + ": no packet is lost", len(after) == len(capture), "%d of %d" % (len(after), len(capture)))
    late = {key: float(now[key]["frame.time_epoch"]) - float(was[key]["frame.time_epoch"]) for key in was if key in now}
    held = [key for key, seconds in late.items() if abs(seconds - 0.2) < 0.001]
    check(name + ": connections are held so long", len(held) >= 20 and
          all(abs(seconds - 0.2) < 0.001 or abs(seconds) < 0.0000005 for seconds in late.values()),
          "%d of %d by 0.2 s; others %s" % (len(held), len(late), {k: v for k, v in late.items() if k not in held}))
    waits = [e for e in events if e.get("event") == "classify" and e["layer"].startswith("FWPM_LAYER_ALE_AUTH_CONNECT") and
             e.get("cause") not in ("initial", None)]
    check(name + ": completions are classified again", len(waits) >= 10, "%d" % len(waits))


def inquire_refuses(compiler, capture):
    """A port and a protocol are refused: nothing of them is in the output, all else is."""
    name = "inquire refuses, " + compiler
    out, events, _ = replay(name, image("inquire", compiler),
                            {"DelayMs": 50, "RefusePorts": "8443,8005", "RefuseProtocols": "string:1"}, status=1)
    after = tshark(out)
    fates = summary(events)["fates"]

    def refused(p):
        return protocol(p) == "icmp" and p["icmp.type"] in ("0", "8") or \
            protocol(p) == "tcp" and ("8443" in (p["tcp.srcport"], p["tcp.dstport"]) or
                                      "8005" in (p["tcp.srcport"], p["tcp.dstport"]))
    there = [p["frame.number"] for p in after if refused(p)]
    check(name + ": refused ones are gone", not there, "frames %s of the output" % there[:5])
    # What answers to an echo that was never received, and fragments of it, are gone too; all else is there.
    kept = [p for p in capture if not refused(p) and protocol(p) in ("tcp", "udp", "icmpv6", "")]
    left = [p for p in after if protocol(p) in ("tcp", "udp", "icmpv6", "")]
    check(name + ": the others are there", len(left) == len(kept), "%d of %d" % (len(left), len(kept)))
    check(name + ": table", fates["blocked"] > 0 and fates["consequence"] > 0, str(fates))
    check(name + ": accounts", sum(fates.values()) == len(capture), str(fates))


# ---- rewrite, transform: other bytes, right sums

def text_of(p):
    return bytes.fromhex(p["udp.payload"]) if protocol(p) == "udp" else b""


def rewrite_dscp(compiler, capture):
    name = "rewrite DSCP, " + compiler
    out, events, _ = replay(name, image("rewrite", compiler), {"Dscp": 46})
    after = tshark(out)
    wrong = [p["frame.number"] for p in after if source(p) in HOST and (p["ip.dsfield.dscp"] or p["ipv6.tclass.dscp"]) != "46"]
    check(name + ": all that is sent is marked", not wrong, "frames %s are not" % wrong[:5])
    other = [p["frame.number"] for p in after if is_ip(p) and source(p) not in HOST and
             (p["ip.dsfield.dscp"] or p["ipv6.tclass.dscp"]) == "46"]
    check(name + ": nothing else", not other, "frames %s are marked" % other[:5])
    sums = [p["frame.number"] for p in after if p["ip.checksum.status"] not in ("", "1")]
    check(name + ": IP's sums", not sums, "wrong in frames %s" % sums[:5])
    check(name + ": no packet is lost", len(after) == len(capture), "%d of %d" % (len(after), len(capture)))


def replaced(name, driver, compiler, capture, find, put):
    out, events, _ = replay(name, image(driver, compiler), {"Find": find, "Replace": put})
    after = tshark(out)
    # What comes to a closed port (its answer quotes it) never gets so far as to a socket's layer.
    closed = {p["udp.srcport"] for p in capture if p["icmp.type"] == "3" and source(p) == HOST[0]}
    before_text = sorted(text_of(p) if source(p) not in HOST and p["udp.srcport"] in closed else
                         text_of(p).replace(find.encode(), put.encode()) for p in capture if protocol(p) == "udp")
    after_text = sorted(text_of(p) for p in after if protocol(p) == "udp")
    changed = sum(1 for p in capture if find.encode() in text_of(p))
    check(name + ": the capture has what is looked for", changed >= 6, "%d datagrams" % changed)
    check(name + ": payloads", before_text == after_text, "%d of %d as expected" % (
        sum((collections.Counter(before_text) & collections.Counter(after_text)).values()), len(before_text)))
    # Of those that were changed: the capture's own sums were left to an adapter.
    bad = [p["frame.number"] for p in after if put.encode() in text_of(p) and p["udp.checksum.status"] != "1"]
    check(name + ": UDP's sums", not bad, "wrong in frames %s" % bad[:5])
    bad = [p["frame.number"] for p in after if p["ip.checksum.status"] not in ("", "1")]
    check(name + ": IP's sums", not bad, "wrong in frames %s" % bad[:5])
    check(name + ": no packet is lost", len(after) == len(capture), "%d of %d" % (len(after), len(capture)))


# ---- datagrams in fragments: what a driver changes goes out in fragments again, whole and right

PEER = ("198.51.100.9", "2001:db8:1::9")


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def pieces_of(source, destination, ports, payload, number):
    """Ethernet frames of a UDP datagram, as a link of 1,500 bytes takes it."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    size = 8 + len(payload)
    header = struct.pack(">HHH", *ports, size)
    total = checksum(ends + struct.pack(">II", size, 17) + header + b"\0\0" + payload)
    datagram = header + struct.pack(">H", total or 0xffff) + payload
    frames, most = [], 1480 if family == socket.AF_INET else 1448
    for at in range(0, size, most):
        piece, last = datagram[at:at + most], at + most >= size
        if family == socket.AF_INET:
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(piece), number, at // 8 | (0 if last else 0x2000), 64, 17, 0) + ends
            ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
        else:
            ip = struct.pack(">IHBB", 6 << 28, 8 + len(piece), 44, 64) + ends + struct.pack(">BBHI", 17, 0, at | (not last), number)
        frames.append(bytes(12) + (b"\x08\x00" if family == socket.AF_INET else b"\x86\xdd") + ip + piece)
    return frames


def whole(file):
    """Datagrams as tshark puts them together: (source, payload, sum is right, length of the longest frame that was sent)."""
    run = subprocess.run(["tshark", "-r", file, "-n", "-o", "udp.check_checksum:TRUE", "-T", "fields", "-e", "ip.src", "-e",
                          "ipv6.src", "-e", "udp.payload", "-e", "udp.checksum.status", "-e", "frame.len"],
                         capture_output=True, text=True)
    lines = [line.split("\t") for line in run.stdout.split("\n") if line]
    longest = max(int(v[4]) for v in lines if (v[0] or v[1]) in HOST)
    return [(v[0] or v[1], bytes.fromhex(v[2]), v[3] == "1") for v in lines if v[2]], longest


def in_pieces(compiler):
    file = path("pieces.pcap")
    text = (b"." * 700 + b"northwind") * 6
    frames = []
    for six in range(2):
        frames += pieces_of(HOST[six], PEER[six], (40000, 53), text, 7)
        frames += pieces_of(PEER[six], HOST[six], (53, 40000), text, 8)
        frames += pieces_of(HOST[six], PEER[six], (40000, 53), b"short northwind", 9)
        frames += pieces_of(HOST[six], PEER[six], (40000, 53), text + text, 10)
    with open(file, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for n, frame in enumerate(frames):
            f.write(struct.pack("<IIII", 1000 + n // 10, n % 10 * 100000, len(frame), len(frame)) + frame)
    before, longest = whole(file)
    check("fragments: the capture is right", len(before) == 8 and all(p[2] for p in before) and longest <= 1514, before[:1])
    for driver, put in (("rewrite", "SOUTHWIND"), ("transform", "n"), ("transform", "NORTH-BY-NORTHWEST")):
        name = "fragments, %s to %s, %s" % (driver, put, compiler)
        # Also where a list of transform's own takes the place of received fragments: it stands for what they made.
        out, _, said = replay(name.replace(" ", "-"), image(driver, compiler), {"Find": "northwind", "Replace": put}, capture=file)
        after, longest = whole(out)
        wanted = sorted((p[0], p[1].replace(b"northwind", put.encode())) for p in before)
        check(name + ": datagrams", sorted((p[0], p[1]) for p in after) == wanted, "%s" % [(p[0], len(p[1])) for p in after])
        check(name + ": sums", all(p[2] for p in after), "wrong")
        check(name + ": what is sent fits", longest <= 1514, "%d bytes" % longest)
    name = "fragments, DSCP, " + compiler
    out, _, _ = replay(name.replace(" ", "-"), image("rewrite", compiler), {"Dscp": 46}, capture=file)
    after, longest = whole(out)
    check(name + ": datagrams", sorted(after) == sorted(before), "%d" % len(after))
    check(name + ": what is sent fits", longest <= 1514, "%d bytes" % longest)
    marked = [p for p in tshark(out) if source(p) in HOST and (p["ip.dsfield.dscp"] or p["ipv6.tclass.dscp"]) != "46"]
    check(name + ": every fragment is marked", not marked, marked[:1])


# ---- a driver that a sanitizer watches

def sanitized(capture):
    sources = {"inquire": ["inquire", "common"], "rewrite": ["rewrite", "common"], "transform": ["transform", "common"],
               "statistics": ["statistics"]}
    values = {"inquire": {"DelayMs": 20}, "rewrite": {"Dscp": 10, "Find": "northwind", "Replace": "NORTHWIND"},
              "transform": {"Find": "northwind", "Replace": "n"}, "statistics": {}}
    for name, folders in sources.items():
        out = path(name + "-asan.so")
        files = [os.path.join(root, "drivers", f, s) for f in folders
                 for s in sorted(os.listdir(os.path.join(root, "drivers", f))) if s.endswith(".c")]
        if name == "statistics":
            files.append(os.path.join(root, "drivers/common/callouts.c"))
        run = subprocess.run([weir, "cc", "--sanitize=address", "--cc=gcc"] + files + ["-o", out], capture_output=True,
                             text=True)
        check(name + " with sanitizers compiles", run.returncode == 0 and run.stderr == "", run.stderr[-800:])
        if run.returncode == 0:
            _, _, said = replay(name + " with sanitizers", out, values[name], twice=False)
            check(name + " with sanitizers: nothing found", "ERROR" not in said and "runtime error" not in said, said[-1500:])


def main():
    capture = tshark(demo)
    unchanged = plain()
    for compiler in compilers():
        statistics(compiler, unchanged, capture)
        inquire_late(compiler, capture)
        inquire_refuses(compiler, capture)
        rewrite_dscp(compiler, capture)
        replaced("rewrite, " + compiler, "rewrite", compiler, capture, "northwind", "SOUTHWIND")
        replaced("transform to less, " + compiler, "transform", compiler, capture, "northwind", "NEWTOWN")
        in_pieces(compiler)
        replaced("transform to more, " + compiler, "transform", compiler, capture, "example", "EXAMPLE-BUT-LONGER")
    sanitized(capture)
    if problems:
        sys.exit("%d problems, %d checks right\n%s" % (len(problems), passed, "\n".join(problems)))
    print("%d checks" % passed)


main()
