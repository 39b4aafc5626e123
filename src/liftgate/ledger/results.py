"""Results of steps: the `result` of a step entry, one class for each kind of step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from liftgate.ledger.records import Body, DecisionRow, FindingRow, LedgerRecord, VerdictEntry
from liftgate.study.vocabulary import VerdictWord


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One epoch of a training, as its backend reported it."""

    body: Body

    @property
    def epoch(self) -> int:
        """1, 2 …."""
        return int(self.body["epoch"])

    @property
    def epochs(self) -> int | None:
        """How many epochs the training has at most; None: unknown."""
        return self.body.get("epochs")

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """Validation metrics."""
        return self.body.get("metrics") or {}

    @property
    def losses(self) -> Mapping[str, float | None]:
        """Losses by name: of training, and with the prefix `val/` of validation."""
        return self.body.get("losses") or {}

    @property
    def learning_rates(self) -> Mapping[str, float | None]:
        """Learning rate of each parameter group."""
        return self.body.get("lr") or {}

    @property
    def seconds(self) -> float:
        """Duration reported by the trainer; 0: unknown."""
        return float(self.body.get("seconds") or 0.0)

    @property
    def energy_wh(self) -> float | None:
        """Energy of the GPUs; None: unknown."""
        value = self.body.get("energy_wh")
        return None if value is None else float(value)


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """Facts that a backend reports about a training: versions, device, resolved arguments, times."""

    body: Body

    def get(self, name: str) -> Any:
        """Return one fact; None: the backend does not report it."""
        return self.body.get(name)

    @property
    def seconds(self) -> float:
        """Wall time of the training; 0: unknown."""
        return float(self.body.get("seconds") or 0.0)

    @property
    def best_epoch(self) -> int | None:
        """Epoch of the best weights."""
        return self.body.get("best_epoch")

    @property
    def devices(self) -> int:
        """How many devices it trained on."""
        return int(self.body.get("devices") or 1)

    @property
    def batch_halved(self) -> bool:
        """Whether the batch was halved because memory ran out."""
        return bool(self.body.get("batch_halved"))

    @property
    def arguments(self) -> Body:
        """Arguments that the trainer reports; empty: it reports none."""
        return self.body.get("args") or {}

    @property
    def continued_epochs(self) -> int:
        """Epochs that were continued from another run."""
        return int(self.body.get("continues", {}).get("epochs", 0))

    @property
    def continued_seconds(self) -> float:
        """Duration of these epochs in the other run, in seconds."""
        return float(self.body.get("continues", {}).get("seconds", 0.0))


@dataclass(frozen=True, slots=True)
class ExpectedRow(LedgerRecord):
    """One epoch of the expected trajectory, compared with the actual value."""

    epoch: int
    metric: str
    low: float
    high: float
    actual: float | None
    said: str
    """below, above, as expected, not reached or unknown"""


@dataclass(frozen=True, slots=True)
class TrainResult(LedgerRecord):
    """Result of one trained stage."""

    run: str
    """Name of the run folder"""
    arm: str
    stage: int
    seed: int
    best: str
    """Weights file, relative to the folder of the ledger"""
    last: str
    sha256: str
    """Of the best weights"""
    epochs: int
    curve: tuple[Body, ...]
    """The report of each epoch; `epoch_rows` reads them"""
    facts: Body
    """What the backend reports; `training_facts` reads it"""
    last_sha256: str | None = None
    wall_seconds: float = 0.0
    """Wall time of all attempts together"""
    word: str = "FINISHED"
    """FINISHED, CAREFUL or STOPPED"""
    decisions: tuple[DecisionRow, ...] = ()
    expected: tuple[ExpectedRow, ...] = ()
    doctor: tuple[FindingRow, ...] = ()

    @property
    def epoch_rows(self) -> tuple[EpochRow, ...]:
        """The report of each epoch."""
        return tuple(EpochRow(body) for body in self.curve)

    def best_metric(self, name: str) -> float | None:
        """Return a metric on val at the best epoch, as the trainer reports it; None: it reports none."""
        best = self.training_facts.best_epoch
        return next((row.metrics.get(name) for row in self.epoch_rows if row.epoch == best), None)

    def weights(self, which: Literal["best", "last"]) -> str:
        """Return the best or the last weights file, relative to the folder of the ledger."""
        return self.best if which == "best" else self.last

    @property
    def training_facts(self) -> TrainingFacts:
        """What the backend reports."""
        return TrainingFacts(self.facts)

    @property
    def trained_seconds(self) -> float:
        """Seconds of training, all attempts together: the largest of the available measurements.

        Of an attempt that was killed only the durations of its epochs are known; time between epochs is part of the
        wall time only. Epochs continued from another run count for that run.
        """
        epochs = sum(row.seconds for row in self.epoch_rows)
        facts = self.training_facts
        return max(max(facts.seconds, epochs) - facts.continued_seconds, self.wall_seconds)


