"""What an export costs in accuracy: the paired difference from its reference on the same images, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.deploy.export.agreement import Agreement, compare_detections
from liftgate.deploy.export.symptoms import Symptom, symptoms_of
from liftgate.errors import UsageError
from liftgate.evaluation.compare import compare
from liftgate.evaluation.matching import match
from liftgate.evaluation.metric_options import Sigmas
from liftgate.evaluation.records import Comparison
from liftgate.evaluation.spec import ComparisonSpec
from liftgate.stats.interval import MIN_GROUPS
from liftgate.study.records import VerdictWord

TRIPWIRE = 20
"""Images that a broken export is found on, before the long run"""
_WORST_FIRST: tuple[VerdictWord, ...] = ("FAIL", "MARGINAL", "PASS")
_COMMON = ("imgsz", "conf", "iou", "max_det", "rect", "task")


@dataclass(frozen=True, slots=True)
class ProofSpec:
    """What an export has to show."""

    margin: float = 0.01
    """The largest difference of mAP50-95, and of OKS-mAP50-95, that counts as none"""
    conf: float = 0.25
    """The operating point"""
    level: float = 0.95
    sigmas: Sigmas = None
    """OKS sigmas of a pose model; None: the truth's own, else COCO's for COCO's 17 keypoints"""


@dataclass(frozen=True, slots=True)
class ExportProof:
    """Verdict on one export, with its evidence."""

    name: str
    """Folder of the export"""
    word: VerdictWord
    reason: str
    n_images: int
    """Measured; of a broken export those of the tripwire"""
    n_groups: int
    symptoms: tuple[Symptom, ...] = ()
    agreement: Agreement | None = None
    cost: Comparison | None = None
    """mAP50-95, export − reference; None: not measured"""
    keypoints: Comparison | None = None
    """OKS-mAP50-95, export − reference; None: no pose model, or not measured"""
    at_conf: Mapping[str, Comparison] | None = None
    """recall and precision at the operating point"""
    best_conf: tuple[float | None, float | None] | None = None
    """Confidence of the best F1, of reference and export; None: it has no detection"""
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "verdict": self.word,
            "reason": self.reason,
            "n_images": self.n_images,
            "n_groups": self.n_groups,
            "symptoms": [{"id": one.id, "message": one.message, "broken": one.broken} for one in self.symptoms],
            "agreement": None if self.agreement is None else asdict(self.agreement),
            "cost": None if self.cost is None else self.cost.to_dict(),
            "keypoints": None if self.keypoints is None else self.keypoints.to_dict(),
            "at_conf": None if self.at_conf is None else {name: one.to_dict() for name, one in self.at_conf.items()},
            "best_conf": None if self.best_conf is None else list(self.best_conf),
            "notes": list(self.notes),
        }


def broken_proof(
    name: str, symptoms: Sequence[Symptom], n_images: int, n_groups: int, agreement: Agreement | None = None
) -> ExportProof:
    """Return the proof of an export that was not measured further: FAIL, with the first symptom as the reason."""
    first = next(one for one in symptoms if one.broken)
    where = f"on {n_images} images" if n_images else "before any image"
    reason = f"broken ({first.id}): {first.message}; found {where}, so it was not measured further"
    return ExportProof(name, "FAIL", reason, n_images, n_groups, tuple(symptoms), agreement)


def prove(
    name: str,
    truth: Dataset,
    reference: Predictions,
    export: Predictions,
    spec: ProofSpec,
    known: Sequence[Symptom] = (),
) -> ExportProof:
    """Return the proof of an export from its detections and its reference's.

    Args:
        name: of the export.
        truth: the images, their objects and groups.
        reference: detections of the checkpoint, in the truth's classes.
        export: detections of the export, in the truth's classes.
        spec: margin, operating point and level.
        known: symptoms of its card.
    """
    first, second = (_plain(one) for one in (reference, export))
    agreement = compare_detections(first, second, spec.conf, input_pixels(truth, export))
    symptoms = (*known, *symptoms_of(agreement, spec.conf))
    cost = compare(truth, first, second, _equal(spec, "mAP50-95"))
    at_conf = {metric: compare(truth, first, second, _equal(spec, metric)) for metric in ("recall", "precision")}
    word, reason = _verdict(agreement, cost, symptoms, spec, _groups_with_hits(truth, first, spec.conf))
    keypoints, unmeasured = _keypoint_cost(truth, first, second, spec)
    if not any(one.broken for one in symptoms) and not agreement.identical:
        word, reason = _with_keypoints(word, reason, keypoints, unmeasured)
    return ExportProof(
        name=name,
        word=word,
        reason=reason,
        n_images=len(truth.images),
        n_groups=len(set(truth.groups)),
        symptoms=symptoms,
        agreement=agreement,
        cost=cost,
        keypoints=keypoints,
        at_conf=at_conf,
        best_conf=(best_confidence(truth, first), best_confidence(truth, second)),
        notes=_notes([cost] if keypoints is None else [cost, keypoints], truth),
    )


def _groups_with_hits(truth: Dataset, predictions: Predictions, conf: float) -> int:
    """Return in how many groups a detection from the confidence on hits an object at IoU 0.5."""
    table = match(truth, predictions)
    hit = (table.hit[0] & np.uint16(1) != 0) & (table.score >= conf)
    return len({truth.groups[image] for image in table.image[hit].tolist()})


