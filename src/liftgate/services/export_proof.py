"""Prove exports: the same images through the reference and every export, a tripwire first, then the paired interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from liftgate.deploy.export.proof import ExportProof, ProofSpec
from liftgate.errors import UsageError
from liftgate.evaluation.metric_options import Sigmas
from liftgate.evaluation.spec import ComparisonSpec, require_reachable_margin
from liftgate.evaluation.truth import Truth, read_truth
from liftgate.files import write_json
from liftgate.pipeline.proving import Prover
from liftgate.progress import Progress, silent
from liftgate.services.evidence_inputs import require_unlocked
from liftgate.services.prediction import resolve_model
from liftgate.study.records import VerdictWord
from liftgate.suggestions import nearby

PROOF = "proof.json"
_WORST_FIRST: tuple[VerdictWord, ...] = ("FAIL", "MARGINAL", "PASS")


@dataclass(frozen=True, slots=True)
class ExportProofs:
    """Proofs of several exports of one reference."""

    reference: str
    proofs: tuple[ExportProof, ...]
    contaminated: str = ""
    """Which locked split was opened, and why; empty: none was"""

    @property
    def word(self) -> VerdictWord:
        """The worst verdict."""
        return next(word for word in _WORST_FIRST if any(one.word == word for one in self.proofs))

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON values."""
        proofs = [one.to_dict() for one in self.proofs]
        return {"reference": self.reference, "verdict": self.word, "contaminated": self.contaminated, "proofs": proofs}


def prove_exports(
    reference: Path | str,
    exports: Sequence[Path | str],
    truth: Truth,
    *,
    split: str | None = None,
    groups: str | None = None,
    margin: float = 0.01,
    conf: float = 0.25,
    level: float = 0.95,
    sigmas: Sigmas = None,
    out: Path | str | None = None,
    open_anyway: str | None = None,
    progress: Progress = silent,
) -> ExportProofs:
    """Measure what exports cost in accuracy against the model that they were made from.

    The claim is `equal`: mAP50-95, and of a pose model OKS-mAP50-95, differ by less than the margin, shown by a paired
    interval over groups, on the same images through one path. A broken export is found on 20 images and not measured
    further.

    Args:
        reference: the .pt, or an export in fp32.
        exports: their folders or files.
        truth: COCO JSON, data.yaml, VOC folder, or a Dataset.
        split: of the truth; default val, where it has one.
        groups: regex with (?P<group>…), CSV with columns image,group, or `folder`; None: the truth's own.
        margin: the largest difference that counts as none.
        conf: the operating point.
        level: of the intervals.
        sigmas: OKS sigmas of a pose model: `coco`, one number or one for each keypoint; None: the truth's own, else
            COCO's for COCO's 17 keypoints.
        out: where to write all of it as JSON; None: nowhere.
        open_anyway: reason to measure on images that a study locks.
        progress: called with the number of images and exports.

    Raises:
        Refused: a study locks these images, or loading the reference could run code.
        UsageError: no such model or split, or a value that is not possible.
        DataError: the reference or an image cannot be read.
    """
    ComparisonSpec("mAP50-95", margin, claim="equal", level=level, conf=conf).validate()
    require_reachable_margin("mAP50-95", margin, "equal")
    if not exports:
        raise UsageError("no export is named")
    for export in exports:
        if not Path(export).exists():  # a mistyped name is no broken export, and opens no lockbox
            raise UsageError("no such export", where=export, hint=nearby(Path(export)))
    source = resolve_model(reference)
    dataset = read_truth(truth, split=split, groups=groups, progress=progress)
    contaminated = require_unlocked(dataset, (), open_anyway)
    prover = Prover(source, dataset, ProofSpec(margin, conf, level, sigmas), progress)
    proofs = tuple(prover.prove(Path(export)).proof for export in exports)
    result = ExportProofs(source.name, proofs, contaminated)
    if out is not None:
        write_json(Path(out), result.to_dict())
    return result
