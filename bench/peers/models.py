"""The networks that peers are timed with, as PyTorch modules; one entry a case of bench/cases.

CASES: name -> (task, module, inputs, targets): task is "infer" or "train", the others are functions that make them.
The networks are those of bench/models, layer for layer.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


def perceptron():
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def conv_norm(inputs, outputs, kernel, stride=1, groups=1, activation=None):
    padding = (kernel - 1) // 2
    layers = [nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
    return layers + ([activation()] if activation else [])


class Residual(nn.Module):
    """`layers` beside `shortcut`, added, and then `after`."""

    def __init__(self, layers, shortcut=(), after=nn.Identity):
        super().__init__()
        self.layers, self.shortcut, self.after = nn.Sequential(*layers), nn.Sequential(*shortcut), after()

    def forward(self, x):
        return self.after(self.layers(x) + self.shortcut(x))


def resnet(depth):
    """He and others, 2016: plain blocks for depth 18, bottlenecks for 50."""
    bottleneck = depth == 50
    counts = (3, 4, 6, 3) if bottleneck else (2, 2, 2, 2)
    layers, width = conv_norm(3, 64, 7, 2, activation=nn.ReLU) + [nn.MaxPool2d(3, 2, 1)], 64
    for stage, count in enumerate(counts):
        middle = 64 << stage
        outputs = 4 * middle if bottleneck else middle
        for block in range(count):
            stride = 2 if stage and not block else 1
            if bottleneck:
                parts = conv_norm(width, middle, 1, activation=nn.ReLU)
                parts += conv_norm(middle, middle, 3, stride, activation=nn.ReLU) + conv_norm(middle, outputs, 1)
            else:
                parts = conv_norm(width, outputs, 3, stride, activation=nn.ReLU) + conv_norm(outputs, outputs, 3)
            shortcut = conv_norm(width, outputs, 1, stride) if stride != 1 or width != outputs else ()
            layers.append(Residual(parts, shortcut, nn.ReLU))
            width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 1000))


def mobilenet():
    """Sandler and others, 2018; rows of expansion, width, blocks, stride."""
    layers, width = conv_norm(3, 32, 3, 2, activation=nn.ReLU6), 32
    for expansion, outputs, count, stride in [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                                              (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]:
        for block in range(count):
            step, hidden = stride if block == 0 else 1, width * expansion
            parts = conv_norm(width, hidden, 1, activation=nn.ReLU6) if expansion > 1 else []
            parts += conv_norm(hidden, hidden, 3, step, hidden, nn.ReLU6) + conv_norm(hidden, outputs, 1)
            layers += [Residual(parts)] if step == 1 and width == outputs else parts
            width = outputs
    layers += conv_norm(width, 1280, 1, activation=nn.ReLU6)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000))


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.output = nn.Embedding(65, 128), nn.Linear(256, 65)
        self.lstm = nn.LSTM(128, 256, 2, batch_first=True)

    def forward(self, x):
        return self.output(self.lstm(self.embedding(x))[0])


class Attend(nn.Module):
    """Scaled dot-product attention."""

    def __init__(self, causal, length):
        super().__init__()
        self.causal = causal
        self.register_buffer("later", torch.ones(length, length, dtype=torch.bool).triu(1))

    def forward(self, q, k, v):
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if self.causal:
            scores = scores.masked_fill(self.later, -math.inf)
        return scores.softmax(-1) @ v


class SelfAttention(nn.Module):
    def __init__(self, d, heads, causal, length):
        super().__init__()
        self.heads, self.attend = heads, Attend(causal, length)
        self.project, self.output = nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x):
        batch, length, d = x.shape
        qkv = self.project(x).view(batch, length, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return self.output(self.attend(*qkv.unbind(0)).transpose(1, 2).reshape(batch, length, d))


class Block(nn.Module):
    def __init__(self, d, heads, causal, length):
        super().__init__()
        self.attention = SelfAttention(d, heads, causal, length)
        self.feed = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))
        self.norm1, self.norm2, self.norm_first = nn.LayerNorm(d), nn.LayerNorm(d), causal

    def forward(self, x):
        if self.norm_first:
            x = x + self.attention(self.norm1(x))
            return x + self.feed(self.norm2(x))
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.feed(x))


class Transformer(nn.Module):
    """GPT-2 (Radford and others, 2019) where causal, its output tied to the embedding; else BERT's encoder."""

    def __init__(self, length, vocab, context, layers=12, d=768, heads=12, causal=True):
        super().__init__()
        self.tokens, self.positions, self.causal = nn.Embedding(vocab, d), nn.Embedding(context, d), causal
        self.blocks = nn.Sequential(*[Block(d, heads, causal, length) for _ in range(layers)])
        self.norm = nn.LayerNorm(d)

    def forward(self, x):
        h = self.norm(self.blocks(self.tokens(x) + self.positions.weight[:x.shape[1]]))
        return h @ self.tokens.weight.t() if self.causal else h


