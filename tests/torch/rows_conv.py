"""Convolutions."""
import torch
import torch.nn.functional as F
from torch import nn

from table import B, function, layer, real

inputs = {1: real(B, 4, 9), 2: real(B, 4, 7, 6), 3: real(B, 4, 5, 4, 6)}
for n, x in inputs.items():
    conv, back = getattr(nn, f"Conv{n}d"), getattr(nn, f"ConvTranspose{n}d")
    for code, options in [("4, 6, 3", {}), ("4, 6, 3, stride = 2, padding = 1", dict(stride=2, padding=1)),
                          ("4, 6, 2, dilation = 2, groups = 2, bias = false", dict(dilation=2, groups=2, bias=False)),
                          ("4, 8, 3, padding = 1, groups = 4", dict(padding=1, groups=4))]:
        out, k = (int(w) for w in code.split(", ")[1:3])
        layer(f"Conv{n}d({code})", lambda c=conv, out=out, k=k, o=options: c(4, out, k, **o), x=x)
    for code, options in [("4, 6, 3", {}), ("4, 6, 3, stride = 2, padding = 1, output_padding = 1",
                                            dict(stride=2, padding=1, output_padding=1)),
                          ("4, 6, 2, dilation = 2, groups = 2, bias = false", dict(dilation=2, groups=2, bias=False))]:
        layer(f"ConvTranspose{n}d({code})", lambda c=back, k=int(code[6]), o=options: c(4, 6, k, **o), x=x)
x = inputs[2]
layer("Conv2d(4, 3, [3, 2], stride = [1, 2], padding = [2, 0])",
      lambda: nn.Conv2d(4, 3, (3, 2), (1, 2), (2, 0)), x=x)
layer('Conv2d(4, 3, [3, 4], padding = "same", dilation = [1, 2])',
      lambda: nn.Conv2d(4, 3, (3, 4), padding="same", dilation=(1, 2)), x=x)
layer('Conv1d(4, 3, 4, padding = "valid")', lambda: nn.Conv1d(4, 3, 4, padding="valid"), x=inputs[1])
for mode in ("reflect", "replicate", "circular"):
    layer(f'Conv2d(4, 3, 3, padding = [1, 2], padding_mode = "{mode}")',
          lambda mode=mode: nn.Conv2d(4, 3, 3, padding=(1, 2), padding_mode=mode), x=x)
    layer(f'Conv2d(4, 3, [4, 3], padding = "same", padding_mode = "{mode}", dilation = [1, 2], groups = 1)',
          lambda mode=mode: nn.Conv2d(4, 3, (4, 3), padding="same", padding_mode=mode, dilation=(1, 2)), x=x)
    layer(f'Conv3d(4, 3, 2, 2, [0, 2, 1], padding_mode = "{mode}")',
          lambda mode=mode: nn.Conv3d(4, 3, 2, 2, (0, 2, 1), padding_mode=mode), x=inputs[3])
    layer(f'Conv1d(4, 3, 3, 2, 2, bias = false, padding_mode = "{mode}")',
          lambda mode=mode: nn.Conv1d(4, 3, 3, 2, 2, bias=False, padding_mode=mode), x=inputs[1])
layer("ConvTranspose2d(4, 6, [3, 2], [2, 3], [1, 3], [1, 0], 2, true, [1, 3])",
      lambda: nn.ConvTranspose2d(4, 6, (3, 2), (2, 3), (1, 3), (1, 0), 2, True, (1, 3)), x=x)

# ------------------------------------------------------------------- as functions
for n, shape in ((1, (3,)), (2, (3, 2)), (3, (3, 2, 2))):
    conv, back = getattr(F, f"conv{n}d"), getattr(F, f"conv_transpose{n}d")
    function(f"conv{n}d(x, w)", conv, x=inputs[n], w=real(6, 4, *shape))
    function(f"conv{n}d(x, w, b, 2, 1, groups = 2)", lambda x, w, b, f=conv: f(x, w, b, 2, 1, groups=2), x=inputs[n],
             w=real(6, 2, *shape), b=real(6))
    function(f'conv{n}d(x, w, padding = "same", dilation = 2)',
             lambda x, w, f=conv: f(x, w, padding="same", dilation=2), x=inputs[n], w=real(6, 4, *shape))
    function(f"conv_transpose{n}d(x, w)", back, x=inputs[n], w=real(4, 6, *shape))
    function(f"conv_transpose{n}d(x, w, b, 2, 1, 1, 2, 2)", lambda x, w, b, f=back: f(x, w, b, 2, 1, 1, 2, 2),
             x=inputs[n], w=real(4, 3, *shape), b=real(6))
    layer(f"WeightNormConv{n}d(4, 6, 3, 2, 1, 1, 2)",
          lambda n=n: nn.utils.weight_norm(getattr(nn, f"Conv{n}d")(4, 6, 3, 2, 1, 1, 2)), same_order=False,
          x=inputs[n])
layer("WeightNormConv2d(4, 3, [2, 3], bias = false)",
      lambda: nn.utils.weight_norm(nn.Conv2d(4, 3, (2, 3), bias=False)), same_order=False, x=x)

# ---------------------------------------------------------------- windows as columns
function("unfold(x, 3)", lambda x: F.unfold(x, 3), x=x)
function("unfold(x, [3, 2], [1, 2], [2, 1], [2, 1])", lambda x: F.unfold(x, (3, 2), (1, 2), (2, 1), (2, 1)), x=x)
function("fold(x, [7, 6], 3)", lambda x: F.fold(x, (7, 6), 3), x=real(B, 18, 20))
function("fold(x, [7, 6], [3, 2], [1, 2], [2, 1], [2, 1])",
         lambda x: F.fold(x, (7, 6), (3, 2), (1, 2), (2, 1), (2, 1)), x=real(B, 12, 30))
layer("Unfold(2, stride = 2)", lambda: nn.Unfold(2, stride=2), x=x)
layer("Fold(6, 2, padding = 1)", lambda: nn.Fold(6, 2, padding=1), x=real(B, 8, 49))


class Separable(nn.Module):
    def __init__(self):
        super().__init__()
        self.depthwise, self.pointwise = nn.Conv2d(4, 4, 3, 2, 1, groups=4), nn.Conv2d(4, 6, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


layer("DepthwiseConv2d(4, 3)", lambda: nn.Conv2d(4, 4, 3, groups=4), x=x)
layer("DepthwiseConv2d(4, [3, 2], 2, 1, multiplier = 2, bias = false)",
      lambda: nn.Conv2d(4, 8, (3, 2), 2, 1, groups=4, bias=False), x=x)
layer("SeparableConv2d(4, 6, 3, stride = 2, padding = 1)", Separable, x=x)
