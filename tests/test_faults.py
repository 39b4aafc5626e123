"""A full disk, a power cut and a careless user, thinned out; the whole programs are in benchmarks/."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("command", "mode", "every"), [("convert", "full", 6), ("stats", "power", 3), ("fix", "power", 8)]
)
def test_a_fault_at_a_place_of_writing_leaves_nothing_half(tmp_path: Path, command: str, mode: str, every: int) -> None:
    faulty = load("faulty_disk")
    source, trial = faulty.prepared(tmp_path, "")
    sound = faulty.recorded(trial, source, command)
    places = sorted(sound.places)
    assert len(places) >= 5, "the list of places comes from what the code does"
    for place in places[::every]:
        assert faulty.try_place(trial, source, command, mode, place, 1, sound) == [], place


def test_a_careless_user_sees_no_traceback(tmp_path: Path) -> None:
    careless = load("careless_user")
    careless.material(tmp_path)
    user = careless.Careless(tmp_path, seed=5)
    for _ in range(6):
        user.step()
    user.verify()
    assert user.wrong == []
