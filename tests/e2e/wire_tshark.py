#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Weir reads in packets against what tshark reads, on every packet of every real capture; and what both put together
from fragments.

    wire_tshark.py WIRE_DUMP

wire_dump parses all captures (src/wire, src/host/fragment.c), prints what it found and writes their packets into one
capture; tshark reads that one, with all dissectors above TCP, UDP and ICMP off, and prints the same fields. Each
difference must be explained by one of the classes below, each of which says by tshark's own fields when it applies; a
class that explains nothing any more is a failure too. Exit 0: agreed. 1: a difference, printed. 77: nothing to compare.
"""
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.environ.get("WEIR_ROOT", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SHARED = os.environ.get("WEIR_SHARED", os.path.join(ROOT, "..", "shared"))
CAPTURES = os.path.join(SHARED, "data", "pcaps")
ALL = 863
KEPT = re.compile(r"frame|eth|eth_maybefcs|eth_withoutfcs|ethertype|vlan|ieee8021ad|llc|raw|null|loop|sll|ip|"
                  r"ipv6|ipv6\.(hopopts|dstopts|routing|fraghdr)(\..*)?|tcp|udp|icmp|icmpv6|data|file-pcap.*")
TRANSPORTS = ("tcp", "udp", "icmp", "icmpv6")
FIELDS = """frame.number frame.protocols vlan.id ieee8021ad.id
ip.version ip.src ip.dst ip.ttl ip.dsfield ip.proto ip.len ip.hdr_len ip.id ip.checksum.status ip.flags.mf ip.frag_offset
ipv6.src ipv6.dst ipv6.hlim ipv6.tclass ipv6.nxt ipv6.plen ipv6.fraghdr.offset ipv6.fraghdr.more ipv6.fraghdr.ident
ipv6.opt.type tcp.srcport tcp.dstport tcp.seq tcp.ack tcp.flags tcp.window_size_value tcp.hdr_len tcp.len tcp.checksum
tcp.checksum.status udp.srcport udp.dstport udp.length udp.checksum udp.checksum.status icmp.type icmp.code icmp.ident
icmp.seq icmp.checksum.status icmpv6.type icmpv6.code icmpv6.echo.identifier icmpv6.echo.sequence_number icmpv6.checksum
icmpv6.checksum.status frame.len frame.cap_len ip.hdr_len _ws.malformed""".split()
WHOLES = """frame.number frame.protocols ip.reassembled.length ip.reassembled.data ipv6.reassembled.length
ipv6.reassembled.data ip.fragment.overlap ipv6.fragment.overlap ipv6.fraghdr.offset ipv6.fraghdr.more""".split()
# enum wire_fault
(OK, LINK_SHORT, VERSION, IP_SHORT, HEADER_LENGTH, TOTAL_LENGTH, IP_CHECKSUM, IP_OPTION, EXTENSION, OPTION6, JUMBOGRAM,
 FRAGMENT, FIRST_FRAGMENT, TRANSPORT_SHORT, TCP_OFFSET, TCP_OPTION, UDP_LENGTH) = range(17)


def tshark(capture, config, fields, *options):
    run = ["tshark", "-r", capture, "-T", "fields", "-E", "occurrence=f", "-E", "separator=/t"]
    for o in options:
        run += ["-o", o]
    for f in fields:
        run += ["-e", f]
    env = dict(os.environ, XDG_CONFIG_HOME=config, HOME=config)
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        env.pop(name, None)
    out = subprocess.run(run, env=env, capture_output=True, text=True, check=True).stdout
    return [dict(zip(fields, line.split("\t"))) for line in out.split("\n") if line]


def configure(folder):
    """A profile in which only the dissectors that we compare with are on."""
    out = subprocess.run(["tshark", "-G", "protocols"], capture_output=True, text=True, check=True).stdout
    names = [line.split("\t")[2] for line in out.split("\n") if line.count("\t") >= 2]
    os.makedirs(os.path.join(folder, "wireshark"))
    with open(os.path.join(folder, "wireshark", "disabled_protos"), "w", encoding="utf-8") as f:
        f.write("\n".join(n for n in names if not KEPT.fullmatch(n)) + "\n")


def number(text):
    return int(text, 0) if text else None


class Packet:
    """One packet as both read it."""

    def __init__(self, line, t):
        parts = line.split("\t")
        self.number, self.file, self.in_file, self.link, self.reached, self.fault, self.cut = map(int, parts[:7])
        self.w = dict(p.split("=", 1) for p in parts[7:])
        self.t = t
        tokens = t["frame.protocols"].split(":")
        at = next((i for i, x in enumerate(tokens) if x in ("ip", "ipv6")), len(tokens))
        self.link_tokens, self.version = tokens[:at], {"ip": 4, "ipv6": 6}.get(tokens[at] if at < len(tokens) else "")
        above = tokens[at + 1:]
        self.extensions = []
        while above and above[0].startswith("ipv6."):
            self.extensions.append(above.pop(0))
        self.transport = above[0] if above and above[0] in TRANSPORTS else None
        self.fragment = "fragment" in self.w

    def ours(self, name):
        return number(self.w.get(name))

    def theirs(self, name):
        return number(self.t.get(name))


def partial(p):
    """The checksum field holds the pseudo header's sum, with the length or without it: the adapter was to do the rest."""
    if p.transport not in ("tcp", "udp", "icmpv6"):
        return False
    field = p.theirs(p.transport + ".checksum")
    name = "ip" if p.version == 4 else "ipv6"
    size = p.ours("length") - p.ours("header")
    if p.transport == "udp":
        size = p.theirs("udp.length")
    packed = b"".join(address(p.t[name + "." + end]) for end in ("src", "dst"))
    words = sum(int.from_bytes(packed[i:i + 2], "big") for i in range(0, len(packed), 2)) + p.ours("proto")
    return field in (folded(words + size), folded(words))


