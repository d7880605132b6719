"""Losses."""
import math

import torch
import torch.nn.functional as F

from table import B, at, edges, flags, function, real, signs, whole, wholes, within

x, y, y5 = real(B, 5), real(B, 5).fixed(), whole(5, B)
ALL = ("mean", "sum", "none")


def reductions(code, torch_code, **inputs):
    """A row for each way to reduce: {r} in the code, r in PyTorch's."""
    for r in ALL:
        function(code.replace("{r}", f'reduce = "{r}"'), lambda *a, r=r: torch_code(*a, r), **inputs)


def reduced(t, r):
    return t.mean() if r == "mean" else t.sum() if r == "sum" else t


# ----------------------------------------------------------- numbers and densities
reductions("mse_loss(x, y, {r})", lambda x, y, r: F.mse_loss(x, y, reduction=r), x=x, y=real(B, 5))
reductions("l1_loss(x, y, {r})", lambda x, y, r: F.l1_loss(x, y, reduction=r), x=x, y=real(B, 5))
reductions("huber_loss(x, y, {r})", lambda x, y, r: F.huber_loss(x, y, reduction=r), x=x, y=real(B, 5))
function("huber_loss(x, y, delta = 0.4)", lambda x, y: F.huber_loss(x, y, delta=0.4), x=x, y=real(B, 5))
reductions("smooth_l1_loss(x, y, {r})", lambda x, y, r: F.smooth_l1_loss(x, y, reduction=r), x=x, y=real(B, 5))
function("smooth_l1_loss(x, y, beta = 0.4)", lambda x, y: F.smooth_l1_loss(x, y, beta=0.4), x=x, y=real(B, 5))
function("smooth_l1_loss(x, y, beta = 0)", lambda x, y: F.smooth_l1_loss(x, y, beta=0), x=x, y=real(B, 5))
function("half_squared_error(x, y)", lambda x, y: 0.5 * F.mse_loss(x, y, reduction="sum"), x=x, y=real(B, 5))
edges("l1_loss(x, y)", F.l1_loss, x=at(0, 1, 2), y=at(0, 1, 3))
edges("huber_loss(x, y)", F.huber_loss, x=at(0, 1, 2, -1), y=at(0, 0, 0, 0))
edges("smooth_l1_loss(x, y)", F.smooth_l1_loss, x=at(0, 1, 2, -1), y=at(0, 0, 0, 0))
for r in (*ALL, "batchmean"):
    function(f'kl_div(log_softmax(x), softmax(t), reduce = "{r}")',
             lambda x, t, r=r: F.kl_div(F.log_softmax(x, -1), F.softmax(t, -1), reduction=r), x=x, t=real(B, 5))
reductions("kl_div(x, t, {r}, log_target = true)",
           lambda x, t, r: F.kl_div(x, t, reduction=r, log_target=True), x=x, t=real(B, 5))
edges("kl_div(x, t)", F.kl_div, x=at(-1, -2, -3), t=at(0, 0.25, 1, grad=False))
reductions("poisson_nll_loss(x, t, {r})", lambda x, t, r: F.poisson_nll_loss(x, t, reduction=r), x=x,
           t=within(0, 6, B, 5).fixed())
reductions("poisson_nll_loss(x, t, log_input = false, full = true, {r})",
           lambda x, t, r: F.poisson_nll_loss(x, t, log_input=False, full=True, reduction=r), x=within(0.2, 5, B, 5),
           t=within(0, 6, B, 5).fixed())
edges('poisson_nll_loss(x, t, full = true, reduce = "none")',
      lambda x, t: F.poisson_nll_loss(x, t, full=True, reduction="none"), x=at(0, 0.5, 1, 2),
      t=at(0, 1, 2, 3, grad=False))
reductions("gaussian_nll_loss(x, y, v, {r})", lambda x, y, v, r: F.gaussian_nll_loss(x, y, v, reduction=r), x=x,
           y=real(B, 5), v=within(0.2, 3, B, 5))
