#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small drivers, each with a thing that real ones do and that is easily got wrong (tests/idioms): `weir cc` compiles them
with GCC and Clang, `weir replay` runs them; those that check themselves fail in DriverEntry if anything is not as on
Windows. Those that misbehave end as documented. usage: idioms.py SOURCE-DIR WEIR SANITIZERS"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

root, weir, sanitizers = sys.argv[1:4]
idioms = os.path.join(root, "tests/idioms")
demo = os.path.join(root, "data/demo/demo.pcap")
work = tempfile.mkdtemp(prefix="weir-idioms-")
temporary = os.path.join(work, "tmp")
os.mkdir(temporary)
env = dict(os.environ, TMPDIR=temporary, ASAN_OPTIONS="detect_leaks=0", LC_ALL="C")
env.pop("CC", None)
problems = []
done = 0


def run(args, **more):
    return subprocess.run([weir] + args, capture_output=True, text=True, errors="replace", env=dict(env, **more), cwd=idioms,
                          timeout=120)


def check(title, good, text):
    global done
    done += 1
    if not good:
        problems.append("%s: %s" % (title, text))
    return good


def compile_driver(cc, name, *args):
    """The image's path, or None; what the compiler said."""
    out = os.path.join(work, "%s-%s.so" % (name.split(".")[0], cc))
    r = run(["cc", "--cc=" + cc, "-o", out] + list(args or (name,)))
    return (out if r.returncode == 0 else None), r


def replay(image, *args, quiet=True):
    """quiet: without what the driver prints."""
    return run(["replay"] + ["-q"] * quiet + ["--driver", image] + list(args) + [demo])


def good_drivers(cc):
    for name in ("wide.c", "formats.c", "includes.c", "tracing.c", "guarded.c", "longs.c", "plus.cpp", "versions.c", "kit.c",
                 "microsoft.c", "tables.c", "network.c", "stacked.c", "collects.c", "scopes.c", "serial.c", "shuts.c",
                 "twins.cpp"):
        extra = {"microsoft.c": ("microsoft.c", "microsoft2.c"), "twins.cpp": ("twins.cpp", "twins2.cpp")}.get(name, ())
        image, r = compile_driver(cc, name, *extra)
        if not check("%s, %s compiles" % (name, cc), image is not None, r.stderr):
            continue
        if name == "longs.c":
            lines = re.findall(r"^longs\.c:(\d+): warning: 'long' has 32 bits", r.stderr, re.M)
            text = open(os.path.join(idioms, name)).read().split("\n")
            wanted = [str(n) for n, line in enumerate(text, 1)
                      for word in re.findall(r"\blong\b", re.sub(r"/\*.*?\*/|long long|long double", "", line)) if word]
            check("longs.c, %s: a warning a use" % cc, lines == wanted, "%s, expected %s" % (lines, wanted))
        ran = replay(image, quiet=name not in ("stacked.c", "shuts.c"))
        check("%s, %s runs" % (name, cc), ran.returncode == 0, "exit status %d\n%s" % (ran.returncode, ran.stderr))
        if name == "shuts.c":  # the last registered first, then the last chance
            check("shutdown, " + cc, re.search(r"shut down: 312$", ran.stderr, re.M), ran.stderr)
        if name == "stacked.c":
            check("error log, " + cc, re.search(r'error log: code 0xc0041234, value 0x7, status 0xc0000001, "stacked"$', ran.stderr,
                                                re.M), ran.stderr)


def refused_sources(cc):
    _, r = compile_driver(cc, "undeclared.c")
    check("undeclared, " + cc, r.returncode == 1 and "undeclared.c:17:" in r.stderr and "KeNoSuchFunction" in r.stderr, r.stderr)
    _, r = compile_driver(cc, "missing.c")
    check("missing, " + cc, r.returncode == 1 and re.search(r"missing\.c:12: undefined reference to `FwpsNoSuchFunction9'",
                                                            r.stderr), r.stderr)
    image, r = compile_driver(cc, "passed", "faults.c", "check.h")
    check("passed over, " + cc, image is not None and "check.h: not needed, passed over" in r.stderr, r.stderr)


