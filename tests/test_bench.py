#!/usr/bin/env python3
"""`tuff bench` as its users see it: roofs and results that can be, a page that parses, and one
sentence for each mistake. Nothing here asks how fast the machine is."""
import json
import os
import shutil
import struct
import sys
import tempfile
from xml.etree import ElementTree

from cases import BUILD, SOURCE, run, start

TUFF = os.path.join(BUILD, "tuff")
FOLDER = tempfile.mkdtemp(prefix="tuff-bench-")
os.environ["TMPDIR"] = FOLDER # where the bench has its folders
MOVES = "gather f32 64x9 31 axis=1" # and computes nothing: it has no dot in the drawing
CASES = ["matmul f32 24x40x17", "softmax f32 33x65", "matmul f16 8x16 16x4",
         "cumsum f32 1031 reverse=1", MOVES, "matmul_integer u8 16x32 32x8"]


def bench(*args, expect=0):
    return start(TUFF, "bench", *args, expect=expect, folder=FOLDER)


def positive(o, *names):
    for name in names:
        assert isinstance(o[name], (int, float)) and o[name] > 0, f"{name} is {o[name]}"


def results():
    """One call for all: the roof is measured each time, which takes a while on the poor."""
    page = os.path.join(FOLDER, "bench.html")
    out, err = bench(*CASES, "--runs", 5, "--json", "--html", page)
    got = json.loads(out)
    assert got["device"] and got["driver"], got
    roof = got["roof"]
    positive(roof, "f32_gflops", "i32_gops", "copy_gbps")
    for name in ("f16_gflops", "bf16_gflops", "i8_gops", "matrix_f16_gflops",
                 "matrix_bf16_gflops", "matrix_i8_gops"):
        assert roof[name] is None or roof[name] > 0, roof
    assert [r["case"] for r in got["results"]] == \
        CASES[:2] + ["matmul f16 8x16x4"] + CASES[3:], got["results"]
    for r in got["results"]:
        assert r["variant"], r
        positive(r, "median_ms", "min_ms", "max_ms", "gbps", "percent_of_roof")
        assert r["gflops"] > 0 or r["case"] == MOVES and r["gflops"] == 0, r
        in_order(r, "")
        in_order(r, "device_")
        assert r["runs"] == 5 and r["percent_of_roof"] < 120, r
        compute = max(v for k, v in roof.items() if k != "copy_gbps" and v)
        assert r["gflops"] < 1.2 * compute, r
    # Operations and bytes are those of the case, whatever it took.
    first = got["results"][0]
    near(first["gflops"] * first["median_ms"] * 1e6, 2 * 24 * 40 * 17)
    near(first["gbps"] * first["median_ms"] * 1e6, 4 * (24 * 40 + 40 * 17 + 24 * 17))
    part = max(2 * 24 * 40 * 17 / roof["f32_gflops"],
               4 * (24 * 40 + 40 * 17 + 24 * 17) / roof["copy_gbps"])
    near(first["percent_of_roof"], part * 1e-4 / first["median_ms"])
    page_is_whole(page)


def in_order(r, clock):
    """Quarters of the runs; every device of the tests has a clock of its own."""
    names = ("min", "low", "median", "high", "max")
    values = [r[clock + name + "_ms"] for name in names]
    assert values == sorted(values) and values[0] > 0, r


