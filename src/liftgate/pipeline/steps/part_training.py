"""Training of an arm on a part of its data, whose pace is known from that of the whole."""

from __future__ import annotations

from dataclasses import replace

from liftgate.pipeline.context import Context
from liftgate.pipeline.parts import PartDatasets
from liftgate.pipeline.steps.training import TrainStep
from liftgate.study.records import Arm


class PartTrainStep(TrainStep):
    """Trains the one stage of an arm on a part of its dataset."""

    def __init__(self, context: Context, arm: Arm, seed: int, like: TrainStep, share: float | None) -> None:
        """Plan it.

        Args:
            context: the study, with the part in place of the dataset.
            arm: under the name of the part.
            seed: of the training.
            like: the training on the whole.
            share: of its training images; None: it has none.
        """
        super().__init__(context, arm, 1, seed, None)
        self.arm = None  # how it ends says nothing about an arm of the study
        self.inputs = {**self.inputs, "part": {"whole": like.inputs["data"], "share": share}}


def part_context(context: Context, datasets: PartDatasets, arm: Arm, seed: int, like: TrainStep) -> Context:
    """Return a context in which an arm is trained on a part of its data.

    Args:
        context: the study.
        datasets: its datasets, with the part.
        arm: under the name of the part.
        seed: of the training.
        like: the training of the whole.
    """
    inside, name = replace(context, datasets=datasets), arm.stages[0].data
    part, whole = (sum(image.split == "train" for image in one.dataset(name).images)
                   for one in (datasets, context.datasets))  # fmt: skip
    share = round(part / whole, 4) if whole else None
    inside.chains[arm.name, seed] = [PartTrainStep(inside, arm, seed, like, share)]
    return inside
