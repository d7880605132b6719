"""Layers."""
import torch
import torch.nn.functional as F
from torch import nn

from table import B, at, check, edges, flags, function, layer, real, whole
from rows_math import dropped

x = real(B, 6)
image, line, solid = real(B, 4, 3, 5), real(B, 4, 7), real(B, 4, 2, 3, 2)

# ------------------------------------------------------------------- affine and its like
layer("Linear(6, 3)", lambda: nn.Linear(6, 3), x=x)
layer("Linear(6, 3, bias = false)", lambda: nn.Linear(6, 3, bias=False), x=real(B, 2, 6))
function("linear(x, w, b)", F.linear, x=x, w=real(3, 6), b=real(3))
layer("Bilinear(6, 4, 3)", lambda: nn.Bilinear(6, 4, 3), a=x, b=real(B, 4))
layer("Bilinear(6, 4, 3, bias = false)", lambda: nn.Bilinear(6, 4, 3, bias=False), a=real(B, 2, 6), b=real(B, 2, 4))
layer("WeightNormLinear(6, 3)", lambda: nn.utils.weight_norm(nn.Linear(6, 3)), same_order=False, x=x)
layer("PReLU()", lambda: nn.PReLU(), x=x)
layer("PReLU(4, init = 0.1)", lambda: nn.PReLU(4, 0.1), x=image)
layer("Identity()", nn.Identity, x=x)

# --------------------------------------------------------------------------- moved
layer("Flatten()", nn.Flatten, x=image)
layer("Flatten(2, 3)", lambda: nn.Flatten(2, 3), x=solid)
function("flatten(x)", torch.flatten, x=image)
layer("PixelShuffle(2)", lambda: nn.PixelShuffle(2), x=real(B, 12, 2, 3))
layer("PixelUnshuffle(2)", lambda: nn.PixelUnshuffle(2), x=real(B, 3, 4, 6))
function("pixel_shuffle(x, 3)", lambda x: F.pixel_shuffle(x, 3), x=real(B, 9, 2, 2))
function("pixel_unshuffle(x, 3)", lambda x: F.pixel_unshuffle(x, 3), x=real(B, 2, 3, 6))
function("channel_shuffle(x, 3)", lambda x: x.unflatten(1, (3, 2)).transpose(1, 2).flatten(1, 2), x=real(B, 6, 2, 2))
for name, inputs in (("1d", line), ("2d", image), ("3d", solid)):
    n = int(name[0])
    sizes = [1, 2, 0, 1, 1, 0][:2 * n]
    layer(f"ReflectionPad{name}(1)", lambda name=name: getattr(nn, f"ReflectionPad{name}")(1), x=inputs)
    small = [min(s, 1) for s in sizes]
    layer(f"ReflectionPad{name}({small})", lambda name=name, s=small: getattr(nn, f"ReflectionPad{name}")(s), x=inputs)
    layer(f"ReplicationPad{name}({sizes})", lambda name=name, s=sizes: getattr(nn, f"ReplicationPad{name}")(s),
          x=inputs)
    layer(f"ConstantPad{name}({sizes}, 0.5)", lambda name=name, s=sizes: getattr(nn, f"ConstantPad{name}")(s, 0.5),
          x=inputs)
layer("ZeroPad2d(2)", lambda: nn.ZeroPad2d(2), x=image)
layer("ZeroPad2d([1, 0, 2, 3])", lambda: nn.ZeroPad2d((1, 0, 2, 3)), x=image)
function("constant_pad(x, [1, 2], 0.5)", lambda x: F.pad(x, (1, 2), value=0.5), x=line)
for mode, name in (("reflect", "reflection"), ("replicate", "replication"), ("circular", "circular")):
    function(f"{name}_pad(x, [3, 2])", lambda x, mode=mode: F.pad(x, (3, 2), mode), x=line)
    function(f"{name}_pad(x, [-1, 2])", lambda x, mode=mode: F.pad(x, (-1, 2), mode), x=line)
    function(f"{name}_pad(x, [1, -2])", lambda x, mode=mode: F.pad(x, (1, -2), mode), x=line)
function("circular_pad(x, 1, dims_padded = 2)", lambda x: F.pad(x, (1, 1, 1, 1), "circular"), x=image)

# ---------------------------------------------------------------------- normalisation
several = (6, 13, 16, 2, 9)      # PyTorch refuses a variance of one value
for name, inputs in (("BatchNorm1d", real(B, 4)), ("BatchNorm1d", line), ("BatchNorm2d", image),
                     ("BatchNorm3d", solid)):
    make = getattr(nn, name)
    layer(f"{name}(4)", lambda make=make: make(4), batches=several, x=inputs)
    layer(f"{name}(4)", lambda make=make: make(4), training=False, x=inputs)
