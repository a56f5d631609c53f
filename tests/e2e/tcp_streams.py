#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TCP alone, without a host (streams.py has the host's): TCP's streams beside tshark's: for each conversation of the captures in SHARED/pcaps, what each end sent, in order,
as tcp_streams (capture, wire, fragments, flow table, tcp) and as tshark (follow,tcp,raw) read it. Every difference is
listed in EXPLAINED with its class; a difference that is not listed fails, and so does a listed one that is none.

usage: tcp_streams.py SOURCE-DIR TCP_STREAMS [all]    without `all`: every fourth capture, and those explained
"""
import collections
import concurrent.futures
import os
import subprocess
import sys
import zlib

import tshark_follow

CLASSES = {
    "rst-data": "tshark counts what a RST carries as data of the stream; it is the reason for the reset",
    "after-reset": "the other end sent on after the reset: refused (TcbRemoved), tshark counts it",
    "syn-data": "data on a SYN that nobody acknowledged: never delivered",
    "ip-length": "IP total length beyond the frame: the stack discards the packet, tshark reads what is there",
    "ip-option": "tshark takes an IP option (security, 2 bytes) for malformed and stops; after the end of the option "
                 "list stands sound TCP",
    "tcp-option": "malformed TCP option: tshark has no conversation; here the segment counts without it",
    "ip-overlap": "overlapping fragments: the stack discards the datagram",
    "tunnel": "TCP inside a tunnel is the tunnel's payload here",
    "mpls": "MPLS is no link header that the host reads",
    "ip6-address": "tshark names the end by the home address or routing header; here by the IPv6 header",
    "syn-after-end": "a SYN like the first one after both ends closed: a new connection, tshark: a retransmission",
    "split-handshake": "ACK, SYN, SYN-ACK, ACK: one simultaneous opening, tshark makes two conversations of it",
    "tshark-hole": "tshark gives up a hole whose bytes follow later in the capture; here nothing is missing",
}
EXPLAINED = {
    "arkime__mpls-basic.pcap": "mpls",
    "arkime__tcp-reassembly-synthetic.pcap": "syn-after-end",
    "pcpp__Ftp.pcap": "tunnel",
    "suricata__bug-6244-tcp-rst-with-data_tcp-rst-with-data.pcap": "rst-data",
    "suricata__firewall_tcp-session-decode-malformed-ipv4_input.pcap": "ip-option",
    "suricata__tcp-rst-unacked-stream-03-gap_input.pcap": "rst-data",
    "suricata__tcp-split-handshake-02-5whs_split-handshake-5whs.pcap": "split-handshake",
    "tcpdump__babel_update_oobr.pcap": "syn-data",
    "tcpdump__mptcp-dss-oobr.pcap": "tcp-option",
    "tcpdump__of10_s4810.pcap": "tshark-hole",
    "tcpdump__tcp_rst_data-trunc.pcap": "rst-data",
    "tcpdump__tcp_rst_data.pcap": "rst-data",
    "tcpdump__tcp_rst_diag_payload-trunc.pcap": "rst-data",
    "tcpdump__tcp_rst_diag_payload.pcap": "rst-data",
    "tcpdump__tfo-5c1fa7f9ae91.pcap": "syn-data",
    "zeek__chksums_ip6-hoa-tcp-bad-chksum.pcap": "ip6-address",
    "zeek__chksums_ip6-hoa-tcp-good-chksum.pcap": "ip6-address",
    "zeek__chksums_ip6-route0-tcp-bad-chksum.pcap": "ip6-address",
    "zeek__chksums_ip6-route0-tcp-good-chksum.pcap": "ip6-address",
    "zeek__ipv4_fragmented-4.pcap": "ip-overlap",
    "zeek__tcp_reassembly.pcap": "ip-length",
    "zeek__tls_tls13draft16-ff52.a01.pcap": "after-reset",
    "zeek__tunnels_tunnel-direct-bypass.pcap": "tunnel",
}
SPARE = 8  # conversations that tshark may have more


def ours(tool, path):
    run = subprocess.run([tool, path], capture_output=True, text=True, timeout=120)
    if run.returncode not in (0, 3):
        sys.exit("%s: tcp_streams ended with %d: %s" % (path, run.returncode, run.stderr[-500:]))
    found = []
    for line in run.stdout.splitlines():
        part = [p.split() for p in line.split(" | ")]
        streams = [(int(p[0]), int(p[1], 16), int(p[2])) for p in part[1:3]]
        found.append((part[0][1], part[0][2], streams))
    return found


def tsharks(path, conversations):
    found = []
    for number, first, second, data in tshark_follow.follow(path, range(conversations + SPARE)):
        streams = []
        for d in data:
            whole = tshark_follow.MISSING.sub(b"", d)
            streams.append((len(whole), zlib.crc32(whole), sum(int(n) for n in tshark_follow.MISSING.findall(d))))
        found.append((number, ":".join(first), ":".join(second), streams))
    return found


def compare(tool, path):
    """(conversations, those that tshark reads the same, differences as lines)"""
    mine = ours(tool, path)
    if not mine:
        return 0, 0, []
    different, same = [], 0
    theirs = collections.defaultdict(list)
    for _, a, b, streams in tsharks(path, len(mine)):
        theirs[frozenset((a, b))].append((a, streams))
    for a, b, streams in mine:
        same_ends = theirs[frozenset((a, b))]
        if not same_ends:
            different.append("%s %s: only here: %s" % (a, b, streams))
            continue
        first, other = same_ends.pop(0)
        other = other if first == a else other[::-1]
        if [s[:2] for s in streams] != [s[:2] for s in other]:
            different.append("%s %s: (bytes, crc32, lost) each way: %s, tshark: %s" % (a, b, streams, other))
        else:
            same += 1
    for ends, rest in theirs.items():
        different += ["%s: only tshark's: %s" % (" ".join(sorted(ends)), s) for _, s in rest]
    return len(mine), same, different


def main():
    root, tool = sys.argv[1:3]
    folder = (os.environ.get("WEIR_SHARED") or root + "/../shared") + "/data/pcaps"
    if not os.path.isdir(folder):
        print("# skipped: pcaps is not on this machine")
        sys.exit(77)
    if subprocess.run(["sh", "-c", "command -v tshark"], stdout=subprocess.DEVNULL).returncode != 0:
        print("# skipped: tshark is not installed")
        sys.exit(77)
    names = sorted(n for n in os.listdir(folder) if "__" in n)
    if sys.argv[3:] != ["all"] and "WEIR_CASES" not in os.environ:  # scripts/test --full sets it
        names = sorted(set(names[::4]) | set(EXPLAINED) & set(names))
    failed = conversations = files = alike = 0
    classes = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda n: compare(tool, folder + "/" + n), names)
        for name, (count, same, different) in zip(names, results):
            conversations += count
            alike += same
            files += count != 0
            known = EXPLAINED.get(name)
            if different and known is None:
                failed += 1
                print("%s:\n  %s" % (name, "\n  ".join(different)))
            elif known is not None and not different:
                failed += 1
                print("%s: no difference any more (%s)" % (name, known))
            elif different:
                classes[known] += len(different)
    print("%d captures, %d with TCP, %d conversations; %d as tshark reads them, differences explained:" %
          (len(names), files, conversations, alike))
    for name, count in sorted(classes.items()):
        print("  %3d %s: %s" % (count, name, CLASSES[name]))
    if failed:
        sys.exit("%d captures differ unexplained" % failed)


main()
