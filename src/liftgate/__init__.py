"""Liftgate: fine-tune a YOLO model only when it helps, and prove that it helped.

One function for each verb of the command line; `liftgate.api` has them all with what they return.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from liftgate._version import __version__ as __version__

if TYPE_CHECKING:
    from liftgate.api import ask as ask
    from liftgate.api import check as check
    from liftgate.api import compare as compare
    from liftgate.api import compare_arms as compare_arms
    from liftgate.api import cost as cost
    from liftgate.api import doctor as doctor
    from liftgate.api import evaluate as evaluate
    from liftgate.api import explain as explain
    from liftgate.api import init as init
    from liftgate.api import logs as logs
    from liftgate.api import plan as plan
    from liftgate.api import report as report
    from liftgate.api import run as run
    from liftgate.api import size as size
    from liftgate.api import status as status
    from liftgate.api import stop as stop
    from liftgate.errors import LiftgateError as LiftgateError

# public name → where it is defined. Loaded at first use, so that `import liftgate` costs nothing (no numpy, no files,
# no settings), and `liftgate.evaluate` does not load what trains.
_HOMES = {
    "ask": "liftgate.deploy.remote_predictions:predict_api_files",
    "check": "liftgate.api:check",
    "compare": "liftgate.services.evidence:compare",
    "compare_arms": "liftgate.services.evidence:compare_arms",
    "cost": "liftgate.api:cost",
    "doctor": "liftgate.diagnosis:doctor",
    "evaluate": "liftgate.services.evidence:evaluate",
    "explain": "liftgate.diagnosis:explain",
    "init": "liftgate.study.templates:init",
    "logs": "liftgate.api:logs",
    "plan": "liftgate.api:plan",
    "report": "liftgate.api:report",
    "run": "liftgate.api:run",
    "size": "liftgate.services.evidence:size",
    "status": "liftgate.api:status",
    "stop": "liftgate.api:stop",
    "LiftgateError": "liftgate.errors:LiftgateError",
}

__all__ = [
    "LiftgateError",
    "__version__",
    "ask",
    "check",
    "compare",
    "compare_arms",
    "cost",
    "doctor",
    "evaluate",
    "explain",
    "init",
    "logs",
    "plan",
    "report",
    "run",
    "size",
    "status",
    "stop",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'liftgate' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
