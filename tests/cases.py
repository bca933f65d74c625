"""What test scripts share: programs started on the device under test, named cases that are
counted and do not stop each other, and the last line that tests/run reads."""
import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("TUFF_SOURCE") or os.path.dirname(HERE)
BUILD = os.environ.get("TUFF_BUILD") or os.path.join(SOURCE, "build")
SHARED = os.environ.get("TUFF_SHARED") or os.path.join(SOURCE, "../shared")
FASHION = "/usr/share/datasets/fashion-mnist"
RUN = [os.environ["TUFF_RUN"]] if os.environ.get("TUFF_RUN") else []


def start(program, *args, expect=0, folder=None, env=None):
    """Runs it; returns (stdout, stderr). A status other than `expect` is a failure."""
    done = subprocess.run(RUN + [program, *map(str, args)], text=True, cwd=folder,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=dict(os.environ, **(env or {})))
    assert done.returncode == expect, \
        f"{os.path.basename(program)} {' '.join(map(str, args))}: " \
        f"status {done.returncode}, expected {expect}\n{done.stdout[-800:]}{done.stderr[-800:]}"
    return done.stdout, done.stderr


def run(cases):
    """Runs (case, folder it needs or None) pairs whose name holds the first argument of the
    script; prints the summary and returns the exit status."""
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    passed = failed = skipped = 0
    for case, folder in cases:
        if only not in case.__name__:
            continue
        if folder and not os.path.isdir(folder):
            print(f"skipped: {case.__name__}: {folder} is not there")
            skipped += 1
            continue
        try:
            case()
            passed += 1
        except AssertionError as error:
            failed += 1
            print(f"FAILED: {case.__name__}: {error}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped, 0 known")
    return 1 if failed else 0


# ---- the command line ------------------------------------------------------------------------

TUFF = os.path.join(BUILD, "tuff")
FOLDER = tempfile.mkdtemp(prefix="tuff-cases-")
atexit.register(shutil.rmtree, FOLDER)
NET = "conv 4 5 | relu | maxpool 2 | flatten | dense 10"
TESTS = 1000  # test images: SwiftShader needs seconds for as many


def path(name):
    return os.path.join(FOLDER, name)


def tuff(*args, expect=0, env=None):
    return start(TUFF, *args, expect=expect, folder=FOLDER, env=env)


def tuff_json(*args, expect=0):
    out = tuff(*args, "--json", expect=expect)[0]
    try:
        return json.loads(out)
    except json.JSONDecodeError as error:  # a layer or a driver may have spoken before us
        raise AssertionError(f"tuff {' '.join(map(str, args))}: {error} in\n{out[:800]}")


def refused(*args, says, env=None):
    """A mistake: status 2, nothing on stdout, one line on stderr that holds `says`."""
    out, err = tuff(*args, "--quiet", expect=2, env=env)
    assert out == "", f"stdout should be empty: {out}"
    lines = [line for line in err.splitlines() if line]
    assert says in err, f"'{says}' is not said: {err}"
    assert len(lines) <= 3, f"more than a sentence and its mark: {err}"
    assert err.startswith("tuff"), err


def data(epochs=1, *more):
    return ["--data", "fashion", "--limit", "1280", "--limit-test", TESTS, "--epochs", epochs,
            *more]
