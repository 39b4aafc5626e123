"""Diagnose one run by every rule, and report runs that are copies of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from liftgate import display
from liftgate.backends import sidecar
from liftgate.checks.finding import Finding
from liftgate.diagnosis import ending_rules, learning_rules, record_rules, schedule_rules
from liftgate.diagnosis.schedule import planned_epochs
from liftgate.diagnosis.symptom import Symptom
from liftgate.diagnosis.trace import Trace, filled, head_curves, read_trace
from liftgate.errors import DataError, UsageError
from liftgate.ledger.recorded_files import require_unchanged_predictions, require_unchanged_run

_MIN_EPOCHS = 15  # epochs under which most rules cannot judge the shape of a curve

RULES: tuple[Callable[[Trace], Iterator[Symptom]], ...] = (
    learning_rules.non_finite_loss,
    schedule_rules.warmup_short,
    learning_rules.diverged,
    learning_rules.never_learned,
    record_rules.val_is_train,
    learning_rules.forgetting,
    schedule_rules.lr_ignored,
    ending_rules.stopped_rising,
    schedule_rules.lr_exhausted,
    ending_rules.patience_short,
    learning_rules.overfit,
    learning_rules.oscillation,
    learning_rules.plateau,
    record_rules.batch_halved,
    record_rules.duplicate_epoch,
    record_rules.no_step,
)
"""In the order of importance of their findings"""
RULES_OF_OTHERS: tuple[Callable[[Trace], Iterator[Symptom]], ...] = (
    learning_rules.non_finite_loss,
    learning_rules.diverged,
    learning_rules.never_learned,
    record_rules.augmentation_off,
    ending_rules.stopped_rising,
    learning_rules.overfit,
    learning_rules.oscillation,
    learning_rules.plateau,
    record_rules.duplicate_epoch,
)
"""Of other trainers: what the shape of a curve shows, and nothing about Ultralytics' schedules and logs"""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Findings about one run."""

    source: Path
    findings: tuple[Finding, ...]
    best_epoch: int | None
    """from 1, by Ultralytics' fitness; None: the file has no such column"""
    epochs: int
    curve: tuple[float | None, ...] = field(default=(), repr=False)
    """Validation metric of every epoch, to draw; empty: none was readable"""

    def _repr_html_(self) -> str:
        rows = [
            {"severity": one.severity, "finding": one.id, "message": one.message, "hint": one.hint}
            for one in self.findings
        ]
        best = "" if self.best_epoch is None else f", best epoch {self.best_epoch}"
        mark = None if self.best_epoch is None else self.best_epoch - 1
        picture = display.curve_svg(self.curve, mark, "validation metric by epoch")
        title = f"{len(rows)} findings" if rows else "Nothing found"
        return picture + display.html_table(title, rows, f"{self.source}: {self.epochs} epochs{best}")

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values; their names are part of the interface (docs/output.md)."""
        return {
            "findings": [finding.to_dict() for finding in self.findings],
            "best_epoch": self.best_epoch,
            "epochs": self.epochs,
            "source": str(self.source),
        }


def doctor(
    run: Path | str,
    *,
    truth: Path | str | None = None,
    predictions: Path | str | None = None,
    split: str | None = None,
) -> Diagnosis:
    r"""Read a run folder or results.csv of any Ultralytics training, or another curve, and return what went wrong.

    As `diagnose`, for one run; see there for the arguments.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     csv = Path(folder) / "results.csv"
    ...     _ = csv.write_text("epoch,metrics/mAP50(B),metrics/mAP50-95(B)\n1,0.1,0.05\n2,0.3,0.1\n")
    ...     found = doctor(csv)
    >>> found.epochs, found.best_epoch, [finding.id for finding in found.findings]
    (2, 2, ['trace.too_short'])
    """
    places = {"truth": truth, "predictions": predictions}
    known = {name: None if place is None else Path(place) for name, place in places.items()}
    return diagnose([Path(run)], split=split, **known)[0]


def diagnose(
    paths: Sequence[Path],
    *,
    truth: Path | None = None,
    predictions: Path | None = None,
    split: str | None = None,
) -> list[Diagnosis]:
    """Read run folders or results.csv files and return what went wrong in each.

    Args:
        paths: run folders or results.csv files; metrics.jsonl of LibreYOLO, metrics.csv of Lightning.
        truth: data.yaml, COCO JSON or VOC folder with the labels of `predictions`; with both, classes that the model
            never finds are reported too.
        predictions: those of the run's model, in any format that `liftgate evaluate` reads.
        split: split of `truth`; by default val where there is one.

    Raises:
        DataError: a path has no readable curve, or is a run of Liftgate that was changed afterwards.
        UsageError: only one of truth and predictions is given, or they are given with several runs.
    """
    traces = [read_trace(path) for path in paths]
    for trace in traces:
        require_unchanged_run(trace.source.parent)
        if not sidecar.begins_as_saved(trace.source.parent, trace.source.name):
            hint = "run the study again: the paused training goes on from its side-car, and writes this file anew"
            what = f"{trace.source.name} is not what the training had written when it stopped"
            raise DataError(what, where=trace.source, hint=hint)
    repeats = _repeats(traces)
    found = [_with_findings(examine(trace), [repeats[i]] if i in repeats else []) for i, trace in enumerate(traces)]
    if truth is None and predictions is None:
        return found
    if truth is None or predictions is None or len(paths) != 1:
        hint = "liftgate doctor RUN --truth data.yaml --predictions predictions.json"
        raise UsageError("truth and predictions go together, and are of one run", hint=hint)
    symptoms = _class_symptoms(truth, predictions, split)
    return [_with_findings(found[0], [symptom.finding(str(predictions)) for symptom in symptoms])]


def examine(trace: Trace) -> Diagnosis:
    """Apply every rule to one trace."""
    if not len(trace):
        return Diagnosis(trace.source, (_no_epoch_finished(trace),), None, 0)
    usual = RULES if trace.trainer == "Ultralytics" else RULES_OF_OTHERS
    rules = (record_rules.duplicate_epoch,) if trace.interleaved else usual
    symptoms = [symptom for rule in rules for symptom in rule(trace)]
    findings = [symptom.finding(str(trace.source)) for symptom in symptoms]
    if _detected_nothing(trace) and not any(finding.id == "trace.never_learned" for finding in findings):
        findings.append(_nothing_detected_yet(trace))
    elif len(filled(trace)) < _MIN_EPOCHS and not findings:
        findings.append(_too_short(trace))
    curve = next((curve.values for curve in head_curves(trace)), ())
    return Diagnosis(trace.source, tuple(findings), _best_epoch(trace), len(trace), tuple(map(float, curve)))


def _best_epoch(trace: Trace) -> int | None:
    fitness = trace.fitness
    if fitness is None or not np.isfinite(fitness).any():
        fitness = trace.column("metrics/mAP50(B)")
    if fitness is None or not np.isfinite(fitness).any():
        return None
    return int(trace.epochs[int(np.nanargmax(fitness))])


def _too_short(trace: Trace) -> Finding:
    message = f"too few epochs to judge a curve by: {len(trace)}"
    hint = f"what an epoch shows lies within noise and warm-up; most rules need at least {_MIN_EPOCHS}"
    return Finding("trace.too_short", "info", str(trace.source), message, hint, {"epochs": len(trace)})


def _cut_short(trace: Trace) -> Finding:
    last, planned = int(trace.epochs[-1]), planned_epochs(trace)
    message = f"it ended at epoch {last} of {planned}, at more than half of its peak learning rate: too early to judge"
    hint = "at a high rate metrics swing by more than they gain: let the schedule come to its end"
    return Finding("trace.too_short", "info", str(trace.source), message, hint, {"epochs": last, "planned": planned})


def _nothing_detected_yet(trace: Trace) -> Finding:
    epochs = "any epoch" if len(trace) > 1 else "the only epoch"
    message = f"nothing was found in {epochs} (of {len(trace)}): it is too early to say why"
    hint = (
        "the warm-up takes at least 100 iterations, with few images most of the run: let it go on, and let "
        "`liftgate check` look at the labels meanwhile"
    )
    return Finding("trace.too_short", "info", str(trace.source), message, hint, {"epochs": len(trace)})


def _detected_nothing(trace: Trace) -> bool:
    curves = [trace.column(f"metrics/{name}") for name in ("mAP50(B)", "accuracy_top1")]
    known = [curve for curve in curves if curve is not None and np.isfinite(curve).any()]
    return bool(known) and all(float(np.nanmax(curve)) < 0.02 for curve in known)


def _no_epoch_finished(trace: Trace) -> Finding:
    hint = "the run ended before its first epoch did: its log says why"
    return Finding("trace.too_short", "info", str(trace.source), "no epoch was finished", hint, {"epochs": 0})


def _repeats(traces: Sequence[Trace]) -> dict[int, Finding]:
    """Return a finding for each run that agrees with an earlier one in every figure but the time."""
    first: dict[bytes, int] = {}
    found = {}
    for i, trace in enumerate(traces):
        names = sorted(name for name in trace.columns if name != "time")
        fingerprint = b"".join(name.encode() + trace.columns[name].tobytes() for name in names)
        if len(trace) < 3 or fingerprint not in first:
            first.setdefault(fingerprint, i)
            continue
        other = traces[first[fingerprint]].source
        message = f"the same run as {other} to the last digit: a repeat, not another seed"
        hint = "seeds that differ give curves that differ; both ran with the same one"
        found[i] = Finding("trace.repeat", "warning", str(trace.source), message, hint, {"same_as": str(other)})
    return found


def _class_symptoms(truth: Path, predictions: Path, split: str | None) -> Iterator[Symptom]:
    # Imported here: matching compiles kernels, and most diagnoses need none.
    from liftgate.data.detections import read_predictions
    from liftgate.data.formats.read import read
    from liftgate.diagnosis.missing_classes import classes_never_found
    from liftgate.evaluation.truth import read_truth
    from liftgate.ledger.lockbox import require_unlocked

    measured = read_truth(truth, split=split)
    require_unlocked(measured, "use val for the doctor")
    require_unchanged_predictions(predictions)
    whole = read(truth)
    trained = whole.split("train") if "train" in whole.splits else None
    return classes_never_found(measured, read_predictions(predictions, measured), trained)


def _with_findings(diagnosis: Diagnosis, extra: Sequence[Finding]) -> Diagnosis:
    return replace(diagnosis, findings=(*diagnosis.findings, *extra))
