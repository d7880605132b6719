#!/usr/bin/python3
"""Writes oracle.def: what PyTorch makes of cases that conventions.c evaluates.

Run it where PyTorch is installed and commit the result: oracle.py > oracle.def. Each case holds the ops as IR
text, input values, PyTorch's result, and its gradient, with respect to the first input, of the sum of the result
times 1, 2, 3, ..."""
import math
import textwrap

import torch

torch.set_default_dtype(torch.float64)
NAN, INF = math.nan, math.inf
ODD = [NAN, INF, -INF, 0.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 3.7, -3.7]
NAMES = "xyz"


def number(v):
    v = float(v)
    if math.isnan(v):
        return "NAN"
    if math.isinf(v):
        return "-INFINITY" if v < 0 else "INFINITY"
    return repr(v)


def tensor(t):
    values = [number(v) for v in t.reshape(-1).tolist()]
    shape = ", ".join(map(str, t.shape)) or "0"
    return "{%d, {%s}, %d, {%s}}" % (t.dim(), shape, len(values), ", ".join(values) or "0")


def type_of(t):
    name = {torch.float64: "f64", torch.int32: "i32", torch.int64: "i64", torch.bool: "bool"}[t.dtype]
    return name + ("[%s]" % ",".join(map(str, t.shape)) if t.dim() else "")


def case(ops, function, *inputs, grad=True):
    """`ops` is one op without its result type, or several lines that end with %r."""
    inputs = [t if torch.is_tensor(t) else torch.tensor(t) for t in inputs]
    inputs[0] = inputs[0].clone().requires_grad_(grad)
    result = function(*inputs)
    gradient = torch.zeros(0)
    if grad:
        weights = torch.arange(1, result.numel() + 1, dtype=torch.float64).reshape(result.shape)
        (gradient,) = torch.autograd.grad((result * weights).sum(), inputs[0])
    if "\n" not in ops:
        ops = "%%r = %s : %s" % (ops, type_of(result))
    ports = ", ".join("%%%s: %s" % (NAMES[i], type_of(t)) for i, t in enumerate(inputs))
    quoted = ops.replace('"', '\\"').replace("\n", '\\n"\n       "')
    numbers = "%d, (%s), (%s), %d, (%s))" % (len(inputs), ", ".join(tensor(t.detach()) for t in inputs),
                                            tensor(result.detach()), grad, tensor(gradient))
    print('ORACLE("%s",\n       "%s",' % (ports, quoted))
    print(textwrap.fill(numbers, 120, initial_indent=" " * 7, subsequent_indent=" " * 7))


def ramp(*shape):
    """Values with ties."""
    n = math.prod(shape)
    return torch.tensor([((k * 7 + 3) % 5 - 2) / 2.0 for k in range(n)]).reshape(shape)


def distinct(*shape):
    n = math.prod(shape)
    return torch.tensor([((k * 7 + 3) % 29) / 4.0 - 3 for k in range(n)]).reshape(shape)


