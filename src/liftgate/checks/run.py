"""Run rules on data sets and a study, collect the findings, and return a rule's page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from liftgate import display
from liftgate.checks.finding import Finding
from liftgate.checks.probes.label_geometry import Geometry
from liftgate.checks.rule import Rule
from liftgate.checks.rules import catalogue
from liftgate.checks.subject import Subject
from liftgate.errors import UsageError
from liftgate.progress import Progress, silent
from liftgate.suggestions import did_you_mean

_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class IgnoredFinding:
    """A finding that was ignored, and the reason."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The findings of `check`, the most severe first."""

    findings: tuple[Finding, ...]
    ignored: tuple[IgnoredFinding, ...]
    rules: tuple[str, ...]
    """ids of the rules that ran"""
    n_images: int
    n_boxes: int
    datasets: tuple[str, ...]
    geometry: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """data set → result of the label geometry probe, also without a finding; empty where the rule did not run"""
    contaminated: str = ""
    """Which locked images were compared with predictions, and why; empty: none were"""

    @property
    def ok(self) -> bool:
        """Return whether no finding is an error, so that a run may start."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """Return how many findings there are of each severity."""
        found = Counter(finding.severity for finding in self.findings)
        return {severity: found[severity] for severity in ("error", "warning", "info")}

    def _repr_html_(self) -> str:
        colours = {"error": "#b91c1c", "warning": "#d97706", "info": "#6b7280"}
        rows = [
            {"severity": one.severity, "finding": one.id, "where": one.where, "message": one.message, "hint": one.hint}
            for one in self.findings
        ]
        foot = f"{self.n_images:,} images, {self.n_boxes:,} boxes, {len(self.rules)} rules"
        title = "No errors: a run may start" if self.ok else f"{self.counts['error']} errors: a run stops here"
        return display.bar_svg(self.counts, colours) + display.html_table(title, rows, foot)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; other programs rely on the names."""
        return {
            "ok": self.ok,
            "findings": [finding.to_dict() for finding in self.findings],
            "ignored": [one.finding.to_dict() | {"reason": one.reason} for one in self.ignored],
            "counts": self.counts,
            "rules": list(self.rules),
            "datasets": list(self.datasets),
            "geometry": {name: dict(answer) for name, answer in self.geometry.items()},
            "n_images": self.n_images,
            "n_boxes": self.n_boxes,
        } | ({"contaminated": self.contaminated} if self.contaminated else {})


def run(
    subject: Subject,
    *,
    select: Sequence[str] | None = None,
    ignore: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> CheckResult:
    """Run every rule on `subject`.

    Args:
        subject: the data sets, and the study if there is one.
        select: ids or families of the rules to run (`labels` means every `labels.…`); None: all.
        ignore: id or family → reason. Its findings are kept in `ignored`, so that the record shows them.
        progress: called before each rule.

    Raises:
        UsageError: no rule has one of the ids, no rule is selected, or an ignored id has no reason.
    """
    rules = {rule.id: rule for rule in catalogue()}
    chosen, reasons = validate_selection(select, ignore)
    subject = replace(subject, progress=progress)
    findings: list[Finding] = []
    for done, id_ in enumerate(chosen):
        progress("checks", done, len(chosen))
        findings += rules[id_](subject)
    progress("checks", len(chosen), len(chosen))
    findings.sort(key=lambda finding: (_ORDER[finding.severity], finding.id))  # stable: keeps the order within an id
    return CheckResult(
        findings=tuple(finding for finding in findings if finding.id not in reasons),
        ignored=tuple(IgnoredFinding(finding, reasons[finding.id]) for finding in findings if finding.id in reasons),
        rules=chosen,
        n_images=sum(len(dataset.images) for dataset in subject.datasets.values()),
        n_boxes=sum(len(dataset.labels) for dataset in subject.datasets.values()),
        datasets=tuple(subject.datasets),
        geometry={
            name: _geometry_record(subject.geometry(name)) for name in subject.datasets if "labels.geometry" in chosen
        },
    )


def validate_selection(
    select: Sequence[str] | None, ignore: Mapping[str, str] | None
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the ids of the rules that run, and the reason of each id whose findings are ignored.

    Raises:
        UsageError: no rule has one of the ids, no rule is selected, or an ignored id has no reason.
    """
    rules = {rule.id: rule for rule in catalogue()}
    chosen = sorted(rules) if select is None else sorted({id_ for word in select for id_ in _matching_ids(word, rules)})
    if not chosen:
        raise UsageError("no finding is selected", hint="name ids or families, such as labels; leave it out for all")
    return tuple(chosen), _reasons(ignore or {}, rules)


def _geometry_record(found: Geometry | None) -> dict[str, Any]:
    """Return the probe's result as JSON values; a result of "fits" is no finding, so it is recorded here only."""
    if found is None:
        return {"answer": "not decidable", "images": 0, "why": "too few images with large boxes in different places"}
    stored, best = found.stored, found.best
    against = {"transform": best.transform, "ridge": round(best.ridge, 3), "gain": round(best.gain, 2)}
    return {
        "answer": found.answer,
        "images": found.n_images,
        "ridge": round(stored.ridge, 3),
        "z": round(stored.z, 2),
        "best_other": against,
    }


def explain(id_: str) -> str:
    """Return the page of a rule: what it finds, why it matters, how to fix it.

    Raises:
        UsageError: for an id that no rule has, with the most similar id as the hint.
    """
    rules = {rule.id: rule for rule in catalogue()}
    if id_ not in rules:
        raise _unknown(id_, rules)
    return page(rules[id_])


def page(rule: Rule) -> str:
    """Return a rule's page as Markdown."""
    head = f"# {rule.id}\n\n{rule.summary}\n\nSeverity: {rule.severities}\n"
    return f"{head}\n{rule.why}\n\n## How to fix it\n\n{rule.fix}\n"


def _reasons(ignore: Mapping[str, str], rules: Mapping[str, Rule]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for word, reason in ignore.items():
        if not reason.strip():
            raise UsageError(f"{word} is ignored without a reason", hint=f"--ignore '{word}=why it does no harm here'")
        reasons |= dict.fromkeys(_matching_ids(word, rules), reason.strip())
    return reasons


def _matching_ids(word: str, rules: Mapping[str, Rule]) -> Iterable[str]:
    """Return the ids that an id or a family in --select or --ignore names."""
    if word in rules:
        return (word,)
    family = tuple(id_ for id_ in rules if id_.partition(".")[0] == word.rstrip("."))
    if not family:
        raise _unknown(word, rules)
    return family


def _unknown(word: str, rules: Mapping[str, Rule]) -> UsageError:
    return UsageError(
        f"no finding is called {word!r}", hint=did_you_mean(word, rules) or "`liftgate explain` lists them all"
    )
