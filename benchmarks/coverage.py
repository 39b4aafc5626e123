"""Do the intervals hold? Simulated data with a known truth, in a matrix of what real data look like.

    python -P benchmarks/coverage.py [--cells all|many|few|hostile|thin|tiny] [--jobs 2] [--runs N] [--results FILE]
    python -P benchmarks/coverage.py --again FILE … --results FILE2
    python -P benchmarks/coverage.py --table FILE … > benchmarks/coverage.txt

A cell is a number of groups, how uneven they are, how many classes (with rare ones), how good the models are, and in
how many groups there are objects at all; the hostile cells have groups of other kinds (benchmarks/simulated.py). The
truth is the same metric on 200,000 images of as many groups of the same process; of mAP on the classes that the sample
holds, over which it is a mean. Of every cell and metric the table
says how often the 95% interval of one model and of the difference of two covers the truth, how often a gate passes
whose threshold or margin is the truth itself (false PASS, at most 2.5% promised), and how often two models are called
equal that differ by just the margin (false equal, at most 5%), each with its Monte Carlo standard error. "–": no
interval was established.

Thousands of shares of 200 runs have many that stand out by chance. So what looks wrong in the first run (by 1.5
standard errors) is run again (`--again`) with seeds of its own and 1,000 runs, and only this second run judges it.

Data are matched once for all metrics of a cell, and draws of groups are shared; the intervals are those of `liftgate
evaluate` and `liftgate compare`, from the same functions. A cell that FILE has is not run again.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import itertools
import json
import math
import sys
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.evaluation.image_level import ImageLevelThreshold, image_level_scores
from liftgate.evaluation.intervals import (
    auc_interval,
    average_interval,
    difference_interval,
    image_level_interval,
    rate_interval,
)
from liftgate.evaluation.matched_predictions import MatchedPredictions, class_replicates, replicates
from liftgate.evaluation.matching import match
from liftgate.evaluation.metric_names import COCO, IMAGE_LEVEL, LESS_IS_BETTER, OKS, RATES
from liftgate.evaluation.metrics import averaged_metrics
from liftgate.evaluation.operating_point import operating_point
from liftgate.evaluation.resampling import Units, units
from liftgate.stats.interval import Interval

if "simulated" not in sys.modules:  # beside this file, found in whatever way this file is loaded
    _spec = importlib.util.spec_from_file_location("simulated", Path(__file__).with_name("simulated.py"))
    assert _spec and _spec.loader
    sys.modules["simulated"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["simulated"])
from simulated import Cell, Process, Sample, sample

AVERAGES = ("mAP50", "mAP50-95")
METRICS = (
    "recall", "precision", "best_confidence_median", "false_positives_per_image", *AVERAGES, "accuracy", "AUC",
)  # fmt: skip
POSE = "OKS-mAP50-95"
"""Measured too where there is one class, as poses have"""
THRESHOLD = ImageLevelThreshold(("c0",), 0.5)
POPULATION = 200_000  # images, each of a group of its own
LEVEL, EQUAL_LEVEL = 0.95, 0.9
RUNS, RUNS_AGAIN = 200, 1000
SUSPECT, OUTSIDE = 1.5, 2.0
"""Standard errors beyond what is promised: to be run again; to be called outside"""


def cells(which: str) -> list[Cell]:
    if which == "tiny":
        return [
            Cell(groups=8, per_group=30, sizes="half"),
            Cell(groups=8, per_group=30, sizes="zipf", quality="near 0"),
            Cell(groups=5, per_group=30, quality="near 1"),
            Cell(classes=20, rare=0.03),
            Cell(classes=3, rare=0.03, quality="near 1"),
            Cell(groups=100, per_group=3, sizes="zipf"),
            Cell(process="copies"),
            Cell(process="beta", quality="near 1"),
            Cell(groups=300, per_group=1, classes=20, rare=0.1, quality="near 1"),
        ]
    if which == "hostile":
        return hostile_cells()
    if which in ("many", "few"):
        return [cell for cell in cells("all") if (cell.groups >= 100) == (which == "many")]
    shapes = [(5, 30), (8, 30), (20, 12), (100, 5), (300, 2), (1000, 1)]
    kinds = [(1, 1.0), (3, 0.1), (20, 0.1)]
    if which == "thin":
        shapes, kinds = [(8, 30), (20, 12)], [(1, 1.0), (20, 0.1)]
    return [
        Cell(groups, per_group, sizes, classes, rare, quality, objects_in)
        for (groups, per_group), sizes, (classes, rare), quality, objects_in in itertools.product(
            shapes, ("even", "zipf", "half"), kinds, ("middle", "near 1", "near 0"), (1.0, 0.25)
        )
        if per_group > 1 or sizes == "even"
    ]


def hostile_cells() -> list[Cell]:
    """Groups of other kinds than those of the matrix, and models and classes at their limits."""
    shapes = [(8, 30, "even"), (20, 12, "even"), (20, 12, "half"), (100, 5, "zipf")]
    others: tuple[Process, ...] = ("beta", "heavy", "copies", "sizes tell")
    found = [
        Cell(*shape, classes, rare, quality, process=process)
        for process, shape, (classes, rare), quality in itertools.product(
            others, shapes, [(1, 1.0), (3, 0.03)], ("middle", "near 1", "near 0")
        )
    ]
    for shape, quality in itertools.product(shapes, ("middle", "near 1", "near 0", "perfect", "dead")):
        found.append(Cell(*shape, 3, process="own class", quality=quality))
        found.append(Cell(*shape, 20, 0.03, quality=quality))
        found.append(Cell(*shape, 3, 0.03, quality=quality))
    found += [Cell(*shape, quality=quality) for shape in shapes for quality in ("perfect", "dead")]
    found += [Cell(*shape, objects_in=5.4 / shape[0], quality=q) for shape in shapes[1:] for q in ("middle", "near 1")]
    found += [Cell(*shape, objects_in=3.4 / shape[0]) for shape in shapes]
    return found


class Tally(NamedTuple):
    """What came of one metric in all runs of a cell: shares, NaN where no interval was given."""

    metric: str
    established: float
    covers: float
    one_passes: float
    difference_established: float
    difference_covers: float
    false_pass: float
    false_equal: float

    def row(self, runs: int) -> str:
        shown = [f"{self.metric:<26}"]
        for given, shares in (
            (self.established, (self.covers, self.one_passes)),
            (self.difference_established, (self.difference_covers, self.false_pass, self.false_equal)),
        ):
            shown.append(f"{given:>12.0%}")
            shown += [f"{percentage(share, given * runs if i == 0 else runs):>12}" for i, share in enumerate(shares)]
        return "    " + "".join(shown)


def percentage(share: float, count: float) -> str:
    """Return a share in percent with its Monte Carlo standard error; of 0 or 1 that of one run more or fewer."""
    if math.isnan(share) or count < 1:
        return "–"
    smooth = min(max(share, 0.5 / count), 1 - 0.5 / count)
    return f"{share * 100:.1f} ±{math.sqrt(smooth * (1 - smooth) / count) * 100:.1f}"


HEADS = ("one: given", "covers", "PASS", "two: given", "covers", "PASS", "equal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=int, help=f"of each cell; default {RUNS}, and {RUNS_AGAIN} with --again")
    parser.add_argument("--cells", choices=("all", "many", "few", "hostile", "thin", "tiny"), default="all")
    parser.add_argument("--part", default="1/1", help="K/N: only the K-th of N parts of the cells")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, default=Path("coverage.jsonl"), help="a line for each cell")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many; the next call goes on")
    parser.add_argument("--again", type=Path, nargs="+", help="run the suspects of these results with fresh seeds")
    parser.add_argument("--table", type=Path, nargs="+", help="print the table of such files, and run nothing")
    args = parser.parse_args()
    if args.table:
        print_table(read(args.table))
        return
    chosen = suspects(read(args.again)) if args.again else cells(args.cells)
    runs, first = args.runs or (RUNS_AGAIN if args.again else RUNS), 10**6 if args.again else 0
    done = {line["name"] for line in read([args.results])}
    todo = [cell for cell in part(chosen, args.part) if str(cell) not in done]
    begun = time.perf_counter()
    with ProcessPoolExecutor(args.jobs) as pool, args.results.open("a") as file:
        waiting = iter(todo)
        running = {pool.submit(simulate, cell, runs, first) for cell in itertools.islice(waiting, 2 * args.jobs)}
        while running:
            ended = next((one for one in running if one.done()), None)
            if ended is None:
                time.sleep(0.05)
                continue
            running.remove(ended)
            file.write(json.dumps(ended.result()) + "\n")
            file.flush()
            if time.perf_counter() - begun < args.minutes * 60 and (cell := next(waiting, None)):
                running.add(pool.submit(simulate, cell, runs, first))
    print_table(read([args.results]))


def part(chosen: list[Cell], which: str) -> list[Cell]:
    """Return one of several parts of the cells; those that share a truth are together."""
    number, of = (int(text) for text in which.split("/"))
    ordered = sorted(chosen, key=lambda cell: repr(truth_of(cell)))
    return ordered[len(ordered) * (number - 1) // of : len(ordered) * number // of]


def read(paths: list[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths if path.exists() for line in path.read_text().splitlines()]


def suspects(found: list[dict[str, Any]]) -> list[Cell]:
    """Return the cells in which anything stands out."""
    return [
        Cell(**line["cell"])
        for line in found
        if any(broken(Tally(*values), line["runs"], SUSPECT) for values in line["tallies"])
    ]


def print_table(found: list[dict[str, Any]]) -> None:
    print("seeds: run r of a cell default_rng([crc32 of the cell's name, r]), r from 0, where run again from 10**6;")
    print(f"the truth default_rng(10**6), {POPULATION:,} images")
    print(f"{'':<30}" + "".join(f"{head:>12}" for head in HEADS))
    for line in found:
        again = ", again" if line["first"] else ""
        print(f"{line['name']}   [{line['runs']} runs{again}, {line['cpu']:.0f} s]")
        for values in line["tallies"]:
            print(Tally(*values).row(line["runs"]))
    print(f"\n{len({line['name'] for line in found})} cells, {sum(line['cpu'] for line in found) / 60:.0f} CPU minutes")
    judged = {line["name"]: line for line in sorted(found, key=lambda line: int(line["first"]))}
    waiting = {str(cell) for cell in suspects([line for line in judged.values() if not line["first"]])}
    outside: dict[bool, list[str]] = {True: [], False: []}
    none: dict[str, list[str]] = {}
    for name, line in judged.items():
        for one in (Tally(*values) for values in line["tallies"]):
            errors = SUSPECT if name in waiting else OUTSIDE
            outside[name in waiting] += [f"{name}: {text}" for text in broken(one, line["runs"], errors)]
            if not one.established and not one.difference_established:
                none.setdefault(name, []).append(one.metric)
    print(f"\nbelow 92.5%, false PASS above 3.5% or false equal above 5%, by more than {OUTSIDE:g} standard errors:")
    print("\n".join(outside[False]) or "none")
    print(f"\nto be run again, because it stands out by {SUSPECT:g} standard errors:")
    print("\n".join(outside[True]) or "none")
    print("\nwithout any interval:")
    print("\n".join(f"{name}: {', '.join(metrics)}" for name, metrics in none.items()) or "none")


def broken(tally: Tally, runs: int, errors: float = 2) -> list[str]:
    """What a cell promises and does not keep, beyond so many standard errors of the simulation."""
    found = []
    for name, given, covers in (
        ("one model", tally.established, tally.covers),
        ("difference", tally.difference_established, tally.difference_covers),
    ):
        count = given * runs
        if count >= 20 and covers + errors * math.sqrt(0.075 * 0.925 / count) < 0.925:
            found.append(f"{tally.metric} of {name} covers {percentage(covers, count)}")
    shares = (("PASS", tally.false_pass, 0.035), ("PASS of one", tally.one_passes, 0.035))
    for name, share, most in (*shares, ("equal", tally.false_equal, 0.05)):
        if share - errors * math.sqrt(most * (1 - most) / runs) > most:
            found.append(f"{tally.metric}: false {name} {percentage(share, runs)}")
    return found


def simulate(cell: Cell, runs: int, first: int = 0) -> dict[str, Any]:
    """Return the record of one cell: a line of the results file; its runs have the seeds from `first` on."""
    truth = population(truth_of(cell))
    begun = time.process_time()
    rows: dict[str, list[list[float]]] = {metric: [] for metric in truth}
    for seed in range(first, first + runs):
        for metric, row in one_run(cell, seed, truth).items():
            rows[metric].append(row)
    tallies = [tally(metric, np.array(found, dtype=np.float64)) for metric, found in rows.items()]
    cpu = round(time.process_time() - begun, 1)
    return {"name": str(cell), "cell": asdict(cell), "runs": runs, "first": first, "cpu": cpu, "tallies": tallies}


def tally(metric: str, rows: NDArray[np.float64]) -> Tally:
    """Shares of the runs in which there was an interval; of PASS and equal, of all runs."""
    one, covers, one_passes, two, difference, passes, equal = rows.T

    def share(of: NDArray[np.float64], given: NDArray[np.float64]) -> float:
        return float(of[given > 0].mean()) if (given > 0).any() else math.nan

    return Tally(
        metric, one.mean(), share(covers, one), one_passes.mean(), two.mean(), share(difference, two), passes.mean(),
        equal.mean(),
    )  # fmt: skip


def truth_of(cell: Cell) -> Cell:
    """Return the cell whose population has the truth of this one: the same for all sizes and numbers of groups."""
    if cell.process == "sizes tell":
        return cell
    holding = max(1, round(cell.objects_in * cell.groups)) / cell.groups if cell.objects_in < 1 else 1.0
    return replace(cell, sizes="even", groups=40, per_group=1, objects_in=holding)


@functools.lru_cache(maxsize=32)
def population(cell: Cell) -> dict[str, NDArray[np.float64]]:
    """Each metric of both models on so many groups that chance hardly matters, (2, 1), or (2, K) where it is a mean."""
    sets = max(1, POPULATION // (cell.per_group * cell.groups))
    data = sample(cell, np.random.default_rng(10**6), sets=sets)
    arms = matched(data)
    everyone, ones = np.zeros(len(data.truth.images), dtype=np.int64), np.ones((1, 1))
    both = [values(arm, everyone, ones) for arm in arms]
    found = {metric: np.array([[one[metric][0]] for one in both]) for metric in both[0]}
    for metric in AVERAGES:
        found[metric] = np.stack([class_replicates(arm.boxes, metric, 0.25, everyone, ones)[:, 0] for arm in arms])
    return found


def on_classes(truth: NDArray[np.float64], held: NDArray[np.bool_]) -> tuple[float, float]:
    """Return a metric of both models, as a mean over the classes that a sample has objects of, as COCO has it."""
    one, other = truth[:, held].mean(axis=1) if truth.shape[1] == len(held) else truth[:, 0]
    return float(one), float(other)


class Arm(NamedTuple):
    """One model, matched once for all metrics."""

    boxes: MatchedPredictions
    poses: MatchedPredictions | None

    def of(self, metric: str) -> MatchedPredictions:
        found = self.poses if metric in OKS else self.boxes
        assert found is not None
        return found


def matched(data: Sample) -> tuple[Arm, Arm]:
    def of(model: Any) -> Arm:
        table = match(data.truth, model)
        point, flags = operating_point(table, 0.25), image_level_scores(data.truth, model, THRESHOLD)
        poses = None
        if len(data.truth.classes) == 1:
            oks = match(data.truth, model, similarity="oks", sigmas=(0.05, 0.05, 0.05))
            poses = MatchedPredictions(oks, point, flags)
        return Arm(MatchedPredictions(table, point, flags), poses)

    return of(data.first), of(data.second)


def values(arm: Arm, unit: NDArray[np.int64], weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Every metric under every weighting."""
    assert arm.boxes.table is not None
    found = averaged_metrics(arm.boxes.table, AVERAGES, unit, weights)
    rest = [metric for metric in METRICS if metric not in found] + [POSE] * (arm.poses is not None)
    return found | {metric: replicates(arm.of(metric), metric, unit, weights) for metric in rest}