def address(text):
    import ipaddress
    return ipaddress.ip_address(text).packed


def folded(value):
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def differences(p):
    """(what, ours, theirs) of everything that is not the same."""
    w, t, found = p.w, p.t, []

    def same(what, a, b):
        if a != b:
            found.append((what, a, b))

    tag = p.theirs("ieee8021ad.id") if "ieee8021ad" in p.link_tokens[:3] else p.theirs("vlan.id")
    same("vlan", p.ours("vlan"), tag)
    same("version", p.ours("version"), p.version)
    if p.version is None or p.ours("version") != p.version:
        return found
    name, v4 = ("ip", True) if p.version == 4 else ("ipv6", False)
    for what in ("src", "dst"):
        same(what, w[what], t[name + "." + what])
    same("ttl", p.ours("ttl"), p.theirs("ip.ttl" if v4 else "ipv6.hlim"))
    same("class", p.ours("class"), p.theirs("ip.dsfield" if v4 else "ipv6.tclass"))
    if v4 and p.reached >= 2:
        same("ip checksum", w.get("wrong") == "1", t["ip.checksum.status"] == "0")
    if p.reached >= 2 and v4:
        for a, b in (("proto", "ip.proto"), ("length", "ip.len"), ("header", "ip.hdr_len"), ("id", "ip.id")):
            same(a, p.ours(a), p.theirs(b))
        offset, more = (w["fragment"] if p.fragment else "0,0,0").split(",")[:2]
        same("fragment", (int(offset), int(more)), (p.theirs("ip.frag_offset") * 8, p.theirs("ip.flags.mf")))
    elif p.reached >= 2:
        same("length", p.ours("length") - 40, p.theirs("ipv6.plen"))
        if p.ours("header") == 40:
            same("proto", p.ours("proto"), p.theirs("ipv6.nxt"))
        theirs = None
        if "ipv6.fraghdr" in p.extensions:
            theirs = "%d,%d,%d" % (p.theirs("ipv6.fraghdr.offset") * 8, p.theirs("ipv6.fraghdr.more"),
                                   p.theirs("ipv6.fraghdr.ident"))
        same("fragment", w.get("fragment"), theirs)
    ours = next((n for n in ("tcp", "udp", "icmp", "icmp6") if n in w), None)
    ours = {"icmp6": "icmpv6"}.get(ours, ours)
    same("transport", ours, p.transport)
    if ours is None or ours != p.transport:
        return found
    if ours == "tcp":
        same("ports", w["tcp"], t["tcp.srcport"] + ">" + t["tcp.dstport"])
        same("flags", p.ours("flags"), p.theirs("tcp.flags") & 0xFF)
        for a, b in (("seq", "tcp.seq"), ("ack", "tcp.ack"), ("window", "tcp.window_size_value"),
                     ("tcp_header", "tcp.hdr_len")):
            same(a, p.ours(a), p.theirs(b))
        if not p.fragment:
            same("tcp data", p.ours("tcp_data"), p.theirs("tcp.len"))
    elif ours == "udp":
        same("ports", w["udp"], t["udp.srcport"] + ">" + t["udp.dstport"])
        if not p.fragment:
            same("udp data", p.ours("udp_data"), p.theirs("udp.length") - 8)
    else:
        same("type", w["icmp" if v4 else "icmp6"], t[ours + ".type"] + "/" + t[ours + ".code"])
        if "echo" in w:
            names = ("icmp.ident", "icmp.seq") if v4 else ("icmpv6.echo.identifier", "icmpv6.echo.sequence_number")
            same("echo", w["echo"], "%s,%s" % tuple(p.theirs(n) for n in names))
    same("checksum", w["verify"] == "0", t[ours + ".checksum.status"] == "0")
    return found


