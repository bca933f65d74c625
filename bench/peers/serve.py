"""The sides of run.py that speak Python. Each loads a net, writes what it gives for a sample,
says "ready" and what it is; then for each line N on stdin it prints the seconds of N runs.

    serve.py ncnn FOLDER THREADS GPU      GPU: -1 for none
    serve.py onnxruntime FOLDER THREADS
    serve.py torch FOLDER THREADS         steps of training, batch 64, Adam

FOLDER holds net.param and net.bin, net.onnx, weights.safetensors; x.npy goes in, y.npy out."""
import json
import struct
import sys
import time

import numpy as np


def serve(run, about):
    print("ready", about, flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        print(*(f"{t:.9f}" for t in times), flush=True)


def ncnn_side(folder, x, threads, gpu):
    import ncnn
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = gpu >= 0
    # The precision that Tuff computes in.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if gpu >= 0:
        net.set_vulkan_device(gpu)
    net.load_param(f"{folder}/net.param")
    net.load_model(f"{folder}/net.bin")
    sample = ncnn.Mat(np.ascontiguousarray(x[0]))

    def run():
        extractor = net.create_extractor()
        extractor.input("in0", sample)
        code, y = extractor.extract("out0")
        assert code == 0, code
        return np.array(y)

    place = ncnn.get_gpu_info(gpu).device_name() if gpu >= 0 else "CPU"
    return run, f"ncnn {ncnn.__version__}, {place}, {threads} threads, f32"


def onnxruntime_side(folder, x, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{folder}/net.onnx", options,
                                           providers=["CPUExecutionProvider"])
    return (lambda: session.run(None, {"v0": x})[0],
            f"onnxruntime {onnxruntime.__version__}, {threads} threads")


def read_safetensors(path):
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        header, data = json.loads(f.read(size)), f.read()
    return {name: np.frombuffer(data[e["data_offsets"][0]:e["data_offsets"][1]],
                                np.float32).reshape(e["shape"])
            for name, e in header.items() if name != "__metadata__"}


def torch_side(folder, x, threads):
    """LeNet-5: its outputs for x before training, and then steps of it."""
    import torch
    from torch import nn
    torch.set_num_threads(threads)
    net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                        nn.Linear(84, 10))
    weights = read_safetensors(f"{folder}/weights.safetensors")
    net.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in weights.items()})
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    loss_of = nn.CrossEntropyLoss()
    images = torch.randn(64, 1, 28, 28)
    classes = torch.randint(0, 10, (64,))
    with torch.no_grad():
        np.save(f"{folder}/y.npy", net(torch.from_numpy(x)).numpy())

    def run():
        optimizer.zero_grad()
        loss_of(net(images), classes).backward()
        optimizer.step()

    for _ in range(20):
        run()
    return run, f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"


def main():
    side, folder, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    x = np.load(f"{folder}/x.npy")
    if side == "torch":
        run, about = torch_side(folder, x, threads)
    else:
        run, about = (ncnn_side(folder, x, threads, int(sys.argv[4])) if side == "ncnn"
                      else onnxruntime_side(folder, x, threads))
        np.save(f"{folder}/y.npy", run())
    serve(run, about)


sys.exit(main())
