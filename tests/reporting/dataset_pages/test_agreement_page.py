"""The page of annotator agreement in words and marks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.evaluation.label_agreement import agreements, judge
from liftgate.reporting.dataset_pages import agreement_page, render_agreement

CLASSES = ("cat", "dog")
BOXES = [[0, 0, 10, 10], [30, 30, 50, 50], [60, 60, 90, 90]]


def label_set(name: str, rows: list[list[int]]) -> Dataset:
    """For each image the class of each of three boxes; −1: it is not drawn."""
    images = tuple(Image(f"{i}.jpg", Path(f"/{i}.jpg"), 100, 100, label=Path(f"/{i}.txt")) for i in range(len(rows)))
    flat = [(i, cls, BOXES[k]) for i, row in enumerate(rows) for k, cls in enumerate(row) if cls >= 0]
    labels = Labels.build([f[0] for f in flat], [f[1] for f in flat], [f[2] for f in flat])
    return Dataset(name, Path("/"), Path(f"/{name}"), "yolo", CLASSES, images, labels)


ANN = label_set("ann", [[0, 1, 1], [0, 0, 1], [1, 1, -1], [0, 1, 0], [0, 1, 0], [1, 0, 1]])
BEN = label_set("ben", [[0, 1, 1], [1, 0, -1], [1, 1, 1], [0, 1, 0], [0, 1, 0], [1, 0, 1]])


def made(*sets: Dataset, gate: float | None = 0.85):  # type: ignore[no-untyped-def]
    compared = agreements(sets, rng=np.random.default_rng(0))
    verdict = None if gate is None else judge([one.found for one in compared], gate)
    return agreement_page(compared, verdict)


def test_every_disagreement_is_marked_for_what_it_is() -> None:
    shots = made(ANN, BEN).pairs[0].shots
    assert [shot.name for shot in shots] == ["1.jpg", "2.jpg"]  # two differences, then one
    marks = {(mark.kind, mark.text) for mark in shots[0].marks}
    assert marks == {("class", "cat / dog"), ("both", ""), ("only-a", "dog")}
    assert {(mark.kind, mark.text) for mark in shots[1].marks} == {("both", ""), ("only-b", "dog")}
    assert shots[0].note == "1 only ann, 1 with another class, 1 agreed"


def test_the_page_says_verdict_basis_and_what_kappa_counts(tmp_path: Path) -> None:
    html = render_agreement(made(ANN, BEN), tmp_path / "p.html").read_text()
    assert "MARGINAL" in html and "jackknife-log-t" in html and "6 images in 6 groups" in html
    assert "boxes have no true negatives" in html
    assert "for display only" in html


def test_without_a_gate_there_is_no_verdict(tmp_path: Path) -> None:
    html = render_agreement(made(ANN, BEN, gate=None), tmp_path / "p.html").read_text()
    assert "MARGINAL" not in html.split("</style>")[1]


def test_those_who_agree_on_everything_are_told_so(tmp_path: Path) -> None:
    html = render_agreement(made(ANN, replace(ANN, name="ben")), tmp_path / "p.html").read_text()
    assert "They agree on every image." in html


def test_of_three_annotators_every_pair_has_its_section(tmp_path: Path) -> None:
    html = render_agreement(made(ANN, BEN, replace(BEN, name="eve")), tmp_path / "p.html").read_text()
    assert "Do the 3 annotators agree?" in html and "ann and ben</h2>" in html and "ben and eve</h2>" in html
    assert "Who agrees least with the others" in html


def test_names_from_strangers_are_escaped(tmp_path: Path) -> None:
    bad = "<script>alert(1)</script>"
    html = render_agreement(made(replace(ANN, name=bad), BEN), tmp_path / "p.html").read_text()
    assert bad not in html
