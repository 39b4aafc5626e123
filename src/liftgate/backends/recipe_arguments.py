"""Check the names of a recipe's training arguments against those of the trainer."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from liftgate.backends.events import Json
from liftgate.documents import DocumentError, load_yaml
from liftgate.errors import UsageError
from liftgate.study.vocabulary import RESERVED_ARGUMENTS
from liftgate.suggestions import did_you_mean

_TRAINERS = {"ultralytics": "Ultralytics", "libreyolo": "LibreYOLO"}
# Of LibreYOLO: what the study or the backend sets, what needs another model, and what writes files of its own.
_NOT_OF_A_RECIPE = frozenset(
    (
        *("size", "num_classes", "data_dir", "single_cls", "classes", "distill_model", "average_best"),
        *("export_check", "cuda_graph", "compile", "lora", "allow_download_scripts", "profile", "profile_warmup"),
        *("profile_steps", "profile_trace", "profile_open", "profile_then_stop"),
    )
)


@cache
def known_arguments(backend: str = "ultralytics") -> frozenset[str]:
    """Return the names that the installed trainer of a backend knows; empty where it is not installed or unknown.

    Read from its files without importing it (an import takes seconds, and Ultralytics' writes to the home folder).
    """
    found = importlib.util.find_spec(backend) if backend in _TRAINERS else None
    if found is None or not found.submodule_search_locations:
        return frozenset()
    folder = Path(found.submodule_search_locations[0])
    try:
        if backend == "ultralytics":
            return frozenset(load_yaml(folder / "cfg" / "default.yaml"))
        return _fields_of(folder / "training" / "config.py") - _NOT_OF_A_RECIPE
    except (OSError, DocumentError, SyntaxError):
        return frozenset()


def _fields_of(path: Path) -> frozenset[str]:
    """Return the fields of all dataclasses in a Python file, which is read and not run."""
    classes = [node for node in ast.parse(path.read_bytes()).body if isinstance(node, ast.ClassDef)]
    fields = (part.target for node in classes for part in node.body if isinstance(part, ast.AnnAssign))
    return frozenset(target.id for target in fields if isinstance(target, ast.Name))


def check_recipe(
    recipe: Json, known: Iterable[str] | None = None, where: str | None = None, *, trainer: str = "Ultralytics"
) -> None:
    """Raise an error for arguments that the trainer does not have or that a recipe may not set.

    Args:
        recipe: training arguments.
        known: names that the trainer knows; default: those of the installed Ultralytics.
        where: place of the recipe, for the message.
        trainer: its name, for the message.

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
                if trainer == "Ultralytics"
                else f"the names are those of {trainer}'s own training configuration"
            )
            expected = f"an argument of {trainer}"
            raise UsageError("unknown training argument", where=where, expected=expected, got=name, hint=hint)
