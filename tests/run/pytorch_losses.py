"""Compares the losses of a compiled digit classifier with PyTorch's. Usage: pytorch_losses.py DIGITS.so DATA-FOLDER

Both start from the weights that the compiled model has after opening, and see the same batches. A relu whose input is
at its kink may fall to either side when sums are rounded differently; then trajectories part, PyTorch's from itself as
well. So: at least 8 of 10 seeds agree within 1e-5 relative at each of 20 steps, and no seed is further off than three
times the most that PyTorch is from itself, with any of the seeds, when the rows of its batches are permuted. Prints one
line a check.
"""
import ctypes as c
import sys

import numpy as np
import torch

STEPS, SEEDS, BATCH, RATE, CLOSE = 20, 10, 128, 1e-3, 1e-5
PARAMS = ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias"]


class Api(c.Structure):
    """DlrtApi of runtime/dlrt.h, as far as it is used here."""
    _fields_ = [("abi_version", c.c_int32), ("reserved", c.c_int32), ("close", c.CFUNCTYPE(None, c.c_void_p)),
                ("context_create", c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.POINTER(c.c_void_p))),
                ("context_destroy", c.CFUNCTYPE(None, c.c_void_p)), ("call", c.c_void_p),
                ("message", c.CFUNCTYPE(c.c_char_p, c.c_void_p)),
                ("model_message", c.CFUNCTYPE(c.c_char_p, c.c_void_p)),
                ("get", c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_char_p, c.c_void_p, c.c_size_t))]


class Module(c.Structure):
    """DlrtModule."""
    _fields_ = [("abi_version", c.c_int32), ("reserved", c.c_int32), ("info", c.c_void_p),
                ("open", c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.POINTER(c.c_void_p)))]


class Compiled:
    """An opened model with one context."""
    def __init__(self, library, seed):
        self.library = library
        module = Module.in_dll(library, "dlrt_module")
        options = (c.c_uint64 * 8)(seed)  # DlrtOptions begins with the seed; the rest is zero
        self.model, self.context = c.c_void_p(), c.c_void_p()
        assert module.open(module.info, c.byref(options), c.byref(self.model)) == 0, "does not open"
        self.api = c.cast(self.model, c.POINTER(c.POINTER(Api)))[0][0]
        assert self.api.context_create(self.model, None, c.byref(self.context)) == 0, "no context"

    def get(self, name, shape):
        value = np.empty(shape, np.float32)
        status = self.api.get(self.model, name.encode(), value.ctypes.data, value.nbytes)
        assert status == 0, self.api.model_message(self.model)
        return value

    def step(self, x, y):
        loss, correct = c.c_float(), c.c_int32()
        status = self.library.digits_train(self.context, c.c_int64(len(x)), c.c_void_p(x.ctypes.data),
                                           c.c_void_p(y.ctypes.data), c.c_float(RATE), c.byref(loss), c.byref(correct))
        assert status == 0, self.api.message(self.context)
        return loss.value

    def close(self):
        self.api.context_destroy(self.context)
        self.api.close(self.model)


def perceptron(weights):
    nn = torch.nn
    net = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    with torch.no_grad():
        for to, value in zip(net.parameters(), weights):
            to.copy_(torch.from_numpy(value))
    return net


def torch_losses(weights, batches, permute=None):
    net, losses = perceptron(weights), []
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    for x, y in batches:
        rows = permute.permutation(len(x)) if permute else slice(None)
        loss = torch.nn.functional.cross_entropy(net(torch.from_numpy(x[rows])), torch.from_numpy(y[rows]).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


def furthest(a, b):
    return float(np.max(np.abs(a - b) / np.abs(b)))


def read(folder, name, header):
    with open(f"{folder}/{name}", "rb") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def compare(library, images, labels, seed):
    """How far ours is from PyTorch, and PyTorch from itself."""
    random = np.random.RandomState(seed)
    batches = []
    for _ in range(STEPS):
        rows = random.choice(len(labels), BATCH, replace=False)
        batches.append((np.ascontiguousarray(images[rows], np.float32) / np.float32(255), labels[rows].astype(np.int32)))
    compiled = Compiled(library, seed)
    shapes = [p.shape for p in perceptron([]).parameters()]
    weights = [compiled.get(name, shape) for name, shape in zip(PARAMS, shapes)]
    ours = np.array([compiled.step(x, y) for x, y in batches])
    compiled.close()
    theirs = torch_losses(weights, batches)
    spread = max(furthest(torch_losses(weights, batches, np.random.RandomState(100 + k)), theirs) for k in range(5))
    return furthest(ours, theirs), spread


def main():
    torch.set_num_threads(1)
    library = c.CDLL(sys.argv[1])
    images = read(sys.argv[2], "train-images-idx3-ubyte", 16).reshape(-1, 784)
    labels = read(sys.argv[2], "train-labels-idx1-ubyte", 8)
    distances, spreads = zip(*(compare(library, images, labels, seed) for seed in range(SEEDS)))
    limit, close = max(CLOSE, 3 * max(spreads)), sum(d <= CLOSE for d in distances)
    for seed, distance in enumerate(distances):
        print(f"{'ok' if distance <= limit else 'not ok'} - seed {seed}: losses within {distance:.1e} of PyTorch's,"
              f" {limit:.1e} allowed")
    print(f"{'ok' if close >= 8 else 'not ok'} - {close} of {SEEDS} seeds within {CLOSE:.0e} at every step")
    return close < 8 or max(distances) > limit


sys.exit(main())
