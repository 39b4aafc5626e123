"""Check step: findings in the study and its datasets. Errors stop the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from liftgate._version import __version__
from liftgate.checks.finding import Finding
from liftgate.errors import FindingsError
from liftgate.ledger.chain import Ledger
from liftgate.ledger.records import Body, CheckEntry, FindingRow, IgnoreEntry, StepEntry
from liftgate.ledger.results import EvaluateResult, FindingsResult
from liftgate.paths import relative_within
from liftgate.pipeline.context import Context
from liftgate.pipeline.notice import warning
from liftgate.pipeline.step import Results, Step

if TYPE_CHECKING:
    from liftgate.checks.run import CheckResult

_MAX_NAMED_ERRORS = 5
"""The most errors that the message of a stopped run lists; `liftgate check` lists all"""
_GATES = "gate.vacuous"
_CHEAP = ("recipe", "weights", "splits.missing")
"""Rules that need the study and file names only, no images"""


class CheckStep(Step[FindingsResult]):
    """Checks the study; it fails, and is not cached, while there are errors."""

    KIND = "check"
    RESULT = FindingsResult

    def __init__(self, context: Context) -> None:
        self._context = context
        study = context.study
        inputs = {
            "study": study.content_hash(),
            "data": {spec.name: context.datasets.fingerprint(spec.name) for spec in study.datasets},
            "liftgate": __version__,
        }
        super().__init__("check", inputs)

    def work(self, results: Results) -> FindingsResult:
        """Check the study.

        Raises:
            FindingsError: it has errors.
        """
        study, ledger = self._context.study, self._context.ledger
        found = check_study(self._context)
        body = relative_within(found.to_dict(), study.folder)
        ledger.append("check", {"study": study.content_hash(), **body})
        record_ignored(self._context, found)
        if not found.ok:
            raise _errors(found.findings)
        return FindingsResult(body)


def check_study(context: Context) -> CheckResult:
    """Return what all rules find in the study and its data; nothing is recorded."""
    # a plan applies no rules
    from liftgate.checks.run import run as run_rules
    from liftgate.checks.subject import Subject

    subject = Subject(context.datasets.all(), context.study, measured=measured_arms(context.ledger))
    return run_rules(subject, ignore=context.study.ignore, progress=context.progress)


class CheckOutcome(NamedTuple):
    """What preflight.json says of the check."""

    ok: bool | None
    """Whether it found no errors; None: nothing was checked"""
    issues: tuple[FindingRow, ...] | None
    """Errors and warnings; None: nothing was checked"""

    @classmethod
    def of(cls, found: CheckResult) -> CheckOutcome:
        """Return what `check_study` found."""
        rows = (FindingRow.from_body(one.to_dict()) for one in found.findings)
        return cls(found.ok, tuple(row for row in rows if row.severity != "info"))

    @classmethod
    def recorded(cls, context: Context) -> CheckOutcome:
        """Return what the ledger has of this study's last check."""
        entries = [one for one in context.ledger.records(CheckEntry) if one.study == context.study.content_hash()]
        if not entries:
            return cls(None, None)
        return cls(entries[-1].ok, tuple(row for row in entries[-1].findings if row.severity != "info"))

    def to_body(self) -> Body:
        """Return it as plain JSON values."""
        return {"ok": self.ok, "issues": None if self.issues is None else [row.to_body() for row in self.issues]}


def measured_arms(ledger: Ledger) -> dict[tuple[str, str], Mapping[str, float | None]]:
    """Return (arm, dataset.split) → the metrics of its newest evaluation in the ledger."""
    steps = [step for step in ledger.records(StepEntry) if step.kind == "evaluate"]
    results = [EvaluateResult.from_body(step.result) for step in steps]
    return {(one.arm, one.on): one.evaluation.get("metrics", {}) for one in results}


def warn_of_met_targets(context: Context) -> None:
    """Before the first training, warn of gates that the measured baselines pass already, and record the findings."""
    from liftgate.checks.run import run as run_rules
    from liftgate.checks.subject import Subject

    study, ledger = context.study, context.ledger
    measured = measured_arms(ledger)
    if not measured:
        return
    subject = Subject(datasets=context.datasets.all(), study=study, measured=measured)
    found = run_rules(subject, select=[_GATES], ignore=study.ignore)
    for finding in found.findings:
        context.notify(warning("train", f"{finding.message} ({finding.hint})"))
    before = [entry for entry in ledger.records(CheckEntry) if entry.study == study.content_hash()]
    if before and found.findings:
        body = relative_within(found.to_dict(), study.folder)
        new = CheckEntry.from_body({"study": study.content_hash(), **body}).findings
        others = tuple(row for row in before[-1].findings if row.id != _GATES)
        entry = replace(before[-1], findings=(*others, *new))
        counts = {word: sum(row.severity == word for row in entry.findings) for word in found.counts}
        if entry.findings != before[-1].findings:
            ledger.add(replace(entry, counts=counts, ok=not counts["error"]))


def cheap_errors(context: Context) -> list[Finding]:
    """Return the errors that the check step will find and that need no images to find."""
    from liftgate.checks.run import run as run_rules
    from liftgate.checks.subject import Subject

    subject = Subject(datasets=context.datasets.all(), study=context.study)
    found = run_rules(subject, select=_CHEAP, ignore=context.study.ignore).findings
    return [finding for finding in found if finding.severity == "error"]


def record_ignored(context: Context, found: CheckResult) -> None:
    """Record in the ledger which findings are ignored, and why."""
    for one in found.ignored:
        where = relative_within(one.finding.where, context.study.folder)
        context.ledger.add(IgnoreEntry(one.finding.id, where, one.reason))


def _errors(findings: Sequence[Finding]) -> FindingsError:
    errors = [f"  {one.id}, {one.where}: {one.message}" for one in findings if one.severity == "error"]
    more = [f"  and {len(errors) - _MAX_NAMED_ERRORS} more"] if len(errors) > _MAX_NAMED_ERRORS else []
    return FindingsError(
        "check found errors; nothing was trained",
        further=[*errors[:_MAX_NAMED_ERRORS], *more],
        hint="`liftgate check` has details; an id under `ignore:` with a reason lets the study run all the same",
    )
