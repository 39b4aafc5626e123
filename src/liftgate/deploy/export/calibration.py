"""Calibration images of an INT8 export: drawn from train by group, recorded by hash, never from val or test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from liftgate.data.core.dataset import Dataset, Image
from liftgate.deploy.export.card import CalibrationRecord, Source
from liftgate.documents import LARGE, DocumentError, load_json
from liftgate.errors import DataError, UsageError
from liftgate.files import write_json
from liftgate.hashing import content_hash, file_hash
from liftgate.records import to_record

LIST = "calibration.json"
FEWEST = 32
"""With fewer images the ranges depend on which ones they are"""
USUAL = 128


@dataclass(frozen=True, slots=True)
class CalibrationImage:
    """One image that ranges were measured on."""

    image: str
    """Id in its data set"""
    group: str
    sha256: str
    """Of the file"""


@dataclass(frozen=True, slots=True)
class CalibrationSet:
    """Images to measure ranges on, and their record."""

    record: CalibrationRecord
    images: tuple[CalibrationImage, ...]
    paths: tuple[Path, ...]

    def write(self, folder: Path) -> None:
        """Write the list of images beside the card, whose hash is in it."""
        write_json(folder / LIST, msgspec.to_builtins(self.images))


def draw_calibration(dataset: Dataset, *, n_images: int = USUAL, seed: int = 0, method: str = "") -> CalibrationSet:
    """Draw calibration images from the split `train`: one of each group in turn, in an order that the seed decides.

    Args:
        dataset: with a split `train`.
        n_images: how many; all of train if it has fewer.
        seed: of the draw.
        method: how they are used, in words, for the record.

    Raises:
        UsageError: there is no train, or it has too few images, or too few are asked for.
    """
    if "train" not in dataset.splits:
        hint = "ranges measured on val or test would make the proof of the export worthless"
        has = ", ".join(dataset.splits) or "none"
        raise UsageError("no split train to calibrate on", where=dataset.source, expected="train", got=has, hint=hint)
    train = dataset.split("train")
    if min(n_images, len(train.images)) < FEWEST:
        hint = "ranges of so few images depend on which ones they are: export fp16, or label more"
        what, got = "too few calibration images", min(n_images, len(train.images))
        raise UsageError(what, where=dataset.source, expected=f"{FEWEST} or more", got=got, hint=hint)
    chosen = _in_turn(train.images, n_images, seed)
    images = tuple(CalibrationImage(one.id, one.key, file_hash(one.path)) for one in chosen)
    record = CalibrationRecord(
        dataset=Source(dataset.name, dataset.truth_hash(), dataset.licence),
        split="train",
        n_images=len(images),
        n_groups=len({one.group for one in images}),
        seed=seed,
        sha256=calibration_hash(images),
        method=method,
    )
    return CalibrationSet(record, images, tuple(one.path for one in chosen))


def calibration_hash(images: Sequence[CalibrationImage]) -> str:
    """Return the hash of a list of calibration images."""
    return content_hash([(one.image, one.group, one.sha256) for one in images])


def read_calibration(folder: Path, record: CalibrationRecord) -> tuple[CalibrationImage, ...]:
    """Read the list of calibration images beside a card.

    Raises:
        DataError: it is missing, cannot be read, or is not the one that the card's hash is of.
    """
    path = folder / LIST
    try:
        images = to_record(load_json(path, LARGE), tuple[CalibrationImage, ...])
    except OSError as error:
        raise DataError("the list of calibration images cannot be read", where=path, got=error.strerror) from None
    except (DocumentError, msgspec.ValidationError) as error:
        raise DataError("the list of calibration images is damaged", where=path, got=str(error)) from None
    if calibration_hash(images) != record.sha256 or len(images) != record.n_images:
        raise DataError("not the calibration images of the card", where=path, hint="the list or the card was edited")
    return images


def _in_turn(images: Sequence[Image], n_images: int, seed: int) -> list[Image]:
    random = np.random.default_rng(seed)
    by_group: dict[str, list[Image]] = {}
    for index in random.permutation(len(images)).tolist():
        by_group.setdefault(images[index].key, []).append(images[index])
    queues = [by_group[key] for key in sorted(by_group)]
    order = random.permutation(len(queues)).tolist()
    chosen: list[Image] = []
    depth = 0
    while len(chosen) < min(n_images, len(images)):
        chosen += [queues[index][depth] for index in order if depth < len(queues[index])]
        depth += 1
    return chosen[:n_images]