def nets_and_programs():
    cases = ["train dense-64-10  8x12 optimizer=momentum",
             "startup dense-64-10 8x12 cache=warm",
             "infer mlp-10-20-1 3x10", "replay 7", "startup dense-64-10 8x12 cache=empty"]
    page = os.path.join(FOLDER, "nets.html")
    out, err = bench(*cases, "--runs", 3, "--json", "--html", page)
    train, warm, infer, replay, empty = json.loads(out)["results"]
    assert [r["case"] for r in (train, warm, infer, replay, empty)] == \
        ["train dense-64-10 8x12 optimizer=momentum", "startup dense-64-10 8x12 cache=warm",
         "infer mlp-10-20-1 3x10", "replay 7", "startup dense-64-10 8x12 cache=empty"], out
    for r in (train, infer):
        in_order(r, "")
        in_order(r, "device_")
        positive(r, "gflops", "percent_of_roof", "images_per_second", "launches")
        assert r["gbps"] is None, r
    near(train["images_per_second"] * train["median_ms"], 8e3)
    near(infer["images_per_second"] * infer["median_ms"], 3e3)
    in_order(replay, "")
    in_order(replay, "device_")
    positive(replay, "driver_median_ms", "driver_min_ms", "driver_max_ms", "driver_launch_us")
    assert replay["launches"] == 7, replay
    near(replay["launch_us"] * 7, replay["median_ms"] * 1e3)
    assert replay["min_ms"] / replay["driver_max_ms"] <= replay["of_driver"] * 1.001 and \
        replay["of_driver"] * 0.999 <= replay["max_ms"] / replay["driver_min_ms"], replay
    for r in (warm, empty):
        in_order(r, "")
        positive(r, "open_ms", "build_ms", "step_ms")
        assert r["device_median_ms"] is None and r["percent_of_roof"] is None, r
    assert not [f for f in os.listdir(FOLDER) if f.startswith("tuff-startup")]
    with open(page) as f:
        text = f.read()
    assert len(list(ElementTree.fromstring(text[text.index("<html"):]).iter("code"))) == 5
    out, err = bench("replay 2", "infer mlp-10-20-1 3x10", "--runs", 3, "--no-roof")
    assert "roof:" not in out, out
    assert "replay 2" in out and "images/s" in out and "kernel" not in out, out


def models_in_turns():
    """A net, and the files of it: floats, integers, packed."""
    net = "flatten | dense 7 | relu | dense 3"
    x, y = (os.path.join(FOLDER, n) for n in ("x.npy", "y.npy"))
    npy(x, "<f4", (24, 5), struct.pack("<120f", *(i % 7 / 7 for i in range(120))))
    npy(y, "<i4", (24,), struct.pack("<24i", *(i % 3 for i in range(24))))
    files = ["m.safetensors", "q.safetensors", "m.tuffz"]
    for command in (["train", "--net", net, "--data", f"npy:{x},{y}", "--epochs", 1,
                     "--out", files[0]],
                    ["quantize", files[0], "--data", f"npy:{x},{y}", "--out", files[1]],
                    ["quantize", files[0], "--scheme", "half", "--out", files[2]]):
        start(TUFF, *command, "--quiet", "--device", "cpu", folder=FOLDER)
    out, _ = bench("infer", *files, net, "--input", 5, "--batch", 1, "--batch", "3,2",
                   "--runs", 3, "--json")
    got = json.loads(out)
    assert got["device"] and got["driver"], got
    assert [(r["model"], r["batch"]) for r in got["results"]] == \
        [(m, b) for b in (1, 3, 2) for m in files + [net]], out
    for r in got["results"]:
        in_order(r, "")
        positive(r, "memory_mb", "image_ms", "speedup", "launches", "batches_in_a_turn")
        near(r["image_ms"] * r["batch"], r["median_ms"])
        assert r["rounds"] == 3 and r["speedup_min"] <= r["speedup"] <= r["speedup_max"], r
        if r["model"] == net: assert r["disk_kb"] is None, r
        else: assert 0 < r["disk_kb"] * 1000 <= os.path.getsize(
            os.path.join(FOLDER, r["model"])), r
        if r["model"] == files[0]: assert r["speedup_min"] == r["speedup_max"] == 1, r
    out, _ = bench("infer", files[1], "--runs", 3)
    assert "KB disk" in out and files[1] in out, out
    for args, says in ((["infer"], "model files"), (["infer", "none.tuffz"], "none.tuffz"),
                       (["infer", files[0], "--batch", "1,,2"], "'1,,2'"),
                       (["infer", files[0], "--batch", "0"], "'0'"),
                       (["infer", files[0], "--suite", "conv"], "--suite"),
                       (["relu f32 3", "--batch", "2"], "--batch")):
        out, err = bench(*args, "--quiet", expect=2)
        assert out == "" and says in err and len(err.splitlines()) == 1, err