def elementwise():
    for name, f in [("abs", torch.abs), ("exp", torch.exp), ("expm1", torch.expm1), ("sin", torch.sin),
                    ("cos", torch.cos), ("tan", torch.tan), ("tanh", torch.tanh), ("erf", torch.erf), ("logistic", torch.sigmoid),
                    ("floor", torch.floor), ("ceil", torch.ceil), ("round_nearest_even", torch.round),
                    ("negate", torch.neg)]:
        x = ODD[1:] if name == "abs" else ODD
        case(name + " %x", f, x, grad=name not in ("floor", "ceil", "round_nearest_even"))
    positive = [0.25, 1.0, 2.0, 9.0, INF]
    for name, f in [("log", torch.log), ("log2", torch.log2), ("log1p", torch.log1p), ("sqrt", torch.sqrt), ("rsqrt", torch.rsqrt)]:
        case(name + " %x", f, positive)
        case(name + " %x", f, [NAN, -2.0, 0.0], grad=False)
    left, right = [1.0, 1.0, 2.0, NAN, 1.0, NAN, -INF, 3.0], [1.0, 2.0, 1.0, 1.0, NAN, NAN, INF, 3.0]
    case("maximum %x, %y", torch.maximum, left, right)
    case("minimum %x, %y", torch.minimum, left, right)
    for name, f in [("equal", torch.eq), ("not_equal", torch.ne), ("less", torch.lt), ("less_equal", torch.le),
                    ("greater", torch.gt), ("greater_equal", torch.ge)]:
        case(name + " %x, %y", f, left, right, grad=False)
    tops, bottoms = [5.0, -5.0, 5.0, -5.0, 4.5, 0.0], [3.0, 3.0, -3.0, -3.0, 1.5, 2.0]
    case("remainder %x, %y", torch.fmod, tops, bottoms)
    case("divide %x, %y", torch.div, tops, bottoms)
    case("power %x, %y", torch.pow, [2.0, 0.0, 0.0, 3.0, -2.0, 1.5], [3.0, 2.0, 0.0, 0.0, 3.0, -1.5])
    case("atan2 %x, %y", torch.atan2, [0.0, -0.0, 1.0, -1.0, INF, -INF, INF, 2.0, -2.0, NAN, 1.0],
         [-0.0, -1.0, 0.0, -0.0, INF, -INF, 1.0, INF, -INF, 1.0, NAN], grad=False)
    case("atan2 %x, %y", torch.atan2, [0.0, -0.0, 1.0, -1.0, 3.0], [2.0, -1.0, 0.0, -0.0, -4.0])
    low, x, high = [-1.0] * 6, [-2.0, -1.0, 0.0, 1.0, 2.0, NAN], [1.0] * 6
    case("clamp %y, %x, %z", lambda x, y, z: torch.clamp(x, y, z), x, low, high)
    case("clamp %x, %y, %z", lambda x, y, z: torch.clamp(y, x, z), low, x, high)
    case("clamp %y, %z, %x", lambda x, y, z: torch.clamp(z, y, x), high, low, x)
    case("clamp %x, %y, %z", lambda x, y, z: torch.clamp(y, x, z), [1.0, 2.0], [0.0, 5.0], [0.0, 0.5])
    case("select %y, %x, %z", lambda x, y, z: torch.where(y, x, z), [1.0, NAN, 3.0], [True, False, True],
         [4.0, 5.0, NAN])
    # relu: 0 where x <= 0, so that NaN stays and the gradient at 0 is 0
    case("%zero = constant {dtype = f64, shape = [5], value = 0.0} : f64[5]\n"
         "%off = less_equal %x, %zero : bool[5]\n%r = select %off, %zero, %x : f64[5]",
         torch.relu, [-1.0, -0.0, 0.0, 2.0, NAN])
    case("convert %x {dtype = i32}", lambda x: x.to(torch.int32), [1.9, -1.9, 0.5, -0.5, 7.0], grad=False)
    case("convert %x {dtype = bool}", lambda x: x.to(torch.bool), [1.9, 0.0, NAN, -0.0], grad=False)


