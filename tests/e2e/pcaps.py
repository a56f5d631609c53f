#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real captures, many malformed, replayed. Each file of shared/data/pcaps

  under an empty policy: the output has every packet's bytes, lengths, time and link type, as capture_reader.py reads both;
  under a real machine's policy: what is written is the input without the frames that the events say were dropped, and
    every frame has one fate; a second run writes the same bytes, capture and JSON lines;
  broken files end with exit status 65 and one line, and everything before the break is there.

What was written is then read by tshark: packets, lengths and times, and of TCP and UDP, frame by frame, the same
conversations.

Normally every second file meets one of the two states (by its name), and a quarter of them twice; WEIR_CASES set (a long
run, as --full makes): each file meets both, twice. WEIR_PCAPS=WORD: only files with WORD in their names. Speaks TAP; exit status 77 where the captures are not there.
"""
import concurrent.futures
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib

import capture_reader

ROOT, WEIR = sys.argv[1], sys.argv[2]
SHARED = os.environ.get("WEIR_SHARED") or os.path.join(ROOT, "..", "shared")
FOLDER = os.path.join(SHARED, "data", "pcaps")
STATES = [os.path.join(SHARED, "data", "states", name + ".wfpstate.xml") for name in ("developer-laptop", "server-minimal")]
LONG = "WEIR_CASES" in os.environ
KEPT = {"passed", "ignored", "stack"}  # fates that are written
DROPPED = {"blocked", "absorbed", "held", "consequence"}
BROKEN = 65
# tshark shows the ports of a datagram whose length is wrong, and says so in words only.
NO_FLOW = "tcpdump__hncp_dhcpv6data-oobr.pcap"
problems = {}  # of which check: [text]


def problem(check, text):
    problems.setdefault(check, []).append(text)


def replay(source, out, events, state=None):
    command = [WEIR, "replay", "-q", source, "-w", out, "--json", events] + (["--state", state] if state else [])
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, errors="replace")


def same_packet(a, b):
    """A simple packet block has no time, and belongs to its section's first interface: where sections are joined, it may
    have to be written as an enhanced one, with the time of the packet before it."""
    return a[:5] == b[:5] or a.time is None and a._replace(time=b.time)[:5] == b[:5]


def ended_well(check, name, run, fault):
    """One clear line and its exit status for a broken file, an answer's for others; nothing of the sanitizers'."""
    errors = run.stderr.strip().split("\n") if run.stderr.strip() else []
    if run.returncode not in ((BROKEN,) if fault else (0, 1, 2)) or len(errors) != (1 if fault else 0):
        problem(check, "%s (%s): exit status %d, %s" % (name, fault or "sound", run.returncode, run.stderr.strip()[-2000:]))
        return False
    if fault and name not in errors[0]:
        problem(check, "%s: the error does not name the file: %s" % (name, errors[0]))
    return True


def lines(path):
    with open(path, encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def check_empty(name, packets, fault, work):
    source = os.path.join(FOLDER, name)
    out, events = os.path.join(work, name + ".empty.pcapng"), os.path.join(work, name + ".empty.jsonl")
    check = "an empty policy changes nothing"
    if not ended_well(check, name, replay(source, out, events), fault):
        return
    with open(out, "rb") as stream:
        written, fault = capture_reader.read(stream.read())
    if fault or len(written) != len(packets) or not all(map(same_packet, packets, written)):
        where = next((i + 1 for i, (a, b) in enumerate(zip(packets, written)) if not same_packet(a, b)), 0)
        problem(check, "%s: %d packets in, %d out, the first difference at %d %s" % (
            name, len(packets), len(written), where, fault or ""))
    frames = [e for e in lines(events) if e.get("event") == "frame"]
    if any(f["fate"] in DROPPED for f in frames) or len(frames) != len(packets):
        problem(check, "%s: %d frames, dropped %s" % (name, len(frames), [f for f in frames if f["fate"] in DROPPED][:2]))


def check_policy(name, packets, fault, state, twice, work):
    source, stem = os.path.join(FOLDER, name), os.path.join(work, name + "." + os.path.basename(state)[:6])
    out, events = stem + ".pcapng", stem + ".jsonl"
    check = "what goes in comes out or is dropped for a reason"
    run = replay(source, out, events, state)
    if not ended_well(check, name, run, fault):
        return
    with open(out, "rb") as stream:
        written, out_fault = capture_reader.read(stream.read())
    said = lines(events)
    frames = [e for e in said if e.get("event") == "frame"]
    summary = said[-1]
    fates = {}
    for f in frames:
        fates[f["fate"]] = fates.get(f["fate"], 0) + 1
        if f["written"] != (f["fate"] in KEPT) or f["fate"] not in KEPT | DROPPED:
            problem(check, "%s: %s" % (name, f))
        if f["fate"] == "blocked" and (f.get("layer") is None or "filter" not in f):
            problem(check, "%s: blocked by nobody: %s" % (name, f))
        if f["fate"] == "consequence" and "note" not in f:
            problem(check, "%s: a consequence of nothing: %s" % (name, f))
    answer = 1 if fates.get("blocked") else 2 if any(f.get("depends") for f in frames) else 0
    if not fault and run.returncode != answer:
        problem(check, "%s: exit status %d, expected %d" % (name, run.returncode, answer))
    kept = [p for p, f in zip(packets, frames) if f["written"]]
    if [f["frame"] for f in frames] != list(range(1, len(packets) + 1)):
        problem(check, "%s: %d packets, %d frames" % (name, len(packets), len(frames)))
    elif out_fault or len(kept) != len(written) or not all(map(same_packet, kept, written)):
        problem(check, "%s: %d packets are to be kept, %d were %s" % (name, len(kept), len(written), out_fault or ""))
    if summary.get("event") != "summary" or summary["frames"] != len(packets) or \
            {k: v for k, v in summary["fates"].items() if v} != fates:
        problem(check, "%s: the summary says %s, the frames %s" % (name, summary.get("fates"), fates))
    if twice:
        replay(source, stem + ".2.pcapng", stem + ".2.jsonl", state)
        for end in ".pcapng", ".jsonl":
            with open(stem + end, "rb") as a, open(stem + ".2" + end, "rb") as b:
                if a.read() != b.read():
                    problem("a second run writes the same", name + end)


def conversation(fields):
    """(protocol, end, end) of what stands in the outer IP packet, if that is TCP or UDP."""
    protocols, source, destination, source6, destination6, tcp, tcp_to, udp, udp_to = fields
    names = protocols.split(":")
    at = next((i for i, n in enumerate(names) if n in ("ip", "ipv6")), None)
    if at is None:
        return None
    ends = (source, destination) if names[at] == "ip" else (source6, destination6)
    after = [n for n in names[at + 1:] if not n.startswith("ipv6.")][:1]
    ports = {"tcp": (tcp, tcp_to), "udp": (udp, udp_to)}.get(after[0] if after else None)
    if ports is None or not ports[0]:
        return None
    return (after[0],) + tuple(sorted(zip(ends, ports)))


def tshark(paths, work):
    """Several pcapng files behind each other are one, of several sections: one run reads them all."""
    together = os.path.join(work, "together.pcapng")
    with open(together, "wb") as out:
        for path in paths:
            with open(path, "rb") as stream:
                shutil.copyfileobj(stream, out)
    fields = ["frame.section_number", "frame.cap_len", "frame.len", "frame.time_epoch", "ip.flags.mf", "ip.frag_offset",
              "ipv6.fraghdr.nxt", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport",
              "tcp.dstport", "udp.srcport", "udp.dstport", "_ws.malformed", "tcp.flags.reset"]
    command = ["tshark", "-n", "-r", together, "-T", "fields", "-E", "occurrence=f", "-o", "ip.defragment:FALSE",
               "-o", "ipv6.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"]
    run = subprocess.run(command + [w for f in fields for w in ("-e", f)], capture_output=True, text=True)
    if run.returncode != 0:
        problem("tshark reads what was written", run.stderr.strip()[-500:])
    sections = [[] for _ in paths]
    for row in run.stdout.split("\n"):
        if row:
            row = row.split("\t")
            sections[int(row[0]) - 1].append(row[1:])
    return sections


def compare_tshark(paths, work):
    """Counts conversations: (tshark's, ours)."""
    conversations = 0
    for path, rows in zip(paths, tshark(paths, work)):
        name = os.path.basename(path)
        with open(path, "rb") as stream:
            packets, _ = capture_reader.read(stream.read())
        if [(p.captured, p.length) for p in packets] != [(int(r[0]), int(r[1])) for r in rows]:
            problem("tshark reads what was written", "%s: %d packets, tshark finds %d" % (name, len(packets), len(rows)))
            continue
        flows, groups, frames, theirs, ours = {}, set(), [], set(), set()
        for e in lines(path[:-len("pcapng")] + "jsonl"):
            if e.get("event") == "flow":
                flows[e["flow"]] = ({6: "tcp", 17: "udp"}.get(e["protocol"]),) + tuple(sorted((
                    (e["local_address"], str(e["local_port"])), (e["remote_address"], str(e["remote_port"])))))
                if e.get("multicast"):
                    groups.add(e["flow"])
            elif e.get("event") == "frame" and e["written"]:
                frames.append(e)
        for row, frame in zip(rows, frames):
            fragment = row[3] not in ("", "0", "False") or row[4] not in ("", "0") or row[5]
            told = conversation(row[6:15])
            if fragment or told is None or frame["fate"] != "passed" or frame["ways"] == ["forwarded"]:
                continue
            if frame["flow"] in groups and set(told[1:]) & set(flows[frame["flow"]][1:]):
                continue  # one flow for a group, whoever is at the other end (ALE-08, ALE-09)
            if frame["flow"] == 0 and (told in ours or row[16] not in ("", "0", "False")):
                continue  # too late, the connection was over; or a reset of none
            if frame["flow"] == 0 and ("fault" in frame or row[15] or name.startswith(NO_FLOW)):
                continue  # its header is not one
            theirs.add(told)
            ours.add(flows.get(frame["flow"]))
            if flows.get(frame["flow"]) != told:
                problem("tshark finds the same conversations", "%s frame %d: flow %d is %s, tshark has %s" % (
                    name, frame["frame"], frame["flow"], flows.get(frame["flow"]), told))
        if len(theirs) != len(ours):
            problem("tshark finds the same conversations", "%s: %d, tshark has %d" % (name, len(ours), len(theirs)))
        conversations += len(theirs)
    return conversations


def one(name, work):
    with open(os.path.join(FOLDER, name), "rb") as stream:
        packets, fault = capture_reader.read(stream.read())
    check_empty(name, packets, fault, work)
    turn = zlib.crc32(name.encode())
    for i, state in enumerate(STATES):
        if LONG or turn % 2 == i:
            check_policy(name, packets, fault, state, LONG or turn // 2 % 4 == 0, work)
    return len(packets)


def main():
    if not os.path.isdir(FOLDER) or not all(os.path.exists(s) for s in STATES):
        print("# skipped: no captures in %s" % FOLDER)
        sys.exit(77)
    with open(os.path.join(FOLDER, "MANIFEST.tsv"), encoding="utf-8") as stream:
        names = [row["file"] for row in csv.DictReader(stream, delimiter="\t")]
    names = [n for n in names if os.environ.get("WEIR_PCAPS", "") in n]
    if not LONG:
        names = names[::2]
    work = tempfile.mkdtemp(prefix="weir-pcaps-")
    try:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            packets = sum(pool.map(lambda name: one(name, work), names))
        written = sorted(os.path.join(work, f) for f in os.listdir(work) if f.endswith(".pcapng") and ".2." not in f)
        have_tshark = shutil.which("tshark") is not None
        conversations = compare_tshark(written, work) if have_tshark else 0
    finally:
        shutil.rmtree(work)
    print("# %d files, %d packets, %d conversations in what was written" % (len(names), packets, conversations))
    checks = ["an empty policy changes nothing", "what goes in comes out or is dropped for a reason",
              "a second run writes the same", "tshark reads what was written", "tshark finds the same conversations"]
    print("1..%d" % len(checks))
    for number, check in enumerate(checks, 1):
        found = problems.get(check, [])
        for text in found[:int(os.environ.get("WEIR_SHOW", "8"))]:
            print("# " + text.replace("\n", "\n# "))
        if found:
            print("# %d in all" % len(found))
        if check.startswith("tshark") and not have_tshark:
            print("# skipped: no tshark\nok %d # SKIP %s" % (number, check))
        else:
            print("%s %d - %s" % ("not ok" if found else "ok", number, check))
    sys.exit(1 if problems else 0)


main()
