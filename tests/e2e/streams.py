#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reassembled TCP and defragmented IP, beside tshark's. usage: streams.py ROOT REPLAY_STREAMS

For real captures: each TCP conversation's bytes in each direction, what is not in the capture included as a gap of so many
bytes, must be what `tshark -z follow,tcp,raw` shows; each datagram put together from fragments must be what tshark's
ip.reassembled.data or ipv6.reassembled.data holds, and at the same frame. Left out is what is no business of the host's:
inside of tunnels, fragments that it sent (it is asked before it fragments) or that pass by. EXPECTED_* name every file where
the two still differ, with the reason.

Normally the captures with fragments, loss and disorder; WEIR_CASES set (a long run): all of them. WEIR_PCAPS=WORD: only files
with WORD in their names. Speaks TAP; exit status 77 without captures or tshark.
"""
import concurrent.futures
import csv
import os
import re
import shutil
import subprocess
import sys

import tshark_follow

ROOT, STREAMS = sys.argv[1], sys.argv[2]
SHARED = os.environ.get("WEIR_SHARED") or os.path.join(ROOT, "..", "shared")
FOLDER = os.path.join(SHARED, "data", "pcaps")
LONG = "WEIR_CASES" in os.environ
GAP_AT_END = re.compile(tshark_follow.MISSING.pattern + b"$")  # tshark shows a gap when data comes behind it

# Where the two differ, and why tshark's answer is not what a Windows host would hold.
RESET = "tshark shows data in or after a reset; nobody is given it"
CUT = "the capture is cut: the host counts what is not there as lost, tshark passes over it"
EXPECTED_STREAMS = {
    "zeek__ipv4_fragmented-3.pcap": "sent in fragments, the last not captured: the first shows what it holds",
    "zeek__ipv4_fragmented-4.pcap": "overlapping fragments are discarded, tshark puts them together",
    "suricata__tcp-rst-unacked-stream-03-gap_input.pcap": RESET,
    "suricata__bug-6244-tcp-rst-with-data_tcp-rst-with-data.pcap": RESET,
    "zeek__tls_tls13draft16-ff52.a01.pcap": RESET,
    "zeek__communityid_tcp.pcap": CUT,
    "zeek__tcp_timestamp.pcap": CUT,
    "zeek__tcp_truncated-header.pcap": CUT,
    "arkime__mpls-basic.pcap": "tshark looks into MPLS, which is not IP to a host",
    "zeek__tunnels_tunnel-direct-bypass.pcap": "half of it comes through a tunnel, which is payload to the host",
    "tcpdump__tfo-5c1fa7f9ae91.pcap": "data in a SYN that was never answered",
    "tcpdump__of10_s4810.pcap": "where its dissector of OpenFlow gives up, tshark shows a segment that is there as missing",
    "suricata__firewall_tcp-session-decode-malformed-ipv4_input.pcap":
        "tshark refuses an IP option that is wrong; outbound, to the host it is its own packet",
    "zeek__tcp_reassembly.pcap": "packets longer than their frames are discarded, tshark takes what is there",
}
EXPECTED_DATAGRAMS = {
    "zeek__ipv4_fragmented-4.pcap": "overlapping fragments are discarded, tshark puts them together",
}


def ours(path):
    """{(sorted ends): {(sender end): bytes}}, {frame: datagram}, the frames that are fragments for the host,
    who sent whom segments that were discarded for their IP checksum."""
    run = subprocess.run([STREAMS, path], capture_output=True, text=True, timeout=120)
    if run.returncode != 0:
        sys.exit("%s: exit status %d\n%s" % (path, run.returncode, run.stderr[-3000:]))
    flows, streams, datagrams, fragments, alone, discarded = {}, {}, {}, set(), set(), set()
    for line in run.stdout.split("\n"):
        words = line.split(" ")
        if words[0] == "+":
            ends = (words[2], words[3]), (words[4], words[5])
            second = words[6] == "2" and ends[::-1] in alone  # the other end of a loopback connection
            flows[words[1]] = None if second else ends
            (alone.discard(ends[::-1]) if second else alone.add(ends))
            streams.setdefault(tuple(sorted(ends)), {})
        elif words[0] in ("o", "i"):
            if flows[words[1]] is None:
                continue
            local, remote = flows[words[1]]
            sender = local if words[0] == "o" else remote
            both = streams.setdefault(tuple(sorted((local, remote))), {})
            gap = b"[%d bytes missing in capture file]\0" % int(words[2]) if words[2] != "0" else b""
            both[sender] = both.get(sender, b"") + gap + bytes.fromhex(words[3])
        elif words[0] == "c":  # an inbound segment whose IP checksum is wrong: tshark takes it all the same
            discarded.add(((words[1], words[2]), (words[3], words[4])))
        elif words[0] == "f" and words[2] == "in":
            fragments.add(int(words[1]))
        elif words[0] == "D":
            datagrams[int(words[1])] = bytes.fromhex(words[2])
    return streams, datagrams, fragments, discarded


def outer(protocols):
    """Is it TCP in the first IP header, not in a tunnel?"""
    names = protocols.split(":")
    at = next((i for i, n in enumerate(names) if n in ("ip", "ipv6")), None)
    after = [n for n in names[at + 1:] if not n.startswith("ipv6.")][:1] if at is not None else []
    return after == ["tcp"]


def theirs(path):
    run = subprocess.run(["tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=f", "-e", "frame.number", "-e",
                          "tcp.stream", "-e", "frame.protocols", "-e", "ip.reassembled.data", "-e",
                          "ipv6.reassembled.data"], capture_output=True, text=True)
    wanted, datagrams = set(), {}
    for row in run.stdout.split("\n"):
        row = row.split("\t")
        if len(row) < 5:
            continue
        if row[1] and outer(row[2]):
            wanted.add(int(row[1]))
        data = row[3] or row[4]
        if data:
            datagrams[int(row[0])] = bytes.fromhex(data.replace(":", ""))
    streams = {}
    for _, first, second, data in tshark_follow.follow(path, sorted(wanted)):
        both = streams.setdefault(tuple(sorted((first, second))), {})
        for sender, sent in zip((first, second), data):
            if sent:
                both[sender] = both.get(sender, b"") + sent
    return streams, datagrams


def differ(a, b):
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return "%d bytes, tshark has %d, the first difference at %d" % (len(a), len(b), at)


def one(name):
    """Problems with streams, and with datagrams; and how many there were of each."""
    path = os.path.join(FOLDER, name)
    our_streams, our_datagrams, fragments, discarded = ours(path)
    their_streams, their_datagrams = theirs(path)
    streams, datagrams = [], []
    for ends in sorted(our_streams):  # that it has a flow for what it should have one for, pcaps.py sees to
        a, b = our_streams.get(ends, {}), their_streams.get(ends, {})
        for sender in ends:
            x, y = GAP_AT_END.sub(b"", a.get(sender, b"")), GAP_AT_END.sub(b"", b.get(sender, b""))
            if x != y and not ((sender, ends[1 - ends.index(sender)]) in discarded and len(x) < len(y)):
                streams.append("%s %s > %s: %s" % (name, ":".join(sender), ":".join(ends[1 - ends.index(sender)]),
                                                   differ(x, y)))
    for frame in sorted(set(our_datagrams) | set(their_datagrams)):
        a, b = our_datagrams.get(frame, b""), their_datagrams.get(frame, b"")
        if not a and frame not in fragments:
            continue
        if not b or not a.endswith(b):  # ours begins with the IP header, theirs after it
            datagrams.append("%s frame %d: %s" % (name, frame, differ(a, b)))
    return name, streams, datagrams, len(their_streams), len(their_datagrams)


def report(number, check, found, expected, count):
    by_file = {}
    for text in found:
        by_file.setdefault(text.split(" ")[0], []).append(text)
    wrong = [t for name, texts in by_file.items() if name not in expected for t in texts]
    wrong += ["%s is expected to differ (%s), and does not" % (name, why) for name, why in expected.items()
              if name not in by_file and name in NAMES]
    for text in wrong[:int(os.environ.get("WEIR_SHOW", "20"))]:
        print("# " + text)
    print("# %d %s, %d differences in %d files explained" % (
        count, check.split(" ")[0], sum(len(t) for n, t in by_file.items() if n in expected), len(set(by_file) & set(expected))))
    print("%s %d - %s" % ("not ok" if wrong else "ok", number, check))
    return not wrong


if not os.path.isdir(FOLDER) or shutil.which("tshark") is None:
    print("# skipped: no captures in %s, or no tshark" % FOLDER)
    sys.exit(77)
with open(os.path.join(FOLDER, "MANIFEST.tsv"), encoding="utf-8") as manifest:
    rows = [row for row in csv.DictReader(manifest, delimiter="\t") if os.environ.get("WEIR_PCAPS", "") in row["file"]]
NAMES = [row["file"] for row in rows if LONG or "WEIR_PCAPS" in os.environ or
         re.search("frag|retrans|ooo", row["categories"] + row["primary"])]
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    results = list(pool.map(one, NAMES))
print("1..2")
good = report(1, "conversations are put together as tshark does", [t for r in results for t in r[1]], EXPECTED_STREAMS,
              sum(r[3] for r in results))
good &= report(2, "datagrams are put together as tshark does", [t for r in results for t in r[2]], EXPECTED_DATAGRAMS,
               sum(r[4] for r in results))
sys.exit(0 if good else 1)