function("gaussian_nll_loss(x, y, v, full = true, eps = 0.5)",
         lambda x, y, v: F.gaussian_nll_loss(x, y, v.clone(), full=True, eps=0.5), x=x, y=real(B, 5),
         v=within(0.2, 3, B, 5))

# ------------------------------------------------------------------- classification
reductions("cross_entropy(x, y, {r})", lambda x, y, r: F.cross_entropy(x, y, reduction=r), x=x, y=y5)
reductions("nll_loss(log_softmax(x), y, {r})", lambda x, y, r: F.nll_loss(F.log_softmax(x, -1), y, reduction=r), x=x,
           y=y5)
reductions("nll_loss(x, y, w, {r})", lambda x, y, w, r: F.nll_loss(x, y, w, reduction=r), x=x, y=y5,
           w=within(0.2, 2, 5).fixed())
deep = real(B, 3, 5)
to_last = lambda f: lambda x, *a: f(x.movedim(-1, 1), *a)  # PyTorch's classes lie along dim 1
reductions("cross_entropy(x, y, {r})", to_last(lambda x, y, r: F.cross_entropy(x, y, reduction=r)), x=deep,
           y=whole(5, B, 3))
for more, options in [("ignore_index = 3", {"ignore_index": 3}), ("label_smoothing = 0.2", {"label_smoothing": 0.2}),
                      ("ignore_index = 3, label_smoothing = 0.2", {"ignore_index": 3, "label_smoothing": 0.2})]:
    reductions(f"cross_entropy(x, y, {more}, {{r}})",
               to_last(lambda x, y, r, o=options: F.cross_entropy(x, y, reduction=r, **o)), x=deep, y=whole(5, B, 3))
    reductions(f"cross_entropy(x, y, w, {more}, {{r}})",
               to_last(lambda x, y, w, r, o=options: F.cross_entropy(x, y, w, reduction=r, **o)), x=deep,
               y=whole(5, B, 3), w=within(0.2, 2, 5).fixed())
reductions("cross_entropy(x, softmax(t), {r})",
           lambda x, t, r: F.cross_entropy(x, F.softmax(t, -1), reduction=r), x=x, t=real(B, 5))
reductions("cross_entropy(x, softmax(t), w, label_smoothing = 0.1, {r})",
           lambda x, t, w, r: F.cross_entropy(x, F.softmax(t, -1), w, reduction=r, label_smoothing=0.1), x=x,
           t=real(B, 5), w=within(0.2, 2, 5).fixed())
edges("cross_entropy(x, y, ignore_index = -100)", F.cross_entropy, x=at([1, 2, 3], [3, 2, 1]), y=wholes(-100, 2))
edges("cross_entropy(x, y, ignore_index = -1)",  # where nothing counts PyTorch has NaN, we 0
      lambda x, y: 0 * x.sum(), x=at([1, 2, 3], [3, 2, 1]), y=wholes(-1, -1))
probabilities = within(0.02, 0.98, B, 5)
reductions("binary_cross_entropy(x, y, {r})", lambda x, y, r: F.binary_cross_entropy(x, y, reduction=r),
           x=probabilities, y=within(0, 1, B, 5).fixed())
reductions("binary_cross_entropy(x, y, w, {r})", lambda x, y, w, r: F.binary_cross_entropy(x, y, w, reduction=r),
           x=probabilities, y=within(0, 1, B, 5).fixed(), w=within(0.2, 2, 5).fixed())
edges('binary_cross_entropy(x, y, reduce = "none")', lambda x, y: F.binary_cross_entropy(x, y, reduction="none"),
      x=at(0, 1e-20, 1e-13, 1e-6, 0.5, 1), y=at(1, 1, 1, 1, 1, 0, grad=False))
for name in ("binary_cross_entropy_with_logits", "bce_logits"):
    reductions(f"{name}(x, y, {{r}})", lambda x, y, r: F.binary_cross_entropy_with_logits(x, y, reduction=r), x=x,
               y=within(0, 1, B, 5))
    reductions(f"{name}(x, y, w, p, {{r}})", lambda x, y, w, p, r: F.binary_cross_entropy_with_logits(
        x, y, w, pos_weight=p, reduction=r), x=x, y=within(0, 1, B, 5).fixed(), w=within(0.2, 2, 5).fixed(),
        p=within(0.2, 4, 5).fixed())
    edges(f'{name}(x, y, reduce = "none")', lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"),
          x=at(-1e4, -100, 0, -0.0, 100, 1e4), y=at(0.25, 1, 0, 0.25, 0, 1, grad=False))


