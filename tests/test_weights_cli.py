#!/usr/bin/env python3
"""Weights in other forms by `tuff quantize`, and packed by `tuff compress`: smaller files that
are tested and shown like any, and one sentence for a mistake, with the file as it was."""
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


def stored_nets_are_trained_on():
    model, out, on = path("start.st"), path("form.st"), path("form_on.st")
    few = ["--data", "fashion", "--limit", 500, "--limit-test", TESTS]
    tuff("train", "--net", NET, *data(), "--out", model)
    every = (("symmetric", "--bits", 4), ("nf4",), ("binary",))
    # The steps' kernels have tests of their own: a GPU's driver sees one form.
    for scheme in every if os.environ.get("TUFF_DEVICE") == "cpu" else every[2:]:
        tuff("quantize", model, *few, "--out", out, "--scheme", *scheme)
        tuff("train", "--net", out, *few, "--epochs", 1, "--out", on)
        assert os.path.getsize(on) == os.path.getsize(out), scheme
        assert tuff_json("info", on)["net"] == tuff_json("info", out)["net"]
        refused("train", "--resume", on, *few, says="whose run has ended")
    got = tuff_json("quantize", on, "--scheme", "float", *few[:2], *few[4:], "--out", out)
    assert abs(got["drop"]) < 0.01 and "packed" not in tuff_json("info", out)["net"], got
    refused("quantize", model, "--scheme", "float", "--out", out, says="in a stored form")
    refused("quantize", on, "--scheme", "float", "--bits", 4, "--out", out, says="no option")


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


def compressed_models():
    model, packed = path("dense.tuff"), path("dense.tuffz")
    tuff("train", "--net", "flatten | dense 30 | relu | dense 10", *data(), "--out", model)
    got = tuff_json("compress", model, "--data", "fashion", "--limit", "2000", "--limit-test",
                    str(TESTS), "--out", packed, "--sparsity", "0.8", "--finetune", "2",
                    "--epochs", "1", "--runs", "-1")
    before, after = got["before"], got["after"]
    assert before["parameters"] == after["parameters"] == 23860
    assert abs(after["nonzeros"] / 23860 - 0.2) < 0.01
    assert got["shared"]["accuracy"] == after["accuracy"], "the file is not what was made"
    assert after["disk_kb"] * 15 < 4 * 23.860, after["disk_kb"]
    assert after["disk_kb"] * 1000 == os.path.getsize(packed)
    lines = {line["name"]: line for line in tuff_json("info", packed)["packed"]}
    assert lines == {line["name"]: line for line in got["packed"]}
    first = lines["1.weight"]
    assert first["coding"] == "codebook" and first["weight_bits"] == 5
    assert first["nonzeros"] == 23520 - round(23520 * 0.8)
    assert first["weight_bits_coded"] <= 5 and first["bytes"] < first["quantized_bytes"] + 200
    assert sum(line["bytes"] for name, line in lines.items() if name != "the file") < \
        lines["the file"]["bytes"] == os.path.getsize(packed)
    shown, _ = tuff("info", packed)
    assert "codebook" in shown and "1.weight" in shown and "the file" in shown
    tested = tuff_json("test", packed, "--data", "fashion", "--limit-test", str(TESTS))
    assert tested["accuracy"] == after["accuracy"]
    again = tuff_json("compress", packed, "--data", "fashion", "--limit", "500", "--limit-test",
                      "100", "--sparsity", "0", "--epochs", "0", "--runs", "-1", "--out",
                      path("again.tuffz"))
    assert again["after"]["nonzeros"] == after["nonzeros"] and "pruned" not in again
    few = ["--data", "fashion", "--limit", 500, "--limit-test", 100]
    on, there = path("on.safetensors"), path("there.tuffz")

    def lines_of(*command):
        tuff(*command, *few, "--out", there)
        return {line["name"]: line for line in tuff_json("info", there)["packed"]}

    # Trained on, weights still share 31 numbers, where 255 would be taken.
    tuff("train", "--net", packed, *few, "--epochs", 1, "--keep-shared", "--out", on)
    trained = lines_of("compress", on, "--sparsity", 0, "--bits-dense", 8, "--epochs", 0,
                       "--runs", -1)["1.weight"]
    assert trained["weight_bits"] == 5 and trained["nonzeros"] == first["nonzeros"], trained
    # In a codebook the net is as it was, and in memory as small as its bits.
    book = tuff_json("quantize", packed, "--scheme", "codebook", "--data", "fashion",
                     "--limit-test", TESTS, "--out", on)
    assert book["drop"] == 0 and book["after"]["nonzeros"] == after["nonzeros"], book
    assert book["after"]["memory_mb"] < book["before"]["memory_mb"] / 3, book
    tuff("train", "--net", on, *few, "--epochs", 1, "--out", on)
    assert "codebook bits=5" in tuff_json("info", on)["net"]
    now = tuff_json("quantize", on, "--scheme", "float", "--out", path("floats.st"))
    assert now["before"]["nonzeros"] == after["nonzeros"], now
    # Zeros among numbers that no codebook holds; codes, whose zeros are not known.
    pruned = lines_of("prune", model, "--sparsity", 0.5, "--runs", -1)["1.weight"]
    assert pruned["coding"] == "zlib" and pruned["nonzeros"] == 11760, pruned
    assert "nonzeros" not in lines_of("quantize", model)["the file"]
    assert tuff("info", there)[0].splitlines()[-1].split()[3] == "-"
    refused("compress", there, *few, "--sparsity", 0, "--out", packed,
            says="take the net that it was made of")
    whole = open(packed, "rb").read()
    refused("compress", model, "--out", packed, says="--data is needed")
    refused("compress", model, "--data", "fashion", "--out", model, says="ends in .tuffz")
    for wrong, says in ((("--sparsity", "1"), "0 to below 1"),
                        (("--bits-dense", "0"), "2 to 8"),
                        (("--init", "forgy"), "'forgy'"), (("--schedule", "x"), "oneshot"),
                        (("--rates", "9=0.5"), "9"), (("--epochs", "-1"), "--epochs")):
        refused("compress", model, "--data", "fashion", "--limit", "500", "--out", packed,
                *wrong, says=says)
    assert open(packed, "rb").read() == whole, "a refused call touched the file"
    for cut in (5, 11, 40, len(whole) // 2, len(whole) - 1):
        with open(path("cut.tuffz"), "wb") as file:
            file.write(whole[:cut])
        for command in (("test", path("cut.tuffz"), "--data", "fashion"),
                        ("compress", path("cut.tuffz"), "--data", "fashion", "--out", packed)):
            refused(*command, says="cut.tuffz")
    assert open(packed, "rb").read() == whole


sys.exit(run([(weights_in_other_forms, FASHION), (points_and_mistakes, FASHION),
              (stored_nets_are_trained_on, FASHION),
              (compressed_models, FASHION)]))