def bad_drivers(cc):
    expected = {
        "refuses.c": (5, r"^weir: refuses-CC\.so: DriverEntry failed: STATUS_INSUFFICIENT_RESOURCES$"),
        "spins.c": (7, r"^weir: spins-CC\.so: does not come back at spins\.c:1[123] \(spins_here\); Weir was at DriverEntry$"),
        "waits.c": (7, r"^weir: waits-CC\.so: DriverEntry does not come back: it waits for what does not come"),
        "faults.c": (6, r"^weir: faults-CC\.so: a fault \(SIGSEGV, a NULL pointer\) at faults\.c:\d+ \(reads_it\); Weir was "
                     r"at DriverUnload$"),
        "copies.c": (6, r"^weir: copies-CC\.so: a fault \(SIGSEGV.*copies\.c:\d+ \(Unload\); Weir was at DriverUnload$"),
        "stops.c": (6, r"^weir: stops.*: it stopped the machine \(bug check 0xdead\)"),
        "leaks.c": (4, r"^leaks-CC\.so: pool block 1 \(48 bytes, Leak\) left at unload: opened by ExAllocatePool2 at "
                    r"leaks\.c:\d+ \(takes\)$"),
    }
    for name, (status, text) in expected.items():
        image, r = compile_driver(cc, name)
        if not check("%s, %s compiles" % (name, cc), image is not None, r.stderr):
            continue
        out = os.path.join(work, "out.pcapng")
        if os.path.exists(out):
            os.unlink(out)
        ran = replay(image, "-w", out)
        check("%s, %s" % (name, cc), ran.returncode == status and re.search(text.replace("CC", cc), ran.stderr, re.M),
              "exit status %d, expected %d\n%s" % (ran.returncode, status, ran.stderr))
        if name in ("faults.c", "copies.c", "stops.c", "leaks.c"):  # all packets had gone before
            again = run(["replay", "-q", out])
            check("%s, %s: the output is whole" % (name, cc), again.returncode in (0, 1, 2) and os.path.getsize(out) > 20000,
                  "exit status %d, %s" % (again.returncode, again.stderr))


CALLOUTS = [os.path.join(root, "drivers/common", f) for f in ("callouts.c", "parameters.c")]


def events(path):
    """The frames that JSON lines tell of; every line but a cut last one is whole."""
    with open(path) as f:
        lines = f.read().split("\n")
    return [e for e in (json.loads(line) for line in lines[:-1]) if e.get("event") == "frame"]


def falls(cc):
    """A fault in the middle: what was decided until then is written, in the capture and in the JSON lines."""
    image, r = compile_driver(cc, "falls", "falls.c", *CALLOUTS)
    if not check("falls.c, %s compiles" % cc, image is not None, r.stderr):
        return
    out, log = os.path.join(work, "falls.pcapng"), os.path.join(work, "falls.jsonl")
    ran = replay(image, "--param", "At=40", "-w", out, "--json", log)
    at = re.search(r"a fault \(SIGSEGV, a NULL pointer\) at falls\.c:\d+ \(reads_it\); Weir was at packet (\d+)$", ran.stderr, re.M)
    if not check("falls, " + cc, ran.returncode == 6 and at and int(at.group(1)) > 40, "%d %s" % (ran.returncode, ran.stderr)):
        return
    told = events(log)
    check("falls, %s: the events up to there" % cc, [e["frame"] for e in told] == list(range(1, int(at.group(1)))), told[-1:])
    written = sum(1 for e in told if e["written"])
    again = run(["replay", "-q", "--json", log, out])
    check("falls, %s: the output up to there" % cc, again.returncode in (0, 1) and len(events(log)) == written,
          "%d of %d: %s" % (len(events(log)), written, again.stderr))


def sleeps(cc):
    """A callout that waits: as long as its machine's time says, and no longer than an hour of that."""
    image, r = compile_driver(cc, "sleeps", "sleeps.c", *CALLOUTS)
    if not check("sleeps.c, %s compiles" % cc, image is not None, r.stderr):
        return
    begun = time.monotonic()
    ran = replay(image, "--param", "Minutes=50", quiet=False)
    check("sleeps, %s: less than an hour" % cc, ran.returncode == 0 and "waited 3000 s" in ran.stderr,
          "%d %s" % (ran.returncode, ran.stderr))
    for title, value in (("more than an hour", "Minutes=70"), ("for ever", "Forever=1")):
        ran = replay(image, "--param", value, quiet=False)
        check("sleeps, %s: %s" % (cc, title), ran.returncode == 7 and "waited" not in ran.stderr and
              re.search(r"^weir: replay: waits for what can never come; Weir was at packet \d+$", ran.stderr, re.M),
              "%d %s" % (ran.returncode, ran.stderr))
    check("sleeps, %s: at once" % cc, time.monotonic() - begun < 60, "%g s" % (time.monotonic() - begun))


def two_of_one(cc):
    image, r = compile_driver(cc, "counts.c")
    if check("counts.c, %s compiles" % cc, image is not None, r.stderr):
        ran = replay(image, "--driver", image)
        check("counts, %s: a copy each" % cc, ran.returncode == 0, ran.stderr)


def modules(cc):
    """Two drivers that find each other through the network module registrar, whichever is loaded first."""
    provider, r = compile_driver(cc, "provider", "-DPROVIDES", "modules.c")
    client, more = compile_driver(cc, "client", "modules.c")
    if not check("modules.c, %s compiles" % cc, provider is not None and client is not None, r.stderr + more.stderr):
        return
    for first, second in ((provider, client), (client, provider)):
        ran = replay(first, "--driver", second, quiet=False)
        check("modules, %s: they meet" % cc, ran.returncode == 0 and re.search(r"2 \+ 3 = 5$", ran.stderr, re.M) and
              re.search(r"detached$", ran.stderr, re.M) and re.search(r"sums: 1$", ran.stderr, re.M),
              "exit status %d\n%s" % (ran.returncode, ran.stderr))


