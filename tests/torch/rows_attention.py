"""Embeddings, positions, attention, Transformers."""
import math

import torch
import torch.nn.functional as F
from torch import nn

from table import B, Input, at, check, edges, flags, function, layer, real, whole, wholes

inf = float("inf")

# --------------------------------------------------------------------------- embedding
layer("Embedding(7, 4)", lambda: nn.Embedding(7, 4), i=whole(7, B, 3))
for padding in (2, -1):
    layer(f"Embedding(7, 4, padding_idx = {padding})", lambda p=padding: nn.Embedding(7, 4, padding_idx=p),
          i=whole(7, B, 3))
function("embedding(i, w)", F.embedding, i=whole(7, B), w=real(7, 4))
for mode in ("mean", "sum"):
    layer(f'EmbeddingBag(7, 4, mode = "{mode}")', lambda m=mode: nn.EmbeddingBag(7, 4, mode=m), i=whole(7, B, 3))
    layer(f'EmbeddingBag(7, 4, mode = "{mode}", padding_idx = 2)',
          lambda m=mode: nn.EmbeddingBag(7, 4, mode=m, padding_idx=2), i=whole(4, B, 3))


def untouched(call):
    w, = call()
    return [] if abs(w[2]).max() == 0 and abs(w[[0, 1, 3]]).min(axis=1).max() > 0 else [f"initial rows {w}"]


check("Embedding's row for padding begins as 0", """
    let {l} = Embedding(4, 3, padding_idx = 2)
    export fn {f}() { {l}.weight * 1.0 }
""", untouched)

# --------------------------------------------------------------------------- positions


def sinusoidal(n, d, kind, offset=0):
    p = torch.arange(offset, offset + n, dtype=kind)[:, None]
    f = torch.exp(torch.arange(0, d, 2, dtype=kind) * (-math.log(10000.0) / d))
    return torch.stack([torch.sin(p * f), torch.cos(p * f)], -1).flatten(1)


def rotary(x, offset=0, interleaved=False):
    h = x.shape[-1] // 2
    angle = torch.arange(offset, offset + x.shape[-2], dtype=x.dtype)[:, None] * \
        10000.0 ** (-torch.arange(h, dtype=x.dtype) / h)
    a, b = (x[..., ::2], x[..., 1::2]) if interleaved else x.chunk(2, -1)
    parts = [a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()]
    return torch.stack(parts, -1).flatten(-2) if interleaved else torch.cat(parts, -1)


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(9, 4))

    def forward(self, x, offset=0):
        return x + self.weight[offset:offset + x.shape[-2]]


function("x + sinusoidal_positions(9, 6)", lambda x: x + sinusoidal(9, 6, x.dtype), x=real(B, 9, 6))
function("x + sinusoidal_positions(dims(x)[0], 6, offset = 3)",
         lambda x: x + sinusoidal(len(x), 6, x.dtype, 3), x=real(B, 6))
function("rotary(x)", rotary, x=real(B, 3, 7, 6))
function("rotary(x, offset = i)", lambda x, i: rotary(x, int(i)), x=real(B, 7, 6), i=whole(100))
function("rotary(x, offset = 2, interleaved = true)", lambda x: rotary(x, 2, True), x=real(B, 7, 6))
layer("LearnedPositions(9, 4)", Positions, x=real(B, 5, 4))
layer("LearnedPositions(9, 4)", Positions, call="{l}(x, offset = i)",
      torch_call=lambda m, x, i: m(x, int(i)), x=real(B, 5, 4), i=whole(4))

# --------------------------------------------------------------------------- attention


