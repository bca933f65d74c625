#!/usr/bin/env python3
"""Every example, built against the public headers alone, runs on the device under test and says
what it should; a user's own program builds against the library as README.md writes it."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.environ.get("TUFF_SOURCE") or os.path.dirname(HERE)
BUILD = os.environ.get("TUFF_BUILD") or os.path.join(SOURCE, "build")
SHARED = os.environ.get("TUFF_SHARED") or os.path.join(SOURCE, "../shared")
RUN = [os.environ["TUFF_RUN"]] if os.environ.get("TUFF_RUN") else []
FOLDER = tempfile.mkdtemp(prefix="tuff-examples-")
CIFAR = os.path.join(SHARED, "data/cifar10")
FASHION = "/usr/share/datasets/fashion-mnist"
counts = {"passed": 0, "failed": 0, "skipped": 0}


def start(program, *args, expect=0):
    done = subprocess.run(RUN + [program, *map(str, args)], text=True, cwd=FOLDER,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == expect, \
        f"{os.path.basename(program)}: status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def example(name, *args, expect=0):
    return start(os.path.join(BUILD, "examples", name), *args, expect=expect)[0]


def number(pattern, text):
    found = re.search(pattern, text)
    assert found, f"'{pattern}' is not in: {text}"
    return float(found.group(1))


def devices():
    assert re.search(r"^cpu .*^auto takes ", example("devices"), re.M | re.S)


def matmul():
    assert number(r"host (\S+)$", example("matmul", 77).strip()) < 1e-4
    example("matmul", "none", expect=2)


def regression():
    out = example("regression")
    assert number(r"test loss (\S+)", out) < 0.05, out


def dense():
    out = example("dense")
    assert number(r"\((\S+) %\)", out) > 92, out


def checkpoint():
    out = example("checkpoint", FOLDER)
    assert "the same weights" in out, out


def simplenet():
    out = example("simplenet", "", 2, 4000)
    assert number(r"\((\S+) %\)", out) > 45, out


def simplenet_on_cifar():
    # Ten classes by chance are 10 %.
    out = example("simplenet", CIFAR, 6, 2000)
    assert number(r"\((\S+) %\)", out) > 16, out


def simplenet_without_its_folder():
    done = subprocess.run(RUN + [os.path.join(BUILD, "examples/simplenet"), "/nowhere"],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 2 and "/nowhere" in done.stderr, done.stderr


def program_of_the_readme():
    with open(os.path.join(SOURCE, "README.md")) as file:
        code = re.search(r"```c\n(.*?)```", file.read(), re.S).group(1)
    assert code.count("\n") <= 30
    # One pass over less data: what is tested is that it builds and runs as it stands.
    with open(os.path.join(FOLDER, "prog.c"), "w") as file:
        file.write(code.replace('"fashion", NULL', '"fashion", &(tuff_dataset_params){ '
                                '.limit_train = 640, .limit_test = 500 }'))
    subprocess.run(["cc", "-std=c11", "-Wall", "-Werror", "prog.c", "-I" + SOURCE + "/include",
                    "-L" + BUILD, "-ltuff", "-Wl,-rpath," + BUILD, "-o", "prog"], cwd=FOLDER,
                   check=True)
    out, _ = start(os.path.join(FOLDER, "prog"))
    assert number(r"(\S+) % right", out) > 30, out


def wants(folder, case):
    return case if os.path.isdir(folder) else (folder, case)


for case in (devices, matmul, regression, dense, simplenet_without_its_folder,
             wants(FASHION, checkpoint), wants(FASHION, simplenet),
             wants(FASHION, program_of_the_readme), wants(CIFAR, simplenet_on_cifar)):
    if isinstance(case, tuple):
        print(f"skipped: {case[1].__name__}: {case[0]} is not there")
        counts["skipped"] += 1
        continue
    try:
        case()
        counts["passed"] += 1
    except AssertionError as error:
        counts["failed"] += 1
        print(f"FAILED: {case.__name__}: {error}")
shutil.rmtree(FOLDER)
print("{passed} passed, {failed} failed, {skipped} skipped, 0 known".format(**counts))
sys.exit(1 if counts["failed"] else 0)