def reductions():
    for name, f in [("reduce_sum", torch.sum), ("reduce_max", torch.amax), ("reduce_min", torch.amin)]:
        for axes in ([0], [1], [0, 1], [0, 2], [0, 1, 2]):
            # along one axis PyTorch's max(dim) gives the gradient to one, amax to all: see below
            case("%s %%x {axes = %s}" % (name, axes), lambda x, f=f, axes=axes: f(x, dim=axes), ramp(2, 3, 4),
                 grad=len(axes) > 1 or name == "reduce_sum")
    for axis in range(3):
        case("reduce_max %%x {axes = [%d]}" % axis, lambda x, a=axis: torch.max(x, dim=a).values, ramp(2, 3, 4))
        case("reduce_min %%x {axes = [%d]}" % axis, lambda x, a=axis: torch.min(x, dim=a).values, ramp(2, 3, 4))
        case("reduce_prod %%x {axes = [%d]}" % axis, lambda x, a=axis: torch.prod(x, dim=a), ramp(2, 3, 4))
        for name, f in [("argmax", torch.argmax), ("argmin", torch.argmin)]:
            case("%s %%x {axis = %d}" % (name, axis), lambda x, f=f, a=axis: f(x, dim=a).to(torch.int32), ramp(2, 3, 4),
                 grad=False)
    case("reduce_max %x {axes = [0]}", torch.max, [2.0, 3.0, 1.0, 3.0])
    case("reduce_max %x {axes = [0]}", torch.max, [2.0, NAN, 1.0, NAN])
    case("reduce_prod %x {axes = [0]}", torch.prod, [2.0, 0.0, 3.0])
    case("reduce_prod %x {axes = [0]}", torch.prod, [0.0, 2.0, 0.0])
    case("argmax %x {axis = 0}", lambda x: torch.argmax(x).to(torch.int32), [1.0, NAN, INF, NAN], grad=False)
    case("argmin %x {axis = 0}", lambda x: torch.argmin(x).to(torch.int32), [1.0, NAN, -INF, NAN], grad=False)
    truth = torch.tensor([[True, False, True], [True, True, True]])
    case("reduce_and %x {axes = [1]}", lambda x: torch.all(x, dim=1), truth, grad=False)
    case("reduce_or %x {axes = [0]}", lambda x: torch.any(x, dim=0), truth, grad=False)


def cumulative():
    def turned(f):
        return lambda x, *more: torch.flip(f(torch.flip(x, (1,)), *more), (1,))

    for name, f in [("sum", torch.cumsum), ("prod", torch.cumprod), ("max", lambda x, a: torch.cummax(x, a).values),
                    ("min", lambda x, a: torch.cummin(x, a).values)]:
        case("cumulative_%s %%x {axis = 1}" % name, lambda x, f=f: f(x, 1), ramp(2, 5, 2))
        case("cumulative_%s %%x {axis = 0}" % name, lambda x, f=f: f(x, 0), distinct(4, 3))
        case("cumulative_%s %%x {axis = 1, reverse = 1}" % name, turned(lambda x, f=f: f(x, 1)), ramp(3, 6))
    case("cumulative_prod %x {axis = 0}", lambda x: torch.cumprod(x, 0), [2.0, 0.0, 3.0, 0.0, 5.0])
    odd = [1.0, 1.0, -INF, 2.0, 2.0, INF, 3.0, NAN, 4.0, NAN]
    for name, f in [("max", torch.cummax), ("min", torch.cummin)]:
        case("cumulative_%s %%x {axis = 0}" % name, lambda x, f=f: f(x, 0).values, odd)
        case("cumulative_arg%s %%x {axis = 0}" % name, lambda x, f=f: f(x, 0).indices.to(torch.int32), odd, grad=False)
        case("cumulative_arg%s %%x {axis = 1}" % name, lambda x, f=f: f(x, 1).indices.to(torch.int32), ramp(2, 9),
             grad=False)


def contractions():
    def dot(equation, lhs, rhs, numbers):
        names = ("lhs_batch", "rhs_batch", "lhs_contract", "rhs_contract")
        attrs = ", ".join("%s = %s" % pair for pair in zip(names, numbers))
        case("dot_general %x, %y {" + attrs + "}", lambda x, y: torch.einsum(equation, x, y), lhs, rhs)
        case("dot_general %y, %x {" + attrs + "}", lambda x, y: torch.einsum(equation, y, x), rhs, lhs)

    dot("ij,jk->ik", distinct(2, 3), distinct(3, 2), ([], [], [1], [0]))
    dot("ji,kj->ik", distinct(3, 2), distinct(2, 3), ([], [], [0], [1]))
    dot("i,j->ij", distinct(3), distinct(2), ([], [], [], []))
    dot("i,i->", distinct(3), distinct(3), ([], [], [0], [0]))
    dot("bij,bjk->bik", distinct(2, 2, 3), distinct(2, 3, 2), ([0], [0], [2], [1]))
    dot("ibj,jkb->bik", distinct(2, 3, 2), distinct(2, 2, 3), ([1], [2], [2], [0]))
    dot("iabj,bka->ijk", distinct(2, 2, 3, 1), distinct(3, 2, 2), ([], [], [2, 1], [0, 2]))


