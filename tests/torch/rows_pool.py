"""Pooling."""
import torch
from torch import nn

from table import B, at, edges, function, layer, real, whole, within

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
function("avg_pool(x, 3, 2, 1, divisor_override = 4)",
         lambda x: nn.functional.avg_pool2d(x, 3, 2, 1, divisor_override=4), x=x)
layer("AvgPool3d(2, ceil_mode = true, divisor_override = 5)",
      lambda: nn.AvgPool3d(2, ceil_mode=True, divisor_override=5), x=inputs[3])
layer("LPPool1d(2, 3, 2)", lambda: nn.LPPool1d(2, 3, 2), x=inputs[1])
layer("LPPool2d(3, [3, 2])", lambda: nn.LPPool2d(3, (3, 2)), x=within(0.1, 2, B, 2, 7, 6))
layer("LPPool2d(2, 3, 2, ceil_mode = true)", lambda: nn.LPPool2d(2, 3, 2, ceil_mode=True), x=x)
function("lp_pool(x, 4, 2)", lambda x: nn.functional.lp_pool2d(x, 4, 2), x=x)
# Equal values in parts that do and do not divide: the first in order gets the gradient.
few = whole(3, B, 2, 6, 9)
for size in ("3", "[4, 5]", "[4, 3]", "[6, 4]", "1"):
    function(f"adaptive_max_pool(f32(i) * x, {size})",
             lambda i, x, s=size: nn.functional.adaptive_max_pool2d(i * x, eval(s)), i=few, x=within(1, 1, 2, 6, 9))
