"""Compiler of numeric kernels: numba compiles Python functions over numpy arrays; machine code is cached on disk.

Where the machine code is cached, numba is not even imported, as that takes longer than most of the work: the code is
loaded by `object_code.py`, or linked by LLVM where that needs more, and ctypes calls it without the interpreter's lock.
Where that fails, or with an untested LLVM, numba does all of it: slower to start, with the same results.
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

TESTED_LLVMLITE = ("0.50",)
"""Tested releases of llvmlite, each for one release of numba: another numba may have another calling convention, and
that would raise no exception."""

F = TypeVar("F", bound=Callable[..., Any])
TypeKeys = tuple[str, ...]

_lock = threading.RLock()
_library_numbers = itertools.count()
_helpers: dict[str, list[types.FunctionType]] = {}


def kernels_on() -> bool:
    """Return whether kernels run as machine code; with the environment variable LIFTGATE_KERNELS=off as Python."""
    return os.environ.get("LIFTGATE_KERNELS", "on").lower() not in ("off", "0", "no", "false")


def compiled(function: F) -> F:
    """Compile `function`, a kernel, at its first call; with LIFTGATE_KERNELS=off it runs as Python.

    A kernel takes C-contiguous numpy arrays, ints and floats, writes into arrays that it is given, allocates nothing
    and returns an int or None. Functions that it calls and constants that it reads are in the same file, or in one that
    holds helpers only and is imported from.

    No fastmath: metrics that must equal another implementation to the last bits may not reorder their sums.
    """
    kernels: dict[TypeKeys, Callable[..., Any]] = {}

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if not kernels_on():
            with np.errstate(all="ignore"):
                return function(*args)
        type_keys = tuple(map(_type_key, args))
        if (kernel := kernels.get(type_keys)) is None:
            with _lock:
                kernel = kernels[type_keys] = kernels.get(type_keys) or load_kernel(
                    cast(types.FunctionType, function), type_keys
                )
        return kernel(*args)

    return cast(F, call)


def kernel_helper(function: F) -> F:
    """Mark a function that the kernels of its file call, so that it is compiled and inlined into them."""
    _helpers.setdefault(function.__module__, []).append(cast(types.FunctionType, function))
    return function


def _type_key(value: Any) -> str:
    """Return the type of an argument: `int64`, `float64`, or dtype and dimensions such as `uint16[2]`."""
    if not isinstance(value, np.ndarray):
        return "float64" if isinstance(value, float) else "int64"
    if not value.flags.c_contiguous:
        raise ValueError("a kernel takes C-contiguous arrays")
    return f"{_dtype_name(value.dtype)}[{value.ndim}]"


@functools.cache
def _dtype_name(dtype: np.dtype[Any]) -> str:
    return dtype.name  # numpy builds it again at every call


def load_kernel(function: types.FunctionType, type_keys: TypeKeys) -> Callable[..., Any]:
    """Return a kernel, from cached machine code where that works, else compiled by numba."""
    with contextlib.suppress(Exception):  # any failure: numba does it instead
        return link(*_cached_or_compiled(function, type_keys), type_keys)
    return cast(Callable[..., Any], compile_with_numba(function))


def compile_with_numba(function: types.FunctionType, **options: Any) -> Any:
    """Return numba's dispatcher of a kernel; its helpers are compiled in a namespace of its own.

    Numba's runtime, which counts references to arrays, is switched off: kernels own no arrays, and it took half of the
    time.
    """
    import numba

    jit = numba.njit(nogil=True, error_model="numpy", _nrt=False, **options)
    inner = numba.njit(error_model="numpy", forceinline=True, _nrt=False)
    helpers = _helpers_of(function)
    space = {name: value for one in (*helpers, function) for name, value in one.__globals__.items()}
    for helper in helpers:
        space[helper.__name__] = inner(types.FunctionType(helper.__code__, space, helper.__name__))
    return jit(types.FunctionType(function.__code__, space, function.__name__))


def _helpers_of(function: types.FunctionType) -> list[types.FunctionType]:
    """Return the helpers that a kernel may call: those of files that its own imports helpers of, then of its own."""
    own = _helpers.get(function.__module__, [])
    imported = [value for value in function.__globals__.values() if isinstance(value, types.FunctionType)]
    modules = {one.__module__: one for one in imported if one in _helpers.get(one.__module__, []) and one not in own}
    return [helper for one in modules.values() for helper in _helpers_of(one)] + own


def _cached_or_compiled(function: types.FunctionType, type_keys: TypeKeys) -> tuple[str, bytes]:
    """Return symbol and object code of a kernel, from the cache, else compiled and then cached where possible."""
    source = Path(function.__code__.co_filename)
    key = f"{platform_key()} {function.__qualname__} {type_keys} ".encode()
    files = {source, Path(__file__), *(Path(helper.__code__.co_filename) for helper in _helpers_of(function))}
    digest = hashlib.sha256(key + b"".join(file.read_bytes() for file in sorted(files)))
    name = f"{source.stem}.{function.__name__}.{digest.hexdigest()[:24]}.kernel"
    paths = [folder / name for folder in cache_folders(source)]
    for path in paths:
        with contextlib.suppress(OSError):
            head, _, code = path.read_bytes().partition(b"\n")
            symbol, _, whole = head.decode().partition(" ")
            if whole == hashlib.sha256(code).hexdigest():  # damaged code would not raise an exception, it would crash
                return symbol, code
    from liftgate.files import write_bytes  # only where nothing is cached yet

    symbol_name, code = compile_kernel(function, type_keys)
    for path in paths:
        with contextlib.suppress(OSError):
            write_bytes(path, f"{symbol_name} {hashlib.sha256(code).hexdigest()}\n".encode() + code)
            break
    return symbol_name, code


def cache_folders(source: Path) -> tuple[Path, ...]:
    """Return the folders of cached machine code, in order: beside the source, then the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 (no home: no error)
    return source.parent / "__pycache__", Path(home) / "liftgate" / "kernels"


