"""Convolution, windows, overlap-add, pooling by windows, padding between elements."""
import torch
import torch.nn.functional as F

from table import B, at, function, real

nan = float("nan")
x1, x2, x3 = real(B, 4, 19), real(B, 4, 9, 7), real(2, 2, 4, 5, 6)


def padded(x, sizes):
    return F.pad(x, sizes)


# ----------------------------------------------------------------- convolution
function("conv(x, w)", lambda x, w: F.conv1d(x, w), x=x1, w=real(6, 4, 3))
function("conv(x, w, stride = 2, padding = 1)", lambda x, w: F.conv2d(x, w, stride=2, padding=1), x=x2, w=real(5, 4, 3, 3))
function("conv(x, w, padding = [[2, 0], [-1, 1]], dilation = [2, 1])",
         lambda x, w: F.conv2d(padded(x, (-1, 1, 2, 0)), w, dilation=(2, 1)), x=x2, w=real(5, 4, 3, 2))
function("conv(x, w, padding = 1, groups = 2)", lambda x, w: F.conv2d(x, w, padding=1, groups=2), x=x2,
         w=real(6, 2, 3, 3))
function("conv(x, w, padding = 1, groups = 4)", lambda x, w: F.conv2d(x, w, padding=1, groups=4), x=x2,
         w=real(8, 1, 3, 3))
function("conv(x, w, stride = [1, 2, 1], padding = [0, 1, 2])",
         lambda x, w: F.conv3d(x, w, stride=(1, 2, 1), padding=(0, 1, 2)), x=x3, w=real(3, 2, 2, 3, 3))
function("conv(x, reverse(transpose(w, [1, 0, 2]), axis = 2), padding = [[1, 2]], input_dilation = 2)",
         lambda x, w: F.conv_transpose1d(x, w, stride=2, padding=1, output_padding=1), x=x1, w=real(4, 3, 3))
function("relu(conv(x, w, padding = 1) + reshape(b, [5, 1, 1])) * y",
         lambda x, w, b, y: F.relu(F.conv2d(x, w, b, padding=1)) * y, x=x2, w=real(5, 4, 3, 3), b=real(5),
         y=real(B, 5, 9, 7))

# --------------------------------------------------------------------- windows
function("windows(x, 2, 5, stride = 3)", lambda x: x.unfold(2, 5, 3), x=x1)
function("windows(x, [-2, -1], [3, 2], dilation = [1, 2])", lambda x: x.unfold(2, 3, 1).unfold(3, 3, 1)[..., ::2], x=x2)
function("overlap_add(w, [1, 2], [7, 8], stride = [2, 1])",
         lambda w: F.fold(w.permute(0, 3, 4, 1, 2).reshape(w.shape[0], 6, -1), (7, 8), (3, 2), stride=(2, 1))[:, 0],
         w=real(B, 3, 7, 3, 2))
function("max(windows(x, [2, 3], 3, stride = 2), axis = [-2, -1], first = true)", lambda x: F.max_pool2d(x, 3, 2), x=x2)
function("max(windows(x, [0, 1], 2), axis = [2, 3], first = true)",
         lambda x: F.max_pool2d(x[None, None], 2, 1)[0, 0], x=at([1, 1, 2, 2], [1, 1, 2, 2], [0, nan, 5, 5], [3, 3, 5, 5]))
function("max(windows(pad(x, [0, 0, 1], [0, 0, 1], log(0.0)), 2, 3, 2), axis = -1)", lambda x: F.max_pool1d(x, 3, 2, 1), x=x1)
function("mean(windows(x, [2, 3], [2, 3], [1, 2]), axis = [-2, -1])", lambda x: F.avg_pool2d(x, (2, 3), (1, 2)), x=x2)
function("pad(x, [0, 0, 1], [0, 0, -2], interior = [0, 0, 2])",
         lambda x: padded(F.conv_transpose1d(x.reshape(-1, 1, 19), torch.ones(1, 1, 1, dtype=x.dtype), stride=3)
                          .reshape(x.shape[0], 4, 55), (1, -2)), x=x1)
