"""Liftgate: fine-tune a YOLO model only when it helps, and prove that it helped.

One function for each verb of the command line, and the types that they take and return; `liftgate.api` has the table.
`liftgate.data` has the functions on data sets.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from liftgate import api
from liftgate._version import __version__ as __version__

if TYPE_CHECKING:
    from liftgate import data as data
    from liftgate.api import *  # noqa: F403  (the names of the table)

__all__ = ["__version__", "data"]
__all__ += api.__all__


def __getattr__(name: str) -> Any:
    if name == "data":
        return importlib.import_module("liftgate.data")
    if name in api.__all__:
        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