def one_run(cell: Cell, seed: int, truth: dict[str, NDArray[np.float64]]) -> dict[str, list[float]]:
    data = sample(cell, np.random.default_rng([zlib.crc32(str(cell).encode()), seed]))
    groups, arms = units(data.truth.groups), matched(data)
    first, second = (values(arm, groups.of_image, groups.draws()) for arm in arms)
    rows = {}
    held = np.bincount(data.truth.labels.cls, minlength=cell.classes) > 0
    for metric, of_both in truth.items():
        true, other = on_classes(of_both, held)
        one = interval_of_one(arms[0].of(metric), metric, first[metric], groups)
        row = [0.0] * 3
        if one is not None and one.established and not math.isnan(true):
            row = [1.0, float(holds(one, true)), float(passes(one, true, metric))]
        rows[metric] = [*row, 0.0, 0.0, 0.0, 0.0]
        if not any(math.isnan(number) for number in (first[metric][0], second[metric][0], true, other)):
            pair = (arms[0].of(metric), arms[1].of(metric))
            delta, narrow = (
                difference_interval(pair, metric, (first[metric], second[metric]), groups, level)
                for level in (LEVEL, EQUAL_LEVEL)
            )
            gap = other - true
            found = (delta.established, holds(delta, gap), passes(delta, gap, metric), equal(narrow, abs(gap)))
            rows[metric] = [*row, *map(float, found)]
    return rows


