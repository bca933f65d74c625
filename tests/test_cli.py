#!/usr/bin/env python3
"""The command line as its users see it: every subcommand on the device under test, its JSON,
its exit status, and one sentence for each mistake. NumPy judges `tuff op`."""
import json
import os
import re
import struct
import sys
import time
import zlib

try:
    import numpy as np
except ImportError:  # the python3 that comes first may not be the system's, which has it
    if sys.executable == "/usr/bin/python3":
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])

from cases import FASHION, FOLDER, NET, TESTS, data, path, refused, run, tuff, tuff_json

RNG = np.random.default_rng(1)


def near(got, want, tolerance=1e-5):
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    scale = np.abs(want) + np.sqrt(np.mean(np.square(want, dtype=np.float64)))
    worst = np.max(np.abs(got - want) / np.maximum(scale, 1e-30)) if got.size else 0
    assert worst <= tolerance, f"differs by {worst:.2e} relative, tolerance {tolerance:.0e}"


def op(name, inputs, attributes=(), outputs=1, extra=()):
    args = ["op", name]
    for i, x in enumerate(inputs):
        file = "-"
        if x is not None:
            file = path(f"in{i}.npy")
            np.save(file, x)
        args += ["--input", file]
    for a in attributes:
        args += ["--attr", a]
    files = [path(f"out{i}.npy") for i in range(outputs)]
    for f in files:
        args += ["--output", f]
    tuff(*args, "--quiet", *extra)
    got = [np.load(f) for f in files]
    return got if outputs > 1 else got[0]


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def png(file, pixels):
    """A grey 8-bit image."""
    height, width = pixels.shape
    rows = b"".join(b"\0" + bytes(row) for row in pixels.astype(np.uint8))

    def chunk(kind, body):
        whole = kind + body
        return struct.pack(">I", len(body)) + whole + struct.pack(">I", zlib.crc32(whole))
    with open(file, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" +
                chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


# ---- what there is ---------------------------------------------------------------------------

def help_and_usage():
    out, _ = tuff("--help")
    names = ("devices train test import predict info check bench op sparse prune distill "
             "sensitivity optimize demo").split()
    assert all(name in out for name in names), out
    for word in "DEVICE VARIANT AVOID THREADS CACHE_DIR".split():
        assert "TUFF_" + word in out, f"TUFF_{word} is not in the help"
    for name in names:
        out, _ = tuff(name, "--help")
        assert out.startswith(f"usage: tuff {name}"), out
        for option in ("--device", "--seed", "--quiet", "--json", "--help"):
            assert option in out, f"{name} has no {option}"
    assert "tuff 0." in tuff("--version")[0]
    tuff(expect=2)
    refused("nonesuch", says="nonesuch")
    refused("devices", "--nonesuch", says="--nonesuch")
    refused("train", "--epochs", "many", says="'many'")
    got = tuff_json("op", "nonesuch", expect=2)
    assert "nonesuch" in got["error"], got
    assert "--epochs needs a value" in tuff("train", "--epochs", expect=2)[1]


def devices():
    listed = tuff_json("devices")["devices"]
    assert listed[-1]["id"] == "cpu"
    for d in listed:
        for key in ("name", "vendor", "type", "driver", "api", "memory", "subgroup",
                    "features"):
            assert key in d, f"{key} is missing"
    out, _ = tuff("devices")
    assert all(d["id"] in out for d in listed)
    assert [d["id"] for d in tuff_json("devices", "--device", "cpu")["devices"]] == ["cpu"]
    refused("devices", "--device", "nonesuch", says="nonesuch")
    refused("check", "--device", "nonesuch", says="nonesuch")
    refused("check", "--device", "vulkan:99", says="vulkan:99")


def sparse():
    shape = ["64x64x3", "--density", "0.25", "--density", "0.1", "--runs", 3]
    got = tuff_json("sparse", *shape)
    assert got["shape"] == [64, 64, 3] and got["linear"] is False, got
    assert set(got["break_even"]) == {"csr", "bsr", "nm"}, got
    assert all(0 <= x <= 1 for x in got["break_even"].values()), got
    assert len(got["points"]) == 6, got
    assert all(p["ms"] > 0 and p["dense_ms"] > 0 for p in got["points"]), got
    out, _ = tuff("sparse", *shape, "--linear")
    assert "break-even" in out and "csr" in out, out
    refused("sparse", says="a shape")
    refused("sparse", "64x", says="'64x'")
    refused("sparse", "64x64", "more", says="'more' is too much")
    refused("sparse", "8x64", says="multiples of 16")
    refused("sparse", "64x64", "--density", "1.5", says="1.5")


def tune():
    env = {"TUFF_CACHE_DIR": path("tuned")}
    case = "matmul f32 64x400x120"
    got = json.loads(tuff("tune", case, "softmax f32 64x1000", "--tune", "quick", "--json",
                          env=env)[0])
    assert got["wrong"] == 0 and got["candidates"] >= 2 and got["measured"] >= 1, got
    assert got["choices"] == got["measured"] == len(got["lines"]), got
    again = json.loads(tuff("tune", case, "--tune", "quick", "--json", env=env)[0])
    assert again["choices"] == got["choices"], again
    out, _ = tuff("tune", "flatten | dense 16", "--input", "1x8x8", "--batch", 8, "--again",
                  "--tune-file", path("app.txt"), "--tune", "quick", env=env)
    assert "operators measured" in out, out
    # A file that is named is used, and said to be unusable where it is damaged.
    with open(path("bad.txt"), "w") as file:
        file.write("Tuff tuning 1\ndevice\n")
    args = ["bench", case, "--runs", 3]
    _, err = tuff(*args, "--tune-file", path("bad.txt"), env=env)
    assert err.count("are not used") == 1 and "bad.txt" in err, err
    _, err = tuff(*args, "--tune-file", "none", env=env)
    assert "not used" not in err, err
    _, err = tuff(*args, "--tune", "quick", env={"TUFF_CACHE_DIR": "/dev/null/x"})
    assert "could not be kept" in err, err
    refused(*args, "--tune", "fast", says="'fast'")
    refused(*args, "--tune-file", path("none.txt"), says="none.txt")
    refused("bench", "no case", "--tune-file", path("none.txt"), says="none.txt")
    refused("tune", says="a case was expected")
    refused("tune", "no such net or case", says="no such net")
    refused("tune", case, "relu f32", says="relu")


def auto_says_what_it_took():
    env = {"TUFF_DEVICE": "", "TUFF_CACHE_DIR": path("auto")}
    _, err = tuff("op", "fill", "--shape", "2,3", "--output", path("f.npy"), env=env)
    assert "auto took" in err, err


# ---- operators -------------------------------------------------------------------------------

def ops_like_numpy():
    a, b = normal(3, 4, 5), normal(5, 6)
    near(op("matmul", [a, b]), a @ b)
    near(op("add", [a, normal(4, 1) * 0 + 2]), a + 2)
    x = normal(2, 3, 4)
    near(op("softmax", [x], ["axis=1"]), np.exp(x) / np.exp(x).sum(1, keepdims=True))
    near(op("reduce_sum", [x], ["axes=0,2", "keepdims=0"]), x.sum((0, 2)))
    near(op("reduce_mean", [x], ["axes=-1", "keepdims=1"]), x.mean(-1, keepdims=True))
    near(op("transpose", [x], ["perm=2,0,1"]), x.transpose(2, 0, 1), 0)
    near(op("concat", [x, x], ["axis=1"]), np.concatenate([x, x], 1), 0)
    near(op("relu", [x]), np.maximum(x, 0), 0)
    names = tuff("op", "--list")[0].split("\n")
    assert "matmul" in names and "softmax" in names and not any(" " in n for n in names)
    with open(os.path.join(os.path.dirname(__file__), "../docs/ops.md")) as f:
        docs = f.read()
    assert docs == tuff("op", "--docs")[0], "docs/ops.md is old: tuff op --docs > it"
    assert "(null)" not in docs and not re.search("^- attribute `.*`: *$", docs, re.M), \
        "docs/ops.md has an attribute without a type"


def ops_like_onnx():
    x = normal(3, 4, 5)
    near(op("Relu", [x]), np.maximum(x, 0), 0)
    near(op("ReduceSum", [x, np.array([0, -1])]), x.sum((0, 2), keepdims=True))
    near(op("Slice", [x, np.array([1]), np.array([-1]), np.array([1])]), x[:, 1:-1], 0)
    near(op("Slice", [x], ["starts=1", "ends=3", "axes=1"], extra=["--opset", 1]), x[:, 1:3], 0)
    near(op("Reshape", [x, np.array([5, -1])]), x.reshape(5, -1), 0)
    near(op("Softmax", [x], extra=["--opset", 12]),
         op("softmax", [x.reshape(3, 20)]).reshape(x.shape))
    near(op("Concat", [x] * 23, ["axis=1"]), np.concatenate([x] * 23, 1), 0)
    near(op("Resize", [x, np.zeros(0, np.float32), np.float32([1, 2, 1])]), x.repeat(2, 1), 0)
    with open(path("a.npy"), "wb") as f:
        np.save(f, x)
    for opset in (0, -1, 99):
        refused("op", "Relu", "--opset", opset, "--input", path("a.npy"), "--output",
                path("y.npy"), says=f"--opset takes 1 to 24, not {opset}")
    refused("op", "MaxPool", "--input", path("a.npy"), "--output", path("y.npy"),
            says="kernel_shape")
    refused("op", "Relu", "--input", path("a.npy"), "--output", path("y0.npy"), "--output",
            path("y1.npy"), says="1 output")
    refused("op", "Nonesuch", "--input", path("a.npy"), "--output", path("y0.npy"),
            says="Nonesuch")


def conv_like_loops():
    x, w, bias = normal(2, 4, 9, 8), normal(6, 2, 3, 2), normal(6)
    got = op("conv2d", [x, w, bias],
             ["strides=2,1", "pads=1,0,2,1", "dilations=1,2", "group=2"])
    padded = np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 1)))
    oh, ow = (9 + 3 - 3) // 2 + 1, (8 + 1 - 3) // 1 + 1
    want = np.zeros((2, 6, oh, ow), np.float64)
    for o in range(6):
        part = padded[:, (o // 3) * 2:(o // 3) * 2 + 2].astype(np.float64)
        for i in range(oh):
            for j in range(ow):
                window = part[:, :, 2 * i:2 * i + 3, j:j + 3:2]
                want[:, o, i, j] = (window * w[o]).sum((1, 2, 3))
    near(got, want + bias.reshape(1, 6, 1, 1))


def random_is_the_same_everywhere():
    args = ["random_uniform", [], ["seed=7"]]
    here = op(*args, extra=["--shape", "1000"])
    cpu = op(*args, extra=["--shape", "1000", "--device", "cpu"])
    near(here, cpu, 0)
    seeded = op("random_uniform", [], extra=["--shape", "1000", "--seed", "7"])
    near(here, seeded, 0)
    assert 0 <= here.min() and here.max() < 1 and abs(here.mean() - 0.5) < 0.05


def settings_are_known():
    fill = ["op", "fill", "--shape", "3", "--output", path("no.npy")]
    refused(*fill, says="no operator has a kernel named 'nosuch'",
            env={"TUFF_VARIANT": "nosuch"})
    tuff(*fill, env={"TUFF_VARIANT": "flash"})  # another operator has it
    avoid = {"TUFF_AVOID": "limits nonsense"}
    if tuff_json("op", *fill[1:])["device"] != "cpu":
        refused(*fill, says="TUFF_AVOID: 'nonsense' is no feature of devices, expected some "
                "of: timeline f16 ", env=avoid)
        tuff(*fill, env={"TUFF_AVOID": "limits,f16"})
    os.remove(path("no.npy"))
    refused("check", "--op", "relu", says="TUFF_VARIANT is 'plain'",
            env={"TUFF_VARIANT": "plain"})
    refused("devices", says="TUFF_THREADS is 'many'", env={"TUFF_THREADS": "many"})
    refused("check", "--op", "nosuch", says="there is no operator in 'nosuch'")


def ops_refuse():
    np.save(path("a.npy"), normal(3, 4))
    np.save(path("b.npy"), normal(5, 6))
    out = ["--output", path("no.npy")]
    refused("op", "matmul", "--input", path("a.npy"), "--input", path("b.npy"), *out, says="4")
    refused("op", "nonesuch", *out, says="nonesuch")
    refused("op", "relu", "--input", path("missing.npy"), *out, says="missing.npy")
    relu = "op", "relu", "--input", path("a.npy"), "--output"
    refused(*relu, path("y.txt"), says="expected a file *.npy or *.safetensors")
    refused(*relu, path("nowhere/y.npy"), says="could not be written")
    refused("op", "--list", "relu", says="'relu' is too much")
    tuff("op", "--docs", "--json", expect=2)
    refused("op", "LeakyRelu", "--input", path("a.npy"), "--attr", "alpha=0.1", "--attr",
            "alpha=0.2", *out, says="--attr alpha is given twice")
    refused("op", "softmax", "--input", path("a.npy"), "--attr", "axis=7", *out, says="axis")
    refused("op", "softmax", "--input", path("a.npy"), "--attr", "axes=0", *out, says="axes")
    with open(path("a.npy"), "rb") as f:
        cut = f.read()[:-5]
    with open(path("cut.npy"), "wb") as f:
        f.write(cut)
    refused("op", "relu", "--input", path("cut.npy"), *out, says="cut.npy")
    assert not os.path.exists(path("no.npy"))


def refused_op(name, inputs, *says, attributes=()):
    """Every part of the sentence that the operator is refused with."""
    args = ["op", name, "--output", path("no.npy")]
    for i, x in enumerate(inputs):
        np.save(path(f"in{i}.npy"), x)
        args += ["--input", path(f"in{i}.npy")]
    for a in attributes:
        args += ["--attr", a]
    for part in says:
        refused(*args, says=part)


def types_are_not_changed():
    x, i = normal(4, 4), np.arange(16).reshape(4, 4)
    floats = "expected f32, f16 or bf16"
    refused_op("relu", [i.astype(np.uint8)],
               "relu: x is u8, expected f32, f16, bf16, i32 or i8")
    refused_op("sigmoid", [i > 3], f"sigmoid: x is bool, {floats}")
    refused_op("softmax", [i], f"softmax: x is i64, {floats}")
    refused_op("matmul", [i.astype(np.int32), x], f"matmul: a is i32, {floats}")
    refused_op("gather", [x, x], "gather: indices is f32, expected i32 or i64")
    refused_op("cross_entropy", [x, x[0]], "labels is f32, expected i32 or i64")
    refused_op("where", [x, x, x], "where: cond is f32, expected bool")
    far = np.array([1 << 40])
    refused_op("count_correct", [x[:1], far], "count_correct: labels, ",
               "in1.npy: element 0 is 1099511627776, which is not exact in i32")
    # What stays: numbers of Python, rounding, and narrow whole numbers as labels.
    near(op("gather", [x, np.array([2, 0])], ["axis=0"]), x[[2, 0]], 0)
    near(op("gather", [x, np.array([2, 0], np.uint8)], ["axis=0"]), x[[2, 0]], 0)
    near(op("relu", [x.astype(np.float64)]), np.maximum(x, 0), 0)
    assert op("add", [i, i]).dtype == np.int32
    assert op("relu", [x.astype(np.float16)]).dtype == np.float16


def attention_takes_bool():
    q, k, v = normal(1, 2, 3, 4), normal(1, 2, 5, 4), normal(1, 2, 5, 6)
    mask = RNG.random((3, 5)) < 0.5
    mask[0], mask[1:, 2] = False, True
    score = np.where(mask, q @ k.transpose(0, 1, 3, 2) / 2, -np.inf)[:, :, 1:]
    p = np.exp(score - score.max(-1, keepdims=True))
    want = np.concatenate([np.zeros((1, 2, 1, 6)), p / p.sum(-1, keepdims=True) @ v], 2)
    near(op("attention", [q, k, v, mask]), want)
    adds = np.where(mask, 0, -np.inf).astype(np.float32)
    near(op("attention", [q, k, v, adds]), want)


def mistakes_are_named():
    """The operator, the port or attribute, what it was, and what it should be."""
    x = normal(2, 3)
    refused_op("relu", [x], "tuff op: relu: there is no parameter 'axis', expected none",
               attributes=["axis=1"])
    refused_op("softmax", [x], "(did you mean 'axis'?), expected axis", attributes=["axs=1"])
    refused_op("reshape", [x], "reshape: shape is [4, 5], it must have the 6 elements of x, "
               "f32 [2, 3]", attributes=["shape=4,5"])
    refused_op("relu", [x, x], "relu has 1 input, 2 were given")
    refused_op("Add", [x.astype(np.int64)] * 2, "add: a is i64, expected f32, ")


def fixed_point_is_chosen():
    x = normal(50) * 3
    file, out = path("x.npy"), path("q.npy")
    for bits, type_ in ((8, np.int8), (16, np.int32), (32, np.int32)):
        for kind in (np.float32, np.float16):
            np.save(file, x.astype(kind))
            args = ["op", "quantize_fixed", "--input", file, "--output", out, "--attr",
                    f"bits={bits}"]
            point, most = tuff_json(*args)["point"], np.abs(x.astype(kind).astype(float)).max()
            assert most * 2.0**point <= 2**(bits - 1) - 1 < most * 2.0**(point + 1)
            q = np.load(out)
            assert q.dtype == type_
            near(np.ldexp(q.astype(float), -point), x, 2e-2 if bits == 8 else 1e-3)
            assert f"point={point}" in tuff(*args)[1]
    assert np.array_equal(op("quantize_fixed", [x], ["point=0"]), np.rint(x))
    assert "point" not in tuff_json(*args, "--attr", "point=0")
    refused_op("quantize_fixed", [x], "bits is 5", attributes=["bits=5"])


def other_names_are_taken():
    x = normal(1, 2, 5, 4)
    for ours, other in (("linear", "bilinear"), ("cubic", "bicubic")):
        both = [op("resize", [x], [f"mode={m}", "sizes=1,2,8,7"]) for m in (ours, other)]
        assert np.array_equal(*both)
    table, tokens = normal(7, 3), np.array([[6, 0], [2, 2]])
    near(op("embedding", [table, tokens]), table[tokens], 0)
    near(op("embedding", [table, np.array([1, 1])], ["axis=1"]), table[:, [1, 1]], 0)
    refused_op("resize", [x], "'mode=area': 'area' is none of nearest, linear, cubic",
               attributes=["mode=area", "sizes=1,2,8,7"])


def ignored_labels_are_named():
    x, labels = normal(6, 4), np.array([2, 0, 2, 3, 1, 2])
    log_p = x - np.log(np.exp(x).sum(1, keepdims=True))
    each = -log_p[np.arange(6), labels]
    for attributes, kept in (([], labels >= 0), (["ignore_index=2"], labels != 2),
                             (["ignore_index=0"], labels != 0),
                             (["ignore_index=-100"], labels >= 0)):
        near(op("cross_entropy", [x, labels], attributes), np.mean(each[kept]), 1e-5)
        near(op("nll_loss", [log_p, labels], attributes), np.mean(each[kept]), 1e-5)
        near(op("SoftmaxCrossEntropyLoss", [x, labels], attributes), np.mean(each[kept]), 1e-5)
    margin = np.maximum(0, 1 - x[np.arange(6), labels][:, None] + x)
    margin = (margin.sum(1) - 1) / 4
    got = op("multi_margin_loss", [x, labels], ["ignore_index=2", "reduction=none"])
    near(got, np.where(labels == 2, 0, margin))
    refused_op("cross_entropy", [x, labels], "'ignore'", "ignore_index",
               attributes=["ignore=3"])


def save_bf16(file, **arrays):
    """safetensors, of the upper halves of f32 numbers."""
    header, body = {}, b""
    for name, x in arrays.items():
        part = (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
        header[name] = {"dtype": "BF16", "shape": list(x.shape),
                        "data_offsets": [len(body), len(body) + len(part)]}
        body += part
    text = json.dumps(header).encode()
    with open(file, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


def load_bf16(file, name):
    with open(file, "rb") as f:
        whole = f.read()
    size = struct.unpack("<Q", whole[:8])[0]
    entry = json.loads(whole[8:8 + size])[name]
    assert entry["dtype"] == "BF16", entry
    first, last = entry["data_offsets"]
    bits = np.frombuffer(whole[8 + size:][first:last], np.uint16).astype(np.uint32) << 16
    return bits.view(np.float32).reshape(entry["shape"])


def bf16_in_safetensors():
    a, b = np.round(normal(3, 4) * 4), np.round(normal(4, 5) * 4)  # exact in bf16
    one, two, y = path("one.safetensors"), path("two.safetensors"), path("y.safetensors")
    save_bf16(one, a=a)
    save_bf16(two, a=a, b=b)
    product = ["op", "matmul", "--input", one, "--input", two + ":b", "--output"]
    assert tuff_json(*product, y)["outputs"][0]["shape"] == "bf16 [3, 5]"
    near(load_bf16(y, "y"), a @ b, 1e-2)
    refused(*product, path("no.npy"), says="no.npy: NumPy has no bf16, expected a file "
            "*.safetensors")
    refused(*product, y + ":q", says="an output has its own name")
    relu = ["op", "relu", "--output", path("no.npy"), "--input"]
    refused(*relu, two, says="two.safetensors has 2 arrays, expected " + two + ":NAME, one of "
            "a, b")
    refused(*relu, two + ":c", says="has no array 'c', it has a, b")
    refused(*relu, path("none.safetensors"), says="none.safetensors")
    # From NumPy and back.
    np.save(path("a.npy"), a)
    tuff("op", "cast", "--input", path("a.npy"), "--attr", "to=bf16", "--output", y)
    tuff("op", "cast", "--input", y, "--attr", "to=f32", "--output", path("back.npy"))
    near(np.load(path("back.npy")), a, 0)
    refused("op", "top_k", "--input", one, "--attr", "k=1", "--output", y, "--output", y,
            says="is given twice")
    assert not os.path.exists(path("no.npy"))


def check_judges():
    got = tuff_json("check", "--op", "softmax")
    assert got["passed"] > 0 and got["failed"] == 0 and not got["failures"], got
    for row in got["operators"]:
        assert row["op"] == "softmax" and row["error"] <= max(row["tolerance"], 0), row
    refused("check", "--op", "nonesuch", says="nonesuch")
    conv = "conv2d f32 1x3x8x8 4x3x3x3 "
    assert tuff_json("check", "--op", conv + "dilation=2,2")["failed"] == 0
    assert tuff_json("check", "--op", conv + "dilations=2,2")["failed"] == 0
    refused("check", "--op", conv + "dilatations=2,2", says="did you mean 'dilation'")
    refused("check", "--op", "softmax f32 3x0", says="'3x0' is no shape")


def check_takes_turns():
    page = path("fuzz.html")
    begin = time.monotonic()
    got = tuff_json("check", "--fuzz", 2, "--op", "re*", "--html", page)
    assert time.monotonic() - begin < 30  # a launch's pipelines take seconds on some drivers
    assert got["failed"] == 0 and got["passed"] > 5 and len(got["operators"]) > 5, got
    for key in ("passed", "refused"):
        assert sum(row[key] for row in got["operators"]) == got[key], key
    names = [row["op"] for row in got["operators"]]
    assert len(set(names)) == len(names) and all(name.startswith("re") for name in names)
    with open(page) as f:
        text = f.read()
    assert all(f"<td>{name}</td>" in text for name in names) and "refused" in text
    out, _ = tuff("check", "--fuzz", 1, "--op", "relu")
    assert out.splitlines()[1].split()[0] == "relu" and "1 of" in out, out


# ---- training --------------------------------------------------------------------------------

def train_and_use():
    model = path("model.safetensors")
    got = tuff_json("train", "--net", NET, *data(2), "--out", model)
    assert got["parameters"] == 4 * 25 + 4 + 4 * 12 * 12 * 10 + 10 and got["model"] == model
    assert len(got["epochs"]) == 2
    for key in ("loss", "accuracy", "test_loss", "test_accuracy", "seconds",
                "images_per_second"):
        assert key in got["epochs"][1], f"{key} is missing"
    assert got["epochs"][1]["loss"] < got["epochs"][0]["loss"]
    test = got["test"]
    assert test["examples"] == TESTS
    assert test["errors"] == round((1 - test["accuracy"]) * TESTS)
    assert test["accuracy"] > 0.6, test

    again = tuff_json("test", model, "--data", "fashion", "--limit-test", TESTS,
                      "--against", "cpu")
    assert again["errors"] == test["errors"] and abs(again["loss"] - test["loss"]) < 1e-6
    assert again["max_abs_error"] <= 1e-3 and again["images_per_second"] > 0

    info = tuff_json("info", model, "--plan", "--train")
    assert info["parameters"] == got["parameters"] and len(info["layers"]) == 5
    assert info["plan"]["launches"] > 0 and info["plan"]["peak_bytes"] > 0
    assert info["training_plan"]["launches"] > info["plan"]["launches"]

    warm = tuff_json("warm", model, "--train", "--batch", 16)
    assert warm["programs"] == 4 and warm["seconds"] > 0, warm
    assert (warm["kernels"] > 0) == (os.environ["TUFF_DEVICE"] != "cpu"), warm
    refused("warm", model, "--batch", 0, says="1 to 1048576")
    refused("warm", "lenet5", "--optimizer", "best", says="best")
    refused("warm", "lenet5", "--input", "28", says="layer 0")

    image = np.zeros((28, 28))
    image[4:26, 9:19] = 200
    png(path("trousers.png"), image)
    np.save(path("two.npy"), np.stack([image, image.T]).astype(np.uint8))
    one = tuff_json("predict", model, "--input", path("trousers.png"))["predictions"]
    two = tuff_json("predict", model, "--input", path("two.npy"))["predictions"]
    assert len(one) == 1 and len(two) == 2 and len(one[0]["scores"]) == 10
    assert np.allclose(one[0]["scores"], two[0]["scores"], atol=1e-6)
    assert abs(sum(one[0]["probabilities"]) - 1) < 1e-5

    np.save(path("wrong.npy"), np.zeros((3, 5, 5), np.uint8))
    refused("predict", model, "--input", path("wrong.npy"), says="28")
    with open(model, "rb") as f:
        whole = f.read()
    with open(path("cut.safetensors"), "wb") as f:
        f.write(whole[:len(whole) // 2])
    refused("test", path("cut.safetensors"), "--data", "fashion", says="cut.safetensors")


def aware_models():
    model, few = path("floats.safetensors"), path("few.safetensors")
    tuff("train", "--net", NET, *data(), "--out", model)
    got = tuff_json("quantize", model, "--aware", "--bits", 2, *data(), "--out", few)
    assert got["after"]["errors"] < 600, got
    assert tuff_json("test", few, "--data", "fashion", "--limit-test", TESTS)["errors"] == \
        got["after"]["errors"]
    assert "quantize | conv 4 5" in tuff("info", few)[0]
    whole = open(few, "rb").read()
    for wrong, says in ((("--aware", "--bits", 9), "2 to 8 bits"), (("--epochs", 1), "--aware"),
                        (("--aware", "--scheme", "half"), "--aware")):
        refused("quantize", model, "--data", "fashion", *wrong, "--out", few, says=says)
    refused("quantize", few, "--aware", *data(), "--out", few, says="quantized")
    assert open(few, "rb").read() == whole, "a refused call touched the file"


def binary_models():
    model, packed = path("signs.safetensors"), path("bits.safetensors")
    tuff("train", "--net", "flatten | bdense 64 bias=no | bn | sign | bdense 10 bias=no | bn",
         *data(), "--out", model)
    some = ("--data", "fashion", "--limit-test", str(TESTS))
    got = tuff_json("quantize", model, "--scheme", "binary", *some, "--out", packed)
    assert got["before"]["errors"] == got["after"]["errors"]
    assert got["after"]["disk_kb"] * 1000 == os.path.getsize(packed)
    assert got["after"]["disk_kb"] * 15 < got["before"]["disk_kb"]
    assert got["after"]["parameters"] == got["before"]["parameters"]
    shown, _ = tuff("info", packed)
    assert "bdense 10 inputs=signs packed=yes" in shown
    tested = tuff_json("test", packed, *some)
    assert tested["accuracy"] == got["after"]["accuracy"]
    whole = open(packed, "rb").read()
    for wrong, says in ((("--scheme", "unary"), "'unary'"),
                        (("--scheme", "affine", "--keep-ends"), "--keep-ends"),
                        (("--scheme", "binary"), "packed already")):
        refused("quantize", packed, *some, *wrong, "--out", packed, says=says)
    assert open(packed, "rb").read() == whole, "a refused call touched the file"


def every_optimizer():
    # What is tested here is the command line, on the CPU path alone; the updates are judged on
    # every device by test_ops, test_golden and test_train.
    rates = dict(sgd=0.05, momentum=0.01, nesterov=0.01, rmsprop=0.001, adam=0.002, adamw=0.002,
                 adagrad=0.01, rmsprop_momentum=0.0002, rmsprop_centered=0.001, amsgrad=0.004,
                 adamax=0.005, nadam=0.005, lion=0.003, lamb=0.05)
    for name, rate in rates.items():
        got = tuff_json("train", "--net", NET, *data(1), "--optimizer", name, "--lr", rate,
                        "--weight-decay", 1e-4, "--l1", 1e-6,
                        "--schedule", "warmup=5 cosine", "--init", "he_normal")
        assert got["test"]["accuracy"] > 0.5, f"{name}: {got['test']}"
        assert got["model"] is None


def resumed_run_is_the_same():
    tuff("train", "--net", NET, *data(2), "--seed", 3, "--out", path("whole.st"), "--quiet")
    tuff("train", "--net", NET, *data(1), "--seed", 3, "--out", path("part.st"), "--quiet")
    tuff("train", "--resume", path("part.st"), *data(2), "--quiet")
    with open(path("whole.st"), "rb") as a, open(path("part.st"), "rb") as b:
        assert a.read() == b.read(), "the two files differ"


def tables_and_arrays():
    x = RNG.standard_normal((400, 4)).astype(np.float32)
    kind = np.where(x[:, 0] + x[:, 1] > 0, "up", "down")
    with open(path("t.csv"), "w") as f:
        f.write("a,b,kind,c,d\n")
        for row, k in zip(x, kind):
            f.write(f"{row[0]},{row[1]},{k},{row[2]},{row[3]}\n")
    got = tuff_json("train", "--net", "dense 8 | relu | dense 2", "--data",
                    f"csv:{path('t.csv')},label=kind", "--epochs", 30, "--lr", 0.01)
    assert got["test"]["accuracy"] > 0.9 and got["test"]["examples"] == 80, got["test"]
    np.save(path("x.npy"), x)
    np.save(path("y.npy"), (x @ np.array([1, 2, -1, 0.5], np.float32)).astype(np.float32))
    got = tuff_json("train", "--net", "dense 1", "--data",
                    f"npy:{path('x.npy')},{path('y.npy')}", "--loss", "mse",
                    "--epochs", 60, "--lr", 0.05)
    assert got["test"]["loss"] < 1e-3 and "accuracy" not in got["test"], got["test"]


def smaller_nets():
    model, small = path("large.safetensors"), path("small.safetensors")
    test = ["--data", "fashion", "--limit", "1280", "--limit-test", TESTS, "--runs", 1]
    tuff("train", "--net", NET, *data(), "--out", model)
    with open(model, "rb") as f:
        whole = f.read()
    got = tuff_json("prune", model, "--sparsity", 0.9, "--schedule", "gradual", *test,
                    "--finetune", 2, "--out", small)
    assert got["before"]["parameters"] == got["after"]["parameters"] == 5874, got
    assert got["after"]["nonzeros"] == 10 + 4 + 576 + 10, got
    assert abs(got["before"]["accuracy"] - got["after"]["accuracy"] - got["drop"]) < 1e-9
    assert got["drop"] < 0.1, got
    again = tuff_json("test", small, "--data", "fashion", "--limit-test", TESTS)
    assert again["errors"] == got["after"]["errors"]

    got = tuff_json("prune", small, "--form", "csr", *test, "--out", path("csr.safetensors"))
    assert got["net"].endswith("csr 10 576") and got["drop"] == 0, got
    assert got["after"]["disk_kb"] < got["before"]["disk_kb"] / 3, got
    got = tuff_json("prune", model, "--target", "channels", "--sparsity", 0.5, *test,
                    "--finetune", 1, "--out", small)
    assert got["net"].startswith("conv 2 5 |") and got["after"]["parameters"] == 2942, got
    assert "conv 2 5 |" in tuff("prune", model, "--target", "channels", "--rates", "0=2",
                                "--out", small)[0]

    page = path("sensitivity.html")
    got = tuff_json("sensitivity", model, *test[:-2], "--values", "0.2,0.95", "--html", page)
    assert [layer["layer"] for layer in got["layers"]] == ["0 conv 4 5", "4 dense 10"], got
    assert got["before"]["parameters"] == 5874 and got["before"]["errors"] < 900, got
    points = got["layers"][1]["points"]
    assert [point["sparsity"] for point in points] == [0.2, 0.95]
    assert points[0]["accuracy"] > points[1]["accuracy"] - 0.02, got
    with open(page) as f:
        text = f.read()
    assert text.count("<polyline") == 2 and text.count("4 dense 10") >= 2, text
    got = tuff_json("sensitivity", model, *test[:-2], "--bits", "8 2", "--html", page)
    assert [p["bits"] for p in got["layers"][0]["points"]] == [8, 2], got
    with open(page) as f:
        assert "bits of the layer" in f.read()
    refused("sensitivity", model, *test[:-2], "--bits", "8 0", says="bits are 0")
    refused("sensitivity", model, *test[:-2], "--values", "0.2,x", says="0.2,x")
    refused("sensitivity", model, *test[:-2], "--target", "2:4", says="a part must go")
    refused("sensitivity", model, says="--data")

    same = ["--out", model]
    refused("prune", model, "--sparsity", 1, *same, says="sparsity is 1")
    refused("prune", model, "--sparsity", 0.5, "--rates", "7=0.5", *same, says="'7'")
    refused("prune", model, "--sparsity", 0.5, "--method", "l3", *same, says="l3")
    refused("prune", model, "--sparsity", 0.5, "--target", "all", *same, says="all")
    refused("prune", model, "--sparsity", 0.5, "--form", "coo", *same, says="coo")
    refused("prune", model, "--sparsity", 0.5, "--finetune", 1, *same, says="needs data")
    refused("prune", model, "--sparsity", 0.5, says="--out")
    refused("prune", model, "--sparsity", 0.5, "--target", "layers", *same, says="none can go")
    with open(model, "rb") as f:
        assert f.read() == whole, "the model's file was changed"


def students_and_teachers():
    teacher, student = path("teacher.safetensors"), path("student.safetensors")
    limits = ["--data", "fashion", "--limit", 1280, "--limit-test", TESTS]
    tuff("train", "--net", NET, *limits, "--epochs", 2, "--out", teacher)
    base = ["distill", "--teacher", teacher, "--student", "flatten | dense 10", *limits]
    got = tuff_json(*base, "--teacher", teacher, "--without", "Bag", "--runs", 1,
                    "--epochs", 2, "--out", student)
    assert got["net"] == "flatten | dense 10" and got["after"]["parameters"] == 7850, got
    assert got["after"]["accuracy"] > 0.5 > got["before"]["accuracy"], got
    assert got["without"]["classes"] == "Bag" and got["without"]["examples"] > 50, got
    assert got["without"]["teacher"] > 0.5 and "disk_kb" not in got["before"], got
    again = tuff_json("test", student, "--data", "fashion", "--limit-test", TESTS)
    assert again["errors"] == got["after"]["errors"]
    with open(student, "rb") as f:
        whole = f.read()
    same = ["--out", student]
    refused(*base, *same, "--temperature", 0, says="--temperature")
    refused(*base, *same, "--alpha", 1.5, says="--alpha")
    refused(*base, *same, "--without", "Boat", says="'Boat' is no class")
    refused(*base, *same, "--epochs", 0, says="--epochs")
    refused(*base, says="--out")
    refused("distill", "--teacher", teacher, "--student", "flatten | dense 12", *limits, *same,
            says="expected the same classes")
    refused(*base, *same, "--match", "9=1", says="the teacher has no layer 9")
    refused(*base, *same, "--match", "1", says="is no pair")
    refused(*base, *same, "--match", "0=0", "--cache", path("c"), says="do not go together")
    refused(*base, *same, "--cache", teacher, says="no cache of what teachers say")
    refused(*base, *same, "--cache", path("c"), "--augment", "flip", says="not augmented")
    refused(*base, *same, "--precision", "f31", says="'f31'")
    refused(*base, *same, *same, says="one --out")
    refused(*base, *same, "--student", NET, says="--mutual")
    refused(*base, *same, "--mutual", says="no --teacher")
    pair = ["distill", "--mutual", "--student", "flatten | dense 10", "--student",
            "flatten | dense 20 | relu | dense 10", *limits, *same]
    refused(*pair, says="an --out for each --student: 1 were given for 2")
    refused(*pair, "--out", path("b"), "--cache", path("c"), says="no --cache")
    with open(student, "rb") as f:
        assert f.read() == whole, "the student's file was changed"


def students_of_features_and_caches():
    teacher, student = path("wide.safetensors"), path("narrow.safetensors")
    cache, other = path("said.safetensors"), path("mutual.safetensors")
    limits = ["--data", "fashion", "--limit", 640, "--limit-test", TESTS, "--epochs", 4]
    measure = ["--runs", -1]
    tuff("train", "--net", "flatten | dense 20 | relu | dense 10", *limits, "--out", teacher)
    base = ["distill", "--teacher", teacher, "--student", "flatten | dense 8 | relu | dense 10",
            *limits, *measure, "--out", student]
    plain = tuff_json(*base)["after"]
    matched = tuff_json(*base, "--match", "2=2:5")
    assert matched["net"] == "flatten | dense 8 | relu | dense 10", matched
    assert matched["after"]["test"]["loss"] != plain["test"]["loss"], (matched, plain)
    first, second = (tuff_json(*base, "--cache", cache)["after"]["test"]["loss"]
                     for _ in range(2))
    assert first == second, (first, second)
    assert abs(first - plain["test"]["loss"]) < 1e-3, (first, plain)
    assert os.path.getsize(cache) > 640 * 10 * 4
    refused("distill", "--teacher", student, *base[3:], "--cache", cache,
            says="is of another teacher")
    refused(*base, "--limit", 320, "--cache", cache, says="other training examples")

    got = tuff_json("distill", "--mutual", "--student", student, "--student",
                    "flatten | dense 10", *limits, *measure, "--out", student, "--out", other)
    assert [row["model"] for row in got["students"]] == [student, other], got
    for row, net in zip(got["students"], ("flatten | dense 8 | relu | dense 10",
                                          "flatten | dense 10")):
        again = tuff_json("test", row["model"], "--data", "fashion", "--limit-test", TESTS)
        assert row["net"] == net and again["errors"] == row["after"]["errors"], row
        assert row["after"]["accuracy"] > 0.5, row


def training_refuses():
    base = ["train", "--data", "fashion", "--limit", 64]
    refused(*base, "--net", "conv 6 5 | rely", says="rely")
    refused(*base, "--net", "conv 6 99 | flatten | dense 10", says="conv")
    refused(*base, "--net", NET, "--optimizer", "adan", says="adan")
    refused(*base, "--net", NET, "--lr", "-1", says="lr")
    refused(*base, "--net", NET, "--momentum", "-1", says="--momentum")
    for option in ("lr", "epochs", "batch", "patience"):
        refused(*base, "--net", NET, f"--{option}", 0, says=f"--{option}")
    refused(*base, says="--net")
    refused("train", "--net", NET, says="--data")
    refused(*base, "--net", NET, "--gradients", "foo", says="'foo' does not fit")
    refused(*base, "--net", NET, "--gradients", "dorefa:17", says="17 bits, expected 1 to 16")
    refused(*base, "--net", NET, "--precision", "fixed16:0", says="expected 1 to 15")
    refused(*base, "--net", NET, "--augment", "turn", says="'turn' does not fit")
    refused(*base, "--net", NET, "--augment", "shift=28", says="28 x 28")
    refused("train", "--net", NET, "--data", "idx:" + path("nowhere"), says="nowhere")
    refused("train", "--net", NET, "--data", "nonesuch", says="nonesuch")
    refused(*base, "--net", NET, "--epochs", 1, "--out", path("no/such/folder/m"),
            says="no/such/folder")
    refused("test", path("nowhere.st"), "--data", "fashion", says="nowhere.st")


status = run([(case, None) for case in (
    help_and_usage, devices, sparse, tune, auto_says_what_it_took, ops_like_numpy,
    ops_like_onnx,
    conv_like_loops, random_is_the_same_everywhere, settings_are_known, ops_refuse,
    types_are_not_changed, attention_takes_bool, mistakes_are_named, other_names_are_taken,
    ignored_labels_are_named, fixed_point_is_chosen, bf16_in_safetensors, check_judges,
    check_takes_turns, tables_and_arrays)] +
             [(case, FASHION) for case in (
                 train_and_use, resumed_run_is_the_same, smaller_nets,
                 students_and_teachers, students_of_features_and_caches, aware_models,
                 binary_models,
                 training_refuses)] +
             [(every_optimizer, FASHION)] * (os.environ.get("TUFF_DEVICE") == "cpu"))
sys.exit(status)
