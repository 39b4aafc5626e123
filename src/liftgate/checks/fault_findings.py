"""Turn what the readers could not read (`Dataset.faults`) into findings: one per kind and data set, with examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from liftgate.checks.finding import Finding, Severity
from liftgate.checks.messages import KEPT, listed, many
from liftgate.checks.rule import Rule
from liftgate.data.core.dataset import Dataset, Fault
from liftgate.data.core.faults import KINDS


def of_kind(dataset: Dataset, *kinds: str) -> list[Fault]:
    """Return the faults of these kinds, in the order of reading."""
    return [fault for fault in dataset.faults if fault.kind in kinds]


def losing_image(dataset: Dataset) -> list[Fault]:
    """Return the faults for which Ultralytics drops the whole image."""
    return [fault for fault in dataset.faults if fault.kind in KINDS and KINDS[fault.kind].loses == "image"]


def fault_findings(rule: Rule, dataset: Dataset, severities: Mapping[str, Severity]) -> Iterator[Finding]:
    """Yield one finding of `rule` for every kind of fault in `severities` that the reader found."""
    for kind, severity in severities.items():
        met = of_kind(dataset, kind)
        if met:
            yield rule.finding(met[0].where, message(kind, met), severity=severity, kind=kind, **_data(met))


def message(kind: str, met: list[Fault]) -> str:
    """Describe the faults: what, how often, and the first few."""
    meaning = KINDS[kind].meaning if kind in KINDS else kind.replace("_", " ")
    named = list(dict.fromkeys(fault.message for fault in met))[:3]
    if len(met) == 1:
        return f"{meaning}: {named[0]}"
    places = list(dict.fromkeys(_short(fault) for fault in met))
    return f"{meaning} ({many(len(met), 'time')}; {'; '.join(named)}): {listed(places)}"


def _short(fault: Fault) -> str:
    """The image where the fault names one, else the end of the path: messages stay readable, `where` has it all."""
    return fault.image or fault.where.rsplit("/", 1)[-1]


def _data(met: list[Fault]) -> dict[str, Any]:
    return {"count": len(met), "examples": [f"{fault.where}: {fault.message}" for fault in met[:KEPT]]}
