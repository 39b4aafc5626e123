"""From the ledger of a study to a ReportContent. It reads records and opens pictures; it measures nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from liftgate._version import __version__
from liftgate.checks.finding import Finding, shared_folders
from liftgate.data.core.dataset import Dataset
from liftgate.evaluation.records import Comparison, Evaluation, Verdict
from liftgate.evaluation.spec import STATISTICS
from liftgate.ledger.chain import Ledger
from liftgate.ledger.last_run import LastRun, TrainedStage, trained_stages
from liftgate.ledger.mistake_records import MistakesResult
from liftgate.ledger.records import CheckEntry, DataEntry, FlowEntry, GateEntry, StepEntry, VerdictEntry
from liftgate.ledger.results import ClaimRow, EvaluateResult, ExportResult, GateResult, PredictResult
from liftgate.ledger.workspace import Workspace
from liftgate.ledger.worth_records import WorthEntry
from liftgate.reporting.arm_descriptions import describe, plain_names
from liftgate.reporting.browsing import image_browser, label_samples
from liftgate.reporting.content import (
    ArmContent,
    ClaimContent,
    Contribution,
    Gallery,
    GateContent,
    IgnoredFinding,
    ReportContent,
    Role,
    SettingDifference,
    SplitRow,
)
from liftgate.reporting.curves import arm_slots, precision_recall_charts, training_charts
from liftgate.reporting.evaluation_figures import (
    confidence_bins,
    confusion_matrices,
    read_full_evaluation,
    slice_table,
    threshold_charts,
    threshold_curves,
)
from liftgate.reporting.galleries import ShownImages, galleries
from liftgate.reporting.lineage import setting_differences, verdict_lineage
from liftgate.reporting.missing import last_recorded_steps, missing
from liftgate.reporting.number_format import format_setting, without_folders
from liftgate.reporting.pictures import PictureBudget
from liftgate.reporting.run_rows import as_finding, cost_rows, run_rows
from liftgate.stats.interval import Interval
from liftgate.study.answer import answer_of
from liftgate.study.records import Arm, Gate, Study
from liftgate.study.weights import licence_note

_DEFAULT_CONF = 0.25
_SHOWN_SETTINGS = ("imgsz", "conf", "iou", "max_det", "rect", "batch", "device", "backend", "version")
"""Of a prediction; its settings file has the rest"""
_SEVERITIES = ("error", "warning", "info")


def gather_report(
    study: Study,
    workspace: Workspace,
    ledger: Ledger,
    datasets: Mapping[str, Dataset],
    unreadable: Mapping[str, str] | None = None,
    *,
    show_confidential: bool = False,
) -> ReportContent:
    """Return the report of the last run of a study.

    Args:
        study: the study.
        workspace: its folders.
        ledger: its record.
        datasets: by name; the pictures' pixels and truth.
        unreadable: dataset → why it cannot be read any more; what needs it is left out.
        show_confidential: whether pictures of confidential data are shown as well: a page is passed on easily.
    """
    withheld = [] if show_confidential else [name for name in study.confidential if name in datasets]
    datasets = {name: dataset for name, dataset in datasets.items() if name not in withheld}
    run = last_recorded_steps(ledger)
    answered_by = _answered_by(study, run)
    answers = [gate for gate in study.gates if gate.name == answered_by]
    others = [gate for gate in reversed(study.gates) if gate.name != answered_by]
    budget = PictureBudget()
    judged = [(gate, step) for gate in (*answers, *others) if (step := run.gate(gate.name)) is not None]
    gates = [  # images to look through are those of the answer alone: a page holds so many
        _gate(study, workspace, ledger, gate, step, run, datasets, budget, browse=number == 0)
        for number, (gate, step) in enumerate(judged)
    ]
    findings, ignored, checked = _findings(ledger, study, run.flow)
    arms = {arm.name for arm in study.arms}
    own = [one for one in run.trained if one.result.arm in arms]  # not those on parts of the data
    return ReportContent(
        study=study.name,
        question=without_folders(study.question),
        gates=tuple(gates),
        data=tuple(_split_rows(ledger, study)),
        findings=findings,
        ignored=ignored,
        checked=checked,
        charts=tuple(training_charts(study, [one.result for one in own])),
        label_samples=tuple(_label_samples(study, own, datasets, budget)),
        runs=run_rows(run.trained),
        mistakes=tuple(MistakesResult.from_body(step.result) for step in run.of_kind("mistakes")),
        worth=tuple(WorthEntry.from_body(step.result) for step in run.of_kind("worth")),
        costs=cost_rows(run.steps, run.flow.spent if run.flow else None, study.budget.usd_per_hour),
        versions=_versions(run.trained),
        hashes={"study": study.content_hash(), "ledger head": ledger.head},
        command=f"liftgate report {study.source.name if study.source else 'study.yaml'}",
        run_command=f"liftgate run {study.source.name if study.source else 'study.yaml'}",
        unanswered="" if answers and run.gate(answers[0].name) else _why_unanswered(study, run.flow),
        missing=tuple(missing(workspace, ledger, run, unreadable or {})),
        notes=(*_withheld(withheld), *_notes(run.flow), *_old_statistics(run, study)),
    )


def _withheld(names: Sequence[str]) -> Iterator[str]:
    """Yield the sentence about pictures that are left out."""
    if names:
        yield (
            f"{', '.join(names)} is confidential: the report has no pictures of it. "
            "`liftgate report STUDY --show-confidential` draws them, for a page that stays here."
        )


def _answered_by(study: Study, run: LastRun) -> str | None:
    """Return the gate that answers the question, as the run recorded it or, in an older ledger, by its verdicts."""
    if run.flow is None or run.flow.answered_by is not None or run.flow.answer is not None:
        return run.flow.answered_by if run.flow else None
    words = {step.name: GateResult.from_body(step.result).word for step in run.of_kind("gate")}
    answer = answer_of(study, words)
    return None if answer is None else answer.gate


def _why_unanswered(study: Study, flow: FlowEntry | None) -> str:
    if flow is None:
        return "no run has come to its end"
    if flow.ended:
        return f"the last run ended early ({flow.ended.strip().rstrip('.')})"
    if study.answer is not None and study.answer in flow.skipped:
        return f"the gate that answers it, {study.answer}, was skipped ({flow.skipped[study.answer]})"
    return "no gate that answers it has been judged" if study.gates else "the study has no gate"


class _EvaluatedStep(NamedTuple):
    step: StepEntry
    result: EvaluateResult


class _GateSteps(NamedTuple):
    """The steps that a gate rests on."""

    trained: Sequence[TrainedStage]
    predicted: Sequence[PredictResult]
    evaluated: Sequence[_EvaluatedStep]


def _winner(result: GateResult, needs: Sequence[StepEntry]) -> str | None:
    """Return the arm that won, from what the gate measured or whose exports it proved; None: neither is recorded."""
    exported = [ExportResult.from_body(need.result).arm for need in needs if need.kind == "export"]
    return next((one.arm for one in result.measured_at), next(iter(exported), None))


def _gate(
    study: Study,
    workspace: Workspace,
    ledger: Ledger,
    gate: Gate,
    step: StepEntry,
    run: LastRun,
    datasets: Mapping[str, Dataset],
    budget: PictureBudget,
    browse: bool,
) -> GateContent:
    result = GateResult.from_body(step.result)
    if gate.winner_of:  # the arm that won is part of the result
        gate = replace(gate, arm=_winner(result, run.needs(step)))
    needs = _gate_steps(gate, run.needs(step), result)
    comparison = None if result.comparison is None else Comparison.from_dict(result.comparison)
    roles: tuple[tuple[str | None, Role], ...] = (
        (gate.control, "control"),
        (gate.treatment, "treatment"),
        (gate.arm, "measured"),
    )
    arms = [_arm(study, study.arm(name), role, needs) for name, role in roles if name is not None]
    measured = [arm for arm in arms if arm.evaluation is not None]
    in_full = _full_evaluations(workspace, ledger, needs, measured)
    thresholds = tuple(threshold_curves(measured))
    credited = tuple(
        Contribution(Comparison.from_dict(row), row.get("control_arm", "")) for row in result.evidence_of("attribution")
    )
    named = dict.fromkeys((*(arm.name for arm in arms), *(one.control for one in credited if one.control)))
    metric = gate.metric or (gate.claims[0].metric if gate.claims else "")
    sliced = [in_full.get(arm.name) or arm.evaluation for arm in measured]
    shown = ShownImages.load(workspace, gate, needs.predicted, measured, datasets)
    return GateContent(
        gate=gate,
        verdict=Verdict(result.gate, result.gate_hash, result.word, result.sentence, result.evidence, result.caveats),
        arms=tuple(arms),
        comparison=comparison,
        claims=tuple(_claim(row, gate.level) for row in result.claims),
        differences=_differences(gate, needs.trained),
        galleries=() if shown is None else tuple(galleries(shown, comparison, arms, in_full, budget)),
        browser=None
        if shown is None or not in_full or not browse
        else image_browser(shown.truth, shown.loaded, in_full, conf=shown.conf, budget=budget),
        charts=(*precision_recall_charts(study, arms), *threshold_charts(thresholds, arm_slots(study))),
        thresholds=thresholds,
        confidences=confidence_bins(measured),
        confusions=tuple(confusion_matrices(measured)),
        slices=slice_table(
            metric, gate.by or "group", [arm.name for arm in measured], [one for one in sliced if one], comparison
        ),
        measured_at=result.measured_at,
        contributions=credited,
        names=plain_names([study.arm(name) for name in named]),
        forgetting=tuple(Comparison.from_dict(row) for row in result.evidence_of("forgetting")),
        trace=verdict_lineage(step, run),
        late=_is_late(ledger, gate, result.gate_hash),
    )


def _gate_steps(gate: Gate, needs: Sequence[StepEntry], verdict: GateResult) -> _GateSteps:
    # A control that was measured at two image sizes has two evaluations; the verdict is about one of them.
    used = {(one.arm, one.predictions) for one in verdict.measured_at if one.better_of}
    chosen = {arm for arm, _ in used}
    predicted = [PredictResult.from_body(step.result) for step in needs if step.kind == "predict"]
    steps = [step for step in needs if step.kind == "evaluate"]
    steps = [step for step in steps if _is_evaluation_of(gate, step)] or steps  # or: the study was edited since
    evaluated = [_EvaluatedStep(step, EvaluateResult.from_body(step.result)) for step in steps]
    return _GateSteps(
        trained_stages(needs),
        [  # not those that measure retention on older data
            one for one in predicted if one.on == gate.on and (one.arm not in chosen or (one.arm, one.sha256) in used)
        ],
        sorted(
            (
                one
                for one in evaluated
                if one.result.on == gate.on
                and (one.result.arm not in chosen or (one.result.arm, one.result.evaluation["predictions"]) in used)
            ),
            key=lambda one: one.result.seed,
        ),
    )


def _full_evaluations(
    workspace: Workspace, ledger: Ledger, needs: _GateSteps, arms: Sequence[ArmContent]
) -> dict[str, Evaluation]:
    """Return the first seed's evaluation of each arm with all its images and groups, where its file is there."""
    found = {}
    for arm in arms:
        first = next((one.step for one in needs.evaluated if one.result.arm == arm.name), None)
        full = None if first is None else read_full_evaluation(workspace, ledger, first)
        if full is not None:
            found[arm.name] = full
    return found


