"""The files of a version, gathered from a study: weights, evaluation, verdict, split, data, training log, ledger."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from liftgate.data.provenance.licences import Terms, merge_terms, obligations
from liftgate.deploy.registry.model_card import CardFacts, DataRow, card_text
from liftgate.deploy.registry.version import product_name
from liftgate.documents import LARGE, DocumentError, load_json
from liftgate.errors import DataError, UsageError
from liftgate.evaluation.records import Evaluation
from liftgate.files import write_bytes, write_json, write_text
from liftgate.hashing import file_hash, short
from liftgate.ledger.chain import Ledger
from liftgate.ledger.last_run import LastRun, read_runs, trained_stages
from liftgate.ledger.model_records import VersionEntry, VersionVerdict
from liftgate.ledger.records import Body, DataEntry, EvaluationEntry, GateEntry, StepEntry
from liftgate.ledger.results import EvaluateResult, GateResult, TrainResult
from liftgate.ledger.workspace import Workspace
from liftgate.study.records import Arm, Study
from liftgate.study.weights import find
from liftgate.suggestions import suggestion

_LOG_FILES = ("results.csv", "args.yaml")
_MAX_YAML = 1 << 20
_NOT_IN_LEDGER = "the evaluation is not the one in the ledger: the file was changed"


@dataclass(frozen=True, slots=True)
class MeasuredOn:
    """One evaluation of a model, with the split that it was measured on."""

    step: str
    """Key of the evaluate step"""
    on: str
    evaluation: Body
    whole: bool
    """Whether it has every image; False: its file is gone, and the ledger keeps the worst images only"""


@dataclass(frozen=True, slots=True)
class StudyModel:
    """A model of a study: an arm and a seed, with what its newest run recorded."""

    study: Study
    workspace: Workspace
    arm: Arm
    seed: int
    run: LastRun
    weights: Path
    weights_hash: str
    trained: TrainResult | None
    """Its last stage; None: an arm without training"""
    evaluations: tuple[MeasuredOn, ...]


def chosen_arm(study: Study, name: str | None) -> Arm:
    """Return the arm of that name; None: the one that the study's answering gate is about.

    Raises:
        UsageError: no such arm, or several could be meant.
    """
    names = [arm.name for arm in study.arms]
    if name is not None:
        if name not in names:
            raise UsageError("no such arm", where=study.source, got=name, hint=suggestion(name, names))
        return study.arm(name)
    about = {gate.treatment or gate.arm for gate in study.gates if study.answer in (None, gate.name)}
    if len(about) == 1 and (only := about.pop()) is not None:
        return study.arm(only)
    raise UsageError("several arms could be meant", where=study.source, expected="--arm NAME", got=", ".join(names))


def study_model(study: Study, arm: Arm, seed: int) -> StudyModel:
    """Find the weights and evaluations of an arm and seed in the newest run of a study.

    Raises:
        UsageError: the study has not run as it is written, or the arm was not trained or not measured with this seed.
        DataError: the weights, or an evaluation, are not those in the ledger.
        LedgerError: the ledger was changed.
    """
    workspace = Workspace(study)
    ledger = Ledger(workspace.ledger)
    wanted = study.content_hash()
    runs = [run for run in read_runs(ledger) if run.flow is not None and run.flow.study == wanted]
    if not runs:
        hint = f"`liftgate run {study.source}`; or give `--set` as the run had it"
        raise UsageError("the study has not run as it is written now", where=study.source, hint=hint)
    run = runs[-1]
    trained = None
    if arm.stages:
        trained = _last_stage(run, arm, seed, study)
        path, expected = workspace.folder / trained.best, trained.sha256
    else:
        found = find(arm.weights or "", study.folder)
        if found is None:
            raise UsageError("no such weights", where=study.place("arms", arm.name, "weights"), got=arm.weights)
        path, expected = found, file_hash(found)
    if not path.is_file():
        raise DataError("the weights are gone", where=path, hint="the next run of the study trains them again")
    if (now := file_hash(path)) != expected:
        what = "the weights are not those in the ledger: the file was changed"
        raise DataError(what, where=path, expected=short(expected), got=short(now))
    measured = tuple(_evaluations(run, workspace, arm, seed))
    if not measured:
        hint = "gates measure the study's first seed; a comparison measures all of them"
        what = f"{arm.name}, seed {seed}, was not measured in the newest run"
        raise UsageError(what, where=study.source, hint=hint)
    return StudyModel(study, workspace, arm, seed, run, path, expected, trained, measured)


def copy_weights(source: Path, target: Path, sha256: str) -> None:
    """Copy a weights file.

    Raises:
        DataError: the copy has another hash than expected.
    """
    shutil.copyfile(source, target)
    if file_hash(target) != sha256:
        raise DataError("the weights changed while they were copied", where=source)


def _last_stage(run: LastRun, arm: Arm, seed: int, study: Study) -> TrainResult:
    own = (one.result for one in trained_stages(run.of_kind("train")))
    stages = [one for one in own if (one.arm, one.seed, one.stage) == (arm.name, seed, len(arm.stages))]
    if not stages:
        seeds = ", ".join(map(str, study.seeds))
        what = f"{arm.name}, seed {seed}, was not trained in the newest run"
        raise UsageError(what, where=study.source, expected=f"a trained arm, and one of the seeds {seeds}")
    return stages[-1]


def _evaluations(run: LastRun, workspace: Workspace, arm: Arm, seed: int) -> Sequence[MeasuredOn]:
    hashes = {entry.step: entry.sha256 for entry in Ledger(workspace.ledger).records(EvaluationEntry)}
    found = []
    for step in run.of_kind("evaluate"):
        result = EvaluateResult.from_body(step.result)
        if (result.arm, result.seed) == (arm.name, seed):
            name = f"{result.arm}-seed-{result.seed}-on-{result.on}-{step.key[:12]}.json"
            found.append(_measured(step, result, workspace.evaluations / name, hashes.get(step.key)))
    return found


def _measured(step: StepEntry, result: EvaluateResult, path: Path, sha256: str | None) -> MeasuredOn:
    """Return an evaluation from its file, compared with the ledger; from the ledger where there is no file.

    Raises:
        DataError: the file disagrees with the ledger.
    """
    if not path.is_file():
        return MeasuredOn(step.key, result.on, result.evaluation, whole=False)
    hint = "restore it from a copy, or move it away: the ledger's has all but the images that went well"
    if sha256 is not None and file_hash(path) != sha256:
        raise DataError(_NOT_IN_LEDGER, where=path, expected=short(sha256), got=short(file_hash(path)), hint=hint)
    try:
        whole = load_json(path, LARGE)
    except DocumentError as error:
        raise DataError("an evaluation cannot be read", where=error.place(path), got=error.problem) from None
    if not isinstance(whole, dict) or (sha256 is None and not _agrees(whole, result.evaluation)):
        raise DataError(_NOT_IN_LEDGER, where=path, hint=hint)
    return MeasuredOn(step.key, result.on, whole, whole=True)


def _agrees(whole: Body, recorded: Body) -> bool:
    """Whether a file of a ledger without its hash says what the ledger does, which has the worst images only."""
    images, worst = whole.get("images"), recorded.get("images", [])
    rest = {name: value for name, value in whole.items() if name != "images"}
    known = {name: value for name, value in recorded.items() if name != "images"}
    return rest == known and isinstance(images, list) and all(row in images for row in worst)


@dataclass(frozen=True, slots=True)
class VersionContents:
    """What the files of a version are written from."""

    version: str
    name: str
    verdict: VersionVerdict | None
    model: StudyModel
    terms: Mapping[str, Terms]
    """data set → its terms"""
    splits: Mapping[str, bytes]
    """data set → CSV of its split"""
    weights_licence: str | None
    notes: tuple[str, ...] = ()

    @property
    def data_terms(self) -> Terms:
        """Terms of all data that the model was trained on; of an arm without training, those of unknown data."""
        used = [self.terms[name] for name in self.trained_on]
        return merge_terms(used) if used else Terms()

    @property
    def trained_on(self) -> tuple[str, ...]:
        """Names of the data sets that it was trained on, validation included."""
        names = [name for stage in self.model.arm.stages for name in (*stage.sources, stage.data)]
        return tuple(dict.fromkeys(names))

    @property
    def primary(self) -> MeasuredOn:
        """The evaluation that the verdict rests on; without one, the first."""
        gate = None if self.verdict is None else self.model.run.gate(self.verdict.gate)
        judged = set() if gate is None else {need.key for need in self.model.run.all_needs(gate)}
        on = None if self.verdict is None else _gate_on(self.model, self.verdict)
        of_gate = (one for one in self.model.evaluations if one.step in judged and one.on == on)
        return next(of_gate, self.model.evaluations[0])

    def entry(self, who: str) -> VersionEntry:
        """Return the version's entry, without the hashes of its files."""
        terms = self.data_terms
        weights = product_name(self.name, self.version, self.model.weights.suffix)
        return VersionEntry(
            version=self.version,
            name=self.name,
            weights=weights,
            files={},
            verdict=self.verdict,
            weights_licence=self.weights_licence,
            data_licence=terms.licence,
            confidential=terms.confidential,
            who=who,
        )

    def write(self, folder: Path) -> None:
        """Write all files into an empty folder.

        Raises:
            DataError: a file was changed while it was copied.
        """
        model, version = self.model, self.version
        weights = folder / product_name(self.name, version, model.weights.suffix)
        copy_weights(model.weights, weights, model.weights_hash)
        write_json(folder / product_name("eval", version, ".json"), self._evaluation())
        write_json(folder / product_name("data_card", version, ".json"), self._data_card())
        if self.verdict is not None:
            write_json(folder / product_name("verdict", version, ".json"), self._verdict(self.verdict))
            Ledger(model.workspace.ledger).copy_to(folder / product_name("ledger", version, ".sqlite"))
        first = self.primary.on.rpartition(".")[0]
        for name, table in self.splits.items():
            stem = "dataset_split" if name == first else f"dataset_split_{name}"
            write_bytes(folder / product_name(stem, version, ".csv"), table)
        self._copy_small_files(folder, first)
        write_text(folder / product_name("model_card", version, ".md"), card_text(self._card_facts()))

    def _copy_small_files(self, folder: Path, first: str) -> None:
        model, version = self.model, self.version
        sources = {"study": model.study.source, "data": model.study.folder / model.study.dataset(first).path}
        for stem, source in sources.items():
            plain = source is not None and source.is_file() and source.suffix.lower() in (".yaml", ".yml")
            if source is not None and plain and source.stat().st_size <= _MAX_YAML:
                shutil.copyfile(source, folder / product_name(stem, version, ".yaml"))
        if model.trained is not None:
            results = model.workspace.folder / model.trained.run / "results"
            for name in _LOG_FILES:
                if (results / name).is_file():
                    shutil.copyfile(results / name, folder / product_name(Path(name).stem, version, Path(name).suffix))

    def _evaluation(self) -> Body:
        primary = self.primary
        others = [one for one in self.model.evaluations if one is not primary]
        return {
            **primary.evaluation,
            "version": self.version,
            "model": self.name,
            "study": self.model.study.name,
            "arm": self.model.arm.name,
            "seed": self.model.seed,
            "on": primary.on,
            "all_images": primary.whole,
            "verdict": None if self.verdict is None else self.verdict.to_body(),
            "others": [{**one.evaluation, "on": one.on, "all_images": one.whole} for one in others],
        }

    def _verdict(self, verdict: VersionVerdict) -> Body:
        ledger = Ledger(self.model.workspace.ledger)
        gates = [one for one in ledger.records(GateEntry) if one.gate_hash == verdict.gate_hash]
        steps = [step for run in read_runs(ledger) for step in run.of_kind("gate")]
        results = [GateResult.from_body(step.result) for step in steps]
        full = [one for one in results if one.gate_hash == verdict.gate_hash and one.sentence == verdict.sentence]
        return {
            **verdict.to_body(),
            "rule": gates[-1].body if gates else None,
            "result": full[-1].to_body() if full else None,
        }

    def _data_card(self) -> Body:
        terms = self.data_terms
        return {
            "licence": terms.licence,
            "obligations": None if terms.licence is None else obligations(terms.licence),
            "origin": terms.origin,
            "confidential": terms.confidential,
            "consent": terms.consent,
            "trained_on": list(self.trained_on),
            "measured_on": [one.on for one in self.model.evaluations],
            "datasets": [self._dataset_row(entry) for entry in self._data_entries()],
        }

    def _dataset_row(self, entry: DataEntry) -> Body:
        terms = self.terms.get(entry.dataset, Terms())
        splits = [
            {
                "split": row.split,
                "n_images": row.n_images,
                "n_groups": row.n_groups,
                "n_objects": row.n_objects,
                "locked": row.locked,
                "images": row.images,
                "truth": row.truth,
            }
            for row in entry.splits
        ]
        return {"name": entry.dataset, "fingerprint": entry.fingerprint, **asdict(terms), "splits": splits}

    def _data_entries(self) -> list[DataEntry]:
        measured = {one.on.rpartition(".")[0] for one in self.model.evaluations}
        newest = {one.dataset: one for one in Ledger(self.model.workspace.ledger).records(DataEntry)}
        return [one for name, one in newest.items() if name in measured or name in self.trained_on]

    def _card_facts(self) -> CardFacts:
        model = self.model
        evaluation = Evaluation.from_dict(self.primary.evaluation)
        data = [
            DataRow(
                dataset=entry.dataset,
                split=row.split,
                use=_use(entry.dataset, row.split, self.trained_on, [one.on for one in model.evaluations]),
                n_images=row.n_images,
                n_groups=row.n_groups,
                n_objects=row.n_objects,
                licence=self.terms.get(entry.dataset, Terms()).licence,
                locked=row.locked,
            )
            for entry in self._data_entries()
            for row in entry.splits
        ]
        terms = self.data_terms
        return CardFacts(
            version=self.version,
            name=self.name,
            question=model.study.question,
            arm=model.arm,
            seed=model.seed,
            n_seeds=len(model.study.seeds),
            task=model.study.task,
            verdict=self.verdict,
            on=self.primary.on,
            evaluation=replace(evaluation, images=()),
            data=tuple(data),
            weights_hash=model.weights_hash,
            weights_licence=self.weights_licence,
            terms=terms if self.trained_on else None,
            notes=self.notes,
        )


def _gate_on(model: StudyModel, verdict: VersionVerdict) -> str | None:
    gate = next((one for one in model.study.gates if one.content_hash() == verdict.gate_hash), None)
    return None if gate is None else gate.on


def _use(dataset: str, split: str, trained_on: Sequence[str], measured_on: Sequence[str]) -> str:
    if f"{dataset}.{split}" in measured_on:
        return "measured on"
    if dataset in trained_on and split in ("train", "val"):
        return "trained on" if split == "train" else "validated on"
    return "not used"
