"""Seconds of work on each image: from a CSV, or from the log of events that CVAT keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from liftgate.data.core.csv_tables import read_table
from liftgate.data.formats.cvat.elements import top_elements
from liftgate.data.prelabels.cvat_events import EVENT_COLUMNS, frame_seconds
from liftgate.errors import DataError

_MOST = 86400.0
_COLUMNS = ("image", "seconds")


def read_times(path: Path, images: Collection[str], corrected: Path, task: int | None = None) -> Mapping[str, float]:
    """Return image id → seconds of work; images of which nothing is known are left out.

    Args:
        path: CSV with columns image,seconds, or the events of a task that CVAT gives out as CSV.
        images: ids of the images that were exported.
        corrected: CVAT's export; its XML says which frame an image is, which events need.
        task: number of the task, where events of several are in the file.

    Raises:
        DataError: neither of the two, an image that is not there or there twice, or no time.
    """
    rows = read_table(path, ())
    columns = set(rows[0][1]) if rows else set()
    if columns >= set(EVENT_COLUMNS):
        return _of_events(path, images, corrected, task)
    if not columns >= set(_COLUMNS):
        raise DataError(
            "no times of work", where=path, expected="columns image,seconds, or the events of CVAT",
            got=",".join(sorted(columns))[:200] or "no rows",
        )  # fmt: skip
    known, found = set(images), dict[str, float]()
    for line, row in rows:
        where, image = f"{path}:{line}", row["image"]
        if image not in known:
            raise DataError("a time of an image that was not exported", where=where, got=image)
        if image in found:
            raise DataError("an image has two times", where=where, got=image, hint="add them up")
        if row["seconds"].strip():
            found[image] = _seconds(row["seconds"], where)
    return found


def _seconds(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < _MOST:
        raise DataError(
            "no time of work", where=where, expected="seconds above 0, under a day", got=text,
            hint="leave it empty where it is not known",
        )  # fmt: skip
    return value


def _of_events(path: Path, images: Collection[str], corrected: Path, task: int | None) -> Mapping[str, float]:
    if corrected.suffix.lower() not in (".xml", ".zip"):
        raise DataError(
            "events name frames by number, and this export does not say which image that is", where=corrected,
            hint="export CVAT for images 1.1",
        )  # fmt: skip
    names = {int(id_): one.get("name", "") for one in top_elements(corrected)
             if one.tag == "image" and (id_ := one.get("id") or "").isdecimal()}  # fmt: skip
    seconds, known = frame_seconds(path, task), set(images)
    return {names[frame]: spent for frame, spent in seconds.items() if names.get(frame) in known}