@functools.cache
def platform_key() -> str:
    """Return everything but its source that machine code depends on: versions and processor."""
    from llvmlite import __version__

    if not __version__.startswith(TESTED_LLVMLITE):
        raise ImportError(f"not tested with llvmlite {__version__}")
    spec = importlib.util.find_spec("numba")
    stamp = Path(spec.origin).stat().st_mtime_ns if spec and spec.origin else 0
    return f"{sys.version_info[:2]} {__version__} {stamp} {_processor()}"


def _processor() -> str:
    from liftgate.kernels import object_code  # what imports a kernel need not wait for it

    try:
        return object_code.processor()
    except (ValueError, KeyError, OSError):
        from llvmlite import binding

        return f"{binding.get_host_cpu_name()} {binding.get_host_cpu_features().flatten()}"


def compile_kernel(function: types.FunctionType, type_keys: TypeKeys) -> tuple[str, bytes]:
    """Compile a kernel and return its symbol and machine code."""
    import numba

    def numba_type(kind: str) -> Any:
        name, bracket, dimensions = kind.partition("[")
        scalar = getattr(numba.types, "boolean" if name == "bool" else name)
        return numba.types.Array(scalar, int(dimensions[:-1]), "C") if bracket else scalar

    dispatcher = compile_with_numba(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)
    dispatcher.compile(tuple(map(numba_type, type_keys)))
    (result,) = dispatcher.overloads.values()
    return result.fndesc.llvm_func_name, result.library._get_compiled_object()


def link(symbol: str, code: bytes, type_keys: TypeKeys) -> Callable[..., Any]:
    """Load machine code and return it as a function, by numba's calling convention.

    The native function takes pointers for its result and its exception (kernels raise none), then its arguments; an
    array is passed as two owner pointers, number and size of its elements, its data, shape and strides.
    """
    loaded, address = _in_memory(symbol, code)
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *_c_types(type_keys))
    native = prototype(address)

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

    kernel.loaded = loaded  # type: ignore[attr-defined]  # keeps the code loaded
    return kernel


def _in_memory(symbol: str, code: bytes) -> tuple[Any, int]:
    """Return what keeps machine code loaded, and the address of its function; LLVM links what needs a linker."""
    from liftgate.kernels import object_code

    try:
        simple = object_code.LoadedCode(code)
        return simple, simple.address(symbol)
    except (ValueError, KeyError, OSError):
        from llvmlite.binding import JITLibraryBuilder

        library = JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(symbol)
        loaded = library.link(_jit_compiler(), f"kernel {next(_library_numbers)}")
        return loaded, loaded[symbol]


def _c_types(type_keys: TypeKeys) -> list[Any]:
    types_: list[Any] = []
    for kind in type_keys:
        _, bracket, dimensions = kind.partition("[")
        array = [ctypes.c_int64] * (5 + 2 * int(dimensions[:-1])) if bracket else []
        types_ += array or [ctypes.c_double if kind == "float64" else ctypes.c_int64]
    return types_


@functools.cache
def _jit_compiler() -> Any:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return binding.create_lljit_compiler(suppress_errors=True)
