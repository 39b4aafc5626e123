"""The page of findings that `liftgate check --page` writes, with pictures where they help to decide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from liftgate.boxes import Boxes, cxcywh_to_xyxy
from liftgate.checks.finding import shared_folders
from liftgate.checks.fixes.dataset_fixes import fix_dataset
from liftgate.files import write_text
from liftgate.reporting.dataset_pages.page import templates
from liftgate.reporting.dataset_pages.pictures import DrawnLabel, LabelledPicture, box_corners, drawing_size
from liftgate.reporting.pictures import small_jpeg

if TYPE_CHECKING:
    from liftgate.checks.finding import Finding
    from liftgate.checks.run import CheckResult
    from liftgate.checks.subject import Subject
    from liftgate.data.core.dataset import Dataset, Image

T = TypeVar("T")
MAX_PAIRS = 12
"""Pairs of copies that a page shows of one finding"""
MAX_EXAMPLES = 12
"""Images that a page shows of one finding: half of them the worst, half drawn at random"""
_ROW = re.compile(r"(?P<file>.+?)(?::|, object )(?P<line>\d+)(?:: .*)?$", re.DOTALL)
_OF_PAIRS = frozenset({"splits.leak_exact", "splits.leak_near", "images.duplicate"})


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One finding with its pictures."""

    finding: Finding
    shots: tuple[LabelledPicture, ...] = ()
    """In pairs: labels as stored and as they fit best, or the two images that are copies"""


@dataclass(frozen=True, slots=True)
class FindingsPage:
    """Content of the page."""

    title: str
    result: CheckResult
    groups: tuple[tuple[FindingRow, ...], ...]
    """Findings of one id and severity together, the most severe first"""
    shots: Mapping[str, tuple[LabelledPicture, ...]] = field(default_factory=dict)
    """data set → the label geometry's example, of those that fit"""
    command: str = ""
    """Command that writes the page again"""


def findings_page(result: CheckResult, subject: Subject, command: str = "") -> FindingsPage:
    """Return the content of the page; pictures are read here."""
    fixed: dict[str, Dataset] = {}
    sources = [dataset.source for dataset in subject.datasets.values()]
    folders = shared_folders(sources, subject.study.folder if subject.study else None)
    rows = [
        FindingRow(finding.without_folders(folders), tuple(_shots(finding, subject, fixed)))
        for finding in result.findings
    ]
    ignored = tuple(replace(one, finding=one.finding.without_folders(folders)) for one in result.ignored)
    result = replace(result, ignored=ignored)
    groups = groupby(rows, key=lambda row: (row.finding.severity, row.finding.id))
    fitting = {
        name: _both_ways(subject, name) for name, answer in result.geometry.items() if answer["answer"] == "fits"
    }
    return FindingsPage(
        ", ".join(result.datasets), result, tuple(tuple(group) for _, group in groups), fitting, command
    )


def render_findings(content: FindingsPage, path: Path) -> Path:
    """Write the page to `path` as one self-contained HTML file and return `path`."""
    write_text(path, templates().get_template("findings.html.j2").render(page=content))
    return path


def _shots(finding: Finding, subject: Subject, fixed: dict[str, Dataset]) -> Iterator[LabelledPicture]:
    if finding.id == "labels.geometry":
        yield from _both_ways(subject, str(finding.data["dataset"]))
    elif finding.id in _OF_PAIRS:
        named = {f"{name}: {image.id}": image for name, dataset in subject.datasets.items() for image in dataset.images}
        for pair in finding.data["examples"][:MAX_PAIRS]:
            for name in _names(finding, pair):
                image = named[name]
                yield LabelledPicture(
                    name, *drawing_size(image), small_jpeg(image.path), (), image.split or "in no split"
                )
    else:
        yield from _named_images(finding, subject, fixed)


def _named_images(finding: Finding, subject: Subject, fixed: dict[str, Dataset]) -> Iterator[LabelledPicture]:
    """Images that a finding names, with its rows marked, and each as `check --fix` would write it."""
    name = str(finding.data.get("dataset", ""))
    dataset = subject.datasets.get(name)
    places = _places(finding, dataset) if dataset is not None else []
    if dataset is None or not places:
        return
    if name not in fixed:
        fixed[name] = fix_dataset(dataset).dataset
    after = {image.id: index for index, image in enumerate(fixed[name].images)}
    for index, line in _chosen(places):
        image = dataset.images[index]
        if not small_jpeg(image.path):
            continue
        yield _with_labels(dataset, index, line, "as stored")
        if image.id in after:
            yield _with_labels(fixed[name], after[image.id], None, "as `--fix` writes it")


