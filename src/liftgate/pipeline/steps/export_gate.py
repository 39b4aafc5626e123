"""Gate about exports: each has to be equal to the weights that it was made from, on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from liftgate.data.core.dataset import Dataset
from liftgate.data.core.predictions import Predictions
from liftgate.data.formats import coco
from liftgate.deploy.export.proof import ExportProof, ProofSpec, images_of_groups
from liftgate.errors import DataError
from liftgate.evaluation.records import Comparison, Verdict
from liftgate.evaluation.spec import DEFAULT_CONF, STATISTICS
from liftgate.hashing import file_hash, short
from liftgate.ledger.results import ClaimRow, ExportedFile, ExportRow, GateResult
from liftgate.pipeline.context import Context
from liftgate.pipeline.proving import Proved, Prover
from liftgate.pipeline.step import Results, Step
from liftgate.pipeline.steps.exporting import export_step
from liftgate.pipeline.steps.verdicts import left_out, open_lockbox, record_verdict
from liftgate.study.records import Gate, VerdictWord

_WORST_FIRST: tuple[VerdictWord, ...] = ("FAIL", "MARGINAL", "PASS")
WITHIN = "within ±"
"""Side of a claim that two models are equal"""


class ExportGateStep(Step[GateResult]):
    """Decides a gate about the exports of an arm's first seed: the worst of their proofs."""

    KIND = "gate"
    RESULT = GateResult

    def __init__(self, context: Context, gate: Gate, won: str = "") -> None:
        """Plan the proofs.

        Args:
            context: the study.
            gate: names the arm, the formats and their precisions.
            won: why its arm is the winner of several; empty: the gate names the arm itself.
        """
        self._context, self._gate, self._won = context, gate, won
        self._exported = export_step(context, gate)
        self._dataset, _, split = gate.on.rpartition(".")
        inputs = {
            "gate": gate.content_hash(),
            "statistics": STATISTICS,
            "data": context.datasets.fingerprint(self._dataset),
            "split": split,
            **left_out(context, (gate.on,)),
            **({"won": won} if won else {}),
        }
        super().__init__(gate.name, inputs, (self._exported,))

    def work(self, results: Results) -> GateResult:
        """Prove every export against the weights, store both's detections, and write the verdict into the ledger.

        Raises:
            Refused: the lockbox is spent.
            DataError: the weights or images were changed meanwhile.
            TrainingError: the child process failed.
        """
        context, gate = self._context, self._gate
        open_lockbox(context, gate)
        truth = context.datasets.truth(gate.on)
        weights = self._exported.weights(results)
        made = results.of(self._exported)
        if file_hash(weights) != made.weights_sha256:
            raise DataError("the weights are not those that were exported", where=weights, hint="run the study again")
        spec = ProofSpec(gate.margin, DEFAULT_CONF if gate.conf is None else gate.conf, gate.level)
        prover = Prover(weights, truth, spec, context.progress)
        folder = context.workspace.folder / made.folder
        proved = [prover.prove(folder / name) for name in made.exports]
        context.datasets.require_unchanged_images(self._dataset)
        files = [self._stored(one, truth) for one in proved]
        decided = judge_exports(gate, [one.proof for one in proved], files, truth)
        won = (self._won,) if self._won else ()
        return record_verdict(context, gate, replace(decided, caveats=(*won, *decided.caveats)))

    def files(self, result: GateResult) -> Mapping[Path, str | None]:
        """Return the detections that the proofs rest on."""
        folder = self._context.workspace.folder
        return {folder / one.path: one.sha256 for row in result.exports for one in row.predictions}

    def _stored(self, proved: Proved, truth: Dataset) -> tuple[ExportedFile, ...]:
        """Store the detections of reference and export; none of a broken export, which was not measured further."""
        if proved.reference is None or proved.export is None:
            return ()
        size = proved.reference.settings.get("imgsz")
        sides = (("weights", proved.reference), (proved.proof.name, proved.export))
        return tuple(self._file(f"{name}-{size}" if name == "weights" else name, one, truth) for name, one in sides)

    def _file(self, name: str, predictions: Predictions, truth: Dataset) -> ExportedFile:
        workspace, gate = self._context.workspace, self._gate
        path = workspace.predictions / f"{gate.arm}-export-{name}-{short(self.key)}.json"
        coco.write_predictions(predictions, truth, path)
        return ExportedFile(path.relative_to(workspace.folder).as_posix(), file_hash(path))


def judge_exports(
    gate: Gate, proofs: Sequence[ExportProof], files: Sequence[tuple[ExportedFile, ...]], truth: Dataset
) -> Verdict:
    """Return the verdict of a gate on its exports: the worst of their proofs.

    Args:
        gate: the gate.
        proofs: one of each export.
        files: detections that each rests on, the weights' first.
        truth: the images that were measured on.
    """
    word = min((one.word for one in proofs), key=_WORST_FIRST.index)
    parts = "; ".join(f"{one.name} {one.word}, {one.reason.rstrip('.')}" for one in proofs)
    rows = [
        ExportRow(
            export=one.name,
            word=one.word,
            reason=one.reason,
            symptoms=tuple(symptom.id for symptom in one.symptoms),
            agreement={} if one.agreement is None else msgspec.to_builtins(one.agreement),
            best_conf=one.best_conf,
            predictions=stored,
        )
        for one, stored in zip(proofs, files, strict=True)
    ]
    claims = [
        _claim(one, cost, truth) for one in proofs for cost in (one.cost, one.keypoints) if cost is not None
    ]  # of a broken export nothing is measured
    evidence = [{"kind": "claim", **row.to_body()} for row in claims] + [
        {"kind": "export", **row.to_body()} for row in rows
    ]
    limits = [
        f"{one.name}: {text}"
        for one in proofs
        for text in (*(symptom.message for symptom in one.symptoms if not symptom.broken), *one.notes)
    ]
    sentence = f"{word}: exports of {gate.arm} beside its weights on {gate.on}: {parts}."
    return Verdict(gate.name, gate.content_hash(), word, sentence, tuple(evidence), tuple(dict.fromkeys(limits)))


def _claim(proof: ExportProof, cost: Comparison, truth: Dataset) -> ClaimRow:
    """Return what one export costs in one metric, as a row of the report."""
    delta, needed = cost.delta, cost.groups_needed
    same = proof.agreement is not None and proof.agreement.identical
    return ClaimRow(
        metric=f"{cost.metric}, {proof.name} − weights",
        value=delta.estimate,
        interval=(delta.low, delta.high),
        threshold=cost.margin,
        # Of detections that are the same no interval is established, and none is needed.
        word=proof.word if same else cost.verdict,
        method=delta.method,
        n_images=delta.n_images,
        n_groups=delta.n_groups,
        sentence=proof.reason,
        side=WITHIN,
        design_effect=delta.design_effect,
        n_effective=delta.n_effective,
        images_needed=None if needed is None else images_of_groups(truth, needed),
        groups_needed=needed,
    )
