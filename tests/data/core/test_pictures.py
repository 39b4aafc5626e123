"""A damaged image is the same finding and error in a process in which Ultralytics has replaced `PIL.Image.open`."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import PIL.Image
import pytest

from liftgate.data.core.image_headers import read_header
from liftgate.data.core.pictures import open_picture
from liftgate.deploy.remote_predictions.sendable_images import NotAPicture, require_picture


@pytest.fixture(autouse=True)
def patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace `PIL.Image.open` as `ultralytics.utils.patches` does."""
    replaced = sys.modules.get("ultralytics.utils.patches")  # another test may have imported the real one
    original = getattr(replaced, "_image_open", PIL.Image.open)

    def image_open(*args: Any, **kwargs: Any) -> PIL.Image.Image:
        try:
            return original(*args, **kwargs)
        except PIL.UnidentifiedImageError:
            raise ModuleNotFoundError("No module named 'pi_heif'") from None

    module = ModuleType("ultralytics.utils.patches")
    module._image_open = original  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ultralytics.utils.patches", module)
    monkeypatch.setattr(PIL.Image, "open", image_open)


def test_a_text_in_an_image_file_is_unidentified_as_ever(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("no image")
    with pytest.raises(PIL.UnidentifiedImageError):
        open_picture(path)
    assert (read_header(path).kind, read_header(path).problem) == ("image_unreadable", "not an image")
    with pytest.raises(NotAPicture, match="does not decode"):
        require_picture(path.read_bytes())


def test_an_image_is_opened_by_path_and_from_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PIL.Image.new("RGB", (7, 5)).save(path)
    with open_picture(path) as image:
        assert image.size == (7, 5)
    with open_picture(io.BytesIO(path.read_bytes()), formats=["PNG"]) as image:
        assert image.format == "PNG"


def test_only_this_function_opens_images() -> None:
    root = Path(__file__).parents[3] / "src" / "liftgate"
    opening = [path for path in root.rglob("*.py") if "Image.open(" in path.read_text(encoding="utf-8")]
    # Backends run in a child process of their own.
    assert [path.name for path in opening if not {"backends", "testing"} & set(path.relative_to(root).parts)] == []