def parameters_and_seed(cc):
    image, r = compile_driver(cc, "parameters.c")
    if not check("parameters.c, %s compiles" % cc, image is not None, r.stderr):
        return
    ran = replay(image, "--param", "Number=0x1234", "--param", "Text=some text", "--param", "Digits=string:77")
    check("parameters, " + cc, ran.returncode == 0, ran.stderr)
    ran = replay(image, "--param", "Number=5")
    check("parameters, %s: others" % cc, ran.returncode == 5, ran.stderr)


def sanitized(cc):
    if sanitizers not in ("none", "address,undefined", "address"):
        return
    image, r = compile_driver(cc, "overflows", "--sanitize=address", "overflows.c")
    if not check("overflows.c, %s compiles" % cc, image is not None, r.stderr):
        return
    ran = replay(image)
    check("overflows, " + cc, ran.returncode == 6 and "global-buffer-overflow" in ran.stderr and
          re.search(r"overflows\.c:\d+", ran.stderr) and "a sanitizer ended the run" in ran.stderr,
          "exit status %d\n%s" % (ran.returncode, ran.stderr[:3000]))


    if sanitizers != "none":
        return
    for kind in ("undefined", "thread", "address,undefined", "thread,undefined"):
        image, r = compile_driver(cc, "wide", "--sanitize=" + kind, "wide.c")
        if image is None and "does not start with it preloaded" in r.stderr:
            continue
        if check("wide.c, %s with %s compiles" % (cc, kind), image is not None, r.stderr):
            ran = replay(image)
            check("wide.c, %s with %s" % (cc, kind), ran.returncode == 0, "exit status %d\n%s" % (ran.returncode, ran.stderr))


def covered(cc):
    image, r = compile_driver(cc, "guarded", "--coverage", "guarded.c")
    if not check("coverage, %s compiles" % cc, image is not None, r.stderr):
        return
    ran = replay(image)
    notes = [f for f in os.listdir(work) if f.startswith("guarded-%s.so-guarded" % cc)]
    check("coverage, %s" % cc, ran.returncode == 0 and any(f.endswith(".gcno") for f in notes) and
          any(f.endswith(".gcda") for f in notes), "%s\n%s" % (notes, ran.stderr))


def debug_information(cc):
    image = os.path.join(work, "leaks-%s.so" % cc)
    if shutil.which("addr2line") is None or not os.path.exists(image):
        return
    nm = subprocess.run(["nm", image], capture_output=True, text=True).stdout
    at = re.search(r"^([0-9a-f]+) t Unload$", nm, re.M)
    said = subprocess.run(["addr2line", "-e", image, at.group(1)], capture_output=True, text=True).stdout if at else ""
    check("addr2line, " + cc, "leaks.c:" in said, said)
    undefined = set(re.findall(r"^ +U (\S+)$", nm, re.M))
    needed = subprocess.run(["readelf", "-d", image], capture_output=True, text=True).stdout
    check("no library, " + cc, "NEEDED" not in needed, needed)
    check("no function of the host's, " + cc, not {"wcslen", "printf", "sprintf"} & undefined, str(undefined))


compilers = [c for c in ("gcc", "clang") if shutil.which(c) is not None]
for compiler in compilers:
    for part in (good_drivers, refused_sources, bad_drivers, falls, sleeps, two_of_one, modules, parameters_and_seed, sanitized, covered,
                 debug_information):
        part(compiler)
for title, args, status in (("no source", ["cc"], 64), ("no file", ["cc", "nothing.c"], 66), ("no compiler", ["cc", "--cc=no-such", "faults.c"], 66),
                            ("what is it", ["cc", "faults.zip"], 64), ("no sanitizer", ["cc", "--sanitize=x", "faults.c"], 64)):
    r = run(args)
    check(title, r.returncode == status and r.stderr.startswith("weir: cc: "), "%d %s" % (r.returncode, r.stderr))
r = replay(os.path.join(work, "none.so"))
check("no driver", r.returncode == 5 and "none.so: No such file" in r.stderr, "%d %s" % (r.returncode, r.stderr))
r = replay(demo)
check("no image", r.returncode == 5 and "no driver that weir cc made" in r.stderr, "%d %s" % (r.returncode, r.stderr))
left = [f for f in os.listdir(temporary) if f.startswith("weir-cc-")]
check("temporary files are gone", not left, str(left))
shutil.rmtree(work)
for text in problems:
    print(text)
if problems:
    sys.exit("%d of %d failed" % (len(problems), done))
print("%d checks of drivers' idioms, with %s" % (done, " and ".join(compilers)))
