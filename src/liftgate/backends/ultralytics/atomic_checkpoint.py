"""Whole: checkpoints that are replaced and never rewritten, so that no kill leaves half of one. Nothing here imports
the trainer that writes them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


class AtomicCheckpointMixin:
    """Mixed into a trainer: each file that it saves takes its place whole."""

    def save_model(self: Any) -> Any:
        places = self.wdir, self.last, self.best
        part = self.wdir / ".part"
        self.wdir, self.last, self.best = part, part / "last.pt", part / "best.pt"
        try:
            saved = super().save_model()  # type: ignore[misc]
        finally:
            self.wdir, self.last, self.best = places
        for path in part.iterdir():
            path.replace(self.wdir / path.name)
        part.rmdir()
        return saved


def whole(strip: Callable[..., Any]) -> Callable[..., Any]:
    """Return `strip` that works on a copy: in place, a kill would tear the file, and the side-car's link with it."""

    def stripped(path: Path, *args: Any, **how: Any) -> Any:
        copy = path.with_name(f".{path.name}")
        shutil.copyfile(path, copy)
        value = strip(copy, *args, **how)
        copy.replace(path)
        return value

    return stripped
