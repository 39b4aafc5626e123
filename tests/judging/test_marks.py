"""Random predictions to mark: the draw, the page in a browser, and what marks say of all predictions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from judging.two_models import Models, two_models
from liftgate.data.core.csv_tables import table_bytes
from liftgate.data.core.dataset import Dataset
from liftgate.errors import DataError, UsageError
from liftgate.judging.marks import MarkDraw, draw_marks, marked_rate, read_draw_of_marks, write_marks
from liftgate.testing.data import picture

MODELS: Models = two_models(12, groups=8, per_group=6)


def drawn(most: int = 30, seed: int = 0) -> MarkDraw:
    return draw_marks(MODELS.truth, MODELS.control, 0.25, most=most, seed=seed)


def answers(draw: MarkDraw, words: list[str], path: Path) -> Path:
    rows = [(draw.hash, one.id, word, "Ann", "1") for one, word in zip(draw.items, words, strict=True)]
    path.write_bytes(table_bytes(("draw", "question", "answer", "person", "seconds"), rows))
    return path


def test_a_seed_draws_the_same_predictions_and_each_has_the_same_chance() -> None:
    assert drawn() == drawn() and drawn().hash != drawn(seed=1).hash
    assert len(drawn().items) == 30 and drawn().n_predictions == int((MODELS.control.scores >= 0.25).sum())
    assert len({(one.image, one.box) for one in drawn(10_000).items}) == drawn().n_predictions
    keys = {image.id: image.key for image in MODELS.truth.images}
    assert all(one.group == keys[one.image] for one in drawn().items)
    counts = Counter(one.box for seed in range(400) for one in drawn(10, seed).items)
    expected = 400 * 10 / drawn().n_predictions
    assert len(counts) == drawn().n_predictions
    assert max(abs(count - expected) for count in counts.values()) < 5 * np.sqrt(expected)


def test_marks_give_a_rate_with_an_interval_over_groups(tmp_path: Path) -> None:
    draw = drawn(100)
    words = ["no" if number % 5 == 0 else "yes" for number in range(len(draw.items))]
    found = marked_rate(draw, answers(draw, words, tmp_path / "a.csv"))
    right = words.count("yes")
    assert (found.marked, found.right, found.unsure) == (len(words), right, 0)
    assert found.rate.estimate == right / len(words) and found.rate.n_groups == len({one.group for one in draw.items})
    assert found.rate.low is not None and found.rate.high is not None
    assert found.rate.low < found.rate.estimate < found.rate.high
    assert f"{right} of {len(words)} marked predictions are right" in found.text


def test_what_is_unsure_widens_both_bounds(tmp_path: Path) -> None:
    draw = drawn(100)
    sure = ["no" if number % 5 == 0 else "yes" for number in range(len(draw.items))]
    unsure = ["unsure" if number % 7 == 1 else word for number, word in enumerate(sure)]
    low = marked_rate(draw, answers(draw, ["no" if w == "unsure" else w for w in unsure], tmp_path / "low.csv")).rate
    high = marked_rate(draw, answers(draw, ["yes" if w == "unsure" else w for w in unsure], tmp_path / "up.csv")).rate
    found = marked_rate(draw, answers(draw, unsure, tmp_path / "a.csv"))
    assert (found.rate.low, found.rate.high) == (low.low, high.high)
    assert found.rate.estimate == unsure.count("yes") / (len(unsure) - unsure.count("unsure"))
    with pytest.raises(DataError, match="says nothing"):
        marked_rate(draw, answers(draw, ["unsure"] * len(sure), tmp_path / "none.csv"))


def test_few_groups_have_no_interval(tmp_path: Path) -> None:
    draw = draw_marks(MODELS.truth, MODELS.control, 0.25, most=40)
    few = replace(draw, items=tuple(replace(one, group=f"g{int(one.id[1:]) % 3}") for one in draw.items))
    found = marked_rate(few, answers(few, ["yes"] * len(few.items), tmp_path / "a.csv"))
    assert not found.rate.established and "no interval" in found.text


def shown(folder: Path) -> Dataset:
    for number, image in enumerate(MODELS.truth.images):
        picture(folder / image.id, (640, 640), seed=number)
    return replace(MODELS.truth, images=tuple(replace(image, path=folder / image.id) for image in MODELS.truth.images))


def test_marks_of_another_draw_are_refused(tmp_path: Path) -> None:
    draw = drawn()
    write_marks(draw, shown(tmp_path), tmp_path / "marks", "liftgate evaluate --marks answers.csv")
    assert read_draw_of_marks(tmp_path / "marks") == draw
    other = answers(drawn(seed=1), ["yes"] * 30, tmp_path / "a.csv")
    with pytest.raises(DataError, match="answers to another review"):
        marked_rate(draw, other)
    short = answers(replace(draw, items=draw.items[:29]), ["yes"] * 29, tmp_path / "b.csv")
    short.write_text(short.read_text().replace(replace(draw, items=draw.items[:29]).hash, draw.hash))
    with pytest.raises(DataError, match="1 of 30 have no answer"):
        marked_rate(draw, short)
    edited = tmp_path / "marks" / "marks.json"
    edited.write_text(edited.read_text().replace('"seed": 0', '"seed": 2'))
    with pytest.raises(DataError, match="was edited"):
        read_draw_of_marks(tmp_path / "marks")
    with pytest.raises(DataError, match="cannot read"):
        read_draw_of_marks(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no prediction to mark"):
        draw_marks(MODELS.truth, MODELS.control, 1.1)


def test_predictions_are_marked_by_keyboard_offline(browser: Any, tmp_path: Path) -> None:
    draw = drawn(12)
    page_file = write_marks(draw, shown(tmp_path), tmp_path / "marks", "liftgate evaluate --marks answers.csv --out x")
    context = browser.new_context(offline=True, accept_downloads=True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_file.as_uri())
    page.keyboard.press("Enter")
    assert draw.items[0].cls in page.locator("#ask").inner_text()
    for number in range(12):
        page.keyboard.press("u" if number == 3 else "n" if number < 3 else "y")
    assert page.locator("#verb").inner_text() == "liftgate evaluate --marks answers.csv --out x"
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    download.value.save_as(tmp_path / "answers.csv")
    context.close()
    found = marked_rate(draw, tmp_path / "answers.csv")
    assert (found.marked, found.right, found.unsure, complaints) == (12, 8, 1, [])
