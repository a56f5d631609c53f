#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The JSON lines of `weir replay` against doc/events.md, and against what they claim: every kind of line and member is
documented there; the same run writes the same bytes; every classification, asked again by `weir classify --batch`, has
the same verdict and filter; frames, classifications, flows and the summary agree with each other.
usage: replay_events.py SOURCE-DIR WEIR"""
import json
import os
import re
import subprocess
import sys
import tempfile

root, weir = sys.argv[1:3]
shared = os.environ.get("WEIR_SHARED", os.path.join(root, "..", "shared"))
demo = os.path.join(root, "data/demo/demo.pcap")
state = os.path.join(root, "data/demo/demo.wfpstate.xml")
who = os.path.join(root, "data/demo/demo.who")
problems = []


def check(true, text):
    if not true:
        problems.append(text)


def documented():
    """Members by kind of line: the tables of doc/events.md."""
    kinds, kind = {}, None
    for line in open(os.path.join(root, "doc/events.md"), encoding="utf-8"):
        head = re.match(r"## (\S+)", line)
        if head:
            kind = head.group(1)
            kinds[kind] = set()
        row = re.match(r"\|([^|]*`[^|]*)\|", line)
        if row and kind:
            kinds[kind] |= set(re.findall(r"`([^`]+)`", row.group(1)))
        if kind == "policy" and not row:
            kinds[kind] |= set(re.findall(r"`(\w+)`", line))
    return kinds


def replay(capture, *options):
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as out:
        run = subprocess.run([weir, "replay", capture, "--json", out.name, "-q"] + list(options), capture_output=True,
                             text=True)
        if run.returncode not in (0, 1, 2, 65) or (run.stderr and run.returncode != 65):
            sys.exit("%s %s: exit status %d\n%s" % (capture, options, run.returncode, run.stderr))
        return run.returncode, out.read()


def is_uint(x):
    return isinstance(x, int) and not isinstance(x, bool) and x >= 0


NUMBERS = ("number", "frame", "time_ns", "flow", "endpoint", "parent", "length", "sender_flow", "protocol", "local_port",
           "remote_port", "interface", "icmp_id", "id", "filters")
FATES = ("passed", "ignored", "blocked", "absorbed", "held", "consequence", "stack")


def check_line(name, line, kinds):
    kind = line.get("event")
    where = "%s: %s" % (name, json.dumps(line)[:200])
    check(kind in kinds, "%s: kind is not documented" % where)
    for member in line:
        check(member == "event" or member in kinds.get(kind, ()), "%s: member '%s' is not documented" % (where, member))
    for member in NUMBERS:
        check(member not in line or kind == "summary" or is_uint(line[member]), "%s: '%s' is no number" % (where, member))
    check("0x" not in json.dumps({k: v for k, v in line.items() if k in ("note", "fault", "fate", "cause")}),
          "%s: an address of memory?" % where)
    if kind == "classify":
        check(line["verdict"] in ("PERMITTED", "BLOCKED"), where)
        check(line["cause"] in ("initial", "reauthorize", "discard", "close"), where)
        check(("values" in line) != line.get("empty", False), "%s: values of an empty layer" % where)
        check(not set(line.get("values", ())) & set(line.get("unknown", ())), "%s: known and unknown" % where)
        check(("depends_on" in line) == line.get("depends", False), where)
        check(("discard" in line) == (line["cause"] == "discard"), where)
    if kind == "frame":
        check(line["fate"] in FATES, where)


def check_story(name, lines, written_by_default):
    """What the lines say of each other."""
    blocked_frames, blocked_classified, fates, numbers, filters = set(), {}, {}, [], {}
    classified, blocks = set(), set()
    summary = lines[-1]
    check(summary.get("event") == "summary", "%s: the last line is no summary" % name)
    last_frame = 0
    for line in lines[1:]:
        if line["event"] == "classify":
            numbers.append(line["number"])
            classified.add(line["frame"])
            if line["verdict"] == "BLOCKED" and line["cause"] in ("initial", "reauthorize"):
                blocked_classified.setdefault(line["frame"], []).append(line)
        if line["event"] == "filter":
            filters[line["id"]] = line
        if isinstance(line.get("filter"), dict):
            f = line["filter"]
            check(f["id"] in filters and filters[f["id"]]["key"] == f["key"] and filters[f["id"]]["name"] == f["name"],
                  "%s: filter %s is not introduced" % (name, f))
        if line["event"] == "frame":
            check(line["frame"] == last_frame + 1, "%s: frame %d behind %d" % (name, line["frame"], last_frame))
            last_frame = line["frame"]
            fates[line["fate"]] = fates.get(line["fate"], 0) + 1
            if line["fate"] == "blocked" and "layer" in line:
                blocked_frames.add(line["frame"])
                # a block is told of once, at the frame's layer, with the filter that decided (ORD-17)
                said = [x for x in blocked_classified.get(line["frame"], ()) if x["layer"] == line["layer"]]
                verdict = line["layer"], (line["filter"] or {}).get("id")
                if line["frame"] not in classified and verdict in blocks:  # with its datagram's first fragment
                    continue
                blocks.add(verdict)
                check(len(said) == 1, "%s: frame %d: blocked at %s, classified so %d times" %
                      (name, line["frame"], line["layer"], len(said)))
                check(not said or (said[0]["filter"] or {}).get("id") == (line["filter"] or {}).get("id"),
                      "%s: frame %d: another filter" % (name, line["frame"]))
            passes = line["fate"] in ("passed", "ignored", "stack")
            check(not written_by_default or line["written"] == passes, "%s: frame %d" % (name, line["frame"]))
    check(numbers == sorted(set(numbers)), "%s: classifications' numbers do not rise" % name)
    check(sum(summary["fates"].values()) == summary["frames"] == last_frame == summary["read"],
          "%s: the summary's frames" % name)
    for fate in FATES:
        check(summary["fates"][fate] == fates.get(fate, 0), "%s: summary: %s" % (name, fate))
    dropped = sum(d["frames"] for d in summary["drops"])
    check(dropped == sum(n for f, n in fates.items() if f not in ("passed", "ignored")), "%s: drops by reason" % name)
    total = summary["flows"]
    check(total["total"] == total["permitted"] + total["blocked"] + total["depends"], "%s: flows" % name)
    check(total["total"] == len({x["flow"] for x in lines[1:] if x["event"] == "flow"}), "%s: flows' number" % name)


def check_again(name, lines):
    """Each classification, asked again."""
    asked = [x for x in lines if x.get("event") == "classify" and not x.get("empty")]
    questions = "".join(json.dumps({"layer": x["layer"], "values": x["values"]}) + "\n" for x in asked)
    run = subprocess.run([weir, "classify", "--state", state, "--batch", "-"], input=questions, capture_output=True,
                         text=True)
    answers = [json.loads(x) for x in run.stdout.splitlines()]
    check(len(answers) == len(asked), "%s: %d answers to %d questions: %s" % (name, len(answers), len(asked), run.stderr))
    for line, answer in zip(asked, answers):
        wanted = "DEPENDS" if line.get("depends") else line["verdict"]
        same = answer.get("verdict") == wanted
        if same and wanted != "DEPENDS" and not line.get("unknown"):
            same = answer["filter_id"] == (line["filter"] or {}).get("id")
        if same and wanted == "DEPENDS":
            same = set(line["depends_on"]) <= set(line["unknown"])
        check(same, "%s: classification %d at %s: %s; asked again: %s" %
              (name, line["number"], line["layer"], wanted, json.dumps(answer)[:300]))
    return len(asked)


def one(name, capture, kinds, options, by_default=True, policy=True):
    status, first = replay(capture, *options)
    _, second = replay(capture, *options)
    check(first == second, "%s: two runs differ" % name)
    text = first.decode("utf-8")
    check(text.endswith("}\n"), "%s: cut off" % name)
    lines = [json.loads(x) for x in text.splitlines()]
    header = lines[0]
    check(header.get("weir-events") == 1 and set(header) <= kinds["Header"], "%s: header %s" % (name, header))
    for line in lines[1:]:
        check_line(name, line, kinds)
    check_story(name, lines, by_default)
    fates = lines[-1]["fates"]
    depends = sum(d["permitted"] + d["blocked"] for d in lines[-1]["depends"])
    if status != 65:
        check(status == (1 if fates["blocked"] + fates["absorbed"] else 2 if depends else 0), "%s: exit %d" % (name, status))
    return check_again(name, lines) if policy else 0


def main():
    kinds = documented()
    asked = one("demo", demo, kinds, ["--state", state])
    asked += one("demo, owners known", demo, kinds, ["--state", state, "--who", who])
    asked += one("demo, depends block", demo, kinds, ["--state", state, "--depends", "block"])
    one("demo, no policy", demo, kinds, [], policy=False)
    one("demo, stack drops", demo, kinds, ["--state", state, "--stack-drops", "--keep-blocked"], by_default=False)
    one("demo, another policy", demo, kinds, ["--at", "+1", "load", state], policy=False)
    folder, count = os.path.join(shared, "data/pcaps"), 0
    folder = folder if os.path.isdir(folder) else os.path.join(shared, "pcaps")
    captures = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for file in [x for x in captures if x.endswith((".pcap", ".pcapng", ".cap"))][::29]:
        asked += one(file, os.path.join(folder, file), kinds, ["--state", state])
        count += 1
    if count == 0:
        print("# skipped: shared captures are not on this machine")
    for text in problems[:20]:
        print(text)
    if problems:
        sys.exit("%d problems" % len(problems))
    if asked < 100:
        sys.exit("only %d classifications were asked again; expected more" % asked)
    print("%d classifications asked again, %d real captures" % (asked, count))


main()