def best_confidence(truth: Dataset, predictions: Predictions) -> float | None:
    """Return the confidence at which F1 at IoU 0.5, of all classes together, is largest; None: no detection counts."""
    table = match(truth, predictions)
    bit = np.uint16(1)
    judged = table.skip[0] & bit == 0
    right = (judged & (table.hit[0] & bit != 0))[judged]
    scores = table.score[judged]
    if not len(scores):
        return None
    order = np.argsort(-scores, kind="stable")
    f1 = 2 * np.cumsum(right[order]) / (np.arange(1, len(order) + 1) + int(table.counted[0].sum()))
    return float(scores[order][int(np.argmax(f1))])


def input_pixels(images: Dataset, predictions: Predictions) -> list[float] | None:
    """Return the size of a pixel of the model's input in pixels of each image; None: the input's size is not known."""
    match predictions.settings.get("imgsz"):
        case int(height) | [int(height)]:
            width = height
        case [int(height), int(width)]:
            pass
        case _:
            return None
    return [max(one.height / height, one.width / width) for one in images.images]


def tripwire_images(truth: Dataset, n_images: int = TRIPWIRE) -> Dataset:
    """Return some images of a truth, of as many groups as possible, those with objects first."""
    has = np.zeros(len(truth.images), dtype=np.bool_)
    has[truth.labels.image] = True
    seen: dict[str, int] = {}
    turns = []
    for index, key in enumerate(truth.groups):
        seen[key] = seen.get(key, -1) + 1
        turns.append((not has[index], seen[key], index))
    chosen = sorted(index for _, _, index in sorted(turns)[:n_images])
    return truth.take(np.array(chosen, dtype=np.int64))


def _equal(spec: ProofSpec, metric: str) -> ComparisonSpec:
    sigmas = spec.sigmas if metric.startswith("OKS") else None
    return ComparisonSpec(metric, spec.margin, claim="equal", level=spec.level, conf=spec.conf, sigmas=sigmas)


def _verdict(
    agreement: Agreement, cost: Comparison, symptoms: Sequence[Symptom], spec: ProofSpec, informed: int
) -> tuple[VerdictWord, str]:
    """Return the word and its reason; `informed` is the number of groups in which the reference hits an object."""
    broken = [one for one in symptoms if one.broken]
    if broken:
        return "FAIL", f"broken ({broken[0].id}): {broken[0].message}"
    if agreement.identical and informed >= MIN_GROUPS and abs(cost.delta.estimate) <= spec.margin:
        # Without variance there is no interval; detections that are the same, and hit objects, have none to estimate.
        return (
            "PASS",
            f"the same detections as the reference, within 0.05 pixels and 1e-4 of score, in {informed} groups",
        )
    return cost.verdict, _reason_of(cost)


def _reason_of(cost: Comparison) -> str:
    return cost.reason.replace("treatment", "the export").replace("control", "the reference")


def _keypoint_cost(
    truth: Dataset, reference: Predictions, export: Predictions, spec: ProofSpec
) -> tuple[Comparison | None, str]:
    """Return what the export costs in OKS-mAP50-95, or why that is not measured; of boxes neither."""
    if reference.keypoints is None and export.keypoints is None:
        return None, ""
    if truth.labels.keypoints is None:
        return None, "the truth has no keypoints"
    try:
        return compare(truth, reference, export, _equal(spec, "OKS-mAP50-95")), ""
    except UsageError as error:  # no sigmas, another number of keypoints, or one of the two has none
        return None, "; ".join(part for part in (error.what, error.hint) if part)


def _with_keypoints(
    word: VerdictWord, reason: str, cost: Comparison | None, unmeasured: str
) -> tuple[VerdictWord, str]:
    """Return the word and its reason limited by what the keypoints cost: their own word, or at most MARGINAL."""
    if cost is not None and _WORST_FIRST.index(cost.verdict) < _WORST_FIRST.index(word):
        return cost.verdict, f"the boxes say {word}; keypoints: {_reason_of(cost)}"
    if unmeasured and word == "PASS":
        return "MARGINAL", f"{reason}; the keypoints differ, and what that costs is not measured: {unmeasured}"
    return word, reason


def _notes(costs: Sequence[Comparison], truth: Dataset) -> tuple[str, ...]:
    notes = []
    for cost in costs:
        if cost.verdict == "MARGINAL" and cost.groups_needed:
            images = images_of_groups(truth, cost.groups_needed)
            notes.append(f"{cost.groups_needed} groups like these (about {images} images) would settle {cost.metric}")
    return tuple(dict.fromkeys((*notes, *(caveat for cost in costs for caveat in cost.caveats))))


def images_of_groups(truth: Dataset, n_groups: int) -> int:
    """Return how many images that many groups like a truth's have."""
    return round(n_groups * len(truth.images) / max(len(set(truth.groups)), 1))


def _plain(predictions: Predictions) -> Predictions:
    """Return predictions with the settings that have to be equal: runtime and precision are what is compared."""
    return replace(predictions, settings={name: predictions.settings.get(name) for name in _COMMON})
