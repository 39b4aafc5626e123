"""Read prediction logs: a model's output on frames, in one of four formats.

A folder that `liftgate serve --log` wrote: rows whose image is named as a frame is, with time, camera, version, colour
and detections.

COCO results (.json): a list of {image_id, category_id, bbox [left, top, width, height], score}; image_id is an image's
name, file name or stem. An image without a row has no detections, unless `<stem>.settings.json` next to it lists the
`images` that were predicted on.

JSON lines (.jsonl, .ndjson): one object for an image, or for a detection. CSV: one row for an image, or for a
detection. Both have the same keys:

    image           name, file name or stem of the frame (required)
    time            ISO 8601;  camera, day: used if the manifest has none
    model_version   version of the model
    quality         red, yellow or green
    score           confidence for the image; in a row with a box, of the detection
    truth           negative or positive: what a person found in the image afterwards
    detections      JSON lines only: a list of {bbox, score, class or category_id}
    x y width height class   CSV, or bbox and class in JSON lines: the row is a detection, pixels

Several rows for one image are one record: the worst quality, the lowest score of the image, all detections. An
invalid row is a fault and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from liftgate.boxes import as_boxes, xywh_to_xyxy
from liftgate.data.core.csv_tables import read_table
from liftgate.data.core.dataset import Fault, Image
from liftgate.data.core.image_names import ImageNames
from liftgate.data.formats.coco.document import read_json
from liftgate.data.formats.coco.predictions import settings_path
from liftgate.data.production_log.log_rows import LogFilter, is_production_log
from liftgate.data.production_log.log_rows import read_log as read_production_log
from liftgate.data.sampling.frames import parse_time
from liftgate.data.sampling.records import CandidateFrame, FrameEntry, PredictionLog, Quality, Truth
from liftgate.documents import LARGE, DocumentError, read_limited
from liftgate.errors import DataError
from liftgate.files import require_no_device

_WORST: tuple[Quality, ...] = ("red", "yellow", "green")
_TRUTH: Mapping[str, Truth] = {
    "negative": "negative",
    "none": "negative",
    "background": "negative",
    "positive": "positive",
}
_MOST_FAULTS = 20

FAULTS = {
    "log_row": "a row of a prediction log that cannot be understood; it is left out",
    "log_rows": "more rows like those before",
}


@dataclass(slots=True)
class _EntryBuilder:
    quality: Quality | None = None
    score: float | None = None
    truth: Truth | None = None
    boxes: list[Sequence[float]] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    has_boxes: bool = False

    def record(self) -> FrameEntry:
        boxes = xywh_to_xyxy(as_boxes(self.boxes))
        return FrameEntry(
            self.quality, self.score, self.truth, boxes, tuple(self.classes), tuple(self.scores), self.has_boxes
        )


def read_log(path: Path, frames: Sequence[CandidateFrame]) -> tuple[PredictionLog, list[CandidateFrame]]:
    """Return the log's entries for `frames`, and the frames with time, camera and day filled in from it.

    Raises:
        DataError: missing, not in one of the formats, or none of its images is among the frames.
    """
    names = ImageNames([Image(frame.image, frame.path, 0, 0) for frame in frames])
    gathered: dict[int, _EntryBuilder] = {}
    known = list(frames)
    versions: set[str] = set()
    faults: list[Fault] = []
    unknown = some = 0
    name = ""
    rows = _production_rows(path, frames) if is_production_log(path) else _rows(path)
    for where, row in rows:
        if isinstance(row, str):
            faults.append(Fault("log_row", where, row))
            continue
        some, name = some + 1, str(row.get("image", ""))
        index = names.find(name)
        if index is None:
            unknown += 1
            continue
        try:
            _add_row(gathered.setdefault(index, _EntryBuilder()), row)
        except ValueError as error:
            faults.append(Fault("log_row", where, str(error), frames[index].image))
            continue
        if row.get("model_version"):
            versions.add(str(row["model_version"]))
        known[index] = _with_log_details(known[index], row)
    if some and unknown == some:
        raise DataError(
            "none of the log's images is among the frames",
            where=path,
            expected=f"names such as {frames[0].image}",
            got=name,
            hint="numbers of a COCO file mean nothing without it: give file names",
        )
    records = {index: one.record() for index, one in gathered.items()}
    if path.suffix.lower() == ".json":
        records = {index: FrameEntry(has_boxes=True) for index in _looked_at(path, names, len(frames))} | records
    if len(faults) > _MOST_FAULTS:
        faults = [*faults[:_MOST_FAULTS], Fault("log_rows", str(path), f"{len(faults) - _MOST_FAULTS} more rows")]
    return PredictionLog(path, records, tuple(sorted(versions)), unknown, tuple(faults)), known


def read_new_looks(path: Path, frames: Sequence[CandidateFrame]) -> dict[int, float]:
    """Return the distances from the training images of those frames that `liftgate drift --json` calls new.

    Raises:
        DataError: not what that command printed, or none of its new frames is among the frames.
    """
    rows = read_json(path, dict[str, object]).get("new_frames")
    if not isinstance(rows, list):
        raise DataError("not what `liftgate drift --json` prints", where=path, expected="new_frames: a list")
    names = ImageNames([Image(frame.image, frame.path, 0, 0) for frame in frames])
    found: dict[int, float] = {}
    for row in rows:
        try:
            index, distance = names.find(str(row["image"])), _number(row["distance"], "distance")
        except (TypeError, KeyError, ValueError):
            raise DataError("a new frame has no image or no distance", where=path, got=repr(row)[:80]) from None
        if index is not None:
            found[index] = distance
    if rows and not found:
        raise DataError("none of the new frames is among the frames", where=path, got=str(rows[0]["image"]))
    return found


def _looked_at(path: Path, names: ImageNames, n_frames: int) -> Iterable[int]:
    """Return the indices of the frames that a results file was made on."""
    settings = settings_path(path)
    listed = read_json(settings, dict[str, object]).get("images") if settings.is_file() else None
    if not isinstance(listed, list):
        return range(n_frames)
    return [index for name in listed if (index := names.find(str(name))) is not None]


def _production_rows(path: Path, frames: Sequence[CandidateFrame]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the rows of a production log that are about frames: it may hold millions of others."""
    names = {name for one in frames for name in (one.image, Path(one.image).name, Path(one.image).stem)}
    for row in read_production_log(path, LogFilter(images=names)):
        found = [
            {
                "bbox": [one.box[0], one.box[1], one.box[2] - one.box[0], one.box[3] - one.box[1]],
                "class": one.cls,
                "score": one.confidence,
            }
            for one in row.detections
        ]
        yield (
            f"{path}: {row.image} {row.taken}",
            {
                "image": row.image,
                "time": row.taken,
                "camera": row.camera,
                "model_version": row.model_version,
                "quality": row.quality,
                "detections": found,
            },
        )


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, object] | str]]:
    """Yield (place, row), or (place, message) for an invalid row."""
    require_no_device(path)
    suffix = path.suffix.lower()
    if suffix == ".csv":
        for number, row in read_table(path, ("image",)):
            yield f"{path}:{number}", _csv_row(row)
        return
    if suffix == ".json":
        yield from _coco_rows(path)
        return
    if suffix not in (".jsonl", ".ndjson"):
        raise DataError("not a prediction log by its ending", where=path, expected=".json, .jsonl or .csv")
    try:
        data = read_limited(path, LARGE)
    except (OSError, DocumentError) as error:
        raise DataError(
            "cannot read the prediction log", where=path, got=error.strerror if isinstance(error, OSError) else error
        ) from None
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = msgspec.json.decode(line)
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            RecursionError,
        ) as error:  # cut while it was written: the rest is good
            yield f"{path}:{number}", f"not JSON: {error}"
            continue
        yield f"{path}:{number}", found if isinstance(found, dict) else "not an object"


