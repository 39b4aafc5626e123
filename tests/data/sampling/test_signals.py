"""Which frames are wanted, and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liftgate.data.sampling.records import CandidateFrame, FrameEntry
from liftgate.data.sampling.signals import disagreement_share, reason_scores

BOX = [10.0, 10.0, 30.0, 30.0]


def record(*found: tuple[list[float], str, float], **more: object) -> FrameEntry:
    boxes = np.array([box for box, _, _ in found]).reshape(-1, 4)
    names, scores = tuple(name for _, name, _ in found), tuple(score for _, _, score in found)
    return FrameEntry(boxes=boxes, classes=names, scores=scores, has_boxes=True, **more)  # type: ignore[arg-type]


def moved(by: float) -> list[float]:
    return [10 + by, 10.0, 30 + by, 30.0]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (record((BOX, "cat", 0.9)), record((BOX, "cat", 0.4)), 0.0),
        (record((BOX, "cat", 0.9)), record((BOX, "dog", 0.9)), 1.0),  # one object, two names: both boxes disagree
        (record((BOX, "cat", 0.9)), record(), 1.0),
        (record((BOX, "cat", 0.9)), record((moved(6), "cat", 0.9)), 0.0),  # IoU 14/26 = .54
        (record((BOX, "cat", 0.9)), record((moved(7), "cat", 0.9)), 1.0),  # IoU 13/27 = .48
        (record((BOX, "cat", 0.1)), record(), 0.0),  # below the threshold it is not there
        (record((BOX, "cat", 0.9), (moved(50), "cat", 0.9)), record((BOX, "cat", 0.9)), 1 / 3),
        (record(), record(), 0.0),
    ],
)
def test_disagreement_is_the_part_of_boxes_without_a_partner(a: FrameEntry, b: FrameEntry, expected: float) -> None:
    assert disagreement_share(a, b, 0.25) == pytest.approx(expected)
    assert disagreement_share(b, a, 0.25) == pytest.approx(expected)


boxes = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30), st.integers(1, 30)).map(
    lambda side: [float(side[0]), float(side[1]), float(side[0] + side[2]), float(side[1] + side[3])]
)
records = st.lists(st.tuples(boxes, st.sampled_from("ab"), st.floats(0, 1)), max_size=6).map(lambda f: record(*f))


@given(a=records, b=records)
def test_disagreement_is_a_part_of_one_and_none_with_itself(a: FrameEntry, b: FrameEntry) -> None:
    assert 0 <= disagreement_share(a, b, 0.25) <= 1
    assert disagreement_share(a, a, 0.25) == 0


def frames(n: int, step: float = 30.0) -> list[CandidateFrame]:
    return [CandidateFrame(f"{k}.jpg", Path(f"{k}.jpg"), sequence="cam1", at=k * step) for k in range(n)]


def holds(scores: np.ndarray) -> list[int]:
    return np.flatnonzero(~np.isnan(scores)).tolist()


def test_a_find_in_one_frame_of_three_is_a_hard_negative_and_a_gap_a_hard_positive() -> None:
    seen, nothing = record((BOX, "person", 0.8)), record()
    champion = dict(enumerate([nothing, seen, nothing, nothing, seen, seen, nothing, seen, seen]))
    found = reason_scores(frames(9), champion, {}, conf=0.25, low=0.5)
    assert holds(found["hard_negative"]) == [1]
    assert holds(found["hard_positive"]) == [6]
    assert found["hard_negative"][1] == pytest.approx(0.8)


def test_across_a_pause_and_without_times_neighbours_tell_nothing() -> None:
    seen, nothing = record((BOX, "person", 0.8)), record()
    late = [
        *frames(6),
        CandidateFrame("late", Path("late"), sequence="cam1", at=9000.0),
        CandidateFrame("x", Path("x")),
    ]
    champion = dict(enumerate([seen, seen, seen, seen, seen, nothing, seen, nothing]))
    found = reason_scores(late, champion, {}, conf=0.25, low=0.5)
    assert holds(found["hard_positive"]) == []


def test_a_persons_word_stands_above_the_neighbours() -> None:
    seen = record((BOX, "person", 0.8))
    champion = {
        0: record(), 1: record((BOX, "person", 0.8), truth="positive"), 2: record(truth="negative"),
        3: record((BOX, "person", 0.7), truth="negative"), 4: seen, 5: record(truth="positive"),
    }  # fmt: skip
    found = reason_scores(frames(6), champion, {}, conf=0.25, low=0.5)
    assert holds(found["hard_negative"]) == [3]
    assert holds(found["hard_positive"]) == [5]


def test_flags_and_low_confidence_come_from_the_champion_and_doubt_ranks_them() -> None:
    champion = {
        0: FrameEntry(quality="red", score=0.2),
        1: FrameEntry(quality="red", score=0.9),
        2: FrameEntry(quality="yellow"),
        3: record((BOX, "person", 0.9), (moved(40), "person", 0.3), (moved(80), "person", 0.1)),
    }
    found = reason_scores(frames(5), champion, {}, conf=0.25, low=0.5)
    assert found["red"][:2] == pytest.approx([0.8, 0.1])
    assert holds(found["yellow"]) == [2]
    assert holds(found["low_confidence"]) == [0, 3]
    assert found["low_confidence"][3] == pytest.approx(0.7)
    assert "disagreement" not in found


def test_without_logs_there_are_no_reasons() -> None:
    assert reason_scores(frames(3), {}, {}, conf=0.25, low=0.5) == {}
