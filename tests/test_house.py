"""How the code is built keeps to its bounds: no circles, no imports that run up, few parameters, nothing private."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def load_benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house", ROOT / "benchmarks/house.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def house() -> Any:
    return load_benchmark().House(ROOT / "src")


def test_no_modules_import_each_other_not_even_for_the_type_checker(house: Any) -> None:
    assert house.circles == []


def test_no_import_runs_up_or_sideways(house: Any) -> None:
    assert house.arrows_up == []


def test_the_longest_chain_of_imports_is_short(house: Any) -> None:
    assert len(house.longest_chain) <= 12, house.longest_chain


def test_no_function_has_many_parameters(house: Any) -> None:
    assert house.many_parameters == []


def test_records_have_types(house: Any) -> None:
    assert house.untyped_lines < 120
    assert len(house.string_reads) < 20, house.string_reads


def test_tests_reach_for_no_private_names(house: Any) -> None:
    assert house.private_names_in_tests == []


def test_a_run_is_followed_from_study_to_verdict_with_few_climbs(house: Any) -> None:
    climbs = load_benchmark().calls_against_imports(house)
    assert len(climbs) <= 10, climbs