def _is_evaluation_of(gate: Gate, step: StepEntry) -> bool:
    """Return whether a step is an evaluation for this gate, and not for the comparison that credits its arm."""
    conf = _DEFAULT_CONF if gate.conf is None else gate.conf
    asked = (conf, gate.level, gate.by is not None)
    return (step.inputs.get("conf"), step.inputs.get("level"), "by" in step.inputs) == asked


def _is_late(ledger: Ledger, gate: Gate, gate_hash: str) -> bool:
    """Whether the gate was written when a verdict of its name was known already."""
    written = next((e.seq for e in ledger.entries("gate") if e.parse(GateEntry).gate_hash == gate_hash), 0)
    return any(e.seq < written for e in ledger.entries("verdict") if e.parse(VerdictEntry).gate == gate.name)


def _differences(gate: Gate, trained: Sequence[TrainedStage]) -> tuple[SettingDifference, ...]:
    """Compare the arms by their first seed: the other seeds have the same recipes."""
    first = min((one.result.seed for one in trained), default=0)
    control, treatment = (
        sorted(
            (one for one in trained if (one.result.arm, one.result.seed) == (arm, first)),
            key=lambda one: one.result.stage,
        )
        for arm in (gate.control, gate.treatment)
    )
    return setting_differences(gate, control, treatment)


