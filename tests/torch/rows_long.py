"""Long sums: columns, rows, everything, those that gradients of parameters are, and cumulative ones."""
from torch import nn

from rows_layers import RMSNorm
from table import Row, real, within


def long(code, torch, **inputs):
    Row("function", code, torch, inputs, batches=(1,))


def long_layer(code, make, **inputs):
    Row("layer", code, make, inputs, batches=(1,))


for shape in ((4096, 5), (700, 100), (40, 7, 60), (3000, 3, 4)):
    x = real(*shape)
    long("sum(x, axis = 0)", lambda x: x.sum(0), x=x)
    long("mean(x, axis = 0)", lambda x: x.mean(0), x=within(0, 1, *shape))
    long("sum(x, axis = -1), sum(x)", lambda x: (x.sum(-1), x.sum()), x=x)
    long("variance(x, axis = 0)", lambda x: x.var(0, unbiased=False), x=x)
    long("sum(x * x, axis = 0)", lambda x: (x * x).sum(0), x=x)
    long("cumsum(x, axis = 0)", lambda x: x.cumsum(0), x=x)
for code, torch in [("sum(x, axis = 1)", lambda x: x.sum(1)), ("mean(x)", lambda x: x.mean()),
                    ("variance(x, axis = 1)", lambda x: x.var(1, unbiased=False)),
                    ("softmax(x)", lambda x: x.softmax(1)), ("cumsum(x)", lambda x: x.cumsum(1))]:
    long(code, torch, x=real(2, 50000))
long("cumprod(x)", lambda x: x.cumprod(1), x=within(0.999, 1.001, 4, 3000))
long("x * w + b", lambda x, w, b: x * w + b, x=real(3000, 5), w=real(5), b=real(5))
long_layer("BatchNorm1d(4)", lambda: nn.BatchNorm1d(4), x=real(3000, 4))
long_layer("BatchNorm2d(4)", lambda: nn.BatchNorm2d(4), x=real(60, 4, 9, 11))
long_layer("LayerNorm(5)", lambda: nn.LayerNorm(5), x=real(3000, 5))
long_layer("RMSNorm(5)", lambda: RMSNorm([5]), x=real(3000, 5))
