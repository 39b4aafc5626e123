"""What more data would bring: a study's arms that differ only in how much they were trained on, extrapolated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from liftgate.errors import UsageError
from liftgate.evaluation.records import Evaluation
from liftgate.hashing import content_hash
from liftgate.ledger.chain import Ledger
from liftgate.ledger.last_run import read_last_run
from liftgate.ledger.results import EvaluateResult
from liftgate.ledger.workspace import Workspace
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.progress import Progress, silent
from liftgate.stats.differences import error_of_width
from liftgate.stats.power_law import LARGEST_FACTOR, LEAST_AMOUNTS, Gain, gain_of_more
from liftgate.study.records import Arm, Study
from liftgate.study.study_file import load

_SHARES = (0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Amount:
    """An arm, and the images that it was trained on."""

    arm: str
    images: int
    value: float
    """Mean over seeds"""
    standard_error: float
    """Of the test images and of the seeds together"""
    seeds: int


@dataclass(frozen=True, slots=True)
class Worth:
    """What more training images would bring."""

    metric: str
    on: str
    """dataset.split"""
    amounts: tuple[Amount, ...]
    more: int
    """Images beyond those of the largest arm"""
    gain: Gain
    hours: float | None
    """Of labelling; None: nobody said how long an image takes"""

    @property
    def text(self) -> str:
        """The answer in sentences."""
        tried = "; ".join(f"{one.images:,} images {one.value:.3f} ± {one.standard_error:.3f}" for one in self.amounts)
        seeds = min(one.seeds for one in self.amounts)
        labelling = "" if self.hours is None else f", {self.hours:,.1f} hours of labelling"
        one_seed = " With one seed, what a training adds by chance is not in the interval." if seeds < 2 else ""
        return (
            f"{self.more:,} more images would bring {100 * self.gain.value:+.1f} points of {self.metric} "
            f"[{100 * self.gain.low:+.1f}, {100 * self.gain.high:+.1f}] on {self.on} ({self.gain.level:.0%} interval, "
            f"power law through {len(self.amounts)} amounts, {seeds} seeds each){labelling}, if they are like those at "
            f"hand. Measured: {tried}.{one_seed}"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        rows = [
            {"arm": one.arm, "images": one.images, "value": one.value, "standard_error": one.standard_error,
             "seeds": one.seeds}
            for one in self.amounts
        ]  # fmt: skip
        return {
            "metric": self.metric, "on": self.on, "more_images": self.more, "gain": self.gain.value,
            "interval": [self.gain.low, self.gain.high], "level": self.gain.level, "hours": self.hours,
            "amounts": rows,
        }  # fmt: skip


def worth(
    study: str | Path,
    more: int | None = None,
    *,
    metric: str | None = None,
    seconds_per_image: float | None = None,
    progress: Progress = silent,
) -> Worth:
    """Return what more training images would bring, from arms of a study that differ only in `take`.

    Args:
        study: study.yaml of a study that ran.
        more: images beyond those of the largest arm; None: as many again.
        metric: that the arms were evaluated by; None: that of the study's first comparison, else mAP50.
        seconds_per_image: how long an image takes to label; None: hours are not said.
        progress: called as data are read.

    Raises:
        UsageError: fewer than three amounts were trained on and evaluated (the message has arms to add), more than
            four times the data are asked for, or the metric was not measured.
    """
    if more is not None and more < 1:
        raise UsageError("more data are at least one image", got=more)
    if seconds_per_image is not None and not 0 < seconds_per_image < 86400:
        raise UsageError("an image takes some seconds to label", got=seconds_per_image)
    opened = load(Path(study))
    workspace = Workspace(opened)
    datasets = StudyDatasets(opened, workspace, progress)
    family = _family(opened, datasets)
    if len(set(family.values())) < LEAST_AMOUNTS:
        raise UsageError(
            "no arms tell what data are worth: three that differ only in how many images they are trained on",
            where=study, got=f"{len(set(family.values()))} amounts", hint=_arms_to_add(opened, datasets),
        )  # fmt: skip
    largest = max(family.values())
    wanted = largest if more is None else more
    if largest + wanted > LARGEST_FACTOR * largest:
        raise UsageError(
            "too far to say: nothing is said beyond four times the data", expected=f"at most {3 * largest:,} more",
            got=wanted, hint="label some, train again, and ask again",
        )  # fmt: skip
    if not workspace.ledger.is_file():
        raise UsageError("the study has not run", where=study, hint=f"liftgate run {study}")
    name = metric or next((gate.metric for gate in opened.gates if gate.is_comparison and gate.metric), "mAP50")
    on, amounts = _measured(Ledger(workspace.ledger), family, name)
    gain = gain_of_more(
        np.array([one.images for one in amounts], dtype=np.float64), np.array([one.value for one in amounts]),
        np.array([one.standard_error for one in amounts]), float(largest + wanted),
    )  # fmt: skip
    hours = None if seconds_per_image is None else wanted * seconds_per_image / 3600
    return Worth(name, on, amounts, wanted, gain, hours)


def _family(study: Study, datasets: StudyDatasets) -> dict[str, int]:
    """Return arm → training images, of the arms that differ in nothing else; the largest such set."""
    found: dict[str, dict[str, int]] = {}
    for arm in study.arms:
        if len(arm.stages) == 1 and len(arm.stages[0].mix) <= 1:
            found.setdefault(_without_take(arm), {})[arm.name] = _images(arm, datasets)
    return max(found.values(), key=lambda arms: len(set(arms.values())), default={})


def _without_take(arm: Arm) -> str:
    (stage,) = arm.stages
    repeat = stage.mix[0].repeat if stage.mix else 1
    return content_hash([stage.sources, repeat, replace(stage, mix=())])


def _images(arm: Arm, datasets: StudyDatasets) -> int:
    (stage,) = arm.stages
    if stage.mix and stage.mix[0].take is not None:
        return stage.mix[0].take
    return sum(image.split == "train" for image in datasets.dataset(stage.sources[0]).images)


def _measured(ledger: Ledger, family: Mapping[str, int], metric: str) -> tuple[str, tuple[Amount, ...]]:
    """Return the split on which most arms were measured, and the metric of each arm there."""
    by_split: dict[str, dict[str, list[Evaluation]]] = {}
    for step in read_last_run(ledger).of_kind("evaluate"):
        result = EvaluateResult.from_body(step.result)
        if result.arm in family:
            evaluation = Evaluation.from_dict(dict(result.evaluation))
            by_split.setdefault(result.on, {}).setdefault(result.arm, []).append(evaluation)
    on, arms = max(by_split.items(), key=lambda one: len(one[1]), default=("", {}))
    if len({family[name] for name in arms}) < LEAST_AMOUNTS:
        hint = "gates that compare these arms evaluate them: run the study to its end"
        raise UsageError("fewer than three of the arms were evaluated on one split", got=sorted(arms), hint=hint)
    rows = [_amount(name, family[name], found, metric) for name, found in arms.items()]
    return on, tuple(sorted(rows, key=lambda one: one.images))


def _amount(arm: str, images: int, found: Sequence[Evaluation], metric: str) -> Amount:
    values, errors = [], []
    for one in found:
        value, interval = one.metrics.get(metric), one.intervals.get(metric)
        error = None if interval is None else error_of_width(interval)
        if value is None or error is None:
            known = ", ".join(sorted(one.intervals))
            raise UsageError(
                f"{metric} of {arm} has no interval", expected=known, hint="too few groups, or no such metric"
            )
        values.append(value)
        errors.append(error)
    seeds = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    return Amount(
        arm, images, float(np.mean(values)), max(1e-6, math.sqrt(float(np.mean(errors)) ** 2 + seeds)), len(values)
    )


def _arms_to_add(study: Study, datasets: StudyDatasets) -> str:
    """Return arms to paste, made of the study's first arm that is trained in one stage."""
    arm = next((one for one in study.arms if len(one.stages) == 1 and len(one.stages[0].sources) == 1), None)
    if arm is None:
        return "arms of one stage on one data set, with `data: [{dataset: NAME, take: N}]`"
    name = arm.stages[0].sources[0]
    whole = sum(image.split == "train" for image in datasets.dataset(name).images)
    takes = ", ".join(f"{{dataset: {name}, take: {max(1, round(share * whole))}}}" for share in _SHARES)
    return f"copies of the arm {arm.name} with `data: [part]`, part one of {takes}, and gates that compare them"