def sdpa(q, k, v, keep=None, bias=None, scale=None):
    if q.dim() > 2:
        k, v = (t.repeat_interleave(q.shape[-3] // t.shape[-3], -3) for t in (k, v))
    s = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if bias is not None:
        s = s + bias
    if keep is not None:
        s = s.masked_fill(~keep, -inf)
    return torch.nan_to_num(s.softmax(-1)) @ v


def tril(t, s, offset=0):
    return torch.ones(t, s, dtype=torch.bool).tril(offset)


qkv = dict(q=real(B, 4, 5, 3), k=real(B, 4, 6, 3), v=real(B, 4, 6, 2))
grouped = dict(q=real(B, 4, 5, 3), k=real(B, 2, 6, 3), v=real(B, 2, 6, 2))
function("sdpa(q, k, v)", sdpa, **qkv)
function("sdpa(q, k, v, scale = 0.3)", lambda q, k, v: sdpa(q, k, v, scale=0.3), **grouped)
function("sdpa(q, k, v)", sdpa, q=real(B, 3), k=real(6, 3), v=real(6, 2))
for name, inputs in (("", qkv), ("", grouped)):
    function("sdpa(q, k, v, causal = true)", lambda q, k, v: sdpa(q, k, v, tril(5, 6)), **inputs)
    function("sdpa(q, k, v, causal = true, offset = i)", lambda q, k, v, i: sdpa(q, k, v, tril(5, 6, int(i))),
             **inputs, i=whole(3, least=-3))
    function("sdpa(q, k, v, mask = m)", lambda q, k, v, m: sdpa(q, k, v, m), **inputs, m=flags(B, 1, 5, 6, p=0.5))
    function("sdpa(q, k, v, mask = m, causal = true)", lambda q, k, v, m: sdpa(q, k, v, m & tril(5, 6)), **inputs,
             m=flags(B, 4, 5, 6))
    function("sdpa(q, k, v, mask = m)", lambda q, k, v, m: sdpa(q, k, v, bias=m), **inputs, m=real(5, 6))
edges("sdpa(q, k, v, mask = m)", lambda q, k, v, m: sdpa(q, k, v, bias=m), q=at([1, 2], [0, 1]), k=at([1, 0], [1, 1]),
      v=at([3, 4], [5, 6]), m=at([-inf, 0], [0, 0], grad=False))
edges("sdpa(q, k, v, mask = m)", lambda q, k, v, m: torch.stack([0 * v[0], v.mean(0)]),
      q=at([1, 2], [0, 0], grad=False), k=at([1, 0], [1, 1], grad=False), v=at([3, 4], [5, 6]),
      m=at([-inf, -inf], [0, 0], grad=False))

sequence, other = real(B, 5, 8), real(B, 6, 8)
attend = lambda m, *a, **o: m(*a, need_weights=False, **o)[0]


def attention(*args, **options):
    return lambda: nn.MultiheadAttention(*args, batch_first=True, **options)




def hidden(*shape):
    """A mask of PyTorch's, true where a key is not seen; the first one always is, for else PyTorch gives NaN."""
    def draw(random, sizes):
        mask = random.uniform(size=sizes) < 0.4
        mask[..., 0] = False
        return mask
    return Input(shape, draw, "bool")


for more, inputs, options in [
        ("attn_mask = m", dict(m=hidden(5, 6)), lambda m: dict(attn_mask=m)),
        ("attn_mask = m", dict(m=real(5, 6)), lambda m: dict(attn_mask=m)),
        ("key_padding_mask = p", dict(p=hidden(B, 6)), lambda p: dict(key_padding_mask=p)),
        ("attn_mask = m, key_padding_mask = p", dict(m=hidden(5, 6), p=hidden(B, 6)),
         lambda m, p: dict(attn_mask=m, key_padding_mask=p)),
        ("attn_mask = m, key_padding_mask = p", dict(m=real(5, 6), p=hidden(B, 6)),
         lambda m, p: dict(attn_mask=m, key_padding_mask=p))]:
    layer("MultiheadAttention(8, 2)", attention(8, 2), call=f"{{l}}(x, y, y, {more})",
          torch_call=lambda m, x, y, *a, o=options: attend(m, x, y, y, **o(*a)), x=sequence, y=other, **inputs)
layer("MultiheadAttention(8, 2)", attention(8, 2), call="{l}(x)", torch_call=lambda m, x: attend(m, x, x, x),
      x=sequence)
layer("MultiheadAttention(8, 2, bias = false)", attention(8, 2, bias=False), call="{l}(x, y)",
      torch_call=lambda m, x, y: attend(m, x, y, y), x=sequence, y=other)
layer("MultiheadAttention(8, 2, kdim = 5, vdim = 3)", attention(8, 2, kdim=5, vdim=3), call="{l}(x, y, z)",
      torch_call=attend, x=sequence, y=real(B, 6, 5), z=real(B, 6, 3))
layer("MultiheadAttention(8, 4)", attention(8, 4), call="{l}(x, causal = true)",
      torch_call=lambda m, x: attend(m, x, x, x, attn_mask=~tril(5, 5)), x=sequence)


class Grouped(nn.Module):
    """Grouped-query attention, of linear maps and sdpa."""

    def __init__(self):
        super().__init__()
        self.in_proj_weight, self.in_proj_bias = nn.Parameter(torch.zeros(16, 8)), nn.Parameter(torch.zeros(16))
        self.out_proj = nn.Linear(8, 8)

    def forward(self, x, keep=None):
        q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).split([8, 4, 4], -1)
        q, k, v = (t.unflatten(-1, (-1, 2)).transpose(1, 2) for t in (q, k, v))
        return self.out_proj(sdpa(q, k, v, keep).transpose(1, 2).flatten(2))


layer("MultiheadAttention(8, 4, kv_heads = 2)", Grouped, call="{l}(x)", x=sequence)
layer("MultiheadAttention(8, 4, kv_heads = 2)", Grouped, call="{l}(x, causal = true)",
      torch_call=lambda m, x: m(x, tril(5, 5)), x=sequence)

# ------------------------------------------------------------------------ Transformers
for first in (False, True):
    flag = str(first).lower()
    layer(f"TransformerEncoderLayer(8, 2, 12, dropout = 0.0, norm_first = {flag})",
          lambda f=first: nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=f), x=sequence)
    layer(f"TransformerEncoderLayer(8, 2, 12, 0.3, gelu, 1e-3, {flag})",
          lambda f=first: nn.TransformerEncoderLayer(8, 2, 12, 0.3, F.gelu, 1e-3, True, f), training=False, x=sequence)
    layer(f"TransformerDecoderLayer(8, 2, 12, dropout = 0.0, norm_first = {flag})",
          lambda f=first: nn.TransformerDecoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=f), x=sequence,
          y=other)
    layer(f"TransformerDecoderLayer(8, 2, 12, 0.0, gelu, 1e-3, {flag})",
          lambda f=first: nn.TransformerDecoderLayer(8, 2, 12, 0.0, F.gelu, 1e-3, True, f),
          call="{l}(x, y, memory_key_padding_mask = p, causal = true)",
          torch_call=lambda m, x, y, p: m(x, y, tgt_mask=~tril(5, 5), memory_key_padding_mask=p), x=sequence, y=other,
          p=hidden(B, 6))
