"""Graph layers; their counterparts are composed here, PyTorch itself has none."""
import torch
from torch import nn

from table import B, at, edges, function, layer, real, whole, within, wholes

x = real(7, 4)
ends = dict(src=whole(7, B), dst=whole(7, B))


def collect(rows, dst, n=7):
    return torch.zeros(n, *rows.shape[1:], dtype=rows.dtype).index_add(0, dst, rows)


def norm(src, dst, n=7):
    degree = 1 + collect(torch.ones(len(dst)), dst)
    src, dst = (torch.cat([e, torch.arange(n)]) for e in (src, dst))
    return src.int(), dst.int(), (degree[src] * degree[dst]).rsqrt()


class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.zeros(3))

    def forward(self, x, src, dst, w):
        return collect(w[:, None] * (x @ self.weight)[src], dst) + self.bias


class SAGE(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin_l, self.lin_r = nn.Linear(4, 3), nn.Linear(4, 3, bias=False)

    def forward(self, x, src, dst):
        n = collect(torch.ones(len(dst), 1, dtype=x.dtype), dst).clamp(min=1)
        return self.lin_l(collect(x[src], dst) / n) + self.lin_r(x)


class GAT(nn.Module):
    def __init__(self, heads, join):
        super().__init__()
        self.heads, self.join = heads, join
        self.att_src, self.att_dst = (nn.Parameter(torch.randn(1, heads, 3)) for _ in range(2))
        self.bias = nn.Parameter(torch.zeros(heads * 3 if join else 3))
        self.lin = nn.Linear(4, heads * 3, bias=False)

    def forward(self, x, src, dst):
        h = self.lin(x).unflatten(-1, (self.heads, 3))
        a, b = (h * self.att_src).sum(-1), (h * self.att_dst).sum(-1)
        e = nn.functional.leaky_relu(a[src] + b[dst], 0.2).exp()
        w = e / collect(e, dst)[dst]
        y = collect(w[..., None] * h[src], dst)
        return (y.flatten(1) if self.join else y.mean(1)) + self.bias


function("gcn_norm(src, dst, 7)", norm, **ends)
layer("GCNConv(4, 3)", GCN, x=x, **ends, w=within(0.2, 1, B))
layer("SAGEConv(4, 3)", SAGE, x=x, **ends)
layer("GATConv(4, 3, heads = 2)", lambda: GAT(2, True), x=x, **ends)
layer("GATConv(4, 3, heads = 3, concat = false)", lambda: GAT(3, False), x=x, **ends)