def convolutions():
    from torch.nn import functional as F

    def conv(x, w, function, strides, low, high, dilation, groups=1, input_dilation=None):
        n = x.dim() - 2
        input_dilation = input_dilation or [1] * n
        order = list(range(n + 2))
        text = ("convolution %%x, %%y {input = %s, kernel = %s, output = %s, strides = %s, low = %s, high = %s, "
                "input_dilation = %s, kernel_dilation = %s, feature_groups = %d, batch_groups = 1}")
        full = text % (order, [1, 0] + order[2:], order, strides, low, high, input_dilation, dilation, groups)
        case(full, function, x, w)
        swapped = full.replace("%x, %y", "%y, %x")
        case(swapped, lambda w, x: function(x, w), w, x)

    conv(distinct(2, 3, 7), distinct(4, 3, 3), lambda x, w: F.conv1d(x, w, padding=1), [1], [1], [1], [1])
    conv(distinct(2, 2, 5, 6), distinct(3, 2, 3, 2), lambda x, w: F.conv2d(F.pad(x, (0, 1, 2, 1)), w, stride=(2, 1)),
         [2, 1], [2, 0], [1, 1], [1, 1])
    conv(distinct(1, 4, 6, 5), distinct(6, 2, 2, 3), lambda x, w: F.conv2d(x, w, groups=2, dilation=(3, 1)), [1, 1],
         [0, 0], [0, 0], [3, 1], 2)
    conv(distinct(2, 3, 4, 5), distinct(3, 1, 3, 3), lambda x, w: F.conv2d(F.pad(x, (-1, 1, 1, 1)), w, groups=3), [1, 1],
         [1, -1], [1, 1], [1, 1], 3)
    conv(distinct(1, 2, 3, 4, 3), distinct(2, 2, 2, 2, 2), lambda x, w: F.conv3d(x, w, padding=(0, 1, 0), stride=(1, 2, 1)),
         [1, 2, 1], [0, 1, 0], [0, 1, 0], [1, 1, 1])
    # transposed: dilated input, the kernel turned round and with in and out exchanged
    conv(distinct(2, 3, 4), distinct(2, 3, 3),
         lambda x, w: F.conv_transpose1d(x, w.transpose(0, 1).flip(2), stride=2, padding=1, output_padding=1),
         [1], [1], [2], [1], 1, [2])


def windows():
    from torch.nn import functional as F

    def unfolded(x):
        return x.unfold(1, 3, 2).unfold(2, 2, 1)

    take = "%%b = broadcast_in_dim %%x {shape = [2, 7, 4, 3, 2], axes = [0, 1, 2]} : f64[2,7,4,3,2]\n" \
           "%%%s = take_windows %%b {axes = [1, 2], strides = [2, 1], dilations = [1, 1]} : f64[2,3,3,3,2]"
    case(take % "r", unfolded, distinct(2, 7, 4))
    for name, f in (("max", torch.amax), ("min", torch.amin)):
        pooled = take % "w" + "\n%%r = reduce_%s %%w {axes = [3, 4], first = 1} : f64[2,3,3]" % name
        case(pooled, lambda x, s=-1 if name == "min" else 1: s * F.max_pool2d(s * x, (3, 2), (2, 1)), ramp(2, 7, 4))
    holes = ramp(2, 7, 4)
    holes[0, 2, 1] = holes[1, 0, 0] = NAN               # of several in one window PyTorch takes the last, we the first
    case(take % "w" + "\n%r = reduce_max %w {axes = [3, 4], first = 1} : f64[2,3,3]",
         lambda x: F.max_pool2d(x, (3, 2), (2, 1)), holes)
    case("reduce_max %x {axes = [0, 2], first = 1}", lambda x: x.permute(1, 0, 2).reshape(3, -1).max(1).values, ramp(2, 3, 4))
    # overlap-add is torch's fold: [N, C k k, L] to [N, C, H, W]
    case("%t = reshape %x {shape = [2, 3, 2, 2, 4]} : f64[2,3,2,2,4]\n"
         "%s = transpose %t {permutation = [0, 3, 4, 1, 2]} : f64[2,2,4,3,2]\n"
         "%p = place_windows %s {axes = [1, 2], sizes = [6, 5], strides = [2, 1], dilations = [1, 1]} : f64[2,6,5,3,2]\n"
         "%r = reduce_sum %p {axes = [3, 4]} : f64[2,6,5]",
         lambda x: F.fold(x, (6, 5), (3, 2), stride=(2, 1))[:, 0], distinct(2, 6, 8))


