"""Numeric kernels: Python functions over numpy arrays, compiled once to machine code that is kept on disk.

Numba compiles. Where the machine code lies on disk already, numba is not even imported, for that takes longer than
most of the work: LLVM links the code and ctypes calls it, free of the interpreter's lock. Where any of that fails, and
with an LLVM that this was not tried with, numba does all of it: slower to start, the same numbers.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import itertools
import os
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from liftgate.files import write_bytes

TESTED_LLVMLITE = ("0.50",)
"""Releases of llvmlite, each made for one of numba: another numba may call its functions otherwise, which no exception
would tell."""

F = TypeVar("F", bound=Callable[..., Any])
Kinds = tuple[str, ...]

_lock = threading.RLock()
_numbers = itertools.count()
_parts: dict[str, list[types.FunctionType]] = {}


def kernels_on() -> bool:
    """Return whether kernels run as machine code; with the environment variable LIFTGATE_KERNELS=off as Python."""
    return os.environ.get("LIFTGATE_KERNELS", "on").lower() not in ("off", "0", "no", "false")


def compiled(function: F) -> F:
    """Compile `function`, a kernel, at its first call; with LIFTGATE_KERNELS=off it runs as the Python that it is.

    A kernel takes numpy arrays in C order, ints and floats, writes into arrays that it is given, allocates nothing and
    returns an int or nothing. Functions that it calls and constants that it reads stand in the same file.

    No fastmath: a metric that is to equal another implementation to the last bits may not reorder its sums.
    """
    kernels: dict[Kinds, Callable[..., Any]] = {}

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if not kernels_on():
            with np.errstate(all="ignore"):
                return function(*args)
        kinds = tuple(map(_kind, args))
        if (kernel := kernels.get(kinds)) is None:
            with _lock:
                kernel = kernels[kinds] = kernels.get(kinds) or load_kernel(cast(types.FunctionType, function), kinds)
        return kernel(*args)

    return cast(F, call)


def part(function: F) -> F:
    """Mark a function that kernels of its file call."""
    _parts.setdefault(function.__module__, []).append(cast(types.FunctionType, function))
    return function


def _kind(value: Any) -> str:
    """What an argument is to the compiler: `int64`, `float64`, or dtype and dimensions such as `uint16[2]`."""
    if not isinstance(value, np.ndarray):
        return "float64" if isinstance(value, float) else "int64"
    if not value.flags.c_contiguous:
        raise ValueError("a kernel takes arrays in C order")
    return f"{value.dtype.name}[{value.ndim}]"


def load_kernel(function: types.FunctionType, kinds: Kinds) -> Callable[..., Any]:
    """Return a kernel from the cache of machine code, else compiled by numba."""
    with contextlib.suppress(Exception):  # whatever it is, numba can do without
        return link(*_kept(function, kinds), kinds)
    return cast(Callable[..., Any], compile_with_numba(function))


def compile_with_numba(function: types.FunctionType, **options: Any) -> Any:
    """Numba's own dispatcher of the kernel; the parts that it calls are compiled in a namespace of its own.

    Without numba's runtime, which counts who owns an array: kernels own none, and counting took half of the time.
    """
    import numba

    jit = numba.njit(nogil=True, error_model="numpy", _nrt=False, **options)
    inner = numba.njit(error_model="numpy", forceinline=True, _nrt=False)
    space = dict(function.__globals__)
    for helper in _parts.get(function.__module__, []):
        space[helper.__name__] = inner(types.FunctionType(helper.__code__, space, helper.__name__))
    return jit(types.FunctionType(function.__code__, space, function.__name__))


def _kept(function: types.FunctionType, kinds: Kinds) -> tuple[str, bytes]:
    """Symbol and object code of a kernel, from disk, else compiled and then kept where that is allowed."""
    source = Path(function.__code__.co_filename)
    said = f"{platform_key()} {function.__qualname__} {kinds} ".encode()
    digest = hashlib.sha256(said + source.read_bytes() + Path(__file__).read_bytes())
    name = f"{source.stem}.{function.__name__}.{digest.hexdigest()[:24]}.kernel"
    places = [folder / name for folder in cache_folders(source)]
    for place in places:
        with contextlib.suppress(OSError):
            head, _, code = place.read_bytes().partition(b"\n")
            symbol, _, whole = head.decode().partition(" ")
            if whole == hashlib.sha256(code).hexdigest():  # a damaged kernel would not raise, it would crash
                return symbol, code
    symbol_name, code = compile_kernel(function, kinds)
    for place in places:
        with contextlib.suppress(OSError):
            write_bytes(place, f"{symbol_name} {hashlib.sha256(code).hexdigest()}\n".encode() + code)
            break
    return symbol_name, code


def cache_folders(source: Path) -> tuple[Path, ...]:
    """Beside the source, else in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 (no home: no error)
    return source.parent / "__pycache__", Path(home) / "liftgate" / "kernels"


