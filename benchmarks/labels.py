"""Do verdicts from few labels hold? Simulated and real models, judged as far as a budget allows, against all labels.

    python -P benchmarks/labels.py simulated [--runs 200] [--kind near middle far] [--share 0.25]
    python -P benchmarks/labels.py stopping [--runs 200] [--kind near middle far] [--share 0.25]
    python -P benchmarks/labels.py sampling [--runs 200]
    python -P benchmarks/labels.py noise [--runs 200]
    python -P benchmarks/labels.py real --truth data.yaml --control old.json --treatment new.json [--groups RULE]

`simulated`: videos whose objects differ in how hard they are, and two models that find most of the same ones; the true
difference is that of thousands of videos. `real`: groups of a labelled set are drawn with replacement, as studies that
could have been. A person who answers by the labels judges a drawn part. The table says how often the interval covers
the truth (`real`: what all labels of the drawn study say), how often a gate at the true difference passes (false PASS,
2.5% promised), how much wider the interval is than that of labels (and what the plan announced), and how often the
verdict is that of all labels, over margins from −2 to +4 points: at each and at all of them; where it is not, whether
it is MARGINAL where labels decide, decided where labels are MARGINAL, or the opposite; in how many a margin lies within
half a standard error of an end of the labels' interval ("near"), and how often the others have the verdict of labels.
`stopping`: such videos of 6 frames, judged group by group, with a look after every group from the fifth on: how often
the true difference is ever outside, how often a gate at it ever passes, and when a gate well below it passes.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from liftgate.data.core.predictions import Predictions
from liftgate.data.detections import read_predictions
from liftgate.evaluation.alignment import align
from liftgate.evaluation.compare import compare
from liftgate.evaluation.label_errors import compare_with_errors
from liftgate.evaluation.matched_predictions import match_for_metric, replicates
from liftgate.evaluation.matching import match
from liftgate.evaluation.records import LabelErrors
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.evaluation.truth import read_truth
from liftgate.evaluation.verdict import as_gain
from liftgate.judging.answers import merge_answers
from liftgate.judging.compare import compare_answers
from liftgate.judging.draw import DrawnModel, Until, draw_questions
from liftgate.judging.estimate import judged_difference
from liftgate.judging.frame_design import draw_frames
from liftgate.judging.judged_metrics import JudgedMetric
from liftgate.judging.outcomes import design_of, outcomes_of
from liftgate.judging.pairing import pair_detections
from liftgate.judging.part import judged_part
from liftgate.judging.plan import plan_of
from liftgate.stats.interval import Interval

if "label_rows" not in sys.modules:
    for _name in ("label_rows", "label_studies"):
        _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(f"{_name}.py"))
        assert _spec is not None and _spec.loader is not None
        sys.modules[_name] = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(sys.modules[_name])
from label_rows import HEADER, Study, line
from label_studies import CONF, KINDS, Models, judge_by_labels, resampled, simulated

CELLS = {"8": (8, "even"), "20": (20, "even"), "20-zipf": (20, "zipf"), "40": (40, "even")}
METRICS: tuple[JudgedMetric, ...] = ("recall", "precision", "false_positives_per_image")


def one_study(models: Models, share: float, metrics: tuple[str, ...], seed: int) -> dict[str, Study]:
    """Judge a study with a budget, and compare with all its labels."""
    units = pair_detections(models.control, models.treatment, CONF)
    boxes = len(models.truth.labels)
    names = (DrawnModel("old", ""), DrawnModel("new", ""))
    draw = draw_questions(
        models.truth, models.control, models.treatment, units, models=names, conf=CONF, budget=round(share * boxes),
        seed=seed,
    )  # fmt: skip
    answers = merge_answers(draw, judge_by_labels(models, draw))
    plan, found = plan_of(draw), {}
    for metric in metrics:
        judged = compare_answers(draw, answers, metric=metric).comparison.delta
        labelled = compare(models.truth, models.control, models.treatment, ComparisonSpec(metric=metric)).delta
        found[metric] = Study(judged, labelled, plan.width, plan.agreement, plan.questions / boxes)
    return found


def true_differences(kind: str, metrics: tuple[str, ...] = METRICS) -> dict[str, float]:
    """The differences in many videos of the process."""
    parts: dict[str, list[float]] = {metric: [] for metric in metrics}
    for seed in range(4):
        models = simulated(np.random.default_rng(10**6 + seed), 800, "even", kind)
        for metric in metrics:
            spec = ComparisonSpec(metric=metric)
            parts[metric].append(compare(models.truth, models.control, models.treatment, spec).delta.estimate)
    return {metric: float(np.mean(values)) for metric, values in parts.items()}


def cells(args: argparse.Namespace) -> Iterator[tuple[str, float, int, str, dict[str, float]]]:
    """Yield kind, judgements for each box, groups, their sizes and the true differences."""
    for kind in args.kind:
        truth = true_differences(kind)
        for share in args.share:
            for cell in args.cell:
                yield kind, share, *CELLS[cell], truth


def run_simulated(args: argparse.Namespace) -> Iterator[str]:
    """Rows of all cells."""
    for kind, share, groups, sizes, truth in cells(args):
        found: dict[str, list[Study]] = {metric: [] for metric in METRICS}
        for seed in range(args.runs):
            models = simulated(np.random.default_rng([groups, seed]), groups, sizes, kind)
            for metric, study in one_study(models, share, METRICS, seed).items():
                found[metric].append(study)
        for metric in METRICS:
            yield line(f"{kind}, {groups} {sizes}", metric, found[metric], truth[metric])


def run_stopping(args: argparse.Namespace) -> Iterator[str]:
    """Rows of judging group by group with a look after every group."""
    for kind, share, groups, sizes, truth in cells(args):
        paths = [
            _looks(np.random.default_rng([7, groups, seed]), groups, sizes, kind, share) for seed in range(args.runs)
        ]
        for metric in METRICS:
            yield _stopped(f"{kind}, {groups} {sizes}", metric, paths, truth[metric])


class _Path(NamedTuple):
    """What one study says after each group from the fifth on."""

    asked: list[int]
    """Answers until then"""
    looks: dict[str, list[Interval]]


def _looks(rng: np.random.Generator, groups: int, sizes: str, kind: str, share: float) -> _Path:
    models = simulated(rng, groups, sizes, kind, 6)
    units = pair_detections(models.control, models.treatment, CONF)
    budget, names = max(20, round(share * len(models.truth.labels))), (DrawnModel("old", ""), DrawnModel("new", ""))
    draw = draw_questions(
        models.truth, models.control, models.treatment, units, models=names, conf=CONF, budget=budget,
        seed=int(rng.integers(2**31)), until=Until("recall", 0.0),
    )  # fmt: skip
    answers = judge_by_labels(models, draw)
    group_of = {one.id: draw.images[one.image].group for one in draw.questions}
    found: dict[str, list[Interval]] = {metric: [] for metric in METRICS}
    asked = []
    for count in range(5, groups + 1):
        done = set(draw.group_order[:count])
        kept = [one for one in answers if group_of[one.question] in done]
        part = judged_part(draw, {one.question for one in kept})
        asked.append(len(part.questions))
        design, outcomes = design_of(part), outcomes_of(part, merge_answers(draw, kept))
        for metric in METRICS:
            found[metric].append(judged_difference(design, outcomes, metric, always_valid=True).delta)
    return _Path(asked, found)


def _stopped(name: str, metric: str, paths: list[_Path], truth: float) -> str:
    """Row of the sequences of one metric: the truth ever excluded, ever passed; when an easy gate is settled."""
    sign, easy = (-1, 0.3) if metric.startswith("false") else (1, 0.1)
    outside, false, groups, asked = 0, 0, [], []
    for path in paths:
        looks = [as_gain(one, metric) for one in path.looks[metric]]
        lows = [-np.inf if one.low is None else one.low for one in looks]
        highs = [np.inf if one.high is None else one.high for one in looks]
        false += max(lows) > sign * truth
        outside += max(lows) > sign * truth or min(highs) < sign * truth
        settled = [place for place, low in enumerate(lows) if low >= sign * truth - easy]
        if settled:
            groups.append(settled[0] + 5)
            asked.append(path.asked[settled[0]] / path.asked[-1])
    runs = len(paths)
    return (
        f"{name:<18} {metric:<26} {runs:>5} runs: truth ever outside {100 * outside / runs:4.1f}%, ever false PASS "
        f"{100 * false / runs:4.1f}%; a margin {easy} easier is settled in {100 * len(groups) / runs:3.0f}%, after "
        f"{np.median(groups or [np.nan]):.0f} groups and {100 * np.median(asked or [np.nan]):.0f}% of the questions"
    )


def run_noise(args: argparse.Namespace) -> Iterator[str]:
    """Rows of comparisons by wrong labels, with and without their rate."""
    metrics = ("recall", "precision", "mAP50")
    yield f"{'labels':<34} {'metric':<10} {'runs':>5}  cover, false PASS, width as they are   with --label-errors"
    for kind in ("near", "middle"):
        truth = true_differences(kind, metrics)
        for how, rate in (("random", 0.01), ("random", 0.05), ("favour", 0.01), ("favour", 0.05)):
            found: dict[str, list[tuple[Interval, Interval]]] = {metric: [] for metric in metrics}
            for seed in range(args.runs):
                rng = np.random.default_rng([9, seed])
                models = wrong_labels(simulated(rng, 20, "even", kind), how, rate, rng)
                for metric in metrics:
                    spec = ComparisonSpec(metric=metric)
                    wide = compare_with_errors(*models, spec, LabelErrors(rate, "planted")).delta
                    found[metric].append((compare(*models, spec).delta, wide))
            for metric, pairs in found.items():
                plain, wide = (_covered([pair[k] for pair in pairs], truth[metric]) for k in (0, 1))
                name = f"{kind}, {rate:.0%} wrong, {how}"
                yield f"{name:<34} {metric:<10} {args.runs:>5}  {plain:<38} {wide}"


def _covered(intervals: list[Interval], truth: float) -> str:
    both = [one for one in intervals if one.established]
    cover = 100 * np.mean([one.low <= truth <= one.high for one in both])
    passed = 100 * np.mean([one.low > truth for one in both])
    return f"{cover:6.1f} {passed:6.1f} {np.median([one.high - one.low for one in both]):7.4f}"


def wrong_labels(models: Models, how: str, rate: float, rng: np.random.Generator) -> Models:
    """Make a share of the labels wrong: gone, of another class or elsewhere; or gone where only the control hits."""
    labels = models.truth.labels
    number = round(rate * len(labels))
    if how == "favour":
        table = [match(models.truth, one) for one in models[1:]]
        found = [np.isin(np.arange(len(labels)), t.found[(t.score >= CONF) & (t.hit[0] & 1 != 0)]) for t in table]
        gone = rng.permutation(np.flatnonzero(found[0] & ~found[1]))[:number]
        return models._replace(truth=replace(models.truth, labels=labels.take(~np.isin(np.arange(len(labels)), gone))))
    wrong = rng.permutation(len(labels))[:number]
    gone, other, moved = np.array_split(wrong, 3)
    cls, boxes = labels.cls.copy(), labels.boxes.copy()
    cls[other] = 1 - cls[other]
    boxes[moved] += 0.5 * np.tile(boxes[moved, 2:] - boxes[moved, :2], 2)
    table = replace(labels, cls=cls, boxes=boxes, sides=None).take(~np.isin(np.arange(len(labels)), gone))
    return models._replace(truth=replace(models.truth, labels=table))


def run_sampling(args: argparse.Namespace) -> Iterator[str]:
    """Rows of images drawn by design against images and groups drawn at random."""
    numbers = f"{'by design':>9} {'images':>8} {'groups':>8}   ratio to images, groups; bias"
    yield f"{'differ in':<10} {'metric':<26} {numbers}"
    for share in (0.1, 0.2, 0.5, 1.0):
        errors: dict[str, list[NDArray[np.float64]]] = {}
        for seed in range(4):
            models = _differing(simulated(np.random.default_rng([8, seed]), 300, "even", "middle", 4), share)
            drawn = [_designs(models, 160, run) for run in range(args.runs)]
            for metric in ("recall", "precision", "mAP50"):
                errors.setdefault(metric, []).append(_errors(models, metric, drawn))
        for metric, parts in errors.items():
            found = np.concatenate(parts, axis=1)
            design, images, groups = np.sqrt(np.mean(found**2, axis=1))
            yield (
                f"{share:<10} {metric:<26} {design:>9.4f} {images:>8.4f} {groups:>8.4f}   {design / images:.2f} "
                f"{design / groups:.2f}; {found[0].mean():+.4f}"
            )


def _differing(models: Models, share: float) -> Models:
    """The treatment is the control, but for a share of the groups."""
    groups = sorted(set(models.truth.groups))
    some = set(groups[:: round(1 / share)])
    inside = np.array([group in some for group in models.truth.groups])
    kept = [np.flatnonzero(mask[one.image]) for one, mask in ((models.control, ~inside), (models.treatment, inside))]
    columns = (
        np.concatenate([getattr(one, name)[rows] for one, rows in zip(models[1:], kept, strict=True)])
        for name in ("image", "cls", "boxes", "scores")
    )
    return models._replace(treatment=Predictions(models.control.images, models.control.classes, *columns))


def _designs(models: Models, budget: int, seed: int) -> list[NDArray[np.float64]]:
    """Weight of every image: by design, of images drawn at random, of groups drawn at random."""
    truth, rng = models.truth, np.random.default_rng(seed)
    sample = draw_frames(truth, models.control, models.treatment, "compare", budget=budget, seed=seed).sample
    weight = dict(zip(sample.images, (1 / p for p in sample.probability), strict=True))
    by_design = np.array([weight.get(image.id, 0.0) for image in truth.images])
    images = np.zeros(len(truth.images))
    images[rng.permutation(len(images))[:budget]] = 1.0
    names, group = np.unique(np.array(truth.groups).astype(str), return_inverse=True)
    chosen = rng.permutation(len(names))[: round(budget * len(names) / len(images))]
    return [by_design, images, np.isin(group, chosen).astype(np.float64)]


def _errors(models: Models, metric: str, drawn: list[list[NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Return (3, runs) estimate less the difference by all labels."""
    spec, alone = ComparisonSpec(metric=metric), np.arange(len(models.truth.images))
    weights = np.array([[np.ones(len(alone))] * 3, *drawn])  # (1 + runs, 3, n)
    flat = weights.reshape(-1, len(alone)).T
    first, second = (
        replicates(match_for_metric(models.truth, one, spec, None), metric, alone, flat) for one in models[1:]
    )
    values = (second - first).reshape(-1, 3).T
    return values[:, 1:] - values[:, :1]


