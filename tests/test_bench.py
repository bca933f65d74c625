#!/usr/bin/env python3
"""`tuff bench` as its users see it: roofs and results that can be, a page that parses, and one
sentence for each mistake. Nothing here asks how fast the machine is."""
import json
import os
import shutil
import sys
import tempfile
from xml.etree import ElementTree

from cases import BUILD, SOURCE, run, start

TUFF = os.path.join(BUILD, "tuff")
FOLDER = tempfile.mkdtemp(prefix="tuff-bench-")
MOVES = "gather f32 64x9 31 axis=1" # and computes nothing: it has no dot in the drawing
CASES = ["matmul f32 24x40x17", "softmax f32 33x65", "matmul f16 8x16 16x4",
         "cast f32 1031 to=i32", MOVES, "matmul_integer u8 16x32 32x8"]


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
    positive(roof, "f32_gflops", "i8_gops", "copy_gbps")
    if roof["f16_gflops"] is not None:
        positive(roof, "f16_gflops")
    assert [r["case"] for r in got["results"]] == \
        CASES[:2] + ["matmul f16 8x16x4"] + CASES[3:], got["results"]
    for r in got["results"]:
        assert r["variant"], r
        positive(r, "median_ms", "min_ms", "max_ms", "gbps", "percent_of_roof")
        assert r["gflops"] > 0 or r["case"] == MOVES and r["gflops"] == 0, r
        assert r["min_ms"] <= r["median_ms"] <= r["max_ms"], r
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
    assert 2 <= len(roofs) <= 3 and all(r.get("points") for r in roofs), roofs
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


status = run([(case, None) for case in (mistakes_are_named, suites_are_cases, results)])
shutil.rmtree(FOLDER)
sys.exit(status)
