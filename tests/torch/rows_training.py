"""Optimizers, schedules, initialisers."""
import math

import torch
from torch import optim
from torch.nn import init
from torch.optim import lr_scheduler

from table import initializer, optimizer, schedule

# --------------------------------------------------------------------- optimizers
for code, make in [
        ("sgd()", lambda p, lr: optim.SGD(p, lr)),
        ("sgd(weight_decay = 0.1)", lambda p, lr: optim.SGD(p, lr, weight_decay=0.1)),
        ("sgd(momentum = 0.9)", lambda p, lr: optim.SGD(p, lr, momentum=0.9)),
        ("sgd(momentum = 0.8, dampening = 0.3, weight_decay = 0.1)",
         lambda p, lr: optim.SGD(p, lr, momentum=0.8, dampening=0.3, weight_decay=0.1)),
        ("sgd(momentum = 0.9, nesterov = true)", lambda p, lr: optim.SGD(p, lr, momentum=0.9, nesterov=True)),
        ("adam()", lambda p, lr: optim.Adam(p, lr)),
        ("adam(beta1 = 0.5, beta2 = 0.9, eps = 1e-3, weight_decay = 0.1)",
         lambda p, lr: optim.Adam(p, lr, (0.5, 0.9), 1e-3, 0.1)),
        ("adam(beta2 = 0.7, amsgrad = true)", lambda p, lr: optim.Adam(p, lr, (0.9, 0.7), amsgrad=True)),
        ("adamw()", lambda p, lr: optim.AdamW(p, lr)),
        ("adamw(weight_decay = 0.3, beta2 = 0.7, amsgrad = true)",
         lambda p, lr: optim.AdamW(p, lr, (0.9, 0.7), weight_decay=0.3, amsgrad=True)),
        ("adamax()", lambda p, lr: optim.Adamax(p, lr)),
        ("adamax(beta1 = 0.8, beta2 = 0.7, eps = 1e-2, weight_decay = 0.1)",
         lambda p, lr: optim.Adamax(p, lr, (0.8, 0.7), 1e-2, 0.1)),
        # PyTorch 1.13 takes one factor of the momentum twice in the other form; later releases agree with this one.
        ("nadam()", lambda p, lr: optim.NAdam(p, lr, foreach=True)),
        ("nadam(beta1 = 0.8, beta2 = 0.99, weight_decay = 0.1, momentum_decay = 0.1)",
         lambda p, lr: optim.NAdam(p, lr, (0.8, 0.99), weight_decay=0.1, momentum_decay=0.1,
                                   foreach=True)),
        ("radam()", lambda p, lr: optim.RAdam(p, lr)),
        ("radam(beta2 = 0.9, eps = 1e-4, weight_decay = 0.1)",
         lambda p, lr: optim.RAdam(p, lr, (0.9, 0.9), 1e-4, 0.1)),
        ("adagrad()", lambda p, lr: optim.Adagrad(p, lr)),
        ("adagrad(lr_decay = 0.1, weight_decay = 0.1, initial_accumulator_value = 0.5, eps = 1e-3)",
         lambda p, lr: optim.Adagrad(p, lr, 0.1, 0.1, 0.5, 1e-3)),
        ("adadelta()", lambda p, lr: optim.Adadelta(p, lr)),
        ("adadelta(rho = 0.7, eps = 1e-3, weight_decay = 0.1)", lambda p, lr: optim.Adadelta(p, lr, 0.7, 1e-3, 0.1)),
        ("rmsprop()", lambda p, lr: optim.RMSprop(p, lr)),
        ("rmsprop(alpha = 0.8, eps = 1e-3, weight_decay = 0.1, momentum = 0.9)",
         lambda p, lr: optim.RMSprop(p, lr, 0.8, 1e-3, 0.1, 0.9)),
        ("rmsprop(alpha = 0.9, centered = true)", lambda p, lr: optim.RMSprop(p, lr, 0.9, centered=True)),
        ("rmsprop(alpha = 0.9, momentum = 0.5, centered = true)",
         lambda p, lr: optim.RMSprop(p, lr, 0.9, momentum=0.5, centered=True))]:
    optimizer(code, make)


