"""Mistakes in labels: found where they were planted, reviewed by keyboard, and the rest is counted with an interval."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import liftgate
from judging.two_models import Models, box_in, two_models
from liftgate.checks.probes.label_mistakes import FLAGGED, LabelMistake, find_mistakes
from liftgate.cli import main
from liftgate.data.core.csv_tables import table_bytes
from liftgate.data.core.dataset import Dataset, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.data.formats.coco.predictions import write_predictions
from liftgate.errors import DataError, UsageError
from liftgate.judging.mending import images_with, mend
from liftgate.judging.review import (
    Review,
    ReviewedKind,
    ReviewItem,
    accepted_mistakes,
    draw_review,
    read_review,
    reviewed,
    write_review,
)
from liftgate.testing.data import picture

MODELS: Models = two_models(12, groups=8, per_group=4)


def surely(truth: Dataset) -> Predictions:
    """A model that finds every object of the truth."""
    labels, names = truth.labels, tuple(image.id for image in truth.images)
    return Predictions(names, truth.classes, labels.image, labels.cls, labels.boxes, np.full(len(labels), 0.9))


def planted() -> tuple[Dataset, dict[str, set[int]]]:
    """Labels with mistakes of every kind, by the rows that they have there; missing ones by image."""
    labels = MODELS.truth.labels
    boxes, cls, keep = labels.boxes.copy(), labels.cls.copy(), np.ones(len(labels), dtype=np.bool_)
    boxes[10:13, 0::2] += 0.5 * (boxes[10:13, 2] - boxes[10:13, 0])[:, None]
    cls[20:23] = 1 - cls[20:23]
    keep[30:33] = False
    broken = replace(labels, boxes=boxes, cls=cls).take(keep)
    where = {"box": {10, 11, 12}, "class": {20, 21, 22}, "missing": set(labels.image[30:33].tolist())}
    return replace(MODELS.truth, labels=broken), where


def test_planted_mistakes_are_found_and_nothing_else_is_flagged() -> None:
    dataset, where = planted()
    found = [one for one in find_mistakes(dataset, surely(MODELS.truth)) if one.suspicion >= FLAGGED]
    assert {one.label for one in found if one.kind == "box"} == where["box"]
    assert {one.label for one in found if one.kind == "class"} == where["class"]
    assert {one.image for one in found if one.kind == "missing"} == where["missing"]
    assert len(found) == 9
    assert [one for one in find_mistakes(MODELS.truth, surely(MODELS.truth)) if one.suspicion >= FLAGGED] == []


def test_a_label_at_which_nothing_is_seen_is_spurious_unless_the_model_is_blind_there() -> None:
    labels = MODELS.truth.labels
    rng = np.random.default_rng(0)
    extra = replace(labels.take(np.zeros(2, dtype=np.int64)), boxes=np.array([box_in(p, rng) for p in (34, 35)]) + 600)
    columns = {name: np.concatenate([getattr(labels, name), getattr(extra, name)])
               for name in ("image", "cls", "boxes", "area", "crowd", "ignore", "line")}  # fmt: skip
    dataset = replace(MODELS.truth, labels=replace(labels, **columns))
    seen = surely(MODELS.truth)
    flagged = [one for one in find_mistakes(dataset, seen) if one.suspicion >= FLAGGED]
    assert {(one.kind, one.label) for one in flagged} == {("spurious", len(labels)), ("spurious", len(labels) + 1)}
    half = np.arange(len(seen)) % 2 == 0  # finds every second object only: its silence says little
    blind = Predictions(
        seen.images, seen.classes, seen.image[half], seen.cls[half], seen.boxes[half], seen.scores[half]
    )
    assert [one for one in find_mistakes(dataset, blind) if one.suspicion >= FLAGGED] == []


def test_predictions_add_findings_to_a_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset, _ = planted()
    truth = coco.write(dataset, tmp_path / "truth.json")
    seen = write_predictions(surely(MODELS.truth), dataset, tmp_path / "seen.json")
    assert main(["check", str(truth), "--predictions", str(seen), "--select", "mistakes", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {one["id"] for one in found} == {"mistakes.box", "mistakes.class", "mistakes.missing"}
    assert all(one["data"]["count"] == 3 and len(one["data"]["rows"]) == 3 for one in found)
    assert liftgate.check(dataset, select=["mistakes"]).findings == ()  # without predictions


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Review]:
    folder = tmp_path_factory.mktemp("review")
    dataset, _ = planted()
    images = [replace(one, path=picture(folder / one.id, (640, 640))) for one in dataset.images[:1]]
    images += [replace(one, path=images[0].path) for one in dataset.images[1:]]
    dataset, seen = dataset.with_images(images), surely(MODELS.truth)
    drawn = draw_review(dataset, seen, find_mistakes(dataset, seen))
    write_review(drawn, dataset, folder / "pages")
    return folder / "pages", drawn


def answers(review: Review, words: list[str]) -> bytes:
    rows = [(review.hash, one.id, word) for one, word in zip(review.items, words, strict=False)]
    return table_bytes(("draw", "question", "answer"), rows)


def test_the_reviewed_part_speaks_for_all_that_are_flagged(review: tuple[Path, Review], tmp_path: Path) -> None:
    folder, drawn = review
    assert read_review(folder) == drawn and len(drawn.items) == 9
    file = tmp_path / "answers.csv"
    file.write_bytes(answers(drawn, ["yes", "yes", "no", "yes", "unsure", "yes", "no", "no", "no"]))
    found = {one.kind: one for one in reviewed(drawn, file)}
    assert [(one.kind, one.mistakes, one.reviewed) for one in found.values()] == [
        ("missing", 2, 3), ("class", 2, 3), ("box", 0, 3),
    ]  # fmt: skip
    assert "1 unsure" in found["class"].text and "of 3 flagged about 3" in found["class"].text
    page = (folder / "review.html").read_text()
    assert "Is a label missing?" in page and '"review": true' in page


def test_what_nobody_was_sure_of_is_doubt_and_no_right_label() -> None:
    """Both bounds hold it; where all of a kind is unsure, how many are mistakes is not known."""
    items = tuple(ReviewItem(f"m{i:04d}", "box", f"{i}.jpg", f"g{i % 9}", "cat", "cat", (), (), 0.9) for i in range(40))
    drawn = Review(items, {"missing": 0, "spurious": 0, "class": 0, "box": 80}, "", "", 0)
    found = [of_words(drawn, words) for words in (["yes", "no"] * 20, ["yes", "no", "unsure", "unsure"] * 10)]
    sure, half = (one.share for one in found)
    assert sure.low is not None and half.low is not None and sure.high is not None and half.high is not None
    assert half.low < sure.low and half.high > sure.high and half.estimate == sure.estimate == 0.5
    assert "widens both bounds" in half.note
    nothing = of_words(drawn, ["unsure"] * 40)
    assert not nothing.share.established and "is not known" in nothing.text


def of_words(drawn: Review, words: list[str]) -> ReviewedKind:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answers.csv"
        file.write_bytes(answers(drawn, words))
        (found,) = reviewed(drawn, file)
        return found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text, drawn: text.replace(drawn.hash, "0" * 64, 1), "answers to another review"),
        (lambda text, drawn: text.replace("m0002", "m0001"), "answered twice"),
        (lambda text, drawn: text.replace("m0002", "m9999"), "not an answer"),
        (lambda text, drawn: "\n".join(text.splitlines()[:5]) + "\n", "5 of 9 have no answer"),
    ],
)
def test_bad_answers_are_refused(review: tuple[Path, Review], tmp_path: Path, change: object, message: str) -> None:
    _, drawn = review
    file = tmp_path / "answers.csv"
    file.write_text(change(answers(drawn, ["yes"] * 9).decode(), drawn))  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        reviewed(drawn, file)


def test_a_review_that_was_edited_or_has_nothing_to_show_is_refused(
    review: tuple[Path, Review], tmp_path: Path
) -> None:
    folder, _ = review
    edited = tmp_path / "review.json"
    edited.write_text((folder / "review.json").read_text().replace('"suspicion": 0.5', '"suspicion": 0.8', 1))
    with pytest.raises(DataError, match="edited"):
        read_review(edited)
    nothing = draw_review(MODELS.truth, surely(MODELS.truth), [])
    with pytest.raises(DataError, match="nothing is flagged"):
        write_review(nothing, MODELS.truth, tmp_path / "pages")
    assert not (tmp_path / "pages").exists()
    assert main(["check", "x.yaml", "--reviewed", "answers.csv"]) == 2
    with pytest.raises(UsageError, match="a study"):
        study = tmp_path / "study.yaml"
        study.write_text("study: tiny\ngates: {}\n")
        liftgate.check(study, predictions=tmp_path / "x.json")


def test_accepted_mistakes_are_undone_in_a_copy_and_everything_else_stays(
    review: tuple[Path, Review], tmp_path: Path
) -> None:
    """Of the three planted ones of each kind the first two are accepted, the third is rejected or in doubt."""
    _, drawn = review
    dataset, _ = planted()
    file = tmp_path / "answers.csv"
    words = ["yes", "yes", "no", "yes", "yes", "unsure", "yes", "yes", "no"]
    file.write_bytes(answers(drawn, words))
    accepted = accepted_mistakes(drawn, file)
    assert [one.kind for one in accepted] == ["missing"] * 2 + ["class"] * 2 + ["box"] * 2
    mended = mend(dataset, drawn, accepted).labels
    before, truth = dataset.labels, MODELS.truth.labels
    assert len(mended) == len(before) + 2

    def rows(labels: Labels) -> set[tuple[float, ...]]:
        return {
            (int(i), int(c), *box) for i, c, box in zip(labels.image, labels.cls, labels.boxes.tolist(), strict=True)
        }

    wrong = rows(before) - rows(truth)
    assert len(wrong) == 6 and len(rows(mended) - rows(truth)) == 2
    assert len(rows(truth) - rows(mended)) == 3  # one of each kind
    assert rows(before) & rows(truth) <= rows(mended)
    named = {one.image for one in accepted}
    assert {image.id for image in images_with(dataset, accepted).images} == named


def test_a_spurious_label_that_is_accepted_is_deleted() -> None:
    dataset, seen = MODELS.truth, surely(MODELS.truth)
    flagged = [LabelMistake("spurious", int(dataset.labels.image[7]), 7, -1, 0.9)]
    drawn = draw_review(dataset, seen, flagged)
    mended = mend(dataset, drawn, drawn.items).labels
    assert len(mended) == len(dataset.labels) - 1
    assert not (mended.boxes == dataset.labels.boxes[7]).all(axis=1).any()


def test_labels_that_changed_since_the_review_are_not_mended(review: tuple[Path, Review]) -> None:
    _, drawn = review
    with pytest.raises(DataError, match="changed since the review"):
        mend(MODELS.truth, drawn, drawn.items)


def test_the_command_writes_a_mended_copy_or_a_task_for_cvat(
    review: tuple[Path, Review], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, _ = planted()
    image = picture(tmp_path / "one.jpg", (640, 640))
    for one in dataset.images:
        (tmp_path / one.id).write_bytes(image.read_bytes())
    truth = coco.write(dataset, tmp_path / "truth.json")
    given = liftgate.data.read(truth, images=tmp_path)
    seen = write_predictions(surely(MODELS.truth), given, tmp_path / "seen.json")
    drawn = liftgate.review_mistakes(truth, seen, tmp_path / "pages", images=tmp_path)
    file = tmp_path / "answers.csv"
    file.write_bytes(answers(drawn, ["yes"] * len(drawn.items)))
    check = [
        "check",
        str(truth),
        "--images",
        str(tmp_path),
        "--review",
        str(tmp_path / "pages"),
        "--reviewed",
        str(file),
    ]
    assert main([*check, "--mend", str(tmp_path / "mended")]) == 0
    mended = liftgate.data.read(tmp_path / "mended/data.yaml")
    assert len(mended.labels) == len(MODELS.truth.labels) and "of 3 flagged" in capsys.readouterr().out
    assert main([*check, "--mend", str(tmp_path / "task"), "--to", "cvat"]) == 0
    assert len(liftgate.data.read(tmp_path / "task/annotations.xml").images) == len({one.image for one in drawn.items})
    assert main([*check, "--mend", str(tmp_path / "mended")]) == 2  # not empty
    assert main(["check", str(truth), "--mend", str(tmp_path / "x")]) == 2
    assert main(["check", str(truth), "--to", "cvat"]) == 2
    file.write_bytes(answers(drawn, ["no"] * len(drawn.items)))
    with pytest.raises(UsageError, match="nothing was accepted"):
        liftgate.mend_mistakes(truth, tmp_path / "pages", file, tmp_path / "none", images=tmp_path)
    assert not (tmp_path / "none").exists()
