"""A full disk, a power cut, kills and a careless user, thinned out; the whole programs are in benchmarks/."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the material, and the trial that works on copies of it."""
    return load("faulty_disk").prepared(tmp_path_factory.mktemp("trial"), "")


@pytest.mark.parametrize(
    ("command", "mode", "every"), [("convert", "full", 6), ("stats", "power", 3), ("fix", "power", 8)]
)
def test_a_fault_at_a_place_of_writing_leaves_nothing_half(tried: Any, command: str, mode: str, every: int) -> None:
    faulty = load("faulty_disk")
    source, trial = tried
    sound = faulty.recorded(trial, source, command)
    places = sorted(sound.places)
    assert len(places) >= 5, "the list of places comes from what the code does"
    for place in places[::every]:
        assert faulty.try_place(trial, source, command, mode, place, 1, sound) == [], place


@pytest.mark.parametrize(
    ("name", "points"), [("sample", (1, 5, 6, 7, 0)), ("add a file", (1, -4, 0)), ("rollback", (1, -5, -2, 0))]
)
def test_a_command_that_was_killed_ends_as_if_it_had_not_been(tried: Any, name: str, points: tuple[int, ...]) -> None:
    """Killed before operation 1, 5 …, and before the last, 0, and those that come so much earlier."""
    kills = load("kill_points")
    source, trial = tried
    command = kills.COMMANDS[name]
    usual = kills.undisturbed(trial, source, command)
    assert usual.operations > 14, "the list of operations comes from what the code does"
    for number in [point if point > 0 else usual.operations + point for point in points]:
        assert kills.try_kill(trial, source, command, "", number, usual) == [], number


def test_a_careless_user_sees_no_traceback(tmp_path: Path) -> None:
    careless = load("careless_user")
    careless.material(tmp_path)
    user = careless.Careless(tmp_path, seed=5)
    for _ in range(6):
        user.step()
    user.verify()
    assert user.wrong == []
