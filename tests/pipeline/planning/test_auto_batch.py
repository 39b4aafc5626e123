"""`batch: auto` is settled once, by the model that needs the most room, and is then the same for every arm and run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liftgate import api
from liftgate.errors import UsageError
from liftgate.ledger import Ledger

Write = Callable[..., Path]


def arms(**batches: Any) -> dict[str, Any]:
    """Arms by the image size in their name's number, each with the batch that is given."""
    return {
        name: [
            {"weights": "start.yaml", "data": "scenes", "recipe": {"epochs": 2, "imgsz": int(name[1:]), "batch": of}}
        ]
        for name, of in batches.items()
    }


def trained_with(path: Path) -> dict[str, int]:
    jobs = [json.loads(job.read_text())["job"] for job in sorted((path.parent / "runs/colours").glob("2*/train.json"))]
    return {f"i{job['recipe']['imgsz']}": job["recipe"]["batch"] for job in jobs}


def notes(path: Path) -> list[Any]:
    entries = Ledger(path.parent / "runs/colours/ledger.sqlite").entries("note")
    return [entry.body["batch"] for entry in entries if "batch" in entry.body]


def test_the_smallest_choice_goes_for_all_arms_and_a_number_stays(write_study: Write) -> None:
    path = write_study(arms=arms(i64="auto", i128=-1, i32=3), gates={}, flow=["train"])
    api.run(path)
    assert trained_with(path) == {"i64": 2, "i128": 2, "i32": 3}
    assert notes(path) == [2]
    assert not list((path.parent / "runs/colours").glob("scratch-*")), "what it was tried in is gone"


def test_it_is_settled_once_and_holds_for_arms_that_come_later(write_study: Write) -> None:
    path = write_study(arms=arms(i128="auto"), gates={}, flow=["train"])
    api.run(path)
    path = write_study(arms=arms(i128="auto", i64="auto"), gates={}, flow=["train"])
    assert [line.state for line in api.plan(path)] == ["cached", "run"]
    api.run(path)
    assert trained_with(path) == {"i128": 2, "i64": 2}
    assert notes(path) == [2, 2], "the later model was tried as well, and has room for it"


def test_a_later_arm_without_room_for_it_is_refused_before_it_trains(write_study: Write) -> None:
    path = write_study(arms=arms(i64="auto"), gates={}, flow=["train"])
    api.run(path)
    path = write_study(arms=arms(i64="auto", i128="auto"), gates={}, flow=["train"])
    with pytest.raises(UsageError, match=r"no room for it .*i128.*expected 4, got 2"):
        api.run(path)
    assert trained_with(path) == {"i64": 4}


def test_nothing_is_tried_where_nothing_will_be_trained(write_study: Write) -> None:
    path = write_study(arms=arms(i64="auto"), gates={}, flow=["check", "report"])
    api.run(path)
    assert notes(path) == []


def test_measuring_settles_it_too(write_study: Write) -> None:
    path = write_study(arms=arms(i64="auto"), gates={}, flow=["train"])
    assert api.plan(path, measure=True)[0].expected is not None
    assert notes(path) == [4]


@pytest.mark.parametrize("batch", ["auto", -1, 0.7, 16, None])
def test_check_takes_every_spelling(write_study: Write, batch: Any) -> None:
    path = write_study(arms=arms(i64=batch), gates={}, flow=["check"])
    assert not [one for one in api.check(path).findings if one.id == "recipe.value"]
