"""A sample of images that was drawn with known, unequal probabilities: its file, and a truth restricted to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from liftgate.data.core.csv_tables import read_table, table_bytes
from liftgate.data.core.dataset import Dataset
from liftgate.documents import SMALL, DocumentError, load_json
from liftgate.errors import DataError, UsageError
from liftgate.files import write_bytes, write_json
from liftgate.hashing import content_hash, short
from liftgate.records import to_record

COLUMNS = ("image", "group", "probability")


@dataclass(frozen=True, slots=True)
class DrawnFrames:
    """The images of a sample, each with its group and inclusion probability; one length."""

    images: tuple[str, ...]
    groups: tuple[str, ...]
    probability: tuple[float, ...]
    purpose: str
    """`compare`, `recall` or `map`: what the probabilities were chosen for; any metric may be measured"""
    seed: int
    n_frames: int
    """Images that could have been drawn"""
    n_groups: int

    @property
    def hash(self) -> str:
        """Hash of the sample."""
        return content_hash(self)

    @property
    def weights(self) -> dict[str, float]:
        """Group → inverse inclusion probability of its images."""
        return {group: 1 / p for group, p in zip(self.groups, self.probability, strict=True)}


class _Described(NamedTuple):
    sample: str
    purpose: str
    seed: int
    n_frames: int
    n_groups: int


def write_sample(sample: DrawnFrames, path: Path) -> Path:
    """Write sample.csv, and sample.json with its hash beside it; what a killed process left of the same is completed.

    Raises:
        UsageError: another file is there.
    """
    require_sample_place(sample, path)
    write_json(path.with_suffix(".json"), _description(sample))
    write_bytes(path, _table(sample))
    return path


def require_sample_place(sample: DrawnFrames, path: Path) -> None:
    """Refuse a place at which something else than this sample, or than a part of it, lies.

    Raises:
        UsageError: names the file.
    """
    beside, hint = path.with_suffix(".json"), "another name: a drawn sample is not replaced"
    if beside == path:
        raise UsageError("a sample is a table", where=path, expected="a name such as sample.csv")
    if path.exists() and path.read_bytes() != _table(sample):
        raise UsageError("another sample is there already", where=path, hint=hint)
    if beside.exists() and not _holds(beside, _description(sample)):
        raise UsageError("another file is where the sample is described", where=beside, hint=hint)


def _table(sample: DrawnFrames) -> bytes:
    return table_bytes(COLUMNS, zip(sample.images, sample.groups, map(repr, sample.probability), strict=True))


def _description(sample: DrawnFrames) -> dict[str, object]:
    described = {key: value for key, value in asdict(sample).items() if key in _Described._fields}
    return {"sample": sample.hash, **described}


def _holds(path: Path, described: Mapping[str, object]) -> bool:
    try:
        return bool(load_json(path, SMALL) == described)
    except DocumentError:
        return False


def read_sample(path: Path) -> DrawnFrames:
    """Read sample.csv with the sample.json beside it.

    Raises:
        DataError: it was edited, a probability is none or differs within a group, or an image is in it twice.
    """
    rows = read_table(path, COLUMNS)
    beside = path.with_suffix(".json")
    try:
        described = to_record(load_json(beside, SMALL), dict[str, str | int])
        found = _Described(**{key: value for key, value in described.items() if key in _Described._fields})  # type: ignore[arg-type]
    except (OSError, DocumentError, msgspec.ValidationError, TypeError) as error:
        hint = f"`liftgate data sample --for` writes both; keep {beside.name} beside {path.name}"
        raise DataError("cannot read what the sample was drawn for", where=beside, got=str(error), hint=hint) from None
    by_group: dict[str, float] = {}
    seen: set[str] = set()
    for line, row in rows:
        p = _probability(row["probability"], f"{path}:{line}")
        if row["image"] in seen:
            raise DataError("an image is in the sample twice", where=f"{path}:{line}", got=row["image"])
        if by_group.setdefault(row["group"], p) != p:
            raise DataError(
                "images of one group have two probabilities",
                where=f"{path}:{line}",
                expected=by_group[row["group"]],
                got=p,
            )
        seen.add(row["image"])
    columns = [tuple(row[name] for _, row in rows) for name in COLUMNS[:2]]
    sample = DrawnFrames(
        columns[0], columns[1], tuple(by_group[group] for group in columns[1]), found.purpose, found.seed,
        found.n_frames, found.n_groups,
    )  # fmt: skip
    if sample.hash != found.sample:
        raise DataError(
            "the sample was edited: its probabilities no longer say how it was drawn", where=path,
            expected=short(found.sample), got=short(sample.hash), hint="restore the file that `data sample` wrote",
        )  # fmt: skip
    return sample


def on_sample(truth: Dataset, sample: DrawnFrames) -> Dataset:
    """Return the truth on the sampled images, with the groups of the sample.

    Raises:
        DataError: a sampled image is not in the truth, or has no labels yet.
    """
    found = _places([image.id for image in truth.images], sample.images)
    if absent := [name for name, place in zip(sample.images, found, strict=True) if place is None]:
        raise DataError(
            f"{len(absent)} of {len(sample.images)} sampled images are not in the truth, such as {absent[0]}",
            where=truth.source, expected="a truth that lists every image of the sample, by the same name",
            got=f"images such as {truth.images[0].id}" if truth.images else "no images",
        )  # fmt: skip
    index = np.array([place for place in found if place is not None], dtype=np.int64)
    labelled = set(truth.labels.image.tolist())
    missing = [truth.images[i].id for i in index.tolist() if truth.images[i].label is None and i not in labelled]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(sample.images)} sampled images have no labels, such as {missing[0]}",
            where=truth.source, expected="labels of every sampled image: those that are missing are rarely random",
            hint="an image on which there is nothing has an empty label file",
        )  # fmt: skip
    taken = truth.take(index)
    groups = zip(taken.images, sample.groups, strict=True)
    return taken.with_images([replace(image, group=group) for image, group in groups])


def _places(ids: Sequence[str], names: Sequence[str]) -> list[int | None]:
    """Return the index of each name among the ids; None: no image has it, or several do.

    The sample may have been drawn from a folder further down than the truth's, or further up: the shorter of two names
    is then the end of the longer one.
    """
    exact = {one: index for index, one in enumerate(ids)}
    ends: dict[str, set[int]] = {}
    for index, one in enumerate(ids):
        for end in _ends(one):
            ends.setdefault(end, set()).add(index)
    found: list[int | None] = []
    for name in names:
        near = {exact[end] for end in _ends(name) if end in exact} | ends.get(name, set())
        found.append(exact[name] if name in exact else near.pop() if len(near) == 1 else None)
    known = [place for place in found if place is not None]
    return found if len(set(known)) == len(known) else [exact.get(name) for name in names]


def _ends(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _probability(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value <= 1:
        hint = "what cannot be drawn cannot be estimated"
        raise DataError("not an inclusion probability", where=where, expected="above 0, at most 1", got=text, hint=hint)
    return value
