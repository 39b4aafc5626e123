"""Do the intervals hold? Simulated data with a known truth: how often the gate's interval covers it, and how often a
gate passes that should not. The naive way (every image counts as independent, percentiles) stands in the same table.

    python benchmarks/coverage.py [--runs 400] [--groups 8 20 40] > benchmarks/coverage.txt

Frames come in groups (videos) that resemble each other: each group has its own difficulty, and its own taste for one
model or the other. The truth is the same metric on a very large population from the same process. Promises: coverage
of the gate's 95% intervals between 93 and 97.5%, false PASS at a true difference equal to the margin at most 3.5%.
Everything goes through the same functions that `liftgate evaluate` and `liftgate compare` use.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.dataset import Dataset, Image, Labels
from liftgate.data.core.predictions import Predictions
from liftgate.evaluation.average_precision import average_precision, mean_over_classes
from liftgate.evaluation.compare import compare
from liftgate.evaluation.match_table import match
from liftgate.evaluation.metrics import averaged
from liftgate.evaluation.operating_point import operating_point
from liftgate.evaluation.rate_intervals import rate_interval
from liftgate.evaluation.resampling import units
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.stats.clustered import bootstrap_weights
from liftgate.stats.rates import wilson

FRAMES, OBJECTS, CLASSES = 12, 3, 2
NAIVE_DRAWS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--groups", type=int, nargs="+", default=[8, 20, 40])
    args = parser.parse_args()
    begun = time.perf_counter()
    truths = population()
    print(f"{args.runs} runs for each row; {FRAMES} frames a group, {OBJECTS} objects a frame, {CLASSES} classes")
    print(
        f"truth: recall {truths['recall']:.4f}, difference in mAP {truths['delta']:.4f}, in recall {truths['gain']:.4f}"
    )
    error = 1.96 * np.sqrt(0.95 * 0.05 / args.runs)
    print(f"simulation error of a coverage of 95%: ± {error:.1%}\n")
    print(f"{'':8}{'coverage of the gate':^36}{'naive: images as units':^36}{'false PASS at the margin':^26}")
    head = f"{'recall':>12}{'Δ mAP':>12}{'Δ recall':>12}"
    print(f"{'groups':8}{head}{head}{'gate':>13}{'naive':>13}")
    for groups in args.groups:
        rows = np.array([one_run(groups, seed, truths) for seed in range(args.runs)])
        cells = "".join(f"{value:>12.1%}" for value in rows.mean(axis=0)[:6])
        print(f"{groups:<8}{cells}" + "".join(f"{value:>13.1%}" for value in rows.mean(axis=0)[6:]))
    print(f"\n{time.perf_counter() - begun:.0f} s")


def population() -> dict[str, float]:
    """The metrics on 2,500 groups: what the intervals should hold."""
    data, first, second = sample(2500, np.random.default_rng(10**6))
    everyone = np.zeros(len(data.images), dtype=np.int64)
    tables = [match(data, model) for model in (first, second)]
    ap = [float(mean_over_classes(average_precision(table, everyone, np.ones((1, 1))))[0]) for table in tables]
    points = [operating_point(table, 0.25) for table in tables]
    recalls = [point.true.sum() / point.objects.sum() for point in points]
    return {"recall": recalls[0], "delta": ap[1] - ap[0], "gain": recalls[1] - recalls[0]}


def one_run(groups: int, seed: int, truths: dict[str, float]) -> list[bool]:
    """Covered by the gate's and by naive intervals (recall, Δ mAP, Δ recall), and false PASSes of both (Δ mAP)."""
    data, first, second = sample(groups, np.random.default_rng(seed))
    by_group = units(data.groups, groups)
    table, other = match(data, first), match(data, second)
    point = operating_point(table, 0.25)
    recall = rate_interval(point, "recall", by_group, 0.95)
    delta = compare(data, first, second, ComparisonSpec(metric="mAP50-95", margin=truths["delta"]))
    gain = compare(data, first, second, ComparisonSpec(metric="recall")).delta
    own = wilson(int(point.true.sum()), int(point.objects.sum()))
    naive = naive_percentiles(table, other, np.random.default_rng(seed))
    gains = naive_gain(point, operating_point(other, 0.25), np.random.default_rng(seed))
    return [
        holds((recall.low, recall.high), truths["recall"]),
        holds((delta.delta.low, delta.delta.high), truths["delta"]),
        holds((gain.low, gain.high), truths["gain"]),
        holds(own, truths["recall"]),
        holds(naive, truths["delta"]),
        holds(gains, truths["gain"]),
        delta.verdict == "PASS",
        naive[0] >= truths["delta"],
    ]


