#!/usr/bin/env python3
"""Writes the block_*.npy files of this folder with the package `gguf` (made with 0.19.0, NumPy
2.4): what test_blocks.c compares the library with. It is needed to make them, never to test.

    pip install gguf numpy && python3 tests/golden/make_blocks.py

    block_x.npy               numbers, [8, 256]
    block_NAME.bytes.npy      blocks whose bytes are random and whose scales are not
    block_NAME.numbers.npy    what gguf makes of them
    block_NAME.encoded.npy    what gguf makes of block_x, where it has a quantizer

nf4 is not in gguf: its table is the one of QLoRA's paper (arXiv:2305.14314) and bitsandbytes,
which is held here against the quantiles of the normal distribution that it stands for.
"""
import os
from statistics import NormalDist

import gguf
import numpy
from gguf import GGMLQuantizationType as Kind

FOLDER = os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(20240229)

# name, kind, bytes of a block, where its f16 scales lie
FORMATS = [
    ("q4_0", Kind.Q4_0, 18, [0]), ("q4_1", Kind.Q4_1, 20, [0, 2]),
    ("q5_0", Kind.Q5_0, 22, [0]), ("q5_1", Kind.Q5_1, 24, [0, 2]),
    ("q8_0", Kind.Q8_0, 34, [0]), ("q2_k", Kind.Q2_K, 84, [80, 82]),
    ("q3_k", Kind.Q3_K, 110, [108]), ("q4_k", Kind.Q4_K, 144, [0, 2]),
    ("q5_k", Kind.Q5_K, 176, [0, 2]), ("q6_k", Kind.Q6_K, 210, [208]),
    ("iq4_nl", Kind.IQ4_NL, 18, [0]),
]


def save(name, array):
    numpy.save(os.path.join(FOLDER, f"block_{name}.npy"), numpy.ascontiguousarray(array))


def scales(count):
    """f16 of many sizes and both signs, subnormal ones among them."""
    v = (rng.uniform(-1, 1, count) * 2.0 ** rng.integers(-20, 3, count)).astype(numpy.float16)
    return v.view(numpy.uint8).reshape(count, 2)


NF4 = numpy.array([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], numpy.float32)


def normal_map(offset=0.9677083):
    quantile = NormalDist().inv_cdf
    up = [quantile(p) for p in numpy.linspace(offset, 0.5, 9)[:-1]]
    down = [-quantile(p) for p in numpy.linspace(offset, 0.5, 8)[:-1]]
    values = numpy.sort(numpy.array(up + [0.0] + down))
    return values / values.max()


def nf4(name, header):
    """Six blocks of 64: the largest size (f32 or f16), then halves of bytes, upper first."""
    halves = rng.integers(0, 256, (6, 32)).astype(numpy.uint8)
    absmax = rng.uniform(0.01, 4, (6, 1)).astype(header)
    width = absmax.dtype.itemsize
    assert abs(NF4 - normal_map()).max() < 1e-6
    levels = numpy.stack([halves >> 4, halves & 15], axis=-1).reshape(6, 64)
    save(f"{name}.bytes", numpy.concatenate(
        [absmax.view(numpy.uint8).reshape(6, width), halves], axis=-1).reshape(2, -1))
    save(f"{name}.numbers", (absmax.astype(numpy.float32) * NF4[levels]).reshape(2, -1))


def main():
    x = rng.standard_normal((8, 256)).astype(numpy.float32)
    x[1] *= 100
    x[2] *= 1e-3
    x[3] = numpy.round(x[3] * 4)  # equals, and zeros
    x[4, 32:64] = 0
    x[5, :128] = numpy.abs(x[5, :128])
    x[6] = x[6] ** 3
    save("x", x)
    for name, kind, size, at in FORMATS:
        data = rng.integers(0, 256, (6, size)).astype(numpy.uint8)
        for byte in at:
            data[:, byte:byte + 2] = scales(6)
        data = data.reshape(2, -1)
        save(f"{name}.bytes", data)
        save(f"{name}.numbers", gguf.quants.dequantize(data, kind).astype(numpy.float32))
        try:
            save(f"{name}.encoded", gguf.quants.quantize(x, kind))
        except NotImplementedError:
            pass
    nf4("nf4", numpy.float32)
    nf4("nf4_f16", numpy.float16)


main()
