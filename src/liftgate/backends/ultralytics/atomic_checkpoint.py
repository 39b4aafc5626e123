"""Checkpoints that are replaced as a whole, so that no kill leaves half of one. Nothing here imports ultralytics."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


class AtomicCheckpointMixin:
    """Mixed into a trainer: each file that it saves is written aside and then renamed into its place."""

    def save_model(self: Any) -> Any:
        """Save last.pt, best.pt and epochN.pt as the trainer does."""
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


def atomic_strip(strip: Callable[..., Any]) -> Callable[..., Any]:
    """Return `strip` working on a copy: in place, a kill would tear the file, and the side-car's link with it."""

    def stripped(path: Path, *args: Any, **options: Any) -> Any:
        copy = path.with_name(f".{path.name}")
        shutil.copyfile(path, copy)
        value = strip(copy, *args, **options)
        copy.replace(path)
        return value

    return stripped
