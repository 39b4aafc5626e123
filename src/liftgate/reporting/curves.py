"""Curves: what runs and evaluations left as points, as charts. Every seed has its line; nothing is averaged."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate.evaluation.records import Evaluation
from liftgate.reporting.content import ArmContent, Chart, Series
from liftgate.reporting.lineage import StepRecord
from liftgate.study.records import Arm, Study

_DRAWN = (
    ("mAP50-95 on val", "metrics", "mAP50-95"),
    ("mAP50 on val", "metrics", "mAP50"),
    ("Keypoint mAP50-95 on val", "metrics", "pose_mAP50-95"),
    ("Keypoint mAP50 on val", "metrics", "pose_mAP50"),
    ("Loss, train", "losses", "train/loss"),
    ("Box loss, train", "losses", "train/box_loss"),
    ("Class loss, train", "losses", "train/cls_loss"),
    ("Keypoint loss, train", "losses", "train/pose_loss"),
)
"""Of a run: title, where in its curve, name."""


def precision_recall_charts(study: Study, arms: Sequence[ArmContent]) -> list[Chart]:
    """Return what a gate's evaluations left as curves, one line for every seed of every arm."""
    slots = _slots(study)
    series = [
        Series(arm.name, tuple(zip(curve["recall"], curve["precision"], strict=True)), slots[arm.name, 0], note=note)
        for arm in arms
        for note, evaluation in _said_of_seeds(arm)
        if (curve := evaluation.curves.get("precision_recall"))
    ]
    return [Chart("Precision over recall, IoU 0.5", tuple(series), "recall", "precision")] if series else []


def _said_of_seeds(arm: ArmContent) -> list[tuple[str, Evaluation]]:
    if arm.by_seed:
        return [(f"seed {seed}", evaluation) for seed, evaluation in arm.by_seed.items()]
    return [] if arm.evaluation is None else [("", arm.evaluation)]


def training_charts(study: Study, trained: Sequence[StepRecord]) -> list[Chart]:
    """Return losses and metrics over epochs, one line for every run: each arm, stage and seed."""
    slots = _slots(study)
    charts = []
    for title, group, key in _DRAWN:
        series = [
            Series(
                _line(arm, stage),
                tuple((epoch["epoch"], epoch.get(group, {}).get(key)) for epoch in step.result["curve"]),
                slots[_key(arm, stage)],
                step.result["facts"].get("best_epoch"),
                f"seed {step.result['seed']}",
            )
            for step in trained
            for arm, stage in ((study.arm(step.result["arm"]), int(step.result["stage"])),)
        ]
        if any(value is not None for line in series for _, value in line.points):
            charts.append(Chart(title, tuple(series)))
    return charts


def _line(arm: Arm, stage: int) -> str:
    return f"{arm.name}, stage {stage}" if len(arm.stages) > 1 else arm.name


def _key(arm: Arm, stage: int) -> tuple[str, int]:
    """An arm's last stage looks like the arm, for its weights are measured; earlier ones have looks of their own."""
    return (arm.name, 0 if stage == len(arm.stages) else stage)


def _slots(study: Study) -> dict[tuple[str, int], int]:
    """Each line's colour: controls and treatments as in their gates' own curves, other arms, then earlier stages."""
    ends = [name for gate in reversed(study.gates) for name in (gate.control, gate.treatment) if name is not None]
    arms = [(name, 0) for name in (*ends, *(arm.name for arm in study.arms))]
    earlier = [_key(arm, stage) for arm in study.arms for stage in range(1, len(arm.stages))]
    return {key: slot for slot, key in enumerate(dict.fromkeys([*arms, *earlier]))}
