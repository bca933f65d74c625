#!/usr/bin/env python3
"""Weights in other forms by `tuff quantize`: smaller files that are tested and shown like any,
and one sentence for a mistake, with the file as it was."""
import os
import sys

from cases import FASHION, NET, TESTS, data, path, refused, run, tuff, tuff_json

WRONG = (
    (("--scheme", "q3_0"), "'q3_0', expected one of affine, symmetric, fixed, half, q4_0"),
    (("--bits", 0), "--bits is 0, expected 1 to 16"),
    (("--bits", 17), "--bits is 17, expected 1 to 16"),
    (("--scheme", "nf4", "--bits", 4), "nf4 has no bits to choose"),
    (("--bits-bias", 17), "--bits-bias is 17"),
    (("--bits-bias", 0), "--bits-bias is 0, expected 1 to 16"),
    (("--scheme", "fixed", "--point", 127), "--point is 127, expected -126 to 126"),
    (("--point", 3), "--point is of --scheme fixed"),
    ((), "--data is needed"),
    (("--scheme", "nf4", "--gptq"), "--data is needed"),
    (("--scheme", "half", "--gptq", "--data", "fashion"), "of no use to half"),
    (("--scheme", "q4_0", "--per", "tensor"), "scales of its own"),
    (("--scheme", "q4_0", "--equalize"), "are of nets of integers"),
    (("--bits", 1, "--data", "fashion"), "1 to 16 with --weights-only"),
    (("--scheme", "binary", "--weights-only"), "are not for binary"))


def weights_in_other_forms():
    model, out = path("whole.safetensors"), path("stored.safetensors")
    tuff("train", "--net", NET, *data(), "--out", model)
    base = ["quantize", model, "--out", out]
    few = ["--data", "fashion", "--limit-test", TESTS]
    for scheme, kb in (("half", 15), ("q8_0", 10), ("fixed", 9.5), ("nf4", 7.5)):
        got = tuff_json(*base, *few, "--scheme", scheme)
        assert got["after"]["disk_kb"] == os.path.getsize(out) / 1000 < kb, got
        assert got["drop"] < 0.02 and got["after"]["parameters"] == 5874, got
    got = tuff_json(*base, *few, "--scheme", "affine", "--bits", 3, "--weights-only", "--gptq",
                    "--calibrate", 128)
    assert got["drop"] < 0.05 and got["weights"][0]["output_error"] < 0.3, got
    again = tuff_json("test", out, "--data", "fashion", "--limit-test", TESTS)
    assert again["errors"] == got["after"]["errors"]
    assert "dense 10 weights=affine bits=3" in tuff("info", out)[0]
    net = tuff_json("info", out)["net"].split(" on ")[0]
    tuff("train", "--net", net, *data(), "--init", f"file={out}", "--out", path("on.st"))
    assert tuff_json("info", path("on.st"))["net"] == tuff_json("info", out)["net"]


def points_and_mistakes():
    model, out = path("plain.safetensors"), path("fixed.safetensors")
    tuff("train", "--net", NET, *data(), "--out", model)
    base = ["quantize", model, "--out", out]
    tuff(*base, "--bits", 12)  # without data there is no accuracy
    assert "dense 10 weights=symmetric bits=12" in tuff("info", out)[0]
    shown = tuff(*base, "--scheme", "fixed", "--bits", 6, "--point", 9, "--bits-bias", 8)[0]
    assert "saturated " in shown and " of 5874: 0.weight " in shown, shown
    with open(out, "rb") as f:
        whole = f.read()
    for args, says in WRONG:
        refused(*base, *args, says=says)
    refused("quantize", out, "--out", out, "--scheme", "half", says="in another form already")
    with open(out, "rb") as f:
        assert f.read() == whole, "a refused call touched the file"


sys.exit(run([(weights_in_other_forms, FASHION), (points_and_mistakes, FASHION)]))