class Lamb(optim.Optimizer):
    """As its paper says; PyTorch has none."""

    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (b1, b2), decay = group["betas"], group["weight_decay"]
            for p in group["params"]:
                s = self.state[p]
                if not s:
                    s.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
                s["step"] += 1
                s["exp_avg"].mul_(b1).add_(p.grad, alpha=1 - b1)
                s["exp_avg_sq"].mul_(b2).addcmul_(p.grad, p.grad, value=1 - b2)
                m, v = s["exp_avg"] / (1 - b1 ** s["step"]), s["exp_avg_sq"] / (1 - b2 ** s["step"])
                u = m / (v.sqrt() + group["eps"]) + decay * p
                a, b = p.norm(), u.norm()
                p.sub_(group["lr"] * (a / b if a > 0 and b > 0 else 1) * u)


class Lion(optim.Optimizer):
    """As its paper says; PyTorch has none."""

    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in group["params"]:
                s = self.state[p]
                if not s:
                    s.update(exp_avg=torch.zeros_like(p))
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(group["lr"] * (b1 * s["exp_avg"] + (1 - b1) * p.grad).sign())
                s["exp_avg"].mul_(b2).add_(p.grad, alpha=1 - b2)


optimizer("lamb()", Lamb)
optimizer("lamb(beta1 = 0.8, beta2 = 0.99, eps = 1e-4, weight_decay = 0.1)",
          lambda p, lr: Lamb(p, lr, (0.8, 0.99), 1e-4, 0.1))
optimizer("lion()", Lion)
optimizer("lion(beta1 = 0.8, beta2 = 0.9, weight_decay = 0.1)", lambda p, lr: Lion(p, lr, (0.8, 0.9), 0.1))

# ---------------------------------------------------------------------- schedules
for code, make in [
        ("constant_lr(step, 0.1)", lambda o: lr_scheduler.ConstantLR(o)),
        ("constant_lr(step, 0.1, 0.5, 8)", lambda o: lr_scheduler.ConstantLR(o, 0.5, 8)),
        ("step_lr(step, 0.1, 7)", lambda o: lr_scheduler.StepLR(o, 7)),
        ("step_lr(step, 0.1, 3, gamma = 0.5)", lambda o: lr_scheduler.StepLR(o, 3, 0.5)),
        ("multi_step_lr(step, 0.1, [2, 5, 11], gamma = 0.3)", lambda o: lr_scheduler.MultiStepLR(o, [2, 5, 11], 0.3)),
        ("exponential_lr(step, 0.1, 0.9)", lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
        ("linear_lr(step, 0.1)", lambda o: lr_scheduler.LinearLR(o)),
        ("linear_lr(step, 0.1, 0.2, 0.7, 10)", lambda o: lr_scheduler.LinearLR(o, 0.2, 0.7, 10)),
        ("polynomial_lr(step, 0.1)", lambda o: lr_scheduler.PolynomialLR(o)),
        ("polynomial_lr(step, 0.1, 12, 2.5)", lambda o: lr_scheduler.PolynomialLR(o, 12, 2.5)),
        ("cosine_annealing_lr(step, 0.1, 40)", lambda o: lr_scheduler.CosineAnnealingLR(o, 40)),
        ("cosine_annealing_lr(step, 0.1, T_max = 12, eta_min = 0.01)",
         lambda o: lr_scheduler.CosineAnnealingLR(o, 12, 0.01)),
        ("cosine_annealing_warm_restarts(step, 0.1, 7)", lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 7)),
        ("cosine_annealing_warm_restarts(step, 0.1, 3, T_mult = 2, eta_min = 0.01)",
         lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3, 2, 0.01)),
        ("cosine_annealing_warm_restarts(step, 0.1, 1, T_mult = 3)",
         lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 1, 3)),
        ("one_cycle_lr(step, 0.1, 40)", lambda o: lr_scheduler.OneCycleLR(o, 0.1, 40)),
        ("one_cycle_lr(step, 0.1, 40, pct_start = 0.4, anneal_strategy = \"linear\", div_factor = 10, "
         "final_div_factor = 100)", lambda o: lr_scheduler.OneCycleLR(
             o, 0.1, 40, pct_start=0.4, anneal_strategy="linear", div_factor=10, final_div_factor=100)),
        ("one_cycle_lr(step, 0.1, 41, three_phase = true)",
         lambda o: lr_scheduler.OneCycleLR(o, 0.1, 41, three_phase=True)),
        ("cyclic_lr(step, 0.01, 0.1, 5)", lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 5)),
        ("cyclic_lr(step, 0.01, 0.1, 5, 3, mode = \"triangular2\")",
         lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 5, 3, "triangular2")),
        ("cyclic_lr(step, 0.01, 0.1, 4, mode = \"exp_range\", gamma = 0.95)",
         lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, 4, None, "exp_range", 0.95)),
        ("warmup(step, exponential_lr(step, 0.1, 0.9), 6)",
         lambda o: lr_scheduler.LambdaLR(o, lambda s: min(1, (s + 1) / 6) * 0.9 ** s)),
        ("warmup_cosine(step, 0.1, 6, 25)", lambda o: lr_scheduler.LambdaLR(
            o, lambda s: (s + 1) / 6 if s < 6 else 0.5 + 0.5 * math.cos(math.pi * min(1, (s - 6) / 19))))]:
    schedule(code, make, 40)