def moves():
    case("broadcast_in_dim %x {shape = [2, 3], axes = [1]}", lambda x: x.expand(2, 3), distinct(3))
    case("broadcast_in_dim %x {shape = [2, 3, 2], axes = [0, 2]}", lambda x: x.reshape(2, 1, 1).expand(2, 3, 2),
         distinct(2, 1))
    case("reshape %x {shape = [3, 4]}", lambda x: x.reshape(3, 4), distinct(2, 6))
    case("transpose %x {permutation = [2, 0, 1]}", lambda x: x.permute(2, 0, 1), distinct(2, 3, 2))
    case("reverse %x {axes = [0, 2]}", lambda x: torch.flip(x, (0, 2)), distinct(2, 3, 2))
    case("slice %x {start = [1, 0], limit = [4, 5], strides = [1, 2]}", lambda x: x[1:4, 0:5:2], distinct(4, 6))
    case("slice %x {start = [0], limit = [5], strides = [3]}", lambda x: x[0:5:3], distinct(7))
    case("pad %x, %y {low = [1, -1], high = [0, 2], interior = [0, 0]}",
         lambda x, y: torch.nn.functional.pad(x, (-1, 2, 1, 0), value=y.item()), distinct(2, 3), 9.0)
    case("concatenate %x, %y, %z {axis = 1}", lambda *a: torch.cat(a, 1), distinct(2, 1), distinct(2, 3),
         distinct(2, 2))


def indexing():
    table, at = distinct(4, 3), torch.tensor([[2, 0], [2, 3]], dtype=torch.int32)
    case("gather %x, %y {axis = 0, batch = 0}", lambda x, y: x[y.long()], table, at)
    case("gather %x, %y {axis = 1, batch = 0}", lambda x, y: x[:, y.long()], table, at.clamp(max=2))
    label = torch.tensor([2, 0, 1, 2], dtype=torch.int32)
    case("gather %x, %y {axis = 1, batch = 1}", lambda x, y: x.gather(1, y.long()[:, None])[:, 0], table, label)
    case("gather %x, %y {axis = 2, batch = 1}",
         lambda x, y: torch.stack([x[b][:, y[b].long()] for b in range(2)]), distinct(2, 2, 3),
         torch.tensor([[0, 2], [1, 1]]))
    for mode, reduce in [("add", "sum"), ("max", "amax"), ("min", "amin")]:
        for x, z in [(ramp(4, 3), ramp(5, 3)), (distinct(4, 3), distinct(5, 3))]:
            case("scatter_%s %%x, %%y, %%z {axis = 0, batch = 0}" % mode,
                 lambda x, y, z, r=reduce: x.scatter_reduce(0, y.long()[:, None].expand(-1, 3), z, r), x,
                 torch.tensor([3, 1, 3, 0, 1], dtype=torch.int32), z)
            case("scatter_%s %%z, %%y, %%x {axis = 0, batch = 0}" % mode,
                 lambda x, y, z, r=reduce: z.scatter_reduce(0, y.long()[:, None].expand(-1, 3), x, r), z,
                 torch.tensor([3, 1, 3, 0, 1], dtype=torch.int32), x)
    case("scatter_set %x, %y, %z {axis = 1, batch = 1}", lambda x, y, z: x.scatter(1, y.long(), z), distinct(3, 4),
         torch.tensor([[0, 3], [1, 2], [2, 0]], dtype=torch.int32), distinct(3, 2))
    case("scatter_set %z, %y, %x {axis = 0, batch = 0}", lambda x, y, z: z.index_put((y.long(),), x), distinct(2, 3),
         torch.tensor([2, 0]), table)
    case("dynamic_slice %x, %y {axes = [1], sizes = [2]}", lambda x, y: x[:, int(y):int(y) + 2], table, torch.tensor(1))
    case("dynamic_update_slice %x, %z, %y {axes = [0]}", lambda x, y, z: torch.cat([x[:1], z, x[3:]]), table,
         torch.tensor(1), distinct(2, 3))
    case("scatter_add %x, %y, %z {axis = 0, batch = 0}", lambda x, y, z: x.index_add(0, y.long(), z), table,
         torch.tensor([3, 1, 3], dtype=torch.int32), distinct(3, 3))


