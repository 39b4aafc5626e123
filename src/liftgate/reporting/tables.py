"""The report's tables as rows, header first, for CSV files. Numbers are not rounded; None: no value."""

from __future__ import annotations

from liftgate.evaluation.records import Evaluation
from liftgate.ledger.mistake_records import MistakesResult
from liftgate.reporting.content import ArmContent, GateContent, ReportContent
from liftgate.reporting.page import class_columns, metric_names
from liftgate.stats.interval import Interval

Rows = list[tuple[object, ...]]
_BASIS = ("value", "low", "high", "level", "method", "n_images", "n_groups")
_SETTINGS = ("imgsz", "conf", "iou", "kept_conf", "nms_iou")


def verdict_rows(content: ReportContent) -> Rows:
    """Return a row for every comparison and every claim: the measured value, the threshold and the verdict."""
    rows: Rows = [("gate", "metric", "of", *_BASIS, "against", "verdict", *_SETTINGS)]
    for gate in content.gates:
        name, word, settings = gate.gate.name, gate.verdict.word, _settings(gate)
        if gate.comparison:
            of = f"{gate.gate.treatment} - {gate.gate.control}"
            rows.append(
                (
                    name,
                    gate.comparison.metric,
                    of,
                    *_basis(gate.comparison.delta),
                    gate.comparison.margin,
                    word,
                    *settings,
                )
            )
        for one in gate.claims:
            against = f"{one.side} {one.at_least:g}"
            rows.append((name, one.metric, gate.gate.arm, *_basis(one.value), against, one.word, *settings))
    return rows


def figure_rows(gate: GateContent) -> Rows:
    """Return a row per metric, arm and seed: value, interval, method and sample; an untrained arm has no seed."""
    return [
        ("metric", "arm", "seed", *_BASIS, *_SETTINGS),
        *(
            (metric, arm.name, seed, *_measured(evaluation, metric), *_settings(gate, arm.name))
            for metric in metric_names(gate)
            for arm in gate.arms
            for seed, evaluation in _by_seed(arm)
        ),
    ]


def class_rows(gate: GateContent) -> Rows:
    """Return a row per class, arm and seed: point values."""
    measured = [(arm.name, seed, evaluation) for arm in gate.arms for seed, evaluation in _by_seed(arm)]
    if not measured:
        return [()]
    columns = class_columns(measured[0][2])
    rows: Rows = [("class", "arm", "seed", *columns)]
    for name in measured[0][2].per_class:
        rows += [
            (name, arm, seed, *(evaluation.per_class.get(name, {}).get(column) for column in columns))
            for arm, seed, evaluation in measured
        ]
    return rows


def mistake_rows(found: MistakesResult) -> Rows:
    """Return a row per suspected mistake in labels, the most suspicious first."""
    head = ("kind", "image", "group", "label", "model", "left", "top", "right", "bottom", "suspicion")
    return [
        head,
        *((one.kind, one.image, one.group, one.label, one.model, *one.box, one.suspicion) for one in found.rows),
    ]


def slice_rows(gate: GateContent) -> Rows:
    """Return a row per slice, metric, arm and seed; empty: the gate names no slices."""
    rows: Rows = []
    for arm in gate.arms:
        for seed, evaluation in _by_seed(arm):
            for name, part in evaluation.slices.items():
                sample = (part["n_images"], part["n_groups"])
                for metric, value in part["metrics"].items():
                    basis = (value, *part["intervals"][metric], evaluation.level, part["methods"][metric], *sample)
                    rows.append((name, metric, arm.name, seed, *basis))
    return [("slice", "metric", "arm", "seed", *_BASIS), *rows] if rows else []


def _settings(gate: GateContent, arm: str | None = None) -> tuple[object, ...]:
    """Return the settings of the measurement, of one arm or of all; where these differ, `control / treatment`."""
    rows = [one for one in gate.measured_at if arm in (None, one.arm)]
    columns = [[getattr(one, name) for one in rows] for name in _SETTINGS]
    return tuple(
        None if not values else values[0] if len(set(values)) == 1 else " / ".join(map(str, values))
        for values in columns
    )


def _by_seed(arm: ArmContent) -> list[tuple[int | None, Evaluation]]:
    if arm.by_seed:
        return list(arm.by_seed.items())
    return [] if arm.evaluation is None else [(None, arm.evaluation)]


def _measured(evaluation: Evaluation, metric: str) -> tuple[object, ...]:
    if metric in evaluation.intervals:
        return _basis(evaluation.intervals[metric])
    value = evaluation.metrics.get(metric)
    return (value, None, None, evaluation.level, None, evaluation.n_images, evaluation.n_groups)


def _basis(value: Interval) -> tuple[object, ...]:
    return (value.estimate, value.low, value.high, value.level, value.method, value.n_images, value.n_groups)
