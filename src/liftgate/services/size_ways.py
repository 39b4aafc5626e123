"""Plan three ways to the same verdict beside each other: images at random, images by design, judgements."""

from __future__ import annotations

import math
from dataclasses import replace

from liftgate.data.core.dataset import Dataset
from liftgate.data.detections import PredictionsSource
from liftgate.errors import UsageError
from liftgate.evaluation.metric_names import IMAGE_LEVEL, OKS
from liftgate.evaluation.sample_size import SizeAnswer
from liftgate.judging.frame_design import draw_frames
from liftgate.judging.judged_metrics import JUDGED_METRICS
from liftgate.judging.pairing import pair_detections
from liftgate.judging.plan import DEFAULT_WIDTH, default_budget
from liftgate.judging.sizes import scores_of
from liftgate.services.judging import aligned_predictions

_LEAST_IMAGES = 20
_PILOT_SHARE = 4
"""A sample of one in so many images of the pilot tells what a design is worth"""


def with_ways(
    answer: SizeAnswer,
    truth: Dataset,
    models: tuple[PredictionsSource, PredictionsSource],
    *,
    metric: str,
    conf: float,
    common: bool = False,
) -> SizeAnswer:
    """Return the answer with what the same claim takes by design and by judging, as far as the pilot tells.

    Args:
        answer: images drawn at random that the claim needs.
        truth: the pilot's images with groups and labels.
        models: predictions of control and treatment.
        metric: that the claim is about.
        conf: confidence from which detections count.
        common: only images that both were predicted on.
    """
    if answer.images is None or metric in IMAGE_LEVEL or metric in OKS:
        return answer
    truth, (control, treatment) = aligned_predictions(truth, models, common=common)
    n_images = len(truth.images)
    if n_images < _LEAST_IMAGES:
        return answer
    try:
        budget = max(5, n_images // _PILOT_SHARE)
        gain = draw_frames(truth, control, treatment, "compare", budget=budget, seed=0, conf=conf).gain
    except UsageError:  # nothing is detected at this confidence
        return answer
    boxes = math.ceil(answer.images * len(truth.labels) / n_images)
    by_design = min(answer.images, math.ceil(answer.images / gain))
    units = pair_detections(control, treatment, conf)
    ways = [f"{answer.images:,} images drawn at random (about {boxes:,} boxes)"]
    ways.append(
        f"about {by_design:,} images by `data sample --for compare`"
        if by_design < answer.images
        else "as many by `data sample --for compare`, which gains nothing for these models"
    )
    judgements = None
    if metric in JUDGED_METRICS and len(units):
        asked = default_budget(units, scores_of(units, control, treatment))
        judgements = math.ceil(asked / n_images * answer.images * DEFAULT_WIDTH**2)
        pays = "" if judgements < boxes else ", which is no gain for these models"
        ways.append(f"about {judgements:,} judgements by `judge`{pays}")
    else:
        ways.append(f"judgements do not answer {metric}")
    text = f"{answer.text} Three ways: {'; '.join(ways)}."
    details = {**answer.details, "boxes": boxes, "images_by_design": by_design, "judgements": judgements}
    return replace(answer, text=text, details=details)
