#!/usr/bin/python3
"""Compares the standard library with PyTorch: run.py DLCC... [--only=TEXT]

For each row of the tables (table.py) both compute results, gradients of the inputs and gradients of the parameters,
from the same inputs and parameters, the latter matched by name: a layer's variables must have PyTorch's names, types,
shapes and order. A layer's state is compared after the call, an optimizer's parameters and state after each of ten
steps, a schedule's figures at each step, an initialiser's distribution by Kolmogorov and Smirnov's test.

How close. The yardstick is PyTorch in f64. All draws of a quantity count as one long vector; an error is the
Euclidean norm of the difference, relative to the yardstick's. Ours may be twice that of PyTorch's f32, and one unit in
the last place of 1 in any case. Infinities and NaN must stand where PyTorch's stand. Rounding is luck where few numbers
are compared: what is too far off gets ROUNDS times as many draws, and those count together.

Every name that dlcc lists must be mentioned in a row or be declared as tested elsewhere.
"""
import collections
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import warnings
import zlib

import numpy as np
import torch

import table
from compiled import PARAM, SLOT, STATE, Compiled, Failed, compile_model

TIMES, ROUNDS, ROWS_IN_OBJECT, ULP, ROOM, TINY = 2, 10, 60, 2.0 ** -23, 1 << 24, 1e-29
LISTS = ["layers", "optimizers", "functions"]
np.seterr(all="ignore")
warnings.filterwarnings("ignore")


# ------------------------------------------------------------------- closeness

class Compared:
    """Collects one row's quantities and says what is too far off."""

    def __init__(self, edges):
        self.edges, self.parts, self.wrong = edges, collections.OrderedDict(), []

    def add(self, name, ours, theirs, exact):
        """Ours, PyTorch's in f32 and in f64."""
        ours, theirs, exact = (np.asarray(a) for a in (ours, theirs, exact))
        if ours.shape != theirs.shape:
            self.wrong.append(f"{name}: shape {list(ours.shape)}, PyTorch's is {list(theirs.shape)}")
        elif not np.issubdtype(theirs.dtype, np.floating):
            if not np.array_equal(ours, theirs):
                self.wrong.append(f"{name}: {ours.tolist()}, PyTorch's is {theirs.tolist()}")
        elif not np.array_equal(np.where(np.isfinite(ours), 0, ours), np.where(np.isfinite(theirs), 0, theirs),
                                equal_nan=True):
            self.wrong.append(f"{name}: not finite elsewhere than PyTorch's: {ours.tolist()} {theirs.tolist()}")
        else:
            finite = np.isfinite(ours) & np.isfinite(exact)
            self.parts.setdefault(name, []).append([a[finite].astype(np.float64) for a in (ours, theirs, exact)])

    def check(self):
        """What is wrong: other shapes, other infinities, or numbers too far off."""
        wrong = list(self.wrong)
        for name, parts in self.parts.items():
            ours, theirs, exact = (np.concatenate([p[i] for p in parts]) for i in range(3))
            if self.edges:
                off = np.abs(ours - exact) - 2 * np.abs(theirs - exact) - 2 * ULP * np.abs(exact) - TINY
                if np.any(off > 0):
                    wrong.append(f"{name}: {ours.tolist()} instead of {exact.tolist()}")
                continue
            norm = np.linalg.norm(exact)
            mine, limit = np.linalg.norm(ours - exact), TIMES * np.linalg.norm(theirs - exact) + ULP * norm
            if mine > limit:
                wrong.append(f"{name}: relative error {mine / norm:.2e}, PyTorch's is"
                             f" {np.linalg.norm(theirs - exact) / norm:.2e}")
        return wrong


def tensor(value, kind):
    t = torch.from_numpy(np.array(value))
    return t.to(kind) if t.is_floating_point() else t.long() if not t.dtype == torch.bool else t


