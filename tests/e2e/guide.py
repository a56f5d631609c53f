#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""doc/testing-drivers.md, followed by somebody who has an installed Weir and an empty folder: its blocks are run from the first
to the last. What it shows of files is in them; what it shows as printed is printed (`...`: and more; `N`: a number;
0xN: an address). README's path for drivers' tests is run likewise. Prints `N passed, N failed, N skipped`, one a block; a block whose program
is not here is skipped. usage: guide.py SOURCE-DIR BUILD-DIR"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

root, build = [os.path.abspath(p) for p in sys.argv[1:3]]
examples = os.path.join(root, "examples/guard")
passed, skipped, failed = [], [], []


def fences(text):
    """(the line before, language, body) of each."""
    for m in re.finditer(r"(?:^([^\n]+)\n\n)?^```(\w+)\n(.*?)^```$", text, re.M | re.S):
        yield (m.group(1) or ""), m.group(2), m.group(3)


def install(work):
    log = subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--destdir", work + "/root"], capture_output=True, text=True)
    if log.returncode != 0:
        sys.exit(log.stdout[-2000:] + log.stderr)
    found = [os.path.join(d, f) for d, _, files in os.walk(work + "/root") for f in files if f in ("weir.pc", "weir")]
    pc = next(f for f in found if f.endswith("weir.pc"))
    prefix = os.path.dirname(os.path.dirname(next(f for f in found if f.endswith("/bin/weir"))))
    text = re.sub(r"^prefix=.*", "prefix=" + prefix, open(pc).read(), flags=re.M)
    open(pc, "w").write(text)
    return prefix, os.path.dirname(os.path.dirname(pc))


def pattern(line, prefix):
    out = re.escape(line).replace("0xN", "0x[0-9a-f]+")
    if out.endswith(re.escape(" ...")):
        out = out[:-len(re.escape(" ..."))] + ".*"
    return re.compile(re.sub(r"(?<![A-Za-z_])N(?![A-Za-z_])", r"\\d+", out))


def differs(expected, answer, prefix):
    """None, or what is wrong."""
    at, free = 0, False
    for line in expected:
        if line == "...":
            free = True
            continue
        is_it = pattern(line, prefix)
        while free and at < len(answer) and not is_it.fullmatch(answer[at]):
            at += 1
        if at >= len(answer) or not is_it.fullmatch(answer[at]):
            return "expected the line\n%s\nin\n%s" % (line, "\n".join(answer if free else answer[at:at + 3]))
        at, free = at + 1, False
    if at < len(answer) and not free:
        return "it goes on:\n" + "\n".join(answer[at:at + 3])
    return None


def lacks(script, env):
    """Programs of the script that are not here."""
    words = set(re.findall(r"(?:^|[;&|]\s*|\s=\s*)(?:[A-Z_]+=\S+ )*(cc|clang|gdb|lcov|genhtml|gcov|cmake|meson|patch|pkg-config)(?=\s)",
                           script, re.M))
    if "ci.sh" in script:
        words |= {"clang", "lcov"}
    return [w for w in sorted(words) if shutil.which(w, path=env["PATH"]) is None]


class Folder:
    def __init__(self, work, prefix, libdir):
        self.prefix, self.at = prefix, os.path.join(work, "empty")
        os.mkdir(self.at)
        self.env = dict(os.environ, PATH=prefix + "/bin:" + os.environ["PATH"], PKG_CONFIG_PATH=libdir + "/pkgconfig",
                        LD_LIBRARY_PATH=libdir, LC_ALL="C", DEBUGINFOD_URLS="")
        for name in ("CC", "WEIR_SEED", "ASAN_OPTIONS", "UBSAN_OPTIONS", "CMOCKA_MESSAGE_OUTPUT", "MALLOC_PERTURB_"):
            self.env.pop(name, None)

    def run(self, script, shell="sh"):
        return subprocess.run([shell, "-c", script.replace("/usr/local", self.prefix)], cwd=self.at, env=self.env, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)

    def inside(self, name):
        """The same with another folder."""
        other = object.__new__(Folder)
        other.__dict__.update(self.__dict__, at=os.path.join(self.at, name))
        os.mkdir(other.at)
        return other

    def lines(self, run):
        text = re.sub(r"^==\d+==", "==N==", run.stdout, flags=re.M).replace(self.at + "/", "")
        return [re.sub(r"==N==", "==0==", line) for line in text.rstrip("\n").split("\n")] if text.strip() else []

    def console(self, body):
        """Each command and what is printed below it."""
        for part in re.split(r"^\$ ", body, flags=re.M)[1:]:
            command, _, shown = part.partition("\n")
            run, expected = self.run(command), shown.rstrip("\n").split("\n") if shown.strip() else []
            if not expected and run.returncode != 0:
                return "$ %s\nexit status %d\n%s" % (command, run.returncode, run.stdout[-3000:])
            wrong = differs(expected, self.lines(run), self.prefix)
            if wrong:
                return "$ %s\n%s" % (command, wrong)
        return None

    def script(self, body):
        run = self.run("set -e\n" + body)
        return None if run.returncode == 0 else "%s\nexit status %d\n%s" % (body, run.returncode, run.stdout[-3000:])


