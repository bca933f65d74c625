"""Puts the peers into build/peers, without touching the system:

    system/   Debian's packages of OpenBLAS and oneDNN, unpacked
    python/   ncnn, onnxruntime and what they stand on, from PyPI
    blas, dnn the programs of blas.c and dnn.c

PyTorch is Debian's python3-torch, where the system's own Python has it (PyPI's brings gigabytes
of CUDA). What cannot be had is named in a sentence, and the rest goes on."""
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FOLDER = os.path.join(ROOT, "build", "peers")
SYSTEM, PYTHON = os.path.join(FOLDER, "system"), os.path.join(FOLDER, "python")
DEBIAN = ["libopenblas0-pthread", "libopenblas-pthread-dev", "libdnnl2", "libdnnl-dev",
          "ocl-icd-libopencl1", "libgfortran5", "libgomp1"]
PYPI = ["numpy", "onnx", "onnxruntime", "ncnn"]
SYSTEM_PYTHON = "/usr/bin/python3"


def call(*command, **options):
    """Runs a command; its last line of output where it fails, else None."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, **options)
    except OSError as e:
        return str(e)
    lines = done.stdout.strip().split("\n")
    return None if done.returncode == 0 else lines[-1] or f"status {done.returncode}"


def unpack_debian():
    if glob.glob(f"{SYSTEM}/usr/lib/*/libdnnl.so"):
        return None
    debs = os.path.join(FOLDER, "debs")
    os.makedirs(debs, exist_ok=True)
    wrong = call("apt-get", "download", *DEBIAN, cwd=debs)
    for deb in sorted(glob.glob(f"{debs}/*.deb")):
        wrong = wrong or call("dpkg-deb", "-x", deb, SYSTEM)
    return wrong


def compile_program(name):
    """build/peers/NAME from NAME.c, linked to what was unpacked."""
    program, source = os.path.join(FOLDER, name), os.path.join(HERE, f"{name}.c")
    header = os.path.join(HERE, "serve.h")
    if os.path.exists(program) and \
            os.path.getmtime(program) > max(map(os.path.getmtime, (source, header))):
        return None
    libraries = glob.glob(f"{SYSTEM}/usr/lib/*-linux-gnu")
    if not libraries:
        return "Debian's packages are not there"
    folder, triplet = libraries[0], os.path.basename(libraries[0])
    own, library, headers = {
        "blas": (f"{folder}/openblas-pthread", "openblas", f"{triplet}/openblas-pthread"),
        "dnn": (folder, "dnnl", "")}[name]
    return call("cc", "-O2", "-o", program, source, f"-I{SYSTEM}/usr/include/{headers}",
                f"-L{own}", f"-l{library}", f"-Wl,-rpath,{own}:{folder}",
                f"-Wl,-rpath-link,{folder}")


def fetch_python():
    return {name: call(sys.executable, "-m", "pip", "install", "-q", "--target", PYTHON, name)
            for name in PYPI if not os.path.isdir(os.path.join(PYTHON, name))}


def install(fetch=True):
    """{peer: why it is missing} of those that are; without `fetch` nothing is downloaded."""
    missing = {}
    os.makedirs(FOLDER, exist_ok=True)
    wrong = unpack_debian() if fetch else None
    for name, peer in (("blas", "OpenBLAS"), ("dnn", "oneDNN")):
        wrong_here = wrong or compile_program(name)
        if wrong_here:
            missing[peer] = wrong_here
    if fetch:
        missing.update({name: why for name, why in fetch_python().items() if why})
    for name in PYPI:
        if not os.path.isdir(os.path.join(PYTHON, name)):
            missing.setdefault(name, f"it is not in {PYTHON}")
    if call(SYSTEM_PYTHON, "-c", "import torch"):
        missing["PyTorch"] = "the system's Python has none; apt-get install python3-torch"
    return missing
