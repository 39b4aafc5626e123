"""Do the intervals hold where groups are uneven? A tiny part of benchmarks/coverage.py, which has the whole matrix."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

RUNS = 25


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_coverage", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    module.POPULATION = 16_000
    return module


def tallies_of(coverage: ModuleType, cell: object, runs: int) -> list[Any]:
    return [coverage.Tally(*values) for values in coverage.simulate(cell, runs)["tallies"]]


def test_one_of_eight_groups_with_half_of_the_images_is_covered(coverage: ModuleType) -> None:
    for tally in tallies_of(coverage, coverage.cells("tiny")[0], RUNS):
        assert tally.established > 0.5 and tally.covers >= 0.84, tally
        assert math.isnan(tally.difference_covers) or tally.difference_covers >= 0.84, tally
        assert tally.false_pass <= 0.12 and tally.false_equal <= 0.12, tally
        assert not coverage.broken(tally, RUNS)


def test_objects_in_three_of_twenty_groups_establish_nothing(coverage: ModuleType) -> None:
    tallies = tallies_of(coverage, coverage.cells("tiny")[1], 8)
    given = {tally.metric: tally.established + tally.difference_established for tally in tallies}
    for metric in ("recall", "mAP50", "mAP50-95", "best_confidence_median", "AUC"):
        assert given[metric] == 0, metric
    assert given["false_positives_per_image"] > 0, "images without objects tell of false positives"