# (name, when it applies: packet, what differs, ours, theirs). tshark goes on where a stack would have stopped.
CLASSES = [
    ("the adapter was to fill in the checksum",
     lambda p, what, a, b: what == "checksum" and not a and partial(p)),
    ("tshark reads no further where IPv4's length is below its header's",
     lambda p, what, a, b: what in ("src", "dst", "ttl", "class", "ip checksum") and p.version == 4 and p.fault and
     p.theirs("ip.len") < p.theirs("ip.hdr_len")),
    ("shorter than an IPv4 header",
     lambda p, what, a, b: what == "version" and p.fault == IP_SHORT and b == 4 and p.theirs("frame.len") < 14 + 20),
    ("length of IP beyond the frame, or below the header",
     lambda p, what, a, b: what == "transport" and p.fault == TOTAL_LENGTH and
     ((p.theirs("ip.len") or 0) + 14 > p.theirs("frame.len") or (p.theirs("ipv6.plen") or 0) + 54 > p.theirs("frame.len"))),
    ("type or family of the link says another version of IP",
     lambda p, what, a, b: what == "version" and p.fault == VERSION and p.t["ip.version"] != "4"),
    ("fragment that is not a multiple of 8, or ends beyond 65,535",
     lambda p, what, a, b: what == "transport" and p.fault == FRAGMENT and
     (p.theirs("ip.flags.mf") == 1 and (p.theirs("ip.len") - p.theirs("ip.hdr_len")) % 8 != 0 or
      p.theirs("ip.frag_offset") * 8 + p.theirs("ip.len") > 65535)),
    ("a fragment of a fragment",
     lambda p, what, a, b: what == "transport" and p.fault == EXTENSION and p.extensions.count("ipv6.fraghdr") > 1),
    ("an option of IPv6 that demands a discard",
     lambda p, what, a, b: what == "transport" and p.fault == OPTION6 and
     ("ipv6.hopopts" in p.extensions or "ipv6.dstopts" in p.extensions)),
    ("the packet ends within the transport header",
     lambda p, what, a, b: what == "transport" and p.fault == TRANSPORT_SHORT),
    ("TCP's data offset is below 5 or beyond the segment",
     lambda p, what, a, b: what == "transport" and p.fault == TCP_OFFSET and
     ((p.theirs("tcp.hdr_len") or 0) < 20 or p.t["tcp.len"] == "")),
    ("UDP's length is below 8 or beyond the packet",
     lambda p, what, a, b: what == "transport" and p.fault == UDP_LENGTH and
     not 8 <= p.theirs("udp.length") <= (p.theirs("ip.len") or 0) + (p.theirs("ipv6.plen") or 0)),
    ("the capture cut the transport header off",
     lambda p, what, a, b: what == "transport" and p.cut and p.theirs("frame.cap_len") < p.theirs("frame.len")),
    ("the capture cut the IP header off",
     lambda p, what, a, b: what in ("version", "dst") and p.cut and p.theirs("frame.cap_len") < p.theirs("frame.len")),
    ("a first fragment without its whole transport header",
     lambda p, what, a, b: what == "transport" and a is None and p.fragment and not p.fault and
     p.w["fragment"].startswith("0,1,") and p.ours("length") - p.ours("header") < max(20, p.theirs("tcp.hdr_len") or 20)),
    ("an Ethernet type where a loopback header has its family",
     lambda p, what, a, b: what == "version" and p.link_tokens == ["null"] and p.reached == 1 and not p.fault),
    ("tshark gives up within IPv4's options",
     lambda p, what, a, b: what == "transport" and b is None and p.version == 4 and p.theirs("ip.hdr_len") > 20),
    ("the IP checksum is wrong and so is what follows: tshark reads on, or does not look at the transport's",
     lambda p, what, a, b: what in ("transport", "checksum") and p.t["ip.checksum.status"] == "0"),
]


def compare_packets(lines, rows, names):
    explained, failures = collections.Counter(), []
    for line, t in zip(lines, rows):
        p = Packet(line, t)
        if p.number != int(t["frame.number"]):
            sys.exit("wire_tshark: packets %d and %s do not belong together" % (p.number, t["frame.number"]))
        for what, a, b in differences(p):
            name = next((n for n, applies in CLASSES if applies(p, what, a, b)), None)
            if name is not None:
                explained[name] += 1
            else:
                failures.append("%s, packet %d: %s: ours %s, tshark's %s (fault %d, cut %d, reached %d; %s)" % (
                    names[p.file], p.in_file, what, a, b, p.fault, p.cut, p.reached, t["frame.protocols"]))
    return explained, failures


