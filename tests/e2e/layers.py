#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir classify at every layer that there is, also at those without a packet path (vSwitch, IPsec, IKE, RPC, name
resolution ...): a policy with one filter at each, on a field of that layer, is asked with its value, with another one and
with none; the answer is blocked by that filter, permitted, or depends on that field. usage: layers.py SOURCE-DIR WEIR"""
import json
import os
import subprocess
import sys
import tempfile

root, weir = sys.argv[1:3]
work = tempfile.mkdtemp(prefix="weir-layers-")
NUMBERS = {"FWP_UINT8": "uint8", "FWP_UINT16": "uint16", "FWP_UINT32": "uint32", "FWP_UINT64": "uint64"}
count = failed = 0


def check(name, good, text=""):
    global count, failed
    count += 1
    failed += not good
    print("%s %d - %s%s" % ("ok" if good else "not ok", count, name, "" if good else "\n# " + str(text)[:800]))


def table(name):
    with open(os.path.join(root, "data", name + ".tsv"), encoding="utf-8") as f:
        rows = [line.rstrip("\n").split("\t") for line in f]
    return [dict(zip(rows[0], r)) for r in rows[1:]]


def main():
    fields, chosen = table("fields"), []
    for layer in table("layers"):
        mine = [f for f in fields if f["layerId"] == layer["layerId"] and f["data_type"] in NUMBERS and f["fwpm_condition"] and
                f["field_type"] == "FWPM_FIELD_RAW_DATA"]
        name = layer["fwpm_name"] if layer["fwpm_name"].startswith("FWPM_") else layer["fwps_name"]
        chosen.append((name, layer, mine[0] if mine else None))
    items = ""
    for n, (name, layer, field) in enumerate(chosen):
        if field is None:
            continue
        items += """<item><layer><layerKey>%s</layerKey><layerId>%s</layerId></layer><callouts/><filters numItems="1"><item>
<filterKey>{18617ebb-1295-57f6-8456-%012x}</filterKey><displayData><name>of this layer</name><description/></displayData><flags/>
<providerKey/><providerData/><layerKey>%s</layerKey><subLayerKey>FWPM_SUBLAYER_UNIVERSAL</subLayerKey>
<weight><type>FWP_EMPTY</type></weight><filterCondition numItems="1"><item><fieldKey>%s</fieldKey><matchType>FWP_MATCH_EQUAL</matchType>
<conditionValue><type>%s</type><%s>7</%s></conditionValue></item></filterCondition>
<action><type>FWP_ACTION_BLOCK</type><filterType/></action><rawContext>0</rawContext><reserved/><filterId>%d</filterId>
<effectiveWeight><type>FWP_UINT64</type><uint64>1000</uint64></effectiveWeight></item></filters></item>
""" % (layer["layer_guid"], layer["layerId"], n + 1, layer["layer_guid"], field["condition_guid"], field["data_type"],
            NUMBERS[field["data_type"]], NUMBERS[field["data_type"]], 1000 + n)
    with open(os.path.join(root, "data/demo/demo.wfpstate.xml"), encoding="utf-8") as f:
        demo = f.read()
    before, after = demo[:demo.index("<layers numItems")], demo[demo.index("</layers>"):]
    state = os.path.join(work, "state.xml")
    with open(state, "w", encoding="utf-8") as f:
        f.write(before + '<layers numItems="%d">' % items.count("<layer>") + items + after)
    batch = os.path.join(work, "batch.json")
    with open(batch, "w", encoding="utf-8") as f:
        for name, _, field in chosen:
            for value in (7, 8, None):
                values = {field["fwpm_condition"]: value} if field is not None and value is not None else {}
                f.write(json.dumps({"layer": name, "values": values}) + "\n")
    run = subprocess.run([weir, "classify", "--state", state, "--batch", batch], capture_output=True, text=True, errors="replace")
    answers = [json.loads(line) for line in run.stdout.split("\n") if line]
    check("every line is answered", run.returncode == 0 and len(answers) == 3 * len(chosen),
          "%d, %d answers\n%s" % (run.returncode, len(answers), run.stderr))
    asked = 0
    for n, (name, _, field) in enumerate(chosen):
        blocked, permitted, unknown = (answers[3 * n:3 * n + 3] + [{}] * 3)[:3]
        if field is None:
            check(name + ": nothing to ask for", unknown.get("verdict") == "PERMITTED", unknown)
            continue
        asked += 1
        check(name, blocked.get("verdict") == "BLOCKED" and permitted.get("verdict") == "PERMITTED" and
              unknown.get("verdict") == "DEPENDS" and unknown.get("fields") == [field["fwpm_condition"]] and
              str(1000 + n) in json.dumps(blocked), "%s\n# %s\n# %s" % (blocked, permitted, unknown))
    check("nearly all layers have such a field", asked >= 80, asked)
    print("1..%d" % count)
    return 1 if failed else 0


sys.exit(main())