def sigmoid_focal(x, t, alpha=0.25, gamma=2, r="none"):
    """As in torchvision."""
    p = torch.sigmoid(x)
    l = F.binary_cross_entropy_with_logits(x, t, reduction="none") * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
    return reduced((alpha * t + (1 - alpha) * (1 - t)) * l if alpha >= 0 else l, r)


truth = whole(2, B, 5)
reductions("sigmoid_focal_loss(x, f32(t), {r})", lambda x, t, r: sigmoid_focal(x, t.to(x.dtype), r=r), x=x, t=truth)
function("sigmoid_focal_loss(x, f32(t), -1, 1.5)", lambda x, t: sigmoid_focal(x, t.to(x.dtype), -1, 1.5), x=x, t=truth)
function("focal(x, t)", lambda x, t: sigmoid_focal(x, F.one_hot(t, 6)[..., :5].to(x.dtype)).sum(-1), x=deep,
         t=whole(6, B, 3))
reductions("hinge_loss(x, t, {r})", lambda x, t, r: reduced((1 - x * t).clamp_min(0), r), x=x, t=signs(B, 5))
edges("hinge_loss(x, t)", lambda x, t: (1 - x * t).clamp_min(0).mean(), x=at(1, 1, -1, 0),
      t=at(1, -1, -1, 1, grad=False))
reductions("soft_margin_loss(x, t, {r})", lambda x, t, r: F.soft_margin_loss(x, t, reduction=r), x=x, t=signs(B, 5))
reductions("multi_margin_loss(x, t, {r})", lambda x, t, r: F.multi_margin_loss(x, t, reduction=r), x=x, t=y5)
reductions("multi_margin_loss(x, t, p = 2, margin = 0.5, weight = w, {r})", lambda x, t, w, r: F.multi_margin_loss(
    x, t, 2, 0.5, w, reduction=r), x=x, t=y5, w=within(0.2, 2, 5).fixed())
reductions("multilabel_soft_margin_loss(x, f32(t), w, {r})", lambda x, t, w, r: F.multilabel_soft_margin_loss(
    x, t.to(x.dtype), w, reduction=r), x=x, t=truth, w=within(0.2, 2, 5).fixed())

# ------------------------------------------------------------------------ distances
rows = dict(a=real(B, 6), b=real(B, 6))
reductions("hinge_embedding_loss(x, t, {r})", lambda x, t, r: F.hinge_embedding_loss(x, t, reduction=r), x=x,
           t=signs(B, 5))
edges("hinge_embedding_loss(x, t, margin = 0.5)", lambda x, t: F.hinge_embedding_loss(x, t, 0.5), x=at(0.5, 0, 2, 1),
      t=at(-1, -1, -1, 1, grad=False))
reductions("margin_ranking_loss(x, y, t, margin = 0.25, {r})", lambda x, y, t, r: F.margin_ranking_loss(
    x, y, t, 0.25, reduction=r), x=x, y=real(B, 5), t=signs(B, 5))
reductions("cosine_embedding_loss(a, b, t, margin = 0.25, {r})", lambda a, b, t, r: F.cosine_embedding_loss(
    a, b, t, 0.25, reduction=r), **rows, t=signs(B))
for p in ("2", "1", "3"):
    function(f"pairwise_distance(a, b, p = {p})", lambda a, b, p=int(p): F.pairwise_distance(a, b, p), **rows)
    reductions(f"triplet_margin_loss(a, b, c, p = {p}, {{r}})", lambda a, b, c, r, p=int(p): F.triplet_margin_loss(
        a, b, c, p=p, reduction=r), **rows, c=real(B, 6))
