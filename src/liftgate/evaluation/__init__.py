"""The measuring room. An **evaluation** is metrics of predictions against truth; a **comparison** is the paired
difference of two evaluations on the same images; a **verdict** is what a gate says of either.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liftgate.evaluation.compare import compare as compare
    from liftgate.evaluation.evaluate import evaluate as evaluate
    from liftgate.evaluation.multiple_comparisons import compare_arms as compare_arms
    from liftgate.evaluation.seeds import compare_seeds as compare_seeds

# At first use: whoever only reads records (the report) need not load the compiler of the kernels.
_HOMES = {
    "compare": "liftgate.evaluation.compare",
    "evaluate": "liftgate.evaluation.evaluate",
    "compare_arms": "liftgate.evaluation.multiple_comparisons",
    "compare_seeds": "liftgate.evaluation.seeds",
}

__all__ = ["compare", "compare_arms", "compare_seeds", "evaluate"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'liftgate.evaluation' has no attribute {name!r}")
