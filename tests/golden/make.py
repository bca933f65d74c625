#!/usr/bin/env python3
"""Writes the .npy files of this folder with PyTorch (made with 1.13.0): what test_golden.c
compares the library with. PyTorch is needed to make them, never to build or test.

    python3 tests/golden/make.py

Everything is computed in f64 from numbers that f32 holds, and rounded once at the end, so that
what a test sees is the library's own error alone. File names are CASE.TENSOR.npy.
"""
import os
import zlib

import numpy
import torch
import torch.nn.functional as F

FOLDER = os.path.dirname(os.path.abspath(__file__))
rng = numpy.random.default_rng(20240229)


def draw(*shape):
    """Numbers in [-2, 2) that f32 holds, as f64 that PyTorch follows."""
    values = rng.uniform(-2, 2, shape).astype(numpy.float32)
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def save(case, **tensors):
    for name, tensor in tensors.items():
        array = numpy.asarray(tensor.detach())
        kind = numpy.int32 if array.dtype == numpy.int64 else numpy.float32
        numpy.save(os.path.join(FOLDER, f"{case}.{name}.npy"),
                   numpy.ascontiguousarray(array.astype(kind)).reshape(array.shape))


def conv(case, x, w, pad=(0, 0, 0, 0), **options):
    """pad as ours: top, left, bottom, right."""
    x, w, b = draw(*x), draw(*w), draw(w[0])
    top, left, bottom, right = pad
    y = F.conv2d(F.pad(x, (left, right, top, bottom)), w, b, **options)
    dy = draw(*y.shape)
    y.backward(dy)
    save(case, x=x, w=w, b=b, y=y, dy=dy, dx=x.grad, dw=w.grad, db=b.grad)


def conv_any(case, function, x, w, pad=None, **options):
    """A convolution over 1 to 3 dims with pads as ours (all before, then all behind), or a
    transposed one, which has options for its own."""
    x, w = draw(*x), draw(*w)
    b = draw(w.shape[1] * options["groups"] if pad is None else w.shape[0])
    dims = len(pad or ()) // 2
    sides = [side for i in reversed(range(dims)) for side in (pad[i], pad[dims + i])]
    y = function(F.pad(x, sides) if dims else x, w, b, **options)
    dy = draw(*y.shape)
    y.backward(dy)
    save(case, x=x, w=w, b=b, y=y, dy=dy, dx=x.grad, dw=w.grad, db=b.grad)


def pool(case, function, x, **options):
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y = function(x, **options)
    dy = draw(*y.shape)
    y.backward(dy)
    save(case, x=x, y=y, dy=dy, dx=x.grad)


def values(*shape):
    return draw(*shape).detach().numpy()


def cross_entropy(case, rows, cols, ignored):
    x = draw(rows, cols)
    labels = torch.tensor(rng.integers(0, cols, rows))
    labels[ignored] = -1
    loss = F.cross_entropy(x * 4, labels, ignore_index=-1)
    dloss = torch.tensor(0.75, dtype=torch.float64)
    loss.backward(dloss)
    save(case, x=x * 4, labels=labels, loss=loss, dloss=dloss, dx=x.grad / 4)


def loss(case, function, *shape, **tensors):
    x = draw(*shape)
    y = function(x)
    dloss = torch.tensor(0.75, dtype=torch.float64)
    y.backward(dloss)
    save(case, x=x, loss=y, dloss=dloss, dx=x.grad, **tensors)


def mse(case):
    x, target = draw(5, 7), draw(5, 7)
    loss = F.mse_loss(x, target)
    save(case, x=x, target=target, loss=loss)


def saved(mean, var):
    """What batch_norm_train keeps: mean and 1 / deviation of each channel."""
    return torch.stack([mean, 1 / torch.sqrt(var + 1e-5)], 1)


