"""What a table's row says: a piece of .dl, PyTorch's counterpart, and the inputs both get.

  function(code, counterpart, x=real(B, 5), ...)      an expression of the inputs
  layer(code, make, x=real(B, 5), ...)                a layer; make() gives the torch module
  network(code, make, x=real(B, 5), ...)              the same, too deep for close comparison
  optimizer(code, make)                               make(parameters, lr) gives the torch optimizer
  schedule(code, make, steps)                         make(optimizer) gives the torch scheduler; code names `step`
  initializer(code, fill, shape)                      fill(tensor) is PyTorch's
  check(what, code, verify)                           members of a model with a function named {f}; verify(call) tells
                                                      what is wrong, call(arguments...) giving {f}'s results

A row covers the names that its code mentions. run.py says what is compared, and how close it has to be.
"""
import numpy as np

B = "B"  # a dim known at run time only; it takes the values of Row.batches in turn
TABLE, ELSEWHERE = [], {}


class Input:
    """An argument: draw(random, shape) gives its value. `grad`: its gradient is compared too."""

    def __init__(self, shape, draw, dtype="f32", grad=True):
        self.shape, self.draw, self.dtype, self.grad = shape, draw, dtype, grad and dtype == "f32"

    def type(self):
        return self.dtype + (f"[{', '.join(map(str, self.shape))}]" if self.shape else "")

    def value(self, random, batch):
        kind = {"f32": np.float32, "i32": np.int32, "i64": np.int64, "bool": np.bool_}[self.dtype]
        return np.asarray(self.draw(random, [batch if n == B else n for n in self.shape]), kind)

    def fixed(self):
        return Input(self.shape, self.draw, self.dtype, False)


def real(*shape, scale=1.0):
    return Input(shape, lambda r, s: scale * r.standard_normal(s))


def within(low, high, *shape):
    return Input(shape, lambda r, s: r.uniform(low, high, s))


def whole(below, *shape, least=0, dtype="i32"):
    return Input(shape, lambda r, s: r.randint(least, below, s), dtype)


def signs(*shape):
    return Input(shape, lambda r, s: r.choice([-1.0, 1.0], s), grad=False)


def flags(*shape, p=0.7):
    return Input(shape, lambda r, s: r.uniform(size=s) < p, "bool")


def at(*values, grad=True):
    """These very values."""
    a = np.asarray(values, np.float32)
    return Input(a.shape, lambda r, s: a, grad=grad)


def wholes(*values):
    a = np.asarray(values, np.int32)
    return Input(a.shape, lambda r, s: a, "i32")


class Row:
    """sort: "function", "layer", "optimizer", "schedule", "initializer" or "check"."""

    def __init__(self, sort, code, torch, inputs, **options):
        self.sort, self.code, self.torch, self.inputs = sort, code, torch, inputs
        self.call = None           # of a layer: what to compute, with {l} for it
        self.torch_call = None     # the same in torch: torch_call(module, inputs...)
        self.training = True       # of a layer
        self.batches = (6, 1, 13, 16, 2, 9)
        self.edges = False         # compared element by element; the cotangents are 1
        self.same_order = True     # of a layer: variables are declared in PyTorch's order
        self.positive = ()         # variables whose values must be positive
        self.start = None          # of a layer: start(name, value) changes what is drawn for a variable
        self.differentiate = True  # gradients are compared
        self.steps = 10
        self.shape = None
        self.__dict__.update(options)
        TABLE.append(self)


def function(code, torch, **inputs):
    Row("function", code, torch, inputs)


def edges(code, torch, **inputs):
    """A function at given values: each element of results and gradients is PyTorch's within rounding, NaN its NaN."""
    Row("function", code, torch, inputs, edges=True, batches=(1,))


def network(code, make, **inputs):
    """A whole network: its results alone. Among hundreds of thousands of values some lie so near a relu's kink that
    rounding decides, and PyTorch in f32 and f64 part there too."""
    Row("layer", code, make, inputs, training=False, differentiate=False, batches=(2,))


def layer(code, make, call=None, torch_call=None, training=True, same_order=True, positive=(), start=None,
          batches=None, **inputs):
    options = {"batches": batches} if batches else {}
    Row("layer", code, make, inputs, call=call, torch_call=torch_call, training=training, same_order=same_order,
        positive=positive, start=start, **options)


def optimizer(code, make, **options):
    Row("optimizer", code, make, {}, **options)


def schedule(code, make, steps=30):
    Row("schedule", code, make, {}, steps=steps)


def initializer(code, fill, *shape):
    Row("initializer", code, fill, {}, shape=shape)


def check(what, code, verify):
    Row("check", code, verify, {}, call=what)


def elsewhere(place, *names):
    """These have no counterpart in PyTorch, or none that a row can state; `place` is the file that tests them."""
    ELSEWHERE.update({name: place for name in names})
