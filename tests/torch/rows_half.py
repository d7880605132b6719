"""f16 and bf16: what the library sums up, or takes through large numbers, is computed in f32 and rounded once. The
yardstick is PyTorch in f64 from the same narrow inputs."""
import numpy as np
import torch
import torch.nn.functional as F

from table import check

KINDS = {"f16": (torch.float16, 2.0 ** -11), "bf16": (torch.bfloat16, 2.0 ** -8)}


def near(kind, counterpart, arguments):
    """Each element within half a unit in the last place, and a little for f32."""
    narrow, half = KINDS[kind]

    def verify(call):
        given = [torch.tensor(a, dtype=torch.float32).to(narrow) for a in arguments]
        ours = call(*[g.float().numpy() for g in given])
        theirs = counterpart(*[g.double() for g in given])
        wrong = []
        for k, (a, b) in enumerate(zip(ours, theirs)):
            off = np.abs(np.asarray(a) - b.numpy()) - 1.01 * half * np.abs(b.numpy()) - 1e-7
            if not np.all(off <= 0):
                wrong.append(f"result {k}: {np.asarray(a).tolist()} instead of {b.tolist()}")
        return wrong
    return verify


random = np.random.RandomState(5)
large = 100 * random.standard_normal((4, 64)) + 50
for kind in KINDS:
    check(f"sums in {kind}", f"""
    export fn {{f}}(a: f32[4, 64]) {{
        let x = {kind}(a)
        let m, v = moments(x, axis = 1)
        return f32(mean(x)), f32(norm(x)), f32(variance(x, 1)), f32(m), f32(v), f32(logsumexp(x, 1)),
            f32(mean(full([4, 100000], {kind}(0.25))))
    }}
""", near(kind, lambda x: (x.mean(), x.norm(), x.var(1, unbiased=False), x.mean(1), x.var(1, unbiased=False),
                           x.logsumexp(1), torch.tensor(0.25)), [large]))
    check(f"normalisation in {kind}", f"""
    export fn {{f}}(a: f32[4, 64]) {{
        let x = {kind}(a)
        return f32(softmax(x / 100)), f32(log_softmax(x)), f32(normalize(x)), f32(cosine(x[0], x[1])),
            f32(global_avg_pool(reshape(x, [1, 4, 8, 8]))), f32(avg_pool(reshape(x, [1, 4, 8, 8]), 4))
    }}
""", near(kind, lambda x, narrow=KINDS[kind][0]: ((x / 100).to(narrow).double().softmax(1), x.log_softmax(1), F.normalize(x),
                           F.cosine_similarity(x[:1], x[1:2])[0], x.mean(1)[None],
                           F.avg_pool2d(x.reshape(1, 4, 8, 8), 4)), [large]))
    check(f"activations and losses in {kind}", f"""
    export fn {{f}}(a: f32[7], t: f32[7]) {{
        let x, y = {kind}(a), {kind}(t)
        let s = softplus(x)
        return f32(s), f32(grad(sum(s), x)), f32(gelu(x, "tanh")), f32(gelu(x)),
            f32(binary_cross_entropy({kind}(0.5) + 0 * x, y))
    }}
""", near(kind, lambda x, t: (F.softplus(x), x.sigmoid(), F.gelu(x, approximate="tanh"), F.gelu(x),
                              F.binary_cross_entropy(0.5 + 0 * x, t)),
          [[0, 11.5, 15, 19, -3, 300, 1], [0, 1, 0.5, 0.25, 1, 0, 0.75]]))
    check(f"draws in {kind}", f"""
    export fn {{f}}() {{
        f32({kind}(uniform(like(full([4000], {kind}(0))), 2, 3))), f32(normal(like(full([4000], {kind}(0))), 1, 0.5)),
        f32(trunc_normal(like(full([4000], {kind}(0))), std = 0.02)), f32(xavier_uniform(like(full([40, 100], {kind}(0)))))
    }}
""", lambda call: [f"{name}: mean {a.mean()}, deviation {a.std()}" for name, a, m, s in
                   zip("untx", call(), (2.5, 1, 0, 0), (0.2887, 0.5, 0.02, (2 / 140) ** 0.5))
                   if not (abs(a.mean() - m) < 0.03 and abs(a.std() / s - 1) < 0.05)])