class Exp(nn.Module):
    def forward(self, x):
        return x.exp()


def floats(*shape):
    return lambda: torch.rand(*shape) - 0.5


def ids(limit, *shape):
    return lambda: torch.randint(limit, shape)


def heads(length, causal):
    return ("infer", lambda: Attend(causal, length), lambda: [floats(12, length, 64)() for _ in range(3)], None)


def gpt2(length):
    return Transformer(length, 50257, 1024)


CASES = {
    "mlp_b1_infer": ("infer", perceptron, floats(1, 784), None),
    "mlp_b128_infer": ("infer", perceptron, floats(128, 784), None),
    "mlp_b128_train": ("train", perceptron, floats(128, 784), ids(10, 128)),
    "lenet_b1_infer": ("infer", lenet, floats(1, 1, 28, 28), None),
    "lenet_b64_train": ("train", lenet, floats(64, 1, 28, 28), ids(10, 64)),
    "resnet18_b1_infer": ("infer", lambda: resnet(18), floats(1, 3, 224, 224), None),
    "resnet18_b8_train": ("train", lambda: resnet(18), floats(8, 3, 224, 224), ids(1000, 8)),
    "resnet50_b1_infer": ("infer", lambda: resnet(50), floats(1, 3, 224, 224), None),
    "mobilenetv2_b1_infer": ("infer", mobilenet, floats(1, 3, 224, 224), None),
    "mobilenetv2_b8_train": ("train", mobilenet, floats(8, 3, 224, 224), ids(1000, 8)),
    "lstm_b32_infer": ("infer", Lstm, ids(65, 32, 64), None),
    "lstm_b32_train": ("train", Lstm, ids(65, 32, 64), ids(65, 32, 64)),
    "bert_t128_infer": ("infer", lambda: Transformer(128, 30522, 512, causal=False), ids(30000, 1, 128), None),
    "gpt2_t64_infer": ("infer", lambda: gpt2(64), ids(50257, 1, 64), None),
    "nanogpt_b8_t128_train": ("train", lambda: Transformer(128, 65, 256, 6, 384, 6), ids(65, 8, 128), ids(65, 8, 128)),
    "gpt2_b4_t64_train": ("train", lambda: gpt2(64), ids(50257, 4, 64), ids(50257, 4, 64)),
    "softmax_1024_768": ("infer", lambda: nn.Softmax(-1), floats(1024, 768), None),
    "layer_norm_1024_768": ("infer", lambda: nn.LayerNorm(768), floats(1024, 768), None),
    "exp_1024_768": ("infer", Exp, floats(1024, 768), None),
    "attention_t64": heads(64, False),
    "attention_t128": heads(128, False),
    "attention_t512": heads(512, False),
    "attention_causal_t128": heads(128, True),
    "attention_causal_t512": heads(512, True),
}
