#!/usr/bin/python3
"""Times a case of models.py with PyTorch, as contestant.h says. Usage: torch_peer.py CASE THREADS

torch_peer.py --export CASE FILE.onnx writes the case's network for other peers instead, the shape of its input to
FILE.onnx.json and, where one can be made of what goes in and out, a network that computes nothing to FILE.onnx.empty.
"""
import ctypes
import gc
import json
import re
import statistics
import sys
import time
import warnings

try:
    import torch
    from models import CASES
except ImportError as why:
    print(f"absent PyTorch is not there ({why}): apt-get install python3-torch", flush=True)
    sys.exit(0)

WARM, TIMED, LONG = 0.004, 0.016, 0.02


def repeat(call, budget):
    """Calls until `budget` seconds have gone by; seconds a call."""
    start, calls = time.perf_counter(), 0
    while True:
        call()
        calls += 1
        gone = time.perf_counter() - start
        if gone >= budget:
            return gone / calls


def best_time(call):
    """Of a call that has just been made: the least seconds of five short blocks, or of one long one."""
    repeat(call, 0.2)
    return min(repeat(call, TIMED) for _ in range(5)) if repeat(call, 0) < LONG else repeat(call, 0)


def kilobytes(field):
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            return int(re.search(field + r":\s*(\d+)", status.read()).group(1))
    except (OSError, AttributeError):
        return 0


def forget_peak():
    """Gives back what is free and lets the resident set's peak start from what is left."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w", encoding="ascii") as clear:
            clear.write("5")
    except (OSError, AttributeError):
        pass


class Empty(torch.nn.Module):
    """Computes nothing: gives the first elements of its input in the shape of the output."""

    def __init__(self, y):
        super().__init__()
        self.shape = y.shape

    def forward(self, x):
        return x.reshape(-1)[:self.shape.numel()].reshape(self.shape)


class Identity(torch.nn.Module):
    """Gives what was computed before, whatever comes in."""

    def __init__(self, y):
        super().__init__()
        self.y = y

    def forward(self, *_):
        return self.y


def median_time(call, count):
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def inference(module, inputs):
    """Of a frozen TorchScript trace and the plain module, what runs faster; and the seconds of a call for nothing."""
    candidates = [module]
    try:
        candidates.append(torch.jit.optimize_for_inference(torch.jit.trace(module, inputs)))
    except RuntimeError:
        pass
    for candidate in candidates:
        candidate(*inputs)
    best = min(candidates, key=lambda m: best_time(lambda: m(*inputs)))
    identity = Identity(module(*inputs)).eval()
    return lambda: best(*inputs), median_time(lambda: identity(*inputs), 2000)


def training(module, inputs, y):
    """A step of AdamW: zero the gradients, forward, backward, update; with the faster of AdamW's two loops."""
    y = y.flatten()

    def stepper(foreach):
        optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4, foreach=foreach)

        def step():
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(module(*inputs).flatten(0, -2), y).backward()
            optimizer.step()
        step()
        return step
    best = min((False, True), key=lambda foreach: best_time(stepper(foreach)))
    forget_peak()
    return stepper(best), 0


def export(name, file):
    _, make, inputs, _ = CASES[name]
    module, x = make().eval(), inputs()
    warnings.filterwarnings("ignore")
    with torch.no_grad():
        y = module(x)
        nets = [(module, file)] + [(Empty(y), file + ".empty")] * (x.dtype == y.dtype and x.numel() >= y.numel())
        for net, to in nets:
            torch.onnx.export(net, x, to, opset_version=14, input_names=["x"], output_names=["y"])
    with open(file + ".json", "w", encoding="ascii") as shape:
        json.dump({"shape": list(x.shape), "ids": 0 if x.is_floating_point() else int(x.max()) + 1}, shape)


def main():
    torch.manual_seed(0)
    if sys.argv[1] == "--export":
        export(sys.argv[2], sys.argv[3])
        return
    torch.set_num_threads(int(sys.argv[2]))
    warnings.filterwarnings("ignore")
    before = kilobytes("VmRSS")
    task, make, inputs, targets = CASES[sys.argv[1]]
    module, x = make(), inputs()
    x = x if isinstance(x, list) else [x]
    with torch.set_grad_enabled(task == "train"):
        call, empty = training(module, x, targets()) if task == "train" else inference(module.eval(), x)
        seconds = repeat(call, 0)
        print(f"ready {empty * 1e9:.0f} PyTorch {re.match('[0-9.]*[0-9]', torch.__version__).group()}", flush=True)
        for line in sys.stdin:
            if line.startswith("end"):
                break
            if seconds < LONG:
                repeat(call, WARM)
            seconds = repeat(call, TIMED)
            print(f"{seconds * 1e9:.1f}", flush=True)
    print(kilobytes("VmHWM") - before if task == "train" else 0, flush=True)


main()
