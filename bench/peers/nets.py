"""Nets as the peers read them, made from the text that Tuff has for a net (docs/net.md):
layers in a chain, `concat(a ; b)` and `residual(body ; shortcut)`. Weights are drawn from a
seed, under Tuff's names, and go to a safetensors file; an ONNX model and ncnn's files hold the
same."""
import json
import re
import struct
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Node:
    """A layer: what it reads and writes are numbers of values; 0 is the net's input."""
    op: str
    name: str
    inputs: list
    output: int
    args: dict = field(default_factory=dict)


class Parser:
    """Reads a net's canonical text into nodes; `result` is the value it ends with."""

    def __init__(self, text):
        self.words = re.findall(r"[|;()]|[^|;()]+", text)
        self.words = [w.strip() for w in self.words if w.strip()]
        self.at, self.nodes, self.values = 0, [], 1
        self.result = self.chain(0, "")

    def peek(self):
        return self.words[self.at] if self.at < len(self.words) else None

    def take(self, want=None):
        word = self.peek()
        assert word is not None and (want is None or word == want), f"{word}, expected {want}"
        self.at += 1
        return word

    def emit(self, op, name, inputs, **args):
        self.nodes.append(Node(op, name, inputs, self.values, args))
        self.values += 1
        return self.values - 1

    def chain(self, x, prefix):
        place = 0
        while True:
            x = self.item(x, f"{prefix}{place}")
            place += 1
            if self.peek() != "|":
                return x
            self.take("|")

    def branches(self, x, name, first):
        """Chains with ; between them, each named by `first` or its number."""
        self.take("(")
        ends = [self.chain(x, f"{name}.{first(0)}")]
        while self.peek() == ";":
            self.take(";")
            ends.append(self.chain(x, f"{name}.{first(len(ends))}"))
        self.take(")")
        return ends

    def item(self, x, name):
        word = self.take()
        if word == "concat":
            return self.emit("concat", name, self.branches(x, name, lambda i: f"{i}."))
        if word == "residual":
            ends = self.branches(x, name, lambda i: "shortcut." if i else "")
            return self.emit("add", name, [ends[0], ends[1] if len(ends) > 1 else x])
        op, *rest = word.split()
        args = dict(w.split("=") for w in rest if "=" in w)
        numbers = [int(w) for w in rest if w.isdigit()]
        if op == "dropout":
            return x
        assert op in ("conv", "bn", "relu", "maxpool", "gap", "dense", "flatten"), op
        return self.emit(op, name, [x], numbers=numbers, **args)


class Net:
    def __init__(self, text, tensors, seed=1):
        """`tensors`: {name: shape} of Tuff's weights."""
        parser = Parser(text)
        self.nodes, self.result = parser.nodes, parser.result
        rng = np.random.default_rng(seed)
        self.weights = {name: self.draw(rng, name, shape) for name, shape in tensors.items()}

    @staticmethod
    def draw(rng, name, shape):
        kind = name.rsplit(".", 1)[1]
        if kind == "weight" and len(shape) > 1:
            scale = (2 / np.prod(shape[1:])) ** 0.5
            return (rng.standard_normal(shape) * scale).astype(np.float32)
        if kind in ("weight", "running_var"):
            return rng.uniform(0.5, 1.5, shape).astype(np.float32)
        return (rng.standard_normal(shape) * 0.1).astype(np.float32)

    def get(self, node, kind):
        return self.weights.get(f"{node.name}.{kind}")


def write_safetensors(path, weights):
    header, at = {}, 0
    for name, w in weights.items():
        header[name] = {"dtype": "F32", "shape": list(w.shape),
                        "data_offsets": [at, at + w.nbytes]}
        at += w.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for w in weights.values():
            f.write(w.tobytes())


def geometry(node):
    """Kernel, stride and pad of a convolution or a pool."""
    kernel = node.args["numbers"][-1]
    stride = int(node.args.get("stride", kernel if node.op == "maxpool" else 1))
    return kernel, stride, int(node.args.get("pad", 0))


# ---- ONNX -----------------------------------------------------------------------------------

