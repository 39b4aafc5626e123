"""pycocotools as the judge: its numbers, without its talk."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

BOX_NAMES = (
    "mAP50-95", "mAP50", "mAP75", "mAP_small", "mAP_medium", "mAP_large",
    "AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large",
)  # fmt: skip
KEYPOINT_NAMES = (
    "mAP50-95",
    "mAP50",
    "mAP75",
    "mAP_medium",
    "mAP_large",
    "AR",
    "AR50",
    "AR75",
    "AR_medium",
    "AR_large",
)


def pycocotools(
    truth: dict[str, Any], results: list[dict[str, Any]], kind: str = "bbox", sigmas: Sequence[float] | None = None
) -> dict[str, float | None]:
    """The summary of pycocotools by our names; its −1 becomes None."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = copy.deepcopy(truth)
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(copy.deepcopy(results)), kind)
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = BOX_NAMES if kind == "bbox" else KEYPOINT_NAMES
    return {name: None if value < 0 else float(value) for name, value in zip(names, evaluation.stats, strict=True)}
