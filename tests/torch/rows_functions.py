"""Activations and other functions of one tensor."""
import torch
import torch.nn.functional as F

from table import B, at, edges, elsewhere, flags, function, real, signs, whole, wholes, within

nan, inf = float("nan"), float("inf")
x = real(B, 7, scale=2.0)
special = at(-inf, -100, -1, -1e-30, -0.0, 0, 1e-30, 1, 100, inf)

# -------------------------------------------------------------- activations
for code, torch_code in [
        ("identity(x)", lambda x: x),
        ("sigmoid(x)", torch.sigmoid),
        ("logsigmoid(x)", F.logsigmoid),
        ("tanh(x)", torch.tanh),
        ("relu(x)", F.relu),
        ("relu6(x)", F.relu6),
        ("hardtanh(x)", F.hardtanh),
        ("hardtanh(x, min_val = -0.5, max_val = 2)", lambda x: F.hardtanh(x, -0.5, 2)),
        ("leaky_relu(x)", F.leaky_relu),
        ("leaky_relu(x, 0.2)", lambda x: F.leaky_relu(x, 0.2)),
        ("elu(x)", F.elu),
        ("elu(x, alpha = 0.7)", lambda x: F.elu(x, 0.7)),
        ("celu(x, alpha = 0.7)", lambda x: F.celu(x, 0.7)),
        ("selu(x)", F.selu),
        ("gelu(x)", F.gelu),
        ("gelu(x, approximate = \"tanh\")", lambda x: F.gelu(x, approximate="tanh")),
        ("silu(x)", F.silu),
        ("swish(x, 1.5)", lambda x: x * torch.sigmoid(1.5 * x)),
        ("mish(x)", F.mish),
        ("softplus(x)", F.softplus),
        ("softplus(x, beta = 2, threshold = 3)", lambda x: F.softplus(x, 2, 3)),
        ("softsign(x)", F.softsign),
        ("tanhshrink(x)", F.tanhshrink),
        ("hardshrink(x)", F.hardshrink),
        ("softshrink(x, lambd = 0.75)", lambda x: F.softshrink(x, 0.75)),
        ("threshold(x, 0.5, -2)", lambda x: F.threshold(x, 0.5, -2)),
        ("hardsigmoid(x)", F.hardsigmoid),
        ("hardswish(x)", F.hardswish)]:
    function(code, torch_code, x=x)
function("swish(x, b)", lambda x, b: x * torch.sigmoid(b * x), x=x, b=real())
function("prelu(x, w)", F.prelu, x=x, w=real(1))
function("prelu(x, w)", F.prelu, x=real(B, 3, 5), w=real(3))
function("softmax(x)", lambda x: F.softmax(x, -1), x=x)
function("softmax(x, axis = 0)", lambda x: F.softmax(x, 0), x=x)
function("softmin(x, axis = 1)", lambda x: F.softmin(x, 1), x=real(B, 3, 5))
function("log_softmax(x)", lambda x: F.log_softmax(x, -1), x=x)
function("log_softmax(x, axis = 1)", lambda x: F.log_softmax(x, 1), x=real(B, 3, 5))
function("glu(x)", F.glu, x=real(B, 8))
function("glu(x, axis = 1)", lambda x: F.glu(x, 1), x=real(B, 4, 3))

for code, torch_code in [
        ("relu(x)", F.relu), ("relu6(x)", F.relu6), ("leaky_relu(x)", F.leaky_relu), ("elu(x)", F.elu),
        ("celu(x)", F.celu), ("selu(x)", F.selu), ("sigmoid(x)", torch.sigmoid), ("logsigmoid(x)", F.logsigmoid),
        ("tanh(x)", torch.tanh), ("softplus(x)", F.softplus), ("hardtanh(x)", F.hardtanh),
        ("hardsigmoid(x)", F.hardsigmoid), ("hardshrink(x)", F.hardshrink), ("softshrink(x)", F.softshrink),
        ("threshold(x, 1, -2)", lambda x: F.threshold(x, 1, -2)), ("prelu(x, [0.25])", lambda x: F.prelu(
            x, torch.tensor([0.25], dtype=x.dtype)))]:
    edges(code, torch_code, x=special)
    edges(code, lambda x: x, x=at(nan, grad=False))     # NaN stays
finite = at(-1e4, -100, -3, -1, -0.5, -1e-30, -0.0, 0, 1e-30, 0.5, 1, 3, 6, 100, 1e4)
for code, torch_code in [
        ("hardswish(x)", F.hardswish), ("hardsigmoid(x)", F.hardsigmoid), ("relu6(x)", F.relu6), ("silu(x)", F.silu),
        ("hardtanh(x)", F.hardtanh), ("softsign(x)", F.softsign), ("mish(x)", F.mish), ("gelu(x)", F.gelu),
        ("hardshrink(x)", F.hardshrink), ("softshrink(x)", F.softshrink), ("tanhshrink(x)", F.tanhshrink),
        ("gelu(x, approximate = \"tanh\")", lambda x: F.gelu(x, approximate="tanh"))]:
    edges(code, torch_code, x=finite)
    edges(code, lambda x: x, x=at(nan, grad=False))
edges("softmax(x)", lambda x: F.softmax(x, -1), x=at([1e4, 1e4, 0], [-inf, 0, 0], [-1e4, -1e4, -1e4], grad=False))
edges("log_softmax(x)", lambda x: F.log_softmax(x, -1), x=at([1e4, 1e4, 0], [-1e4, -1e4, -1e4]))
