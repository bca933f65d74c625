"""Puts the peers into build/peers, without touching the system:

    system/   Debian's packages of OpenBLAS and oneDNN, unpacked
    sid/      Debian sid's packages of ggml with its Vulkan backend, and their own C library
    python/   ncnn, onnxruntime and what they stand on, from PyPI
    blas, dnn, ggml   the programs of blas.c, dnn.c and ggml.c

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
SID = os.path.join(FOLDER, "sid")
SID_PACKAGES = ["libggml0", "libggml0-backend-vulkan", "libggml-dev"]
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


def unpack_sid():
    """apt with a state of its own, to which no package is installed: it fetches all that these
    stand on, and reads of the system only the keys."""
    if glob.glob(f"{SID}/usr/lib/*/ggml/*/libggml-vulkan.so"):
        return None
    state = os.path.join(FOLDER, "apt")
    for folder in ("state/lists/partial", "cache/archives/partial", "none"):
        os.makedirs(f"{state}/{folder}", exist_ok=True)
    open(f"{state}/status", "w").close()
    with open(f"{state}/sources", "w") as f:
        f.write("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "
                "http://deb.debian.org/debian sid main\n")
    settings = {"Dir::State": f"{state}/state", "Dir::State::status": f"{state}/status",
                "Dir::Cache": f"{state}/cache", "Dir::Etc::sourcelist": f"{state}/sources",
                "Dir::Etc::sourceparts": f"{state}/none",
                "Dir::Etc::preferences": f"{state}/none/none",
                "Dir::Etc::preferencesparts": f"{state}/none", "APT::Sandbox::User": "root",
                "Acquire::Languages": "none"}
    apt = ["apt-get", "-q"] + [w for k, v in settings.items() for w in ("-o", f"{k}={v}")]
    wrong = call(*apt, "update") or call(*apt, "install", "-y", "--download-only",
                                         "--no-install-recommends", *SID_PACKAGES)
    for deb in sorted(glob.glob(f"{state}/cache/archives/*.deb")):
        wrong = wrong or call("dpkg-deb", "-x", deb, SID)
    return wrong


def ggml_command():
    """How build/peers/ggml is started: by sid's loader, with the driver's own folder of
    libraries where it has one. And what the environment must hold."""
    here = glob.glob(f"{SID}/usr/lib/*/ggml/*/libggml-vulkan.so")[0]
    libraries = os.path.dirname(os.path.dirname(os.path.dirname(here)))
    drivers = os.environ.get("VK_DRIVER_FILES", "").split(":")
    own = [os.path.join(os.path.dirname(d), "lib") for d in drivers if d]
    path = [libraries, *filter(os.path.isdir, own),
            f"/usr/lib/{os.path.basename(libraries)}"]
    loader, = glob.glob(f"{SID}/usr/lib*/ld-linux*.so*") or ["no loader"]
    return ([loader, "--library-path", ":".join(path), os.path.join(FOLDER, "ggml")],
            {"GGML_VULKAN": os.path.dirname(here), "GGML_VK_VISIBLE_DEVICES": "0",
             "GGML_VK_DISABLE_F16": "1"})  # else it multiplies f32 in f16


def compile_program(name):
    """build/peers/NAME from NAME.c, linked to what was unpacked."""
    program, source = os.path.join(FOLDER, name), os.path.join(HERE, f"{name}.c")
    header = os.path.join(HERE, "serve.h")
    if os.path.exists(program) and \
            os.path.getmtime(program) > max(map(os.path.getmtime, (source, header))):
        return None
    libraries = glob.glob(f"{SID if name == 'ggml' else SYSTEM}/usr/lib/*-linux-gnu")
    if not libraries:
        return "Debian's packages are not there"
    folder, triplet = libraries[0], os.path.basename(libraries[0])
    if name == "ggml":  # what it stands on is sid's, which this linker need not know
        return call("cc", "-O2", "-o", program, source, f"-I{SID}/usr/include", f"-L{folder}",
                    "-lggml", "-lggml-base", "-Wl,--allow-shlib-undefined")
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
    system = unpack_debian() if fetch else None
    sid = unpack_sid() if fetch else None
    for name, peer, wrong in (("blas", "OpenBLAS", system), ("dnn", "oneDNN", system),
                              ("ggml", "ggml's Vulkan backend", sid)):
        wrong = wrong or compile_program(name)
        if wrong:
            missing[peer] = wrong
    if fetch:
        missing.update({name: why for name, why in fetch_python().items() if why})
    for name in PYPI:
        if not os.path.isdir(os.path.join(PYTHON, name)):
            missing.setdefault(name, f"it is not in {PYTHON}")
    if call(SYSTEM_PYTHON, "-c", "import torch"):
        missing["PyTorch"] = "the system's Python has none; apt-get install python3-torch"
    return missing
