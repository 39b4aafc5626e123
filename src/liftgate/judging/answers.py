"""Answers: read from the CSV that the page writes, checked against the draw, and merged over several people."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.csv_tables import read_table, table_bytes
from liftgate.errors import DataError
from liftgate.hashing import short
from liftgate.judging.draw import MISSED, Draw, Question
from liftgate.judging.part import judged_part
from liftgate.stats.agreement import kappa_interval
from liftgate.stats.interval import Interval

COLUMNS = ("draw", "question", "answer", "person", "seconds")
UNSURE = "unsure"
SINGLE, PAIR = ("yes", "no", UNSURE), ("both", "neither", "first", "second", UNSURE)
_NUMBER, _AT_MOST = re.compile(r"\d{1,5}"), re.compile(r"at most (\d{1,5})")


@dataclass(frozen=True, slots=True)
class Answer:
    """One person's answer to one question."""

    question: str
    answer: str
    person: str
    seconds: float | None
    """Time that it took; None: unknown"""


class Range(NamedTuple):
    """Fewest and most objects that an answer about an image allows."""

    fewest: float
    most: float


@dataclass(frozen=True, slots=True)
class Answers:
    """One answer to every question of a draw."""

    by_question: Mapping[str, str]
    people: tuple[str, ...]
    conflicts: tuple[str, ...]
    """Questions that two people answered differently; they count as unsure"""
    kappa: Interval | None
    """Agreement of two people over what both answered; None: one person"""
    n_shared: int
    seconds: float | None
    """Median time of an answer; None: unknown"""

    @property
    def unsure(self) -> int:
        """Number of questions in doubt."""
        return sum(value == UNSURE or value.startswith("at most") for value in self.by_question.values())


def read_answers(path: Path, draw: Draw) -> list[Answer]:
    """Read one answers.csv.

    Raises:
        DataError: of another draw, an unknown question, a question answered twice, or a word that is no answer to it.
    """
    questions = {one.id: one for one in draw.questions}
    expected = draw.hash
    found: dict[tuple[str, str], Answer] = {}
    lines: dict[tuple[str, str], int] = {}
    for line, row in read_table(path, COLUMNS[:3]):
        where, name, word = f"{path}:{line}", row["question"], row["answer"].strip()
        if row["draw"] != expected:
            raise DataError(
                "answers to another draw: other models, other images or another seed", where=where,
                expected=short(expected), got=short(row["draw"]) or "nothing",
                hint="name the draw.json that lies beside the page on which they were given",
            )  # fmt: skip
        if name not in questions:
            raise DataError("no such question in the draw", where=where, got=name)
        person = row.get("person", "").strip() or path.stem
        if (name, person) in found:
            before = lines[name, person]
            raise DataError(f"{name} is answered twice, first in line {before}", where=where, got=person,
                            hint="delete the line that does not hold")  # fmt: skip
        require_answer(questions[name], word, where)
        lines[name, person] = line
        found[name, person] = Answer(name, word, person, _seconds(row.get("seconds", "")))
    return list(found.values())


def merge_answers(draw: Draw, answers: Sequence[Answer], *, conflicts_unsure: bool = False) -> Answers:
    """Return one answer to each question.

    Args:
        draw: the questions.
        answers: of one person or of several.
        conflicts_unsure: count what people answered differently as unsure; otherwise it is refused.

    Returns:
        Answers: of a draw with `until`, only to the questions of the groups that are complete.

    Raises:
        DataError: a question without an answer, one answered twice by a person, or people who disagree.
    """
    table: dict[str, dict[str, str]] = {}
    for one in answers:
        if one.person in table.setdefault(one.question, {}):
            hint = "one file for each person; if these are two people, their files need different names"
            raise DataError(f"{one.question} is answered twice by {one.person}", hint=hint)
        table[one.question][one.person] = one.answer
    if draw.until is not None:
        draw = judged_part(draw, table)
    if open_ := [one.id for one in draw.questions if one.id not in table]:
        raise DataError(
            f"{len(open_)} of {len(draw.questions)} questions have no answer, such as {open_[0]}",
            expected="an answer to each: those that are missing are not missing at random",
            hint="open the page (or the task in CVAT) again, go on where it stopped, and save the answers at its end",
        )  # fmt: skip
    conflicts = [one.id for one in draw.questions if len(set(table[one.id].values())) > 1]
    if conflicts and not conflicts_unsure:
        first = ", ".join(f"{person}: {word}" for person, word in table[conflicts[0]].items())
        raise DataError(
            f"people disagree about {len(conflicts)} of {len(draw.questions)} questions, such as {conflicts[0]}",
            got=first, hint="settle them, or --conflicts unsure counts them as doubt, which widens the interval",
        )  # fmt: skip
    kept = {one.id: _agreed_word(one, set(table[one.id].values())) for one in draw.questions}
    people = tuple(dict.fromkeys(one.person for one in answers))
    times = [one.seconds for one in answers if one.seconds is not None]
    kappa, shared = _agreement(draw, table, people)
    return Answers(kept, people, tuple(conflicts), kappa, shared, float(np.median(times)) if times else None)


