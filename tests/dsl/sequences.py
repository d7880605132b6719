#!/usr/bin/env python3
"""Compares recurrent layers and CTC with PyTorch: sequences.py DSL_ORACLE MODEL.dl (see oracle.py)."""
import subprocess
import sys

from oracle import close, parse
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def loaded(module, name, variables):
    """The module with our variables; they must have its names, in its order."""
    ours = {k[len(name) + 1:]: v for k, v in variables.items() if k.startswith(name + ".")}
    if list(ours) != list(module.state_dict()):
        raise ValueError(f"variables {list(ours)}, PyTorch's are {list(module.state_dict())}")
    module.load_state_dict({k: v.double() for k, v in ours.items()})
    return module


def packed(module, x, lengths):
    out, h = module(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    return pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])[0], h


def gradients(loss, module, x, indices):
    p = list(module.parameters())
    return torch.autograd.grad(loss, x + [p[i] for i in indices])


def lstms(v, a):
    m, x = loaded(nn.LSTM(4, 3, 2, bidirectional=True, batch_first=True), "lstm", v), a["x"].requires_grad_()
    y, (h, c) = packed(m, x, a["n"] + 1)
    return [y, h, c, *gradients((y ** 2).sum() + h.sum() + (c * h).sum(), m, [x], [0, 5, 9, 15])]


def grus(v, a):
    m, x, h0 = loaded(nn.GRU(4, 3, 2, batch_first=True), "gru", v), a["x"].requires_grad_(), a["h0"].requires_grad_()
    y, h = m(x, h0)
    return [y, h, *gradients((y ** 2).sum() + h.sum(), m, [x, h0], [1, 3, 7])]


def rnns(v, a):
    m = loaded(nn.RNN(4, 3, bidirectional=True, nonlinearity="relu", batch_first=True), "rnn", v)
    x = a["x"].requires_grad_()
    y, h = packed(m, x, a["n"] + 1)
    return [y, h, *gradients((y ** 2).sum() + h.sum(), m, [x], [1, 6])]


def cells(v, a):
    x, h, c = a["x"], a["h"], a["c"]
    return [*loaded(nn.LSTMCell(4, 3), "lstm_cell", v)(x, (h, c)),
            loaded(nn.GRUCell(4, 3, bias=False), "gru_cell", v)(x, h), loaded(nn.RNNCell(4, 3), "rnn_cell", v)(x, h)]


def ctc(v, a):
    """Short inputs, the last result, may be too short for their targets."""
    x = a["x"].requires_grad_()
    args = F.log_softmax(x, -1), a["y"].clamp(min=1), a["n"] + 4, a["m"]
    loss = F.ctc_loss(*args)
    short = F.ctc_loss(args[0], args[1], a["n"] + 1, a["m"], reduction="sum", zero_infinity=True)
    return [F.ctc_loss(*args, reduction="none"), loss, *torch.autograd.grad(loss, x), short]


def check(function, steps):
    for s in steps[:-1]:
        wanted = function(s["var"], s["arg"])
        for i, (found, right) in enumerate(zip(s["result"], wanted)):
            if not close(found, right):
                return f"result {i}: {found.tolist()} instead of {right.tolist()}"
    return None if len(s["result"]) == len(wanted) else f"{len(s['result'])} results"


def main():
    out = subprocess.run(sys.argv[1:3], capture_output=True, text=True)
    sys.stderr.write(out.stderr)
    functions, failed = parse(out.stdout), out.returncode != 0
    for i, function in enumerate((lstms, grus, rnns, cells, ctc)):
        name = function.__name__
        why = check(function, functions[name]) if name in functions else "missing"
        print(f"{'not ok' if why else 'ok'} {i + 1} - {name}" + (f"\n# {why}" if why else ""))
        failed = failed or bool(why)
    sys.exit(1 if failed else 0)


main()
