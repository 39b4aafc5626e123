"""Read the inputs of `evaluate` and `compare`, and refuse images that a study locks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.detections import PredictionsSource, PrefetchedResults, read_all_predictions
from liftgate.data.grouping.slicing import slice_images
from liftgate.errors import UsageError
from liftgate.evaluation.alignment import on_common_images
from liftgate.evaluation.image_level import ImageLevelThreshold
from liftgate.evaluation.truth import faults_of_truth
from liftgate.hashing import content_hash
from liftgate.ledger.nearby import is_of_a_study, may_be_locked, nearby_folders

if TYPE_CHECKING:
    from liftgate.services.image_level_request import ImageLevelRequest


class EvidenceInputs(NamedTuple):
    """Contents of the files, ready to be evaluated."""

    truth: Dataset
    predictions: tuple[Predictions, ...]
    thresholds: tuple[ImageLevelThreshold, ...]
    """One for each model; empty without image-level metrics"""
    slices: dict[str, str] | None
    contaminated: str
    """Which locked split was opened, and why; empty: none was"""
    common: str | None
    """Which images were left out; None: none"""

    def remarks(self) -> dict[str, str]:
        """Return the remarks that belong to the metrics, by their names in `Evaluation.settings`."""
        odd = "; ".join(dict.fromkeys(text for one in self.predictions if (text := odd_predictions(one))))
        texts = {
            "contaminated": self.contaminated, "common": self.common, "truth_faults": faults_of_truth(self.truth),
            "remarks": odd,
        }  # fmt: skip
        return {name: text for name, text in texts.items() if text}

    def caveats(self) -> tuple[str, ...]:
        """Return the remarks as sentences."""
        odd = dict.fromkeys(odd_predictions(one) for one in self.predictions)
        return tuple(text for text in (self.contaminated, self.common, faults_of_truth(self.truth), *odd) if text)


def read_inputs(
    dataset: Dataset,
    sources: Sequence[PredictionsSource],
    *,
    common: bool,
    by: str | None,
    open_anyway: str | None,
    image_level: ImageLevelRequest,
) -> EvidenceInputs:
    """Read everything that the metrics of predictions on one data set are computed from.

    Args:
        dataset: the truth.
        sources: predictions of each model.
        common: keep only the images that all of them were run on.
        by: rule that gives each image its slice; None: no slices.
        open_anyway: reason to read images that a study has locked; None: they are refused.
        image_level: the image-level metrics that are wanted.

    Raises:
        DataError: predictions of a study are not those in its ledger.
        Refused: a study locks these images, or those that the threshold would be chosen on.
        UsageError: predictions cannot be read, or the two do not belong together.
    """
    for source in sources:
        require_unchanged(source)
    contaminated = require_unlocked(dataset, sources, open_anyway)
    for source in image_level.val:
        require_unchanged(source)
    thresholds = image_level.choose(dataset, len(sources))
    found, note = read_all_predictions(sources, dataset), None
    if common:
        dataset, found, note = on_common_images(dataset, *found)
    slices = None if by is None else slice_images(dataset, by, base=Path.cwd())
    return EvidenceInputs(dataset, found, thresholds, slices, contaminated, note)


def require_unlocked(truth: Dataset, sources: Sequence[PredictionsSource], reason: str | None) -> str:
    """Refuse images that a study locks; with a reason, record the opening and return a sentence about it.

    Raises:
        Refused: they are locked, or a ledger that may lock them cannot be verified, and no reason is given.
    """
    if not may_be_locked(nearby_folders(truth)):
        return ""
    from liftgate.ledger.lockbox import open_outside_study, search_locks  # where there is a ledger

    notes = []
    locked, unverified = search_locks(truth, nearby_folders(truth))
    if reason is not None and (locked or unverified) and not reason.strip():
        raise UsageError("opening a locked split needs a reason", hint='--open-anyway --reason "labels were corrected"')
    for found in locked:
        place = f"{found.dataset}.{found.split} of the study {found.study}"
        if reason is None:
            hint = 'measure on val; or --open-anyway --reason "…", which its ledger records as one more opening'
            raise found.refusal(truth, hint)
        purpose = "liftgate on " + ", ".join(_name(source) for source in sources)
        open_outside_study(found, purpose, content_hash([_subject(s) for s in sources]), truth.truth_hash(), reason)
        notes.append(f"contaminated: {place} is locked, and was opened anyway: {reason}")
    for ledger in unverified:
        if reason is None:
            raise ledger.refusal()
        notes.append(f"contaminated: {ledger}; measured anyway: {reason}")
    return "; ".join(notes)


def require_unchanged(source: PredictionsSource) -> None:
    """Refuse a file of a study's predictions that is not as its ledger has it.

    Raises:
        DataError: the file or its settings were changed.
        LedgerError: the ledger is damaged.
    """
    if isinstance(source, PrefetchedResults):
        source = source.path
    if isinstance(source, str | Path) and is_of_a_study(Path(source)):
        from liftgate.ledger.recorded_files import require_unchanged_predictions  # where there is a ledger

        require_unchanged_predictions(Path(source))


def _name(source: PredictionsSource) -> str:
    if isinstance(source, PrefetchedResults):
        source = source.path
    return Path(source).name if isinstance(source, str | Path) else type(source).__name__


def _subject(source: PredictionsSource) -> object:
    """Return what identifies one set of predictions, so that opening the split for the same set counts once."""
    if isinstance(source, PrefetchedResults):
        source = source.path
    if isinstance(source, Predictions):
        return source.content_hash()
    if not isinstance(source, str | Path):
        return os.urandom(16).hex()  # objects of another library have no identity: every opening counts
    path = Path(source)
    return [str(path), path.stat().st_mtime_ns if path.exists() else 0]


def odd_predictions(predictions: Predictions) -> str:
    """Return a remark on unusual predictions that were accepted; empty: none."""
    scores, ids = (predictions.settings.get(key) for key in ("scores_outside_0_1", "image_ids_respelled"))
    texts = list(predictions.notes)
    most = predictions.settings.get("max_det")
    if isinstance(most, int) and len(predictions):
        full = sum(count >= most for count in Counter(predictions.image.tolist()).values())
        if full:
            texts.append(f"{full} images have as many detections as max_det ({most}) allowed: there may have been more")
    if scores:
        texts.append(f"{scores} scores are outside 0 … 1: AP ranks by them, but a confidence threshold means nothing")
    if ids:
        texts.append(f'{ids} image ids of predictions and truth differ in type (2299, "2299"): they were matched')
    return "; ".join(texts)