@dataclass(frozen=True, slots=True)
class RunEntry(LedgerRecord):
    """A finished training, written before its step entry, so that nothing is trained again if killed in between."""

    KIND: ClassVar[str] = "run"

    step: str
    """Key of the train step"""
    result: TrainResult

    def to_body(self) -> Body:
        """Return the result's values and the step."""
        return {"step": self.step, **self.result.to_body()}

    @classmethod
    def from_body(cls, body: Body) -> Self:
        """Return the record that `to_body` wrote."""
        return cls(str(body.get("step", "")), TrainResult.from_body(body))


@dataclass(frozen=True, slots=True)
class PredictResult(LedgerRecord):
    """Predictions of one model on one split."""

    OMITTED: ClassVar[frozenset[str]] = frozenset({"file_sha256", "settings_sha256"})

    arm: str
    seed: int
    on: str
    """dataset.split"""
    file: str
    """Relative to the folder of the ledger"""
    sha256: str
    """`Predictions.content_hash()`"""
    settings: Body
    """Settings that the backend reports"""
    n_detections: int = 0
    file_sha256: str | None = None
    """Of the file's bytes, by which it is recognised outside the study too; None: an older ledger"""
    settings_sha256: str | None = None
    """Of the bytes of its settings file"""


@dataclass(frozen=True, slots=True)
class EvaluateResult(LedgerRecord):
    """An evaluation of one model's predictions on one split."""

    arm: str
    seed: int
    on: str
    """dataset.split"""
    evaluation: Body
    """As `Evaluation.to_dict` writes it, but only with the worst images"""

    def to_body(self) -> Body:
        """Return the evaluation's values, and arm, seed and split."""
        return {"arm": self.arm, "seed": self.seed, "on": self.on, **self.evaluation}

    @classmethod
    def from_body(cls, body: Body) -> Self:
        """Return the record that `to_body` wrote."""
        rest = {name: value for name, value in body.items() if name not in ("arm", "seed", "on")}
        return cls(body["arm"], body["seed"], body["on"], rest)


@dataclass(frozen=True, slots=True)
class MeasuredAt(LedgerRecord):
    """Settings that one arm of a gate was measured with."""

    arm: str
    imgsz: int | tuple[int, ...] | None
    """Pixels; None: the backend does not say"""
    kept_conf: float | None
    """Detections below this confidence were not kept"""
    nms_iou: float | None
    predictions: str
    """`Predictions.content_hash()`"""
    conf: float | None = None
    """Confidence threshold of rates; None: the gate has no metric that depends on it"""
    iou: float | None = None
    """IoU from which a detection has found an object; None: as `conf`"""
    better_of: tuple[tuple[int | tuple[int, ...] | None, float | None], ...] = ()
    """(image size, the gate's metric) of a control that was measured at several sizes"""


