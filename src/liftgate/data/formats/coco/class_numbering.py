"""Decide what the `category_id`s of a results file mean: the data set's category ids, or class indices from 0 or 1."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.boxes import xywh_to_xyxy
from liftgate.data.core.dataset import Dataset
from liftgate.data.formats.coco.evidence import matched_class, surest, vote
from liftgate.data.formats.coco.results import CocoResults
from liftgate.errors import DataError
from liftgate.kernels.ordering import distinct

OPTIONS = {
    "category-ids": "category ids",
    "class-from-0": "class from 0",
    "class-from-1": "class from 1",
}
"""Option after a # in a results file's name → its class numbering"""


class Numbering(NamedTuple):
    """Class numbering of a results file."""

    name: str
    classes: Mapping[int, int | None]
    """category_id → index of the dataset's class; None: a class that the dataset does not have"""
    guessed: bool = False
    """Not declared, but inferred from the numbers that occur and from the boxes"""
    note: str = ""
    """Note for every metric that depends on the guess; empty: none needed"""


def numberings(dataset: Dataset) -> dict[str, Mapping[int, int | None]]:
    """Return every class numbering that is possible for the dataset, the usual one first."""
    count = len(dataset.classes)
    return {
        "category ids": {id_: index for index, id_ in enumerate(dataset.category_ids)},
        "class from 0": dict(enumerate(range(count))),
        "class from 1": dict(enumerate(range(count), 1)),
    }


def guess_numbering(path: Path, results: CocoResults, dataset: Dataset, image: NDArray[np.int64]) -> Numbering:
    """Return the numbering that fits the numbers in the file and that the boxes do not contradict.

    If 0 occurs, is no category id, and all numbers are below the number of classes, they are class indices from 0;
    otherwise they are the dataset's category ids. Where another numbering is possible too, the overlap with the
    truth decides.

    Args:
        path: for messages.
        results: the rows of the file.
        dataset: the truth.
        image: (n,) index of each row's image in the dataset.

    Raises:
        DataError: another numbering than the usual one fits the truth clearly better.
    """
    known = numberings(dataset)
    used = distinct(results.category).tolist()
    usual = "category ids"
    if 0 in used and 0 not in dataset.category_ids and min(used) >= 0 and max(used) < len(dataset.classes):
        usual = "class from 0"
    taken = known[usual]
    if not used or not all(number in taken for number in used):
        return Numbering(usual, taken, guessed=True)  # an unknown number is refused by row
    others = {
        name: table
        for name, table in known.items()
        if all(number in table for number in used) and any(table[number] != taken[number] for number in used)
    }
    if not others:
        return Numbering(usual, taken, guessed=True)
    rows = surest(results.score)
    rows = rows[np.isfinite(results.boxes[rows]).all(axis=1)]
    lies_on = matched_class(dataset, image[rows], xywh_to_xyxy(results.boxes[rows]))
    right = {
        name: _matches_class(results.category[rows], table, lies_on) for name, table in {usual: taken, **others}.items()
    }
    undecided = []
    for name in others:
        found = vote(right[usual], right[name])
        if found.answer == 2:
            got = f"{found.second} detections match an object of their class as {name}, {found.first} as {usual}"
            raise DataError(
                "the class numbers fit the truth in another reading", where=path,
                expected=f"{usual}, as they are read by default", got=got,
                hint=f"say how the file counts: {path.name}#{_option_of(name)} or {path.name}#{_option_of(usual)}",
            )  # fmt: skip
        if found.answer == 0:
            undecided.append(name)
    note = ""
    if undecided:
        note = (
            f"{path.name}: its class numbers can be read as {usual} or as {' or '.join(undecided)}, and the boxes do "
            f"not decide; read as {usual} ({path.name}#{_option_of(usual)} says so)"
        )
    return Numbering(usual, taken, guessed=True, note=note)


def _matches_class(
    category: NDArray[np.int64], table: Mapping[int, int | None], lies_on: NDArray[np.int64]
) -> NDArray[np.bool_]:
    numbers = distinct(category)
    meant = np.array([-2 if table[number] is None else table[number] for number in numbers.tolist()], dtype=np.int64)
    return np.asarray(meant[np.searchsorted(numbers, category)] == lies_on, dtype=np.bool_)


def _option_of(name: str) -> str:
    return next(option for option, meant in OPTIONS.items() if meant == name)
