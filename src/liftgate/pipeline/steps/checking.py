"""Check step: findings in the study and its datasets. Errors stop the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from liftgate._version import __version__
from liftgate.checks.finding import Finding
from liftgate.errors import FindingsError
from liftgate.ledger.records import IgnoreEntry
from liftgate.ledger.results import FindingsResult
from liftgate.pipeline.context import Context
from liftgate.pipeline.step import Results, Step

if TYPE_CHECKING:
    from liftgate import checks

_MAX_NAMED_ERRORS = 5
"""The most errors that the message of a stopped run lists; `liftgate check` lists all"""
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
        from liftgate import checks  # a plan applies no rules

        study, ledger = self._context.study, self._context.ledger
        subject = checks.Subject(datasets=self._context.datasets.all(), study=study)
        found = checks.run(subject, ignore=study.ignore, progress=self._context.progress)
        ledger.append("check", {"study": study.content_hash(), **found.to_dict()})
        record_ignored(self._context, found)
        if not found.ok:
            raise _errors(found.findings)
        return FindingsResult(found.to_dict())


def cheap_errors(context: Context) -> list[Finding]:
    """Return the errors that the check step will find and that need no images to find."""
    from liftgate import checks

    subject = checks.Subject(datasets=context.datasets.all(), study=context.study)
    found = checks.run(subject, select=_CHEAP, ignore=context.study.ignore).findings
    return [finding for finding in found if finding.severity == "error"]


def record_ignored(context: Context, found: checks.CheckResult) -> None:
    """Record in the ledger which findings are ignored, and why."""
    for one in found.ignored:
        context.ledger.add(IgnoreEntry(one.finding.id, one.finding.where, one.reason))


def _errors(findings: Sequence[Finding]) -> FindingsError:
    errors = [f"  {one.id}, {one.where}: {one.message}" for one in findings if one.severity == "error"]
    more = [f"  and {len(errors) - _MAX_NAMED_ERRORS} more"] if len(errors) > _MAX_NAMED_ERRORS else []
    return FindingsError(
        "check found errors; nothing was trained",
        further=[*errors[:_MAX_NAMED_ERRORS], *more],
        hint="`liftgate check` has details; an id under `ignore:` with a reason lets the study run all the same",
    )