LSTM = """
%wi = slice WEIGHTS {start = [0, 0], limit = [8, 3], strides = [1, 1]} : f64[8,3]
%wh = slice WEIGHTS {start = [0, 3], limit = [8, 5], strides = [1, 1]} : f64[8,2]
%hs = slice STATES {start = [0, 0, 0], limit = [1, 2, 2], strides = [1, 1, 1]} : f64[1,2,2]
%cs = slice STATES {start = [1, 0, 0], limit = [2, 2, 2], strides = [1, 1, 1]} : f64[1,2,2]
%h0 = reshape %hs {shape = [2, 2]} : f64[2,2]
%c0 = reshape %cs {shape = [2, 2]} : f64[2,2]
%hn, %cn, %ys = scan %wi, %wh, %h0, %c0, INPUT {consts = 2, carries = 2, axes = [0], result_axes = [0], \
length = [3], reverse = DIRECTION} : f64[2,2], f64[2,2], f64[3,2,2] \
(%wa: f64[8,3], %wb: f64[8,2], %h: f64[2,2], %c: f64[2,2], %xt: f64[2,3], %step: i64) {
%p = dot_general %xt, %wa {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]} : f64[2,8]
%q = dot_general %h, %wb {lhs_batch = [], rhs_batch = [], lhs_contract = [1], rhs_contract = [1]} : f64[2,8]
%s = add %p, %q : f64[2,8]
%s0 = slice %s {start = [0, 0], limit = [2, 2], strides = [1, 1]} : f64[2,2]
%s1 = slice %s {start = [0, 2], limit = [2, 4], strides = [1, 1]} : f64[2,2]
%s2 = slice %s {start = [0, 4], limit = [2, 6], strides = [1, 1]} : f64[2,2]
%s3 = slice %s {start = [0, 6], limit = [2, 8], strides = [1, 1]} : f64[2,2]
%i = logistic %s0 : f64[2,2]
%f = logistic %s1 : f64[2,2]
%g = tanh %s2 : f64[2,2]
%o = logistic %s3 : f64[2,2]
%fc = multiply %f, %c : f64[2,2]
%ig = multiply %i, %g : f64[2,2]
%c1 = add %fc, %ig : f64[2,2]
%tc = tanh %c1 : f64[2,2]
%h1 = multiply %o, %tc : f64[2,2]
yield %h1, %c1, %h1
}
%cl = reshape %cn {shape = [1, 2, 2]} : f64[1,2,2]
%r = concatenate %ys, %cl {axis = 0} : f64[4,2,2]"""

PENDULUM = """
%r = scan %y, %x {consts = 1, carries = 1, axes = [], result_axes = [], length = [20]} : f64[2] \
(%k: f64, %s: f64[2], %step: i64) {
%a = slice %s {start = [0], limit = [1], strides = [1]} : f64[1]
%v = slice %s {start = [1], limit = [2], strides = [1]} : f64[1]
%kw = broadcast_in_dim %k {shape = [1], axes = []} : f64[1]
%n = sin %a : f64[1]
%f = multiply %kw, %n : f64[1]
%w = subtract %v, %f : f64[1]
%d = multiply %kw, %w : f64[1]
%b = add %a, %d : f64[1]
%t = concatenate %b, %w {axis = 0} : f64[2]
yield %t
}"""

