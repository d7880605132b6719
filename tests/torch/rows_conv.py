"""Convolutions."""
import torch
from torch import nn

from table import B, layer, real

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


class Separable(nn.Module):
    def __init__(self):
        super().__init__()
        self.depthwise, self.pointwise = nn.Conv2d(4, 4, 3, 2, 1, groups=4), nn.Conv2d(4, 6, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(x))


layer("SeparableConv2d(4, 6, 3, stride = 2, padding = 1)", Separable, x=x)
