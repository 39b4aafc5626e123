"""Parts of a dataset that an arm is trained on beside the whole: the folds of label mistakes, the shares of `worth`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from liftgate.data.core.dataset import Dataset
from liftgate.hashing import content_hash
from liftgate.pipeline.context import Context
from liftgate.pipeline.datasets import StudyDatasets
from liftgate.study.records import Arm, FlowStep, Study


class PartDatasets(StudyDatasets):
    """Datasets of a study, of which one is another part, or split in another way."""

    def __init__(self, context: Context, name: str, part: Callable[[], Dataset], identity: str) -> None:
        """Replace one dataset.

        Args:
            context: the study.
            name: of the dataset.
            part: returns what takes its place; called once, when it is first needed.
            identity: says which part it is, for hashes.
        """
        super().__init__(context.study, context.workspace, context.progress)
        self._whole, self._name, self._make, self._identity = context.datasets, name, part, identity
        self._part: Dataset | None = None

    def dataset(self, name: str) -> Dataset:
        """Return a dataset; the part of that one."""
        if name != self._name:
            return self._whole.dataset(name)
        if self._part is None:
            self._part = self._make()
        return self._part

    def fingerprint(self, name: str) -> str:
        """Return the hash of a dataset; of the part that of the whole, and which part it is."""
        whole = self._whole.fingerprint(name)
        return content_hash(["part", whole, self._identity]) if name == self._name else whole

    def require_unchanged_images(self, name: str) -> None:
        """Refuse a dataset whose images were removed or changed since the run began; see `StudyDatasets`."""
        self._whole.require_unchanged_images(name)


def arm_of_parts(study: Study, flow_step: FlowStep) -> Arm:
    """Return the arm whose weights and recipe a step trains on parts of the data."""
    return study.arm(flow_step.arms[0]) if flow_step.arms else next(arm for arm in study.arms if arm.stages)


def arm_on_part(arm: Arm, part: str) -> Arm:
    """Return an arm of one stage under a name that no arm of a study can have; what its curve should be is left out."""
    return replace(arm, name=f"{arm.name}.{part}", stages=(replace(arm.stages[0], decide=(), expect=()),))
