"""Subject: what is checked. The data sets of a study with the study itself, or one data set alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from liftgate.checks.images.copies import Pair, find_copies
from liftgate.checks.images.scan import Scan, scan_images
from liftgate.checks.machine import Machine, look_around
from liftgate.checks.probes.label_geometry import Geometry, probe
from liftgate.checks.probes.learnability import Probe
from liftgate.data.core.dataset import Dataset
from liftgate.progress import Progress, silent
from liftgate.study.records import Arm, Part, Stage, Study


class Placed(NamedTuple):
    """A stage and where it stands."""

    arm: Arm
    number: int
    """from 0"""
    stage: Stage
    study: Study

    @property
    def where(self) -> str:
        return f"arm {self.arm.name}, stage {self.number + 1}"

    def at(self, *keys: str) -> str:
        """Return where, with file:line of one of its keys."""
        line = self.study.line("arms", self.arm.name, self.number, *keys)
        return f"{self.where} ({line})" if line else self.where


@dataclass(frozen=True, slots=True)
class Subject:
    """Data sets by name, and the study that uses them; without a study the rules of recipes and weights are silent."""

    datasets: Mapping[str, Dataset]
    study: Study | None = None
    progress: Progress = silent
    probes: tuple[Probe, ...] = ()
    """What learnability probes showed; without them the rules of `probe.…` are silent"""
    _scans: dict[str, Scan] = field(default_factory=dict, repr=False, compare=False)
    _copies: list[tuple[Pair, ...]] = field(default_factory=list, repr=False, compare=False)
    _geometries: dict[str, Geometry | None] = field(default_factory=dict, repr=False, compare=False)
    _machine: list[Machine] = field(default_factory=list, repr=False, compare=False)

    def scan(self, name: str) -> Scan:
        """Return what the pixels of a data set say; read once, and from the cache where nothing changed."""
        if name not in self._scans:
            self._scans[name] = scan_images(self.datasets[name], progress=self.progress)
        return self._scans[name]

    def geometry(self, name: str) -> Geometry | None:
        """Return whether the boxes of a data set lie where its objects are; None: too few images to say. Asked once."""
        if name not in self._geometries:
            self._geometries[name] = probe(self.datasets[name])
        return self._geometries[name]

    @property
    def machine(self) -> Machine:
        """Return what this machine has; looked at once, and only when a rule asks."""
        if not self._machine:
            self._machine.append(look_around(self.study_folder))
        return self._machine[0]

    @property
    def study_folder(self) -> Path:
        """Folder that the study's paths are relative to."""
        return self.study.folder if self.study else Path()

    @property
    def stages(self) -> Iterator[Placed]:
        """Every stage of every arm."""
        if self.study is not None:
            for arm in self.study.arms:
                yield from (Placed(arm, number, stage, self.study) for number, stage in enumerate(arm.stages))

    @property
    def copies(self) -> tuple[Pair, ...]:
        """Every pair of images, within and across the data sets, that are copies or near-copies of each other."""
        if not self._copies:
            self.progress("copies", 0, 1)
            self._copies.append(find_copies(self.datasets, {name: self.scan(name) for name in self.datasets}))
            self.progress("copies", 1, 1)
        return self._copies[0]

    def training_images(self, stage: Stage) -> int | None:
        """Return how many images an epoch of a stage sees, repeats and all; None where a data set is not at hand."""
        total = 0
        for part in stage.mix or (Part(stage.data),):
            dataset = self.datasets.get(part.dataset)
            if dataset is None:
                return None
            images = sum(image.split == "train" for image in dataset.images)
            total += part.repeat * (images if part.take is None else min(part.take, images))
        return total