def _places(finding: Finding, dataset: Dataset) -> list[tuple[int, int | None]]:
    """Image and line of its label for every example that names an image or a row, each image once."""
    by_name = {image.id: index for index, image in enumerate(dataset.images)}
    by_name |= {str(image.label or image.path): index for index, image in enumerate(dataset.images)}
    examples = finding.data.get("examples", [finding.data.get("image")])
    found: dict[int, int | None] = {}
    for example in [*examples, finding.where]:
        text = str(example.get("image")) if isinstance(example, dict) else str(example)
        file, line = _file_and_line(text)
        index = by_name.get(text, by_name.get(file))
        if index is not None and found.get(index) is None:  # a row says more than its image alone
            found[index] = None if text in by_name else line
    if finding.id == "labels.dropped_image":  # it names images: the rows that drop them are in the faults
        rows = dict(map(_file_and_line, (fault.where for fault in reversed(dataset.faults))))
        found = {index: line or rows.get(str(dataset.images[index].label)) for index, line in found.items()}
    return list(found.items())


def _file_and_line(text: str) -> tuple[str, int | None]:
    """Return the file, and the number of its line or object, of `FILE:LINE`, `FILE:LINE: message` and `…, object N`."""
    match = _ROW.match(text)
    return (match["file"], int(match["line"])) if match else (text, None)


def _chosen(examples: Sequence[T]) -> list[T]:
    """The first half of what is shown as it comes, the worst first; the other half at random, the same each time."""
    first, rest = list(examples[: MAX_EXAMPLES // 2]), examples[MAX_EXAMPLES // 2 :]
    drawn = np.random.default_rng(0).permutation(len(rest))[: MAX_EXAMPLES - len(first)]
    return first + [rest[index] for index in sorted(drawn.tolist())]


def _with_labels(dataset: Dataset, index: int, line: int | None, note: str) -> LabelledPicture:
    """An image with all of its boxes; the one of the named line is highlighted."""
    image, labels = dataset.images[index], dataset.labels
    width, height = drawing_size(image)
    rows = np.flatnonzero(labels.image == index)
    scale = np.array([width, height] * 2) / np.maximum(np.array(image.upright * 2, dtype=np.float64), 1)
    pixels = labels.boxes[rows] * scale
    marks = [
        DrawnLabel(box_corners(pixels, at), "", "only-b" if line is not None and labels.line[row] == line else "c1")
        for at, row in enumerate(rows)
    ]
    if line is not None and line not in labels.line[rows] and (unread := _unread_row(image, line)) is not None:
        size = np.array([width, height], dtype=np.float64)
        box = np.clip(cxcywh_to_xyxy(unread[None], size), 1, np.tile(size, 2) - 1)
        marks.append(DrawnLabel(box_corners(box, 0), "", "only-b"))
        if (box[0, 2:] - box[0, :2]).min() < 1:
            note += ": the row lies outside the picture"
    return LabelledPicture(image.id, width, height, small_jpeg(image.path), tuple(marks), note)


def _unread_row(image: Image, line: int) -> Boxes | None:
    """The box (4,) of a YOLO row that could not be used, as fractions of the image; None where it has no four."""
    try:
        row = Path(str(image.label)).read_text(encoding="utf-8", errors="replace").splitlines()[line - 1]
        box = np.array([float(word) for word in row.split()[1:5]])
    except (OSError, IndexError, ValueError):
        return None
    return box if len(box) == 4 and np.isfinite(box).all() and (np.abs(box) < 1e6).all() else None


def _names(finding: Finding, pair: Mapping[str, str] | list[str]) -> tuple[str, ...]:
    """`data set: image` of both of a pair: leaks say it, duplicates within one data set name the images alone."""
    if isinstance(pair, list):
        return tuple(f"{finding.data['dataset']}: {image}" for image in pair)
    return pair["first"], pair["second"]


def _both_ways(subject: Subject, name: str) -> tuple[LabelledPicture, ...]:
    """Images of the probe with their boxes as stored, and read the way that fits best of all others."""
    found = subject.geometry(name)
    if found is None:
        return ()
    pictures = []
    for image, stored, corrected in _chosen(found.examples):
        note = "as stored" if len(stored) else "as stored: nowhere in the picture"
        pictures.append(_drawn(image, note, stored, "only-b"))
        pictures.append(_drawn(image, f"read as: {found.best.transform}", corrected, "c1"))
    return tuple(pictures)


def _drawn(image: Image, note: str, boxes: Boxes, look: str) -> LabelledPicture:
    width, height = drawing_size(image)
    pixels = cxcywh_to_xyxy(boxes, np.array([width, height], dtype=np.float64))
    marks = tuple(DrawnLabel(box_corners(pixels, row), "", look) for row in range(len(pixels)))
    return LabelledPicture(image.id, width, height, small_jpeg(image.path), marks, note)
