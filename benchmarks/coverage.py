"""Do the intervals hold? Simulated data with a known truth, in a matrix of what real data look like.

    python benchmarks/coverage.py [--runs 200] [--cells all|thin|tiny] [--jobs 2] > benchmarks/coverage.txt

A cell is a number of groups, how uneven they are, how many classes (with rare ones), how good the models are, and in
how many groups there are objects at all. Frames of a group resemble each other: each group has its own difficulty, and
its own taste for one model or the other. The truth is the same metric on thousands of groups from the same process. Of
every cell and metric the table says how often the 95% interval of one model and of the difference of two covers the
truth, how often a gate passes whose margin is the true difference (false PASS, at most 2.5% promised), and how often
two models are called equal that differ by just the margin (false equal, at most 5%). "–": no interval was established.
Everything goes through the functions that `liftgate evaluate` and `liftgate compare` use.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Image, Keypoints, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.compare import paired_difference
from liftgate.evaluation.image_level import ImageLevelThreshold
from liftgate.evaluation.intervals import average_intervals, image_level_interval, rate_interval
from liftgate.evaluation.matched_predictions import MatchedPredictions, match_for_metric, replicates
from liftgate.evaluation.metric_names import COCO, OKS, RATES
from liftgate.evaluation.resampling import Units, units
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.stats.distributions import t_quantile
from liftgate.stats.interval import Interval

METRICS = (
    "recall", "precision", "best_confidence_median", "false_positives_per_image", "mAP50", "mAP50-95", "accuracy",
    "AUC",
)  # fmt: skip
POSE = "OKS-mAP50-95"
THRESHOLD = ImageLevelThreshold(("c0",), 0.5)
POPULATION = 2500  # groups


class Quality(NamedTuple):
    """How good a model is, on the logit scale of finding an object."""

    skill: float
    made_up: float
    """False detections an image of the easiest kind"""
    made_up_score: float


QUALITY = {"middle": Quality(1.0, 0.5, -0.5), "near 1": Quality(4.2, 0.1, -2.0), "near 0": Quality(-2.7, 1.0, 0.3)}


@dataclass(frozen=True)
class Cell:
    """One kind of data."""

    groups: int = 20
    per_group: int = 12
    sizes: str = "even"
    """`even`, `zipf` (1, 1/2, 1/3, …) or `half`: one group holds half of the images"""
    classes: int = 1
    rare: bool = False
    """Half of the classes are a tenth as frequent as the others"""
    quality: str = "middle"
    objects_in: float = 1.0
    """Share of the groups that hold objects"""
    pose: bool = False

    def __str__(self) -> str:
        kind = f"{self.groups} × {self.per_group} {self.sizes}"
        kind += f", {self.classes} classes" if self.classes > 1 else ""
        kind += " (rare ones)" if self.rare else ""
        kind += f", {self.quality}" if self.quality != "middle" else ""
        kind += f", objects in {self.objects_in:.0%}" if self.objects_in < 1 else ""
        return kind + (", poses" if self.pose else "")

    @property
    def metrics(self) -> tuple[str, ...]:
        return (POSE,) if self.pose else METRICS


def cells(which: str) -> list[Cell]:
    if which == "tiny":
        return [Cell(groups=8, sizes="half"), Cell(groups=20, objects_in=0.15)]
    shapes = [(5, 30), (8, 30), (20, 12), (100, 5), (500, 1), (1000, 1)]
    if which == "thin":
        shapes = [(8, 30), (20, 12), (300, 1)]
    found = []
    for (groups, per_group), sizes, (classes, rare), quality, objects_in in itertools.product(
        shapes, ("even", "zipf", "half"), ((1, False), (3, False), (20, True)), QUALITY, (1.0, 0.25)
    ):
        if per_group == 1 and sizes != "even":
            continue
        usual = (sizes == "even") + (classes == 1) + (quality == "middle") + (objects_in == 1.0)
        if usual >= (3 if which == "thin" else 2):
            found.append(Cell(groups, per_group, sizes, classes, rare, quality, objects_in))
    return found + [Cell(*shape, sizes, pose=True) for shape in shapes[:3] for sizes in ("even", "zipf")]


class Tally(NamedTuple):
    """What came of one metric in all runs of a cell: shares, NaN where no interval was given."""

    metric: str
    established: float
    covers: float
    difference_established: float
    difference_covers: float
    false_pass: float
    false_equal: float

    def row(self) -> str:
        numbers = (
            self.established, self.covers, self.difference_established, self.difference_covers, self.false_pass,
            self.false_equal,
        )  # fmt: skip
        shown = "".join(f"{'–' if math.isnan(n) else f'{n:.1%}':>13}" for n in numbers)
        return f"    {self.metric:<28}{shown}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--cells", choices=("all", "thin", "tiny"), default="all")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    chosen = cells(args.cells)
    error = 1.96 * math.sqrt(0.95 * 0.05 / args.runs)
    print(f"{len(chosen)} cells, {args.runs} runs each (seeds 0 … {args.runs - 1}); noise of a coverage ± {error:.1%}")
    heads = ("one: given", "covers", "two: given", "covers", "false PASS", "false equal")
    print(f"    {'':<28}" + "".join(f"{head:>13}" for head in heads))
    begun, cpu = time.perf_counter(), 0.0
    below: list[str] = []
    with ProcessPoolExecutor(args.jobs) as pool:
        for cell, (tallies, seconds) in zip(chosen, pool.map(simulate, chosen, [args.runs] * len(chosen)), strict=True):
            cpu += seconds
            print(cell)
            for tally in tallies:
                print(tally.row(), flush=True)
                below += [f"{cell}: {line}" for line in broken(tally, args.runs)]
    print(f"\n{cpu / 60:.0f} CPU minutes, {(time.perf_counter() - begun) / 60:.0f} minutes")
    print("\nbelow 92.5%, false PASS above 3.5% or false equal above 5%, by more than the noise of so few runs:")
    print("\n".join(below) or "none")


def broken(tally: Tally, runs: int) -> list[str]:
    """What a cell promises and does not keep, beyond two standard errors of the simulation."""
    found = []
    for name, given, covers in (
        ("one model", tally.established, tally.covers),
        ("difference", tally.difference_established, tally.difference_covers),
    ):
        count = given * runs
        if count >= 20 and covers + 2 * math.sqrt(0.95 * 0.05 / count) < 0.925:
            found.append(f"{tally.metric} of {name} covers {covers:.1%} of {count:.0f}")
    for name, share, most in (("PASS", tally.false_pass, 0.035), ("equal", tally.false_equal, 0.05)):
        if share - 2 * math.sqrt(most / runs) > most:
            found.append(f"{tally.metric}: false {name} {share:.1%}")
    return found


def simulate(cell: Cell, runs: int) -> tuple[list[Tally], float]:
    begun = time.process_time()
    truth = population(cell)
    rows = {metric: [] for metric in cell.metrics}  # type: ignore[var-annotated]
    for seed in range(runs):
        for metric, row in one_run(cell, seed, truth).items():
            rows[metric].append(row)
    tallies = [tally(metric, np.array(found, dtype=np.float64)) for metric, found in rows.items()]
    return tallies, time.process_time() - begun


def tally(metric: str, rows: NDArray[np.float64]) -> Tally:
    """Shares of the runs in which there was an interval; of PASS and equal, of all runs."""
    one, covers, two, difference, passes, equal = rows.T

    def share(of: NDArray[np.float64], given: NDArray[np.float64]) -> float:
        return float(of[given > 0].mean()) if (given > 0).any() else math.nan

    return Tally(
        metric, one.mean(), share(covers, one), two.mean(), share(difference, two), passes.mean(), equal.mean()
    )


def population(cell: Cell) -> dict[str, tuple[float, float]]:
    """Each metric of both models on so many groups that chance hardly matters."""
    many = replace(cell, groups=POPULATION, per_group=12, sizes="even")
    data, first, second = sample(many, np.random.default_rng(10**6))
    everyone, ones = np.zeros(len(data.images), dtype=np.int64), np.ones((1, 1))
    found = {}
    for metric in cell.metrics:
        spec = spec_of(metric)
        arms = (match_for_metric(data, model, spec, spec.threshold(0)) for model in (first, second))
        one, two = (float(replicates(arm, metric, everyone, ones)[0]) for arm in arms)
        found[metric] = (one, two)
    return found


def spec_of(metric: str) -> ComparisonSpec:
    return ComparisonSpec(
        metric, thresholds=(THRESHOLD, THRESHOLD) if metric in ("accuracy", "AUC") else (),
        sigmas=0.05 if metric in OKS else None,
    )  # fmt: skip


def one_run(cell: Cell, seed: int, truth: dict[str, tuple[float, float]]) -> dict[str, list[bool]]:
    data, first, second = sample(cell, np.random.default_rng(seed))
    groups = units(data.groups)
    rows = {}
    for metric in cell.metrics:
        spec = spec_of(metric)
        arms = (
            match_for_metric(data, first, spec, spec.threshold(0)),
            match_for_metric(data, second, spec, spec.threshold(1)),
        )
        one = interval_of_one(arms[0], metric, groups)
        true, difference = truth[metric][0], truth[metric][1] - truth[metric][0]
        value = [float(replicates(arm, metric, groups.of_image, groups.sample_weights())[0]) for arm in arms]
        row = [one is not None and one.established, one is not None and holds(one, true)]
        if any(math.isnan(number) for number in value):
            rows[metric] = [*row, False, False, False, False]
            continue
        delta = paired_difference(data, arms, spec, groups).delta
        rows[metric] = [
            *row, delta.established, holds(delta, difference),
            delta.low is not None and delta.low > difference, equal(delta, abs(difference)),
        ]  # fmt: skip
    return rows


def interval_of_one(arm: MatchedPredictions, metric: str, groups: Units) -> Interval | None:
    if metric in COCO or metric in OKS:
        assert arm.table is not None
        return average_intervals(arm.table, (metric,), groups, 0.95, design_effect=False)[1].get(metric)
    if metric in RATES:
        assert arm.point is not None
        value = replicates(arm, metric, groups.of_image, groups.sample_weights())[0]
        return None if math.isnan(value) else rate_interval(arm.point, metric, groups, 0.95)
    assert arm.image_level is not None
    return image_level_interval(arm.image_level, metric, groups, 0.95)


def holds(interval: Interval, value: float) -> bool:
    return interval.low is not None and interval.high is not None and interval.low <= value <= interval.high


def equal(delta: Interval, margin: float) -> bool:
    """Whether two one-sided tests call the models equal within the margin."""
    if delta.standard_error is None:
        return False
    return abs(delta.estimate) + t_quantile(0.9, delta.degrees) * delta.standard_error < margin


def sizes_of(cell: Cell) -> NDArray[np.int64]:
    images = cell.groups * cell.per_group
    if cell.sizes == "even":
        return np.full(cell.groups, cell.per_group)
    share = 1 / np.arange(1, cell.groups + 1)
    if cell.sizes == "half":
        share = np.append(0.5, np.full(cell.groups - 1, 0.5 / (cell.groups - 1)))
    return np.maximum(1, np.round(images * share / share.sum())).astype(np.int64)


def sample(cell: Cell, rng: np.random.Generator) -> tuple[Dataset, Predictions, Predictions]:
    """A sample of groups and two detectors on it."""
    sizes = sizes_of(cell)
    n = int(sizes.sum())
    group = np.repeat(np.arange(cell.groups), sizes)
    some = rng.permutation(cell.groups) < max(1, round(cell.objects_in * cell.groups))
    count = np.minimum(rng.poisson(2, n), 5) * some[group]
    image = np.repeat(np.arange(n), count)
    slot = np.arange(len(image)) - np.repeat(np.cumsum(count) - count, count)
    corner = np.stack([10.0 + 120 * slot, np.full(len(image), 20.0)], axis=1)
    boxes = np.concatenate([corner, corner + 100], axis=1)
    share = np.ones(cell.classes)
    if cell.rare:
        share[cell.classes // 2 :] = 0.1
    share /= share.sum()
    cls = rng.choice(cell.classes, len(image), p=share)
    points = np.stack([(boxes[:, :2] + boxes[:, 2:]) / 2 + 20 * k for k in (-1, 0, 1)], axis=1)
    labelled = np.concatenate([points, np.full((*points.shape[:2], 1), 2.0)], axis=2)
    data = Dataset(
        name="simulated", root=Path(), source=Path("simulated"), format="yolo",
        classes=tuple(f"c{k}" for k in range(cell.classes)),
        images=tuple(Image(f"{i}.jpg", Path(f"{i}.jpg"), 640, 480, group=f"v{group[i]:05}") for i in range(n)),
        labels=Labels.build(image, cls, boxes, keypoints=labelled if cell.pose else None),
        keypoints=Keypoints(("a", "b", "c")) if cell.pose else None,
    )  # fmt: skip
    difficulty = rng.normal(0, 0.7, cell.groups)  # shared by both models
    models = []
    for lift in (0.0, 0.35):
        skill = QUALITY[cell.quality].skill + lift + difficulty + rng.normal(0, 0.35, cell.groups)
        models.append(detector(cell, data, boxes, points, (image, cls, share), skill[group], rng))
    return data, models[0], models[1]


def detector(
    cell: Cell,
    data: Dataset,
    boxes: NDArray[np.float64],
    points: NDArray[np.float64],
    objects: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]],
    skill: NDArray[np.float64],
    rng: np.random.Generator,
) -> Predictions:
    """Finds objects by skill (n_images,), places and scores them by it, and makes things up now and then."""
    image, cls, share = objects
    quality, n = QUALITY[cell.quality], len(data.images)
    chance = logistic(skill[image])
    found = rng.random(len(image)) < chance
    shift = rng.normal(0, 14 * (1.3 - chance[found]))
    near = boxes[found] + np.stack([shift, shift * 0.3, shift, shift * 0.3], axis=1)
    extra = np.repeat(np.arange(n), rng.poisson(quality.made_up * (1.6 - logistic(skill)), n))
    left = 10.0 + 120 * rng.integers(0, 5, len(extra))
    wrong = np.stack([left, np.full(len(extra), 220.0), left + 100, np.full(len(extra), 320.0)], axis=1)
    scores = np.concatenate([rng.normal(skill[image][found], 1), rng.normal(quality.made_up_score, 1, len(extra))])
    placed = points[found] + rng.normal(0, 6 * (1.3 - chance[found]))[:, None, None]
    anywhere = np.repeat(((wrong[:, :2] + wrong[:, 2:]) / 2)[:, None, :], points.shape[1], axis=1)
    keypoints = np.concatenate([placed, anywhere])
    keypoints = np.concatenate([keypoints, np.ones((*keypoints.shape[:2], 1))], axis=2)
    return Predictions(
        images=tuple(one.id for one in data.images),
        classes=data.classes,
        image=np.concatenate([image[found], extra]).astype(np.int64),
        cls=np.concatenate([cls[found], rng.choice(cell.classes, len(extra), p=share)]).astype(np.int64),
        boxes=np.concatenate([near, wrong]),
        scores=logistic(scores),
        keypoints=keypoints if cell.pose else None,
    )


def logistic(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-value)), dtype=np.float64)


if __name__ == "__main__":
    main()