def naive_percentiles(table, other, rng) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """What most people would do: bootstrap images, take percentiles."""
    each = np.arange(len(table.images))
    weights = bootstrap_weights(len(each), NAIVE_DRAWS, rng)
    first, second = (averaged(one, ["mAP50-95"], each, weights)["mAP50-95"] for one in (table, other))
    return tuple(np.quantile(second - first, [0.025, 0.975]))


def naive_gain(point, other, rng) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    weights = bootstrap_weights(len(point.true), NAIVE_DRAWS, rng)
    gains = ((other.true - point.true) @ weights) / (point.objects @ weights)
    return tuple(np.quantile(gains, [0.025, 0.975]))


def holds(bounds, value: float) -> bool:  # type: ignore[no-untyped-def]
    low, high = bounds
    return low is not None and high is not None and bool(low <= value <= high)


def sample(groups: int, rng: np.random.Generator) -> tuple[Dataset, Predictions, Predictions]:
    """`groups` videos and two detectors on them."""
    n = groups * FRAMES
    group = np.repeat(np.arange(groups), FRAMES)
    image = np.repeat(np.arange(n), OBJECTS)
    corner = np.stack([10.0 + 200 * np.tile(np.arange(OBJECTS), n), np.full(n * OBJECTS, 20.0)], axis=1)
    boxes = np.concatenate([corner, corner + 100], axis=1)
    cls = rng.integers(0, CLASSES, len(image))
    images = tuple(Image(f"{i}.jpg", Path(f"{i}.jpg"), 640, 480, group=f"v{group[i]}") for i in range(n))
    data = Dataset(
        name="simulated", root=Path(), source=Path("simulated"), format="yolo",
        classes=tuple(f"c{k}" for k in range(CLASSES)), images=images, labels=Labels.build(image, cls, boxes),
    )  # fmt: skip
    difficulty = rng.normal(0, 0.7, groups)  # shared by both models
    models = []
    for lift in (0.0, 0.35):
        taste = rng.normal(0, 0.35, groups)  # this model's own
        skill = (1.0 + lift + difficulty + taste)[group][image]
        models.append(detector(data, boxes, cls, image, skill, rng))
    return data, models[0], models[1]


def detector(
    data: Dataset,
    boxes: NDArray[np.float64],
    cls: NDArray[np.int64],
    image: NDArray[np.int64],
    skill: NDArray[np.float64],
    rng: np.random.Generator,
) -> Predictions:
    """Finds objects by skill, places and scores them by it, and makes things up now and then."""
    chance = 1 / (1 + np.exp(-skill))
    found = rng.random(len(image)) < chance
    shift = rng.normal(0, 14 * (1.3 - chance[found]))
    near = boxes[found] + np.stack([shift, shift * 0.3, shift, shift * 0.3], axis=1)
    made_up = rng.random(len(image)) < 0.5 * (1 - chance)
    wrong = boxes[made_up] + np.array([0.0, 200.0, 0.0, 200.0])
    scores = np.concatenate([
        1 / (1 + np.exp(-rng.normal(skill[found], 1))), 1 / (1 + np.exp(-rng.normal(-0.5, 1, made_up.sum())))
    ])  # fmt: skip
    return Predictions(
        images=tuple(one.id for one in data.images),
        classes=data.classes,
        image=np.concatenate([image[found], image[made_up]]),
        cls=np.concatenate([cls[found], cls[made_up]]),
        boxes=np.concatenate([near, wrong]),
        scores=scores,
    )


if __name__ == "__main__":
    main()
