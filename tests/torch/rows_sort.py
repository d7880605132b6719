"""Sorting, the k greatest, quantiles, permutations and non-maximum suppression."""
import numpy as np
import torch

from table import B, at, check, edges, flags, function, real, whole

nan, inf = float("nan"), float("inf")
edge_values = (0.0, nan, -0.0, inf, 2, -inf, 2, nan, -1, 0.0, -3, -inf, inf, -1)


# ----------------------------------------------------------------------- sort
for axis in (0, 1, -1):
    for down in (False, True):
        code = "axis = %d, descending = %s" % (axis, str(down).lower())
        sorts = dict(dim=axis, descending=down, stable=True)
        function("sort(x, %s)[0]" % code, lambda x, k=sorts: torch.sort(x, **k)[0], x=real(B, 41, 3))
        function("sort(x, %s)[1]" % code, lambda x, k=sorts: torch.sort(x, **k)[1].int(), x=whole(9, B, 41, 3))
        function("argsort(x, %s)" % code, lambda x, k=sorts: torch.sort(x, **k)[1].int(), x=flags(B, 41))
        function("sort_by(x, y, %s)" % code,
                 lambda x, y, k=sorts: torch.gather(y, k["dim"], torch.sort(x, **k)[1]), x=whole(5, B, 41), y=real(B, 41))
function("sort_by(x, [x, y], axis = 0)[1]", lambda x, y: torch.gather(y, 0, torch.sort(x, dim=0)[1]), x=real(B, 3),
         y=real(B, 3))
for down in (False, True):
    code, k = "descending = " + str(down).lower(), dict(descending=down, stable=True)
    edges("sort(x, %s)[0]" % code, lambda x, k=k: torch.sort(x, **k)[0], x=at(*edge_values))
    edges("argsort(x, %s)" % code, lambda x, k=k: torch.sort(x, **k)[1].int(), x=at(*edge_values, grad=False))
    edges("argsort(concat([x, x, x], axis = 0), %s)" % code,
          lambda x, k=k: torch.sort(torch.cat([x] * 3), **k)[1].int(), x=at(*edge_values, grad=False))

# ---------------------------------------------------------------------- top_k
for k in (1, 3, 37):
    function("top_k(x, %d)[0]" % k, lambda x, k=k: torch.topk(x, k)[0], x=real(B, 37))
    function("top_k(x, %d, axis = 0)[1]" % k, lambda x, k=k: torch.topk(x, k, 0)[1].int(), x=real(37, B).fixed())
    # torch.topk leaves open which of equal ones it takes
    function("top_k(x, %d)[1]" % k, lambda x, k=k: torch.sort(x, descending=True, stable=True)[1][..., :k].int(),
             x=whole(4, B, 37))
edges("top_k(x, 5)[0]", lambda x: torch.sort(x, descending=True, stable=True)[0][:5], x=at(*edge_values))
edges("top_k(x, 5)[1]", lambda x: torch.sort(x, descending=True, stable=True)[1][:5].int(), x=at(*edge_values, grad=False))

# ------------------------------------------------------------------ quantiles
function("median(x)", lambda x: torch.median(x, -1)[0], x=real(B, 9))
function("median(x, axis = 0)", lambda x: torch.median(x, 0)[0], x=real(8, B))
function("kth_value(x, 2)", lambda x: torch.kthvalue(x, 3, -1)[0], x=real(B, 9))
for q in (0.0, 0.3, 0.5, 1.0):
    function("quantile(x, %s, axis = 1)" % q, lambda x, q=q: torch.quantile(x, q, 1), x=real(B, 9, 2))


# ---------------------------------------------------------------- permutation
def is_permutation(call):
    a, b = call()[0], call()[0]
    if not np.array_equal(np.sort(a), np.arange(1000)):
        return ["not every number is there once"]
    if np.array_equal(a, b):
        return ["two calls give the same order"]
    return [] if np.mean(np.abs(a - np.arange(1000))) > 250 else ["the order is near to the given one"]


check("permutation(1000)", "export fn {f}() -> i32[1000] { permutation(1000) }", is_permutation)


# ------------------------------------------------------------------------ nms
def nms(boxes, scores, iou, score, keep):
    """Greedy suppression, as torchvision.ops.nms does it."""
    boxes, kept = boxes.double().tolist(), []

    def area(b):
        return max(b[2] - b[0], 0.0) * max(b[3] - b[1], 0.0)

    def overlap(a, b):
        shared = area([max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])])
        union = area(a) + area(b) - shared
        return shared / union if union > 0 else 0.0

    order = sorted(range(len(boxes)), key=lambda i: -scores[i].item())
    for i in order:
        if len(kept) < keep and scores[i] > score and all(overlap(boxes[j], boxes[i]) <= iou for j in kept):
            kept.append(i)
    return torch.tensor(kept + [0] * (keep - len(kept)), dtype=torch.int32), torch.tensor(len(kept), dtype=torch.int32)


for iou, score, keep in ((0.5, 0.3, 20), (0.1, 0.0, 100), (0.7, 0.9, 3), (0.0, 0.5, 7)):
    for r in (0, 1):
        function("nms(cast(x, f32), cast(s, f32) / 8, iou = %s, score = %s, keep = %d)[%d]" % (iou, score, keep, r),
                 lambda x, s, a=(iou, score, keep), r=r: nms(x.float(), s / 8, *a)[r], x=whole(9, B, 4), s=whole(9, B))
        function("nms(x, s, iou = %s, score = %s, keep = %d)[%d]" % (iou, score, keep, r),
                 lambda x, s, a=(iou, score, keep), r=r: nms(x, s, *a)[r], x=real(60, 4, scale=2.0).fixed(),
                 s=real(60).fixed())
