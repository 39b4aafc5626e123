"""Typed records: one frozen dataclass for each kind of entry, and for each part that entries have in common.

`to_body` returns the JSON values that stand in the ledger and `from_body` reads them back. Keys that a class does not
have are ignored and fields with a default may be missing, so that entries of other versions can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Self

from liftgate.errors import LedgerError
from liftgate.study.records import VerdictWord

Body = Mapping[str, Any]
"""Plain JSON values by name, as an entry holds them."""


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """Base of everything that is written into an entry."""

    KIND: ClassVar[str] = ""
    """Kind of the entry; empty: a part of one"""
    OMITTED: ClassVar[frozenset[str]] = frozenset()
    """Fields that are left out of the body while they are None."""

    def to_body(self) -> Body:
        """Return the JSON values that the ledger holds."""
        values = {one.name: _plain(getattr(self, one.name)) for one in fields(self)}
        return {name: value for name, value in values.items() if value is not None or name not in self.OMITTED}

    @classmethod
    def from_body(cls, body: Body) -> Self:
        """Return the record that `to_body` wrote.

        Raises:
            LedgerError: a value is missing or has another type.
        """
        import msgspec  # `liftgate ledger --help` needs none

        try:
            return msgspec.convert(body, cls)
        except msgspec.ValidationError as error:
            hint = "it was written by another version of Liftgate: `liftgate ledger show --json` has it as it is"
            raise LedgerError(f"{cls.KIND or cls.__name__}: {error}", hint=hint) from None


def _plain(value: object) -> object:
    if isinstance(value, LedgerRecord):
        return value.to_body()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class StudyEntry(LedgerRecord):
    """The question, before anything is done about it."""

    KIND: ClassVar[str] = "study"

    hash: str
    """`Study.content_hash()`"""
    name: str
    question: str


@dataclass(frozen=True, slots=True)
class FrozenSplit(LedgerRecord):
    """The file that a split is frozen in."""

    file: str
    """Relative to the folder of the ledger"""
    sha256: str


@dataclass(frozen=True, slots=True)
class SplitSummary(LedgerRecord):
    """What one split of a dataset holds."""

    OMITTED: ClassVar[frozenset[str]] = frozenset({"marks", "identities"})

    split: str
    """Empty: the dataset has no splits."""
    n_images: int = 0
    n_groups: int = 0
    n_objects: int = 0
    locked: bool = False
    images: str = ""
    """Hash of the images"""
    marks: str | None = None
    """Of a locked split: 24 characters for each image, by which copies of it are recognised; None: an older ledger"""
    identities: str | None = None
    """Of a locked split: SHA-256 of its file in `locked/`, by which copies are recognised; None: an older ledger"""
    truth: str = ""
    """Hash of images, labels and classes"""
    note: str = ""
    """Licence, origin, `confidential`, `locked`"""


@dataclass(frozen=True, slots=True)
class DataEntry(LedgerRecord):
    """A dataset as a run found it."""

    KIND: ClassVar[str] = "data"
    OMITTED: ClassVar[frozenset[str]] = frozenset({"split"})

    dataset: str
    fingerprint: str
    """Hash of pixels, labels, groups and splits"""
    splits: tuple[SplitSummary, ...]
    split: FrozenSplit | None = None
    """None: the splits are the dataset's own."""


@dataclass(frozen=True, slots=True)
class GateEntry(LedgerRecord):
    """A gate, written before it is evaluated."""

    KIND: ClassVar[str] = "gate"

    gate: str
    gate_hash: str
    replaces: str | None
    """Hash of the gate that had this name before"""
    body: Body
    """The gate's keys and values"""


@dataclass(frozen=True, slots=True)
class FindingRow(LedgerRecord):
    """A finding, as `liftgate.checks.finding.Finding.to_dict` writes it."""

    OMITTED: ClassVar[frozenset[str]] = frozenset({"reason"})

    id: str
    severity: Literal["error", "warning", "info"]
    where: str
    message: str
    hint: str
    data: Body = field(default_factory=dict)
    reason: str | None = None
    """Of an ignored finding: why it is ignored"""


