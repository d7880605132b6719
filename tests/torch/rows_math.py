"""Reductions, shapes, regularisation, metrics."""
import numpy as np
import torch
import torch.nn.functional as F

from table import B, at, check, edges, flags, function, real, whole, wholes, within
from rows_losses import reduced

x, deep = real(B, 7), real(B, 3, 5)

# --------------------------------------------------------------------- reductions
for code, torch_code in [
        ("mean(x)", lambda x: x.mean()), ("mean(x, axis = 1)", lambda x: x.mean(1)),
        ("mean(x, axis = [0, 2], keep = true)", lambda x: x.mean((0, 2), keepdim=True)),
        ("moments(x, axis = [0, 2])", lambda x: (x.mean((0, 2)), x.var((0, 2), unbiased=False))),
        ("variance(x, axis = 2)", lambda x: x.var(2, unbiased=False)),
        ("variance(x, axis = [1, 2], correction = 1, keep = true)", lambda x: x.var((1, 2), keepdim=True)),
        ("norm(x)", torch.norm), ("norm(x, axis = -1)", lambda x: x.norm(dim=-1)),
        ("norm(x, axis = [0, 2], keep = true)", lambda x: torch.linalg.vector_norm(x, dim=(0, 2), keepdim=True)),
        ("logsumexp(x)", lambda x: x.logsumexp((0, 1, 2))), ("logsumexp(x, axis = 1)", lambda x: x.logsumexp(1)),
        ("logsumexp(x, axis = [0, 2], keep = true)", lambda x: x.logsumexp((0, 2), keepdim=True)),
        ("normalize(x)", lambda x: F.normalize(x, dim=-1)), ("normalize(x, p = 1, axis = 1)",
                                                             lambda x: F.normalize(x, 1, 1)),
        ("normalize(x, p = 3, axis = 0)", lambda x: F.normalize(x, 3, 0))]:
    function(code, torch_code, x=deep)
function("cosine(a, b)", lambda a, b: F.cosine_similarity(a, b, -1), a=deep, b=real(B, 3, 5))
function("cosine(a, b, axis = 1)", F.cosine_similarity, a=deep, b=real(B, 3, 5))
function("count(x > 0), count(x > 0, axis = 0)", lambda x: ((x > 0).sum(), (x > 0).sum(0)), x=x.fixed())
edges("norm(x, axis = 1)", lambda x: torch.linalg.vector_norm(x, dim=1), x=at([0, 0, 0], [3, 0, 4]))
edges("logsumexp(x, axis = 1)", lambda x: x.logsumexp(1), x=at([1e4, 1e4], [-1e4, 0]))
edges("logsumexp(x, axis = 1)", lambda x: x.logsumexp(1), x=at([-float("inf")] * 2, [float("inf"), 0], grad=False))
edges("round(x)", torch.round, x=at(-1.5, -0.5, 0.5, 1.5, 2.5, 2.4, -2.6, grad=False))
function("erfinv(x)", torch.erfinv, x=within(-0.999, 0.999, B, 40))
edges("erfinv(x)", torch.erfinv, x=at(-1, -0.9999999, -0.99, -1e-6, 0, 1e-6, 0.5, 0.9999999, 1, 1.5, grad=False))

# ------------------------------------------------------------------- made and moved
function("zeros(dims(x)) + ones([7]) + x", lambda x: x + 1, x=x)
function("one_hot(y, 6)", lambda y: F.one_hot(y, 6).float(), y=whole(6, B, 3))
function("padded(x, [0, 1, 2])", lambda x: F.pad(x, (2, 2, 1, 1)), x=deep)
function("padded(x, [0, 1, -2], 0.5)", lambda x: F.pad(x[..., 2:-2], (0, 0, 1, 1), value=0.5), x=deep)
function("shift(x, 2, axis = 1), shift(x, -1, axis = -1, fill = 0.5)",
         lambda x: (F.pad(x, (0, 0, 2, 0))[:, :-2], F.pad(x, (0, 1), value=0.5)[..., 1:]), x=deep)

# ------------------------------------------------------------------- regularisation
function("l1_penalty(x)", lambda x: x.abs().sum(), x=x)
function("l2_penalty(x)", lambda x: 0.5 * (x ** 2).sum(), x=x)


def clip(x, limit):
    """clip_grad_norm_ works on .grad."""
    p = torch.zeros_like(x, requires_grad=True)
    p.grad = x.detach().clone()
    torch.nn.utils.clip_grad_norm_([p], limit)
    return p.grad