def npy(path, dtype, shape, data):
    head = str({"descr": dtype, "fortran_order": False, "shape": shape}) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + data)


def near(got, want):
    assert abs(got - want) <= 1e-3 * want, f"{got}, expected {want}"


def page_is_whole(page):
    assert not os.path.exists(page + ".part")
    with open(page) as f:
        text = f.read()
    tree = ElementTree.fromstring(text[text.index("<html"):])
    svg = "{http://www.w3.org/2000/svg}"
    dots = list(tree.iter(svg + "circle"))
    assert [d.find(svg + "title").text for d in dots][:2] == CASES[:2], dots
    assert len(dots) == len(CASES) - 1, len(dots)
    for d in dots:
        assert 60 <= float(d.get("cx")) <= 860 and 20 <= float(d.get("cy")) <= 440, d.attrib
    roofs = list(tree.iter(svg + "polyline"))
    assert 2 <= len(roofs) <= 8 and all(r.get("points") for r in roofs), roofs
    assert len(list(tree.iter("code"))) == len(CASES)


def mistakes_are_named():
    def refused(*args, says):
        out, err = bench(*args, "--quiet", expect=2)
        assert out == "" and says in err and len(err.splitlines()) == 1, err
    refused("nonesuch f32 3x3", says="'nonesuch'")
    refused("matmul", says="type")
    refused("matmul 3x4x5", says="'3x4x5' is no type")
    refused("matmul f32 3x4 5x6", says="matmul")
    refused("matmul f32 3x4x", says="3x4x")
    refused("relu f32 3x3 nonesuch=1", says="nonesuch")
    refused("--suite", "nonesuch", says="memory")
    refused("train", says="net")
    refused("train nonesuch 64x1x28x28", says="nonesuch")
    refused("train lenet5", says="shape")
    refused("train lenet5 64", says="'64'")
    refused("infer lenet5 1x1x28x", says="'1x1x28x'")
    refused("infer lenet5 1x1x28x28 optimizer=adam", says="optimizer=adam")
    refused("train lenet5 64x1x28x28 optimizer=nonesuch", says="nonesuch")
    refused("train lenet5 64x3x5x5", says="conv")
    refused("relu f32 3", "--no-roof", "--html", "page.html", says="--no-roof")
    refused("replay", says="replay N")
    refused("replay 10x", says="'replay 10x'")
    refused("replay 0", says="10000")
    refused("startup lenet5 64x1x28x28", says="cache=empty")
    refused("startup nonesuch 64x1x28x28 cache=warm", says="nonesuch")
    refused("startup lenet5 64x1x28x28 cache=empty", "--device", "nonesuch", says="nonesuch")
    refused("relu f32 3", "--runs", 1, says="--runs")
    refused("relu f32 3", "--device", "nonesuch", says="nonesuch")
    got = json.loads(bench("nonesuch f32 3x3", "--json", expect=2)[0])
    assert "nonesuch" in got["error"], got
    refused("relu f32 3", "--runs", 3, "--html", "no/such/folder/page.html",
            says="no/such/folder")


def suites_are_cases():
    """Every line of every suite is a case: all are read before anything is measured."""
    out, err = bench("--suite", "all", "--device", "nonesuch", "--quiet", expect=2)
    assert "nonesuch" in err, err
    out, _ = bench("--help")
    for file in os.listdir(os.path.join(SOURCE, "bench", "shapes")):
        assert file[:-len(".txt")] in out, f"--help does not name the suite of {file}"


status = run([(case, None) for case in (mistakes_are_named, suites_are_cases, results,
                                        nets_and_programs, models_in_turns)])
shutil.rmtree(FOLDER)
sys.exit(status)
