"""Licences: said, and fit to be used together."""

from __future__ import annotations

import re
from collections.abc import Iterator

from liftgate.checks.finding import Finding
from liftgate.checks.places import listed
from liftgate.checks.rule import rule
from liftgate.checks.subject import Subject

_NO_COMMERCE = re.compile(r"(?<![a-z])(nc|non-?commercial|research[- ]only|academic)(?![a-z])", re.IGNORECASE)
_NO_DERIVATIVES = re.compile(r"(?<![a-z])(nd|no-?derivatives|noderivs)(?![a-z])", re.IGNORECASE)
_SHARE_ALIKE = re.compile(r"(?<![a-z])(sa|share-?alike|odbl|agpl|gpl)(?![a-z])", re.IGNORECASE)


@rule("licence.missing", "warning")
def missing(subject: Subject) -> Iterator[Finding]:
    """A data set of a study whose licence nobody has written down.

    Without a licence nobody may use it, and whoever asks later finds the page gone. Weights and data each carry one.

    Mend: `licence:` beside the path in study.yaml (an SPDX name, or `own` for your own recordings).
    """
    for name, dataset in subject.datasets.items() if subject.study else ():
        if not dataset.licence:
            where = f"{subject.study.source or 'study'}, datasets.{name}" if subject.study else name
            yield missing.finding(where, f"no licence is given for {name}", dataset=name)


@rule("licence.conflict", "warning")
def conflict(subject: Subject) -> Iterator[Finding]:
    """Data whose licences do not allow what an arm does with them, or not together.

    Non-commercial data trained into a model that begins from AGPL weights, or beside share-alike data, leaves
    nobody who may pass it on: one demands what the other forbids. No-derivatives data may arguably not be trained
    on at all. This is a reading of names, not legal advice.

    Mend: take other data for the arm that ships; keep the restricted data for measuring only.
    """
    for arm in subject.study.arms if subject.study else ():
        used = {
            name: subject.datasets[name].licence or ""
            for stage in arm.stages
            for name in stage.sources
            if name in subject.datasets
        }
        closed = [name for name, licence in used.items() if _NO_DERIVATIVES.search(licence)]
        if closed:
            message = f"trains on {listed(f'{name} ({used[name]})' for name in closed)}, which allows no derivatives"
            yield conflict.finding(f"arm {arm.name}", message, licences=used)
        bound = [name for name, licence in used.items() if _NO_COMMERCE.search(licence)]
        open_ = [name for name, licence in used.items() if _SHARE_ALIKE.search(licence) and name not in bound]
        weights = arm.stages[0].weights if arm.stages else None
        agpl = bool(weights) and subject.study is not None and subject.study.backend == "ultralytics"
        if bound and (open_ or agpl):
            other = (
                listed(f"{name} ({used[name]})" for name in open_) if open_ else f"{weights} (AGPL-3.0, Ultralytics)"
            )
            message = (
                f"trains on {listed(f'{name} ({used[name]})' for name in bound)}, for no commercial use, "
                f"together with {other}, which allows every use and demands the same of what comes from it"
            )
            yield conflict.finding(f"arm {arm.name}", message, licences=used)
