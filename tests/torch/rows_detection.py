"""Finding objects. torchvision is not asked for: its modules are made here of PyTorch's layers, with the names of their
parameters."""
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from table import B, Input, check, function, layer, real

# ------------------------------------------------------------------- pyramid and heads


def conv(i, o, k):
    return nn.Sequential(nn.Conv2d(i, o, k, padding=k // 2))


class Pyramid(nn.Module):
    def __init__(self, sizes, out, extra=None):
        super().__init__()
        self.inner_blocks = nn.ModuleList(conv(n, out, 1) for n in sizes)
        self.layer_blocks = nn.ModuleList(conv(out, out, 3) for n in sizes)
        if extra:
            self.extra_blocks = extra

    def forward(self, *maps):
        last, found = None, []
        for x, inner, outer in reversed(list(zip(maps, self.inner_blocks, self.layer_blocks))):
            side = inner(x)
            last = side if last is None else side + F.interpolate(last, size=side.shape[-2:])
            found.insert(0, outer(last))
        return found + (self.extra_blocks(found, maps) if hasattr(self, "extra_blocks") else [])


class Coarser(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.p6, self.p7, self.same = nn.Conv2d(i, o, 3, 2, 1), nn.Conv2d(o, o, 3, 2, 1), i == o

    def forward(self, found, maps):
        a = self.p6(found[-1] if self.same else maps[-1])
        return [a, self.p7(F.relu(a))]


class Coarsest(nn.Module):
    def forward(self, found, maps):
        return [F.max_pool2d(found[-1], 1, 2)]


maps = dict(a=real(B, 3, 9, 7), b=real(B, 4, 5, 4), c=real(B, 5, 3, 2))
for code, make in [("FeaturePyramidNetwork([3, 4, 5], 6)", lambda: Pyramid([3, 4, 5], 6)),
                   ("FeaturePyramidNetwork([3, 4, 5], 6, LastLevelMaxPool())", lambda: Pyramid([3, 4, 5], 6, Coarsest())),
                   ("FeaturePyramidNetwork([3, 4, 5], 6, LastLevelP6P7(5, 6))",
                    lambda: Pyramid([3, 4, 5], 6, Coarser(5, 6))),
                   ("FeaturePyramidNetwork([3, 4, 5], 5, LastLevelP6P7(5, 5))",
                    lambda: Pyramid([3, 4, 5], 5, Coarser(5, 5)))]:
    layer(code, make, call="{l}([a, b, c])", torch_call=lambda m, *x: m(*x), same_order="P6" not in code, **maps)


class Head(nn.Module):
    """cls_logits or bbox_reg behind four convolutions."""

    def __init__(self, name, n, anchors, k):
        super().__init__()
        self.conv = nn.Sequential(*[conv(n, n, 3) for _ in range(4)])
        self.name, self.k = name, k
        setattr(self, name, nn.Conv2d(n, anchors * k, 3, padding=1))

    def forward(self, x):
        for l in self.conv:
            x = F.relu(l(x))
        y = getattr(self, self.name)(x)
        return y.unflatten(1, (-1, self.k)).permute(0, 3, 4, 1, 2).flatten(1, 3)


class Heads(nn.Module):
    def __init__(self, n, anchors, classes):
        super().__init__()
        self.classification_head = Head("cls_logits", n, anchors, classes)
        self.regression_head = Head("bbox_reg", n, anchors, 4)

    def forward(self, *maps):
        return [torch.cat([h(m) for m in maps], 1) for h in (self.classification_head, self.regression_head)]


layer("RetinaNetClassificationHead(4, 3, 5)", lambda: Head("cls_logits", 4, 3, 5), x=real(B, 4, 5, 4))
layer("RetinaNetRegressionHead(4, 3)", lambda: Head("bbox_reg", 4, 3, 4), x=real(B, 4, 5, 4))
layer("RetinaNetHead(4, 3, 5)", lambda: Heads(4, 3, 5), call="{l}([x, y])", torch_call=lambda m, *x: m(*x),
      x=real(B, 4, 5, 4), y=real(B, 4, 2, 2))
check("a head begins unsure, at the prior", """
    let {l} = RetinaNetClassificationHead(4, 3, 5)
    export fn {f}(x: f32[1, 4, 3, 3]) -> f32[1, 27, 5] { sigmoid({l}(x)) }
""", lambda call: [] if np.allclose(call(np.ones((1, 4, 3, 3), np.float32))[0], 0.01, rtol=0.1) else ["is not 0.01"])

# ---------------------------------------------------------------------- anchors, boxes


def anchors(h, w, stride, sizes, ratios):
    ratios, sizes = torch.tensor(ratios, dtype=torch.float64), torch.tensor(sizes, dtype=torch.float64)
    ws, hs = ((1 / ratios.sqrt())[:, None] * sizes).flatten(), (ratios.sqrt()[:, None] * sizes).flatten()
    base = (torch.stack([-ws, -hs, ws, hs], 1) / 2).round()
    y, x = torch.meshgrid(torch.arange(h) * stride, torch.arange(w) * stride, indexing="ij")
    return (torch.stack([x, y, x, y], -1).reshape(-1, 1, 4) + base).reshape(-1, 4)


def retina_sizes(stride):
    return [int(4 * stride * 2 ** (k / 3)) for k in range(3)]


for stride in (8, 16, 128):
    function(f"anchor_grid(3, 5, {stride}) * x",
             lambda x, s=stride: anchors(3, 5, s, retina_sizes(s), (0.5, 1, 2)).to(x.dtype) * x, x=real(135, 4))
function("anchor_grid(dims(x)[0], 2, 4, sizes = [7, 30], ratios = [1, 3]) * reshape(x, [8 * dims(x)[0], 1])",
         lambda x: anchors(len(x), 2, 4, (7, 30), (1, 3)).to(x.dtype) * x.reshape(-1, 1), x=real(B, 8))


def encode(b, a, weights=(1, 1, 1, 1)):
    w, h, bw, bh = a[..., 2] - a[..., 0], a[..., 3] - a[..., 1], b[..., 2] - b[..., 0], b[..., 3] - b[..., 1]
    x, y, bx, by = a[..., 0] + 0.5 * w, a[..., 1] + 0.5 * h, b[..., 0] + 0.5 * bw, b[..., 1] + 0.5 * bh
    return torch.stack([weights[0] * (bx - x) / w, weights[1] * (by - y) / h, weights[2] * (bw / w).log(),
                        weights[3] * (bh / h).log()], -1)


def decode(o, a, weights=(1, 1, 1, 1), limit=1000 / 16):
    w, h = a[..., 2] - a[..., 0], a[..., 3] - a[..., 1]
    x = o[..., 0] / weights[0] * w + a[..., 0] + 0.5 * w
    y = o[..., 1] / weights[1] * h + a[..., 1] + 0.5 * h
    bw = (o[..., 2] / weights[2]).clamp(max=math.log(limit)).exp() * w
    bh = (o[..., 3] / weights[3]).clamp(max=math.log(limit)).exp() * h
    return torch.stack([x - 0.5 * bw, y - 0.5 * bh, x + 0.5 * bw, y + 0.5 * bh], -1)


def draw_boxes(random, shape):
    corner = random.uniform(0, 8, shape[:-1] + [2])
    return np.concatenate([corner, corner + random.uniform(0.5, 4, corner.shape)], -1)


def boxes(*shape):
    return Input(shape, draw_boxes)


function("encode_boxes(b, a)", encode, b=boxes(B, 7, 4), a=boxes(7, 4))
function("encode_boxes(b, a, [10.0, 10.0, 5.0, 5.0])", lambda b, a: encode(b, a, (10, 10, 5, 5)), b=boxes(B, 4),
         a=boxes(B, 4))
function("decode_boxes(o, a)", decode, o=real(B, 7, 4), a=boxes(7, 4))
function("decode_boxes(o, a, [10.0, 10.0, 5.0, 5.0])", lambda o, a: decode(o, a, (10, 10, 5, 5)), o=real(B, 4),
         a=boxes(B, 4))
function("decode_boxes(o, a, limit = 2.0)", lambda o, a: decode(o, a, limit=2), o=real(B, 4), a=boxes(B, 4))
function("clip_boxes(b, 5, 6)", lambda b: torch.stack(
    [b[..., 0].clamp(0, 6), b[..., 1].clamp(0, 5), b[..., 2].clamp(0, 6), b[..., 3].clamp(0, 5)], -1), b=real(B, 3, 4))

# -------------------------------------------------------------- mean average precision


def overlap(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def average_precision(images, kind, limit):
    """Of one class, as the doc comment says; none without true boxes. `images`: (found, true) of dicts."""
    total, scored = 0, []
    for i, (found, true) in enumerate(images):
        true = [t["box"] for t in true if t["label"] == kind]
        total, taken = total + len(true), set()
        for f in sorted((f for f in found if f["label"] == kind), key=lambda f: -f["score"]):
            fits = [(overlap(f["box"], t), -k) for k, t in enumerate(true) if k not in taken]
            best, k = max(fits, default=(-1, 0))
            if best >= limit:
                taken.add(-k)
            scored.append((-f["score"], i, len(scored), best >= limit))
    if not total:
        return None
    points, hits = [], 0
    for n, s in enumerate(sorted(scored), 1):
        hits += s[3]
        points.append((hits, hits / n))
    return sum(max((p for h, p in points if 100 * h >= r * total), default=0) for r in range(101)) / 101


def reference(images, classes, limits):
    found = [average_precision(images, k, l) for k in range(classes) for l in limits]
    found = [f for f in found if f is not None]
    return sum(found) / len(found) if found else 0


def precision_of(call):
    random, wrong, seen = np.random.RandomState(5), [], []
    limits = [(50 + 5 * k) / 100 for k in range(10)]
    for trial in range(40):
        count, there = random.randint(0, 9, 3).astype(np.int32), random.randint(0, 6, 3).astype(np.int32)
        if trial == 0:
            there[:] = 0
        true, labels = draw_boxes(random, [3, 5, 4]).astype(np.float32), random.randint(0, 4, (3, 5)).astype(np.int32)
        which = random.randint(0, 5, (3, 8))
        rows = np.arange(3)[:, None]
        near = (true[rows, which] + random.uniform(-0.4, 0.4, (3, 8, 4)) * (trial % 4)).astype(np.float32)
        near[..., 2:] = np.maximum(near[..., 2:], near[..., :2] + np.float32(0.1))
        kinds = np.where(random.uniform(size=(3, 8)) < 0.8, labels[rows, which], random.randint(0, 4, (3, 8)))
        scores = (random.randint(0, 6 if trial % 2 else 1000, (3, 8)) / 8).astype(np.float32)
        images = [([dict(box=near[i, k], score=scores[i, k], label=kinds[i, k]) for k in range(count[i])],
                   [dict(box=true[i, k], label=labels[i, k]) for k in range(there[i])]) for i in range(3)]
        ours = call(near, scores, kinds.astype(np.int32), count, true, labels, there)
        wanted = [reference(images, 4, l) for l in (limits, [0.5], [0.3, 0.75])]
        seen += wanted
        if not np.allclose(ours, wanted, atol=1e-6):
            wrong.append(f"trial {trial}: {ours}, not {wanted}")
    return wrong if len(set(seen)) > 60 else wrong + [f"the trials are too much alike: {seen}"]


check("mean_average_precision(all, there)", """
    export fn {f}(b: f32[3, 8, 4], s: f32[3, 8], l: i32[3, 8], n: i32[3], tb: f32[3, 5, 4], tl: i32[3, 5], tn: i32[3]) {
        return mean_average_precision(b, s, l, n, tb, tl, tn, 4),
            mean_average_precision(b, s, l, n, tb, tl, tn, 4, iou = 0.5),
            mean_average_precision(b, s, l, n, tb, tl, tn, 4, iou = [0.3, 0.75])
    }
""", precision_of)
