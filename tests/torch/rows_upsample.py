"""Upsampling."""
import torch.nn.functional as F
from torch import nn

from table import B, function, layer, real

inputs = {1: real(B, 2, 7), 2: real(B, 2, 5, 4), 3: real(B, 2, 3, 4, 2)}
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
for n, x in inputs.items():
    layer("Upsample(scale_factor = 2)", lambda: nn.Upsample(scale_factor=2), x=x)
    function("interpolate(x, size = 9)", lambda x: F.interpolate(x, 9), x=x)
    for mode in [LINEAR[n]] + (["bicubic"] if n == 2 else []):
        for corners in (False, True):
            flag = str(corners).lower()
            layer(f'Upsample(scale_factor = 2, mode = "{mode}", align_corners = {flag})',
                  lambda m=mode, c=corners: nn.Upsample(scale_factor=2, mode=m, align_corners=c), x=x)
            function(f'interpolate(x, size = 3, mode = "{mode}", align_corners = {flag})',
                     lambda x, m=mode, c=corners: F.interpolate(x, 3, mode=m, align_corners=c), x=x)
function('interpolate(x, size = [7, 3], mode = "bilinear")', lambda x: F.interpolate(x, (7, 3), mode="bilinear"),
         x=inputs[2])
function('interpolate(x, scale_factor = 1.5, mode = "bilinear")',
         lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear"), x=inputs[2])
for factor in (3, 4):
    for mode in ("bilinear", "bicubic"):
        function(f'interpolate(x, scale_factor = [{factor}, 1], mode = "{mode}")',
                 lambda x, s=factor, m=mode: F.interpolate(x, scale_factor=(s, 1), mode=m), x=inputs[2])
        function(f'interpolate(x, scale_factor = {factor}, mode = "{mode}")',
                 lambda x, s=factor, m=mode: F.interpolate(x, scale_factor=s, mode=m), x=real(1, 2, B, 3))
layer("UpsamplingNearest2d(scale_factor = 3)", lambda: nn.UpsamplingNearest2d(scale_factor=3), x=inputs[2])
layer("UpsamplingBilinear2d([9, 3])", lambda: nn.UpsamplingBilinear2d((9, 3)), x=inputs[2])
# The nearest place where rounding decides: steps of sizes that are not exact in f32.
for mode in ("nearest", "nearest-exact"):
    for size_in, size_out in ((5, 41), (9, 49), (14, 98), (49, 35), (55, 41), (47, 63), (98, 28)):
        function(f'interpolate(x, size = {size_out}, mode = "{mode}")',
                 lambda x, s=size_out, m=mode: F.interpolate(x, s, mode=m), x=real(2, 1, size_in))
    function(f'interpolate(x, scale_factor = 1.7, mode = "{mode}")',
             lambda x, m=mode: F.interpolate(x, scale_factor=1.7, mode=m), x=inputs[2])
function("interpolate(x, scale_factor = 3)", lambda x: F.interpolate(x, scale_factor=3), x=inputs[2])
function("interpolate(x, scale_factor = [2, 3.0])", lambda x: F.interpolate(x, scale_factor=(2, 3)), x=inputs[2])
function("interpolate(transpose(x, [1, 2, 0]), scale_factor = 2)",
         lambda x: F.interpolate(x.permute(1, 2, 0), scale_factor=2), x=real(B, 2, 3))
