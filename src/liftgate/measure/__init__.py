"""The measuring room. An **evaluation** is metrics of predictions against truth; a **comparison** is the paired
difference of two evaluations on the same images; a **verdict** is what a gate says of either.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liftgate.measure.comparison import compare as compare
    from liftgate.measure.evaluation import evaluate as evaluate
    from liftgate.measure.seeds import compare_seeds as compare_seeds
    from liftgate.measure.several import compare_arms as compare_arms

# At first use: whoever only reads records (the report) need not load the compiler of the kernels.
_HOMES = {
    "compare": "liftgate.measure.comparison",
    "evaluate": "liftgate.measure.evaluation",
    "compare_arms": "liftgate.measure.several",
    "compare_seeds": "liftgate.measure.seeds",
}

__all__ = ["compare", "compare_arms", "compare_seeds", "evaluate"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'liftgate.measure' has no attribute {name!r}")