function("pairwise_distance(a, b, keep = true)", lambda a, b: F.pairwise_distance(a, b, keepdim=True), **rows)
reductions("triplet_margin_loss(a, b, c, margin = 3, swap = true, {r})", lambda a, b, c, r: F.triplet_margin_loss(
    a, b, c, 3, swap=True, reduction=r), **rows, c=real(B, 6))
reductions("info_nce(a, b, 0.5, {r})", lambda a, b, r: F.cross_entropy(
    F.normalize(a) @ F.normalize(b).T / 0.5, torch.arange(len(a)), reduction=r), **rows)

# ---------------------------------------------------------------------------- boxes


def ordered(t):
    """Corners of a box from any four numbers a row."""
    return torch.cat([torch.minimum(t[..., :2], t[..., 2:]), torch.maximum(t[..., :2], t[..., 2:])], -1)


BOXES = "concat([minimum({0}[.., :2], {0}[.., 2:]), maximum({0}[.., :2], {0}[.., 2:])], axis = -1)"


def areas(a):
    return (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])


def overlap(a, b):
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    hull = torch.cat([torch.minimum(a[..., :2], b[..., :2]), torch.maximum(a[..., 2:], b[..., 2:])], -1)
    return inter, areas(a) + areas(b) - inter, hull


def iou_loss(a, b, kind, r):
    a, b = ordered(a), ordered(b)
    inter, union, hull = overlap(a, b)
    l = 1 - inter / (union + 1e-7)
    if kind == "giou":
        l = l + (areas(hull) - union) / (areas(hull) + 1e-7)
    if kind in ("diou", "ciou"):
        apart = ((a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2).pow(2).sum(-1)
        l = l + apart / ((hull[..., 2:] - hull[..., :2]).pow(2).sum(-1) + 1e-7)
    if kind == "ciou":
        size = lambda t: torch.atan((t[..., 2] - t[..., 0]) / (t[..., 3] - t[..., 1]))
        v = 4 / math.pi ** 2 * (size(b) - size(a)) ** 2
        l = l + (v / (1 - inter / (union + 1e-7) + v + 1e-7)).detach() * v
    return reduced(l, r)


two = dict(a=real(B, 4), b=real(B, 4))
for kind in ("iou", "giou", "diou", "ciou"):
    reductions(f"{kind}_loss({BOXES.format('a')}, {BOXES.format('b')}, {{r}})",
               lambda a, b, r, kind=kind: iou_loss(a, b, kind, r), **two)
function(f"box_area({BOXES.format('a')})", lambda a: areas(ordered(a)), a=real(B, 4))
function(f"box_iou({BOXES.format('a')}, {BOXES.format('b')})", lambda a, b: 1 - iou_loss(a, b, "iou", "none"), **two)
function(f"pair_iou({BOXES.format('a')}, {BOXES.format('b')})",
         lambda a, b: 1 - iou_loss(a[..., :, None, :], b[..., None, :, :], "iou", "none"), a=real(7, 4),
         b=real(B, 5, 4))

# ------------------------------------------------------------------------- sequences
for r in ALL:
    function(f'ctc_loss(log_softmax(x), y, n, m, reduce = "{r}")',
             lambda x, y, n, m, r=r: F.ctc_loss(F.log_softmax(x, -1), y, n, m, reduction=r), x=real(9, B, 5),
             y=whole(5, B, 3, least=1), n=whole(10, B, least=6), m=whole(4, B))
function("ctc_loss(log_softmax(x), y, n, m, blank = 4, zero_infinity = true)",
         lambda x, y, n, m: F.ctc_loss(F.log_softmax(x, -1), y, n, m, 4, zero_infinity=True), x=real(5, B, 5),
         y=whole(4, B, 3), n=whole(6, B, least=2), m=whole(4, B))
edges('ctc_loss(log_softmax(x), y, n, m, reduce = "none")',
      lambda x, y, n, m: F.ctc_loss(F.log_softmax(x, -1), y, n, m, reduction="none"),
      x=at([[1, 2, 3], [0, 1, 0]], [[0, 1, 1], [1, 1, 0]], grad=False), y=wholes([1, 1], [1, 2]), n=wholes(2, 2),
      m=wholes(2, 2))
