"""Pooling."""
import torch
from torch import nn

from table import B, at, edges, function, layer, real

inputs = {1: real(B, 2, 9), 2: real(B, 2, 7, 6), 3: real(B, 2, 5, 4, 6)}
for n, x in inputs.items():
    for code, options in [("3", {}), ("3, stride = 2, padding = 1", dict(stride=2, padding=1)),
                          ("2, stride = 1, dilation = 2", dict(stride=1, dilation=2)),
                          ("3, stride = 2, padding = 1, ceil_mode = true", dict(stride=2, padding=1, ceil_mode=True))]:
        layer(f"MaxPool{n}d({code})", lambda n=n, k=int(code[0]), o=options: getattr(nn, f"MaxPool{n}d")(k, **o), x=x)
    for code, options in [("3", {}), ("3, stride = 2, padding = 1", dict(stride=2, padding=1)),
                          ("3, 2, 1, count_include_pad = false", dict(stride=2, padding=1, count_include_pad=False)),
                          ("3, 2, 1, true", dict(stride=2, padding=1, ceil_mode=True)),
                          ("2, 3, 1, true, false", dict(stride=3, padding=1, ceil_mode=True, count_include_pad=False))]:
        layer(f"AvgPool{n}d({code})", lambda n=n, k=int(code[0]), o=options: getattr(nn, f"AvgPool{n}d")(k, **o), x=x)
    for kind in ("Avg", "Max"):
        for size in (1, 3, 4):
            layer(f"Adaptive{kind}Pool{n}d({size})",
                  lambda n=n, kind=kind, s=size: getattr(nn, f"Adaptive{kind}Pool{n}d")(s), x=x)
    function("global_avg_pool(x)", lambda x: x.flatten(2).mean(-1), x=x)
    function("global_max_pool(x)", lambda x: x.flatten(2).amax(-1), x=x)
x = inputs[2]
layer("MaxPool2d([2, 3], stride = [1, 2])", lambda: nn.MaxPool2d((2, 3), (1, 2)), x=x)
layer("AdaptiveAvgPool2d([none, 4])", lambda: nn.AdaptiveAvgPool2d((None, 4)), x=x)
function("adaptive_avg_pool(x, [2, 5])", lambda x: nn.functional.adaptive_avg_pool2d(x, (2, 5)), x=x)
function("adaptive_max_pool(x, [2, 5])", lambda x: nn.functional.adaptive_max_pool2d(x, (2, 5)), x=x)
layer("MaxPool1d(3)", lambda: nn.MaxPool1d(3), x=at([[1, 1, 0, -1, 2, 2]]), batches=(1,))      # ties
function("max_pool(x, 2)", lambda x: nn.functional.max_pool2d(x, 2), x=x)
function("avg_pool(x, [2, 3], padding = [1, 0])", lambda x: nn.functional.avg_pool2d(x, (2, 3), padding=(1, 0)), x=x)