def write_onnx(path, net, shape):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    nodes, held = [], []

    def hold(name, array):
        held.append(numpy_helper.from_array(array, name))
        return name

    def add(op, node, *more, **attributes):
        nodes.append(helper.make_node(op, [f"v{i}" for i in node.inputs] + list(more),
                                      [f"v{node.output}"], **attributes))

    for node in net.nodes:
        kinds = [k for k in ("weight", "bias", "running_mean", "running_var")
                 if net.get(node, k) is not None]
        more = [hold(f"{node.name}.{k}", net.get(node, k)) for k in kinds]
        if node.op == "conv":
            kernel, stride, pad = geometry(node)
            add("Conv", node, *more, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                pads=[pad] * 4)
        elif node.op == "maxpool":
            kernel, stride, pad = geometry(node)
            add("MaxPool", node, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                pads=[pad] * 4)
        elif node.op == "gap":
            whole = helper.make_node("GlobalAveragePool", [f"v{node.inputs[0]}"],
                                     [f"g{node.output}"])
            nodes += [whole, helper.make_node("Flatten", [f"g{node.output}"],
                                              [f"v{node.output}"])]
        else:
            op, attributes = {"bn": ("BatchNormalization", {}), "relu": ("Relu", {}),
                              "dense": ("Gemm", {"transB": 1}), "add": ("Add", {}),
                              "flatten": ("Flatten", {}),
                              "concat": ("Concat", {"axis": 1})}[node.op]
            add(op, node, *more, **attributes)
    x = helper.make_tensor_value_info("v0", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info(f"v{net.result}", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [x], [y], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


# ---- ncnn -----------------------------------------------------------------------------------

def folded(net):
    """Nodes with batch norms inside their convolutions and relu behind what makes its input,
    as ncnnoptimize has them: [(node, weight, bias, relu)], and the value that the net ends
    with."""
    made = {node.output: node for node in net.nodes}
    readers = {}
    for node in net.nodes:
        for v in node.inputs:
            readers[v] = readers.get(v, 0) + 1
    same, out = {}, []  # a value that stands for another
    entry = {}          # the entry of out that makes a value
    for node in net.nodes:
        inputs = [same.get(v, v) for v in node.inputs]
        before = made.get(node.inputs[0])
        alone = before is not None and readers[node.inputs[0]] == 1
        if node.op == "bn" and alone and before.op == "conv":
            e = out[entry[inputs[0]]]
            scale = net.get(node, "weight") / np.sqrt(net.get(node, "running_var") + 1e-5)
            bias = 0 if e[2] is None else e[2]
            e[1] = e[1] * scale[:, None, None, None]
            e[2] = (bias - net.get(node, "running_mean")) * scale + net.get(node, "bias")
            same[node.output] = inputs[0]
        elif node.op == "relu" and alone and inputs[0] in entry and \
                out[entry[inputs[0]]][0].op in ("conv", "dense"):
            out[entry[inputs[0]]][3] = True
            same[node.output] = inputs[0]
        else:
            entry[node.output] = len(out)
            out.append([Node(node.op, node.name, inputs, node.output, node.args),
                        net.get(node, "weight"), net.get(node, "bias"), False])
    return out, same.get(net.result, net.result)


def write_ncnn(param, binary, net, sample):
    entries, result = folded(net)
    readers = {}
    for node, *_ in entries:
        for v in node.inputs:
            readers[v] = readers.get(v, 0) + 1
    lines, blobs, used = [], 0, {}

    def name_of(v, reader=None):
        """The blob of a value, or the copy that its next reader takes."""
        base = "out0" if v == result else f"v{v}" if v else "in0"
        if reader is None or readers.get(v, 0) < 2:
            return base
        used[v] = used.get(v, 0) + 1
        return f"{base}_{used[v] - 1}"

    def add(kind, name, inputs, outputs, text=""):
        nonlocal blobs
        blobs += len(outputs)
        lines.append(" ".join([kind, name, str(len(inputs)), str(len(outputs)), *inputs,
                               *outputs, text]).rstrip())

    def split(v):
        n = readers.get(v, 0)
        if n > 1:
            add("Split", f"split{v}", [name_of(v)], [f"{name_of(v)}_{i}" for i in range(n)])

    channels, rows, columns = sample
    add("Input", "in0", [], ["in0"], f"0={columns} 1={rows} 2={channels}")
    split(0)
    with open(binary, "wb") as f:
        for node, weight, bias, relu in entries:
            inputs = [name_of(v, node) for v in node.inputs]
            text, kind = "", {"relu": "ReLU", "add": "BinaryOp", "concat": "Concat",
                              "flatten": "Flatten"}.get(node.op)
            if node.op == "conv":
                kernel, stride, pad = geometry(node)
                kind = "Convolution"
                text = (f"0={weight.shape[0]} 1={kernel} 3={stride} 4={pad} "
                        f"5={int(bias is not None)} 6={weight.size} 9={int(relu)}")
            elif node.op == "dense":
                kind = "InnerProduct"
                text = (f"0={weight.shape[0]} 1={int(bias is not None)} 2={weight.size} "
                        f"9={int(relu)}")
            elif node.op == "maxpool":
                kernel, stride, pad = geometry(node)
                kind, text = "Pooling", f"0=0 1={kernel} 2={stride} 3={pad} 5=1"
            elif node.op == "gap":
                kind, text = "Pooling", "0=1 4=1"
            elif node.op in ("add", "concat"):
                text = "0=0"
            add(kind, f"l{node.output}", inputs, [name_of(node.output)], text)
            split(node.output)
            if weight is not None:
                f.write(b"\0\0\0\0" + weight.astype(np.float32).tobytes())
                if bias is not None:
                    f.write(bias.astype(np.float32).tobytes())
    with open(param, "w") as f:
        f.write(f"7767517\n{len(lines)} {blobs}\n" + "\n".join(lines) + "\n")
