"""Subject of a check: a study with its data sets, or data sets alone; computes shared facts once, when needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from liftgate.checks.images.copies import CopyPair, find_copies
from liftgate.checks.images.scan import ImageScan, scan_images
from liftgate.checks.machine import Machine, inspect_machine
from liftgate.checks.probes.learnability import LearnabilityResult
from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.errors import LiftgateError
from liftgate.progress import Progress, silent
from liftgate.study.records import Arm, Part, Stage, Study

if TYPE_CHECKING:
    from liftgate.checks.probes.label_geometry import Geometry
    from liftgate.checks.probes.label_mistakes import LabelMistake


@dataclass(frozen=True, slots=True)
class CheckedModel:
    """What is known of one export or checkpoint before it is used."""

    name: str
    """Path, as it was given"""
    unusable: str = ""
    """Why it cannot be run; empty: it can"""
    hint: str | None = None
    """What a person can do about that"""
    missing: tuple[str, ...] = ()
    """What its files do not say, and what is taken instead"""
    ignored: tuple[str, ...] = ()
    """What its files ask for and Liftgate does not do"""
    limits: tuple[str, ...] = ()
    """What its numbers are limited by, such as suppression inside"""


class StageInArm(NamedTuple):
    """A stage, and its position in the study."""

    arm: Arm
    number: int
    """index in the arm, from 0"""
    stage: Stage
    study: Study

    @property
    def backend(self) -> str:
        """Return what trains it."""
        return self.study.backend_of(self.arm)

    @property
    def where(self) -> str:
        """Return arm and stage, for messages."""
        return f"arm {self.arm.name}, stage {self.number + 1}"

    def at(self, *keys: str) -> str:
        """Return `where` with the file:line in study.yaml of a key of this stage, as in `at("recipe", "lr0")`."""
        line = self.study.line("arms", self.arm.name, self.number, *keys)
        return f"{self.where} ({line})" if line else self.where


@dataclass(frozen=True, slots=True)
class Subject:
    """Data sets by name, and the study that uses them; without one the rules on recipes and weights find nothing."""

    datasets: Mapping[str, Dataset]
    study: Study | None = None
    progress: Progress = silent
    probes: tuple[LearnabilityResult, ...] = ()
    """Results of learnability probes; without them the rules `probe.…` find nothing"""
    measured: Mapping[tuple[str, str], Mapping[str, float | None]] = field(default_factory=dict)
    """(arm, dataset.split) → its metrics, as far as the ledger has them"""
    predictions: Mapping[str, Predictions] = field(default_factory=dict)
    """Data set → a model's predictions on it; without them the rules `mistakes.…` find nothing"""
    unsplit: Mapping[str, LiftgateError] = field(default_factory=dict)
    """Data set → why it could not be split"""
    models: tuple[CheckedModel, ...] = ()
    """Model files; without them the rules `model.…` find nothing"""
    _scans: dict[str, ImageScan] = field(default_factory=dict, repr=False, compare=False)
    _copies: list[tuple[CopyPair, ...]] = field(default_factory=list, repr=False, compare=False)
    _geometries: dict[str, Geometry | None] = field(default_factory=dict, repr=False, compare=False)
    _mistakes: dict[str, list[LabelMistake]] = field(default_factory=dict, repr=False, compare=False)
    _machine: list[Machine] = field(default_factory=list, repr=False, compare=False)

    def scan(self, name: str) -> ImageScan:
        """Return facts of the images of a data set, computed once; unchanged files come from the cache."""
        if name not in self._scans:
            self._scans[name] = scan_images(self.datasets[name], progress=self.progress)
        return self._scans[name]

    def geometry(self, name: str) -> Geometry | None:
        """Return whether the boxes of a data set lie where its objects are; None: too few images."""
        from liftgate.checks.probes.label_geometry import probe  # imports scipy, which is slow

        if name not in self._geometries:
            self._geometries[name] = probe(self.datasets[name])
        return self._geometries[name]

    def mistakes(self, name: str) -> list[LabelMistake]:
        """Return suspected mistakes in the labels of a data set; empty where there are no predictions on it."""
        from liftgate.checks.probes.label_mistakes import find_mistakes

        if name not in self.predictions:
            return []
        if name not in self._mistakes:
            self._mistakes[name] = find_mistakes(self.datasets[name], self.predictions[name])
        return self._mistakes[name]

    @property
    def machine(self) -> Machine:
        """Return facts of this machine, determined when a rule first needs them."""
        if not self._machine:
            self._machine.append(inspect_machine(self.study_folder))
        return self._machine[0]

    @property
    def study_folder(self) -> Path:
        """Return the folder that the study's paths are relative to."""
        return self.study.folder if self.study else Path()

    @property
    def stages(self) -> Iterator[StageInArm]:
        """Yield every stage of every arm."""
        if self.study is not None:
            for arm in self.study.arms:
                yield from (StageInArm(arm, number, stage, self.study) for number, stage in enumerate(arm.stages))

    @property
    def copies(self) -> tuple[CopyPair, ...]:
        """Return every pair of copies or near-copies, within and across the data sets."""
        if not self._copies:
            self.progress("copies", 0, 1)
            self._copies.append(find_copies(self.datasets, {name: self.scan(name) for name in self.datasets}))
            self.progress("copies", 1, 1)
        return self._copies[0]

    def training_images(self, stage: Stage) -> int | None:
        """Return the number of images in an epoch of a stage, with repeats; None where a data set is not loaded."""
        total = 0
        for part in stage.mix or (Part(stage.data),):
            dataset = self.datasets.get(part.dataset)
            if dataset is None:
                return None
            images = sum(image.split == "train" for image in dataset.images)
            total += part.repeat * (images if part.take is None else min(part.take, images))
        return total
