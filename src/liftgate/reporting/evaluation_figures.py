"""Figures of evaluations beyond metrics: thresholds, confidences, confusions, slices. Nothing is computed here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from liftgate.documents import LARGE, load_json
from liftgate.errors import DataError
from liftgate.evaluation.calibration import bin_edges
from liftgate.evaluation.metric_names import LESS_IS_BETTER
from liftgate.evaluation.records import Comparison, Evaluation
from liftgate.hashing import file_hash, short
from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import EvaluationEntry, LedgerRecord, StepEntry
from liftgate.ledger.results import EvaluateResult
from liftgate.ledger.workspace import Workspace
from liftgate.reporting.content import (
    ArmContent,
    Chart,
    ConfidenceBin,
    ConfusionMatrix,
    Series,
    SliceRow,
    SliceTable,
    ThresholdCurve,
)
from liftgate.stats.interval import Interval

_MOST_CLASSES = 30
"""A larger confusion matrix is not drawn: it is in the file of the evaluation"""
_MOST_SLICES = 60
"""Rows of a table of slices"""


def read_full_evaluation(workspace: Workspace, ledger: Ledger, step: StepEntry) -> Evaluation | None:
    """Return the evaluation of a step with all its images and groups; None: its file is gone, or has no hash.

    Raises:
        DataError: the file is not the one on record.
    """
    recorded = [entry.sha256 for entry in ledger.records(EvaluationEntry) if entry.step == step.key]
    path = evaluation_file(workspace, step)
    if not recorded or recorded[-1] is None or not path.is_file():
        return None
    if (found := file_hash(path)) != recorded[-1]:
        hint = "restore it from a copy, or delete it: the report then goes without the figures that only it has"
        expected, got = short(recorded[-1]), short(found)
        raise DataError("not the evaluation on record", where=path, expected=expected, got=got, hint=hint)
    return Evaluation.from_dict(load_json(path, LARGE))


def evaluation_file(workspace: Workspace, step: StepEntry) -> Path:
    """Return the file that an evaluate step writes."""
    result = EvaluateResult.from_body(step.result)
    folder = workspace.evaluations
    return folder / f"{result.arm}-seed-{result.seed}-on-{result.on}-{step.key[:12]}.json"


def threshold_curves(arms: Sequence[ArmContent]) -> Iterator[ThresholdCurve]:
    """Yield the counts of each arm's first seed at every threshold, where its evaluation has them."""
    for arm in arms:
        curve = arm.evaluation.curves.get("confidence", {}) if arm.evaluation else {}
        if "n_right" not in curve or not curve["n_objects"][0]:
            continue
        names = ("conf", "n_right", "n_detections", "precision", "recall", "f1")
        values = {name: tuple(curve[name]) for name in names}
        yield ThresholdCurve(arm=arm.name, n_objects=curve["n_objects"][0], **values)


def threshold_charts(curves: Sequence[ThresholdCurve], slots: Mapping[str, int]) -> list[Chart]:
    """Return precision, recall and F1 over the confidence threshold, a line for each arm."""
    charts = []
    for title, name in (("Precision", "precision"), ("Recall", "recall"), ("F1", "f1")):
        series = tuple(
            Series(one.arm, tuple(zip(one.conf, getattr(one, name), strict=True)), slots[one.arm]) for one in curves
        )
        if series:
            charts.append(Chart(f"{title} over the threshold", series, "confidence threshold"))
    return charts


def confidence_bins(arms: Sequence[ArmContent]) -> dict[str, tuple[ConfidenceBin, ...]]:
    """Return each arm's detections by confidence, where its evaluation has them."""
    found = {}
    for arm in arms:
        kept = arm.evaluation.calibration if arm.evaluation else {}
        if not kept.get("n_detections"):
            continue
        counts = kept["n"]
        edges = bin_edges(len(counts))
        found[arm.name] = tuple(
            ConfidenceBin(low, high, n, share)
            for low, high, n, share in zip(edges, edges[1:], counts, kept["precision"], strict=False)
        )
    return found


def confusion_matrices(arms: Sequence[ArmContent]) -> Iterator[ConfusionMatrix]:
    """Yield the confusion matrix of each arm, where its evaluation has one of few enough classes."""
    for arm in arms:
        errors = arm.evaluation.errors if arm.evaluation else {}
        if errors and 1 < len(errors["classes"]) <= _MOST_CLASSES:
            rows = tuple(tuple(row) for row in errors["confusion"])
            yield ConfusionMatrix(arm.name, errors["conf"], tuple(errors["classes"]), rows)


def slice_table(
    metric: str, by: str, arms: Sequence[str], evaluations: Sequence[Evaluation], comparison: Comparison | None
) -> SliceTable | None:
    """Return one metric by slice; None: the evaluations have none.

    Args:
        metric: of the gate.
        by: what the slices are.
        arms: names, as many as evaluations.
        evaluations: with their slices.
        comparison: whose slices have differences; None: one arm.
    """
    names = dict.fromkeys(name for one in evaluations for name in one.slices)
    compared = comparison.slices if comparison else {}
    rows = [
        SliceRow(name, first["n_images"], first["n_groups"], values, *_difference(compared.get(name)))
        for name in names
        if (first := next(one.slices[name] for one in evaluations if name in one.slices))
        if (values := tuple(one.slices.get(name, {}).get("metrics", {}).get(metric) for one in evaluations))
        if any(value is not None for value in values)
    ]
    if len(rows) < 2:
        return None
    ranked = sorted(rows, key=lambda row: _rank(row.values[-1], metric))
    return SliceTable(metric, by, tuple(arms), tuple(ranked[:_MOST_SLICES]), len(rows))


def _rank(value: float | None, metric: str) -> float:
    if value is None:
        return math.inf
    return -value if metric in LESS_IS_BETTER else value


@dataclass(frozen=True, slots=True)
class _SliceDifference(LedgerRecord):
    """A slice of a comparison as it is recorded."""

    delta: float | None
    interval: tuple[float | None, float | None]
    level: float
    method: str
    n_images: int
    n_groups: int
    p_holm: float | None = None
    note: str = ""


def _difference(row: Mapping[str, object] | None) -> tuple[Interval | None, float | None]:
    if row is None:
        return None, None
    one = _SliceDifference.from_body(row)
    if one.delta is None:
        return None, None
    low, high = one.interval
    return Interval(one.delta, low, high, one.level, one.method, one.n_images, one.n_groups, note=one.note), one.p_holm
