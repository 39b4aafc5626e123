"""Weights of a study: where start weights are found, never on a server, and the licence of what an arm trains."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from liftgate import suggestions
from liftgate.files import cache_folder
from liftgate.study.records import Arm, Study


def weights_cache() -> Path:
    """Return the folder of official weights, to which the user copies them; `~/…` as written: there is no home."""
    try:
        return cache_folder() / "weights"
    except RuntimeError:
        return Path("~/.cache/liftgate/weights")


def places(name: str, folder: Path) -> tuple[Path, ...]:
    """Return the places of weights of a study in `folder`, in the order in which they are searched.

    The cache is used only for bare names: a path to a missing file is not replaced with another file of its name.
    """
    given = Path(os.path.expanduser(name))  # noqa: PTH111 (a name of no user, or no home: as it is, no error)
    local = folder / given
    return (local, weights_cache() / given) if given.name == str(given) else (local,)


_ASSETS = "https://github.com/ultralytics/assets/releases/download/v8.4.0"


def fetch_command(name: str) -> str:
    """Return the command that a person runs to fetch official weights; Liftgate itself downloads nothing."""
    return f"curl -L --create-dirs -o {shlex.quote(str(weights_cache() / name))} {_ASSETS}/{shlex.quote(name)}"


def find(name: str, folder: Path) -> Path | None:
    """Return the file of the weights that a study in `folder` names, or None."""
    return next((place for place in places(name, folder) if place.is_file()), None)


def nearest(name: str, folder: Path) -> Path | None:
    """Return the weights in these places with the most similar name; None: none is similar."""
    for place in places(name, folder):
        there = {file.name: file for file in place.parent.glob("*.pt")} if place.parent.is_dir() else {}
        if close := suggestions.nearest(place.name, there):
            return there[close]
    return None


TRAINER_LICENCES = {"ultralytics": "AGPL-3.0", "libreyolo": "MIT"}
"""Backend → licence of its trainer, which its authors claim for, or leave to, what it trained"""


def weights_licence(study: Study, arm: Arm) -> str | None:
    """Return the licence of an arm's weights as its trainer's authors see it; None: unknown, as of your own backend.

    Start weights may carry a licence of their own: nothing here knows it.
    """
    return TRAINER_LICENCES.get(study.backend_of(arm))


def licence_note(study: Study, arm: Arm) -> str | None:
    """Return `this arm's weights are MIT`; None: unknown."""
    licence = weights_licence(study, arm)
    return None if licence is None else f"this arm's weights are {licence}"
