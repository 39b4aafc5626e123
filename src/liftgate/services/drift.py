"""Production against training data or an earlier time: what moved, by camera, and which images are new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections import read_predictions
from liftgate.data.grouping.slicing import slice_images
from liftgate.data.production_log.log_rows import LogFilter, is_production_log, read_log
from liftgate.data.sampling.frames import read_frames, unlabelled_dataset
from liftgate.data.sampling.records import CandidateFrame
from liftgate.deploy.production.appearance import Appearances, Novelty, appearances, calibrate, nearest
from liftgate.deploy.production.day_table import DayTable, table_of_images, table_of_log
from liftgate.deploy.production.drift import DriftFinding, NewFrame, find_drift
from liftgate.errors import UsageError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.entry import Entry
from liftgate.ledger.production_records import DriftedRow, DriftEntry
from liftgate.ledger.recorded_files import require_unchanged_predictions
from liftgate.ledger.records import Body, FlowEntry
from liftgate.ledger.workspace import results_folder
from liftgate.progress import Progress, silent
from liftgate.services.dataset_source import read_dataset


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two periods."""

    table: DayTable
    name: str
    dataset: Dataset | None = None
    """None: a log, which has no pixels"""
    seen: Appearances | None = None
    units: Sequence[tuple[str, int]] = ()


def drift(
    production: str | Path,
    reference: str | Path | None = None,
    *,
    since: str | None = None,
    until: str | None = None,
    images: str | Path | None = None,
    predictions: str | Path | None = None,
    groups: str | None = None,
    cameras: str | None = None,
    split: str = "train",
    conf: float = 0.25,
    alpha: float = 0.05,
    new_share: float = 0.01,
    study: str | Path | None = None,
    progress: Progress = silent,
) -> DriftFinding:
    """Say whether production moved away from a reference, by statistic and camera, with days as units.

    Args:
        production: folder of a log of `liftgate serve`, or predictions on `images`.
        reference: another log, or a data set; None: the same log before `since`.
        since: first day of production, ISO 8601, UTC; None: all of it.
        until: first day after it; None: no end.
        images: frames.csv (image, camera, day) or folder of production's images, whose appearance is compared with
            that of the data set.
        predictions: of the model on the data set; without them its confidence, counts and sizes are unknown.
        groups: rule for the groups of the data set, which are its units.
        cameras: rule for the cameras of the data set; None: production's cameras are compared with all of it.
        split: of the data set.
        conf: detections below are not there; of a log, at least the confidence from which its server answers.
        alpha: accepted probability of any false alarm, over all statistics and cameras.
        new_share: accepted share of images that are called new wrongly.
        study: study.yaml in whose ledger the answer is recorded; None: nowhere.
        progress: called as images are read.

    Raises:
        UsageError: there is no reference, or a value is not possible.
        DataError: something cannot be read.
    """
    for name, value in (("alpha", alpha), ("new_share", new_share)):
        if not 0 < value < 1:
            raise UsageError(f"{name} is out of range", expected="between 0 and 1", got=value)
    start, end, path = _seconds(since, "since"), _seconds(until, "until"), Path(production)
    if reference is None and (start is None or not is_production_log(path)):
        hint = "a data set, another log, or --since DATE for the days of the same log before it"
        raise UsageError("there is nothing to compare with", where=path, expected="--against REFERENCE", hint=hint)
    ledger = None if study is None else Ledger(results_folder(Path(study)) / "ledger.sqlite")
    pictures = None if images is None else _frames_side(Path(images), None, conf, progress)
    now = _production(path, pictures, Path(images) if images else None, start, end, conf, progress)
    before = _reference(
        path if reference is None else Path(reference), None if reference is not None else start, predictions, groups,
        cameras, split, conf, pictures is not None, progress,
    )  # fmt: skip
    novelty, new = _add_appearance(before, now, pictures, new_share)
    found = find_drift(
        before.table, now.table, before.name, alpha=alpha, novelty=novelty, new_frames=new,
        n_frames=0 if pictures is None or pictures.dataset is None else len(pictures.dataset.images),
    )  # fmt: skip
    if ledger is not None:
        _record(ledger, _entry(found, path, since, until))
    return found


def _record(ledger: Ledger, entry: DriftEntry) -> None:
    """Record an answer once between two runs of the study, also if it is asked again, as after a kill."""
    flows = ledger.entries(FlowEntry.KIND)
    since = flows[-1].seq if flows else 0

    def decide(entries: Sequence[Entry]) -> Body | None:
        known = any(one.seq > since and one.parse(DriftEntry) == entry for one in entries)
        return None if known else entry.to_body()

    ledger.append_if(DriftEntry.KIND, decide)


