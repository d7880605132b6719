#!/usr/bin/python3
"""Times a case of models.py with PyTorch, as contestant.h says. Usage: torch_peer.py CASE THREADS

torch_peer.py --export CASE FILE.onnx writes the case's network for other peers instead.
"""
import sys
import time

try:
    import torch
    from models import CASES
except ImportError as why:
    print(f"absent PyTorch is not there ({why}): apt-get install python3-torch", flush=True)
    sys.exit(0)


def repeat(call, budget):
    """Calls until `budget` seconds have gone by; seconds a call."""
    start, calls = time.perf_counter(), 0
    while True:
        call()
        calls += 1
        gone = time.perf_counter() - start
        if gone >= budget:
            return gone / calls


def inference(module, x):
    """Of a frozen TorchScript trace and the plain module, what runs faster."""
    module.eval()
    frozen = torch.jit.optimize_for_inference(torch.jit.trace(module, x))
    for candidate in (module, frozen):
        repeat(lambda: candidate(x), 0.2)
    best = min((module, frozen), key=lambda m: min(repeat(lambda: m(x), 0.05) for _ in range(5)))
    return lambda: best(x)


def training(module, x, y):
    """A step of Adam: zero the gradients, forward, backward, update; with the faster of Adam's two loops."""
    def stepper(foreach):
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-6, foreach=foreach)

        def step():
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(module(x), y).backward()
            optimizer.step()
        return step
    steps = [stepper(False), stepper(True)]
    for step in steps:
        repeat(step, 0.2)
    return min(steps, key=lambda s: min(repeat(s, 0.05) for _ in range(5)))


def main():
    torch.manual_seed(0)
    if sys.argv[1] == "--export":
        _, make, inputs, _ = CASES[sys.argv[2]]
        torch.onnx.export(make().eval(), inputs(), sys.argv[3], opset_version=14, input_names=["x"], output_names=["y"])
        return
    torch.set_num_threads(int(sys.argv[2]))
    task, make, inputs, targets = CASES[sys.argv[1]]
    with torch.set_grad_enabled(task == "train"):
        call = training(make(), inputs(), targets()) if task == "train" else inference(make(), inputs())
        print(f"ready PyTorch {torch.__version__.split('+')[0]}", flush=True)
        for _ in sys.stdin:
            repeat(call, 0.01)
            print(f"{repeat(call, 0.04) * 1e9:.1f}", flush=True)


main()
