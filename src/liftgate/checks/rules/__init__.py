"""The catalogue of rules: one module per family, one function per rule; every module here is imported."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from liftgate.checks.rule import Rule, registered


def catalogue() -> Sequence[Rule]:
    """Return every rule, sorted by id."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return tuple(registered().values())
