"""Functions of numbers: the operators by name, and what elementary.dl makes of them."""
import math

import torch

from table import B, at, edges, function, real, whole, within

inf, nan = math.inf, math.nan
x = real(B, 17)

for code, torch_code, low, high in [
        ("tan(x)", torch.tan, -1.4, 1.4), ("atan(x)", torch.atan, -20, 20), ("asin(x)", torch.asin, -0.99, 0.99),
        ("acos(x)", torch.acos, -0.99, 0.99), ("sinh(x)", torch.sinh, -20, 20), ("sinh(x)", torch.sinh, -1, 1),
        ("cosh(x)", torch.cosh, -20, 20), ("asinh(x)", torch.asinh, -20, 20), ("acosh(x)", torch.acosh, 1.01, 20),
        ("atanh(x)", torch.atanh, -0.99, 0.99), ("exp2(x)", torch.exp2, -20, 20), ("log2(x)", torch.log2, 0.01, 20),
        ("log10(x)", torch.log10, 0.01, 20), ("square(x)", torch.square, -3, 3),
        ("reciprocal(x)", torch.reciprocal, 0.1, 3)]:
    function(code, torch_code, x=within(low, high, B, 17))
function("trunc(x), frac(x)", lambda x: (x.trunc(), x.frac()), x=real(B, 17, scale=3))
function("hypot(x, y)", torch.hypot, x=x, y=real(B, 17))
function("logaddexp(x, y)", torch.logaddexp, x=x, y=real(B, 17))
function("atan2(x, y)", torch.atan2, x=x, y=real(B, 17))
function("remainder(x, y)", torch.remainder, x=real(B, 17, scale=5), y=real(B, 17).fixed())
function("remainder(x - 10, y - 3)", lambda x, y: torch.remainder(x - 10, y - 3), x=whole(20, B, 17),
         y=whole(3, B, 17))

odd = at(-inf, -1e4, -100, -88, -3, -1.5, -1, -0.5, -1e-30, -0.0, 0, 1e-30, 0.5, 1, 1.5, 3, 88, 100, 1e4, inf,
         grad=False)
for code, torch_code in [
        ("tan(x)", torch.tan), ("atan(x)", torch.atan), ("asin(x)", torch.asin), ("acos(x)", torch.acos),
        ("sinh(x)", torch.sinh), ("cosh(x)", torch.cosh), ("asinh(x)", torch.asinh), ("acosh(x)", torch.acosh),
        ("atanh(x)", torch.atanh), ("exp2(x)", torch.exp2), ("log2(x)", torch.log2), ("log10(x)", torch.log10),
        ("square(x)", torch.square), ("trunc(x)", torch.trunc)]:
    edges(code, torch_code, x=odd)
    edges(code, torch_code, x=at(nan, grad=False))
edges("reciprocal(x)", torch.reciprocal, x=at(-inf, -2, -0.0, 0, 4, inf, nan, grad=False))
edges("isnan(x), isinf(x), isfinite(x)", lambda x: (x.isnan(), x.isinf(), x.isfinite()), x=at(-inf, -1, 0, inf, nan,
                                                                                             grad=False))
edges("remainder(x, y)", torch.remainder, x=at(5, -5, 5, -5, 4.5, 0, -0.0, 6, nan, grad=False),
      y=at(3, 3, -3, -3, 1.5, 2, 2, -3, 1, grad=False))
edges("atan2(x, y)", torch.atan2, x=at(0, -0.0, 0, -0.0, inf, -inf, inf, nan, 1, grad=False),
      y=at(0, 0, -0.0, -0.0, inf, -inf, 1, 1, nan, grad=False))
edges("hypot(x, y)", torch.hypot, x=at(0, 3, 3e30, inf, 1, nan, 1e-30, grad=False),
      y=at(0, 4, 4e30, 1, inf, 1, 1e-30, grad=False))
edges("logaddexp(x, y)", torch.logaddexp, x=at(0, 1e4, -1e4, inf, -inf, nan, grad=False),
      y=at(0, 1e4, 1e4, 1, -inf, 1, grad=False))
for code, torch_code in [("asinh(x)", torch.asinh), ("sinh(x)", torch.sinh), ("cosh(x)", torch.cosh),
                         ("atan(x)", torch.atan)]:
    edges(code, torch_code, x=at(-30, -1, -1e-6, 0, 1e-6, 1, 30))
edges("atanh(x)", torch.atanh, x=at(-0.99, -1e-6, 0, 1e-6, 0.99))
