"""Rules about licences: missing ones, and conflicts with each other or with the declared use."""

from __future__ import annotations

from collections.abc import Iterator

from liftgate.checks.finding import Finding
from liftgate.checks.messages import first_few
from liftgate.checks.rule import rule
from liftgate.checks.subject import Subject
from liftgate.data.provenance.licences import obligations
from liftgate.study.records import Arm

# Words of a licence that is not in the table of obligations, such as `Acme non-commercial`.
_WORDS = {
    "no commercial use": ("nc", "non-commercial", "noncommercial", "research only", "research-only", "academic"),
    "pass on unchanged only": ("nd", "no-derivatives", "noderivs"),
    "share alike": ("sa", "sharealike", "share-alike", "odbl", "agpl", "gpl"),
}


@rule("licence.missing", "warning")
def missing(subject: Subject) -> Iterator[Finding]:
    """A data set of a study whose licence is written down nowhere.

    Without a licence the data may not be used, and later the page is gone. Weights and data each carry one.

    Fix: `licence:` beside the path in study.yaml (an SPDX name, or `own` for your own recordings).
    """
    for name, dataset in subject.datasets.items() if subject.study else ():
        if not dataset.licence:
            where = f"{subject.study.source or 'study'}, datasets.{name}" if subject.study else name
            yield missing.finding(where, f"no licence is given for {name}", dataset=name)


@rule("licence.conflict", "warning", "error")
def conflict(subject: Subject) -> Iterator[Finding]:
    """Data whose licences do not allow what an arm does with them, or not together, or not for the declared use.

    A study may declare the use of its model (`use: commercial`). An arm that trains on data whose licence forbids
    commercial use is then an error: the two lines contradict each other, whatever the model scores. Non-commercial data
    trained into a model that begins from AGPL weights, or beside share-alike data, gives a model that may not be
    distributed: one licence demands what the other forbids. No-derivatives data may arguably not be trained on at all.
    This is a reading of names, not legal advice.

    Fix: take other data for the arm that ships; keep the restricted data for measuring only. If you hold another
    permission, write its name as the `licence:`, or ignore this finding with that reason.
    """
    for arm in subject.study.arms if subject.study else ():
        licences = _trained_on(subject, arm)
        obliges = {name: _obligations(licence) for name, licence in licences.items()}
        where = f"arm {arm.name}"
        for finding in (_use(subject, licences, obliges), _together(subject, arm, licences, obliges)):
            if finding:
                severity, message, hint = finding
                yield conflict.finding(where, message, severity=severity, hint=hint, licences=licences)  # type: ignore[arg-type]
        closed = [name for name in obliges if "pass on unchanged only" in obliges[name]]
        if closed:
            message = f"trains on {_named(closed, licences)}, which allows no derivatives"
            yield conflict.finding(where, message, licences=licences)


_Conflict = tuple[str, str, str | None]
"""Severity, message and hint"""


def _use(subject: Subject, licences: dict[str, str], obliges: dict[str, frozenset[str]]) -> _Conflict | None:
    """Return the conflict of non-commercial data with `use: commercial`, or None."""
    bound = [name for name in obliges if obliges[name] & {"no commercial use", "research only"}]
    if subject.study is None or subject.study.use != "commercial" or not bound:
        return None
    certain = any(obligations(licences[name]) is not None for name in bound)  # an SPDX name, not a word in a sentence
    message = f"the study declares `use: commercial`, and this trains on {_named(bound, licences)}: no commercial use"
    return "error" if certain else "warning", message, None


def _together(
    subject: Subject, arm: Arm, licences: dict[str, str], obliges: dict[str, frozenset[str]]
) -> _Conflict | None:
    """Return the conflict of non-commercial data with share-alike data or AGPL weights, or None."""
    bound = [name for name in obliges if obliges[name] & {"no commercial use", "research only"}]
    free = [name for name in obliges if "share alike" in obliges[name] and name not in bound]
    weights = arm.stages[0].weights if arm.stages else None
    study = subject.study
    # For research nothing is passed on; for commercial use `_use` has reported already.
    agpl = bool(weights) and study is not None and study.backend_of(arm) == "ultralytics" and study.use is None
    if not bound or not (free or agpl):
        return None
    other = _named(free, licences) if free else f"{weights} (AGPL-3.0, Ultralytics)"
    message = (
        f"trains on {_named(bound, licences)}: no commercial use, together with {other}, "
        "which allows every use and demands the same of what comes from it"
    )
    hint = "set `use: research` in the study if the model is never passed on; else take other data"
    return "warning", message, None if free else hint


def _trained_on(subject: Subject, arm: Arm) -> dict[str, str]:
    names = (name for stage in arm.stages for name in stage.sources if name in subject.datasets)
    return {name: subject.datasets[name].licence or "" for name in names}


def _obligations(licence: str) -> frozenset[str]:
    """Return the obligations of a licence by its SPDX name, or by the words of a name that is not SPDX."""
    known = obligations(licence)
    if known is not None:
        # `proprietary` and `internal` are mostly one's own, and then allow their owner everything.
        return frozenset() if "pass on to nobody" in known else frozenset(known)
    padded = f" {licence.casefold().replace(',', ' ').replace('-', ' ')} "
    return frozenset(
        what for what, words in _WORDS.items() if any(f" {word.replace('-', ' ')} " in padded for word in words)
    )


def _named(names: list[str], licences: dict[str, str]) -> str:
    return first_few(f"{name} ({licences[name]})" for name in names)
