"""Turn a data set's reading faults (`Dataset.faults`) into findings: one per kind and data set, with examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from liftgate.checks.finding import Finding, Severity
from liftgate.checks.messages import MAX_EXAMPLES, first_few, plural
from liftgate.checks.rule import Rule
from liftgate.data.core.dataset import Dataset, Fault
from liftgate.data.core.faults import KINDS


def faults_of_kind(dataset: Dataset, *kinds: str) -> list[Fault]:
    """Return the faults of these kinds, in the order of reading."""
    return [fault for fault in dataset.faults if fault.kind in kinds]


def faults_dropping_image(dataset: Dataset) -> list[Fault]:
    """Return the faults for which Ultralytics drops the whole image."""
    return [fault for fault in dataset.faults if fault.kind in KINDS and KINDS[fault.kind].loses == "image"]


def fault_findings(rule: Rule, dataset: Dataset, severities: Mapping[str, Severity]) -> Iterator[Finding]:
    """Yield one finding of `rule` for each kind of fault in `severities` (kind → severity) that the data set has."""
    for kind, severity in severities.items():
        if faults := faults_of_kind(dataset, kind):
            yield rule.finding(
                faults[0].where, describe_faults(kind, faults), severity=severity, kind=kind, **_data(faults)
            )


def describe_faults(kind: str, faults: list[Fault]) -> str:
    """Return the message about all faults of one kind: what is wrong, how often, and the first few places."""
    meaning = KINDS[kind].meaning if kind in KINDS else kind.replace("_", " ")
    named = list(dict.fromkeys(fault.message for fault in faults))[:3]
    if len(faults) == 1:
        return f"{meaning}: {named[0]}"
    places = list(dict.fromkeys(_short(fault) for fault in faults))
    return f"{meaning} ({plural(len(faults), 'time')}; {'; '.join(named)}): {first_few(places)}"


def _short(fault: Fault) -> str:
    """Return the image that the fault names, or the file name, so that messages stay short; `where` has the path."""
    return fault.image or fault.where.rsplit("/", 1)[-1]


def _data(faults: list[Fault]) -> dict[str, Any]:
    return {"count": len(faults), "examples": [f"{fault.where}: {fault.message}" for fault in faults[:MAX_EXAMPLES]]}
