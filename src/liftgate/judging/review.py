"""Review suspected mistakes in labels: a page to accept or reject them, and how many of all flagged are mistakes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liftgate.checks.probes.label_mistakes import FLAGGED, MISTAKE_KINDS, LabelMistake
from liftgate.data.core.csv_tables import read_table
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.hashed_record import read_hashed, write_hashed
from liftgate.data.core.predictions import Predictions
from liftgate.errors import DataError
from liftgate.files import atomic_folder, require_empty
from liftgate.hashing import content_hash, short
from liftgate.judging.crops import crop
from liftgate.judging.page import write_page_of
from liftgate.progress import Progress, silent
from liftgate.stats.interval import Interval
from liftgate.stats.rates import korn_graubard

REVIEW, PAGE = "review.json", "review.html"
_ASK = {
    "missing": "The model sees a {model} (blue) where nothing is labelled. Is a label missing?",
    "spurious": "The label says {label} (orange), the model sees nothing. Is the label wrong?",
    "class": "The label says {label} (orange), the model {model} (blue). Is the label's class wrong?",
    "box": "The label's box of a {label} is orange, the model's blue. Is the label's box wrong?",
}


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """One suspected mistake to look at."""

    id: str
    kind: str
    image: str
    group: str
    label: str
    """Class of the label; empty: there is none"""
    model: str
    """Class that the model sees; empty: none"""
    label_box: tuple[float, ...]
    model_box: tuple[float, ...]
    suspicion: float


@dataclass(frozen=True, slots=True)
class Review:
    """The mistakes to look at: all that are flagged, or as many of them as were drawn at random."""

    items: tuple[ReviewItem, ...]
    flagged: Mapping[str, int]
    """kind → how many are flagged in all"""
    truth: str
    predictions: str
    seed: int

    @property
    def hash(self) -> str:
        """Hash of everything; answers carry it."""
        return content_hash(self)


@dataclass(frozen=True, slots=True)
class ReviewedKind:
    """What a review says of one kind."""

    kind: str
    flagged: int
    reviewed: int
    mistakes: int
    unsure: int
    share: Interval
    """Of mistakes among those that are flagged, from where all that is unsure is right to where all of it is a mistake;
    without bounds where nobody was sure of any"""

    @property
    def text(self) -> str:
        """The result in a sentence."""
        low, high = self.share.low, self.share.high
        if self.unsure == self.reviewed:
            return f"mistakes.{self.kind}: all {self.reviewed} reviewed are unsure: how many are mistakes is not known"
        if low is None or high is None:
            spread = f"(no interval: {self.share.note})"
        else:
            spread = f"[{low * self.flagged:.0f}, {high * self.flagged:.0f}] ({self.share.basis})"
        count = self.share.estimate * self.flagged
        doubt = f", {self.unsure} unsure" if self.unsure else ""
        return (
            f"mistakes.{self.kind}: {self.mistakes} of {self.reviewed} reviewed are mistakes{doubt}; "
            f"of {self.flagged} flagged about {count:.0f} {spread}"
        )


def draw_review(
    dataset: Dataset, predictions: Predictions, mistakes: Sequence[LabelMistake], *, most: int = 100, seed: int = 0
) -> Review:
    """Return the flagged mistakes, at most `most` of each kind, drawn at random so that they speak for the rest.

    Args:
        dataset: the labels.
        predictions: that the mistakes were found by.
        mistakes: as `find_mistakes` returns them.
        most: of each kind.
        seed: of the draw.
    """
    rng = np.random.default_rng(seed)
    flagged = [one for one in mistakes if one.suspicion >= FLAGGED]
    items: list[ReviewItem] = []
    for kind in MISTAKE_KINDS:
        found = [one for one in flagged if one.kind == kind]
        for place in np.sort(rng.permutation(len(found))[:most]):
            items.append(_item(f"m{len(items) + 1:04d}", found[place], dataset, predictions))
    counts: dict[str, int] = {kind: sum(one.kind == kind for one in flagged) for kind in MISTAKE_KINDS}
    return Review(tuple(items), counts, dataset.truth_hash(), predictions.content_hash(), seed)


def write_review(review: Review, dataset: Dataset, folder: Path, *, progress: Progress = silent) -> Path:
    """Write review.html and review.json into a new folder and return the path of the page.

    Raises:
        DataError: the folder is not empty, nothing is flagged, or an image cannot be read.
    """
    require_empty(folder)
    if not review.items:
        raise DataError("nothing is flagged, so there is nothing to review", where=dataset.source)
    paths = {image.id: image.path for image in dataset.images}
    cards: list[dict[str, object]] = []
    for done, one in enumerate(review.items, 1):
        boxes = [(role, box) for role, box in (("model", one.model_box), ("label", one.label_box)) if box]
        part = crop(paths[one.image], tuple((box[0], box[1], box[2], box[3]) for _, box in boxes))
        marks = [{"cls": one.label or one.model, "box": list(box), "role": role} for role, box in boxes]
        ask = _ASK[one.kind].format(label=one.label, model=one.model)
        cards.append(
            {"id": one.id, "kind": "review", "ask": ask, "jpeg": part.jpeg, "window": part.window, "marks": marks,
             "surer": [], "turn": 0}
        )  # fmt: skip
        progress("pictures", done, len(review.items))
    content = {"draw": review.hash, "classes": list(dataset.classes), "groups": 0, "review": True, "cards": cards}
    with atomic_folder(folder) as part_folder:
        write_page_of(json.dumps(content, ensure_ascii=True), part_folder / PAGE)
        write_hashed(review, part_folder / REVIEW, "review")
    return folder / PAGE


def read_review(path: Path) -> Review:
    """Read review.json, or the folder that holds it.

    Raises:
        DataError: it cannot be read, or was edited.
    """
    path = path / REVIEW if path.is_dir() else path
    return read_hashed(path, Review, "review", name="the review", hint="of `check --review DIR`")


def reviewed(review: Review, answers: Path, level: float = 0.95) -> list[ReviewedKind]:
    """Return what a person's answers say of each kind.

    Args:
        review: the questions.
        answers: answers.csv of the page.
        level: of the intervals.

    Raises:
        DataError: answers to another review, given twice or incomplete.
    """
    words = read_words(answers, review.hash, [one.id for one in review.items])
    return [_of_kind(review, kind, words, level) for kind in MISTAKE_KINDS if review.flagged.get(kind)]


def accepted_mistakes(review: Review, answers: Path) -> list[ReviewItem]:
    """Return the items that a person called mistakes; unsure ones are left as they are.

    Args:
        review: the questions.
        answers: answers.csv of the page.

    Raises:
        DataError: as `reviewed`.
    """
    words = read_words(answers, review.hash, [one.id for one in review.items])
    return [one for one in review.items if words[one.id] == "yes"]


def read_words(answers: Path, declared: str, questions: Sequence[str]) -> dict[str, str]:
    """Return question → yes, no or unsure, of the answers.csv of a page.

    Args:
        answers: the file.
        declared: hash of the questions, which every answer carries.
        questions: their ids.

    Raises:
        DataError: answers to other questions, given twice or incomplete.
    """
    words: dict[str, str] = {}
    known = set(questions)
    for line, row in read_table(answers, ("draw", "question", "answer")):
        where, name = f"{answers}:{line}", row["question"]
        if row["draw"] != declared:
            raise DataError("answers to another review", where=where, expected=short(declared), got=short(row["draw"]))
        if name not in known or row["answer"] not in ("yes", "no", "unsure"):
            raise DataError("not an answer to a question of this review", where=where, got=f"{name}: {row['answer']}")
        if name in words:
            raise DataError(f"{name} is answered twice", where=where)
        words[name] = row["answer"]
    if missing := [one for one in questions if one not in words]:
        raise DataError(
            f"{len(missing)} of {len(questions)} have no answer, such as {missing[0]}", where=answers,
            hint="open the page again, which goes on where it stopped",
        )  # fmt: skip
    return words


def _of_kind(review: Review, kind: str, words: Mapping[str, str], level: float) -> ReviewedKind:
    items = [one for one in review.items if one.kind == kind]
    answers = [words[one.id] for one in items]
    mistakes, unsure = answers.count("yes"), answers.count("unsure")
    low, high = (_share(items, answers, counted, level) for counted in (("yes",), ("yes", "unsure")))
    known = low.established and high.established and unsure < len(items)
    note = low.note or high.note or ("what is unsure widens both bounds" if unsure else "")
    share = replace(
        low, estimate=mistakes / max(1, len(items) - unsure), low=low.low if known else None,
        high=high.high if known else None, note=note if unsure < len(items) else "not established: all are unsure",
    )  # fmt: skip
    return ReviewedKind(kind, review.flagged[kind], len(items), mistakes, unsure, share)


def _share(items: Sequence[ReviewItem], answers: Sequence[str], counted: tuple[str, ...], level: float) -> Interval:
    hits = np.array([answer in counted for answer in answers], dtype=np.float64)
    groups, group = np.unique([one.group for one in items], return_inverse=True)
    return korn_graubard(
        np.bincount(group, hits, minlength=len(groups)), np.bincount(group, minlength=len(groups)), level,
        n_images=len({one.image for one in items}),
    )  # fmt: skip


def _item(id_: str, one: LabelMistake, dataset: Dataset, predictions: Predictions) -> ReviewItem:
    image, labels = dataset.images[one.image], dataset.labels
    label_box = () if one.label < 0 else tuple(float(v) for v in labels.boxes[one.label])
    model_box = () if one.detection < 0 else tuple(float(v) for v in predictions.boxes[one.detection])
    return ReviewItem(
        id_, one.kind, image.id, image.key, "" if one.label < 0 else dataset.classes[labels.cls[one.label]],
        "" if one.detection < 0 else predictions.classes[predictions.cls[one.detection]], label_box, model_box,
        one.suspicion,
    )  # fmt: skip