@functools.cache
def platform_key() -> str:
    """Everything beside its source that machine code depends on."""
    from llvmlite import __version__, binding

    if not __version__.startswith(TESTED_LLVMLITE):
        raise ImportError(f"not tried with llvmlite {__version__}")
    spec = importlib.util.find_spec("numba")
    stamp = Path(spec.origin).stat().st_mtime_ns if spec and spec.origin else 0
    features = binding.get_host_cpu_features().flatten()
    return f"{sys.version_info[:2]} {__version__} {stamp} {binding.get_host_cpu_name()} {features}"


def compile_kernel(function: types.FunctionType, kinds: Kinds) -> tuple[str, bytes]:
    """Compile a kernel and return its symbol and machine code."""
    import numba

    def numba_type(kind: str) -> Any:
        name, bracket, dimensions = kind.partition("[")
        scalar = getattr(numba.types, "boolean" if name == "bool" else name)
        return numba.types.Array(scalar, int(dimensions[:-1]), "C") if bracket else scalar

    dispatcher = compile_with_numba(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)
    dispatcher.compile(tuple(map(numba_type, kinds)))
    (result,) = dispatcher.overloads.values()
    return result.fndesc.llvm_func_name, result.library._get_compiled_object()


def link(symbol: str, code: bytes, kinds: Kinds) -> Callable[..., Any]:
    """The loaded machine code as a function, by numba's calling convention.

    It is given where to put the result and an exception (kernels raise none), then its arguments; an array is two
    pointers of its owner, number and size of its elements, its data, its shape and its strides.
    """
    from llvmlite.binding import JITLibraryBuilder

    library = JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(symbol)
    loaded = library.link(_jit(), f"kernel {next(_numbers)}")
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *_c_types(kinds))
    native = prototype(loaded[symbol])

    def kernel(*args: Any) -> int:
        result, exception = ctypes.c_int64(), ctypes.c_void_p()
        flat: list[Any] = []
        for arg in args:
            if isinstance(arg, np.ndarray):
                flat += (0, 0, arg.size, arg.itemsize, arg.ctypes.data, *arg.shape, *arg.strides)
            else:
                flat.append(arg)
        native(ctypes.addressof(result), ctypes.addressof(exception), *flat)
        return result.value

    kernel.loaded = loaded  # type: ignore[attr-defined]  # code lives as long as this
    return kernel


def _c_types(kinds: Kinds) -> list[Any]:
    types_: list[Any] = []
    for kind in kinds:
        _, bracket, dimensions = kind.partition("[")
        array = [ctypes.c_int64] * (5 + 2 * int(dimensions[:-1])) if bracket else []
        types_ += array or [ctypes.c_double if kind == "float64" else ctypes.c_int64]
    return types_


@functools.cache
def _jit() -> Any:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.create_lljit_compiler(suppress_errors=True)
