"""Liftgate: fine-tune a YOLO model only when it helps, and prove that it helped."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liftgate.api import check as check
    from liftgate.api import compare as compare
    from liftgate.api import compare_arms as compare_arms
    from liftgate.api import evaluate as evaluate
    from liftgate.api import plan as plan
    from liftgate.api import report as report
    from liftgate.api import run as run
    from liftgate.api import size as size
    from liftgate.errors import LiftgateError as LiftgateError

__version__ = "0.1.0"

# public name → where it is defined. Loaded at first use, so that `import liftgate` costs nothing (no numpy, no files,
# no settings), and `liftgate.evaluate` does not load what trains.
_HOMES = {
    "check": "liftgate.api:check",
    "compare": "liftgate.measure.verbs:compare_files",
    "compare_arms": "liftgate.measure.verbs:compare_arms_files",
    "evaluate": "liftgate.measure.verbs:evaluate_files",
    "plan": "liftgate.api:plan",
    "report": "liftgate.api:report",
    "run": "liftgate.api:run",
    "size": "liftgate.measure.verbs:size",
    "LiftgateError": "liftgate.errors:LiftgateError",
}

__all__ = [
    "LiftgateError",
    "__version__",
    "check",
    "compare",
    "compare_arms",
    "evaluate",
    "plan",
    "report",
    "run",
    "size",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'liftgate' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