layer("TransformerEncoderLayer(8, 2, 12, dropout = 0.0)",
      lambda: nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True), call="{l}(x, m, p)",
      torch_call=lambda m, x, mask, p: m(x, mask, p), x=sequence, m=hidden(5, 5), p=hidden(B, 5))
layer("TransformerEncoder(8, 2, 2, 12, dropout = 0.0)", lambda: nn.TransformerEncoder(
    nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True), 2), call="{l}(x, causal = true)",
      torch_call=lambda m, x: m(x, ~tril(5, 5)), x=sequence)
layer("TransformerEncoder(8, 2, 2, 12, dropout = 0.0, norm_first = true, final_norm = true)",
      lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True, norm_first=True), 2,
                                    nn.LayerNorm(8)), x=sequence)
layer("TransformerDecoder(8, 2, 2, 12, dropout = 0.0, final_norm = true)", lambda: nn.TransformerDecoder(
    nn.TransformerDecoderLayer(8, 2, 12, 0.0, batch_first=True), 2, nn.LayerNorm(8)), x=sequence, y=other)
layer("Transformer(8, 2, 1, 2, 12, dropout = 0.0)", lambda: nn.Transformer(8, 2, 1, 2, 12, 0.0, batch_first=True),
      call="{l}(x, y, causal = true)", torch_call=lambda m, x, y: m(x, y, tgt_mask=~tril(6, 6)), x=sequence, y=other)
