"""The months of a study beside each other: every run of one ledger, and which version was in use after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from liftgate.files import write_text
from liftgate.ledger.chain import Ledger
from liftgate.ledger.entry import Entry
from liftgate.ledger.last_run import LastRun, read_runs
from liftgate.ledger.model_records import PromotionEntry
from liftgate.ledger.production_records import DriftEntry
from liftgate.ledger.records import DataEntry, FlowEntry, VerdictEntry
from liftgate.ledger.results import EvaluateResult, GateResult
from liftgate.progress import duration
from liftgate.reporting import number_format
from liftgate.reporting.page import environment

PAGE = "months.html"
_NONE_PROMOTED = "none promoted yet"
_SHOWN = ("mAP50", "mAP50-95", "OKS-mAP50-95", "recall", "precision")


@dataclass(frozen=True, slots=True)
class MeasuredCell:
    """One metric of one arm on one split."""

    arm: str
    on: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    level: float | None
    """Of the interval"""
    n_images: int
    n_groups: int

    @property
    def text(self) -> str:
        """The value with its interval, or what is missing of it."""
        value = number_format.number(self.value)
        if self.low is None or self.high is None or self.level is None:
            return f"{value} (no interval)"
        return f"{value} [{number_format.number(self.low)}, {number_format.number(self.high)}] ({self.level:.0%})"


@dataclass(frozen=True, slots=True)
class LabelledData:
    """One data set as it was when the run began."""

    dataset: str
    split: str
    n_images: int
    n_objects: int


@dataclass(frozen=True, slots=True)
class MonthContent:
    """One run."""

    ended: str
    """Day and time, UTC"""
    study_hash: str
    answer: str | None
    """None: the question was not reached"""
    verdicts: tuple[tuple[str, str, str], ...]
    """Gate, word, sentence"""
    measured: tuple[MeasuredCell, ...]
    labels: tuple[LabelledData, ...]
    spent: str
    """All training of this study until then"""
    champion: str | None
    """In use after this run; None: no registry was given"""
    basis: str
    drift: tuple[str, ...]
    """What `liftgate drift` said since the run before"""

    @property
    def measured_arms(self) -> tuple[tuple[MeasuredCell, ...], ...]:
        """The metrics of each arm on each split that have the same basis, together."""
        found: dict[tuple[str, str, int, int], list[MeasuredCell]] = {}
        for one in self.measured:
            found.setdefault((one.arm, one.on, one.n_images, one.n_groups), []).append(one)
        return tuple(map(tuple, found.values()))


def gather_months(ledger: Ledger, registry: Ledger | None, usd_per_hour: float | None) -> tuple[MonthContent, ...]:
    """Return every run of a study that went to an answer or an end, oldest first.

    Args:
        ledger: of the study.
        registry: ledger of the registry of models; None: which version is in use is not known.
        usd_per_hour: price of the machine; None: unknown.
    """
    flows = ledger.entries(FlowEntry.KIND)
    data, drifts = ledger.entries(DataEntry.KIND), ledger.entries(DriftEntry.KIND)
    promotions = None if registry is None else registry.entries(PromotionEntry.KIND)
    starts = [0, *(flow.seq for flow in flows)]
    ends = [*(flow.time for flow in flows[1:]), None]
    return tuple(
        _month(run, flow, start, end, data, drifts, promotions, usd_per_hour)
        for run, flow, start, end in zip(read_runs(ledger), flows, starts, ends, strict=False)
    )


def write_months(study: str, months: Sequence[MonthContent], path: Path) -> Path:
    """Write the page and return its path.

    Args:
        study: its name.
        months: oldest first.
        path: of the HTML file.
    """
    write_text(path, environment().get_template("months.html.j2").render(study=study, months=months))
    return path


def _month(
    run: LastRun, flow: Entry, start: int, end: str | None, data: Sequence[Entry], drifts: Sequence[Entry],
    promotions: Sequence[Entry] | None, usd_per_hour: float | None,
) -> MonthContent:  # fmt: skip
    record = flow.parse(FlowEntry)
    used = [one for one in promotions or () if end is None or one.time < end]
    promotion = used[-1].parse(PromotionEntry) if used else None
    champion = promotion.version if promotion else None if promotions is None else _NONE_PROMOTED
    spent = record.spent
    hours = "unknown" if spent is None else duration(spent.seconds)
    usd = None if spent is None else spent.usd(usd_per_hour)
    return MonthContent(
        ended=flow.time[:16].replace("T", " "),
        study_hash=record.study,
        answer=record.answer,
        verdicts=tuple(_verdicts(run)),
        measured=tuple(_measured(run)),
        labels=tuple(_labels(one for one in data if one.seq < flow.seq)),
        spent=hours if usd is None else f"{hours}, {number_format.money(usd)}",
        champion=champion,
        basis="" if promotion is None else promotion.basis,
        drift=tuple(_drift(one.parse(DriftEntry)) for one in drifts if start < one.seq < flow.seq),
    )


def _drift(found: DriftEntry) -> str:
    """Return what was found, by the names of the folders: where they lie means nothing on a page."""
    of_days = found.reference == f"{found.production} before"
    against = "the days before" if of_days else Path(found.reference).name
    moved = ", ".join(f"{row.statistic} of {row.camera}" for row in found.rows if row.word == "drift")
    return f"{found.answer} in {Path(found.production).name} against {against}" + (f": {moved}" if moved else "")


def _verdicts(run: LastRun) -> Iterator[tuple[str, str, str]]:
    for step in run.of_kind("gate"):
        verdict: VerdictEntry = GateResult.from_body(step.result)
        yield verdict.gate, verdict.word, verdict.sentence


def _measured(run: LastRun) -> Iterator[MeasuredCell]:
    for step in run.of_kind("evaluate"):
        result = EvaluateResult.from_body(step.result)
        intervals: Mapping[str, Sequence[float | None] | None] = result.evaluation.get("intervals") or {}
        measured = result.evaluation
        for metric, value in measured.get("metrics", {}).items():
            low, high = intervals.get(metric) or (None, None)
            if metric in _SHOWN:
                yield MeasuredCell(
                    result.arm, result.on, metric, value, low, high, measured.get("level"), measured.get("n_images", 0),
                    measured.get("n_groups", 0),
                )  # fmt: skip


def _labels(entries: Iterator[Entry]) -> Iterator[LabelledData]:
    newest = {record.dataset: record for record in (entry.parse(DataEntry) for entry in entries)}
    for record in newest.values():
        for split in record.splits:
            yield LabelledData(record.dataset, split.split, split.n_images, split.n_objects)
