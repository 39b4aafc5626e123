"""Where start weights are looked for: next to the study, then in the weights cache, never on a server."""

from __future__ import annotations

from pathlib import Path

from liftgate import suggestions
from liftgate.files import cache_folder


def weights_cache() -> Path:
    """Return the folder where official weights are looked for; put them there by hand."""
    return cache_folder() / "weights"


def places(name: str, folder: Path) -> tuple[Path, ...]:
    """Return where weights of a study in `folder` may lie, in the order in which they are looked for.

    The cache is for names: a path to a file that is gone is not answered with another file of its name.
    """
    given = Path(name).expanduser() if name.startswith("~") else Path(name)
    beside = folder / given
    return (beside, weights_cache() / given) if given.name == str(given) else (beside,)


def find(name: str, folder: Path) -> Path | None:
    """Return the file of weights that a study in `folder` names, or None."""
    return next((place for place in places(name, folder) if place.is_file()), None)


def nearest(name: str, folder: Path) -> Path | None:
    """Return the weights in the same places whose name is nearest, if any is near."""
    for place in places(name, folder):
        there = {file.name: file for file in place.parent.glob("*.pt")} if place.parent.is_dir() else {}
        if close := suggestions.nearest(place.name, there):
            return there[close]
    return None
