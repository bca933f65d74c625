#!/usr/bin/env python3
"""LeNet-5, batch 64, Adam: training speed of Tuff beside PyTorch's (Debian's python3-torch), in
turns on the same machine and the same images.

    bench/peers/lenet5.py [--rounds N] [--device D ...]

Prints images a second of each round, then minimum, median and maximum, and the ratio of the
medians. Needs dataset-fashion-mnist, python3-torch and a build in build/."""
import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from torch import nn

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = "/usr/share/datasets/fashion-mnist/train-"
BATCH, IMAGES = 64, 19200


def images():
    with gzip.open(DATA + "images-idx3-ubyte.gz") as f:
        x = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(DATA + "labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(), np.uint8, offset=8)
    x = x[:IMAGES].astype(np.float32) / 255
    return torch.from_numpy((x - x.mean()) / x.std()), torch.from_numpy(
        y[:IMAGES].astype(np.int64))


def torch_rate(x, y):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
                        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                        nn.Linear(84, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    loss = nn.CrossEntropyLoss()
    start = time.monotonic()
    for batch in torch.randperm(len(x)).split(BATCH):
        optimizer.zero_grad()
        loss(net(x[batch]), y[batch]).backward()
        optimizer.step()
    return len(x) / (time.monotonic() - start)


def tuff_rate(device):
    # Two epochs: kernels are built in the first, the second is the figure.
    command = [os.path.join(ROOT, "build/tuff"), "train", "--net", "lenet5", "--epochs", "2",
               "--data", "fashion", "--limit", str(IMAGES), "--limit-test", "64",
               "--device", device, "--json", "--quiet"]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)["epochs"][-1]["images_per_second"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", nargs="+", default=["vulkan:0", "cpu"])
    args = parser.parse_args()
    torch.set_num_threads(os.cpu_count())
    x, y = images()
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads; batch {BATCH}, "
          f"{IMAGES} images a round")
    rates = {"torch": []}
    torch_rate(x, y)
    for _ in range(args.rounds):
        rates["torch"].append(torch_rate(x, y))
        for device in args.device:
            rates.setdefault(device, []).append(tuff_rate(device))
        print("  ".join(f"{name} {values[-1]:.0f}" for name, values in rates.items()),
              flush=True)
    base = statistics.median(rates["torch"])
    for name, values in rates.items():
        middle = statistics.median(values)
        print(f"{name:<10} min {min(values):6.0f}  median {middle:6.0f}  "
              f"max {max(values):6.0f}  images/s  x {middle / base:.2f}")


sys.exit(main())
