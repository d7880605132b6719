"""Blocks of convolutional networks. torchvision is not asked for: its blocks are made here of PyTorch's layers, with the
names of their parameters."""
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from table import B, check, function, layer, network, real
from rows_math import dropped

several = (6, 13, 2, 9)
image = real(B, 4, 5, 6)


def both(code, make, **inputs):
    """Training with batches of more than one, and evaluating."""
    layer(code, make, batches=several, **inputs)
    layer(code, make, training=False, **inputs)


class ConvNorm(nn.Sequential):
    def __init__(self, i, o, k=3, s=1, groups=1, activation=nn.ReLU, dilation=1, norm=True, **options):
        parts = [nn.Conv2d(i, o, k, s, (k - 1) // 2 * dilation, dilation, groups, bias=not norm)]
        parts += [nn.BatchNorm2d(o, **options)] if norm else []
        super().__init__(*parts, *([activation()] if activation else []))


both("ConvNorm(4, 6)", lambda: ConvNorm(4, 6), x=image)
both("ConvNorm(4, 6, 5, 2, 2, silu, eps = 1e-3, momentum = 0.01)",
     lambda: ConvNorm(4, 6, 5, 2, 2, nn.SiLU, eps=1e-3, momentum=0.01), x=image)
layer("ConvNorm(4, 6, activation = identity, dilation = 2, norm = false)",
      lambda: ConvNorm(4, 6, activation=None, dilation=2, norm=False), x=image)


class Residual(nn.Module):
    """BasicBlock or Bottleneck: convolutions (out, kernel, stride, dilation, groups) with normalisations behind."""

    def __init__(self, inplanes, convolutions, stride):
        super().__init__()
        self.count, planes = len(convolutions), inplanes
        for i, (out, k, s, d, g) in enumerate(convolutions, 1):
            setattr(self, f"conv{i}", nn.Conv2d(planes, out, k, s, d * (k // 2), d, g, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(out))
            planes = out
        self.downsample = nn.Identity() if stride == 1 and inplanes == planes else nn.Sequential(
            nn.Conv2d(inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = F.relu(y if i < self.count else y + self.downsample(x))
        return y


def basic(inplanes, planes, stride=1):
    return Residual(inplanes, [(planes, 3, stride, 1, 1), (planes, 3, 1, 1, 1)], stride)


def bottleneck(inplanes, planes, stride=1, groups=1, base=64, dilation=1):
    width = planes * base // 64 * groups
    return Residual(inplanes, [(width, 1, 1, 1, 1), (width, 3, stride, dilation, groups), (4 * planes, 1, 1, 1, 1)],
                    stride)


both("BasicBlock(4, 4)", lambda: basic(4, 4), x=image)
both("BasicBlock(4, 6, 2)", lambda: basic(4, 6, 2), x=image)
both("Bottleneck(4, 1)", lambda: bottleneck(4, 1), x=image)
both("Bottleneck(4, 3, stride = 2)", lambda: bottleneck(4, 3, 2), x=image)
both("Bottleneck(4, 4, 1, groups = 2, base_width = 32, dilation = 2)", lambda: bottleneck(4, 4, 1, 2, 32, 2), x=image)


class ResNet(nn.Module):
    def __init__(self, block, expansion, layers, classes, channels, width=64):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width)
        planes = width
        for i, count in enumerate(layers):
            blocks = []
            for k in range(count):
                blocks.append(block(planes, width << i, 2 if i and not k else 1))
                planes = expansion * width << i
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(planes, classes) if classes else nn.Identity()

    def features(self, x):
        y, found = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1), []
        for i in range(1, 5):
            y = getattr(self, f"layer{i}")(y)
            found.append(y)
        return found

    def forward(self, x):
        return self.fc(self.features(x)[3].mean((2, 3)))


picture = real(B, 1, 32, 35)
layer("ResNet(BasicBlock, [1, 2, 1, 1], 0, 1, width = 4)", lambda: ResNet(basic, 1, [1, 2, 1, 1], 0, 1, 4),
      call="{l}.features(x, training = false)", torch_call=lambda m, x: m.features(x), training=False, batches=(2,), x=picture)
network("ResNet(BasicBlock, [1, 2, 1, 1], 3, 1)", lambda: ResNet(basic, 1, [1, 2, 1, 1], 3, 1), x=picture)
network("ResNet18(3, 1)", lambda: ResNet(basic, 1, [2, 2, 2, 2], 3, 1), x=picture)
network("ResNet34(0, 1)", lambda: ResNet(basic, 1, [3, 4, 6, 3], 0, 1), x=picture)
network("ResNet(Bottleneck, [1, 2, 1, 1], 3, 1, 8)", lambda: ResNet(bottleneck, 4, [1, 2, 1, 1], 3, 1, 8), x=picture)
network("ResNet50(3, 1)", lambda: ResNet(bottleneck, 4, [3, 4, 6, 3], 3, 1), x=picture)

# ------------------------------------------------------------------------ dense


class DenseLayer(nn.Module):
    def __init__(self, n, growth, size):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(n), nn.Conv2d(n, size * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(size * growth)
        self.conv2 = nn.Conv2d(size * growth, growth, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))


class DenseBlock(nn.Sequential):
    def __init__(self, count, n, size, growth):
        super().__init__(OrderedDict((f"denselayer{i + 1}", DenseLayer(n + i * growth, growth, size))
                                     for i in range(count)))

    def forward(self, x):
        for l in self:
            x = torch.cat([x, l(x)], 1)
        return x


both("DenseLayer(4, 2)", lambda: DenseLayer(4, 2, 4), x=image)
layer("DenseLayer(4, 2, 3, drop_rate = 0.5)", lambda: DenseLayer(4, 2, 3), training=False, x=image)
both("DenseBlock(3, 4, 2, 3)", lambda: DenseBlock(3, 4, 2, 3), x=image)
both("DenseTransition(4, 2)", lambda: nn.Sequential(OrderedDict(
    norm=nn.BatchNorm2d(4), relu=nn.ReLU(), conv=nn.Conv2d(4, 2, 1, bias=False), pool=nn.AvgPool2d(2))), x=image)

# ------------------------------------------------- squeezed, inverted, left out by chance


class SqueezeExcitation(nn.Module):
    def __init__(self, n, squeezed, activation=nn.ReLU(), scale=nn.Sigmoid()):
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(n, squeezed, 1), nn.Conv2d(squeezed, n, 1)
        self.activation, self.scale = activation, scale

    def forward(self, x):
        return x * self.scale(self.fc2(self.activation(self.fc1(x.mean((2, 3), keepdim=True)))))


class Inverted(nn.Module):
    def __init__(self, name, same, *parts):
        super().__init__()
        self.name, self.same = name, same
        setattr(self, name, nn.Sequential(*parts))

    def forward(self, x):
        y = getattr(self, self.name)(x)
        return x + y if self.same else y


def inverted(i, o, stride, ratio):
    expand = [ConvNorm(i, i * ratio, 1, activation=nn.ReLU6)] if ratio != 1 else []
    return Inverted("conv", stride == 1 and i == o, *expand,
                    ConvNorm(i * ratio, i * ratio, 3, stride, i * ratio, nn.ReLU6),
                    nn.Conv2d(i * ratio, o, 1, bias=False), nn.BatchNorm2d(o))


def mbconv(i, o, hidden, kernel, stride, **options):
    expand = [ConvNorm(i, hidden, 1, activation=nn.SiLU, **options)] if hidden != i else []
    return Inverted("block", stride == 1 and i == o, *expand,
                    ConvNorm(hidden, hidden, kernel, stride, hidden, nn.SiLU, **options),
                    SqueezeExcitation(hidden, max(1, i // 4), nn.SiLU()),
                    ConvNorm(hidden, o, 1, activation=None, **options))


layer("SqueezeExcitation(4, 2)", lambda: SqueezeExcitation(4, 2), x=image)
layer("SqueezeExcitation(4, 1, silu, hardsigmoid)",
      lambda: SqueezeExcitation(4, 1, nn.SiLU(), nn.Hardsigmoid()), x=image)
both("InvertedResidual(4, 4)", lambda: inverted(4, 4, 1, 6), x=image)
both("InvertedResidual(4, 6, 2, 2)", lambda: inverted(4, 6, 2, 2), x=image)
both("InvertedResidual(4, 4, 1, 1)", lambda: inverted(4, 4, 1, 1), x=image)
both("MBConv(4, 4)", lambda: mbconv(4, 4, 24, 3, 1), x=image)
both("MBConv(4, 6, 5, 2, expand_ratio = 4.0, eps = 1e-3, momentum = 0.01)",
     lambda: mbconv(4, 6, 16, 5, 2, eps=1e-3, momentum=0.01), x=image)
both("MBConv(8, 8, expand_ratio = 1.0)", lambda: mbconv(8, 8, 8, 3, 1), x=real(B, 8, 5, 6))
layer("MBConv(4, 4, stochastic_depth_prob = 0.5)", lambda: mbconv(4, 4, 24, 3, 1), training=False, x=image)
function("stochastic_depth(x, 0.3)", lambda x: x, x=image)               # not training
check("stochastic_depth, training", """
    export fn {f}() {
        let x = ones([64, 8, 2, 2])
        let y = stochastic_depth(x, 0.3, training = true)
        let all, nothing = stochastic_depth(x, 0, training = true), stochastic_depth(x, 1, training = true)
        require sum(abs(all - x)) == 0 and sum(abs(nothing)) == 0, "all or nothing"
        return reshape(y, [64, 32]), reshape(grad(sum(y), x), [64, 32])
    }
""", dropped(0.3, True))