function("clip_norm(x, 1.5)", lambda x: clip(x, 1.5), x=x.fixed())
function("clip_norm(x, 1000)", lambda x: clip(x, 1000), x=x.fixed())
function("clip_value(x, 0.5)", lambda x: x.clamp(-0.5, 0.5), x=x)
edges("clip_value(x, 0.5)", lambda x: x.clamp(-0.5, 0.5), x=at(-1, -0.5, 0, 0.5, 1))
edges("clamp(x, low = 0)", lambda x: x.clamp(min=0), x=at(-1, 0, 1))
edges("clamp(x, high = 0)", lambda x: x.clamp(max=0), x=at(-1, 0, 1))
edges("maximum(x, y)", torch.maximum, x=at(-1, 0, 1), y=at(0, 0, 0))
edges("max(x)", torch.amax, x=at(1, 3, 3, 2, 3))
edges("max(x, axis = 1)", lambda x: x.max(1).values, x=at([1, 3, 3, 2, 3]))
function("max_norm(x, 1.5)", lambda x: torch.renorm(x, 2, 0, 1.5), x=deep)
function("max_norm(x, 0.8, axis = -1)", lambda x: torch.renorm(x, 2, 2, 0.8), x=deep)

# ---------------------------------------------------------------------------- metrics


def confusion(p, t, n=4):
    return torch.zeros(n, n).index_put((t.flatten(), p.flatten()), torch.ones(t.numel()), accumulate=True)


def averaged(m, above, below, average):
    if average == "micro":
        return above.sum() / below.sum()
    each = torch.where(below > 0, above / below.clamp(min=1e-30), torch.zeros_like(below))
    return {"none": each, "macro": each.mean(), "weighted": (each * m.sum(1)).sum() / m.sum()}[average]


def figure(name):
    def of(p, t, average):
        m = confusion(p, t)
        d, columns, lines = m.diag(), m.sum(0), m.sum(1)
        return averaged(m, *{"precision": (d, columns), "recall": (d, lines), "f1_score": (2 * d, columns + lines),
                             "jaccard_index": (d, columns + lines - d)}[name], average)
    return of


def average_precision(s, t):
    """The sum over thresholds, from the highest score down."""
    found = torch.zeros((), dtype=s.dtype)
    for v in s.unique():
        new = ((s == v) & (t == 1)).sum()
        found = found + new * ((t == 1) & (s >= v)).sum() / (s >= v).sum()
    return found / max(1, int((t == 1).sum()))


scores = real(B, 3, 6).fixed()
function("accuracy(x, y)", lambda x, y: (x.argmax(-1) == y).to(x.dtype).mean(), x=scores, y=whole(6, B, 3))
function("accuracy(x, y) + 0", lambda x, y: (x.argmax(-1) == y).to(x.dtype).mean(), x=scores,
         y=whole(6, B, 3, dtype="i64"))
function("top_k_accuracy(x, y, k = 2)",
         lambda x, y: (x.topk(2).indices == y[..., None]).any(-1).to(x.dtype).mean(), x=scores, y=whole(6, B, 3))
function("confusion_matrix(p, t, 4)", confusion, p=whole(4, B, 5), t=whole(4, B, 5))
for name in ("precision", "recall", "f1_score", "jaccard_index"):
    for average in ("macro", "micro", "weighted", "none"):
        function(f'{name}(confusion_matrix(p, t, 4), "{average}")',
                 lambda p, t, of=figure(name), a=average: of(p, t, a), p=whole(4, B, 5), t=whole(4, B, 5))
function("perplexity(x, y)", lambda x, y: F.cross_entropy(x.flatten(0, 1), y.flatten()).exp(), x=scores,
         y=whole(6, B, 3))
function("perplexity(x, y, ignore_index = 2)",
         lambda x, y: F.cross_entropy(x.flatten(0, 1), y.flatten(), ignore_index=2).exp(), x=scores, y=whole(6, B, 3))
function("average_precision(s, t)", average_precision, s=real(B).fixed(), t=whole(2, B))
edges("average_precision(s, t)", average_precision, s=at(1, 2, 2, 3, 1, grad=False), t=wholes(1, 0, 1, 1, 0))
edges("average_precision(s, t)", average_precision, s=at(1, 2, grad=False), t=wholes(0, 0))

# ---------------------------------------------------------------------------- random


