"""The check step: findings in the study and its datasets. Errors stop the run."""

from __future__ import annotations

from collections.abc import Sequence

from liftgate import checks
from liftgate._version import __version__
from liftgate.checks.finding import Finding
from liftgate.errors import FindingsError
from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Result, Step

_NAMED = 5
"""How many errors a run that stops names; `liftgate check` has them all"""
_CHEAP = ("recipe", "weights", "splits.missing")
"""Rules that look at the study and at names, at no image"""


def cheap_errors(context: Context) -> list[Finding]:
    """Return the errors that the check step is sure to find and that cost nothing to foresee."""
    subject = checks.Subject(datasets=context.datasets.all(), study=context.study)
    found = checks.run(subject, select=_CHEAP, ignore=context.study.ignore).findings
    return [finding for finding in found if finding.severity == "error"]


def check_step(context: Context) -> Step:
    """Return the step that looks for findings; it fails, and is not cached, while there are errors."""
    study, datasets = context.study, context.datasets

    def work(_: tuple[Result, ...]) -> Result:
        subject = checks.Subject(datasets=datasets.all(), study=study)
        result = checks.run(subject, ignore=study.ignore, progress=context.progress)
        record = result.to_dict()
        context.ledger.append("check", {"study": study.content_hash(), **record})
        for one in result.ignored:
            context.ledger.append("ignore", {"id": one.finding.id, "where": one.finding.where, "reason": one.reason})
        if not result.ok:
            raise _errors(result.findings)
        return record

    inputs = {
        "study": study.content_hash(),
        "data": {spec.name: datasets.fingerprint(spec.name) for spec in study.datasets},
        "liftgate": __version__,
    }
    return Step("check", "check", inputs, work)


def _errors(findings: Sequence[Finding]) -> FindingsError:
    errors = [f"  {one.id}, {one.where}: {one.message}" for one in findings if one.severity == "error"]
    more = [f"  and {len(errors) - _NAMED} more"] if len(errors) > _NAMED else []
    return FindingsError(
        "\n".join(["check found errors; nothing was trained", *errors[:_NAMED], *more]),
        hint="`liftgate check` says more; an id under `ignore:` with a reason lets the study run all the same",
    )
