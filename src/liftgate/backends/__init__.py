"""Backends train and predict in a child process. `base.py` defines their interface, `events.py` their reports."""

from __future__ import annotations

import importlib
from typing import cast

from liftgate.backends.base import Backend
from liftgate.errors import UsageError

# name → module:class, imported at first use: importing Ultralytics takes seconds.
_KNOWN = {
    "toy": "liftgate.backends.toy:Toy",
    "ultralytics": "liftgate.backends.ultralytics.backend:Ultralytics",
    "libreyolo": "liftgate.backends.libreyolo.backend:LibreYOLO",
}

SPLITTING = frozenset(_KNOWN)
"""Backends that predict a part of a split as they predict the whole; of one's own that is unknown"""

_PACKAGES = {"ultralytics": ("ultralytics", "torch"), "libreyolo": ("libreyolo", "torch")}
_EXTRAS = {"ultralytics": "train", "libreyolo": "libreyolo"}


def packages(name: str) -> tuple[str, ...]:
    """Return the packages whose version decides what a backend's training gives; those of your own are unknown.

    >>> packages("toy")
    ()
    """
    return _PACKAGES.get(name, ())


def load(name: str) -> Backend:
    """Return a backend by its name, or by a dotted path `package.module:Class`.

    Raises:
        UsageError: there is no such backend, or a package that it needs is not installed.

    >>> load("toy").name
    'toy'
    """
    module, colon, attribute = _KNOWN.get(name, name).partition(":")
    if not colon:
        hint = f"one of {', '.join(sorted(_KNOWN))}, or package.module:Class of your own"
        raise UsageError("no such backend", expected="a known name", got=name, hint=hint)
    try:
        return cast(Backend, getattr(importlib.import_module(module), attribute)())
    except ImportError as error:
        advice = f"pip install '.[{_EXTRAS[name]}]' in the clone of Liftgate" if name in _EXTRAS else None
        raise UsageError(f"the backend {name!r} cannot be imported: {error}", hint=advice) from error
    except AttributeError as error:
        raise UsageError(f"the backend {name!r} cannot be made: {error}") from error
