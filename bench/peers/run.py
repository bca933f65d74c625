#!/usr/bin/env python3
"""Tuff beside its peers: the same work, in the same precision (f32) and with the same threads,
in turns on this machine, outputs compared.

    bench/peers/run.py [WORK ...]     all of them without a name; --list names them

Under a Vulkan driver that runs on the CPU, Tuff on that driver is also held against the peers'
CPU kernels: it is the same silicon. Start it as `DRIVER/run bench/peers/run.py` to have one
of tests/drivers. ggml takes a minute or two to compile its matmul on such a driver, and has
products with b turned only. Peers come as install.py says. A ratio is the peer's time
through Tuff's, of each round: above 1 Tuff is the faster. Exits 1 when outputs differ."""
import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import install

TUFF = os.path.join(install.ROOT, "build", "tuff")
SERVE = os.path.join(install.HERE, "serve.py")
TOLERANCE = 1e-3  # of the rms of the peer's output: what sums in another order cannot explain

sys.path.insert(0, install.PYTHON)


class Left(Exception):
    """Why a contender does not take part."""


def seen_by(args):
    """A command that sees the driver this script was started under (tests/drivers)."""
    run = os.environ.get("TUFF_RUN")
    return [*([run] if run else []), *(str(a) for a in args)]


def environment(threads):
    """OpenMP, OpenBLAS, lavapipe and Tuff's CPU path with as many threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS", "TUFF_THREADS")
    # Threads of OpenMP that share a core wait for each other all the time.
    return {"OMP_PROC_BIND": "true", **os.environ, **{name: str(threads) for name in names}}


def command(*args, threads):
    done = subprocess.run(seen_by(args), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env=environment(threads))
    if done.returncode:
        raise Left((done.stderr.strip() or done.stdout.strip()).split("\n")[-1])
    return done.stdout


# ---- who takes part -------------------------------------------------------------------------

class Tuff:
    """`output(device, threads)` gives Tuff's answer, for the comparison."""
    ours = True

    def __init__(self, case, device, threads, output):
        self.case, self.device, self.threads, self.output = case, device, threads, output
        self.vulkan = device != "cpu"
        self.name = f"Tuff {device}, {threads} thread{'s' * (threads > 1)}"
        self.cpu_like = True

    def bench(self, runs):
        text = command(TUFF, "bench", self.case, "--device", self.device, "--runs", runs,
                       "--no-roof", "--json", "--quiet", threads=self.threads)
        got = json.loads(text)
        result, = got["results"]
        self.about = f"{got['name']} ({got['driver']}), {result['variant']}"
        return result

    def start(self):
        self.bench(3)
        self.y = self.output(self.device, self.threads)

    def times(self, runs):
        """A median stands for its runs: the spread is that of rounds."""
        return [self.bench(runs)["median_ms"] * 1e-3]

    def stop(self):
        pass


class Server:
    """A peer's program that answers as serve.h and serve.py do."""
    ours = False

    def __init__(self, name, threads, args, y, vulkan=False, more=None):
        self.name = f"{name}, {threads} thread{'s' * (threads > 1)}"
        self.threads, self.args, self.path, self.vulkan = threads, args, y, vulkan
        self.more, self.child, self.most = more, None, sys.maxsize

    def start(self):
        import numpy as np
        env = {**environment(self.threads), **(self.more or {})}
        args = [str(a) for a in self.args]
        if args[0] == sys.executable:
            env["PYTHONPATH"] = install.PYTHON
            args = seen_by(args)
        self.child = subprocess.Popen(args, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      env=env)
        line = self.child.stdout.readline()
        while line and not line.startswith("ready"):  # libraries talk
            line = self.child.stdout.readline()
        if not line:
            said = self.child.stderr.read().strip().split("\n")[-1]
            raise Left(said or f"it ended with status {self.child.wait()}")
        self.about = line[len("ready "):].strip()
        self.y = np.load(self.path) if self.path.endswith(".npy") else \
            np.fromfile(self.path, np.float32)
        self.most = max(1, int(2 / self.times(1)[0]))  # two seconds a turn

    def times(self, runs):
        self.child.stdin.write(f"{min(runs, self.most)}\n")
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line:
            raise Left(f"it ended with status {self.child.wait()}")
        return [statistics.median(float(t) for t in line.split())]

    def stop(self):
        if self.child:
            self.child.stdin.close()
            self.child.wait()


# ---- the works ------------------------------------------------------------------------------

