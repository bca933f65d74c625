#!/usr/bin/env python3
"""Recipes of `tuff optimize`: steps in their order, one table, and one sentence for a mistake
before anything is done; and bits under a budget."""
import os
import signal
import subprocess
import sys
import time

from cases import (FASHION, NET, RUN, SOURCE, TESTS, TUFF, data, path, refused, run, tuff,
                   tuff_json)


def recipe(*lines):
    file = path("steps.recipe")
    with open(file, "w") as f:
        f.write("\n".join(lines) + "\n")
    return file


def recipes_chain_steps():
    out, model = path("chained.tuffz"), path("given.safetensors")
    head = ["# small nets", "data fashion", f"limit-test {TESTS}"]
    few = "--limit 1280 --epochs 1"
    got = tuff_json("optimize", recipe(
        *head, f"out '{out}'", f'train --net "{NET}" {few}', "sensitivity --values 0.9",
        'prune --sparsity 0.5 --rates "0=0.2" # half', f"compress --sparsity 0 {few}"))
    assert [s["step"] for s in got["steps"]] == "train sensitivity prune compress".split(), got
    assert got["steps"][1]["result"]["layers"][1]["layer"] == "4 dense 10", got
    assert got["steps"][2]["after"]["nonzeros"] == 5874 - 20 - 2880, got
    assert got["steps"][3]["after"] == got["after"] and got["model"] == out, got
    assert got["before"] == got["steps"][0]["after"] and got["before"]["errors"] < 900, got
    assert abs(got["before"]["accuracy"] - got["after"]["accuracy"] - got["drop"]) < 1e-9
    assert got["after"]["disk_kb"] == os.path.getsize(out) / 1000, got
    assert got["after"]["disk_kb"] < got["before"]["disk_kb"] / 4, got
    again = tuff_json("test", out, "--data", "fashion", "--limit-test", TESTS)
    assert again["errors"] == got["after"]["errors"]

    tuff("train", "--net", NET, *data(), "--out", model)
    head += [f"model {model}", f"out {model}"]
    out, _ = tuff("optimize", recipe(*head,
                                     "distill --student 'flatten | dense 10' " + few,
                                     "train " + few, "quantize --layer-bits '1=4'"))
    rows = [line.split()[0] for line in out.splitlines()]
    assert rows == "accuracy before distill train quantize drop model:".split(), out
    assert "flatten | quantize | dense 10 bits=4 |" in tuff("info", model)[0]
    with open(model, "rb") as f:
        whole = f.read()

    for line, says in (
            ("prun --sparsity 0.5", ":6: 'prun' is unknown"),
            ("prune --sparsty 0.5", ":6: prune: there is no option --sparsty"),
            ("prune --sparsity 1.0", ":6: prune: the sparsity is 1"),
            ("prune", "neither a sparsity"), ("quantize --bits 0", "--bits is 0"),
            ("prune --sparsity 0.5 --out x", "--out is no option of a step"),
            ("distill --teacher nowhere.st", "nowhere.st is no model file"),
            ("distill --student 'dens 10'", "did you mean dense?"),
            ("quantize --layer-bits '1=4", ":6: a quote is not closed"),
            ("train --net lenet5", ":6: train --net begins a net"),
            ("data mnist", "said before"),
            ("compress", ":5: out is"), ("prune x --sparsity 0.5", "one model file"),
            ("quantize --data idx:nowhere", "nowhere")):
        refused("optimize", recipe(*head, line), says=says)
    refused("optimize", recipe("data nonesuch", *head[2:], "quantize"), says=":1: data")
    refused("optimize", recipe(*head[:3], "model nowhere.st", "out x.st", "quantize"),
            says=":4: nowhere.st")
    refused("optimize", recipe(*head[:2], "train --net lenet5"), says="'out MODEL' is needed")
    refused("optimize", path("nowhere"), says="nowhere: No such file")
    assert "layer" in tuff_json("optimize", recipe(*head, "prune --rates '7=0.5'"),
                                expect=2)["error"]
    with open(model, "rb") as f:
        assert f.read() == whole, "the model's file was changed"
    assert not os.path.exists(path("x.st"))
    tuff("optimize", os.path.join(SOURCE, "examples/lenet5.recipe"), "--check")


def nothing_is_left_when_interrupted():
    temp, out = path("temp"), path("never.safetensors")
    os.mkdir(temp)
    file = recipe("data fashion", f"out {out}", f'train --net "{NET}" --epochs 100')
    running = subprocess.Popen(RUN + [TUFF, "optimize", file], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=dict(os.environ, TMPDIR=temp))
    for _ in range(600):  # seconds / 10
        if os.listdir(temp) and os.listdir(os.path.join(temp, os.listdir(temp)[0])):
            break
        time.sleep(0.1)
    assert os.listdir(temp), "no folder for models was made"
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == -signal.SIGINT, running.returncode
    assert os.listdir(temp) == [] and not os.path.exists(out), os.listdir(temp)


def bits_under_a_budget():
    model, mixed = path("whole.safetensors"), path("mixed.safetensors")
    tuff("train", "--net", NET, *data(), "--out", model)
    base = ["quantize", model, "--mixed", "--data", "fashion", "--limit-test", TESTS]
    got = tuff_json(*base, "--budget", "5KB", "--out", mixed)
    assert os.path.getsize(mixed) <= 5000 and got["after"]["disk_kb"] <= 5, got
    assert [layer["place"] for layer in got["mixed"]] == ["0", "4"], got
    assert all(2 <= layer["bits"] <= 8 for layer in got["mixed"]), got
    assert got["drop"] < 0.2, got
    text = tuff("info", mixed)[0]
    assert all(f"bits={layer['bits']}" in text for layer in got["mixed"]), text
    assert "loss +" in tuff(*base, "--budget", "20%", "--out", mixed)[0]
    assert os.path.getsize(mixed) <= os.path.getsize(model) * 0.2
    with open(mixed, "rb") as f:
        whole = f.read()
    same = ["--out", mixed]
    refused(*base, "--budget", "1KB", *same, says="the budget is")
    refused(*base, "--budget", "0.000001ms", *same, says="the budget is")
    for wrong in ("40", "x", "0KB", "-3ms"):
        refused(*base, "--budget=" + wrong, *same, says="--budget like 40KB")
    refused(*base, *same, says="--budget like 40KB")
    refused(*base, "--budget", "5KB", "--bits", 4, *same, says="--mixed chooses bits")
    refused(*base, "--budget", "5KB", "--scheme", "half", *same, says="--scheme with bits")
    with open(mixed, "rb") as f:
        assert f.read() == whole, "the model's file was changed"
    assert not [name for name in os.listdir(path(".")) if "tried" in name]


sys.exit(run([(bits_under_a_budget, FASHION), (recipes_chain_steps, FASHION),
              (nothing_is_left_when_interrupted, FASHION)]))
