"""From answers to numbers: what each judged unit and each searched image contributes, with doubts both ways."""

from __future__ import annotations

import numpy as np

from liftgate.judging.answers import UNSURE, Answers, missed_range
from liftgate.judging.design import Design, Outcomes
from liftgate.judging.draw import MISSED, Draw, Question
from liftgate.judging.pairing import KINDS


def design_of(draw: Draw) -> Design:
    """Return the design of a draw as arrays."""
    units = draw.units.units()
    empty = np.ones(len(draw.images), dtype=np.bool_)
    empty[units.image] = False
    return Design(
        units, np.array(draw.units.score, dtype=np.float64), np.array(draw.units.probability, dtype=np.float64),
        np.array(draw.image_probability, dtype=np.float64), empty, tuple(one.group for one in draw.images),
    )  # fmt: skip


def outcomes_of(draw: Draw, answers: Answers) -> Outcomes:
    """Return what the answers say about the drawn units and images."""
    of_units = [one for one in draw.questions if one.kind != MISSED]
    of_images = [one for one in draw.questions if one.kind == MISSED]
    words = answers.by_question
    ranges = [missed_range(words[one.id]) for one in of_images]
    return Outcomes(
        unit=np.array([one.unit for one in of_units], dtype=np.int64),
        against=np.array([_values(one, words[one.id], 0.0) for one in of_units]).reshape(-1, 3),
        in_favour=np.array([_values(one, words[one.id], 1.0) for one in of_units]).reshape(-1, 3),
        image=np.array([one.image for one in of_images], dtype=np.int64),
        fewest=np.array([one.fewest for one in ranges], dtype=np.float64),
        most=np.array([one.most for one in ranges], dtype=np.float64),
    )


def _values(question: Question, word: str, favour: float) -> tuple[float, float, float]:
    """Return control right, treatment right, objects found; a doubt favours the treatment (1) or the control (0)."""
    right = {"control": 0.0, "treatment": 0.0}
    for place, mark in enumerate(question.marks):
        if word == UNSURE:
            right[mark.model] = favour if mark.model == "treatment" else 1 - favour
        else:
            right[mark.model] = float(word in ("yes", "both", ("first", "second")[place]))
    two = question.kind == KINDS[3]  # of two classes, so both can be right only about two objects
    objects = sum(right.values()) if two else max(right.values())
    return right["control"], right["treatment"], objects
