#!/usr/bin/env python3
"""Fits the polynomials of compiler/codegen/element_f32.c and element_wide.c. Usage: minimax.py [NAME ...]

Needs mpmath (Debian: python3-mpmath).

For each it prints the coefficients and log2 of the greatest error, relative to the function's result. Method: least
squares at Chebyshev points, the weights multiplied by the error until it is level (Lawson's iteration). Coefficients
are rounded to the type they are computed in one after the other, from the constant up, each time fitting the rest anew.
"""
import struct
import sys

from mpmath import atan, atanh, cos, erf, erfc, exp, log, lu_solve, matrix, mp, mpf, pi, sin, sqrt, tanh

mp.prec = 200
POINTS, ROUNDS = 240, 14


def points(low, high, count):
    return [(low + high) / 2 - (high - low) / 2 * cos(pi * (i + mpf(1) / 2) / count) for i in range(count)]


def lawson(rows, right, n):
    """The n coefficients for which the greatest of |sum(c[j] * row[j]) - right| is about least."""
    weights, best = [mpf(1)] * len(rows), None
    for _ in range(ROUNDS):
        a, b = matrix(n, n), matrix(n, 1)
        for i in range(n):
            b[i] = sum(w * r[i] * y for w, r, y in zip(weights, rows, right))
            for j in range(i, n):
                a[i, j] = a[j, i] = sum(w * r[i] * r[j] for w, r in zip(weights, rows))
        c = lu_solve(a, b)
        errors = [abs(sum(c[j] * r[j] for j in range(n)) - y) for r, y in zip(rows, right)]
        top = max(errors)
        if best is None or top < best[0]:
            best = (top, c)
        weights = [w * (e / top + mpf(10) ** -6) for w, e in zip(weights, errors)]
        total = sum(weights)
        weights = [w / total for w in weights]
    return best[1]


def rounded(x, kind):
    return mpf(struct.unpack(kind, struct.pack(kind, float(x)))[0])


def fit(name, kind, n, low, high, function, weight):
    """weight(x) turns an error of the polynomial into one of the result."""
    xs, fixed = points(mpf(low), mpf(high), POINTS), []
    ws = [weight(x) for x in xs]
    for k in range(n):
        rows = [[w * x ** (k + j) for j in range(n - k)] for x, w in zip(xs, ws)]
        right = [w * (function(x) - sum(c * x ** i for i, c in enumerate(fixed))) for x, w in zip(xs, ws)]
        fixed.append(rounded(lawson(rows, right, n - k)[0], kind))
    worst = max(abs(weight(x) * (sum(c * x ** i for i, c in enumerate(fixed)) - function(x)))
                for x in points(mpf(low), mpf(high), 4000))
    print('%s: 2^%.1f\n    %s' % (name, float(log(worst, 2)), ', '.join(float(c).hex() for c in fixed)), flush=True)


LN2_HALF = log(2) / 2 * mpf('1.0005')
QUARTER_PI = (pi / 4) ** 2 * mpf('1.001')
ROOT = sqrt(mpf(2))
FAR = mpf('0.9765625')


def odd(f):
    """(f(x) - x) / x^3 in z = x^2, and the weight that goes with it."""
    return lambda z: (f(sqrt(z)) - sqrt(z)) / sqrt(z) ** 3, lambda z: sqrt(z) ** 3 / f(sqrt(z))


def exp_rest(r):
    return (exp(r) - 1 - r) / r ** 2


TINY = '1e-12'
JOBS = {
    'exp_f32': ('f', 6, -LN2_HALF, LN2_HALF, exp_rest, lambda r: r ** 2),
    'log_f32': ('f', 9, 1 / ROOT - 1, ROOT - 1, lambda f: (log(1 + f) - f + f * f / 2) / f ** 3,
                lambda f: f ** 3 / log(1 + f)),
    'tanh_f32': ('f', 5, '1e-9', mpf('0.5625') ** 2, *odd(tanh)),
    'erf_f32': ('f', 7, '1e-9', 1, lambda z: erf(sqrt(z)) / sqrt(z) - 1, lambda z: sqrt(z) / erf(sqrt(z))),
    'erfc_f32': ('f', 7, 0, '2.975', lambda t: -log(erfc(t + FAR)), lambda t: erfc(t + FAR) / erf(t + FAR)),
    'exp_f64': ('d', 7, -LN2_HALF, LN2_HALF, exp_rest, lambda r: r ** 2 / (exp(r) - 1)),
    'log_f64': ('d', 5, TINY, ((ROOT - 1) / (ROOT + 1)) ** 2 * mpf('1.001'),
                lambda z: 2 * odd(atanh)[0](z), lambda z: odd(atanh)[1](z) / 2),
    'sin_f64': ('d', 4, TINY, QUARTER_PI, *odd(sin)),
    'atan_f64': ('d', 7, TINY, (ROOT - 1) ** 2 * mpf('1.001'), *odd(atan)),
    'cos_f64': ('d', 5, TINY, QUARTER_PI, lambda z: (cos(sqrt(z)) - 1) / z, lambda z: z / cos(sqrt(z))),
}

for chosen in sys.argv[1:] or JOBS:
    fit(chosen, *JOBS[chosen])
