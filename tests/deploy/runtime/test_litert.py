"""LiteRT files: what can be said where its package is, and where it is not."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path

import pytest

from liftgate.deploy.export.described import describe_export
from liftgate.deploy.runtime.litert import pixel_factors
from liftgate.deploy.runtime.sessions import Port
from liftgate.errors import DataError, UsageError
from liftgate.services.checked_models import inspect_model

WRITTEN: dict[str, object] = {"author": "Ultralytics", "names": {"0": "cat", "1": "dog"}}
INSTALLED = importlib.util.find_spec("ai_edge_litert") is not None


def test_without_its_package_a_file_is_one_error_that_says_what_to_install(tmp_path: Path) -> None:
    if INSTALLED:
        pytest.skip("ai_edge_litert is installed here")
    path = tmp_path / "best.tflite"
    path.write_bytes(b"TFL3")
    with pytest.raises(UsageError, match="need ai_edge_litert") as refused:
        describe_export(path)
    assert "environment of its own" in str(refused.value.hint)
    assert "ai_edge_litert" in str(inspect_model(path).unusable)


@pytest.mark.parametrize("content", [b"", b"TFL3" * 20, b"\x1c\0\0\0TFL3" + bytes(200)])
@pytest.mark.parametrize("metadata", [False, True])
def test_a_damaged_file_is_one_error(tmp_path: Path, content: bytes, metadata: bool) -> None:
    if not INSTALLED:
        pytest.skip("ai_edge_litert is in an environment of its own")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("metadata.json", '{"author": "Ultralytics", "names": {"0": "cat"}}')
    path = tmp_path / "best.tflite"
    path.write_bytes(content + (packed.getvalue() if metadata else b""))
    with pytest.raises(DataError, match="the file is no model, only a part of one"):
        describe_export(path)


def factors(entry: Port, result: Port, **more: object) -> list[float]:
    return [float(value) for value in pixel_factors(entry, result, WRITTEN | more, Path("m.tflite")).ravel()]


IMAGE = Port("images", (1, 3, 320, 640), "float32")


def test_shares_of_the_sides_become_pixels_and_scores_stay() -> None:
    assert factors(IMAGE, Port("output", (1, 6, 4200), "float32")) == [640, 320, 640, 320, 1, 1]


def test_points_are_scaled_and_what_is_known_of_them_is_not() -> None:
    found = factors(IMAGE, Port("output", (1, 4 + 2 + 6, 4200), "float32"), kpt_shape=[2, 3])
    assert found == [640, 320, 640, 320, 1, 1, 640, 320, 1, 640, 320, 1]


def test_chosen_detections_are_pixels_already() -> None:
    assert factors(IMAGE, Port("output", (1, 300, 6), "float32"), end2end=True) == [1]


@pytest.mark.parametrize(
    ("entry", "result", "metadata"),
    [
        (Port("images", (1, 320, 640, 3), "float32"), Port("output", (1, 6, 4200), "float32"), WRITTEN),
        (Port("images", (1, 3, 320, 640), "uint8"), Port("output", (1, 6, 4200), "float32"), WRITTEN),
        (IMAGE, Port("output", (1, 6, 4200), "int8"), WRITTEN),
        (IMAGE, Port("output", (1, 6), "float32"), WRITTEN),
        (IMAGE, Port("output", (1, 6, 4200), "float32"), {"names": {"0": "cat"}}),
    ],
    ids=["channels last", "whole numbers in", "whole numbers out", "no boxes", "of somebody else"],
)
def test_a_file_whose_units_are_not_known_is_refused(entry: Port, result: Port, metadata: dict[str, object]) -> None:
    with pytest.raises(DataError):
        pixel_factors(entry, result, metadata, Path("m.tflite"))
