#!/usr/bin/env python3
"""Compares the standard library with PyTorch: oracle.py DSL_ORACLE MODEL.dl

The program evaluates each function in the interpreter (all in f64) and prints variables, arguments and results of
three calls; the same is computed here with torch from the same weights and arguments."""
import subprocess
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("ok 1 - library against PyTorch # SKIP PyTorch is not installed")
    sys.exit(77)

torch.set_default_dtype(torch.float64)
PARAMS = ["fc1.weight", "fc1.bias", "fc2.weight"]


def parse(text):
    """{function: [step]}, a step being {"var": {}, "arg": {}, "result": []}; the last holds final variables."""
    functions = {}
    for line in text.splitlines():
        head, _, values = line.partition(" :")
        words = head.split()
        if words[0] == "func":
            steps = functions.setdefault(words[1], [])
        elif words[0] in ("step", "end"):
            steps.append({"var": {}, "arg": {}, "result": []})
        else:
            whole = not any(c in values for c in ".en")
            t = torch.tensor([int(v) if whole else float(v) for v in values.split()])
            t = t.reshape([int(n) for n in words[2:]])
            if words[0] == "result":
                steps[-1]["result"].append(t)
            else:
                steps[-1][words[0]][words[1]] = t
    return functions


def net(p, x):
    return torch.tanh(x @ p["fc1.weight"].T + p["fc1.bias"]) @ p["fc2.weight"].T


def activations(p, a):
    z = a["z"]
    return [F.relu(z), torch.sigmoid(z), torch.tanh(z), F.softmax(z, -1), F.log_softmax(z, -1), F.softmax(z, 0)]


def losses(p, a):
    z, y, t = a["z"], a["y"], a["t"]
    return [F.cross_entropy(z, y), F.cross_entropy(z, y, reduction="sum"), F.cross_entropy(z, y, reduction="none"),
            F.nll_loss(F.log_softmax(z, -1), y), F.mse_loss(z, t), F.mse_loss(z, t, reduction="sum"), F.l1_loss(z, t),
            F.binary_cross_entropy_with_logits(z, torch.sigmoid(t))]


def reductions(p, a):
    z = a["z"]
    return [z.mean(), z.mean(0), z.var(0, unbiased=False), z.var(1), z.logsumexp(1), z.norm(dim=0), z.norm(),
            F.cosine_similarity(z, z.flip(1)), z.argmax(1), z.max(1).values, z.min()]


def gradients(p, a):
    x = a["x"].requires_grad_()
    ws = [p[n].requires_grad_() for n in PARAMS]
    loss = F.cross_entropy(net(p, x), a["y"])
    g = torch.autograd.grad(loss, ws + [x])
    return [loss, *g, torch.sqrt(sum((w ** 2).sum() for w in g[:3]))]


def penalty(p, a):
    x = a["x"].requires_grad_()
    ws = [p[n].requires_grad_() for n in PARAMS[:2]]
    g, = torch.autograd.grad(net(p, x).sum(), x, create_graph=True)
    loss = ((g.norm(dim=1) - 1) ** 2).mean()
    return [loss, *torch.autograd.grad(loss, ws)]


def entropy(p, a):
    return F.cross_entropy(net(p, a["x"]), a["y"])


def square(p, a):
    return F.mse_loss(net(p, a["x"]), a["t"])


def tied(p, a):
    return ((torch.tanh(a["x"] @ p["fc1.weight"].T + p["fc1.bias"]) @ p["fc2.weight"].T @ p["fc2.weight"]) ** 2).mean()


LR = 0.1
FORWARD = {"activations": activations, "losses": losses, "reductions": reductions, "gradients": gradients,
           "penalty": penalty}
TRAIN = {
    "tied": (tied, lambda p: torch.optim.SGD(p, lr=LR)),
    "train_sgd": (entropy, lambda p: torch.optim.SGD(p, lr=LR, weight_decay=0.1)),
    "train_momentum": (entropy, lambda p: torch.optim.SGD(p, lr=LR, momentum=0.9, dampening=0.3)),
    "train_nesterov": (entropy, lambda p: torch.optim.SGD(p, lr=LR, momentum=0.9, nesterov=True)),
    "train_adam": (entropy, lambda p: torch.optim.Adam(p, lr=LR)),
    "train_adam_decay": (square, lambda p: torch.optim.Adam(p, lr=LR, weight_decay=0.1)),
    "train_adamw": (square, lambda p: torch.optim.AdamW(p, lr=LR)),
}


class Groups:
    """Two optimizers, gradients clipped by their global norm."""

    def __init__(self, p):
        self.p = p
        self.parts = [torch.optim.Adam([w for w in p if w.dim() >= 2], lr=LR, betas=(0.5, 0.999)),
                      torch.optim.SGD([w for w in p if w.dim() < 2], lr=0.5 * LR)]

    def zero_grad(self):
        for o in self.parts:
            o.zero_grad()

    def step(self):
        torch.nn.utils.clip_grad_norm_(self.p, 0.1)
        for o in self.parts:
            o.step()


TRAIN["train_groups"] = (entropy, Groups)


def close(found, wanted):
    return found.shape == wanted.shape and torch.allclose(found.double(), wanted.detach().double(), rtol=1e-9, atol=1e-12)


def check_forward(name, steps):
    for s in steps[:-1]:
        wanted = FORWARD[name]({k: v.clone() for k, v in s["var"].items() if k in PARAMS}, s["arg"])
        if len(wanted) != len(s["result"]):
            return f"{len(s['result'])} results, not {len(wanted)}"
        for i, (f, w) in enumerate(zip(s["result"], wanted)):
            if not close(f, w):
                return f"result {i}: {f.tolist()} instead of {w.tolist()}"
    return None


def check_train(name, steps):
    loss_of, make = TRAIN[name]
    p = {n: steps[0]["var"][n].clone().requires_grad_() for n in PARAMS}
    optimizer = make(list(p.values()))
    for k, s in enumerate(steps[:-1]):
        optimizer.zero_grad()
        loss = loss_of(p, s["arg"])
        loss.backward()
        optimizer.step()
        if not close(s["result"][0], loss):
            return f"loss of step {k}: {s['result'][0].item()} instead of {loss.item()}"
        for n in PARAMS:
            if not close(steps[k + 1]["var"][n], p[n]):
                return f"{n} after step {k}: off by {(steps[k + 1]['var'][n] - p[n]).abs().max().item()}"
    return None


def check_initial(functions):
    """PyTorch's bounds, and numbers that fill them."""
    v = next(iter(functions.values()))[0]["var"]
    for name, bound in (("fc1.weight", 6 ** -0.5), ("fc1.bias", 6 ** -0.5), ("fc2.weight", 8 ** -0.5)):
        top = v[name].abs().max().item()
        if not 0.6 * bound < top <= bound or v[name].unique().numel() != v[name].numel():
            return f"{name}: largest is {top}, bound {bound}"
    return None


def main():
    out = subprocess.run(sys.argv[1:3], capture_output=True, text=True)
    sys.stderr.write(out.stderr)
    functions = parse(out.stdout)
    failed = out.returncode != 0
    checks = [("initial values", check_initial(functions))]
    for name in [*FORWARD, *TRAIN]:
        if name not in functions:
            checks.append((name, "missing"))
        else:
            checks.append((name, (check_forward if name in FORWARD else check_train)(name, functions[name])))
    for i, (name, why) in enumerate(checks):
        print(f"{'not ok' if why else 'ok'} {i + 1} - {name}" + (f"\n# {why}" if why else ""))
        failed = failed or bool(why)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