def numbers(folder, name, shape, seed):
    """The same array as raw floats for C, and as .npy for Tuff."""
    import numpy as np
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    x.tofile(f"{folder}/{name}.bin")
    np.save(f"{folder}/{name}.npy", x)
    return x


def op_output(folder, op, inputs, attributes):
    """What gives `tuff op`'s answer on the arrays in folder."""
    def output(device, threads):
        import numpy as np
        args = [a for name in inputs for a in ("--input", f"{folder}/{name}.npy")]
        args += [a for text in attributes for a in ("--attr", text)]
        command(TUFF, "op", op, *args, "--output", f"{folder}/ours.npy", "--device", device,
                "--quiet", threads=threads)
        return np.load(f"{folder}/ours.npy")
    return output


def tuffs(case, devices, threads, output):
    return [Tuff(case, device, threads, output) for device in devices]


def ggml(folder, o, args):
    """ggml's side, where there is one and Tuff runs on Vulkan."""
    if all(d == "cpu" for d in o.device) or not os.path.exists(f"{install.FOLDER}/ggml"):
        return []
    start, more = install.ggml_command()
    return [Server("ggml Vulkan", o.threads, [*start, *args, f"{folder}/ggml.bin"],
                   f"{folder}/ggml.bin", vulkan=True, more=more)]


def matmul(m, k, n, trans_b=False):
    def make(folder, o):
        numbers(folder, "a", (m, k), 1)
        numbers(folder, "b", (n, k) if trans_b else (k, n), 2)
        case = f"matmul f32 {m}x{k} {n}x{k} trans_b=1" if trans_b else \
            f"matmul f32 {m}x{k}x{n}"
        output = op_output(folder, "matmul", "ab", ["trans_b=1"] * trans_b)
        args = [f"{install.FOLDER}/blas", m, k, n, int(trans_b), f"{folder}/a.bin",
                f"{folder}/b.bin", f"{folder}/y.bin"]
        own = ["matmul", m, k, n, f"{folder}/a.bin", f"{folder}/b.bin"]
        return tuffs(case, o.device, o.threads, output) + [
            Server("OpenBLAS", o.threads, args, f"{folder}/y.bin")] + \
            ggml(folder, o, own) * trans_b
    return make