def batch_norm(case, *shape):
    x, scale, b = draw(*shape), draw(shape[1]), draw(shape[1])
    mean, var = draw(shape[1]).detach(), draw(shape[1]).detach() + 2.5
    given = dict(mean=mean.clone(), var=var.clone())
    save(case, frozen=F.batch_norm(x, mean, var, scale, b))
    y = F.batch_norm(x, mean, var, scale, b, training=True, momentum=0.25)
    dy = draw(*y.shape)
    y.backward(dy)
    dims = [0, *range(2, len(shape))]
    save(case, x=x, scale=scale, b=b, **given, y=y, new_mean=mean, new_var=var, dy=dy,
         saved=saved(x.mean(dims), x.var(dims, unbiased=False)), dx=x.grad, dscale=scale.grad,
         dbias=b.grad)


def rows_norm(case, function, shape, params, rows, rms=False):
    """rows: x's shape with the dims that are normalised together made one."""
    x, scale, b = draw(*shape), draw(*params), draw(*params)
    y = function(x, scale, b)
    dy = draw(*y.shape)
    y.backward(dy)
    flat = x.detach().reshape(rows)
    mean = flat.mean(-1)
    var = (flat * flat).mean(-1) if rms else flat.var(-1, unbiased=False)
    save(case, x=x, scale=scale, y=y, dy=dy, mean=mean, inv=1 / torch.sqrt(var + 1e-5),
         dx=x.grad, dscale=scale.grad, **({} if rms else dict(b=b, dbias=b.grad)))


def rms_norm(x, scale, b):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * scale + 0 * b


def clip(case, max_norm):
    x = draw(3, 17)
    x.grad = x.detach().clone()
    norm = torch.nn.utils.clip_grad_norm_([x], max_norm)
    save(case, x=x, y=x.grad, norm=norm)


def moved(case, function, *shape, **others):
    """A movement and its gradient, from numbers of the case's own."""
    own = numpy.random.default_rng(zlib.crc32(case.encode()))

    def drawn(shape):
        values = own.uniform(-2, 2, shape).astype(numpy.float32)
        return torch.tensor(values, dtype=torch.float64, requires_grad=True)

    x = drawn(shape)
    others = {name: torch.tensor(own.integers(0, shape[0], value)) if name == "indices"
              else drawn(value) for name, value in others.items()}
    y = function(x, *others.values())
    dy = drawn(y.shape)
    y.backward(dy)
    save(case, x=x, **others, y=y, dy=dy, dx=x.grad)


W0, G = draw(37), draw(10, 37)
STARTS = [0, 1, 12, 30]  # of Lamb's parameters in W0


def optimizer(case, make, clip_value=None, l1=0):
    """w after each of 10 steps with given gradients."""
    w = W0.detach().clone().requires_grad_(True)
    steps, optimizer = [], make([w])
    for g in G.detach():
        w.grad = g.clone()
        if clip_value:
            torch.nn.utils.clip_grad_value_([w], clip_value)
        w.grad += l1 * torch.sign(w.detach())
        optimizer.step()
        steps.append(w.detach().clone())
    save(case, w=torch.stack(steps))


