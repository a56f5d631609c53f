# SPDX-License-Identifier: Apache-2.0
"""One replay, timed: what drivers.py and drivers_real.py share."""
import os
import subprocess
import sys


def cpu_time(weir, capture, out, *more):
    """Seconds of user and system time that `weir replay` of the capture takes; `out` is written anew. Ends the program where it fails
    (1 and 2 are the policy's: something was blocked, something depends)."""
    if os.path.exists(out):
        os.unlink(out)
    process = subprocess.Popen([weir, "replay", "-q", capture, "-w", out] + list(more), stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1, 2):
        sys.exit("%s: exit status %d\n%s" % (capture, process.returncode, errors.decode()[-500:]))
    return usage.ru_utime + usage.ru_stime