def excerpt(name, body):
    text, at = open(os.path.join(root if "/" in name else examples, name)).read(), 0
    for piece in body.split("...\n"):
        at = text.find(piece, at)
        if at < 0:
            return "%s has not\n%s" % (name, piece)
        at += len(piece)
    return None


def whole(name, body):
    same = open(os.path.join(examples, name)).read() == body
    return None if same else "examples/guard/%s is another than the guide's" % name


def packages_known(text):
    """What the guide has installed is what scripts/install-deps knows of."""
    known = open(os.path.join(root, "scripts/install-deps")).read()
    named = set(re.findall(r"apt-get install -y ([a-z0-9 .+-]+)", text))
    missing = [p for line in named for p in line.split()
               if not re.search(r"[\" ]%s[\" ]" % re.escape(re.sub(r"rt-\d+-", "rt-", p)), known) and p != "ca-certificates"]
    return "scripts/install-deps does not know " + ", ".join(missing) if missing else None


def function_lines(name, functions):
    text = open(os.path.join(root, "doc/testing", name)).read()
    found = [re.search(r"^[a-zA-Z_].*\b%s\(.*\)\n\{\n(?:.*\n)*?\}\n" % f, text, re.M) for f in functions]
    return sum(m.group(0).count("\n") for m in found)


def table(text):
    """The table of lines, counted again: functions with what they call in the same file."""
    mocks = sum(open(os.path.join(root, "doc/testing", f)).read().count("\n") for f in ("mocks.c", "mocks.h"))
    counted = [(mocks, 0)]
    for name, by_hand, here in (("classify.c", ["port_25_is_refused"], ["port_25_is_refused"]),
                                ("unload.c", ["unloads_while_a_connect_waits", "clean"], ["unloads_while_a_connect_waits"]),
                                ("faults.c", ["each_call_fails_once", "run", "clean"], ["each_call_fails_once", "run"])):
        counted.append((function_lines("by_hand.c", by_hand), function_lines(name, here)))
    said = [(int(a), int(b)) for a, b in re.findall(r"^\| .* \| (\d+) \| (\d+) \|$", text, re.M)]
    return None if said == counted else "the table says %s, the files have %s" % (said, counted)


def note(title, wrong):
    (failed if wrong else passed).append(title)
    if wrong:
        print("-- %s\n%s\n" % (title, wrong))


def follow(folder, text, title):
    for number, (before, language, body) in enumerate(fences(text), 1):
        name = re.search(r"^(From|File) `([^`]+)`:$", before)
        where = "%s, block %d" % (title, number)
        if name:
            note(where + ": " + name.group(2), (excerpt if name.group(1) == "From" else whole)(name.group(2), body))
            continue
        if language not in ("sh", "console"):
            note(where, "a block of %s that is no file's: nothing tries it" % language)
            continue
        missing = lacks(body, folder.env)
        if missing:
            skipped.append(where)
            print("skipped: %s: %s not here" % (where, ", ".join(missing)))
            continue
        start = time.time()
        note(where, (folder.script if language == "sh" else folder.console)(body))
        if "-v" in sys.argv:
            print("%s: %.1f s" % (where, time.time() - start))


def actions(folder):
    """The steps of the GitHub Actions job that are not an installation."""
    steps = re.findall(r"^      - run: (.*)$", open(os.path.join(examples, "github-actions.yml")).read(), re.M)
    own = [s for s in steps if not s.startswith("apt-get ")]
    if own != ["weir/scripts/build --prefix=/usr/local", "sh ci.sh"]:
        return "its steps are %s" % own
    if lacks(own[1], folder.env):
        return None
    return folder.script("rm -f guard.info results.xml\n" + own[1] + "\ntest -s guard.info && grep -q '<testsuite ' results.xml")


def readme(folder):
    text = open(os.path.join(root, "README.md"), encoding="utf-8").read()
    block = re.search(r"(?:^    \$ cd examples/guard .*\n)(?:^    .*\n)+", text, re.M)
    if not block:
        return "README.md has no path to examples/guard"
    shutil.copytree(os.path.join(root, "examples"), os.path.join(folder.at, "examples"))
    body = re.sub(r"^    ", "", block.group(0), flags=re.M).replace("\\\n", " ")
    return folder.console(body)


with tempfile.TemporaryDirectory(prefix="weir-guide-") as work:
    prefix, libdir = install(work)
    guide = open(os.path.join(root, "doc/testing-drivers.md"), encoding="utf-8").read()
    here = Folder(work, prefix, libdir)
    follow(here, guide, "guide")
    note("README.md", readme(here.inside("readme")))
    note("GitHub Actions", actions(here))
    note("lines of tests", table(guide))
    note("packages", packages_known(guide + open(os.path.join(examples, "github-actions.yml")).read()))
    if len(passed) + len(skipped) + len(failed) < 25:
        note("guide", "it has only %d blocks" % len(passed))
print("%d passed, %d failed, %d skipped" % (len(passed), len(failed), len(skipped)))
sys.exit(1 if failed else 0)