class NAdam(torch.optim.Optimizer):
    """Dozat 2016, as torch.optim.NAdam of PyTorch 2; 1.13 takes mu twice into the product of
    the next step."""

    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decay=4e-3):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay,
                                      decay=decay))

    @torch.no_grad()
    def step(self):
        group = self.param_groups[0]
        (beta1, beta2), w, lr = group["betas"], group["params"][0], group["lr"]
        state = self.state[w]
        t = state["t"] = state.get("t", 0) + 1
        m = state.setdefault("m", torch.zeros_like(w))
        v = state.setdefault("v", torch.zeros_like(w))
        g = w.grad + group["weight_decay"] * w
        mu, after = (beta1 * (1 - 0.5 * 0.96 ** (k * group["decay"])) for k in (t, t + 1))
        product = state["product"] = state.get("product", 1.0) * mu
        m.mul_(beta1).add_(g, alpha=1 - beta1)
        v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        bottom = (v / (1 - beta2 ** t)).sqrt() + group["eps"]
        w.addcdiv_(g, bottom, value=-lr * (1 - mu) / (1 - product))
        w.addcdiv_(m, bottom, value=-lr * after / (1 - product * after))


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, Symbolic Discovery of Optimization Algorithms: program 1."""

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for w in group["params"]:
                m = self.state[w].setdefault("m", torch.zeros_like(w))
                w.mul_(1 - group["lr"] * group["weight_decay"])
                w.sub_(group["lr"] * torch.sign(beta1 * m + (1 - beta1) * w.grad))
                m.mul_(beta2).add_(w.grad, alpha=1 - beta2)


class Lamb(torch.optim.Optimizer):
    """You et al. 2020, Large Batch Optimization for Deep Learning: algorithm 2, whose phi is
    the identity. `starts` cuts the one tensor that is optimised into parameters."""

    def __init__(self, params, lr, starts, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))
        self.starts = starts

    @torch.no_grad()
    def step(self):
        group = self.param_groups[0]
        (beta1, beta2), w = group["betas"], group["params"][0]
        state = self.state[w]
        t = state["t"] = state.get("t", 0) + 1
        m = state.setdefault("m", torch.zeros_like(w))
        v = state.setdefault("v", torch.zeros_like(w))
        m.mul_(beta1).add_(w.grad, alpha=1 - beta1)
        v.mul_(beta2).addcmul_(w.grad, w.grad, value=1 - beta2)
        d = m / (1 - beta1 ** t) / ((v / (1 - beta2 ** t)).sqrt() + group["eps"])
        d += group["weight_decay"] * w
        for begin, end in zip(self.starts, self.starts[1:] + [len(w)]):
            length, slope = w[begin:end].norm(), d[begin:end].norm()
            ratio = length / slope if length > 0 and slope > 0 else 1.0
            w[begin:end] -= group["lr"] * ratio * d[begin:end]


def main():
    conv("conv2d_plain", (2, 3, 7, 9), (4, 3, 3, 3))
    conv("conv2d_stride", (2, 3, 11, 8), (5, 3, 3, 2), pad=(1, 0, 2, 1), stride=(2, 3))
    conv("conv2d_dilation", (1, 2, 10, 11), (3, 2, 3, 3), pad=(2, 1, 2, 1), dilation=(2, 3))
    conv("conv2d_group", (2, 6, 6, 7), (9, 2, 3, 3), pad=(1, 1, 1, 1), groups=3)
    conv("conv2d_depthwise", (2, 5, 6, 7), (5, 1, 3, 3), pad=(1, 1, 1, 1), stride=2, groups=5)

    holed = values(1, 2, 6, 6)
    holed[0, 0, 1, 2] = holed[0, 0, 2, 2] = holed[0, 1, 5, 5] = numpy.nan
    pool("max_halves", F.max_pool2d, values(2, 3, 8, 6), kernel_size=2)
    pool("max_overlap", F.max_pool2d, values(2, 3, 9, 8), kernel_size=3, stride=2, padding=1)
    pool("max_ties", F.max_pool2d, numpy.round(values(2, 2, 9, 8)), kernel_size=(3, 2),
         stride=(1, 2), padding=(1, 0))
    pool("max_apart", F.max_pool2d, numpy.round(values(2, 2, 9, 11)), kernel_size=(2, 1),
         stride=(3, 4))
    pool("max_nan", F.max_pool2d, holed, kernel_size=3, stride=1)
    pool("average_halves", F.avg_pool2d, values(2, 3, 8, 6), kernel_size=2)
    pool("average_overlap", F.avg_pool2d, values(2, 3, 9, 8), kernel_size=3, stride=2,
         padding=1, count_include_pad=True)
    pool("average_inside", F.avg_pool2d, values(2, 3, 9, 8), kernel_size=(3, 4), stride=(2, 1),
         padding=(1, 2), count_include_pad=False)

    cross_entropy("cross_entropy_all", 9, 10, [])
    cross_entropy("cross_entropy_some", 13, 5, [0, 4, 12])
    mse("mse")
    clip("clip_norm", 1.5)

    batch_norm("batch_norm", 4, 3, 5, 7)
    rows_norm("layer_norm", lambda x, w, b: F.layer_norm(x, w.shape, w, b), (2, 3, 5, 7),
              (5, 7), (2, 3, 1, 1, -1))
    rows_norm("group_norm", lambda x, w, b: F.group_norm(x, 3, w, b), (2, 6, 5, 3), (6,),
              (2, 3, -1))
    rows_norm("rms_norm", rms_norm, (6, 13), (13,), (6, 1, -1), rms=True)

    save("update", w=W0, g=G)
    optim = torch.optim
    optimizer("sgd", lambda w: optim.SGD(w, lr=0.1))
    optimizer("sgd_decay", lambda w: optim.SGD(w, lr=0.1, weight_decay=0.25))
    optimizer("sgd_clip", lambda w: optim.SGD(w, lr=0.1), clip_value=0.5, l1=0.125)
    optimizer("momentum", lambda w: optim.SGD(w, lr=0.05, momentum=0.9, weight_decay=0.25))
    optimizer("nesterov", lambda w: optim.SGD(w, lr=0.05, momentum=0.9, weight_decay=0.25,
                                              nesterov=True))
    optimizer("rmsprop", lambda w: optim.RMSprop(w, lr=0.01, weight_decay=0.25))
    optimizer("adam", lambda w: optim.Adam(w, lr=0.01))
    optimizer("adam_decay", lambda w: optim.Adam(w, lr=0.01, weight_decay=0.25, eps=1e-4))
    optimizer("adamw", lambda w: optim.AdamW(w, lr=0.01, weight_decay=0.25))
    optimizer("momentum_dampened", lambda w: optim.SGD(w, lr=0.05, momentum=0.8,
                                                       dampening=0.25))
    optimizer("adagrad", lambda w: optim.Adagrad(w, lr=0.05, weight_decay=0.25))
    optimizer("rmsprop_momentum", lambda w: optim.RMSprop(w, lr=0.01, momentum=0.9, eps=1e-4))
    optimizer("rmsprop_centered", lambda w: optim.RMSprop(w, lr=0.01, centered=True))
    optimizer("rmsprop_both", lambda w: optim.RMSprop(w, lr=0.01, momentum=0.5, centered=True,
                                                      alpha=0.9, weight_decay=0.25))
    optimizer("amsgrad", lambda w: optim.Adam(w, lr=0.01, amsgrad=True, betas=(0.9, 0.9)))
    optimizer("amsgrad_decoupled", lambda w: optim.AdamW(w, lr=0.01, amsgrad=True,
                                                         betas=(0.5, 0.9), weight_decay=0.25))
    optimizer("adamax", lambda w: optim.Adamax(w, lr=0.01, weight_decay=0.25))
    optimizer("nadam", lambda w: NAdam(w, lr=0.01, weight_decay=0.25))
    optimizer("lion", lambda w: Lion(w, lr=0.01, weight_decay=0.25))
    optimizer("lamb", lambda w: Lamb(w, lr=0.01, starts=STARTS, weight_decay=0.25))

    moved("roll", lambda x: torch.roll(x, (2, -1), (0, 2)), 3, 5, 4)
    moved("flip", lambda x: torch.flip(x, (0, 2)), 3, 5, 4)
    moved("unfold", lambda x: F.unfold(x, (2, 3), dilation=(1, 2), padding=(1, 2),
                                       stride=(2, 1)), 2, 3, 6, 7)
    for mode in "reflect", "replicate", "circular":
        moved("pad_" + mode, lambda x, mode=mode: F.pad(x, (2, 1, 3, 0), mode), 1, 2, 5, 6)
    moved("embedding", lambda x, indices: F.embedding(indices, x), 7, 5, indices=(3, 8))
    moved("scatter_add", lambda x, indices, updates: torch.scatter_add(x, 0, indices, updates),
          5, 7, indices=(9, 4), updates=(9, 4))

    pool("pool_max_ceil", F.max_pool2d, values(2, 3, 10, 11), kernel_size=3, stride=(2, 3),
         padding=1, dilation=(2, 1), ceil_mode=True)
    pool("pool_average_ceil", F.avg_pool2d, values(2, 3, 9, 8), kernel_size=3, stride=2,
         padding=1, ceil_mode=True, count_include_pad=True)
    pool("pool_3d", F.max_pool3d, values(1, 2, 5, 6, 7), kernel_size=2, stride=(1, 2, 2),
         padding=(0, 1, 1))
    pool("adaptive_max", F.adaptive_max_pool2d, values(2, 3, 7, 8), output_size=(3, 5))
    pool("adaptive_average", F.adaptive_avg_pool2d, values(2, 3, 7, 8), output_size=(3, 5))
    for name, mode, align in (("bilinear", "bilinear", False), ("corners", "bilinear", True),
                              ("bicubic", "bicubic", False)):
        pool("resize_" + name, F.interpolate, values(1, 2, 5, 8), size=(8, 6), mode=mode,
             align_corners=align)
    pool("resize_nearest", F.interpolate, values(1, 2, 5, 8), size=(8, 6), mode="nearest")

    classes = torch.tensor(rng.integers(0, 5, (3, 4)))
    heavy = torch.tensor(rng.uniform(0.5, 2, 5).astype(numpy.float32), dtype=torch.float64)
    chances = torch.softmax(draw(3, 5, 4).detach(), 1).float().double()
    loss("class_labels", lambda x: F.cross_entropy(x, classes, heavy, ignore_index=2,
                                                   label_smoothing=0.125),
         3, 5, 4, labels=classes, weight=heavy)
    loss("class_chances", lambda x: F.cross_entropy(x, chances, heavy, label_smoothing=0.125),
         3, 5, 4, target=chances, weight=heavy)
    teacher = draw(6, 7).detach()
    loss("distillation", lambda x: 16 * F.kl_div(torch.log_softmax(x / 4, 1),
                                                 torch.softmax(teacher / 4, 1),
                                                 reduction="batchmean"),
         6, 7, teacher=teacher)
    loss("margins", lambda x: F.multi_margin_loss(x, classes[0], margin=0.75, weight=heavy),
         4, 5, labels=classes[0], weight=heavy)
    target, each = draw(5, 7).detach(), draw(7).detach().abs() + 0.5
    loss("huber", lambda x: F.huber_loss(x, target, delta=0.75), 5, 7, target=target)
    loss("smooth_l1", lambda x: F.smooth_l1_loss(x, target, beta=0.75, reduction="sum"), 5, 7,
         target=target)
    sure = (target > 0).double()
    loss("logits", lambda x: F.binary_cross_entropy_with_logits(x, sure, each, pos_weight=each),
         5, 7, target=sure, weight=each)

    conv_any("conv1d", F.conv1d, (2, 4, 11), (6, 2, 3), pad=(2, 1), stride=2, dilation=2,
             groups=2)
    conv_any("conv3d", F.conv3d, (1, 4, 4, 5, 5), (6, 2, 2, 3, 3), pad=(1, 0, 1, 0, 1, 2),
             stride=(1, 2, 1), dilation=(2, 1, 1), groups=2)
    conv_any("conv_transpose1d", F.conv_transpose1d, (2, 4, 7), (4, 3, 4), stride=3, padding=1,
             output_padding=2, groups=2)
    conv_any("conv_transpose2d", F.conv_transpose2d, (1, 6, 4, 5), (6, 2, 3, 3), stride=(2, 3),
             padding=(1, 0), output_padding=(1, 2), dilation=(2, 1), groups=3)
    conv_any("conv_transpose3d", F.conv_transpose3d, (1, 2, 3, 2, 3), (2, 3, 2, 3, 2),
             stride=(2, 1, 2), padding=(0, 1, 1), output_padding=(1, 0, 0), groups=1)


main()
