"""The page of `liftgate data agree`: how far annotators agree, with pictures of disagreements, worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from liftgate.data.agreement import NONE, ObjectMatches, SharedFrames
from liftgate.data.core.dataset import Dataset
from liftgate.evaluation.agreement_records import Agreement, AgreementVerdict
from liftgate.evaluation.label_agreement import ComparedAnnotators, by_annotator
from liftgate.files import write_text
from liftgate.reporting.dataset_pages.page import templates
from liftgate.reporting.dataset_pages.pictures import DrawnLabel, LabelledPicture, box_corners, drawing_size
from liftgate.reporting.pictures import small_jpeg

MAX_PICTURES = 24
"""Disagreements that are shown for each pair"""


@dataclass(frozen=True, slots=True)
class AnnotatorPair:
    """One pair of annotators."""

    found: Agreement
    shots: tuple[LabelledPicture, ...]


@dataclass(frozen=True, slots=True)
class AgreementPage:
    """Content of the page."""

    pairs: tuple[AnnotatorPair, ...]
    verdict: AgreementVerdict | None
    annotators: Mapping[str, float | None]
    """Mean kappa with the others, lowest first"""
    command: str = ""


def agreement_page(
    compared: Sequence[ComparedAnnotators], verdict: AgreementVerdict | None, command: str = ""
) -> AgreementPage:
    """Return the content of the page; pictures are read here."""
    pairs = [AnnotatorPair(one.found, tuple(_shots(one))) for one in compared]
    return AgreementPage(tuple(pairs), verdict, by_annotator([one.found for one in compared]), command)


def render_agreement(content: AgreementPage, path: Path) -> Path:
    """Write the page to `path` as one self-contained HTML file and return `path`."""
    write_text(path, templates().get_template("agreement.html.j2").render(page=content))
    return path


def _shots(one: ComparedAnnotators) -> list[LabelledPicture]:
    shots = []
    for case in one.found.disagreements[:MAX_PICTURES]:
        image = one.a.images[int(one.frames.a[case.index])]
        parts = [
            f"{case.n_only_a} only {one.a.name}" if case.n_only_a else "",
            f"{case.n_only_b} only {one.b.name}" if case.n_only_b else "",
            f"{case.n_class} with another class" if case.n_class else "",
            f"{case.n_agreed} agreed",
        ]
        marks = tuple(_marks(one.a, one.b, one.frames, one.seen, case.index))
        note = ", ".join(part for part in parts if part)
        shots.append(
            LabelledPicture(case.image, *drawing_size(image), small_jpeg(image.path), marks, note, image.group)
        )
    return shots


def _marks(a: Dataset, b: Dataset, frames: SharedFrames, seen: ObjectMatches, frame: int) -> list[DrawnLabel]:
    marks = []
    for row in np.flatnonzero(seen.frame == frame).tolist():
        of_a, of_b = int(seen.class_a[row]), int(seen.class_b[row])
        box_a = box_corners(a.labels.boxes, int(seen.row_a[row])) if of_a != NONE else None
        box_b = box_corners(b.labels.boxes, int(seen.row_b[row])) if of_b != NONE else None
        if box_a is None and box_b is not None:
            marks.append(DrawnLabel(box_b, frames.classes[of_b], "only-b"))
        elif box_b is None and box_a is not None:
            marks.append(DrawnLabel(box_a, frames.classes[of_a], "only-a"))
        elif box_a is not None and of_a != of_b:
            marks.append(DrawnLabel(box_a, f"{frames.classes[of_a]} / {frames.classes[of_b]}", "class"))
        elif box_a is not None:
            marks.append(DrawnLabel(box_a, "", "both"))
    return marks