def conv(kind, c, size, out, kernel, pad, groups=1):
    shape = {"x": (1, c, size, size), "w": (out, c // groups, kernel, kernel),
             "y": (1, out, size, size)}
    op, first, second = {"forward": ("conv2d", "x", "w"),
                         "input_grad": ("conv2d_input_grad", "y", "w"),
                         "weight_grad": ("conv2d_weight_grad", "x", "y")}[kind]

    def make(folder, o):
        numbers(folder, "first", shape[first], 1)
        numbers(folder, "second", shape[second], 2)
        text = [f"pad={','.join([str(pad)] * 4)}"] if pad else []
        attributes = [f"pads={','.join([str(pad)] * 4)}"] if pad else []
        if groups > 1:
            text.append(f"group={groups}")
            attributes.append(f"group={groups}")
        if kind == "weight_grad":
            text.append(f"size={kernel},{kernel}")
            attributes.append(f"size={kernel},{kernel}")
        dims = ["x".join(map(str, shape[i])) for i in (first, second)]
        output = op_output(folder, op, ("first", "second"), attributes)
        args = [f"{install.FOLDER}/dnn", kind, 1, c, size, size, out, kernel, pad, groups,
                f"{folder}/first.bin", f"{folder}/second.bin", f"{folder}/y.bin"]
        own = ["conv", c, size, out, kernel, pad, groups, f"{folder}/first.bin",
               f"{folder}/second.bin"]
        return tuffs(" ".join([op, "f32", *dims, *text]), o.device, o.threads, output) + [
            Server("oneDNN", o.threads, args, f"{folder}/y.bin")] + \
            (ggml(folder, o, own) if kind == "forward" else [])
    return make


def prepare_net(folder, net, shape):
    """The net with seeded weights in the peers' files, and as a model of Tuff's."""
    import nets
    import numpy as np
    sizes = "x".join(map(str, shape[1:]))
    info = json.loads(command(TUFF, "info", net, "--input", sizes, "--json", "--device", "cpu",
                              threads=1))
    tensors = {t["name"]: [int(n) for n in t["shape"].split("[")[1].rstrip("]").split(",")]
               for t in info["tensors"]}
    made = nets.Net(info["net"], tensors)
    x = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    np.save(f"{folder}/x.npy", x)
    nets.write_safetensors(f"{folder}/weights.safetensors", made.weights)
    if net != "lenet5":
        nets.write_onnx(f"{folder}/net.onnx", made, list(shape))
        nets.write_ncnn(f"{folder}/net.param", f"{folder}/net.bin", made, shape[1:])
    command(TUFF, "import", "--net", net, "--weights", f"{folder}/weights.safetensors",
            "--input", sizes, "--out", f"{folder}/model.safetensors", "--quiet", threads=1)


def net_output(folder):
    def output(device, threads):
        import numpy as np
        got = json.loads(command(TUFF, "predict", f"{folder}/model.safetensors", "--input",
                                 f"{folder}/x.npy", "--json", "--quiet", "--device", device,
                                 threads=threads))
        return np.array(got["predictions"][0]["scores"], np.float32)
    return output


def infer(net):
    def make(folder, o):
        prepare_net(folder, net, (1, 3, 224, 224))
        case, output = f"infer {net} 1x3x224x224", net_output(folder)

        def peer(name, side, threads, *more, **options):
            own = tempfile.mkdtemp(dir=folder)
            for file in ("x.npy", "net.onnx", "net.param", "net.bin"):
                os.link(f"{folder}/{file}", f"{own}/{file}")
            return Server(name, threads, [sys.executable, SERVE, side, own, threads, *more],
                          f"{own}/y.npy", **options)

        vulkan = [d for d in o.device if d != "cpu"]
        made = tuffs(case, vulkan, o.threads, output)
        made += [peer("ncnn Vulkan", "ncnn", o.threads, o.gpu, vulkan=True)] * bool(vulkan)
        for threads in sorted({1, o.threads}) * ("cpu" in o.device):
            made += [Tuff(case, "cpu", threads, output),
                     peer("ncnn CPU", "ncnn", threads, -1),
                     peer("onnxruntime CPU", "onnxruntime", threads)]
        return made
    return make


def train_lenet5(folder, o):
    prepare_net(folder, "lenet5", (1, 1, 28, 28))
    args = [install.SYSTEM_PYTHON, SERVE, "torch", folder, o.threads]
    return tuffs("train lenet5 64x1x28x28 optimizer=adam", o.device, o.threads,
                 net_output(folder)) + [Server("PyTorch CPU", o.threads, args,
                                               f"{folder}/y.npy")]


WORKS = {
    "matmul-1024": matmul(1024, 1024, 1024),
    "matmul-1023": matmul(1023, 1023, 1023),
    "matmul-2048": matmul(2048, 2048, 2048),
    "matmul-1024-turned": matmul(1024, 1024, 1024, trans_b=True),
    "matvec-4096": matmul(1, 4096, 4096, trans_b=True),
    "conv3x3": conv("forward", 64, 56, 64, 3, 1),
    "conv3x3-input-grad": conv("input_grad", 64, 56, 64, 3, 1),
    "conv3x3-weight-grad": conv("weight_grad", 64, 56, 64, 3, 1),
    "conv1x1": conv("forward", 64, 56, 256, 1, 0),
    "depthwise3x3": conv("forward", 64, 56, 64, 3, 1, groups=64),
    "squeezenet": infer("squeezenet1_1"),
    "resnet18": infer("resnet18"),
    "train-lenet5": train_lenet5,
}

# ---- running --------------------------------------------------------------------------------

def start_all(contenders):
    there = []
    for c in contenders:
        try:
            c.start()
            there.append(c)
        except Left as why:
            print(f"  left out: {c.name}: {why}", flush=True)
    return there


def run_work(name, o):
    """Rounds of turns; {contender: [seconds, a round]}, none of which may fail midway."""
    folder = tempfile.mkdtemp(prefix=f"{name}-", dir=install.FOLDER)
    contenders, times = [], {}
    try:
        contenders = WORKS[name](folder, o)
        there = start_all(contenders)
        for _ in range(o.rounds):
            for c in there:
                times.setdefault(c, []).extend(c.times(o.runs))
    except Left as why:
        print(f"  given up: {why}", flush=True)
        times = {}
    finally:
        for c in contenders:
            c.stop()
        shutil.rmtree(folder)
    return times


def spread(values):
    return min(values), statistics.median(values), max(values)


def difference(a, b):
    """The largest difference of two outputs, of the second's rms; inf where sizes differ."""
    import numpy as np
    a, b = np.ravel(a).astype(np.float64), np.ravel(b).astype(np.float64)
    if a.size != b.size:
        return float("inf")
    rms = float(np.sqrt(np.mean(b * b)))
    d = float(np.max(np.abs(a - b))) / rms if rms > 0 else float("inf")
    return d if d == d else float("inf")


def compare(times):
    """[(ours, peer, ratios of a round, difference)] of those with as many threads."""
    pairs = []
    for ours in (c for c in times if c.ours):
        for peer in (c for c in times if not c.ours and c.threads == ours.threads):
            if peer.vulkan and not ours.vulkan:
                continue
            ratios = [p / t for p, t in zip(times[peer], times[ours])]
            pairs.append((ours, peer, spread(ratios), difference(ours.y, peer.y)))
    return pairs


def report(name, times, pairs):
    for c, values in times.items():
        low, middle, high = (v * 1e3 for v in spread(values))
        print(f"  {c.name:<34} {low:10.3f} {middle:10.3f} {high:10.3f} ms   {c.about}")
    for ours, peer, (low, middle, high), d in pairs:
        wrong = "" if d <= TOLERANCE else "  OUTPUTS DIFFER"
        print(f"  {ours.name} beside {peer.name}: x {middle:.2f} ({low:.2f} to {high:.2f}), "
              f"outputs within {d:.1e}{wrong}", flush=True)


def processor():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return f"{names[0]}, {os.cpu_count()} threads" if names else f"{os.cpu_count()} threads"


def write_markdown(path, results, missing, o):
    abouts = sorted({c.about for times, _ in results.values() for c in times})
    with open(path, "w") as f:
        f.write(f"# Tuff beside its peers, {datetime.date.today():%d %B %Y}\n\n"
                f"`bench/peers/run.py` on {processor()}: f32, {o.rounds} rounds of turns, a "
                f"round's time being the median of {o.runs} runs. Milliseconds: least, median "
                f"and most of the rounds. A ratio is the peer's time through Tuff's: above 1 "
                f"Tuff is the faster.\n\n")
        f.write("".join(f"- {about}\n" for about in abouts))
        f.write("".join(f"- missing: {name}: {why}\n" for name, why in missing.items()))
        for name, (times, pairs) in results.items():
            f.write(f"\n## {name}\n\n| | least ms | median ms | most ms |\n|---|---|---|---|\n")
            for c, values in times.items():
                f.write(f"| {c.name} | " +
                        " | ".join(f"{v * 1e3:.3f}" for v in spread(values)) + " |\n")
            f.write("\n| Tuff | beside | ratio | of rounds | outputs differ by |\n"
                    "|---|---|---|---|---|\n")
            for ours, peer, (low, middle, high), d in pairs:
                f.write(f"| {ours.name} | {peer.name} | {middle:.2f} | {low:.2f} to {high:.2f} "
                        f"| {d:.1e} |\n")


def read_options():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", nargs="*", help="names of works; all of them")
    parser.add_argument("--list", action="store_true", help="name the works")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each; 5")
    parser.add_argument("--runs", type=int, default=5, help="runs of a turn; 5")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="all")
    parser.add_argument("--device", nargs="+", default=["vulkan:0", "cpu"],
                        help="of Tuff; vulkan:0 cpu")
    parser.add_argument("--gpu", type=int, default=0, help="ncnn's number of the device; 0")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables there")
    parser.add_argument("--no-fetch", action="store_true", help="take the peers that are there")
    o = parser.parse_args()
    for name in o.work:
        if name not in WORKS:
            parser.error(f"there is no work '{name}', expected some of {', '.join(WORKS)}")
    if o.rounds < 1 or o.runs < 3:
        parser.error("--rounds is at least 1, --runs at least 3")
    return o


def main():
    o = read_options()
    if o.list:
        print("\n".join(WORKS))
        return 0
    missing = install.install(fetch=not o.no_fetch)
    for name, why in missing.items():
        print(f"missing: {name}: {why}")
    results, wrong = {}, False
    for name in o.work or WORKS:
        print(name, flush=True)
        times = run_work(name, o)
        pairs = compare(times)
        report(name, times, pairs)
        wrong |= any(d > TOLERANCE for *_, d in pairs)
        if times:
            results[name] = times, pairs
    if o.markdown:
        write_markdown(o.markdown, results, missing, o)
    return 1 if wrong or not results else 0


if __name__ == "__main__":
    sys.exit(main())
