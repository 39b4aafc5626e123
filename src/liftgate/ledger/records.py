"""Typed records: one frozen dataclass for each kind of ledger entry, and for parts that entries share.

`to_body` returns the JSON values that the ledger stores and `from_body` reads them back. Keys that a class does not
have are ignored and fields with a default may be missing, so that entries of other versions can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, Self

from liftgate.errors import LedgerError
from liftgate.records import to_record
from liftgate.study.vocabulary import VerdictWord

Body = Mapping[str, Any]
"""Plain JSON values by name, as an entry holds them."""
CONTAMINATED = "contaminated:"
"""How the caveat of a verdict begins whose locked split was opened more often than was declared"""


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """Base class of the typed records."""

    KIND: ClassVar[str] = ""
    """Kind of the entry; empty: the record is part of an entry"""
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
            return to_record(body, cls)
        except msgspec.ValidationError as error:
            hint = "it was written by another version of Liftgate: `liftgate ledger show --json` has it as it is"
            raise LedgerError(f"{cls.KIND or cls.__name__}: {error}", hint=hint) from None


def _plain(value: object) -> object:
    if isinstance(value, LedgerRecord):
        return value.to_body()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class StudyEntry(LedgerRecord):
    """A study and its question, recorded before anything is run."""

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
    """The state of a dataset at the beginning of a run."""

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
    """Time and energy that the training of a study has used so far."""

    hours: float
    """Wall time"""
    gpu_hours: float
    """Wall time × number of devices"""
    kwh: float | None
    """Energy of the GPUs; None: unknown"""

    @property
    def seconds(self) -> float:
        """Wall time in seconds."""
        return self.hours * 3600

    def usd(self, rate: float | None) -> float | None:
        """Return the cost at a rate per hour; None: no rate is given."""
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
    """Why it ended early; empty: it was completed"""
    spent: Spent | None = None
    """None: an older ledger"""
    answer: str | None = None
    """Verdict that answers the study's question; None: not reached, or an older ledger"""
    answered_by: str | None = None
    """The gate that decided it"""


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
    """Name of a step that it depends on → its key"""
    made_from: Mapping[str, str] = field(default_factory=dict)
    """Name of a step that it depends on → SHA-256 of the file that this step had written"""

    @property
    def output_hash(self) -> str:
        """SHA-256 of the file that the step wrote; empty: it wrote none."""
        return str(self.result.get("sha256", ""))


@dataclass(frozen=True, slots=True)
class EvaluationEntry(LedgerRecord):
    """Metrics of one evaluation; the full evaluation is the result of its step."""

    KIND: ClassVar[str] = "evaluation"
    OMITTED: ClassVar[frozenset[str]] = frozenset({"sha256"})

    step: str
    """Key of the evaluate step"""
    metrics: Mapping[str, float | None]
    arm: str
    sha256: str | None = None
    """Of the file with the full evaluation; None: an older ledger"""


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
class DecisionEntry(DecisionRow):
    """A decision, with the training that it concerns."""

    KIND: ClassVar[str] = "decision"

    step: str
    """Key of the train step"""
    run: str
    """Name of the run folder"""
    arm: str


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
class SampleEntry(LedgerRecord):
    """A sample of images that was drawn with known probabilities, before any of them was labelled."""

    KIND: ClassVar[str] = "sample"

    file: str
    """sample.csv, relative to the study's folder where it lies in it"""
    sample: str
    """Hash of the images, groups and probabilities"""
    purpose: str
    n_images: int
    predictions: tuple[str, ...]
    """Hash of the predictions that it was drawn by"""


@dataclass(frozen=True, slots=True)
class MeasuredPace(LedgerRecord):
    """How long an epoch of one kind of training takes, as `plan --measure` found it."""

    pace: str
    """Hash of everything that the length of an epoch depends on"""
    epoch: float
    """Seconds"""
    around: float
    """Seconds before the first and after the last epoch, together"""


@dataclass(frozen=True, slots=True)
class NoteEntry(LedgerRecord):
    """A note on the whole study, such as its automatic batch or a measured epoch time."""

    KIND: ClassVar[str] = "note"
    OMITTED: ClassVar[frozenset[str]] = frozenset({"batch", "tried", "measured"})

    text: str
    batch: int | None = None
    """Automatic batch size, the same for all arms"""
    tried: Mapping[str, int] | None = None
    """model → largest batch that fits"""
    measured: MeasuredPace | None = None
