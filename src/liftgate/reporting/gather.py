"""Gather: from the ledger of a study to a ReportContent. It looks things up and opens pictures; it measures nothing.

The newest `flow` entry says which steps the last run went through, by key; the `step` entries with those keys hold
their results. So a report shows one run of one study, also where the ledger remembers many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from liftgate._version import __version__
from liftgate.checks.finding import Finding
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.evaluation.records import Comparison, Evaluation, Verdict
from liftgate.ledger import Ledger
from liftgate.ledger.workspace import Workspace
from liftgate.reporting.content import (
    ArmContent,
    ClaimContent,
    Gallery,
    GateContent,
    IgnoredFinding,
    ReportContent,
    Role,
    SettingDifference,
    SplitRow,
)
from liftgate.reporting.curves import precision_recall_charts, training_charts
from liftgate.reporting.lineage import StepRecord, format_setting, setting_differences, verdict_lineage
from liftgate.reporting.pictures import picture
from liftgate.reporting.run_rows import cost_rows, run_rows
from liftgate.stats.interval import Interval
from liftgate.study.records import Arm, Gate, Study

_PICTURES = 6  # in each gallery
_DEFAULT_CONF = 0.25
# What a reader asks of detections; the predictions file has the rest.
_SETTINGS = ("imgsz", "conf", "iou", "max_det", "rect", "batch", "device", "backend", "version")


def gather_report(study: Study, workspace: Workspace, ledger: Ledger, datasets: Mapping[str, Dataset]) -> ReportContent:
    """Return the report of the last run of a study; `datasets` give the pictures their pixels and truth."""
    steps = _steps_of_last_run(ledger)
    trained = [step for step in steps.values() if step.kind == "train"]
    gates = [
        _gate(study, workspace, ledger, gate, steps, datasets)
        for gate in reversed(study.gates)
        if any(step.kind == "gate" and step.name == gate.name for step in steps.values())
    ]
    findings, ignored, checked = _findings(ledger, study)
    return ReportContent(
        study=study.name,
        question=study.question,
        gates=tuple(gates),
        data=tuple(_data_rows(ledger, study)),
        findings=findings,
        ignored=ignored,
        checked=checked,
        charts=tuple(training_charts(study, trained)),
        runs=run_rows(trained),
        costs=cost_rows(steps.values(), _spent(ledger), study.budget.usd_per_hour),
        versions=_versions(trained),
        hashes={"study": study.content_hash(), "ledger head": ledger.head},
        command=f"liftgate report {study.source.name if study.source else 'study.yaml'}",
        notes=_notes(ledger, study),
    )


def _steps_of_last_run(ledger: Ledger) -> dict[str, StepRecord]:
    flows = ledger.entries("flow")
    wanted = set(flows[-1].body["steps"]) if flows else set()
    found: dict[str, StepRecord] = {}
    for entry in ledger.entries("step"):
        if entry.body["key"] in wanted:
            found[entry.body["key"]] = StepRecord(**{name: entry.body[name] for name in StepRecord._fields})
    return found


def _gate(
    study: Study,
    workspace: Workspace,
    ledger: Ledger,
    gate: Gate,
    steps: Mapping[str, StepRecord],
    datasets: Mapping[str, Dataset],
) -> GateContent:
    decided = next(step for step in steps.values() if step.kind == "gate" and step.name == gate.name)
    found = [steps[key] for key in decided.needs.values() if key in steps]
    needs = [step for step in found if step.result.get("on", gate.on) == gate.on]  # not those of old data
    verdict = Verdict(**_known(Verdict, decided.result))
    compared = decided.result.get("comparison")
    comparison = None if compared is None else Comparison.from_dict(compared)
    roles: tuple[tuple[str | None, Role], ...] = (
        (gate.control, "control"),
        (gate.treatment, "treatment"),
        (gate.arm, "measured"),
    )
    arms = [
        _arm(study, name, role, [step for step in needs if step.result.get("arm") == name])
        for name, role in roles
        if name is not None
    ]
    return GateContent(
        gate=gate,
        verdict=verdict,
        arms=tuple(arms),
        comparison=comparison,
        claims=tuple(
            _claim(row, gate.level) for row in decided.result["evidence"] if row["kind"] == "claim" and "method" in row
        ),
        differences=_differences(gate, needs),
        galleries=tuple(_galleries(study, workspace, gate, needs, comparison, arms, datasets)),
        charts=tuple(precision_recall_charts(study, arms)),
        trace=verdict_lineage(decided, verdict.gate_hash, steps),
        late=_is_late(ledger, gate, verdict.gate_hash),
    )


def _is_late(ledger: Ledger, gate: Gate, gate_hash: str) -> bool:
    written = next((e.seq for e in ledger.entries("gate") if e.body["gate_hash"] == gate_hash), 0)
    return any(e.seq < written for e in ledger.entries("verdict") if e.body.get("gate") == gate.name)


def _differences(gate: Gate, needs: list[StepRecord]) -> tuple[SettingDifference, ...]:
    """Of the first seed: the other seeds have the same recipes."""
    trained = [step for step in needs if step.kind == "train"]
    first = min((step.result["seed"] for step in trained), default=0)
    control, treatment = (
        sorted(
            (step for step in trained if (step.result["arm"], step.result["seed"]) == (arm, first)),
            key=lambda step: int(step.result["stage"]),
        )
        for arm in (gate.control, gate.treatment)
    )
    return setting_differences(gate, control, treatment)


def _arm(study: Study, name: str, role: Role, steps: list[StepRecord]) -> ArmContent:
    evaluations = {
        step.result["seed"]: Evaluation.from_dict(step.result)
        for step in sorted(steps, key=_seed)
        if step.kind == "evaluate"
    }
    predicted = next((step for step in steps if step.kind == "predict"), None)
    settings = {} if predicted is None else predicted.result["settings"]
    return ArmContent(
        name=name,
        role=role,
        description=_description(study.arm(name)),
        evaluation=next(iter(evaluations.values()), None),
        settings={name: format_setting(settings[name]) for name in _SETTINGS if settings.get(name) is not None},
        by_seed=evaluations if study.arm(name).stages else {},
    )


def _seed(step: StepRecord) -> int:
    return int(step.result.get("seed") or 0)


def _description(arm: Arm) -> str:
    if not arm.stages:
        return f"{_file_name(arm.weights)}, off the shelf"
    texts = []
    for stage in arm.stages:
        recipe = ", ".join(f"{key} {format_setting(value)}" for key, value in stage.recipe.items())
        texts.append(f"{_file_name(stage.weights) or 'then'} → {stage.described_data} ({recipe or 'default recipe'})")
    return " → ".join(texts)


def _file_name(weights: str | None) -> str:
    """Where this machine keeps a file stays at home; its hash is in the record."""
    return Path(weights).name if weights and Path(weights).is_absolute() else weights or ""


def _claim(row: Mapping[str, Any], level: float) -> ClaimContent:
    low, high = row["interval"]
    return ClaimContent(
        metric=row["metric"],
        value=Interval(
            row["value"],
            low,
            high,
            level,
            row["method"],
            row["n_images"],
            row["n_groups"],
            design_effect=row["design_effect"],
            n_effective=row["n_effective"],
        ),
        at_least=row["threshold"],
        side=row.get("side", "at least"),
        word=row["word"],
        images_needed=row["images_needed"],
        groups_needed=row["groups_needed"],
        note=row["sentence"],
    )


def _galleries(
    study: Study,
    workspace: Workspace,
    gate: Gate,
    needs: list[StepRecord],
    comparison: Comparison | None,
    arms: list[ArmContent],
    datasets: Mapping[str, Dataset],
) -> list[Gallery]:
    name, _, split = gate.on.rpartition(".")
    if name not in datasets:
        return []
    truth = datasets[name].split(split)
    conf = gate.conf if gate.conf is not None else _DEFAULT_CONF
    loaded: dict[str, Predictions] = {}
    for arm in arms:
        files = [step.result for step in needs if step.kind == "predict" and step.result.get("arm") == arm.name]
        if files and (workspace.folder / files[0]["file"]).is_file():
            loaded[arm.name] = coco.read_recorded(workspace.folder / files[0]["file"], truth, None)
    place = {image.id: number for number, image in enumerate(truth.images)}

    def gallery(title: str, rows: list[Mapping[str, Any]], note: str) -> Gallery:
        pictures = (
            picture(truth, place[row["id"]], loaded, conf=conf, note=_said(row)) for row in rows if row["id"] in place
        )
        return Gallery(title, tuple(pictures), note)

    found: list[Gallery] = []
    last = arms[-1]
    if comparison is not None:
        changed = [row for row in comparison.images if row.get("change")]
        better = _one_of_each_group([row for row in changed if row["change"] > 0])
        worse = _one_of_each_group([row for row in changed if row["change"] < 0])
        note = f"By the change of F1 per image at confidence {conf:g}, first seed; one image of each group."
        found += [
            gallery(title, rows, note) for title, rows in (("Most harmed", worse), ("Most improved", better)) if rows
        ]
    if last.evaluation is not None and last.evaluation.images:
        rows = _one_of_each_group([row for row in last.evaluation.images if row["fp"] or row["fn"]])
        note = f"Most missed and falsely found objects at confidence {conf:g}; one image of each group."
        found.append(gallery(f"Worst images of {last.name}", rows, note))
    return [one for one in found if one.pictures]


def _one_of_each_group(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first rows of different groups: six frames of one video are one picture six times."""
    first: dict[object, Mapping[str, Any]] = {}
    for row in rows:
        first.setdefault(row["group"] or row["id"], row)
    return list(first.values())[:_PICTURES]