def _arm(study: Study, arm: Arm, role: Role, needs: _GateSteps) -> ArmContent:
    evaluations = {
        result.seed: Evaluation.from_dict(result.evaluation) for _, result in needs.evaluated if result.arm == arm.name
    }
    predicted = next((result for result in needs.predicted if result.arm == arm.name), None)
    settings = {} if predicted is None else predicted.settings
    return ArmContent(
        name=arm.name,
        role=role,
        description="; ".join(filter(None, (describe(arm), licence_note(study, arm)))),
        evaluation=next(iter(evaluations.values()), None),
        settings={name: format_setting(settings[name]) for name in _SHOWN_SETTINGS if settings.get(name) is not None},
        by_seed=evaluations if arm.stages else {},
    )


def _claim(row: ClaimRow, level: float) -> ClaimContent:
    low, high = row.interval
    return ClaimContent(
        metric=row.metric,
        value=Interval(
            row.value,
            low,
            high,
            level,
            row.method,
            row.n_images,
            row.n_groups,
            design_effect=row.design_effect,
            n_effective=row.n_effective,
        ),
        at_least=row.threshold,
        side=row.side,
        word=row.word,
        images_needed=row.images_needed,
        groups_needed=row.groups_needed,
        note=row.sentence,
    )


def _label_samples(
    study: Study, trained: Sequence[TrainedStage], datasets: Mapping[str, Dataset], budget: PictureBudget
) -> Iterable[Gallery]:
    """Yield pictures of each dataset that this run trained on."""
    stages = [stage for one in trained for stage in study.arm(one.result.arm).stages]
    used = {name for stage in stages for name in stage.sources}
    for name, dataset in datasets.items():
        if name in used and (gallery := label_samples(name, dataset, budget)) is not None:
            yield gallery


