"""Do the intervals hold where groups are uneven? A tiny part of benchmarks/coverage.py, which has the whole matrix."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

RUNS = 40


def loaded(name: str) -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_of_{name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    module = loaded("coverage")
    module.POPULATION = 16_000
    return module


def tallies_of(coverage: ModuleType, cell: object, runs: int) -> list[Any]:
    return [coverage.Tally(*values) for values in coverage.simulate(cell, runs)["tallies"]]


@pytest.mark.parametrize("number", range(9))
def test_intervals_hold_where_data_are_uneven_rare_or_at_the_ends(coverage: ModuleType, number: int) -> None:
    """A thinned matrix: what is promised, within three standard errors of 40 runs."""
    cell = coverage.cells("tiny")[number]
    for tally in tallies_of(coverage, cell, RUNS):
        assert not coverage.broken(tally, RUNS, errors=3), f"{cell}: {tally}"


def test_some_interval_is_given_in_every_cell_of_the_thinned_matrix(coverage: ModuleType) -> None:
    for cell in coverage.cells("tiny"):
        assert max(tally.established for tally in tallies_of(coverage, cell, 1)) > 0.5, cell


def test_the_truth_of_a_mean_over_classes_is_that_of_the_classes_in_the_sample(coverage: ModuleType) -> None:
    of_classes = coverage.np.array([[0.2, 0.4, 0.9], [0.3, 0.5, 1.0]])
    held = coverage.np.array([True, True, False])
    assert coverage.on_classes(of_classes, held) == pytest.approx((0.3, 0.4))
    assert coverage.on_classes(of_classes[:, :1], held) == (0.2, 0.3), "what is no mean over classes"


def test_objects_in_three_of_twenty_groups_establish_nothing(coverage: ModuleType) -> None:
    tallies = tallies_of(coverage, coverage.Cell(objects_in=0.15), 8)
    given = {tally.metric: tally.established + tally.difference_established for tally in tallies}
    for metric in ("recall", "mAP50", "mAP50-95", "best_confidence_median", "AUC"):
        assert given[metric] == 0, metric
    assert given["false_positives_per_image"] > 0, "images without objects tell of false positives"


@pytest.mark.parametrize("number", range(2))
def test_two_models_alike_have_no_class_and_no_slice_that_differs(number: int) -> None:
    """A part of benchmarks/family_wise.py: at most 5% of the families, within three standard errors of 40 runs."""
    family_wise = loaded("family_wise")
    cell = family_wise.cells("few")[number]
    for metric, families in family_wise.simulate(cell, RUNS).items():
        for name, family in families.items():
            assert family.found / RUNS <= 0.05 + 3 * (0.05 * 0.95 / RUNS) ** 0.5, f"{cell}, {metric}, {name}: {family}"
