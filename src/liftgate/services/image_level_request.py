"""Which image-level metrics are wanted, and the threshold of each model: a number, or chosen on other images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liftgate.data.core.dataset import Dataset
from liftgate.data.detections import PredictionsSource, read_predictions
from liftgate.errors import UsageError
from liftgate.evaluation.image_level import ImageLevelThreshold, ThresholdRule, choose_image_threshold
from liftgate.evaluation.truth import Truth, read_truth


@dataclass(frozen=True)
class ImageLevelRequest:
    """Options of image-level metrics: positive classes, and how each model's threshold is chosen."""

    positive_classes: Sequence[str]
    threshold: float | str | None
    val: Sequence[PredictionsSource]
    """Predictions of each model on val"""
    val_truth: Truth
    images: Path | str | None

    def validate(self, models: int) -> None:
        """Check what needs no data.

        Raises:
            UsageError: no threshold, or a rule without the predictions on val that it needs.
        """
        if not self.positive_classes:
            if self.threshold is not None or self.val:
                raise UsageError(
                    "a threshold is of images with threats", hint="--threats gun,knife names the classes that are one"
                )
            return
        if self.threshold is None:
            hint = "--threshold 0.4, or --threshold f1 --val PREDICTIONS to choose it on val"
            raise UsageError("from which score on is an image flagged?", hint=hint)
        if self._number() is not None:
            if self.val:
                raise UsageError("a threshold that is given is not chosen on val", got=self.threshold)
            return
        rule = ThresholdRule.parse(str(self.threshold))
        if len(self.val) != models:
            raise UsageError(
                f"{rule} is chosen on val, with predictions of each model",
                expected=models, got=len(self.val),
                hint="--val PREDICTIONS, on the val split of the truth or of --val-truth; once for each model",
            )  # fmt: skip

    def choose(self, evaluated: Dataset, models: int) -> tuple[ImageLevelThreshold, ...]:
        """Return the threshold of each model; none where no image-level metrics are wanted.

        Raises:
            UsageError: the threshold would be chosen on images that are then judged by it.
        """
        positive = tuple(self.positive_classes)
        if not positive:
            return ()
        if (number := self._number()) is not None:
            return (ImageLevelThreshold(positive, number),) * models
        from liftgate.data.core.image_identity import images_in_both  # a threshold that is given needs none of it
        from liftgate.ledger.lockbox import require_unlocked

        val = read_truth(self.val_truth, images=self.images)
        require_unlocked(val, "a threshold is chosen on images that are not locked")
        if shared := images_in_both(val, evaluated):
            where = self.val_truth.source if isinstance(self.val_truth, Dataset) else self.val_truth
            raise UsageError(
                "the threshold would be chosen on images that it is judged by", where=where,
                got=f"{len(shared)} images in both, such as {shared[0]}",
                hint="--split test to judge on test, --val-truth to choose elsewhere",
            )  # fmt: skip
        rule = ThresholdRule.parse(str(self.threshold))
        return tuple(choose_image_threshold(val, read_predictions(source, val), positive, rule) for source in self.val)

    def _number(self) -> float | None:
        try:
            return None if self.threshold is None else float(self.threshold)
        except ValueError:
            return None
