"""A model that lies in a registry is compared with its recorded hash wherever it is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from liftgate.deploy.registry.registered import require_registered_content
from liftgate.errors import DataError


def test_a_registered_file_is_known_and_compared(registered: Callable[[int], Path], study: Path) -> None:
    registry = registered(1)
    weights = registry / "v0" / "start_colours_v0.pt"
    found = require_registered_content(weights)
    assert found is not None and found.version == "v0"
    weights.write_bytes(b"other")
    with pytest.raises(DataError, match="v0 is not as it was registered"):
        require_registered_content(weights)
    (registry / "loose.pt").write_bytes(b"x")
    assert require_registered_content(registry / "loose.pt") is None


def test_an_export_that_is_not_registered_is_not_loaded(registered: Callable[[int], Path]) -> None:
    registry = registered(1)
    (registry / "v0/exports/mine").mkdir(parents=True)
    (registry / "v0/exports/mine/model.onnx").write_bytes(b"x")
    with pytest.raises(DataError, match="this model is not registered"):
        require_registered_content(registry / "v0/exports/mine/model.onnx")
    assert require_registered_content(registry / "v0/start_colours_v0.pt") is not None


def test_files_elsewhere_are_not_of_a_registry(study: Path) -> None:
    (weights,) = study.parent.glob("runs/colours/*_long-seed-0/results/weights/best.pt")
    assert require_registered_content(weights) is None