layer("BatchNorm(4)", lambda: nn.BatchNorm2d(4), batches=several, x=image)
for flag in (True, False):
    batches = several if flag else None
    layer("BatchNorm2d(4, eps = 1e-2, momentum = 0.3, affine = false)",
          lambda: nn.BatchNorm2d(4, 1e-2, 0.3, affine=False), training=flag, batches=batches, x=image)
    layer("BatchNorm2d(4, momentum = none)", lambda: nn.BatchNorm2d(4, momentum=None), training=flag, batches=batches,
          start=lambda n, v: v + 3 if n == "num_batches_tracked" else v, x=image)
    layer("BatchNorm2d(4, track_running_stats = false)", lambda: nn.BatchNorm2d(4, track_running_stats=False),
          training=flag, batches=several, x=image)
    for name, inputs in (("InstanceNorm1d", line), ("InstanceNorm2d", image), ("InstanceNorm3d", solid)):
        make = getattr(nn, name)
        layer(f"{name}(4)", lambda make=make: make(4), training=flag, x=inputs)
        layer(f"{name}(4, affine = true, track_running_stats = true, momentum = 0.3)",
              lambda make=make: make(4, affine=True, track_running_stats=True, momentum=0.3), training=flag, x=inputs)
layer("InstanceNorm(4, eps = 1e-2)", lambda: nn.InstanceNorm2d(4, 1e-2), x=image)
layer("LayerNorm(5)", lambda: nn.LayerNorm(5), x=image)
layer("LayerNorm([3, 5], eps = 1e-2)", lambda: nn.LayerNorm([3, 5], 1e-2), x=image)
layer("LayerNorm([4, 3, 5], elementwise_affine = false)",
      lambda: nn.LayerNorm([4, 3, 5], elementwise_affine=False), x=image)
layer("GroupNorm(2, 4)", lambda: nn.GroupNorm(2, 4), x=image)
layer("GroupNorm(4, 4, eps = 1e-2, affine = false)", lambda: nn.GroupNorm(4, 4, 1e-2, False), x=line)
layer("GroupNorm(1, 4)", lambda: nn.GroupNorm(1, 4), x=real(B, 4))


class NoBias(nn.LayerNorm):
    """LayerNorm without its bias, which this PyTorch has no option for."""

    def __init__(self, *shape):
        super().__init__(*shape)
        self.bias = None


class RMSNorm(nn.Module):
    """As in later releases of PyTorch."""

    def __init__(self, shape, eps=torch.finfo(torch.float32).eps, affine=True):
        super().__init__()
        self.axes, self.eps = [-1 - i for i in range(len(shape))], eps
        self.weight = nn.Parameter(torch.ones(shape)) if affine else None

    def forward(self, x):
        y = x * torch.rsqrt(x.pow(2).mean(self.axes, keepdim=True) + self.eps)
        return y if self.weight is None else y * self.weight


layer("LayerNorm(5, bias = false)", lambda: NoBias(5), x=image)
layer("RMSNorm(5)", lambda: RMSNorm([5]), x=image)
layer("RMSNorm([3, 5], eps = 1e-2)", lambda: RMSNorm([3, 5], 1e-2), x=image)
layer("RMSNorm(5, elementwise_affine = false)", lambda: RMSNorm([5], affine=False), x=image)

# --------------------------------------------------------------------------- dropout
for name, inputs in (("Dropout", x), ("Dropout1d", line), ("Dropout2d", image), ("Dropout3d", solid)):
    layer(f"{name}(0.4)", lambda name=name: getattr(nn, name)(0.4), training=False, x=inputs)
    layer(f"{name}(0)", lambda name=name: getattr(nn, name)(0), x=inputs)
    function("channel_dropout(dropout(x))", lambda x: x, x=inputs)       # not training
    layer(f"{name}(1)", lambda name=name: getattr(nn, name)(1), call="{l}(x, training = true)", x=inputs)
for code, shape, whole_channels in [
        ("Dropout(0.3)", [64, 32], False), ("Dropout1d(0.4)", [64, 32, 8], True),
        ("Dropout2d(0.4)", [64, 16, 2, 6], True), ("Dropout3d(0.4)", [64, 16, 2, 1, 4], True)]:
    check(f"layer {code}, training", f"""
    let {{l}} = {code}
    export fn {{f}}() {{
        let x = ones({shape})
        let y = {{l}}(x, training = true)
        return reshape(y, [64, {shape[1]}, -1]), reshape(grad(sum(y), x), [64, {shape[1]}, -1])
    }}
""" if whole_channels else f"""
    let {{l}} = {code}
    export fn {{f}}() {{
        let x = ones({shape})
        let y = {{l}}(x, training = true)
        return y, grad(sum(y), x)
    }}
""", dropped(float(code[code.index("(") + 1:-1]), whole_channels))
