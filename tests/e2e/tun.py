#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A host on a TUN device in a network namespace of its own talks with real programs, in both roles, on IPv4 and IPv6,
over a wire that is good and over one that loses 10 % each way and reorders as much.

    tun.py PROGRAM LABEL [LOSS...]        LOSS in 1000 each way; none, or a full run: 0 and 100
                                          PROGRAM FD LOSS SEED WHAT... (tun_stack.c, tun_weir.c)

The namespace is made by this script for itself (unshare) and ends with it; only 10.9.0.0/24 and fd09::/64 are in it.
Real ends: 10.9.0.1, the kernel's; ours: 10.9.0.2. Speaks TAP. What cannot be had here (namespaces, TUN, a program) is a
counted skip with its reason."""
import fcntl
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

PROGRAM, LABEL = sys.argv[1], sys.argv[2]
SEED = os.environ.get("WEIR_SEED", "1")
KERNEL = {4: "10.9.0.1", 6: "fd09::1"}
OURS = {4: "10.9.0.2", 6: "fd09::2"}
count = failed = skipped = 0
begun = time.time()


def say(good, name, why=""):
    global count, failed
    count += 1
    failed += not good
    print("%sok %d - %s" % ("" if good else "not ", count, name), flush=True)
    for line in ("" if good else why).splitlines():
        print("# " + line, flush=True)


def skip(name, why):
    global count, skipped
    count += 1
    skipped += 1
    print("ok %d - %s # SKIP %s" % (count, name, why), flush=True)


def end():
    print("1..%d" % count)
    print("# skipped: %d, %.1f s" % (skipped, time.time() - begun), flush=True)
    sys.exit(1 if failed else 77 if skipped == count else 0)


def need(name, program):
    if shutil.which(program):
        return True
    skip(name, program + " is not installed (scripts/install-deps test)")
    return False


def run(*command, timeout=30, **more):
    try:
        return subprocess.run(list(command), capture_output=True, text=True, timeout=timeout, **more)
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(command, 124, str(late.stdout or ""), "more than %d s" % timeout)


def into_namespace():
    """Runs this script again in a network namespace of its own, which is gone with the last process in it."""
    if os.environ.get("WEIR_TUN_INSIDE") == "1":
        return
    if not shutil.which("unshare") or not shutil.which("ip"):
        skip(LABEL, "unshare or ip is not installed (scripts/install-deps test)")
        end()
    how = ["--net"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    if run("unshare", *how, "true").returncode != 0:
        skip(LABEL, "no network namespace may be made here")
        end()
    os.environ["WEIR_TUN_INSIDE"] = "1"
    os.execvp("unshare", ["unshare"] + how + [sys.executable, "-B"] + sys.argv)


def open_tun():
    try:
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"weir0", 0x0001 | 0x1000))  # TUNSETIFF: TUN, no information
    except OSError as why:
        skip(LABEL, "no TUN device: %s" % why)
        end()
    for words in ("link set lo up", "link set weir0 txqueuelen 2000", "addr add 10.9.0.1/24 dev weir0",
                  "-6 addr add fd09::1/64 dev weir0 nodad", "link set weir0 up"):
        made = run("ip", *words.split())
        if made.returncode != 0:
            skip(LABEL, "ip %s: %s" % (words, made.stderr.strip()))
            end()
    return tun


def command(tun, loss, *what):
    return [PROGRAM, str(tun), str(loss), SEED] + list(what)


def pattern(size):
    return bytes((i * 7 + i // 251) & 0xff for i in range(size))


def fnv(data):
    h = 0xcbf29ce484222325
    for b in data:
        h = (h ^ b) * 0x100000001b3 & 0xffffffffffffffff
    return h


def url(version, path):
    return "http://%s%s" % (OURS[version] if version == 4 else "[%s]" % OURS[version], path)


def as_server(tun, loss, folder, rates):
    """Ours serves: curl fetches and puts, dig asks, ping, iperf3 pushes and pulls."""
    kind = "a wire that loses" if loss else "a good wire"
    size = 100000 if loss else 3000000
    server = subprocess.Popen(command(tun, loss, "serve"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, pass_fds=[tun])
    server.stdout.readline()
    try:
        for version in (4, 6):
            name = "%s serves, IPv%d, %s: " % (LABEL, version, kind)
            if need(name + "curl", "curl"):
                got = os.path.join(folder, "got")
                ran = run("curl", "-sS", "--max-time", "25", "-o", got, url(version, "/%d" % size))
                say(ran.returncode == 0 and open(got, "rb").read() == pattern(size), name + "curl fetches", ran.stderr)
                put = os.urandom(60000 if loss else 400000)
                ran = subprocess.run(["curl", "-sS", "--max-time", "25", "-H", "Expect:", "--data-binary", "@-", "-X", "PUT",
                                      url(version, "/x")], input=put, capture_output=True, timeout=30)
                said = "%d %016x\n" % (len(put), fnv(put))
                say(ran.returncode == 0 and ran.stdout.decode() == said, name + "curl puts",
                    ran.stderr.decode() + ran.stdout.decode() + said)
                ran = run("curl", "-sS", "--max-time", "10", url(version, ":81/"))
                say(ran.returncode == 7, name + "curl is refused", str(ran.returncode) + ran.stderr)
            if need(name + "dig", "dig"):
                for kind_of, answer in (("A", "192.0.2.7"), ("AAAA", "2001:db8::7")):
                    ran = run("dig", "@" + OURS[version], "+tries=8", "+time=1", "+short", "weir.example", kind_of)
                    say(ran.stdout.split("\n")[-2:-1] == [answer], name + "dig asks for " + kind_of, ran.stdout + ran.stderr)
            if need(name + "ping", "ping"):
                ran = run("ping", "-%d" % version, "-n", "-q", "-i", "0.02", "-c", "20", "-W", "1", OURS[version])
                answers = [w for w in ran.stdout.split("\n") if "received" in w]
                got = int(answers[0].split(",")[1].split()[0]) if answers else 0
                say(got >= (8 if loss else 20), name + "ping", ran.stdout)
                ran = run("ping", "-%d" % version, "-n", "-q", "-i", "0.02", "-c", "20", "-W", "1", "-s", "6000",
                          OURS[version])
                answers = [w for w in ran.stdout.split("\n") if "received" in w]
                got = int(answers[0].split(",")[1].split()[0]) if answers else 0
                say(got >= (1 if loss else 20), name + "ping in fragments", ran.stdout)
            if need(name + "iperf3", "iperf3"):
                for way in ([["-R"] if version == 6 else []]):
                    ran = run("iperf3", "-%d" % version, "-J", "-t", "1", "-c", OURS[version], *way)
                    try:
                        rate = json.loads(ran.stdout)["end"]["sum_received"]["bits_per_second"]
                    except (ValueError, KeyError):
                        rate = 0
                    rates.append("iperf3 %s, IPv%d, %s: %.0f Mbit/s" % ("pulls" if way else "pushes", version, kind, rate / 1e6))
                    say(ran.returncode == 0 and rate > 0, name + "iperf3 " + ("pulls" if way else "pushes"),
                        ran.stdout[-300:] + ran.stderr)
    finally:
        server.stdin.close()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
        said = server.stderr.read()
        say(server.returncode == 0, "%s serves, %s: it ends well" % (LABEL, kind), "%s %s" % (server.returncode, said[-3000:]))
        print("# " + said.strip().replace("\n", "\n# ")[-500:])


def nginx(folder):
    with open(os.path.join(folder, "page"), "wb") as page:
        page.write(pattern(300000))
    with open(os.path.join(folder, "nginx.conf"), "w") as conf:
        conf.write("daemon off; master_process off; pid %s/pid; error_log %s/error;\nevents {}\nhttp { access_log off;\n"
                   "client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; "
                   "scgi_temp_path %s/s;\nserver { listen 10.9.0.1:8080; listen [fd09::1]:8080; root %s; } }\n" % ((folder,) * 8))
    return subprocess.Popen(["nginx", "-c", os.path.join(folder, "nginx.conf")], stderr=subprocess.DEVNULL)


def as_client(tun, loss, rates):
    kind = "a wire that loses" if loss else "a good wire"
    page = pattern(300000)
    for version in (4, 6):
        name = "%s asks, IPv%d, %s: " % (LABEL, version, kind)
        if shutil.which("nginx"):
            ran = run(*command(tun, loss, "get", KERNEL[version], "8080", "/page"), pass_fds=[tun])
            say(ran.returncode == 0 and ran.stdout == "get: %d %016x\n" % (len(page), fnv(page)), name + "nginx answers",
                ran.stdout + ran.stderr)
        else:
            skip(name + "nginx", "nginx is not installed (scripts/install-deps test)")
        ran = run(*command(tun, loss, "ping", KERNEL[version], "5"), pass_fds=[tun])
        say(ran.returncode == 0, name + "the kernel's echo", ran.stdout + ran.stderr)
        ran = run(*command(tun, loss, "get", KERNEL[version], "81", "/"), pass_fds=[tun])
        say(ran.returncode == 1 and "refused" in ran.stdout, name + "a closed port", ran.stdout + ran.stderr)
        if not shutil.which("iperf3"):
            skip(name + "iperf3", "iperf3 is not installed (scripts/install-deps test)")
            continue
        for way in ([["reverse"] if version == 4 else []]):
            server = subprocess.Popen(["iperf3", "-s", "-1", "-B", KERNEL[version]], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
            time.sleep(0.2)
            ran = run(*command(tun, loss, "iperf", KERNEL[version], "1", *way), pass_fds=[tun])
            words = ran.stdout.split()
            say(ran.returncode == 0, name + "iperf3 " + ("sends to us" if way else "receives"), ran.stdout + ran.stderr)
            if ran.returncode == 0:
                rates.append("iperf3 %s, IPv%d, %s: %.0f Mbit/s" % ("sends to us" if way else "receives", version, kind,
                                                                 int(words[1]) * 8e-3 / max(int(words[4]), 1)))
            try:
                server.wait(3)
            except subprocess.TimeoutExpired:
                server.kill()


def main():
    into_namespace()
    signal.alarm(120)
    tun = open_tun()
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        web = nginx(folder) if shutil.which("nginx") else None
        try:
            time.sleep(0.3)
            full = "WEIR_CASES" in os.environ  # scripts/test --full sets it
            for loss in (not full and [int(word) for word in sys.argv[3:]]) or (0, 100):
                as_server(tun, loss, folder, rates)
                as_client(tun, loss, rates)
        finally:
            if web is not None:
                web.terminate()
                web.wait(5)
    for rate in rates:
        print("# " + rate)
    end()


main()