def interval_of_one(arm: MatchedPredictions, metric: str, found: NDArray[np.float64], groups: Units) -> Interval | None:
    if math.isnan(found[0]):
        return None
    if metric in COCO or metric in OKS:
        assert arm.table is not None
        return average_interval(arm.table, metric, found, groups, LEVEL)
    if metric in RATES:
        assert arm.point is not None
        return rate_interval(arm.point, metric, groups, LEVEL)
    assert metric in IMAGE_LEVEL and arm.image_level is not None
    if metric == "AUC":
        return auc_interval(arm.image_level, found, groups, LEVEL)
    return image_level_interval(arm.image_level, metric, groups, LEVEL)


def holds(interval: Interval, value: float) -> bool:
    return interval.low is not None and interval.high is not None and interval.low <= value <= interval.high


def passes(interval: Interval, value: float, metric: str) -> bool:
    """Whether a gate passes whose threshold is the truth itself."""
    if interval.low is None or interval.high is None:
        return False
    return interval.high < value if metric in LESS_IS_BETTER else interval.low > value


def equal(delta: Interval, margin: float) -> bool:
    """Whether two one-sided tests call the models equal within the margin."""
    return delta.low is not None and delta.high is not None and -margin < delta.low and delta.high < margin


if __name__ == "__main__":
    main()