def answers_table(draw: Draw, answers: Sequence[Answer]) -> bytes:
    """Return answers as the page writes them."""
    hash_ = draw.hash
    rows = [
        (hash_, one.question, one.answer, one.person, "" if one.seconds is None else one.seconds) for one in answers
    ]
    return table_bytes(COLUMNS, rows)


def missed_range(word: str) -> Range:
    """Return how many objects an answer about an image allows.

    >>> missed_range("2"), missed_range("at most 3"), missed_range("unsure")
    (Range(fewest=2.0, most=2.0), Range(fewest=0.0, most=3.0), Range(fewest=0.0, most=inf))
    """
    if word == UNSURE:
        return Range(0.0, float("inf"))
    if found := _AT_MOST.fullmatch(word):
        return Range(0.0, float(found[1]))
    return Range(float(word), float(word))


def _agreed_word(question: Question, words: set[str]) -> str:
    if len(words) == 1:
        return next(iter(words))
    if question.kind != MISSED:
        return UNSURE
    most = max(missed_range(word).most for word in words)
    return UNSURE if most == float("inf") else f"at most {int(most)}"


def require_answer(question: Question, word: str, where: str) -> None:
    """Refuse a word that does not answer the question.

    Raises:
        DataError: names the words that do.
    """
    if question.kind == MISSED:
        sound, known = (
            word == UNSURE or bool(_NUMBER.fullmatch(word) or _AT_MOST.fullmatch(word)),
            "a number, at most N, unsure",
        )
    else:
        words = PAIR if len(question.marks) == 2 else SINGLE
        sound, known = word in words, ", ".join(words)
    if not sound:
        raise DataError(f"not an answer to {question.id}", where=where, expected=known, got=word or "nothing")


def _seconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < 86400 else None


def _agreement(
    draw: Draw, table: Mapping[str, Mapping[str, str]], people: Sequence[str]
) -> tuple[Interval | None, int]:
    """Return Cohen's kappa over the questions about detections that two people answered; of several pairs the least."""
    found = [
        (kappa_interval(counts, n_images=n_images), int(counts.sum()))
        for pair in itertools.combinations(people, 2)
        for counts, n_images in [_shared_answers(draw, table, pair)]
        if n_images
    ]
    return min(found, key=lambda one: one[0].estimate, default=(None, 0))


def _shared_answers(
    draw: Draw, table: Mapping[str, Mapping[str, str]], pair: tuple[str, str]
) -> tuple[NDArray[np.float64], int]:
    """Return (G, k, k) how often two people gave which answers, by group, and the number of images."""
    shared = [one for one in draw.questions if one.kind != MISSED and all(person in table[one.id] for person in pair)]
    words = tuple(dict.fromkeys((*SINGLE, *PAIR)))
    groups, group = np.unique([draw.images[one.image].group for one in shared], return_inverse=True)
    counts: NDArray[np.float64] = np.zeros((len(groups), len(words), len(words)))
    for index, one in zip(group, shared, strict=True):
        counts[index, words.index(table[one.id][pair[0]]), words.index(table[one.id][pair[1]])] += 1
    return counts, len({one.image for one in shared})
