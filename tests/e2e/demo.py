#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's capture under the demo's policy: each flow is decided as the table in data/demo/README.md derives by hand, and the
packets without a flow are dropped, or not, as the text below it says. usage: demo.py SOURCE-DIR WEIR"""
import collections
import json
import re
import subprocess
import sys
import tempfile

root, weir = sys.argv[1:3]
demo = root + "/data/demo/"
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}
wrong = []

with tempfile.TemporaryDirectory() as work:
    run = subprocess.run([weir, "replay", "-q", "--state", demo + "demo.wfpstate.xml", "--who", demo + "demo.who", "--set",
                          "CURRENT_PROFILE_ID=private", "--set", "ORIGINAL_PROFILE_ID=private", demo + "demo.pcap", "-w",
                          work + "/out", "--json", work + "/events"], capture_output=True, text=True)
    if run.returncode != 1 or run.stderr:
        sys.exit("exit status %d, expected 1\n%s" % (run.returncode, run.stderr))
    events = [json.loads(line) for line in open(work + "/events", encoding="utf-8")]

filters = {e["id"]: e["name"] for e in events if e.get("event") == "filter"}
flows = {e["flow"]: e for e in events if e.get("event") == "flow" and e["change"] == "created"}
frames = {e["frame"]: e for e in events if e.get("event") == "frame"}
decided = {}
for e in events:
    if e.get("event") == "classify" and e["flow"] and e["cause"] == "initial" and \
            re.search("ALE_AUTH_(CONNECT|RECV_ACCEPT)_V[46]$", e["layer"]):
        verdict = "DEPENDS" if e.get("depends") else e["verdict"]
        decided[e["flow"]] = (verdict, filters.get(e["filter"] if isinstance(e["filter"], int) else
                                                   (e["filter"] or {}).get("id")))

rows = re.findall(r"^\| [^|]* \| `(\w+) ([<>]) ([^`]*)` \| (\w+) \| \"([^|]*)\" \|$",
                  open(demo + "README.md", encoding="utf-8").read(), re.M)
seen = set()
for protocol, way, end, verdict, name in rows:
    def is_it(f):
        if f["protocol"] != PROTOCOLS[protocol] or f["direction"] != ("outbound" if way == ">" else "inbound"):
            return False
        if f.get("loopback"):
            return False
        if way == ">":
            address, _, port = end.rpartition(":") if protocol in ("tcp", "udp") else (end, "", "")
            return f["remote_address"] == address and (not port or f["remote_port"] == int(port))
        address, _, port = end.partition(", port ")
        return address in ("*", f["remote_address"]) and (not port or f["local_port"] == int(port))

    found = [n for n, f in flows.items() if is_it(f)]
    seen.update(found)
    if not found:
        wrong.append("no flow %s %s %s" % (protocol, way, end))
    for n in found:
        if decided.get(n) != (verdict, name):
            wrong.append("%s %s %s: flow %d is %s, expected %s" % (protocol, way, end, n, decided.get(n), (verdict, name)))
for n, f in flows.items():  # what else there is: neighbours of IPv6
    if n not in seen and (f["protocol"] != 58 or decided.get(n, [""])[0] != "PERMITTED"):
        wrong.append("flow %d is in no table: %s, %s" % (n, f, decided.get(n)))

# Frames without a flow.
fates = collections.Counter((f["fate"], f.get("layer"), f.get("note")) for f in frames.values() if f["flow"] == 0)
for what in (("blocked", "FWPM_LAYER_INBOUND_IPPACKET_V4", None),
             ("stack", "FWPM_LAYER_INBOUND_TRANSPORT_V4_DISCARD", None),
             ("consequence", None, "a discard layer suppressed this answer of the stack"),
             ("stack", "FWPM_LAYER_INBOUND_IPPACKET_V4_DISCARD", None)):
    if fates[what] != 1:
        wrong.append("%s: %d frames, expected 1" % (what, fates[what]))
if len(rows) < 25:
    wrong.append("the table has %d rows, expected at least 25" % len(rows))
if wrong:
    sys.exit("\n".join(wrong))
print("%d rows of the table, %d flows: as derived" % (len(rows), len(flows)))
