#!/usr/bin/env python3
"""The runner and the set-up scripts themselves: what must count as a failure does."""
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.dont_write_bytecode = True
LOADER = importlib.machinery.SourceFileLoader("run", os.path.join(HERE, "run"))
RUN = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", LOADER))
LOADER.exec_module(RUN)

GOOD = "hello\n3 passed, 0 failed, 1 skipped, 2 known\n"
BAD = "3 passed, 1 failed, 0 skipped, 0 known\n"
NONE = "0 passed, 0 failed, 0 skipped, 0 known\n"


def judged(status, output, messages="", filtered=False, speaks=False):
    return RUN.judge(status, output, messages, 10, filtered, speaks)


def summary_is_read():
    return judged(0, GOOD) == ((3, 0, 1, 2), None) and judged(1, BAD) == ((3, 1, 0, 0), None)


def trouble_is_noticed():
    return all(judged(*case)[1] for case in [
        (0, "no summary"), (0, GOOD + "a line after it"), (0, ""), (0, BAD), (1, GOOD),
        (None, GOOD), (-11, GOOD), (0, NONE), (0, GOOD, "VUID-x")])


def nothing_may_match_a_filter():
    return judged(0, NONE, filtered=True)[1] is None


def validation_is_heard():
    return (judged(0, "SYNC-HAZARD-WRITE-AFTER-WRITE\n" + GOOD)[1] is not None
            and judged(0, GOOD, "SYNC-HAZARD-WRITE", speaks=True)[1] is None
            and judged(0, GOOD, "", speaks=True)[1] is not None)


def programs_are_ended_in_time():
    status, output = RUN.execute(["sh", "-c", "echo begun; sleep 60"], dict(os.environ), 0.5)
    return status is None and output == "begun\n"


def crashes_are_seen():
    return RUN.execute(["sh", "-c", "kill -SEGV $$"], dict(os.environ), 10)[0] == -11


def wrong_lines_are_refused():
    for line in ("test_x", "test_x nowhere", "test_x host fast", "test_x host time=3"):
        try:
            RUN.Test(line)
            return False
        except (SystemExit, ValueError):
            pass
    test = RUN.Test("test_x device alone timeout=5 drivers=cpu -- a b")
    return (test.title() == "test_x a b" and test.timeout == 5
            and test.devices(RUN.DEVICES) == ["cpu"])


def widths_only_when_asked():
    among = RUN.DEVICES + RUN.WIDTHS
    return (RUN.Test("test_x device").devices(among) == list(RUN.DEVICES)
            and RUN.Test("test_x device widths").devices(among) == list(among))


def setup_without_apt_names_what_is_needed():
    """In a folder of programs that lacks apt-get."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("bash", "sed", "dirname", "cat"):
            os.symlink(shutil.which(name), os.path.join(folder, name))
        done = subprocess.run(["bash", os.path.join(ROOT, "tools/setup")], text=True,
                              env={"PATH": folder}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return (done.returncode == 2 and done.stdout == ""
            and all(word in done.stderr for word in ("libvulkan-volk-dev", "glslang-tools")))


CHECKS = [summary_is_read, trouble_is_noticed, nothing_may_match_a_filter, validation_is_heard,
          programs_are_ended_in_time, crashes_are_seen, wrong_lines_are_refused,
          widths_only_when_asked, setup_without_apt_names_what_is_needed]


def main():
    failed = 0
    for check in CHECKS:
        ok = check()
        failed += not ok
        print(("ok: " if ok else "FAILED: ") + check.__name__.replace("_", " "))
    print(f"{len(CHECKS) - failed} passed, {failed} failed, 0 skipped, 0 known")
    return 1 if failed else 0


sys.exit(main())