def dropped(rate, axes):
    """Of 64 x 32 ones: kept ones are 1 / (1 - rate), as many as there should be, whole slices along axes alike."""
    def verify(call):
        y, g = call()
        kept = y != 0
        share, n = kept.mean(), kept.size / (1 if not axes else kept.shape[-1])
        wrong = []
        if abs(y[kept] - 1 / (1 - rate)).max() > 1e-6:
            wrong.append(f"kept values are {y[kept]}")
        if abs(share - (1 - rate)) > 4 * (rate * (1 - rate) / n) ** 0.5:
            wrong.append(f"{share} are kept")
        if not (g == y).all():
            wrong.append("the gradient is not the mask")
        if axes and not (kept == kept[..., :1]).all():
            wrong.append("channels are not dropped as a whole")
        if not axes and (kept == kept[..., :1]).all(-1).any():
            wrong.append("rows are dropped as a whole")
        if (call()[0] == y).all():
            wrong.append("two calls drop the same")
        return wrong
    return verify


check("dropout", """
    let {l} = Linear(1, 1)
    export fn {f}() {
        let x = ones([64, 32])
        let y = dropout(x, 0.3, training = true)
        return y, grad(sum(y), x)
    }
""", dropped(0.3, False))


def spread(call):
    u, n, b = call()
    wrong = []
    if not (u.min() >= 2 and u.max() < 3 and abs(u.mean() - 2.5) < 0.02 and abs(u.std() - 12 ** -0.5) < 0.01):
        wrong.append(f"uniform: {u.min()} {u.max()} {u.mean()} {u.std()}")
    if not (abs(n.mean() - 1) < 0.05 and abs(n.std() - 0.5) < 0.02):
        wrong.append(f"normal: {n.mean()} {n.std()}")
    if abs(b.mean() - 0.2) > 0.02:
        wrong.append(f"bernoulli: {b.mean()}")
    return wrong


check("uniform, normal and bernoulli", """
    export fn {f}() { uniform([4000], 2, 3), normal([4000], 1, 0.5), bernoulli([4000], 0.2) }
""", spread)


def all_nan(call):
    return [f"NaN becomes {v}" for v in call() if v == v]


check("NaN passes through norms and losses", """
    export fn {f}() {
        let x = concat([ones([1]), log(-ones([1])), ones([1])], axis = 0)
        let row = reshape(x, [1, 3])
        let boxes = broadcast(x[1], [1, 4])
        return norm(x), sum(normalize(x)), triplet_margin_loss(row, row, row), kl_div(x, x),
            sum(lp_pool(reshape(x, [1, 1, 3]), 2, 3)), sum(box_iou(boxes, boxes)), cosine(x, x)
    }
""", all_nan)


def orthogonal(call):
    off = [abs(m - scale * torch.eye(len(m)).numpy()).max() for m, scale in zip(call(), (1, 1, 0.25))]
    return [f"off by {off}"] if max(off) > 2e-6 else []


check("orthogonal rows or columns", """
    export fn {f}() {
        let a, b, c = orthogonal([40, 40]), orthogonal([40, 7]), orthogonal([5, 3, 4], 0.5)
        let d = reshape(c, [5, 12])
        return a.T @ a, b.T @ b, d @ d.T
    }
""", orthogonal)


def over_some(call):
    x, y = np.arange(12, dtype=np.float32).reshape(4, 3), np.array([0, 2, 1, 1], np.int32)
    wrong = []
    for n in (0, 1, 3):
        whole, columns, loss, slope = call(x, y, np.int32(n))
        some = torch.from_numpy(x[:n])
        theirs = [some.mean(), some.mean(0), torch.nn.functional.cross_entropy(some, torch.from_numpy(y[:n]).long())] \
            if n else [torch.zeros(()), torch.zeros(3), torch.zeros(())]
        for a, b in zip((whole, columns, loss), theirs):
            if not np.allclose(a, b.numpy(), 1e-6):
                wrong.append(f"over {n}: {a}, not {b}")
        if not np.allclose(slope, [1 / n if i < n else 0 for i in range(4)]):
            wrong.append(f"the gradient over {n} is {slope}")
    return wrong


check("a mean over nothing is 0", """
    export fn {f}(x: f32[4, 3], y: i32[4], n: i32) {
        dim 0 <= L <= 4 = n
        let some = x[:L]
        return mean(some), mean(some, axis = 0), cross_entropy(some, y[:L]), grad(mean(some[:, 0]), x)[:, 0]
    }
""", over_some)
