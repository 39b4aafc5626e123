"""ReportContent: every number, word and picture of a report, complete before the first line is rendered.

Whoever holds the ledger fills it; the report room only draws it. What measuring and checking left (`Verdict`,
`Comparison`, `Evaluation`, `Finding`) is taken over as it is, so that nothing is retyped on the way. Empty tuples and
None leave their section out: a report of a bare check, of a baseline alone and of a whole study are the same page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from liftgate.checks.finding import Finding
from liftgate.evaluation.records import Comparison, Evaluation, Verdict
from liftgate.stats.interval import Interval
from liftgate.study.records import Gate, VerdictWord

Role = Literal["control", "treatment", "measured"]


@dataclass(frozen=True, slots=True)
class DrawnBox:
    """A rectangle to draw over an image."""

    xyxy: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels of the image upright."""
    label: str
    """Name of the class."""
    score: float | None = None
    """Confidence of a detection; None: truth."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One arm's detections on an image, drawn beside those of the other arm."""

    arm: str
    boxes: tuple[DrawnBox, ...]
    note: str = ""
    """Such as `F1 0.50`; words of whoever measured."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image with truth and predictions. `report.pictures.picture` makes one."""

    name: str
    """Image id."""
    width: int
    height: int
    """Pixels of the image upright: the boxes' coordinates."""
    jpeg: bytes | None
    """A small copy of its pixels, any size; None: the file cannot be read."""
    truth: tuple[DrawnBox, ...]
    panels: tuple[Panel, ...]
    group: str | None = None
    note: str = ""
    """What happened on it, such as `2 found, 1 missed`."""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Pictures that answer one question."""

    title: str
    """`Worst images of the treatment`, `Most improved`, `Most harmed`"""
    pictures: tuple[Picture, ...]
    note: str = ""
    """How they were chosen, with the confidence threshold of the boxes."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart."""

    label: str
    """What the legend says: the arm, and which of its stages where it has several. Its seeds share label and slot."""
    points: tuple[tuple[float, float | None], ...]
    """x ascending; None: no value there (NaN in the trace), the line breaks."""
    slot: int = 0
    """Which colour and dash: 0 control, 1 treatment, 2 and up others; the same slot looks the same in every chart."""
    mark: float | None = None
    """x of the point that was used (the best epoch)."""
    note: str = ""
    """What tells it from others of its label: `seed 0`"""


@dataclass(frozen=True, slots=True)
class Chart:
    """Values over epochs (or precision over recall), drawn as given: nothing is smoothed."""

    title: str
    series: tuple[Series, ...]
    x_label: str = "epoch"
    y_label: str = ""


@dataclass(frozen=True, slots=True)
class SettingDifference:
    """One thing that was set differently in the two arms."""

    field: str
    """`recipe.mosaic`, `data`, `weights`, …"""
    control: str
    treatment: str
    declared: bool | None = True
    """False: it was not meant to differ, so the comparison is confounded; None: the gate does not say what may."""


@dataclass(frozen=True, slots=True)
class ArmContent:
    """One side of a gate: what it is and what was measured of it."""

    name: str
    role: Role
    description: str
    """One line: `yolov8-tiny.yaml → digits, 10 epochs, AdamW lr0 0.003`, or `yolov8n.pt, off the shelf`."""
    evaluation: Evaluation | None = None
    """Of its first seed."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What its detections were made with: imgsz, conf, iou, max_det, device, …"""
    by_seed: Mapping[int, Evaluation] = field(default_factory=dict)
    """seed → evaluation, of all seeds; empty: it was not trained, or nobody told them apart."""

    def of_seed(self, seed: int) -> Evaluation | None:
        """The evaluation beside those of this seed: a model that was not trained is the same for all of them."""
        return self.by_seed.get(seed) if self.by_seed else self.evaluation


@dataclass(frozen=True, slots=True)
class ClaimContent:
    """One line of a gate against fixed numbers."""

    metric: str
    value: Interval
    at_least: float
    word: VerdictWord
    images_needed: int | None = None
    groups_needed: int | None = None
    """What would settle it; None: settled, or cannot say."""
    note: str = ""
    side: str = "at least"
    """Or `at most`: then less is better"""


@dataclass(frozen=True, slots=True)
class LineageNode:
    """A node on the way back from a verdict: verdict → comparison → evaluation → … → recipe, split, data."""

    kind: str
    name: str
    hash: str
    """64 hex digits."""
    made_from: tuple[LineageNode, ...] = ()


@dataclass(frozen=True, slots=True)
class GateContent:
    """One gate with its verdict and everything that it rests on."""

    gate: Gate
    verdict: Verdict
    arms: tuple[ArmContent, ...] = ()
    """Control first, then treatment; or the one arm that was measured."""
    comparison: Comparison | None = None
    claims: tuple[ClaimContent, ...] = ()
    differences: tuple[SettingDifference, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    charts: tuple[Chart, ...] = ()
    """Curves of this gate's evaluations, such as precision over recall."""
    trace: LineageNode | None = None
    late: bool = False
    """It was written down when a verdict under its name was known already"""


@dataclass(frozen=True, slots=True)
class IgnoredFinding:
    """A finding that the study ignores, and why."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class TrajectoryPoint:
    """One epoch of an expected trajectory, and what it was."""

    epoch: int
    metric: str
    low: float
    high: float
    actual: float | None
    """None: the run did not get there, or did not say"""
    outcome: str
    """`as expected`, `below`, `above`, `not reached` or `unknown`"""


@dataclass(frozen=True, slots=True)
class RunContent:
    """How one training went."""

    name: str
    """`two_stage stage 1 seed 0`"""
    word: str
    """FINISHED, CAREFUL or STOPPED"""
    epochs: int
    best_epoch: int | None = None
    decisions: tuple[str, ...] = ()
    """What its decision points said, a sentence each"""
    trajectory: tuple[TrajectoryPoint, ...] = ()
    findings: tuple[Finding, ...] = ()
    """The doctor's"""


@dataclass(frozen=True, slots=True)
class CostRow:
    """What one piece of work took. A total is a row of its own (`total=True`): the report does not add up."""

    label: str
    seconds: float
    usd: float | None = None
    """None: no rate was given, or it cost nothing."""
    note: str = ""
    """`cached`, `2 CPU cores`, …"""
    total: bool = False


@dataclass(frozen=True, slots=True)
class SplitRow:
    """One split of one dataset, as it was used."""

    dataset: str
    split: str
    n_images: int
    n_groups: int
    n_objects: int
    note: str = ""
    """Licence, origin, `locked, opened 1 of 3 times`"""


@dataclass(frozen=True, slots=True)
class ReportContent:
    """A whole report."""

    study: str
    question: str
    gates: tuple[GateContent, ...] = ()
    """In the order to read: what answers the question first."""
    data: tuple[SplitRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Most severe first."""
    ignored: tuple[IgnoredFinding, ...] = ()
    checked: bool = True
    """False: nothing was checked, so no findings means nothing."""
    charts: tuple[Chart, ...] = ()
    """Training curves."""
    runs: tuple[RunContent, ...] = ()
    """How the trainings went, in the order of the flow"""
    costs: tuple[CostRow, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """liftgate, backend, torch, Python, device, …"""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """`study`, `ledger head`, …: 64 hex digits each."""
    command: str = ""
    """What makes this report again."""
    notes: tuple[str, ...] = ()
    """What a reader must know beside the gates' own caveats."""