def _coco_rows(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    rows = read_json(path, list[dict[str, object]])
    if any("image_id" not in row for row in rows):
        raise DataError("not COCO results", where=path, expected="a list of {image_id, category_id, bbox, score}")
    for index, row in enumerate(rows):
        image = row.get("file_name") or row["image_id"]
        yield f"{path}: [{index}]", {**row, "image": image, "class": row.get("category_id", "")}


def _csv_row(row: Mapping[str, str]) -> dict[str, object]:
    filled: dict[str, object] = {key: value for key, value in row.items() if value != ""}
    sides = [filled.pop(name, None) for name in ("x", "y", "width", "height")]
    if any(side is not None for side in sides):
        filled["bbox"] = sides  # one that is missing makes the row a fault
    return filled


def _add_row(into: _EntryBuilder, row: Mapping[str, object]) -> None:
    """Add a row to the entry of its frame; an invalid value discards the whole row."""
    quality, truth, score = _quality(row), _truth(row), None
    if row.get("score") is not None:
        score = _confidence(row["score"])
    given = row.get("detections")
    if given is not None and not isinstance(given, list):
        raise ValueError("detections is no list")
    found = [_detection(one) for one in given or []]
    if "bbox" in row:
        found.append(_detection(row))
    elif score is not None:
        into.score = score if into.score is None else min(into.score, score)
    if quality is not None:
        into.quality = quality if into.quality is None else min(into.quality, quality, key=_WORST.index)
    into.truth = truth or into.truth
    into.has_boxes |= given is not None or "bbox" in row
    for box, name, confidence in found:
        into.boxes.append(box)
        into.classes.append(name)
        into.scores.append(confidence)


def _detection(row: Any) -> tuple[list[float], str, float]:
    if not isinstance(row, dict):
        raise ValueError("a detection is no object")
    box = row.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError("bbox is not [left, top, width, height]")
    sides = [_number(side, "bbox") for side in box]
    if sides[2] < 0 or sides[3] < 0:
        raise ValueError("bbox has a negative size")
    name = row.get("class", row.get("category_id", ""))
    return sides, str(name), _confidence(row.get("score"))


def _quality(row: Mapping[str, object]) -> Quality | None:
    word = str(row.get("quality") or "").strip().lower()
    if not word:
        return None
    for quality in _WORST:
        if word == quality:
            return quality
    raise ValueError(f"quality is {word!r}, not red, yellow or green")


def _truth(row: Mapping[str, object]) -> Truth | None:
    word = str(row.get("truth") or "").strip().lower()
    if word and word not in _TRUTH:
        raise ValueError(f"truth is {word!r}, not negative or positive")
    return _TRUTH.get(word)


def _confidence(value: Any) -> float:
    score = _number(value, "score")
    if not 0 <= score <= 1:
        raise ValueError(f"score is {score:g}, not within 0 … 1")
    return score


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{what} is no number")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{what} is no number") from None
    if not math.isfinite(number):
        raise ValueError(f"{what} is not finite")
    return number


def _with_log_details(frame: CandidateFrame, row: Mapping[str, object]) -> CandidateFrame:
    taken = parse_time(str(row.get("time", "")))
    camera = frame.camera or str(row.get("camera") or "")
    day = frame.day or str(row.get("day") or "") or (f"{taken:%Y-%m-%d}" if taken else "")
    if frame.at is not None or taken is None:
        return replace(frame, camera=camera, day=day)
    return replace(frame, camera=camera, day=day, at=taken.timestamp(), sequence=f"{camera} {day}".strip())
