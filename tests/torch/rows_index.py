"""Cumulative functions, gather, scatter, boxes and segments."""
import torch

from table import B, at, edges, flags, function, real, whole, wholes, within

nan, inf = float("nan"), float("inf")
x = real(B, 7)
zeros_in = at([0, 2, -3, 0.5], [1.5, 0, 0, 2], [-1, 2, 0, 3])


def turned(f, axis):
    return lambda x, *more: torch.flip(f(torch.flip(x, (axis,)), *more), (axis,))


def moved(x, axis, fill):
    first = torch.full_like(x.narrow(axis, 0, 1), fill)
    return torch.cat([first, x.narrow(axis, 0, x.shape[axis] - 1)], axis)


# ----------------------------------------------------------------- cumulative
for name, f in [("cumsum", torch.cumsum), ("cumprod", torch.cumprod), ("logcumsumexp", torch.logcumsumexp),
                ("cummax", lambda x, axis: torch.cummax(x, axis).values),
                ("cummin", lambda x, axis: torch.cummin(x, axis).values)]:
    function(name + "(x)", lambda x, f=f: f(x, -1), x=x)
    function(name + "(x, axis = 1)", lambda x, f=f: f(x, 1), x=real(B, 40, 3))
    function(name + "(x, axis = 0, reverse = true)", turned(lambda x, f=f: f(x, 0), 0), x=x)
function("cumsum(x, axis = 1, exclusive = true)", lambda x: moved(torch.cumsum(x, 1), 1, 0), x=x)
function("cumprod(x, axis = 1, exclusive = true)", lambda x: moved(torch.cumprod(x, 1), 1, 1), x=x)
function("cumprod(x)", lambda x: torch.cumprod(x, -1), x=zeros_in)
function("cumulative_argmax(x, -1)", lambda x: torch.cummax(x, -1).indices.int(), x=at(2, 2, 1, 3, 3, nan, 5, nan, 1,
                                                                                     grad=False))
function("cumulative_argmin(x, 0)", lambda x: torch.cummin(x, 0).indices.int(), x=at(2, 2, 1, 1, 3, nan, 5, nan, 1,
                                                                                    grad=False))
edges("cummax(x)", lambda x: torch.cummax(x, -1).values, x=at(1, 1, 0, 2, 2, -inf, 3, inf, 1, inf))
edges("cummin(x)", lambda x: torch.cummin(x, -1).values, x=at(1, 1, 0, 2, 0, -inf, 3, inf, -inf))
edges("logcumsumexp(x)", lambda x: torch.logcumsumexp(x, -1), x=at(-inf, -90, -inf, 3, 100, -100, 99, 88))


def recurrence(a, b):
    h = [b[:, 0]]
    for t in range(1, b.shape[1]):
        h.append(a[:, t] * h[-1] + b[:, t])
    return torch.stack(h, 1)


function("linear_recurrence(a, b, 1)", recurrence, a=real(B, 9), b=real(B, 9))
function("linear_recurrence(a, b, 1, reverse = true)",
         lambda a, b: torch.flip(recurrence(torch.flip(a, (1,)), torch.flip(b, (1,))), (1,)), a=real(B, 9), b=real(B, 9))

# ---------------------------------------------------------------------- places
table, ids, keep = real(9, 5), whole(9, B), flags(B)
function("gather(x, i, mask = m)", lambda x, i, m: x[i.long()] * m[:, None], x=table, i=ids, m=keep)
function("gather(x, i, axis = 1, batch = 1)",
         lambda x, i: torch.gather(x, 1, i.long()[:, :, None].expand(-1, -1, 3)), x=real(B, 4, 3), i=whole(4, B, 6))
for mode, torch_mode in [("add", "sum"), ("max", "amax"), ("min", "amin")]:
    function('scatter(x, i, v, mode = "%s")' % mode,
             lambda x, i, v, r=torch_mode: x.scatter_reduce(0, i.long()[:, None].expand(-1, 5), v, r),
             x=table, i=ids, v=real(B, 5))
    function('scatter(x, i, v, axis = 1, batch = 1, mode = "%s")' % mode,
             lambda x, i, v, r=torch_mode: x.scatter_reduce(1, i.long(), v, r), x=real(B, 6), i=whole(6, B, 20),
             v=real(B, 20))
# of equal ones each takes its share
for mode, torch_mode in [("max", "amax"), ("min", "amin")]:
    function('scatter(x, i, v, mode = "%s")' % mode,
             lambda x, i, v, r=torch_mode: x.scatter_reduce(0, i.long(), v, r), x=at(1, 2, 3, 0),
             i=wholes(0, 0, 1, 2, 2, 1), v=at(1, 1, 2, 3, 4, 4))
function("scatter(x, i, v)", lambda x, i, v: x.index_put((i.long(),), v), x=table, i=wholes(3, 0, 8), v=real(3, 5))
function("scatter(x, i, v)", lambda x, i, v: x.index_put((torch.tensor([3, 0]),), v[1:3]), x=table,
         i=wholes(3, 3, 0), v=real(3, 5))
function("one_hot(i, 9)", lambda i: torch.nn.functional.one_hot(i.long(), 9).float(), i=ids)
function("update(x, v, at = [1, 2])", lambda x, v: torch.cat([x[:1], torch.cat([x[1:4, :2], v], 1), x[4:]]), x=table,
         v=real(3, 3))
function("update(x, v, at = [i, 0])", lambda x, v, i: torch.cat([x[:int(i)], v, x[int(i) + 3:]]), x=table,
         v=real(3, 5), i=whole(6))
function("x[i : i + 3, 1]", lambda x, i: x[int(i):int(i) + 3, 1], x=table, i=whole(6))
function("x[:, [3, 1, -1, 3]]", lambda x: x[:, [3, 1, -1, 3]], x=table)
function("x[:, j]", lambda x, j: x[:, int(j)], x=table, j=whole(5))
function("shift(x, 2, axis = 1, fill = 0.5)",
         lambda x: torch.cat([torch.full_like(x[:, :2], 0.5), x[:, :-2]], 1), x=x)

# -------------------------------------------------------------------- segments


def rows_of(i, m=None):
    return [torch.nonzero((i == k) & (m if m is not None else i == i))[:, 0] for k in range(9)]


def segments(f, empty=0.0):
    def run(x, i, m=None):
        return torch.stack([f(x[r]) if len(r) else x[0] * 0 + empty for r in rows_of(i, m)])
    return run


def segment_softmax(x, i, m=None):
    y = torch.zeros_like(x)
    for r in rows_of(i, m):
        if len(r):
            y = y.index_put((r,), torch.softmax(x[r], 0))
    return y


v = real(B, 5)
for name, f in [("segment_sum", segments(lambda x: x.sum(0))), ("segment_mean", segments(lambda x: x.mean(0))),
                ("segment_max", segments(lambda x: x.max(0).values)), ("segment_softmax", segment_softmax)]:
    function(name + "(x, i, 9)", f, x=v, i=ids)
    function(name + "(x, i, 9, mask = m)", f, x=v, i=ids, m=keep)
function("segment_max(x, i, 9, empty = -1)", segments(lambda x: x.max(0).values, -1.0), x=within(-1, 1, B, 5), i=ids)
function("segment_count(i, 9)", lambda i: torch.bincount(i.long(), minlength=9).int(), i=ids)

# floor division, as indices are made of it
function("div(i, 2) + div(i, -3)", lambda i: i.div(2, rounding_mode="floor") + i.div(-3, rounding_mode="floor"),
         i=whole(9, B, least=-9))