def run_real(args: argparse.Namespace) -> Iterator[str]:
    """Rows of one labelled set."""
    truth = read_truth(args.truth, groups=args.groups, split=args.split, images=args.images)
    models = Models(truth, *(align(truth, read_predictions(path, truth)) for path in (args.control, args.treatment)))
    for share in args.share:
        found: dict[str, list[Study]] = {metric: [] for metric in METRICS}
        for seed in range(args.runs):
            drawn = resampled(models, np.random.default_rng(seed))
            for metric, study in one_study(drawn, share, METRICS, seed).items():
                found[metric].append(study)
        for metric in METRICS:
            yield line(args.name, metric, found[metric], None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("simulated", "stopping", "sampling", "noise", "real"))
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--control")
    parser.add_argument("--treatment")
    parser.add_argument("--images", type=Path)
    parser.add_argument("--split")
    parser.add_argument("--groups")
    parser.add_argument("--name", default="real")
    parser.add_argument("--kind", nargs="+", default=list(KINDS), choices=KINDS, help="of simulated models")
    parser.add_argument("--cell", nargs="+", default=list(CELLS), choices=CELLS, help="groups of simulated studies")
    parser.add_argument("--share", type=float, nargs="+", default=[0.25])
    args = parser.parse_args()
    asked = {"simulated": run_simulated, "stopping": run_stopping, "sampling": run_sampling, "noise": run_noise,
             "real": run_real}  # fmt: skip
    if args.what in ("simulated", "real"):
        print(HEADER, flush=True)
    for row in asked[args.what](args):
        print(row, flush=True)


if __name__ == "__main__":
    main()