def _production(
    path: Path, pictures: _Side | None, images: Path | None, start: float | None, end: float | None, conf: float,
    progress: Progress,
) -> _Side:  # fmt: skip
    if is_production_log(path):
        table = table_of_log(read_log(path, LogFilter(since=start, until=end)), conf)
        if not table.n_images:
            raise UsageError("the log has no images of this time", where=path)
        return _Side(table, str(path))
    if pictures is None or images is None or pictures.dataset is None:
        hint = "frames.csv with image, camera and day says when each was taken"
        raise UsageError("predictions need the images that they are on", where=path, expected="--images", hint=hint)
    if start is not None or end is not None:
        raise UsageError("since and until are of a log", where=path)
    require_unchanged_predictions(path)
    return _frames_side(images, path, conf, progress)


def _frames_side(images: Path, predictions: Path | None, conf: float, progress: Progress) -> _Side:
    frames = read_frames(images)
    dataset = unlabelled_dataset(images, progress=progress)
    found: Predictions | None = None if predictions is None else read_predictions(predictions, dataset)
    seen = appearances([image.path for image in dataset.images], progress)
    units = _days_of(frames)
    table = table_of_images(dataset, units, found, _known(seen), conf)
    return _Side(table, str(images), dataset, seen, units)


def _reference(
    path: Path, end: float | None, predictions: str | Path | None, groups: str | None, cameras: str | None,
    split: str, conf: float, look: bool, progress: Progress,
) -> _Side:  # fmt: skip
    if is_production_log(path):
        table = table_of_log(read_log(path, LogFilter(until=end)), conf)
        if not table.n_images:
            raise UsageError("the reference has no images of this time", where=path)
        return _Side(table, f"{path} before" if end is not None else str(path))
    dataset = read_dataset(path, groups=groups, progress=progress)
    dataset = dataset.split(split) if dataset.splits else dataset
    by_camera = {} if cameras is None else slice_images(dataset, cameras, base=Path.cwd())
    known = sorted({image.group for image in dataset.images if image.group is not None})
    numbers = {group: 2 * number for number, group in enumerate(known)}  # no neighbours: groups are no days
    units = [(by_camera.get(image.id, ""), numbers.get(image.group or "", -2)) for image in dataset.images]
    seen = appearances([image.path for image in dataset.images], progress)
    found = None if predictions is None else read_predictions(Path(predictions), dataset)
    table = table_of_images(dataset, units, found, _known(seen), conf)
    return _Side(table, f"{path}, {split}" if dataset.splits else str(path), dataset, seen if look else None, units)


def _add_appearance(
    before: _Side, now: _Side, pictures: _Side | None, share: float
) -> tuple[Novelty | None, tuple[NewFrame, ...]]:
    """Add the distances of images to both tables, and return which images are new."""
    if pictures is None or pictures.seen is None or pictures.dataset is None:
        return None, ()
    if before.seen is None or before.dataset is None:
        return Novelty(None, share, 0, 0, "the reference has no images"), ()
    novelty, own = calibrate(before.seen, [image.group for image in before.dataset.images], share)
    found, which = nearest(before.seen, pictures.seen)
    for side, values in ((before, own), (pictures, found)):
        target = now.table if side is pictures else before.table
        for (camera, day), value in zip(side.units, values.tolist(), strict=True):
            if np.isfinite(value):
                target.add(camera, day, "appearance", value)
    if novelty.threshold is None:
        return novelty, ()
    beyond = [index for index in np.argsort(-found).tolist() if found[index] > novelty.threshold]
    return novelty, tuple(
        NewFrame(
            pictures.dataset.images[index].id, pictures.units[index][0], float(found[index]),
            before.dataset.images[int(which[index])].id,
        )
        for index in beyond
    )  # fmt: skip


def _days_of(frames: Sequence[CandidateFrame]) -> list[tuple[str, int]]:
    days = {frame.day: None for frame in frames}
    numbers: dict[str, int] = {}
    for place, day in enumerate(sorted(days)):
        try:
            numbers[day] = (date.fromisoformat(day) - date(1970, 1, 1)).days
        except ValueError:  # no date: not a neighbour of any other
            numbers[day] = -2 * place - 2
    return [(frame.camera, numbers[frame.day]) for frame in frames]


def _known(seen: Appearances) -> list[float | None]:
    return [value if good else None for value, good in zip(seen.brightness.tolist(), seen.readable, strict=True)]


def _seconds(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{name} is no date", expected="2026-11-01", got=text) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _entry(found: DriftFinding, production: Path, since: str | None, until: str | None) -> DriftEntry:
    rows = [
        DriftedRow(
            row.statistic, row.camera, row.word, row.shift.before, row.shift.after, row.shift.n_before,
            row.shift.n_after, row.shift.low, row.shift.high, row.p_adjusted,
        )
        for row in found.rows
    ]  # fmt: skip
    threshold = None if found.novelty is None else found.novelty.threshold
    return DriftEntry(
        str(production), found.reference, found.answer, found.alpha, found.n_after, tuple(rows), since, until,
        None if threshold is None else tuple(one.image for one in found.new_frames), threshold,
    )  # fmt: skip