SHRINK = """
%steps, %r = while %y, %zero, %x {consts = 1LIMIT} : i64, f64[3] (%c: f64, %m: i64, %a: f64[3]) {
%top = reduce_max %a {axes = [0]} : f64
%q = greater %top, %c : bool
yield %q
} (%d: f64, %n: i64, %b: f64[3]) {
%one = constant {dtype = i64, shape = [], value = 1.0} : i64
%n1 = add %n, %one : i64
%dw = broadcast_in_dim %d {shape = [3], axes = []} : f64[3]
%s = sin %b : f64[3]
%u = multiply %s, %b : f64[3]
%v = multiply %u, %dw : f64[3]
yield %n1, %v
}"""

CHOICE = """
%top = reduce_sum %x {axes = [0]} : f64
%q = greater %top, %zero : bool
%r = cond %q, %x, %y : f64[3] (%a: f64[3], %b: f64[3]) {
%e = exp %a : f64[3]
%m = multiply %e, %b : f64[3]
yield %m
} (%c: f64[3], %d: f64[3]) {
%n = multiply %c, %c : f64[3]
yield %n
}"""


def pendulum(x, k):
    for _ in range(20):
        v = x[1] - k * torch.sin(x[0])
        x = torch.stack([x[0] + k * v, v])
    return x


def shrink(x, y, most):
    while x.max() > y and most:
        x, most = torch.sin(x) * x * y, most - 1
    return x


def loops():
    F64 = "%%zero = constant {dtype = %s, shape = [], value = 0.0} : %s"
    parts = {"INPUT": distinct(3, 2, 3), "WEIGHTS": distinct(8, 5), "STATES": distinct(2, 2, 2)}

    def lstm(back, **v):
        x = v["INPUT"].flip(0) if back else v["INPUT"]
        h, c = v["STATES"][:1], v["STATES"][1:]
        ys, _, cn = torch._VF.lstm(x, (h, c), [v["WEIGHTS"][:, :3], v["WEIGHTS"][:, 3:]], False, 1, 0.0, False, False,
                                   False)
        return torch.cat([ys.flip(0) if back else ys, cn])
    for back in (False, True):
        for first in parts:
            order = [first] + [name for name in parts if name != first]
            text = LSTM.replace("DIRECTION", str(int(back)))
            for name, letter in zip(order, NAMES):
                text = text.replace(name, "%" + letter)
            case(text, lambda *a, o=order, b=back: lstm(b, **dict(zip(o, a))), *(parts[name] for name in order))
    case(PENDULUM, pendulum, torch.tensor([1.2, 0.3]), 0.1)
    case(PENDULUM.replace("%y, %x", "%x, %y"), lambda k, x: pendulum(x, k), torch.tensor(0.1), torch.tensor([1.2, 0.3]))
    for limit in (2, 9):
        case("\n" + F64 % ("i64", "i64") + SHRINK.replace("LIMIT", ", limit = %d" % limit),
             lambda x, y, n=limit: shrink(x, y, n), torch.tensor([1.5, 2.0, -2.5]), 0.7)
    case("\n" + F64 % ("i64", "i64") + SHRINK.replace("LIMIT", ""), lambda x, y: shrink(x, y, 99),
         torch.tensor([1.5, 2.0, -2.5]), 0.7, grad=False)
    for x in (distinct(3), distinct(3) - 4):
        case("\n" + F64 % ("f64", "f64") + CHOICE, lambda x, y: torch.exp(x) * y if x.sum() > 0 else x * x, x,
             distinct(3))


print("/* Made by oracle.py with PyTorch %s; do not edit. */" % torch.__version__.split("a")[0])
for part in (elementwise, reductions, cumulative, contractions, convolutions, windows, moves, indexing, loops):
    print("/* ---- %s */" % part.__name__)
    part()