def _said(row: Mapping[str, Any]) -> str:
    if "change" in row:
        return f"F1 {row['control']:.2f} → {row['treatment']:.2f}"
    return f"{row['tp']} found, {row['fn']} missed, {row['fp']} false"


def _spent(ledger: Ledger) -> Mapping[str, Any] | None:
    flows = ledger.entries("flow")
    return flows[-1].body.get("spent") if flows else None


def _data_rows(ledger: Ledger, study: Study) -> list[SplitRow]:
    newest = {entry.body["dataset"]: entry.body for entry in ledger.entries("data")}
    return [
        SplitRow(name, row["split"], row["n_images"], row["n_groups"], row["n_objects"], row.get("note", ""))
        for name in (spec.name for spec in study.datasets)
        if name in newest
        for row in newest[name]["splits"]
    ]


def _findings(ledger: Ledger, study: Study) -> tuple[tuple[Finding, ...], tuple[IgnoredFinding, ...], bool]:
    flows = ledger.entries("flow")  # what the last run asked: study.yaml may have other words since, or had a `--set`
    asked = flows[-1].body["study"] if flows else study.content_hash()
    entries = [entry.body for entry in ledger.entries("check") if entry.body["study"] == asked]
    if not entries:
        return (), (), False
    order = {"error": 0, "warning": 1, "info": 2}
    home = f"{study.folder}/"  # the report travels; where this machine keeps the study stays at home

    def finding(row: Mapping[str, Any]) -> Finding:
        words = {name: str(row[name]).replace(home, "") for name in ("where", "message", "hint")}
        return Finding(**{**_known(Finding, row), **words})

    findings = [finding(row) for row in entries[-1]["findings"]]
    ignored = [IgnoredFinding(finding(row), row["reason"]) for row in entries[-1].get("ignored", ())]
    return tuple(sorted(findings, key=lambda one: order[one.severity])), tuple(ignored), True


def _versions(trained: list[StepRecord]) -> dict[str, str]:
    """Of what trained last: the comparison says where two runs differ."""
    facts = trained[-1].result["facts"] if trained else {}
    backend = {str(facts["backend"]): facts.get("version")} if "backend" in facts else {}
    others = {name: facts.get(name) for name in ("torch", "numpy", "python", "cuda", "device", "threads")}
    known = {"liftgate": __version__, **backend, **others}
    return {name: format_setting(value) for name, value in known.items() if value is not None}


def _notes(ledger: Ledger, study: Study) -> tuple[str, ...]:
    flows = ledger.entries("flow")
    notes = [f"The last run ended early: {flows[-1].body['ended']}"] if flows and flows[-1].body["ended"] else []
    if flows:
        notes += [f"Skipped: {word} ({why})" for word, why in flows[-1].body["skipped"].items()]
    return tuple(notes)


def _known(record: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(record)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items() if name in names}
