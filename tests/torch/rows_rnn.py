"""Recurrent layers."""
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from table import B, layer, real, whole

x, state = real(B, 4), real(B, 3)
sequence = real(B, 5, 4)


def flat(y):
    """Output and states one by one."""
    out, states = y
    return (out, *states) if isinstance(states, tuple) else (out, states)


def packed(m, x, lengths, *states):
    begin = tuple(states) if len(states) > 1 else states[0] if states else None
    out, h = m(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False), begin)
    return flat((pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])[0], h))


for name in ("RNN", "GRU", "LSTM"):
    make, cell = getattr(nn, name), getattr(nn, name + "Cell")
    two = name == "LSTM"
    states = dict(h=state, c=state) if two else dict(h=state)
    step = (lambda m, x, *s: m(x, s)) if two else None
    layer(f"{name}Cell(4, 3)", lambda cell=cell: cell(4, 3), torch_call=step, x=x, **states)
    layer(f"{name}Cell(4, 3, bias = false)", lambda cell=cell: cell(4, 3, bias=False), torch_call=step, x=x, **states)
    plain = lambda m, x: flat(m(x))
    layer(f"{name}(4, 3)", lambda make=make: make(4, 3, batch_first=True), torch_call=plain, x=sequence)
    layer(f"{name}(4, 3, bias = false)", lambda make=make: make(4, 3, bias=False, batch_first=True), torch_call=plain,
          x=sequence)
    layer(f"{name}(4, 3, num_layers = 2, bidirectional = true)",
          lambda make=make: make(4, 3, 2, bidirectional=True, batch_first=True), torch_call=plain, x=sequence)
    given = {n: real(2, B, 3) for n in states}
    names = ", ".join(f"{n}0 = {n}" for n in given)
    layer(f"{name}(4, 3, num_layers = 2)", lambda make=make: make(4, 3, 2, batch_first=True),
          call=f"{{l}}(x, {names})", torch_call=lambda m, x, *s: flat(m(x, s if len(s) > 1 else s[0])), x=sequence,
          **given)
    layer(f"{name}(4, 3, bidirectional = true)", lambda make=make: make(4, 3, bidirectional=True, batch_first=True),
          call="{l}(x, lengths = n)", torch_call=packed, x=sequence, n=whole(6, B, least=1))
    layer(f"{name}(4, 3)", lambda make=make: make(4, 3, batch_first=True), call=f"{{l}}(x, lengths = n, {names})",
          torch_call=packed, x=sequence, n=whole(6, B, least=1), **{n: real(1, B, 3) for n in states})
layer('RNNCell(4, 3, nonlinearity = "relu")', lambda: nn.RNNCell(4, 3, nonlinearity="relu"), x=x, h=state)
layer('RNN(4, 3, nonlinearity = "relu")', lambda: nn.RNN(4, 3, nonlinearity="relu", batch_first=True),
      torch_call=lambda m, x: flat(m(x)), x=sequence)
for p in ("0.4",):
    layer(f"LSTM(4, 3, num_layers = 2, dropout = {p})", lambda: nn.LSTM(4, 3, 2, dropout=0.4, batch_first=True),
          training=False, torch_call=lambda m, x: flat(m(x)), x=sequence)
