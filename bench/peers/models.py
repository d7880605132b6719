"""The networks that peers are timed with, as PyTorch modules; one entry a case of bench/cases.

CASES: name -> (what is timed, module, inputs, targets). Peers compute logits only; ours also the softmax and the
label, so a comparison errs in their favour.
"""
import torch
from torch import nn


def perceptron():
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))


def pixels(count):
    return lambda: torch.rand(count, 784) - 0.5


def labels(count):
    return lambda: torch.randint(10, (count,))


CASES = {
    "mlp_b1_infer": ("infer", perceptron, pixels(1), None),
    "mlp_b128_infer": ("infer", perceptron, pixels(128), None),
    "mlp_b128_train": ("train", perceptron, pixels(128), labels(128)),
}
