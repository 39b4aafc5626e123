"""Read the `annotations` of a COCO JSON as Labels."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import areas, xywh_to_xyxy
from liftgate.data.core.dataset import Fault, Image, Keypoints, Labels
from liftgate.data.formats.coco.document import UNDECODABLE, AnnotationRow, CategoryRow, Id, box_of_outline, row_decoder
from liftgate.data.formats.columns import LabelColumns
from liftgate.progress import Progress

ROWS_AT_ONCE = 1 << 15


class _SoundRow(msgspec.Struct, gc=False):
    """An annotation as nearly all are; whatever is another is read as an AnnotationRow."""

    id: int
    image_id: Id
    category_id: int
    bbox: tuple[float, float, float, float]
    area: float | None = None
    iscrowd: int | bool | None = 0
    ignore: int | bool | None = 0
    keypoints: list[float] | None = None


class _Owner(msgspec.Struct):
    """A row that cannot be decoded, reduced to the image it belongs to."""

    image_id: Id


def read_annotations(
    source: Path,
    raw: Sequence[msgspec.Raw],
    images: Sequence[Image],
    by_id: Mapping[Id, int],
    categories: Sequence[CategoryRow],
    keypoints: Keypoints | None,
    progress: Progress,
) -> tuple[Labels, list[Fault]]:
    """Return the good rows as Labels and the others as faults."""
    n_keypoints = len(keypoints.names) if keypoints else 0
    classes = {category.id: index for index, category in enumerate(categories)}
    if not n_keypoints and (sound := read_sound_rows(raw, by_id, classes, progress)) is not None:
        return sound, []
    columns, faults = LabelColumns(n_keypoints), []
    sides = array("d")
    spelled = by_spelling(by_id)
    decode = row_decoder(AnnotationRow)
    seen: set[Id] = set()
    mixed = 0
    for index, item in enumerate(raw):
        if index % 65536 == 0:
            progress("reading annotations", index, len(raw))
        try:
            row = decode(item)
        except UNDECODABLE as error:
            faults.append(_undecodable(f"{source}: annotations[{index}]", item, str(error), images, by_id))
            continue
        if not row.bbox and (outline := box_of_outline(item)) is not None:
            row.bbox, row.area = outline[0], outline[1] if row.area is None else row.area
        image = by_id.get(row.image_id)
        if image is None and (image := spelled.get(str(row.image_id))) is not None:
            mixed += 1
        where = f"{source}: annotation {index if row.id is None else row.id}"
        if trouble := _row_problem(row, image, classes, n_keypoints):
            faults.append(Fault(trouble[0], where, trouble[1], None if image is None else images[image].id))
            continue
        assert image is not None and row.bbox is not None  # _row_problem says so
        if row.id is not None:
            if row.id in seen:
                faults.append(Fault("id_twice", where, "another annotation has the same id", images[image].id))
            seen.add(row.id)
        left, top, width, height = row.bbox
        sides.extend((width, height))
        columns.add(
            image,
            classes[row.category_id],
            (left, top, left + width, top + height),
            line=row.id if isinstance(row.id, int) and abs(row.id) < 2**62 else index,
            area=row.area if row.area is not None and 0 <= row.area < math.inf else None,
            crowd=bool(row.iscrowd),
            ignore=bool(row.ignore),
            keypoints=row.keypoints or (),
        )
    if mixed:
        message = f'{mixed} annotations name their image in another type (2299 and "2299")'
        faults.append(Fault("id_type_mixed", str(source), message))
    progress("reading annotations", len(raw), len(raw))
    return replace(columns.table(), sides=np.array(sides, dtype=np.float64).reshape(-1, 2)), faults


def read_sound_rows(
    raw: Sequence[msgspec.Raw], by_id: Mapping[Id, int], classes: Mapping[int, int], progress: Progress
) -> Labels | None:
    """Return all rows as Labels in a fifth of the time; None: a row is not sound, so `read_annotations` reads them all.

    Rows are decoded in chunks: a million at once would take a gigabyte.
    """
    pieces: list[tuple[NDArray[Any], ...]] = []
    for start in range(0, len(raw), ROWS_AT_ONCE):
        progress("reading annotations", start, len(raw))
        if (piece := _sound_columns(raw[start : start + ROWS_AT_ONCE], by_id, classes)) is None:
            return None
        pieces.append(piece)
    progress("reading annotations", len(raw), len(raw))
    if not pieces:
        return Labels.build([], [], [])
    image, cls, boxes, line, area, crowd, ignore = (np.concatenate(column) for column in zip(*pieces, strict=True))
    ordered = np.sort(line)
    if (ordered[1:] == ordered[:-1]).any():  # an id twice
        return None
    sides, boxes = boxes[:, 2:], xywh_to_xyxy(boxes)
    area = np.where((area >= 0) & (area < math.inf), area, areas(boxes))
    return Labels.build(image, cls, boxes, line=line, sides=sides, area=area, crowd=crowd, ignore=ignore)


def _sound_columns(
    raw: Sequence[msgspec.Raw], by_id: Mapping[Id, int], classes: Mapping[int, int]
) -> tuple[NDArray[Any], ...] | None:
    """Return image, class, xywh, id, area (−1: not given), crowd and ignore of the rows; None if one is not sound."""
    try:
        rows = msgspec.json.decode(b"[" + b",".join(raw) + b"]", type=list[_SoundRow])
        image = np.array([by_id[row.image_id] for row in rows], dtype=np.int64)
        cls = np.array([classes[row.category_id] for row in rows], dtype=np.int64)
        numbers = chain.from_iterable(row.bbox for row in rows)
        boxes = np.fromiter(numbers, dtype=np.float64, count=4 * len(rows)).reshape(-1, 4)
        line = np.array([row.id for row in rows], dtype=np.int64)
        area = np.array([-1.0 if row.area is None else row.area for row in rows], dtype=np.float64)
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError, ValueError, OverflowError):
        return None
    fine = (np.abs(boxes) < 1e9).all() and (boxes[:, 2:] >= 0).all() and (np.abs(line) < 2**62).all()
    if not fine:
        return None
    crowd = np.array([bool(row.iscrowd) for row in rows], dtype=np.bool_)
    return image, cls, boxes, line, area, crowd, np.array([bool(row.ignore) for row in rows], dtype=np.bool_)


def by_spelling(by_id: Mapping[Id, int]) -> dict[str, int]:
    """Return image index by the text of its id, without ids whose text is the same.

    >>> by_spelling({2299: 0, "7": 1, 7: 2})
    {'2299': 0}
    """
    spelled: dict[str, int | None] = {}
    for id_, index in by_id.items():
        spelled[str(id_)] = None if str(id_) in spelled else index
    return {text: index for text, index in spelled.items() if index is not None}


def _row_problem(
    row: AnnotationRow, image: int | None, classes: Mapping[int, int], n_keypoints: int
) -> tuple[str, str] | None:
    """Return (kind, message) of the fault for which a row is left out; None: the row is sound."""
    if image is None:
        return "label_orphan", f"no image has the id {row.image_id!r}"
    if row.category_id not in classes:
        return "category_unknown", f"category {row.category_id} is not declared"
    if not row.bbox:
        return "box_missing", "no bbox and no polygon"
    if len(row.bbox) != 4:
        return "row_columns", f"bbox has {len(row.bbox)} numbers, expected 4"
    if not _finite(row.bbox):
        return "row_not_number", f"bbox {row.bbox}"
    if row.bbox[2] < 0 or row.bbox[3] < 0:
        return "box_inverted", f"bbox {row.bbox} has a negative size"
    if n_keypoints and row.keypoints:
        if len(row.keypoints) != 3 * n_keypoints:
            return "row_columns", f"{len(row.keypoints)} keypoint numbers, expected {3 * n_keypoints}"
        if not _finite(row.keypoints):
            return "row_not_number", "a keypoint is no number"
    return None


def _finite(numbers: Iterable[float]) -> bool:
    # A coordinate beyond 1e9 pixels is an error: refused here, so that no product of two overflows later.
    return all(abs(number) < 1e9 for number in numbers)


def _undecodable(
    where: str, item: msgspec.Raw, message: str, images: Sequence[Image], by_id: Mapping[Id, int]
) -> Fault:
    try:
        image = by_id.get(msgspec.json.decode(item, type=_Owner, strict=False).image_id)
    except UNDECODABLE:
        image = None
    kind = "row_not_number" if "Expected `float`" in message else "row_columns"
    return Fault(kind, where, message, None if image is None else images[image].id)
