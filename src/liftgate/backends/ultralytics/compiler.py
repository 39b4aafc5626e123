"""torch's compiler, imported only when something is compiled.

torch's optimizers and its switch for deterministic algorithms import it, and torchvision for a branch of RoI pooling:
about 1,000 modules, more than half of what a child process needs to start, which compiles nothing. No figure depends
on them: on the CPU tests compare seven optimizers, and runs with Ultralytics' own command, bit by bit. Nothing of it
was run on a GPU.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch.optim import Optimizer

_COMPILER = "torch._dynamo"
_UTILS = f"{_COMPILER}.utils"


def import_compiler_late() -> None:
    """Import torchvision without the compiler, and let training do without it, as far as this torch allows it.

    Not for a process that compiles a model: its compiler would not know that it must be deterministic.
    """
    if _COMPILER not in sys.modules:
        _import_torchvision()
        _call_optimizers_directly()
        torch.use_deterministic_algorithms = _use_deterministic_algorithms


class _StandIn(ModuleType):
    """Stands in for a module of the compiler while torchvision is imported; another use imports the real one."""

    def __getattr__(self, name: str) -> Any:
        if (self.__name__, name) == (_UTILS, "is_compile_supported"):
            return _is_compile_supported
        if (self.__name__, name) == (_COMPILER, "__path__"):  # another of its submodules is imported
            _remove_stand_ins()
            return importlib.import_module(self.__name__).__path__
        if name.startswith("__"):  # `inspect` looks for the file of every module
            raise AttributeError(name)
        _remove_stand_ins()
        return getattr(importlib.import_module(self.__name__), name)


def _is_compile_supported(device: Any) -> Any:
    return importlib.import_module(_UTILS).is_compile_supported(device)


def _import_torchvision() -> None:
    sys.modules.update({name: _StandIn(name) for name in (_COMPILER, _UTILS)})
    try:
        importlib.import_module("torchvision")
    finally:
        _remove_stand_ins()


def _remove_stand_ins() -> None:
    for name in (_COMPILER, _UTILS):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


def _call_optimizers_directly() -> None:
    """Take from the optimizers what keeps their methods out of compiled functions."""
    for method in vars(Optimizer).values():
        inner = getattr(method, "__wrapped__", None)
        if isinstance(inner, FunctionType):
            vars(inner)["__dynamo_disable"] = inner  # where torch keeps the compiler's version of it, made at need
    for kind in Optimizer.__subclasses__():
        step = vars(kind).get("step")
        if isinstance(step, FunctionType) and step.__code__.co_name == "_use_grad":
            kind.step = _without_gradients(vars(step)["__wrapped__"])


def _without_gradients(step: Callable[..., Any]) -> Callable[..., Any]:
    """Do what torch does around a step, without asking the compiler for a break before and after it."""

    @functools.wraps(step)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step(self, *args, **kwargs)

    return wrapped


def _use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Do as torch does, without telling the compiler."""
    torch.set_deterministic_debug_mode("default" if not mode else "warn" if warn_only else "error")
