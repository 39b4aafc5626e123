"""A second annotator with known errors gets the F1 and kappa that those errors must give."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.formats.read import read
from liftgate.errors import UsageError
from liftgate.evaluation.label_agreement import agreement, agreements, by_annotator, judge, to_dict, weakest


def compared(a: Dataset, b: Dataset, **settings: object):  # type: ignore[no-untyped-def]
    return agreement(a, b, rng=np.random.default_rng(0), **settings).found  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def first(fixtures: Path) -> Dataset:
    """bccd without its two boxes that have no area."""
    dataset = read(fixtures / "bccd", name="first")
    return replace(dataset, labels=dataset.labels.take(dataset.labels.area > 0))


def second(first: Dataset, *, drop: int = 0, flip: int = 0, jitter: float = 0.0, seed: int = 1) -> Dataset:
    """`drop` boxes missing, `flip` given the next class, edges moved by up to `jitter` of the box's size."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(first.labels))
    cls = first.labels.cls.copy()
    cls[order[drop : drop + flip]] = (cls[order[drop : drop + flip]] + 1) % len(first.classes)
    size = (first.labels.boxes[:, 2:] - first.labels.boxes[:, :2])[:, [0, 1, 0, 1]]
    boxes = first.labels.boxes + rng.uniform(-jitter, jitter, (len(cls), 4)) * size
    table = replace(first.labels, cls=cls, boxes=boxes).take(np.sort(order[drop:]))
    return replace(first, name="second", labels=table)


def test_dropped_boxes_give_the_f1_that_they_must(first: Dataset) -> None:
    count, found = len(first.labels), compared(first, second(first, drop=500))
    assert found.f1_50.estimate == pytest.approx(2 * (count - 500) / (2 * count - 500), abs=1e-12)
    assert found.n_matched == count - 500 and found.mean_iou.estimate == 1


def test_flipped_classes_leave_f1_alone_and_lower_kappa_as_scikit_learn_has_it(first: Dataset) -> None:
    other = second(first, flip=400)
    found = compared(first, other)
    assert found.f1_50.estimate == 1
    assert found.f1_50_class.estimate == pytest.approx(1 - 400 / len(first.labels), abs=1e-12)
    assert found.kappa.estimate == pytest.approx(cohen_kappa_score(first.labels.cls, other.labels.cls), abs=1e-12)


def test_kappa_counts_a_dropped_box_as_none(first: Dataset) -> None:
    rng = np.random.default_rng(1)
    gone = rng.permutation(len(first.labels))[:500]
    answers = first.labels.cls.copy()
    answers[gone] = 99  # "none"
    found = compared(first, second(first, drop=500))
    assert found.kappa.estimate == pytest.approx(cohen_kappa_score(first.labels.cls, answers), abs=1e-12)


def test_every_error_together_and_per_class(first: Dataset) -> None:
    other = second(first, drop=300, flip=200, jitter=0.02)
    found = compared(first, other)
    count = len(first.labels)
    assert found.n_matched == count - 300
    assert found.f1_50.estimate == pytest.approx(2 * (count - 300) / (2 * count - 300), abs=1e-12)
    # Every edge moves by at most 2%: the worst overlap is 0.96² over 1.04² when all four go out or in.
    assert 0.96**2 < found.mean_iou.estimate < 1
    kept = np.sort(np.random.default_rng(1).permutation(count)[300:])
    expected = f1_score(
        np.append(first.labels.cls[kept], np.delete(first.labels.cls, kept)),
        np.append(other.labels.cls, np.full(300, 99)),
        labels=[0, 1, 2],
        average=None,
    )
    by_name = {entry.name: entry.f1_50.estimate for entry in found.per_class}
    assert [by_name[name] for name in first.classes] == pytest.approx(expected.tolist(), abs=1e-12)


def test_image_presence_counts_frames_and_has_true_negatives(first: Dataset) -> None:
    other = second(first, drop=300)
    entry = {e.name: e for e in compared(first, other).per_class}["Platelets"]
    number = first.classes.index("Platelets")
    has = [
        np.isin(np.arange(len(first.images)), d.labels.image[d.labels.cls == number]).astype(int)
        for d in (first, other)
    ]
    assert entry.presence_kappa.estimate == pytest.approx(cohen_kappa_score(*has), abs=1e-12)
    assert sum(entry.n_present) == len(first.images) and entry.n_present[3] > 0


def test_the_worst_frames_come_first_and_only_those_that_differ(first: Dataset) -> None:
    found = compared(first, second(first, drop=100, flip=50))
    counts = [d.count for d in found.disagreements]
    assert counts == sorted(counts, reverse=True) and counts[-1] > 0
    assert sum(counts) == 150
    assert compared(first, replace(first, name="second")).disagreements == ()


def small(name: str, boxes: int, cls: int = 0, classes: tuple[str, ...] = ("person",), n: int = 12) -> Dataset:
    """n frames, the first `boxes` of which hold one box of the class."""
    images = tuple(Image(f"{i}.jpg", Path(f"/{i}.jpg"), 99, 99, label=Path(f"/{i}.txt")) for i in range(n))
    labels = Labels.build(list(range(boxes)), [cls] * boxes, [[0, 0, 9, 9]] * boxes)
    return Dataset(name, Path("/"), Path(f"/{name}"), "yolo", classes, images, labels)


