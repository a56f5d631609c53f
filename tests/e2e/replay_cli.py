#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`weir replay` as people call it: options, complaints, exit statuses, what is left of a broken capture, who files,
policies that come in the middle, and `weir explain --events` on what it wrote. usage: replay_cli.py SOURCE-DIR WEIR"""
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

root, weir = sys.argv[1:3]
demo = os.path.join(root, "data/demo/demo.pcap")
state = os.path.join(root, "data/demo/demo.wfpstate.xml")
who = os.path.join(root, "data/demo/demo.who")
problems = []
work = tempfile.mkdtemp(prefix="weir-replay-")


def path(name, data=None):
    full = os.path.join(work, name)
    if data is not None:
        with open(full, "wb") as out:
            out.write(data if isinstance(data, bytes) else data.encode())
    return full


def run(*args, stdin=None):
    return subprocess.run([weir] + list(args), capture_output=True, input=stdin)


def expect(title, args, status, error=None, out=None, stdin=None):
    r = run(*args, stdin=stdin)
    said, printed = r.stderr.decode(), r.stdout.decode("utf-8", "replace")
    good = r.returncode == status
    if error is None:
        good = good and said == ""
    else:
        good = good and re.fullmatch("weir: " + error + "\n", said) is not None
    if out is not None:
        good = good and re.search(out, printed) is not None
    if not good:
        problems.append("%s: %s\n  exit status %d, expected %d\n  stderr: %s\n  stdout: %s" %
                        (title, " ".join(args), r.returncode, status, said[:600], printed[:400]))
    return r


def pcap(packets, magic=0xa1b2c3d4, link=1):
    data = struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for seconds, frame in packets:
        data += struct.pack("<IIII", seconds, 0, len(frame), len(frame)) + frame
    return data


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total ^ 0xffff


def udp(source, destination, sport, dport, payload=b"x"):
    body = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    a, b = (bytes(int(x) for x in y.split(".")) for y in (source, destination))
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, 17, 0) + a + b
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return bytes(6) + b"\x02\0\0\0\0\1" + b"\x08\0" + head + body


def checksums():
    """A capture whose addresses were changed: every sum is wrong."""
    frames = [(i, udp("10.0.0.2", "10.0.0.1", 4000 + i, 53)) for i in range(3)]
    bad = [(t, f[:24] + struct.pack("!H", struct.unpack("!H", f[24:26])[0] ^ 0x1234) + f[26:]) for t, f in frames]
    inbound = ["--local", "10.0.0.1"]
    wrong, right = path("wrong.pcap", pcap(bad)), path("right.pcap", pcap(frames))
    note = r"checksums: 3 of 3 inbound packets were discarded for a wrong one"
    expect("wrong sums", ["replay", wrong] + inbound, 0, out=note)
    expect("wrong sums, said so", ["replay", wrong, "--checksums", "verify"] + inbound, 0, out=note)
    for title, args in (("trusted", [wrong, "--checksums", "trust"]), ("right sums", [right])):
        r = expect(title, ["replay"] + args + inbound, 0)
        if b"checksums:" in r.stdout:
            problems.append("%s: still about checksums: %s" % (title, r.stdout.decode()[-300:]))
        events = run("replay", *args, *inbound, "-q", "--json", "-").stdout
        if events.count(b'"passed"') < 3:
            problems.append("%s: %s" % (title, events.decode()[-600:]))
    mixed = path("mixed.pcap", pcap(bad[:1] + frames[1:]))
    r = expect("few wrong sums", ["replay", mixed] + inbound, 0)
    if b"checksums:" in r.stdout:
        problems.append("few wrong sums: the table speaks of them")


def options():
    expect("help", ["replay", "--help"], 0, out="usage: weir replay")
    expect("no capture", ["replay"], 64, r"replay: the capture is missing \(see weir replay --help\)")
    expect("two captures", ["replay", demo, who], 64, r"replay: expected one capture, found '.*' and '.*' \(.*")
    expect("unknown option", ["replay", "--what", demo], 64, r"replay: unknown option --what .*")
    expect("value missing", ["replay", demo, "--who"], 64, r"replay: --who needs a value .*")
    expect("local", ["replay", demo, "--local", "here"], 64, r"replay: --local here: expected an address.*")
    expect("checksums", ["replay", demo, "--checksums", "no"], 64, r"replay: --checksums no: expected verify or trust.*")
    expect("depends", ["replay", demo, "--depends", "maybe"], 64, r"replay: --depends maybe: expected permit or block.*")
    expect("assume", ["replay", demo, "--assume", "much"], 64, r"replay: --assume much: expected default, plain or none.*")
    expect("set, no field", ["replay", demo, "--set", "NOTHING=1"], 64, r"replay: --set NOTHING: no field is called so.*")
    expect("set, no value", ["replay", demo, "--set", "IP_PROTOCOL"], 64, r"replay: --set IP_PROTOCOL: expected FIELD=VALUE.*")
    expect("set, bad value", ["replay", demo, "--set", "IP_PROTOCOL=zebra"], 64, r"replay: --set IP_PROTOCOL=zebra: expected.*")
    expect("callout", ["replay", demo, "--callout", "Zebra=permit"], 64,
           r"replay: --callout: no callout has the key or the name 'Zebra'.*")
    expect("at, time", ["replay", demo, "--at", "noon", "load", state], 64, r"replay: --at noon: expected \+SECONDS.*")
    expect("at, load", ["replay", demo, "--at", "+1", "leave", state], 64, r"replay: --at \+1: expected 'load FILE'.*")
    expect("at, no file", ["replay", demo, "--at", "+1", "load"], 64, r"replay: --at \+1: expected 'load FILE'.*")
    expect("at, stdin", ["replay", "-", "--at", "+1", "load", state], 64, r"replay: --at \+1: when standard input begins.*")
    expect("both on stdout", ["replay", demo, "-w", "-", "--json", "-"], 64, r"replay: -w and --json: one of them.*")
    expect("no such capture", ["replay", path("none.pcap")], 66, r".*none\.pcap: .*")
    expect("no such state", ["replay", demo, "--state", path("none.xml")], 66, r".*none\.xml: .*")
    expect("no such who", ["replay", demo, "--who", path("none.who")], 66, r".*none\.who: .*")
    expect("no such policy later", ["replay", demo, "--at", "+1", "load", path("none.xml")], 66, r".*none\.xml: .*")
    expect("broken state", ["replay", demo, "--state", path("bad.xml", "<wfpstate><filters>")], 65, r".*bad\.xml:1:\d+: .*")
    expect("output nowhere", ["replay", demo, "-q", "-w", path("no/such/folder.pcapng")], 66, r".*folder\.pcapng.*")


def verdicts():
    expect("nothing is blocked", ["replay", demo, "-q"], 0)
    expect("something is blocked", ["replay", demo, "-q", "--state", state], 1)
    quiet = path("one.pcap", pcap([(100, udp("10.0.0.1", "10.0.0.2", 4000, 9000))]))
    expect("depends", ["replay", quiet, "--state", state, "--local", "10.0.0.1", "--set", "ALE_APP_ID=\\x\\y.exe"], 2,
           out="DEPENDS at")
    expect("depends, carried out", ["replay", quiet, "--state", state, "--local", "10.0.0.1", "--depends", "block"], 1)
    r = expect("table", ["replay", demo, "--state", state, "--who", who], 1, out=r"BLOCKED at ALE_AUTH_CONNECT_V4 by filter \d+ \"")
    for line in r.stdout.decode().splitlines():
        if len(line) > 100:
            problems.append("the table has a line of %d columns: %s" % (len(line), line))
    r = run("replay", demo, "--state", state, "-w", "-")
    if not r.stdout.startswith(b"\x0a\x0d\x0d\x0a") or b"flows: " not in r.stderr:
        problems.append("-w -: the capture goes to standard output, the table to standard error")
    r = run("replay", "-", "-q", "--json", "-", stdin=open(demo, "rb").read())
    if r.returncode != 0 or not r.stdout.startswith(b'{"weir-events":1'):
        problems.append("a capture from standard input: %s" % r.stderr)


def broken_capture():
    whole = pcap([(100 + i, udp("10.0.0.1", "10.0.0.2", 4000, 9000 + i)) for i in range(4)])
    for title, data, packet in (("cut in packet 3", whole[:24 + 2 * (16 + 43) + 20], 3),
                                ("cut in packet 2's record", whole[:24 + 16 + 43 + 7], 2)):
        out, events = path("out.pcapng"), path("out.jsonl")
        if os.path.exists(out):
            os.unlink(out)
        expect(title, ["replay", path("cut.pcap", data), "-w", out, "--json", events], 65,
               r".*cut\.pcap: packet %d: expected .*, found .*" % packet, out="packets: %d;" % (packet - 1))
        lines = [json.loads(x) for x in open(events)]
        if lines[-1].get("read") != packet - 1 or "error" not in lines[-1]:
            problems.append("%s: the summary says %s" % (title, lines[-1]))
        again = run("replay", out, "--json", "-", "-q")
        if again.returncode != 0 or json.loads(again.stdout.splitlines()[-1])["read"] != packet - 1:
            problems.append("%s: the output does not hold the packets before it: %s" % (title, again.stderr))
    expect("no capture at all", ["replay", path("text.pcap", "this is no capture, whoever says so")], 65,
           r".*text\.pcap: .*expected .*, found .*")


def who_files():
    good = "udp 10.0.0.1:4000 *:9000 * * C:\\x\\agent.exe SYSTEM\n"
    capture = path("who.pcap", pcap([(100, udp("10.0.0.1", "10.0.0.2", 4000, 9000)),
                                     (110, udp("10.0.0.1", "10.0.0.2", 4001, 9000)),
                                     (300, udp("10.0.0.1", "10.0.0.2", 4002, 9000))]))
    for title, text, error in (
            ("protocol", "# c\nzebra * * * * * *", r"2: expected a protocol .* or \*, found 'zebra'"),
            ("local", "tcp nowhere * * * * *", r"1: expected the local end, .*, found 'nowhere'"),
            ("local port", "tcp 10.0.0.1:70000 * * * * *", r"1: expected the local end, .*, found '10.0.0.1:70000'"),
            ("remote", "tcp * 10.0.0.0/99 * * * *", r"1: expected the remote end, .*, found '10.0.0.0/99'"),
            ("from", "tcp * * soon * * *", r"1: expected a time to begin at .*, found 'soon'"),
            ("to", "tcp * * * never * *", r"1: expected a time to end at .*, found 'never'"),
            ("columns", "\n\ntcp * * *", r"3: expected a time to end at .*, found the end of the line"),
            ("no program", "tcp * * * *", r"1: expected a program's path, or \*, found the end of the line"),
            ("no user", "tcp * * * * *", r"1: expected a user: .*, found the end of the line"),
            ("user", "tcp * * * * * zebra", r"1: expected a SID .*, found 'zebra'"),
            ("token", 'tcp * * * * * {"user": 5}', r"1: .*")):
        expect("who, " + title, ["replay", capture, "--who", path("bad.who", text)], 65, r".*bad\.who:" + error)

    def programs(text):
        r = expect("who", ["replay", capture, "-q", "--local", "10.0.0.1", "--json", "-", "--who", path("good.who", text)], 0)
        flows = [json.loads(x) for x in r.stdout.splitlines() if b'"change":"created"' in x]
        return {x["local_port"]: (x.get("program", "?").split("\\")[-1], x.get("user")) for x in flows}

    for title, text, wanted in (
            ("one rule", good, {4000: ("agent.exe", "S-1-5-18"), 4001: ("?", None), 4002: ("?", None)}),
            ("first rule counts", good + "* * * * * System *\n",
             {4000: ("agent.exe", "S-1-5-18"), 4001: ("System", None), 4002: ("System", None)}),
            ("a network, quotes, comments", '# whose\n\nudp 10.0.0.0/24 * * * "C:\\a b\\c d.exe" "NT SERVICE\\Dnscache"\n',
             {x: ("c d.exe", None) for x in (4000, 4001, 4002)}),
            ("times", "udp * * +5 +15 C:\\x\\agent.exe *\n", {4000: ("?", None), 4001: ("agent.exe", None), 4002: ("?", None)}),
            ("clock", "udp * * 00:01:50 1970-01-01T00:05:00Z C:\\x\\agent.exe *\n",
             {4000: ("?", None), 4001: ("agent.exe", None), 4002: ("agent.exe", None)}),
            ("a token", 'udp *:4001 * * * * {"user": "SY"}\n', {4000: ("?", None), 4001: ("?", {"user": "SY"}), 4002: ("?", None)})):
        found = programs(text)
        same = {k: v[0] for k, v in found.items()} == {k: v[0] for k, v in wanted.items()} and all(
            v[1] is None or found[k][1] == v[1] for k, v in wanted.items() if k in found)
        if not same:
            problems.append("who, %s: expected %s, found %s" % (title, wanted, found))


def settings():
    capture = path("set.pcap", pcap([(100, udp("10.0.0.1", "10.0.0.2", 4000, 9000))]))
    r = run("replay", capture, "-q", "--local", "10.0.0.1", "--state", state, "--json", "-", "--set", "CURRENT_PROFILE_ID=public",
            "--set", "ALE_AUTH_CONNECT_V4/ALE_APP_ID=\\x\\y.exe")
    lines = [json.loads(x) for x in r.stdout.splitlines()]
    line = [x for x in lines if x.get("layer") == "FWPM_LAYER_ALE_AUTH_CONNECT_V4" and x["event"] == "classify"][0]
    if line["values"].get("FWPM_CONDITION_CURRENT_PROFILE_ID") != 1:
        problems.append("--set CURRENT_PROFILE_ID=public: %s" % line)
    if line["values"].get("FWPM_CONDITION_ALE_APP_ID") != "\\x\\y.exe":
        problems.append("--set of one layer: %s" % line)
    bind = [x for x in lines if "RESOURCE_ASSIGNMENT" in x.get("layer", "") and not x.get("empty")]
    if not bind or "FWPM_CONDITION_ALE_APP_ID" in bind[0]["values"]:
        problems.append("--set of one layer reached another: %s" % bind)


def policies():
    """A policy in the middle: before it nothing is blocked, from then on what it blocks is."""
    capture = path("at.pcap", pcap([(1000 + 10 * i, udp("192.0.2.20", "203.0.113.11", 4000 + i, 9000)) for i in range(4)]))
    for when, passed in (("+15", 2), ("00:17:00", 2), ("1970-01-01T00:17:10Z", 3), ("1970-01-01T02:17:10+02:00", 3), ("+1e3", None)):
        if passed is None:
            expect("at, no time", ["replay", capture, "--at", when, "load", state], 64, r"replay: --at \+1e3: expected.*")
            continue
        r = expect("at " + when, ["replay", "--at", when, "load", state, capture, "-q", "--local", "192.0.2.20", "--json", "-"], 1)
        lines = [json.loads(x) for x in r.stdout.splitlines()]
        fates = [x["fate"] for x in lines if x.get("event") == "frame"]
        if when == "1970-01-01T00:17:10Z" or "+02:00" in when:
            passed = 3
        if fates != ["passed"] * passed + ["blocked"] * (4 - passed):
            problems.append("--at %s: %s" % (when, fates))
        if sum(x.get("event") == "policy" for x in lines) != 1:
            problems.append("--at %s: no policy line" % when)


def kept():
    out = path("kept.pcapng")
    expect("keep", ["replay", demo, "--state", state, "-q", "-w", out, "--keep-blocked"], 1)
    data = open(out, "rb").read()
    if not re.search(rb"weir: blocked at FWPM_LAYER_\w+ by filter \d+ \".+\" \{[0-9a-f-]{36}\}", data):
        problems.append("--keep-blocked: no comment names layer and filter")
    expect("not kept", ["replay", demo, "--state", state, "-q", "-w", out], 1)
    if b"weir: blocked" in open(out, "rb").read():
        problems.append("blocked packets are in the output")


def stories():
    events = path("events.jsonl")
    run("replay", demo, "--state", state, "--who", who, "-q", "--json", events)
    lines = [json.loads(x) for x in open(events)]
    blocked = [x for x in lines if x.get("event") == "classify" and x["verdict"] == "BLOCKED" and x["flow"] != 0][0]
    flow, name = str(blocked["flow"]), blocked["filter"]["name"]
    expect("story", ["explain", "--events", events, "--flow", flow], 1,
           out=r"(?s)^flow %s: .*\nBLOCKED by \"%s\" \(filter %d\).*\n  because .*packet %d, .*: blocked\n" %
           (flow, re.escape(name), blocked["filter"]["id"], blocked["frame"]))
    r = run("explain", "--events", events, "--flow", flow, "--json")
    story = json.loads(r.stdout)
    if story["verdict"] != "BLOCKED" or story["decided_by"]["filter"]["id"] != blocked["filter"]["id"]:
        problems.append("story as JSON: %s" % r.stdout[:500])
    own = [x for x in lines if x.get("event") == "frame" and blocked["flow"] in (x["flow"], x.get("sender_flow"))]
    if [x["frame"] for x in story["lines"] if x["event"] == "frame"] != [x["frame"] for x in own]:
        problems.append("the story's packets are not the flow's")
    permitted = [x for x in lines if x.get("event") == "classify" and "ALE_AUTH" in x["layer"] and x["verdict"] == "PERMITTED" and
                 not x.get("depends") and x["flow"] != 0 and
                 not any(y.get("flow") == x["flow"] and (y.get("depends") or y.get("verdict") == "BLOCKED") for y in lines)][0]
    expect("story, permitted", ["explain", "--events", events, "--flow", str(permitted["flow"])], 0, out=r"\nPERMITTED by ")
    text = open(events).read()
    expect("from standard input", ["explain", "--events", "-", "--flow", flow], 1, out="BLOCKED", stdin=text.encode())
    expect("no flow given", ["explain", "--events", events], 64, r"explain: --events .*: --flow N is missing.*")
    expect("no number", ["explain", "--events", events, "--flow", "x"], 64, r"explain: --flow x: expected a flow's number.*")
    expect("an operation too", ["explain", "--events", events, "--flow", "1", "connect"], 64, r"explain: --events takes no operation.*")
    expect("no such flow", ["explain", "--events", events, "--flow", "99999"], 65, r".*events\.jsonl: no flow 99999; the last is \d+")
    expect("no such file", ["explain", "--events", path("none.jsonl"), "--flow", "1"], 66, r".*none\.jsonl: .*")
    for title, bad, error in (
            ("empty", "", r"line 1: expected a header, .*, found the end of the file"),
            ("no header", '{"event":"frame"}\n', r"line 1: expected a header, .*"),
            ("another version", '{"weir-events":2}\n', r"line 1: expected version 1 of these files, found version 2"),
            ("no JSON", '{"weir-events":1}\nzebra\n', r"line 2: expected a JSON object, found zebra"),
            ("broken JSON", '{"weir-events":1}\n{"event":"flow","flow":%s,}\n' % flow, r"line 2: expected a JSON object, found .*"),
            ("cut", "".join(text.splitlines(True)[:40])[:-30], r"line 40: expected a JSON object, found .*")):
        expect("events, " + title, ["explain", "--events", path("bad.jsonl", bad), "--flow", flow], 65, r".*bad\.jsonl: " + error)


for part in (options, checksums, verdicts, broken_capture, who_files, settings, policies, kept, stories):
    part()
shutil.rmtree(work)
for text in problems:
    print(text)
if problems:
    sys.exit("%d problems" % len(problems))
print("weir replay answers as documented")
