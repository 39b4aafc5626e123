"""The assignment against every possible one; what is compared and what is left out."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liftgate.boxes import iou
from liftgate.data.agreement import NONE, match_boxes, match_objects, shared_frames
from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.errors import DataError

corner = st.integers(0, 6)
box = st.tuples(corner, corner, st.integers(2, 6), st.integers(2, 6)).map(
    lambda v: [float(v[0]), float(v[1]), float(v[0] + v[2]), float(v[1] + v[3])]
)
some_boxes = st.lists(box, max_size=5).map(lambda rows: np.array(rows, dtype=np.float64).reshape(-1, 4))


def label_set(
    name: str,
    boxes: list[list[tuple[str, float, float, float, float]]],
    *,
    classes: tuple[str, ...] = ("cat", "dog"),
    folder: str = "images",
    size: tuple[int, int] = (100, 100),
    **columns: object,
) -> Dataset:
    """One list of (class, xyxy) for each image."""
    images = tuple(
        Image(f"{folder}/{i}.jpg", Path(f"/{name}/{i}.jpg"), *size, label=Path(f"/{name}/{i}.txt"))
        for i in range(len(boxes))
    )
    flat = [(i, *row) for i, rows in enumerate(boxes) for row in rows]
    labels = Labels.build([r[0] for r in flat], [classes.index(r[1]) for r in flat], [r[2:] for r in flat], **columns)
    return Dataset(name, Path(f"/{name}"), Path(f"/{name}/data.yaml"), "yolo", classes, images, labels)


def best_by_trying_all(a: np.ndarray, b: np.ndarray) -> tuple[int, float]:  # type: ignore[type-arg]
    """Number of pairs and sum of IoU of the best assignment: the slow, obvious twin."""
    if len(a) > len(b):
        return best_by_trying_all(b, a)
    overlap = iou(a, b)
    scores = [(0, 0.0)]
    for order in permutations(range(len(b)), len(a)):
        values = [overlap[i, j] for i, j in enumerate(order) if overlap[i, j] >= 0.5 - 1e-9]
        scores.append((len(values), sum(values)))
    most = max(count for count, _ in scores)
    return most, max(total for count, total in scores if count == most)


@settings(max_examples=200, deadline=None)
@given(some_boxes, some_boxes)
def test_the_assignment_is_the_best_of_all(a: np.ndarray, b: np.ndarray) -> None:  # type: ignore[type-arg]
    rows, columns, overlap = match_boxes(a, b)
    assert len(set(rows.tolist())) == len(rows) and len(set(columns.tolist())) == len(columns)
    count, total = best_by_trying_all(a, b)
    assert len(rows) == count
    assert float(overlap.sum()) == pytest.approx(total, abs=1e-5)


@given(some_boxes, some_boxes)
def test_it_does_not_matter_who_comes_first(a: np.ndarray, b: np.ndarray) -> None:  # type: ignore[type-arg]
    one, other = match_boxes(a, b)[2], match_boxes(b, a)[2]
    assert len(one) == len(other) and float(one.sum()) == pytest.approx(float(other.sum()), abs=1e-5)


def test_more_pairs_win_over_a_greater_overlap() -> None:
    a = np.array([[0.0, 0.0, 10.0, 10.0], [3.0, 0.0, 13.0, 10.0]])
    b = np.array([[0.0, 0.0, 10.0, 10.0], [-3.0, 0.0, 7.0, 10.0]])
    # a0 = b0 has IoU 1, but leaves a1 and b1 without a partner; a1–b0 and a0–b1 are two pairs.
    assert match_boxes(a, b)[0].tolist() == [0, 1]


def test_equal_places_go_by_class() -> None:
    same = np.array([[0.0, 0.0, 10.0, 10.0]] * 2)
    rows, columns, _ = match_boxes(same, same, np.array([0, 1]), np.array([1, 0]))
    assert columns[rows.argsort()].tolist() == [1, 0]


def test_a_clearly_better_place_wins_over_the_class() -> None:
    a = np.array([[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0]])
    _, columns, _ = match_boxes(a, a.copy(), np.array([0, 1]), np.array([1, 0]))
    assert columns.tolist() == [0, 1]


def test_exactly_one_half_is_a_match() -> None:
    a, b = np.array([[0.0, 0.0, 3.0, 1.0]]), np.array([[1.0, 0.0, 4.0, 1.0]])
    assert float(iou(a, b)[0, 0]) == 0.5
    assert len(match_boxes(a, b)[0]) == 1


def test_every_object_that_either_drew_is_one_row() -> None:
    a = label_set("a", [[("cat", 0, 0, 10, 10), ("dog", 50, 50, 60, 60)], [("cat", 0, 0, 5, 5)]])
    b = label_set("b", [[("dog", 0, 0, 10, 9)], [("cat", 0, 0, 5, 5), ("dog", 20, 20, 30, 30)]])
    seen = match_objects(a, b, shared_frames(a, b))
    rows = sorted(zip(seen.frame.tolist(), seen.class_a.tolist(), seen.class_b.tolist(), strict=True))
    assert rows == [(0, 0, 1), (0, 1, NONE), (1, NONE, 1), (1, 0, 0)]
    assert seen.iou[seen.matched].tolist() == [0.9, 1.0]


def test_classes_go_by_name_and_not_by_number() -> None:
    a = label_set("a", [[("cat", 0, 0, 10, 10)]], classes=("cat", "dog"))
    b = label_set("b", [[("cat", 0, 0, 10, 10)]], classes=("dog", "cat", "cow"))
    frames = shared_frames(a, b)
    assert frames.classes == ("cat", "dog", "cow")
    assert match_objects(a, b, frames).agreed.all()


def test_crowd_regions_take_what_lies_in_them_out_of_the_comparison() -> None:
    inside = [("cat", 0, 0, 100, 100), ("cat", 200, 0, 210, 10)]
    a = label_set("a", [inside], crowd=[True, False])
    b = label_set("b", [[("cat", 10, 10, 20, 20), ("cat", 40, 40, 50, 50), ("cat", 200, 0, 210, 10)]])
    seen = match_objects(a, b, shared_frames(a, b))
    assert len(seen) == 1 and seen.agreed.all() and seen.n_left_out == 3


def test_a_pair_of_which_one_is_to_be_ignored_is_not_compared() -> None:
    a = label_set("a", [[("cat", 0, 0, 10, 10)]], ignore=[True])
    b = label_set("b", [[("dog", 0, 0, 10, 10)]])
    seen = match_objects(a, b, shared_frames(a, b))
    assert len(seen) == 0 and seen.n_left_out == 2


def test_a_box_without_an_area_is_no_disagreement_with_itself() -> None:
    a = label_set("a", [[("cat", 5, 5, 5, 9)]])
    seen = match_objects(a, a, shared_frames(a, a))
    assert len(seen) == 0 and seen.n_left_out == 2


def test_frames_meet_by_stem_when_formats_name_them_differently() -> None:
    a = label_set("a", [[], []], folder="images/train")
    b = label_set("b", [[], []], folder="JPEGImages")
    frames = shared_frames(a, b)
    assert frames.a.tolist() == frames.b.tolist() == [0, 1]


def test_label_sets_of_other_frames_are_refused_with_an_example_of_both() -> None:
    a = label_set("a", [[]])
    b = Dataset(
        "b",
        Path("/b"),
        Path("/b"),
        "voc",
        ("cat",),
        (Image("other.png", Path("/b/o.png"), 5, 5),),
        Labels.build([], [], []),
    )
    with pytest.raises(DataError, match=r"no frame in common.*images/0\.jpg and other\.png"):
        shared_frames(a, b)


def test_a_frame_of_two_sizes_is_refused() -> None:
    a, b = label_set("a", [[]]), label_set("b", [[]], size=(50, 50))
    with pytest.raises(DataError, match="two sizes") as caught:
        shared_frames(a, b)
    assert "100×100" in str(caught.value) and "50×50" in str(caught.value)


def test_a_frame_that_one_has_not_labelled_is_not_an_empty_frame() -> None:
    from dataclasses import replace

    a = label_set("a", [[("cat", 0, 0, 10, 10)], [("cat", 0, 0, 10, 10)]])
    b = label_set("b", [[("cat", 0, 0, 10, 10)], []])
    b = b.with_images([b.images[0], replace(b.images[1], label=None)])
    left_out = shared_frames(a, b)
    assert left_out.a.tolist() == [0] and left_out.unlabelled_b == ("images/1.jpg",)
    assert len(shared_frames(a, b, missing_is_empty=True)) == 2


def test_names_that_differ_in_case_accents_or_spaces_only_are_named() -> None:
    a = label_set("a", [[]], classes=("Café", "traffic light"))
    b = label_set("b", [[]], classes=("cafe", "Traffic-Light", "bus"))
    assert shared_frames(a, b).look_alikes == (("Café", "cafe"), ("traffic light", "Traffic-Light"))