def test_with_one_class_kappa_cannot_speak_and_says_so() -> None:
    found = compared(small("a", 12), small("b", 11))
    assert found.kappa.estimate <= 0
    assert any("One class only" in note for note in found.notes)
    assert found.presence_ac1.estimate > 0.9
    same = compared(small("a", 12), small("b", 12))
    assert to_dict([same])["kappa"] is None
    assert judge([same], 0.5, on="f1_50").word == "PASS"


def test_with_one_class_the_gate_goes_by_f1_and_presence_and_says_so() -> None:
    # Kappa of 0 at F1 .97 was a FAIL that blamed the annotators.
    pair = compared(small("a", 60, n=60), small("b", 57, n=60))
    verdict = judge([pair], 0.75)
    assert pair.kappa.estimate <= 0 and pair.f1_50.estimate > 0.95
    assert (verdict.word, verdict.on) == ("PASS", "f1_50")
    assert "kappa of matched boxes measures nothing" in verdict.sentence and "presence ac1" in verdict.sentence
    poor = compared(small("a", 60, n=60), small("b", 20, n=60))
    assert judge([poor], 0.75).word == "FAIL"
    assert judge([pair], 0.75, on="presence_kappa").on == "presence_kappa", "what is named is what decides"


def with_one_box_of_another_class(data: Dataset) -> Dataset:
    """The same, with the two classes of which the last box has the second."""
    cls = data.labels.cls.copy()
    cls[-1] = 1
    return replace(data, classes=("a", "b"), labels=replace(data.labels, cls=cls))


def test_one_box_of_another_class_makes_kappa_no_measure_of_the_rest() -> None:
    a, b = with_one_box_of_another_class(small("a", 60, n=60)), with_one_box_of_another_class(small("b", 60, n=60))
    missed = replace(b, labels=b.labels.take(np.arange(3, 60)))
    pair = compared(a, missed)
    assert pair.kappa.estimate < 0.5 and pair.f1_50.estimate > 0.95
    verdict = judge([pair], 0.75)
    assert (verdict.word, verdict.on) == ("PASS", "f1_50")


def test_of_three_annotators_a_pair_with_one_class_is_not_judged_by_its_kappa() -> None:
    # C knows a second class, A and B do not: kappa of A with B measures nothing, and that with C is 0 whatever C does.
    a, b = small("a", 60, n=60), small("b", 57, n=60)
    two = (a.labels.cls.copy() + 1) * (np.arange(60) % 2)
    c = replace(small("c", 60, n=60), classes=("a", "b"), labels=replace(a.labels, cls=two))
    a, b = (replace(one, classes=("a", "b")) for one in (a, b))
    verdict = judge([compared(a, b)], 0.75)
    assert verdict.word == "PASS"
    mixed = judge([compared(a, b), compared(a, c)], 0.75)
    assert mixed.word == "MARGINAL" and "a with b measures nothing" in mixed.sentence
    assert "0.0000, without an interval" in mixed.sentence and "data that never vary" in mixed.sentence
    assert mixed.pair == ("a", "c"), "the pair that confuses classes, not the one whose kappa measures nothing"


def test_label_sets_without_any_box_compare_to_nothing() -> None:
    found = compared(small("a", 0), small("b", 0))
    record = json.loads(json.dumps(to_dict([found]), allow_nan=False))
    assert record["kappa"] is None and record["f1_50"] is None and record["n_matched"] == 0


def test_under_five_groups_the_gate_is_marginal_whatever_the_estimate(first: Dataset) -> None:
    grouped = first.with_images([replace(image, group="one video") for image in first.images])
    verdict = judge([compared(grouped, second(first))], 0.85)
    assert verdict.word == "MARGINAL" and "at least 5 are needed" in verdict.sentence


@pytest.mark.parametrize(("errors", "word"), [({}, "PASS"), ({"flip": 2000}, "FAIL"), ({"flip": 226}, "MARGINAL")])
def test_the_gate_goes_by_the_interval(first: Dataset, errors: dict[str, int], word: str) -> None:
    assert judge([compared(first, second(first, **errors))], 0.85).word == word


def test_json_holds_the_names_that_programs_rely_on(first: Dataset) -> None:
    record = json.loads(json.dumps(to_dict([compared(first, second(first, drop=9))]), allow_nan=False))
    assert {"kappa", "kappa_interval", "f1_50", "mean_iou", "n_images", "n_matched"} <= record.keys()
    assert len(record["kappa_interval"]) == 2 and record["n_images"] == 364


def test_of_three_annotators_the_gate_judges_the_pair_that_agrees_least(first: Dataset) -> None:
    sloppy = replace(second(first, drop=900, seed=4), name="sloppy")
    compared_pairs = agreements([first, second(first, drop=50), sloppy], rng=np.random.default_rng(0))
    pairs = [one.found for one in compared_pairs]
    assert [(pair.a, pair.b) for pair in pairs] == [("first", "second"), ("first", "sloppy"), ("second", "sloppy")]
    assert "sloppy" in (weakest(pairs).a, weakest(pairs).b)
    assert next(iter(by_annotator(pairs))) == "sloppy"
    assert len(to_dict(pairs)["pairs"]) == 3


def test_two_sets_of_one_name_or_a_single_one_are_refused(first: Dataset) -> None:
    for sets in ([first], [first, first]):
        with pytest.raises(UsageError, match="two or more label sets"):
            agreements(sets, rng=np.random.default_rng(0))
