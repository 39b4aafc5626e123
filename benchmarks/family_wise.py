"""How often does a comparison of two equal models name any class, or any slice, as different?

    python -P benchmarks/family_wise.py [--runs 200] [--cells all|few] > benchmarks/family_wise.txt

Both models are drawn from the same process (benchmarks/simulated.py), so no class and no slice differs but by chance.
Of every kind of data and every metric the table says in which share of the runs Holm's adjusted p-value of at least one
class, or of at least one slice, is below 0.05 (promised: at most 5%), with the Monte Carlo standard error, and how many
classes or slices have a p-value at all. Slices are of single images (8 of them, spread over all groups) and of whole
groups (4). The functions are those of `liftgate compare`.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from liftgate.evaluation.breakdown import compare_classes, compare_slices
from liftgate.evaluation.matched_predictions import MatchedPredictions
from liftgate.evaluation.resampling import units

if "coverage_matrix" not in sys.modules:  # under another name: numba looks for a module called coverage
    _spec = importlib.util.spec_from_file_location("coverage_matrix", Path(__file__).with_name("coverage.py"))
    assert _spec and _spec.loader
    sys.modules["coverage_matrix"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["coverage_matrix"])
from coverage_matrix import matched, percentage
from simulated import Cell, Sample, sample

METRICS = ("mAP50", "mAP50-95", "recall", "precision", "false_positives_per_image", "accuracy")
LEVEL = 0.05


def cells(which: str) -> list[Cell]:
    if which == "few":
        return [Cell(8, 30, "zipf", 20, 0.1, lift=0.0), Cell(20, 12, "even", 3, 0.03, "near 1", lift=0.0)]
    shapes = [(8, 30, "even"), (8, 30, "zipf"), (20, 12, "even"), (20, 12, "half"), (100, 3, "zipf")]
    kinds = [(3, 0.03), (20, 0.1)]
    return [
        Cell(*shape, classes, rare, quality, lift=0.0)
        for shape, (classes, rare), quality in itertools.product(shapes, kinds, ("middle", "near 1", "near 0"))
    ]


class Family(NamedTuple):
    """What came of one metric in one family of tests: runs that found something, and tests that there were."""

    found: int
    runs: int
    tests: int

    def __str__(self) -> str:
        return f"{percentage(self.found / self.runs, self.runs):>12}{self.tests / self.runs:>7.1f}"


def simulate(cell: Cell, runs: int) -> dict[str, dict[str, Family]]:
    """Return metric → family → how often something was found that is not there."""
    rows: dict[str, dict[str, Family]] = {}
    for seed in range(runs):
        data = sample(cell, np.random.default_rng([zlib.crc32(str(cell).encode()), seed]))
        arms = tuple(arm.boxes for arm in matched(data))
        for metric, family in itertools.product(METRICS, ("classes", "images", "groups")):
            p_values = [p for p in adjusted_p_values(data, arms, metric, family) if p is not None]
            found, of, tests = rows.setdefault(metric, {}).setdefault(family, Family(0, 0, 0))
            wrong = any(p < LEVEL for p in p_values)
            rows[metric][family] = Family(found + wrong, of + 1, tests + len(p_values))
    return rows


def adjusted_p_values(
    data: Sample, arms: tuple[MatchedPredictions, ...], metric: str, family: str
) -> list[float | None]:
    first, second = arms
    if family == "classes":
        rows: Mapping[str, Mapping[str, Any]] = compare_classes(first, second, metric, 0.25, units(data.truth.groups))
    else:
        rows = compare_slices(data.truth, first, second, metric, slices(data, family), 0.95)
    return [row["p_holm"] for row in rows.values()]


def slices(data: Sample, family: str) -> dict[str, str]:
    """Return image → slice: one of eight by the image's number, or one of four by its group."""
    number = {name: k for k, name in enumerate(sorted(set(data.truth.groups)))}
    return {
        image.id: f"s{i % 8 if family == 'images' else number[group] % 4}"
        for i, (image, group) in enumerate(zip(data.truth.images, data.truth.groups, strict=True))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--cells", choices=("all", "few"), default="all")
    parser.add_argument("--first", type=int, default=0, help="leave out so many cells, to go on after an interruption")
    args = parser.parse_args()
    begun = time.process_time()
    print(f"{'':<30}" + "".join(f"{head:>12}{'tests':>7}" for head in ("8 of images", "4 of groups", "classes")))
    for cell in cells(args.cells)[args.first :]:
        print(f"{cell}   [{args.runs} runs]")
        for metric, families in simulate(cell, args.runs).items():
            row = "".join(str(families[family]) for family in ("images", "groups", "classes"))
            print(f"    {metric:<26}{row}", flush=True)
    print(f"\n{(time.process_time() - begun) / 60:.1f} CPU minutes")


if __name__ == "__main__":
    main()
