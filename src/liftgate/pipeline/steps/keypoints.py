"""PCK beside OKS in the evaluations of a pose study: a metric with an interval, like the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from liftgate.data.core.dataset import Dataset
from liftgate.evaluation.metric_options import Pck
from liftgate.evaluation.records import Evaluation
from liftgate.study.records import Study
from liftgate.study.vocabulary import PCK

_OPTION = Pck.parse("box_diagonal=0.05")


def pck_options(study: Study, truth: Dataset) -> tuple[Pck, ...]:
    """Return the PCK that a study's evaluations have: none without keypoints in task or truth."""
    return (_OPTION,) if study.task == "pose" and truth.keypoints is not None else ()


def with_pck(evaluation: Evaluation) -> Evaluation:
    """Return the evaluation with PCK of all keypoints among its metrics, where it was measured."""
    found = evaluation.pck.get(str(_OPTION), {}).get("all")
    if found is None:
        return evaluation
    metrics: Mapping[str, float | None] = {**evaluation.metrics, PCK: found.estimate}
    return replace(evaluation, metrics=metrics, intervals={**evaluation.intervals, PCK: found})