# ------------------------------------------------------------------- initialisers
for code, fill in [
        ("zeros", init.zeros_), ("ones", init.ones_), ("constant(0.3)", lambda t: init.constant_(t, 0.3)),
        ("uniform", init.uniform_), ("uniform(-2, 3)", lambda t: init.uniform_(t, -2, 3)),
        ("normal", init.normal_), ("normal(1, 0.2)", lambda t: init.normal_(t, 1, 0.2)),
        ("trunc_normal", init.trunc_normal_),
        ("trunc_normal(0.5, 2, a = -1, b = 3)", lambda t: init.trunc_normal_(t, 0.5, 2, -1, 3)),
        ("xavier_uniform", init.xavier_uniform_),
        ("xavier_uniform(calculate_gain(\"tanh\"))",
         lambda t: init.xavier_uniform_(t, init.calculate_gain("tanh"))),
        ("xavier_normal(2)", lambda t: init.xavier_normal_(t, 2)),
        ("kaiming_uniform", init.kaiming_uniform_),
        ("kaiming_uniform(a = sqrt(5))", lambda t: init.kaiming_uniform_(t, math.sqrt(5))),
        ("kaiming_uniform(mode = \"fan_out\", nonlinearity = \"relu\")",
         lambda t: init.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu")),
        ("kaiming_normal(a = 0.5)", lambda t: init.kaiming_normal_(t, 0.5)),
        ("kaiming_normal(mode = \"fan_out\", nonlinearity = \"selu\")",
         lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="selu")),
        ("kaiming_normal(nonlinearity = \"sigmoid\")", lambda t: init.kaiming_normal_(t, nonlinearity="sigmoid"))]:
    initializer(code, fill, 24, 40)
initializer("kaiming_uniform", init.kaiming_uniform_, 12, 8, 3, 3)
initializer("xavier_normal", init.xavier_normal_, 12, 8, 3, 3)
initializer("eye", init.eye_, 5, 7)
initializer("dirac", init.dirac_, 4, 3, 5)
initializer("dirac(groups = 2)", lambda t: init.dirac_(t, 2), 6, 2, 3, 4)
initializer("orthogonal", init.orthogonal_, 30, 20)
initializer("orthogonal(0.5)", lambda t: init.orthogonal_(t, 0.5), 8, 3, 4)
initializer("orthogonal", init.orthogonal_, 24, 24)
