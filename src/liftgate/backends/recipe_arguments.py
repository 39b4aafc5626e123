"""Check the names of a recipe's training arguments against those of the trainer."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from liftgate.backends.events import Json
from liftgate.documents import DocumentError, load_yaml
from liftgate.errors import UsageError
from liftgate.study.vocabulary import RESERVED_ARGUMENTS
from liftgate.suggestions import did_you_mean


@cache
def known_arguments() -> frozenset[str]:
    """Return the names that the installed Ultralytics knows; empty where it is not installed.

    Read from its default.yaml without importing it (an import takes seconds and writes to the home folder).
    """
    found = importlib.util.find_spec("ultralytics")
    if found is None or not found.submodule_search_locations:
        return frozenset()
    path = Path(found.submodule_search_locations[0]) / "cfg" / "default.yaml"
    try:
        return frozenset(load_yaml(path))
    except (OSError, DocumentError):
        return frozenset()


def check_recipe(recipe: Json, known: Iterable[str] | None = None, where: str | None = None) -> None:
    """Raise an error for arguments that the trainer does not have or that a recipe may not set.

    Args:
        recipe: training arguments.
        known: names that the trainer knows; default: those of the installed Ultralytics.
        where: place of the recipe, for the message.

    Raises:
        UsageError: for such an argument; the hint names the most similar one.

    >>> check_recipe({"lro": 0.01}, known=["lr0", "epochs"])
    Traceback (most recent call last):
    liftgate.errors.UsageError: unknown training argument: expected an argument of Ultralytics, got lro
    hint: did you mean lr0?
    """
    names = known_arguments() if known is None else frozenset(known)
    for name in recipe:
        if name in RESERVED_ARGUMENTS:
            raise UsageError("not for a recipe to set", where=where, got=name, hint=RESERVED_ARGUMENTS[name])
        if names and name not in names:
            hint = did_you_mean(name, sorted(names - RESERVED_ARGUMENTS.keys())) or (
                "the names are those of `yolo cfg`; ones that were removed from Ultralytics are none"
            )
            raise UsageError(
                "unknown training argument", where=where, expected="an argument of Ultralytics", got=name, hint=hint
            )
