#!/usr/bin/env python3
"""Every example, built against the public headers alone, runs on the device under test and says
what it should; a user's own program builds against the library as README.md writes it."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from cases import BUILD, FASHION, SHARED, SOURCE, run, start

FOLDER = tempfile.mkdtemp(prefix="tuff-examples-")
CIFAR = os.path.join(SHARED, "data/cifar10")


def example(name, *args, expect=0):
    return start(os.path.join(BUILD, "examples", name), *args, expect=expect,
                 folder=FOLDER)[0]


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
    out = example("simplenet", "", 4, 1500)
    assert number(r"\((\S+) %\)", out) > 45, out


def simplenet_on_cifar():
    # Ten classes by chance are 10 %, give or take 1.2 of 600 images.
    out = example("simplenet", CIFAR, 10, 600)
    assert number(r"\((\S+) %\)", out) > 14, out


def simplenet_without_its_folder():
    _, err = start(os.path.join(BUILD, "examples/simplenet"), "/nowhere", expect=2)
    assert "/nowhere" in err, err


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


def own_op():
    out = example("own_op")
    if "no run-time compiler" not in out:
        assert number(r"(\d+) of 200 points right", out) > 190, out


status = run([(devices, None), (matmul, None), (regression, None), (dense, None),
              (own_op, None),
              (simplenet_without_its_folder, None), (checkpoint, FASHION),
              (simplenet, FASHION), (program_of_the_readme, FASHION),
              (simplenet_on_cifar, CIFAR)])
shutil.rmtree(FOLDER)
sys.exit(status)
