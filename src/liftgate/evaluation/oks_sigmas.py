"""OKS sigmas: per-keypoint tolerances of object keypoint similarity, resolved from options, data set or COCO."""

from __future__ import annotations

from liftgate.data.core.dataset import Dataset
from liftgate.errors import UsageError
from liftgate.evaluation.metric_options import Sigmas as Sigmas

COCO_KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
COCO_SIGMAS = (
    .026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089,
)  # fmt: skip


def resolve_sigmas(truth: Dataset, sigmas: Sigmas) -> tuple[float, ...]:
    """Return one sigma for each keypoint of the truth; they define the metric, so they are never guessed.

    Args:
        truth: a data set with keypoints.
        sigmas: a list, one number for all, or `coco`; None: the data set's own, else COCO's for COCO's 17 keypoints.

    Raises:
        UsageError: none are given, or their number is not that of the keypoints.
    """
    if truth.keypoints is None:
        raise UsageError("no keypoints in the truth", where=truth.source)
    names = truth.keypoints.names
    if sigmas is None:
        sigmas = truth.keypoints.sigmas or ("coco" if names == COCO_KEYPOINTS else None)
    if sigmas is None:
        raise UsageError(
            "no OKS sigmas are given",
            where=truth.source,
            expected=f"{len(names)} sigmas",
            hint="--sigmas 0.05 for all keypoints, a comma list, or coco; the choice changes the metric",
        )
    if sigmas == "coco":
        sigmas = COCO_SIGMAS
    elif isinstance(sigmas, str):
        sigmas = _numbers(sigmas)
    values = (float(sigmas),) * len(names) if isinstance(sigmas, int | float) else tuple(float(s) for s in sigmas)
    if len(values) == 1:
        values *= len(names)
    if len(values) != len(names) or not all(value > 0 for value in values):
        raise UsageError("OKS sigmas do not match the keypoints", expected=f"{len(names)} numbers above 0", got=values)
    return values


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError("OKS sigmas are numbers", expected="coco, 0.05 or 0.026,0.025,…", got=text) from None
