"""Compiled models in Python: runs dlcc, opens the .so, calls functions and reads variables by name.

Everything goes through the reflection tables and the call table of runtime/dlrt.h, so that no header is generated.
"""
import ctypes as c
import subprocess

import numpy as np

DTYPES = [np.float64, np.float32, np.float16, None, np.int64, np.int32, np.int8, np.uint8, np.bool_]
PARAM, STATE, SLOT = 0, 1, 2  # DlrtVarKind


class Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("bytes", c.c_size_t), ("dtype", c.c_int32), ("rank", c.c_int32),
                ("shape", c.c_int64 * 8)]


class TensorInfo(c.Structure):
    _fields_ = [("name", c.c_char_p), ("doc", c.c_char_p), ("dtype", c.c_int32), ("rank", c.c_int32),
                ("role", c.c_int32), ("reserved", c.c_int32), ("shape", c.c_void_p)]


class FunctionInfo(c.Structure):
    _fields_ = [("name", c.c_char_p), ("doc", c.c_char_p), ("flags", c.c_int32), ("dim_count", c.c_int32),
                ("arg_count", c.c_int32), ("result_count", c.c_int32), ("dims", c.c_void_p), ("args", c.c_void_p),
                ("results", c.POINTER(TensorInfo)), ("arena_bytes", c.c_int64), ("scratch_bytes", c.c_int64),
                ("flops", c.c_int64), ("entry", c.c_void_p), ("steps", c.c_void_p), ("step_count", c.c_int64)]


class VarInfo(c.Structure):
    _fields_ = [("name", c.c_char_p), ("kind", c.c_int32), ("dtype", c.c_int32), ("rank", c.c_int32),
                ("reserved", c.c_int32), ("shape", c.POINTER(c.c_int64)), ("order", c.c_void_p),
                ("offset", c.c_int64), ("bytes", c.c_int64)]


class ModelInfo(c.Structure):
    _fields_ = [("abi_version", c.c_int32), ("var_count", c.c_int32), ("function_count", c.c_int32),
                ("flags", c.c_int32), ("name", c.c_char_p), ("doc", c.c_char_p), ("target", c.c_char_p),
                ("cpu_name", c.c_char_p), ("cpu_features", c.c_uint64), ("fingerprint", c.c_uint64),
                ("vars", c.POINTER(VarInfo)), ("functions", c.POINTER(FunctionInfo))]


class Api(c.Structure):
    _fields_ = [("abi_version", c.c_int32), ("reserved", c.c_int32), ("close", c.CFUNCTYPE(None, c.c_void_p)),
                ("context_create", c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.POINTER(c.c_void_p))),
                ("context_destroy", c.CFUNCTYPE(None, c.c_void_p)),
                ("call", c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_int32, c.POINTER(Tensor), c.c_int32, c.POINTER(Tensor),
                                     c.c_int32)),
                ("message", c.CFUNCTYPE(c.c_char_p, c.c_void_p)),
                ("model_message", c.CFUNCTYPE(c.c_char_p, c.c_void_p)),
                ("get", c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_char_p, c.c_void_p, c.c_size_t)),
                ("set", c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_char_p, c.c_void_p, c.c_size_t)),
                ("reset", c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_uint64))]


class Module(c.Structure):
    _fields_ = [("abi_version", c.c_int32), ("reserved", c.c_int32), ("info", c.POINTER(ModelInfo)),
                ("open", c.CFUNCTYPE(c.c_int, c.POINTER(ModelInfo), c.c_void_p, c.POINTER(c.c_void_p)))]


class Failed(Exception):
    """dlcc or a call did not work; the text says why."""


def compile_model(dlcc, text, path):
    """Writes PATH.dl and compiles it to PATH.so; Failed with the diagnostics."""
    with open(path + ".dl", "w") as file:
        file.write(text)
    done = subprocess.run([*dlcc, path + ".dl", "-o", path + ".so"], capture_output=True, text=True)
    if done.returncode:
        raise Failed(done.stderr.strip())


class Compiled:
    """An opened model with one context. `functions` and `vars` are in the order of declaration."""

    def __init__(self, path, seed=0):
        module = Module.in_dll(c.CDLL(path), "dlrt_module")
        options = (c.c_uint64 * 16)(seed)  # DlrtOptions begins with the seed; the rest is zero
        self.model, self.context = c.c_void_p(), c.c_void_p()
        if module.open(module.info, c.byref(options), c.byref(self.model)):
            raise Failed(f"{path} does not open")
        self.api = c.cast(self.model, c.POINTER(c.POINTER(Api)))[0][0]
        if self.api.context_create(self.model, None, c.byref(self.context)):
            raise Failed("no context")
        info = module.info[0]
        self.functions = {info.functions[i].name.decode(): i for i in range(info.function_count)}
        self.results = [[r.dtype for r in f.results[:f.result_count]] for f in info.functions[:info.function_count]]
        self.vars = {v.name.decode(): v for v in info.vars[:info.var_count]}

    def reset(self, seed):
        assert self.api.reset(self.model, seed) == 0

    def names(self, prefix, *kinds):
        """Variables below a path, of these kinds, without the path."""
        start = prefix + "."
        return [n[len(start):] for n, v in self.vars.items() if n.startswith(start) and v.kind in kinds]

    def get(self, name):
        v = self.vars[name]
        value = np.empty([v.shape[i] for i in range(v.rank)], DTYPES[v.dtype])
        if self.api.get(self.model, name.encode(), value.ctypes.data, value.nbytes):
            raise Failed(self.api.model_message(self.model).decode())
        return value

    def set(self, name, value):
        v = self.vars[name]
        value = np.array(value, DTYPES[v.dtype], order="C")
        if self.api.set(self.model, name.encode(), value.ctypes.data, value.nbytes):
            raise Failed(self.api.model_message(self.model).decode())

    def call(self, name, args, room):
        """Results of a call as arrays; `room` is the most bytes that one of them has."""
        at = self.functions[name]
        count = len(self.results[at])
        given = (Tensor * max(1, len(args)))()
        keep = [np.array(a, order="C") for a in args]
        for t, a in zip(given, keep):
            t.data, t.bytes, t.dtype, t.rank = a.ctypes.data, a.nbytes, DTYPES.index(a.dtype.type), a.ndim
            t.shape[:a.ndim] = a.shape
        got, stores = (Tensor * max(1, count))(), [np.zeros(room, np.uint8) for _ in range(count)]
        for t, store, dtype in zip(got, stores, self.results[at]):
            t.data, t.bytes, t.rank, t.dtype = store.ctypes.data, room, -1, dtype
        status = self.api.call(self.context, at, given, len(args), got, count)
        if status:
            raise Failed(f"status {status}: {self.api.message(self.context).decode()}")
        return [np.frombuffer(s, DTYPES[t.dtype], int(np.prod(t.shape[:t.rank]))).reshape(t.shape[:t.rank])
                for t, s in zip(got, stores)]

    def close(self):
        self.api.context_destroy(self.context)
        self.api.close(self.model)
