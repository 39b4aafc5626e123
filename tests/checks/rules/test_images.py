"""EXIF rotation: boxes that fit into one frame only decide; the size that labels give does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Picture

from checks.small_set import SmallSet
from liftgate.checks.finding import Finding
from liftgate.checks.run import run
from liftgate.checks.subject import Subject
from liftgate.data.core.dataset import Dataset, Fault, Labels


def exif_finding(dataset: Dataset, box: tuple[float, float, float, float]) -> Finding:
    """The finding on one upright image of 40 × 80 whose labels give the stored size, with one box."""
    image = replace(dataset.images[0], width=80, height=40, orientation=6)
    labels = Labels.build([0], [0], np.array([box]))
    fault = Fault("size_rotated", "labels.json", "labels say 80×40, upright it is 40×80", image.id)
    made = replace(dataset, images=(image,), labels=labels, faults=(fault,), format="coco")
    (found,) = run(Subject({"small": made}), select=["images.exif_rotation"]).findings
    return found


def test_boxes_that_fit_the_upright_frame_only_are_right(small: SmallSet) -> None:
    found = exif_finding(small.read(), (5, 50, 30, 78))
    assert (found.severity, found.data["frame"]) == ("info", "upright")


def test_boxes_that_fit_the_stored_frame_only_are_an_error(small: SmallSet) -> None:
    found = exif_finding(small.read(), (50, 5, 78, 30))
    assert (found.severity, found.data["frame"]) == ("error", "stored")


def test_boxes_that_fit_both_frames_cannot_be_known(small: SmallSet) -> None:
    found = exif_finding(small.read(), (5, 5, 30, 30))
    assert (found.severity, found.data["frame"]) == ("warning", "unknown")
    assert "is unknown" in found.message


STORE = {  # how the upright image is stored, so that a viewer that reads the tag shows it upright
    2: Picture.Transpose.FLIP_LEFT_RIGHT,
    3: Picture.Transpose.ROTATE_180,
    4: Picture.Transpose.FLIP_TOP_BOTTOM,
    5: Picture.Transpose.TRANSPOSE,
    6: Picture.Transpose.ROTATE_90,
    7: Picture.Transpose.TRANSVERSE,
    8: Picture.Transpose.ROTATE_270,
}


def on_stored(row: str, orientation: int) -> str:
    """Return a YOLO row of the upright image as a tool that ignores EXIF would have written it."""
    cls, *numbers = row.split()
    x, y, w, h = map(float, numbers)
    x, y = {
        2: (1 - x, y),
        3: (1 - x, 1 - y),
        4: (x, 1 - y),
        5: (y, x),
        6: (y, 1 - x),
        7: (1 - y, 1 - x),
        8: (1 - y, x),
    }[orientation]
    w, h = (h, w) if orientation >= 5 else (w, h)
    return f"{cls} {x:.6f} {y:.6f} {w:.6f} {h:.6f}"


def rotate_by_exif(small: SmallSet, orientation: int, *, boxes_on_stored: bool, height: int = 96) -> Dataset:
    """Store every image rotated, with the tag that undoes it; only its upper `height` rows, so that it is no square."""
    for png in sorted(small.root.glob("images/*/*.png")):
        label = small.root / "labels" / png.parent.name / f"{png.stem}.txt"
        rows = []
        for row in label.read_text().splitlines() if label.is_file() else ():
            cls, x, y, w, h = row.split()
            if (float(y) + float(h) / 2) * 96 < height:
                rows.append(f"{cls} {x} {float(y) * 96 / height:.6f} {w} {float(h) * 96 / height:.6f}")
        label.write_text("\n".join(on_stored(row, orientation) if boxes_on_stored else row for row in rows))
        exif = Picture.Exif()
        exif[0x0112] = orientation
        with Picture.open(png) as image:
            upright = image.convert("RGB").crop((0, 0, 96, height))
        upright.transpose(STORE[orientation]).save(png.with_suffix(".jpg"), exif=exif, quality=95)
        png.unlink()
    return small.read()


@pytest.mark.parametrize(("orientation", "boxes_on_stored"), [(3, True), (6, False), (8, True)])
def test_the_pixels_decide_where_boxes_fit_both_frames(
    small: SmallSet, orientation: int, boxes_on_stored: bool
) -> None:
    """YOLO rows are fractions, which fit into every frame."""
    dataset = rotate_by_exif(small, orientation, boxes_on_stored=boxes_on_stored)
    (found,) = run(Subject({"small": dataset}), select=["images.exif_rotation"]).findings
    expected = ("error", "stored") if boxes_on_stored else ("info", "upright")
    assert (found.severity, found.data["frame"]) == expected


@pytest.mark.parametrize(("orientation", "boxes_on_stored"), [(2, True), (5, False), (7, True)])
def test_no_frame_is_named_wrongly_where_images_are_no_squares(
    small: SmallSet, orientation: int, boxes_on_stored: bool
) -> None:
    dataset = rotate_by_exif(small, orientation, boxes_on_stored=boxes_on_stored, height=72)
    (found,) = run(Subject({"small": dataset}), select=["images.exif_rotation"]).findings
    assert found.data["frame"] in {"unknown", "stored" if boxes_on_stored else "upright"}
    assert (found.severity == "error") <= boxes_on_stored


def test_of_few_rotated_images_nothing_is_claimed(small: SmallSet) -> None:
    """Eleven images are too few for the geometry probe, and say nothing of the upright ones beside them."""
    dataset = rotate_by_exif(small, 6, boxes_on_stored=True)
    images = tuple(replace(image, orientation=6 if i < 11 else 1) for i, image in enumerate(dataset.images))
    (found,) = run(Subject({"small": replace(dataset, images=images)}), select=["images.exif_rotation"]).findings
    assert (found.severity, found.data["frame"]) == ("info", "unknown")
    assert "cannot be known" in found.message
