#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Flags tested by masks of more bits than combinations could be enumerated of: the filters of the demo's state that
test bit 1 are made to test all 32. At one layer a block then asks for none of them: unknown flags must be what the
answer depends on. usage: wide_masks.py SOURCE-DIR WEIR"""
import json
import os
import subprocess
import sys
import tempfile

root, weir = sys.argv[1:3]
text = open(root + "/data/demo/demo.wfpstate.xml", encoding="utf-8-sig", newline="").read()
wide = text.replace("<uint32>1</uint32>", "<uint32>4294967295</uint32>")
if wide == text:
    sys.exit("the demo's state has no mask 1 any more")
with tempfile.NamedTemporaryFile("w", suffix=".xml", encoding="utf-8", newline="", delete=False) as out:
    out.write(wide)


def ask(*fields):
    run = subprocess.run([weir, "classify", "--state", out.name, "INBOUND_TRANSPORT_V4_DISCARD", "--json"] + list(fields),
                         capture_output=True, text=True)
    if run.stderr or run.returncode > 2:
        sys.exit("exit status %d: %s" % (run.returncode, run.stderr))
    return json.loads(run.stdout)


def main():
    for value, verdict in (("0xffffffff", "PERMITTED"), ("0xfffffffe", "PERMITTED"), ("0", "BLOCKED")):
        if ask("FLAGS=" + value)["verdict"] != verdict:
            sys.exit("FLAGS=%s: expected %s" % (value, verdict))
    answer = ask()
    if answer["verdict"] != "DEPENDS" or "FLAGS" not in json.dumps(answer.get("depends", answer)):
        sys.exit("unknown flags: expected DEPENDS on FLAGS, found " + json.dumps(answer)[:300])


try:
    main()
finally:
    os.unlink(out.name)