WHOLE_CLASSES = [
    # (name, when it applies: tshark's row, our whole, tshark's, what we said of the fragment, nested in this file)
    ("overlaps: the datagram is discarded, tshark shows it",
     lambda t, ours, theirs, said, nested: ours is None and said == "overlap" and
     "1" in (t["ip.fragment.overlap"], t["ipv6.fragment.overlap"])),
    ("alone, with a fragment header: tshark puts nothing together",
     lambda t, ours, theirs, said, nested: theirs is None and t["ipv6.fraghdr.offset"] == "0" and
     t["ipv6.fraghdr.more"] == "0"),
    ("quoted by an ICMP error",
     lambda t, ours, theirs, said, nested: ours is None and said is None and "icmpv6:ipv6:" in t["frame.protocols"]),
    ("a fragment of a fragment",
     lambda t, ours, theirs, said, nested: ours is None and said == "held" and nested),
]


def compare_wholes(lines, rows, names, split):
    """`split`: the rows that were read without putting anything together."""
    ours, said, place = {}, {}, {}
    for line in lines:
        parts = line.split("\t")
        if parts[0] == "D":
            ours[int(parts[1])] = (int(parts[2]), parts[3])
        elif parts[0] == "F":
            said[int(parts[1])] = parts[2]
        else:
            place[int(parts[0])] = (int(parts[1]), int(parts[2]))
    nested = {place[int(t["frame.number"])][0] for t in split if "ipv6.fraghdr:ipv6.fraghdr" in t["frame.protocols"]}
    explained, failures, agreed = collections.Counter(), [], 0
    for t in rows:
        n = int(t["frame.number"])
        theirs = None
        if t["ip.reassembled.data"] or t["ipv6.reassembled.data"]:
            theirs = t["ip.reassembled.data"] or t["ipv6.reassembled.data"]
        mine = ours.get(n)
        if mine is None and theirs is None:
            continue
        if mine is not None and theirs is not None and mine[1].endswith(theirs):
            agreed += 1
            continue
        name = next((c for c, applies in WHOLE_CLASSES
                     if applies(t, mine, theirs, said.get(n), place[n][0] in nested)), None)
        if name is not None:
            explained[name] += 1
        else:
            failures.append("%s, packet %d: put together: ours %s bytes (%s), tshark's %s (%s)" % (
                names[place[n][0]], place[n][1], mine and len(mine[1]) // 2, said.get(n), theirs and len(theirs) // 2,
                t["frame.protocols"]))
    return agreed, explained, failures


def main():
    if shutil.which("tshark") is None:
        print("# skipped: tshark is not on this machine")
        return 77
    names = sorted(os.listdir(CAPTURES)) if os.path.isdir(CAPTURES) else []
    names = [n for n in names if ".pcap" in n]
    if not names:
        print("# skipped: the captures are not on this machine")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        configure(folder)
        merged = os.path.join(folder, "merged.pcapng")
        out = subprocess.run([sys.argv[1], merged] + [os.path.join(CAPTURES, n) for n in names], capture_output=True,
                             text=True, check=True).stdout
        lines = out.rstrip("\n").split("\n")
        rows = tshark(merged, folder, FIELDS, "ip.defragment:FALSE", "ipv6.defragment:FALSE", "ip.check_checksum:TRUE",
                      "tcp.check_checksum:TRUE", "udp.check_checksum:TRUE", "tcp.relative_sequence_numbers:FALSE",
                      "tcp.desegment_tcp_streams:FALSE", "tcp.analyze_sequence_numbers:FALSE")
        wholes = tshark(merged, folder, WHOLES, "ip.defragment:TRUE", "ipv6.defragment:TRUE")
    packets = [line for line in lines if line[0] not in "FD"]
    if len(packets) != len(rows) or len(rows) != len(wholes):
        sys.exit("wire_tshark: %d packets were written, tshark reads %d and %d" % (len(packets), len(rows), len(wholes)))

    explained, failures = compare_packets(packets, rows, names)
    print("wire_tshark: %d packets of %d captures" % (len(packets), len(names)))
    agreed, explained_wholes, failed_wholes = compare_wholes(lines, wholes, names, rows)
    explained += explained_wholes
    failures += failed_wholes
    print("wire_tshark: %d datagrams put together to the same bytes" % agreed)
    for name, count in explained.most_common():
        print("  %5d  %s" % (count, name))
    if len(names) >= ALL:
        failures += ["nothing is explained any more by: " + n for n, _ in CLASSES + WHOLE_CLASSES if explained[n] == 0]
        if agreed < 50:
            failures.append("only %d datagrams were put together" % agreed)
    for failure in failures[:40]:
        print("wire_tshark: " + failure)
    print("wire_tshark: %d differences are not explained" % len(failures))
    return 1 if failures else 0


sys.exit(main())
