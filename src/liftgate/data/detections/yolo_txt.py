"""A folder of YOLO txt with confidences, as `yolo predict save_txt=True save_conf=True` writes it.

One file for each image with detections, named as the image; rows are `class cx cy w h confidence` in fractions of the
image, of a pose model `class cx cy w h x y [c] x y [c] … confidence` with the dataset's keypoints in order. An image
without a file was predicted on and has no detections. A classes.txt names the model's classes in order; without one the
numbers are the dataset's, from 0. `yolo track` writes a track id after the confidence; it is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections.builder import PredictionsBuilder, box_in_pixels, parse_number, require_readable
from liftgate.errors import DataError

_NAMES = "classes.txt"
_LARGEST = 64 << 20
_OUTSIDE = 1.5
"""A box may extend over the image's edge; a coordinate beyond this is in pixels, not a fraction."""


def read(folder: Path, dataset: Dataset) -> Predictions:
    """Read a folder of txt files, or its labels/.

    Raises:
        DataError: no txt file, a file of an unknown image, or an invalid row (with its line).
    """
    if not any(folder.glob("*.txt")) and (folder / "labels").is_dir():
        folder = folder / "labels"
    files = sorted(path for path in folder.rglob("*.txt") if path.name != _NAMES)
    if not files:
        raise DataError("no txt files here", where=folder, hint="an empty folder would mean that nothing was found")
    names = _class_names(folder / _NAMES)
    builder = PredictionsBuilder(dataset, others="refuse" if names is None else "drop")
    builder.cover_all()
    places = {PurePosixPath(image.id).with_suffix("").as_posix(): i for i, image in enumerate(dataset.images)}
    for path in files:
        place = places.get(path.relative_to(folder).with_suffix("").as_posix())
        _read_file(path, builder.cover_named(str(path), path.stem) if place is None else place, builder, names)
    return builder.build({})


def _read_file(path: Path, place: int, builder: PredictionsBuilder, names: Sequence[str] | None) -> None:
    size, skeleton = builder.dataset.images[place].upright, builder.dataset.keypoints
    for line, text in enumerate(_text(path).splitlines(), 1):
        words, where = text.split(), f"{path}:{line}"
        if not words:
            continue
        keypoints = 0 if skeleton is None else len(skeleton.names)
        if _has_track(words, keypoints):
            words = words[:-1]
        columns = _columns(where, len(words), keypoints)
        values = [parse_number(where, "a column", word) for word in words]
        if values[0] % 1:
            raise DataError("the class is no whole number", where=where, got=words[0])
        if not all(abs(value) <= _OUTSIDE for value in values[1:5]):
            hint = "pixels? YOLO rows are fractions of the image"
            raise DataError("not a fraction of the image", where=where, got=" ".join(words[1:5]), hint=hint)
        if min(values[3:5]) < 0:
            raise DataError("the box has a negative size", where=where, got=" ".join(words[3:5]))
        if values[-1] > 1 and words[-1].isdigit():
            hint = "yolo track save_txt=True save_conf=True writes the confidence too"
            got = f"{words[-1]}: a track's number?"
            raise DataError("the last column is no confidence", where=where, got=got, hint=hint)
        cls = _class(where, int(values[0]), builder, names)
        if cls is not None:
            x, y, width, height = values[1:5]
            box = box_in_pixels(where, (x - width / 2, y - height / 2, width, height), size)
            points = _points(values[5:-1], columns, size) if columns else None
            builder.add(where, place, cls, values[-1], box, points)


def _has_track(words: Sequence[str], keypoints: int) -> bool:
    """Return whether a row has a track id after its confidence, as `yolo track` writes it."""
    widths = [6 + columns * keypoints for columns in ((0, 3, 2) if keypoints else (0,))]
    return len(words) not in widths and len(words) - 1 in widths and words[-1].isdigit()


def _columns(where: str, words: int, keypoints: int) -> int:
    """Return how many numbers each keypoint of a row has: 3 with a confidence, 2 without, 0: no keypoints."""
    for columns in (0, 3, 2) if keypoints else (0,):
        if words == 6 + columns * keypoints:
            return columns
    expected = "class cx cy w h confidence"
    if keypoints:
        expected += f", or with x y [c] of {keypoints} keypoints before the confidence"
    hint = "no confidence? yolo predict save_txt=True save_conf=True"
    short = words in (5, 5 + 3 * keypoints, 5 + 2 * keypoints)
    raise DataError(
        "a row has the wrong number of columns", where=where, expected=expected, got=f"{words} columns",
        hint=hint if short else None,
    )  # fmt: skip


def _points(values: Sequence[float], columns: int, size: tuple[int, int]) -> list[float]:
    """Return x, y in pixels and confidence of each keypoint; 1 where the row has no keypoint confidence."""
    found: list[float] = []
    for first in range(0, len(values), columns):
        x, y, *sure = values[first : first + columns]
        found += [round(x * size[0], 8), round(y * size[1], 8), sure[0] if sure else 1.0]
    return found


def _class(where: str, index: int, builder: PredictionsBuilder, names: Sequence[str] | None) -> int | None:
    if names is None:
        return builder.class_by_number(where, index)
    if not 0 <= index < len(names):
        raise DataError("unknown class number", where=where, expected=f"0 … {len(names) - 1}", got=index)
    return builder.class_by_name(where, names[index])


def _class_names(path: Path) -> list[str] | None:
    return [line.strip() for line in _text(path).splitlines() if line.strip()] if path.is_file() else None


def _text(path: Path) -> str:
    require_readable(path, _LARGEST)
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise DataError("not a text file", where=path, got=str(error)) from None