@dataclass(frozen=True, slots=True)
class GateResult(VerdictEntry):
    """The verdict of a gate, with its comparison."""

    KIND: ClassVar[str] = ""
    OMITTED: ClassVar[frozenset[str]] = frozenset({"comparison"})

    comparison: Body | None = None
    """As `Comparison.to_dict` writes it; None: claims about one arm"""

    @property
    def exports(self) -> tuple[ExportRow, ...]:
        """What was found of each export; empty: the gate is not about exports."""
        return tuple(ExportRow.from_body(row) for row in self.evidence if row.get("kind") == "export")

    @property
    def measured_at(self) -> tuple[MeasuredAt, ...]:
        """Settings of each arm, the control first; empty: an older version did not record them."""
        rows = self.evidence[0].get("measured_at", ()) if self.evidence else ()
        return tuple(MeasuredAt.from_body(row) for row in rows)

    @property
    def claims(self) -> tuple[ClaimRow, ...]:
        """What was measured for each claim; a claim whose metric is undefined has no row."""
        return tuple(ClaimRow.from_body(row) for row in self.evidence_of("claim") if "method" in row)

    def evidence_of(self, kind: str) -> tuple[Body, ...]:
        """Return the items of its evidence of one kind: claim, comparison, attribution or forgetting."""
        return tuple(row for row in self.evidence if row.get("kind") == kind)


@dataclass(frozen=True, slots=True)
class ClaimRow(LedgerRecord):
    """What was measured for one claim of a gate: an item of `GateResult.evidence`."""

    metric: str
    value: float
    interval: tuple[float | None, float | None]
    threshold: float
    word: VerdictWord
    method: str
    n_images: int
    n_groups: int
    sentence: str
    side: str = "at least"
    design_effect: float | None = None
    n_effective: float | None = None
    images_needed: int | None = None
    groups_needed: int | None = None


@dataclass(frozen=True, slots=True)
class SpeedResult(LedgerRecord):
    """Time per image of one model on one machine."""

    arm: str
    seed: int
    value: Body
    """Milliseconds per image, as the fields of an `Interval`, whose groups are blocks of time"""
    same_model: float
    """Ratio of the model to itself in another process: what the machine's noise did"""
    machine: str
    """Processor, threads and load, in words"""


@dataclass(frozen=True, slots=True)
class FindingsResult(LedgerRecord):
    """Findings of a check; readers use the `check` entry instead."""

    body: Body

    def to_body(self) -> Body:
        """Return the values as they are."""
        return dict(self.body)

    @classmethod
    def from_body(cls, body: Body) -> Self:
        """Return the record that `to_body` wrote."""
        return cls(body)


@dataclass(frozen=True, slots=True)
class ProbeResult(LedgerRecord):
    """Result of one probe."""

    run: str
    """Name of the run folder"""
    probe: Body = field(default_factory=dict)
    """As `Probe.to_dict` writes it"""


@dataclass(frozen=True, slots=True)
class ExportedFile(LedgerRecord):
    """One file of an export."""

    path: str
    """Relative to the folder of the ledger"""
    sha256: str


@dataclass(frozen=True, slots=True)
class ExportRow(LedgerRecord):
    """What was found of one export: an item of `GateResult.evidence`."""

    export: str
    """Such as onnx-int8"""
    word: VerdictWord
    reason: str
    symptoms: tuple[str, ...]
    """Ids of what is wrong, or limits the proof, such as `boxes.lost`"""
    agreement: Body
    """Fields of an `Agreement`; empty: it could not be run"""
    best_conf: tuple[float | None, float | None] | None
    """Confidence of the best F1, of weights and export; None: nothing was found"""
    predictions: tuple[ExportedFile, ...]
    """Detections of weights and export; empty: it was broken, and not measured further"""


@dataclass(frozen=True, slots=True)
class ExportResult(LedgerRecord):
    """Exports of one arm's model."""

    arm: str
    seed: int
    folder: str
    """Relative to the folder of the ledger"""
    weights_sha256: str
    exports: tuple[str, ...]
    """Names of the folders below, such as `onnx-fp32`"""
    files: tuple[ExportedFile, ...]
