"""Prove exports: the same images through the reference and every export, a tripwire first, then the paired interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.deploy.export.agreement import Agreement, compare_detections
from liftgate.deploy.export.appearance import strange_looks
from liftgate.deploy.export.calibration import CalibrationImage, read_calibration
from liftgate.deploy.export.card import UseSettings
from liftgate.deploy.export.channels import channels_symptom
from liftgate.deploy.export.described import DescribedExport, describe_export
from liftgate.deploy.export.proof import (
    ExportProof,
    ProofSpec,
    broken_proof,
    input_pixels,
    prove,
    tripwire_images,
)
from liftgate.deploy.export.symptoms import Symptom, symptoms_of, symptoms_of_card
from liftgate.deploy.export.trusted import CHECKPOINTS
from liftgate.deploy.runtime.predict import RUNS_HERE
from liftgate.errors import DataError, LiftgateError, TrainingError, UsageError
from liftgate.hashing import file_hash
from liftgate.pipeline.model_predictions import in_classes_of, predict_checkpoint, predict_export
from liftgate.progress import Progress, silent

_BROKEN_FILES: dict[str, str] = {"another device": "device", "built on": "device"}


class Proved(NamedTuple):
    """A proof and the detections that it rests on; None: a broken export, which was not measured further."""

    proof: ExportProof
    reference: Predictions | None = None
    export: Predictions | None = None


class Prover:
    """Proves exports of one reference on the same images; the reference's detections are made once."""

    def __init__(self, reference: Path, truth: Dataset, spec: ProofSpec, progress: Progress = silent) -> None:
        """Prepare.

        Args:
            reference: the .pt, or an export in fp32; loading it was judged harmless.
            truth: the images, their objects and groups.
            spec: what each export has to show.
            progress: called with the number of images.

        Raises:
            DataError: the reference cannot be read.
        """
        self._reference = reference
        self._weights = _weights_of(reference)
        self._truth = truth
        self._spec = spec
        self._progress = progress
        self._few = tripwire_images(truth)
        self._made: dict[tuple[tuple[int, int], int], Predictions] = {}
        self._files: frozenset[str] | None = None

    def prove(self, place: Path) -> Proved:
        """Return the proof of one export, of a broken one too, and the detections that it rests on.

        Args:
            place: its folder or file.
        """
        name = place.name if place.name not in ("", ".") else place.resolve().name
        try:
            export = describe_export(place)
            known = self._card_symptoms(export)
        except (DataError, UsageError) as error:
            return _unusable(name, error)
        if any(one.kind == "weights" for one in known):
            return Proved(broken_proof(name, known, 0, 0))
        self._reference_on(export, self._few)  # first: an error of images, classes or reference is none of the export
        try:
            found, turned = self._on(export, self._few)
        except (DataError, UsageError, TrainingError) as error:
            return _unusable(name, error)
        said = [*known, *self._tripwire(export, found)]
        if any(one.broken for one in said):
            reference = self._reference_on(export, self._few)
            groups = len(set(self._few.groups))
            agreement = self._agreement(reference, found)
            return Proved(broken_proof(name, _worst_first(said), len(self._few.images), groups, agreement))
        if len(self._truth.images) > len(self._few.images):
            found, turned = self._on(export, self._truth)
        reference = self._reference_on(export, self._truth)
        proof = prove(name, self._truth, reference, found, self._spec, known)
        notes = (*proof.notes, *turned, *self._unseen_calibration(export))
        return Proved(replace(proof, notes=notes), reference, found)

    def _card_symptoms(self, export: DescribedExport) -> list[Symptom]:
        card = export.card
        images: tuple[CalibrationImage, ...] = ()
        measured: frozenset[str] = frozenset()
        strange = ""
        if card.calibration is not None:
            images = read_calibration(export.folder, card.calibration)
            measured, strange = self._measured_files(), self._strange(images)
        weights = self._weights if export.has_card else None
        return symptoms_of_card(card, weights=weights, calibration=images, measured_on=measured, looks_strange=strange)

    def _strange(self, images: Sequence[CalibrationImage]) -> str:
        paths = [self._truth.root / one.image for one in images]
        return strange_looks(paths, [one.group for one in images], [image.path for image in self._truth.images])

    def _unseen_calibration(self, export: DescribedExport) -> tuple[str, ...]:
        """Say that nobody looked at calibration images: unknown looks are not sound ones."""
        if export.card.calibration is None:
            return ()
        images = read_calibration(export.folder, export.card.calibration)
        missing = sum(not (self._truth.root / one.image).is_file() for one in images)
        if not missing:
            return ()
        return (
            f"{missing} of {len(images)} calibration images are not in the data set that it is measured on: "
            "whether they look like its images is unknown",
        )

    def _measured_files(self) -> frozenset[str]:
        if self._files is None:
            self._files = frozenset(file_hash(image.path) for image in self._truth.images if image.path.is_file())
        return self._files

    def _on(self, export: DescribedExport, images: Dataset) -> tuple[Predictions, tuple[str, ...]]:
        made = in_classes_of(predict_export(export, images, self._use(export), progress=self._progress), images)
        return made.predictions, made.notes

    def _reference_on(self, export: DescribedExport, images: Dataset) -> Predictions:
        size = (export.card.input.height, export.card.input.width)
        key = (size, len(images.images))
        if key not in self._made:
            use = self._use(export)
            if self._reference.suffix.lower() in CHECKPOINTS:
                made = predict_checkpoint(self._reference, images, use, imgsz=size, progress=self._progress)
            else:
                made = predict_export(describe_export(self._reference), images, use, progress=self._progress)
            self._made[key] = in_classes_of(made, images).predictions
        return self._made[key]

    def _use(self, export: DescribedExport) -> UseSettings:
        return replace(export.card.use, conf=min(export.card.use.conf, 0.001))

    def _tripwire(self, export: DescribedExport, found: Predictions) -> list[Symptom]:
        reference = self._reference_on(export, self._few)
        agreement = self._agreement(reference, found)
        said = symptoms_of(agreement, self._spec.conf)
        if not agreement.identical and export.card.format in RUNS_HERE:
            turned = self._with_other_channels(export)
            channels = channels_symptom(reference, found, turned, self._spec.conf, export.card.input.channels)
            return said if channels is None else [channels, *said]
        return said

    def _with_other_channels(self, export: DescribedExport) -> Predictions:
        entry = export.card.input
        turned = replace(entry, channels="BGR" if entry.channels == "RGB" else "RGB")
        return self._on(replace(export, card=replace(export.card, input=turned)), self._few)[0]

    def _agreement(self, reference: Predictions, found: Predictions) -> Agreement:
        """Return how far detections on the images of the tripwire agree."""
        return compare_detections(reference, found, self._spec.conf, input_pixels(self._few, found))


def _unusable(name: str, error: LiftgateError) -> Proved:
    kind = next((kind for words, kind in _BROKEN_FILES.items() if words in str(error)), "file")
    return Proved(broken_proof(name, [Symptom(f"{kind}.unusable", str(error).replace("\n", "; "))], 0, 0))


def _weights_of(reference: Path) -> str | None:
    """Return the SHA-256 of the weights that a reference is or was made from; None: it does not say."""
    if reference.suffix.lower() in CHECKPOINTS:
        return file_hash(reference)
    described = describe_export(reference)
    return described.card.weights.sha256 if described.has_card else None


def _worst_first(symptoms: Sequence[Symptom]) -> list[Symptom]:
    return sorted(symptoms, key=lambda one: not one.broken)