def outputs_of(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


def seed_of(row):
    return zlib.crc32((row.code + repr(row.call)).encode())


# -------------------------------------------------------- functions and layers

def prepare(row, i):
    """Runs the row in torch once, to know the results' shapes."""
    random = np.random.RandomState(0)
    row.name, row.l = f"f{i}", f"l{i}"
    torch.manual_seed(seed_of(row))
    row.module = row.torch() if row.sort == "layer" else None
    values = {n: v.value(random, row.batches[0]) for n, v in row.inputs.items()}
    ys = outputs_of(in_torch(row, row.module, values, torch.float32))
    row.floats = [y.is_floating_point() for y in ys]
    row.count = len(ys)
    row.parameters = [n for n, p in row.module.named_parameters()] if row.module is not None else []


def in_torch(row, module, values, kind):
    given = [tensor(v, kind) for v in values.values()]
    for t, spec in zip(given, row.inputs.values()):
        t.requires_grad_(spec.grad)
    row.given = given
    if module is None:
        return row.torch(*given)
    return row.torch_call(module, *given) if row.torch_call else module(*given)


def code_of(row):
    """The exported function: results, then gradients of inputs, then those of parameters."""
    if row.sort != "layer":
        code = row.code
    else:
        flag = ", training = false" if not row.training else "" if row.parameters else ", training = true"
        code = (row.call or "{l}(" + ", ".join(row.inputs) + flag + ")").replace("{l}", row.l)
    wanted = [n for n, v in row.inputs.items() if v.grad]
    ys = [f"y{k}" for k in range(row.count)]
    # A cotangent has its result's shape, whatever that is.
    lines = [f"let {', '.join(ys)} = {code}"]
    results = list(ys)
    if row.differentiate and any(row.floats) and (wanted or row.parameters):
        spread = " + ".join(f"sum(y{k} * cotangent(y{k}, {k}))" for k in range(row.count) if row.floats[k])
        lines.append(f"let loss = {spread if not row.edges else spread_ones(row)}")
        if row.parameters:
            lines.append(f"let d = grad(loss, params({row.l}))")
        results += [f"grad(loss, {n})" for n in wanted] + [f"d[{k}]" for k in range(len(row.parameters))]
    row.gradients = len(results) - len(ys)
    args = ", ".join(f"{n}: {v.type()}" for n, v in row.inputs.items())
    body = "\n".join("        " + line for line in lines)
    return f"    export fn {row.name}({args}) {{\n{body}\n        return {', '.join(results)}\n    }}\n"


def spread_ones(row):
    return " + ".join(f"sum(y{k})" for k in range(row.count) if row.floats[k])


# Cotangents need no argument: both sides compute them from an element's place, exactly representable in f32.
COTANGENT = """fn cotangent(y: num[..], k: int) -> num[..] {
    let place = reshape(iota(size(y)), dims(y))
    return num((place * 37 + 11 * k + 5) % 64) / 32 - 0.90625
}
"""


def cotangent(y, k):
    place = torch.arange(y.numel()).reshape(y.shape)
    return (((place * 37 + 11 * k + 5) % 64).to(y.dtype) / 32 - 0.90625)


def start_values(row, random):
    """Values for all variables of a layer: the module's own ones, moved a little."""
    values = {}
    for name, v in row.module.state_dict().items():
        value = v.numpy().copy()
        if value.dtype == np.float32:
            value += 0.3 * random.standard_normal(value.shape).astype(np.float32)
            if name.endswith("running_var") or name in row.positive:
                value = np.abs(value) + np.float32(0.1)
        values[name] = row.start(name, value) if row.start else value
    return values


def gradients_in_torch(row, start, values, kind):
    """Results, gradients of inputs, gradients of parameters by name, and the module after the call."""
    module = None
    if row.module is not None:
        module = row.torch().to(kind)
        module.load_state_dict({n: torch.from_numpy(np.asarray(v)) for n, v in start.items()})
        module.train(row.training)
    ys = outputs_of(in_torch(row, module, values, kind))
    if row.gradients:
        sum((y * (1 if row.edges else cotangent(y, k))).sum() for k, y in enumerate(ys) if row.floats[k]).backward()
    grads = [torch.zeros_like(x) if x.grad is None else x.grad
             for x, spec in zip(row.given, row.inputs.values()) if spec.grad] if row.gradients else []
    weights = {n: torch.zeros_like(p) if p.grad is None else p.grad
               for n, p in module.named_parameters()} if module is not None else {}
    return [y.detach().numpy() for y in ys], [g.numpy() for g in grads], weights, module


def same_variables(row, model):
    """A layer's variables are PyTorch's; the text of what is wrong, or None."""
    ours, theirs = model.names(row.l, PARAM, STATE), row.module.state_dict()
    if ours != list(theirs) and (row.same_order or sorted(ours) != sorted(theirs)):
        return f"variables {ours}, PyTorch's are {list(theirs)}"
    for name, t in theirs.items():
        v = model.get(f"{row.l}.{name}")
        if list(v.shape) != list(t.shape) or v.dtype != t.numpy().dtype:
            return f"{name} is {v.dtype}{list(v.shape)}, PyTorch's is {t.numpy().dtype}{list(t.shape)}"
    return None


def compare_calls(row, model):
    if row.module is not None and same_variables(row, model):
        return [same_variables(row, model)]
    return in_rounds(row, lambda compared, random: compare_draws(row, model, compared, random))


def in_rounds(row, draw):
    """What draw(compared, random) finds, drawn again where that is too far off."""
    compared, random = Compared(row.edges), np.random.RandomState(seed_of(row))
    draw(compared, random)
    for _ in range(ROUNDS - 1):
        if compared.wrong or row.edges or not compared.check():
            break
        draw(compared, random)
    return compared.check()


def compare_draws(row, model, compared, random):
    for batch in row.batches:
        values = {n: v.value(random, batch) for n, v in row.inputs.items()}
        start = start_values(row, random) if row.module is not None else {}
        for name, value in start.items():
            model.set(f"{row.l}.{name}", value)
        ours = model.call(row.name, list(values.values()), ROOM)
        theirs, exact = (gradients_in_torch(row, start, values, k) for k in (torch.float32, torch.float64))
        for k in range(row.count):
            compared.add(f"result {k}", ours[k], theirs[0][k], exact[0][k])
        if row.gradients:
            wanted = [n for n, v in row.inputs.items() if v.grad]
            for k, name in enumerate(wanted):
                compared.add(f"gradient of {name}", ours[row.count + k], theirs[1][k], exact[1][k])
            for k, name in enumerate(model.names(row.l, PARAM)):
                compared.add(f"gradient of {name}", ours[row.count + len(wanted) + k], theirs[2][name].numpy(),
                             exact[2][name].numpy())
        for name in model.names(row.l, STATE):
            compared.add(f"state {name}", model.get(f"{row.l}.{name}"), theirs[3].state_dict()[name].numpy(),
                         exact[3].state_dict()[name].numpy())


# ------------------------------------------------------------------ optimizers

FIT = """layer Fit() {
    param weight: num[3, 5] = normal
    param bias: num[3] = normal
    fn loss(x, y) { mean((x @ weight.T + bias - y) ^ 2) }
}
"""
RATE, FIT_SHAPES = 0.05, {"weight": (3, 5), "bias": (3,)}


def optimizer_code(row, i):
    row.name, row.l, row.o = f"f{i}", f"l{i}", f"o{i}"
    return f"""    let {row.o} = {row.code}
    export fn {row.name}(x: f32[4, 5], y: f32[4, 3], lr: f32) -> f32 {{
        let loss = {row.l}.loss(x, y)
        minimize loss over {row.l} with {row.o}(lr)
        return loss
    }}
"""


def fit_in_torch(row, start, data, kind):
    """Parameters and state after each step."""
    p = {n: torch.from_numpy(v.copy()).to(kind).requires_grad_() for n, v in start.items()}
    optimizer, steps = row.torch(list(p.values()), RATE), []
    for x, y in data:
        optimizer.zero_grad()
        ((tensor(x, kind) @ p["weight"].T + p["bias"] - tensor(y, kind)) ** 2).mean().backward()
        optimizer.step()
        state = {f"{n}.{s}": v.clone() for n in p for s, v in optimizer.state[p[n]].items()
                 if s != "step" and torch.is_tensor(v)}
        steps.append(({n: v.detach().numpy().copy() for n, v in p.items()}, state))
    return steps


def compare_optimizer(row, model):
    """Displacements from the start are compared, so that an update's error is not hidden by the weights' size; those of
    each step count the same."""
    return in_rounds(row, lambda compared, random: compare_fits(row, model, compared, random))


def compare_fits(row, model, compared, random):
    for _ in range(3):
        model.reset(0)
        start = {n: random.standard_normal(s).astype(np.float32) for n, s in FIT_SHAPES.items()}
        data = [(random.standard_normal((4, 5)).astype(np.float32) * [1, 1, 1, 1, 0],
                 random.standard_normal((4, 3)).astype(np.float32)) for _ in range(row.steps)]
        data = [(x.astype(np.float32), y) for x, y in data]
        for name, value in start.items():
            model.set(f"{row.l}.{name}", value)
        theirs = fit_in_torch(row, start, data, torch.float32)
        torch.set_default_dtype(torch.float64)       # some state is of the default type
        exact = fit_in_torch(row, start, data, torch.float64)
        torch.set_default_dtype(torch.float32)
        for k, (x, y) in enumerate(data):
            model.call(row.name, [x, y, np.float32(RATE)], 64)
            for name in start:
                now = [v.astype(np.float64) - start[name] for v in (
                    model.get(f"{row.l}.{name}"), theirs[k][0][name], exact[k][0][name])]
                compared.add(name, *(v / np.linalg.norm(now[2]) for v in now))
            for slot, value in theirs[k][1].items():
                name, state = slot.split(".")
                ours = model.get(f"{row.l}.{name}.{row.o}.{state}")
                compared.add(slot, ours.reshape(value.shape), value.numpy(), exact[k][1][slot].numpy())


# ------------------------------------------------------------------- schedules

def schedule_code(row, i):
    row.name = f"f{i}"
    return f"    export fn {row.name}(step: i64) -> f32 {{ {row.code} }}\n"


def compare_schedule(row, model):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    scheduler = row.torch(optimizer)
    for step in range(row.steps):
        wanted, = [g["lr"] for g in optimizer.param_groups]
        found = float(model.call(row.name, [np.int64(step)], 64)[0])
        if not abs(found - wanted) <= 1.2e-7 * abs(wanted) + 1e-12:
            return [f"step {step}: {found}, PyTorch's is {wanted}"]
        optimizer.step()
        scheduler.step()
    return []


# ---------------------------------------------------------------- initialisers

SEEDS = 4


def initializer_code(row, i):
    row.name, row.l = f"f{i}", f"w{i}"
    shape = ", ".join(map(str, row.shape))
    return f"    param {row.l}: f32[{shape}] = {row.code}\n    export fn {row.name}() -> f32 {{ sum({row.l}) }}\n"


def distance(a, b):
    """Kolmogorov and Smirnov's: the most that two empirical distribution functions differ."""
    both = np.sort(np.concatenate([a, b]))
    return np.max(np.abs(np.searchsorted(np.sort(a), both, "right") / len(a) -
                         np.searchsorted(np.sort(b), both, "right") / len(b)))


def compare_initializer(row, model):
    ours, theirs = [], []
    for seed in range(SEEDS):
        model.reset(seed)
        torch.manual_seed(seed)
        ours.append(model.get(row.l))
        theirs.append(row.torch(torch.empty(*row.shape)).detach().numpy())
    if np.array_equal(theirs[0], theirs[1]):
        return [] if all(np.array_equal(o, theirs[0]) for o in ours) else [f"is not {theirs[0].tolist()}"]
    if np.array_equal(ours[0], ours[1]):
        return ["is the same for two seeds"]
    a, b = np.concatenate(ours).ravel(), np.concatenate(theirs).ravel()
    limit, found = 1.95 * np.sqrt(2 / len(a)), distance(a, b)        # less than one in a thousand is beyond
    top = np.max(np.abs(b))
    if found > limit:
        return [f"distribution differs from PyTorch's by {found:.3f}, {limit:.3f} allowed"]
    if abs(np.std(a) / np.std(b) - 1) > 6 / np.sqrt(len(a)) or np.max(np.abs(a)) > 1.3 * top:
        return [f"deviation {np.std(a)}, largest {np.max(np.abs(a))}; PyTorch's {np.std(b)}, {top}"]
    return []


# ------------------------------------------------------------------------- checks

def check_code(row, i):
    row.name = f"f{i}"
    return row.code.replace("{f}", row.name).replace("{l}", f"l{i}")


def run_check(row, model):
    return row.torch(lambda *values: model.call(row.name, values, ROOM))


# ----------------------------------------------------------------------- running

def object_code(rows):
    """One model for these rows."""
    text, functions = "dim B <= 16\n" + COTANGENT + FIT + "model Rows() {\n", []
    for i, row in rows:
        if row.sort == "optimizer":
            text += f"    let l{i} = Fit()\n"
            functions.append(optimizer_code(row, i))
        elif row.sort == "schedule":
            functions.append(schedule_code(row, i))
        elif row.sort == "check":
            functions.append(check_code(row, i))
        elif row.sort == "initializer":
            functions.append(initializer_code(row, i))
        else:
            prepare(row, i)
            if row.sort == "layer":
                text += f"    let {row.l} = {row.code}\n"
            functions.append(code_of(row))
    return text + "".join(functions) + "}\n"


COMPARE = {"function": compare_calls, "layer": compare_calls, "optimizer": compare_optimizer,
           "schedule": compare_schedule, "initializer": compare_initializer, "check": run_check}


def title(row):
    if row.sort == "check":
        return row.call
    return f"{row.sort} {row.code}" + (f": {row.call}" if row.call else "") + \
        ("" if row.training else ", evaluating") + (" at its edges" if row.edges else "")


def try_to_compile(dlcc, path, text):
    """What is wrong, or None."""
    try:
        return compile_model(dlcc, text, path)
    except Failed as error:
        return str(error)


def compare_object(dlcc, path, pairs, error):
    """What is wrong with each row. Where they did not compile together, each is compiled alone to find which do not."""
    if error and len(pairs) == 1:
        return [(pairs[0][1], [f"does not compile:\n{error}"])]
    found = []
    if error:
        for i, row in pairs:
            alone = f"{path}_{i}"
            found += compare_object(dlcc, alone, [(i, row)], try_to_compile(dlcc, alone, object_code([(i, row)])))
        return found
    model = Compiled(path + ".so")
    for _, row in pairs:
        try:
            found.append((row, COMPARE[row.sort](row, model)))
        except (Failed, RuntimeError, ValueError) as failure:
            found.append((row, [str(failure)]))
    model.close()
    return found


def listed(dlcc):
    """Every name of the library that has a doc comment."""
    names = set()
    for sort in LISTS:
        done = subprocess.run([*dlcc, f"--list={sort}"], capture_output=True, text=True, check=True)
        names |= set(re.findall(r"^([A-Za-z_]\w*)\(", done.stdout, re.M))
    return names


def check_covered(dlcc):
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    words = set()
    for row in table.TABLE:
        words |= set(re.findall(r"\w+", row.code + " " + (row.call or "")))
    names, wrong = listed(dlcc), []
    for name in sorted(names - words - set(table.ELSEWHERE)):
        wrong.append(f"{name} is in no row, and not said to be tested elsewhere")
    for name, place in sorted(table.ELSEWHERE.items()):
        if name not in names:
            wrong.append(f"{name} is said to be tested in {place}, but there is no such name")
        elif not re.search(rf"\b{name}\b", open(os.path.join(top, place)).read()):
            wrong.append(f"{name} is said to be tested in {place}, which does not mention it")
    return wrong


def report(what, wrong):
    print(f"{'not ok' if wrong else 'ok'} - {what}" + "".join(f"\n    {w}" for w in wrong), flush=True)
    return bool(wrong)


def main():
    import rows  # fills the table
    torch.set_num_threads(1)
    dlcc = [a for a in sys.argv[1:] if not a.startswith("--only=")]
    only = "".join(a[7:] for a in sys.argv[1:] if a.startswith("--only="))
    chosen = [(i, row) for i, row in enumerate(table.TABLE) if only in title(row)]
    groups = [chosen[k:k + ROWS_IN_OBJECT] for k in range(0, len(chosen), ROWS_IN_OBJECT)]
    failed = False
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        broken = try_to_compile(dlcc, f"{folder}/empty", "model Empty() { export fn f(x: f32) -> f32 { x } }\n")
        if broken:
            return report("the library compiles", [broken])
        paths = [f"{folder}/rows{k}" for k in range(len(groups))]
        jobs = [pool.submit(try_to_compile, dlcc, p, object_code(g)) for p, g in zip(paths, groups)]
        for path, pairs, job in zip(paths, groups, jobs):
            for row, wrong in compare_object(dlcc, path, pairs, job.result()):
                failed = report(title(row), wrong) or failed
    if not only:
        failed = report("every name of the library has a row", check_covered(dlcc)) or failed
    return failed


if __name__ == "__main__":
    sys.exit(main())
