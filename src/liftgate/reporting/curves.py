"""Charts of trainings and evaluations. Every seed has a line of its own; nothing is averaged or smoothed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from liftgate.evaluation.records import Evaluation
from liftgate.ledger.results import EpochRow, TrainResult
from liftgate.reporting.content import ArmContent, Chart, Series
from liftgate.study.records import Arm, Study

_TRAINING_CHARTS: tuple[tuple[str, Literal["metrics", "losses"], str], ...] = (
    ("mAP50-95 on val", "metrics", "mAP50-95"),
    ("mAP50 on val", "metrics", "mAP50"),
    ("Keypoint mAP50-95 on val", "metrics", "pose_mAP50-95"),
    ("Keypoint mAP50 on val", "metrics", "pose_mAP50"),
    ("Loss, train", "losses", "train/loss"),
    ("Box loss, train", "losses", "train/box_loss"),
    ("Class loss, train", "losses", "train/cls_loss"),
    ("Keypoint loss, train", "losses", "train/pose_loss"),
)
"""Title, group of values, name of the value"""


def precision_recall_charts(study: Study, arms: Sequence[ArmContent]) -> list[Chart]:
    """Return precision over recall of a gate's evaluations, one line for every seed of every arm."""
    slots = _slots(study)
    series = [
        Series(arm.name, tuple(zip(curve["recall"], curve["precision"], strict=True)), slots[arm.name, 0], note=note)
        for arm in arms
        for note, evaluation in _evaluations_by_seed(arm)
        if (curve := evaluation.curves.get("precision_recall"))
    ]
    return [Chart("Precision over recall, IoU 0.5", tuple(series), "recall", "precision")] if series else []


def _evaluations_by_seed(arm: ArmContent) -> list[tuple[str, Evaluation]]:
    if arm.by_seed:
        return [(f"seed {seed}", evaluation) for seed, evaluation in arm.by_seed.items()]
    return [] if arm.evaluation is None else [("", arm.evaluation)]


def training_charts(study: Study, trained: Sequence[TrainResult]) -> list[Chart]:
    """Return losses and metrics over epochs, one line for every arm, stage and seed."""
    slots = _slots(study)
    charts = []
    for title, group, name in _TRAINING_CHARTS:
        series = [_training_series(study, result, group, name, slots) for result in trained]
        if any(value is not None for line in series for _, value in line.points):
            charts.append(Chart(title, tuple(series)))
    return charts


def _training_series(
    study: Study,
    result: TrainResult,
    group: Literal["metrics", "losses"],
    name: str,
    slots: Mapping[tuple[str, int], int],
) -> Series:
    arm = study.arm(result.arm)
    return Series(
        _line(arm, result.stage),
        tuple((row.epoch, _values(row, group).get(name)) for row in result.epoch_rows),
        slots[_key(arm, result.stage)],
        result.training_facts.best_epoch,
        f"seed {result.seed}",
    )


def _values(row: EpochRow, group: Literal["metrics", "losses"]) -> Mapping[str, float | None]:
    return row.metrics if group == "metrics" else row.losses


def _line(arm: Arm, stage: int) -> str:
    return f"{arm.name}, stage {stage}" if len(arm.stages) > 1 else arm.name


def _key(arm: Arm, stage: int) -> tuple[str, int]:
    """Return the key of a line's style: an arm's last stage, whose weights are measured, has the style of the arm."""
    return (arm.name, 0 if stage == len(arm.stages) else stage)


def arm_slots(study: Study) -> dict[str, int]:
    """Return the line style of each arm."""
    return {name: slot for (name, stage), slot in _slots(study).items() if stage == 0}


def _slots(study: Study) -> dict[tuple[str, int], int]:
    """Return the style of each line: controls and treatments first, then other arms, then earlier stages."""
    ends = [name for gate in reversed(study.gates) for name in (gate.control, gate.treatment) if name is not None]
    arms = [(name, 0) for name in (*ends, *(arm.name for arm in study.arms))]
    earlier = [_key(arm, stage) for arm in study.arms for stage in range(1, len(arm.stages))]
    return {key: slot for slot, key in enumerate(dict.fromkeys([*arms, *earlier]))}