@dataclass(frozen=True, slots=True)
class CheckEntry(LedgerRecord):
    """What `check` found in a study."""

    KIND: ClassVar[str] = "check"

    study: str
    """Hash of the study"""
    ok: bool
    findings: tuple[FindingRow, ...]
    ignored: tuple[FindingRow, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """severity → number of findings"""
    rules: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    geometry: Body = field(default_factory=dict)
    n_images: int = 0
    n_boxes: int = 0


@dataclass(frozen=True, slots=True)
class Spent(LedgerRecord):
    """What the training of a study has taken so far."""

    hours: float
    """By the clock: what a machine is paid by"""
    gpu_hours: float
    """The same, counted once for each device of a run"""
    kwh: float | None
    """Energy of the GPUs; None: unknown"""

    @property
    def seconds(self) -> float:
        """The same by the clock, in seconds."""
        return self.hours * 3600

    def usd(self, rate: float | None) -> float | None:
        """Return the money at a rate per hour; None: there is no rate."""
        return None if rate is None else self.hours * rate


@dataclass(frozen=True, slots=True)
class FlowEntry(LedgerRecord):
    """One run of the flow, from its first step to its end."""

    KIND: ClassVar[str] = "flow"
    OMITTED: ClassVar[frozenset[str]] = frozenset({"answer", "answered_by"})

    study: str
    """Hash of the study"""
    steps: tuple[str, ...]
    """Keys of all steps that belong to it"""
    skipped: Mapping[str, str]
    """flow step → why it was skipped"""
    ended: str
    """Why it ended early; empty: it came to its end"""
    spent: Spent | None = None
    """None: an older ledger"""
    answer: str | None = None
    """Verdict that answers the study's question; None: it was not reached, or an older ledger"""
    answered_by: str | None = None
    """The gate that decides it"""


@dataclass(frozen=True, slots=True)
class StepEntry(LedgerRecord):
    """A finished step. The newest entry with a key is the cached result of the step with that key."""

    KIND: ClassVar[str] = "step"

    name: str
    kind: str
    """check, probe, train, predict, evaluate or gate"""
    key: str
    inputs: Body
    result: Body
    """Which class of `liftgate.ledger.results` reads it depends on `kind`."""
    seconds: float = 0.0
    needs: Mapping[str, str] = field(default_factory=dict)
    """name of a step that it rests on → its key"""
    made_from: Mapping[str, str] = field(default_factory=dict)
    """name of a step that it rests on → SHA-256 of what that step had left"""

    @property
    def output_hash(self) -> str:
        """SHA-256 of the file that the step left; empty: it left none."""
        return str(self.result.get("sha256", ""))


@dataclass(frozen=True, slots=True)
class EvaluationEntry(LedgerRecord):
    """Metrics of one evaluation; the whole of it is the result of its step."""

    KIND: ClassVar[str] = "evaluation"

    step: str
    """Key of the evaluate step"""
    metrics: Mapping[str, float | None]
    arm: str


@dataclass(frozen=True, slots=True)
class VerdictEntry(LedgerRecord):
    """The verdict of a gate, as `liftgate.evaluation.records.Verdict.to_dict` writes it."""

    KIND: ClassVar[str] = "verdict"

    gate: str
    gate_hash: str
    word: VerdictWord
    sentence: str = ""
    evidence: tuple[Body, ...] = ()
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionRow(LedgerRecord):
    """What a decision point or the median rule decided about a training."""

    said: str
    """continue, careful or stop"""
    rule: str
    epoch: int
    metric: str
    value: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class DecisionEntry(LedgerRecord):
    """A decision, with the training that it is about."""

    KIND: ClassVar[str] = "decision"

    step: str
    """Key of the train step"""
    run: str
    """Name of the run folder"""
    arm: str
    said: str
    rule: str
    epoch: int
    metric: str
    value: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class IgnoreEntry(LedgerRecord):
    """A finding that the study ignores."""

    KIND: ClassVar[str] = "ignore"

    id: str
    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class LockboxEntry(LedgerRecord):
    """One opening of a locked split."""

    KIND: ClassVar[str] = "lockbox"
    OMITTED: ClassVar[frozenset[str]] = frozenset({"truth"})

    dataset: str
    split: str
    purpose: str
    subject: str
    """Hash of the predictions that are measured"""
    number: int
    budget: int
    contaminated: bool
    truth: str | None = None
    """Hash of the labels that they are measured against; None: an older ledger"""
    elsewhere: tuple[str, ...] = ()
    """Studies that had opened it before, once for each opening"""
    reason: str | None = None
    who: str = ""
    liftgate: str = ""


@dataclass(frozen=True, slots=True)
class MeasuredPace(LedgerRecord):
    """How long an epoch of one kind of training takes, as `plan --measure` found it."""

    pace: str
    """Hash of everything that the length of an epoch depends on"""
    epoch: float
    """Seconds"""
    around: float
    """Seconds before the first and after the last epoch"""


@dataclass(frozen=True, slots=True)
class NoteEntry(LedgerRecord):
    """Something that was found out once for the whole study."""

    KIND: ClassVar[str] = "note"
    OMITTED: ClassVar[frozenset[str]] = frozenset({"batch", "tried", "measured"})

    text: str
    batch: int | None = None
    """Batch size that was settled for all arms"""
    tried: Mapping[str, int] | None = None
    """model → largest batch that fits"""
    measured: MeasuredPace | None = None