def _split_rows(ledger: Ledger, study: Study) -> list[SplitRow]:
    newest = {entry.dataset: entry for entry in ledger.records(DataEntry)}
    return [
        SplitRow(spec.name, row.split, row.n_images, row.n_groups, row.n_objects, row.note)
        for spec in study.datasets
        if spec.name in newest
        for row in newest[spec.name].splits
    ]


def _findings(
    ledger: Ledger, study: Study, flow: FlowEntry | None
) -> tuple[tuple[Finding, ...], tuple[IgnoredFinding, ...], bool]:
    """Return findings, ignored findings, and whether anything was checked, of the study as the last run had it."""
    checked_study = flow.study if flow else study.content_hash()  # study.yaml may have changed since, or had a `--set`
    checks = [entry for entry in ledger.records(CheckEntry) if entry.study == checked_study]
    if not checks:
        return (), (), False
    newest = checks[-1]
    folders = shared_folders([study.folder / spec.path for spec in study.datasets], study.folder)
    findings = [as_finding(row).without_folders(folders) for row in newest.findings]
    ignored = [IgnoredFinding(as_finding(row).without_folders(folders), row.reason or "") for row in newest.ignored]
    return tuple(sorted(findings, key=lambda one: _SEVERITIES.index(one.severity))), tuple(ignored), True


def _versions(trained: Sequence[TrainedStage]) -> dict[str, str]:
    """Return the versions of the last training: a comparison lists where two runs differ."""
    facts: Mapping[str, Any] = trained[-1].result.facts if trained else {}
    backend = {str(facts["backend"]): facts.get("version")} if "backend" in facts else {}
    others = {name: facts.get(name) for name in ("torch", "numpy", "python", "cuda", "device", "threads")}
    known = {"liftgate": __version__, **backend, **others}
    return {name: format_setting(value) for name, value in known.items() if value is not None}


def _notes(flow: FlowEntry | None) -> tuple[str, ...]:
    if flow is None:
        return ()
    ended = (f"The last run ended early: {flow.ended}",) if flow.ended else ()
    return (*ended, *(f"Skipped: {step} ({reason})" for step, reason in flow.skipped.items()))


def _old_statistics(run: LastRun, study: Study) -> Iterable[str]:
    """Yield a note where verdicts were reached with the intervals and rules of another version."""
    steps = {gate.name: run.gate(gate.name) for gate in study.gates}
    old = [name for name, step in steps.items() if step is not None and step.inputs.get("statistics") != STATISTICS]
    if old:
        yield (
            f"The verdict of {', '.join(old)} has the intervals and rules of another version of Liftgate; those of "
            "0.1.0 are too narrow for uneven groups. `liftgate run` judges again from the stored predictions, without "
            "training"
        )
