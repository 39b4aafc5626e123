"""The proof, before any weights are loaded, that loading them runs nothing: a checkpoint that would is refused."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from ultralytics.nn import tasks

from liftgate.errors import UsageError

_executed: list[str] = []


def record_execution(word: str) -> None:
    """What the tried checkpoint would call."""
    _executed.append(word)


def demand_safe_loading() -> None:
    """Load a checkpoint that calls `record_execution`, the way that weights are loaded, and see it refused.

    Raises:
        UsageError: it was called, or the checkpoint was loaded: safe loading is off, or needs another version.
    """
    call = f"c{__name__}\nrecord_execution\nX\x04\x00\x00\x00word\x85R."
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tried.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("tried/data.pkl", b"\x80\x02" + call.encode("latin-1"))
            archive.writestr("tried/version", "3\n")
        try:
            tasks.torch_safe_load(str(path))
        except Exception:
            refused = not _executed
        else:
            refused = False
    if not refused:
        hint = "Ultralytics loads safely with torch 2.6 or newer and ULTRALYTICS_SAFE_LOAD=1, which Liftgate sets"
        raise UsageError("weights would be loaded without protection", where="the backend's process", hint=hint)
