"""Matching of an evaluation as tasks of the study's engine, each a part of the images."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from liftgate.backends.events import Emit, Event
from liftgate.engines.base import Resources
from liftgate.engines.matching import MatchJob, read_matches, write_arrays
from liftgate.engines.task import Task, installed_version
from liftgate.errors import DataError
from liftgate.evaluation.cell_matching import CellMatcher, Matches, MatchInputs
from liftgate.evaluation.match_table import SIZES
from liftgate.hashing import content_hash, file_hash, short
from liftgate.pipeline.context import Context
from liftgate.pipeline.notice import Notice
from liftgate.study.records import EngineSpec

if TYPE_CHECKING:
    from liftgate.engines.dispatch import Dispatcher
    from liftgate.pipeline.step import Step

_PACKAGES = ("liftgate", "numpy", "numba")  # that matching runs on


def engine_matcher(context: Context, step: Step[Any], detections: int) -> CellMatcher | None:
    """Return what matches the detections of an evaluation on the study's engine; None: this process does."""
    spec, tasks = context.study.engine, context.tasks
    most = None if spec is None else spec.detections_per_task
    if spec is None or tasks is None or tasks.slots == 1 or most is None or detections <= most:
        return None

    def forward(event: Event) -> None:
        context.notify(Notice("event", step.name, {"kind": event.kind, **event.to_body()}))

    folder = context.workspace.folder / "work" / short(step.key)
    return SplitMatching(tasks, spec, step.name, step.key, folder, on_event=forward, stop=context.must_end)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some images of an evaluation."""

    task: Task
    out: Path
    rows: NDArray[np.int64]
    """Its detections"""
    objects: NDArray[np.int64]


class SplitMatching:
    """Matches detections in tasks of about as many; joined, their matches are those of one process."""

    def __init__(
        self,
        tasks: Dispatcher,
        spec: EngineSpec,
        name: str,
        key: str,
        folder: Path,
        *,
        on_event: Emit,
        stop: Callable[[], bool],
    ) -> None:
        """Make the matcher of one evaluation.

        Args:
            tasks: of the engine.
            spec: what the study says of the engine.
            name: of the evaluation.
            key: of the evaluation.
            folder: its own, which driver and workers share; it is removed at the end.
            on_event: called with what happens to the tasks.
            stop: as `Dispatcher.wait` takes it.
        """
        self._tasks, self._spec, self._name, self._key, self._folder = tasks, spec, name, key, folder
        self._on_event, self._stop = on_event, stop

    def __call__(self, inputs: MatchInputs) -> Matches:
        """Return the matches of every detection.

        Raises:
            DataError: those of a part cannot be read, or were changed since its task ended.
            TrainingError: a task fails, attempt after attempt.
        """
        parts = list(self._parts(inputs))
        self._tasks.submit([part.task for part in parts])
        found = _nothing(inputs)
        try:
            for part in parts:
                ended = self._tasks.wait(part.task.key, on_event=self._on_event, stop=self._stop)
                sha256 = ended.outputs.get(str(part.out), "")
                _put(found, part, read_matches(part.out, sha256, len(part.rows)))
        except DataError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        shutil.rmtree(self._folder, ignore_errors=True)
        return found

    def _parts(self, inputs: MatchInputs) -> Iterator[_Part]:
        """Write the inputs of every part; each has whole images, and all have about as many detections."""
        count = len(inputs.image)
        parts = -(-count // (self._spec.detections_per_task or max(count, 1)))
        n_images = 1 + int(max(inputs.image.max(initial=0), inputs.object_image.max(initial=0)))
        of_image = np.bincount(inputs.image, minlength=n_images)
        before = np.cumsum(of_image) - of_image
        part_of_image = np.minimum(before * parts // max(count, 1), parts - 1)
        for number in range(parts):
            rows = np.flatnonzero(part_of_image[inputs.image] == number)
            if len(rows):  # one image may have more detections than a part
                objects = np.flatnonzero(part_of_image[inputs.object_image] == number)
                yield self._part(inputs.take(rows, objects), rows, objects, f"{number + 1}-of-{parts}")

    def _part(self, inputs: MatchInputs, rows: NDArray[np.int64], objects: NDArray[np.int64], number: str) -> _Part:
        by = "keypoints" if len(inputs.sigmas) else "boxes"
        folder = self._folder / f"{by}-{number}"
        job = MatchJob(folder / "inputs.npz", folder / "matches.npz")
        write_arrays(job.data, inputs)
        sha256, spec = file_hash(job.data), self._spec
        versions = {package: installed_version(package) for package in _PACKAGES}
        task = Task(
            # The step alone does not say what is matched: its predictions may have been made again since.
            key=content_hash(["match", self._key, sha256]),
            name=f"{self._name}, {by}, part {number.replace('-', ' ')}",
            folder=folder,
            work=job,
            inputs={str(job.data): sha256},
            versions={package: version for package, version in versions.items() if version is not None},
            resources=Resources(0, spec.cores, spec.memory_gb, spec.hours),
        )
        return _Part(task, job.out, rows, objects)


def _nothing(inputs: MatchInputs) -> Matches:
    count = len(inputs.image)
    hit, skip = (np.zeros((len(SIZES), count), dtype=np.uint16) for _ in range(2))
    return Matches(hit, skip, np.full(count, -1, dtype=np.int32))


def _put(whole: Matches, part: _Part, matches: Matches) -> None:
    """Write the matches of a part among those of the whole."""
    whole.hit[:, part.rows], whole.skip[:, part.rows] = matches.hit, matches.skip
    matched = matches.found >= 0
    whole.found[part.rows[matched]] = part.objects[matches.found[matched]]
